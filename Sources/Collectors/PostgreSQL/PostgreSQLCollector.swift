package import Domain
import Glibc

/// Archives a PostgreSQL cluster, in the way that its source says.
package enum PostgreSQLCollector {
    /// `staging` is a directory that is made and emptied as needed, with room for a whole cluster under
    /// ``PostgreSQLSource/Mode/remote``.
    package static func make(
        _ source: PostgreSQLSource, staging: String, started: Timestamp, isInterrupted: @escaping () -> Bool
    ) -> any DataCollector {
        let programs = PostgreSQLPrograms(source, isInterrupted: isInterrupted)
        return switch source.mode {
        case .local: LocalCluster(source, programs, started: started)
        case .remote: RemoteCluster(source, programs, staging: staging, started: started)
        case .logical: LogicalCluster(source, programs, started: started)
        }
    }
}

/// The server's own programs, run with the connection of the source: no secret is in their arguments or environment.
final class PostgreSQLPrograms {
    private static let longest: Period = .days(7)
    private let source: PostgreSQLSource
    private let isInterrupted: () -> Bool
    /// The version of the server, once it is known.
    var major = 0

    init(_ source: PostgreSQLSource, isInterrupted: @escaping () -> Bool) {
        self.source = source
        self.isInterrupted = isInterrupted
    }

    /// Starts `name`, whose connection goes through the environment; `database` where it wants one.
    func start(_ name: String, _ arguments: [String], database: String? = nil) throws(CollectorError) -> RunningProgram
    {
        let connection = source.connection
        var environment =
            RunningProgram.usualEnvironment + [
                "PGHOST=\(connection.host)", "PGPORT=\(connection.port)", "PGUSER=\(connection.user)",
                "PGDATABASE=\(database ?? connection.database)", "PGAPPNAME=qala", "PGCONNECT_TIMEOUT=30",
            ]
        if let passfile = connection.passfile { environment.append("PGPASSFILE=\(passfile)") }
        return try RunningProgram(
            [path(of: name)] + arguments, environment: environment, timeout: Double(Self.longest.seconds),
            timeoutText: Self.longest.text(in: .english), isInterrupted: isInterrupted)
    }

    private func path(of name: String) -> String {
        source.programs.map { "\($0)/\(name)" } ?? Self.path(of: name, major: major)
    }

    /// Where packages put it, and nowhere else: what lies beside a server that somebody runs is not to be trusted.
    static func path(of name: String, major: Int) -> String {
        let places = ["/usr/lib/postgresql/\(major)/bin", "/usr/pgsql-\(major)/bin", "/usr/bin", "/usr/local/bin"]
        let found = places.first { access("\($0)/\(name)", X_OK) == 0 } ?? places[0]
        return "\(found)/\(name)"
    }
}

/// What a program of the server prints, as a file.
final class DumpContent: DataContent {
    private let start: () throws -> RunningProgram
    private let onEnd: (_ isWhole: Bool) -> Void
    private var program: RunningProgram?
    private var isAtEnd = false

    /// `onEnd` hears of the end, or of the error instead of it; once.
    init(start: @escaping () throws -> RunningProgram, onEnd: @escaping (_ isWhole: Bool) -> Void = { _ in }) {
        self.start = start
        self.onEnd = onEnd
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard !isAtEnd else { return 0 }
        do {
            let running = try program ?? start()
            program = running
            let count = try running.read(into: buffer)
            if count < buffer.count {
                isAtEnd = true
                program = nil
                // Every one of these begins with a comment or a header, whatever is in the database.
                if offset == 0, count == 0 { throw CollectorError(.io, "a dump is empty") }
                onEnd(true)
            }
            return count
        } catch {
            isAtEnd = true
            program = nil
            onEnd(false)
            throw error
        }
    }
}

/// What every way of archiving a cluster begins with: a session, and what the server says of itself.
struct PostgreSQLServer {
    static let oldest = 15

    let connection: PostgreSQLConnection
    let version: String
    let major: Int
    let isInRecovery: Bool
    let systemIdentifier: String

    init(_ source: PostgreSQLSource) throws(CollectorError) {
        connection = try PostgreSQLConnection(source.connection)
        let row = try connection.first(
            """
            SELECT current_setting('server_version'), current_setting('server_version_num'), pg_is_in_recovery(),
                (SELECT system_identifier FROM pg_control_system())
            """, count: 4)
        version = row[0]
        major = (Int(row[1]) ?? 0) / 10_000
        isInRecovery = row[2] == "t"
        systemIdentifier = row[3]
        guard major >= Self.oldest else {
            throw CollectorError(
                .unsupported, "the server is PostgreSQL \(version), and \(Self.oldest) is the oldest that is archived",
                hint: "Archive its dumps with a source of the kind `command`.")
        }
    }

    /// The result of each query, each database in one transaction that changes nothing; `at` imports a snapshot. A query that fails is a
    /// problem, and keeps nothing else from the archive.
    static func witnesses(
        of source: PostgreSQLSource, only database: String? = nil, at snapshot: String? = nil, _ problems: ProblemLog
    ) throws(CollectorError) -> [SourceFacts.Witness] {
        var found: [SourceFacts.Witness] = []
        var sessions: [String: PostgreSQLConnection] = [:]
        for witness in source.witnesses {
            let place = witness.database ?? source.connection.database
            if let database, database != place { continue }
            let session: PostgreSQLConnection
            if let open = sessions[place] {
                session = open
            } else {
                session = try PostgreSQLConnection(source.connection, database: place, searchesPublic: true)
                _ = try session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                // Made by the server, and nothing but digits, letters and hyphens.
                if let snapshot { _ = try session.rows("SET TRANSACTION SNAPSHOT '\(snapshot)'") }
                sessions[place] = session
            }
            _ = try session.rows("SAVEPOINT witness")
            do throws(CollectorError) {
                let value = try session.first(witness.query).first ?? ""
                found.append(SourceFacts.Witness(name: witness.name, value: value))
            } catch {
                // A session that is gone cannot go back either, and ends the source.
                _ = try session.rows("ROLLBACK TO SAVEPOINT witness")
                problems.add(
                    FileProblem(
                        path: Array(DataSource.postgresql(source).root.utf8), what: .noWitness,
                        detail: "\(witness.name): \(error.message)"))
            }
        }
        return found
    }
}
