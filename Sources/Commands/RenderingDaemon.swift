import API
import Domain
import Operations

/// What the daemon tells, as lines for people.
extension Rendering {
    static func status(_ status: DaemonStatus, _ language: Language) -> [String] {
        var facts = [
            (
                Text.daemonIs(language),
                "\(status.version), PID \(status.processID), \(Printable.localTime(status.started))"
            ),
            (Text.daemonFolderIs(language), status.policyFolder), (Text.runIs(language), going(status, language)),
        ]
        if let version = status.policyVersion {
            facts.append((PolicyText.inForceIs(language), PolicyText.versionNumber(language, ["\(version)"])))
        }
        if status.isPaused { facts.append(("", Text.daemonPaused(language))) }
        var lines = openProblems(status.openProblems, language) + Table.facts(facts)
        if status.folderDiffers {
            lines.append(PolicyText.folderDiffers(language, [Printable.text(status.policyFolder)]))
        }
        if !status.policyProblems.isEmpty {
            lines.append(Text.policiesNotInForce(language))
            lines += status.policyProblems.prefix(listedProblems).map { "  " + Printable.text($0) }
        }
        var table = Table([
            (Text.columnPolicy(language), .left), (Text.columnComponent(language), .left),
            (Text.columnState(language), .left), (Text.columnEnded(language), .left),
            (Text.columnNext(language), .left),
            (Text.columnFailures(language), .right), (Text.columnNote(language), .left),
        ])
        for row in status.policies {
            table.add([
                row.name, row.component, row.last.map { $0.state.name(in: language) } ?? "",
                row.last?.ended.map(Printable.localTime) ?? "", row.next.map(Printable.localTime) ?? "",
                row.failures > 0 ? "\(row.failures)" : "", row.isPaused ? Text.pausedMark(language) : "",
            ])
        }
        return lines + [""] + table.lines + points(status, language)
    }

    /// Up to when data sources could be brought back.
    private static func points(_ status: DaemonStatus, _ language: Language) -> [String] {
        func word(_ english: String, _ azerbaijani: String) -> String {
            language == .azerbaijani ? azerbaijani : english
        }
        var table = Table([
            (Text.columnPolicy(language), .left), (word("SOURCE", "MƏNBƏ"), .left), (word("PLACE", "YERİ"), .left),
            (word("RESTORABLE TO", "BƏRPA OLUNAR"), .left), (word("AGE", "YAŞI"), .right),
        ])
        for row in status.policies {
            for point in row.points ?? [] {
                let place = point.place == .vault ? word("vault", "arxiv anbarı") : word("spool", "növbə")
                let age = point.age.map { Readable.duration(Double($0), language) } ?? ""
                table.add([
                    row.name, "\(point.kind): \(point.name)", place, point.time.map(Printable.localTime) ?? "—",
                    point.isMeasured || age.isEmpty ? age : "≤ \(age)",
                ])
            }
        }
        return status.policies.contains { $0.points?.isEmpty == false } ? [""] + table.lines : []
    }

    private static func going(_ status: DaemonStatus, _ language: Language) -> String {
        let going = [status.going, status.beside].compactMap(\.self).map {
            "\($0.run.policy) (\($0.run.id)), \(Readable.size($0.bytes, language))"
        }
        let text = going.isEmpty ? Text.daemonIdle(language) : going.joined(separator: "; ")
        return status.waiting.isEmpty
            ? text : text + "; " + Text.runWaiting(language, [Readable.count(status.waiting.count)])
    }

    static func runs(_ runs: [RunRecord], _ language: Language) -> [String] {
        guard !runs.isEmpty else { return [Text.noRuns(language)] }
        var table = Table([
            (Text.columnRun(language), .left), (Text.columnPolicy(language), .left),
            (Text.columnState(language), .left),
            (Text.columnEnded(language), .left), (Text.columnFiles(language), .right),
            (Text.columnSize(language), .right),
            (Text.columnMessage(language), .left),
        ])
        for run in runs {
            table.add([
                run.id, run.policy, run.state.name(in: language), run.ended.map(Printable.localTime) ?? "",
                run.files.map(Readable.count) ?? "", run.bytes.map { Readable.size($0, language) } ?? "",
                run.message ?? "",
            ])
        }
        return table.lines
    }

    static func run(_ run: RunRecord, _ language: Language) -> [String] { runs([run], language) }

    static func events(_ events: [DaemonEvent], _ language: Language) -> [String] {
        guard !events.isEmpty else { return [Text.noEvents(language)] }
        return events.map { event in
            let about = event.policy.map { " \($0):" } ?? ""
            return Printable.text("\(Printable.localTime(event.time)) \(event.severity)\(about) \(event.message)")
        }
    }
}
