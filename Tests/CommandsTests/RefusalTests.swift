import Foundation
import Glibc
import Testing

extension World {
    /// Runs a line of shell, in which `$0` is the binary: for arguments that are no text.
    fileprivate func shell(_ line: String) throws -> Finished {
        try ProcessRunner.run(
            "/bin/sh", ["-c", line, try #require(qalaBinary)],
            environment: [
                "HOME": folder.path, "PATH": "/usr/bin:/bin", "QALA_VAULT": path("vault"),
                "QALA_STATE": path("state"), "QALA_KEY_FILE": path("kit.txt"), "SWIFT_BACKTRACE": "enable=no",
            ], in: folder)
    }

    /// A vault that only `kit.txt` opens, and one archive of `tree`.
    fileprivate func archiveTree() throws {
        try #require(try qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        try #require(try qala("archive", "tree").status == 0)
    }

    fileprivate func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    fileprivate func rows(_ arguments: [String], under key: String) throws -> [[String: Any]] {
        let finished = try qala(arguments + ["--json"] + World.byKit)
        #expect(finished.status == 0, "\(arguments): \(finished.errorText)")
        return try #require(try World.object(finished)[key] as? [[String: Any]])
    }
}

/// What the real binary refuses, and what it leaves as it was when it does.
@Suite("Refusals of the real binary", .enabled(if: qalaBinary != nil))
struct RefusalTests {
    @Test("What is not UTF-8 is refused before it can name something else; in trees every byte comes back")
    func notUTF8() throws {
        let world = try World()
        defer { world.remove() }
        // The second name is what the first one would be read as.
        let made = try world.shell(
            #"mkdir tree && printf right > "tree/$(printf 'n\377')" && printf wrong > "tree/$(printf 'n\357\277\275')""#
        )
        #expect(made.status == 0, "\(made.errorText)")
        try world.archiveTree()
        let variables = ["QALA_VAULT", "QALA_STATE", "QALA_PASSPHRASE_FILE", "QALA_SOCKET", "HOME"]
        let lines = [
            #""$0" cat "latest:$PWD/tree/$(printf 'n\377')""#, #""$0" archive "tree/$(printf 'n\377')" --json"#,
            #"mkdir "$(printf 'd\377')" && cd "$(printf 'd\377')" && "$0" archive ."#,
        ]
        for line in lines + variables.map({ $0 + #"="$PWD/$(printf 'v\377')" "$0" archives"# }) {
            let refused = try world.shell(line)
            #expect(refused.status == 64 && refused.output.isEmpty, "\(line): \(refused.errorText)")
            #expect(refused.errorText.contains("\\xFF"), "\(line): \(refused.errorText)")
        }
        // Where no relative path is made absolute the name of the directory does not matter.
        #expect(try world.shell(#"cd "$(printf 'd\377')" && "$0" archives"#).status == 0)

        let bytes = Data(Array(world.path("tree/n").utf8) + [0xFF]).base64EncodedString()
        func check(_ rows: [[String: Any]]) {
            #expect(rows.compactMap { $0["pathBytes"] as? String } == [bytes])
            #expect(rows.count { $0["path"] as? String == world.path("tree/n\u{FFFD}") } == 2)
        }
        check(try world.rows(["ls", "latest:" + world.path("tree")], under: "entries"))
        check(try world.rows(["find", "n", "--path", "tree"], under: "found"))
        let first = try #require(try world.archives().first)
        #expect(try world.shell(#"rm tree/n*"#).status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        let differences = try world.rows(["diff", first, "latest"], under: "differences")
        check(differences.filter { $0["change"] as? String == "-" })
        #expect(try world.qala(["restore", first, "--to", "back"] + World.byKit).status == 0)
        #expect(try world.shell(#"cat "back$PWD/tree/$(printf 'n\377')""#).outputText == "right")

        #expect(try world.shell(#"rm -r back && mkdir -p "back$PWD/tree/$(printf 'n\377')""#).status == 0)
        let blocked = try world.qala(
            ["restore", first, "--to", "back", "--conflict", "overwrite", "--json"] + World.byKit)
        #expect(blocked.status == 3)
        let problems = try #require(try World.object(blocked)["problems"] as? [[String: Any]])
        #expect(problems.map { $0["pathBytes"] as? String } == [bytes])
    }

    @Test("A sample reads one pack at least, tells the totals, and does not pass for all of the data")
    func sample() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        try world.archiveTree()
        let said = try world.qala(["verify", "--sample", "0.001%"] + World.byKit)
        #expect(said.status == 0 && said.outputText.contains("a sample"), "\(said.outputText)\(said.errorText)")
        #expect(!said.outputText.contains("Data verified"))
        let sample = try World.object(try world.qala(["verify", "--sample", "0.001%", "--json"] + World.byKit))
        let whole = try World.object(try world.qala(["verify", "--read-data", "--json"] + World.byKit))
        #expect(sample["depth"] as? String == "sample" && whole["depth"] as? String == "data")
        for total in ["archives", "records", "packs", "chunks"] {
            #expect(sample[total] as? Int == whole[total] as? Int, "\(total)")
        }
        let read = try #require(sample["packsRead"] as? Int)
        #expect(read >= 1 && (sample["chunksRead"] as? Int ?? 0) >= 1)
    }

    @Test("Of a vault that was rolled back only that is told")
    func rolledBack() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        try world.archiveTree()
        try FileManager.default.copyItem(at: world.url("vault"), to: world.url("old"))
        try world.write("tree/b", "2\n")
        #expect(try world.qala("archive", "tree").status == 0)
        try FileManager.default.removeItem(at: world.url("vault"))
        try FileManager.default.moveItem(at: world.url("old"), to: world.url("vault"))
        let found = try world.qala("verify")
        #expect(found.status == 13, "\(found.errorText)")
        #expect(found.outputText.hasPrefix("Damage found: 1 objects.\n"), "\(found.outputText)")
        #expect(found.outputText.contains("cut short or replaced") && !found.outputText.contains("Freshness"))
        #expect(try World.object(try world.qala("verify", "--json"))["opened"] as? Bool == false)
    }

    @Test("An init whose kit or passphrase is refused leaves nothing behind, and no file is replaced")
    func initialization() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("taken", "mine\n")
        for kit in ["missing/kit.txt", "taken", "taken/kit.txt"] {
            let refused = try world.qala("init", "--write-only-host", "--kit", kit)
            #expect(refused.status == 1, "\(kit): \(refused.errorText)")
            #expect(!world.exists("vault") && !world.exists("state"), "\(kit)")
        }
        #expect(try String(contentsOf: world.url("taken"), encoding: .utf8) == "mine\n")
        #expect(try world.qala("init", "--kit", "kit.txt", "--passphrase-file", "none").status == 14)
        #expect(!world.exists("vault") && !world.exists("kit.txt"))
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("init", "--write-only-host", "--kit", "second.txt").status != 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: world.folder.path)
        #expect(!names.contains { $0.hasSuffix(".new") || $0.hasPrefix("second") }, "\(names)")
        #expect(try world.qala(["key", "test"] + World.byKit).status == 0)
    }

    @Test("Dates that the calendar lacks are 64, and times as people write them are understood")
    func dates() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        try world.archiveTree()
        let expected: [(String, Int32)] = [
            ("2027-02-30", 64), ("2027-13-01", 64), ("2027-02-29T10:00:00Z", 64), ("2027-01-01 24:00", 64),
            ("2024-02-29", 14), ("2000-01-01 00:00", 14), ("2099-01-01 00:00", 0), ("2099-01-01T00:00", 0),
            ("2099-01-01T00:00Z:/", 0),
        ]
        for (date, status) in expected {
            let finished = try world.qala(["ls", date] + World.byKit)
            #expect(finished.status == status, "\(date): \(finished.errorText)")
        }
    }

    @Test("A file where a directory must be is told as such, and an empty pattern is refused")
    func files() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        try world.archiveTree()
        for target in ["tree/a", "tree/a/below"] {
            let refused = try world.qala(["restore", "latest", "--to", target] + World.byKit)
            #expect(refused.status == 64 && refused.errorText.contains("not a directory"), "\(refused.errorText)")
        }
        for command in [["archives"], ["init", "--write-only-host", "--kit", "other.txt"]] {
            let refused = try world.qala(command + ["--vault", "tree/a"])
            #expect(refused.status == 10 && refused.errorText.contains("is not a directory"), "\(refused.errorText)")
        }
        #expect(!world.exists("other.txt"))
        #expect(try world.qala("archive", "tree", "--exclude", "").status == 64)
    }

    @Test("Output that cannot be written is 1, whichever command it is", arguments: ["manual", "--help", "archives"])
    func unwritable(command: String) throws {
        let world = try World()
        defer { world.remove() }
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        let finished = try world.shell("\"$0\" \(command) > /dev/full")
        #expect(finished.status == 1 && finished.errorText.hasPrefix("qala: "), "\(finished.errorText)")
    }

    @Test("What killed runs left in the state goes after a day; what is still open stays")
    func leftovers() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "1\n")
        try world.archiveTree()
        let host = try #require(
            try FileManager.default.contentsOfDirectory(atPath: world.path("state")).first { $0.count == 32 })
        let id = String(repeating: "ab", count: 32)
        // Linux gives no process this number. The last one's process lives, and does not have the file open.
        let dead = 4_194_305
        let gone = [
            "catalog/\(id).names.\(dead).new", "trees/\(id).\(dead).7.new", "catalog/\(id).archive.\(getpid()).new",
        ]
        let young = "catalog/\(id).names.\(dead + 1).new"
        for name in gone + [young] { try world.write("state/\(host)/\(name)", "left\n") }
        let kept = "state/\(host)/catalog/\(id).names.\(getpid()).new"
        let descriptor = open(world.path(kept), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        #expect(descriptor >= 0)
        let old = [timeval(tv_sec: time(nil) - 90_000, tv_usec: 0), timeval(tv_sec: time(nil) - 90_000, tv_usec: 0)]
        for name in gone.map({ "state/\(host)/\($0)" }) + [kept] { #expect(utimes(world.path(name), old) == 0) }
        #expect(try world.qala("archives").status == 0)
        for name in gone { #expect(!world.exists("state/\(host)/\(name)"), "\(name)") }
        #expect(world.exists(kept) && world.exists("state/\(host)/\(young)"))
    }

    @Test("What was asked wrongly is 64, and every refusal says what to do next")
    func hints() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        try world.write("short", "seven77\n")
        try world.write("empty", "\n")
        func error(_ arguments: [String]) throws -> (status: Int32, hint: String) {
            let refused = try world.qala(arguments + ["--json"])
            let body = try JSONSerialization.jsonObject(with: Data(refused.errors)) as? [String: Any]
            let error = try #require(body?["error"] as? [String: Any], "\(arguments): \(refused.errorText)")
            return (refused.status, try #require(error["hint"] as? String))
        }
        for (file, status) in [("short", 64), ("empty", 64), ("none", 14)] as [(String, Int32)] {
            chmod(world.path(file), 0o600)
            let refused = try error(["init", "--kit", "kit.txt", "--passphrase-file", file])
            #expect(refused.status == status && !refused.hint.isEmpty, "\(file): \(refused)")
        }
        try world.write("tree/a", "a")
        try world.archiveTree()
        let noKey = try error(["verify", "--key-file", "nosuch"])
        #expect(noKey.status == 14 && noKey.hint.contains("--key-file"), "\(noKey)")
        for period in ["0", "0 days", "soon"] {
            let create = ["volume", "create", "disk", "--shelf", "B", "--secret", "s", "--reverify", period]
            let refused = try error(create)
            #expect(refused.status == 64 && !refused.hint.isEmpty, "\(period): \(refused)")
        }
        #expect(!world.exists("disk") && !world.exists("s"))
        #expect(try error(["volume", "pull-list", "3fa91c02"]).status == 14)
    }
}
