import Domain
import Testing

/// What the rules say, word for word and without any economy: each question scans the whole history.
struct RetentionModel {
    var archives: [ArchiveFact]
    var rules: [String: RetentionRule]
    var holds: [Hold]

    func keeps(_ fact: ArchiveFact, at now: VaultTime) -> Bool {
        if !now.isTrusted || fact.time > now.seconds { return true }
        guard let rule = rules[fact.policy] else { return true }
        if holds.contains(where: { hold in hold.covers(fact) && (hold.releasedAt.map { now.seconds < $0 } ?? true) }) {
            return true
        }
        if fact.tier.owes != nil || fact.tier.end.map({ now.seconds < $0 }) ?? true { return true }
        switch rule.keepFor {
        case .forever: return true
        case .period(let period): if now.seconds < CountedCalendar.adding(period, to: fact.time) { return true }
        }
        let seen = archives.filter { $0.time <= now.seconds && $0.policy == fact.policy && $0.series == fact.series }
            .sorted { ($0.time, $0.id) > ($1.time, $1.id) }
        let complete = seen.filter { !$0.isPartial }
        if complete.first == fact || complete.first(where: { $0.places > 0 }) == fact || seen.first == fact {
            return true
        }
        if let maximum = rule.maximum, maximumEnd(maximum, fact.time) <= now.seconds { return false }
        let rivals = fact.isPartial ? seen : complete
        return Generation.allCases.contains { generation in
            var slots: [String] = []
            for rival in rivals {
                let slot = CountedCalendar.slot(generation, of: rival)
                if slots.last == slot { continue }
                slots.append(slot)
                if slots.count > rule.count(of: generation) { return false }
                if rival == fact { return true }
            }
            return false
        }
    }

    /// The earliest end of all beginnings from `time` on.
    private func maximumEnd(_ maximum: Period, _ time: Int64) -> Int64 {
        let midnights = (1...40).map { Int64(CountedCalendar.day(of: time) + $0) * 86_400 }
        return ([time] + midnights).map { CountedCalendar.adding(maximum, to: $0) }.min() ?? .max
    }
}

/// A random institution: policies, archives of several series, holds.
struct RetentionHistory {
    var archives: [ArchiveFact] = []
    var rules: [String: RetentionRule] = [:]
    var holds: [Hold] = []
    var start: Int64
    var end: Int64

    init(using dice: inout RetentionDice) throws {
        start = CountedCalendar.instant(2019, 1, 1) + Int64(dice.roll(0...100_000_000))
        for name in ["a", "b"] { rules[name] = try Self.rule(using: &dice) }
        let series = [dice.digest(), dice.digest()]
        let gap = [600, 7000, 90_000, 800_000, 5_000_000][dice.roll(0...4)]
        var time = start
        for _ in 0..<dice.roll(1...50) {
            if !dice.once(in: 8) { time += Int64(dice.roll(0...gap)) }
            archives.append(Self.archive(at: time, series: series[dice.roll(0...1)], using: &dice))
        }
        end = time
        for number in 0..<dice.roll(0...2) { holds.append(try Self.hold(number, self, using: &dice)) }
    }

    static func rule(using dice: inout RetentionDice) throws -> RetentionRule {
        let keep = dice.once(in: 20) ? KeepingTerm.forever : .period(Self.period(using: &dice))
        func count(_ dice: inout RetentionDice) -> Int { dice.once(in: 2) ? 0 : dice.roll(1...6) }
        let counts = Generation.allCases.map { _ in count(&dice) }
        let maximum = dice.once(in: 3) ? Self.period(using: &dice) : nil
        let rule = try? RetentionRule(
            keepFor: keep, last: counts[0], hourly: counts[1], daily: counts[2], weekly: counts[3], monthly: counts[4],
            yearly: counts[5], maximum: maximum)
        return try rule
            ?? RetentionRule(
                keepFor: keep, last: counts[0], hourly: counts[1], daily: counts[2], weekly: counts[3],
                monthly: counts[4], yearly: counts[5])
    }

    static func period(using dice: inout RetentionDice) -> Period {
        switch dice.roll(0...4) {
        case 0, 1: .zero
        case 2: .hours(dice.roll(1...100))
        case 3: .days(dice.roll(1...100))
        default: .months(dice.roll(1...30))
        }
    }

    static func archive(at time: Int64, series: Digest, using dice: inout RetentionDice) -> ArchiveFact {
        var tier = TierStanding.untiered
        if dice.once(in: 20) {
            tier = TierStanding(
                stage: .online, owes: dice.once(in: 2) ? .offline : nil, end: time + Int64(dice.roll(0...9_000_000)))
        }
        let policy = ["a", "a", "a", "a", "a", "a", "b", "b", "b", "gone"][dice.roll(0...9)]
        return ArchiveFact(
            id: dice.digest(), policy: policy, component: dice.once(in: 3) ? nil : .log, series: series, time: time,
            isPartial: dice.once(in: 3), places: dice.roll(0...2), paths: dice.once(in: 3) ? [] : ["/srv/a"], tier: tier
        )
    }

    static func hold(_ number: Int, _ history: RetentionHistory, using dice: inout RetentionDice) throws -> Hold {
        let middle = history.start + Int64(dice.roll(0...Int(history.end - history.start)))
        let criteria: HoldCriteria =
            switch dice.roll(0...3) {
            case 0: HoldCriteria(policy: "a", from: middle)
            case 1: HoldCriteria(component: .database)
            case 2: HoldCriteria(pathPrefix: "/srv/b")
            default: HoldCriteria(archives: [history.archives[dice.roll(0...(history.archives.count - 1))].id])
            }
        let act = Hold.Act(person: "x", reason: "case", time: history.start)
        let hold = Hold(
            id: "h\(number)", name: "Case", legalBasis: "law", placed: act, selector: .matching(criteria))
        guard dice.once(in: 2) else { return hold }
        let register = try HoldRegister(folding: [
            .placed(hold), .releaseRequested(hold: hold.id, act),
            .releaseApproved(hold: hold.id, Hold.Act(person: "y", reason: "over", time: middle)),
        ])
        return register[hold.id] ?? hold
    }

    /// Instants worth looking at: of archives, and after them up to four years.
    func instant(using dice: inout RetentionDice) -> Int64 {
        let spread = dice.once(in: 2) ? Int(end - start) : 130_000_000
        return start + Int64(dice.roll(0...max(1, spread)))
    }

    func decide(_ now: VaultTime) -> [RetentionDecision] {
        RetentionPlan.decide(archives: archives, rules: rules, holds: holds, now: now)
    }

    func kept(at now: Int64) -> Set<Digest> {
        Set(decide(VaultTime(seconds: now)).filter(\.isKept).map(\.archive))
    }
}

@Suite("Retention against a model and its own promises")
struct RetentionModelTests {
    static let rounds = RetentionDice.isLong ? 5000 : 200

    private func eachHistory(_ name: String, _ body: (RetentionHistory, inout RetentionDice) throws -> Void) throws {
        let seed = RetentionDice.seed
        print("\(name): seed \(seed), \(Self.rounds) histories")
        var dice = RetentionDice(seed: seed)
        for _ in 0..<Self.rounds { try body(RetentionHistory(using: &dice), &dice) }
    }

    /// Compares all decisions at one instant with the model; returns how many were kept, and how many not.
    private func compare(_ history: RetentionHistory, at now: VaultTime) -> (kept: Int, expired: Int) {
        let model = RetentionModel(archives: history.archives, rules: history.rules, holds: history.holds)
        let decisions = history.decide(now)
        let verdicts = Dictionary(uniqueKeysWithValues: decisions.map { ($0.archive, $0.isKept) })
        #expect(verdicts.count == history.archives.count)
        var kept = 0
        for fact in history.archives {
            let expected = model.keeps(fact, at: now)
            if verdicts[fact.id] != expected { Issue.record("\(fact): the model says \(expected) at \(now)") }
            if expected { kept += 1 }
        }
        return (kept, history.archives.count - kept)
    }

    @Test("Every decision on random histories is the model's")
    func model() throws {
        var kept = 0
        var expired = 0
        try eachHistory("model") { history, dice in
            for _ in 0..<3 {
                let now = VaultTime(seconds: history.instant(using: &dice), isTrusted: !dice.once(in: 20))
                let counts = compare(history, at: now)
                kept += counts.kept
                expired += counts.expired
            }
        }
        print("model: \(kept) kept, \(expired) expired")
        #expect(kept > 1000 && expired > 1000)
    }

    @Test("The newest complete archive, held, unknown and future ones stay, and all while the clock is not trusted")
    func neverExpire() throws {
        try eachHistory("never") { history, dice in
            let now = history.instant(using: &dice)
            let kept = history.kept(at: now)
            let seen = history.archives.filter { $0.time <= now }
            for (_, series) in Dictionary(grouping: seen, by: \.series) {
                let complete = series.filter { !$0.isPartial }.max { ($0.time, $0.id) < ($1.time, $1.id) }
                if let complete, !kept.contains(complete.id) { Issue.record("lost the newest \(complete)") }
            }
            for fact in history.archives where !kept.contains(fact.id) {
                let isHeld = history.holds.contains { $0.isInForce && $0.covers(fact) }
                if isHeld || history.rules[fact.policy] == nil || fact.time > now { Issue.record("lost \(fact)") }
            }
            #expect(history.decide(VaultTime(seconds: now, isTrusted: false)).allSatisfy { $0.isKept })
        }
    }

    @Test("The order of the input does not matter")
    func order() throws {
        try eachHistory("order") { history, dice in
            var shuffled = history
            shuffled.archives.shuffle(using: &dice)
            shuffled.holds.shuffle(using: &dice)
            let now = VaultTime(seconds: history.instant(using: &dice))
            #expect(history.decide(now) == shuffled.decide(now))
        }
    }

    @Test("A longer rule and older archives never make a kept archive expire")
    func lengthening() throws {
        try eachHistory("longer") { history, dice in
            let now = history.instant(using: &dice)
            let kept = history.kept(at: now)
            var longer = history
            for (name, rule) in history.rules {
                let other = try RetentionHistory.rule(using: &dice)
                let counts = Generation.allCases.map { rule.count(of: $0) + dice.roll(0...2) }
                let longerRule = try RetentionRule(
                    keepFor: other.keepFor.isNeverShorter(than: rule.keepFor) ? other.keepFor : rule.keepFor,
                    last: counts[0], hourly: counts[1], daily: counts[2], weekly: counts[3], monthly: counts[4],
                    yearly: counts[5])
                #expect(longerRule.isNeverShorter(than: rule))
                longer.rules[name] = longerRule
            }
            #expect(kept.isSubset(of: longer.kept(at: now)))

            let pivot = history.archives[dice.roll(0...(history.archives.count - 1))]
            var older = history
            for _ in 0..<dice.roll(1...5) {
                let time = pivot.time - Int64(dice.roll(1...3_000_000))
                older.archives.append(RetentionHistory.archive(at: time, series: pivot.series, using: &dice))
            }
            let newer = Set(history.archives.filter { $0.time >= pivot.time }.map(\.id))
            #expect(kept.intersection(newer) == older.kept(at: now).intersection(newer))
        }
    }

    @Test("What may expire stays so as time passes, archives come and expired ones go")
    func monotone() throws {
        try eachHistory("monotone") { history, dice in
            let now = history.instant(using: &dice)
            let kept = history.kept(at: now)
            let expired = Set(history.archives.map(\.id)).subtracting(kept)
            var later = history
            let then = now + Int64(dice.roll(1...50_000_000))
            for _ in 0..<dice.roll(0...4) {
                let time = max(now, history.end) + Int64(dice.roll(1...3_000_000))
                let series = history.archives[0].series
                later.archives.append(RetentionHistory.archive(at: time, series: series, using: &dice))
            }
            #expect(later.kept(at: then).isDisjoint(with: expired))

            var swept = history
            swept.archives.removeAll { expired.contains($0.id) && !dice.once(in: 3) }
            let remaining = Set(swept.archives.map(\.id))
            #expect(swept.kept(at: now) == kept, "removing expired archives changed a decision")
            #expect(swept.kept(at: then) == history.kept(at: then).intersection(remaining))
        }
    }

    @Test("An archive may go from the very second that the decision and the simulation name, and not before")
    func since() throws {
        var seconds = 0
        try eachHistory("since") { history, dice in
            let now = history.instant(using: &dice)
            var instants: [Digest: Int64] = [:]
            for decision in history.decide(VaultTime(seconds: now)) {
                guard case .expire(let since, let last) = decision.verdict else { continue }
                instants[decision.archive] = since
                #expect(since <= now && last.until == since)
            }
            let calendar = RetentionPlan.simulate(
                archives: history.archives, rules: history.rules, holds: history.holds, until: now)
            let sure = calendar.filter { $0.assumedTier == nil }
            #expect(Dictionary(uniqueKeysWithValues: sure.map { ($0.archive, $0.instant) }) == instants)
            #expect(calendar.map(\.instant) == calendar.map(\.instant).sorted())
            for (archive, since) in instants.shuffled(using: &dice).prefix(2) {
                #expect(history.kept(at: since - 1).contains(archive))
                #expect(!history.kept(at: since).contains(archive))
                seconds += 1
            }
        }
        #expect(seconds > 100)
    }
}
