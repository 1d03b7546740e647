import Domain
import Foundation
import Testing

@Suite("Legal holds")
struct HoldTests {
    private let asked = Hold.Act(person: "aynur", reason: "the case is closed", time: 200)
    private let agreed = Hold.Act(person: "rashad", reason: "checked with the court", time: 300)

    private func hold(_ id: String = "case-7", _ selector: HoldSelector = .everything) -> Hold {
        Hold(
            id: id, name: "Case 7", legalBasis: "order 7/2026",
            placed: Hold.Act(person: "elchin", reason: "the court asked", time: 100), selector: selector)
    }

    private func fact(
        policy: String = "log", component: Component? = .log, time: Int64 = 50, paths: [String] = ["/var/log"]
    ) -> ArchiveFact {
        ArchiveFact(
            id: Digest(words: (1, 2, 3, 4)), policy: policy, component: component, series: .zero, time: time,
            paths: paths)
    }

    private func covers(_ criteria: HoldCriteria, _ fact: ArchiveFact) -> Bool {
        hold("h", .matching(criteria)).covers(fact)
    }

    @Test("A hold covers what matches all its criteria, and what it cannot tell")
    func coverage() {
        #expect(hold().covers(fact()))
        #expect(covers(HoldCriteria(policy: "log"), fact()))
        #expect(!covers(HoldCriteria(policy: "Log"), fact()))
        #expect(!covers(HoldCriteria(component: .media), fact()))
        #expect(covers(HoldCriteria(component: .media), fact(component: nil)))
        #expect(!covers(HoldCriteria(policy: "log", component: .media), fact()))
        #expect(covers(HoldCriteria(from: 50, until: 50), fact()))
        #expect(!covers(HoldCriteria(from: 51), fact()) && !covers(HoldCriteria(until: 49), fact()))
        #expect(covers(HoldCriteria(archives: [fact().id]), fact()))
        #expect(!covers(HoldCriteria(archives: [.zero]), fact()))
    }

    @Test(
        "A path covers archives of what lies at, above or below it, by whole names",
        arguments: [
            ("/var/log", true), ("/var/log/app/today", true), ("/var", true), ("/", true), ("/var/lo", false),
            ("/var/log2", false), ("/etc", false), ("/var/logs/app", false),
        ])
    func paths(prefix: String, isCovered: Bool) {
        #expect(covers(HoldCriteria(pathPrefix: prefix), fact()) == isCovered)
        #expect(covers(HoldCriteria(pathPrefix: prefix), fact(paths: [])))
        #expect(covers(HoldCriteria(pathPrefix: prefix), fact(paths: ["/srv", "/"])))
    }

    @Test("Two persons release a hold; until then it is in force, and its archive kept")
    func release() throws {
        let rule = try RetentionRule(keepFor: .period(.zero))
        let archives = [fact(), ArchiveFact(id: .zero, policy: "log", series: .zero, time: 60)]
        var register = HoldRegister()
        func isKept(_ now: Int64) -> Bool {
            RetentionPlan.decide(
                archives: archives, rules: ["log": rule], holds: register.holds, now: VaultTime(seconds: now)
            ).first { $0.archive == fact().id }?.isKept ?? false
        }
        #expect(!isKept(100))
        try register.apply(.placed(hold()))
        #expect(isKept(100) && register.covering(fact()).map(\.id) == ["case-7"])
        try register.apply(.releaseRequested(hold: "case-7", asked))
        #expect(isKept(1000) && register["case-7"]?.isInForce == true)
        try register.apply(.releaseRefused(hold: "case-7", agreed))
        #expect(throws: RetentionError(.releaseNotRequested("case-7"))) {
            try register.apply(.releaseApproved(hold: "case-7", agreed))
        }
        try register.apply(.releaseRequested(hold: "case-7", asked))
        try register.apply(.releaseApproved(hold: "case-7", agreed))
        #expect(register.inForce.isEmpty && register.covering(fact()).isEmpty && register.holds.count == 1)
        #expect(register["case-7"]?.release == .approved(request: asked, approval: agreed))
        #expect(isKept(299) && !isKept(300))
    }

    @Test("Nobody approves his own request, however he spells himself", arguments: ["aynur", "Aynur", " AYNUR\t"])
    func selfApproval(person: String) throws {
        var register = try HoldRegister(folding: [.placed(hold()), .releaseRequested(hold: "case-7", asked)])
        let before = register
        let act = Hold.Act(person: person, reason: "me too", time: 300)
        #expect(throws: RetentionError(.selfApproval(person))) {
            try register.apply(.releaseApproved(hold: "case-7", act))
        }
        #expect(register == before)
        #expect(RetentionError(.selfApproval("a")).kind == .denied)
    }

    @Test("Impossible acts are refused and change nothing")
    func refusals() throws {
        let open = try HoldRegister(folding: [.placed(hold())])
        let requested = try HoldRegister(folding: [.placed(hold()), .releaseRequested(hold: "case-7", asked)])
        let released = try HoldRegister(folding: [
            .placed(hold()), .releaseRequested(hold: "case-7", asked), .releaseApproved(hold: "case-7", agreed),
        ])
        let silent = Hold.Act(person: "rashad", reason: " \n", time: 1)
        let nobody = Hold.Act(person: "", reason: "x", time: 1)
        let verbose = Hold.Act(person: "x", reason: String(repeating: "x", count: 5000), time: 1)
        var alreadyReleased = try #require(released["case-7"])
        let cases: [(HoldRegister, HoldEvent, RetentionError.Reason)] = [
            (open, .placed(hold()), .duplicateHold("case-7")),
            (released, .placed(hold()), .duplicateHold("case-7")),
            (open, .placed(hold("no/good")), .badHoldID("no/good")),
            (open, .placed(hold("h", .matching(HoldCriteria()))), .emptySelector),
            (open, .placed(hold("h", .matching(HoldCriteria(archives: [])))), .emptySelector),
            (open, .placed(hold("h", .matching(HoldCriteria(pathPrefix: "var/")))), .badPathPrefix("var/")),
            (open, .placed(hold("h", .matching(HoldCriteria(from: 2, until: 1)))), .emptyTimeRange),
            (open, .releaseRequested(hold: "case-8", asked), .unknownHold("case-8", suggestion: "case-7")),
            (open, .releaseApproved(hold: "case-7", agreed), .releaseNotRequested("case-7")),
            (open, .releaseRefused(hold: "case-7", agreed), .releaseNotRequested("case-7")),
            (open, .releaseRequested(hold: "case-7", silent), .emptyHoldText(.reason)),
            (open, .releaseRequested(hold: "case-7", nobody), .emptyHoldText(.person)),
            (open, .releaseRequested(hold: "case-7", verbose), .holdTextTooLong(.reason)),
            (requested, .releaseRequested(hold: "case-7", agreed), .releaseAlreadyRequested("case-7", by: "aynur")),
            (requested, .releaseApproved(hold: "case-7", silent), .emptyHoldText(.reason)),
            (released, .releaseApproved(hold: "case-7", agreed), .alreadyReleased("case-7")),
            (released, .releaseRequested(hold: "case-7", asked), .alreadyReleased("case-7")),
            (HoldRegister(), .placed(alreadyReleased), .releasedAtPlacing("case-7")),
        ]
        for (register, event, reason) in cases {
            var register = register
            let before = register
            #expect(throws: RetentionError(reason)) { try register.apply(event) }
            #expect(register == before)
        }
        alreadyReleased = Hold(
            id: "h", name: "", legalBasis: "x", placed: hold().placed, selector: .everything)
        #expect(throws: RetentionError(.emptyHoldText(.name))) { try HoldRegister(folding: [.placed(alreadyReleased)]) }
    }

    @Test("Events survive storage, and a criterion that is not understood is refused")
    func storage() throws {
        let criteria = HoldCriteria(
            policy: "log", component: .accessData, pathPrefix: "/a", from: -5, until: 5,
            archives: [.zero, fact().id])
        let events: [HoldEvent] = [
            .placed(hold("a", .matching(criteria))), .placed(hold("b")), .releaseRequested(hold: "a", asked),
            .releaseRefused(hold: "a", asked), .releaseRequested(hold: "a", asked),
            .releaseApproved(hold: "a", agreed),
        ]
        let stored = try JSONEncoder().encode(events)
        #expect(try JSONDecoder().decode([HoldEvent].self, from: stored) == events)
        #expect(try HoldRegister(folding: events).inForce.map(\.id) == ["b"])
        for bad in [#"[{"polcy":"log"}]"#, #"["all"]"#, #"[{"archives":["00"]}]"#, #"[7]"#] {
            #expect(throws: (any Error).self, "\(bad)") {
                try JSONDecoder().decode([HoldSelector].self, from: Data(bad.utf8))
            }
        }
        #expect(try JSONDecoder().decode([HoldSelector].self, from: Data(#"["everything"]"#.utf8)) == [.everything])
    }
}
