/// What the next step of an archive may be. Removals and disposal are permissions: whoever acts on one checks the
/// vault once more and records the event.
package enum TierAction: Hashable, Sendable {
    case copy(to: String)
    case verify(in: String)
    /// So many more volumes are needed.
    case writeVolumes(Int)
    case verifyVolume(String)
    case mayRemoveOriginal
    case mayRemoveCopy(in: String)
    case mayExpire
}

extension TierState {
    /// When the archive is due in a tier; nil while that is not known.
    private func due(_ tier: Tier, _ plan: TierPlan, assuming now: Int64? = nil) -> Int64? {
        guard let committedAt else { return nil }
        switch plan[tier].trigger {
        case nil: return nil
        case .onCommit: return committedAt
        case .after(let period): return period.adding(to: committedAt)
        case .afterPrevious:
            if tier == .offline, plan.online.isUsed { return end(.online, plan, assuming: now) }
            return activeEnd(plan)
        }
    }

    private func activeEnd(_ plan: TierPlan) -> Int64? {
        guard let committedAt else { return nil }
        return plan.active.keep?.end(from: committedAt)
    }

    /// When the last copy that the tier demands was first verified, and not before it was due. It may lie ahead, for
    /// copies that were ready before their time. With `now` given, a tier not reached counts as reached on time.
    private func reached(_ tier: Tier, _ plan: TierPlan, assuming now: Int64? = nil) -> Int64? {
        guard let due = due(tier, plan, assuming: now) else { return nil }
        let verified: Int64?
        switch tier {
        case .active: return committedAt
        case .online:
            let first = plan.places.map { places[$0]?.firstVerified }
            verified = first.contains(nil) ? nil : first.compactMap(\.self).max()
        case .offline:
            let first = volumes.values.compactMap(\.firstVerified).sorted()
            verified = first.count < plan.offlineCopies ? nil : first[plan.offlineCopies - 1]
        }
        return (verified ?? now).map { max($0, due) }
    }

    /// When the period in a tier is over; nil for never and while the tier is not reached.
    package func end(_ tier: Tier, _ plan: TierPlan, assuming now: Int64? = nil) -> Int64? {
        guard let reached = reached(tier, plan, assuming: now) else { return nil }
        return plan[tier].keep?.end(from: reached)
    }

    private func isReached(_ tier: Tier, _ plan: TierPlan, at now: Int64) -> Bool {
        reached(tier, plan).map { $0 <= now } ?? false
    }

    private func isOver(_ tier: Tier, _ plan: TierPlan, at now: Int64) -> Bool {
        end(tier, plan).map { $0 <= now } ?? false
    }

    /// Whether every copy that the tier demands is verified as of now.
    private func isFulfilled(_ tier: Tier, _ plan: TierPlan) -> Bool {
        switch tier {
        case .active: true
        case .online: plan.places.allSatisfy { places[$0]?.isVerified ?? false }
        case .offline: volumes.values.count(where: \.isVerified) >= plan.offlineCopies
        }
    }

    private func owesOriginal(_ plan: TierPlan) -> Bool { plan.mode == .move && originalRemovedAt == nil }

    /// Whether the online copies are there no more because the archive left the tier.
    private var hasLeftOnline: Bool {
        places.values.contains(where: \.wasRemoved) && !places.values.contains(where: \.isThere)
    }

    /// Where the archive has come to.
    package func stage(_ plan: TierPlan, at now: Int64) -> TierStage {
        if disposedAt != nil { return .expired }
        if plan.offline.isUsed, isReached(.offline, plan, at: now), !plan.online.isUsed || hasLeftOnline {
            return .offline
        }
        return plan.online.isUsed && isReached(.online, plan, at: now) ? .online : .active
    }

    /// What retention must know: where the archive is, what it still owes, when its last period ends.
    package func standing(_ plan: TierPlan, at now: Int64) -> TierStanding {
        let used = [Tier.online, .offline].filter { plan[$0].isUsed }
        let missing = used.first { reached($0, plan) == nil }
        // Of `mode: copy` the active tier ends with the original, which is not ours.
        let ends = used.map { end($0, plan, assuming: now) } + (plan.mode == .move ? [activeEnd(plan)] : [])
        let last = ends.contains(nil) ? nil : ends.compactMap(\.self).max()
        return TierStanding(
            stage: stage(plan, at: now), owes: missing ?? (owesOriginal(plan) ? .active : nil), end: last)
    }

    /// What may be done now, in a fixed order. `isExpirable` is what retention decides about the archive.
    ///
    /// While the time is not trusted nothing is removed, and nothing begins that waited for its time.
    package func actions(_ plan: TierPlan, at now: VaultTime, isExpirable: Bool) -> [TierAction] {
        guard committedAt != nil, disposedAt == nil else { return [] }
        let mayRemove = now.isTrusted && holds.isEmpty
        if mayRemove, isExpirable, hasServed(plan, at: now.seconds) { return [.mayExpire] }
        var actions = onlineActions(plan, at: now, mayRemove: mayRemove)
        if isDue(.offline, plan, at: now) {
            let copies = volumes.filter(\.value.isThere)
            let missing = plan.offlineCopies - copies.count
            if missing > 0 { actions.append(.writeVolumes(missing)) }
            for volume in copies.keys.sorted() where copies[volume]?.isVerified == false {
                actions.append(.verifyVolume(volume))
            }
        }
        if mayRemove, mayRemoveOriginal(plan, at: now.seconds) { actions.append(.mayRemoveOriginal) }
        return actions
    }

    private func isDue(_ tier: Tier, _ plan: TierPlan, at now: VaultTime) -> Bool {
        guard let due = due(tier, plan) else { return false }
        return due <= now.seconds && (now.isTrusted || plan[tier].trigger == .onCommit)
    }

    /// When the volumes that the plan demands are due; nil when all are there and verified, while it is not known, and where
    /// the plan has none.
    package func volumesDue(_ plan: TierPlan) -> Int64? {
        guard plan.offline.isUsed, disposedAt == nil, !isFulfilled(.offline, plan) else { return nil }
        return due(.offline, plan)
    }

    /// Every tier that is used was reached and its period is over, and no original waits to be moved.
    private func hasServed(_ plan: TierPlan, at now: Int64) -> Bool {
        [Tier.online, .offline].allSatisfy { !plan[$0].isUsed || isOver($0, plan, at: now) } && !owesOriginal(plan)
    }

    /// Whether the online copies, or a vault copy that only stood in for volumes, have done their work.
    private func isLeavingOnline(_ plan: TierPlan, at now: VaultTime) -> Bool {
        now.isTrusted && plan.offline.isUsed && isReached(.offline, plan, at: now.seconds)
            && isFulfilled(.offline, plan) && !owesOriginal(plan)
            && (!plan.online.isUsed || isOver(.online, plan, at: now.seconds))
    }

    private func onlineActions(_ plan: TierPlan, at now: VaultTime, mayRemove: Bool) -> [TierAction] {
        if isLeavingOnline(plan, at: now) {
            let present = places.filter(\.value.isThere).keys.sorted()
            return mayRemove ? present.map { .mayRemoveCopy(in: $0) } : []
        }
        // A volume that fails later is written anew from another one, not by way of the online tier.
        let isLeft = hasLeftOnline && volumes.values.contains(where: \.isThere)
        guard isDue(.online, plan, at: now), !isLeft else { return [] }
        return plan.places.compactMap { place in
            let copy = places[place] ?? Copy()
            if !copy.isThere { return .copy(to: place) }
            return copy.isVerified ? nil : .verify(in: place)
        }
    }

    /// All that the plan demands by now is verified, and at least one tier beside the active one is.
    private func mayRemoveOriginal(_ plan: TierPlan, at now: Int64) -> Bool {
        guard owesOriginal(plan), let activeEnd = activeEnd(plan), activeEnd <= now else { return false }
        if plan.online.isUsed {
            guard isReached(.online, plan, at: now), isFulfilled(.online, plan) else { return false }
        }
        guard plan.offline.isUsed else { return true }
        let isDemanded = !plan.online.isUsed || due(.offline, plan).map { $0 <= now } ?? false
        return !isDemanded || (isReached(.offline, plan, at: now) && isFulfilled(.offline, plan))
    }

    /// What the originals wait for, in a fixed order; empty when they may be removed, and when none is owed any more.
    package func waits(_ plan: TierPlan, at now: VaultTime) -> [MoveWait] {
        guard disposedAt == nil, owesOriginal(plan) else { return [] }
        var waits: [MoveWait] = now.isTrusted ? [] : [.time]
        waits += holds.sorted().map { .hold($0) }
        let end = activeEnd(plan)
        if end.map({ $0 > now.seconds }) ?? true { waits.append(.period(until: end)) }
        if plan.online.isUsed {
            for place in plan.places where !(places[place]?.isVerified ?? false) {
                waits.append(places[place]?.isThere ?? false ? .verification(place) : .copy(place))
            }
        }
        let isDemanded = !plan.online.isUsed || due(.offline, plan).map { $0 <= now.seconds } ?? false
        if plan.offline.isUsed, isDemanded, !isFulfilled(.offline, plan) {
            waits.append(.volumes(plan.offlineCopies - volumes.values.count(where: \.isVerified)))
        }
        // Such as a verification that vault time has not come to yet.
        if waits.isEmpty, !mayRemoveOriginal(plan, at: now.seconds) { waits.append(.period(until: nil)) }
        return waits
    }

    /// The next instant at which ``actions(_:at:isExpirable:)`` can change although nothing happens; nil for never.
    package func nextInstant(_ plan: TierPlan, after now: Int64) -> Int64? {
        guard disposedAt == nil else { return nil }
        var instants = [activeEnd(plan)]
        for tier in [Tier.online, .offline] {
            instants += [due(tier, plan), reached(tier, plan), end(tier, plan)]
        }
        return instants.compactMap(\.self).filter { $0 > now }.min()
    }
}
