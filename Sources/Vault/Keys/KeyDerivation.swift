import COpenSSL
package import Domain

/// What a passphrase costs to try: 128 · N · r bytes of memory, and time in proportion.
package struct ScryptParameters: Hashable, Sendable {
    package var log2N: UInt8
    package var r: UInt8
    package var p: UInt8

    package static let maximumMemoryBytes = 256 << 20
    package static let maximumP: UInt8 = 4
    /// 64 MiB and about a third of a second.
    package static let standard = ScryptParameters(log2N: 16, r: 8, p: 1)

    package init(log2N: UInt8, r: UInt8, p: UInt8) {
        self.log2N = log2N
        self.r = r
        self.p = p
    }

    /// Whether the parameters are within the bounds of format 1; asked before any memory is taken.
    package var isAcceptable: Bool {
        guard (1...31).contains(log2N), r >= 1, (1...Self.maximumP).contains(p) else { return false }
        return 128 * Int(r) << Int(log2N) <= Self.maximumMemoryBytes
    }
}

/// HKDF-SHA-256 (RFC 5869) and scrypt (RFC 7914), results in ``Secret`` memory.
package enum KeyDerivation {
    /// The first half of HKDF. The result serves any number of ``expand(_:info:)`` calls with the same salt.
    package static func extract(_ secret: Secret, salt: Digest) throws(VaultError) -> Secret {
        try Secret { out throws(VaultError) in
            try salt.withBytes { salt throws(VaultError) in
                try secret.withBytes { bytes throws(VaultError) in try hmac(key: salt, bytes, into: out) }
            }
        }
    }

    /// The second half of HKDF for 32 bytes.
    package static func expand(_ prk: Secret, info: [UInt8]) throws(VaultError) -> Secret {
        guard !prk.isWiped else { throw Self.wipedError }
        return try Secret { out throws(VaultError) in
            try prk.withBytes { key throws(VaultError) in
                try (info + [1]).withBytes { message throws(VaultError) in try hmac(key: key, message, into: out) }
            }
        }
    }

    /// `HKDF(secret, salt, info, 32)`, for what stays secret.
    package static func hkdf(_ secret: Secret, salt: Digest, info: [UInt8]) throws(VaultError) -> Secret {
        guard !secret.isWiped else { throw Self.wipedError }
        return try expand(try extract(secret, salt: salt), info: info)
    }

    /// `HKDF(secret, salt, info, 32)`, for what is compared in public, or feeds a keyed hash.
    package static func hkdfDigest(_ secret: Secret, salt: Digest, info: [UInt8]) throws(VaultError) -> Digest {
        try digest(try hkdf(secret, salt: salt, info: info))
    }

    static func digest(_ secret: Secret) throws(VaultError) -> Digest {
        guard let digest = secret.withBytes({ Digest($0) }) else {
            throw VaultError(.invalidInput, "a secret does not have 32 bytes")
        }
        return digest
    }

    /// The key `Ki` of format 1 that identifies chunks of kind i; 0 for members of groups, 255 for the chunker.
    package static func identityKey(_ identity: Secret, vaultID: Digest, index: UInt8) throws(VaultError) -> Digest {
        var info = ByteWriter()
        info.raw("qala/v1/identity".utf8)
        info.u8(index)
        return try hkdfDigest(identity, salt: vaultID, info: info.bytes)
    }

    /// 32 bytes from a passphrase. Refuses parameters out of bounds before it takes memory.
    package static func scrypt(
        passphrase: [UInt8], parameters: ScryptParameters, salt: Digest
    ) throws(VaultError) -> Secret {
        guard parameters.isAcceptable else {
            throw .damaged("a key slot asks for more work to derive its key than format 1 allows")
        }
        let n = UInt64(1) << UInt64(parameters.log2N)
        // The library counts its working buffers on top of the 128 · N · r bytes that the format bounds.
        let memoryLimit = UInt64(ScryptParameters.maximumMemoryBytes + (1 << 20))
        return try Secret { out throws(VaultError) in
            let result = salt.withBytes { salt in
                passphrase.withUnsafeBytes { passphrase in
                    // A nil password makes the library derive nothing but still report success.
                    let empty: StaticString = ""
                    return EVP_PBE_scrypt(
                        passphrase.baseAddress?.assumingMemoryBound(to: CChar.self)
                            ?? UnsafeRawPointer(empty.utf8Start).assumingMemoryBound(to: CChar.self),
                        passphrase.count, salt.baseAddress?.assumingMemoryBound(to: UInt8.self), salt.count,
                        n, UInt64(parameters.r), UInt64(parameters.p), memoryLimit,
                        out.baseAddress?.assumingMemoryBound(to: UInt8.self), out.count)
                }
            }
            guard result == 1 else {
                throw VaultError(
                    .limit, "the key could not be derived from the passphrase",
                    hint:
                        "About \((128 * Int(parameters.r) << Int(parameters.log2N)) >> 20) MiB of memory must be free.",
                    underlying: LibraryError.take())
            }
        }
    }

    /// HMAC-SHA-256; `out` gets 32 bytes and may be neither `key` nor `message`.
    static func hmac(
        key: UnsafeRawBufferPointer, _ message: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        precondition(out.count >= 32)
        let done = HMAC(
            EVP_sha256(), key.baseAddress, CInt(key.count), message.baseAddress?.assumingMemoryBound(to: UInt8.self),
            message.count, out.baseAddress?.assumingMemoryBound(to: UInt8.self), nil)
        guard done != nil else { throw LibraryError.error(doing: "derive a key") }
    }

    static let wipedError = VaultError(
        .keyNeeded, "the key was wiped from memory when the process forked",
        hint: "Keys do not pass to forked processes; open the vault again in the new process.")
}

/// Failures of the cryptographic library itself: out of memory, or an algorithm that its configuration forbids.
enum LibraryError {
    static func error(doing what: StaticString) -> VaultError {
        VaultError(
            .io, "the cryptographic library could not \(what)",
            hint: "Check the OpenSSL configuration of this host and that memory is free.", underlying: take())
    }

    /// The oldest queued reason of this thread; empties the queue.
    static func take() -> String {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        guard code != 0, let text = ERR_reason_error_string(code) else { return "error \(code)" }
        return String(cString: text)
    }
}
