/// Reads the text of a calendar expression: `[weekdays] [date] [time] [zone]`, or a shorthand and a zone.
///
/// The order of decisions is that of systemd, so that the same texts are accepted: the zone is cut off the end first,
/// then comes the shorthand, the weekdays, and last whether the rest begins with a date or with a time.
struct CalendarParser {
    static let shorthands = [
        "minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00",
        "weekly": "Mon *-*-* 00:00:00", "monthly": "*-*-01 00:00:00", "quarterly": "*-01,04,07,10-01 00:00:00",
        "semiannually": "*-01,07-01 00:00:00", "semi-annually": "*-01,07-01 00:00:00",
        "biannually": "*-01,07-01 00:00:00", "bi-annually": "*-01,07-01 00:00:00",
        "yearly": "*-01-01 00:00:00", "annually": "*-01-01 00:00:00", "anually": "*-01-01 00:00:00",
    ]
    private static let forms = "Write [weekdays] [year-month-day] [hour:minute[:second]] [zone], such as"
    private static let example = "\(forms) `Mon..Fri *-*-* 03:00:00 Asia/Baku`, or a shorthand such as `daily`."

    /// A list of this many elements is the longest that systemd takes.
    static let maximumSeries = 241

    private struct Date {
        var year = CalendarField.any
        var month = CalendarField.any
        var day = CalendarField.any
        var isFromMonthEnd = false
    }

    private struct Time {
        var hour = CalendarField(value: 0)
        var minute = CalendarField(value: 0)
        var second = CalendarField(value: 0)
    }

    /// An element of a field as written, and where.
    private struct Element {
        var series: CalendarSeries
        var offset: Int
    }

    var scanner: CalendarScanner

    static func parse(_ text: String, isZone: (String) -> Bool) throws(CalendarError) -> CalendarExpression {
        guard text.utf8.count <= CalendarExpression.maximumBytes else {
            throw CalendarError(
                at: 0, "the expression is longer than \(CalendarExpression.maximumBytes) bytes", hint: example)
        }
        var bytes = Array(text.utf8)
        let zoneName = try cutZone(off: &bytes, isZone: isZone)
        let rest = String(decoding: bytes, as: UTF8.self)
        guard !bytes.isEmpty else {
            let what = zoneName == nil && text.isEmpty ? "the expression is empty" : "there is a zone and nothing else"
            throw CalendarError(at: 0, what, hint: example)
        }
        // A shorthand stands for its own text, which is known to be right.
        let source = shorthands[rest.lowercased()].map { Array($0.utf8) } ?? bytes
        var parser = CalendarParser(scanner: CalendarScanner(source))
        return try parser.expression(text: text, zoneName: zoneName)
    }

    /// Removes a last word that is a zone, and the one blank before it.
    private static func cutZone(off bytes: inout [UInt8], isZone: (String) -> Bool) throws(CalendarError) -> String? {
        guard let blank = bytes.lastIndex(of: 0x20) else {
            return nil
        }
        let word = String(decoding: bytes[(blank + 1)...], as: UTF8.self)
        let isUTC = word.lowercased() == "utc"
        if isUTC || isZone(word) {
            bytes.removeSubrange(blank...)
            return isUTC ? "UTC" : word
        }
        // Nothing else that begins with a letter can stand at the end of an expression.
        let isWeekday = (Weekdays.names + Weekdays.longNames).contains { $0.lowercased() == word.lowercased() }
        if let first = word.utf8.first, isLetter(first), !isWeekday, bytes.first != 0x20 {
            throw CalendarError(
                at: blank + 1, "there is no time zone `\(word)`",
                hint: "Write UTC or a name of the IANA database with its capitals, such as Asia/Baku.")
        }
        return nil
    }

    private mutating func expression(text: String, zoneName: String?) throws(CalendarError) -> CalendarExpression {
        let weekdays = try scanner.weekdays()
        if scanner.peek == UInt8(ascii: "@") { return try instant(text: text, weekdays: weekdays) }
        var date = Date()
        var time = Time()
        if !scanner.isAtEnd {
            let start = scanner.at
            let first = try list(.hour)
            if scanner.isAtEnd || scanner.peek == UInt8(ascii: ":") {
                time = try self.time(hour: first, from: start)
            } else {
                date = try self.date(first: first, from: start)
                scanner.skipBlanks()
                if !scanner.isAtEnd {
                    let start = scanner.at
                    time = try self.time(hour: try list(.hour), from: start)
                }
            }
        }
        return CalendarExpression(
            text: text, weekdays: weekdays ?? .all, year: date.year, month: date.month, day: date.day,
            countsFromMonthEnd: date.isFromMonthEnd, hour: time.hour, minute: time.minute, second: time.second,
            zoneName: zoneName)
    }

    /// `@` and seconds since 1970: one instant, in UTC whatever zone stands behind.
    private mutating func instant(text: String, weekdays: Weekdays?) throws(CalendarError) -> CalendarExpression {
        let start = scanner.at
        scanner.at += 1
        let limit = Int(CalendarExpression.endOfTime / 1_000_000)
        guard let seconds = scanner.number(), seconds < limit, scanner.isAtEnd else {
            throw CalendarError(
                at: start, "`@` takes whole seconds since 1970, before the year 2200, and nothing else",
                hint: "Write it as `@1767225600`, or the date and time.")
        }
        let wall = WallClock(localSeconds: seconds)
        return CalendarExpression(
            text: text, weekdays: weekdays ?? .all, year: CalendarField(value: wall.year),
            month: CalendarField(value: wall.month), day: CalendarField(value: wall.day), countsFromMonthEnd: false,
            hour: CalendarField(value: wall.hour), minute: CalendarField(value: wall.minute),
            second: CalendarField(value: wall.second * 1_000_000), zoneName: "UTC")
    }

    /// What follows the first list of a date: `-` or `~`, a second list, and perhaps a third.
    private mutating func date(first: [Element], from start: Int) throws(CalendarError) -> Date {
        var date = Date()
        date.isFromMonthEnd = try dateSeparator(from: start)
        let second = try list(.day)
        if scanner.isAtEnd || scanner.peek == 0x20 {
            date.month = try field(first, .month)
            date.day = try field(second, .day, fromMonthEnd: date.isFromMonthEnd)
            return date
        }
        if date.isFromMonthEnd {
            throw CalendarError(
                at: scanner.at, "`~` stands before the day, and nothing of the date follows the day",
                hint: "Write the last day of each May as `*-05~01`.")
        }
        date.isFromMonthEnd = try dateSeparator(from: start)
        let third = try list(.day)
        guard scanner.isAtEnd || scanner.peek == 0x20 else {
            throw CalendarError(
                at: scanner.at, "the date ends after the day", hint: "Put a blank between the date and the time.")
        }
        date.year = try field(first.map(Self.withCentury), .year)
        date.month = try field(second, .month)
        date.day = try field(third, .day, fromMonthEnd: date.isFromMonthEnd)
        return date
    }

    /// Whether the separator is `~`: days are counted from the end of the month.
    private mutating func dateSeparator(from start: Int) throws(CalendarError) -> Bool {
        if scanner.skip("~") { return true }
        if scanner.skip("-") { return false }
        throw scanner.unexpected(
            in: scanner.text.dropFirst(start).split(separator: 0x20).count == 5 ? .crontab : .dateOrTime)
    }

    private mutating func time(hour: [Element], from start: Int) throws(CalendarError) -> Time {
        var time = Time()
        guard scanner.skip(":") else {
            if scanner.isAtEnd {
                throw CalendarError(
                    at: start, "this is neither a date nor a time of day",
                    hint: "Write a day of each month as `*-*-05`, an hour as `05:00`.")
            }
            throw scanner.unexpected(in: .time)
        }
        time.hour = try field(hour, .hour)
        time.minute = try field(try list(.minute), .minute)
        if scanner.isAtEnd { return time }
        guard scanner.skip(":") else { throw scanner.unexpected(in: .time) }
        time.second = try field(try list(.second), .second)
        guard scanner.isAtEnd else { throw scanner.unexpected(in: .time) }
        return time
    }

    // MARK: - Lists

    /// `*`, or elements between commas; empty for `*`.
    private mutating func list(_ unit: CalendarUnit) throws(CalendarError) -> [Element] {
        let start = scanner.at
        if scanner.skip("*") {
            if scanner.peek == UInt8(ascii: "/") {
                throw CalendarError(
                    at: scanner.at, "a step does not follow `*`",
                    hint: "Begin with the first value: `*:0/15` is every quarter of an hour, `*-1/3-1` of a year.")
            }
            let everySecond = CalendarSeries(start: 0, step: unit.scale)
            return unit == .second ? [Element(series: everySecond, offset: start)] : []
        }
        var elements: [Element] = []
        repeat {
            guard elements.count < Self.maximumSeries else {
                throw CalendarError(
                    at: scanner.at, "the list is longer than \(Self.maximumSeries) elements",
                    hint: "Write ranges, such as `1..20`, or steps, such as `0/5`.")
            }
            elements.append(try element(unit))
        } while scanner.skip(",")
        return elements
    }

    /// `5`, `5..9`, `5..9/2`, `5/2`.
    private mutating func element(_ unit: CalendarUnit) throws(CalendarError) -> Element {
        let start = scanner.at
        var series = CalendarSeries(start: try scanner.value(unit))
        if scanner.skip("..") {
            series.end = try scanner.value(unit)
            series.step = unit.scale
        }
        let stepAt = scanner.at
        if scanner.skip("/") {
            series.step = try scanner.value(unit)
            if series.step == 0 {
                throw CalendarError(at: stepAt + 1, "a step of zero goes nowhere", hint: "Leave the step out.")
            }
        } else if unit == .second, let end = series.end, series.start + series.step > end {
            throw CalendarError(
                at: start, "the range is shorter than its step of one second",
                hint: "Write a step behind it, such as `0..0.5/0.1`, or a single value.")
        }
        if let next = scanner.peek, !" ,-~:".utf8.contains(next) { throw scanner.unexpected(in: .list) }
        return Element(series: series, offset: start)
    }

    private func field(
        _ elements: [Element], _ unit: CalendarUnit, fromMonthEnd: Bool = false
    ) throws(CalendarError) -> CalendarField {
        var seen: Set<CalendarSeries> = []
        for element in elements.sorted(by: { $0.series.folded < $1.series.folded }) {
            let series = element.series.folded
            guard seen.insert(series).inserted else { continue }
            // From the end of the month systemd lets each further element reach three days less far.
            let reach = 28 - 3 * (seen.count - 1)
            if let problem = series.problem(in: unit, monthEndReach: fromMonthEnd ? reach : nil) {
                throw CalendarError(
                    at: element.offset, problem, hint: Self.hint(for: unit, fromMonthEnd: fromMonthEnd))
            }
        }
        return CalendarField(elements.map(\.series))
    }

    /// Two digits stand for 1970 to 2069.
    private static func withCentury(_ element: Element) -> Element {
        func full(_ year: Int) -> Int {
            switch year {
            case 0..<70: year + 2000
            case 70..<100: year + 1900
            default: year
            }
        }
        var element = element
        element.series.start = full(element.series.start)
        element.series.end = element.series.end.map(full)
        return element
    }

    private static func hint(for unit: CalendarUnit, fromMonthEnd: Bool) -> String {
        if fromMonthEnd {
            return "Write `~01` for the last day, up to `~28`, and in a list three less for each element before."
        }
        return switch unit {
        case .year: "Write a year from 1970 to 2199, or `*` for each."
        case .month: "Write a month from 1 to 12, or `*` for each."
        case .day: "Write a day from 1 to 31, or `~01` for the last of the month."
        case .hour: "Write an hour from 0 to 23; a step with an end begins anew each day: `0..23/6`."
        case .minute: "Write a minute from 0 to 59; a step with an end begins anew each hour: `0..59/15`."
        case .second: "Write a second from 0 to 59.999999."
        }
    }

    static func isLetter(_ byte: UInt8) -> Bool { 0x41...0x5A ~= byte || 0x61...0x7A ~= byte }
    static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }
}
