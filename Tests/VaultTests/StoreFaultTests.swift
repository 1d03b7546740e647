import Domain
import Glibc
import TestSupport
import Testing
import Vault

@Suite("Failing system calls under the store")
struct StoreFaultTests {
    /// Runs a history with one fault at the n-th call, for every n, until no call is hit any more.
    private func everyCall(
        _ call: FaultyCalls.Call?, _ effect: FaultyCalls.Effect, from first: Int = 1, every step: Int = 1,
        check: (StoreHistory, Int) throws -> Void
    ) throws -> Int {
        var ordinal = first
        while true {
            let disk = SimulatedDisk()
            let calls = FaultyCalls(disk, [.init(call, ordinal, effect)])
            do {
                var history = try StoreHistory(disk, calls: calls)
                try history.live()
                if calls.hits == 0 { return ordinal }
                try check(history, ordinal)
            } catch let error as VaultError {
                #expect(error.code == .io || error.code == .noSpace, "call \(ordinal): \(error)")
            }
            #expect(disk.openDescriptors == 0, "call \(ordinal) leaks a descriptor")
            ordinal += step
        }
    }

    @Test("A full or failing disk at any call is an error or harmless, never a loss", arguments: [ENOSPC, EIO])
    func errors(number: Int32) throws {
        let calls = try everyCall(nil, .fail(number)) { history, ordinal in
            // Later steps may be refused because of the first failure.
            if let error = history.errors.first {
                #expect(error.code == (number == EIO ? .io : .noSpace), "call \(ordinal): \(error)")
            }
            _ = try history.checkLast(seed: UInt64(ordinal), count: 4)
        }
        #expect(calls > 200)
    }

    @Test("A failing write in the thread of a large upload reaches the caller", arguments: [ENOSPC, EIO])
    func largeUpload(number: Int32) throws {
        for ordinal in 1...7 {
            let disk = SimulatedDisk()
            let calls = FaultyCalls(disk, [.init(.write, ordinal, .fail(number))])
            var history = try StoreHistory(disk, calls: calls)
            try history.upload("index/big", StoreHistory.bytes((5 << 20) + 5000, 31))
            #expect(history.errors.map(\.code) == [number == EIO ? .io : .noSpace])
            #expect(try history.store.list("index").isEmpty)
            try history.upload("index/big", StoreHistory.bytes((5 << 20) + 5000, 31))
            #expect(history.errors.count == 1)
            _ = try history.checkLast(seed: UInt64(ordinal), count: 3)
        }
    }

    @Test("A short direct write, which leaves an unaligned rest, goes on through the page cache")
    func shortDirectWrite() throws {
        for effect in [FaultyCalls.Effect.short(700), .fail(EINVAL), .fail(EINTR)] {
            let disk = SimulatedDisk()
            let calls = FaultyCalls(disk, [.init(.write, 2, effect)])
            var history = try StoreHistory(disk, calls: calls)
            try history.upload("index/big", StoreHistory.bytes((3 << 20) + 5000, 31))
            #expect(history.errors.isEmpty)
            #expect(calls.hits == 1)
            _ = try history.checkLast(seed: 1, count: 3)
        }
    }

    @Test("A call whose reply was lost is never acknowledged wrongly")
    func lostReplies() throws {
        _ = try everyCall(nil, .failAfterwards(EIO)) { history, ordinal in
            _ = try history.checkLast(seed: UInt64(ordinal), count: 4)
        }
    }

    @Test("A lost reply to the creation of a name is recognised as success", arguments: [EIO, EEXIST, EINTR])
    func lostCreation(number: Int32) throws {
        for (call, hasLinks) in [(FaultyCalls.Call.link, true), (.rename, false)] {
            var traits = SimulatedDisk.Traits()
            traits.hasLinks = hasLinks
            let disk = SimulatedDisk(traits: traits)
            let calls = FaultyCalls(disk)
            let store = try LocalStore.creating(path: "/vault", calls: calls)
            try store.probe()
            calls.arm([.init(call, 1, .failAfterwards(number))])
            #expect(try store.putIfAbsent("log/1", [1, 2]) == .created)
            #expect(calls.hits == 1)
            #expect(try store.get("log/1", limit: 2) == [1, 2])
            calls.arm([.init(.rename, 1, .failAfterwards(number))])
            try store.put("log/1", [3])
            #expect(try store.get("log/1", limit: 2) == [3])
        }
    }

    @Test("Signals and short counts disturb nothing but syncs")
    func interruptions() throws {
        let patient = FaultyCalls.Call.allCases.filter { ![.syncFile, .syncDirectory].contains($0) }
        for call in patient {
            _ = try everyCall(call, .fail(EINTR), every: 3) { history, ordinal in
                #expect(history.errors.isEmpty, "\(call) \(ordinal): \(history.errors)")
                _ = try history.checkLast(seed: UInt64(ordinal), count: 3)
            }
        }
        for call in [FaultyCalls.Call.read, .write] {
            _ = try everyCall(call, .short(700)) { history, ordinal in
                #expect(history.errors.isEmpty, "\(call) \(ordinal): \(history.errors)")
                _ = try history.checkLast(seed: UInt64(ordinal), count: 3)
            }
        }
    }

    @Test("A failed sync is not repeated on the same file")
    func failedSync() throws {
        let disk = SimulatedDisk()
        let calls = FaultyCalls(disk)
        let store = try LocalStore.creating(path: "/vault", calls: calls)
        try store.put("log/0", [0])
        calls.arm([.init(.syncFile, 1, .fail(EIO))])
        #expect(throws: VaultError.self) { try store.put("log/1", [1]) }
        #expect(calls.count(.syncFile) == 1)
        #expect(try store.length(of: "log/1") == nil)
        #expect(try store.list("log").count == 1)
        try store.put("log/1", [1])
        #expect(calls.count(.syncFile) == 2)
    }

    @Test("After a failed directory sync nothing more is written there until the store is opened again")
    func failedDirectorySync() throws {
        let disk = SimulatedDisk()
        let calls = FaultyCalls(disk)
        let store = try LocalStore.creating(path: "/vault", calls: calls)
        try store.put("log/0", [0])
        try store.put("packs/00/a", [0])
        calls.arm([.init(.syncDirectory, 1, .fail(EIO))])
        #expect(throws: VaultError.self) { try store.putIfAbsent("log/1", [1]) }
        #expect(throws: VaultError.self) { try store.putIfAbsent("log/1", [1]) }
        #expect(throws: VaultError.self) { try store.put("log/2", [1]) }
        #expect(throws: VaultError.self) { try store.delete("log/0") }
        #expect(try store.get("log/0", limit: 1) == [0])
        try store.put("packs/00/b", [1])
        let again = try LocalStore(path: "/vault", calls: calls)
        #expect(try again.putIfAbsent("log/1", [1]) == .alreadyThere)
    }

    @Test("Directories that are there cost a sync of what is above them once, not each; new ones each")
    func syncsAbove() throws {
        let disk = SimulatedDisk()
        let names = ["log/1", "refs/1", "index/1", "packs/00/a", "packs/01/a", "packs/02/a"]
        do {
            let store = try LocalStore.creating(path: "/vault", calls: disk)
            for name in names { try store.put(name, [1]) }
        }
        let calls = FaultyCalls(disk)
        let store = try LocalStore(path: "/vault", calls: calls)
        for name in names { try store.put(name, [2]) }
        #expect(calls.count(.syncDirectory) == names.count + 2)
        try store.put("packs/03/a", [1])
        try store.put("manifests/1", [1])
        #expect(calls.count(.syncDirectory) == names.count + 2 + 4)
    }

    @Test("A listing or a length that cannot be read is an error, not absence")
    func unreadable() throws {
        let disk = SimulatedDisk()
        let calls = FaultyCalls(disk)
        let store = try LocalStore.creating(path: "/vault", calls: calls)
        for index in 0..<9 { try store.put("log/\(index)", [1]) }
        for ordinal in 1...4 {
            calls.arm([.init(.readDirectory, ordinal, .fail(EIO))])
            #expect(throws: VaultError.self) { try store.list("log") }
        }
        for call in [FaultyCalls.Call.open, .status] {
            for number in [EIO, EACCES, ESTALE, EMFILE] {
                calls.arm([.init(call, 1, .fail(number))])
                #expect(throws: VaultError.self) { try store.length(of: "log/1") }
                calls.arm([.init(call, 2, .fail(number))])
                #expect(throws: VaultError.self) { try store.list("log") }
            }
        }
        calls.arm([.init(.read, 1, .fail(EIO))])
        #expect(throws: VaultError.self) { try store.get("log/1", limit: 1) }
    }

    @Test("A disk that fills up during a large upload says so and keeps what was there")
    func fullDisk() throws {
        var traits = SimulatedDisk.Traits()
        traits.capacity = 3 << 20
        let disk = SimulatedDisk(traits: traits)
        let store = try LocalStore.creating(path: "/vault", calls: disk)
        try store.put("packs/00/a", [1])
        let block = [UInt8](repeating: 7, count: 100_000)
        func attempt() throws {
            let upload = try store.create("packs/00/b", sizeHint: 0)
            for _ in 0..<100 { try block.withUnsafeBytes { try upload.append($0) } }
            try upload.finish()
        }
        do {
            try attempt()
            Issue.record("the upload succeeded")
        } catch let error as VaultError {
            #expect(error.code == .noSpace)
            #expect(!error.hint.isEmpty)
        }
        #expect(try store.list("packs").map(\.name) == ["packs/00/a"])
        try store.delete("packs/00/a")
        #expect(try store.list("packs").isEmpty)
        #expect(disk.openDescriptors == 1)
    }
}
