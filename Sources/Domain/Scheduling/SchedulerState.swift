/// Everything the scheduler must not forget: stored after each event, before its actions are carried out.
///
/// Due instants and clock readings are microseconds. Stored bytes are not trusted: ``sound`` cuts whatever is beyond
/// its limits, so that no arithmetic on it can overflow and no list can grow.
package struct SchedulerState: Sendable, Equatable, Codable {
    /// A due instant for which no run was started yet, or one whose run failed and is to be tried again.
    package struct Pending: Sendable, Equatable, Codable {
        package let due: Int64
        /// Of the run that is to be started: 1, or more after failures.
        package var attempt: Int
        /// Due instant plus jitter.
        let start: Int64
        /// When a window opens at or after ``start``, and when it closes; nil where windows play no part.
        let opens: Int64?
        let closes: Int64?
        /// Whether it was reported that the window passed.
        var isWindowReported = false
    }

    package struct Running: Sendable, Equatable, Codable {
        package let due: Int64
        package let attempt: Int
        /// Whether its start was confirmed.
        package var isConfirmed = false
    }

    /// No run before `boot` of the clock that counts since the machine was started.
    struct BackOff: Sendable, Equatable, Codable {
        var from: Int64
        var delay: Int64
        var until: Int64 { from + delay }
    }

    /// A stretch of time on the wall clock, both ends included.
    struct Span: Sendable, Equatable, Codable {
        var first: Int64
        var last: Int64
    }

    package struct Entry: Sendable, Equatable, Codable {
        package var schedule: Schedule
        /// The latest time that was considered: every due instant after the policy began and up to this was started,
        /// reported or is pending.
        package internal(set) var considered: Int64
        /// Ascending by due instant.
        package internal(set) var pending: [Pending] = []
        package internal(set) var running: Running?
        /// Failures in a row.
        package internal(set) var failures = 0
        package internal(set) var isPaused = false
        var backOff: BackOff?
        /// Times that were lived through and instants that were started, ascending, none touching the next. Due
        /// instants in them do not come up again when the clock was set back; those that were only jumped over do.
        var settled: [Span] = []
        /// Withdrawn while its last run is still going.
        var isWithdrawn = false
        /// Whether it was reported that nothing is due any more.
        var isEndReported = false
    }

    package internal(set) var entries: [String: Entry] = [:]
    package internal(set) var isPaused = false
    /// Of the boot in which ``last`` was read.
    var bootID: String?
    var last: ClockReading?

    package init() {}

    /// Of more spans the nearest join: what was jumped over between them counts as settled.
    static let maximumSpans = 500
    static let maximumAttempts = 1000
    /// Instants are kept between 1970 and the year 2200, boot readings below thirty thousand years.
    static let instants = 0...CalendarExpression.endOfTime
    static let bootReadings: ClosedRange<Int64> = 0...1 << 59

    var sound: SchedulerState {
        var state = self
        state.last = last?.sound
        for (name, entry) in entries { state.entries[name] = entry.sound }
        return state
    }
}

extension SchedulerState.Entry {
    fileprivate var sound: Self {
        var entry = self
        let instants = SchedulerState.instants
        entry.considered = considered.clamped(to: instants)
        entry.failures = failures.clamped(to: 0...SchedulerState.maximumAttempts)
        entry.backOff = backOff.map {
            .init(
                from: $0.from.clamped(to: SchedulerState.bootReadings),
                delay: $0.delay.clamped(to: 0...SchedulerState.RetryDelay.longest))
        }
        let waiting = pending.filter { instants.contains($0.due) && instants.contains($0.start) }
        let unique = Dictionary(waiting.map { ($0.due, $0) }) { first, _ in first }
        entry.pending = Array(unique.values.sorted { $0.due < $1.due }.suffix(Schedule.maximumBacklog + 1))
        for at in entry.pending.indices {
            entry.pending[at].attempt = entry.pending[at].attempt.clamped(to: 1...SchedulerState.maximumAttempts)
        }
        entry.running = running.map {
            .init(
                due: $0.due.clamped(to: instants), attempt: $0.attempt.clamped(to: 1...SchedulerState.maximumAttempts),
                isConfirmed: $0.isConfirmed)
        }
        entry.settled = []
        for span in settled where instants.contains(span.first) && instants.contains(span.last) {
            entry.settle(span.first, span.last)
        }
        return entry
    }

    func isSettled(_ due: Int64) -> Bool {
        guard let last = settled.last, due <= last.last else { return false }
        return settled.contains { $0.first <= due && due <= $0.last }
    }

    /// Adds the time from `first` to `last`.
    mutating func settle(_ first: Int64, _ last: Int64) {
        guard first <= last else { return }
        if let end = settled.last, end.first <= first, first <= end.last + 1 {
            settled[settled.count - 1].last = max(end.last, last)
            return
        }
        // Those that overlap it or touch it, in a row, become one with it.
        let from = settled.firstIndex { $0.last + 1 >= first } ?? settled.endIndex
        let until = settled[from...].firstIndex { $0.first > last + 1 } ?? settled.endIndex
        let joined = SchedulerState.Span(
            first: from < until ? min(first, settled[from].first) : first,
            last: from < until ? max(last, settled[until - 1].last) : last)
        settled.replaceSubrange(from..<until, with: [joined])
        guard settled.count > SchedulerState.maximumSpans else { return }
        let gaps = zip(settled, settled.dropFirst()).map { $1.first - $0.last }
        guard let narrowest = gaps.indices.min(by: { gaps[$0] < gaps[$1] }) else { return }
        settled[narrowest].last = settled[narrowest + 1].last
        settled.remove(at: narrowest + 1)
    }

    /// Takes one instant out again.
    mutating func unsettle(_ due: Int64) {
        guard let at = settled.firstIndex(where: { $0.first <= due && due <= $0.last }) else { return }
        let span = settled.remove(at: at)
        if due < span.last { settled.insert(.init(first: due + 1, last: span.last), at: at) }
        if span.first < due { settled.insert(.init(first: span.first, last: due - 1), at: at) }
    }
}

/// The two clocks of the machine, read together, in microseconds.
package struct ClockReading: Sendable, Equatable, Codable {
    /// Since 1970: what the calendar goes by. It can be set.
    package var wall: Int64
    /// Since the machine was started, sleep included (`CLOCK_BOOTTIME`). It only advances.
    package var boot: Int64

    package init(wall: Int64, boot: Int64) {
        self.wall = wall
        self.boot = boot
    }

    var sound: ClockReading {
        ClockReading(
            wall: wall.clamped(to: SchedulerState.instants), boot: boot.clamped(to: SchedulerState.bootReadings))
    }
}

extension SchedulerState {
    /// Microseconds that a policy rests after failures in a row: a minute, doubled by each, an hour at most.
    enum RetryDelay {
        static let longest: Int64 = 3_600_000_000

        static func after(failures: Int) -> Int64 {
            min(longest, 60_000_000 << Int64(failures.clamped(to: 1...8) - 1))
        }
    }
}

extension Comparable {
    fileprivate func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
