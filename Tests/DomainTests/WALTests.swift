import Domain
import Testing

@Suite("Names, pages and gaps of WAL")
struct WALTests {
    private let size = WALSegmentSize.usual

    private func segments(_ timeline: UInt32, _ range: ClosedRange<UInt64>) -> [WALSegment] {
        range.map { WALSegment(timeline: timeline, number: $0) }
    }

    @Test("Names of PostgreSQL are read and written alike")
    func names() throws {
        for text in [
            "000000010000000000000003", "0000000A000000010000001F", "000000020000000000000004.partial",
            "000000010000000000000002.00000028.backup", "00000002.history",
        ] {
            #expect(WALFileName(text)?.text == text, "\(text)")
        }
        let name = try #require(WALFileName("000000010000000100000003"))
        #expect(name.segment(size) == WALSegment(timeline: 1, number: 0x103))
        #expect(WALSegment(timeline: 1, number: 0x103).name(size) == name.text)
        // 64 segments of 64 MiB make one of the upper part.
        let large = try #require(WALSegmentSize(64 << 20))
        #expect(name.segment(large) == WALSegment(timeline: 1, number: 64 + 3))
        #expect(WALFileName("0000000100000000000000FF")?.segment(large) == nil)
        #expect(WALFileName("00000002.history")?.segment(size) == nil)
    }

    @Test(
        "Nothing else is a name, and above all no path",
        arguments: [
            "", "x", "00000001", "00000000.history", "00000001000000000000000", "0000000100000000000000033",
            "00000001000000000000000g", "00000001000000000000000a", "../00000001.history", "00000001.history/",
            "000000010000000000000003.gz", "000000010000000000000003.0000028.backup", "000000000000000000000003",
            "000000010000000000000003.PARTIAL",
        ])
    func noNames(text: String) { #expect(WALFileName(text) == nil) }

    private func page(
        magic: UInt16 = 0xD110, info: UInt16 = 2, timeline: UInt32 = 1, address: UInt64 = 3 << 24,
        system: UInt64 = 7, segment: UInt32 = 16 << 20
    ) -> [UInt8] {
        func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        return bytes(UInt64(magic), 2) + bytes(UInt64(info), 2) + bytes(UInt64(timeline), 4) + bytes(address, 8)
            + bytes(0, 8) + bytes(system, 8) + bytes(UInt64(segment), 4) + bytes(8192, 4)
    }

    @Test("The first page says to which cluster and place a segment belongs")
    func pages() throws {
        let name = try #require(WALFileName("000000010000000000000003"))
        let header = try WALPageHeader(page())
        #expect(header.systemID == 7 && header.majorVersion == 15 && header.address == LSN(3 << 24))
        #expect(header.objection(to: name, size: 16 << 20) == nil)
        #expect(header.objection(to: name, size: (16 << 20) - 1) != nil)
        for wrong in [
            page(timeline: 2), page(timeline: 0), page(address: 4 << 24), page(system: 0), page(segment: 32 << 20),
        ] {
            #expect(try WALPageHeader(wrong).objection(to: name, size: 16 << 20) != nil)
        }
        // Where a timeline begins, the page may still be of the older one.
        let newer = try #require(WALFileName("000000020000000000000003"))
        #expect(header.objection(to: newer, size: 16 << 20) == nil)
        for wrong in [page(magic: 0xD10D), page(info: 0), page(segment: 3 << 20), Array(page().dropLast())] {
            #expect(throws: WALPageHeader.Failure.self) { try WALPageHeader(wrong) }
        }
    }

    @Test("A history says where each timeline was left, and nonsense is none")
    func histories() throws {
        let text = "1\t0/3000158\tno recovery target specified\n\n2\t0/5000000\tbefore 2026-11-23\n"
        let history = try #require(WALTimelineHistory(timeline: 3, text: text))
        #expect(history.switches.map(\.timeline) == [1, 2])
        #expect(history.timeline(of: 2, size) == 1)
        // The segment in which it was left is the newer one's.
        #expect(history.timeline(of: 3, size) == 2 && history.timeline(of: 5, size) == 3)
        #expect(history.end(of: 2) == LSN(0x500_0000) && history.end(of: 9) == nil)
        for wrong in ["", "x 0/1", "1 zero", "2 0/1\n1 0/2", "1 0/2\n2 0/1", "3 0/1"] {
            #expect(WALTimelineHistory(timeline: 3, text: wrong) == nil, "\(wrong)")
        }
    }

    @Test("Gaps are what is missing between, in whatever order segments come; the seed is printed")
    func gaps() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = Generator(state: seed)
        for _ in 0..<200 {
            let there = Set((0..<40).filter { _ in Bool.random(using: &generator) }.map(UInt64.init))
            var coverage = WALCoverage(size)
            for number in there.shuffled(using: &generator) { coverage.insert(WALSegment(timeline: 1, number: number)) }
            let missing = coverage.gaps.flatMap { gap in (0..<gap.count).map { gap.first.number + $0 } }
            let expected = (there.min() ?? 0)...(there.max() ?? 0)
            #expect(
                Set(missing) == Set(expected).subtracting(there).subtracting(there.isEmpty ? [0] : []), "seed \(seed)")
            for number in UInt64(0)..<40 {
                #expect(
                    coverage.contains(WALSegment(timeline: 1, number: number)) == there.contains(number), "seed \(seed)"
                )
            }
        }
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
    }

    @Test("Segments that are missing where a timeline begins are a gap")
    func gapAtSwitch() {
        var coverage = WALCoverage(size)
        for one in segments(1, 1...3) + segments(2, 6...7) { coverage.insert(one) }
        coverage.insert(WALTimelineHistory(timeline: 2, switches: [.init(timeline: 1, position: LSN(5 << 24 | 0x100))]))
        #expect(
            coverage.gaps == [
                .init(first: WALSegment(timeline: 1, number: 4), count: 1),
                .init(first: WALSegment(timeline: 2, number: 5), count: 1),
            ])
    }

    // MARK: How far a recovery gets

    private func base() -> RecoveryBase {
        RecoveryBase(
            systemID: 7, timeline: 1, start: LSN(2 << 24 | 0x28), stop: LSN(3 << 24 | 0x100), segmentSize: size)
    }

    @Test("A target behind a gap is refused, and one before it is not")
    func reach() throws {
        var coverage = WALCoverage(size)
        for one in segments(1, 2...5) + segments(1, 8...9) { coverage.insert(one) }
        let reach = try WALReach(base(), in: coverage)
        #expect(reach.route == segments(1, 2...5) && reach.end == LSN(6 << 24))
        let gap = WALCoverage.Gap(first: WALSegment(timeline: 1, number: 6), count: 2)
        #expect(reach.gap == gap)
        #expect(throws: WALReach.Refusal.gap(gap)) { _ = try reach.check(.latest, written: 100) }
        #expect(throws: WALReach.Refusal.gap(gap)) { _ = try reach.check(.position(LSN(8 << 24)), written: 100) }
        #expect(throws: WALReach.Refusal.gap(gap)) { _ = try reach.check(.time(101, text: ""), written: 100) }
        #expect(throws: WALReach.Refusal.beforeBase) { _ = try reach.check(.position(LSN(1 << 24)), written: 100) }
        #expect(try reach.check(.position(LSN(6 << 24)), written: 100) == false)
        #expect(try reach.check(.time(100, text: ""), written: 100) == false)
        // Nobody knows beforehand where they lie.
        #expect(try reach.check(.name("a"), written: 100) == true)
        #expect(try reach.check(.transaction(9), written: 100) == true)
        #expect(reach.needed(for: .position(LSN(3 << 24 | 0x200))) == segments(1, 2...4))
        #expect(reach.needed(for: .latest) == reach.route)
    }

    @Test("Without a gap the end of the archived WAL is the end, and nothing lies behind it")
    func reachesEnd() throws {
        var coverage = WALCoverage(size)
        for one in segments(1, 2...5) { coverage.insert(one) }
        let reach = try WALReach(base(), in: coverage)
        #expect(reach.gap == nil)
        #expect(try reach.check(.latest, written: nil) == false)
        #expect(throws: WALReach.Refusal.notArchived) { _ = try reach.check(.position(LSN(7 << 24)), written: nil) }
        #expect(try reach.check(.time(1, text: ""), written: nil) == true)
        var short = WALCoverage(size)
        short.insert(WALSegment(timeline: 1, number: 2))
        let missing = WALSegment(timeline: 1, number: 3)
        #expect(throws: WALReach.Refusal.baseIncomplete(missing)) { _ = try WALReach(base(), in: short) }
    }

    @Test("The newest timeline that goes on from the base is followed; one that left before it is none")
    func timelines() throws {
        var coverage = WALCoverage(size)
        for one in segments(1, 2...6) + segments(2, 5...7) + segments(3, 2...9) { coverage.insert(one) }
        coverage.insert(WALTimelineHistory(timeline: 2, switches: [.init(timeline: 1, position: LSN(5 << 24 | 0x100))]))
        // It left before the base ended.
        coverage.insert(WALTimelineHistory(timeline: 3, switches: [.init(timeline: 1, position: LSN(2 << 24 | 0x40))]))
        let reach = try WALReach(base(), in: coverage)
        #expect(reach.timeline == 2)
        #expect(reach.route == segments(1, 2...4) + segments(2, 5...7))
        #expect(reach.gap == nil)
        #expect(try WALReach(base(), in: coverage, timeline: 1).route == segments(1, 2...6))
        #expect(throws: WALReach.Refusal.notDescendant(3)) { _ = try WALReach(base(), in: coverage, timeline: 3) }
        #expect(throws: WALReach.Refusal.notDescendant(9)) { _ = try WALReach(base(), in: coverage, timeline: 9) }
    }

    @Test(
        "A timeline that goes on after another left it is told, and the latest moment is that of the one that is named")
    func forks() throws {
        let left = LSN(5 << 24 | 0x100)
        func coverage(until last: UInt64) -> WALCoverage {
            var made = WALCoverage(size)
            for one in segments(1, 2...last) + segments(2, 5...7) { made.insert(one) }
            made.insert(WALTimelineHistory(timeline: 2, switches: [.init(timeline: 1, position: left)]))
            made.insert(
                WALTimelineHistory(
                    timeline: 3,
                    switches: [.init(timeline: 1, position: left), .init(timeline: 2, position: LSN(9 << 24))]))
            return made
        }
        #expect(coverage(until: 4).forks.isEmpty, "one server after the other")
        #expect(try WALReach(base(), in: coverage(until: 4), timeline: 2).check(.latest, written: nil) == false)

        let both = coverage(until: 6)
        let fork = WALCoverage.Fork(older: WALSegment(timeline: 1, number: 6), newer: 2, position: left)
        #expect(both.forks == [fork])
        let reach = try WALReach(base(), in: both)
        #expect(reach.fork == fork)
        #expect(throws: WALReach.Refusal.fork(fork)) { _ = try reach.check(.latest, written: nil) }
        #expect(try reach.check(.position(LSN(4 << 24)), written: nil) == false)
        for (timeline, end) in [(UInt32(1), UInt64(6)), (2, 7)] {
            let named = try WALReach(base(), in: both, timeline: timeline)
            #expect(try named.check(.latest, written: nil) == false)
            #expect(named.end == size.end(end))
            // What is taken already must be seen, also behind the timeline that is followed.
            #expect(named.histories(in: both) == [2, 3])
        }
        var newer = base()
        newer.timeline = 2
        newer.start = LSN(6 << 24)
        newer.stop = LSN(6 << 24 | 0x100)
        #expect(newer.isBehind(fork) && !base().isBehind(fork))
    }
}
