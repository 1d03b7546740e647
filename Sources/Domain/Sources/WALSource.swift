/// The write-ahead log of a PostgreSQL cluster, which comes by itself and waits in a spool of this host.
package struct WALSource: Sendable, Equatable {
    package enum Acknowledgement: String, Sendable, CaseIterable {
        /// When the synced spool has a segment.
        case spool
        /// When a committed archive has it.
        case vault
    }

    package static let usualBatchSegments = 16
    package static let batchSegments = 1...4096
    package static let usualBatchTime = Period.seconds(60)
    package static let longestBatchTime = Period.days(1)

    package var name: String
    /// Who may push and fetch, beside root and the daemon's own user.
    package var user = "postgres"
    package var acknowledge = Acknowledgement.spool
    /// An archive is made when so many segments wait, or when the oldest has waited for the time.
    package var batchSegments = WALSource.usualBatchSegments
    package var batchTime = WALSource.usualBatchTime
    package var incarnation = 1
    /// The replication slot to stream through too; nil for none.
    package var slot: String?
    /// The database in which a heartbeat is written; nil for none.
    package var heartbeat: String?
    /// The directory of the server's socket.
    package var socket = PostgreSQLSource.Connection.usualSocket

    package init(name: String) { self.name = name }

    /// As the server wants it: lower-case letters, digits and underscores, at most 63.
    package static func isSlotName(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count)
            && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
    }
}
