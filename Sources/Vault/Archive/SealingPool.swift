import Domain

/// The threads that identify, compress, seal and write the chunks of one session.
///
/// Invariants:
/// 1. Each thread has its own open pack and its own contexts: they share only the queue and the chunk index.
/// 2. A chunk that another chunk of the domain equals is written once; its number still resolves to its id.
/// 3. The first failure stops all of them; it is thrown from the next call of the session.
///
/// SAFETY: everything mutable is touched inside `monitor.locked`, but for the pack writers: each belongs to its thread until
/// the queue was drained, then to the caller of `finishPacks`, which lends each to one thread at most, with the monitor ordering the
/// two.
final class SealingPool: @unchecked Sendable {
    struct Job: Sendable {
        /// Who asks for the id later; nil where the submitter knows it.
        var number: Int?
        var kind: ChunkKind
        var lease: BufferPool.Lease?
        var owned: [UInt8] = []
        var range: Range<Int>
        /// Given where the submitter computed it already.
        var id: Digest?
        var members: [Digest] = []
    }

    struct Identities: Sendable {
        var hashers: [IdentityHasher]
        subscript(kind: ChunkKind) -> IdentityHasher { hashers[Int(kind.rawValue)] }
        /// Of the members of groups.
        var member: IdentityHasher { hashers[0] }
    }

    /// Above what one read brings, so that the threads have work while the next is made; the buffers bound the memory.
    private static let queueLimit = 64
    private let monitor = Monitor()
    private let chunks: ChunkIndex
    private let identities: Identities
    private let writers: [PackWriter]
    private let afterWork: (@Sendable () -> Void)?
    private var threads: [WorkerThread] = []
    private var queue: [Job] = []
    private var busy = 0
    private var isStopping = false
    private var ids: [Digest?] = []
    private var failure: VaultError?
    private var newBytesCount = 0
    private var storedBytesCount = 0

    init(
        threads count: Int, store: any Store, settings: PackWriter.Settings, identities: Identities,
        chunks: ChunkIndex, afterWork: (@Sendable () -> Void)? = nil
    ) throws(VaultError) {
        self.chunks = chunks
        self.afterWork = afterWork
        self.identities = identities
        var writers: [PackWriter] = []
        for _ in 0..<count { writers.append(try PackWriter(store: store, settings: settings)) }
        self.writers = writers
        for writer in writers {
            let box = Unchecked(writer)
            threads.append(try WorkerThread { [self] in work(box.value) })
        }
    }

    /// SAFETY: hands a pack writer to the one thread that uses it.
    private struct Unchecked: @unchecked Sendable {
        let value: PackWriter
        init(_ value: PackWriter) { self.value = value }
    }

    /// Plain bytes that were new, and sealed bytes written for them.
    var newBytes: Int { monitor.locked { newBytesCount } }
    var storedBytes: Int { monitor.locked { storedBytesCount } }

    func reserveNumber() -> Int {
        monitor.locked {
            ids.append(nil)
            return ids.count - 1
        }
    }

    func submit(_ job: Job) throws(VaultError) {
        try monitor.locked { () throws(VaultError) in
            while queue.count >= Self.queueLimit, failure == nil { monitor.wait() }
            if let failure { throw failure }
            queue.append(job)
            monitor.wakeAll()
        }
    }

    func id(of number: Int) -> Digest? { monitor.locked { ids[number] } }

    /// Waits until everything submitted is in a pack.
    func drain() throws(VaultError) {
        try monitor.locked { () throws(VaultError) in
            while failure == nil, !queue.isEmpty || busy > 0 { monitor.wait() }
            if let failure { throw failure }
        }
    }

    /// After ``drain()``: makes the open packs durable and returns all that were finished since the last call.
    func finishPacks() throws(VaultError) -> [PackSummary] {
        try Together.run(writers.map { Self.finishing($0) })
        return writers.flatMap { $0.takeFinished() }
    }

    private static func finishing(_ writer: PackWriter) -> @Sendable () throws(VaultError) -> Void {
        let lent = Unchecked(writer)
        @Sendable func work() throws(VaultError) { try lent.value.finish() }
        return work
    }

    /// Stops the threads; what is queued is dropped. Call once before letting go.
    func stop() {
        monitor.locked {
            isStopping = true
            queue.removeAll()
            monitor.wakeAll()
        }
        for thread in threads { thread.join() }
        threads = []
    }

    private func work(_ writer: PackWriter) {
        while let job = nextJob() {
            let bytes: UnsafeRawBufferPointer? = job.lease.map { $0.buffer.slice(job.range) }
            do throws(VaultError) {
                if let bytes {
                    try process(job, bytes, writer)
                } else {
                    try job.owned.withBytes { (raw) throws(VaultError) in try process(job, raw, writer) }
                }
            } catch {
                monitor.locked {
                    if failure == nil { failure = error }
                    monitor.wakeAll()
                }
            }
            monitor.locked {
                busy -= 1
                if busy == 0, queue.isEmpty { monitor.wakeAll() }
            }
            afterWork?()
        }
    }

    private func nextJob() -> Job? {
        monitor.locked {
            while queue.isEmpty, !isStopping { monitor.wait() }
            guard !isStopping, !queue.isEmpty else { return nil }
            busy += 1
            let job = queue.removeFirst()
            // Who waits for room is woken when there is some to fill, not for each place.
            if queue.count == Self.queueLimit / 2 { monitor.wakeAll() }
            return job
        }
    }

    private func process(
        _ job: Job, _ bytes: UnsafeRawBufferPointer, _ writer: PackWriter
    ) throws(VaultError) {
        let id = job.id ?? identities[job.kind].identity(of: bytes)
        if let number = job.number { monitor.locked { ids[number] = id } }
        guard chunks.claim(id) else { return }
        let stored = try writer.add(bytes, kind: job.kind, id: id, members: job.members)
        monitor.locked {
            newBytesCount += bytes.count
            storedBytesCount += stored
        }
    }
}
