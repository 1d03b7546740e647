import Collectors
import Domain
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing
import Vault

@testable import Operations

@Suite("The ledger of a spool of WAL")
struct WALLedgerTests {
    private static let cluster = WALCluster(systemID: 7, incarnation: 1)

    private static func path(_ files: WALFiles) -> String { files.scratch.place("state/wal/main/ledger.jsonl") }

    private static func shared(_ files: WALFiles) throws -> WALSpool {
        try WALSpool.shared("main", under: files.scratch.place("state"))
    }

    /// A line of each kind, without what chains them.
    private static func lines() -> [WALLedgerLine] {
        let (cluster, time) = ("\(cluster)", "2026-01-02T03:04:05Z")
        let digest = String(repeating: "0f", count: 32)
        return [
            WALLedgerLine(
                act: .taken, cluster: cluster, time: time, previous: "", file: WALFiles.name(3), bytes: 1 << 20,
                digest: digest, segmentBytes: 1 << 20),
            WALLedgerLine(
                act: .taken, cluster: cluster, time: time, previous: digest, file: "00000002.history", bytes: 0,
                digest: digest, switches: "1:0/300100"),
            WALLedgerLine(
                act: .archived, cluster: cluster, time: time, previous: digest, archive: "a/b",
                files: [WALFiles.name(3), "00000002.history"]),
            WALLedgerLine(
                act: .quarantined, cluster: cluster, time: time, previous: digest, file: WALFiles.name(3),
                bytes: 999_999_999_999_999_999, digest: digest),
        ]
    }

    /// Each with its digest of the one before and its end.
    private static func text(_ lines: some Sequence<WALLedgerLine>) throws -> [UInt8] {
        var text: [UInt8] = []
        var previous = ""
        for var line in lines {
            line.previous = previous
            let bytes = try LogText.encode(line)
            previous = ObjectHasher.digest(of: bytes, suite: .blake3).hex
            text += bytes + [0x0A]
        }
        return text
    }

    /// As a host writes them that archives sixteen segments at a time.
    private static func long(_ count: Int, names: Int) -> [WALLedgerLine] {
        var lines: [WALLedgerLine] = []
        var taken: [String] = []
        let (of, time) = ("\(cluster)", "2026-01-02T03:04:05Z")
        let digest = String(repeating: "0f", count: 32)
        for number in 1...UInt64(count) {
            taken.append(WALFiles.name(number))
            lines.append(
                WALLedgerLine(
                    act: .taken, cluster: of, time: time, previous: "", file: taken.last, bytes: 1 << 20,
                    digest: digest, segmentBytes: 1 << 20))
            guard taken.count == 16 || number == count else { continue }
            lines.append(
                WALLedgerLine(act: .archived, cluster: of, time: time, previous: "", archive: "a", files: taken))
            taken = []
        }
        // Longer than what is read at a time.
        let many = (1...UInt64(names)).map { WALFiles.name($0, timeline: 9) }
        lines.insert(
            WALLedgerLine(act: .archived, cluster: of, time: time, previous: "", archive: "b", files: many),
            at: lines.count / 2)
        return lines
    }

    // MARK: One reading

    @Test("A process has one spool of a path, whoever asks at once, and another one of another path")
    func one() throws {
        let files = try WALFiles()
        let state = files.scratch.place("state")
        let found = Mutex<[WALSpool]>([])
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            guard let spool = try? WALSpool.shared("main", under: state) else { return }
            found.withLock { $0.append(spool) }
        }
        let spools = found.withLock { $0 }
        #expect(spools.count == 8 && Set(spools.map { ObjectIdentifier($0) }).count == 1)
        #expect(try WALSpool.shared("other", under: state) !== spools[0])
        #expect(try WALSpool.shared("main", under: files.scratch.place("elsewhere")) !== spools[0])
        #expect(throws: OperationError.self) { try WALSpool.shared("../main", under: state) }
    }

    @Test("Nobody's spool is not kept, and its owner does what was left undone where others use it")
    func owner() throws {
        let files = try WALFiles()
        weak var gone: WALSpool?
        do {
            let spool = try Self.shared(files)
            gone = spool
            try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        }
        #expect(gone == nil)
        let spool = try Self.shared(files)
        #expect(try spool.index().records.count == 1)
        let left = spool.path + "/new/left"
        try Data([1]).write(to: URL(filePath: left))
        #expect(try Self.shared(files) === spool && access(left, F_OK) == 0)
        #expect(try WALSpool.shared("main", under: files.scratch.place("state"), isOwner: true) === spool)
        #expect(access(left, F_OK) != 0)
    }

    @Test("A run beside the desk archives what was pushed, and reads nothing of the ledger that was read before")
    func run() throws {
        let files = try WALFiles()
        let passphrase = Array("a passphrase of this test".utf8)
        _ = try InitializeVault.run(
            .init(
                writeOnlyHost: false, kitPath: files.scratch.place("kit"), passphrase: { passphrase }, suite: "blake3"),
            at: files.scratch.workplace("a passphrase of this test"))
        let workplace = try files.scratch.workplace(kit: files.scratch.place("kit"))
        let desk = WALDesk(statePath: workplace.statePath, keyPath: nil)
        defer { desk.stop() }
        let source = WALSource(name: "main")
        try #require(desk.serve([("log", workplace.vaultPath, source)]).isEmpty)
        let spool = desk.served[0].spool
        let keys = try (UInt64(1)...3).map { try files.give(WALFiles.segment($0), WALFiles.name($0), to: spool) }
        // A change of what was read long ago, which whoever reads it again stumbles over.
        var bytes = try Data(contentsOf: URL(filePath: Self.path(files)))
        bytes[bytes.startIndex] = UInt8(ascii: "X")
        try bytes.write(to: URL(filePath: Self.path(files)))
        #expect(throws: OperationError.self) {
            try WALSpool(name: "main", statePath: workplace.statePath).index()
        }
        var policy = Policy(name: "log", component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = [.wal(source)]
        let report = try ArchiveTrees.run(.init(policy: policy), at: workplace)
        #expect(report.problemCount == 0 && report.warnings.isEmpty, "\(report.problems) \(report.warnings)")
        for key in keys { #expect(try spool.isArchived(key)) }
        // Beside: nobody waits for it.
        for _ in 0..<1000 where keys.contains(where: { access(spool.path(of: $0), F_OK) == 0 }) { usleep(10_000) }
        for key in keys { #expect(access(spool.path(of: key), F_OK) != 0) }
        #expect(try spool.index().waiting.isEmpty && desk.archives(of: "log") == 1)
    }

    @Test("A long ledger is read whole once, in pieces, and then only what came since")
    func long() throws {
        let count = getenv("QALA_TEST_LONG") != nil ? 200_000 : 20_000
        let files = try WALFiles()
        do { _ = try Self.shared(files) }
        let lines = Self.long(count, names: 50_000)
        try Data(Self.text(lines)).write(to: URL(filePath: Self.path(files)))
        let begun = MonotonicTime.now()
        let spool = try Self.shared(files)
        let whole = MonotonicTime.now() - begun
        let index = try spool.index()
        #expect(index.records.count == count && index.waiting.isEmpty && index.archives == lines.count - count)
        #expect(index.coverage[Self.cluster]?.gaps.isEmpty == true)
        var again = 10.0
        for _ in 0..<5 {
            let begun = MonotonicTime.now()
            #expect(try Self.shared(files).index().records.count == count)
            again = min(again, MonotonicTime.now() - begun)
        }
        // Without optimization 0.1 ms for a line, with it some microseconds.
        #expect(whole < 0.001 * Double(lines.count), "\(whole) s")
        #expect(again < whole / 20, "\(again) s after \(whole) s")
    }

    @Test("What a crash tore is cut off, were it longer than what is read at a time")
    func torn() throws {
        let files = try WALFiles()
        let spool = try Self.shared(files)
        try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        let whole = try Data(contentsOf: URL(filePath: Self.path(files)))
        for count in [1, 1 << 20, 3 << 20] {
            try (whole + Data(repeating: 0x20, count: count)).write(to: URL(filePath: Self.path(files)))
            #expect(try spool.index().records.count == 1)
            #expect(try Data(contentsOf: URL(filePath: Self.path(files))) == whole)
        }
        try files.give(WALFiles.segment(4), WALFiles.name(4), to: spool)
        #expect(try WALSpool(name: "main", statePath: files.scratch.place("state")).index().records.count == 2)
    }

    // MARK: What others do

    @Test("What another process takes and archives is seen, and what is taken here is seen there")
    func others() throws {
        let files = try WALFiles()
        let spool = try Self.shared(files)
        let other = try files.spool()
        for number in UInt64(1)...6 {
            let (giving, seeing) = number.isMultiple(of: 2) ? (spool, other) : (other, spool)
            let key = try files.give(WALFiles.segment(number), WALFiles.name(number), to: giving)
            #expect(try seeing.index().waiting == [key])
            try seeing.noteArchived([key], in: "a")
            #expect(try giving.isArchived(key))
        }
        #expect(try files.ledger().count == 12)
    }

    @Test("A ledger that was cut or put in the place of the one that was read is damage, however long it is")
    func replaced() throws {
        let files = try WALFiles()
        let spool = try Self.shared(files)
        for number in UInt64(1)...3 { try files.give(WALFiles.segment(number), WALFiles.name(number), to: spool) }
        let whole = try Data(contentsOf: URL(filePath: Self.path(files)))
        let size = try #require(try files.ledger().last).utf8.count + 1
        var same = Self.long(3, names: 1).filter { $0.act == .taken }
        same[2].digest = String(repeating: "a", count: 64)
        let text = Data(try Self.text(same))
        // What each is by itself is sound: only what was read before tells.
        let wrong = [
            ("empty", Data()), ("shorter", whole.dropLast(size)), ("as long", text),
            ("longer", Data(try Self.text(Self.long(40, names: 1)))),
        ]
        #expect(text.count == whole.count)
        for (what, content) in wrong {
            try content.write(to: URL(filePath: Self.path(files)))
            for _ in 0..<2 {
                let error = #expect(throws: OperationError.self, "\(what)") { try Self.shared(files) }
                #expect(error?.kind == .damaged)
            }
            #expect(throws: OperationError.self, "\(what)") {
                try files.give(WALFiles.segment(4), WALFiles.name(4), to: spool)
            }
            #expect(try Data(contentsOf: URL(filePath: Self.path(files))) == content, "\(what): nothing was written")
            _ = try WALSpool(name: "main", statePath: files.scratch.place("state")).index()
        }
        try whole.write(to: URL(filePath: Self.path(files)))
        #expect(try spool.index().records.count == 3)
    }

    @Test(
        "A line in the midst that was changed is found by who reads the ledger again, wherever it is, and by nobody else"
    )
    func changed() throws {
        let files = try WALFiles()
        let spool = try Self.shared(files)
        for number in UInt64(1)...12 { try files.give(WALFiles.segment(number), WALFiles.name(number), to: spool) }
        let url = URL(filePath: Self.path(files))
        let whole = try Data(contentsOf: url)
        let last = whole.count - (try #require(try files.ledger().last).utf8.count + 1)
        try spool.verifyLedger()
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        for _ in 0..<50 {
            var bytes = whole
            let at = Int.random(in: 0..<last, using: &random)
            bytes[at] ^= 1 << UInt8.random(in: 0...6, using: &random)
            try bytes.write(to: url)
            #expect(try spool.index().records.count == 12, "byte \(at), seed \(seed)")
            let error = #expect(throws: OperationError.self, "byte \(at), seed \(seed)") { try spool.verifyLedger() }
            #expect(error?.kind == .damaged)
            #expect(try Data(contentsOf: url) == bytes, "nothing is cut off")
        }
        try whole.write(to: url)
        try spool.verifyLedger()
        // What others write meanwhile, and what a crash tore behind it, is not looked at.
        try files.give(WALFiles.segment(13), WALFiles.name(13), to: try files.spool())
        try spool.verifyLedger()
        _ = try spool.index()
        try (Data(contentsOf: url) + Data("{\"act\"".utf8)).write(to: url)
        try spool.verifyLedger()
    }

    @Test("A ledger that is longer than what is read at a time is verified too")
    func verifiedInPieces() throws {
        let files = try WALFiles()
        do { _ = try Self.shared(files) }
        var bytes = Data(try Self.text(Self.long(6000, names: 50_000)))
        try bytes.write(to: URL(filePath: Self.path(files)))
        let spool = try Self.shared(files)
        try spool.verifyLedger()
        try #require(bytes.count > 3 << 20)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(filePath: Self.path(files)))
        #expect(throws: OperationError.self) { try spool.verifyLedger() }
    }

    // MARK: Lines

    @Test("A line as it is written needs no decoder, and any other JSON of it is read by it")
    func forms() throws {
        for line in Self.lines() {
            let text = try LogText.encode(line)
            let scanned = try #require(text.withUnsafeBytes { WALLedgerLine(written: $0[...]) })
            #expect(try LogText.encode(scanned) == text)
            let words = String(decoding: text, as: UTF8.self)
            let others = [
                words.replacing(",", with: ", "), words + " ", words.replacing("03:04", with: "\\u003003:04"),
                words.replacing("{", with: "{\"more\":1,"),
                words.replacing("\"previous\":\"", with: "\"previous\":\"é"),
            ]
            for other in others {
                let read = Array(other.utf8).withUnsafeBytes {
                    (scanned: WALLedgerLine(written: $0[...]), read: WALLedgerLine($0[...]))
                }
                #expect(read.scanned == nil && read.read?.act == line.act && read.read?.file == line.file, "\(other)")
            }
        }
        for wrong in ["", "{}", "{\"act\":\"taken\"}", "\n", "null"] {
            #expect(Array(wrong.utf8).withUnsafeBytes { WALLedgerLine($0[...]) } == nil, "\(wrong)")
        }
    }

    @Test("Whatever is read without the decoder, the decoder reads alike")
    func alike() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let texts = try Self.lines().map { try LogText.encode($0) }
        let pool = Array("\"\\,:{}[]0129.-e ax/\u{7F}\u{1F}".utf8) + [0x00, 0x80, 0xFF]
        var scanned = 0
        for _ in 0..<4000 {
            var text = texts[Int.random(in: 0..<texts.count, using: &random)]
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let at = Int.random(in: 0..<text.count, using: &random)
                let byte = pool[Int.random(in: 0..<pool.count, using: &random)]
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[at] = byte
                case 1: text.insert(byte, at: at)
                default: text.remove(at: at)
                }
            }
            guard let line = text.withUnsafeBytes({ WALLedgerLine(written: $0[...]) }) else { continue }
            scanned += 1
            let decoded = LogText.decode(WALLedgerLine.self, text)
            let words = "seed \(seed): \(String(decoding: text, as: UTF8.self))"
            #expect(try decoded.map { try LogText.encode($0) } == LogText.encode(line), "\(words)")
        }
        #expect(scanned > 100, "seed \(seed)")
    }
}
