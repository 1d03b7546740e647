import Domain
import Glibc
import Vault

/// Compares what the registers of this host say with what its vaults hold, in both directions.
///
/// Invariants:
/// 1. Nothing in a vault is changed, and nothing in a register but for runs that are added to it with ``Request/repair``.
/// 2. Logs are read before the records and again after them: what is written meanwhile is no difference. What seems one is
///    looked at again before it is told.
/// 3. What could not be compared is told as such; it is never counted as equal.
package enum ReconcileRegisters {
    package struct Request: Sendable {
        /// Add the runs that the register lacks, from the logs of the vaults.
        package var repair: Bool
        package var dryRun: Bool

        package init(repair: Bool, dryRun: Bool) {
            self.repair = repair
            self.dryRun = dryRun
        }
    }

    /// How often something that seems a difference is looked at, and microseconds between.
    private static let looks = 4
    private static let pause: UInt32 = 500_000

    package static func run(_ request: Request, at workplace: Workplace) throws -> ReconcileReport {
        // From before the look until the lines are written: the daemon is the one writer of the register.
        let folder = request.repair && !request.dryRun ? try writerLock(workplace) : nil
        let vaults = ReconcileVaults(workplace)
        var look = try settled(vaults, workplace)
        if request.repair {
            let added = try ReconcileRepair.add(look.unregistered, dryRun: request.dryRun, at: workplace)
            if !request.dryRun { look = try settled(vaults, workplace) }
            look.report.repaired = added
        }
        look.report.dryRun = request.dryRun
        withExtendedLifetime(folder) {}
        return look.report
    }

    /// The runs of this host that its register lacks, and what could not be looked into. Nothing is written.
    static func lacking(at workplace: Workplace) throws -> ([ReconcileRepair.Lacking], ReconcileReport) {
        let look = try settled(ReconcileVaults(workplace), workplace)
        return (look.unregistered, look.report)
    }

    private static func settled(_ vaults: ReconcileVaults, _ workplace: Workplace) throws -> ReconcileLook {
        var look = try ReconcileLook(vaults, workplace)
        for _ in 1..<looks where !look.report.differences.isEmpty {
            if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            usleep(pause)
            look = try ReconcileLook(vaults, workplace)
        }
        return look
    }

    private static func writerLock(_ workplace: Workplace) throws -> DaemonFolder {
        do { return try DaemonFolder(state: workplace.statePath) } catch let error as OperationError
            where error.kind == .inUse
        {
            throw OperationError(
                .inUse, "the daemon that runs keeps the registers, and nobody else writes them meanwhile",
                hint: "Stop it (`systemctl stop qalad`), run this again, and start it.")
        }
    }
}

/// The vaults that this host's records are about, opened once: a key is asked for once.
final class ReconcileVaults {
    private let workplace: Workplace
    private var opened: [String: OpenVault] = [:]
    private var signers: [String: Digest] = [:]

    init(_ workplace: Workplace) { self.workplace = workplace }

    /// Brings the logs of the vaults that are needed up to now, and that of the caller's where there is one; in order of
    /// their paths. A vault that is needed and cannot be opened is told.
    func refreshed(
        _ needed: Set<String>
    ) throws -> (vaults: [(path: String, open: OpenVault)], missing: [VaultMissing], error: (any Error)?) {
        var vaults: [(path: String, open: OpenVault)] = []
        var missing: [VaultMissing] = []
        var first: (any Error)?
        for path in needed.union([workplace.vaultPath]).sorted() {
            do {
                if let open = opened[path] {
                    try open.vault.log.refresh()
                    vaults.append((path, open))
                    continue
                }
                var place = workplace
                place.vaultPath = path
                let open = try OpenVault(place)
                signers[path] = try? open.vault.host.writer()?.signing.publicKey
                opened[path] = open
                vaults.append((path, open))
            } catch let error as any Failure where error.kind != .interrupted {
                if error.kind == .noVault, !needed.contains(path) { continue }
                if first == nil { first = error }
                missing.append(VaultMissing(vault: path, reason: error.message))
            }
        }
        return (vaults, missing, first)
    }

    /// Whether this host signed the run that made it.
    func isOwn(_ archive: ArchiveRecord, in open: OpenVault, _ path: String) -> Bool {
        guard let signer = signers[path] else { return false }
        return open.vault.log.sessions[archive.id]?.signer == signer
    }
}

/// Adds the runs that the register lacks.
enum ReconcileRepair {
    struct Lacking {
        var archive: ArchiveRecord
        var header: ArchiveHeader
        var policy: String
    }

    /// Returns the ids of the runs. The caller holds the lock of the daemon's folder, unless nothing is written.
    static func add(_ lacking: [Lacking], dryRun: Bool, at workplace: Workplace) throws -> [String] {
        let runs = runs(lacking, by: "`qala reconcile --repair`")
        guard !dryRun, !runs.isEmpty else { return runs.map(\.id) }
        let writer = try RegisterWriter(RegisterFiles(state: workplace.statePath, .runs))
        for run in runs { try writer.append(run.ended ?? run.asked, run.state.rawValue, run.registerFields) }
        return runs.map(\.id)
    }

    /// The runs as the logs tell them, oldest first; `restorer` says who adds them.
    static func runs(_ lacking: [Lacking], by restorer: String) -> [RunRecord] {
        lacking.map { run($0, restorer) }.sorted { ($0.ended ?? "", $0.id) < ($1.ended ?? "", $1.id) }
    }

    private static func run(_ lacking: Lacking, _ restorer: String) -> RunRecord {
        let time = TimeText.seconds(Int64(clamping: lacking.archive.time))
        let stamp = time.filter { $0 != "-" && $0 != ":" }.dropLast()
        let header = lacking.header
        var run = RunRecord(
            id: "\(stamp)-log-\(lacking.archive.id.hex.prefix(6))", policy: lacking.policy, trigger: .reconcile,
            attempt: 1, asked: header.started.isEmpty ? time : header.started,
            state: header.partial ? .partial : .done)
        run.started = header.started.isEmpty ? nil : header.started
        run.ended = time
        run.archive = lacking.archive.id.hex
        run.files = header.files
        run.bytes = Int(clamping: lacking.archive.commit.bytes)
        run.problems = header.problems
        run.message = "added from the log of the vault by \(restorer)"
        return run
    }
}
