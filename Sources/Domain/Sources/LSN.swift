/// A place in the write-ahead log of PostgreSQL: bytes since the beginning of the cluster.
package struct LSN: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var bytes: UInt64

    package init(_ bytes: UInt64) { self.bytes = bytes }

    /// Of `16/B374D848`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ (1...8).contains($0.utf8.count) && Self.isHex($0) }),
            let high = UInt32(parts[0], radix: 16), let low = UInt32(parts[1], radix: 16)
        else { return nil }
        bytes = UInt64(high) << 32 | UInt64(low)
    }

    private static func isHex(_ text: Substring) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0) }
    }

    package var description: String {
        String(bytes >> 32, radix: 16, uppercase: true) + "/"
            + String(bytes & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }

    package static func < (a: LSN, b: LSN) -> Bool { a.bytes < b.bytes }

    /// Names of the segments of `size` bytes that hold everything from `start` up to, not with, `end`, at least the one of
    /// `start`; nil when that is no range or more than `limit` segments.
    package static func segments(
        from start: LSN, to end: LSN, timeline: UInt32, size: UInt64, limit: Int = 1 << 20
    ) -> [String]? {
        guard size >= 1 << 20, size <= 1 << 30, size & (size - 1) == 0, start <= end else { return nil }
        let first = start.bytes / size
        let last = max(first, (max(end.bytes, 1) - 1) / size)
        guard last - first < UInt64(limit) else { return nil }
        return (first...last).map { segment($0, timeline: timeline, size: size) }
    }

    private static func segment(_ number: UInt64, timeline: UInt32, size: UInt64) -> String {
        let perID = (1 << 32) / size
        return [UInt64(timeline), number / perID, number % perID].map { part in
            let text = String(part, radix: 16, uppercase: true)
            return String(repeating: "0", count: max(0, 8 - text.count)) + text
        }.joined()
    }
}
