import Domain
import Vault

/// What a sweep did, or would do.
package struct SweptReport: Codable, Sendable {
    package struct WaitingRow: Codable, Sendable {
        package var session: String
        package var writer: String
        /// When the session was opened.
        package var since: String
    }

    package var dryRun = false
    package var condemnedPacks = 0
    package var condemnedBytes = 0
    package var deletedPacks = 0
    package var deletedBytes = 0
    package var revivedPacks = 0
    package var fenced: [String] = []
    /// Runs that have not ended and hold up the deletion of what was condemned after they began.
    package var waiting: [WaitingRow] = []
    package var problems: [DamageRow] = []
    package var seconds = 0.0
}

/// Removes from a vault what no archive needs any more.
package enum SweepVault {
    package struct Request {
        /// Sessions to be ended, by the first digits of their ids.
        package var fence: [String]
        package var dryRun: Bool

        package init(fence: [String], dryRun: Bool) {
            self.fence = fence
            self.dryRun = dryRun
        }
    }

    /// On a full disk it begins with what the reserves give back.
    package static func run(_ request: Request, at workplace: Workplace) throws -> SweptReport {
        if request.dryRun { return try sweep(request, at: workplace) }
        return try Reserves(state: workplace.statePath, vault: workplace.vaultPath).using {
            try sweep(request, at: workplace)
        }
    }

    private static func sweep(_ request: Request, at workplace: Workplace) throws -> SweptReport {
        let started = MonotonicTime.now()
        let open = try OpenVault(workplace)
        let sweeper = try Sweeper(open.vault, by: try open.unlock())
        let interrupt = workplace.interrupt
        sweeper.shouldStop = { interrupt.isSet }
        let fence = try request.fence.map { try session($0, open.vault.log) }
        let result = request.dryRun ? try sweeper.plan() : try sweeper.run(fencing: Set(fence))
        var report = SweptReport()
        report.dryRun = request.dryRun
        report.condemnedPacks = result.condemnedPacks
        report.condemnedBytes = Int(clamping: result.condemnedBytes)
        report.deletedPacks = result.deletedPacks
        report.deletedBytes = Int(clamping: result.deletedBytes)
        report.revivedPacks = result.revivedPacks
        report.fenced = result.fenced.map(\.hex)
        report.waiting = result.waiting.map { waiting in
            SweptReport.WaitingRow(
                session: waiting.session.hex, writer: waiting.writer,
                since: TimeText.seconds(Int64(clamping: waiting.opened)))
        }
        report.problems = result.problems.map { DamageRow(object: $0.object, reason: $0.reason) }
        report.seconds = MonotonicTime.now() - started
        return report
    }

    private static func session(_ text: String, _ log: VaultLog) throws -> Digest {
        let found = log.sessions.filter { $0.value.ending == .running && $0.key.hex.hasPrefix(text.lowercased()) }
        guard text.count >= 4, found.count == 1, let id = found.keys.first else {
            throw OperationError(
                .notFound, "\(found.isEmpty ? "no" : "\(found.count)") running sessions begin with \(text)",
                hint: "Give 4 digits of an id at least; `qala sweep --dry-run` shows the sessions that it waits for.")
        }
        return id
    }
}
