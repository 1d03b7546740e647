package import Domain

/// Where a chunk's record lies.
package struct ChunkLocation: Sendable, Hashable {
    package var pack: Digest
    package var offset: UInt64
    package var storedLength: UInt32
    package var slot: UInt32
}

/// An immutable, sorted table from chunk id to location; see `docs/format.md` §7. A cache of footers: the same packs make
/// the same bytes.
struct IndexSegment: Sendable {
    static let magic = Array("QALAIDX1".utf8)
    static let entryCount = 48
    static let fanOutCount = 257
    private static let fixedCount = 8 + 32 + 4 + 4

    let domain: Digest
    let packs: [Digest]
    let count: Int
    private let storage: MappedBytes
    private let fanOut: Int
    private let entries: Int

    /// Builds the bytes of a segment for these packs; the first pack that holds an id wins.
    static func encode(domain: Digest, packs: [PackSummary]) -> [UInt8] {
        var rows: [(id: Digest, pack: UInt32, entry: Int)] = []
        for (index, pack) in packs.enumerated() {
            for entry in pack.entries.indices {
                rows.append((pack.entries[entry].chunkID, UInt32(index), entry))
            }
        }
        rows.sort { ($0.id, $0.pack, $0.entry) < ($1.id, $1.pack, $1.entry) }
        var unique: [(id: Digest, pack: UInt32, entry: Int)] = []
        unique.reserveCapacity(rows.count)
        for row in rows where unique.last?.id != row.id { unique.append(row) }

        var writer = ByteWriter(capacity: fixedCount + 32 * packs.count + 4 * fanOutCount + entryCount * unique.count)
        writer.raw(magic)
        writer.digest(domain)
        writer.u32(UInt32(packs.count))
        writer.u32(UInt32(unique.count))
        for pack in packs { writer.digest(pack.pack.id) }
        var below = 0
        for first in 0..<fanOutCount {
            while below < unique.count, unique[below].id.words.0 >> 56 < UInt64(first) { below += 1 }
            writer.u32(UInt32(below))
        }
        for row in unique {
            let entry = packs[Int(row.pack)].entries[row.entry]
            writer.digest(row.id)
            writer.u32(row.pack)
            writer.u32(UInt32(entry.offset))
            writer.u32(entry.storedLength)
            writer.u32(entry.slot)
        }
        return writer.bytes
    }

    /// The order in which packs have their say: those that were deleted have none, those condemned the last, because who
    /// knows of that looks for another copy.
    static func inOrder<P>(_ packs: [P], _ fates: PackFates, _ id: (P) -> Digest) -> [P] {
        if fates.isEmpty { return packs }
        let left = packs.filter { !fates.deleted.contains(id($0)) }
        return left.filter { !fates.condemned.contains(id($0)) } + left.filter { fates.condemned.contains(id($0)) }
    }

    /// Whose segment begins with these bytes.
    static func domain(of start: UnsafeRawBufferPointer) throws(VaultError) -> Digest {
        var reader = ByteReader(start, reading: "an index segment")
        guard try reader.take(8).elementsEqual(Self.magic) else { throw reader.malformed("it does not start as one") }
        return try reader.digest()
    }

    /// Checks the shape of every part; entries are checked as they are met.
    init(_ storage: MappedBytes) throws(VaultError) {
        var reader = ByteReader(storage.bytes, reading: "an index segment")
        guard try reader.take(8).elementsEqual(Self.magic) else { throw reader.malformed("it does not start as one") }
        domain = try reader.digest()
        let packCount = Int(try reader.u32())
        count = Int(try reader.u32())
        guard packCount <= 1 << 20,
            reader.remaining == packCount * 32 + Self.fanOutCount * 4 + count * Self.entryCount
        else { throw reader.malformed("its counts do not fit its length") }
        var packs: [Digest] = []
        packs.reserveCapacity(packCount)
        for _ in 0..<packCount { packs.append(try reader.digest()) }
        self.packs = packs
        fanOut = reader.offset
        entries = fanOut + Self.fanOutCount * 4
        self.storage = storage
    }

    private func bound(_ first: Int) -> Int {
        min(
            count,
            Int(UInt32(littleEndian: storage.bytes.loadUnaligned(fromByteOffset: fanOut + 4 * first, as: UInt32.self))))
    }

    private func id(_ index: Int) -> Digest {
        Digest(UnsafeRawBufferPointer(rebasing: storage.bytes[(entries + index * Self.entryCount)...])) ?? .zero
    }

    func find(_ id: Digest) -> ChunkLocation? { row(of: id).flatMap(location) }

    /// The number of the chunk's entry.
    func row(of id: Digest) -> Int? {
        let first = Int(id.words.0 >> 56)
        var low = bound(first)
        var high = bound(first + 1)
        while low < high {
            let middle = (low + high) / 2
            let here = self.id(middle)
            if here == id { return middle }
            if here < id { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    func location(_ index: Int) -> ChunkLocation? {
        let at = entries + index * Self.entryCount + 32
        func field(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: storage.bytes.loadUnaligned(fromByteOffset: at + offset, as: UInt32.self))
        }
        guard Int(field(0)) < packs.count else { return nil }
        return ChunkLocation(
            pack: packs[Int(field(0))], offset: UInt64(field(4)), storedLength: field(8), slot: field(12))
    }

    /// Every chunk id with its location, in order.
    func forEach(_ body: (Digest, ChunkLocation) -> Void) {
        for index in 0..<count {
            if let location = location(index) { body(id(index), location) }
        }
    }

    /// The packs it serves with their chunks, as far as a segment knows them: enough to join it with others. Packs that are `gone`
    /// cost no memory.
    func summaries(without gone: Set<Digest> = []) -> [PackSummary] {
        var entries: [Digest: [PackEntry]] = [:]
        forEach { id, location in
            guard !gone.contains(location.pack) else { return }
            entries[location.pack, default: []].append(
                PackEntry(
                    offset: location.offset, storedLength: location.storedLength, kind: .data, codec: .raw,
                    slot: location.slot, chunkID: id))
        }
        return packs.filter { !gone.contains($0) }.map { pack in
            PackSummary(
                pack: Manifest.Pack(id: pack, length: 0, digest: .zero), entries: entries[pack] ?? [])
        }
    }
}
