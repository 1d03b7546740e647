import Domain

/// Encodes entries, in order, into one page of a tree (`docs/format.md` §8). Chunk ids may still be pending: they stand
/// in the chunk table, which is written last and placed first.
struct PageBuilder {
    private var body = ByteWriter(capacity: 192 << 10)
    private(set) var entryCount = 0
    private(set) var firstPath: [UInt8] = []
    private(set) var lastPath: [UInt8] = []
    private(set) var chunks: [ChunkHandle] = []
    private var chunkIndex: [ChunkHandle: Int] = [:]
    private var owners: [Owner] = []
    private var ownerIndex: [Owner: Int] = [:]
    private var devices: [UInt64] = []
    private var lastOwner: (owner: Owner, index: Int)?
    private var lastChunk: (handle: ChunkHandle, index: Int)?
    private var previousInode: UInt64 = 0
    private var previousModified: Int64 = 0

    var byteCount: Int { body.count + chunks.count * Digest.byteCount }
    var isEmpty: Bool { entryCount == 0 }

    mutating func append(_ entry: Entry, _ content: PendingContent) {
        let owner = Owner(
            user: entry.userID, group: entry.groupID, userName: entry.userName, groupName: entry.groupName)
        begin(entry.path, EntryStat(entry), owner, hasAttributes: !entry.attributes.isEmpty, content)
        switch entry.kind {
        case .symlink: body.blob(entry.linkTarget)
        case .characterDevice, .blockDevice: body.varint(entry.deviceNumber)
        default: break
        }
        if !entry.attributes.isEmpty {
            body.varint(UInt64(entry.attributes.count))
            for attribute in entry.attributes {
                body.blob(attribute.name)
                body.blob(attribute.value)
            }
        }
    }

    /// Takes over the entry at the cursor of an older page, with the chunks it refers to.
    mutating func append(_ cursor: PageCursor) {
        let content: PendingContent =
            switch cursor.content {
            case .none: .none
            case .member(let group, let index): .member(.known(group), index)
            case .extents(let extents):
                .extents(extents.map { PendingExtent(length: $0.length, chunk: $0.chunk.map(ChunkHandle.known)) })
            }
        begin(cursor.path, cursor.stat, cursor.owner, hasAttributes: cursor.attributeBytes != nil, content)
        switch cursor.stat.kind {
        case .symlink: body.blob(cursor.linkTarget)
        case .characterDevice, .blockDevice: body.varint(cursor.stat.deviceNumber)
        default: break
        }
        if let attributes = cursor.attributeBytes { body.raw(attributes) }
    }

    private mutating func begin(
        _ path: [UInt8], _ stat: EntryStat, _ owner: Owner, hasAttributes: Bool, _ content: PendingContent
    ) {
        var shared = 0
        let common = min(path.count, lastPath.count)
        while shared < common, path[shared] == lastPath[shared] { shared += 1 }
        body.varint(UInt64(shared))
        body.varint(UInt64(path.count - shared))
        path.withUnsafeBytes { body.raw(UnsafeRawBufferPointer(rebasing: $0[shared...])) }
        if isEmpty { firstPath = path }
        lastPath = path
        var flags = stat.kind.rawValue
        if stat.isRacy { flags |= PageFormat.flagRacy }
        if stat.changedWhileRead { flags |= PageFormat.flagChanged }
        if hasAttributes { flags |= PageFormat.flagAttributes }
        if case .member = content { flags |= PageFormat.flagMember }
        if stat.linkCount > 1 { flags |= PageFormat.flagLinks }
        body.u8(flags)
        body.varint(UInt64(stat.permissions))
        body.varint(UInt64(index(of: owner)))
        body.varint(UInt64(index(ofDevice: stat.device)))
        body.zigzag(Int64(bitPattern: stat.inode &- previousInode))
        body.zigzag(stat.modified.seconds &- previousModified)
        body.varint(UInt64(stat.modified.nanoseconds))
        body.zigzag(stat.changed.seconds &- stat.modified.seconds)
        body.varint(UInt64(stat.changed.nanoseconds))
        if stat.linkCount > 1 { body.varint(UInt64(stat.linkCount)) }
        if stat.kind == .file { append(content, size: stat.size) }
        previousInode = stat.inode
        previousModified = stat.modified.seconds
        entryCount += 1
    }

    private mutating func append(_ content: PendingContent, size: UInt64) {
        body.varint(size)
        guard size > 0 else { return }
        switch content {
        case .none: preconditionFailure("a file of \(size) bytes without content")
        case .member(let chunk, let member):
            body.varint(UInt64(index(of: chunk)))
            body.varint(UInt64(member))
        case .extents(let extents):
            body.varint(UInt64(extents.count))
            for extent in extents {
                body.varint(extent.length << 1 | (extent.chunk == nil ? 1 : 0))
                if let chunk = extent.chunk { body.varint(UInt64(index(of: chunk))) }
            }
        }
    }

    private mutating func index(of chunk: ChunkHandle) -> Int {
        if let last = lastChunk, last.handle == chunk { return last.index }
        let index = chunkIndex[chunk] ?? chunks.count
        if index == chunks.count {
            chunks.append(chunk)
            chunkIndex[chunk] = index
        }
        lastChunk = (chunk, index)
        return index
    }

    private mutating func index(of owner: Owner) -> Int {
        if let last = lastOwner, last.owner == owner { return last.index }
        let index = ownerIndex[owner] ?? owners.count
        if index == owners.count {
            owners.append(owner)
            ownerIndex[owner] = index
        }
        lastOwner = (owner, index)
        return index
    }

    private mutating func index(ofDevice device: UInt64) -> Int {
        if let index = devices.lastIndex(of: device) { return index }
        devices.append(device)
        return devices.count - 1
    }

    /// The page's plaintext, once every chunk has its id.
    func encode(_ resolve: (ChunkHandle) -> Digest) -> (bytes: [UInt8], chunks: [Digest]) {
        let ids = chunks.map(resolve)
        var writer = ByteWriter(capacity: byteCount + 256)
        writer.u8(1)
        writer.varint(UInt64(ids.count))
        for id in ids { writer.digest(id) }
        writer.varint(UInt64(owners.count))
        for owner in owners {
            writer.varint(UInt64(owner.user))
            writer.varint(UInt64(owner.group))
            writer.blob(owner.userName)
            writer.blob(owner.groupName)
        }
        writer.varint(UInt64(devices.count))
        for device in devices { writer.varint(device) }
        writer.varint(UInt64(entryCount))
        writer.raw(body.bytes)
        return (writer.bytes, ids)
    }
}
