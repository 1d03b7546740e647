import CLinux
import Domain
import Glibc

/// Archives a cluster by `pg_basebackup`, which brings it with its WAL into a staging directory that is removed afterwards.
///
/// The stream of the protocol comes in the server's order, and entries are sorted; so what comes needs room anyway.
/// Invariants:
/// 1. Nothing is handed out before `pg_basebackup` ended well.
/// 2. Of a run that was killed the next one removes what it left, by the name of the source.
final class RemoteCluster: DataCollector {
    private typealias Part = PostgreSQLSource.Part
    private typealias Step = LocalCluster.Step

    private let source: PostgreSQLSource
    private let programs: PostgreSQLPrograms
    private let started: Timestamp
    private let root: String
    private let staging: String
    private var queue: [Step] = []
    private var hasBegun = false
    private var isTaken = false
    private var stop = LSN(.max)
    private var learnt: SourceFacts
    private let findings: PageFindings
    let problems = ProblemLog()

    init(_ source: PostgreSQLSource, _ programs: PostgreSQLPrograms, staging: String, started: Timestamp) {
        self.source = source
        self.programs = programs
        self.started = started
        let whole = DataSource.postgresql(source)
        root = whole.root
        self.staging = "\(staging)/postgresql-\(source.name)"
        learnt = SourceFacts(kind: whole.kind.rawValue, name: source.name)
        learnt.facts["mode"] = source.mode.rawValue
        findings = PageFindings(problems)
    }

    func next() throws -> DataItem? {
        if !hasBegun {
            hasBegun = true
            try begin()
        }
        while true {
            switch queue.first {
            case .item(let item):
                queue.removeFirst()
                return item
            case .tree(let tree):
                if let item = try tree.next() { return item }
                queue.removeFirst()
                for problem in tree.problems.take() {
                    problems.add(problem)
                    findings.noteUnread()
                }
            case nil: return nil
            }
        }
    }

    func close() {
        findings.settle(stop: stop)
        remove()
    }

    var facts: SourceFacts {
        var facts = learnt
        facts.isWhole = isTaken && queue.isEmpty && findings.unread == 0
        facts.facts["damaged-pages"] = "\(findings.damaged)"
        facts.facts["torn-pages"] = "\(findings.torn)"
        return facts
    }

    // MARK: -

    private func begin() throws {
        let server = try PostgreSQLServer(source)
        defer { server.connection.close() }
        programs.major = server.major
        learnt.facts["version"] = server.version
        learnt.facts["system-identifier"] = server.systemIdentifier
        learnt.facts["from"] = server.isInRecovery ? "standby" : "primary"
        let settings = try server.connection.first(
            """
            SELECT current_setting('data_checksums'), current_setting('block_size'),
                (SELECT setting FROM pg_settings WHERE name = 'segment_size'),
                (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size')
            """, count: 4)
        guard let page = Int(settings[1]), page >= 1024, ClusterFile.partBytes % page == 0,
            let pages = UInt32(settings[2]), let segmentBytes = UInt64(settings[3])
        else { throw CollectorError(.io, "the server gave settings that are none: \(settings.joined(separator: " "))") }
        learnt.facts["data-checksums"] = settings[0]
        learnt.facts["wal-segment-bytes"] = settings[3]
        let spaces = try Self.spaces(server.connection)
        try bring(spaces)
        if !source.witnesses.isEmpty { learnt.witnesses = try PostgreSQLServer.witnesses(of: source, problems) }
        let now = server.isInRecovery ? "pg_last_wal_replay_lsn()" : "pg_current_wal_insert_lsn()"
        stop = LSN(try server.connection.first("SELECT \(now)")[0]) ?? LSN(.max)
        let label = try ClusterDirectory.bytes(of: "\(staging)/data/backup_label")
        // All of it is new to this host: no stamp of it says anything to the next run.
        var cluster = ClusterFacts(trustedBefore: Timestamp(seconds: .min))
        cluster.start = try Self.start(label)
        cluster.hasChecksums = settings[0] == "on"
        cluster.pageBytes = page
        cluster.pagesOfSegment = pages
        learnt.facts["start-lsn"] = cluster.start.description
        learnt.facts["stop-lsn"] = stop.description
        try plan(spaces, cluster, label, segmentBytes, UInt64(server.systemIdentifier) ?? 0)
    }

    /// Numbers and places on the server.
    private static func spaces(_ connection: PostgreSQLConnection) throws -> [(id: String, path: String)] {
        try connection.rows("SELECT oid::text, pg_tablespace_location(oid) FROM pg_tablespace").compactMap { row in
            let fields = row.map { String(decoding: $0 ?? [], as: UTF8.self) }
            return fields.count == 2 && fields[1].hasPrefix("/") ? (fields[0], fields[1]) : nil
        }.sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
    }

    private func bring(_ spaces: [(id: String, path: String)]) throws {
        remove()
        var path = ""
        for part in staging.split(separator: "/") {
            path += "/" + part
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
                throw CollectorError.system(errno, "cannot make", Array(path.utf8))
            }
        }
        var arguments = [
            "--pgdata=\(staging)/data", "--format=plain", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
            "--no-password", "--no-manifest", "--no-verify-checksums", "--label=qala \(source.name)",
        ]
        for space in spaces {
            let old = space.path.replacing("=", with: "\\=")
            arguments.append("--tablespace-mapping=\(old)=\(staging)/\(space.id)")
        }
        let program = try programs.start("pg_basebackup", arguments)
        defer { program.close() }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while try buffer.withUnsafeMutableBytes({ try program.read(into: $0) }) == buffer.count {}
    }

    private static func start(_ label: [UInt8]) throws(CollectorError) -> LSN {
        let first = String(decoding: label.prefix { $0 != 0x0A }, as: UTF8.self)
        let words = first.split(separator: " ")
        guard first.hasPrefix("START WAL LOCATION: "), words.count > 3, let start = LSN(String(words[3])) else {
            throw CollectorError(.io, "pg_basebackup brought a backup_label without a start")
        }
        return start
    }

    private func plan(
        _ spaces: [(id: String, path: String)], _ cluster: ClusterFacts, _ label: [UInt8], _ segmentBytes: UInt64,
        _ identifier: UInt64
    ) throws {
        let dumps: [Step] = [(Part.globals, "--globals-only"), (Part.schema, "--schema-only")].map { name, option in
            let content = DumpContent(start: { [programs, source] in
                try programs.start(
                    "pg_dumpall", [option, "--no-password", "--database=\(source.connection.database)"])
            })
            return .item(.entry(.made("\(root)/\(name)", modified: started), content: content))
        }
        queue = [directory("")] + dumps
        queue.append(
            .tree(
                try ClusterTree(
                    ["\(staging)/data"], kind: .data, under: "\(root)/\(Part.data)", cluster: cluster,
                    findings: findings)))
        if !spaces.isEmpty { queue.append(directory(Part.tablespaces)) }
        for space in spaces {
            queue.append(directory("\(Part.tablespaces)/\(space.id)"))
            for own in ClusterDirectory.names("\(staging)/\(space.id)") {
                queue.append(
                    .tree(
                        try ClusterTree(
                            ["\(staging)/\(space.id)/\(own)"], kind: .tablespace,
                            under: "\(root)/\(Part.tablespaces)/\(space.id)/\(own)", cluster: cluster,
                            findings: findings)))
            }
        }
        queue.append(.item(.barrier))
        let control = try ClusterDirectory.bytes(of: "\(staging)/data/global/pg_control")
        queue += [directory(Part.control), file("\(Part.control)/pg_control", control), directory(Part.label)]
        queue.append(file("\(Part.label)/backup_label", label))
        if !spaces.isEmpty { queue.append(file("\(Part.label)/tablespace_map", Self.map(spaces))) }
        queue.append(directory(Part.wal))
        for name in ClusterDirectory.names("\(staging)/data/pg_wal") where name != "archive_status" {
            let path = "\(staging)/data/pg_wal/\(name)"
            if name.hasSuffix(".history") {
                queue.append(file("\(Part.wal)/\(name)", try ClusterDirectory.bytes(of: path)))
                continue
            }
            guard name.utf8.count == 24 else { continue }
            learnt.facts["start-wal"] = learnt.facts["start-wal"] ?? name
            learnt.facts["stop-wal"] = name
            learnt.facts["timeline"] = UInt32(name.prefix(8), radix: 16).map { "\($0)" }
            let content = WALContent(
                path, name: name, segmentBytes: segmentBytes, systemIdentifier: identifier, findings: findings)
            queue.append(.item(.entry(.made("\(root)/\(Part.wal)/\(name)", modified: started), content: content)))
        }
        guard learnt.facts["stop-wal"] != nil else { throw CollectorError(.io, "pg_basebackup brought no WAL") }
        isTaken = true
    }

    /// As the server would have written it: with the links in the data directory it is not sent.
    private static func map(_ spaces: [(id: String, path: String)]) -> [UInt8] {
        spaces.flatMap { space in
            let path = space.path.utf8.flatMap { byte -> [UInt8] in
                byte == 0x0A || byte == 0x0D || byte == 0x5C ? [0x5C, byte] : [byte]
            }
            return Array("\(space.id) ".utf8) + path + [0x0A]
        }
    }

    private func directory(_ name: String) -> Step {
        let path = name.isEmpty ? root : "\(root)/\(name)"
        return .item(.entry(.made(path, kind: .directory, modified: started), content: nil))
    }

    private func file(_ name: String, _ bytes: [UInt8]) -> Step {
        .item(.entry(.made("\(root)/\(name)", modified: started), content: MadeContent { bytes }))
    }

    /// With everything below it; never through a link, as those of `pg_tblspc` lead to their neighbours here.
    private func remove() { StagedTree.remove(staging) }
}

enum StagedTree {
    static func remove(_ path: String) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        guard let stream = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(stream)
        for name in names { remove("\(path)/\(name)") }
        rmdir(path)
    }
}
