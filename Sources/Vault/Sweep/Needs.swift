import Domain

// What the live archives of one domain need, decided without any key from their references.
//
// Invariants:
// 1. Every page that a live archive names, and every chunk of such a page, has its provider in `packs`.
// 2. A chunk that no index segment knows, or references that cannot be read, fail the whole: nothing is deleted because
//    something was not found.
// 3. Each references object is read once for each live archive that reaches it through disposed ones; what a live
//    archive passes on to its descendants is counted with that archive.
// 4. Whether a chunk is needed does not depend on what an index says of its place: who writes an index wrongly keeps packs
//    from being condemned, and has none condemned. Memory for that is a bit for each entry of the index.

/// The objects of one domain that must stay.
struct Needs {
    var packs: Set<Digest> = []
    var references: Set<Digest> = []
    var segments: Set<Digest> = []
    /// Chunks looked up.
    var chunks = 0
    private let live: [LiveSegment]
    /// A bit for each entry of each live segment.
    private var marks: [[UInt64]]

    /// Reads references and index of `domain` as the log stands; archives in `disposed` count as if they were. With
    /// `sparingBases` those count as live that were disposed of since the oldest running session began: it may have taken over
    /// their pages, and with them chunks of packs that were condemned before it.
    init(
        of domain: Digest, in vault: Vault, without disposed: Set<Digest>, sparingBases: Bool,
        onChunks: (Int) throws(VaultError) -> Void
    ) throws(VaultError) {
        live = try vault.liveSegments(of: domain)
        marks = live.map { [UInt64](repeating: 0, count: ($0.segment.count + 63) / 64) }
        segments = Set(live.map(\.digest))
        let fates = try vault.fates(of: domain)
        var known: [Digest: ObjectReference] = [:]
        for numbered in try vault.manifests(of: domain) {
            guard let reference = numbered.manifest.references, known[reference.digest] == nil else { continue }
            known[reference.digest] = reference
        }
        var archives = vault.log.archives.filter { !disposed.contains($0.id) }
        if sparingBases, let oldest = vault.log.oldestRunning(in: domain) {
            archives += vault.log.disposed.values.filter { $0.number > oldest }.map(\.archive)
        }
        var starts: Set<Digest> = []
        for archive in archives where archive.opening.domain == domain {
            guard let reference = try vault.manifest(archive.commit.manifest).references else {
                throw .damaged("archive \(archive.id) does not tell what it needs")
            }
            starts.insert(reference.digest)
        }
        for start in starts.sorted() {
            var dropped: Set<Digest> = []
            var seen: Set<Digest> = []
            var next = start
            repeat {
                guard let reference = known[next], seen.insert(next).inserted else {
                    throw .damaged("references \(next) are named by no archive of their domain, or by themselves")
                }
                references.insert(next)
                let part = try Self.read(reference, vault)
                for page in part.pages where !dropped.contains(page.id) {
                    try need(page.id, fates)
                    for chunk in page.chunks { try need(chunk, fates) }
                    try onChunks(chunks)
                }
                dropped.formUnion(part.dropped)
                next = part.base
            } while next != .zero && !starts.contains(next)
        }
    }

    private static func read(_ reference: ObjectReference, _ vault: Vault) throws(VaultError) -> References {
        let bytes = try vault.store.object(
            Manifest.referencesName(reference.digest), reference, limit: References.byteLimit, vault.suite)
        return try bytes.withBytes { (raw) throws(VaultError) in try References(decoding: raw) }
    }

    /// Counts the pack that provides a chunk: the one a reader would find, but one that is not condemned if there is one.
    private mutating func need(_ id: Digest, _ fates: PackFates) throws(VaultError) {
        chunks += 1
        var condemned: Digest?
        for at in live.indices {
            guard let row = live[at].segment.row(of: id), let found = live[at].segment.location(row),
                !fates.deleted.contains(found.pack)
            else { continue }
            marks[at][row >> 6] |= 1 << UInt64(row & 63)
            if !fates.condemned.contains(found.pack) {
                packs.insert(found.pack)
                return
            }
            condemned = condemned ?? found.pack
        }
        guard let condemned else {
            throw .damaged(
                "chunk \(id), which an archive needs, is in no index",
                hint: "Run `qala verify` and repair first: a sweep of a damaged vault would destroy evidence.")
        }
        packs.insert(condemned)
    }

    /// Whether an archive needs the chunk, wherever it lies.
    func contains(_ id: Digest) -> Bool {
        live.indices.contains { at in
            live[at].segment.row(of: id).map { marks[at][$0 >> 6] >> UInt64($0 & 63) & 1 == 1 } ?? false
        }
    }
}
