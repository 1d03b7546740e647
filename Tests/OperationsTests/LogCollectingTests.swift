import Dispatch
import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

/// Logs of one policy on a real file system, with the spool beside them.
private final class LogBench {
    let scratch: Scratch
    let workplace: Workplace
    /// Everything that was written to `app.log`, whatever it was called afterwards.
    var written: [UInt8] = []
    var day = 0
    /// By how much the clock on the wall is wrong.
    var wallError: Int64 = 0

    init() throws {
        scratch = try Scratch()
        workplace = Workplace(vaultPath: scratch.place("vault"), statePath: scratch.place("state"))
        try #require(mkdir(scratch.place("logs"), 0o755) == 0)
        try scratch.write("logs/app.log", "")
    }

    func write(_ text: String, to name: String = "app.log") throws {
        let file = open(scratch.place("logs/\(name)"), O_WRONLY | O_APPEND | O_CREAT, 0o644)
        try #require(file >= 0)
        defer { close(file) }
        try #require(Glibc.write(file, text, text.utf8.count) == text.utf8.count)
        if name == "app.log" { written += Array(text.utf8) }
    }

    /// Older rotations move on by one name.
    private func shift() {
        for number in stride(from: 40, through: 1, by: -1) {
            _ = rename(scratch.place("logs/app.log.\(number)"), scratch.place("logs/app.log.\(number + 1)"))
        }
    }

    func rotate() throws {
        shift()
        try #require(rename(scratch.place("logs/app.log"), scratch.place("logs/app.log.1")) == 0)
        try scratch.write("logs/app.log", "")
    }

    func copyAndTruncate() throws {
        shift()
        let log = URL(filePath: scratch.place("logs/app.log"))
        try Data(contentsOf: log).write(to: URL(filePath: scratch.place("logs/app.log.1")))
        try #require(truncate(log.path, 0) == 0)
    }

    static let suffixes = ["gzip": "gz", "zstd": "zst", "xz": "xz"]

    /// Rotates and compresses at once, as `logrotate` does without `delaycompress`.
    func rotateCompressed(_ tool: String, copies: Bool = false) throws {
        let suffix = try #require(Self.suffixes[tool])
        for number in stride(from: 40, through: 1, by: -1) {
            let name = scratch.place("logs/app.log.")
            _ = rename("\(name)\(number).\(suffix)", "\(name)\(number + 1).\(suffix)")
        }
        if copies { try copyAndTruncate() } else { try rotate() }
        try compress("app.log.1", tool)
    }

    func compress(_ name: String, _ tool: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/\(tool)")
        process.arguments = (tool == "zstd" ? ["--rm", "-q"] : []) + ["-f", scratch.place("logs/\(name)")]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    var clock: LogClock {
        let passed = Int64(day) * 86_400
        return LogClock(wall: 1_700_000_000 + passed + wallError, boot: passed, bootID: "b")
    }

    func policy(_ format: LogSource.Format = .lines) -> Policy {
        var policy = Policy(
            name: "log", component: .log, responsiblePerson: Person(name: "A"), sources: [])
        policy.logs = [LogSource(path: scratch.place("logs/*.log"), format: format)]
        return policy
    }

    /// What a run read; the spool is closed behind it.
    struct Collected {
        var sealed: [LogSegmentHeader]
        var warnings: [String]
        var problems: [PathProblem]
    }

    /// One run up to the archive; `onStep` may end it.
    @discardableResult
    func collect(
        _ policy: Policy? = nil, segmentBytes: Int? = nil, onStep: @escaping (String) throws -> Void = { _ in }
    ) throws -> Collected {
        let policy = policy ?? self.policy()
        let logs = try #require(try CollectLogs(policy, at: workplace))
        logs.spool.onStep = onStep
        try logs.collect(policy.logs, clock: clock, segmentBytes: segmentBytes, InterruptFlag())
        return Collected(sealed: logs.sealed, warnings: logs.warnings, problems: logs.problems)
    }

    /// The payloads of all segments that are in the spool, in order.
    func sealed() throws -> [UInt8] {
        var bytes: [UInt8] = []
        let folder = scratch.place("state/logs/log")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        where name.hasSuffix(".segment") {
            let whole = [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/\(name)")))
            let end = try #require(whole.firstIndex(of: 0x0A))
            bytes += whole[(end + 1)...]
        }
        return bytes
    }
}

private struct Crash: Error {}

@Suite("Collecting logs into segments")
struct LogCollectingTests {
    @Test("Thirty days are thirty segments without gap or overlap, by rename and by copying", arguments: [false, true])
    func thirtyDays(copies: Bool) throws {
        let bench = try LogBench()
        for day in 0..<30 {
            bench.day = day
            for line in 0..<200 { try bench.write("day \(day) line \(line)\n") }
            let logs = try bench.collect()
            #expect(logs.sealed.map(\.sequence) == [day + 1])
            #expect(logs.warnings.isEmpty && logs.problems.isEmpty, "\(logs.warnings) \(logs.problems)")
            try bench.write("late on day \(day)\n")
            if copies { try bench.copyAndTruncate() } else { try bench.rotate() }
        }
        let last = try bench.collect()
        #expect(last.sealed.count == 1)
        #expect(try bench.sealed() == bench.written)
        let rows = try LogSegments.list(policy: "log", at: bench.workplace).segments
        #expect(rows.map(\.sequence) == Array(1...31))
        let verified = try LogSegments.verify(policy: nil, at: bench.workplace)
        #expect(verified.isSound && verified.inSpool == 31, "\(verified.problems)")
    }

    @Test("A crash after any step loses nothing and brings nothing twice", arguments: [false, true])
    func crashes(copies: Bool) throws {
        let steps = ["payload", "segment written", "segment named", "ledger", "cursors"]
        let bench = try LogBench()
        // What was rotated away before the first run is history.
        try bench.collect()
        for round in 0..<15 {
            try bench.write("round \(round), first\nround \(round), ")
            #expect(throws: Crash.self) {
                try bench.collect(onStep: { if $0 == steps[round % steps.count] { throw Crash() } })
            }
            try bench.write("second\n")
            if copies { try bench.copyAndTruncate() } else { try bench.rotate() }
            if round % 2 == 0 { try bench.collect() }
        }
        try bench.collect()
        #expect(try bench.sealed() == bench.written)
        #expect(try LogSegments.verify(policy: nil, at: bench.workplace).isSound)
    }

    @Test("Cursors that are lost are made from the segments, and a torn line of the ledger is written again")
    func lost() throws {
        let bench = try LogBench()
        try bench.write("one\n")
        try bench.collect()
        try bench.write("two\n")
        try bench.collect()
        let ledger = bench.scratch.place("state/logs/log/ledger.jsonl")
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: ledger)))
        bytes.removeLast(5)
        try Data(bytes).write(to: URL(filePath: ledger))
        #expect(try LogSegments.verify(policy: nil, at: bench.workplace).isSound, "a torn line is no damage yet")
        try #require(unlink(bench.scratch.place("state/logs/log/cursors.json")) == 0)
        try bench.write("three\n")
        let logs = try bench.collect()
        #expect(logs.warnings.isEmpty, "\(logs.warnings)")
        #expect(try bench.sealed() == bench.written)
        #expect(try LogSegments.verify(policy: nil, at: bench.workplace).isSound)
    }

    @Test("Segments are closed at a whole line when they are full, and a line longer than they are stays whole")
    func full() throws {
        let bench = try LogBench()
        for line in 0..<3 { try bench.write("\(line)" + String(repeating: "x", count: 700_000) + "\n") }
        let logs = try bench.collect(segmentBytes: 1000)
        #expect(logs.sealed.count == 3)
        #expect(logs.sealed.allSatisfy { $0.records == 1 })
        #expect(try bench.sealed() == bench.written)
    }

    @Test("A changed segment, a changed ledger and a missing one are found")
    func changed() throws {
        let bench = try LogBench()
        for line in 0..<4 {
            try bench.write("line \(line)\n")
            try bench.collect()
        }
        let second = URL(filePath: bench.scratch.place("state/logs/log/00000002.segment"))
        var bytes = [UInt8](try Data(contentsOf: second))
        bytes[bytes.count - 2] ^= 1
        try Data(bytes).write(to: second)
        #expect(try LogSegments.verify(policy: "log", at: bench.workplace).problems.count == 1)
        let ledger = URL(filePath: bench.scratch.place("state/logs/log/ledger.jsonl"))
        let lines = try String(contentsOf: ledger, encoding: .utf8).split(separator: "\n")
        try Data((lines[0] + "\n" + lines[2] + "\n" + lines[3] + "\n").utf8).write(to: ledger)
        #expect(try LogSegments.verify(policy: "log", at: bench.workplace).problems.count == 1)
        let rows = try LogSegments.list(policy: "log", at: bench.workplace).segments
        #expect(rows.map(\.sequence) == [1, 3, 4])
    }

    @Test("A log that is emptied without a copy is a gap in the segment, the ledger and the warnings of the run")
    func gap() throws {
        let bench = try LogBench()
        try bench.write("one\ntwo\n")
        try bench.collect()
        try #require(truncate(bench.scratch.place("logs/app.log"), 0) == 0)
        try bench.write("x\n")
        let logs = try bench.collect()
        #expect(logs.sealed.first?.findings.map(\.kind) == [.gap])
        #expect(logs.warnings.count == 1)
        #expect(try LogSegments.list(policy: nil, at: bench.workplace).segments.last?.findings.count == 1)
        bench.wallError = -7200
        #expect(try bench.collect().sealed.first?.findings.map(\.kind) == [.clockJump])
        #expect(try bench.collect().sealed.isEmpty)
    }

    @Test("A journal export grows entry by entry, and a number that is missing between two runs is a gap")
    func journal() throws {
        let bench = try LogBench()
        func entry(_ number: Int) -> String {
            "__REALTIME_TIMESTAMP=\(number)000000\n__SEQNUM=\(number)\n__SEQNUM_ID=ab\nMESSAGE=\(number)\n\n"
        }
        let policy = bench.policy(.journalExport)
        try bench.write(entry(1) + entry(2) + "__REALTIME_TIMESTAMP=3")
        let first = try bench.collect(policy)
        #expect(first.sealed.map(\.records) == [2] && first.warnings.isEmpty, "\(first.warnings)")
        try bench.write("000000\n__SEQNUM=3\n__SEQNUM_ID=ab\n\n" + entry(6))
        let second = try bench.collect(policy)
        #expect(second.sealed.map(\.records) == [2])
        #expect(second.sealed.flatMap(\.findings).map(\.kind) == [.gap])
        #expect(try bench.sealed() == bench.written)
    }

    @Test(
        "A rotation that is compressed at once is read from where its log was left", arguments: ["gzip", "zstd", "xz"],
        [false, true])
    func compressed(tool: String, copies: Bool) throws {
        let bench = try LogBench()
        for day in 0..<6 {
            bench.day = day
            for line in 0..<200 { try bench.write("day \(day) line \(line)\n") }
            let logs = try bench.collect()
            #expect(logs.warnings.isEmpty && logs.problems.isEmpty, "\(logs.warnings) \(logs.problems)")
            if day != 2 { try bench.write("late on day \(day)\n") }
            try bench.rotateCompressed(tool, copies: copies)
        }
        let last = try bench.collect()
        #expect(last.warnings.isEmpty, "\(last.warnings)")
        #expect(try bench.sealed() == bench.written)
        #expect(try bench.collect().sealed.isEmpty)
        #expect(try LogSegments.verify(policy: nil, at: bench.workplace).isSound)
    }

    @Test("Rotations that came and were compressed between two runs are read as a whole, older ones first")
    func compressedUnseen() throws {
        let bench = try LogBench()
        try bench.write("one\n")
        try bench.collect()
        try bench.write("two\n")
        for round in 0..<3 {
            try bench.rotateCompressed("gzip")
            try bench.write("after rotation \(round)\n")
        }
        let logs = try bench.collect()
        #expect(logs.warnings.isEmpty, "\(logs.warnings)")
        #expect(try bench.sealed() == bench.written)
    }

    @Test("A crash after any step loses nothing of compressed rotations and brings nothing twice")
    func compressedCrashes() throws {
        let steps = ["payload", "segment written", "segment named", "ledger", "cursors"]
        let bench = try LogBench()
        try bench.collect()
        for round in 0..<10 {
            try bench.write("round \(round), first\nround \(round), ")
            #expect(throws: Crash.self) {
                try bench.collect(onStep: { if $0 == steps[round % steps.count] { throw Crash() } })
            }
            try bench.write("second\n")
            try bench.rotateCompressed("gzip")
            if round % 2 == 0 { try bench.collect() }
        }
        try bench.collect()
        #expect(try bench.sealed() == bench.written)
        #expect(try LogSegments.verify(policy: nil, at: bench.workplace).isSound)
    }

    @Test("A compressed rotation of something else, or one that is damaged, is a gap")
    func compressedOther() throws {
        let other = try LogBench()
        try other.write("one\ntwo\n")
        try other.collect()
        try #require(unlink(other.scratch.place("logs/app.log")) == 0)
        try other.write("something else\n", to: "app.log.1")
        try other.compress("app.log.1", "gzip")
        try other.write("three\n")
        let found = try other.collect()
        #expect(found.sealed.flatMap(\.findings).map(\.kind) == [.gap], "\(found)")
        #expect(try other.sealed() == other.written, "nothing of it was sealed")

        let cut = try LogBench()
        try cut.write("one\n")
        try cut.collect()
        // What does not compress, so that the beginning can be expanded before the end is missed.
        var generator = SystemRandomNumberGenerator()
        let noise = (0..<20_000).map { _ in String(UInt64.random(in: 0...UInt64.max, using: &generator), radix: 36) }
        try cut.write(noise.joined() + "\n")
        try cut.rotateCompressed("gzip")
        let file = cut.scratch.place("logs/app.log.1.gz")
        let size = try Data(contentsOf: URL(filePath: file)).count
        try #require(truncate(file, off_t(size / 2)) == 0)
        let broken = try cut.collect()
        #expect(broken.sealed.flatMap(\.findings).map(\.kind) == [.gap], "\(broken.warnings)")
        #expect(try cut.collect().sealed.isEmpty, "it is told once")
        #expect(try cut.sealed() == Array("one\n".utf8))
    }

    @Test("A thread that writes while logs are rotated and read finds every line once")
    func writing() throws {
        let bench = try LogBench()
        let path = bench.scratch.place("logs/app.log")
        let done = DispatchSemaphore(value: 0)
        // Opens the log for each line, as a writer that follows rotations does.
        Thread.detachNewThread {
            for number in 0..<3000 {
                let file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o644)
                let line = "line \(number)\n"
                if file >= 0 { _ = Glibc.write(file, line, line.utf8.count) }
                close(file)
            }
            done.signal()
        }
        var isOver = false
        var rotations = 0
        while !isOver {
            isOver = done.wait(timeout: .now() + .milliseconds(5)) == .success
            try bench.collect()
            if rotations < 40, rename(path, path + ".\(100 - rotations)") == 0 { rotations += 1 }
        }
        try bench.collect()
        let lines = try bench.sealed().split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        #expect(lines.count == 3000)
        #expect(Set(lines).count == 3000)
    }
}
