/// Hours of the week in which runs may start, by the clock of the schedule's zone: `Mon..Fri 22:00..06:00`.
package struct TimeWindow: Hashable, Sendable {
    /// Days on which the window opens; it may close on the day after.
    package let weekdays: Weekdays
    /// Seconds after midnight, by the clock: 0 to 86 399.
    package let opens: Int
    /// Seconds after midnight, by the clock: 1 to 86 400, where not after ``opens`` of the next day.
    package let closes: Int

    /// Understands `[weekdays] HH:MM..HH:MM`; `24:00` is the midnight that ends a day, and a window that does not close
    /// after it opens closes the next day.
    package init(parsing text: String) throws(CalendarError) {
        guard text.utf8.count <= CalendarExpression.maximumBytes else {
            throw CalendarError(at: 0, "the window is too long", hint: "Write it as `Mon..Fri 22:00..06:00`.")
        }
        var scanner = CalendarScanner(Array(text.utf8))
        weekdays = try scanner.weekdays() ?? .all
        opens = try Self.clock(&scanner, lastMinute: 1439)
        guard scanner.skip("..") || scanner.skip("-") else {
            throw CalendarError(
                at: scanner.at, "the end of the window is missing", hint: "Write it as `Mon..Fri 22:00..06:00`.")
        }
        let closes = try Self.clock(&scanner, lastMinute: 1440)
        self.closes = closes == 0 ? 86_400 : closes
        guard scanner.isAtEnd else {
            throw CalendarError(
                at: scanner.at, "the window ends after its closing time", hint: "Write several windows as a list.")
        }
    }

    /// Hours and minutes, in seconds.
    private static func clock(_ scanner: inout CalendarScanner, lastMinute: Int) throws(CalendarError) -> Int {
        let start = scanner.at
        guard let hour = scanner.number(), scanner.skip(":"), let minute = scanner.number(), minute < 60, hour <= 24,
            hour * 60 + minute <= lastMinute
        else {
            throw CalendarError(
                at: start, "a time of day is expected", hint: "Write hours and minutes, such as `22:00`.")
        }
        return hour * 3600 + minute * 60
    }

    private var closesNextDay: Bool { closes <= opens }

    /// Whether it is open when clocks show `local` seconds after midnight of 1970-01-01.
    func isOpen(atLocal local: Int) -> Bool {
        let (day, second) = local.floored(by: 86_400)
        let weekday = CivilDate.weekday(days: day)
        if weekdays.contains(weekday), second >= opens, closesNextDay || second < closes { return true }
        return closesNextDay && second < closes && weekdays.contains((weekday + 6) % 7)
    }

    /// Clock times (as seconds after midnight of 1970-01-01) at which it opens or closes on the day that begins `day`
    /// days after 1970-01-01, were that its weekday.
    func bounds(onDay day: Int) -> (opens: Int, closes: Int) { (day * 86_400 + opens, day * 86_400 + closes % 86_400) }
}

extension TimeWindow: CustomStringConvertible {
    package var description: String {
        func clock(_ seconds: Int) -> String {
            "\(InstantText.padded(seconds / 3600, 2)):\(InstantText.padded(seconds / 60 % 60, 2))"
        }
        return (weekdays == .all ? "" : "\(weekdays) ") + "\(clock(opens))..\(clock(closes))"
    }
}

/// Kept as text.
extension TimeWindow: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(parsing: try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
