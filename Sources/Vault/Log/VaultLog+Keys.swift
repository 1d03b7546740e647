import Domain

// Key sets while the log is read, and what happens when one of them is missing or damaged.
//
// The newest key set is the whole state of the keys, and those before it only tell who was entitled to write the records of
// their time. So the loss of one must not lock a vault that the others open, and must not let anybody in either. In order:
//
// 1. This host's copy of it, compared with the digest that the signed record names: nothing is lost.
// 2. Records up to the one that this host has pinned were checked, all of them, when they could be: what the chain of digests
//    binds to the pin needs no second look. Who reads the log compares the two before anything of it is used.
// 3. A host that has a pin believes no record behind it that cannot be checked: whoever was removed by the lost key set, and
//    has the store in hand, could write one.
// 4. A host without a pin checks against the newest key set before it that can be read. That lets in only whom that key set
//    entitled, who could as well have cut the log behind it, which such a host cannot notice anyway. A record by somebody whom only
//    the lost key set entitled is refused, and with the first key set lost all are: nothing else ties them to the genesis.
// 5. Nothing is appended while the key set in force is lost.

/// A key set that is missing or damaged.
package struct LostKeySet: Sendable, Equatable {
    package var object: String
    package var reason: String

    func error(_ what: String) -> VaultError {
        .damaged("\(what): \(reason)", hint: "Restore \(object) from the mirror or another copy of the vault.")
    }
}

/// What a host knows of a log from earlier.
struct LogMemory {
    var host: HostState
    var pin: HostState.Pin?
}

extension VaultLog {
    func adopt(_ reference: ObjectReference) throws(VaultError) {
        guard let bytes = try keySetBytes(reference) else {
            keySets.append(reference)
            return
        }
        let next = try KeySet.decode(bytes, suite: suite)
        // Each record makes one generation, whether or not the one before can be read.
        guard next.generation == UInt64(keySets.count) + 1 else {
            throw .damaged("the key set of log record \(count) does not follow the one before")
        }
        keySet = next
        lostKeySet = nil
        keySets.append(reference)
    }

    /// Nil when it is lost, which is noted.
    private func keySetBytes(_ reference: ObjectReference) throws(VaultError) -> [UInt8]? {
        let name = "keys/\(reference.digest.hex)"
        do throws(VaultError) {
            return try store.object(name, reference, limit: KeySet.maximumBytes, suite)
        } catch {
            guard error.isLoss, reference.length <= UInt64(KeySet.maximumBytes) else { throw error }
            if let copy = memory?.host.keySet(reference, suite) { return copy }
            lostKeySet = LostKeySet(object: name, reason: error.message)
            return nil
        }
    }

    /// Whether this host had checked the record when the key set in force was there.
    func isVouchedFor(_ number: UInt64) -> Bool {
        guard lostKeySet != nil, let pin = memory?.pin else { return false }
        return number <= pin.number
    }

    func isAdministrator(_ key: Digest, at number: UInt64) -> Bool {
        isVouchedFor(number) || keySet.isAdministrator(key)
    }

    func checkKeysAreKnown(at number: UInt64) throws(VaultError) {
        guard let lost = lostKeySet, let pin = memory?.pin, number > pin.number else { return }
        throw lost.error("log record \(number) cannot be checked")
    }

    /// Puts a copy of the key set in force beside the vault.
    func keepKeySet(_ host: HostState) {
        guard lostKeySet == nil, let newest = keySets.last else { return }
        let keySet = self.keySet
        host.keep(newest, before: Array(keySets.dropLast())) { () throws(VaultError) in try keySet.encode() }
    }
}

extension Vault {
    /// A key that does not open the newest key set that can be read might open the one that is lost.
    func tellingLoss<Opened>(_ open: () throws(VaultError) -> Opened) throws(VaultError) -> Opened {
        do throws(VaultError) {
            return try open()
        } catch {
            guard let lost = log.lostKeySet, error.kind == .wrongKey || error.kind == .notFound else { throw error }
            throw lost.error(error.message)
        }
    }

    func openDomain(
        _ id: Digest, generation: UInt32, with reader: UnlockedReader
    ) throws(VaultError) -> DomainSecrets {
        try tellingLoss { () throws(VaultError) in
            try log.keySet.openDomain(id, generation: generation, with: reader)
        }
    }
}
