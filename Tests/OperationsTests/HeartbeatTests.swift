import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

@Suite("Heartbeats of a log", .serialized, .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
struct HeartbeatTests {
    private func source(_ world: PostgreSQLWorld) -> WALSource {
        var source = WALSource(name: "main")
        (source.socket, source.heartbeat) = (world.socket(), "postgres")
        return source
    }

    private func wait(_ isSo: () -> Bool) -> Bool {
        for _ in 0..<300 where !isSo() { usleep(100_000) }
        return isSo()
    }

    private func newest(_ heartbeat: WALHeartbeat, _ end: WALLedgerIndex.End?, _ bench: RecoveryBench) throws -> Int64?
    {
        let index = try bench.spool.index()
        return end.flatMap { index.newest(of: heartbeat.beats, before: $0) }
    }

    @Test(
        "A beat counts when the spool, and then the vault, has its segment; the recovered cluster tells the same time")
    func wholeWay() throws {
        let bench = try RecoveryBench()
        let world = bench.world
        try bench.base()
        let heartbeat = try WALHeartbeat(source(world), in: "postgres")
        defer { heartbeat.stop() }
        try #require(wait { heartbeat.beats.since != nil }, "\(heartbeat.trouble ?? "")")
        #expect(heartbeat.trouble == nil)
        let beat = try #require(heartbeat.beats.since)
        let query = "SELECT floor(extract(epoch FROM beat)) FROM qala.heartbeat WHERE source = 'main'"
        let told = try #require(Int64(try world.sql(query)))
        #expect((beat...beat + 20).contains(told), "\(beat) \(told)")

        let before = try bench.spool.index().ends()
        #expect(try newest(heartbeat, before.spool, bench) == nil)
        try bench.giveWAL()
        let waiting = try bench.spool.index().ends()
        #expect((try newest(heartbeat, waiting.spool, bench) ?? 0) >= beat)
        #expect(try newest(heartbeat, waiting.vault, bench) == nil)
        try bench.takeWAL()
        let archived = try bench.spool.index().ends()
        #expect(archived.vault == archived.spool && archived.vault?.taken != nil)
        #expect((try newest(heartbeat, archived.vault, bench) ?? 0) >= beat)

        #expect(try !bench.restore(.latest, to: "new").isPartial)
        try world.start("new")
        try #require(wait { (try? world.sql("SELECT pg_is_in_recovery()", on: "new")) == "f" })
        #expect((Int64(try world.sql(query, on: "new")) ?? 0) >= told)
    }

    @Test("Of a cluster that was brought back to an earlier place no beat counts by what the one before had archived")
    func broughtBack() throws {
        let bench = try RecoveryBench()
        let world = bench.world
        try bench.base()
        let place = try #require(LSN(try bench.step(1).lsn))
        for number in 2...4 { _ = try bench.step(number) }
        try bench.takeWAL()
        _ = try bench.restore(.position(place), to: "new")
        #expect(try bench.rows("new") == "1")
        var source = source(world)
        source.socket = world.socket("new")
        let heartbeat = try WALHeartbeat(source, in: "postgres")
        defer { heartbeat.stop() }
        try #require(wait { heartbeat.beats.since != nil }, "\(heartbeat.trouble ?? "")")
        let end = try #require(try bench.spool.index().ends().vault)
        // It does lie before the end of what is archived.
        let now = try #require(LSN(try world.sql("SELECT pg_current_wal_flush_lsn()", on: "new")))
        #expect(now < end.position)
        #expect(try newest(heartbeat, end, bench) == nil)
    }

    @Test("The name of a database is a name, whatever it holds")
    func oddName() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        let name = #"dbname=postgres 'a\b'"#
        try world.sql("CREATE DATABASE \"\(name)\"")
        let heartbeat = try WALHeartbeat(source(world), in: name)
        defer { heartbeat.stop() }
        try #require(wait { heartbeat.beats.since != nil }, "\(heartbeat.trouble ?? "")")
        #expect(try world.sql("SELECT to_regclass('qala.heartbeat') IS NULL") == "t")
    }

    @Test("A table that somebody else put there is not written, and why is told")
    func foreign() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        try world.sql("CREATE ROLE other")
        try world.sql("CREATE SCHEMA qala AUTHORIZATION other")
        try world.sql("CREATE TABLE qala.heartbeat (source text PRIMARY KEY, beat timestamptz NOT NULL)")
        let heartbeat = try WALHeartbeat(source(world), in: "postgres")
        defer { heartbeat.stop() }
        try #require(wait { heartbeat.trouble != nil })
        #expect(heartbeat.trouble?.contains("belongs to another role") == true, "\(heartbeat.trouble ?? "")")
        #expect(heartbeat.beats.since == nil)
        #expect(try world.sql("SELECT count(*) FROM qala.heartbeat") == "0")
    }

    @Test("A server that is down is told, and ending does not wait for it")
    func down() throws {
        let world = try PostgreSQLWorld()
        let heartbeat = try WALHeartbeat(source(world), in: "postgres")
        #expect(wait { heartbeat.trouble?.contains("no heartbeat is written") == true })
        let started = Date()
        heartbeat.stop()
        #expect(Date().timeIntervalSince(started) < 10)
    }
}
