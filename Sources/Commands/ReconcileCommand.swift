import API
import ArgumentParser
import Domain
import Operations

struct Reconcile: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the registers with the vaults, in both directions.",
        discussion: """
            Reyestrləri anbarlarla hər iki istiqamətdə müqayisə edir.

            Every run that made an archive against the archives in the logs of the vaults,
            and back; holds, disposals, volumes, log segments, and the versions of the
            policies. Where something is missing or contradicts, the status is 13; where
            something could not be compared, 3. It changes nothing; with --repair the runs
            that the register lacks are added to it, while no daemon runs.

            Examples:
              qala reconcile
              qala reconcile --json
              qala reconcile --repair --dry-run
            """)

    @Flag(help: "Add runs that the register lacks, from the log of the vault.")
    var repair = false

    @Flag(help: "With --repair: show what would be added, and add nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if dryRun, !repair { throw ValidationError("--dry-run goes with --repair; without it nothing is changed.") }
    }

    func run() throws {
        try common.perform { session in
            let request = ReconcileRegisters.Request(repair: repair, dryRun: dryRun)
            let report = try ReconcileRegisters.run(request, at: session.workplace())
            session.tell("differences", "\(report.differences.count)")
            try session.answer(report) { Rendering.reconciled(report, session.language) }
            if !report.differences.isEmpty { return .damaged }
            return report.isWhole ? .done : .partial
        }
    }
}

extension Rendering {
    static func reconciled(_ report: ReconcileReport, _ language: Language) -> [String] {
        let counts = report.counts
        func count(_ number: Int) -> String { Readable.count(number) }
        var lines = [ReconcileText.differences(language, [count(report.differences.count)])]
        for finding in report.differences { lines += Self.finding(finding, language) }
        if !report.notices.isEmpty {
            lines.append(ReconcileText.notices(language, [count(report.notices.count)]))
            for finding in report.notices.prefix(listedProblems) { lines += Self.finding(finding, language) }
        }
        if !report.repaired.isEmpty {
            let said: ReconcileText = report.dryRun ? .repairedDry : .repaired
            lines.append(said(language, [count(report.repaired.count)]))
            lines += report.repaired.map { "  " + Printable.text($0) }
        }
        for vault in report.missing {
            lines.append(ReconcileText.missing(language, [Printable.text(vault.vault), Printable.text(vault.reason)]))
        }
        if report.unread > 0 { lines.append(ReconcileText.unread(language, [count(report.unread)])) }
        let facts: [(String, String)] = [
            (ReconcileText.vaults(language), count(counts.vaults)),
            (ReconcileText.archives(language), count(counts.archives)),
            (ReconcileText.own(language), count(counts.own)),
            (ReconcileText.disposed(language), count(counts.disposed)),
            (ReconcileText.departed(language), count(counts.departed)),
            (ReconcileText.runs(language), count(counts.runs)),
            (ReconcileText.acts(language), count(Int(clamping: counts.auditEntries))),
            (ReconcileText.holds(language), count(counts.holds)),
            (ReconcileText.volumes(language), count(counts.volumes)),
            (ReconcileText.segments(language), count(counts.segments)),
            (ReconcileText.versions(language), count(counts.policyVersions)),
        ]
        return lines + Table.facts(facts).map { "  " + $0 }
    }

    private static func finding(_ finding: ReconcileFinding, _ language: Language) -> [String] {
        let what = (finding.what[language] + [finding.places.joined(separator: "; ")]).filter { !$0.isEmpty }
        let next = finding.next[language].map { "    " + Printable.text($0) }
        return ["  " + what.map { Printable.text($0) }.joined(separator: " – ")] + next
    }
}
