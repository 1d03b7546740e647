import Documents
import Domain
import Foundation
import Glibc
import Testing

/// What the tests know beside the policies: the zones of this machine.
func knowledge(isWhole: Bool = true) -> PolicySet.Knowledge {
    PolicySet.Knowledge(instant: 1_781_481_600, isWhole: isWhole) { name in
        guard let bytes = FileManager.default.contents(atPath: "/usr/share/zoneinfo/\(name)") else { return nil }
        return try? TimeZoneRules(tzif: Array(bytes))
    }
}

let today = CivilDay(secondsSince1970: 1_781_481_600)

@Suite("Sets of policies as folders of documents")
struct PolicySetDocumentTests {
    private func document(_ files: (String, String)...) -> PolicySetDocument {
        PolicySetDocument(files.map { DocumentText(file: $0.0, bytes: Array($0.1.utf8)) })
    }

    private func lines(_ document: PolicySetDocument, isWhole: Bool = false, _ language: Language = .english)
        -> [String]
    {
        document.problems(on: today, knowing: knowledge(isWhole: isWhole), folder: "d").map {
            $0.line(in: language, file: "?")
        }
    }

    @Test("Mistakes of every document and of the set come out at once, each at its place")
    func everything() {
        let whole = PolicyLanguageTests.sound
        let found = lines(
            document(
                ("d/people.yaml", PolicyLanguageTests.people),
                ("d/a.yaml", whole),
                (
                    "d/b.yaml",
                    whole.replacing("rpo: 4 days", with: "rpo: 60 hours").replacing("site: two", with: "site: one")
                ),
                ("d/c.yaml", whole.replacing("polic", with: "polc")),
                (
                    "d/e.yaml",
                    "policy: e\ncomponent: log\nresponsible: {person: a}\ndeputy: Aysel\nsources: [{files: /a}]"
                )))
        #expect(
            found == [
                "d/b.yaml:1:9: another policy is named `web` already; every name is given once (d/a.yaml:1:9)",
                "d/b.yaml:14:6: runs can be 3 days 10 minutes apart (until 2026-06-21 22:40:00 UTC), so the RPO of"
                    + " 2 days 12 hours cannot be met; run more often or raise the RPO (clause 2.12)",
                "d/b.yaml:18:12: two online copies are at the site `one`; a mirror must be at another site than the vault"
                    + " (clause 3.3.1)",
                "d/c.yaml:1:1: unknown key `polcy` in the policy; did you mean `policy`?",
                "d/e.yaml:1:1: `legal-basis` is missing: the law, order or contract this archiving rests on (clause 5.1)",
            ] + Array(found.dropFirst(5)))
        #expect(found.count == 16)
        let azerbaijani = lines(
            document(
                ("d/people.yaml", PolicyLanguageTests.people),
                ("d/a.yaml", whole.replacing("site: two", with: "site: one"))), .azerbaijani)
        #expect(
            azerbaijani == [
                "d/a.yaml:18:12: iki onlayn nüsxə eyni mərkəzdədir (`one`); güzgü nüsxə başqa mərkəzdə olmalıdır (bənd 3.3.1)"
            ])
    }

    @Test("A broken register is told once, and not once more by every policy")
    func brokenPeople() {
        let found = lines(
            document(
                ("people.yaml", "people: {a: {nam: A}}"), ("a.yaml", PolicyLanguageTests.sound),
                ("b.yaml", PolicyLanguageTests.sound)))
        #expect(found == ["people.yaml:1:14: unknown key `nam` in the person; did you mean `name`?"])
    }

    @Test("What does not block keeps no set out of force; what blocks does")
    func force() throws {
        let people = PolicyLanguageTests.people
        let whole = PolicyLanguageTests.sound
        let sound = document(("d/people.yaml", people), ("d/a.yaml", whole))
        #expect(lines(sound) == [])
        #expect(lines(sound, isWhole: true).count == 8)
        #expect(
            lines(sound, isWhole: true).first?.hasPrefix("d:1:1: no policy covers the component `database`") == true)
        let set = try sound.validated(on: today, knowing: knowledge(), folder: "d")
        #expect(set.policies.map(\.name) == ["web"] && set.people.persons.count == 2)
        let unsound = document(("d/people.yaml", people), ("d/a.yaml", whole.replacing("rto: 4 hours\n", with: "")))
        let error = #expect(throws: DocumentsError.self) {
            try unsound.validated(on: today, knowing: knowledge(), folder: "d")
        }
        #expect(error?.problems.count == 1 && error?.kind == .badPolicy)
    }

    @Test("Canonical bytes depend on names and content, not on the order of reading")
    func canonicalBytes() {
        let (a, b) = (("x/a.yaml", "1"), ("x/b.yaml", "22"))
        #expect(document(a, b).canonicalBytes == document(b, a).canonicalBytes)
        #expect(document(a, b).canonicalBytes != document(a, ("x/c.yaml", "22")).canonicalBytes)
        #expect(
            document(("q/a.yaml", "1")).canonicalBytes
                == Array("qala policy set 1\u{0}".utf8) + [0, 0, 0, 0, 0, 0, 0, 6] + Array("a.yaml".utf8)
                + [0, 0, 0, 0, 0, 0, 0, 1] + Array("1".utf8))
    }

    @Test("A folder is read whole; what cannot be read in it is told")
    func folder() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-policies-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, text) in [
            ("people.yaml", PolicyLanguageTests.people), ("web.yml", PolicyLanguageTests.sound), ("notes.txt", "x"),
            (".hidden.yaml", "x"),
        ] {
            try Data(text.utf8).write(to: folder.appending(path: name))
        }
        let read = try PolicySetDocument.read(folder: folder.path)
        #expect(read.files == [folder.path + "/web.yml"] && read.set.policies.count == 1)
        #expect(try PolicyDocument.read(path: folder.path + "/web.yml").responsible == "Aysel Quliyeva")
        try FileManager.default.createSymbolicLink(
            at: folder.appending(path: "lost.yaml"), withDestinationURL: folder.appending(path: "nowhere"))
        #expect(lines(try PolicySetDocument.read(folder: folder.path)).count == 1)
        #expect(mkfifo(folder.path + "/pipe.yaml", 0o600) == 0)
        #expect(lines(try PolicySetDocument.read(folder: folder.path)).count == 2, "nobody waits for a pipe")
        try Data("people: [".utf8).write(to: folder.appending(path: "people.yaml"))
        let error = #expect(throws: DocumentsError.self) { try PolicyDocument.read(path: folder.path + "/web.yml") }
        #expect(error?.message.hasPrefix(folder.path + "/people.yaml:1:") == true, "\(error?.message ?? "")")
        try FileManager.default.removeItem(at: folder.appending(path: "people.yaml"))
        let missing = #expect(throws: DocumentsError.self) { try PolicyDocument.read(path: folder.path + "/web.yml") }
        #expect(missing?.problems.count == 2 && missing?.message.contains("there is no people.yaml") == true)
        #expect(throws: DocumentsError.self) { try PolicySetDocument.read(folder: folder.path + "/none") }
    }
}
