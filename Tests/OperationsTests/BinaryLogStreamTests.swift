import Domain
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing
import Vault

@testable import Operations

/// A server whose binary logs are streamed into the spool of a host.
private final class StreamBench {
    let replay: ReplayBench
    let spool: BinaryLogSpool
    private var desk: BinaryLogDesk?
    var receiver: BinaryLogReceiver? { desk?.served.first?.receiver }
    var server: MariaDBServer { replay.server }

    init() throws {
        replay = try ReplayBench()
        spool = try BinaryLogSpool(name: "main", statePath: replay.workplace.statePath)
    }

    deinit { stop() }

    func start(_ source: MariaDBSource? = nil) throws {
        let desk = BinaryLogDesk(statePath: replay.workplace.statePath)
        #expect(desk.serve([("logs", replay.workplace.vaultPath, source ?? replay.streamed)]) == [])
        self.desk = desk
    }

    func stop() {
        desk?.stop()
        desk = nil
    }

    /// What the daemon would tell.
    var trouble: String {
        guard let desk, let one = desk.served.first else { return "" }
        return desk.trouble(one) ?? ""
    }

    func wait(_ what: Comment, _ isSo: () throws -> Bool) throws {
        for _ in 0..<900 where try !isSo() { usleep(100_000) }
        try #require(try isSo(), "\(what); \(trouble)")
    }

    /// Until everything that is committed now is received.
    func waitUntilReceived() throws {
        let place = try replay.place()
        try wait("\(place) is received") {
            let path = "\(spool.folder(of: try spool.stretches().last ?? 0))/\(place.file)"
            var info = stat()
            return stat(path, &info) == 0 && info.st_size >= off_t(place.position)
        }
    }

    /// Seconds since 1970.
    func point(_ place: RecoveryPoint.Place) -> Int64? {
        receiver?.recoveryPoints.first { $0.place == place }?.time
    }

    @discardableResult
    func archive(problems: Int = 0) throws -> String {
        try replay.archive(.mariadbLogs(replay.streamed), problems: problems)
    }

    func insert(_ rows: ClosedRange<Int>) throws {
        let values = rows.map { "(\($0))" }.joined(separator: ",")
        try server.query("INSERT INTO t VALUES \(values)", in: "shop")
    }

    /// Has the server close logs with one row each, and returns their names when the one behind them has come too. The first is the
    /// one that it wrote to.
    func closedLogs(_ count: Int, from row: Int = 101) throws -> [String] {
        var names: [String] = []
        for number in 0..<count {
            try insert(row + number...row + number)
            names.append(try replay.place().file)
            try server.query("FLUSH BINARY LOGS")
        }
        try waitUntilReceived()
        return names
    }

    /// Changes a byte in the midst of a log of the newest stretch; returns what the log is then.
    @discardableResult
    func rot(_ name: String) throws -> Data {
        let url = URL(filePath: "\(spool.folder(of: try spool.stretches().last ?? 0))/\(name)")
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: url)
        return bytes
    }

    /// The path of the one log that was put aside.
    func onlyQuarantined() throws -> String {
        let all = try spool.quarantined()
        try #require(all.count == 1, "\(all)")
        return "\(spool.quarantinePath)/\(all[0])"
    }

    /// How many rows the server has that an archive and the logs behind it give.
    func restored(_ archive: String, to name: String, _ target: BinaryLogTarget = .latest) throws -> String {
        _ = try replay.restore(archive, target, to: name)
        return try replay.started(name).query("SELECT COUNT(*), MAX(i) FROM shop.t")
    }
}

/// Inserts one row after the other, each a transaction, and knows when each was acknowledged.
private final class RowWriter: Sendable {
    private let acknowledged = Mutex<[(row: Int, time: Int64)]>([])
    private let stopping = InterruptFlag()
    private let done = DispatchSemaphore(value: 0)

    init(_ socket: String, from first: Int) {
        let thread = Thread { [self] in
            var row = first
            while !stopping.isSet {
                let arguments = [
                    "--no-defaults", "--socket=\(socket)", "--user=root", "--database=shop",
                    "--execute=INSERT INTO t VALUES (\(row))",
                ]
                guard (try? MariaDBServer.run("/usr/bin/mariadb", arguments)) != nil else { break }
                let time = Int64(WallTime.seconds())
                acknowledged.withLock { $0.append((row, time)) }
                row += 1
            }
            done.signal()
        }
        thread.start()
    }

    func end() {
        stopping.set()
        done.wait()
    }

    /// The newest row that was there before a time began.
    func row(before time: Int64) -> Int? { acknowledged.withLock { $0.last { $0.time < time }?.row } }
}

@Suite("Binary logs that are streamed", .enabled(if: MariaDBServer.isInstalled), .serialized)
struct BinaryLogStreamTests {
    @Test(
        "The newest log, damaged in the spool, is put aside as it is and comes anew; before, nothing is archived without it"
    )
    func damagedInTheSpool() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        try bench.insert(101...110)
        try bench.waitUntilReceived()
        let now = Int64(WallTime.seconds())
        try bench.wait("the mark of what is received") { bench.spool.mark(.received)?.time ?? 0 > now }
        bench.stop()
        let point = try #require(bench.spool.mark(.received)).point
        let url = URL(filePath: "\(bench.spool.folder(of: point.stretch))/\(point.file)")
        var bytes = try Data(contentsOf: url)
        bytes[Int(point.position) - 8] ^= 1
        try bytes.write(to: url)
        let error = #expect(throws: OperationError.self) { try bench.archive() }
        #expect(error?.message.contains("\(point.file) was damaged in the spool behind byte") == true)
        #expect(try Data(contentsOf: url) == bytes)
        #expect(try bench.spool.newest()?.point.file != point.file)
        #expect(try Data(contentsOf: URL(filePath: try bench.onlyQuarantined())) == bytes)
        let damage = try #require(bench.spool.damaged.first)
        #expect(damage.isOf(point.stretch, point.file) && damage.bytes == point.position)
        #expect(damage.sound < point.position && damage.standing == .missing)

        try bench.start()
        try bench.wait("the log anew") { bench.spool.damaged.first?.standing == .back }
        #expect(bench.receiver?.isDue == true)
        try bench.waitUntilReceived()
        try bench.archive()
        #expect(bench.spool.damaged.isEmpty && bench.spool.gap == nil)
        #expect(try bench.restored(base, to: "back") == "110\t110")
    }

    @Test("A log that rotted is fetched anew from the server, and a replay goes over it; what rotted stays as evidence")
    func fetchedAnew() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        let logs = try bench.closedLogs(3)
        let bytes = try bench.rot(logs[1])
        try bench.archive(problems: 1)
        #expect(bench.spool.damaged.first?.file == logs[1])
        #expect(bench.trouble.contains(logs[1]))
        try bench.wait("the log anew") { bench.spool.damaged.first?.standing == .back }
        #expect(bench.receiver?.isDue == true && bench.spool.gap == nil)
        // Until an archive holds it, nothing behind it counts.
        let point = bench.point(.vault) ?? 0
        #expect(point <= bench.spool.damaged.first?.found ?? 0)
        try bench.archive()
        #expect(bench.spool.damaged.isEmpty)
        #expect(try bench.spool.stretches() == [1])
        try bench.insert(104...110)
        try bench.waitUntilReceived()
        try bench.archive()
        #expect(try bench.restored(base, to: "back") == "110\t110")
        #expect(try Data(contentsOf: URL(filePath: try bench.onlyQuarantined())) == bytes)
        #expect(bench.trouble.contains("1 binary logs of main were damaged"))
        try FileManager.default.removeItem(atPath: try bench.onlyQuarantined())
        try bench.wait("the end of the trouble") { bench.trouble.isEmpty }
    }

    @Test("One that rotted and that the server purged is a gap that is told once; what follows is archived")
    func lost() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        let logs = try bench.closedLogs(3)
        bench.stop()
        try bench.rot(logs[1])
        try bench.server.purge(to: try bench.replay.place().file)
        try bench.archive(problems: 1)
        // As long as it is not known whether the server has it, no run is whole.
        try bench.archive(problems: 1)
        try bench.start()
        try bench.wait("the gap") { bench.spool.damaged.first?.standing == .lost }
        let gap = try #require(bench.spool.gap)
        #expect(bench.trouble.contains("have a gap") && bench.point(.vault) == gap.time)
        #expect(bench.receiver?.isDue == true)
        try bench.archive(problems: 1)
        #expect(bench.spool.damaged.isEmpty)
        try bench.archive()
        #expect(try bench.spool.stretches() == [1])
        #expect(bench.replay.message(base, .latest).contains("\(logs[1]) is in no archive"))
        // A copy behind it begins anew.
        while Int64(WallTime.seconds()) <= gap.found { usleep(100_000) }
        let later = try bench.replay.archive(withLogs: false)
        try bench.wait("the end of the gap") { !bench.trouble.contains("have a gap") }
        try bench.insert(104...110)
        try bench.waitUntilReceived()
        try bench.archive()
        #expect(try bench.restored(later, to: "back") == "110\t110")
    }

    @Test("A log of the same name that does not begin as the damaged one did is not taken for it")
    func otherContent() throws {
        let bench = try StreamBench()
        try bench.start()
        let logs = try bench.closedLogs(3)
        bench.stop()
        try bench.rot(logs[1])
        try bench.archive(problems: 1)
        try bench.spool.setDamagedAside()
        let damage = try #require(bench.spool.missing.first)
        let came = "\(bench.spool.receivePath)/\(logs[1])"
        let original = URL(filePath: "\(bench.server.folder)/data/\(logs[1])")
        for other in [logs[0], try bench.replay.place().file] {
            let theirs = try Data(contentsOf: URL(filePath: "\(bench.server.folder)/data/\(other)"))
            try theirs.write(to: URL(filePath: came))
            #expect(try !bench.spool.takeBack(damage), "\(other)")
        }
        try Data(contentsOf: original).dropLast(30).write(to: URL(filePath: came))
        #expect(try !bench.spool.takeBack(damage), "one that is cut")
        #expect(bench.spool.missing.first?.isAside == true)
        try FileManager.default.moveItem(
            atPath: try bench.onlyQuarantined(), toPath: bench.replay.scratch.place("evidence"))
        try bench.spool.setDamagedAside()
        #expect(bench.spool.missing.count == 1, "taking the evidence away does not make it whole")
        try FileManager.default.moveItem(
            atPath: bench.replay.scratch.place("evidence"),
            toPath: "\(bench.spool.quarantinePath)/1.\(logs[1]).\(damage.found)")
        try Data(contentsOf: original).write(to: URL(filePath: came))
        #expect(try bench.spool.takeBack(damage) && bench.spool.damaged.first?.standing == .back)
        try bench.spool.setDamagedAside()
        #expect(bench.spool.damaged.first?.standing == .back, "until an archive holds it")
        try bench.archive()
        #expect(bench.spool.damaged.isEmpty)
    }

    @Test("A log that rotted in the spool is told with its place and in no archive, and nothing is replayed over it")
    func rotten() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        let logs = try bench.closedLogs(3)
        bench.stop()
        let bytes = try bench.rot(logs[1])
        let report = try bench.replay.report(of: .mariadbLogs(bench.replay.streamed))
        #expect(report.isPartial && report.archive != nil && report.problemCount == 1)
        let problem = try #require(report.problems.first)
        #expect(problem.path == "/@mariadb-logs/main/\(logs[1])")
        #expect(problem.reason.contains("/1/\(logs[1]) is damaged at byte "), "\(problem.reason)")
        // What lies around it is archived and left the spool; of the rotten one nothing was changed.
        let left = try bench.spool.logs(in: bench.spool.folder(of: 1))
        #expect(left.count == 2 && left[0] == logs[1])
        #expect(try Data(contentsOf: URL(filePath: "\(bench.spool.folder(of: 1))/\(logs[1])")) == bytes)
        #expect(bench.replay.message(base, .latest).contains("\(logs[1]) is in no archive"))
    }

    @Test("What is written under load is received within seconds, and comes back whole when the server is killed")
    func load() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        var source = bench.replay.streamed
        source.batchTime = .seconds(2)
        try bench.start(source)
        let writer = RowWriter(bench.server.socket, from: 101)
        try bench.wait("the first recovery point") { bench.point(.spool) != nil }
        for _ in 0..<5 {
            sleep(1)
            let age = Int64(WallTime.seconds()) - (bench.point(.spool) ?? 0)
            #expect(age <= 15, "\(bench.trouble)")
        }
        try bench.wait("an archive that is due") { bench.receiver?.isDue == true }
        try bench.server.query("FLUSH BINARY LOGS")
        try bench.waitUntilReceived()
        let now = Int64(WallTime.seconds())
        try bench.wait("the mark of what is received") { bench.spool.mark(.received)?.time ?? 0 > now }
        try bench.archive()
        let archived = try #require(bench.spool.mark(.archived))
        let until = try #require(archived.time)
        #expect(until == bench.point(.vault) || until < bench.point(.vault) ?? 0)
        bench.server.kill()
        writer.end()
        #expect(bench.trouble.isEmpty || bench.trouble.contains("not streamed"))
        let row = try #require(writer.row(before: until), "nothing was acknowledged before \(until)")
        #expect(row > 101)
        func check(_ found: String, from least: Int) {
            let parts = found.split(separator: "\t").compactMap { Int($0) }
            #expect(parts.count == 2 && parts[0] == parts[1] && parts[1] >= least, "\(found), at least \(least)")
        }
        check(try bench.restored(base, to: "first"), from: row)
        // What is in the spool and in no archive yet is not lost with the server.
        let received = try #require(bench.point(.spool))
        try bench.archive()
        check(try bench.restored(base, to: "last"), from: writer.row(before: received) ?? .max)
        // The newest one stays, by which the next archive is known to go on.
        #expect(try bench.spool.logs(in: bench.spool.folder(of: 1)).count == 1)
    }

    @Test("The stream goes on where it was when the server or the daemon was stopped or killed, in one stretch")
    func restarts() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        try bench.insert(101...110)
        try bench.waitUntilReceived()
        try bench.archive()
        for round in 0..<4 {
            let first = 111 + 20 * round
            switch round {
            case 0: bench.server.stop()
            case 1: bench.server.kill()
            case 2: bench.stop()
            // What a killed one leaves: half an event behind what counts, and files that nobody asked for.
            default:
                bench.stop()
                let newest = try #require(try bench.spool.newest()).point
                let path = "\(bench.spool.folder(of: newest.stretch))/\(newest.file)"
                try LogSpoolFile(extending: path).append([UInt8](repeating: 7, count: 100))
                try LogSpoolFile(making: "\(bench.spool.receivePath)/binlog.000001").append([1, 2, 3])
            }
            if round < 2 {
                try bench.wait("that is told") { bench.trouble.contains("not streamed") }
                try bench.server.start()
                try bench.insert(first...first + 9)
            } else {
                try bench.insert(first...first + 9)
                try bench.start()
            }
            try bench.insert(first + 10...first + 19)
            try bench.waitUntilReceived()
            try bench.wait("the end of the trouble") { bench.trouble.isEmpty }
            if round % 2 == 0 { try bench.archive() }
        }
        try bench.archive()
        #expect(try bench.spool.stretches() == [1])
        #expect(try bench.restored(base, to: "back") == "190\t190")
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.spool.receivePath).isEmpty)
    }

    @Test("What is longer supersedes what is shorter, and is never replayed twice")
    func growing() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        for round in 0..<3 {
            try bench.server.query("UPDATE shop.t SET i = i + 1000 ORDER BY i DESC LIMIT 1")
            try bench.insert(101 + round...101 + round)
            try bench.waitUntilReceived()
            try bench.archive()
        }
        let expected = try bench.server.query("SELECT COUNT(*), MAX(i) FROM shop.t")
        #expect(try bench.restored(base, to: "back") == expected)
        // A time without a transaction behind it is within reach because the stream says so.
        let now = Int64(WallTime.seconds())
        try bench.wait("the mark of what is received") { bench.spool.mark(.received)?.time ?? 0 > now }
        try bench.archive()
        let until = try #require(bench.spool.mark(.archived)?.time)
        #expect(try bench.restored(base, to: "until", .time(until)) == expected)
        #expect(bench.replay.message(base, .time(until + 60)).contains("behind the end"))
    }

    @Test("The log of a copy counts also where it was archived before the copy was committed, and left the spool since")
    func committedBefore() throws {
        let bench = try StreamBench()
        try bench.start()
        try bench.server.query("FLUSH BINARY LOGS")
        try bench.insert(101...110)
        try bench.waitUntilReceived()
        try bench.archive()
        let base = try bench.replay.archive(withLogs: false)
        #expect(try bench.restored(base, to: "first") == "110\t110")
        try bench.insert(111...120)
        try bench.server.query("FLUSH BINARY LOGS")
        try bench.waitUntilReceived()
        try bench.archive()
        try bench.insert(121...130)
        try bench.waitUntilReceived()
        try bench.archive()
        #expect(try bench.restored(base, to: "last") == "130\t130")
    }

    @Test("Logs that were begun anew make a new stretch and a gap, which is told once and not replayed over")
    func reset() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        try bench.start()
        try bench.insert(101...110)
        try bench.waitUntilReceived()
        try bench.archive()
        try bench.insert(111...120)
        try bench.waitUntilReceived()
        try bench.server.query("RESET MASTER")
        try bench.insert(121...130)
        try bench.wait("the new stretch") { try bench.spool.stretches() == [1, 2] }
        try bench.waitUntilReceived()
        // First what was received before it.
        try bench.archive()
        try bench.archive(problems: 1)
        try bench.archive()
        #expect(try bench.spool.stretches() == [2])
        #expect(bench.replay.message(base, .latest).contains("begun anew"))
        // What lies behind it cannot be brought back before there is a newer copy.
        let found = try #require(bench.spool.gap)
        #expect(bench.trouble.contains("have a gap") && bench.point(.vault) == found.time)
        while Int64(WallTime.seconds()) <= found.found { usleep(100_000) }
        let later = try bench.replay.archive(withLogs: false)
        #expect(bench.trouble.isEmpty && bench.spool.gap == nil)
        try bench.wait("a recovery point behind it") { bench.point(.spool) ?? 0 > found.found }
        try bench.insert(131...140)
        try bench.waitUntilReceived()
        try bench.archive()
        #expect(try bench.restored(later, to: "back") == "140\t140")
    }

    @Test("Logs that were purged before they came are a gap; those that had come are none")
    func purged() throws {
        let bench = try StreamBench()
        let base = try bench.replay.archive(withLogs: false)
        func last() throws -> String {
            String(try bench.server.query("SHOW BINARY LOGS").split(separator: "\n").last?.prefix { $0 != "\t" } ?? "")
        }
        try bench.start()
        try bench.insert(101...110)
        let old = try last()
        try bench.server.query("FLUSH BINARY LOGS")
        try bench.waitUntilReceived()
        bench.stop()
        try bench.server.purge(to: try last())
        try bench.start()
        try bench.insert(111...120)
        try bench.waitUntilReceived()
        try bench.archive()
        #expect(try bench.spool.stretches() == [1])
        #expect(try last() != old)
        #expect(try bench.restored(base, to: "back") == "120\t120")

        bench.stop()
        try bench.server.query("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
        try bench.server.purge(to: try last())
        try bench.start()
        try bench.wait("the new stretch") { try bench.spool.stretches() == [1, 2] }
        try bench.insert(121...130)
        try bench.waitUntilReceived()
        try bench.archive()
        try bench.archive(problems: 1)
        #expect(bench.replay.message(base, .latest).contains("was purged"))
    }

    @Test("A wrong password is told in the words of the server, tried again with pauses, and over when it is right")
    func password() throws {
        let bench = try StreamBench()
        try bench.server.query(
            """
            CREATE USER archivist@localhost IDENTIFIED BY 'a right one';
            GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO archivist@localhost;
            """)
        let options = bench.replay.scratch.place("options")
        func write(_ password: String, _ permissions: mode_t = 0o600) throws {
            try bench.replay.scratch.write("options", "[client]\nuser=archivist\npassword=\(password)\n")
            chmod(options, permissions)
        }
        var source = bench.replay.streamed
        (source.user, source.defaultsFile) = (nil, options)
        try write("'a wrong one'")
        let before = try #require(Int(try denied(bench)))
        try bench.start(source)
        try bench.wait("that is told") { bench.trouble.contains("Access denied for user 'archivist'") }
        sleep(10)
        // After 2, 4 and 8 seconds.
        #expect(try #require(Int(try denied(bench))) - before <= 4)
        try write("'a right one'", 0o644)
        try bench.wait("that others may read it") { bench.trouble.contains("others may read") }
        try write("'a right one'")
        try bench.wait("the stream") { bench.trouble.isEmpty }
        try bench.waitUntilReceived()
    }

    private func denied(_ bench: StreamBench) throws -> String {
        let row = try bench.server.query("SHOW GLOBAL STATUS LIKE 'Access_denied_errors'")
        return String(row.split(separator: "\t").last ?? "")
    }

    @Test("What the spool holds is what the server has, byte for byte but for the mark that a log is open")
    func bytes() throws {
        let bench = try StreamBench()
        try bench.start()
        try bench.insert(101...1000)
        try bench.server.query("FLUSH BINARY LOGS")
        try bench.waitUntilReceived()
        let folder = bench.spool.folder(of: 1)
        let names = try bench.spool.logs(in: folder)
        #expect(names.count >= 2)
        for name in names.dropLast() {
            let theirs = try Data(contentsOf: URL(filePath: "\(bench.server.folder)/data/\(name)"))
            let ours = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
            #expect(ours == theirs, "\(name)")
        }
    }
}
