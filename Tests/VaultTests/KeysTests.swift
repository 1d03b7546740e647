import Domain
import Testing
import Vault

@Suite("Key sets")
struct KeysTests {
    private static let cheap = ScryptParameters(log2N: 1, r: 1, p: 1)
    private let vaultID = Random.digest()

    private func reader(
        _ kind: KeySet.ReaderKind, _ secret: Secret, administrator: Bool = true, passphrase: String? = nil
    ) throws -> KeySet.Reader {
        try KeySet.makeReader(
            kind: kind, label: "\(kind)", secret: secret, vaultID: vaultID, administrator: administrator, created: 7,
            passphrase: passphrase.map { Array($0.utf8) }, scrypt: Self.cheap, suite: .hmacSHA256)
    }

    private func opened(_ keySet: KeySet, _ domain: Digest, _ generation: UInt32, _ secret: Secret) throws -> [[UInt8]]
    {
        let secrets = try keySet.openDomain(
            domain, generation: generation, with: try keySet.unlock(secret: secret, vaultID: vaultID))
        return [plain(secrets.seed), plain(secrets.identity)]
    }

    @Test("A passphrase opens its reader; another one is told so")
    func passphrase() throws {
        let keySet = try KeySet.first(readers: [
            try reader(.passphrase, try Secret.random(), passphrase: "bir"),
            try reader(.passphrase, try Secret.random(), passphrase: "iki"),
        ])
        let unlocked = try keySet.unlock(passphrase: Array("iki".utf8), vaultID: vaultID)
        #expect(unlocked.readerID == keySet.readers[1].id)
        let wrong = #expect(throws: VaultError.self) {
            try keySet.unlock(passphrase: Array("üç".utf8), vaultID: vaultID)
        }
        #expect(wrong?.code == .wrongKey)
        #expect(wrong?.message == "no key of this vault opens with that passphrase")
        #expect(wrong?.hint.isEmpty == false)
        #expect(throws: VaultError.self) { try keySet.unlock(passphrase: [], vaultID: vaultID) }
        #expect(throws: VaultError.self) { try keySet.unlock(passphrase: Array("bir".utf8), vaultID: .zero) }
    }

    @Test("Without a passphrase slot the error says which keys there are")
    func noSlot() throws {
        let keySet = try KeySet.first(readers: [try reader(.kit, try Secret.random())])
        let error = #expect(throws: VaultError.self) { try keySet.unlock(passphrase: [1], vaultID: vaultID) }
        #expect(error?.code == .keyNeeded)
        let stranger = #expect(throws: VaultError.self) {
            try keySet.unlock(secret: try Secret.random(), vaultID: vaultID)
        }
        #expect(stranger?.code == .wrongKey)
    }

    @Test("A reader that is added opens every domain, one that is removed none")
    func addAndRemove() throws {
        let (first, second) = (try Secret.random(), try Secret.random())
        let writer = Random.digest()
        let start = try KeySet.first(readers: [try reader(.kit, first)])
        let domain = try start.addingDomain(writer: writer, label: "host", vaultID: vaultID)
        #expect(domain.keySet.generation == 2)
        let unlocked = try domain.keySet.unlock(secret: first, vaultID: vaultID)
        let added = try domain.keySet.adding(try reader(.file, second, administrator: false), with: unlocked)
        #expect(added.generation == 3)
        let expected = try opened(added, domain.domainID, 1, first)
        #expect(try opened(added, domain.domainID, 1, second) == expected)
        #expect(expected[1] == plain(domain.identity))
        #expect(throws: VaultError.self) { try added.adding(added.readers[1], with: unlocked) }

        let removed = try added.removing(added.readers[1].id)
        #expect(try removed.encode() == domain.keySet.encode().replacingGeneration(with: 4))
        #expect(throws: VaultError.self) { try opened(removed, domain.domainID, 1, second) }
        #expect(try KeySet.decode(try added.encode(), suite: .hmacSHA256) == added)
    }

    @Test("The last reader and the last administrator stay")
    func lastOnes() throws {
        let secret = try Secret.random()
        let start = try KeySet.first(readers: [try reader(.kit, secret)])
        let last = #expect(throws: VaultError.self) { try start.removing(start.readers[0].id) }
        #expect(last?.code == .notAllowed)
        let unlocked = try start.unlock(secret: secret, vaultID: vaultID)
        let two = try start.adding(try reader(.file, try Secret.random(), administrator: false), with: unlocked)
        let administrator = #expect(throws: VaultError.self) { try two.removing(two.readers[0].id) }
        #expect(administrator?.code == .notAllowed)
        #expect(try two.removing(two.readers[1].id).readers.count == 1)
        let missing = #expect(throws: VaultError.self) { try two.removing(.zero) }
        #expect(missing?.code == .notFound)
        #expect(throws: VaultError.self) {
            try KeySet.first(readers: [try reader(.file, secret, administrator: false)])
        }
    }

    @Test("Rotation makes a new key pair, keeps the identity secret, and leaves old generations open")
    func rotation() throws {
        let secret = try Secret.random()
        let new = try KeySet.first(readers: [try reader(.kit, secret)])
            .addingDomain(writer: Random.digest(), label: "host", vaultID: vaultID)
        let rotated = try new.keySet.rotatingDomains(with: try new.keySet.unlock(secret: secret, vaultID: vaultID))
        #expect(rotated.currentDomain(new.domainID)?.generation == 2)
        let (old, next) = (
            try opened(rotated, new.domainID, 1, secret), try opened(rotated, new.domainID, 2, secret)
        )
        #expect(old == (try opened(new.keySet, new.domainID, 1, secret)))
        #expect(old[0] != next[0])
        #expect(old[1] == next[1])
        #expect(throws: VaultError.self) { try opened(rotated, new.domainID, 3, secret) }
    }

    @Test("A revoked writer keeps its place, and its domain is not rotated any more")
    func revocation() throws {
        let secret = try Secret.random()
        let writer = Random.digest()
        let new = try KeySet.first(readers: [try reader(.kit, secret)])
            .addingDomain(writer: writer, label: "host", vaultID: vaultID)
        #expect(throws: VaultError.self) { try new.keySet.addingDomain(writer: writer, label: "", vaultID: vaultID) }
        let revoked = try new.keySet.revokingWriter(writer)
        #expect(revoked.writer(writer)?.state == .revoked)
        let rotated = try revoked.rotatingDomains(with: try revoked.unlock(secret: secret, vaultID: vaultID))
        #expect(rotated.currentDomain(new.domainID)?.generation == 1)
        #expect(throws: VaultError.self) { try revoked.revokingWriter(.zero) }
    }

    @Test("No flipped byte of a key set opens other secrets")
    func tampering() throws {
        let secret = try Secret.random()
        let new = try KeySet.first(readers: [try reader(.passphrase, secret, passphrase: "p")])
            .addingDomain(writer: Random.digest(), label: "host", vaultID: vaultID)
        let stored = try new.keySet.encode()
        let unlocked = try new.keySet.unlock(passphrase: Array("p".utf8), vaultID: vaultID)
        let genuine = try new.keySet.openDomain(new.domainID, generation: 1, with: unlocked)
        var opened = 0
        // Every byte of the reader with its slot; of the longer keys and wraps of the domain every seventh.
        for at in stored.indices where at < 1500 || at % 7 == 0 || at >= stored.count - 80 {
            var changed = stored
            changed[at] ^= 1 << UInt8(at % 8)
            do {
                let keySet = try KeySet.decode(changed, suite: .hmacSHA256)
                #expect(keySet != new.keySet)
                #expect(try keySet.encode() == changed)
                // With a secret at hand instead of the passphrase: the domain's part alone.
                let reader = at < 1500 ? try keySet.unlock(passphrase: Array("p".utf8), vaultID: vaultID) : unlocked
                let domain = try #require(keySet.domains.first)
                let found = try keySet.openDomain(domain.id, generation: domain.generation, with: reader)
                #expect(found.seed == genuine.seed && found.identity == genuine.identity)
                opened += 1
            } catch is VaultError {
                continue
            }
        }
        // Generation, administrator, label, time and the writer: what only the signed digest of the whole protects.
        #expect(opened <= 8 + 1 + 10 + 8 + 32 + 32 + 1 + 4)
    }

    @Test("Truncated, lengthened and ambiguous key sets are refused")
    func hostile() throws {
        let new = try KeySet.first(readers: [try reader(.passphrase, try Secret.random(), passphrase: "p")])
            .addingDomain(writer: Random.digest(), label: "host", vaultID: vaultID)
        let stored = try new.keySet.encode()
        for count in 0..<stored.count where count < 100 || count % 11 == 0 || count >= stored.count - 80 {
            #expect(throws: VaultError.self) { try KeySet.decode(Array(stored[..<count]), suite: .hmacSHA256) }
        }
        #expect(throws: VaultError.self) { try KeySet.decode(stored + [0], suite: .hmacSHA256) }
        // A count far above what follows: refused without taking memory for it.
        let start = stored[..<17]
        for count: [UInt8] in [[0xFF, 0xFF, 0xFF, 0x7F], [65], [64]] {
            #expect(throws: VaultError.self) { try KeySet.decode(start + count, suite: .hmacSHA256) }
        }
        let twice = new.keySet.readers + new.keySet.readers
        #expect(throws: VaultError.self) { try KeySet.first(readers: twice) }
    }

    @Test("A slot that asks for too much memory or time is refused at once")
    func bomb() throws {
        for (log2N, r, p) in [(31, 255, 1), (22, 8, 1), (18, 9, 1), (0, 8, 1), (16, 0, 1), (16, 8, 0), (16, 8, 5)] {
            let parameters = ScryptParameters(log2N: UInt8(log2N), r: UInt8(r), p: UInt8(p))
            let clock = ContinuousClock()
            let start = clock.now
            let error = #expect(throws: VaultError.self) {
                try KeyDerivation.scrypt(passphrase: [1], parameters: parameters, salt: .zero)
            }
            #expect(error?.code == .damaged)
            #expect(clock.now - start < .milliseconds(100))
        }
        #expect(ScryptParameters(log2N: 18, r: 8, p: 4).isAcceptable)
        let keySet = try KeySet.first(readers: [try reader(.passphrase, try Secret.random(), passphrase: "p")])
        var stored = try keySet.encode()
        let at = 17 + 1 + 2 + 1 + "passphrase".utf8.count + 8 + 1216 + 32
        #expect(Array(stored[at..<at + 3]) == [1, 1, 1])
        stored[at] = 31
        #expect(throws: VaultError.self) { try KeySet.decode(stored, suite: .hmacSHA256) }
    }

    @Test("The most that format 1 allows can be derived")
    func largestScrypt() throws {
        _ = try KeyDerivation.scrypt(
            passphrase: [1], parameters: ScryptParameters(log2N: 18, r: 8, p: 1), salt: .zero)
    }

    @Test("Labels and passphrases out of bounds are refused")
    func inputs() throws {
        let secret = try Secret.random()
        func make(_ kind: KeySet.ReaderKind, label: String = "", passphrase: [UInt8]? = nil) throws {
            _ = try KeySet.makeReader(
                kind: kind, label: label, secret: secret, vaultID: vaultID, administrator: true, created: 0,
                passphrase: passphrase, scrypt: Self.cheap, suite: .blake3)
        }
        #expect(throws: VaultError.self) { try make(.kit, label: String(repeating: "ə", count: 129)) }
        #expect(throws: VaultError.self) { try make(.kit, passphrase: [1]) }
        #expect(throws: VaultError.self) { try make(.passphrase) }
        #expect(throws: VaultError.self) { try make(.passphrase, passphrase: []) }
        try make(.kit, label: String(repeating: "ə", count: 128))
    }

    @Test("A signature holds for its message and key alone")
    func signatures() throws {
        let key = try SigningKey(seed: try Secret.random())
        let message = Array("salam".utf8)
        let signature = try key.sign(message)
        #expect(SigningKey.verify(signature: signature, message: message, publicKey: key.publicKey))
        for at in signature.indices {
            var changed = signature
            changed[at] ^= 1
            #expect(!SigningKey.verify(signature: changed, message: message, publicKey: key.publicKey))
        }
        #expect(!SigningKey.verify(signature: signature, message: message + [0], publicKey: key.publicKey))
        #expect(!SigningKey.verify(signature: signature, message: message, publicKey: Random.digest()))
        #expect(!SigningKey.verify(signature: [], message: message, publicKey: key.publicKey))
    }
}

extension [UInt8] {
    fileprivate func replacingGeneration(with value: UInt64) -> [UInt8] {
        var copy = self
        for at in 0..<8 { copy[9 + at] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(at))) }
        return copy
    }
}
