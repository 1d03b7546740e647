import Foundation
import Glibc
import TestSupport
import Testing

/// MariaDB servers in policies, by the real binary and real servers.
@Suite("MariaDB servers in policies", .enabled(if: qalaBinary != nil && MariaDBServer.isInstalled), .serialized)
struct MariaDBSourceTests {
    private func world() throws -> World {
        let world = try World()
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        return world
    }

    private func run(_ world: World, _ server: MariaDBServer, more: String = "") throws -> Finished {
        try world.write(
            "shop.yaml",
            """
            policy: shop
            component: database
            responsible: {name: A}
            confidentiality: internal
            sources:
              - mariadb: main
                socket: \(server.socket)
                user: root
                config: \(world.path("etc"))
                binary-logs: true
                witnesses: [{name: entries, database: shop, query: select count(*) from entry}]
            \(more)
            """)
        return try world.qala("run", world.path("shop.yaml"), "--json")
    }

    private func shop() throws -> MariaDBServer {
        let server = try MariaDBServer()
        try server.query(
            """
            CREATE DATABASE shop; USE shop;
            CREATE TABLE entry (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(400));
            INSERT INTO entry (t) SELECT REPEAT(MD5(seq), 8) FROM seq_1_to_30000
            """)
        return server
    }

    @Test(
        "A server is archived, restored by --server, prepared, started and replayed to a moment; what did not change is stored once"
    )
    func wholeWay() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("etc/my.cnf", "[mariadb]\n")
        let server = try shop()
        let first = try run(world, server)
        #expect(first.status == 0, "\(first.errorText)")
        let archive = try #require(try world.archives().first)
        let firstStored = try World.object(first)["bytesStored"] as? Int ?? 0
        let again = try run(world, server)
        #expect(again.status == 0, "\(again.errorText)")
        let stored = try World.object(again)["bytesStored"] as? Int ?? .max
        #expect(stored < max(2_000_000, firstStored / 3), "\(firstStored) bytes, then \(stored)")
        try server.query("INSERT INTO entry (t) VALUES ('before')", in: "shop")
        // Logs know whole seconds.
        usleep(1_200_000)
        let moment = try server.query("SELECT NOW()")
        usleep(1_200_000)
        try server.query("DROP TABLE shop.entry; CREATE TABLE shop.entry (id INT)")
        let later = try run(world, server)
        #expect(later.status == 0, "\(later.errorText)")
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
        server.kill()

        let dry = try world.qala(["restore", archive, "--server", "main", "--to", "new", "--dry-run"] + World.byKit)
        #expect(dry.status == 0 && access(world.path("new"), F_OK) != 0, "\(dry.errorText)")
        let restored = try world.qala(["restore", archive, "--server", "main", "--to", "new"] + World.byKit)
        #expect(restored.status == 0, "\(restored.errorText)")
        let twice = try world.qala(["restore", archive, "--server", "main", "--to", "new"] + World.byKit)
        #expect(twice.status == 1 && twice.errorText.contains("is not empty"), "\(twice.errorText)")
        #expect(
            try MariaDBServer.run(
                "/bin/sh",
                [
                    "-c", "mariadb-backup --no-defaults --prepare --target-dir=\"$1\" 2>&1 | tail -1", "sh",
                    world.path("new"),
                ]
            ).contains("completed OK!"))
        let position = try String(contentsOf: world.url("new/xtrabackup_binlog_info"), encoding: .utf8)
            .split(whereSeparator: \.isWhitespace).map(String.init)
        let logs = try world.qala(["restore", "latest:shop", "/@mariadb/main/logs", "--to", "logs"] + World.byKit)
        #expect(logs.status == 0 || geteuid() != 0 && logs.status == 3, "\(logs.errorText)")
        let folder = world.path("logs/@mariadb/main/logs")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter { $0 >= position[0] }
        let replay = try MariaDBServer.run(
            "/usr/bin/mariadb-binlog",
            ["--no-defaults", "--start-position=\(position[1])", "--stop-datetime=\(moment)"]
                + names.map { "\(folder)/\($0)" })
        try world.write("replay.sql", replay)
        // The server's account must get there.
        chmod(world.folder.path, 0o755)
        let back = try MariaDBServer(data: world.path("new"))
        #expect(try back.query("SELECT COUNT(*) FROM entry", in: "shop") == "30000")
        _ = try MariaDBServer.run(
            "/usr/bin/mariadb", ["--no-defaults", "--socket=\(back.socket)", "--user=root", "--binary-mode"],
            input: world.path("replay.sql"))
        #expect(try back.query("SELECT COUNT(*), MAX(t) FROM entry WHERE t = 'before'", in: "shop") == "1\tbefore")
        let config = try world.qala(
            ["cat", "latest:shop:/@mariadb/main/config\(world.path("etc/my.cnf"))"] + World.byKit)
        #expect(config.outputText == "[mariadb]\n", "\(config.errorText)")
    }

    @Test(
        "A server is brought to a moment by one command; what cannot be reached is refused with 1, and a wrong target with 64"
    )
    func pointInTime() throws {
        let world = try world()
        defer { world.remove() }
        chmod(world.folder.path, 0o755)
        try world.write("etc/my.cnf", "[mariadb]\n")
        let server = try shop()
        #expect(try run(world, server).status == 0)
        let archive = try #require(try world.archives().first)
        try server.query("INSERT INTO entry (t) VALUES ('before')", in: "shop")
        usleep(1_200_000)
        // The hosts of tests are not all in one zone, and the logs count in UTC.
        let moment = try server.query("SELECT DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%H:%i:%sZ')")
        usleep(1_200_000)
        try server.query("DROP TABLE shop.entry; CREATE TABLE shop.entry (id INT)")
        #expect(try run(world, server).status == 0)
        server.kill()
        func restore(_ options: [String]) throws -> Finished {
            try world.qala(["restore", archive, "--server", "main", "--to", "new", "--json"] + options + World.byKit)
        }
        for wrong in [
            ["--target", "last"], ["--target", "latest", "--target-gtid", "0-7-1"], ["--target-lsn", "0/1"],
            ["--target-position", "binlog.000001"], ["--target-gtid", "7"], ["--target-time", "soon"],
            ["--target", "latest", "--target-timeline", "2"],
        ] {
            let refused = try restore(wrong)
            #expect(refused.status == 64, "\(wrong): \(refused.status) \(refused.errorText)")
        }
        let late = try restore(["--target-time", "2099-01-01 00:00"])
        #expect(late.status == 1 && late.errorText.contains("behind the end"), "\(late.errorText)")
        let unknown = try restore(["--target-gtid", "0-7-999999"])
        #expect(unknown.status == 1 && unknown.errorText.contains("no log names it"), "\(unknown.errorText)")
        #expect(access(world.path("new"), F_OK) != 0)
        let restored = try restore(["--target-time", moment])
        #expect(restored.status == 0, "\(restored.errorText)")
        let replay = try World.object(restored)["replay"] as? [String: Any]
        #expect(replay?["transactions"] as? Int == 1, "\(restored.outputText)")
        let back = try MariaDBServer(data: world.path("new"))
        #expect(try back.query("SELECT COUNT(*), MAX(t) FROM entry WHERE t = 'before'", in: "shop") == "1\tbefore")
    }

    @Test("A replay that is killed leaves no server behind, and another one into an empty directory succeeds")
    func killedReplay() throws {
        let world = try world()
        defer { world.remove() }
        chmod(world.folder.path, 0o755)
        try world.write("etc/my.cnf", "[mariadb]\n")
        let server = try shop()
        #expect(try run(world, server).status == 0)
        let archive = try #require(try world.archives().first)
        // A replay of it takes as long as it took here, so that it is not over when it is killed.
        try server.query("SET binlog_format = STATEMENT; INSERT INTO shop.entry (t) VALUES (SLEEP(5))")
        #expect(try run(world, server).status == 0)
        server.kill()
        func restore(_ place: String) -> [String] {
            ["restore", archive, "--server", "main", "--to", place, "--target", "latest"] + World.byKit
        }
        func left() throws -> [String] {
            try MariaDBServer.run("/bin/ps", ["-eo", "stat,args"]).split(separator: "\n").map(String.init)
                .filter { $0.contains(world.path("killed")) && !$0.hasPrefix("Z") }
        }
        let killed = try world.start(restore("killed"))
        var isSeen = false
        for _ in 0..<3000 where !isSeen {
            isSeen = try left().contains { $0.contains("/mariadbd ") && $0.contains("--skip-networking") }
            usleep(20_000)
        }
        #expect(isSeen, "no server of the replay was seen")
        // The account of the replay is made, and it goes.
        usleep(500_000)
        killed.send(SIGKILL)
        _ = try killed.wait()
        for _ in 0..<100 where try !left().isEmpty { usleep(100_000) }
        #expect(try left() == [])
        #expect(access(world.path("killed/mysql"), F_OK) != 0)
        let whole = try world.qala(restore("whole"))
        #expect(whole.status == 0, "\(whole.errorText)")
        let back = try MariaDBServer(data: world.path("whole"))
        #expect(try back.query("SELECT COUNT(*) FROM entry", in: "shop") == "30001")
    }

    @Test("A server that is away gives no archive, beside a tree a partial one, of which no server is restored")
    func away() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("etc/my.cnf", "[mariadb]\n")
        let server = try shop()
        server.kill()
        let alone = try run(world, server)
        #expect(alone.status == 1 && alone.errorText.contains("Can't connect"), "\(alone.status) \(alone.errorText)")
        let beside = try run(world, server, more: "  - files: \(world.path("etc"))")
        #expect(beside.status == 3, "\(beside.status) \(beside.errorText)")
        let refused = try world.qala(["restore", "latest:shop", "--server", "main", "--to", "new"] + World.byKit)
        #expect(refused.status == 1 && refused.errorText.contains("is not whole"), "\(refused.errorText)")
        let other = try world.qala(["restore", "latest:shop", "--server", "other", "--to", "new"] + World.byKit)
        #expect(other.status == 14 && other.errorText.contains("It holds main"), "\(other.errorText)")
        let usage = try world.qala(["restore", "latest:shop", "/etc", "--server", "main", "--to", "new"] + World.byKit)
        #expect(usage.status == 64, "\(usage.errorText)")
        #expect(access(world.path("new"), F_OK) != 0)
    }

    @Test("Logs that were purged before they were archived make the run partial, once")
    func purged() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("etc/my.cnf", "[mariadb]\n")
        let server = try shop()
        #expect(try run(world, server).status == 0)
        try server.query("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
        let last = try server.query("SHOW BINARY LOGS").split(separator: "\n").last?.prefix { $0 != "\t" } ?? ""
        try server.purge(to: String(last))
        let partial = try run(world, server)
        #expect(
            partial.status == 3 && partial.outputText.contains("was purged"),
            "\(partial.outputText) \(partial.errorText)")
        #expect(try run(world, server).status == 0)
    }
}
