import API
import ArgumentParser
import Domain
import Operations

struct SourceGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "source",
        abstract: "Find out what there is to be archived on this host.",
        discussion: """
            Bu hostda arxivləşdiriləcək nələrin olduğunu göstərir.

            Examples:
              qala source discover
            """,
        subcommands: [SourceDiscover.self])
}

struct SourceDiscover: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "List the databases and repositories of this host, and which policies archive them.",
        discussion: """
            Bu hostun bazalarını və git anbarlarını, onları hansı siyasətin arxivləşdirdiyini göstərir.

            PostgreSQL and MariaDB, whether they run or not; SQLite databases and git
            repositories below /var/lib, /srv, /opt and --path. Names of databases and
            their sizes are asked of servers that let this account in without a password.
            It changes nothing and needs no root; what could not be looked at is listed,
            and makes the status 3. --draft writes a policy for what none archives.

            Examples:
              qala source discover
              qala source discover --path /data --exclude '*/cache/*' --json
              qala source discover --draft > /etc/qala/policies/found.yaml
            """)

    @Option(help: ArgumentHelp("Look in this directory too.", valueName: "dir"), completion: .directory)
    var path: [String] = []

    @Option(help: ArgumentHelp("Leave out what matches, below /, as in a .gitignore.", valueName: "pattern"))
    var exclude: [String] = []

    @Option(
        help: ArgumentHelp("Compare with this folder, not with the policies in force.", valueName: "folder"),
        completion: .directory)
    var policies: String?

    @Flag(help: "Write a policy for what no policy archives, for a person to complete.")
    var draft = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if draft, common.json { throw ValidationError("--draft writes YAML; it does not go with --json.") }
    }

    func run() throws {
        try common.perform { session in
            let request = DiscoverSources.Request(
                paths: try path.map { try session.absolute($0) }, excludes: exclude,
                policyFolder: try policies.map { try session.absolute($0) })
            let answer = try session.showingProgress {
                try DiscoverSources.run(request, at: session.workplace())
            }
            let report = answer.report
            session.tell("sources", "\(report.sources.count)")
            session.tell("unplanned", "\(report.sources.count { $0.policies.isEmpty })")
            if draft {
                try session.out.bytes(Array(answer.draft.utf8))
                try remark(report, session)
            } else {
                try session.answer(report) { Rendering.discovered(report, session.language) }
            }
            return report.isWhole ? .done : .partial
        }
    }

    /// Standard output is the draft alone.
    private func remark(_ report: DiscoveryReport, _ session: Session) throws {
        guard !session.isQuiet else { return }
        for line in Rendering.unseen(report, session.language) { try session.note.line(line) }
        try session.note.flush()
    }
}

extension Rendering {
    static func discovered(_ report: DiscoveryReport, _ language: Language) -> [String] {
        var lines: [String] = []
        if report.sources.isEmpty { lines.append(SourceText.nothing(language)) }
        var table = Table([
            (Text.columnKind(language), .left), (SourceText.place(language), .left),
            (SourceText.version(language), .left),
            (Text.columnState(language), .left), (SourceText.databases(language), .right),
            (Text.columnSize(language), .right), (Text.columnPolicy(language), .left),
        ])
        for source in report.sources { table.add(row(source, language)) }
        if !report.sources.isEmpty { lines += table.lines }
        let said =
            report.policies.map { SourceText.compared(language, [Printable.text($0)]) }
            ?? SourceText.noPolicies(language)
        lines += ["", said]
        for finding in report.findings where finding.finding != SourceDrift.Finding.Kind.unplanned.rawValue {
            lines.append("  " + text(finding, language))
        }
        let open = report.sources.count { $0.policies.isEmpty }
        if open > 0 { lines.append(SourceText.unplanned(language, [Readable.count(open)])) }
        return lines + unseen(report, language)
    }

    private static func row(_ source: SourceRow, _ language: Language) -> [String] {
        let state = source.running.map { $0 ? SourceText.running(language) : SourceText.stopped(language) }
        let plans = source.policies.map {
            $0.asFiles ? "\($0.policy) (\(SourceText.asFiles(language)))" : $0.policy
        }
        return [
            source.kind, source.place, source.version ?? "", state ?? "",
            source.databases.map { Readable.count($0.count) } ?? "",
            source.bytes.map { Readable.size(Int(clamping: $0)) } ?? "",
            plans.isEmpty ? SourceText.notPlanned(language) : plans.joined(separator: ", "),
        ]
    }

    private static func text(_ finding: SourceFindingRow, _ language: Language) -> String {
        let source = Printable.text("\(finding.kind) \(finding.place)")
        guard finding.finding == SourceDrift.Finding.Kind.changed.rawValue else {
            return SourceText.vanished(language, [source])
        }
        return SourceText.changed(
            language, [source, Printable.text(finding.was ?? "-"), Printable.text(finding.now ?? "-")])
    }

    /// What could not be looked at.
    static func unseen(_ report: DiscoveryReport, _ language: Language) -> [String] {
        guard report.problemCount > 0 else { return [] }
        let shown = report.problems.prefix(listedProblems)
        var lines = [SourceText.unseen(language, [Readable.count(report.problemCount)])]
        lines += shown.map { "  " + Printable.text("\($0.place): \($0.reason)") }
        let more = report.problemCount - shown.count
        if more > 0 { lines.append("  " + Text.moreProblems(language, [Readable.count(more)])) }
        return lines
    }
}
