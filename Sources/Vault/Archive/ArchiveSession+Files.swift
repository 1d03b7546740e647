package import Domain

/// A small-file group under construction: the files' bytes lie behind room for the table of their lengths, which is written
/// when the group is closed, right before them.
struct OpenGroup {
    static let headerRoom = 4 + 4 * ArchiveSession.Limits.groupMembers
    let number: Int
    let lease: BufferPool.Lease
    var used = OpenGroup.headerRoom
    var lengths: [UInt32] = []
    var members: [Digest] = []

    var byteCount: Int { used - Self.headerRoom }
    var free: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: lease.bytes[used...])
    }
}

/// The content of a file while it is archived. Errors of the source are the caller's own type: they make the file a problem of
/// the run, while a ``VaultError`` ends the run.
package protocol FileContent: AnyObject {
    /// Fills `buffer` from `offset` on; fewer bytes only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int
    /// The next run of data at or after `offset`, as offsets; nil when only a hole follows.
    func nextData(from offset: UInt64) throws -> Range<UInt64>?
    /// Asked after the last read: whether the file changed since it was opened.
    func hasChanged() throws -> Bool
}

extension ArchiveSession {
    /// Whether the old tree holds this very entry; then it is archived with that, and nothing has to be read. Entries must
    /// come in order, each once, and be given to either this or ``add(_:content:isSparse:)``.
    package func takeUnchanged(_ entry: Entry) throws(VaultError) -> Bool {
        while let cursor = old.cursor {
            let order = PathOrder.compare(cursor.path, entry.path)
            if order < 0 {
                try breakCandidate()
                old.advance()
                continue
            }
            if order > 0 { break }
            let stat = cursor.stat
            guard stat.kind == entry.kind, !stat.isRacy, !stat.changedWhileRead, stat.inode == entry.inode,
                stat.device == entry.device, stat.changed == entry.changed, stat.modified == entry.modified,
                stat.size == entry.size || entry.kind != .file && entry.kind != .symlink,
                stat.linkCount == max(1, entry.linkCount) || entry.kind == .directory
            else { break }
            try matchUnchanged(cursor)
            if entry.kind == .file { totalBytes += entry.size }
            return true
        }
        if let cursor = old.cursor, PathOrder.compare(cursor.path, entry.path) == 0 {
            try breakCandidate()
            old.advance()
        } else {
            try breakCandidate()
        }
        return false
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

    /// Archives an entry that is new or has changed. `content` is needed for a file with bytes. Throws the source's own error
    /// when it cannot be read; then nothing of the entry is archived.
    ///
    /// Returns the entry as archived: size and flags as they were found while reading.
    @discardableResult
    package func add(_ entry: Entry, content: (any FileContent)?, isSparse: Bool = false) throws -> Entry {
        var entry = entry
        entry.linkCount = max(1, entry.linkCount)
        if entry.kind == .directory { entry.linkCount = 1 }
        entry.isRacy = isRacy(entry)
        var place = PendingContent.none
        if entry.kind == .file, let content {
            place = try store(&entry, content, isSparse: isSparse)
            totalBytes += entry.size
        } else if entry.kind == .file {
            entry.size = 0
        }
        page.append(entry, place)
        try closePageIfFull()
        try checkpointIfDue(nil)
        return entry
    }

    /// A stamp that is younger than the clock's grain when it is read proves nothing later.
    private func isRacy(_ entry: Entry) -> Bool {
        guard entry.kind == .file else { return false }
        let now = WallTime.now()
        let age = (now.seconds &- entry.changed.seconds) &* 1_000_000_000 &+ Int64(now.nanoseconds)
            &- Int64(entry.changed.nanoseconds)
        return now.seconds - entry.changed.seconds <= 2 && age < 50_000_000
    }

    private func store(
        _ entry: inout Entry, _ content: any FileContent, isSparse: Bool
    ) throws -> PendingContent {
        let key = LinkKey(device: entry.device, inode: entry.inode)
        if entry.linkCount > 1, var known = links[key] {
            known.remaining -= 1
            links[key] = known.remaining == 0 ? nil : known
            entry.size = known.size
            return known.content
        }
        let place =
            entry.size <= UInt64(Limits.smallFile) && !isSparse
            ? try storeSmall(&entry, content) : try storeLarge(&entry, content, isSparse: isSparse)
        if try content.hasChanged() { entry.changedWhileRead = true }
        if entry.linkCount > 1 {
            links[key] = LinkedContent(content: place, size: entry.size, remaining: entry.linkCount - 1)
        }
        return place
    }

    // MARK: Small files

    private func storeSmall(_ entry: inout Entry, _ content: any FileContent) throws -> PendingContent {
        if group == nil { group = OpenGroup(number: pool.reserveNumber(), lease: groupBuffers.take()) }
        guard var open = group else { return .none }
        let size = Int(entry.size)
        // One byte more than expected shows that the file has grown.
        let room = UnsafeMutableRawBufferPointer(rebasing: open.free[..<min(open.free.count, size + 1)])
        let count = try content.read(into: room, at: 0)
        if count != size { entry.changedWhileRead = true }
        entry.size = UInt64(min(count, size))
        guard entry.size > 0 else { return .none }
        let bytes = UnsafeRawBufferPointer(rebasing: room[..<Int(entry.size)])
        let id = identities.member.identity(of: bytes)
        if let known = members.find(id) { return .member(known.group, known.index) }
        let place = PendingContent.member(.pending(open.number), open.members.count)
        members.insert(id, group: .pending(open.number), index: open.members.count)
        open.members.append(id)
        open.lengths.append(UInt32(bytes.count))
        open.used += bytes.count
        group = open
        if open.byteCount >= Limits.groupBytes || open.members.count == Limits.groupMembers { try closeGroup() }
        if members.mustSpill { try members.spill(resolve) }
        return place
    }

    /// Hands the open group to the sealing threads.
    func closeGroup() throws(VaultError) {
        guard let open = group else { return }
        group = nil
        guard !open.members.isEmpty else { return }
        let start = OpenGroup.headerRoom - 4 - 4 * open.lengths.count
        open.lease.bytes.storeBytes(of: UInt32(open.lengths.count).littleEndian, toByteOffset: start, as: UInt32.self)
        for (index, length) in open.lengths.enumerated() {
            open.lease.bytes.storeBytes(
                of: length.littleEndian, toByteOffset: start + 4 + 4 * index, as: UInt32.self)
        }
        try pool.submit(
            SealingPool.Job(
                number: open.number, kind: .group, lease: open.lease, range: start..<open.used, id: nil,
                members: open.members))
    }

    // MARK: Large files

    private func storeLarge(
        _ entry: inout Entry, _ content: any FileContent, isSparse: Bool
    ) throws -> PendingContent {
        var file = LargeFile(entry: entry)
        if let partial = resumed?.partial, partial.path == entry.path, partial.inode == entry.inode,
            partial.device == entry.device, partial.modified == entry.modified, partial.changed == entry.changed,
            partial.size == entry.size
        {
            file.extents = partial.extents.map { PendingExtent(length: $0.length, chunk: $0.chunk.map(ChunkHandle.known)) }
            file.offset = partial.offset
        }
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
            // The file ended before it should: what there was is kept, and the change is reported.
            guard file.offset == end else { break }
        }
        if file.offset < entry.size {
            entry.changedWhileRead = true
            entry.size = file.offset
        }
        return entry.size == 0 ? .none : .extents(file.extents)
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
                let cut = chunker.firstCut(in: rest)
                if cut == rest.count, !isEnd, cut < chunker.parameters.maximum { break }
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
            try checkpointIfDue(file)
        }
    }
}
