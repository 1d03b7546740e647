import Domain
import Testing

@Suite("Exclude patterns")
struct ExcludePatternTests {
    /// Paths that end in `/` are directories.
    private func excluded(_ patterns: [String], _ path: String) throws -> Bool {
        let isDirectory = path.hasSuffix("/")
        return try ExcludePatterns(patterns).isExcluded(
            relativePath: Array((isDirectory ? String(path.dropLast()) : path).utf8), isDirectory: isDirectory)
    }

    @Test(
        "A pattern matches what git matches with it",
        arguments: [
            // Names at any depth
            ("foo", ["foo", "foo/", "a/foo", "a/b/foo/"], ["foobar", "afoo", "foo/bar", "a/foo/b"]),
            ("*.o", ["a.o", ".o", "x/y.o", "a.o.o"], ["a.c", "o", "a.o/b"]),
            ("?a", ["xa", "d/ya"], ["a", "xxa", "/a"]),
            ("*", ["a", "a/b", ".hidden"], []),
            ("**", ["a", "a/b"], []),
            ("a*b*c", ["abc", "a1b2c", "abbcc", "x/abcbc"], ["ab", "abcd", "a/b/c"]),
            // Directories only
            ("foo/", ["foo/", "a/foo/"], ["foo", "a/foo"]),
            ("**/", ["a/", "a/b/"], ["a", "a/b"]),
            // Anchored
            ("/foo", ["foo", "foo/"], ["a/foo"]),
            ("a/b", ["a/b"], ["b", "x/a/b", "a/b/c"]),
            ("/a/*", ["a/b", "a/.c"], ["a", "a/b/c", "x/a/b"]),
            ("a/*/c", ["a/b/c"], ["a/c", "a/b/b/c"]),
            ("/*.c", ["x.c"], ["a/x.c"]),
            ("/*", ["a", "b/"], ["a/b"]),
            // Across directories
            ("**/foo", ["foo", "a/foo", "a/b/foo"], ["foo/a", "afoo"]),
            ("**/a/b", ["a/b", "x/a/b", "x/y/a/b"], ["a/x/b", "xa/b"]),
            ("a/**", ["a/b", "a/b/c"], ["a", "b/a/c"]),
            ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "x/a/b"]),
            ("a/**/b/**/c", ["a/b/c", "a/x/b/y/z/c", "a/b/b/c/c"], ["a/c", "a/b/cc"]),
            ("**/x*y/**/z", ["xy/z", "a/xay/b/z", "xay/xy/z"], ["x/y/z"]),
            ("a**/b", ["a/b", "axx/b"], ["a/x/b"]),
            ("a/x**y", ["a/xy", "a/x1y"], ["a/x/y"]),
            ("/**", ["a", "a/b"], []),
            ("a/**/", ["a/b/", "a/b/c/"], ["a/b", "a/"]),
            // Sets
            ("[a-c]x", ["ax", "bx", "cx"], ["dx", "x", "Ax"]),
            ("[!a-c]x", ["dx", "-x"], ["ax", "/x"]),
            ("[^ab]", ["c"], ["a", "b"]),
            ("[]a]", ["]", "a"], ["b"]),
            ("[!]a]", ["b"], ["]", "a"]),
            ("[a-]", ["a", "-"], ["b"]),
            ("[\\]]", ["]"], ["\\"]),
            ("[[:digit:][:upper:]_]", ["7", "Q", "_"], ["q", "["]),
            ("[z-a]", [], ["a", "m", "z"]),
            ("a[/]b", [], ["a/b"]),
            ("[[:]", ["[", ":"], ["a"]),
            // Escapes and blanks
            ("\\#a", ["#a"], ["a"]),
            ("\\!a", ["!a"], ["a"]),
            ("a\\*", ["a*"], ["ab"]),
            ("a\\ ", ["a "], ["a"]),
            ("a  ", ["a"], ["a  "]),
            ("a\r", ["a"], ["a\r"]),
            ("ü*", ["ü", "üx"], ["u"]),
        ] as [(String, [String], [String])])
    func matching(pattern: String, matching: [String], others: [String]) throws {
        for path in matching { #expect(try excluded([pattern], path), "\(pattern) matches \(path)") }
        for path in others { #expect(try !excluded([pattern], path), "\(pattern) does not match \(path)") }
    }

    @Test("The last pattern that matches decides")
    func order() throws {
        #expect(try !excluded(["*.o", "!keep.o"], "keep.o"))
        #expect(try excluded(["!keep.o", "*.o"], "keep.o"))
        #expect(try excluded(["*", "!*.c", "bad.c"], "bad.c"))
        #expect(try !excluded(["*", "!*.c", "bad.c"], "good.c"))
        #expect(try excluded(["*", "!*/"], "file"))
        #expect(try !excluded(["*", "!*/"], "directory/"))
    }

    @Test("Comments and blank lines are no patterns, and the root itself is never excluded")
    func nothing() throws {
        let patterns = try ExcludePatterns(text: Array("# comment\n\n   \n\r\n".utf8))
        #expect(patterns.isEmpty)
        #expect(!patterns.isExcluded(relativePath: Array("# comment".utf8), isDirectory: false))
        #expect(try !ExcludePatterns(["*", "**"]).isExcluded(relativePath: [], isDirectory: true))
        #expect(ExcludePatterns.none.isEmpty)
    }

    @Test("Bytes that are no text match as bytes")
    func rawBytes() throws {
        let patterns = try ExcludePatterns(text: [0x61, 0xFF, 0x2A, 0x0A, 0x5B, 0xF0, 0x2D, 0xFE, 0x5D])
        #expect(patterns.isExcluded(relativePath: [0x61, 0xFF, 0x80], isDirectory: false))
        #expect(patterns.isExcluded(relativePath: [0xF7], isDirectory: false))
        #expect(!patterns.isExcluded(relativePath: [0xFF], isDirectory: false))
    }

    @Test(
        "A pattern that cannot be understood is an error with its place",
        arguments: [
            (["a", "b[c"], 2, 2), (["a\\"], 1, 2), (["[a-"], 1, 1), (["x", "", "/"], 3, 1), (["!"], 1, 2),
            (["[[:nothing:]]"], 1, 2), (["a\0b"], 1, 2), (["[\\"], 1, 1),
        ] as [([String], Int, Int)])
    func errors(lines: [String], line: Int, column: Int) throws {
        let error = #expect(throws: ExcludePatterns.SyntaxError.self) { _ = try ExcludePatterns(lines) }
        #expect(error?.line == line)
        #expect(error?.column == column)
        #expect(error?.kind == .badPolicy)
        #expect(error?.message.contains("line \(line), column \(column)") == true)
    }

    @Test("A pattern made to be slow is not")
    func hostilePattern() throws {
        let pattern = String(repeating: "a*", count: 50) + "b"
        let patterns = try ExcludePatterns([pattern, "**/" + String(repeating: "*a/**/", count: 20) + "b"])
        let path = Array((String(repeating: "a", count: 250) + "/" + String(repeating: "a/", count: 500) + "c").utf8)
        let time = ContinuousClock().measure {
            for _ in 0..<10 { #expect(!patterns.isExcluded(relativePath: path + [0x62], isDirectory: false)) }
        }
        #expect(time < .seconds(5))
    }
}
