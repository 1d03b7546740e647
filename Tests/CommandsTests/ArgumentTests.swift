import API
import ArgumentParser
import Domain
import Testing

@testable import Commands
@testable import Operations

@Suite("Arguments")
struct ArgumentTests {
    @Test(
        "An archive and a path are divided at the first colon before a slash",
        arguments: [
            ("latest", "latest", nil), ("3fa9:/etc", "3fa9", "/etc"), ("latest:config", "latest:config", nil),
            ("latest:config:/etc/x", "latest:config", "/etc/x"),
            ("2026-11-22T15:00:00Z:/a:/b", "2026-11-22T15:00:00Z", "/a:/b"), ("latest:/", "latest", "/"),
        ] as [(String, String, String?)])
    func division(text: String, archive: String, path: String?) {
        let place = ArchivePath(text)
        #expect(place?.archive == archive && place?.path == path)
    }

    @Test("A path without an archive is refused", arguments: ["", ":/etc", "/etc", "/etc:/x"])
    func noArchive(text: String) {
        #expect(ArchivePath(text) == nil)
    }

    @Test("A share is a number above 0 and up to 100")
    func shares() throws {
        #expect(try Verify.percent("5%", .english) == 5)
        #expect(try Verify.percent("0.5", .english) == 0.5)
        for text in ["", "%", "0", "101", "-1", "1e1", "nan", "5%%"] {
            #expect(throws: CommandError.self) { try Verify.percent(text, .english) }
        }
    }

    @Test(
        "An option of another kind of restore is refused by its name, with what to write instead, in both languages",
        arguments: [
            (["--server", "m", "--target-lsn", "0/1"], "--target-lsn", "--target-position"),
            (["--server", "m", "--target-xid", "3"], "--target-xid", "--target-gtid"),
            (["--server", "m", "--target-name", "n"], "--target-name", "--target-time"),
            (["--server", "m", "--target", "latest", "--target-timeline", "2"], "--target-timeline", ""),
            (["--server", "m", "--target", "latest", "--target-action", "pause"], "--target-action", ""),
            (["--server", "m", "--target", "latest", "--wal-source", "w"], "--wal-source", ""),
            (["--server", "m", "--tablespace-map", "1=/a"], "--tablespace-map", "--to"),
            (["--server", "m", "--delta"], "--delta", ""), (["--server", "m", "--verify"], "--verify", "qala verify"),
            (["--server", "m", "--in-place"], "--in-place", "--to"), (["/etc", "--server", "m"], "/etc", "--server"),
            (["--cluster", "m", "--target-position", "b.1:4"], "--target-position", "--target-lsn"),
            (["--cluster", "m", "--target-gtid", "0-1-2"], "--target-gtid", "--target-xid"),
            (["--cluster", "m", "--conflict", "skip"], "--conflict", "--delta"),
            (["--cluster", "m", "--in-place"], "--in-place", "--to"),
            (["/etc", "--cluster", "m"], "/etc", "--cluster"),
            (["--cluster", "m", "--server", "m"], "--server", ""),
            (["--target-lsn", "0/1"], "--target-lsn", "--cluster"),
            (["--target-gtid", "0-1-2"], "--target-gtid", "--server"), (["--delta"], "--delta", "--cluster"),
            (["--tablespace-map", "1=/a"], "--tablespace-map", "--cluster"),
            (["--target-time", "2026-11-23 09:50"], "--target-time", "--cluster"),
        ] as [([String], String, String)])
    func misplaced(words: [String], option: String, instead: String) throws {
        let restore = try #require(try Qala.parseAsRoot(["restore", "latest", "--to", "/nowhere"] + words) as? Restore)
        let subject: Restore.Subject = restore.cluster != nil ? .cluster : restore.server != nil ? .server : .files
        for language in Language.allCases {
            let error = #expect(throws: CommandError.self) {
                try restore.checkOptions(for: subject, path: restore.paths.first, language)
            }
            #expect(error?.kind == .usage && error?.message.contains(option) == true, "\(error?.message ?? "")")
            #expect(error?.hint.isEmpty == false && (instead.isEmpty || error?.hint.contains(instead) == true))
        }
    }

    @Test("Options of the kind of restore that is asked for pass, and of two targets both are named")
    func wellPlaced() throws {
        for (words, subject) in [
            (["--cluster", "m", "--target-lsn", "0/1", "--tablespace-map", "1=/a", "--delta", "--verify"], .cluster),
            (["--server", "m", "--target-gtid", "0-1-2"], .server),
            (["/etc", "--conflict", "skip", "--verify"], .files),
        ] as [([String], Restore.Subject)] {
            let restore = try #require(
                try Qala.parseAsRoot(["restore", "latest", "--to", "/nowhere"] + words) as? Restore)
            try restore.checkOptions(for: subject, path: restore.paths.first, .english)
        }
        let both = try PointInTimeOptions.parse(["--target", "latest", "--target-lsn", "0/1"])
        let error = #expect(throws: CommandError.self) { try both.options(.english) }
        #expect(error?.message == "--target, --target-lsn are 2 targets; name one")
    }

    @Test("The code of a key is found in a kit, over line ends, and small letters count")
    func kitCode() {
        let groups = Array(repeating: "0AbC9", count: 12)
        let code = "QALA1-" + groups.joined(separator: "-")
        let kit =
            "Codes begin with QALA1-.\nYour code:\n  qala1-" + groups.prefix(6).joined(separator: "-") + "-\n  "
            + groups.suffix(6).joined(separator: " ") + "\nKeep it."
        #expect(String(decoding: KitCode.find(in: Array(kit.utf8)), as: UTF8.self) == code)
        #expect(String(decoding: KitCode.find(in: Array(code.utf8)), as: UTF8.self) == code)
        #expect(KitCode.find(in: Array("QALA1-123".utf8)) == Array("QALA1-123".utf8))
        #expect(KitCode.find(in: []).isEmpty)
    }

    @Test("Places follow the user and the XDG variables, and relative ones do not count")
    func places() {
        func set(_ variables: [String: String]) -> (String) -> String? { { variables[$0] } }
        #expect(Places.vault(isRoot: true, set([:])) == "/var/lib/qala/vault")
        #expect(Places.state(isRoot: true, set([:])) == "/var/lib/qala/state")
        #expect(Places.vault(isRoot: false, set(["HOME": "/home/a"])) == "/home/a/.local/share/qala/vault")
        #expect(Places.state(isRoot: false, set(["HOME": "/home/a", "XDG_STATE_HOME": "/s"])) == "/s/qala")
        #expect(Places.state(isRoot: false, set(["HOME": "/h", "XDG_STATE_HOME": "s"])) == "/h/.local/state/qala")
    }

    @Test("An empty path is refused instead of meaning the current directory")
    func emptyPath() throws {
        let session = Session(try CommonOptions.parse(["--vault", "/v", "--state", "/s"]))
        #expect(throws: CommandError.self) { try session.absolute("") }
        #expect(try session.workplace().vaultPath == "/v")
        let empty = Session(try CommonOptions.parse(["--vault", ""]))
        #expect(throws: CommandError.self) { try empty.workplace() }
    }

    @Test("Bytes that are not UTF-8 are shown as what they are")
    func rawText() {
        #expect(RawText.unreadable(Array("/ə\n".utf8)) == nil)
        #expect(RawText.unreadable(Array("/ə\n".utf8) + [0xFF, 0x61, 0xC3]) == "/ə\\n\\xFFa\\xC3")
        #expect(RawText.unreadable([0xED, 0xA0, 0x80]) == "\\xED\\xA0\\x80")
    }

    @Test("A date or a minute means its last second, and what the calendar lacks means nothing")
    func times() {
        #expect(TimeText.parse("2026-11-22T15:51:52Z") == 1_795_362_712)
        #expect(TimeText.parse("2026-11-22T19:51:52.5+04:00") == 1_795_362_712)
        #expect(TimeText.parse("2026-11-22T15:51Z") == 1_795_362_719)
        #expect(TimeText.parse("2026-11-23 06:57") == TimeText.parse("2026-11-23T06:57:59"))
        #expect(TimeText.parse("2026-11-23") == TimeText.parse("2026-11-23T23:59:59"))
        #expect(TimeText.parse("2028-02-29") != nil)
        for text in [
            "2027-02-29", "2027-02-30", "2027-04-31", "2027-13-01", "2027-00-01", "2027-01-00", "2027-01-01T24:00",
            "2027-01-01T10:60", "2027-01-01T1:00", "2027-01-01T10:00+25:00", "2027-01-01T10:00+04.00", "2027-01-01T",
        ] { #expect(TimeText.parse(text) == nil, "\(text)") }
    }

    @Test("The process is read from the names of temporary files, and from no others")
    func leftovers() {
        #expect(StateLeftovers.process(of: "ab.names.17.new") == 17)
        #expect(StateLeftovers.process(of: "head.17.123.new") == 17)
        #expect(StateLeftovers.process(of: "ab.17.18446744073709551615.new") == 17)
        for name in ["ab.names", "ab.new", "ab.names.new", "ab.names.-1.new", "ab.names.0.new", "ab.names.17"] {
            #expect(StateLeftovers.process(of: name) == nil, "\(name)")
        }
    }

    @Test("The option goes before the policy's vault")
    func precedence() throws {
        let plain = Session(try CommonOptions.parse(["--state", "/s"]))
        #expect(try plain.workplace(preferred: "/p").vaultPath == "/p")
        let chosen = Session(try CommonOptions.parse(["--vault", "/v", "--state", "/s"]))
        #expect(try chosen.workplace(preferred: "/p").vaultPath == "/v")
    }
}
