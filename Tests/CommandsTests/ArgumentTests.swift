import API
import ArgumentParser
import Domain
import Operations
import Testing

@testable import Commands

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

    @Test("The option goes before the policy's vault")
    func precedence() throws {
        let plain = Session(try CommonOptions.parse(["--state", "/s"]))
        #expect(try plain.workplace(preferred: "/p").vaultPath == "/p")
        let chosen = Session(try CommonOptions.parse(["--vault", "/v", "--state", "/s"]))
        #expect(try chosen.workplace(preferred: "/p").vaultPath == "/v")
    }
}
