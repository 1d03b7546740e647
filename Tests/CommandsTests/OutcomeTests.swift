import Foundation
import Glibc
import TestSupport
import Testing

/// What the real binary says when not everything goes well.
@Suite("Outcomes of the real binary", .enabled(if: qalaBinary != nil))
struct OutcomeTests {
    @Test("A flipped byte of a pack is 13 everywhere, and what is not damaged comes back")
    func damage() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/small", "small\n")
        var generator = SeededGenerator(seed: 3)
        let words = (0..<400_000).map { _ in generator.next() }
        try world.write("tree/large", words.withUnsafeBytes { Data($0) })
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        // The middle of the largest pack lies in the large file.
        let names = try FileManager.default.subpathsOfDirectory(atPath: world.path("vault/packs"))
            .map { world.url("vault/packs/" + $0) }.filter { !$0.hasDirectoryPath }
        let packs = names.compactMap { url in
            let bytes = try? Data(contentsOf: url)
            return bytes.map { (url, $0) }
        }
        var (pack, bytes) = try #require(packs.max { $0.1.count < $1.1.count })
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: pack)

        #expect(try world.qala("verify", "--without-keys").status == 13)
        let verified = try world.qala(["verify", "--read-data", "--json"] + World.byKit)
        #expect(verified.status == 13)
        #expect((try World.object(verified)["damage"] as? [Any])?.count == 1)
        let restored = try world.qala(["restore", "latest", "--to", "back", "--verify", "--json"] + World.byKit)
        #expect(restored.status == 13)
        let report = try World.object(restored)
        #expect(report["damaged"] as? Int == 1 && report["files"] as? Int == 1 && report["verified"] as? Int == 1)
        #expect((report["problems"] as? [Any])?.count == 1)
        #expect(try Data(contentsOf: world.url("back" + world.path("tree/small"))) == Data("small\n".utf8))
        #expect(!FileManager.default.fileExists(atPath: world.path("back") + world.path("tree/large")))
        #expect(try world.qala(["cat", "latest:" + world.path("tree/large")] + World.byKit).status == 13)
    }

    @Test("Without a key the archives of other hosts are listed but not searched, and a write-only host finds its own")
    func otherHosts() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/mine", "1\n")
        try world.write("tree2/theirs", "2\n")
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        let noKey: Set = ["QALA_PASSPHRASE_FILE"]
        let other = ["--state", "other-state"]

        let listed = try World.object(try world.qala(["archives", "--json"] + other, without: noKey))
        let row = (listed["archives"] as? [[String: Any]])?.first
        #expect(row?["id"] != nil && row?["time"] != nil && row?["files"] == nil)
        let search = try world.qala(["find", "mine", "--json"] + other, without: noKey)
        #expect(search.status == 12 && search.errorText.contains("Give a key") && search.output.isEmpty)
        #expect(try world.qala(["verify"] + other, without: noKey).status == 0)
        #expect(try world.qala(["archive", "tree2"] + other, without: noKey).status == 77)

        #expect(try world.qala(["key", "enrol-host"] + other + World.byKit).status == 0)
        #expect(try world.qala(["archive", "tree2"] + other, without: noKey).status == 0)
        let own = try world.qala(["find", "mine", "--json"], without: noKey)
        #expect(own.status == 3)
        let found = try World.object(own)
        #expect((found["found"] as? [Any])?.count == 1 && found["notSearched"] as? Int == 1)
        let all = try World.object(try world.qala(["find", "theirs", "--json"] + World.byKit))
        #expect((all["found"] as? [Any])?.count == 1 && all["notSearched"] as? Int == 0)
        #expect(try world.qala(["find", "theirs"], without: noKey).status == 0)
    }

    @Test("The head that a kit names is looked for in the log")
    func head() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        let kit = try String(contentsOf: world.url("kit.txt"), encoding: .utf8)
        let head = String(try #require(kit.firstMatch(of: #/--head (\S+)/#)).1)
        #expect(try world.qala("verify", "--without-keys", "--head", head).status == 0)
        let other = head.prefix(while: { $0 != ":" }) + ":0000000000000000"
        #expect(try world.qala("verify", "--without-keys", "--head", String(other)).status == 13)
        #expect(try world.qala("verify", "--without-keys", "--head", "999:0000000000000000").status == 13)
        #expect(try world.qala("verify", "--head", "1").status == 64)
    }

    @Test("An error leaves no half of a JSON object behind, and an empty answer is a whole one")
    func jsonErrors() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        for arguments in [["diff", "latest", "none"], ["ls", "latest:/none"], ["cat", "latest:/none"]] {
            let finished = try world.qala(arguments + ["--json"] + World.byKit)
            #expect(finished.status != 0 && finished.output.isEmpty)
            let error = try JSONSerialization.jsonObject(with: Data(finished.errors)) as? [String: Any]
            #expect(error?["error"] != nil)
        }
        let same = try World.object(try world.qala(["diff", "latest", "latest", "--json"] + World.byKit))
        #expect((same["differences"] as? [Any])?.isEmpty == true)
    }

    @Test("PostgreSQL's commands refuse a malformed command line with 126, as a JSON object where one is asked for")
    func walUsage() throws {
        let world = try World()
        defer { world.remove() }
        for words in [["fetch"], ["fetch", "000000010000000000000001"], ["push"], ["push", "a", "b"]] {
            let plain = try world.qala(["wal"] + words)
            #expect(plain.status == 126 && plain.errorText.hasPrefix("qala-wal: usage: "), "\(plain.errorText)")
            let finished = try world.qala(["wal"] + words + ["--json"])
            #expect(finished.status == 126 && finished.output.isEmpty, "\(words)")
            let body = try JSONSerialization.jsonObject(with: Data(finished.errors)) as? [String: Any]
            let error = try #require(body?["error"] as? [String: Any])
            #expect(error["kind"] as? String == "usage" && error["code"] as? Int == 126, "\(error)")
            #expect((error["message"] as? String)?.contains("fetch NAME DESTINATION") == true, "\(error)")
        }
    }

    @Test("As root every kind of file comes back without a difference", .enabled(if: geteuid() == 0))
    func fidelity() throws {
        let world = try World()
        defer { world.remove() }
        _ = try FidelityTree(at: Array(world.path("tree").utf8))
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        let run = try world.qala("archive", "tree", "--json")
        #expect(run.status == 0, "\(run.outputText)\(run.errorText)")
        let restored = try world.qala(["restore", "latest", "--to", "back", "--verify", "--json"] + World.byKit)
        #expect(restored.status == 0, "\(restored.outputText)\(restored.errorText)")
        let back = world.path("back") + world.path("tree")
        let differences = TreeComparison.differences(Array(world.path("tree").utf8), Array(back.utf8))
        #expect(differences.isEmpty)
        let script = Repository.root.appending(path: "scripts/compare-trees").path
        let compared = try ProcessRunner.run(
            script, [world.path("tree"), back], environment: ProcessInfo.processInfo.environment, in: world.folder)
        #expect(compared.status == 0, "\(compared.outputText)\(compared.errorText)")
    }

    @Test(
        "An account without rights: what it may not read is told and is 3, its own files come back whole",
        .enabled(if: geteuid() == 0))
    func unprivileged() throws {
        let world = try World()
        defer { world.remove() }
        let binary = world.path("qala")
        // Copied by a process of its own: a descriptor open for writing here could be inherited by what another test starts
        // at that moment, and then the copy is busy when it is to be run.
        let copied = try ProcessRunner.run(
            "/bin/cp", [try #require(qalaBinary), binary], environment: [:], in: world.folder)
        #expect(copied.status == 0)
        try world.write("tree/own", "own\n")
        let marked = try ProcessRunner.run(
            "/usr/bin/setfattr", ["-n", "user.kept", "-v", "yes", "tree/own"], environment: [:], in: world.folder)
        #expect(marked.status == 0)
        try world.write("tree/secret", "secret\n")
        try world.write("tree/closed/inside", "inside\n")
        for name in ["", "passphrase", "tree", "tree/own"] { chown(world.path(name), 65534, 65534) }
        for name in ["tree/secret", "tree/closed"] { chmod(world.path(name), 0) }
        func qala(_ arguments: String...) throws -> Finished {
            try ProcessRunner.run(
                "/usr/bin/setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", binary] + arguments,
                environment: [
                    "HOME": world.folder.path, "PATH": "/usr/bin:/bin", "QALA_VAULT": world.path("vault"),
                    "QALA_STATE": world.path("state"), "QALA_KEY_FILE": world.path("kit.txt"),
                ], in: world.folder)
        }
        #expect(try qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        let run = try qala("archive", "tree", "--json")
        #expect(run.status == 3, "\(run.errorText)")
        let report = try World.object(run)
        #expect(report["problemCount"] as? Int == 2 && report["files"] as? Int == 1)
        let problems = report["problems"] as? [[String: String]] ?? []
        #expect(Set(problems.compactMap { $0["path"] }) == [world.path("tree/secret"), world.path("tree/closed")])
        #expect(try qala("archives").outputText.contains("partial"))
        // `closed` belongs to root, and its owner cannot be given back.
        let restored = try qala("restore", "latest", "--to", "back", "--json")
        #expect(restored.status == 3)
        #expect(try World.object(restored)["ownershipNotSet"] as? Int == 1, "\(restored.outputText)")
        // The directories above the source belong to others too, and that is no loss.
        #expect(try qala("archive", "tree/own").status == 0)
        let own = try qala("restore", "latest", "--to", "back-2", "--verify", "--json")
        #expect(own.status == 0, "\(own.outputText)\(own.errorText)")
        // Without root an attribute can be set only on what its owner may write.
        let kept = try ProcessRunner.run(
            "/usr/bin/getfattr", ["-n", "user.kept", "--only-values", world.path("back-2") + world.path("tree/own")],
            environment: [:], in: world.folder)
        #expect(kept.outputText == "yes", "\(kept.errorText)")
        #expect(try qala("restore", "latest", "--to", "/not-mine").status == 77)
        // Who may not write its state goes on reading, and is told.
        let closed = try ProcessRunner.run(
            "/bin/chmod", ["-R", "u-w", world.path("state")], environment: [:], in: world.folder)
        #expect(closed.status == 0)
        let listed = try qala("archives")
        #expect(listed.status == 0 && listed.outputText.contains("partial"))
        #expect(listed.errorText.contains("Nothing is kept in the state of this host"), "\(listed.errorText)")
        #expect(try qala("archive", "tree/own").status == 77)
    }
}
