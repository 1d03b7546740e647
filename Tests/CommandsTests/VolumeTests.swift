import Foundation
import Glibc
import TestSupport
import Testing

/// A world with a vault, one archive of `tree` and an empty volume in `volume`.
struct VolumeWorld {
    let world: World

    init(_ make: (World) throws -> Void) throws {
        world = try World()
        try make(world)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let archived = try world.qala("archive", "tree")
        #expect(archived.status == 0, "\(archived.errorText)")
        try create("volume", "secret")
    }

    func create(_ directory: String, _ secret: String, _ more: String...) throws {
        let made = try world.qala(
            ["volume", "create", directory, "--shelf", "B-12", "--title", "Sınaq", "--secret", secret] + more
                + World.byKit)
        #expect(made.status == 0, "\(made.errorText)")
    }

    @discardableResult
    func write(_ archives: [String] = ["latest"], expecting status: Int32 = 0, _ more: String...) throws -> Finished {
        let done = try world.qala(
            ["volume", "write", "volume"] + archives + ["--secret", "secret", "--json"] + more + World.byKit)
        #expect(done.status == status, "\(done.errorText)")
        return done
    }

    func verify(_ more: String...) throws -> Finished {
        try world.qala(["volume", "verify", "volume", "--json"] + more)
    }

    /// The files that a verification finds bad.
    func findings(_ finished: Finished) throws -> [String] {
        let rows = try World.object(finished)["findings"] as? [[String: Any]]
        return try #require(rows).compactMap { $0["file"] as? String }
    }

    var names: [String] {
        get throws {
            try FileManager.default.subpathsOfDirectory(atPath: world.path("volume")).sorted().filter { name in
                var isDirectory: ObjCBool = false
                let exists = FileManager.default.fileExists(
                    atPath: world.path("volume/" + name), isDirectory: &isDirectory)
                return exists && !isDirectory.boolValue
            }
        }
    }

    /// Runs the indented lines of a README as they are printed, where there is nothing but a volume, its secret and stock tools.
    func open(by readMe: String, from volume: String = "volume", into target: String) throws -> Finished {
        let bare = try BareHost(in: world.folder)
        for (name, place) in [(volume, "volume"), ("secret", "secret")] {
            try FileManager.default.copyItem(at: world.url(name), to: bare.root.appending(path: place))
        }
        let text = try String(contentsOf: bare.root.appending(path: "volume/" + readMe), encoding: .utf8)
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("    ") }
        #expect(lines.count > 10)
        let opened = try bare.run(
            "set -eu\n" + lines.joined(separator: "\n") + "\n",
            ["VOLUME": "/volume", "SECRET": "/secret", "TARGET": "/restored"])
        let restored = bare.root.appending(path: "restored")
        if FileManager.default.fileExists(atPath: restored.path) {
            try FileManager.default.moveItem(at: restored, to: world.url(target))
        }
        return opened
    }
}

@Suite("Offline volumes", .enabled(if: qalaBinary != nil))
struct VolumeTests {
    private func small() throws -> VolumeWorld {
        try VolumeWorld { world in
            try world.write("tree/a", "a\n")
            try world.write("tree/sub/b", String(repeating: "planted plaintext ", count: 10_000))
        }
    }

    @Test("A volume of everything that Linux keeps opens by the commands of its README", arguments: ["az", "en"])
    func fidelity(language: String) throws {
        let volume = try VolumeWorld { world in _ = try FidelityTree(at: Array(world.path("tree").utf8)) }
        defer { volume.world.remove() }
        try volume.write(["latest"], expecting: 0, "--part-size", "65536")
        let verified = try volume.verify("--secret", "secret")
        #expect(verified.status == 0, "\(verified.outputText) \(verified.errorText)")
        let opened = try volume.open(by: "README.\(language).txt", into: "back")
        #expect(opened.status == 0, "\(opened.outputText) \(opened.errorText)")
        #expect(opened.outputText.contains("Signature Verified Successfully"))
        #expect(opened.outputText.contains("DECOY FOUND"))
        let fingerprint = try #require(try World.object(verified)["fingerprint"] as? String)
        #expect(opened.outputText.contains(fingerprint))

        // Holes come back as zeros, and no tar archive holds a socket.
        let ignored: Set<TreeComparison.Field> = geteuid() == 0 ? [.holes] : [.holes, .owner]
        let tree = volume.world.path("tree")
        let found = TreeComparison.differences(
            Array(tree.utf8), Array((volume.world.path("back") + tree).utf8), ignoring: ignored)
        let socket = Array("nodes/socket".utf8)
        #expect(found.filter { $0.path != socket }.isEmpty, "\(found.prefix(5))")
        #expect(found.contains { $0.path == socket })
    }

    @Test(
        "As an ISO image it is burnt, verified and opened like the directory it was made of",
        .enabled(if: access("/usr/bin/xorriso", X_OK) == 0))
    func image() throws {
        let volume = try small()
        defer { volume.world.remove() }
        try volume.write()
        let world = volume.world
        func xorriso(_ arguments: [String]) throws {
            let ran = try ProcessRunner.run(
                "/usr/bin/xorriso", arguments, environment: ["PATH": "/usr/bin:/bin", "HOME": world.folder.path],
                in: world.folder)
            try #require(ran.status == 0, "\(ran.errorText)")
        }
        // The command of docs/volumes.md.
        let page = try String(
            contentsOf: Repository.root.appending(path: "docs/volumes.md"), encoding: .utf8)
        let command = try #require(page.split(separator: "\n").first { $0.hasPrefix("xorriso -as mkisofs") })
        let words = command.replacing("/mnt/volume", with: world.path("volume")).split(separator: " ").map(String.init)
        try xorriso(Array(words.dropFirst()))
        try xorriso(["-osirrox", "on", "-indev", world.path("volume.iso"), "-extract", "/", world.path("disc")])
        let verified = try world.qala("volume", "verify", "disc", "--secret", "secret")
        #expect(verified.status == 0, "\(verified.outputText) \(verified.errorText)")
        #expect(try volume.open(by: "README.az.txt", from: "disc", into: "back").status == 0)
        let back = world.url("back" + world.path("tree/a"))
        #expect(try Data(contentsOf: back) == Data("a\n".utf8))
    }

    @Test("Every altered, missing or added file is found, and so is a decoy that was mended or removed")
    func damage() throws {
        let volume = try small()
        defer { volume.world.remove() }
        try volume.write()
        #expect(try volume.verify().status == 0)
        for name in try volume.names {
            let place = volume.world.url("volume/" + name)
            let sound = try Data(contentsOf: place)
            var bytes = sound
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: place)
            let flipped = try volume.verify()
            #expect(flipped.status == 13, "\(name): \(flipped.outputText)")
            let said = flipped.outputText + flipped.errorText
            #expect(said.contains(name) || name.hasSuffix(".sig"), "\(name): \(said)")
            try FileManager.default.removeItem(at: place)
            let removed = try volume.verify()
            #expect(removed.status == (name == "volume.json" ? 14 : 13), "\(name): \(removed.outputText)")
            try sound.write(to: place)
        }
        try volume.world.write("volume/archives/extra", "x")
        #expect(try volume.findings(try volume.verify()) == ["archives/extra"])
        try FileManager.default.removeItem(at: volume.world.url("volume/archives/extra"))

        // That a secret does not fit counts only where what the medium says of it was signed.
        let identity = volume.world.url("volume/volume.json")
        let sound = try Data(contentsOf: identity)
        var facts = try #require(try JSONSerialization.jsonObject(with: sound) as? [String: Any])
        facts["secretCheck"] = String(repeating: "0", count: 32)
        try JSONSerialization.data(withJSONObject: facts).write(to: identity)
        let unsigned = try volume.verify("--secret", "secret")
        #expect(unsigned.status == 13)
        #expect(try volume.findings(unsigned) == ["volume.json"])
        try sound.write(to: identity)

        // Mended: the decoy becomes what its own list says.
        let decoy = volume.world.url("volume/decoy.bin")
        var bytes = try Data(contentsOf: decoy)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: decoy)
        let mended = try volume.verify()
        #expect(mended.status == 13 && mended.outputText.contains("the decoy is not bad"))
        #expect(try volume.open(by: "README.en.txt", into: "never").status != 0)
        #expect(!FileManager.default.fileExists(atPath: volume.world.path("never")))
    }

    @Test("A list that another key signed is found by the register, and by the fingerprint where there is none")
    func forgery() throws {
        let volume = try small()
        defer { volume.world.remove() }
        try volume.write()
        try volume.create("other", "other-secret")
        let elsewhere = ["--state", "elsewhere"]
        let shown = try World.object(try volume.verify())
        let fingerprint = try #require(shown["fingerprint"] as? String)
        #expect(try volume.world.qala(["volume", "verify", "volume"] + elsewhere).status == 3)
        let told = ["--fingerprint", String(fingerprint.prefix(16))]
        #expect(try volume.world.qala(["volume", "verify", "volume"] + elsewhere + told).status == 0)
        #expect(try volume.world.qala(["volume", "verify", "other"] + elsewhere + told).status == 13)
        // The forger's own list and key under the id of the volume.
        for name in ["SHA256SUMS", "SHA256SUMS.sig", "volume.pub"] {
            try Data(contentsOf: volume.world.url("other/" + name)).write(to: volume.world.url("volume/" + name))
        }
        #expect(try volume.findings(try volume.verify()) == ["SHA256SUMS"])
    }

    @Test("A wrong secret is 12, a key of the vault gives the secret back, and no plaintext lies anywhere")
    func secrets() throws {
        let volume = try small()
        defer { volume.world.remove() }
        let temporary = volume.world.url("tmp")
        try FileManager.default.createDirectory(at: temporary, withIntermediateDirectories: true)
        let written = try volume.world.qala(
            ["volume", "write", "volume", "latest", "--secret", "secret"] + World.byKit,
            more: ["TMPDIR": temporary.path])
        #expect(written.status == 0, "\(written.errorText)")
        try volume.create("other", "other-secret")
        #expect(try volume.verify("--secret", "other-secret").status == 12)
        #expect(try volume.verify("--secret", "nothing").status == 14)
        let beside = ["volume", "secret", "volume", "--to", "volume/catalog/secret"]
        #expect(try volume.world.qala(beside + World.byKit).status == 64)
        let recovered = try volume.world.qala(["volume", "secret", "volume", "--to", "again"] + World.byKit)
        #expect(recovered.status == 0, "\(recovered.errorText)")
        let again = try Data(contentsOf: volume.world.url("again"))
        let first = try Data(contentsOf: volume.world.url("secret"))
        #expect(again == first)
        let verified = try World.object(try volume.verify("--secret", "again"))
        #expect(verified["archivesOpened"] as? Int == 1)

        let secret = try String(contentsOf: volume.world.url("secret"), encoding: .utf8).prefix(64)
        for folder in ["volume", "tmp", "state"] {
            let root = volume.world.url(folder)
            for name in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
                guard let bytes = try? Data(contentsOf: root.appending(path: name)) else { continue }
                #expect(bytes.range(of: Data("planted plaintext".utf8)) == nil, "\(folder)/\(name)")
                #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(folder)/\(name)")
            }
        }
        var info = stat()
        #expect(stat(volume.world.path("secret"), &info) == 0 && info.st_mode & 0o777 == 0o600)
    }

    @Test("A write that was killed leaves no volume that looks whole, and the same command goes on")
    func killed() throws {
        let volume = try VolumeWorld { world in
            var generator = SeededGenerator(seed: 7)
            let words = (0..<4_000_000).map { _ in generator.next() }
            try world.write("tree/large", words.withUnsafeBytes { Data($0) })
            try world.write("tree/small", "small\n")
        }
        defer { volume.world.remove() }
        let running = try volume.world.start(
            ["volume", "write", "volume", "latest", "--secret", "secret", "--part-size", "65536"] + World.byKit)
        let archives = volume.world.path("volume/archives")
        let end = ContinuousClock.now + .seconds(100)
        while try FileManager.default.contentsOfDirectory(atPath: archives).count < 3, ContinuousClock.now < end {
            usleep(500)
        }
        running.send(SIGKILL)
        #expect(try running.wait().status == 128 + SIGKILL)
        let verified = try volume.verify("--secret", "secret")
        #expect(verified.status == 13)
        #expect(try volume.findings(verified).contains("UNFINISHED.txt"))
        #expect(try volume.open(by: "README.en.txt", into: "never").status != 0)
        try FileManager.default.copyItem(at: volume.world.url("volume"), to: volume.world.url("copy"))

        try volume.write(["latest"], expecting: 0, "--part-size", "1048576")
        let whole = try volume.verify("--secret", "secret")
        #expect(whole.status == 0, "\(whole.outputText)")
        let names = try volume.names
        #expect(!names.contains { $0.hasSuffix(".new") })
        #expect(try volume.open(by: "README.az.txt", into: "back").status == 0)
        let again = try World.object(try volume.write())
        let skipped = try #require(again["skipped"] as? [String])
        let written = try #require(again["written"] as? [[String: Any]])
        #expect(skipped.count == 1 && written.isEmpty)

        // The copy has a mark too, but not what the register knows by now: it is not signed as if it had.
        let before = try Data(contentsOf: volume.world.url("copy/SHA256SUMS"))
        let refused = try volume.world.qala(
            ["volume", "write", "copy", "latest", "--secret", "secret"] + World.byKit)
        #expect(refused.status == 13, "\(refused.errorText)")
        let after = try Data(contentsOf: volume.world.url("copy/SHA256SUMS"))
        #expect(after == before)
    }

    @Test("A volume that is full keeps what it has and stays whole")
    func full() throws {
        let world = try World()
        defer { world.remove() }
        var generator = SeededGenerator(seed: 9)
        let words = (0..<400_000).map { _ in generator.next() }
        try world.write("tree/large", words.withUnsafeBytes { Data($0) })
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        let create = ["volume", "create", "volume", "--shelf", "1", "--capacity", "1500000", "--secret", "secret"]
        #expect(try world.qala(create + World.byKit).status == 0)
        let write = ["volume", "write", "volume", "latest", "--secret", "secret"]
        let dry = try World.object(try world.qala(write + ["--dry-run", "--json"] + World.byKit))
        #expect((dry["written"] as? [Any])?.count == 1)
        let done = try world.qala(write + World.byKit)
        #expect(done.status == 1 && done.errorText.contains("the volume is full"), "\(done.errorText)")
        #expect(try world.qala("volume", "verify", "volume", "--secret", "secret").status == 0)
    }

    @Test("The register knows shelf, holder, what to fetch and when to verify again, and its log is a chain")
    func register() throws {
        let volume = try small()
        defer { volume.world.remove() }
        try volume.write()
        let archive = try #require(try volume.world.archives().first)
        func row(_ more: String...) throws -> [String: Any]? {
            let listed = try World.object(try volume.world.qala(["volume", "list", "--json"] + more))
            return (listed["volumes"] as? [[String: Any]])?.first
        }
        let record = try #require(try row()?["volume"] as? [String: Any])
        let id = try #require(record["id"] as? String)
        #expect(record["shelf"] as? String == "B-12")
        let overdue = try row("--overdue")
        #expect(overdue?.isEmpty ?? true)
        #expect(try volume.world.qala("volume", "checkout", id, "--to", "Aysel").status == 0)
        #expect(try volume.world.qala("volume", "checkout", id, "--to", "Rauf").status == 1)
        let out = try #require(try row()?["volume"] as? [String: Any])
        #expect(out["holder"] as? String == "Aysel" && out["shelf"] == nil)
        #expect(try volume.world.qala("volume", "checkin", String(id.prefix(6)), "--shelf", "C-1").status == 0)
        #expect(try volume.world.qala("volume", "checkin", "ffff", "--shelf", "C-1").status == 14)

        let tree = volume.world.path("tree")
        let pull = try World.object(
            try volume.world.qala("volume", "pull-list", String(archive.prefix(12)), tree + "/sub", "--json"))
        #expect((pull["pull"] as? [[String: Any]])?.first?["shelf"] as? String == "C-1")
        let nothing = try volume.world.qala("volume", "pull-list", archive, "/nowhere", "--json")
        #expect(nothing.status == 14 && nothing.errorText.hasPrefix(#"{"error":"#), "\(nothing.errorText)")
        #expect(
            try volume.world.qala("volume", "pull-list", "latest", tree + "/sub").status == 0,
            "names that the vault knows")
        for place in ["volume", id] {
            let listed = try World.object(
                try volume.world.qala("volume", "inventory", place, "--path", tree + "/sub", "--json"))
            let paths = (listed["entries"] as? [[String: Any]])?.compactMap { $0["path"] as? String }
            #expect(paths == [tree + "/sub", tree + "/sub/b"], "\(place)")
        }
        let label = try volume.world.qala("volume", "label", id, "--language", "az").outputText
        #expect(label.contains(id) && label.contains("C-1") && label.contains("█"))

        let custody = try #require(try row()?["custody"] as? [[String: Any]])
        #expect(custody.compactMap { $0["act"] as? String } == ["created", "written", "checkedOut", "checkedIn"])
        let log = volume.world.url("state/volumes/\(id).custody")
        let text = try String(contentsOf: log, encoding: .utf8)
        try text.replacingOccurrences(of: "Aysel", with: "Nobody").write(to: log, atomically: true, encoding: .utf8)
        #expect(try volume.world.qala("volume", "list").status == 13)
    }

    @Test("The register of media tells label, shelf, custody, verifications and how many archives there are")
    func media() throws {
        let volume = try small()
        defer { volume.world.remove() }
        try volume.write()
        try volume.create("short", "short-secret", "--reverify", "1 second")
        func rows(_ more: String...) throws -> [[String: String]] {
            let listed = try volume.world.qala(["register", "media", "list", "--json"] + more)
            #expect(listed.status == 0, "\(listed.errorText)")
            let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
            return rows.compactMap { $0["fields"] as? [String: String] }
        }
        let row = try #require(try rows().last { $0["archives"] == "1" })
        #expect(row["title"] == "Sınaq" && row["shelf"] == "B-12" && row["state"] == "shelf" && row["holder"] == nil)
        #expect(row["written"] != nil && row["verified"] == nil && row["verifyBy"] != nil && row["overdue"] == nil)
        let id = try #require(row["volume"])
        #expect(try volume.world.qala("volume", "checkout", id, "--to", "=Aysel").status == 0)
        let out = try #require(try rows("--kind", "out").first)
        #expect(out["volume"] == id && out["holder"] == "=Aysel" && out["shelf"] == nil)
        let acts = try #require(out["custody"]).split(separator: "\n")
        #expect(acts.count == 3 && acts[2].contains("checkedOut =Aysel"), "\(acts)")
        let end = ContinuousClock.now + .seconds(60)
        while try rows("--open").isEmpty, ContinuousClock.now < end { usleep(100_000) }
        #expect(try rows("--open").compactMap { $0["archives"] } == ["0"], "only the overdue one")
        let csv = try volume.world.qala("register", "media", "export", "--format", "csv")
        #expect(csv.outputText.hasPrefix("volume,title,state,shelf,holder,created,"), "\(csv.outputText)")
        #expect(csv.outputText.contains("\"'=Aysel\""), "\(csv.outputText)")
        let shown = try volume.world.qala("register", "media", "show", String(id.prefix(6)), "--language", "az")
        #expect(shown.status == 0 && shown.outputText.contains("rəfdə deyil"), "\(shown.outputText)")
        let table = try volume.world.qala("register", "media", "list")
        #expect(table.outputText.contains("overdue") && table.outputText.contains("Sınaq"), "\(table.outputText)")
    }

    @Test("Only a verification with the secret moves the day of the next one")
    func due() throws {
        let volume = try small()
        defer { volume.world.remove() }
        try volume.create("short", "short-secret", "--reverify", "1 second")
        func overdue() throws -> Int? {
            let listed = try World.object(try volume.world.qala("volume", "list", "--overdue", "--json"))
            return (listed["volumes"] as? [Any])?.count
        }
        let end = ContinuousClock.now + .seconds(60)
        while try overdue() != 1, ContinuousClock.now < end { usleep(100_000) }
        #expect(try overdue() == 1)
        #expect(try volume.world.qala("volume", "verify", "short").status == 0)
        #expect(try overdue() == 1)
        let due = try World.object(
            try volume.world.qala("volume", "verify", "short", "--secret", "short-secret", "--json"))
        #expect(due["archivesOpened"] as? Int == 0)
        let listed = try World.object(try volume.world.qala("volume", "list", "--json"))
        let records = (listed["volumes"] as? [[String: Any]])?.compactMap { $0["volume"] as? [String: Any] }
        #expect(records?.filter { $0["verified"] != nil }.count == 1)
    }
}
