import Domain
import TestSupport
import Testing

@testable import Vault

@Suite("Sweeps beside runs and readers")
struct SweepSessionTests {
    /// Archives `tree` from source 1 and disposes of it, while a run of source 9 that began before goes on.
    private func condemn(_ world: SweepWorld, _ tree: WorkloadTree) throws -> (
        packs: Set<String>, older: ArchiveSession
    ) {
        let archive = try world.archive(tree)
        let older = try world.session(9)
        try world.dispose([archive])
        let packs = try world.packs(of: archive)
        let report = try world.sweep()
        #expect(report.condemnedPacks == packs.count && report.deletedPacks == 0)
        #expect(report.waiting.map(\.session) == [older.id])
        return (packs, older)
    }

    @Test("Deletion waits for an older run, the log refuses it, and what that run's archive needs is revived")
    func older() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 21)
        let (packs, older) = try condemn(world, tree)
        defer { older.stop() }
        // It began when the packs still counted, so it stores nothing again.
        try tree.feed(older)
        let vault = try world.made.reopened()
        let key = try world.made.unlock(vault).adminKey
        let condemned = try #require(vault.log.condemnations.last)
        let manifest = try vault.store.putNamedByDigest("manifests", Manifest(session: .zero).encode(), vault.suite)
        let error = #expect(throws: VaultError.self) {
            try vault.log.append(signing: key, time: 1) { _ in
                .delete(SweepDeletion(condemned: condemned.number, list: condemned.list, manifest: manifest))
            }
        }
        #expect(error?.message.contains("older sessions") == true)
        #expect(try world.sweep().deletedPacks == 0)
        _ = try world.finish(older, tree)
        #expect(older.newBytes == 0)
        let report = try world.sweep()
        #expect(report.revivedPacks > 0 && report.waiting.isEmpty)
        #expect(!(try world.names("packs").isDisjoint(with: packs)))
        try world.checkAll()
        #expect(try world.damage().isEmpty)
        #expect(try world.sweep() == SweepReport())
    }

    @Test("A younger run takes condemned packs for absent: it stores their chunks again, and they go")
    func younger() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 22)
        let (packs, older) = try condemn(world, tree)
        let younger = try world.session(2)
        defer { younger.stop() }
        try tree.feed(younger)
        _ = try world.finish(younger, tree)
        #expect(younger.newBytes > 15_000)
        // A host that lost its caches learns from footers which small files are stored, and must not believe those.
        world.made.place.remove { !$0.hasSuffix("/writer") }
        try older.abort()
        let report = try world.sweep()
        #expect(report.deletedPacks == packs.count && report.revivedPacks == 0)
        #expect(try world.names("packs").isDisjoint(with: packs))
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("A host without caches does not build on condemned packs either")
    func youngerWithoutCaches() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 23)
        let (packs, older) = try condemn(world, tree)
        world.made.place.remove { !$0.hasSuffix("/writer") && !$0.contains("/sessions/") }
        try world.archive(tree, 2)
        try older.abort()
        #expect(try world.sweep().deletedPacks == packs.count)
        try world.checkAll()
    }

    @Test("A resumed run counts as old as the one that it resumes, also through several")
    func resumed() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 24)
        let archive = try world.archive(tree)
        let first = try world.session(2)
        var second = tree
        second.add("srv/a-new", [UInt8](repeating: 7, count: 5000))
        let last = second.items.count
        try second.feed(first, 0..<last)
        try first.checkpoint()
        first.stop()
        withExtendedLifetime(first) {}
        // The lock goes with the session object.
        let firstID = first.id
        try world.dispose([archive])
        #expect(try world.sweep().deletedPacks == 0)
        try expectHeldUp(world, second, firstID)
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    private func expectHeldUp(_ world: SweepWorld, _ tree: WorkloadTree, _ first: Digest) throws {
        let vault = try world.made.reopened()
        let age = try #require(vault.log.sessions[first]?.age)
        let number = try #require(vault.log.condemnations.last?.number)
        #expect(age < number)
        #expect(vault.log.sessionsOlder(than: number, in: try vault.writer().domain) == [first])
    }

    @Test("Runs that resume one that is older than a condemn record hold up its deletion, and keep what they knew")
    func resumedChain() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 25)
        let archive = try world.archive(tree)
        var changed = tree
        changed.add("srv/a-new", (0..<6000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let first = try interrupt(world, changed)
        try world.dispose([archive])
        #expect(try world.sweep().condemnedPacks > 0)
        // Two more that are killed in turn; the oldest one's age is handed on.
        let second = try interrupt(world, changed)
        let third = try world.session(2)
        #expect(third.isResumed)
        let log = try world.made.reopened().log
        let age = try #require(log.sessions[first]?.age)
        for id in [second, third.id] { #expect(log.sessions[id]?.age == age) }
        let report = try world.sweep(fencing: [first])
        #expect(report.deletedPacks == 0 && Set(report.waiting.map(\.session)) == [second, third.id])
        try changed.feed(third)
        _ = try world.finish(third, changed)
        let last = try world.sweep()
        #expect(last.waiting.isEmpty && last.revivedPacks > 0)
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    /// A run of source 2 that ends behind a checkpoint without a commit; its lock is free when this returns.
    private func interrupt(_ world: SweepWorld, _ tree: WorkloadTree) throws -> Digest {
        let session = try world.session(2)
        try tree.feed(session)
        try session.checkpoint()
        session.stop()
        return session.id
    }

    @Test("A run that was fenced is not resumed, even if that happens while the next one begins")
    func fencedBeforeResuming() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 26)
        let first = try interrupt(world, tree)
        #expect(try world.sweep(fencing: [first]).deletedPacks > 0)
        #expect(try world.names("packs").isEmpty)
        let next = try world.session(2)
        #expect(!next.isResumed)
        try tree.feed(next)
        _ = try world.finish(next, tree)
        try world.checkAll()
        // Fenced and swept after the new run had looked at what it would take over, and before its open record.
        tree.change(rewritten: 6)
        let second = try interrupt(world, tree)
        let memory = try #require(world.store as? MemoryStore)
        let racing = RacingStore(memory, before: "log/")
        let vault = try world.made.reopened(racing)
        racing.arm { _ = try world.sweep(fencing: [second]) }
        let late = try ArchiveSession(vault: vault, source: WorkloadVault.source(2), options: SweepWorld.options)
        #expect(racing.hasRun && !late.isResumed)
        try tree.feed(late)
        _ = try world.finish(late, tree)
        try world.sweep()
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("A fenced run's commit is refused, to be tried again, and its next run makes the archive")
    func fenced() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 27)
        let session = try world.session()
        try tree.feed(session)
        try session.checkpoint()
        let report = try world.sweep(fencing: [session.id])
        #expect(report.fenced == [session.id] && report.deletedPacks > 0)
        for end in [{ _ = try session.commit(ArchiveHeader()) }, { try session.checkpoint() }] {
            do {
                try end()
                // A checkpoint without anything new is none.
            } catch {
                #expect((error as? VaultError)?.code == .fenced && (error as? VaultError)?.kind == .tryAgain)
            }
        }
        #expect(try world.made.reopened().log.archives.isEmpty)
        session.stop()
        try world.archive(tree)
        try world.sweep()
        try world.checkAll()
        #expect(try world.damage().isEmpty)
        let error = #expect(throws: VaultError.self) { try world.sweep(fencing: [session.id]) }
        #expect(error?.code == .notFound)
    }

    @Test("A run that built on an archive disposed of meanwhile keeps what it took over, condemned before it or not")
    func baseDisposedMeanwhile() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 28)
        let (_, older) = try condemn(world, tree)
        // Older than the condemn record: it may refer to what is condemned, and it keeps another one waiting.
        let another = try world.session(8)
        _ = another
        try tree.feed(older)
        let base = try world.finish(older, tree)
        // Younger than the condemn record, and merged with a tree that needs condemned packs.
        let younger = try world.session(9)
        #expect(younger.parent == base.id)
        try tree.feed(younger)
        try world.dispose([base])
        try another.abort()
        try world.sweep()
        _ = try world.finish(younger, tree)
        try world.checkAll()
        try world.sweep()
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("Checkpoints of a busy run do not make a sweep begin again and again")
    func busy() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 29)
        let archive = try world.archive(tree)
        tree.change()
        try world.archive(tree)
        try world.dispose([archive])
        let busy = try world.session(2, at: nil)
        defer { busy.stop() }
        let sweeper = try world.sweeper()
        let files = WorkloadTree(seed: 30, files: 80, chunked: 0)
        var next = 0
        var failure: (any Error)?
        sweeper.onChunks = { _ in
            guard next < files.items.count, failure == nil else { return }
            do {
                try files.feed(busy, next..<next + 1)
                try busy.checkpoint()
            } catch { failure = error }
            next += 1
        }
        sweeper.shouldStop = { next >= files.items.count }
        let report = try sweeper.run()
        #expect(failure == nil && next > 0 && report.condemnedPacks > 0)
        try world.checkAll()
    }

    @Test("A commit between the computation and the record makes the sweep compute again")
    func commitInBetween() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 31)
        let archive = try world.archive(tree)
        let run = try world.session(2)
        try tree.feed(run)
        try world.dispose([archive])
        let sweeper = try world.sweeper()
        var isDone = false
        var failure: (any Error)?
        // Nothing is live, so chunks are not looked up; the question whether to stop is asked in between all the same.
        sweeper.shouldStop = {
            do {
                if !isDone { _ = try world.finish(run, tree) }
            } catch { failure = error }
            isDone = true
            return false
        }
        _ = try sweeper.run()
        #expect(failure == nil)
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("A reader that was opened before a sweep goes on reading live archives")
    func reader() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 32)
        let (packs, older) = try condemn(world, tree)
        let live = try world.archive(tree, 2)
        // It finds chunks in the condemned packs first.
        let old = try world.made.reopened()
        let reader = try world.made.reader(old)
        let located = try reader.location(of: live.commit.root, in: live.opening.domain)
        #expect(packs.contains(Manifest.packName(located.pack)))
        try tree.check(live, reader)
        let cold = try world.made.reader(try world.made.reopened())
        _ = try cold.location(of: live.commit.root, in: live.opening.domain)
        try older.abort()
        #expect(try world.sweep().deletedPacks == packs.count)
        try tree.check(live, cold)
        try tree.check(live, reader)
    }

    @Test("A reader that was opened before a sweep and asks for its first chunk after it finds the new index")
    func lateReader() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 34)
        let first = try world.archive(tree)
        tree.change()
        let live = try world.archive(tree)
        let place = try WorkloadPlace()
        let reader = try world.made.reader(try world.made.reopened(nil, place))
        try world.dispose([first])
        let segments = try world.names("index")
        try world.sweep()
        try world.sweep()
        #expect(try !segments.isSubset(of: world.names("index")))
        try tree.check(live, reader)
        withExtendedLifetime(place) {}
    }

    @Test("A check that runs while a sweep deletes takes what went for no damage")
    func scrubMeanwhile() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 33)
        let archive = try world.archive(tree)
        tree.change()
        try world.archive(tree)
        try world.dispose([archive])
        let memory = try #require(world.store as? MemoryStore)
        let racing = RacingStore(memory, before: "packs/")
        let vault = try world.made.reopened(racing)
        racing.arm { try world.sweep() }
        let result = try Scrubber(vault, threads: 1).checkDigests()
        #expect(racing.hasRun && result.damage.isEmpty)
        #expect(try world.sweep() == SweepReport())
    }

    @Test("Two sweeps beside each other both end, and what one condemned the other deletes")
    func twoSweepers() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 34)
        let archive = try world.archive(tree)
        tree.change()
        try world.archive(tree)
        try world.dispose([archive])
        let memory = try #require(world.store as? MemoryStore)
        for name in ["sweeps/", "log/", "manifests/", "index/", "packs/"] {
            let racing = RacingStore(memory, before: name)
            let vault = try world.made.reopened(racing)
            let sweeper = try world.sweeper(vault)
            racing.arm { try world.sweep() }
            _ = try sweeper.run()
            try world.checkAll()
            #expect(try world.damage().isEmpty)
            #expect(try world.sweep() == SweepReport())
            try world.dispose([try #require(try world.made.reopened().log.archives.last)])
            tree.change()
            try world.archive(tree)
        }
    }
}
