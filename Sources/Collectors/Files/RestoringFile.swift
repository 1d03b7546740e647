import CLinux
import Domain
import Glibc
import Synchronization

/// A regular file that a restore fills: write its content in any order from any thread, then ``finish()`` once.
///
/// Ranges that are not written read as zero bytes and stay holes. A file that is dropped without ``finish()`` is taken
/// away again, so that no half-written file keeps the name of a whole one.
package final class RestoringFile: Sendable {
    /// How the file comes by its name.
    enum Naming: Sendable {
        /// It has its name already.
        case direct(CName)
        /// It is written under the first name and takes the second from what has it now, at once.
        case replacing(temporary: CName, CName)
    }

    /// Relative to the target.
    package let path: [UInt8]
    package let size: UInt64
    /// -1 once it is closed.
    private let descriptor: Atomic<Int32>
    private let isDiscarded = Atomic(false)
    private let writtenEnd = Atomic<UInt64>(0)
    private let parent: DirectoryHandle
    private let naming: Naming
    private let object: MetadataWriter.Object
    private let wanted: MetadataWriter.Wanted
    private let metadata: MetadataWriter

    init(
        path: [UInt8], size: UInt64, descriptor: Int32, parent: DirectoryHandle, naming: Naming,
        object: MetadataWriter.Object, wanted: MetadataWriter.Wanted, metadata: MetadataWriter
    ) {
        self.path = path
        self.size = size
        self.descriptor = Atomic(descriptor)
        self.parent = parent
        self.naming = naming
        self.object = object
        self.wanted = wanted
        self.metadata = metadata
    }

    deinit {
        discard()
        let number = descriptor.load(ordering: .relaxed)
        if number >= 0 { _ = close(number) }
    }

    /// Writes all of `bytes` at `offset`; they must lie within ``size``.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(CollectorError) {
        try Self.write(bytes, at: offset, to: descriptor.load(ordering: .relaxed), size: size, path)
        _ = writtenEnd.max(offset + UInt64(bytes.count), ordering: .relaxed)
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
        let number = descriptor.load(ordering: .relaxed)
        guard number >= 0, !isDiscarded.load(ordering: .relaxed) else { return }
        if writtenEnd.load(ordering: .relaxed) < size, let length = Int(exactly: size) {
            guard ftruncate(number, length) == 0 else {
                let error = CollectorError.system(errno, "cannot set the length of", path)
                discard()
                throw error
            }
        }
        // Somebody removed it: a second restore into this target would take it for what an ended one left.
        if case .success(let now) = FileStatus.of(number), now.linkCount == 0 {
            metadata.problems.add(FileProblem(path: path, what: .changed))
        }
        metadata.apply(wanted, to: object, path: path)
        let failure = naming.complete(in: parent.number)
        if failure != 0 {
            metadata.problems.add(FileProblem(path: path, what: .notReplaced, systemError: failure))
        }
        descriptor.store(-1, ordering: .relaxed)
        // A network file system reports here what it could not store.
        if close(number) != 0, errno != EINTR { throw CollectorError.system(errno, "cannot close", path) }
    }

    /// Removes the file, because its content cannot be had. Harmless after ``finish()``.
    ///
    /// It stays open until nobody holds it: another thread may be writing, and the number of a closed descriptor would be
    /// that of the next file.
    package func discard() {
        guard descriptor.load(ordering: .relaxed) >= 0, !isDiscarded.exchange(true, ordering: .relaxed) else { return }
        let name =
            switch naming {
            case .direct(let name): name
            case .replacing(let temporary, _): temporary
            }
        name.withPointer { name in
            // Only what this restore made: somebody may have given the name to another file.
            if case .success(let now) = FileStatus.of(name, in: parent.number), now.identity == object.status.identity {
                _ = unlinkat(parent.number, name, 0)
            }
        }
    }
}
