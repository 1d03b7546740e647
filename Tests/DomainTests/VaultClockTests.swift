import Testing

@testable import Domain

@Suite("Vault time")
struct VaultClockTests {
    private static let start: Int64 = 1_800_000_000
    private static let day: Int64 = 86_400

    private func reading(_ wall: Int64, _ boot: Int64, _ id: String = "a") -> VaultClock.Reading {
        VaultClock.Reading(wall: wall, boot: boot, bootID: id)
    }

    @Test("While a machine runs, a wall clock set ten years on or back changes nothing")
    func setClock() {
        var clock = VaultClock(reading(Self.start, 1000))
        clock.advance(to: reading(Self.start + 3650 * Self.day, 1060))
        #expect(clock.time == VaultTime(seconds: Self.start + 60))
        clock.advance(to: reading(Self.start - 3650 * Self.day, 1120))
        #expect(clock.time == VaultTime(seconds: Self.start + 120))
        // Nor does starting again then: the time it was off is what lies between two readings of the wall clock.
        clock.advance(to: reading(Self.start - 3650 * Self.day + 30, 20, "b"))
        #expect(clock.time == VaultTime(seconds: Self.start + 150))
    }

    @Test("A night off counts, ten years off freeze expiry until two persons confirm")
    func off() {
        var clock = VaultClock(reading(Self.start, 1000))
        clock.advance(to: reading(Self.start + Self.day, 100, "b"))
        #expect(clock.time == VaultTime(seconds: Self.start + Self.day))
        clock.advance(to: reading(Self.start + 3650 * Self.day, 50, "c"))
        #expect(clock.time == VaultTime(seconds: Self.start + Self.day + 50, isTrusted: false))
        clock.advance(to: reading(Self.start + 3650 * Self.day + 10, 60, "c"))
        #expect(!clock.isTrusted && clock.seconds == Self.start + Self.day + 60)
        clock.confirm(Self.start + 3650 * Self.day, at: reading(Self.start + 3650 * Self.day + 20, 70, "c"))
        #expect(clock.time == VaultTime(seconds: Self.start + 3650 * Self.day))
    }

    @Test("Starting again and again does not buy more time than a week and a fifth of what ran")
    func manyStarts() {
        var clock = VaultClock(reading(Self.start, 0))
        var wall = Self.start
        for number in 0..<1000 {
            wall += Self.day
            clock.advance(to: reading(wall, 60, "boot \(number)"))
        }
        #expect(!clock.isTrusted)
        #expect(clock.seconds <= Self.start + VaultClock.fullAllowance + 1000 * 60 * 6 / 5)
    }

    @Test("A machine that is off more than it is on waits for two persons in the end, and is never ahead")
    func office() {
        var clock = VaultClock(reading(Self.start, 0))
        var wall = Self.start
        for day in 0..<365 {
            wall += 14 * 3600
            clock.advance(to: reading(wall, 30, "boot \(day)"))
            #expect(clock.isTrusted || day > 7)
            wall += 10 * 3600 - 30
            clock.advance(to: reading(wall, 10 * 3600, "boot \(day)"))
            #expect(clock.seconds <= wall)
        }
        #expect(!clock.isTrusted)
    }

    @Test("It never goes back and never runs ahead of running time and allowance, whatever the clocks say")
    func random() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the clocks: \(seed)")
        var generator = SplitMix64(state: seed)
        for _ in 0..<200 {
            var clock = VaultClock(reading(Self.start, 0))
            var boot: Int64 = 0
            var ran: Int64 = 0
            var id = 0
            for _ in 0..<200 {
                let before = clock.seconds
                let step = Int64.random(in: 0...40_000, using: &generator)
                if Int.random(in: 0..<5, using: &generator) == 0 {
                    id += 1
                    boot = step
                } else {
                    boot += step
                }
                ran += step
                let odd = [Int64.min, .max, 0, -1].randomElement(using: &generator) ?? 0
                let wall =
                    Bool.random(using: &generator)
                    ? odd : Self.start + Int64.random(in: -9...9, using: &generator) * Self.day
                clock.advance(to: reading(wall, boot, "\(id)"))
                #expect(clock.seconds >= before)
                #expect(clock.seconds <= Self.start + ran + VaultClock.fullAllowance + ran / VaultClock.refill + 1)
            }
        }
    }

    private struct SplitMix64: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
