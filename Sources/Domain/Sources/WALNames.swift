/// How many bytes a segment of a cluster has: a power of two from 1 MiB to 1 GiB.
package struct WALSegmentSize: Hashable, Sendable {
    package static let usual = WALSegmentSize(checked: 16 << 20)
    package let bytes: UInt64

    package init?(_ bytes: UInt64) {
        guard bytes >= 1 << 20, bytes <= 1 << 30, bytes & (bytes - 1) == 0 else { return nil }
        self.bytes = bytes
    }

    private init(checked bytes: UInt64) { self.bytes = bytes }

    /// Names count segments in two parts; the second goes up to this.
    package var segmentsPerName: UInt64 { (1 << 32) / bytes }

    /// The number of the segment that holds the byte at `position`.
    package func number(at position: LSN) -> UInt64 { position.bytes / bytes }

    /// The number of the segment that holds the last byte before `position`.
    package func number(before position: LSN) -> UInt64 {
        position.bytes == 0 ? 0 : (position.bytes - 1) / bytes
    }

    package func start(_ number: UInt64) -> LSN { LSN(number &* bytes) }
    package func end(_ number: UInt64) -> LSN { LSN((number &+ 1) &* bytes) }
}

/// One segment of one timeline. Its number counts from the beginning of the log in segments, so it means nothing without
/// the size of a segment.
package struct WALSegment: Hashable, Sendable {
    package var timeline: UInt32
    package var number: UInt64

    package init(timeline: UInt32, number: UInt64) {
        self.timeline = timeline
        self.number = number
    }

    /// As PostgreSQL names the file.
    package func name(_ size: WALSegmentSize) -> String {
        WALHex.text(timeline) + WALHex.text(UInt32(truncatingIfNeeded: number / size.segmentsPerName))
            + WALHex.text(UInt32(truncatingIfNeeded: number % size.segmentsPerName))
    }
}

/// Hexadecimal digits as PostgreSQL writes them: eight capitals.
enum WALHex {
    static func text(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    static func value(_ bytes: some Collection<UInt8>) -> UInt32? {
        guard bytes.count == 8 else { return nil }
        var value: UInt32 = 0
        for byte in bytes {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x37)
            default: return nil
            }
        }
        return value
    }
}

/// A file that PostgreSQL hands to `archive_command` or asks of `restore_command`. Anything else, and above all a path, is
/// no such name.
package struct WALFileName: Hashable, Sendable {
    package enum Form: Hashable, Sendable {
        case segment
        /// The last, unfinished segment of a timeline that ended.
        case partial
        /// What a base archive wrote about itself; the offset of its start in the segment.
        case backup(offset: UInt32)
        case history
    }

    package let form: Form
    package let timeline: UInt32
    /// The two parts of a segment's number; zeros for a history.
    package let high: UInt32
    package let low: UInt32

    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 16, bytes.count <= 64, let timeline = WALHex.value(bytes[0..<8]), timeline > 0 else {
            return nil
        }
        self.timeline = timeline
        if bytes[8...].elementsEqual(".history".utf8) {
            (form, high, low) = (.history, 0, 0)
            return
        }
        guard bytes.count >= 24, let high = WALHex.value(bytes[8..<16]), let low = WALHex.value(bytes[16..<24]) else {
            return nil
        }
        (self.high, self.low) = (high, low)
        let rest = bytes[24...]
        if rest.isEmpty {
            form = .segment
        } else if rest.elementsEqual(".partial".utf8) {
            form = .partial
        } else if rest.count == 16, rest.first == 0x2E, rest.suffix(7).elementsEqual(".backup".utf8),
            let offset = WALHex.value(rest.dropFirst().prefix(8))
        {
            form = .backup(offset: offset)
        } else {
            return nil
        }
    }

    package var text: String {
        let stem = WALHex.text(timeline) + WALHex.text(high) + WALHex.text(low)
        switch form {
        case .segment: return stem
        case .partial: return stem + ".partial"
        case .backup(let offset): return stem + "." + WALHex.text(offset) + ".backup"
        case .history: return WALHex.text(timeline) + ".history"
        }
    }

    /// The segment that it is or is about; nil for a history, and for a number that such segments do not have.
    package func segment(_ size: WALSegmentSize) -> WALSegment? {
        guard form != .history, UInt64(low) < size.segmentsPerName else { return nil }
        return WALSegment(timeline: timeline, number: UInt64(high) * size.segmentsPerName + UInt64(low))
    }

    /// Bytes that such a file may have at most.
    package var maximumBytes: UInt64 {
        switch form {
        case .segment, .partial: 1 << 30
        case .backup: 64 << 10
        case .history: 1 << 20
        }
    }
}

/// A cluster as its WAL knows it: what `initdb` made, and which life of it this is. A cluster that was restored and goes on in the
/// place of the old one is a new incarnation, because it may write other segments under the same names.
package struct WALCluster: Hashable, Sendable, Comparable, CustomStringConvertible {
    package static let incarnations = 1...9999
    package var systemID: UInt64
    package var incarnation: Int

    package init(systemID: UInt64, incarnation: Int) {
        self.systemID = systemID
        self.incarnation = incarnation
    }

    /// `SYSTEM-INCARNATION`.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let systemID = UInt64(parts[0]), systemID > 0, let incarnation = Int(parts[1]),
            Self.incarnations.contains(incarnation), "\(systemID)-\(incarnation)" == text
        else { return nil }
        self.init(systemID: systemID, incarnation: incarnation)
    }

    package var description: String { "\(systemID)-\(incarnation)" }

    package static func < (one: WALCluster, other: WALCluster) -> Bool {
        (one.systemID, one.incarnation) < (other.systemID, other.incarnation)
    }
}
