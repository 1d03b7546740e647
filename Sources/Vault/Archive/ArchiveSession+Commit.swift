import Domain
import Glibc

extension ArchiveSession {
    // MARK: Pages

    func closePageIfFull() throws(VaultError) {
        // A page boundary of the old tree is kept where it comes by, so that unchanged pages meet their like again.
        if page.byteCount >= Limits.pageBytes { try closePage() }
    }

    func closePage() throws(VaultError) {
        guard !page.isEmpty else { return }
        pending.append(
            PendingPage(builder: page, frame: nil, firstPath: page.firstPath, entries: page.entryCount))
        page = PageBuilder()
        try finishPages()
    }

    /// Hands on pages from the front while all their chunks have ids.
    func finishPages() throws(VaultError) {
        if pending.count > Limits.pendingPages { try closeGroup() }
        var done = 0
        while done < pending.count {
            let next = pending[done]
            if let builder = next.builder {
                guard builder.chunks.allSatisfy({ resolve($0) != nil }) else { break }
                try emit(builder)
            } else if let frame = next.frame {
                try adopt(frame, next)
            }
            done += 1
        }
        pending.removeFirst(done)
    }

    private func emit(_ builder: PageBuilder) throws(VaultError) {
        let (bytes, ids) = builder.encode { resolve($0) ?? .zero }
        let id = identities[.page].identity(of: bytes)
        try pool.submit(
            SealingPool.Job(number: nil, kind: .page, lease: nil, owned: bytes, range: 0..<bytes.count, id: id))
        try journal.append(.page, id: id, entries: builder.entryCount, plain: bytes)
        try finish(id, ids, builder.firstPath, builder.entryCount, bytes: bytes)
    }

    private func adopt(_ frame: TreeFrame, _ next: PendingPage) throws(VaultError) {
        try journal.append(frame)
        if next.isOfBase {
            emittedBase.insert(frame.id)
            try addNode(frame.id, next.firstPath, next.entries)
            try tell(frame.id, nil)
        } else {
            let bytes = try frame.plain(try Decompressor())
            try finish(frame.id, try PageCursor(bytes).chunks, next.firstPath, next.entries, bytes: bytes)
        }
    }

    private func finish(
        _ id: Digest, _ ids: [Digest], _ firstPath: [UInt8], _ entries: Int, bytes: [UInt8]
    ) throws(VaultError) {
        if base?.pages.contains(id) == true {
            emittedBase.insert(id)
        } else {
            emitted.append(References.Page(id: id, chunks: ids))
        }
        try addNode(id, firstPath, entries)
        try tell(id, bytes)
    }

    private func tell(_ id: Digest, _ bytes: [UInt8]?) throws(VaultError) {
        try tell { try onPage?(id, bytes) }
    }

    private func tell(_ call: () throws -> Void) throws(VaultError) {
        do {
            try call()
        } catch {
            throw VaultError(
                .io, "the catalog could not be written", hint: "Check the disk of the host state.",
                underlying: "\(error)")
        }
    }

    private func addNode(_ id: Digest, _ firstPath: [UInt8], _ entries: Int) throws(VaultError) {
        try nodes.add(NodeChild(firstPath: firstPath, id: id, entries: UInt64(entries)), emit: emitNode)
    }

    private func emitNode(_ bytes: [UInt8]) throws(VaultError) -> Digest {
        let id = identities[.node].identity(of: bytes)
        nodeIDs.append(id)
        try pool.submit(
            SealingPool.Job(number: nil, kind: .node, lease: nil, owned: bytes, range: 0..<bytes.count, id: id))
        return id
    }

    // MARK: Checkpoints

    func checkpointIfDue(_ file: LargeFile?) throws(VaultError) {
        guard MonotonicTime.now() - lastCheckpoint >= options.checkpointSeconds else { return }
        try checkpoint(file)
    }

    /// Makes everything so far survive the end of this process.
    package func checkpoint() throws(VaultError) { try checkpoint(nil) }

    private func checkpoint(_ file: LargeFile?) throws(VaultError) {
        try settle()
        guard !uncheckpointed.isEmpty else {
            lastCheckpoint = MonotonicTime.now()
            return
        }
        var manifest = Manifest(session: id)
        manifest.packs = uncheckpointed
        let reference = try vault.store.putNamedByDigest("manifests", manifest.encode(), vault.suite)
        checkpoints += 1
        let number = checkpoints
        if !page.isEmpty {
            let (bytes, _) = page.encode { resolve($0) ?? .zero }
            try journal.append(.tail, entries: page.entryCount, plain: bytes)
        }
        let partial = file.map { file in
            PartialFile(
                path: file.entry.path, device: file.entry.device, inode: file.entry.inode,
                modified: file.entry.modified, changed: file.entry.changed, size: file.entry.size,
                extents: file.extents.map { Extent(length: $0.length, chunk: $0.chunk.flatMap(resolve)) })
        }
        try journal.append(.checkpoint, plain: TreeCheckpoint(number: number, partial: partial).encode())
        try journal.sync()
        let session = id
        try vault.log.append(signing: writer.signing, time: WallTime.seconds()) { _ in
            .checkpoint(session: session, number: number, manifest: reference)
        }
        uncheckpointed = []
        lastCheckpoint = MonotonicTime.now()
    }

    /// Waits until everything handed on is in finished packs and every closed page went out.
    private func settle() throws(VaultError) {
        try closeGroup()
        try pool.drain()
        try finishPages()
        try pool.drain()
        let finished = try pool.finishPacks()
        packs += finished
        guard packs.count <= Manifest.mostPacks else {
            throw VaultError(
                .limit, "one archive cannot have more than \(Manifest.mostPacks) packs",
                hint: "Archive the source in parts, by policies of their own.")
        }
        uncheckpointed += finished.map(\.pack)
    }

    // MARK: Commit

    /// Makes the archive: objects, then the commit record, then what this host remembers.
    package func commit(_ header: ArchiveHeader) throws(VaultError) -> ArchiveRecord {
        try breakCandidate()
        try closePage()
        try closeGroup()
        try pool.drain()
        try finishPages()
        let (root, level) = try nodes.finish(emit: emitNode)
        try settle()
        let references = try storeReferences()
        var header = header
        header.added = pool.storedBytes
        let sealed = try sessionKey.sealHeader(try header.encode())
        try tell { try onReady?() }
        let number = try appendCommit(root, level, references, sealed)
        do throws(VaultError) {
            try remember(TreeSummary(root: root, level: level, references: references.digest, nodes: nodeIDs))
        } catch {
            // Not a failure of the run: the archive is acknowledged. A log that was exchanged is told all the same.
            if error.code == .rolledBack { throw error }
            afterthought = error
        }
        guard let record = vault.log.archives.last(where: { $0.number == number }) else {
            throw .damaged("the commit record \(number) is not in the log")
        }
        return record
    }

    /// Writes manifest and commit record. What was condemned or deleted decides the order in the segment, so that it can be made
    /// again: when such a record comes in between, both are made anew.
    private func appendCommit(
        _ root: Digest, _ level: UInt8, _ references: ObjectReference, _ header: [UInt8]
    ) throws(VaultError) -> UInt64 {
        while true {
            try vault.log.refresh()
            let seen = vault.log.sweepRecords
            var manifest = Manifest(session: id)
            manifest.packs = packs.map(\.pack)
            var made: (segment: DigestNamed, replaced: [Digest])?
            do throws(VaultError) {
                made = try makeSegment(joining: true)
            } catch {
                guard error.kind == .damaged else { throw error }
                // Swept in this moment, or damaged long ago: segments are joined only to keep them few.
                try vault.log.refresh()
                if vault.log.sweepRecords != seen { continue }
                made = try makeSegment(joining: false)
            }
            if let made {
                manifest.segments = [Manifest.Segment(object: made.segment.reference, replaced: made.replaced)]
            }
            manifest.references = references
            let named = DigestNamed("manifests", manifest.encode(), vault.suite)
            try store([unstored, made?.segment, named].compactMap(\.self))
            unstored = nil
            let commit = SessionCommit(
                session: id, manifest: named.reference, root: root, level: level, entries: nodes.entries,
                bytes: totalBytes, header: header)
            var isOutdated = false
            do throws(VaultError) {
                return try vault.log.append(signing: writer.signing, time: WallTime.seconds()) {
                    log throws(VaultError) in
                    isOutdated = log.sweepRecords != seen
                    if isOutdated { throw VaultError(.conflict, "the vault was swept meanwhile", hint: "Try again.") }
                    return .commit(commit)
                }
            } catch {
                guard isOutdated else { throw error }
            }
        }
    }

    /// The archive exists: what follows only helps the next run, and is rebuilt when it is lost.
    private func remember(_ summary: TreeSummary) throws(VaultError) {
        stop()
        try journal.append(.end, plain: summary.encode())
        try journal.publish(as: vault.host.treePath(source), isDurable: options.isTreeDurable)
        try members.spill(resolve)
        try saveCovered()
        try vault.pinHead()
        for session in leftovers.map(\.session) {
            try abort(session)
            unlink(vault.host.journalPath(source, session))
            unlink(vault.host.lockPath(session))
        }
        unlink(vault.host.lockPath(id))
    }

    /// One segment for this session's packs, nil where there are none; small live ones are joined to it, so that their number stays
    /// small.
    private func makeSegment(joining: Bool) throws(VaultError) -> (segment: DigestNamed, replaced: [Digest])? {
        guard !packs.isEmpty else { return nil }
        let fates = try vault.fates(of: writer.domain)
        var rows: [PackSummary] = []
        var replaced: [Digest] = []
        // A segment that takes the place of others must say all that they say, also in the eyes of who sees more manifests.
        if joining, lostManifests.isEmpty, liveSegments.count >= 8 {
            for joined in liveSegments where joined.segment.count <= 1 << 18 {
                replaced.append(joined.digest)
                rows += try vault.summaries(of: joined, fates)
            }
        }
        rows = IndexSegment.inOrder(rows + packs, fates) { $0.pack.id }
        let bytes = IndexSegment.encode(domain: writer.domain, packs: rows)
        return (DigestNamed("index", bytes, vault.suite), replaced)
    }

    /// The session stands among the dropped pages, first of them: so no two sessions make the same object, and what was deleted
    /// once is never needed again. See `docs/format.md` §9. A small one is only kept in ``unstored``.
    private func storeReferences() throws(VaultError) -> ObjectReference {
        var references = References(base: base?.summary.references ?? .zero)
        references.dropped = [id]
        if let base {
            references.dropped += base.pages.subtracting(emittedBase).sorted()
            let nodes = Set(nodeIDs)
            references.dropped += Set(base.summary.nodes).subtracting(nodes).sorted()
            references.pages = emitted
            references.pages += nodes.subtracting(base.summary.nodes).sorted().map { .init(id: $0, chunks: []) }
        } else {
            references.pages = emitted + Set(nodeIDs).sorted().map { .init(id: $0, chunks: []) }
        }
        let bytes = references.encode()
        guard bytes.count <= References.byteLimit else {
            throw VaultError(
                .limit, "one archive cannot refer to so many chunks",
                hint: "Archive the source in parts, by policies of their own.")
        }
        let named = DigestNamed("refs", bytes, vault.suite)
        if named.isSmall { unstored = named } else { try named.put(into: vault.store) }
        return named.reference
    }

    /// Each waits for the disk, and none for another: only the commit record, which comes behind them, needs all to be there.
    private func store(_ objects: [DigestNamed]) throws(VaultError) {
        let store = vault.store
        let works = objects.map { $0.putting(into: store) }
        if options.sealingThreads > 1 { return try Together.run(works) }
        for work in works { try work() }
    }

    /// Gives up without an archive; what was sealed becomes garbage.
    package func abort() throws(VaultError) {
        stop()
        try abort(id)
        unlink(vault.host.journalPath(source, id))
        unlink(vault.host.lockPath(id))
    }

    private func abort(_ session: Digest) throws(VaultError) { try Self.abort(session, vault, writer.signing) }

    static func abort(_ session: Digest, _ vault: Vault, _ signing: SigningKey) throws(VaultError) {
        do throws(VaultError) {
            try vault.log.append(signing: signing, time: WallTime.seconds()) { _ in .abort(session: session) }
        } catch {
            // Fenced or committed meanwhile: it has ended all the same.
            if vault.log.sessions[session]?.ending == .running { throw error }
        }
    }
}
