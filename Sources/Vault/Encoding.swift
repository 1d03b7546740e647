package import Domain

/// Appends the fixed and variable width values of format 1: little-endian integers, LEB128 varints, length-prefixed
/// bytes.
package struct ByteWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int = 256) { bytes.reserveCapacity(capacity) }

    package var count: Int { bytes.count }

    package mutating func u8(_ value: UInt8) { bytes.append(value) }
    package mutating func u16(_ value: UInt16) { fixed(value) }
    package mutating func u32(_ value: UInt32) { fixed(value) }
    package mutating func u64(_ value: UInt64) { fixed(value) }

    private mutating func fixed<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Signed values interleaved (0, -1, 1, -2 …) so that small magnitudes stay short.
    package mutating func zigzag(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    package mutating func digest(_ value: Digest) {
        let old = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: Digest.byteCount))
        bytes.withUnsafeMutableBytes { value.store(to: UnsafeMutableRawBufferPointer(rebasing: $0[old...])) }
    }

    package mutating func raw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }
    package mutating func raw(_ value: UnsafeRawBufferPointer) { bytes.append(contentsOf: value) }

    /// A varint length, then the bytes.
    package mutating func blob(_ value: some Collection<UInt8>) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    package mutating func text(_ value: String) { blob(Array(value.utf8)) }

    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Overwrites four bytes that were written earlier.
    package mutating func patch(u32 value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= bytes.count)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self) }
    }
}

/// Reads what ``ByteWriter`` wrote, from hostile bytes: every read is bounded, nothing is trusted, nothing traps.
///
/// The reader borrows the buffer: it must not outlive it.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    package private(set) var offset = 0
    /// What is being read, for the error message.
    private let subject: StaticString

    package init(_ bytes: UnsafeRawBufferPointer, reading subject: StaticString) {
        self.bytes = bytes
        self.subject = subject
    }

    package var remaining: Int { bytes.count - offset }
    package var isAtEnd: Bool { offset == bytes.count }

    package func malformed(_ detail: String) -> VaultError { .damaged("\(subject) is malformed: \(detail)") }

    package mutating func take(_ count: Int) throws(VaultError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw malformed("it ends early") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    package mutating func u8() throws(VaultError) -> UInt8 {
        guard offset < bytes.count else { throw malformed("it ends early") }
        defer { offset += 1 }
        return bytes[offset]
    }

    package mutating func u16() throws(VaultError) -> UInt16 { try fixed() }
    package mutating func u32() throws(VaultError) -> UInt32 { try fixed() }
    package mutating func u64() throws(VaultError) -> UInt64 { try fixed() }

    private mutating func fixed<T: FixedWidthInteger>() throws(VaultError) -> T {
        T(littleEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: T.self))
    }

    /// Refuses encodings longer than needed, so that every value has one encoding.
    package mutating func varint() throws(VaultError) -> UInt64 {
        if offset < bytes.count, bytes[offset] < 0x80 {
            defer { offset += 1 }
            return UInt64(bytes[offset])
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(VaultError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try u8()
            if shift == 63, byte > 1 { throw malformed("a number is too large") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                if byte == 0, shift > 0 { throw malformed("a number is not in shortest form") }
                return value
            }
            shift += 7
            if shift > 63 { throw malformed("a number is too large") }
        }
    }

    /// A varint that must not exceed `limit`; for every length, count and index. Below 0, as of an index into an empty list,
    /// every value exceeds it.
    package mutating func varint(upTo limit: Int) throws(VaultError) -> Int {
        let value = try varint()
        guard limit >= 0, value <= UInt64(limit) else { throw malformed("\(value) exceeds the limit of \(limit)") }
        return Int(value)
    }

    package mutating func zigzag() throws(VaultError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    package mutating func digest() throws(VaultError) -> Digest {
        guard let value = Digest(try take(Digest.byteCount)) else { throw malformed("a digest ends early") }
        return value
    }

    package mutating func array(_ count: Int) throws(VaultError) -> [UInt8] { Array(try take(count)) }

    /// A varint length of at most `limit`, then the bytes.
    package mutating func blob(upTo limit: Int) throws(VaultError) -> [UInt8] { try array(try varint(upTo: limit)) }

    package mutating func text(upTo limit: Int) throws(VaultError) -> String {
        let bytes = try blob(upTo: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed("a text is not UTF-8") }
        return text
    }

    package func expectEnd() throws(VaultError) {
        guard isAtEnd else { throw malformed("\(remaining) bytes follow its end") }
    }
}
