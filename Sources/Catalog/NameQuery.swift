import Domain

/// What is searched for: a part of a name, or a pattern with `*` and `?`. Letters of ASCII match in either case unless the
/// text has a capital one. A text with `/` is sought in the whole path, any other in the last component.
package struct NameQuery: Sendable {
    private let needle: [UInt8]
    private let isPattern: Bool
    private let foldsCase: Bool
    private let wholePath: Bool
    private let below: [UInt8]

    /// `below` restricts the search to what lies at or under that path (relative to `/`).
    package init(text: String, below: [UInt8] = []) throws(CatalogError) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else {
            throw CatalogError(.invalidInput, "the text to search for is empty", hint: "Give a part of a name.")
        }
        isPattern = bytes.contains(0x2A) || bytes.contains(0x3F)
        foldsCase = !bytes.contains(where: { (0x41...0x5A).contains($0) })
        wholePath = bytes.contains(0x2F)
        needle = bytes.first == 0x2F && isPattern ? Array(bytes.dropFirst()) : bytes
        self.below = below
    }

    /// `path` as a tree stores it.
    package func matches(_ path: [UInt8]) -> Bool {
        guard PathOrder.isInside(path, below) else { return false }
        return path.withUnsafeBufferPointer { full in
            var start = 0
            if !wholePath, let slash = full.lastIndex(of: 0x2F) { start = slash + 1 }
            let name = UnsafeBufferPointer(rebasing: full[start...])
            if isPattern { return glob(name) }
            return wholePath && needle.first == 0x2F && begins(name) || contains(name)
        }
    }

    @inline(__always)
    private func fold(_ byte: UInt8) -> UInt8 {
        foldsCase && byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }

    /// A text that starts with `/` may stand at the very start, where stored paths have none.
    private func begins(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard name.count >= needle.count - 1 else { return false }
        for at in 1..<needle.count where fold(name[at - 1]) != needle[at] { return false }
        return true
    }

    private func contains(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard name.count >= needle.count else { return false }
        for start in 0...(name.count - needle.count) {
            var at = 0
            while at < needle.count, fold(name[start + at]) == needle[at] { at += 1 }
            if at == needle.count { return true }
        }
        return false
    }

    /// `*` any run, `?` one byte; linear but for one step back.
    private func glob(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        var at = 0
        var pattern = 0
        var star = -1
        var mark = 0
        while at < name.count {
            if pattern < needle.count, needle[pattern] == 0x2A {
                star = pattern
                mark = at
                pattern += 1
            } else if pattern < needle.count, needle[pattern] == 0x3F || needle[pattern] == fold(name[at]) {
                pattern += 1
                at += 1
            } else if star >= 0 {
                mark += 1
                at = mark
                pattern = star + 1
            } else {
                return false
            }
        }
        while pattern < needle.count, needle[pattern] == 0x2A { pattern += 1 }
        return pattern == needle.count
    }
}
