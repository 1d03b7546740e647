import API
import ArgumentParser
import Domain
import Operations

struct Tiers: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show where each archive has come to, what is due for it, and why it is kept.",
        discussion: """
            Hər arxivin hansı saxlama səviyyəsində olduğunu, nə edilməli olduğunu və niyə saxlandığını göstərir.

            Under the policies in force and by vault time. An archive is kept because of
            its period, a hold, its place among the newest, a tier that it has still to reach,
            or because originals were removed on its word (`qala move`); what nothing keeps
            may be disposed of with `qala dispose --expired`. One that left the vault for
            its volumes is listed with them, until its period there is over and people
            destroy the volume.

            Examples:
              qala tiers
              qala tiers --due --policy system-config
            """)

    @Option(help: ArgumentHelp("Only the archives of this policy.", valueName: "name"))
    var policy: String?

    @Flag(help: "Only those for which something is to be done.")
    var due = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try ListTiers.run(policy: policy, onlyDue: due, at: session.workplace())
            try session.answer(report) { Rendering.tiers(report, session.language) }
            return .done
        }
    }
}

extension Rendering {
    static func tiers(_ report: TierReport, _ language: Language) -> [String] {
        let isEnglish = language == .english
        let time = Printable.localTime(report.vaultTime)
        var lines = [
            isEnglish
                ? "Under \(report.policies) of the policies, vault time \(time)."
                : "Siyasətlər: \(report.policies); anbarın vaxtı \(time)."
        ]
        if !report.isTimeTrusted {
            lines.append(
                isEnglish
                    ? "The clock jumped, or this host was off for long: nothing expires."
                    : "Saat sıçrayıb və ya bu host uzun müddət sönülü olub: heç bir arxivin müddəti bitmir.")
        }
        var table = Table([
            (Text.columnID(language), .left), (Text.columnPolicy(language), .left),
            (Text.columnTime(language), .left), (isEnglish ? "TIER" : "SƏVİYYƏ", .left),
            (isEnglish ? "DUE" : "GÖZLƏNİLİR", .left), (isEnglish ? "WHY" : "SƏBƏB", .left),
        ])
        for row in report.archives {
            table.add([
                Printable.shortID(row.archive), row.policy, Printable.localTime(row.time), tier(row, language),
                row.due.map { due($0, isEnglish) }.joined(separator: "; "), row.why[language].first ?? "",
            ])
        }
        if !report.archives.isEmpty { lines += table.lines }
        if report.unread > 0 {
            lines.append(
                isEnglish
                    ? "\(report.unread) archives say nothing of themselves without a key."
                    : "\(report.unread) arxiv açarsız özü haqqında heç nə bildirmir.")
        }
        return lines
    }

    /// Of what left the vault, also until when it stays on which volumes.
    private static func tier(_ row: TierRow, _ language: Language) -> String {
        let stage = row.stage.flatMap { TierStage(rawValue: $0) }?.name(in: language) ?? ""
        guard let volumes = row.volumes else { return stage }
        let end = row.offlineUntil.map(Printable.localTime)
        let term = end.map { say(language, " until \($0)", ", \($0) tarixinədək") } ?? ""
        let none = say(language, "no registered volume", "reyestrdə daşıyıcı yoxdur")
        let places = volumes.isEmpty ? none : offlinePlaces(volumes)
        return stage + term + ": " + places
    }

    private static func due(_ word: String, _ isEnglish: Bool) -> String {
        let parts = word.split(separator: " ", maxSplits: 1)
        let what = parts.first.map(String.init) ?? ""
        let subject = parts.count > 1 ? String(parts[1]) : ""
        let text: (en: String, az: String) =
            switch what {
            case "copy": ("copy to \(subject)", "\(subject) yerinə surət çıxarmaq")
            case "verify": ("verify at \(subject)", "\(subject) yerində yoxlamaq")
            case "writeVolumes": ("write to \(subject) volumes", "\(subject) daşıyıcıya yazmaq")
            case "verifyVolume": ("verify volume \(subject)", "\(subject) daşıyıcısını yoxlamaq")
            case "removeOriginal": ("the original may be removed", "əsli silinə bilər")
            case "removeCopy": ("the copy at \(subject) may be removed", "\(subject) yerindəki surət silinə bilər")
            case "dispose": ("may be disposed of", "məhv edilə bilər")
            case "destroyVolume":
                (
                    "people may destroy volume \(subject): nothing on it is kept any more",
                    "\(subject) daşıyıcısı məhv edilə bilər: oradakı heç nə daha saxlanılmır"
                )
            case "awaitVolume":
                (
                    "volume \(subject) still keeps others", "\(subject) daşıyıcısında hələ saxlanılanlar var"
                )
            case "findVolume":
                (
                    "look for volume \(subject), which is lost: nothing else holds it",
                    "itirilmiş \(subject) daşıyıcısını axtarmaq: başqa heç yerdə yoxdur"
                )
            default: (word, word)
            }
        return isEnglish ? text.en : text.az
    }
}
