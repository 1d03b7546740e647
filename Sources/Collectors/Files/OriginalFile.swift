import CLinux
import Glibc

/// A directory of a source in which originals are compared with their archive and taken away.
///
/// Invariants:
/// 1. It was reached from `/` name by name, never through a link, and is held open: renaming something above it changes
///    nothing for what is done in it.
/// 2. Nothing is removed under a name that others know: a file is first renamed aside, and then examined once more.
package final class OriginalFolder: Sendable {
    private let descriptor: Descriptor
    /// Relative to `/`.
    package let path: [UInt8]

    package init(_ path: [UInt8]) throws(CollectorError) {
        self.path = path
        let root = tree_open(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0)
        guard root >= 0 else { throw CollectorError.system(-root, "cannot open", []) }
        guard !path.isEmpty else {
            descriptor = Descriptor(root)
            return
        }
        let base = Descriptor(root)
        let number = CName(path).withPointer { tree_open_beneath(base.number, $0, O_RDONLY | O_DIRECTORY) }
        guard number >= 0 else { throw CollectorError.system(-number, "cannot open", path) }
        descriptor = Descriptor(number)
    }

    private func path(of name: [UInt8]) -> [UInt8] { path.isEmpty ? name : path + [0x2F] + name }

    /// Of the name itself; nil where there is none.
    package func status(_ name: [UInt8]) throws(CollectorError) -> FileStatus? {
        let found = CName(name).withPointer { FileStatus.of($0, in: descriptor.number) }
        switch found {
        case .success(let status): return status
        case .failure(let error):
            if error.number == ENOENT { return nil }
            throw CollectorError.system(error.number, "cannot examine", path(of: name))
        }
    }

    /// Opens a regular file; nil where the name is gone.
    package func open(_ name: [UInt8]) throws(CollectorError) -> OriginalFile? {
        let opened = CName(name).withPointer {
            Descriptor.openUntraced($0, in: descriptor.number, O_NONBLOCK | O_NOCTTY)
        }
        let file: Descriptor
        switch consume opened {
        case .failure(let error):
            if error.number == ENOENT { return nil }
            throw CollectorError.system(error.number, "cannot open", path(of: name))
        case .success(let descriptor): file = descriptor
        }
        return OriginalFile(file, path: path(of: name))
    }

    /// Gives a file another name in this directory; never over something else.
    package func rename(_ name: [UInt8], to other: [UInt8]) throws(CollectorError) {
        let code = CName(name).withPointer { from in
            CName(other).withPointer { to in tree_rename_new(descriptor.number, from, to) }
        }
        guard code >= 0 else { throw CollectorError.system(-code, "cannot rename", path(of: name)) }
    }

    package func remove(_ name: [UInt8]) throws(CollectorError) {
        let code = CName(name).withPointer { tree_unlink(descriptor.number, $0) }
        guard code >= 0 else { throw CollectorError.system(-code, "cannot remove", path(of: name)) }
    }

    package func sync() throws(CollectorError) {
        let code = qala_fsync(descriptor.number)
        guard code >= 0 else { throw CollectorError.system(-code, "cannot sync", path) }
    }
}

/// An original, held open while it is compared with its archive.
package final class OriginalFile: Sendable {
    /// Whether the system keeps writers away while it is open.
    package enum Lease: Sendable {
        case held
        /// Somebody has the file open for writing.
        case refused
        /// The file system or this account cannot have one.
        case unavailable
    }

    private let descriptor: Descriptor
    private let path: [UInt8]
    package let lease: Lease

    fileprivate init(_ descriptor: consuming Descriptor, path: [UInt8]) {
        self.path = path
        let code = tree_lease(descriptor.number)
        lease = code >= 0 ? .held : code == -EAGAIN ? .refused : .unavailable
        self.descriptor = descriptor
    }

    package func status() throws(CollectorError) -> FileStatus {
        switch FileStatus.of(descriptor.number) {
        case .success(let status): return status
        case .failure(let error): throw CollectorError.system(error.number, "cannot examine", path)
        }
    }

    /// False once somebody wants to write.
    package var isUndisturbed: Bool {
        switch lease {
        case .held: tree_lease_holds(descriptor.number) == 1
        case .refused: false
        case .unavailable: true
        }
    }

    /// Fills `buffer` from `offset` on; fewer bytes only at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(CollectorError) -> Int {
        var filled = 0
        while filled < buffer.count, let start = buffer.baseAddress {
            guard let position = Int(exactly: offset + UInt64(filled)) else { break }
            let count = pread(descriptor.number, start + filled, buffer.count - filled, position)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw CollectorError.system(errno, "cannot read", path)
            }
            filled += count
        }
        return filled
    }
}
