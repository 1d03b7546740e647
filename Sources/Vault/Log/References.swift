import Domain

/// What keeps chunks alive, readable without keys. See `docs/format.md` §9.
struct References: Equatable {
    static let byteLimit = 1 << 30
    private static let magic = Array("QALAREFS".utf8)

    struct Page: Equatable {
        var id: Digest
        var chunks: [Digest]
    }

    /// D of the references this one adds to; zero when it is complete in itself.
    var base: Digest
    var dropped: [Digest] = []
    var pages: [Page] = []

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + 32 * (dropped.count + pages.count))
        writer.raw(Self.magic)
        writer.u8(1)
        writer.digest(base)
        writer.varint(UInt64(dropped.count))
        for id in dropped { writer.digest(id) }
        writer.varint(UInt64(pages.count))
        for page in pages {
            writer.digest(page.id)
            writer.varint(UInt64(page.chunks.count))
            for chunk in page.chunks { writer.digest(chunk) }
        }
        return writer.bytes
    }

    init(base: Digest) { self.base = base }

    /// Bytes from the start that tell ``owner(of:)``.
    static let ownerBytes = 8 + 1 + 32 + 10 + 32

    /// The first dropped page, in whose place a writer puts its session; nil when there is none.
    static func owner(of start: UnsafeRawBufferPointer) throws(VaultError) -> Digest? {
        var reader = ByteReader(start, reading: "the references of an archive")
        guard try reader.take(8).elementsEqual(Self.magic), try reader.u8() == 1 else {
            throw reader.malformed("they do not start as such")
        }
        _ = try reader.digest()
        return try reader.varint() == 0 ? nil : try reader.digest()
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "the references of an archive")
        guard try reader.take(8).elementsEqual(Self.magic), try reader.u8() == 1 else {
            throw reader.malformed("they do not start as such")
        }
        base = try reader.digest()
        for _ in 0..<(try reader.varint(upTo: reader.remaining / Digest.byteCount)) {
            dropped.append(try reader.digest())
        }
        for _ in 0..<(try reader.varint(upTo: reader.remaining / Digest.byteCount)) {
            var page = Page(id: try reader.digest(), chunks: [])
            for _ in 0..<(try reader.varint(upTo: reader.remaining / Digest.byteCount)) {
                page.chunks.append(try reader.digest())
            }
            pages.append(page)
        }
        try reader.expectEnd()
    }
}
