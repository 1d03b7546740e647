/// Numbers as people read them: sizes and rates in binary units, durations, grouped counts, ratios.
///
/// Pure integer and floating point arithmetic, no locale of the process: the caller names the language.
package enum Readable {
    private static let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    /// `0 B`, `999 B`, `1.00 KiB`, `12.3 MiB`, `1023 GiB`: three or four digits, never rounded up to 1024 of a unit.
    package static func size(_ bytes: Int, _ language: Language = .english) -> String {
        let magnitude = bytes.magnitude
        if magnitude < 1024 { return "\(bytes) B" }
        var unit = 0
        var value = Double(magnitude) / 1024
        while value >= 1023.5, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let sign = bytes < 0 ? "-" : ""
        let decimals = value < 9.995 ? 2 : (value < 99.95 ? 1 : 0)
        return "\(sign)\(fixed(value, decimals: decimals, language)) \(units[unit])"
    }

    /// Bytes per second; `-` while no time has passed.
    package static func rate(bytes: Int, seconds: Double, _ language: Language = .english) -> String {
        guard seconds > 0, seconds.isFinite else { return "-" }
        let perSecond = Double(bytes) / seconds
        guard perSecond.isFinite, perSecond.magnitude < Double(Int.max) / 2 else { return "-" }
        let second = language == .azerbaijani ? "san" : "s"
        return "\(size(Int(perSecond), language))/\(second)"
    }

    /// `0.04 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`, `3 d 04 h`. Negative and infinite durations show as `-`.
    package static func duration(_ seconds: Double, _ language: Language = .english) -> String {
        guard seconds >= 0, seconds < 1e12 else { return "-" }
        let (s, min, h, d) = language == .azerbaijani ? ("san", "dəq", "saat", "gün") : ("s", "min", "h", "d")
        if seconds < 9.995 { return "\(fixed(seconds, decimals: 2, language)) \(s)" }
        if seconds < 59.95 { return "\(fixed(seconds, decimals: 1, language)) \(s)" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return "\(whole / 60) \(min) \(padded(whole % 60)) \(s)" }
        if whole < 86_400 { return "\(whole / 3600) \(h) \(padded(whole / 60 % 60)) \(min)" }
        return "\(whole / 86_400) \(d) \(padded(whole / 3600 % 24)) \(h)"
    }

    /// `1 234 567`: digits in groups of three from 10 000 on, as both languages write them.
    package static func count(_ value: Int) -> String {
        let digits = String(value.magnitude)
        guard digits.count > 4 else { return String(value) }
        var text = value < 0 ? "-" : ""
        for (at, digit) in digits.enumerated() {
            if at > 0, (digits.count - at).isMultiple(of: 3) { text.append(" ") }
            text.append(digit)
        }
        return text
    }

    /// How many times smaller `stored` is than `plain`, such as `3.4`; nil when nothing was stored.
    package static func ratio(plain: Int, stored: Int, _ language: Language = .english) -> String? {
        guard stored > 0, plain >= 0 else { return nil }
        let value = Double(plain) / Double(stored)
        return value < 1e6 ? fixed(value, decimals: value < 99.95 ? 1 : 0, language) : nil
    }

    /// `value` with exactly `decimals` (0 to 3) digits after the mark; for magnitudes below 10^12.
    package static func fixed(_ value: Double, decimals: Int, _ language: Language = .english) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "-" }
        let scale = [1, 10, 100, 1000][min(max(decimals, 0), 3)]
        let scaled = Int((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard scale > 1 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: min(max(decimals, 0), 3) - fraction.count)
        return "\(sign)\(scaled / scale)\(language.decimalMark)\(zeros)\(fraction)"
    }

    private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
