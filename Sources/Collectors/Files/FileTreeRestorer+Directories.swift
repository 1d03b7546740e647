import CLinux
import Domain
import Glibc

/// How a restore enters, makes and leaves directories.
extension FileTreeRestorer {
    /// Makes the directory of `path` the current one. Nil, and accounted for, when it lies in one that is not there.
    ///
    /// Parents that never came as entries are opened, or made with access for this account alone.
    func enterParent(of path: [UInt8]) throws(CollectorError) -> CName? {
        guard PathOrder.isWellFormed(path) else {
            throw CollectorError(
                .unsafePath,
                "the archive holds a path that could lead out of the target: \(CollectorError.displayPath(path))",
                hint: "The archive was tampered with or made by another program; do not trust it.")
        }
        if let blocked {
            if PathOrder.isInside(path, blocked) {
                report(.insideNotCreated, 0, path)
                return nil
            }
            self.blocked = nil
        }
        let oldCount = frames.count
        while !currentPath.isEmpty, path.count == currentPath.count || !PathOrder.isInside(path, currentPath) {
            leaveDirectory()
        }
        if frames.count < oldCount { try reopen(path) }
        var start = currentPath.isEmpty ? 0 : currentPath.count + 1
        while let slash = path[start...].firstIndex(of: 0x2F) {
            try enterUnannounced(CName(path[start..<slash]), Array(path[..<slash]))
            start = slash + 1
        }
        return CName(path[start...])
    }

    func leaveDirectory() {
        frames.removeLast()
        stack.pop()
        currentPath.removeSubrange((frames.last?.pathCount ?? 0)...)
    }

    private func reopen(_ path: [UInt8]) throws(CollectorError) {
        switch stack.top() {
        case .success(let handle): directory = handle
        case .failure(let error): throw CollectorError.system(error.number, "cannot go back to the directory of", path)
        }
    }

    private func enterUnannounced(_ name: CName, _ path: [UInt8]) throws(CollectorError) {
        switch openDirectory(name) {
        case .success(let (handle, status)):
            enter(handle, status, name, path, wanted: nil, isNew: false)
        case .failure(let error) where error.number == ENOENT:
            let code = name.withPointer { mkdirat(directory.number, $0, 0o700) }
            guard code == 0 else { throw CollectorError.system(errno, "cannot make", path) }
            try enterNew(name, path, wanted: nil)
        case .failure(let error):
            if error.number == ELOOP || error.number == ENOTDIR { throw Self.leadsAway(path) }
            throw CollectorError.system(error.number, "cannot open", path)
        }
    }

    private static func leadsAway(_ path: [UInt8]) -> CollectorError {
        CollectorError(
            .unsafePath, "\(CollectorError.displayPath(path)) is not a directory, but the archive has entries in it",
            hint: "Restore into an empty directory. If this happens there, do not trust the archive.")
    }

    private func openDirectory(_ name: CName) -> Result<(DirectoryHandle, FileStatus), SystemError> {
        var number = name.withPointer { tree_open(directory.number, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) }
        if number == -EACCES {
            number = name.withPointer { tree_open(directory.number, $0, tree_path_only | O_DIRECTORY | O_NOFOLLOW, 0) }
        }
        guard number >= 0 else { return .failure(SystemError(number: -number)) }
        let handle = DirectoryHandle(Descriptor(number))
        return FileStatus.of(handle.number).map { (handle, $0) }
    }

    private func enter(
        _ handle: DirectoryHandle, _ status: FileStatus, _ name: CName, _ path: [UInt8],
        wanted: MetadataWriter.Wanted?, isNew: Bool
    ) {
        let top = frames[frames.count - 1]
        let record = records.add(
            in: top.record, name: name, identity: status.identity, wanted: wanted, isNew: isNew,
            mayHaveInheritedACL: isNew && top.hasDefaultACL)
        stack.push(handle, name: name, identity: status.identity)
        directory = handle
        currentPath = path
        frames.append(
            Frame(
                pathCount: path.count, record: record, isPrivate: isNew,
                hasDefaultACL: isNew ? false : Self.hasDefaultACL(handle.number)))
    }

    /// Enters a directory that was made just now and makes sure that it is still the one: in a directory open to
    /// others the name may already stand for theirs.
    private func enterNew(_ name: CName, _ path: [UInt8], wanted: MetadataWriter.Wanted?) throws(CollectorError) {
        let handle: DirectoryHandle
        let status: FileStatus
        switch openDirectory(name) {
        case .failure(let error):
            if error.number == ELOOP || error.number == ENOTDIR { throw Self.leadsAway(path) }
            throw CollectorError.system(error.number, "cannot open", path)
        case .success(let opened): (handle, status) = opened
        }
        let top = frames[frames.count - 1]
        guard top.isPrivate || status.userID == account, status.permissions & 0o077 == 0 else {
            throw CollectorError(
                .unsafePath, "\(CollectorError.displayPath(path)) was replaced while it was restored",
                hint: "Restore into a directory that only this account can write to.")
        }
        if top.hasDefaultACL {
            for acl in [MetadataWriter.accessACL, MetadataWriter.defaultACL] {
                let code = CName(acl.utf8).withPointer { tree_remove_attribute(handle.number, $0) }
                if code < 0, code != -ENODATA { throw CollectorError.system(-code, "cannot remove the ACL of", path) }
            }
        }
        let mark = wanted == nil ? 0o700 : MetadataWriter.unfinishedDirectory
        if status.permissions & mark != mark {
            let code = tree_set_mode(handle.number, 1, UInt32(status.permissions & 0o2000 | mark))
            if code < 0 { throw CollectorError.system(-code, "cannot get access to", path) }
        }
        enter(handle, status, name, path, wanted: wanted, isNew: true)
    }

    /// True also where that cannot be found out.
    static func hasDefaultACL(_ number: Int32) -> Bool {
        let code = CName(MetadataWriter.defaultACL.utf8).withPointer { tree_attribute(number, $0, nil, 0) }
        return code != -Int(ENODATA) && code != -Int(ENOTSUP)
    }

    /// Whether a restore of this account that ended before its time left this directory.
    private func isUnfinished(_ handle: DirectoryHandle, _ status: FileStatus, _ owner: UInt32) -> Bool {
        guard isOwn(status, owner) else { return false }
        switch status.permissions & ~0o2000 {
        case MetadataWriter.unfinishedDirectory: return true
        // It ended between making and marking it; a directory of somebody's own may look so too, but not for long empty.
        case MetadataWriter.newDirectory: return DirectoryContent.isEmpty(handle.number)
        default: return false
        }
    }

    func beginDirectory(
        _ name: CName, _ path: [UInt8], _ wanted: MetadataWriter.Wanted
    ) throws(CollectorError) {
        if options.inPlace || options.conflict != .refuse, case .success(let (handle, status)) = openDirectory(name) {
            // One that a restore made that ended before its time gets what is still owed to it.
            let takesOver = options.conflict == .overwrite || isUnfinished(handle, status, wanted.userID)
            // Its owner may have closed it to itself; finishing gives it the archived permissions anyway.
            if takesOver, account != 0, status.userID == account, status.permissions & 0o700 != 0o700 {
                let code = tree_set_mode(handle.number, 1, UInt32(status.permissions | 0o700))
                if code < 0 { report(.permissionsNotSet, -code, path) }
            }
            return enter(handle, status, name, path, wanted: takesOver ? wanted : nil, isNew: false)
        }
        let outcome = try create(name, path, owner: wanted.userID, unlinksFirst: true) { [directory] name in
            let mode = mode_t(MetadataWriter.newDirectory)
            return name.withPointer { mkdirat(directory.number, $0, mode) } == 0 ? 0 : errno
        }
        switch outcome {
        case .made(.direct(let made)), .made(.replacing(_, let made)): try enterNew(made, path, wanted: wanted)
        case .left: blocked = path
        case .failed(let number):
            report(.notCreated, number, path)
            blocked = path
        }
    }
}
