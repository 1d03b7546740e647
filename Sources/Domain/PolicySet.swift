// The policies of an institution as a whole, and the one strict check of them.
//
// 1. Reading a document settles that every key is right by itself; `validate` settles everything else: what the
//    regulation demands and nobody wrote, what contradicts another key, another policy or the register of persons.
// 2. It tells everything at once and changes nothing. A set with blocking findings is not put into force.
// 3. What time alone brings about (a term that ends), and what is missing beside the policies, is told without
//    blocking: archiving goes on and the non-conformity is reported.

/// All policies in force together, and the persons they name.
package struct PolicySet: Sendable, Equatable {
    package var people: People
    package var policies: [Policy]

    package static let empty = PolicySet(people: .none, policies: [])

    package init(people: People, policies: [Policy]) {
        self.people = people
        self.policies = policies
    }

    /// What the check may know beyond the set.
    package struct Knowledge: Sendable {
        /// The names of the recovery plans there are; nil when that is not known, and references go unchecked.
        package var recoveryPlans: Set<String>?
        /// The rules of a time zone; nil when there is no such zone.
        package var zone: @Sendable (String) -> TimeZoneRules?
        /// Seconds since 1970: schedules are tried out from here on.
        package var instant: Int64
        /// Whether these are all policies of the institution, so that what no policy covers is a finding.
        package var isWhole: Bool

        package init(
            recoveryPlans: Set<String>? = nil, instant: Int64, isWhole: Bool = true,
            zone: @escaping @Sendable (String) -> TimeZoneRules?
        ) {
            self.recoveryPlans = recoveryPlans
            self.instant = instant
            self.isWhole = isWhole
            self.zone = zone
        }
    }

    /// Everything that is wrong with the set on `day`, in the order of its policies; the set as a whole comes last.
    package func validate(on day: CivilDay, knowing knowledge: Knowledge) -> [PolicyFinding] {
        var findings: [PolicyFinding] = []
        var firstOfName: [String: Int] = [:]
        for (at, policy) in policies.enumerated() {
            var check = PolicyCheck(policy: policy, index: at, day: day, knowledge: knowledge)
            if let first = firstOfName[policy.name] {
                check.note("policy", .duplicateName(policy.name), other: first)
            } else {
                firstOfName[policy.name] = at
            }
            check.run()
            findings += check.findings
        }
        if knowledge.isWhole { findings += findingsOfTheWhole(on: day) }
        return findings
    }

    private func findingsOfTheWhole(on day: CivilDay) -> [PolicyFinding] {
        let covered = Set(policies.map(\.component))
        var findings = Component.allCases.filter { !covered.contains($0) }.map {
            PolicyFinding(.missingComponent($0), clause: .demanding($0))
        }
        let approvers = people.persons.count { $0.publicKey != nil && ($0.validity?.covers(day) ?? true) }
        if approvers < 2 { findings.append(PolicyFinding(.tooFewApprovers(approvers), clause: Clause("3.12"))) }
        return findings
    }
}

/// One thing that is wrong with a set of policies.
package struct PolicyFinding: Sendable, Equatable {
    /// What a policy must say before it can be put into force.
    package enum Demand: Hashable, Sendable {
        case deputy, legalBasis, schedule, rpo, rto, copies, retention, verification, drill, recoveryPlan
        case tier(Tier)
    }

    package enum Duty: String, Sendable {
        case responsible, deputy
    }

    package enum Reason: Sendable, Equatable {
        case missing(Demand)
        case samePerson(String)
        case notInOffice(Duty, name: String, term: Validity)
        case duplicateName(String)
        case unknownZone(String)
        case neverRuns
        /// After a last run, at seconds since 1970.
        case runsEnd(Int64)
        /// Seconds between two runs, the later one at `instant` (seconds since 1970) at the latest.
        case rpoOutOfReach(rpo: Period, gap: Int64, until: Int64)
        case noVault
        case severalVaults
        case sameSite(String)
        case sameVolumeSite(String)
        case noMirror
        case lagBeyondRPO(lag: Period, rpo: Period)
        case noVolumes
        case unusedVolumes
        case moveNeedsSecondCopy
        case contradictoryTiers(RetentionError)
        case tierGap(Tier, before: Tier)
        case tiersEndBeforeRetention(KeepingTerm)
        case tiersOutlastMaximum(Period)
        case tooOpen(Confidentiality)
        case unknownPlan(String, suggestion: String?)
        case missingComponent(Component)
        case tooFewApprovers(Int)
    }

    /// The index of the policy in the set; nil for the set as a whole.
    package var policy: Int?
    /// The keys that lead to the value in question, such as `tiers.online` or `copies[1].site`; empty for the document.
    package var field: String
    package var reason: Reason
    package var clause: Clause?
    /// Another policy that is involved.
    package var other: Int?

    package init(
        _ reason: Reason, policy: Int? = nil, field: String = "", clause: Clause? = nil, other: Int? = nil
    ) {
        self.reason = reason
        self.policy = policy
        self.field = field
        self.clause = clause
        self.other = other
    }

    /// Whether the set must not be put into force.
    package var isBlocking: Bool {
        switch reason {
        case .notInOffice, .missingComponent, .tooFewApprovers, .noMirror: false
        default: true
        }
    }
}
