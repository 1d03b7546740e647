/// A place in the write-ahead log of PostgreSQL: bytes since the beginning of the cluster.
package struct LSN: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var bytes: UInt64

    package init(_ bytes: UInt64) { self.bytes = bytes }

    /// Of `16/B374D848`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ (1...8).contains($0.utf8.count) && Self.isHex($0) }),
            let high = UInt32(parts[0], radix: 16), let low = UInt32(parts[1], radix: 16)
        else { return nil }
        bytes = UInt64(high) << 32 | UInt64(low)
    }

    private static func isHex(_ text: some StringProtocol) -> Bool {
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
        guard let size = WALSegmentSize(size), start <= end else { return nil }
        let first = size.number(at: start)
        let last = max(first, size.number(before: end))
        guard last - first < UInt64(limit) else { return nil }
        return (first...last).map { WALSegment(timeline: timeline, number: $0).name(size) }
    }
}
