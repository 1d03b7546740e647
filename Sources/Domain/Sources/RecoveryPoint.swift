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
///
/// Invariants:
/// 1. Positions of one timeline and times never go back; where they would, another server answers, the log is written anew or the
///    clock was set, and what was known before says nothing any more.
/// 2. A place in a log that is written anew is none in what is archived: no beat there counts.
package struct Heartbeats: Sendable, Equatable {
    /// Seconds between two.
    package static let interval = 30
    /// A day of them.
    package static let kept = 2880

    private struct Beat: Sendable, Equatable {
        var systemID: UInt64
        var timeline: UInt32
        var position: LSN
        var time: Int64

        func isOnTimeline(of other: Beat) -> Bool { systemID == other.systemID && timeline == other.timeline }
    }

    private var beats: [Beat] = []
    /// Whether the timeline of the last beat went back: segments that are archived have names of those that will come.
    private var isAnew = false
    /// The time of the first; nil before it.
    package private(set) var since: Int64?

    package init() {}

    /// A beat of `time` was committed, and on storage, before the log of the cluster reached `position` of `timeline`.
    package mutating func add(_ position: LSN, timeline: UInt32, of systemID: UInt64, at time: Int64) {
        let beat = Beat(systemID: systemID, timeline: timeline, position: position, time: time)
        if let last = beats.last {
            let wasAnew = isAnew
            isAnew = beat.isOnTimeline(of: last) && (wasAnew || last.position > position)
            if last.systemID != systemID || last.position > position || last.time > time || wasAnew && !isAnew {
                beats.removeAll()
                since = nil
            }
        }
        since = since ?? time
        if beats.count == Self.kept { beats.removeFirst() }
        beats.append(beat)
    }

    /// The newest of the cluster that is in the log up to `end`, in a segment of its timeline that is held; nil when none of those
    /// known is. The same place of another timeline is another moment.
    package func newest(before end: LSN, of systemID: UInt64, in coverage: WALCoverage) -> Int64? {
        if isAnew { return nil }
        let size = coverage.segmentSize
        return beats.last { beat in
            let segment = WALSegment(timeline: beat.timeline, number: size.number(before: beat.position))
            return beat.systemID == systemID && beat.position <= end && coverage.contains(segment)
        }?.time
    }
}

/// Where a log without timelines was at some times.
///
/// Invariant: positions and times never go back; where they would, another server answers or the clock was set, and what was known
/// before says nothing any more.
package struct LogBeats<Position: Comparable & Sendable>: Sendable, Equatable {
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
        if beats.count == Heartbeats.kept { beats.removeFirst() }
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
