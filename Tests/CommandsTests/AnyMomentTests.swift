import Foundation
import Glibc
import Testing

/// Whether the longer slices run.
private let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
private let second = 1_000_000

/// A PostgreSQL server that works while base archives and WAL flow, is killed, and comes back at moments that nobody chose.
private struct WorkedServer {
    let bench: WALDesk
    /// Base archives with the time at which each was there.
    private(set) var bases: [(id: String, done: Int)] = []

    init(_ way: WALDesk.Way) throws {
        // What is committed is in the archive when its segment is, which shall not take long.
        bench = try WALDesk(way, settings: "-c archive_timeout=2")
    }

    var server: PostgreSQLServer { bench.server }

    func makeTables() throws {
        try server.run("pgbench", "-i", "-q", "-s", "2", "-h", server.path, "-U", "postgres", "postgres")
        _ = try server.sql("CREATE TABLE heartbeat (n int PRIMARY KEY, at timestamptz)")
    }

    func load() throws -> RunningProcess {
        // The rate keeps the WAL of a minute within some hundred megabytes; it ends with the server.
        try server.start(
            "pgbench",
            ["-h", server.path, "-U", "postgres", "-n", "-c", "4", "-j", "2", "-R", "300", "-T", "3600", "postgres"])
    }

    func heartbeat() throws -> Heartbeat {
        try Heartbeat(
            ["\(PostgreSQLServer.programs)/psql", "-XAtq", "-h", server.path, "-U", "postgres", "-f", "-", "postgres"],
            statement: "INSERT INTO heartbeat VALUES ({n}, clock_timestamp());", pause: 0.05, in: bench.world.folder)
    }

    mutating func base() throws {
        let finished = try bench.desk.ask("run", "db")
        try #require(finished.status == 0, "\(finished.errorText)")
        let rows = try World.object(try bench.world.qala(["archives", "--policy", "db", "--json"] + World.byKit))
        let newest = try #require((rows["archives"] as? [[String: Any]])?.last?["id"] as? String)
        bases.append((newest, microseconds()))
    }

    /// A slot that is made does not reserve WAL: what streams begins with the segment of that time.
    func waitUntilStreaming() throws {
        try bench.desk.wait("the stream") {
            try server.sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'qala'") == "t"
        }
    }

    /// Until the spool has everything of before: a segment that is ended by us.
    func waitUntilTaken() throws -> String {
        let last = try bench.segment()
        try bench.desk.wait("the segment \(last)") {
            // Before the first one the source may not be known yet.
            guard let row = try? bench.status() else { return false }
            return (row["newest"] as? [String])?.last ?? "" >= last
        }
        return last
    }

    /// Restores, starts, and hands over what can be asked; then the server's own programs look at every page.
    func restore(_ base: String, to target: [String], _ comment: Comment, _ body: () throws -> Void) throws {
        let place = "\(server.path)/new"
        let restored = try bench.world.qala(
            ["restore", base, "--cluster", "main", "--to", place] + target + World.byKit)
        try #require(restored.status == 0, "\(comment): \(restored.errorText)")
        try server.run("pg_ctl", "-D", place, "-l", "\(server.path)/log2", "-w", "-o", server.place, "start")
        try bench.desk.wait("the end of the recovery") { try server.sql("SELECT pg_is_in_recovery()") == "f" }
        try body()
        try server.run("pg_amcheck", "--all", "--install-missing", "-h", server.path, "-U", "postgres")
        try server.run("pg_ctl", "-D", place, "-m", "fast", "-w", "stop")
        try server.run("pg_checksums", "--check", "-D", place)
        try FileManager.default.removeItem(atPath: place)
    }

    /// Every transaction of pgbench adds the same to each of its tables.
    func checkSums(_ comment: Comment) throws {
        let sums = try server.sql(
            """
            SELECT (SELECT coalesce(sum(delta), 0) FROM pgbench_history) = ALL (ARRAY[
                (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),
                (SELECT sum(bbalance) FROM pgbench_branches)])
            """)
        #expect(sums == "t", comment)
    }
}

/// `2026-11-23T05:50:07.250000Z`
private func text(_ moment: Int) -> String {
    var seconds = moment / second
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return String(
        format: "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
        parts.tm_hour, parts.tm_min, parts.tm_sec, moment % second)
}

@Suite(
    "Databases at any moment", .serialized,
    .enabled(if: qalaBinary != nil && access("\(PostgreSQLServer.programs)/pg_amcheck", X_OK) == 0))
struct AnyMomentTests {
    /// The time of a commit and its place in the WAL are two steps of a transaction, between which others may come.
    private static let tolerance = second

    @Test(
        "A server killed under load comes back at random moments and the last, each with exactly what was committed then",
        arguments: [WALDesk.Way.helper, .slot])
    func server(way: WALDesk.Way) throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the moments, \(way): \(seed)")
        var generator = SeededGenerator(seed: seed)
        var worked = try WorkedServer(way)
        let bench = worked.bench
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        try worked.makeTables()
        if way == .slot { try worked.waitUntilStreaming() }
        // A base must not be older than the WAL that is taken.
        _ = try worked.waitUntilTaken()
        try worked.base()
        let load = try worked.load()
        let heartbeat = try worked.heartbeat()
        let begun = microseconds()
        let half = UInt32(isLong ? 30 : 4)
        sleep(half)
        try worked.base()
        sleep(half)
        let taken = microseconds()
        let last = try worked.waitUntilTaken()
        try bench.server.kill()
        _ = try load.wait()
        let rows = try heartbeat.end()
        try bench.waitUntilArchived(last)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        let told = try #require(try bench.status()["gaps"] as? [Any])
        #expect(told.isEmpty, "\(told)")

        let count = isLong || way == .helper ? 5 : 2
        for number in 1...count {
            let moment = Int.random(in: begun + second...taken - second, using: &generator)
            // A second of doubt: the end of the run, not of the archive, is known.
            let base = try #require(worked.bases.last { $0.done + second <= moment } ?? worked.bases.first)
            let target = text(moment)
            let comment: Comment = "\(way), seed \(seed), moment \(number), \(target), base \(base.id)"
            try worked.restore(base.id, to: ["--target-time", target], comment) {
                let found = try bench.server.sql("SELECT count(*), min(n), max(n) FROM heartbeat")
                rows.check(found, acknowledged: moment - Self.tolerance, begun: moment, comment)
                let late = "SELECT count(*) FROM heartbeat WHERE at > '\(target)'"
                #expect(try bench.server.sql(late) == "0", comment)
                let history = "SELECT count(*) FROM pgbench_history WHERE mtime::timestamptz > '\(target)'"
                #expect(try bench.server.sql(history) == "0", comment)
                try worked.checkSums(comment)
            }
        }
        let comment: Comment = "\(way), seed \(seed), the last"
        let newest = try #require(worked.bases.last).id
        try worked.restore(newest, to: ["--target", "latest"], comment) {
            let found = try bench.server.sql("SELECT count(*), min(n), max(n) FROM heartbeat")
            rows.check(found, acknowledged: taken, begun: .max, comment)
            try worked.checkSums(comment)
        }
    }
}
