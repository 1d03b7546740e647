import API
import ArgumentParser
import Operations

struct VolumeRestore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore an archive, or paths of it, from a volume.",
        discussion: """
            Arxivi və ya onun bəzi yollarını oflayn daşıyıcıdan bərpa edir.

            No vault is needed. The signed list and the digests of the archive are checked
            before anything is decrypted; a volume that the register does not know needs
            the fingerprint on its label. DIR of --to is new or empty; paths keep their
            full names below it. Sockets are not on volumes: then the status is 3.

            Examples:
              qala volume restore /mnt/volume 3fa91c02 --to /tmp/restored --secret /safe/volume.secret
              qala volume restore /mnt/volume 3fa91c02 /srv/www --to /tmp/restored --secret s.txt --dry-run
            """)

    @Argument(help: ArgumentHelp("Where the volume is mounted.", valueName: "dir"), completion: .directory)
    var directory: String

    @Argument(help: ArgumentHelp("The archive's id.", valueName: "archive"))
    var archive: String

    @Argument(help: ArgumentHelp("Only these paths; everything when none is named.", valueName: "path"))
    var paths: [String] = []

    @Option(help: ArgumentHelp("Restore below this directory.", valueName: "dir"), completion: .directory)
    var to: String

    @Option(help: ArgumentHelp("The secret file of the volume.", valueName: "file"), completion: .file())
    var secret: String

    @Option(help: ArgumentHelp("Key fingerprint on the label, 16 digits or more.", valueName: "digits"))
    var fingerprint: String?

    @Flag(help: "Check the digests, tell what would be restored, and write nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let request = RestoreVolume.Request(
                directory: try session.absolute(directory), archive: archive, paths: try paths.map(session.absolute),
                target: try session.absolute(to), secretPath: try session.absolute(secret), fingerprint: fingerprint,
                dryRun: dryRun)
            let report = try session.showingProgress { try RestoreVolume.run(request, at: session.workplace()) }
            try session.answer(PartialReport(report, partial: report.isPartial)) {
                Rendering.restored(report, session.language)
            }
            return report.isPartial ? .partial : .done
        }
    }
}
