import Collectors
import Domain
import Foundation
import Glibc
import Testing
import Vault

@testable import Operations

/// A server whose WAL goes into a spool, a vault for both, and recoveries out of it.
final class RecoveryBench {
    let world: PostgreSQLWorld
    let scratch: Scratch
    let workplace: Workplace
    let spool: WALSpool
    private var given: Set<String> = []

    init() throws {
        world = try PostgreSQLWorld()
        try world.makeDirectory("finished")
        try world.start(
            "data", ["archive_mode=on", "archive_command=cp %p \(world.place("finished"))/%f", "wal_level=replica"])
        scratch = try Scratch()
        let passphrase = Array("a passphrase of this test".utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: scratch.place("kit"), passphrase: { passphrase }, suite: "blake3"),
            at: scratch.workplace("a passphrase of this test"))
        workplace = try scratch.workplace(kit: scratch.place("kit"))
        spool = try WALSpool(name: "main", statePath: workplace.statePath)
        try world.sql("CREATE TABLE t (n int, at timestamptz DEFAULT clock_timestamp())")
    }

    /// Adds a row and ends the segment; returns the server's time and place behind it.
    func step(_ number: Int) throws -> (time: String, lsn: String, xid: String) {
        let xid = try world.sql("INSERT INTO t VALUES (\(number)) RETURNING pg_current_xact_id()")
        usleep(50_000)
        let now = try world.sql("SELECT now() AT TIME ZONE 'UTC' || 'Z', pg_current_wal_insert_lsn()")
        let parts = now.split(separator: "|").map(String.init)
        usleep(50_000)
        try world.sql("SELECT pg_create_restore_point('after-\(number)')")
        try world.sql("SELECT pg_switch_wal()")
        return (parts[0].replacing(" ", with: "T"), parts[1], xid)
    }

    func base() throws { try archive("db", .postgresql(world.source())) }

    /// Takes in what PostgreSQL finished but for the named, and archives it.
    func takeWAL(without left: Set<String> = []) throws {
        try giveWAL(without: left)
        try archive("log", .wal(WALSource(name: "main")))
    }

    /// Ends the segment; the spool gets what PostgreSQL finished but for the named.
    func giveWAL(without left: Set<String> = []) throws {
        let last = try world.sql("SELECT pg_walfile_name(pg_switch_wal())")
        for _ in 0..<200 {
            if access(world.place("finished/\(last)"), F_OK) == 0 { break }
            usleep(50_000)
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: world.place("finished")).sorted()
        where !left.contains(name) && !given.contains(name) {
            let file = open(world.place("finished/\(name)"), O_RDONLY | O_CLOEXEC)
            try #require(file >= 0)
            defer { close(file) }
            let system = try #require(UInt64(try world.sql("SELECT system_identifier FROM pg_control_system()")))
            _ = try spool.accept(file, try #require(WALFileName(name)), systemID: system, incarnation: 1)
            given.insert(name)
        }
    }

    private func archive(_ name: String, _ source: DataSource) throws {
        var policy = Policy(name: name, component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = [source]
        let report = try ArchiveTrees.run(.init(policy: policy), at: workplace)
        try #require(report.problemCount == 0, "\(report.problems)")
    }

    func restore(_ target: RecoveryTarget, to name: String, dryRun: Bool = false) throws -> RestoreReport {
        var request = RestoreCluster.Request(
            archive: "latest:db", cluster: "main", target: world.place(name), dryRun: dryRun)
        request.recovery = .init(target: target)
        return try RestoreCluster.run(request, at: workplace)
    }

    /// Whether the server ends by itself instead of going on; it may let clients in until then.
    func fails(_ name: String) -> Bool {
        try? world.start(name)
        for _ in 0..<300 {
            if access(world.place("\(name)/postmaster.pid"), F_OK) != 0 { return true }
            usleep(100_000)
        }
        return false
    }

    /// What a restored cluster holds after its recovery.
    func rows(_ name: String) throws -> String {
        try world.start(name)
        for _ in 0..<300 where try world.sql("SELECT pg_is_in_recovery()", on: name) == "t" { usleep(100_000) }
        #expect(try world.sql("SHOW archive_mode", on: name) == "off")
        return try world.sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t", on: name)
    }
}

@Suite(
    "Recovery to a moment", .serialized, .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
struct PointInTimeTests {
    private func time(_ text: String) throws -> RecoveryTarget {
        let time = try #require(RecoveryTime.parse(text))
        return .time(time.seconds, text: time.text)
    }

    @Test("A cluster gets to a time, a place, a transaction, a name and the end, each time with exactly what was there")
    func targets() throws {
        let bench = try RecoveryBench()
        _ = try bench.step(1)
        try bench.base()
        // To the second, which is what a target is compared with beforehand.
        var steps: [(time: String, lsn: String, xid: String)] = []
        for number in 2...5 {
            steps.append(try bench.step(number))
            usleep(1_100_000)
        }
        try bench.takeWAL()
        let report = try bench.restore(.latest, to: "end")
        #expect(!report.isPartial && (report.recovery?.segments ?? 0) >= 4)
        #expect(try bench.rows("end") == "1 2 3 4 5")
        try bench.world.check("end")
        _ = try bench.restore(try time(steps[0].time), to: "time")
        #expect(try bench.rows("time") == "1 2")
        _ = try bench.restore(.position(try #require(LSN(steps[1].lsn))), to: "place")
        #expect(try bench.rows("place") == "1 2 3")
        _ = try bench.restore(.transaction(try #require(UInt64(steps[2].xid))), to: "transaction")
        #expect(try bench.rows("transaction") == "1 2 3 4")
        _ = try bench.restore(.name("after-2"), to: "name")
        #expect(try bench.rows("name") == "1 2")
    }

    @Test("A target behind a gap is refused before anything is written; one before it is reached")
    func gap() throws {
        let bench = try RecoveryBench()
        _ = try bench.step(1)
        try bench.base()
        let second = try bench.step(2)
        usleep(1_100_000)
        let lost = try bench.world.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        _ = try bench.step(3)
        let fourth = try bench.step(4)
        try bench.takeWAL(without: [lost])
        for target in [.latest, .position(try #require(LSN(fourth.lsn))), try time(fourth.time)] as [RecoveryTarget] {
            for dryRun in [true, false] {
                let error = #expect(throws: OperationError.self) {
                    try bench.restore(target, to: "new", dryRun: dryRun)
                }
                #expect(error?.message.contains(lost) == true, "\(error?.message ?? "")")
            }
        }
        #expect(access(bench.world.place("new"), F_OK) != 0)
        _ = try bench.restore(.position(try #require(LSN(second.lsn))), to: "before")
        #expect(try bench.rows("before") == "1 2")
        // A name behind it is a warning, and the server itself says that it did not find it.
        let report = try bench.restore(.name("after-4"), to: "name")
        #expect(report.recovery?.warnings.count == 1)
        #expect(bench.fails("name"))
        // What was missing comes after all.
        try bench.takeWAL()
        _ = try bench.restore(.latest, to: "end")
        #expect(try bench.rows("end") == "1 2 3 4")
    }

    @Test("A target before the base, behind the archived WAL, or without any WAL is refused")
    func outside() throws {
        let bench = try RecoveryBench()
        let first = try bench.step(1)
        usleep(1_100_000)
        try bench.base()
        #expect(throws: OperationError.self) { try bench.restore(.latest, to: "new") }
        try bench.takeWAL()
        let wrong: [RecoveryTarget] = [
            try time(first.time), .position(try #require(LSN(first.lsn))), .position(LSN(.max)),
            try time("2099-01-01T00:00:00Z"),
        ]
        for target in wrong {
            #expect(throws: OperationError.self, "\(target)") { try bench.restore(target, to: "new") }
        }
        #expect(access(bench.world.place("new"), F_OK) != 0)
        var other = RestoreCluster.Request(archive: "latest:db", cluster: "main", target: bench.world.place("new"))
        other.recovery = .init(target: .latest)
        other.recovery?.timeline = 7
        #expect(throws: OperationError.self) { try RestoreCluster.run(other, at: bench.workplace) }
        other.recovery?.timeline = nil
        other.recovery?.source = "another"
        let error = #expect(throws: OperationError.self) { try RestoreCluster.run(other, at: bench.workplace) }
        #expect(error?.kind == .notFound)
    }

    @Test("A WAL file that is in the list and gone stops the recovery, where one that never was ends it")
    func taken() throws {
        let bench = try RecoveryBench()
        _ = try bench.step(1)
        try bench.base()
        _ = try bench.step(2)
        _ = try bench.step(3)
        try bench.takeWAL()
        _ = try bench.restore(.latest, to: "new")
        let folder = bench.world.place("new/\(PointInTime.folderName)")
        let last = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder).filter { WALFileName($0)?.form == .segment }
                .max())
        #expect(unlink("\(folder)/\(last)") == 0)
        #expect(bench.fails("new"))
    }

    @Test(
        "A moment is read as an operator or psql writes it, and means its beginning",
        arguments: [
            ("2026-11-23T09:50:00+04:00", "2026-11-23T05:50:00+00"),
            ("2026-11-23 09:50:07.25+04", "2026-11-23T05:50:07.25+00"),
            ("2026-11-23T05:50Z", "2026-11-23T05:50:00+00"), ("2026-11-23 05:50-00:30", "2026-11-23T06:20:00+00"),
            ("2026-11-23 13:15:32.019356+00", "2026-11-23T13:15:32.019356+00"),
        ])
    func moments(text: String, read: String) { #expect(RecoveryTime.parse(text)?.text == read) }

    @Test(
        "What is no moment is none",
        arguments: [
            "", "now", "2026-11-23", "2026-02-30 10:00", "2026-11-23 25:00", "2026-11-23 10:00:00+4",
            "2026-11-23 10:00 UTC",
        ])
    func noMoments(text: String) { #expect(RecoveryTime.parse(text) == nil) }

    @Test("The command that fetches survives every character that a path may have")
    func quoting() throws {
        let command = try PointInTime.command("/srv/it's 100%/a\"b\\c")
        #expect(command.contains("'/srv/it'\\''s 100%%/a\"b\\c/list'"))
        #expect(throws: OperationError.self) { try PointInTime.command("/srv/a\nb") }
    }
}
