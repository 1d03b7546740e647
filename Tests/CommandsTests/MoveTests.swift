import Foundation
import Glibc
import Testing

private let killed: Int32 = 128 + SIGKILL

/// `mode: move` by the real binary.
@Suite("Originals removed by the real binary", .serialized, .enabled(if: qalaBinary != nil))
struct MoveTests {
    /// A vault with a policy in force that lets originals go after a second; nothing is archived yet.
    private func world(more: String = "", hasMirror: Bool = false) throws -> World {
        let world = try World(inMemory: true)
        try world.write("policies/people.yaml", "people:\n  archivist: {name: A}\n  deputy-archivist: {name: B}\n")
        let file = Repository.root.appending(path: "Policies/config.yaml")
        var text = try String(contentsOf: file, encoding: .utf8)
        func replace(_ from: String, _ to: String) throws {
            try #require(text.contains(from), "\(from)")
            text = text.replacingOccurrences(of: from, with: to)
        }
        try replace("- files: /etc\n", "\(more)- files: \(world.path("tree"))\n")
        try replace("    one-file-system: true\n", "    one-file-system: true\nmode: move\n")
        if !hasMirror { try replace("  - site: standby\n    role: mirror\n    lag: 1 hour\n", "") }
        try replace("    period: forever\n", "    period: 1 second\n")
        try world.write("policies/config.yaml", text)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        return world
    }

    private func apply(_ world: World) throws {
        let applied = try world.qala(
            ["policy", "apply", "policies", "--author", "archivist", "--reason", "start"],
            more: ["QALA_SOCKET": world.path("no-daemon")])
        #expect(applied.status == 0, "\(applied.errorText)")
    }

    private func archive(_ world: World, status: Int32 = 0) throws -> String {
        let run = try world.qala("run", "policies/config.yaml", "--json")
        #expect(run.status == status, "\(run.errorText)")
        return try #require(try World.object(run)["archive"] as? String)
    }

    private func verify(_ world: World) throws {
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
    }

    private func move(_ world: World, _ more: String..., status: Int32 = 0) throws -> [String: Any] {
        let finished = try world.qala(["move", "config", "--json"] + World.byKit + more)
        #expect(finished.status == status, "\(finished.errorText)\(finished.outputText)")
        return try World.object(finished)
    }

    private func waits(_ report: [String: Any]) -> [String] {
        (report["waits"] as? [[String: Any]] ?? []).compactMap { $0["word"] as? String }
    }

    private func reasons(_ world: World, _ report: [String: Any]) -> [String: String] {
        var found: [String: String] = [:]
        for row in report["stays"] as? [[String: Any]] ?? [] {
            guard let path = row["path"] as? String else { continue }
            found[path.replacingOccurrences(of: world.path("tree") + "/", with: "")] = row["reason"] as? String
        }
        return found
    }

    private func rows(_ world: World) throws -> [[String: String]] {
        let listed = try world.qala("register", "moved", "list", "--limit", "10000", "--json")
        #expect(listed.status == 0, "\(listed.errorText)")
        let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
        return rows.compactMap { $0["fields"] as? [String: String] }
    }

    private func isThere(_ world: World, _ name: String) -> Bool { access(world.path("tree/" + name), F_OK) == 0 }

    @Test("After its period and its verification an original goes; what changed, was replaced or is linked stays")
    func wholeWay() throws {
        let world = try world()
        defer { world.remove() }
        for name in ["a.txt", "sub/b.txt", "line\nend", "changed", "replaced", "linked", "shadow1"] {
            try world.write("tree/" + name, "hello\n")
        }
        try #require(link(world.path("tree/linked"), world.path("tree/twin")) == 0)
        try #require(symlink("a.txt", world.path("tree/link")) == 0)
        let odd = (world.path("tree") + "/").utf8CString.dropLast() + [CChar(bitPattern: 0xFF), 0]
        let descriptor = open(Array(odd), O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        try #require(descriptor >= 0 && write(descriptor, "odd\n", 4) == 4)
        close(descriptor)
        try apply(world)
        let id = try archive(world)
        // Not read back yet: nothing goes, and it is said what is missing.
        let early = try move(world)
        #expect(waits(early).contains("verify primary") && early["archive"] == nil && isThere(world, "a.txt"))
        try verify(world)
        usleep(3_500_000)
        // The same size and the old time of modification: the time of change tells.
        var info = stat()
        try #require(stat(world.path("tree/changed"), &info) == 0)
        try world.write("tree/changed", "HELLO\n")
        let times = [info.st_atim, info.st_mtim]
        try #require(utimensat(AT_FDCWD, world.path("tree/changed"), times, 0) == 0)
        try world.write("tree/replacement", "hello\n")
        try #require(rename(world.path("tree/replacement"), world.path("tree/replaced")) == 0)

        let dry = try move(world, "--dry-run")
        #expect(dry["files"] as? Int == 4 && isThere(world, "a.txt"), "\(dry)")
        #expect(try rows(world).isEmpty)
        let report = try move(world)
        #expect(report["files"] as? Int == 4 && report["archive"] as? String == id, "\(report)")
        #expect(
            reasons(world, report) == [
                "changed": "changed", "replaced": "replaced", "linked": "linked", "twin": "linked",
            ])
        #expect(!isThere(world, "a.txt") && !isThere(world, "sub/b.txt") && !isThere(world, "line\nend"))
        #expect(access(Array(odd), F_OK) != 0)
        for name in ["sub", "changed", "replaced", "linked", "twin", "shadow1"] {
            #expect(isThere(world, name), "\(name)")
        }
        #expect(try String(contentsOf: world.url("tree/changed"), encoding: .utf8) == "HELLO\n")

        let rows = try rows(world)
        #expect(rows.count == 4 && rows.allSatisfy { $0["state"] == "moved" && $0["archive"] == id })
        let row = try #require(rows.first { $0["path"] == world.path("tree/a.txt") })
        #expect(row["sha256"] == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
        #expect(row["version"] == "1" && rows.count { $0["pathBytes"] != nil } == 1)

        // It is found, and comes back; its archive says what it is.
        let back = try world.qala(["cat", "\(id):\(world.path("tree/a.txt"))"] + World.byKit)
        #expect(back.outputText == "hello\n")
        #expect(try world.qala("find", "a.txt").outputText.contains("a.txt"))
        let tiers = try #require(try World.object(try world.qala("tiers", "--json"))["archives"] as? [[String: Any]])
        #expect(tiers.first?["movedFiles"] as? Int == 4)
        let why = (tiers.first?["why"] as? [String: [String]])?["en"] ?? []
        #expect(why.contains { $0.contains("the only copy of 4 moved files") }, "\(why)")

        // The archive was gone through; the next one brings what was left.
        #expect(try move(world)["archive"] == nil)
        _ = try archive(world)
        try verify(world)
        usleep(3_500_000)
        #expect(try move(world)["files"] as? Int == 2)
        #expect(!isThere(world, "changed") && !isThere(world, "replaced") && isThere(world, "twin"))
        let shown = try world.qala("register", "moved", "list", "--language", "az")
        #expect(shown.status == 0 && shown.outputText.contains("silinib"), "\(shown.outputText)")
    }

    @Test("Only the version in force permits a removal, and only where it looks")
    func permission() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("tree/a.txt", "hello\n")
        try world.write("other/b.txt", "hello\n")
        #expect(try world.qala(["move", "config"] + World.byKit).status == 14, "nothing is in force")
        try apply(world)
        #expect(try world.qala(["move", "policies/config.yaml"] + World.byKit).status == 64)
        #expect(try world.qala(["move", "media"] + World.byKit).status == 14)
        // The name of the policy in force with another source: archived, and never removed.
        let file = try String(contentsOf: world.url("policies/config.yaml"), encoding: .utf8)
        try world.write(
            "policies/config.yaml", file.replacingOccurrences(of: world.path("tree"), with: world.path("other")))
        _ = try archive(world)
        try verify(world)
        usleep(3_500_000)
        let report = try move(world)
        #expect(report["files"] as? Int == 0 && report["problemCount"] as? Int == 0, "\(report)")
        #expect(access(world.path("other/b.txt"), F_OK) == 0 && isThere(world, "a.txt"))
        // A policy that copies.
        let copying = try copyingWorld()
        defer { copying.remove() }
        #expect(try copying.qala(["move", "config"] + World.byKit).status == 78)
    }

    private func copyingWorld() throws -> World {
        let world = try world()
        let file = try String(contentsOf: world.url("policies/config.yaml"), encoding: .utf8)
        try world.write("policies/config.yaml", file.replacingOccurrences(of: "mode: move\n", with: ""))
        try world.write("tree/a.txt", "hello\n")
        try apply(world)
        return world
    }

    @Test("A partial archive, a mirror that is not there, a hold and a frozen clock each keep every original")
    func waiting() throws {
        let partial = try world(more: "- logs: /nonexistent-qala/*.log\n  ")
        defer { partial.remove() }
        try partial.write("tree/a.txt", "hello\n")
        try apply(partial)
        _ = try archive(partial, status: 3)
        try verify(partial)
        usleep(3_500_000)
        #expect(try waits(move(partial)) == ["whole"] && isThere(partial, "a.txt"))

        let mirrored = try world(hasMirror: true)
        defer { mirrored.remove() }
        try mirrored.write("tree/a.txt", "hello\n")
        try apply(mirrored)
        let id = try archive(mirrored)
        try verify(mirrored)
        usleep(3_500_000)
        #expect(try waits(move(mirrored)) == ["copy standby"] && isThere(mirrored, "a.txt"))
        let said = try mirrored.qala(["move", "config"] + World.byKit)
        #expect(said.status == 0 && said.outputText.contains("waits for site standby"), "\(said.outputText)")
        let placed = try mirrored.qala(["hold", "add", id, "--reason", "case", "--json"] + World.byKit)
        let hold = try #require(try World.object(placed)["hold"] as? String)
        #expect(try waits(move(mirrored)) == ["hold \(hold)", "copy standby"])

        let frozen = try world()
        defer { frozen.remove() }
        try frozen.write("tree/a.txt", "hello\n")
        try apply(frozen)
        _ = try archive(frozen)
        try verify(frozen)
        #expect(try frozen.qala("tiers").status == 0)
        usleep(3_500_000)
        let file = try Data(contentsOf: frozen.url("state/clock.json"))
        var clock = try #require(try JSONSerialization.jsonObject(with: file) as? [String: Any])
        clock["bootID"] = "another"
        clock["wall"] = try #require(clock["wall"] as? Int) - 3650 * 86_400
        try JSONSerialization.data(withJSONObject: clock).write(to: frozen.url("state/clock.json"))
        #expect(try waits(move(frozen)).contains("time") && isThere(frozen, "a.txt"))
    }

    @Test("What is damaged in the vault removes nothing, and a damaged register neither")
    func damage() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("tree/a.txt", String(repeating: "hello\n", count: 1000))
        try world.write("tree/b.txt", "hello\n")
        try apply(world)
        _ = try archive(world)
        try verify(world)
        usleep(3_500_000)
        let files = try FileManager.default.subpathsOfDirectory(atPath: world.path("vault/packs"))
        let packs = files.map { world.url("vault/packs/\($0)") }.filter { !$0.hasDirectoryPath }
        for pack in packs {
            guard var bytes = try? Data(contentsOf: pack), bytes.count > 400 else { continue }
            for at in stride(from: 100, to: bytes.count, by: 50) { bytes[at] ^= 1 }
            chmod(pack.path, 0o644)
            try bytes.write(to: pack)
        }
        let damaged = try world.qala(["move", "config"] + World.byKit)
        #expect(damaged.status == 13, "\(damaged.errorText)")
        #expect(isThere(world, "a.txt") && isThere(world, "b.txt"))
        try world.write("state/registers/moved.000000000001.jsonl", "nonsense\n{}\n")
        #expect(try world.qala(["move", "config"] + World.byKit).status == 13)
        #expect(isThere(world, "a.txt"))
    }

    @Test("Killed at every call, each file is where it was, or in a verified archive that the register names")
    func everyCall() throws {
        let world = try world()
        defer { world.remove() }
        let shim = try KillShim.build(in: world.folder)
        let names = (0..<10).map { "f\($0)" }
        for name in names { try world.write("tree/" + name, "content of \(name)\n") }
        try apply(world)
        let id = try archive(world)
        try verify(world)
        usleep(3_500_000)
        var call = 1
        while call < 1000 {
            let run = try world.qala(["move", "config", "--json"] + World.byKit, shim: shim, killedAt: call)
            let there = Set(try FileManager.default.contentsOfDirectory(atPath: world.path("tree")))
            let recorded = try rows(world).filter { $0["state"] != "stayed" && $0["archive"] == id }
            for name in names where !there.contains(name) {
                let path = world.path("tree/" + name)
                #expect(recorded.contains { $0["path"] == path }, "call \(call): \(name)")
            }
            if run.status != killed {
                #expect(run.status == 0, "\(run.errorText)")
                break
            }
            call += 1
        }
        print("calls killed: \(call)")
        #expect(call > 20 && call < 1000)
        let left = try FileManager.default.contentsOfDirectory(atPath: world.path("tree"))
        #expect(!left.contains { $0.hasPrefix(".qala-move-") }, "\(left)")
        let moved = try rows(world).filter { $0["state"] == "moved" }
        #expect(try rows(world).allSatisfy { $0["state"] != "moving" })
        for name in names {
            let isLeft = left.contains(name)
            #expect(isLeft || moved.contains { $0["path"] == world.path("tree/" + name) }, "\(name)")
        }
        #expect(!moved.isEmpty)
        try verify(world)
        #expect(try world.qala(["restore", id, "--to", "back"] + World.byKit).status == 0)
        for name in names {
            let file = world.url("back" + world.path("tree/" + name))
            #expect(try String(contentsOf: file, encoding: .utf8) == "content of \(name)\n")
        }
    }

    @Test("Two at once: the second ends with 11 or finds nothing more, and nothing is lost")
    func twoAtOnce() throws {
        let world = try world()
        defer { world.remove() }
        let names = (0..<200).map { "f\($0)" }
        for name in names { try world.write("tree/" + name, "content of \(name)\n") }
        try apply(world)
        let id = try archive(world)
        try verify(world)
        usleep(3_500_000)
        let both = try (0..<2).map { _ in try world.start(["move", "config", "--json"] + World.byKit) }
        let ended = try both.map { try $0.wait() }
        #expect(ended.allSatisfy { $0.status == 0 || $0.status == 11 }, "\(ended.map(\.errorText))")
        let moved = try rows(world).filter { $0["state"] == "moved" && $0["archive"] == id }
        #expect(moved.count == 200 && Set(moved.compactMap { $0["path"] }).count == 200)
    }
}

@Suite("Originals removed by the real daemon", .serialized, .enabled(if: qalaBinary != nil))
struct DaemonMoveTests {
    @Test("A daemon with a key removes originals after its verification, and one without never does")
    func daemon() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let file = desk.world.url("policies/often.yaml")
        var text = try String(contentsOf: file, encoding: .utf8)
        for (from, to) in [
            ("    period: forever\n", "    period: 1 second\n"), ("content: 30 days", "content: 3 seconds"),
            ("  - site: standby\n    role: mirror\n    lag: 1 hour\n", ""),
            ("policy: often\n", "policy: often\nmode: move\n"),
        ] {
            try #require(text.contains(from), "\(from)")
            text = text.replacingOccurrences(of: from, with: to)
        }
        try desk.world.write("policies/often.yaml", text)
        chmod(file.path, 0o644)
        let without = try desk.start()
        try desk.waitUntilUp()
        #expect(try desk.ask("run", "often").status == 0)
        usleep(5_000_000)
        #expect(access(desk.world.path("tree/a.txt"), F_OK) == 0)
        without.send(SIGTERM)
        #expect(try without.wait().status == 0)

        let with = try desk.start(["--key-file", desk.world.path("kit.txt")])
        defer { with.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("the removal") { access(desk.world.path("tree/a.txt"), F_OK) != 0 }
        try desk.wait("the word about it") {
            try desk.ask("logs").outputText.contains("originals of often were removed")
        }
        let listed = try World.object(try desk.world.qala("register", "moved", "list", "--json"))
        #expect((listed["rows"] as? [[String: Any]])?.count == 1)
        // The next run archives what is there, and is whole.
        #expect(try desk.ask("run", "often").status == 0)
        with.send(SIGTERM)
        #expect(try with.wait().status == 0)
    }
}
