import Collectors
import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

/// Files as PostgreSQL hands them over, of the smallest segments there are.
struct WALFiles {
    static let size: UInt64 = 1 << 20
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.place("pg_wal"), withIntermediateDirectories: true)
    }

    static func name(_ number: UInt64, timeline: UInt32 = 1) -> String {
        String(format: "%08X%08X%08X", timeline, UInt32(number / 4096), UInt32(number % 4096))
    }

    /// A segment whose first page is right, with `filling` behind it.
    static func segment(_ number: UInt64, timeline: UInt32 = 1, system: UInt64 = 7, filling: UInt8 = 0) -> Data {
        var bytes = Data(repeating: filling, count: Int(size))
        func put<Number: FixedWidthInteger>(_ value: Number, _ at: Int) {
            withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(at..<(at + $0.count), with: $0) }
        }
        put(UInt16(0xD110), 0)
        put(UInt16(2), 2)
        put(timeline, 4)
        put(number * size, 8)
        put(UInt64(0), 16)
        put(system, 24)
        put(UInt32(size), 32)
        put(UInt32(8192), 36)
        return bytes
    }

    /// As another process opens it, which does what a crash left undone.
    func spool(onStep: @escaping @Sendable (String) throws -> Void = { _ in }) throws -> WALSpool {
        let spool = try WALSpool(name: "main", statePath: scratch.place("state"), onStep: onStep)
        try spool.cleanUp()
        return spool
    }

    /// Hands a file over, as the daemon does with what came over its socket.
    @discardableResult
    func give(
        _ content: Data, _ name: String, to spool: WALSpool, systemID: UInt64 = 0, incarnation: Int = 1
    ) throws -> WALKey {
        let path = scratch.place("pg_wal/\(name)")
        try content.write(to: URL(filePath: path))
        let file = open(path, O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        return try spool.accept(
            file, try #require(WALFileName(name)), systemID: systemID, incarnation: incarnation)
    }

    func ledger() throws -> [Substring] {
        try String(contentsOfFile: scratch.place("state/wal/main/ledger.jsonl"), encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: true)
    }
}

@Suite("The spool of WAL")
struct WALSpoolTests {
    @Test("What is taken is there with its bytes, and the same again is a success that changes nothing")
    func taken() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        let key = try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        #expect(key.cluster == WALCluster(systemID: 7, incarnation: 1))
        #expect(try Data(contentsOf: URL(filePath: spool.path(of: key))) == WALFiles.segment(3))
        try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        #expect(try files.ledger().count == 1)
        let index = try spool.index()
        #expect(index.waiting == [key] && index.records.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: spool.path + "/new").isEmpty)
    }

    @Test("The same segment with other content is put aside and refused, and what was there stays")
    func contradiction() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        let key = try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        for _ in 0..<2 {
            #expect(throws: WALRefusal.self) {
                try files.give(WALFiles.segment(3, filling: 1), WALFiles.name(3), to: spool)
            }
        }
        #expect(try Data(contentsOf: URL(filePath: spool.path(of: key))) == WALFiles.segment(3))
        #expect(try spool.quarantined().count == 1)
        #expect(try files.ledger().count == 2, "the second time is the same again")
        // Also when the first one is in an archive and has left the spool.
        try spool.noteArchived([key], in: "a")
        #expect(throws: WALRefusal.self) {
            try files.give(WALFiles.segment(3, filling: 2), WALFiles.name(3), to: spool)
        }
        #expect(try spool.quarantined().count == 2)
        // A cluster that goes on as another life writes beside.
        let other = try files.give(WALFiles.segment(3, filling: 1), WALFiles.name(3), to: spool, incarnation: 2)
        #expect(other.cluster.incarnation == 2)
        #expect(try spool.index().waiting == [other])
    }

    @Test("What is no whole segment of its name is refused, and leaves nothing")
    func refused() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        let whole = WALFiles.segment(3)
        let wrong: [(Data, String)] = [
            (whole.dropLast(), WALFiles.name(3)), (whole + Data([0]), WALFiles.name(3)), (whole, WALFiles.name(4)),
            (WALFiles.segment(3, timeline: 2), WALFiles.name(3)), (Data(count: 1 << 20), WALFiles.name(3)),
            (Data(), WALFiles.name(3)), (Data("1 nonsense".utf8), "00000002.history"),
        ]
        for (content, name) in wrong {
            #expect(throws: WALRefusal.self, "\(name), \(content.count)") {
                try files.give(content, name, to: spool, systemID: 7)
            }
        }
        #expect(try spool.index().records.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: spool.path + "/new").isEmpty)
    }

    @Test("Of which cluster a history is, is told by whoever hands it over, or by what is there already")
    func histories() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        let history = Data("1\t0/300100\tno recovery target specified\n".utf8)
        #expect(throws: WALRefusal.self) { try files.give(history, "00000002.history", to: spool) }
        try files.give(WALFiles.segment(2), WALFiles.name(2), to: spool)
        let key = try files.give(history, "00000002.history", to: spool)
        #expect(key.cluster.systemID == 7)
        try spool.noteArchived([key], in: "a")
        #expect(access(spool.path(of: key), F_OK) == 0, "histories stay")
        #expect(try spool.index().coverage[key.cluster]?.histories[2]?.switches.first?.position == LSN(0x30_0100))
    }

    private struct Crash: Error {}

    @Test(
        "After a crash at any step the spool opens, and the file is taken once",
        arguments: ["copied", "named", "ledger"])
    func crash(step: String) throws {
        let files = try WALFiles()
        do {
            let dying = try files.spool { if $0 == step { throw Crash() } }
            #expect(throws: Crash.self) { try files.give(WALFiles.segment(3), WALFiles.name(3), to: dying) }
        }
        let spool = try files.spool()
        #expect(try spool.index().records.count == (step == "copied" ? 0 : 1))
        let key = try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        #expect(try spool.index().records.count == 1)
        #expect(try files.ledger().count == 1)
        #expect(try Data(contentsOf: URL(filePath: spool.path(of: key))) == WALFiles.segment(3))
        #expect(spool.lost(try spool.index()).isEmpty)
    }

    @Test("A crash between the ledger's line and the removal of what was archived leaves nothing behind")
    func crashArchived() throws {
        let files = try WALFiles()
        let dying = try files.spool { if $0 == "archived" { throw Crash() } }
        let key = try files.give(WALFiles.segment(3), WALFiles.name(3), to: dying)
        #expect(throws: Crash.self) { try dying.noteArchived([key], in: "a") }
        #expect(access(dying.path(of: key), F_OK) == 0)
        let spool = try files.spool()
        #expect(access(spool.path(of: key), F_OK) != 0)
        #expect(try spool.index().waiting.isEmpty)
    }

    @Test("A torn last line is cut off, and a line that was changed or taken out is damage")
    func ledger() throws {
        let files = try WALFiles()
        do {
            let spool = try files.spool()
            for number in UInt64(1)...3 { try files.give(WALFiles.segment(number), WALFiles.name(number), to: spool) }
        }
        let path = files.scratch.place("state/wal/main/ledger.jsonl")
        let whole = try Data(contentsOf: URL(filePath: path))
        try (whole + Data("{\"act\":\"tak".utf8)).write(to: URL(filePath: path))
        #expect(try files.spool().index().records.count == 3)
        #expect(try Data(contentsOf: URL(filePath: path)) == whole)

        let lines = whole.split(separator: 0x0A).map { $0 + [0x0A] }
        let changed = Data(
            String(decoding: lines[0], as: UTF8.self).replacing("\"bytes\":1048576", with: "\"bytes\":1048577").utf8)
        try #require(changed != lines[0])
        for wrong in [changed + lines[1] + lines[2], lines[0] + lines[2], lines[1] + lines[2]] {
            try Data(wrong).write(to: URL(filePath: path))
            let error = #expect(throws: OperationError.self) { try files.spool() }
            #expect(error?.kind == .damaged)
        }
    }

    /// What an archive counts as held leaves the spool, and PostgreSQL is told that it is safe.
    @Test(
        "A file of the spool that was cut, made longer or changed is no part of an archive",
        arguments: [nil, "cut", "emptied", "longer", "changed"])
    func damagedBeforeArchive(damage: String?) throws {
        let files = try WALFiles()
        let spool = try files.spool()
        let key = try files.give(WALFiles.segment(3, filling: 5), WALFiles.name(3), to: spool)
        let collector = try WALCollector(
            WALSource(name: "main"),
            at: Workplace(vaultPath: files.scratch.place("vault"), statePath: files.scratch.place("state")),
            started: Timestamp(seconds: 0))
        var content: (any DataContent)?
        while let item = try collector.next() { if case .entry(_, let found?) = item { content = found } }
        let file = open(spool.path(of: key), O_WRONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        switch damage {
        case "cut": #expect(ftruncate(file, off_t(WALFiles.size) / 2) == 0)
        case "emptied": #expect(ftruncate(file, 0) == 0)
        case "longer": #expect(ftruncate(file, off_t(WALFiles.size) + 1) == 0)
        case "changed": #expect(pwrite(file, "x", 1, 700_000) == 1)
        default: break
        }
        let reading = try #require(content)
        func readAll() throws {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 300_000, alignment: 4096)
            defer { buffer.deallocate() }
            var offset: UInt64 = 0
            while true {
                let count = try reading.read(into: buffer, at: offset)
                offset += UInt64(count)
                if count < buffer.count { return }
            }
        }
        if damage == nil { try readAll() } else { #expect(throws: OperationError.self) { try readAll() } }
        #expect(collector.facts.isWhole == (damage == nil))
    }

    @Test("What is gone from the spool and in no archive is told")
    func lost() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        let key = try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        #expect(unlink(spool.path(of: key)) == 0)
        #expect(spool.lost(try spool.index()) == [key])
        let row = try #require(
            try WALStatus.list(
                source: nil, at: Workplace(vaultPath: "/nowhere", statePath: files.scratch.place("state"))
            )
            .sources.first)
        #expect(row.lost == [WALFiles.name(3)] && !row.isSound)
        // PostgreSQL may hand it over once more.
        try files.give(WALFiles.segment(3), WALFiles.name(3), to: spool)
        #expect(spool.lost(try spool.index()).isEmpty)
    }

    @Test("A gap in what was taken is told, and closed by what comes later")
    func gap() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        for number: UInt64 in [1, 2, 5] { try files.give(WALFiles.segment(number), WALFiles.name(number), to: spool) }
        func row() throws -> WALStatus.Row {
            let place = Workplace(vaultPath: "/nowhere", statePath: files.scratch.place("state"))
            return try #require(try WALStatus.list(source: "main", at: place).sources.first)
        }
        let gap = try #require(try row().gaps.first)
        #expect(gap.first == WALFiles.name(3) && gap.segments == 2)
        for number: UInt64 in [4, 3] { try files.give(WALFiles.segment(number), WALFiles.name(number), to: spool) }
        #expect(try row().isSound)
        #expect(try row().newest == [WALFiles.name(5)])
    }

    @Test("An archive takes one cluster, and no more runs of segments than its header can tell")
    func batches() throws {
        let files = try WALFiles()
        let spool = try files.spool()
        for number in UInt64(0)..<12 {
            try files.give(WALFiles.segment(2 * number + 1), WALFiles.name(2 * number + 1), to: spool)
        }
        try files.give(WALFiles.segment(1, system: 9), WALFiles.name(1), to: spool)
        let batch = try #require(WALBatch(try spool.index()))
        #expect(batch.cluster.systemID == 7)
        #expect(batch.files.count == WALFacts.maximumRuns)
        try spool.noteArchived(batch.files.map(\.key), in: "a")
        let next = try #require(WALBatch(try spool.index()))
        #expect(next.files.count == 12 - WALFacts.maximumRuns && next.cluster.systemID == 7)
        try spool.noteArchived(next.files.map(\.key), in: "b")
        #expect(try #require(WALBatch(try spool.index())).cluster.systemID == 9)
    }

    @Test("Runs of segments are read as they were written, and nonsense tells of nothing")
    func runs() throws {
        let size = WALSegmentSize.usual
        let segments = [5, 3, 4, 9].map { WALSegment(timeline: 1, number: $0) } + [WALSegment(timeline: 2, number: 9)]
        let runs = WALFacts.runs(of: segments)
        #expect(runs.map(\.count) == [3, 1, 1])
        #expect(WALFacts.runs(WALFacts.text(runs, size), size) == runs)
        for wrong in [
            "x", "000000010000000000000003", "000000010000000000000003+0", "000000010000000000000003+-1",
            "00000002.history+1",
        ] {
            #expect(WALFacts.runs(wrong, size) == nil, "\(wrong)")
        }
    }
}
