/// Which paths of a source stay out of its archives, in the syntax of `.gitignore`.
///
/// Invariants:
/// - the last pattern that matches decides; `!` patterns take a path back in;
/// - a path is judged by itself: a caller that walks a tree does not descend into an excluded directory, so nothing in
///   it can be taken back in, as with git;
/// - matching never allocates and takes time at most proportional to (length of path)² × (length of pattern).
///
/// Paths are raw bytes relative to the root of the source, without a leading `/`. `*`, `?` and `[…]` work on bytes and
/// never match a `/`.
package struct ExcludePatterns: Sendable {
    /// Why a pattern could not be understood, and where: line and column count from 1, columns in bytes.
    package struct SyntaxError: Failure {
        package var line: Int
        package var column: Int
        package var reason: String

        package var kind: FailureKind { .badPolicy }
        package var message: String { "exclude pattern, line \(line), column \(column): \(reason)" }
        package var hint: String {
            "Write the pattern as in a .gitignore file; a backslash makes the next character literal."
        }
    }

    /// More patterns than any person maintains; the limit keeps rule numbers in 16 bits.
    package static let maximumCount = 65_535
    package static let none = ExcludePatterns(rules: [], sets: [])

    private let rules: [Rule]
    private let sets: [ByteSet]
    /// For each possible last byte of a path the rules that can match it, latest first: `candidates[starts[b]..<starts[b + 1]]`.
    private let starts: [Int32]
    private let candidates: [UInt16]

    /// Compiles the text of a `.gitignore` file.
    package init(text: some Sequence<UInt8>) throws(SyntaxError) {
        try self.init(lines: Array(text).split(separator: 0x0A, omittingEmptySubsequences: false).map { Array($0) })
    }

    /// Compiles one pattern a line; blank lines and comments are allowed.
    package init(_ lines: [String]) throws(SyntaxError) {
        try self.init(lines: lines.map { Array($0.utf8) })
    }

    private init(lines: [[UInt8]]) throws(SyntaxError) {
        var rules: [Rule] = []
        var sets: [ByteSet] = []
        for (index, line) in lines.enumerated() {
            var compiler = PatternCompiler(line: line, number: index + 1, sets: sets)
            guard let rule = try compiler.compile() else { continue }
            guard rules.count < Self.maximumCount else {
                throw SyntaxError(
                    line: index + 1, column: 1, reason: "there are more than \(Self.maximumCount) patterns")
            }
            rules.append(rule)
            sets = compiler.sets
        }
        self.init(rules: rules, sets: sets)
    }

    private init(rules: [Rule], sets: [ByteSet]) {
        self.rules = rules
        self.sets = sets
        var starts: [Int32] = [0]
        var candidates: [UInt16] = []
        for byte in UInt8.min...UInt8.max {
            for (index, rule) in rules.enumerated().reversed() where rule.lastByte == nil || rule.lastByte == byte {
                candidates.append(UInt16(index))
            }
            starts.append(Int32(candidates.count))
        }
        self.starts = starts
        self.candidates = candidates
    }

    package var isEmpty: Bool { rules.isEmpty }

    package func isExcluded(relativePath path: [UInt8], isDirectory: Bool) -> Bool {
        path.withUnsafeBytes { isExcluded(relativePath: $0, isDirectory: isDirectory) }
    }

    /// The empty path, the root of the source itself, is never excluded.
    package func isExcluded(relativePath path: UnsafeRawBufferPointer, isDirectory: Bool) -> Bool {
        guard !rules.isEmpty, let last = path.last else { return false }
        let from = Int(starts[Int(last)])
        let to = Int(starts[Int(last) + 1])
        guard from < to else { return false }
        var base = path.count
        while base > 0, path[base - 1] != 0x2F { base -= 1 }
        for at in from..<to {
            let rule = rules[Int(candidates[at])]
            if rule.directoriesOnly, !isDirectory { continue }
            if matches(rule.tokens, path, from: rule.matchesName ? base : 0) { return !rule.takesBack }
        }
        return false
    }

    /// Backtracks to the latest `*` inside a component and to the latest `**` between components only: an earlier one
    /// cannot help, because what it would give up the later one can skip as well.
    private func matches(_ tokens: [Token], _ path: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var token = 0
        var at = start
        var star = (token: -1, at: 0)
        var directories = (token: -1, at: 0)
        while true {
            if token == tokens.count {
                if at == path.count { return true }
            } else {
                switch tokens[token] {
                case .star:
                    token += 1
                    star = (token, at)
                    continue
                case .directories:
                    token += 1
                    directories = (token, at)
                    star.token = -1
                    continue
                case .everything:
                    if at < path.count { return true }
                case .byte, .anyByte, .set:
                    if at < path.count, matches(tokens[token], path[at]) {
                        token += 1
                        at += 1
                        continue
                    }
                }
            }
            if star.token >= 0, star.at < path.count, path[star.at] != 0x2F {
                star.at += 1
                (token, at) = (star.token, star.at)
            } else if directories.token >= 0 {
                while directories.at < path.count, path[directories.at] != 0x2F { directories.at += 1 }
                guard directories.at < path.count else { return false }
                directories.at += 1
                (token, at) = (directories.token, directories.at)
                star.token = -1
            } else {
                return false
            }
        }
    }

    @inline(__always)
    private func matches(_ token: Token, _ byte: UInt8) -> Bool {
        switch token {
        case .byte(let wanted): byte == wanted
        case .anyByte: byte != 0x2F
        case .set(let index): byte != 0x2F && sets[Int(index)].contains(byte)
        case .star, .directories, .everything: false
        }
    }
}

extension ExcludePatterns {
    fileprivate enum Token: Equatable {
        case byte(UInt8)
        case anyByte
        case set(UInt16)
        /// Any bytes but `/`.
        case star
        /// `**/`: any number of whole components, also none.
        case directories
        /// `/**` at the end, after its slash: at least one more byte.
        case everything
    }

    fileprivate struct Rule {
        var tokens: [Token] = []
        var takesBack = false
        var directoriesOnly = false
        /// No slash in the pattern: it is compared with the last component alone, at any depth.
        var matchesName = false

        /// The byte that every match ends with, where the pattern fixes one.
        var lastByte: UInt8? {
            guard case .byte(let byte)? = tokens.last else { return nil }
            return byte
        }
    }

    fileprivate struct ByteSet {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        mutating func insert(_ byte: UInt8) {
            let bit = UInt64(1) << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: words.0 |= bit
            case 1: words.1 |= bit
            case 2: words.2 |= bit
            default: words.3 |= bit
            }
        }

        mutating func invert() { words = (~words.0, ~words.1, ~words.2, ~words.3) }

        func contains(_ byte: UInt8) -> Bool {
            let word =
                switch byte >> 6 {
                case 0: words.0
                case 1: words.1
                case 2: words.2
                default: words.3
                }
            return word >> UInt64(byte & 63) & 1 == 1
        }
    }

    /// Turns one line into a rule.
    fileprivate struct PatternCompiler {
        let line: [UInt8]
        let number: Int
        var sets: [ByteSet]
        private var at = 0
        private var end = 0

        init(line: [UInt8], number: Int, sets: [ByteSet]) {
            self.line = line
            self.number = number
            self.sets = sets
        }

        private func failure(_ reason: String, at column: Int) -> SyntaxError {
            SyntaxError(line: number, column: column + 1, reason: reason)
        }

        /// Nil for a blank line or a comment.
        mutating func compile() throws(SyntaxError) -> Rule? {
            end = lengthWithoutTrailingBlanks()
            guard end > 0, line[0] != 0x23 else { return nil }
            if let zero = line[..<end].firstIndex(of: 0) {
                throw failure("a zero byte cannot occur in a path", at: zero)
            }
            var rule = Rule()
            if line[0] == 0x21 {
                rule.takesBack = true
                at = 1
            }
            let start = at
            if end > start, line[end - 1] == 0x2F, !isEscaped(end - 1) {
                rule.directoriesOnly = true
                end -= 1
            }
            rule.matchesName = !line[start..<max(start, end)].contains(0x2F)
            if at < end, line[at] == 0x2F { at += 1 }
            guard at < end else { throw failure("the pattern is empty", at: start) }
            while at < end { rule.tokens.append(try token(after: rule.tokens.last)) }
            return rule
        }

        /// Blanks at the end do not count unless a backslash stands before them; nor does the return of a DOS line.
        private func lengthWithoutTrailingBlanks() -> Int {
            var length = line.count
            if length > 0, line[length - 1] == 0x0D { length -= 1 }
            while length > 0, line[length - 1] == 0x20, !isEscaped(length - 1) { length -= 1 }
            return length
        }

        private func isEscaped(_ index: Int) -> Bool {
            var backslashes = 0
            while index - backslashes > 0, line[index - backslashes - 1] == 0x5C { backslashes += 1 }
            return !backslashes.isMultiple(of: 2)
        }

        private mutating func token(after previous: Token?) throws(SyntaxError) -> Token {
            let byte = line[at]
            switch byte {
            case 0x5C:
                guard at + 1 < end else { throw failure("a backslash at the end makes nothing literal", at: at) }
                at += 2
                return .byte(line[at - 1])
            case 0x3F:
                at += 1
                return .anyByte
            case 0x2A: return stars(after: previous)
            case 0x5B: return try set()
            default:
                at += 1
                return .byte(byte)
            }
        }

        /// `**` is special only as a whole component of a pattern that holds a slash.
        private mutating func stars(after previous: Token?) -> Token {
            let first = at
            while at < end, line[at] == 0x2A { at += 1 }
            let opensComponent = previous == nil || previous == .byte(0x2F) || previous == .directories
            guard at - first == 2, opensComponent else { return .star }
            if at < end, line[at] == 0x2F {
                at += 1
                return .directories
            }
            let hasSlash = previous != nil || (first > 0 && line[first - 1] == 0x2F)
            return at == end && hasSlash ? .everything : .star
        }

        private mutating func set() throws(SyntaxError) -> Token {
            let open = at
            var made = ByteSet()
            at += 1
            let isInverted = at < end && (line[at] == 0x21 || line[at] == 0x5E)
            if isInverted { at += 1 }
            var isFirst = true
            while true {
                guard at < end else { throw failure("the set that begins here has no closing bracket", at: open) }
                if line[at] == 0x5D, !isFirst { break }
                isFirst = false
                if line[at] == 0x5B, at + 1 < end, line[at + 1] == 0x3A, try namedClass(into: &made) { continue }
                let low = try member(openedAt: open)
                guard at + 1 < end, line[at] == 0x2D, line[at + 1] != 0x5D else {
                    made.insert(low)
                    continue
                }
                at += 1
                let high = try member(openedAt: open)
                if low <= high { for byte in low...high { made.insert(byte) } }
            }
            at += 1
            if isInverted { made.invert() }
            guard sets.count < ExcludePatterns.maximumCount else { throw failure("there are too many sets", at: open) }
            sets.append(made)
            return .set(UInt16(sets.count - 1))
        }

        private mutating func member(openedAt open: Int) throws(SyntaxError) -> UInt8 {
            if line[at] == 0x5C { at += 1 }
            guard at < end else { throw failure("the set that begins here has no closing bracket", at: open) }
            at += 1
            return line[at - 1]
        }

        /// `[:alpha:]` and its like, in the C locale. False, with nothing consumed, when `[:` has no `:]`.
        private mutating func namedClass(into set: inout ByteSet) throws(SyntaxError) -> Bool {
            var stop = at + 2
            while stop < end, (0x61...0x7A).contains(line[stop]) { stop += 1 }
            guard stop + 1 < end, line[stop] == 0x3A, line[stop + 1] == 0x5D else { return false }
            let name = String(decoding: line[at + 2..<stop], as: UTF8.self)
            guard let ranges = Self.classes[name] else { throw failure("there is no class [:\(name):]", at: at) }
            for range in ranges { for byte in range { set.insert(byte) } }
            at = stop + 2
            return true
        }

        private static let classes: [String: [ClosedRange<UInt8>]] = [
            "alnum": [0x30...0x39, 0x41...0x5A, 0x61...0x7A], "alpha": [0x41...0x5A, 0x61...0x7A],
            "blank": [0x09...0x09, 0x20...0x20], "cntrl": [0x00...0x1F, 0x7F...0x7F], "digit": [0x30...0x39],
            "graph": [0x21...0x7E], "lower": [0x61...0x7A], "print": [0x20...0x7E],
            "punct": [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E], "space": [0x09...0x0D, 0x20...0x20],
            "upper": [0x41...0x5A], "xdigit": [0x30...0x39, 0x41...0x46, 0x61...0x66],
        ]
    }
}
