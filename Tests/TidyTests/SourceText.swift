/// Swift source with comments and code told apart, so that a rule about code does not trip over a comment or a string,
/// nor a rule about comments over code.
///
/// Both views have the length and the line breaks of the original; whatever does not belong to a view is a space in it.
/// Contents of string literals belong to neither, code interpolated into them belongs to `code`. Regular expression
/// literals are read as code, so one with an odd number of quotes hides the rest of its line.
struct SourceText {
    let code: String
    let comments: String

    var codeLines: [Substring] { code.split(separator: "\n", omittingEmptySubsequences: false) }
    var commentLines: [Substring] { comments.split(separator: "\n", omittingEmptySubsequences: false) }

    init(_ text: String) {
        var scanner = Scanner(Array(text.utf8))
        scanner.scanCode(insideInterpolation: false)
        code = String(decoding: scanner.code, as: UTF8.self)
        comments = String(decoding: scanner.comments, as: UTF8.self)
    }
}

private struct Scanner {
    private let bytes: [UInt8]
    private(set) var code: [UInt8]
    private(set) var comments: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let blank = bytes.map { $0 == UInt8(ascii: "\n") ? $0 : UInt8(ascii: " ") }
        code = blank
        comments = blank
    }

    private func byte(_ offset: Int = 0) -> UInt8? {
        at + offset < bytes.count ? bytes[at + offset] : nil
    }

    private func isNext(_ text: StaticString, offset: Int = 0) -> Bool {
        text.withUTF8Buffer { wanted in
            at + offset + wanted.count <= bytes.count
                && wanted.indices.allSatisfy { bytes[at + offset + $0] == wanted[$0] }
        }
    }

    /// Reads code to the end, or, inside an interpolation, past its closing parenthesis.
    mutating func scanCode(insideInterpolation: Bool) {
        var depth = 1
        while let current = byte() {
            if isNext("//") {
                scanLineComment()
            } else if isNext("/*") {
                scanBlockComment()
            } else if let hashes = stringStart() {
                scanString(hashes: hashes)
            } else {
                if current == UInt8(ascii: "(") { depth += 1 }
                if current == UInt8(ascii: ")") { depth -= 1 }
                code[at] = current
                at += 1
                if insideInterpolation, depth == 0 { return }
            }
        }
    }

    private mutating func scanLineComment() {
        while let current = byte(), current != UInt8(ascii: "\n") {
            comments[at] = current
            at += 1
        }
    }

    private mutating func scanBlockComment() {
        var depth = 0
        while let current = byte() {
            let opens = isNext("/*")
            let closes = isNext("*/")
            comments[at] = current
            at += 1
            guard opens || closes else { continue }
            if let second = byte() { comments[at] = second }
            at += 1
            depth += opens ? 1 : -1
            if depth == 0 { return }
        }
    }

    /// How many `#` stand before the quote of a string literal that starts here, or nil.
    private func stringStart() -> Int? {
        var hashes = 0
        while byte(hashes) == UInt8(ascii: "#") { hashes += 1 }
        return byte(hashes) == UInt8(ascii: "\"") ? hashes : nil
    }

    private func hasHashes(_ count: Int, offset: Int) -> Bool {
        (0..<count).allSatisfy { byte(offset + $0) == UInt8(ascii: "#") }
    }

    private mutating func scanString(hashes: Int) {
        at += hashes
        let isMultiline = isNext("\"\"\"")
        let quotes = isMultiline ? 3 : 1
        at += quotes
        while let current = byte() {
            if current == UInt8(ascii: "\\"), hasHashes(hashes, offset: 1) {
                at += 1 + hashes
                if byte() == UInt8(ascii: "(") {
                    at += 1
                    scanCode(insideInterpolation: true)
                } else {
                    at += 1
                }
            } else if isMultiline ? isNext("\"\"\"") : current == UInt8(ascii: "\""), hasHashes(hashes, offset: quotes)
            {
                at += quotes + hashes
                return
            } else if !isMultiline, current == UInt8(ascii: "\n") {
                return
            } else {
                at += 1
            }
        }
    }
}
