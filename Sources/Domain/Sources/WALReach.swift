/// Where a recovery is to end.
package enum RecoveryTarget: Equatable, Sendable {
    /// The end of all WAL that there is.
    case latest
    /// Seconds since 1970, and the text as PostgreSQL is told it.
    case time(Int64, text: String)
    case position(LSN)
    case transaction(UInt64)
    /// A restore point that somebody made with `pg_create_restore_point`.
    case name(String)
}

/// What a base archive says about itself, as far as recovery needs it.
package struct RecoveryBase: Equatable, Sendable {
    package var systemID: UInt64
    package var timeline: UInt32
    package var start: LSN
    package var stop: LSN
    package var segmentSize: WALSegmentSize

    package init(
        systemID: UInt64, timeline: UInt32, start: LSN, stop: LSN, segmentSize: WALSegmentSize
    ) {
        self.systemID = systemID
        self.timeline = timeline
        self.start = start
        self.stop = stop
        self.segmentSize = segmentSize
    }

    /// Whether a recovery of it needs nothing of what is missing there.
    package func isBehind(_ gap: WALCoverage.Gap) -> Bool {
        timeline >= gap.first.timeline && segmentSize.number(at: start) >= gap.first.number.addingClamped(gap.count)
    }

    /// Whether it chose between the two: it was made on the newer, or on the older behind the place where that was left.
    package func isBehind(_ fork: WALCoverage.Fork) -> Bool {
        timeline >= fork.newer
            || timeline == fork.older.timeline && segmentSize.number(at: start) > segmentSize.number(at: fork.position)
    }

    /// Nil where the facts are no whole base archive of a cluster.
    package init?(_ facts: SourceFacts) {
        guard facts.kind == "postgresql", facts.isWhole,
            let systemID = facts.facts["system-identifier"].flatMap({ UInt64($0) }),
            let timeline = facts.facts["timeline"].flatMap({ UInt32($0) }), timeline > 0,
            let start = facts.facts["start-lsn"].flatMap({ LSN($0) }),
            let stop = facts.facts["stop-lsn"].flatMap({ LSN($0) }), stop >= start,
            let size = facts.facts["wal-segment-bytes"].flatMap({ UInt64($0) }).flatMap({ WALSegmentSize($0) })
        else { return nil }
        self.init(systemID: systemID, timeline: timeline, start: start, stop: stop, segmentSize: size)
    }
}

/// How far a recovery of one base archive gets with the segments that there are, along one line of timelines.
package struct WALReach: Equatable, Sendable {
    package let base: RecoveryBase
    package let timeline: UInt32
    /// The segments of the contiguous part, in order, from that of the base's start.
    package private(set) var route: [WALSegment] = []
    /// What is missing behind the contiguous part, when there is something behind that; nil when it is simply the end.
    package private(set) var gap: WALCoverage.Gap?
    /// Another way on from the base, when nobody said which timeline is meant.
    package private(set) var fork: WALCoverage.Fork?

    package enum Refusal: Error, Equatable, Sendable {
        /// The timeline does not go on from the base.
        case notDescendant(UInt32)
        /// The base itself cannot become consistent: the segment that is missing.
        case baseIncomplete(WALSegment)
        /// The latest moment of which of two timelines is meant was not said.
        case fork(WALCoverage.Fork)
        /// The target lies behind the gap, or nobody knows that it does not.
        case gap(WALCoverage.Gap)
        /// All there is ends before the target.
        case notArchived
        /// The base was not consistent yet at the target.
        case beforeBase
    }

    /// `timeline` nil: the newest that goes on from the base and has its history here.
    package init(_ base: RecoveryBase, in coverage: WALCoverage, timeline: UInt32? = nil) throws(Refusal) {
        let possible = coverage.descendants(of: base.timeline, after: base.stop)
        let wanted = timeline ?? possible.last ?? base.timeline
        guard possible.contains(wanted) else { throw .notDescendant(wanted) }
        self.base = base
        self.timeline = wanted
        let size = base.segmentSize
        if timeline == nil {
            fork = coverage.forks.first {
                possible.contains($0.older.timeline) && possible.contains($0.newer) && !base.isBehind($0)
            }
        }
        let history = coverage.histories[wanted] ?? WALTimelineHistory(timeline: wanted, switches: [])
        var number = size.number(at: base.start)
        var missing: WALSegment?
        while missing == nil {
            let segment = WALSegment(timeline: history.timeline(of: number, size), number: number)
            if coverage.contains(segment) {
                route.append(segment)
                number += 1
            } else {
                missing = segment
            }
        }
        guard let missing else { return }
        guard missing.number > size.number(before: base.stop) else { throw .baseIncomplete(missing) }
        gap = Self.gap(from: missing, history, coverage, size)
    }

    /// Nil when no segment of the line lies behind `missing`.
    private static func gap(
        from missing: WALSegment, _ history: WALTimelineHistory, _ coverage: WALCoverage, _ size: WALSegmentSize
    ) -> WALCoverage.Gap? {
        var next: UInt64?
        for (timeline, ranges) in coverage.intervals {
            for range in ranges where range.upperBound > missing.number {
                var candidate = max(range.lowerBound, missing.number + 1)
                // The part of the timeline that is on this line.
                if timeline == history.timeline {
                    if let last = history.switches.last { candidate = max(candidate, size.number(at: last.position)) }
                } else {
                    guard let end = history.end(of: timeline), candidate < size.number(at: end) else { continue }
                    let begin = history.switches.last { $0.timeline < timeline }
                    if let begin { candidate = max(candidate, size.number(at: begin.position)) }
                }
                guard range.contains(candidate) else { continue }
                if history.timeline(of: candidate, size) == timeline { next = min(next ?? .max, candidate) }
            }
        }
        return next.map { WALCoverage.Gap(first: missing, count: $0 - missing.number) }
    }

    /// The place up to which it is whole.
    package var end: LSN { route.last.map { base.segmentSize.end($0.number) } ?? base.stop }

    /// Refuses a target that the contiguous part does not reach. `written` is when its last segment was written, in seconds
    /// since 1970: no transaction in it was committed later. Returns whether nobody can know before the recovery.
    package func check(_ target: RecoveryTarget, written: Int64?) throws(Refusal) -> Bool {
        switch target {
        case .latest:
            if let gap { throw .gap(gap) }
            if let fork { throw .fork(fork) }
            return false
        case .position(let position):
            guard position >= base.stop else { throw .beforeBase }
            guard position <= end else { throw gap.map { .gap($0) } ?? .notArchived }
            return false
        case .time(let seconds, _):
            guard let written else { return true }
            guard seconds <= written else { throw gap.map { .gap($0) } ?? .notArchived }
            return false
        case .transaction, .name: return gap != nil
        }
    }

    /// What a recovery to the target reads: all of it, but for a place, behind which only the next segment may be asked for.
    package func needed(for target: RecoveryTarget) -> [WALSegment] {
        guard case .position(let position) = target else { return route }
        let last = base.segmentSize.number(at: position) + 1
        return route.filter { $0.number <= last }
    }

    /// The histories that PostgreSQL needs on this line, and those behind it: by them it knows which number is free when it begins
    /// a timeline of its own.
    package func histories(in coverage: WALCoverage) -> [UInt32] { coverage.histories.keys.filter { $0 > 1 }.sorted() }
}
