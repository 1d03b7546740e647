package import Domain

/// Some entries on their way from the thread that collects them to the thread of the session, with the bytes of the small
/// files among them. It is filled by the one, handed over, and taken in by the other.
package final class EntryBatch {
    enum Matter {
        /// The old tree holds the very same entry.
        case unchanged
        /// No content.
        case bare
        /// The next `Int` bytes of the batch's buffer.
        case small(Int)
        case large(any FileContent, isSparse: Bool)
    }

    struct Item {
        var entry: Entry
        var matter: Matter
    }

    private static let largeFiles = 8
    private(set) var items: [Item] = []
    private let lease: BufferPool.Lease
    private var used = 0
    private var largeCount = 0

    init(_ lease: BufferPool.Lease) {
        self.lease = lease
        items.reserveCapacity(ArchiveSession.Limits.batchEntries)
    }

    package var isEmpty: Bool { items.isEmpty }
    package var isFull: Bool {
        items.count >= ArchiveSession.Limits.batchEntries || used >= ArchiveSession.Limits.batchBytes
            || largeCount == Self.largeFiles
    }

    /// Lengths of the small files, in order; their bytes lie one behind the other.
    var smallLengths: [Int] {
        items.compactMap { item in
            if case .small(let count) = item.matter { count } else { nil }
        }
    }
    var smallBytes: UnsafeRawBufferPointer { lease.buffer.slice(0..<used) }

    /// An entry that ``ChangeDetector`` found unchanged.
    package func addUnchanged(_ entry: Entry) { items.append(Item(entry: entry, matter: .unchanged)) }

    /// An entry without content.
    package func add(_ entry: Entry) {
        var entry = entry
        if entry.kind == .file { entry.size = 0 }
        items.append(Item(entry: entry, matter: .bare))
    }

    /// A file. A small one is read here; errors are those of the source, and then the batch is as it was before.
    package func add(_ entry: Entry, content: any FileContent, isSparse: Bool) throws {
        var entry = entry
        entry.isRacy = entry.isRacy || Self.isRacy(entry)
        guard entry.size <= UInt64(ArchiveSession.Limits.smallFile), !isSparse, !content.isStream else {
            items.append(Item(entry: entry, matter: .large(content, isSparse: isSparse)))
            largeCount += 1
            return
        }
        let size = Int(entry.size)
        // One byte more than expected shows that the file has grown.
        let room = UnsafeMutableRawBufferPointer(rebasing: lease.bytes[used..<used + size + 1])
        let count = try content.read(into: room, at: 0)
        if try count != size || content.hasChanged() { entry.changedWhileRead = true }
        entry.size = UInt64(min(count, size))
        used += Int(entry.size)
        items.append(Item(entry: entry, matter: entry.size == 0 ? .bare : .small(Int(entry.size))))
    }

    /// A stamp that is younger than the clock's grain when it is read proves nothing later.
    private static func isRacy(_ entry: Entry) -> Bool {
        let now = WallTime.now()
        let seconds = now.seconds &- entry.changed.seconds
        guard seconds <= 2 else { return false }
        return seconds &* 1_000_000_000 &+ Int64(now.nanoseconds) &- Int64(entry.changed.nanoseconds) < 50_000_000
    }
}

/// Tells the collecting thread which entries need not be read: those that the old tree holds with the same stamp. Asked
/// for each entry once, in order; one thread's own.
package final class ChangeDetector {
    private let old: OldTree

    init(_ old: OldTree) { self.old = old }

    package func isUnchanged(_ entry: Entry) -> Bool {
        while let cursor = old.cursor {
            let order = PathOrder.compare(cursor.path, entry.path)
            if order > 0 { return false }
            let matches = order == 0 && cursor.matches(entry)
            old.advance()
            if order == 0 { return matches }
        }
        return false
    }
}

extension PageCursor {
    /// Whether the entry at the cursor was archived from a file with the very stamp of `entry`, and can be trusted.
    func matches(_ entry: Entry) -> Bool {
        let stat = self.stat
        return stat.kind == entry.kind && !stat.isRacy && !stat.changedWhileRead && stat.inode == entry.inode
            && stat.device == entry.device && stat.changed == entry.changed && stat.modified == entry.modified
            && (stat.size == entry.size || entry.kind != .file && entry.kind != .symlink)
            && (stat.linkCount == max(1, entry.linkCount) || entry.kind == .directory)
    }
}
