import Domain
import FoundationEssentials
import Vault

/// What the daemon keeps in the state directory: `daemon/` with the scheduler's state and the runs.
/// Every file is replaced as a whole; what cannot be read is told and begun anew, as `docs/daemon.md` says for each.
final class DaemonFolder {
    static let keptRuns = 2000
    private static let limit = 64 << 20
    private let path: String
    private var lock: FileLock?

    /// Takes the folder for this process alone; waits for at most `patience` seconds.
    init(state: String, patience: Double = 1) throws {
        path = state + "/daemon"
        try StateFile.makeDirectory(path + "/runs")
        guard let lock = try FileLock.acquire(path: path + "/daemon.lock", patience: patience) else {
            throw OperationError(
                .inUse, "another daemon works with the state directory \(state)",
                hint: "`qala status` asks it. One daemon serves one state directory; --state names another.")
        }
        self.lock = lock
    }

    /// Lets the next daemon in. Nothing may be written from here on.
    func release() { lock = nil }

    private func load<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value? {
        guard let bytes = try StateFile.read("\(path)/\(name)", limit: Self.limit) else { return nil }
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
            throw OperationError(
                .failed, "\(path)/\(name) cannot be read: \(error)",
                hint: "It is begun anew; nothing is lost of the vault.")
        }
    }

    private func save(_ value: some Encodable, _ name: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try StateFile.write("\(path)/\(name)", Array(try encoder.encode(value)))
    }

    func loadScheduler() throws -> SchedulerState? { try load(SchedulerState.self, "scheduler.json") }
    func save(_ state: SchedulerState) throws { try save(state, "scheduler.json") }

    func loadVerifications() throws -> VerificationBook? { try load(VerificationBook.self, "verifications.json") }
    func save(_ book: VerificationBook) throws { try save(book, "verifications.json") }

    func loadSources() throws -> SourceBook? { try load(SourceBook.self, SourceBook.fileName) }
    func save(_ book: SourceBook) throws { try save(book, SourceBook.fileName) }

    func loadLoss() throws -> StateLoss? { try load(StateLoss.self, StateLoss.fileName) }
    func save(_ loss: StateLoss) throws { try save(loss, StateLoss.fileName) }
    func forgetLoss() { try? FileManager.default.removeItem(atPath: "\(path)/\(StateLoss.fileName)") }

    func save(_ run: RunRecord) throws { try save(run, "runs/\(run.id).json") }

    /// All runs, oldest first, and what is wrong with those that cannot be read.
    func loadRuns() throws -> (runs: [RunRecord], problems: [String]) {
        var runs: [RunRecord] = []
        var problems: [String] = []
        for name in try StateFile.list(path + "/runs") where name.hasSuffix(".json") {
            do {
                guard let run = try load(RunRecord.self, "runs/\(name)"), name == run.id + ".json",
                    RunRecord.isWellFormed(id: run.id)
                else { continue }
                runs.append(run)
            } catch { problems.append((error as? any Failure)?.message ?? "\(error)") }
        }
        return (runs, problems)
    }

    func remove(_ run: RunRecord) { try? FileManager.default.removeItem(atPath: "\(path)/runs/\(run.id).json") }
}
