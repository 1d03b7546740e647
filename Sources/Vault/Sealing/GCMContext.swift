// Sealing: the only place of the vault that encrypts and decrypts content.
//
// Invariants:
// 1. Every key seals one plaintext. It is derived from the session key and a label that does not occur twice (random
//    pack id and counting slot; or the session id, and then once only), or from a fresh random salt. That is why the
//    nonce is fixed at zero.
// 2. The associated data binds vault, place and lengths: nothing sealed opens in another place.
// 3. A commitment to the key is compared before a record is opened: no ciphertext opens under two keys.
// 4. Plaintext whose tag does not fit is zeroed before the error is thrown.
// 5. A key that a fork wiped seals and opens nothing.

import COpenSSL

/// AES-256-GCM with a nonce of zeros and a tag of 16 bytes; see invariant 1 for why.
struct GCMContext: ~Copyable {
    static let keyBytes = 32
    static let tagBytes = 16
    /// The library counts in `int`; nothing that format 1 seals comes near.
    static let maximumBytes = 1 << 30

    private let context: OpaquePointer

    init() throws(VaultError) {
        guard let context = EVP_CIPHER_CTX_new() else { throw LibraryError.error(doing: "prepare a cipher") }
        guard EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, nil, nil, 1) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw LibraryError.error(doing: "prepare a cipher")
        }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Writes ciphertext and tag; `out` has 16 bytes more than `plain` and may start where `plain` does.
    borrowing func seal(
        _ plain: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer, key: UnsafeRawBufferPointer,
        authenticating associated: UnsafeRawBufferPointer
    ) throws(VaultError) {
        precondition(plain.count <= Self.maximumBytes && out.count == plain.count + Self.tagBytes)
        try start(key: key, associated: associated, isSealing: true)
        var written: CInt = 0
        let ciphertext = out.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let input = plain.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard plain.isEmpty || EVP_CipherUpdate(context, ciphertext, &written, input, CInt(plain.count)) == 1,
            Int(written) == plain.count,
            EVP_CipherFinal_ex(context, ciphertext?.advanced(by: plain.count), &written) == 1,
            EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_GET_TAG, CInt(Self.tagBytes), ciphertext?.advanced(by: plain.count)) == 1
        else { throw LibraryError.error(doing: "seal") }
    }

    /// False, and `out` zeroed, when the tag does not fit. `out` has 16 bytes less than `sealed` and may start where it
    /// does.
    borrowing func open(
        _ sealed: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer, key: UnsafeRawBufferPointer,
        authenticating associated: UnsafeRawBufferPointer
    ) throws(VaultError) -> Bool {
        precondition(sealed.count <= Self.maximumBytes && sealed.count == out.count + Self.tagBytes)
        var isGenuine = false
        defer { if !isGenuine { Wipe.bytes(out) } }
        // The library takes the tag through a mutable pointer.
        var tag: (UInt64, UInt64) = (
            sealed.loadUnaligned(fromByteOffset: out.count, as: UInt64.self),
            sealed.loadUnaligned(fromByteOffset: out.count + 8, as: UInt64.self)
        )
        try start(key: key, associated: associated, isSealing: false)
        var written: CInt = 0
        let plaintext = out.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let input = sealed.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard out.isEmpty || EVP_CipherUpdate(context, plaintext, &written, input, CInt(out.count)) == 1,
            Int(written) == out.count,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CInt(Self.tagBytes), &tag) == 1
        else { throw LibraryError.error(doing: "open") }
        // Nothing is left to write, but the library wants somewhere to write it to.
        var rest: (UInt64, UInt64) = (0, 0)
        isGenuine = withUnsafeMutableBytes(of: &rest) { rest in
            EVP_CipherFinal_ex(context, rest.baseAddress?.assumingMemoryBound(to: UInt8.self), &written) == 1
        }
        return isGenuine
    }

    private borrowing func start(
        key: UnsafeRawBufferPointer, associated: UnsafeRawBufferPointer, isSealing: Bool
    ) throws(VaultError) {
        precondition(key.count == Self.keyBytes && associated.count <= Self.maximumBytes)
        let nonce: (UInt64, UInt32) = (0, 0)
        let isReady = withUnsafeBytes(of: nonce) { nonce in
            EVP_CipherInit_ex(
                context, nil, nil, key.baseAddress?.assumingMemoryBound(to: UInt8.self),
                nonce.baseAddress?.assumingMemoryBound(to: UInt8.self), isSealing ? 1 : 0)
        }
        var ignored: CInt = 0
        guard isReady == 1,
            associated.isEmpty
                || EVP_CipherUpdate(
                    context, nil, &ignored, associated.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    CInt(associated.count)) == 1
        else { throw LibraryError.error(doing: "prepare a cipher") }
    }

    /// Seals a small value with a key of its own.
    static func seal(_ plain: [UInt8], key: Secret, authenticating associated: [UInt8]) throws(VaultError) -> [UInt8] {
        guard !key.isWiped else { throw KeyDerivation.wipedError }
        let context = try GCMContext()
        var out = [UInt8](repeating: 0, count: plain.count + tagBytes)
        try out.withMutableBytes { out throws(VaultError) in
            try plain.withBytes { plain throws(VaultError) in
                try associated.withBytes { associated throws(VaultError) in
                    try key.withBytes { key throws(VaultError) in
                        try context.seal(plain, into: out, key: key, authenticating: associated)
                    }
                }
            }
        }
        return out
    }

    /// Nil when the tag does not fit.
    static func open(_ sealed: [UInt8], key: Secret, authenticating associated: [UInt8]) throws(VaultError) -> [UInt8]?
    {
        guard !key.isWiped else { throw KeyDerivation.wipedError }
        guard sealed.count >= tagBytes else { return nil }
        let context = try GCMContext()
        var out = [UInt8](repeating: 0, count: sealed.count - tagBytes)
        let isGenuine = try out.withMutableBytes { out throws(VaultError) in
            try sealed.withBytes { sealed throws(VaultError) in
                try associated.withBytes { associated throws(VaultError) in
                    try key.withBytes { key throws(VaultError) in
                        try context.open(sealed, into: out, key: key, authenticating: associated)
                    }
                }
            }
        }
        return isGenuine ? out : nil
    }
}

extension [UInt8] {
    /// `withUnsafeMutableBytes` that keeps the type of the error.
    mutating func withMutableBytes<R, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try withUnsafeMutableBufferPointer { buffer throws(E) in try body(UnsafeMutableRawBufferPointer(buffer)) }
    }
}
