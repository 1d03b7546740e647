import Domain
import Glibc

/// What a run takes over: from interrupted ones of the same source, and from footers where this host lost its state.
extension ArchiveSession {
    struct Leftover {
        var session: Digest
        var lock: FileLock
    }

    struct Interrupted {
        var session: Digest
        var journal: OldTree.Journal
        var packs: [CheckedPack]
    }

    /// A pack that was found to be what its manifest says, and the digest of its footer, by which it is known again.
    struct CheckedPack {
        var pack: Manifest.Pack
        var footer: Digest
    }

    static func findLeftovers(
        _ vault: Vault, _ source: Digest, signer: Digest
    ) throws(VaultError) -> [Leftover] {
        var found: [Leftover] = []
        for session in try vault.host.journals(of: source) {
            guard let lock = try FileLock(path: vault.host.lockPath(session)) else { continue }
            // It may have been opened after the log was read, by a process that is gone: without its journal it would count as
            // running for ever.
            if vault.log.sessions[session] == nil { try vault.log.refresh() }
            if let record = vault.log.sessions[session], record.signer == signer, record.ending == .running {
                found.append(Leftover(session: session, lock: lock))
            } else {
                // It came to its end; only its files were not removed any more.
                unlink(vault.host.journalPath(source, session))
                unlink(vault.host.lockPath(session))
            }
        }
        return found
    }

    /// Of the interrupted runs the one that had come farthest, as far as the vault still holds what it had stored.
    static func findInterrupted(
        _ vault: Vault, _ source: Digest, among leftovers: [Leftover]
    ) throws(VaultError) -> Interrupted? {
        var best: Interrupted?
        for session in leftovers.map(\.session) {
            guard let record = vault.log.sessions[session], !record.checkpoints.isEmpty,
                let reader = TreeCacheReader(path: vault.host.journalPath(source, session), vaultID: vault.vaultID),
                let journal = try OldTree.journal(reader, checkpoints: record.checkpoints.count)
            else { continue }
            if let found = best, found.journal.end >= journal.end { continue }
            do throws(VaultError) {
                let packs = try packs(of: record.checkpoints.prefix(Int(journal.checkpoint.number)), vault)
                best = Interrupted(session: session, journal: journal, packs: packs)
            } catch {
                // Nothing was acknowledged of it: what is damaged is read from the source again.
                guard error.kind == .damaged else { throw error }
            }
        }
        return best
    }

    /// The packs that checkpoints name; fails when one of them is not there as it was.
    private static func packs(
        of checkpoints: ArraySlice<ObjectReference>, _ vault: Vault
    ) throws(VaultError) -> [CheckedPack] {
        var packs: [CheckedPack] = []
        for reference in checkpoints {
            for pack in try vault.manifest(reference).packs {
                let footer = try PackFooter.checked(pack, in: vault.store, vault.suite)
                packs.append(
                    CheckedPack(pack: pack, footer: ObjectHasher.digest(of: footer, suite: vault.suite)))
            }
        }
        return packs
    }

    /// Counts the packs of an interrupted session as this one's, after a look at their footers.
    func adopt(_ taken: [CheckedPack]) throws(VaultError) {
        for (pack, footer) in taken.map({ ($0.pack, $0.footer) }) {
            let reader = try vault.store.open(Manifest.packName(pack.id))
            let bytes = try PackFooter.bytes(from: reader, length: pack.length, suite: vault.suite)
            defer { withExtendedLifetime(bytes) {} }
            guard ObjectHasher.digest(of: bytes.readable, suite: vault.suite) == footer else {
                throw .damaged("pack \(pack.id) was changed while it was taken over")
            }
            let entries = try PackFooter.decode(Array(bytes.readable))
            chunks.adopt(entries.lazy.map(\.chunkID))
            try remember(entries)
            packs.append(PackSummary(pack: pack, entries: entries.map(\.withoutMembers)))
            uncheckpointed.append(pack)
        }
    }

    /// Puts the members of groups where the next file with the same content finds them.
    private func remember(_ entries: [PackEntry]) throws(VaultError) {
        for entry in entries where entry.kind == .group {
            // A pack may be named while the segment that knew it cannot be found: then nobody else finds its groups either.
            guard lostManifests.isEmpty || chunks.contains(entry.chunkID) else { continue }
            for (index, member) in entry.members.enumerated() {
                if members.mustSpill { try members.spill(resolve) }
                members.insert(member, group: .known(entry.chunkID), index: index)
            }
        }
    }

    /// Reads the footers of archives of this domain that the member index does not cover, after this host's state was lost.
    func recoverMembers() throws(VaultError) {
        covered = Set(
            String(decoding: try StateFile.read(coveredPath, limit: 64 << 20) ?? [], as: UTF8.self)
                .split(separator: "\n").compactMap { Digest(hex: $0) })
        for archive in vault.log.committed where archive.opening.domain == writer.domain {
            guard !covered.contains(archive.id) else { continue }
            do throws(VaultError) {
                for pack in try vault.manifest(archive.commit.manifest).packs where !absentPacks.contains(pack.id) {
                    try recoverMembers(of: pack)
                }
            } catch {
                // Asked again by the next run.
                guard error.kind == .damaged else { throw error }
                uncovered.insert(archive.id)
            }
        }
    }

    /// A member that a footer names at the wrong place would give a file the content of another: nothing of a pack is believed
    /// before all of it was found to be what the log says. What is damaged is only not shared with: `qala verify` reports it,
    /// and archiving must go on.
    private func recoverMembers(of pack: Manifest.Pack) throws(VaultError) {
        let entries: [PackEntry]
        do throws(VaultError) {
            entries = try PackFooter.decode(try PackFooter.checked(pack, in: vault.store, vault.suite))
        } catch {
            guard error.kind == .damaged else { throw error }
            return
        }
        try remember(entries)
    }

    private var coveredPath: String { "\(vault.host.directory)/members/\(writer.domain.hex.prefix(32))/covered" }

    /// What a power cut takes away of it is read from the footers again.
    func saveCovered() throws(VaultError) {
        let added = vault.log.committed.filter {
            $0.opening.domain == writer.domain && !covered.contains($0.id) && !uncovered.contains($0.id)
        }
        try StateFile.addLines(coveredPath, added.map(\.id.hex))
    }
}
