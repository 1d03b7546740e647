import Foundation
import Testing

@testable import Domain

@Suite("Schedules: jitter and windows")
struct SchedulerScheduleTests {
    private let second: Int64 = 1_000_000

    private func instant(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int64 {
        Int64(WallClock(year: year, month: month, day: day, hour: hour, minute: minute).localSeconds) * second
    }

    private func schedule(_ text: String, jitter: Int = 0, seed: UInt64 = 1, _ windows: String...) throws -> Schedule {
        Schedule(
            try CalendarExpression(parsing: text), jitter: jitter, seed: seed,
            windows: try windows.map { try TimeWindow(parsing: $0) })
    }

    @Test("Jitter is bounded, decided by the seed, spread, and never reaches the next due instant")
    func jitter() throws {
        let hourly = try schedule("hourly", jitter: 1800)
        let wide = try schedule("*:0/10", jitter: 86_400)
        var last = instant(2026, 1, 1)
        var delays: [Int64] = []
        for _ in 0..<500 {
            let due = try #require(hourly.due(after: last, in: .utc))
            let start = hourly.start(ofDue: due, in: .utc)
            #expect(start == (try schedule("hourly", jitter: 1800)).start(ofDue: due, in: .utc))
            #expect(due <= start && start <= due + 1800 * second)
            delays.append(start - due)
            #expect(wide.start(ofDue: due, in: .utc) < due + 600 * second)
            last = due
        }
        #expect(Set(delays).count > 490)
        #expect((delays.min() ?? .max) < 60 * second && (delays.max() ?? 0) > 1740 * second)
        let other = try schedule("hourly", jitter: 1800, seed: 2)
        #expect(other.start(ofDue: last, in: .utc) != hourly.start(ofDue: last, in: .utc))
        #expect(try schedule("hourly").start(ofDue: last, in: .utc) == last)
    }

    @Test("A window opens and closes by the clock, also over midnight, and runs wait for it")
    func windows() throws {
        let nights = try schedule("*-*-* 12:00", "Mon..Fri 22:00..06:00")
        // 2026-05-01 is a Friday: its night ends on Saturday, and the next one begins on Monday.
        #expect(nights.opening(from: instant(2026, 5, 1, 12), in: .utc) == instant(2026, 5, 1, 22))
        #expect(nights.isOpen(at: instant(2026, 5, 2, 5, 59), in: .utc))
        #expect(!nights.isOpen(at: instant(2026, 5, 2, 6), in: .utc))
        #expect(nights.closing(after: instant(2026, 5, 1, 23), in: .utc) == instant(2026, 5, 2, 6))
        #expect(nights.opening(from: instant(2026, 5, 2, 6), in: .utc) == instant(2026, 5, 4, 22))
        #expect(nights.opening(from: instant(2026, 5, 4, 23), in: .utc) == instant(2026, 5, 4, 23))
        let coming = nights.coming(after: instant(2026, 5, 1), in: .utc, count: 3)
        #expect(coming.map(\.due) == [instant(2026, 5, 1, 12), instant(2026, 5, 2, 12), instant(2026, 5, 3, 12)])
        #expect(coming.map(\.start) == [instant(2026, 5, 1, 22), instant(2026, 5, 4, 22), instant(2026, 5, 4, 22)])
        // Windows that touch are one; one that is always open never closes.
        let both = try schedule("daily", "22:00..24:00", "00:00..06:00")
        #expect(both.closing(after: instant(2026, 5, 1, 23), in: .utc) == instant(2026, 5, 2, 6))
        #expect(try schedule("daily", "00:00..24:00").closing(after: instant(2026, 5, 1), in: .utc) == nil)
        #expect(try schedule("daily").closing(after: instant(2026, 5, 1), in: .utc) == nil)
    }

    @Test("Where clocks skip a window it does not open, where they skip its beginning it opens at the change")
    func windowsAndClockChanges() throws {
        let berlin = try Zones.named("Europe/Berlin")
        let within = try schedule("daily", "02:10..02:50")
        #expect(within.opening(from: instant(2026, 3, 28, 12), in: berlin) == instant(2026, 3, 30, 0, 10))
        let across = try schedule("daily", "02:30..04:00")
        #expect(across.opening(from: instant(2026, 3, 28, 12), in: berlin) == instant(2026, 3, 29, 1))
        // Both of the doubled hours.
        #expect(within.opening(from: instant(2026, 10, 24, 12), in: berlin) == instant(2026, 10, 25, 0, 10))
        #expect(within.opening(from: instant(2026, 10, 25, 0, 50), in: berlin) == instant(2026, 10, 25, 1, 10))
    }

    @Test(
        "A window is read from text and written as text",
        arguments: [
            ("22:00..06:00", "22:00..06:00"), ("Mon..Fri 22:00-06:00", "Mon..Fri 22:00..06:00"),
            ("sat,sun 0:00..24:00", "Sat,Sun 00:00..24:00"), ("1:00..0:00", "01:00..24:00"),
            ("Mon..Sun 8:05..8:05", "08:05..08:05"),
        ])
    func windowText(text: String, description: String) throws {
        let window = try TimeWindow(parsing: text)
        #expect(window.description == description)
        #expect(try TimeWindow(parsing: description) == window)
    }

    @Test(
        "A malformed window is refused at its place",
        arguments: [
            ("", 0), ("22:00", 5), ("22..06", 0), ("24:00..06:00", 0), ("22:60..06:00", 0), ("22:00..24:01", 7),
            ("22:00..06:00 Mon", 12), ("Mon 22:00..", 11), ("Fri..Mon 1:00..2:00", 5), ("Mon..Fri", 8),
        ])
    func malformedWindow(text: String, offset: Int) {
        let error = #expect(throws: CalendarError.self) { try TimeWindow(parsing: text) }
        #expect(error?.offset == offset)
    }

    @Test("A schedule is stored, and what was stored beyond its limits is cut to them")
    func stored() throws {
        let made = Schedule(
            try CalendarExpression(parsing: "Mon 3:00"), zoneName: "Asia/Baku", jitter: 600, seed: .max, catchUp: .all,
            windows: [try TimeWindow(parsing: "22:00..06:00")])
        let bytes = try JSONEncoder().encode(made)
        #expect(try JSONDecoder().decode(Schedule.self, from: bytes) == made)
        let damaged = String(decoding: bytes, as: UTF8.self).replacingOccurrences(
            of: "600", with: "9000000000000000000")
        let cut = try JSONDecoder().decode(Schedule.self, from: Data(damaged.utf8))
        #expect(cut.jitter == Schedule.maximumJitter)
        #expect(made.effectiveZoneName == "Asia/Baku")
        #expect(try schedule("daily").effectiveZoneName == "UTC")
    }
}
