package import Domain
import Glibc

// One run that makes one archive: the walk of a source goes in, entry by entry in order; chunks, pages and at the end a
// commit record come out.
//
// Invariants:
// 1. Nothing counts before the commit record is durable; it is written after every object that it names.
// 2. Memory does not grow with the number of files: pages are encoded as they fill, small files go into groups, and what
//    waits for the sealing threads is bounded by their queue and the buffer pools.
// 3. A page stays pending until the ids of all chunks it refers to are known; pages leave in order.
// 4. At a checkpoint nothing is pending but the open page: all chunks are in finished packs, which the checkpoint's
//    manifest names, and the journal says up to which entry.
//
// One thread's own; the sealing threads are behind `pool`.
package final class ArchiveSession {
    package struct Options: Sendable {
        /// zstd level of chunks.
        package var level: Int32 = 2
        package var sealingThreads = 2
        /// Seconds between checkpoints: at most this much work is lost when the run is killed.
        package var checkpointSeconds = 15.0
        package var packBytes = 64 << 20
        package var chunker = ChunkerParameters.standard
        /// Whether what this host remembers of the tree is to survive a power cut, because the next run of the source would read
        /// everything again without it.
        package var isTreeDurable = true
        /// Called by a sealing thread after each chunk, where a run is to be held up; it holds no lock then.
        package var afterWork: (@Sendable () -> Void)?
        package init() {}
    }

    enum Limits {
        /// Files up to this size are collected in groups.
        static let smallFile = 512 << 10
        /// A group is closed when it holds this many bytes.
        static let groupBytes = 1 << 20
        static let groupMembers = 4096
        /// A page is closed when its encoding reaches this many bytes.
        static let pageBytes = 192 << 10
        static let smallestPage = 24 << 10
        static let pendingPages = 12
        /// Parts of one file, at 41 bytes each in its page: a chunk id, its number, a length.
        static let extents = 400_000
        static let readBuffer = 6 << 20
        /// Entries in one batch, and bytes of small files in it.
        static let batchEntries = 512
        static let batchBytes = 1 << 20
        /// Batches under way between the collecting thread and the session's.
        static let batches = 4
    }

    package let id = Random.digest()
    let vault: Vault
    let writer: WriterIdentity
    let source: Digest
    let options: Options
    let opening: SessionOpening
    let sessionKey: SessionKey
    let pool: SealingPool
    let chunks: ChunkIndex
    let members: MemberIndex
    let identities: SealingPool.Identities
    let chunker: Chunker
    let liveSegments: [LiveSegment]
    /// Manifests that are missing or damaged. What they named does not count as held, and is stored again.
    ///
    /// That an archive made meanwhile is readable, and that none becomes unreadable later, stands on four things. It refers only to
    /// chunks that the segments above name or that it stored itself: what an earlier run left is used only where all of it
    /// is in them. Its own segment stands for its own packs and replaces none: who sees the lost manifest, or sees it
    /// again, reads the same index as if two runs had stored the same chunks beside each other. What was condemned or deleted is
    /// told by sweep lists, which are all read or the run fails. And while a manifest is lost nothing of its domain is
    /// condemned or deleted, because whoever decides that reads all of them.
    let lostManifests: [String]
    /// Condemned before this session, or deleted: nothing new may refer to what only they hold.
    let absentPacks: Set<Digest>

    /// Archives whose members the member index holds, as the file beside it says.
    var covered: Set<Digest> = []
    /// Archives whose members could not be recovered.
    var uncovered: Set<Digest> = []

    let journal: TreeCacheWriter
    private let lock: FileLock
    /// The interrupted session this one takes over.
    let resumed: (session: Digest, partial: PartialFile?)?
    /// All that interrupted runs of this source left behind, locked so that nobody else takes it: it ends with the commit.
    let leftovers: [Leftover]
    let old: OldTree
    let base: BaseTree?
    /// The old tree once more, for the thread that collects: it tells what need not be read.
    package let changes: ChangeDetector

    var page = PageBuilder()
    var pending: [PendingPage] = []
    var nodes = NodeBuilder()
    var nodeIDs: [Digest] = []
    var candidate: Candidate?
    var group: OpenGroup?
    var links: [LinkKey: LinkedContent] = [:]
    var packs: [PackSummary] = []
    /// Packs not yet named by a checkpoint of this session.
    var uncheckpointed: [Manifest.Pack] = []
    var emitted: [References.Page] = []
    var emittedBase: Set<Digest> = []
    /// The references, to be stored with what is made at the commit.
    var unstored: DigestNamed?
    var checkpoints: UInt32 = 0
    /// What went wrong after the archive was acknowledged: the next run only has more to do.
    package internal(set) var afterthought: VaultError?
    var lastCheckpoint = MonotonicTime.now()
    var totalBytes: UInt64 = 0
    let groupBuffers = BufferPool(
        bytesPerBuffer: OpenGroup.headerRoom + Limits.groupBytes + Limits.smallFile, limit: 7)
    private let batchBuffers = BufferPool(
        bytesPerBuffer: Limits.batchBytes + Limits.smallFile + 1, limit: Limits.batches)
    let readBuffers = BufferPool(bytesPerBuffer: Limits.readBuffer, limit: 3)
    private var isOver = false

    /// Told of every page in order: its id, and its bytes unless the last archive of this source held it too.
    package var onPage: ((Digest, [UInt8]?) throws -> Void)?
    /// Told when only the commit record is missing.
    package var onReady: (() throws -> Void)?

    /// The tree of the last archive of the source, as far as this host remembers it.
    struct BaseTree {
        var reader: TreeCacheReader
        var pages: Set<Digest>
        var summary: TreeSummary
    }

    struct PendingPage {
        /// Nil for a page taken over by reference.
        var builder: PageBuilder?
        var frame: TreeFrame?
        var isOfBase = false
        var firstPath: [UInt8]
        var entries: Int
    }

    /// A page of the old tree whose entries so far were all found unchanged.
    struct Candidate {
        var matched: Int
        var frame: TreeFrame
        var firstPath: [UInt8]
        var isOfBase: Bool
    }

    struct LinkKey: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    /// The content of a file with several names, as its first name was archived, and the stamp it had then.
    struct LinkedContent {
        var content: PendingContent
        var size: UInt64
        var modified: Timestamp
        var changed: Timestamp
        var isRacy: Bool
        var changedWhileRead: Bool
        var remaining: UInt32

        init(_ content: PendingContent, of entry: Entry) {
            self.content = content
            size = entry.size
            modified = entry.modified
            changed = entry.changed
            isRacy = entry.isRacy
            changedWhileRead = entry.changedWhileRead
            remaining = entry.linkCount
        }

        /// Whether another name with the stamp of `entry` stands for the very same content.
        func holds(_ entry: Entry) -> Bool {
            !changedWhileRead && size == entry.size && modified == entry.modified && changed == entry.changed
        }
    }

    /// Begins a run for `source`, taking over what an interrupted run of the same source left.
    package init(vault: Vault, source: Digest, options: Options = Options()) throws(VaultError) {
        self.vault = vault
        self.source = source
        self.options = options
        writer = try vault.writer()
        try vault.log.refresh()
        guard let domain = vault.log.keySet.currentDomain(writer.domain) else {
            throw VaultError(
                .notAllowed, "this host's domain is not in the vault",
                hint: "Enrol it again with `qala key enrol-host`.")
        }
        let secret = try Secret.random()
        let keyring = try Keyring(sealing: secret, vaultID: vault.vaultID, sessionID: id, to: domain).encode()
        let reference = try vault.store.putNamedByDigest("keyrings", keyring, vault.suite)
        sessionKey = try SessionKey(secret, vaultID: vault.vaultID, sessionID: id)

        guard let own = try FileLock(path: vault.host.lockPath(id)) else {
            throw VaultError(.conflict, "the lock of a new session is taken", hint: "Try again.")
        }
        lock = own
        leftovers = try Self.findLeftovers(vault, source, signer: writer.signing.publicKey)
        var interrupted = try Self.findInterrupted(vault, source, among: leftovers)
        let takenOver = interrupted?.session ?? .zero
        opening = SessionOpening(
            session: id, domain: writer.domain, generation: domain.generation, keyring: reference,
            commitment: sessionKey.commitment, resumes: takenOver)
        identities = SealingPool.Identities(
            hashers: try Self.identities(writer.identity, vault))
        chunker = Chunker(
            key: try KeyDerivation.identityKey(writer.identity, vaultID: vault.vaultID, index: 255),
            parameters: options.chunker)
        let opened = opening
        // Before the open record: a session that is open is found by its journal, and ended by the next run.
        journal = try TreeCacheWriter(
            path: vault.host.journalPath(source, id), vaultID: vault.vaultID, session: id)
        try vault.log.append(signing: writer.signing, time: WallTime.seconds()) { _ in .open(opened) }
        do throws(VaultError) {
            // What may be referred to is decided by the log up to the open record: only now it is known.
            if vault.log.sessions[takenOver]?.ending != .running { interrupted = nil }
            absentPacks = try vault.absentPacks(for: id, in: writer.domain)
            let found = try vault.findableSegments(of: writer.domain)
            liveSegments = found.segments
            lostManifests = found.lostManifests
            // Its pages may refer to what cannot be found any more, and it is not worth asking for each.
            if !lostManifests.isEmpty { interrupted = nil }
            chunks = ChunkIndex(segments: liveSegments.map(\.segment), absent: absentPacks)
            members = try MemberIndex(
                directory: "\(vault.host.directory)/members/\(writer.domain.hex.prefix(32))", chunks: chunks)
            let settings = PackWriter.Settings(
                suite: vault.suite, domain: writer.domain, session: sessionKey, level: options.level,
                packBytes: options.packBytes)
            base = Self.loadBase(vault, source, wholeIn: lostManifests.isEmpty ? nil : chunks)
            old = try OldTree(base: base?.reader, journal: interrupted?.journal)
            changes = ChangeDetector(
                try OldTree(base: try base?.reader.duplicate(), journal: try interrupted?.journal.duplicate()))
            resumed = interrupted.map { ($0.session, $0.journal.checkpoint.partial) }
            pool = try SealingPool(
                threads: options.sealingThreads, store: vault.store, settings: settings, identities: identities,
                chunks: chunks, afterWork: options.afterWork)
            do throws(VaultError) {
                try recoverMembers()
                try adopt(interrupted?.packs ?? [])
            } catch {
                pool.stop()
                throw error
            }
        } catch {
            let closed: Void? = try? Self.abort(opened.session, vault, writer.signing)
            if closed != nil {
                unlink(vault.host.journalPath(source, opened.session))
                unlink(vault.host.lockPath(opened.session))
            }
            throw error
        }
    }

    deinit { stop() }

    /// Whether this run continues one that was interrupted.
    package var isResumed: Bool { resumed != nil }
    package var newBytes: Int { pool.newBytes }
    package var storedBytes: Int { pool.storedBytes }
    /// Id of the archive whose tree this run is merged with.
    package var parent: Digest? { base?.reader.session }

    private static func identities(_ identity: Secret, _ vault: Vault) throws(VaultError) -> [IdentityHasher] {
        var hashers: [IdentityHasher] = []
        for index in 0...UInt8(4) {
            let key = try KeyDerivation.identityKey(identity, vaultID: vault.vaultID, index: index)
            hashers.append(IdentityHasher(suite: vault.suite, key: key))
        }
        return hashers
    }

    /// With `chunks`, only a tree of which they hold everything.
    private static func loadBase(
        _ vault: Vault, _ source: Digest, wholeIn chunks: ChunkIndex? = nil
    ) -> BaseTree? {
        guard let reader = TreeCacheReader(path: vault.host.treePath(source), vaultID: vault.vaultID),
            vault.log.sessions[reader.session]?.ending == .committed, vault.log.disposed[reader.session] == nil,
            let found = reader.summarize()
        else { return nil }
        if let chunks, !reader.isWhole(in: chunks) { return nil }
        return BaseTree(reader: reader, pages: Set(found.pages), summary: found.summary)
    }

    func resolve(_ chunk: ChunkHandle) -> Digest? {
        switch chunk {
        case .known(let id): id
        case .pending(let number): pool.id(of: number)
        }
    }

    /// An empty batch for the collecting thread; waits while as many as allowed are under way. Any thread.
    package func makeBatch() -> EntryBatch { EntryBatch(batchBuffers.take()) }

    /// Ends the sealing threads and lets go of the lock; what was not committed stays behind for the next run to resume.
    package func stop() {
        guard !isOver else { return }
        isOver = true
        pool.stop()
    }
}

/// Seconds since 1970, for information only: nothing that is kept or deleted depends on it.
package enum WallTime {
    package static func seconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(max(0, now.tv_sec))
    }

    package static func now() -> Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(seconds: Int64(now.tv_sec), nanoseconds: UInt32(now.tv_nsec))
    }
}

/// Seconds of a clock that never jumps.
package enum MonotonicTime {
    package static func now() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}
