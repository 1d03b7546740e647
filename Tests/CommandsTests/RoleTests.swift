import Foundation
import Glibc
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
        try run(account, bin.path("qala"), arguments)
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
