/// A point in time as the Linux file system keeps it: seconds since 1970 (negative before), nanoseconds 0..<10^9.
package struct Timestamp: Hashable, Sendable, Comparable {
    package var seconds: Int64
    package var nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }
}

/// What kind of thing an entry is. Raw values are those of vault format 1.
package enum EntryKind: UInt8, Sendable, CaseIterable {
    case file = 0
    case directory = 1
    case symlink = 2
    case fifo = 3
    case socket = 4
    case characterDevice = 5
    case blockDevice = 6
}

/// One extended attribute: POSIX ACLs and file capabilities are attributes too (`system.posix_acl_access`,
/// `security.capability`), kept as their raw bytes.
package struct ExtendedAttribute: Hashable, Sendable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// Everything Linux tells about one name in a tree, except the content of a file.
///
/// `path` is raw bytes, relative to `/`, components joined by `/`, never empty for a real entry, never starting or
/// ending with `/`, no component empty, `.` or `..`; at most ``maximumPathBytes``.
package struct Entry: Hashable, Sendable {
    package static let maximumPathBytes = 65_535
    package static let maximumAttributeBytes = 1 << 20

    package var path: [UInt8]
    package var kind: EntryKind
    /// The low twelve bits of `st_mode`: set-uid, set-gid, sticky and the nine permission bits.
    package var permissions: UInt16
    package var userID: UInt32
    package var groupID: UInt32
    /// Names of owner and group on the host that was read; empty where it had none.
    package var userName: [UInt8] = []
    package var groupName: [UInt8] = []
    /// Bytes of content for a file, of the target for a link, 0 otherwise.
    package var size: UInt64
    package var modified: Timestamp
    package var changed: Timestamp
    package var device: UInt64
    package var inode: UInt64
    package var linkCount: UInt32
    /// `st_rdev` of a device node, 0 otherwise.
    package var deviceNumber: UInt64 = 0
    /// Target of a symbolic link, raw bytes; empty otherwise.
    package var linkTarget: [UInt8] = []
    /// Sorted by name, each name once.
    package var attributes: [ExtendedAttribute] = []
    /// Changed so shortly before it was read that an equal stamp later proves nothing: it is read again next time.
    package var isRacy = false
    /// Changed while it was read; the archived content may mix two states.
    package var changedWhileRead = false

    package init(
        path: [UInt8], kind: EntryKind, permissions: UInt16, userID: UInt32, groupID: UInt32, size: UInt64,
        modified: Timestamp, changed: Timestamp, device: UInt64, inode: UInt64, linkCount: UInt32
    ) {
        self.path = path
        self.kind = kind
        self.permissions = permissions
        self.userID = userID
        self.groupID = groupID
        self.size = size
        self.modified = modified
        self.changed = changed
        self.device = device
        self.inode = inode
        self.linkCount = linkCount
    }

    /// The path as text for people: invalid UTF-8 shows as replacement characters, and a leading `/` is added.
    package var displayPath: String { "/" + String(decoding: path, as: UTF8.self) }
}

/// The order of entries in a tree: component by component, bytes unsigned, a directory before what is in it.
///
/// It equals comparing the paths as bytes with `/` lower than every other byte.
package enum PathOrder {
    package static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let common = min(a.count, b.count)
        var at = 0
        while at < common, a[at] == b[at] { at += 1 }
        if at == common { return a.count == b.count ? 0 : (a.count < b.count ? -1 : 1) }
        let x = a[at] == 0x2F ? 0 : UInt16(a[at]) + 1
        let y = b[at] == 0x2F ? 0 : UInt16(b[at]) + 1
        return x < y ? -1 : 1
    }

    package static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        a.withUnsafeBytes { x in b.withUnsafeBytes { y in compare(x, y) } }
    }

    /// Whether `path` is `directory` or lies below it. The empty directory is the root and holds everything.
    package static func isInside(_ path: [UInt8], _ directory: [UInt8]) -> Bool {
        if directory.isEmpty { return true }
        guard path.count >= directory.count, path.starts(with: directory) else { return false }
        return path.count == directory.count || path[directory.count] == 0x2F
    }

    /// Whether the bytes obey the rules of ``Entry/path``.
    package static func isWellFormed(_ path: [UInt8]) -> Bool {
        path.withUnsafeBufferPointer { isWellFormed($0, from: 0) }
    }

    /// As above, when the components that end before `start` were checked already.
    package static func isWellFormed(_ path: UnsafeBufferPointer<UInt8>, from start: Int) -> Bool {
        guard !path.isEmpty, path.count <= Entry.maximumPathBytes else { return false }
        var at = start
        while at > 0, path[at - 1] != 0x2F { at -= 1 }
        var length = 0
        var dots = 0
        while at <= path.count {
            let byte = at == path.count ? 0x2F : path[at]
            if byte == 0x2F {
                if length == 0 || dots == length && length <= 2 { return false }
                length = 0
                dots = 0
            } else {
                if byte == 0 { return false }
                length += 1
                if byte == 0x2E { dots += 1 }
            }
            at += 1
        }
        return true
    }
}
