import Domain
import Testing
import Vault

@Suite("Recovery kit and key file")
struct KitTests {
    private let vaultID = Random.digest()

    @Test("A code is read back however it is typed")
    func roundTrip() throws {
        for _ in 0..<20 {
            let secret = try Secret.random()
            let code = KeyText.encode(secret, vaultID: vaultID)
            #expect(code.utf8.count == 6 + 60 + 11)
            let sloppy = code.replacing("0", with: "o").replacing("1", with: "l").lowercased()
            let forms = [
                code, code.lowercased(), sloppy, sloppy.replacing("l", with: "I"), code.replacing("-", with: ""),
                code.replacing("-", with: " \n"), "  \(code)\r\n", "q a l a - 1 - " + code.dropFirst(6),
            ]
            for form in forms { #expect(try KeyText.decode(form, vaultID: vaultID) == secret) }
        }
    }

    @Test("One wrong character fails the check, and the error names its group")
    func typingErrors() throws {
        let code = Array(KeyText.encode(try Secret.random(), vaultID: vaultID))
        for at in stride(from: 6, to: code.count, by: 8) where code[at] != "-" {
            var typed = code
            typed[at] = code[at] == "7" ? "8" : "7"
            let error = #expect(throws: VaultError.self) { try KeyText.decode(String(typed), vaultID: vaultID) }
            #expect(error?.code == .wrongKey)
            #expect(error?.message.contains("check") == true)
            #expect(error?.hint.contains("group \((at - 6) / 6 + 1) of 12") == true)
        }
    }

    @Test("Two exchanged characters and the code of another vault fail the check")
    func otherErrors() throws {
        let secret = try Secret.random()
        let text = KeyText.encode(secret, vaultID: vaultID)
        let other = #expect(throws: VaultError.self) { try KeyText.decode(text, vaultID: .zero) }
        #expect(other?.code == .wrongKey)
        #expect(other?.hint.contains("0000000000000000") == true)
        var code = Array(text)
        var at = 6
        while code[at] == code[at + 1] || code[at] == "-" || code[at + 1] == "-" { at += 1 }
        code.swapAt(at, at + 1)
        #expect(throws: VaultError.self) { try KeyText.decode(String(code), vaultID: vaultID) }
    }

    @Test(
        "What is no code is told from a mistyped one",
        arguments: ["", "QALA1", "QALA1-00000", "QALA2-" + String(repeating: "0", count: 60), "salam", "QALA1-ə"])
    func noCode(text: String) throws {
        for text in [text, text + String(repeating: "0", count: 3000)] {
            let error = #expect(throws: VaultError.self) { try KeyText.decode(text, vaultID: vaultID) }
            #expect(error?.code == .invalidInput)
            #expect(error?.hint.isEmpty == false)
        }
    }

    @Test("Digits after the last bit must be zero, so that a secret has one code")
    func padding() throws {
        let code = KeyText.encode(try Secret.random(), vaultID: vaultID)
        let last = try #require(code.last)
        #expect(last == "0" || last == "G")
        for digit in "123456789ABCDEFHJKMNPQRSTVWXYZ" where digit != last {
            #expect(throws: VaultError.self) { try KeyText.decode(code.dropLast() + String(digit), vaultID: vaultID) }
        }
    }

    @Test("A key file is read back, with comments and line breaks anywhere")
    func keyFile() throws {
        let secret = try Secret.random()
        let file = KeyFile.encode(secret, vaultID: vaultID, label: "standby\nQALA1-not a key")
        #expect(try KeyFile.decode(Array(file.utf8), vaultID: vaultID) == secret)
        #expect(file.split(separator: "\n").filter { !$0.hasPrefix("#") }.count == 1)
        let code = KeyText.encode(secret, vaultID: vaultID).replacing("-", with: "-\r\n  # group\r\n")
        #expect(try KeyFile.decode(Array("# a\r\n\r\n\(code)".utf8), vaultID: vaultID) == secret)
        for bad in [[], Array("# only a comment\n".utf8), [0xFF, 0xFE], [UInt8](repeating: 0x20, count: 70_000)] {
            let error = #expect(throws: VaultError.self) { try KeyFile.decode(bad, vaultID: vaultID) }
            #expect(error?.code == .invalidInput)
        }
    }

    @Test("The kit tells in both languages what it is, and holds the code, the vault and the head of the log")
    func document() throws {
        let secret = try Secret.random()
        let head = Random.digest()
        let text = try RecoveryKit(
            secret: secret, vaultID: vaultID, logNumber: 4711, logDigest: head, created: "2026-11-22",
            vaultLocation: "/var/lib/qala/vault"
        ).document()
        let squeezed = text.filter { !$0.isWhitespace }
        #expect(squeezed.contains(KeyText.encode(secret, vaultID: vaultID)))
        #expect(squeezed.contains(vaultID.hex))
        #expect(squeezed.contains(head.hex))
        for part in ["BƏRPA DƏSTİ", "RECOVERY KIT", "4711", "2026-11-22", "/var/lib/qala/vault", "qala restore"] {
            #expect(text.contains(part))
        }
        #expect(try KeyFile.decode(Array(text.utf8), vaultID: vaultID) == secret)
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    @Test("The QR symbol has its finder patterns and a quiet zone of four modules")
    func symbol() throws {
        let text = try RecoveryKit(
            secret: try Secret.random(), vaultID: vaultID, logNumber: 0, logDigest: .zero, created: "",
            vaultLocation: ""
        ).document()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(Array.init)
        let drawn = lines.indices.filter { lines[$0].contains { "█▀▄".contains($0) } }
        let (first, last) = (try #require(drawn.first), try #require(drawn.last))
        var modules: [[Bool]] = []
        for line in lines[first...last] {
            modules.append(line.map { $0 == "█" || $0 == "▀" })
            modules.append(line.map { $0 == "█" || $0 == "▄" })
        }
        for line in lines[first - 2..<first] + lines[last + 1...last + 2] { #expect(line.allSatisfy { $0 == " " }) }
        let finder = [
            "#######", "#     #", "# ### #", "# ### #", "# ### #", "#     #", "#######",
        ].map { $0.map { $0 == "#" } }
        let width = try #require(modules.map(\.count).max()) - 4
        #expect((width - 17).isMultiple(of: 4))
        for corner in [(4, 0), (4 + width - 7, 0), (4, width - 7)] {
            for (y, row) in finder.enumerated() {
                for (x, isDark) in row.enumerated() {
                    let line = modules[corner.1 + y]
                    #expect((corner.0 + x < line.count && line[corner.0 + x]) == isDark)
                }
            }
        }
        #expect(modules.allSatisfy { $0.prefix(4).allSatisfy { !$0 } })
    }
}
