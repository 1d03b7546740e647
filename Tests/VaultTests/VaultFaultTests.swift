import Domain
import Glibc
import TestSupport
import Testing
import Vault

/// A vault with one archive on a simulated disk, copied for every trial, and the run that each trial disturbs.
private struct FaultBench {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    static let path = "/srv/vault"
    let disk: SimulatedDisk
    let made: WorkloadVault
    let snapshot: WorkloadPlace.Snapshot
    let first: ArchiveRecord
    let before: WorkloadTree
    let after: WorkloadTree

    init(seed: UInt64) throws {
        disk = SimulatedDisk(seed: seed)
        made = try WorkloadVault(try LocalStore.creating(path: Self.path, calls: disk))
        var tree = WorkloadTree(seed: seed, files: 4, fileBytes: 500, chunked: 9_000)
        before = tree
        first = try tree.archive(into: made.vault, source: WorkloadVault.source(1))
        snapshot = made.place.snapshot
        tree.change()
        after = tree
    }

    func copy(_ traits: SimulatedDisk.Traits = SimulatedDisk.Traits()) throws -> SimulatedDisk {
        try #require(
            disk.crashStates(afterOperation: disk.operationCount, seed: 1, count: 1, traits: traits).first)
    }

    /// The disturbed run: opening, archiving with a checkpoint in the middle.
    func run(_ calls: any FileSystemCalls, _ place: WorkloadPlace) throws -> ArchiveRecord {
        let vault = try Vault(store: try LocalStore(path: Self.path, calls: calls), stateBase: place.path)
        var options = WorkloadTree.options
        options.sealingThreads = 1
        return try after.archive(into: vault, source: WorkloadVault.source(1), options: options, checkpoints: [4])
    }

    /// What every trial ends with: an error or an archive, nothing lost, and the next run on the healed disk succeeds.
    /// Returns whether the disturbed run failed.
    func trial(_ faults: [FaultyCalls.Fault], traits: SimulatedDisk.Traits = SimulatedDisk.Traits()) throws -> Bool {
        let copy = try copy(traits)
        let place = try WorkloadPlace(snapshot)
        var acknowledged: [(archive: ArchiveRecord, tree: WorkloadTree)] = [(first, before)]
        var failed = false
        do {
            acknowledged.append((try run(FaultyCalls(copy, faults), place), after))
        } catch is VaultError {
            failed = true
        }
        guard copy.openDescriptors == 0 else { throw Violation(description: "\(copy.openDescriptors) files stay open") }
        let store = try LocalStore(path: Self.path, calls: copy)
        let vault = try Vault(store: store, stateBase: place.path)
        acknowledged.append((try after.archive(into: vault, source: WorkloadVault.source(1)), after))
        try check(vault, acknowledged)
        // What was acknowledged is on the disk, not only in its cache.
        for state in copy.crashStates(afterOperation: copy.operationCount, seed: 5, count: 2).dropFirst() {
            let store = try LocalStore(path: Self.path, calls: state)
            try check(try Vault(store: store, stateBase: place.path), acknowledged)
        }
        return failed
    }

    private func check(_ vault: Vault, _ acknowledged: [(archive: ArchiveRecord, tree: WorkloadTree)]) throws {
        let reader = try made.reader(vault)
        for archive in vault.log.archives {
            // One that failed after its commit record was written is whole nevertheless.
            try (archive.id == first.id ? before : after).check(archive, reader)
        }
        for wanted in acknowledged where !vault.log.archives.contains(where: { $0.id == wanted.archive.id }) {
            throw Violation(description: "the acknowledged archive \(wanted.archive.id) is lost")
        }
        let damage = try Scrubber(vault).checkDigests().damage
        guard damage.isEmpty else { throw Violation(description: "damage: \(damage)") }
    }

    /// Calls of a healthy run, by kind.
    func counts() throws -> [FaultyCalls.Call: Int] {
        let calls = FaultyCalls(try copy())
        _ = try run(calls, try WorkloadPlace(snapshot))
        var counts: [FaultyCalls.Call: Int] = [:]
        for call in FaultyCalls.Call.allCases { counts[call] = calls.count(call) }
        return counts
    }
}

@Suite("Failing file system calls under an archive run")
struct VaultFaultTests {
    private typealias Effect = FaultyCalls.Effect

    private static func effects(_ call: FaultyCalls.Call) -> [Effect] {
        switch call {
        case .write:
            [.fail(ENOSPC), .fail(EIO), .short(7), .fail(EDQUOT), .fail(EINTR), .failAfterwards(EIO), .short(0)]
        case .syncFile, .syncDirectory: [.fail(EIO), .fail(ENOSPC), .fail(EINTR), .failAfterwards(EIO)]
        case .link, .rename, .makeDirectory, .unlink:
            [.fail(ENOSPC), .failAfterwards(EIO), .fail(EIO), .fail(EINTR), .fail(EROFS)]
        case .read: [.fail(EIO), .short(3), .fail(EINTR), .short(0)]
        default: [.fail(EIO), .fail(EINTR), .fail(ENOSPC), .failAfterwards(EIO)]
        }
    }

    @Test("Each call of a run fails in turn: an error or a whole archive, nothing lost, and the next run succeeds")
    func everyCall() throws {
        let isLong = getenv("QALA_TEST_LONG") != nil
        let seed = UInt64.random(in: 0...9999)
        let bench = try FaultBench(seed: seed)
        var trials = 0
        var failed = 0
        for (call, count) in try bench.counts().sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > 0 {
            for ordinal in 1...count {
                let effects = Self.effects(call)
                // One kind of failure for each call in the short slice, another one at the next ordinal.
                let chosen = isLong ? effects[...] : effects[((ordinal + Int(seed)) % effects.count)...].prefix(1)
                for effect in chosen {
                    do {
                        if try bench.trial([.init(call, ordinal, effect)]) { failed += 1 }
                    } catch {
                        Issue.record("seed \(seed), \(call) \(ordinal) of \(count) with \(effect): \(error)")
                    }
                    trials += 1
                }
            }
        }
        print("failing calls: seed \(seed), \(trials) trials, \(failed) runs failed")
        #expect(failed > trials / 4)
    }

    @Test("A disk that dies or fills up in the middle of a run and is healed later loses nothing")
    func lastingFaults() throws {
        let bench = try FaultBench(seed: 21)
        let total = try bench.counts().values.reduce(0, +)
        var failed = 0
        for ordinal in stride(from: 1, to: total, by: max(1, total / 24)) {
            if try bench.trial([.init(nil, ordinal, .fail(EIO), lasts: true)]) { failed += 1 }
        }
        #expect(failed >= 20)
        let writes = try bench.counts()[.write] ?? 0
        for ordinal in stride(from: 1, through: writes, by: max(1, writes / 8)) {
            #expect(try bench.trial([.init(.write, ordinal, .fail(ENOSPC), lasts: true)]))
        }
    }

    @Test("Each sync fails once, loses its pages and lies afterwards: the run fails, nothing acknowledged is lost")
    func failingSyncs() throws {
        let bench = try FaultBench(seed: 22)
        let counts = try bench.counts()
        let syncs = (counts[.syncFile] ?? 0) + (counts[.syncDirectory] ?? 0)
        #expect(syncs > 15)
        for ordinal in 1...syncs {
            var traits = SimulatedDisk.Traits()
            traits.failingSyncs = [ordinal]
            #expect(try bench.trial([], traits: traits), "sync \(ordinal)")
        }
    }

    @Test("The test notices a run that takes a failed sync for a success")
    func plantedBug() throws {
        let bench = try FaultBench(seed: 23)
        // What a store would do that ignores what its syncs return.
        #expect(throws: (any Error).self) {
            _ = try bench.trial([.init(.syncDirectory, 1, .skip, lasts: true), .init(.syncFile, 1, .skip, lasts: true)])
        }
    }
}
