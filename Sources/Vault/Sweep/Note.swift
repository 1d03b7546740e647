import Domain

/// Why somebody did something, sealed to all who could read the vault at that moment. See `docs/format.md` §4.
enum Note {
    static let byteLimit = 192 << 10
    static let textLimit = 64 << 10
    private static let magic = Array("QALANOTE".utf8)
    private static let boxBytes = HPKEBox.overheadBytes + Secret.byteCount

    static func objectName(_ digest: Digest) -> String { "notes/\(digest.hex)" }

    private static func binding(_ vaultID: Digest) -> [UInt8] { Array("qala/v1/note".utf8) + vaultID.bytes }

    static func seal(_ text: String, to keys: KeySet, vaultID: Digest) throws(VaultError) -> [UInt8] {
        guard text.utf8.count <= textLimit else {
            throw VaultError(.limit, "a reason is longer than \(textLimit >> 10) KiB", hint: "Say it in fewer words.")
        }
        let key = try Secret.random()
        let binding = binding(vaultID)
        var writer = ByteWriter()
        writer.raw(magic)
        writer.u8(1)
        writer.varint(UInt64(keys.readers.count))
        for reader in keys.readers {
            writer.digest(reader.id)
            writer.raw(try HPKEBox.seal([key], to: reader.publicKey, info: binding))
        }
        writer.blob(try GCMContext.seal(Array(text.utf8), key: key, authenticating: binding))
        return writer.bytes
    }

    /// The box for one reader, if there is one, and what its key opens.
    static func parse(
        _ bytes: UnsafeRawBufferPointer, for readerID: Digest
    ) throws(VaultError) -> (box: [UInt8]?, sealed: [UInt8]) {
        var reader = ByteReader(bytes, reading: "a note")
        guard try reader.take(8).elementsEqual(magic), try reader.u8() == 1 else {
            throw reader.malformed("it does not start as one")
        }
        var own: [UInt8]?
        for _ in 0..<(try reader.varint(upTo: KeySet.maximumReaders)) {
            let id = try reader.digest()
            let box = try reader.array(boxBytes)
            if id == readerID { own = box }
        }
        let sealed = try reader.blob(upTo: textLimit + GCMContext.tagBytes)
        try reader.expectEnd()
        return (own, sealed)
    }

    /// Nil when the note was not sealed to this reader.
    static func open(
        _ bytes: UnsafeRawBufferPointer, with unlocked: UnlockedReader
    ) throws(VaultError) -> String? {
        let (own, sealed) = try parse(bytes, for: unlocked.readerID)
        guard let own else { return nil }
        let binding = binding(unlocked.vaultID)
        guard let key = try HPKEBox.openSecrets(own, count: 1, seed: unlocked.readingSeed, info: binding)?.first,
            let text = try GCMContext.open(sealed, key: key, authenticating: binding),
            let valid = String(validating: text, as: UTF8.self)
        else { throw .damaged("a note does not authenticate") }
        return valid
    }
}

extension Vault {
    /// Stores a reason, sealed to the readers of now.
    func putNote(_ text: String) throws(VaultError) -> ObjectReference {
        try store.putNamedByDigest("notes", try Note.seal(text, to: log.keySet, vaultID: vaultID), suite)
    }

    /// The text of a note; nil when it was sealed before `unlocked` became a reader.
    package func note(
        _ reference: ObjectReference, with unlocked: UnlockedReader
    ) throws(VaultError) -> String? {
        let bytes = try store.object(Note.objectName(reference.digest), reference, limit: Note.byteLimit, suite)
        return try bytes.withBytes { (raw) throws(VaultError) in try Note.open(raw, with: unlocked) }
    }
}
