import Collectors
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Domain
@testable import Operations

/// What a log and a copy may ask of the programs of a replay, which root began.
@Suite("A replay of what somebody forged", .enabled(if: MariaDBServer.isInstalled && geteuid() == 0), .serialized)
struct LogReplayAttackTests {
    /// Puts `statement` into a log in the place of a table that the server made, with the checksum of the event.
    private func forge(_ statement: String, in bench: ReplayBench) throws {
        let shell = "CREATE TABLE shop.u (i INT) COMMENT ''"
        let told = "CREATE TABLE shop.u (i INT) COMMENT '\(String(repeating: "x", count: statement.utf8.count))'"
        try bench.server.query(told)
        let place = try bench.place()
        try bench.server.query("FLUSH BINARY LOGS")
        let path = "\(bench.server.folder)/data/\(place.file)"
        var log = try Data(contentsOf: URL(filePath: path))
        let found = try #require(log.range(of: Data(told.utf8)))
        let padded = statement + String(repeating: " ", count: shell.utf8.count)
        try #require(padded.utf8.count == found.count)
        log.replaceSubrange(found, with: Data(padded.utf8))
        func number(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(log[at + $1]) << (8 * $1) } }
        var begin = 4
        while begin + number(begin + 9) <= found.lowerBound { begin += number(begin + 9) }
        let end = begin + number(begin + 9) - 4
        var sum = CRC32()
        log[begin..<end].withUnsafeBytes { sum.add($0) }
        log.replaceSubrange(end..<end + 4, with: withUnsafeBytes(of: sum.value.littleEndian) { Data($0) })
        let file = try FileHandle(forUpdating: URL(filePath: path))
        try file.write(contentsOf: log)
        try file.close()
    }

    @Test("A log that has the client read a file gets none that only root may read", arguments: [true, false])
    func loadedFile(isForEverybody: Bool) throws {
        let bench = try ReplayBench()
        try bench.server.query("CREATE TABLE shop.s (t TEXT)")
        let archive = try bench.archive()
        try bench.scratch.write("secret", "of root alone\n")
        chmod(bench.scratch.place("secret"), isForEverybody ? 0o644 : 0o600)
        try forge("LOAD DATA LOCAL INFILE '\(bench.scratch.place("secret"))' INTO TABLE shop.s", in: bench)
        try bench.archive()
        if isForEverybody {
            _ = try bench.restore(archive, .latest, to: "back")
            #expect(try bench.started("back").query("SELECT t FROM shop.s") == "of root alone")
        } else {
            let error = #expect(throws: (any Error).self) { try bench.restore(archive, .latest, to: "back") }
            #expect((error as? any Failure)?.message.contains("Errcode: 13") == true, "\(String(describing: error))")
        }
    }

    @Test("A log that has the server write a file gets none written")
    func writtenFile() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        let written = "\(bench.server.folder)/data/forged"
        try forge("SELECT 'forged' INTO OUTFILE '\(written)'", in: bench)
        try bench.archive()
        #expect(throws: (any Error).self) { try bench.restore(archive, .latest, to: "back") }
        #expect(access(written, F_OK) != 0)
    }

    @Test("Files that were loaded come with the logs")
    func ordinary() throws {
        let bench = try ReplayBench()
        try bench.server.query("CREATE TABLE shop.s (t TEXT)")
        let archive = try bench.archive()
        try bench.scratch.write("loaded", "one\ntwo\n")
        chmod(bench.scratch.place("loaded"), 0o644)
        try bench.server.query(
            "SET SESSION binlog_format = STATEMENT; LOAD DATA INFILE '\(bench.scratch.place("loaded"))' INTO TABLE shop.s"
        )
        try bench.archive()
        try FileManager.default.removeItem(atPath: bench.scratch.place("loaded"))
        _ = try bench.restore(archive, .latest, to: "back")
        #expect(try bench.started("back").query("SELECT t FROM shop.s") == "one\ntwo")
    }

    @Test("A copy whose options name a library is not prepared; one as the server's tool makes it is, and not by root")
    func options() throws {
        let bench = try ReplayBench()
        let version = try bench.server.query("SELECT VERSION()")
        let replay = try MariaDBReplay(into: bench.scratch.place("back"), ["server-version": version]) { false }
        _ = try replay.begin()
        _ = try MariaDBServer.run(
            "/usr/bin/mariadb-backup",
            [
                "--no-defaults", "--socket=\(bench.server.socket)", "--user=root", "--backup",
                "--target-dir=\(replay.dataPath)",
            ])
        let options = "\(replay.dataPath)/backup-my.cnf"
        let honest = try String(contentsOfFile: options, encoding: .utf8)
        for forged in ["plugin_load=forged.so", "init-file=/etc/passwd", "!include /etc/passwd", "[mariadb]"] {
            try (honest + forged + "\n").write(toFile: options, atomically: false, encoding: .utf8)
            let error = #expect(throws: CollectorError.self) { try replay.prepare() }
            #expect(error?.message.contains("does not take: \(forged.filter { $0 != " " })") == true, "\(forged)")
        }
        try honest.write(toFile: options, atomically: false, encoding: .utf8)
        try replay.prepare()
        var info = stat()
        #expect(stat("\(replay.dataPath)/ib_logfile0", &info) == 0 && info.st_uid != 0)
        #expect(!(try String(contentsOfFile: options, encoding: .utf8)).contains("directory"))
    }
}
