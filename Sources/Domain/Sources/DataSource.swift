/// A source that is no tree of files: what a program, a database server or a repository gives when it is asked.
///
/// Its entries stand in the archive below a directory of its own, `/@KIND/NAME`, whatever their place on the host is.
package enum DataSource: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable, Codable {
        case command, sqlite, git, postgresql
        case wal = "postgresql-wal"
        case mariadb
        case mariadbLogs = "mariadb-logs"
    }

    case command(CommandSource)
    case sqlite(SQLiteSource)
    case git(GitSource)
    case postgresql(PostgreSQLSource)
    case wal(WALSource)
    case mariadb(MariaDBSource)
    /// The binary logs of a server, without a copy of it.
    case mariadbLogs(MariaDBSource)

    package var kind: Kind {
        switch self {
        case .command: .command
        case .sqlite: .sqlite
        case .git: .git
        case .postgresql: .postgresql
        case .wal: .wal
        case .mariadb: .mariadb
        case .mariadbLogs: .mariadbLogs
        }
    }

    /// Well formed as a policy's name; together with the kind it is the source's identity within the policy.
    package var name: String {
        switch self {
        case .command(let source): source.name
        case .sqlite(let source): source.name
        case .git(let source): source.name
        case .postgresql(let source): source.name
        case .wal(let source): source.name
        case .mariadb(let source), .mariadbLogs(let source): source.name
        }
    }

    /// Whether the daemon takes it as it comes, and runs archive what waits.
    package var isStreamed: Bool {
        switch self {
        case .wal: true
        case .mariadbLogs(let source): source.replicaID != nil
        default: false
        }
    }

    /// The path, relative to `/`, below which everything of the source lies in an archive.
    package var root: String { "@\(kind.rawValue)/\(name)" }

    /// Whether a tree of files would get into the place of such sources.
    package static func isTaken(_ path: String) -> Bool {
        let first = path.drop { $0 == "/" }.prefix { $0 != "/" }
        return Kind.allCases.contains { first == "@\($0.rawValue)" }
    }
}

/// The standard output of a program, taken as one file: any dump that a program can write.
package struct CommandSource: Sendable, Equatable {
    package static let usualTimeout = Period.hours(1)
    package static let longestTimeout = Period.days(7)
    package static let maximumArguments = 64

    package var name: String
    /// An absolute path and its arguments; run without a shell.
    package var command: [String]
    /// What the file is called in the archive: a name without `/`.
    package var file: String
    /// After which the program is ended and the source has failed.
    package var timeout: Period
    /// Output that is shorter is a failure, whatever the program says of itself: bytes, at least 1.
    package var minimumBytes: Int64

    package init(
        name: String, command: [String], file: String? = nil, timeout: Period = CommandSource.usualTimeout,
        minimumBytes: Int64 = 1
    ) {
        self.name = name
        self.command = command
        self.file = file ?? name
        self.timeout = timeout
        self.minimumBytes = minimumBytes
    }

    /// Whether `file` can be the name of one file.
    package static func isFileName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && name != "." && name != ".."
            && !name.utf8.contains { $0 == 0x2F || $0 < 0x20 || $0 == 0x7F }
    }
}
