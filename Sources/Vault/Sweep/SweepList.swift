package import Domain

/// What a condemn or delete record lists: names of objects of one domain, ascending. See `docs/format.md` §4.
package struct SweepList: Sendable, Equatable {
    static let limit = 1 << 20
    static let byteLimit = 128 << 20
    private static let magic = Array("QALASWEP".utf8)

    package var domain: Digest
    package var packs: [Digest] = []
    package var references: [Digest] = []
    package var segments: [Digest] = []

    init(domain: Digest) { self.domain = domain }

    package var isEmpty: Bool { packs.isEmpty && references.isEmpty && segments.isEmpty }

    static func objectName(_ digest: Digest) -> String { "sweeps/\(digest.hex)" }

    /// Names of the objects in the store.
    var objectNames: [String] {
        packs.map(Manifest.packName) + references.map(Manifest.referencesName) + segments.map(Manifest.indexName)
    }

    /// As much as one record lists; the next sweep takes the rest.
    var cut: SweepList {
        var part = self
        part.packs = Array(packs.sorted().prefix(Self.limit))
        part.references = Array(references.sorted().prefix(Self.limit))
        part.segments = Array(segments.sorted().prefix(Self.limit))
        return part
    }

    /// What of this list is not needed.
    func less(_ needs: Needs) -> SweepList {
        var rest = self
        rest.packs.removeAll { needs.packs.contains($0) }
        rest.references.removeAll { needs.references.contains($0) }
        rest.segments.removeAll { needs.segments.contains($0) }
        return rest
    }

    func encode() throws(VaultError) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Self.magic)
        writer.u8(1)
        writer.digest(domain)
        for list in [packs, references, segments] {
            guard list.count <= Self.limit else {
                throw VaultError(.limit, "a sweep of \(list.count) objects exceeds the limit of \(Self.limit)")
            }
            writer.varint(UInt64(list.count))
            for id in list.sorted() { writer.digest(id) }
        }
        return writer.bytes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "a sweep list")
        guard try reader.take(8).elementsEqual(Self.magic), try reader.u8() == 1 else {
            throw reader.malformed("it does not start as one")
        }
        domain = try reader.digest()
        func list() throws(VaultError) -> [Digest] {
            var list: [Digest] = []
            for _ in 0..<(try reader.varint(upTo: min(Self.limit, reader.remaining / Digest.byteCount))) {
                let id = try reader.digest()
                guard list.last.map({ $0 < id }) ?? true else { throw reader.malformed("it is not in order") }
                list.append(id)
            }
            return list
        }
        packs = try list()
        references = try list()
        segments = try list()
        try reader.expectEnd()
    }
}

/// Which packs of a domain a record of the log may no longer count on.
struct PackFates {
    var condemned: Set<Digest> = []
    var deleted: Set<Digest> = []
    var isEmpty: Bool { condemned.isEmpty && deleted.isEmpty }
}

extension Vault {
    /// Reads the list for a domain that a record names; each once.
    func sweepList(_ reference: ObjectReference, of domain: Digest) throws(VaultError) -> SweepList {
        let list = try sweepList(reference)
        guard list.domain == domain else { throw .damaged("a sweep list belongs to another domain") }
        return list
    }

    func sweepList(_ reference: ObjectReference) throws(VaultError) -> SweepList {
        if let known = sweepLists[reference.digest] { return known }
        let bytes = try store.object(
            SweepList.objectName(reference.digest), reference, limit: SweepList.byteLimit, suite)
        let list = try bytes.withBytes { (raw) throws(VaultError) in try SweepList(decoding: raw) }
        sweepLists[reference.digest] = list
        return list
    }

    /// What had become of a domain's packs when the log had `count` records.
    func fates(of domain: Digest, at count: UInt64) throws(VaultError) -> PackFates {
        var fates = PackFates()
        for condemnation in log.condemnations where condemnation.domain == domain && condemnation.number < count {
            if let deletion = condemnation.deletion, deletion.number < count {
                fates.deleted.formUnion(try sweepList(deletion.body.list, of: domain).packs)
            } else {
                fates.condemned.formUnion(try sweepList(condemnation.list, of: domain).packs)
            }
        }
        return fates
    }

    func fates(of domain: Digest) throws(VaultError) -> PackFates { try fates(of: domain, at: log.count) }

    /// Packs to which a running session must not refer: deleted ones, and those condemned before it.
    func absentPacks(for session: Digest, in domain: Digest) throws(VaultError) -> Set<Digest> {
        var fates = try fates(of: domain)
        if let age = log.sessions[session]?.age {
            fates.condemned = try self.fates(of: domain, at: age).condemned.intersection(fates.condemned)
        }
        return fates.deleted.union(fates.condemned)
    }

    /// The packs that archives, also disposed ones, named and that were not deleted.
    package func storedPacks() throws(VaultError) -> Set<Manifest.Pack> {
        var packs: Set<Manifest.Pack> = []
        for domain in Set(log.committed.map(\.opening.domain)) {
            let deleted = try fates(of: domain).deleted
            for numbered in try manifests(of: domain) {
                packs.formUnion(numbered.manifest.packs.filter { !deleted.contains($0.id) })
            }
        }
        return packs
    }
}
