import Domain
import Glibc
import Testing
import Vault

@Suite("Sealing")
struct SealingTests {
    private func session() throws -> SessionKey {
        try SessionKey(try Secret.random(), vaultID: Random.digest(), sessionID: Random.digest())
    }

    private func label(_ count: Int, slot: UInt32 = 0) -> RecordLabel {
        RecordLabel(
            packID: Random.digest(), slot: slot, kind: 1, codec: 1, storedLength: UInt32(count),
            chunkID: Random.digest())
    }

    @Test("Records of many lengths open to what was sealed", arguments: [0, 1, 15, 16, 17, 4095, 4096, 1 << 20])
    func lengths(count: Int) throws {
        let cipher = try RecordCipher()
        let (session, label, plain) = (try session(), label(count), Random.bytes(count))
        let (sealed, commitment) = try cipher.sealed(plain, label, session)
        #expect(try cipher.opened(sealed, label, session, commitment) == plain)
    }

    @Test("Sealing and opening in place gives what two buffers give")
    func inPlace() throws {
        let cipher = try RecordCipher()
        let (session, label, plain) = (try session(), label(10_000), Random.bytes(10_000))
        let (expected, commitment) = try cipher.sealed(plain, label, session)
        var buffer = plain + [UInt8](repeating: 0, count: RecordCipher.tagBytes)
        try buffer.withUnsafeMutableBytes { buffer in
            let inner = UnsafeRawBufferPointer(rebasing: buffer[..<plain.count])
            let found = try cipher.seal(inner, into: buffer, label: label, session: session)
            #expect(found == commitment)
        }
        #expect(buffer == expected)
        try buffer.withUnsafeMutableBytes { buffer in
            let inner = UnsafeMutableRawBufferPointer(rebasing: buffer[..<plain.count])
            try cipher.open(
                UnsafeRawBufferPointer(buffer), into: inner, label: label, session: session, commitment: commitment)
        }
        #expect(Array(buffer[..<plain.count]) == plain)
    }

    @Test("No flipped bit of a record, its commitment or its label opens, and no plaintext is left behind")
    func tampering() throws {
        let cipher = try RecordCipher()
        let (session, label, plain) = (try session(), label(48), Random.bytes(48))
        let (sealed, commitment) = try cipher.sealed(plain, label, session)

        func refuses(_ sealed: [UInt8], _ label: RecordLabel, _ session: SessionKey, _ commitment: RecordCommitment) {
            var out = [UInt8](repeating: 0xEE, count: plain.count)
            let error = #expect(throws: VaultError.self) {
                try out.withUnsafeMutableBytes { out in
                    try sealed.withUnsafeBytes {
                        try cipher.open($0, into: out, label: label, session: session, commitment: commitment)
                    }
                }
            }
            #expect(error?.code == .damaged)
            #expect(out.allSatisfy { $0 == 0 })
        }
        for bit in 0..<sealed.count * 8 {
            var changed = sealed
            changed[bit / 8] ^= 1 << (bit % 8)
            refuses(changed, label, session, commitment)
        }
        for at in 0..<RecordCommitment.byteCount {
            var changed = commitment.bytes
            changed[at] ^= 0x10
            refuses(sealed, label, session, try #require(changed.withUnsafeBytes { RecordCommitment($0) }))
        }
        let labels: [(inout RecordLabel) -> Void] = [
            { $0.packID = .zero }, { $0.slot += 1 }, { $0.kind = 2 }, { $0.codec = 0 }, { $0.chunkID = .zero },
        ]
        for change in labels {
            var changed = label
            change(&changed)
            refuses(sealed, changed, session, commitment)
        }
        refuses(sealed, label, try self.session(), commitment)
        #expect(try cipher.opened(sealed, label, session, commitment) == plain)
    }

    @Test("Buffers that do not fit the label are refused")
    func buffers() throws {
        let cipher = try RecordCipher()
        let session = try session()
        var out = [UInt8](repeating: 0, count: 32)
        for (plainCount, labelled) in [(16, 17), (15, 15), (17, 17)] {
            let error = #expect(throws: VaultError.self) {
                try out.withUnsafeMutableBytes { out in
                    try Random.bytes(plainCount).withUnsafeBytes {
                        _ = try cipher.seal($0, into: out, label: label(labelled), session: session)
                    }
                }
            }
            #expect(error?.code == .invalidInput)
        }
    }

    @Test("Every slot has a key of its own")
    func distinctKeys() throws {
        let cipher = try RecordCipher()
        let session = try session()
        var label = label(1)
        var seen: Set<[UInt8]> = []
        for slot in 0..<UInt32(2000) {
            label.slot = slot
            seen.insert(try cipher.sealed([0], label, session).commitment.bytes)
        }
        #expect(seen.count == 2000)
    }

    @Test("Threads with a cipher each share a session")
    func threads() async throws {
        let session = try session()
        let labels = (0..<4).map { label(3000, slot: $0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for label in labels {
                group.addTask {
                    let cipher = try RecordCipher()
                    for _ in 0..<200 {
                        let plain = Random.bytes(3000)
                        let (sealed, commitment) = try cipher.sealed(plain, label, session)
                        #expect(try cipher.opened(sealed, label, session, commitment) == plain)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("The header of a session is sealed once, and no changed byte opens")
    func header() throws {
        let secret = try Secret.random()
        let (vaultID, sessionID) = (Random.digest(), Random.digest())
        let session = try SessionKey(secret, vaultID: vaultID, sessionID: sessionID)
        let json = Array(#"{"policy":"x"}"#.utf8)
        let sealed = try session.sealHeader(json)
        let copy = session
        #expect(throws: VaultError.self) { try copy.sealHeader(json) }
        let other = try SessionKey(secret, vaultID: vaultID, sessionID: sessionID)
        #expect(try other.openHeader(sealed) == json)
        for at in sealed.indices {
            var changed = sealed
            changed[at] ^= 0x80
            #expect(throws: VaultError.self) { try other.openHeader(changed) }
        }
        #expect(throws: VaultError.self) { try other.openHeader([]) }
        let stranger = try SessionKey(secret, vaultID: vaultID, sessionID: Random.digest())
        #expect(throws: VaultError.self) { try stranger.openHeader(sealed) }
        let error = #expect(throws: VaultError.self) { try other.sealHeader([UInt8](repeating: 32, count: 32 << 10)) }
        #expect(error?.code == .limit)
    }

    @Test("No flipped byte of a keyring opens, and neither does a key that the log does not commit to")
    func keyring() throws {
        let domain = try DomainFixture()
        let (secret, vaultID, sessionID) = (try Secret.random(), Random.digest(), Random.digest())
        let keyring = try Keyring(sealing: secret, vaultID: vaultID, sessionID: sessionID, to: domain.publicHalf)
        let session = try SessionKey(secret, vaultID: vaultID, sessionID: sessionID)
        #expect(
            try keyring.open(with: domain.secrets, commitment: session.commitment).commitment == session.commitment)
        let wrong = #expect(throws: VaultError.self) {
            try keyring.open(with: domain.secrets, commitment: Random.digest())
        }
        #expect(wrong?.code == .damaged)
        let stored = keyring.encode()
        #expect(stored.count == Keyring.byteCount)
        for at in stored.indices {
            var changed = stored
            changed[at] ^= 1 << UInt8(at % 8)
            #expect(throws: VaultError.self) {
                try Keyring.decode(changed).open(with: domain.secrets, commitment: session.commitment)
            }
        }
        #expect(throws: VaultError.self) { try Keyring.decode(stored + [0]) }
        #expect(throws: VaultError.self) { try Keyring.decode(Array(stored.dropLast())) }
    }
}

/// A domain with known secrets.
struct DomainFixture {
    let secrets: DomainSecrets
    let publicHalf: KeySet.Domain

    init() throws {
        let vaultID = Random.digest()
        let kit = try Secret.random()
        let reader = try KeySet.makeReader(
            kind: .kit, label: "kit", secret: kit, vaultID: vaultID, administrator: true, created: 0, suite: .blake3)
        let new = try KeySet.first(readers: [reader]).addingDomain(
            writer: Random.digest(), label: "host", vaultID: vaultID)
        publicHalf = try #require(new.keySet.currentDomain(new.domainID))
        secrets = try new.keySet.openDomain(
            new.domainID, generation: 1, with: try new.keySet.unlock(secret: kit, vaultID: vaultID))
    }
}
