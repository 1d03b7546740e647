import Foundation
import Glibc
import Testing

/// SQLite databases in policies, by the real binary; and data sources between trees of files.
@Suite("Data sources in policies", .enabled(if: qalaBinary != nil))
struct SQLiteSourceTests {
    private func world() throws -> World {
        let world = try World()
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        return world
    }

    private func run(_ world: World, _ sources: String) throws -> Finished {
        try world.write(
            "data.yaml",
            """
            policy: data
            component: database
            responsible: {name: A}
            confidentiality: internal
            sources:
            \(sources)
            """)
        return try world.qala("run", world.path("data.yaml"), "--json")
    }

    private func python(_ world: World, _ script: String) throws -> Finished {
        try ProcessRunner.run("/usr/bin/python3", ["-c", script], environment: [:], in: world.folder)
    }

    private static let rows = """
        import sqlite3
        d = sqlite3.connect("app.db")
        d.execute("pragma journal_mode=wal")
        d.execute("pragma wal_autocheckpoint=0")
        d.execute("create table if not exists a(n integer primary key, t text)")
        d.executemany("insert into a values(?, ?)", ((i, "%0400d" % (i * 7919)) for i in range(30000)))
        d.commit()
        """

    @Test("A database in WAL mode is archived with what is only in its log, restored as a file, and stored once")
    func database() throws {
        let world = try world()
        defer { world.remove() }
        // The application is still there, so that the log is too.
        let holding = Self.rows + "\nopen('ready', 'w').close()\nimport time\ntime.sleep(100)\n"
        let application = try ProcessRunner.start(
            "/usr/bin/python3", ["-c", holding], environment: [:], in: world.folder)
        defer { application.send(SIGKILL) }
        for _ in 0..<1500 where access(world.path("ready"), F_OK) != 0 { usleep(20_000) }
        try #require(access(world.path("ready"), F_OK) == 0)
        let source = """
              - sqlite: app
                path: \(world.path("app.db"))
                witnesses:
                  - {name: rows, query: select count(*) from a}
            """
        let first = try run(world, source)
        #expect(first.status == 0, "\(first.errorText)")
        let restored = try world.qala(["restore", "latest:data", "--to", "back"] + World.byKit)
        #expect(restored.status == 0 || geteuid() != 0 && restored.status == 3, "\(restored.errorText)")
        let asked = try python(
            world,
            """
            import sqlite3
            d = sqlite3.connect("back/@sqlite/app/app.db")
            print(d.execute("select count(*), max(n) from a").fetchone(), d.execute("pragma integrity_check").fetchall())
            """)
        #expect(asked.outputText == "(30000, 29999) [('ok',)]\n", "\(asked.errorText)")
        let again = try run(world, source)
        #expect(again.status == 0, "\(again.errorText)")
        let stored = try World.object(again)["bytesStored"] as? Int ?? .max
        #expect(stored < 200_000, "the second run stored \(stored) bytes")
        let staging = try? FileManager.default.contentsOfDirectory(atPath: world.path("state/staging"))
        #expect(staging == [])
    }

    @Test("A damaged database alone gives no archive; beside a tree the archive is partial and holds it")
    func damaged() throws {
        let world = try world()
        defer { world.remove() }
        #expect(try python(world, Self.rows).status == 0)
        let file = try FileHandle(forUpdating: world.url("app.db"))
        try file.seek(toOffset: 100 * 4096)
        try file.write(contentsOf: Data(repeating: 0xA5, count: 4096))
        try file.close()
        try world.write("tree/a", "beside\n")
        let source = "  - {sqlite: app, path: \(world.path("app.db"))}"
        let alone = try run(world, source)
        #expect(alone.status == 1 && alone.errorText.contains("is a damaged database"), "\(alone.errorText)")
        let beside = try run(world, "\(source)\n  - files: \(world.path("tree"))")
        #expect(beside.status == 3, "\(beside.errorText)")
        let read = try world.qala(["cat", "latest:data:/@sqlite/app/app.db"] + World.byKit)
        let original = Array(try Data(contentsOf: world.url("app.db")))
        // Copying counts a change on the first page.
        #expect(read.status == 0 && read.output.dropFirst(4096) == original.dropFirst(4096))
    }

    @Test("A repository is restored as a bundle that git clones")
    func repository() throws {
        let world = try world()
        defer { world.remove() }
        func git(_ arguments: String...) throws -> Finished {
            try ProcessRunner.run(
                "/usr/bin/git",
                ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"] + arguments,
                environment: ["PATH": "/usr/bin:/bin", "HOME": world.folder.path], in: world.folder)
        }
        try world.write("code/file", "content\n")
        #expect(try git("init", "-q", "code").status == 0)
        #expect(try git("-C", "code", "add", "file").status == 0)
        #expect(try git("-C", "code", "commit", "-q", "-m", "one").status == 0)
        let archived = try run(world, "  - {git: code, repository: \(world.path("code"))}")
        #expect(archived.status == 0, "\(archived.errorText)")
        let restored = try world.qala(["restore", "latest:data", "--to", "back"] + World.byKit)
        #expect(restored.status == 0 || geteuid() != 0 && restored.status == 3, "\(restored.errorText)")
        #expect(try git("clone", "-q", "back/@git/code/code.bundle", "clone").status == 0)
        #expect(try String(contentsOf: world.url("clone/file"), encoding: .utf8) == "content\n")
    }

    @Test("Data sources keep their place in the order between trees that sort before and behind them")
    func order() throws {
        let world = try world()
        defer { world.remove() }
        for name in ["tree/a", "other/b"] { try world.write(name, "\(name)\n") }
        let sources = """
              - command: one
                run: [/bin/echo, one]
              - files: \(world.path("tree"))
                exclude: nothing
              - command: two
                run: [/bin/echo, two]
              - files: \(world.path("other"))
            """
        for _ in 0..<2 {
            let finished = try run(world, sources)
            #expect(finished.status == 0, "\(finished.errorText)")
            for (path, text) in [
                ("/@command/one/one", "one\n"), ("/@command/two/two", "two\n"),
                (world.path("tree/a"), "tree/a\n"), (world.path("other/b"), "other/b\n"),
            ] {
                let read = try world.qala(["cat", "latest:data:\(path)"] + World.byKit)
                #expect(read.outputText == text, "\(path): \(read.errorText)")
            }
        }
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
    }

    @Test("Trees with different options are archived also where links lead them to another place in the order")
    func links() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("z/deep/a", "a\n")
        try world.write("m/b", "b\n")
        try FileManager.default.createSymbolicLink(
            atPath: world.path("a-link"), withDestinationPath: world.path("z"))
        let finished = try run(
            world, "  - files: \(world.path("a-link"))/deep\n    exclude: nothing\n  - files: \(world.path("m"))")
        #expect(finished.status == 0, "\(finished.errorText)")
        for (path, text) in [("z/deep/a", "a\n"), ("m/b", "b\n")] {
            let read = try world.qala(["cat", "latest:data:\(world.path(path))"] + World.byKit)
            #expect(read.outputText == text, "\(path): \(read.errorText)")
        }
    }
}
