package import Domain

/// A small-file group under construction: the files' bytes lie behind room for the table of their lengths, which is written
/// when the group is closed, right before them.
final class OpenGroup {
    static let headerRoom = 4 + 4 * ArchiveSession.Limits.groupMembers
    let number: Int
    let lease: BufferPool.Lease
    private(set) var used = OpenGroup.headerRoom
    private(set) var members: [Digest] = []
    private var lengths: [UInt32] = []

    init(number: Int, lease: BufferPool.Lease) {
        self.number = number
        self.lease = lease
    }

    var isFull: Bool {
        used - Self.headerRoom >= ArchiveSession.Limits.groupBytes
            || members.count == ArchiveSession.Limits.groupMembers
    }

    /// Takes a file in; returns its number in the group.
    func append(_ bytes: UnsafeRawBufferPointer, id: Digest) -> Int {
        UnsafeMutableRawBufferPointer(rebasing: lease.bytes[used..<used + bytes.count]).copyMemory(from: bytes)
        used += bytes.count
        lengths.append(UInt32(bytes.count))
        members.append(id)
        return members.count - 1
    }

    /// Writes the table of lengths; returns where the group's plaintext lies in the buffer.
    func close() -> Range<Int> {
        let start = Self.headerRoom - 4 - 4 * lengths.count
        lease.bytes.storeBytes(of: UInt32(lengths.count).littleEndian, toByteOffset: start, as: UInt32.self)
        for (index, length) in lengths.enumerated() {
            lease.bytes.storeBytes(of: length.littleEndian, toByteOffset: start + 4 + 4 * index, as: UInt32.self)
        }
        return start..<used
    }
}

/// The content of a file while it is archived. Errors of the source are the caller's own type: they make the file a problem of
/// the run, while a ``VaultError`` ends the run.
package protocol FileContent: AnyObject {
    /// The size is not known before the end: what the entry says of it does not count. It is read front to back.
    var isStream: Bool { get }
    /// Bytes of every chunk but the last, where pages of the content stay in their places; nil cuts by content. At most what
    /// a chunk may have.
    var chunkBytes: Int? { get }
    /// Bytes of the chunk that begins at `offset`, where the content knows its parts; more than was read so far asks for more of it
    /// first. Nil cuts by content. Asked for rising offsets, each at the end of the chunk before.
    func chunkBytes(at offset: UInt64) -> Int?
    /// Fills `buffer` from `offset` on; fewer bytes only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int
    /// The next run of data at or after `offset`, as offsets; nil when only a hole follows.
    func nextData(from offset: UInt64) throws -> Range<UInt64>?
    /// Asked after the last read: whether the file changed since it was opened.
    func hasChanged() throws -> Bool
}

extension FileContent {
    package var isStream: Bool { false }
    package var chunkBytes: Int? { nil }
    package func chunkBytes(at offset: UInt64) -> Int? { chunkBytes }
}

extension ArchiveSession {
    /// Takes in a batch: entries in order, each path once in a run. `onItem` is told of each entry as archived, and whether it
    /// was unchanged; `onProblem` of a large file whose source failed while it was read, which is then not archived.
    package func absorb(
        _ batch: EntryBatch, onItem: (Entry, _ unchanged: Bool) -> Void, onProblem: (Entry, any Error) -> Void
    ) throws(VaultError) {
        var ids: [Digest] = []
        identities.member.identities(of: batch.smallBytes, lengths: batch.smallLengths, into: &ids)
        var next = 0
        var offset = 0
        for item in batch.items {
            switch item.matter {
            case .unchanged:
                try takeUnchanged(item.entry)
                onItem(item.entry, true)
                continue
            case .bare: onItem(try add(item.entry, .none), false)
            case .small(let count):
                let bytes = UnsafeRawBufferPointer(rebasing: batch.smallBytes[offset..<offset + count])
                let place: PendingContent
                if let known = known(item.entry) { place = known } else { place = try storeSmall(bytes, id: ids[next]) }
                onItem(try add(item.entry, place), false)
                offset += count
                next += 1
            case .large(let content, let isSparse):
                var entry = item.entry
                let place: PendingContent
                do {
                    if let known = known(entry) {
                        place = known
                    } else {
                        place = try storeLarge(&entry, content, isSparse: isSparse)
                    }
                    if try content.hasChanged() { entry.changedWhileRead = true }
                } catch let error as VaultError {
                    throw error
                } catch {
                    onProblem(entry, error)
                    continue
                }
                onItem(try add(entry, place), false)
            }
            try checkpointIfDue(nil)
        }
    }

    /// Archives an entry as the old tree holds it.
    private func takeUnchanged(_ entry: Entry) throws(VaultError) {
        try skipOld(upTo: entry.path)
        guard let cursor = old.cursor, cursor.path == entry.path else {
            throw VaultError(
                .io, "the remembered tree of this source changed while it was used", hint: "Run the command again.")
        }
        try matchUnchanged(cursor)
        if entry.kind == .file { totalBytes = totalBytes.addingClamped(entry.size) }
    }

    /// Passes by what the old tree holds before `path`: it is gone from the source.
    private func skipOld(upTo path: [UInt8]) throws(VaultError) {
        while let cursor = old.cursor, PathOrder.compare(cursor.path, path) < 0 {
            try breakCandidate()
            old.advance()
        }
    }

    private func matchUnchanged(_ cursor: PageCursor) throws(VaultError) {
        if candidate != nil {
            candidate?.matched += 1
        } else if cursor.index == 0, let frame = old.frame,
            page.isEmpty || page.byteCount >= Limits.smallestPage
        {
            try closePage()
            candidate = Candidate(matched: 1, frame: frame, firstPath: cursor.path, isOfBase: old.isOfBase)
        } else {
            page.append(cursor)
            try closePageIfFull()
        }
        if let done = candidate, cursor.isLast {
            candidate = nil
            pending.append(
                PendingPage(
                    builder: nil, frame: done.frame, isOfBase: done.isOfBase, firstPath: done.firstPath,
                    entries: done.matched))
            old.advance()
            try finishPages()
            return
        }
        old.advance()
    }

    /// A page that was hoped to stay whole does not: its entries so far go into a new page.
    func breakCandidate() throws(VaultError) {
        guard let broken = candidate else { return }
        candidate = nil
        guard let cursor = old.restartPage() else {
            throw VaultError(.io, "the remembered tree of this source cannot be read again", hint: "Run again.")
        }
        for _ in 0..<broken.matched {
            guard try cursor.next() else { break }
            page.append(cursor)
        }
    }

    /// Archives an entry that is new or has changed.
    private func add(_ archived: Entry, _ place: PendingContent) throws(VaultError) -> Entry {
        var entry = archived
        try skipOld(upTo: entry.path)
        try breakCandidate()
        if let cursor = old.cursor, cursor.path == entry.path { old.advance() }
        entry.linkCount = entry.kind == .directory ? 1 : max(1, entry.linkCount)
        if entry.linkCount > 1, entry.kind == .file { remember(&entry, place) }
        if entry.kind == .file { totalBytes = totalBytes.addingClamped(entry.size) }
        page.append(entry, place)
        try closePageIfFull()
        return entry
    }

    // MARK: Hard links

    /// The content of another name of the same file, if one was archived in this run and the file is still the same.
    private func known(_ entry: Entry) -> PendingContent? {
        guard entry.linkCount > 1, let link = links[LinkKey(device: entry.device, inode: entry.inode)],
            link.holds(entry)
        else { return nil }
        return link.content
    }

    /// Keeps the first name's content for the others. A name that was reached after the file changed has a content of its own:
    /// it is archived as a file of its own, marked, and so looked at again by the next run.
    private func remember(_ entry: inout Entry, _ place: PendingContent) {
        let key = LinkKey(device: entry.device, inode: entry.inode)
        var link = links[key] ?? LinkedContent(place, of: entry)
        if links[key] != nil {
            if link.holds(entry) {
                entry.isRacy = entry.isRacy || link.isRacy
            } else {
                entry.linkCount = 1
                entry.changedWhileRead = true
            }
        }
        link.remaining -= 1
        links[key] = link.remaining == 0 ? nil : link
    }

    // MARK: Small files

    private func storeSmall(_ bytes: UnsafeRawBufferPointer, id: Digest) throws(VaultError) -> PendingContent {
        if let known = members.find(id) { return .member(known.group, known.index) }
        if members.mustSpill { try members.spill(resolve) }
        let open = group ?? OpenGroup(number: pool.reserveNumber(), lease: groupBuffers.take())
        group = open
        let index = open.append(bytes, id: id)
        members.insert(id, group: .pending(open.number), index: index)
        if open.isFull { try closeGroup() }
        return .member(.pending(open.number), index)
    }

    /// Hands the open group to the sealing threads.
    func closeGroup() throws(VaultError) {
        guard let open = group else { return }
        group = nil
        try pool.submit(
            SealingPool.Job(
                number: open.number, kind: .group, lease: open.lease, range: open.close(), id: nil,
                members: open.members))
    }

    // MARK: Large files

    private func storeLarge(
        _ entry: inout Entry, _ content: any FileContent, isSparse: Bool
    ) throws -> PendingContent {
        var file = LargeFile(entry: entry)
        if !content.isStream, let partial = resumed?.partial, partial.path == entry.path, partial.inode == entry.inode,
            partial.device == entry.device, partial.modified == entry.modified, partial.changed == entry.changed,
            partial.size == entry.size
        {
            file.extents = partial.extents.map {
                PendingExtent(length: $0.length, chunk: $0.chunk.map(ChunkHandle.known))
            }
            file.offset = partial.offset
        }
        if content.isStream {
            try storeRun(&file, content, upTo: .max)
            entry.size = file.offset
        }
        try checkExtents(of: file, isSparse: isSparse)
        while file.offset < entry.size {
            var data = file.offset..<entry.size
            if isSparse {
                guard let next = try content.nextData(from: file.offset), next.lowerBound < entry.size else {
                    file.addHole(upTo: entry.size)
                    break
                }
                file.addHole(upTo: next.lowerBound)
                data = next.lowerBound..<min(next.upperBound, entry.size)
            }
            let end = data.upperBound
            try storeRun(&file, content, upTo: end)
            try checkExtents(of: file, isSparse: true)
            // The file ended before it should: what there was is kept, and the change is reported.
            guard file.offset == end else { break }
        }
        if file.offset < entry.size {
            entry.changedWhileRead = true
            entry.size = file.offset
        }
        return entry.size == 0 ? .none : .extents(file.extents)
    }

    /// An entry lies in one page, and a page in one chunk: what would not fit is refused before it is read, as far as its size
    /// tells.
    private func checkExtents(of file: LargeFile, isSparse: Bool) throws(FileTooLarge) {
        let expected = isSparse ? 0 : file.entry.size / UInt64(chunker.parameters.normal)
        guard file.extents.count <= Limits.extents, expected <= UInt64(Limits.extents) else { throw FileTooLarge() }
    }

    /// A problem of the file, which is left out, not of the run.
    struct FileTooLarge: Failure {
        var kind: FailureKind { .failed }
        var message: String { "has more than \(Limits.extents) parts, which an archive of format 1 cannot describe" }
        var hint: String { "Split the file, or archive what it holds as files." }
    }

    struct LargeFile {
        var entry: Entry
        var offset: UInt64 = 0
        var extents: [PendingExtent] = []

        init(entry: Entry) { self.entry = entry }

        mutating func addHole(upTo end: UInt64) {
            guard end > offset else { return }
            extents.append(PendingExtent(length: end - offset, chunk: nil))
            offset = end
        }
    }

    /// Cuts the bytes from the file's offset to `end` into chunks and hands them on. The buffer is filled to its end before
    /// it is cut; what is left behind the last sure cut moves to the start of the next.
    private func storeRun(_ file: inout LargeFile, _ content: any FileContent, upTo end: UInt64) throws {
        var lease = readBuffers.take()
        var filled = 0
        var start = 0
        var position = file.offset
        while true {
            let wanted = Int(min(UInt64(lease.bytes.count - filled), end - position))
            let room = UnsafeMutableRawBufferPointer(rebasing: lease.bytes[filled..<filled + wanted])
            let count = wanted == 0 ? 0 : try content.read(into: room, at: position)
            filled += count
            position += UInt64(count)
            let isEnd = position == end || count < wanted
            while start < filled {
                let rest = lease.buffer.slice(start..<filled)
                let cut: Int
                if let fixed = content.chunkBytes(at: file.offset).map({ max(1, min($0, chunker.parameters.maximum)) })
                {
                    cut = min(fixed, rest.count)
                    if cut < fixed, !isEnd { break }
                } else {
                    cut = chunker.firstCut(in: rest)
                    if cut == rest.count, !isEnd, cut < chunker.parameters.maximum { break }
                }
                let number = pool.reserveNumber()
                try pool.submit(
                    SealingPool.Job(number: number, kind: .data, lease: lease, range: start..<start + cut, id: nil))
                file.extents.append(PendingExtent(length: UInt64(cut), chunk: .pending(number)))
                file.offset += UInt64(cut)
                start += cut
            }
            if isEnd { return }
            let next = readBuffers.take()
            next.bytes.copyMemory(from: lease.buffer.slice(start..<filled))
            filled -= start
            start = 0
            lease = next
            try checkExtents(of: file, isSparse: true)
            try checkpointIfDue(file)
        }
    }
}
