import Domain
import Synchronization
import TestSupport
import Testing
@testable import Vault

@Suite("Histories that were cut or replaced")
struct VaultRollbackFaultTests {
    private func code(_ body: () throws(VaultError) -> Void) -> VaultError.Code? {
        do throws(VaultError) {
            try body()
            return nil
        } catch { return error.code }
    }

    @Test(
        "A host notices when the end of the log that it has seen is cut off; a stranger is told that nothing is proven")
    func cutTail() throws {
        let store = MemoryStore()
        let made = try WorkloadVault(store)
        let tree = WorkloadTree(seed: 1, files: 3, chunked: 0)
        for _ in 0..<3 { _ = try tree.archive(into: try made.reopened(), source: WorkloadVault.source(1)) }
        _ = try made.reopened()
        let clean = store.contents
        let records = clean.keys.filter { $0.hasPrefix("log/") }.sorted()
        #expect(records.count == 8)
        for kept in 1..<records.count {
            store.contents = clean
            for name in records[kept...] { store.contents[name] = nil }
            #expect(code { () throws(VaultError) in _ = try made.reopened() } == .rolledBack)
            let place = try WorkloadPlace()
            let stranger = try made.reopened(nil, place)
            #expect(!stranger.freshnessProven)
            #expect(stranger.log.count == UInt64(kept))
        }
        // A hole is damage to everybody.
        for gap in 1..<(records.count - 1) {
            store.contents = clean
            store.contents[records[gap]] = nil
            let place = try WorkloadPlace()
            #expect(code { () throws(VaultError) in _ = try made.reopened(nil, place) } == .damaged)
        }
        store.contents = clean
        #expect(try made.reopened().freshnessProven)
    }

    @Test("A host notices a log that forked, however long the other branch is")
    func fork() throws {
        let store = MemoryStore()
        let made = try WorkloadVault(store)
        let tree = WorkloadTree(seed: 2, files: 3, chunked: 0)
        _ = try tree.archive(into: made.vault, source: WorkloadVault.source(1))
        let common = store.contents
        let beside = try WorkloadPlace(made.place.snapshot)
        for archives in 1...3 {
            store.contents = common
            let other = try WorkloadPlace(beside.snapshot)
            for _ in 0..<archives {
                _ = try tree.archive(into: try made.reopened(nil, other), source: WorkloadVault.source(2))
            }
            let branch = store.contents
            store.contents = common
            let place = try WorkloadPlace(beside.snapshot)
            for _ in 0..<2 {
                _ = try tree.archive(into: try made.reopened(nil, place), source: WorkloadVault.source(1))
            }
            #expect(try made.reopened(nil, place).freshnessProven)
            // The union of both branches' objects under the other branch's log.
            store.contents.merge(branch) { $1 }
            for name in store.contents.keys where name.hasPrefix("log/") { store.contents[name] = branch[name] }
            #expect(code { () throws(VaultError) in _ = try made.reopened(nil, place) } == .rolledBack)
        }
    }

    @Test("A snapshot of the host's state from earlier days still opens the vault and goes on from there")
    func oldState() throws {
        let store = MemoryStore()
        let made = try WorkloadVault(store)
        var tree = WorkloadTree(seed: 3, files: 6, chunked: 6_000)
        _ = try tree.archive(into: made.vault, source: WorkloadVault.source(1))
        let old = made.place.snapshot
        for _ in 0..<2 {
            tree.change()
            _ = try tree.archive(into: try made.reopened(), source: WorkloadVault.source(1))
        }
        let place = try WorkloadPlace(old)
        let vault = try made.reopened(nil, place)
        #expect(vault.freshnessProven)
        tree.change()
        let archive = try tree.archive(into: vault, source: WorkloadVault.source(1))
        try tree.check(archive, try made.reader(vault))
        #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
    }
}

@Suite("Writers and readers at once")
struct VaultConcurrencyFaultTests {
    private struct Made: Sendable {
        var id: Digest
        var tree: WorkloadTree
    }

    private func together(_ bodies: [@Sendable () throws -> Void]) throws {
        let failures = Mutex<[any Error]>([])
        var threads: [WorkerThread] = []
        for body in bodies {
            threads.append(
                try WorkerThread {
                    do { try body() } catch { failures.withLock { $0.append(error) } }
                })
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 }.isEmpty)
    }

    /// Two hosts, two sessions each at a time, and a reader: nobody waits for anybody, nothing is lost.
    private func crowd(_ store: any Store, runs: Int) throws {
        let made = try WorkloadVault(store)
        let second = try WorkloadPlace()
        let joining = try made.reopened(nil, second)
        try joining.enrol(label: "second", by: try made.unlock(joining))
        let archives = Mutex<[Made]>([])
        let isOver = Mutex(false)
        let writers: [@Sendable () throws -> Void] = [made.place, second].enumerated().flatMap { host, place in
            (0..<2).map { line -> @Sendable () throws -> Void in
                {
                    // The second line of the first host archives the same source as the first one does.
                    let source = WorkloadVault.source(UInt64(host == 0 ? 1 : 10 + line))
                    var tree = WorkloadTree(
                        seed: UInt64(host == 0 ? 0 : line), files: 3, fileBytes: 300, chunked: 3_000)
                    for run in 0..<(runs / 2) {
                        let vault = try made.reopened(nil, place)
                        let archive = try tree.archive(
                            into: vault, source: source, checkpoints: run % 3 == 1 ? [3] : [])
                        archives.withLock { $0.append(Made(id: archive.id, tree: tree)) }
                        tree.change()
                    }
                }
            }
        }
        let reads = Mutex(0)
        let reading: @Sendable () throws -> Void = {
            let place = try WorkloadPlace()
            while !isOver.withLock({ $0 }) {
                let known = archives.withLock { $0 }
                let vault = try made.reopened(nil, place)
                let reader = try made.reader(vault)
                for wanted in known.suffix(3) {
                    guard let archive = vault.log.archives.first(where: { $0.id == wanted.id }) else {
                        throw WorkloadMismatch("an acknowledged archive is not in the log")
                    }
                    try wanted.tree.check(archive, reader)
                    reads.withLock { $0 += 1 }
                }
            }
        }
        let readers = try WorkerThread { do { try reading() } catch { Issue.record(error) } }
        defer { readers.join() }
        do {
            defer { isOver.withLock { $0 = true } }
            try together(writers)
        }
        try finish(made, archives.withLock { $0 }, runs)
        #expect(reads.withLock { $0 } > 0)
    }

    private func finish(_ made: WorkloadVault, _ archives: [Made], _ runs: Int) throws {
        #expect(archives.count == 2 * runs)
        let place = try WorkloadPlace()
        let vault = try made.reopened(nil, place)
        #expect(Set(vault.log.archives.map(\.id)) == Set(archives.map(\.id)))
        let reader = try made.reader(vault)
        for wanted in archives {
            let archive = try #require(vault.log.archives.first { $0.id == wanted.id })
            try wanted.tree.check(archive, reader)
        }
        #expect(try Scrubber(vault).checkData(reader).damage.isEmpty)
        #expect(vault.log.sessions.values.allSatisfy { $0.ending == .committed })
        for name in try made.store.list("index").map(\.name) { try made.store.delete(name) }
        let rebuilding = try WorkloadPlace()
        #expect(try made.reopened(nil, rebuilding).repairIndex() > 2 * runs / 2)
        #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
    }

    @Test("Two hosts with two sessions each commit at once while a reader restores: no archive is lost")
    func memory() throws { try crowd(MemoryStore(), runs: 20) }

    @Test("The same over a directory of this machine")
    func disk() throws {
        let place = try WorkloadPlace()
        try crowd(try LocalStore.creating(path: "\(place.path)/vault"), runs: 20)
        withExtendedLifetime(place) {}
    }
}
