import CLinux
import Glibc

/// Directories that are restored into are held open: whoever owns one, or what it lies in, may put links in the place of anything,
/// and leads nothing elsewhere.
extension DirectoryHandle {
    /// Opens the directory that a path names now, which may be a link to it. Nil where there is none that can be opened. A link that
    /// belongs to neither root nor this account is an error: who made it may change where it leads.
    package static func existing(_ path: String) throws(CollectorError) -> DirectoryHandle? {
        var place = bare(path)
        // As many links, one behind the other, as the system follows; each is held, so that it is followed as it was looked at.
        for _ in 0..<40 {
            if let folder = opened(place, in: AT_FDCWD) { return folder }
            guard let link = opened(place, in: AT_FDCWD, tree_path_only | O_NOFOLLOW),
                let target = link.linkTarget(""), case .success(let status) = FileStatus.of(link.number)
            else { return nil }
            guard status.userID == 0 || status.userID == geteuid() else {
                throw CollectorError(
                    .unsafePath, "\(place) is a link of another account", hint: "Name the directory that it leads to.")
            }
            let above = target.utf8.first == 0x2F ? nil : place.utf8.lastIndex(of: 0x2F)
            place = bare((above.map { String(decoding: place.utf8[...$0], as: UTF8.self) } ?? "") + target)
        }
        return nil
    }

    /// Whether a path leads to this directory now; through a link at its end only where that counts.
    package func isAt(_ path: String, throughLink: Bool = false) -> Bool {
        var (own, there) = (stat(), stat())
        return fstat(number, &own) == 0
            && fstatat(AT_FDCWD, Self.bare(path), &there, throughLink ? 0 : AT_SYMLINK_NOFOLLOW) == 0
            && own.st_dev == there.st_dev && own.st_ino == there.st_ino
    }

    /// Where the link `name` in it leads, and no further; without a name, where this one does. Nil for what is no link, and where
    /// the target is no text.
    package func linkTarget(_ name: String) -> String? {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = bytes.withUnsafeMutableBytes { buffer in
            CName(name.utf8).withPointer { tree_link_target(number, $0, buffer.baseAddress, buffer.count) }
        }
        guard count > 0, count < bytes.count else { return nil }
        return String(validating: bytes[..<count], as: UTF8.self)
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

    private static func opened(
        _ path: String, in folder: Int32, _ flags: Int32 = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
    ) -> DirectoryHandle? {
        let number = CName(path.utf8).withPointer { tree_open(folder, $0, flags, 0) }
        guard number < 0 else { return DirectoryHandle(Descriptor(number)) }
        errno = -number
        return nil
    }
}
