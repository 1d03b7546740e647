import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

/// A journal that a script prints as `journalctl` does, and the spool of a policy that follows it.
private final class JournalBench {
    let scratch: Scratch
    private let workplace: Workplace
    private(set) var count = 0

    init() throws {
        scratch = try Scratch()
        workplace = Workplace(vaultPath: scratch.place("vault"), statePath: scratch.place("state"))
        try scratch.write("journal", "")
        // Entries behind the one that the cursor names, whether or not that one is there still.
        try program(
            """
            after=0
            for word in "$@"; do
                echo "$word" >> \(scratch.place("arguments"))
                case $word in --after-cursor=*) after=${word##*i=} ;; esac
            done
            awk -v after="$after" '/^__CURSOR=/ { split($0, part, "i="); on = part[2] > after + 0 } on' \
            \(scratch.place("journal"))
            """)
    }

    func program(_ text: String) throws {
        let place = scratch.place("journalctl")
        _ = unlink(place)
        let file = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0o755)
        try #require(file >= 0)
        let whole = "#!/bin/sh\n\(text)\n"
        let written = Glibc.write(file, whole, whole.utf8.count)
        close(file)
        try #require(written == whole.utf8.count)
    }

    func entry(_ number: Int, message: String = "m") -> String {
        """
        __CURSOR=s=ab;i=\(number)
        __REALTIME_TIMESTAMP=\(1_700_000_000 + number)000000
        __SEQNUM=\(number)
        __SEQNUM_ID=ab
        MESSAGE=\(message) \(number)


        """
    }

    func add(_ entries: Int, message: String = "m") throws {
        let file = open(scratch.place("journal"), O_WRONLY | O_APPEND)
        try #require(file >= 0)
        defer { close(file) }
        for _ in 0..<entries {
            count += 1
            let text = entry(count, message: message)
            try #require(Glibc.write(file, text, text.utf8.count) == text.utf8.count)
        }
    }

    /// What journald removes when its room is used up.
    func vacuum() throws { try scratch.write("journal", "") }

    func skip(_ entries: Int) { count += entries }

    struct Collected {
        var sealed: [LogSegmentHeader]
        var warnings: [String]
        var problems: [PathProblem]
    }

    @discardableResult
    func collect(
        units: [String] = [], segmentBytes: Int? = nil, onStep: @escaping (String) throws -> Void = { _ in }
    ) throws -> Collected {
        var policy = Policy(name: "log", component: .log, responsiblePerson: Person(name: "A"), sources: [])
        policy.logs = [LogSource(journalOf: units, program: scratch.place("journalctl"))]
        let logs = try #require(try CollectLogs(policy, at: workplace))
        logs.spool.onStep = onStep
        let clock = LogClock(wall: 1_800_000_000, boot: 100, bootID: "b")
        try logs.collect(policy.logs, clock: clock, segmentBytes: segmentBytes, InterruptFlag())
        return Collected(sealed: logs.sealed, warnings: logs.warnings, problems: logs.problems)
    }

    /// The numbers of all entries in all segments, in order.
    func sealed() throws -> [Int] {
        let folder = scratch.place("state/logs/log")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".segment") }
        var numbers: [Int] = []
        for name in names.sorted() {
            let text = String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/\(name)")), as: UTF8.self)
            for line in text.split(separator: "\n") where line.hasPrefix("__SEQNUM=") {
                numbers.append(Int(line.dropFirst("__SEQNUM=".count)) ?? -1)
            }
        }
        return numbers
    }

    var arguments: [String] {
        let text = (try? String(contentsOfFile: scratch.place("arguments"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}

private struct Crash: Error {}

@Suite("The journal through journalctl")
struct JournalCollectingTests {
    @Test("Each run seals what is new behind its cursor, and a run without news seals nothing")
    func following() throws {
        let bench = try JournalBench()
        try bench.add(3)
        let first = try bench.collect()
        #expect(first.sealed.map(\.records) == [3] && first.warnings.isEmpty && first.problems.isEmpty)
        #expect(first.sealed.first?.source == "journal")
        #expect(first.sealed.first?.cursors.after == "s=ab;i=3")
        #expect(try bench.collect().sealed.isEmpty)
        try bench.add(2)
        #expect(try bench.collect().sealed.map(\.records) == [2])
        #expect(try bench.sealed() == [1, 2, 3, 4, 5])
        #expect(bench.arguments.contains("--output=export") && bench.arguments.contains("--after-cursor=s=ab;i=3"))
    }

    @Test("A crash after any step loses no entry and seals none twice")
    func crashes() throws {
        let steps = ["payload", "segment written", "segment named", "ledger", "cursors"]
        let bench = try JournalBench()
        for round in 0..<15 {
            try bench.add(2)
            #expect(throws: Crash.self) {
                try bench.collect(onStep: { if $0 == steps[round % steps.count] { throw Crash() } })
            }
            if round % 2 == 0 { try bench.collect() }
        }
        try bench.collect()
        #expect(try bench.sealed() == Array(1...30))
    }

    @Test("Numbers that are missing are a gap of a whole journal, and none of one of some units")
    func gaps() throws {
        let whole = try JournalBench()
        try whole.add(2)
        try whole.collect()
        try whole.vacuum()
        whole.skip(5)
        try whole.add(1)
        let found = try whole.collect().sealed.flatMap(\.findings)
        #expect(found.map(\.kind) == [.gap] && found.first?.detail.contains("lacks 5 entries") == true, "\(found)")
        #expect(try whole.sealed() == [1, 2, 8])

        let some = try JournalBench()
        try some.add(1)
        some.skip(3)
        try some.add(1)
        let read = try some.collect(units: ["sshd.service", "nginx.service"])
        #expect(read.warnings.isEmpty && read.sealed.first?.source == "journal nginx.service sshd.service")
        #expect(some.arguments.contains("--unit=sshd.service"))
    }

    @Test("An entry that is not whole waits for the next run, and what is longer than a segment goes on in the next")
    func parts() throws {
        let bench = try JournalBench()
        try bench.add(40, message: String(repeating: "x", count: 10_000))
        let full = try bench.collect(segmentBytes: 100_000)
        #expect(full.sealed.count > 1 && full.problems.isEmpty, "\(full.problems)")
        #expect(try bench.sealed() == Array(1...40))
        let whole = bench.entry(41)
        try bench.scratch.write("journal", String(whole.dropLast(3)))
        #expect(try bench.collect().sealed.isEmpty)
        try bench.scratch.write("journal", whole)
        #expect(try bench.collect().sealed.map(\.records) == [1])
    }

    @Test(
        "A program that fails, prints no export, or is not there is a problem of the run; its cursor waits",
        arguments: ["echo no access >&2; exit 1", "echo -- No entries --", "printf 'MESSAGE=a\\n\\n'", ""])
    func failing(text: String) throws {
        let bench = try JournalBench()
        try bench.add(1)
        try bench.collect()
        let place = bench.scratch.place("journalctl")
        try #require(rename(place, place + ".kept") == 0)
        // It printed something good before.
        if !text.isEmpty { try bench.program("cat \(bench.scratch.place("journal"))\n" + text) }
        let failed = try bench.collect()
        #expect(failed.problems.count == 1 && failed.sealed.isEmpty, "\(failed)")
        try #require(rename(place + ".kept", place) == 0)
        try bench.add(1)
        #expect(try bench.collect().problems.isEmpty)
        #expect(try bench.sealed() == [1, 2])
    }
}
