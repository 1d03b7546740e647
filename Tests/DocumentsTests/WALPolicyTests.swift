import Documents
import Domain
import Foundation
import Testing

@Suite("Sources of WAL in policies")
struct WALPolicyTests {
    private func policy(_ sources: String) throws -> Policy {
        let text = "policy: p\ncomponent: database\nresponsible: A\nsources:\n\(sources)"
        return try PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
    }

    private func source(_ text: String) throws -> WALSource? {
        guard case .wal(let source)? = try policy("  - \(text)\n").data.first else { return nil }
        return source
    }

    @Test("The example that is shipped as a comment is right, and so is that of the page")
    func shipped() throws {
        let folder = ShippedPoliciesTests.folder
        let lines = try String(contentsOfFile: folder + "/Policies/database.yaml", encoding: .utf8).split(
            separator: "\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("  # - postgresql-wal:") })
        let block = lines[start...].prefix { $0.hasPrefix("  # - ") || $0.hasPrefix("  #   ") }
        let text = block.map { $0.replacing("  # ", with: "  ", maxReplacements: 1) }.joined(separator: "\n")
        var expected = WALSource(name: "main")
        expected.slot = "qala"
        expected.heartbeat = "postgres"
        #expect(try policy(text + "\n").data == [.wal(expected)])

        let page = try String(contentsOfFile: folder + "/docs/wal.md", encoding: .utf8)
        let example = page.split(separator: "```yaml\n").dropFirst().first?.split(separator: "```").first
        let whole = "policy: p\ncomponent: database\nresponsible: A\n\(try #require(example))"
        expected.socket = "/run/postgresql"
        #expect(try PolicyDocument.parse(Array(whole.utf8), file: "p.yaml").data == [.wal(expected)])
    }

    @Test("Little is enough, and every key counts")
    func keys() throws {
        let short = try #require(try source("{postgresql-wal: main}"))
        #expect(short == WALSource(name: "main") && DataSource.wal(short).root == "@postgresql-wal/main")
        for key in [
            "user: pg", "acknowledge: vault", "batch-segments: 4", "batch-time: 90 s", "incarnation: 2", "slot: a_1",
            "socket: /tmp", "heartbeat: bank",
        ] {
            #expect(try source("{postgresql-wal: main, \(key)}") != short, "\(key)")
        }
    }

    @Test(
        "What is wrong is told",
        arguments: [
            ("{postgresql-wal: the main}", "`the main` is not one plain word"),
            ("{postgresql-wal: main, acknowledge: never}", "`never` is not a value of `acknowledge`"),
            ("{postgresql-wal: main, batch-segments: 0}", "batch-segments"),
            ("{postgresql-wal: main, batch-time: 2 days}", "`batch-time` is at most"),
            ("{postgresql-wal: main, incarnation: 0}", "incarnation"),
            ("{postgresql-wal: main, slot: A-b}", "`A-b`"),
            ("{postgresql-wal: main, socket: run}", "is not an absolute, plain path"),
            ("{postgresql-wal: main, heartbeat: [bank]}", "heartbeat"),
            ("{postgresql-wal: main, port: 1}", "unknown key `port`"),
        ])
    func wrong(text: String, part: String) {
        let error = #expect(throws: DocumentsError.self) { try source(text) }
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }

    @Test("Every difference between two sources shows in the facts of a policy")
    func facts() throws {
        for language in [Language.english, .azerbaijani] {
            func lines(_ keys: String) throws -> [String] {
                PolicyFacts.of(try policy("  - {postgresql-wal: main\(keys)}\n"), in: language)
                    .first { $0.field == "sources" }?.lines ?? []
            }
            let all = try [
                "", ", user: pg", ", acknowledge: vault", ", batch-segments: 4", ", batch-time: 90 s",
                ", incarnation: 2",
                ", slot: a_1", ", socket: /tmp", ", heartbeat: bank",
            ].map(lines)
            #expect(Set(all).count == 9, "\(all)")
        }
    }
}
