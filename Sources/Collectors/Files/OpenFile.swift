import CLinux
import Glibc

/// A regular file of a source, open to be read.
///
/// Reads are positional, so several threads may read one file. A file that changes while it is read is noticed by
/// ``hasChanged()``; one that shrinks ends early.
package struct OpenFile: ~Copyable, Sendable {
    let descriptor: Descriptor
    let path: [UInt8]
    /// As it was when the file was opened.
    package let status: FileStatus

    init(descriptor: consuming Descriptor, path: [UInt8], status: FileStatus) {
        self.descriptor = descriptor
        self.path = path
        self.status = status
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
            // A regular file gives less than was asked for only where it ends.
            if offset + UInt64(filled) >= status.size { break }
        }
        return filled
    }

    /// The next offset at or after `offset` that holds data; nil when only a hole or nothing follows. A file system
    /// without holes calls everything data.
    package func nextData(from offset: UInt64) throws(CollectorError) -> UInt64? {
        guard let start = Int64(exactly: offset) else { return nil }
        let found = tree_seek(descriptor.number, start, 0)
        if found >= 0 { return UInt64(found) }
        if found == -Int64(ENXIO) { return nil }
        if found == -Int64(EINVAL) { return offset < status.size ? offset : nil }
        throw CollectorError.system(Int32(-found), "cannot find the data of", path)
    }

    /// The next offset at or after `offset` where a hole begins; the end of the file counts as one.
    package func nextHole(from offset: UInt64) throws(CollectorError) -> UInt64 {
        guard let start = Int64(exactly: offset) else { return offset }
        let found = tree_seek(descriptor.number, start, 1)
        if found >= 0 { return UInt64(found) }
        if found == -Int64(ENXIO) || found == -Int64(EINVAL) { return max(offset, status.size) }
        throw CollectorError.system(Int32(-found), "cannot find the holes of", path)
    }

    /// Whether content, size or metadata changed since the file was opened; to ask after the last read.
    package func hasChanged() throws(CollectorError) -> Bool {
        switch FileStatus.of(descriptor.number) {
        case .failure(let error): throw CollectorError.system(error.number, "cannot examine", path)
        case .success(let now):
            return now.size != status.size || now.modified != status.modified || now.changed != status.changed
        }
    }

    /// Tells the system that the file will be read once from front to back.
    package func expectSequentialReading() {
        _ = posix_fadvise(descriptor.number, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    /// Lets go of the cached pages of what was read, so that a run does not drive the working set out of memory.
    package func forgetCached(_ range: Range<UInt64>) {
        guard let start = Int(exactly: range.lowerBound), let count = Int(exactly: range.upperBound - range.lowerBound)
        else { return }
        _ = posix_fadvise(descriptor.number, start, count, POSIX_FADV_DONTNEED)
    }
}
