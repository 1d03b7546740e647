import Foundation
import Glibc
import Testing

/// A mail server and a web server of this host that keep what they get, as lines of JSON in a file.
private struct Receiver {
    let process: RunningProcess
    let ports: [Int]
    let file: URL

    private static let script = """
        import base64, email, email.policy, http.server, json, socketserver, sys, threading
        out = open(sys.argv[1], "a", buffering=1)
        lock = threading.Lock()
        def keep(row):
            with lock:
                out.write(json.dumps(row) + "\\n")
        class Mail(socketserver.StreamRequestHandler):
            def handle(self):
                say = lambda text: self.wfile.write((text + "\\r\\n").encode())
                say("220 here")
                to = []
                while True:
                    line = self.rfile.readline().decode().strip()
                    word = line[:4].upper()
                    if not line or word == "QUIT":
                        say("221 bye")
                        return
                    if word == "RCPT":
                        to.append(line.split("<")[1].split(">")[0])
                    if word == "DATA":
                        say("354 go on")
                        data = b""
                        while not data.endswith(b"\\r\\n.\\r\\n"):
                            more = self.rfile.readline()
                            if not more:
                                return
                            data += more
                        letter = email.message_from_bytes(data[:-3], policy=email.policy.default)
                        keep({"kind": "mail", "to": to, "subject": letter["subject"],
                              "date": letter["date"], "text": letter.get_content()})
                    say("250 fine")
        class Web(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                keep({"kind": "web", "method": self.command, "path": self.path, "text": body.decode(),
                      "headers": {k.lower(): v for k, v in self.headers.items()}})
                self.send_response(503 if self.path == "/down" else 200)
                self.end_headers()
            do_GET = do_POST = answer
            def log_message(self, *arguments):
                pass
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        servers = [socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) for kind in (Mail, Web)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        keep({"kind": "ports", "ports": [server.server_address[1] for server in servers]})
        threading.Event().wait()
        """

    init(_ world: World) throws {
        try world.write("receiver.py", Self.script)
        file = world.url("received")
        process = try ProcessRunner.start(
            "/usr/bin/env", ["python3", world.path("receiver.py"), world.path("received")],
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin"], in: world.folder)
        var found: [Int] = []
        // If it never comes, the process ends with the last reference to it.
        for _ in 0..<600 where found.isEmpty {
            usleep(100_000)
            found = Self.rows(file).first?["ports"] as? [Int] ?? []
        }
        try #require(found.count == 2, "the receiver did not start")
        ports = found
    }

    static func rows(_ file: URL) -> [[String: Any]] {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
    }

    var rows: [[String: Any]] { Self.rows(file) }
}

@Suite("Alarms of the real daemon", .serialized, .enabled(if: qalaBinary != nil))
struct AlarmDeliveryTests {
    @Test("A failing policy is told by mail, web, telephone and program, and again when it is over")
    func wholeWay() throws {
        let desk = try DaemonWorld()
        defer { desk.remove() }
        let receiver = try Receiver(desk.world)
        defer { receiver.process.send(SIGKILL) }
        let (mail, web) = (receiver.ports[0], receiver.ports[1])
        try desk.world.write("token", "secret word\n")
        try desk.world.write("ping", "http://127.0.0.1:\(web)/alive\n")
        let program = "/bin/sh, -c, \"cat > \(desk.world.path("told"))-$QALA_ALARM-$QALA_ALARM_EVENT\""
        try desk.world.write(
            "alarms.yaml",
            """
            language: az
            host: here
            channels:
              mail: {kind: email, server: "smtp://127.0.0.1:\(mail)", from: qala@here, to: [a@there, b@there]}
              web: {kind: webhook, url: "http://127.0.0.1:\(web)/hook", token-file: \(desk.world.path("token"))}
              phone: {kind: ntfy, url: "http://127.0.0.1:\(web)/phone"}
              down: {kind: webhook, url: "http://127.0.0.1:\(web)/down", least: warning}
              program: {kind: command, command: [\(program)]}
            dead-man: {url-file: \(desk.world.path("ping")), every: 1 minute}
            """)
        #expect(try desk.world.qala("alarms", "validate", "alarms.yaml").status == 0)
        try FileManager.default.moveItem(at: desk.world.url("tree"), to: desk.world.url("gone"))
        let daemon = try desk.start(["--alarms", desk.world.path("alarms.yaml")])
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("an alarm") {
            (try desk.json("alarms")["alarms"] as? [[String: Any]] ?? []).contains { $0["kind"] as? String == "failed" }
        }
        func text(_ path: String) -> String? { try? String(contentsOf: desk.world.url(path), encoding: .utf8) }
        try desk.wait("the program") { text("told-failed-raised")?.contains("Məsul şəxs") == true }
        let wanted = "sonuncu icra uğursuz olub"
        try desk.wait("all channels") {
            let rows = receiver.rows
            return rows.contains { ($0["subject"] as? String)?.contains(wanted) == true }
                && ["/hook", "/phone", "/alive"].allSatisfy { path in rows.contains { $0["path"] as? String == path } }
        }
        let rows = receiver.rows
        let letter = try #require(rows.first { ($0["subject"] as? String)?.contains(wanted) == true })
        #expect(letter["to"] as? [String] == ["a@there", "b@there"])
        #expect((letter["text"] as? String)?.contains("Məsul şəxs") == true)
        let hook = try #require(rows.first { $0["path"] as? String == "/hook" })
        #expect((hook["headers"] as? [String: String])?["authorization"] == "Bearer secret word")
        let body = try #require(
            try JSONSerialization.jsonObject(with: Data((hook["text"] as? String ?? "").utf8)) as? [String: Any])
        #expect(body["event"] as? String == "raised" && body["host"] as? String == "here")
        #expect(body["kind"] as? String == "failed" && body["subject"] as? String == "often")

        try FileManager.default.moveItem(at: desk.world.url("gone"), to: desk.world.url("tree"))
        try desk.wait("a run that passes") { try desk.ask("run", "often").status == 0 }
        try desk.wait("the end of the alarm") { text("told-failed-cleared")?.contains("SONA ÇATIB") == true }

        let tested = try desk.ask("alarms", "test", "--json")
        #expect(tested.status == 1, "\(tested.errorText)")
        let channels = try World.object(tested)["channels"] as? [[String: Any]] ?? []
        #expect(channels.count == 5)
        #expect(channels.filter { $0["failure"] != nil }.map { $0["channel"] as? String } == ["down"])
        #expect(try desk.ask("alarms", "test", "nobody").status == 14)
        #expect(try desk.ask("alarms", "--language", "az").status == 0)
    }

    @Test("What could not be delivered is delivered after a restart; an invalid document leaves the one before")
    func restart() throws {
        let desk = try DaemonWorld()
        defer { desk.remove() }
        let program = "[/bin/sh, -c, \"test -e \(desk.world.path("open")) && cat >> \(desk.world.path("told"))\"]"
        try desk.world.write("alarms.yaml", "channels:\n  p: {kind: command, command: \(program)}\n")
        try FileManager.default.moveItem(at: desk.world.url("tree"), to: desk.world.url("gone"))
        let alarms = desk.world.path("alarms.yaml")
        let first = try desk.start(["--alarms", alarms])
        try desk.waitUntilUp()
        let kept = desk.world.url("state/daemon/alarms.json")
        try desk.wait("a notice that waits") {
            ((try? String(contentsOf: kept, encoding: .utf8)) ?? "").contains("\"tries\":1")
        }
        try desk.world.write("alarms.yaml", "channels:\n  p: {kind: command, comand: \(program)}\n")
        #expect(try desk.world.qala("alarms", "validate", "alarms.yaml").status == 78)
        first.send(SIGHUP)
        try desk.wait("the refusal") { try desk.ask("logs").outputText.contains("are not in force") }
        #expect(try String(contentsOf: kept, encoding: .utf8).contains("\"channel\":\"p\""), "it still waits")
        first.send(SIGKILL)
        _ = try first.wait()
        try desk.world.write("alarms.yaml", "channels:\n  p: {kind: command, command: \(program)}\n")
        try desk.world.write("open", "")
        let second = try desk.start(["--alarms", alarms])
        defer { second.send(SIGKILL) }
        try desk.waitUntilUp()
        // It waits for half a minute after the first failure, and for a minute after the second.
        var told = ""
        for _ in 0..<600 where !told.contains("WARNING: the last run failed") {
            usleep(500_000)
            told = (try? String(contentsOf: desk.world.url("told"), encoding: .utf8)) ?? ""
        }
        #expect(told.components(separatedBy: "WARNING: the last run failed").count == 2, "\(told)")
    }
}
