package import Domain
package import Vault
import Synchronization

/// A vault with two hosts, what their sources looked like when they were archived, and the acts of an administrator.
package final class SweepWorld: Sendable {
    package let made: WorkloadVault
    /// Place of the second host, which has a domain of its own.
    package let other: WorkloadPlace
    private let known = Mutex<[Digest: WorkloadTree]>([:])
    private let policy = Digest(words: (3, 1, 4, 1))

    package init(_ store: any Store = MemoryStore(), withOther: Bool = false) throws {
        made = try WorkloadVault(store)
        other = try WorkloadPlace()
        guard withOther else { return }
        let vault = try made.reopened(nil, other)
        try vault.enrol(label: "other", by: try made.unlock(vault))
    }

    /// The same vault and hosts as `world` has them now, in `store`, which holds a copy of what its store holds.
    package init(copying world: SweepWorld, _ store: any Store) throws {
        made = try WorkloadVault(copying: world.made, store)
        other = try WorkloadPlace(world.other.snapshot)
    }

    package var store: any Store { made.store }

    /// Many small packs.
    package static var options: ArchiveSession.Options {
        var options = WorkloadTree.options
        options.packBytes = 4 << 10
        options.sealingThreads = 1
        return options
    }

    /// A begun run of the first host, or of the one at `place`.
    package func session(_ source: UInt64 = 1, at place: WorkloadPlace? = nil) throws -> ArchiveSession {
        try ArchiveSession(
            vault: try made.reopened(nil, place), source: WorkloadVault.source(source), options: Self.options)
    }

    package func finish(_ session: ArchiveSession, _ tree: WorkloadTree) throws -> ArchiveRecord {
        let record = try session.commit(ArchiveHeader())
        known.withLock { $0[record.id] = tree }
        return record
    }

    /// What an archive must give back; known before its commit is acknowledged, if that may get lost.
    package func expect(_ tree: WorkloadTree, of session: Digest) { known.withLock { $0[session] = tree } }

    @discardableResult
    package func archive(
        _ tree: WorkloadTree, _ source: UInt64 = 1, at place: WorkloadPlace? = nil, reads: WorkloadReads? = nil
    ) throws -> ArchiveRecord {
        let session = try session(source, at: place)
        defer { session.stop() }
        try tree.feed(session, reads: reads)
        return try finish(session, tree)
    }

    package func dispose(_ archives: [ArchiveRecord]) throws {
        let vault = try made.reopened()
        try Custodian(vault, by: try made.unlock(vault)).dispose(
            archives.map(\.id), under: policy, because: "its time is over")
    }

    package func sweeper(_ vault: Vault? = nil) throws -> Sweeper {
        let vault = try vault ?? made.reopened()
        return try Sweeper(vault, by: try made.unlock(vault))
    }

    @discardableResult
    package func sweep(fencing: Set<Digest> = []) throws -> SweepReport { try sweeper().run(fencing: fencing) }

    /// Reads every live archive back and compares it byte for byte.
    package func checkAll(_ vault: Vault? = nil) throws {
        let vault = try vault ?? made.reopened()
        let reader = try made.reader(vault)
        for archive in vault.log.archives { try check(archive, reader) }
    }

    package func check(_ archive: ArchiveRecord, _ reader: VaultReader) throws {
        guard let tree = known.withLock({ $0[archive.id] }) else {
            throw WorkloadMismatch("an archive came from nowhere")
        }
        do {
            try tree.check(archive, reader)
        } catch {
            throw WorkloadMismatch("archive \(archive.id.hex.prefix(8)) of record \(archive.number): \(error)")
        }
    }

    /// What a check of all objects finds.
    package func damage() throws -> [Damage] { try Scrubber(try made.reopened()).checkDigests().damage }

    package func names(_ directory: String) throws -> Set<String> { Set(try store.list(directory).map(\.name)) }

    /// The packs that an archive's manifest lists.
    package func packs(of archive: ArchiveRecord) throws -> Set<String> {
        Set(try made.reopened().manifest(archive.commit.manifest).packs.map { Manifest.packName($0.id) })
    }
}
