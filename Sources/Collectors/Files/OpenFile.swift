import CLinux
import Glibc

/// A regular file of a source, open to be read.
///
/// Reads are positional, so several threads may read one file. A file that changes while it is read is noticed by
/// ``hasChanged()``; one that shrinks ends early. Of a file whose content the system makes up while it is read, everything was
/// read when it was opened: its size is known by no other way, and each reading may give something else.
package struct OpenFile: ~Copyable, Sendable {
    let descriptor: Descriptor
    let path: [UInt8]
    /// As it was when the file was opened.
    package let status: FileStatus
    /// All of a file of proc, sysfs and their like.
    private let content: [UInt8]?
    /// More than any of them should have; what goes on for ever must not fill the memory.
    private static let contentLimit = 64 << 20

    init(descriptor: consuming Descriptor, path: [UInt8], status: FileStatus, content: [UInt8]? = nil) {
        self.descriptor = descriptor
        self.path = path
        var status = status
        if let content { status.size = UInt64(content.count) }
        self.status = status
        self.content = content
    }

    /// A descriptor of the same file for a program's input, from the beginning on; the caller closes it. Nil where there
    /// are too many.
    package func duplicate() -> Int32? {
        let copy = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 0)
        return copy >= 0 ? copy : nil
    }

    /// Reads to the end, whatever the size is said to be; front to back, because not all of these files know positions.
    static func everything(in descriptor: Int32, _ path: [UInt8]) throws(CollectorError) -> [UInt8] {
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw CollectorError.system(errno, "cannot read", path)
            }
            if count == 0 { return content }
            content += buffer[..<count]
            guard content.count <= contentLimit else {
                throw CollectorError(
                    .limit, "\(CollectorError.displayPath(path)) has no size and more than \(contentLimit >> 20) MiB",
                    hint: "Exclude it: its content is made up while it is read.")
            }
        }
    }

    /// Fills `buffer` from `offset` on; fewer bytes only at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(CollectorError) -> Int {
        if let content {
            guard offset < UInt64(content.count) else { return 0 }
            let part = content[Int(offset)..<min(content.count, Int(offset) + buffer.count)]
            buffer.copyBytes(from: part)
            return part.count
        }
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
        if content != nil { return offset < status.size ? offset : nil }
        guard let start = Int64(exactly: offset) else { return nil }
        let found = tree_seek(descriptor.number, start, 0)
        if found >= 0 { return UInt64(found) }
        if found == -Int64(ENXIO) { return nil }
        if found == -Int64(EINVAL) { return offset < status.size ? offset : nil }
        throw CollectorError.system(Int32(-found), "cannot find the data of", path)
    }

    /// The next offset at or after `offset` where a hole begins; the end of the file counts as one.
    package func nextHole(from offset: UInt64) throws(CollectorError) -> UInt64 {
        if content != nil { return max(offset, status.size) }
        guard let start = Int64(exactly: offset) else { return offset }
        let found = tree_seek(descriptor.number, start, 1)
        if found >= 0 { return UInt64(found) }
        if found == -Int64(ENXIO) || found == -Int64(EINVAL) { return max(offset, status.size) }
        throw CollectorError.system(Int32(-found), "cannot find the holes of", path)
    }

    /// Whether content, size or metadata changed since the file was opened; to ask after the last read.
    package func hasChanged() throws(CollectorError) -> Bool {
        // Made up at one moment, as it was taken.
        if content != nil { return false }
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
