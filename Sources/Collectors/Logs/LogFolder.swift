import CLinux
package import Domain
import Glibc

// Live logs as they lie on a disk.
//
// 1. Files are opened by their names in an open directory, never through a link, and count only when they still are
//    the files that were listed.
// 2. Of a file no more is read than it held when it was opened, so that a writer that is quicker than the reader does
//    not keep it for ever.

/// The directory that the files of one log source lie in.
package final class LogFolder: Sendable {
    /// More names than a directory of logs has; what is hostile must not fill the memory.
    package static let maximumFiles = LogCursors.maximumFiles

    private let handle: DirectoryHandle
    private let path: String
    /// The pattern that named files match; nil names all.
    private let pattern: [UInt8]?

    /// Of a source that is a directory, that one; else the one that its files are in.
    package init(_ source: LogSource) throws(CollectorError) {
        let (folder, name) = source.parts
        let whole = Array(source.path.utf8)
        let isDirectory = !source.isPattern && DirectoryContent.kind(of: whole) == .directory
        path = isDirectory ? source.path : folder
        pattern = isDirectory ? nil : Array(name.utf8)
        // The directory itself may be a link; what is in it may not.
        let opened = CName(Array(path.utf8) + Array("/.".utf8)).withPointer {
            Descriptor.open($0, in: AT_FDCWD, O_RDONLY | O_DIRECTORY)
        }
        switch consume opened {
        case .failure(let error):
            throw CollectorError.system(error.number, "cannot open the logs in", Array(path.utf8))
        case .success(let descriptor): handle = DirectoryHandle(descriptor)
        }
    }

    /// One file, with the bytes of its name.
    package struct Found: Sendable {
        package var name: [UInt8]
        package var file: LogFollowing.File
    }

    /// All regular files of the directory; hidden ones only when a pattern names them.
    package func files() throws(CollectorError) -> [Found] {
        var found: [Found] = []
        // Of several names of one file one is enough, the one that the source names before others.
        var places: [FileIdentity: Int] = [:]
        for name in try names() {
            let isNamed = pattern.map { LogName.matches(name, $0) } ?? (name.first != 0x2E)
            switch CName(name).withPointer({ FileStatus.of($0, in: handle.number) }) {
            case .failure(let error):
                // Gone since it was listed: what follows finds out.
                if error.number == ENOENT { continue }
                throw CollectorError.system(error.number, "cannot examine", full(name))
            case .success(let status):
                guard status.kind == .file else { continue }
                let isCompressed = LogName.isCompressed(name)
                let place = places[status.identity]
                if let place, found[place].file.isNamed || !isNamed { continue }
                let seconds = min(max(status.modified.seconds, -4_000_000_000), 9_000_000_000)
                let one = Found(
                    name: name,
                    file: LogFollowing.File(
                        path: String(decoding: full(name), as: UTF8.self),
                        name: String(decoding: name, as: UTF8.self), device: status.identity.device,
                        inode: status.identity.inode, size: status.size,
                        modified: seconds * 1_000_000_000 + Int64(status.modified.nanoseconds),
                        isNamed: isNamed && !isCompressed, isCompressed: isCompressed,
                        isExpandable: LogName.isExpandable(name)))
                if let place {
                    found[place] = one
                } else {
                    places[status.identity] = found.count
                    found.append(one)
                }
            }
        }
        return found
    }

    private func full(_ name: [UInt8]) -> [UInt8] {
        Array(path.utf8) + (path.utf8.last == 0x2F ? [] : [0x2F]) + name
    }

    private func names() throws(CollectorError) -> [[UInt8]] {
        guard let stream = opendir(path) else {
            throw CollectorError.system(errno, "cannot list", Array(path.utf8))
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw CollectorError.system(errno, "cannot list", Array(path.utf8)) }
                return names.sorted { PathOrder.compare($0, $1) < 0 }
            }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in Array(raw.prefix { $0 != 0 }) }
            if name == [0x2E] || name == [0x2E, 0x2E] { continue }
            guard names.count < Self.maximumFiles else {
                throw CollectorError(
                    .limit, "\(path) has more than \(Self.maximumFiles) names, too many for a directory of logs",
                    hint: "Name the files themselves, or archive the directory by `files`.")
            }
            names.append(name)
        }
    }

    /// The file that was listed; one that took its name since is an error.
    package func open(_ found: Found) throws(CollectorError) -> OpenFile {
        let opened = CName(found.name).withPointer { Descriptor.openUntraced($0, in: handle.number, O_NONBLOCK) }
        switch consume opened {
        case .failure(let error): throw CollectorError.system(error.number, "cannot open", full(found.name))
        case .success(let descriptor):
            switch FileStatus.of(descriptor.number) {
            case .failure(let error): throw CollectorError.system(error.number, "cannot examine", full(found.name))
            case .success(let status):
                let listed = FileIdentity(device: found.file.device, inode: found.file.inode)
                guard status.kind == .file, status.identity == listed else {
                    throw CollectorError(
                        .changed, "\(found.file.path) became something else before it was opened",
                        hint: "The next run follows it.")
                }
                return OpenFile(descriptor: descriptor, path: full(found.name), status: status)
            }
        }
    }
}
