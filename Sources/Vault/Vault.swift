package import Domain
import Glibc

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
    package var vaultID: Digest { log.vaultID }
    package var suite: HashSuite { log.suite }

    private var manifests: [Digest: Manifest] = [:]

    /// Opens a vault, reads its log, and compares it with the head that this host saw last.
    package init(store: any Store, stateBase: String) throws(VaultError) {
        self.store = store
        log = try VaultLog(store: store)
        host = try HostState(base: stateBase, vaultID: log.vaultID)
        let pin = try host.pin()
        if let pin {
            // Another run of this host may have appended and pinned after the log was read above.
            if pin.number >= log.count { try log.refresh() }
            guard pin.number < log.count, log.chain[Int(pin.number)] == pin.digest else {
                throw VaultError(
                    .rolledBack,
                    "the log of this vault lacks record \(pin.number) that this host has seen: it was cut short or replaced",
                    hint:
                        "Do not archive here. Compare with the mirror; if the older state is really wanted, remove the pinned head in \(host.directory)/head."
                )
            }
        }
        freshnessProven = pin != nil
        try pinHead()
    }

    func pinHead() throws(VaultError) {
        guard log.count > 0 else { return }
        let head = HostState.Pin(number: log.count - 1, digest: log.head)
        // A pin never moves back: another run of this host may have seen more.
        if let pin = try host.pin(), pin.number >= head.number { return }
        try host.save(head)
    }

    /// This host's keys for writing, if it is enrolled and not revoked.
    package func writer() throws(VaultError) -> WriterIdentity {
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

    /// The manifests of all archives of a domain, oldest first.
    func manifests(of domain: Digest) throws(VaultError) -> [Manifest] {
        var list: [Manifest] = []
        for archive in log.archives where archive.opening.domain == domain {
            list.append(try manifest(archive.commit.manifest))
        }
        return list
    }

    /// The index segments that serve a domain. One that is missing or damaged is rebuilt in memory from footers.
    func liveSegments(of domain: Digest) throws(VaultError) -> [LiveSegment] {
        var live: [Manifest.Segment] = []
        for manifest in try manifests(of: domain) {
            for segment in manifest.segments {
                live.removeAll { segment.replaced.contains($0.object.digest) }
                live.append(segment)
            }
        }
        var opened: [LiveSegment] = []
        for segment in live {
            let bytes = try segmentBytes(segment.object, domain)
            let index = try IndexSegment(bytes)
            guard index.domain == domain else { throw .damaged("an index segment belongs to another domain") }
            opened.append(LiveSegment(digest: segment.object.digest, segment: index))
        }
        return opened
    }

    /// The bytes of a segment: this host's copy, the vault's object, or made again from the footers it was made from.
    private func segmentBytes(_ reference: ObjectReference, _ domain: Digest) throws(VaultError) -> MappedBytes {
        let path = "\(host.directory)/index/\(reference.digest.hex)"
        if let mapped = MappedBytes(path: path), isWhole(mapped, reference) { return mapped }
        let name = Manifest.indexName(reference.digest)
        let bytes: [UInt8]
        if let stored = try? store.object(name, reference, limit: 1 << 32, suite) {
            bytes = stored
        } else {
            bytes = try rebuildSegment(reference, domain)
        }
        try StateFile.write(path, bytes)
        guard let mapped = MappedBytes(path: path), isWhole(mapped, reference) else {
            throw VaultError(.io, "the copy of an index segment at \(path) cannot be read")
        }
        return mapped
    }

    private func isWhole(_ mapped: MappedBytes, _ reference: ObjectReference) -> Bool {
        UInt64(mapped.bytes.count) == reference.length
            && ObjectHasher.digest(of: mapped.bytes, suite: suite) == reference.digest
    }

    /// Makes a segment again, byte for byte, from the footers of the packs it served: those of the manifest that names it,
    /// after those of the segments it replaced.
    package func rebuildSegment(_ reference: ObjectReference, _ domain: Digest) throws(VaultError) -> [UInt8] {
        var packs: [PackSummary] = []
        for pack in try self.packs(behind: reference.digest, domain) {
            let reader = try store.open(Manifest.packName(pack.id))
            packs.append(
                PackSummary(
                    pack: pack, entries: try PackFooter.read(from: reader, length: pack.length, suite: suite)))
        }
        let bytes = IndexSegment.encode(domain: domain, packs: packs)
        guard ObjectReference(of: bytes, suite: suite) == reference else {
            throw .damaged("index segment \(reference.digest) cannot be made again from its packs")
        }
        return bytes
    }

    private func packs(behind segment: Digest, _ domain: Digest) throws(VaultError) -> [Manifest.Pack] {
        var steps = 0
        return try Self.packs(behind: segment, try manifests(of: domain)[...], &steps)
    }

    /// A segment replaces only those of archives before its own, and not too many: so this ends whatever the manifests say.
    private static func packs(
        behind segment: Digest, _ manifests: ArraySlice<Manifest>, _ steps: inout Int
    ) throws(VaultError) -> [Manifest.Pack] {
        steps += 1
        for (index, manifest) in zip(manifests.indices, manifests) {
            guard let found = manifest.segments.first(where: { $0.object.digest == segment }) else { continue }
            var packs: [Manifest.Pack] = []
            for earlier in found.replaced { packs += try Self.packs(behind: earlier, manifests[..<index], &steps) }
            guard packs.count <= Manifest.packLimit, steps <= Manifest.packLimit else {
                throw .damaged("index segment \(segment) claims to stand for too many packs")
            }
            return packs + manifest.packs
        }
        throw .damaged("no archive names index segment \(segment)")
    }

    /// Chunks in the index, and the segments that hold them.
    package func countChunks() throws(VaultError) -> (chunks: Int, segments: Int) {
        var total = (chunks: 0, segments: 0)
        for domain in Set(log.archives.map(\.opening.domain)) {
            for live in try liveSegments(of: domain) {
                total.chunks += live.segment.count
                total.segments += 1
            }
        }
        return total
    }

    /// Writes every index segment that is missing or damaged again from footers, byte for byte; returns how many.
    package func repairIndex() throws(VaultError) -> Int {
        var repaired = 0
        for archive in log.archives {
            for segment in try manifest(archive.commit.manifest).segments {
                let name = Manifest.indexName(segment.object.digest)
                let stored = try? store.object(name, segment.object, limit: 1 << 32, suite)
                if stored != nil { continue }
                try store.put(name, try rebuildSegment(segment.object, archive.opening.domain))
                repaired += 1
            }
        }
        return repaired
    }

    /// Finds an archive by id prefix (4 digits at least), `latest`, `latest:POLICY`, or a time.
    package func archive(idPrefix: String) throws(VaultError) -> ArchiveRecord {
        let found = log.archives.filter { $0.id.hex.hasPrefix(idPrefix.lowercased()) }
        guard let first = found.first else {
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
