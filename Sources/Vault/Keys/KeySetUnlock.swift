package import Domain

/// A reader whose secret is at hand.
package struct UnlockedReader: Sendable {
    package let readerID: Digest
    package let vaultID: Digest
    package let readingSeed: Secret
    /// Signs key records, if the reader is an administrator.
    package let adminKey: SigningKey
}

/// What a domain keeps from its writers (`seed`) and from the storage (`identity`).
package struct DomainSecrets: Sendable {
    /// The private half of the key pair: opens keyrings.
    package let seed: Secret
    /// Keys the ids of chunks and the cuts between them; the writer's host has it too.
    package let identity: Secret

    package init(seed: Secret, identity: Secret) {
        self.seed = seed
        self.identity = identity
    }

    static func random() throws(VaultError) -> DomainSecrets {
        DomainSecrets(seed: try Secret.random(), identity: try Secret.random())
    }
}

/// The keys that follow from a reader's secret.
struct ReaderKeys {
    let reading: ReadingKey
    let administration: SigningKey

    init(_ secret: Secret, vaultID: Digest) throws(VaultError) {
        reading = try ReadingKey(
            seed: try KeyDerivation.hkdf(secret, salt: vaultID, info: Array("qala/v1/reader".utf8)))
        administration = try SigningKey(
            seed: try KeyDerivation.hkdf(secret, salt: vaultID, info: Array("qala/v1/admin".utf8)))
    }

    func opens(_ reader: KeySet.Reader) -> Bool {
        reader.publicKey == reading.publicKey && reader.administrationKey == administration.publicKey
    }
}

extension KeySet {
    /// Describes a reader by its secret; a reader of kind passphrase needs `passphrase`, the others have none.
    package static func makeReader(
        kind: ReaderKind, label: String, secret: Secret, vaultID: Digest, administrator: Bool, created: UInt64,
        passphrase: [UInt8]? = nil, scrypt: ScryptParameters = .standard, suite: HashSuite
    ) throws(VaultError) -> Reader {
        try checkLabel(label)
        guard (kind == .passphrase) == (passphrase != nil) else {
            throw VaultError(.invalidInput, "a passphrase belongs to readers of kind passphrase, and to no others")
        }
        let keys = try ReaderKeys(secret, vaultID: vaultID)
        var slot: PassphraseSlot?
        if let passphrase {
            guard !passphrase.isEmpty else {
                throw VaultError(.invalidInput, "the passphrase is empty", hint: "Give a passphrase of several words.")
            }
            slot = try PassphraseSlot(
                secret, passphrase: passphrase, parameters: scrypt,
                binding: slotData(vaultID, keys.reading.publicKey, keys.administration.publicKey))
        }
        return Reader(
            id: Reader.id(of: keys.reading.publicKey, suite: suite), kind: kind, isAdministrator: administrator,
            label: label, created: created, publicKey: keys.reading.publicKey,
            administrationKey: keys.administration.publicKey, slot: slot)
    }

    static func checkLabel(_ label: String) throws(VaultError) {
        guard label.utf8.count <= maximumLabelBytes else {
            throw VaultError(
                .invalidInput, "the label is longer than \(maximumLabelBytes) bytes", hint: "Choose a shorter one.")
        }
    }

    fileprivate static func slotData(
        _ vaultID: Digest, _ publicKey: [UInt8], _ administrationKey: Digest
    ) -> [UInt8] {
        SessionKey.label("qala/v1/slot", vaultID) + publicKey + administrationKey.bytes
    }

    /// Tries every reader that has a passphrase; each costs what its slot says, at most 256 MiB and some seconds.
    package func unlock(passphrase: [UInt8], vaultID: Digest) throws(VaultError) -> UnlockedReader {
        var hasSlots = false
        for reader in readers {
            guard let slot = reader.slot else { continue }
            hasSlots = true
            let binding = Self.slotData(vaultID, reader.publicKey, reader.administrationKey)
            guard let secret = try slot.open(passphrase: passphrase, binding: binding) else { continue }
            let keys = try ReaderKeys(secret, vaultID: vaultID)
            guard keys.opens(reader) else {
                throw .damaged("the key of reader \(reader.label) does not fit its passphrase slot")
            }
            return UnlockedReader(reader, keys, vaultID: vaultID)
        }
        guard hasSlots else {
            throw VaultError(
                .keyNeeded, "no key of this vault is opened by a passphrase",
                hint: "Use a key file or the code of the recovery kit.")
        }
        throw VaultError(
            .wrongKey, "no key of this vault opens with that passphrase",
            hint: "Check the keyboard layout and Caps Lock, or use a key file or the recovery kit.")
    }

    /// For the secret of a key file or a kit.
    package func unlock(secret: Secret, vaultID: Digest) throws(VaultError) -> UnlockedReader {
        let keys = try ReaderKeys(secret, vaultID: vaultID)
        guard let reader = readers.first(where: { keys.opens($0) }) else {
            throw VaultError(
                .wrongKey, "that key opens nothing in this vault",
                hint:
                    "It may have been removed since, or belong to another vault; `qala key list` shows the valid ones.")
        }
        return UnlockedReader(reader, keys, vaultID: vaultID)
    }

    /// The secrets of one generation of a domain.
    package func openDomain(
        _ id: Digest, generation: UInt32, with reader: UnlockedReader
    ) throws(VaultError) -> DomainSecrets {
        guard let domain = domain(id, generation: generation) else {
            throw VaultError(.notFound, "the key set has no generation \(generation) of domain \(id)")
        }
        return try domain.open(with: reader)
    }
}

extension UnlockedReader {
    fileprivate init(_ reader: KeySet.Reader, _ keys: ReaderKeys, vaultID: Digest) {
        self.init(
            readerID: reader.id, vaultID: vaultID, readingSeed: keys.reading.seed, adminKey: keys.administration)
    }
}

extension KeySet.PassphraseSlot {
    /// The salt, and with it the key, is fresh: that is what lets the nonce be fixed.
    fileprivate init(
        _ secret: Secret, passphrase: [UInt8], parameters: ScryptParameters, binding: [UInt8]
    ) throws(VaultError) {
        self.parameters = parameters
        salt = Random.digest()
        let key = try KeyDerivation.scrypt(passphrase: passphrase, parameters: parameters, salt: salt)
        var plaintext = secret.withBytes { Array($0) }
        defer { Wipe.array(&plaintext) }
        wrapped = try GCMContext.seal(plaintext, key: key, authenticating: binding)
    }

    /// Nil for any other passphrase.
    fileprivate func open(passphrase: [UInt8], binding: [UInt8]) throws(VaultError) -> Secret? {
        let key = try KeyDerivation.scrypt(passphrase: passphrase, parameters: parameters, salt: salt)
        guard var plaintext = try GCMContext.open(wrapped, key: key, authenticating: binding) else { return nil }
        defer { Wipe.array(&plaintext) }
        return try Secret(copying: plaintext)
    }
}

extension KeySet.Domain {
    /// Seals the secrets of a domain to `readers`.
    init(
        id: Digest, generation: UInt32, secrets: DomainSecrets, readers: [KeySet.Reader], vaultID: Digest
    ) throws(VaultError) {
        let info = Self.info(id, generation, vaultID: vaultID)
        var wraps: [KeySet.Wrap] = []
        for reader in readers { wraps.append(try Self.wrap(secrets, for: reader, info: info)) }
        self.init(
            id: id, generation: generation, publicKey: try ReadingKey(seed: secrets.seed).publicKey, wraps: wraps)
    }

    func open(with reader: UnlockedReader) throws(VaultError) -> DomainSecrets {
        guard let wrap = wraps.first(where: { $0.readerID == reader.readerID }) else {
            throw VaultError(
                .keyNeeded, "that key was given no access to domain \(id), generation \(generation)",
                hint: "Use a key of another reader, or have one add this reader again.")
        }
        let info = Self.info(id, generation, vaultID: reader.vaultID)
        guard let secrets = try HPKEBox.openSecrets(wrap.sealed, count: 2, seed: reader.readingSeed, info: info),
            try ReadingKey(seed: secrets[0]).publicKey == publicKey
        else { throw .damaged("the secrets of domain \(id), generation \(generation) do not open") }
        return DomainSecrets(seed: secrets[0], identity: secrets[1])
    }

    /// The same key pair, open to `newReader` too.
    func opened(to newReader: KeySet.Reader, by reader: UnlockedReader) throws(VaultError) -> KeySet.Domain {
        let info = Self.info(id, generation, vaultID: reader.vaultID)
        let wrap = try Self.wrap(try open(with: reader), for: newReader, info: info)
        return Self(id: id, generation: generation, publicKey: publicKey, wraps: wraps + [wrap])
    }

    func closed(to reader: Digest) -> KeySet.Domain {
        Self(id: id, generation: generation, publicKey: publicKey, wraps: wraps.filter { $0.readerID != reader })
    }

    private static func wrap(
        _ secrets: DomainSecrets, for reader: KeySet.Reader, info: [UInt8]
    ) throws(VaultError) -> KeySet.Wrap {
        KeySet.Wrap(
            readerID: reader.id,
            sealed: try HPKEBox.seal([secrets.seed, secrets.identity], to: reader.publicKey, info: info))
    }

    private static func info(_ id: Digest, _ generation: UInt32, vaultID: Digest) -> [UInt8] {
        var info = ByteWriter(capacity: 96)
        info.raw("qala/v1/domain".utf8)
        info.digest(vaultID)
        info.digest(id)
        info.u32(generation)
        return info.bytes
    }
}
