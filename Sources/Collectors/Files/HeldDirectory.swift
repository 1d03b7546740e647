import CLinux
import Glibc

/// Directories that are restored into are held open: whoever owns one, or what it lies in, may put links in the place of anything,
/// and leads nothing elsewhere.
extension DirectoryHandle {
    /// Opens the directory that a path names now, which may be a link to it. Nil where there is none. A link that belongs to neither
    /// root nor this account is an error: who made it may change where it leads.
    package static func existing(_ path: String) throws(CollectorError) -> DirectoryHandle? {
        let path = bare(path)
        if let folder = opened(path, in: AT_FDCWD) { return folder }
        var info = stat()
        guard lstat(path, &info) == 0 else { return nil }
        guard info.st_mode & S_IFMT != S_IFLNK || info.st_uid == 0 || info.st_uid == geteuid() else {
            throw CollectorError(
                .unsafePath, "\(path) is a link of another account", hint: "Name the directory that it leads to.")
        }
        return ClusterDirectory.resolved(path).flatMap { opened($0, in: AT_FDCWD) }
    }

    /// Opens what a restore goes into: a directory without entries, which is made where there is none.
    static func empty(_ path: String) throws(CollectorError) -> DirectoryHandle {
        let folder: DirectoryHandle
        if let found = try existing(path) { folder = found } else { folder = try made(path) }
        guard DirectoryContent.isEmpty(folder.number) else {
            throw CollectorError(
                .conflict, "\(path) is not empty",
                hint: "Nothing was written. Restore into a directory that is empty or does not exist.")
        }
        return folder
    }

    /// Opens a directory that is made when there is nothing, and its parents with it; through no link at its end.
    package static func made(_ path: String) throws(CollectorError) -> DirectoryHandle {
        try FileTreeRestorer.makeTarget(Array(path.utf8))
        guard let handle = opened(bare(path), in: AT_FDCWD) else {
            throw CollectorError.system(errno, "cannot open", Array(path.utf8))
        }
        return handle
    }

    /// Opens one in it, through no link. Nil where there is none; `errno` says why.
    package func directory(_ name: String) -> DirectoryHandle? { Self.opened(name, in: number) }

    /// Makes one in it for this account alone; what has the name already is an error. `place` is the path of this directory, for
    /// people.
    package func make(_ name: String, at place: String) throws(CollectorError) -> DirectoryHandle {
        guard mkdirat(number, name, 0o700) == 0, let made = directory(name) else {
            throw CollectorError.system(errno, "cannot make", Array("\(place)/\(name)".utf8))
        }
        var info = stat()
        guard fstat(made.number, &info) == 0, info.st_uid == geteuid(), info.st_mode & 0o077 == 0 else {
            throw CollectorError(
                .unsafePath, "\(place)/\(name) was replaced while it was made",
                hint: "Restore into a directory that only this account can write to.")
        }
        return made
    }

    /// A path by which this process gets to it, wherever it is moved and whatever has its name.
    package var path: String { "/proc/self/fd/\(number)" }

    /// With a slash at its end the system would follow a link there.
    private static func bare(_ path: String) -> String {
        var path = path[...]
        while path.utf8.count > 1, path.last == "/" { path.removeLast() }
        return String(path)
    }

    private static func opened(_ path: String, in folder: Int32) -> DirectoryHandle? {
        let number = CName(path.utf8).withPointer { tree_open(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) }
        guard number < 0 else { return DirectoryHandle(Descriptor(number)) }
        errno = -number
        return nil
    }
}
