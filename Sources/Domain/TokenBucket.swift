/// Holds something to so much a second: bytes that are read, nanoseconds of processor time.
///
/// What was taken is taken: who takes more than there is goes into debt and is told how long to wait until it is paid. So a
/// piece larger than a second's worth needs no splitting, and the average holds whatever the pieces are.
///
/// Pure: time is given in seconds of a clock that never jumps; where it goes back all the same, it counts as standing still.
package struct TokenBucket: Sendable, Equatable {
    /// Above 0.
    package let perSecond: Double
    /// What may be saved up for later while nothing is taken.
    package let burst: Double
    private var available = 0.0
    private var at: Double

    /// Begins empty. `burstSeconds` is 0 or more.
    package init(perSecond: Int64, burstSeconds: Double = 0.1, at now: Double) {
        self.perSecond = Double(max(1, perSecond))
        burst = self.perSecond * max(0, burstSeconds)
        at = now
    }

    /// Takes `amount`, and tells for how many seconds nothing more may be taken.
    package mutating func take(_ amount: Int64, at now: Double) -> Double {
        if now > at {
            available = min(burst, available + (now - at) * perSecond)
            at = now
        }
        available -= Double(max(0, amount))
        return max(0, -available / perSecond)
    }
}
