import Domain
import Foundation
import Glibc
import Synchronization
import Testing
import Vault
import WALClient

@testable import Operations

/// A desk that has a key, and a vault with the smallest segments there are.
private final class FetchBench {
    static let cluster = WALCluster(systemID: 7, incarnation: 1)
    let files: WALFiles
    let workplace: Workplace
    let desk: WALDesk
    private var others: [WALDesk] = []

    init() throws {
        files = try WALFiles()
        let scratch = files.scratch
        let passphrase = Array("a passphrase of this test".utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: scratch.place("kit"), passphrase: { passphrase }, suite: "blake3"),
            at: scratch.workplace("a passphrase of this test"))
        workplace = try scratch.workplace(kit: scratch.place("kit"))
        desk = WALDesk(statePath: workplace.statePath, keyPath: scratch.place("kit"))
        try serve(desk)
    }

    deinit { for desk in others + [desk] { desk.stop() } }

    private func serve(_ desk: WALDesk) throws {
        let source = WALSource(name: "main")
        try #require(desk.serve([(policy: "log", vault: workplace.vaultPath, source: source)]).isEmpty)
    }

    /// As after a start of the daemon, or with another `state` on a host that lost everything.
    func another(state: String = "state") throws -> WALDesk {
        let made = WALDesk(statePath: files.scratch.place(state), keyPath: files.scratch.place("kit"))
        others.append(made)
        try serve(made)
        return made
    }

    static func content(_ number: UInt64) -> Data { WALFiles.segment(number, filling: UInt8(number)) }

    /// Puts the segments into an archive of their own.
    func archive(_ numbers: ClosedRange<UInt64>) throws {
        let spool = try #require(desk.served.first).spool
        for number in numbers { try files.give(Self.content(number), WALFiles.name(number), to: spool) }
        var policy = Policy(name: "log", component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = [.wal(WALSource(name: "main"))]
        let report = try ArchiveTrees.run(.init(policy: policy), at: workplace)
        try #require(report.problemCount == 0, "\(report.problems)")
        // What is archived leaves the spool beside.
        for number in numbers {
            let file = try #require(WALFileName(WALFiles.name(number)))
            let path = spool.path(of: WALKey(cluster: Self.cluster, file: file))
            for _ in 0..<1000 where access(path, F_OK) == 0 { usleep(10_000) }
            try #require(access(path, F_OK) != 0)
        }
    }

    func fetch(_ number: UInt64, from desk: WALDesk? = nil) -> (status: WALReply.Status, content: Data?) {
        Self.fetch(number, from: desk ?? self.desk)
    }

    static func fetch(_ number: UInt64, from desk: WALDesk) -> (status: WALReply.Status, content: Data?) {
        let request = WALRequest(.fetch, source: "main", file: WALFiles.name(number), systemID: cluster.systemID)
        let (reply, file) = desk.answer(request, nil, from: geteuid())
        guard let file else { return (reply.status, nil) }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        return (reply.status, try? handle.readToEnd())
    }

    /// Names in the cache.
    func cached(state: String = "state") throws -> Set<String> {
        let folder = files.scratch.place("\(state)/wal/main/fetched/\(Self.cluster)")
        return Set(try StateFile.list(folder))
    }

    func wait(for number: UInt64, state: String = "state") throws {
        for _ in 0..<1000 where try !cached(state: state).contains(WALFiles.name(number)) { usleep(10_000) }
        try #require(try cached(state: state).contains(WALFiles.name(number)))
    }

    /// Files of the vault that hold chunks.
    func packs() throws -> Set<String> {
        let folder = files.scratch.place("vault/packs")
        let names = try #require(FileManager.default.enumerator(atPath: folder)).compactMap { $0 as? String }
        return Set(names.map { "\(folder)/\($0)" }.filter { (try? Data(contentsOf: URL(filePath: $0))) != nil })
    }
}

@Suite("Fetching WAL")
struct WALFetchTests {
    @Test("A recovery gets all segments in order with their bytes, the next ones are there before, and few stay")
    func inOrder() throws {
        let bench = try FetchBench()
        for first in stride(from: UInt64(1), through: 40, by: 5) { try bench.archive(first...(first + 4)) }
        for number in UInt64(1)...40 {
            let (status, content) = bench.fetch(number)
            #expect(status == .done && content == FetchBench.content(number), "\(number)")
            // Nobody asked for it yet.
            if number == 1 { try bench.wait(for: 9) }
        }
        #expect(bench.fetch(41).status == .absent)
        bench.desk.stop()
        let left = try bench.cached()
        #expect(left.count <= FetchedWAL.limit && left.contains(WALFiles.name(40)))
        #expect(left.allSatisfy { WALFileName($0) != nil }, "\(left)")
    }

    @Test("Many who ask at once, in any order, get the right bytes")
    func atOnce() throws {
        let bench = try FetchBench()
        for first in stride(from: UInt64(1), through: 20, by: 4) { try bench.archive(first...(first + 3)) }
        let desk = bench.desk
        let wrong = Mutex<[UInt64]>([])
        DispatchQueue.concurrentPerform(iterations: 6) { thread in
            for number in (UInt64(1)...20) {
                let asked = thread.isMultiple(of: 2) ? number : 21 - number
                let (status, content) = FetchBench.fetch(asked, from: desk)
                if status != .done || content != FetchBench.content(asked) { wrong.withLock { $0.append(asked) } }
            }
        }
        #expect(wrong.withLock { $0 } == [])
    }

    @Test("Who asks for a segment that is just being read waits for that one, and nobody else does")
    func beingRead() throws {
        let bench = try FetchBench()
        try bench.archive(1...4)
        let desk = bench.desk
        let one = try #require(desk.served.first)
        let name = try #require(WALFileName(WALFiles.name(2)))
        let file = FetchedWAL.File(one: one, systemID: 7, cluster: FetchBench.cluster, name: name)
        desk.fetched.claim(file)
        let answered = Mutex<Data?>(nil)
        let asking = try WorkerThread {
            let content = FetchBench.fetch(2, from: desk).content
            answered.withLock { $0 = content }
        }
        usleep(300_000)
        #expect(bench.fetch(3).status == .done)
        #expect(answered.withLock { $0 } == nil)
        // It could not be read: who waited reads it himself.
        desk.fetched.release(file, isThere: false)
        asking.join()
        #expect(answered.withLock { $0 } == FetchBench.content(2))
    }

    @Test("Damage that reading ahead meets is told to the fetch that asks for that segment, and to no other")
    func damaged() throws {
        let bench = try FetchBench()
        try bench.archive(1...2)
        let before = try bench.packs()
        try bench.archive(3...3)
        let damaged = try bench.packs().subtracting(before)
        try #require(!damaged.isEmpty)
        try bench.archive(4...5)
        for path in damaged { #expect(rename(path, path + ".away") == 0) }
        for number in UInt64(1)...2 {
            #expect(bench.fetch(number).content == FetchBench.content(number))
            usleep(200_000)
        }
        for _ in 0..<2 { #expect(bench.fetch(3).status == .tryAgain) }
        #expect(try !bench.cached().contains { $0.hasPrefix(WALFiles.name(3)) })
        for number in UInt64(4)...5 { #expect(bench.fetch(number).content == FetchBench.content(number)) }
        for path in damaged { #expect(rename(path + ".away", path) == 0) }
        #expect(bench.fetch(3).content == FetchBench.content(3))
    }

    @Test("The end of the desk ends what is being read, leaves no half of a file, and nothing is read after it")
    func stopped() throws {
        let bench = try FetchBench()
        try bench.archive(1...12)
        #expect(bench.fetch(1).status == .done)
        let began = MonotonicTime.now()
        bench.desk.stop()
        #expect(MonotonicTime.now() - began < 5)
        let left = try bench.cached()
        #expect(left.allSatisfy { WALFileName($0) != nil }, "\(left)")
        #expect(bench.fetch(12).status == .tryAgain)
        usleep(100_000)
        #expect(try bench.cached() == left)
    }

    @Test("What a crash cut in the cache is never delivered: the daemon begins with an empty one")
    func emptied() throws {
        let bench = try FetchBench()
        try bench.archive(1...2)
        #expect(bench.fetch(1).status == .done)
        try bench.wait(for: 2)
        bench.desk.stop()
        let folder = bench.files.scratch.place("state/wal/main/fetched")
        for number in UInt64(1)...2 {
            #expect(truncate("\(folder)/\(FetchBench.cluster)/\(WALFiles.name(number))", 4096) == 0)
        }
        try Data([1]).write(to: URL(filePath: "\(folder)/stray"))
        // Others that open the spool leave the cache alone.
        _ = try WALSpool(name: "main", statePath: bench.files.scratch.place("state")).index()
        #expect(try bench.cached() == [WALFiles.name(1), WALFiles.name(2)])
        let desk = try bench.another()
        #expect(try bench.cached().isEmpty && access("\(folder)/stray", F_OK) != 0)
        for number in UInt64(1)...2 { #expect(bench.fetch(number, from: desk).content == FetchBench.content(number)) }
    }

    @Test("What was archived after the vault was opened is delivered, not absent, on a host that lost its ledger too")
    func archivedMeanwhile() throws {
        let bench = try FetchBench()
        try bench.archive(1...2)
        let other = try bench.another(state: "other")
        for desk in [bench.desk, other] {
            #expect(bench.fetch(1, from: desk).status == .done)
            #expect(bench.fetch(3, from: desk).status == .absent)
        }
        try bench.wait(for: 2, state: "other")
        try bench.archive(3...3)
        for desk in [bench.desk, other] { #expect(bench.fetch(3, from: desk).content == FetchBench.content(3)) }
        #expect(bench.fetch(4, from: other).status == .absent)
    }

    @Test("What reads a vault is let go of after its time")
    func letGo() throws {
        let bench = try FetchBench()
        try bench.archive(1...2)
        let one = try #require(bench.desk.served.first)
        #expect(bench.fetch(1).status == .done)
        #expect(bench.desk.fetched.opened(one) != nil)
        usleep(UInt32((FetchedWAL.openSeconds + 1) * 1e6))
        #expect(bench.desk.fetched.opened(one) == nil)
    }
}
