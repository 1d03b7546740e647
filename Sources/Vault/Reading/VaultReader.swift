package import Domain

/// A vault that was opened with a reading key: opens sessions, headers and chunks of every domain.
///
/// SAFETY: the caches are touched inside `monitor.locked`; what they hold is immutable. A log is read to its end before
/// others can see it, and no reader appends to it.
package final class VaultReader: @unchecked Sendable {
    package let vault: Vault
    /// The vault as it was when something was missing that the log of `vault` names: a sweep went on beside this reader, and
    /// chunks may lie in packs of sessions that began since.
    private var later: Vault?
    private let unlocked: UnlockedReader
    private let monitor = Monitor()
    private var domains: [DomainKey: OpenDomain] = [:]
    private var indexes: [Digest: Index] = [:]
    private var sessions: [Digest: SessionKey] = [:]
    private var packs: [Digest: OpenedPack] = [:]
    let groups = GroupCache()
    private static let openPackLimit = 128

    private struct DomainKey: Hashable {
        var id: Digest
        var generation: UInt32
    }

    struct OpenDomain: Sendable {
        var secrets: DomainSecrets
        var identities: SealingPool.Identities
    }

    /// A pack ready to be read.
    struct OpenedPack: Sendable {
        var reader: any ObjectReader
        var header: PackHeader
        var session: SessionKey
    }

    package init(vault: Vault, unlocked: UnlockedReader) {
        self.vault = vault
        self.unlocked = unlocked
    }

    package func header(of archive: ArchiveRecord) throws(VaultError) -> ArchiveHeader {
        let key = try sessionKey(archive.opening.session)
        return try ArchiveHeader(decoding: try key.openHeader(archive.commit.header))
    }

    func domain(_ id: Digest, generation: UInt32) throws(VaultError) -> OpenDomain {
        let key = DomainKey(id: id, generation: generation)
        return try monitor.locked { () throws(VaultError) in
            if let known = domains[key] { return known }
            let secrets = try (later ?? vault).openDomain(id, generation: generation, with: unlocked)
            var hashers: [IdentityHasher] = []
            for index in 0...UInt8(4) {
                let key = try KeyDerivation.identityKey(secrets.identity, vaultID: vault.vaultID, index: index)
                hashers.append(IdentityHasher(suite: vault.suite, key: key))
            }
            let opened = OpenDomain(secrets: secrets, identities: SealingPool.Identities(hashers: hashers))
            domains[key] = opened
            return opened
        }
    }

    func sessionKey(_ session: Digest) throws(VaultError) -> SessionKey {
        if let known = monitor.locked({ sessions[session] }) { return known }
        guard let opening = monitor.locked({ (later ?? vault).log.sessions[session]?.opening }) else {
            throw .damaged("a pack belongs to a session that the log does not know")
        }
        let domain = try domain(opening.domain, generation: opening.generation)
        let bytes = try vault.store.object(
            "keyrings/\(opening.keyring.digest.hex)", opening.keyring, limit: 4096, vault.suite)
        let keyring = try Keyring.decode(bytes)
        guard keyring.sessionID == session, keyring.vaultID == vault.vaultID, keyring.domainID == opening.domain,
            keyring.generation == opening.generation
        else { throw .damaged("the keyring of a session belongs to another") }
        let key = try keyring.open(with: domain.secrets, commitment: opening.commitment)
        monitor.locked { sessions[session] = key }
        return key
    }

    func pack(_ id: Digest) throws(VaultError) -> OpenedPack {
        if let known = monitor.locked({ packs[id] }) { return known }
        let reader = try vault.store.open(Manifest.packName(id))
        let raw = RawBuffer(count: PackFormat.headerCount)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: raw.bytes[..<PackFormat.headerCount])
        try reader.read(at: 0, into: bytes)
        let header = try PackHeader(decoding: UnsafeRawBufferPointer(bytes))
        guard header.id == id else { throw .damaged("a pack stands under the name of another") }
        let opened = OpenedPack(reader: reader, header: header, session: try sessionKey(header.session))
        monitor.locked {
            if packs.count >= Self.openPackLimit, let old = packs.keys.first { packs[old] = nil }
            packs[id] = opened
        }
        return opened
    }

    /// Fails when no index of the archive's domain names the chunk.
    package func checkPresence(of chunk: Digest, in archive: ArchiveRecord) throws(VaultError) {
        _ = try location(of: chunk, in: archive.opening.domain)
    }

    func location(of chunk: Digest, in domain: Digest) throws(VaultError) -> ChunkLocation {
        let index = try monitor.locked { () throws(VaultError) in
            if let known = indexes[domain] { return known }
            var loaded: Index
            do throws(VaultError) {
                loaded = try Index(later ?? vault, domain)
                // What is not there beside a lost manifest may also have been swept since the log was read.
                if loaded.lacksSegment, later == nil { loaded = try Index(try laterVault(), domain) }
            } catch {
                guard later == nil, error.kind == .damaged else { throw error }
                loaded = try Index(try laterVault(), domain)
            }
            indexes[domain] = loaded
            return loaded
        }
        if let found = index.find(chunk) { return found }
        if let lost = index.lostManifests.first {
            let more = index.lostManifests.count > 1 ? " and \(index.lostManifests.count - 1) more manifests" : ""
            throw VaultError(
                .missingObject, "chunk \(chunk) is in no index that can be found: \(lost)\(more) cannot be read",
                hint: "Restore that object from the mirror or another copy of the vault; `qala verify` names all.")
        }
        throw VaultError(
            .missingObject, "chunk \(chunk) is in no index",
            hint: "Run `qala vault rebuild-index`, then `qala verify`.")
    }

    /// Reads the index of a domain as the log is now: a sweep may have removed a pack that held a copy of a chunk. False when it was
    /// read again before, so that what is really missing fails.
    func reloadIndex(of domain: Digest, insteadOf stale: ChunkLocation, for chunk: Digest) throws(VaultError) -> Bool {
        try monitor.locked { () throws(VaultError) in
            if let known = indexes[domain]?.find(chunk), known != stale { return true }
            let fresh = try Index(try laterVault(), domain)
            indexes[domain] = fresh
            return fresh.find(chunk).map { $0 != stale } ?? false
        }
    }

    /// Call it inside `monitor.locked`.
    private func laterVault() throws(VaultError) -> Vault {
        let read = try vault.reopened()
        later = read
        return read
    }

    /// The segments of a domain, less what was deleted.
    private struct Index: Sendable {
        let segments: [IndexSegment]
        let deleted: Set<Digest>
        let lostManifests: [String]
        let lacksSegment: Bool

        init(_ vault: Vault, _ domain: Digest) throws(VaultError) {
            let found = try vault.findableSegments(of: domain)
            segments = found.segments.map(\.segment)
            lostManifests = found.lostManifests
            lacksSegment = found.lacksSegment
            // Segments since a deletion leave out what it took, so a list that is lost costs no archive.
            deleted = (try? vault.fates(of: domain).deleted) ?? []
        }

        func find(_ chunk: Digest) -> ChunkLocation? {
            for segment in segments {
                if let found = segment.find(chunk), !deleted.contains(found.pack) { return found }
            }
            return nil
        }
    }
}

/// Reads chunks of one domain; one thread's own.
package final class ChunkReader {
    private let reader: VaultReader
    private let domain: Digest
    private let identities: SealingPool.Identities
    private let cipher: RecordCipher
    private let decompressor: Decompressor
    private var record = RawBuffer(count: 1 << 20)
    private var unpacked = RawBuffer(count: 2 << 20)

    package convenience init(_ reader: VaultReader, for archive: ArchiveRecord) throws(VaultError) {
        try self.init(reader, domain: archive.opening.domain, generation: archive.opening.generation)
    }

    init(_ reader: VaultReader, domain: Digest, generation: UInt32) throws(VaultError) {
        self.reader = reader
        self.domain = domain
        identities = try reader.domain(domain, generation: generation).identities
        cipher = try RecordCipher()
        decompressor = try Decompressor()
    }

    /// The plaintext of a chunk, checked against its id; valid until the next call.
    func read(_ id: Digest, _ kind: ChunkKind) throws(VaultError) -> UnsafeRawBufferPointer {
        let location = try reader.location(of: id, in: domain)
        do throws(VaultError) {
            return try read(id, kind, at: location)
        } catch {
            guard error.code == .missingObject,
                try reader.reloadIndex(of: domain, insteadOf: location, for: id)
            else { throw error }
        }
        return try read(id, kind, at: try reader.location(of: id, in: domain))
    }

    private func read(
        _ id: Digest, _ kind: ChunkKind, at location: ChunkLocation
    ) throws(VaultError) -> UnsafeRawBufferPointer {
        let pack = try reader.pack(location.pack)
        guard pack.header.domain == domain else { throw .damaged("a chunk lies in a pack of another domain") }
        let count = PackFormat.recordHeaderCount + Int(location.storedLength) + PackFormat.tagCount
        guard Int(location.storedLength) <= PackFormat.storedLimit else {
            throw .damaged("the index gives a chunk more bytes than the format allows")
        }
        if record.bytes.count < count { record = RawBuffer(count: count) }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: record.bytes[..<count])
        try pack.reader.read(at: location.offset, into: bytes)
        return try open(bytes, pack: pack, expecting: id, kind, slot: location.slot)
    }

    /// Opens one record in place and checks that it is the chunk that was asked for.
    func open(
        _ bytes: UnsafeMutableRawBufferPointer, pack: VaultReader.OpenedPack, expecting id: Digest, _ kind: ChunkKind,
        slot: UInt32
    ) throws(VaultError) -> UnsafeRawBufferPointer {
        let headerCount = PackFormat.recordHeaderCount
        let header = try RecordHeader(decoding: UnsafeRawBufferPointer(rebasing: bytes[..<headerCount]))
        let storedLength = bytes.count - headerCount - PackFormat.tagCount
        guard header.chunkID == id, header.kind == kind, header.slot == slot, Int(header.storedLength) == storedLength
        else { throw .damaged("record \(slot) of pack \(pack.header.id) is not the one its index names") }
        let label = RecordLabel(
            packID: pack.header.id, slot: slot, kind: kind.rawValue, codec: header.codec.rawValue,
            storedLength: header.storedLength, chunkID: id)
        let sealed = UnsafeRawBufferPointer(rebasing: bytes[headerCount...])
        let payload = UnsafeMutableRawBufferPointer(rebasing: bytes[headerCount..<headerCount + storedLength])
        try cipher.open(sealed, into: payload, label: label, session: pack.session, commitment: header.commitment)
        let needed = try RecordPayload.plainCount(UnsafeRawBufferPointer(payload))
        if unpacked.bytes.count < needed { unpacked = RawBuffer(count: needed) }
        let plain = try RecordPayload.unpack(
            UnsafeRawBufferPointer(payload), codec: header.codec.rawValue, into: unpacked, with: decompressor)
        guard identities[kind].identity(of: plain) == id else {
            throw .damaged("chunk \(id) does not have the content that its id names")
        }
        return plain
    }
}

/// A group's plaintext: the table of lengths and the members behind it.
package struct GroupView: Sendable {
    // SAFETY: points into `owner`, or into memory that its user keeps; read only.
    private nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    private let owner: RawBuffer?
    /// Start of each member and the end of the last.
    private let offsets: [Int]

    /// The bytes must live as long as the view: as part of `owner`, or because the caller sees to it.
    init(_ bytes: UnsafeRawBufferPointer, of owner: RawBuffer? = nil) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "a group")
        let count = Int(try reader.u32())
        guard count <= reader.remaining / 4 else { throw reader.malformed("its count is out of bounds") }
        var offsets = [4 + 4 * count]
        offsets.reserveCapacity(count + 1)
        for _ in 0..<count { offsets.append((offsets.last ?? 0) + Int(try reader.u32())) }
        guard offsets.last == bytes.count else { throw reader.malformed("its lengths do not fit") }
        self.bytes = bytes
        self.owner = owner
        self.offsets = offsets
    }

    var count: Int { offsets.count - 1 }
    var lengths: [Int] { zip(offsets.dropFirst(), offsets).map { $0 - $1 } }
    var firstOffset: Int { offsets[0] }

    /// Valid as long as the view is kept (`withExtendedLifetime`).
    package func member(_ index: Int) throws(VaultError) -> UnsafeRawBufferPointer {
        guard index >= 0, index < count else { throw .damaged("a group has no member \(index)") }
        return UnsafeRawBufferPointer(rebasing: bytes[offsets[index]..<offsets[index + 1]])
    }
}

/// The groups that were opened last, shared by the threads of a restore, of which one opens a group for all.
///
/// SAFETY: everything mutable is touched inside `monitor.locked`.
final class GroupCache: @unchecked Sendable {
    /// Groups hold up to 1.5 MiB each.
    private static let limit = 20
    private let monitor = Monitor()
    private var groups: [Digest: GroupView] = [:]
    private var order: [Digest] = []
    private var inOpening: Set<Digest> = []

    /// `open` is called where no thread has opened the group, or the one that tried could not.
    func group(_ id: Digest, _ open: () throws(VaultError) -> GroupView) throws(VaultError) -> GroupView {
        let known = monitor.locked {
            while inOpening.contains(id) { monitor.wait() }
            let found = find(id)
            if found == nil { inOpening.insert(id) }
            return found
        }
        if let known { return known }
        defer {
            monitor.locked {
                inOpening.remove(id)
                monitor.wakeAll()
            }
        }
        let group = try open()
        monitor.locked { insert(id, group) }
        return group
    }

    private func find(_ id: Digest) -> GroupView? {
        guard let found = groups[id] else { return nil }
        if order.last != id, let at = order.lastIndex(of: id) {
            order.remove(at: at)
            order.append(id)
        }
        return found
    }

    private func insert(_ id: Digest, _ group: GroupView) {
        groups[id] = group
        order.append(id)
        if order.count > Self.limit { groups[order.removeFirst()] = nil }
    }
}

extension ChunkReader {
    func memberIDs(_ group: GroupView, _ plain: UnsafeRawBufferPointer) throws(VaultError) -> [Digest] {
        var ids: [Digest] = []
        identities.member.identities(
            of: UnsafeRawBufferPointer(rebasing: plain[group.firstOffset...]), lengths: group.lengths, into: &ids)
        return ids
    }

    /// A group of small files. The last few are kept: files in order of their paths come back to the same groups.
    package func group(_ id: Digest) throws(VaultError) -> GroupView {
        try reader.groups.group(id) { () throws(VaultError) in
            let bytes = try read(id, .group)
            let copy = RawBuffer(count: bytes.count)
            copy.bytes.copyMemory(from: bytes)
            return try GroupView(copy.slice(0..<bytes.count), of: copy)
        }
    }

    /// No chunk of data is longer, in bytes.
    package static var dataLimit: Int { PackFormat.chunkLimit }

    /// Whether bytes are what a chunk of data holds: told by its identity, without reading it.
    package func isData(_ id: Digest, _ bytes: UnsafeRawBufferPointer) -> Bool {
        identities[.data].identity(of: bytes) == id
    }

    package func data(_ id: Digest, length: UInt64) throws(VaultError) -> UnsafeRawBufferPointer {
        let bytes = try read(id, .data)
        guard UInt64(bytes.count) == length else { throw .damaged("chunk \(id) does not have its length") }
        return bytes
    }
}
