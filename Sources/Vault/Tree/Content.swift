package import Domain

/// Where the content of a file lies, while its chunks may not have their ids yet.
enum ChunkHandle: Hashable, Sendable {
    case known(Digest)
    /// Number of a chunk of this session whose id a worker will tell.
    case pending(Int)
}

/// One run of bytes of a file: a chunk, or a hole (`chunk` nil) that reads as zeros.
struct PendingExtent: Sendable {
    var length: UInt64
    var chunk: ChunkHandle?
}

enum PendingContent: Sendable {
    case none
    case member(ChunkHandle, Int)
    case extents([PendingExtent])
}

/// One run of bytes of an archived file.
package struct Extent: Sendable, Hashable {
    package var length: UInt64
    /// Nil for a hole.
    package var chunk: Digest?
}

/// Where the content of an archived file lies.
package enum Content: Sendable, Hashable {
    case none
    /// One of the small files of a group, counted from 0.
    case member(group: Digest, index: Int)
    case extents([Extent])
}

/// The numbers of an entry that a page stores beside its path, owner and content.
struct EntryStat: Sendable {
    var kind = EntryKind.file
    var isRacy = false
    var changedWhileRead = false
    var permissions: UInt16 = 0
    var device: UInt64 = 0
    var inode: UInt64 = 0
    var linkCount: UInt32 = 1
    var modified = Timestamp(seconds: 0)
    var changed = Timestamp(seconds: 0)
    var size: UInt64 = 0
    var deviceNumber: UInt64 = 0

    init() {}

    init(_ entry: Entry) {
        kind = entry.kind
        isRacy = entry.isRacy
        changedWhileRead = entry.changedWhileRead
        permissions = entry.permissions
        device = entry.device
        inode = entry.inode
        linkCount = entry.linkCount
        modified = entry.modified
        changed = entry.changed
        size = entry.size
        deviceNumber = entry.deviceNumber
    }
}

struct Owner: Hashable, Sendable {
    var user: UInt32
    var group: UInt32
    var userName: [UInt8]
    var groupName: [UInt8]

    /// A name that is longer than format 1 allows is left out: the number remains.
    init(user: UInt32, group: UInt32, userName: [UInt8], groupName: [UInt8]) {
        self.user = user
        self.group = group
        self.userName = userName.count <= PageFormat.ownerNameLimit ? userName : []
        self.groupName = groupName.count <= PageFormat.ownerNameLimit ? groupName : []
    }
}

enum PageFormat {
    static let entryLimit = 1 << 20
    /// Owners, and devices, of one page.
    static let tableLimit = 1 << 16
    /// Runs of one file; see ``ArchiveSession/Limits`` for what a writer makes of it.
    static let extentLimit = 1 << 20
    static let childLimit = 65_536
    /// Names and values of one entry's attributes together, without their lengths.
    static let attributeLimit = Entry.maximumAttributeBytes
    static let ownerNameLimit = 1024
    static let linkTargetLimit = 1 << 16
    static let flagRacy: UInt8 = 1 << 3
    static let flagChanged: UInt8 = 1 << 4
    static let flagAttributes: UInt8 = 1 << 5
    static let flagMember: UInt8 = 1 << 6
    static let flagLinks: UInt8 = 1 << 7
}
