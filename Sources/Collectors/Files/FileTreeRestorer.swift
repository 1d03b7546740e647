import CLinux
package import Domain
import Glibc

/// Writes entries into a target directory.
///
/// Invariants:
/// - nothing outside the target is created, changed or removed: every name is used relative to the descriptor of its
///   directory, every directory is opened name by name from the target and never through a link, paths are refused
///   unless they are well formed, and new objects are made exclusively;
/// - an existing file is never opened for writing, so neither its other names nor what a link points to can change;
/// - directories belong to the restoring account alone until ``finishDirectories()``;
/// - what cannot be restored fully is a problem, never silence; what makes going on pointless or unsafe throws.
///
/// ``begin(_:as:)``, ``linkIfKnown(_:as:)`` and ``finishDirectories()`` are for one thread, with entries in
/// ``PathOrder``, each path once; the files that `begin` hands out are filled and finished by any. In a directory that is
/// the restore's own alone they are made by those as well, because nothing can be in their way.
package final class FileTreeRestorer {
    package let problems = ProblemLog()
    /// Entries left alone because something existed in their place, under ``ConflictPolicy/skip``.
    package internal(set) var skippedCount = 0
    /// The name that the last entry got in place of its own, under ``ConflictPolicy/keepBoth``.
    package private(set) var newName: [UInt8]?
    /// Whether the last entry, as far as it was begun, is in the target by this restore.
    package private(set) var isLastRestored = true

    let options: RestoreOptions
    let metadata: MetadataWriter
    let target: DirectoryHandle
    let account = geteuid()
    private var owners: OwnerNumbers
    var records = RestoredDirectories()
    var stack: DirectoryStack
    var frames: [Frame]
    /// The archived path of the current directory.
    var currentPath: [UInt8] = []
    /// The current directory, and the name of the entry at hand in it.
    var directory: DirectoryHandle
    /// A directory that could not be made, or in whose place something else was left: what is in it cannot be restored.
    var blocked: [UInt8]?
    private var sources: [FileIdentity: Source] = [:]
    var temporaryCount = 0

    struct Frame {
        var pathCount: Int
        /// Index in ``records``.
        var record: Int
        /// Made by this restore and closed to everybody else.
        var isPrivate: Bool
        /// New objects in it may inherit an ACL.
        var hasDefaultACL: Bool
    }

    /// A restored file that other names of the archive may share.
    private struct Source {
        var record: Int
        var name: CName
        var identity: FileIdentity
        /// Names in the archive that may still come.
        var remaining: UInt32
    }

    /// Opens the target, which is made when it is missing, and its parents with it.
    package init(_ options: RestoreOptions) throws(CollectorError) {
        guard !options.target.isEmpty, !options.target.contains(0) else {
            throw CollectorError(.invalidInput, "the target is not a path", hint: "Name a directory to restore into.")
        }
        self.options = options
        var isNew = false
        if let folder = options.folder {
            target = folder
        } else {
            isNew = try Self.makeTarget(options.target)
            target = try Self.open(target: options.target)
        }
        directory = target
        stack = DirectoryStack(root: target)
        owners = OwnerNumbers(goesByName: options.ownersByName)
        metadata = MetadataWriter(restoresOwnership: options.restoresOwnership, problems: problems)
        frames = [
            Frame(pathCount: 0, record: 0, isPrivate: isNew, hasDefaultACL: Self.hasDefaultACL(target.number))
        ]
    }

    private static func open(target path: [UInt8]) throws(CollectorError) -> DirectoryHandle {
        let number = CName(path).withPointer { tree_open(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY, 0) }
        guard number != -ENOTDIR else {
            throw CollectorError(
                .invalidInput, "the target \(CollectorError.displayPath(path)) is not a directory",
                hint: "Name a directory, or a path where there is nothing yet.")
        }
        guard number >= 0 else { throw CollectorError.system(-number, "cannot open the target", path) }
        return DirectoryHandle(Descriptor(number))
    }

    /// Of a directory that a restore made and has not finished: when its entry comes it gets what is archived of it.
    package static let unfinishedDirectory = MetadataWriter.unfinishedDirectory

    /// Whether the last component was made; it is then closed to others.
    @discardableResult
    package static func makeTarget(_ path: [UInt8]) throws(CollectorError) -> Bool {
        var isNew = false
        for end in path.indices.dropFirst() where path[end] == 0x2F && path[end - 1] != 0x2F {
            _ = try make(path[..<end], 0o755)
        }
        if path.last != 0x2F { isNew = try make(path[...], 0o700) }
        return isNew
    }

    private static func make(_ path: ArraySlice<UInt8>, _ mode: mode_t) throws(CollectorError) -> Bool {
        if CName(path).withPointer({ mkdir($0, mode) }) == 0 { return true }
        let number = errno
        // These may come before EEXIST although the directory is there.
        let mayExist = number == EROFS || number == EACCES
        guard number == EEXIST || mayExist && CName(path).withPointer({ access($0, F_OK) }) == 0 else {
            throw CollectorError.system(number, "cannot make the target", Array(path))
        }
        return false
    }

    /// Starts to restore `entry` under `path`, relative to the target. A file with content, or one that is still to be
    /// made, is handed out to be filled; everything else is done (or skipped, or a problem) when this returns nil.
    ///
    /// Throws `.conflict` under ``ConflictPolicy/refuse``, `.unsafePath` for a path that could leave the target, and
    /// for errors that concern the whole restore, such as a full disk.
    package func begin(_ entry: Entry, as path: [UInt8]) throws(CollectorError) -> RestoringFile? {
        newName = nil
        isLastRestored = true
        guard let name = try enterParent(of: path) else { return nil }
        let wanted = MetadataWriter.Wanted(entry, owners: &owners)
        switch entry.kind {
        case .directory:
            try beginDirectory(name, path, wanted)
            return nil
        case .file: return try beginFile(entry, name, path, wanted)
        case .symlink, .fifo, .socket, .characterDevice, .blockDevice:
            try restoreNode(entry, name, path, wanted)
            return nil
        }
    }

    /// Restores `entry` as one more name of a file restored before, which may still be in the making. False when the
    /// first of its names is yet to come, or cannot be linked to (a problem): then ``begin(_:as:)`` makes a new file.
    package func linkIfKnown(_ entry: Entry, as path: [UInt8]) throws(CollectorError) -> Bool {
        let key = FileIdentity(device: entry.device, inode: entry.inode)
        guard entry.linkCount > 1, entry.kind != .directory, let source = sources[key] else { return false }
        newName = nil
        isLastRestored = true
        guard let name = try enterParent(of: path) else { return true }
        sources[key]?.remaining -= 1
        if source.remaining <= 1 { sources[key] = nil }
        let opened = open(source)
        let outcome: Outcome
        switch consume opened {
        case .failure(let error): outcome = .failed(error.number)
        case .success(let descriptor):
            let owner = owners.numbers(for: entry).user
            outcome = try create(name, path, owner: owner, unlinksFirst: false) { [directory] name in
                -name.withPointer { tree_link(descriptor.number, directory.number, $0) }
            }
        }
        switch outcome {
        case .made(let naming): complete(naming, path)
        case .left: break
        case .failed(let number):
            sources[key] = nil
            report(.hardLinkNotKept, number, path)
            return false
        }
        return true
    }

    /// Gives all directories their metadata, deepest first; to be called once, when every file is finished.
    package func finishDirectories() throws(CollectorError) {
        while frames.count > 1 { leaveDirectory() }
        directory = target
        currentPath = []
        records.finish(target: target, metadata)
    }

    /// Waits until the file system of the target has everything on storage.
    package func sync() throws(CollectorError) {
        let code = tree_sync(target.number)
        if code < 0 { throw CollectorError.system(-code, "cannot sync the file system of", options.target) }
    }

    func leave() {
        skippedCount += 1
        isLastRestored = false
    }

    func rename(to name: CName) { newName = Array(name.bytes) }

    func report(_ what: FileProblem.What, _ number: Int32, _ path: [UInt8]) {
        if [.notCreated, .insideNotCreated, .kindConflict].contains(what) { isLastRestored = false }
        problems.add(FileProblem(path: path, what: what, systemError: number))
    }
}

extension FileTreeRestorer {
    // MARK: Files

    private func beginFile(
        _ entry: Entry, _ name: CName, _ path: [UInt8], _ wanted: MetadataWriter.Wanted
    ) throws(CollectorError) -> RestoringFile? {
        let top = frames[frames.count - 1]
        func file(_ naming: RestoringFile.Naming, _ descriptor: Int32?) -> RestoringFile {
            RestoringFile(
                path: path, size: entry.size, isSparse: options.sparse, isSynced: options.isSynced,
                descriptor: descriptor, parent: directory, naming: naming, mayHaveInheritedACL: top.hasDefaultACL,
                wanted: wanted, metadata: metadata)
        }
        // A file system that ignores case takes two names of the archive for one: to keep both, they are made in turn.
        if top.isPrivate, entry.linkCount <= 1, options.conflict != .keepBoth { return file(.direct(name), nil) }
        var number: Int32 = -1
        let unlinksFirst = entry.linkCount > 1
        let outcome = try create(name, path, owner: wanted.userID, unlinksFirst: unlinksFirst) { [directory] name in
            number = RestoringFile.make(name, in: directory)
            return number < 0 ? -number : 0
        }
        let made: RestoringFile
        switch outcome {
        case .made(let naming):
            made = file(naming, number)
            try remember(entry, naming, number, path)
        case .left: return nil
        case .failed(let number):
            report(.notCreated, number, path)
            return nil
        }
        guard entry.size > 0 else {
            try made.finish()
            return nil
        }
        try made.reserveRoom(number)
        return made
    }

    // MARK: Links and nodes

    private func restoreNode(
        _ entry: Entry, _ name: CName, _ path: [UInt8], _ wanted: MetadataWriter.Wanted
    ) throws(CollectorError) {
        if entry.kind == .symlink, entry.linkTarget.isEmpty || entry.linkTarget.contains(0) {
            return report(.notCreated, EINVAL, path)
        }
        let outcome = try create(name, path, owner: wanted.userID, unlinksFirst: false) { [directory] name in
            Self.makeNode(entry, name, in: directory.number)
        }
        switch outcome {
        case .left: return
        case .failed(let number): return report(.notCreated, number, path)
        case .made(let naming):
            switch naming.first.withPointer({ Descriptor.open($0, in: directory.number, tree_path_only) }) {
            case .failure(let error): return report(.changed, error.number, path)
            case .success(let descriptor):
                // One name only: otherwise somebody put a link to a file of theirs, or of others, in its place.
                guard case .success(let status) = FileStatus.of(descriptor.number), status.kind == entry.kind,
                    status.linkCount == 1
                else { return report(.changed, 0, path) }
                let object = MetadataWriter.Object(
                    descriptor: descriptor.number, isPath: true, status: status, isNew: true,
                    mayHaveInheritedACL: false)
                metadata.apply(wanted, to: object, path: path)
                if complete(naming, path) { remember(entry, naming, status) }
            }
        }
    }

    private static func makeNode(_ entry: Entry, _ name: CName, in directory: Int32) -> Int32 {
        let type: mode_t
        switch entry.kind {
        case .symlink:
            let target = CName(entry.linkTarget)
            let code = target.withPointer { target in name.withPointer { symlinkat(target, directory, $0) } }
            return code == 0 ? 0 : errno
        case .fifo: type = S_IFIFO
        case .socket: type = S_IFSOCK
        case .characterDevice: type = S_IFCHR
        case .blockDevice: type = S_IFBLK
        case .file, .directory: return EINVAL
        }
        let code = name.withPointer {
            mknodat(directory, $0, type | mode_t(MetadataWriter.unfinished), dev_t(entry.deviceNumber))
        }
        return code == 0 ? 0 : errno
    }

    // MARK: Hard links

    /// A file that was made just now and is open as `number`.
    private func remember(
        _ entry: Entry, _ naming: RestoringFile.Naming, _ number: Int32, _ path: [UInt8]
    ) throws(CollectorError) {
        guard entry.linkCount > 1 else { return }
        switch FileStatus.of(number) {
        case .success(let status): remember(entry, naming, status)
        case .failure(let error): throw CollectorError.system(error.number, "cannot examine", path)
        }
    }

    private func remember(_ entry: Entry, _ naming: RestoringFile.Naming, _ status: FileStatus) {
        guard entry.linkCount > 1 else { return }
        let name =
            switch naming {
            case .direct(let name), .replacing(_, let name): name
            }
        sources[FileIdentity(device: entry.device, inode: entry.inode)] = Source(
            record: frames[frames.count - 1].record, name: name, identity: status.identity,
            remaining: entry.linkCount - 1)
    }

    /// Opens a restored file anew from the target on; ESTALE when its name now stands for another.
    private func open(_ source: Source) -> Result<Descriptor, SystemError> {
        var path = records.path(of: source.record)
        if !path.isEmpty { path.append(0x2F) }
        path += source.name.bytes
        switch target.reach(path, tree_path_only) {
        case .failure(let error): return .failure(error)
        case .success(let descriptor):
            switch FileStatus.of(descriptor.number) {
            case .failure(let error): return .failure(error)
            case .success(let status):
                guard status.identity == source.identity else { return .failure(SystemError(number: ESTALE)) }
                return .success(descriptor)
            }
        }
    }

    /// Calls `body` with a descriptor for reading what has the path `path`, as it was written, below the target; -1 where it
    /// cannot be opened.
    package func read<R>(_ path: [UInt8], _ body: (Int32) throws -> R) rethrows -> R {
        switch target.reach(path, O_RDONLY | O_NONBLOCK) {
        case .failure: return try body(-1)
        case .success(let descriptor): return try body(descriptor.number)
        }
    }
}
