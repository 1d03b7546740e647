import Domain

/// The texts of the audit log: which bytes a word may have, and how a text is written.
enum AuditText {
    static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x30...0x39, 0x2E, 0x2D: true
        default: false
        }
    }

    static func isRun(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x2E, 0x5F, 0x3A, 0x2D: true
        default: false
        }
    }

    static func isVia(_ byte: UInt8) -> Bool { isRun(byte) || byte == 0x23 || byte == 0x2F }

    /// Bytes between the quotes.
    static func encodedCount(_ text: String) -> Int { text.utf8.reduce(0) { $0 + encodedCount($1) } }

    private static func encodedCount(_ byte: UInt8) -> Int {
        switch byte {
        case 0..<0x20: 6
        case 0x22, 0x5C: 2
        default: 1
        }
    }

    /// `text`, or its beginning and the hash of the whole where it would take more than `limit` encoded bytes: a long
    /// name must not keep an act from being recorded, and must not be confused with another one either.
    static func fitted(_ text: String, to limit: Int) -> String {
        if encodedCount(text) <= limit { return text }
        let mark = "…sha256:" + ObjectHasher.digest(of: Array(text.utf8), suite: .hmacSHA256).hex
        var room = limit - mark.utf8.count
        var kept = ""
        for scalar in text.unicodeScalars {
            room -= encodedCount(String(scalar))
            if room < 0 { break }
            kept.unicodeScalars.append(scalar)
        }
        return kept + mark
    }
}

/// Writes the one JSON form that the audit log knows: no spaces, fixed escapes.
struct AuditWriter {
    private(set) var bytes: [UInt8] = []

    mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func text(_ text: String) {
        bytes.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: bytes += [0x5C, byte]
            case 0..<0x20: raw("\\u00" + Hex.encode([byte]))
            default: bytes.append(byte)
            }
        }
        bytes.append(0x22)
    }

    /// A member that is not the first one.
    mutating func member(_ name: StaticString, _ value: String) {
        raw(",\"\(name)\":")
        text(value)
    }

    mutating func list(_ values: [String]) {
        raw("[")
        for (at, value) in values.enumerated() {
            if at > 0 { raw(",") }
            text(value)
        }
        raw("]")
    }
}

/// Reads what ``AuditWriter`` wrote and nothing else; every function returns nil, or false, and stays put on other bytes.
struct AuditScanner {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func skip(_ literal: StaticString) -> Bool {
        let count = literal.utf8CodeUnitCount
        guard bytes.count - offset >= count else { return false }
        let isHere = literal.withUTF8Buffer { wanted in
            for at in 0..<count where bytes[offset + at] != wanted[at] { return false }
            return true
        }
        if isHere { offset += count }
        return isHere
    }

    /// Decimal without leading zeros, at most 15 digits.
    mutating func number() -> UInt64? {
        var at = offset
        var value: UInt64 = 0
        while at < bytes.count, (0x30...0x39).contains(bytes[at]), at - offset < 16 {
            value = value * 10 + UInt64(bytes[at] - 0x30)
            at += 1
        }
        guard (1...15).contains(at - offset), bytes[offset] != 0x30 || at - offset == 1 else { return nil }
        offset = at
        return value
    }

    /// A text that takes at most `limit` bytes between its quotes.
    mutating func text(upTo limit: Int = .max) -> String? {
        guard offset < bytes.count, bytes[offset] == 0x22 else { return nil }
        let first = offset + 1
        var at = first
        var hasEscapes = false
        while at < bytes.count, bytes[at] != 0x22 {
            if bytes[at] < 0x20 { return nil }
            hasEscapes = hasEscapes || bytes[at] == 0x5C
            // Whatever is escaped is no end.
            at += bytes[at] == 0x5C ? 2 : 1
        }
        guard at < bytes.count, at - first <= limit,
            let text = hasEscapes ? unescaped(first, at) : String(validating: bytes[first..<at], as: UTF8.self)
        else { return nil }
        offset = at + 1
        return text
    }

    private func unescaped(_ first: Int, _ end: Int) -> String? {
        var plain: [UInt8] = []
        var at = first
        while at < end {
            if bytes[at] == 0x5C {
                guard let (byte, length) = escape(at) else { return nil }
                plain.append(byte)
                at += length
            } else {
                plain.append(bytes[at])
                at += 1
            }
        }
        return String(validating: plain, as: UTF8.self)
    }

    /// A text of `least` to `most` bytes that all pass, so none escaped.
    mutating func word(_ least: Int, _ most: Int, _ passes: (UInt8) -> Bool) -> String? {
        guard offset < bytes.count, bytes[offset] == 0x22 else { return nil }
        var at = offset + 1
        while at < bytes.count, passes(bytes[at]) { at += 1 }
        guard at < bytes.count, bytes[at] == 0x22, (least...most).contains(at - offset - 1) else { return nil }
        let word = String(decoding: bytes[(offset + 1)..<at], as: UTF8.self)
        offset = at + 1
        return word
    }

    /// The byte that an escape stands for, and how long the escape is.
    private func escape(_ at: Int) -> (UInt8, Int)? {
        guard at + 1 < bytes.count else { return nil }
        if bytes[at + 1] == 0x22 || bytes[at + 1] == 0x5C { return (bytes[at + 1], 2) }
        guard at + 5 < bytes.count, bytes[(at + 1)...(at + 3)].elementsEqual("u00".utf8) else { return nil }
        let digits = String(decoding: bytes[(at + 4)...(at + 5)], as: UTF8.self)
        guard let byte = Hex.decode(digits)?.first, byte < 0x20, Hex.encode([byte]) == digits else { return nil }
        return (byte, 6)
    }

    mutating func list(upTo limit: Int) -> [String]? {
        guard skip("[") else { return nil }
        var values: [String] = []
        if skip("]") { return values }
        repeat {
            guard values.count < limit, let value = text() else { return nil }
            values.append(value)
        } while skip(",")
        return skip("]") ? values : nil
    }
}

/// Base 64 of RFC 4648 with padding.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            var bits = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
            var digits: [UInt8] = []
            for _ in 0..<4 {
                digits.append(alphabet[Int(bits & 63)])
                bits >>= 6
            }
            out += digits.reversed()[0...part.count]
            out += [UInt8](repeating: 0x3D, count: 3 - part.count)
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Nil for anything that ``encode(_:)`` does not make.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let source = Array(text.utf8)
        guard source.count.isMultiple(of: 4) else { return nil }
        let padding = source.reversed().prefix { $0 == 0x3D }.count
        guard padding <= 2 else { return nil }
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in source.dropLast(padding) {
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> count))
                bits &= 1 << count - 1
            }
        }
        return bits == 0 ? out : nil
    }

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte) - 0x41
        case 0x61...0x7A: UInt32(byte) - 0x61 + 26
        case 0x30...0x39: UInt32(byte) - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
