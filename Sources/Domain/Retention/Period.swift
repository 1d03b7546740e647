/// A span of the calendar: so many months, then so many seconds. What retention rules and tiers are written in.
///
/// Years are twelve months, weeks and days are fixed (UTC has no summer time), months have the length they have where
/// they are counted. Never negative and at most ``maximumYears``, so that no sum of an instant and a period overflows.
package struct Period: Hashable, Sendable {
    package static let maximumYears = 10_000
    static let maximumMonths = maximumYears * 12
    static let maximumSeconds: Int64 = Int64(maximumYears) * 366 * 86_400

    /// 0 to ``maximumYears`` × 12.
    package let months: Int
    /// 0 to ``maximumYears`` × 366 days.
    package let seconds: Int64

    package static let zero = Period(clampedMonths: 0, seconds: 0)

    /// Throws when a part is negative or the whole is longer than ``maximumYears``.
    package init(months: Int = 0, seconds: Int64 = 0) throws(RetentionError) {
        guard (0...Self.maximumMonths).contains(months), (0...Self.maximumSeconds).contains(seconds) else {
            throw RetentionError(.periodTooLong)
        }
        self.months = months
        self.seconds = seconds
    }

    private init(clampedMonths months: Int, seconds: Int64) {
        self.months = min(max(months, 0), Self.maximumMonths)
        self.seconds = min(max(seconds, 0), Self.maximumSeconds)
    }

    // Periods written in code. Counts outside the range become its nearest end.
    package static func years(_ count: Int) -> Period { months(min(max(count, 0), maximumYears) * 12) }
    package static func months(_ count: Int) -> Period { Period(clampedMonths: count, seconds: 0) }
    package static func days(_ count: Int) -> Period { hours(min(max(count, 0), maximumYears * 366) * 24) }
    package static func hours(_ count: Int) -> Period { seconds(min(max(count, 0), maximumYears * 8784) * 3600) }
    package static func seconds(_ count: Int) -> Period { Period(clampedMonths: 0, seconds: Int64(count)) }

    package var isZero: Bool { months == 0 && seconds == 0 }

    /// The instant at which a period that begins at `instant` (seconds since 1970, UTC) ends.
    ///
    /// First the months: the same day of the later month, or its last where it is shorter (31 January and one month
    /// make 28 or 29 February, at the same time of day). Then the seconds. Instants more than 31 million years away
    /// stay as they are if they lie ahead, so that no rule can make them come earlier.
    package func adding(to instant: Int64) -> Int64 {
        guard instant < UTCDate.limit else { return instant }
        let begun = max(instant, -UTCDate.limit)
        if months == 0 { return begun + seconds }
        return UTCDate(begun).adding(months: Int64(months)).instant + seconds
    }

    /// The earliest end of a period that begins at `instant` or later.
    ///
    /// Month ends make ``adding(to:)`` lose order: noon of 30 January and a month is later on 28 February than one
    /// o'clock of 31 January and a month. Where an older archive must not outlive a newer one, this is the end to take:
    /// in order, never later than ``adding(to:)`` and less than a day earlier.
    func orderedEnd(from instant: Int64) -> Int64 {
        let end = adding(to: instant)
        guard months > 0, instant.magnitude < UTCDate.limit.magnitude else { return end }
        // All days that end on the same last day do so from midnight on, and the next day is one of them if any is.
        let nextDay = (instant.dividedDown(by: 86_400) + 1) * 86_400
        return min(end, adding(to: nextDay))
    }

    /// Whether this period ends no earlier than `other`, whatever the day on which both begin.
    ///
    /// Neither of two periods may be so: one month is longer than 30 days in March and shorter in February.
    package func isNeverShorter(than other: Period) -> Bool {
        if months >= other.months, seconds >= other.seconds { return true }
        if months <= other.months, seconds <= other.seconds { return false }
        // Months have 146 097 / 4800 days on average; however many follow each other, they stay near that.
        let difference = Double(months - other.months) * 30.436_875 * 86_400 + Double(seconds - other.seconds)
        if difference.magnitude > 10 * 86_400 { return difference > 0 }
        // The calendar repeats after 400 years, and days before the 28th fare as the 28th does.
        let start = UTCDate(year: 2000, month: 1, day: 1)
        for month in 0..<4800 as Range<Int64> {
            let first = start.adding(months: month)
            for day in 28...UTCDate.days(inMonth: first.month, of: first.year) {
                let begin = UTCDate(year: first.year, month: first.month, day: day).instant
                if adding(to: begin) < other.adding(to: begin) { return false }
            }
        }
        return true
    }

    /// The shortest spelling of ISO 8601, such as `P7Y6M` or `P1DT12H`; `P0D` for nothing.
    package var iso: String {
        let date = parts.prefix(3).map { $0.count == 0 ? "" : "\($0.count)\($0.letter)" }.joined()
        let time = parts.dropFirst(3).map { $0.count == 0 ? "" : "\($0.count)\($0.letter)" }.joined()
        if date.isEmpty, time.isEmpty { return "P0D" }
        return "P\(date)\(time.isEmpty ? "" : "T")\(time)"
    }

    /// `7 years 6 months`, `7 il 6 ay`; nothing is `0 days`.
    package func text(in language: Language) -> String {
        let said = parts.filter { $0.count > 0 }
        if said.isEmpty { return language == .azerbaijani ? "0 gün" : "0 days" }
        return said.map { part in
            switch language {
            case .english: "\(part.count) \(part.english)\(part.count == 1 ? "" : "s")"
            case .azerbaijani: "\(part.count) \(part.azerbaijani)"
            }
        }.joined(separator: " ")
    }

    private var parts: [(count: Int64, letter: String, english: String, azerbaijani: String)] {
        [
            (Int64(months / 12), "Y", "year", "il"), (Int64(months % 12), "M", "month", "ay"),
            (seconds / 86_400, "D", "day", "gün"), (seconds / 3600 % 24, "H", "hour", "saat"),
            (seconds / 60 % 60, "M", "minute", "dəqiqə"), (seconds % 60, "S", "second", "saniyə"),
        ]
    }
}

extension Period: CustomStringConvertible, Codable {
    package var description: String { iso }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self = try Period(parsing: container.decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(iso)
    }
}

/// How long something is kept: for a period, or for good (permanent custody).
package enum KeepingTerm: Hashable, Sendable {
    case period(Period)
    case forever

    static let foreverWords = ["forever", "permanent", "permanently", "daimi", "həmişəlik"]

    /// A period, or one of the words for good: `forever`, `permanent`, `daimi`, `həmişəlik`.
    package init(parsing text: String) throws(RetentionError) {
        if Self.foreverWords.contains(PeriodText.folded(PeriodText.trimmed(text))) {
            self = .forever
        } else {
            do {
                self = .period(try Period(parsing: text))
            } catch {
                guard case .notAPeriod(let word, _) = error.reason else { throw error }
                let meant = Suggestion.nearest(to: word, among: Self.foreverWords)
                throw RetentionError(.notAPeriod(word, suggestion: meant), at: error.position)
            }
        }
    }

    /// Nil when it never ends.
    package func end(from instant: Int64) -> Int64? {
        switch self {
        case .period(let period): period.adding(to: instant)
        case .forever: nil
        }
    }

    package func isNeverShorter(than other: KeepingTerm) -> Bool {
        switch (self, other) {
        case (.forever, _): true
        case (.period, .forever): false
        case (.period(let mine), .period(let theirs)): mine.isNeverShorter(than: theirs)
        }
    }

    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.period(let period), _): period.text(in: language)
        case (.forever, .english): "permanently"
        case (.forever, .azerbaijani): "daimi"
        }
    }
}

extension KeepingTerm: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self = try KeepingTerm(parsing: container.decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .period(let period): try container.encode(period.iso)
        case .forever: try container.encode("forever")
        }
    }
}
