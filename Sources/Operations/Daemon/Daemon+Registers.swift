package import Domain

/// The problems that are open, for who asks how the daemon fares.
package struct OpenProblems: Codable, Sendable, Equatable {
    package var count: Int
    /// The one that was opened last.
    package var newest: Problem?

    package init(count: Int, newest: Problem?) {
        self.count = count
        self.newest = newest
    }
}

/// What the work loop did last, on the clock that only advances; microseconds.
struct Beats: Sendable {
    /// Nil until the work loop began.
    var ticked: Int64?
    var stored: Int64?
    var touched: Int64?
    var sampled: Int64?
    /// Why what commands told could not be read, as it was told last.
    var toldProblem = ""
}

/// What the daemon tells its registers. That they cannot be written is no reason not to archive: it is told, and what
/// happened waits in memory.
extension Daemon {
    /// Microseconds between two samples of the load.
    private static let sampleEvery: Int64 = 300_000_000

    /// At a start, after the runs were read: tells what the registers lack, and what they say of the time before.
    func openRegisters(damaged: [String]) {
        let opened: DaemonRegisters
        do { opened = try DaemonRegisters(state: settings.statePath) } catch {
            tell(.error, "the registers cannot be kept: \(Self.words(error))")
            alarmView.stateDamage["registers"] = Self.words(error)
            return
        }
        registers = opened
        for notice in opened.notices { tell(.warning, notice) }
        for place in opened.damage { tell(.error, "a register is damaged: \(place.text)") }
        let found = opened.damage.map(\.text) + damaged
        if let first = found.first {
            let others = found.count > 1 ? " (and \(found.count - 1) more)" : ""
            opened.note(ProblemLedger.Event.damaged(message: first + others), at: now)
            alarmView.stateDamage["registers"] = first + others
        } else {
            opened.note(ProblemLedger.Event.sound, at: now)
        }
        noteAbsence(opened)
        let untold = runs.filter { opened.lacks($0) }
        for run in untold.sorted(by: { ($0.ended ?? $0.asked) < ($1.ended ?? $1.asked) }) {
            opened.note(run, at: run.ended ?? now)
        }
        storeRegisters()
    }

    private func noteAbsence(_ registers: DaemonRegisters) {
        let wall = clock.read().wall / 1_000_000
        if let last = Heartbeat.read(state: settings.statePath) {
            var fields = ["from": TimeText.seconds(last.time), "until": TimeText.seconds(wall)]
            fields["seconds"] = "\(max(0, wall - last.time))"
            fields["cause"] = last.isStopped ? "stopped" : "crash or power"
            fields["machine"] = last.bootID == clock.bootID ? "stayed up" : "was started anew"
            registers.put(.availability, now, "outage", fields)
        }
        let fields = ["version": settings.version, "process": "\(ProcessID.own)", "boot": clock.bootID]
        registers.put(.availability, now, "started", fields)
        keepHeartbeat(isStopped: false)
    }

    /// With every turn of the work loop.
    func beat() {
        let reading = clock.read()
        beats.ticked = reading.boot
        guard let registers else { return }
        if beats.stored.map({ reading.boot - $0 >= Heartbeat.durableEvery }) ?? true {
            beats.stored = reading.boot
            keepHeartbeat(isStopped: false)
        } else if beats.touched.map({ reading.boot - $0 >= Heartbeat.touchEvery }) ?? true {
            beats.touched = reading.boot
            Heartbeat.touch(state: settings.statePath, at: reading.wall / 1_000_000)
            takeOverTold()
        }
        if beats.sampled.map({ reading.boot - $0 >= Self.sampleEvery }) ?? true {
            beats.sampled = reading.boot
            registers.put(.availability, now, "load", loadFields())
        }
        storeRegisters()
    }

    /// The end that was asked for.
    func endRegisters() {
        guard let registers else { return }
        registers.put(.availability, now, "stopped", [:])
        storeRegisters()
        keepHeartbeat(isStopped: true)
    }

    private func keepHeartbeat(isStopped: Bool) {
        let beat = Heartbeat(
            time: clock.read().wall / 1_000_000, bootID: clock.bootID, process: ProcessID.own, isStopped: isStopped)
        do { try writing { try beat.write(state: settings.statePath) } } catch {
            tell(.error, "the sign of life cannot be stored: \(Self.words(error))")
        }
    }

    private func loadFields() -> [String: String] {
        var fields = HostLoad.read().fields
        fields["stateAvailable"] = places.ask(settings.statePath).place.map { "\($0.room.available)" }
        fields["vaultAvailable"] = places.ask(settings.vaultPath).place.map { "\($0.room.available)" }
        return fields
    }

    // MARK: What happened

    /// Of every change of a run those that end it.
    func note(_ run: RunRecord) {
        if run.state.isOver, run.archive != nil { volumeView.isStale = true }
        guard run.state.isOver, let registers else { return }
        registers.note(run, at: now)
        storeRegisters()
    }

    /// Due runs that nobody made, those that wait since their window passed, and a clock that was set.
    func note(_ report: SchedulerReport) {
        guard let registers else { return }
        let text = report.text(in: .english)
        switch report {
        // Who withdraws a policy wants no run of it.
        case .missed(let policy, _, _, _, _, let reason) where reason != .withdrawn:
            registers.note(ProblemLedger.Event.missed(policy: policy, message: text), at: now)
        case .windowMissed(let policy, _, _):
            registers.note(ProblemLedger.Event.missed(policy: policy, message: text), at: now)
        case .clockStepped: registers.note(ProblemLedger.Event.clock(message: text), at: now)
        case .missed, .interrupted, .gaveUp, .ended, .unknownRun: return
        }
        storeRegisters()
    }

    /// After the policies were read: `refused` is what keeps a set from being in force. A folder that is only another
    /// one than what was applied is a proposal, and no problem.
    func notePolicies(refused: [String]) {
        guard let registers else { return }
        if let first = refused.first {
            let others = refused.count > 1 ? " (and \(refused.count - 1) more)" : ""
            registers.note(ProblemLedger.Event.refused(message: first + others), at: now)
        } else {
            registers.note(ProblemLedger.Event.inForce, at: now)
        }
        storeRegisters()
    }

    /// As which the register of problems knows a verification.
    static func verificationName(_ depth: String, _ place: String) -> String { "verification (\(depth)) of \(place)" }

    /// What commands did beside the daemon, or before its start.
    func takeOverTold() {
        guard let registers else { return }
        let told: [ToldOutcomes.Told]
        do { told = try ToldOutcomes.read(state: settings.statePath) } catch {
            let words = "what commands told of problems cannot be read: \(Self.words(error))"
            if beats.toldProblem != words { tell(.error, words) }
            beats.toldProblem = words
            return
        }
        beats.toldProblem = ""
        guard !told.isEmpty else { return }
        for one in told {
            guard let outcome = one.outcome else { continue }
            for event in outcome.events { registers.note(event, at: outcome.time) }
            if outcome.ending != .done {
                tell(.warning, "a command tells of \(outcome.subjects.joined(separator: ", ")): \(outcome.message)")
            }
        }
        storeRegisters()
        // What is not on the disk yet is told again; the ledger counts nothing twice.
        guard alarmView.registerProblem == nil else { return }
        for one in told { ToldOutcomes.remove(one) }
    }

    /// How a verification ended. Each depth has problems of its own: what only opening the chunks shows is not closed by
    /// one that compares digests.
    func noteVerification(
        _ depth: String, of vault: String, by id: String, _ outcome: ProblemLedger.Outcome, _ message: String
    ) {
        let name = Self.verificationName(depth, vault)
        registers?.note(ProblemLedger.Event.ended(policy: name, run: id, outcome, message: message), at: now)
        storeRegisters()
    }

    /// What a vault said to the key that reads; `failure` is nil when it opens.
    func noteKey(of vault: String, by id: String, _ failure: String?) {
        let outcome: ProblemLedger.Outcome = failure == nil ? .done : .failed
        let name = "reading key of \(vault)"
        registers?.note(ProblemLedger.Event.ended(policy: name, run: id, outcome, message: failure ?? ""), at: now)
        storeRegisters()
    }

    /// How the removal of originals of a policy ended.
    func noteMove(of policy: String, _ failure: String?, isDamage: Bool) {
        let outcome: ProblemLedger.Outcome = failure == nil ? .done : isDamage ? .damaged : .failed
        let id = "move-\(clock.read().wall / 1_000_000)"
        let name = MoveOriginals.problem(of: policy)
        registers?.note(ProblemLedger.Event.ended(policy: name, run: id, outcome, message: failure ?? ""), at: now)
        storeRegisters()
    }

    /// Told once when lines begin to wait, and once when none does any more.
    func storeRegisters() {
        guard let registers else { return }
        do {
            try writing { try registers.flush() }
            if registers.isTold { tell(.notice, "the registers are written again") }
            registers.isTold = false
            alarmView.registerProblem = nil
        } catch {
            alarmView.registerProblem = Self.words(error)
            if !registers.isTold { tell(.error, "the registers cannot be written: \(Self.words(error))") }
            registers.isTold = true
        }
    }

    // MARK: Answers

    var openProblems: OpenProblems? {
        guard let open = registers?.ledger.openProblems else { return nil }
        return OpenProblems(count: open.count, newest: open.last)
    }

    /// Adds what a person has to say about a problem, open or closed.
    package func remark(_ problem: Int, _ text: String, by caller: String) throws -> RemarkReport {
        guard let registers else {
            throw OperationError(.failed, "the registers cannot be kept", hint: "See the journal of the daemon.")
        }
        let change = try RemarkReport.change(problem, text, by: caller, in: registers.ledger)
        try recordAsked("problem.remark", "\(problem)", by: caller)
        registers.note(change, at: now)
        do { try writing { try registers.flush() } } catch {
            throw OperationError(
                .failed, "the remark is not on the disk yet: \(Self.words(error))",
                hint: "The daemon goes on trying as long as it runs.")
        }
        return RemarkReport(problem: problem, text: change.text ?? "", by: caller, dryRun: false)
    }
}
