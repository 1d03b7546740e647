package import Domain

// Changes of a key set: each returns a new one of the next generation and leaves the old as it is. A change counts once
// a log record signed by an administrator of the *old* set names the new one.

/// A domain that was just made, with what its writer's host keeps.
package struct NewDomain: Sendable {
    package let keySet: KeySet
    package let domainID: Digest
    package let identity: Secret
}

extension KeySet {
    /// The first key set of a vault. At least one reader must be an administrator, or no key could ever be changed.
    package static func first(readers: [Reader]) throws(VaultError) -> KeySet {
        guard readers.contains(where: \.isAdministrator) else {
            throw VaultError(
                .invalidInput, "a vault needs a reader who is an administrator",
                hint: "Make the passphrase or the recovery kit an administrator.")
        }
        return try KeySet(generation: 1, readers: readers, domains: [], writers: []).checked()
    }

    /// Opens every domain with `unlocked` and seals it to the new reader too.
    package func adding(_ reader: Reader, with unlocked: UnlockedReader) throws(VaultError) -> KeySet {
        guard self.reader(reader.id) == nil else {
            throw VaultError(.alreadyExists, "that key is a reader of the vault already")
        }
        var opened: [Domain] = []
        for domain in domains { opened.append(try domain.opened(to: reader, by: unlocked)) }
        return try changed(readers: readers + [reader], domains: opened)
    }

    /// Takes a reader out. What it could open before it still can, if it kept the old key set: follow with
    /// ``rotatingDomains(with:)``, so that it opens nothing new.
    package func removing(_ readerID: Digest) throws(VaultError) -> KeySet {
        guard let reader = reader(readerID) else {
            throw VaultError(
                .notFound, "the vault has no reader \(readerID)", hint: "`qala key list` shows the readers.")
        }
        let rest = readers.filter { $0.id != readerID }
        guard !rest.isEmpty else {
            throw VaultError(
                .notAllowed, "the last reader cannot be removed: nothing would open the vault any more",
                hint: "Add another reader first.")
        }
        guard !reader.isAdministrator || rest.contains(where: \.isAdministrator) else {
            throw VaultError(
                .notAllowed, "the last administrator cannot be removed: no key could be changed any more",
                hint: "Add another administrator first.")
        }
        return try changed(readers: rest, domains: domains.map { $0.closed(to: readerID) })
    }

    /// Gives every domain that an active writer uses a new key pair, sealed to the present readers. The identity secret
    /// stays, so that new archives still share chunks with old ones.
    package func rotatingDomains(with unlocked: UnlockedReader) throws(VaultError) -> KeySet {
        let used = Set(writers.filter { $0.state == .active }.map(\.domainID))
        var next = domains
        for id in used.sorted() {
            guard let current = currentDomain(id) else { continue }
            guard current.generation < .max else {
                throw VaultError(.limit, "domain \(id) has no generation left")
            }
            let secrets = DomainSecrets(
                seed: try Secret.random(), identity: try current.open(with: unlocked).identity)
            next.append(
                try Domain(
                    id: id, generation: current.generation + 1, secrets: secrets, readers: readers,
                    vaultID: unlocked.vaultID))
        }
        return try changed(domains: next)
    }

    /// A domain for a new writer. Needs no key opened: its secrets are sealed to the public keys of the readers.
    package func addingDomain(
        writer publicKey: Digest, label: String, vaultID: Digest
    ) throws(VaultError) -> NewDomain {
        try Self.checkLabel(label)
        guard writer(publicKey) == nil else {
            throw VaultError(
                .alreadyExists, "that key is a writer of the vault already", hint: "Make a new signing key.")
        }
        let secrets = try DomainSecrets.random()
        let domain = try Domain(
            id: Random.digest(), generation: 1, secrets: secrets, readers: readers, vaultID: vaultID)
        let grant = WriterGrant(publicKey: publicKey, domainID: domain.id, state: .active, label: label)
        let next = try changed(domains: domains + [domain], writers: writers + [grant])
        return NewDomain(keySet: next, domainID: domain.id, identity: secrets.identity)
    }

    /// Forbids a writer to write more; its archives stay.
    package func revokingWriter(_ publicKey: Digest) throws(VaultError) -> KeySet {
        guard writer(publicKey) != nil else {
            throw VaultError(.notFound, "the vault has no writer \(publicKey)")
        }
        let next = writers.map { writer in
            writer.publicKey != publicKey
                ? writer
                : WriterGrant(
                    publicKey: writer.publicKey, domainID: writer.domainID, state: .revoked, label: writer.label)
        }
        return try changed(writers: next)
    }

    private func changed(
        readers: [Reader]? = nil, domains: [Domain]? = nil, writers: [WriterGrant]? = nil
    ) throws(VaultError) -> KeySet {
        guard generation < .max else { throw VaultError(.limit, "the key set has no generation left") }
        return try KeySet(
            generation: generation + 1, readers: readers ?? self.readers, domains: domains ?? self.domains,
            writers: writers ?? self.writers
        ).checked()
    }

    private func checked() throws(VaultError) -> KeySet {
        if let twice = ambiguity { throw VaultError(.alreadyExists, "\(twice) would stand in the key set twice") }
        let counts = [
            (readers.count, Self.maximumReaders, "readers"), (domains.count, Self.maximumDomains, "domain keys"),
            (writers.count, Self.maximumWriters, "writers"),
        ]
        for (count, limit, noun) in counts where count > limit {
            throw VaultError(
                .limit, "a vault has at most \(limit) \(noun)", hint: "Remove what is not needed, or make a new vault.")
        }
        return self
    }
}
