import Domain
import Vault

/// The registers as the daemon keeps them: what happened goes in, and waits where the disk does not take it.
///
/// Invariants:
/// 1. Lines reach each register in the order in which things happened. One that cannot be written holds back those behind
///    it and is tried again with every further one and every beat.
/// 2. A run goes to the register of problems before it goes to that of runs; at a start every run that the latter lacks
///    is told to both again, and the ledger counts none twice.
/// 3. One process writes: it has the lock of the daemon's folder.
final class DaemonRegisters {
    private struct Line {
        var register: RegisterName
        var time: String
        var kind: String
        var fields: [String: String]
    }

    /// More are not kept where nothing can be written; at the next start runs are told again.
    private static let longestWait = 10_000
    private static let kept: [RegisterName] = [.availability, .problems, .runs]

    private let state: String
    private var writers: [RegisterName: RegisterWriter] = [:]
    private var waiting: [Line] = []
    private(set) var ledger = ProblemLedger(keepsClosed: false)
    /// What was found when the files were opened: for the journal, and for the ledger.
    private(set) var notices: [String] = []
    private(set) var damage: [RegisterDamage] = []
    /// Whether no daemon ever wrote to the registers of this host, or they are gone.
    private(set) var isNew = false
    /// Whether it was told that lines wait.
    var isTold = false
    /// Ids of the newest runs in the register, and the time of the oldest line that was looked at.
    private(set) var knownRuns: Set<String> = []
    private(set) var knownSince: String?
    /// Of each policy the runs that were done, as they stand in the files that were looked at.
    private var done: [String: [RunFacts]] = [:]
    /// Runs that ended since the daemon started.
    private(set) var ended: [RunTally: Int] = [:]

    init(state: String, calls: any FileSystemCalls = LinuxCalls.shared) throws {
        self.state = state
        for name in Self.kept {
            let writer = try RegisterWriter(RegisterFiles(state: state, name), calls: calls)
            writers[name] = writer
            if writer.cutBytes > 0 {
                notices.append(
                    "the last line of the register \(name.rawValue) was torn: \(writer.cutBytes) bytes were cut off")
            }
        }
        try readProblems()
        try readRuns()
        let availability = try RegisterFiles(state: state, .availability).read(last: 1) { _ in }
        damage += availability.damage
        isNew = availability.chain.number == 0
    }

    private func readProblems() throws {
        var ledger = ledger
        let reading = try RegisterFiles(state: state, .problems).read { entry in
            guard let change = ProblemLedger.Change(entry.kind, entry.fields) else { return }
            ledger.apply(change, at: entry.time)
        }
        self.ledger = ledger
        damage += reading.damage
    }

    private func readRuns() throws {
        var ids: Set<String> = []
        var since: String?
        var done: [String: [RunFacts]] = [:]
        let reading = try RegisterFiles(state: state, .runs).read(last: 2) { entry in
            if since == nil { since = entry.time }
            if let id = entry.fields["run"] { ids.insert(id) }
            guard entry.kind == RunRecord.State.done.rawValue, let policy = entry.fields["policy"] else { return }
            done[policy, default: []].append(RunFacts(entry.fields))
        }
        knownRuns = ids
        knownSince = reading.isWhole ? nil : since
        self.done = done
        damage += reading.damage
    }

    /// Whether the register of runs, as far as it was looked at, lacks this one.
    func lacks(_ run: RunRecord) -> Bool {
        guard run.state.isOver, !knownRuns.contains(run.id) else { return false }
        // What is older than the files that were looked at stands in those before them.
        guard let knownSince else { return true }
        return (run.ended ?? run.asked) >= knownSince
    }

    /// A run that is over: to the problems, then to the runs.
    func note(_ run: RunRecord, at time: String) {
        let outcome: ProblemLedger.Outcome? =
            switch run.state {
            case .done: .done
            case .partial: .partial
            case .failed: run.failure == .damaged ? .damaged : .failed
            case .waiting, .running, .cancelled, .interrupted: nil
            }
        if let outcome {
            let message = run.message ?? run.state.rawValue
            let event = ProblemLedger.Event.ended(policy: run.policy, run: run.id, outcome, message: message)
            note(event, at: time)
        }
        let fields = run.registerFields
        put(.runs, time, run.state.rawValue, fields)
        knownRuns.insert(run.id)
        if run.state == .done { noteDone(run.policy, RunFacts(fields)) }
        ended[RunTally(policy: run.policy, state: run.state), default: 0] += 1
    }

    /// Runs that the register lacks: they count from now on, whenever their lines are written.
    func know(_ runs: [RunRecord]) {
        for run in runs {
            knownRuns.insert(run.id)
            if run.state == .done { noteDone(run.policy, RunFacts(run.registerFields)) }
        }
    }

    /// The line of a run that is known. It is told to the register of problems no more: what it answered may have come back since.
    func putLine(of run: RunRecord) { put(.runs, run.ended ?? run.asked, run.state.rawValue, run.registerFields) }

    /// Runs as the newest files of the register tell them.
    func storedRuns() throws -> [RunRecord] {
        var runs: [RunRecord] = []
        try RegisterFiles(state: state, .runs).read(last: 2) { entry in
            if let run = RunRecord(registerFields: entry.fields, entry.kind) { runs.append(run) }
        }
        return runs
    }

    /// What is older counts no more; what lies ahead of it may once.
    private func noteDone(_ policy: String, _ facts: RunFacts) {
        guard let time = facts.time else { return }
        done[policy, default: []].removeAll { $0.time.map { $0 <= time } ?? true }
        done[policy, default: []].append(facts)
    }

    /// When the newest run of the policy that was done began, of those that did not begin after `latest`: seconds since 1970.
    func lastDone(of policy: String, notAfter latest: Int64) -> Int64? {
        done[policy]?.compactMap(\.time).filter { $0 <= latest }.max()
    }

    func note(_ event: ProblemLedger.Event, at time: String) {
        for change in ledger.handle(event, at: time) { put(.problems, time, change.act.rawValue, change.fields) }
    }

    func note(_ change: ProblemLedger.Change, at time: String) {
        ledger.apply(change, at: time)
        put(.problems, time, change.act.rawValue, change.fields)
    }

    func put(_ register: RegisterName, _ time: String, _ kind: String, _ fields: [String: String]) {
        guard waiting.count < Self.longestWait else { return }
        waiting.append(Line(register: register, time: time, kind: kind, fields: fields))
    }

    /// Writes what waits; throws where something still does.
    func flush() throws {
        var written = 0
        defer { waiting.removeFirst(written) }
        for line in waiting {
            try writers[line.register]?.append(line.time, line.kind, line.fields)
            written += 1
        }
    }
}

/// What is told of a run over and over.
struct RunTally: Hashable, Sendable {
    var policy: String
    var state: RunRecord.State
}

/// When a run was made: seconds since 1970.
struct RunFacts: Sendable, Equatable {
    var started: Int64?
    var ended: Int64?

    /// That of its data.
    var time: Int64? { started ?? ended }

    init(_ fields: [String: String]) {
        started = fields["started"].flatMap { TimeText.parse($0) }
        ended = fields["ended"].flatMap { TimeText.parse($0) }
    }
}

extension RunRecord {
    /// Back from a line of the register, whose kind is the state; nil for what is no run.
    init?(registerFields fields: [String: String], _ kind: String) {
        guard let id = fields["run"], Self.isWellFormed(id: id), let policy = fields["policy"],
            let state = State(rawValue: kind), state.isOver, let asked = fields["asked"]
        else { return nil }
        func number(_ name: String) -> Int? { fields[name].flatMap { Int($0) } }
        self.init(
            id: id, policy: policy, trigger: fields["trigger"].flatMap { Trigger(rawValue: $0) } ?? .request,
            requestedBy: fields["requestedBy"], attempt: number("attempt") ?? 1, asked: asked, state: state)
        due = fields["due"].flatMap { TimeText.parse($0) }.flatMap {
            (0...CalendarExpression.endOfTime / 1_000_000).contains($0) ? $0 * 1_000_000 : nil
        }
        (started, ended, archive) = (fields["started"], fields["ended"], fields["archive"])
        (files, bytes, bytesStored) = (number("files"), number("bytes"), number("bytesStored"))
        problems = number("problems")
        failure = fields["failure"].flatMap { FailureKind(rawValue: $0) }
        message = fields["message"]
    }

    /// The record as fields of a line of the register.
    var registerFields: [String: String] {
        var fields = ["run": id, "policy": policy, "trigger": trigger.rawValue, "attempt": "\(attempt)"]
        fields["requestedBy"] = requestedBy
        fields["due"] = due.map { TimeText.seconds($0 / 1_000_000) }
        fields["asked"] = asked
        fields["started"] = started
        fields["ended"] = ended
        fields["archive"] = archive
        fields["files"] = files.map { "\($0)" }
        fields["bytes"] = bytes.map { "\($0)" }
        fields["bytesStored"] = bytesStored.map { "\($0)" }
        fields["problems"] = problems.map { "\($0)" }
        fields["failure"] = failure?.rawValue
        fields["message"] = message.map { String($0.unicodeScalars.prefix(ProblemLedger.Change.longestText)) }
        return fields
    }
}
