import Domain
import TestSupport
import Testing

@testable import Vault

/// Makes records and objects as a writer might who keeps no rule but those that the log enforces.
struct SweepForger {
    let vault: Vault
    let writer: WriterIdentity

    init(_ vault: Vault) throws {
        self.vault = vault
        writer = try vault.writer()
    }

    func open() throws -> Digest {
        let session = Random.digest()
        let keyring = try vault.store.putNamedByDigest("keyrings", session.bytes, vault.suite)
        let opening = SessionOpening(
            session: session, domain: writer.domain, generation: 1, keyring: keyring, commitment: .zero, resumes: .zero)
        try vault.log.append(signing: writer.signing, time: 1) { _ in .open(opening) }
        return session
    }

    /// A pack whose footer lists these chunks, which it does not hold.
    func pack(_ session: Digest, _ ids: [Digest]) throws -> PackSummary {
        let id = Random.digest()
        var bytes = PackHeader(id: id, session: session, domain: writer.domain).encode()
        var entries: [PackEntry] = []
        for (slot, chunk) in ids.enumerated() {
            entries.append(
                PackEntry(
                    offset: UInt64(bytes.count), storedLength: 64, kind: .data, codec: .raw, slot: UInt32(slot),
                    chunkID: chunk))
        }
        let footer = PackFooter.encode(entries)
        let trailer = PackFooter.trailer(footer: footer, offset: bytes.count, suite: vault.suite)
        bytes += footer + trailer
        try vault.store.put(Manifest.packName(id), bytes)
        let digest = ObjectHasher.digest(of: bytes, suite: vault.suite)
        return PackSummary(pack: .init(id: id, length: UInt64(bytes.count), digest: digest), entries: entries)
    }

    func segment(_ packs: [PackSummary]) throws -> ObjectReference {
        let bytes = IndexSegment.encode(domain: writer.domain, packs: packs)
        return try vault.store.putNamedByDigest("index", bytes, vault.suite)
    }

    func references(_ session: Digest, _ page: Digest, _ chunks: [Digest]) throws -> ObjectReference {
        var references = References(base: .zero)
        references.dropped = [session]
        references.pages = [.init(id: page, chunks: chunks)]
        return try vault.store.putNamedByDigest("refs", references.encode(), vault.suite)
    }

    /// The archive's record; it cannot be read.
    func commit(_ session: Digest, _ manifest: Manifest, root: Digest) throws -> ArchiveRecord {
        let reference = try vault.store.putNamedByDigest("manifests", manifest.encode(), vault.suite)
        let commit = SessionCommit(
            session: session, manifest: reference, root: root, level: 1, entries: 1, bytes: 0, header: [])
        try vault.log.append(signing: writer.signing, time: 1) { _ in .commit(commit) }
        return try #require(vault.log.committed.last)
    }
}

@Suite("Sweeps of damaged vaults, and beside hostile writers")
struct SweepDamageTests {
    private struct TwoHosts {
        let store = MemoryStore()
        let world: SweepWorld
        let first: ArchiveRecord
        let second: ArchiveRecord
        /// Disposed of.
        let gone: [ArchiveRecord]

        init() throws {
            world = try SweepWorld(store, withOther: true)
            var tree = WorkloadTree(seed: 41)
            var gone = [try world.archive(tree), try world.archive(tree, at: world.other)]
            for _ in 0..<1 { tree.change() }
            gone += [
                try world.archive(WorkloadTree(seed: 42), 3),
                try world.archive(WorkloadTree(seed: 43), 3, at: world.other),
            ]
            first = try world.archive(tree)
            second = try world.archive(tree, at: world.other)
            try world.dispose(gone)
            self.gone = gone
        }

        func packs(_ archive: Int) throws -> Set<String> { try world.packs(of: gone[archive]) }
    }

    @Test("Two domains do not touch each other: each sweep takes what its own archives no longer need")
    func twoDomains() throws {
        let hosts = try TwoHosts()
        let report = try hosts.world.sweep()
        #expect(report.problems.isEmpty && report.deletedPacks > 4)
        try hosts.world.checkAll()
        #expect(try hosts.world.damage().isEmpty)
        for archive in [2, 3] { #expect(try hosts.world.names("packs").isDisjoint(with: try hosts.packs(archive))) }
        // A run of one host holds up nothing of the other.
        let run = try hosts.world.session(5, at: hosts.world.other)
        try hosts.world.dispose([hosts.first, hosts.second])
        let kept = try hosts.world.packs(of: hosts.second)
        let next = try hosts.world.sweep()
        #expect(next.waiting.map(\.session) == [run.id])
        #expect(try hosts.world.names("packs").isDisjoint(with: try hosts.world.packs(of: hosts.first)))
        #expect(try hosts.world.names("packs").isSuperset(of: kept))
        run.stop()
    }

    @Test("Where references are damaged or missing the domain is left alone and named, and the other one is swept")
    func references() throws {
        for isMissing in [false, true] {
            let hosts = try TwoHosts()
            let vault = try hosts.world.made.reopened()
            let references = try #require(try vault.manifest(hosts.first.commit.manifest).references)
            let name = Manifest.referencesName(references.digest)
            if isMissing { hosts.store.contents[name] = nil } else { hosts.store.contents[name]?[70] ^= 1 }
            try expectLeftAlone(hosts)
        }
    }

    private func expectLeftAlone(_ hosts: TwoHosts) throws {
        let domain = hosts.first.opening.domain.hex.prefix(16)
        let plan = try hosts.world.sweeper().plan()
        let report = try hosts.world.sweep()
        for found in [plan, report] { #expect(found.problems.map(\.object) == ["domain \(domain)"]) }
        #expect(report.deletedPacks > 0)
        #expect(try hosts.world.names("packs").isSuperset(of: try hosts.packs(2)))
        #expect(try hosts.world.names("packs").isDisjoint(with: try hosts.packs(3)))
        let vault = try hosts.world.made.reopened()
        #expect(vault.log.condemnations.allSatisfy { $0.domain == hosts.second.opening.domain })
    }

    @Test("A missing index segment is made again; where a footer that it needs is gone too the domain is left alone")
    func index() throws {
        for isPackLost in [false, true] {
            let hosts = try TwoHosts()
            let vault = try hosts.world.made.reopened()
            for segment in try vault.liveSegmentNames(of: hosts.first.opening.domain) {
                hosts.store.contents[Manifest.indexName(segment.object.digest)] = nil
            }
            hosts.world.made.place.remove { $0.contains("/index/") }
            guard isPackLost else {
                #expect(try hosts.world.sweep().problems.isEmpty)
                try hosts.world.checkAll()
                continue
            }
            let pack = try #require(try vault.manifest(hosts.first.commit.manifest).packs.first)
            let name = Manifest.packName(pack.id)
            hosts.store.contents[name]?[Int(pack.length) - 20] ^= 1
            try expectLeftAlone(hosts)
        }
    }

    @Test("A store that forges footers gets no index written that lacks a chunk")
    func forgedFooters() throws {
        let store = MemoryStore()
        let world = try SweepWorld(store)
        var tree = WorkloadTree(seed: 37)
        let first = try world.archive(tree)
        tree.change()
        try world.archive(tree)
        try world.dispose([first])
        let clean = store.contents
        let suite = try world.made.reopened().suite
        for (name, bytes) in clean where name.hasPrefix("packs/") {
            try store.put(
                name, try forgedFooter(bytes, suite) { $0[0].chunkID = Digest(words: (1, 2, 3, UInt64(bytes.count))) })
        }
        let report = try? world.sweep()
        #expect(report?.deletedPacks ?? 0 == 0)
        // The store gives the true ones back, as if nothing had been.
        for (name, bytes) in clean where name.hasPrefix("packs/") { try store.put(name, bytes) }
        try world.sweep()
        let place = try WorkloadPlace()
        try world.checkAll(try world.made.reopened(nil, place))
        withExtendedLifetime(place) {}
        #expect(try world.damage().isEmpty)
    }

    @Test("A chunk that no index knows stops the sweep of its domain")
    func unknownChunk() throws {
        let hosts = try TwoHosts()
        let forger = try SweepForger(try hosts.world.made.reopened())
        let session = try forger.open()
        var manifest = Manifest(session: session)
        manifest.references = try forger.references(session, Random.digest(), [])
        _ = try forger.commit(session, manifest, root: .zero)
        try expectLeftAlone(hosts)
    }

    @Test("A pack without a readable header, footer or owner is kept and named; one of an unknown run is kept")
    func unreadablePacks() throws {
        let store = MemoryStore()
        let world = try SweepWorld(store)
        let gone = try world.archive(WorkloadTree(seed: 44))
        try world.archive(WorkloadTree(seed: 45), 2)
        let forger = try SweepForger(try world.made.reopened())
        let session = try forger.open()
        let orphan = Manifest.packName(try forger.pack(session, []).pack.id)
        try forger.vault.log.append(signing: forger.writer.signing, time: 1) { _ in .abort(session: session) }
        let stranger = Manifest.packName(try forger.pack(Random.digest(), []).pack.id)
        store.contents[orphan]?[3] ^= 1
        try world.dispose([gone])
        let packs = try world.packs(of: gone).sorted()
        let length = try #require(store.contents[packs[0]]?.count)
        store.contents[packs[0]]?[length - 30] ^= 1
        store.contents[packs[1]]?[1] ^= 1
        let before = try world.names("packs")
        let report = try world.sweep()
        // Its segment cannot be made without that footer: the domain waits until the pack is repaired or taken away.
        #expect(report.problems.dropFirst().map(\.object).sorted() == [orphan, packs[0], packs[1]].sorted())
        #expect(report.problems.first?.reason.contains(packs[0]) == true)
        #expect(report.condemnedPacks == packs.count - 2 && report.deletedPacks == 0)
        #expect(try world.names("packs") == before)
        store.contents[packs[0]] = nil
        let next = try world.sweep()
        #expect(next.problems.map(\.object).sorted() == [orphan, packs[1]].sorted())
        #expect(next.deletedPacks == packs.count - 2)
        #expect(try world.names("packs").isSuperset(of: [orphan, stranger, packs[1]]))
        try world.checkAll()
    }

    @Test("A pack that is gone already and that nobody needs is noted, so that checks find nothing")
    func missingPack() throws {
        let store = MemoryStore()
        let world = try SweepWorld(store)
        let gone = try world.archive(WorkloadTree(seed: 46))
        try world.archive(WorkloadTree(seed: 47), 2)
        store.contents[try #require(try world.packs(of: gone).first)] = nil
        #expect(try world.damage().count == 1)
        try world.dispose([gone])
        let report = try world.sweep()
        #expect(report.problems.isEmpty && report.deletedPacks == report.condemnedPacks - 1)
        #expect(try world.damage().isEmpty)
        try world.checkAll()
    }

    @Test("A writer who names another domain's objects in an archive and has it disposed of takes nothing with him")
    func foreignObjects() throws {
        let hosts = try TwoHosts()
        let world = hosts.world
        // What the other host has stored and not committed yet is in no manifest.
        let running = try world.session(7, at: world.other)
        try WorkloadTree(seed: 48).feed(running)
        try running.closeGroup()
        try running.pool.drain()
        let vault = try world.made.reopened()
        let forger = try SweepForger(vault)
        let session = try forger.open()
        var manifest = try vault.manifest(hosts.second.commit.manifest)
        manifest.session = session
        for object in try vault.store.list("packs") {
            let id = try #require(Digest(hex: object.name.suffix(64)))
            guard !manifest.packs.contains(where: { $0.id == id }) else { continue }
            manifest.packs.append(Manifest.Pack(id: id, length: object.length, digest: .zero))
        }
        let chunk = Random.digest()
        let own = try forger.pack(session, [chunk])
        manifest.packs.append(own.pack)
        manifest.segments = manifest.segments.map { Manifest.Segment(object: $0.object, replaced: []) }
        let archive = try forger.commit(session, manifest, root: .zero)
        let before = try world.names("packs").union(world.names("refs")).union(world.names("index"))
        try world.dispose([archive])
        // The index of the own domain is not readable any more, so nothing of it is touched; nor of the other one's.
        for _ in 0..<2 { _ = try world.sweep() }
        let other = try world.packs(of: hosts.second)
        #expect(try world.names("packs").isSuperset(of: other))
        _ = try world.finish(running, WorkloadTree(seed: 48))
        let after = try world.names("packs").union(world.names("refs")).union(world.names("index"))
        #expect(before.subtracting(after).isDisjoint(with: other))
        let reader = try world.made.reader(try world.made.reopened())
        for archive in try world.made.reopened().log.archives
        where archive.opening.domain == hosts.second.opening.domain {
            try world.check(archive, reader)
        }
        #expect(try world.damage().allSatisfy { !other.contains($0.object) })
    }

    @Test("The same with an index that can be read: what another domain names or wrote is not condemned")
    func foreignPacksOnly() throws {
        let hosts = try TwoHosts()
        let world = hosts.world
        let running = try world.session(7, at: world.other)
        let tree = WorkloadTree(seed: 49)
        try tree.feed(running)
        try running.closeGroup()
        try running.pool.drain()
        let vault = try world.made.reopened()
        let forger = try SweepForger(vault)
        let session = try forger.open()
        var manifest = Manifest(session: session)
        for object in try vault.store.list("packs") {
            let id = try #require(Digest(hex: object.name.suffix(64)))
            let bytes = try vault.store.get(object.name, limit: 1 << 20)
            let digest = ObjectHasher.digest(of: bytes, suite: vault.suite)
            manifest.packs.append(Manifest.Pack(id: id, length: object.length, digest: digest))
        }
        manifest.references = try vault.manifest(hosts.second.commit.manifest).references
        let archive = try forger.commit(session, manifest, root: .zero)
        let others = try world.packs(of: hosts.second)
        let unnamed = try world.names("packs").filter { name in
            guard let bytes = hosts.store.contents[name] else { return false }
            return bytes[48..<80].elementsEqual(running.id.bytes)
        }
        #expect(!unnamed.isEmpty)
        try world.dispose([archive])
        let report = try world.sweep()
        #expect(report.deletedPacks > 0)
        #expect(report.problems.contains { others.contains($0.object) })
        #expect(try world.names("packs").isSuperset(of: others.union(unnamed)))
        _ = try world.finish(running, tree)
        try world.sweep()
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("A writer who makes an index that says old chunks are in his new pack does not get the old packs deleted")
    func forgedIndex() throws {
        let store = MemoryStore()
        let world = try SweepWorld(store)
        let old = try world.archive(WorkloadTree(seed: 50))
        let gone = try world.archive(WorkloadTree(seed: 51), 2)
        try world.dispose([gone])
        let vault = try world.made.reopened()
        let forger = try SweepForger(vault)
        var ids: [Digest] = []
        for live in try vault.liveSegments(of: forger.writer.domain) {
            live.segment.forEach { id, _ in ids.append(id) }
        }
        let session = try forger.open()
        let garbage = try forger.pack(session, ids)
        var manifest = Manifest(session: session)
        manifest.packs = [garbage.pack]
        let replaced = try vault.liveSegmentNames(of: forger.writer.domain).map(\.object.digest)
        manifest.segments = [Manifest.Segment(object: try forger.segment([garbage]), replaced: replaced)]
        manifest.references = try forger.references(session, ids[0], [])
        _ = try forger.commit(session, manifest, root: ids[0])
        for _ in 0..<2 { #expect(try world.sweep().deletedPacks <= (try world.packs(of: gone).count)) }
        #expect(try world.names("packs").isSuperset(of: try world.packs(of: old)))
    }

    @Test("A sweep list that is lost costs no archive: what is live restores on a host that never saw the vault")
    func lostLists() throws {
        let hosts = try TwoHosts()
        try hosts.world.sweep()
        let run = try hosts.world.session(6)
        try hosts.world.dispose([hosts.first])
        #expect(try hosts.world.sweep().waiting.count == 1)
        run.stop()
        for name in try hosts.world.names("sweeps") { hosts.store.contents[name] = nil }
        let place = try WorkloadPlace()
        try hosts.world.checkAll(try hosts.world.made.reopened(nil, place))
        #expect(try !hosts.world.damage().isEmpty)
        let report = try hosts.world.sweep()
        #expect(report.problems.count == 2 && report.condemnedPacks == 0 && report.deletedPacks == 0)
    }

    @Test("What is no list, not in order, or for another domain is refused")
    func lists() throws {
        let world = try SweepWorld()
        let vault = try world.made.reopened()
        let domain = try vault.writer().domain
        var list = SweepList(domain: domain)
        list.packs = (0..<5).map { _ in Random.digest() }.sorted()
        list.references = [Random.digest()]
        list.segments = (0..<3).map { _ in Random.digest() }.sorted()
        let bytes = try list.encode()
        func decode(_ bytes: [UInt8]) throws -> SweepList {
            try bytes.withBytes { (raw) throws(VaultError) in try SweepList(decoding: raw) }
        }
        #expect(try decode(bytes) == list)
        for cut in 0..<bytes.count { #expect(throws: VaultError.self) { try decode(Array(bytes[..<cut])) } }
        #expect(throws: VaultError.self) { try decode(bytes + [0]) }
        var swapped = bytes
        swapped.replaceSubrange(42..<74, with: bytes[74..<106])
        #expect(throws: VaultError.self) { try decode(swapped) }
        let reference = try vault.store.putNamedByDigest("sweeps", bytes, vault.suite)
        #expect(try vault.sweepList(reference, of: domain) == list)
        #expect(throws: VaultError.self) { try vault.sweepList(reference, of: .zero) }
    }
}
