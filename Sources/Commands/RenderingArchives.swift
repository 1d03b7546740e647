package import Domain
package import Operations

/// Lists of archives: those that the vault holds, those that it held, and those that are on volumes.
extension Rendering {
    package static func archives(
        _ report: ListArchives.Report, policy: String?, disposed: Bool, _ language: Language
    ) -> [String] {
        var lines: [String] = []
        if !report.archives.isEmpty {
            lines = archives(report.archives, language)
        } else if disposed {
            lines = [Text.noDisposed(language)]
        } else if !report.offline.isEmpty {
            lines = [say(language, "The vault holds no archive any more.", "Anbarda artıq heç bir arxiv yoxdur.")]
        } else if let policy {
            lines = [Text.noArchivesOfPolicy(language, [Printable.text(policy)])]
        } else {
            lines = [Text.noArchives(language)]
        }
        if let problem = report.offlineProblem {
            let text = Printable.text(problem)
            lines.append(
                say(
                    language, "What is offline cannot be told: \(text)", "Oflayn arxivdə nə olduğu bilinmir: \(text)"))
        }
        return report.offline.isEmpty ? lines : lines + offline(report.offline, language)
    }

    private static func archives(_ rows: [ArchiveRow], _ language: Language) -> [String] {
        let areDisposed = rows.contains { $0.disposed != nil }
        var table = Table(
            [(Text.columnID(language), .left), (Text.columnTime(language), .left)]
                + (areDisposed ? [(Text.columnDisposed(language), .left)] : []) + [
                    (Text.columnPolicy(language), .left), (Text.columnFiles(language), .right),
                    (Text.columnSize(language), .right), (Text.columnNote(language), .left),
                    (Text.columnRoots(language), .left),
                ])
        for row in rows {
            table.add(
                [Printable.shortID(row.id), Printable.localTime(row.time)]
                    + (areDisposed ? [row.disposed.map(Printable.localTime) ?? ""] : []) + [
                        row.policy ?? "",
                        row.files.map(Readable.count) ?? "",
                        Readable.size(row.bytes, language), row.partial ? Text.partialMark(language) : "",
                        list(row.roots),
                    ])
        }
        return rows.contains { $0.files == nil } ? table.lines + [Text.archivesUnread(language)] : table.lines
    }

    /// Archives that left the vault, and where they are.
    private static func offline(_ rows: [ArchiveRow], _ language: Language) -> [String] {
        var table = Table([
            (Text.columnID(language), .left), (Text.columnTime(language), .left),
            (say(language, "Left the vault", "Anbardan çıxıb"), .left), (Text.columnPolicy(language), .left),
            (Text.columnSize(language), .right), (say(language, "Volume", "Daşıyıcı"), .left),
            (Text.columnRoots(language), .left),
        ])
        for row in rows {
            table.add([
                Printable.shortID(row.id), Printable.localTime(row.time), row.left.map(Printable.localTime) ?? "",
                row.policy ?? "", Readable.size(row.bytes, language), offlinePlaces(row.volumes ?? []), list(row.roots),
            ])
        }
        let count = Readable.count(rows.count)
        return [say(language, "Offline, on volumes only: \(count)", "Oflayn arxivdə, yalnız daşıyıcılarda: \(count)")]
            + table.lines
    }

    /// What a search could not look into.
    package static func notSearched(_ names: NamesFound, _ language: Language) -> [String] {
        var lines: [String] = []
        if names.notSearched > 0 { lines.append(Text.notSearched(language, [Readable.count(names.notSearched)])) }
        if let lost = names.unregistered {
            let volumes = lost.volumes.map(Printable.text).joined(separator: ", ")
            let count = Readable.count(lost.archives.count)
            lines.append(
                say(
                    language,
                    "\(count) archives are offline, on volumes that the register does not know (\(volumes)), and were not "
                        + "searched: bring STATE/volumes back from a copy; `qala reconcile` tells what is missing.",
                    "\(count) arxiv oflayn arxivdə, reyestrdə olmayan daşıyıcılardadır (\(volumes)), onlarda axtarılmadı: "
                        + "STATE/volumes qovluğunu nüsxədən qaytarın; nəyin çatmadığını `qala reconcile` göstərir."))
        }
        return lines
    }
}
