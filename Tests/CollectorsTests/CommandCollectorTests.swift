@testable import Collectors
import Domain
import Foundation
import Glibc
import Testing

@Suite("The output of programs")
struct CommandCollectorTests {
    private func collect(
        _ script: String, minimum: Int64 = 1, timeout: Period = .seconds(20),
        isInterrupted: @escaping () -> Bool = { false }
    ) -> Collected {
        let source = CommandSource(
            name: "dump", command: ["/bin/sh", "-c", script], file: "rows", timeout: timeout, minimumBytes: minimum)
        return Collected(
            CommandCollector(source, started: Timestamp(seconds: 1_800_000_000), isInterrupted: isInterrupted))
    }

    private func failure(_ collected: Collected) -> String {
        let error = collected.failures["@command/dump/rows"] as? any Failure
        return error?.message ?? "no failure"
    }

    /// Of the processes whose command line holds `mark`.
    private func living(_ mark: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.filter { name in
            guard Int(name) != nil, let bytes = FileManager.default.contents(atPath: "/proc/\(name)/cmdline"),
                let status = FileManager.default.contents(atPath: "/proc/\(name)/status")
            else { return false }
            return String(decoding: bytes, as: UTF8.self).contains(mark)
                && !String(decoding: status, as: UTF8.self).contains("State:\tZ")
        }
    }

    /// Starts a program in a thread that ends without ending it; whoever releases the result waits for it.
    private func leave(_ command: [String], isBound: Bool) throws -> Unmanaged<RunningProgram> {
        /// SAFETY: what one thread writes is read when it has said that it is done.
        final class Left: @unchecked Sendable {
            var program: RunningProgram?
            let ended = DispatchSemaphore(value: 0)
        }
        let left = Left()
        let thread = Thread {
            left.program = try? RunningProgram(command, isBound: isBound, timeout: 600, timeoutText: "10 minutes")
            for _ in 0..<100 where living(command.last ?? "") == [] { usleep(50_000) }
            // Whoever becomes another program is the same process.
            usleep(200_000)
            left.ended.signal()
        }
        thread.start()
        left.ended.wait()
        return Unmanaged.passRetained(try #require(left.program))
    }

    @Test("A program that is bound is gone with the thread that started it, whoever forgets it")
    func bound() throws {
        let marks = (0..<2).map { _ in "600.\(Int.random(in: 100_000...999_999))" }
        let forgotten = [
            try leave(["/bin/sleep", marks[0]], isBound: false), try leave(["/bin/sleep", marks[1]], isBound: true),
        ]
        // An ended child that nobody waits for keeps the test runner from seeing others end.
        defer { for program in forgotten { program.release() } }
        for _ in 0..<100 where !living(marks[1]).isEmpty { usleep(50_000) }
        #expect(living(marks[1]).isEmpty)
        let other = living(marks[0])
        #expect(other.count == 1, "what is not bound goes on")
        for process in other.compactMap({ pid_t($0) }) { kill(process, SIGKILL) }
    }

    @Test("All of it, of whatever length, while it complains without end")
    func whole() {
        let flood = "i=0; while [ $i -lt 3000 ]; do echo 'a line of complaint that nobody reads' >&2; i=$((i+1)); done;"
        for bytes in [1, 99_999, 100_000, 100_001, 3_000_000] {
            let collected = collect("\(bytes < 100_000 ? flood : "") head -c \(bytes) /dev/zero")
            #expect(collected.contents["@command/dump/rows"] == [UInt8](repeating: 0, count: bytes))
            #expect(collected.facts.isWhole && collected.facts.facts["bytes"] == "\(bytes)")
            #expect(collected.facts.facts["program"] == "/bin/sh")
        }
        #expect(
            collect("echo x").entries.map { String(decoding: $0.path, as: UTF8.self) }
                == ["@command/dump", "@command/dump/rows"])
    }

    @Test("Nothing counts of a program that ends badly, says too little or was killed")
    func bad() {
        let status = collect("head -c 5000000 /dev/zero; echo one >&2; echo 'the database is away' >&2; exit 3")
        #expect(failure(status) == "/bin/sh ended with 3: one / the database is away")
        let short = collect("echo half", minimum: 6)
        #expect(failure(short) == "/bin/sh gave 5 bytes, and at least 6 are demanded")
        let enough = collect("echo whole", minimum: 6)
        #expect(enough.facts.isWhole)
        let killed = collect("head -c 200000 /dev/zero; kill -9 $$")
        #expect(failure(killed) == "/bin/sh was ended by signal 9")
        for collected in [status, short, killed] { #expect(!collected.facts.isWhole && collected.contents.isEmpty) }
    }

    @Test("A program without an end is ended with all it started, and so is what one leaves behind")
    func children() throws {
        let mark = "3\(Int.random(in: 100_000...999_999))"
        let late = collect("sleep \(mark) & sleep \(mark) & echo begun; wait", timeout: .seconds(1))
        #expect(failure(late) == "/bin/sh took longer than 1 second and was ended")
        for _ in 0..<100 where !living(mark).isEmpty { usleep(20_000) }
        #expect(living(mark).isEmpty)
        // A child that holds the output open keeps it from ending.
        let held = collect("sleep \(mark) & echo done", timeout: .seconds(1))
        #expect(failure(held).contains("took longer than"))
        let left = collect("sleep \(mark) >/dev/null 2>&1 & echo done")
        #expect(left.facts.isWhole, "\(failure(left))")
        // The kernel ends it a moment later.
        for _ in 0..<100 where !living(mark).isEmpty { usleep(20_000) }
        #expect(living(mark).isEmpty)
    }

    @Test("A program that closes its output and goes on is waited for")
    func closedOutput() {
        let collected = collect("echo done; exec >&-; sleep 0.3; exit 4")
        #expect(failure(collected) == "/bin/sh ended with 4")
    }

    @Test("An interrupt ends it at once")
    func interrupt() {
        final class Count { var asked = 0 }
        let count = Count()
        let started = ContinuousClock().now
        let collected = collect("echo begun; sleep 30") {
            count.asked += 1
            return count.asked > 3
        }
        #expect(failure(collected) == "/bin/sh was interrupted")
        #expect(ContinuousClock().now - started < .seconds(10))
    }

    @Test("What cannot be started is told with its reason")
    func missing() {
        for (program, message) in [("/nonexistent/dump", "No such file"), ("/etc/passwd", "Permission denied")] {
            let source = CommandSource(name: "dump", command: [program])
            let collected = Collected(
                CommandCollector(source, started: Timestamp(seconds: 0), isInterrupted: { false }))
            let error = collected.failures["@command/dump/dump"] as? any Failure
            #expect(error?.message.hasPrefix("\(program) cannot be started: ") == true)
            #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        }
    }

    @Test("A program has neither the environment nor the input nor the session of this process")
    func apart() {
        let collected = collect("env | sort; cat; pwd; echo $(cut -d' ' -f6 /proc/$$/stat) = $$")
        let lines = String(decoding: collected.contents["@command/dump/rows"] ?? [], as: UTF8.self)
            .split(separator: "\n").map(String.init)
        #expect(lines.contains("LC_ALL=C.UTF-8") && lines.contains("PATH=/usr/sbin:/usr/bin:/sbin:/bin"))
        #expect(!lines.contains { $0.hasPrefix("HOME=") || $0.hasPrefix("QALA_") }, "\(lines)")
        #expect(lines.contains("/"))
        let session = lines.last?.split(separator: " ") ?? []
        #expect(session.first == session.last, "\(lines)")
    }

    /// Feeds a script in blocks and waits for its end.
    private func feed(_ script: String, blocks: Int) throws(CollectorError) {
        let program = try RunningProgram(
            ["/bin/sh", "-c", script], isFed: true, timeout: 20, timeoutText: "20 seconds")
        defer { program.close() }
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 100_000, alignment: 16)
        defer { block.deallocate() }
        block.initializeMemory(as: UInt8.self, repeating: 0x61)
        for _ in 0..<blocks { try program.feed(UnsafeRawBufferPointer(block)) }
        try program.endFeeding()
    }

    @Test("A program that is fed gets every byte and then the end, while it prints what nobody reads")
    func fed() throws {
        try feed("test $(tee /dev/stderr | wc -c) = 3000000", blocks: 30)
        try feed("cat; head -c 1000000 /dev/zero", blocks: 10)
        try feed("test -z \"$(cat)\"", blocks: 0)
    }

    @Test("A program that fails, ends before it was told everything, or hears too slowly is an error")
    func fedInVain() {
        func message(_ script: String) -> String {
            do throws(CollectorError) {
                try feed(script, blocks: 30)
                return "no error"
            } catch {
                return error.message
            }
        }
        #expect(message("cat >/dev/null; echo no >&2; exit 3").contains("ended with 3: no"))
        #expect(message("head -c 10 >/dev/null; exit 4").contains("ended with 4"))
        #expect(message("head -c 10 >/dev/null").contains("ended before it had read everything"))
        #expect(message("exec <&-; sleep 1; exit 5").contains("ended with 5"))
    }

    @Test("A program that is asked to end may do what it has to do before, and how it ends counts")
    func asked() throws {
        for (status, isSound) in [(0, true), (6, false)] {
            let program = try RunningProgram(
                ["/bin/sh", "-c", "trap 'echo bye; exit \(status)' TERM; echo up; while :; do sleep 0.1; done"],
                timeout: 20, timeoutText: "20 seconds")
            defer { program.close() }
            var word = [UInt8](repeating: 0, count: 3)
            let count = try word.withUnsafeMutableBytes { try program.read(into: $0) }
            #expect(count == 3 && program.isRunning)
            let error = Result { () throws(CollectorError) in try program.end() }
            if case .success = error { #expect(isSound) } else { #expect(!isSound) }
            #expect(!program.isRunning)
        }
    }
}
