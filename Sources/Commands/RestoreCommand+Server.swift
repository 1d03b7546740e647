import API
import Domain
import Operations

extension Restore {
    /// The copy of a MariaDB server, ready to be prepared.
    func restore(server: String, _ session: Session) throws -> ExitStatus {
        let place = try session.archivePath(archive)
        guard let to else { throw missingTarget("--server", session.language) }
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
