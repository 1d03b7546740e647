import Domain

/// How recent what the policies hold is: the one answer for alarms, metrics and status.
///
/// Invariants:
/// 1. What counts is when a run began: what its archive holds is not newer.
/// 2. A clock that was set makes nothing recent. How long ago a run of this process was tells the clock that only advances; of
///    those before, one whose time lies ahead says nothing, and the last of the others counts.
extension Daemon {
    /// When the last run of the policy that was done began, in seconds since 1970 as the clock counts now; nil without one.
    func lastSuccess(of policy: Policy, at now: ClockReading) -> Int64? {
        let wall = now.wall / 1_000_000
        let latest = wall + AlarmWatch.aheadSeconds
        // Where the registers cannot be read, or not so far back, the daemon's own records know the last one.
        let known =
            registers?.lastDone(of: policy.name, notAfter: latest)
            ?? runs.last { $0.policy == policy.name && $0.state == .done && !isAhead($0, of: wall) }
            .flatMap { RunFacts($0.registerFields).time }
        guard let begun = successes[policy.name] else { return known }
        let lived = (now.wall - (now.boot - begun)) / 1_000_000
        // The clocks drift apart by seconds, and what is told should not.
        if let known, abs(known - lived) <= AlarmWatch.aheadSeconds { return known }
        return lived
    }

    /// Since when what a policy archives is exposed that never had a whole run: its first one, or since when the daemon knows
    /// it; seconds since 1970, and never ahead.
    func knownSince(_ policy: Policy, at now: Int64) -> Int64 {
        let known = min(alarmView.knownSince[policy.name] ?? now, now)
        alarmView.knownSince[policy.name] = known
        let first = runs.first { $0.policy == policy.name && !isAhead($0, of: now) }
        return min(known, first.flatMap { TimeText.parse($0.asked) } ?? known)
    }

    /// Whether the clock showed a time that is yet to come when the run was asked for.
    func isAhead(_ run: RunRecord, of now: Int64) -> Bool {
        run.asked > TimeText.seconds(now + AlarmWatch.aheadSeconds)
    }

    /// Oldest first. Those of a time that is yet to come were made by a clock that was wrong, before all that came after.
    func inOrder(_ runs: [RunRecord]) -> [RunRecord] {
        let now = clock.read().wall / 1_000_000
        return runs.filter { isAhead($0, of: now) } + runs.filter { !isAhead($0, of: now) }
    }
}
