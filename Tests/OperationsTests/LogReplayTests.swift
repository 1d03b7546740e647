import Collectors
import Domain
import Foundation
import Glibc
import TestSupport
import Testing
import Vault

@testable import Operations

/// A server, a vault for its archives, and a place for what is restored.
final class ReplayBench {
    let server: MariaDBServer
    let scratch: Scratch
    let workplace: Workplace
    private var source: MariaDBSource

    init() throws {
        server = try MariaDBServer()
        scratch = try Scratch()
        let passphrase = Array("a passphrase of this test".utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: scratch.place("kit"), passphrase: { passphrase }, suite: "blake3"),
            at: scratch.workplace("a passphrase of this test"))
        workplace = try scratch.workplace(kit: scratch.place("kit"))
        // The server's account must get through.
        chmod(scratch.path, 0o755)
        source = MariaDBSource(name: "main")
        source.socket = server.socket
        source.user = "root"
        source.timeout = .seconds(120)
        source.binaryLogs = true
        try server.query(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (i INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_100"
        )
    }

    /// Its id.
    @discardableResult
    func archive(problems: Int = 0, logsAlone: Bool = false, withLogs: Bool = true) throws -> String {
        source.binaryLogs = withLogs
        return try archive(logsAlone ? .mariadbLogs(source) : .mariadb(source), problems: problems)
    }

    /// The logs of the server, streamed.
    var streamed: MariaDBSource {
        var streamed = source
        (streamed.replicaID, streamed.batchTime) = (4711, .seconds(1))
        return streamed
    }

    func report(of source: DataSource) throws -> ArchiveReport {
        var policy = Policy(name: "db", component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = [source]
        return try ArchiveTrees.run(.init(policy: policy), at: workplace)
    }

    @discardableResult
    func archive(_ source: DataSource, problems: Int = 0) throws -> String {
        let report = try report(of: source)
        try #require(report.problemCount == problems, "\(report.problems)")
        return try #require(report.archive)
    }

    /// A second of the logs that nothing else is in; seconds since 1970.
    func moment() throws -> Int64 {
        usleep(1_200_000)
        let now = try #require(Int64(try server.query("SELECT UNIX_TIMESTAMP()")))
        usleep(1_200_000)
        return now
    }

    func place() throws -> BinaryLogPlace {
        let row = try server.query("SHOW MASTER STATUS").split(separator: "\t").map(String.init)
        return BinaryLogPlace(file: row[0], position: try #require(UInt64(row[1])))
    }

    func restore(
        _ archive: String, _ target: BinaryLogTarget, to name: String, dryRun: Bool = false
    ) throws -> RestoreReport {
        var request = RestoreServer.Request(
            archive: archive, server: "main", target: scratch.place(name), dryRun: dryRun)
        request.recovery = target
        return try RestoreServer.run(request, at: workplace)
    }

    /// A server of what was restored: it must start from it as it is.
    func started(_ name: String) throws -> MariaDBServer { try MariaDBServer(data: scratch.place(name)) }

    func message(_ archive: String, _ target: BinaryLogTarget) -> String {
        do {
            let report = try restore(archive, target, to: "refused")
            return "no refusal: \(String(describing: report.replay))"
        } catch {
            #expect(access(scratch.place("refused"), F_OK) != 0, "something was written")
            let failure = error as? any Failure
            #expect(failure?.kind == .failed, "\(error)")
            return "\(failure?.message ?? "\(error)") \(failure?.hint ?? "")"
        }
    }
}

@Suite("A MariaDB server brought to a moment", .enabled(if: MariaDBServer.isInstalled), .serialized)
struct LogReplayTests {
    @Test("To a moment between two transactions, behind one, to a place and to the end of the logs")
    func targets() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        try bench.server.query(
            """
            INSERT INTO t SELECT seq FROM seq_101_to_150; FLUSH BINARY LOGS; INSERT INTO t VALUES (151);
            CREATE USER clerk@localhost IDENTIFIED BY 'a'; GRANT SELECT ON shop.* TO clerk@localhost;
            CREATE PROCEDURE p() SELECT '\\! touch';
            """, in: "shop")
        let place = try bench.place()
        let moment = try bench.moment()
        try bench.server.query("INSERT INTO t VALUES (152)", in: "shop")
        let gtid = try #require(BinaryLogGTID(try bench.server.query("SELECT @@gtid_binlog_pos")))
        try bench.server.query("DELETE FROM shop.t; FLUSH BINARY LOGS")
        try bench.archive()

        let dry = try bench.restore(archive, .latest, to: "dry", dryRun: true)
        #expect(dry.replay?.logs == 3 && access(bench.scratch.place("dry"), F_OK) != 0)
        let goals: [(BinaryLogTarget, String)] = [
            (.time(moment), "151"), (.place(place), "151"), (.transaction(gtid), "152"), (.latest, "0"),
        ]
        for (index, (target, count)) in goals.enumerated() {
            let name = "back-\(index)"
            let report = try bench.restore(archive, target, to: name)
            #expect(report.replay?.warnings == [] && report.replay?.gtid.isEmpty == false)
            #expect(access(bench.scratch.place("\(name)/\(MariaDBReplay.folderName)"), F_OK) != 0)
            let back = try bench.started(name)
            #expect(try back.query("SELECT COUNT(*) FROM shop.t") == count, "\(target)")
            // Users of the logs are there, the one of the replay is not.
            let users = try back.query("SELECT User FROM mysql.user WHERE User IN ('clerk') OR User LIKE 'qala%'")
            #expect(users == "clerk")
            #expect(try back.query("SHOW CREATE PROCEDURE shop.p").contains("touch"))
        }
        let newer = try bench.archive()
        let before = bench.message(newer, .transaction(gtid))
        #expect(before.contains("before the moment of the copy"), "\(before)")
        #expect(bench.message(newer, .place(place)).contains("before the moment of the copy"))
        #expect(bench.message(newer, .time(moment)).contains("before"))
    }

    @Test("A transaction that is open at the target time is not there at all")
    func notTorn() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        try bench.server.query(
            """
            INSERT INTO t VALUES (101); BEGIN; INSERT INTO t VALUES (102); DO SLEEP(2.2); SET @now = UNIX_TIMESTAMP();
            DO SLEEP(2.2); INSERT INTO t VALUES (103); COMMIT; CREATE TABLE at AS SELECT @now AS now
            """, in: "shop")
        let moment = try #require(Int64(try bench.server.query("SELECT now FROM shop.at")))
        try bench.archive()
        let report = try bench.restore(archive, .time(moment), to: "back")
        #expect(report.replay?.transactions == 1)
        #expect(try bench.started("back").query("SELECT COUNT(*), MAX(i) FROM shop.t") == "101\t101")
        // Without a later transaction the archive tells that nothing more was committed.
        let whole = try bench.restore(archive, .latest, to: "whole", dryRun: true)
        #expect(whole.replay?.transactions == 3)
        #expect(bench.message(archive, .time(moment + 86_400)).contains("behind the end of the archived logs"))
    }

    @Test(
        "Behind a purge and behind RESET MASTER nothing is reached, before them everything", arguments: [true, false])
    func gaps(isPurge: Bool) throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        try bench.server.query("INSERT INTO t VALUES (101)", in: "shop")
        let moment = try bench.moment()
        try bench.archive()
        if isPurge {
            try bench.server.query("INSERT INTO shop.t VALUES (102); FLUSH BINARY LOGS; FLUSH BINARY LOGS")
            let last = try bench.place().file
            try bench.server.purge(to: last)
        } else {
            try bench.server.query("RESET MASTER; INSERT INTO shop.t VALUES (102)")
        }
        try bench.server.query("INSERT INTO shop.t VALUES (103)")
        let later = try bench.moment()
        let gtid = try #require(BinaryLogGTID(try bench.server.query("SELECT @@gtid_binlog_pos")))
        let newer = try bench.archive(problems: 1)
        // GTIDs begin anew with RESET MASTER.
        for target in [BinaryLogTarget.latest, .time(later)] + (isPurge ? [.transaction(gtid)] : []) {
            let told = bench.message(archive, target)
            #expect(told.contains(isPurge ? "was purged" : "begun anew"), "\(target): \(told)")
            #expect(told.contains("The latest place that can be reached is binlog.000001:"), "\(told)")
        }
        let report = try bench.restore(archive, .time(moment), to: "back")
        #expect(report.replay?.transactions == 1)
        #expect(try bench.started("back").query("SELECT MAX(i) FROM shop.t") == "101")
        // The newer archive is behind the gap, and goes on.
        #expect(try bench.restore(newer, .latest, to: "dry", dryRun: true).replay?.transactions == 0)
    }

    @Test(
        "Logs that were archived alone count, also where the archive of the server has none; a gap is told once for both"
    )
    func logsAlone() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        for number in 101...103 {
            try bench.server.query("INSERT INTO t VALUES (\(number)); FLUSH BINARY LOGS", in: "shop")
            try bench.archive(logsAlone: true)
        }
        let moment = try bench.moment()
        try bench.archive(logsAlone: true)
        // What went since then is in the archives.
        try bench.server.purge(to: try bench.place().file)
        try bench.archive(logsAlone: true)
        let report = try bench.restore(archive, .latest, to: "back")
        #expect(report.replay?.transactions == 3)
        #expect(try bench.started("back").query("SELECT MAX(i) FROM shop.t") == "103")
        #expect(try bench.restore(archive, .time(moment), to: "dry", dryRun: true).replay?.transactions == 3)
        try bench.server.query("RESET MASTER; INSERT INTO shop.t VALUES (104)")
        try bench.archive(problems: 1, logsAlone: true)
        try bench.archive()
        #expect(bench.message(archive, .latest).contains("begun anew"))
    }

    @Test("A log of another life, with the copy's position and GTIDs of its own, is refused")
    func otherLife() throws {
        let bench = try ReplayBench()
        func insert(_ letter: String) throws {
            try bench.server.query("RESET MASTER")
            for number in 1...5 { try bench.server.query("INSERT INTO shop.o VALUES (\(number), '\(letter)')") }
        }
        try bench.server.query("CREATE TABLE shop.o (i INT PRIMARY KEY, t CHAR(1))")
        try insert("A")
        let archive = try bench.archive(withLogs: false)
        let place = try bench.place()
        try bench.server.query("DELETE FROM shop.o")
        usleep(1_200_000)
        try insert("B")
        try #require(try bench.place() == place, "else the position alone would tell")
        try bench.server.query("INSERT INTO shop.t VALUES (101)")
        try bench.archive(logsAlone: true)
        #expect(bench.message(archive, .latest).contains("begun anew"))
    }

    @Test("A purge that no run told of is found by what the archives hold")
    func forgottenState() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        try bench.server.query("RESET MASTER; INSERT INTO shop.t VALUES (101)")
        try FileManager.default.removeItem(atPath: bench.scratch.place("state/sources"))
        try bench.archive()
        let told = bench.message(archive, .latest)
        #expect(told.contains("begun anew") || told.contains("not archived"), "\(told)")
    }

    @Test("A damaged event is found before anything is written, and what lies before it can be had")
    func damaged() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        try bench.server.query("INSERT INTO t VALUES (101)", in: "shop")
        let place = try bench.place()
        try bench.server.query("INSERT INTO t VALUES (102); INSERT INTO t VALUES (103); FLUSH BINARY LOGS", in: "shop")
        let file = try FileHandle(forUpdating: URL(filePath: "\(bench.server.folder)/data/\(place.file)"))
        try file.seek(toOffset: place.position + 60)
        try file.write(contentsOf: Data([0xFF, 0xFF]))
        try file.close()
        try bench.archive()
        for target in [BinaryLogTarget.latest, .time(Int64(Date().timeIntervalSince1970))] {
            let told = bench.message(archive, target)
            #expect(told.contains("\(place.file) is damaged at byte"), "\(told)")
            #expect(told.contains("reached is \(place)"), "\(told)")
        }
        #expect(try bench.restore(archive, .place(place), to: "back").replay?.transactions == 1)
        #expect(try bench.started("back").query("SELECT MAX(i) FROM shop.t") == "101")
    }

    @Test("A replay that fails in the midst leaves nothing that a server starts from, and is not begun over it")
    func failing() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        // What the logs do not tell of: the next statement has no table there.
        try bench.server.query(
            """
            INSERT INTO t VALUES (101); SET sql_log_bin = 0; CREATE TABLE u (i INT); SET sql_log_bin = 1;
            INSERT INTO u VALUES (1); INSERT INTO t VALUES (102)
            """, in: "shop")
        try bench.archive()
        let error = #expect(throws: (any Error).self) { try bench.restore(archive, .latest, to: "back") }
        #expect((error as? any Failure)?.message.contains("shop.u") == true, "\(String(describing: error))")
        let left = try FileManager.default.contentsOfDirectory(atPath: bench.scratch.place("back"))
        #expect(left == [MariaDBReplay.folderName])
        #expect(throws: (any Error).self) { try bench.started("back") }
        let again = #expect(throws: (any Error).self) { try bench.restore(archive, .latest, to: "back") }
        #expect((again as? any Failure)?.message.contains("is not empty") == true)
        let processes = try MariaDBServer.run("/bin/ps", ["-eo", "args"])
        #expect(!processes.contains(bench.scratch.place("back")), "a server goes on")
    }

    @Test("Programs of another release, and a path that no socket can have, are refused")
    func host() throws {
        let facts = ["server-version": "10.6.1-MariaDB-log"]
        let release = #expect(throws: CollectorError.self) {
            try MariaDBReplay(into: "/srv/new", facts, isInterrupted: { false })
        }
        #expect(release?.message.contains("another release than the server was, 10.6") == true)
        let long = #expect(throws: CollectorError.self) {
            try MariaDBReplay(into: "/" + String(repeating: "x", count: 90), facts, isInterrupted: { false })
        }
        #expect(long?.message.contains("too long") == true)
    }

    @Test("An archive without logs behind it says so")
    func noLogs() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        // The log of the copy alone: it reaches as far as the archive saw it.
        let report = try bench.restore(archive, .latest, to: "back")
        #expect(report.replay?.transactions == 0)
        #expect(try bench.started("back").query("SELECT COUNT(*) FROM shop.t") == "100")
        let place = try bench.place()
        let beyond = BinaryLogPlace(file: place.file, position: place.position + 1)
        #expect(bench.message(archive, .place(beyond)).contains("no archive holds it"))
    }
}
