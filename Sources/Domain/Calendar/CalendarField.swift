/// The fields of a calendar expression, from the coarsest to the finest.
enum CalendarUnit: Int, CaseIterable, Sendable {
    case year, month, day, hour, minute, second

    var name: String {
        switch self {
        case .year: "year"
        case .month: "month"
        case .day: "day"
        case .hour: "hour"
        case .minute: "minute"
        case .second: "second"
        }
    }

    /// What numbers of the field count: microseconds in the field of seconds, so that fractions are exact.
    var scale: Int { self == .second ? 1_000_000 : 1 }

    var range: ClosedRange<Int> {
        switch self {
        case .year: CalendarExpression.years
        case .month: 1...12
        case .day: 1...31
        case .hour: 0...23
        case .minute: 0...59
        case .second: 0...59_999_999
        }
    }

    /// Digits of a value in the normalised form.
    var width: Int { self == .year ? 4 : 2 }
}

/// One element of a field: a value, a range with a step, or a value with a step and no end.
struct CalendarSeries: Hashable, Sendable, Comparable {
    var start: Int
    /// The last value that may match; nil for a single value and for a series without an end.
    var end: Int?
    /// 0 for a single value.
    var step = 0

    /// The same values in the shortest form: a range ends on its last value, and one of a single value is that value.
    var folded: CalendarSeries {
        var series = self
        if let end, end > start, step > 0 { series.end = end - (end - start) % step }
        if series.end == start { return CalendarSeries(start: start) }
        return series
    }

    /// Whether it names every whole second.
    var isEverySecond: Bool { start == 0 && end == nil && step == CalendarUnit.second.scale }

    /// Why the series is refused; nil for one that is not. Days counted from the end of the month (`monthEndReach` is
    /// not nil) reach no farther than that, as every month has 28 days.
    func problem(in unit: CalendarUnit, monthEndReach: Int? = nil) -> String? {
        let fromMonthEnd = monthEndReach != nil
        if let monthEndReach, monthEndReach < 1 { return "the list of days from the end of the month is too long" }
        let range = monthEndReach.map { 1...$0 } ?? unit.range
        func text(_ value: Int) -> String { CalendarField.text(value, unit) }
        let bounds = "\(text(range.lowerBound)) to \(text(range.upperBound))"
        for value in [start, end ?? start] where !range.contains(value) {
            let days = fromMonthEnd ? " from the end of the month" : ""
            return "the \(unit.name) \(text(value)) is outside \(bounds)\(days)"
        }
        if let end {
            return start + step > end ? "the range \(text(start))..\(text(end)) ends before it begins" : nil
        }
        let reaches = fromMonthEnd ? start - step >= range.lowerBound : start + step <= range.upperBound
        let isStepTooLarge = step > range.upperBound - range.lowerBound || !reaches
        return isStepTooLarge ? "the step \(text(step)) leaves nothing but \(text(start))" : nil
    }

    static func < (a: CalendarSeries, b: CalendarSeries) -> Bool {
        (a.start, a.end ?? -1, a.step) < (b.start, b.end ?? -1, b.step)
    }
}

/// The values that one field of a calendar expression allows.
struct CalendarField: Hashable, Sendable {
    /// Folded, ascending, each once; empty where every value matches.
    private(set) var series: [CalendarSeries]

    static let any = CalendarField([])

    init(_ series: [CalendarSeries]) {
        self.series = series.count < 2 ? series.map(\.folded) : Set(series.map(\.folded)).sorted()
    }

    init(value: Int) { series = [CalendarSeries(start: value)] }

    /// The smallest value that matches and is not below `value`; nil where there is none.
    ///
    /// A series without an end goes on beyond the range of its field. `lastDay` is the length of the month for a field
    /// that counts days from the end of it, else nil.
    func first(from value: Int, lastDay: Int? = nil) -> Int? {
        if series.isEmpty { return value }
        var best: Int?
        for element in series {
            var start = element.start
            var end = element.end
            if let lastDay {
                start = lastDay + 1 - (element.end ?? element.start)
                end = element.end.map { _ in lastDay + 1 - element.start }
            }
            var candidate = start
            if start < value {
                guard element.step > 0 else { continue }
                candidate = start + (value - start + element.step - 1) / element.step * element.step
                if let end, candidate > end { continue }
            }
            if candidate < best ?? Int.max { best = candidate }
        }
        return best
    }

    func text(_ unit: CalendarUnit) -> String {
        if series.isEmpty || unit == .second && series.contains(where: \.isEverySecond) { return "*" }
        return series.map { element in
            var text = Self.text(element.start, unit)
            if let end = element.end { text += "..\(Self.text(end, unit))" }
            let isPlainRange = element.end != nil && element.step == unit.scale
            if element.step > 0, !isPlainRange {
                text += "/\(element.step / unit.scale)\(Self.fraction(element.step, unit))"
            }
            return text
        }.joined(separator: ",")
    }

    static func text(_ value: Int, _ unit: CalendarUnit) -> String {
        InstantText.padded(value / unit.scale, unit.width) + fraction(value, unit)
    }

    private static func fraction(_ value: Int, _ unit: CalendarUnit) -> String {
        let rest = value % unit.scale
        return rest == 0 ? "" : ".\(InstantText.padded(rest, 6))"
    }
}

/// A set of weekdays.
package struct Weekdays: Hashable, Sendable, Codable {
    /// Bit 0 is Monday, bit 6 Sunday.
    package var bits: UInt8

    package static let all = Weekdays(bits: 0x7F)
    static let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    static let longNames = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

    package init(bits: UInt8) { self.bits = bits & 0x7F }

    /// 0 is Monday.
    package func contains(_ weekday: Int) -> Bool { 0...6 ~= weekday && bits & 1 << UInt8(weekday) != 0 }
    package mutating func insert(_ weekday: Int) { if 0...6 ~= weekday { bits |= 1 << UInt8(weekday) } }
    package var isEmpty: Bool { bits == 0 }
}

extension Weekdays: CustomStringConvertible {
    /// `Mon..Wed,Sat,Sun`: three days or more in a row are a range.
    package var description: String {
        var parts: [String] = []
        var day = 0
        while day < 7 {
            guard contains(day) else {
                day += 1
                continue
            }
            let first = day
            while contains(day) { day += 1 }
            let run = Self.names[first..<day]
            parts.append(run.count > 2 ? "\(Self.names[first])..\(Self.names[day - 1])" : run.joined(separator: ","))
        }
        return parts.joined(separator: ",")
    }
}
