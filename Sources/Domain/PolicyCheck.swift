/// The strict check of one policy.
struct PolicyCheck {
    let policy: Policy
    let index: Int
    let day: CivilDay
    let knowledge: PolicySet.Knowledge
    private(set) var findings: [PolicyFinding] = []

    init(policy: Policy, index: Int, day: CivilDay, knowledge: PolicySet.Knowledge) {
        self.policy = policy
        self.index = index
        self.day = day
        self.knowledge = knowledge
    }

    mutating func note(_ field: String, _ reason: PolicyFinding.Reason, _ clause: Clause? = nil, other: Int? = nil) {
        findings.append(PolicyFinding(reason, policy: index, field: field, clause: clause, other: other))
    }

    mutating func run() {
        checkDemands()
        checkPersons()
        checkSchedule()
        checkCopies()
        checkTiers()
        checkReferences()
    }

    private mutating func checkDemands() {
        if policy.deputyPerson == nil { note("deputy", .missing(.deputy), .responsiblePerson) }
        if policy.legalBasis == nil { note("legal-basis", .missing(.legalBasis), .policyDocument) }
        if policy.schedule == nil { note("schedule", .missing(.schedule), .automation) }
        if policy.rpo == nil { note("rpo", .missing(.rpo), .backupStrategy) }
        if policy.rto == nil { note("rto", .missing(.rto), .recoveryTime) }
        if policy.copies.isEmpty { note("copies", .missing(.copies), .backupStrategy) }
        for tier in Tier.allCases where policy.tiers[tier] == nil {
            note("tiers.\(tier.rawValue)", .missing(.tier(tier)), .formatsAndPeriods)
        }
        if policy.retention == nil {
            note("retention", .missing(.retention), .demandingRetention(of: policy.component))
        }
        let verification = policy.verification
        if verification.stored == nil, verification.content == nil {
            note("verification", .missing(.verification), .archiveSecurity)
        }
        if verification.drill == nil { note("verification.drill", .missing(.drill), .backupStrategy) }
        if policy.recoveryPlan == nil { note("recovery-plan", .missing(.recoveryPlan), .recoveryPlan) }
        if policy.component == .accessData, [.public, .internal].contains(policy.confidentiality) {
            note("confidentiality", .tooOpen(policy.confidentiality), .archiveSecurity)
        }
    }

    private mutating func checkPersons() {
        check(policy.responsiblePerson, policy.responsibleTerm, .responsible)
        guard let deputy = policy.deputyPerson else { return }
        check(deputy, policy.deputyTerm, .deputy)
        if deputy.isSame(as: policy.responsiblePerson) {
            note("deputy", .samePerson(deputy.name), .responsiblePerson)
        }
    }

    private mutating func check(_ person: Person, _ term: Validity, _ duty: PolicyFinding.Duty) {
        let both = term.intersected(with: person.validity ?? .always)
        if both.covers(day) { return }
        note(duty.rawValue, .notInOffice(duty, name: person.name, term: both), .responsiblePerson)
    }

    private mutating func checkSchedule() {
        guard let schedule = policy.schedule else { return }
        let name = schedule.effectiveZoneName
        guard let zone = name == "UTC" ? .utc : knowledge.zone(name) else {
            let isOfExpression = schedule.expression.zoneName != nil
            note(isOfExpression ? "schedule.calendar" : "schedule.zone", .unknownZone(name))
            return
        }
        let pace = PolicyPace(schedule: schedule, zone: zone)
        switch pace.verdict(after: knowledge.instant, limit: policy.rpo?.seconds) {
        case .keepsUp: break
        case .neverRuns: note("schedule.calendar", .neverRuns, .automation)
        case .ends(let last): note("schedule.calendar", .runsEnd(last), .automation)
        case .gap(let seconds, let until):
            guard let rpo = policy.rpo else { break }
            note("rpo", .rpoOutOfReach(rpo: rpo, gap: seconds, until: until), .backupStrategy)
        }
    }

    private mutating func checkCopies() {
        if policy.copies.isEmpty { return }
        let vaults = policy.copies.indices.filter { policy.copies[$0].role == .vault }
        let usesOnline = policy.tiers[.online]?.isUsed ?? true
        if vaults.isEmpty, usesOnline { note("copies", .noVault, .backupStrategy) }
        if vaults.count > 1 { note("copies[\(vaults[1])].role", .severalVaults) }
        var online: Set<String> = []
        var shelves: Set<String> = []
        for (at, copy) in policy.copies.enumerated() {
            if copy.role == .volume {
                if !shelves.insert(copy.site).inserted {
                    note("copies[\(at)].site", .sameVolumeSite(copy.site), .sites)
                }
            } else if !online.insert(copy.site).inserted {
                note("copies[\(at)].site", .sameSite(copy.site), .sites)
            }
            if let lag = copy.lag, let rpo = policy.rpo, lag.seconds > rpo.seconds {
                note("copies[\(at)].lag", .lagBeyondRPO(lag: lag, rpo: rpo), .backupStrategy)
            }
        }
        if !policy.copies.contains(where: { $0.role == .mirror }) { note("copies", .noMirror, .standbyCopy) }
        if policy.mode == .move, policy.onlinePlaces.count + policy.volumeCount < 2 {
            note("mode", .moveNeedsSecondCopy, .archiveSecurity)
        }
        checkVolumes()
    }

    private mutating func checkVolumes() {
        guard let offline = policy.tiers[.offline] else { return }
        if offline.isUsed, policy.volumeCount == 0 { note("tiers.offline", .noVolumes, .formatsAndPeriods) }
        guard !offline.isUsed else { return }
        for (at, copy) in policy.copies.enumerated() where copy.role == .volume {
            note("copies[\(at)]", .unusedVolumes, .formatsAndPeriods)
        }
    }

    private mutating func checkTiers() {
        let plan: TierPlan
        do {
            guard let made = try policy.tierPlan() else { return }
            plan = made
        } catch {
            // Those were told above, at the copy in question.
            switch error.reason {
            case .noPlace, .repeatedPlace: return
            case .offlineCopiesOutOfRange where policy.volumeCount == 0: return
            default: break
            }
            note("tiers", .contradictoryTiers(error), .formatsAndPeriods)
            return
        }
        let used = Tier.allCases.filter { plan[$0].isUsed }
        for (before, after) in zip(used, used.dropFirst()) {
            guard case .after(let due) = plan[after].trigger else { continue }
            guard let end = plan.term(of: before) else { continue }
            if !end.isNeverShorter(than: .period(due)) {
                note("tiers.\(after.rawValue)", .tierGap(after, before: before), .formatsAndPeriods)
            }
        }
        guard let retention = policy.retention else { return }
        let ends = [Tier.online, .offline].compactMap { plan.term(of: $0) }
        if !ends.contains(where: { $0.isNeverShorter(than: retention.keepFor) }) {
            note("retention", .tiersEndBeforeRetention(retention.keepFor), .demandingRetention(of: policy.component))
        }
        if let maximum = retention.maximum,
            ends.contains(where: { !KeepingTerm.period(maximum).isNeverShorter(than: $0) })
        {
            note("retention.maximum", .tiersOutlastMaximum(maximum), .demandingRetention(of: policy.component))
        }
    }

    private mutating func checkReferences() {
        guard let plan = policy.recoveryPlan, let known = knowledge.recoveryPlans, !known.contains(plan) else { return }
        let suggestion = Suggestion.nearest(to: plan, among: known.sorted())
        note("recovery-plan", .unknownPlan(plan, suggestion: suggestion), .recoveryPlan)
    }
}

extension TierPlan {
    /// From the commit to the end of a tier that is reached on time; nil if it is not used.
    func term(of tier: Tier) -> KeepingTerm? {
        guard case .used(_, let keep, let trigger) = self[tier] else { return nil }
        guard case .period(let period) = keep else { return .forever }
        switch trigger {
        case .onCommit: return keep
        case .after(let due): return due.followed(by: period)
        case .afterPrevious:
            guard let before = Tier.allCases.last(where: { isBefore($0, tier) && self[$0].isUsed }) else { return keep }
            guard case .period(let due) = term(of: before) else { return .forever }
            return due.followed(by: period)
        }
    }

    private func isBefore(_ a: Tier, _ b: Tier) -> Bool {
        switch (a, b) {
        case (.active, .online), (.active, .offline), (.online, .offline): true
        default: false
        }
    }
}

extension Period {
    /// Both together; longer than any period can be is for good.
    fileprivate func followed(by other: Period) -> KeepingTerm {
        do {
            return .period(try Period(months: months + other.months, seconds: seconds + other.seconds))
        } catch {
            return .forever
        }
    }
}
