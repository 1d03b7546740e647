import API
import ArgumentParser
import Domain
import Operations

struct Find: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find names in all archives.",
        discussion: """
            Adları bütün arxivlərdə axtarır (arxivlərdən məlumatların axtarılması).

            The newest version of each path that contains TEXT is shown; --all-versions
            shows every one.

            Examples:
              qala find nginx.conf
              qala find report --path /srv/documents --all-versions
            """)

    @Argument(help: ArgumentHelp("Part of a name.", valueName: "text"))
    var text: String

    @Option(help: ArgumentHelp("Only at or below this path.", valueName: "path"), completion: .directory)
    var path: String?

    @Flag(help: "Every version of every path.")
    var allVersions = false

    @Option(help: ArgumentHelp("Stop after this many.", valueName: "n"))
    var limit: Int?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if text.isEmpty { throw ValidationError("TEXT is empty.") }
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    }

    func run() throws {
        try common.perform { session in
            let request = FindNames.Request(
                text: text, path: try path.map(session.absolute), allVersions: allVersions, limit: limit)
            let names = try FindNames.run(request, at: session.workplace())
            try session.answer(FoundReply(names)) {
                Rendering.found(names.rows, text: text, allVersions: allVersions, session.language)
                    + Rendering.notSearched(names, session.language)
            }
            return names.isWhole ? .done : .partial
        }
    }
}

struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the versions of a path.",
        discussion: """
            Bir yolun versiyalarının siyahısı.

            Examples:
              qala history /etc/fstab
            """)

    @Argument(help: ArgumentHelp("The path.", valueName: "path"), completion: .file())
    var path: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let path = try session.absolute(path)
            let names = try PathHistory.run(path: path, at: session.workplace())
            try session.answer(VersionsReply(path: path, names)) {
                Rendering.versions(names.rows, path: path, session.language)
                    + Rendering.notSearched(names, session.language)
            }
            return names.isWhole ? .done : .partial
        }
    }
}

struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what changed between two archives.",
        discussion: """
            İki arxiv arasındakı dəyişiklikləri göstərir.

            Marks: + only in the second, - only in the first, M content, A attributes, T
            kind.

            Examples:
              qala diff 2026-11-01 latest
              qala diff 3fa9 81c2 --json
            """)

    @Argument(help: ArgumentHelp("The older archive.", valueName: "a"))
    var first: String

    @Argument(help: ArgumentHelp("The newer archive.", valueName: "b"))
    var second: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let count = try session.stream(under: "differences") { each in
                try CompareArchives.run(first, second, at: session.workplace(), each: each)
            } line: { (row: DifferenceRow) in
                Rendering.difference(row, session.language)
            }
            if count == 0, !session.isJSON { try session.say(.noDifferences) }
            return .done
        }
    }
}
