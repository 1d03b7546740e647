import Glibc
import Testing

@Suite("The protocol of the sweep, explored")
struct SweepModelTests {
    typealias Limits = SweepModel.Limits

    /// What an exploration saw.
    private struct Exploration {
        var states = 0
        var steps = 0
        /// Different orders of steps that end where nothing more can happen.
        var histories = 0.0
        var deleting = 0
        var reviving = 0
        var violation: String?
        var trace: [String] = []
    }

    /// Visits every state that can be reached from `start`, nearest first, and stops at the first violation.
    private func explore(_ start: SweepModel, _ limits: Limits) -> Exploration {
        var seen = Exploration()
        let start = start.canonical(limits)
        var known: [SweepModel: Int] = [start: 0]
        var states = [start]
        var parents: [(from: Int, label: SweepModel.Label?)] = [(-1, nil)]
        var ways = [1.0]
        var at = 0
        while at < states.count, seen.violation == nil {
            let state = states[at]
            var isEnd = true
            let forbidden = state.steps(limits) { label, changed in
                let next = changed.canonical(limits)
                isEnd = false
                seen.steps += 1
                if let index = known[next] {
                    ways[index] += ways[at]
                    return
                }
                known[next] = states.count
                states.append(next)
                parents.append((at, label))
                ways.append(ways[at])
                guard seen.violation == nil, let violation = next.violation else { return }
                seen.violation = violation
                seen.trace = Self.trace(states.count - 1, parents)
            }
            if seen.violation == nil, let forbidden {
                seen.violation = forbidden
                seen.trace = Self.trace(at, parents)
            }
            if isEnd { seen.histories += ways[at] }
            if state.condemnations.contains(where: { $0.deleted != 0 }) { seen.deleting += 1 }
            if state.condemnations.contains(where: { $0.closed != 0 && $0.deleted != $0.list }) { seen.reviving += 1 }
            at += 1
        }
        seen.states = states.count
        return seen
    }

    private static func trace(_ index: Int, _ parents: [(from: Int, label: SweepModel.Label?)]) -> [String] {
        var trace: [String] = []
        var at = index
        while at > 0 {
            trace.append(parents[at].label?.description ?? "")
            at = parents[at].from
        }
        return trace.reversed()
    }

    /// What is explored in full: beginnings, and how much may happen behind each.
    private static var worlds: [(SweepModel, Limits)] {
        var worlds: [(SweepModel, Limits)] = [
            (SweepModel(), Limits(condemnations: 2, disposals: 2)),
            (.withArchive, Limits(crashes: 1, fences: 1)),
            (.withArchive, Limits(condemnations: 2, disposals: 2)),
            (.withArchive, Limits(disposals: 2, fences: 1)),
            (.withArchive, Limits(crashes: 1, sweeps: 2)),
            (.withInterrupted, Limits(chunks: 2, packs: 3, crashes: 1, fences: 1)),
        ]
        if getenv("QALA_TEST_LONG") != nil {
            worlds += [
                (SweepModel(), Limits(crashes: 1, fences: 1)),
                (SweepModel(), Limits(disposals: 2, fences: 1)),
                (SweepModel(), Limits(crashes: 1, sweeps: 2)),
                (SweepModel(), Limits(sessions: 4, disposals: 2, fences: 1)),
                (SweepModel(), Limits(chunks: 2, crashes: 1, fences: 1)),
                (.withInterrupted, Limits(chunks: 2, sessions: 4, fences: 1)),
            ]
        }
        return worlds
    }

    @Test("In no order of steps does a live archive lose a chunk")
    func safe() {
        var total = Exploration()
        for (start, limits) in Self.worlds {
            for isReversed in start.sessions.isEmpty ? [false] : [false, true] {
                var limits = limits
                limits.isReversed = isReversed
                let seen = explore(start, limits)
                #expect(seen.violation == nil, "\(limits): \(seen.trace)")
                total.states += seen.states
                total.steps += seen.steps
                total.histories += seen.histories
                total.deleting += seen.deleting
                total.reviving += seen.reviving
            }
        }
        print(
            "sweep model: \(total.states) states, \(total.steps) steps, \(total.histories) histories,",
            "\(total.deleting) states behind a deletion, \(total.reviving) behind a revival")
        #expect(total.steps >= 100_000 && total.histories >= 100_000)
        #expect(total.deleting > 1000 && total.reviving > 1000)
    }

    /// Where the absence of each rule is met soonest.
    private static func world(_ bug: SweepModel.Bug) -> (SweepModel, Limits) {
        switch bug {
        case .basesForgotten: (.withArchive, Limits(packs: 1, disposals: 2, bug: bug))
        case .fencedCommits: (.withArchive, Limits(fences: 1, bug: bug))
        default: (.withInterrupted, Limits(chunks: 2, packs: 3, fences: 1, bug: bug))
        }
    }

    @Test("Each rule that is left out is missed, and with it all is well", arguments: SweepModel.Bug.allCases)
    func planted(bug: SweepModel.Bug) {
        var (start, limits) = Self.world(bug)
        let seen = explore(start, limits)
        #expect(seen.violation != nil, "\(bug): \(seen.states) states without a violation")
        if let violation = seen.violation {
            print("sweep model without a rule (\(bug)): \(violation) after \(seen.trace.count) steps")
        }
        limits.bug = nil
        #expect(explore(start, limits).violation == nil)
    }
}
