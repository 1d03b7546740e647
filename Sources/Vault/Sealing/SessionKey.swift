package import Domain
import Synchronization

/// What one session seals with: from its 32 secret bytes and the vault id every key of the session follows.
///
/// Only the extracted half of HKDF is kept. Copies share the memory, and the one permission to seal the header.
package struct SessionKey: Sendable {
    package let vaultID: Digest
    package let sessionID: Digest
    /// Stands in the open record, signed: whoever opens the keyring checks that it was given the same key as all
    /// others.
    package let commitment: Digest

    let prk: Secret
    private let headerKey: Secret
    private let headerPermit = HeaderPermit()

    package init(_ secret: Secret, vaultID: Digest, sessionID: Digest) throws(VaultError) {
        guard !secret.isWiped else { throw KeyDerivation.wipedError }
        self.vaultID = vaultID
        self.sessionID = sessionID
        prk = try KeyDerivation.extract(secret, salt: vaultID)
        commitment = try KeyDerivation.digest(
            try KeyDerivation.expand(prk, info: Self.label("qala/v1/commit", sessionID)))
        headerKey = try KeyDerivation.expand(prk, info: Self.label("qala/v1/header", sessionID))
    }

    /// Seals the archive header (UTF-8 JSON). A second call for the session fails: its key has a fixed nonce. Who must
    /// write the commit record again uses the same sealed bytes.
    package func sealHeader(_ json: [UInt8]) throws(VaultError) -> [UInt8] {
        guard json.count + GCMContext.tagBytes <= Self.maximumHeaderBytes else {
            throw VaultError(
                .limit, "the description of the archive is longer than \(Self.maximumHeaderBytes >> 10) KiB",
                hint: "Shorten the lists of roots and exclusions of the policy.")
        }
        guard headerPermit.take() else {
            throw VaultError(.invalidInput, "the header of this session was sealed before")
        }
        return try GCMContext.seal(json, key: headerKey, authenticating: headerData)
    }

    package func openHeader(_ sealed: [UInt8]) throws(VaultError) -> [UInt8] {
        guard sealed.count <= Self.maximumHeaderBytes,
            let json = try GCMContext.open(sealed, key: headerKey, authenticating: headerData)
        else { throw .damaged("the header of archive \(sessionID) does not authenticate") }
        return json
    }

    /// Of the sealed header, with its tag.
    package static let maximumHeaderBytes = 32 << 10

    private var headerData: [UInt8] { Self.label("qala/v1/header", vaultID, sessionID) }

    static func label(_ text: StaticString, _ digests: Digest...) -> [UInt8] {
        var info = ByteWriter(capacity: 96)
        text.withUTF8Buffer { info.raw(UnsafeRawBufferPointer($0)) }
        for digest in digests { info.digest(digest) }
        return info.bytes
    }
}

/// Can be taken once.
private final class HeaderPermit: Sendable {
    private let isTaken = Atomic(false)

    func take() -> Bool { !isTaken.exchange(true, ordering: .relaxed) }
}
