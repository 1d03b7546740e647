import Collectors
import Domain
import Synchronization
import Vault

/// The thread that walks the sources and reads their small files, ahead of the session that takes the entries in.
///
/// Invariants:
/// 1. Batches arrive in the order of the walk; the walk's own errors arrive behind the batches before them.
/// 2. As many batches are under way as the session's buffers allow, no more.
/// 3. After `next()` returned nil or threw, or `cancel()`, the thread is gone and the walk belongs to the caller again.
///
/// SAFETY: `walk` and `changes` belong to the thread until it was joined; the rest is touched inside `monitor.locked`.
final class Collecting: @unchecked Sendable {
    private let walk: SourceWalk
    private let session: BatchMaker
    private let workplace: Workplace
    /// Nil where the policy sets no limits.
    fileprivate let pace: RunPace?
    /// Bytes of large files that the progress showed while they were read, before their entries were counted.
    private let shown = Atomic(0)
    private let monitor = Monitor()
    private var ready: [EntryBatch] = []
    /// The session took in everything it was given and asks for more.
    private var wantsMore = false
    private var isDone = false
    private var isCancelled = false
    private var failure: (any Error)?
    private var thread: WorkerThread?

    /// The two things of a session that the collecting thread may use.
    ///
    /// SAFETY: `makeBatch` may be called from any thread; the detector is used by the collecting thread only.
    private struct BatchMaker: @unchecked Sendable {
        let make: () -> EntryBatch
        let changes: ChangeDetector
    }

    init(_ walk: SourceWalk, _ session: ArchiveSession, _ workplace: Workplace, _ pace: RunPace? = nil) throws {
        self.walk = walk
        self.pace = pace
        self.session = BatchMaker(make: session.makeBatch, changes: session.changes)
        self.workplace = workplace
        thread = try WorkerThread { [self] in collect() }
    }

    /// The next batch; nil at the end.
    func next() throws -> EntryBatch? {
        let batch = monitor.locked {
            while ready.isEmpty, !isDone {
                if !wantsMore {
                    wantsMore = true
                    monitor.wakeAll()
                }
                monitor.wait()
            }
            wantsMore = false
            return ready.isEmpty ? nil : ready.removeFirst()
        }
        if let batch { return batch }
        join()
        if let failure { throw failure }
        return nil
    }

    /// What was shown since the last call.
    func takeShown() -> Int { shown.exchange(0, ordering: .relaxed) }

    /// Called while a large file is read.
    fileprivate func show(_ bytes: Int) {
        shown.add(bytes, ordering: .relaxed)
        workplace.progress.bytes.add(bytes, ordering: .relaxed)
        workplace.progress.read.add(bytes, ordering: .relaxed)
    }

    /// Ends the run in the middle of a large file: what goes on from it is the last checkpoint, which knows how far the file
    /// was read. An error of the vault, because one of the source would only leave the file out.
    fileprivate func checkInterrupt() throws(VaultError) {
        if workplace.interrupt.isSet { throw VaultError(.interrupted, "interrupted") }
    }

    func cancel() {
        monitor.locked {
            isCancelled = true
            ready = []
            monitor.wakeAll()
        }
        // The thread may wait for a buffer: those that were dropped came back above.
        join()
    }

    private func join() {
        thread?.join()
        thread = nil
    }

    private func collect() {
        do { try walkAll() } catch { monitor.locked { failure = error } }
        monitor.locked {
            isDone = true
            monitor.wakeAll()
        }
    }

    private func walkAll() throws {
        var batch = session.make()
        while !workplace.interrupt.isSet, let step = try walk.next() {
            var isDue = false
            switch step {
            case .tree(let walker):
                do {
                    try take(walker, into: batch)
                } catch let error as CollectorError {
                    walk.add(PathProblem(stored: walker.entry.path, reason: error.message))
                }
            case .data(let entry, let content): try take(entry, content, into: batch)
            case .barrier:
                isDue = true
            }
            guard batch.isFull || isDue && !batch.isEmpty else {
                guard !isDue || waitUntilTaken() else { return }
                continue
            }
            pace?.breathe()
            guard hand(over: batch) else { return }
            batch = session.make()
            guard !isDue || waitUntilTaken() else { return }
        }
        if !batch.isEmpty { _ = hand(over: batch) }
    }

    private func take(_ walker: FileTreeWalker, into batch: EntryBatch) throws {
        if session.changes.isUnchanged(walker.entry) {
            batch.addUnchanged(walker.entry)
            return
        }
        guard walker.entry.kind == .file else {
            try walker.loadDetails()
            batch.add(walker.entry)
            return
        }
        let content = SourceFile(try walker.open(), self)
        try walker.loadDetails(using: content.file)
        let size = walker.entry.size
        if size == 0 {
            batch.add(walker.entry)
        } else {
            try batch.add(walker.entry, content: content, isSparse: walker.blocks * 512 < size)
        }
    }

    private func take(_ entry: Entry, _ content: (any DataContent)?, into batch: EntryBatch) throws {
        guard let content else {
            // Of a directory, links and the like every stamp is as good as another.
            batch.add(entry)
            return
        }
        if content.isKnownByStamp, session.changes.isUnchanged(entry) {
            batch.addUnchanged(entry)
            return
        }
        do {
            try batch.add(entry, content: SourceData(content, self), isSparse: false)
        } catch let error as VaultError {
            throw error
        } catch {
            walk.add(PathProblem(stored: entry.path, reason: (error as? any Failure)?.message ?? "\(error)"))
        }
    }

    /// Waits until the session took in everything; false when nobody wants more.
    private func waitUntilTaken() -> Bool {
        monitor.locked {
            while !isCancelled, !ready.isEmpty || !wantsMore { monitor.wait() }
            return !isCancelled
        }
    }

    /// False when nobody wants it any more.
    private func hand(over batch: EntryBatch) -> Bool {
        monitor.locked {
            guard !isCancelled else { return false }
            ready.append(batch)
            monitor.wakeAll()
            return true
        }
    }
}

/// A file of the source as the session reads it.
private final class SourceFile: FileContent {
    let file: OpenFile
    private let collector: Collecting

    init(_ file: consuming OpenFile, _ collector: Collecting) {
        self.file = file
        self.collector = collector
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        if offset > 0 { try collector.checkInterrupt() }
        if let pace = collector.pace { return try read(into: buffer, at: offset, pace) }
        let count = try file.read(into: buffer, at: offset)
        if count > 1 << 20 { collector.show(count) }
        return count
    }

    /// In pieces, so that a slow run goes on evenly and is seen to go on.
    private func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, _ pace: RunPace) throws -> Int {
        var done = 0
        while done < buffer.count {
            let end = min(buffer.count, done + (pace.piece ?? buffer.count))
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<end])
            let count = try file.read(into: room, at: offset + UInt64(done))
            done += count
            if buffer.count > 1 << 20 { collector.show(count) }
            pace.read(count)
            pace.breathe()
            if count < room.count { break }
        }
        return done
    }

    func nextData(from offset: UInt64) throws -> Range<UInt64>? {
        guard let start = try file.nextData(from: offset) else { return nil }
        let end = try file.nextHole(from: start)
        return end > start ? start..<end : nil
    }

    func hasChanged() throws -> Bool { try file.hasChanged() }
}

/// A file of a data source as the session reads it.
private final class SourceData: FileContent {
    private let content: any DataContent
    private let collector: Collecting

    init(_ content: any DataContent, _ collector: Collecting) {
        self.content = content
        self.collector = collector
    }

    var isStream: Bool { content.isStream }
    var chunkBytes: Int? { content.chunkBytes }
    func chunkBytes(at offset: UInt64) -> Int? { content.chunkBytes(at: offset) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        if offset > 0 { try collector.checkInterrupt() }
        let count = try content.read(into: buffer, at: offset)
        try collector.checkInterrupt()
        collector.pace?.read(count)
        collector.pace?.breathe()
        if count > 1 << 20 { collector.show(count) }
        return count
    }

    func nextData(from offset: UInt64) throws -> Range<UInt64>? { try content.nextData(from: offset) }
    func hasChanged() throws -> Bool { try content.hasChanged() }
}
