import Collectors
import Domain
import Glibc
import Vault

/// The binary logs of a server that were streamed, `@mariadb-logs/NAME/FILE`: of one stretch, from the log with which the archive before
/// ended on.
///
/// Invariants:
/// 1. The newest log is archived up to the end of its last whole event, which is synced: what a later archive holds begins with it.
/// 2. The server is not asked; it may be gone.
/// 3. Every log is checked while it is archived. One that is damaged is left out, and is not told to be in the archive.
final class BinaryLogCollector: DataCollector {
    private let source: MariaDBSource
    private let started: Timestamp
    private let spool: BinaryLogSpool
    private var stretch = 0
    private var logs: MariaDBLogs?
    private var learnt: [String: String] = [:]
    private var isRead = false
    private var isRooted = false
    /// Those that were found damaged, each with the byte up to which it is whole; complete when all was read.
    private var damaged: [(log: MariaDBLogs.Log, sound: UInt64)] = []
    let problems = ProblemLog()

    init(_ source: MariaDBSource, at workplace: Workplace, started: Timestamp) throws {
        self.source = source
        self.started = started
        spool = try BinaryLogSpool(name: source.name, statePath: workplace.statePath)
        // Before the logs are looked at: they reach at least so far.
        let received = spool.mark(.received)
        let known = spool.damaged
        let all = try spool.stretches()
        for stretch in all {
            let missing = known.filter { $0.stretch == stretch && $0.standing == .missing }
            let listed = try listed(stretch, without: Set(missing.map(\.file)))
            if listed.isEmpty, missing.isEmpty || stretch != all.last { continue }
            // What an earlier archive may hold of it must not be followed by one that does not.
            if let newest = missing.first(where: { Self.isBehind($0.file, listed.last?.name) }) { throw waits(newest) }
            guard let last = listed.last else { continue }
            self.stretch = stretch
            logs = MariaDBLogs(
                listed, in: spool.folder(of: stretch), of: source.name, at: spool.path,
                under: DataSource.mariadbLogs(source).root, state: workplace.statePath + MariaDBLogs.notes,
                started: started, problems: problems
            ) { [weak self] log, sound in self?.damaged.append((log, sound)) }
            let end = BinaryLogPoint(stretch: stretch, file: last.name, position: last.bytes)
            let until = received.flatMap { $0.point <= end ? $0.time : nil }
            learnt["logs-stretch"] = "\(stretch)"
            learnt["logs-until"] = until.map(TimeText.seconds) ?? "unknown"
            break
        }
        tell(known)
    }

    /// Those that are not there are problems of each run until they came anew; those that are lost, of one.
    private func tell(_ known: [BinaryLogSpool.Damage]) {
        for damage in known where damage.standing != .back {
            let path = "\(DataSource.mariadbLogs(source).root)/\(damage.file)"
            problems.add(FileProblem(path: Array(path.utf8), what: .damagedLog, detail: damage.text))
            // Without one of them nothing is known to be complete.
            if damage.standing == .missing { learnt["logs-until"] = "unknown" }
        }
        let lost = known.filter { $0.standing == .lost }
        if !lost.isEmpty { learnt["logs-lost"] = lost.map(\.place).joined(separator: " ") }
    }

    private static func isBehind(_ file: String, _ other: String?) -> Bool {
        guard let other = other.flatMap(BinaryLogPlace.parts) else { return true }
        return BinaryLogPlace.parts(file).map { $0.number > other.number } ?? false
    }

    private func waits(_ damage: BinaryLogSpool.Damage) -> OperationError {
        OperationError(
            .failed,
            "\(spool.folder(of: damage.stretch)): \(damage.text); it is the newest one, for which the others wait",
            hint: "The daemon fetches it; as long as the server does not answer, for ten minutes.")
    }

    /// Each with how much of it is whole.
    private func listed(_ stretch: Int, without missing: Set<String>) throws -> [MariaDBLogs.Log] {
        let folder = spool.folder(of: stretch)
        let names = try spool.logs(in: folder).filter { !missing.contains($0) && access("\(folder)/\($0)", F_OK) == 0 }
        return try names.compactMap { name in
            let file = try LogSpoolFile(reading: "\(folder)/\(name)")
            guard name == names.last else { return MariaDBLogs.Log(name: name, bytes: UInt64(file.length)) }
            let log = FollowedLog(name, file)
            if let bytes = try spool.damagedBytes(reading: log, in: stretch) {
                throw waits(
                    try spool.noteDamage(of: name, in: stretch, sound: log.follower.wholeBytes, bytes: bytes))
            }
            try file.sync()
            let whole = log.follower.wholeBytes
            return whole == 0 ? nil : MariaDBLogs.Log(name: name, bytes: whole)
        }
    }

    func next() throws -> DataItem? {
        if let logs {
            let item = logs.next()
            isRead = item == nil
            return item
        }
        isRead = isRooted
        guard !isRooted else { return nil }
        isRooted = true
        return .entry(
            .made(DataSource.mariadbLogs(source).root, kind: .directory, modified: started), content: nil)
    }

    func close() {
        for (log, sound) in damaged {
            // Where it cannot be noted, the next run finds it again.
            _ = try? spool.noteDamage(of: log.name, in: stretch, sound: sound, bytes: max(1, log.bytes))
        }
    }

    func committed() { logs?.committed() }

    var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.mariadbLogs.rawValue, name: source.name)
        facts.isWhole = isRead
        facts.facts = learnt.merging(logs?.facts ?? [:]) { $1 }
        if !damaged.isEmpty { facts.facts["logs-until"] = "unknown" }
        return facts
    }
}

extension ArchiveTrees {
    /// Tells the spools of a run's binary logs what a committed archive holds. What cannot be told is a warning: the next archive
    /// takes the same in again.
    static func noteBinaryLogs(_ paths: [String], _ facts: [SourceFacts], at workplace: Workplace) -> [String] {
        var warnings: [String] = []
        func keep(_ name: String, _ note: (BinaryLogSpool) throws -> Void) {
            do { try note(try BinaryLogSpool(name: name, statePath: workplace.statePath)) } catch {
                let words = (error as? any Failure)?.message ?? "\(error)"
                warnings.append("the archive is complete, but its binary logs stay in the spool: \(words)")
            }
        }
        for one in facts where one.kind == DataSource.Kind.mariadbLogs.rawValue {
            if let lost = one.facts["logs-lost"].map({ Set($0.split(separator: " ").map(String.init)) }) {
                keep(one.name) { try $0.forget { $0.standing == .lost && lost.contains($0.place) } }
            }
            guard let stretch = one.facts["logs-stretch"].flatMap({ Int($0) }), let last = one.facts["logs-last"],
                let bytes = one.facts["logs-last-bytes"].flatMap({ UInt64($0) })
            else { continue }
            let root = "@\(one.kind)/\(one.name)/"
            let files = Set(paths.filter { $0.hasPrefix(root) }.map { String($0.dropFirst(root.count)) })
            guard files.contains(last) else { continue }
            let mark = BinaryLogSpool.Mark(
                point: BinaryLogPoint(stretch: stretch, file: last, position: bytes),
                time: one.facts["logs-until"].flatMap { TimeText.parse($0) })
            keep(one.name) { try $0.noteArchived(files, mark) }
        }
        return warnings
    }
}
