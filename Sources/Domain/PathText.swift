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

    /// Whether the path is absolute and resolving it would change nothing.
    package static func isAbsolute(_ path: String) -> Bool {
        path.utf8.first == 0x2F && absolute(path, from: "/").utf8.elementsEqual(path.utf8)
    }
}
