import API
import Domain
import Operations

extension Restore {
    /// The copy of a MariaDB server, ready to be prepared.
    func restore(server: String, _ session: Session) throws -> ExitStatus {
        let place = try session.archivePath(archive)
        guard let to, !inPlace, !verify, paths.isEmpty, place.path == nil, conflict == .refuse else {
            let isEnglish = session.language == .english
            throw CommandError(
                .usage,
                isEnglish
                    ? "--server restores a whole server: it needs --to DIR and takes no paths, --in-place, --verify or --conflict"
                    : "--server bütün serveri bərpa edir: --to QOVLUQ tələb edir, yol, --in-place, --verify və --conflict qəbul etmir",
                hint: isEnglish
                    ? "To have single files of it, name their paths without --server."
                    : "Ayrı faylları bərpa etmək üçün --server olmadan onların yollarını göstərin.")
        }
        var request = RestoreServer.Request(
            archive: place.archive, server: server, target: try session.absolute(to), dryRun: dryRun)
        request.recovery = try recovery.ofServer(session.language)
        let report = try session.showingProgress { try RestoreServer.run(request, at: session.workplace()) }
        try session.answer(PartialReport(report, partial: report.isPartial)) {
            Rendering.restored(report, session.language)
                + (report.replay.map { Rendering.replay($0, dryRun: dryRun, session.language) } ?? [])
        }
        return .done
    }
}
