/// Paths as text, made absolute by their letters alone: no file system is asked, links are not followed.
package enum PathText {
    /// `path` seen from `directory` (absolute), with `.`, `..`, doubled and trailing slashes resolved.
    package static func absolute(_ path: String, from directory: String) -> String {
        var parts: [Substring.UTF8View] = []
        let whole = path.utf8.first == 0x2F ? path : directory + "/" + path
        for part in Substring(whole).utf8.split(separator: 0x2F) {
            if part.elementsEqual([0x2E]) { continue }
            if part.elementsEqual([0x2E, 0x2E]) {
                if !parts.isEmpty { parts.removeLast() }
                continue
            }
            parts.append(part)
        }
        return "/" + parts.map { String(Substring($0)) }.joined(separator: "/")
    }

    /// A path of any bytes for people: those that are no UTF-8 as `\xHH`. Two paths may have one such text.
    package static func shown(_ path: [UInt8]) -> String {
        if let text = String(validating: path, as: UTF8.self) { return text }
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
        return text
    }

    /// Whether the path is absolute and resolving it would change nothing.
    package static func isAbsolute(_ path: String) -> Bool {
        path.utf8.first == 0x2F && absolute(path, from: "/").utf8.elementsEqual(path.utf8)
    }
}
