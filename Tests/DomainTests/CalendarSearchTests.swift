import Testing

@testable import Domain

@Suite("When calendar expressions elapse")
struct CalendarSearchTests {
    private func instant(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int64 {
        let wall = WallClock(year: year, month: month, day: day, hour: hour, minute: minute)
        return Int64(wall.localSeconds) * 1_000_000
    }

    private func elapses(
        _ text: String, after base: Int64, in zone: TimeZoneRules, count: Int
    ) throws -> [String] {
        let expression = try CalendarExpression(parsing: text)
        var found: [String] = []
        var last = base
        while found.count < count, let next = expression.next(after: last, in: zone) {
            found.append(String(InstantText.utc(next).dropLast(4)))
            last = next
        }
        return found
    }

    @Test("Every hour of four years is found or passed over as plain counting says")
    func counting() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let first = instant(2023, 1, 1)
        for _ in 0..<30 {
            let hours = Set((0..<3).map { _ in Int.random(in: 0...23, using: &random) })
            let days = Set((0..<6).map { _ in Int.random(in: 1...31, using: &random) })
            let months = Set((0..<5).map { _ in Int.random(in: 1...12, using: &random) })
            let weekdays = Weekdays(bits: UInt8.random(in: 1...127, using: &random))
            func list(_ values: Set<Int>) -> String { values.map(String.init).joined(separator: ",") }
            let text = "\(weekdays) *-\(list(months))-\(list(days)) \(list(hours)):00"
            let expression = try CalendarExpression(parsing: text)
            var found: [Int64] = []
            var last = first - 1
            while let next = expression.next(after: last, in: .utc), next < instant(2027, 1, 1) {
                found.append(next)
                last = next
            }
            var expected: [Int64] = []
            for at in stride(from: first, to: instant(2027, 1, 1), by: 3_600_000_000) {
                let wall = WallClock(localSeconds: Int(at / 1_000_000))
                guard hours.contains(wall.hour), days.contains(wall.day), months.contains(wall.month) else { continue }
                if weekdays.contains(CivilDate.weekday(days: wall.days)) { expected.append(at) }
            }
            #expect(found == expected, "seed \(seed): \(text)")
        }
    }

    @Test("What is found is after the base, stands by itself, and nothing lies between", arguments: 0..<4)
    func properties(part: Int) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let zones = ["Asia/Baku", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
        let lines = try CalendarCorpus.lines().filter { $0.form != nil && $0.number % 4 == part }
        for line in lines.shuffled(using: &random).prefix(150) {
            let expression = try CalendarExpression(parsing: line.expression, isZone: Zones.exists)
            let zone = try Zones.named(zones.randomElement(using: &random) ?? "UTC")
            let base = Int64.random(in: 0...4_000_000_000_000_000, using: &random)
            guard let next = expression.next(after: base, in: zone) else { continue }
            let message = "seed \(seed): \(expression) after \(base)"
            #expect(next > base, "\(message)")
            // A step without an end that overruns its field is carried from where the search began, as systemd has it:
            // what it passes over depends on that.
            let between = base + Int64(Double(next - base) * Double.random(in: 0..<1, using: &random))
            if !overruns(expression) {
                #expect(expression.next(after: between, in: zone) ?? 0 >= next, "\(message), seen from \(between)")
            }
            if let after = expression.next(after: next, in: zone) { #expect(after > next, "\(message)") }
        }
    }

    private func overruns(_ expression: CalendarExpression) -> Bool {
        CalendarUnit.allCases.contains { unit in
            expression.field(unit).series.contains { $0.end == nil && $0.step > 0 && !$0.isEverySecond }
        }
    }

    @Test("A time that clocks skip does not elapse, one that comes twice elapses once")
    func clockChanges() throws {
        let berlin = try Zones.named("Europe/Berlin")
        #expect(
            try elapses("*-*-* 02:30", after: instant(2026, 3, 28), in: berlin, count: 3)
                == ["2026-03-28 01:30:00", "2026-03-30 00:30:00", "2026-03-31 00:30:00"])
        #expect(
            try elapses("*-*-* 02:30", after: instant(2026, 10, 24), in: berlin, count: 3)
                == ["2026-10-24 00:30:00", "2026-10-25 00:30:00", "2026-10-26 01:30:00"])
        #expect(
            try elapses("hourly", after: instant(2026, 3, 29), in: berlin, count: 3)
                == ["2026-03-29 01:00:00", "2026-03-29 02:00:00", "2026-03-29 03:00:00"])
        #expect(
            try elapses("*:0/30", after: instant(2026, 10, 25, 0, 10), in: berlin, count: 3)
                == ["2026-10-25 00:30:00", "2026-10-25 02:00:00", "2026-10-25 02:30:00"])
        // From within the second of the doubled hours the search goes on in it.
        #expect(
            try elapses("*:0/30", after: instant(2026, 10, 25, 1, 10), in: berlin, count: 2)
                == ["2026-10-25 01:30:00", "2026-10-25 02:00:00"])
    }

    @Test("Where systemd gives up because a step runs over a clock change, the search goes on")
    func overrunningSteps() throws {
        let berlin = try Zones.named("Europe/Berlin")
        #expect(
            try elapses("0/7:0", after: instant(2024, 3, 30, 20, 30), in: berlin, count: 3)
                == ["2024-03-30 23:00:00", "2024-03-31 05:00:00", "2024-03-31 12:00:00"])
        #expect(try elapses("*-02,04,06,09,11-31", after: instant(2021, 3, 28), in: .utc, count: 1).isEmpty)
    }

    @Test(
        "Impossible and passed dates end quickly in never",
        arguments: [
            "*-02-30", "Mon *-02-30", "*-02,04,06,09,11-31", "2020-01-01", "Tue 2027-01-01", "2199-02-29", "2-30..31",
        ])
    func never(text: String) throws {
        let expression = try CalendarExpression(parsing: text)
        let berlin = try Zones.named("Europe/Berlin")
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(expression.next(after: instant(2026, 5, 1), in: berlin) == nil)
            #expect(expression.next(after: instant(2026, 5, 1), in: .utc) == nil)
        }
        #expect(time < .seconds(2))
    }

    @Test("The ends of time are answered, not overrun")
    func extremes() throws {
        let berlin = try Zones.named("Europe/Berlin")
        for zone in [TimeZoneRules.utc, berlin] {
            let daily = try CalendarExpression(parsing: "daily")
            #expect(daily.next(after: .min, in: zone).map { $0 >= 0 && $0 < 86_400_000_000 } == true)
            #expect(daily.next(after: .max, in: zone) == nil)
            #expect(daily.next(after: CalendarExpression.endOfTime - 1, in: zone) == nil)
            #expect(try CalendarExpression(parsing: "*:*:0/0.000001").next(after: 5, in: zone) == 6)
        }
        #expect(
            try CalendarExpression(parsing: "2199-12-31 23:59:59.999999").next(after: 0, in: .utc)
                == CalendarExpression.endOfTime - 1)
    }

    @Test("An expression that names UTC is read in UTC")
    func utc() throws {
        let expression = try CalendarExpression(parsing: "daily UTC")
        #expect(expression.next(after: 0, in: try Zones.named("Asia/Baku")) == 86_400_000_000)
    }

    @Test("Days count forward and back over leap years and centuries")
    func civilDates() {
        #expect(CivilDate.days(year: 1970, month: 1, day: 1) == 0)
        #expect(CivilDate.days(year: 2000, month: 2, day: 29) == 11_016)
        #expect(CivilDate.weekday(days: 0) == 3 && CivilDate.weekday(days: -4) == 6)
        #expect(CivilDate.days(year: 2023, month: 14, day: 0) == CivilDate.days(year: 2024, month: 1, day: 31))
        var (year, month, day) = (1599, 12, 31)
        for days in CivilDate.days(year: 1599, month: 12, day: 31)..<CivilDate.days(year: 2401, month: 1, day: 2) {
            guard CivilDate.fields(days: days) == (year, month, day),
                CivilDate.days(year: year, month: month, day: day) == days
            else {
                Issue.record("day \(days) is not \(year)-\(month)-\(day)")
                return
            }
            day += 1
            if day > CivilDate.daysInMonth(year: year, month: month) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
    }
}
