/// An archive that other rules would give up earlier.
package struct EarlierExpiry: Sendable, Equatable {
    /// By the rules of before; nil for never.
    package var before: Int64?
    package var after: ExpectedExpiry
}

extension RetentionPlan {
    /// What the rules of `after` would give up earlier than those of `before`, by the new instant. Both are whole
    /// forecasts, ``simulate(archives:rules:holds:until:)`` without an end, over the same archives and holds: what is
    /// missing in one is kept for ever by it.
    package static func earlier(before: [ExpectedExpiry], after: [ExpectedExpiry]) -> [EarlierExpiry] {
        let instants = Dictionary(before.map { ($0.archive, $0.instant) }) { first, second in min(first, second) }
        return after.compactMap { expiry in
            let known = instants[expiry.archive]
            if let known, known <= expiry.instant { return nil }
            return EarlierExpiry(before: known, after: expiry)
        }
    }
}
