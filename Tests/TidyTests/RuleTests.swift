import Testing

/// The rules themselves: each finds what is planted and lets the lookalike pass.
@Suite("Each rule finds what is planted")
struct RuleTests {
    private func source(_ text: String, path: String = "Sources/Vault/Planted.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    @Test("Comments, strings and code are told apart")
    func sourceText() {
        let text = SourceText(
            #"""
            let a = "/* no */ \(call("x", b)) // no" // yes
            /* one /* two */ three */ let b = #"a "quoted" word"#
            """#)
        #expect(text.code.contains("call("))
        #expect(!text.code.contains("no") && !text.code.contains("yes") && !text.code.contains("quoted"))
        #expect(text.comments.contains("yes") && text.comments.contains("three") && !text.comments.contains("no"))
        #expect(text.code.contains("let b"))
        #expect(text.codeLines.count == text.commentLines.count)
    }

    @Test("Multi-line strings end where they end")
    func multilineStrings() {
        let text = SourceText("let a = \"\"\"\n  one \"two\" // three\n  \"\"\"\nlet after = 1 // four")
        #expect(text.code.contains("after") && !text.code.contains("two"))
        #expect(text.comments.contains("four") && !text.comments.contains("three"))
    }

    @Test("Imports are found with every modifier and kind, and not in comments")
    func imports() {
        let text = """
            package import Domain
            @testable import Vault
              @preconcurrency public import struct Foundation.Date; import Glibc
            // import Yams
            let important = 1
            """
        let found = ImportTable.imports(in: source(text).codeLines)
        #expect(found.map(\.module) == ["Domain", "Vault", "Foundation", "Glibc"])
        #expect(found.map(\.line) == [1, 2, 3, 3])
    }

    @Test("A forbidden import, an unknown target and Swift in a C target are found")
    func importTable() {
        #expect(ImportTable.check(source("import Foundation\nimport Glibc")).map(\.line) == [1])
        #expect(ImportTable.check(source("import Glibc", path: "Sources/Domain/A.swift")).count == 1)
        #expect(ImportTable.check(source("import Vault", path: "Sources/Catalog/A.swift")).count == 1)
        #expect(ImportTable.check(source("import TestSupport", path: "Sources/Commands/A.swift")).count == 1)
        #expect(ImportTable.check(source("", path: "Sources/Attic/A.swift")).count == 1)
        #expect(ImportTable.check(source("", path: "Sources/CZstd/A.swift")).count == 1)
        #expect(ImportTable.check(source("import Domain\nimport CZstd")).isEmpty)
    }

    @Test("Long files and long functions are found")
    func lengths() {
        #expect(Rules.fileLength(source(String(repeating: "\n", count: 601))).count == 1)
        #expect(Rules.fileLength(source(String(repeating: "\n", count: 600))).isEmpty)
        func function(_ lines: Int) -> String {
            "func f(a: () -> Int = { 1 }) {\n" + String(repeating: "    if x { y() }\n", count: lines - 2) + "}\n"
        }
        let long = "struct S {\n    init() {}\n" + function(101) + "}\n"
        #expect(Rules.functionLength(source(long)).map(\.line) == [3])
        #expect(Rules.functionLength(source(function(100))).isEmpty)
        let requirements = "protocol P {\n    func f() throws\n    init(a: Int)\n}\n"
        #expect(Rules.functions(in: requirements).isEmpty)
        #expect(Rules.functions(in: "let x = Foo.init(a: 1)\nfoo.map(S.init)\n").isEmpty)
    }

    @Test("Forced tries and unchecked builds are found, mentions of them are not code")
    func traps() {
        let forced = "try" + "!"
        #expect(Rules.noForcedTry(source("let a = \(forced) f()")).count == 1)
        #expect(Rules.noForcedTry(source("// \(forced) is wrong\nlet s = \"\(forced)\"")).isEmpty)
        #expect(
            Rules.noUncheckedBuilds(source(".unsafeFlags([\"-O" + "unchecked\"])", path: "Package.swift")).count == 1)
    }

    @Test("Unchecked sendability needs its argument beside it")
    func safety() {
        let bare = "final class A: @unchecked Sendable {}"
        #expect(Rules.safetyIsArgued(source(bare)).count == 1)
        #expect(Rules.safetyIsArgued(source("// SAFETY: guarded by the lock.\n\(bare)")).isEmpty)
        #expect(Rules.safetyIsArgued(source("// SAFETY: guarded,\n// always.\n@available(*)\n\(bare)")).isEmpty)
        #expect(Rules.safetyIsArgued(source("class A: @unchecked Sendable {\n    // SAFETY: guarded.\n}")).isEmpty)
        #expect(Rules.safetyIsArgued(source("// SAFETY: of another.\nlet x = 1\n\(bare)")).count == 1)
        #expect(Rules.safetyIsArgued(source("nonisolated(unsafe) var x = 1")).count == 1)
    }

    @Test("Suspension, marks of unfinished work and empty names are found")
    func words() {
        #expect(
            Rules.noSuspension(source("func f() async {}\nlet a = await g()\nlet asynchronous = 1")).map(\.line) == [
                1, 2,
            ])
        let mark = "TO" + "DO"
        #expect(Rules.nothingUnfinished(source("let x = \"\(mark)\"\n// \(mark): later")).map(\.line) == [2])
        #expect(Rules.nothingUnfinished(source("later: \(mark)", path: "docs/a.md")).count == 1)
        #expect(
            Rules.typesAreNamed(source("final class VaultManager {}\nlet manager = 1\nenum Index {}")).map(\.line) == [
                1
            ])
    }

    @Test("Paths and hosts of one machine are found")
    func oneMachine() {
        #expect(Rules.nothingOfOneMachine(source("cd /wo" + "rk/main")).count == 1)
        #expect(Rules.nothingOfOneMachine(source("pip install -i pypi" + ".org", path: "scripts/x")).count == 1)
        #expect(Rules.nothingOfOneMachine(source("a/work in progress")).isEmpty)
    }

    @Test("Broken links and anchors are found, code and foreign addresses are not links")
    func links() {
        let page = SourceFile(
            path: "docs/a.md",
            text: """
                # The A page: what's in it?
                [b](b.md) [up](../README.md) [here](#the-a-page-whats-in-it) [x](https://example.org/y)
                [gone](c.md)
                [no heading](b.md#missing) [heading](b.md#two-words)
                `[code](d.md)` and
                ```
                [code](e.md)
                ```
                [out](../../f.md)
                """)
        let files = ["docs/a.md": page, "docs/b.md": SourceFile(path: "docs/b.md", text: "## Two words")]
        let found = DocumentRules.links(page, files: files) { ["docs/a.md", "docs/b.md", "README.md"].contains($0) }
        #expect(found.map(\.line) == [3, 4, 9])
    }

    @Test("Exit codes that do not exist and incomplete tables are found")
    func exitCodes() {
        func page(_ text: String) -> SourceFile { SourceFile(path: "docs/a.md", text: text) }
        #expect(
            DocumentRules.exitCodes(page("It ends with exit code 4.\nIt exits with 3, exit status 75.")).map(\.line)
                == [1])
        let rows = DocumentRules.exitCodes.sorted { $0.key < $1.key }.map { "| `\($0.key)` | \($0.value) |" }
        let head = ["| Exit code | Means |", "|---|---|"]
        #expect(DocumentRules.exitCodes(page((head + rows).joined(separator: "\n"))).isEmpty)
        #expect(DocumentRules.exitCodes(page((head + rows.dropLast()).joined(separator: "\n"))).count == 1)
        #expect(DocumentRules.exitCodes(page((head + rows + ["| 99 | x |"]).joined(separator: "\n"))).count == 1)
    }
}
