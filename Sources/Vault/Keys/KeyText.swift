import COpenSSL
package import Domain

/// A reader's secret as text that people can type: `QALA1-` and 60 digits of Crockford's base 32 in groups of five.
///
/// 37 bytes, the secret and 5 bytes of check, most significant bit first, then four zero bits. The check covers the
/// first eight bytes of the vault id too, so that a code typed for another vault is told apart from a wrong key.
package enum KeyText {
    private static let prefix: StaticString = "QALA1"
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
    private static let digitCount = 60
    private static let groupDigits = 5
    private static let checkBytes = 5

    package static func encode(_ secret: Secret, vaultID: Digest) -> String {
        var payload = secret.withBytes { Array($0) }
        payload.reserveCapacity(Secret.byteCount + checkBytes)
        defer { Wipe.array(&payload) }
        payload += check(payload, vaultID: vaultID)
        var text = "\(prefix)"
        var bits: UInt32 = 0
        var bitCount = 0
        var digits = 0
        for byte in payload + [0] {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 5, digits < digitCount {
                bitCount -= 5
                if digits.isMultiple(of: groupDigits) { text += "-" }
                text.unicodeScalars.append(Unicode.Scalar(alphabet[Int(bits >> UInt32(bitCount) & 31)]))
                digits += 1
            }
            bits &= 0xFF
        }
        return text
    }

    /// Case, spaces, line breaks and dashes do not matter; I and L read as 1, O as 0. A typing error is always told
    /// from a key that opens nothing, and where one digit is wrong, its group is named.
    package static func decode(_ text: String, vaultID: Digest) throws(VaultError) -> Secret {
        var digits = try values(of: text)
        defer { for at in digits.indices { digits[at] = 0 } }
        if let secret = try secret(from: digits, vaultID: vaultID) { return secret }
        var hint = "Compare every group with the printed code; the vault id that belongs to it begins with "
        hint += "\(vaultID.hex.prefix(16))."
        if let group = try groupInDoubt(digits, vaultID: vaultID) {
            hint = "Look at group \(group) of \(digitCount / groupDigits) again: one character there is probably wrong."
        }
        throw VaultError(
            .wrongKey, "the check of the recovery code failed: a character is wrong, or it is for another vault",
            hint: hint)
    }

    /// Whether `line` begins as a code does, however it is typed.
    static func isStart(_ line: Substring) -> Bool {
        let values = line.lazy.filter { !$0.isWhitespace && $0 != "-" }.prefix(prefix.utf8CodeUnitCount)
            .map { $0.asciiValue.flatMap { value($0) } }
        return prefix.withUTF8Buffer { values.elementsEqual($0.map { value($0) }) }
    }

    /// The 60 digits after the prefix, as numbers below 32.
    private static func values(of text: String) throws(VaultError) -> [UInt8] {
        let hint =
            "A code is QALA1 and 12 groups of five letters and digits, as on the recovery kit or in the key file."
        guard text.utf8.count <= 1024 else {
            throw VaultError(.invalidInput, "the recovery code is too long", hint: hint)
        }
        var digits: [UInt8] = []
        digits.reserveCapacity(prefix.utf8CodeUnitCount + digitCount)
        for character in text {
            if character.isWhitespace || character == "-" { continue }
            guard let ascii = character.asciiValue, let value = value(ascii) else {
                throw VaultError(.invalidInput, "the recovery code has a character that none has", hint: hint)
            }
            digits.append(value)
        }
        let start = prefix.withUTF8Buffer { $0.compactMap { value($0) } }
        guard digits.starts(with: start) else {
            throw VaultError(.invalidInput, "the recovery code does not begin with \(prefix)", hint: hint)
        }
        digits.removeFirst(start.count)
        guard digits.count == digitCount else {
            throw VaultError(
                .invalidInput, "the recovery code has \(digits.count) characters after \(prefix), not \(digitCount)",
                hint: hint)
        }
        return digits
    }

    private static func value(_ ascii: UInt8) -> UInt8? {
        let upper = (0x61...0x7A).contains(ascii) ? ascii - 0x20 : ascii
        switch upper {
        case UInt8(ascii: "I"), UInt8(ascii: "L"): return 1
        case UInt8(ascii: "O"): return 0
        default: return alphabet.firstIndex(of: upper).map { UInt8($0) }
        }
    }

    /// Nil when the check does not fit.
    private static func secret(from digits: [UInt8], vaultID: Digest) throws(VaultError) -> Secret? {
        var payload: [UInt8] = []
        payload.reserveCapacity(Secret.byteCount + checkBytes)
        defer { Wipe.array(&payload) }
        var bits: UInt32 = 0
        var bitCount = 0
        for digit in digits {
            bits = (bits << 5 | UInt32(digit)) & 0xFFF
            bitCount += 5
            if bitCount >= 8 {
                bitCount -= 8
                payload.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
        }
        guard bits & (1 << UInt32(bitCount) - 1) == 0 else { return nil }
        var secret = Array(payload[..<Secret.byteCount])
        defer { Wipe.array(&secret) }
        guard check(secret, vaultID: vaultID).elementsEqual(payload[Secret.byteCount...]) else { return nil }
        return try Secret(copying: secret)
    }

    /// The group, counted from 1, where changing one digit makes the check fit. With 40 bits of check that is hardly
    /// ever an accident.
    private static func groupInDoubt(_ digits: [UInt8], vaultID: Digest) throws(VaultError) -> Int? {
        var attempt = digits
        defer { for at in attempt.indices { attempt[at] = 0 } }
        for at in digits.indices {
            for value in UInt8(0)..<32 where value != digits[at] {
                attempt[at] = value
                if try secret(from: attempt, vaultID: vaultID) != nil { return at / groupDigits + 1 }
            }
            attempt[at] = digits[at]
        }
        return nil
    }

    private static func check(_ secret: [UInt8], vaultID: Digest) -> [UInt8] {
        var message = Array("qala/v1/kit".utf8) + vaultID.bytes[..<8]
        message.reserveCapacity(message.count + secret.count)
        message += secret
        defer { Wipe.array(&message) }
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256(message, message.count, &digest)
        return Array(digest[..<checkBytes])
    }
}

/// A reader's secret in a text file. Whoever writes it gives it mode 0600, whoever reads it checks that.
package enum KeyFile {
    package static let maximumBytes = 64 << 10

    package static func encode(_ secret: Secret, vaultID: Digest, label: String) -> String {
        let label = String(String.UnicodeScalarView(label.unicodeScalars.map { $0.value < 32 ? " " : $0 }))
        return """
            # Qala: açar faylı / key file: \(label)
            # Anbar / vault: \(vaultID)
            # Bu fayl arxivləri açır; onu gizli saxlayın. / This file opens archives; keep it secret.
            \(KeyText.encode(secret, vaultID: vaultID))

            """
    }

    /// Reads a key file or the text of a recovery kit: lines that begin with `#` are comments, and the code is what
    /// stands from the line that begins with QALA1 to the next empty one.
    package static func decode(_ bytes: [UInt8], vaultID: Digest) throws(VaultError) -> Secret {
        guard bytes.count <= maximumBytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw VaultError(
                .invalidInput, "the key file is not a short text", hint: "Name the file that `qala key add` wrote.")
        }
        var code = ""
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            guard let first = line.first(where: { !$0.isWhitespace }) else {
                if code.isEmpty { continue } else { break }
            }
            if first != "#", !code.isEmpty || KeyText.isStart(line) { code += line + " " }
        }
        guard !code.isEmpty else {
            throw VaultError(
                .invalidInput, "the key file holds no key", hint: "Name the file that `qala key add` wrote.")
        }
        return try KeyText.decode(code, vaultID: vaultID)
    }
}
