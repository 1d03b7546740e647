import API
import Domain
import Operations

/// The sentences about the audit log, in both languages. They stand apart from ``Text`` because most of them count.
enum AuditWords {
    private static func choose(_ language: Language, _ english: String, _ azerbaijani: String) -> String {
        language == .azerbaijani ? azerbaijani : english
    }

    static func notRecorded(_ language: Language, _ why: String) -> String {
        choose(language, "this act is not in the audit log: \(why)", "bu əməliyyat audit jurnalına yazılmadı: \(why)")
    }

    static func problemNotTold(_ language: Language, _ why: String) -> String {
        choose(
            language, "the register of problems does not know of this yet: \(why)",
            "problemlər reyestrində bu hələ qeyd olunmayıb: \(why)")
    }

    static func nothing(_ language: Language) -> String {
        choose(language, "The audit log has no such entry.", "Audit jurnalında belə qeyd yoxdur.")
    }

    static func whole(_ language: Language, _ count: String) -> String {
        choose(
            language, "The audit log is whole: \(count) entries, none altered, dropped or moved.",
            "Audit jurnalı bütövdür: \(count) qeyd; dəyişdirilən, silinən və ya yeri dəyişdirilən yoxdur.")
    }

    static func wrong(_ language: Language, _ count: String) -> String {
        choose(
            language, "The audit log is not what was signed; findings: \(count)",
            "Audit jurnalı imzalanmış jurnal deyil; tapıntılar: \(count)")
    }

    static func more(_ language: Language, _ count: String) -> String {
        choose(language, "and \(count) more", "və daha \(count)")
    }

    static func advice(_ language: Language) -> String {
        choose(
            language,
            "Copy the directory of the log before anything else, and compare with what other places hold of it.",
            "Hər şeydən əvvəl jurnal qovluğunun nüsxəsini çıxarın, başqa yerlərdə saxlanılanlarla tutuşdurun.")
    }

    static func compared(_ language: Language, _ size: String) -> String {
        choose(
            language, "It contains the \(size) entries of the checkpoint that was given.",
            "Verilmiş nəzarət nöqtəsinin \(size) qeydi jurnaldadır.")
    }

    static func notCompared(_ language: Language) -> String {
        choose(
            language, "Not compared with a checkpoint from elsewhere (--checkpoint).",
            "Başqa yerdə saxlanılan nəzarət nöqtəsi ilə tutuşdurulmayıb (--checkpoint).")
    }

    static func torn(_ language: Language, _ bytes: String) -> String {
        choose(
            language, "A power cut left \(bytes) bytes at the end, which are no entry.",
            "Elektrik kəsilməsindən sonda qeyd olmayan \(bytes) bayt qalıb.")
    }

    static func notTakenOver(_ language: Language, _ why: String) -> String {
        choose(
            language, "Acts that wait in the spool were not taken over: \(why)",
            "Növbədə gözləyən əməliyyatlar jurnala köçürülmədi: \(why)")
    }

    static func pack(_ language: Language, _ report: AuditPackCheck) -> String {
        let range = "\(report.first)–\(report.first + report.count - 1)"
        return choose(
            language, "\(report.origin): entries \(range) of \(report.size) are those that were signed.",
            "\(report.origin): \(report.size) qeyddən \(range) imzalanmış qeydlərdir.")
    }

    static func packUntrusted(_ language: Language) -> String {
        choose(
            language, "The key was not compared: the pack only agrees with itself. Give the host's key with --trust.",
            "Açar tutuşdurulmayıb: paket yalnız özü ilə uzlaşır. Hostun açarını --trust ilə göstərin.")
    }

    static func packContinues(_ language: Language, _ size: UInt64) -> String {
        choose(
            language, "It continues the checkpoint of size \(size).",
            "Ölçüsü \(size) olan nəzarət nöqtəsini davam etdirir.")
    }

    static func exported(_ language: Language, _ report: AuditExportReport) -> String {
        let path = Printable.text(report.pack)
        let range = "\(report.first)–\(report.first + report.count - 1)"
        return choose(
            language, "Entries \(range) of \(report.size) were written to \(path).",
            "\(report.size) qeyddən \(range) \(path) faylına yazıldı.")
    }

    static func renewed(_ language: Language) -> String {
        choose(
            language, "The log is signed by a new key from now on; give it to those who check packs.",
            "Jurnal bundan sonra yeni açarla imzalanır; onu paketləri yoxlayanlara verin.")
    }

    static func log(_ language: Language) -> String { choose(language, "Log", "Jurnal") }
    static func key(_ language: Language) -> String { choose(language, "Key", "Açar") }
    static func olderKey(_ language: Language, _ size: UInt64) -> String {
        choose(language, "Key up to \(size)", "\(size) qeydə qədər açar")
    }
}

extension Rendering {
    static func auditRow(_ row: AuditRow) -> String {
        let details = row.details.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        var words = ["\(row.number)", row.time, row.actor, row.operation, row.outcome, row.subject]
        if !row.run.isEmpty { words.append("run=\(row.run)") }
        words += details
        return words.filter { !$0.isEmpty }.map(Printable.text).joined(separator: "  ")
    }

    static func auditCheck(_ report: AuditCheck, _ language: Language) -> [String] {
        let count = Readable.count(Int(clamping: report.entries + report.recent))
        let found = Readable.count(report.findings.count + report.omitted)
        var lines = [report.findings.isEmpty ? AuditWords.whole(language, count) : AuditWords.wrong(language, found)]
        lines += report.findings.prefix(listedProblems).map { "  " + Printable.text($0.text) }
        let more = report.findings.count + report.omitted - min(report.findings.count, listedProblems)
        if more > 0 { lines.append("  " + AuditWords.more(language, Readable.count(more))) }
        if report.torn > 0 { lines.append(AuditWords.torn(language, "\(report.torn)")) }
        if let why = report.notTakenOver { lines.append(AuditWords.notTakenOver(language, Printable.text(why))) }
        if report.findings.isEmpty {
            lines.append(
                report.comparedWith.map { AuditWords.compared(language, "\($0)") } ?? AuditWords.notCompared(language))
        } else {
            lines.append(AuditWords.advice(language))
        }
        return lines
    }

    static func auditPack(_ report: AuditPackCheck, _ language: Language) -> [String] {
        var lines = [Printable.text(AuditWords.pack(language, report))]
        if let since = report.since { lines.append(AuditWords.packContinues(language, since)) }
        lines += Table.facts([(AuditWords.key(language), report.key)]).map { "  " + $0 }
        if !report.isTrusted { lines.append(AuditWords.packUntrusted(language)) }
        return lines
    }

    static func auditKey(_ report: AuditKeyReport, _ language: Language) -> [String] {
        var facts = [(AuditWords.log(language), report.origin), (AuditWords.key(language), report.key)]
        for item in report.older { facts.append((AuditWords.olderKey(language, item.upTo), item.key)) }
        return (report.renewed ? [AuditWords.renewed(language)] : []) + Table.facts(facts)
    }
}
