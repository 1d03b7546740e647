import CLinux
import Domain
import Glibc
import Vault

/// A new file for a secret, readable by its owner only.
///
/// Invariants:
/// 1. The file has its name when it is complete and synced, and not before; it never takes the place of another one.
/// 2. Whether it can be made is known at the beginning, room for it included: nothing that needs it is done before.
/// 3. What was not finished is gone with the process, or, where the file system keeps no files without a name, with
///    this object.
final class SecretFile {
    /// More than the longest kit.
    private static let room: off_t = 64 << 10

    private let path: String
    private let folder: String
    private let descriptor: Int32
    /// Where the file stands until it is complete; nil when it has no name until then.
    private let temporary: String?

    init(path: String) throws {
        let slash = path.utf8.lastIndex(of: 0x2F)
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var info = stat()
        guard lstat(path, &info) != 0 else { throw Self.failure("make", path, EEXIST) }
        let (descriptor, temporary) = try Self.begin(path, in: folder)
        // A disk that is full says so now, and not when a vault waits for its kit. Other refusals tell nothing of room.
        let reason = posix_fallocate(descriptor, 0, Self.room)
        guard ![ENOSPC, EDQUOT, EFBIG].contains(reason) else {
            close(descriptor)
            if let temporary { unlink(temporary) }
            throw Self.failure("write", path, reason)
        }
        self.path = path
        self.folder = folder
        self.descriptor = descriptor
        self.temporary = temporary
    }

    deinit {
        close(descriptor)
        // Without effect where the file was finished.
        if let temporary { unlink(temporary) }
    }

    /// Once: writes the file and gives it its name.
    func write(_ text: String) throws {
        var bytes = Array(text.utf8)
        defer { Wipe.array(&bytes) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            let reason = errno
            if count < 0, reason == EINTR { continue }
            guard count > 0 else { throw Self.failure("write", path, count < 0 ? reason : ENOSPC) }
            done += count
        }
        guard ftruncate(descriptor, off_t(bytes.count)) == 0 else { throw Self.failure("write", path, errno) }
        guard fsync(descriptor) == 0 else { throw Self.failure("sync", path, errno) }
        let reason = publish()
        guard reason == 0 else { throw Self.failure("make", path, reason) }
        try syncFolder()
    }

    /// Opens the file without a name, or under a temporary one.
    private static func begin(_ path: String, in folder: String) throws -> (descriptor: Int32, temporary: String?) {
        // O_TMPFILE is a macro that Swift does not see.
        let nameless = open(folder, O_WRONLY | O_CLOEXEC | O_DIRECTORY | 0o20_000_000, 0o600)
        if nameless >= 0 {
            // Through this path it gets its name.
            if access(link(to: nameless), F_OK) == 0 { return (nameless, nil) }
            close(nameless)
        }
        let temporary = "\(path).\(getpid()).\(UInt64.random(in: 0 ... .max)).new"
        let named = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard named >= 0 else { throw failure("make", path, errno) }
        return (named, temporary)
    }

    private static func link(to descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }

    /// Gives the file its name where nothing has it; returns 0 or the number of the error.
    private func publish() -> Int32 {
        guard let temporary else {
            let result = linkat(AT_FDCWD, Self.link(to: descriptor), AT_FDCWD, path, AT_SYMLINK_FOLLOW)
            return result == 0 ? 0 : errno
        }
        if linkat(AT_FDCWD, temporary, AT_FDCWD, path, 0) == 0 {
            unlink(temporary)
            return 0
        }
        let reason = errno
        // FAT, on the sticks that kits are carried on, has no links.
        guard [EPERM, EOPNOTSUPP, ENOSYS].contains(reason) else { return reason }
        return -qala_rename(AT_FDCWD, temporary, AT_FDCWD, path, 1)
    }

    private func syncFolder() throws {
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Who may write there but not read cannot sync it either.
        guard directory >= 0 else { return }
        defer { close(directory) }
        guard fsync(directory) != 0 else { return }
        let reason = errno
        // Some file systems have nothing to sync in a directory.
        guard reason != EINVAL, reason != EROFS else { return }
        unlink(path)
        throw Self.failure("sync", path, reason)
    }

    private static func failure(_ what: String, _ path: String, _ reason: Int32) -> OperationError {
        let words = strerror(reason).map { String(cString: $0) } ?? "error \(reason)"
        let isOfDisk = [ENOSPC, EDQUOT, EFBIG, EIO].contains(reason)
        return OperationError(
            .failed, "cannot \(what) \(path): \(words)",
            hint: isOfDisk ? "Check the disk." : "Name a new file in a directory that you may write.")
    }
}
