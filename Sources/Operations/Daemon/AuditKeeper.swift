import Domain
import Glibc
import Synchronization
import Vault

/// The daemon's hold on the audit log: appends, takes over what commands spooled, signs checkpoints.
///
/// Invariants:
/// 1. When ``record(_:)`` returns, the act is on the disk: in the log, or, where the log cannot be opened or written, in a
///    spool file of the daemon. So neither a lost key nor another process that has the log open loses an act.
/// 2. A log that failed is not written any more; opening it again finds out what the disk has.
/// 3. The spool is taken over and checkpoints are made on one thread of its own, under `turns`.
final class AuditKeeper: Sendable {
    private struct Held {
        var log: AuditLog?
        /// Takes acts while there is no log.
        var spool: AuditSpool?
        /// Monotonic seconds.
        var tried = 0.0
        var signed = 0.0
        /// What went wrong and was not told yet, and what was told last.
        var problems: [String] = []
        var told = ""
    }

    /// Seconds between attempts to open a log that cannot be opened, and between checkpoints.
    private static let patience = 5.0
    private static let checkpointSeconds = 300.0
    private static let mostProblems = 100

    private let place: AuditPlace
    private let held = Mutex(Held())
    private let stopping = InterruptFlag()
    private let turns = Monitor()

    init(state: String) { place = AuditPlace(state: state) }

    /// Opens the log, or says why not, and begins the work beside.
    func start() throws {
        turns.locked { self.open() }
        // Never joined: it ends soon after ``stop()``, and touches nothing from then on.
        _ = try WorkerThread { self.work() }
    }

    /// Takes over what is spooled and signs for the last time.
    func stop() {
        stopping.set()
        turns.locked {
            turn(isLast: true)
            held.withLock { held in
                held.log = nil
                held.spool = nil
            }
        }
    }

    func record(_ act: AuditAct) throws {
        if let log = held.withLock({ $0.log }) {
            do throws(VaultError) {
                try log.append(act)
                return
            } catch {
                if error.code == .invalidInput { throw error }
                lose(log, error)
            }
        }
        let spooling = self.spool()
        do throws(VaultError) { try spooling.append(act) } catch {
            // It takes nothing more.
            held.withLock { $0.spool = nil }
            throw error
        }
    }

    /// What went wrong since the last call; each only once in a row.
    func takeProblems() -> [String] {
        held.withLock { held in
            let problems = held.problems
            held.problems = []
            return problems
        }
    }

    // MARK: The work beside

    private func work() {
        while !stopping.isSet {
            usleep(500_000)
            turns.locked {
                guard !stopping.isSet else { return }
                turn(isLast: false)
            }
        }
    }

    private func turn(isLast: Bool) {
        let now = MonotonicTime.now()
        let isDue = held.withLock { $0.log == nil && now - $0.tried >= Self.patience }
        if isDue { self.open() }
        guard let log = held.withLock({ $0.log }) else { return }
        var failure: VaultError?
        do throws(VaultError) { try takeOver(into: log) } catch { failure = error }
        // Whatever became of the spool: what is in the log is to be signed.
        if isLast || held.withLock({ now - $0.signed >= Self.checkpointSeconds }) {
            do throws(VaultError) {
                try log.checkpoint()
                held.withLock { $0.signed = now }
            } catch { failure = failure ?? error }
        }
        guard let failure else {
            held.withLock { $0.told = "" }
            return
        }
        note("the audit log cannot be carried on: \(failure.message)")
        // A log that failed refuses everything from then on: it is opened again, whether acts come or not.
        if (try? log.sync()) == nil { _ = drop(log) }
    }

    private func takeOver(into log: AuditLog) throws(VaultError) {
        guard !place.waiting().isEmpty else { return }
        for name in try log.importSpool(place.spoolPath).damaged {
            note("a file of recorded acts is damaged and was kept as \(place.spoolPath)/\(name)")
        }
    }

    private func open() {
        let now = MonotonicTime.now()
        held.withLock { $0.tried = now }
        do {
            let log = try place.open()
            held.withLock { held in
                held.log = log
                // Closed, so that it is taken over like any other.
                held.spool = nil
                held.signed = now
            }
        } catch {
            let failure = error as? any Failure
            // A command that takes over the spool is done in a moment.
            if failure?.kind == .inUse { return }
            let words = [failure?.message ?? "\(error)", failure?.hint ?? ""].filter { !$0.isEmpty }
            let why = words.joined(separator: ". ")
            note("the audit log cannot be opened, acts are kept in \(place.spoolPath): \(why)")
        }
    }

    private func lose(_ log: AuditLog, _ error: VaultError) {
        if drop(log) { note("the audit log cannot be written: \(error.message)") }
    }

    /// False where another one took its place meanwhile.
    private func drop(_ log: AuditLog) -> Bool {
        held.withLock { held in
            guard held.log === log else { return false }
            held.log = nil
            return true
        }
    }

    private func spool() -> AuditSpool {
        held.withLock { held in
            if let spool = held.spool { return spool }
            let made = AuditSpool(directory: place.spoolPath)
            held.spool = made
            return made
        }
    }

    private func note(_ problem: String) {
        held.withLock { held in
            guard held.told != problem, held.problems.count < Self.mostProblems else { return }
            held.told = problem
            held.problems.append(problem)
        }
    }
}
