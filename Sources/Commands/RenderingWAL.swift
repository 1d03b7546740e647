import Domain
import Operations

/// The logs of database servers, as lines for people.
extension Rendering {
    static func walStatus(_ rows: [WALStatus.Row], _ language: Language) -> [String] {
        func word(_ english: String, _ azerbaijani: String) -> String {
            language == .azerbaijani ? azerbaijani : english
        }
        guard !rows.isEmpty else {
            return [
                word(
                    "No WAL yet: a policy takes it with a source `postgresql-wal`.",
                    "Hələ WAL yoxdur: siyasət onu `postgresql-wal` mənbəsi ilə qəbul edir.")
            ]
        }
        var table = Table([
            (word("SOURCE", "MƏNBƏ"), .left), (word("NEWEST", "ƏN YENİSİ"), .left), (word("TAKEN", "ALINIB"), .left),
            (word("WAITING", "NÖVBƏDƏ"), .right), (Text.columnSize(language), .right),
            (word("OLDEST", "ƏN KÖHNƏSİ"), .left), (word("ARCHIVED", "ARXİVDƏ"), .right),
        ])
        for row in rows {
            table.add([
                row.source, row.newest.last ?? "", row.newestTaken.map(Printable.localTime) ?? "",
                Readable.count(row.waiting), Readable.size(row.waitingBytes, language),
                row.oldestWaiting.map(Printable.localTime) ?? "", Readable.count(row.archived),
            ])
        }
        var lines = table.lines
        for row in rows {
            for gap in row.gaps {
                lines.append(
                    word(
                        "\(row.source): \(gap.segments) segments are missing from \(gap.first)",
                        "\(row.source): \(gap.first) adından başlayaraq \(gap.segments) seqment çatışmır"))
            }
            for fork in row.forks {
                let place = "\(fork.newest), timeline \(fork.timeline) at \(fork.position)"
                lines.append(
                    word(
                        "\(row.source): a timeline goes on although another left it: \(place)",
                        "\(row.source): xətt başqası ondan ayrıldıqdan sonra da davam edir: \(place)"))
            }
            for name in row.quarantined {
                lines.append(
                    word(
                        "\(row.source): contradicts what was taken: \(Printable.text(name))",
                        "\(row.source): əvvəl alınanla ziddiyyət təşkil edir: \(Printable.text(name))"))
            }
            for name in row.lost {
                lines.append(
                    word(
                        "\(row.source): gone from the spool, and in no archive: \(Printable.text(name))",
                        "\(row.source): növbədən itib və heç bir arxivdə yoxdur: \(Printable.text(name))"))
            }
        }
        return lines
    }

    static func recovery(_ report: PointInTime.Report, _ language: Language) -> [String] {
        let isAzerbaijani = language == .azerbaijani
        let facts =
            isAzerbaijani
            ? "WAL: \(report.segments) seqment, \(report.timeline) nömrəli xətt, \(report.end) nöqtəsinədək bütövdür"
            : "WAL: \(report.segments) segments on timeline \(report.timeline), whole up to \(report.end)"
        let next =
            isAzerbaijani
            ? "Serveri işə salın: bərpa məqsədə çatanda dayanır. Klaster arxivə WAL yazmır (archive_mode = off)."
            : "Start the server: the recovery ends at its target. The cluster archives no WAL (archive_mode = off)."
        return [facts] + report.warnings.map(Printable.text) + [next]
    }

    static func replay(_ report: LogReplay.Report, dryRun: Bool, _ language: Language) -> [String] {
        let isAzerbaijani = language == .azerbaijani
        let last = report.last.map { isAzerbaijani ? ", sonuncusu \($0)" : ", the last at \($0)" } ?? ""
        let facts =
            isAzerbaijani
            ? "İkilik loqlar: \(report.from) → \(report.to), \(report.transactions) tranzaksiya\(last); GTID \(report.gtid)"
            : "Binary logs: \(report.from) to \(report.to), \(report.transactions) transactions\(last); GTID \(report.gtid)"
        let next = isAzerbaijani ? "Server bu qovluqdan işə düşür." : "A server starts from this directory."
        return [Printable.text(facts)] + report.warnings.map(Printable.text) + (dryRun ? [] : [next])
    }
}
