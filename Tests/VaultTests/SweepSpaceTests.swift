import Domain
import Glibc
import TestSupport
import Testing

@testable import Vault

@Suite("What sweeps leave")
struct SweepSpaceTests {
    /// Compares the store with what live archives need.
    private func expectNoLeak(_ world: SweepWorld, _ note: String) throws {
        let vault = try world.made.reopened()
        let domain = try vault.writer().domain
        let needs = try Needs(of: domain, in: vault, without: [], sparingBases: false) { _ in }
        let named = try NamedObjects(by: domain, vault)
        for object in try vault.store.list("packs") {
            let id = try #require(Digest(hex: object.name.suffix(64)))
            if needs.packs.contains(id) { continue }
            let pack = try #require(named.packs[id], "\(note): \(object.name) is named by no archive")
            let entries = try PackFooter.read(
                from: try vault.store.open(object.name), length: pack.length, suite: vault.suite)
            #expect(entries.contains { needs.contains($0.chunkID) }, "\(note): \(object.name) is needed by no archive")
        }
        #expect(try world.names("refs") == Set(needs.references.map(Manifest.referencesName)), "\(note)")
        #expect(try world.names("index") == Set(needs.segments.map(Manifest.indexName)), "\(note)")
    }

    @Test("Through 30 generations with disposals at random, space goes down to what live archives need")
    func generations() throws {
        let seed = UInt64.random(in: 0...9999)
        print("sweep generations: seed \(seed)")
        var random = SplitMix(seed: seed)
        let store = MemoryStore()
        let world = try SweepWorld(store)
        var trees = [1: WorkloadTree(seed: seed, files: 5, fileBytes: 500, chunked: 12_000)]
        trees[2] = WorkloadTree(seed: seed + 1, files: 4, fileBytes: 400, chunked: 0)
        var removed = 0
        for generation in 0..<30 {
            let source = Int.random(in: 0..<3, using: &random) == 0 ? 2 : 1
            trees[source]?.change()
            let tree = try #require(trees[source])
            if Int.random(in: 0..<6, using: &random) == 0 { try interrupt(world, tree, UInt64(source)) }
            try world.archive(tree, UInt64(source))
            let live = try world.made.reopened().log.archives
            let gone = live.dropLast().filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
            if !gone.isEmpty { try world.dispose(Array(gone)) }
            if Int.random(in: 0..<12, using: &random) == 0 { world.made.place.remove { !$0.hasSuffix("/writer") } }
            let running = try world.made.reopened().log.sessions.filter { $0.value.ending == .running }
            removed += try world.sweep(fencing: Set(running.keys)).deletedPacks
            try world.checkAll()
            guard generation % 5 == 4 else { continue }
            removed += try world.sweep().deletedPacks
            try expectNoLeak(world, "seed \(seed), generation \(generation)")
            #expect(try world.damage().isEmpty)
            try rebuild(world, store, "seed \(seed), generation \(generation)")
        }
        #expect(removed > 20)
        try world.dispose(try world.made.reopened().log.archives)
        for _ in 0..<2 { try world.sweep() }
        let isEmpty = try world.names("packs").isEmpty && world.names("refs").isEmpty
        #expect(isEmpty)
        try expectNoLeak(world, "seed \(seed), at the end")
    }

    /// A run that is killed before or behind a checkpoint.
    private func interrupt(_ world: SweepWorld, _ tree: WorkloadTree, _ source: UInt64) throws {
        let session = try world.session(source)
        try tree.feed(session, 0..<tree.items.count - 1)
        if source == 1 { try session.checkpoint() }
        session.stop()
    }

    /// Deletes every index object and every copy, and has them made again byte for byte.
    private func rebuild(_ world: SweepWorld, _ store: MemoryStore, _ note: String) throws {
        let before = store.contents
        let segments = before.keys.filter { $0.hasPrefix("index/") }
        for name in segments { store.contents[name] = nil }
        world.made.place.remove { $0.contains("/index/") }
        let repaired = try world.made.reopened().repairIndex()
        #expect(repaired == segments.count, "\(note)")
        let isSame = store.contents == before
        #expect(isSame, "\(note)")
    }

    @Test("A segment that a deletion makes as one was before, of one pack that was joined with others, stays")
    func sameSegmentAgain() throws {
        let store = MemoryStore()
        let world = try SweepWorld(store)
        var archives: [ArchiveRecord] = []
        for source in 1...9 {
            // One pack each; the ninth joins the segments of the eight before it.
            var options = WorkloadTree.options
            options.sealingThreads = 1
            let tree = WorkloadTree(seed: UInt64(500 + source), files: 2, chunked: 0)
            let session = try ArchiveSession(
                vault: try world.made.reopened(), source: WorkloadVault.source(UInt64(source)), options: options)
            try tree.feed(session)
            archives.append(try world.finish(session, tree))
        }
        let vault = try world.made.reopened()
        let first = try #require(try vault.manifest(archives[0].commit.manifest).segments.first).object.digest
        #expect(try vault.liveSegmentNames(of: archives[0].opening.domain).count == 1)
        try world.dispose(Array(archives.dropFirst()))
        for round in 0..<3 {
            let report = try world.sweep()
            #expect(report.deletedPacks == (round == 0 ? 8 : 0) && report.problems.isEmpty)
            let live = try world.made.reopened().liveSegmentNames(of: archives[0].opening.domain)
            #expect(live.map(\.object.digest) == [first])
            #expect(store.contents[Manifest.indexName(first)] != nil)
            #expect(try world.damage().isEmpty)
            world.made.place.remove { $0.contains("/index/") }
            try world.checkAll()
            try world.sweep()
            try rebuild(world, store, "round \(round)")
        }
        // And it goes once it is replaced again.
        try world.dispose([archives[0]])
        for _ in 0..<2 { try world.sweep() }
        #expect(store.contents[Manifest.indexName(first)] == nil)
        #expect(try world.names("packs").isEmpty)
        #expect(try world.damage().isEmpty)
    }

    /// KiB of this process that no file stands behind.
    private func memory() -> Int {
        let file = open("/proc/self/status", O_RDONLY)
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 1 << 14)
        let count = read(file, &text, text.count)
        for line in String(decoding: text.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("RssAnon") { return Int(line.split(whereSeparator: \.isWhitespace)[1]) ?? 0 }
        return 0
    }

    /// A vault with `count` chunks, in packs of 5000, that no live archive needs, and one archive. Returns the peak of memory
    /// in KiB, above what was in use before, as far as the index is not mapped from its file; and the seconds that a plan takes and a sweep.
    private func measure(_ count: Int) throws -> (peak: Int, plan: Double, sweep: Double) {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 60)
        try world.archive(tree)
        let forger = try SweepForger(try world.made.reopened())
        var random = SplitMix(seed: 61)
        let session = try forger.open()
        var manifest = Manifest(session: session)
        var first = Digest.zero
        var packs: [PackSummary] = []
        for _ in 0..<count / 5000 {
            let ids = (0..<5000).map { _ in
                Digest(words: (random.next(), random.next(), random.next(), random.next()))
            }
            let pack = try forger.pack(session, ids)
            packs.append(pack)
            first = ids[0]
        }
        manifest.packs = packs.map(\.pack)
        manifest.segments = [Manifest.Segment(object: try forger.segment(packs), replaced: [])]
        manifest.references = try forger.references(session, first, [])
        let archive = try forger.commit(session, manifest, root: first)
        try world.dispose([archive])
        _ = try world.made.reopened().liveSegments(of: forger.writer.domain)
        let sweeper = try world.sweeper()
        packs = []
        // What was let go of goes back, so that new memory is seen.
        if let trim = dlsym(nil, "malloc_trim") {
            _ = unsafeBitCast(trim, to: (@convention(c) (Int) -> Int32).self)(0)
        }
        let before = memory()
        #expect(before > 0)
        var peak = before
        sweeper.shouldStop = {
            peak = max(peak, memory())
            return false
        }
        let started = MonotonicTime.now()
        #expect(try sweeper.plan().condemnedPacks == count / 5000)
        let planned = MonotonicTime.now()
        let report = try sweeper.run()
        #expect(report.deletedPacks == count / 5000 && report.problems.isEmpty)
        let ended = MonotonicTime.now()
        try world.checkAll()
        return (peak - before, planned - started, ended - planned)
    }

    /// Alone in its process: other tests beside it would be measured too.
    @Test(
        "Memory stays flat and time linear however many chunks nobody needs",
        .enabled(if: getenv("QALA_TEST_ALONE") != nil))
    func flat() throws {
        let large = getenv("QALA_TEST_LONG") == nil ? 100_000 : 1_000_000
        _ = try measure(5000)
        let small = try measure(large / 10)
        let all = try measure(large)
        print("sweep of \(large / 10) chunks: \(small); of \(large) chunks: \(all)")
        // The footer of one pack, and what the allocator keeps; a copy of all ids would be 3 MiB for each 100 000 alone.
        #expect(all.peak < small.peak + 3000)
        #expect(all.sweep < 40 * max(small.sweep, 0.05))
    }
}
