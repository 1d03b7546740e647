/// Whether a schedule keeps up with what a policy promises.
///
/// The gaps are those between the earliest start of one run and the latest start of the next: jitter counts against
/// the promise, and so does the wait for a window. How long a run takes is not known here.
package struct PolicyPace: Sendable {
    /// At most so many instants are tried in one stretch, which is less than the horizon where the promise is one of
    /// hours. What an ordinary week does not show, a change of the clocks does: the days around each are looked at too.
    static let maximumProbes = 2000

    package let schedule: Schedule
    package let zone: TimeZoneRules
    /// A schedule is looked at for so long, and for three times the promise.
    let horizonDays: Int64

    package init(schedule: Schedule, zone: TimeZoneRules, horizonDays: Int64 = 400) {
        self.schedule = schedule
        self.zone = zone
        self.horizonDays = horizonDays
    }

    package enum Verdict: Sendable, Equatable {
        case neverRuns
        /// The last run, in seconds since 1970.
        case ends(Int64)
        /// The first gap found that is too long, in seconds, and the end of it in seconds since 1970.
        case gap(seconds: Int64, until: Int64)
        case keepsUp
    }

    /// Whether the runs after `instant` (seconds since 1970) follow each other within `limit` seconds; without a limit,
    /// whether there are any.
    package func verdict(after instant: Int64, limit: Int64?) -> Verdict {
        let start = instant * 1_000_000
        guard let first = schedule.due(after: start, in: zone), earliest(first) != nil else { return .neverRuns }
        guard let limit else { return .keepsUp }
        let longest = max(limit, 1) * 1_000_000
        let horizon = start + horizonDays * 86_400_000_000 + 3 * longest
        if case let found = verdict(from: first, until: horizon, longest: longest), found != .keepsUp { return found }
        // Asked in the middle of an hour that comes twice, a calendar names instants that no run follows to: around a
        // change of the clocks every run is looked at, from the one before it where that is not too many.
        for change in clockChanges(after: instant) {
            let end = min(horizon, (change + 2 * 86_400) * 1_000_000 + longest)
            for margin in [longest + 86_400_000_000, 7_200_000_000] {
                let from = max(start, change * 1_000_000 - margin)
                guard let run = schedule.due(after: from, in: zone) else { continue }
                let found = verdict(from: run, until: end, longest: longest, leaps: false)
                if found != .keepsUp { return found }
            }
        }
        return .keepsUp
    }

    /// With `leaps`, runs between two that are near enough are not looked at: their gaps are shorter still.
    private func verdict(from first: Int64, until horizon: Int64, longest: Int64, leaps: Bool = true) -> Verdict {
        var run = first
        var leap = leaps ? longest / 2 : 0
        var probes = 0
        while run < horizon, probes < Self.maximumProbes {
            probes += 1
            let isSingle = leap < 1_000_000
            guard let next = schedule.due(after: isSingle ? run : run + leap - 1, in: zone) else {
                if isSingle { return .ends(run / 1_000_000) }
                leap = 0
                continue
            }
            guard let from = earliest(run), let to = latest(next) else { return .neverRuns }
            if to - from <= longest {
                run = next
                leap = leaps ? min(longest / 2, leap * 2 + 1_000_000) : 0
            } else if isSingle {
                return .gap(seconds: (to - from) / 1_000_000, until: to / 1_000_000)
            } else {
                leap /= 2
            }
        }
        return .keepsUp
    }

    /// The days within the horizon in which the offset of the zone changes, as seconds since 1970.
    private func clockChanges(after instant: Int64) -> [Int64] {
        (0..<horizonDays).map { instant + $0 * 86_400 }.filter {
            zone.offset(at: Int($0)) != zone.offset(at: Int($0) + 86_400)
        }
    }

    private func earliest(_ due: Int64) -> Int64? { schedule.opening(from: due, in: zone) }

    private func latest(_ due: Int64) -> Int64? {
        var latest = due + Int64(schedule.jitter) * 1_000_000
        if schedule.jitter > 0, let next = schedule.due(after: due, in: zone) { latest = min(latest, next) }
        return schedule.opening(from: latest, in: zone)
    }
}
