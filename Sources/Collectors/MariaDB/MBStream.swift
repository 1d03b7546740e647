/// Follows the stream of `mariadb-backup --stream=mbstream`: where its parts lie, and what its small files say.
///
/// A part is `XBSTCK01`, a byte of flags, a byte of type, the length of a path (32 bits, little endian), the path; with the
/// type `P` then length and offset of the payload (64 bits each), its CRC-32, and the payload. `E` ends a file.
/// `R` renames a file that ended, with the length of the new path and that path behind; `D` removes one.
///
/// Chunks are cut along the parts, so that pages of a database file that did not change are found again: large payloads in
/// pieces of ``pieceBytes(at:)`` counted from their own beginning, small parts in groups whose ends depend on their content. What
/// the stream is does not depend on any of it: a part of an unknown kind only ends the following of parts.
struct MBStream {
    /// Bytes of a piece of a large payload that begins at `position`; a multiple of every page size that InnoDB has. They grow
    /// with the stream, because a file of an archive has a limited number of parts: some 370 GiB fit.
    static func pieceBytes(at position: UInt64) -> Int {
        var bytes = 128 << 10
        var stage: UInt64 = 8 << 30
        var end = stage
        while position >= end, bytes < 4 << 20 {
            bytes <<= 1
            stage <<= 1
            end += stage
        }
        return bytes
    }
    /// Payloads from here on are cut into pieces.
    private static let largePayload: UInt64 = 128 << 10
    /// Their header is a chunk of its own from here on: it holds a checksum that changes with any byte behind it.
    private static let loneHeader: UInt64 = 1 << 20
    private static let groupBytes: UInt64 = 512 << 10
    private static let keptBytes = 64 << 10
    private static let pathLimit = 4096
    private static let magic = Array("XBSTCK01".utf8)

    private enum State {
        case header, path(Int), newLength, newPath(Int), payloadHeader, payload(UInt64), unknown
    }

    private var state = State.header
    private var gathered: [UInt8] = []
    private var position: UInt64 = 0
    private var partStart: UInt64 = 0
    private var groupStart: UInt64 = 0
    private var type: UInt8 = 0
    private var path = ""
    private var nextPiece: UInt64?
    private var open: Set<String> = []
    private(set) var files = 0
    /// Hears of all parts, where somebody wants more than to follow.
    weak var listener: (any MBStreamListener)?
    private var payloadOffset: UInt64 = 0
    private var flags: UInt8 = 0
    /// The byte of type of a part that is of no known kind.
    private(set) var unknownKind: Int?
    /// Ends of chunks that were not asked for yet, rising.
    private var ends: [UInt64] = []
    /// The content of the small files that tell about the copy.
    private(set) var notes: [String: [UInt8]] = [:]
    private static let noted: Set<String> = [
        "xtrabackup_checkpoints", "mariadb_backup_checkpoints", "xtrabackup_info", "mariadb_backup_info",
        "xtrabackup_binlog_info", "mariadb_backup_binlog_info",
    ]

    /// Whether the stream ends between two parts, and every file in it has its end.
    var isComplete: Bool {
        if case .header = state { gathered.isEmpty && open.isEmpty && files > 0 } else { false }
    }

    var isFollowed: Bool { if case .unknown = state { false } else { true } }

    /// Bytes of the chunk that begins at `offset`; nil once the parts are unknown; the largest number when the end of the chunk
    /// has not been seen yet.
    mutating func chunkBytes(at offset: UInt64) -> Int? {
        while let end = ends.first, end <= offset { ends.removeFirst() }
        if let end = ends.first { return Int(clamping: end - offset) }
        return isFollowed ? Int.max : nil
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count {
            switch state {
            case .unknown: return
            case .header: at += gather(14, bytes[at...]) { $0.readHeader() }
            case .path(let count): at += gather(count, bytes[at...]) { $0.readPath() }
            case .newLength: at += gather(4, bytes[at...]) { $0.readNewLength() }
            case .newPath(let count): at += gather(count, bytes[at...]) { $0.readNewPath() }
            case .payloadHeader: at += gather(20, bytes[at...]) { $0.readPayloadHeader() }
            case .payload(let left):
                let count = Int(min(left, UInt64(bytes.count - at)))
                keep(bytes[at..<at + count])
                listener?.payload(
                    of: path, at: payloadOffset, isRewritten: flags & 2 != 0,
                    UnsafeRawBufferPointer(rebasing: bytes[at..<at + count]))
                payloadOffset += UInt64(count)
                position += UInt64(count)
                at += count
                passPieces()
                state = .payload(left - UInt64(count))
                if left == UInt64(count) { endPart() }
            }
        }
    }

    private mutating func gather(
        _ wanted: Int, _ bytes: Slice<UnsafeRawBufferPointer>, _ body: (inout MBStream) -> Void
    )
        -> Int
    {
        let count = min(wanted - gathered.count, bytes.count)
        gathered += bytes.prefix(count)
        position += UInt64(count)
        if gathered.count == wanted {
            body(&self)
            gathered.removeAll(keepingCapacity: true)
        }
        return count
    }

    private mutating func readHeader() {
        partStart = position - 14
        let length = Int(number(at: 10, bytes: 4))
        guard gathered.starts(with: Self.magic), (1...Self.pathLimit).contains(length) else {
            state = .unknown
            return
        }
        flags = gathered[8]
        type = gathered[9]
        state = .path(length)
    }

    private mutating func readPath() {
        path = String(decoding: gathered, as: UTF8.self)
        switch type {
        case UInt8(ascii: "P"):
            if open.insert(path).inserted { files += 1 }
            state = .payloadHeader
        case UInt8(ascii: "E"):
            // Of an empty file there is nothing but its end.
            if open.remove(path) == nil {
                files += 1
                listener?.payload(
                    of: path, at: 0, isRewritten: flags & 2 != 0, UnsafeRawBufferPointer(start: nil, count: 0))
            }
            listener?.end(of: path)
            endPart()
        case UInt8(ascii: "R"): state = .newLength
        case UInt8(ascii: "D"):
            listener?.remove(path)
            endPart()
        default:
            unknownKind = Int(type)
            state = .unknown
        }
    }

    private mutating func readNewLength() {
        let length = Int(number(at: 0, bytes: 4))
        state = (1...Self.pathLimit).contains(length) ? .newPath(length) : .unknown
    }

    private mutating func readNewPath() {
        listener?.rename(path, to: String(decoding: gathered, as: UTF8.self))
        endPart()
    }

    private mutating func readPayloadHeader() {
        let length = number(at: 0, bytes: 8)
        payloadOffset = number(at: 8, bytes: 8)
        let checksum = number(at: 16, bytes: 4)
        guard length <= UInt64(Int64.max) else {
            state = .unknown
            return
        }
        if length >= Self.largePayload {
            closeGroup(at: partStart)
            if length >= Self.loneHeader { closeGroup(at: position) }
            pieceBytes = UInt64(Self.pieceBytes(at: partStart))
            nextPiece = position + pieceBytes
            payloadEnd = position + length
        } else {
            endsGroup = checksum & 7 == 0
        }
        state = .payload(length)
        if length == 0 {
            listener?.payload(
                of: path, at: payloadOffset, isRewritten: flags & 2 != 0, UnsafeRawBufferPointer(start: nil, count: 0))
            endPart()
        }
    }

    private var payloadEnd: UInt64 = 0
    private var pieceBytes: UInt64 = 0
    /// Whether a group ends with the part: by its content, so that a change moves few ends.
    private var endsGroup = false

    private mutating func passPieces() {
        while let piece = nextPiece, piece <= position {
            closeGroup(at: min(piece, payloadEnd))
            nextPiece = piece + pieceBytes
        }
    }

    private mutating func endPart() {
        state = .header
        if nextPiece != nil || endsGroup || position - groupStart >= Self.groupBytes { closeGroup(at: position) }
        nextPiece = nil
        endsGroup = false
    }

    private mutating func closeGroup(at end: UInt64) {
        guard end > groupStart else { return }
        ends.append(end)
        groupStart = end
    }

    private mutating func keep(_ bytes: Slice<UnsafeRawBufferPointer>) {
        guard Self.noted.contains(path) else { return }
        let had = notes[path, default: []]
        guard had.count + bytes.count <= Self.keptBytes else { return }
        notes[path] = had + Array(bytes)
    }

    private func number(at offset: Int, bytes: Int) -> UInt64 {
        gathered[offset..<offset + bytes].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The content of the first of these small files that the copy has.
    func text(of names: [String]) -> String {
        names.lazy.compactMap { notes[$0] }.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// `name = value` lines of a small file of the copy.
    func values(of names: [String]) -> [String: String] {
        var values: [String: String] = [:]
        for name in names {
            for line in String(decoding: notes[name] ?? [], as: UTF8.self).split(separator: "\n") {
                let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimming(" ") }
                if parts.count == 2 { values[parts[0]] = parts[1] }
            }
        }
        return values
    }
}

extension Substring {
    /// Without `character` at both ends.
    fileprivate func trimming(_ character: Character) -> String {
        String(drop { $0 == character }.reversed().drop { $0 == character }.reversed())
    }
}
