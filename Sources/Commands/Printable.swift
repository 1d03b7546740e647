import Glibc

/// Text of unknown origin, and times, made fit for a terminal.
package enum Printable {
    /// Control characters, which could move the cursor or change the terminal, show as `\n`, `\t` or `\x1b`; so do
    /// those that reorder text.
    package static func text(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        var shown = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": shown += "\\n"
            case "\t": shown += "\\t"
            case _ where isHarmful(scalar):
                let hex = String(scalar.value, radix: 16)
                shown += scalar.value < 0x100 ? "\\x" + (hex.count < 2 ? "0" + hex : hex) : "\\u{\(hex)}"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The first twelve digits: enough to tell archives apart, short enough for a table.
    package static func shortID(_ id: String) -> String { String(id.prefix(12)) }

    /// How many columns a terminal gives the text. Exact for European scripts, close for the others.
    package static func width(_ text: String) -> Int {
        var width = 0
        for character in text {
            guard let scalar = character.unicodeScalars.first else { continue }
            switch scalar.value {
            case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
                0x1F300...0x1FAFF, 0x20000...0x3FFFD:
                width += 2
            case 0x200B...0x200D, 0xFEFF: break
            default: width += 1
            }
        }
        return width
    }

    /// An RFC 3339 time as local date and time of day; the text as it is when it is no such time.
    package static func localTime(_ text: String) -> String {
        guard let seconds = seconds(rfc3339: text) else { return Self.text(text) }
        var time = time_t(seconds)
        var local = tm()
        guard localtime_r(&time, &local) != nil else { return Self.text(text) }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                chars.baseAddress.map { strftime($0, chars.count, "%Y-%m-%d %H:%M:%S", &local) } ?? 0
            }
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Seconds since 1970 of `2026-11-22T15:04:05[.fraction](Z|±hh:mm)`; the fraction is dropped.
    package static func seconds(rfc3339 text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54 || bytes[10] == 0x20,
            bytes[13] == 0x3A, bytes[16] == 0x3A
        else { return nil }
        func number(_ range: Range<Int>) -> Int32? { Int32(String(decoding: bytes[range], as: UTF8.self)) }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), (0...24).contains(hour), (0...59).contains(minute),
            (0...60).contains(second)
        else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, month - 1, day)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
        let utc = Int64(timegm(&parts))
        guard let zone = bytes[19...].firstIndex(where: { $0 != 0x2E && !(0x30...0x39).contains($0) }) else {
            return nil
        }
        if bytes[zone] == 0x5A || bytes[zone] == 0x7A { return zone == bytes.count - 1 ? utc : nil }
        guard bytes[zone] == 0x2B || bytes[zone] == 0x2D, bytes.count == zone + 6, bytes[zone + 3] == 0x3A,
            let hours = number(zone + 1..<zone + 3), let minutes = number(zone + 4..<zone + 6)
        else { return nil }
        let offset = Int64(hours) * 3600 + Int64(minutes) * 60
        return bytes[zone] == 0x2B ? utc - offset : utc + offset
    }
}
