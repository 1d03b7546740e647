import Documents
package import Domain
import FoundationEssentials
import Vault

/// What a set of policies would change, and what it would let go.
package enum PlanPolicies {
    package static func run(
        _ source: PolicySource, state statePath: String, _ language: Language,
        at workplaces: (_ preferred: String?) throws -> Workplace
    ) throws -> PolicyPlanReport {
        let (proposed, name, _) = try source.read()
        let current = try PolicyRegister(statePath: statePath).newest()
        let base = current?.document.set ?? .empty
        let changes = PolicyPlan.compare(base, proposed.set)
        let archives = try PolicyArchives(of: [base, proposed.set], at: workplaces)
        let earlier = RetentionPlan.earlier(
            before: archives.expiries(under: base, until: .max),
            after: archives.expiries(under: proposed.set, until: .max))
        return PolicyPlanReport(
            proposed: name, digest: proposed.digest.hex, inForce: current?.number,
            changes: changes.map { PolicyChangeRow($0) },
            needsSecondPerson: changes.contains(where: \.needsSecondPerson), remarks: remarks(proposed, name, language),
            earlier: earlier.map { row($0, archives) }, unread: archives.unread, missing: archives.missing)
    }

    private static func remarks(
        _ document: PolicySetDocument, _ name: String, _ language: Language
    ) -> [PolicyFolder.FindingRow] {
        let problems = document.problems(on: PolicyNow.day, knowing: PolicyNow.knowledge, folder: name)
        return problems.map { problem in
            PolicyFolder.FindingRow(
                file: problem.file ?? name, line: problem.line, column: problem.column, blocking: problem.isBlocking,
                message: problem.line(in: language, file: name))
        }
    }

    private static func row(_ found: EarlierExpiry, _ archives: PolicyArchives) -> PolicyPlanReport.EarlierRow {
        let seen = archives[found.after.archive]
        return PolicyPlanReport.EarlierRow(
            archive: found.after.archive.hex, policy: seen?.policy ?? "", time: TimeText.seconds(seen?.time ?? 0),
            before: found.before.map { TimeText.seconds($0) }, after: TimeText.seconds(found.after.instant),
            why: PolicyArchives.why(found.after), offline: archives.isOffline(found.after.archive))
    }
}

extension PolicyArchives {
    /// What is the last to keep an archive.
    static func why(_ expiry: ExpectedExpiry) -> BothTexts {
        var texts: [Language: [String]] = [:]
        for language in Language.allCases {
            texts[language] = [expiry.last.why.ended(in: language)]
            guard let tier = expiry.assumedTier?.name(in: language) else { continue }
            let proviso =
                switch language {
                case .english: "provided it reaches the \(tier) on time"
                case .azerbaijani: "bu şərtlə ki, nüsxəsi bu yerə vaxtında çatsın: \(tier)"
                }
            texts[language, default: []].append(proviso)
        }
        return BothTexts(texts)
    }
}

/// The calendar of expiries: when the archives of today may be disposed of under a set of policies.
package enum SimulatePolicies {
    package static func run(
        _ source: PolicySource, until text: String, at workplaces: (_ preferred: String?) throws -> Workplace
    ) throws -> PolicyCalendarReport {
        guard let until = TimeText.parse(text) else {
            throw OperationError(
                .usage, "`\(text)` is no date", hint: "Write YYYY-MM-DD, a day that the calendar has.")
        }
        let (document, name, edition) = try source.read()
        let archives = try PolicyArchives(of: [document.set], at: workplaces)
        try archives.checkAnyRead()
        let rows = archives.expiries(under: document.set, until: until).map { expiry in
            let seen = archives[expiry.archive]
            return PolicyCalendarReport.ExpiryRow(
                archive: expiry.archive.hex, policy: seen?.policy ?? "", time: TimeText.seconds(seen?.time ?? 0),
                expires: TimeText.seconds(expiry.instant), why: PolicyArchives.why(expiry),
                offline: archives.isOffline(expiry.archive))
        }
        return PolicyCalendarReport(
            policies: name, version: edition.number, until: TimeText.seconds(until), expiries: rows,
            kept: archives.count - rows.count, unread: archives.unread, missing: archives.missing)
    }
}
