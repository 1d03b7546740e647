import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Collectors

/// Real servers, each in a folder of its own.
@Suite("MariaDB servers", .enabled(if: MariaDBServer.isInstalled), .serialized)
struct MariaDBCollectorTests {
    /// A folder that goes with it.
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/qala-mariadb-test-XXXXXX".utf8CString)
            try #require(mkdtemp(&template) != nil)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            chmod(path, 0o755)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ name: String, _ bytes: [UInt8]) throws {
            try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
        }
    }

    private func source(_ server: MariaDBServer) -> MariaDBSource {
        var source = MariaDBSource(name: "main")
        source.socket = server.socket
        source.user = "root"
        source.timeout = .seconds(120)
        return source
    }

    private func collector(_ source: MariaDBSource, _ folder: Folder) -> MariaDBCollector {
        let now = Timestamp(seconds: Int64(Date().timeIntervalSince1970))
        return MariaDBCollector(source, state: folder.path + "/state", started: now, isInterrupted: { false })
    }

    private func message(_ error: (any Error)?) -> String { (error as? any Failure)?.message ?? "no error" }

    /// A server of the copy, by the steps of the documentation.
    private func restored(_ collected: Collected, _ folder: Folder) throws -> MariaDBServer {
        let bytes = try #require(collected.contents["@mariadb/main/data.mbstream"], "\(collected.failures)")
        try folder.write("stream", bytes)
        let last = try MariaDBServer.prepare(folder.path + "/stream", in: folder.path + "/new")
        // What this program unpacks is what the server's own does.
        let unpacker = try MBStreamUnpacker(into: folder.path + "/own")
        try bytes.withUnsafeBytes { try unpacker.take($0) }
        try unpacker.finish()
        try FileManager.default.createDirectory(atPath: folder.path + "/theirs", withIntermediateDirectories: true)
        _ = try MariaDBServer.run(
            "/usr/bin/mbstream", ["-x", "-C", folder.path + "/theirs"], input: folder.path + "/stream")
        #expect(try MariaDBServer.run("/usr/bin/diff", ["-r", folder.path + "/own", folder.path + "/theirs"]) == "")
        #expect(unpacker.files > 20 && "\(unpacker.files)" == collected.facts.facts["files"])
        #expect(last.contains("completed OK!"), "\(last)")
        return try MariaDBServer(data: folder.path + "/new")
    }

    @Test("A copy under a writing application starts, and holds every row of before and no half transfer")
    func copy() throws {
        let folder = try Folder()
        let server = try MariaDBServer()
        try server.query(
            """
            CREATE DATABASE shop; USE shop; CREATE TABLE account (id INT PRIMARY KEY, amount INT);
            INSERT INTO account SELECT seq, 100 FROM seq_1_to_1000;
            CREATE TABLE entry (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(400));
            INSERT INTO entry (t) SELECT REPEAT(MD5(seq), 8) FROM seq_1_to_40000;
            CREATE TABLE old (i INT) ENGINE=Aria; INSERT INTO old VALUES (1), (2);
            """)
        let transfers = (0..<400).map {
            "BEGIN; UPDATE shop.account SET amount = amount - 7 WHERE id = \($0 + 1);"
                + " UPDATE shop.account SET amount = amount + 7 WHERE id = \(1000 - $0);"
                + " INSERT INTO shop.entry (t) VALUES ('t'); COMMIT;"
        }
        try folder.write("transfers", Array(transfers.joined(separator: "\n").utf8))
        let writer = Process()
        writer.executableURL = URL(filePath: "/usr/bin/mariadb")
        writer.arguments = ["--no-defaults", "--socket=\(server.socket)", "--user=root"]
        writer.standardInput = try FileHandle(forReadingFrom: URL(filePath: folder.path + "/transfers"))
        try writer.run()
        try FileManager.default.createDirectory(atPath: folder.path + "/etc/conf.d", withIntermediateDirectories: true)
        try folder.write("etc/my.cnf", Array("[mariadb]\n".utf8))
        try folder.write("etc/conf.d/a.cnf", Array("# a\n".utf8))
        symlink("my.cnf", folder.path + "/etc/link")
        var source = source(server)
        source.config = [folder.path + "/etc", folder.path + "/none"]
        source.witnesses = [
            WitnessQuery(name: "entries", query: "SELECT COUNT(*) FROM entry", database: "shop"),
            WitnessQuery(name: "wrong", query: "SELECT 1 FROM nothing", database: "shop"),
            WitnessQuery(name: "empty", query: "SELECT 1 FROM old WHERE i = 3", database: "shop"),
        ]
        let collected = Collected(collector(source, folder))
        writer.waitUntilExit()
        #expect(collected.failure == nil && collected.failures.isEmpty, "\(collected.message) \(collected.failures)")
        let facts = collected.facts
        #expect(facts.isWhole && facts.facts["server-version"]?.contains("MariaDB") == true, "\(facts)")
        for name in ["binlog-file", "binlog-position", "gtid", "to-lsn", "data-directory", "files", "redo-bytes"] {
            #expect(facts.facts[name]?.isEmpty == false, "\(name) is not among \(facts.facts)")
        }
        let reasons = collected.problems.map(\.reason)
        #expect(reasons.count == 3, "\(reasons)")
        #expect(reasons.contains { $0.contains("wrong: ") } && reasons.contains { $0.contains("empty: no row") })
        #expect(collected.problems.contains { String(decoding: $0.path, as: UTF8.self).hasSuffix("/none") })
        let config = "@mariadb/main/config\(folder.path)/etc"
        #expect(collected.contents[config + "/conf.d/a.cnf"] == Array("# a\n".utf8))
        #expect(collected.contents[config + "/my.cnf"] == Array("[mariadb]\n".utf8))
        let link = collected.entries.first { $0.path == Array("\(config)/link".utf8) }
        #expect(link?.linkTarget == Array("my.cnf".utf8))
        let paths = collected.entries.map(\.path)
        #expect(paths == paths.sorted { PathOrder.compare($0, $1) < 0 })
        let back = try restored(collected, folder)
        #expect(try back.query("SELECT SUM(amount) FROM account", in: "shop") == "100000")
        let counted = Int(try back.query("SELECT COUNT(*) FROM entry", in: "shop")) ?? 0
        let asked = facts.witnesses?.first.flatMap { Int($0.value) } ?? .max
        #expect(asked >= 40_000 && counted >= asked, "\(asked) were asked for, \(counted) are there")
        #expect(try back.query("SELECT COUNT(*) FROM old", in: "shop") == "2")
        #expect(try back.query("CHECK TABLE shop.account, shop.entry, shop.old").contains("error") == false)
        #expect((try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/state/staging")) == [])
    }

    @Test("Wrong credentials, no server and a secret that others may read give nothing")
    func refused() throws {
        let folder = try Folder()
        let server = try MariaDBServer()
        try server.query(
            "CREATE USER archivist@localhost IDENTIFIED BY 'right'; GRANT ALL ON *.* TO archivist@localhost")
        var source = source(server)
        source.user = nil
        source.defaultsFile = folder.path + "/options"
        try folder.write("options", Array("[client]\nuser=archivist\npassword=wrong\n".utf8))
        chmod(folder.path + "/options", 0o604)
        let open = Collected(collector(source, folder))
        #expect(open.message.contains("others may read") && open.entries.isEmpty, "\(open.message)")
        chmod(folder.path + "/options", 0o600)
        let wrong = Collected(collector(source, folder))
        #expect(wrong.message.contains("Access denied") && wrong.entries.isEmpty, "\(wrong.message)")
        #expect(!wrong.message.contains("right") && !wrong.facts.isWhole)
        try folder.write("options", Array("[client]\nuser=archivist\npassword=right\n".utf8))
        chmod(folder.path + "/options", 0o600)
        let right = Collected(collector(source, folder))
        #expect(
            right.failure == nil && right.failures.isEmpty && right.facts.isWhole, "\(right.message) \(right.failures)")
        // It may be asked, and may not copy.
        try server.query("REVOKE ALL ON *.* FROM archivist@localhost")
        let little = Collected(collector(source, folder))
        #expect(!little.facts.isWhole && (little.failure != nil || !little.failures.isEmpty))
        server.kill()
        let gone = Collected(collector(source, folder))
        #expect(gone.message.contains("Can't connect") && gone.entries.isEmpty, "\(gone.message)")
    }

    @Test("A server that dies while it is copied gives no whole copy")
    func died() throws {
        let folder = try Folder()
        let server = try MariaDBServer()
        try server.query(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (t LONGTEXT); "
                + "INSERT INTO t SELECT REPEAT(MD5(seq), 3000) FROM seq_1_to_400")
        let collector = collector(source(server), folder)
        defer { collector.close() }
        var content: (any DataContent)?
        while content == nil, let item = try collector.next() {
            if case .entry(_, let given) = item { content = given }
        }
        let stream = try #require(content)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        let error = #expect(throws: CollectorError.self) {
            while true {
                let count = try buffer.withUnsafeMutableBytes { try stream.read(into: $0, at: offset) }
                offset += UInt64(count)
                if offset == 2 << 20 { server.kill() }
                if count < buffer.count { break }
            }
        }
        #expect(offset >= 2 << 20 && message(error).contains("mariadb-backup"), "\(message(error))")
        #expect(try collector.next() == nil)
        #expect(!collector.facts.isWhole)
    }

    @Test("A redo log that was overwritten before it was copied gives no whole copy")
    func overwritten() throws {
        let folder = try Folder()
        let server = try MariaDBServer()
        try server.query(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (t LONGTEXT); "
                + "INSERT INTO t SELECT REPEAT(MD5(seq), 3000) FROM seq_1_to_400")
        let collector = collector(source(server), folder)
        defer { collector.close() }
        var content: (any DataContent)?
        while content == nil, let item = try collector.next() {
            if case .entry(_, let given) = item { content = given }
        }
        let stream = try #require(content)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        let error = #expect(throws: (any Error).self) {
            while true {
                let count = try buffer.withUnsafeMutableBytes { try stream.read(into: $0, at: offset) }
                offset += UInt64(count)
                // Eight times what the redo log holds, while nobody reads the copy.
                if offset == 1 << 20 {
                    for _ in 0..<2 {
                        try server.query("INSERT INTO t SELECT REPEAT(MD5(seq), 3000) FROM seq_1_to_330", in: "shop")
                    }
                }
                if count < buffer.count { break }
            }
        }
        #expect(message(error).contains("mariadb-backup ended with"), "\(message(error))")
        #expect(!collector.facts.isWhole)
    }

    @Test("Binary logs go on from run to run; purged ones and RESET MASTER are told once")
    func gaps() throws {
        let folder = try Folder()
        let server = try MariaDBServer()
        var source = source(server)
        source.binaryLogs = true
        func run(isCommitted: Bool = true) -> (collected: Collected, gap: String?, logs: [String]) {
            let collected = Collected(collector(source, folder), isCommitted: isCommitted)
            #expect(collected.failure == nil && collected.facts.isWhole, "\(collected.message) \(collected.failures)")
            let logs = collected.contents.keys.filter { $0.hasPrefix("@mariadb/main/logs/") }.sorted()
            #expect(collected.problems.count == (collected.facts.facts["logs-gap"] == nil ? 0 : 1))
            return (collected, collected.facts.facts["logs-gap"], logs.map { String($0.dropFirst(19)) })
        }
        let first = run()
        #expect(first.gap == nil && first.logs == ["binlog.000001"], "\(first.collected.facts)")
        try server.query("CREATE DATABASE a; FLUSH BINARY LOGS; CREATE DATABASE b; FLUSH BINARY LOGS")
        let second = run()
        #expect(second.gap == nil, "\(second.gap ?? "")")
        #expect(second.logs == ["binlog.000001", "binlog.000002", "binlog.000003"])
        #expect(second.collected.facts.facts["logs-last"] == "binlog.000003")
        let bytes = try Data(contentsOf: URL(filePath: server.folder + "/data/binlog.000002"))
        #expect(second.collected.contents["@mariadb/main/logs/binlog.000002"] == Array(bytes))
        try server.query("FLUSH BINARY LOGS")
        try server.purge(to: "binlog.000004")
        // A run whose archive never came to be has told nobody.
        #expect(run(isCommitted: false).gap != nil)
        let purged = run()
        #expect(
            purged.gap?.contains("of binlog.000003, up to binlog.000004, was purged") == true, "\(purged.gap ?? "none")"
        )
        #expect(run().gap == nil)
        try server.query("RESET MASTER; CREATE DATABASE c")
        let reset = run()
        #expect(reset.gap != nil, "the last log is called \(reset.logs)")
        #expect(run().gap == nil)
        // Again the same name, longer than it was.
        try server.query("RESET MASTER; " + (0..<60).map { "CREATE DATABASE d\($0)" }.joined(separator: ";"))
        let again = run()
        #expect(again.gap?.contains("begun anew") == true, "\(again.gap ?? "none") \(again.logs)")
    }

    @Test("A copy is replayed to a moment: what was committed before is there, what was deleted later too")
    func replay() throws {
        let folder = try Folder()
        let server = try MariaDBServer()
        try server.query(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (i INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_100"
        )
        let copy = Collected(collector(source(server), folder))
        try server.query(
            "INSERT INTO t SELECT seq FROM seq_101_to_150; FLUSH BINARY LOGS; INSERT INTO t VALUES (151)", in: "shop")
        // Logs know whole seconds.
        usleep(1_200_000)
        let moment = try server.query("SELECT NOW()")
        usleep(1_200_000)
        try server.query("DELETE FROM shop.t")
        var source = source(server)
        source.binaryLogs = true
        let later = Collected(collector(source, folder))
        let file = try #require(copy.facts.facts["binlog-file"])
        let position = try #require(copy.facts.facts["binlog-position"])
        var logs: [String] = []
        for (path, bytes) in later.contents.sorted(by: { $0.key < $1.key }) where path.hasPrefix("@mariadb/main/logs/")
        {
            let name = String(path.dropFirst(19))
            guard name >= file else { continue }
            try folder.write(name, bytes)
            logs.append("\(folder.path)/\(name)")
        }
        #expect(logs.count == 2)
        let back = try restored(copy, folder)
        #expect(try back.query("SELECT COUNT(*) FROM shop.t") == "100")
        let replayed = try MariaDBServer.run(
            "/usr/bin/mariadb-binlog",
            ["--no-defaults", "--start-position=\(position)", "--stop-datetime=\(moment)"] + logs)
        try folder.write("replay.sql", Array(replayed.utf8))
        _ = try MariaDBServer.run(
            "/usr/bin/mariadb", ["--no-defaults", "--socket=\(back.socket)", "--user=root", "--binary-mode"],
            input: folder.path + "/replay.sql")
        #expect(try back.query("SELECT COUNT(*), MAX(i) FROM shop.t") == "151\t151")
    }
}
