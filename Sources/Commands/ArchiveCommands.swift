import API
import ArgumentParser
import Documents
import Domain
import Operations

struct Archive: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Archive trees of files now.",
        discussion: """
            Fayl ağaclarını indi arxivləşdirir.

            The absolute path of each PATH is what the archive stores. Patterns are
            those of .gitignore, relative to each PATH. Paths that cannot be read make
            the archive partial, and the exit status 3.

            Examples:
              qala archive /etc /srv/www
              qala archive ~/work --exclude '*.o' --exclude '/build/' --one-file-system
              qala archive /srv --dry-run
            """)

    @Argument(help: ArgumentHelp("Files and directories to archive.", valueName: "path"), completion: .file())
    var paths: [String]

    @Option(help: ArgumentHelp("Leave out what matches; may be repeated.", valueName: "pattern"))
    var exclude: [String] = []

    @Flag(help: "Do not enter other mounted file systems.")
    var oneFileSystem = false

    @Flag(help: "Leave out what is in directories marked by CACHEDIR.TAG.")
    var excludeCaches = false

    @Flag(help: "Tell what would be archived, and store nothing.")
    var dryRun = false

    @Option(help: ArgumentHelp("Seconds between checkpoints.", valueName: "n", visibility: .hidden))
    var checkpointSeconds: Double?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        try validateCheckpointSeconds(checkpointSeconds)
        // What an unset variable leaves: it would leave out nothing.
        if exclude.contains("") { throw ValidationError("--exclude is empty; write a pattern.") }
    }

    func run() throws {
        try common.perform { session in
            let request = ArchiveTrees.Request(
                roots: try paths.map(session.absolute), excludes: exclude, oneFileSystem: oneFileSystem,
                excludeCaches: excludeCaches, dryRun: dryRun, policy: nil,
                checkpointSeconds: checkpointSeconds)
            let report = try session.showingProgress { try ArchiveTrees.run(request, at: session.workplace()) }
            try session.answer(PartialReport(report, partial: report.isPartial)) {
                Rendering.archived(report, dryRun: dryRun, session.language)
            }
            return report.isPartial ? .partial : .done
        }
    }
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run an archiving policy now.",
        discussion: """
            Arxivləşdirmə üzrə siyasət sənədini indi icra edir.

            Every error of the document is listed with its line and column, and nothing
            is archived then (exit status 78). The vault is that of --vault, else of the
            policy, else of QALA_VAULT, else the default.

            A name instead of a file asks the daemon to run the policy of that name that
            is in force, and waits for the end of the run.

            Examples:
              qala run Policies/config.yaml
              qala run Policies/config.yaml --dry-run --json
              qala run system-config
            """)

    @Argument(
        help: ArgumentHelp("The file of the policy, or the name of one in force.", valueName: "policy"),
        completion: .file(extensions: ["yaml", "yml"]))
    var policy: String

    @Flag(help: "Tell what would be archived, and store nothing.")
    var dryRun = false

    @Option(help: ArgumentHelp("Seconds between checkpoints.", valueName: "n", visibility: .hidden))
    var checkpointSeconds: Double?

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws { try validateCheckpointSeconds(checkpointSeconds) }

    func run() throws {
        try common.perform { session in
            if Policy.isWellFormed(name: policy), !policy.hasSuffix(".yaml"), !policy.hasSuffix(".yml") {
                guard !dryRun else {
                    throw CommandError(
                        .usage, "the daemon rehearses nothing", hint: "Give the file of the policy to --dry-run.")
                }
                return try Daemons.run(policy, socket, session)
            }
            let policy = try PolicyDocument.read(path: policy)
            if !session.isJSON {
                try session.lines(Rendering.policy(policy, session.language))
                try session.out.flush()
            }
            let request = ArchiveTrees.Request(
                policy: policy, dryRun: dryRun, checkpointSeconds: checkpointSeconds)
            if !dryRun { session.trial = .run(of: policy.name) }
            let report = try session.showingProgress {
                try ArchiveTrees.run(request, at: session.workplace(preferred: policy.vault))
            }
            session.trial?.message = report.complaint ?? ""
            try session.answer(PolicyRunReport(report, of: policy)) {
                Rendering.archived(report, dryRun: dryRun, session.language)
            }
            return report.isPartial ? .partial : .done
        }
    }
}

private func validateCheckpointSeconds(_ seconds: Double?) throws {
    if let seconds, !(0.001...3600).contains(seconds) {
        throw ValidationError("--checkpoint-seconds is a number from 0.001 to 3600.")
    }
}
