/// The rules about the Markdown documents.
enum DocumentRules {
    /// Every exit code of the command and what it means, as promised to operators and scripts.
    static let exitCodes: [Int: String] = [
        0: "done", 1: "failed", 3: "partial", 10: "no vault", 11: "in use", 12: "wrong key", 13: "damage found",
        14: "not found", 64: "usage", 69: "daemon down", 75: "try again", 77: "denied", 78: "bad policy",
        130: "interrupted",
    ]

    /// Lines outside fenced code blocks, with their numbers; inline code is blanked.
    static func prose(_ file: SourceFile) -> [(number: Int, line: String)] {
        var isFenced = false
        return Rules.numbered(file.lines).compactMap { number, line in
            let start = line.drop(while: \.isWhitespace)
            if start.hasPrefix("```") || start.hasPrefix("~~~") {
                isFenced.toggle()
                return nil
            }
            return isFenced ? nil : (number, withoutInlineCode(line))
        }
    }

    private static func withoutInlineCode(_ line: Substring) -> String {
        let parts = line.split(separator: "`", omittingEmptySubsequences: false)
        return parts.enumerated().map { $0.offset.isMultiple(of: 2) ? String($0.element) : "" }.joined(separator: " ")
    }

    /// Relative links lead to files of the repository, and their anchors to headings.
    static func links(_ file: SourceFile, files: [String: SourceFile], exists: (String) -> Bool) -> [Finding] {
        prose(file).flatMap { number, line in
            targets(in: line).compactMap { target -> Finding? in
                if target.contains("://") || target.hasPrefix("mailto:") { return nil }
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let path = parts[0].isEmpty ? file.path : resolve(String(parts[0]), from: file.path)
                guard let path, exists(path) else { return file.finding(number, "the link \(target) leads nowhere") }
                guard parts.count == 2, let page = files[path] else { return nil }
                return anchors(of: page).contains(String(parts[1]))
                    ? nil : file.finding(number, "\(path) has no heading #\(parts[1])")
            }
        }
    }

    /// What stands in the parentheses of `[text](target)`.
    static func targets(in line: String) -> [String] {
        line.split(separator: "](", omittingEmptySubsequences: false).dropFirst().compactMap { rest in
            guard let end = rest.firstIndex(of: ")") else { return nil }
            return rest[..<end].split(separator: " ").first.map(String.init)
        }
    }

    /// The path from the repository's root; nil when it leaves it.
    static func resolve(_ target: String, from page: String) -> String? {
        var parts = page.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": if parts.popLast() == nil { return nil }
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    /// Heading anchors as the usual renderers make them: lower case, punctuation dropped, spaces to hyphens.
    static func anchors(of file: SourceFile) -> Set<String> {
        var isFenced = false
        var found: Set<String> = []
        for line in file.lines {
            if line.hasPrefix("```") { isFenced.toggle() }
            guard !isFenced, line.hasPrefix("#") else { continue }
            let title = line.drop { $0 == "#" }.drop(while: \.isWhitespace).lowercased()
            let kept = title.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
            found.insert(String(kept.map { $0 == " " ? "-" : $0 }))
        }
        return found
    }

    /// Codes that documents name exist, and a table of exit codes names them all, once.
    static func exitCodes(_ file: SourceFile) -> [Finding] {
        var findings: [Finding] = []
        for (number, line) in Rules.numbered(file.lines) {
            for code in codesInProse(line) where exitCodes[code] == nil {
                findings.append(file.finding(number, "there is no exit code \(code)"))
            }
        }
        for (number, codes) in codeTables(file) where codes.sorted() != exitCodes.keys.sorted() {
            let missing = Set(exitCodes.keys).subtracting(codes).sorted()
            let wrong = codes.filter { exitCodes[$0] == nil }
            findings.append(
                file.finding(number, "exit codes: missing \(missing), unknown \(wrong), or one stands twice"))
        }
        return findings
    }

    /// N in "exit code N", "exit status N", "exits with N", "exit N".
    private static func codesInProse(_ line: Substring) -> [Int] {
        let words = Rules.words(of: line).map { $0.lowercased() }
        return words.indices.compactMap { at in
            guard words[at] == "exit" || words[at] == "exits" else { return nil }
            var next = at + 1
            while next < words.count, ["code", "status", "with"].contains(words[next]) { next += 1 }
            return next < words.count ? Int(words[next]) : nil
        }
    }

    /// Tables whose first heading speaks of an exit code: the line they start at and the numbers of their first column.
    private static func codeTables(_ file: SourceFile) -> [(line: Int, codes: [Int])] {
        var tables: [(line: Int, codes: [Int])] = []
        var isInside = false
        for (number, line) in Rules.numbered(file.lines) {
            guard line.hasPrefix("|") else {
                isInside = false
                continue
            }
            let cell = line.dropFirst().prefix { $0 != "|" }.filter { $0 != "`" && !$0.isWhitespace }.lowercased()
            if cell.hasPrefix("exit") {
                isInside = true
                tables.append((number, []))
            } else if isInside, let code = Int(cell) {
                tables[tables.count - 1].codes.append(code)
            }
        }
        return tables
    }
}
