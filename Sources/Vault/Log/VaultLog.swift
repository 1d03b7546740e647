package import Domain
import Glibc

/// One committed archive as the log tells it.
package struct ArchiveRecord: Sendable {
    package var number: UInt64
    package var time: UInt64
    package var opening: SessionOpening
    package var commit: SessionCommit
    /// The archive's id is the id of the session that committed it.
    package var id: Digest { commit.session }
}

/// What the log says of one session.
package struct SessionRecord: Sendable {
    package enum Ending: Sendable, Equatable { case running, committed, aborted, fenced }
    package var opening: SessionOpening
    package var signer: Digest
    /// Number of the open record of the oldest session that this one resumes, or its own: what was condemned behind it may
    /// be referred to.
    package var age: UInt64
    /// Of its open record.
    package var time: UInt64
    package var checkpoints: [ObjectReference] = []
    package var ending = Ending.running
}

/// An archive that is none any more.
package struct DisposedArchive: Sendable {
    package var archive: ArchiveRecord
    /// The dispose record.
    package var number: UInt64
    package var time: UInt64
    package var disposal: Disposal
}

/// A condemn record and, once it is closed, its delete record.
package struct Condemnation: Sendable {
    package var number: UInt64
    package var domain: Digest
    package var list: ObjectReference
    package var deletion: (number: UInt64, body: SweepDeletion)?
}

/// The log of one vault, read and checked from its beginning, and the state that follows from it.
///
/// Invariants:
/// 1. Every record that was applied carried the next number, the digest of its predecessor, a valid signature, and a
///    kind that its signer was entitled to; the first that does not is damage, never the end.
/// 2. The end is where no record and no higher number exists.
/// 3. Appending is put-if-absent: of two appenders one wins, the other reads on and tries again. Nothing else in the
///    vault makes an object count.
/// 4. A record is appended only when its predecessor is known to be durable: one that was merely read may be in the cache of
///    a disk whose sync has failed, or of a writer that died before it, and a record behind a hole would end the log.
///
/// Confined to one thread at a time by its owner.
package final class VaultLog {
    package let store: any Store
    package let genesis: Genesis
    package var vaultID: Digest { genesis.vaultID }
    package var suite: HashSuite { genesis.suite }

    /// Number of records; the head's number is one less.
    package private(set) var count: UInt64 = 0
    /// Digest of the newest record, the vault id before the first.
    package private(set) var head: Digest
    /// In force; while that one is lost, the newest before it that could be read.
    package internal(set) var keySet: KeySet
    /// The key set in force, if it is missing or damaged and this host has no copy. See `VaultLog+Keys.swift`.
    package internal(set) var lostKeySet: LostKeySet?
    private(set) var memory: LogMemory?
    /// Archives that were not disposed.
    package private(set) var archives: [ArchiveRecord] = []
    /// All that were ever committed, oldest first.
    package private(set) var committed: [ArchiveRecord] = []
    package private(set) var disposed: [Digest: DisposedArchive] = [:]
    package private(set) var condemnations: [Condemnation] = []
    /// Those in force and those released, oldest first.
    package private(set) var holds: [LoggedHold] = []
    /// Condemn and delete records so far: what was decided about packs holds while this stays the same.
    package private(set) var sweepRecords = 0
    package private(set) var sessions: [Digest: SessionRecord] = [:]
    /// Digest of each record in order, to compare with pinned heads.
    package private(set) var chain: [Digest] = []
    /// Every key set the log ever named.
    package internal(set) var keySets: [ObjectReference] = []

    /// Opens the log of an existing vault and reads it to its end.
    package convenience init(store: any Store) throws(VaultError) {
        try self.init(unread: store)
        try readAll()
    }

    /// Reads an unread log to its end. With `memory`, the caller must compare its pin with the chain afterwards.
    func readAll(with memory: LogMemory? = nil) throws(VaultError) {
        self.memory = memory
        try refresh()
        guard count > 0 else { throw .damaged("the log of \(store.describe) has no first record") }
        try checkNothingFollows()
    }

    init(unread store: any Store) throws(VaultError) {
        guard try store.length(of: Genesis.objectName) != nil else {
            throw VaultError(
                .noVault, "there is no vault at \(store.describe)",
                hint: "Make one with `qala init`, or name another with --vault or QALA_VAULT.")
        }
        self.store = store
        genesis = try Genesis(decoding: try store.get(Genesis.objectName, limit: Genesis.byteLimit))
        head = genesis.vaultID
        keySet = KeySet(generation: 0, readers: [], domains: [], writers: [])
    }

    private func checkNothingFollows() throws(VaultError) {
        let last = try store.list("log").last?.name ?? ""
        guard last <= LogRecord.objectName(count - 1) else {
            try refresh()
            guard last <= LogRecord.objectName(count - 1) else {
                throw .damaged("log record \(count) is missing although later ones exist")
            }
            return
        }
    }

    /// Reads what was appended since.
    package func refresh() throws(VaultError) {
        while try store.length(of: LogRecord.objectName(count)) != nil {
            let bytes = try store.get(LogRecord.objectName(count), limit: LogRecord.byteLimit)
            try apply(try LogRecord(decoding: bytes, vaultID: vaultID), bytes: bytes)
        }
    }

    /// Reads what was appended since, if the newest record is still there: behind one that was taken away nothing may be added.
    func readOn() throws(VaultError) {
        guard count > 0 else { return try refresh() }
        let bytes = try store.get(LogRecord.objectName(count - 1), limit: LogRecord.byteLimit)
        guard ObjectHasher.digest(of: bytes, suite: suite) == head else {
            throw .damaged("log record \(count - 1) is not the one that was read")
        }
        try refresh()
    }

    /// Appends a record signed by `key`, reading whatever others append meanwhile; `build` is asked again each time, so
    /// that it sees the newest state, and may throw.
    @discardableResult
    package func append(
        signing key: SigningKey, time: UInt64, _ build: (VaultLog) throws(VaultError) -> LogBody
    ) throws(VaultError) -> UInt64 {
        while true {
            try refresh()
            // Who cannot see the keys in force may write a record that everybody else refuses, and that would end the log.
            if let lost = lostKeySet { throw lost.error("nothing can be added to the log") }
            let record = LogRecord(
                number: count, previous: head, signer: key.publicKey, time: time, body: try build(self))
            try check(record)
            let bytes = try record.encode(vaultID: vaultID, key: key)
            // A record that no reader accepts would end the log for good, so it is not written.
            _ = try LogRecord(decoding: bytes, vaultID: vaultID)
            try settle()
            switch try store.putIfAbsent(LogRecord.objectName(record.number), bytes) {
            case .created, .alreadyThere:
                try apply(record, bytes: bytes, isOwn: true)
                return record.number
            case .exists: continue
            }
        }
    }

    /// The newest record's bytes while they were read and not written by this process.
    private var unsettled: [UInt8]?

    /// Makes the newest record durable: putting the same bytes again is what a store vouches for.
    func settle() throws(VaultError) {
        guard let bytes = unsettled, count > 0 else { return }
        guard try store.putIfAbsent(LogRecord.objectName(count - 1), bytes) != .exists else {
            throw VaultError(
                .rolledBack, "log record \(count - 1) was replaced by another one",
                hint: "Do not archive here. Compare with the mirror: somebody exchanges the log of this vault.")
        }
        unsettled = nil
    }

    private func apply(_ record: LogRecord, bytes: [UInt8], isOwn: Bool = false) throws(VaultError) {
        guard record.number == count, record.previous == head else {
            throw .damaged("log record \(count) does not continue the log")
        }
        do throws(VaultError) {
            try check(record)
        } catch {
            guard error.code == .fenced, !isOwn else { throw error }
            throw .damaged("log record \(count) follows the end of its session")
        }
        switch record.body {
        case .key(let reference): try adopt(reference)
        case .open(let opening):
            let age = min(record.number, sessions[opening.resumes]?.age ?? record.number)
            sessions[opening.session] = SessionRecord(
                opening: opening, signer: record.signer, age: age, time: record.time)
        case .checkpoint(let session, _, let manifest): sessions[session]?.checkpoints.append(manifest)
        case .commit(let commit):
            guard let opening = sessions[commit.session]?.opening else { return }
            sessions[commit.session]?.ending = .committed
            let archive = ArchiveRecord(
                number: record.number, time: record.time, opening: opening, commit: commit)
            archives.append(archive)
            committed.append(archive)
        case .abort(let session): sessions[session]?.ending = .aborted
        case .fence, .condemn, .delete, .dispose, .hold, .release: applySweep(record)
        }
        head = ObjectHasher.digest(of: bytes, suite: suite)
        chain.append(head)
        count += 1
        unsettled = isOwn ? nil : bytes
    }

    private func applySweep(_ record: LogRecord) {
        switch record.body {
        case .fence(let list):
            for session in list { sessions[session]?.ending = .fenced }
        case .dispose(let disposal):
            let gone = Set(disposal.archives)
            for archive in archives where gone.contains(archive.id) {
                disposed[archive.id] = DisposedArchive(
                    archive: archive, number: record.number, time: record.time, disposal: disposal)
            }
            archives.removeAll { gone.contains($0.id) }
        case .condemn(let domain, let list):
            condemnations.append(Condemnation(number: record.number, domain: domain, list: list))
            sweepRecords += 1
        case .delete(let deletion):
            guard let at = condemnations.firstIndex(where: { $0.number == deletion.condemned }) else { return }
            condemnations[at].deletion = (record.number, deletion)
            sweepRecords += 1
        case .hold(let hold): holds.append(LoggedHold(record: hold, number: record.number, time: record.time))
        case .release(let release):
            guard let at = holds.firstIndex(where: { $0.record.id == release.hold }) else { return }
            holds[at].release = (record.number, record.time, release)
        default: break
        }
    }

    /// Running sessions of the domain that may still refer to what record `number` condemned.
    package func sessionsOlder(than number: UInt64, in domain: Digest) -> [Digest] {
        sessions.filter { _, session in
            session.ending == .running && session.opening.domain == domain && session.age < number
        }.keys.sorted()
    }

    /// What the oldest running session of the domain may still know: the age of that session.
    func oldestRunning(in domain: Digest) -> UInt64? {
        sessions.values.filter { $0.ending == .running && $0.opening.domain == domain }.map(\.age).min()
    }

    /// Whether the signer may write this record now.
    private func check(_ record: LogRecord) throws(VaultError) {
        let lost = lostKeySet.map { "; \($0.object), which might tell otherwise, is lost" } ?? ""
        func refuse(_ why: String) -> VaultError { .damaged("log record \(record.number) \(why)\(lost)") }
        try checkKeysAreKnown(at: record.number)
        switch record.body {
        case .key:
            let entitled =
                record.number == 0
                ? record.signer == genesis.rootKey : isAdministrator(record.signer, at: record.number)
            guard entitled else { throw refuse("changes keys without the right to") }
        case .open(let opening):
            if !isVouchedFor(record.number) {
                guard record.number > 0, let writer = keySet.writer(record.signer), writer.state == .active else {
                    throw refuse("is signed by no writer of this vault")
                }
                guard writer.domainID == opening.domain,
                    keySet.domain(opening.domain, generation: opening.generation) != nil
                else {
                    throw refuse("opens a session in a domain that is not its writer's")
                }
            }
            guard sessions[opening.session] == nil else { throw refuse("opens a session twice") }
        case .checkpoint(let session, let number, _):
            try checkOwner(record, session)
            guard Int(number) == (sessions[session]?.checkpoints.count ?? 0) + 1 else {
                throw refuse("is out of order in its session")
            }
        case .commit(let commit): try checkOwner(record, commit.session)
        case .abort(let session): try checkOwner(record, session)
        case .fence, .condemn, .delete:
            guard isAdministrator(record.signer, at: record.number) else { throw refuse("sweeps without the right to") }
            try checkSweep(record, refuse)
        case .dispose, .hold, .release:
            guard isAdministrator(record.signer, at: record.number) else {
                throw refuse("decides on archives without the right to")
            }
            try checkAct(record, refuse)
        }
    }

    private func checkSweep(_ record: LogRecord, _ refuse: (String) -> VaultError) throws(VaultError) {
        switch record.body {
        case .fence(let list):
            guard list.allSatisfy({ sessions[$0]?.ending == .running }) else {
                throw refuse("fences a session that is not running")
            }
        case .condemn(let domain, _):
            guard isVouchedFor(record.number) || keySet.domains.contains(where: { $0.id == domain }) else {
                throw refuse("names no domain")
            }
        case .delete(let deletion):
            guard let condemnation = condemnations.first(where: { $0.number == deletion.condemned }),
                condemnation.deletion == nil
            else { throw refuse("closes no open condemn record") }
            guard sessionsOlder(than: condemnation.number, in: condemnation.domain).isEmpty else {
                throw refuse("deletes while older sessions run")
            }
        default: break
        }
    }

    private func checkAct(_ record: LogRecord, _ refuse: (String) -> VaultError) throws(VaultError) {
        func isArchive(_ id: Digest) -> Bool { sessions[id]?.ending == .committed && disposed[id] == nil }
        func check(_ approval: ActApproval, _ message: [UInt8]) throws(VaultError) {
            guard approval.requester != record.signer,
                isAdministrator(approval.requester, at: record.number)
            else {
                throw refuse("stands on one administrator where two are needed")
            }
            guard
                SigningKey.verify(
                    signature: approval.signature, message: message, publicKey: approval.requester)
            else { throw refuse("was not asked for by the second administrator") }
        }
        switch record.body {
        case .dispose(let disposal):
            guard disposal.archives.allSatisfy(isArchive) else { throw refuse("disposes of what is no archive") }
            guard !disposal.archives.contains(where: { id in holds.contains { $0.isInForce && $0.covers(id) } }) else {
                throw refuse("disposes of an archive under a hold")
            }
            if case .twoPersons(let approval) = disposal.basis {
                try check(approval, ActRequest.message(.dispose, vaultID, disposal.archives, disposal.note))
            }
        case .hold(let hold):
            guard hold.archives.allSatisfy(isArchive) else { throw refuse("holds what is no archive") }
            guard !holds.contains(where: { $0.record.id == hold.id }) else { throw refuse("holds twice") }
        case .release(let release):
            guard let hold = holds.first(where: { $0.record.id == release.hold }), hold.isInForce else {
                throw refuse("releases no hold in force")
            }
            try check(release.approval, ActRequest.message(.release, vaultID, [release.hold], release.note))
        default: break
        }
    }

    private func checkOwner(_ record: LogRecord, _ session: Digest) throws(VaultError) {
        guard let known = sessions[session], known.signer == record.signer else {
            throw .damaged("log record \(record.number) belongs to no session of its signer")
        }
        guard known.ending != .fenced else {
            throw VaultError(
                .fenced, "this run was fenced: it had not ended when the vault was swept",
                hint: "Run it again.")
        }
        guard known.ending == .running else {
            throw .damaged("log record \(record.number) follows the end of its session")
        }
        guard isVouchedFor(record.number) || keySet.writer(record.signer)?.state == .active else {
            throw .damaged("log record \(record.number) is signed by a revoked writer")
        }
    }
}
