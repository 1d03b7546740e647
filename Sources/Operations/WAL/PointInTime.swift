import Collectors
package import Domain
import Vault

/// Recovery of a restored cluster to a moment: decides whether the WAL reaches it, lays the WAL into the data directory and says the
/// settings of the recovery.
///
/// Invariants:
/// 1. ``plan(_:of:to:in:_:)`` writes nothing; what cannot be reached is refused by it, and the refusal says what can.
/// 2. A server that is started before all WAL is there stops: "there is no such segment" is only said of what is not in the
///    list, and the list comes last.
/// 3. The recovered cluster archives nothing until somebody makes it a new incarnation.
package enum PointInTime {
    package enum Action: String, Sendable, CaseIterable { case promote, pause, shutdown }

    package struct Options: Sendable {
        package var target: RecoveryTarget
        /// Nil for the newest that goes on from the archive.
        package var timeline: UInt32?
        package var action = Action.promote
        /// The source of the WAL; that of the cluster when nil.
        package var source: String?

        package init(target: RecoveryTarget) { self.target = target }
    }

    struct Plan: Sendable {
        let reach: WALReach
        let cluster: WALCluster
        let source: String
        let options: Options
        /// What has to be read from the vault.
        let files: [WALFileName]
        let warnings: [String]
        /// For `postgresql.auto.conf`.
        var settings: [(name: String, value: String)] = []

        var report: Report {
            Report(
                timeline: Int(reach.timeline), segments: files.filter { $0.form == .segment }.count,
                end: "\(reach.end)", warnings: warnings)
        }
    }

    /// For people and programs.
    package struct Report: Codable, Sendable {
        package var timeline: Int
        package var segments: Int
        /// Up to where the WAL is whole.
        package var end: String
        package var warnings: [String]
    }

    static let folderName = "qala-wal"
    private static let listName = "list"
    private static let targetNames = [
        "recovery_target", "recovery_target_lsn", "recovery_target_name", "recovery_target_time", "recovery_target_xid",
    ]

    // MARK: Deciding

    /// Whether, and how, the cluster that an archive tells of gets to the target, in the data directory `directory`.
    static func plan(
        _ facts: SourceFacts, of header: ArchiveHeader, to options: Options, in directory: String, _ open: OpenVault
    ) throws -> Plan {
        if case .time(let seconds, _) = options.target, let started = TimeText.parse(header.started), seconds < started
        {
            throw OperationError(
                .failed, "the target lies before \(TimeText.seconds(started)), when the base archive was begun",
                hint: "Take an earlier base archive.")
        }
        let inventory = try WALInventory(source: options.source ?? facts.name, in: open, all: true)
        var plan = try plan(facts, options, inventory, open)
        plan.settings = try settings(plan, in: directory)
        return plan
    }

    static func plan(
        _ facts: SourceFacts, _ options: Options, _ inventory: WALInventory, _ open: OpenVault
    ) throws -> Plan {
        guard let base = RecoveryBase(facts) else {
            throw OperationError(
                .failed, "the archive of \(facts.name) says too little of itself to recover from it",
                hint: "Take a whole base archive; one of dumps restores to its own moment alone.")
        }
        let clusters = inventory.clusters(of: base.systemID)
        guard !clusters.isEmpty else {
            throw OperationError(
                .notFound, "no archive holds WAL of the cluster \(base.systemID) from the source \(inventory.source)",
                hint: "Without --target the cluster is restored to the moment of its archive.")
        }
        var refusal: WALReach.Refusal?
        for cluster in clusters {
            do {
                let coverage = covered(base, facts, inventory.coverage(of: cluster, base.segmentSize))
                let reach = try WALReach(base, in: coverage, timeline: options.timeline)
                return try plan(reach, cluster, coverage, options, inventory, open)
            } catch let error as WALReach.Refusal {
                // The newest life's reason is the one to tell.
                refusal = refusal ?? error
            }
        }
        throw refused(refusal ?? .notArchived, base, nil, nil)
    }

    /// With what the archive itself holds.
    private static func covered(_ base: RecoveryBase, _ facts: SourceFacts, _ coverage: WALCoverage) -> WALCoverage {
        func segment(_ name: String) -> WALSegment? {
            facts.facts[name].flatMap { WALFileName($0) }.flatMap {
                $0.form == .segment ? $0.segment(base.segmentSize) : nil
            }
        }
        guard let first = segment("start-wal"), let last = segment("stop-wal"), first.timeline == last.timeline,
            first.number <= last.number
        else { return coverage }
        var coverage = coverage
        coverage.insert(timeline: first.timeline, first.number...last.number)
        return coverage
    }

    private static func plan(
        _ reach: WALReach, _ cluster: WALCluster, _ coverage: WALCoverage, _ options: Options,
        _ inventory: WALInventory, _ open: OpenVault
    ) throws -> Plan {
        let size = reach.base.segmentSize
        func name(_ segment: WALSegment) -> WALFileName? { WALFileName(segment.name(size)) }
        let last = try reach.route.last.flatMap(name).flatMap { try inventory.written($0, of: cluster, with: open) }
        var warnings: [String] = []
        do {
            if try reach.check(options.target, written: last) {
                warnings.append(
                    "whether the target lies on the WAL that is there is only known when the server has looked for it")
            }
        } catch {
            throw refused(error, reach.base, reach, last)
        }
        let needed = reach.needed(for: options.target).compactMap(name)
        let histories = reach.histories(in: coverage).compactMap { WALFileName(WALFileName.historyName($0)) }
        let files = (needed + histories).filter { inventory.holds($0, of: cluster) }
        return Plan(
            reach: reach, cluster: cluster, source: inventory.source, options: options, files: files,
            warnings: warnings)
    }

    private static func refused(
        _ refusal: WALReach.Refusal, _ base: RecoveryBase, _ reach: WALReach?, _ written: Int64?
    ) -> OperationError {
        let size = base.segmentSize
        let latest = reach.map { reach in
            "The latest point that can be reached is \(reach.end) on timeline \(reach.timeline)"
                + (written.map { ", written until \(TimeText.seconds($0))" } ?? "") + "."
        }
        switch refusal {
        case .gap(let gap):
            return OperationError(
                .failed,
                "the target cannot be reached: \(gap.count) WAL segments are missing from \(gap.first.name(size))",
                hint: latest ?? "")
        case .fork(let fork):
            return OperationError(
                .failed,
                "timeline \(fork.older.timeline) goes on to \(fork.older.name(size)) although timeline \(fork.newer) left it at "
                    + "\(fork.position): the latest moment is not the same on both",
                hint: "Say with --target-timeline which of them goes on.")
        case .notArchived:
            return OperationError(
                .failed, "the target lies behind the end of the archived WAL", hint: latest ?? "Name an earlier one.")
        case .baseIncomplete(let segment):
            return OperationError(
                .failed, "the WAL that the archive itself needs is not whole: \(segment.name(size)) is missing",
                hint: "Take another base archive.")
        case .notDescendant(let timeline):
            return OperationError(
                .failed, "timeline \(timeline) does not go on from the archive, which is on \(base.timeline)",
                hint: "Take another --target-timeline, or a base archive of that timeline.")
        case .beforeBase:
            return OperationError(
                .failed, "the target lies before the end of the base archive, \(base.stop)",
                hint: "Take an earlier base archive.")
        }
    }

    // MARK: Carrying out

    /// Settings for `postgresql.auto.conf` of the data directory `directory`, an absolute path. They say everything that a recovery
    /// may have been told before.
    static func settings(_ plan: Plan, in directory: String) throws -> [(name: String, value: String)] {
        let chosen: (String, String)? =
            switch plan.options.target {
            case .latest: nil
            case .time(_, let text): ("recovery_target_time", text)
            case .position(let position): ("recovery_target_lsn", "\(position)")
            case .transaction(let number): ("recovery_target_xid", "\(number)")
            case .name(let name): ("recovery_target_name", name)
            }
        var list = [("restore_command", try command("\(directory)/\(folderName)"))]
        // An empty one behind the chosen one is a second target for PostgreSQL.
        for name in targetNames where name != chosen?.0 { list.append((name, "")) }
        if let chosen { list.append(chosen) }
        list.append(("recovery_target_inclusive", "on"))
        list.append(("recovery_target_timeline", "\(plan.reach.timeline)"))
        list.append(("recovery_target_action", plan.options.action.rawValue))
        return list.map { (name: $0.0, value: $0.1) }
    }

    /// 1 for what is not in the list; 126 for what is and cannot be copied, and where there is no list.
    static func command(_ folder: String) throws -> String {
        guard folder.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw OperationError(.usage, "the target's name has a control character", hint: "Restore into another one.")
        }
        func quoted(_ path: String) -> String {
            "'" + path.replacing("%", with: "%%").replacing("'", with: "'\\''") + "'"
        }
        return "grep -qxF -e \"%f\" \(quoted("\(folder)/\(listName)")); case $? in "
            + "0) cp \(quoted(folder))/\"%f\" \"%p\" || exit 126;; 1) exit 1;; *) exit 126;; esac"
    }

    /// Lays the WAL of the plan into a data directory that is being restored, owned as its other files are.
    static func lay(_ plan: Plan, _ files: ClusterFiles, at workplace: Workplace) throws {
        let folder = try files.folder.make(folderName, at: files.directory)
        let open = try OpenVault(workplace)
        let inventory = try WALInventory(source: plan.source, in: open, all: true)
        try inventory.extract(
            plan.files, of: plan.cluster, to: folder.path, with: try open.reader(), interrupt: workplace.interrupt)
        for file in plan.files { try files.give(file: file.text, in: folder) }
        try files.write(
            "\(folderName)/\(listName)", Array(plan.files.map { $0.text + "\n" }.sorted().joined().utf8), in: folder)
        try ClusterFiles.give(
            folder, "\(files.directory)/\(folderName)", to: (files.owner.user, files.owner.group), 0o700)
        try WALSpool.sync(folder.path)
    }
}
