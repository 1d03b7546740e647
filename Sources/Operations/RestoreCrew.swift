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
    /// Nil where it could not even be made, which is among the problems of the restorer.
    var reason: String?
    var size: UInt64
    /// The vault does not hold what was stored; otherwise the target is to blame.
    var isDamage: Bool
}

/// What files that wait to be filled take up.
struct RestoreLoad: Sendable {
    var files = 0
    /// At most so many are open for them.
    var descriptors = 0

    static func + (one: RestoreLoad, other: RestoreLoad) -> RestoreLoad {
        RestoreLoad(files: one.files + other.files, descriptors: one.descriptors + other.descriptors)
    }

    static func - (one: RestoreLoad, other: RestoreLoad) -> RestoreLoad {
        RestoreLoad(files: one.files - other.files, descriptors: one.descriptors - other.descriptors)
    }

    func isWithin(_ limit: RestoreLoad) -> Bool { files <= limit.files && descriptors <= limit.descriptors }
}

/// Small files for one thread, in the order of the archive.
///
/// About as many as a group holds: a thread that has opened one fills what lies in it, and works in directories where the
/// others do not, which the system lets one thread change at a time.
struct SmallFiles: Sendable {
    private static let byteLimit: UInt64 = 1 << 20
    private static let loadLimit = RestoreLoad(files: RestoreCrew.filesPerJob - 1, descriptors: 127)

    /// An empty file is no member of a group.
    private(set) var files: [(file: any FillableFile, member: (group: Digest, index: Int)?)] = []
    private(set) var load = RestoreLoad()
    private var bytes: UInt64 = 0

    var isFull: Bool { bytes >= Self.byteLimit || !load.isWithin(Self.loadLimit) }

    mutating func append(_ file: any FillableFile, _ member: (group: Digest, index: Int)?) {
        load = load + RestoreLoad(files: 1, descriptors: file.heldDescriptors(beside: files.last?.file))
        bytes = bytes.addingClamped(file.size)
        files.append((file, member))
    }
}

/// What the threads of a restore do.
enum RestoreJob: Sendable {
    case small(SmallFiles)
    case chunk(id: Digest, length: UInt64, target: OpenTarget, offset: UInt64)
    /// Of a file that is there already, a run that is to read as zeros.
    case zeros(target: OpenTarget, offset: UInt64, length: UInt64)
    /// A file of holes only.
    case hole(target: OpenTarget)

    var load: RestoreLoad {
        switch self {
        case .small(let files): files.load
        // The file and its directory.
        case .chunk, .zeros, .hole: RestoreLoad(files: 1, descriptors: 2)
        }
    }
}

/// The threads of a restore: they read chunks, and make and fill files.
///
/// SAFETY: everything mutable is touched inside `monitor.locked`.
final class RestoreCrew: @unchecked Sendable {
    static let filesPerJob = 256
    private static let jobLimit = 24
    private let monitor = Monitor()
    private let workplace: Workplace
    private let loadLimit: RestoreLoad
    private var queue: [RestoreJob] = []
    /// Of the jobs that wait and of those that are worked on.
    private var load = RestoreLoad()
    private var isClosing = false
    private var failure: (any Error)?
    private var problems: [RestoreFailure] = []
    private var threads: [WorkerThread] = []

    /// As many threads as processors: the one that walks the archive mostly waits for them.
    init(_ reader: VaultReader, _ archive: ArchiveRecord, _ workplace: Workplace) throws {
        self.workplace = workplace
        let count = min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 2), 4)
        // A job for each thread and some that wait. Open packs and the directories on the way need descriptors too, and
        // a process mostly has 1024.
        loadLimit = RestoreLoad(files: (count + 3) * Self.filesPerJob, descriptors: 512)
        for _ in 0..<count {
            threads.append(
                try WorkerThread { [self] in
                    do {
                        let worker = try RestoreWorker(try ChunkReader(reader, for: archive), workplace.progress)
                        while let job = next() { done(job, try worker.perform(job)) }
                    } catch { fail(error) }
                })
        }
    }

    func submit(_ job: RestoreJob) throws {
        try monitor.locked { () throws(any Error) in
            while failure == nil, queue.count >= Self.jobLimit || !(load + job.load).isWithin(loadLimit) {
                monitor.wait()
            }
            if let failure { throw failure }
            queue.append(job)
            load = load + job.load
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
            load = load - job.load
            problems += failed
            // Who waits for room is woken when there is some to fill, not for each place.
            let hasRoom = queue.count <= Self.jobLimit / 2 && (load + load).isWithin(loadLimit)
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

/// Hands files to a crew, many small ones at once.
struct ContentQueue {
    private let crew: RestoreCrew
    private let workplace: Workplace
    private var small = SmallFiles()

    init(_ crew: RestoreCrew, _ workplace: Workplace) {
        self.crew = crew
        self.workplace = workplace
    }

    mutating func add(_ file: any FillableFile, _ content: Content) throws {
        switch content {
        case .none: small.append(file, nil)
        case .member(let group, let index): small.append(file, (group, index))
        case .extents(let extents): try submit(extents, of: file)
        }
        if small.isFull { try flush() }
    }

    /// To be called after the last file.
    mutating func flush() throws {
        guard !small.files.isEmpty else { return }
        let full = small
        small = SmallFiles()
        try crew.submit(.small(full))
    }

    private func submit(_ extents: [Extent], of file: any FillableFile) throws {
        // A new file has holes where nothing is written.
        let hasOldContent = file is KeptFile
        let parts = hasOldContent ? extents.count : extents.count { $0.chunk != nil }
        let target = OpenTarget(file, parts: max(parts, 1))
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

    /// Returns the files that could not be filled: they are discarded, never left half right under their name. Throws
    /// what ends the restore.
    func perform(_ job: RestoreJob) throws -> [RestoreFailure] {
        switch job {
        case .small(let small): try fill(small)
        case .chunk(let id, let length, let target, let offset):
            try attempt(target) {
                try fill(
                    target.file, offset, length, isRight: { chunks.isData(id, $0) },
                    with: { try chunks.data(id, length: length) })
            }
        case .zeros(let target, let offset, let length): try attempt(target) { try clear(target.file, offset, length) }
        case .hole(let target): try attempt(target) {}
        }
    }

    private func fill(_ small: SmallFiles) throws -> [RestoreFailure] {
        var group: (id: Digest, opened: Result<GroupView, VaultError>)?
        return try small.files.compactMap { file, member in
            try attempt(file) {
                if let (id, index) = member {
                    let known = group?.id == id ? group?.opened : nil
                    let opened = known ?? Result { () throws(VaultError) in try chunks.group(id) }
                    group = (id, opened)
                    try fill(file, with: try opened.get(), index)
                }
                try file.finish()
            }
        }
    }

    private func fill(_ file: any FillableFile, with group: GroupView, _ index: Int) throws {
        defer { withExtendedLifetime(group) {} }
        let bytes = try group.member(index)
        guard UInt64(bytes.count) == file.size else {
            throw OperationError(.damaged, "its content has another length than its entry")
        }
        try fill(file, 0, file.size, isRight: { Self.areEqual($0, bytes) }, with: { bytes })
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

    /// Fills a part of a file, and ends the file after its last part.
    private func attempt(_ target: OpenTarget, _ body: () throws -> Void) throws -> [RestoreFailure] {
        if target.isGivenUp.load(ordering: .relaxed) { return [] }
        let failure = try attempt(target.file) {
            try body()
            try endPart(of: target)
        }
        guard let failure, !target.isGivenUp.exchange(true, ordering: .relaxed) else { return [] }
        return [failure]
    }

    private func attempt(_ file: any FillableFile, _ body: () throws -> Void) throws -> RestoreFailure? {
        guard try file.make() else {
            return RestoreFailure(path: file.path, reason: nil, size: file.size, isDamage: false)
        }
        do { try body() } catch {
            file.discard()
            let failure = error as? any Failure
            return RestoreFailure(
                path: file.path, reason: failure?.message ?? "\(error)", size: file.size,
                isDamage: failure?.kind == .damaged)
        }
        return nil
    }
}
