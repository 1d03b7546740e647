import API
import ArgumentParser
import Domain
import Operations

struct Archives: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the archives of the vault.",
        discussion: """
            Anbardakı arxivlərin siyahısı.

            No key is needed. With --disposed the list shows what was disposed of and
            when; of those only this remains. What left the vault and is kept on volumes
            is listed beside both, with the volumes.

            Examples:
              qala archives
              qala archives --disposed
              qala archives --policy config --json
            """)

    @Option(help: ArgumentHelp("Only archives of this policy.", valueName: "name"))
    var policy: String?

    @Flag(help: "Those that were disposed of instead.")
    var disposed = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try ListArchives.report(policy: policy, disposed: disposed, at: session.workplace())
            try session.answer(ArchivesReply(report)) {
                Rendering.archives(report, policy: policy, disposed: disposed, session.language)
            }
            return report.offlineProblem == nil ? .done : .damaged
        }
    }
}

struct Ls: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List what an archive holds.",
        discussion: """
            Arxivin içindəkilərin siyahısı.

            ARCHIVE is the start of an id (4 digits or more), latest, latest:POLICY, or
            a date (2026-11-22, or with a time "2026-11-22 15:00" or
            2026-11-22T15:00:00Z: the newest archive at or before it). A path follows
            after a colon and begins with a slash.

            Examples:
              qala ls latest
              qala ls latest:config:/etc/ssh
              qala ls 2026-11-22:/srv --recursive
            """)

    @Argument(help: ArgumentHelp("The archive, and a path in it.", valueName: "archive[:/path]"))
    var archive: String

    @Flag(name: [.long, .customShort("R")], help: "Also list everything below.")
    var recursive = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let place = try session.archivePath(archive)
            let count = try session.stream(under: "entries") { each in
                try ListEntries.run(
                    archive: place.archive, path: place.path, recursive: recursive, at: session.workplace(), each: each)
            } line: { (row: EntryRow) in
                Rendering.entry(row, session.language)
            }
            if count == 0, !session.isJSON { try session.say(.noEntries) }
            return .done
        }
    }
}

struct Cat: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the content of one archived file to standard output.",
        discussion: """
            Arxivdəki bir faylın məzmununu çıxışa yazır.

            With --json only errors are JSON: the content is always written as it is.

            Examples:
              qala cat latest:/etc/fstab
              qala cat latest:config:/etc/passwd | grep root
            """)

    @Argument(help: ArgumentHelp("The archive and the file in it.", valueName: "archive:/path"))
    var file: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let place = try session.archivePath(file)
            guard let path = place.path else {
                throw CommandError(
                    .usage, Text.pathNeeded(session.language, [file]), hint: Text.pathNeededHint(session.language))
            }
            var count = 0
            defer { session.tell("bytes", "\(count)") }
            try ReadFile.run(archive: place.archive, path: path, at: session.workplace()) { bytes in
                count += bytes.count
                try session.out.bytes(bytes)
            }
            return .done
        }
    }
}

extension Session {
    func archivePath(_ text: String) throws -> ArchivePath {
        guard let place = ArchivePath(text) else {
            throw CommandError(
                .usage, Text.badArchivePath(language, [text]), hint: Text.badArchivePathHint(language))
        }
        return place
    }
}
