import Domain
import Glibc

/// What a local run hands out, stage by stage.
extension LocalCluster {
    func addConfig() {
        let there = source.config.filter { path in
            if access(path, F_OK) == 0 { return true }
            problems.add(
                FileProblem(path: Array(path.utf8.drop { $0 == 0x2F }), what: .unreadable, systemError: errno))
            return false
        }
        guard !there.isEmpty else { return }
        do {
            let under = "\(root)/\(Part.config)"
            // What of it cannot be read is a problem of the run, not of the cluster.
            let tree = try ClusterTree(
                there, kind: .config, under: under, cluster: cluster, findings: PageFindings(problems))
            queue = [made(Part.config), .tree(tree)]
        } catch {
            problems.add(
                FileProblem(path: Array("\(root)/\(Part.config)".utf8), what: .refused, detail: error.message))
        }
    }

    /// To read, and to rebuild elsewhere: the cluster itself is whole without them.
    func addDumps() {
        queue = [(Part.globals, "--globals-only"), (Part.schema, "--schema-only")].map { name, option in
            let content = DumpContent(start: { [programs, source] in
                try programs.start(
                    "pg_dumpall", [option, "--no-password", "--database=\(source.connection.database)"])
            })
            return .item(.entry(.made("\(root)/\(name)", modified: started), content: content))
        }
    }

    func addData() throws(CollectorError) {
        queue = [
            .tree(
                try ClusterTree(
                    [directory], kind: .data, under: "\(root)/\(Part.data)", cluster: cluster, findings: findings))
        ]
    }

    func addTablespaces() throws(CollectorError) {
        guard !tablespaces.isEmpty else { return }
        queue = [made(Part.tablespaces)]
        for space in tablespaces {
            let own = "PG_\(programs.major)_\(catalogVersion)"
            // One that was dropped since: that is in the WAL.
            guard access("\(space.path)/\(own)", F_OK) == 0 else { continue }
            let place = "\(Part.tablespaces)/\(space.id)"
            queue.append(made(place, permissions: 0o700, isOwned: true))
            queue.append(
                .tree(
                    try ClusterTree(
                        ["\(space.path)/\(own)"], kind: .tablespace, under: "\(root)/\(place)/\(own)",
                        cluster: cluster, findings: findings)))
        }
    }

    // MARK: - The end

    /// Everything else was read. Control file, witnesses, stop, label.
    func end() throws {
        guard let connection = server?.connection else { throw CollectorError(.io, "there is no session") }
        let control = try readControl()
        if !source.witnesses.isEmpty {
            learnt.facts["witness-lsn"] = try connection.first("SELECT pg_current_wal_insert_lsn()")[0]
            learnt.witnesses = try PostgreSQLServer.witnesses(of: source, problems)
        }
        let rows = try connection.rows(
            "SELECT lsn::text, labelfile, spcmapfile FROM pg_backup_stop(wait_for_archive => false)")
        guard let row = rows.first, row.count == 3, let label = row[1],
            let stop = LSN(String(decoding: row[0] ?? [], as: UTF8.self)), stop >= cluster.start
        else { throw CollectorError(.io, "the server gave no label at the stop") }
        learnt.facts["stop-lsn"] = stop.description
        findings.settle(stop: stop)
        queue = [made(Part.control), file("\(Part.control)/pg_control", control), made(Part.label)]
        queue.append(file("\(Part.label)/backup_label", label))
        if let map = row[2], !map.isEmpty { queue.append(file("\(Part.label)/tablespace_map", map)) }
        self.stop = stop
    }

    /// The server may write it at any time, in one go of 8 KiB: two readings that agree are no mixture.
    private func readControl() throws -> [UInt8] {
        let path = directory + "/global/pg_control"
        var last = try ClusterDirectory.bytes(of: path)
        for _ in 0..<100 {
            usleep(1000)
            let next = try ClusterDirectory.bytes(of: path)
            if next == last { return next }
            last = next
        }
        throw CollectorError(.changed, "\(path) never stayed the same", hint: "Run the policy again.")
    }

    /// The segments from the start to the stop, which the slot keeps, and what says how timelines came about.
    func addWAL() throws {
        guard let wal = ClusterDirectory.resolved(directory + "/pg_wal"),
            let segments = LSN.segments(from: cluster.start, to: stop, timeline: timeline, size: segmentBytes),
            let first = segments.first, let last = segments.last
        else { throw CollectorError(.notFound, "the WAL of \(directory) cannot be found") }
        learnt.facts["start-wal"] = first
        learnt.facts["stop-wal"] = last
        let histories = ClusterDirectory.names(wal).filter { $0.hasSuffix(".history") && $0.utf8.count == 16 }
        queue = [made(Part.wal)]
        let identifier = UInt64(server?.systemIdentifier ?? "") ?? 0
        for name in (histories + segments).sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            let path = "\(Part.wal)/\(name)"
            if name.hasSuffix(".history") {
                queue.append(file(path, try ClusterDirectory.bytes(of: "\(wal)/\(name)")))
                continue
            }
            let content = WALContent(
                "\(wal)/\(name)", name: name, segmentBytes: segmentBytes, systemIdentifier: identifier,
                findings: findings)
            queue.append(.item(.entry(owned(.made("\(root)/\(path)", modified: started)), content: content)))
        }
        isStopped = true
    }

    // MARK: - Entries

    func made(_ name: String, permissions: UInt16? = nil, isOwned: Bool = false) -> Step {
        let path = name.isEmpty ? root : "\(root)/\(name)"
        let entry = Entry.made(path, kind: .directory, permissions: permissions, modified: started)
        return .item(.entry(isOwned ? owned(entry) : entry, content: nil))
    }

    private func file(_ name: String, _ bytes: [UInt8]) -> Step {
        .item(.entry(owned(.made("\(root)/\(name)", modified: started)), content: MadeContent { bytes }))
    }

    /// Whoever owns the data directory has to read what comes back into it.
    private func owned(_ entry: Entry) -> Entry {
        var entry = entry
        entry.userID = owner.user
        entry.groupID = owner.group
        return entry
    }
}

/// One segment of the write-ahead log, which must be what its name says.
final class WALContent: DataContent {
    private let path: String
    private let name: String
    private let segmentBytes: UInt64
    private let systemIdentifier: UInt64
    private let findings: PageFindings
    private var file: DirectoryHandle?
    private var isAtEnd = false

    init(_ path: String, name: String, segmentBytes: UInt64, systemIdentifier: UInt64, findings: PageFindings) {
        self.path = path
        self.name = name
        self.segmentBytes = segmentBytes
        self.systemIdentifier = systemIdentifier
        self.findings = findings
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard !isAtEnd else { return 0 }
        do {
            if file == nil {
                switch CName(path.utf8).withPointer({ Descriptor.open($0, in: AT_FDCWD, O_RDONLY | O_NONBLOCK) }) {
                case .failure(let error): throw CollectorError.system(error.number, "cannot open", Array(path.utf8))
                case .success(let descriptor): file = DirectoryHandle(descriptor)
                }
            }
            guard let file else { return 0 }
            let count = try ClusterFile.read(file.number, buffer, offset, Array(path.utf8))
            if offset == 0 { try check(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
            guard count < buffer.count else { return count }
            isAtEnd = true
            self.file = nil
            guard offset + UInt64(count) == segmentBytes else {
                throw wrong("has \(offset + UInt64(count)) bytes instead of \(segmentBytes)")
            }
            return count
        } catch {
            isAtEnd = true
            findings.noteUnread()
            throw error
        }
    }

    /// The header of the first page: magic, flags, timeline, address; with the long form the cluster and its sizes.
    private func check(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count >= 40, bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self) & 2 != 0 else {
            throw wrong("does not begin as a segment does")
        }
        let address = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        let names = LSN.segments(
            from: LSN(address), to: LSN(address), timeline: UInt32(name.prefix(8), radix: 16) ?? 0, size: segmentBytes)
        guard address % segmentBytes == 0, names == [name] else {
            throw wrong("holds the WAL of another address")
        }
        guard bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self) == systemIdentifier else {
            throw wrong("is of another cluster")
        }
    }

    private func wrong(_ what: String) -> CollectorError {
        CollectorError(
            .io, "\(path) \(what)",
            hint: "Something else than the server writes to its WAL, or it was removed; nothing of this run counts.")
    }
}
