import Domain
import Glibc
import Synchronization
import Vault
import WALClient

/// Giving files back, of the spool or of the vault; what a recovery asks for next is read while it works on what it has.
extension WALDesk {
    /// So many segments are read ahead, but of large ones fewer.
    private static let aheadCount: UInt64 = 8
    private static let aheadBytes: UInt64 = 256 << 20

    /// What lies in the cache is delivered as it is; anything else is answered by a vault that was read anew.
    func fetch(_ name: WALFileName, _ systemID: UInt64, _ one: Served) throws -> (WALReply, Int32?) {
        let index = try one.spool.index()
        let known = clusters(systemID, one, index.clusters.union(fetched.clusters(of: one.source.name)))
        if let key = known.map({ WALKey(cluster: $0, file: name) }).first(where: { index.records[$0] != nil }),
            let found = try give(one.spool.path(of: key))
        {
            return found
        }
        for cluster in known {
            let file = FetchedWAL.File(one: one, systemID: systemID, cluster: cluster, name: name)
            fetched.wait(for: file)
            guard let found = try give(file.path) else { continue }
            fetched.noteUse(of: file)
            wantMore(after: file, found.0.size)
            return found
        }
        return try reading.withLock { _ in try fetchFromVault(name, systemID, one, index) }
    }

    /// Of which of them a file may be, the newest life first.
    private func clusters(_ systemID: UInt64, _ one: Served, _ known: Set<WALCluster>) -> [WALCluster] {
        known.filter { cluster in
            (systemID == 0 || cluster.systemID == systemID) && cluster.incarnation <= one.source.incarnation
        }.sorted(by: >)
    }

    private func give(_ path: String) throws -> (WALReply, Int32?)? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw LogSpool.failure("opening", path)
        }
        var info = stat()
        guard fstat(file, &info) == 0 else {
            close(file)
            throw LogSpool.failure("examining", path)
        }
        return (WALReply(.done, size: UInt64(info.st_size)), file)
    }

    // MARK: From the vault

    private func fetchFromVault(
        _ name: WALFileName, _ systemID: UInt64, _ one: Served, _ index: WALLedgerIndex
    ) throws -> (WALReply, Int32?) {
        let vault = try OpenVault(workplace(one))
        let inventory = try WALInventory(source: one.source.name, in: vault, all: keyPath != nil)
        let possible = clusters(systemID, one, index.clusters.union(inventory.pieces.map(\.cluster)))
        guard let cluster = possible.first(where: { inventory.holds(name, of: $0) }) else {
            return (try absence(name, possible, one, index, inventory), nil)
        }
        guard keyPath != nil else {
            return (WALReply(.tryAgain, "\(name.text) is in the vault, and this host has no key that reads it"), nil)
        }
        let file = FetchedWAL.File(one: one, systemID: systemID, cluster: cluster, name: name)
        let opened = FetchedWAL.Opened(vault: one.vault, reader: try vault.reader(), inventory: inventory)
        fetched.claim(file)
        var isThere = false
        defer { fetched.release(file, isThere: isThere) }
        // Another one may have read it since it was looked for.
        if access(file.path, F_OK) != 0 { try extract(file, from: opened) }
        guard let found = try give(file.path) else {
            return (WALReply(.tryAgain, "\(name.text) was read and has gone"), nil)
        }
        isThere = true
        keep(opened, one)
        wantMore(after: file, found.0.size)
        return found
    }

    private func extract(_ file: FetchedWAL.File, from opened: FetchedWAL.Opened) throws {
        try StateFile.makeDirectory(file.folder)
        try opened.inventory.extract(
            [file.name], of: file.cluster, to: file.folder, with: opened.reader, interrupt: stopping, isCache: true)
    }

    /// A recovery ends where 1 is answered, so it is only answered when nothing can follow.
    private func absence(
        _ name: WALFileName, _ clusters: [WALCluster], _ one: Served, _ index: WALLedgerIndex, _ inventory: WALInventory
    ) throws -> WALReply {
        guard inventory.unread == 0 else {
            return WALReply(.tryAgain, "the headers of \(inventory.unread) archives cannot be read without a key")
        }
        var isKnown = false
        for cluster in clusters {
            let record = index.records[WALKey(cluster: cluster, file: name)]
            if let record {
                // Of these the headers do not tell, and no recovery asks for them.
                let isNamed = name.form == .segment || name.form == .history
                let place = record.archive.map {
                    "was archived in \($0.prefix(12)), "
                        + (isNamed ? "which is gone" : "from which `qala restore` brings it")
                }
                return WALReply(.tryAgain, "\(name.text) \(place ?? "was lost")")
            }
            let size = index.coverage[cluster]?.segmentSize
            guard let size = size ?? inventory.pieces.last(where: { $0.cluster == cluster })?.segmentSize else {
                continue
            }
            var coverage = index.coverage[cluster] ?? WALCoverage(size)
            guard coverage.segmentSize == size else { continue }
            coverage.formUnion(inventory.coverage(of: cluster, size))
            isKnown = isKnown || !coverage.isEmpty
            if name.form == .history {
                // The first timeline descends from none: PostgreSQL writes no history of it, and asks for one where a recovery ends.
                if name.timeline == 1 { continue }
                if coverage.newest(of: name.timeline) != nil || coverage.histories[name.timeline] != nil {
                    return WALReply(.tryAgain, "timeline \(name.timeline) is known, and its history is missing")
                }
            } else if let segment = name.segment(size), coverage.hasLater(than: segment.number, of: name.timeline) {
                return WALReply(
                    .tryAgain, "\(name.text) is missing, and later segments of its timeline are there: a gap")
            }
        }
        guard isKnown else { return WALReply(.tryAgain, "no WAL of this cluster is known") }
        return WALReply(.absent, "\(name.text) is not there, and nothing later on its timeline")
    }

    // MARK: Ahead

    private func keep(_ opened: FetchedWAL.Opened, _ one: Served) {
        fetched.keep(opened, of: one.source.name) { self.readAhead() }
    }

    /// Has the segments behind one that was delivered read, of which `bytes` is the size.
    private func wantMore(after file: FetchedWAL.File, _ bytes: UInt64) {
        guard keyPath != nil, file.name.form == .segment, let size = WALSegmentSize(bytes),
            let segment = file.name.segment(size)
        else { return }
        let count = max(1, min(Self.aheadCount, Self.aheadBytes / size.bytes))
        let files = (1...count).compactMap { number -> FetchedWAL.File? in
            var next = file
            let name = WALSegment(timeline: segment.timeline, number: segment.number + number).name(size)
            guard let name = WALFileName(name) else { return nil }
            next.name = name
            return next
        }
        fetched.want(files, of: file.one.source.name)
    }

    /// What a thread does that reads ahead.
    private func readAhead() {
        while let file = fetched.next() {
            var isThere = false
            do { isThere = try readAhead(file) } catch {
                // Whoever asks for the file reads it himself, and is told what is wrong.
                fetched.pause(file.one.source.name)
            }
            fetched.release(file, isThere: isThere)
        }
    }

    /// False when nothing is known here of an archive that holds it.
    private func readAhead(_ file: FetchedWAL.File) throws -> Bool {
        let opened = try opened(file.one)
        let possible = clusters(file.systemID, file.one, Set(opened.inventory.pieces.map(\.cluster)))
        // Not that of an older life, which a fetch would not deliver either.
        guard possible.first(where: { opened.inventory.holds(file.name, of: $0) }) == file.cluster else { return false }
        try extract(file, from: opened)
        return true
    }

    private func opened(_ one: Served) throws -> FetchedWAL.Opened {
        try opening.withLock { _ in
            if let kept = fetched.opened(one) { return kept }
            let vault = try OpenVault(workplace(one))
            let inventory = try WALInventory(source: one.source.name, in: vault, all: true)
            let opened = FetchedWAL.Opened(vault: one.vault, reader: try vault.reader(), inventory: inventory)
            keep(opened, one)
            return opened
        }
    }
}
