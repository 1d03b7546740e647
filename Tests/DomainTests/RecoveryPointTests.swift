import Domain
import Testing

@Suite("Recovery points and heartbeats")
struct RecoveryPointTests {
    private let size = WALSegmentSize.usual

    @Test("The newest beat that lies wholly in what is held counts, and none that does not")
    func beats() {
        var beats = Heartbeats()
        #expect(beats.newest(before: LSN(.max)) == nil && beats.since == nil)
        for (position, time) in [(100, 1000), (200, 1030), (200, 1060), (900, 1090)] as [(UInt64, Int64)] {
            beats.add(LSN(position), at: time)
        }
        #expect(beats.newest(before: LSN(99)) == nil)
        #expect(beats.newest(before: LSN(100)) == 1000)
        #expect(beats.newest(before: LSN(899)) == 1060)
        #expect(beats.newest(before: LSN(900)) == 1090 && beats.since == 1000)
    }

    @Test("A log that goes back is another one, and so is what is known of it after the clock was set back")
    func backwards() {
        for (position, time) in [(50, 1030), (200, 900)] as [(UInt64, Int64)] {
            var beats = Heartbeats()
            beats.add(LSN(100), at: 1000)
            beats.add(LSN(position), at: time)
            #expect(beats.newest(before: LSN(.max)) == time && beats.since == time)
        }
    }

    @Test("A day of beats is kept, and since when they come stays known")
    func bounded() {
        var beats = Heartbeats()
        for number in 0..<Int64(Heartbeats.kept + 10) { beats.add(LSN(UInt64(number)), at: number) }
        #expect(beats.newest(before: LSN(9)) == nil && beats.newest(before: LSN(10)) == 10)
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
