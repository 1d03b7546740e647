package import Domain
package import Vault
import Glibc
import Synchronization

// Small trees in memory for tests of the vault: made from a seed, changed from version to version, archived entry by entry
// as a walk would, and compared byte for byte with what an archive gives back.

/// A source that exists in memory only.
package struct WorkloadTree: Sendable {
    package struct Item: Sendable, Equatable {
        package var entry: Entry
        package var bytes: [UInt8] = []
        /// Read by data and holes, and cut into chunks however small it is.
        package var isSparse = false
    }

    /// Sorted as a walk gives them.
    package private(set) var items: [Item] = []
    private var random: SplitMix
    private var nextInode: UInt64 = 100

    /// A directory, `files` small files (two of them equal, two of them one inode), a symbolic link, and a file of
    /// `chunked` bytes with a hole that is cut into chunks.
    package init(seed: UInt64, files: Int = 8, fileBytes: Int = 900, chunked: Int = 30_000) {
        random = SplitMix(seed: seed)
        items.append(Item(entry: entry("srv", .directory, size: 0)))
        for index in 0..<files {
            addFile("srv/file-\(index + 10)", count: fileBytes / 2 + Int.random(in: 0..<fileBytes, using: &random))
        }
        if files > 3 {
            addFile("srv/same", items[1].bytes)
            var twin = items[2]
            items[2].entry.linkCount = 2
            twin.entry.linkCount = 2
            twin.entry.path = Array("srv/twin".utf8)
            items.append(twin)
            var link = Item(entry: entry("srv/link", .symlink, size: 7))
            link.entry.linkTarget = Array("file-10".utf8)
            items.append(link)
        }
        if chunked > 0 {
            let part = noise(chunked / 3)
            addFile("srv/large", part + [UInt8](repeating: 0, count: chunked / 3) + noise(chunked / 3), isSparse: true)
        }
        sort()
    }

    private mutating func sort() { items.sort { PathOrder.compare($0.entry.path, $1.entry.path) < 0 } }

    private mutating func noise(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes[..<count])
    }

    private mutating func entry(_ path: String, _ kind: EntryKind, size: Int) -> Entry {
        nextInode += 1
        // Years ago, so that no stamp is too young to be believed.
        let stamp = Timestamp(seconds: 1_600_000_000 + Int64(nextInode), nanoseconds: UInt32(nextInode))
        return Entry(
            path: Array(path.utf8), kind: kind, permissions: 0o640, userID: 7, groupID: 8, size: UInt64(size),
            modified: stamp, changed: stamp, device: 5, inode: nextInode, linkCount: 1)
    }

    private mutating func addFile(_ path: String, count: Int) { addFile(path, noise(count)) }

    /// Adds a file; ``items`` stays sorted only if the path comes last.
    private mutating func addFile(_ path: String, _ bytes: [UInt8], isSparse: Bool = false) {
        items.append(Item(entry: entry(path, .file, size: bytes.count), bytes: bytes, isSparse: isSparse))
    }

    package mutating func add(_ path: String, _ bytes: [UInt8], isSparse: Bool = false) {
        addFile(path, bytes, isSparse: isSparse)
        sort()
    }

    /// The next version: `rewritten` files with new content, one file gone, one new, a middle piece of the chunked file new.
    package mutating func change(rewritten: Int = 2) {
        for _ in 0..<rewritten {
            let places = items.indices.filter { items[$0].entry.kind == .file && items[$0].entry.linkCount == 1 }
            guard let place = places.randomElement(using: &random) else { break }
            touch(place)
            if items[place].isSparse {
                let piece = noise(items[place].bytes.count / 10)
                items[place].bytes.replaceSubrange(piece.count..<2 * piece.count, with: piece)
            } else {
                items[place].bytes = noise(max(1, items[place].bytes.count + 17))
            }
            items[place].entry.size = UInt64(items[place].bytes.count)
        }
        let gone = items.indices.filter {
            items[$0].entry.kind == .file && items[$0].entry.linkCount == 1 && !items[$0].isSparse
        }
        if gone.count > 3, let place = gone.randomElement(using: &random) { items.remove(at: place) }
        addFile("srv/new-\(nextInode)", count: 700)
        sort()
    }

    private mutating func touch(_ place: Int) {
        let stamp = entry("", .file, size: 0).modified
        items[place].entry.modified = stamp
        items[place].entry.changed = stamp
    }
}

/// How much of a source was read, by path; what a resumed run must not read again.
package final class WorkloadReads: Sendable {
    private let state = Mutex<[String: Int]>([:])
    package init() {}

    package func add(_ path: [UInt8], _ count: Int) {
        let name = String(decoding: path, as: UTF8.self)
        state.withLock { $0[name, default: 0] += count }
    }

    /// Bytes read, by path.
    package var bytes: [String: Int] { state.withLock { $0 } }
    package var total: Int { state.withLock { $0.values.reduce(0, +) } }
    package func clear() { state.withLock { $0 = [:] } }
}

/// The content of an item, or of a generated file of any size. Runs of zeros of a page's size count as holes.
package final class WorkloadContent: FileContent {
    /// Thrown by the read that the owner wanted to be the last one.
    package struct Stopped: Error {
        package init() {}
    }

    private let path: [UInt8]
    private let size: UInt64
    private let fill: (UnsafeMutableRawBufferPointer, UInt64) -> Void
    private let hole: Range<UInt64>?
    private let reads: WorkloadReads?
    /// The read that reaches this offset fails.
    package var stopAt = UInt64.max

    package init(_ item: WorkloadTree.Item, _ reads: WorkloadReads? = nil) {
        let bytes = item.bytes
        path = item.entry.path
        size = UInt64(bytes.count)
        self.reads = reads
        hole = item.isSparse ? size / 3..<size / 3 * 2 : nil
        fill = { buffer, offset in buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count]) }
    }

    /// A file of `entry.size` bytes that are a function of their offset.
    package init(generating entry: Entry, _ reads: WorkloadReads? = nil) {
        path = entry.path
        size = entry.size
        self.reads = reads
        hole = nil
        fill = { buffer, offset in Self.generate(buffer, offset) }
    }

    /// Eight bytes at a time from their place; offsets and counts need not be aligned.
    package static func generate(_ buffer: UnsafeMutableRawBufferPointer, _ offset: UInt64) {
        var at = 0
        while at < buffer.count {
            let place = offset + UInt64(at)
            var generator = SplitMix(seed: place / 8)
            let word = generator.next().littleEndian
            let skip = Int(place % 8)
            let count = min(8 - skip, buffer.count - at)
            withUnsafeBytes(of: word) { word in
                UnsafeMutableRawBufferPointer(rebasing: buffer[at..<at + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: word[skip..<skip + count]))
            }
            at += count
        }
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard offset < size else { return 0 }
        let count = Int(min(UInt64(buffer.count), size - offset))
        if offset + UInt64(count) >= stopAt { throw Stopped() }
        fill(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), offset)
        reads?.add(path, count)
        return count
    }

    package func nextData(from offset: UInt64) throws -> Range<UInt64>? {
        guard offset < size else { return nil }
        guard let hole else { return offset..<size }
        if offset < hole.lowerBound { return offset..<hole.lowerBound }
        let start = max(offset, hole.upperBound)
        return start < size ? start..<size : nil
    }

    package func hasChanged() throws -> Bool { false }
}

/// Something that an archive gave back is not what went in.
package struct WorkloadMismatch: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

extension WorkloadTree {
    /// Options that make many small objects and, but for the caller's calls, no checkpoints.
    package static var options: ArchiveSession.Options {
        var options = ArchiveSession.Options()
        options.packBytes = 64 << 10
        options.checkpointSeconds = 1e9
        options.chunker = ChunkerParameters(minimum: 1 << 10, normal: 4 << 10, maximum: 16 << 10)
        return options
    }

    /// Gives the items in `range` to a session, with a checkpoint before each number in `checkpoints`.
    package func feed(
        _ session: ArchiveSession, _ range: Range<Int>? = nil, checkpoints: Set<Int> = [], reads: WorkloadReads? = nil
    ) throws {
        let range = range ?? 0..<items.count
        var start = range.lowerBound
        for stop in checkpoints.sorted() where range.contains(stop) {
            try absorb(items[start..<stop], session, reads)
            try session.checkpoint()
            start = stop
        }
        try absorb(items[start..<range.upperBound], session, reads)
    }

    private func absorb(_ part: ArraySlice<Item>, _ session: ArchiveSession, _ reads: WorkloadReads?) throws {
        var rest = part
        while !rest.isEmpty {
            let batch = session.makeBatch()
            while !batch.isFull, let item = rest.popFirst() {
                if session.changes.isUnchanged(item.entry) {
                    batch.addUnchanged(item.entry)
                } else if item.bytes.isEmpty {
                    batch.add(item.entry)
                } else {
                    try batch.add(item.entry, content: WorkloadContent(item, reads), isSparse: item.isSparse)
                }
            }
            var problem: (any Error)?
            try session.absorb(batch, onItem: { _, _ in }, onProblem: { problem = problem ?? $1 })
            if let problem { throw problem }
        }
    }

    /// One whole run.
    @discardableResult
    package func archive(
        into vault: Vault, source: Digest, options: ArchiveSession.Options = Self.options, checkpoints: Set<Int> = [],
        reads: WorkloadReads? = nil
    ) throws -> ArchiveRecord {
        let session = try ArchiveSession(vault: vault, source: source, options: options)
        defer { session.stop() }
        try feed(session, checkpoints: checkpoints, reads: reads)
        return try session.commit(ArchiveHeader())
    }

    /// Reads an archive as a restore would and compares every entry and every byte with this tree.
    package func check(_ archive: ArchiveRecord, _ reader: VaultReader) throws {
        _ = try reader.header(of: archive)
        let tree = try ArchiveReader(reader, archive)
        let chunks = try ChunkReader(reader, for: archive)
        var rest = items[...]
        try tree.forEachEntry { page in
            guard let item = rest.popFirst() else { throw WorkloadMismatch("\(page.path) is one entry too many") }
            var found = try page.entry()
            found.linkTarget = page.linkTarget
            var wanted = item.entry
            if wanted.kind != .file { wanted.size = found.size }
            guard found == wanted else { throw WorkloadMismatch("\(found) instead of \(wanted)") }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(item.bytes.count)
            try tree.read(page.content, with: chunks) { bytes.append(contentsOf: $0) }
            guard bytes == item.bytes else {
                throw WorkloadMismatch("\(wanted.displayPath) has other bytes than were archived")
            }
            return true
        }
        guard rest.isEmpty else { throw WorkloadMismatch("\(rest.count) entries are missing") }
        guard archive.commit.entries == UInt64(items.count) else {
            throw WorkloadMismatch("the entries are miscounted")
        }
    }
}
