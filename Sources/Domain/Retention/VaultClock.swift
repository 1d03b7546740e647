// Vault time: what permission to delete is decided by, because a clock can be set by whoever wants an archive gone.
//
// 1. While a machine runs, vault time advances with the time since boot, which nobody can set; the wall clock is not asked.
// 2. Over a time in which the machine was off it advances with the wall clock, but only as far as an allowance reaches:
//    a week, and then a fifth of the time that the machine has run since.
// 3. A longer gap freezes expiry: vault time goes on from where it was, untrusted, until two persons confirm a time.
// 4. It never goes back, whatever the clocks do; being late only keeps archives longer.

/// Vault time and what it was reckoned from; to be kept between one use and the next.
package struct VaultClock: Sendable, Equatable, Codable {
    /// What the clocks of a machine say at one moment.
    package struct Reading: Sendable, Equatable {
        /// Seconds since 1970, UTC.
        package var wall: Int64
        /// Seconds since the machine was started, also while it slept.
        package var boot: Int64
        /// Names this run of the machine.
        package var bootID: String

        package init(wall: Int64, boot: Int64, bootID: String) {
            self.wall = wall
            self.boot = boot
            self.bootID = bootID
        }
    }

    /// Seconds that may pass while the machine is off, to begin with and at most.
    package static let fullAllowance: Int64 = 7 * 86_400
    /// The part of running time by which the allowance grows again.
    package static let refill: Int64 = 5

    package private(set) var seconds: Int64
    package private(set) var isTrusted = true
    private var wall: Int64
    private var boot: Int64
    private var bootID: String
    private var allowance = VaultClock.fullAllowance
    /// Running time that has not yet made a whole second of allowance.
    private var unspent: Int64 = 0

    /// Begins with the wall clock: nothing older is known.
    package init(_ reading: Reading) {
        seconds = max(0, reading.wall)
        wall = reading.wall
        boot = reading.boot
        bootID = reading.bootID
    }

    package var time: VaultTime { VaultTime(seconds: seconds, isTrusted: isTrusted) }

    /// Takes note of the clocks; to be called at every use, and often while a daemon runs.
    package mutating func advance(to reading: Reading) {
        defer {
            wall = reading.wall
            boot = reading.boot
            bootID = reading.bootID
        }
        if reading.bootID == bootID {
            // One that is older than what is known comes from another process that was slower, or from a snapshot: late is safe.
            run(for: max(0, reading.boot.subtractingClamped(boot)))
            return
        }
        // Started again: what lies between is the time it was off, and the time since it was started.
        let since = max(0, reading.boot)
        let gap = max(0, reading.wall.subtractingClamped(wall).subtractingClamped(since))
        if gap <= allowance {
            allowance -= gap
            seconds = seconds.addingClamped(gap)
        } else {
            isTrusted = false
        }
        run(for: since)
    }

    private mutating func run(for elapsed: Int64) {
        seconds = seconds.addingClamped(elapsed)
        let earned = unspent.addingClamped(elapsed)
        allowance = min(Self.fullAllowance, allowance.addingClamped(earned / Self.refill))
        unspent = earned % Self.refill
    }

    /// Sets the time that two persons vouch for; an earlier one than reckoned only makes it trusted again.
    package mutating func confirm(_ vouched: Int64, at reading: Reading) {
        advance(to: reading)
        seconds = max(seconds, vouched)
        isTrusted = true
        allowance = Self.fullAllowance
    }
}
