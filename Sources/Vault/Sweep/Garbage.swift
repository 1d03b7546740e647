import Domain

// What lies in the store, and what of it one domain can do without.
//
// Invariants:
// 1. The store is listed before the log is read: what was named in between is seen as named.
// 2. Nobody condemns what is another domain's, whatever his manifests name: an object tells itself whose it is.
// 3. A pack that an archive names is garbage only when, by its own footer, no chunk in it is needed. Indexes, which a writer
//    makes, spare the look at packs that stay; they condemn none.
// 4. What no manifest names is garbage only when the session that wrote it has ended.

/// A sweep's view of the store. Remembers whose packs are, which never changes.
final class Garbage {
    private let vault: Vault
    /// Packs in the store, by id, with their lengths.
    private(set) var packs: [Digest: UInt64] = [:]
    /// Digests of the references and index segments in the store.
    private(set) var references: Set<Digest> = []
    private(set) var segments: Set<Digest> = []
    /// What was kept because it cannot be read, or is not what it should be.
    private(set) var problems: [Damage] = []
    /// Of packs, which are asked after again when the log went on.
    private var owners: [Digest: Owner] = [:]

    /// Whose an object is, as far as it says so.
    private struct Owner {
        var domain: Digest?
        var session: Digest?
    }

    /// Lists the store, then reads what was appended to the log.
    init(_ vault: Vault) throws(VaultError) {
        self.vault = vault
        for object in try vault.store.list("packs") {
            guard let id = Digest(hex: object.name.suffix(2 * Digest.byteCount)),
                Manifest.packName(id) == object.name
            else { continue }
            packs[id] = object.length
        }
        references = Set(try vault.store.list("refs").compactMap { Digest(hex: $0.name.dropFirst("refs/".count)) })
        segments = Set(try vault.store.list("index").compactMap { Digest(hex: $0.name.dropFirst("index/".count)) })
        try vault.log.refresh()
    }

    /// What a domain does not need as the log stands, less what was condemned before. `onStep` may throw to stop.
    func unneeded(
        in domain: Digest, _ needs: Needs, onStep: () throws(VaultError) -> Void
    ) throws(VaultError) -> SweepList {
        let own = try NamedObjects(by: domain, vault)
        let others = NamedObjects(besides: domain, vault)
        var list = SweepList(domain: domain)
        let settled = try vault.fates(of: domain)
        let candidates = Set(own.packs.keys).union(own.abandoned).union(packs.keys).filter {
            !own.running.contains($0) && (own.names($0) || !others.names($0)) && !needs.packs.contains($0)
                && !settled.condemned.contains($0) && !settled.deleted.contains($0)
        }
        for id in candidates.sorted() {
            try onStep()
            if try isGarbage(id, domain, own, others, needs) { list.packs.append(id) }
        }
        let before = try settledNames(in: domain, own)
        for id in Set(own.references.keys).union(references).subtracting(needs.references).subtracting(before).sorted()
        where others.references[id] == nil {
            let isNamed = own.references[id] != nil
            if try isGarbage(references: id, domain, isNamed: isNamed) { list.references.append(id) }
        }
        for id in Set(own.segments.keys).union(segments).subtracting(needs.segments).subtracting(before).sorted()
        where others.segments[id] == nil {
            let isNamed = own.segments[id] != nil
            if try isGarbage(segment: id, domain, isNamed: isNamed) { list.segments.append(id) }
        }
        return list
    }

    /// References and segments that were condemned or deleted and not named again since.
    private func settledNames(in domain: Digest, _ own: NamedObjects) throws(VaultError) -> Set<Digest> {
        var names: Set<Digest> = []
        for condemnation in vault.log.condemnations where condemnation.domain == domain {
            let list = try vault.sweepList(condemnation.deletion?.body.list ?? condemnation.list, of: domain)
            let number = condemnation.deletion?.number ?? condemnation.number
            names.formUnion(list.references.filter { own.references[$0] ?? 0 < number })
            names.formUnion(list.segments.filter { own.segments[$0] ?? 0 < number })
        }
        return names
    }

    private func isGarbage(
        _ id: Digest, _ domain: Digest, _ own: NamedObjects, _ others: NamedObjects, _ needs: Needs
    ) throws(VaultError) -> Bool {
        let name = Manifest.packName(id)
        return try keepingUnreadable(name) { () throws(VaultError) in
            if owners[id] == nil { owners[id] = try owner(of: name) }
            guard let owner = owners[id] else {
                // Gone already, and not missed: that is only noted, unless it may be another domain's that comes back.
                return own.names(id) && !others.names(id)
            }
            guard owner.domain == domain else {
                guard own.names(id) else { return false }
                throw .damaged("it is named by another domain than its own")
            }
            guard let pack = own.packs[id] else { return hasEnded(owner, domain) }
            let reader = try vault.store.open(name)
            let footer = try PackFooter.bytes(from: reader, length: pack.length, suite: vault.suite)
            defer { withExtendedLifetime(footer) {} }
            var isNeeded = false
            try PackFooter.forEach(in: footer.readable) { entry throws(VaultError) in
                isNeeded = isNeeded || needs.contains(entry.chunkID)
            }
            return !isNeeded
        }
    }

    private func isGarbage(
        references id: Digest, _ domain: Digest, isNamed: Bool
    ) throws(VaultError) -> Bool {
        let name = Manifest.referencesName(id)
        return try keepingUnreadable(name) { () throws(VaultError) in
            guard let owner = try owner(of: name) else { return isNamed }
            // Those of early writers tell no session.
            guard let session = owner.session, let known = vault.log.sessions[session] else { return isNamed }
            return known.opening.domain == domain && (isNamed || known.ending != .running)
        }
    }

    private func isGarbage(segment id: Digest, _ domain: Digest, isNamed: Bool) throws(VaultError) -> Bool {
        let name = Manifest.indexName(id)
        return try keepingUnreadable(name) { () throws(VaultError) in
            guard let owner = try owner(of: name) else { return isNamed }
            return owner.domain == domain
        }
    }

    private func hasEnded(_ owner: Owner, _ domain: Digest) -> Bool {
        guard let session = owner.session.flatMap({ vault.log.sessions[$0] }) else { return false }
        return session.opening.domain == domain && session.ending != .running
    }

    /// What cannot be read is kept and reported; a store that fails ends the sweep.
    private func keepingUnreadable(
        _ name: String, _ judge: () throws(VaultError) -> Bool
    ) throws(VaultError) -> Bool {
        do throws(VaultError) {
            return try judge()
        } catch {
            guard error.kind == .damaged else { throw error }
            let damage = Damage(object: name, reason: error.message)
            if !problems.contains(damage) { problems.append(damage) }
            return false
        }
    }

    // MARK: Whose an object is

    /// Nil when there is no such object.
    private func owner(of name: String) throws(VaultError) -> Owner? {
        let reader: any ObjectReader
        do throws(VaultError) {
            reader = try vault.store.open(name)
        } catch {
            guard error.code == .missingObject else { throw error }
            return nil
        }
        var start = [UInt8](repeating: 0, count: Int(min(reader.length, UInt64(PackFormat.headerCount))))
        try start.fill { (raw) throws(VaultError) in try reader.read(at: 0, into: raw) }
        return try start.withBytes { (raw) throws(VaultError) in try Self.owner(of: name, raw) }
    }

    private static func owner(
        of name: String, _ start: UnsafeRawBufferPointer
    ) throws(VaultError) -> Owner {
        if name.hasPrefix("packs/") {
            let header = try PackHeader(decoding: start)
            guard Manifest.packName(header.id) == name else {
                throw .damaged("it stands under the name of another pack")
            }
            return Owner(domain: header.domain, session: header.session)
        }
        if name.hasPrefix("refs/") { return Owner(domain: nil, session: try References.owner(of: start)) }
        return Owner(domain: try IndexSegment.domain(of: start), session: nil)
    }

    // MARK: Removal

    func removed(pack: Digest) { packs[pack] = nil }
    func removed(references id: Digest) { references.remove(id) }
    func removed(segment id: Digest) { segments.remove(id) }
}

/// What manifests name, by domain.
struct NamedObjects {
    /// Of archives, also disposed ones, as the first manifest describes them.
    var packs: [Digest: Manifest.Pack] = [:]
    /// Of checkpoints of sessions that came to nothing.
    var abandoned: Set<Digest> = []
    /// Of checkpoints of running sessions.
    var running: Set<Digest> = []
    /// With the number of the newest record that names them.
    var references: [Digest: UInt64] = [:]
    var segments: [Digest: UInt64] = [:]

    func names(_ pack: Digest) -> Bool {
        packs[pack] != nil || abandoned.contains(pack) || running.contains(pack)
    }

    /// Whether references or a segment were named by the record `number` or a later one.
    func has(_ id: Digest, since number: UInt64) -> Bool {
        references[id] ?? 0 >= number || segments[id] ?? 0 >= number
    }

    /// Fails when a manifest that counts cannot be read.
    init(by domain: Digest, _ vault: Vault) throws(VaultError) {
        for numbered in try vault.manifests(of: domain) { add(numbered) }
        for session in vault.log.sessions.values where session.opening.domain == domain {
            for reference in session.checkpoints {
                do throws(VaultError) {
                    add(try vault.manifest(reference), session.ending)
                } catch {
                    // Whatever it named stays: as unnamed packs of an ended session they are met all the same.
                    guard session.ending != .running else { throw error }
                }
            }
        }
    }

    /// What the other domains name. Their unreadable manifests are passed over: what they name tells itself whose it is.
    init(besides domain: Digest, _ vault: Vault) {
        for other in Set(vault.log.sessions.values.map(\.opening.domain)) where other != domain {
            for numbered in (try? vault.manifests(of: other)) ?? [] { add(numbered) }
        }
        for session in vault.log.sessions.values where session.opening.domain != domain {
            for reference in session.checkpoints {
                if let manifest = try? vault.manifest(reference) { add(manifest, session.ending) }
            }
        }
    }

    private mutating func add(_ numbered: Vault.NumberedManifest) {
        for pack in numbered.manifest.packs where packs[pack.id] == nil { packs[pack.id] = pack }
        if let found = numbered.manifest.references { references[found.digest] = numbered.number }
        for segment in numbered.manifest.segments { segments[segment.object.digest] = numbered.number }
    }

    private mutating func add(_ manifest: Manifest, _ ending: SessionRecord.Ending) {
        if ending == .running {
            running.formUnion(manifest.packs.map(\.id))
        } else {
            abandoned.formUnion(manifest.packs.map(\.id))
        }
    }
}
