import Testing

@testable import Domain

@Suite("Holding to so much a second")
struct TokenBucketTests {
    /// Takes pieces one behind the other, waiting as told; returns the seconds it took.
    private func run(_ bucket: inout TokenBucket, _ pieces: [Int64], from start: Double = 0) -> Double {
        var now = start
        for piece in pieces { now += bucket.take(piece, at: now) }
        return now - start
    }

    @Test("The average holds whatever the size of the pieces is", arguments: [1, 1000, 4096, 3_000_000, 12_000_000])
    func average(piece: Int64) {
        var bucket = TokenBucket(perSecond: 4_000_000, at: 0)
        let total: Int64 = 12_000_000
        let count = min(Int(total / piece), 3000)
        let taken = run(&bucket, Array(repeating: piece, count: count))
        let expected = Double(piece) * Double(count) / 4_000_000
        #expect(abs(taken - expected) < 1e-6 * Double(count))
    }

    @Test("After a rest no more than the burst may be taken without waiting")
    func burst() {
        var bucket = TokenBucket(perSecond: 1000, burstSeconds: 0.5, at: 100)
        #expect(bucket.take(0, at: 5000) == 0)
        #expect(bucket.take(500, at: 5000) == 0)
        #expect(abs(bucket.take(250, at: 5000) - 0.25) < 1e-9)
        #expect(bucket.take(0, at: 5000.25) < 1e-9)
    }

    @Test("Several who take share one debt, and a clock that goes back gives nothing")
    func shared() {
        var bucket = TokenBucket(perSecond: 100, burstSeconds: 0, at: 10)
        #expect(bucket.take(50, at: 10) == 0.5)
        #expect(bucket.take(50, at: 10) == 1)
        #expect(bucket.take(0, at: 9) == 1)
        #expect(bucket.take(-5, at: 10.5) == 0.5)
        #expect(bucket.take(0, at: 11) == 0)
    }

    @Test("A rate of nothing counts as one a second")
    func least() {
        var bucket = TokenBucket(perSecond: 0, burstSeconds: -1, at: 0)
        #expect(bucket.take(2, at: 0) == 2)
    }
}
