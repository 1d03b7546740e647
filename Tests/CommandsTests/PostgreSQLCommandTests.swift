import Foundation
import Glibc
import Testing

/// A PostgreSQL server for the real binary, in a directory of its own under `/tmp`.
final class PostgreSQLServer {
    static let programs = "/usr/lib/postgresql/15/bin"
    let path: String
    private let settings: String

    /// `settings` are further options of the server, in which `PATH` stands for its directory.
    init(settings: String = "", prepare: (String) throws -> Void = { _ in }) throws {
        var template = Array("/tmp/qala-cli-pg-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try #require(chmod(path, 0o755) == 0)
        if geteuid() == 0 {
            let account = try #require(getpwnam("postgres"))
            try #require(chown(path, account.pointee.pw_uid, account.pointee.pw_gid) == 0)
        }
        self.settings = settings.replacing("PATH", with: path)
        try prepare(path)
        try run("initdb", "-k", "-U", "postgres", "-A", "trust", "-D", "\(path)/data")
        try run("pg_ctl", "-D", "\(path)/data", "-l", "\(path)/log", "-w", "-o", options, "start")
    }

    deinit {
        for name in ["data", "new"] where access("\(path)/\(name)/postmaster.pid", F_OK) == 0 {
            _ = try? run("pg_ctl", "-D", "\(path)/\(name)", "-m", "immediate", "-w", "stop")
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    var options: String { "\(place) \(settings)" }
    /// For a restored cluster: what is said here comes before its own files, `archive_mode` too.
    var place: String { "-c listen_addresses= -c fsync=off -c unix_socket_directories=\(path)" }

    func sql(_ statement: String) throws -> String {
        let finished = try run("psql", "-XAtq", "-h", path, "-U", "postgres", "-c", statement, "postgres")
        return finished.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @discardableResult
    func run(_ program: String, _ arguments: String...) throws -> Finished {
        let finished = try start(program, arguments).wait()
        guard finished.status == 0 else {
            throw RunnerError(message: "\(program): \(finished.outputText)\(finished.errorText)")
        }
        return finished
    }

    /// Starts a program of the server as the account that may run one.
    func start(_ program: String, _ arguments: [String]) throws -> RunningProcess {
        let command = ["\(Self.programs)/\(program)"] + arguments
        let asServer = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        let environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
        let folder = URL(filePath: path)
        return geteuid() == 0
            ? try ProcessRunner.start("/usr/bin/setpriv", asServer + command, environment: environment, in: folder)
            : try ProcessRunner.start(command[0], arguments, environment: environment, in: folder)
    }

    /// As the kernel kills it when memory runs out: nothing is written any more, and its processes find out by themselves.
    func kill() throws {
        let text = try String(contentsOfFile: "\(path)/data/postmaster.pid", encoding: .utf8)
        let number = try #require(text.split(separator: "\n").first.flatMap { pid_t($0) })
        try #require(Glibc.kill(number, SIGKILL) == 0)
    }
}

/// A stopped cluster that was archived and restored twice, to be damaged and to compare with.
private struct DeltaKillBench {
    let world: World
    let server: PostgreSQLServer
    private let table: String
    var target: String { "\(server.path)/new" }
    private var reference: String { "\(server.path)/reference" }
    var command: [String] { ["restore", "latest", "--cluster", "main", "--to", target, "--delta"] + World.byKit }

    init() throws {
        world = try World()
        server = try PostgreSQLServer()
        _ = try server.sql("CREATE TABLE t AS SELECT generate_series(1, 50000) AS n")
        table = try server.sql("SELECT pg_relation_filepath('t')")
        try world.write(
            "p.yaml",
            """
            policy: db
            component: database
            responsible: {name: A}
            sources:
              - {postgresql: main, data-directory: \(server.path)/data, socket: \(server.path)}

            """)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("run", "p.yaml").status == 0)
        try server.run("pg_ctl", "-D", "\(server.path)/data", "-m", "fast", "-w", "stop")
        for place in [target, reference] {
            let restored = try world.qala(["restore", "latest", "--cluster", "main", "--to", place] + World.byKit)
            try #require(restored.status == 0, "\(restored.errorText)")
        }
    }

    /// Something else in a relation, something behind a file's end, something too much, and something missing.
    func damage() throws {
        for (name, bytes) in [(table, 8192), ("base/5/99999999", 10), ("postgresql.conf", 7)] {
            let file = open("\(target)/\(name)", O_WRONLY | O_CREAT, 0o600)
            try #require(file >= 0)
            defer { close(file) }
            try #require(pwrite(file, [UInt8](repeating: 9, count: bytes), bytes, 1 << 19) == bytes)
        }
        try? FileManager.default.removeItem(atPath: "\(target)/base/5/PG_VERSION")
    }

    var isUntouched: Bool { access("\(target)/base/5/99999999", F_OK) == 0 }

    var wouldStart: Bool {
        var info = stat()
        return stat("\(target)/global/pg_control", &info) == 0 && info.st_mode & 0o400 != 0
    }

    func difference() throws -> String {
        let finished = try ProcessRunner.run(
            "/usr/bin/env", ["diff", "-r", target, reference], environment: ["PATH": "/usr/bin:/bin"],
            in: world.folder)
        return finished.outputText + finished.errorText
    }
}

@Suite(
    "PostgreSQL by the real binary",
    .enabled(if: qalaBinary != nil && access("\(PostgreSQLServer.programs)/initdb", X_OK) == 0))
struct PostgreSQLCommandTests {
    @Test("A policy archives a cluster, and one command brings it back ready to start")
    func cluster() throws {
        let world = try World()
        defer { world.remove() }
        let server = try PostgreSQLServer()
        _ = try server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        try world.write(
            "p.yaml",
            """
            policy: db
            component: database
            responsible: {name: A}
            sources:
              - postgresql: main
                data-directory: \(server.path)/data
                socket: \(server.path)
                witnesses:
                  - {name: rows, query: SELECT count(*) FROM t}

            """)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let run = try world.qala("run", "p.yaml")
        #expect(run.status == 0, "\(run.errorText)")

        func restore(_ arguments: String...) throws -> Finished {
            try world.qala(["restore", "latest"] + arguments + World.byKit, without: ["QALA_PASSPHRASE_FILE"])
        }
        for wrong in [
            ["--cluster", "main"], ["--cluster", "main", "--in-place"],
            ["--cluster", "main", "--to", "x", "--conflict", "skip"], ["/etc", "--cluster", "main", "--to", "x"],
            ["--to", "x", "--tablespace-map", "/a=/b"], ["--cluster", "main", "--to", "x", "--tablespace-map", "/a"],
            ["--cluster", "main", "--to", "x", "--tablespace-map", "/a=/b"],
        ] {
            let refused = try world.qala(["restore", "latest"] + wrong + World.byKit)
            #expect(refused.status == 64, "\(wrong): \(refused.errorText)")
        }
        #expect(try restore("--cluster", "other", "--to", "x").status == 14)
        #expect(access(world.path("x"), F_OK) != 0)

        let target = "\(server.path)/new"
        #expect(try restore("--cluster", "main", "--to", target, "--dry-run").status == 0)
        #expect(access(target, F_OK) != 0)
        let restored = try restore("--cluster", "main", "--to", target, "--verify", "--json")
        #expect(restored.status == 0, "\(restored.errorText)")
        #expect(try World.object(restored)["verified"] as? Int ?? 0 > 100)
        // What is there now is in the way of another restore.
        #expect(try restore("--cluster", "main", "--to", target).status == 1)

        try server.run("pg_ctl", "-D", "\(server.path)/data", "-m", "fast", "-w", "stop")
        try server.run("pg_ctl", "-D", target, "-l", "\(server.path)/log2", "-w", "-o", server.options, "start")
        #expect(try server.sql("SELECT count(*) FROM t") == "1000")
        #expect(try server.sql("SHOW archive_mode") == "off")
    }

    @Test("A delta restore that is killed at any call leaves what no server starts from, and the next one completes it")
    func killedDelta() throws {
        let bench = try DeltaKillBench()
        defer { bench.world.remove() }
        let world = bench.world
        #expect(try world.qala("restore", "latest", "--to", bench.target, "--delta").status == 64)
        let shim = try KillShim.build(in: world.folder)
        try bench.damage()
        #expect(try bench.difference() != "")
        try #require(try world.qala(bench.command, shim: shim, killedAt: nil).status == 0)
        #expect(try bench.difference() == "")
        let calls = try world.countedCalls()
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the calls: \(seed)")
        var generator = SeededGenerator(seed: seed)
        var killed = 0
        for round in 0..<24 {
            try bench.damage()
            let part = calls / 24 + 1
            let call = round * part + Int.random(in: 1...part, using: &generator)
            let run = try world.qala(bench.command, shim: shim, killedAt: call)
            if run.status == 128 + SIGKILL {
                killed += 1
                // Where a server would start, nothing was changed yet or everything is done.
                let left = try bench.difference().split(separator: "\n").filter {
                    !$0.contains("pg_control.qala-restore")
                }
                #expect(
                    !bench.wouldStart || bench.isUntouched || left.isEmpty, "seed \(seed), call \(call): \(left)")
            }
            let next = try world.qala(bench.command)
            #expect(next.status == 0, "seed \(seed), call \(call): \(next.errorText)")
            #expect(try bench.difference() == "", "seed \(seed), call \(call)")
        }
        #expect(killed > 12, "\(killed)")
        let server = bench.server
        try server.run("pg_ctl", "-D", bench.target, "-l", "\(server.path)/log2", "-w", "-o", server.options, "start")
        #expect(try server.sql("SELECT count(*) FROM t") == "50000")
        #expect(try server.sql("SHOW archive_mode") == "off")
    }

    @Test(
        "A restore into an empty directory that is killed at any call is known as that by the next one, and --delta completes it"
    )
    func killedFresh() throws {
        let bench = try DeltaKillBench()
        defer { bench.world.remove() }
        let world = bench.world
        let shim = try KillShim.build(in: world.folder)
        let fresh = bench.command.filter { $0 != "--delta" }
        func empty() { try? FileManager.default.removeItem(atPath: bench.target) }
        empty()
        try #require(try world.qala(fresh, shim: shim, killedAt: nil).status == 0)
        #expect(try bench.difference() == "", "the mark is gone")
        let calls = try world.countedCalls()
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the calls: \(seed)")
        var generator = SeededGenerator(seed: seed)
        var known = 0
        for round in 0..<16 {
            empty()
            let part = calls / 16 + 1
            let call = round * part + Int.random(in: 1...part, using: &generator)
            let run = try world.qala(fresh, shim: shim, killedAt: call)
            let comment: Comment = "seed \(seed), call \(call)"
            var mark = stat()
            let isMarked = stat("\(bench.target)/global/pg_control.qala-restore", &mark) == 0 && mark.st_size > 0
            guard run.status == 128 + SIGKILL, isMarked, !bench.wouldStart else {
                // Before anything of the archive was there, or when all of it was.
                let names = (try? FileManager.default.subpathsOfDirectory(atPath: bench.target)) ?? []
                #expect(names.count < 4 || bench.wouldStart, comment)
                continue
            }
            known += 1
            let again = try world.qala(fresh)
            #expect(again.status == 1 && again.errorText.contains("ended before its time"), "\(again.errorText)")
            #expect(again.errorText.contains("--delta"), comment)
            let next = try world.qala(bench.command)
            #expect(next.status == 0, "\(comment): \(next.errorText)")
            #expect(try bench.difference() == "", comment)
        }
        #expect(known > 7, "\(known)")
    }

    @Test("A server that is down fails the run with 1, and there is no archive")
    func down() throws {
        let world = try World()
        defer { world.remove() }
        try world.write(
            "p.yaml",
            """
            policy: db
            component: database
            responsible: {name: A}
            sources:
              - {postgresql: main, data-directory: /srv/nothing, socket: \(world.folder.path)}

            """)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let run = try world.qala("run", "p.yaml")
        #expect(run.status == 1 && run.errorText.contains("cannot connect"), "\(run.errorText)")
        #expect(try world.archives().isEmpty)
    }
}
