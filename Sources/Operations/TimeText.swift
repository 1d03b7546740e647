import Domain
import Glibc

/// RFC 3339 text of points in time, always UTC.
enum TimeText {
    static func seconds(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
        func pad(_ value: Int32, _ width: Int = 2) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(pad(parts.tm_year + 1900, 4))-\(pad(parts.tm_mon + 1))-\(pad(parts.tm_mday))"
            + "T\(pad(parts.tm_hour)):\(pad(parts.tm_min)):\(pad(parts.tm_sec))Z"
    }

    static func exact(_ time: Timestamp) -> String {
        let digits = String(time.nanoseconds)
        return seconds(time.seconds).dropLast() + "." + String(repeating: "0", count: 9 - digits.count) + digits + "Z"
    }

    /// Parses `YYYY-MM-DD` (its last second, local time) or RFC 3339; nil for anything else.
    static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 10, bytes[4] == 0x2D, bytes[7] == 0x2D else { return nil }
        func number(_ range: Range<Int>) -> Int32? {
            guard range.upperBound <= bytes.count else { return nil }
            let digits = bytes[range]
            guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return digits.reduce(0) { $0 * 10 + Int32($1 - 0x30) }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), (1...12).contains(month),
            (1...31).contains(day)
        else { return nil }
        var parts = tm()
        parts.tm_year = year - 1900
        parts.tm_mon = month - 1
        parts.tm_mday = day
        parts.tm_isdst = -1
        if bytes.count == 10 {
            (parts.tm_hour, parts.tm_min, parts.tm_sec) = (23, 59, 59)
            return Int64(mktime(&parts))
        }
        guard bytes.count >= 19, bytes[10] == 0x54 || bytes[10] == 0x74 || bytes[10] == 0x20, bytes[13] == 0x3A,
            bytes[16] == 0x3A, let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
        var at = 19
        if at < bytes.count, bytes[at] == 0x2E {
            at += 1
            while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
        }
        if at == bytes.count { return Int64(mktime(&parts)) }
        if bytes.count == at + 1, bytes[at] == 0x5A || bytes[at] == 0x7A { return Int64(timegm(&parts)) }
        guard bytes.count == at + 6, bytes[at] == 0x2B || bytes[at] == 0x2D, let hours = number(at + 1..<at + 3),
            let minutes = number(at + 4..<at + 6)
        else { return nil }
        let offset = Int64(hours) * 3600 + Int64(minutes) * 60
        return Int64(timegm(&parts)) - (bytes[at] == 0x2B ? offset : -offset)
    }
}
