package import Domain
import Glibc
import Vault

/// Which WAL of a source the archives of a vault hold, as their headers tell: nothing else is needed to know it.
package struct WALInventory: Sendable {
    struct Piece: Sendable {
        var archive: ArchiveRecord
        var cluster: WALCluster
        var segmentSize: WALSegmentSize?
        var runs: [WALFacts.Run]
        var histories: [WALTimelineHistory]

        func holds(_ file: WALFileName) -> Bool {
            switch file.form {
            case .history: histories.contains { $0.timeline == file.timeline }
            case .segment:
                segmentSize.flatMap { file.segment($0) }.map { segment in
                    runs.contains { $0.first.timeline == segment.timeline && $0.range.contains(segment.number) }
                } ?? false
            // Nobody asks for these by name.
            case .partial, .backup: false
            }
        }
    }

    package let source: String
    /// Oldest first.
    let pieces: [Piece]
    /// Archives whose headers could not be read, so that nothing is known of them.
    package let unread: Int

    /// With `all`, headers that this host does not remember are read with the key.
    init(source: String, in open: OpenVault, all: Bool) throws {
        self.source = source
        var pieces: [Piece] = []
        var unread = 0
        for (archive, header) in try open.headers(all: all) {
            guard let header else {
                unread += 1
                continue
            }
            pieces += (header.sources ?? []).compactMap { Self.piece($0, archive, source) }
        }
        self.pieces = pieces
        self.unread = unread
    }

    private static func piece(_ facts: SourceFacts, _ archive: ArchiveRecord, _ source: String) -> Piece? {
        guard facts.kind == DataSource.Kind.wal.rawValue, facts.name == source,
            let systemID = facts.facts["system-identifier"].flatMap({ UInt64($0) }), systemID > 0,
            let incarnation = facts.facts["incarnation"].flatMap({ Int($0) }),
            WALCluster.incarnations.contains(incarnation)
        else { return nil }
        let size = facts.facts["wal-segment-bytes"].flatMap { UInt64($0) }.flatMap { WALSegmentSize($0) }
        let runs = size.flatMap { size in facts.facts["ranges"].flatMap { WALFacts.runs($0, size) } } ?? []
        let histories = facts.facts.compactMap { name, text -> WALTimelineHistory? in
            guard name.hasPrefix("history-"), let timeline = UInt32(name.dropFirst("history-".count)) else {
                return nil
            }
            return WALFacts.history(timeline, text)
        }
        return Piece(
            archive: archive, cluster: WALCluster(systemID: systemID, incarnation: incarnation), segmentSize: size,
            runs: runs, histories: histories)
    }

    /// The whole base archives of a system that this host remembers.
    static func bases(of systemID: UInt64, in open: OpenVault) throws -> [RecoveryBase] {
        try open.headers(all: false).flatMap { $0.header?.sources ?? [] }.compactMap { RecoveryBase($0) }
            .filter { $0.systemID == systemID }
    }

    /// The lives of a system, newest first.
    package func clusters(of systemID: UInt64) -> [WALCluster] {
        Set(pieces.map(\.cluster)).filter { $0.systemID == systemID }.sorted(by: >)
    }

    package func coverage(of cluster: WALCluster, _ size: WALSegmentSize) -> WALCoverage {
        var coverage = WALCoverage(size)
        for piece in pieces where piece.cluster == cluster {
            for history in piece.histories { coverage.insert(history) }
            guard piece.segmentSize == size else { continue }
            for run in piece.runs { coverage.insert(timeline: run.first.timeline, run.range) }
        }
        return coverage
    }

    func holds(_ file: WALFileName, of cluster: WALCluster) -> Bool {
        pieces.contains { $0.cluster == cluster && $0.holds(file) }
    }

    // MARK: Reading

    /// Writes the files to `folder`, each complete under its name, and synced unless that is a cache; throws when one cannot be
    /// had. Returns when each was written by PostgreSQL.
    @discardableResult
    func extract(
        _ wanted: [WALFileName], of cluster: WALCluster, to folder: String, with reader: VaultReader,
        interrupt: InterruptFlag, isCache: Bool = false
    ) throws -> [WALFileName: Timestamp] {
        var times: [WALFileName: Timestamp] = [:]
        var rest = Set(wanted)
        // The newest archive of a file counts; all that it has are read in one pass.
        for piece in pieces.reversed() where piece.cluster == cluster {
            let here = rest.filter { piece.holds($0) }
            guard !here.isEmpty else { continue }
            let tree = try ArchiveReader(reader, piece.archive)
            let chunks = try ChunkReader(reader, for: piece.archive)
            try forEachFile(in: tree, here) { name, page in
                let path = "\(folder)/\(name.text)"
                let file = try LogSpoolFile(making: path + ".new")
                do {
                    try Self.write(name, of: cluster, to: file) { body in
                        try tree.read(page.content, with: chunks) { piece in
                            if interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                            try body(piece)
                        }
                    }
                    if !isCache { try file.sync() }
                    guard rename(file.path, path) == 0 else { throw LogSpool.failure("renaming", file.path) }
                } catch {
                    unlink(file.path)
                    throw error
                }
                times[name] = page.modified
                rest.remove(name)
            }
        }
        guard rest.isEmpty else {
            let names = rest.map(\.text).sorted()
            throw OperationError(
                .notFound, "\(names.count) WAL files are not in the archives that should hold them, first \(names[0])",
                hint: "Run `qala verify`.")
        }
        if !wanted.isEmpty, !isCache { try WALSpool.sync(folder) }
        return times
    }

    /// When PostgreSQL wrote a segment, in seconds since 1970.
    func written(_ segment: WALFileName, of cluster: WALCluster, with open: OpenVault) throws -> Int64? {
        for piece in pieces.reversed() where piece.cluster == cluster && piece.holds(segment) {
            var time: Int64?
            try forEachFile(in: try ArchiveReader(try open.reader(), piece.archive), [segment]) { _, page in
                time = page.modified.seconds
            }
            if let time { return time }
        }
        return nil
    }

    private func forEachFile(
        in tree: ArchiveReader, _ wanted: Set<WALFileName>, _ body: (WALFileName, PageCursor) throws -> Void
    ) throws {
        let root = Array("@\(DataSource.Kind.wal.rawValue)/\(source)".utf8)
        try tree.forEachEntry(under: root) { page in
            guard page.kind == .file, let last = page.path.split(separator: 0x2F).last,
                let name = WALFileName(String(decoding: last, as: UTF8.self)), wanted.contains(name)
            else { return true }
            try body(name, page)
            return true
        }
    }

    /// `content` gives the pieces of the file in order.
    private static func write(
        _ name: WALFileName, of cluster: WALCluster, to file: LogSpoolFile,
        _ content: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        var head: [UInt8] = []
        try content { piece in
            if head.count < WALPageHeader.byteCount { head += piece.prefix(8192) }
            try file.append(piece)
        }
        guard name.form == .segment else { return }
        let header = try? WALPageHeader(head)
        guard let header, header.systemID == cluster.systemID,
            header.objection(to: name, size: UInt64(file.length)) == nil
        else {
            throw OperationError(
                .damaged, "the archived \(name.text) is not the segment that its name says",
                hint: "Run `qala verify --read-data`.")
        }
    }
}
