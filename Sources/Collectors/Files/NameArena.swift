import CLinux
import Glibc

/// The names of the directories on the current branch of a walk, in one block of memory.
///
/// Directories come and go like a stack: names are added at the end and released by falling back to a ``Mark``, so a
/// walk allocates only while its deepest need still grows. A directory of a million names costs its names, one zero
/// byte and 8 bytes each, and while it is sorted 24 bytes more.
final class NameArena {
    struct Mark {
        /// How many names there are before it.
        fileprivate(set) var names: Int
        fileprivate var bytes: Int
    }

    /// One name: where its bytes begin, how many there are and what `getdents64` said about its kind.
    fileprivate struct Name {
        /// Offset in bits 24…63, length in bits 8…23, kind in bits 0…7.
        var place: UInt64

        init(offset: Int, count: Int, kind: UInt8) {
            place = UInt64(offset) << 24 | UInt64(count) << 8 | UInt64(kind)
        }

        var offset: Int { Int(place >> 24) }
        var count: Int { Int(place >> 8 & 0xFFFF) }
        var kind: UInt8 { UInt8(truncatingIfNeeded: place) }

        func moved(by bytes: Int) -> Name { Name(offset: offset + bytes, count: count, kind: kind) }
    }

    /// A name while it is sorted, with the first eight bytes after what all names of the directory have in common.
    private struct KeyedName {
        var key: UInt64
        var name: Name
    }
    private static let keptKeys = 4096

    static let listBufferSize = 128 << 10
    private static let unknownKind: UInt8 = 0

    private var bytes = UnsafeMutableRawBufferPointer(start: malloc(64 << 10), count: 64 << 10)
    private var byteCount = 0
    private var names: [Name] = []
    private var keyed: [KeyedName] = []
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: listBufferSize, alignment: 16)

    deinit {
        free(bytes.baseAddress)
        buffer.deallocate()
    }

    /// The system moves the pages of a large block instead of copying them, so that it is never there twice.
    private func grow(to count: Int) {
        guard let start = realloc(bytes.baseAddress, count) else { preconditionFailure("out of memory") }
        bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
    }

    var mark: Mark { Mark(names: names.count, bytes: byteCount) }
    var count: Int { names.count }

    func release(to mark: Mark) {
        names.removeLast(names.count - mark.names)
        byteCount = mark.bytes
    }

    /// Keeps of the names from `first` on only the one at `kept`.
    func keepOnly(_ kept: Int, from first: Int) {
        names[first] = names[kept]
        names.removeLast(names.count - first - 1)
    }

    func append(_ name: UnsafeRawBufferPointer, kind: UInt8) {
        makeRoom(for: name.count + 1)
        UnsafeMutableRawBufferPointer(rebasing: bytes[byteCount...]).copyMemory(from: name)
        bytes[byteCount + name.count] = 0
        names.append(Name(offset: byteCount, count: name.count, kind: kind))
        byteCount += name.count + 1
    }

    private func makeRoom(for count: Int) {
        let needed = byteCount + count
        if needed > bytes.count { grow(to: max(needed, bytes.count * 2)) }
    }

    /// Adds what ``copy(since:)`` made, in its order.
    func append(_ list: NameList) {
        makeRoom(for: list.bytes.count)
        list.bytes.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(rebasing: bytes[byteCount...]).copyMemory(from: $0)
        }
        for name in list.names { names.append(name.moved(by: byteCount)) }
        byteCount += list.bytes.count
    }

    /// The names added since `mark`, in their order.
    func copy(since mark: Mark) -> NameList {
        NameList(
            bytes: Array(UnsafeRawBufferPointer(rebasing: bytes[mark.bytes..<byteCount])),
            names: names[mark.names...].map { $0.moved(by: -mark.bytes) })
    }

    /// Adds all names of an open directory but `.` and `..`; unsorted. Names read before a failure stay. Of a directory that
    /// has more than `limit` some are added that are more than that, and not all.
    func list(_ directory: Int32, upTo limit: Int = .max) -> SystemError? {
        let first = names.count
        while names.count - first <= limit {
            let filled = tree_list(directory, buffer.baseAddress, buffer.count)
            if filled < 0 { return SystemError(number: Int32(-filled)) }
            if filled == 0 { return nil }
            var at = 0
            while at + 19 < filled {
                let length = Int(buffer.loadUnaligned(fromByteOffset: at + 16, as: UInt16.self))
                guard length > 19, at + length <= filled else { return SystemError(number: EIO) }
                let field = UnsafeRawBufferPointer(rebasing: buffer[at + 19..<at + length])
                let name = UnsafeRawBufferPointer(rebasing: field[..<(field.firstIndex(of: 0) ?? field.count)])
                let isDots = name.count < 3 && name.first == 0x2E && name.last == 0x2E
                if !isDots, name.count > 0 { append(name, kind: buffer[at + 18]) }
                at += length
            }
        }
        return nil
    }

    /// Puts the names from `first` on into the order of their bytes.
    func sort(from first: Int) {
        guard names.count - first > 1 else { return }
        let shared = sharedPrefix(from: first)
        keyed.reserveCapacity(names.count - first)
        for name in names[first...] { keyed.append(KeyedName(key: key(name, after: shared), name: name)) }
        let base = UnsafeRawBufferPointer(bytes)
        keyed.sort { a, b in
            if a.key != b.key { return a.key < b.key }
            return Self.compare(base, a.name, b.name, from: shared) < 0
        }
        for index in keyed.indices { names[first + index] = keyed[index].name }
        keyed.removeAll(keepingCapacity: keyed.count <= Self.keptKeys)
    }

    private func sharedPrefix(from first: Int) -> Int {
        let one = names[first]
        var shared = one.count
        for index in first + 1..<names.count {
            let other = names[index]
            shared = min(shared, other.count)
            var same = 0
            while same < shared, bytes[one.offset + same] == bytes[other.offset + same] { same += 1 }
            shared = same
            if shared == 0 { break }
        }
        return shared
    }

    /// A shorter name is filled up with zero bytes, which no name holds, so keys order as the bytes do.
    private func key(_ name: Name, after shared: Int) -> UInt64 {
        var key: UInt64 = 0
        for at in 0..<8 {
            key <<= 8
            if shared + at < name.count { key |= UInt64(bytes[name.offset + shared + at]) }
        }
        return key
    }

    private static func compare(_ base: UnsafeRawBufferPointer, _ a: Name, _ b: Name, from shared: Int) -> Int {
        let common = min(a.count, b.count)
        if let start = base.baseAddress, common > shared {
            let order = memcmp(start + a.offset + shared, start + b.offset + shared, common - shared)
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }

    /// The bytes of a name; valid until the next change of the arena.
    @inline(__always)
    func name(_ index: Int) -> UnsafeRawBufferPointer {
        let name = names[index]
        return UnsafeRawBufferPointer(rebasing: bytes[name.offset..<name.offset + name.count])
    }

    /// What `getdents64` said, as `d_type`; nil where the file system does not say.
    @inline(__always)
    func isDirectory(_ index: Int) -> Bool? {
        let kind = names[index].kind
        return kind == Self.unknownKind ? nil : kind == 4
    }

    /// The name as the system wants it.
    @inline(__always)
    func withPointer<R: ~Copyable>(_ index: Int, _ body: (UnsafePointer<CChar>) -> R) -> R {
        guard let start = bytes.baseAddress else { preconditionFailure("an arena without memory") }
        return body((start + names[index].offset).assumingMemoryBound(to: CChar.self))
    }

    /// The first of the sorted names in `range` that is not before `wanted`.
    func lowerBound(_ wanted: [UInt8], in range: Range<Int>) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = low + (high - low) / 2
            if name(middle).lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Where `wanted` is among the sorted names in `range`; nil where it is not.
    func index(of wanted: [UInt8], in range: Range<Int>) -> Int? {
        let index = lowerBound(wanted, in: range)
        return index < range.upperBound && name(index).elementsEqual(wanted) ? index : nil
    }
}

/// Names that left an arena, to be handed from thread to thread.
struct NameList: Sendable {
    fileprivate var bytes: [UInt8] = []
    fileprivate var names: [NameArena.Name] = []

    var count: Int { names.count }
    /// What it takes of the memory.
    var memoryBytes: Int { bytes.count + names.count * MemoryLayout<NameArena.Name>.stride }

    mutating func append(_ name: UnsafeRawBufferPointer) {
        names.append(NameArena.Name(offset: bytes.count, count: name.count, kind: 0))
        bytes.append(contentsOf: name)
        bytes.append(0)
    }

    func bytes(of index: Int) -> ArraySlice<UInt8> {
        bytes[names[index].offset..<names[index].offset + names[index].count]
    }

    /// The name as the system wants it.
    func withPointer<R: ~Copyable>(_ index: Int, _ body: (UnsafePointer<CChar>) -> R) -> R {
        bytes.span.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { preconditionFailure("a list without names") }
            return body(UnsafeRawPointer(start + names[index].offset).assumingMemoryBound(to: CChar.self))
        }
    }
}
