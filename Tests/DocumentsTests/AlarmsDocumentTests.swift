import Domain
import Testing

@testable import Documents

@Suite("The document of alarms")
struct AlarmsDocumentTests {
    private func parse(_ text: String) throws -> AlarmSettings {
        try AlarmsDocument.parse(Array(text.utf8), file: "alarms.yaml")
    }

    private func problems(_ text: String) -> [DocumentProblem] {
        do {
            _ = try AlarmsDocument.parse(Array(text.utf8), file: "alarms.yaml")
            return []
        } catch { return error.problems }
    }

    @Test("Every channel is read with what it needs")
    func whole() throws {
        let settings = try parse(
            """
            language: az
            host: arxiv-1
            channels:
              mail: {kind: email, server: "smtp://localhost:2525", from: a@b, to: [c@d, e@f]}
              secure:
                kind: email
                server: smtps://mail.example
                from: a@b
                to: c@d
                user: qala
                password-file: /etc/qala/p
                least: warning
              hook: {kind: webhook, url: "https://example/hook", token-file: /t}
              phone: {kind: ntfy, url-file: /u}
              duty: {kind: command, command: [/bin/call, now], least: critical}
            dead-man: {url: "http://127.0.0.1:9/x", every: 5 minutes}
            """)
        #expect(settings.language == .azerbaijani && settings.host == "arxiv-1")
        #expect(settings.channels.map(\.name) == ["mail", "secure", "hook", "phone", "duty"])
        #expect(settings.channels.map(\.least) == [.notice, .warning, .notice, .notice, .critical])
        let secure = AlarmChannel.Means.email(
            server: "smtps://mail.example", from: "a@b", to: ["c@d"], user: "qala", password: "/etc/qala/p")
        #expect(settings.channels[1].means == secure)
        #expect(settings.channels[4].means == .command(["/bin/call", "now"]))
        #expect(settings.deadMan == DeadMan(url: .plain("http://127.0.0.1:9/x"), every: 300))
    }

    @Test(
        "What would send secrets in the clear, or nowhere, is refused with its place",
        arguments: [
            ("channels: {a: {kind: webhook, url: \"http://example/x\"}}", 1),
            ("channels: {a: {kind: webhook, url: \"http://localhost@evil/x\"}}", 1),
            ("channels: {a: {kind: webhook, url: \"file:///etc/passwd\"}}", 1),
            ("channels: {a: {kind: webhook}}", 1),
            ("channels: {a: {kind: webhook, url: \"https://x\", url-file: /y}}", 1),
            ("channels: {a: {kind: email, server: \"http://x\", from: a@b, to: c@d}}", 1),
            ("channels: {a: {kind: email, server: \"smtp://x\", from: a@b, to: \"c@d>,<e@f\"}}", 1),
            ("channels: {a: {kind: email, server: \"smtp://x\", from: a@b, to: c@d, user: u}}", 1),
            ("channels: {a: {kind: command, command: relative}}", 1),
            ("channels: {a: {kind: command, command: /x, url: \"https://x\"}}", 1),
            ("channels: {a: {kind: pigeon}}", 1),
            ("channels: {a: {kind: webhook, url: \"https://x\", least: loud}}", 1),
            ("chanels: {}", 1),
        ])
    func refused(text: String, count: Int) {
        let found = problems(text)
        #expect(found.count >= count && found.allSatisfy { $0.line == 1 && $0.column >= 1 }, "\(text): \(found)")
        for problem in found {
            #expect(!problem.text(in: .english).isEmpty && problem.text(in: .english) != problem.text(in: .azerbaijani))
        }
    }

    @Test("All errors are told at once, with lines")
    func several() {
        let found = problems(
            """
            language: xx
            channels:
              a: {kind: webhook, url: "ftp://x"}
              b: {kind: email}
            """)
        #expect(Set(found.map(\.line)) == [1, 3, 4] && found.count >= 5, "\(found)")
    }
}
