/// Which segments of one cluster there are, and so which are missing.
///
/// Invariants: intervals of a timeline are sorted, disjoint and never touch; an empty timeline is not kept.
package struct WALCoverage: Equatable, Sendable {
    package struct Gap: Equatable, Sendable {
        package var first: WALSegment
        package var count: UInt64

        package init(first: WALSegment, count: UInt64) {
            self.first = first
            self.count = count
        }
    }

    package let segmentSize: WALSegmentSize
    package private(set) var intervals: [UInt32: [ClosedRange<UInt64>]] = [:]
    package private(set) var histories: [UInt32: WALTimelineHistory] = [:]

    package init(_ segmentSize: WALSegmentSize) { self.segmentSize = segmentSize }

    package mutating func insert(_ segment: WALSegment) {
        insert(timeline: segment.timeline, segment.number...segment.number)
    }

    package mutating func insert(timeline: UInt32, _ range: ClosedRange<UInt64>) {
        var list = intervals[timeline] ?? []
        // Almost always the segment behind the newest.
        if let last = list.last, last.upperBound < .max, range.lowerBound == last.upperBound + 1 {
            list[list.count - 1] = last.lowerBound...range.upperBound
            intervals[timeline] = list
            return
        }
        var made = range
        var others: [ClosedRange<UInt64>] = []
        for one in list {
            let isApart =
                one.upperBound < .max && one.upperBound + 1 < made.lowerBound
                || made.upperBound < .max && made.upperBound + 1 < one.lowerBound
            if isApart {
                others.append(one)
            } else {
                made = min(one.lowerBound, made.lowerBound)...max(one.upperBound, made.upperBound)
            }
        }
        list = others + [made]
        list.sort { $0.lowerBound < $1.lowerBound }
        intervals[timeline] = list
    }

    package mutating func insert(_ history: WALTimelineHistory) { histories[history.timeline] = history }

    /// Everything that the other knows too.
    package mutating func formUnion(_ other: WALCoverage) {
        for (timeline, ranges) in other.intervals { for range in ranges { insert(timeline: timeline, range) } }
        for history in other.histories.values { insert(history) }
    }

    package func contains(_ segment: WALSegment) -> Bool {
        intervals[segment.timeline]?.contains { $0.contains(segment.number) } ?? false
    }

    package var isEmpty: Bool { intervals.isEmpty }

    package func newest(of timeline: UInt32) -> WALSegment? {
        intervals[timeline]?.last.map { WALSegment(timeline: timeline, number: $0.upperBound) }
    }

    /// The newest segment of the newest timeline.
    package var newest: WALSegment? { intervals.keys.max().flatMap { newest(of: $0) } }

    /// Whether the timeline has a segment behind `number`.
    package func hasLater(than number: UInt64, of timeline: UInt32) -> Bool {
        intervals[timeline]?.last.map { $0.upperBound > number } ?? false
    }

    /// What is missing between segments that are there, timeline by timeline.
    package var gaps: [Gap] {
        intervals.sorted { $0.key < $1.key }.flatMap { timeline, list in
            zip(list, list.dropFirst()).map { one, next in
                Gap(
                    first: WALSegment(timeline: timeline, number: one.upperBound + 1),
                    count: next.lowerBound - one.upperBound - 1)
            }
        } + gapsAtSwitches
    }

    /// What is missing where one timeline goes over into another that has segments.
    private var gapsAtSwitches: [Gap] {
        histories.values.sorted { $0.timeline < $1.timeline }.flatMap { history -> [Gap] in
            guard let last = history.switches.last, let first = intervals[history.timeline]?.first?.lowerBound else {
                return []
            }
            let begin = segmentSize.number(at: last.position)
            var found: [Gap] = []
            if let parent = intervals[last.timeline]?.last(where: { $0.lowerBound < begin })?.upperBound,
                parent + 1 < begin
            {
                found.append(
                    Gap(first: WALSegment(timeline: last.timeline, number: parent + 1), count: begin - parent - 1))
            }
            if first > begin {
                found.append(Gap(first: WALSegment(timeline: history.timeline, number: begin), count: first - begin))
            }
            return found
        }
    }

    /// Where a timeline has segments although a later one left it before them: two servers archive here, or one that was left
    /// behind had gone on. A recovery follows one of the two.
    package struct Fork: Equatable, Hashable, Sendable {
        /// The newest segment of the older timeline.
        package var older: WALSegment
        package var newer: UInt32
        /// Where the newer one left the older.
        package var position: LSN

        package init(older: WALSegment, newer: UInt32, position: LSN) {
            self.older = older
            self.newer = newer
            self.position = position
        }
    }

    /// One for each place where a timeline was left that goes on, with the oldest timeline that begins there.
    package var forks: [Fork] {
        var found: [Fork] = []
        for history in histories.values.sorted(by: { $0.timeline < $1.timeline }) {
            for point in history.switches {
                guard let last = newest(of: point.timeline), last.number >= segmentSize.number(at: point.position),
                    !found.contains(where: { $0.older == last && $0.position == point.position })
                else { continue }
                found.append(Fork(older: last, newer: history.timeline, position: point.position))
            }
        }
        return found.sorted { ($0.older.timeline, $0.position) < ($1.older.timeline, $1.position) }
    }

    /// Timelines that go on from a base archive on `timeline` which ended at `stop`, itself among them.
    package func descendants(of timeline: UInt32, after stop: LSN) -> [UInt32] {
        let children = histories.values.filter { history in
            history.end(of: timeline).map { $0 >= stop } ?? false
        }
        return ([timeline] + children.map(\.timeline)).sorted()
    }
}
