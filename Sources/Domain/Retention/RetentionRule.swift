/// The generations of grandfather-father-son retention: of which time slots one archive each is kept.
package enum Generation: String, Sendable, CaseIterable, Codable {
    case last, hourly, daily, weekly, monthly, yearly

    package func name(in language: Language) -> String {
        switch (self, language) {
        case (_, .english): rawValue
        case (.last, .azerbaijani): "son"
        case (.hourly, .azerbaijani): "saatlıq"
        case (.daily, .azerbaijani): "gündəlik"
        case (.weekly, .azerbaijani): "həftəlik"
        case (.monthly, .azerbaijani): "aylıq"
        case (.yearly, .azerbaijani): "illik"
        }
    }

    /// The number of the time slot that an instant falls in: hours, days, weeks from Monday, months, years, all UTC.
    ///
    /// Every archive is its own slot for ``last``, which therefore has no number.
    func slot(of instant: Int64) -> Int64? {
        switch self {
        case .last: nil
        case .hourly: instant.dividedDown(by: 3600)
        case .daily: instant.dividedDown(by: 86_400)
        // The first of January 1970 was a Thursday.
        case .weekly: (instant.dividedDown(by: 86_400) + 3).dividedDown(by: 7)
        case .monthly: UTCDate(instant).monthNumber
        case .yearly: UTCDate(instant).year
        }
    }
}

/// How long the archives of a policy are kept.
///
/// `keepFor` is a duty: no archive of the policy is destroyed before it is over. The generations are wishes beyond it:
/// of the newest so many slots that have archives, the newest archive of each stays. `maximum`, where the law sets one,
/// ends the wishes, never a duty, a hold or the newest archive.
package struct RetentionRule: Hashable, Sendable {
    package static let maximumCount = 100_000

    package let keepFor: KeepingTerm
    package let last: Int
    package let hourly: Int
    package let daily: Int
    package let weekly: Int
    package let monthly: Int
    package let yearly: Int
    package let maximum: Period?

    package init(
        keepFor: KeepingTerm, last: Int = 0, hourly: Int = 0, daily: Int = 0, weekly: Int = 0, monthly: Int = 0,
        yearly: Int = 0, maximum: Period? = nil
    ) throws(RetentionError) {
        self.keepFor = keepFor
        self.last = last
        self.hourly = hourly
        self.daily = daily
        self.weekly = weekly
        self.monthly = monthly
        self.yearly = yearly
        self.maximum = maximum
        for generation in Generation.allCases {
            let count = count(of: generation)
            guard (0...Self.maximumCount).contains(count) else {
                throw RetentionError(.countOutOfRange(generation, count))
            }
        }
        if let maximum, !KeepingTerm.period(maximum).isNeverShorter(than: keepFor) {
            throw RetentionError(.maximumBelowMinimum)
        }
    }

    package func count(of generation: Generation) -> Int {
        switch generation {
        case .last: last
        case .hourly: hourly
        case .daily: daily
        case .weekly: weekly
        case .monthly: monthly
        case .yearly: yearly
        }
    }

    /// Whether nothing that `other` keeps would be lost by this rule, whatever the archives: else a change from
    /// `other` to this one shortens retention and needs a second person.
    package func isNeverShorter(than other: RetentionRule) -> Bool {
        guard keepFor.isNeverShorter(than: other.keepFor) else { return false }
        guard Generation.allCases.allSatisfy({ count(of: $0) >= other.count(of: $0) }) else { return false }
        guard let maximum else { return true }
        return other.maximum.map { maximum.isNeverShorter(than: $0) } ?? false
    }
}
