package import Domain

/// The objects that a checkpoint or commit makes count. See `docs/format.md` §5.
package struct Manifest: Sendable, Equatable {
    static let byteLimit = 64 << 20
    /// As many fit into one manifest.
    static let mostPacks = 900_000
    static let packLimit = 1 << 20
    private static let magic = Array("QALAMANI".utf8)

    package struct Pack: Sendable, Hashable {
        package var id: Digest
        package var length: UInt64
        package var digest: Digest
    }

    package struct Segment: Sendable, Equatable {
        package var object: ObjectReference
        package var replaced: [Digest]
    }

    package var session: Digest
    package var packs: [Pack] = []
    package var segments: [Segment] = []
    package var references: ObjectReference?

    static func objectName(_ digest: Digest) -> String { "manifests/\(digest.hex)" }
    static func indexName(_ digest: Digest) -> String { "index/\(digest.hex)" }
    static func referencesName(_ digest: Digest) -> String { "refs/\(digest.hex)" }
    package static func packName(_ id: Digest) -> String {
        let name = id.hex
        return "packs/\(name.prefix(2))/\(name)"
    }

    init(session: Digest) { self.session = session }

    func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Self.magic)
        writer.u8(1)
        writer.digest(session)
        writer.varint(UInt64(packs.count))
        for pack in packs {
            writer.digest(pack.id)
            writer.u64(pack.length)
            writer.digest(pack.digest)
        }
        writer.varint(UInt64(segments.count))
        for segment in segments {
            writer.reference(segment.object)
            writer.varint(UInt64(segment.replaced.count))
            for digest in segment.replaced { writer.digest(digest) }
        }
        writer.u8(references == nil ? 0 : 1)
        if let references { writer.reference(references) }
        return writer.bytes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "a manifest")
        guard try reader.take(8).elementsEqual(Self.magic), try reader.u8() == 1 else {
            throw reader.malformed("it does not start as one")
        }
        session = try reader.digest()
        for _ in 0..<(try reader.varint(upTo: Self.packLimit)) {
            packs.append(Pack(id: try reader.digest(), length: try reader.u64(), digest: try reader.digest()))
        }
        for _ in 0..<(try reader.varint(upTo: 4096)) {
            var segment = Segment(object: try reader.reference(), replaced: [])
            for _ in 0..<(try reader.varint(upTo: 4096)) { segment.replaced.append(try reader.digest()) }
            segments.append(segment)
        }
        switch try reader.u8() {
        case 0: references = nil
        case 1: references = try reader.reference()
        default: throw reader.malformed("a flag is neither 0 nor 1")
        }
        try reader.expectEnd()
    }
}
