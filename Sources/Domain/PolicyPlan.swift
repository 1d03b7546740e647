// What putting a new set of policies into force would change.
//
// 1. Every difference between two sets is told; what words cannot show is told as a difference of its own.
// 2. Which differences need a second person is decided here and nowhere else: those after which something may be
//    destroyed earlier, fewer copies stand between the data and their loss, or more people may read or decide.
// 3. When in doubt whether a rule became weaker, it did.

/// Why a change needs the consent of a second person.
package enum ConsentReason: String, Sendable, CaseIterable {
    case policyRemoved
    case retentionShortened
    case copyRemoved
    case originalsRemoved
    case confidentialityLowered
    case approversChanged

    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.policyRemoved, .english): "archiving by this policy ends"
        case (.policyRemoved, .azerbaijani): "bu siyasət üzrə arxivləşdirmə dayanır"
        case (.retentionShortened, .english): "archives may be destroyed earlier"
        case (.retentionShortened, .azerbaijani): "arxivlər daha tez məhv edilə bilər"
        case (.copyRemoved, .english): "fewer copies are kept"
        case (.copyRemoved, .azerbaijani): "daha az nüsxə saxlanır"
        case (.originalsRemoved, .english): "originals are removed, or removed earlier"
        case (.originalsRemoved, .azerbaijani): "əsllər silinir və ya daha tez silinir"
        case (.confidentialityLowered, .english): "more people may know the content"
        case (.confidentialityLowered, .azerbaijani): "məzmunu daha çox adam bilə bilər"
        case (.approversChanged, .english): "somebody gains the power to approve or to act, or nobody keeps it"
        case (.approversChanged, .azerbaijani):
            "kiminsə təsdiq və ya icra səlahiyyəti yaranır, yaxud heç kimdə qalmır"
        }
    }
}

/// One difference between two sets of policies.
package struct PolicyChange: Sendable, Equatable {
    package enum Subject: Sendable, Hashable {
        case policy(String)
        case person(String)
    }

    package enum Kind: String, Sendable {
        case added, removed, changed
    }

    package var subject: Subject
    package var kind: Kind
    /// The key that differs, such as `tiers.online`; empty when the whole subject comes or goes.
    package var field: String
    /// What the key says before and after, in both languages; empty lines where it says nothing.
    package var before: [Language: [String]]
    package var after: [Language: [String]]
    package var consent: Set<ConsentReason>

    package var needsSecondPerson: Bool { !consent.isEmpty }

    init(
        _ subject: Subject, _ kind: Kind, field: String = "", before: [Language: [String]] = [:],
        after: [Language: [String]] = [:], consent: Set<ConsentReason> = []
    ) {
        self.subject = subject
        self.kind = kind
        self.field = field
        self.before = before
        self.after = after
        self.consent = consent
    }
}

package enum PolicyPlan {
    /// Every change from `old` to `new`, persons first, each group in the order of names.
    package static func compare(_ old: PolicySet, _ new: PolicySet) -> [PolicyChange] {
        comparePersons(old.people, new.people) + comparePolicies(old.policies, new.policies)
    }

    // MARK: - Policies

    private static func comparePolicies(_ old: [Policy], _ new: [Policy]) -> [PolicyChange] {
        let before = Dictionary(old.map { ($0.name, $0) }) { first, _ in first }
        let after = Dictionary(new.map { ($0.name, $0) }) { first, _ in first }
        return Set(before.keys).union(after.keys).sorted().flatMap { name -> [PolicyChange] in
            switch (before[name], after[name]) {
            case (let old?, let new?): return compare(old, new)
            case (nil, let new?):
                // Otherwise one person could have originals removed by a second policy for the same files. The first set of
                // all is the act of installation.
                let needsConsent = new.mode == .move && !old.isEmpty
                return [PolicyChange(.policy(name), .added, consent: needsConsent ? [.originalsRemoved] : [])]
            case (_?, nil): return [PolicyChange(.policy(name), .removed, consent: [.policyRemoved])]
            case (nil, nil): return []
            }
        }
    }

    private static func compare(_ old: Policy, _ new: Policy) -> [PolicyChange] {
        if old == new { return [] }
        var before: [String: [Language: [String]]] = [:]
        var after: [String: [Language: [String]]] = [:]
        var fields: [String] = []
        for language in Language.allCases {
            let facts = PolicyFacts.of(old, in: language)
            fields = facts.map(\.field)
            for fact in facts { before[fact.field, default: [:]][language] = fact.lines }
            for fact in PolicyFacts.of(new, in: language) { after[fact.field, default: [:]][language] = fact.lines }
        }
        let consent = consents(old, new)
        var changes: [PolicyChange] = []
        for field in fields {
            let reasons = consent[field] ?? []
            guard before[field] != after[field] || !reasons.isEmpty else { continue }
            changes.append(
                PolicyChange(
                    .policy(old.name), .changed, field: field, before: before[field] ?? [:], after: after[field] ?? [:],
                    consent: reasons))
        }
        return changes.isEmpty ? [PolicyChange(.policy(old.name), .changed)] : changes
    }

    /// The keys whose change needs a second person.
    private static func consents(_ old: Policy, _ new: Policy) -> [String: Set<ConsentReason>] {
        var found: [String: Set<ConsentReason>] = [:]
        if order(new.confidentiality) < order(old.confidentiality) {
            found["confidentiality", default: []].insert(.confidentialityLowered)
        }
        // Access data have keys of their own; as another component they would be sealed to more readers.
        if old.component == .accessData, new.component != .accessData {
            found["component", default: []].insert(.confidentialityLowered)
        }
        if old.mode == .copy, new.mode == .move { found["mode", default: []].insert(.originalsRemoved) }
        if new.mode == .move, letsOthersGo(old, new) { found["sources", default: []].insert(.originalsRemoved) }
        if isShortened(old.retention, new.retention) { found["retention", default: []].insert(.retentionShortened) }
        if losesCopy(old, new) { found["copies", default: []].insert(.copyRemoved) }
        for tier in Tier.allCases {
            let reasons = tierConsents(old.tiers[tier], new.tiers[tier], tier, isMoving: new.mode == .move)
            if !reasons.isEmpty { found["tiers.\(tier.rawValue)"] = reasons }
        }
        return found
    }

    /// Other places, fewer exclusions, or logs and databases that stayed because the policy followed them.
    private static func letsOthersGo(_ old: Policy, _ new: Policy) -> Bool {
        old.sources != new.sources || old.logs.contains { !new.logs.contains($0) }
            || old.data.contains { !new.data.contains($0) }
    }

    private static func order(_ confidentiality: Confidentiality) -> Int {
        Confidentiality.allCases.firstIndex(of: confidentiality) ?? 0
    }

    /// A policy without a rule keeps everything.
    private static func isShortened(_ old: RetentionRule?, _ new: RetentionRule?) -> Bool {
        guard let new else { return false }
        guard let old else { return new.keepFor != .forever }
        return !new.isNeverShorter(than: old)
    }

    private static func losesCopy(_ old: Policy, _ new: Policy) -> Bool {
        if new.volumeCount < old.volumeCount { return true }
        return old.copies.contains { copy in
            !new.copies.contains { $0.site == copy.site && $0.role == copy.role }
        }
    }

    private static func tierConsents(
        _ old: TierUse?, _ new: TierUse?, _ tier: Tier, isMoving: Bool
    ) -> Set<ConsentReason> {
        guard case .used(_, let keepBefore, let triggerBefore)? = old else { return [] }
        guard case .used(_, let keep, let trigger)? = new else { return tier == .active ? [] : [.copyRemoved] }
        var reasons: Set<ConsentReason> = []
        let isShorter = !keep.isNeverShorter(than: keepBefore)
        if tier == .active {
            if isShorter, isMoving { reasons.insert(.originalsRemoved) }
        } else {
            if isShorter { reasons.insert(.retentionShortened) }
            if isLater(trigger, than: triggerBefore) { reasons.insert(.copyRemoved) }
        }
        return reasons
    }

    /// A tier that begins later leaves an archive without that copy for longer.
    private static func isLater(_ new: TierTrigger, than old: TierTrigger) -> Bool {
        switch (old, new) {
        case (_, .onCommit): false
        case (.afterPrevious, .afterPrevious): false
        case (.after(let before), .after(let after)): !before.isNeverShorter(than: after)
        case (.onCommit, .after(let after)): !after.isZero
        default: true
        }
    }

    // MARK: - Persons

    private static func comparePersons(_ old: People, _ new: People) -> [PolicyChange] {
        let before = Dictionary(old.persons.map { ($0.id ?? "", $0) }) { first, _ in first }
        let after = Dictionary(new.persons.map { ($0.id ?? "", $0) }) { first, _ in first }
        // Without anybody who could consent, the first register is taken as it is.
        let isFirst = !old.persons.contains { $0.publicKey != nil }
        // Taken away by one person, the last keys would leave a register that counts as the first again; and where
        // everybody's term is ended, nothing could be decided ever again.
        let isLast = !new.persons.contains { $0.publicKey != nil }
        let isPair = old.persons.count { $0.publicKey != nil } >= 2
        let lasting = new.persons.count { person in
            person.publicKey != nil && !losesPower(before[person.id ?? ""], person)
        }
        return Set(before.keys).union(after.keys).sorted().compactMap { id -> PolicyChange? in
            let (old, new) = (before[id], after[id])
            if old == new { return nil }
            let losesLast = isLast && old?.publicKey != nil || isPair && lasting == 0 && losesPower(old, new)
            let consent: Set<ConsentReason> =
                !isFirst && (losesLast || gainsPower(old, new)) ? [.approversChanged] : []
            return PolicyChange(
                .person(id), old == nil ? .added : (new == nil ? .removed : .changed), before: lines(old),
                after: lines(new), consent: consent)
        }
    }

    /// Whether somebody who could sign cannot any more, or for a shorter time.
    private static func losesPower(_ old: Person?, _ new: Person?) -> Bool {
        guard let old, old.publicKey != nil else { return false }
        guard let new, new.publicKey != nil else { return true }
        let (before, after) = (old.validity ?? .always, new.validity ?? .always)
        return before.intersected(with: after) != before
    }

    private static func gainsPower(_ old: Person?, _ new: Person?) -> Bool {
        guard let new else { return false }
        if new.publicKey != nil, new.publicKey != old?.publicKey { return true }
        if new.uid != nil, new.uid != old?.uid { return true }
        guard let old, new.publicKey != nil || new.uid != nil else { return false }
        let (before, after) = (old.validity ?? .always, new.validity ?? .always)
        return after.intersected(with: before) != after
    }

    private static func lines(_ person: Person?) -> [Language: [String]] {
        guard let person else { return [:] }
        var made: [Language: [String]] = [:]
        for language in Language.allCases {
            made[language] =
                [
                    person.name, person.position, person.email, person.phone, person.uid.map { "uid \($0)" },
                    person.publicKey.map { "Ed25519 \($0.hex)" }, person.validity?.text(in: language),
                ].compactMap(\.self)
        }
        return made
    }
}
