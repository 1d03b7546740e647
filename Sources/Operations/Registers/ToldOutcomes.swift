import Domain
import FoundationEssentials
import Glibc
import Vault

/// How something ended that a command did without the daemon, as the register of problems is told of it.
package struct ToldOutcome: Codable, Sendable, Equatable {
    package enum Ending: String, Codable, Sendable { case done, partial, failed, damaged }

    /// What it is about, in the words in which the daemon tells of the same: then one that passes closes what any of both opened.
    package var subjects: [String]
    package var ending: Ending
    package var message: String
    /// Names the act; the ledger counts none twice.
    package var id: String
    /// RFC 3339, UTC.
    package var time: String

    package init(_ subjects: [String], _ ending: Ending, _ message: String) {
        self.subjects = subjects
        self.ending = ending
        self.message = message
        let now = TimeText.seconds(Int64(WallTime.seconds()))
        id = "command-\(now.filter { $0 != "-" && $0 != ":" }.dropLast())-\(ProcessID.own)"
        time = now
    }

    /// The subject of a verification of everything that a vault stores: the digests alone, or what only opening it shows.
    package static func verification(of vault: String, opened: Bool) -> String {
        Daemon.verificationName((opened ? VerificationDepth.content : .stored).rawValue, vault)
    }

    package static func verification(ofVolume id: String, opened: Bool) -> String {
        Daemon.verificationName((opened ? VerificationDepth.content : .stored).rawValue, "volume \(id)")
    }

    /// Of a volume that does not tell which one it is.
    package static func verification(ofVolumeAt directory: String) -> String {
        Daemon.verificationName(VerificationDepth.stored.rawValue, "the volume at \(directory)")
    }

    var events: [ProblemLedger.Event] {
        let outcome: ProblemLedger.Outcome =
            switch ending {
            case .done: .done
            case .partial: .partial
            case .failed: .failed
            case .damaged: .damaged
            }
        return subjects.map { .ended(policy: $0, run: id, outcome, message: message) }
    }

    var isSound: Bool {
        !subjects.isEmpty && subjects.count <= 4 && TimeText.parse(time) != nil
            && (subjects + [id]).allSatisfy { !$0.isEmpty && $0.utf8.count <= 8192 }
            && !id.utf8.contains { !($0 == 0x2D || (0x30...0x39).contains($0) || (0x41...0x7A).contains($0)) }
    }
}

/// What commands tell the register of problems, on its way there: `STATE/registers/told`, a file for each.
///
/// Invariants:
/// 1. The register has one writer, who holds the lock of the daemon's folder: the daemon, or the command where none runs. So what is
///    told is stored first, and taken over by whoever has the lock.
/// 2. A file is removed after its lines are on the disk. What is taken over twice, after a crash, is counted once.
package enum ToldOutcomes {
    private static let limit = 64 << 10
    /// More do not wait; the oldest say what is wrong.
    private static let most = 1000

    private static func folder(_ state: String) -> String { state + "/registers/told" }

    /// What passed is told only where that may close something. Where there is no state directory, nobody keeps a register.
    package static func tell(_ outcome: ToldOutcome, state: String) throws {
        guard access(state, F_OK) == 0 else { return }
        if outcome.ending == .done, try !isAwaited(outcome, state: state) { return }
        let folder = folder(state)
        try StateFile.makeDirectory(folder)
        guard try waiting(state).count < most else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let instant = DaemonClock.ofMachine().read().wall
        let name = "\(instant)-\(ProcessID.own)-\(Random.digest().hex.prefix(8)).json"
        try StateFile.write("\(folder)/\(name)", Array(try encoder.encode(outcome)))
        try takeOver(state: state)
    }

    private static func isAwaited(_ outcome: ToldOutcome, state: String) throws -> Bool {
        if try !waiting(state).isEmpty { return true }
        let subjects = Set(outcome.subjects)
        return try ledger(state).openProblems.contains { subjects.contains($0.policy) }
    }

    private static func ledger(_ state: String) throws -> ProblemLedger {
        var ledger = ProblemLedger(keepsClosed: false)
        try RegisterFiles(state: state, .problems).read { entry in
            if let change = ProblemLedger.Change(entry.kind, entry.fields) { ledger.apply(change, at: entry.time) }
        }
        return ledger
    }

    /// Where a daemon runs, it does this within seconds.
    private static func takeOver(state: String) throws {
        let lock: DaemonFolder
        do { lock = try DaemonFolder(state: state, patience: 0) } catch let error as OperationError
            where error.kind == .inUse
        { return }
        let writer = try RegisterWriter(RegisterFiles(state: state, .problems))
        var ledger = try ledger(state)
        for told in try read(state: state) {
            if let outcome = told.outcome {
                for change in outcome.events.flatMap({ ledger.handle($0, at: outcome.time) }) {
                    try writer.append(outcome.time, change.act.rawValue, change.fields)
                }
            }
            remove(told)
        }
        withExtendedLifetime(lock) {}
    }

    struct Told: Sendable {
        var path: String
        /// Nil for what is not what a command writes.
        var outcome: ToldOutcome?
    }

    private static func waiting(_ state: String) throws -> [String] {
        try StateFile.list(folder(state)).filter { $0.hasSuffix(".json") }
    }

    /// In the order in which it was told.
    static func read(state: String) throws -> [Told] {
        try waiting(state).prefix(most).map { name in
            let path = "\(folder(state))/\(name)"
            var bytes: [UInt8]?
            do { bytes = try StateFile.read(path, limit: limit) } catch let error as VaultError {
                guard error.code == .limit else { throw error }
            }
            let outcome = bytes.flatMap { try? JSONDecoder().decode(ToldOutcome.self, from: Data($0)) }
            return Told(path: path, outcome: outcome.flatMap { $0.isSound ? $0 : nil })
        }
    }

    static func remove(_ told: Told) { unlink(told.path) }
}
