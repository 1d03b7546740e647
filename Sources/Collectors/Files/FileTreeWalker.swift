import CLinux
package import Domain
import Glibc

/// Walks the trees of a source, one entry for each call, in ``PathOrder``.
///
/// Invariants:
/// - links are never followed; what is opened is compared with what was examined (device, inode, kind);
/// - memory is bounded by the names of the directories on the current branch, descriptors by
///   ``DirectoryStack/openLimit``, whatever the size, depth or width of the tree, and what is looked at ahead by the limits of
///   ``WalkAhead``;
/// - everything under a root is either handed out, reported as excluded, or a problem;
/// - a problem with one entry never stops the walk; only what concerns all of it throws.
///
/// The directories above the roots are handed out too, so that every entry has its parents before it.
/// For use by one thread at a time.
package final class FileTreeWalker {
    /// The current entry. What `stat` tells is there; links, attributes and names of owners come with
    /// ``loadDetails()``.
    package internal(set) var entry: Entry
    /// Blocks of 512 bytes that the current entry occupies: less than its size says that there are holes.
    package internal(set) var blocks: UInt64 = 0
    /// The roots in use: resolved and merged, relative to `/`; one that is empty for a directory that is held open.
    package let roots: [[UInt8]]
    package let problems = ProblemLog()

    struct Frame {
        var next = 0
        var end = 0
        var mark: NameArena.Mark
        /// Length of the path of this directory; 0 for `/`.
        var pathCount: Int
        /// Where paths relative to the source's root begin; nil above the roots.
        var relativeStart: Int?
        /// Above the roots: those that lie in here.
        var roots = 0..<0
        /// What was found in it ahead.
        var found: FoundDirectory?
        /// The name up to which subdirectories were offered to be looked at ahead.
        var offered = 0
    }

    let options: WalkOptions
    private let walkRoots: WalkRoots
    let names = NameArena()
    let attributes: AttributeReader
    var owners = OwnerNames()
    var frames: [Frame] = []
    private var directories: DirectoryStack
    /// Keeps the directory of the current entry open; its number is ``directory``.
    var handle: DirectoryHandle
    var directory: Int32
    var current = 0
    private var descends = false
    private var hasStarted = false
    var linkBuffer: [UInt8] = []
    /// The file system that was asked last whether it makes its contents up.
    var lastAsked: (device: UInt64, isMadeUp: Bool)?
    var seek = Seek()
    /// Nil where the walk goes alone.
    var ahead: WalkAhead?
    /// Of what was found in the directories on the current branch.
    var usedBytes = 0

    /// The way to the path after which a resumed walk begins.
    struct Seek {
        var components: [[UInt8]] = []
        /// How many of them lead to the current directory; nil once the walk is past the path.
        var depth: Int?
        /// The name that leads on; it was handed out before.
        var passed: Int?
    }

    /// A root that does not exist or cannot be examined fails here, before anything is read.
    package convenience init(_ options: WalkOptions) throws(CollectorError) {
        try self.init(options, usesAttributeCalls: tree_has_attribute_calls() == 1)
    }

    /// What is in a directory that is held open, whatever has its path by now: all paths are relative to it.
    package convenience init(in folder: DirectoryHandle, excludes: ExcludePatterns) {
        self.init(
            WalkOptions(roots: [], excludes: excludes), WalkRoots(), from: folder,
            usesAttributeCalls: tree_has_attribute_calls() == 1)
    }

    /// `usesAttributeCalls` false reads attributes as on kernels before 6.13.
    convenience init(_ options: WalkOptions, usesAttributeCalls: Bool) throws(CollectorError) {
        let roots = try WalkRoots(options.roots)
        switch CName("/".utf8).withPointer({ Descriptor.open($0, in: AT_FDCWD, tree_path_only | O_DIRECTORY) }) {
        case .failure(let error): throw CollectorError.system(error.number, "cannot open", [])
        case .success(let descriptor):
            self.init(options, roots, from: DirectoryHandle(descriptor), usesAttributeCalls: usesAttributeCalls)
        }
    }

    private init(_ options: WalkOptions, _ walkRoots: WalkRoots, from handle: DirectoryHandle, usesAttributeCalls: Bool)
    {
        self.walkRoots = walkRoots
        self.handle = handle
        self.options = options
        roots = walkRoots.all.map(\.path)
        attributes = AttributeReader(usesCalls: usesAttributeCalls)
        directory = handle.number
        directories = DirectoryStack(root: handle)
        if options.walksAhead { ahead = WalkAhead(options) }
        entry = Entry(
            path: [], kind: .directory, permissions: 0, userID: 0, groupID: 0, size: 0, modified: .init(seconds: 0),
            changed: .init(seconds: 0), device: 0, inode: 0, linkCount: 0)
    }

    deinit { ahead?.end() }

    /// Begins after `path` (relative to `/`) instead of at the beginning: nothing up to and including it is handed
    /// out, and of what is before it only the directories that lead to it are read. To be called before the first
    /// ``next()``; exclusions before it are not reported again.
    package func seek(after path: [UInt8]) {
        precondition(!hasStarted, "a walk that has begun cannot seek")
        seek = Seek(components: path.split(separator: 0x2F).map { Array($0) }, depth: path.isEmpty ? nil : 0)
    }

    /// Advances to the next entry; false after the last.
    package func next() throws(CollectorError) -> Bool {
        do throws(CollectorError) {
            if try advance() { return true }
        } catch {
            goAlone()
            throw error
        }
        goAlone()
        return false
    }

    private func advance() throws(CollectorError) -> Bool {
        if !hasStarted {
            hasStarted = true
            enterRoot()
        }
        if descends {
            descends = false
            try descend()
        }
        while let top = frames.indices.last {
            let index = frames[top].next
            if index == frames[top].end {
                try leave()
                continue
            }
            frames[top].next = index + 1
            if try examine(index, in: top) { return true }
        }
        return false
    }

    /// Descriptors of directories in use.
    var openDirectories: Int { directories.openCount }

    // MARK: Names to entries

    /// Whether the name became the current entry.
    private func examine(_ index: Int, in top: Int) throws(CollectorError) -> Bool {
        let wasPassed = seek.passed == index
        if !wasPassed { seek.depth = nil }
        seek.passed = nil
        current = index
        let name = names.name(index)
        guard frames[top].pathCount + 1 + name.count <= Entry.maximumPathBytes else {
            seek.depth = nil
            entry.path.removeSubrange(frames[top].pathCount...)
            entry.path.append(contentsOf: "/".utf8)
            entry.path.append(contentsOf: name)
            report(.pathTooLong)
            return false
        }
        Self.replace(&entry.path, after: frames[top].pathCount, by: name)
        let hint = names.isDirectory(index)
        if let hint, isExcluded(isDirectory: hint, in: top) { return false }
        var raw = tree_stat()
        if !isFound(index, in: top, &raw) {
            let code = names.withPointer(index) { tree_stat_at(directory, $0, &raw) }
            guard code == 0 else {
                seek.depth = nil
                try reportUnlessFatal(-code, what: -code == ENOENT ? .vanished : .unreadable)
                return false
            }
        }
        guard take(FileStatus(raw)) else {
            seek.depth = nil
            report(.unknownKind)
            return false
        }
        if hint == nil, isExcluded(isDirectory: entry.kind == .directory, in: top) { return false }
        descends = entry.kind == .directory && isDescended(in: top)
        guard wasPassed else { return true }
        if let depth = seek.depth { seek.depth = depth + 1 == seek.components.count ? nil : depth + 1 }
        if !descends { seek.depth = nil }
        if descends {
            descends = false
            try descend()
        }
        return false
    }

    private func isExcluded(isDirectory: Bool, in top: Int) -> Bool {
        guard let start = frames[top].relativeStart, !options.excludes.isEmpty else { return false }
        let excluded = entry.path.withUnsafeBytes {
            options.excludes.isExcluded(
                relativePath: UnsafeRawBufferPointer(rebasing: $0[start...]), isDirectory: isDirectory)
        }
        if excluded {
            seek.depth = nil
            options.onExcluded?(entry.path, .pattern)
        }
        return excluded
    }

    /// False for a kind that cannot be archived.
    @inline(__always)
    private func take(_ status: FileStatus) -> Bool {
        guard let kind = status.kind else { return false }
        Self.describe(&entry, kind, status)
        Self.forgetDetails(&entry)
        blocks = status.blocks
        return true
    }

    /// On `inout`, because each access to the property of a class is checked when it runs, and these would be a dozen a file.
    static func describe(_ entry: inout Entry, _ kind: EntryKind, _ status: FileStatus) {
        entry.kind = kind
        entry.permissions = status.permissions
        entry.userID = status.userID
        entry.groupID = status.groupID
        entry.size = kind == .file || kind == .symlink ? status.size : 0
        entry.modified = status.modified
        entry.changed = status.changed
        entry.device = status.identity.device
        entry.inode = status.identity.inode
        entry.linkCount = status.linkCount
        entry.deviceNumber = kind == .characterDevice || kind == .blockDevice ? status.deviceNumber : 0
    }

    private static func forgetDetails(_ entry: inout Entry) {
        if !entry.userName.isEmpty { entry.userName = [] }
        if !entry.groupName.isEmpty { entry.groupName = [] }
        if !entry.linkTarget.isEmpty { entry.linkTarget = [] }
        if !entry.attributes.isEmpty { entry.attributes = [] }
    }

    private static func replace(_ path: inout [UInt8], after count: Int, by name: UnsafeRawBufferPointer) {
        path.removeSubrange(count...)
        if count > 0 { path.append(0x2F) }
        path.append(contentsOf: name)
    }

    private func isDescended(in top: Int) -> Bool {
        if frames[top].relativeStart == nil, rootHere(in: top) == nil { return true }
        if options.excludedTrees.contains(FileIdentity(device: entry.device, inode: entry.inode)) {
            options.onExcluded?(entry.path, .excludedTree)
            return false
        }
        if options.oneFileSystem, !walkRoots.devices.contains(entry.device) {
            options.onExcluded?(entry.path, .otherFileSystem)
            return false
        }
        return true
    }

    /// Above the roots: the root that the current path is, nil when it is an ancestor of one.
    private func rootHere(in top: Int) -> WalkRoots.Root? {
        for index in frames[top].roots where walkRoots.all[index].path == entry.path { return walkRoots.all[index] }
        return nil
    }

    // MARK: Directories

    private func enterRoot() {
        let all = walkRoots.all
        let mark = names.mark
        if all.first?.path.isEmpty == true {
            switch CName(".".utf8).withPointer({ Descriptor.openUntraced($0, in: directory, O_DIRECTORY) }) {
            case .failure(let error): report(.unreadable, error.number)
            case .success(let descriptor): list(descriptor.number)
            }
            enter(Frame(mark: mark, pathCount: 0, relativeStart: 0))
        } else {
            enterAncestor(mark: mark, pathCount: 0, roots: all.indices, depth: 0)
        }
    }

    /// Opens the current entry, a directory, and makes its names the next to come.
    private func descend() throws(CollectorError) {
        let top = frames.count - 1
        let name = CName(names.name(current))
        let identity = FileIdentity(device: entry.device, inode: entry.inode)
        let parent = frames[top]
        let isAncestor = parent.relativeStart == nil && rootHere(in: top) == nil
        let taken = isAncestor ? nil : takeFound(identity, in: top)
        var opened = taken?.handle
        if opened == nil { opened = try open(name, identity, isAncestor: isAncestor) }
        guard let opened else { return }
        handle = opened
        directory = handle.number
        directories.push(handle, name: name, identity: identity)
        let mark = names.mark
        let pathCount = entry.path.count
        if isAncestor {
            let inside = parent.roots.filter { PathOrder.isInside(walkRoots.all[$0].path, entry.path) }
            let range = (inside.first ?? 0)..<((inside.last ?? -1) + 1)
            enterAncestor(mark: mark, pathCount: pathCount, roots: range, depth: directories.depth)
        } else {
            if let taken { names.append(taken.found.names) } else { list(directory) }
            enter(
                Frame(
                    mark: mark, pathCount: pathCount, relativeStart: parent.relativeStart ?? pathCount + 1,
                    found: taken?.found))
        }
    }

    /// Nil after a problem.
    private func open(
        _ name: CName, _ identity: FileIdentity, isAncestor: Bool
    ) throws(CollectorError) -> DirectoryHandle? {
        let opened = name.withPointer {
            isAncestor
                ? Descriptor.open($0, in: directory, tree_path_only | O_DIRECTORY)
                : Descriptor.openUntraced($0, in: directory, O_DIRECTORY)
        }
        switch consume opened {
        case .failure(let error):
            if goesAlone(after: error.number) { return try open(name, identity, isAncestor: isAncestor) }
            seek.depth = nil
            let isOther = error.number == ELOOP || error.number == ENOTDIR
            try reportUnlessFatal(
                error.number, what: isOther ? .changed : error.number == ENOENT ? .vanished : .unreadable)
        case .success(let descriptor):
            let handle = DirectoryHandle(descriptor)
            if case .success(let status) = FileStatus.of(handle.number), status.identity == identity { return handle }
            seek.depth = nil
            report(.changed)
        }
        return nil
    }

    private func list(_ directory: Int32) {
        if let error = names.list(directory) { report(.unreadable, error.number) }
    }

    /// The names in a directory above the roots are those that lead to one.
    private func enterAncestor(mark: NameArena.Mark, pathCount: Int, roots: Range<Int>, depth: Int) {
        var last: [UInt8]?
        for index in roots {
            let component = walkRoots.all[index].components[depth]
            if component == last { continue }
            component.withUnsafeBytes { names.append($0, kind: 0) }
            last = component
        }
        enter(Frame(mark: mark, pathCount: pathCount, relativeStart: nil, roots: roots))
    }

    /// Makes the names added since `frame.mark` the content of the current directory.
    private func enter(_ frame: Frame) {
        var frame = frame
        let first = frame.mark.names
        if frame.found == nil {
            names.sort(from: first)
            if options.excludeCaches, frame.relativeStart != nil, let tag = cacheTag(from: first) {
                names.keepOnly(tag, from: first)
                options.onExcluded?(entry.path, .cacheDirectory)
            }
        }
        frame.next = first
        frame.end = names.count
        // What was found was put into the line where it was found.
        frame.offered = frame.found == nil ? first : frame.end
        if let depth = seek.depth {
            let wanted = seek.components[depth]
            frame.next = names.lowerBound(wanted, in: frame.next..<frame.end)
            seek.passed = names.index(of: wanted, in: frame.next..<frame.end)
            if seek.passed == nil { seek.depth = nil }
        }
        frames.append(frame)
        if frame.found == nil { offer(from: frame.next, in: frames.count - 1) }
    }

    private func leave() throws(CollectorError) {
        guard let done = frames.popLast() else { return }
        names.release(to: done.mark)
        release(done)
        guard let parent = frames.last else { return }
        directories.pop()
        var reached = directories.top()
        if case .failure(let error) = reached, goesAlone(after: error.number) { reached = directories.top() }
        switch reached {
        case .success(let open):
            handle = open
            directory = handle.number
        case .failure(let error):
            entry.path.removeSubrange(parent.pathCount...)
            frames[frames.count - 1].next = parent.end
            try reportUnlessFatal(error.number, what: .changed)
        }
    }
}
