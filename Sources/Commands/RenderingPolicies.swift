import Domain
import Operations

/// Changes of the policies, as lines for people.
extension Rendering {
    static func policyPlan(_ report: PolicyPlanReport, _ language: Language) -> [String] {
        let version = report.inForce.map { PolicyText.versionNumber(language, ["\($0)"]) }
        let known = version ?? PolicyText.nothingInForce(language)
        var lines = [PolicyText.planTitle(language, [Printable.text(report.proposed), known])]
        lines += changes(report.changes, language)
        if !report.changes.isEmpty {
            let advice: PolicyText = report.needsSecondPerson ? .planSecond : .planAlone
            lines.append(advice(language))
        }
        if !report.remarks.isEmpty {
            lines.append(PolicyText.planRemarks(language))
            lines += report.remarks.map { "  " + Printable.text($0.message) }
        }
        // Of archives that nobody looked at nothing is promised.
        let isWhole = report.unread == 0 && report.missing.isEmpty
        if isWhole || !report.earlier.isEmpty { lines += earlier(report.earlier, language) }
        return lines + leftOut(report.unread, report.missing, language)
    }

    private static func earlier(_ rows: [PolicyPlanReport.EarlierRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [PolicyText.earlierNone(language)] }
        var table = Table([
            (Text.columnID(language), .left), (Text.columnPolicy(language), .left), (Text.columnTime(language), .left),
            (PolicyText.columnUntilNow(language), .left), (PolicyText.columnThen(language), .left),
            (PolicyText.columnWhy(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.shortID(row.archive), row.policy, Printable.localTime(row.time),
                row.before.map(Printable.localTime) ?? PolicyText.never(language), Printable.localTime(row.after),
                why(row.why, row.offline, language),
            ])
        }
        return [PolicyText.earlierTitle(language, [Readable.count(rows.count)])] + table.lines.map { "  " + $0 }
    }

    private static func why(_ why: BothTexts, _ isOffline: Bool, _ language: Language) -> String {
        let place = say(language, "it is offline, on volumes only", "oflayn arxivdə, yalnız daşıyıcılardadır")
        return (why[language] + (isOffline ? [place] : [])).joined(separator: "; ")
    }

    private static func leftOut(_ unread: Int, _ missing: [VaultMissing], _ language: Language) -> [String] {
        var lines = missing.map {
            PolicyText.vaultMissing(language, [Printable.text($0.vault), Printable.text($0.reason)])
        }
        if unread > 0 { lines.append(PolicyText.unread(language, [Readable.count(unread)])) }
        return lines
    }

    /// Every change with what stands before (-) and after (+).
    private static func changes(_ rows: [PolicyChangeRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return ["  " + PolicyText.planNothing(language)] }
        return rows.flatMap { row -> [String] in
            var lines = ["  " + title(row.subject, row.name, row.change, row.field, language)]
            if row.change == "changed" || row.subject == "person" {
                lines += row.before[language].map { "    - " + Printable.text($0) }
                lines += row.after[language].map { "    + " + Printable.text($0) }
            }
            if !row.secondPerson.isEmpty {
                let reasons = row.secondPerson.map { ConsentReason(rawValue: $0)?.text(in: language) ?? $0 }
                lines.append("    " + PolicyText.needsSecond(language, [reasons.joined(separator: "; ")]))
            }
            return lines
        }
    }

    private static func title(
        _ subject: String, _ name: String, _ change: String, _ field: String, _ language: Language
    ) -> String {
        let text: PolicyText =
            switch (subject, change) {
            case ("person", "added"): .personAdded
            case ("person", "removed"): .personRemoved
            case ("person", _): .personChanged
            case (_, "added"): .policyAdded
            case (_, "removed"): .policyRemoved
            default: .policyChanged
            }
        return text(language, [Printable.text(name), Printable.text(field)])
    }

    static func policyApplied(_ report: PolicyApplyReport, _ language: Language) -> [String] {
        var lines: [String] = []
        let file = Printable.text(report.requestFile ?? "")
        switch (report.outcome, report.dryRun) {
        case ("unchanged", _): lines.append(PolicyText.unchanged(language, ["\(report.version ?? 0)"]))
        case ("requested", true): lines.append(PolicyText.requestedDry(language, [file]))
        case ("requested", false): lines.append(PolicyText.requested(language, [file]))
        case (_, true): lines.append(PolicyText.appliedDry(language))
        case (_, false): lines.append(PolicyText.applied(language, ["\(report.version ?? 0)"]))
        }
        var facts = [
            (PolicyText.authorIs(language), report.author), (PolicyText.reasonIs(language), report.reason),
        ]
        if !report.approvers.isEmpty {
            facts.append((PolicyText.approversIs(language), report.approvers.joined(separator: ", ")))
        }
        facts.append((PolicyText.requestIs(language), report.request))
        lines += Table.facts(facts).map { "  " + $0 }
        if report.outcome != "unchanged" { lines += changes(report.changes, language) }
        if report.outcome == "requested", !report.dryRun { lines.append(PolicyText.requestNext(language, [file])) }
        switch report.daemon {
        case nil: break
        case "reloaded"?: lines.append(PolicyText.daemonReloaded(language))
        case "none"?: lines.append(PolicyText.daemonNone(language))
        case "other"?: lines.append(PolicyText.daemonOther(language))
        case let said?: lines.append(PolicyText.daemonSaid(language, [Printable.text(said)]))
        }
        return lines
    }

    static func policyApproval(_ report: PolicyApprovalReport, _ language: Language) -> [String] {
        let facts = [
            (PolicyText.requestIs(language), report.request), (PolicyText.authorIs(language), report.author),
            (PolicyText.reasonIs(language), report.reason),
            (PolicyText.askedIs(language), Printable.localTime(report.asked)),
        ]
        let lines = Table.facts(facts) + changes(report.changes, language)
        guard let file = report.approvalFile else { return lines + [PolicyText.approvedDry(language)] }
        return lines + [PolicyText.approvedIn(language, [Printable.text(report.person), Printable.text(file)])]
    }

    static func policyVersions(_ rows: [PolicyVersionRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [PolicyText.noVersions(language)] }
        var table = Table([
            (PolicyText.columnVersion(language), .right), (Text.columnTime(language), .left),
            (PolicyText.columnAuthor(language), .left), (PolicyText.columnApprovers(language), .left),
            (Text.columnReason(language), .left), (PolicyText.columnChanges(language), .left),
        ])
        for row in rows {
            var marks: [String] = []
            if row.firstStart { marks.append(PolicyText.firstStart(language)) }
            if let same = row.sameAs { marks.append(PolicyText.sameAs(language, ["\(same)"])) }
            marks += row.changes.map { title($0.subject, $0.name, $0.change, $0.field, language) }
            table.add([
                "\(row.number)", Printable.localTime(row.time), row.author, row.approvers.joined(separator: ", "),
                row.reason, marks.joined(separator: "; "),
            ])
        }
        return table.lines
    }

    static func policyCalendar(_ report: PolicyCalendarReport, _ language: Language) -> [String] {
        let version = report.version.map { PolicyText.versionNumber(language, ["\($0)"]) }
        let counts = [
            Printable.localTime(report.until), version ?? Printable.text(report.policies),
            Readable.count(report.expiries.count), Readable.count(report.kept),
        ]
        var lines = [PolicyText.calendarTitle(language, counts)]
        if !report.expiries.isEmpty {
            var table = Table([
                (PolicyText.columnExpires(language), .left), (Text.columnID(language), .left),
                (Text.columnPolicy(language), .left), (Text.columnTime(language), .left),
                (PolicyText.columnWhy(language), .left),
            ])
            for row in report.expiries {
                table.add([
                    Printable.localTime(row.expires), Printable.shortID(row.archive), row.policy,
                    Printable.localTime(row.time), why(row.why, row.offline, language),
                ])
            }
            lines += table.lines
        }
        return lines + leftOut(report.unread, report.missing, language)
    }
}
