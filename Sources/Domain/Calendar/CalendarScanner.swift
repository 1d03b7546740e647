/// The smallest parts of calendar expressions and time windows: weekdays, numbers, separators.
struct CalendarScanner {
    /// Where something stands that does not belong there.
    enum Place {
        case dateOrTime, crontab, time, list
    }

    let text: [UInt8]
    var at = 0

    init(_ text: [UInt8]) { self.text = text }

    var isAtEnd: Bool { at == text.count }
    var peek: UInt8? { at < text.count ? text[at] : nil }

    mutating func skip(_ token: String, ignoringCase: Bool = false) -> Bool {
        var next = at
        for wanted in token.utf8 {
            guard next < text.count else { return false }
            // Bit 5 is what tells the cases of a letter apart.
            let isSame = text[next] == wanted || ignoringCase && text[next] ^ wanted == 0x20
            guard isSame else { return false }
            next += 1
        }
        at = next
        return true
    }

    mutating func skipBlanks() { while peek == 0x20 { at += 1 } }

    /// Names, ranges and lists of weekdays, and the blanks behind them; nil where none begins.
    mutating func weekdays() throws(CalendarError) -> Weekdays? {
        guard var day = weekday() else { return nil }
        var found = Weekdays(bits: 0)
        var first: Int?
        while true {
            if let first, first > day.number {
                throw CalendarError(
                    at: day.offset, "a range of weekdays runs from Monday towards Sunday",
                    hint: "Write the days across the end of the week as a list, such as `Mon,Fri..Sun`.")
            }
            for number in (first ?? day.number)...day.number { found.insert(number) }
            let mark = at
            let isRange = skip("..") || skip("-")
            if isRange, first != nil {
                throw CalendarError(at: mark, "a range has two ends", hint: "Write a list, such as `Mon..Wed,Fri`.")
            }
            if isAtEnd || peek == 0x20, !isRange { break }
            if !isRange, !skip(",") {
                throw CalendarError(
                    at: mark, "the weekday is followed by something that does not belong there",
                    hint: "Weekdays are `Mon` to `Sun`; put `,` or `..` between two, a blank behind the last.")
            }
            // A comma may end the list; a range must not be left open.
            if !isRange, isAtEnd || peek == 0x20 { break }
            first = isRange ? day.number : nil
            guard let next = weekday() else {
                throw CalendarError(
                    at: at, "a weekday is missing", hint: "Write `Mon` to `Sun`, and a blank behind the last of them.")
            }
            day = next
        }
        skipBlanks()
        return found
    }

    private mutating func weekday() -> (number: Int, offset: Int)? {
        guard let first = peek, CalendarParser.isLetter(first) else { return nil }
        let start = at
        // The long names first: the short ones begin them.
        for names in [Weekdays.longNames, Weekdays.names] {
            for (number, name) in names.enumerated() where skip(name, ignoringCase: true) { return (number, start) }
        }
        return nil
    }

    /// Decimal digits; nil where there are none or the number exceeds what any field can hold.
    mutating func number() -> Int? {
        let start = at
        var value = 0
        while let byte = peek, CalendarParser.isDigit(byte) {
            value = value * 10 + Int(byte - 0x30)
            // Larger than every limit, and small enough to go on multiplying.
            value = min(value, 1 << 48)
            at += 1
        }
        return at == start ? nil : value
    }

    /// A number of `unit`, with a fraction where it counts microseconds; digits beyond the sixth round.
    mutating func value(_ unit: CalendarUnit) throws(CalendarError) -> Int {
        let start = at
        guard let whole = number() else { throw unexpected(in: at == 0 ? .dateOrTime : .list) }
        guard whole <= Int(Int32.max) / unit.scale else {
            throw CalendarError(
                at: start, "the number is too large", hint: "No field has values of more than four digits.")
        }
        guard unit == .second, peek == UInt8(ascii: "."), at + 1 == text.count || text[at + 1] != UInt8(ascii: ".")
        else {
            return whole * unit.scale
        }
        at += 1
        guard let digit = peek, CalendarParser.isDigit(digit) else {
            throw CalendarError(at: at, "digits are missing behind the decimal point", hint: "Leave the point out.")
        }
        var fraction = 0
        var digits = 0
        while let byte = peek, CalendarParser.isDigit(byte) {
            if digits < 6 { fraction = fraction * 10 + Int(byte - 0x30) }
            if digits == 6, byte >= UInt8(ascii: "5") { fraction += 1 }
            digits += 1
            at += 1
        }
        while digits < 6 {
            fraction *= 10
            digits += 1
        }
        return whole * unit.scale + fraction
    }

    /// The error that the character here, or the end, is not what `place` allows.
    func unexpected(in place: Place) -> CalendarError {
        let word = String(decoding: text[at...].prefix { $0 != 0x20 }.prefix(40), as: UTF8.self)
        let what = word.isEmpty ? (isAtEnd ? "the end" : "a blank") : "`\(word)`"
        switch place {
        case .crontab:
            return CalendarError(
                at: 0, "this looks like a line of a crontab",
                hint: "Write `30 3 * * 1` as `Mon *-*-* 03:30:00`: weekdays, date, time of day.")
        case .dateOrTime:
            var hint = "Write a date such as `2026-05-01`, `*-*-01`, or a time such as `03:00`."
            let names = CalendarParser.shorthands.keys.sorted() + Weekdays.longNames + Weekdays.names
            if let near = Suggestion.nearest(to: word, among: names) { hint = "Did you mean `\(near)`? \(hint)" }
            return CalendarError(at: at, "a date or a time of day is expected, not \(what)", hint: hint)
        case .time:
            return CalendarError(
                at: at, "\(what) does not belong in a time of day",
                hint: "Write `hour:minute` or `hour:minute:second`, and behind it nothing but a blank and a zone.")
        case .list:
            return CalendarError(
                at: at, "a number is expected, not \(what)",
                hint: "Write a number, a list `1,5`, a range `1..5`, a step `1/5`, or `*` alone.")
        }
    }
}
