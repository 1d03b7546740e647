import Foundation
import Glibc
import Testing

@Suite(
    "WAL in bad times, by the real binary", .serialized,
    .enabled(if: qalaBinary != nil && access("\(PostgreSQLServer.programs)/initdb", X_OK) == 0))
struct WALFaultTests {
    /// Files of the vault that hold chunks.
    private func packs(_ bench: WALDesk) throws -> Set<String> {
        let folder = bench.world.path("vault/packs")
        let names = try #require(FileManager.default.enumerator(atPath: folder)).compactMap { $0 as? String }
        return Set(
            names.map { "\(folder)/\($0)" }.filter { (try? Data(contentsOf: URL(filePath: $0)))?.isEmpty == false })
    }

    private func openProblems(_ bench: WALDesk) throws -> [[String: String]] {
        let listed = try bench.world.qala("register", "problems", "list", "--open", "--json")
        let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
        return rows.compactMap { $0["fields"] as? [String: String] }
    }

    @Test(
        "WAL that is gone, cut or replaced in the vault ends a restore with 13 and a fetch with 126, and no server starts",
        arguments: ["gone", "cut", "replaced"])
    func damaged(how: String) throws {
        let bench = try WALDesk()
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        _ = try bench.server.sql("CREATE TABLE t AS SELECT 1 AS n")
        #expect(try bench.desk.ask("run", "db").status == 0)
        try bench.waitUntilArchived(try bench.segment())
        let before = try packs(bench)
        _ = try bench.server.sql("INSERT INTO t VALUES (2)")
        let last = try bench.segment()
        try bench.waitUntilArchived(last)
        let ofWAL = try packs(bench).subtracting(before)
        try #require(!ofWAL.isEmpty && !before.isEmpty)
        var kept: [String: Data] = [:]
        for path in ofWAL {
            let bytes = try Data(contentsOf: URL(filePath: path))
            kept[path] = bytes
            chmod(path, 0o600)
            switch how {
            case "gone": #expect(unlink(path) == 0)
            case "cut": try bytes.prefix(64).write(to: URL(filePath: path))
            default:
                let other = try #require(before.first)
                try Data(contentsOf: URL(filePath: other)).write(to: URL(filePath: path))
            }
        }
        let fetched = try bench.fetch(last, to: bench.world.path("fetched"))
        #expect(fetched.status == 126, "\(fetched.status) \(fetched.errorText)")
        #expect(access(bench.world.path("fetched"), F_OK) != 0)
        let place = bench.world.path("new")
        let command = ["restore", "latest:db", "--cluster", "main", "--to", place, "--target", "latest"] + World.byKit
        let refused = try bench.world.qala(command)
        #expect(refused.status == 13, "\(refused.status) \(refused.errorText)")
        #expect(access("\(place)/global/pg_control", F_OK) != 0)

        for (path, bytes) in kept { try bytes.write(to: URL(filePath: path)) }
        try? FileManager.default.removeItem(atPath: place)
        let restored = try bench.world.qala(command)
        #expect(restored.status == 0, "\(restored.errorText)")
        #expect(try bench.fetch(last, to: bench.world.path("fetched")).status == 0)
    }

    /// A segment that nobody takes, and one behind it that is archived; returns the name of the first.
    private func loseSegment(_ bench: WALDesk) throws -> String {
        let skip = "\(bench.server.path)/skip"
        try Data().write(to: URL(filePath: skip))
        _ = try bench.server.sql("INSERT INTO t VALUES (2)")
        let lost = try bench.segment()
        try bench.desk.wait("the command to pass over \(lost)") {
            try bench.server.sql("SELECT last_archived_wal FROM pg_stat_archiver") == lost
        }
        #expect(unlink(skip) == 0)
        _ = try bench.server.sql("INSERT INTO t VALUES (3)")
        try bench.waitUntilArchived(try bench.segment())
        return lost
    }

    /// Whether the gap that begins with `lost` is a problem.
    private func isOpen(_ lost: String, _ bench: WALDesk) throws -> Bool {
        try openProblems(bench).contains { $0["policy"] == "wal" && $0["message"]?.contains(lost) == true }
    }

    @Test(
        "When the base archive behind a gap is disposed of, the gap is a problem again and the recovery point lies before it"
    )
    func gapWithoutItsBase() throws {
        let bench = try WALDesk()
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        /// Until when the log could be replayed from each place, RFC 3339.
        func points() throws -> [String] {
            let status = try World.object(try bench.desk.ask("status", "--json"))
            let policies = try #require(status["policies"] as? [[String: Any]])
            let rows = policies.filter { $0["name"] as? String == "wal" }.flatMap {
                $0["points"] as? [[String: Any]] ?? []
            }
            return rows.compactMap { $0["time"] as? String }
        }
        _ = try bench.server.sql("CREATE TABLE t AS SELECT 1 AS n")
        #expect(try bench.desk.ask("run", "db").status == 0)
        try bench.waitUntilArchived(try bench.segment())
        sleep(2)
        let moment = try bench.server.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        sleep(2)
        let lost = try loseSegment(bench)
        try bench.desk.wait("the problem") { try isOpen(lost, bench) }
        try bench.desk.wait("the points before the gap") {
            try points().count == 2 && points().allSatisfy { $0 < moment }
        }
        #expect(try bench.desk.ask("run", "db").status == 0)
        try bench.waitUntilArchived(try bench.segment())
        try bench.desk.wait("the end of the problem") { try !isOpen(lost, bench) }
        try bench.desk.wait("the points behind the gap") { try points().allSatisfy { $0 > moment } }

        let listed = try World.object(try bench.world.qala("archives", "--json"))["archives"] as? [[String: Any]]
        let bases = (listed ?? []).filter { $0["policy"] as? String == "db" }.compactMap { $0["id"] as? String }
        let newest = try #require(bases.last)
        try #require(bases.count == 2)
        let second = try bench.world.qala(["key", "add", "kit", "--to", "kit2.txt", "--administrator"] + World.byKit)
        #expect(second.status == 0, "\(second.errorText)")
        let asked = try bench.world.qala(
            ["dispose", newest, "--reason", "a mistake", "--before-period", "--request", "d.json"] + World.byKit)
        #expect(asked.status == 0, "\(asked.errorText)")
        let disposed = try bench.world.qala("dispose", "--approve", "d.json", "--key-file", "kit2.txt")
        #expect(disposed.status == 0, "\(disposed.errorText)")
        try bench.desk.wait("the problem again") { try isOpen(lost, bench) }
        try bench.desk.wait("the points before the gap again") { try points().allSatisfy { $0 < moment } }
    }

    @Test("A gap is refused by a restore, and is a problem until a newer base archive lies behind it")
    func gap() throws {
        let bench = try WALDesk()
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        _ = try bench.server.sql("CREATE TABLE t AS SELECT 1 AS n")
        #expect(try bench.desk.ask("run", "db").status == 0)
        let first = try bench.world.qala("archives", "--json")
        let archives = try World.object(first)["archives"] as? [[String: Any]] ?? []
        let base = try #require(archives.last { $0["policy"] as? String == "db" }?["id"] as? String)
        try bench.waitUntilArchived(try bench.segment())
        let lost = try loseSegment(bench)
        try bench.desk.wait("the problem") { try isOpen(lost, bench) }
        func restore(_ archive: String, to place: String) throws -> Finished {
            try bench.world.qala(
                ["restore", archive, "--cluster", "main", "--to", place, "--target", "latest"] + World.byKit)
        }
        let refused = try restore("latest:db", to: "new")
        #expect(refused.status == 1 && refused.errorText.contains(lost), "\(refused.status) \(refused.errorText)")
        #expect(access(bench.world.path("new"), F_OK) != 0)

        #expect(try bench.desk.ask("run", "db").status == 0)
        try bench.waitUntilArchived(try bench.segment())
        try bench.desk.wait("the end of the problem") { try openProblems(bench).allSatisfy { $0["policy"] != "wal" } }
        #expect(try bench.world.qala("wal", "status").status == 13, "the gap is still told")
        let passed = try restore("latest:db", to: "new")
        #expect(passed.status == 0, "\(passed.errorText)")
        #expect(try restore(base, to: "old").status == 1)
    }

    @Test("A slot that the server gave up is a problem that says what to do")
    func slot() throws {
        let bench = try WALDesk(.slot, settings: "-c max_wal_size=32MB -c min_wal_size=32MB")
        defer { bench.remove() }
        func keep(_ size: String) throws {
            _ = try bench.server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '\(size)'")
            _ = try bench.server.sql("SELECT pg_reload_conf()")
            try bench.desk.wait("the setting") { try bench.server.sql("SHOW max_slot_wal_keep_size") == size }
        }
        try keep("1MB")
        _ = try bench.server.sql("SELECT pg_create_physical_replication_slot('qala', true)")
        for number in 1...4 {
            _ = try bench.server.sql("CREATE TABLE t\(number) AS SELECT 1 AS n")
            _ = try bench.segment()
        }
        _ = try bench.server.sql("CHECKPOINT")
        try #require(try bench.server.sql("SELECT wal_status FROM pg_replication_slots") == "lost")
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        try bench.desk.wait("the problem") {
            try openProblems(bench).contains { $0["message"]?.contains("gave up the slot qala") == true }
        }
        // Else it is given up again with the next checkpoint.
        try keep("-1")
        try bench.desk.wait("the stream") {
            try bench.server.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
        }
        // From here on it goes again; what the server threw away meanwhile is a gap, where anything lies before it.
        try bench.waitUntilArchived(try bench.segment())
    }
}
