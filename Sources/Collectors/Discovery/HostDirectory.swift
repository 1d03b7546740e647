import CLinux
import Domain
import Glibc

/// One directory of a host that is looked at: what is in it, never through a link.
final class HostDirectory {
    /// More names are not looked at.
    static let nameLimit = 50_000

    /// Absolute and without links.
    let path: [UInt8]
    private let handle: DirectoryHandle
    private(set) var names: [(name: [UInt8], kind: EntryKind?)] = []
    /// Whether it has more names than were read.
    private(set) var isCut = false

    /// Opens the directory itself, never what a link in its place leads to.
    static func open(_ path: [UInt8]) -> Result<HostDirectory, SystemError> {
        read(path, CName(path).withPointer { Descriptor.open($0, in: AT_FDCWD, O_RDONLY | O_DIRECTORY) })
    }

    /// Opens what `relative` leads to below this directory, through no link.
    func open(_ relative: [UInt8]) -> Result<HostDirectory, SystemError> {
        let number = CName(relative).withPointer {
            tree_open_beneath(handle.number, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK)
        }
        let opened: Result<Descriptor, SystemError> =
            number < 0 ? .failure(SystemError(number: -number)) : .success(Descriptor(number))
        return Self.read(path == [0x2F] ? path + relative : path + [0x2F] + relative, opened)
    }

    private static func read(
        _ path: [UInt8], _ opened: consuming Result<Descriptor, SystemError>
    ) -> Result<HostDirectory, SystemError> {
        switch consume opened {
        case .failure(let error): return .failure(error)
        case .success(let descriptor):
            let directory = HostDirectory(path, DirectoryHandle(descriptor))
            let number = directory.list()
            return number == 0 ? .success(directory) : .failure(SystemError(number: number))
        }
    }

    private init(_ path: [UInt8], _ handle: DirectoryHandle) {
        self.path = path
        self.handle = handle
    }

    private func list() -> Int32 {
        let copy = fcntl(handle.number, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { return errno }
        guard let stream = fdopendir(copy) else {
            let number = errno
            close(copy)
            return number
        }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else { return errno }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name == [0x2E] || name == [0x2E, 0x2E] { continue }
            guard names.count < Self.nameLimit else {
                isCut = true
                return 0
            }
            names.append((name, Self.kind(entry.pointee.d_type) ?? status(name)?.kind))
        }
    }

    private static func kind(_ type: UInt8) -> EntryKind? {
        switch Int(type) {
        case 8: .file
        case 4: .directory
        case 10: .symlink
        case 1: .fifo
        case 12: .socket
        default: nil
        }
    }

    /// `path` of one of the names.
    func path(of name: [UInt8]) -> [UInt8] { path == [0x2F] ? path + name : path + [0x2F] + name }

    /// Of the name itself; nil where nothing can be told.
    func status(_ name: [UInt8]) -> FileStatus? {
        guard case .success(let status) = CName(name).withPointer({ FileStatus.of($0, in: handle.number) }) else {
            return nil
        }
        return status
    }

    /// Whether something has this name, or this path below; nil where that cannot be told.
    func has(_ name: [UInt8]) -> Bool? {
        switch CName(name).withPointer({ FileStatus.of($0, in: handle.number) }) {
        case .success: true
        case .failure(let error): Self.isAbsence(error) ? false : nil
        }
    }

    /// Whether an error says that nothing is there, and not only that it could not be looked at.
    static func isAbsence(_ error: SystemError) -> Bool { [ENOENT, ENOTDIR].contains(error.number) }

    func kind(_ name: String) -> EntryKind? { status(Array(name.utf8))?.kind }

    /// The first `count` bytes of a file; nil where it is none or cannot be read. A pipe is never waited for.
    func start(of name: [UInt8], count: Int, at offset: Int = 0) -> [UInt8]? {
        let opened = CName(name).withPointer {
            Descriptor.openUntraced($0, in: handle.number, O_NONBLOCK)
        }
        switch consume opened {
        case .failure: return nil
        case .success(let descriptor):
            guard case .success(let status) = FileStatus.of(descriptor.number), status.kind == .file else { return nil }
            var bytes = [UInt8](repeating: 0, count: count)
            let read = pread(descriptor.number, &bytes, count, off_t(offset))
            return read < 0 ? nil : Array(bytes[..<read])
        }
    }

    /// The process that holds a lock on a file that others must not write meanwhile; nil where nobody does.
    func locker(of name: String) -> pid_t? {
        let opened = CName(name.utf8).withPointer { Descriptor.openUntraced($0, in: handle.number, O_NONBLOCK) }
        switch consume opened {
        case .failure: return nil
        case .success(let descriptor):
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            lock.l_whence = Int16(SEEK_SET)
            guard fcntl(descriptor.number, F_GETLK, &lock) == 0, lock.l_type != Int16(F_UNLCK) else { return nil }
            return lock.l_pid
        }
    }
}

/// The directories below some places, level by level, so that a huge one does not keep others from being looked at.
///
/// Invariants:
/// 1. No link is followed, and no file system of another host is entered: it may never answer.
/// 2. Depth, names and time are bounded; what is beyond a bound is told, never silently left out.
struct HostTree {
    static let depthLimit = 8
    static let entryLimit = 500_000
    private static let foreign: Set<String> = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "autofs", "ncpfs", "coda",
    ]

    enum Step {
        case descend
        /// What is below belongs to what was found.
        case stay
    }

    private let isOver: () -> Bool
    private let isLeftOut: ([UInt8]) -> Bool
    private let tell: ([UInt8], String) -> Void
    /// Where file systems of other hosts are mounted.
    private let elsewhere: [[UInt8]: String]

    init(
        isOver: @escaping () -> Bool, isLeftOut: @escaping ([UInt8]) -> Bool,
        tell: @escaping ([UInt8], String) -> Void
    ) {
        self.isOver = isOver
        self.isLeftOut = isLeftOut
        self.tell = tell
        elsewhere = Self.mounts()
    }

    /// Whether `path` lies on another host.
    func isElsewhere(_ path: [UInt8]) -> Bool {
        elsewhere.keys.contains { path == $0 || path.starts(with: $0 + [0x2F]) }
    }

    /// Calls `visit` for `root` and what is below it.
    func walk(_ root: [UInt8], visit: (HostDirectory) -> Step) {
        if isElsewhere(root) { return tell(root, "it lies on another host, which may not answer") }
        let base: HostDirectory
        switch HostDirectory.open(root) {
        case .failure(let error): return tell(root, CollectorError.systemText(error.number))
        case .success(let opened): base = opened
        }
        var (queue, next, entries) = ([(path: [UInt8](), depth: 0)], 0, 0)
        while next < queue.count {
            guard !isOver() else { return tell(root, "the time was over before all of it was looked at") }
            let (relative, depth) = queue[next]
            queue[next].path = []
            next += 1
            guard let directory = relative.isEmpty ? base : opened(relative, base) else { continue }
            entries += directory.names.count
            if directory.isCut {
                tell(directory.path, "it has more than \(HostDirectory.nameLimit) names; the others were not looked at")
            }
            guard visit(directory) == .descend else { continue }
            let below = directory.names.filter { $0.kind == .directory && !isLeftOut(directory.path(of: $0.name)) }
            if depth >= Self.depthLimit, !below.isEmpty {
                tell(directory.path, "what is more than \(Self.depthLimit) levels deep was not looked at")
                continue
            }
            guard entries < Self.entryLimit else {
                return tell(root, "it has more than \(Self.entryLimit) names; the others were not looked at")
            }
            queue += below.map { (relative.isEmpty ? $0.name : relative + [0x2F] + $0.name, depth + 1) }
        }
    }

    private func opened(_ relative: [UInt8], _ base: HostDirectory) -> HostDirectory? {
        let path = base.path(of: relative)
        if elsewhere[path] != nil {
            tell(path, "it lies on another host, which may not answer")
            return nil
        }
        switch base.open(relative) {
        case .success(let directory): return directory
        case .failure(let error):
            // What went meanwhile, or became a link, is not there.
            if ![ENOENT, ENOTDIR, ELOOP].contains(error.number) { tell(path, CollectorError.systemText(error.number)) }
            return nil
        }
    }

    /// Bytes of all files below `path`; nil where not all could be counted.
    func bytes(below path: [UInt8]) -> Int64? {
        var (sum, isWhole) = (Int64(0), true)
        let counting = HostTree(isOver: isOver, isLeftOut: { _ in false }, tell: { _, _ in isWhole = false })
        counting.walk(path) { directory in
            for (name, kind) in directory.names where kind == .file {
                sum = sum.addingClamped(Int64(clamping: directory.status(name)?.size ?? 0))
            }
            return .descend
        }
        return isWhole ? sum : nil
    }

    private static func mounts() -> [[UInt8]: String] {
        guard let text = ProcFile.read("/proc/self/mountinfo", limit: 4 << 20) else { return [:] }
        var found: [[UInt8]: String] = [:]
        for line in text.split(separator: 0x0A) {
            let words = line.split(separator: 0x20)
            guard words.count > 6, let dash = words.firstIndex(where: { $0.elementsEqual([0x2D]) }),
                dash + 1 < words.count
            else { continue }
            let kind = String(decoding: words[dash + 1], as: UTF8.self)
            // Of what a program serves nobody knows where it lies.
            guard foreign.contains(kind) || kind.hasPrefix("fuse.") else { continue }
            found[unescaped(words[4])] = kind
        }
        return found
    }

    /// `\040` for a blank, and the like.
    private static func unescaped(_ text: some Collection<UInt8>) -> [UInt8] {
        var (bytes, rest) = ([UInt8](), Array(text)[...])
        while let byte = rest.popFirst() {
            if byte == 0x5C, rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}

/// Files that the kernel makes up, whose size is not known before they are read.
enum ProcFile {
    /// Nil where it cannot be read; no more than `limit` bytes.
    static func read(_ path: String, limit: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < limit {
            let count = Glibc.read(file, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += block[..<count]
        }
        return Array(bytes.prefix(limit))
    }
}
