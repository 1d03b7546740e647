import Collectors
import Domain
import Glibc
import Synchronization
import Vault

// What a restore hands from the thread that walks the archive to those that fill files.

/// A file being restored by several threads: finished by the one that writes its last part.
final class OpenTarget: Sendable {
    let file: RestoringFile
    let parts: Atomic<Int>
    /// Set once, by the thread that gave the file up; the others leave it alone.
    let isGivenUp = Atomic(false)

    init(_ file: RestoringFile, parts: Int) {
        self.file = file
        self.parts = Atomic(parts)
    }
}

/// A file that could not be filled.
struct RestoreFailure: Sendable {
    /// As stored, like that of ``RestoringFile``.
    var path: [UInt8]
    var reason: String
    var size: UInt64
    /// The vault does not hold what was stored; otherwise the target is to blame.
    var isDamage: Bool
}

/// What the threads of a restore do.
enum RestoreJob: Sendable {
    /// Small files that lie in one group.
    case members(group: Digest, files: [(target: OpenTarget, index: Int, size: UInt64)])
    case chunk(id: Digest, length: UInt64, target: OpenTarget, offset: UInt64)
    /// A file of holes only.
    case hole(target: OpenTarget)

    /// Open files that wait for this job.
    var fileCount: Int {
        switch self {
        case .members(_, let files): files.count
        case .chunk, .hole: 1
        }
    }
}

/// The threads of a restore: they read chunks and fill files.
///
/// SAFETY: everything mutable is touched inside `monitor.locked`.
final class RestoreCrew: @unchecked Sendable {
    private static let jobLimit = 24
    private static let openFileLimit = 700
    private let monitor = Monitor()
    private let workplace: Workplace
    private var queue: [RestoreJob] = []
    private var openFiles = 0
    private var isClosing = false
    private var failure: (any Error)?
    private var problems: [RestoreFailure] = []
    private var threads: [WorkerThread] = []

    init(threads count: Int, _ reader: VaultReader, _ archive: ArchiveRecord, _ workplace: Workplace) throws {
        self.workplace = workplace
        for _ in 0..<count {
            threads.append(
                try WorkerThread { [self] in
                    do {
                        let worker = try RestoreWorker(try ChunkReader(reader, for: archive), workplace.progress)
                        while let job = next() {
                            let failed = worker.perform(job)
                            done(job, failed)
                        }
                    } catch { fail(error) }
                })
        }
    }

    func submit(_ job: RestoreJob) throws {
        try monitor.locked { () throws(any Error) in
            while failure == nil, queue.count >= Self.jobLimit || openFiles + job.fileCount > Self.openFileLimit {
                monitor.wait()
            }
            if let failure { throw failure }
            queue.append(job)
            openFiles += job.fileCount
            monitor.wakeAll()
        }
    }

    private func next() -> RestoreJob? {
        monitor.locked {
            while queue.isEmpty, !isClosing { monitor.wait() }
            return queue.isEmpty ? nil : queue.removeFirst()
        }
    }

    private func done(_ job: RestoreJob, _ failed: [RestoreFailure]) {
        monitor.locked {
            openFiles -= job.fileCount
            problems += failed
            monitor.wakeAll()
        }
    }

    private func fail(_ error: any Error) {
        monitor.locked {
            failure = failure ?? error
            queue.removeAll()
            monitor.wakeAll()
        }
    }

    func cancel() {
        monitor.locked { queue.removeAll() }
        close()
    }

    private func close() {
        monitor.locked {
            isClosing = true
            monitor.wakeAll()
        }
        for thread in threads { thread.join() }
        threads = []
    }

    /// Waits for all jobs; returns what could not be restored.
    func finish() throws -> [RestoreFailure] {
        close()
        if let failure { throw failure }
        return problems
    }
}

/// One thread's way through the jobs.
final class RestoreWorker {
    private let chunks: ChunkReader
    private let progress: Progress

    init(_ chunks: ChunkReader, _ progress: Progress) throws {
        self.chunks = chunks
        self.progress = progress
    }

    /// Returns the files that could not be filled: they are discarded, never left half right under their name.
    func perform(_ job: RestoreJob) -> [RestoreFailure] {
        var failed: [RestoreFailure] = []
        switch job {
        case .members(let id, let files):
            do {
                let group = try chunks.group(id)
                defer { withExtendedLifetime(group) {} }
                for (target, index, size) in files {
                    attempt(target, &failed) {
                        let bytes = try group.member(index)
                        guard UInt64(bytes.count) == size else {
                            throw OperationError(.damaged, "its content has another length than its entry")
                        }
                        try target.file.write(bytes, at: 0)
                        try target.file.finish()
                        progress.bytes.add(bytes.count, ordering: .relaxed)
                    }
                }
            } catch {
                for (target, _, _) in files { attempt(target, &failed) { throw error } }
            }
        case .chunk(let id, let length, let target, let offset):
            attempt(target, &failed) {
                try target.file.write(try chunks.data(id, length: length), at: offset)
                progress.bytes.add(Int(length), ordering: .relaxed)
                if target.parts.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                    try target.file.finish()
                }
            }
        case .hole(let target): attempt(target, &failed) { try target.file.finish() }
        }
        return failed
    }

    private func attempt(_ target: OpenTarget, _ failed: inout [RestoreFailure], _ body: () throws -> Void) {
        if target.isGivenUp.load(ordering: .relaxed) { return }
        do { try body() } catch {
            guard !target.isGivenUp.exchange(true, ordering: .relaxed) else { return }
            target.file.discard()
            let failure = error as? any Failure
            failed.append(
                RestoreFailure(
                    path: target.file.path, reason: failure?.message ?? "\(error)", size: target.file.size,
                    isDamage: failure?.kind == .damaged))
        }
    }
}
