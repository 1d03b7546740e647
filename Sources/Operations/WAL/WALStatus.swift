import Domain
import Vault

/// How the WAL of this host's sources fares, as the spools tell; no key and no daemon is needed.
package enum WALStatus {
    package struct Gap: Codable, Sendable {
        package var cluster: String
        /// The first segment that is missing, and how many are.
        package var first: String
        package var segments: Int
    }

    /// A timeline that went on although a later one had left it.
    package struct Fork: Codable, Sendable {
        package var cluster: String
        /// The newest segment of the older timeline, the newer timeline, and where that left the older.
        package var newest: String
        package var timeline: UInt32
        package var position: String
    }

    package struct Row: Codable, Sendable {
        package var source: String
        /// The newest segment of each cluster.
        package var newest: [String]
        /// RFC 3339, UTC, like all times here; nil where nothing came yet.
        package var newestTaken: String?
        /// Seconds since then.
        package var lag: Int?
        /// Files that no archive holds yet, their bytes, and the time since which the oldest waits.
        package var waiting: Int
        package var waitingBytes: Int
        package var oldestWaiting: String?
        package var archived: Int
        package var gaps: [Gap]
        package var forks: [Fork]
        /// Files that contradict what was taken.
        package var quarantined: [String]
        /// Files that are gone from the spool and in no archive.
        package var lost: [String]

        package var isSound: Bool { gaps.isEmpty && forks.isEmpty && quarantined.isEmpty && lost.isEmpty }
    }

    package struct List: Codable, Sendable {
        package var sources: [Row]
    }

    /// Names are told up to this many.
    private static let told = 100

    package static func list(source: String?, at workplace: Workplace) throws -> List {
        let known = try StateFile.list("\(workplace.statePath)/wal").filter { Policy.isWellFormed(name: $0) }
        if let source, !known.contains(source) {
            throw OperationError(
                .notFound, "this host has taken no WAL of \(source)",
                hint: known.isEmpty ? "A policy takes it with a source `postgresql-wal`." : "It has of \(known).")
        }
        return List(sources: try known.filter { source == nil || $0 == source }.map { try row($0, workplace) })
    }

    private static func row(_ name: String, _ workplace: Workplace) throws -> Row {
        let spool = try WALSpool.shared(name, under: workplace.statePath)
        let index = try spool.index()
        let clusters = index.coverage.sorted { $0.key < $1.key }
        let gaps = clusters.flatMap { cluster, coverage in
            coverage.gaps.prefix(told).map {
                Gap(
                    cluster: "\(cluster)", first: $0.first.name(coverage.segmentSize), segments: Int(clamping: $0.count)
                )
            }
        }
        let forks = clusters.flatMap { cluster, coverage in
            coverage.forks.prefix(told).map {
                Fork(
                    cluster: "\(cluster)", newest: $0.older.name(coverage.segmentSize), timeline: $0.newer,
                    position: "\($0.position)")
            }
        }
        let now = Int64(clamping: WallTime.seconds())
        return Row(
            source: name, newest: clusters.compactMap { $1.newest?.name($1.segmentSize) },
            newestTaken: index.newestTaken.map(TimeText.seconds),
            lag: index.newestTaken.map { Int(clamping: max(0, now - $0)) }, waiting: index.waiting.count,
            waitingBytes: index.waiting.reduce(0) { $0 + (index.records[$1]?.bytes ?? 0) },
            oldestWaiting: index.oldestWaiting.map(TimeText.seconds),
            archived: index.records.values.count { $0.archive != nil }, gaps: gaps,
            forks: forks, quarantined: Array(try spool.quarantined().prefix(told)),
            lost: Array(spool.lost(index).map(\.file.text).sorted().prefix(told)))
    }
}
