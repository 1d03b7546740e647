import API
import ArgumentParser
import Domain
import Operations

struct Move: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove the originals that a policy with `mode: move` has let go.",
        discussion: """
            `mode: move` olan siyasət üzrə arxivi hər yerdə yoxlanmış əsl faylları silir.

            Only under the version of the policies in force, only when the period in the
            active system is over and every place has a verified copy, and only files that
            are byte for byte what the vault gives back. What is missing is said, and
            nothing is removed then. Each file is in `qala register moved list`. It needs a
            key that reads.

            Examples:
              qala move letters --dry-run
              qala move letters --key-file reader.key --json
            """)

    @Argument(help: ArgumentHelp("Name of a policy in force.", valueName: "policy"))
    var policy: String

    @Flag(help: "Tell what would be compared and removed, and remove nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if !Policy.isWellFormed(name: policy) {
            throw ValidationError("`\(Printable.text(policy))` is no name of a policy; a file permits no removal.")
        }
    }

    func run() throws {
        try common.perform { session in
            let vault = try MoveOriginals.vault(of: policy, statePath: session.statePath())
            let workplace = try session.workplace(preferred: vault)
            let report = try session.showingProgress {
                try MoveOriginals.run(policy: policy, dryRun: dryRun, at: workplace)
            }
            try session.answer(PartialReport(report, partial: report.isPartial)) {
                Rendering.moved(report, session.language)
            }
            return report.isPartial ? .partial : .done
        }
    }
}

extension Rendering {
    static func moved(_ report: MoveReport, _ language: Language) -> [String] {
        let isEnglish = language == .english
        var lines: [String] = []
        if report.settled > 0 {
            let count = Readable.count(report.settled)
            lines.append(
                isEnglish
                    ? "\(count) files of an interrupted removal are settled."
                    : "Yarımçıq qalmış silmənin \(count) faylı aydınlaşdırıldı.")
        }
        if let archive = report.archive {
            lines += removed(report, Printable.shortID(archive), isEnglish, language)
        } else if report.waits.isEmpty {
            lines.append(
                isEnglish
                    ? "No archive of \(report.policy) lets originals go: there is none that was not gone through."
                    : "\(report.policy) siyasətinin baxılmamış arxivi yoxdur, silinəsi əsl fayl da yoxdur.")
        } else {
            lines.append(isEnglish ? "Nothing is removed yet:" : "Hələ heç nə silinmir:")
            lines += report.waits.flatMap { $0.text[language] }.map { "  " + Printable.text($0) }
        }
        if report.logs > 0 {
            lines.append(
                isEnglish
                    ? "Logs that the policy follows stay, rotated ones too."
                    : "Siyasətin izlədiyi loqlar qalır, rotasiya olunmuşlar da.")
        }
        if report.problemCount > 0 {
            lines.append(isEnglish ? "Not removed:" : "Silinmədi:")
            lines += problems(report.problems, count: report.problemCount, language)
        }
        return lines
    }

    private static func removed(
        _ report: MoveReport, _ archive: String, _ isEnglish: Bool, _ language: Language
    ) -> [String] {
        let count = Readable.count(report.files)
        let size = Readable.size(report.bytes, language)
        var lines: [String]
        switch (report.dryRun, isEnglish) {
        case (true, true):
            lines = ["\(count) originals (\(size)) would be compared with archive \(archive) and removed."]
        case (true, false): lines = ["\(count) əsl fayl (\(size)) \(archive) arxivi ilə müqayisə edilib silinəcəkdi."]
        case (false, true): lines = ["\(count) originals (\(size)) were removed; archive \(archive) holds them."]
        case (false, false): lines = ["\(count) əsl fayl (\(size)) silindi; onlar \(archive) arxivindədir."]
        }
        guard report.stayCount > 0 else { return lines }
        lines.append(
            isEnglish ? "\(Readable.count(report.stayCount)) stay:" : "\(Readable.count(report.stayCount)) fayl qalır:")
        let shown = report.stays.prefix(listedProblems)
        lines += shown.map { "  " + Printable.text($0.path) + ": " + $0.reason.text(in: language) }
        if report.stayCount > shown.count {
            lines.append("  " + Text.moreProblems(language, [Readable.count(report.stayCount - shown.count)]))
        }
        return lines
    }
}
