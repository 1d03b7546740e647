/// Tables as RFC 4180 has them: fields with commas, quotes or line ends in quotes, quotes doubled, lines ended by CR LF.
///
/// What a spreadsheet would take for a formula gets an apostrophe before it: names and messages come from file systems and
/// from other programs, and opening a register must not run them.
enum CSVText {
    static func line(_ fields: [String]) -> String { fields.map(field).joined(separator: ",") + "\r\n" }

    static func field(_ text: String) -> String {
        var harmless = text
        if let first = text.unicodeScalars.first, ["=", "+", "-", "@", "\t", "\r", "\n"].contains(first) {
            harmless = "'" + text
        }
        let isQuoted = harmless.unicodeScalars.contains { ["\"", ",", "\r", "\n", "'"].contains($0) }
        guard isQuoted else { return harmless }
        var quoted = "\""
        for scalar in harmless.unicodeScalars {
            if scalar == "\"" { quoted += "\"" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }
}
