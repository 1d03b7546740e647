import Domain
import Foundation
import Glibc
import Testing

@testable import Collectors

/// What one look at some places told.
private struct Looked {
    var found: [FoundSource] = []
    var absent: [FoundSource.Identity] = []
    var problems: [(place: String, reason: String)] = []

    init(
        _ bench: Workbench, _ trees: [String] = [""], known: [FoundSource.Identity] = [], leftOut: [String] = [],
        excludes: [String] = [], isOver: @escaping () -> Bool = { false }
    ) throws {
        var (found, absent, problems) = ([FoundSource](), [FoundSource.Identity](), [(String, String)]())
        HostLook(
            HostPlaces(trees: trees.map { $0.isEmpty ? bench.path : bench.place($0) }), known: known, leftOut: leftOut,
            excludes: try ExcludePatterns(excludes), isOver: isOver
        ) { event in
            switch event {
            case .found(let source): found.append(source)
            case .absent(let source): absent.append(source)
            case .problem(let path, let reason): problems.append((PathText.shown(path), reason))
            }
        }.run()
        (self.found, self.absent, self.problems) = (found, absent, problems)
    }

    func places(_ bench: Workbench, _ kind: DataSource.Kind) -> [String] {
        found.filter { $0.kind == kind }.map { String($0.place.dropFirst(bench.path.count + 1)) }.sorted()
    }
}

@Suite("A look at the databases and repositories of a host")
struct HostLookTests {
    private static let magic = "SQLite format 3\u{0}"

    private func database(_ bench: Workbench, _ name: String, bytes: Int = 1024) throws {
        try bench.file(name, Self.magic + String(repeating: "x", count: bytes - Self.magic.utf8.count))
    }

    private func cluster(_ bench: Workbench, _ name: String, version: String = "15\n") throws {
        try bench.directory(name)
        try bench.directory("\(name)/global")
        try bench.file("\(name)/PG_VERSION", version)
        try bench.file("\(name)/global/pg_control", "control")
    }

    private func repository(_ bench: Workbench, _ name: String) throws {
        try bench.directory(name)
        for part in ["objects", "refs"] { try bench.directory("\(name)/\(part)") }
        try bench.file("\(name)/HEAD", "ref: refs/heads/main\n")
    }

    @Test(
        "SQLite databases are known by their content, while an application writes too",
        .enabled(if: access(SQLiteWriter.python, X_OK) == 0))
    func databases() throws {
        let bench = try Workbench()
        let writer = try Beside(SQLiteWriter.python, ["-c", SQLiteWriter.busy, bench.place("busy.dat"), "wal"])
        defer { writer.end() }
        _ = try Beside.run(SQLiteWriter.python, ["-c", SQLiteWriter.rows, bench.place("calm.db")])
        try bench.file("text.db", String(repeating: "t", count: 1024))
        try database(bench, "odd.db", bytes: 1025)
        let looked = try Looked(bench)
        #expect(looked.places(bench, .sqlite) == ["busy.dat", "calm.db"])
        #expect(looked.problems.isEmpty, "\(looked.problems)")
        #expect(looked.found.allSatisfy { ($0.bytes ?? 0) >= 4096 && $0.version == nil && $0.isNameable })
    }

    @Test("Clusters and servers that stand still are known by their files, with version and size, and are not searched")
    func servers() throws {
        let bench = try Workbench()
        try cluster(bench, "main")
        try bench.file("main/postmaster.pid", "999999999\n/x\n1\n5432\n/tmp\n")
        try database(bench, "main/inner.db")
        try bench.directory("maria")
        for name in ["ibdata1", "aria_log_control"] { try bench.file("maria/\(name)", "0123456789") }
        try bench.file("maria/mariadb_upgrade_info", "10.11.14-MariaDB")
        let looked = try Looked(bench)
        #expect(looked.places(bench, .postgresql) == ["main"] && looked.places(bench, .mariadb) == ["maria"])
        #expect(looked.places(bench, .sqlite).isEmpty)
        let cluster = try #require(looked.found.first { $0.kind == .postgresql })
        #expect(cluster.version == "15" && cluster.isRunning == false)
        #expect(cluster.bytes == Int64(3 + 7 + 25 + 1024), "\(cluster.bytes ?? -1)")
        let server = try #require(looked.found.first { $0.kind == .mariadb })
        #expect(server.version == "10.11.14" && server.isRunning == false)
        #expect(looked.problems.isEmpty, "\(looked.problems)")
    }

    @Test(
        "Repositories are found bare and in a working tree, once each; what lies beside them in the tree is looked at")
    func repositories() throws {
        let bench = try Workbench()
        try repository(bench, "bare.git")
        try bench.directory("work")
        try repository(bench, "work/.git")
        try database(bench, "work/app.db")
        try database(bench, "work/.git/index.db")
        try bench.directory("linked")
        try bench.file("linked/.git", "gitdir: ../bare.git\n")
        let looked = try Looked(bench)
        #expect(looked.places(bench, .git) == ["bare.git", "work"])
        #expect(looked.places(bench, .sqlite) == ["work/app.db"])
        // By the name of the working tree, wherever a policy names it.
        let known = try Looked(bench, [], known: [.init(.git, bench.place("work"))])
        #expect(known.places(bench, .git) == ["work"] && known.absent.isEmpty)
    }

    @Test(
        "Pipes, links, directories with the names of files and endless numbers of names deceive nobody and hold up nobody"
    )
    func hostile() throws {
        let bench = try Workbench()
        try bench.directory("pipe")
        try #require(mkfifo(bench.place("pipe/PG_VERSION"), 0o600) == 0)
        try #require(mkfifo(bench.place("pipe/ibdata1"), 0o600) == 0)
        try #require(mkfifo(bench.place("pipe/x.db"), 0o600) == 0)
        try bench.directory("pipe/global")
        try bench.file("pipe/global/pg_control")
        // What is a file to a link is none here.
        try cluster(bench, "true")
        try bench.directory("linked")
        for name in ["PG_VERSION", "global"] { try bench.link(bench.place("true/\(name)"), "linked/\(name)") }
        try bench.link(bench.place("true"), "true-again")
        try bench.directory("loop")
        try bench.link("..", "loop/up")
        try bench.link("loop", "loop/loop")
        try bench.directory("SQLite format 3")
        try bench.directory("SQLite format 3/app.db")
        try bench.directory("global-is-a-file")
        try bench.file("global-is-a-file/PG_VERSION", "15")
        try bench.file("global-is-a-file/global")
        let start = ContinuousClock().now
        let looked = try Looked(bench)
        #expect(looked.found.map(\.place) == [bench.place("true")])
        #expect(looked.problems.isEmpty, "\(looked.problems)")
        #expect(ContinuousClock().now - start < .seconds(20))

        try cluster(bench, "wild", version: "15; rm -rf /\n")
        try bench.file("wild/postmaster.pid", "-1\n\n\n99999999999999999999\nx\n")
        let wild = try #require(try Looked(bench, ["wild"]).found.first)
        #expect(wild.version == "15" && wild.isRunning == false && wild.port == nil)
        // Of the first process of the host, which is no server.
        try bench.file("wild/postmaster.pid", "\(getpid())\n/x\n1\n5432\n/tmp\n")
        #expect(try Looked(bench, ["wild"]).found.first?.isRunning == false)
    }

    @Test("A directory with very many names and one that lies very deep are told, and the others are looked at")
    func bounds() throws {
        let bench = try Workbench()
        try bench.directory("many")
        let many = open(bench.place("many"), O_RDONLY | O_DIRECTORY)
        defer { close(many) }
        for number in 0...HostDirectory.nameLimit { try #require(mknodat(many, "\(number)", S_IFREG | 0o600, 0) == 0) }
        var deep = "deep"
        for _ in 0...HostTree.depthLimit + 1 {
            try bench.directory(deep)
            deep += "/d"
        }
        try database(bench, "z.db")
        let looked = try Looked(bench)
        #expect(looked.places(bench, .sqlite) == ["z.db"])
        #expect(looked.problems.count == 2)
        #expect(looked.problems.contains { $0.place == bench.place("many") && $0.reason.contains("names") })
        #expect(looked.problems.contains { $0.reason.contains("levels deep") })
        let over = try Looked(bench, isOver: { true })
        #expect(over.found.isEmpty)
    }

    /// As root as an account that may read only what everybody may: the number for files is one of this thread alone.
    private func asNobody<Value>(_ body: () throws -> Value) throws -> Value {
        guard geteuid() == 0 else { return try body() }
        typealias SetUser = @convention(c) (uid_t) -> Int32
        let become = unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: SetUser.self)
        _ = become(65534)
        defer { _ = become(0) }
        return try body()
    }

    @Test("A repository and a cluster whose marks cannot be looked at are told and are not gone")
    func unsearchable() throws {
        let bench = try Workbench()
        try #require(chmod(bench.path, 0o755) == 0)
        try cluster(bench, "main")
        try bench.directory("tree")
        try repository(bench, "tree/.git")
        try bench.directory("list")
        for name in ["main/global", "tree/.git"] { try #require(chmod(bench.place(name), 0) == 0) }
        try #require(chmod(bench.place("list"), 0o444) == 0)
        let known: [FoundSource.Identity] = [
            .init(.postgresql, bench.place("main")), .init(.git, bench.place("tree")),
            .init(.mariadb, bench.place("list")),
        ]
        let looked = try asNobody { try Looked(bench, [], known: known) }
        #expect(looked.found.isEmpty && looked.absent.isEmpty, "\(looked.absent)")
        #expect(looked.problems.count == 3, "\(looked.problems)")
    }

    @Test("What cannot be named is gone too when it is not there any more")
    func unnameable() throws {
        let bench = try Workbench()
        try database(bench, "a\nb.db")
        try database(bench, "b\\xff.db")
        try #require(rename(bench.place("a\nb.db"), (bench.bytes("a") + [0xFF, 0]).map { CChar(bitPattern: $0) }) == 0)
        let known = try Looked(bench).found.map(\.identity)
        #expect(known.map(\.place).sorted() == [bench.place("a\\xff"), bench.place("b\\xff.db")])
        let there = try Looked(bench, [], known: known)
        #expect(Set(there.found.map(\.identity)) == Set(known) && there.absent.isEmpty && there.problems.isEmpty)
        unlink((bench.bytes("a") + [0xFF, 0]).map { CChar(bitPattern: $0) })
        let gone = try Looked(bench, [], known: known)
        #expect(gone.found.map(\.place) == [bench.place("b\\xff.db")])
        #expect(gone.absent.map(\.place) == [bench.place("a\\xff")])
    }

    @Test("What cannot be read is told and is not gone")
    func unreadable() throws {
        let bench = try Workbench()
        try bench.directory("shut")
        try cluster(bench, "shut/main")
        try database(bench, "secret.db")
        try #require(chmod(bench.place("shut"), 0) == 0 && chmod(bench.place("secret.db"), 0) == 0)
        try #require(chmod(bench.path, 0o755) == 0)
        let known = FoundSource.Identity(.postgresql, bench.place("shut/main"))
        let looked = try asNobody { try Looked(bench, known: [known]) }
        #expect(looked.found.isEmpty && looked.absent.isEmpty)
        #expect(Set(looked.problems.map(\.place)).isSuperset(of: [bench.place("shut"), bench.place("secret.db")]))
        // What may be listed and not searched holds no answer either.
        try #require(chmod(bench.place("shut"), 0o444) == 0)
        let listed = try asNobody { try Looked(bench, [], known: [.init(.sqlite, bench.place("shut/a.db"))]) }
        #expect(listed.absent.isEmpty && !listed.problems.isEmpty)
    }

    @Test("Gone is what is not there in a directory that can be read; what is left out is neither")
    func absent() throws {
        let bench = try Workbench()
        try bench.directory("empty")
        try database(bench, "here.db")
        let known: [FoundSource.Identity] = [
            .init(.sqlite, bench.place("here.db")), .init(.sqlite, bench.place("gone.db")),
            .init(.postgresql, bench.place("empty")), .init(.postgresql, bench.place("no/main")),
            .init(.git, bench.place("no.git")), .init(.mariadb, bench.place("here.db")),
        ]
        let looked = try Looked(bench, [], known: known)
        #expect(looked.found.map(\.place) == [bench.place("here.db")])
        #expect(Set(looked.absent) == Set(known[1...]))
        let left = try Looked(bench, known: known, leftOut: [bench.path])
        #expect(left.found.isEmpty && left.absent.isEmpty)
    }

    @Test("Patterns and places leave out what is below them, and a place that is not there is told")
    func leftOut() throws {
        let bench = try Workbench()
        for name in ["a", "b", "c"] {
            try bench.directory(name)
            try database(bench, "\(name)/x.db")
        }
        let looked = try Looked(bench, leftOut: [bench.place("a")], excludes: ["b/"])
        #expect(looked.places(bench, .sqlite) == ["c/x.db"])
        #expect(try Looked(bench, excludes: ["*.db"]).found.isEmpty)
        #expect(try Looked(bench, ["nowhere"]).problems.map(\.place) == [bench.place("nowhere")])
        #expect(try Looked(bench, ["a/x.db"]).problems.count == 1)
    }

    @Test("Each path is told apart by its bytes, whatever its text is, and only a plain one can be named")
    func names() throws {
        let bench = try Workbench()
        // The third is the text of the first, the last one another spelling of the one before.
        let names: [[UInt8]] = [
            [0x61, 0xFF], [0x61, 0xFE], Array("a\\xff".utf8), [0x61, 0x0A, 0x62], [0xC3, 0xA9], [0x65, 0xCC, 0x81],
        ]
        for name in names {
            let path = (bench.bytes("") + name + [0]).map { CChar(bitPattern: $0) }
            let file = open(path, O_WRONLY | O_CREAT, 0o600)
            try #require(file >= 0)
            let bytes = Array((Self.magic + String(repeating: "x", count: 496)).utf8)
            #expect(write(file, bytes, bytes.count) == 512)
            close(file)
        }
        let looked = try Looked(bench)
        #expect(Set(looked.found.map(\.path)) == Set(names.map { bench.bytes("") + $0 }))
        #expect(looked.found.count == names.count && looked.found.count { $0.place == bench.place("a\\xff") } == 2)
        #expect(looked.found.count(where: \.isNameable) == 3)
        // What was found once is found again where it lies, and missed when it went.
        let known = looked.found.map(\.identity) + [.init(.sqlite, bench.bytes("") + [0xFD])]
        let again = try Looked(bench, [], known: known)
        #expect(Set(again.found.map(\.identity)) == Set(known.dropLast()) && again.absent == [known[names.count]])
        #expect(PathText.shown([0xE2, 0x82]) == "\\xe2\\x82")
    }
}
