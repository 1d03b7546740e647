import Collectors
import Domain

/// Brings the segments of a log spool into the order of the entries of other sources. The spool lies in the host state,
/// which no source enters, so both streams share nothing but directories above it.
struct LogMerge {
    private var needsSource = true
    private var needsSpool = true
    private var head: SourceStep?
    private var hasSegment = false

    static func walker(_ spool: String) throws -> FileTreeWalker {
        try FileTreeWalker(
            WalkOptions(roots: [Array(spool.utf8)], excludes: try ExcludePatterns(CollectLogs.excludes)))
    }

    /// The next entry of both; `onEnd` hears once that the spool has no more.
    mutating func next(
        _ spool: FileTreeWalker, _ nextOfSources: () throws -> SourceStep?, onEnd: () -> Void
    ) throws -> SourceStep? {
        if needsSource {
            head = try nextOfSources()
            needsSource = false
        }
        // A barrier is about what the sources brought before it.
        if let head, head.path == nil {
            needsSource = true
            return head
        }
        if needsSpool {
            hasSegment = try spool.next()
            needsSpool = false
            if !hasSegment { onEnd() }
        }
        guard hasSegment else {
            needsSource = head != nil
            return head
        }
        guard let source = head, let path = source.path else {
            needsSpool = true
            return .tree(spool)
        }
        let order = PathOrder.compare(path, spool.entry.path)
        if order >= 0 { needsSpool = true }
        guard order <= 0 else { return .tree(spool) }
        needsSource = true
        return source
    }

    /// The number of the segment that an entry is; nil for anything else.
    static func segment(_ entry: Entry, of spool: FileTreeWalker?) -> Int? {
        guard let root = spool?.roots.first, entry.path.count > root.count + 1,
            PathOrder.isInside(entry.path, root)
        else { return nil }
        return LogText.sequence(of: String(decoding: entry.path[(root.count + 1)...], as: UTF8.self))
    }
}
