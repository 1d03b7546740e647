/// The words of periods in both languages, and the reader of what people write.
enum PeriodText {
    /// No period needs more; longer texts are refused unread.
    static let maximumBytes = 128

    enum Unit: CaseIterable {
        case years, months, weeks, days, hours, minutes, seconds

        /// The first is the word that errors suggest.
        var names: [String] {
            switch self {
            case .years: ["years", "year", "yrs", "yr", "y", "il"]
            case .months: ["months", "month", "mo", "ay"]
            case .weeks: ["weeks", "week", "w", "həftə"]
            case .days: ["days", "day", "d", "gün"]
            case .hours: ["hours", "hour", "h", "saat"]
            case .minutes: ["minutes", "minute", "min", "dəqiqə", "dəq"]
            case .seconds: ["seconds", "second", "sec", "s", "saniyə", "san"]
            }
        }

        /// What one of it adds.
        var size: (months: Int, seconds: Int64) {
            switch self {
            case .years: (12, 0)
            case .months: (1, 0)
            case .weeks: (0, 604_800)
            case .days: (0, 86_400)
            case .hours: (0, 3600)
            case .minutes: (0, 60)
            case .seconds: (0, 1)
            }
        }

        /// The letters of ISO 8601 before and after `T`, in the order in which they must come.
        static let isoDate: [(UInt8, Unit)] = [(0x59, .years), (0x4D, .months), (0x57, .weeks), (0x44, .days)]
        static let isoTime: [(UInt8, Unit)] = [(0x48, .hours), (0x4D, .minutes), (0x53, .seconds)]
    }

    /// Lower case, where a capital of `i` keeps its dot in Azerbaijani and must lose it to be found.
    static func folded(_ text: some StringProtocol) -> String {
        String(text.map { $0 == "İ" ? "i" : $0 }).lowercased()
    }

    static func trimmed(_ text: String) -> Substring {
        let start = text.drop(while: \.isWhitespace)
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return start.prefix(0) }
        return start[...last]
    }

    static func isDigit(_ character: Character) -> Bool { character.isASCII && character.isNumber }
}

extension Period {
    /// Reads `7 years`, `6 months`, `1 year 6 months`, `30d`, `7 il`, `30 gün`, `12 saat`, or ISO 8601 (`P7Y6M`,
    /// `PT12H`): whole numbers, each with a unit, each unit once.
    ///
    /// The error tells what to write, and its position is the UTF-8 offset of what it does not understand.
    package init(parsing text: String) throws(RetentionError) {
        guard text.utf8.count <= PeriodText.maximumBytes else { throw RetentionError(.periodTextTooLong) }
        let body = PeriodText.trimmed(text)
        guard let first = body.first else { throw RetentionError(.emptyPeriod) }
        let second = body.dropFirst().first
        let isISO = (first == "P" || first == "p") && (second.map { PeriodText.isDigit($0) || $0 == "T" } ?? true)
        self = try isISO ? Self.iso(body) : Self.words(body)
    }

    private static func words(_ body: Substring) throws(RetentionError) -> Period {
        var sum = PeriodSum()
        var rest = body
        while !rest.isEmpty {
            let position = body.base.utf8.distance(from: body.base.startIndex, to: rest.startIndex)
            let digits = rest.prefix(while: PeriodText.isDigit)
            let afterDigits = rest.dropFirst(digits.count)
            if let mark = afterDigits.first, mark == "." || mark == ",", !digits.isEmpty {
                throw RetentionError(.notWhole(String(afterDigits.prefix(8))), at: position)
            }
            let spaced = afterDigits.drop(while: \.isWhitespace)
            let word = spaced.prefix { !$0.isWhitespace && !PeriodText.isDigit($0) }
            if digits.isEmpty {
                let isAll = word.startIndex == body.startIndex && word.endIndex == body.endIndex
                let found = String(word)
                throw RetentionError(isAll ? .notAPeriod(found, suggestion: nil) : .noNumber(found), at: position)
            }
            guard !word.isEmpty else { throw RetentionError(.noUnit(String(digits)), at: position) }
            let unitAt = body.base.utf8.distance(from: body.base.startIndex, to: word.startIndex)
            try sum.add(digits, try unit(word, at: unitAt), at: position)
            rest = spaced.dropFirst(word.count).drop(while: \.isWhitespace)
        }
        return try Period(months: sum.months, seconds: sum.seconds)
    }

    private static func unit(_ word: Substring, at position: Int) throws(RetentionError) -> PeriodText.Unit {
        let folded = PeriodText.folded(word)
        if folded == "m" { throw RetentionError(.ambiguousUnit(String(word)), at: position) }
        if let unit = PeriodText.Unit.allCases.first(where: { $0.names.contains(folded) }) { return unit }
        let known = PeriodText.Unit.allCases.flatMap { $0.names.filter { $0.count > 1 } }
        let suggestion = Suggestion.nearest(to: folded, among: known)
        throw RetentionError(.unknownUnit(String(word), suggestion: suggestion), at: position)
    }

    private static func iso(_ body: Substring) throws(RetentionError) -> Period {
        let bytes = Array(body.utf8)
        let offset = body.base.utf8.distance(from: body.base.startIndex, to: body.startIndex)
        var sum = PeriodSum()
        var order = PeriodText.Unit.isoDate[...]
        var isTime = false
        var at = 1
        while at < bytes.count {
            if bytes[at] & 0xDF == 0x54, !isTime {
                (isTime, order) = (true, PeriodText.Unit.isoTime[...])
                at += 1
                guard at < bytes.count else { break }
            }
            let start = at
            while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
            guard at > start, at < bytes.count,
                let found = order.firstIndex(where: { $0.0 == bytes[at] & 0xDF && bytes[at] >= 0x41 })
            else { throw RetentionError(.badISO(String(body)), at: offset + at) }
            try sum.add(Substring(decoding: bytes[start..<at], as: UTF8.self), order[found].1, at: offset + start)
            order = order[(found + 1)...]
            at += 1
        }
        let hasTime = !sum.seen.isDisjoint(with: [.hours, .minutes, .seconds])
        guard !sum.seen.isEmpty, hasTime == isTime else {
            throw RetentionError(.badISO(String(body)), at: offset + at)
        }
        return try Period(months: sum.months, seconds: sum.seconds)
    }
}

/// A period while it is read.
private struct PeriodSum {
    var months = 0
    var seconds: Int64 = 0
    var seen: Set<PeriodText.Unit> = []

    mutating func add(_ digits: Substring, _ unit: PeriodText.Unit, at position: Int) throws(RetentionError) {
        guard seen.insert(unit).inserted else { throw RetentionError(.repeatedUnit(unit.names[0]), at: position) }
        guard digits.count <= 15, let count = Int64(digits) else { throw RetentionError(.periodTooLong, at: position) }
        let (unitMonths, unitSeconds) = unit.size
        guard count <= Period.maximumSeconds / max(unitSeconds, 1),
            unitMonths == 0 || count <= Period.maximumMonths / unitMonths
        else { throw RetentionError(.periodTooLong, at: position) }
        months += Int(count) * unitMonths
        seconds += count * unitSeconds
        guard months <= Period.maximumMonths, seconds <= Period.maximumSeconds else {
            throw RetentionError(.periodTooLong, at: position)
        }
    }
}
