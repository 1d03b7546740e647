import Domain

/// How the daemon fares, for programs that watch it.
extension Daemon {
    /// Microseconds after which a work loop that did not turn counts as hung.
    private static let longestTurn: Int64 = 60_000_000

    /// A daemon that works, or the reason why it does not.
    package struct Health: Sendable, Equatable {
        package var isGood: Bool
        /// One line without its end.
        package var text: String
    }

    /// Whether the work loop turned in the last minute.
    package func health() -> Health {
        guard let ticked = beats.ticked else { return Health(isGood: false, text: "the work loop has not begun") }
        let since = clock.read().boot - ticked
        guard since <= Self.longestTurn else {
            return Health(isGood: false, text: "the work loop did not turn for \(since / 1_000_000) seconds")
        }
        return Health(isGood: true, text: "ok")
    }

    /// Whether runs can be made: policies are in force, their vaults are there, and the daemon is not about to end.
    package func readiness() -> Health {
        if isStopping { return Health(isGood: false, text: "stopping") }
        if policies.policies.isEmpty { return Health(isGood: false, text: "no policy is in force") }
        for vault in Set(policies.policies.map { $0.vault ?? settings.vaultPath }).sorted() {
            switch places.ask(vault) {
            case .known(let place) where place?.hasVault == true: continue
            case .known: return Health(isGood: false, text: "the vault \(vault) cannot be reached")
            case .unknown: return Health(isGood: false, text: "the file system of \(vault) does not answer")
            }
        }
        return Health(isGood: true, text: "ready")
    }

    /// In the text format of Prometheus.
    package func metricsText() -> String {
        checkFolderAgain()
        return metrics().text
    }

    func metrics() -> DaemonMetrics {
        let reading = clock.read()
        let now = reading.wall / 1_000_000
        var metrics = DaemonMetrics(version: settings.version, started: TimeText.parse(startedAt) ?? now)
        metrics.now = now
        metrics.policies = policies.policies.map { row($0, at: reading) }
        metrics.ended = (registers?.ended ?? [:]).map { tally, count in
            DaemonMetrics.EndedRow(policy: tally.policy, state: tally.state, count: count)
        }
        for problem in registers?.ledger.openProblems ?? [] { metrics.openProblems[problem.kind, default: 0] += 1 }
        metrics.waiting = queue.count
        metrics.running = going.count
        metrics.isPaused = scheduler.state.isPaused
        metrics.arePoliciesRefused = !policyProblems.isEmpty || !alarmView.policyFailure.isEmpty
        metrics.arePoliciesProposed = folderDiffers
        for (place, path) in [("state", settings.statePath), ("vault", settings.vaultPath)] {
            if let room = places.ask(path).place?.room { metrics.rooms.append((place, room)) }
        }
        return metrics
    }

    /// Up to when each data source of a policy could be brought back.
    func recoveryPoints(of policy: Policy, at now: ClockReading) -> [RecoveryPoint] {
        let last = lastSuccess(of: policy, at: now)
        return policy.data.flatMap { source in
            if source.isStreamed { return walView.points[source.feedName] ?? [] }
            return [RecoveryPoint(source.kind, source.name, in: .vault, time: last, measuredSince: 0)]
        }
    }

    private func row(_ policy: Policy, at reading: ClockReading) -> DaemonMetrics.PolicyRow {
        let now = reading.wall / 1_000_000
        var row = DaemonMetrics.PolicyRow(name: policy.name, component: policy.component.rawValue)
        row.lastSuccess = lastSuccess(of: policy, at: reading)
        row.points = recoveryPoints(of: policy, at: reading)
        if let last = runs.last(where: { $0.policy == policy.name && $0.state.isOver }) {
            let started = last.started.flatMap { TimeText.parse($0) }
            row.lastRun = last.ended.flatMap { TimeText.parse($0) }
            if let started, let ended = row.lastRun { row.lastDuration = max(0, ended - started) }
            row.lastBytes = last.bytes
            row.lastBytesStored = last.bytesStored
            row.lastFiles = last.files
        }
        let entry = scheduler.state.entries[policy.name]
        row.failures = entry?.failures ?? 0
        row.isPaused = entry?.isPaused ?? false
        row.nextDue = nextDue(policy).map { $0 / 1_000_000 }
        row.age = max(0, now - (row.lastSuccess ?? knownSince(policy, at: now)))
        row.target = policy.rpo?.seconds
        return row
    }
}
