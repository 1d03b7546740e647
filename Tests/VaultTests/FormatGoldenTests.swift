import Domain
import Testing

@testable import Vault

/// Bytes of small structures as format 1 has them. Whoever changes one of these changes the format: old vaults would not
/// be read any more.
@Suite("The bytes of format 1")
struct FormatGoldenTests {
    private static let a = Digest(words: (0x0102_0304_0506_0708, 0, 0, 0xFFEE_DDCC_BBAA_9988))
    private static let b = Digest(words: (.max, 1, 2, 3))
    private static let aHex = "0102030405060708" + String(repeating: "0", count: 32) + "ffeeddccbbaa9988"
    private static let bHex =
        String(repeating: "f", count: 16) + "0000000000000001" + "0000000000000002" + "0000000000000003"
    private static let reference = ObjectReference(digest: a, length: 0x0102)
    private static let referenceHex = aHex + "0201000000000000"

    @Test("A manifest")
    func manifest() throws {
        var manifest = Manifest(session: Self.a)
        manifest.packs = [.init(id: Self.b, length: 4096, digest: Self.a)]
        manifest.segments = [.init(object: Self.reference, replaced: [Self.b])]
        manifest.references = Self.reference
        let hex =
            "51414c414d414e4901" + Self.aHex + "01" + Self.bHex + "0010000000000000" + Self.aHex + "01"
            + Self.referenceHex + "01" + Self.bHex + "01" + Self.referenceHex
        #expect(Hex.encode(manifest.encode()) == hex)
        let decoded = try manifest.encode().withBytes { raw throws(VaultError) in try Manifest(decoding: raw) }
        #expect(decoded == manifest)
    }

    @Test("References")
    func references() throws {
        var references = References(base: Self.a)
        references.dropped = [Self.b]
        references.pages = [.init(id: Self.a, chunks: [Self.b, Self.a]), .init(id: Self.b, chunks: [])]
        let hex =
            "51414c415245465301" + Self.aHex + "01" + Self.bHex + "02" + Self.aHex + "02" + Self.bHex + Self.aHex
            + Self.bHex + "00"
        #expect(Hex.encode(references.encode()) == hex)
        let decoded = try references.encode().withBytes { raw throws(VaultError) in try References(decoding: raw) }
        #expect(decoded == references)
    }

    @Test("A log record of each kind, signed")
    func logRecords() throws {
        let seed = try (0..<32).map { UInt8($0) }.withBytes { raw throws(VaultError) in try Secret(copying: raw) }
        let key = try SigningKey(seed: seed)
        let opening = SessionOpening(
            session: Self.a, domain: Self.b, generation: 7, keyring: Self.reference, commitment: Self.b, resumes: .zero)
        let commit = SessionCommit(
            session: Self.a, manifest: Self.reference, root: Self.b, level: 2, entries: 3, bytes: 4, header: [9, 8])
        let zero = String(repeating: "0", count: 64)
        let bodies: [(LogBody, String, String)] = [
            (.key(Self.reference), "01", "28000000" + Self.referenceHex),
            (
                .open(opening), "02",
                "ac000000" + Self.aHex + Self.bHex + "07000000" + Self.referenceHex + Self.bHex + zero
            ),
            (
                .checkpoint(session: Self.a, number: 5, manifest: Self.reference), "03",
                "4c000000" + Self.aHex + "05000000" + Self.referenceHex
            ),
            (
                .commit(commit), "04",
                "7c000000" + Self.aHex + Self.referenceHex + Self.bHex + "020300000000000000" + "0400000000000000"
                    + "020908"
            ),
            (.abort(session: Self.b), "05", "20000000" + Self.bHex),
        ]
        for (body, kind, hex) in bodies {
            let record = LogRecord(number: 6, previous: Self.a, signer: key.publicKey, time: 0x0A0B, body: body)
            let bytes = try record.encode(vaultID: Self.b, key: key)
            let head = "514c4f4701" + kind + "0600000000000000" + Self.aHex + key.publicKey.hex + "0b0a000000000000"
            #expect(Hex.encode(bytes.dropLast(64)) == head + hex)
            let decoded = try LogRecord(decoding: bytes, vaultID: Self.b)
            #expect(decoded.body == body && decoded.number == 6 && decoded.previous == Self.a && decoded.time == 0x0A0B)
            #expect(throws: VaultError.self) { try LogRecord(decoding: bytes, vaultID: Self.a) }
            for at in stride(from: 0, to: bytes.count, by: 7) {
                var changed = bytes
                changed[at] ^= 1
                #expect(throws: VaultError.self) { try LogRecord(decoding: changed, vaultID: Self.b) }
            }
            for count in [0, 63, 64, 65, bytes.count - 1] {
                #expect(throws: VaultError.self) { try LogRecord(decoding: Array(bytes[..<count]), vaultID: Self.b) }
            }
        }
    }

    @Test("The header of a pack, of a record, and the footer")
    func pack() throws {
        #expect(
            Hex.encode(PackHeader(id: Self.a, session: Self.b, domain: Self.a).encode())
                == "51414c415041434b" + "0100000000000000" + Self.aHex + Self.bHex + Self.aHex)
        let commitment = try #require(
            [UInt8](repeating: 0xC0, count: 16).withUnsafeBytes { RecordCommitment($0) })
        var bytes = [UInt8](repeating: 0xEE, count: PackFormat.recordHeaderCount)
        bytes.withUnsafeMutableBytes {
            RecordHeader(
                kind: .group, codec: .zstd, slot: 3, storedLength: 0x0140, chunkID: Self.b, commitment: commitment
            ).encode(into: $0)
        }
        #expect(
            Hex.encode(bytes)
                == "51524543" + "02010000" + "03000000" + "40010000" + Self.bHex + String(repeating: "c0", count: 16))
        let entries = [
            PackEntry(offset: 112, storedLength: 64, kind: .data, codec: .raw, slot: 0, chunkID: Self.a),
            PackEntry(
                offset: 256, storedLength: 128, kind: .group, codec: .zstd, slot: 1, chunkID: Self.b, members: [Self.a]),
        ]
        let footer = PackFooter.encode(entries)
        #expect(
            Hex.encode(footer)
                == "51464f54" + "02000000" + "7000000000000000" + "40000000" + "0100" + Self.aHex + "00"
                + "0001000000000000" + "80000000" + "0201" + Self.bHex + "01" + Self.aHex)
        #expect(try PackFooter.decode(footer) == entries)
        let trailer = PackFooter.trailer(footer: footer, offset: 0x0400, suite: .blake3)
        let digest = ObjectHasher.digest(of: footer, suite: .blake3)
        let count = String(footer.count, radix: 16)
        #expect(
            Hex.encode(trailer)
                == "51414c41454e4431" + "0004000000000000" + count + "00000000000000" + digest.hex + "0000000000000000")
    }

    @Test("A node, and a page with an entry of every kind")
    func tree() throws {
        let children = [
            NodeChild(firstPath: Array("a".utf8), id: Self.a, entries: 300),
            NodeChild(firstPath: Array("a/b".utf8), id: Self.b, entries: 1),
        ]
        #expect(
            Hex.encode(Node(level: 1, children: children).encode())
                == "010102" + "0161" + Self.aHex + "ac02" + "03612f62" + Self.bHex + "01")
        #expect(
            Hex.encode(GoldenPage.bytes(Self.a))
                == "0101" + Self.aHex  // one chunk
                + "010000" + "04726f6f74" + "00"  // one owner
                + "0103" + "05"  // one device, five entries
                // `a`, a directory: inode 7, modified 1 s before 1970 and 5 ns, changed 3 s later
                + "00" + "0161" + "01" + "ed03" + "0000" + "0e" + "0105" + "0600"
                // `a/f`, a file of 3 bytes, member 2 of the chunk, with two names
                + "0102" + "2f66" + "c0" + "a403" + "0000" + "02" + "0005" + "0600" + "02" + "03" + "0002"
                // `a/g`, a racy file of a chunk and a hole, with an attribute
                + "0201" + "67" + "28" + "a403" + "0000" + "02" + "0005" + "0600" + "0a" + "02" + "0c00" + "09"
                + "01" + "06757365722e78" + "0101"
                // `b`, a link to `a`
                + "0001" + "62" + "02" + "ff03" + "0000" + "02" + "0005" + "0600" + "0161"
                // `c`, a block device
                + "0001" + "63" + "06" + "b003" + "0000" + "02" + "0005" + "0600" + "8302")
    }

    @Test("An index segment")
    func segment() throws {
        let entry = PackEntry(offset: 0x0170, storedLength: 64, kind: .data, codec: .raw, slot: 2, chunkID: Self.a)
        let summary = PackSummary(pack: .init(id: Self.b, length: 1, digest: .zero), entries: [entry])
        let bytes = IndexSegment.encode(domain: Self.b, packs: [summary])
        let fan = String(repeating: "00000000", count: 2) + String(repeating: "01000000", count: 255)
        #expect(
            Hex.encode(bytes)
                == "51414c4149445831" + Self.bHex + "01000000" + "01000000" + Self.bHex + fan + Self.aHex + "00000000"
                + "70010000" + "40000000" + "02000000")
    }
}

/// The page of the golden test.
enum GoldenPage {
    static func bytes(_ chunk: Digest) -> [UInt8] {
        var builder = PageBuilder()
        var inode: UInt64 = 6
        func add(
            _ path: String, _ kind: EntryKind, _ mode: UInt16, size: UInt64 = 0, _ content: PendingContent = .none,
            _ change: (inout Entry) -> Void = { _ in }
        ) {
            inode += 1
            var entry = Entry(
                path: Array(path.utf8), kind: kind, permissions: mode, userID: 0, groupID: 0, size: size,
                modified: Timestamp(seconds: -1, nanoseconds: 5), changed: Timestamp(seconds: 2), device: 3,
                inode: inode, linkCount: 1)
            entry.userName = Array("root".utf8)
            change(&entry)
            builder.append(entry, content)
        }
        add("a", .directory, 0o755)
        add("a/f", .file, 0o644, size: 3, .member(.known(chunk), 2)) { $0.linkCount = 2 }
        let extents = [PendingExtent(length: 6, chunk: .known(chunk)), PendingExtent(length: 4, chunk: nil)]
        add("a/g", .file, 0o644, size: 10, .extents(extents)) {
            $0.isRacy = true
            $0.attributes = [ExtendedAttribute(name: Array("user.x".utf8), value: [1])]
        }
        add("b", .symlink, 0o777, size: 1) { $0.linkTarget = Array("a".utf8) }
        add("c", .blockDevice, 0o660) { $0.deviceNumber = 259 }
        return builder.encode { _ in chunk }.bytes
    }
}
