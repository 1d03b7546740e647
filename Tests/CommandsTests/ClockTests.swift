import Foundation
import Glibc
import Testing

@testable import Commands

/// Vault time confirmed by two persons, by the real binary.
@Suite("Vault time after a jump of the clock", .serialized, .enabled(if: qalaBinary != nil))
struct ClockTests {
    /// Policies in force with three persons who have keys, and vault time that is kept.
    private func world() throws -> World {
        let world = try World(inMemory: true)
        var people = "people:\n"
        for (id, until) in [("archivist", nil), ("deputy-archivist", nil), ("former", "2025-12-31")] {
            let key = try World.object(try world.qala("policy", "key", "--to", "\(id).key", "--json"))
            people += "  \(id):\n    name: Person \(id)\n    from: 2025-01-01\n"
            people += "    public-key: \(try #require(key["publicKey"] as? String))\n"
            if let until { people += "    until: \(until)\n" }
        }
        try world.write("policies/people.yaml", people)
        let policy = Repository.root.appending(path: "Policies/config.yaml")
        try world.write("policies/config.yaml", try String(contentsOf: policy, encoding: .utf8))
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        let applied = try world.qala(
            ["policy", "apply", "policies", "--author", "archivist", "--reason", "start"],
            more: ["QALA_SOCKET": world.path("no-daemon")])
        #expect(applied.status == 0, "\(applied.errorText)")
        return world
    }

    /// As after ten years in which the machine was off.
    private func freeze(_ world: World) throws {
        let data = try Data(contentsOf: world.url("state/clock.json"))
        var clock = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        clock["bootID"] = "another"
        clock["wall"] = try #require(clock["wall"] as? Int) - 3650 * 86_400
        try JSONSerialization.data(withJSONObject: clock).write(to: world.url("state/clock.json"))
    }

    private func ask(
        _ world: World, _ file: String, by person: String = "archivist", key: String? = nil, _ more: String...
    ) throws -> Finished {
        try world.qala(
            [
                "clock", "confirm", "--request", file, "--person", person, "--signing-key", "\(key ?? person).key",
                "--reason", "moved", "--json",
            ] + more)
    }

    private func approve(
        _ world: World, _ file: String, by person: String = "deputy-archivist", key: String? = nil, _ more: String...
    ) throws -> Finished {
        try world.qala(
            [
                "clock", "confirm", "--approve", file, "--person", person, "--signing-key", "\(key ?? person).key",
                "--json",
            ] + more)
    }

    private func isTrusted(_ world: World) throws -> Bool? {
        try World.object(try world.qala("clock", "show", "--json"))["isTrusted"] as? Bool
    }

    @Test("It is frozen until two persons confirm it, each with the own key, once")
    func wholeWay() throws {
        let world = try world()
        defer { world.remove() }
        #expect(try world.qala("clock", "show").outputText.contains("No vault time"))
        #expect(try ask(world, "none.json").status == 14)
        #expect(try world.qala("tiers").status == 0)
        #expect(try isTrusted(world) == true)
        let early = try ask(world, "early.json")
        #expect(early.status == 64 && early.errorText.contains("nothing to confirm"), "\(early.errorText)")
        try freeze(world)
        #expect(try isTrusted(world) == false)

        #expect(try ask(world, "r.json", by: "nobody", key: "archivist").status == 77)
        #expect(try ask(world, "r.json", by: "former").status == 77, "not in office")
        #expect(try ask(world, "r.json", key: "deputy-archivist").status == 77, "another person's key")
        #expect(!FileManager.default.fileExists(atPath: world.path("r.json")))
        let asked = try World.object(try ask(world, "r.json"))
        #expect(asked["outcome"] as? String == "requested" && asked["author"] as? String == "archivist")
        #expect(try isTrusted(world) == false)
        #expect(try ask(world, "r.json").status == 1, "never in place of another file")

        let own = try approve(world, "r.json", by: "archivist")
        #expect(own.status == 77 && own.errorText.contains("cannot approve it"), "\(own.errorText)")
        #expect(try approve(world, "r.json", by: "former").status == 77)
        #expect(try approve(world, "r.json", key: "archivist").status == 77, "one key, two names")
        let dry = try world.qala(
            "clock", "confirm", "--approve", "r.json", "--person", "deputy-archivist", "--dry-run", "--language", "az")
        #expect(dry.status == 0 && dry.outputText.contains("Sınaq"), "\(dry.errorText)")
        #expect(try isTrusted(world) == false)

        let done = try World.object(try approve(world, "r.json"))
        #expect(done["outcome"] as? String == "confirmed" && done["approver"] as? String == "deputy-archivist")
        #expect(try isTrusted(world) == true)
        #expect(try World.object(try world.qala("tiers", "--json"))["isTimeTrusted"] as? Bool == true)
        let again = try approve(world, "r.json")
        #expect(again.status == 77 && again.errorText.contains("nothing to confirm"), "\(again.errorText)")
        let acts = try World.object(try world.qala("audit", "show", "--operation", "clock.confirm", "--json"))
        let entries = try #require(acts["entries"] as? [[String: Any]])
        #expect(
            entries.contains { entry in
                let details = entry["details"] as? [String: String] ?? [:]
                return entry["outcome"] as? String == "done" && details["approver"] == "deputy-archivist"
                    && details["author"] == "archivist" && details["request-digest"] == done["request"] as? String
                    && details["approver-signature"]?.count == 128
            })
    }

    @Test("A request of an earlier freeze, or one that was changed, is refused; a proposed time is taken over")
    func stale() throws {
        let world = try world()
        defer { world.remove() }
        #expect(try world.qala("tiers").status == 0)
        try freeze(world)
        #expect(try ask(world, "old.json").status == 0)
        let text = try String(contentsOf: world.url("old.json"), encoding: .utf8)
        try world.write("forged.json", text.replacingOccurrences(of: "moved", with: "other"))
        #expect(try approve(world, "forged.json").status == 77)
        try world.write("broken.json", text.replacingOccurrences(of: "\"clock\" : ", with: "\"clok\" : "))
        #expect(try approve(world, "broken.json").status == 64)
        // Another vault time in the same boot: another freeze.
        let data = try Data(contentsOf: world.url("state/clock.json"))
        var clock = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        clock["seconds"] = try #require(clock["seconds"] as? Int) + 5
        try JSONSerialization.data(withJSONObject: clock).write(to: world.url("state/clock.json"))
        let refused = try approve(world, "old.json")
        #expect(refused.status == 77 && refused.errorText.contains("another one"), "\(refused.errorText)")
        #expect(try isTrusted(world) == false)

        let time = "2099-01-01T00:00:00Z"
        #expect(try ask(world, "new.json", by: "archivist", key: nil, "--time", "2099-13-01").status == 64)
        #expect(try ask(world, "new.json", by: "archivist", key: nil, "--time", time).status == 0)
        let done = try World.object(try approve(world, "new.json"))
        #expect((done["vaultTime"] as? String)?.hasPrefix("2099-01-01T00:0") == true)
        #expect(try approve(world, "missing.json").status == 14)
        #expect(try world.qala("clock", "confirm", "--approve", "new.json", "--person", "x").status == 64)
    }

    @Test("A daemon that runs takes the confirmed time on")
    func daemon() throws {
        let world = try world()
        defer { world.remove() }
        #expect(try world.qala("tiers").status == 0)
        try freeze(world)
        #expect(try ask(world, "r.json").status == 0)
        #expect(try approve(world, "r.json").status == 0)
        let before = try Data(contentsOf: world.url("state/clock.json"))
        let kept = try #require(try JSONSerialization.jsonObject(with: before) as? [String: Any])
        // What it writes with its first turn, in a later second.
        usleep(1_100_000)
        let binary = URL(filePath: try #require(qalaBinary)).deletingLastPathComponent().appending(path: "qalad").path
        let daemon = try ProcessRunner.start(
            binary,
            [
                "--policies", world.path("policies"), "--state", world.path("state"), "--vault", world.path("vault"),
                "--socket", world.path("socket"), "--reserve", "0", "--no-discovery",
            ], environment: ["PATH": "/usr/bin:/bin", "HOME": world.folder.path], in: world.folder)
        defer { daemon.send(SIGKILL) }
        for _ in 0..<600 {
            if try Data(contentsOf: world.url("state/clock.json")) != before { break }
            usleep(100_000)
        }
        let after = try Data(contentsOf: world.url("state/clock.json"))
        let taken = try #require(try JSONSerialization.jsonObject(with: after) as? [String: Any])
        #expect(after != before, "the daemon advances it")
        #expect(taken["isTrusted"] as? Bool == true)
        #expect((taken["seconds"] as? Int ?? 0) >= (kept["seconds"] as? Int ?? .max))
    }
}

@Suite("Texts about vault time")
struct ClockTextTests {
    @Test("Both languages of a text take the same arguments, and neither is empty", arguments: ClockText.allCases)
    func catalogue(text: ClockText) {
        let (en, az) = text.both
        #expect(!en.isEmpty && !az.isEmpty)
        for mark in ["%1", "%2", "%3"] { #expect(en.contains(mark) == az.contains(mark)) }
    }
}
