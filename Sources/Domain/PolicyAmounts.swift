/// What is wrong with an amount in a policy.
package struct AmountError: Error, Sendable, Equatable {
    /// The unit that was probably meant.
    package var suggestion: String?
    /// The amount is well written and too small or too large.
    package var isOutOfRange: Bool

    package init(suggestion: String? = nil, isOutOfRange: Bool = false) {
        self.suggestion = suggestion
        self.isOutOfRange = isOutOfRange
    }
}

/// Rates and shares as policies write them.
package enum Amounts {
    private static let rates: [(names: [String], factor: Int64)] = [
        (["B/s"], 1), (["KiB/s"], 1 << 10), (["MiB/s"], 1 << 20), (["GiB/s"], 1 << 30),
        (["kB/s"], 1000), (["MB/s"], 1_000_000), (["GB/s"], 1_000_000_000),
        (["kbit/s"], 125), (["Mbit/s"], 125_000), (["Gbit/s"], 125_000_000),
    ]

    /// Bytes per second of `20 MiB/s`, `100 Mbit/s`: one whole number, and at least 1 KiB/s: less would never end.
    package static func bytesPerSecond(_ text: String) throws(AmountError) -> Int64 {
        let (number, unit) = try parts(text)
        guard let factor = rates.first(where: { $0.names.contains(unit) })?.factor else {
            throw AmountError(suggestion: Suggestion.nearest(to: unit, among: rates.flatMap(\.names)))
        }
        guard number <= (1 << 40) / factor, number * factor >= 1024 else { throw AmountError(isOutOfRange: true) }
        return number * factor
    }

    /// Bytes of `10 MiB`, `4096 B`: one whole number, at least 1 byte and at most 1 PiB.
    package static func bytes(_ text: String) throws(AmountError) -> Int64 {
        let (number, unit) = try parts(text)
        let sizes = rates.prefix(7).map { (name: String($0.names[0].dropLast(2)), factor: $0.factor) }
        guard let factor = sizes.first(where: { $0.name == unit })?.factor else {
            throw AmountError(suggestion: Suggestion.nearest(to: unit, among: sizes.map(\.name)))
        }
        guard number >= 1, number <= (1 << 50) / factor else { throw AmountError(isOutOfRange: true) }
        return number * factor
    }

    /// `20 MiB/s`: in the largest unit of which it is a whole number.
    package static func text(bytesPerSecond rate: Int64, in language: Language) -> String {
        let units: [(Int64, String)] = [
            (1 << 30, "GiB"), (1_000_000_000, "GB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB"),
            (1000, "kB"),
        ]
        let unit = units.first { rate > 0 && rate.isMultiple(of: $0.0) } ?? (1, "B")
        return "\(rate / unit.0) \(unit.1)/\(language == .azerbaijani ? "san" : "s")"
    }

    /// Whole percent of `50%` or `50 %`, 1 to 100.
    package static func percent(_ text: String) throws(AmountError) -> Int {
        let (number, unit) = try parts(text)
        guard unit == "%" else { throw AmountError() }
        guard (1...100).contains(number) else { throw AmountError(isOutOfRange: true) }
        return Int(number)
    }

    /// A whole number and the word behind it.
    private static func parts(_ text: String) throws(AmountError) -> (Int64, String) {
        let trimmed = text.drop(while: \.isWhitespace)
        let digits = trimmed.prefix(while: isDigit)
        let words = trimmed.dropFirst(digits.count).split(whereSeparator: \.isWhitespace)
        guard !digits.isEmpty, words.count == 1 else { throw AmountError() }
        guard digits.count <= 15, let number = Int64(digits) else { throw AmountError(isOutOfRange: true) }
        return (number, String(words[0]))
    }

    private static func isDigit(_ character: Character) -> Bool { character.isASCII && character.isNumber }
}
