import Collectors
import Domain
import Foundation
import Glibc
import Testing
import Vault

@testable import Operations

/// A vault beside a world of servers.
struct ClusterBench {
    let world: PostgreSQLWorld
    let scratch: Scratch
    let workplace: Workplace

    init(_ world: PostgreSQLWorld) throws {
        self.world = world
        scratch = try Scratch()
        let passphrase = Array("a passphrase of this test".utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: scratch.place("kit"), passphrase: { passphrase }, suite: "blake3"),
            at: scratch.workplace("a passphrase of this test"))
        workplace = try scratch.workplace(kit: scratch.place("kit"))
    }

    func archive(_ sources: DataSource...) throws -> ArchiveReport {
        var policy = Policy(name: "db", component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = sources
        return try ArchiveTrees.run(.init(policy: policy), at: workplace)
    }

    func archive(_ source: PostgreSQLSource) throws -> ArchiveReport { try archive(.postgresql(source)) }

    func facts() throws -> SourceFacts {
        let open = try OpenVault(workplace)
        let header = try open.reader().header(of: open.archive("latest"))
        return try #require(header.sources?.first { $0.kind == "postgresql" })
    }

    func restore(_ target: String = "new", tablespaces: [String: String] = [:]) throws -> RestoreReport {
        try RestoreCluster.run(
            .init(
                archive: "latest", cluster: "main", target: world.place(target), tablespaces: tablespaces, verify: true),
            at: workplace)
    }

    func names() throws -> [String] {
        var names: [String] = []
        try ListEntries.run(archive: "latest", path: nil, recursive: true, at: workplace) { names.append($0.path) }
        return names
    }
}

@Suite(
    "PostgreSQL clusters", .serialized, .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
struct PostgreSQLTests {
    @Test("A cluster archived under load starts again, with its tablespaces elsewhere, and is sound")
    func underLoad() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        try world.makeDirectory("space")
        try world.sql("CREATE TABLESPACE extra LOCATION '\(world.place("space"))'")
        try world.sql(
            "CREATE TABLE spaced (n int) TABLESPACE extra; INSERT INTO spaced SELECT generate_series(1, 1000)")
        try world.sql("CREATE UNLOGGED TABLE quick (n int); INSERT INTO quick SELECT generate_series(1, 1000)")
        try world.sql("CREATE ROLE reader PASSWORD 'secret'")
        try world.run("pgbench", ["-i", "-q", "-s", "2", "-h", world.socket(), "-U", "postgres", "postgres"])
        let bench = try ClusterBench(world)
        let load = try world.load(seconds: 300)
        defer { load.terminate() }
        usleep(500_000)
        var source = world.source()
        source.config = [world.place("data/postgresql.conf")]
        source.witnesses = [
            .init(name: "accounts", query: "SELECT count(*) FROM pgbench_accounts"),
            .init(name: "spaced", query: "SELECT sum(n) FROM public.spaced"),
        ]
        let report = try bench.archive(source)
        try #require(load.isRunning)
        load.terminate()
        #expect(report.problemCount == 0, "\(report.problems)")

        let facts = try bench.facts()
        #expect(facts.isWhole && facts.facts["damaged-pages"] == "0", "\(facts)")
        #expect(facts.witnesses?.map(\.value) == ["200000", "500500"])
        let start = try #require(facts.facts["start-lsn"].flatMap { LSN($0) })
        let stop = try #require(facts.facts["stop-lsn"].flatMap { LSN($0) })
        #expect(start < stop)
        let names = try bench.names()
        let quick = (try world.file(of: "quick")).replacing(world.place("data"), with: "/@postgresql/main/1-data")
        #expect(!names.contains(quick) && names.contains(quick + "_init"))
        for part in [
            "0-globals.sql", "0-schema.sql", "1-data/PG_VERSION", "3-control/pg_control", "4-label/backup_label",
        ] {
            #expect(names.contains("/@postgresql/main/\(part)"), "\(part)")
        }
        #expect(names.contains("/@postgresql/main/0-config" + world.place("data/postgresql.conf")))
        #expect(!names.contains { $0.contains("/1-data/postmaster") || $0.contains("/1-data/pg_wal/") })

        // The old place of the tablespace is in use.
        #expect(throws: OperationError.self) { try bench.restore() }
        #expect(access(world.place("new"), F_OK) != 0)
        let restored = try bench.restore(tablespaces: [world.place("space"): world.place("space2")])
        #expect(!restored.isPartial && restored.verified > 0, "\(restored.problems)")
        try world.stop()
        try world.start("new")
        #expect(try world.sql("SHOW archive_mode", on: "new") == "off")
        #expect(try world.sql("SELECT sum(n) FROM spaced", on: "new") == "500500")
        #expect(try world.sql("SELECT count(*) FROM quick", on: "new") == "0")
        #expect(try world.sql("SELECT count(*) FROM pgbench_accounts", on: "new") == "200000")
        // Every transaction of pgbench adds the same to all of these.
        let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)"
        #expect(try world.sql(sums, on: "new") == "t")
        #expect(try world.sql("SELECT count(*) > 0 FROM pgbench_history", on: "new") == "t")
        try world.check("new")
    }

    @Test("What did not change is not read again, what changed is, and the archive restores all the same")
    func second() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        try world.run("pgbench", ["-i", "-q", "-s", "3", "-h", world.socket(), "-U", "postgres", "postgres"])
        try world.sql("VACUUM FREEZE", database: "postgres")
        try world.sql("CHECKPOINT")
        // Stamps as young as the start prove nothing to the next run.
        sleep(3)
        let bench = try ClusterBench(world)
        let first = try bench.archive(world.source())
        #expect(first.problemCount == 0, "\(first.problems)")
        try world.sql("UPDATE pgbench_branches SET bbalance = 7")
        let next = try bench.archive(world.source())
        #expect(next.problemCount == 0, "\(next.problems)")
        // One small table, the segments of the WAL and the dumps are new; the accounts are not.
        #expect(next.bytesRead < first.bytesRead / 2 + (40 << 20), "\(next.bytesRead) of \(first.bytesRead)")
        #expect(next.filesRead < first.filesRead / 4, "\(next.filesRead) of \(first.filesRead)")
        #expect(try !bench.restore().isPartial)
        try world.start("new")
        #expect(try world.sql("SELECT sum(bbalance) FROM pgbench_branches", on: "new") == "21")
        try world.check("new")
    }

    @Test("Damaged pages are named with file and block, every time, and a restore says so")
    func damaged() throws {
        let world = try PostgreSQLWorld()
        // Nothing but the test writes to the table.
        try world.start("data", ["autovacuum=off"])
        try world.sql("CREATE TABLE t AS SELECT n, repeat('x', 100) AS s FROM generate_series(1, 20000) n")
        try world.sql("CHECKPOINT")
        let path = try world.file(of: "t")
        let file = open(path, O_RDWR)
        try #require(file >= 0)
        var garbage: [UInt8] = [0xDE, 0xAD, 0xBE, 0xEF]
        // In the middle of a page; in another one, over its LSN, so that it claims to be of the future.
        try #require(pwrite(file, &garbage, 4, 3 * 8192 + 4000) == 4)
        try #require(pwrite(file, &garbage, 4, 5 * 8192) == 4)
        close(file)
        sleep(3)
        let bench = try ClusterBench(world)
        for run in 1...2 {
            let report = try bench.archive(world.source())
            let told = report.problems.map { "\($0.path): \($0.reason)" }.joined(separator: "\n")
            let stored = path.replacing(world.place("data"), with: "/@postgresql/main/1-data")
            #expect(report.problemCount == 2 && report.isPartial, "run \(run): \(told)")
            #expect(told.contains(stored) && told.contains("block 3") && told.contains("block 5"), "\(told)")
            #expect(try bench.facts().facts["damaged-pages"] == "2")
        }
        let restored = try bench.restore()
        #expect(restored.isPartial && restored.problems.contains { $0.reason.contains("2 damaged pages") })
        // It is what was there: the control file is in its place.
        #expect(access(world.place("new/global/pg_control"), F_OK) == 0)
    }

    @Test("Checksums of all pages of a real cluster are right, and any change makes them wrong")
    func checksums() throws {
        let world = try PostgreSQLWorld()
        var pages = 0
        let base = world.place("data/base")
        for database in try FileManager.default.contentsOfDirectory(atPath: base) {
            for name in try FileManager.default.contentsOfDirectory(atPath: "\(base)/\(database)")
            where name.first?.isNumber == true {
                let bytes = Array(try Data(contentsOf: URL(filePath: "\(base)/\(database)/\(name)")))
                for at in stride(from: 0, to: bytes.count - 8191, by: 8192) {
                    var page = Array(bytes[at..<at + 8192])
                    let block = UInt32(at / 8192)
                    #expect(Self.isRight(page, block), "\(database)/\(name) \(block)")
                    guard page.contains(where: { $0 != 0 }) else { continue }
                    pages += 1
                    guard pages % 50 == 0 else { continue }
                    #expect(!Self.isRight(page, block + 1))
                    // Of 65 535 changes one may hide; of three in a row none does.
                    let places = [16 + pages % 8000, 100, 8191]
                    let hidden = places.filter { place in
                        page[place] ^= 1
                        return Self.isRight(page, block)
                    }
                    #expect(hidden.count < 2, "\(database)/\(name) \(block)")
                }
            }
        }
        #expect(pages > 500)
        var almostNew = [UInt8](repeating: 0, count: 8192)
        #expect(Self.isRight(almostNew, 0))
        almostNew[8000] = 1
        #expect(!Self.isRight(almostNew, 0))
    }

    private static func isRight(_ page: [UInt8], _ block: UInt32) -> Bool {
        page.withUnsafeBytes { PageChecksum.check($0, block: block) } == .right
    }

    @Test("Wrong credentials archive nothing and say so; a file with the password is enough")
    func credentials() throws {
        let world = try PostgreSQLWorld(authentication: "scram-sha-256", password: "right")
        // psql is not used here, which would be asked for the password.
        try world.start()
        let bench = try ClusterBench(world)
        var source = world.source()
        source.connection.passfile = bench.scratch.place("passfile")
        for (password, isRight) in [("wrong", false), ("right", true)] {
            try bench.scratch.write("passfile", "*:*:*:*:\(password)\n")
            try #require(chmod(bench.scratch.place("passfile"), 0o600) == 0)
            guard !isRight else {
                #expect(try bench.archive(source).problemCount == 0)
                continue
            }
            let error = #expect(throws: OperationError.self) { try bench.archive(source) }
            #expect(error?.message.contains("does not let us in") == true, "\(error?.message ?? "")")
            #expect(try ListArchives.run(policy: nil, at: bench.workplace).isEmpty)
        }
    }

    @Test("A server that is down, or another one than the policy means, is refused")
    func wrongServer() throws {
        let world = try PostgreSQLWorld()
        let bench = try ClusterBench(world)
        var error = #expect(throws: OperationError.self) { try bench.archive(world.source()) }
        #expect(error?.message.contains("cannot connect") == true, "\(error?.message ?? "")")
        try world.start()
        var source = world.source()
        try world.makeDirectory("other")
        source.dataDirectory = world.place("other")
        error = #expect(throws: OperationError.self) { try bench.archive(source) }
        #expect(error?.message.contains("and the policy says") == true, "\(error?.message ?? "")")
        #expect(try ListArchives.run(policy: nil, at: bench.workplace).isEmpty)
    }

    @Test(
        "A server that is killed during the archive, started again or not, leaves no whole source",
        arguments: [false, true])
    func killed(startsAgain: Bool) throws {
        let world = try PostgreSQLWorld()
        try world.start()
        let collector = PostgreSQLCollector.make(
            world.source(), staging: world.place("staging"), started: Timestamp(seconds: 0), isInterrupted: { false })
        defer { collector.close() }
        for _ in 0..<50 { _ = try collector.next() }
        try world.stop(mode: "immediate")
        if startsAgain { try world.start() }
        let error = #expect(throws: CollectorError.self) { while try collector.next() != nil {} }
        #expect(error?.message.contains("was lost") == true, "\(error?.message ?? "")")
        #expect(!collector.facts.isWhole)
    }

    @Test("A cluster that is not whole in the archive is not restored, nor is one that is not there")
    func notWhole() throws {
        let world = try PostgreSQLWorld()
        let bench = try ClusterBench(world)
        let echo = CommandSource(name: "echo", command: ["/bin/echo", "something"])
        let report = try bench.archive(.command(echo), .postgresql(world.source()))
        #expect(report.isPartial)
        var error = #expect(throws: OperationError.self) { try bench.restore() }
        #expect(error?.message.contains("is not whole") == true, "\(error?.message ?? "")")
        error = #expect(throws: OperationError.self) {
            try RestoreCluster.run(
                .init(archive: "latest", cluster: "other", target: world.place("new")), at: bench.workplace)
        }
        #expect(error?.kind == .notFound)
        #expect(access(world.place("new"), F_OK) != 0)
    }

    @Test("Dumps of all databases restore into another, each with its witness")
    func logical() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        try world.sql("CREATE DATABASE \"odd/na me\"")
        try world.sql("CREATE TABLE t AS SELECT generate_series(1, 500) AS n", database: "odd/na me")
        let bench = try ClusterBench(world)
        var source = world.source(.logical)
        source.witnesses = [.init(name: "rows", query: "SELECT count(*) FROM t", database: "odd/na me")]
        let report = try bench.archive(source)
        #expect(report.problemCount == 0, "\(report.problems)")
        let facts = try bench.facts()
        #expect(facts.isWhole && facts.facts["databases"] == "2", "\(facts)")
        #expect(facts.witnesses?.map(\.value) == ["500"])
        var dump = Data()
        try ReadFile.run(
            archive: "latest", path: "/@postgresql/main/dump/odd%2Fna%20me.dump", at: bench.workplace
        ) { dump.append(contentsOf: $0) }
        try dump.write(to: URL(filePath: world.place("dump")))
        try #require(chmod(world.place("dump"), 0o644) == 0)
        try world.sql("CREATE DATABASE back")
        try world.run("pg_restore", ["-h", world.socket(), "-U", "postgres", "-d", "back", world.place("dump")])
        #expect(try world.sql("SELECT count(*) FROM t", database: "back") == "500")
        #expect(throws: OperationError.self) { try bench.restore() }
    }

    @Test("A cluster that pg_basebackup brought restores with its tablespace, and leaves nothing in the staging")
    func remote() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        try world.makeDirectory("space")
        try world.sql("CREATE TABLESPACE extra LOCATION '\(world.place("space"))'")
        try world.sql(
            "CREATE TABLE spaced (n int) TABLESPACE extra; INSERT INTO spaced SELECT generate_series(1, 1000)")
        let bench = try ClusterBench(world)
        let report = try bench.archive(world.source(.remote))
        #expect(report.problemCount == 0, "\(report.problems)")
        #expect(try bench.facts().isWhole)
        #expect(access(bench.scratch.place("state/staging/postgresql-main"), F_OK) != 0)
        #expect(try !bench.restore(tablespaces: [world.place("space"): world.place("space2")]).isPartial)
        if geteuid() == 0 {
            // The files are those of the account that archived.
            for name in ["new", "space2"] {
                let owner = Process()
                owner.executableURL = URL(filePath: "/bin/chown")
                owner.arguments = ["-R", "postgres:postgres", world.place(name)]
                try owner.run()
                owner.waitUntilExit()
            }
        }
        try world.start("new")
        #expect(try world.sql("SELECT sum(n) FROM spaced", on: "new") == "500500")
        try world.check("new")
    }
}

@Suite("Maps of tablespaces")
struct TablespaceMapTests {
    @Test("They are read as PostgreSQL writes them, moved by path or number, and written again")
    func maps() throws {
        let map = Array("16406 /srv/a\n16407 /srv/with\\\\back\\\nline\n".utf8)
        let spaces = try TablespaceMap.parse(map)
        #expect(spaces.map(\.id) == ["16406", "16407"])
        #expect(spaces.map(\.place) == ["/srv/a", "/srv/with\\back\nline"])
        #expect(TablespaceMap.bytes(of: spaces) == map)
        let moved = try TablespaceMap.parse(map, moved: ["/srv/a": "/new/a", "16407": "/new/b"])
        #expect(moved.map(\.place) == ["/new/a", "/new/b"])
        #expect(throws: OperationError.self) { try TablespaceMap.parse(map, moved: ["/srv/other": "/new"]) }
    }

    @Test("A map that is none is damage", arguments: ["16406", "x /srv\n", "16406 srv\n", " /srv\n", "-1 /srv\n"])
    func malformed(map: String) {
        #expect(throws: OperationError.self) { try TablespaceMap.parse(Array(map.utf8)) }
    }
}
