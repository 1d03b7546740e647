import Domain
import Synchronization

/// What people ask of a daemon, and what it tells.
extension Daemon {
    package func status() -> DaemonStatus {
        checkFolderAgain()
        let reading = clock.read()
        let seconds = reading.wall / 1_000_000
        let rows = policies.policies.map { policy in
            let entry = scheduler.state.entries[policy.name]
            return DaemonStatus.PolicyRow(
                name: policy.name, component: policy.component.rawValue, isPaused: entry?.isPaused ?? false,
                failures: entry?.failures ?? 0, next: nextDue(policy).map { TimeText.seconds($0 / 1_000_000) },
                last: runs.last { $0.policy == policy.name && $0.state.isOver },
                points: recoveryPoints(of: policy, at: reading).map { .init($0, at: seconds) })
        }
        let now = goingNow
        return DaemonStatus(
            version: settings.version, processID: ProcessID.own, started: startedAt,
            policyFolder: settings.policyFolder, policyVersion: inForce?.number,
            isPaused: scheduler.state.isPaused, going: now.first, beside: now.dropFirst().first,
            waiting: queue.compactMap(run), policies: rows, policyProblems: alarmView.policyFailure + policyProblems,
            folderDiffers: folderDiffers, openProblems: openProblems)
    }

    private var goingNow: [DaemonStatus.Going] {
        going.compactMap { one in
            guard let run = run(one.id) else { return nil }
            let progress = one.progress
            return DaemonStatus.Going(
                run: run, files: progress.files.load(ordering: .relaxed),
                bytes: progress.bytes.load(ordering: .relaxed), bytesStored: progress.stored.load(ordering: .relaxed),
                expectedBytes: progress.expectedBytes.load(ordering: .relaxed))
        }
    }

    /// The newest `limit` runs, newest first.
    package func runs(of policy: String?, limit: Int) -> [RunRecord] {
        Array(runs.reversed().lazy.filter { policy == nil || $0.policy == policy }.prefix(limit))
    }

    package func recentEvents(limit: Int) -> [DaemonEvent] { events.suffix(limit) }

    /// By id or its unique beginning.
    package func find(_ id: String) throws -> RunRecord {
        let found = runs.filter { $0.id.hasPrefix(id) }
        guard !id.isEmpty, let run = found.first else {
            throw OperationError(.notFound, "there is no run \(id)", hint: "`qala jobs` lists them.")
        }
        guard found.count == 1 else {
            throw OperationError(.usage, "\(id) is the beginning of \(found.count) runs", hint: "Give more of the id.")
        }
        return run
    }

    package func request(_ policy: String, by caller: String) throws -> RunRecord {
        try check(policy)
        if isStopping { throw OperationError(.tryAgain, "the daemon is stopping") }
        if let same = queue.compactMap(run).first(where: { $0.policy == policy && $0.trigger == .request }) {
            return same
        }
        try recordAsked("run.request", policy, by: caller)
        let made = enqueue(policy, .request, by: caller)
        tell(.notice, "asked for by \(caller)", made)
        pump()
        return run(made.id) ?? made
    }

    package func cancel(_ id: String, by caller: String) throws -> RunRecord {
        var run = try find(id)
        let place = going.firstIndex { $0.id == run.id }
        if place != nil || queue.contains(run.id) {
            try recordAsked("run.cancel", run.policy, by: caller, run: run.id)
        }
        if let place {
            going[place].isCancelled = true
            going[place].interrupt.set()
        } else if let at = queue.firstIndex(of: run.id) {
            queue.remove(at: at)
            run.state = .cancelled
            run.ended = now
            change(run)
            recordRun(run)
            if let identity = run.identity { handle(.runCancelled(identity)) }
        } else {
            throw OperationError(.usage, "the run \(run.id) is over: \(run.state.rawValue)")
        }
        tell(.notice, "cancelled by \(caller)", run)
        return self.run(run.id) ?? run
    }

    /// One policy, or all (nil): what is due waits, what is going goes on.
    package func setPaused(_ isPaused: Bool, _ policy: String?, by caller: String) throws {
        if let policy {
            try check(policy)
            guard scheduler.state.entries[policy] != nil else {
                throw OperationError(
                    .usage, "the policy \(policy) has no schedule", hint: "It runs when it is asked to.")
            }
        }
        try recordAsked(isPaused ? "schedule.pause" : "schedule.resume", policy ?? "", by: caller)
        handle(isPaused ? .paused(policy: policy) : .resumed(policy: policy))
        tell(.notice, "\(policy ?? "everything") \(isPaused ? "paused" : "resumed") by \(caller)")
    }

    private func check(_ policy: String) throws {
        guard policies.policies.contains(where: { $0.name == policy }) else {
            throw OperationError(.notFound, "no policy \(policy) is in force", hint: "`qala status` lists them.")
        }
    }

    /// Called when it can be asked: only then the service manager hears that it is up.
    package func ready() { notifier.send("READY=1", statusLine) }

    /// Takes the newest applied version; where it is not valid, the set before stays, and this throws.
    package func reload(by caller: String) throws {
        try recordAsked("daemon.reload", settings.policyFolder, by: caller)
        tell(.notice, "the policies are read again, as \(caller) asked")
        notifier.reloading()
        defer { notifier.send("READY=1", statusLine) }
        try readPolicies(atStart: false)
        // Whatever becomes of the alarms: the policies are in force.
        handle(.replaced(plans: plans()))
        wantKeyTrial()
        try readAlarms(atStart: false)
        tell(.notice, "reloaded: \(policies.policies.count) policies are in force")
    }
}
