import API
import ArgumentParser
import Domain
import Operations
import WALClient

struct WALGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wal",
        abstract: "Hand over, fetch and look at the write-ahead log (WAL) of PostgreSQL.",
        discussion: """
            PostgreSQL-in WAL jurnalını təhvil verir, gətirir və göstərir.

            Examples:
              qala wal status
            """,
        subcommands: [WALPush.self, WALFetch.self, WALStatusCommand.self])

    /// The exit statuses of `push` and `fetch` are PostgreSQL's, a malformed command line's too: nothing else may look at
    /// their arguments. Nil for anything else.
    static func status(of arguments: [String]) -> Int32? {
        guard arguments.first == "wal", arguments.count > 1, ["push", "fetch"].contains(arguments[1]),
            !arguments.contains(where: { ["-h", "--help", "--generate-completion-script"].contains($0) })
        else { return nil }
        let words = Array(arguments.dropFirst())
        guard CommandLineTool.wantsJSON(arguments), !WALProgram.accepts(words) else { return WALProgram.run(words) }
        return CommandLineTool.report(wrongUsage(CommandLineTool.language(of: arguments)), arguments, WALProgram.failed)
    }

    private static func wrongUsage(_ language: Language) -> CommandError {
        let forms = "qala wal [push PATH | fetch NAME DESTINATION] [--socket PATH] [--source NAME] [--retry SECONDS]"
        return language == .azerbaijani
            ? CommandError(
                .usage, "əmr belə yazılmalıdır: \(forms)",
                hint: "--json burada yoxdur: PostgreSQL çıxış statusunu oxuyur.")
            : CommandError(
                .usage, "the command has the form \(forms)",
                hint: "There is no --json here: PostgreSQL reads the exit status.")
    }
}

/// What both of PostgreSQL's commands take.
struct WALPlace: ParsableArguments {
    @Option(help: ArgumentHelp("Socket of the daemon for WAL.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("Source that it belongs to, where there are several.", valueName: "name"))
    var source: String?

    @Option(help: ArgumentHelp("Seconds of trying again in `fetch`; 60 when not given.", valueName: "seconds"))
    var retry: Int?

    var words: [String] {
        (socket.map { ["--socket", $0] } ?? []) + (source.map { ["--source", $0] } ?? [])
            + (retry.map { ["--retry", "\($0)"] } ?? [])
    }
}

struct WALPush: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push",
        abstract: "Hand a finished WAL file over to the daemon (archive_command).",
        discussion: """
            Tamamlanmış WAL faylını demona təhvil verir (archive_command).

            0 when it is safe in the spool or, where the policy says so, in the vault;
            1 where it is not: PostgreSQL keeps the file, counts a failure and tries again.
            `qala-wal push` does the same and starts sooner.

            Examples:
              qala wal push pg_wal/000000010000000000000003
              archive_command = 'qala-wal push %p'
            """)

    @Argument(help: ArgumentHelp("The file.", valueName: "path"))
    var path: String

    @OptionGroup var place: WALPlace

    func run() throws {
        let status = WALProgram.run(place.words + ["push", path])
        if status != 0 { throw ExitCode(status) }
    }
}

struct WALFetch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Fetch a WAL file for a recovery (restore_command).",
        discussion: """
            Bərpa üçün WAL faylını gətirir (restore_command).

            0 when it was delivered; 1 when it is proven that there is no such file and
            nothing later on its timeline, where PostgreSQL ends the recovery; 126 for
            everything else, after 60 seconds of trying again.

            Examples:
              qala wal fetch 000000010000000000000003 pg_wal/RECOVERYXLOG
              restore_command = 'qala-wal fetch %f %p'
            """)

    @Argument(help: ArgumentHelp("Name of the file.", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("Where it is written.", valueName: "destination"))
    var destination: String

    @OptionGroup var place: WALPlace

    func run() throws {
        let status = WALProgram.run(place.words + ["fetch", name, destination])
        if status != 0 { throw ExitCode(status) }
    }
}

struct WALStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how the WAL of this host's sources fares: newest, waiting, gaps.",
        discussion: """
            Bu hostun mənbələrinin WAL jurnalının vəziyyətini göstərir: ən yenisi, növbədə olanlar, boşluqlar.

            The status is 13 when a file contradicts what was taken, when one is lost, or
            when segments are missing between others.

            Examples:
              qala wal status
              qala wal status --source main --json
            """)

    @Option(help: ArgumentHelp("Of this source only.", valueName: "name"))
    var source: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let list = try WALStatus.list(source: source, at: session.workplace())
            try session.answer(list) { Rendering.walStatus(list.sources, session.language) }
            return list.sources.allSatisfy(\.isSound) ? .done : .damaged
        }
    }
}
