import Domain

/// In which runs go one after the other. What goes beside what stands in `docs/daemon.md`.
enum Lane: Sendable {
    /// Of everything that is read: such a run may take hours.
    case ofPolicies
    /// Of what is streamed alone: such a run is short, and somebody may wait for it.
    case ofStreams
}

extension Policy {
    var lane: Lane { isOfStreamsAlone ? .ofStreams : .ofPolicies }

    /// Its runs take nothing but what is streamed, so that they may come as often as that does.
    var isOfStreamsAlone: Bool {
        !data.isEmpty && data.allSatisfy(\.isStreamed) && sources.isEmpty && logs.isEmpty
    }

    /// Whether runs of both may not go at once.
    func isApart(from other: Policy) -> Bool {
        name != other.name && Set(data.map(\.root)).isDisjoint(with: other.data.map(\.root))
    }
}

extension Lane {
    /// The first of those that wait, in the order in which they were asked for, whose lane is free, and that goes together with all
    /// that are going and all that were asked for before it: what was asked for first is never overtaken by what shares a source with
    /// it. One without a policy, which was withdrawn, ends as soon as the lane of the policies is free.
    static func next(
        of waiting: some Sequence<(id: String, policy: Policy?)>,
        beside going: some Sequence<(lane: Lane, policy: Policy)>
    ) -> String? {
        var lanes = Set(going.map(\.lane))
        var before = going.map(\.policy)
        for (id, policy) in waiting {
            let lane = policy?.lane ?? .ofPolicies
            let isApart = policy.map { policy in before.allSatisfy { $0.isApart(from: policy) } } ?? true
            if isApart, !lanes.contains(lane) { return id }
            lanes.insert(lane)
            if let policy { before.append(policy) }
        }
        return nil
    }
}

extension Daemon {
    /// The run whose turn it is.
    var nextInQueue: String? {
        if queue.isEmpty { return nil }
        let waiting = queue.map { id in
            (id: id, policy: run(id).flatMap { run in policies.policies.first { $0.name == run.policy } })
        }
        return Lane.next(of: waiting, beside: going.map { (lane: $0.lane, policy: $0.policy) })
    }

    /// Whether a run of the policy would begin now if nothing waited.
    func mayBegin(_ policy: Policy) -> Bool {
        Lane.next(of: [(id: "", policy: policy)], beside: going.map { (lane: $0.lane, policy: $0.policy) }) != nil
    }
}
