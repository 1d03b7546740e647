import Foundation
import Testing

/// Sources that are no trees of files, by the real binary.
@Suite("Data sources", .enabled(if: qalaBinary != nil))
struct DataSourceTests {
    private func world() throws -> World {
        let world = try World()
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        return world
    }

    /// Runs a policy with these sources, given as lines of YAML.
    private func run(_ world: World, _ sources: String) throws -> Finished {
        try world.write(
            "dump.yaml",
            """
            policy: dump
            component: database
            responsible: {name: A}
            confidentiality: internal
            sources:
            \(sources)
            """)
        return try world.qala("run", world.path("dump.yaml"), "--json")
    }

    private func read(_ world: World, _ path: String) throws -> Finished {
        try world.qala(["cat", "latest:dump:\(path)"] + World.byKit)
    }

    @Test(
        "The output of a program is a file of the archive, of whatever length, and what did not change is stored once")
    func command() throws {
        let world = try world()
        defer { world.remove() }
        var generator = SeededGenerator(seed: 5)
        var bytes = [UInt8](repeating: 0, count: 9_000_001)
        for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
        try Data(bytes).write(to: world.url("rows"))
        try world.write("tree/a", "beside\n")
        let sources = """
              - command: rows
                run: [/bin/cat, \(world.path("rows"))]
                file: rows.bin
                minimum-size: 1 MiB
              - files: \(world.path("tree"))
              - command: empty-is-allowed
                run: [/bin/echo, "one line"]
            """
        let first = try run(world, sources)
        #expect(first.status == 0, "\(first.errorText)")
        let read = try read(world, "/@command/rows/rows.bin")
        #expect(read.status == 0 && read.output == bytes, "\(read.errorText)")
        let line = try self.read(world, "/@command/empty-is-allowed/empty-is-allowed")
        #expect(line.outputText == "one line\n")
        let beside = try self.read(world, world.path("tree/a"))
        #expect(beside.outputText == "beside\n")
        let again = try run(world, sources)
        #expect(again.status == 0, "\(again.errorText)")
        let stored = try World.object(again)["bytesStored"] as? Int ?? .max
        #expect(stored < 200_000, "the second run stored \(stored) bytes")
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
    }

    @Test(
        "A program that fails, prints too little, hangs or is not there gives no archive; beside other sources a partial one"
    )
    func failures() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("tree/a", "beside\n")
        for (source, message) in [
            ("run: [/bin/sh, -c, 'echo half; echo the database is away >&2; exit 2']", "the database is away"),
            ("run: [/bin/echo, half]\n    minimum-size: 1 KiB", "gave 5 bytes, and at least 1024"),
            ("run: [/bin/true]", "gave 0 bytes"),
            ("run: [/bin/sh, -c, 'echo begun; sleep 60 & sleep 60']\n    timeout: 1 second", "took longer than"),
            ("run: [/nonexistent/dump]", "cannot be started"),
        ] {
            let alone = try run(world, "  - command: dump\n    \(source)")
            #expect(alone.status == 1, "\(source): \(alone.status)")
            #expect(alone.errorText.contains(message), "\(source): \(alone.errorText)")
            let beside = try run(world, "  - command: dump\n    \(source)\n  - files: \(world.path("tree"))")
            #expect(beside.status == 3, "\(source): \(beside.status) \(beside.errorText)")
            #expect(try read(world, "/@command/dump/dump").status == 14, "half an output must not be there")
            #expect(try read(world, world.path("tree/a")).status == 0)
        }
        let archives = try World.object(try world.qala("archives", "--json"))["archives"] as? [Any]
        #expect(archives?.count == 5, "only the partial ones")
    }

    @Test("A tree that would lie where data sources do is refused, and the same name twice too")
    func collisions() throws {
        let world = try world()
        defer { world.remove() }
        let taken = try run(world, "  - command: a\n    run: [/bin/echo, a]\n  - files: /@command/a")
        #expect(taken.status == 78, "\(taken.errorText)")
        let twice = try run(
            world, "  - command: a\n    run: [/bin/echo, a]\n  - command: a\n    run: [/bin/echo, b]")
        #expect(twice.status == 78 && twice.errorText.contains("command a"), "\(twice.errorText)")
    }
}
