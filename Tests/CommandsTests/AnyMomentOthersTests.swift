import Foundation
import Glibc
import TestSupport
import Testing

/// Whether the longer slices run.
private let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
private let second = 1_000_000

/// The runs of a policy `shop`, each with its archive and the times at which it began and was done.
private struct Runs {
    let world: World
    private(set) var all: [(id: String, begun: Int, done: Int)] = []

    init(_ source: String, inMemory: Bool = false) throws {
        world = try World(inMemory: inMemory)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        try world.write(
            "shop.yaml",
            """
            policy: shop
            component: database
            responsible: {name: A}
            confidentiality: internal
            sources:
            \(source.replacing("FOLDER", with: world.folder.path))
            """)
    }

    mutating func run() throws {
        let begun = microseconds()
        let finished = try world.qala("run", world.path("shop.yaml"), "--json")
        try #require(finished.status == 0, "\(finished.outputText) \(finished.errorText)")
        all.append((try #require(try world.archives().last), begun, microseconds()))
    }

    func restore(_ arguments: [String], _ comment: Comment) throws {
        let restored = try world.qala(["restore"] + arguments + World.byKit)
        let isDone = restored.status == 0 || geteuid() != 0 && restored.status == 3
        try #require(isDone, "\(comment): \(restored.errorText)")
    }
}

/// MariaDB by full archives and archived binary logs, replayed with the server's own tools, as docs/mariadb.md says.
@Suite(
    "MariaDB at any moment", .serialized, .enabled(if: qalaBinary != nil && MariaDBServer.isInstalled))
struct AnyMomentMariaDBTests {
    /// The binary log knows whole seconds.
    private static let tolerance = second

    private static let tables = """
        CREATE DATABASE shop; USE shop;
        CREATE TABLE heartbeat (n INT PRIMARY KEY);
        CREATE TABLE account (id INT PRIMARY KEY, amount INT);
        INSERT INTO account SELECT seq, 100 FROM seq_1_to_1000;
        CREATE TABLE entry (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(400));
        INSERT INTO entry (t) SELECT REPEAT(MD5(seq), 8) FROM seq_1_to_20000;
        """
    /// Whatever is committed of it, nothing is lost and nothing is gained.
    private static let transfer = """
        BEGIN; UPDATE account SET amount = amount - 7 WHERE id = {n} % 1000 + 1; \
        UPDATE account SET amount = amount + 7 WHERE id = ({n} * 7) % 1000 + 1; \
        INSERT INTO entry (t) VALUES (REPEAT(MD5({n}), 8)); COMMIT;
        """

    private func client(_ server: MariaDBServer) -> [String] {
        ["/usr/bin/mariadb", "--no-defaults", "--socket=\(server.socket)", "--user=root", "--batch"]
            + ["--skip-column-names", "--unbuffered", "shop"]
    }

    @Test("A server killed under load comes back at random seconds and the last, with exactly what was committed then")
    func server() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the moments: \(seed)")
        var generator = SeededGenerator(seed: seed)
        // What is written during a copy must fit into the redo log.
        let server = try MariaDBServer(options: ["--innodb-log-file-size=64M"])
        try server.query(Self.tables)
        var runs = try Runs(
            "  - {mariadb: main, socket: \(server.socket), user: root, binary-logs: true}")
        defer { runs.world.remove() }
        try runs.run()
        let load = try Heartbeat(client(server), statement: Self.transfer, pause: 0.002, in: runs.world.folder)
        let heartbeat = try Heartbeat(
            client(server), statement: "INSERT INTO heartbeat VALUES ({n});", pause: 0.05, in: runs.world.folder)
        let begun = microseconds()
        let half = UInt32(isLong ? 30 : 4)
        sleep(half)
        try runs.run()
        sleep(half)
        try runs.run()
        server.kill()
        _ = try load.end()
        let rows = try heartbeat.end()

        // The server's account must get there.
        chmod(runs.world.folder.path, 0o755)
        try runs.restore(["latest:shop", "/@mariadb/main/logs", "--to", "logs"], "seed \(seed)")
        let last = try #require(runs.all.last)
        let seconds = (begun + 2 * second) / second...(last.begun - second) / second
        for number in 1...(isLong ? 5 : 2) {
            let moment = Int.random(in: seconds, using: &generator)
            // A copy is of the end of its run, which must lie before.
            let base = try #require(runs.all.last { $0.done <= (moment - 1) * second })
            let comment: Comment = "seed \(seed), moment \(number), \(moment), base \(base.id)"
            let back = try replayed(runs, base.id, ["--stop-datetime=\(Self.text(moment))"], comment)
            let found = try back.query("SELECT COUNT(*), MIN(n), MAX(n) FROM heartbeat", in: "shop")
            rows.check(found, acknowledged: moment * second - Self.tolerance, begun: moment * second, comment)
            try check(back, comment)
        }
        let comment: Comment = "seed \(seed), the last"
        let back = try replayed(runs, runs.all[1].id, [], comment)
        let found = try back.query("SELECT COUNT(*), MIN(n), MAX(n) FROM heartbeat", in: "shop")
        rows.check(found, acknowledged: last.begun, begun: last.done, comment)
        try check(back, comment)
    }

    private func check(_ server: MariaDBServer, _ comment: Comment) throws {
        #expect(try server.query("SELECT SUM(amount) FROM account", in: "shop") == "100000", comment)
        let told = try server.query("CHECK TABLE heartbeat, account, entry EXTENDED", in: "shop")
        #expect(told.split(separator: "\n").allSatisfy { $0.hasSuffix("\tOK") }, "\(comment): \(told)")
    }

    /// A server of the copy, to which the logs were replayed from where the copy says.
    private func replayed(
        _ runs: Runs, _ base: String, _ stop: [String], _ comment: Comment
    ) throws -> MariaDBServer {
        let world = runs.world
        try? FileManager.default.removeItem(at: world.url("new"))
        try runs.restore([base, "--server", "main", "--to", "new"], comment)
        let prepared = try MariaDBServer.run(
            "/bin/sh",
            [
                "-c", "mariadb-backup --no-defaults --prepare --target-dir=\"$1\" 2>&1 | tail -1", "sh",
                world.path("new"),
            ]
        )
        try #require(prepared.contains("completed OK!"), "\(comment): \(prepared)")
        let position = try String(contentsOf: world.url("new/xtrabackup_binlog_info"), encoding: .utf8)
            .split(whereSeparator: \.isWhitespace).map(String.init)
        let folder = world.path("logs/@mariadb/main/logs")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter { $0 >= position[0] }
        let replay = try MariaDBServer.run(
            "/usr/bin/mariadb-binlog",
            ["--no-defaults", "--start-position=\(position[1])"] + stop + names.map { "\(folder)/\($0)" })
        try world.write("replay.sql", replay)
        let back = try MariaDBServer(data: world.path("new"))
        _ = try MariaDBServer.run(
            "/usr/bin/mariadb", ["--no-defaults", "--socket=\(back.socket)", "--user=root", "--binary-mode"],
            input: world.path("replay.sql"))
        return back
    }

    /// In the zone of this host, as mariadb-binlog reads it.
    private static func text(_ moment: Int) -> String {
        var seconds = moment
        var parts = tm()
        localtime_r(&seconds, &parts)
        return String(
            format: "%04d-%02d-%02d %02d:%02d:%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
            parts.tm_hour, parts.tm_min, parts.tm_sec)
    }
}

@Suite("SQLite at any moment", .serialized, .enabled(if: qalaBinary != nil))
struct AnyMomentSQLiteTests {
    private static let judge = """
        import sqlite3, sys
        d = sqlite3.connect(sys.argv[1])
        found = d.execute("pragma integrity_check").fetchall()
        assert found == [("ok",)], found
        a, b = (d.execute("select count(*), sum(n) from " + t).fetchone() for t in "ab")
        assert a == b, (a, b)
        print(*d.execute("select count(*), min(n), max(n) from heartbeat").fetchone())
        """

    @Test(
        "Every archive of a database that is written all the time, and after its application was killed, is of one moment",
        arguments: ["wal", "delete"])
    func database(mode: String) throws {
        var runs = try Runs("  - {sqlite: app, path: FOLDER/app.db}", inMemory: true)
        let world = runs.world
        defer { world.remove() }
        let application = try Heartbeat(sqlite: world.path("app.db"), mode: mode, in: world.folder)
        for _ in 0..<1500 where access(world.path("app.db.ready"), F_OK) != 0 { usleep(20_000) }
        try #require(access(world.path("app.db.ready"), F_OK) == 0)
        let end = microseconds() + (isLong ? 60 : 6) * second
        while microseconds() < end {
            try runs.run()
            usleep(300_000)
        }
        let rows = try application.end(killed: true)
        try runs.run()
        try #require(runs.all.count > 3)
        for (number, archive) in runs.all.enumerated() {
            let comment: Comment = "\(mode), archive \(number + 1) of \(runs.all.count)"
            try runs.restore([archive.id, "--to", "back\(number)"], comment)
            let judged = try ProcessRunner.run(
                "/usr/bin/python3", ["-c", Self.judge, world.path("back\(number)/@sqlite/app/app.db")],
                environment: [:], in: world.folder)
            try #require(judged.status == 0, "\(comment): \(judged.errorText)")
            rows.check(judged.outputText, acknowledged: archive.begun, begun: archive.done, comment)
        }
    }
}
