/// Decides when the runs of all policies start: events in, actions out, nothing else. It reads no clock, waits for
/// nothing and starts nothing; whoever drives it stores ``state`` after each event, then carries out the actions.
///
/// Invariants, for each policy:
/// - at most one run is going at a time;
/// - no due instant is lost: every one that the clock reaches is started, pending, or reported as missed with the
///   reason, as the schedule's catch-up says;
/// - none is doubled: a due instant has one first attempt, whatever the clock does; a further attempt follows only one
///   that failed or was interrupted;
/// - a run starts not before its due instant and jitter, only in a window, not while paused, not while it rests after
///   failures; and when none of these holds it back, it starts at once;
/// - however far the clock is set forward, at most ``Schedule/maximumBacklog`` runs follow from it; where it is set
///   back again, due instants that it skipped come up as usual, and those that were started do not.
///
/// Rests after failures are measured by the boot clock, which nobody can set; everything else by the calendar.
package struct Scheduler: Sendable {
    /// A schedule and the rules of its ``Schedule/effectiveZoneName``.
    package struct Plan: Sendable {
        package var schedule: Schedule
        package var zone: TimeZoneRules
        /// The newest due instant that is known from elsewhere to have been run; it counts only where the state knows
        /// nothing of the policy, as after it was lost.
        package var lastDue: Int64?

        package init(schedule: Schedule, zone: TimeZoneRules, lastDue: Int64? = nil) {
            self.schedule = schedule
            self.zone = zone
            self.lastDue = lastDue
        }
    }

    package enum Event: Sendable {
        /// The daemon starts, after a boot or a crash: whatever ran is over. `bootID` names the boot; `finished` are runs that
        /// are known to have ended well although nobody said so.
        case booted(bootID: String, plans: [String: Plan], finished: Set<RunIdentity> = [])
        /// The daemon ends in order: what runs, or waits to, is due again at the next start, and that is no failure of it.
        case stopped
        /// Time has passed.
        case tick
        /// The system said that somebody set the clock.
        case clockStepped
        case runStarted(RunIdentity)
        case runFinished(RunIdentity)
        /// `retry` is false for a failure that will repeat until somebody changes something.
        case runFailed(RunIdentity, retry: Bool)
        /// By a person, who does not want it tried again.
        case runCancelled(RunIdentity)
        /// One policy, or all (nil).
        case paused(policy: String?)
        case resumed(policy: String?)
        /// The whole set of policies as it is from now on.
        case replaced(plans: [String: Plan])
        /// It became known that the policy, of which the state had been lost, ran at this time: what was due since is due now.
        case recalled(policy: String, at: Int64)
    }

    package enum Action: Sendable, Equatable {
        case start(RunIdentity)
        case report(SchedulerReport)
        /// Always the last action, replacing the one before: call with ``Event/tick`` when either clock reaches its
        /// time, or at any earlier time.
        case wake(wall: Int64?, boot: Int64?)
    }

    /// First attempts and retries of one due instant.
    package static let maximumAttempts = 5
    /// Differences between the clocks up to this many microseconds are adjustment, not a step.
    static let smallestStep: Int64 = 5_000_000
    /// Due instants that one event counts singly; beyond, the newest are found from the other end.
    static let maximumCounted = 2_000

    package internal(set) var state: SchedulerState
    var plans: [String: Plan] = [:]
    /// For each policy the first due instant after an instant, and when that starts, so that it is not searched for at
    /// each event.
    private var upcoming: [String: (after: Int64, due: Int64?, start: Int64?)] = [:]
    var actions: [Action] = []
    private(set) var now = ClockReading(wall: 0, boot: 0)
    /// The wall clock at the last event.
    private var before: Int64?
    /// The same where the time since then was lived through; nil after a start of the daemon and where the clock was set.
    private var lived: Int64?

    /// Nothing happens before ``Event/booted(bootID:plans:finished:)``.
    package init(_ state: SchedulerState = SchedulerState()) { self.state = state.sound }

    package mutating func handle(_ event: Event, at reading: ClockReading) -> [Action] {
        now = reading.sound
        actions = []
        noteClock(event)
        if case .replaced = event { for name in plans.keys.sorted() { gather(name) } }
        apply(event)
        state.last = now
        if case .stopped = event {
            for name in state.entries.keys.sorted() { putBack(name) }
            return actions + [.wake(wall: nil, boot: nil)]
        }
        for name in plans.keys.sorted() {
            gather(name)
            settle(name)
            start(name)
        }
        let wake = nextWake()
        actions.append(.wake(wall: wake.wall, boot: wake.boot))
        defer { actions = [] }
        return actions
    }

    // MARK: - The clock

    /// Compares the clocks with the last reading, and takes back what is pending for a time that is yet to come again.
    private mutating func noteClock(_ event: Event) {
        var isSameBoot = true
        var isStart = false
        if case .booted(let bootID, _, _) = event {
            isStart = true
            isSameBoot = state.bootID == bootID
            state.bootID = bootID
        }
        before = state.last?.wall
        lived = isStart ? nil : before
        if let last = state.last {
            let passed = isSameBoot ? now.boot - last.boot : 0
            let step = now.wall - last.wall - passed
            // Over a boot the clock may have advanced by any amount, but not gone back.
            if step <= -Self.smallestStep || isSameBoot && step >= Self.smallestStep {
                report(.clockStepped(by: step))
                lived = nil
            }
        }
        for name in state.entries.keys.sorted() { takeBack(name) }
    }

    // MARK: - Events

    private mutating func apply(_ event: Event) {
        switch event {
        case .tick, .clockStepped, .stopped: break
        case .booted(_, let plans, let finished):
            for name in state.entries.keys.sorted() { interrupt(name, finished) }
            replace(plans)
        case .replaced(let plans): replace(plans)
        case .recalled(let policy, let instant):
            guard let considered = state.entries[policy]?.considered else { return }
            state.entries[policy]?.considered = min(considered, max(instant, 0))
        case .paused(let policy): setPaused(true, policy)
        case .resumed(let policy): setPaused(false, policy)
        case .runStarted(let run):
            if isGoing(run) { state.entries[run.policy]?.running?.isConfirmed = true }
        case .runFinished(let run):
            guard isGoing(run) else { return }
            finish(run)
            forgetIfWithdrawn(run.policy)
        case .runCancelled(let run):
            guard isGoing(run) else { return }
            state.entries[run.policy]?.running = nil
            forgetIfWithdrawn(run.policy)
        case .runFailed(let run, let retry):
            guard isGoing(run) else { return }
            fail(run, retry: retry)
            forgetIfWithdrawn(run.policy)
        }
    }

    private mutating func isGoing(_ run: RunIdentity) -> Bool {
        if let going = state.entries[run.policy]?.running, going.due == run.due, going.attempt == run.attempt {
            return true
        }
        report(.unknownRun(run))
        return false
    }

    /// After a start of the daemon: its runs are over, and rests begin anew on a clock that may have begun anew.
    private mutating func interrupt(_ name: String, _ finished: Set<RunIdentity>) {
        state.entries[name]?.backOff?.from = now.boot
        guard let running = state.entries[name]?.running else { return }
        let run = RunIdentity(policy: name, due: running.due, attempt: running.attempt)
        if finished.contains(run) { return finish(run) }
        report(.interrupted(run))
        fail(run, retry: true)
    }

    private mutating func finish(_ run: RunIdentity) {
        state.entries[run.policy]?.running = nil
        state.entries[run.policy]?.failures = 0
        state.entries[run.policy]?.backOff = nil
    }

    private mutating func fail(_ run: RunIdentity, retry: Bool) {
        guard var entry = state.entries[run.policy] else { return }
        entry.running = nil
        entry.failures = min(entry.failures + 1, SchedulerState.maximumAttempts)
        let delay = SchedulerState.RetryDelay.after(failures: entry.failures)
        entry.backOff = .init(from: now.boot, delay: delay)
        if retry, run.attempt < Self.maximumAttempts {
            let again = SchedulerState.Pending(
                due: run.due, attempt: run.attempt + 1, start: run.due, opens: nil, closes: nil)
            let at = entry.pending.firstIndex { $0.due > run.due } ?? entry.pending.endIndex
            entry.pending.insert(again, at: at)
        } else {
            report(.gaveUp(run))
        }
        state.entries[run.policy] = entry
    }

    private mutating func setPaused(_ isPaused: Bool, _ policy: String?) {
        if let policy {
            state.entries[policy]?.isPaused = isPaused
        } else {
            state.isPaused = isPaused
        }
    }

    /// A policy that is new begins now; one that is gone keeps only the run that is going.
    private mutating func replace(_ plans: [String: Plan]) {
        self.plans = plans
        upcoming = [:]
        for name in state.entries.keys.sorted() where plans[name] == nil {
            drop(state.entries[name]?.pending ?? [], of: name, because: .withdrawn)
            state.entries[name]?.pending = []
            state.entries[name]?.isWithdrawn = true
            forgetIfWithdrawn(name)
        }
        for (name, plan) in plans {
            guard let old = state.entries[name]?.schedule else {
                begin(name, plan)
                continue
            }
            if state.entries[name]?.isWithdrawn == true { begin(name, plan) }
            let isSameSeries =
                old.expression == plan.schedule.expression
                && old.effectiveZoneName == plan.schedule.effectiveZoneName
            if !isSameSeries { state.entries[name]?.isEndReported = false }
            state.entries[name]?.schedule = plan.schedule
        }
    }

    /// Nothing before now is due for the policy, unless it is known up to when it ran.
    private mutating func begin(_ name: String, _ plan: Plan) {
        let lastDue = plan.lastDue.map { min(max($0, 0), now.wall) }
        var entry = SchedulerState.Entry(schedule: plan.schedule, considered: lastDue ?? now.wall)
        entry.settle(min(lived ?? now.wall, now.wall), lastDue ?? now.wall)
        if let old = state.entries[name] {
            // Withdrawn while it ran: what is going, or is to be tried again, goes on.
            (entry.running, entry.pending, entry.isPaused) = (old.running, old.pending, old.isPaused)
            (entry.failures, entry.backOff) = (old.failures, old.backOff)
        }
        state.entries[name] = entry
    }

    private mutating func forgetIfWithdrawn(_ name: String) {
        if plans[name] == nil, state.entries[name]?.running == nil {
            drop(state.entries[name]?.pending ?? [], of: name, because: .withdrawn)
            state.entries[name] = nil
        }
    }

    // MARK: - Due instants

    /// When the first due instant after now would start, whether or not it came up before.
    mutating func upcomingStart(_ name: String) -> Int64? {
        guard let plan = plans[name], let due = firstDue(name, after: now.wall) else { return nil }
        if let start = upcoming[name]?.start { return start }
        let start = plan.schedule.start(ofDue: due, in: plan.zone)
        upcoming[name]?.start = start
        return start
    }

    private mutating func firstDue(_ name: String, after instant: Int64) -> Int64? {
        if let known = upcoming[name], known.after <= instant, instant < known.due ?? .max { return known.due }
        guard let plan = plans[name] else { return nil }
        let due = plan.schedule.due(after: instant, in: plan.zone)
        upcoming[name] = (instant, due, nil)
        return due
    }

    /// Makes every due instant pending that the clock has reached since the last time.
    ///
    /// Where time was lived through, that is whatever lies in it and is not settled. Where the clock jumped, it is
    /// what lies beyond everything considered so far.
    private mutating func gather(_ name: String) {
        guard let plan = plans[name], var entry = state.entries[name] else { return }
        if lived == nil, let before, before < now.wall {
            // Nothing is due in the beginning of a jump, so that stretches grow together.
            entry.settle(before + 1, min((firstDue(name, after: before) ?? .max) - 1, now.wall))
        }
        let from = min(lived ?? entry.considered, entry.considered)
        if from < now.wall {
            let first = firstDue(name, after: from)
            if let first, first <= now.wall {
                let reached = reach(from: first, plan, entry)
                upcoming[name] = (now.wall, reached.next, nil)
                if let missed = reached.missed {
                    let reason = plan.schedule.catchUp == .all ? .backlog : reason(entry, plan)
                    report(
                        .missed(
                            policy: name, first: missed.first, last: missed.last, count: missed.count,
                            isExact: reached.isExact, reason: reason))
                }
                entry.pending += reached.kept.map { pending($0, plan) }
                entry.pending.sort { $0.due < $1.due }
                if lived == nil { entry.settle(reached.last + 1, now.wall) }
            }
            if let lived { entry.settle(lived + 1, now.wall) }
            entry.considered = max(entry.considered, now.wall)
        }
        state.entries[name] = entry
        if !entry.isEndReported, firstDue(name, after: now.wall) == nil {
            state.entries[name]?.isEndReported = true
            report(.ended(policy: name))
        }
    }

    /// Due instants that the clock reached: those that are kept, and those before them, which are missed.
    private struct Reached {
        var kept: [Int64] = []
        var missed: (first: Int64, last: Int64, count: Int)?
        var isExact = true
        var last: Int64
        var next: Int64?

        /// Keeps the newest `limit`.
        mutating func add(_ due: Int64, limit: Int) {
            kept.append(due)
            if kept.count > limit { miss(kept.removeFirst()) }
        }

        mutating func miss(_ due: Int64) { missed = (missed?.first ?? due, due, (missed?.count ?? 0) + 1) }
    }

    /// Whatever was not settled before from `first`, which is due, until now.
    private func reach(from first: Int64, _ plan: Plan, _ entry: SchedulerState.Entry) -> Reached {
        // Where one run stands for all, only the newest of those that can start counts, and jitter may hold one back.
        let limit = plan.schedule.catchUp == .all ? Schedule.maximumBacklog : plan.schedule.jitter > 0 ? 2 : 1
        var reached = Reached(last: first, next: first)
        var counted = 0
        while let due = reached.next, due <= now.wall {
            if counted == Self.maximumCounted {
                reached.isExact = false
                for due in reached.kept { reached.miss(due) }
                reached.kept = []
                let newest = newest(limit, from: due, plan)
                // The one before those that are kept ends what is missed, whether or not it was known.
                if newest.count > limit, let end = newest.first {
                    reached.missed = (reached.missed?.first ?? due, end, max(reached.missed?.count ?? 0, 1))
                }
                for due in newest.suffix(limit) where !isKnown(due, entry) { reached.add(due, limit: limit) }
                reached.last = now.wall
                reached.next = plan.schedule.due(after: now.wall, in: plan.zone)
                break
            }
            counted += 1
            if !isKnown(due, entry) { reached.add(due, limit: limit) }
            reached.last = due
            reached.next = plan.schedule.due(after: due, in: plan.zone)
        }
        return reached
    }

    private func isKnown(_ due: Int64, _ entry: SchedulerState.Entry) -> Bool {
        entry.isSettled(due) || entry.running?.due == due || entry.pending.contains { $0.due == due }
    }

    /// The newest due instants from `first` until now, `limit` and one more at most: the latest part of the time that
    /// has as many, found from its end.
    private func newest(_ limit: Int, from first: Int64, _ plan: Plan) -> ArraySlice<Int64> {
        var span: Int64 = 128
        while true {
            let from = max(first - 1, now.wall - span)
            var found: [Int64] = []
            var next = plan.schedule.due(after: from, in: plan.zone)
            while let due = next, due <= now.wall, found.count < 50 * Self.maximumCounted {
                found.append(due)
                next = plan.schedule.due(after: due, in: plan.zone)
            }
            if found.count > limit || from == first - 1 { return found.suffix(limit + 1) }
            span *= 4
        }
    }

    private func pending(_ due: Int64, _ plan: Plan) -> SchedulerState.Pending {
        let start = plan.schedule.start(ofDue: due, in: plan.zone)
        guard !plan.schedule.windows.isEmpty, let opens = plan.schedule.opening(from: start, in: plan.zone) else {
            return .init(due: due, attempt: 1, start: start, opens: nil, closes: nil)
        }
        let closes = plan.schedule.closing(after: opens, in: plan.zone)
        return .init(due: due, attempt: 1, start: start, opens: opens, closes: closes)
    }

    mutating func report(_ report: SchedulerReport) { actions.append(.report(report)) }

    mutating func drop(
        _ pending: some Collection<SchedulerState.Pending>, of name: String, because reason: SchedulerReport.Reason
    ) {
        let dues = pending.map(\.due).sorted()
        guard let first = dues.first, let last = dues.last else { return }
        report(.missed(policy: name, first: first, last: last, count: dues.count, isExact: true, reason: reason))
    }
}
