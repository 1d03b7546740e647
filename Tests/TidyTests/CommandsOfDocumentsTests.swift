import Foundation
import Testing

/// `scripts/check-commands` is what makes documents true; here it proves that it can fail.
@Suite("Commands shown in documents are executed")
struct CommandsOfDocumentsTests {
    /// Runs the script over one document with a `qala` that always succeeds.
    private func check(_ document: String) throws -> (code: Int32, said: String) {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("qala-tidy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        let page = place.appendingPathComponent("page.md")
        try Data(document.utf8).write(to: page)
        let script = Process()
        script.executableURL = Repository.home.appendingPathComponent("scripts/check-commands")
        script.arguments = [page.path]
        script.environment = ProcessInfo.processInfo.environment.merging(["QALA_BINARY": "/bin/true"]) { $1 }
        let pipe = Pipe()
        script.standardOutput = pipe
        script.standardError = pipe
        try script.run()
        let said = pipe.fileHandleForReading.readDataToEndOfFile()
        script.waitUntilExit()
        return (script.terminationStatus, String(decoding: said, as: UTF8.self))
    }

    @Test("Commands run in order in one shell, and their output is free")
    func success() throws {
        let result = try check(
            """
            ```console
            $ qala init && mkdir here && cd here
            some output that nobody compares
            $ X=one
            $ cat > file <<END
            > $X
            >
            > two
            > END
            ```
            Prose, and a block that is no console:
            ```sh
            false
            ```
            ```console
            $ test "$(head -n 1 file)" = one && test "$(basename "$PWD")" = here
            $ (exit 14)  # exits with 14
            ```
            """)
        #expect(result.code == 0, "\(result.said)")
        #expect(result.said.contains("5 commands in 1 documents, 0 failures"))
    }

    @Test(
        "A failing command, an ended shell and a broken block are found",
        arguments: [
            (
                "```console\n$ true\n$ echo seen; false\n```\n",
                "page.md:3: `echo seen; false` exited with 1, expected 0\nseen"
            ),
            ("```console\n$ true # exits with 3\n```\n", "page.md:2: `true # exits with 3` exited with 0, expected 3"),
            ("```console\n$ exit 0\n```\n", "page.md:2: `exit 0` ended the shell"),
            ("```console\n$ echo 'open\n$ true\n```\n", "page.md:2: `echo 'open` exited with"),
            ("```console norun\n$ true\n```\n", "page.md:1: a block that is not run gives its reason"),
            ("```console\nno command\n```\n", "page.md:1: a console block without a command"),
            ("```console\n$ true\n", "page.md:1: a fenced block that does not end"),
        ])
    func failure(document: String, message: String) throws {
        let result = try check(document)
        #expect(result.code == 1)
        #expect(result.said.contains(message), "\(result.said)")
    }

    @Test("A block with a reason is skipped")
    func skipped() throws {
        let result = try check("```console norun needs two machines\n$ false\n```\n")
        #expect(result.code == 0, "\(result.said)")
        #expect(result.said.contains("0 commands"))
    }
}
