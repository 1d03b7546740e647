import Domain
import Glibc

/// The first line of a pack.
struct AuditPackHeader {
    /// An earlier checkpoint and the proof that the pack's one continues it.
    struct Link {
        var checkpoint: AuditCheckpoint
        var consistency: [Digest]
    }

    /// Bytes of the longest first line: 17 checkpoints with their proofs, and 128 hashes.
    static let maximumBytes = 1 << 20
    static let maximumProof = 128
    static let maximumKeys = 16

    var keys: [AuditKey]
    var range: Range<UInt64>
    var proof: [Digest]
    var checkpoint: AuditCheckpoint
    var since: Link?
    var cosigned: [Link] = []

    var line: [UInt8] {
        var out = AuditWriter()
        out.raw("{\"pack\":\"\(AuditParts.formatLine)\",\"keys\":")
        out.list(keys.map(\.text))
        out.raw(",\"first\":\(range.lowerBound),\"count\":\(range.upperBound - range.lowerBound),\"proof\":")
        out.list(proof.map { Base64.encode($0.bytes) })
        out.member("checkpoint", Self.text(checkpoint))
        out.member("since", since.map { Self.text($0.checkpoint) } ?? "")
        out.raw(",\"consistency\":")
        out.list(since?.consistency.map { Base64.encode($0.bytes) } ?? [])
        out.raw(",\"cosigned\":[")
        for (at, link) in cosigned.enumerated() {
            out.raw(at > 0 ? ",{\"checkpoint\":" : "{\"checkpoint\":")
            out.text(Self.text(link.checkpoint))
            out.raw(",\"consistency\":")
            out.list(link.consistency.map { Base64.encode($0.bytes) })
            out.raw("}")
        }
        out.raw("]}")
        return out.bytes
    }

    private static func text(_ checkpoint: AuditCheckpoint) -> String {
        String(decoding: checkpoint.note, as: UTF8.self)
    }

    /// Nil for any line that ``line`` does not make.
    init?(line: [UInt8]) {
        var reader = AuditScanner(line)
        guard reader.skip("{\"pack\":\"qala-audit 1\",\"keys\":"), let keyTexts = reader.list(upTo: Self.maximumKeys),
            !keyTexts.isEmpty, reader.skip(",\"first\":"), let first = reader.number(), reader.skip(",\"count\":"),
            let count = reader.number(), (1...AuditEntry.limit).contains(count), first < AuditEntry.limit,
            reader.skip(",\"proof\":"), let proof = Self.digests(&reader), reader.skip(",\"checkpoint\":"),
            let checkpoint = Self.checkpoint(&reader), reader.skip(",\"since\":")
        else { return nil }
        var since: AuditCheckpoint?
        if !reader.skip("\"\"") {
            since = Self.checkpoint(&reader)
            guard since != nil else { return nil }
        }
        guard reader.skip(",\"consistency\":"), let consistency = Self.digests(&reader),
            since != nil || consistency.isEmpty, reader.skip(",\"cosigned\":[")
        else { return nil }
        if !reader.skip("]") {
            repeat {
                guard cosigned.count < AuditCheckpoint.maximumSignatures, reader.skip("{\"checkpoint\":"),
                    let other = Self.checkpoint(&reader), reader.skip(",\"consistency\":"),
                    let path = Self.digests(&reader), reader.skip("}")
                else { return nil }
                cosigned.append(Link(checkpoint: other, consistency: path))
            } while reader.skip(",")
            guard reader.skip("]") else { return nil }
        }
        guard reader.skip("}"), reader.isAtEnd else { return nil }
        keys = keyTexts.compactMap { AuditKey($0) }
        guard keys.count == keyTexts.count, keys.allSatisfy({ $0.kind == .log }) else { return nil }
        range = first..<first + count
        self.proof = proof
        self.checkpoint = checkpoint
        self.since = since.map { Link(checkpoint: $0, consistency: consistency) }
    }

    init(keys: [AuditKey], range: Range<UInt64>, proof: [Digest], checkpoint: AuditCheckpoint) {
        self.keys = keys
        self.range = range
        self.proof = proof
        self.checkpoint = checkpoint
    }

    private static func checkpoint(_ reader: inout AuditScanner) -> AuditCheckpoint? {
        reader.text().flatMap { AuditCheckpoint(note: Array($0.utf8)) }
    }

    private static func digests(_ reader: inout AuditScanner) -> [Digest]? {
        guard let texts = reader.list(upTo: maximumProof) else { return nil }
        let digests = texts.compactMap { Base64.decode($0).flatMap { Digest($0) } }
        return digests.count == texts.count ? digests : nil
    }
}

/// What a pack that holds together says.
package struct AuditPack: Sendable {
    package var range: Range<UInt64>
    package var checkpoint: AuditCheckpoint
    /// The key that signed the checkpoint.
    package var key: AuditKey
    package var since: AuditCheckpoint?
    package var cosigned: [AuditCheckpoint]

    /// Verifies a pack; `body` gets each entry before the whole is proven, so nothing may be believed until this
    /// returns. With `trust` the log and its key are compared, and `since`, a checkpoint from elsewhere, must be continued; without,
    /// the pack is shown only to agree with itself. Memory does not grow with the pack.
    package static func verify(
        path: String, trust: AuditTrust? = nil, since: AuditCheckpoint? = nil,
        calls: any FileSystemCalls = LinuxCalls.shared, _ body: (AuditEntry) throws(VaultError) -> Void = { _ in }
    ) throws(VaultError) -> AuditPack {
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        let store = try LocalStore(path: (path.utf8.first == 0x2F ? "/" : "./") + parent, calls: calls)
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        guard let file = try AuditFile.existing(name, in: [], of: store) else {
            throw VaultError(.notFound, "there is no file \(path)", hint: "Check the path.")
        }
        var lines = AuditLines(file)
        guard let first = try lines.next(upTo: AuditPackHeader.maximumBytes), first.isWhole,
            let header = AuditPackHeader(line: first.bytes)
        else { throw damage("\(path) does not begin as a pack of an audit log does") }
        let key = try check(header, trust, since)

        guard header.range.upperBound <= header.checkpoint.size else {
            throw damage("the pack has entries past its checkpoint")
        }
        var number = header.range.lowerBound
        let root = try Merkle.root(
            of: header.checkpoint.size, range: header.range, proof: header.proof
        ) { () throws(VaultError) in
            guard let line = try lines.next(), line.isWhole, let entry = AuditEntry(line: line.bytes) else {
                throw damage("entry \(number) is malformed or missing in the pack")
            }
            guard entry.number == number else {
                throw damage("entry \(entry.number) stands in the pack where \(number) should")
            }
            try body(entry)
            number += 1
            return Merkle.leaf(line.bytes)
        }
        guard try lines.next() == nil else { throw damage("more follows the last entry of the pack") }
        guard root == header.checkpoint.root else {
            throw damage("the entries of the pack are not those that were signed")
        }
        return AuditPack(
            range: header.range, checkpoint: header.checkpoint, key: key, since: header.since?.checkpoint,
            cosigned: header.cosigned.map(\.checkpoint))
    }

    /// Returns the key that signed.
    private static func check(
        _ header: AuditPackHeader, _ trust: AuditTrust?, _ since: AuditCheckpoint?
    ) throws(VaultError) -> AuditKey {
        let checkpoint = header.checkpoint
        guard let key = header.keys.first, checkpoint.isSigned(by: key),
            key.name.utf8.elementsEqual(checkpoint.origin.utf8)
        else { throw damage("the checkpoint of the pack is not signed by its first key") }
        if let trust, !checkpoint.isValid(for: trust) { throw AuditCheckpoint.notSigned(origin: trust.origin) }
        for link in header.cosigned + [header.since].compactMap({ $0 }) {
            let isSigned =
                trust.map { link.checkpoint.isValid(for: $0) }
                ?? header.keys.contains { link.checkpoint.isSigned(by: $0) }
            guard isSigned else { throw damage("a checkpoint in the pack is not signed by a key of the log") }
            try checkpoint.follows(link.checkpoint, consistency: link.consistency)
        }
        if let since {
            guard let own = header.since?.checkpoint, own.size == since.size, own.root == since.root,
                own.origin.utf8.elementsEqual(since.origin.utf8)
            else {
                throw VaultError(
                    .rolledBack,
                    "the pack does not continue the checkpoint of size \(since.size) that it was compared with",
                    hint: "Ask for a pack since that checkpoint; if none can be made, the log was changed.")
            }
        }
        return key
    }

    private static func damage(_ message: String) -> VaultError {
        .damaged(message, hint: "Ask for a new pack; if it fails again, verify the log on its host.")
    }
}

/// A new file beside the place of a pack, renamed to it when it is whole.
final class PackOutput {
    private let store: LocalStore
    private let name: String
    private let temporary: String
    private let file: AuditFile
    private var buffer: [UInt8] = []
    private var offset: UInt64 = 0
    private var isFinished = false

    init(name: String, in directory: String, calls: any FileSystemCalls) throws(VaultError) {
        store = try LocalStore(path: directory, calls: calls)
        guard !name.isEmpty, name != ".", name != ".." else {
            throw VaultError(.invalidInput, "a pack needs the name of a file", hint: "Name a file, not a directory.")
        }
        self.name = name
        temporary = ".\(name).\(Hex.encode(calls.random())).new"
        file = try AuditFile.opening(temporary, in: [], of: store)
    }

    deinit {
        if !isFinished { _ = store.calls.unlink(temporary, in: store.root.number) }
    }

    func append(_ bytes: [UInt8]) throws(VaultError) {
        buffer += bytes
        if buffer.count >= 1 << 18 { try flush() }
    }

    private func flush() throws(VaultError) {
        try file.write(buffer, at: offset)
        offset += UInt64(buffer.count)
        buffer.removeAll(keepingCapacity: true)
    }

    func finish() throws(VaultError) {
        try flush()
        try file.sync()
        let root = store.root.number
        let result = LocalStore.retrying {
            store.calls.rename(temporary, in: root, to: name, in: root, exclusive: false)
        }
        guard result == 0 else { throw .system(-result, "create \(name)", in: store.describe) }
        isFinished = true
        try store.syncDirectory(store.root, [])
    }
}
