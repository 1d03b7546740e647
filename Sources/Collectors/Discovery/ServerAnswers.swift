import Domain
import Glibc

/// What a server says of itself when this account asks it.
struct ServerAnswer {
    var version: String
    var dataDirectory: String?
    var config: String?
    var databases: [FoundSource.Database]
}

/// Asks servers through their sockets, as this account: without a password, and within a time.
///
/// Invariants:
/// 1. No secret reaches a server that merely listens here: no password file is read.
/// 2. A server that does not answer is given up with the program that asked it.
struct ServerAsking {
    private static let patience = Period.seconds(20)
    /// Seconds for a connection.
    private static let connecting = 5
    /// Releases of PostgreSQL whose programs may be there, the newest first: any may ask a server of another.
    private static let releases = (15...24).reversed()

    /// Whom to ask as, the likeliest first.
    let users: [String]
    let isOver: () -> Bool

    /// `known` are accounts that policies name.
    init(known: [String], isOver: @escaping () -> Bool) {
        let own = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) }
        var users: [String] = []
        for user in [own].compactMap(\.self) + known where !users.contains(user) { users.append(user) }
        self.users = users
        self.isOver = isOver
    }

    /// The first answer; the last error where nobody is let in.
    private func first<Answer>(
        of users: [String], _ ask: (String) throws(CollectorError) -> Answer
    ) throws(CollectorError) -> Answer {
        var failure = CollectorError(.denied, "there is no account to ask as")
        for user in users where !isOver() {
            do throws(CollectorError) { return try ask(user) } catch {
                failure = error
                // It does not answer at all.
                if error.code == .limit { break }
            }
        }
        throw failure
    }

    // MARK: PostgreSQL

    func postgreSQL(socket: String, port: Int) throws(CollectorError) -> ServerAnswer {
        try first(of: users.contains("postgres") ? users : users + ["postgres"]) { user throws(CollectorError) in
            try postgreSQL(socket: socket, port: port, user: user)
        }
    }

    private func postgreSQL(socket: String, port: Int, user: String) throws(CollectorError) -> ServerAnswer {
        // One row for each database; what the account may not know is empty.
        let query = """
            SELECT current_setting('server_version'),
                (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
                (SELECT setting FROM pg_settings WHERE name = 'config_file'), d.datname,
                CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END
            FROM pg_database d WHERE NOT d.datistemplate ORDER BY d.datname
            """
        let running = try RunningProgram(
            [
                Self.psql, "-X", "-A", "-t", "-q", "-w", "-z", "-0", "-h", socket, "-p", "\(port)", "-U", user,
                "-d", "postgres", "-c", query,
            ],
            environment: RunningProgram.usualEnvironment + [
                "PGPASSFILE=/dev/null/none", "PGAPPNAME=qala", "PGCONNECT_TIMEOUT=\(Self.connecting)",
                "PGCLIENTENCODING=SQL_ASCII", "PGOPTIONS=-c search_path=pg_catalog",
            ], timeout: Double(Self.patience.seconds), timeoutText: Self.patience.text(in: .english),
            isInterrupted: isOver)
        defer { running.close() }
        let fields = try running.everything().split(separator: 0, omittingEmptySubsequences: false)
        let texts = fields.map { String(decoding: $0, as: UTF8.self) }
        guard texts.count >= 5, let version = Self.version(texts[0]) else {
            throw CollectorError(.io, "the server does not say what it is")
        }
        var answer = ServerAnswer(version: version, databases: [])
        if texts[1].hasPrefix("/") { answer.dataDirectory = texts[1] }
        if texts[2].hasPrefix("/") { answer.config = Self.folder(texts[2]) }
        for at in stride(from: 0, through: texts.count - 5, by: 5) {
            answer.databases.append(.init(name: texts[at + 3], bytes: Int64(texts[at + 4])))
        }
        return answer
    }

    private static var psql: String {
        let places = releases.map { PostgreSQLPrograms.path(of: "psql", major: $0) }
        return places.first { access($0, X_OK) == 0 } ?? "/usr/bin/psql"
    }

    // MARK: MariaDB

    func mariaDB(socket: String) throws(CollectorError) -> ServerAnswer {
        try first(of: users) { user throws(CollectorError) -> ServerAnswer in
            var source = MariaDBSource(name: "found")
            source.socket = socket
            source.user = user
            let client = MariaDBClient(source: source, patience: Self.patience, isInterrupted: isOver)
            let rows = try client.rows("SELECT VERSION(), HEX(@@datadir)")
            guard let row = rows.first, row.count == 2, let version = Self.version(row[0]) else {
                throw CollectorError(.io, "the server does not say what it is")
            }
            // As digits: a name may hold what separates fields and rows.
            let found = try client.rows(
                """
                SELECT HEX(s.schema_name), SUM(t.data_length + t.index_length) FROM information_schema.schemata s
                LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name
                WHERE s.schema_name NOT IN ('information_schema', 'performance_schema', 'sys')
                GROUP BY s.schema_name ORDER BY s.schema_name
                """)
            var answer = ServerAnswer(version: version, databases: [])
            answer.dataDirectory = Self.text(ofDigits: row[1]).flatMap { $0.hasPrefix("/") ? $0 : nil }
            for row in found where row.count == 2 {
                answer.databases.append(.init(name: Self.text(ofDigits: row[0]) ?? row[0], bytes: Int64(row[1]) ?? 0))
            }
            return answer
        }
    }

    private static func text(ofDigits digits: String) -> String? {
        let digits = Array(digits.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for at in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[at...at + 1], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: -

    /// The number at the beginning of what a server or a file says: `10.11.14` of `10.11.14-MariaDB-0+deb12u2`.
    static func version(_ text: some StringProtocol) -> String? {
        var number = Array(text.utf8).prefix { (0x30...0x39).contains($0) || $0 == 0x2E }
        while number.last == 0x2E { number = number.dropLast() }
        guard let first = number.first, first != 0x2E, number.count <= 32 else { return nil }
        return String(decoding: number, as: UTF8.self)
    }

    private static func folder(_ path: String) -> String {
        let parts = path.split(separator: "/").dropLast()
        return "/" + parts.joined(separator: "/")
    }
}
