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
final class BinaryLogCollector: DataCollector {
    private let source: MariaDBSource
    private let started: Timestamp
    private var logs: MariaDBLogs?
    private var learnt: [String: String] = [:]
    private var isRead = false
    private var isRooted = false
    let problems = ProblemLog()

    init(_ source: MariaDBSource, at workplace: Workplace, started: Timestamp) throws {
        self.source = source
        self.started = started
        let spool = try BinaryLogSpool(name: source.name, statePath: workplace.statePath)
        // Before the logs are looked at: they reach at least so far.
        let received = spool.mark(.received)
        for stretch in try spool.stretches() {
            let listed = try Self.listed(spool, stretch)
            guard let last = listed.last else { continue }
            logs = MariaDBLogs(
                listed, in: spool.folder(of: stretch), of: source.name, at: spool.path,
                under: DataSource.mariadbLogs(source).root, state: workplace.statePath + MariaDBLogs.notes,
                started: started, problems: problems)
            let end = BinaryLogPoint(stretch: stretch, file: last.name, position: last.bytes)
            let until = received.flatMap { $0.point <= end ? $0.time : nil }
            learnt["logs-stretch"] = "\(stretch)"
            learnt["logs-until"] = until.map(TimeText.seconds) ?? "unknown"
            return
        }
    }

    /// Each with how much of it is whole.
    private static func listed(_ spool: BinaryLogSpool, _ stretch: Int) throws -> [MariaDBLogs.Log] {
        let folder = spool.folder(of: stretch)
        let names = try spool.logs(in: folder)
        return try names.compactMap { name in
            let file = try LogSpoolFile(reading: "\(folder)/\(name)")
            guard name == names.last else { return MariaDBLogs.Log(name: name, bytes: UInt64(file.length)) }
            let log = FollowedLog(name, file)
            try spool.read(log, in: stretch)
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

    func close() {}

    func committed() { logs?.committed() }

    var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.mariadbLogs.rawValue, name: source.name)
        facts.isWhole = isRead
        facts.facts = learnt.merging(logs?.facts ?? [:]) { $1 }
        return facts
    }
}

extension ArchiveTrees {
    /// Tells the spools of a run's binary logs what a committed archive holds. What cannot be told is a warning: the next archive
    /// takes the same in again.
    static func noteBinaryLogs(_ paths: [String], _ facts: [SourceFacts], at workplace: Workplace) -> [String] {
        var warnings: [String] = []
        for one in facts where one.kind == DataSource.Kind.mariadbLogs.rawValue {
            guard let stretch = one.facts["logs-stretch"].flatMap({ Int($0) }), let last = one.facts["logs-last"],
                let bytes = one.facts["logs-last-bytes"].flatMap({ UInt64($0) })
            else { continue }
            let root = "@\(one.kind)/\(one.name)/"
            let files = Set(paths.filter { $0.hasPrefix(root) }.map { String($0.dropFirst(root.count)) })
            guard files.contains(last) else { continue }
            let mark = BinaryLogSpool.Mark(
                point: BinaryLogPoint(stretch: stretch, file: last, position: bytes),
                time: one.facts["logs-until"].flatMap { TimeText.parse($0) })
            do {
                let spool = try BinaryLogSpool(name: one.name, statePath: workplace.statePath)
                try spool.noteArchived(files, mark)
            } catch {
                let words = (error as? any Failure)?.message ?? "\(error)"
                warnings.append("the archive is complete, but its binary logs stay in the spool: \(words)")
            }
        }
        return warnings
    }
}
