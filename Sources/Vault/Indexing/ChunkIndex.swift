import Domain

/// Which chunks a domain already holds: those of committed archives, and those of the session under way.
///
/// SAFETY: `session` is touched inside `monitor.locked`; segments are immutable.
final class ChunkIndex: @unchecked Sendable {
    private let segments: [IndexSegment]
    private let absent: Set<Digest>
    private let monitor = Monitor()
    private var session: Set<Digest> = []

    /// What lies in the packs `absent` only does not count as held.
    init(segments: [IndexSegment], absent: Set<Digest> = []) {
        self.segments = segments
        self.absent = absent
    }

    /// Whether the caller must store the chunk: true once for every id that the domain does not hold.
    func claim(_ id: Digest) -> Bool {
        guard !isIndexed(id) else { return false }
        return monitor.locked { session.insert(id).inserted }
    }

    func contains(_ id: Digest) -> Bool { isIndexed(id) || monitor.locked { session.contains(id) } }

    private func isIndexed(_ id: Digest) -> Bool {
        segments.contains { segment in
            guard let found = segment.find(id) else { return false }
            return absent.isEmpty || !absent.contains(found.pack)
        }
    }

    /// Chunks in packs that this session takes over.
    func adopt(_ ids: some Sequence<Digest>) {
        monitor.locked { session.formUnion(ids) }
    }
}
