import CLinux
import Domain
import Glibc
import Synchronization

/// One look at one directory, by either thread.
extension WalkAhead {
    struct Look {
        let found: FoundDirectory
        let handle: DirectoryHandle
        /// Nil where it has none that may be looked at.
        let below: Subdirectories?
    }

    /// A name takes at least so many bytes of what ``FoundDirectory/memoryBytes`` counts.
    private static let leastBytes = MemoryLayout<tree_stat>.stride + 10

    /// Opens, lists and examines a subdirectory that was nobody's business until now. Nil where anything is not as it should be or it
    /// takes more than ``largestBytes``. `names` is used and left as it was.
    func look(at index: Int, of parent: Subdirectories, using names: NameArena) -> Look? {
        let time = FoundDirectory.now()
        let child = parent.children[index]
        let name = Int(child.name)
        let bytes = parent.names.bytes(of: name)
        let pathCount = parent.pathCount + (parent.pathCount > 0 ? 1 : 0) + bytes.count
        // Every name in it has a path that is short enough.
        guard pathCount + 256 <= Entry.maximumPathBytes,
            let identity = child.identity ?? Self.examine(name, of: parent), mayEnter(identity, from: parent.device)
        else { return nil }
        let opened = parent.names.withPointer(name) {
            Descriptor.openUntraced($0, in: parent.handle.number, O_DIRECTORY)
        }
        guard case .success(let descriptor) = consume opened else { return nil }
        let handle = DirectoryHandle(descriptor)
        guard case .success(let status) = FileStatus.of(handle.number), status.identity == identity else { return nil }
        var relative: [UInt8] = []
        if !rules.excludes.isEmpty { relative = parent.relative + (parent.relative.isEmpty ? [] : [0x2F]) + bytes }
        let place = WalkPlace(handle: handle, depth: parent.depth + 1, pathCount: pathCount, relative: relative)

        let mark = names.mark
        defer { names.release(to: mark) }
        let most = Self.largestBytes / Self.leastBytes
        guard names.list(handle.number, upTo: most) == nil, names.count - mark.names <= most else { return nil }
        names.sort(from: mark.names)
        // Of a cache directory the walk keeps the tag only, if it is one.
        if rules.excludeCaches, names.index(of: FileTreeWalker.cacheTagName, in: mark.names..<names.count) != nil {
            return nil
        }
        guard let (statuses, children) = examineAll(names, from: mark.names, at: place, identity) else { return nil }
        let list = names.copy(since: mark)
        let found = FoundDirectory(identity, list, statuses, at: time)
        guard found.memoryBytes <= Self.largestBytes else { return nil }
        let below =
            children.isEmpty ? nil : Subdirectories(of: place, device: identity.device, names: list, children: children)
        return Look(found: found, handle: handle, below: below)
    }

    /// What a name stands for, if that is a directory. Neither follows a link nor mounts anything.
    private static func examine(_ name: Int, of parent: Subdirectories) -> FileIdentity? {
        let looked = parent.names.withPointer(name) { FileStatus.of($0, in: parent.handle.number) }
        guard case .success(let status) = looked, status.kind == .directory else { return nil }
        return status.identity
    }

    /// What is mounted somewhere is left to the walk, which knows whether it is wanted, and where it would be waited for.
    private func mayEnter(_ identity: FileIdentity, from device: UInt64) -> Bool {
        identity.device == device && !rules.excludedTrees.contains(identity)
    }

    /// Nil when the walk is over.
    private func examineAll(
        _ names: NameArena, from first: Int, at place: WalkPlace, _ identity: FileIdentity
    ) -> ([tree_stat], [Subdirectories.Child])? {
        var statuses: [tree_stat] = []
        statuses.reserveCapacity(names.count - first)
        var children: [Subdirectories.Child] = []
        var filter = NameFilter(rules.excludes, below: place.relative)
        for index in first..<names.count {
            if isEnded.load(ordering: .relaxed) { return nil }
            var raw = tree_stat()
            if filter.admits(names.name(index), isDirectory: names.isDirectory(index)) {
                let code = names.withPointer(index) { tree_stat_at(place.handle.number, $0, &raw) }
                if code != 0 { raw = tree_stat() }
            }
            statuses.append(raw)
            guard raw.mode & S_IFMT == S_IFDIR else { continue }
            let below = FileIdentity(device: raw.device, inode: raw.inode)
            guard mayEnter(below, from: identity.device) else { continue }
            let position = Int32(index - first)
            children.append(.init(position: position, name: position, identity: below))
        }
        return (statuses, children)
    }
}
