package import Domain

/// The tree of one archive, read page by page in order; one thread's own.
package final class ArchiveReader {
    package let archive: ArchiveRecord
    private let chunks: ChunkReader

    package init(_ reader: VaultReader, _ archive: ArchiveRecord) throws(VaultError) {
        self.archive = archive
        chunks = try ChunkReader(reader, for: archive)
    }

    /// Reads pages in order, those that may hold `prefix` or what lies below it only; `body` gets each with its id, before
    /// its first entry, and returns false to stop. Checks that pages follow each other in order.
    package func forEachPage(
        under prefix: [UInt8] = [], _ body: (Digest, PageCursor) throws -> Bool
    ) throws {
        var last: PageEnd?
        try forEachPageReference(under: prefix) { child in
            let cursor = try page(child, after: last)
            defer { last = PageEnd(cursor) }
            return try body(child.id, cursor)
        }
    }

    /// One page, before its first entry.
    package func page(_ reference: PageReference, after last: PageEnd? = nil) throws(VaultError) -> PageCursor {
        let cursor = try PageCursor(Array(try chunks.read(reference.id, .page)))
        guard cursor.entryCount > 0, UInt64(cursor.entryCount) == reference.entries else {
            throw .damaged("a page lacks entries")
        }
        cursor.expect(first: reference.firstPath, after: last)
        return cursor
    }

    /// As above, the references to pages only.
    package func forEachPageReference(
        under prefix: [UInt8] = [], _ body: (PageReference) throws -> Bool
    ) throws {
        var last: [UInt8]?
        _ = try visit(archive.commit.root, level: archive.commit.level, first: nil, prefix) { page in
            // Nodes may be shared, so only the order of pages bounds how often one can be met.
            if let last, PathOrder.compare(last, page.firstPath) >= 0 {
                throw VaultError.damaged("the pages of an archive are out of order")
            }
            last = page.firstPath
            return try body(page)
        }
    }

    package struct PageReference: Sendable {
        package var id: Digest
        package var firstPath: [UInt8]
        package var entries: UInt64
    }

    /// Ids of all nodes, for checks.
    package var onNode: ((Digest) -> Void)?

    /// `first` is the first path that the node above gives; nil for the root, which alone may be empty.
    private func visit(
        _ id: Digest, level: UInt8, first: [UInt8]?, _ prefix: [UInt8], _ body: (PageReference) throws -> Bool
    ) throws -> Bool {
        guard level >= 1, level <= 8 else { throw VaultError.damaged("the tree of an archive is too deep") }
        let node = try Node(decoding: try chunks.read(id, .node))
        guard node.level == level else { throw VaultError.damaged("a node stands at the wrong level") }
        guard first == nil && level == 1 || node.children.first != nil,
            first == nil || node.children.first?.firstPath == first
        else { throw VaultError.damaged("a node does not begin as the one above it says") }
        onNode?(id)
        for (index, child) in node.children.enumerated() {
            if !prefix.isEmpty {
                // What comes after this child begins behind the prefix: nothing below the prefix can follow.
                if PathOrder.compare(child.firstPath, prefix) > 0, !PathOrder.isInside(child.firstPath, prefix) {
                    return false
                }
                // The next child begins at or before the prefix: this one ends before it.
                if index + 1 < node.children.count,
                    PathOrder.compare(node.children[index + 1].firstPath, prefix) <= 0
                {
                    continue
                }
            }
            let goesOn =
                level == 1
                ? try body(PageReference(id: child.id, firstPath: child.firstPath, entries: child.entries))
                : try visit(child.id, level: level - 1, first: child.firstPath, prefix, body)
            guard goesOn else { return false }
        }
        return true
    }

    /// Calls `body` for every entry at `prefix` or below it, in order; it returns false to stop.
    package func forEachEntry(
        under prefix: [UInt8] = [], _ body: (PageCursor) throws -> Bool
    ) throws {
        try forEachPage(under: prefix) { _, page in
            while try page.next() {
                guard PathOrder.isInside(page.path, prefix) else {
                    if PathOrder.compare(page.path, prefix) > 0 { return false }
                    continue
                }
                guard try body(page) else { return false }
            }
            return true
        }
    }

    /// Gives the content of a file in order, piece by piece; holes as zeros.
    package func read(
        _ content: Content, with reader: ChunkReader, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        switch content {
        case .none: break
        case .member(let id, let index):
            let group = try reader.group(id)
            defer { withExtendedLifetime(group) {} }
            try body(try group.member(index))
        case .extents(let extents):
            for extent in extents {
                if let chunk = extent.chunk {
                    try body(try reader.data(chunk, length: extent.length))
                } else {
                    try Self.zeros(extent.length, body)
                }
            }
        }
    }

    private static func zeros(_ count: UInt64, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let block = [UInt8](repeating: 0, count: 1 << 16)
        var rest = count
        while rest > 0 {
            let part = Int(min(rest, UInt64(block.count)))
            try block.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<part])) }
            rest -= UInt64(part)
        }
    }
}
