import Documents
package import Domain
import Glibc
import Vault

/// What keeps the originals of an archive where they are.
package struct MoveWaiting: Codable, Sendable, Equatable {
    /// For programs: `period 1764000000`, `verify SITE`, `copy SITE`, `volumes N`, `hold ID`, `time`, `whole`.
    package var word: String
    package var text: BothTexts

    init(_ wait: MoveWait) {
        word = wait.word
        var texts: [Language: [String]] = [:]
        for language in Language.allCases { texts[language] = [wait.text(in: language)] }
        text = BothTexts(texts)
    }
}

/// An original that stays although its archive would let it go.
package struct StayingFile: Codable, Sendable, Equatable {
    package var path: String
    /// Where the path is not UTF-8: its bytes.
    package var pathBytes: String?
    package var reason: StayReason
    /// What the system said.
    package var detail: String?
}

/// What became of the originals of a policy.
package struct MoveReport: Codable, Sendable {
    package var policy = ""
    /// The version of the policies that permits it.
    package var policies = 0
    package var dryRun = false
    /// The archive on whose word originals go; nil where none lets them.
    package var archive: String?
    package var archiveTime: String?
    /// What the newest whole archive waits for, where none lets originals go.
    package var waits: [MoveWaiting] = []
    package var files = 0
    package var bytes = 0
    /// Files of the archive that are not there any more.
    package var gone = 0
    /// Files that do not lie where the policy in force looks, or that it leaves out.
    package var outside = 0
    package var stays: [StayingFile] = []
    package var stayCount = 0
    /// Sources of logs that the policy follows: their files stay, rotated ones too.
    package var logs = 0
    /// Of an earlier one that was interrupted: what is clear now.
    package var settled = 0
    package var problems: [PathProblem] = []
    package var problemCount = 0
    package var seconds = 0.0

    /// Something could not be done that was meant to be.
    package var isPartial: Bool { problemCount > 0 }

    package init() {}

    mutating func add(_ problem: PathProblem) {
        problemCount += 1
        if problems.count < 1000 { problems.append(problem) }
    }

    mutating func stay(_ path: [UInt8], _ reason: StayReason, _ detail: String? = nil) {
        stayCount += 1
        if reason == .refused { add(PathProblem(stored: path, reason: detail ?? reason.text(in: .english))) }
        guard stays.count < 1000 else { return }
        stays.append(
            StayingFile(
                path: "/" + String(decoding: path, as: UTF8.self), pathBytes: PathBytes.base64(stored: path),
                reason: reason, detail: detail))
    }
}

/// `mode: move`: originals leave the active system when their archive is right everywhere (docs/move.md).
///
/// Invariants:
/// 1. The version of the policies in force permits it; neither a file of a policy nor an archive does.
/// 2. Before a file is removed its bytes were compared with what was read from the vault, and the register names it, the
///    archive and its digest.
/// 3. What cannot be told keeps the file: a stamp, a lease, a name, a line that cannot be written.
/// 4. A crash leaves a file under its name, under a name beside it that the register knows, or in a verified archive that
///    the register names.
package enum MoveOriginals {
    /// The vault that the policy in force names; nil where it leaves the choice.
    package static func vault(of policy: String, statePath: String) throws -> String? {
        try self.policy(policy, in: PolicyRegister(statePath: statePath).inForce()).vault
    }

    package static func run(
        policy name: String, dryRun: Bool, at workplace: Workplace, clock: DaemonClock = .ofMachine()
    ) throws -> MoveReport {
        let started = MonotonicTime.now()
        let inForce = try PolicyRegister(statePath: workplace.statePath).inForce()
        _ = try policy(name, in: inForce)
        let register = dryRun ? nil : try MovedRegister(state: workplace.statePath)
        var report = MoveReport()
        report.dryRun = dryRun
        if let register { try MoveSettling.run(register, at: workplace, &report) }
        // Under the lock: what another process moved or passed before counts.
        let view = try TierView(workplace, clock: clock)
        try view.moved.checkWhole()
        let policy = try policy(name, in: view.version)
        report.policy = name
        report.policies = view.version.number
        report.logs = policy.logs.count
        guard let archive = try choose(policy, view, &report) else { return ended(report, started) }
        report.archive = archive.id.hex
        report.archiveTime = TimeText.seconds(Int64(clamping: archive.time))
        var pass = try MovePass(policy, archive, view, register)
        try pass.run(&report)
        return ended(report, started)
    }

    /// What problems of the daemon's removals are about.
    static func problem(of policy: String) -> String { "removal of originals of \(policy)" }

    private static func ended(_ report: MoveReport, _ started: Double) -> MoveReport {
        var report = report
        report.seconds = MonotonicTime.now() - started
        return report
    }

    private static func policy(_ name: String, in version: AppliedVersion) throws -> Policy {
        guard let policy = version.document.set.policies.first(where: { $0.name == name }) else {
            throw OperationError(
                .notFound, "\(name) is not among the policies in force",
                hint: "The version that was applied last permits a removal, and no file does (`qala policy history`).")
        }
        guard policy.mode == .move else {
            throw OperationError(
                .badPolicy, "the policy \(name) keeps originals (`mode: copy`)",
                hint: "Apply a version with `mode: move`; a second person approves it.")
        }
        return policy
    }

    /// The newest archive that lets originals go. Where none does, the report says what the newest one waits for.
    private static func choose(
        _ policy: Policy, _ view: TierView, _ report: inout MoveReport
    ) throws -> ArchiveRecord? {
        guard let plan = try? policy.tierPlan() else {
            throw OperationError(
                .badPolicy, "the policy \(policy.name) does not say how long originals stay",
                hint: "Give a period for each tier.")
        }
        let records = Dictionary(view.open.vault.log.archives.map { ($0.id, $0) }) { first, _ in first }
        let passed = view.moved.passed[policy.name]?.record
        let mine = view.seen.filter { $0.policy == policy.name }
            .compactMap { seen in records[seen.id].map { (seen, $0) } }
            .filter { _, record in passed.map { record.number > $0 } ?? true }
            .sorted { $0.1.number > $1.1.number }
        var isFirst = true
        for (seen, record) in mine {
            guard let state = view.states[seen.id] else { continue }
            var waits = state.waits(plan, at: view.now)
            if seen.header.isPartial { waits.append(.partial) }
            if waits.isEmpty { return record }
            if isFirst { report.waits = waits.map(MoveWaiting.init) }
            // Of the newest whole one, where there is one.
            if !seen.header.isPartial { isFirst = false }
        }
        return nil
    }
}
