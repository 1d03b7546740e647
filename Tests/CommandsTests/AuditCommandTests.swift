import Foundation
import Glibc
import Testing

/// What the audit log of a world says, as `qala audit` shows it.
private struct Journal {
    let world: World
    var state: String { world.path("state") }

    /// With a vault, a tree and one archive of it; `kit.txt` opens the vault.
    init() throws {
        world = try World(inMemory: true)
        try world.write("tree/alpha.txt", "one\n")
        try world.write("tree/beta.txt", "two\n")
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
    }

    func entries(_ more: String...) throws -> [[String: Any]] {
        let shown = try World.object(try world.qala(["audit", "show", "--json"] + more))
        return try #require(shown["entries"] as? [[String: Any]])
    }

    /// `operation outcome` of all entries but those about the log itself.
    func acts() throws -> [String] {
        try entries().map { "\($0["operation"] ?? "") \($0["outcome"] ?? "")" }.filter { !$0.hasPrefix("audit.") }
    }

    func spooled() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: state + "/audit/spool")) ?? []
        return names.filter { $0.hasSuffix(".jsonl") }
    }

    static func details(_ entry: [String: Any]) -> [String: String] { entry["details"] as? [String: String] ?? [:] }

    /// Verifies with another state directory.
    func verify(state: String, _ more: String...) throws -> (status: Int32, report: [String: Any]) {
        let finished = try world.qala(["audit", "verify", "--json"] + more, more: ["QALA_STATE": state])
        return (finished.status, try World.object(finished))
    }

    /// The number of the first entry of each finding.
    static func found(_ report: [String: Any]) -> [Int] {
        (report["findings"] as? [[String: Any]] ?? []).compactMap { $0["first"] as? Int }
    }
}

@Suite("The audit log of commands", .enabled(if: qalaBinary != nil))
struct AuditCommandTests {
    @Test("Each command leaves its entry: a read one, what reveals or changes something one before and one after")
    func everyCommand() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        let file = "latest:\(world.path("tree/alpha.txt"))"
        let commands: [([String], [String])] = [
            (["archives"], ["archive.list done"]),
            (["ls", "latest"] + World.byKit, ["archive.browse done"]),
            (["cat", file] + World.byKit, ["archive.read begun", "archive.read done"]),
            (["find", "alpha"], ["archive.search done"]),
            (["history", "tree/alpha.txt"], ["archive.history done"]),
            (["verify"], ["vault.verify done"]),
            (["vault", "stats"], ["vault.stats done"]),
            (["key", "list"], ["key.list done"]),
            (["key", "test"] + World.byKit, ["key.test begun", "key.test done"]),
            (["hold", "list"], ["hold.list done"]),
            (["archive", "tree", "--dry-run"], ["archive.create done"]),
            (["ls", "ffff0000"] + World.byKit, ["archive.browse failed"]),
        ]
        var expected = ["vault.create done", "archive.create begun", "archive.create done"]
        for (command, entries) in commands {
            let finished = try world.qala(command)
            #expect(!finished.errorText.contains("not in the audit log"), "\(command): \(finished.errorText)")
            expected += entries
        }
        #expect(try journal.acts() == expected)
        // What touches no vault leaves nothing, nor does what was asked wrongly.
        for command in [["--help"], ["manual"], ["ls", "--help"], ["policy", "validate", "."], ["find", ""]] {
            _ = try world.qala(command)
        }
        #expect(try journal.acts() == expected)
        let entries = try journal.entries()
        #expect(entries.compactMap { $0["number"] as? Int } == Array(0..<entries.count))
        #expect(entries.allSatisfy { ($0["actor"] as? String)?.hasPrefix("user:\(getuid())/") == true })
        let id = try #require(try world.archives().first)
        let read = try #require(entries.last { $0["operation"] as? String == "archive.read" })
        #expect(read["subject"] as? String == file)
        #expect(Journal.details(read)["archives"] == id && Journal.details(read)["bytes"] == "4")
        let search = try #require(entries.first { $0["operation"] as? String == "archive.search" })
        #expect(search["subject"] as? String == "alpha" && Journal.details(search)["count"] == "1")
        #expect(Journal.details(search)["vault"] == world.path("vault"))
    }

    @Test("A restore leaves two entries: that it began, and how it ended")
    func restore() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        let restored = try world.qala(["restore", "latest", "--to", "back"] + World.byKit)
        #expect(try journal.acts().suffix(2).first == "archive.restore begun")
        let last = try #require(try journal.entries("--operation", "archive.restore").last)
        #expect(last["outcome"] as? String == (restored.status == 0 ? "done" : "partial"))
        #expect(Journal.details(last)["archives"] == (try world.archives().first))
        #expect(Journal.details(last)["files"] == "2" && Journal.details(last)["target"] == world.path("back"))
    }

    @Test("Filters choose entries, and no secret and no sealed reason is among them")
    func filters() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        _ = try world.qala(["hold", "add", "latest", "--reason", "a very private reason"] + World.byKit)
        let all = try journal.entries()
        #expect(all.contains { $0["operation"] as? String == "hold.add" && $0["outcome"] as? String != "begun" })
        let text = try world.qala("audit", "show").outputText
        #expect(!text.contains("private reason") && !text.contains("correct horse"))
        #expect(try journal.entries("--from", "1").first?["number"] as? Int == 1)
        #expect(try journal.entries("--last", "2").count == 2)
        #expect(try journal.entries("--operation", "archive.", "--last", "1").first?["outcome"] as? String == "done")
        #expect(try journal.entries("--actor", "nobody-of-that-name").isEmpty)
        #expect(try journal.entries("--since", "2100-01-01").isEmpty)
        #expect(try journal.entries("--since", "2020-01-01").count >= all.count)
        #expect(try world.qala("audit", "show", "--since", "yesterday").status == 64)
    }

    @Test("What a killed command recorded is taken over")
    func killed() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        for number in 0..<3000 { try world.write("tree/many/\(number)", "content \(number)\n") }
        #expect(try world.qala("archive", "tree").status == 0)
        _ = try journal.entries()
        var wasCaught = false
        for attempt in 0..<10 where !wasCaught {
            let before = try journal.entries("--operation", "archive.restore").count
            let running = try world.start(["restore", "latest", "--to", "back-\(attempt)"] + World.byKit)
            // What it writes comes after its first entry.
            var turns = 0
            while turns < 100_000, access(world.path("back-\(attempt)"), F_OK) != 0 {
                usleep(200)
                turns += 1
            }
            running.send(SIGKILL)
            let status = try running.wait().status
            let entries = try journal.entries("--operation", "archive.restore").dropFirst(before)
            wasCaught = status == 128 + SIGKILL && entries.count == 1
            guard wasCaught, let entry = entries.first else { continue }
            #expect(entry["outcome"] as? String == "begun")
            #expect((entry["via"] as? String)?.hasPrefix("spool/") == true)
        }
        #expect(wasCaught, "no restore was killed between its two entries")
        #expect(try journal.verify(state: journal.state).status == 0)
    }

    @Test("An entry that was altered, dropped, moved or cut off is located, and the status is 13")
    func tampering() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        for _ in 0..<3 { #expect(try world.qala("archives").status == 0) }
        let count = try journal.entries().count
        let segment = "audit/log/entries/00000000000000000000.jsonl"
        let text = try String(contentsOfFile: "\(journal.state)/\(segment)", encoding: .utf8)
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.count == count)
        var altered = lines
        altered[1] = altered[1].replacingOccurrences(of: "archive.create", with: "archive.delete")
        var dropped = lines
        dropped.remove(at: 2)
        var moved = lines
        moved.swapAt(1, 2)
        let cases: [(String, [String], Set<Int>)] = [
            ("altered", altered, [1]), ("dropped", dropped, [2]), ("moved", moved, [1, 2]),
            ("cut", Array(lines.dropLast()), [count - 1]),
        ]
        for (name, changed, numbers) in cases {
            #expect(changed != lines)
            let state = world.path("state-\(name)")
            try FileManager.default.copyItem(atPath: journal.state, toPath: state)
            try world.write("state-\(name)/\(segment)", changed.map { $0 + "\n" }.joined())
            let (status, report) = try journal.verify(state: state)
            let found = Set(Journal.found(report))
            #expect(status == 13 && !found.isEmpty && found.isSubset(of: numbers), "\(name): \(report)")
            let shown = try world.qala(["audit", "verify", "--language", "az"], more: ["QALA_STATE": state])
            #expect(shown.status == 13 && shown.outputText.contains("qeyd"), "\(shown.outputText)")
        }
        #expect(try journal.verify(state: journal.state).status == 0)
    }

    @Test("A log that was put back, or begun anew, is told by a checkpoint that was kept elsewhere")
    func rollback() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        _ = try journal.entries()
        try FileManager.default.copyItem(atPath: journal.state, toPath: world.path("older"))
        for _ in 0..<3 { _ = try world.qala("archives") }
        let note = try world.qala("audit", "checkpoint")
        #expect(note.status == 0 && note.outputText.contains("\n\n— qala/"))
        try world.write("kept.txt", note.outputText)
        let (status, report) = try journal.verify(state: journal.state, "--checkpoint", "kept.txt")
        #expect(status == 0 && report["comparedWith"] as? Int != nil)
        #expect(try journal.verify(state: world.path("older"), "--checkpoint", "kept.txt").status == 13)
        try FileManager.default.removeItem(atPath: journal.state + "/audit/log")
        #expect(try world.qala("audit", "verify").status == 13, "the log alone is missed")
        try FileManager.default.removeItem(atPath: journal.state + "/audit")
        _ = try world.qala("archives")
        #expect(try world.qala("audit", "verify").status == 0)
        #expect(try world.qala("audit", "verify", "--checkpoint", "kept.txt").status == 13)
    }

    private static func python(_ arguments: [String], in folder: URL) throws -> Finished {
        try ProcessRunner.run(
            Repository.root.appending(path: "scripts/python").path, arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": folder.path], in: folder)
    }

    @Test("An exported pack and a proof are checked by others; altered ones and those of other keys are refused")
    func packs() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        let early = try world.qala("audit", "checkpoint").outputText
        try world.write("early.txt", early)
        _ = try world.qala("archives")
        let told = try World.object(try world.qala("audit", "key", "--json"))
        let key = try #require(told["key"] as? String)
        let made = try world.qala(
            "audit", "export", "--to", "audit.pack", "--from", "0", "--since-checkpoint", "early.txt")
        #expect(made.status == 0, "\(made.errorText)")
        let good = try world.qala(
            "audit", "verify", "--pack", "audit.pack", "--trust", key, "--checkpoint", "early.txt")
        #expect(good.status == 0, "\(good.errorText)")
        if try Self.python(["-c", "import cryptography"], in: world.folder).status == 0 {
            let script = Repository.root.appending(path: "scripts/audit-check").path
            let checked = try Self.python(
                [script, "audit.pack", "--key", key, "--since", "early.txt"], in: world.folder)
            #expect(checked.status == 0, "\(checked.outputText)\(checked.errorText)")
        }
        let other = key.replacingOccurrences(of: "qala/", with: "other/")
        #expect(try world.qala("audit", "verify", "--pack", "audit.pack", "--trust", other).status == 64)
        let pack = try String(contentsOf: world.url("audit.pack"), encoding: .utf8)
        try world.write("bad.pack", pack.replacingOccurrences(of: "vault.create", with: "vault.delete"))
        #expect(try world.qala("audit", "verify", "--pack", "bad.pack", "--trust", key).status == 13)
        let proof = try World.object(try world.qala("audit", "prove", "1"))
        #expect(proof["number"] as? Int == 1 && proof["key"] as? String == key)
        #expect((proof["entry"] as? String)?.contains("archive.create") == true)
        let origin = try #require(told["origin"] as? String)
        let size = try #require(proof["size"] as? Int)
        #expect((proof["checkpoint"] as? String)?.hasPrefix("\(origin)\n\(size)\n") == true)
        #expect(try world.qala("audit", "prove", "100000").status == 14)
    }

    @Test("A state that cannot be written keeps nobody from reading, which is said; what changes keys is refused")
    func unwritable() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        // No account can make a directory there.
        let nowhere = ["QALA_STATE": "/sys/qala-test"]
        let read = try world.qala(["archives"], more: nowhere)
        #expect(read.status == 0 && read.errorText.contains("this act is not in the audit log"), "\(read.errorText)")
        let content = try world.qala(["cat", "latest:\(world.path("tree/alpha.txt"))"] + World.byKit, more: nowhere)
        #expect(content.status == 0 && content.outputText == "one\n", "\(content.errorText)")
        #expect(content.errorText.components(separatedBy: "not in the audit log").count == 2, "said once")
        let keys = try world.qala("key", "list").outputText
        let changed = try world.qala(["key", "add", "file", "--to", "new.key"] + World.byKit, more: nowhere)
        #expect(changed.status != 0 && changed.errorText.contains("audit log"), "\(changed.errorText)")
        #expect(try world.qala("key", "list").outputText == keys)
        #expect(!FileManager.default.fileExists(atPath: world.path("new.key")))
    }

    @Test("An identity that is lost is made again from log and key; where the key is lost too nothing is begun anew")
    func lostIdentity() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        let count = try journal.entries().count
        let (key, identity) = ("\(journal.state)/audit/key", "\(journal.state)/audit/identity.json")
        try FileManager.default.removeItem(atPath: identity)
        #expect(try journal.entries().count > count)
        let kept = try Data(contentsOf: URL(filePath: key))
        for file in [key, identity] { try FileManager.default.removeItem(atPath: file) }
        for command in [["show"], ["verify"], ["key"], ["key", "--renew"]] {
            let refused = try world.qala(["audit"] + command)
            #expect(refused.status == 13 && refused.errorText.contains("identity.json"), "\(refused.errorText)")
        }
        for file in [key, identity] { #expect(!FileManager.default.fileExists(atPath: file)) }
        try kept.write(to: URL(filePath: key))
        #expect(try journal.verify(state: journal.state).status == 0)
        let outcomes = try journal.entries("--operation", "audit.verify").compactMap { $0["outcome"] as? String }
        #expect(outcomes == ["failed", "done"], "what waited is there")
    }

    @Test("A run of a policy names the vault of the policy, and a vault that was made is told without an answer too")
    func vaults() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        let policy = """
            policy: web
            component: config
            responsible: Aysel Quliyeva
            vault: \(world.path("vault"))
            sources:
              - files: \(world.path("tree"))
            """
        try world.write("web.yaml", policy)
        let elsewhere = ["QALA_VAULT": world.path("other")]
        #expect(try world.qala(["run", "web.yaml"], more: elsewhere).status == 0)
        let all = try journal.entries("--operation", "archive.create")
        let runs = all.filter { $0["subject"] as? String == "web.yaml" }
        #expect(runs.map { Journal.details($0)["vault"] } == [nil, world.path("vault")])
        let made = try ProcessRunner.run(
            "/bin/sh", ["-c", "\"$0\" init --write-only-host --kit other.txt > /dev/full", try #require(qalaBinary)],
            environment: elsewhere.merging(["QALA_STATE": journal.state, "HOME": world.folder.path]) { $1 },
            in: world.folder)
        #expect(made.status == 1 && FileManager.default.fileExists(atPath: world.path("other/vault.json")))
        #expect(try journal.entries("--operation", "vault.create").count == 2)
    }

    @Test("A lost key is named, acts wait meanwhile, and a new key goes on")
    func lostKey() throws {
        let journal = try Journal()
        let world = journal.world
        defer { world.remove() }
        let old = try #require(try World.object(try world.qala("audit", "key", "--json"))["key"] as? String)
        #expect(try world.qala("audit", "show").status == 0)
        try FileManager.default.removeItem(atPath: journal.state + "/audit/key")
        let listed = try world.qala("archives")
        #expect(listed.status == 0 && listed.errors.isEmpty, "\(listed.errorText)")
        let (status, report) = try journal.verify(state: journal.state)
        #expect(status == 0 && (report["notTakenOver"] as? String)?.contains(old) == true, "\(report)")
        #expect(!journal.spooled().isEmpty)
        let renewed = try World.object(try world.qala("audit", "key", "--renew", "--json"))
        #expect(renewed["key"] as? String != old)
        #expect((renewed["older"] as? [[String: Any]])?.first?["key"] as? String == old)
        let entries = try journal.entries()
        #expect(entries.contains { $0["operation"] as? String == "audit.renew-key" })
        #expect(entries.contains { $0["operation"] as? String == "archive.list" }, "what waited is there")
        let (again, after) = try journal.verify(state: journal.state)
        #expect(again == 0 && !after.keys.contains("notTakenOver"))
    }
}

@Suite("The audit log of the daemon", .serialized, .enabled(if: qalaBinary != nil))
struct DaemonAuditTests {
    @Test("The daemon records its life, its runs and who asked for what, and takes over what commands did beside it")
    func beside() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        let id = try #require((try desk.json("run", "often")["run"] as? [String: Any])?["id"] as? String)
        #expect(try desk.ask("pause").status == 0)
        #expect(try desk.world.qala("archives").status == 0)
        func entries() throws -> [[String: Any]] {
            let shown = try World.object(try desk.world.qala("audit", "show", "--json"))
            return try #require(shown["entries"] as? [[String: Any]])
        }
        func named(_ operation: String) throws -> [[String: Any]] {
            try entries().filter { $0["operation"] as? String == operation }
        }
        try desk.wait("the entry of the command beside") { try !named("archive.list").isEmpty }
        #expect(try desk.world.qala("audit", "verify").status == 0, "beside the daemon")
        #expect(try desk.world.qala("audit", "key", "--renew").status == 11, "the daemon has the log")
        #expect(try named("archive.list").first?["via"] as? String != "")
        #expect(try named("daemon.start").count == 1)
        let enforced = try #require(try named("policy.enforce").first)
        #expect((enforced["details"] as? [String: String])?["policies"] == "often")
        let asked = try #require(try named("run.request").first)
        #expect((asked["actor"] as? String)?.hasPrefix("user:\(getuid())/") == true)
        let runs = try named("archive.create").filter { $0["run"] as? String == id }
        #expect(runs.compactMap { $0["outcome"] as? String } == ["begun", "done"])
        let archive = (runs.last?["details"] as? [String: String])?["archive"]
        #expect(archive == (try desk.world.archives().first))
        #expect(try named("schedule.pause").count == 1)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        let all = try entries()
        #expect(all.contains { $0["operation"] as? String == "daemon.stop" })
        #expect(all.compactMap { $0["number"] as? Int } == Array(0..<all.count))
        #expect(try desk.world.qala("audit", "verify").status == 0)
    }

    @Test("A daemon that is killed loses no entry that it had acknowledged")
    func killed() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        for _ in 0..<3 {
            let daemon = try desk.start()
            try desk.waitUntilUp()
            #expect(try desk.ask("pause").status == 0)
            daemon.send(SIGKILL)
            _ = try daemon.wait()
        }
        let shown = try World.object(try desk.world.qala("audit", "show", "--json", "--operation", "schedule.pause"))
        #expect((shown["entries"] as? [[String: Any]])?.count == 3)
        #expect(try desk.world.qala("audit", "verify").status == 0)
    }
}
