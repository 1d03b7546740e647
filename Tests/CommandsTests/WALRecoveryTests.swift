import Foundation
import Glibc
import Testing

@Suite(
    "A recovery that fetches its WAL, by the real binary", .serialized,
    .enabled(if: qalaBinary != nil && access("\(PostgreSQLServer.programs)/initdb", X_OK) == 0))
struct WALRecoveryTests {
    private static let segments = 32

    /// Makes the server at `place` fetch its WAL with the helper until there is no more.
    private func followArchive(_ place: String, _ bench: WALDesk) throws {
        let settings = URL(filePath: "\(place)/postgresql.auto.conf")
        let command = "\(bench.server.path)/qala-wal fetch --socket \(bench.socket) %f %p"
        let handle = try FileHandle(forWritingTo: settings)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("\nrestore_command = '\(command)'\narchive_mode = off\n".utf8))
        try handle.close()
        let signal = "\(place)/recovery.signal"
        try Data().write(to: URL(filePath: signal))
        var info = stat()
        try #require(stat(place, &info) == 0 && chown(signal, info.st_uid, info.st_gid) == 0)
    }

    @Test(
        "A server comes back through more than thirty segments of the vault, and the daemon ends while it reads ahead")
    func longRecovery() throws {
        let bench = try WALDesk(.helper)
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        _ = try bench.server.sql("CREATE TABLE t (n int PRIMARY KEY)")
        #expect(try bench.desk.ask("run", "db").status == 0)
        var names: [String] = []
        for number in 1...Self.segments {
            _ = try bench.server.sql("INSERT INTO t VALUES (\(number))")
            names.append(try bench.segment())
        }
        try bench.waitUntilArchived(try #require(names.last))
        try bench.server.run("pg_ctl", "-D", "\(bench.server.path)/data", "-m", "immediate", "-w", "stop")

        let place = "\(bench.server.path)/new"
        let restored = try bench.world.qala(["restore", "latest:db", "--cluster", "main", "--to", place] + World.byKit)
        try #require(restored.status == 0, "\(restored.errorText)")
        try followArchive(place, bench)
        try bench.server.run(
            "pg_ctl", "-D", place, "-l", "\(bench.server.path)/log2", "-w", "-o", bench.server.place, "start")
        try bench.desk.wait("the end of the recovery") { try bench.server.sql("SELECT pg_is_in_recovery()") == "f" }
        let all = (1...Self.segments).map(String.init).joined(separator: " ")
        #expect(try bench.server.sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t") == all)
        let log = try String(contentsOfFile: "\(bench.server.path)/log2", encoding: .utf8)
        let fetched = names.filter { log.contains("restored log file \"\($0)\"") }
        #expect(fetched == names)
        try bench.server.run("pg_ctl", "-D", place, "-m", "immediate", "-w", "stop")

        // Long gone from the cache.
        #expect(try bench.fetch(names[0], to: bench.world.path("fetched")).status == 0)
        daemon.send(SIGTERM)
        let asked = Date()
        #expect(try daemon.wait().status == 0)
        #expect(Date().timeIntervalSince(asked) < 15)
    }
}
