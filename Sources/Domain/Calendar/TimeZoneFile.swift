/// Reads TZif, the format of compiled time zone files (RFC 8536 and its successor, RFC 9636).
enum TimeZoneFile {
    /// The largest file of the database has four thousand bytes.
    static let maximumBytes = 1 << 18

    private struct Counts {
        var utIndicators: Int
        var standardIndicators: Int
        var leapSeconds: Int
        var transitions: Int
        var types: Int
        var abbreviationBytes: Int

        /// Bytes of the data block whose times have `width` bytes.
        func blockSize(_ width: Int) -> Int {
            transitions * (width + 1) + types * 6 + abbreviationBytes + leapSeconds * (width + 4)
                + standardIndicators + utIndicators
        }
    }

    static func read(_ bytes: [UInt8]) throws(TimeZoneError) -> TimeZoneRules {
        guard bytes.count <= maximumBytes else { throw TimeZoneError.damaged("it is larger than any zone needs") }
        var reader = BigEndianReader(bytes)
        let (version, counts) = try header(&reader)
        guard version >= UInt8(ascii: "2") else { return try block(&reader, counts, width: 4, hasFooter: false) }
        // Newer files repeat everything with wide times; the narrow block is for readers of the first version.
        _ = try reader.take(counts.blockSize(4))
        let (_, wideCounts) = try header(&reader)
        return try block(&reader, wideCounts, width: 8, hasFooter: true)
    }

    private static func header(_ reader: inout BigEndianReader) throws(TimeZoneError) -> (version: UInt8, Counts) {
        guard Array(try reader.take(4)) == Array("TZif".utf8) else {
            throw TimeZoneError.damaged("it does not begin with TZif")
        }
        let version = try reader.unsigned(1)
        _ = try reader.take(15)
        let counts = Counts(
            utIndicators: try reader.unsigned(4), standardIndicators: try reader.unsigned(4),
            leapSeconds: try reader.unsigned(4), transitions: try reader.unsigned(4), types: try reader.unsigned(4),
            abbreviationBytes: try reader.unsigned(4))
        guard 1...256 ~= counts.types else { throw TimeZoneError.damaged("it has \(counts.types) local time types") }
        return (UInt8(truncatingIfNeeded: version), counts)
    }

    private static func block(
        _ reader: inout BigEndianReader, _ counts: Counts, width: Int, hasFooter: Bool
    ) throws(TimeZoneError) -> TimeZoneRules {
        // Counts have 32 bits each, so the size of a block cannot overflow, and nothing is reserved before it is there.
        guard counts.blockSize(width) <= reader.remaining else { throw TimeZoneError.damaged("it ends early") }
        guard counts.leapSeconds == 0 else {
            throw TimeZoneError(
                message: "the time zone counts leap seconds, which the clock of this system does not",
                hint: "Name the zone without `right/`.")
        }
        var transitions: [Int] = []
        for _ in 0..<counts.transitions {
            let time = try reader.signed(width)
            if let last = transitions.last, last >= time {
                throw TimeZoneError.damaged("its transitions do not ascend")
            }
            transitions.append(time)
        }
        let indices = Array(try reader.take(counts.transitions))
        guard indices.allSatisfy({ $0 < counts.types }) else {
            throw TimeZoneError.damaged("a transition names a type that does not exist")
        }
        let types = try localTypes(&reader, counts)
        _ = try reader.take(counts.standardIndicators + counts.utIndicators)
        let footer = hasFooter ? try footer(&reader) : nil
        return TimeZoneRules(types: types, transitions: transitions, typeOfTransition: indices, footer: footer)
    }

    private static func localTypes(
        _ reader: inout BigEndianReader, _ counts: Counts
    ) throws(TimeZoneError) -> [TimeZoneRules.LocalType] {
        var parts: [(offset: Int, isDaylight: Bool, name: Int)] = []
        for _ in 0..<counts.types {
            let offset = try reader.signed(4)
            let flag = try reader.unsigned(1)
            guard TimeZoneRules.offsetRange ~= offset, flag <= 1 else {
                throw TimeZoneError.damaged("a local time type is out of range")
            }
            parts.append((offset, flag == 1, try reader.unsigned(1)))
        }
        let names = Array(try reader.take(counts.abbreviationBytes))
        var types: [TimeZoneRules.LocalType] = []
        for part in parts {
            guard part.name < names.count, let end = names[part.name...].firstIndex(of: 0) else {
                throw TimeZoneError.damaged("an abbreviation does not end")
            }
            let name = String(decoding: names[part.name..<end], as: UTF8.self)
            types.append(.init(offset: part.offset, isDaylight: part.isDaylight, abbreviation: name))
        }
        return types
    }

    /// A rule between two line feeds; between them may be nothing.
    private static func footer(_ reader: inout BigEndianReader) throws(TimeZoneError) -> PosixZone? {
        let rest = Array(try reader.take(reader.remaining))
        guard rest.first == 0x0A, let end = rest.dropFirst().firstIndex(of: 0x0A) else {
            throw TimeZoneError.damaged("the rule for coming years is missing")
        }
        return end == 1 ? nil : try PosixZoneParser.parse(Array(rest[1..<end]))
    }
}

/// Big-endian integers from hostile bytes: every read is bounded.
private struct BigEndianReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var remaining: Int { bytes.count - at }

    mutating func take(_ count: Int) throws(TimeZoneError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw TimeZoneError.damaged("it ends early") }
        defer { at += count }
        return bytes[at..<at + count]
    }

    /// An integer of 1 to 4 bytes.
    mutating func unsigned(_ width: Int) throws(TimeZoneError) -> Int {
        try take(width).reduce(0) { $0 << 8 | Int($1) }
    }

    /// An integer of 4 or 8 bytes in two's complement.
    mutating func signed(_ width: Int) throws(TimeZoneError) -> Int {
        let value = try take(width).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return width == 8 ? Int(Int64(bitPattern: value)) : Int(Int32(truncatingIfNeeded: value))
    }
}
