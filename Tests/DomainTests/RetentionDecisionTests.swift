import Testing

@testable import Domain

@Suite("Retention decisions")
struct RetentionDecisionTests {
    private let noon = CountedCalendar.instant(2026, 4, 5, 12)
    private let series = Digest(words: (9, 0, 0, 0))

    private func archive(_ number: UInt64, _ time: Int64, isPartial: Bool = false, places: Int = 1) -> ArchiveFact {
        ArchiveFact(
            id: Digest(words: (number, 0, 0, 0)), policy: "p", series: series, time: time, isPartial: isPartial,
            places: places)
    }

    private func decide(
        _ archives: [ArchiveFact], _ rule: RetentionRule, holds: [Hold] = [], now: Int64
    ) -> [Digest: RetentionDecision] {
        let decisions = RetentionPlan.decide(
            archives: archives, rules: ["p": rule], holds: holds, now: VaultTime(seconds: now))
        return Dictionary(uniqueKeysWithValues: decisions.map { ($0.archive, $0) })
    }

    @Test("An archive tells in both languages why and until when it is kept")
    func texts() throws {
        let rule = try RetentionRule(keepFor: .period(.years(7)), daily: 7)
        let fact = archive(1, noon)
        let decision = try #require(decide([fact], rule, now: noon + 5)[fact.id])
        #expect(
            decision.text(in: .english) == """
                kept because its retention period of 7 years has not ended, until 2033-04-05 12:00:00 UTC
                kept because it is the newest complete archive of its source, until there is a newer complete one
                kept because it is the newest complete archive with a verified copy, until a newer complete one is verified
                kept because it is one of the 7 daily archives to keep, until newer ones take its place
                """)
        #expect(
            decision.lines(in: .azerbaijani).first
                == "saxlanılır, çünki saxlanma müddəti (7 il) bitməyib; 2033-04-05 12:00:00 UTC tarixinədək")
        let zero = try RetentionRule(keepFor: .period(.zero), daily: 7)
        let gone = try #require(decide([fact, archive(2, noon + 60)], zero, now: noon + 90)[fact.id])
        #expect(
            gone.text(in: .english)
                == "may be destroyed since 2026-04-05 12:01:00 UTC: there is a newer complete archive")
        #expect(
            gone.text(in: .azerbaijani)
                == "2026-04-05 12:01:00 UTC tarixindən məhv edilə bilər: daha yeni tam arxiv var")
    }

    @Test("Every reason has its words in both languages, open, dated and over")
    func everyReason() {
        let whys: [KeepReason.Why] =
            [
                .clockUntrusted, .contradiction, .unknownPolicy("POL"), .hold(id: "h", name: "NAME"), .tierTerm,
                .minimum(.forever), .minimum(.period(.days(3))), .newestComplete, .newestVerified, .newest, .futureTime,
            ] + Tier.allCases.map { .owedTier($0) } + Generation.allCases.map { .generation($0, count: 4) }
        for language in Language.allCases {
            for until in [nil, noon] {
                #expect(Set(whys.map { KeepReason($0, until: until).text(in: language) }).count == whys.count)
            }
            #expect(whys.allSatisfy { !$0.ended(in: language).isEmpty })
        }
        for why in whys {
            let reason = KeepReason(why, until: noon)
            #expect(reason.text(in: .english).hasSuffix(", until 2026-04-05 12:00:00 UTC"))
            #expect(reason.text(in: .azerbaijani).hasSuffix("; 2026-04-05 12:00:00 UTC tarixinədək"))
        }
    }

    @Test("A rule of nothing keeps the newest complete archive, the newest verified and the newest one of all")
    func zeroRule() throws {
        let rule = try RetentionRule(keepFor: .period(.zero))
        let archives = [
            archive(1, noon), archive(2, noon + 10), archive(3, noon + 20, places: 0),
            archive(4, noon + 30, isPartial: true), archive(5, noon + 40, isPartial: true),
        ]
        let decisions = decide(archives, rule, now: noon + 50)
        #expect(decisions.filter { $0.value.isKept }.keys.sorted() == [2, 3, 5].map { Digest(words: ($0, 0, 0, 0)) })
        #expect(decisions[archives[1].id]?.reasons.map(\.why) == [.newestVerified])
        #expect(decisions[archives[2].id]?.reasons.map(\.why) == [.newestComplete])
        #expect(decisions[archives[4].id]?.reasons.map(\.why) == [.newest])
    }

    @Test("A partial archive takes no slot from a complete one and stays beside it only as the newest of the slot")
    func partialSlots() throws {
        let rule = try RetentionRule(keepFor: .period(.zero), daily: 2)
        let day: Int64 = 86_400
        let archives = [
            archive(1, noon), archive(2, noon + day), archive(3, noon + day + 10, isPartial: true),
            archive(4, noon + day + 20, isPartial: true), archive(5, noon + 2 * day, isPartial: true),
            archive(6, noon + 3 * day), archive(7, noon + 3 * day - 10, isPartial: true),
        ]
        let kept = decide(archives, rule, now: noon + 9 * day).filter { $0.value.isKept }.keys.sorted()
        // Complete: days 3 and 1, as if 2 and 0 were not. Of any kind: days 3 and 2.
        #expect(kept == [2, 5, 6].map { Digest(words: ($0, 0, 0, 0)) })
    }

    @Test("The longest permitted retention ends generations, and never a duty, a hold or the newest archive")
    func maximum() throws {
        let rule = try RetentionRule(keepFor: .period(.days(10)), yearly: 9, maximum: .months(2))
        let old = archive(1, CountedCalendar.instant(2025, 12, 31))
        let newest = archive(2, CountedCalendar.instant(2026, 1, 1))
        let end = CountedCalendar.instant(2026, 2, 28)
        #expect(decide([old, newest], rule, now: end - 1)[old.id]?.isKept == true)
        #expect(decide([old, newest], rule, now: end)[old.id]?.isKept == false)
        let past = try #require(decide([old, newest], rule, now: noon)[newest.id])
        #expect(past.isKept && past.isPastMaximumSince == CountedCalendar.instant(2026, 3, 1))
        #expect(
            past.text(in: .english).hasSuffix(
                "the longest retention that the policy permits ended at 2026-03-01 00:00:00 UTC"))
        #expect(throws: RetentionError(.maximumBelowMinimum)) {
            try RetentionRule(keepFor: .period(.months(1)), maximum: .days(30))
        }
        #expect(throws: RetentionError(.maximumBelowMinimum)) {
            try RetentionRule(keepFor: .forever, maximum: .years(9))
        }
    }

    @Test("An archive past the maximum that is removed brings no older one back, at a month's end neither")
    func maximumAtMonthEnd() throws {
        let rule = try RetentionRule(keepFor: .period(.zero), last: 2, maximum: .months(1))
        let oldest = archive(1, CountedCalendar.instant(2026, 1, 30, 12))
        let past = archive(2, CountedCalendar.instant(2026, 1, 31, 1))
        let newest = archive(3, CountedCalendar.instant(2026, 2, 1))
        // A month after noon of 30 January comes later than a month after the first hour of the 31st.
        let now = CountedCalendar.instant(2026, 2, 28, 2)
        let before = decide([oldest, past, newest], rule, now: now)
        #expect(before[oldest.id]?.isKept == false && before[past.id]?.isKept == false)
        #expect(decide([oldest, newest], rule, now: now)[oldest.id]?.isKept == false)
    }

    @Test("Counts of a rule are bounded, and extreme times and empty input do no harm")
    func extremes() throws {
        #expect(throws: RetentionError(.countOutOfRange(.weekly, -1))) {
            try RetentionRule(keepFor: .forever, weekly: -1)
        }
        #expect(throws: RetentionError(.countOutOfRange(.last, 100_001))) {
            try RetentionRule(keepFor: .forever, last: 100_001)
        }
        let rule = try RetentionRule(keepFor: .period(.years(10_000)), yearly: 3, maximum: .years(10_000))
        let archives = [Int64.min, -1, 0, 1, Int64.max].enumerated().map { archive(UInt64($0.offset), $0.element) }
        for now in [Int64.min, 0, Int64.max] { #expect(decide(archives, rule, now: now).count == 5) }
        #expect(decide([], rule, now: 0).isEmpty)
        #expect(decide(archives, rule, now: 0)[archives[4].id]?.isKept == true)
    }

    @Test("Contradicting records keep an archive, equal ones count once, stubs get no decision and count for nothing")
    func duplicates() throws {
        let rule = try RetentionRule(keepFor: .period(.zero))
        var other = archive(1, noon)
        other.policy = "elsewhere"
        let decisions = decide(
            [archive(1, noon), other, archive(2, noon + 1), archive(2, noon + 1)], rule, now: noon + 9)
        #expect(decisions.count == 2)
        #expect(decisions[other.id]?.reasons.map(\.why) == [.contradiction])

        var stub = archive(3, noon + 2)
        stub.tier = TierStanding(stage: .expired, end: .min)
        let after = decide([archive(2, noon + 1), stub], rule, now: noon + 9)
        #expect(after.count == 1 && after[archive(2, 0).id]?.isKept == true)
        var alive = stub
        alive.tier = .untiered
        #expect(decide([stub, alive], rule, now: noon + 9)[stub.id]?.reasons.map(\.why) == [.contradiction])
    }

    @Test("A forecast takes tiers to be reached on time, says so, and leaves out what has no end")
    func forecast() throws {
        let rule = try RetentionRule(keepFor: .period(.zero))
        var owing = archive(1, noon)
        owing.tier = TierStanding(stage: .online, owes: .offline, end: noon + 500)
        let archives = [owing, archive(2, noon + 1)]
        let calendar = RetentionPlan.simulate(archives: archives, rules: ["p": rule], holds: [], until: noon + 500)
        let only = try #require(calendar.first)
        #expect(calendar.count == 1 && only.instant == noon + 500 && only.assumedTier == .offline)
        #expect(only.text(in: .english).hasSuffix("provided it reaches the offline archive on time"))
        #expect(only.text(in: .azerbaijani).hasSuffix("bu şərtlə ki, oflayn arxivə vaxtında keçsin"))
        #expect(RetentionPlan.simulate(archives: archives, rules: ["p": rule], holds: [], until: noon + 499).isEmpty)
        #expect(decide(archives, rule, now: noon + 9000)[owing.id]?.reasons.map(\.why) == [.owedTier(.offline)])
    }

    @Test("Twenty thousand archives are decided in seconds, even in a debug build")
    func many() throws {
        let rule = try RetentionRule(
            keepFor: .period(.days(30)), last: 10, hourly: 48, daily: 30, weekly: 8, monthly: 24, yearly: 7)
        let archives = (0..<20_000 as Range<UInt64>).map { archive($0, noon + Int64($0) * 600, isPartial: $0 % 7 == 0) }
        let clock = ContinuousClock()
        var decisions: [Digest: RetentionDecision] = [:]
        let took = clock.measure { decisions = decide(archives, rule, now: noon + 13_000_000) }
        print("20 000 archives decided in \(took)")
        // A million seconds after the last one, archives of 1.59 million seconds are in their period.
        #expect(decisions.values.count(where: \.isKept) > 2650 && decisions.values.contains { !$0.isKept })
        #expect(took < .seconds(60))
    }

    @Test("Every error says what and what to do, in both languages")
    func errors() {
        let reasons: [RetentionError.Reason] =
            [
                .emptyPeriod, .periodTextTooLong, .notAPeriod("x", suggestion: nil), .noNumber("x"), .noUnit("1"),
                .notWhole("."), .unknownUnit("x", suggestion: nil), .ambiguousUnit("m"), .repeatedUnit("days"),
                .badISO("P"), .periodTooLong, .countOutOfRange(.daily, -1), .maximumBelowMinimum, .noArchiveTier,
                .emptyTierText(.online), .noPlace, .badPlace("/"), .repeatedPlace("a"), .tooManyPlaces,
                .offlineCopiesOutOfRange(0), .activeTrigger, .moveNeedsActiveTerm, .previousNeverEnds(.offline),
                .badHoldID("/"), .releasedAtPlacing("h"), .emptySelector, .badPathPrefix("x"), .emptyTimeRange,
                .duplicateHold("h"), .unknownHold("h", suggestion: nil), .alreadyReleased("h"),
                .releaseAlreadyRequested("h", by: "a"), .releaseNotRequested("h"), .selfApproval("a"),
            ] + RetentionError.HoldText.allCases.flatMap { [.emptyHoldText($0), .holdTextTooLong($0)] }
        for language in Language.allCases {
            let errors = reasons.map { RetentionError($0) }
            #expect(Set(errors.map { $0.message(in: language) }).count == reasons.count)
            #expect(errors.allSatisfy { $0.hint(in: language).count > 8 && !$0.message(in: language).hasSuffix(".") })
        }
    }
}
