import Crypto

/// An X-Wing key pair (ML-KEM-768 with X25519) from its 32-byte seed: what session keys and domain secrets are sealed
/// to.
package struct ReadingKey: Sendable {
    package static let publicKeyBytes = 1216

    package let seed: Secret
    package let publicKey: [UInt8]

    package init(seed: Secret) throws(VaultError) {
        guard !seed.isWiped else { throw KeyDerivation.wipedError }
        self.seed = seed
        publicKey = try CryptoBridge.perform("derive a reading key") {
            Array(try HPKEBox.privateKey(seed).publicKey.rawRepresentation)
        }
    }
}

/// HPKE (RFC 9180), base mode, single shot: X-Wing, HKDF-SHA-256, AES-256-GCM, empty associated data.
package enum HPKEBox {
    package static let encapsulatedKeyBytes = 1120
    /// What a sealed plaintext is longer than itself.
    package static let overheadBytes = encapsulatedKeyBytes + 16

    private static var suite: HPKE.Ciphersuite { .XWingMLKEM768X25519_SHA256_AES_GCM_256 }

    /// Encapsulated key, then ciphertext with tag; different for every call.
    package static func seal(
        _ plaintext: [UInt8], to publicKey: [UInt8], info: [UInt8]
    ) throws(VaultError) -> [UInt8] {
        guard publicKey.count == ReadingKey.publicKeyBytes else {
            throw .damaged("a public key has \(publicKey.count) bytes, not \(ReadingKey.publicKeyBytes)")
        }
        do {
            let key = try XWingMLKEM768X25519.PublicKey(rawRepresentation: publicKey)
            var sender = try HPKE.Sender(recipientKey: key, ciphersuite: suite, info: CryptoBridge.converted(info))
            let sealed = try sender.seal(plaintext)
            return Array(sender.encapsulatedKey) + Array(sealed)
        } catch {
            throw .damaged("a public key is not valid")
        }
    }

    /// Nil when `sealed` was not made for this key and `info`, or was changed since.
    package static func open(_ sealed: [UInt8], seed: Secret, info: [UInt8]) throws(VaultError) -> [UInt8]? {
        guard !seed.isWiped else { throw KeyDerivation.wipedError }
        guard sealed.count >= overheadBytes else { return nil }
        let key = try CryptoBridge.perform("derive a reading key") { try privateKey(seed) }
        do {
            var recipient = try HPKE.Recipient(
                privateKey: key, ciphersuite: suite, info: CryptoBridge.converted(info),
                encapsulatedKey: CryptoBridge.converted(sealed[..<encapsulatedKeyBytes]))
            var plaintext = try recipient.open(sealed[encapsulatedKeyBytes...])
            defer { CryptoBridge.wipe(&plaintext) }
            return Array(plaintext)
        } catch {
            return nil
        }
    }

    /// Seals the concatenation of `secrets`.
    package static func seal(
        _ secrets: [Secret], to publicKey: [UInt8], info: [UInt8]
    ) throws(VaultError) -> [UInt8] {
        var plaintext: [UInt8] = []
        plaintext.reserveCapacity(secrets.count * Secret.byteCount)
        defer { Wipe.array(&plaintext) }
        for secret in secrets {
            guard !secret.isWiped else { throw KeyDerivation.wipedError }
            secret.withBytes { plaintext.append(contentsOf: $0) }
        }
        return try seal(plaintext, to: publicKey, info: info)
    }

    /// Opens `count` secrets that were sealed together; nil as ``open(_:seed:info:)``, and for any other length.
    package static func openSecrets(
        _ sealed: [UInt8], count: Int, seed: Secret, info: [UInt8]
    ) throws(VaultError) -> [Secret]? {
        guard var plaintext = try open(sealed, seed: seed, info: info) else { return nil }
        defer { Wipe.array(&plaintext) }
        guard plaintext.count == count * Secret.byteCount else { return nil }
        return try plaintext.withBytes { bytes throws(VaultError) -> [Secret] in
            var secrets: [Secret] = []
            for at in stride(from: 0, to: bytes.count, by: Secret.byteCount) {
                secrets.append(
                    try Secret(copying: UnsafeRawBufferPointer(rebasing: bytes[at..<at + Secret.byteCount])))
            }
            return secrets
        }
    }

    fileprivate static func privateKey(_ seed: Secret) throws -> XWingMLKEM768X25519.PrivateKey {
        try seed.withBytes { bytes in
            try XWingMLKEM768X25519.PrivateKey(seedRepresentation: bytes, publicKey: nil)
        }
    }
}
