import Domain
import Glibc

/// Files of a host's state, beside the vault. They hold nothing that cannot be rebuilt but the writer's own keys, and the
/// one rule they share is: complete under their final name, or not there.
package enum StateFile {
    static func failure(_ what: String, _ path: String) -> VaultError { failure(what, path, errno) }

    static func failure(_ what: String, _ path: String, _ number: Int32) -> VaultError {
        let code: VaultError.Code =
            switch number {
            case ENOSPC, EDQUOT: .noSpace
            case EACCES, EPERM, EROFS: .notAllowed
            default: .io
            }
        return VaultError(
            code, "\(what) \(path) failed: \(String(cString: strerror(number)))",
            hint: "Check the disk and the rights of the host state directory (--state or QALA_STATE).")
    }

    /// Makes a directory (0700) and its parents.
    package static func makeDirectory(_ path: String) throws(VaultError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o700) == 0 || errno == EEXIST || errno == EISDIR else { throw failure("making", made) }
        }
    }

    /// Fails when nothing can be made in a directory.
    static func checkWritable(_ path: String) throws(VaultError) {
        guard access(path, W_OK | X_OK) == 0 else { throw failure("writing to", path) }
    }

    /// Nil when there is no such file.
    package static func read(_ path: String, limit: Int) throws(VaultError) -> [UInt8]? {
        // A pipe that nobody writes to must not be waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("opening", path)
        }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw failure("examining", path) }
        guard info.st_size <= limit else { throw VaultError(.limit, "\(path) is larger than it may be") }
        var bytes = [UInt8](repeating: 0, count: Int(info.st_size))
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.pread(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done, off_t(done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("reading", path) }
            done += count
        }
        return bytes
    }

    /// Replaces a file atomically and durably. Where it fails, the file is as it was before, or, when only the sync of its
    /// directory failed, as it is to be.
    package static func write(
        _ path: String, _ bytes: [UInt8], calls: any FileSystemCalls = LinuxCalls.shared
    ) throws(VaultError) {
        let file = try AppendFile(temporaryFor: path, calls: calls)
        try bytes.withBytes { (raw) throws(VaultError) in try file.append(raw) }
        try file.publish(as: path)
    }

    /// Replaces a file atomically and no more: for copies that a reader compares with a digest, and gets again where a power cut
    /// took them away.
    static func writeCopy(_ path: String, _ bytes: [UInt8]) throws(VaultError) {
        let file = try AppendFile(temporaryFor: path)
        try bytes.withBytes { (raw) throws(VaultError) in try file.append(raw) }
        try file.publish(as: path, isDurable: false)
    }

    /// Adds lines to a file, each behind a line end so that it stands for itself whatever a power cut left before it. Not synced:
    /// for what is found out again where it is missing.
    static func addLines(_ path: String, _ lines: [String]) throws(VaultError) {
        let bytes = Array(lines.map { "\n" + $0 }.joined().utf8)
        guard !bytes.isEmpty else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("opening", path) }
        defer { close(descriptor) }
        // In one piece, so that what another process adds does not come between.
        let count = Glibc.write(descriptor, bytes, bytes.count)
        guard count == bytes.count else { throw failure("writing", path, count < 0 ? errno : ENOSPC) }
    }

    static func syncDirectory(
        of path: String, calls: any FileSystemCalls = LinuxCalls.shared
    ) throws(VaultError) {
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        let name = path.hasPrefix("/") ? "/" + directory : (directory.isEmpty ? "." : directory)
        let descriptor = LocalStore.retrying {
            calls.open(name, in: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY, mode: 0)
        }
        guard descriptor >= 0 else { throw failure("opening", name, -descriptor) }
        defer { _ = calls.close(descriptor) }
        let result = calls.syncDirectory(descriptor)
        guard result == 0 else { throw failure("syncing", name, -result) }
    }

    /// The names in a directory, sorted; empty when it does not exist.
    package static func list(_ path: String) throws(VaultError) -> [String] {
        guard let stream = opendir(path) else {
            if errno == ENOENT { return [] }
            throw failure("listing", path)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw failure("listing", path) }
                return names.sorted()
            }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }
}

/// A file that is written front to back through a buffer; one thread's own.
final class AppendFile {
    private let calls: any FileSystemCalls
    private let descriptor: Int32
    let path: String
    private var buffer: [UInt8] = []
    private(set) var length = 0
    /// Bytes that were handed to the kernel.
    private var written = 0
    /// Of what was flushed, for ``appendSum()``; nil where nobody asks.
    private var hasher: ObjectHasher?
    private var isPublished = false
    private let isTemporary: Bool

    init(path: String, calls: any FileSystemCalls = LinuxCalls.shared) throws(VaultError) {
        self.calls = calls
        self.path = path
        isTemporary = false
        descriptor = Self.open(path, O_WRONLY | O_CREAT | O_TRUNC, calls)
        guard descriptor >= 0 else { throw StateFile.failure("creating", path, -descriptor) }
        buffer.reserveCapacity(1 << 18)
    }

    init(
        temporaryFor path: String, summed: Bool = false, calls: any FileSystemCalls = LinuxCalls.shared
    ) throws(VaultError) {
        self.calls = calls
        if summed { hasher = ObjectHasher(suite: .blake3) }
        self.path = "\(path).\(getpid()).\(UInt64.random(in: 0 ... .max)).new"
        isTemporary = true
        descriptor = Self.open(self.path, O_WRONLY | O_CREAT | O_EXCL, calls)
        guard descriptor >= 0 else { throw StateFile.failure("creating", self.path, -descriptor) }
    }

    private static func open(_ path: String, _ flags: Int32, _ calls: any FileSystemCalls) -> Int32 {
        LocalStore.retrying { calls.open(path, in: AT_FDCWD, flags: flags, mode: 0o600) }
    }

    deinit {
        if descriptor >= 0 { _ = calls.close(descriptor) }
        if isTemporary, !isPublished { _ = calls.unlink(path, in: AT_FDCWD) }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        buffer.append(contentsOf: bytes)
        length += bytes.count
        if buffer.count >= 1 << 18 { try flush() }
    }

    func append(_ bytes: [UInt8]) throws(VaultError) {
        try bytes.withBytes { (raw) throws(VaultError) in try append(raw) }
    }

    /// Ends a file that was opened as `summed`: 32 bytes of digest of all before.
    func appendSum() throws(VaultError) {
        try flush()
        guard let finished = hasher.take() else { return }
        try append(finished.finalize().bytes)
    }

    func flush() throws(VaultError) {
        buffer.withUnsafeBytes { hasher?.update($0) }
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeBytes {
                calls.write(
                    descriptor, UnsafeRawBufferPointer(rebasing: $0[done...]), at: UInt64(written + done))
            }
            if count == -Int(EINTR) { continue }
            guard count > 0 else { throw StateFile.failure("writing", path, count < 0 ? Int32(-count) : EIO) }
            done += count
        }
        written += done
        buffer.removeAll(keepingCapacity: true)
    }

    func sync() throws(VaultError) {
        try flush()
        let result = calls.syncFile(descriptor)
        guard result == 0 else { throw StateFile.failure("syncing", path, -result) }
    }

    /// Syncs, gives the file its final name and syncs the directory; neither sync where it need not be durable.
    func publish(as name: String, isDurable: Bool = true) throws(VaultError) {
        if isDurable { try sync() } else { try flush() }
        let result = LocalStore.retrying {
            calls.rename(path, in: AT_FDCWD, to: name, in: AT_FDCWD, exclusive: false)
        }
        guard result == 0 else { throw StateFile.failure("renaming", path, -result) }
        isPublished = true
        if isDurable { try StateFile.syncDirectory(of: name, calls: calls) }
    }
}

/// A lock that lives as long as the process holds the file open: the kernel drops it with the process.
package final class FileLock {
    private let descriptor: Int32

    /// Nil when somebody else holds it.
    package init?(path: String, shared: Bool = false) throws(VaultError) {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StateFile.failure("opening", path) }
        guard flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let busy = errno == EWOULDBLOCK
            close(descriptor)
            if busy { return nil }
            throw StateFile.failure("locking", path)
        }
        self.descriptor = descriptor
    }

    /// Waits for at most `patience` seconds; nil when somebody else still holds it then. Even where nobody should, one look is
    /// not enough: a program that another thread of this process starts holds its locks until it runs.
    package static func acquire(path: String, patience: Double) throws(VaultError) -> FileLock? {
        let end = MonotonicTime.now() + patience
        while true {
            if let lock = try FileLock(path: path) { return lock }
            guard MonotonicTime.now() < end else { return nil }
            usleep(20_000)
        }
    }

    deinit { close(descriptor) }
}
