// What is kept and what may go, and why.
//
// 1. A decision about an archive depends on newer archives of its series only (series under one policy), on its own
//    facts, rule, tier and holds, and on the time. Adding older archives, or removing expired ones, changes nothing
//    for the others.
// 2. The newest complete archive of a series never expires, nor does the newest complete one that has a verified copy,
//    nor the newest one of all, whatever the rule says.
// 3. Complete archives are ranked as if partial ones did not exist; a partial one takes no slot in which there is a
//    newer archive, and never takes one from a complete archive: the newest partial archive of a slot stays beside it.
// 4. An archive under a hold, of a policy that is not in force, with a time in the future, with contradicting records
//    or with a tier before it is kept. So is every archive while the time is not trusted.
// 5. Every reason has an end that only facts determine. Time passing and archives coming end reasons and begin none,
//    so what may expire stays so.
//
// Nothing here deletes: who does asks again under the log's rules, with the facts of that moment.

/// Decides about archives; a pure function of its arguments, whatever their order.
package enum RetentionPlan {
    /// A decision for every archive that is not already disposed of, in the order of time, then identity.
    ///
    /// `rules` are those of the policies in force, by name. `holds` may contain released ones: they tell since when
    /// an archive is free.
    package static func decide(
        archives: some Sequence<ArchiveFact>, rules: [String: RetentionRule], holds: [Hold], now: VaultTime
    ) -> [RetentionDecision] {
        reckon(archives, rules, holds).map { reckoned in
            var keeping = reckoned.reasons.filter { $0.holds(at: now.seconds) }
            if !now.isTrusted { keeping.insert(KeepReason(.clockUntrusted, until: nil), at: 0) }
            guard keeping.isEmpty else {
                let past = reckoned.maximumEnd.flatMap { $0 <= now.seconds ? $0 : nil }
                return RetentionDecision(archive: reckoned.id, verdict: .keep(keeping), isPastMaximumSince: past)
            }
            let last = reckoned.lastReason
            return RetentionDecision(archive: reckoned.id, verdict: .expire(since: last.until ?? .max, last: last))
        }
    }

    /// The calendar of expiries up to `until`, by instant: what ``decide(archives:rules:holds:now:)`` would give up if
    /// no archive came, no hold changed, and every archive reached its tiers on time.
    package static func simulate(
        archives: some Sequence<ArchiveFact>, rules: [String: RetentionRule], holds: [Hold], until: Int64
    ) -> [ExpectedExpiry] {
        var expected: [ExpectedExpiry] = []
        for var reckoned in reckon(archives, rules, holds) {
            if reckoned.tier.owes != nil {
                reckoned.reasons = reckoned.reasons.map {
                    guard case .owedTier = $0.why else { return $0 }
                    return KeepReason(.tierTerm, until: reckoned.tier.end)
                }
            }
            let last = reckoned.lastReason
            guard let instant = last.until, instant <= until else { continue }
            let expiry = ExpectedExpiry(
                instant: instant, archive: reckoned.id, last: last, assumedTier: reckoned.tier.owes)
            expected.append(expiry)
        }
        return expected.sorted { ($0.instant, $0.archive) < ($1.instant, $1.archive) }
    }
}

/// One archive with every reason that keeps or kept it.
private struct Reckoned {
    var id: Digest
    var time: Int64
    var tier: TierStanding
    var reasons: [KeepReason]
    var maximumEnd: Int64?

    /// The one that ends last; an open end is later than any.
    var lastReason: KeepReason {
        var last = KeepReason(.futureTime, until: time)
        for reason in reasons {
            guard let end = last.until else { return last }
            if reason.until.map({ $0 > end }) ?? true { last = reason }
        }
        return last
    }
}

private struct SeriesKey: Hashable {
    var policy: String
    var series: Digest
}

extension RetentionPlan {
    private static func reckon(
        _ archives: some Sequence<ArchiveFact>, _ rules: [String: RetentionRule], _ holds: [Hold]
    ) -> [Reckoned] {
        var byID: [Digest: ArchiveFact] = [:]
        var contradictory: [Digest: Int64] = [:]
        for fact in archives {
            if let known = byID.updateValue(fact, forKey: fact.id), known != fact {
                contradictory[fact.id] = max(contradictory[fact.id] ?? .min, known.time, fact.time)
            }
        }
        var reckoned = contradictory.map { id, time in
            Reckoned(
                id: id, time: time, tier: .untiered, reasons: [KeepReason(.contradiction, until: nil)], maximumEnd: nil)
        }
        let sound = byID.values.filter { contradictory[$0.id] == nil && $0.tier.stage != .expired }
        let holds = holds.sorted { $0.id < $1.id }
        for (key, facts) in Dictionary(grouping: sound, by: { SeriesKey(policy: $0.policy, series: $0.series) }) {
            let rule = rules[key.policy]
            var ranks = SeriesRanks(rule: rule)
            for fact in facts.sorted(by: ArchiveFact.isNewer) {
                let maximumEnd = rule?.maximum?.orderedEnd(from: fact.time)
                let reasons =
                    ownReasons(fact, rule, holds) + ranks.reasons(for: fact, endingBy: maximumEnd)
                    + [KeepReason(.futureTime, until: fact.time)]
                reckoned.append(
                    Reckoned(
                        id: fact.id, time: fact.time, tier: fact.tier, reasons: reasons, maximumEnd: maximumEnd))
            }
        }
        return reckoned.sorted { ($0.time, $0.id) < ($1.time, $1.id) }
    }

    /// The reasons that lie in the archive itself.
    private static func ownReasons(_ fact: ArchiveFact, _ rule: RetentionRule?, _ holds: [Hold]) -> [KeepReason] {
        var reasons: [KeepReason] = []
        if rule == nil { reasons.append(KeepReason(.unknownPolicy(fact.policy), until: nil)) }
        for hold in holds where hold.covers(fact) {
            reasons.append(KeepReason(.hold(id: hold.id, name: hold.name), until: hold.releasedAt))
        }
        if let moved = fact.moved {
            reasons.append(KeepReason(.onlyCopy(files: moved.count), until: moved.end))
        }
        if let term = rule?.keepFor { reasons.append(KeepReason(.minimum(term), until: term.end(from: fact.time))) }
        if let tier = fact.tier.owes {
            reasons.append(KeepReason(.owedTier(tier), until: nil))
        } else if fact.tier.end != TierStanding.untiered.end {
            reasons.append(KeepReason(.tierTerm, until: fact.tier.end))
        }
        return reasons
    }
}

/// Walks one series from its newest archive to its oldest and finds for each until when its rank keeps it.
private struct SeriesRanks {
    let rule: RetentionRule?
    /// Times of the nearest newer archive: complete, complete and verified, of any kind.
    private var newerComplete: Int64?
    private var newerVerified: Int64?
    private var newer: Int64?
    private var complete = GenerationSlots()
    private var all = GenerationSlots()

    init(rule: RetentionRule?) { self.rule = rule }

    mutating func reasons(for fact: ArchiveFact, endingBy maximumEnd: Int64?) -> [KeepReason] {
        var reasons: [KeepReason] = []
        if fact.isPartial {
            reasons.append(KeepReason(.newest, until: newer))
        } else {
            reasons.append(KeepReason(.newestComplete, until: newerComplete))
            if fact.places > 0 { reasons.append(KeepReason(.newestVerified, until: newerVerified)) }
        }
        for (at, generation) in Generation.allCases.enumerated() {
            guard let count = rule?.count(of: generation), count > 0 else { continue }
            let slot = generation.slot(of: fact.time)
            var end = all.end(of: fact.time, in: at, slot: slot, keeping: count)
            if !fact.isPartial { end = complete.end(of: fact.time, in: at, slot: slot, keeping: count) }
            if let maximumEnd { end = end.map { min($0, maximumEnd) } ?? maximumEnd }
            reasons.append(KeepReason(.generation(generation, count: count), until: end))
        }
        newer = fact.time
        if !fact.isPartial {
            newerComplete = fact.time
            if fact.places > 0 { newerVerified = fact.time }
        }
        return reasons
    }
}

/// For each generation the slots met so far, newest first, each with the time of its oldest archive so far.
private struct GenerationSlots {
    private struct Slot {
        var number: Int64?
        var earliest: Int64
    }

    private var slots: [[Slot]] = Generation.allCases.map { _ in [] }

    /// Adds an archive older than all before and returns when it loses its slot; nil while it does not.
    ///
    /// It loses it when a newer archive comes into the slot, or else when the `count`-th newer slot gets an archive,
    /// which is later; `count` is not 0. `generation` is the index of the generation in which the slot has the number.
    mutating func end(of time: Int64, in generation: Int, slot number: Int64?, keeping count: Int) -> Int64? {
        let last = slots[generation].count - 1
        if last >= 0, number != nil, slots[generation][last].number == number {
            let newer = slots[generation][last].earliest
            slots[generation][last].earliest = time
            return newer
        }
        slots[generation].append(Slot(number: number, earliest: time))
        let pushing = last + 1 - count
        return pushing >= 0 ? slots[generation][pushing].earliest : nil
    }
}
