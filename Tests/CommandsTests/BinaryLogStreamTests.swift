import Foundation
import Glibc
import TestSupport
import Testing

@Suite(
    "Binary logs streamed by the daemon", .serialized, .enabled(if: qalaBinary != nil && MariaDBServer.isInstalled))
struct BinaryLogDaemonTests {
    private func points(_ desk: DaemonWorld) throws -> [[String: Any]] {
        let policies = try desk.json("status")["policies"] as? [[String: Any]] ?? []
        return policies.filter { $0["name"] as? String == "logs" }.flatMap { $0["points"] as? [[String: Any]] ?? [] }
    }

    /// When the newest state was that a place could bring back; seconds since 1970.
    private func time(_ place: String, _ desk: DaemonWorld) throws -> Double {
        let point = try points(desk).first { $0["place"] as? String == place }
        let text = point?["time"] as? String ?? ""
        return ISO8601DateFormatter().date(from: text)?.timeIntervalSince1970 ?? 0
    }

    private func streams(_ world: World) throws -> [String] {
        try MariaDBServer.run("/bin/ps", ["-eo", "stat,args"]).split(separator: "\n").map(String.init)
            .filter { $0.contains("mariadb-binlog") && $0.contains(world.path("state")) && !$0.hasPrefix("Z") }
    }

    private func problems(_ world: World) throws -> [[String: String]] {
        let listed = try world.qala("register", "problems", "list", "--open", "--json")
        let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
        return rows.compactMap { $0["fields"] as? [String: String] }.filter { $0["policy"] == "logs" }
    }

    @Test("A daemon that is killed under load goes on, and what it told to be archived comes back without the server")
    func wholeWay() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let world = desk.world
        chmod(world.folder.path, 0o755)
        let server = try MariaDBServer()
        try server.query("CREATE DATABASE shop; CREATE TABLE shop.t (i INT PRIMARY KEY AUTO_INCREMENT)")
        try desk.writePolicy("db", source: "{mariadb: main, socket: \(server.socket), user: root}")
        let stream = "socket: \(server.socket), user: root, replica-id: 4711, batch-time: 2 s"
        try desk.writePolicy("logs", source: "{mariadb-logs: main, \(stream)}")
        func start() throws -> RunningProcess {
            let daemon = try desk.start(["--key-file", world.path("kit.txt")])
            try desk.waitUntilUp()
            return daemon
        }
        var daemon = try start()
        defer { daemon.send(SIGKILL) }
        #expect(try desk.ask("run", "db").status == 0)
        var acknowledged: [Double] = []
        func insert(_ count: Int) throws {
            for _ in 0..<count {
                try server.query("INSERT INTO t VALUES (NULL)", in: "shop")
                acknowledged.append(Date().timeIntervalSince1970)
                usleep(20_000)
            }
        }
        try insert(50)
        let begun = Date().timeIntervalSince1970
        try desk.wait("the vault") { try time("vault", desk) > begun }
        #expect(try streams(world).count == 1)
        #expect(
            try points(desk).allSatisfy { $0["isMeasured"] as? Bool == true && $0["kind"] as? String == "mariadb-logs" }
        )

        daemon.send(SIGKILL)
        _ = try daemon.wait()
        for _ in 0..<100 where try !streams(world).isEmpty { usleep(50_000) }
        #expect(try streams(world) == [], "the stream outlives its daemon")
        try insert(50)
        daemon = try start()
        try insert(50)
        let last = Date().timeIntervalSince1970
        try desk.wait("the vault") { try time("vault", desk) > last }
        #expect(try problems(world).filter { $0["message"]?.contains("binary logs") == true } == [])
        try insert(10)
        server.kill()
        try desk.wait("the problem") {
            try problems(world).contains { $0["message"]?.contains("are not streamed") == true }
        }
        let told = try time("vault", desk)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)

        let restored = try world.qala(
            ["restore", "latest:db", "--server", "main", "--to", "new", "--target", "latest"] + World.byKit)
        #expect(restored.status == 0, "\(restored.errorText)")
        let back = try MariaDBServer(data: world.path("new"))
        let found = try back.query("SELECT COUNT(*), MAX(i) FROM shop.t").split(separator: "\t").compactMap { Int($0) }
        let least = acknowledged.filter { $0 < told }.count
        #expect(least >= 150 && found.count == 2 && found[0] == found[1] && found[0] >= least, "\(found), \(least)")
    }

    @Test(
        "Behind a gap that was told the next run of an idle server is whole: the gap stays open, the partial run does not"
    )
    func idleBehindGap() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let world = desk.world
        chmod(world.folder.path, 0o755)
        let server = try MariaDBServer()
        try server.query("CREATE DATABASE shop; CREATE TABLE shop.t (i INT PRIMARY KEY AUTO_INCREMENT)")
        let stream = "socket: \(server.socket), user: root, replica-id: 4711, batch-time: 1 s"
        try desk.writePolicy("logs", source: "{mariadb-logs: main, \(stream)}")
        let daemon = try desk.start(["--key-file", world.path("kit.txt")])
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try server.query("INSERT INTO t VALUES (NULL)", in: "shop")
        try desk.wait("an archive") { try desk.runs().contains { $0["state"] as? String == "done" } }
        try server.query("RESET MASTER")
        try desk.wait("the gap") { try desk.runs().contains { $0["state"] as? String == "partial" } }
        try desk.wait("the problem of the partial run") { try problems(world).contains { $0["kind"] == "partial" } }
        try desk.wait("its end") { try problems(world).allSatisfy { $0["kind"] != "partial" } }
        #expect(try problems(world).contains { $0["kind"] == "wal" && $0["message"]?.contains("have a gap") == true })
        #expect(try desk.runs().first?["state"] as? String == "done")
        #expect(try desk.runs().filter { $0["state"] as? String == "partial" }.count == 1)
    }
}
