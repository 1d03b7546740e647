import API
import ArgumentParser
import Domain
import Operations

extension RestoreTrees.Conflict: ExpressibleByArgument {}

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Restore an archive, or paths of it.",
        discussion: """
            Arxivi və ya onun bəzi yollarını bərpa edir.

            With --to, paths keep their full names below DIR: /etc/fstab becomes
            DIR/etc/fstab. Nothing that exists is overwritten unless --conflict says so.
            Without root, owners cannot be set and the exit status is 3.
            With --server, DIR holds the copy of a MariaDB server, of which
            mariadb-backup --prepare makes a data directory.

            Examples:
              qala restore latest --to /tmp/restored
              qala restore latest:config /etc/ssh --to /tmp/restored --verify
              qala restore 2026-11-22 /srv/www --in-place --conflict overwrite
              qala restore latest:database --server main --to /srv/new
            """)

    @Argument(help: ArgumentHelp("The archive.", valueName: "archive"))
    var archive: String

    @Argument(help: ArgumentHelp("Only these paths; everything when none is named.", valueName: "path"))
    var paths: [String] = []

    @Option(help: ArgumentHelp("Restore below this directory.", valueName: "dir"), completion: .directory)
    var to: String?

    @Flag(help: "Restore to where the files came from.")
    var inPlace = false

    @Flag(help: "Tell what would be done, and write nothing.")
    var dryRun = false

    @Flag(help: "Read every restored file again and compare it with the archive.")
    var verify = false

    @Option(
        help: ArgumentHelp("What to do with files that exist: refuse, skip, overwrite, keep-both.", valueName: "way"),
        completion: .list(["refuse", "skip", "overwrite", "keep-both"]))
    var conflict: RestoreTrees.Conflict = .refuse

    @Option(help: ArgumentHelp("Restore this MariaDB server, ready to be prepared.", valueName: "name"))
    var server: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            if let server { return try restore(server: server, session) }
            let place = try session.archivePath(archive)
            guard (to == nil) == inPlace else {
                throw CommandError(
                    .usage, Text.targetNeeded(session.language), hint: Text.targetNeededHint(session.language))
            }
            let wanted = try (place.path.map { [$0] } ?? []) + paths.map(session.absolute)
            let request = RestoreTrees.Request(
                archive: place.archive, paths: wanted, target: try to.map(session.absolute), inPlace: inPlace,
                dryRun: dryRun, verify: verify, conflict: conflict)
            let report = try session.showingProgress { try RestoreTrees.run(request, at: session.workplace()) }
            try session.answer(PartialReport(report, partial: report.isPartial)) {
                Rendering.restored(report, session.language)
            }
            return report.damaged > 0 ? .damaged : report.isPartial ? .partial : .done
        }
    }
}
