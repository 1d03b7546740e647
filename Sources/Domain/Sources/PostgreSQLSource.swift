/// A PostgreSQL cluster: all its databases, with what is needed to start it again.
package struct PostgreSQLSource: Sendable, Equatable {
    package enum Mode: String, Sendable, CaseIterable {
        /// The data directory is read on this host while the server runs.
        case local
        /// `pg_basebackup` brings it.
        case remote
        /// Dumps of each database, which a newer version can load.
        case logical
    }

    /// How to reach the server. It holds no secret: a password is in the file that ``passfile`` names, or there is none.
    package struct Connection: Sendable, Equatable {
        package static let usualSocket = "/var/run/postgresql"
        package static let ports = 1...65_535

        /// The directory of the server's socket, or its name or address.
        package var host: String
        package var port: Int
        package var user: String
        package var database: String
        package var passfile: String?

        package init(
            host: String = Connection.usualSocket, port: Int = 5432, user: String = "postgres",
            database: String = "postgres", passfile: String? = nil
        ) {
            self.host = host
            self.port = port
            self.user = user
            self.database = database
            self.passfile = passfile
        }
    }

    /// Names of its parts below the root, in the order in which they are read.
    package enum Part {
        package static let config = "0-config"
        package static let globals = "0-globals.sql"
        package static let schema = "0-schema.sql"
        package static let data = "1-data"
        package static let tablespaces = "2-tablespaces"
        package static let control = "3-control"
        package static let label = "4-label"
        package static let wal = "5-wal"
        package static let dumps = "dump"
    }

    package var name: String
    package var mode: Mode
    /// Absolute; with ``Mode/local`` always there.
    package var dataDirectory: String?
    package var connection: Connection
    /// Files and directories outside of the data directory that belong to the cluster.
    package var config: [String] = []
    /// Where the server's programs are; nil for where packages put those of its version.
    package var programs: String?
    package var witnesses: [WitnessQuery] = []

    package init(name: String, mode: Mode = .local, dataDirectory: String?, connection: Connection = Connection()) {
        self.name = name
        self.mode = mode
        self.dataDirectory = dataDirectory
        self.connection = connection
    }
}
