import Domain
@testable import Vault

private let digest = Digest(words: (0xAA << 56, 6, 7, 8))

/// Bytes in place of an object of a store.
private final class Bytes: ObjectReader {
    private let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    var length: UInt64 { UInt64(bytes.count) }
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VaultError) {
        guard offset <= length, UInt64(buffer.count) <= length - offset else { throw .damaged("it ends early") }
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
    func prefetch(at offset: UInt64, length: Int) {}
}

private let output = RawBuffer(count: PackFormat.chunkLimit)

private func entries() -> [PackEntry] {
    [
        PackEntry(offset: 112, storedLength: 64, kind: .data, codec: .raw, slot: 0, chunkID: digest),
        PackEntry(
            offset: 256, storedLength: 128, kind: .group, codec: .zstd, slot: 1, chunkID: Digest(words: (1, 2, 3, 4)),
            members: [digest, digest]),
    ]
}

let packTargets = [
    Target(
        name: "pack-header",
        run: { bytes in
            bytes.withUnsafeBytes { raw in
                if let header = try? PackHeader(decoding: raw) {
                    expect(header.encode() == bytes, "a pack header has one encoding")
                }
                guard let record = try? RecordHeader(decoding: raw) else { return }
                let again = RawBuffer(count: PackFormat.recordHeaderCount)
                record.encode(into: again.bytes)
                expect(
                    again.readable.prefix(PackFormat.recordHeaderCount)
                        .elementsEqual(raw.prefix(PackFormat.recordHeaderCount)),
                    "a record header has one encoding")
            }
        },
        seeds: {
            let commitment = [UInt8](repeating: 7, count: 16).withUnsafeBytes { RecordCommitment($0) }
            guard let commitment else { return [] }
            let header = RecordHeader(
                kind: .data, codec: .zstd, slot: 3, storedLength: 64, chunkID: digest, commitment: commitment)
            let out = RawBuffer(count: PackFormat.recordHeaderCount)
            header.encode(into: out.bytes)
            return [
                PackHeader(id: digest, session: digest, domain: digest).encode(),
                Array(out.slice(0..<PackFormat.recordHeaderCount)),
            ]
        }),
    Target(
        name: "pack-footer",
        run: { bytes in
            if let entries = try? PackFooter.decode(bytes) {
                expect(PackFooter.encode(entries) == bytes, "a footer has one encoding")
            }
            _ = try? PackFooter.read(from: Bytes(bytes), length: UInt64(bytes.count), suite: .blake3)
        },
        seeds: {
            let footer = PackFooter.encode(entries())
            let body = [UInt8](repeating: 0, count: 512)
            let trailer = PackFooter.trailer(footer: footer, offset: body.count, suite: .blake3)
            return [footer, PackFooter.encode([]), body + footer + trailer]
        }),
    Target(
        name: "record-payload",
        run: { bytes in
            guard let decompressor = try? Decompressor(), let codec = bytes.first else { return }
            Array(bytes.dropFirst()).withUnsafeBytes { raw in
                guard let count = try? RecordPayload.plainCount(raw) else { return }
                let plain = try? RecordPayload.unpack(raw, codec: codec & 1, into: output, with: decompressor)
                if let plain { expect(plain.count == count, "a chunk has the length that it declares") }
            }
        },
        seeds: {
            let plain = Array("the same words again and again, the same words again and again".utf8) + [0, 0, 0]
            guard let compressor = try? Compressor(level: 3) else { return [] }
            let room = RawBuffer(count: 4096)
            let packed = plain.withUnsafeBytes { compressor.compress($0, into: room.bytes) } ?? 0
            func payload(_ packed: [UInt8]) -> [UInt8] {
                var writer = ByteWriter()
                writer.u32(UInt32(plain.count))
                writer.u32(UInt32(packed.count))
                writer.raw(packed)
                return writer.bytes
            }
            return [[0] + payload(plain), [1] + payload(Array(room.slice(0..<packed)))]
        }),
    Target(
        name: "index-segment",
        run: { bytes in
            guard let segment = try? IndexSegment(MappedBytes(bytes)) else { return }
            _ = segment.find(digest)
            segment.forEach { id, _ in _ = segment.find(id) }
            guard segment.packs.count < 4096 else { return }
            _ = IndexSegment.encode(domain: segment.domain, packs: segment.summaries())
        },
        seeds: {
            let summary = PackSummary(
                pack: Manifest.Pack(id: digest, length: 4096, digest: digest), entries: entries())
            return [
                IndexSegment.encode(domain: digest, packs: [summary, summary]),
                IndexSegment.encode(domain: digest, packs: []),
            ]
        }),
    Target(
        name: "group",
        run: { bytes in
            bytes.withUnsafeBytes { raw in
                guard let group = try? GroupView(raw) else { return }
                var total = group.firstOffset
                for index in 0..<group.count { total += (try? group.member(index).count) ?? -1 }
                expect(total == bytes.count, "the members of a group fill it")
                expect((try? group.member(group.count)) == nil, "a group has no member behind its last")
            }
        },
        seeds: {
            var writer = ByteWriter()
            for number in [3, 2, 0, 3] as [UInt32] { writer.u32(number) }
            writer.raw(Array("ABCDE".utf8))
            return [writer.bytes, [0, 0, 0, 0]]
        }),
]
