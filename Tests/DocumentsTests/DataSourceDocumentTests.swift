import Documents
import Domain
import Foundation
import Testing

@Suite("Data sources in policies")
struct DataSourceDocumentTests {
    private func parse(_ source: String) throws(DocumentsError) -> [DataSource] {
        let text = "policy: p\ncomponent: database\nresponsible: A\nsources: [\(source)]\n"
        return try PolicyDocument.parse(Array(text.utf8), file: "p.yaml").data
    }

    @Test("What a policy says of a SQLite database reaches the source, and what it leaves out is usual")
    func sqlite() throws {
        let given = """
            {sqlite: app, path: /srv/app/data.db, busy-timeout: 5 minutes, integrity-check: 7 days,
            witnesses: [{name: rows, query: select count(*) from a}]}
            """
        var expected = SQLiteSource(name: "app", path: "/srv/app/data.db")
        #expect(try parse("{sqlite: app, path: /srv/app/data.db}") == [.sqlite(expected)])
        expected.busyTimeout = .seconds(300)
        expected.integrityCheck = .days(7)
        expected.witnesses = [.init(name: "rows", query: "select count(*) from a")]
        #expect(try parse(given.replacing("\n", with: " ")) == [.sqlite(expected)])
        #expect(DataSource.sqlite(expected).root == "@sqlite/app" && expected.file == "data.db")
    }

    @Test("What a policy says of a repository reaches the source")
    func git() throws {
        var expected = GitSource(name: "code", repository: "/srv/code.git")
        #expect(try parse("{git: code, repository: /srv/code.git}") == [.git(expected)])
        expected.repository = "https://git.example.az/code.git"
        expected.timeout = .hours(2)
        expected.integrityCheck = .days(7)
        let given =
            "{git: code, repository: 'https://git.example.az/code.git', timeout: 2 hours, integrity-check: 7 days}"
        #expect(try parse(given) == [.git(expected)])
    }

    @Test("What a policy says of a MariaDB server reaches the source, and what it leaves out is usual")
    func mariadb() throws {
        var expected = MariaDBSource(name: "main")
        #expect(try parse("{mariadb: main}") == [.mariadb(expected)])
        expected.socket = "/run/mysqld/mysqld.sock"
        expected.user = "archivist"
        expected.defaultsFile = "/etc/qala/mariadb.cnf"
        expected.config = ["/etc/mysql"]
        expected.binaryLogs = true
        expected.timeout = .hours(6)
        expected.witnesses = [WitnessQuery(name: "letters", query: "select 1", database: "registry")]
        let given = """
            {mariadb: main, socket: /run/mysqld/mysqld.sock, user: archivist, defaults-file: /etc/qala/mariadb.cnf,
            config: /etc/mysql, binary-logs: true, timeout: 6 hours,
            witnesses: [{name: letters, database: registry, query: select 1}]}
            """
        #expect(try parse(given.replacing("\n", with: " ")) == [.mariadb(expected)])
        #expect(DataSource.mariadb(expected).root == "@mariadb/main")
        var logs = MariaDBSource(name: "main")
        logs.binaryLogs = true
        #expect(try parse("{mariadb-logs: main}") == [.mariadbLogs(logs)])
        (logs.socket, logs.user, logs.defaultsFile) = (expected.socket, "archivist", expected.defaultsFile)
        let alone =
            "{mariadb-logs: main, socket: /run/mysqld/mysqld.sock, user: archivist, defaults-file: /etc/qala/mariadb.cnf}"
        #expect(try parse(alone) == [.mariadbLogs(logs)])
        #expect(DataSource.mariadbLogs(logs).root == "@mariadb-logs/main" && !DataSource.mariadbLogs(logs).isStreamed)
        logs = MariaDBSource(name: "main")
        (logs.binaryLogs, logs.replicaID) = (true, .max)
        #expect(try parse("{mariadb-logs: main, replica-id: 4294967295}") == [.mariadbLogs(logs)])
        logs.batchTime = .seconds(5)
        #expect(try parse("{mariadb-logs: main, replica-id: 4294967295, batch-time: 5 s}") == [.mariadbLogs(logs)])
        #expect(DataSource.mariadbLogs(logs).isStreamed)
    }

    @Test("The example of streamed binary logs that is shipped as a comment is right")
    func shippedStream() throws {
        let folder = ShippedPoliciesTests.folder
        let lines = try String(contentsOfFile: folder + "/Policies/database.yaml", encoding: .utf8).split(
            separator: "\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("  # - mariadb-logs:") })
        let block = lines[start...].prefix { $0.hasPrefix("  # - ") || $0.hasPrefix("  #   ") }
        let text = block.map { $0.replacing("  # ", with: "  ", maxReplacements: 1) }.joined(separator: "\n")
        let policy = "policy: p\ncomponent: database\nresponsible: A\nsources:\n\(text)\n"
        var expected = MariaDBSource(name: "main")
        (expected.binaryLogs, expected.replicaID) = (true, 4711)
        (expected.socket, expected.user) = ("/run/mysqld/mysqld.sock", "archivist")
        expected.defaultsFile = "/etc/qala/mariadb.cnf"
        #expect(try PolicyDocument.parse(Array(policy.utf8), file: "p.yaml").data == [.mariadbLogs(expected)])
    }

    @Test(
        "What is wrong is told at its place",
        arguments: [
            ("{sqlite: app}", "4:11: the key `path` is missing"),
            ("{sqlite: app, path: data.db}", "`data.db` is not an absolute, plain path"),
            ("{sqlite: an app, path: /a}", "`an app` is not one plain word"),
            ("{sqlite: app, path: /a, files: /b}", "unknown key `files`"),
            ("{sqlite: app, path: /a, busy-timeout: 2 days}", "`busy-timeout` is at most"),
            ("{sqlite: app, path: /a, integrity-check: 1 month}", "has no fixed length"),
            ("{sqlite: app, path: /a, witnesses: [{name: rows}]}", "the key `query` is missing"),
            ("{sqlite: app, path: /a, witnesses: [{name: a b, query: select 1}]}", "`a b` is not one plain word"),
            ("{git: code}", "the key `repository` is missing"),
            ("{git: code, repository: code.git}", "`code.git` is no repository"),
            ("{git: code, repository: 'https://me:secret@host/a'}", "is no repository"),
            ("{git: code, repository: /a, timeout: 8 days}", "`timeout` is at most"),
            ("{mariadb: main, password: secret}", "unknown key `password`"),
            ("{mariadb: main, socket: mysqld.sock}", "`mysqld.sock` is not an absolute, plain path"),
            ("{mariadb: main, binary-logs: daily}", "`binary-logs`"),
            ("{mariadb: main, timeout: 8 days}", "`timeout` is at most"),
            ("{mariadb: main, witnesses: [{query: select 1}]}", "the key `name` is missing"),
            ("{mariadb-logs: main, timeout: 2 hours}", "unknown key `timeout`"),
            ("{mariadb-logs: main, replica-id: 0}", "replica-id"),
            ("{mariadb-logs: main, replica-id: 4294967296}", "replica-id"),
            ("{mariadb-logs: main, batch-time: 5 s}", "the key `replica-id` is missing"),
            ("{mariadb-logs: main, replica-id: 1, batch-time: 2 days}", "`batch-time` is at most"),
            ("{mariadb: main, replica-id: 1}", "unknown key `replica-id`"),
            ("{mariadb: main}, {mariadb: main, socket: /b}", "`mariadb main` is a source already"),
            ("{sqlite: a, path: /a}, {sqlite: a, path: /b}", "`sqlite a` is a source already"),
        ])
    func wrong(source: String, message: String) {
        let error = #expect(throws: DocumentsError.self) { try parse(source) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test("Every difference between two sources shows in the facts of the policy")
    func facts() throws {
        var lines: Set<String> = []
        let sources = [
            "{sqlite: a, path: /a}", "{sqlite: b, path: /a}", "{sqlite: a, path: /b}",
            "{sqlite: a, path: /a, busy-timeout: 1 s}", "{sqlite: a, path: /a, integrity-check: 2 days}",
            "{sqlite: a, path: /a, witnesses: [{name: n, query: select 1}]}",
            "{sqlite: a, path: /a, witnesses: [{name: n, query: select 2}]}",
            "{git: a, repository: /a}", "{git: b, repository: /a}", "{git: a, repository: /b}",
            "{git: a, repository: /a, timeout: 2 hours}", "{git: a, repository: /a, integrity-check: 2 days}",
            "{mariadb: a}", "{mariadb: b}", "{mariadb: a, socket: /a}", "{mariadb: a, user: b}",
            "{mariadb: a, defaults-file: /a}", "{mariadb: a, config: /a}", "{mariadb: a, binary-logs: true}",
            "{mariadb: a, timeout: 2 hours}", "{mariadb: a, witnesses: [{name: n, query: select 1}]}",
            "{mariadb: a, witnesses: [{name: n, query: select 1, database: d}]}",
            "{mariadb-logs: a}", "{mariadb-logs: b}", "{mariadb-logs: a, socket: /a}", "{mariadb-logs: a, user: b}",
            "{mariadb-logs: a, defaults-file: /a}", "{mariadb-logs: a, replica-id: 1}",
            "{mariadb-logs: a, replica-id: 2}", "{mariadb-logs: a, replica-id: 2, batch-time: 5 s}",
        ]
        for source in sources {
            let text = "policy: p\ncomponent: database\nresponsible: A\nsources: [\(source)]\n"
            let policy = try PolicyDocument.parse(Array(text.utf8), file: "p.yaml")
            for language in [Language.english, .azerbaijani] {
                let fact = PolicyFacts.of(policy, in: language).first { $0.field == "sources" }
                lines.insert(fact?.lines.joined() ?? "")
            }
        }
        #expect(lines.count == 2 * sources.count)
    }
}
