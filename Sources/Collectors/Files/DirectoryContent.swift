import CLinux
package import Domain
import Glibc

/// What stands somewhere now. By path only for foretelling: what then writes looks again, by descriptors.
package enum DirectoryContent {
    /// Whether there is nothing at `path`, or a directory without entries.
    package static func isEmpty(_ path: String) -> Bool {
        guard let stream = opendir(path) else { return errno == ENOENT }
        return endsWithoutEntries(stream)
    }

    /// Puts everything that was written to the file system of a directory on storage.
    static func syncFileSystem(of path: String) throws(CollectorError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CollectorError.system(errno, "cannot open", Array(path.utf8)) }
        defer { close(descriptor) }
        let code = tree_sync(descriptor)
        if code < 0 { throw CollectorError.system(-code, "cannot sync the file system of", Array(path.utf8)) }
    }

    /// Whether an open directory has no entries; false also where that cannot be seen.
    package static func isEmpty(_ descriptor: Int32) -> Bool {
        let number = tree_open(descriptor, ".", O_RDONLY | O_DIRECTORY, 0)
        guard number >= 0 else { return false }
        guard let stream = fdopendir(number) else {
            close(number)
            return false
        }
        return endsWithoutEntries(stream)
    }

    /// Of a directory that is held open; of its path where it was not there, or could not be opened.
    package static func isEmpty(_ folder: DirectoryHandle?, at path: String) -> Bool {
        folder.map { isEmpty($0.number) } ?? isEmpty(path)
    }

    private static func endsWithoutEntries(_ stream: OpaquePointer) -> Bool {
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = entry.pointee.d_name
            if !(name.0 == 0x2E && (name.1 == 0 || name.1 == 0x2E && name.2 == 0)) { return false }
        }
        return true
    }

    /// The kind of what has the path, without following a link; nil for nothing that can be seen.
    package static func kind(of path: [UInt8]) -> EntryKind? {
        guard case .success(let status) = CName(path).withPointer({ FileStatus.of($0, in: AT_FDCWD) }) else {
            return nil
        }
        return status.kind
    }
}
