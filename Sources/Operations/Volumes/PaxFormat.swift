import Domain

// The pax archive (POSIX.1-2001) as GNU tar writes and restores it.

/// Where the fields of a header lie.
enum PaxHeader {
    static let blockBytes = 512
    static let name = 0..<100
    static let mode = 100..<108
    static let user = 108..<116
    static let group = 116..<124
    static let size = 124..<136
    static let modified = 136..<148
    static let sum = 148..<156
    static let type = 156
    static let linkName = 157..<257
    static let magic = 257..<265
    static let userName = 265..<297
    static let groupName = 297..<329
    static let major = 329..<337
    static let minor = 337..<345
    static let magicBytes = Array("ustar\u{0}00".utf8)

    /// Bytes that fill the last block.
    static func padding(_ size: UInt64) -> Int { Int((512 - size % 512) % 512) }

    /// The sum of all bytes, those of the sum's own field taken as spaces.
    static func checksum(_ block: [UInt8]) -> Int {
        var total = 0
        for (at, byte) in block.enumerated() { total += sum.contains(at) ? 0x20 : Int(byte) }
        return total
    }
}

/// Writes entries one after another.
final class PaxWriter {
    private let write: ([UInt8]) throws -> Void
    private var extended = 0

    init(_ write: @escaping ([UInt8]) throws -> Void) { self.write = write }

    /// The headers of an entry; `size` bytes of content must follow, and then ``end(of:)``. `first` is the path that a
    /// hard link names.
    func begin(_ entry: Entry, size: UInt64, linkedTo first: [UInt8]?) throws {
        var records: [UInt8] = []
        var block = [UInt8](repeating: 0, count: PaxHeader.blockBytes)
        let path = entry.kind == .directory ? entry.path + [0x2F] : entry.path
        Self.text(path, PaxHeader.name, "path", &block, &records)
        Self.number(UInt64(entry.permissions & 0o7777), PaxHeader.mode, "", &block, &records)
        Self.number(UInt64(entry.userID), PaxHeader.user, "uid", &block, &records)
        Self.number(UInt64(entry.groupID), PaxHeader.group, "gid", &block, &records)
        Self.number(size, PaxHeader.size, "size", &block, &records)
        Self.time(entry.modified, &block, &records)
        Self.text(entry.userName, PaxHeader.userName, "uname", &block, &records)
        Self.text(entry.groupName, PaxHeader.groupName, "gname", &block, &records)
        if let target = first ?? (entry.kind == .symlink ? entry.linkTarget : nil) {
            Self.text(target, PaxHeader.linkName, "linkpath", &block, &records)
        }
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            let device = entry.deviceNumber
            let major = (device >> 8 & 0xFFF) | (device >> 32 & ~0xFFF)
            let minor = (device & 0xFF) | (device >> 12 & 0xFFFF_FF00)
            Self.number(major, PaxHeader.major, "", &block, &records)
            Self.number(minor, PaxHeader.minor, "", &block, &records)
        }
        // A further name of a file has the attributes of the first.
        if first == nil {
            for attribute in entry.attributes {
                let key = Array("SCHILY.xattr.".utf8) + Self.escaped(attribute.name)
                records += Self.record(key, attribute.value)
            }
        }
        block[PaxHeader.type] = first != nil ? UInt8(ascii: "1") : Self.typeByte(entry.kind)
        if !records.isEmpty { try writeExtended(records) }
        try write(Self.sealed(block))
    }

    /// What fills the last block of a content.
    func end(of size: UInt64) throws {
        let padding = PaxHeader.padding(size)
        if padding > 0 { try write([UInt8](repeating: 0, count: padding)) }
    }

    /// The two empty blocks that end an archive.
    func finish() throws { try write([UInt8](repeating: 0, count: 2 * PaxHeader.blockBytes)) }

    private func writeExtended(_ records: [UInt8]) throws {
        extended += 1
        var block = [UInt8](repeating: 0, count: PaxHeader.blockBytes)
        var none: [UInt8] = []
        Self.text(Array("PaxHeaders/\(extended)".utf8), PaxHeader.name, "", &block, &none)
        Self.number(0o644, PaxHeader.mode, "", &block, &none)
        Self.number(0, PaxHeader.user, "", &block, &none)
        Self.number(0, PaxHeader.group, "", &block, &none)
        Self.number(UInt64(records.count), PaxHeader.size, "", &block, &none)
        Self.number(0, PaxHeader.modified, "", &block, &none)
        block[PaxHeader.type] = UInt8(ascii: "x")
        try write(Self.sealed(block))
        try write(records)
        try end(of: UInt64(records.count))
    }

    private static func typeByte(_ kind: EntryKind) -> UInt8 {
        switch kind {
        case .file, .socket: UInt8(ascii: "0")
        case .symlink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }

    /// Into its field where it fits, else into a record too.
    private static func text(
        _ text: [UInt8], _ field: Range<Int>, _ key: String, _ block: inout [UInt8], _ records: inout [UInt8]
    ) {
        for (at, byte) in zip(field, text) { block[at] = byte }
        if text.count > field.count, !key.isEmpty { records += record(Array(key.utf8), text) }
    }

    /// Octal with a zero byte behind it; what does not fit is in a record, and the field is 0.
    private static func number(
        _ value: UInt64, _ field: Range<Int>, _ key: String, _ block: inout [UInt8], _ records: inout [UInt8]
    ) {
        var digits = Array(String(value, radix: 8).utf8)
        if digits.count > field.count - 1 {
            if !key.isEmpty { records += record(Array(key.utf8), Array(String(value).utf8)) }
            digits = [0x30]
        }
        let zeros = [UInt8](repeating: 0x30, count: field.count - 1 - digits.count)
        for (at, byte) in zip(field, zeros + digits) { block[at] = byte }
    }

    private static func time(_ time: Timestamp, _ block: inout [UInt8], _ records: inout [UInt8]) {
        let fits = time.seconds >= 0 && time.seconds < 1 << 33
        number(fits ? UInt64(time.seconds) : 0, PaxHeader.modified, "", &block, &records)
        if fits, time.nanoseconds == 0 { return }
        records += record(Array("mtime".utf8), Array(text(time).utf8))
    }

    /// A decimal of seconds; before 1970 the fraction counts backwards too.
    private static func text(_ time: Timestamp) -> String {
        var whole = time.seconds
        var fraction = time.nanoseconds
        let isBefore = whole < 0
        if isBefore, fraction > 0 {
            whole += 1
            fraction = 1_000_000_000 - fraction
        }
        let digits = String(fraction)
        let zeros = String(repeating: "0", count: max(0, 9 - digits.count))
        return (isBefore ? "-" : "") + String(whole.magnitude) + (fraction > 0 ? "." + zeros + digits : "")
    }

    /// `%` and `=` would end the name of an attribute.
    static func escaped(_ name: [UInt8]) -> [UInt8] {
        name.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "%"): Array("%25".utf8)
            case UInt8(ascii: "="): Array("%3D".utf8)
            default: [byte]
            }
        }
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
    static func record(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
        let rest = key.count + value.count + 3
        var length = rest + String(rest).utf8.count
        if rest + String(length).utf8.count != length { length = rest + String(length).utf8.count }
        var bytes = Array("\(length) ".utf8)
        bytes += key
        bytes.append(0x3D)
        bytes += value
        bytes.append(0x0A)
        return bytes
    }

    private static func sealed(_ block: [UInt8]) -> [UInt8] {
        var block = block
        for (at, byte) in zip(PaxHeader.magic, PaxHeader.magicBytes) { block[at] = byte }
        let digits = Array(String(PaxHeader.checksum(block), radix: 8).utf8)
        let zeros = [UInt8](repeating: 0x30, count: max(0, 6 - digits.count))
        for (at, byte) in zip(PaxHeader.sum, zeros + digits + [0, 0x20]) { block[at] = byte }
        return block
    }
}

/// One member as it stands in an archive.
struct PaxMember {
    var path: [UInt8] = []
    var kind = EntryKind.file
    var isHardLink = false
    var size: UInt64 = 0
    var modified = Timestamp(seconds: 0)
    /// Of a hard link the path that it names, else that of a symbolic link.
    var linkTarget: [UInt8] = []
    var permissions: UInt16 = 0
    var userID: UInt32 = 0
    var groupID: UInt32 = 0
    var userName: [UInt8] = []
    var groupName: [UInt8] = []
    var deviceNumber: UInt64 = 0
    var attributes: [ExtendedAttribute] = []

    /// As an entry of a tree. Names that share an `inode`, which is not 0, are names of one file.
    func entry(inode: UInt64) -> Entry {
        var entry = Entry(
            path: path, kind: kind, permissions: permissions, userID: userID, groupID: groupID, size: size,
            modified: modified, changed: modified, device: 0, inode: inode, linkCount: inode == 0 ? 1 : .max)
        entry.userName = userName
        entry.groupName = groupName
        entry.deviceNumber = deviceNumber
        if kind == .symlink, !isHardLink { entry.linkTarget = linkTarget }
        entry.attributes = attributes
        return entry
    }
}

/// Reads what ``PaxWriter`` writes, and nothing else: to prove that a stream holds what its slice lists, and to restore it.
struct PaxReader {
    struct Malformed: Error {
        var reason: String
    }

    /// More than the longest path and all attributes of one entry.
    private static let extendedLimit: UInt64 = 8 << 20
    private let source: PipeReader

    init(_ source: PipeReader) { self.source = source }

    /// Nil after the last member; its content must be read before the next call.
    func next() throws -> PaxMember? {
        var block = try source.exactly(PaxHeader.blockBytes)
        var records: [[UInt8]: [UInt8]] = [:]
        if block.allSatisfy({ $0 == 0 }) {
            guard try source.exactly(PaxHeader.blockBytes).allSatisfy({ $0 == 0 }), try source.isAtEnd() else {
                throw Malformed(reason: "something stands behind its end")
            }
            return nil
        }
        try Self.check(block)
        if block[PaxHeader.type] == UInt8(ascii: "x") {
            let size = try Self.number(block, PaxHeader.size)
            guard size <= Self.extendedLimit else { throw Malformed(reason: "an extended header is too long") }
            records = try Self.records(try source.exactly(Int(size)))
            _ = try source.exactly(PaxHeader.padding(size))
            block = try source.exactly(PaxHeader.blockBytes)
            try Self.check(block)
        }
        return try Self.member(block, records)
    }

    private static func check(_ block: [UInt8]) throws {
        let sum = try number(block, PaxHeader.sum.lowerBound..<PaxHeader.sum.lowerBound + 7)
        guard sum == UInt64(PaxHeader.checksum(block)), block[PaxHeader.magic].elementsEqual(PaxHeader.magicBytes)
        else { throw Malformed(reason: "a header is damaged") }
    }

    private static func member(_ block: [UInt8], _ records: [[UInt8]: [UInt8]]) throws -> PaxMember {
        var member = PaxMember()
        member.path = records[Array("path".utf8)] ?? text(block, PaxHeader.name)
        if member.path.last == 0x2F { member.path.removeLast() }
        guard PathOrder.isWellFormed(member.path) else { throw Malformed(reason: "a path is not well formed") }
        switch block[PaxHeader.type] {
        case UInt8(ascii: "0"): member.kind = .file
        case UInt8(ascii: "1"): member.isHardLink = true
        case UInt8(ascii: "2"): member.kind = .symlink
        case UInt8(ascii: "3"): member.kind = .characterDevice
        case UInt8(ascii: "4"): member.kind = .blockDevice
        case UInt8(ascii: "5"): member.kind = .directory
        case UInt8(ascii: "6"): member.kind = .fifo
        default: throw Malformed(reason: "a member is of an unknown type")
        }
        if member.isHardLink || member.kind == .symlink {
            member.linkTarget = records[Array("linkpath".utf8)] ?? text(block, PaxHeader.linkName)
        }
        member.size = try number(block, PaxHeader.size)
        if let size = records[Array("size".utf8)] {
            guard let value = UInt64(String(decoding: size, as: UTF8.self)) else {
                throw Malformed(reason: "a size is not a number")
            }
            member.size = value
        }
        guard member.size == 0 || member.kind == .file && !member.isHardLink else {
            throw Malformed(reason: "a member that is no file has content")
        }
        member.modified = Timestamp(seconds: Int64(clamping: try number(block, PaxHeader.modified)))
        if let time = records[Array("mtime".utf8)] {
            member.modified = try Self.time(String(decoding: time, as: UTF8.self))
        }
        try addOwner(block, records, to: &member)
        if member.kind == .characterDevice || member.kind == .blockDevice {
            let (major, minor) = (try number(block, PaxHeader.major), try number(block, PaxHeader.minor))
            member.deviceNumber = (major & 0xFFF) << 8 | (major & ~0xFFF) << 32 | minor & 0xFF | (minor & ~0xFF) << 12
        }
        member.attributes = try attributes(records)
        return member
    }

    private static func addOwner(
        _ block: [UInt8], _ records: [[UInt8]: [UInt8]], to member: inout PaxMember
    ) throws {
        func account(_ field: Range<Int>, _ key: String) throws -> UInt32 {
            var value = try number(block, field)
            if let text = records[Array(key.utf8)] {
                guard let told = UInt64(String(decoding: text, as: UTF8.self)) else {
                    throw Malformed(reason: "an account is not a number")
                }
                value = told
            }
            guard let account = UInt32(exactly: value) else { throw Malformed(reason: "an account is too large") }
            return account
        }
        member.permissions = UInt16(truncatingIfNeeded: try number(block, PaxHeader.mode) & 0o7777)
        member.userID = try account(PaxHeader.user, "uid")
        member.groupID = try account(PaxHeader.group, "gid")
        member.userName = records[Array("uname".utf8)] ?? text(block, PaxHeader.userName)
        member.groupName = records[Array("gname".utf8)] ?? text(block, PaxHeader.groupName)
    }

    private static func attributes(_ records: [[UInt8]: [UInt8]]) throws -> [ExtendedAttribute] {
        let mark = Array("SCHILY.xattr.".utf8)
        var found: [ExtendedAttribute] = []
        for (key, value) in records where key.starts(with: mark) {
            guard key.count > mark.count, value.count <= Entry.maximumAttributeBytes else {
                throw Malformed(reason: "an attribute is malformed")
            }
            found.append(ExtendedAttribute(name: unescaped(key.dropFirst(mark.count)), value: value))
        }
        return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// See ``PaxWriter/escaped(_:)``.
    static func unescaped(_ name: ArraySlice<UInt8>) -> [UInt8] {
        var plain: [UInt8] = []
        var rest = name
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.starts(with: Array("25".utf8)) {
                plain.append(UInt8(ascii: "%"))
                rest = rest.dropFirst(2)
            } else if byte == UInt8(ascii: "%"), rest.starts(with: Array("3D".utf8)) {
                plain.append(UInt8(ascii: "="))
                rest = rest.dropFirst(2)
            } else {
                plain.append(byte)
            }
        }
        return plain
    }

    private static func text(_ block: [UInt8], _ field: Range<Int>) -> [UInt8] {
        Array(block[field].prefix { $0 != 0 })
    }

    private static func number(_ block: [UInt8], _ field: Range<Int>) throws -> UInt64 {
        let digits = block[field].prefix { $0 != 0 && $0 != 0x20 }
        guard !digits.isEmpty, let value = UInt64(String(decoding: digits, as: UTF8.self), radix: 8) else {
            throw Malformed(reason: "a field is no number")
        }
        return value
    }

    private static func records(_ bytes: [UInt8]) throws -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        var at = 0
        while at < bytes.count {
            let digits = bytes[at...].prefix(20).prefix { $0 != 0x20 }
            guard let length = Int(String(decoding: digits, as: UTF8.self)), length > digits.count + 2,
                length <= bytes.count - at, bytes[at + length - 1] == 0x0A
            else { throw Malformed(reason: "an extended header is damaged") }
            let body = bytes[(at + digits.count + 1)..<(at + length - 1)]
            guard let equals = body.firstIndex(of: 0x3D) else {
                throw Malformed(reason: "an extended header is damaged")
            }
            found[Array(body[..<equals])] = Array(body[(equals + 1)...])
            at += length
        }
        return found
    }

    private static func time(_ text: String) throws -> Timestamp {
        let isBefore = text.hasPrefix("-")
        let parts = text.drop { $0 == "-" }.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, let whole = Int64(first) else {
            throw Malformed(reason: "a time is no number")
        }
        var fraction: UInt32 = 0
        if parts.count == 2 {
            guard parts[1].utf8.count == 9, let value = UInt32(parts[1]), value < 1_000_000_000 else {
                throw Malformed(reason: "a time is no number")
            }
            fraction = value
        }
        if !isBefore { return Timestamp(seconds: whole, nanoseconds: fraction) }
        if fraction == 0 { return Timestamp(seconds: -whole) }
        return Timestamp(seconds: -whole - 1, nanoseconds: 1_000_000_000 - fraction)
    }
}
