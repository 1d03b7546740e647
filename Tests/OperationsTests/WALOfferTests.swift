import Domain
import Foundation
import Glibc
import Synchronization
import Testing
import Vault
import WALClient

@testable import Operations

/// The daemon's desk for WAL behind its socket, and helpers that push to it from a server's directory. An archive is made where
/// the test says so: what the spool and its ledger say of it is all that a push hears.
private struct OfferBench {
    let files: WALFiles
    let desk: WALDesk
    /// How often somebody began to wait for the vault.
    let waits = Counter()

    final class Counter: Sendable {
        let value = Atomic<Int>(0)
        var now: Int { value.load(ordering: .relaxed) }
    }

    /// `onWaiting` is given the state directory.
    init(
        _ acknowledge: WALSource.Acknowledgement = .vault, onWaiting: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        files = try WALFiles()
        let state = files.scratch.place("state")
        desk = WALDesk(statePath: state, keyPath: nil) { [waits] in
            waits.value.add(1, ordering: .relaxed)
            onWaiting(state)
        }
        var source = WALSource(name: "main")
        source.acknowledge = acknowledge
        #expect(desk.serve([("wal", files.scratch.place("vault"), source)]).isEmpty)
    }

    var one: WALDesk.Served { desk.served[0] }
    var socket: String { files.scratch.place("s") }

    /// As `archive` does with what waits: another instance of the spool tells the ledger.
    static func archive(_ id: String, of state: String) throws {
        let spool = try WALSpool(name: "main", statePath: state)
        try spool.noteArchived(Array(try spool.index().waiting), in: id)
    }

    func archive(_ id: String) throws {
        try Self.archive(id, of: files.scratch.place("state"))
        desk.tellWaiting()
    }

    /// Finished segments, as the server says.
    func write(_ numbers: ClosedRange<UInt64>, ready: (UInt64) -> Bool = { _ in true }) throws {
        let status = files.scratch.place("pg_wal/archive_status")
        try FileManager.default.createDirectory(atPath: status, withIntermediateDirectories: true)
        for number in numbers {
            let name = WALFiles.name(number)
            try WALFiles.segment(number).write(to: URL(filePath: files.scratch.place("pg_wal/\(name)")))
            if ready(number) { try Data().write(to: URL(filePath: "\(status)/\(name).ready")) }
        }
    }

    /// Through the socket, as PostgreSQL does.
    func push(_ number: UInt64, to socket: String? = nil) -> Pushing {
        let path = files.scratch.place("pg_wal/\(WALFiles.name(number))")
        return Pushing(["--socket", socket ?? self.socket, "--source", "main", "push", path])
    }

    /// A helper that goes on beside.
    final class Pushing: Sendable {
        private let ended = Mutex<Int32?>(nil)
        var status: Int32? { ended.withLock { $0 } }

        init(_ words: [String]) {
            Thread.detachNewThread { [self] in
                let status = WALProgram.run(words)
                ended.withLock { $0 = status }
            }
        }

        func wait() -> Int32? {
            for _ in 0..<1000 where status == nil { usleep(10_000) }
            return status
        }
    }

    /// Without the socket.
    func ask(_ verb: WALRequest.Verb, _ number: UInt64, _ content: Data) throws -> WALReply {
        let path = files.scratch.place("given")
        try content.write(to: URL(filePath: path))
        let file = open(path, O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        let request = WALRequest(verb, source: "", file: WALFiles.name(number), systemID: 0)
        return desk.answer(request, file, from: geteuid()).reply
    }
}

@Suite("WAL that is acknowledged by the vault")
struct WALOfferTests {
    @Test("An offer is taken into the spool and acknowledges nothing; its push is, when an archive holds the same")
    func offered() throws {
        let bench = try OfferBench()
        #expect(try bench.ask(.offer, 3, WALFiles.segment(3)).status == .done)
        let spool = bench.one.spool
        #expect(try spool.index().waiting.count == 1 && bench.files.ledger().count == 1)
        #expect(bench.waits.now == 0)
        #expect(bench.desk.due(bench.one) == .atOnce)
        #expect(try bench.ask(.offer, 3, WALFiles.segment(3)).status == .done, "the same again")
        try bench.archive("a")
        #expect(bench.desk.due(bench.one) == .no)
        #expect(bench.desk.archives(of: "wal") == 1)
        #expect(try bench.ask(.push, 3, WALFiles.segment(3)).status == .done)
        #expect(bench.waits.now == 0, "nobody had to wait")
        #expect(try bench.files.ledger().count == 2)
    }

    @Test("A push with other content than was offered is put aside and refused, and what was offered stays")
    func contradiction() throws {
        let bench = try OfferBench()
        #expect(try bench.ask(.offer, 3, WALFiles.segment(3)).status == .done)
        // Not even compared: the push does it.
        #expect(try bench.ask(.offer, 3, WALFiles.segment(3, filling: 1)).status == .done)
        #expect(try bench.one.spool.quarantined().isEmpty)
        for isArchived in [false, true] {
            if isArchived { try bench.archive("a") }
            #expect(try bench.ask(.push, 3, WALFiles.segment(3, filling: 1)).status == .refused)
            #expect(try bench.one.spool.quarantined().count == 1)
            #expect(bench.one.failure?.contains("other content") == true)
        }
        #expect(try bench.ask(.push, 3, WALFiles.segment(3)).status == .done)
        #expect(bench.one.failure == nil)
    }

    @Test("What is wrong with an offer is no problem of the source, and where the spool acknowledges none is taken")
    func refused() throws {
        let bench = try OfferBench()
        #expect(try bench.ask(.offer, 4, WALFiles.segment(3)).status == .refused)
        #expect(try bench.ask(.offer, 3, Data("short".utf8)).status == .refused)
        #expect(bench.one.failure == nil && bench.desk.trouble(bench.one) == nil)
        let quick = try OfferBench(.spool)
        #expect(try quick.ask(.offer, 3, WALFiles.segment(3)).status == .refused)
        #expect(try quick.one.spool.index().records.isEmpty)
        #expect(try quick.ask(.push, 3, WALFiles.segment(3)).status == .done)
    }

    @Test("A push that waits says so at once, and is answered as soon as an archive holds its segment")
    func waits() throws {
        let told = Mutex<WALDesk?>(nil)
        let bench = try OfferBench { state in
            Thread.detachNewThread {
                usleep(20_000)
                try? OfferBench.archive("a", of: state)
                told.withLock { $0 }?.tellWaiting()
            }
        }
        told.withLock { $0 = bench.desk }
        defer { told.withLock { $0 = nil } }
        var quickest = 10.0
        for number in UInt64(1)...5 {
            let begun = MonotonicTime.now()
            #expect(try bench.ask(.push, number, WALFiles.segment(number)).status == .done)
            quickest = min(quickest, MonotonicTime.now() - begun)
        }
        #expect(bench.waits.now == 5)
        #expect(quickest < 0.3, "it would take half a second if nobody woke it")
    }

    @Test("While a helper waits it offers what follows, up to the first that is not ready, and one archive takes all")
    func helper() throws {
        let bench = try OfferBench()
        let listener = try WALListener(bench.desk, path: bench.socket)
        defer {
            bench.desk.stop()
            listener.stop()
        }
        // In the second part of the log's address 4096 such segments: the name of the third takes over.
        try bench.write(4093...4102) { $0 != 4100 }
        let push = bench.push(4093)
        let spool = bench.one.spool
        for _ in 0..<200 where try spool.index().waiting.count < 7 { usleep(50_000) }
        usleep(100_000)
        let taken = try spool.index().records.keys.map(\.file.text).sorted()
        #expect(taken == (4093...4099).map { WALFiles.name($0) })
        #expect(push.status == nil, "no archive holds it")
        try bench.archive("a")
        #expect(push.wait() == 0)
        // The others have their answer at once, and what cannot be offered is no failure of a push.
        for number in UInt64(4094)...4099 { #expect(bench.push(number).wait() == 0) }
        #expect(try bench.files.ledger().count == 8)
    }

    @Test("A daemon that knows no offers is offered one, and its answer to the push counts")
    func olderDaemon() throws {
        let bench = try OfferBench()
        try bench.write(1...5)
        let path = bench.socket
        var address = try WALChannel.address(path)
        let listening = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(listening) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listening, $0, size) }
        }
        try #require(bound == 0 && listen(listening, 8) == 0)
        let pushing = bench.push(1)
        func next() throws -> (channel: Int32, verb: UInt8)? {
            var waiting = pollfd(fd: listening, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 1000) > 0 else { return nil }
            let made = accept(listening, nil, nil)
            var bytes = [UInt8](repeating: 0, count: 256)
            try #require(recv(made, &bytes, bytes.count, 0) > 5)
            return (made, bytes[5])
        }
        func answer(_ channel: Int32, _ reply: WALReply) {
            _ = reply.bytes.withUnsafeBytes { send(channel, $0.baseAddress, $0.count, 0) }
            close(channel)
        }
        let push = try #require(try next())
        #expect(push.verb == 1)
        let offer = try #require(try next())
        #expect(offer.verb == 3)
        answer(offer.channel, WALReply(.usage, "the request cannot be understood"))
        #expect(try next() == nil, "no second offer")
        #expect(pushing.status == nil)
        answer(push.channel, WALReply(.done))
        #expect(pushing.wait() == 0)
    }
}
