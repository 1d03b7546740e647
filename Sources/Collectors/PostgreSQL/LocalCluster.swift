import Domain
import Glibc

/// Archives a cluster by reading its data directory while the server runs, between a start and a stop that the server
/// knows of.
///
/// Invariants:
/// 1. The start, everything that is read and the stop are one session. When that is lost, the source is not whole.
/// 2. The WAL from the start on cannot go before the session ends, and the session ends after it was read.
/// 3. `pg_control` is read after every other file, the label after the stop.
final class LocalCluster: DataCollector {
    private enum Stage: CaseIterable {
        case begin, config, dumps, data, tablespaces, read, end, wal, written
    }

    /// What comes next: an item, or all entries of a tree.
    enum Step {
        case item(DataItem)
        case tree(ClusterTree)
    }

    typealias Part = PostgreSQLSource.Part

    /// A stamp of a file may lie behind the clock by its grain.
    private static let grain: Int64 = 2
    /// How often the server is asked whether it is still there, in seconds.
    private static let pulse: Double = 2

    let source: PostgreSQLSource
    let programs: PostgreSQLPrograms
    let started: Timestamp
    let root: String
    private var stages = Stage.allCases[...]
    var queue: [Step] = []
    var server: PostgreSQLServer?
    var learnt: SourceFacts
    let findings: PageFindings
    let problems = ProblemLog()

    var cluster = ClusterFacts(trustedBefore: Timestamp(seconds: .min))
    var directory = ""
    var owner: (user: UInt32, group: UInt32) = (0, 0)
    var timeline: UInt32 = 0
    var segmentBytes: UInt64 = 0
    var tablespaces: [(id: String, path: String)] = []
    var catalogVersion = ""
    private var lastPulse: Double = 0
    var stop = LSN(0)
    var isStopped = false

    init(_ source: PostgreSQLSource, _ programs: PostgreSQLPrograms, started: Timestamp) {
        self.source = source
        self.programs = programs
        self.started = started
        let whole = DataSource.postgresql(source)
        root = whole.root
        learnt = SourceFacts(kind: whole.kind.rawValue, name: source.name)
        learnt.facts["mode"] = source.mode.rawValue
        findings = PageFindings(problems)
    }

    func next() throws -> DataItem? {
        try askWhetherItIsThere()
        while true {
            switch queue.first {
            case .item(let item):
                queue.removeFirst()
                return item
            case .tree(let tree):
                if let item = try tree.next() { return item }
                queue.removeFirst()
                note(tree)
                continue
            case nil: break
            }
            guard let stage = stages.popFirst() else { return nil }
            try enter(stage)
        }
    }

    func close() {
        server?.connection.close()
        server = nil
    }

    var facts: SourceFacts {
        var facts = learnt
        facts.isWhole = isStopped && findings.unread == 0
        facts.facts["damaged-pages"] = "\(findings.damaged)"
        facts.facts["torn-pages"] = "\(findings.torn)"
        return facts
    }

    /// Of a run that was killed the slot ended with its session: the name is free again.
    private var slotName: String {
        let now = Self.clock(CLOCK_REALTIME)
        return "qala_\(getpid())_\(now.seconds)_\(now.nanoseconds)"
    }

    /// A server that crashed or restarted has forgotten the start: what is read from then on is worth nothing.
    private func askWhetherItIsThere() throws {
        guard let server, !isStopped else { return }
        let now = Self.clock(CLOCK_MONOTONIC)
        let seconds = Double(now.seconds) + Double(now.nanoseconds) / 1e9
        guard seconds - lastPulse >= Self.pulse else { return }
        lastPulse = seconds
        _ = try server.connection.rows("SELECT 1")
    }

    /// What the walk of a tree could not read. Files that vanished are none of that: the WAL says what became of them.
    private func note(_ tree: ClusterTree) {
        for problem in tree.problems.take() where problem.what != .vanished {
            problems.add(problem)
            // Without a file of its configuration the cluster is whole all the same.
            if tree.kind != .config, [.unreadable, .changed, .unknownKind, .pathTooLong].contains(problem.what) {
                findings.noteUnread()
            }
        }
    }

    static func clock(_ id: clockid_t) -> Timestamp {
        var time = timespec()
        clock_gettime(id, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    private func enter(_ stage: Stage) throws {
        switch stage {
        case .begin: try begin()
        case .config: addConfig()
        case .dumps: addDumps()
        case .data: try addData()
        case .tablespaces: try addTablespaces()
        case .read, .written: queue = [.item(.barrier)]
        case .end: try end()
        case .wal: try addWAL()
        }
    }

    // MARK: - The start

    private func begin() throws {
        let server = try PostgreSQLServer(source)
        self.server = server
        programs.major = server.major
        guard !server.isInRecovery else {
            throw CollectorError(
                .unsupported, "the server is a standby, which `mode: local` does not archive",
                hint: "Archive its primary, or use `mode: remote` for the standby.")
        }
        try readSettings(server)
        try compareDirectory(server)
        let connection = server.connection
        _ = try connection.rows(
            "SELECT pg_create_physical_replication_slot($1, true, true)", [slotName])
        let now = Self.clock(CLOCK_REALTIME)
        cluster.trustedBefore = Timestamp(seconds: now.seconds - Self.grain, nanoseconds: now.nanoseconds)
        let text = try connection.first("SELECT pg_backup_start($1, true)", ["qala \(source.name)"])[0]
        guard let start = LSN(text) else { throw CollectorError(.io, "the server named a start that is none: \(text)") }
        cluster.start = start
        timeline = UInt32(try connection.first("SELECT timeline_id FROM pg_control_checkpoint()")[0]) ?? 0
        let found = try connection.rows("SELECT oid::text, pg_tablespace_location(oid) FROM pg_tablespace")
        tablespaces = found.compactMap { row in
            let fields = row.map { String(decoding: $0 ?? [], as: UTF8.self) }
            // Those without a place, and those in place, lie in the data directory.
            return fields.count == 2 && fields[1].hasPrefix("/") ? (fields[0], fields[1]) : nil
        }.sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
        learnt.facts["start-lsn"] = start.description
        learnt.facts["timeline"] = "\(timeline)"
        queue = [made("")]
    }

    private func readSettings(_ server: PostgreSQLServer) throws {
        let row = try server.connection.first(
            """
            SELECT current_setting('data_directory'), current_setting('data_checksums'), current_setting('block_size'),
                (SELECT setting FROM pg_settings WHERE name = 'segment_size'),
                (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'),
                (SELECT catalog_version_no FROM pg_control_system())
            """, count: 6)
        guard let page = Int(row[2]), page >= 1024, page % 128 == 0, ClusterFile.partBytes % page == 0,
            let pages = UInt32(row[3]), let bytes = UInt64(row[4])
        else { throw CollectorError(.io, "the server gave settings that are none: \(row.joined(separator: " "))") }
        directory = row[0]
        cluster.hasChecksums = row[1] == "on"
        cluster.pageBytes = page
        cluster.pagesOfSegment = pages
        segmentBytes = bytes
        catalogVersion = row[5]
        learnt.facts["version"] = server.version
        learnt.facts["system-identifier"] = server.systemIdentifier
        learnt.facts["data-checksums"] = row[1]
        learnt.facts["wal-segment-bytes"] = row[4]
        learnt.facts["data-directory"] = directory
    }

    /// The directory of the policy, the one that the server has, and the one on this host must be one.
    private func compareDirectory(_ server: PostgreSQLServer) throws {
        let wanted = source.dataDirectory ?? directory
        guard let found = ClusterDirectory.resolved(wanted) else {
            throw CollectorError(
                .notFound, "the data directory \(wanted) is not on this host, or cannot be read",
                hint: "Use `mode: remote` for a server on another host.")
        }
        guard found == ClusterDirectory.resolved(directory) else {
            throw CollectorError(
                .invalidInput, "the server has its data in \(directory), and the policy says \(wanted)",
                hint: "Check `data-directory`, `socket` and `port`: this may be another server.")
        }
        directory = found
        let control = try ClusterDirectory.bytes(of: found + "/global/pg_control")
        let identifier = control.withUnsafeBytes { $0.count >= 8 ? $0.loadUnaligned(as: UInt64.self) : 0 }
        guard server.systemIdentifier == "\(identifier)" else {
            throw CollectorError(
                .invalidInput, "\(found) is of another cluster than the server that answers",
                hint: "Check `data-directory`, `socket` and `port`; a server in a container has a directory of its own."
            )
        }
        guard case .success(let status) = CName(found.utf8).withPointer({ FileStatus.of($0, in: AT_FDCWD) }) else {
            throw CollectorError(.denied, "\(found) cannot be examined", hint: "Run as root or as the server's user.")
        }
        owner = (status.userID, status.groupID)
    }
}
