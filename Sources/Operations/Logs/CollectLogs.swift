import Domain
import Glibc
import Vault

/// What a run does with the logs of its policy: read them into the spool before it archives, and note what the archive
/// took in. Holds the spool's lock while it lives.
final class CollectLogs {
    let spool: LogSpool
    private(set) var sealed: [LogSegmentHeader] = []
    private(set) var problems: [PathProblem] = []

    /// Nil for a policy without logs.
    init?(_ policy: Policy, at workplace: Workplace) throws {
        guard !policy.logs.isEmpty else { return nil }
        spool = try LogSpool(policy: policy.name, statePath: workplace.statePath)
    }

    /// Reads what is new in all sources. A source that cannot be read is a problem of the run, and not of the others.
    func collect(
        _ sources: [LogSource], clock: LogClock = CollectLogs.clock(), segmentBytes: Int? = nil,
        _ interrupt: InterruptFlag
    ) throws {
        var findings = spool.state.clock.flatMap { clock.finding(since: $0) }.map { [$0] } ?? []
        for source in sources {
            var collecting = try LogCollecting(source, into: spool, clock: clock, interrupt: interrupt)
            if let segmentBytes { collecting.segmentBytes = segmentBytes }
            try collecting.collect(findings)
            findings = []
            sealed += collecting.sealed
            problems += collecting.problems
        }
        spool.note(clock)
        try spool.saveCursors()
    }

    /// What was found, as warnings of the run.
    var warnings: [String] {
        let all = sealed.flatMap(\.findings)
        let told = all.prefix(Self.toldFindings).map { "logs: \($0.message)" }
        return all.count > told.count
            ? told + ["logs: \(all.count - told.count) more findings, in `qala log-segments list`"] : Array(told)
    }

    private static let toldFindings = 100

    /// What went wrong when the archive was there, for people: the archive counts, and the spool is tidied next time.
    func noteArchived(_ sequences: [Int], in archive: String) -> [String] {
        do {
            try spool.noteArchived(sequences, in: archive)
            return []
        } catch {
            let words = (error as? any Failure)?.message ?? "\(error)"
            return ["the archive is complete, but its log segments stay in the spool: \(words)"]
        }
    }

    static func clock() -> LogClock {
        let machine = DaemonClock.ofMachine()
        let reading = machine.read()
        return LogClock(wall: reading.wall / 1_000_000, boot: reading.boot / 1_000_000, bootID: machine.bootID)
    }

    /// The spool as a run's source; nil where there is none yet.
    static func spoolPath(of policy: Policy?, at workplace: Workplace) -> String? {
        guard let policy, !policy.logs.isEmpty else { return nil }
        let path = LogSpool.folder(of: policy.name, under: workplace.statePath)
        return access(path, F_OK) == 0 ? path : nil
    }

    /// What of the spool never gets into an archive.
    static let excludes = ["*.new", "/lock"]
}
