package import Domain

/// A session's key, sealed to the domain's public key: whoever holds the domain's private half reads the session.
///
/// Written before the session is opened, named by its open record.
package struct Keyring: Equatable, Sendable {
    /// Every keyring has this length.
    package static let byteCount = 8 + 1 + 3 * 32 + 4 + sealedBytes
    private static let sealedBytes = HPKEBox.overheadBytes + Secret.byteCount
    private static let magic: StaticString = "QALARING"

    package let vaultID: Digest
    package let sessionID: Digest
    package let domainID: Digest
    package let generation: UInt32
    private let sealed: [UInt8]

    /// Seals `secret`, the session key, to the key pair of `domain`.
    package init(
        sealing secret: Secret, vaultID: Digest, sessionID: Digest, to domain: KeySet.Domain
    ) throws(VaultError) {
        try self.init(
            sealing: secret, vaultID: vaultID, sessionID: sessionID, domainID: domain.id,
            generation: domain.generation, publicKey: domain.publicKey)
    }

    package init(
        sealing secret: Secret, vaultID: Digest, sessionID: Digest, domainID: Digest, generation: UInt32,
        publicKey: [UInt8]
    ) throws(VaultError) {
        self.vaultID = vaultID
        self.sessionID = sessionID
        self.domainID = domainID
        self.generation = generation
        sealed = try HPKEBox.seal(
            [secret], to: publicKey,
            info: Self.info(vaultID: vaultID, sessionID: sessionID, domainID: domainID, generation: generation))
    }

    /// Opens the session's key and checks it against the `commitment` that the open record signs.
    package func open(with domain: DomainSecrets, commitment: Digest) throws(VaultError) -> SessionKey {
        let info = Self.info(vaultID: vaultID, sessionID: sessionID, domainID: domainID, generation: generation)
        guard let secret = try HPKEBox.openSecrets(sealed, count: 1, seed: domain.seed, info: info)?.first else {
            throw .damaged("the keyring of session \(sessionID) does not open with the key of its domain")
        }
        let session = try SessionKey(secret, vaultID: vaultID, sessionID: sessionID)
        guard session.commitment == commitment else {
            throw .damaged("the keyring of session \(sessionID) holds another key than the log commits to")
        }
        return session
    }

    package func encode() -> [UInt8] {
        var out = ByteWriter(capacity: Self.byteCount)
        Self.magic.withUTF8Buffer { out.raw(UnsafeRawBufferPointer($0)) }
        out.u8(1)
        out.digest(vaultID)
        out.digest(sessionID)
        out.digest(domainID)
        out.u32(generation)
        out.raw(sealed)
        return out.bytes
    }

    /// Reads a keyring from storage; whether it is the one wanted is for the caller to compare.
    package static func decode(_ bytes: [UInt8]) throws(VaultError) -> Keyring {
        try bytes.withBytes { bytes throws(VaultError) in
            var reader = ByteReader(bytes, reading: "a keyring")
            let start = try reader.take(magic.utf8CodeUnitCount)
            guard magic.withUTF8Buffer({ start.elementsEqual($0) }) else {
                throw reader.malformed("it does not begin as one")
            }
            guard try reader.u8() == 1 else { throw reader.malformed("its version is unknown") }
            let keyring = Keyring(
                vaultID: try reader.digest(), sessionID: try reader.digest(), domainID: try reader.digest(),
                generation: try reader.u32(), sealed: try reader.array(sealedBytes))
            try reader.expectEnd()
            return keyring
        }
    }

    private init(vaultID: Digest, sessionID: Digest, domainID: Digest, generation: UInt32, sealed: [UInt8]) {
        self.vaultID = vaultID
        self.sessionID = sessionID
        self.domainID = domainID
        self.generation = generation
        self.sealed = sealed
    }

    private static func info(vaultID: Digest, sessionID: Digest, domainID: Digest, generation: UInt32) -> [UInt8] {
        var info = ByteWriter(capacity: 128)
        info.raw("qala/v1/keyring".utf8)
        info.digest(vaultID)
        info.digest(sessionID)
        info.digest(domainID)
        info.u32(generation)
        return info.bytes
    }
}
