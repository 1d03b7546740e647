import COpenSSL
package import Domain

/// What a record is and where it stands; all of it is bound to the key and the tag of the record.
package struct RecordLabel: Hashable, Sendable {
    package var packID: Digest
    package var slot: UInt32
    package var kind: UInt8
    package var codec: UInt8
    /// Bytes of ciphertext, without the tag.
    package var storedLength: UInt32
    package var chunkID: Digest

    package init(packID: Digest, slot: UInt32, kind: UInt8, codec: UInt8, storedLength: UInt32, chunkID: Digest) {
        self.packID = packID
        self.slot = slot
        self.kind = kind
        self.codec = codec
        self.storedLength = storedLength
        self.chunkID = chunkID
    }
}

/// 16 bytes in the record that only the key which sealed it yields.
package struct RecordCommitment: Sendable, Equatable {
    package static let byteCount = 16

    private let words: (UInt64, UInt64)

    /// Reads the first 16 bytes; nil when there are fewer.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.byteCount else { return nil }
        words = (
            bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        )
    }

    /// Writes the 16 bytes to the start of `out`, which must have room.
    package func store(to out: UnsafeMutableRawBufferPointer) {
        out.storeBytes(of: words.0, toByteOffset: 0, as: UInt64.self)
        out.storeBytes(of: words.1, toByteOffset: 8, as: UInt64.self)
    }

    package var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withUnsafeMutableBytes { store(to: $0) }
        return bytes
    }

    /// In time that does not depend on the bytes.
    package static func == (a: RecordCommitment, b: RecordCommitment) -> Bool {
        (a.words.0 ^ b.words.0) | (a.words.1 ^ b.words.1) == 0
    }
}

/// Seals and opens the records of packs. One per thread: it owns a cipher context and scratch memory.
///
/// A writer that seals two different plaintexts under one label breaks both; pack ids are random and slots count, so a
/// writer needs no more than to never reuse a slot.
package final class RecordCipher {
    package static let tagBytes = GCMContext.tagBytes
    /// Ciphertext of one record; above any chunk of format 1 with its frame and padding.
    package static let maximumStoredBytes = 64 << 20

    private let context: GCMContext
    private let scratch: Scratch

    package init() throws(VaultError) {
        context = try GCMContext()
        scratch = Scratch()
    }

    /// Writes ciphertext and tag to `out`, which has 16 bytes more than `plain` and may start where `plain` does.
    package func seal(
        _ plain: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer, label: RecordLabel,
        session: SessionKey
    ) throws(VaultError) -> RecordCommitment {
        guard plain.count == Int(label.storedLength), plain.count <= Self.maximumStoredBytes,
            out.count == plain.count + Self.tagBytes
        else { throw VaultError(.invalidInput, "a record of \(plain.count) bytes does not fit its label") }
        defer { scratch.wipe() }
        let commitment = try scratch.derive(label, session: session)
        try context.seal(plain, into: out, key: scratch.key, authenticating: scratch.associated)
        return commitment
    }

    /// Opens ciphertext and tag into `out`, which has 16 bytes less and may start where `sealed` does. On failure
    /// nothing of the plaintext is left in `out`.
    package func open(
        _ sealed: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer, label: RecordLabel,
        session: SessionKey, commitment: RecordCommitment
    ) throws(VaultError) {
        guard sealed.count == Int(label.storedLength) + Self.tagBytes, out.count == Int(label.storedLength),
            out.count <= Self.maximumStoredBytes
        else { throw VaultError(.invalidInput, "a record of \(sealed.count) bytes does not fit its label") }
        defer { scratch.wipe() }
        guard try scratch.derive(label, session: session) == commitment else {
            Wipe.bytes(out)
            throw .damaged("record \(label.slot) of pack \(label.packID) was not sealed with its session's key")
        }
        guard try context.open(sealed, into: out, key: scratch.key, authenticating: scratch.associated) else {
            throw .damaged("record \(label.slot) of pack \(label.packID) does not authenticate")
        }
    }
}

/// One block of memory in which a record's key is derived without an allocation:
/// `first block or vault id [32] ‖ info [88] ‖ counter [1] … key [32] ‖ commitment block [32]`.
private struct Scratch: ~Copyable {
    private static let infoBytes = 88
    private static let infoStart = 32
    private static let counterAt = infoStart + infoBytes
    private static let keyStart = 128
    private static let byteCount = keyStart + 64

    private let memory: UnsafeMutableRawBufferPointer

    init() {
        memory = .allocate(byteCount: Self.byteCount, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        Wipe.bytes(memory)
        memory.deallocate()
    }

    borrowing func wipe() { Wipe.bytes(memory) }

    private borrowing func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[range])
    }

    /// Valid after ``derive(_:session:)`` until ``wipe()``.
    var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(part(Self.keyStart..<Self.keyStart + 32)) }
    var associated: UnsafeRawBufferPointer { UnsafeRawBufferPointer(part(0..<Self.counterAt)) }

    /// `HKDF(session key, vault id, info, 48)`: the key stays here, the commitment is returned.
    borrowing func derive(_ label: RecordLabel, session: SessionKey) throws(VaultError) -> RecordCommitment {
        guard !session.prk.isWiped else { throw KeyDerivation.wipedError }
        let info = part(Self.infoStart..<Self.counterAt)
        let prefix: StaticString = "qala/v1/record"
        info.copyMemory(from: UnsafeRawBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount))
        label.packID.store(to: UnsafeMutableRawBufferPointer(rebasing: info[14...]))
        info.storeBytes(of: label.slot.littleEndian, toByteOffset: 46, as: UInt32.self)
        info[50] = label.kind
        info[51] = label.codec
        info.storeBytes(of: label.storedLength.littleEndian, toByteOffset: 52, as: UInt32.self)
        label.chunkID.store(to: UnsafeMutableRawBufferPointer(rebasing: info[56...]))

        let first = part(Self.keyStart..<Self.keyStart + 32)
        let second = part(Self.keyStart + 32..<Self.byteCount)
        try session.prk.withBytes { prk throws(VaultError) in
            memory[Self.counterAt] = 1
            let opening = UnsafeRawBufferPointer(part(Self.infoStart..<Self.counterAt + 1))
            try KeyDerivation.hmac(key: prk, opening, into: first)
            memory[Self.counterAt] = 2
            memory.copyMemory(from: UnsafeRawBufferPointer(first))
            try KeyDerivation.hmac(key: prk, UnsafeRawBufferPointer(part(0..<Self.counterAt + 1)), into: second)
        }
        session.vaultID.store(to: memory)
        guard let commitment = RecordCommitment(UnsafeRawBufferPointer(second)) else {
            throw LibraryError.error(doing: "derive a key")
        }
        return commitment
    }
}
