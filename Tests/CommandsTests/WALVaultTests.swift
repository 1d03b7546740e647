import Foundation
import Glibc
import Testing

@Suite(
    "WAL acknowledged by the vault, by the real binary", .serialized,
    .enabled(if: qalaBinary != nil && access("\(PostgreSQLServer.programs)/initdb", X_OK) == 0))
struct WALVaultTests {
    private func bench() throws -> WALDesk { try WALDesk(.helper, keys: ", acknowledge: vault") }

    private func write(_ number: Int, _ bench: WALDesk) throws -> String {
        _ = try bench.server.sql("CREATE TABLE t\(number) AS SELECT 1 AS n")
        return try bench.segment()
    }

    /// What PostgreSQL was told to be safe.
    private func acknowledged(_ bench: WALDesk) throws -> [String] {
        let names = try FileManager.default.contentsOfDirectory(
            atPath: "\(bench.server.path)/data/pg_wal/archive_status")
        return names.filter { $0.hasSuffix(".done") }.map { String($0.dropLast(5)) }.filter { $0.utf8.count == 24 }
            .sorted()
    }

    /// Which files each archive holds, by the ledger.
    private func archives(_ bench: WALDesk) throws -> [(id: String, files: [String])] {
        let text = try String(contentsOf: bench.world.url("state/wal/main/ledger.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").compactMap { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            guard let id = object?["archive"] as? String, let files = object?["files"] as? [String] else { return nil }
            return (id, files)
        }
    }

    /// Fetches a segment, which no spool has any more, and compares it with the server's.
    private func compare(_ name: String, _ bench: WALDesk) throws {
        let place = bench.world.path("fetched")
        let fetched = try bench.fetch(name, to: place)
        #expect(fetched.status == 0, "\(name): \(fetched.errorText)")
        let original = URL(filePath: "\(bench.server.path)/data/pg_wal/\(name)")
        #expect(try Data(contentsOf: URL(filePath: place)) == Data(contentsOf: original), "\(name)")
        #expect(unlink(place) == 0)
    }

    @Test("Segments that wait are archived together, and those that come one by one well within a second each")
    func drained() throws {
        let bench = try bench()
        defer { bench.remove() }
        let daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        try bench.waitUntilArchived(try write(0, bench))
        // Pushes wait for a daemon that does nothing, and segments gather.
        daemon.send(SIGSTOP)
        let names = try (1...12).map { try write($0, bench) }
        let before = try archives(bench).count
        daemon.send(SIGCONT)
        let last = try #require(names.last)
        try bench.desk.wait("the last of them") { try acknowledged(bench).contains(last) }
        let made = try archives(bench)
        #expect(Set(made.flatMap(\.files)).isSuperset(of: names))
        #expect(made.count - before <= names.count / 2, "\(made.dropFirst(before))")
        #expect(try bench.status()["quarantined"] as? [String] == [])

        // The best of some: others work on this machine too.
        var quickest = 60.0
        for number in 13...18 {
            let name = try write(number, bench)
            let begun = ContinuousClock.now
            let file = "\(bench.server.path)/data/pg_wal/archive_status/\(name).done"
            for _ in 0..<12_000 where access(file, F_OK) != 0 { usleep(5_000) }
            quickest = min(quickest, (ContinuousClock.now - begun) / .seconds(1))
        }
        #expect(quickest < 0.7, "\(quickest) s")
        try compare(last, bench)
    }

    @Test("Killed while segments are archived together, the daemon has in its vault whatever it acknowledged")
    func killed() throws {
        let bench = try bench()
        defer { bench.remove() }
        var daemon = try bench.start()
        defer { daemon.send(SIGKILL) }
        try bench.waitUntilArchived(try write(0, bench))
        daemon.send(SIGSTOP)
        let names = try (1...10).map { try write($0, bench) }
        daemon.send(SIGCONT)
        let pause = UInt32.random(in: 0...700_000)
        usleep(pause)
        daemon.send(SIGKILL)
        _ = try daemon.wait()
        let safe = try acknowledged(bench)
        let told = try archives(bench)
        #expect(Set(told.flatMap(\.files)).isSuperset(of: safe), "killed after \(pause) us")
        #expect(Set(try bench.world.archives()).isSuperset(of: told.map(\.id)), "killed after \(pause) us")

        // Then everything goes on: what was offered is pushed and found to be the same.
        daemon = try bench.desk.start(["--key-file", bench.world.path("kit.txt")])
        try bench.desk.waitUntilUp()
        let last = try #require(names.last)
        try bench.desk.wait("the rest") { try acknowledged(bench).contains(last) }
        #expect(Set(try archives(bench).flatMap(\.files)).isSuperset(of: names))
        for name in safe.suffix(4) { try compare(name, bench) }
        #expect(try bench.world.qala("wal", "status").status == 0, "no gap, nothing lost, nothing put aside")
    }
}
