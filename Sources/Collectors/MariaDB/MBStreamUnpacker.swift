import Glibc

/// Hears what is in the parts of a stream, in their order.
protocol MBStreamListener: AnyObject {
    func payload(of path: String, at offset: UInt64, isRewritten: Bool, _ bytes: UnsafeRawBufferPointer)
    func end(of path: String)
    func rename(_ path: String, to new: String)
    func remove(_ path: String)
}

/// Writes the files of a stream of `mariadb-backup` below a directory, as `mbstream -x` does.
///
/// Invariants:
/// 1. Names in the stream are not trusted: each is a plain path below the directory; no link is made, and none is followed. The
///    directory is held open: who owns it, or what it lies in, leads nothing elsewhere.
/// 2. Nothing that exists is overwritten, but what the stream itself sends again.
/// 3. The file by which a copy is known for one is written last, when everything else is on storage: what was cut short cannot be
///    prepared.
package final class MBStreamUnpacker {
    private static let held: Set<String> = ["xtrabackup_checkpoints", "mariadb_backup_checkpoints"]

    private var stream = MBStream()
    private let writer: Writer

    /// `directory` is empty or not there; it is made for its owner alone.
    package init(into directory: String) throws(CollectorError) {
        writer = Writer(try DirectoryHandle.empty(directory), Self.held)
        stream.listener = writer
    }

    /// `folder` is empty.
    package init(into folder: DirectoryHandle) {
        writer = Writer(folder, Self.held)
        stream.listener = writer
    }

    package var files: Int { writer.files }
    package var bytes: UInt64 { writer.bytes }
    package var directories: Int { writer.made.count }

    package func take(_ bytes: UnsafeRawBufferPointer) throws(CollectorError) {
        stream.take(bytes)
        if let failure = writer.failure { throw failure }
    }

    /// After the last bytes: puts everything on storage, and then the file that makes it a copy.
    package func finish() throws(CollectorError) {
        guard stream.isComplete else {
            throw CollectorError(
                .invalidInput, "the stream ends before its files do",
                hint: "Verify the vault, and take another archive.")
        }
        try writer.sync()
        try writer.writeHeld()
        try writer.sync()
    }

    private final class Writer: MBStreamListener {
        private let directory: DirectoryHandle
        private let held: Set<String>
        private var heldBytes: [String: [UInt8]] = [:]
        private var open: [String: (descriptor: Int32, bytes: UInt64)] = [:]
        private(set) var made: Set<String> = []
        private(set) var files = 0
        private(set) var bytes: UInt64 = 0
        /// The first; nothing is written after it.
        private(set) var failure: CollectorError?

        init(_ directory: DirectoryHandle, _ held: Set<String>) {
            self.directory = directory
            self.held = held
        }

        deinit { for file in open.values { close(file.descriptor) } }

        func payload(of path: String, at offset: UInt64, isRewritten: Bool, _ bytes: UnsafeRawBufferPointer) {
            perform { () throws(CollectorError) in
                if self.held.contains(path) {
                    self.heldBytes[path, default: []] += Array(bytes)
                    return
                }
                let known = self.open[path]
                let file = if let known { known } else { try self.begin(path, isRewritten) }
                guard file.bytes == offset else {
                    throw CollectorError(.invalidInput, "the parts of \(path) are not in order")
                }
                try Self.write(bytes, to: file.descriptor, at: offset, path)
                self.open[path] = (file.descriptor, offset + UInt64(bytes.count))
                self.bytes += UInt64(bytes.count)
            }
        }

        func end(of path: String) {
            guard let file = open.removeValue(forKey: path) else { return }
            close(file.descriptor)
        }

        func rename(_ path: String, to new: String) {
            perform { () throws(CollectorError) in
                let (from, to) = (try self.place(path), try self.place(new))
                var info = stat()
                guard fstatat(to.folder.number, to.name, &info, AT_SYMLINK_NOFOLLOW) != 0,
                    renameat(from.folder.number, from.name, to.folder.number, to.name) == 0
                else {
                    throw CollectorError.system(errno, "cannot rename", Array(path.utf8))
                }
            }
        }

        func remove(_ path: String) {
            perform { () throws(CollectorError) in
                let place = try self.place(path)
                guard unlinkat(place.folder.number, place.name, 0) == 0 || errno == ENOENT else {
                    throw CollectorError.system(errno, "cannot remove", Array(path.utf8))
                }
                self.files -= 1
            }
        }

        func writeHeld() throws(CollectorError) {
            for (path, bytes) in heldBytes {
                let file = try begin(path, false)
                defer { end(of: path) }
                let result = bytes.withUnsafeBytes { bytes in
                    Result { () throws(CollectorError) in try Self.write(bytes, to: file.descriptor, at: 0, path) }
                }
                try result.get()
            }
        }

        func sync() throws(CollectorError) { try DirectoryContent.syncFileSystem(of: directory.path) }

        private func perform(_ body: () throws(CollectorError) -> Void) {
            guard failure == nil else { return }
            do throws(CollectorError) { try body() } catch { failure = error }
        }

        private func begin(_ path: String, _ isRewritten: Bool) throws(CollectorError) -> (
            descriptor: Int32, bytes: UInt64
        ) {
            let flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (isRewritten ? 0 : O_EXCL)
            let place = try place(path)
            let descriptor = openat(place.folder.number, place.name, flags, 0o600)
            guard descriptor >= 0 else { throw CollectorError.system(errno, "cannot make", Array(path.utf8)) }
            // Not another name of a file of somebody else's.
            var info = stat()
            guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_nlink == 1,
                !isRewritten || ftruncate(descriptor, 0) == 0
            else {
                close(descriptor)
                throw CollectorError(.changed, "\(path) was replaced while it was written")
            }
            if !isRewritten { files += 1 }
            open[path] = (descriptor, 0)
            return (descriptor, 0)
        }

        /// The directory that the file goes into, and its name there; the directories that lead to it are made.
        private func place(_ path: String) throws(CollectorError) -> (folder: DirectoryHandle, name: String) {
            var parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            if parts.first == "." { parts.removeFirst() }
            guard !parts.isEmpty, parts.count <= 8, parts.allSatisfy(Self.isPlain) else {
                throw CollectorError(
                    .unsafePath, "the stream names a file \(CollectorError.displayPath(Array(path.utf8)))",
                    hint: "Such a name does not come from mariadb-backup: verify the vault.")
            }
            let name = parts.removeLast()
            var (folder, above) = (directory, "")
            for part in parts {
                let parent = above.isEmpty ? "." : above
                above += (above.isEmpty ? "" : "/") + part
                if made.insert(above).inserted {
                    folder = try folder.make(part, at: parent)
                } else if let below = folder.directory(part) {
                    folder = below
                } else {
                    throw CollectorError.system(errno, "cannot open", Array(above.utf8))
                }
            }
            return (folder, name)
        }

        private static func isPlain(_ part: String) -> Bool {
            !part.isEmpty && part != "." && part != ".." && part.utf8.count <= 255 && !part.utf8.contains(0)
        }

        private static func write(
            _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: UInt64, _ path: String
        ) throws(CollectorError) {
            var done = 0
            while done < bytes.count, let start = bytes.baseAddress {
                let count = pwrite(descriptor, start + done, bytes.count - done, Int(offset) + done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw CollectorError.system(errno, "cannot write", Array(path.utf8)) }
                done += count
            }
        }
    }
}
