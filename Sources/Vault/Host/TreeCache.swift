import Domain
import Glibc

// The newest tree of a source as this host remembers it: what the next run is merged with. While a run is under way
// the same file is its journal.
//
// Invariants:
// 1. A page frame is written after the page got its id; it may be trusted when the archive was committed, or when a
//    checkpoint frame follows it whose checkpoint the log names: then every chunk it refers to is durable.
// 2. Frames carry a check value; a torn or altered file ends at its last good frame, and what is missing is read again.
// 3. Losing the file costs time, never data.

/// Where a file stood that was being read when a checkpoint was made.
struct PartialFile: Sendable {
    var path: [UInt8]
    var device: UInt64
    var inode: UInt64
    var modified: Timestamp
    var changed: Timestamp
    var size: UInt64
    var extents: [Extent]

    /// Bytes that need not be read again.
    var offset: UInt64 { extents.reduce(0) { $0 + $1.length } }
}

struct TreeFrame {
    enum Kind: UInt8 { case page = 1, tail = 2, checkpoint = 3, end = 4 }
    static let headerCount = 1 + 4 + 4 + 4 + 32 + 8
    static let payloadLimit = 64 << 20

    var kind: Kind
    /// Chunk id of a page; zero otherwise.
    var id: Digest
    var entries: UInt32
    var plainCount: Int
    /// Packed bytes, or plain ones when as many.
    var payload: [UInt8]
    var offset = 0
    var isPacked: Bool { payload.count < plainCount }

    func plain(_ decompressor: Decompressor) throws(VaultError) -> [UInt8] {
        guard isPacked else { return payload }
        var out = [UInt8](repeating: 0, count: plainCount)
        let packed = payload
        try packed.withBytes { (source) throws(VaultError) in
            try out.withUnsafeMutableBufferPointer { (target) throws(VaultError) in
                try decompressor.decompress(source, into: UnsafeMutableRawBufferPointer(target))
            }
        }
        return out
    }

    fileprivate static func check(_ header: UnsafeRawBufferPointer, _ payload: [UInt8]) -> UInt64 {
        var hasher = ObjectHasher(suite: .blake3)
        hasher.update(header)
        payload.withUnsafeBytes { hasher.update($0) }
        return hasher.finalize().words.0
    }
}

final class TreeCacheWriter {
    private let file: AppendFile
    private let compressor: Compressor
    private var scratch = RawBuffer(count: 512 << 10)
    var path: String { file.path }

    static let magic = Array("QALATRE1".utf8)

    init(path: String, vaultID: Digest, session: Digest) throws(VaultError) {
        file = try AppendFile(path: path)
        compressor = try Compressor(level: 1)
        try file.append(Self.magic + vaultID.bytes + session.bytes)
    }

    /// Returns the frame, so that it can be copied into a later file.
    func append(_ kind: TreeFrame.Kind, id: Digest = .zero, entries: Int = 0, plain: [UInt8]) throws(VaultError) {
        let bound = Compressor.bound(plain.count)
        if scratch.bytes.count < bound { scratch = RawBuffer(count: bound) }
        let packed = plain.withUnsafeBytes { compressor.compress($0, into: scratch.bytes) }
        let payload = packed.map { Array(scratch.slice(0..<$0)) } ?? plain
        try append(
            TreeFrame(kind: kind, id: id, entries: UInt32(entries), plainCount: plain.count, payload: payload))
    }

    func append(_ frame: TreeFrame) throws(VaultError) {
        var header = ByteWriter(capacity: TreeFrame.headerCount)
        header.u8(frame.kind.rawValue)
        header.u32(UInt32(frame.payload.count))
        header.u32(UInt32(frame.plainCount))
        header.u32(frame.entries)
        header.digest(frame.id)
        header.u64(header.bytes.withUnsafeBytes { TreeFrame.check($0, frame.payload) })
        try file.append(header.bytes)
        try file.append(frame.payload)
    }

    func sync() throws(VaultError) { try file.sync() }
    func publish(as path: String, isDurable: Bool) throws(VaultError) {
        try file.publish(as: path, isDurable: isDurable)
    }
}

/// Reads frames front to back; a damaged one ends the file.
final class TreeCacheReader {
    let path: String
    private let descriptor: Int32
    private let length: Int
    private var offset: Int
    let session: Digest
    static let headerCount = 8 + 32 + 32

    /// Nil when there is no such file, or it is not one of this vault.
    init?(path: String, vaultID: Digest) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var info = stat()
        var header = [UInt8](repeating: 0, count: Self.headerCount)
        let wanted = TreeCacheWriter.magic + vaultID.bytes
        guard fstat(descriptor, &info) == 0,
            pread(descriptor, &header, header.count, 0) == header.count, header.starts(with: wanted),
            let session = Digest(header[40...])
        else {
            close(descriptor)
            return nil
        }
        self.path = path
        self.descriptor = descriptor
        self.session = session
        length = Int(info.st_size)
        offset = Self.headerCount
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    private init(sharing descriptor: Int32, with other: TreeCacheReader) {
        self.descriptor = descriptor
        path = other.path
        session = other.session
        length = other.length
        offset = Self.headerCount
    }

    deinit { close(descriptor) }

    /// A second reader of the very same file, from its beginning: at its path a newer one may lie by now.
    func duplicate() throws(VaultError) -> TreeCacheReader {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw StateFile.failure("reading again", path) }
        return TreeCacheReader(sharing: copy, with: self)
    }

    func rewind(to offset: Int = TreeCacheReader.headerCount) { self.offset = offset }

    /// Nil at the end and at the first frame that is not what was written.
    func next() -> TreeFrame? {
        var header = [UInt8](repeating: 0, count: TreeFrame.headerCount)
        guard offset + header.count <= length, read(&header, at: offset) else { return nil }
        let fields = header.withUnsafeBytes { raw -> (TreeFrame, Int, UInt64)? in
            var reader = ByteReader(raw, reading: "a frame")
            guard let kind = (try? reader.u8()).flatMap(TreeFrame.Kind.init(rawValue:)),
                let packed = try? reader.u32(), let plain = try? reader.u32(), let entries = try? reader.u32(),
                let id = try? reader.digest(), let check = try? reader.u64()
            else { return nil }
            return (
                TreeFrame(kind: kind, id: id, entries: entries, plainCount: Int(plain), payload: [], offset: offset),
                Int(packed), check
            )
        }
        guard let (described, count, check) = fields, count <= described.plainCount,
            described.plainCount <= TreeFrame.payloadLimit,
            offset + header.count + count <= length
        else { return nil }
        var frame = described
        frame.payload = [UInt8](repeating: 0, count: count)
        guard read(&frame.payload, at: offset + header.count) else { return nil }
        let signed = header.withUnsafeBytes {
            TreeFrame.check(UnsafeRawBufferPointer(rebasing: $0[..<(TreeFrame.headerCount - 8)]), frame.payload)
        }
        guard signed == check else { return nil }
        offset += header.count + count
        return frame
    }

    private func read(_ buffer: inout [UInt8], at offset: Int) -> Bool {
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done, off_t(offset + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}

/// The checkpoint frame's content.
struct TreeCheckpoint {
    var number: UInt32
    var partial: PartialFile?

    func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.u32(number)
        writer.u8(partial == nil ? 0 : 1)
        guard let partial else { return writer.bytes }
        writer.blob(partial.path)
        writer.u64(partial.device)
        writer.u64(partial.inode)
        for time in [partial.modified, partial.changed] {
            writer.zigzag(time.seconds)
            writer.u32(time.nanoseconds)
        }
        writer.u64(partial.size)
        writer.varint(UInt64(partial.extents.count))
        for extent in partial.extents {
            writer.varint(extent.length << 1 | (extent.chunk == nil ? 1 : 0))
            if let chunk = extent.chunk { writer.digest(chunk) }
        }
        return writer.bytes
    }

    init(number: UInt32, partial: PartialFile?) {
        self.number = number
        self.partial = partial
    }

    init(decoding bytes: [UInt8]) throws(VaultError) {
        self = try bytes.withBytes { (raw) throws(VaultError) in
            var reader = ByteReader(raw, reading: "a journal")
            var checkpoint = TreeCheckpoint(number: try reader.u32(), partial: nil)
            guard try reader.u8() == 1 else { return checkpoint }
            var partial = PartialFile(
                path: try reader.blob(upTo: Entry.maximumPathBytes), device: try reader.u64(),
                inode: try reader.u64(),
                modified: Timestamp(seconds: try reader.zigzag(), nanoseconds: try reader.u32()),
                changed: Timestamp(seconds: try reader.zigzag(), nanoseconds: try reader.u32()),
                size: try reader.u64(), extents: [])
            var rest = partial.size
            for _ in 0..<(try reader.varint(upTo: reader.remaining)) {
                let tag = try reader.varint()
                guard tag >> 1 <= rest else { throw reader.malformed("a file is said to be longer than it is") }
                rest -= tag >> 1
                partial.extents.append(
                    Extent(length: tag >> 1, chunk: tag & 1 == 1 ? nil : try reader.digest()))
            }
            try reader.expectEnd()
            checkpoint.partial = partial
            return checkpoint
        }
    }
}

/// The end frame's content: what the next run needs to know of the tree as a whole.
struct TreeSummary {
    var root: Digest
    var level: UInt8
    /// D of the archive's references.
    var references: Digest
    var nodes: [Digest]

    func encode() -> [UInt8] { root.bytes + [level] + references.bytes + nodes.flatMap(\.bytes) }

    init(root: Digest, level: UInt8, references: Digest, nodes: [Digest]) {
        self.root = root
        self.level = level
        self.references = references
        self.nodes = nodes
    }

    init?(decoding bytes: [UInt8]) {
        guard bytes.count >= 65, (bytes.count - 65).isMultiple(of: 32), let root = Digest(bytes[..<32]),
            let references = Digest(bytes[33..<65])
        else { return nil }
        let nodes = stride(from: 65, to: bytes.count, by: 32).compactMap { Digest(bytes[$0..<$0 + 32]) }
        self.init(root: root, level: bytes[32], references: references, nodes: nodes)
    }
}
