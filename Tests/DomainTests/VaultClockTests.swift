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

@Suite("Confirmations of vault time")
struct ClockRequestTests {
    private static let start: Int64 = 1_800_000_000
    private static let day: Int64 = 86_400

    private func reading(_ wall: Int64, _ boot: Int64, _ id: String = "b") -> VaultClock.Reading {
        VaultClock.Reading(wall: wall, boot: boot, bootID: id)
    }

    /// Frozen in the boot `b`, 50 seconds after its start.
    private func frozen() -> VaultClock {
        var clock = VaultClock(reading(Self.start, 1000, "a"))
        clock.advance(to: reading(Self.start + 3650 * Self.day, 50))
        return clock
    }

    private func request(_ clock: VaultClock, at moment: VaultClock.Reading, _ proposed: Int64? = nil) -> ClockRequest {
        ClockRequest(
            reading: moment, frozen: clock.seconds, proposed: proposed ?? moment.wall, author: "aysel", reason: "moved")
    }

    @Test("It counts from the moment that it names, whatever the wall clock says meanwhile, and only once")
    func once() throws {
        var clock = frozen()
        let asked = request(clock, at: reading(Self.start + 3650 * Self.day, 50))
        clock.advance(to: reading(0, 350))
        try clock.confirm(asked, at: reading(0, 650))
        #expect(clock.time == VaultTime(seconds: Self.start + 3650 * Self.day + 600))
        #expect(throws: ClockRequest.Refusal.trusted) { try clock.confirm(asked, at: reading(0, 700)) }
        #expect(clock.seconds == Self.start + 3650 * Self.day + 650)
    }

    @Test("A confirmation of another boot, of another freeze, or of yesterday counts for nothing")
    func stale() throws {
        let moment = reading(Self.start + 3650 * Self.day, 50)
        var clock = frozen()
        let asked = request(clock, at: moment)
        var later = clock
        later.advance(to: reading(Self.start + 3650 * Self.day, 30, "c"))
        #expect(throws: ClockRequest.Refusal.otherBoot) {
            try later.confirm(asked, at: reading(Self.start, 60, "c"))
        }
        #expect(throws: ClockRequest.Refusal.old) {
            try clock.confirm(asked, at: reading(Self.start, 51 + ClockRequest.validSeconds))
        }
        #expect(!clock.isTrusted)
        var other = frozen()
        var wrong = request(other, at: moment)
        wrong.frozen += 1
        #expect(throws: ClockRequest.Refusal.otherFreeze) { try other.confirm(wrong, at: reading(0, 60)) }
        var future = request(other, at: reading(0, 100))
        future.frozen = other.seconds
        #expect(throws: ClockRequest.Refusal.otherBoot) { try other.confirm(future, at: reading(0, 70)) }
    }

    @Test("An earlier time than the frozen one only makes it trusted")
    func earlier() throws {
        var clock = frozen()
        let before = clock.seconds
        let asked = request(clock, at: reading(Self.start, 50), Self.start - 100 * Self.day)
        #expect(asked.day == CivilDay(secondsSince1970: before))
        try clock.confirm(asked, at: reading(Self.start, 60))
        #expect(clock.time == VaultTime(seconds: before + 10))
    }

    @Test("Every field is signed")
    func fields() {
        let clock = frozen()
        let asked = request(clock, at: reading(Self.start, 50))
        var seen: Set<[UInt8]> = [asked.canonicalBytes]
        let changes: [(inout ClockRequest) -> Void] = [
            { $0.reading.bootID = "c" }, { $0.reading.boot += 1 }, { $0.reading.wall += 1 }, { $0.frozen += 1 },
            { $0.proposed += 1 }, { $0.author = "ayselm" }, { $0.reason = "oved" },
        ]
        for change in changes {
            var other = asked
            change(&other)
            seen.insert(other.canonicalBytes)
        }
        #expect(seen.count == changes.count + 1)
        let digest = Digest.zero
        #expect(
            Authorship.canonicalBytes(request: digest, author: "aysel")
                != Approval.canonicalBytes(request: digest, person: "aysel"))
    }

    @Test("A reading that is older than what is known does not count the time since boot again")
    func olderReading() {
        var clock = VaultClock(reading(Self.start, 100_000))
        clock.advance(to: reading(Self.start, 100_010))
        clock.advance(to: reading(Self.start, 100_009))
        #expect(clock.time == VaultTime(seconds: Self.start + 10))
    }
}
