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
            With --cluster, DIR becomes the data directory of a PostgreSQL cluster that
            a server of the same major version starts from. With --delta, DIR is the
            one of the stopped cluster itself: what is right in it stays as it is.
            With --server, DIR holds the copy of a MariaDB server, of which
            mariadb-backup --prepare makes a data directory; with a target too, the
            data directory itself, with the archived binary logs replayed.

            Examples:
              qala restore latest --to /tmp/restored
              qala restore latest:config /etc/ssh --to /tmp/restored --verify
              qala restore 2026-11-22 /srv/www --in-place --conflict overwrite
              qala restore latest:database --cluster main --to /var/lib/postgresql/15/new
              qala restore latest:database --cluster main --to /srv/new --target-time "2026-11-23 09:50:00"
              qala restore latest:database --cluster main --to /var/lib/postgresql/15/main --delta --dry-run
              qala restore latest:database --server main --to /srv/new
              qala restore latest:database --server main --to /srv/new --target latest
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

    @Option(help: ArgumentHelp("Restore this PostgreSQL cluster, ready to be started.", valueName: "name"))
    var cluster: String?

    @Option(
        name: .customLong("tablespace-map"),
        help: ArgumentHelp(
            "With --cluster: the new path of a tablespace, by its old path or number.", valueName: "old=new"))
    var tablespaceMap: [String] = []

    @Flag(help: "With --cluster: into the stopped cluster that lies there; what is right stays.")
    var delta = false

    @OptionGroup(title: "Point in time") var recovery: PointInTimeOptions
    @Option(help: ArgumentHelp("Restore this MariaDB server, ready to be prepared.", valueName: "name"))
    var server: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let place = try session.archivePath(archive)
            try checkOptions(
                for: cluster != nil ? .cluster : server != nil ? .server : .files, path: place.path ?? paths.first,
                session.language)
            session.trial = .reading(try session.workplace().vaultPath)
            session.trial?.message = "a restore of \(place.archive) found damage"
            if let cluster { return try restore(cluster, session) }
            if let server { return try restore(server: server, session) }
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

    func missingTarget(_ subject: String, _ language: Language) -> CommandError {
        CommandError(
            .usage, Text.directoryNeeded(language, [subject]), hint: Text.directoryNeededHint(language, [subject]))
    }

    private func restore(_ cluster: String, _ session: Session) throws -> ExitStatus {
        let place = try session.archivePath(archive)
        guard let to else { throw missingTarget("--cluster", session.language) }
        var spaces: [String: String] = [:]
        for text in tablespaceMap {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, spaces[parts[0]] == nil else {
                throw CommandError(
                    .usage, Text.tablespaceForm(session.language, [text]),
                    hint: Text.tablespaceFormHint(session.language))
            }
            spaces[parts[0]] = try session.absolute(parts[1])
        }
        var request = RestoreCluster.Request(
            archive: place.archive, cluster: cluster, target: try session.absolute(to), tablespaces: spaces,
            dryRun: dryRun, verify: verify, isDelta: delta)
        request.recovery = try recovery.options(session.language)
        let report = try session.showingProgress { try RestoreCluster.run(request, at: session.workplace()) }
        try session.answer(PartialReport(report, partial: report.isPartial)) {
            Rendering.restored(report, session.language)
                + (report.delta.map { Rendering.delta($0, isDry: report.dryRun, session.language) } ?? [])
                + (report.recovery.map { Rendering.recovery($0, session.language) } ?? [])
        }
        return report.damaged > 0 ? .damaged : report.isPartial ? .partial : .done
    }
}
