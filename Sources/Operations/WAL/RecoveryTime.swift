/// A moment as an operator writes it, and as PostgreSQL reads it.
package enum RecoveryTime {
    /// As ``TimeText`` reads it, to the microsecond; what names no zone is local time of this host. Nil for what is no time.
    package static func parse(_ text: String) -> (seconds: Int64, text: String)? {
        guard let seconds = TimeText.parse(text) else { return nil }
        var fraction = ""
        if let point = text.firstIndex(of: ".") {
            fraction = "." + text[text.index(after: point)...].prefix { $0.isASCII && $0.isNumber }.prefix(6)
        }
        return (seconds, TimeText.seconds(seconds).dropLast() + fraction + "+00")
    }
}
