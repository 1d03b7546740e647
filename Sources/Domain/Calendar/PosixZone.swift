/// The rule for all years to come at the end of a time zone file, in the syntax of the POSIX `TZ` variable with the
/// extensions of RFC 8536: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct PosixZone: Sendable, Hashable {
    /// The day of a year on which the clocks change.
    enum ChangeDay: Sendable, Hashable {
        /// 1 to 365; February 29 is never counted.
        case skippingLeapDay(Int)
        /// 0 to 365; February 29 counts.
        case fromZero(Int)
        /// The `week`-th (5: the last) `weekday` (0: Sunday) of `month`.
        case weekday(month: Int, week: Int, weekday: Int)
    }

    struct Change: Sendable, Hashable {
        var day: ChangeDay
        /// Seconds after midnight as the clock showed until then; -167 to 167 hours.
        var time: Int
    }

    struct Daylight: Sendable, Hashable {
        var type: TimeZoneRules.LocalType
        var start: Change
        var end: Change
    }

    var standard: TimeZoneRules.LocalType
    var daylight: Daylight?

    func localType(at seconds: Int) -> TimeZoneRules.LocalType {
        guard let daylight else { return standard }
        let year = CivilDate.fields(days: (seconds + standard.offset).floored(by: 86_400).quotient).year
        let start = instant(of: daylight.start, in: year, offset: standard.offset)
        let end = instant(of: daylight.end, in: year, offset: daylight.type.offset)
        let isDaylight =
            start < end ? start <= seconds && seconds < end : !(end <= seconds && seconds < start)
        return isDaylight ? daylight.type : standard
    }

    private func instant(of change: Change, in year: Int, offset: Int) -> Int {
        let newYear = CivilDate.days(year: year, month: 1, day: 1)
        let day: Int
        switch change.day {
        case .skippingLeapDay(let number):
            day = newYear + number - 1 + (number >= 60 && CivilDate.isLeap(year) ? 1 : 0)
        case .fromZero(let number):
            day = newYear + number
        case .weekday(let month, let week, let weekday):
            let first = CivilDate.days(year: year, month: month, day: 1)
            let wanted = (weekday + 6) % 7
            var found = first + (wanted - CivilDate.weekday(days: first) + 7) % 7 + 7 * (week - 1)
            if found >= first + CivilDate.daysInMonth(year: year, month: month) { found -= 7 }
            day = found
        }
        return day * 86_400 + change.time - offset
    }
}

/// Reads the `TZ` syntax from hostile bytes.
struct PosixZoneParser {
    private let bytes: [UInt8]
    private var at = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Longer rules do not exist; the limit bounds the work.
    static let maximumBytes = 256

    static func parse(_ bytes: [UInt8]) throws(TimeZoneError) -> PosixZone {
        guard bytes.count <= maximumBytes else { throw TimeZoneError.damaged("the rule for coming years is too long") }
        var parser = PosixZoneParser(bytes)
        return try parser.zone()
    }

    private mutating func zone() throws(TimeZoneError) -> PosixZone {
        let name = try name()
        // POSIX counts west of Greenwich as positive.
        let offset = -(try duration(hours: 24))
        var zone = PosixZone(standard: .init(offset: offset, isDaylight: false, abbreviation: name))
        if at == bytes.count { return zone }
        let summerName = try self.name()
        var summerOffset = offset + 3600
        if let next = peek, next != UInt8(ascii: ",") { summerOffset = -(try duration(hours: 24)) }
        let type = TimeZoneRules.LocalType(offset: summerOffset, isDaylight: true, abbreviation: summerName)
        try expect(",")
        let start = try change()
        try expect(",")
        zone.daylight = .init(type: type, start: start, end: try change())
        guard at == bytes.count else { throw malformed() }
        return zone
    }

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    private func malformed() -> TimeZoneError {
        .damaged("the rule for coming years is malformed at its byte \(at)")
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(TimeZoneError) {
        guard skip(character) else { throw malformed() }
    }

    /// Letters, or anything of letters, digits and signs between `<` and `>`; at least three characters.
    private mutating func name() throws(TimeZoneError) -> String {
        let isQuoted = skip("<")
        let start = at
        while let byte = peek, isLetter(byte) || isQuoted && (isDigit(byte) || byte == 0x2B || byte == 0x2D) { at += 1 }
        let name = bytes[start..<at]
        guard name.count >= 3 else { throw malformed() }
        if isQuoted { try expect(">") }
        return String(decoding: name, as: UTF8.self)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private mutating func duration(hours limit: Int) throws(TimeZoneError) -> Int {
        let isNegative = skip("-")
        if !isNegative { _ = skip("+") }
        var seconds = try number(upTo: limit) * 3600
        if skip(":") {
            seconds += try number(upTo: 59) * 60
            if skip(":") { seconds += try number(upTo: 59) }
        }
        return isNegative ? -seconds : seconds
    }

    private mutating func change() throws(TimeZoneError) -> PosixZone.Change {
        let day: PosixZone.ChangeDay
        if skip("M") {
            let month = try number(from: 1, upTo: 12)
            try expect(".")
            let week = try number(from: 1, upTo: 5)
            try expect(".")
            day = .weekday(month: month, week: week, weekday: try number(upTo: 6))
        } else if skip("J") {
            day = .skippingLeapDay(try number(from: 1, upTo: 365))
        } else {
            day = .fromZero(try number(upTo: 365))
        }
        return .init(day: day, time: skip("/") ? try duration(hours: 167) : 7200)
    }

    private mutating func number(from lowest: Int = 0, upTo highest: Int) throws(TimeZoneError) -> Int {
        var value = 0
        var digits = 0
        while let byte = peek, isDigit(byte), digits < 4 {
            value = value * 10 + Int(byte - 0x30)
            digits += 1
            at += 1
        }
        guard digits > 0, lowest...highest ~= value else { throw malformed() }
        return value
    }

    private func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }
    private func isLetter(_ byte: UInt8) -> Bool { 0x41...0x5A ~= byte || 0x61...0x7A ~= byte }
}
