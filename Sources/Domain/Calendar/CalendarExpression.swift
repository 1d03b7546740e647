/// Points in time that repeat by the calendar, in the syntax and with the meaning of systemd's `OnCalendar=`.
///
/// Invariants:
/// - a value exists only for an expression that `systemd-analyze calendar` accepts, and ``description`` is the
///   normalised form that it prints;
/// - ``next(after:in:)`` is later than its argument and agrees with that tool wherever the tool has an answer. That
///   includes what a clock change does (a time that is skipped does not elapse, one that comes twice elapses once) and
///   how a step without an end is carried: `*-*-1/7` counts on from the 29th into the next month, but where a year
///   ends as well, the search resumes in the middle of January, and the 1st does not elapse; `0/7:30` passes over
///   0:30 on the 1st of a month. Write `1..29/7` and `0..21/7:30`, whose steps have an end, to have each month and each
///   day begin anew;
/// - it ends after a bounded number of steps, also for dates that never come, such as `*-02-30`.
package struct CalendarExpression: Sendable {
    /// Years that can elapse.
    static let years = 1970...2199
    /// Longer texts are refused before they are looked at.
    package static let maximumBytes = 4096
    /// 2200-01-01 00:00:00 UTC, after which nothing elapses, in microseconds.
    package static let endOfTime: Int64 = 7_258_118_400_000_000

    /// As it was written.
    package let text: String
    let weekdays: Weekdays
    let year: CalendarField
    let month: CalendarField
    /// Counted from the end of the month (1 is its last day) where ``countsFromMonthEnd``.
    let day: CalendarField
    let countsFromMonthEnd: Bool
    let hour: CalendarField
    let minute: CalendarField
    /// In microseconds.
    let second: CalendarField
    /// The zone that the expression itself names: `UTC` or a name of the IANA database; nil where it leaves that open.
    package let zoneName: String?

    init(
        text: String, weekdays: Weekdays, year: CalendarField, month: CalendarField, day: CalendarField,
        countsFromMonthEnd: Bool, hour: CalendarField, minute: CalendarField, second: CalendarField, zoneName: String?
    ) {
        self.text = text
        self.weekdays = weekdays
        self.year = year
        self.month = month
        self.day = day
        self.countsFromMonthEnd = countsFromMonthEnd && !day.series.isEmpty
        self.hour = hour
        self.minute = minute
        self.second = second
        self.zoneName = zoneName
    }

    /// Understands `text`. A last word that `isZone` accepts is the zone.
    ///
    /// Without a database of zones at hand the default accepts whatever has the form of a name; whoever opens the zone
    /// finds out whether it exists.
    package init(
        parsing text: String, isZone: (String) -> Bool = Self.hasFormOfZone
    ) throws(CalendarError) {
        self = try CalendarParser.parse(text, isZone: isZone)
    }

    /// Whether `name` could be that of a zone: parts of letters, digits, `-`, `_` and `+` between single slashes, the
    /// first one beginning with a letter; no weekday and no shorthand.
    package static func hasFormOfZone(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard bytes.count <= 255, let first = bytes.first, CalendarParser.isLetter(first) else { return false }
        let isAllowed = bytes.allSatisfy {
            CalendarParser.isLetter($0) || CalendarParser.isDigit($0) || [0x2B, 0x2D, 0x2F, 0x5F].contains($0)
        }
        guard isAllowed, bytes.last != 0x2F, !name.contains("//") else { return false }
        let lower = name.lowercased()
        return CalendarParser.shorthands[lower] == nil
            && !(Weekdays.names + Weekdays.longNames).contains { $0.lowercased() == lower }
    }

    /// The first time it elapses after `microseconds` since 1970; nil when it never does again.
    ///
    /// `zone` holds the rules of ``zoneName`` or, where that is nil, of the zone in which the expression is meant. An
    /// expression that names UTC is read in UTC whatever the caller gives.
    package func next(after microseconds: Int64, in zone: TimeZoneRules) -> Int64? {
        guard microseconds < Self.endOfTime else { return nil }
        var search = CalendarSearch(self, after: max(microseconds, -1), in: zoneName == "UTC" ? .utc : zone)
        return search.run()
    }

    func field(_ unit: CalendarUnit) -> CalendarField {
        switch unit {
        case .year: year
        case .month: month
        case .day: day
        case .hour: hour
        case .minute: minute
        case .second: second
        }
    }
}

extension CalendarExpression: CustomStringConvertible {
    /// The normalised form: `Mon..Fri *-*-* 03:00:00 Asia/Baku`.
    package var description: String {
        var text = weekdays == .all ? "" : "\(weekdays) "
        text += "\(year.text(.year))-\(month.text(.month))\(countsFromMonthEnd ? "~" : "-")\(day.text(.day))"
        text += " \(hour.text(.hour)):\(minute.text(.minute)):\(second.text(.second))"
        return zoneName.map { "\(text) \($0)" } ?? text
    }
}

/// Equal are expressions that elapse at the same times in the same zone by the same rules, however they are written.
extension CalendarExpression: Hashable {
    package static func == (a: CalendarExpression, b: CalendarExpression) -> Bool {
        a.weekdays == b.weekdays && a.countsFromMonthEnd == b.countsFromMonthEnd && a.zoneName == b.zoneName
            && CalendarUnit.allCases.allSatisfy { a.field($0) == b.field($0) }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(weekdays)
        for unit in CalendarUnit.allCases { hasher.combine(field(unit)) }
        hasher.combine(zoneName)
    }
}

/// Kept as the text that was written.
extension CalendarExpression: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(parsing: try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
