import Domain
import Glibc
import TestSupport
import Testing
import Vault

/// A small history of a store: what was acknowledged when, and whether a disk still keeps every promise.
struct StoreHistory {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    private struct Step {
        var name: String
        /// Nil means deleted.
        var bytes: [UInt8]?
        /// Changes recorded when the step began.
        var began: Int
        /// Changes recorded when it was acknowledged; nil when it failed.
        var acknowledged: Int?
    }

    static let path = "/srv/vault"
    let disk: SimulatedDisk
    let store: LocalStore
    private let created: Int
    private var steps: [Step] = []
    private(set) var errors: [VaultError] = []

    init(_ disk: SimulatedDisk, calls: (any FileSystemCalls)? = nil) throws(VaultError) {
        self.disk = disk
        store = try LocalStore.creating(path: Self.path, calls: calls ?? disk)
        created = disk.operationCount
    }

    mutating func step(_ name: String, _ bytes: [UInt8]?, _ body: (LocalStore) throws -> Void) throws {
        let began = disk.operationCount
        do {
            try body(store)
            steps.append(Step(name: name, bytes: bytes, began: began, acknowledged: disk.operationCount))
        } catch let error as VaultError {
            errors.append(error)
            steps.append(Step(name: name, bytes: bytes, began: began))
        }
    }

    mutating func claim(_ name: String, _ bytes: [UInt8]) throws {
        try step(name, bytes) { store in
            guard try store.putIfAbsent(name, bytes) != .exists else {
                throw Violation(description: "\(name) holds other bytes")
            }
        }
    }

    mutating func upload(_ name: String, _ bytes: [UInt8]) throws {
        try step(name, bytes) { store in
            let upload = try store.create(name, sizeHint: bytes.count * 2)
            try bytes.withUnsafeBytes { try upload.append($0) }
            try upload.finish()
        }
    }

    /// Every kind of writing that a vault does, in directories old and new; `large` is the length of the big object.
    mutating func live(large: Int = 20_000) throws {
        try claim("vault.json", Self.bytes(700, 1))
        for index in 0..<3 {
            try step("packs/0\(index)/p", Self.bytes(1500, 2 + index)) { store in
                try store.put("packs/0\(index)/p", Self.bytes(1500, 2 + index))
            }
            try claim("log/\(index)", Self.bytes(900, 20 + index))
            try claim("log/\(index)", Self.bytes(900, 20 + index))
        }
        try upload("packs/01/q", Self.bytes(5000, 30))
        try upload("index/big", Self.bytes(large, 31))
        try step("packs/00/p", nil) { try $0.delete("packs/00/p") }
        try step("packs/01/q", Self.bytes(5000, 30)) { try $0.put("packs/01/q", Self.bytes(5000, 30)) }
        try claim("log/3", Self.bytes(10, 40))
    }

    static func bytes(_ count: Int, _ seed: Int) -> [UInt8] {
        StoreContract.pattern(count, seed: UInt64(seed))
    }

    /// Cuts the power after every change and opens what is left; returns the number of states seen.
    func checkAllCrashes(seed: UInt64, perOperation: Int, every stride: Int = 1) throws -> Int {
        var seen = 0
        for operation in Swift.stride(from: 0, through: disk.operationCount, by: stride) {
            for state in disk.crashStates(afterOperation: operation, seed: seed, count: perOperation) {
                do {
                    try check(state, cutAt: operation)
                } catch {
                    throw Violation(description: "seed \(seed), change \(operation): \(error)")
                }
                seen += 1
            }
        }
        return seen
    }

    private func check(_ state: SimulatedDisk, cutAt operation: Int) throws {
        let store: LocalStore
        do throws(VaultError) {
            store = try LocalStore(path: Self.path, calls: state)
        } catch {
            if operation < created, error.code == .noVault { return }
            throw error
        }
        for name in Set(steps.map(\.name)) {
            let found = try store.length(of: name) == nil ? nil : store.get(name, limit: 1 << 24)
            guard allowed(name, at: operation).contains(found) else {
                throw Violation(description: "\(name) is \(found.map { "\($0.count) bytes" } ?? "absent")")
            }
        }
        for directory in ["", "log", "packs", "index"] {
            let known = Set(steps.map(\.name))
            for info in try store.list(directory) where !known.contains(info.name) {
                throw Violation(description: "\(info.name) came from nowhere")
            }
        }
        try goesOn(store)
    }

    /// What may be found under the name: the last acknowledged bytes, or those of any step begun since.
    private func allowed(_ name: String, at operation: Int) -> [[UInt8]?] {
        var allowed: [[UInt8]?] = [nil]
        for step in steps where step.name == name && step.began < operation {
            if let acknowledged = step.acknowledged, acknowledged <= operation { allowed = [] }
            allowed.append(step.bytes)
        }
        return allowed
    }

    /// No manual step is needed to go on.
    private func goesOn(_ store: LocalStore) throws {
        try store.removeStaleTemporaries()
        guard try store.putIfAbsent("log/next", [1]) == .created else {
            throw Violation(description: "the next record cannot be created")
        }
        try store.put("packs/00/p", [2])
        guard try store.get("packs/00/p", limit: 1) == [2] else { throw Violation(description: "put is lost") }
    }
}

@Suite("Power cuts under the store")
struct StoreCrashTests {
    @Test("What was acknowledged survives every power cut, and nothing is ever half there")
    func everyCrash() throws {
        var history = try StoreHistory(SimulatedDisk())
        try history.live()
        #expect(history.errors.isEmpty)
        let seen = try history.checkAllCrashes(seed: 4711, perOperation: 40)
        #expect(seen > 5000)
    }

    @Test("The same holds for an object of several buffers, which a thread of its own writes")
    func largeObject() throws {
        var history = try StoreHistory(SimulatedDisk())
        try history.upload("index/big", StoreHistory.bytes((5 << 20) + 5000, 31))
        #expect(history.errors.isEmpty)
        _ = try history.checkAllCrashes(seed: 4713, perOperation: 4)
    }

    @Test("The same holds where names are taken by exclusive renames")
    func everyCrashWithoutLinks() throws {
        var traits = SimulatedDisk.Traits()
        traits.hasLinks = false
        var history = try StoreHistory(SimulatedDisk(traits: traits))
        try history.live()
        _ = try history.checkAllCrashes(seed: 4712, perOperation: 6)
    }

    @Test("The test notices a store that forgets to sync directories or files")
    func plantedBugs() throws {
        for bug in 0..<2 {
            var traits = SimulatedDisk.Traits()
            traits.ignoresDirectorySyncs = bug == 0
            traits.ignoresFileSyncs = bug == 1
            var history = try StoreHistory(SimulatedDisk(traits: traits))
            try history.claim("log/1", StoreHistory.bytes(900, 1))
            #expect(throws: StoreHistory.Violation.self) {
                _ = try history.checkAllCrashes(seed: 1, perOperation: 8)
            }
        }
    }

    @Test("A sync that fails once and then lies loses nothing that was acknowledged, even when the caller tries again")
    func failingSyncs() throws {
        var ordinal = 1
        while true {
            var traits = SimulatedDisk.Traits()
            traits.failingSyncs = [ordinal]
            let disk = SimulatedDisk(traits: traits)
            var history: StoreHistory
            do throws(VaultError) {
                history = try StoreHistory(disk)
            } catch {
                ordinal += 1
                continue
            }
            try history.live()
            try history.tryAgain()
            if history.errors.isEmpty { break }
            _ = try history.checkAllCrashes(seed: UInt64(ordinal), perOperation: 3, every: 3)
            _ = try history.checkLast(seed: UInt64(ordinal), count: 12)
            ordinal += 1
        }
        #expect(ordinal > 30)
    }

    @Test("The bytes of another writer that died before its sync are made durable before they are acknowledged")
    func adoption() throws {
        let disk = SimulatedDisk()
        do {
            let dead = try LocalStore.creating(
                path: StoreHistory.path, calls: FaultyCalls(disk, [.init(.syncDirectory, 5, .skip, lasts: true)]))
            #expect(try dead.putIfAbsent("log/0", StoreHistory.bytes(900, 20)) == .created)
        }
        var history = try StoreHistory(disk)
        try history.claim("log/0", StoreHistory.bytes(900, 20))
        #expect(history.errors.isEmpty)
        _ = try history.checkLast(seed: 3, count: 50)
    }

    @Test(
        "A directory that somebody made and did not sync is durable before it is used, also behind the first sync above it"
    )
    func laterDirectories() throws {
        let disk = SimulatedDisk()
        var history = try StoreHistory(disk)
        try history.claim("log/0", StoreHistory.bytes(900, 20))
        try history.upload("packs/00/p", StoreHistory.bytes(1500, 2))
        for (above, name) in [("", "index"), ("/packs", "01")] {
            let directory = disk.open(StoreHistory.path + above, in: AT_FDCWD, flags: O_DIRECTORY, mode: 0)
            #expect(disk.makeDirectory(name, in: directory, mode: 0o700) == 0)
            #expect(disk.close(directory) == 0)
        }
        try history.upload("index/big", StoreHistory.bytes(2000, 31))
        try history.upload("packs/01/q", StoreHistory.bytes(2000, 30))
        #expect(history.errors.isEmpty)
        _ = try history.checkLast(seed: 5, count: 50)
    }
}

extension StoreHistory {
    /// Does some of it again in the same store, as a caller would after an error, and goes on.
    mutating func tryAgain() throws {
        if errors.isEmpty { return }
        try claim("log/0", Self.bytes(900, 20))
        try claim("log/3", Self.bytes(10, 40))
        try upload("packs/02/r", Self.bytes(5000, 50))
    }

    /// Cuts the power at the end; returns the number of states seen.
    func checkLast(seed: UInt64, count: Int) throws -> Int {
        for state in disk.crashStates(afterOperation: disk.operationCount, seed: seed, count: count) {
            try check(state, cutAt: disk.operationCount)
        }
        return count
    }
}
