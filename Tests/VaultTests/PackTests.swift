import Domain
import TestSupport
import Testing

@testable import Vault

@Suite("Packs")
struct PackTests {
    /// A session that the log knows, and a writer and a reader of its packs.
    private final class Bench {
        let bench: VaultBench
        let session: SessionKey
        let writer: PackWriter
        let domain: Digest
        let store: any Store
        let identities: SealingPool.Identities

        init(packBytes: Int = 64 << 20, footerBytes: Int = PackFormat.footerLimit / 2) throws {
            bench = try VaultBench()
            let vault = bench.vault
            store = vault.store
            let host = try vault.writer()
            let pair = try #require(vault.log.keySet.currentDomain(host.domain))
            let id = Random.digest()
            let secret = try Secret.random()
            let keyring = try Keyring(sealing: secret, vaultID: vault.vaultID, sessionID: id, to: pair)
            let reference = try vault.store.putNamedByDigest("keyrings", keyring.encode(), vault.suite)
            session = try SessionKey(secret, vaultID: vault.vaultID, sessionID: id)
            let opening = SessionOpening(
                session: id, domain: host.domain, generation: pair.generation, keyring: reference,
                commitment: session.commitment, resumes: .zero)
            try vault.log.append(signing: host.signing, time: 0) { _ in .open(opening) }
            domain = host.domain
            writer = try PackWriter(
                store: store,
                settings: .init(
                    suite: vault.suite, domain: host.domain, session: session, packBytes: packBytes,
                    footerBytes: footerBytes))
            var hashers: [IdentityHasher] = []
            for index in 0...UInt8(4) {
                let key = try KeyDerivation.identityKey(host.identity, vaultID: vault.vaultID, index: index)
                hashers.append(IdentityHasher(suite: vault.suite, key: key))
            }
            identities = SealingPool.Identities(hashers: hashers)
        }

        func add(_ plain: [UInt8], _ kind: ChunkKind = .data) throws -> Digest {
            let id = identities[kind].identity(of: plain)
            _ = try plain.withBytes { raw throws(VaultError) in
                try writer.add(raw, kind: kind, id: id, members: [])
            }
            return id
        }

        /// Opens the record at `entry` and returns its chunk.
        func read(_ entry: PackEntry, of pack: Manifest.Pack) throws -> [UInt8] {
            let reader = try bench.reader()
            let chunks = try ChunkReader(reader, domain: domain, generation: 1)
            let opened = try reader.pack(pack.id)
            let count = PackFormat.recordHeaderCount + Int(entry.storedLength) + PackFormat.tagCount
            let record = RawBuffer(count: count)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: record.bytes[..<count])
            try opened.reader.read(at: entry.offset, into: bytes)
            return Array(
                try chunks.open(bytes, pack: opened, expecting: entry.chunkID, entry.kind, slot: entry.slot))
        }
    }

    private static let sizes = [
        0, 1, 7, 55, 56, 57, 63, 64, 65, 127, 128, 4095, 4096, 131_071, 131_072, 1 << 20, (8 << 20) + 1, 16 << 20,
    ]

    private func chunk(_ size: Int, compressible: Bool) -> [UInt8] {
        if compressible {
            let block = (0..<4096).map { UInt8($0 >> 6 & 7) }
            var bytes: [UInt8] = []
            while bytes.count < size { bytes += block }
            return Array(bytes.prefix(size))
        }
        return Random.bytes(size)
    }

    @Test("A chunk of any size and kind comes back; lengths and places obey the format", arguments: [true, false])
    func roundTrip(compressible: Bool) throws {
        let bench = try Bench()
        var chunks: [[UInt8]] = []
        for (number, size) in Self.sizes.enumerated() {
            let plain = chunk(size, compressible: compressible)
            let kind = ChunkKind.allCases[number % 4]
            _ = try bench.add(plain, kind)
            chunks.append(plain)
        }
        try bench.writer.finish()
        let finished = bench.writer.takeFinished()
        #expect(bench.writer.takeFinished().isEmpty)
        let pack = try #require(finished.first)
        let reader = try bench.store.open(Manifest.packName(pack.pack.id))
        #expect(reader.length == pack.pack.length && reader.length.isMultiple(of: 4096))
        let entries = try PackFooter.read(from: reader, length: reader.length, suite: .blake3)
        #expect(entries.count == chunks.count)
        var offset = UInt64(PackFormat.headerCount)
        for (number, entry) in entries.enumerated() {
            #expect(entry.offset == offset && entry.slot == UInt32(number))
            #expect(entry.kind == ChunkKind.allCases[number % 4])
            if !compressible || chunks[number].count < 64 { #expect(entry.codec == .raw) }
            if compressible, chunks[number].count >= 4096 {
                #expect(entry.codec == .zstd && Int(entry.storedLength) < chunks[number].count / 4)
            }
            #expect(Int(entry.storedLength) == PackFormat.paddedPayload(Int(entry.storedLength)))
            #expect(try bench.read(entry, of: pack.pack) == chunks[number])
            offset += UInt64(PackFormat.recordHeaderCount + Int(entry.storedLength) + PackFormat.tagCount)
        }
    }

    @Test("Lengths are rounded up by at most 1/128, a pack's by 1/256, and never down")
    func padding() {
        for count in Array(1...5000) + (12...24).flatMap({ [(1 << $0) - 1, 1 << $0, (1 << $0) + 1] }) {
            let payload = PackFormat.paddedPayload(count)
            #expect(payload >= count && payload - count < max(64, count / 128 + 1) && payload.isMultiple(of: 64))
            let pack = PackFormat.paddedPack(count)
            #expect(pack >= count && pack - count < max(4096, count / 256 + 1) && pack.isMultiple(of: 4096))
        }
        #expect(PackFormat.paddedPayload(16 << 20) <= PackFormat.storedLimit)
    }

    @Test("A chunk above the limit is refused before anything is written")
    func tooLarge() throws {
        let bench = try Bench()
        let plain = RawBuffer(count: PackFormat.chunkLimit + 1)
        #expect { try bench.writer.add(plain.readable, kind: .data, id: .zero, members: []) } throws: {
            ($0 as? VaultError)?.code == .limit
        }
        try bench.writer.finish()
        #expect(bench.writer.takeFinished().isEmpty)
    }

    @Test("A pack is finished when it is full, and each has an id of its own")
    func several() throws {
        let bench = try Bench(packBytes: 10_000)
        for number in 0..<20 { _ = try bench.add(chunk(2000 + number, compressible: false)) }
        try bench.writer.finish()
        let packs = bench.writer.takeFinished()
        #expect(packs.count >= 4 && Set(packs.map(\.pack.id)).count == packs.count)
        #expect(packs.flatMap(\.entries).count == 20)
        for pack in packs {
            #expect(pack.entries.map(\.slot) == pack.entries.indices.map { UInt32($0) })
            let bytes = try bench.store.get(Manifest.packName(pack.pack.id), limit: 1 << 20)
            #expect(ObjectHasher.digest(of: bytes, suite: .blake3) == pack.pack.digest)
        }
    }

    @Test("Chunks of nearly equal length follow each other in any order", arguments: [1, -1])
    func nearlyEqual(step: Int) throws {
        let bench = try Bench()
        for number in 0..<12 { _ = try bench.add(chunk(3_000_000 + step * 997 * number, compressible: true)) }
        try bench.writer.finish()
        #expect(bench.writer.takeFinished().flatMap(\.entries).count == 12)
    }

    @Test("A pack of very many tiny files is finished before its footer exceeds what a reader takes")
    func largeFooter() throws {
        let bench = try Bench(footerBytes: 1 << 20)
        let usual = PackWriter.Settings(suite: .blake3, domain: .zero, session: bench.session).footerBytes
        #expect(usual + 4096 * Digest.byteCount + 64 < PackFormat.footerLimit)
        let members = (0..<4096).map { Digest(words: (UInt64($0), 0, 0, 0)) }
        for number in 0..<20 {
            let plain = Array("group \(number)".utf8)
            let id = bench.identities[.group].identity(of: plain)
            _ = try plain.withBytes { raw throws(VaultError) in
                try bench.writer.add(raw, kind: .group, id: id, members: members)
            }
        }
        try bench.writer.finish()
        let packs = bench.writer.takeFinished()
        #expect(packs.flatMap(\.entries).count == 20 && packs.count >= 2)
        for pack in packs {
            let reader = try bench.store.open(Manifest.packName(pack.pack.id))
            let entries = try PackFooter.read(from: reader, length: reader.length, suite: .blake3)
            #expect(PackFooter.encode(entries).count < (1 << 20) + 4096 * Digest.byteCount + 64)
            #expect(entries.allSatisfy { $0.members == members })
        }
    }

    @Test("No byte of a pack can change unnoticed: its footer, its records or its digest tell")
    func changedBytes() throws {
        let bench = try Bench()
        let plain = chunk(100, compressible: false)
        _ = try bench.add(plain)
        try bench.writer.finish()
        let pack = try #require(bench.writer.takeFinished().first)
        let name = Manifest.packName(pack.pack.id)
        let entry = pack.entries[0]
        let good = try bench.store.get(name, limit: 1 << 20)
        let recordEnd = Int(entry.offset) + PackFormat.recordHeaderCount + Int(entry.storedLength) + PackFormat.tagCount
        // The domain in the header is not part of the record's key: whoever asks for a chunk compares it.
        for at in Array(0..<80) + Array(112..<recordEnd) {
            var bad = good
            bad[at] ^= 0x10
            bench.bench.store.contents[name] = bad
            #expect(throws: VaultError.self, "byte \(at)") { try bench.read(entry, of: pack.pack) }
        }
        let footerEnd = recordEnd + PackFooter.encode(pack.entries).count
        for at in Array(recordEnd..<footerEnd) + Array(good.count - PackFormat.trailerCount..<good.count) {
            var bad = good
            bad[at] ^= 0x10
            bench.bench.store.contents[name] = bad
            let reader = try bench.store.open(name)
            #expect(throws: VaultError.self, "byte \(at)") {
                try PackFooter.read(from: reader, length: reader.length, suite: .blake3)
            }
        }
    }

    @Test("A record under another slot, kind, id or session does not open")
    func swapped() throws {
        let bench = try Bench()
        let first = try bench.add(chunk(100, compressible: false))
        _ = try bench.add(chunk(101, compressible: false))
        try bench.writer.finish()
        let pack = try #require(bench.writer.takeFinished().first)
        #expect(pack.entries[0].chunkID == first)
        var wrong = pack.entries[0]
        wrong.slot = 1
        #expect(throws: VaultError.self) { try bench.read(wrong, of: pack.pack) }
        wrong = pack.entries[0]
        wrong.kind = .page
        #expect(throws: VaultError.self) { try bench.read(wrong, of: pack.pack) }
        wrong = pack.entries[0]
        wrong.chunkID = pack.entries[1].chunkID
        #expect(throws: VaultError.self) { try bench.read(wrong, of: pack.pack) }
        wrong = pack.entries[0]
        wrong.offset = pack.entries[1].offset
        #expect(throws: VaultError.self) { try bench.read(wrong, of: pack.pack) }
    }
}
