import API
import Foundation
import Glibc
import Operations
import Testing

/// A daemon of root, persons with accounts, and a `qala` that each of those accounts can run.
struct RoleWorld {
    static let archivist: UInt32 = 61_001
    static let auditor: UInt32 = 61_003
    static let former: UInt32 = 61_004
    static let stranger: UInt32 = 61_005

    let desk: DaemonWorld
    private let bin: World
    private let daemon: RunningProcess

    init() throws {
        desk = try DaemonWorld(schedule: nil)
        // Not in memory, from where nothing may be executed on some machines.
        bin = try World()
        // Copied by a process of its own: a descriptor open for writing here could be inherited by what another test starts.
        let copied = try ProcessRunner.run(
            "/bin/cp", [try #require(qalaBinary), bin.path("qala")], environment: [:], in: bin.folder)
        #expect(copied.status == 0)
        chmod(bin.folder.path, 0o755)
        chmod(bin.path("qala"), 0o755)
        chmod(desk.world.folder.path, 0o755)
        let file = "policies/people.yaml"
        let text = try String(contentsOf: desk.world.url(file), encoding: .utf8)
        try desk.world.write(
            file,
            text.replacingOccurrences(of: "    # uid: 1001\n", with: "    uid: \(Self.archivist)\n")
                .replacingOccurrences(
                    of: "    email: security@example.az\n",
                    with: "    email: security@example.az\n    uid: \(Self.auditor)\n")
                + "\n  former:\n    name: Former Archivist\n    uid: \(Self.former)\n    until: 2020-12-31\n")
        daemon = try desk.start()
        try desk.waitUntilUp()
        // What the group does where it is installed.
        chmod(desk.world.path("socket"), 0o666)
    }

    var program: String { bin.path("qala") }

    /// Nothing answers at the socket afterwards, which stays.
    func kill() throws {
        daemon.send(SIGKILL)
        _ = try daemon.wait()
    }

    func remove() {
        daemon.send(SIGKILL)
        bin.remove()
        desk.remove()
    }

    func run(_ account: UInt32, _ program: String, _ arguments: [String]) throws -> Finished {
        try ProcessRunner.run(
            "/usr/bin/setpriv",
            ["--reuid=\(account)", "--regid=\(account)", "--clear-groups", program] + arguments,
            environment: [
                "HOME": bin.folder.path, "PATH": "/usr/bin:/bin", "QALA_SOCKET": desk.world.path("socket"),
                "QALA_STATE": desk.world.path("state"), "QALA_VAULT": desk.world.path("vault"),
                "SWIFT_BACKTRACE": "enable=no",
            ], in: bin.folder)
    }

    func qala(_ account: UInt32, _ arguments: String...) throws -> Finished {
        try run(account, program, arguments)
    }

    /// The HTTP status of an answer.
    func http(_ account: UInt32, _ method: String, _ path: String) throws -> String {
        try run(
            account, "/usr/bin/curl",
            [
                "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--unix-socket",
                desk.world.path("socket"), "http://qala\(path)",
            ]
        ).outputText
    }
}

@Suite("Roles at the daemon's socket", .serialized, .enabled(if: qalaBinary != nil && geteuid() == 0))
struct RoleTests {
    @Test("The archivist has runs made, an auditor looks, and who left or is not known is refused")
    func roles() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        let run = try World.object(try world.qala(RoleWorld.archivist, "run", "often", "--json"))["run"]
        #expect((run as? [String: Any])?["requestedBy"] as? String == "uid \(RoleWorld.archivist)")
        for words in [["status"], ["jobs"], ["logs"], ["alarms"]] {
            for account in [RoleWorld.archivist, RoleWorld.auditor] {
                let shown = try world.qala(account, words[0])
                #expect(shown.status == 0, "\(account) \(words): \(shown.errorText)")
            }
            for account in [RoleWorld.former, RoleWorld.stranger] {
                #expect(try world.qala(account, words[0]).status == 77, "\(account) \(words)")
            }
        }
        #expect(try world.qala(RoleWorld.archivist, "pause").status == 0)
        #expect(try world.qala(RoleWorld.archivist, "resume").status == 0)

        let refused = try world.qala(RoleWorld.auditor, "run", "often")
        #expect(refused.status == 77 && refused.errorText.contains("security-officer"), "\(refused.errorText)")
        #expect(try world.qala(RoleWorld.auditor, "pause").status == 77)
        #expect(try world.qala(RoleWorld.auditor, "cancel", "2000").status == 77, "before it is looked for")
        #expect(try world.qala(RoleWorld.archivist, "cancel", "2000").status == 14)
        #expect(try world.qala(RoleWorld.former, "status").errorText.contains("not in office"))
        #expect(try world.qala(RoleWorld.stranger, "status").errorText.contains("does not know the account"))
        let paused = try world.desk.json("status")["isPaused"] as? Bool
        #expect(paused == false)
    }

    @Test("Only an administrator has the policies read again; health is for everybody, and refusals are recorded")
    func rights() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        #expect(try world.http(RoleWorld.archivist, "POST", "/v1/reload") == "403")
        #expect(try world.http(0, "POST", "/v1/reload") == "200")
        #expect(try world.http(RoleWorld.stranger, "GET", "/healthz") == "200")
        #expect(try world.http(RoleWorld.stranger, "GET", "/v1/status") == "403")
        #expect(try world.http(RoleWorld.auditor, "GET", "/v1/status") == "200")
        for _ in 0..<5 { #expect(try world.http(RoleWorld.auditor, "POST", "/v1/pause") == "403") }
        let shown = try world.desk.world.qala("audit", "show", "--operation", "daemon.ask", "--json")
        let entries = try World.object(shown)["entries"] as? [[String: Any]] ?? []
        #expect(entries.allSatisfy { $0["outcome"] as? String == "denied" })
        let subjects = entries.compactMap { $0["subject"] as? String }
        #expect(subjects.contains("POST /v1/reload") && subjects.contains("GET /v1/status"), "\(subjects)")
        #expect((1...2).contains(subjects.count { $0 == "POST /v1/pause" }), "once a minute: \(subjects)")
        #expect(entries.contains { ($0["actor"] as? String)?.hasPrefix("user:\(RoleWorld.auditor)/") == true })
    }

    @Test("The archivist says something about a problem, and an auditor does not")
    func remarks() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        let files = FileManager.default
        try files.moveItem(at: world.desk.world.url("tree"), to: world.desk.world.url("elsewhere"))
        #expect(try world.qala(RoleWorld.archivist, "run", "often").status == 1)
        let words = ["register", "problems", "remark", "1", "--text", "the disk was replaced"]
        #expect(try world.run(RoleWorld.auditor, world.program, words).status == 77)
        let said = try world.run(RoleWorld.archivist, world.program, words)
        #expect(said.status == 0 && said.errors.isEmpty, "\(said.errorText)")
        let shown = try world.qala(RoleWorld.auditor, "register", "problems", "show", "1")
        #expect(shown.outputText.contains("uid \(RoleWorld.archivist): the disk"), "\(shown.outputText)")
    }

    @Test("A register of persons that is applied holds at once, and its proposal does not")
    func change() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        let file = "policies/people.yaml"
        let text = try String(contentsOf: world.desk.world.url(file), encoding: .utf8)
        try world.desk.world.write(
            file, text.replacingOccurrences(of: "    uid: \(RoleWorld.auditor)\n", with: ""))
        #expect(try world.qala(RoleWorld.auditor, "status").status == 0)
        let applied = try world.desk.ask(
            "policy", "apply", "policies", "--author", "archivist", "--reason", "the officer left")
        #expect(applied.status == 0, "\(applied.errorText)")
        #expect(try world.qala(RoleWorld.auditor, "status").status == 77)
    }
}

@Suite("Reading through the daemon", .serialized, .enabled(if: qalaBinary != nil && geteuid() == 0))
struct ReadingThroughDaemonTests {
    @Test("An auditor reads every register and the audit log as root does, and each reading is recorded")
    func registers() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        for _ in 0..<3 { #expect(try world.desk.ask("run", "often").status == 0) }
        #expect(
            try world.desk.world.qala(
                "hold", "add", "latest", "--reason", "case 7", "--key-file", "kit.txt"
            ).status == 0)
        for name in ["runs", "problems", "holds", "media", "policy-changes"] {
            let seen = try world.qala(RoleWorld.auditor, "register", name, "list", "--json")
            // Without a passphrase, which would open the reason of a hold.
            let root = try world.desk.world.qala(
                ["register", name, "list", "--json"], without: ["QALA_PASSPHRASE_FILE"])
            #expect(seen.status == 0 && seen.errors.isEmpty, "\(name): \(seen.errorText)")
            #expect(seen.outputText == root.outputText, "\(name)")
            let exported = try world.qala(RoleWorld.auditor, "register", name, "export", "--format", "csv")
            let whole = try world.desk.world.qala(
                ["register", name, "export", "--format", "csv"], without: ["QALA_PASSPHRASE_FILE"])
            #expect(exported.status == 0 && exported.output == whole.output, "\(name): \(exported.errorText)")
        }
        let held = try world.qala(RoleWorld.auditor, "register", "holds", "list")
        #expect(held.status == 0 && !held.outputText.contains("case 7"), "the reason is sealed")
        let runs = try world.qala(
            RoleWorld.auditor, "register", "runs", "list", "--kind", "done", "--limit", "2", "--json")
        let list = try World.object(runs)
        let rows = list["rows"] as? [[String: Any]] ?? []
        #expect(rows.count == 2 && list["more"] as? Int == 1)
        let id = try #require(rows.first?["id"] as? String)
        #expect(try world.qala(RoleWorld.auditor, "register", "runs", "show", id).outputText.contains(id))
        for nothing in ["x/../y?z", "%41", "ə &=#"] {
            #expect(try world.qala(RoleWorld.auditor, "register", "runs", "show", nothing).status == 14, "\(nothing)")
        }
        let odd = try world.qala(RoleWorld.auditor, "register", "runs", "list", "--kind", "a&b=c %41 ə", "--json")
        #expect(try World.object(odd)["more"] as? Int == 0)

        let shown = try world.qala(
            RoleWorld.auditor, "audit", "show", "--actor", "user:\(RoleWorld.auditor)/", "--json")
        #expect(shown.status == 0 && shown.errors.isEmpty, "\(shown.errorText)")
        let entries = try World.object(shown)["entries"] as? [[String: Any]] ?? []
        let operations = entries.compactMap { $0["operation"] as? String }
        #expect(operations.filter { $0 == "register.list" }.count >= 12 && operations.contains("register.show"))
        #expect(
            entries.contains { entry in
                let details = entry["details"] as? [String: String]
                return entry["outcome"] as? String == "failed" && details?["row"] == "x/../y?z"
            }, "what is asked for arrives as it was asked")
        let last = try world.qala(RoleWorld.auditor, "audit", "show", "--last", "2", "--json")
        let newest = try World.object(last)["entries"] as? [[String: Any]] ?? []
        #expect(newest.count == 2)
    }

    @Test("Who has no role reads nothing, and without a daemon the state stays closed")
    func refused() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        for account in [RoleWorld.former, RoleWorld.stranger] {
            for words in [["register", "runs", "list"], ["audit", "show"]] {
                let asked = try world.run(account, world.program, words)
                #expect(asked.status == 77 && asked.output.isEmpty, "\(account) \(words): \(asked.outputText)")
                #expect(!asked.errorText.contains("audit log: "), "the daemon records it: \(asked.errorText)")
            }
        }
        #expect(try world.http(RoleWorld.auditor, "GET", "/v1/registers/runs?limit=x") == "400")
        #expect(try world.http(RoleWorld.auditor, "GET", "/v1/registers/runs?since=soon") == "400")
        #expect(try world.http(RoleWorld.auditor, "GET", "/v1/registers/secrets") == "404")
        #expect(try world.http(RoleWorld.auditor, "GET", "/v1/audit?last=1000000") == "400")
        #expect(try world.http(RoleWorld.stranger, "GET", "/v1/registers/runs?limit=x") == "403")
        try world.kill()
        #expect(try world.qala(RoleWorld.auditor, "register", "runs", "list").status == 77)
        let socket = world.desk.world.path("socket")
        #expect(try world.qala(RoleWorld.auditor, "register", "runs", "list", "--socket", socket).status == 69)
    }

    @Test("Root reads its own files beside a daemon, and asks it where a socket is named")
    func ownFiles() throws {
        let world = try RoleWorld()
        defer { world.remove() }
        let socket = world.desk.world.path("socket")
        #expect(try world.desk.ask("run", "often").status == 0)
        let own = try world.desk.world.qala("register", "runs", "list", "--json")
        let asked = try world.desk.world.qala("register", "runs", "list", "--json", "--socket", socket)
        #expect(own.status == 0 && own.outputText == asked.outputText, "\(asked.errorText)")
        let shown = try world.desk.world.qala("audit", "show", "--operation", "register.list", "--json")
        let entries = try World.object(shown)["entries"] as? [[String: Any]] ?? []
        // What a command recorded itself came by the spool.
        #expect(Set(entries.map { ($0["via"] as? String)?.isEmpty ?? true }) == [true, false], "\(shown.outputText)")
    }
}

@Suite("Parts of a path over the socket")
struct PathPartTests {
    @Test("What is put into a path comes out as it was, and what nobody put there stays as it is")
    func parts() {
        for text in ["a", "x/../y?z", "%41", "ə &=#", "50% 100", "\u{0}\n"] {
            let path = ControlPath.registerRow(.runs, text)
            let part = path.split(separator: "/").last.map { String($0) } ?? ""
            #expect(part.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !part.contains("?"), "\(path)")
            #expect(ControlPath.decoded(part) == text)
        }
        for text in ["%", "%4", "%ZZ", "%+1", "%FF", "ə"] { #expect(ControlPath.decoded(text) == text) }
        #expect(ControlPath.query([("a", nil), ("b", "x&y"), ("c", "")]) == "?b=x%26y&c=")
        #expect(ControlPath.query([("a", nil)]).isEmpty)
    }
}
