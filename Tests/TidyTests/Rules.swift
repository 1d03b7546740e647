/// A broken rule, and where.
struct Finding: CustomStringConvertible, Equatable {
    var file: String
    var line: Int
    var message: String

    var description: String { "\(file):\(line): \(message)" }
}

/// One file of the repository; `path` is relative to its root.
struct SourceFile: Sendable {
    let path: String
    let text: String
    /// The lines of the text, of its code and of its comments; the latter two of Swift only.
    let lines: [Substring]
    let codeLines: [Substring]
    let commentLines: [Substring]
    let code: String

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let source = SourceText(path.hasSuffix(".swift") ? text : "")
        code = source.code
        codeLines = source.codeLines
        commentLines = source.commentLines
    }

    /// The target a Swift file belongs to: the folder below `Sources` or `Tests`.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && (parts[0] == "Sources" || parts[0] == "Tests") ? String(parts[1]) : nil
    }

    func finding(_ line: Int, _ message: String) -> Finding { Finding(file: path, line: line, message: message) }
}

/// The rules about the text of a file. Each is a pure function from a file to what it breaks.
enum Rules {
    static let longestFile = 600
    static let longestFunction = 100

    static func fileLength(_ file: SourceFile) -> [Finding] {
        let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
        return count > longestFile ? [file.finding(count, "\(count) lines; split it below \(longestFile)")] : []
    }

    /// Errors must reach somebody who can act on them; trapping is for broken invariants only.
    static func noForcedTry(_ file: SourceFile) -> [Finding] {
        linesOfCode(file, containing: "try" + "!", "a forced try traps on an error: throw or handle it")
    }

    /// Decoders rely on overflow traps, so no build may switch them off. Reads the raw text: flags stand in strings.
    static func noUncheckedBuilds(_ file: SourceFile) -> [Finding] {
        let flag = "-O" + "unchecked"
        guard file.text.contains(flag) else { return [] }
        return numbered(file.lines).filter { $0.line.contains(flag) }
            .map { file.finding($0.number, "\(flag) removes the checks that decoders rely on") }
    }

    /// Whoever silences the compiler's proof of data-race safety gives his own, in the comment right above
    /// or as the first line below.
    static func safetyIsArgued(_ file: SourceFile) -> [Finding] {
        let code = file.codeLines
        let comments = file.commentLines
        return code.indices.compactMap { at in
            guard code[at].contains("@unchecked") || code[at].contains("nonisolated(unsafe)") else { return nil }
            if comments[at...min(at + 1, comments.count - 1)].contains(where: { $0.contains("SAFETY:") }) { return nil }
            var above = at - 1
            while above >= 0 {
                if comments[above].contains("SAFETY:") { return nil }
                let rest = code[above].drop(while: \.isWhitespace)
                let isCommentOnly = rest.isEmpty && !comments[above].allSatisfy(\.isWhitespace)
                guard isCommentOnly || rest.hasPrefix("@") else { break }
                above -= 1
            }
            return file.finding(at + 1, "says unchecked or unsafe without a `SAFETY:` comment beside it")
        }
    }

    /// Marks of unfinished work, in comments of Swift and anywhere in other files.
    static func nothingUnfinished(_ file: SourceFile) -> [Finding] {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
        let lines = file.path.hasSuffix(".swift") ? file.commentLines : file.lines
        return numbered(lines).compactMap { number, line in
            let found = words(of: line).first { marks.contains($0) }
            return found.map { file.finding(number, "\($0) marks unfinished work: finish it or file an issue") }
        }
    }

    /// What is true on one machine only does not belong in the repository, nor do hosts of package registries.
    static func nothingOfOneMachine(_ file: SourceFile) -> [Finding] {
        let local = ["/wo" + "rk/", "/opt/" + "swift", "/ro" + "ot/", "/tmp/" + "bench"]
        let hosts = [
            "pypi" + ".org", "python" + "hosted.org", "deb." + "debian.org", "registry." + "npmjs.org",
            "crates" + ".io",
        ]
        let present = (local + hosts).filter { file.text.contains($0) }
        if present.isEmpty { return [] }
        return numbered(file.lines).flatMap { number, line in
            present.filter { line.contains($0) }.map { file.finding(number, "names \($0)") }
        }
    }

    /// Types are named for what they are, not for having been written.
    static func typesAreNamed(_ file: SourceFile) -> [Finding] {
        let keywords: Set = ["class", "struct", "enum", "actor", "protocol", "typealias"]
        let empty = ["Manager", "Helper", "Helpers", "Utils", "Utility", "Utilities", "Impl"]
        return numbered(file.codeLines).flatMap { number, line in
            let parts = words(of: line)
            return zip(parts, parts.dropFirst()).compactMap { keyword, name -> Finding? in
                guard keywords.contains(keyword), empty.contains(where: name.hasSuffix) else { return nil }
                return file.finding(number, "\(name) says nothing about what it is")
            }
        }
    }

    /// The data plane runs on threads of its own; suspension points in it would starve the server.
    static func noSuspension(_ file: SourceFile) -> [Finding] {
        numbered(file.codeLines).compactMap { number, line in
            words(of: line).contains { $0 == "async" || $0 == "await" }
                ? file.finding(number, "suspends: this module is synchronous") : nil
        }
    }

    /// Lengths of functions, initialisers and subscripts, counted from their keyword to the closing brace.
    static func functionLength(_ file: SourceFile) -> [Finding] {
        functions(in: file.code).filter { $0.lines > longestFunction }
            .map { file.finding($0.line, "a function of \($0.lines) lines; split it below \(longestFunction)") }
    }

    /// `code` is source without comments and strings.
    static func functions(in code: String) -> [(line: Int, lines: Int)] {
        let code = Array(code.utf8)
        var found: [(line: Int, lines: Int)] = []
        var line = 1
        var at = 0
        while at < code.count {
            if isWordByte(code[at]) {
                let end = code[at...].firstIndex { !isWordByte($0) } ?? code.count
                let word = String(decoding: code[at..<end], as: UTF8.self)
                let isMember = at > 0 && code[at - 1] == UInt8(ascii: ".")
                if !isMember, ["func", "init", "deinit", "subscript"].contains(word),
                    let lines = bodyLines(code, from: end)
                {
                    found.append((line, lines))
                }
                at = end
            } else {
                if code[at] == UInt8(ascii: "\n") { line += 1 }
                at += 1
            }
        }
        return found
    }

    /// Lines from `start` to the brace that closes the body that begins after it; nil where none begins.
    private static func bodyLines(_ code: [UInt8], from start: Int) -> Int? {
        var brackets = 0
        var braces = 0
        var lines = 1
        for byte in code[start...] {
            switch byte {
            case UInt8(ascii: "\n"): lines += 1
            case UInt8(ascii: "("), UInt8(ascii: "["): brackets += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): brackets -= 1
            case UInt8(ascii: "{") where brackets == 0 || braces > 0: braces += 1
            case UInt8(ascii: "}") where brackets == 0 || braces > 0:
                braces -= 1
                if braces == 0 { return lines }
                if braces < 0 { return nil }
            default: break
            }
            if brackets < 0 { return nil }
        }
        return nil
    }

    private static func linesOfCode(_ file: SourceFile, containing text: String, _ message: String) -> [Finding] {
        numbered(file.codeLines).filter { $0.line.contains(text) }.map {
            file.finding($0.number, message)
        }
    }

    static func numbered(_ lines: [Substring]) -> [(number: Int, line: Substring)] {
        lines.enumerated().map { ($0.offset + 1, $0.element) }
    }

    static func words(of line: Substring) -> [String] {
        line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        default: byte >= 0x80
        }
    }
}
