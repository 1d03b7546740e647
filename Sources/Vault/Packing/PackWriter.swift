import Domain

/// A finished pack: what a manifest and an index need of it.
struct PackSummary: Sendable {
    var pack: Manifest.Pack
    var entries: [PackEntry]
}

/// Compresses, seals, checks and writes chunks into one open pack after another. One thread's own.
///
/// Invariants:
/// 1. Before a pack is reported by ``takeFinished()`` each of its records was opened again from the bytes that were handed
///    to the store, decompressed and compared with the chunk, and the store has made it durable.
/// 2. A key is never used twice: pack ids are random and slots count up within one pack.
final class PackWriter {
    struct Settings: Sendable {
        var suite: HashSuite
        var domain: Digest
        var session: SessionKey
        /// zstd level.
        var level: Int32 = 2
        /// A pack is finished when it has reached this many bytes.
        var packBytes = 64 << 20
        /// Or when its footer has: it is held in memory until then, by each open pack.
        var footerBytes = 4 << 20
    }

    private let store: any Store
    private let settings: Settings
    private let cipher: RecordCipher
    private let compressor: Compressor
    private let decompressor: Decompressor
    private var open: OpenPack?
    private var finished: [PackSummary] = []

    /// Payload before sealing (and, after it, what opens from the record again), the record as stored, and what decompresses
    /// from it. Grown to the largest chunk met.
    private var payload = RawBuffer(count: 2 << 20)
    private var record = RawBuffer(count: 2 << 20)
    private var unpacked = RawBuffer(count: 64 << 10)

    fileprivate final class OpenPack {
        let id = Random.digest()
        let upload: any ObjectUpload
        var hasher: ObjectHasher
        var length = 0
        var entries: [PackEntry] = []
        /// What the entries take in the footer, at most.
        var footerBytes = 0

        init(store: any Store, sizeHint: Int, suite: HashSuite) throws(VaultError) {
            upload = try store.create(Manifest.packName(id), sizeHint: sizeHint)
            hasher = ObjectHasher(suite: suite)
        }

        func append(_ bytes: UnsafeRawBufferPointer) throws(VaultError) {
            try upload.append(bytes)
            hasher.update(bytes)
            length += bytes.count
        }
    }

    init(store: any Store, settings: Settings) throws(VaultError) {
        self.store = store
        self.settings = settings
        cipher = try RecordCipher()
        compressor = try Compressor(level: settings.level)
        decompressor = try Decompressor()
    }

    deinit { open?.upload.abort() }

    /// Writes one chunk; returns the length of its record. The chunk must not be larger than the format allows.
    func add(
        _ plain: UnsafeRawBufferPointer, kind: ChunkKind, id: Digest, members: [Digest]
    ) throws(VaultError) -> Int {
        guard plain.count <= PackFormat.chunkLimit else {
            throw VaultError(.limit, "a chunk of \(plain.count) bytes exceeds the limit")
        }
        makeRoom(for: plain.count)
        let (codec, count) = pack(plain)
        let pack = try current()
        let label = RecordLabel(
            packID: pack.id, slot: UInt32(pack.entries.count), kind: kind.rawValue, codec: codec.rawValue,
            storedLength: UInt32(count), chunkID: id)
        let sealedCount = count + PackFormat.tagCount
        let headerCount = PackFormat.recordHeaderCount
        let sealed = UnsafeMutableRawBufferPointer(rebasing: record.bytes[headerCount..<headerCount + sealedCount])
        let commitment = try cipher.seal(
            payload.slice(0..<count), into: sealed, label: label, session: settings.session)
        let header = RecordHeader(
            kind: kind, codec: codec, slot: label.slot, storedLength: label.storedLength, chunkID: id,
            commitment: commitment)
        header.encode(into: UnsafeMutableRawBufferPointer(rebasing: record.bytes[..<headerCount]))
        try check(UnsafeRawBufferPointer(sealed), plain, label, commitment)
        pack.entries.append(
            PackEntry(
                offset: UInt64(pack.length), storedLength: label.storedLength, kind: kind, codec: codec,
                slot: label.slot, chunkID: id, members: members))
        try pack.append(record.slice(0..<headerCount + sealedCount))
        pack.footerBytes += 64 + Digest.byteCount * members.count
        if pack.length >= settings.packBytes || pack.footerBytes >= settings.footerBytes { try finish() }
        return headerCount + sealedCount
    }

    private func makeRoom(for count: Int) {
        let needed =
            PackFormat.paddedPayload(Compressor.bound(count) + PackFormat.payloadHeaderCount)
            + PackFormat.recordHeaderCount + PackFormat.tagCount
        guard payload.bytes.count < needed else { return }
        payload = RawBuffer(count: needed)
        record = RawBuffer(count: needed)
    }

    /// Fills `payload` with lengths, packed bytes and padding; returns the codec and the padded count.
    private func pack(_ plain: UnsafeRawBufferPointer) -> (ChunkCodec, Int) {
        let start = PackFormat.payloadHeaderCount
        let room = UnsafeMutableRawBufferPointer(rebasing: payload.bytes[start...])
        let packed = compressor.compress(plain, into: room)
        if packed == nil { room.copyMemory(from: plain) }
        let used = packed ?? plain.count
        payload.bytes.storeBytes(of: UInt32(plain.count).littleEndian, as: UInt32.self)
        payload.bytes.storeBytes(of: UInt32(used).littleEndian, toByteOffset: 4, as: UInt32.self)
        let count = PackFormat.paddedPayload(start + used)
        for at in start + used..<count { payload.bytes[at] = 0 }
        return (packed == nil ? .raw : .zstd, count)
    }

    /// Opens what is about to be stored and compares it with the chunk.
    private func check(
        _ sealed: UnsafeRawBufferPointer, _ plain: UnsafeRawBufferPointer, _ label: RecordLabel,
        _ commitment: RecordCommitment
    ) throws(VaultError) {
        let count = Int(label.storedLength)
        if label.codec == ChunkCodec.zstd.rawValue, unpacked.bytes.count < plain.count {
            unpacked = RawBuffer(count: plain.count)
        }
        let out = UnsafeMutableRawBufferPointer(rebasing: payload.bytes[..<count])
        try cipher.open(
            sealed, into: out, label: label, session: settings.session, commitment: commitment)
        let again = try RecordPayload.unpack(
            UnsafeRawBufferPointer(out), codec: label.codec, into: unpacked, with: decompressor)
        guard again.elementsEqualFast(plain) else {
            throw .damaged(
                "a chunk did not come back as it was before it was stored",
                hint: "The memory or processor of this machine is unreliable: test it before archiving again.")
        }
    }

    private func current() throws(VaultError) -> OpenPack {
        if let open { return open }
        let made = try OpenPack(store: store, sizeHint: settings.packBytes, suite: settings.suite)
        let header = PackHeader(id: made.id, session: settings.session.sessionID, domain: settings.domain).encode()
        try header.withBytes { (raw) throws(VaultError) in try made.append(raw) }
        open = made
        return made
    }

    /// Finishes the open pack, if any: footer, padding, trailer, durability.
    func finish() throws(VaultError) {
        guard let pack = open else { return }
        open = nil
        let footer = PackFooter.encode(pack.entries, atMost: pack.footerBytes)
        let total = PackFormat.paddedPack(pack.length + footer.count + PackFormat.trailerCount)
        let padding = total - pack.length - footer.count - PackFormat.trailerCount
        let trailer = PackFooter.trailer(footer: footer, offset: pack.length, suite: settings.suite)
        for part in [footer, [UInt8](repeating: 0, count: padding), trailer] {
            try part.withBytes { (raw) throws(VaultError) in try pack.append(raw) }
        }
        try pack.upload.finish()
        let digest = pack.takeDigest(suite: settings.suite)
        finished.append(
            PackSummary(
                pack: Manifest.Pack(id: pack.id, length: UInt64(pack.length), digest: digest),
                entries: pack.entries.map(\.withoutMembers)))
    }

    /// The packs finished since the last call.
    func takeFinished() -> [PackSummary] {
        defer { finished = [] }
        return finished
    }
}

extension PackWriter.OpenPack {
    fileprivate func takeDigest(suite: HashSuite) -> Digest {
        var last = ObjectHasher(suite: suite)
        swap(&last, &hasher)
        return last.finalize()
    }
}

/// The plaintext of a record: lengths, packed bytes, padding.
enum RecordPayload {
    /// Length of the chunk as its payload declares it, within the limit of the format.
    static func plainCount(_ payload: UnsafeRawBufferPointer) throws(VaultError) -> Int {
        var reader = ByteReader(payload, reading: "a chunk")
        let count = Int(try reader.u32())
        guard count <= PackFormat.chunkLimit else { throw reader.malformed("its length is out of bounds") }
        return count
    }

    /// Returns the chunk: a part of `payload` itself when it is raw, else decompressed into `out`.
    static func unpack(
        _ payload: UnsafeRawBufferPointer, codec: UInt8, into out: RawBuffer, with decompressor: Decompressor
    ) throws(VaultError) -> UnsafeRawBufferPointer {
        var reader = ByteReader(payload, reading: "a chunk")
        let plainCount = try Self.plainCount(payload)
        _ = try reader.u32()
        let packedCount = Int(try reader.u32())
        let packed = try reader.take(packedCount)
        guard codec == ChunkCodec.zstd.rawValue else {
            guard packedCount == plainCount else { throw reader.malformed("its lengths differ") }
            return packed
        }
        guard plainCount <= out.bytes.count else { throw reader.malformed("its length exceeds the buffer") }
        let target = UnsafeMutableRawBufferPointer(rebasing: out.bytes[..<plainCount])
        try decompressor.decompress(packed, into: target)
        return UnsafeRawBufferPointer(target)
    }
}
