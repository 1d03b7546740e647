@testable import Collectors
import Domain
import Foundation
import Glibc
import Testing

@Suite("SQLite databases", .enabled(if: access(SQLiteWriter.python, X_OK) == 0))
struct SQLiteCollectorTests {
    private static let noon = Timestamp(seconds: 1_800_000_000)

    private func collect(
        _ bench: Workbench, _ name: String = "app.db", at time: Timestamp = SQLiteCollectorTests.noon,
        _ change: (inout SQLiteSource) -> Void = { _ in }
    ) -> Collected {
        var source = SQLiteSource(name: "app", path: bench.place(name))
        change(&source)
        return Collected(
            SQLiteCollector(source, state: bench.place("state"), started: time, isInterrupted: { false }))
    }

    private func python(_ script: String, _ arguments: String...) throws -> String {
        try Beside.run(SQLiteWriter.python, ["-c", script] + arguments)
    }

    /// What the judge says of the archived copy.
    private func judge(_ collected: Collected, _ bench: Workbench, _ name: String = "app.db") throws -> String {
        let bytes = try #require(collected.contents["@sqlite/app/\(name)"], "\(collected.message)")
        let copy = bench.place("judged-\(UUID().uuidString)")
        try Data(bytes).write(to: URL(filePath: copy))
        return try python(SQLiteWriter.judge, copy)
    }

    private func staged(_ bench: Workbench) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: bench.place("state/staging"))) ?? []).sorted()
    }

    @Test(
        "Under an application that writes without a pause, every copy is sound and of one moment",
        arguments: ["wal", "delete"])
    func underLoad(mode: String) throws {
        let bench = try Workbench()
        let writer = try Beside(SQLiteWriter.python, ["-c", SQLiteWriter.busy, bench.place("app.db"), mode])
        defer { writer.end() }
        var seen: Set<String> = []
        for _ in 0..<8 {
            let collected = collect(bench)
            #expect(
                collected.failure == nil && collected.problems.isEmpty, "\(collected.message) \(collected.problems)")
            #expect(collected.facts.isWhole && collected.facts.facts["quick-check"] == "ok")
            #expect(collected.facts.facts["journal-mode"] == (mode == "wal" ? "wal" : "rollback"))
            let said = try judge(collected, bench)
            #expect(said.hasPrefix("ok "))
            seen.insert(said)
        }
        #expect(writer.process.isRunning, "the application went on")
        #expect(seen.count > 1, "the application wrote meanwhile")
        #expect(staged(bench).isEmpty)
    }

    @Test("What an application left that was killed in a transaction is rolled back, in the archive too")
    func hotJournal() throws {
        let bench = try Workbench()
        let writer = try Beside(SQLiteWriter.python, ["-c", SQLiteWriter.killed, bench.place("app.db")])
        writer.process.waitUntilExit()
        try #require(bench.exists("app.db-journal"))
        let collected = collect(bench)
        #expect(collected.facts.isWhole, "\(collected.message)")
        #expect(try judge(collected, bench) == "ok 7")
    }

    @Test("The entry, the facts and the witnesses are of the database that was copied")
    func facts() throws {
        let bench = try Workbench()
        _ = try python(SQLiteWriter.rows, bench.place("app.db"))
        try #require(chmod(bench.place("app.db"), 0o640) == 0)
        let collected = collect(bench) {
            $0.witnesses = [
                .init(name: "rows", query: "select count(*) from a"),
                .init(name: "none", query: "select n from a where n < 0"),
                .init(name: "null", query: "select null"), .init(name: "typo", query: "select x from nowhere"),
            ]
        }
        #expect(
            collected.entries.map { String(decoding: $0.path, as: UTF8.self) } == ["@sqlite/app", "@sqlite/app/app.db"])
        #expect(collected.barriers == 1, "nothing of the run is open while SQLite holds its locks")
        let entry = try #require(collected.entries.last)
        #expect(entry.permissions == 0o640 && entry.userID == geteuid() && entry.isRacy)
        #expect(Int(entry.size) == collected.contents["@sqlite/app/app.db"]?.count)
        let facts = collected.facts.facts
        #expect(facts["user-version"] == "12" && facts["application-id"] == "0" && facts["bytes"] == "\(entry.size)")
        #expect(facts["path"] == bench.place("app.db") && facts["integrity-check"] == "ok")
        #expect(
            collected.facts.witnesses == [
                .init(name: "rows", value: "5000"), .init(name: "none", value: "NULL"),
                .init(name: "null", value: "NULL"),
            ])
        #expect(collected.facts.isWhole)
        #expect(collected.problems.map(\.what) == [.noWitness] && collected.problems[0].detail.contains("nowhere"))
        #expect(try judge(collected, bench).hasPrefix("ok"))
    }

    @Test("A damaged database is archived as it is, and is not whole")
    func damaged() throws {
        let bench = try Workbench()
        _ = try python(SQLiteWriter.rows, bench.place("app.db"))
        let file = try FileHandle(forUpdating: URL(filePath: bench.place("app.db")))
        try file.seek(toOffset: 20 * 4096)
        try file.write(contentsOf: Data(repeating: 0xA5, count: 4096))
        try file.close()
        let collected = collect(bench)
        #expect(collected.failure == nil, "\(collected.message)")
        #expect(!collected.facts.isWhole && collected.problems.map(\.what) == [.damagedDatabase])
        #expect(collected.facts.facts["quick-check"]?.hasPrefix("damaged: ") == true)
        let original = Array(try Data(contentsOf: URL(filePath: bench.place("app.db"))))
        // Copying counts a change on the first page.
        #expect(collected.contents["@sqlite/app/app.db"]?.dropFirst(4096) == original.dropFirst(4096))
    }

    @Test("The full check is made when it is due, and again until it is good")
    func integrity() throws {
        let bench = try Workbench()
        _ = try python(SQLiteWriter.rows, bench.place("app.db"))
        func check(after seconds: Int64) -> String? {
            collect(bench, at: Timestamp(seconds: Self.noon.seconds + seconds)).facts.facts["integrity-check"]
        }
        #expect(check(after: 0) == "ok")
        #expect(check(after: 86_399) == "not due")
        #expect(check(after: 86_400) == "ok")
        #expect(check(after: 0) == "ok", "a clock that went back proves nothing")
        _ = try python(SQLiteWriter.brokenIndex, bench.place("broken.db"))
        for _ in 0..<2 {
            let collected = collect(bench, "broken.db")
            #expect(collected.facts.facts["quick-check"] == "ok")
            #expect(collected.facts.facts["integrity-check"]?.contains("missing from index") == true)
            #expect(!collected.facts.isWhole && collected.problems.map(\.what) == [.damagedDatabase])
        }
    }

    @Test("What is no database is told as that, and leaves nothing behind")
    func noDatabase() throws {
        let bench = try Workbench()
        try bench.file("text", String(repeating: "no database ", count: 1000))
        try bench.file("empty", "")
        try bench.directory("folder")
        for (name, message) in [
            ("text", "is no SQLite database, or an encrypted one"), ("empty", "is empty"), ("folder", "is no file"),
            ("missing", "cannot find the database"),
        ] {
            let collected = collect(bench, name)
            #expect(collected.message.contains(message), "\(name): \(collected.message)")
            #expect(!collected.facts.isWhole && collected.contents.isEmpty)
        }
        #expect(staged(bench).isEmpty)
    }

    @Test("A lock that is held for too long is told, and nothing waits for ever")
    func locked() throws {
        let bench = try Workbench()
        let writer = try Beside(SQLiteWriter.python, ["-c", SQLiteWriter.locked, bench.place("app.db")])
        defer { writer.end() }
        let collected = collect(bench) { $0.busyTimeout = .seconds(1) }
        #expect(collected.message.contains("was locked by its application for 1 second"), "\(collected.message)")
        #expect(!collected.facts.isWhole && collected.contents.isEmpty)
    }

    @Test("A lock is waited for as long as the policy says, at whatever part of a second the wait begins")
    func lockedWholeTime() throws {
        let bench = try Workbench()
        let writer = try Beside(SQLiteWriter.python, ["-c", SQLiteWriter.locked, bench.place("app.db")])
        defer { writer.end() }
        // Towards the end of a second of the clock, which whole seconds would count as one that has passed.
        while RunningProgram.now().truncatingRemainder(dividingBy: 1) < 0.7 { usleep(10_000) }
        let start = RunningProgram.now()
        let collected = collect(bench) { $0.busyTimeout = .seconds(1) }
        let waited = RunningProgram.now() - start
        #expect(collected.message.contains("was locked"), "\(collected.message)")
        #expect(waited >= 1 && waited < 10, "\(waited) seconds")
    }

    @Test("A database that is replaced by another one all the time is copied as one of them, or not at all")
    func replaced() throws {
        let bench = try Workbench()
        let writer = try Beside(SQLiteWriter.python, ["-c", SQLiteWriter.replacing, bench.place("app.db")])
        defer { writer.end() }
        var outcomes: [String: Int] = [:]
        for _ in 0..<20 {
            let collected = collect(bench)
            if collected.facts.isWhole {
                #expect(try judge(collected, bench).hasPrefix("ok "))
                outcomes["whole", default: 0] += 1
            } else {
                #expect(collected.message.contains("was replaced by another file"), "\(collected.message)")
                outcomes["told", default: 0] += 1
            }
        }
        print("replaced databases: \(outcomes)")
    }

    @Test("What a killed run left in the staging directory goes, what a living one has stays")
    func leftovers() throws {
        let bench = try Workbench()
        _ = try python(SQLiteWriter.rows, bench.place("app.db"))
        for name in ["state", "state/staging", "state/staging/sqlite-dead", "state/staging/sqlite-lives"] {
            try bench.directory(name)
        }
        for name in ["dead/copy", "dead/lock", "lives/copy", "lives/lock"] {
            try bench.file("state/staging/sqlite-\(name)")
        }
        let lock = open(bench.place("state/staging/sqlite-lives/lock"), O_RDWR)
        defer { close(lock) }
        try #require(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        #expect(collect(bench).facts.isWhole)
        #expect(staged(bench) == ["sqlite-lives"])
        #expect(bench.exists("state/staging/sqlite-lives/copy"))
    }
}
