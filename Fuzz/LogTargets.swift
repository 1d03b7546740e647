import Domain
@testable import Vault

private let vaultID = Digest(words: (1, 2, 3, 4))
private let digest = Digest(words: (5, 6, 7, 8))
private let reference = ObjectReference(digest: digest, length: 4096)

let logTargets = [
    Target(
        name: "genesis",
        run: { bytes in
            guard let genesis = try? Genesis(decoding: bytes) else { return }
            expect(genesis.bytes == bytes, "a genesis keeps its bytes")
        },
        seeds: {
            HashSuite.allCases.compactMap { suite in
                try? Genesis(suite: suite, rootKey: digest, created: "2026-01-01T00:00:00Z").bytes
            }
        }),
    Target(
        name: "log-record",
        run: { bytes in
            guard let record = try? LogRecord(decoding: bytes, vaultID: vaultID) else { return }
            _ = LogRecord.objectName(record.number)
        },
        seeds: { logRecords() }),
    Target(
        name: "manifest",
        run: { bytes in
            guard let manifest = try? bytes.withBytes({ raw throws(VaultError) in try Manifest(decoding: raw) }) else {
                return
            }
            expect(manifest.encode() == bytes, "a manifest has one encoding")
        },
        seeds: {
            var manifest = Manifest(session: digest)
            manifest.packs = [.init(id: digest, length: 1 << 20, digest: digest)]
            manifest.segments = [.init(object: reference, replaced: [digest, vaultID])]
            manifest.references = reference
            return [manifest.encode(), Manifest(session: vaultID).encode()]
        }),
    Target(
        name: "references",
        run: { bytes in
            guard let found = try? bytes.withBytes({ raw throws(VaultError) in try References(decoding: raw) }) else {
                return
            }
            expect(found.encode() == bytes, "references have one encoding")
        },
        seeds: {
            var references = References(base: digest)
            references.dropped = [digest]
            references.pages = [.init(id: digest, chunks: [vaultID, digest]), .init(id: vaultID, chunks: [])]
            return [references.encode(), References(base: .zero).encode()]
        }),
    Target(
        name: "sweep-list",
        run: { bytes in
            guard let found = try? bytes.withBytes({ raw throws(VaultError) in try SweepList(decoding: raw) }) else {
                return
            }
            expect((try? found.encode()) == bytes, "a sweep list has one encoding")
        },
        seeds: {
            var list = SweepList(domain: digest)
            list.packs = [vaultID, digest]
            list.segments = [digest]
            return [try? list.encode(), try? SweepList(domain: vaultID).encode()].compactMap { $0 }
        }),
    Target(
        name: "note",
        run: { bytes in
            _ = try? bytes.withBytes { raw throws(VaultError) in try Note.parse(raw, for: digest) }
        },
        seeds: {
            [try? Note.seal("why", to: KeySet(generation: 0, readers: [], domains: [], writers: []), vaultID: vaultID)]
                .compactMap { $0 }
        }),
    Target(
        name: "archive-header",
        run: { bytes in
            guard let header = try? ArchiveHeader(decoding: bytes) else { return }
            guard let again = try? header.encode(), let same = try? ArchiveHeader(decoding: again) else {
                return expect(false, "an archive header can be encoded again")
            }
            expect(same == header, "an archive header survives encoding")
        },
        seeds: {
            var header = ArchiveHeader()
            header.roots = ["/etc", "/home"]
            header.policy = "nightly"
            header.files = 12
            return [try? header.encode()].compactMap { $0 }
        }),
]

/// A record of each kind, signed.
private func logRecords() -> [[UInt8]] {
    guard let secret = try? Secret.random(), let key = try? SigningKey(seed: secret) else { return [] }
    let opening = SessionOpening(
        session: digest, domain: vaultID, generation: 1, keyring: reference, commitment: digest, resumes: .zero)
    let commit = SessionCommit(
        session: digest, manifest: reference, root: digest, level: 1, entries: 3, bytes: 99, header: [1, 2, 3])
    let approval = ActApproval(
        requester: digest, signature: [UInt8](repeating: 7, count: SigningKey.signatureBytes))
    let bodies: [LogBody] = [
        .key(reference), .open(opening), .checkpoint(session: digest, number: 1, manifest: reference),
        .commit(commit), .abort(session: digest), .fence(sessions: [digest, vaultID]),
        .condemn(domain: vaultID, list: reference),
        .delete(SweepDeletion(condemned: 5, list: reference, manifest: reference)),
        .dispose(Disposal(archives: [digest], note: reference, basis: .twoPersons(approval))),
        .dispose(Disposal(archives: [digest], note: reference, basis: .policy(vaultID))),
        .hold(HoldRecord(id: digest, archives: [vaultID], note: reference)),
        .release(ReleaseRecord(hold: digest, note: reference, approval: approval)),
    ]
    return bodies.enumerated().compactMap { index, body in
        let record = LogRecord(
            number: UInt64(index), previous: vaultID, signer: key.publicKey, time: 1_700_000_000, body: body)
        return try? record.encode(vaultID: vaultID, key: key)
    }
}
