/// A transaction as MariaDB numbers it: `DOMAIN-SERVER-SEQUENCE`.
package struct BinaryLogGTID: Hashable, Sendable, CustomStringConvertible {
    package var domain: UInt32
    package var server: UInt32
    package var sequence: UInt64

    package init(domain: UInt32, server: UInt32, sequence: UInt64) {
        self.domain = domain
        self.server = server
        self.sequence = sequence
    }

    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let domain = UInt32(parts[0]), let server = UInt32(parts[1]), let sequence = UInt64(parts[2])
        else { return nil }
        self.init(domain: domain, server: server, sequence: sequence)
    }

    /// Several with commas between, as the server writes its state; what is none is left out.
    package static func list(_ text: String) -> [BinaryLogGTID] {
        text.split(separator: ",").compactMap { BinaryLogGTID($0.filter { $0 != " " && $0 != "\n" }) }
    }

    package var description: String { "\(domain)-\(server)-\(sequence)" }
}

/// A byte of a binary log.
package struct BinaryLogPlace: Equatable, Sendable, CustomStringConvertible {
    package var file: String
    package var position: UInt64

    package init(file: String, position: UInt64) {
        self.file = file
        self.position = position
    }

    package var description: String { "\(file):\(position)" }

    /// `binlog.000007` → `binlog`, 7; nil for what is no name of a log.
    package static func parts(_ file: String) -> (base: String, number: UInt64)? {
        guard let point = file.lastIndex(of: "."), point > file.startIndex else { return nil }
        let digits = file[file.index(after: point)...]
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(digits) else { return nil }
        return (String(file[..<point]), number)
    }
}

/// What one complete event of a log says, as far as a replay is decided by it.
struct BinaryLogEvent {
    enum Kind: Equatable {
        /// The beginning of a transaction, or of a statement that is one by itself.
        case transaction(BinaryLogGTID, isStandalone: Bool)
        /// What ends a transaction: COMMIT, ROLLBACK, XID, XA PREPARE.
        case end
        /// A statement.
        case query
        /// The transactions that were the last ones when the log was begun.
        case state([BinaryLogGTID])
        /// Of the log and not of a transaction.
        case ofLog
        case other
    }

    var range: Range<UInt64>
    /// Seconds since 1970, by the server's clock or by what a session said.
    var time: Int64
    var kind: Kind
}

/// Reads one binary log of MariaDB 10 and later, piece by piece.
///
/// Invariants:
/// 1. Only events whose length and checksum hold are given on; the first one that does not hold ends it with an error.
/// 2. Nothing is trusted: of an event at most ``keptLimit`` bytes are held, whatever length it claims.
struct BinaryLogReader {
    static let headerBytes = 19
    private static let keptLimit = 1 << 20
    /// Of a statement its beginning is enough to know a COMMIT.
    private static let queryLimit = 4096
    private static let magic: [UInt8] = [0xFE, 0x62, 0x69, 0x6E]
    private static let magicOfEncrypted: UInt8 = 0xFD
    private static let writtenTo: UInt16 = 1

    private enum Code {
        static let query: UInt8 = 2
        static let stop: UInt8 = 3
        static let rotate: UInt8 = 4
        static let description: UInt8 = 15
        static let xid: UInt8 = 16
        static let loadQuery: UInt8 = 18
        static let xaPrepare: UInt8 = 38
        static let checkpoint: UInt8 = 161
        static let transaction: UInt8 = 162
        static let state: UInt8 = 163
        static let encryption: UInt8 = 164
        static let compressedQuery: UInt8 = 165
        static let ofLog: Set<UInt8> = [stop, rotate, description, checkpoint]
        static let kept: Set<UInt8> = [query, description, transaction, state]
    }

    /// Of the next byte that is given.
    private(set) var offset: UInt64 = 0
    /// The log was not closed: its server died, or still writes to it.
    private(set) var isOpen = false
    private var hasChecksums = false
    private var isBegun = false
    private var magicSeen: [UInt8] = []

    private var start: UInt64 = 0
    private var header: [UInt8] = []
    private var kept: [UInt8] = []
    private var length: UInt64 = 0
    private var sum = CRC32()
    private var tail: [UInt8] = []

    /// Whether what was given ends with an event.
    var isAtEnd: Bool { header.isEmpty && magicSeen.count == Self.magic.count }
    /// Whether the last whole event is one with which a server closes a log.
    private(set) var isEnded = false

    /// The events that end in `bytes`, and why none comes behind them.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> (events: [BinaryLogEvent], fault: BinaryLogFault?) {
        var events: [BinaryLogEvent] = []
        var at = 0
        do throws(BinaryLogFault) {
            while at < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
                let count = header.count < Self.headerBytes ? try begin(rest) : hold(rest)
                at += count
                if header.count == Self.headerBytes, offset == start + length { events.append(try endEvent()) }
            }
        } catch {
            return (events, error)
        }
        return (events, nil)
    }

    /// Takes what is missing of the magic number or of the header of an event; returns how much that was.
    private mutating func begin(_ bytes: UnsafeRawBufferPointer) throws(BinaryLogFault) -> Int {
        if magicSeen.count < Self.magic.count {
            let part = bytes.prefix(Self.magic.count - magicSeen.count)
            magicSeen += part
            offset += UInt64(part.count)
            guard Self.magic.starts(with: magicSeen) else {
                throw magicSeen[0] == Self.magicOfEncrypted ? .encrypted : .notALog
            }
            return part.count
        }
        if header.isEmpty { start = offset }
        let part = bytes.prefix(Self.headerBytes - header.count)
        header += part
        offset += UInt64(part.count)
        if header.count == Self.headerBytes { try beginEvent() }
        return part.count
    }

    private var code: UInt8 { header[4] }
    private var flags: UInt16 { UInt16(header[17]) | UInt16(header[18]) << 8 }

    private mutating func beginEvent() throws(BinaryLogFault) {
        length = UInt64(Self.number(header, 9, 4))
        let sumBytes = hasChecksums || code == Code.description ? 4 : 0
        guard length >= UInt64(Self.headerBytes + sumBytes), isBegun || code == Code.description else {
            throw .damaged(start)
        }
        guard code != Code.encryption else { throw .encrypted }
        sum = CRC32()
        var summed = header
        if code == Code.description {
            // The server clears the flag when it closes the log, and the sum is that of the closed one.
            isOpen = flags & Self.writtenTo != 0
            summed[17] &= ~UInt8(Self.writtenTo)
        }
        summed.withUnsafeBytes { sum.add($0) }
        kept = []
        tail = []
    }

    /// Everything but the last four bytes is summed; what is needed of it is kept.
    private mutating func hold(_ rest: UnsafeRawBufferPointer) -> Int {
        let bytes = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(clamping: start + length - offset)))
        let limit = code == Code.query ? Self.queryLimit : Self.keptLimit
        if Code.kept.contains(code), kept.count < limit { kept += bytes.prefix(limit - kept.count) }
        let summedEnd = start + length - 4
        let summed = offset < summedEnd ? Int(min(UInt64(bytes.count), summedEnd - offset)) : 0
        sum.add(UnsafeRawBufferPointer(rebasing: bytes[..<summed]))
        tail += bytes[summed...]
        offset += UInt64(bytes.count)
        return bytes.count
    }

    private mutating func endEvent() throws(BinaryLogFault) -> BinaryLogEvent {
        defer { header = [] }
        if code == Code.description {
            // The algorithm stands before the sum, which this event always has.
            guard kept.count >= 5, length <= UInt64(Self.keptLimit), kept[kept.count - 5] <= 1 else {
                throw .damaged(start)
            }
            hasChecksums = kept[kept.count - 5] == 1
            isBegun = true
        }
        isEnded = code == Code.rotate || code == Code.stop
        if hasChecksums || code == Code.description, Self.number(tail, 0, 4) != UInt64(sum.value) {
            throw .damaged(start)
        }
        let body = hasChecksums && kept.count + Self.headerBytes == Int(length) ? Array(kept.dropLast(4)) : kept
        return BinaryLogEvent(
            range: start..<offset, time: Int64(Self.number(header, 0, 4)), kind: try kind(body))
    }

    private func kind(_ body: [UInt8]) throws(BinaryLogFault) -> BinaryLogEvent.Kind {
        switch code {
        case Code.transaction:
            guard body.count >= 13 else { throw .damaged(start) }
            let gtid = BinaryLogGTID(
                domain: UInt32(Self.number(body, 8, 4)), server: UInt32(Self.number(header, 5, 4)),
                sequence: Self.number(body, 0, 8))
            return .transaction(gtid, isStandalone: body[12] & 1 != 0)
        case Code.state:
            guard body.count >= 4 else { throw .damaged(start) }
            let count = Int(Self.number(body, 0, 4) & 0x0FFF_FFFF)
            guard body.count >= 4 + 16 * count else { throw .damaged(start) }
            return .state(
                (0..<count).map { index in
                    let at = 4 + 16 * index
                    return BinaryLogGTID(
                        domain: UInt32(Self.number(body, at, 4)), server: UInt32(Self.number(body, at + 4, 4)),
                        sequence: Self.number(body, at + 8, 8))
                })
        case Code.xid, Code.xaPrepare: return .end
        case Code.query: return Self.isEnd(query: body) ? .end : .query
        // One that ends a transaction is too short to be compressed.
        case Code.compressedQuery, Code.loadQuery: return .query
        default: return Code.ofLog.contains(code) ? .ofLog : .other
        }
    }

    /// Whether a statement ends a transaction: `thread 4, duration 4, database 1, error 2, variables 2`, the variables, the
    /// database and a zero, the statement.
    private static func isEnd(query body: [UInt8]) -> Bool {
        guard body.count >= 13 else { return false }
        let at = 13 + Int(number(body, 11, 2)) + Int(body[8]) + 1
        guard at < body.count else { return false }
        let text = body[at...]
        return text.elementsEqual("COMMIT".utf8) || text.elementsEqual("ROLLBACK".utf8)
    }

    private static func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 {
        guard at + count <= bytes.count else { return 0 }
        return bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Why a log cannot be read on.
package enum BinaryLogFault: Error, Equatable, Sendable {
    case notALog
    case encrypted
    /// The event at this byte is not what its length or its checksum says.
    case damaged(UInt64)
    /// The log ends in the midst of an event.
    case torn(UInt64)
    /// It does not go on from the log before.
    case otherLife
    /// A place is not between two transactions of it; the nearest one before that is.
    case within(UInt64)
}

/// The checksum of Ethernet and zlib.
struct CRC32 {
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
            tables[index] = value
        }
        for index in 256..<8 * 256 {
            let before = tables[index - 256]
            tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()

    private var state: UInt32 = 0xFFFF_FFFF

    var value: UInt32 { ~state }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        Self.tables.withUnsafeBufferPointer { tables in
            var state = state
            var at = 0
            while at + 8 <= bytes.count {
                let word =
                    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)) ^ UInt64(state)
                state = 0
                for byte in 0..<8 { state ^= tables[(7 - byte) << 8 | Int(word >> UInt64(8 * byte) & 0xFF)] }
                at += 8
            }
            while at < bytes.count {
                state = state >> 8 ^ tables[Int((state ^ UInt32(bytes[at])) & 0xFF)]
                at += 1
            }
            self.state = state
        }
    }
}
