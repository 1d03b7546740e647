/// Paths as text.
extension HostLook {
    /// The paths of which `text` may be the text: where it has `\xHH` those may be bytes that are no UTF-8, or stand for themselves.
    static func paths(of text: String) -> [[UInt8]] {
        let plain = Array(text.utf8)
        var (bytes, rest) = ([UInt8](), plain[...])
        while let byte = rest.popFirst() {
            if byte == 0x5C, rest.first == 0x78, rest.count >= 3,
                let code = UInt8(String(decoding: rest.dropFirst().prefix(2), as: UTF8.self), radix: 16), code != 0
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes == plain ? [plain] : [plain, bytes]
    }

    /// As text, nearly always one for each path: bytes that are no UTF-8 as `\xHH`.
    static func text(_ path: [UInt8]) -> (text: String, isNameable: Bool) {
        if let text = String(validating: path, as: UTF8.self) {
            let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
            return (text, isPlain)
        }
        var (text, rest) = ("", path[...])
        while let byte = rest.first {
            let length = (1...4).first { String(validating: rest.prefix($0), as: UTF8.self)?.isEmpty == false }
            if let length, rest.count >= length {
                text += String(decoding: rest.prefix(length), as: UTF8.self)
                rest = rest.dropFirst(length)
            } else {
                let digits = String(byte, radix: 16)
                text += "\\x" + (digits.count < 2 ? "0" : "") + digits
                rest = rest.dropFirst()
            }
        }
        return (text, false)
    }
}
