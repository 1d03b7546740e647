import CLinux
import Domain
import FoundationEssentials
import Glibc
import Vault

/// The first line of a segment: what the bytes behind it are, and everything that is needed to go on from them.
struct LogSegmentHeader: Codable {
    static let mark = "qala log segment 1"
    /// More than the cursors of the largest source take.
    static let longest = 32 << 20

    /// Which bytes of a file came into the segment, in the order of its payload.
    struct Part: Codable {
        var path: String
        var device: UInt64
        var inode: UInt64
        var from: UInt64
        var to: UInt64
    }

    var format = LogSegmentHeader.mark
    var policy: String
    var source: String
    var sequence: Int
    /// RFC 3339, UTC.
    var sealed: String
    var bytes: Int
    var records: Int
    /// SHA-256 of the payload, and of the whole segment before this one (64 zeros for the first).
    var payload: String
    var previous: String
    var parts: [Part]
    var findings: [LogFinding]
    /// How far the source is read with this segment.
    var cursors: LogCursors
    var clock: LogClock
}

/// One line of the ledger: a segment that was sealed, or segments that an archive holds.
struct LogLedgerLine: Codable {
    var sequence: Int?
    var source: String?
    var sealed: String?
    var bytes: Int?
    var records: Int?
    var files: Int?
    /// SHA-256 of the whole segment, and of the one before.
    var digest: String?
    var previous: String?
    var findings: [LogFinding]?
    /// The other kind of line.
    var archive: String?
    var archived: [Int]?
    var time: String?

    init(_ header: LogSegmentHeader, digest: String) {
        sequence = header.sequence
        source = header.source
        sealed = header.sealed
        bytes = header.bytes
        records = header.records
        files = Set(header.parts.map(\.path)).count
        self.digest = digest
        previous = header.previous
        findings = Array(header.findings.prefix(LogSpool.maximumFindings))
    }

    init(archive: String, sequences: [Int]) {
        self.archive = archive
        archived = sequences
        time = TimeText.seconds(Int64(clamping: WallTime.seconds()))
    }
}

/// SHA-256 of what is given piece by piece.
final class LogHash {
    private var hasher: ObjectHasher? = ObjectHasher(suite: .hmacSHA256)

    func update(_ bytes: UnsafeRawBufferPointer) { hasher?.update(bytes) }

    /// In hexadecimal; to be asked once.
    func finish() -> String {
        guard let finished = hasher.take() else { return "" }
        return finished.finalize().hex
    }

    static func of(_ bytes: [UInt8]) -> String { ObjectHasher.digest(of: bytes, suite: .hmacSHA256).hex }
}

/// The text of values in the spool.
enum LogText {
    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(value))
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: some Sequence<UInt8>) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }

    static func name(_ sequence: Int) -> String {
        let digits = String(sequence)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".segment"
    }

    /// Nil for the name of anything but a segment.
    static func sequence(of name: some StringProtocol) -> Int? {
        guard name.hasSuffix(".segment") else { return nil }
        let digits = name.dropLast(".segment".count)
        guard digits.utf8.count >= 8, digits.utf8.count <= 15, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(digits), number > 0, self.name(number) == String(name)
        else { return nil }
        return number
    }
}

/// A file of the spool that is written front to back and may be cut or read back; one thread's own.
final class LogSpoolFile {
    let path: String
    private let descriptor: Int32
    private(set) var length = 0
    /// The disk did not give back what was written to it, at the last read.
    private(set) var isUnreadable = false

    /// Makes a new, empty file, whatever stood there.
    init(making path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LogSpool.failure("creating", path) }
    }

    /// Opens what is there, to read it.
    init(reading path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw LogSpool.failure("opening", path) }
        length = try Self.size(descriptor, path)
    }

    /// Opens a file to write at its end, which is made where there is none.
    init(extending path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw LogSpool.failure("opening", path) }
        length = try Self.size(descriptor, path)
    }

    deinit { close(descriptor) }

    private static func size(_ descriptor: Int32, _ path: String) throws -> Int {
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw LogSpool.failure("examining", path) }
        return Int(info.st_size)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(length + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LogSpool.failure("writing", path) }
            done += count
        }
        length += bytes.count
    }

    func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

    /// Takes the room for so many bytes in one piece. A hint: what it does not get the write that needs it will tell.
    func reserve(_ bytes: Int) { _ = qala_reserve(descriptor, UInt64(bytes)) }

    /// Has the disk begin with the last `count` bytes, which the sync at the end would wait for all at once. A hint.
    func startWriteback(of count: Int) {
        _ = qala_start_writeback(descriptor, UInt64(length - count), UInt64(count))
    }

    /// Fills `buffer` from `offset` on; fewer bytes only at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(
                descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            isUnreadable = count < 0 && errno == EIO
            guard count >= 0 else { throw LogSpool.failure("reading", path) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func bytes(_ range: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = try bytes.withUnsafeMutableBytes { try read(into: $0, at: range.lowerBound) }
        return Array(bytes.prefix(count))
    }

    func cut(to length: Int) throws {
        guard length != self.length else { return }
        guard ftruncate(descriptor, off_t(length)) == 0 else { throw LogSpool.failure("cutting", path) }
        self.length = length
    }

    func sync() throws {
        guard fsync(descriptor) == 0 else { throw LogSpool.failure("syncing", path) }
    }

    /// All pieces from `offset` on, in order.
    func forEachPiece(from offset: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var at = offset
        while at < length {
            let count = try buffer.withUnsafeMutableBytes { raw in
                let count = try read(into: raw, at: at)
                try body(UnsafeRawBufferPointer(rebasing: raw[..<count]))
                return count
            }
            guard count > 0 else { return }
            at += count
        }
    }
}

/// A segment of the spool, read back and found to be what was sealed.
enum LogSegmentReading {
    /// The header, and the SHA-256 of the whole segment.
    static func read(_ path: String) throws -> (header: LogSegmentHeader, digest: String) {
        let file = try LogSpoolFile(reading: path)
        var head: [UInt8] = []
        while !head.contains(0x0A) {
            let piece = try file.bytes(head.count..<min(file.length, head.count + (1 << 16)))
            guard !piece.isEmpty, head.count < LogSegmentHeader.longest else { throw damaged(path, "has no header") }
            head += piece
        }
        guard let end = head.firstIndex(of: 0x0A),
            let header = LogText.decode(LogSegmentHeader.self, head[..<end]), header.format == LogSegmentHeader.mark
        else { throw damaged(path, "has a header that cannot be read") }
        let whole = LogHash()
        let payload = LogHash()
        head[...end].withUnsafeBytes { whole.update($0) }
        try file.forEachPiece(from: end + 1) { piece in
            whole.update(piece)
            payload.update(piece)
        }
        guard file.length - end - 1 == header.bytes, payload.finish() == header.payload else {
            throw damaged(path, "does not hold what was sealed")
        }
        return (header, whole.finish())
    }

    static func damaged(_ path: String, _ what: String) -> OperationError {
        OperationError(
            .damaged, "the log segment \(path) \(what)",
            hint: "Restore it from an archive, or move it away: the logs it was read from are then read again.")
    }
}
