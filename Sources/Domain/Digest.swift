/// 32 bytes that identify something: a chunk (keyed), a stored object (unkeyed), a key, a vault.
///
/// Stored as four words so that it lives in registers and dictionaries without an allocation. Byte order is the
/// order of the bytes on storage; `<` compares those bytes lexicographically.
package struct Digest: Hashable, Sendable, Comparable {
    /// Length in bytes of every digest and identity in format 1.
    package static let byteCount = 32
    package static let zero = Digest(words: (0, 0, 0, 0))

    /// The words in storage order, each big-endian, so that word order is byte order.
    package let words: (UInt64, UInt64, UInt64, UInt64)

    package init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// Reads the first 32 bytes of `bytes`; nil when there are fewer.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.byteCount else { return nil }
        words = (
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        )
    }

    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        let made = Array(bytes).withUnsafeBytes { Digest($0) }
        guard let made else { return nil }
        self = made
    }

    /// Parses exactly 64 hexadecimal digits.
    package init?(hex: some StringProtocol) {
        guard let bytes = Hex.decode(hex), let made = Digest(bytes) else { return nil }
        self = made
    }

    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            store(to: UnsafeMutableRawBufferPointer(buffer))
            count = Self.byteCount
        }
    }

    package var hex: String { Hex.encode(bytes) }

    /// Writes the 32 bytes to the start of `out`, which must have room.
    package func store(to out: UnsafeMutableRawBufferPointer) {
        out.storeBytes(of: words.0.bigEndian, toByteOffset: 0, as: UInt64.self)
        out.storeBytes(of: words.1.bigEndian, toByteOffset: 8, as: UInt64.self)
        out.storeBytes(of: words.2.bigEndian, toByteOffset: 16, as: UInt64.self)
        out.storeBytes(of: words.3.bigEndian, toByteOffset: 24, as: UInt64.self)
    }

    package static func == (a: Digest, b: Digest) -> Bool {
        (a.words.0 ^ b.words.0) | (a.words.1 ^ b.words.1) | (a.words.2 ^ b.words.2) | (a.words.3 ^ b.words.3) == 0
    }

    package static func < (a: Digest, b: Digest) -> Bool { a.words < b.words }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
    }
}

extension Digest: CustomStringConvertible {
    package var description: String { hex }
}

/// Lower-case hexadecimal text of bytes.
package enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for an odd number of digits or any other character.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let source = Array(text.utf8)
        guard source.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count / 2)
        for at in stride(from: 0, to: source.count, by: 2) {
            guard let high = value(source[at]), let low = value(source[at + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }
}
