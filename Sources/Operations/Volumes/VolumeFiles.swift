import Domain
import Glibc
import Vault

/// SHA-256 of what passes by; one thread's own.
final class ListDigest {
    private var hasher: ObjectHasher?

    init() { hasher = ObjectHasher(suite: .hmacSHA256) }

    func update(_ bytes: UnsafeRawBufferPointer) { hasher?.update(bytes) }
    func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// Once.
    func finish() -> Digest {
        guard let finished = hasher.take() else { return .zero }
        return finished.finalize()
    }

    static func of(_ bytes: [UInt8]) -> Digest { ObjectHasher.digest(of: bytes, suite: .hmacSHA256) }
}

/// A new file on a medium: under `NAME.new` until ``publish(_:)`` gives it its name.
final class MediumFile {
    let path: String
    private var descriptor: Int32
    private let digest = ListDigest()
    private(set) var length = 0

    init(_ path: String) throws {
        self.path = path
        // Left by a write that died; it never had its name.
        unlink(path + ".new")
        descriptor = open(path + ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Self.failure("make", path, errno) }
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            let reason = errno
            if count < 0, reason == EINTR { continue }
            guard count > 0 else { throw Self.failure("write", path, count < 0 ? reason : ENOSPC) }
            done += count
        }
        digest.update(bytes)
        length += bytes.count
    }

    func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

    /// Synced and complete, still without its name.
    func finish() throws -> Digest {
        guard fsync(descriptor) == 0 else { throw Self.failure("sync", path, errno) }
        Glibc.close(descriptor)
        descriptor = -1
        return digest.finish()
    }

    static func publish(_ path: String) throws {
        guard rename(path + ".new", path) == 0 else { throw failure("rename", path, errno) }
    }

    /// Some media have nothing to sync in a directory.
    static func syncDirectory(_ path: String) throws {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("open", path, errno) }
        defer { Glibc.close(directory) }
        guard fsync(directory) != 0 else { return }
        let reason = errno
        guard reason == EINVAL || reason == EROFS else { throw failure("sync", path, reason) }
    }

    /// The whole of a small file under its name, durable but for its directory.
    static func write(_ path: String, _ bytes: [UInt8]) throws -> Digest {
        let file = try MediumFile(path)
        try file.append(bytes)
        let digest = try file.finish()
        try publish(path)
        return digest
    }

    static func failure(_ what: String, _ path: String, _ reason: Int32) -> OperationError {
        let words = strerror(reason).map { String(cString: $0) } ?? "error \(reason)"
        return OperationError(
            .failed, "cannot \(what) \(path): \(words)",
            hint: reason == ENOSPC ? "The medium is full; use another volume for the rest." : "Check the medium.")
    }
}

/// Reads a file of a medium front to back, and never through a link.
enum MediumRead {
    /// Nil where there is no such file, or no regular one.
    static func open(_ path: String) -> Int32? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Nil where the file cannot be read, or is longer than it may be.
    static func whole(_ path: String, limit: Int) -> [UInt8]? {
        guard let descriptor = open(path) else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        let isRead =
            (try? pieces(descriptor) { piece in
                guard bytes.count + piece.count <= limit else { throw BrokenPipeline() }
                bytes.append(contentsOf: piece)
            }) ?? false
        return isRead ? bytes : nil
    }

    /// False when reading failed.
    static func pieces(_ descriptor: Int32, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count == 0 { return true }
            guard count > 0 else { return false }
            try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    static func length(_ path: String) -> Int? {
        var info = stat()
        guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(info.st_size)
    }
}

/// Cuts what comes out of a pipeline into parts of bounded size.
///
/// SAFETY: one thread drains; the others look at what it left only after they joined it.
final class PartSink: @unchecked Sendable {
    struct Part {
        var name: String
        var digest: Digest
        var length: Int
    }

    private let directory: String
    private let partBytes: Int
    /// Sealed bytes that the medium may still take; nil without a bound.
    private let room: Int?
    private let name: @Sendable (Int) -> String
    private(set) var parts: [Part] = []
    private(set) var failure: (any Error)?
    private(set) var total = 0

    init(_ directory: String, partBytes: Int, room: Int?, name: @escaping @Sendable (Int) -> String) {
        self.directory = directory
        self.partBytes = partBytes
        self.room = room
        self.name = name
    }

    /// Until the end of the output; the first failure is kept, and what feeds sees that nobody reads any more.
    func drain(_ descriptor: Int32) {
        do { try take(descriptor) } catch { failure = error }
    }

    private func take(_ descriptor: Int32) throws {
        var file: MediumFile?
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let limit = min(buffer.count, partBytes - (file?.length ?? 0))
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, limit) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw MediumFile.failure("read", "the stream", errno) }
            if count == 0 { break }
            total += count
            if let room, total > room {
                throw OperationError(
                    .failed, "the volume is full", hint: "Use another volume for the archives that it does not list.")
            }
            let open = try file ?? MediumFile("\(directory)/\(name(parts.count + 1))")
            file = open
            try buffer.withUnsafeBytes { try open.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            if open.length >= partBytes {
                try close(open)
                file = nil
            }
        }
        if let file { try close(file) }
    }

    private func close(_ file: MediumFile) throws {
        parts.append(Part(name: name(parts.count + 1), digest: try file.finish(), length: file.length))
    }
}
