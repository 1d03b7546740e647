import Domain
import Testing

@Suite("Recovery points and heartbeats")
struct RecoveryPointTests {
    private let size = WALSegmentSize.usual

    /// All of the first two segments of a timeline, which hold every position of these tests.
    private func held(_ timeline: UInt32 = 1) -> WALCoverage {
        var coverage = WALCoverage(size)
        coverage.insert(timeline: timeline, 0...1)
        return coverage
    }

    private func newest(_ beats: Heartbeats, before end: UInt64 = .max, in coverage: WALCoverage? = nil) -> Int64? {
        beats.newest(before: LSN(end), of: 7, in: coverage ?? held())
    }

    @Test("The newest beat that lies wholly in what is held counts, and none that does not")
    func beats() {
        var beats = Heartbeats()
        #expect(newest(beats) == nil && beats.since == nil)
        for (position, time) in [(100, 1000), (200, 1030), (200, 1060), (900, 1090)] as [(UInt64, Int64)] {
            beats.add(LSN(position), timeline: 1, of: 7, at: time)
        }
        #expect(newest(beats, before: 99) == nil)
        #expect(newest(beats, before: 100) == 1000)
        #expect(newest(beats, before: 899) == 1060)
        #expect(newest(beats, before: 900) == 1090 && beats.since == 1000)
    }

    @Test("After the clock was set back, and of another cluster, what was known before says nothing")
    func backwards() {
        var beats = Heartbeats()
        beats.add(LSN(100), timeline: 1, of: 7, at: 1000)
        beats.add(LSN(200), timeline: 1, of: 7, at: 900)
        #expect(newest(beats) == 900 && beats.since == 900)
        beats.add(LSN(300), timeline: 1, of: 8, at: 930)
        #expect(newest(beats) == nil && beats.since == 930)
        #expect(beats.newest(before: LSN(.max), of: 8, in: held()) == 930)
    }

    @Test("A beat of another timeline does not count by what the first one archived at its place")
    func timelines() {
        var beats = Heartbeats()
        beats.add(LSN(900), timeline: 1, of: 7, at: 1000)
        beats.add(LSN(100), timeline: 2, of: 7, at: 1030)
        #expect(newest(beats) == nil && beats.since == 1030)
        var both = held()
        both.insert(timeline: 2, 0...0)
        #expect(newest(beats, in: both) == 1030)
        // A standby that took over goes on where the first one was: what that had beaten stays known.
        beats.add(LSN(200), timeline: 3, of: 7, at: 1060)
        #expect(newest(beats, in: both) == 1030)
        both.insert(timeline: 3, 0...0)
        #expect(newest(beats, in: both) == 1060)
    }

    @Test("Where a timeline is written anew no beat counts, as long as it goes on")
    func anew() {
        var beats = Heartbeats()
        beats.add(LSN(900), timeline: 1, of: 7, at: 1000)
        for (position, time) in [(100, 1030), (950, 1060)] as [(UInt64, Int64)] {
            beats.add(LSN(position), timeline: 1, of: 7, at: time)
            #expect(newest(beats) == nil && beats.since == 1030)
        }
        beats.add(LSN(950), timeline: 2, of: 7, at: 1090)
        #expect(newest(beats, in: held(2)) == 1090 && newest(beats) == nil)
    }

    @Test("A day of beats is kept, and since when they come stays known")
    func bounded() {
        var beats = Heartbeats()
        for number in 0..<Int64(Heartbeats.kept + 10) {
            beats.add(LSN(UInt64(number)), timeline: 1, of: 7, at: number)
        }
        #expect(newest(beats, before: 9) == nil && newest(beats, before: 10) == 10)
        #expect(beats.since == 0)
    }

    @Test("A log is whole up to its end or to the first thing that is missing in it")
    func whole() {
        var coverage = WALCoverage(size)
        #expect(coverage.wholeUntil() == nil)
        coverage.insert(timeline: 1, 3...5)
        #expect(coverage.wholeUntil() == LSN(6 << 24))
        coverage.insert(timeline: 1, 8...9)
        #expect(coverage.wholeUntil() == LSN(6 << 24))
        coverage.insert(timeline: 1, 6...7)
        #expect(coverage.wholeUntil() == LSN(10 << 24))
    }

    @Test("What is measured is too old when its age, or the wait for its first beat, is beyond the limit")
    func older() {
        func point(_ time: Int64?, since: Int64?) -> RecoveryPoint {
            RecoveryPoint(.wal, "main", in: .vault, time: time, measuredSince: since)
        }
        #expect(point(1000, since: 500).isOlder(than: 60, at: 1061))
        #expect(!point(1000, since: 500).isOlder(than: 60, at: 1060))
        // Before the first beat is archived nothing says that anything would be lost.
        #expect(
            !point(10, since: 1000).isOlder(than: 60, at: 1060) && point(10, since: 1000).isOlder(than: 60, at: 1061))
        #expect(
            !point(nil, since: 1000).isOlder(than: 60, at: 1060) && point(nil, since: 1000).isOlder(than: 60, at: 1061))
        #expect(!point(10, since: nil).isOlder(than: 60, at: .max))
    }
}
