import Documents
import Domain
import Foundation
import Testing

@Suite("The policies that are shipped")
struct ShippedPoliciesTests {
    @Test("Each component has an example that holds together", arguments: Component.allCases)
    func holds(component: Component) throws {
        let path = Self.folder + "/Policies/\(component.rawValue).yaml"
        let policy = try PolicyDocument.read(path: path)
        #expect(policy.component == component)
        #expect(policy.name == component.rawValue)
        #expect(policy.deputy != nil && policy.legalBasis != nil)
    }

    @Test("Together they pass the strict check; only keys of approvers are left to the institution")
    func strict() throws {
        let document = try PolicySetDocument.read(folder: Self.folder + "/Policies")
        let problems = document.problems(on: today, knowing: knowledge(), folder: "Policies")
        #expect(
            problems.map { $0.line(in: .english, file: "") } == [
                "Policies:1:1: people.yaml names nobody with a valid key; approving changes needs two (clause 3.12)"
            ])
        #expect(try document.validated(on: today, knowing: knowledge(), folder: "Policies").policies.count == 8)
    }

    @Test("The logs that an example only mentions are right too")
    func logs() throws {
        let text = try String(contentsOfFile: Self.folder + "/Policies/log.yaml", encoding: .utf8)
            .replacing("  # - logs:", with: "  - logs:").replacing("  #   format:", with: "    format:")
        let people = try PeopleDocument.read(path: Self.folder + "/Policies/people.yaml")
        let policy = try PolicyDocument.parse(Array(text.utf8), file: "log.yaml", people: people)
        #expect(policy.sources.count == 1)
        #expect(policy.logs.map(\.format) == [.lines, .lines, .journalExport])
        #expect(policy.logs.first?.path == "/var/log/app/*.log")
    }

    @Test(
        "Logs and files do not mix in one source, and only the last name of a log is a pattern",
        arguments: [
            ("{logs: /a/*.log, exclude: x}", "`exclude` cannot stand beside `logs`"),
            ("{files: /a, format: lines}", "`format` cannot stand beside `files`"),
            ("{logs: /a, files: /b}", "`files` cannot stand beside `logs`"),
            ("{logs: /a*/b.log}", "only its last name may hold"),
            ("{logs: a.log}", "is not an absolute, plain path"),
            ("{logs: /a, format: binary}", "`binary` is not a value of `format`"),
            ("{logs: [/a, /a]}", "`/a` is a source already"),
            ("{logs: []}", "`logs` has no value"),
        ])
    func wrongLogs(source: String, message: String) throws {
        let text = "policy: p\ncomponent: log\nresponsible: A\nsources: [\(source)]\n"
        let error = #expect(throws: DocumentsError.self) {
            try PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test("Between them they show every key of the language")
    func keys() throws {
        var text = ""
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder + "/Policies") {
            text += try String(contentsOfFile: Self.folder + "/Policies/" + name, encoding: .utf8)
        }
        for key in ReferenceTests.keys where !["vault", "unused", "hourly"].contains(key) {
            #expect(text.contains("\(key):"), "\(key)")
        }
    }

    /// The repository that this file is in.
    static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/")
    }()
}

/// The reference of the language, `docs/policies.md`.
@Suite("The reference of the policy language")
struct ReferenceTests {
    /// Every key that the readers understand.
    static let keys = [
        "policy", "component", "responsible", "deputy", "legal-basis", "confidentiality", "vault", "sources", "logs",
        "mode", "schedule", "rpo", "rto", "copies", "tiers", "retention", "compression-level", "limits", "verification",
        "hooks",
        "recovery-plan", "clauses", "files", "exclude", "one-file-system", "exclude-caches", "name", "position",
        "email",
        "phone", "person", "from", "until", "calendar", "zone", "jitter", "catch-up", "windows", "site", "role",
        "count",
        "lag", "active", "online", "offline", "format", "period", "on", "after", "unused", "keep-for", "maximum",
        "last",
        "hourly", "daily", "weekly", "monthly", "yearly", "bandwidth", "cpu", "stored", "content", "drill", "before",
        "run", "timeout", "uid", "public-key", "journal", "command", "file", "minimum-size", "sqlite", "path",
        "busy-timeout", "witnesses", "query", "git", "repository", "integrity-check",
        "postgresql", "data-directory", "socket", "host", "port", "user", "database", "passfile", "config", "programs",
        "postgresql-wal", "acknowledge", "batch-segments", "batch-time", "incarnation", "slot",
        "heartbeat",
        "mariadb", "defaults-file", "binary-logs", "mariadb-logs", "replica-id",
    ]

    private struct Block {
        var kind: String
        var text: String
    }

    /// The fenced blocks of the page, each with the words behind its fence.
    private static func blocks() throws -> [Block] {
        let page = try String(contentsOfFile: ShippedPoliciesTests.folder + "/docs/policies.md", encoding: .utf8)
        var blocks: [Block] = []
        var open: Block?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if let block = open { blocks.append(block) }
                open = open == nil ? Block(kind: String(line.dropFirst(3)), text: "") : nil
            } else {
                open?.text += line + "\n"
            }
        }
        return blocks
    }

    @Test("It explains every key, and nothing that is none")
    func keys() throws {
        let page = try String(contentsOfFile: ShippedPoliciesTests.folder + "/docs/policies.md", encoding: .utf8)
        for key in Self.keys { #expect(page.contains("`\(key)`"), "\(key)") }
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let named = rows.flatMap { row in
            row.dropFirst(2).prefix { $0 != "|" }.split(separator: "`").map(String.init).filter { $0.contains(/[a-z]/) }
        }
        for key in named { #expect(Self.keys.contains(key), "\(key)") }
        #expect(named.count >= Self.keys.count - 4)
    }

    @Test("Its examples are read, and the complete one passes the strict check")
    func examples() throws {
        let blocks = try Self.blocks()
        let register = try #require(blocks.first { $0.kind == "yaml people" })
        let people = try PeopleDocument.parse(Array(register.text.utf8), file: "people.yaml")
        var counts: [String: Int] = [:]
        for (at, block) in blocks.enumerated() {
            counts[block.kind, default: 0] += 1
            switch block.kind {
            case "yaml policy", "yaml policy short":
                let policy = try PolicyDocument.parse(Array(block.text.utf8), file: "p", people: people)
                guard block.kind == "yaml policy" else { continue }
                let set = PolicySet(people: people, policies: [policy])
                #expect(set.validate(on: today, knowing: knowledge(isWhole: false)) == [])
            case "yaml part":
                let base = ["policy: p", "component: log", "responsible: A", "sources: [{files: /a}]"]
                let kept = base.filter { line in !block.text.contains("\(line.prefix { $0 != ":" }):") }
                let text = kept.joined(separator: "\n") + "\n" + block.text
                _ = try PolicyDocument.parse(Array(text.utf8), file: "p", people: people)
            case "yaml wrong":
                let error = #expect(throws: DocumentsError.self) {
                    try PolicyDocument.parse(Array(block.text.utf8), file: "letters.yaml", people: people)
                }
                #expect((error?.message ?? "") + "\n" == blocks[at + 1].text)
            default: break
            }
        }
        #expect(
            counts == [
                "yaml people": 1, "yaml policy": 1, "yaml policy short": 1, "yaml part": 4, "yaml wrong": 1, "text": 1,
            ])
    }
}
