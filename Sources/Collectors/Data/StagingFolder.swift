import Domain
import Glibc

/// A directory for copies that a source makes before they are read: 0700, flat, removed when it is closed.
///
/// Its `lock` is held as long as it is in use. What a killed process left behind is therefore known by a lock that nobody
/// holds, and goes when the next one is made.
final class StagingFolder {
    let path: String
    private var lock: Int32 = -1

    /// `base` is made if it is not there.
    init(in base: String, for kind: String) throws(CollectorError) {
        try Self.make(base)
        Self.removeLeftovers(in: base, kind)
        var template = Array("\(base)/\(kind)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CollectorError.system(errno, "cannot make", Array(base.utf8)) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close()
            throw CollectorError.system(number, "cannot lock", Array(path.utf8))
        }
    }

    deinit { close() }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        Self.remove(path)
        if lock >= 0 { Glibc.close(lock) }
    }

    private var isClosed = false

    static func make(_ path: String) throws(CollectorError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw CollectorError.system(errno, "cannot make", Array(made.utf8))
            }
        }
    }

    /// Replaces a file; complete or not there.
    static func write(_ text: String, to path: String) throws(CollectorError) {
        let new = path + ".new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw CollectorError.system(errno, "cannot make", Array(new.utf8)) }
        let bytes = Array(text.utf8)
        let count = Glibc.write(file, bytes, bytes.count)
        let number = errno
        Glibc.close(file)
        guard count == bytes.count, rename(new, path) == 0 else {
            throw CollectorError.system(count == bytes.count ? errno : number, "cannot write", Array(path.utf8))
        }
    }

    /// With everything below it, never through a link: not even through one that somebody puts there meanwhile.
    static func removeTree(_ path: String, in folder: DirectoryHandle? = nil) {
        removeTree(Array(path.utf8CString), in: folder?.number ?? AT_FDCWD)
    }

    private static func removeTree(_ name: [CChar], in parent: Int32) {
        if unlinkat(parent, name, 0) == 0 { return }
        let directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { return }
        guard let stream = fdopendir(directory) else {
            Glibc.close(directory)
            return
        }
        defer { closedir(stream) }
        var names: [[CChar]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                raw.prefix(while: { $0 != 0 }).map { CChar(bitPattern: $0) }
            }
            if name != [0x2E], name != [0x2E, 0x2E] { names.append(name + [0]) }
        }
        for name in names { removeTree(name, in: directory) }
        unlinkat(parent, name, AT_REMOVEDIR)
    }

    private static func removeLeftovers(in base: String, _ kind: String) {
        for name in names(in: base) where name.hasPrefix("\(kind)-") {
            let lock = open("\(base)/\(name)/lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            if lock < 0 {
                // Of a folder that is being made, or whose maker died before the lock: only the empty one can go.
                if errno == ENOENT, isOld("\(base)/\(name)") { remove("\(base)/\(name)") }
                continue
            }
            if flock(lock, LOCK_EX | LOCK_NB) == 0 { remove("\(base)/\(name)") }
            Glibc.close(lock)
        }
    }

    private static func isOld(_ path: String) -> Bool {
        var info = stat()
        return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR && info.st_mtim.tv_sec < time(nil) - 3600
    }

    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func remove(_ path: String) {
        // The lock last: without it nothing else of the folder would be known as left behind.
        for name in names(in: path) where name != "lock" { unlink("\(path)/\(name)") }
        unlink("\(path)/lock")
        rmdir(path)
    }
}

/// A file that a source staged: it does not change any more.
final class StagedFile: DataContent {
    private let path: String
    private var descriptor: Int32 = -1
    /// Whether it was read to its end.
    private(set) var isRead = false
    let isStream = false
    let chunkBytes: Int?

    /// With `chunkBytes` for what has pages.
    init(_ path: String, chunkBytes: Int? = nil) {
        self.path = path
        self.chunkBytes = chunkBytes
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        if descriptor < 0 { descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
        guard descriptor >= 0 else { throw CollectorError.system(errno, "cannot open", Array(path.utf8)) }
        var filled = 0
        while filled < buffer.count, let start = buffer.baseAddress {
            let count = pread(descriptor, start + filled, buffer.count - filled, Int(offset) + filled)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw CollectorError.system(errno, "cannot read", Array(path.utf8))
            }
            filled += count
        }
        var info = stat()
        if fstat(descriptor, &info) == 0, UInt64(info.st_size) <= offset + UInt64(filled) { isRead = true }
        return filled
    }
}

extension SourceFacts {
    /// The same, and not whole as long as the file was not read to its end.
    func whole(_ content: StagedFile) -> SourceFacts {
        var facts = self
        facts.isWhole = isWhole && content.isRead
        return facts
    }
}
