import Domain

/// The entries that this host remembers of a source, in order: what a run that was interrupted had reached, then, behind
/// it, the tree of the last archive.
///
/// It is only a memory: whatever of it cannot be read any more ends it early, and what is missing is read from the source.
final class OldTree {
    /// The page being read; nil at the end.
    private(set) var cursor: PageCursor?
    /// Its frame, when the page stands whole in the vault and may be taken over by reference.
    private(set) var frame: TreeFrame?
    /// Whether the page belongs to the last archive, whose references name it already.
    private(set) var isOfBase = false
    private let decompressor: Decompressor

    private let base: TreeCacheReader?
    private var journal: Journal?
    private var skipUpTo: [UInt8] = []

    /// A journal up to its last checkpoint that the log knows.
    struct Journal {
        var reader: TreeCacheReader
        /// Offset of the tail frame that goes with the checkpoint, and of the checkpoint.
        var tail: Int?
        var end: Int
        var checkpoint: TreeCheckpoint

        /// The same journal with a place of its own to read at.
        func duplicate() throws(VaultError) -> Journal {
            var copy = self
            copy.reader = try reader.duplicate()
            return copy
        }
    }

    init(base: TreeCacheReader?, journal: Journal?) throws(VaultError) {
        self.base = base
        self.journal = journal
        decompressor = try Decompressor()
        base?.rewind()
        journal?.reader.rewind()
        nextPage()
    }

    /// Finds the newest usable checkpoint in a journal: one of at most `checkpoints`, the number the log knows.
    static func journal(_ reader: TreeCacheReader, checkpoints: Int) throws(VaultError) -> Journal? {
        let decompressor = try Decompressor()
        reader.rewind()
        var found: Journal?
        var tail: Int?
        while let frame = reader.next() {
            switch frame.kind {
            case .page: tail = nil
            case .tail: tail = frame.offset
            case .checkpoint:
                guard let bytes = try? frame.plain(decompressor),
                    let checkpoint = try? TreeCheckpoint(decoding: bytes), Int(checkpoint.number) <= checkpoints
                else { return found }
                found = Journal(reader: reader, tail: tail, end: frame.offset, checkpoint: checkpoint)
            case .end: return found
            }
        }
        return found
    }

    /// Moves to the next entry.
    func advance() {
        guard let page = cursor else { return }
        if journal != nil { lastPath = page.path }
        if (try? page.next()) != true { nextPage() }
    }

    private func nextPage() {
        while let next = readPage() {
            guard let bytes = try? next.frame.plain(decompressor), let page = try? PageCursor(bytes) else { continue }
            var whole = next.isWhole
            while (try? page.next()) == true {
                if !skipUpTo.isEmpty, PathOrder.compare(page.path, skipUpTo) <= 0 {
                    whole = false
                    continue
                }
                skipUpTo = []
                frame = whole ? next.frame : nil
                isOfBase = next.isOfBase
                cursor = page
                return
            }
        }
        cursor = nil
        frame = nil
    }

    private func readPage() -> (frame: TreeFrame, isWhole: Bool, isOfBase: Bool)? {
        if let current = journal {
            while let frame = current.reader.next(), frame.offset < current.end {
                if frame.kind == .page { return (frame, true, false) }
                if frame.kind == .tail, frame.offset == current.tail { return (frame, false, false) }
            }
            journal = nil
            skipUpTo = lastPath
        }
        while let frame = base?.next() {
            if frame.kind == .page { return (frame, true, true) }
            if frame.kind == .end { return nil }
        }
        return nil
    }

    /// Path of the last entry that the journal held, so that the base goes on behind it.
    private var lastPath: [UInt8] = []

    /// The entries of the current page from its first on, again.
    func restartPage() -> PageCursor? {
        guard let frame, let bytes = try? frame.plain(decompressor) else { return nil }
        return try? PageCursor(bytes)
    }
}

extension TreeCacheReader {
    /// Whether all pages, and all chunks that they refer to, are in the index.
    func isWhole(in chunks: ChunkIndex) -> Bool {
        rewind()
        defer { rewind() }
        guard let decompressor = try? Decompressor() else { return false }
        while let frame = next(), frame.kind != .end {
            guard frame.kind == .page else { continue }
            guard chunks.contains(frame.id), let bytes = try? frame.plain(decompressor),
                let page = try? PageCursor(bytes), page.chunks.allSatisfy(chunks.contains)
            else { return false }
        }
        return true
    }

    /// The ids of all pages and the summary at the end; nil when the file has no end.
    func summarize() -> (pages: [Digest], summary: TreeSummary)? {
        rewind()
        defer { rewind() }
        guard let decompressor = try? Decompressor() else { return nil }
        var pages: [Digest] = []
        while let frame = next() {
            if frame.kind == .page { pages.append(frame.id) }
            if frame.kind == .end {
                guard let bytes = try? frame.plain(decompressor), let summary = TreeSummary(decoding: bytes) else {
                    return nil
                }
                return (pages, summary)
            }
        }
        return nil
    }
}
