import Domain
import Foundation
import Testing
import Vault

/// `docs/vectors/format-1.json`, computed from the text of the format by `scripts/make-vectors`.
struct Vectors: Decodable {
    struct VaultEntry: Decodable { let json: String, id: String }
    struct Slot: Decodable {
        let passphrase: String, log2N: UInt8, r: UInt8, p: UInt8, salt: String, key: String, wrapped: String
    }
    struct Reader: Decodable {
        let kind: UInt8, label: String, administrator: Int, created: UInt64, secret: String, readingSeed: String
        let administrationSeed: String, publicKey: String, administrationKey: String, id: [String: String], code: String
        let slot: Slot?
    }
    struct DomainEntry: Decodable {
        let id: String, generation: UInt32, seed: String, identity: String, publicKey: String
    }
    struct Writer: Decodable { let seed: String, publicKey: String, label: String }
    struct Sealed: Decodable { let info: String, plaintext: String, sealed: String }
    struct Stored: Decodable { let bytes: String, digest: String }
    struct Header: Decodable { let json: String, key: String, sealed: String }
    struct Session: Decodable {
        let id: String, key: String, commitment: String, keyring: String, keyringDigest: [String: String],
            header: Header
    }
    struct Record: Decodable {
        let packID: String, slot: UInt32, kind: UInt8, codec: UInt8, chunkID: String, plain: String, key: String
        let commitment: String, sealed: String
    }
    struct LogRecord: Decodable { let number: UInt64, kind: UInt8, bytes: String, signature: String, digest: String }
    struct Log: Decodable { let rootSeed: String, records: [LogRecord] }
    struct Identities: Decodable { let data: String, keys: [String: String], blake3: [String: String] }

    let vault: VaultEntry
    let numbers: [String: [[String]]]
    let readers: [Reader]
    let domain: DomainEntry
    let writer: Writer
    let hpke: [String: Sealed]
    let keySets: [String: Stored]
    let session: Session
    let records: [Record]
    let log: Log
    let identities: Identities
    let digests: [String: String]

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func load() throws -> Vectors {
        let data = try Data(contentsOf: root.appending(path: "docs/vectors/format-1.json"))
        return try JSONDecoder().decode(Vectors.self, from: data)
    }

    var vaultID: Digest { get throws { try digest(vault.id) } }
    var sessionKey: SessionKey {
        get throws { try SessionKey(try secret(session.key), vaultID: vaultID, sessionID: try digest(session.id)) }
    }
}

func bytes(_ hex: String) throws -> [UInt8] { try #require(Hex.decode(hex)) }
func digest(_ hex: String) throws -> Digest { try #require(Digest(hex: hex)) }
func secret(_ hex: String) throws -> Secret { try Secret(copying: try bytes(hex)) }
func plain(_ secret: Secret) -> [UInt8] { secret.withBytes { Array($0) } }

@Suite("The test vectors of format 1")
struct KeysVectorsTests {
    let vectors: Vectors

    init() throws { vectors = try Vectors.load() }

    private static let suites: [(name: String, suite: HashSuite)] = [("blake3", .blake3), ("hmac-sha256", .hmacSHA256)]

    @Test("Numbers have one encoding")
    func numbers() throws {
        for pair in try #require(vectors.numbers["varint"]) {
            var writer = ByteWriter()
            writer.varint(try #require(UInt64(pair[0])))
            #expect(writer.bytes == (try bytes(pair[1])))
        }
        for pair in try #require(vectors.numbers["zigzag"]) {
            var writer = ByteWriter()
            writer.zigzag(try #require(Int64(pair[0])))
            #expect(writer.bytes == (try bytes(pair[1])))
        }
    }

    @Test("The vault id and the digests of both suites")
    func digests() throws {
        #expect(ObjectHasher.digest(of: Array(vectors.vault.json.utf8), suite: .hmacSHA256).hex == vectors.vault.id)
        for (name, suite) in Self.suites {
            let data = try bytes(try #require(vectors.digests["data"]))
            #expect(ObjectHasher.digest(of: data, suite: suite).hex == vectors.digests[name])
        }
    }

    @Test("A reader's keys follow from its secret")
    func readers() throws {
        for (name, suite) in Self.suites {
            for expected in vectors.readers {
                let kind = try #require(KeySet.ReaderKind(rawValue: expected.kind))
                let reader = try KeySet.makeReader(
                    kind: kind, label: expected.label, secret: try secret(expected.secret), vaultID: vectors.vaultID,
                    administrator: expected.administrator == 1, created: expected.created,
                    passphrase: expected.slot.map { Array($0.passphrase.utf8) },
                    scrypt: ScryptParameters(log2N: 1, r: 1, p: 1), suite: suite)
                #expect(Hex.encode(reader.publicKey) == expected.publicKey)
                #expect(reader.administrationKey.hex == expected.administrationKey)
                #expect(reader.id.hex == expected.id[name])
            }
        }
    }

    @Test("Reading and administration seeds, scrypt and the signing keys")
    func seeds() throws {
        for reader in vectors.readers {
            let reading = try KeyDerivation.hkdf(
                try secret(reader.secret), salt: vectors.vaultID, info: Array("qala/v1/reader".utf8))
            #expect(Hex.encode(plain(reading)) == reader.readingSeed)
            #expect(Hex.encode(try ReadingKey(seed: reading).publicKey) == reader.publicKey)
            let administration = try SigningKey(seed: try secret(reader.administrationSeed))
            #expect(administration.publicKey.hex == reader.administrationKey)
        }
        let slot = try #require(vectors.readers.first?.slot)
        let key = try KeyDerivation.scrypt(
            passphrase: Array(slot.passphrase.utf8),
            parameters: ScryptParameters(log2N: slot.log2N, r: slot.r, p: slot.p), salt: try digest(slot.salt))
        #expect(Hex.encode(plain(key)) == slot.key)
    }

    @Test("A stored key set decodes, encodes to the same bytes, and opens by passphrase, kit and file")
    func keySets() throws {
        for (name, suite) in Self.suites {
            let stored = try #require(vectors.keySets[name])
            let keySet = try KeySet.decode(try bytes(stored.bytes), suite: suite)
            #expect(Hex.encode(try keySet.encode()) == stored.bytes)
            #expect(ObjectHasher.digest(of: try bytes(stored.bytes), suite: suite).hex == stored.digest)
            #expect(keySet.writers.map(\.publicKey.hex) == [vectors.writer.publicKey])
            for reader in vectors.readers {
                var unlocked = [try keySet.unlock(secret: try secret(reader.secret), vaultID: vectors.vaultID)]
                if let slot = reader.slot {
                    unlocked.append(
                        try keySet.unlock(passphrase: Array(slot.passphrase.utf8), vaultID: vectors.vaultID))
                }
                for unlocked in unlocked {
                    #expect(unlocked.readerID.hex == reader.id[name])
                    let secrets = try keySet.openDomain(
                        try digest(vectors.domain.id), generation: vectors.domain.generation, with: unlocked)
                    #expect(Hex.encode(plain(secrets.seed)) == vectors.domain.seed)
                    #expect(Hex.encode(plain(secrets.identity)) == vectors.domain.identity)
                }
            }
        }
    }

    @Test("The code of a recovery kit")
    func codes() throws {
        for reader in vectors.readers {
            #expect(KeyText.encode(try secret(reader.secret), vaultID: try vectors.vaultID) == reader.code)
            let read = try KeyText.decode(reader.code, vaultID: vectors.vaultID)
            #expect(Hex.encode(plain(read)) == reader.secret)
        }
    }

    @Test("What HPKE sealed elsewhere opens here")
    func hpke() throws {
        let sealed = try #require(vectors.hpke["wrap 0"])
        let opened = try HPKEBox.open(
            try bytes(sealed.sealed), seed: try secret(vectors.readers[0].readingSeed), info: try bytes(sealed.info))
        #expect(opened.map { Hex.encode($0) } == sealed.plaintext)
    }

    @Test("A keyring, the commitment and the archive header of a session")
    func session() throws {
        let expected = vectors.session
        let keyring = try Keyring.decode(try bytes(expected.keyring))
        #expect(Hex.encode(keyring.encode()) == expected.keyring)
        let domain = DomainSecrets(
            seed: try secret(vectors.domain.seed), identity: try secret(vectors.domain.identity))
        let session = try keyring.open(with: domain, commitment: try digest(expected.commitment))
        #expect(session.commitment.hex == expected.commitment)
        #expect(Hex.encode(try session.sealHeader(Array(expected.header.json.utf8))) == expected.header.sealed)
        #expect(try session.openHeader(try bytes(expected.header.sealed)) == Array(expected.header.json.utf8))
    }

    @Test("Identity keys and identities")
    func identities() throws {
        let data = try bytes(vectors.identities.data)
        for (index, expected) in vectors.identities.keys {
            let key = try KeyDerivation.identityKey(
                try secret(vectors.domain.identity), vaultID: vectors.vaultID, index: try #require(UInt8(index)))
            #expect(key.hex == expected)
            let identity = data.withUnsafeBytes { IdentityHasher(suite: .blake3, key: key).identity(of: $0) }
            #expect(identity.hex == vectors.identities.blake3[index])
        }
    }

    @Test("Records seal to the same bytes and open")
    func records() throws {
        let cipher = try RecordCipher()
        let session = try vectors.sessionKey
        for record in vectors.records {
            let plain = try bytes(record.plain)
            let label = RecordLabel(
                packID: try digest(record.packID), slot: record.slot, kind: record.kind, codec: record.codec,
                storedLength: UInt32(plain.count), chunkID: try digest(record.chunkID))
            let (sealed, commitment) = try cipher.sealed(plain, label, session)
            #expect(Hex.encode(sealed) == record.sealed)
            #expect(Hex.encode(commitment.bytes) == record.commitment)
            #expect(try cipher.opened(sealed, label, session, commitment) == plain)
        }
    }

    @Test("Signatures of log records")
    func log() throws {
        let signers = [try secret(vectors.log.rootSeed), try secret(vectors.writer.seed)]
        for (record, seed) in zip(vectors.log.records, signers) {
            let stored = try bytes(record.bytes)
            let message = Array("qala/v1/log".utf8) + (try vectors.vaultID.bytes) + stored.dropLast(64)
            let key = try SigningKey(seed: seed)
            #expect(try key.sign(message) == Array(stored.suffix(64)))
            #expect(SigningKey.verify(signature: Array(stored.suffix(64)), message: message, publicKey: key.publicKey))
            #expect(ObjectHasher.digest(of: stored, suite: .blake3).hex == record.digest)
        }
    }
}

extension RecordCipher {
    /// Seals an array, for tests.
    func sealed(
        _ plain: [UInt8], _ label: RecordLabel, _ session: SessionKey
    ) throws -> (sealed: [UInt8], commitment: RecordCommitment) {
        var out = [UInt8](repeating: 0, count: plain.count + Self.tagBytes)
        let commitment = try out.withUnsafeMutableBytes { out in
            try plain.withUnsafeBytes { try seal($0, into: out, label: label, session: session) }
        }
        return (out, commitment)
    }

    /// Opens an array, for tests.
    func opened(
        _ sealed: [UInt8], _ label: RecordLabel, _ session: SessionKey, _ commitment: RecordCommitment
    ) throws -> [UInt8] {
        var out = [UInt8](repeating: 0xEE, count: sealed.count - Self.tagBytes)
        try out.withUnsafeMutableBytes { out in
            try sealed.withUnsafeBytes {
                try open($0, into: out, label: label, session: session, commitment: commitment)
            }
        }
        return out
    }
}
