import Documents
import Domain
import Foundation
import Testing

@Suite("Sources of PostgreSQL in policies")
struct PostgreSQLPolicyTests {
    private func policy(_ source: String) throws -> Policy {
        let text = "policy: p\ncomponent: database\nresponsible: A\nsources:\n\(source)"
        return try PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
    }

    @Test("The example that is shipped as a comment is right")
    func shipped() throws {
        let path = ShippedPoliciesTests.folder + "/Policies/database.yaml"
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("  # - postgresql:") })
        let block = lines[start...].prefix { $0.hasPrefix("  # - ") || $0.hasPrefix("  #   ") }
        let source = block.map { $0.replacing("  # ", with: "  ", maxReplacements: 1) }.joined(separator: "\n")
        guard case .postgresql(let cluster)? = try policy(source + "\n").data.first else {
            Issue.record("no cluster in\n\(source)")
            return
        }
        #expect(cluster.name == "main" && cluster.mode == .local)
        #expect(cluster.dataDirectory == "/var/lib/postgresql/15/main")
        #expect(cluster.connection.passfile == "/etc/qala/main.pgpass")
        #expect(cluster.config == ["/etc/postgresql/15/main"] && cluster.programs == "/usr/lib/postgresql/15/bin")
        #expect(
            cluster.witnesses == [.init(name: "letters", query: "SELECT count(*) FROM letter", database: "registry")])
    }

    @Test("Little is enough")
    func short() throws {
        let policy = try policy(
            "  - {postgresql: main, data-directory: /srv/pg}\n  - {postgresql: far, mode: remote, host: db}\n")
        #expect(policy.data.map(\.root) == ["@postgresql/main", "@postgresql/far"])
        guard case .postgresql(let far)? = policy.data.last else { return }
        #expect(far.connection == PostgreSQLSource.Connection(host: "db"))
    }

    @Test(
        "What cannot be meant is told",
        arguments: [
            ("{postgresql: main}", "`data-directory` is missing"),
            ("{postgresql: main, data-directory: pg}", "is not an absolute, plain path"),
            ("{postgresql: main, mode: copy}", "`copy` is not a value of `mode`"),
            ("{postgresql: main, mode: remote, socket: /run, host: db}", "`socket` cannot stand beside `host`"),
            ("{postgresql: main, mode: remote, port: 0}", "port"),
            ("{postgresql: main, mode: remote, password: x}", "unknown key `password`"),
            ("{postgresql: main, mode: remote, witnesses: [{name: a}]}", "`query` is missing"),
        ])
    func wrong(source: String, message: String) {
        let error = #expect(throws: DocumentsError.self) { try policy("  - \(source)\n") }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}
