import Foundation
import Glibc
import Testing

@testable import Commands
@testable import Domain

@Suite("What there is to be archived, by the real binary", .enabled(if: qalaBinary != nil))
struct SourceCommandTests {
    private static let page = "SQLite format 3\u{0}" + String(repeating: "x", count: 496)

    /// The machine that tests has sources of its own, which say nothing here.
    private func own(_ world: World, _ finished: Finished, _ key: String) throws -> [[String: Any]] {
        let rows = try #require(try World.object(finished)[key] as? [[String: Any]])
        return rows.filter { ($0["place"] as? String)?.hasPrefix(world.folder.path) == true }
    }

    @Test(
        "Found is what lies below --path, with the policy that archives it; the rest is drafted, and the draft is a policy"
    )
    func discover() throws {
        let world = try World()
        defer { world.remove() }
        for name in ["a.db", "b'\": #.db"] { try world.write("data/\(name)", Self.page) }
        let git = try ProcessRunner.run(
            "/usr/bin/git", ["init", "-q", "--bare", "code.git"], environment: ["HOME": world.folder.path],
            in: world.url("data"))
        #expect(git.status == 0)
        try world.write(
            "policies/a.yaml",
            """
            policy: a
            component: database
            responsible: {name: A}
            sources:
              - {sqlite: a, path: \(world.path("data/a.db"))}

            """)
        let place = ["--path", world.path("data"), "--policies", "policies"]
        let found = try world.qala(["source", "discover", "--json"] + place)
        #expect([0, 3].contains(found.status), "\(found.errorText)")
        let sources = try own(world, found, "sources")
        #expect(sources.compactMap { $0["kind"] as? String } == ["git", "sqlite", "sqlite"])
        #expect(sources.map { ($0["policies"] as? [[String: Any]])?.first?["policy"] as? String } == [nil, "a", nil])
        #expect(sources[1]["bytes"] as? Int == 512)
        #expect(try own(world, found, "problems").isEmpty)
        #expect(
            try own(world, found, "findings").compactMap { $0["finding"] as? String } == ["unplanned", "unplanned"])
        let object = try World.object(found)
        #expect((object["problemCount"] as? Int == 0) == (found.status == 0))
        #expect(object["policies"] as? String == world.path("policies"))

        let draft = try world.qala(["source", "discover", "--draft", "--quiet"] + place)
        #expect(draft.status == found.status && draft.errorText.isEmpty, "\(draft.errorText)")
        let people = Repository.root.appending(path: "Policies/people.yaml")
        try world.write("drafted/people.yaml", try Data(contentsOf: people))
        try world.write("drafted/found.yaml", draft.outputText)
        let checked = try World.object(try world.qala("policy", "validate", "drafted", "--json"))
        let lines = draft.outputText.split(separator: "\n", omittingEmptySubsequences: false)
        let findings = try #require(checked["findings"] as? [[String: Any]])
            .filter { ($0["file"] as? String)?.hasSuffix("found.yaml") == true }
        #expect(findings.count >= 3, "nobody completed it")
        for finding in findings {
            let line = try #require(finding["line"] as? Int)
            #expect(lines[line - 1].contains("FILL-IN"), "\(finding)")
        }
        #expect(draft.outputText.contains(world.path("data/code.git")) && !draft.outputText.contains("/a.db"))

        let told = try world.qala(["source", "discover", "--language", "az"] + place)
        #expect(told.outputText.contains("nəzərdə tutulmayıb"))
        #expect(try world.qala(["source", "discover", "--draft", "--json"]).status == 64)
        #expect(try world.qala(["source", "discover", "--exclude", "[x"] + place).status == 78)
        let missing = try world.qala(["source", "discover", "--json", "--path", world.path("nothing")])
        #expect(missing.status == 3)
        #expect(try own(world, missing, "problems").count == 1)
    }

    @Test("A place that is not UTF-8 is told with its bytes, and the one whose name is its text is another source")
    func bytes() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("data/a\\xff", Self.page)
        let made = try ProcessRunner.run(
            "/bin/sh", ["-c", #"cp data/a* "data/$(printf 'a\377')""#], environment: ["PATH": "/usr/bin:/bin"],
            in: world.folder)
        try #require(made.status == 0, "\(made.errorText)")
        let found = try world.qala("source", "discover", "--json", "--path", world.path("data"))
        let bytes = Data(Array(world.path("data/a").utf8) + [0xFF]).base64EncodedString()
        for key in ["sources", "findings"] {
            let rows = try own(world, found, key)
            #expect(rows.compactMap { $0["place"] as? String } == Array(repeating: world.path("data/a\\xff"), count: 2))
            #expect(rows.compactMap { $0["placeBytes"] as? String } == [bytes], "\(key): \(found.outputText)")
        }
    }

    @Test("Both languages of a text take the same arguments, and neither is empty", arguments: SourceText.allCases)
    func catalogue(text: SourceText) {
        let (english, azerbaijani) = text.both
        #expect(!english.isEmpty && !azerbaijani.isEmpty)
        for mark in ["%1", "%2", "%3"] { #expect(english.contains(mark) == azerbaijani.contains(mark), "\(text)") }
    }
}
