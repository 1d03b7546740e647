import Collectors
import Domain
import Vault

/// The entries of one data source within the walk of a run.
///
/// Invariants:
/// 1. An error of the source ends the source, not the run: it is a problem, and the facts say that the source is not whole.
/// 2. The collector is closed after everything it handed out was read, or when the run is over.
final class DataWalk {
    private let source: DataSource
    private var collector: (any DataCollector)?
    private var closed: (any DataCollector)?
    private var ancestors: [SourceStep] = []
    private var isAtEnd = false
    private var failure: PathProblem?

    init(_ source: DataSource, at workplace: Workplace, started: Timestamp) {
        self.source = source
        ancestors = [
            .data(
                .made("@\(source.kind.rawValue)", kind: .directory, permissions: 0o755, modified: started), content: nil
            )
        ]
        do { collector = try Self.collector(of: source, at: workplace, started: started) } catch {
            failure = PathProblem(
                stored: Array(source.root.utf8), reason: (error as? any Failure)?.message ?? "\(error)")
        }
    }

    private static func collector(
        of source: DataSource, at workplace: Workplace, started: Timestamp
    ) throws -> any DataCollector {
        switch source {
        case .command(let command):
            CommandCollector(command, started: started, isInterrupted: { workplace.interrupt.isSet })
        case .sqlite(let database):
            SQLiteCollector(
                database, state: workplace.statePath, started: started,
                isInterrupted: { workplace.interrupt.isSet })
        case .git(let repository):
            GitCollector(
                repository, state: workplace.statePath, started: started,
                isInterrupted: { workplace.interrupt.isSet })
        case .postgresql(let cluster):
            PostgreSQLCollector.make(
                cluster, staging: workplace.statePath + "/staging", started: started,
                isInterrupted: { workplace.interrupt.isSet })
        case .wal(let wal): try WALCollector(wal, at: workplace, started: started)
        case .mariadb(let server):
            MariaDBCollector(
                server, state: workplace.statePath, started: started,
                isInterrupted: { workplace.interrupt.isSet })
        case .mariadbLogs(let server) where source.isStreamed:
            try BinaryLogCollector(server, at: workplace, started: started)
        case .mariadbLogs(let server):
            MariaDBLogCollector(
                server, state: workplace.statePath, started: started,
                isInterrupted: { workplace.interrupt.isSet })
        }
    }

    func next() throws -> SourceStep? {
        if !ancestors.isEmpty { return ancestors.removeFirst() }
        guard let collector, !isAtEnd else { return nil }
        do {
            switch try collector.next() {
            case .entry(let entry, let content): return .data(entry, content: content)
            case .barrier: return .barrier
            case nil: break
            }
        } catch let error as VaultError {
            throw error
        } catch {
            failure = PathProblem(
                stored: Array(source.root.utf8), reason: (error as? any Failure)?.message ?? "\(error)")
        }
        isAtEnd = true
        // The collector may still be needed for what it handed out.
        return .barrier
    }

    /// What was learnt, and what went wrong; once.
    func close() -> (facts: SourceFacts, problems: [PathProblem], count: Int) {
        guard let collector else {
            let found = failure.map { [$0] } ?? []
            failure = nil
            return (SourceFacts(kind: source.kind.rawValue, name: source.name), found, found.count)
        }
        self.collector = nil
        closed = collector
        collector.close()
        var facts = collector.facts.bounded
        let details = collector.problems.take()
        var found = details.map { PathProblem(stored: $0.path, reason: $0.reason) }
        var count = collector.problems.count
        if let failure {
            facts.isWhole = false
            found.insert(failure, at: 0)
            count += 1
        }
        return (facts, found, count)
    }

    /// The archive of the run is committed.
    func committed() { closed?.committed() }
}
