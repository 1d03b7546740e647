import CLinux
import Glibc

/// The system calls of the object store, as a seam: tests put a failing or a simulated file system in their place.
///
/// Every function does one call and returns its result, or the negated errno; none retries. Names are single
/// components relative to an open directory, except the path by which a store is opened (`directory` is `AT_FDCWD`).
package protocol FileSystemCalls: AnyObject, Sendable {
    func open(_ name: String, in directory: Int32, flags: Int32, mode: UInt32) -> Int32
    func close(_ descriptor: Int32) -> Int32
    func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int
    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int
    func syncFile(_ descriptor: Int32) -> Int32
    func syncDirectory(_ descriptor: Int32) -> Int32
    func truncate(_ descriptor: Int32, to length: UInt64) -> Int32
    /// Reserves blocks without changing the size.
    func reserve(_ descriptor: Int32, _ length: UInt64) -> Int32
    func link(_ name: String, in directory: Int32, to newName: String, in newDirectory: Int32) -> Int32
    /// Replaces atomically, or with `exclusive` fails with EEXIST.
    func rename(
        _ name: String, in directory: Int32, to newName: String, in newDirectory: Int32, exclusive: Bool
    ) -> Int32
    func unlink(_ name: String, in directory: Int32) -> Int32
    func removeDirectory(_ name: String, in directory: Int32) -> Int32
    func makeDirectory(_ name: String, in directory: Int32, mode: UInt32) -> Int32
    func status(of descriptor: Int32, into status: inout FileStatus) -> Int32
    /// Does not follow a symbolic link.
    func status(of name: String, in directory: Int32, into status: inout FileStatus) -> Int32
    /// Appends the next names of a directory and returns how many; 0 at its end. `.` and `..` may be among them.
    func readDirectory(_ descriptor: Int32, into names: inout [[UInt8]]) -> Int
    /// Takes an exclusive `flock`, or fails with EWOULDBLOCK.
    func tryLock(_ descriptor: Int32) -> Int32
    func setDirect(_ descriptor: Int32, _ on: Bool) -> Int32
    func startWriteback(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32
    func willNeed(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32
    /// Distinguishes temporary names; need not be secret.
    func random() -> UInt64
}

/// What a store asks about a file.
package struct FileStatus: Sendable, Hashable {
    /// Bytes.
    package var size: UInt64 = 0
    /// Bytes on disk.
    package var allocated: UInt64 = 0
    package var device: UInt64 = 0
    package var inode: UInt64 = 0
    /// `st_mode`, with the type.
    package var mode: UInt32 = 0
    package var links: UInt32 = 0

    package init() {}

    package var isRegularFile: Bool { mode & S_IFMT == S_IFREG }
    package var isDirectory: Bool { mode & S_IFMT == S_IFDIR }

    package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

/// The calls of this machine's kernel.
package final class LinuxCalls: FileSystemCalls {
    package static let shared = LinuxCalls()

    private init() {}

    package func open(_ name: String, in directory: Int32, flags: Int32, mode: UInt32) -> Int32 {
        qala_open(directory, name, flags, mode)
    }

    package func close(_ descriptor: Int32) -> Int32 { qala_close(descriptor) }

    package func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        Int(qala_pread(descriptor, buffer.baseAddress, buffer.count, offset))
    }

    package func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
        Int(qala_pwrite(descriptor, bytes.baseAddress, bytes.count, offset))
    }

    package func syncFile(_ descriptor: Int32) -> Int32 { qala_fsync(descriptor) }
    package func syncDirectory(_ descriptor: Int32) -> Int32 { qala_fsync(descriptor) }

    package func truncate(_ descriptor: Int32, to length: UInt64) -> Int32 { qala_ftruncate(descriptor, length) }
    package func reserve(_ descriptor: Int32, _ length: UInt64) -> Int32 { qala_reserve(descriptor, length) }

    package func link(_ name: String, in directory: Int32, to newName: String, in newDirectory: Int32) -> Int32 {
        qala_link(directory, name, newDirectory, newName)
    }

    package func rename(
        _ name: String, in directory: Int32, to newName: String, in newDirectory: Int32, exclusive: Bool
    ) -> Int32 {
        qala_rename(directory, name, newDirectory, newName, exclusive ? 1 : 0)
    }

    package func unlink(_ name: String, in directory: Int32) -> Int32 { qala_unlink(directory, name) }
    package func removeDirectory(_ name: String, in directory: Int32) -> Int32 { qala_rmdir(directory, name) }

    package func makeDirectory(_ name: String, in directory: Int32, mode: UInt32) -> Int32 {
        qala_mkdir(directory, name, mode)
    }

    package func status(of descriptor: Int32, into status: inout FileStatus) -> Int32 {
        var raw = qala_status()
        let result = qala_fstat(descriptor, &raw)
        if result == 0 { status = FileStatus(raw) }
        return result
    }

    package func status(of name: String, in directory: Int32, into status: inout FileStatus) -> Int32 {
        var raw = qala_status()
        let result = qala_stat(directory, name, &raw)
        if result == 0 { status = FileStatus(raw) }
        return result
    }

    package func readDirectory(_ descriptor: Int32, into names: inout [[UInt8]]) -> Int {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { buffer in
            let filled = Int(qala_directory_records(descriptor, buffer.baseAddress, buffer.count))
            if filled <= 0 { return filled }
            return DirectoryRecords.append(UnsafeRawBufferPointer(rebasing: buffer[..<filled]), to: &names)
        }
    }

    package func tryLock(_ descriptor: Int32) -> Int32 { qala_try_lock(descriptor) }
    package func setDirect(_ descriptor: Int32, _ on: Bool) -> Int32 { qala_set_direct(descriptor, on ? 1 : 0) }

    package func startWriteback(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32 {
        qala_start_writeback(descriptor, offset, length)
    }

    package func willNeed(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32 {
        qala_will_need(descriptor, offset, length)
    }

    package func random() -> UInt64 { UInt64.random(in: .min ... .max) }
}

/// The records that `getdents64` fills in: inode (8), next offset (8), record length (2), type (1), name, 0.
enum DirectoryRecords {
    private static let nameOffset = 19

    /// Returns the number of names, or -EIO when the records do not hold together.
    static func append(_ bytes: UnsafeRawBufferPointer, to names: inout [[UInt8]]) -> Int {
        var at = 0
        var found = 0
        while at < bytes.count {
            guard at + nameOffset < bytes.count else { return -Int(EIO) }
            let length = Int(bytes.loadUnaligned(fromByteOffset: at + 16, as: UInt16.self))
            guard length > nameOffset, at + length <= bytes.count else { return -Int(EIO) }
            names.append(Array(bytes[(at + nameOffset)..<(at + length)].prefix { $0 != 0 }))
            at += length
            found += 1
        }
        return found
    }
}

extension FileStatus {
    init(_ raw: qala_status) {
        size = raw.size
        allocated = raw.allocated
        device = raw.device
        inode = raw.inode
        mode = raw.mode
        links = raw.links
    }
}

/// An open file or directory; closed when it goes out of scope.
///
/// The result of `close` is ignored on purpose: what must be durable was synced before, and nothing else is promised.
struct Descriptor: ~Copyable, Sendable {
    let number: Int32
    private let calls: any FileSystemCalls

    init(_ number: Int32, _ calls: any FileSystemCalls) {
        self.number = number
        self.calls = calls
    }

    deinit { _ = calls.close(number) }
}

extension VaultError {
    /// The error for a failed system call: `action` says what was tried, as in "write packs/3f/…".
    static func system(_ number: Int32, _ action: String, in place: String) -> VaultError {
        let text = errorText(number)
        let message = "cannot \(action) in \(place): \(text)"
        switch number {
        case ENOSPC, EDQUOT:
            return VaultError(
                .noSpace, message,
                hint: "Free space where the vault lies or enlarge it, then repeat; nothing stored before is affected.",
                underlying: "errno \(number)")
        case EACCES, EPERM, EROFS:
            return VaultError(
                .notAllowed, message, hint: "Check the owner, the mode and the mount options of \(place).",
                underlying: "errno \(number)")
        case EXDEV:
            return VaultError(
                .io, message, hint: "The whole vault must lie on one file system; no directory in it may be a mount.",
                underlying: "errno \(number)")
        case EMFILE, ENFILE:
            return VaultError(
                .io, message, hint: "Raise the limit of open files (LimitNOFILE).", underlying: "errno \(number)")
        default:
            return VaultError(
                .io, message, hint: "Check the disk and the kernel log, then repeat the operation.",
                underlying: "errno \(number)")
        }
    }

    private static func errorText(_ number: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            qala_error_text(number, buffer.baseAddress, buffer.count)
            return String(
                decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self
            ).lowercased()
        }
    }
}
