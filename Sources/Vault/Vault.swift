package import Domain
import Glibc
import Synchronization

/// A live index segment of a domain and the digest that names it.
struct LiveSegment {
    var digest: Digest
    var segment: IndexSegment
}

/// One vault as one host sees it: its store, its log, and the state this host keeps beside it.
///
/// One thread's own; readers and sessions made from it have threads of their own.
package final class Vault {
    package let store: any Store
    package let log: VaultLog
    package let host: HostState
    /// Whether a head that this host had pinned was found on the chain.
    package let freshnessProven: Bool
    /// By ``MonotonicTime``.
    package let openedAt = MonotonicTime.now()
    package var vaultID: Digest { log.vaultID }
    package var suite: HashSuite { log.suite }

    private var manifests: [Digest: Manifest] = [:]
    var sweepLists: [Digest: SweepList] = [:]

    /// Opens a vault, reads its log, and compares it with the head that this host saw last.
    package init(store: any Store, stateBase: String) throws(VaultError) {
        self.store = store
        log = try VaultLog(unread: store)
        host = try HostState(base: stateBase, vaultID: log.vaultID)
        let pin = try host.pinIfReadable()
        try log.readAll(with: LogMemory(host: host, pin: pin))
        freshnessProven = pin != nil
        if let pin { try check(pin) }
        // Who only reads need not leave a trace; who writes asks the state first. What could not be checked, because the keys in
        // force are lost, is not vouched for.
        if host.denial == nil, log.lostKeySet == nil { try pinHead() }
    }

    private init(again old: Vault) throws(VaultError) {
        store = old.store
        host = old.host
        freshnessProven = old.freshnessProven
        log = try VaultLog(unread: old.store)
        let seen = old.log.count > 0 ? HostState.Pin(number: old.log.count - 1, digest: old.log.head) : nil
        try log.readAll(with: LogMemory(host: host, pin: seen))
        guard old.log.chain.elementsEqual(log.chain.prefix(old.log.chain.count)) else {
            throw VaultError(
                .rolledBack, "the log of this vault was cut short or replaced while it was read",
                hint: "Do not archive here. Compare with the mirror: somebody exchanges the log of this vault.")
        }
    }

    private func check(_ pin: HostState.Pin) throws(VaultError) {
        guard pin.number < log.count, log.chain[Int(pin.number)] == pin.digest else {
            throw VaultError(
                .rolledBack,
                "the log of this vault lacks record \(pin.number) that this host has seen: it was cut short or replaced",
                hint:
                    "Do not archive here. Compare with the mirror; if the older state is really wanted, remove the pinned head in \(host.directory)/head."
            )
        }
    }

    /// Reads on where it was left a while ago. Fails where that cannot be: the newest record that was read is not there as it was, or
    /// the log does not come to the head that this host has pinned meanwhile.
    package func readOn() throws(VaultError) {
        try log.readOn()
        if let pin = try host.pin() { try check(pin) }
        if log.lostKeySet == nil { try pinHead() }
    }

    /// The same vault with a log of its own, read to its end now.
    func reopened() throws(VaultError) -> Vault { try Vault(again: self) }

    /// Of this process one thread at a time, between the look and the write.
    private static let pinning = Mutex(())

    func pinHead() throws(VaultError) {
        guard log.count > 0 else { return }
        log.keepKeySet(host)
        let head = HostState.Pin(number: log.count - 1, digest: log.head)
        try Self.pinning.withLock { _ throws(VaultError) in
            // A pin never moves back: another run of this host may have seen more.
            if let pin = try host.pin(), pin.number >= head.number { return }
            try host.save(head)
        }
    }

    /// This host's keys for writing, if it is enrolled and not revoked.
    package func writer() throws(VaultError) -> WriterIdentity {
        try host.checkWritable()
        if let lost = log.lostKeySet { throw lost.error("whether this host may write cannot be seen") }
        guard let writer = try host.writer() else {
            throw VaultError(
                .notAllowed, "this host is not enrolled in the vault",
                hint: "Run `qala key enrol-host` with an administrator's passphrase, key file or recovery kit.")
        }
        guard log.keySet.writer(writer.signing.publicKey)?.state == .active else {
            throw VaultError(
                .notAllowed, "this host's writing key was revoked",
                hint: "Enrol the host again with `qala key enrol-host`.")
        }
        return writer
    }

    package func manifest(_ reference: ObjectReference) throws(VaultError) -> Manifest {
        if let known = manifests[reference.digest] { return known }
        let bytes = try store.object(
            Manifest.objectName(reference.digest), reference, limit: Manifest.byteLimit, suite)
        let manifest = try bytes.withBytes { (raw) throws(VaultError) in try Manifest(decoding: raw) }
        manifests[reference.digest] = manifest
        return manifest
    }

    /// A manifest and the number of the record that made it count.
    struct NumberedManifest {
        var number: UInt64
        var manifest: Manifest
    }

    /// The manifests of a domain that commits and deletions named, oldest first; fails when one cannot be read.
    func manifests(of domain: Digest) throws(VaultError) -> [NumberedManifest] {
        var list: [NumberedManifest] = []
        for (number, reference) in namedManifests(of: domain) {
            list.append(NumberedManifest(number: number, manifest: try manifest(reference)))
        }
        return list
    }

    func namedManifests(of domain: Digest) -> [(number: UInt64, reference: ObjectReference)] {
        var named: [(number: UInt64, reference: ObjectReference)] = []
        for archive in log.committed where archive.opening.domain == domain {
            named.append((archive.number, archive.commit.manifest))
        }
        for condemnation in log.condemnations where condemnation.domain == domain {
            guard let deletion = condemnation.deletion else { continue }
            named.append((deletion.number, deletion.body.manifest))
        }
        named.sort { $0.number < $1.number }
        return named
    }

    /// The segments that were not replaced by others, oldest first.
    func liveSegmentNames(of domain: Digest) throws(VaultError) -> [Manifest.Segment] {
        Self.liveSegmentNames(in: try manifests(of: domain))
    }

    static func liveSegmentNames(in manifests: [NumberedManifest]) -> [Manifest.Segment] {
        var live: [Manifest.Segment] = []
        for numbered in manifests {
            for segment in numbered.manifest.segments {
                live.removeAll { segment.replaced.contains($0.object.digest) || segment.object == $0.object }
                live.append(segment)
            }
        }
        return live
    }

    /// The index segments that serve a domain. One that is missing or damaged is rebuilt in memory from footers.
    func liveSegments(of domain: Digest) throws(VaultError) -> [LiveSegment] {
        let manifests = try manifests(of: domain)
        var opened: [LiveSegment] = []
        for segment in Self.liveSegmentNames(in: manifests) {
            opened.append(try openSegment(segment, domain, manifests))
        }
        return opened
    }

    /// `manifests` are those from whose packs it is made again where need be.
    func openSegment(
        _ segment: Manifest.Segment, _ domain: Digest, _ manifests: [NumberedManifest]
    ) throws(VaultError) -> LiveSegment {
        let index = try IndexSegment(try segmentBytes(segment.object, domain, manifests))
        guard index.domain == domain else { throw .damaged("an index segment belongs to another domain") }
        return LiveSegment(digest: segment.object.digest, segment: index)
    }

    /// The bytes of a segment: this host's copy, the vault's object, or made again from the footers it was made from.
    private func segmentBytes(
        _ reference: ObjectReference, _ domain: Digest, _ manifests: [NumberedManifest]
    ) throws(VaultError) -> MappedBytes {
        let path = host.indexPath(reference.digest)
        if let mapped = MappedBytes(path: path), isWhole(mapped, reference) { return mapped }
        let name = Manifest.indexName(reference.digest)
        let bytes: [UInt8]
        if let stored = try? store.object(name, reference, limit: 1 << 32, suite) {
            bytes = stored
        } else {
            bytes = try rebuildSegment(reference, domain, manifests)
        }
        do throws(VaultError) {
            try StateFile.writeCopy(path, bytes)
        } catch {
            guard host.denial != nil else { throw error }
            return MappedBytes(bytes)
        }
        guard let mapped = MappedBytes(path: path), isWhole(mapped, reference) else {
            throw VaultError(.io, "the copy of an index segment at \(path) cannot be read")
        }
        return mapped
    }

    private func isWhole(_ mapped: MappedBytes, _ reference: ObjectReference) -> Bool {
        UInt64(mapped.bytes.count) == reference.length
            && ObjectHasher.digest(of: mapped.bytes, suite: suite) == reference.digest
    }

    /// Makes a segment again, byte for byte, from the footers of the packs that it stands for.
    package func rebuildSegment(_ reference: ObjectReference, _ domain: Digest) throws(VaultError) -> [UInt8] {
        try rebuildSegment(reference, domain, try manifests(of: domain))
    }

    /// The digest tells whether all was there that it was made from.
    private func rebuildSegment(
        _ reference: ObjectReference, _ domain: Digest, _ manifests: [NumberedManifest]
    ) throws(VaultError) -> [UInt8] {
        var packs: [PackSummary] = []
        var steps = 0
        for pack in try self.packs(behind: reference.digest, domain, manifests[...], &steps) {
            packs.append(try readFooter(of: pack))
        }
        let bytes = IndexSegment.encode(domain: domain, packs: packs)
        guard ObjectReference(of: bytes, suite: suite) == reference else {
            throw .damaged("index segment \(reference.digest) cannot be made again from its packs")
        }
        return bytes
    }

    private func packs(behind segment: Digest, _ domain: Digest) throws(VaultError) -> [Manifest.Pack] {
        let manifests = try manifests(of: domain)
        var steps = 0
        return try packs(behind: segment, domain, manifests[...], &steps)
    }

    /// A segment replaces only those of records before its own, and not too many: so this ends whatever the manifests say.
    private func packs(
        behind segment: Digest, _ domain: Digest, _ manifests: ArraySlice<NumberedManifest>, _ steps: inout Int
    ) throws(VaultError) -> [Manifest.Pack] {
        steps += 1
        for (index, numbered) in zip(manifests.indices, manifests) {
            guard let found = numbered.manifest.segments.first(where: { $0.object.digest == segment }) else { continue }
            var packs: [Manifest.Pack] = []
            for earlier in found.replaced {
                packs += try self.packs(behind: earlier, domain, manifests[..<index], &steps)
            }
            guard packs.count <= Manifest.packLimit, steps <= Manifest.packLimit else {
                throw .damaged("index segment \(segment) claims to stand for too many packs")
            }
            let fates = try fates(of: domain, at: numbered.number + 1)
            return IndexSegment.inOrder(packs + numbered.manifest.packs, fates) { $0.id }
        }
        throw .damaged("no archive names index segment \(segment)")
    }

    /// The packs of a segment with their chunks, to be joined with others. Where the order of its packs changes, a row may give
    /// way to one that the segment left out: then the footers are read. What the new segment says counts for good, so a
    /// footer that says other than the segment is believed only with the whole pack.
    func summaries(of live: LiveSegment, _ fates: PackFates) throws(VaultError) -> [PackSummary] {
        let concerned = fates.deleted.union(fates.condemned)
        let known = live.segment.summaries(without: fates.deleted)
        if concerned.isDisjoint(with: live.segment.packs) { return known }
        let rows = Dictionary(known.map { ($0.pack.id, Set($0.entries)) }) { first, _ in first }
        let packs = try packs(behind: live.digest, live.segment.domain)
        var read: [PackSummary] = []
        for pack in packs where !fates.deleted.contains(pack.id) {
            let summary = try readFooter(of: pack)
            let isAsKnown = Set(summary.entries.map(\.asRow)) == rows[pack.id]
            read.append(isAsKnown ? summary : try readFooter(of: pack, checkingAll: true))
        }
        return read
    }

    private func readFooter(
        of pack: Manifest.Pack, checkingAll: Bool = false
    ) throws(VaultError) -> PackSummary {
        let name = Manifest.packName(pack.id)
        do throws(VaultError) {
            let entries =
                checkingAll
                ? try PackFooter.decode(try PackFooter.checked(pack, in: store, suite))
                : try PackFooter.read(from: try store.open(name), length: pack.length, suite: suite)
            return PackSummary(pack: pack, entries: entries.map(\.withoutMembers))
        } catch {
            guard error.code == .damaged else { throw error }
            throw .damaged("\(name): \(error.message)")
        }
    }

    /// Chunks in the index, and the segments that hold them.
    package func countChunks() throws(VaultError) -> (chunks: Int, segments: Int) {
        var total = (chunks: 0, segments: 0)
        for domain in Set(log.committed.map(\.opening.domain)) {
            for live in try liveSegments(of: domain) {
                total.chunks += live.segment.count
                total.segments += 1
            }
        }
        return total
    }

    /// Writes every index segment that is missing or damaged again from footers, byte for byte; returns how many. One that
    /// others replaced is left out where it was swept, or the packs that it stood for.
    package func repairIndex() throws(VaultError) -> Int {
        var repaired = 0
        for domain in Set(log.committed.map(\.opening.domain)).sorted() {
            let live = Set(try liveSegmentNames(of: domain).map(\.object.digest))
            var swept: Set<Digest> = []
            for case let (condemned, deletion?) in log.condemnations.map({ ($0.domain, $0.deletion) })
            where condemned == domain { swept.formUnion(try sweepList(deletion.body.list, of: domain).segments) }
            for segment in try manifests(of: domain).flatMap(\.manifest.segments)
            where live.contains(segment.object.digest) || !swept.contains(segment.object.digest) {
                let name = Manifest.indexName(segment.object.digest)
                let stored = try? store.object(name, segment.object, limit: 1 << 32, suite)
                if stored != nil { continue }
                do throws(VaultError) {
                    try store.put(name, try rebuildSegment(segment.object, domain))
                    repaired += 1
                } catch {
                    guard error.kind == .damaged, !live.contains(segment.object.digest) else { throw error }
                }
            }
        }
        return repaired
    }

    /// Finds an archive by id prefix (4 digits at least), `latest`, `latest:POLICY`, or a time.
    package func archive(idPrefix: String) throws(VaultError) -> ArchiveRecord {
        let found = log.archives.filter { $0.id.hex.hasPrefix(idPrefix.lowercased()) }
        guard let first = found.first else {
            if let gone = log.disposed.values.first(where: { $0.archive.id.hex.hasPrefix(idPrefix.lowercased()) }) {
                throw VaultError(
                    .notFound, "archive \(gone.archive.id.hex.prefix(8)) was disposed of by record \(gone.number)",
                    hint: "`qala archives --disposed` tells when; a copy elsewhere may still hold it.")
            }
            throw VaultError(
                .notFound, "there is no archive \(idPrefix)", hint: "`qala archives` lists them.")
        }
        guard found.count == 1 else {
            throw VaultError(
                .ambiguous, "\(found.count) archives begin with \(idPrefix)", hint: "Give more digits of the id.")
        }
        return first
    }
}
