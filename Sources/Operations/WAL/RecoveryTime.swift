/// A moment as an operator writes it, and as PostgreSQL reads it.
package enum RecoveryTime {
    private static let minuteLength = 16

    /// As ``TimeText`` reads it, to the microsecond, but that a minute means its beginning, as PostgreSQL has it: a recovery must
    /// not go further than was asked for. A day alone is no moment. `+04` is a zone too, for so `psql` prints it; what names no
    /// zone is local time of this host. Nil for what is no time.
    package static func parse(_ text: String) -> (seconds: Int64, text: String)? {
        var whole = Array(text.utf8)
        guard whole.count >= minuteLength else { return nil }
        let zone = whole.suffix(3)
        if whole.count > minuteLength, let sign = zone.first, sign == 0x2B || sign == 0x2D,
            zone.dropFirst().allSatisfy({ (0x30...0x39).contains($0) })
        {
            whole += Array(":00".utf8)
        }
        if whole.count == minuteLength || whole[minuteLength] != 0x3A {
            whole.insert(contentsOf: Array(":00".utf8), at: minuteLength)
        }
        guard let seconds = TimeText.parse(String(decoding: whole, as: UTF8.self)) else { return nil }
        var fraction = ""
        if let point = text.firstIndex(of: ".") {
            fraction = "." + text[text.index(after: point)...].prefix { $0.isASCII && $0.isNumber }.prefix(6)
        }
        return (seconds, TimeText.seconds(seconds).dropLast() + (fraction == "." ? "" : fraction) + "+00")
    }
}
