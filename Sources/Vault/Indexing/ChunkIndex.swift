import Domain

/// Which chunks a domain already holds: those of committed archives, and those of the session under way.
///
/// SAFETY: `session` is touched inside `monitor.locked`; segments are immutable.
final class ChunkIndex: @unchecked Sendable {
    private let segments: [IndexSegment]
    private let monitor = Monitor()
    private var session: Set<Digest> = []

    init(segments: [IndexSegment]) { self.segments = segments }

    /// Whether the caller must store the chunk: true once for every id that the domain does not hold.
    func claim(_ id: Digest) -> Bool {
        guard !segments.contains(where: { $0.find(id) != nil }) else { return false }
        return monitor.locked { session.insert(id).inserted }
    }

    func contains(_ id: Digest) -> Bool {
        segments.contains(where: { $0.find(id) != nil }) || monitor.locked { session.contains(id) }
    }

    /// Chunks in packs that this session takes over.
    func adopt(_ ids: some Sequence<Digest>) {
        monitor.locked { session.formUnion(ids) }
    }
}
