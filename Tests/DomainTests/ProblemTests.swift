import Testing

@testable import Domain

@Suite("Problems")
struct ProblemTests {
    private static func time(_ number: Int) -> String { "2026-11-22T00:00:00Z#\(number)" }

    @Test("A failure opens a problem, its repetitions are counted in it, and a partial run does not close it")
    func counting() {
        var ledger = ProblemLedger(keepsClosed: true)
        let opened = ledger.handle(.ended(policy: "a", run: "r1", .failed, message: "no disk"), at: "t1")
        #expect(opened == [.init(.opened, 1, kind: .failed, policy: "a", text: "no disk", run: "r1")])
        let seen = ledger.handle(.ended(policy: "a", run: "r2", .failed, message: "no net"), at: "t2")
        #expect(seen == [.init(.seen, 1, text: "no net", run: "r2")])
        let partial = ledger.handle(.ended(policy: "a", run: "r3", .partial, message: "x"), at: "t3")
        #expect(partial.map(\.act) == [.opened])
        let open = ledger.openProblems
        #expect(open.map(\.id) == [1, 2] && open.map(\.kind) == [.failed, .partial])
        #expect(open[0].times == 2 && open[0].message == "no net" && open[0].runs == ["r1", "r2"])
        #expect(open[0].opened == "t1" && open[0].lastSeen == "t2")
    }

    @Test("Only a whole run of the same policy closes, and the next failure is a new problem")
    func closing() {
        var ledger = ProblemLedger(keepsClosed: true)
        _ = ledger.handle(.ended(policy: "a", run: "r1", .failed, message: "x"), at: "t1")
        _ = ledger.handle(.missed(policy: "a", message: "late"), at: "t2")
        let other = ledger.handle(.ended(policy: "b", run: "r2", .done, message: ""), at: "t3")
        #expect(other.isEmpty && ledger.openProblems.count == 2)
        let closed = ledger.handle(.ended(policy: "a", run: "r3", .done, message: ""), at: "t4")
        #expect(closed == [.init(.closed, 1, run: "r3"), .init(.closed, 2, run: "r3")])
        #expect(ledger.openProblems.isEmpty && ledger.problems[1]?.closedBy == "r3")
        let next = ledger.handle(.ended(policy: "a", run: "r4", .failed, message: "x"), at: "t5")
        #expect(next.map(\.problem) == [3])
    }

    @Test("Policies and damage are closed by their own checks alone")
    func ownChecks() {
        var ledger = ProblemLedger(keepsClosed: true)
        _ = ledger.handle(.refused(message: "line 3"), at: "t1")
        _ = ledger.handle(.damaged(message: "line 4"), at: "t1")
        let byRun = ledger.handle(.ended(policy: "a", run: "r", .done, message: ""), at: "t2")
        #expect(byRun.isEmpty)
        let byPolicies = ledger.handle(.inForce, at: "t3")
        #expect(byPolicies.map(\.problem) == [1] && ledger.openProblems.map(\.kind) == [.damage])
        let byCheck = ledger.handle(.sound, at: "t4")
        let byNothing = ledger.handle(.sound, at: "t5")
        #expect(byCheck.map(\.problem) == [2] && byNothing.isEmpty)
        _ = ledger.handle(.clock(message: "ten years on"), at: "t6")
        let again = ledger.handle(.clock(message: "and back"), at: "t7")
        #expect(again.map(\.act) == [.seen] && ledger.openProblems.map(\.kind) == [.clock])
        let bySound = ledger.handle(.sound, at: "t8")
        let byClock = ledger.handle(.clockSound, at: "t9")
        #expect(bySound.isEmpty && byClock.map(\.problem) == [3] && ledger.openProblems.isEmpty)
    }

    @Test("A run that is told twice counts once; a remark is added and closes nothing")
    func twice() {
        var ledger = ProblemLedger(keepsClosed: true)
        let event = ProblemLedger.Event.ended(policy: "a", run: "r1", .failed, message: "x")
        _ = ledger.handle(event, at: "t1")
        let again = ledger.handle(event, at: "t2")
        #expect(again.isEmpty)
        ledger.apply(.init(.remark, 1, text: "cable", by: "uid 0"), at: "t3")
        #expect(ledger.openProblems.first?.remarks == [.init(time: "t3", by: "uid 0", text: "cable")])
        #expect(ledger.hasGiven(1) && !ledger.hasGiven(2) && !ledger.hasGiven(0))
    }

    @Test("Changes survive being written as fields; what is no change is refused")
    func fields() {
        let change = ProblemLedger.Change(.opened, 7, kind: .missed, policy: "a", text: "x", run: nil)
        #expect(ProblemLedger.Change(change.act.rawValue, change.fields) == change)
        #expect(ProblemLedger.Change("opened", ["problem": "0"]) == nil)
        #expect(ProblemLedger.Change("edited", change.fields) == nil)
        #expect(ProblemLedger.Change("seen", ["problem": "99999999999999999999"]) == nil)
    }

    @Test(
        "Through any history every failure is in exactly one problem, and only passing runs closed any",
        arguments: 0..<40)
    func simulation(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var ledger = ProblemLedger(keepsClosed: true)
        var lines: [(time: String, change: ProblemLedger.Change)] = []
        /// By policy and kind, the runs that failed since the last one that passed.
        var expected: [String: [String]] = [:]
        var failures = 0
        var done: Set<String> = []
        for step in 0..<400 {
            let policy = "p\(Int.random(in: 0..<3, using: &random))"
            let run = "r\(step)"
            let outcomes: [ProblemLedger.Outcome] = [.done, .partial, .failed, .failed, .damaged]
            let outcome = outcomes[Int.random(in: 0..<outcomes.count, using: &random)]
            let event = ProblemLedger.Event.ended(policy: policy, run: run, outcome, message: run)
            // After a crash the same run may be told again.
            for _ in 0...Int.random(in: 0...1, using: &random) {
                lines += ledger.handle(event, at: Self.time(step)).map { (time: Self.time(step), change: $0) }
            }
            if outcome == .done {
                done.insert(run)
                for kind in ProblemKind.ofRuns { expected["\(policy) \(kind)"] = nil }
            } else {
                failures += 1
                let kind: ProblemKind = outcome == .partial ? .partial : outcome == .failed ? .failed : .damage
                expected["\(policy) \(kind)", default: []].append(run)
            }
            let open = Dictionary(grouping: ledger.openProblems) { "\($0.policy) \($0.kind)" }
            #expect(Set(open.keys) == Set(expected.keys) && open.values.allSatisfy { $0.count == 1 })
            for (key, runs) in expected {
                #expect(open[key]?.first?.runs == Array(runs.suffix(Problem.keptRuns)))
            }
        }
        #expect(ledger.problems.values.reduce(0) { $0 + $1.times } == failures, "no failure is lost or counted twice")
        let closers = ledger.problems.values.compactMap(\.closedBy)
        #expect(closers.allSatisfy { done.contains($0) })
        // Whoever reads the lines has the same ledger.
        var again = ProblemLedger(keepsClosed: true)
        for line in lines {
            let fields = line.change.fields
            guard let change = ProblemLedger.Change(line.change.act.rawValue, fields) else {
                Issue.record("\(fields) is no change")
                continue
            }
            again.apply(change, at: line.time)
        }
        #expect(again == ledger)
    }
}
