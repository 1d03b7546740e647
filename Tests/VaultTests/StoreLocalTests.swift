import Domain
import Glibc
import Synchronization
import TestSupport
import Testing
import Vault

@Suite("The store on this machine's disk")
struct StoreLocalTests {
    private func code(_ body: () throws -> Void) -> VaultError.Code? {
        do {
            try body()
        } catch let error as VaultError {
            return error.code
        } catch {}
        return nil
    }

    private func mode(_ path: String) -> UInt32 {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test("Only the owner may enter directories and read files")
    func modes() throws {
        let scratch = StoreScratch()
        let before = umask(0)
        defer { umask(before) }
        let store = try LocalStore.creating(path: "\(scratch.path)/vault")
        try store.put("packs/3f/aa", [1])
        _ = try store.putIfAbsent("vault.json", [1])
        for path in ["", "/packs", "/packs/3f", "/tmp"] { #expect(mode("\(scratch.path)/vault\(path)") == 0o700) }
        for path in ["/packs/3f/aa", "/vault.json"] { #expect(mode("\(scratch.path)/vault\(path)") == 0o600) }
    }

    @Test("A path without a directory is no vault, and a removed one is not an empty one")
    func noVault() throws {
        let scratch = StoreScratch()
        #expect(code { _ = try LocalStore(path: "\(scratch.path)/nowhere") } == .noVault)
        let store = try LocalStore.creating(path: "\(scratch.path)/vault")
        rmdir("\(scratch.path)/vault")
        #expect(code { _ = try store.length(of: "log/1") } == .noVault)
        #expect(code { _ = try store.length(of: "vault.json") } == .noVault)
        #expect(code { _ = try store.list("log") } == .noVault)
        #expect(code { try store.delete("log/1") } == .noVault)
    }

    @Test("Planted links, pipes and directories are damage, not objects")
    func planted() throws {
        let scratch = StoreScratch()
        let store = try LocalStore.creating(path: scratch.path)
        try store.put("log/1", [1])
        symlink("1", "\(scratch.path)/log/2")
        mkfifo("\(scratch.path)/log/3", 0o600)
        mkdir("\(scratch.path)/log/4", 0o700)
        symlink("/etc", "\(scratch.path)/keys")
        for name in ["log/2", "log/3", "log/4", "keys/passwd"] {
            #expect(code { _ = try store.get(name, limit: 1 << 20) } == .damaged, "\(name)")
            #expect(code { _ = try store.length(of: name) } == .damaged, "\(name)")
        }
        #expect(code { try store.put("keys/a", [1]) } == .damaged)
        #expect(code { _ = try store.list("keys") } == .damaged)
        #expect(code { _ = try store.list("log") } == .damaged)
        #expect(code { _ = try store.putIfAbsent("log/2", [1]) } == .damaged)
        unlink("\(scratch.path)/log/2")
        unlink("\(scratch.path)/log/3")
        // Names that no object can have belong to somebody else.
        mkdir("\(scratch.path)/log/lost+found", 0o700)
        mkfifo("\(scratch.path)/log/.hidden", 0o600)
        #expect(try store.list("log") == [ObjectInfo(name: "log/1", length: 1)])
    }

    @Test("Of many threads racing for one name exactly one creates it")
    func race() throws {
        for parent in ["/tmp", "/dev/shm"] {
            let scratch = StoreScratch(in: parent)
            let store = try LocalStore.creating(path: scratch.path)
            try store.probe()
            for round in 0..<40 {
                // In even rounds all bring the same bytes.
                let outcomes = try Racing.run(threads: 4) { thread in
                    try store.putIfAbsent("log/\(round)", [UInt8(round % 2 == 0 ? 0 : thread), 7])
                }
                #expect(outcomes.filter { $0 == .created }.count == 1)
                let others: PutOutcome = round % 2 == 0 ? .alreadyThere : .exists
                #expect(outcomes.filter { $0 == others }.count == 3)
                let winner = outcomes.firstIndex(of: .created) ?? 0
                #expect(try store.get("log/\(round)", limit: 2) == [UInt8(round % 2 == 0 ? 0 : winner), 7])
            }
            #expect(StoreScratch.names("\(scratch.path)/tmp").isEmpty)
        }
    }

    @Test("Leftovers of dead writers are removed, files in use are not")
    func staleTemporaries() throws {
        let scratch = StoreScratch()
        let store = try LocalStore.creating(path: scratch.path)
        #expect(try store.removeStaleTemporaries() == 0)
        let upload = try store.create("packs/00/a", sizeHint: 0)
        let block = [UInt8](repeating: 5, count: 100)
        try block.withUnsafeBytes { try upload.append($0) }
        for name in ["1-00", "2-00"] {
            let number = open("\(scratch.path)/tmp/\(name)", O_CREAT | O_WRONLY, 0o600)
            close(number)
        }
        #expect(StoreScratch.names("\(scratch.path)/tmp").count == 3)
        #expect(try store.removeStaleTemporaries() == 2)
        #expect(StoreScratch.names("\(scratch.path)/tmp").count == 1)
        try upload.finish()
        #expect(try store.get("packs/00/a", limit: 100) == block)
        #expect(StoreScratch.names("\(scratch.path)/tmp").isEmpty)
    }

    @Test("Blocks reserved by a hint that was too large are given back")
    func reservation() throws {
        let scratch = StoreScratch()
        let store = try LocalStore.creating(path: scratch.path)
        let upload = try store.create("packs/00/a", sizeHint: 64 << 20)
        let block = [UInt8](repeating: 5, count: 3_000_001)
        try block.withUnsafeBytes { try upload.append($0) }
        try upload.finish()
        var status = stat()
        #expect(lstat("\(scratch.path)/packs/00/a", &status) == 0)
        #expect(status.st_size == 3_000_001)
        #expect(status.st_blocks * 512 <= 4 << 20)
        #expect(try store.get("packs/00/a", limit: 4_000_000) == block)
    }

    @Test("A store that may only be read opens, lists and reads")
    func readOnly() throws {
        let scratch = StoreScratch()
        try LocalStore.creating(path: scratch.path).put("log/1", [1])
        let calls = FaultyCalls(
            LinuxCalls.shared,
            [.write, .makeDirectory, .link, .rename, .unlink, .syncFile, .syncDirectory].map {
                FaultyCalls.Fault($0, 1, .fail(EROFS), lasts: true)
            })
        let store = try LocalStore(path: scratch.path, calls: calls)
        #expect(try store.list("log") == [ObjectInfo(name: "log/1", length: 1)])
        #expect(try store.get("log/1", limit: 1) == [1])
        #expect(try store.length(of: "log/2") == nil)
        #expect(calls.hits == 0)
        #expect(code { try store.put("log/2", [1]) } == .notAllowed)
        #expect(code { try store.delete("log/1") } == .notAllowed)
    }
}

/// Starts threads at the same moment and gathers their results in order.
enum Racing {
    private final class Lane<Result: Sendable>: Sendable {
        let result = Mutex<Swift.Result<Result, any Error>?>(nil)
        let work: @Sendable () throws -> Result

        init(_ work: @escaping @Sendable () throws -> Result) { self.work = work }

        func run() {
            let made = Swift.Result { try work() }
            result.withLock { $0 = made }
        }
    }

    private final class Box {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    static func run<Result: Sendable>(
        threads count: Int, _ body: @escaping @Sendable (Int) throws -> Result
    ) throws -> [Result] {
        let waiting = Atomic<Int>(count)
        let gate = Gate(waiting)
        let lanes = (0..<count).map { index in
            Lane {
                gate.pass()
                return try body(index)
            }
        }
        let threads = lanes.map { lane in
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box { lane.run() })
            pthread_create(
                &thread, nil,
                { argument in
                    if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().run() }
                    return nil
                }, box.toOpaque())
            return thread
        }
        for thread in threads { pthread_join(thread, nil) }
        return try lanes.compactMap { lane in try lane.result.withLock { $0 }?.get() }
    }

    private final class Gate: Sendable {
        private let waiting: Atomic<Int>
        init(_ waiting: consuming Atomic<Int>) { self.waiting = waiting }

        func pass() {
            waiting.subtract(1, ordering: .relaxed)
            while waiting.load(ordering: .relaxed) > 0 { sched_yield() }
        }
    }
}
