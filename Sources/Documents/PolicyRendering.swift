package import Domain

// The policy document of clauses 5.1 and 5.2, made from a set of policies.
//
// 1. The same set, edition and language give the same bytes: nothing of the clock, the locale or a dictionary's order
//    enters, so that a document can be compared with its digest years later.
// 2. Every word that somebody wrote is escaped before it stands in HTML; marks that turn the direction of writing are
//    made visible, so that a document reads as it is.
// 3. HTML refers to nothing outside itself: no script, no font, no picture.
// 4. What the regulation demands and a policy does not say is shown as a gap, never left out.

/// Which edition of the policies a document shows; what is not known is left for the pen.
package struct PolicyEdition: Sendable, Equatable {
    package var institution: String?
    package var number: Int?
    package var day: CivilDay?
    /// The digest of the set's canonical bytes.
    package var digest: Digest?
    package var author: String?
    package var reason: String?
    package var approver: String?

    package static let none = PolicyEdition()

    package init(
        institution: String? = nil, number: Int? = nil, day: CivilDay? = nil, digest: Digest? = nil,
        author: String? = nil, reason: String? = nil, approver: String? = nil
    ) {
        self.institution = institution
        self.number = number
        self.day = day
        self.digest = digest
        self.author = author
        self.reason = reason
        self.approver = approver
    }
}

package enum PolicyRendering {
    /// A whole HTML document for screen and paper.
    package static func html(_ set: PolicySet, _ language: Language, edition: PolicyEdition = .none) -> String {
        PolicyPage(PolicyOutline(set, language, edition)).html
    }

    /// Plain text in lines of at most ``PolicySheet/width`` characters, where words allow.
    package static func text(_ set: PolicySet, _ language: Language, edition: PolicyEdition = .none) -> String {
        PolicySheet(PolicyOutline(set, language, edition)).text
    }
}

/// What both renderings show, in its order and in one language.
struct PolicyOutline {
    struct Row {
        var label: String
        /// The clause behind it; nil for what only the institution wants.
        var clause: Clause?
        var lines: [String]
    }

    struct Group {
        var title: String
        var rows: [Row]
    }

    struct TierRow {
        var name: String
        /// Format, period, beginning; or one reason; or nothing.
        var cells: [String]
    }

    struct Section {
        var title: String
        var clause: Clause
        var name: String
        var groups: [Group]
        var tiers: [TierRow]
    }

    let language: Language
    let edition: PolicyEdition
    let sections: [Section]
    let overview: [[String]]
    let persons: [[String]]
    /// Components that no policy covers.
    let gaps: [(clause: Clause, name: String)]
    /// Duty and name.
    let signatures: [(duty: String, name: String)]

    init(_ set: PolicySet, _ language: Language, _ edition: PolicyEdition) {
        self.language = language
        self.edition = edition
        let order = Dictionary(uniqueKeysWithValues: Component.allCases.enumerated().map { ($1, $0) })
        let policies = set.policies.sorted {
            (order[$0.component] ?? 0, $0.name) < (order[$1.component] ?? 0, $1.name)
        }
        sections = policies.map { Self.section($0, language) }
        overview = policies.map { Self.overviewRow($0, language) }
        persons = set.people.persons.map { Self.personRow($0, language) }
        gaps = Component.allCases.filter { component in !policies.contains { $0.component == component } }.map {
            (.demanding($0), Self.capitalized($0.name(in: language)))
        }
        signatures = Self.signatures(policies, edition, language)
    }

    func word(_ english: String, _ azerbaijani: String) -> String { language == .english ? english : azerbaijani }

    var title: String { word("Archiving policy document", "Arxivləşdirmə üzrə siyasət sənədi") }

    /// What is told about the edition.
    var editionRows: [(label: String, value: String)] {
        [
            (word("Edition", "Redaksiya"), edition.number.map(String.init)),
            (word("Date", "Tarix"), edition.day?.description),
            (word("Author of the change", "Dəyişikliyin müəllifi"), edition.author),
            (word("Reason", "Səbəb"), edition.reason),
            (word("Approved by", "Təsdiq edən"), edition.approver),
            (word("Digest of the policies (SHA-256)", "Siyasətlərin yoxlama cəmi (SHA-256)"), edition.digest?.hex),
        ].compactMap { label, value in value.map { (label, $0) } }
    }

    /// `clauses` is how the renderer marks the numbers of clauses.
    func basis(clauses: String) -> String {
        word(
            "This document lays down the archiving of the state information resource and system by component, as clauses"
                + " 5.1 and 5.2 of the requirements demand (decision no. \(Clause.edition)). The numbers in \(clauses)"
                + " are the clauses that each statement answers.",
            "Bu sənəd dövlət informasiya ehtiyatının və sisteminin komponentlər üzrə arxivləşdirilməsini tələblərin 5.1 və"
                + " 5.2-ci bəndlərinə uyğun müəyyən edir (qərar № \(Clause.edition)). \(clauses) hər müddəanın cavab"
                + " verdiyi bəndlərdir.")
    }

    var notLaidDown: String { word("not laid down", "müəyyən edilməyib") }

    var overviewHeads: [String] {
        language == .english
            ? ["Component", "Policy", "Responsible archivist", "Schedule", "RPO / RTO", "Retention"]
            : ["Komponent", "Siyasət", "Məsul şəxs", "Cədvəl", "RPO / RTO", "Saxlanma müddəti"]
    }

    var personHeads: [String] {
        language == .english
            ? ["Name", "Position", "Contact", "In office", "Key"] : ["Ad", "Vəzifə", "Əlaqə", "Səlahiyyət", "Açar"]
    }

    var tierHeads: [String] {
        language == .english
            ? ["Tier", "Format", "Period", "Begins"] : ["Saxlanma yeri", "Format", "Dövr", "Başlayır"]
    }

    var signatureHeads: [String] {
        language == .english ? ["Duty", "Name", "Signature", "Date"] : ["Vəzifə", "Ad", "İmza", "Tarix"]
    }

    // MARK: - Making

    private static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    private static func overviewRow(_ policy: Policy, _ language: Language) -> [String] {
        let goals = [policy.rpo, policy.rto].map { $0?.text(in: language) ?? "—" }.joined(separator: " / ")
        let calendar = policy.schedule.map { $0.expression.text(in: language) ?? $0.expression.description }
        return [
            capitalized(policy.component.name(in: language)), policy.name, policy.responsible, calendar ?? "—", goals,
            policy.retention?.keepFor.text(in: language) ?? "—",
        ]
    }

    private static func personRow(_ person: Person, _ language: Language) -> [String] {
        [
            person.id.map { "\(person.name) (\($0))" } ?? person.name, person.position ?? "—",
            [person.email, person.phone].compactMap(\.self).joined(separator: ", "),
            (person.validity ?? .always).text(in: language), person.publicKey.map { "\($0.hex.prefix(16))…" } ?? "—",
        ]
    }

    private static func signatures(
        _ policies: [Policy], _ edition: PolicyEdition, _ language: Language
    ) -> [(duty: String, name: String)] {
        let isEnglish = language == .english
        var rows: [(duty: String, name: String)] = []
        for policy in policies {
            let persons = [
                (
                    isEnglish ? "Responsible archivist" : "Arxivləşdirilmə üzrə məsul şəxs",
                    Optional(policy.responsiblePerson)
                ),
                (isEnglish ? "Deputy" : "Müavin", policy.deputyPerson),
            ]
            for case (let duty, let person?) in persons
            where !rows.contains(where: { $0.duty == duty && $0.name == person.name }) {
                rows.append((duty, person.name))
            }
        }
        let deputy = isEnglish ? "Deputy" : "Müavin"
        rows = rows.filter { $0.duty != deputy } + rows.filter { $0.duty == deputy }
        rows.append((isEnglish ? "Approved by" : "Təsdiq edirəm", edition.approver ?? ""))
        return rows
    }

    private static func section(_ policy: Policy, _ language: Language) -> Section {
        let facts = Dictionary(uniqueKeysWithValues: PolicyFacts.of(policy, in: language).map { ($0.field, $0) })
        func rows(_ fields: [(String, Clause?)]) -> [Row] {
            fields.compactMap { field, clause in
                guard let fact = facts[field], clause != nil || !fact.lines.isEmpty else { return nil }
                return Row(label: fact.label, clause: clause, lines: fact.lines)
            }
        }
        let isEnglish = language == .english
        let retention = Clause.demandingRetention(of: policy.component)
        let groups = [
            Group(
                title: isEnglish ? "Responsibility" : "Məsuliyyət",
                rows: rows([
                    ("responsible", .responsiblePerson), ("deputy", .responsiblePerson),
                    ("legal-basis", .policyDocument), ("confidentiality", .archiveSecurity),
                ])),
            Group(
                title: isEnglish ? "What is archived, and when" : "Nə və nə vaxt arxivləşdirilir",
                rows: rows([
                    ("sources", .demanding(policy.component)), ("mode", nil), ("schedule", .automation),
                    ("hooks.before", nil), ("hooks.after", nil), ("compression-level", nil), ("limits", nil),
                ])),
            Group(
                title: isEnglish ? "Copies, retention and recovery" : "Nüsxələr, saxlanma və bərpa",
                rows: rows([
                    ("copies", .backupStrategy), ("vault", nil), ("retention", retention), ("rpo", .backupStrategy),
                    ("rto", .recoveryTime), ("recovery-plan", .recoveryPlan), ("verification", .archiveSecurity),
                    ("clauses", policy.clauses.isEmpty ? nil : .otherDuties),
                ])),
        ]
        return Section(
            title: capitalized(policy.component.name(in: language)), clause: .demanding(policy.component),
            name: policy.name, groups: groups, tiers: Tier.allCases.map { tierRow($0, policy.tiers[$0], language) })
    }

    private static func tierRow(_ tier: Tier, _ use: TierUse?, _ language: Language) -> TierRow {
        let name = capitalized(tier.name(in: language))
        switch use {
        case nil: return TierRow(name: name, cells: [])
        case .unused(let reason):
            return TierRow(
                name: name, cells: [(language == .english ? "Not used: " : "İstifadə olunmur: ") + reason])
        case .used(let format, let keep, let trigger):
            let begins = tier == .active ? "—" : trigger.text(in: language)
            return TierRow(name: name, cells: [format, keep.text(in: language), begins])
        }
    }

    /// Marks that turn the direction of writing, and others that nobody sees, as their numbers.
    static func visible(_ text: String) -> String {
        var made = ""
        for scalar in text.unicodeScalars {
            let isHidden =
                scalar.properties.generalCategory == .format
                || scalar.properties.generalCategory == .control && scalar != "\n"
            if isHidden {
                made += "[U+\(String(scalar.value, radix: 16, uppercase: true))]"
            } else {
                made.unicodeScalars.append(scalar)
            }
        }
        return made
    }
}
