package import Domain
package import Operations

/// Reports and rows as lines for people. Pure: what is shown depends on the arguments and the time zone alone.
package enum Rendering {
    /// How many problems are listed before the rest is only counted; `--json` tells all that the report holds.
    static let listedProblems = 20

    package static func initialized(_ report: InitReport, _ language: Language) -> [String] {
        var lines = [Text.initialized(language)] + initFacts(report, language)
        if report.kitPath != nil { lines.append(Text.kitKeep(language)) }
        if report.writeOnlyHost { lines.append(Text.writeOnlyNote(language)) }
        lines.append(Text.nextArchive(language))
        return lines
    }

    static func initFacts(_ report: InitReport, _ language: Language) -> [String] {
        var facts = [
            (Text.vaultIs(language), report.vault), (Text.vaultIDIs(language), report.vaultID),
            (Text.suiteIs(language), report.suite),
        ]
        if let kit = report.kitPath { facts.append((Text.kitWritten(language), kit)) }
        return Table.facts(facts).map { "  " + $0 }
    }

    package static func policy(_ policy: Policy, _ language: Language) -> [String] {
        var facts = [
            (Text.policyIs(language), policy.name),
            (Text.componentIs(language), policy.component.name(in: language)),
            (Text.responsibleIs(language), person(policy.responsiblePerson)),
        ]
        if let deputy = policy.deputyPerson { facts.append((Text.deputyIs(language), person(deputy))) }
        if let basis = policy.legalBasis { facts.append((Text.legalBasisIs(language), basis)) }
        facts.append((Text.confidentialityIs(language), policy.confidentiality.name(in: language)))
        return Table.facts(facts)
    }

    private static func person(_ person: Person) -> String {
        [person.name, person.position, person.email, person.phone].compactMap(\.self).joined(separator: ", ")
    }

    package static func archived(_ report: ArchiveReport, dryRun: Bool, _ language: Language) -> [String] {
        var lines: [String] = []
        if report.changedCount > 0 {
            lines.append(Text.changedWhileRead(language, [Readable.count(report.changedCount)]))
            lines += problems(report.changed, count: report.changedCount, language)
        }
        if report.problemCount > 0 {
            lines.append(Text.couldNotArchive(language, [Readable.count(report.problemCount)]))
            lines += problems(report.problems, count: report.problemCount, language)
        }
        lines += report.warnings.map { Text.hookFailed(language, [Printable.text($0)]) }
        let time = Readable.duration(report.seconds, language)
        if let id = report.archive, !dryRun {
            lines.append(Text.archived(language, [Printable.shortID(id), time]))
        } else {
            lines.append(Text.archivedDry(language, [time]))
        }
        var details = [
            Text.archiveCounts(
                language,
                [
                    Readable.count(report.files), Readable.count(report.directories), Readable.count(report.others),
                    Readable.size(report.bytes, language),
                ])
        ]
        if !dryRun {
            details.append(
                Text.archiveRead(
                    language, [Readable.count(report.filesRead), Readable.size(report.bytesRead, language)]))
            details.append(
                Text.archiveStored(
                    language, [Readable.size(report.bytesNew, language), Readable.size(report.bytesStored, language)]))
        }
        if report.excluded > 0 { details.append(Text.archiveExcluded(language, [Readable.count(report.excluded)])) }
        if report.resumed { details.append(Text.archiveResumed(language)) }
        lines += details.map { "  " + $0 }
        if report.isPartial { lines.append(Text.partialArchive(language)) }
        return lines
    }

    static func problems(_ problems: [PathProblem], count: Int, _ language: Language) -> [String] {
        let shown = problems.prefix(listedProblems)
        var lines = shown.map { "  " + Printable.text($0.path) + ": " + Printable.text($0.reason) }
        if count > shown.count {
            lines.append("  " + Text.moreProblems(language, [Readable.count(count - shown.count)]))
        }
        return lines
    }

    /// The first three, and how many more there are.
    static func list(_ roots: [String]) -> String {
        let shown = roots.prefix(3).joined(separator: " ")
        return roots.count > 3 ? shown + " +\(roots.count - 3)" : shown
    }

    /// Listings are streamed, so widths are fixed; the path comes last and takes what it needs.
    package static func entry(_ row: EntryRow, _ language: Language) -> String {
        let size = padded(Readable.size(row.size, language), to: 9, atLeft: true)
        let owner = padded(Printable.text(row.user + ":" + row.group), to: 17, atLeft: false)
        let time = padded(Printable.localTime(row.modified), to: 19, atLeft: false)
        let target = row.target.map { " -> " + Printable.text($0) } ?? ""
        return "\(row.mode)  \(owner)  \(size)  \(time)  \(Printable.text(row.path))\(target)"
    }

    static func padded(_ text: String, to width: Int, atLeft: Bool) -> String {
        let space = String(repeating: " ", count: max(0, width - Printable.width(text)))
        return atLeft ? space + text : text + space
    }

    package static func found(_ rows: [FoundRow], text: String, allVersions: Bool, _ language: Language) -> [String] {
        guard !rows.isEmpty else {
            let lines = [Text.nothingFound(language, [Printable.text(text)])]
            return allVersions ? lines : lines + [Text.nothingFoundHint(language)]
        }
        var table = Table([
            (Text.columnModified(language), .left), (Text.columnSize(language), .right),
            (Text.columnArchives(language), .right), (Text.columnNewest(language), .left),
            (Text.columnPolicy(language), .left), (offlineTitle(language), .left), (Text.columnPath(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.localTime(row.modified), Readable.size(row.size, language), Readable.count(row.archives),
                Printable.shortID(row.archive), row.policy ?? "", offlinePlaces(row.volumes ?? []), row.path,
            ])
        }
        return table.lines + offlineAdvice(rows, language)
    }

    package static func versions(_ rows: [FoundRow], path: String, _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [Text.noVersions(language, [Printable.text(path)])] }
        var table = Table([
            (Text.columnModified(language), .left), (Text.columnSize(language), .right),
            (Text.columnArchives(language), .right), (Text.columnSince(language), .left),
            (Text.columnNewest(language), .left), (Text.columnTime(language), .left),
            (Text.columnPolicy(language), .left), (offlineTitle(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.localTime(row.modified), Readable.size(row.size, language), Readable.count(row.archives),
                Printable.shortID(row.firstArchive), Printable.shortID(row.archive),
                Printable.localTime(row.archiveTime), row.policy ?? "", offlinePlaces(row.volumes ?? []),
            ])
        }
        return table.lines + offlineAdvice(rows, language)
    }

    package static func difference(_ row: DifferenceRow, _ language: Language) -> String {
        let path = Printable.text(row.path)
        switch (row.sizeBefore, row.sizeAfter) {
        case (let before?, let after?) where before != after:
            return "\(row.change) \(path)  (\(Readable.size(before, language)) → \(Readable.size(after, language)))"
        default: return "\(row.change) \(path)"
        }
    }
}
