package import Domain
package import Operations

extension Rendering {
    package static func restored(_ report: RestoreReport, _ language: Language) -> [String] {
        var lines: [String] = []
        if report.problemCount > 0 {
            lines.append(Text.couldNotRestore(language, [Readable.count(report.problemCount)]))
            lines += problems(report.problems, count: report.problemCount, language)
        }
        let target = Printable.text(report.target)
        lines.append(
            report.dryRun
                ? Text.restoredDry(language, [target])
                : Text.restored(language, [target, Readable.duration(report.seconds, language)]))
        lines.append(
            "  "
                + Text.restoreCounts(
                    language,
                    [
                        Readable.count(report.files), Readable.count(report.directories), Readable.count(report.others),
                        Readable.size(report.bytes, language),
                    ]))
        if report.verified > 0 {
            lines.append("  " + Text.restoreVerified(language, [Readable.count(report.verified)]))
        }
        if report.inTheWay > 0 {
            lines.append("  " + Text.restoreInTheWay(language, [Readable.count(report.inTheWay)]))
        }
        if report.skipped > 0 { lines.append("  " + Text.restoreSkipped(language, [Readable.count(report.skipped)])) }
        if report.damaged > 0 { lines.append(Text.restoreDamaged(language, [Readable.count(report.damaged)])) }
        if report.ownershipNotSet > 0 {
            lines.append(Text.ownershipNotSet(language, [Readable.count(report.ownershipNotSet)]))
            lines.append(Text.ownershipHint(language))
        }
        return lines
    }

    package static func verified(_ report: VerifyReport, _ language: Language) -> [String] {
        // Of a vault that could not be opened nothing else is known.
        guard report.opened else { return damage(report, language) }
        let depth: Text =
            switch report.depth {
            case "digests": .verifiedDigests
            case "sample": .verifiedSample
            case "data": .verifiedData
            default: .verifiedStructure
            }
        var lines = [depth(language, [Readable.duration(report.seconds, language)])]
        let counts = [report.archives, report.records, report.packs, report.chunks].map(Readable.count)
        lines.append("  " + Text.verifyCounts(language, counts))
        let read = [Readable.count(report.chunksRead), Readable.size(report.bytesRead, language)]
        if let packsRead = report.packsRead {
            let packs = [Readable.count(packsRead), Readable.count(report.packs)]
            lines.append("  " + Text.verifySampleRead(language, packs + read))
        } else if report.chunksRead > 0 || report.bytesRead > 0 {
            lines.append("  " + Text.verifyRead(language, read))
        }
        let freshness: Text = report.freshnessProven ? .freshnessProven : .freshnessUnproven
        lines.append("  " + freshness(language, [Printable.text(report.head)]))
        if report.depth == "structure", !report.treesRead { lines.append("  " + Text.treesNotRead(language)) }
        guard report.damage.isEmpty else { return lines + damage(report, language) }
        let isSample = report.packsRead.map { $0 < report.packs } ?? false
        return lines + [isSample ? Text.noDamageInSample(language) : Text.noDamage(language)]
    }

    private static func damage(_ report: VerifyReport, _ language: Language) -> [String] {
        var table = Table([(Text.columnObject(language), .left), (Text.columnReason(language), .left)])
        for row in report.damage { table.add([row.object, row.reason]) }
        return [Text.damageFound(language, [Readable.count(report.damage.count)])] + table.lines.map { "  " + $0 }
            + [report.advice.map(Printable.text) ?? Text.damageAdvice(language)]
    }

    package static func keys(_ rows: [KeyRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [Text.noKeys(language)] }
        var table = Table([
            (Text.columnID(language), .left), (Text.columnKind(language), .left), (Text.columnCreated(language), .left),
            (Text.columnNote(language), .left), (Text.columnLabel(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.shortID(row.id), row.kind, Printable.localTime(row.created),
                row.administrator ? Text.administratorMark(language) : "", row.label,
            ])
        }
        return table.lines
    }

    package static func stats(_ stats: VaultStats, vault: String, _ language: Language) -> [String] {
        Table.facts([
            (Text.vaultIs(language), vault),
            (Text.vaultIDIs(language), stats.vaultID),
            (Text.statArchives(language), Readable.count(stats.archives)),
            (Text.statPlain(language), Readable.size(stats.plainBytes, language)),
            (Text.statPacks(language), "\(Readable.count(stats.packs)) (\(Readable.size(stats.packBytes, language)))"),
            (Text.statChunks(language), Readable.count(stats.chunks)),
            (Text.statSegments(language), Readable.count(stats.segments)),
            (Text.statRecords(language), Readable.count(stats.records)),
            (Text.statSessions(language), Readable.count(stats.sessions)),
            (Text.statReaders(language), Readable.count(stats.readers)),
            (Text.statWriters(language), Readable.count(stats.writers)),
            (Text.statHead(language), stats.head),
        ])
    }
}
