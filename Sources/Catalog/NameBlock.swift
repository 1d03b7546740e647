package import Domain

/// One name in an archive, as search shows it.
package struct NameRow: Sendable, Hashable {
    package var path: [UInt8]
    package var kind: EntryKind
    package var size: UInt64
    package var modified: Timestamp

    package init(path: [UInt8], kind: EntryKind, size: UInt64, modified: Timestamp) {
        self.path = path
        self.kind = kind
        self.size = size
        self.modified = modified
    }
}

/// The names of one page of a tree, sorted and front-coded: a search reads them from front to back at memory speed.
package struct NameBlockBuilder {
    package private(set) var bytes: [UInt8] = []
    private var last: [UInt8] = []

    package init() {}

    package mutating func append(path: [UInt8], kind: EntryKind, size: UInt64, modified: Timestamp) {
        var shared = 0
        let common = min(path.count, last.count)
        while shared < common, path[shared] == last[shared] { shared += 1 }
        varint(UInt64(shared))
        varint(UInt64(path.count - shared))
        path.withUnsafeBufferPointer { bytes.append(contentsOf: UnsafeBufferPointer(rebasing: $0[shared...])) }
        bytes.append(kind.rawValue)
        varint(size)
        varint(UInt64(bitPattern: modified.seconds << 1 ^ modified.seconds >> 63))
        varint(UInt64(modified.nanoseconds))
        last = path
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}

/// Walks a block; a torn one ends early and says so.
struct NameBlockReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private(set) var path: [UInt8] = []
    private(set) var kind = EntryKind.file
    private(set) var size: UInt64 = 0
    private(set) var modified = Timestamp(seconds: 0)
    private(set) var isDamaged = false

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func next() -> Bool {
        guard offset < bytes.count else { return false }
        guard let shared = varint(), let count = varint(), shared <= UInt64(path.count),
            count <= UInt64(bytes.count - offset)
        else { return damaged() }
        path.removeSubrange(Int(shared)...)
        path.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(count)]))
        offset += Int(count)
        guard offset < bytes.count, let kind = EntryKind(rawValue: bytes[offset]) else { return damaged() }
        offset += 1
        guard let size = varint(), let seconds = varint(), let nanoseconds = varint(), nanoseconds < 1_000_000_000
        else { return damaged() }
        self.kind = kind
        self.size = size
        modified = Timestamp(
            seconds: Int64(bitPattern: seconds >> 1) ^ -Int64(bitPattern: seconds & 1), nanoseconds: UInt32(nanoseconds)
        )
        return true
    }

    private mutating func damaged() -> Bool {
        isDamaged = true
        return false
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count, shift < 64 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
