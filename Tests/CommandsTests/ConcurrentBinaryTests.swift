import Foundation
import Glibc
import Testing

@Suite("Several commands at once")
struct ConcurrentBinaryTests {
    @Test(
        "Runs of one source and of others, a restore and a check beside them all succeed",
        .enabled(if: qalaBinary != nil))
    func together() throws {
        let world = try World()
        defer { world.remove() }
        let first = try GeneratedTree(at: world.url("one"), files: 300, largeEvery: 100)
        let second = try GeneratedTree(at: world.url("two"), files: 300, largeEvery: 100)
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "one").status == 0)
        let commands =
            [
                ["archive", "one", "--json"], ["archive", "one", "--json"], ["archive", "two", "--json"],
                ["archive", "two", "--json"],
            ]
            + [["restore", "latest:", "--to", "back"] + World.byKit, ["verify", "--read-data"] + World.byKit]
        let id = try #require(try world.archives().first)
        let running = try commands.map { command in
            try world.start(command.map { $0 == "latest:" ? id : $0 })
        }
        var made: Set<String> = [id]
        for (command, process) in zip(commands, running) {
            let finished = try process.wait()
            #expect(finished.status == 0, "\(command): \(finished.errorText)")
            if command[0] == "archive", let id = try World.object(finished)["archive"] as? String { made.insert(id) }
        }
        #expect(made.count == 5)
        #expect(Set(try world.archives()) == made)
        #expect(first.difference(first.state, in: world.url("back" + world.path("one"))) == nil)
        for archive in made {
            let target = "back-\(archive.prefix(8))"
            #expect(try world.qala(["restore", archive, "--to", target] + World.byKit).status == 0)
            let one = first.difference(first.state, in: world.url(target + world.path("one")))
            let two = second.difference(second.state, in: world.url(target + world.path("two")))
            #expect(one == nil || two == nil, "\(archive): \(one ?? ""), \(two ?? "")")
        }
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
    }

    @Test("Ctrl-C ends a run within seconds with 130, and the same command goes on", .enabled(if: qalaBinary != nil))
    func interruption() throws {
        let world = try World()
        defer { world.remove() }
        let tree = try GeneratedTree(at: world.url("tree"), files: 2000, largeEvery: 40)
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        func records() -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: world.path("vault/log")).count) ?? 0
        }
        let before = records()
        let run = try world.start(["archive", "tree", "--checkpoint-seconds", "0.01", "--json"])
        let clock = ContinuousClock()
        // After the session was opened and the first checkpoints were written.
        let deadline = clock.now + .seconds(60)
        while records() < before + 3, clock.now < deadline { usleep(500) }
        run.send(SIGINT)
        let start = clock.now
        let interrupted = try run.wait(seconds: 30)
        #expect(clock.now - start < .seconds(10))
        #expect(interrupted.status == 130 && interrupted.output.isEmpty, "\(interrupted.errorText)")
        let next = try world.qala("archive", "tree", "--json")
        #expect(next.status == 0, "\(next.errorText)")
        #expect(try World.object(next)["resumed"] as? Bool == true)
        #expect(try world.qala(["restore", "latest", "--to", "back"] + World.byKit).status == 0)
        #expect(tree.difference(tree.state, in: world.url("back" + world.path("tree"))) == nil)
    }
}
