/// A MariaDB server, of which each run takes a full copy while it works.
package struct MariaDBSource: Sendable, Equatable {
    package static let usualTimeout = Period.hours(12)
    package static let longestTimeout = Period.days(7)
    package static let replicaIDs = 1...Int(UInt32.max)

    /// Where packages put the data of a server; which one it is only the server itself knows.
    package static let usualDataDirectory = "/var/lib/mysql"
    /// Where its programs look for the server when nobody says where.
    package static let usualSocket = "/run/mysqld/mysqld.sock"

    package var name: String
    /// Where the local server listens.
    package var socket: String?
    /// Who asks; nil leaves it to the defaults file or to the account of this process.
    package var user: String?
    /// A file of options in the server's own form, where a password stands: it is read by the server's programs alone.
    package var defaultsFile: String?
    /// Files and directories outside of the data directory that belong to the server.
    package var config: [String] = []
    /// Whether the binary logs that the server has are archived too.
    package var binaryLogs = false
    /// As which replica the logs are streamed all the time; nil where they are archived by runs that look at the server. No other
    /// replica of the server may have the number.
    package var replicaID: UInt32?
    /// Of logs that are streamed: an archive is made when something has waited so long.
    package var batchTime = WALSource.usualBatchTime
    package var timeout = MariaDBSource.usualTimeout
    /// Asked right before the copy begins; what is counted there is in the copy at least.
    package var witnesses: [WitnessQuery] = []

    package init(name: String) { self.name = name }
}
