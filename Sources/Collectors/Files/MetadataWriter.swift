import CLinux
import Domain
import Glibc

/// Gives restored objects their owner, attributes, permissions and times.
///
/// The order is what makes the result right: a change of owner clears capabilities and the set-id bits, so it comes
/// first. Permissions come last: they take away the mark of an unfinished object (``unfinished``), and what they give the
/// mask of an ACL is what the archived ACL has there. Works on descriptors only.
/// What cannot be set becomes a problem. For use by any thread.
struct MetadataWriter: Sendable {
    /// The object and how it looks now.
    struct Object {
        var descriptor: Int32
        /// Opened with O_PATH.
        var isPath: Bool
        var status: FileStatus
        /// Made by the restore just now; false for an existing directory, whose ACLs and attributes must give way.
        var isNew: Bool
        /// It may have inherited ACLs from a default ACL above it.
        var mayHaveInheritedACL: Bool
    }

    /// What it is to look like.
    struct Wanted {
        var kind: EntryKind
        var permissions: UInt16
        var userID: UInt32
        var groupID: UInt32
        var modified: Timestamp
        var attributes: [ExtendedAttribute]
    }

    /// Permissions of a file or node until its restore is finished: nobody may read, its owner may write, because the system
    /// lets only root set attributes otherwise, and it has the sticky bit, which no system gives a file. Whoever restores
    /// again knows by them what an ended restore left, and makes it anew.
    static let unfinished: UInt16 = 0o1200
    /// The same of a directory: closed to others, with two bits that no directory has together. The system makes none with
    /// the set-user-id bit, so that it first has ``newDirectory``.
    static let unfinishedDirectory: UInt16 = 0o5700
    static let newDirectory: UInt16 = 0o1700

    let restoresOwnership: Bool
    let problems: ProblemLog

    static let accessACL = "system.posix_acl_access"
    static let defaultACL = "system.posix_acl_default"

    func apply(_ wanted: Wanted, to object: Object, path: [UInt8]) {
        let kept = applyOwner(wanted, to: object, path: path)
        if !object.isNew { removeForeignAttributes(wanted, of: object, path: path) }
        for attribute in wanted.attributes { set(attribute, on: object, path: path) }
        if object.isNew, object.mayHaveInheritedACL, wanted.kind != .symlink {
            removeInheritedACLs(wanted, of: object, path: path)
        }
        applyTime(wanted, to: object, path: path)
        guard wanted.kind != .symlink else { return }
        applyPermissions(wanted, to: object, keepsUser: kept.user, keepsGroup: kept.group, path: path)
    }

    // MARK: Owner and permissions

    /// Whether the object now belongs to the wanted user and group.
    private func applyOwner(
        _ wanted: Wanted, to object: Object, path: [UInt8]
    ) -> (user: Bool, group: Bool) {
        let hasUser = object.status.userID == wanted.userID
        let hasGroup = object.status.groupID == wanted.groupID
        guard restoresOwnership, !hasUser || !hasGroup else { return (hasUser, hasGroup) }
        let unchanged = UInt32.max
        // This number means "leave it" to the system, so nothing can be given to it.
        guard wanted.userID != unchanged, wanted.groupID != unchanged else {
            add(.ownershipNotSet, EINVAL, path)
            return (hasUser, hasGroup)
        }
        let code = tree_set_owner(object.descriptor, wanted.userID, wanted.groupID)
        if code == 0 { return (true, true) }
        add(.ownershipNotSet, -code, path)
        // Without root at least a group that the account belongs to can be given.
        let group = hasGroup || tree_set_owner(object.descriptor, unchanged, wanted.groupID) == 0
        return (hasUser, group)
    }

    /// The set-id bits lend out the rights of the owner: they are dropped when the owner is not the archived one.
    private func applyPermissions(
        _ wanted: Wanted, to object: Object, keepsUser: Bool, keepsGroup: Bool, path: [UInt8]
    ) {
        var permissions = wanted.permissions & 0o7777
        let isDirectory = wanted.kind == .directory
        if !keepsUser { permissions &= ~0o4000 }
        if !keepsGroup, !isDirectory { permissions &= ~0o2000 }
        if permissions != wanted.permissions, !restoresOwnership { add(.permissionsNotSet, 0, path) }
        // A change of owner may have cleared bits that the status still shows, and an ACL changed others.
        let mayHaveChanged =
            object.status.permissions & 0o6000 != 0 || object.mayHaveInheritedACL
            || wanted.attributes.contains(where: Self.isACL)
        if permissions == object.status.permissions, !mayHaveChanged { return }
        let code = tree_set_mode(object.descriptor, object.isPath ? 1 : 0, UInt32(permissions))
        if code < 0 { return add(.permissionsNotSet, -code, path) }
        guard permissions & 0o2000 != 0, case .success(let now) = FileStatus.of(object.descriptor) else { return }
        // The system drops set-group-id silently for an account outside the group.
        if now.permissions != permissions { add(.permissionsNotSet, EPERM, path) }
    }

    // MARK: Attributes

    private static func isACL(_ attribute: ExtendedAttribute) -> Bool {
        attribute.name.elementsEqual(accessACL.utf8) || attribute.name.elementsEqual(defaultACL.utf8)
    }

    private func set(_ attribute: ExtendedAttribute, on object: Object, path: [UInt8]) {
        let name = String(decoding: attribute.name, as: UTF8.self)
        guard !attribute.name.isEmpty, !attribute.name.contains(0) else {
            return add(.attributeNotSet, EINVAL, path, detail: name)
        }
        let code = CName(attribute.name).withPointer { key in
            attribute.value.withUnsafeBytes {
                tree_set_attribute(object.descriptor, object.isPath ? 1 : 0, key, $0.baseAddress, $0.count)
            }
        }
        if code < 0 { add(.attributeNotSet, -code, path, detail: name) }
    }

    private func removeInheritedACLs(_ wanted: Wanted, of object: Object, path: [UInt8]) {
        guard !object.isPath else { return }
        for name in [Self.accessACL, Self.defaultACL] {
            if name == Self.defaultACL, wanted.kind != .directory { continue }
            if wanted.attributes.contains(where: { $0.name.elementsEqual(name.utf8) }) { continue }
            remove(Array(name.utf8), of: object, path: path)
        }
    }

    /// Of an existing directory that takes the archived state: all attributes but the label of a security module that
    /// the archive knows nothing about.
    private func removeForeignAttributes(_ wanted: Wanted, of object: Object, path: [UInt8]) {
        guard !object.isPath else { return }
        var existing: [ExtendedAttribute] = []
        if let failure = AttributeReader().read(.descriptor(object.descriptor), into: &existing) {
            add(.attributeNotSet, failure.number, path, detail: failure.detail)
        }
        for attribute in existing where !wanted.attributes.contains(where: { $0.name == attribute.name }) {
            if attribute.name.elementsEqual("security.selinux".utf8) { continue }
            remove(attribute.name, of: object, path: path)
        }
    }

    private func remove(_ name: [UInt8], of object: Object, path: [UInt8]) {
        let code = CName(name).withPointer { tree_remove_attribute(object.descriptor, $0) }
        if code < 0, code != -ENODATA, code != -ENOTSUP {
            add(.attributeNotSet, -code, path, detail: String(decoding: name, as: UTF8.self))
        }
    }

    // MARK: Time

    private func applyTime(_ wanted: Wanted, to object: Object, path: [UInt8]) {
        let time = wanted.modified
        // Greater numbers have a meaning of their own to the system.
        guard time.nanoseconds < 1_000_000_000 else { return add(.timeNotSet, EINVAL, path) }
        let code = tree_set_modified(object.descriptor, object.isPath ? 1 : 0, time.seconds, time.nanoseconds)
        if code < 0 { return add(.timeNotSet, -code, path) }
        // File systems quietly bend times that they cannot keep.
        guard time.seconds < 0 || time.seconds > Int64(Int32.max) else { return }
        guard case .success(let now) = FileStatus.of(object.descriptor), now.modified == time else {
            return add(.timeNotSet, ERANGE, path)
        }
    }

    private func add(_ what: FileProblem.What, _ number: Int32, _ path: [UInt8], detail: String = "") {
        problems.add(FileProblem(path: path, what: what, systemError: number, detail: detail))
    }
}

extension MetadataWriter.Wanted {
    /// `owners` looks up names where that is asked for.
    init(_ entry: Entry, owners: inout OwnerNumbers) {
        kind = entry.kind
        permissions = entry.permissions
        (userID, groupID) = owners.numbers(for: entry)
        modified = entry.modified
        attributes = entry.attributes
    }
}

/// Numbers of users and groups on this host, looked up once for each name.
struct OwnerNumbers {
    let goesByName: Bool
    private var users: [[UInt8]: Int64] = [:]
    private var groups: [[UInt8]: Int64] = [:]

    init(goesByName: Bool) { self.goesByName = goesByName }

    mutating func numbers(for entry: Entry) -> (user: UInt32, group: UInt32) {
        guard goesByName else { return (entry.userID, entry.groupID) }
        let user = Self.find(entry.userName, in: &users, otherwise: entry.userID, tree_user_number)
        return (user, Self.find(entry.groupName, in: &groups, otherwise: entry.groupID, tree_group_number))
    }

    private static func find(
        _ name: [UInt8], in known: inout [[UInt8]: Int64], otherwise number: UInt32,
        _ lookUp: (UnsafePointer<CChar>?) -> Int64
    ) -> UInt32 {
        guard !name.isEmpty, !name.contains(0) else { return number }
        let found = known[name] ?? CName(name).withPointer { lookUp($0) }
        known[name] = found
        return UInt32(exactly: found) ?? number
    }
}
