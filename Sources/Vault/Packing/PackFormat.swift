package import Domain

/// What a chunk holds. See `docs/format.md` §6.
package enum ChunkKind: UInt8, Sendable, CaseIterable {
    case data = 1
    case group = 2
    case page = 3
    case node = 4
}

package enum ChunkCodec: UInt8, Sendable {
    case raw = 0
    case zstd = 1
}

/// One record as a footer lists it.
package struct PackEntry: Sendable, Hashable {
    package var offset: UInt64
    /// Length L of the sealed bytes without the tag.
    package var storedLength: UInt32
    package var kind: ChunkKind
    package var codec: ChunkCodec
    package var slot: UInt32
    package var chunkID: Digest
    /// Ids of a group's members, in order.
    package var members: [Digest] = []

    /// What an index needs; kept for every chunk of a run, it must not grow with the number of files.
    var withoutMembers: PackEntry {
        var short = self
        short.members = []
        return short
    }

    /// What an index segment keeps of it; see `IndexSegment.summaries`.
    var asRow: PackEntry {
        PackEntry(
            offset: offset, storedLength: storedLength, kind: .data, codec: .raw, slot: slot, chunkID: chunkID)
    }
}

/// Byte layout of packs.
enum PackFormat {
    static let magic = Array("QALAPACK".utf8)
    static let recordMagic = Array("QREC".utf8)
    static let footerMagic = Array("QFOT".utf8)
    static let trailerMagic = Array("QALAEND1".utf8)
    static let headerCount = 112
    static let recordHeaderCount = 64
    static let tagCount = 16
    static let trailerCount = 64
    /// Plain length and packed length before the packed bytes.
    static let payloadHeaderCount = 8
    static let chunkLimit = 16 << 20
    /// Sealed length of a record at most: a raw chunk with its lengths and padding.
    static let storedLimit = chunkLimit + chunkLimit / 64 + 4096
    static let footerLimit = 64 << 20
    static let packLimit = UInt64(UInt32.max)

    /// Rounds the sealed length up, to at most 1/128 more (64 bytes at least), so that lengths identify less.
    static func paddedPayload(_ count: Int) -> Int {
        let step = max(64, 1 << max(0, (Int.bitWidth - 1 - count.leadingZeroBitCount) - 7))
        return (count + step - 1) / step * step
    }

    /// Rounds the length of a pack up likewise, to at most 1/256 more, 4096 at least.
    static func paddedPack(_ count: Int) -> Int {
        let step = max(4096, 1 << max(0, (Int.bitWidth - 1 - count.leadingZeroBitCount) - 8))
        return (count + step - 1) / step * step
    }
}

/// The first bytes of a pack.
struct PackHeader: Equatable {
    var id: Digest
    var session: Digest
    var domain: Digest

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: PackFormat.headerCount)
        writer.raw(PackFormat.magic)
        writer.u64(1)
        writer.digest(id)
        writer.digest(session)
        writer.digest(domain)
        return writer.bytes
    }

    init(id: Digest, session: Digest, domain: Digest) {
        self.id = id
        self.session = session
        self.domain = domain
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "a pack header")
        guard try reader.take(8).elementsEqual(PackFormat.magic), try reader.u64() == 1 else {
            throw reader.malformed("it does not start as one")
        }
        id = try reader.digest()
        session = try reader.digest()
        domain = try reader.digest()
        try reader.expectEnd()
    }
}

/// The plain fields before a sealed record.
struct RecordHeader {
    var kind: ChunkKind
    var codec: ChunkCodec
    var slot: UInt32
    var storedLength: UInt32
    var chunkID: Digest
    var commitment: RecordCommitment

    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.copyBytes(from: PackFormat.recordMagic)
        out[4] = kind.rawValue
        out[5] = codec.rawValue
        out.storeBytes(of: UInt16(0), toByteOffset: 6, as: UInt16.self)
        out.storeBytes(of: slot.littleEndian, toByteOffset: 8, as: UInt32.self)
        out.storeBytes(of: storedLength.littleEndian, toByteOffset: 12, as: UInt32.self)
        chunkID.store(to: UnsafeMutableRawBufferPointer(rebasing: out[16..<48]))
        commitment.store(to: UnsafeMutableRawBufferPointer(rebasing: out[48..<64]))
    }

    init(
        kind: ChunkKind, codec: ChunkCodec, slot: UInt32, storedLength: UInt32, chunkID: Digest,
        commitment: RecordCommitment
    ) {
        self.kind = kind
        self.codec = codec
        self.slot = slot
        self.storedLength = storedLength
        self.chunkID = chunkID
        self.commitment = commitment
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "a record header")
        guard try reader.take(4).elementsEqual(PackFormat.recordMagic) else {
            throw reader.malformed("it does not start as one")
        }
        guard let kind = ChunkKind(rawValue: try reader.u8()), let codec = ChunkCodec(rawValue: try reader.u8()),
            try reader.u16() == 0
        else { throw reader.malformed("its kind or codec is unknown") }
        self.kind = kind
        self.codec = codec
        slot = try reader.u32()
        storedLength = try reader.u32()
        guard storedLength <= PackFormat.storedLimit, storedLength >= PackFormat.payloadHeaderCount else {
            throw reader.malformed("its length is out of bounds")
        }
        chunkID = try reader.digest()
        guard let commitment = RecordCommitment(try reader.take(RecordCommitment.byteCount)) else {
            throw reader.malformed("it ends early")
        }
        self.commitment = commitment
    }
}

/// The list of a pack's records at its end.
enum PackFooter {
    /// `atMost`: bytes that the entries take, so that the buffer need not grow.
    static func encode(_ entries: [PackEntry], atMost: Int = 0) -> [UInt8] {
        var writer = ByteWriter(capacity: atMost + 16)
        writer.raw(PackFormat.footerMagic)
        writer.u32(UInt32(entries.count))
        for entry in entries {
            writer.u64(entry.offset)
            writer.u32(entry.storedLength)
            writer.u8(entry.kind.rawValue)
            writer.u8(entry.codec.rawValue)
            writer.digest(entry.chunkID)
            writer.varint(UInt64(entry.members.count))
            for member in entry.members { writer.digest(member) }
        }
        return writer.bytes
    }

    static func trailer(footer: [UInt8], offset: Int, suite: HashSuite) -> [UInt8] {
        var writer = ByteWriter(capacity: PackFormat.trailerCount)
        writer.raw(PackFormat.trailerMagic)
        writer.u64(UInt64(offset))
        writer.u64(UInt64(footer.count))
        writer.digest(ObjectHasher.digest(of: footer, suite: suite))
        writer.u64(0)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(VaultError) -> [PackEntry] {
        var entries: [PackEntry] = []
        try bytes.withBytes { (raw) throws(VaultError) in try forEach(in: raw) { entries.append($0) } }
        return entries
    }

    /// Every entry of a footer in order, one at a time.
    static func forEach(
        in footer: UnsafeRawBufferPointer, _ body: (PackEntry) throws(VaultError) -> Void
    ) throws(VaultError) {
        var reader = ByteReader(footer, reading: "a pack footer")
        guard try reader.take(4).elementsEqual(PackFormat.footerMagic) else {
            throw reader.malformed("it does not start as one")
        }
        let count = try reader.u32()
        guard Int(count) <= reader.remaining / 47 else { throw reader.malformed("its count is out of bounds") }
        for slot in 0..<count {
            let offset = try reader.u64()
            let length = try reader.u32()
            guard let kind = ChunkKind(rawValue: try reader.u8()),
                let codec = ChunkCodec(rawValue: try reader.u8()), length <= PackFormat.storedLimit,
                offset <= PackFormat.packLimit
            else { throw reader.malformed("a record is out of bounds") }
            var entry = PackEntry(
                offset: offset, storedLength: length, kind: kind, codec: codec, slot: slot,
                chunkID: try reader.digest())
            let members = try reader.varint(upTo: reader.remaining / Digest.byteCount)
            entry.members.reserveCapacity(members)
            for _ in 0..<members { entry.members.append(try reader.digest()) }
            try body(entry)
        }
        try reader.expectEnd()
    }

    /// Reads and checks the footer of a pack through its trailer.
    static func read(from reader: any ObjectReader, length: UInt64, suite: HashSuite) throws(VaultError) -> [PackEntry]
    {
        let footer = try bytes(from: reader, length: length, suite: suite)
        defer { withExtendedLifetime(footer) {} }
        return try decode(Array(footer.readable))
    }

    /// As above, as it is stored.
    static func bytes(from reader: any ObjectReader, length: UInt64, suite: HashSuite) throws(VaultError) -> RawBuffer {
        try located(from: reader, length: length, suite: suite).footer
    }

    /// As above, of a pack of which every byte was found to be what the manifest says. Its own digest alone is no proof: who
    /// keeps the store could write another footer with another digest.
    static func checked(
        _ pack: Manifest.Pack, in store: any Store, _ suite: HashSuite
    ) throws(VaultError) -> [UInt8] {
        let reader = try store.open(Manifest.packName(pack.id))
        guard reader.length == pack.length else { throw .damaged("pack \(pack.id) has changed its length") }
        let (footer, start) = try located(from: reader, length: pack.length, suite: suite)
        defer { withExtendedLifetime(footer) {} }
        let expected = footer.readable
        var hasher = ObjectHasher(suite: suite)
        let buffer = RawBuffer(count: 1 << 20)
        var offset: UInt64 = 0
        while offset < pack.length {
            let count = UInt64(min(1 << 20, pack.length - offset))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<Int(count)])
            try reader.read(at: offset, into: part)
            hasher.update(UnsafeRawBufferPointer(part))
            // What was read before must be what is hashed now.
            let from = max(start, offset)
            let end = min(start + UInt64(expected.count), offset + count)
            if from < end {
                let seen = UnsafeRawBufferPointer(rebasing: part[Int(from - offset)..<Int(end - offset)])
                let same = UnsafeRawBufferPointer(rebasing: expected[Int(from - start)..<Int(end - start)])
                guard seen.elementsEqualFast(same) else { throw .damaged("pack \(pack.id) changes while it is read") }
            }
            offset += count
        }
        guard hasher.finalize() == pack.digest else { throw .damaged("pack \(pack.id) is not what was stored") }
        return Array(expected)
    }

    private static func located(
        from reader: any ObjectReader, length: UInt64, suite: HashSuite
    ) throws(VaultError) -> (footer: RawBuffer, offset: UInt64) {
        guard length <= PackFormat.packLimit,
            length >= UInt64(PackFormat.headerCount + PackFormat.trailerCount + 8)
        else { throw .damaged("a pack of \(length) bytes is out of bounds") }
        let trailer = RawBuffer(count: PackFormat.trailerCount)
        try reader.read(
            at: length - UInt64(PackFormat.trailerCount),
            into: UnsafeMutableRawBufferPointer(rebasing: trailer.bytes[..<PackFormat.trailerCount]))
        var fields = ByteReader(trailer.readable, reading: "a pack trailer")
        guard try fields.take(8).elementsEqual(PackFormat.trailerMagic) else {
            throw fields.malformed("it does not start as one")
        }
        let offset = try fields.u64()
        let count = try fields.u64()
        let digest = try fields.digest()
        guard try fields.u64() == 0, count <= UInt64(PackFormat.footerLimit), offset <= length,
            count <= length - offset
        else { throw fields.malformed("its footer is out of bounds") }
        let footer = RawBuffer(count: Int(count))
        let bytes = UnsafeMutableRawBufferPointer(rebasing: footer.bytes[..<Int(count)])
        try reader.read(at: offset, into: bytes)
        guard ObjectHasher.digest(of: UnsafeRawBufferPointer(bytes), suite: suite) == digest else {
            throw .damaged("the footer of a pack is not what was stored")
        }
        return (footer, offset)
    }
}
