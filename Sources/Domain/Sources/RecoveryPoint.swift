/// Up to which moment a data source could be brought back from one of the places that hold it.
package struct RecoveryPoint: Sendable, Equatable {
    package enum Place: String, Sendable, CaseIterable, Codable {
        /// Synced on this host, and in no archive yet.
        case spool
        case vault
    }

    package var kind: DataSource.Kind
    package var name: String
    package var place: Place
    /// Seconds since 1970; nil where nothing is held.
    package var time: Int64?
    /// Since when the age of the moment is what a disaster would lose, in seconds since 1970. Nil for a log without a heartbeat:
    /// nothing tells one that does not come from one of a server that has nothing to write.
    package var measuredSince: Int64?

    package init(_ kind: DataSource.Kind, _ name: String, in place: Place, time: Int64?, measuredSince: Int64?) {
        self.kind = kind
        self.name = name
        self.place = place
        self.time = time
        self.measuredSince = measuredSince
    }

    /// Whether more than `limit` seconds would be lost; false where that is not known.
    package func isOlder(than limit: Int64, at now: Int64) -> Bool {
        guard let measuredSince else { return false }
        return now.subtractingClamped(max(time ?? measuredSince, measuredSince)) > limit
    }
}

/// When a heartbeat was written into a cluster, and where its log was then.
package typealias Heartbeats = LogBeats<LSN>

/// Where the log of a server was at some times.
///
/// Invariant: positions and times never go back; where they would, another server answers or the clock was set, and what was known
/// before says nothing any more.
package struct LogBeats<Position: Comparable & Sendable>: Sendable, Equatable {
    /// Seconds between two that are written.
    package static var interval: Int { 30 }
    /// A day of those.
    package static var kept: Int { 2880 }

    private struct Beat: Sendable, Equatable {
        var position: Position
        var time: Int64
    }

    private var beats: [Beat] = []
    /// The time of the first; nil before it.
    package private(set) var since: Int64?

    package init() {}

    /// A beat of `time` was committed before the log reached `position`.
    package mutating func add(_ position: Position, at time: Int64) {
        if let last = beats.last, last.position > position || last.time > time {
            beats.removeAll()
            since = nil
        }
        since = since ?? time
        if beats.count == Self.kept { beats.removeFirst() }
        beats.append(Beat(position: position, time: time))
    }

    /// The newest that is in the log up to `end`; nil when none of those known is.
    package func newest(before end: Position) -> Int64? { beats.last { $0.position <= end }?.time }
}

extension WALCoverage {
    /// Where what is there ends, or what is missing in it begins, but for gaps that are passed; nil when nothing is there.
    package func wholeUntil(passing isPassed: (Gap) -> Bool = { _ in false }) -> LSN? {
        guard let newest else { return nil }
        return gaps.filter { !isPassed($0) }.map(\.first.number).min().map(segmentSize.start)
            ?? segmentSize.end(newest.number)
    }
}
