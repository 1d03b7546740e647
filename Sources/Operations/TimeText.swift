import Domain
import Glibc

/// RFC 3339 text of points in time, always UTC.
enum TimeText {
    static func seconds(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
        func pad(_ value: some BinaryInteger, _ width: Int = 2) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(pad(Int64(parts.tm_year) + 1900, 4))-\(pad(parts.tm_mon + 1))-\(pad(parts.tm_mday))"
            + "T\(pad(parts.tm_hour)):\(pad(parts.tm_min)):\(pad(parts.tm_sec))Z"
    }

    static func exact(_ time: Timestamp) -> String {
        let digits = String(time.nanoseconds)
        return seconds(time.seconds).dropLast() + "." + String(repeating: "0", count: 9 - digits.count) + digits + "Z"
    }

    /// Parses `YYYY-MM-DD` and `YYYY-MM-DD hh:mm`, which mean the last second that they cover, and RFC 3339; what names
    /// no zone is local time. Nil for anything else, and for days and times that there are not.
    static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int32? {
            guard range.upperBound <= bytes.count else { return nil }
            let digits = bytes[range]
            guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return digits.reduce(0) { $0 * 10 + Int32($1 - 0x30) }
        }
        func mark(_ at: Int, _ marks: UInt8...) -> Bool { at < bytes.count && marks.contains(bytes[at]) }
        guard mark(4, 0x2D), mark(7, 0x2D), let year = number(0..<4), let month = number(5..<7),
            let day = number(8..<10), (1...12).contains(month),
            (1...CivilDate.daysInMonth(year: Int(year), month: Int(month))).contains(Int(day))
        else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, month - 1, day)
        parts.tm_isdst = -1
        if bytes.count == 10 {
            (parts.tm_hour, parts.tm_min, parts.tm_sec) = (23, 59, 59)
            return Int64(mktime(&parts))
        }
        guard mark(10, 0x54, 0x74, 0x20), mark(13, 0x3A), let hour = number(11..<13), let minute = number(14..<16),
            hour < 24, minute < 60
        else { return nil }
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, 59)
        var at = 16
        if mark(at, 0x3A) {
            guard let second = number(17..<19), second <= 60 else { return nil }
            parts.tm_sec = second
            at = 19
            if mark(at, 0x2E) {
                at += 1
                while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
            }
        }
        if at == bytes.count { return Int64(mktime(&parts)) }
        if bytes.count == at + 1, mark(at, 0x5A, 0x7A) { return Int64(timegm(&parts)) }
        guard bytes.count == at + 6, mark(at, 0x2B, 0x2D), mark(at + 3, 0x3A), let hours = number(at + 1..<at + 3),
            let minutes = number(at + 4..<at + 6), hours < 24, minutes < 60
        else { return nil }
        let offset = Int64(hours) * 3600 + Int64(minutes) * 60
        return Int64(timegm(&parts)) - (bytes[at] == 0x2B ? offset : -offset)
    }
}
