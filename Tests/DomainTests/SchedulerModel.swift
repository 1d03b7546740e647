@testable import Domain

/// What the scheduler must do, written down a second time as plainly as possible: every due instant stands in a
/// dictionary with what became of it, and each event's actions are compared with what follows from that.
struct SchedulerModel {
    enum Fate { case waiting, started, missed, takenBack }

    struct Note {
        var fate: Fate
        /// Whether the clock passed the instant without jumping over it.
        var isLived: Bool
        /// With jitter.
        var start: Int64
    }

    final class Policy {
        var schedule: Schedule
        var zone: TimeZoneRules
        var notes: [Int64: Note] = [:]
        /// Those of ``notes`` that wait.
        var waiting: Set<Int64> = []
        /// The latest time that was considered.
        var highest: Int64
        var running: RunIdentity?
        /// Several only after a clock was set back while one was pending.
        var retries: [RunIdentity] = []
        var failures = 0
        var restsUntil: Int64 = 0
        var isPaused = false

        init(schedule: Schedule, zone: TimeZoneRules, highest: Int64) {
            self.schedule = schedule
            self.zone = zone
            self.highest = highest
        }
    }

    var policies: [String: Policy] = [:]
    var isPaused = false
    private var last: ClockReading?
    private var now = ClockReading(wall: 0, boot: 0)
    private(set) var complaints: [String] = []
    private(set) var started = 0
    private(set) var missed = 0
    private(set) var retried = 0
    private var cache: [String: (until: Int64, dues: [Int64])] = [:]
    private let cacheStart: Int64
    private var upcoming: [String: (from: Int64, due: Int64, start: Int64)] = [:]

    init(from start: Int64) { cacheStart = start }

    mutating func complain(_ text: String) { complaints.append("\(InstantText.utc(now.wall)): \(text)") }

    // MARK: - Before the event

    /// `isNewBoot` matters only where `isStart`.
    mutating func pass(to reading: ClockReading, isStart: Bool, isNewBoot: Bool) {
        now = reading
        defer { last = reading }
        guard let last else { return }
        let step = reading.wall - last.wall - (isNewBoot ? 0 : reading.boot - last.boot)
        let isJump = isStart || step.magnitude >= 5_000_000
        for name in policies.keys {
            takeBack(name)
            guard let policy = policies[name] else { continue }
            if isJump {
                for due in dues(name, after: policy.highest) where policies[name]?.notes[due]?.fate != .started {
                    let note = policies[name]?.notes[due]
                    if note?.isLived == true, note?.fate != .takenBack { continue }
                    mark(name, due, .waiting, isLived: false)
                }
            } else {
                for due in dues(name, after: min(last.wall, policy.highest)) {
                    let note = policies[name]?.notes[due]
                    if note?.fate == .started || note?.fate == .waiting { continue }
                    if note?.isLived == true, note?.fate == .missed { continue }
                    mark(name, due, .waiting, isLived: true)
                }
            }
            let highest = policies[name]?.highest ?? 0
            policies[name]?.highest = max(highest, reading.wall)
        }
    }

    private mutating func mark(_ name: String, _ due: Int64, _ fate: Fate, isLived: Bool? = nil) {
        guard let policy = policies[name] else { return }
        let wasLived = policy.notes[due]?.isLived ?? false
        let note = Note(fate: fate, isLived: isLived ?? wasLived, start: start(due, policy))
        policies[name]?.notes[due] = note
        if fate == .waiting { policies[name]?.waiting.insert(due) } else { policies[name]?.waiting.remove(due) }
    }

    private mutating func takeBack(_ name: String) {
        guard let policy = policies[name], now.wall < policy.highest else { return }
        for due in policy.waiting where due > now.wall {
            mark(name, due, .takenBack, isLived: false)
            let highest = policies[name]?.highest ?? 0
            policies[name]?.highest = min(highest, due - 1)
        }
    }

    /// Due instants up to now; those of the years that are simulated are computed once.
    private mutating func dues(_ name: String, after: Int64) -> [Int64] {
        guard let policy = policies[name], after < now.wall else { return [] }
        func list(after: Int64, until: Int64) -> [Int64] {
            var found: [Int64] = []
            var last = after
            while let due = policy.schedule.due(after: last, in: policy.zone), due <= until {
                found.append(due)
                last = due
            }
            return found
        }
        guard after >= cacheStart else { return list(after: after, until: now.wall) }
        var known = cache[name] ?? (cacheStart, [])
        if known.until < now.wall {
            known.dues += list(after: known.until, until: now.wall)
            known.until = now.wall
            cache[name] = known
        }
        return Array(known.dues[position(after, known.dues)..<position(now.wall, known.dues)])
    }

    /// The number of elements up to `value`.
    private func position(_ value: Int64, _ list: [Int64]) -> Int {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            if list[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: - Events

    mutating func begin(_ plans: [String: Scheduler.Plan]) {
        for (name, plan) in plans {
            if policies[name] == nil {
                policies[name] = Policy(schedule: plan.schedule, zone: plan.zone, highest: now.wall)
            } else {
                policies[name]?.schedule = plan.schedule
                policies[name]?.zone = plan.zone
            }
        }
    }

    mutating func interruptAll(isNewBoot: Bool) {
        for (name, policy) in policies {
            // A rest is begun anew at each start of the daemon.
            let rested = now.boot + rest(policy.failures)
            if policy.restsUntil > 0 { policies[name]?.restsUntil = rested }
            if let run = policy.running { fail(run, retry: true) }
        }
    }

    mutating func finish(_ run: RunIdentity) {
        policies[run.policy]?.running = nil
        policies[run.policy]?.failures = 0
        policies[run.policy]?.restsUntil = 0
    }

    mutating func cancel(_ run: RunIdentity) { policies[run.policy]?.running = nil }

    mutating func fail(_ run: RunIdentity, retry: Bool) {
        guard let policy = policies[run.policy] else { return }
        policy.running = nil
        policy.failures += 1
        policy.restsUntil = now.boot + rest(policy.failures)
        if retry, run.attempt < 5 {
            policy.retries.append(RunIdentity(policy: run.policy, due: run.due, attempt: run.attempt + 1))
        }
    }

    private func rest(_ failures: Int) -> Int64 {
        var seconds: Int64 = 60
        for _ in 1..<max(failures, 1) { seconds = min(seconds * 2, 3600) }
        return seconds * 1_000_000
    }

    // MARK: - After the event

    mutating func check(_ actions: [Scheduler.Action]) {
        var starts: [RunIdentity] = []
        for action in actions {
            switch action {
            case .start(let run): starts.append(run)
            case .report(.missed(let policy, let first, let last, let count, let isExact, let reason)):
                note(policy, first...last, count, isExact, reason)
            case .report, .wake: break
            }
        }
        for name in policies.keys.sorted() {
            let mine = starts.filter { $0.policy == name }
            let expected = expectedStart(name)
            if mine != (expected.map { [$0] } ?? []) {
                complain("starts \(mine), expected \(String(describing: expected))")
            }
            for run in mine { begin(run) }
            checkWaiting(name)
        }
        guard case .wake(let wall, let boot) = actions.last else { return complain("no wake") }
        checkWake(wall: wall, boot: boot)
    }

    private mutating func note(
        _ name: String, _ span: ClosedRange<Int64>, _ count: Int, _ isExact: Bool, _ reason: SchedulerReport.Reason
    ) {
        guard let policy = policies[name] else { return complain("a report about \(name)") }
        let ripe = policy.waiting.filter { span.contains($0) && isRipe($0, policy) }
        var number = ripe.count
        for due in ripe { mark(name, due, .missed) }
        let dropped = policy.retries.filter { span.contains($0.due) }
        if number + dropped.count == count {
            policy.retries.removeAll { dropped.contains($0) }
            number += dropped.count
        }
        missed += number
        if isExact ? number != count : number < count {
            complain("\(name): \(count) missed in \(span) (\(reason)), the model has \(number)")
        }
    }

    private func isRipe(_ due: Int64, _ policy: Policy) -> Bool { start(due, policy) <= now.wall }

    private func start(_ due: Int64, _ policy: Policy) -> Int64 {
        policy.notes[due]?.start ?? policy.schedule.start(ofDue: due, in: policy.zone)
    }

    private mutating func expectedStart(_ name: String) -> RunIdentity? {
        guard let policy = policies[name], policy.running == nil, !isPaused, !policy.isPaused,
            policy.restsUntil <= now.boot, policy.schedule.isOpen(at: now.wall, in: policy.zone)
        else { return nil }
        var candidates = policy.waiting.filter { isRipe($0, policy) }
            .map { RunIdentity(policy: name, due: $0, attempt: 1) }
        candidates += policy.retries
        return policy.schedule.catchUp == .all
            ? candidates.min { $0.due < $1.due } : candidates.max { $0.due < $1.due }
    }

    private mutating func begin(_ run: RunIdentity) {
        if policies[run.policy]?.running != nil { complain("\(run) overlaps") }
        if run.attempt == 1 {
            if policies[run.policy]?.notes[run.due]?.fate != .waiting { complain("\(run) is not due") }
            mark(run.policy, run.due, .started)
            started += 1
        } else {
            if policies[run.policy]?.retries.contains(run) != true { complain("\(run) is not to be tried again") }
            policies[run.policy]?.retries.removeAll { $0 == run }
            retried += 1
        }
        policies[run.policy]?.restsUntil = 0
        policies[run.policy]?.running = run
    }

    /// What may still be waiting after an event.
    private mutating func checkWaiting(_ name: String) {
        guard let policy = policies[name] else { return }
        let ripe = policy.waiting.filter { isRipe($0, policy) }.sorted()
        switch policy.schedule.catchUp {
        case .all:
            if ripe.count > 101 { complain("\(name): \(ripe.count) wait") }
        case .latest, .none:
            if ripe.count + policy.retries.count > 1 { complain("\(name): \(ripe.count) wait unreported") }
            guard policy.schedule.catchUp == .none, let due = ripe.first else { return }
            let start = start(due, policy)
            let opens = policy.schedule.opening(from: start, in: policy.zone) ?? start
            if now.wall - opens > 60_000_000 { complain("\(name): \(due) waits too long") }
        }
    }

    /// Nothing may become possible before the scheduler asks to be woken.
    private mutating func checkWake(wall: Int64?, boot: Int64?) {
        if let wall, wall <= now.wall { complain("wakes in the past") }
        for (name, policy) in policies {
            if let start = upcomingStart(name), wall ?? .max > start { complain("\(name): sleeps over \(start)") }
            for due in policy.waiting where !isRipe(due, policy) {
                let start = start(due, policy)
                if wall ?? .max > start { complain("\(name): sleeps over \(start)") }
            }
            let hasRipe = !policy.retries.isEmpty || policy.waiting.contains { isRipe($0, policy) }
            guard hasRipe, policy.running == nil, !isPaused, !policy.isPaused else { continue }
            if policy.restsUntil > now.boot {
                if boot ?? .max > policy.restsUntil { complain("\(name): rests too long") }
            } else if let opens = policy.schedule.opening(from: now.wall, in: policy.zone) {
                if wall ?? .max > opens { complain("\(name): sleeps over a window") }
            }
        }
    }

    private mutating func upcomingStart(_ name: String) -> Int64? {
        if let known = upcoming[name], known.from <= now.wall, now.wall < known.due { return known.start }
        guard let policy = policies[name], let due = policy.schedule.due(after: now.wall, in: policy.zone) else {
            return nil
        }
        let start = policy.schedule.start(ofDue: due, in: policy.zone)
        upcoming[name] = (now.wall, due, start)
        return start
    }

    /// Forgets what is long past, so that the checks stay quick; what is forgotten must not come up again, so this is
    /// only for instants that no clock step of the simulation reaches.
    mutating func forget(before instant: Int64) {
        for name in policies.keys {
            guard let notes = policies[name]?.notes else { continue }
            policies[name]?.notes = notes.filter { $0.key >= instant || $0.value.fate == .waiting }
        }
    }
}
