import Domain
import Glibc
import TestSupport
import Testing

@testable import Vault

/// A vault on a disk whose power can be cut after any change: archives, disposals and sweeps.
private final class SweepHistory {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    static let path = "/srv/vault"
    private let disk: SimulatedDisk
    private let world: SweepWorld
    /// Changes recorded when the vault had been made.
    private let created: Int
    /// Archives with the changes after which they were acknowledged, and before which nobody had asked to dispose of them.
    private var archives: [(id: Digest, from: Int, to: Int)] = []
    private var verdicts: Set<Int> = []
    private(set) var distinct = 0
    private(set) var sweptOn = 0
    private let seed: UInt64

    private var now: Int { disk.operationCount }

    /// Archive → dispose → sweep → archive → sweep, with a killed run, a session that holds deletion up, and a revival.
    init(seed: UInt64, traits: SimulatedDisk.Traits = SimulatedDisk.Traits()) throws {
        self.seed = seed
        disk = SimulatedDisk(traits: traits, seed: seed)
        world = try SweepWorld(try LocalStore.creating(path: Self.path, calls: disk))
        created = disk.operationCount
        var tree = WorkloadTree(seed: seed, files: 3, fileBytes: 500, chunked: 9_000)
        let first = try archive(tree, 1)
        tree.change()
        try archive(tree, 1)
        try dispose(first)
        try world.sweep()
        let older = try world.session(2)
        try tree.feed(older)
        let third = try archive(WorkloadTree(seed: seed + 1, files: 2, chunked: 6_000), 3)
        try dispose(third)
        try world.sweep()
        world.expect(tree, of: older.id)
        archives.append((older.id, .max, .max))
        _ = try world.finish(older, tree)
        archives[archives.count - 1].from = now
        let killed = try world.session(4)
        try WorkloadTree(seed: seed + 2, files: 2, chunked: 6_000).feed(killed)
        try killed.checkpoint()
        killed.stop()
        try world.sweep(fencing: [killed.id])
        tree.change()
        try archive(tree, 1)
        try world.sweep()
    }

    @discardableResult
    private func archive(_ tree: WorkloadTree, _ source: UInt64) throws -> ArchiveRecord {
        let session = try world.session(source)
        defer { session.stop() }
        try tree.feed(session)
        world.expect(tree, of: session.id)
        let record = try world.finish(session, tree)
        archives.append((record.id, now, .max))
        return record
    }

    private func dispose(_ archive: ArchiveRecord) throws {
        for index in archives.indices where archives[index].id == archive.id { archives[index].to = now }
        try world.dispose([archive])
    }

    /// Cuts the power after every change; returns the number of states seen.
    func checkAll(perOperation: Int) throws -> Int {
        var seen = 0
        for operation in created...disk.operationCount {
            for state in disk.crashStates(afterOperation: operation, seed: seed, count: perOperation) {
                seen += 1
                var hasher = Hasher()
                hasher.combine(state.fingerprint(of: Self.path, leavingOut: ["/tmp"]))
                hasher.combine(archives.map { $0.from <= operation && operation < $0.to })
                guard verdicts.insert(hasher.finalize()).inserted else { continue }
                distinct += 1
                do {
                    try check(state, cutAt: operation)
                } catch {
                    throw Violation(
                        description: "seed \(seed), change \(operation) of \(disk.operationCount): \(error)")
                }
            }
        }
        return seen
    }

    private func check(_ state: SimulatedDisk, cutAt operation: Int) throws {
        let place = try WorkloadPlace()
        let store = try LocalStore(path: Self.path, calls: state)
        let vault = try Vault(store: store, stateBase: place.path)
        for archive in archives where archive.from <= operation && operation < archive.to {
            guard vault.log.archives.contains(where: { $0.id == archive.id }) else {
                throw Violation(description: "the acknowledged archive \(archive.id) is lost")
            }
        }
        try world.checkAll(vault)
        try scrub(vault)
        guard distinct.isMultiple(of: 2) else { return }
        sweptOn += 1
        let running = vault.log.sessions.filter { $0.value.ending == .running }
        let report = try world.sweeper(vault).run(fencing: distinct.isMultiple(of: 4) ? Set(running.keys) : [])
        guard report.problems.isEmpty else { throw Violation(description: "the next sweep: \(report.problems)") }
        let again = try Vault(store: store, stateBase: place.path)
        try world.checkAll(again)
        try scrub(again)
        // Index segments that the sweep replaced go with this one, and then nothing is left to do.
        for round in 0..<2 {
            let rest = try world.sweeper(again).run()
            guard round == 0 || rest.condemnedPacks + rest.deletedPacks == 0, rest.problems.isEmpty else {
                throw Violation(description: "the sweep does not end: \(rest)")
            }
        }
        try world.checkAll(again)
    }

    private func scrub(_ vault: Vault) throws {
        let damage = try Scrubber(vault, threads: 1).checkDigests().damage
        guard damage.isEmpty else { throw Violation(description: "damage: \(damage)") }
    }
}

@Suite("Power cuts and failing stores under the sweep")
struct SweepPowerCutTests {
    @Test("After a power cut at any moment live archives restore, nothing is damaged, and the next sweep ends well")
    func everyCut() throws {
        let isLong = getenv("QALA_TEST_LONG") != nil
        let seed = UInt64.random(in: 0...9999)
        let history = try SweepHistory(seed: seed)
        let seen = try history.checkAll(perOperation: isLong ? 60 : 4)
        print(
            "sweep power cuts: seed \(seed), \(seen) states, \(history.distinct) distinct, \(history.sweptOn) swept on")
        #expect(seen >= (isLong ? 30_000 : 2000))
        #expect(history.distinct > 50 && history.sweptOn > 25)
    }

    @Test("The test notices a disk that forgets to sync directories or files", arguments: [false, true])
    func plantedBugs(files: Bool) throws {
        var traits = SimulatedDisk.Traits()
        traits.ignoresDirectorySyncs = !files
        traits.ignoresFileSyncs = files
        let history = try SweepHistory(seed: 7, traits: traits)
        do {
            _ = try history.checkAll(perOperation: 3)
            Issue.record("nothing was noticed")
        } catch {}
    }

    @Test("Whichever call to the store fails during a sweep, before or after it was done, nothing is lost")
    func everyCall() throws {
        let memory = MemoryStore()
        let faulty = FaultyStore(memory)
        let world = try SweepWorld(faulty)
        var tree = WorkloadTree(seed: 71, files: 2, fileBytes: 500, chunked: 6_000)
        try world.archive(tree)
        let first = try world.archive(WorkloadTree(seed: 73, files: 2, fileBytes: 500, chunked: 0), 4)
        let other = try world.archive(WorkloadTree(seed: 72, files: 2, fileBytes: 500, chunked: 0), 3)
        tree.change()
        try world.archive(tree)
        let older = try world.session(2)
        try world.dispose([other])
        #expect(try world.sweep().condemnedPacks > 0)
        try world.dispose([first])
        try older.abort()
        let clean = memory.contents
        let vault = try world.made.reopened()
        let pinned = world.made.place.snapshot
        var calls = 0
        var failures = 0
        for isAfter in [false, true] {
            for ordinal in 1... {
                memory.contents = clean
                let place = try WorkloadPlace(pinned)
                let again = try world.made.reopened(nil, place)
                let error = VaultError(.io, "planted")
                faulty.add(.init(nil, ordinal: ordinal, isAfter ? .failAfterwards(error) : .fail(error)))
                let before = FaultyStore.Operation.allCases.map(faulty.count).reduce(0, +)
                do {
                    let report = try world.sweeper(again).run()
                    #expect(report.condemnedPacks > 0 && report.deletedPacks > 1)
                } catch {
                    #expect((error as? VaultError)?.message == "planted", "call \(ordinal): \(error)")
                    failures += 1
                }
                calls = FaultyStore.Operation.allCases.map(faulty.count).reduce(0, +) - before
                faulty.heal()
                let healed = try world.made.reopened(nil, place)
                let report = try world.sweeper(healed).run()
                #expect(report.problems.isEmpty && report.waiting.isEmpty)
                try world.checkAll(healed)
                if calls < ordinal { break }
            }
        }
        print("sweep with failing calls: \(calls) calls, \(failures) failures")
        #expect(failures > calls && vault.log.archives.count == 2)
        #expect(try world.damage().isEmpty)
    }
}
