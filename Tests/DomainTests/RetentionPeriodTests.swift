import Foundation
import Testing

@testable import Domain

@Suite("Periods of retention")
struct RetentionPeriodTests {
    @Test(
        "Both languages and ISO 8601 spell the same periods",
        arguments: [
            ("7 years", 84, 0), ("6 months", 6, 0), ("30 days", 0, 2_592_000), ("12 hours", 0, 43_200),
            ("7 il", 84, 0), ("6 ay", 6, 0), ("30 gün", 0, 2_592_000), ("12 saat", 0, 43_200),
            ("2 həftə", 0, 1_209_600),
            ("P7Y6M", 90, 0), ("p7y6m", 90, 0), ("PT12H", 0, 43_200), ("P1M2W3DT4H5M6S", 1, 1_483_506), ("P0D", 0, 0),
            ("1 year 6 months", 18, 0), ("6 months 1 year", 18, 0), ("1il6ay", 18, 0), ("30d", 0, 2_592_000),
            ("  1 Year\t", 12, 0), ("7 İL", 84, 0), ("3 GÜN", 0, 259_200), ("5 min", 0, 300), ("5 dəq 1 san", 0, 301),
            ("10000 years", 120_000, 0), ("0 days", 0, 0),
        ] as [(String, Int, Int64)])
    func spellings(text: String, months: Int, seconds: Int64) throws {
        let period = try Period(parsing: text)
        #expect(period.months == months)
        #expect(period.seconds == seconds)
    }

    @Test(
        "What is not a period is refused with its place and what to write",
        arguments: [
            ("", nil, "7 years"), ("   ", nil, "7 years"), ("years", 0, "7 years"), ("7", 0, "Units"),
            ("7 yeers", 2, "`years`"), ("30 gun", 3, "`gün`"), ("3 m", 2, "months"), ("1 year 2 years", 7, "once"),
            ("1.5 years", 0, "18 months"), ("-3 days", 0, "7 years"), ("3 days and", 7, "7 years"),
            ("10001 years", 0, "forever"), ("99999999999999999999 days", 0, "forever"), ("P", 1, "P7Y6M"),
            ("P7", 2, "P7Y6M"), ("PT", 2, "P7Y6M"), ("P1D2Y", 4, "P7Y6M"), ("P1H", 2, "P7Y6M"), ("PT1H2", 5, "P7Y6M"),
            ("3 fortnights of days", 2, "Units"), (" P1X", 3, "P7Y6M"), ("10000 years 1 month", 12, "forever"),
        ] as [(String, Int?, String)])
    func refusals(text: String, position: Int?, hint: String) throws {
        let error = try #require(throws: RetentionError.self) { try Period(parsing: text) }
        #expect(error.position == position)
        #expect(error.hint.contains(hint), "\(error)")
        #expect(error.kind == .badPolicy)
    }

    @Test("Endless, hostile and foreign text ends in an error, never in a trap")
    func hostileText() {
        var dice = RetentionDice(seed: 7)
        let letters = Array("PpTtYyMmDdWwHhSs0123456789 .,-İıəü\u{301}\u{200B}\0")
        for _ in 0..<4000 {
            let text = String((0..<dice.roll(0...24)).map { _ in letters[dice.roll(0...(letters.count - 1))] })
            guard let period = try? Period(parsing: text) else { continue }
            #expect((try? Period(parsing: period.iso)) == period)
        }
        #expect(throws: RetentionError(.periodTextTooLong)) {
            try Period(parsing: String(repeating: " ", count: 200) + "1 day")
        }
    }

    @Test("A period reads back from what is printed of it")
    func roundTrip() throws {
        var dice = RetentionDice(seed: 11)
        for _ in 0..<500 {
            let period = try Period(months: dice.roll(0...400), seconds: Int64(dice.roll(0...100_000_000)))
            for text in [period.iso, period.text(in: .english), period.text(in: .azerbaijani)] {
                #expect(try Period(parsing: text) == period, "\(text)")
            }
            #expect(try JSONDecoder().decode(Period.self, from: JSONEncoder().encode(period)) == period)
        }
        #expect(Period.years(7).text(in: .english) == "7 years")
        #expect(Period.years(1).text(in: .english) == "1 year")
        #expect(Period.months(90).text(in: .azerbaijani) == "7 il 6 ay")
        #expect(Period.zero.text(in: .azerbaijani) == "0 gün")
        #expect(Period.hours(36).text(in: .english) == "1 day 12 hours")
        #expect(Period.months(90).iso == "P7Y6M")
        #expect(throws: (any Error).self) { try JSONDecoder().decode([Period].self, from: Data("[\"P-1D\"]".utf8)) }
    }

    @Test(
        "Months end on the last day where the day is missing, at the same time of day",
        arguments: [
            ("1 month", (2023, 1, 31, 7), (2023, 2, 28, 7)), ("1 month", (2024, 1, 31, 7), (2024, 2, 29, 7)),
            ("1 year", (2024, 2, 29, 23), (2025, 2, 28, 23)), ("4 years", (2024, 2, 29, 0), (2028, 2, 29, 0)),
            ("100 years", (2000, 2, 29, 1), (2100, 2, 28, 1)), ("6 months", (2023, 8, 31, 0), (2024, 2, 29, 0)),
            ("1 month 1 day", (2023, 1, 31, 0), (2023, 3, 1, 0)), ("12 hours", (1999, 12, 31, 12), (2000, 1, 1, 0)),
            ("3 months", (1969, 11, 30, 5), (1970, 2, 28, 5)), ("7 years", (2026, 11, 22, 19), (2033, 11, 22, 19)),
        ] as [(String, (Int, Int, Int, Int), (Int, Int, Int, Int))])
    func monthEnds(text: String, from: (Int, Int, Int, Int), to: (Int, Int, Int, Int)) throws {
        let begin = CountedCalendar.instant(from.0, from.1, from.2, from.3)
        #expect(try Period(parsing: text).adding(to: begin) == CountedCalendar.instant(to.0, to.1, to.2, to.3))
    }

    @Test("Every day of eight centuries agrees with a calendar made by counting")
    func everyDay() {
        var day = Int64(CountedCalendar.monthStarts[0])
        for year in 1800..<2600 as Range<Int64> {
            for month in 1...12 as ClosedRange<Int64> {
                for ofMonth in 1...Int64(CountedCalendar.length(of: Int(month), Int(year))) {
                    let last = day * 86_400 + 86_399
                    let date = UTCDate(last)
                    // The macro is too slow to stand here for every day.
                    if (date.year, date.month, date.day) != (year, month, ofMonth) || date.instant != last {
                        Issue.record("\(year)-\(month)-\(ofMonth) became \(UTCDate.text(last))")
                    }
                    day += 1
                }
            }
        }
    }

    @Test("Sums agree with the counted calendar, and extreme instants neither trap nor come early")
    func sums() throws {
        var dice = RetentionDice(seed: 3)
        for _ in 0..<4000 {
            let instant = Int64(dice.roll(-5_000_000_000...5_000_000_000))
            let period = try Period(months: dice.roll(0...1200), seconds: Int64(dice.roll(0...50_000_000)))
            #expect(period.adding(to: instant) == CountedCalendar.adding(period, to: instant))
        }
        let longest = try Period(parsing: "10000 years")
        for instant in [Int64.min, -UTCDate.limit, -1, 0, UTCDate.limit - 1, UTCDate.limit, .max] {
            #expect(longest.adding(to: instant) >= instant)
            #expect(longest.orderedEnd(from: instant) <= longest.adding(to: instant))
            #expect(!UTCDate.text(instant).isEmpty)
        }
        #expect(UTCDate.text(0) == "1970-01-01 00:00:00 UTC")
        #expect(UTCDate.text(CountedCalendar.instant(2033, 4, 5, 12)) == "2033-04-05 12:00:00 UTC")
    }

    @Test("The ordered end keeps the order of beginnings and is less than a day early")
    func orderedEnds() throws {
        var dice = RetentionDice(seed: 5)
        for months in [1, 2, 3, 6, 11, 12, 13, 25] {
            let period = try Period(months: months, seconds: Int64(dice.roll(0...200_000)))
            var before = Int64.min
            var instant = CountedCalendar.instant(2023, 1, 1)
            while instant < CountedCalendar.instant(2026, 4, 1) {
                let ordered = period.orderedEnd(from: instant)
                let end = period.adding(to: instant)
                #expect(ordered >= before && ordered <= end && ordered > end - 86_400)
                before = ordered
                instant += Int64(dice.roll(1...40_000))
            }
        }
    }

    /// Whether the first period ends before the second on some day of 400 years.
    private func isEverShorter(_ first: Period, than second: Period) -> Bool {
        (0..<4800).contains { month in
            let start = CountedCalendar.monthStarts[month]
            let end = CountedCalendar.monthStarts[month + 1]
            // No month is too short for the days in between, so they fare as the 28th.
            return ([start] + Array(start + 27..<end)).contains { day in
                let begin = Int64(day) * 86_400
                return CountedCalendar.adding(first, to: begin) < CountedCalendar.adding(second, to: begin)
            }
        }
    }

    @Test("A period is never shorter than another exactly if no day of 400 years says otherwise")
    func comparison() throws {
        var dice = RetentionDice(seed: 13)
        var outcomes: [Bool: Int] = [:]
        for _ in 0..<12 {
            let months = dice.roll(0...30)
            let a = try Period(months: months, seconds: Int64(dice.roll(0...3)) * 86_400)
            let days = Int(Double(months) * 30.436_875) + dice.roll(-6...6)
            let b = try Period(seconds: Int64(max(0, days)) * 86_400 + Int64(dice.roll(0...86_400)))
            for (first, second) in [(a, b), (b, a)] {
                let isNeverShorter = first.isNeverShorter(than: second)
                #expect(isNeverShorter == !isEverShorter(first, than: second), "\(first) \(second)")
                outcomes[isNeverShorter, default: 0] += 1
            }
        }
        #expect(outcomes[true, default: 0] > 5 && outcomes[false, default: 0] > 5)
        #expect(!Period.months(1).isNeverShorter(than: .days(30)) && !Period.days(30).isNeverShorter(than: .months(1)))
        #expect(Period.days(31).isNeverShorter(than: .months(1)) && Period.months(12).isNeverShorter(than: .years(1)))
    }

    @Test("Permanent custody has its words, never ends and is longer than any period")
    func forever() throws {
        for word in ["forever", "permanent", " Daimi ", "həmişəlik"] {
            #expect(try KeepingTerm(parsing: word) == .forever)
        }
        #expect(try KeepingTerm(parsing: "7 il") == .period(.years(7)))
        #expect(KeepingTerm.forever.end(from: 0) == nil)
        #expect(KeepingTerm.forever.isNeverShorter(than: .period(.years(10_000))))
        #expect(!KeepingTerm.period(.years(10_000)).isNeverShorter(than: .forever))
        #expect(KeepingTerm.forever.text(in: .azerbaijani) == "daimi")
        let error = try #require(throws: RetentionError.self) { try KeepingTerm(parsing: "forevr") }
        #expect(error.hint.contains("`forever`"))
        for term in [KeepingTerm.forever, .period(.months(5))] {
            #expect(try JSONDecoder().decode([KeepingTerm].self, from: JSONEncoder().encode([term])) == [term])
        }
    }
}
