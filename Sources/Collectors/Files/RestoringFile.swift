import CLinux
import Domain
import Glibc
import Synchronization

/// A regular file that a restore fills: ``make()`` it, write its content in any order from any thread, then ``finish()``
/// once.
///
/// Ranges that are not written read as zero bytes and stay holes. A file that is dropped without ``finish()`` is taken
/// away again, so that no half-written file keeps the name of a whole one.
package final class RestoringFile: Sendable {
    /// How the file comes by its name.
    enum Naming: Sendable {
        /// It has its name already, or gets it when it is made.
        case direct(CName)
        /// It is written under the first name and takes the second from what has it now, at once.
        case replacing(temporary: CName, CName)

        /// The name that it has while it is filled.
        var first: CName {
            switch self {
            case .direct(let name), .replacing(let name, _): name
            }
        }
    }

    private enum Stage {
        case planned, made
        /// It could not be made, or was taken away.
        case gone
    }

    /// Relative to the target.
    package let path: [UInt8]
    package let size: UInt64
    private let isSparse: Bool
    private let isSynced: Bool
    /// Bytes that storage is given at once.
    private static let window: UInt64 = 8 << 20
    private let stage: Mutex<Stage>
    /// -1 before it is made and once it is closed.
    private let descriptor: Atomic<Int32>
    private let writtenEnd = Atomic<UInt64>(0)
    private let parent: DirectoryHandle
    private let naming: Naming
    private let mayHaveInheritedACL: Bool
    private let wanted: MetadataWriter.Wanted
    private let metadata: MetadataWriter

    /// `descriptor`: nil where ``make()`` is to make it, in a directory where nothing else can have its name.
    init(
        path: [UInt8], size: UInt64, isSparse: Bool, isSynced: Bool, descriptor: Int32?, parent: DirectoryHandle,
        naming: Naming, mayHaveInheritedACL: Bool, wanted: MetadataWriter.Wanted, metadata: MetadataWriter
    ) {
        self.path = path
        self.size = size
        self.isSparse = isSparse
        self.isSynced = isSynced
        stage = Mutex(descriptor == nil ? .planned : .made)
        self.descriptor = Atomic(descriptor ?? -1)
        self.parent = parent
        self.naming = naming
        self.mayHaveInheritedACL = mayHaveInheritedACL
        self.wanted = wanted
        self.metadata = metadata
    }

    deinit {
        discard()
        let number = descriptor.load(ordering: .relaxed)
        if number >= 0 { _ = close(number) }
    }

    /// Makes a file under a name that nothing has: its descriptor for writing, or a negative `errno`.
    static func make(_ name: CName, in directory: DirectoryHandle) -> Int32 {
        name.withPointer {
            tree_open(
                directory.number, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, UInt32(MetadataWriter.unfinished))
        }
    }

    /// Makes the file where that was left to whoever fills it; any thread may call it, again and again. False when it is
    /// not there: it cannot be made, which is a problem then, or was discarded.
    ///
    /// Throws what the next file would meet as well, such as a full disk.
    package func make() throws(CollectorError) -> Bool {
        if descriptor.load(ordering: .acquiring) >= 0 { return true }
        return try stage.withLock { (stage) throws(CollectorError) -> Bool in
            guard stage == .planned else { return stage == .made }
            let number = Self.make(naming.first, in: parent)
            guard number >= 0 else {
                stage = .gone
                if FileTreeRestorer.concernsAll(-number) { throw CollectorError.system(-number, "cannot make", path) }
                metadata.problems.add(FileProblem(path: path, what: .notCreated, systemError: -number))
                return false
            }
            stage = .made
            descriptor.store(number, ordering: .releasing)
            try reserveRoom(number)
            return true
        }
    }

    /// Without holes where the file system can reserve room; where it cannot, holes remain and read the same.
    func reserveRoom(_ number: Int32) throws(CollectorError) {
        guard !isSparse, size > 0, tree_allocate(number, size) == -ENOSPC else { return }
        throw CollectorError.system(ENOSPC, "cannot reserve room for", path)
    }

    /// Descriptors that it keeps open until it is finished, but for those that `other` keeps open as well.
    package func heldDescriptors(beside other: (any FillableFile)?) -> Int {
        let sharesParent = (other as? RestoringFile)?.parent === parent
        return (descriptor.load(ordering: .relaxed) < 0 ? 0 : 1) + (sharesParent ? 0 : 1)
    }

    /// Writes all of `bytes` at `offset`; they must lie within ``size``.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(CollectorError) {
        guard try make() else { return }
        try Self.write(bytes, at: offset, to: descriptor.load(ordering: .relaxed), size: size, path)
        let end = offset + UInt64(bytes.count)
        let before = writtenEnd.max(end, ordering: .relaxed).oldValue
        if isSynced { startStoring(before / Self.window, end / Self.window) }
    }

    /// Where a window is left behind, the one before it is as good as full: storage takes it while the rest is unpacked, and
    /// the sync at the end has little to wait for. Only a hint to the system: what is missed here is stored by the sync.
    private func startStoring(_ left: UInt64, _ entered: UInt64) {
        guard entered > left, left > 0 else { return }
        _ = tree_start_storing(
            descriptor.load(ordering: .relaxed), (left - 1) * Self.window, (entered - left) * Self.window)
    }

    /// As above, to the open file `number`, which is to have `size` bytes.
    static func write(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64, to number: Int32, size: UInt64, _ path: [UInt8]
    ) throws(CollectorError) {
        guard offset <= size, UInt64(bytes.count) <= size - offset else {
            throw CollectorError(
                .invalidInput, "content reaches beyond the end of \(CollectorError.displayPath(path))",
                hint: "The archive contradicts itself; run `qala verify`.")
        }
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            guard let position = Int(exactly: offset + UInt64(done)) else {
                throw CollectorError.system(EFBIG, "cannot write", path)
            }
            let count = pwrite(number, start + done, bytes.count - done, position)
            if count < 0 {
                if errno == EINTR { continue }
                throw CollectorError.system(errno, "cannot write", path)
            }
            done += count
        }
    }

    /// Gives the file its length, metadata and name, and closes it. Content written afterwards is refused by the
    /// system. On failure the file is taken away.
    package func finish() throws(CollectorError) {
        guard try make(), stage.withLock({ $0 == .made }) else { return }
        let number = descriptor.load(ordering: .relaxed)
        guard number >= 0 else { return }
        if writtenEnd.load(ordering: .relaxed) < size, let length = Int(exactly: size) {
            guard ftruncate(number, length) == 0 else { throw failure(errno, "cannot set the length of") }
        }
        let status: FileStatus
        switch FileStatus.of(number) {
        case .success(let found): status = found
        case .failure(let error): throw failure(error.number, "cannot examine")
        }
        // Somebody removed it: a second restore into this target would take it for what an ended one left.
        if status.linkCount == 0 { metadata.problems.add(FileProblem(path: path, what: .changed)) }
        let object = MetadataWriter.Object(
            descriptor: number, isPath: false, status: status, isNew: true, mayHaveInheritedACL: mayHaveInheritedACL)
        metadata.apply(wanted, to: object, path: path)
        let replacing = naming.complete(in: parent.number)
        if replacing != 0 {
            metadata.problems.add(FileProblem(path: path, what: .notReplaced, systemError: replacing))
        }
        descriptor.store(-1, ordering: .relaxed)
        // A network file system reports here what it could not store.
        if close(number) != 0, errno != EINTR { throw CollectorError.system(errno, "cannot close", path) }
    }

    private func failure(_ number: Int32, _ action: String) -> CollectorError {
        discard()
        return CollectorError.system(number, action, path)
    }

    /// Removes the file, because its content cannot be had, or keeps it from being made. Harmless after ``finish()``.
    ///
    /// It stays open until nobody holds it: another thread may be writing, and the number of a closed descriptor would be
    /// that of the next file.
    package func discard() {
        stage.withLock { stage in
            let number = descriptor.load(ordering: .relaxed)
            guard stage == .planned || stage == .made && number >= 0 else { return }
            stage = .gone
            guard number >= 0, case .success(let made) = FileStatus.of(number) else { return }
            naming.first.withPointer { name in
                // Only what this restore made: somebody may have given the name to another file.
                if case .success(let now) = FileStatus.of(name, in: parent.number), now.identity == made.identity {
                    _ = unlinkat(parent.number, name, 0)
                }
            }
        }
    }
}
