import Domain
import Testing

@Suite("What a change of policies would do")
struct PolicyPlanTests {
    private func changes(_ change: (inout Policy) throws -> Void) throws -> [PolicyChange] {
        let old = try Sample.policy()
        var new = old
        try change(&new)
        return PolicyPlan.compare(
            PolicySet(people: try Sample.people(), policies: [old]),
            PolicySet(people: try Sample.people(), policies: [new]))
    }

    /// Key, reasons for a second person, change.
    static let cases: [(String, Set<ConsentReason>, @Sendable (inout Policy) throws -> Void)] = [
        ("component", [], { $0.component = .log }),
        ("responsible", [], { $0.responsiblePerson = Sample.person("c") }),
        ("responsible", [], { $0.responsibleTerm = Validity(until: Sample.day) }),
        ("deputy", [], { $0.deputyPerson = nil }),
        ("legal-basis", [], { $0.legalBasis = "Order 13" }),
        ("confidentiality", [.confidentialityLowered], { $0.confidentiality = .internal }),
        ("confidentiality", [], { $0.confidentiality = .secret }),
        ("vault", [], { $0.vault = "/srv/vault" }),
        ("sources", [], { $0.sources[0].excludes = ["*.bak"] }),
        ("sources", [], { $0.sources[0].oneFileSystem = true }),
        ("sources", [], { $0.sources[0].excludeCaches = true }),
        ("sources", [], { $0.logs = [LogSource(path: "/var/log/*.log")] }),
        ("mode", [.originalsRemoved], { $0.mode = .move }),
        ("schedule", [], { $0.schedule = Schedule(try CalendarExpression(parsing: "hourly")) }),
        ("schedule", [], { $0.schedule = Schedule(try CalendarExpression(parsing: "*-*-* 02:00:00"), jitter: 1) }),
        ("schedule", [], { $0.schedule = Schedule(try CalendarExpression(parsing: "*-*-* 02:00"), catchUp: .all) }),
        ("schedule", [], { $0.schedule = nil }),
        ("rpo", [], { $0.rpo = .hours(25) }),
        ("rto", [], { $0.rto = .hours(5) }),
        ("copies", [.copyRemoved], { $0.copies.remove(at: 1) }),
        ("copies", [.copyRemoved], { $0.copies[2].count = 1 }),
        ("copies", [.copyRemoved], { $0.copies[1].site = "three" }),
        ("copies", [.copyRemoved], { $0.copies[1].role = .vault }),
        ("copies", [], { $0.copies[2].count = 3 }),
        ("copies", [], { $0.copies[1].lag = .hours(2) }),
        ("copies", [], { $0.copies.append(Policy.Copy(site: "four", role: .mirror)) }),
        ("tiers.active", [], { $0.tiers[.active] = PolicySetTests.keep(.days(1)) }),
        ("tiers.online", [.retentionShortened], { $0.tiers[.online] = PolicySetTests.keep(.years(2)) }),
        ("tiers.online", [], { $0.tiers[.online] = PolicySetTests.keep(.years(4)) }),
        ("tiers.offline", [.copyRemoved], { $0.tiers[.offline] = .unused(reason: "why") }),
        ("tiers.offline", [.copyRemoved], { $0.tiers[.offline] = PolicySetTests.keep(.years(10), .after(.days(31))) }),
        ("tiers.offline", [.copyRemoved], { $0.tiers[.offline] = PolicySetTests.keep(.years(10), .afterPrevious) }),
        ("tiers.offline", [], { $0.tiers[.offline] = PolicySetTests.keep(.years(10), .after(.days(29))) }),
        (
            "retention", [.retentionShortened],
            { $0.retention = try RetentionRule(keepFor: .period(.years(6)), daily: 30) }
        ),
        (
            "retention", [.retentionShortened],
            { $0.retention = try RetentionRule(keepFor: .period(.years(7)), daily: 29) }
        ),
        (
            "retention", [.retentionShortened],
            { $0.retention = try RetentionRule(keepFor: .period(.years(7)), daily: 30, maximum: .years(50)) }
        ),
        ("retention", [], { $0.retention = try RetentionRule(keepFor: .period(.years(8)), daily: 30) }),
        ("retention", [], { $0.retention = nil }),
        ("compression-level", [], { $0.compressionLevel = 5 }),
        ("limits", [], { $0.limits.cpuPercent = 50 }),
        ("limits", [], { $0.limits.bytesPerSecond = 1025 }),
        ("verification", [], { $0.verification.content = nil }),
        ("hooks.before", [], { $0.hooks.before = [Policy.Hook(command: ["/bin/true"])] }),
        ("hooks.after", [], { $0.hooks.after = [Policy.Hook(command: ["/bin/true", "a b"])] }),
        ("recovery-plan", [], { $0.recoveryPlan = nil }),
        ("clauses", [], { $0.clauses = ["More."] }),
    ]

    @Test(
        "Every change is told under its key, and asks for a second person exactly where it weakens",
        arguments: cases.indices)
    func change(at: Int) throws {
        let (field, consent, change) = Self.cases[at]
        let found = try changes(change)
        #expect(found.map(\.field) == [field])
        #expect(found.first?.consent == consent)
        #expect(found.first?.before != found.first?.after)
        #expect(found.first?.kind == .changed && found.first?.subject == .policy("web"))
    }

    @Test("No rule of retention needs no consent to stay away, and some to come")
    func firstRule() throws {
        var old = try Sample.policy()
        old.retention = nil
        let sets = [old, try Sample.policy()].map { PolicySet(people: .none, policies: [$0]) }
        #expect(PolicyPlan.compare(sets[0], sets[1]).map(\.consent) == [[.retentionShortened]])
    }

    @Test("Originals that go earlier need a second person")
    func moving() throws {
        var old = try Sample.policy()
        old.mode = .move
        old.tiers[.active] = PolicySetTests.keep(.days(30))
        var new = old
        new.tiers[.active] = PolicySetTests.keep(.days(29))
        let changes = PolicyPlan.compare(
            PolicySet(people: .none, policies: [old]), PolicySet(people: .none, policies: [new]))
        #expect(changes.map(\.consent) == [[.originalsRemoved]])
    }

    @Test("Policies that come and go are told whole; the end of one needs a second person")
    func whole() throws {
        let sets = [try Sample.policy("a"), try Sample.policy("b")].map { PolicySet(people: .none, policies: [$0]) }
        let changes = PolicyPlan.compare(sets[0], sets[1])
        #expect(changes.map(\.subject) == [.policy("a"), .policy("b")])
        #expect(changes.map(\.kind) == [.removed, .added])
        #expect(changes.map(\.consent) == [[.policyRemoved], []])
        #expect(PolicyPlan.compare(sets[0], sets[0]).isEmpty)
    }

    @Test("Whoever gains power over policies needs the consent of another, once there is anybody")
    func persons() throws {
        func consents(_ old: [Person], _ new: [Person]) throws -> [Set<ConsentReason>] {
            let sets = try [old, new].map { PolicySet(people: try Sample.people($0), policies: []) }
            return PolicyPlan.compare(sets[0], sets[1]).map(\.consent)
        }
        let (a, b) = (Sample.person("a", "a"), Sample.person("b", "b"))
        let past = Validity(until: CivilDay("2026-01-01"))
        let power: Set<ConsentReason> = [.approversChanged]
        #expect(try consents([], [a, b]) == [[], []])
        #expect(try consents([a], [a, b]) == [power])
        #expect(try consents([a], [Sample.person("a", "c")]) == [power])
        #expect(try consents([a], [a, Sample.person("c")]) == [[]])
        #expect(try consents([a, b], [a]) == [[]])
        #expect(try consents([a, Sample.person("b", "b", past)], [a, b]) == [power])
        #expect(try consents([a, b], [a, Sample.person("b", "b", past)]) == [[]])
        // Nobody would be left to decide anything.
        let ended = [Sample.person("a", "a", past), Sample.person("b", "b", past)]
        #expect(try consents([a, b], ended) == [power, power])
        #expect(try consents([a, b], [ended[0]]) == [power, power])
        #expect(try consents([a], [Sample.person("a", "a", uid: 0)]) == [power])
        // Else the next register would be taken as the first one.
        #expect(try consents([a, b], []) == [power, power])
        #expect(try consents([a, b], [Sample.person("a"), Sample.person("c")]) == [power, power, []])
        #expect(try consents([Sample.person("a")], []) == [[]])
    }

    @Test("Rates and shares are read with their unit")
    func amounts() throws {
        #expect(try Amounts.bytesPerSecond("20 MiB/s") == 20 << 20)
        #expect(try Amounts.bytesPerSecond("100Mbit/s") == 12_500_000)
        #expect(try Amounts.percent("50%") == 50 && Amounts.percent(" 7 % ") == 7)
        for (text, suggestion) in [("20 Mib/s", "MiB/s"), ("20", nil), ("MiB/s", nil), ("1 2 MiB/s", nil)] {
            let error = #expect(throws: AmountError.self) { try Amounts.bytesPerSecond(text) }
            #expect(error == AmountError(suggestion: suggestion))
        }
        for text in ["1023 B/s", "99999999999999999999 MiB/s", "1025 GiB/s"] {
            let error = #expect(throws: AmountError.self) { try Amounts.bytesPerSecond(text) }
            #expect(error?.isOutOfRange == true)
        }
        #expect(throws: AmountError.self) { try Amounts.percent("0%") }
        #expect(throws: AmountError.self) { try Amounts.percent("101%") }
        #expect(Amounts.text(bytesPerSecond: 20 << 20, in: .english) == "20 MiB/s")
        #expect(Amounts.text(bytesPerSecond: 12_500_000, in: .azerbaijani) == "12500 kB/san")
        #expect(Amounts.text(bytesPerSecond: 1025, in: .english) == "1025 B/s")
    }

    @Test("The usual calendars are told in words")
    func words() throws {
        for (text, english, azerbaijani) in [
            ("*-*-* 02:30", "every day at 02:30", "hər gün saat 02:30"),
            ("Mon..Fri 22:00 Asia/Baku", "Mon–Fri, at 22:00", "B.e.–C., saat 22:00"),
            ("hourly", "every hour at minute 0", "hər saat, dəqiqə 0"),
            ("*-*-* 0/6:10", "every 6 hours at minute 10", "hər 6 saatdan bir, dəqiqə 10"),
            ("*:0/15", "every 15 minutes", "hər 15 dəqiqədən bir"),
            ("monthly", "on day 1 of every month at 00:00", "hər ay, ayın günü 1, saat 00:00"),
            ("yearly", "every year on 01-01 at 00:00", "hər il, 01.01, saat 00:00"),
        ] {
            let expression = try CalendarExpression(parsing: text)
            #expect(expression.text(in: .english) == english)
            #expect(expression.text(in: .azerbaijani) == azerbaijani)
        }
        for text in ["*-*-1/3 02:00", "2026-*-* 01:00", "*-*~1 03:00", "*-*-* 02:00:30", "Mon *-*-1 02:00", "*:1/7"] {
            #expect(try CalendarExpression(parsing: text).text(in: .english) == nil, "\(text)")
        }
    }
}
