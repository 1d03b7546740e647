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
