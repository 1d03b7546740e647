import Glibc

/// Read-only bytes that either live in memory or are mapped from a file of this host's state.
///
/// SAFETY: never written after init; unmapped or freed with the last reference.
final class MappedBytes: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    private let isMapped: Bool

    init(_ array: [UInt8]) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, array.count), alignment: 16)
        copy.copyBytes(from: array)
        bytes = UnsafeRawBufferPointer(rebasing: copy[..<array.count])
        isMapped = false
    }

    /// Maps a file that nobody writes any more; nil when it cannot be opened or is empty.
    init?(path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_size > 0 else { return nil }
        let count = Int(info.st_size)
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            return nil
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
        isMapped = true
    }

    /// Lets go of the pages that were touched; the next touch brings them back from the page cache.
    func release() {
        if isMapped { madvise(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, MADV_DONTNEED) }
    }

    deinit {
        if isMapped {
            munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        } else {
            bytes.baseAddress?.deallocate()
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Compares like memcmp.
    func elementsEqualFast(_ other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let a = baseAddress, let b = other.baseAddress, count > 0 else { return true }
        return memcmp(a, b, count) == 0
    }
}
