/// The first page of a segment: what says to which cluster and place it belongs (PostgreSQL 15 to 18, little-endian hosts).
package struct WALPageHeader: Equatable, Sendable {
    /// Bytes of the long header.
    package static let byteCount = 40
    /// By major version; every one changes it.
    package static let magics: [UInt16: Int] = [0xD110: 15, 0xD113: 16, 0xD116: 17, 0xD118: 18]
    private static let isLong: UInt16 = 0x0002

    package var majorVersion: Int
    /// Of the page; older than that of the name in the segment in which a timeline began.
    package var timeline: UInt32
    package var address: LSN
    package var systemID: UInt64
    package var segmentSize: WALSegmentSize

    package enum Failure: Error, Equatable, Sendable {
        case short, magic(UInt16), notFirst, segmentSize(UInt32)
    }

    package init(_ bytes: [UInt8]) throws(Failure) {
        guard bytes.count >= Self.byteCount else { throw .short }
        func number(_ at: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
        }
        let magic = UInt16(number(0, 2))
        guard let version = Self.magics[magic] else { throw .magic(magic) }
        guard UInt16(number(2, 2)) & Self.isLong != 0 else { throw .notFirst }
        let size = UInt32(number(32, 4))
        guard let segmentSize = WALSegmentSize(UInt64(size)) else { throw .segmentSize(size) }
        majorVersion = version
        timeline = UInt32(number(4, 4))
        address = LSN(number(8, 8))
        systemID = number(24, 8)
        self.segmentSize = segmentSize
    }

    /// Why this cannot be the first page of a file of `size` bytes with that name; nil when it can.
    package func objection(to name: WALFileName, size: UInt64) -> String? {
        guard size == segmentSize.bytes else {
            return "has \(size) bytes, and its first page speaks of segments of \(segmentSize.bytes)"
        }
        guard systemID > 0 else { return "names no system" }
        guard let segment = name.segment(segmentSize) else { return "has a name that such segments do not have" }
        guard address == segmentSize.start(segment.number) else {
            return "begins at \(address), not where its name says"
        }
        guard timeline > 0, timeline <= name.timeline else {
            return "is of timeline \(timeline), and its name of \(name.timeline)"
        }
        return nil
    }
}

/// From which timelines one descends, and where each was left: the content of a `.history` file.
package struct WALTimelineHistory: Equatable, Sendable {
    package struct Switch: Equatable, Sendable {
        /// The timeline that was left.
        package var timeline: UInt32
        package var position: LSN

        package init(timeline: UInt32, position: LSN) {
            self.timeline = timeline
            self.position = position
        }
    }

    package var timeline: UInt32
    /// Oldest first.
    package var switches: [Switch]

    package init(timeline: UInt32, switches: [Switch]) {
        self.timeline = timeline
        self.switches = switches
    }

    /// Nil where a line cannot be read, or timelines and places do not rise.
    package init?(timeline: UInt32, text: String) {
        var switches: [Switch] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(maxSplits: 2, omittingEmptySubsequences: true) { $0 == " " || $0 == "\t" }
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard words.count >= 2, let parent = UInt32(first), parent > 0, let position = LSN(words[1]) else {
                return nil
            }
            if let last = switches.last, last.timeline >= parent || last.position > position { return nil }
            switches.append(Switch(timeline: parent, position: position))
        }
        guard let last = switches.last, last.timeline < timeline else { return nil }
        self.init(timeline: timeline, switches: switches)
    }

    /// Where `ancestor` was left on the way here; nil when this does not descend from it.
    package func end(of ancestor: UInt32) -> LSN? { switches.first { $0.timeline == ancestor }?.position }

    /// The timeline of the segment `number` on the way here: a segment in which a switch lies belongs to the newer one, which
    /// begins with a copy of what was before it.
    package func timeline(of number: UInt64, _ size: WALSegmentSize) -> UInt32 {
        switches.first { number < size.number(at: $0.position) }?.timeline ?? timeline
    }
}
