import Collectors
import Domain
import Glibc
import Synchronization
import Vault

// What a restore hands from the thread that walks the archive to those that fill files.

/// A file being restored by several threads: finished by the one that writes its last part.
final class OpenTarget: Sendable {
    let file: any FillableFile
    let parts: Atomic<Int>
    /// Set once, by the thread that gave the file up; the others leave it alone.
    let isGivenUp = Atomic(false)

    init(_ file: any FillableFile, parts: Int) {
        self.file = file
        self.parts = Atomic(parts)
    }
}

/// A file that could not be filled.
struct RestoreFailure: Sendable {
    /// As that of ``FillableFile``.
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
    /// Of a file that is there already, a run that is to read as zeros.
    case zeros(target: OpenTarget, offset: UInt64, length: UInt64)
    /// A file of holes only.
    case hole(target: OpenTarget)

    /// Open files that wait for this job.
    var fileCount: Int {
        switch self {
        case .members(_, let files): files.count
        case .chunk, .zeros, .hole: 1
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
            // Who waits for room is woken when there is some to fill, not for each place.
            let hasRoom = queue.count <= Self.jobLimit / 2 && openFiles <= Self.openFileLimit / 2
            if hasRoom || queue.isEmpty { monitor.wakeAll() }
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

/// Hands the content of files to a crew, small files of one group together.
struct ContentQueue {
    private static let membersPerJob = 64
    private let crew: RestoreCrew
    private let workplace: Workplace
    private var batch: (group: Digest, files: [(target: OpenTarget, index: Int, size: UInt64)])?

    init(_ crew: RestoreCrew, _ workplace: Workplace) {
        self.crew = crew
        self.workplace = workplace
    }

    mutating func add(_ file: any FillableFile, _ content: Content) throws {
        switch content {
        case .none: try file.finish()
        case .member(let group, let index):
            if let open = batch, open.group != group || open.files.count >= Self.membersPerJob { try flush() }
            if batch == nil { batch = (group, []) }
            batch?.files.append((OpenTarget(file, parts: 1), index, file.size))
        case .extents(let extents):
            try flush()
            try submit(extents, of: file)
        }
    }

    /// To be called after the last file.
    mutating func flush() throws {
        guard let full = batch else { return }
        batch = nil
        try crew.submit(.members(group: full.group, files: full.files))
    }

    private func submit(_ extents: [Extent], of file: any FillableFile) throws {
        // A new file has holes where nothing is written.
        let hasOldContent = file is KeptFile
        let parts = hasOldContent ? extents.count : extents.count { $0.chunk != nil }
        let target = OpenTarget(file, parts: parts)
        if parts == 0 { try crew.submit(.hole(target: target)) }
        var offset: UInt64 = 0
        for extent in extents {
            try RestoreTrees.checkInterrupt(workplace)
            if let chunk = extent.chunk {
                try crew.submit(.chunk(id: chunk, length: extent.length, target: target, offset: offset))
            } else if hasOldContent {
                try crew.submit(.zeros(target: target, offset: offset, length: extent.length))
            }
            offset += extent.length
        }
    }
}

/// One thread's way through the jobs.
final class RestoreWorker {
    private static let zeros = [UInt8](repeating: 0, count: 1 << 16)
    private let chunks: ChunkReader
    private let progress: Progress
    /// For what is there already.
    private var present = RawBuffer(count: 1 << 18)

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
                        try fill(target.file, 0, size, isRight: { Self.areEqual($0, bytes) }, with: { bytes })
                        try target.file.finish()
                    }
                }
            } catch {
                for (target, _, _) in files { attempt(target, &failed) { throw error } }
            }
        case .chunk(let id, let length, let target, let offset):
            attempt(target, &failed) {
                try fill(
                    target.file, offset, length, isRight: { chunks.isData(id, $0) },
                    with: { try chunks.data(id, length: length) })
                try endPart(of: target)
            }
        case .zeros(let target, let offset, let length):
            attempt(target, &failed) {
                try clear(target.file, offset, length)
                try endPart(of: target)
            }
        case .hole(let target): attempt(target, &failed) { try target.file.finish() }
        }
        return failed
    }

    private func endPart(of target: OpenTarget) throws {
        guard target.parts.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        try target.file.finish()
    }

    /// Writes a part of a file; of one that is there already, only when it has another content. `content` is not asked for
    /// otherwise: the vault is not read for what is there.
    private func fill(
        _ file: any FillableFile, _ offset: UInt64, _ length: UInt64,
        isRight: (UnsafeRawBufferPointer) -> Bool, with content: () throws -> UnsafeRawBufferPointer
    ) throws {
        defer { progress.bytes.add(Int(length), ordering: .relaxed) }
        if let kept = file as? KeptFile {
            if kept.isDecided { return }
            // A longer part is in no vault; reading it will say so.
            if length <= UInt64(ChunkReader.dataLimit) {
                let count = Int(length)
                if present.bytes.count < count { present = RawBuffer(count: count) }
                let buffer = UnsafeMutableRawBufferPointer(rebasing: present.bytes[..<count])
                if try kept.holds(at: offset, buffer, isRight) { return }
            }
            guard kept.noteDifference() else { return }
        }
        try file.write(try content(), at: offset)
    }

    private func clear(_ file: any FillableFile, _ offset: UInt64, _ length: UInt64) throws {
        try Self.zeros.withUnsafeBytes { zeros in
            var done: UInt64 = 0
            while done < length {
                let part = UnsafeRawBufferPointer(rebasing: zeros[..<Int(min(length - done, UInt64(zeros.count)))])
                try fill(
                    file, offset + done, UInt64(part.count), isRight: { Self.areEqual($0, part) }, with: { part })
                done += UInt64(part.count)
            }
        }
    }

    private static func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        guard let x = a.baseAddress, let y = b.baseAddress else { return true }
        return memcmp(x, y, a.count) == 0
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
