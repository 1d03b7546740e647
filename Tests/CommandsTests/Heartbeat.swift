import Foundation
import Glibc
import Testing

/// Microseconds since 1970, as the programs below note them too.
func microseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

/// An application that adds the rows 1, 2, 3 … of a table `heartbeat`, each in a transaction of its own, and notes when it began
/// each and when the database acknowledged it. What a restored database must hold follows from that alone.
///
/// Invariant: a row is begun only after the one before was acknowledged, so what was ever there is 1 to some number.
final class Heartbeat {
    private let process: RunningProcess

    /// Each statement goes to `client`, which reads statements from its input and prints what they select, until it ends. `{n}`
    /// stands for the number.
    init(_ client: [String], statement: String, pause: Double, in folder: URL) throws {
        process = try ProcessRunner.start(
            "/usr/bin/python3", ["-c", Self.script, statement, "\(pause)"] + client,
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], in: folder)
    }

    /// An application with a SQLite database, which adds in each transaction the same to two more tables.
    init(sqlite database: String, mode: String, in folder: URL) throws {
        process = try ProcessRunner.start(
            "/usr/bin/python3", ["-c", Self.application, database, mode], environment: [:], in: folder)
    }

    private static let script = """
        import subprocess, sys, time
        statement, pause = sys.argv[1], float(sys.argv[2])
        client = subprocess.Popen(sys.argv[3:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        n = 0
        while True:
            n += 1
            print(n, time.time_ns() // 1000, end=" ", flush=True)
            try:
                client.stdin.write(statement.replace("{n}", str(n)) + f" SELECT {n};\\n")
                client.stdin.flush()
                answer = client.stdout.readline()
            except BrokenPipeError:
                answer = ""
            if answer.strip() != str(n):
                break
            print(time.time_ns() // 1000, flush=True)
            time.sleep(pause)
        print(flush=True)
        """

    private static let application = """
        import sqlite3, sys, time
        d = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
        d.execute("pragma journal_mode=" + sys.argv[2])
        d.execute("create table heartbeat(n integer primary key)")
        d.execute("create table a(n int, t blob)")
        d.execute("create table b(n int, t blob)")
        open(sys.argv[1] + ".ready", "w").close()
        n = 0
        while True:
            n += 1
            print(n, time.time_ns() // 1000, end=" ", flush=True)
            d.execute("begin immediate")
            d.execute("insert into heartbeat values(?)", (n,))
            for _ in range(n % 20):
                d.execute("insert into a values(?, randomblob(1500))", (n,))
                d.execute("insert into b values(?, randomblob(700))", (n,))
            if n % 5 == 4:
                d.execute("delete from a where n < ?", (n - 500,))
                d.execute("delete from b where n < ?", (n - 500,))
            d.execute("commit")
            print(time.time_ns() // 1000, flush=True)
            time.sleep(0.005)
        """

    struct Row {
        var number: Int
        var begun: Int
        /// Nil where no answer came.
        var acknowledged: Int?
    }

    /// Ends it, or waits until its database's end has ended it.
    func end(killed: Bool = false) throws -> Rows {
        if killed { process.send(SIGKILL) }
        let finished = try process.wait()
        let rows = finished.outputText.split(separator: "\n").compactMap { line -> Row? in
            let fields = line.split(separator: " ").compactMap { Int($0) }
            guard fields.count >= 2 else { return nil }
            return Row(number: fields[0], begun: fields[1], acknowledged: fields.count > 2 ? fields[2] : nil)
        }
        try #require(rows.count > 1, "the application wrote nothing: \(finished.errorText)")
        return Rows(rows: rows)
    }

    struct Rows {
        let rows: [Row]

        /// How many there must be, and how many there may be, in a database that has everything that was acknowledged until
        /// `acknowledged` and nothing that was begun after `begun`.
        func bounds(acknowledged: Int, begun: Int) -> ClosedRange<Int> {
            let least = rows.last { ($0.acknowledged ?? .max) <= acknowledged }?.number ?? 0
            let most = rows.last { $0.begun <= begun }?.number ?? 0
            return least...max(least, most)
        }

        /// Holds what was counted against that. `found` is the count, the least and the greatest number, in the words of a client.
        func check(_ found: String, acknowledged: Int, begun: Int, _ comment: Comment) {
            let fields = found.split { !$0.isNumber }.compactMap { Int($0) }
            let bounds = bounds(acknowledged: acknowledged, begun: begun)
            guard fields.count == 3 else {
                #expect(bounds.contains(0) && fields.first == 0, "\(comment): \(found), expected \(bounds)")
                return
            }
            #expect(fields[1] == 1 && fields[2] == fields[0], "\(comment): not all of 1 to the last: \(found)")
            #expect(bounds.contains(fields[0]), "\(comment): \(fields[0]) rows, expected \(bounds)")
        }
    }
}
