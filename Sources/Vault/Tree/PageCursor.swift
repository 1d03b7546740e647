package import Domain

/// Reads the entries of one page in order, from hostile bytes.
///
/// Checks on the way that every path is well formed and follows the one before, that indices exist, and that extents add
/// up to the size.
package final class PageCursor {
    private let storage: [UInt8]
    private var offset: Int
    /// Ids that entries refer to.
    package let chunks: [Digest]
    package let entryCount: Int
    private let owners: [Owner]
    private let devices: [UInt64]
    private(set) var index = -1

    /// The entry at the cursor; meaningful after ``next()`` returned true.
    package private(set) var path: [UInt8] = []
    private(set) var stat = EntryStat()
    private(set) var ownerNumber = 0
    package private(set) var content = Content.none
    package private(set) var linkTarget: [UInt8] = []
    /// The encoded list of attributes.
    private(set) var attributeBytes: [UInt8]?

    package var kind: EntryKind { stat.kind }
    package var size: UInt64 { stat.size }
    package var modified: Timestamp { stat.modified }
    package var permissions: UInt16 { stat.permissions }

    var owner: Owner { owners[ownerNumber] }
    var isLast: Bool { index == entryCount - 1 }

    package init(_ bytes: [UInt8]) throws(VaultError) {
        var chunks: [Digest] = []
        var owners: [Owner] = []
        var devices: [UInt64] = []
        var entryCount = 0
        let start = try bytes.withBytes { (raw) throws(VaultError) in
            var reader = ByteReader(raw, reading: "a page of a tree")
            guard try reader.u8() == 1 else { throw reader.malformed("its version is unknown") }
            let chunkCount = try reader.varint(upTo: min(1 << 20, reader.remaining / Digest.byteCount))
            chunks.reserveCapacity(chunkCount)
            for _ in 0..<chunkCount { chunks.append(try reader.digest()) }
            for _ in 0..<(try reader.varint(upTo: min(PageFormat.tableLimit, reader.remaining / 4))) {
                owners.append(
                    Owner(
                        user: UInt32(try reader.varint(upTo: Int(UInt32.max))),
                        group: UInt32(try reader.varint(upTo: Int(UInt32.max))),
                        userName: try reader.blob(upTo: PageFormat.ownerNameLimit),
                        groupName: try reader.blob(upTo: PageFormat.ownerNameLimit)))
            }
            let deviceCount = try reader.varint(upTo: min(PageFormat.tableLimit, reader.remaining))
            for _ in 0..<deviceCount { devices.append(try reader.varint()) }
            entryCount = try reader.varint(upTo: min(PageFormat.entryLimit, reader.remaining / 11))
            return reader.offset
        }
        storage = bytes
        offset = start
        self.chunks = chunks
        self.owners = owners
        self.devices = devices
        self.entryCount = entryCount
    }

    /// What the nodes above say of the page: its first path, and that it follows `last`. Checked when the first entry is met.
    func expect(first: [UInt8], after last: PageEnd?) {
        expected = (first, last)
    }

    private var expected: (first: [UInt8], last: PageEnd?)?

    private func checkExpected() throws(VaultError) {
        guard let (first, last) = expected else { return }
        guard path == first, last?.mayPrecede(first) ?? true else {
            throw .damaged("the pages of an archive are out of order")
        }
    }

    /// Moves to the next entry; false after the last.
    package func next() throws(VaultError) -> Bool {
        guard index + 1 < entryCount else {
            guard offset == storage.count else { throw .damaged("bytes follow the last entry of a page") }
            return false
        }
        index += 1
        let start = offset
        let bytes = storage
        offset = try bytes.withBytes { (raw) throws(VaultError) in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: raw[start...]), reading: "an entry of a tree")
            try decodePath(&reader)
            try decodeStat(&reader)
            return start + reader.offset
        }
        if index == 0 { try checkExpected() }
        return true
    }

    private func decodePath(_ reader: inout ByteReader) throws(VaultError) {
        let shared = try reader.varint(upTo: path.count)
        let suffix = try reader.take(try reader.varint(upTo: Entry.maximumPathBytes - shared))
        guard !suffix.isEmpty else { throw reader.malformed("a path repeats") }
        if index > 0 {
            // The first differing byte decides the order; `/` is lowest. A path that only grew follows its parent.
            if shared < path.count {
                let old = path[shared] == 0x2F ? 0 : Int(path[shared]) + 1
                let new = suffix[0] == 0x2F ? 0 : Int(suffix[0]) + 1
                guard new > old else { throw reader.malformed("its paths are out of order") }
            } else if suffix[0] == 0x2F, stat.kind != .directory {
                throw reader.malformed("a path lies below one that is no directory")
            }
        } else if shared != 0 {
            throw reader.malformed("its first path is cut")
        }
        // Taken out of the property while it changes: each access to the property of a class is checked when it runs.
        var next: [UInt8] = []
        swap(&next, &path)
        next.removeSubrange(shared...)
        next.append(contentsOf: suffix)
        let isWellFormed = next.withUnsafeBufferPointer { PathOrder.isWellFormed($0, from: shared) }
        swap(&next, &path)
        guard isWellFormed else { throw reader.malformed("a path is not well formed") }
    }

    private func decodeStat(_ reader: inout ByteReader) throws(VaultError) {
        let flags = try reader.u8()
        guard let kind = EntryKind(rawValue: flags & 7) else { throw reader.malformed("its kind is unknown") }
        let previous = index == 0 ? EntryStat() : self.stat
        var stat = EntryStat()
        stat.kind = kind
        stat.isRacy = flags & PageFormat.flagRacy != 0
        stat.changedWhileRead = flags & PageFormat.flagChanged != 0
        stat.permissions = UInt16(try reader.varint(upTo: 0o7777))
        ownerNumber = try reader.varint(upTo: owners.count - 1)
        stat.device = devices[try reader.varint(upTo: devices.count - 1)]
        stat.inode = previous.inode &+ UInt64(bitPattern: try reader.zigzag())
        stat.modified = Timestamp(
            seconds: previous.modified.seconds &+ (try reader.zigzag()),
            nanoseconds: UInt32(try reader.varint(upTo: 999_999_999)))
        stat.changed = Timestamp(
            seconds: stat.modified.seconds &+ (try reader.zigzag()),
            nanoseconds: UInt32(try reader.varint(upTo: 999_999_999)))
        stat.linkCount = 1
        if flags & PageFormat.flagLinks != 0 {
            stat.linkCount = UInt32(try reader.varint(upTo: Int(UInt32.max)))
            guard stat.linkCount > 1 else { throw reader.malformed("its link count is wrong") }
        }
        content = .none
        if !linkTarget.isEmpty { linkTarget = [] }
        switch kind {
        case .file: try decodeContent(&reader, &stat, isMember: flags & PageFormat.flagMember != 0)
        case .symlink:
            linkTarget = try reader.blob(upTo: PageFormat.linkTargetLimit)
            stat.size = UInt64(linkTarget.count)
        case .characterDevice, .blockDevice: stat.deviceNumber = try reader.varint()
        case .directory, .fifo, .socket: break
        }
        self.stat = stat
        if attributeBytes != nil { attributeBytes = nil }
        if flags & PageFormat.flagAttributes != 0 { try skipAttributes(&reader) }
    }

    private func decodeContent(
        _ reader: inout ByteReader, _ stat: inout EntryStat, isMember: Bool
    ) throws(VaultError) {
        stat.size = try reader.varint()
        guard stat.size > 0 else { return }
        guard stat.size <= UInt64(Int64.max) else { throw reader.malformed("a size is out of bounds") }
        if isMember {
            content = .member(
                group: chunks[try reader.varint(upTo: chunks.count - 1)],
                index: try reader.varint(upTo: PackFormat.chunkLimit))
            return
        }
        let count = try reader.varint(upTo: min(PageFormat.extentLimit, reader.remaining))
        var extents: [Extent] = []
        extents.reserveCapacity(count)
        var rest = stat.size
        for _ in 0..<count {
            let tag = try reader.varint()
            let length = tag >> 1
            guard length > 0, length <= rest else { throw reader.malformed("its extents do not fit its size") }
            rest -= length
            let isHole = tag & 1 == 1
            extents.append(
                Extent(length: length, chunk: isHole ? nil : chunks[try reader.varint(upTo: chunks.count - 1)]))
        }
        guard rest == 0 else { throw reader.malformed("its extents do not fill its size") }
        content = .extents(extents)
    }

    private func skipAttributes(_ reader: inout ByteReader) throws(VaultError) {
        var copy = ByteWriter()
        let count = try reader.varint(upTo: reader.remaining / 2)
        copy.varint(UInt64(count))
        var last: [UInt8] = []
        var total = 0
        for _ in 0..<count {
            let name = try reader.blob(upTo: 255)
            guard last.lexicographicallyPrecedes(name), !name.contains(0) else {
                throw reader.malformed("its attributes are not in order")
            }
            let value = try reader.blob(upTo: PageFormat.attributeLimit)
            total += name.count + value.count
            guard total <= PageFormat.attributeLimit else {
                throw reader.malformed("its attributes exceed the limit")
            }
            copy.blob(name)
            copy.blob(value)
            last = name
        }
        attributeBytes = copy.bytes
    }

    /// The whole entry at the cursor.
    package func entry() throws(VaultError) -> Entry {
        let owner = self.owner
        var entry = Entry(
            path: path, kind: stat.kind, permissions: stat.permissions, userID: owner.user, groupID: owner.group,
            size: stat.size, modified: stat.modified, changed: stat.changed, device: stat.device, inode: stat.inode,
            linkCount: stat.linkCount)
        entry.userName = owner.userName
        entry.groupName = owner.groupName
        entry.deviceNumber = stat.deviceNumber
        entry.linkTarget = linkTarget
        entry.isRacy = stat.isRacy
        entry.changedWhileRead = stat.changedWhileRead
        if let attributeBytes {
            entry.attributes = try attributeBytes.withBytes { (raw) throws(VaultError) in
                var reader = ByteReader(raw, reading: "attributes")
                var list: [ExtendedAttribute] = []
                for _ in 0..<(try reader.varint(upTo: reader.remaining / 2)) {
                    list.append(
                        ExtendedAttribute(
                            name: try reader.blob(upTo: 255),
                            value: try reader.blob(upTo: PageFormat.attributeLimit)))
                }
                return list
            }
        }
        return entry
    }
}

/// The last entry of a page, for what follows it.
package struct PageEnd: Sendable {
    private let path: [UInt8]
    private let isDirectory: Bool

    /// Of a page that was read to its end; of one that was not read anything may follow.
    package init(_ page: PageCursor) {
        path = page.path
        isDirectory = page.kind == .directory
    }

    /// Whether an entry may come next: in order, and not below one that is no directory.
    package func mayPrecede(_ next: [UInt8]) -> Bool {
        if path.isEmpty { return true }
        return PathOrder.compare(path, next) < 0 && (isDirectory || !PathOrder.isInside(next, path))
    }
}
