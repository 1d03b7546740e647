/// The second half of an event: what becomes of pending due instants, which run starts, when to look again.
extension Scheduler {
    /// Whether nothing but windows, pauses and other runs holds a due instant back.
    private func isRipe(_ pending: SchedulerState.Pending) -> Bool {
        pending.attempt > 1 || pending.start <= now.wall
    }

    private func isPaused(_ entry: SchedulerState.Entry) -> Bool { state.isPaused || entry.isPaused }

    private func isResting(_ entry: SchedulerState.Entry) -> Bool {
        entry.backOff.map { now.boot < $0.until } ?? false
    }

    func reason(_ entry: SchedulerState.Entry, _ plan: Plan) -> SchedulerReport.Reason {
        if isPaused(entry) { return .paused }
        if entry.running != nil { return .overrun }
        if isResting(entry) { return .failing }
        return plan.schedule.isOpen(at: now.wall, in: plan.zone) ? .absent : .window
    }

    /// Applies the catch-up to what is pending, and reports windows that passed.
    mutating func settle(_ name: String) {
        guard let plan = plans[name], var entry = state.entries[name], !entry.pending.isEmpty else { return }
        switch plan.schedule.catchUp {
        case .all:
            let excess = entry.pending.count - Schedule.maximumBacklog
            if excess > 0 { remove(from: &entry, name, .backlog, limit: excess) { $0.attempt == 1 } }
        case .latest, .none:
            if let newest = entry.pending.last(where: isRipe)?.due {
                let reason = reason(entry, plan)
                let ripe = Set(entry.pending.filter(isRipe).map(\.due))
                // A run of a time that is yet to come again, as the clock was set back, stands for nothing that is still to start.
                remove(from: &entry, name, reason) { $0.due < newest && ripe.contains($0.due) }
            }
            if plan.schedule.catchUp == .none {
                let reason = reason(entry, plan)
                let latest = now.wall - Schedule.tolerance
                remove(from: &entry, name, reason) { $0.attempt == 1 && ($0.opens ?? $0.start) < latest }
            }
        }
        for at in entry.pending.indices where !entry.pending[at].isWindowReported && isRipe(entry.pending[at]) {
            guard let closes = entry.pending[at].closes, closes <= now.wall else { continue }
            entry.pending[at].isWindowReported = true
            let opens = plan.schedule.opening(from: now.wall, in: plan.zone)
            report(.windowMissed(policy: name, due: entry.pending[at].due, opensAgain: opens))
        }
        state.entries[name] = entry
    }

    private mutating func remove(
        from entry: inout SchedulerState.Entry, _ name: String, _ reason: SchedulerReport.Reason, limit: Int = .max,
        where isMissed: (SchedulerState.Pending) -> Bool
    ) {
        let missed = Set(entry.pending.filter(isMissed).prefix(limit).map(\.due))
        if missed.isEmpty { return }
        drop(entry.pending.filter { missed.contains($0.due) }, of: name, because: reason)
        entry.pending.removeAll { missed.contains($0.due) }
    }

    /// Starts the run whose turn it is, when nothing holds it back.
    mutating func start(_ name: String) {
        guard let plan = plans[name], var entry = state.entries[name], entry.running == nil, !isPaused(entry),
            !isResting(entry), let at = entry.pending.firstIndex(where: isRipe),
            plan.schedule.isOpen(at: now.wall, in: plan.zone)
        else { return }
        let chosen = entry.pending.remove(at: at)
        entry.backOff = nil
        entry.running = .init(due: chosen.due, attempt: chosen.attempt)
        if chosen.attempt == 1, !entry.isSettled(chosen.due) {
            // Up to the next due instant, so that starts in a row are one span.
            let next = plan.schedule.due(after: chosen.due, in: plan.zone) ?? chosen.due + 1
            entry.settle(chosen.due, next - 1)
        }
        state.entries[name] = entry
        actions.append(.start(RunIdentity(policy: name, due: chosen.due, attempt: chosen.attempt)))
    }

    /// The earliest time of either clock at which something can happen by itself.
    mutating func nextWake() -> (wall: Int64?, boot: Int64?) {
        var wall = CalendarExpression.endOfTime
        var boot = Int64.max
        for name in plans.keys.sorted() {
            guard let plan = plans[name], let entry = state.entries[name] else { continue }
            if let start = upcomingStart(name) { wall = min(wall, start) }
            for pending in entry.pending {
                if !isRipe(pending) { wall = min(wall, pending.start) }
                for bound in [pending.opens, pending.closes] {
                    if let bound, bound > now.wall { wall = min(wall, bound) }
                }
                if plan.schedule.catchUp == .none, pending.attempt == 1 {
                    wall = min(wall, (pending.opens ?? pending.start) + Schedule.tolerance + 1)
                }
            }
            if entry.pending.isEmpty || entry.running != nil || isPaused(entry) { continue }
            if isResting(entry), let until = entry.backOff?.until {
                boot = min(boot, until)
            } else if let opens = plan.schedule.opening(from: now.wall, in: plan.zone), opens > now.wall {
                wall = min(wall, opens)
            }
        }
        // Whatever is in the past was done by this event.
        return (wall < CalendarExpression.endOfTime ? max(wall, now.wall + 1) : nil, boot < .max ? boot : nil)
    }

    // MARK: - What comes again

    /// A due instant that is pending but lies ahead again, since the clock was set back, will come up as if new: when
    /// time passes it or, being counted as not considered, when the clock jumps over it.
    mutating func takeBack(_ name: String) {
        guard var entry = state.entries[name] else { return }
        let ahead = entry.pending.filter { $0.attempt == 1 && $0.due > now.wall }.map(\.due)
        guard let first = ahead.first else { return }
        entry.pending.removeAll { ahead.contains($0.due) }
        for due in ahead { entry.unsettle(due) }
        entry.considered = min(entry.considered, first - 1)
        state.entries[name] = entry
    }

    /// A run that ends with the daemon is due again at once, as a further attempt that gives up no sooner for it.
    mutating func putBack(_ name: String) {
        guard var entry = state.entries[name], let running = entry.running else { return }
        let attempt = min(running.attempt + 1, Self.maximumAttempts)
        let again = SchedulerState.Pending(
            due: running.due, attempt: attempt, start: running.due, opens: nil, closes: nil)
        entry.running = nil
        entry.pending.insert(again, at: entry.pending.firstIndex { $0.due > running.due } ?? entry.pending.endIndex)
        state.entries[name] = entry
    }
}
