import Documents
import Domain
import Testing

@Suite("Policies as documents")
struct PolicyDocumentTests {
    static let whole = """
        policy: config
        component: config
        responsible: {name: Aysel Quliyeva, position: archivist, email: a@example.az}
        deputy: Rəşad Əliyev
        legal-basis: >
          Order 12
        confidentiality: confidential
        vault: /srv/vault
        sources:
          - files: [/etc, /usr/local/etc]
            exclude: ["*.bak", "!keep.bak"]
            one-file-system: true
            exclude-caches: false
          - files: /srv/www
        """

    private func parse(_ text: String) throws(DocumentsError) -> Policy {
        try PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
    }

    private func problems(_ text: String, _ language: Language = .english) -> String {
        do {
            _ = try parse(text)
            return "no problem"
        } catch {
            #expect(error.kind == .badPolicy)
            return error.message(in: language)
        }
    }

    @Test("A whole policy is read")
    func whole() throws {
        let policy = try parse(Self.whole)
        #expect(policy.name == "config" && policy.component == .config && policy.vault == "/srv/vault")
        #expect(policy.responsible == "Aysel Quliyeva" && policy.responsiblePerson.email == "a@example.az")
        #expect(policy.deputy == "Rəşad Əliyev" && policy.legalBasis == "Order 12")
        #expect(policy.confidentiality == .confidential)
        let excludes = ["*.bak", "!keep.bak"]
        #expect(
            policy.sources == [
                FileSource(path: "/etc", excludes: excludes, oneFileSystem: true),
                FileSource(path: "/usr/local/etc", excludes: excludes, oneFileSystem: true),
                FileSource(path: "/srv/www"),
            ])
    }

    @Test("A journal is a source of its own, with units and a program, and stands beside no files")
    func journal() throws {
        func text(_ item: String) -> String {
            "policy: log\ncomponent: log\nresponsible: {name: A}\nsources:\n  - \(item)\n"
        }
        #expect(try parse(text("journal: {}")).logs == [LogSource(journalOf: [])])
        let some = try parse(text("journal: {units: [sshd.service, \"app@*\"], program: /opt/journalctl}")).logs
        #expect(some == [LogSource(journalOf: ["app@*", "sshd.service"], program: "/opt/journalctl")])
        #expect(some.first?.id == "journal app@* sshd.service")
        for (item, wanted) in [
            ("journal: {units: [--root=/]}", "cannot be the name of a unit"), ("journal: {units: []}", "units"),
            ("journal: {program: journalctl}", "program"), ("journal: {unit: a}", "units"),
            ("{journal: {}, logs: /var/log/a}", "journal"), ("{journal: {}, exclude: a}", "journal"),
        ] {
            let found = problems(text(item))
            #expect(found != "no problem" && found.contains(wanted), "\(item): \(found)")
        }
    }

    @Test("Every problem comes out at once, each at its place")
    func everything() {
        let text = """
            polcy: web
            component: databse
            responsible:
              nme: A
            confidentiality: [a]
            sources:
              - files: etc/
                exlude: ["*.o"]
                one-file-system: yes
              - files: [/srv, /srv]
                exclude: ["[a"]
            """
        let expected = """
            p.yaml:1:1: unknown key `polcy` in the policy; did you mean `policy`?
            p.yaml:2:12: `databse` is not a value of `component`; did you mean `database`? Allowed: database, media, \
            config, software, access-data, documentation, problem-register, log
            p.yaml:4:3: unknown key `nme` in the person; did you mean `name`?
            p.yaml:5:18: `confidentiality` must be a text
            p.yaml:7:12: `files`: `etc/` is not an absolute, plain path; write `/etc`
            p.yaml:8:5: unknown key `exlude` in the source; did you mean `exclude`?
            p.yaml:9:22: `one-file-system` must be true or false, not `yes`
            p.yaml:10:19: `/srv` is a source already, on line 10
            p.yaml:11:15: the pattern `[a` is malformed:
            """
        let found = problems(text)
        #expect(found.hasPrefix(expected))
        #expect(found.split(separator: "\n").count == 9)
        #expect(problems(text, .azerbaijani).split(separator: "\n").count == 9)
        #expect(
            problems(text, .azerbaijani).contains("p.yaml:1:1: siyasətdə naməlum açar söz: `polcy`; bəlkə `policy`?"))
    }

    @Test("What a policy must have is missed by name")
    func missing() {
        #expect(
            problems("deputy: X") == """
                p.yaml:1:1: the key `policy` is missing in the policy
                p.yaml:1:1: the key `component` is missing in the policy
                p.yaml:1:1: the key `responsible` is missing in the policy
                p.yaml:1:1: the key `sources` is missing in the policy
                """)
    }

    @Test(
        "One wrong value, one message",
        arguments: [
            ("policy: config", "policy: a:b", "1:9: `a:b` cannot name a policy"),
            ("policy: config", "policy:", "1:8: `policy` has no value"),
            ("policy: config", "policy: ~", "1:9: `policy` has no value"),
            ("  - files: /srv/www", "  - exclude: a", "14:5: the key `files` is missing in the source"),
            ("  - files: /srv/www", "  - /srv/www", "14:5: `sources` must be a mapping of keys to values"),
            ("  - files: /srv/www", "  - files: []", "14:12: `files` has no value"),
            ("deputy: Rəşad Əliyev", "deputy: [a]", "4:9: `deputy` must be a mapping"),
            ("deputy: Rəşad Əliyev", "deputy: \"a\\x07\"", "4:9: `deputy` contains a control character"),
            (
                "vault: /srv/vault", "vault: srv/vault",
                "8:8: `vault`: `srv/vault` is not an absolute, plain path; write `/srv/vault`"
            ),
        ])
    func single(old: String, new: String, message: String) {
        let found = problems(Self.whole.replacing(old, with: new))
        #expect(found.hasPrefix("p.yaml:" + message), "\(found)")
        #expect(!found.contains("\n"))
    }

    @Test("A key that stands twice is named")
    func duplicates() {
        #expect(
            problems(Self.whole + "\npolicy: other")
                == "p.yaml:1:1: the key `policy` stands more than once in this mapping")
    }

    @Test(
        "What is no YAML says where",
        arguments: [
            ("policy: [", "this is not YAML"), ("a: b: c", "this is not YAML"), ("exclude: *.log", "this is not YAML"),
            ("", "the document is empty"), ("# only a comment", "the document is empty"),
            ("--- a\n--- b", "this is not YAML"), ("just words", "`policy` must be a mapping"),
        ])
    func syntax(text: String, message: String) {
        let found = problems(text)
        #expect(found.hasPrefix("p.yaml:") && found.contains(message), "\(found)")
    }

    @Test("A text that is not UTF-8, or too large, is refused before it is parsed")
    func bytes() {
        #expect(throws: DocumentsError.self) { try PolicyDocument.parse([0x61, 0x3A, 0xFF], file: "p") }
        let large = [UInt8](repeating: 0x61, count: (1 << 20) + 1)
        let error = #expect(throws: DocumentsError.self) { try PolicyDocument.parse(large, file: "p") }
        #expect(error?.problems.first?.reason == .tooLarge(limit: 1 << 20))
    }

    @Test("A bomb of aliases, and one of brackets, end at once")
    func bombs() {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let before = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(before)]\n"
        }
        let clock = ContinuousClock()
        let spent = clock.measure {
            #expect(problems(bomb).contains("more than 16 aliases"))
            #expect(problems(String(repeating: "[", count: 1 << 20)).contains("nested deeper"))
            #expect(problems(String(repeating: "- ", count: 1 << 19)).contains("p.yaml:"))
            #expect(problems("? &a [x]\n: y\n? *a\n: z").contains("more than once"))
        }
        #expect(spent < .seconds(20))
    }

    @Test("An alias may repeat a list of patterns")
    func alias() throws {
        let text = Self.whole
            .replacing("exclude: [", with: "exclude: &usual [")
            .replacing("- files: /srv/www", with: "- files: /srv/www\n    exclude: *usual")
        #expect(try parse(text).sources.last?.excludes == ["*.bak", "!keep.bak"])
    }

    @Test("No bytes crash the reader")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array(" \n\t:-[]{}&*!|>'\"#%@`?,~abcdefiles/\\\u{0}".utf8) + [0xC3, 0xA9, 0xFF]
        for _ in 0..<3000 {
            let count = Int.random(in: 0...80, using: &generator)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            do { _ = try PolicyDocument.parse(bytes, file: "p") } catch { #expect(!error.message.isEmpty) }
        }
    }

    @Test("A file that is not there is not found, with a hint in both languages")
    func absent() {
        let error = #expect(throws: DocumentsError.self) { try PolicyDocument.read(path: "/nonexistent/policy.yaml") }
        #expect(error?.kind == .notFound)
        #expect(error?.hint(in: .azerbaijani) != error?.hint(in: .english))
    }
}
