package import Domain
import Glibc

// Disposal of archives, and the sweep that removes what no archive needs any more. See `docs/adr/0005-sweep.md`.
//
// Invariants:
// 1. An object is removed only after a delete record names it, and that closes a condemn record all of whose older sessions
//    have ended. The log refuses it otherwise, whatever is computed here.
// 2. What is needed is computed on the very state of the log that the record continues; if anything was committed or swept
//    in between, it is computed again.
// 3. No clock is asked. What cannot be read stops the sweep of its domain, or is kept and reported.
// 4. Every step can be repeated: a sweep that was killed is finished by the next.

/// What a sweep did, or would do.
package struct SweepReport: Sendable, Equatable {
    package var condemnedPacks = 0
    package var condemnedBytes: UInt64 = 0
    package var deletedPacks = 0
    package var deletedBytes: UInt64 = 0
    /// Condemned before, needed again since.
    package var revivedPacks = 0
    /// Sessions that hold up deletion.
    package var waiting: [Waiting] = []
    package var fenced: [Digest] = []
    /// Domains that were left alone, and objects that were kept because they could not be read.
    package var problems: [Damage] = []

    package struct Waiting: Sendable, Equatable {
        package var session: Digest
        /// Label of the writer.
        package var writer: String
        /// When it was opened, in seconds since 1970 by its writer's clock.
        package var opened: UInt64
    }
}

/// Disposes and sweeps in the name of an administrator.
package final class Sweeper {
    private let vault: Vault
    private let key: SigningKey
    private var report = SweepReport()
    /// Asked between steps; true stops the sweep, which the next one goes on with.
    package var shouldStop: () -> Bool = { false }
    /// Told of chunks looked up so far in the domain at hand.
    package var onChunks: (Int) -> Void = { _ in }

    /// Fails unless `unlocked` is an administrator's key.
    package init(_ vault: Vault, by unlocked: UnlockedReader) throws(VaultError) {
        guard vault.log.keySet.reader(unlocked.readerID)?.isAdministrator == true else {
            throw VaultError(
                .notAllowed, "this key may read, but not delete", hint: "Use an administrator's key.")
        }
        self.vault = vault
        key = unlocked.adminKey
    }

    /// Condemns what is not needed and deletes what was condemned, as far as running sessions allow. With `fencing`, those of
    /// them that hold up deletion are ended first: for writers that will never come back.
    package func run(fencing: Set<Digest> = []) throws(VaultError) -> SweepReport {
        report = SweepReport()
        try vault.host.checkWritable()
        try vault.store.removeStaleTemporaries()
        let garbage = try Garbage(vault)
        try fence(fencing)
        for domain in domains {
            do throws(VaultError) {
                try condemn(domain, garbage)
                try finishOpen(domain)
                try removeDeleted(domain, garbage)
            } catch {
                guard error.kind == .damaged, error.code != .rolledBack else { throw error }
                report.problems.append(Damage(object: "domain \(domain.hex.prefix(16))", reason: error.message))
            }
        }
        try vault.pinHead()
        report.problems += garbage.problems
        report.waiting = waiting()
        return report
    }

    /// What ``run(fencing:)`` would condemn if `archives` were disposed of now; changes nothing.
    package func plan(disposing archives: Set<Digest> = []) throws(VaultError) -> SweepReport {
        report = SweepReport()
        let garbage = try Garbage(vault)
        var planned: [(number: UInt64, domain: Digest)] = []
        for domain in domains {
            do throws(VaultError) {
                let list = try unneeded(domain, garbage, without: archives)
                count(condemned: list, garbage)
                if !list.isEmpty { planned.append((vault.log.count, domain)) }
            } catch {
                guard error.kind == .damaged, error.code != .rolledBack else { throw error }
                report.problems.append(Damage(object: "domain \(domain.hex.prefix(16))", reason: error.message))
            }
        }
        report.problems += garbage.problems
        report.waiting = waiting(besides: planned)
        return report
    }

    private var domains: [Digest] { Set(vault.log.sessions.values.map(\.opening.domain)).sorted() }

    private func append(_ build: (VaultLog) throws(VaultError) -> LogBody) throws(VaultError) {
        try vault.log.append(signing: key, time: WallTime.seconds(), build)
    }

    private func checkStop() throws(VaultError) {
        if shouldStop() {
            throw VaultError(.interrupted, "the sweep was interrupted", hint: "Run it again: it goes on where it was.")
        }
    }

    private func needs(
        of domain: Digest, without archives: Set<Digest> = [], sparingBases: Bool = false
    ) throws(VaultError) -> Needs {
        try Needs(of: domain, in: vault, without: archives, sparingBases: sparingBases) { count throws(VaultError) in
            onChunks(count)
            try checkStop()
        }
    }

    private func unneeded(
        _ domain: Digest, _ garbage: Garbage, without archives: Set<Digest> = []
    ) throws(VaultError) -> SweepList {
        try garbage.unneeded(in: domain, try needs(of: domain, without: archives)) { () throws(VaultError) in
            try checkStop()
        }
    }

    // MARK: The three steps

    private func fence(_ chosen: Set<Digest>) throws(VaultError) {
        guard !chosen.isEmpty else { return }
        try append { log throws(VaultError) in
            report.fenced = chosen.filter { log.sessions[$0]?.ending == .running }.sorted()
            guard report.fenced.count == chosen.count, chosen.count <= LogBody.listLimit else {
                throw VaultError(
                    .notFound, "a session to be fenced is not running",
                    hint: "It has ended meanwhile: sweep without fencing it.")
            }
            return .fence(sessions: report.fenced)
        }
    }

    /// Appends a record computed on the newest state of the log, again and again until nothing came in between that matters:
    /// what else is appended only makes less needed, or belongs to sessions that a deletion waits for.
    private func decide(
        _ domain: Digest, _ compute: () throws(VaultError) -> (body: LogBody, done: () -> Void)?
    ) throws(VaultError) {
        while true {
            try checkStop()
            try vault.log.refresh()
            let seen = decisive(domain)
            guard let (body, done) = try compute() else { return }
            var isOutdated = false
            do throws(VaultError) {
                try append { log throws(VaultError) in
                    isOutdated = decisive(domain) != seen
                    if case .delete(let deletion) = body {
                        isOutdated = isOutdated || !log.sessionsOlder(than: deletion.condemned, in: domain).isEmpty
                    }
                    if isOutdated { throw VaultError(.conflict, "the log went on meanwhile", hint: "Try again.") }
                    return body
                }
                return done()
            } catch {
                guard isOutdated else { throw error }
            }
        }
    }

    /// Grows with every commit in the domain and every record of a sweep.
    private func decisive(_ domain: Digest) -> Int {
        vault.log.sweepRecords + vault.log.committed.count { $0.opening.domain == domain }
    }

    private func condemn(_ domain: Digest, _ garbage: Garbage) throws(VaultError) {
        try decide(domain) { () throws(VaultError) in
            let list = try unneeded(domain, garbage).cut
            guard !list.isEmpty else { return nil }
            let reference = try vault.store.putNamedByDigest("sweeps", try list.encode(), vault.suite)
            return (.condemn(domain: domain, list: reference), { [self] in count(condemned: list, garbage) })
        }
    }

    /// Closes the domain's condemn records as far as running sessions allow. What a pack that is lost or unreadable stops in one of
    /// them another may let go on, whose list takes that pack away.
    private func finishOpen(_ domain: Digest) throws(VaultError) {
        var open = vault.log.condemnations.filter { $0.domain == domain && $0.deletion == nil }
        while !open.isEmpty {
            var failed: [Condemnation] = []
            var failure: VaultError?
            for condemnation in open {
                do throws(VaultError) {
                    try close(condemnation)
                } catch {
                    guard error.kind == .damaged else { throw error }
                    failure = failure ?? error
                    failed.append(condemnation)
                }
            }
            if let failure, failed.count == open.count { throw failure }
            open = failed
        }
    }

    private func close(_ open: Condemnation) throws(VaultError) {
        let domain = open.domain
        try decide(domain) { () throws(VaultError) in
            let isOpen = vault.log.condemnations.contains { $0.number == open.number && $0.deletion == nil }
            guard isOpen, vault.log.sessionsOlder(than: open.number, in: domain).isEmpty else { return nil }
            let condemned = try vault.sweepList(open.list, of: domain)
            var list = condemned.less(try needs(of: domain, sparingBases: true))
            let manifest = try writeSegments(deleting: list, of: condemned)
            let made = Set(manifest.segments.map(\.object.digest))
            list.segments.removeAll { made.contains($0) }
            let body = SweepDeletion(
                condemned: open.number,
                list: try vault.store.putNamedByDigest("sweeps", try list.encode(), vault.suite),
                manifest: try vault.store.putNamedByDigest("manifests", manifest.encode(), vault.suite))
            let revived = condemned.packs.count - list.packs.count
            return (.delete(body), { [self] in report.revivedPacks += revived })
        }
    }

    /// One segment instead of all live ones that know a pack which is to go.
    private func writeSegments(
        deleting list: SweepList, of condemned: SweepList
    ) throws(VaultError) -> Manifest {
        var manifest = Manifest(session: .zero)
        let gone = Set(list.packs)
        let affected = try vault.liveSegments(of: list.domain).filter { !gone.isDisjoint(with: $0.segment.packs) }
        if !affected.isEmpty {
            var fates = try vault.fates(of: list.domain)
            fates.deleted.formUnion(gone)
            fates.condemned.subtract(condemned.packs)
            var rows: [PackSummary] = []
            for live in affected { rows += try vault.summaries(of: live, fates) }
            rows = IndexSegment.inOrder(rows, fates) { $0.pack.id }
            let bytes = IndexSegment.encode(domain: list.domain, packs: rows)
            let reference = try vault.store.putNamedByDigest("index", bytes, vault.suite)
            manifest.segments = [Manifest.Segment(object: reference, replaced: affected.map(\.digest))]
        }
        return manifest
    }

    /// Removes from the store what closed records list and what is still there.
    private func removeDeleted(_ domain: Digest, _ garbage: Garbage) throws(VaultError) {
        var isSettled = false
        func remove(_ name: String) throws(VaultError) {
            try checkStop()
            // A record that was only read may be lost with the power: nothing may be gone before it is there for good.
            if !isSettled { try vault.log.settle() }
            isSettled = true
            try vault.store.delete(name)
        }
        let closed = vault.log.condemnations.compactMap { $0.domain == domain ? $0.deletion : nil }
        for deletion in closed {
            for pack in try vault.sweepList(deletion.body.list, of: domain).packs {
                guard let length = garbage.packs[pack] else { continue }
                try remove(Manifest.packName(pack))
                garbage.removed(pack: pack)
                report.deletedPacks += 1
                report.deletedBytes += length
            }
        }
        // The same bytes may be a segment again that were one before.
        try vault.log.refresh()
        let named = try NamedObjects(by: domain, vault)
        for deletion in closed {
            let list = try vault.sweepList(deletion.body.list, of: domain)
            for id in list.references where garbage.references.contains(id) && !named.has(id, since: deletion.number) {
                try remove(Manifest.referencesName(id))
                garbage.removed(references: id)
            }
            for id in list.segments where !named.has(id, since: deletion.number) {
                if garbage.segments.contains(id) { try remove(Manifest.indexName(id)) }
                garbage.removed(segment: id)
                unlink(vault.host.indexPath(id))
            }
        }
    }

    private func count(condemned list: SweepList, _ garbage: Garbage) {
        report.condemnedPacks += list.packs.count
        report.condemnedBytes += list.packs.reduce(0) { $0 + (garbage.packs[$1] ?? 0) }
    }

    /// Sessions that hold up condemn records.
    private func waiting(
        besides planned: [(number: UInt64, domain: Digest)] = []
    ) -> [SweepReport.Waiting] {
        var found: [Digest: SweepReport.Waiting] = [:]
        var held = planned
        for open in vault.log.condemnations where open.deletion == nil { held.append((open.number, open.domain)) }
        for (number, domain) in held {
            for id in vault.log.sessionsOlder(than: number, in: domain) {
                guard let session = vault.log.sessions[id] else { continue }
                let writer = vault.log.keySet.writer(session.signer)?.label ?? ""
                found[id] = SweepReport.Waiting(session: id, writer: writer, opened: session.time)
            }
        }
        return found.values.sorted { ($0.opened, $0.session) < ($1.opened, $1.session) }
    }
}
