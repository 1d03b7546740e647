import enum Crypto.Curve25519
package import Domain

/// An Ed25519 key pair from its seed.
package struct SigningKey: Sendable {
    package static let signatureBytes = 64

    private let seed: Secret
    package let publicKey: Digest

    package init(seed: Secret) throws(VaultError) {
        self.seed = seed
        publicKey = try CryptoBridge.perform("derive a signing key") {
            let key = try seed.withBytes { try Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
            return Digest(Array(key.publicKey.rawRepresentation)) ?? .zero
        }
    }

    /// 64 bytes over `message`, the same for the same message.
    package func sign(_ message: [UInt8]) throws(VaultError) -> [UInt8] {
        guard !seed.isWiped else { throw KeyDerivation.wipedError }
        return try CryptoBridge.perform("sign") {
            let key = try seed.withBytes { try Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
            return Array(try key.signature(for: message))
        }
    }

    /// False for any signature, message or key that does not fit, whatever the reason.
    package static func verify(signature: [UInt8], message: [UInt8], publicKey: Digest) -> Bool {
        guard signature.count == signatureBytes,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey.bytes)
        else { return false }
        return key.isValidSignature(signature, for: message)
    }
}

/// Between our byte arrays and the data type of the library, without importing the latter's home.
enum CryptoBridge {
    /// Turns any error of the library into one of ours.
    static func perform<R>(_ what: StaticString, _ body: () throws -> R) throws(VaultError) -> R {
        do {
            return try body()
        } catch {
            throw VaultError(
                .io, "the cryptographic library could not \(what)", hint: "Check that memory is free.",
                underlying: "\(error)")
        }
    }

    static func converted<C: RangeReplaceableCollection>(_ bytes: some Collection<UInt8>) -> C
    where C.Element == UInt8 { C(bytes) }

    /// Zeros in place what the library returned; the value must have one owner.
    static func wipe<C: MutableCollection>(_ bytes: inout C) where C.Element == UInt8 {
        var at = bytes.startIndex
        while at != bytes.endIndex {
            bytes[at] = 0
            bytes.formIndex(after: &at)
        }
    }
}
