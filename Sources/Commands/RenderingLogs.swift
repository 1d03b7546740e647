import Domain
import Operations

/// Segments of logs, as lines for people.
extension Rendering {
    private static func word(_ language: Language, _ english: String, _ azerbaijani: String) -> String {
        language == .azerbaijani ? azerbaijani : english
    }

    static func logSegments(_ rows: [LogSegments.Row], _ language: Language) -> [String] {
        guard !rows.isEmpty else {
            return [
                word(
                    language, "No log segments yet: run a policy with a source of `logs`.",
                    "Hələ loq seqmenti yoxdur: `logs` mənbəsi olan siyasəti icra edin.")
            ]
        }
        var table = Table([
            (Text.columnPolicy(language), .left), (word(language, "SEGMENT", "SEQMENT"), .right),
            (word(language, "SEALED", "YAZILIB"), .left), (Text.columnSize(language), .right),
            (word(language, "RECORDS", "YAZILAR"), .right), (word(language, "SOURCE", "MƏNBƏ"), .left),
            (word(language, "ARCHIVE", "ARXİV"), .left), (word(language, "FOUND", "AŞKAR EDİLİB"), .left),
        ])
        for row in rows {
            let kinds = LogFinding.Kind.allCases.compactMap { kind -> String? in
                let count = row.findings.filter { $0.kind == kind }.count
                return count == 0 ? nil : "\(kind.name(in: language)) \(count)"
            }
            table.add([
                row.policy, "\(row.sequence)", Printable.localTime(row.sealed), Readable.size(row.bytes, language),
                Readable.count(row.records), row.source, row.archive.map(Printable.shortID) ?? "",
                kinds.joined(separator: ", "),
            ])
        }
        return table.lines
    }

    static func logVerification(_ report: LogSegments.Verification, _ language: Language) -> [String] {
        var lines = Table.facts([
            (word(language, "Segments", "Seqmentlər"), Readable.count(report.segments)),
            (word(language, "Size", "Həcm"), Readable.size(report.bytes, language)),
            (word(language, "Verified in the spool", "Buferdə yoxlanılıb"), Readable.count(report.inSpool)),
            (word(language, "Verified in archives", "Arxivlərdə yoxlanılıb"), Readable.count(report.inArchives)),
            (
                word(language, "Not read, for want of a key", "Açar olmadığından oxunmayıb"),
                Readable.count(report.unread)
            ),
            (
                word(language, "Disposed of with their archives", "Arxivləri ilə birlikdə məhv edilib"),
                Readable.count(report.disposed)
            ),
            (word(language, "Findings of runs", "İcralar zamanı aşkar edilib"), Readable.count(report.findings)),
        ])
        if report.problems.isEmpty {
            lines.append(
                report.unread > 0
                    ? word(
                        language, "No segment that could be read is missing or changed.",
                        "Oxunan seqmentlərin heç biri itməyib və dəyişməyib.")
                    : word(
                        language, "No segment is missing or changed.", "Heç bir seqment itməyib və dəyişməyib."))
        }
        for problem in report.problems { lines.append(Printable.text("\(problem.path): \(problem.reason)")) }
        return lines
    }
}
