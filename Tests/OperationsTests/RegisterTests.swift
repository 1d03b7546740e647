import Domain
import Foundation
import Testing

@testable import Operations

@Suite("Registers")
struct RegisterTests {
    /// A state directory of its own, which goes away with the value.
    private final class Place {
        let state: String

        init() throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "qala-registers-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            state = folder.path
        }

        deinit { try? FileManager.default.removeItem(atPath: state) }

        var files: RegisterFiles { RegisterFiles(state: state, .runs) }

        func path(_ file: String) -> String { "\(state)/registers/\(file)" }

        func read() throws -> (entries: [RegisterEntry], reading: RegisterFiles.Reading) {
            var entries: [RegisterEntry] = []
            let reading = try files.read { entries.append($0) }
            return (entries, reading)
        }

        func names() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: state + "/registers").sorted()
        }

        /// Adds `count` lines through a writer of its own.
        func write(_ count: Int, fileBytes: Int = RegisterWriter.usualFileBytes) throws {
            let writer = try RegisterWriter(files, fileBytes: fileBytes)
            for number in 0..<count {
                try writer.append("2026-11-22T00:00:00Z", "done", ["run": "r\(number)", "message": "ə\n\"x\""])
            }
        }

        func change(_ file: String, _ body: (inout [UInt8]) -> Void) throws {
            var bytes = [UInt8](try Data(contentsOf: URL(filePath: path(file))))
            body(&bytes)
            try Data(bytes).write(to: URL(filePath: path(file)))
        }
    }

    private static let first = "runs.000000000001.jsonl"

    @Test("Lines are numbered and chained over ends of files and of processes; a file begins with its own number")
    func rotation() throws {
        let place = try Place()
        try place.write(10, fileBytes: 1000)
        try place.write(10, fileBytes: 1000)
        let (entries, reading) = try place.read()
        #expect(entries.map(\.number) == Array(1...20) && reading.damage.isEmpty && reading.tornBytes == 0)
        #expect(entries[0].previous == String(repeating: "0", count: 64))
        let segments = try place.files.segments()
        #expect(segments.count > 2)
        for segment in segments {
            let bytes = try Data(contentsOf: URL(filePath: place.path(segment.file)))
            #expect(bytes.count <= 1000)
            let line = bytes.prefix { $0 != 0x0A }
            let entry = try JSONDecoder().decode(RegisterEntry.self, from: line)
            #expect(entry.number == segment.first && segment.file == place.files.file(first: entry.number))
        }
        #expect(entries[3].fields == ["run": "r3", "message": "ə\n\"x\""])
    }

    @Test("A torn last line is cut and told, wherever it is torn, and the register goes on", arguments: [1, 7, 100, 0])
    func torn(kept: Int) throws {
        let place = try Place()
        try place.write(5)
        // With 0 the blocks of the line are there, but hold zeros.
        try place.change(Self.first) { bytes in
            let start = (bytes.dropLast().lastIndex(of: 0x0A) ?? 0) + 1
            if kept > 0 {
                bytes.removeSubrange((start + kept)...)
            } else {
                for at in (start + 10)..<(bytes.count - 1) { bytes[at] = 0 }
            }
        }
        let before = try place.read()
        #expect(before.entries.count == 4 && before.reading.tornBytes > 0 && before.reading.damage.isEmpty)
        let writer = try RegisterWriter(place.files)
        #expect(writer.cutBytes == before.reading.tornBytes)
        try writer.append("2026-11-22T00:00:01Z", "failed", [:])
        let after = try place.read()
        #expect(after.entries.map(\.number) == [1, 2, 3, 4, 5] && after.reading.damage.isEmpty)
        #expect(after.entries.last?.kind == "failed" && after.reading.tornBytes == 0)
    }

    @Test("A changed, a missing and an exchanged line are damage at the line that shows it, and hide nothing else")
    func altered() throws {
        func damage(_ body: @escaping (inout [[UInt8]]) -> Void) throws -> (places: [Int], numbers: [Int]) {
            let place = try Place()
            try place.write(6)
            try place.change(Self.first) { bytes in
                var lines = bytes.split(separator: 0x0A).map { Array($0) }
                body(&lines)
                bytes = lines.flatMap { $0 + [0x0A] }
            }
            let found = try place.read()
            #expect(found.reading.damage.allSatisfy { $0.file == Self.first })
            return (found.reading.damage.map(\.line), found.entries.map(\.number))
        }
        let changed = try damage { lines in
            let text = String(decoding: lines[2], as: UTF8.self).replacingOccurrences(of: "r2", with: "r9")
            lines[2] = Array(text.utf8)
        }
        #expect(changed.places == [4] && changed.numbers == [1, 2, 3, 4, 5, 6])
        let missing = try damage { $0.remove(at: 2) }
        #expect(missing.places == [3] && missing.numbers == [1, 2, 4, 5, 6])
        let exchanged = try damage { $0.swapAt(1, 2) }
        #expect(exchanged.places == [2, 3, 4])
        let garbage = try damage { $0[2] = Array("{}".utf8) }
        #expect(garbage.places == [3, 4] && garbage.numbers == [1, 2, 4, 5, 6])
    }

    @Test("A file that is missing between others is damage, and writing goes on behind it")
    func missingFile() throws {
        let place = try Place()
        try place.write(20, fileBytes: 800)
        let segments = try place.files.segments()
        try FileManager.default.removeItem(atPath: place.path(segments[1].file))
        let found = try place.read()
        #expect(found.reading.damage.map(\.file) == [segments[2].file] && found.reading.damage[0].line == 1)
        try place.write(1, fileBytes: 800)
        let after = try place.read()
        #expect(after.entries.last?.number == 21 && after.reading.damage.count == 1)
    }

    @Test("A damaged last line is kept, and the next one stands on its bytes")
    func damagedEnd() throws {
        let place = try Place()
        try place.write(3)
        try place.change(Self.first) { bytes in
            let start = (bytes.dropLast().lastIndex(of: 0x0A) ?? 0) + 1
            bytes[start] = 0x78
        }
        try place.write(2)
        let found = try place.read()
        #expect(found.entries.map(\.number) == [1, 2, 4, 5])
        #expect(found.reading.damage.map(\.line) == [3], "only the line that cannot be read")
    }

    @Test("A line that could not be written is written by a later call, once and in its place")
    func later() throws {
        let place = try Place()
        try place.write(1, fileBytes: 100)
        let writer = try RegisterWriter(place.files, fileBytes: 100)
        // Nothing can be written to a directory, whoever one is.
        let obstacle = place.path(place.files.file(first: 2))
        try FileManager.default.createDirectory(atPath: obstacle, withIntermediateDirectories: false)
        for _ in 0..<2 {
            #expect(throws: OperationError.self) { try writer.append("2026-11-22T00:00:01Z", "done", [:]) }
        }
        try FileManager.default.removeItem(atPath: obstacle)
        try writer.append("2026-11-22T00:00:01Z", "done", [:])
        try writer.append("2026-11-22T00:00:02Z", "failed", [:])
        let (entries, reading) = try place.read()
        #expect(entries.map(\.number) == [1, 2, 3] && entries.map(\.kind) == ["done", "done", "failed"])
        #expect(reading.damage.isEmpty && reading.tornBytes == 0)
    }

    @Test("Names of another form are no files of a register, and a line that is too long is refused")
    func forms() throws {
        let place = try Place()
        try place.write(1)
        for name in ["runs.1.jsonl", "runs.000000000000.jsonl", "runsx.000000000001.jsonl", "runs.000000000002.json"] {
            try Data("x\n".utf8).write(to: URL(filePath: place.path(name)))
        }
        #expect(try place.files.segments().map(\.file) == [Self.first])
        let writer = try RegisterWriter(place.files)
        #expect(throws: OperationError.self) {
            try writer.append("t", "done", ["message": String(repeating: "x", count: 70_000)])
        }
        try writer.append("t", "done", [:])
        #expect(try place.read().entries.map(\.number) == [1, 2])
    }

    @Test("CSV quotes what it must and runs no formula")
    func csv() {
        let line = CSVText.line(["a", "b c", "1,5", "say \"no\"", "two\nlines"])
        #expect(line == "a,b c,\"1,5\",\"say \"\"no\"\"\",\"two\nlines\"\r\n")
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] { #expect(CSVText.field(text) == "\"'\(text)\"") }
        #expect(CSVText.field("") == "" && CSVText.field("ə-") == "ə-")
        #expect(CSVText.field("a\r\nb") == "\"a\r\nb\"")
    }

    @Test("A run that the register lacks is told again at a start, and an old one is not")
    func told() throws {
        let place = try Place()
        func run(_ id: String, _ state: RunRecord.State, ended: String) -> RunRecord {
            var run = RunRecord(
                id: id, policy: "a", trigger: .request, requestedBy: nil, due: nil, attempt: 1, asked: ended,
                state: state)
            run.ended = ended
            return run
        }
        let failed = run("r1", .failed, ended: "2026-11-22T00:00:00Z")
        let registers = try DaemonRegisters(state: place.state)
        #expect(registers.lacks(failed) && !registers.lacks(run("r2", .running, ended: "")))
        registers.note(failed, at: "2026-11-22T00:00:00Z")
        try registers.flush()
        #expect(!registers.lacks(failed))
        let again = try DaemonRegisters(state: place.state)
        #expect(!again.lacks(failed) && again.ledger.openProblems.map(\.kind) == [.failed])
        again.note(run("r3", .done, ended: "2026-11-22T00:01:00Z"), at: "2026-11-22T00:01:00Z")
        try again.flush()
        let third = try DaemonRegisters(state: place.state)
        #expect(third.ledger.openProblems.isEmpty && third.ledger.last == 1)
        let done = try #require(TimeText.parse("2026-11-22T00:01:00Z"))
        #expect(third.lastDone(of: "a", notAfter: done) == done && third.lastDone(of: "a", notAfter: done - 1) == nil)
        #expect(third.damage.isEmpty && third.notices.isEmpty)
    }

    @Test("The heartbeat that was touched after it was stored counts, within what one stored a minute later could be")
    func heartbeat() throws {
        let place = try Place()
        try FileManager.default.createDirectory(atPath: place.state + "/registers", withIntermediateDirectories: true)
        let beat = Heartbeat(time: 1_795_000_000, bootID: "b", process: 7, isStopped: false)
        try beat.write(state: place.state)
        #expect(Heartbeat.read(state: place.state) == beat)
        Heartbeat.touch(state: place.state, at: 1_795_000_050)
        #expect(Heartbeat.read(state: place.state)?.time == 1_795_000_050)
        Heartbeat.touch(state: place.state, at: 1_795_009_000)
        #expect(Heartbeat.read(state: place.state)?.time == 1_795_000_000)
        try Data("{".utf8).write(to: URL(filePath: Heartbeat.path(state: place.state)))
        #expect(Heartbeat.read(state: place.state) == nil)
    }

    @Test("Dates and minutes from which rows are meant begin with their first second")
    func since() {
        #expect(RegisterFilter.instant("2026-11-22T15:51:52Z") == "2026-11-22T15:51:52Z")
        #expect(RegisterFilter.instant("2026-11-22T15:51Z") == "2026-11-22T15:51:00Z")
        #expect(RegisterFilter.instant("2026-11-22T19:51+04:00") == "2026-11-22T15:51:00Z")
        #expect(RegisterFilter.instant("2026-11-22") == RegisterFilter.instant("2026-11-22T00:00:00"))
        #expect(RegisterFilter.instant("2026-11-22 15:51") == RegisterFilter.instant("2026-11-22T15:51:00"))
        for text in ["", "yesterday", "2026-13-01", "2026-11-22T25:00", "2026-11-22T15:5", "2026-11-22T1551Z"] {
            #expect(RegisterFilter.instant(text) == nil, "\(text)")
        }
    }

    @Test("The load is read as Linux tells it")
    func load() {
        let load = HostLoad(
            loadavg: ["0.52 0.58 0.59 1/389 12345"], meminfo: ["MemTotal:  2048 kB", "MemAvailable:  1024 kB", "x"])
        #expect(load.loads == ["0.52", "0.58", "0.59"] && load.memoryTotal == 2 << 20)
        #expect(load.fields["memoryAvailable"] == "\(1 << 20)")
        #expect(HostLoad.read().loads.count == 3)
        #expect((DiskRoom.of("/")?.size ?? 0) > 0 && DiskRoom.of("/there is no such folder") == nil)
    }
}
