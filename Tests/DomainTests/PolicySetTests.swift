import Domain
import Testing

/// A complete policy, and the set it makes; tests change one thing at a time.
enum Sample {
    static let day = CivilDay("2026-06-15") ?? CivilDay(secondsSince1970: 0)
    /// 2026-06-15 00:00:00 UTC.
    static let instant: Int64 = 1_781_481_600

    static func person(_ id: String, _ key: Character? = nil, uid: UInt32? = nil, _ validity: Validity? = nil) -> Person
    {
        Person(
            id: id, name: "Person \(id)", uid: uid,
            publicKey: key.flatMap { ApprovalKey(hex: String(repeating: $0, count: 64)) }, validity: validity)
    }

    static func policy(_ name: String = "web", _ component: Component = .config) throws -> Policy {
        var policy = Policy(
            name: name, component: component, responsiblePerson: person("a"), deputyPerson: person("b"),
            legalBasis: "Order 12", confidentiality: .confidential, sources: [FileSource(path: "/etc")])
        policy.schedule = Schedule(try CalendarExpression(parsing: "*-*-* 02:00:00"))
        policy.rpo = .days(1)
        policy.rto = .hours(4)
        policy.copies = [
            Policy.Copy(site: "one", role: .vault), Policy.Copy(site: "two", role: .mirror, lag: .hours(1)),
            Policy.Copy(site: "shelf", role: .volume, count: 2),
        ]
        policy.tiers = [
            .active: .used(format: "files", keep: .forever, trigger: .onCommit),
            .online: .used(format: "vault", keep: .period(.years(3)), trigger: .onCommit),
            .offline: .used(format: "volume", keep: .period(.years(10)), trigger: .after(.days(30))),
        ]
        policy.retention = try RetentionRule(keepFor: .period(.years(7)), daily: 30)
        policy.verification = Policy.Verification(stored: .days(7), content: .days(30), drill: .months(6))
        policy.recoveryPlan = "recovery"
        return policy
    }

    static func people(_ persons: [Person] = [person("a", "a"), person("b", "b")]) throws -> People {
        try #require(People.make(persons).people)
    }

    static func findings(
        _ policies: Policy..., isWhole: Bool = false, plans: Set<String>? = nil
    ) throws -> [PolicyFinding] {
        let knowledge = PolicySet.Knowledge(recoveryPlans: plans, instant: instant, isWhole: isWhole) { name in
            name == "Europe/Berlin" ? try? TimeZoneRules(posix: "CET-1CEST,M3.5.0,M10.5.0/3") : nil
        }
        return PolicySet(people: try people(), policies: policies).validate(on: day, knowing: knowledge)
    }

    static func findings(_ change: (inout Policy) throws -> Void) throws -> [PolicyFinding] {
        var policy = try policy()
        try change(&policy)
        return try findings(policy)
    }
}

@Suite("The strict check of a set of policies")
struct PolicySetTests {
    @Test("A complete policy has nothing wrong")
    func complete() throws {
        #expect(try Sample.findings(try Sample.policy()) == [])
    }

    @Test("A policy that only runs lacks everything that the regulation demands, each with its clause")
    func demands() throws {
        let short = Policy(
            name: "short", component: .log, responsiblePerson: Person(name: "A"), sources: [FileSource(path: "/etc")])
        let found = try Sample.findings(short).map { "\($0.field) \($0.clause?.number ?? "")" }
        #expect(
            found == [
                "deputy 5.4", "legal-basis 5.1", "schedule 5.3", "rpo 2.12", "rto 3.18.4", "copies 2.12",
                "tiers.active 5.2.1", "tiers.online 5.2.1", "tiers.offline 5.2.1", "retention 3.7",
                "verification 5.2.4",
                "verification.drill 2.12", "recovery-plan 3.16.2",
            ])
    }

    /// What a change of the sample makes wrong: the keys of the findings and whether they block.
    static let mistakes: [(field: String, isBlocking: Bool, change: @Sendable (inout Policy) throws -> Void)] = [
        ("deputy", true, { $0.deputyPerson = Sample.person("a") }),
        (
            "deputy", true,
            {
                $0.deputyPerson = Person(name: "Person a"); $0.responsiblePerson.id = nil
            }
        ),
        ("responsible", false, { $0.responsibleTerm = Validity(until: CivilDay("2026-06-14")) }),
        ("deputy", false, { $0.deputyPerson?.validity = Validity(from: CivilDay("2026-06-16")) }),
        (
            "rpo", true,
            {
                $0.rpo = .hours(23); $0.copies[1].lag = nil
            }
        ),
        ("rpo", true, { $0.schedule = Schedule(try CalendarExpression(parsing: "*-*-* 02:00"), jitter: 60) }),
        ("rpo", true, { $0.schedule = Schedule(try CalendarExpression(parsing: "Mon..Fri *-*-* 02:00")) }),
        (
            "rpo", true,
            {
                $0.schedule = Schedule(
                    try CalendarExpression(parsing: "hourly"),
                    windows: [try TimeWindow(parsing: "Mon..Fri 22:00..06:00")])
            }
        ),
        (
            // Summer time ends: one day has 25 hours.
            "rpo", true,
            { $0.schedule = Schedule(try CalendarExpression(parsing: "*-*-* 12:00"), zoneName: "Europe/Berlin") }
        ),
        (
            "schedule.zone", true,
            { $0.schedule = Schedule(try CalendarExpression(parsing: "hourly"), zoneName: "Asia/Bakuu") }
        ),
        ("schedule.calendar", true, { $0.schedule = Schedule(try CalendarExpression(parsing: "hourly Asia/Bakuu")) }),
        ("schedule.calendar", true, { $0.schedule = Schedule(try CalendarExpression(parsing: "*-02-30")) }),
        ("schedule.calendar", true, { $0.schedule = Schedule(try CalendarExpression(parsing: "2020-*-*")) }),
        ("schedule.calendar", true, { $0.schedule = Schedule(try CalendarExpression(parsing: "2026-06-* 02:00")) }),
        ("copies", true, { $0.copies.removeFirst() }),
        ("copies", false, { $0.copies.remove(at: 1) }),
        ("copies[1].site", true, { $0.copies[1].site = "one" }),
        ("copies[3].role", true, { $0.copies.append(Policy.Copy(site: "three", role: .vault)) }),
        ("copies[3].site", true, { $0.copies.append(Policy.Copy(site: "shelf", role: .volume)) }),
        ("copies[1].lag", true, { $0.copies[1].lag = .days(2) }),
        ("tiers.offline", true, { $0.copies.removeLast() }),
        (
            "copies[2]", true,
            {
                $0.tiers[.offline] = .unused(reason: "-"); $0.tiers[.online] = keep(.years(8))
            }
        ),
        (
            "tiers", true,
            {
                $0.copies.removeLast()
                $0.tiers[.online] = .unused(reason: "-")
                $0.tiers[.offline] = .unused(reason: "-")
            }
        ),
        ("tiers", true, { $0.mode = .move }),
        ("tiers.offline", true, { $0.tiers[.offline] = keep(.years(10), .after(.years(4))) }),
        ("retention", true, { $0.tiers[.offline] = keep(.years(5), .after(.days(30))) }),
        ("retention", true, { $0.retention = try RetentionRule(keepFor: .forever) }),
        (
            "retention.maximum", true,
            { $0.retention = try RetentionRule(keepFor: .period(.years(7)), maximum: .years(8)) }
        ),
        (
            "confidentiality", true,
            {
                $0.component = .accessData; $0.confidentiality = .internal
            }
        ),
    ]

    static func keep(_ period: Period, _ trigger: TierTrigger = .onCommit) -> TierUse {
        .used(format: "x", keep: .period(period), trigger: trigger)
    }

    @Test("One mistake, one finding at its key", arguments: mistakes.indices)
    func mistake(at: Int) throws {
        let mistake = Self.mistakes[at]
        let found = try Sample.findings(mistake.change)
        #expect(found.map(\.field) == [mistake.field], "\(found.map { $0.text(in: .english) })")
        #expect(found.map(\.isBlocking) == [mistake.isBlocking])
        for finding in found {
            #expect(finding.text(in: .english) != finding.text(in: .azerbaijani))
            #expect(
                finding.text(in: .english).first?.isUppercase == false || finding.text(in: .english).hasPrefix("Person")
            )
        }
    }

    @Test("A single copy cannot take the place of the originals")
    func move() throws {
        let found = try Sample.findings { policy in
            policy.mode = .move
            policy.copies = [Policy.Copy(site: "one", role: .vault)]
            policy.tiers[.active] = Self.keep(.days(30))
            policy.tiers[.online] = Self.keep(.years(8))
            policy.tiers[.offline] = .unused(reason: "-")
        }
        #expect(found.map(\.reason) == [.noMirror, .moveNeedsSecondCopy])
    }

    @Test("A tier that follows another lasts as long as both")
    func following() throws {
        let found = try Sample.findings { policy in
            policy.tiers[.offline] = Self.keep(.years(4), .afterPrevious)
        }
        #expect(found == [])
    }

    @Test("What concerns several policies names the other one; what concerns all comes last")
    func wholes() throws {
        let one = try Sample.policy("a", .config)
        let two = try Sample.policy("a", .log)
        let found = try Sample.findings(one, two, isWhole: true)
        #expect(found.first?.reason == .duplicateName("a") && found.first?.policy == 1 && found.first?.other == 0)
        let missing = found.dropFirst().map(\.clause?.number)
        #expect(missing == ["5.1.1", "5.1.2", "5.1.4", "5.1.5", "5.1.6", "5.1.7"])
        #expect(found.dropFirst().allSatisfy { !$0.isBlocking && $0.policy == nil })
    }

    @Test("A recovery plan that does not exist is missed where plans are known")
    func plans() throws {
        let policy = try Sample.policy()
        #expect(try Sample.findings(policy, plans: ["recovery"]) == [])
        let found = try Sample.findings(policy, plans: ["recovry"])
        #expect(found.map(\.reason) == [.unknownPlan("recovery", suggestion: "recovry")])
    }

    /// 2026-10-20, before summer time ends in Europe.
    static let autumn: Int64 = 1_792_454_400

    @Test("The pace of a schedule agrees with looking at every run")
    func pace() throws {
        let berlin = try TimeZoneRules(posix: "CET-1CEST,M3.5.0,M10.5.0/3")
        let texts = ["hourly", "*-*-* 02,14:30", "Mon..Fri 03:00", "*-*-1,15 12:00", "Sat,Sun 00/3:15"]
        let windows = [[], ["22:00..06:00"], ["Mon..Thu 20:00..04:00", "Sun 10:00..11:00"]]
        for (at, text) in texts.enumerated() {
            for (index, list) in windows.enumerated() {
                let expression = try CalendarExpression(parsing: text)
                let jitter = (at + index) % 2 * 900
                let schedule = Schedule(
                    expression, jitter: jitter, windows: try list.map { try TimeWindow(parsing: $0) })
                let pace = PolicyPace(schedule: schedule, zone: berlin, horizonDays: 8)
                let longest = Self.longestGap(schedule, berlin, days: 8)
                // The promise lengthens the look ahead, and a longer look may find a longer gap.
                let month = Self.longestGap(schedule, berlin, days: 24)
                let further = Self.longestGap(schedule, berlin, days: 12 + 4 * month / 86_400)
                #expect(pace.verdict(after: Self.autumn, limit: further) == .keepsUp, "\(text) \(list)")
                guard case .gap = pace.verdict(after: Self.autumn, limit: longest - 60) else {
                    Issue.record("\(text) \(list) \(jitter): a gap of \(longest) s is not found")
                    continue
                }
            }
        }
    }

    @Test("A promise of minutes is held against the hour that comes twice, months away")
    func summerTime() throws {
        let berlin = try TimeZoneRules(posix: "CET-1CEST,M3.5.0,M10.5.0/3")
        let schedule = Schedule(try CalendarExpression(parsing: "*:0/5"))
        let pace = PolicyPace(schedule: schedule, zone: berlin)
        // 2026-10-25 01:00 UTC, an hour in which no time of the clock is new.
        #expect(pace.verdict(after: Sample.instant, limit: 3600) == .gap(seconds: 3900, until: 1_792_893_600))
        #expect(PolicyPace(schedule: schedule, zone: .utc).verdict(after: Sample.instant, limit: 300) == .keepsUp)
    }

    /// The longest gap of so many days, run by run, in seconds.
    static func longestGap(_ schedule: Schedule, _ zone: TimeZoneRules, days: Int64) -> Int64 {
        let end = (autumn + days * 86_400) * 1_000_000
        var dues: [Int64] = []
        var last = autumn * 1_000_000
        while let due = schedule.due(after: last, in: zone), due < end || dues.count < 2 {
            dues.append(due)
            last = due
        }
        dues.append(schedule.due(after: last, in: zone) ?? .max)
        var longest: Int64 = 0
        for at in 0..<dues.count - 2 {
            let late = min(dues[at + 1] + Int64(schedule.jitter) * 1_000_000, dues[at + 2])
            guard let from = schedule.opening(from: dues[at], in: zone), let to = schedule.opening(from: late, in: zone)
            else { continue }
            longest = max(longest, (to - from) / 1_000_000)
        }
        return longest
    }
}
