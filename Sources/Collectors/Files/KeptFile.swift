import CLinux
import Domain
import Glibc
import Synchronization

/// A file that a restore fills, in any order and from any thread, and then finishes once.
package protocol FillableFile: AnyObject, Sendable {
    /// Relative to the target.
    var path: [UInt8] { get }
    var size: UInt64 { get }
    /// To be called before it is filled: where the file is not there yet it is made. False when it cannot be, which is
    /// among the problems then; throws what ends the restore.
    func make() throws(CollectorError) -> Bool
    func heldDescriptors(beside other: (any FillableFile)?) -> Int
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(CollectorError)
    func finish() throws(CollectorError)
    /// Its content cannot be had.
    func discard()
}

extension RestoringFile: FillableFile {}

/// A regular file that is there already and is brought to its archived state: what is right in it stays as it is.
///
/// Invariants:
/// - it has one name, so that nothing but this file changes with it;
/// - a file whose content, owner and permissions are right is not touched, its times included;
/// - it is never removed: what ends half way is completed by the next time.
package final class KeptFile: FillableFile {
    /// What became of a file that was finished.
    package struct Outcome: Sendable {
        /// Its content was, or with a file that is only compared is, another one.
        package var isDifferent: Bool
        /// Bytes that were written.
        package var written: UInt64
    }

    package let path: [UInt8]
    package let size: UInt64
    private let descriptor: Atomic<Int32>
    private let isDifferent = Atomic(false)
    private let written = Atomic<UInt64>(0)
    private let isGivenUp = Atomic(false)
    private let isOnlyCompared: Bool
    private let object: MetadataWriter.Object
    private let wanted: MetadataWriter.Wanted
    private let metadata: MetadataWriter
    private let onEnd: @Sendable (Outcome) -> Void

    /// Takes `descriptor` over.
    init(
        path: [UInt8], size: UInt64, isOnlyCompared: Bool, object: MetadataWriter.Object,
        wanted: MetadataWriter.Wanted, metadata: MetadataWriter, onEnd: @escaping @Sendable (Outcome) -> Void
    ) {
        self.path = path
        self.size = size
        descriptor = Atomic(object.descriptor)
        self.isOnlyCompared = isOnlyCompared
        self.object = object
        self.wanted = wanted
        self.metadata = metadata
        self.onEnd = onEnd
    }

    deinit {
        let number = descriptor.load(ordering: .relaxed)
        if number >= 0 { _ = close(number) }
    }

    package func make() -> Bool { true }

    package func heldDescriptors(beside other: (any FillableFile)?) -> Int { 1 }

    /// Whether the file has bytes at `offset` that fill `buffer` and of which `isRight` is true.
    package func holds(
        at offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer, _ isRight: (UnsafeRawBufferPointer) -> Bool
    ) throws(CollectorError) -> Bool {
        let number = descriptor.load(ordering: .relaxed)
        let count = try ClusterFile.read(number, buffer, offset, path)
        return count == buffer.count && isRight(UnsafeRawBufferPointer(buffer))
    }

    /// Says that a part is not what it should be; true when it is to be written.
    package func noteDifference() -> Bool {
        isDifferent.store(true, ordering: .relaxed)
        return !isOnlyCompared
    }

    /// Nothing more need be known of a file that is only compared.
    package var isDecided: Bool { isOnlyCompared && isDifferent.load(ordering: .relaxed) }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(CollectorError) {
        try RestoringFile.write(bytes, at: offset, to: descriptor.load(ordering: .relaxed), size: size, path)
        written.add(UInt64(bytes.count), ordering: .relaxed)
    }

    package func finish() throws(CollectorError) {
        let number = descriptor.load(ordering: .relaxed)
        guard number >= 0, !isGivenUp.load(ordering: .relaxed) else { return }
        if object.status.size != size {
            isDifferent.store(true, ordering: .relaxed)
            if !isOnlyCompared, let length = Int(exactly: size), ftruncate(number, length) != 0 {
                throw CollectorError.system(errno, "cannot set the length of", path)
            }
        }
        let isDifferent = self.isDifferent.load(ordering: .relaxed)
        if !isOnlyCompared, isDifferent || !wanted.isOwned(as: object.status) {
            metadata.apply(wanted, to: object, path: path)
        }
        descriptor.store(-1, ordering: .relaxed)
        // A network file system reports here what it could not store.
        if close(number) != 0, errno != EINTR { throw CollectorError.system(errno, "cannot close", path) }
        onEnd(Outcome(isDifferent: isDifferent, written: written.load(ordering: .relaxed)))
    }

    /// It stays what it is, partly new perhaps.
    package func discard() { isGivenUp.store(true, ordering: .relaxed) }
}

extension MetadataWriter.Wanted {
    /// Whether what is there has the owner and the permissions already.
    func isOwned(as status: FileStatus) -> Bool {
        status.userID == userID && status.groupID == groupID && status.permissions == permissions
    }
}
