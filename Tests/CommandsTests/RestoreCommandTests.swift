import Foundation
import Glibc
import Testing

/// What a restore does with what is in its way, by the real binary.
@Suite("Restores over what exists", .enabled(if: qalaBinary != nil))
struct RestoreCommandTests {
    /// A world with an archive of `tree/a/f` and `tree/b/f`.
    private func world() throws -> World {
        let world = try World()
        try world.write("tree/a/f", "a\n")
        try world.write("tree/b/f", "b\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        return world
    }

    private func restore(_ world: World, _ arguments: String...) throws -> Finished {
        try world.qala(["restore", "latest"] + arguments + World.byKit, without: ["QALA_PASSPHRASE_FILE"])
    }

    /// Where `name` of the tree lies after a restore to `target`.
    private func restored(_ world: World, _ target: String, _ name: String) -> String {
        world.path(target) + world.path("tree") + "/" + name
    }

    private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    @Test("A restore that is refused has written nothing, and a dry run tells that it would be")
    func refused() throws {
        let world = try world()
        defer { world.remove() }
        try FileManager.default.removeItem(at: world.url("tree/a"))
        for more in [["--dry-run"], []] {
            let run = try world.qala(["restore", "latest", "--in-place"] + more + World.byKit)
            #expect(run.status == 1 && run.errorText.contains("tree/b/f exists already"), "\(run.errorText)")
            #expect(!FileManager.default.fileExists(atPath: world.path("tree/a")))
        }
        #expect(try restore(world, "--in-place", "--conflict", "skip").status == 0)
        #expect(text(world.path("tree/a/f")) == "a\n")
        var info = stat()
        #expect(stat(world.path("tree/a"), &info) == 0 && info.st_mode & 0o7777 == 0o755)
    }

    @Test("A dry run counts what exists, and writes nothing")
    func foretold() throws {
        let world = try world()
        defer { world.remove() }
        try FileManager.default.createDirectory(
            atPath: restored(world, "back", "a"), withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(filePath: restored(world, "back", "a/f")))
        for way in ["skip", "overwrite", "keep-both"] {
            let run = try restore(world, "--to", "back", "--dry-run", "--conflict", way, "--json")
            let report = try World.object(run)
            #expect(report["inTheWay"] as? Int == 1 && report["files"] as? Int == 2, "\(way)")
        }
        #expect(try restore(world, "--to", "back", "--dry-run").status == 1)
        #expect(text(restored(world, "back", "a/f")) == "mine")
        #expect(!FileManager.default.fileExists(atPath: restored(world, "back", "b")))
    }

    @Test("What is kept beside is what is verified, and what is left alone is not accused")
    func verified() throws {
        let world = try world()
        defer { world.remove() }
        for target in ["both", "skipped"] {
            try FileManager.default.createDirectory(
                atPath: restored(world, target, "a"), withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: URL(filePath: restored(world, target, "a/f")))
        }
        let both = try restore(world, "--to", "both", "--conflict", "keep-both", "--verify", "--json")
        #expect(try both.status == 0 && World.object(both)["verified"] as? Int == 2, "\(both.outputText)")
        #expect(text(restored(world, "both", "a/f.restored")) == "a\n")
        #expect(text(restored(world, "both", "a/f")) == "mine")
        let skipped = try restore(world, "--to", "skipped", "--conflict", "skip", "--verify", "--json")
        let report = try World.object(skipped)
        #expect(skipped.status == 0 && report["verified"] as? Int == 1 && report["skipped"] as? Int == 1)
        #expect(report["files"] as? Int == 1, "only what was restored counts")
    }

    @Test("What lies in a directory in whose place something else was left is a problem, and not counted as restored")
    func blocked() throws {
        let world = try world()
        defer { world.remove() }
        try FileManager.default.createDirectory(atPath: restored(world, "back", ""), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: restored(world, "back", "a"), withDestinationPath: "/nowhere")
        let run = try restore(world, "--to", "back", "--conflict", "skip", "--json")
        let report = try World.object(run)
        #expect(run.status == 3 && report["problemCount"] as? Int == 1, "\(run.outputText)")
        #expect(report["files"] as? Int == 1 && report["skipped"] as? Int == 1)
        #expect(text(restored(world, "back", "b/f")) == "b\n")
    }

    @Test("Paths longer than the system takes at once are verified too")
    func deep() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/f", "top\n")
        var folder = open(world.path("tree"), O_DIRECTORY | O_RDONLY | O_CLOEXEC)
        let name = String(repeating: "d", count: 200)
        for _ in 0..<30 {
            #expect(mkdirat(folder, name, 0o755) == 0)
            let next = openat(folder, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC)
            close(folder)
            folder = next
        }
        let leaf = openat(folder, "leaf", O_CREAT | O_WRONLY | O_CLOEXEC, 0o644)
        #expect(write(leaf, "deep", 4) == 4)
        close(leaf)
        close(folder)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        let run = try restore(world, "--to", "back", "--verify", "--json")
        #expect(try run.status == 0 && World.object(run)["verified"] as? Int == 2, "\(run.outputText)")
        // Foundation cannot remove what it cannot name.
        let removed = try ProcessRunner.run("/bin/rm", ["-rf", "tree", "back"], environment: [:], in: world.folder)
        #expect(removed.status == 0)
    }

    @Test("A target that is a file is the caller's mistake")
    func file() throws {
        let world = try world()
        defer { world.remove() }
        try world.write("taken", "")
        let run = try restore(world, "--to", "taken")
        #expect(run.status == 64 && run.errorText.contains("is not a directory"), "\(run.errorText)")
    }
}
