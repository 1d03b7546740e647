import Glibc

/// A file that is written front to back and gets its name when it is complete.
final class CatalogFile {
    private let path: String
    private let temporary: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(path: String) throws(CatalogError) {
        self.path = path
        temporary = "\(path).\(getpid()).new"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("creating", temporary) }
    }

    deinit {
        close(descriptor)
        unlink(temporary)
    }

    static func failure(_ what: String, _ path: String) -> CatalogError {
        let reason = errno
        return CatalogError(
            reason == ENOSPC || reason == EDQUOT ? .noSpace : .io,
            "\(what) \(path) failed: \(String(cString: strerror(reason)))",
            hint: "Check the disk and the rights of the host state directory.")
    }

    func append(_ bytes: [UInt8]) throws(CatalogError) {
        buffer += bytes
        if buffer.count >= 1 << 18 { try flush() }
    }

    private func flush() throws(CatalogError) {
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("writing", temporary) }
            done += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Not synced: after a power cut a torn file is noticed and the catalog rebuilt.
    func publish() throws(CatalogError) {
        try flush()
        guard rename(temporary, path) == 0 else { throw Self.failure("renaming", temporary) }
    }

    static func list(_ directory: String) throws(CatalogError) -> [String] {
        guard let stream = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw failure("listing", directory)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw failure("listing", directory) }
                return names.sorted()
            }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }
}

/// A file mapped for reading; nobody writes it any more.
///
/// SAFETY: read-only from init to deinit.
final class MappedFile: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer

    init?(path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_size > 0,
            let start = mmap(nil, Int(info.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED
        else { return nil }
        bytes = UnsafeRawBufferPointer(start: start, count: Int(info.st_size))
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}
