import Domain
import Glibc
import Synchronization
import TestSupport
import Testing
import Vault

/// A store over a simulated disk that remembers what the host's state was when each call began.
private final class WatchingStore: Store {
    struct Moment: Sendable {
        var operation: Int
        var snapshot: WorkloadPlace.Snapshot
    }

    private let inner: any Store
    private let disk: SimulatedDisk
    private let place = Mutex<WorkloadPlace?>(nil)
    private let seen = Mutex<[Moment]>([])

    init(_ inner: any Store, _ disk: SimulatedDisk) {
        self.inner = inner
        self.disk = disk
    }

    var moments: [Moment] { seen.withLock { $0 } }

    func watch(_ watched: WorkloadPlace) {
        place.withLock { $0 = watched }
        look()
    }

    /// Calls of the sealing threads are left out: the state belongs to the thread of the run, which is in no call then.
    func look() {
        guard let snapshot = place.withLock({ $0?.snapshot }) else { return }
        let operation = disk.operationCount
        seen.withLock { seen in
            if seen.last?.snapshot != snapshot { seen.append(Moment(operation: operation, snapshot: snapshot)) }
        }
    }

    var describe: String { inner.describe }

    func put(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        look()
        try inner.put(name, bytes)
    }

    func putIfAbsent(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) -> PutOutcome {
        look()
        return try inner.putIfAbsent(name, bytes)
    }

    func get(
        _ name: String, offset: UInt64, length: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        try inner.get(name, offset: offset, length: length, into: buffer)
    }

    func get(_ name: String, limit: Int) throws(VaultError) -> [UInt8] { try inner.get(name, limit: limit) }
    func length(of name: String) throws(VaultError) -> UInt64? { try inner.length(of: name) }
    func list(_ directory: String) throws(VaultError) -> [ObjectInfo] { try inner.list(directory) }
    func delete(_ name: String) throws(VaultError) { try inner.delete(name) }
    func create(_ name: String, sizeHint: Int) throws(VaultError) -> any ObjectUpload {
        try inner.create(name, sizeHint: sizeHint)
    }
    func open(_ name: String) throws(VaultError) -> any ObjectReader { try inner.open(name) }
}

/// A short life of a vault on a disk whose power can be cut after any change.
private final class VaultHistory {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    /// What was archived and when that was acknowledged; two hosts write into it.
    private final class Ledger: Sendable {
        struct Acknowledged: Sendable {
            var id: Digest
            var operation: Int
        }

        private let state = Mutex<(acknowledged: [Acknowledged], trees: [Digest: WorkloadTree])>(([], [:]))
        var acknowledged: [Acknowledged] { state.withLock { $0.acknowledged } }

        func tree(_ id: Digest) -> WorkloadTree? { state.withLock { $0.trees[id] } }
        /// Before the commit: it may stand in the log before it is acknowledged.
        func begin(_ id: Digest, _ tree: WorkloadTree) { state.withLock { $0.trees[id] = tree } }
        func acknowledge(_ id: Digest, _ operation: Int) {
            state.withLock { $0.acknowledged.append(Acknowledged(id: id, operation: operation)) }
        }
    }

    static let path = "/srv/vault"
    private let disk: SimulatedDisk
    private let store: WatchingStore
    private let made: WorkloadVault
    private let ledger = Ledger()
    /// Changes recorded when `init` had returned.
    private let created: Int
    /// Changes between which the test itself took index segments away.
    private var repairing = 0..<0
    private var verdicts: Set<Int> = []
    private(set) var distinct = 0
    private(set) var goneOn = 0
    let seed: UInt64

    /// Small packs: each is a directory, a file and a name of its own.
    private static var options: ArchiveSession.Options {
        var options = WorkloadTree.options
        options.packBytes = 6 << 10
        return options
    }

    /// Makes the vault and three archives: one plain, one with a checkpoint in the middle, one of a run that was
    /// interrupted behind a checkpoint and resumed.
    init(seed: UInt64, traits: SimulatedDisk.Traits = SimulatedDisk.Traits(), archives: Int = 3) throws {
        self.seed = seed
        disk = SimulatedDisk(traits: traits, seed: seed)
        store = WatchingStore(try LocalStore.creating(path: Self.path, calls: disk), disk)
        made = try WorkloadVault(store)
        created = disk.operationCount
        store.watch(made.place)
        var tree = WorkloadTree(seed: seed, files: 5, fileBytes: 600, chunked: 12_000)
        let source = WorkloadVault.source(1)
        for index in 0..<archives {
            if index == 2 {
                let session = try ArchiveSession(
                    vault: try made.reopened(), source: source, options: Self.options)
                try tree.feed(session, 0..<4)
                try session.checkpoint()
                session.stop()
            }
            try Self.archive(tree, source, try made.reopened(), disk, ledger, checkpoints: index == 1 ? [4] : [])
            store.look()
            tree.change()
        }
        guard archives > 1 else { return }
        try archiveTogether(tree)
        // Index segments that are missing are written again.
        let began = disk.operationCount
        for info in try store.list("index").prefix(2) { try store.delete(info.name) }
        _ = try made.reopened().repairIndex()
        repairing = began..<disk.operationCount
        store.look()
    }

    /// Another host joins, and both archive at once; the first one's state is watched all the same.
    private func archiveTogether(_ tree: WorkloadTree) throws {
        let other = try WorkloadPlace()
        let direct = try LocalStore(path: Self.path, calls: disk)
        let joining = try made.reopened(direct, other)
        try joining.enrol(label: "other", by: try made.unlock(joining))
        let failure = Mutex<(any Error)?>(nil)
        let thread = try WorkerThread { [made, disk, ledger, seed] in
            var tree = WorkloadTree(seed: seed, files: 3, chunked: 0)
            for _ in 0..<2 {
                do {
                    let vault = try made.reopened(direct, other)
                    try Self.archive(tree, WorkloadVault.source(2), vault, disk, ledger)
                } catch {
                    failure.withLock { $0 = error }
                }
                tree.change()
            }
        }
        do {
            defer { thread.join() }
            var next = tree
            for _ in 0..<2 {
                try Self.archive(next, WorkloadVault.source(1), try made.reopened(), disk, ledger)
                store.look()
                next.change()
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private static func archive(
        _ tree: WorkloadTree, _ source: Digest, _ vault: Vault, _ disk: SimulatedDisk, _ ledger: Ledger,
        checkpoints: Set<Int> = []
    ) throws {
        let session = try ArchiveSession(vault: vault, source: source, options: options)
        try tree.feed(session, checkpoints: checkpoints)
        ledger.begin(session.id, tree)
        let archive = try session.commit(ArchiveHeader())
        ledger.acknowledge(archive.id, disk.operationCount)
    }

    /// Cuts the power after every change; returns the number of states seen.
    func checkAll(perOperation: Int) throws -> Int {
        var seen = 0
        for operation in 0...disk.operationCount {
            let moment = store.moments.last { $0.operation <= operation }
            for state in disk.crashStates(afterOperation: operation, seed: seed, count: perOperation) {
                seen += 1
                var hasher = Hasher()
                hasher.combine(state.fingerprint(of: Self.path, leavingOut: ["/tmp"]))
                hasher.combine(moment?.operation)
                hasher.combine(ledger.acknowledged.count { $0.operation <= operation })
                hasher.combine(operation < created)
                guard verdicts.insert(hasher.finalize()).inserted else { continue }
                distinct += 1
                do {
                    try check(state, cutAt: operation, moment?.snapshot ?? [:])
                } catch {
                    throw Violation(
                        description: "seed \(seed), change \(operation) of \(disk.operationCount): \(error)")
                }
            }
        }
        return seen
    }

    private func check(_ state: SimulatedDisk, cutAt operation: Int, _ snapshot: WorkloadPlace.Snapshot) throws {
        let store: LocalStore
        let kept = try WorkloadPlace(snapshot)
        let vault: Vault
        do throws(VaultError) {
            store = try LocalStore(path: Self.path, calls: state)
            vault = try Vault(store: store, stateBase: kept.path)
        } catch {
            if operation < created, error.code == .noVault { return }
            throw error
        }
        for archive in ledger.acknowledged where archive.operation <= operation {
            guard vault.log.archives.contains(where: { $0.id == archive.id }) else {
                throw Violation(description: "the acknowledged archive \(archive.id) is lost")
            }
        }
        let reader = try made.reader(vault)
        for archive in vault.log.archives {
            guard let tree = ledger.tree(archive.id) else {
                throw Violation(description: "an archive came from nowhere")
            }
            try tree.check(archive, reader)
        }
        try scrub(vault, at: operation)
        if operation >= created, distinct.isMultiple(of: 4) { try goOn(vault, store, at: operation) }
    }

    /// The next run needs no manual step, with what the host remembers and without.
    private func goOn(_ vault: Vault, _ store: LocalStore, at operation: Int) throws {
        goneOn += 1
        let lost = try WorkloadPlace()
        let other = try Vault(store: store, stateBase: lost.path)
        guard !other.freshnessProven else { throw Violation(description: "a host without memory claims to have one") }
        try other.enrol(label: "again", by: try made.unlock(other))
        try vault.log.refresh()
        var tree = WorkloadTree(seed: seed, files: 5, fileBytes: 600, chunked: 12_000)
        tree.change()
        for next in [vault, other] {
            let archive = try tree.archive(into: next, source: WorkloadVault.source(1))
            try tree.check(archive, try made.reader(next))
        }
        try scrub(try Vault(store: store, stateBase: lost.path), at: operation)
    }

    private func scrub(_ vault: Vault, at operation: Int) throws {
        let damage = try Scrubber(vault).checkDigests().damage.filter {
            !(repairing.contains(operation) && $0.object.hasPrefix("index/"))
        }
        guard damage.isEmpty else { throw Violation(description: "damage: \(damage)") }
    }
}

@Suite("Power cuts under the vault")
struct VaultPowerCutTests {
    @Test("After a power cut at any moment the vault opens and every acknowledged archive restores")
    func everyCut() throws {
        let isLong = getenv("QALA_TEST_LONG") != nil
        let seed = UInt64.random(in: 0...9999)
        let history = try VaultHistory(seed: seed)
        let seen = try history.checkAll(perOperation: isLong ? 1600 : 17)
        print(
            "power cuts: seed \(seed), \(seen) states, \(history.distinct) of them distinct, \(history.goneOn) archived into"
        )
        #expect(seen >= (isLong ? 1_000_000 : 10_000))
        #expect(history.distinct > 70)
        #expect(history.goneOn > 10)
    }

    @Test("The test notices a disk that forgets to sync directories or files", arguments: [false, true])
    func plantedBugs(files: Bool) throws {
        var traits = SimulatedDisk.Traits()
        traits.ignoresDirectorySyncs = !files
        traits.ignoresFileSyncs = files
        let history = try VaultHistory(seed: 7, traits: traits, archives: 1)
        #expect(throws: VaultHistory.Violation.self) { _ = try history.checkAll(perOperation: 6) }
    }
}
