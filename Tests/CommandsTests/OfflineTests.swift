import Foundation
import Glibc
import TestSupport
import Testing

/// What is on volumes only: found, named, and restored from the volume.
@Suite("Files that are offline only", .enabled(if: qalaBinary != nil))
struct OfflineTests {
    /// Disposes of an archive, as two persons do.
    private func dispose(_ archive: String, in world: World) throws {
        let request = "\(archive.prefix(8)).json"
        let asked = try world.qala("dispose", archive, "--reason", "the period is over", "--request", request)
        #expect(asked.status == 0, "\(asked.errorText)")
        let done = try world.qala(["dispose", "--approve", request] + World.byKit)
        #expect(done.status == 0, "\(done.errorText)")
    }

    private func found(_ world: World, _ arguments: String...) throws -> [[String: Any]] {
        let finished = try world.qala(arguments + ["--json"])
        #expect(finished.status == 0, "\(finished.errorText)")
        let reply = try World.object(finished)
        return try #require((reply["found"] ?? reply["versions"]) as? [[String: Any]])
    }

    private func place(_ row: [String: Any]) -> [String: String]? { (row["volumes"] as? [[String: String]])?.first }

    @Test("A file of a disposed archive is found with its volume and shelf, and restore says what to fetch")
    func wholeWay() throws {
        let volume = try VolumeWorld { world in
            try world.write("tree/report.txt", "first\n")
            try world.write("tree/kept.txt", "kept\n")
        }
        defer { volume.world.remove() }
        let world = volume.world
        try volume.write()
        let first = try #require(try world.archives().first)
        // Another content and time, and one name less.
        try world.write("tree/report.txt", "the second\n")
        try world.write("tree/only-new.txt", "new\n")
        #expect(try world.qala("archive", "tree").status == 0)
        let tree = world.path("tree")
        let before = try found(world, "find", "report.txt", "--all-versions")
        #expect(before.count == 2 && before.allSatisfy { $0["volumes"] == nil }, "\(before)")
        try dispose(first, in: world)

        // The newest version is in the vault; the one before is on the volume.
        let newest = try found(world, "find", "report")
        #expect(newest.count == 1 && newest.first?["volumes"] == nil, "\(newest)")
        let all = try found(world, "find", "report", "--all-versions")
        #expect(all.count == 2 && all.first?["volumes"] == nil, "\(all)")
        let row = try #require(all.last)
        #expect(row["archive"] as? String == first && row["path"] as? String == tree + "/report.txt")
        #expect(place(row)?["shelf"] == "B-12" && place(row)?["title"] == "Sınaq", "\(row)")
        let kept = try found(world, "find", "kept", "--all-versions")
        #expect(kept.count == 1 && kept.first?["volumes"] == nil, "a version that the vault has is not told twice")
        #expect(try found(world, "find", "report", "--all-versions", "--limit", "1").count == 1)
        let history = try found(world, "history", tree + "/report.txt")
        #expect(history.map { $0["archive"] as? String == first } == [false, true], "\(history)")

        let refused = try world.qala(["restore", first, tree + "/report.txt", "--to", "back"] + World.byKit)
        let id = try #require(place(row)?["volume"])
        #expect(refused.status == 14, "\(refused.errorText)")
        for part in [id, "B-12", "qala volume pull-list", "qala volume restore", "qala volume checkin"] {
            #expect(refused.errorText.contains(part), "\(part): \(refused.errorText)")
        }
        #expect(!FileManager.default.fileExists(atPath: world.path("back")))
        #expect(try world.qala("volume", "checkout", id, "--to", "Aysel").status == 0)
        let shown = try world.qala("find", "report", "--all-versions")
        #expect(shown.outputText.contains("\(id) (Aysel)"), "\(shown.outputText)")
        #expect(shown.outputText.contains("qala volume restore DIR"), "\(shown.outputText)")

        // The last one goes too: everything is offline, nothing is lost from sight.
        let second = try #require(try world.archives().last)
        #expect(try world.qala(["volume", "write", "volume", second, "--secret", "secret"] + World.byKit).status == 0)
        try dispose(second, in: world)
        #expect(try world.archives().isEmpty)
        let gone = try found(world, "find", "*.txt")
        #expect(gone.count == 3 && gone.allSatisfy { place($0)?["volume"] == id }, "\(gone)")
        #expect(gone.first { ($0["path"] as? String)?.hasSuffix("kept.txt") == true }?["archives"] as? Int == 2)
        let latest = try world.qala(["restore", "latest", "--to", "back"] + World.byKit)
        #expect(latest.status == 14 && latest.errorText.contains(second.prefix(12)), "\(latest.errorText)")
        #expect(try world.qala("history", "/nowhere").status == 14)

        let restore = ["volume", "restore", "volume", String(first.prefix(8)), "--secret", "secret", "--to", "back"]
        let done = try world.qala(restore + [tree + "/report.txt", "--json"])
        #expect(done.status == (geteuid() == 0 ? 0 : 3), "\(done.errorText)")
        let back = try String(contentsOfFile: world.path("back") + tree + "/report.txt", encoding: .utf8)
        #expect(back == "first\n")
        #expect(!FileManager.default.fileExists(atPath: world.path("back") + tree + "/kept.txt"))
        #expect(try world.qala("volume", "checkin", id, "--shelf", "C-3").status == 0)
        let media = try world.qala("register", "media", "show", id)
        #expect(media.outputText.contains("restored \(first)") && media.outputText.contains("C-3"))
    }

    @Test("Everything that Linux keeps comes back from a volume without vault, state or key")
    func fidelity() throws {
        let volume = try VolumeWorld { world in _ = try FidelityTree(at: Array(world.path("tree").utf8)) }
        defer { volume.world.remove() }
        let world = volume.world
        try volume.write(["latest"], expecting: 0, "--part-size", "65536")
        let archive = try #require(try world.archives().first)
        let fingerprint = try #require(try World.object(try volume.verify())["fingerprint"] as? String)
        try FileManager.default.removeItem(at: world.url("vault"))
        let restore = [
            "volume", "restore", "volume", archive, "--secret", "secret", "--state", "elsewhere", "--to", "back",
        ]
        let unproven = try world.qala(restore)
        #expect(unproven.status == 77 && unproven.errorText.contains("--fingerprint"), "\(unproven.errorText)")
        #expect(try world.qala(restore + ["--fingerprint", String(repeating: "0", count: 16)]).status == 13)
        #expect(!FileManager.default.fileExists(atPath: world.path("back")))
        let proof = ["--fingerprint", String(fingerprint.prefix(16))]
        let dry = try world.qala(restore + proof + ["--dry-run", "--json"])
        #expect(dry.status == 3 && !FileManager.default.fileExists(atPath: world.path("back")), "\(dry.errorText)")
        let done = try world.qala(restore + proof + ["--json"])
        // The socket is no member of the stream, and is told.
        #expect(done.status == 3, "\(done.errorText)")
        let report = try World.object(done)
        let problems = try #require(report["problems"] as? [[String: Any]])
        #expect(problems.contains { ($0["path"] as? String)?.hasSuffix("nodes/socket") == true }, "\(problems)")
        let ignored: Set<TreeComparison.Field> = geteuid() == 0 ? [.holes] : [.holes, .owner]
        let tree = world.path("tree")
        let differences = TreeComparison.differences(
            Array(tree.utf8), Array((world.path("back") + tree).utf8), ignoring: ignored)
        let socket = Array("nodes/socket".utf8)
        #expect(differences.filter { $0.path != socket }.isEmpty, "\(differences.prefix(5))")
        #expect(differences.contains { $0.path == socket })
        #expect(try world.qala(restore + proof).status == 1, "the target is not empty any more")
    }

    @Test("A part of a tree comes back with the file that a hard link names, and an unknown path is 14")
    func parts() throws {
        let volume = try VolumeWorld { world in
            try world.write("tree/a/first", "shared\n")
            try world.write("tree/z/other", "other\n")
            link(world.path("tree/a/first"), world.path("tree/z/second"))
        }
        defer { volume.world.remove() }
        let world = volume.world
        try volume.write()
        let archive = try #require(try world.archives().first)
        let tree = world.path("tree")
        func restore(_ target: String, _ more: String...) throws -> Finished {
            try world.qala(["volume", "restore", "volume", archive, "--secret", "secret", "--to", target] + more)
        }
        let done = try restore("back", tree + "/z/second")
        #expect(done.status == (geteuid() == 0 ? 0 : 3), "\(done.errorText)")
        var (first, second) = (stat(), stat())
        #expect(stat(world.path("back") + tree + "/a/first", &first) == 0)
        #expect(stat(world.path("back") + tree + "/z/second", &second) == 0)
        #expect(first.st_ino == second.st_ino && first.st_size == 7)
        #expect(!FileManager.default.fileExists(atPath: world.path("back") + tree + "/z/other"))
        #expect(try restore("none", "/nowhere").status == 14)
        #expect(try restore("none", tree, "--fingerprint", "12").status == 64)
        let unknown = ["volume", "restore", "volume", "ffffffffff", "--secret", "secret", "--to", "none"]
        #expect(try world.qala(unknown).status == 14)
        try world.write("wrong", String(repeating: "0", count: 64) + "\n")
        let wrong = ["volume", "restore", "volume", archive, "--secret", "wrong", "--to", "none"]
        #expect(try world.qala(wrong).status == 12)
        #expect(!FileManager.default.fileExists(atPath: world.path("none")))
    }

    @Test(
        "The daemon says how many archives are due on volumes, until one has them, and which volume is to be verified")
    func dues() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let policy = try String(contentsOf: desk.world.url("policies/often.yaml"), encoding: .utf8)
        try #require(policy.contains("after: 90 days"))
        try desk.world.write(
            "policies/often.yaml", policy.replacingOccurrences(of: "after: 90 days", with: "on: commit"))
        chmod(desk.world.path("policies/often.yaml"), 0o644)
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        func alarm(_ kind: String) throws -> [String: Any]? {
            let open = try desk.json("alarms")["alarms"] as? [[String: Any]] ?? []
            return open.first { $0["kind"] as? String == kind }
        }
        #expect(try alarm("volumesDue") == nil)
        #expect(try desk.ask("run", "often").status == 0)
        try desk.wait("the notice") { try alarm("volumesDue") != nil }
        let due = try #require(try alarm("volumesDue"))
        #expect(due["subject"] as? String == "often" && due["level"] as? String == "notice", "\(due)")
        #expect((due["detail"] as? String)?.hasPrefix("1; ") == true, "\(due)")

        let create = [
            "volume", "create", "volume", "--shelf", "B-12", "--title", "2026", "--reverify", "1 second", "--secret",
            "secret",
        ]
        #expect(try desk.world.qala(create + World.byKit).status == 0)
        let write = ["volume", "write", "volume", "latest", "--secret", "secret"]
        #expect(try desk.world.qala(write + World.byKit).status == 0)
        #expect(try desk.world.qala("volume", "verify", "volume", "--secret", "secret").status == 0)
        usleep(1_100_000)
        // A look at once: the next one of this daemon is in ten minutes.
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        let second = try desk.start()
        defer { second.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("the alarm of the volume") { try alarm("volumeUnverified") != nil }
        let late = try alarm("volumeUnverified")
        #expect((late?["detail"] as? String)?.hasPrefix("2026, B-12; ") == true, "\(late ?? [:])")
        #expect(try alarm("volumesDue") == nil, "the archive is on a volume, and verified there")
    }

    @Test("A damaged file of the volume, a forged list and a stream that was exchanged end before anything is written")
    func damage() throws {
        let volume = try VolumeWorld { world in
            try world.write("tree/a", "a\n")
            try world.write("tree/b", String(repeating: "text ", count: 20_000))
        }
        defer { volume.world.remove() }
        let world = volume.world
        try volume.write()
        let archive = try #require(try world.archives().first)
        let restore = ["volume", "restore", "volume", archive, "--secret", "secret", "--to", "back"]
        for name in try volume.names {
            // What the archive does not need does not keep it from being restored.
            let isNeeded =
                name.contains(archive) || ["SHA256SUMS", "SHA256SUMS.sig", "volume.json"].contains(name)
            guard isNeeded else { continue }
            let place = world.url("volume/" + name)
            let sound = try Data(contentsOf: place)
            var bytes = sound
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: place)
            let flipped = try world.qala(restore)
            #expect(flipped.status == 13, "\(name): \(flipped.errorText)")
            #expect(!FileManager.default.fileExists(atPath: world.path("back")), "\(name)")
            try sound.write(to: place)
        }
        #expect(try [0, 3].contains(world.qala(restore).status))
    }
}
