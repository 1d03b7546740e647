// What a helper and the daemon say to each other: one message each way, over a socket that keeps messages apart.
//
// 1. Every length is bounded, and a message that is not exactly as long as its lengths say is none.
// 2. The bytes of files never pass the socket: an open file does.

/// What a helper asks for.
package struct WALRequest: Equatable, Sendable {
    package enum Verb: UInt8, Sendable, CaseIterable {
        case push = 1
        case fetch = 2
        /// What will be pushed next. A daemon that does not know it says that it cannot understand.
        case offer = 3
    }

    package static let longestName = 64
    static let headBytes = 24
    package static let longest = headBytes + 2 * longestName

    package var verb: Verb
    /// Empty for the only one there is.
    package var source: String
    package var file: String
    /// 0 where it is not known.
    package var systemID: UInt64

    package init(_ verb: Verb, source: String, file: String, systemID: UInt64) {
        self.verb = verb
        self.source = source
        self.file = file
        self.systemID = systemID
    }

    /// Nil when a name is too long.
    package var bytes: [UInt8]? {
        let (source, file) = (Array(source.utf8), Array(file.utf8))
        guard source.count <= Self.longestName, (1...Self.longestName).contains(file.count) else { return nil }
        var bytes = WALFrame.mark + [WALFrame.version, verb.rawValue]
        bytes += WALFrame.bytes(UInt64(source.count), 2) + WALFrame.bytes(UInt64(file.count), 2)
        bytes += [UInt8](repeating: 0, count: 6) + WALFrame.bytes(systemID, 8)
        return bytes + source + file
    }

    package init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headBytes, bytes.starts(with: WALFrame.mark), bytes[4] == WALFrame.version,
            let verb = Verb(rawValue: bytes[5]), bytes[10..<16].allSatisfy({ $0 == 0 })
        else { return nil }
        let sourceCount = Int(WALFrame.number(bytes, 6, 2))
        let fileCount = Int(WALFrame.number(bytes, 8, 2))
        guard sourceCount <= Self.longestName, (1...Self.longestName).contains(fileCount),
            bytes.count == Self.headBytes + sourceCount + fileCount
        else { return nil }
        let names = bytes[Self.headBytes...]
        guard names.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        self.verb = verb
        systemID = WALFrame.number(bytes, 16, 8)
        source = String(decoding: names.prefix(sourceCount), as: UTF8.self)
        file = String(decoding: names.dropFirst(sourceCount), as: UTF8.self)
    }
}

/// What the daemon answers.
package struct WALReply: Equatable, Sendable {
    package enum Status: UInt8, Sendable {
        case done = 0
        /// There is no such file, and nothing later on its timeline.
        case absent = 1
        /// It is known that this cannot be done, and trying again changes nothing.
        case refused = 2
        case tryAgain = 3
        case usage = 4
    }

    static let headBytes = 16
    static let longestMessage = 1024
    package static let longest = headBytes + longestMessage

    package var status: Status
    package var message: String
    /// Bytes of the file that comes with it.
    package var size: UInt64

    package init(_ status: Status, _ message: String = "", size: UInt64 = 0) {
        self.status = status
        self.message = message
        self.size = size
    }

    package var bytes: [UInt8] {
        let text = Array(message.utf8.prefix(Self.longestMessage))
        return WALFrame.mark + [WALFrame.version, status.rawValue] + WALFrame.bytes(UInt64(text.count), 2)
            + WALFrame.bytes(size, 8) + text
    }

    package init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headBytes, bytes.starts(with: WALFrame.mark), bytes[4] == WALFrame.version,
            let status = Status(rawValue: bytes[5]), bytes.count == Self.headBytes + Int(WALFrame.number(bytes, 6, 2))
        else { return nil }
        self.status = status
        size = WALFrame.number(bytes, 8, 8)
        message = String(decoding: bytes[Self.headBytes...], as: UTF8.self)
    }
}

enum WALFrame {
    static let mark: [UInt8] = [0x51, 0x57, 0x41, 0x4C]
    static let version: UInt8 = 1

    static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    static func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    }
}
