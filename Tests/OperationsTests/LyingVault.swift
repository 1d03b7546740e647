import Domain
import Foundation
import Testing

@testable import Operations
@testable import Vault

/// A vault in a directory of its own, whose one writer has valid keys and lies in what it seals: what a root user of an
/// archived host could leave behind for whoever restores.
final class LyingVault {
    let root: URL
    let vault: Vault
    let kit: Secret
    private let writer: WriterIdentity
    private let opening: SessionOpening
    private let session: SessionKey
    private let identities: SealingPool.Identities
    private let cipher: RecordCipher
    private var pack: [UInt8]
    private let packID = Random.digest()
    private var entries: [PackEntry] = []

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(path: "qala-lying-\(UUID().uuidString)")
        for part in ["vault", "state", "outside"] {
            try FileManager.default.createDirectory(
                at: root.appending(path: part), withIntermediateDirectories: true)
        }
        let store = try LocalStore(path: root.appending(path: "vault").path)
        let made = try Vault.create(
            store: store, stateBase: root.appending(path: "state").path, suite: .blake3, passphrase: nil,
            created: "2026-01-01T00:00:00Z")
        vault = made.vault
        kit = made.kit
        writer = try vault.writer()
        let domain = try #require(vault.log.keySet.currentDomain(writer.domain))
        let id = Random.digest()
        let secret = try Secret.random()
        let keyring = try Keyring(sealing: secret, vaultID: vault.vaultID, sessionID: id, to: domain).encode()
        let reference = try store.putNamedByDigest("keyrings", keyring, vault.suite)
        session = try SessionKey(secret, vaultID: vault.vaultID, sessionID: id)
        opening = SessionOpening(
            session: id, domain: writer.domain, generation: domain.generation, keyring: reference,
            commitment: session.commitment, resumes: .zero)
        let opening = self.opening
        try vault.log.append(signing: writer.signing, time: 1) { _ in .open(opening) }
        var hashers: [IdentityHasher] = []
        for index in 0...UInt8(4) {
            let key = try KeyDerivation.identityKey(writer.identity, vaultID: vault.vaultID, index: index)
            hashers.append(IdentityHasher(suite: vault.suite, key: key))
        }
        identities = SealingPool.Identities(hashers: hashers)
        cipher = try RecordCipher()
        pack = PackHeader(id: packID, session: id, domain: writer.domain).encode()
        // What lies beside the target and must stay as it is.
        try Data("mine".utf8).write(to: root.appending(path: "outside/file"))
        try FileManager.default.createDirectory(
            at: root.appending(path: "outside/directory"), withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: root) }

    var outside: [UInt8] { Array(root.appending(path: "outside").path.utf8) }
    var targetPath: String { root.appending(path: "target").path }

    var workplace: Workplace {
        let code = Array(KeyText.encode(kit, vaultID: vault.vaultID).utf8)
        return Workplace(
            vaultPath: root.appending(path: "vault").path, statePath: root.appending(path: "state").path,
            unlocking: .code { code })
    }

    // MARK: Chunks

    /// Seals a chunk under its true id.
    @discardableResult
    func add(_ plain: [UInt8], _ kind: ChunkKind, members: [Digest] = []) throws -> Digest {
        let id = identities[kind].identity(of: plain)
        var payload = ByteWriter()
        payload.u32(UInt32(plain.count))
        payload.u32(UInt32(plain.count))
        payload.raw(plain)
        try addRecord(payload.bytes, kind, codec: .raw, id: id, members: members)
        return id
    }

    /// Seals any payload, padded as the format wants it, under any id.
    func addRecord(
        _ payload: [UInt8], _ kind: ChunkKind, codec: ChunkCodec, id: Digest, members: [Digest] = []
    ) throws {
        let count = PackFormat.paddedPayload(payload.count)
        let padded = payload + [UInt8](repeating: 0, count: count - payload.count)
        let label = RecordLabel(
            packID: packID, slot: UInt32(entries.count), kind: kind.rawValue, codec: codec.rawValue,
            storedLength: UInt32(count), chunkID: id)
        var sealed = [UInt8](repeating: 0, count: count + PackFormat.tagCount)
        let commitment = try padded.withUnsafeBytes { plain in
            try sealed.withUnsafeMutableBytes { try cipher.seal(plain, into: $0, label: label, session: session) }
        }
        var header = [UInt8](repeating: 0, count: PackFormat.recordHeaderCount)
        header.withUnsafeMutableBytes {
            RecordHeader(
                kind: kind, codec: codec, slot: label.slot, storedLength: label.storedLength, chunkID: id,
                commitment: commitment
            ).encode(into: $0)
        }
        entries.append(
            PackEntry(
                offset: UInt64(pack.count), storedLength: label.storedLength, kind: kind, codec: codec,
                slot: label.slot, chunkID: id, members: members))
        pack += header + sealed
    }

    func identity(_ plain: [UInt8], _ kind: ChunkKind) -> Digest { identities[kind].identity(of: plain) }

    /// A node over pages of which each is said to begin with a path and to have so many entries.
    func node(_ level: UInt8, _ children: [NodeChild]) throws -> Digest {
        try add(Node(level: level, children: children).encode(), .node)
    }

    // MARK: Commit

    /// Commits one tree of one page.
    func commit(page: [UInt8], firstPath: [UInt8], entries: UInt64) throws {
        let id = try add(page, .page)
        try commit(root: try node(1, [NodeChild(firstPath: firstPath, id: id, entries: entries)]), entries: entries)
    }

    func commit(
        root: Digest, level: UInt8 = 1, entries count: UInt64 = 1, manifest change: (inout Manifest) -> Void = { _ in }
    ) throws {
        let footer = PackFooter.encode(entries)
        let total = PackFormat.paddedPack(pack.count + footer.count + PackFormat.trailerCount)
        let trailer = PackFooter.trailer(footer: footer, offset: pack.count, suite: vault.suite)
        let padding = total - pack.count - footer.count - PackFormat.trailerCount
        let bytes = pack + footer + [UInt8](repeating: 0, count: padding) + trailer
        try bytes.withBytes { (raw) throws(VaultError) in try vault.store.put(Manifest.packName(packID), raw) }
        let summary = PackSummary(
            pack: Manifest.Pack(
                id: packID, length: UInt64(bytes.count), digest: ObjectHasher.digest(of: bytes, suite: vault.suite)),
            entries: entries)
        let segment = IndexSegment.encode(domain: writer.domain, packs: [summary])
        var manifest = Manifest(session: opening.session)
        manifest.packs = [summary.pack]
        manifest.segments = [
            .init(object: try vault.store.putNamedByDigest("index", segment, vault.suite), replaced: [])
        ]
        manifest.references = try vault.store.putNamedByDigest(
            "refs", References(base: .zero).encode(), vault.suite)
        change(&manifest)
        var header = ArchiveHeader()
        header.policy = "lies"
        let commit = SessionCommit(
            session: opening.session,
            manifest: try vault.store.putNamedByDigest("manifests", manifest.encode(), vault.suite), root: root,
            level: level, entries: count, bytes: 0, header: try session.sealHeader(try header.encode()))
        try vault.log.append(signing: writer.signing, time: 2) { _ in .commit(commit) }
    }

    // MARK: Restoring

    /// What became of an attempt to restore everything: the report, or the error.
    func restore(verify: Bool = false) -> Result<RestoreReport, any Error> {
        Result {
            try RestoreTrees.run(
                RestoreTrees.Request(
                    archive: "latest", paths: [], target: targetPath, inPlace: false, dryRun: false, verify: verify,
                    conflict: .refuse), at: workplace)
        }
    }

    /// Everything below the root but the vault, the state and the target, with what it holds: must never change.
    func surroundings() throws -> [String] {
        let found = FileManager.default.enumerator(atPath: root.path)
        var lines: [String] = []
        while let name = found?.nextObject() as? String {
            if ["vault", "state", "target"].contains(where: { name == $0 || name.hasPrefix($0 + "/") }) { continue }
            let attributes = try FileManager.default.attributesOfItem(atPath: root.appending(path: name).path)
            let text = (try? String(contentsOf: root.appending(path: name), encoding: .utf8)) ?? ""
            let mode = attributes[.posixPermissions] as? Int ?? 0
            let time = attributes[.modificationDate] as? Date
            lines.append("\(name) \(mode) \(time?.timeIntervalSince1970 ?? 0) \(text)")
        }
        return lines.sorted()
    }
}

/// A page written by hand, field by field; the defaults make a small honest one.
struct HandmadePage {
    var chunks: [Digest] = []
    var chunkCount: UInt64?
    var ownerCount: UInt64 = 1
    var deviceCount: UInt64 = 1
    var entryCount: UInt64?
    private var body = ByteWriter()
    private var written: UInt64 = 0
    private var last: [UInt8] = []

    /// `shared` nil shares what can be shared with the path before, of which `suffix` is then the whole path.
    mutating func add(
        shared: UInt64? = nil, _ suffix: [UInt8], flags: UInt8 = 0, permissions: UInt64 = 0o644, owner: UInt64 = 0,
        device: UInt64 = 0, inode: Int64 = 1, nanoseconds: UInt64 = 0, links: UInt64? = nil,
        _ rest: (inout ByteWriter) -> Void = { _ in }
    ) {
        written += 1
        let common = zip(last, suffix).prefix { $0 == $1 }.count
        body.varint(shared ?? UInt64(common))
        body.blob(shared == nil ? Array(suffix.dropFirst(common)) : suffix)
        last = suffix
        body.u8(flags | (links == nil ? 0 : 1 << 7))
        body.varint(permissions)
        body.varint(owner)
        body.varint(device)
        body.zigzag(inode)
        body.zigzag(0)
        body.varint(nanoseconds)
        body.zigzag(0)
        body.varint(0)
        if let links { body.varint(links) }
        rest(&body)
    }

    mutating func raw(_ bytes: [UInt8]) { body.raw(bytes) }

    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.u8(1)
        writer.varint(chunkCount ?? UInt64(chunks.count))
        for chunk in chunks { writer.digest(chunk) }
        writer.varint(ownerCount)
        if ownerCount == 1 { for _ in 0..<4 { writer.varint(0) } }
        writer.varint(deviceCount)
        if deviceCount == 1 { writer.varint(0) }
        writer.varint(entryCount ?? written)
        writer.raw(body.bytes)
        return writer.bytes
    }
}

extension LyingVault {
    /// A data chunk and its id.
    func data(_ text: String) throws -> Digest { try add(Array(text.utf8), .data) }

    func group(_ files: [String]) throws -> Digest {
        var writer = ByteWriter()
        writer.u32(UInt32(files.count))
        for file in files { writer.u32(UInt32(file.utf8.count)) }
        for file in files { writer.raw(Array(file.utf8)) }
        return try add(writer.bytes, .group)
    }
}

extension HandmadePage {
    /// A file of one chunk, which is said to have `length` bytes.
    mutating func addFile(_ path: String, chunk: UInt64 = 0, length: UInt64, links: UInt64? = nil, inode: Int64 = 1) {
        add(utf8(path), inode: inode, links: links) { writer in
            for number in [length, 1, length << 1, chunk] { writer.varint(number) }
        }
    }

    mutating func addMember(_ path: String, member: UInt64, length: UInt64) {
        add(utf8(path), flags: 1 << 6) { writer in for number in [length, 0, member] { writer.varint(number) } }
    }

    mutating func addLink(_ path: String, to target: [UInt8], links: UInt64? = nil, inode: Int64 = 1) {
        add(utf8(path), flags: 2, inode: inode, links: links) { $0.blob(target) }
    }
}
