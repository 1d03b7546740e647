import Foundation
import Glibc
import Testing

@Suite("The real binary")
struct BinaryTests {
    @Test("Where the binary is missing although everything must be tested, that is a failure")
    func presence() {
        if ProcessInfo.processInfo.environment["CI"] == "true" { #expect(qalaBinary != nil, "QALA_BINARY is not set") }
    }

    @Test("A command that opens a key leaves no core dump, whichever command it is", .enabled(if: qalaBinary != nil))
    func coreDumps() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a.txt", "hello\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        // Nobody writes the passphrase: the command waits for it.
        #expect(mkfifo(world.path("fifo"), 0o600) == 0)
        let run = try world.start(["ls", "latest", "--passphrase-file", world.path("fifo")])
        defer { _ = try? run.wait() }
        defer { run.send(SIGKILL) }
        var limit: [Substring] = []
        // Before it is qala, the process is a shell, whose limit may be 0 by itself.
        for _ in 0..<500 where limit != ["0", "0"] || !run.told("status").hasPrefix("Name:\tqala") {
            usleep(10_000)
            let line = run.told("limits").split(separator: "\n").first { $0.hasPrefix("Max core file size") }
            limit = line?.split(separator: " ").dropFirst(4).prefix(2).map { $0 } ?? []
        }
        #expect(limit == ["0", "0"] && run.told("status").hasPrefix("Name:\tqala"))
    }

    @Test("A tree is archived, listed, read, found and restored", .enabled(if: qalaBinary != nil))
    func wholeWay() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a.txt", "hello\n")
        try world.write("tree/deep/b.bin", String(repeating: "0123456789abcdef", count: 100_000))
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archives").outputText.contains("qala archive PATH"))

        let run = try world.qala("archive", "tree", "--json")
        #expect(run.status == 0, "\(run.errorText)")
        let report = try World.object(run)
        #expect(report["files"] as? Int == 2 && report["partial"] as? Bool == false)

        let archives = try World.object(try world.qala("archives", "--json"))["archives"] as? [[String: Any]]
        #expect(archives?.count == 1)
        let id = archives?.first?["id"] as? String ?? ""
        #expect(id == report["archive"] as? String)

        let file = world.path("tree/a.txt")
        #expect(try world.qala("ls", "latest:" + world.path("tree")).outputText.contains("a.txt"))
        #expect(try world.qala("cat", String(id.prefix(8)) + ":" + file).outputText == "hello\n")
        #expect(try world.qala("find", "a.txt").outputText.contains(file))
        #expect(try world.qala("history", file).status == 0)

        let restored = try world.qala("restore", "latest", "--to", "back", "--verify")
        #expect(restored.status == 0, "\(restored.errorText)")
        for name in ["tree/a.txt", "tree/deep/b.bin"] {
            #expect(try Data(contentsOf: world.url("back" + world.path(name))) == Data(contentsOf: world.url(name)))
        }
        #expect(try world.qala("verify", "--read-data").status == 0)
        #expect(try world.qala("verify", "--without-keys").status == 0)
    }

    @Test("An unchanged second run reads nothing, and a change shows as a difference", .enabled(if: qalaBinary != nil))
    func incremental() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a.txt", "one\n")
        try world.write("tree/b.txt", "two\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        // Files as young as the run are read again on purpose: their stamps prove nothing yet.
        sleep(3)
        #expect(try world.qala("archive", "tree").status == 0)
        let second = try World.object(try world.qala("archive", "tree", "--json"))
        #expect(second["filesRead"] as? Int == 0)
        try world.write("tree/b.txt", "three\n")
        #expect(try world.qala("archive", "tree").status == 0)
        let archives = try World.object(try world.qala("archives", "--json"))["archives"] as? [[String: Any]] ?? []
        let ids = archives.sorted { ($0["time"] as? String ?? "") < ($1["time"] as? String ?? "") }
            .compactMap { $0["id"] as? String }
        try #require(ids.count == 3)
        let changes =
            try World.object(try world.qala("diff", ids[1], "latest", "--json"))["differences"] as? [[String: Any]]
        #expect(changes?.contains { $0["path"] as? String == world.path("tree/b.txt") } == true)
    }

    @Test("A wrong passphrase is 12, and nothing of the data comes out", .enabled(if: qalaBinary != nil))
    func wrongKey() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a.txt", "hello\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        try world.write("other", "another passphrase\n")
        let place = "latest:" + world.path("tree/a.txt")
        let refused = try world.qala("cat", place, "--passphrase-file", "other", "--json")
        #expect(refused.status == 12 && refused.output.isEmpty)
        let error = try JSONSerialization.jsonObject(with: Data(refused.errorLines.last ?? [])) as? [String: Any]
        #expect((error?["error"] as? [String: Any])?["code"] as? Int == 12)
        #expect(try world.qala("cat", place, "--key-file", "kit.txt").outputText == "hello\n")
        #expect(try world.qala("key", "test", "--key-file", "kit.txt").status == 0)
    }

    @Test("What cannot be done has its own status", .enabled(if: qalaBinary != nil))
    func statuses() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("bad.yaml", "polciy: x\n")
        #expect(try world.qala("archives").status == 10)
        #expect(try world.qala("run", "bad.yaml").status == 78)
        #expect(try world.qala("run", "none.yaml").status == 14)
        #expect(try world.qala("frobnicate").status == 64)
        #expect(try world.qala("restore", "latest").status == 64)
        #expect(try world.qala("init").status == 64, "without a terminal a kit needs a file")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("restore", "latest", "--to", "back").status == 14)
        #expect(try world.qala("archive", "not-there").status == 14)
    }

    @Test("A policy runs, and tells who answers for it", .enabled(if: qalaBinary != nil))
    func policy() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a.conf", "x\n")
        try world.write("tree/b.bak", "y\n")
        try world.write(
            "p.yaml",
            """
            policy: web
            component: config
            responsible: Aysel Quliyeva
            sources:
              - files: \(world.path("tree"))
                exclude: "*.bak"
            """)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let run = try world.qala("run", "p.yaml")
        #expect(run.status == 0, "\(run.errorText)")
        #expect(run.outputText.contains("Aysel Quliyeva") && run.outputText.contains("configuration files"))
        #expect(try world.qala("cat", "latest:web:" + world.path("tree/a.conf")).outputText == "x\n")
        #expect(try world.qala("cat", "latest:web:" + world.path("tree/b.bak")).status == 14)
        let second = try World.object(try world.qala("run", "p.yaml", "--json"))
        #expect((second["responsible"] as? [String: Any])?["name"] as? String == "Aysel Quliyeva")
        #expect(second["component"] as? String == "config")
    }

    @Test("Help starts at once", .enabled(if: qalaBinary != nil))
    func speed() throws {
        let world = try World()
        defer { world.remove() }
        let clock = ContinuousClock()
        let best = try (0..<10).map { _ in try clock.measure { _ = try world.qala("--version") } }.min()
        #expect(best ?? .seconds(1) < .milliseconds(100))
    }
}
