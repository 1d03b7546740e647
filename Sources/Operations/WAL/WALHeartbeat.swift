import Domain
import Synchronization
import Vault

/// Writes the time into a row of a cluster every thirty seconds, and remembers where its log was: what of the log is archived then
/// tells up to when the cluster can be brought back, and the row of a restored cluster tells up to when it was.
///
/// Invariants:
/// 1. The row lies in a schema and a table that belong to the role that writes it: nobody else can have put a trigger there.
/// 2. The time of a beat is taken before it is written, the position on storage after its commit: both err to the safe side.
final class WALHeartbeat: Sendable {
    private static let limitSeconds = 20.0

    private let source: WALSource
    private let database: String
    private let stopping = InterruptFlag()
    private let state = Mutex(State())
    private let thread = Mutex<Joined?>(nil)

    private struct State {
        var beats = Heartbeats()
        var trouble: String?
        var isPrepared = false
    }

    /// SAFETY: a thread is joined once, by ``stop()``, under the lock.
    private struct Joined: @unchecked Sendable {
        let thread: WorkerThread
    }

    init(_ source: WALSource, in database: String) throws {
        self.source = source
        self.database = database
        let joined = Joined(thread: try WorkerThread { self.work() })
        thread.withLock { $0 = joined }
    }

    func stop() {
        stopping.set()
        thread.withLock { joined in
            joined?.thread.join()
            joined = nil
        }
    }

    var beats: Heartbeats { state.withLock { $0.beats } }
    /// Why the last beat was not written; nil when it was.
    var trouble: String? { state.withLock { $0.trouble } }

    private func work() {
        while !stopping.isSet {
            do {
                try beat()
                state.withLock { $0.trouble = nil }
            } catch {
                if stopping.isSet { return }
                let words = (error as? any Failure)?.message ?? "\(error)"
                state.withLock {
                    $0.trouble = "no heartbeat is written: \(words)"
                    $0.isPrepared = false
                }
            }
            stopping.sleep(Double(Heartbeats.interval))
        }
    }

    // MARK: - In the server

    private func beat() throws {
        if !state.withLock({ $0.isPrepared }) { try prepare() }
        let time = Int64(clamping: WallTime.seconds())
        let answer = try ask([
            "INSERT INTO qala.heartbeat (source, beat) VALUES ('\(source.name)', clock_timestamp()) "
                + "ON CONFLICT (source) DO UPDATE SET beat = excluded.beat",
            // The position on storage: that of what is only in memory goes back when the server is killed.
            "SELECT p, pg_walfile_name(p), system_identifier FROM pg_current_wal_flush_lsn() AS p, pg_control_system()",
        ])
        let fields = answer.split(separator: "|", omittingEmptySubsequences: false)
        guard fields.count == 3, let position = LSN(fields[0]), let timeline = WALFileName(fields[1])?.timeline,
            let systemID = UInt64(fields[2])
        else {
            throw OperationError(.failed, "the server named no place in its log: \(answer.prefix(200))")
        }
        state.withLock {
            $0.isPrepared = true
            $0.beats.add(position, timeline: timeline, of: systemID, at: time)
        }
    }

    private func prepare() throws {
        if try isOurs() { return }
        _ = try ask([
            "CREATE SCHEMA IF NOT EXISTS qala",
            "CREATE TABLE IF NOT EXISTS qala.heartbeat (source text PRIMARY KEY, beat timestamptz NOT NULL)",
        ])
        guard try isOurs() else {
            throw OperationError(
                .denied,
                "the schema qala or its table heartbeat in \(database) belongs to another role than \(source.user)")
        }
    }

    private func isOurs() throws -> Bool {
        try ask([
            "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
                + "WHERE n.nspname = 'qala' AND c.relname = 'heartbeat' AND c.relkind = 'r' "
                + "AND pg_get_userbyid(c.relowner) = current_user AND pg_get_userbyid(n.nspowner) = current_user"
        ]) == "1"
    }

    /// A name alone may be taken for more than one: for `host=…` or an address, in which a password may stand.
    private static func connection(to database: String) -> String {
        let name = database.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
        return "dbname='\(name)'"
    }

    /// Each statement is a transaction; returns what they printed. A standby that is waited for does not hold a beat up.
    private func ask(_ statements: [String]) throws -> String {
        let settings = [
            "search_path = pg_catalog", "client_min_messages = warning", "synchronous_commit = local",
            "statement_timeout = '15s'",
        ]
        let all = settings.map { "SET \($0)" } + statements
        let answer = try ServerProgram.output(
            of: [
                try ServerProgram.path("psql"), "-XAtqw", "-v", "ON_ERROR_STOP=1", "-h", source.socket, "-U",
                source.user, "-d", Self.connection(to: database),
            ] + all.flatMap { ["-c", $0] }, seconds: Self.limitSeconds, stopping)
        return String(answer.filter { !$0.isNewline })
    }
}
