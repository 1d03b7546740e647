package import Domain

/// Decides on archives in the name of an administrator: disposal, holds, and what needs two persons.
///
/// The log refuses whatever is not allowed; what is checked here before only makes the message clearer.
package struct Custodian {
    private let vault: Vault
    private let key: SigningKey

    /// Fails unless `unlocked` is an administrator's key.
    package init(_ vault: Vault, by unlocked: UnlockedReader) throws(VaultError) {
        guard vault.log.keySet.reader(unlocked.readerID)?.isAdministrator == true else {
            throw VaultError(
                .notAllowed, "this key may read, but not decide on archives", hint: "Use an administrator's key.")
        }
        self.vault = vault
        key = unlocked.adminKey
    }

    private func append(_ build: (VaultLog) throws(VaultError) -> LogBody) throws(VaultError) {
        try vault.host.checkWritable()
        try vault.log.append(signing: key, time: WallTime.seconds(), build)
        try vault.pinHead()
    }

    private func checkArchives(_ archives: [Digest], _ log: VaultLog, forDisposal: Bool) throws(VaultError) {
        for id in archives {
            guard log.archives.contains(where: { $0.id == id }) else {
                throw VaultError(
                    .notFound, "there is no archive \(id.hex.prefix(12))",
                    hint: "It was disposed of already, or never was: `qala archives` lists what there is.")
            }
            guard forDisposal else { continue }
            if let hold = log.holds.first(where: { $0.isInForce && $0.covers(id) }) {
                throw VaultError(
                    .notAllowed, "archive \(id.hex.prefix(12)) is under hold \(hold.record.id.hex.prefix(12))",
                    hint: "`qala hold list` tells why; two persons release a hold.")
            }
        }
    }

    // MARK: Acts of two persons

    /// Signs what another administrator shall carry out with ``carryOut(_:)``. Changes nothing but to store the reason.
    package func request(
        _ kind: ActRequest.Kind, _ subjects: [Digest], because reason: String
    ) throws(VaultError) -> ActRequest {
        if kind == .dispose {
            try checkArchives(subjects, vault.log, forDisposal: true)
        } else {
            try checkHold(subjects, vault.log)
        }
        let note = try vault.putNote(reason)
        let signature = try key.sign(ActRequest.message(kind, vault.vaultID, subjects, note))
        return ActRequest(
            kind: kind, vaultID: vault.vaultID, subjects: subjects, note: note,
            approval: ActApproval(requester: key.publicKey, signature: signature))
    }

    private func checkHold(_ subjects: [Digest], _ log: VaultLog) throws(VaultError) {
        guard subjects.count == 1, log.holds.contains(where: { $0.record.id == subjects[0] && $0.isInForce }) else {
            throw VaultError(.notFound, "there is no such hold in force", hint: "`qala hold list` shows them.")
        }
    }

    /// Whether ``carryOut(_:)`` would do it, as far as this process knows the log; changes nothing.
    package func check(_ request: ActRequest) throws(VaultError) {
        try checkSignatures(request)
        try checkSubjects(request, vault.log)
    }

    private func checkSubjects(_ request: ActRequest, _ log: VaultLog) throws(VaultError) {
        guard log.keySet.isAdministrator(request.approval.requester) else {
            throw VaultError(
                .notAllowed, "who asked for this is no administrator of the vault any more",
                hint: "Let an administrator ask again.")
        }
        switch request.kind {
        case .dispose: try checkArchives(request.subjects, log, forDisposal: true)
        case .release: try checkHold(request.subjects, log)
        }
    }

    private func checkSignatures(_ request: ActRequest) throws(VaultError) {
        guard request.vaultID == vault.vaultID else {
            throw VaultError(
                .invalidInput, "this request is for another vault", hint: "Name that vault with --vault.")
        }
        guard request.approval.requester != key.publicKey else {
            throw VaultError(
                .notAllowed, "who asked for this cannot carry it out too",
                hint: "A second person opens the vault with another administrator's key.")
        }
        guard
            SigningKey.verify(
                signature: request.approval.signature,
                message: ActRequest.message(request.kind, request.vaultID, request.subjects, request.note),
                publicKey: request.approval.requester)
        else {
            throw VaultError(
                .notAllowed, "the request was changed after it was signed", hint: "Ask for it again.")
        }
    }

    /// Does what another administrator asked for.
    package func carryOut(_ request: ActRequest) throws(VaultError) {
        try checkSignatures(request)
        try append { log throws(VaultError) in
            try checkSubjects(request, log)
            switch request.kind {
            case .dispose:
                return .dispose(
                    Disposal(archives: request.subjects, note: request.note, basis: .twoPersons(request.approval)))
            case .release:
                return .release(
                    ReleaseRecord(hold: request.subjects[0], note: request.note, approval: request.approval))
            }
        }
    }

    // MARK: Acts of one

    /// Disposes of archives whose retention under an applied policy has ended; `policy` is the digest of that policy.
    package func dispose(
        _ archives: [Digest], under policy: Digest, because reason: String
    ) throws(VaultError) {
        let note = try vault.putNote(reason)
        for start in stride(from: 0, to: archives.count, by: LogBody.listLimit) {
            let part = Array(archives[start..<min(start + LogBody.listLimit, archives.count)])
            try append { log throws(VaultError) in
                try checkArchives(part, log, forDisposal: true)
                return .dispose(Disposal(archives: part, note: note, basis: .policy(policy)))
            }
        }
    }

    /// Places a hold; no archives means all of them, also those to come. Returns its id.
    package func hold(_ archives: [Digest], because reason: String) throws(VaultError) -> Digest {
        let id = Random.digest()
        let note = try vault.putNote(reason)
        try append { log throws(VaultError) in
            try checkArchives(archives, log, forDisposal: false)
            guard archives.count <= LogBody.listLimit else {
                throw VaultError(
                    .limit, "a hold names at most \(LogBody.listLimit) archives",
                    hint: "Place several holds, or one on everything.")
            }
            return .hold(HoldRecord(id: id, archives: archives, note: note))
        }
        return id
    }
}
