import Foundation
import Glibc
import Testing

/// A daemon that takes the WAL of a real server, whose `archive_command` is the real binary.
struct WALDesk {
    /// How the WAL comes: by `qala wal push` or `qala-wal push`, or through a replication slot.
    enum Way: CaseIterable { case command, helper, slot }

    let desk: DaemonWorld
    let server: PostgreSQLServer
    var world: World { desk.world }
    var socket: String { world.path("wal.sock") }

    /// `settings` are further options of the server, `keys` further ones of the source, in which `SOCKET` stands for the server's.
    /// Its command passes over what is to be archived while there is a file `skip` beside the data directory.
    init(_ way: Way = .command, settings: String = "", keys: String = "") throws {
        desk = try DaemonWorld(schedule: nil)
        let binary = try #require(qalaBinary)
        let socket = desk.world.path("wal.sock")
        let (program, verb) = way == .command ? ("qala", " wal") : ("qala-wal", "")
        let command =
            way == .slot ? "/bin/true" : "test -e PATH/skip || PATH/\(program)\(verb) push --socket \(socket) %p"
        // The server's account may not get to where the build is.
        server = try PostgreSQLServer(settings: "-c archive_mode=on -c archive_command='\(command)' \(settings)") {
            let original = URL(filePath: binary).deletingLastPathComponent().appending(path: program)
            try FileManager.default.copyItem(atPath: original.path, toPath: "\($0)/\(program)")
        }
        // Root and the daemon's own account may hand WAL over as well.
        let slot = way == .slot ? ", slot: qala, socket: SOCKET" : ""
        let more = (slot + keys).replacing("SOCKET", with: server.path)
        try desk.writePolicy("wal", source: "{postgresql-wal: main, batch-segments: 2, batch-time: 2 s\(more)}")
        let place = "data-directory: \(server.path)/data, socket: \(server.path)"
        try desk.writePolicy("db", source: "{postgresql: main, \(place)}")
    }

    func start() throws -> RunningProcess {
        let daemon = try desk.start(["--key-file", world.path("kit.txt")])
        try desk.waitUntilUp()
        return daemon
    }

    /// Ends the segment; returns its name.
    func segment() throws -> String { try server.sql("SELECT pg_walfile_name(pg_switch_wal())") }

    func status() throws -> [String: Any] {
        let finished = try world.qala("wal", "status", "--json")
        let sources = try World.object(finished)["sources"] as? [[String: Any]]
        return try #require(sources?.first)
    }

    /// Until archives hold all WAL up to this segment.
    func waitUntilArchived(_ segment: String) throws {
        try desk.wait("the archive of \(segment)") {
            let row = try status()
            return (row["newest"] as? [String])?.last ?? "" >= segment && row["waiting"] as? Int == 0
        }
    }

    func fetch(_ name: String, to place: String, _ more: String...) throws -> Finished {
        try world.qala(["wal", "fetch", "--socket", socket, "--retry", "0"] + more + [name, place])
    }

    func remove() { desk.remove() }
}

@Suite(
    "WAL by the real binary", .serialized,
    .enabled(if: qalaBinary != nil && access("\(PostgreSQLServer.programs)/initdb", X_OK) == 0))
struct WALCommandTests {
    @Test("A server hands its WAL over, and a command brings it back to a moment and to the last of it")
    func wholeWay() throws {
        let bench = try WALDesk()
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        _ = try bench.server.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        #expect(try bench.desk.ask("run", "db").status == 0)
        _ = try bench.server.sql("INSERT INTO t VALUES (2)")
        usleep(200_000)
        let moment = try bench.server.sql(
            "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        usleep(1_200_000)
        _ = try bench.server.sql("INSERT INTO t VALUES (3)")
        let last = try bench.segment()
        try bench.waitUntilArchived(last)
        #expect(try bench.status()["gaps"] as? [String] == [])
        try bench.server.run("pg_ctl", "-D", "\(bench.server.path)/data", "-m", "immediate", "-w", "stop")

        // No daemon is needed for a restore.
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        for (target, rows) in [(["--target-time", moment], "1 2"), (["--target", "latest"], "1 2 3")] {
            let place = "\(bench.server.path)/new"
            let restored = try bench.world.qala(
                ["restore", "latest:db", "--cluster", "main", "--to", place, "--json"] + target + World.byKit)
            #expect(restored.status == 0, "\(restored.errorText)")
            let recovery = try World.object(restored)["recovery"] as? [String: Any]
            #expect((recovery?["segments"] as? Int ?? 0) > 0)
            try bench.server.run(
                "pg_ctl", "-D", place, "-l", "\(bench.server.path)/log2", "-w", "-o", bench.server.place, "start")
            try bench.desk.wait("the end of the recovery") { try bench.server.sql("SELECT pg_is_in_recovery()") == "f" }
            #expect(try bench.server.sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t") == rows)
            #expect(try bench.server.sql("SHOW archive_mode") == "off")
            try bench.server.run("pg_ctl", "-D", place, "-m", "immediate", "-w", "stop")
            try FileManager.default.removeItem(atPath: place)
        }
        let late = try bench.world.qala(
            ["restore", "latest:db", "--cluster", "main", "--to", "x", "--target-time", "2099-01-01 00:00"]
                + World.byKit)
        #expect(late.status == 1 && late.errorText.contains("behind the end"), "\(late.errorText)")
        for wrong in [
            ["--target-time", "2099-01-01 00:00"], ["--cluster", "main", "--target", "last"],
            ["--cluster", "main", "--target", "latest", "--target-xid", "3"],
            ["--cluster", "main", "--target-lsn", "3"],
            ["--cluster", "main", "--target-time", "soon"], ["--cluster", "main", "--target-time", "2026-11-23"],
            ["--cluster", "main", "--target-timeline", "2"],
            ["--cluster", "main", "--server", "other"],
        ] {
            let refused = try bench.world.qala(["restore", "latest:db", "--to", "x"] + wrong + World.byKit)
            #expect(refused.status == 64, "\(wrong): \(refused.errorText)")
        }
        #expect(access(bench.world.path("x"), F_OK) != 0)
    }

    @Test("With a heartbeat the status tells up to when the cluster could be brought back, place by place")
    func heartbeat() throws {
        let bench = try WALDesk(keys: ", heartbeat: postgres, socket: SOCKET")
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        func points() throws -> [[String: Any]] {
            let status = try World.object(try bench.desk.ask("status", "--json"))
            let policies = try #require(status["policies"] as? [[String: Any]])
            return policies.filter { $0["name"] as? String == "wal" }.flatMap { $0["points"] as? [[String: Any]] ?? [] }
        }
        let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'qala'"
        try bench.desk.wait("the table of the heartbeat") { try bench.server.sql(count) == "1" }
        try bench.desk.wait("the first beat") { try bench.server.sql("SELECT count(*) FROM qala.heartbeat") == "1" }
        let beat = try #require(
            Int(try bench.server.sql("SELECT floor(extract(epoch FROM beat)) FROM qala.heartbeat")))
        try bench.waitUntilArchived(try bench.segment())
        try bench.desk.wait("the beat in the vault") {
            try points().allSatisfy { $0["isMeasured"] as? Bool == true && $0["age"] != nil }
        }
        let all = try points()
        #expect(all.compactMap { $0["place"] as? String } == ["spool", "vault"])
        for point in all {
            let now = Int(Date().timeIntervalSince1970)
            let age = try #require(point["age"] as? Int)
            #expect(now - age >= beat - 20 && age >= 0, "\(point)")
        }
        #expect(try bench.desk.ask("status").outputText.contains("postgresql-wal: main"))
    }

    @Test("A fetch ends with 0, with 1 only where nothing can follow, and with 126 for everything else")
    func fetches() throws {
        let bench = try WALDesk()
        defer { bench.remove() }
        var daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        var names: [String] = []
        for number in 1...3 {
            _ = try bench.server.sql("CREATE TABLE t\(number) AS SELECT 1 AS n")
            names.append(try bench.segment())
        }
        let last = names[2]
        try bench.waitUntilArchived(last)
        let place = bench.world.path("fetched")
        #expect(try bench.fetch(last, to: place).status == 0)
        let original = "\(bench.server.path)/data/pg_wal/\(last)"
        if access(original, F_OK) == 0 {
            #expect(try Data(contentsOf: URL(filePath: place)) == Data(contentsOf: URL(filePath: original)))
        }
        #expect(unlink(place) == 0)
        // Nothing later on this timeline, nor any later timeline.
        let next = last.dropLast(2) + "F0"
        #expect(try bench.fetch(String(next), to: place).status == 1)
        #expect(try bench.fetch("00000002.history", to: place).status == 1)
        // A segment before the first one has later ones behind it.
        #expect(try bench.fetch("000000010000000000000000", to: place).status == 126)
        for wrong in ["nonsense", "../../etc/passwd", "00000001000000000000000"] {
            #expect(try bench.fetch(wrong, to: place).status == 126, "\(wrong)")
        }
        #expect(try bench.fetch(last, to: place, "--source", "other").status == 126)
        #expect(try bench.fetch(last, to: bench.world.path("nowhere/x")).status == 126)
        #expect(try bench.world.qala("wal", "fetch", last).status == 126, "a malformed command line")
        #expect(try bench.world.qala("wal", "fetch", "--strange", last, place).status == 126)
        #expect(access(place, F_OK) != 0)

        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        #expect(try bench.fetch(last, to: place).status == 126, "the daemon is down")
        // Without a key the vault cannot be read, so nothing is said to be absent.
        daemon = try bench.desk.start()
        try bench.desk.waitUntilUp()
        #expect(try bench.fetch(names[0], to: place).status == 126)
        #expect(access(place, F_OK) != 0)
    }

    @Test("A push ends with 0 when it is safe, and with 1 otherwise; contradictions are told")
    func pushes() throws {
        let bench = try WALDesk()
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        func push(_ path: String) throws -> Int32 {
            try bench.world.qala("wal", "push", "--socket", bench.socket, path).status
        }
        let name = try bench.segment()
        try bench.desk.wait("the segment") {
            let newest = try bench.status()["newest"] as? [String]
            return newest?.last ?? "" >= name
        }
        var content = try Data(contentsOf: URL(filePath: "\(bench.server.path)/data/pg_wal/\(name)"))
        try bench.world.write(name, content)
        #expect(try push(bench.world.path(name)) == 0, "the same once more")
        content[content.count - 1] ^= 1
        try bench.world.write(name, content)
        #expect(try push(bench.world.path(name)) == 1)
        try bench.world.write("notes", content)
        #expect(try push(bench.world.path("notes")) == 1)
        #expect(try push(bench.world.path("missing/\(name)")) == 1)
        let down = try bench.world.qala("wal", "push", "--socket", bench.world.path("none"), bench.world.path(name))
        #expect(down.status == 1 && down.errorText.contains("start qalad"), "\(down.errorText)")
        let told = try bench.world.qala("wal", "status")
        #expect(told.status == 13 && told.outputText.contains(name), "\(told.outputText)")
        #expect(try bench.world.qala("wal", "status", "--source", "other").status == 14)
        try bench.desk.wait("the problem") {
            try bench.desk.ask("logs").outputText.contains("contradict what was taken")
        }
    }
}
