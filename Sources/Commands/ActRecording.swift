import API
import ArgumentParser
import Domain
import Operations
import Synchronization

/// What the command that runs does to a vault, as the audit log calls it.
struct CommandAct: Sendable {
    /// How much depends on the entry.
    enum Weight: Sendable {
        /// Shows what is archived, or facts about it: one entry at the end.
        case read
        /// Makes a vault: one entry at the end, and only where something was made.
        case creation
        /// Reveals content or adds to the vault: an entry that it begins and one how it ended.
        case deed
        /// The same; without the first entry it is refused.
        case change

        var begins: Bool { self == .deed || self == .change }
    }

    var weight: Weight
    /// Words joined by dots, the noun first.
    var operation: String
    var subject: String
    var details: [ActDetail]
    /// False where only a document says which vault it is.
    var isVaultKnown = true
    /// True where a daemon does it where one runs, and records it.
    var isAskedOfDaemon = false

    init(_ weight: Weight, _ operation: String, _ subject: String = "", _ details: [ActDetail?] = []) {
        self.weight = weight
        self.operation = operation
        self.subject = subject
        self.details = details.compactMap(\.self)
    }
}

/// A command of which the audit log tells; nil for what touches neither a vault nor the log.
protocol AuditedCommand {
    var act: CommandAct? { get }
}

/// The act of the one command that this process runs.
enum CurrentAct {
    private static let held = Mutex<CommandAct?>(nil)

    static func set(_ command: any ParsableCommand) {
        let act = (command as? any AuditedCommand)?.act
        held.withLock { $0 = act }
    }

    static var value: CommandAct? { held.withLock { $0 } }
}

/// Records the act of one command: the command line's side of the audit log.
///
/// Invariants:
/// 1. A deed begins after its entry is on the disk. What changes keys, holds or the life of archives does not begin without.
/// 2. Of a read the entry is on the disk before the last of what it shows goes out.
/// 3. What cannot be recorded keeps nobody from reading: it is said on standard error, once.
final class ActRecording {
    private let act: CommandAct
    private let session: Session
    private var trail: AuditTrail?
    private var isEnded = false

    /// Nil when nothing is to be recorded.
    init?(_ session: Session) {
        guard let act = CurrentAct.value else { return nil }
        self.act = act
        self.session = session
    }

    func begin() throws {
        guard act.weight.begins else { return }
        var details = act.details
        do {
            // Before anything is opened: the vault is the one that the options name.
            if act.isVaultKnown { details.insert(ActDetail("vault", try session.workplace().vaultPath), at: 0) }
            _ = try session.statePath()
        } catch {
            // What was asked wrongly touches nothing.
            isEnded = true
            throw error
        }
        do { try record(.begun, details) } catch {
            // Nor would the end be recorded.
            isEnded = true
            if act.weight == .change { throw error }
            // Who may not write the state cannot do it without the daemon.
            if act.isAskedOfDaemon, Session.kind(of: error) == .denied { return }
            warnNotRecorded(error)
        }
    }

    /// To be called before the rest of the output goes out.
    func end(_ status: ExitStatus, _ error: (any Error)? = nil) {
        guard !isEnded else { return }
        isEnded = true
        if session.isRecordedByDaemon { return }
        let kind = error.map { Session.kind(of: $0) }
        // What was asked wrongly touched nothing; where there is no vault, there is nothing to tell of.
        if !act.weight.begins, kind == .usage || kind == .noVault { return }
        // What was made is told even where the answer could not be given.
        if act.weight == .creation, status != .done, status != .partial, session.told.isEmpty { return }
        var details = act.details + session.told
        if let vault = session.vaultPath {
            details.insert(ActDetail("vault", vault), at: 0)
            if !details.contains(where: { $0.name == "vault-id" }), let id = session.witness.vault(at: vault) {
                details.append(ActDetail("vault-id", id))
            }
        }
        if !session.witness.seen.isEmpty {
            details.append(ActDetail("archives", session.witness.seen.joined(separator: " ")))
        }
        if status != .done, status != .partial { details.append(ActDetail("status", status.name)) }
        if let error { details.append(ActDetail("error", Self.words(error))) }
        do { try record(Self.outcome(status), details) } catch { warnNotRecorded(error) }
    }

    /// The reader of the output went away: what it saw it saw.
    func endByBrokenPipe() {
        if !isEnded { session.tell("reader", "went away") }
        end(.interrupted)
    }

    /// After everything else: where very many acts wait and no daemon takes them over, this process does.
    func settle() {
        guard let trail else { return }
        // This act is on the disk all the same.
        do { try trail.settle() } catch { session.warn(AuditWords.notTakenOver(session.language, Self.words(error))) }
    }

    private func record(_ outcome: ActOutcome, _ details: [ActDetail]) throws {
        let trail: AuditTrail
        if let made = self.trail { trail = made } else { trail = AuditTrail(state: try session.statePath()) }
        self.trail = trail
        var subject = act.subject
        if subject.isEmpty { subject = details.first { $0.name == "vault" }?.value ?? "" }
        try trail.record(
            RecordedAct(act.operation, subject: subject, outcome: outcome, details: details),
            mayUseReserve: act.weight == .change)
    }

    static func outcome(_ status: ExitStatus) -> ActOutcome {
        switch status {
        case .done: .done
        case .partial: .partial
        case .denied, .wrongKey: .denied
        case .interrupted: .interrupted
        case .failed, .noVault, .inUse, .damaged, .notFound, .usage, .daemonDown, .tryAgain, .badPolicy: .failed
        }
    }

    private static func words(_ error: any Error) -> String { (error as? any Failure)?.message ?? "\(error)" }

    private func warnNotRecorded(_ error: any Error) {
        session.warn(AuditWords.notRecorded(session.language, Self.words(error)))
    }
}

extension Session {
    /// Adds a figure to what is recorded of the command.
    func tell(_ name: String, _ value: String) { told.append(ActDetail(name, value)) }
}
