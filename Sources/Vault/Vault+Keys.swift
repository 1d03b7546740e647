package import Domain

/// A vault in the making: everything is in its store but `vault.json`, before which there is no vault.
package struct NewVault {
    /// The secret of the recovery kit, which is nowhere else: to be kept safe before ``finish()``.
    package let kit: Secret
    package let vaultID: Digest
    /// The head of the log that the vault begins with.
    package let head: (number: UInt64, digest: Digest)
    private let store: any Store
    private let stateBase: String
    private let genesis: Genesis

    /// The recovery kit is always a reader and administrator; with `passphrase` there is a second one. Without it this host
    /// can write, and only the kit can read. This host becomes the first writer.
    package init(
        store: any Store, stateBase: String, suite: HashSuite, passphrase: [UInt8]?, created: String,
        scrypt: ScryptParameters = .standard
    ) throws(VaultError) {
        try Self.checkRoom(in: store)
        let root = try SigningKey(seed: try Secret.random())
        let genesis = try Genesis(suite: suite, rootKey: root.publicKey, created: created)
        // Before anything is stored: without it nobody could archive into the vault.
        let host = try HostState(base: stateBase, vaultID: genesis.vaultID)
        try host.checkWritable()
        let now = WallTime.seconds()
        let kit = try Secret.random()
        func reader(
            _ kind: KeySet.ReaderKind, _ label: String, _ secret: Secret, _ phrase: [UInt8]?
        ) throws(VaultError) -> KeySet.Reader {
            try KeySet.makeReader(
                kind: kind, label: label, secret: secret, vaultID: genesis.vaultID, administrator: true, created: now,
                passphrase: phrase, scrypt: scrypt, suite: suite)
        }
        var readers = [try reader(.kit, "recovery kit", kit, nil)]
        if let passphrase { readers.append(try reader(.passphrase, "passphrase", try Secret.random(), passphrase)) }
        let first = try KeySet.first(readers: readers)
        let admin = try first.unlock(secret: kit, vaultID: genesis.vaultID).adminKey

        let seed = try Secret.random()
        let signing = try SigningKey(seed: seed)
        let second = try first.addingDomain(writer: signing.publicKey, label: "first host", vaultID: genesis.vaultID)
        var previous = genesis.vaultID
        for (number, signer, set) in [(UInt64(0), root, first), (1, admin, second.keySet)] {
            let reference = try store.putNamedByDigest("keys", try set.encode(), suite)
            let record = LogRecord(
                number: number, previous: previous, signer: signer.publicKey, time: now, body: .key(reference))
            let bytes = try record.encode(vaultID: genesis.vaultID, key: signer)
            guard try store.putIfAbsent(LogRecord.objectName(number), bytes) != .exists else {
                throw VaultError(.conflict, "somebody else makes a vault at \(store.describe)")
            }
            previous = ObjectHasher.digest(of: bytes, suite: suite)
        }
        try host.save(
            try WriterIdentity(signingSeed: seed, domain: second.domainID, identity: second.identity))
        self.kit = kit
        vaultID = genesis.vaultID
        head = (1, previous)
        self.store = store
        self.stateBase = stateBase
        self.genesis = genesis
    }

    /// Refuses a store in which something is already.
    package static func checkRoom(in store: any Store) throws(VaultError) {
        guard try store.length(of: Genesis.objectName) == nil else {
            throw VaultError(
                .alreadyExists, "there is a vault at \(store.describe) already",
                hint: "Use it, or choose another directory.")
        }
        guard try store.list("log").isEmpty else {
            throw VaultError(
                .alreadyExists, "\(store.describe) holds the remains of an interrupted `qala init`",
                hint: "Remove that directory, which never was a vault, and run `qala init` again.")
        }
    }

    /// Makes it a vault.
    package func finish() throws(VaultError) -> Vault {
        guard try store.putIfAbsent(Genesis.objectName, genesis.bytes) != .exists else {
            throw VaultError(.conflict, "somebody else made a vault at \(store.describe)")
        }
        return try Vault(store: store, stateBase: stateBase)
    }
}

extension Vault {
    /// Makes a vault in an empty store at once, for callers that keep the kit's secret afterwards.
    package static func create(
        store: any Store, stateBase: String, suite: HashSuite, passphrase: [UInt8]?, created: String,
        scrypt: ScryptParameters = .standard
    ) throws(VaultError) -> (vault: Vault, kit: Secret) {
        let new = try NewVault(
            store: store, stateBase: stateBase, suite: suite, passphrase: passphrase, created: created, scrypt: scrypt)
        return (try new.finish(), new.kit)
    }

    /// Opens the reading key with a passphrase.
    package func unlock(passphrase: [UInt8]) throws(VaultError) -> UnlockedReader {
        try tellingLoss { () throws(VaultError) in
            try log.keySet.unlock(passphrase: passphrase, vaultID: vaultID)
        }
    }

    /// Opens the reading key with the text of a key file or a recovery kit.
    package func unlock(code: [UInt8]) throws(VaultError) -> UnlockedReader {
        let secret = try KeyFile.decode(code, vaultID: vaultID)
        return try tellingLoss { () throws(VaultError) in try log.keySet.unlock(secret: secret, vaultID: vaultID) }
    }

    /// Replaces the key set: `change` is asked again when another administrator was faster.
    package func changeKeys(
        by unlocked: UnlockedReader, _ change: (KeySet) throws(VaultError) -> KeySet
    ) throws(VaultError) {
        guard log.keySet.reader(unlocked.readerID)?.isAdministrator == true else {
            throw VaultError(
                .notAllowed, "this key may read, but not change keys", hint: "Use an administrator's key.")
        }
        try host.checkWritable()
        let store = self.store
        let suite = self.suite
        try log.append(signing: unlocked.adminKey, time: WallTime.seconds()) { log throws(VaultError) in
            // A record that no reader accepts would end the log for good, so it is not written.
            let next = try change(log.keySet)
            guard next.generation == log.keySet.generation + 1 else {
                throw VaultError(.invalidInput, "a change of the keys must be one step, and this is several")
            }
            return .key(try store.putNamedByDigest("keys", try next.encode(), suite))
        }
        try pinHead()
    }

    /// Makes this host a writer with a domain of its own.
    package func enrol(label: String, by unlocked: UnlockedReader) throws(VaultError) {
        let seed = try Secret.random()
        let signing = try SigningKey(seed: seed)
        var made: NewDomain?
        let vaultID = self.vaultID
        try changeKeys(by: unlocked) { keys throws(VaultError) in
            let next = try keys.addingDomain(writer: signing.publicKey, label: label, vaultID: vaultID)
            made = next
            return next.keySet
        }
        guard let made else { return }
        try host.save(try WriterIdentity(signingSeed: seed, domain: made.domainID, identity: made.identity))
    }
}
