import CLinux
package import Domain
import Glibc

/// What stands somewhere now, for foretelling; what then writes looks again, by descriptors.
package enum DirectoryContent {
    /// Whether there is nothing at `path`, or a directory without entries.
    package static func isEmpty(_ path: String) -> Bool {
        guard let stream = opendir(path) else { return errno == ENOENT }
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
