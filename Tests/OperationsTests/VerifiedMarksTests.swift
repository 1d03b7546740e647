import Foundation
import Testing

@testable import Operations

@Suite("When archives were first seen whole")
struct VerifiedMarksTests {
    @Test("A record is as old as the first verification that covered it, whatever followed")
    func first() {
        var marks = VerifiedMarks()
        #expect(marks.time(of: 0) == nil)
        for (record, time) in [(3, 100), (3, 200), (7, 300), (5, 400), (9, 250)] as [(UInt64, Int64)] {
            marks.add(.init(record: record, time: time))
        }
        #expect([0, 3, 4, 7].map { marks.time(of: $0) } == [100, 100, 300, 300])
        // The clock was set back: later, never earlier.
        #expect(marks.time(of: 8) == 300)
        #expect(marks.time(of: 10) == nil)
    }

    @Test("Ten thousand verifications are bounded, and what is forgotten only makes archives count as verified later")
    func bounded() throws {
        var marks = VerifiedMarks()
        for at in 1...10_000 as ClosedRange<Int64> { marks.add(.init(record: UInt64(at), time: at)) }
        #expect(marks.marks.count <= 4096)
        var last: Int64 = 0
        for record in 1...10_000 as ClosedRange<Int64> {
            let time = try #require(marks.time(of: UInt64(record)))
            #expect(time >= record && time >= last)
            last = time
        }
        #expect(last == 10_000)
        #expect(try JSONEncoder().encode(marks).count < 1 << 20)
    }
}
