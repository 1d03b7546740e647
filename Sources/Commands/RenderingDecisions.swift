import Domain
import Operations

extension Rendering {
    static func decision(_ report: DecisionReport, dryRun: Bool, _ language: Language) -> [String] {
        let ids = report.archives.map(Printable.shortID)
        let subject = report.hold.map(Printable.shortID) ?? ids.joined(separator: " ")
        var lines: [String] = []
        if dryRun {
            lines.append(Text.decisionDry(language))
        } else if let request = report.request {
            lines.append(Text.requestWritten(language, [Printable.text(request)]))
        } else {
            lines.append(done(report, subject, language))
        }
        var facts: [(String, String)] = []
        if !ids.isEmpty { facts.append((Text.columnArchives(language), ids.joined(separator: " "))) }
        if ids.isEmpty, report.decision == "hold" {
            facts.append((Text.columnArchives(language), Text.everyArchive(language)))
        }
        if let hold = report.hold { facts.append((Text.holdIs(language), Printable.shortID(hold))) }
        if let volumes = report.volumes {
            let kept = say(
                language, "Only the online copies go; kept on volumes", "Yalnız onlayn surət silinir; daşıyıcılar")
            facts.append((kept, volumes.map(Printable.text).joined(separator: " ")))
        }
        if report.beforePeriod == true {
            let what = say(language, "Before the end of the period", "Müddət bitməmiş")
            let said = say(
                language, "yes: a policy in force may still keep them",
                "bəli: qüvvədə olan siyasət onları hələ saxlaya bilər")
            facts.append((what, said))
        }
        if let reason = report.reason { facts.append((Text.columnReason(language), Printable.text(reason))) }
        if let basis = report.basis { facts.append((Text.legalBasisIs(language), Printable.text(basis))) }
        lines += Table.facts(facts).map { "  " + $0 }
        if let left = report.left {
            let count = Readable.count(left)
            lines.append(
                say(
                    language, "\(count) more archives wait for another request: one names 1000 at most.",
                    "Daha \(count) arxiv başqa sorğu gözləyir: bir sorğuda ən çoxu 1000 arxiv olur."))
        }
        if !dryRun, report.request != nil { lines.append(Text.requestNext(language)) }
        return lines
    }

    private static func done(_ report: DecisionReport, _ subject: String, _ language: Language) -> String {
        switch report.decision {
        case "dispose" where report.volumes != nil:
            say(
                language, "Left the vault, and stay on their volumes: \(subject). `qala sweep` frees the space.",
                "Anbardan çıxdı, daşıyıcılarında qalır: \(subject). Yeri `qala sweep` boşaldır.")
        case "dispose": Text.disposed(language, [subject])
        case "hold": Text.held(language, [subject])
        default: Text.released(language, [subject])
        }
    }

    static func holds(_ rows: [HoldRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [Text.noHolds(language)] }
        var table = Table([
            (Text.columnID(language), .left), (Text.columnCreated(language), .left),
            (Text.columnReleased(language), .left), (Text.columnArchives(language), .left),
            (Text.columnReason(language), .left), (Text.legalBasisIs(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.shortID(row.id), Printable.localTime(row.placed),
                row.released.map(Printable.localTime) ?? "",
                row.archives.isEmpty ? Text.everyArchive(language) : Readable.count(row.archives.count),
                row.reason ?? "", row.basis ?? "",
            ])
        }
        return table.lines
    }

    static func swept(_ report: SweptReport, _ language: Language) -> [String] {
        let condemned = [Readable.count(report.condemnedPacks), Readable.size(report.condemnedBytes, language)]
        var lines: [String]
        if report.dryRun {
            lines = [Text.sweptDry(language, condemned)]
        } else {
            let deleted = [Readable.count(report.deletedPacks), Readable.size(report.deletedBytes, language)]
            lines = [Text.swept(language, [Readable.duration(report.seconds, language)])]
            lines.append("  " + Text.sweptCounts(language, condemned + deleted))
            if report.revivedPacks > 0 {
                lines.append("  " + Text.sweptRevived(language, [Readable.count(report.revivedPacks)]))
            }
        }
        if !report.waiting.isEmpty {
            lines.append(Text.sweepWaits(language, [Readable.count(report.waiting.count)]))
            var table = Table([
                (Text.columnID(language), .left), (Text.columnSince(language), .left),
                (Text.columnLabel(language), .left),
            ])
            for row in report.waiting {
                table.add([Printable.shortID(row.session), Printable.localTime(row.since), row.writer])
            }
            lines += table.lines.map { "  " + $0 } + [Text.sweepWaitsHint(language)]
        }
        guard !report.problems.isEmpty else { return lines }
        lines.append(Text.sweepProblems(language, [Readable.count(report.problems.count)]))
        var table = Table([(Text.columnObject(language), .left), (Text.columnReason(language), .left)])
        for row in report.problems { table.add([row.object, row.reason]) }
        return lines + table.lines.map { "  " + $0 } + [Text.damageAdvice(language)]
    }
}

extension Rendering {
    static func policyCheck(_ report: PolicyFolder.CheckReport, _ language: Language) -> [String] {
        let lines = report.findings.map { Printable.text($0.message) }
        let blocking = report.findings.count(where: \.blocking)
        let counts = [Readable.count(report.policies), Readable.count(blocking)]
        return lines + [blocking == 0 ? Text.policiesSound(language, counts) : Text.policiesBlocked(language, counts)]
    }

    static func comingRuns(_ rows: [PolicyFolder.RunRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [Text.noComingRuns(language)] }
        var table = Table([
            (Text.columnDue(language), .left), (Text.columnStart(language), .left),
            (Text.columnPolicy(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.localTime(row.due), row.start.map(Printable.localTime) ?? "", row.policy,
            ])
        }
        return table.lines
    }
}
