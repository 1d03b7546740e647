import CLinux
package import Domain
import Glibc

/// What makes two names the same file: the file system and the number in it.
package struct FileIdentity: Hashable, Sendable {
    package var device: UInt64
    package var inode: UInt64

    package init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// The answer of `stat`, in the types of an ``Entry``.
package struct FileStatus: Sendable {
    package var identity: FileIdentity
    /// Nil for what Linux does not have today.
    package var kind: EntryKind?
    package var permissions: UInt16
    package var userID: UInt32
    package var groupID: UInt32
    package var size: UInt64
    /// Of 512 bytes each.
    package var blocks: UInt64
    package var modified: Timestamp
    package var changed: Timestamp
    package var linkCount: UInt32
    package var deviceNumber: UInt64

    init(_ status: tree_stat) {
        identity = FileIdentity(device: status.device, inode: status.inode)
        kind =
            switch status.mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            case S_IFIFO: .fifo
            case S_IFSOCK: .socket
            case S_IFCHR: .characterDevice
            case S_IFBLK: .blockDevice
            default: nil
            }
        permissions = UInt16(status.mode & 0o7777)
        userID = status.user
        groupID = status.group
        size = status.size
        blocks = status.blocks
        modified = Timestamp(seconds: status.modified_seconds, nanoseconds: status.modified_nanoseconds)
        changed = Timestamp(seconds: status.changed_seconds, nanoseconds: status.changed_nanoseconds)
        linkCount = UInt32(clamping: status.links)
        deviceNumber = status.device_number
    }

    /// `errno` in the failure.
    static func of(_ descriptor: Int32) -> Result<FileStatus, SystemError> {
        var status = tree_stat()
        let code = tree_stat_fd(descriptor, &status)
        return code < 0 ? .failure(SystemError(number: -code)) : .success(FileStatus(status))
    }

    /// Of the name itself, never of what a link points to.
    static func of(_ name: UnsafePointer<CChar>, in directory: Int32) -> Result<FileStatus, SystemError> {
        var status = tree_stat()
        let code = tree_stat_at(directory, name, &status)
        return code < 0 ? .failure(SystemError(number: -code)) : .success(FileStatus(status))
    }
}

/// An `errno` on its way to the place that knows what was tried on which path.
struct SystemError: Error {
    var number: Int32
}

/// A name or path as the system wants it: bytes and a zero byte at the end.
struct CName {
    private var storage: [UInt8]

    /// `bytes` must not hold a zero byte: the system would see a shorter name.
    init(_ bytes: some Collection<UInt8>) {
        storage = []
        storage.reserveCapacity(bytes.count + 1)
        storage.append(contentsOf: bytes)
        storage.append(0)
    }

    var bytes: ArraySlice<UInt8> { storage.dropLast() }

    @inline(__always)
    func withPointer<R: ~Copyable>(_ body: (UnsafePointer<CChar>) -> R) -> R {
        storage.span.withUnsafeBufferPointer { buffer in
            // The storage always holds at least the zero byte, so it has an address.
            guard let start = buffer.baseAddress else { preconditionFailure("an empty name") }
            return body(UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
        }
    }
}
