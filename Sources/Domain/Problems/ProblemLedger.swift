/// Which problems are open: events in, changes out.
///
/// Invariants:
/// 1. Of each policy and kind at most one problem is open; a failure opens it or is counted in it, and none is lost.
/// 2. Only what failed and then passes closes: a whole run of the policy, a set that came into force, a clean check. A
///    partial run closes nothing, and no person does.
/// 3. The same run is counted once, however often it is told: after a crash what may not have been stored is told again.
/// 4. Nothing is edited: the ledger is the sum of its changes in order, and so is the register that keeps them.
package struct ProblemLedger: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case done, partial, failed
        /// It failed because stored bytes are not what was stored.
        case damaged

        fileprivate var kind: ProblemKind? {
            switch self {
            case .done: nil
            case .partial: .partial
            case .failed: .failed
            case .damaged: .damage
            }
        }
    }

    package enum Event: Sendable, Equatable {
        /// A run is over; one that was cancelled or interrupted is no event.
        case ended(policy: String, run: String, Outcome, message: String)
        case missed(policy: String, message: String)
        /// The set of policies in the folder was not put into force.
        case refused(message: String)
        case inForce
        /// The daemon's own records were found damaged.
        case damaged(message: String)
        case sound
        /// The log of a database does not come whole, or does again.
        case wal(policy: String, message: String)
        case walSound(policy: String)
        /// The clock was set; it agrees again with the time that has passed, or with what two persons confirmed.
        case clock(message: String)
        case clockSound
    }

    /// One line of the register.
    package struct Change: Sendable, Equatable {
        package enum Act: String, Sendable, CaseIterable { case opened, seen, closed, remark }

        package var act: Act
        package var problem: Int
        /// Of what is opened alone, like the policy.
        package var kind: ProblemKind?
        package var policy: String?
        package var text: String?
        package var run: String?
        /// Who remarks.
        package var by: String?

        package init(
            _ act: Act, _ problem: Int, kind: ProblemKind? = nil, policy: String? = nil, text: String? = nil,
            run: String? = nil, by: String? = nil
        ) {
            self.act = act
            self.problem = problem
            self.kind = kind
            self.policy = policy
            self.text = text
            self.run = run
            self.by = by
        }
    }

    private struct Key: Hashable {
        var policy: String
        var kind: ProblemKind
    }

    /// By id.
    package private(set) var problems: [Int: Problem] = [:]
    private var open: [Key: Int] = [:]
    /// The id that was given last.
    package private(set) var last = 0
    private let keepsClosed: Bool

    /// Who only decides needs none that are closed.
    package init(keepsClosed: Bool) { self.keepsClosed = keepsClosed }

    /// Those that are open, oldest first.
    package var openProblems: [Problem] { open.values.sorted().compactMap { problems[$0] } }

    package func hasGiven(_ id: Int) -> Bool { id >= 1 && id <= last }

    /// Decides, and takes over what was decided.
    package mutating func handle(_ event: Event, at time: String) -> [Change] {
        let changes = changes(for: event)
        for change in changes { apply(change, at: time) }
        return changes
    }

    private func changes(for event: Event) -> [Change] {
        switch event {
        case .ended(let policy, let run, let outcome, let message):
            guard let kind = outcome.kind else { return closing(policy, ProblemKind.ofRuns, by: run) }
            return telling(kind, policy, message, run)
        case .missed(let policy, let message): return telling(.missed, policy, message, nil)
        case .refused(let message): return telling(.policies, "", message, nil)
        case .inForce: return closing("", [.policies], by: nil)
        case .damaged(let message): return telling(.damage, "", message, nil)
        case .sound: return closing("", [.damage], by: nil)
        case .wal(let policy, let message): return telling(.wal, policy, message, nil)
        case .walSound(let policy): return closing(policy, [.wal], by: nil)
        case .clock(let message): return telling(.clock, "", message, nil)
        case .clockSound: return closing("", [.clock], by: nil)
        }
    }

    private func telling(_ kind: ProblemKind, _ policy: String, _ text: String, _ run: String?) -> [Change] {
        guard let id = open[Key(policy: policy, kind: kind)], let problem = problems[id] else {
            return [Change(.opened, last + 1, kind: kind, policy: policy, text: text, run: run)]
        }
        if let run, problem.runs.contains(run) { return [] }
        return [Change(.seen, id, text: text, run: run)]
    }

    private func closing(_ policy: String, _ kinds: [ProblemKind], by run: String?) -> [Change] {
        kinds.compactMap { kind in
            open[Key(policy: policy, kind: kind)].map { Change(.closed, $0, run: run) }
        }
    }

    /// Takes over a change that was decided here or read from a register, where lines may be lost: what does not fit is
    /// passed over.
    package mutating func apply(_ change: Change, at time: String) {
        let id = change.problem
        if change.act == .opened {
            guard let kind = change.kind, problems[id] == nil, id > last else { return }
            let problem = Problem(
                id: id, kind: kind, policy: change.policy ?? "", opened: time, lastSeen: time, times: 1,
                message: change.text ?? "", runs: change.run.map { [$0] } ?? [], closed: nil, closedBy: nil,
                remarks: [])
            problems[id] = problem
            open[Key(policy: problem.policy, kind: kind)] = id
            last = id
            return
        }
        guard var problem = problems[id] else { return }
        switch change.act {
        case .opened: return
        case .seen:
            guard problem.isOpen else { return }
            problem.lastSeen = time
            problem.times = problem.times == .max ? .max : problem.times + 1
            problem.message = change.text ?? problem.message
            if let run = change.run { problem.runs = Array((problem.runs + [run]).suffix(Problem.keptRuns)) }
        case .closed:
            guard problem.isOpen else { return }
            problem.closed = time
            problem.closedBy = change.run ?? ""
            let key = Key(policy: problem.policy, kind: problem.kind)
            if open[key] == id { open[key] = nil }
        case .remark:
            problem.remarks.append(.init(time: time, by: change.by ?? "", text: change.text ?? ""))
        }
        problems[id] = problem.isOpen || keepsClosed ? problem : nil
    }
}

/// A change as fields of a line, all text, and back.
extension ProblemLedger.Change {
    /// At most so many characters (Unicode scalars) of what people or programs said go into a line.
    package static let longestText = 4000

    package var fields: [String: String] {
        var fields = ["problem": "\(problem)"]
        fields["kind"] = kind?.rawValue
        fields["policy"] = policy.flatMap { $0.isEmpty ? nil : $0 }
        fields["text"] = text.map { String($0.unicodeScalars.prefix(Self.longestText)) }
        fields["run"] = run
        fields["by"] = by
        return fields
    }

    /// Nil for what is no change; `name` is the kind of the line.
    package init?(_ name: String, _ fields: [String: String]) {
        guard let act = Act(rawValue: name), let id = fields["problem"].flatMap({ Int($0) }), id > 0, id < 1 << 53
        else { return nil }
        self.init(
            act, id, kind: fields["kind"].flatMap { ProblemKind(rawValue: $0) }, policy: fields["policy"],
            text: fields["text"], run: fields["run"], by: fields["by"])
    }
}
