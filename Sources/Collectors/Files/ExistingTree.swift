import CLinux
package import Domain
import Glibc

/// What lies below a directory that is restored into once more, in ``PathOrder``.
///
/// Invariants:
/// - the directory is held open, and no link is followed: nothing outside of it is listed, opened or removed,
///   whatever has its path;
/// - a file is only opened for writing when it is a regular one, has one name and is the one that was listed.
///
/// For use by one thread; the files that ``open(_:as:onEnd:)`` hands out are filled by any.
package final class ExistingTree {
    package let problems: ProblemLog
    /// That of the directory itself: what lies on another one is mounted there.
    package let device: UInt64
    package private(set) var stuckCount = 0
    private let walker: FileTreeWalker
    private let root: DirectoryHandle
    private let isOnlyCompared: Bool
    private let metadata: MetadataWriter
    private var owners = OwnerNumbers(goesByName: false)

    /// `root` is the directory, and `place` its path, for people. `excludes` is never handed out. Nothing is changed when
    /// `isOnlyCompared`.
    package init(_ root: DirectoryHandle, at place: String, excludes: [String], isOnlyCompared: Bool)
        throws(CollectorError)
    {
        let patterns: ExcludePatterns
        do { patterns = try ExcludePatterns(excludes) } catch {
            throw CollectorError(.invalidInput, "a pattern of this program is malformed: \(error.reason)")
        }
        walker = FileTreeWalker(in: root, excludes: patterns)
        problems = walker.problems
        self.isOnlyCompared = isOnlyCompared
        metadata = MetadataWriter(restoresOwnership: true, problems: problems)
        self.root = root
        switch FileStatus.of(root.number) {
        case .failure(let error): throw CollectorError.system(error.number, "cannot examine", Array(place.utf8))
        case .success(let status): device = status.identity.device
        }
    }

    /// The next entry below the directory, its path relative to that; of a link with its target.
    package func next() throws(CollectorError) -> Entry? {
        guard try walker.next() else { return nil }
        if walker.entry.kind == .symlink { try walker.loadDetails() }
        return walker.entry
    }

    /// Opens a regular file that was listed as `existing`, to be brought to the state of `archived`. Nil when it has to be made
    /// anew: it has other names, is what an ended restore left, or cannot be opened.
    package func open(
        _ existing: Entry, as archived: Entry, onEnd: @escaping @Sendable (KeptFile.Outcome) -> Void
    ) -> KeptFile? {
        let flags = (isOnlyCompared ? O_RDONLY : O_RDWR) | O_NONBLOCK
        guard existing.permissions != MetadataWriter.unfinished else { return nil }
        switch root.reach(existing.path, flags) {
        case .failure: return nil
        case .success(let descriptor):
            guard case .success(let status) = FileStatus.of(descriptor.number), status.kind == .file,
                status.linkCount == 1,
                status.identity == FileIdentity(device: existing.device, inode: existing.inode)
            else { return nil }
            // The file closes its own.
            let number = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 0)
            guard number >= 0 else { return nil }
            return KeptFile(
                path: existing.path, size: archived.size, isOnlyCompared: isOnlyCompared,
                object: MetadataWriter.Object(
                    descriptor: number, isPath: false, status: status, isNew: false, mayHaveInheritedACL: false),
                wanted: MetadataWriter.Wanted(archived, owners: &owners), metadata: metadata, onEnd: onEnd)
        }
    }

    /// Gives a directory that was listed the owner and permissions of `archived`, where they are others.
    package func adjust(_ existing: Entry, as archived: Entry) {
        if isOnlyCompared { return }
        switch root.reach(existing.path, O_RDONLY | O_DIRECTORY) {
        case .failure(let error):
            problems.add(FileProblem(path: existing.path, what: .permissionsNotSet, systemError: error.number))
        case .success(let descriptor):
            let wanted = MetadataWriter.Wanted(archived, owners: &owners)
            guard case .success(let status) = FileStatus.of(descriptor.number), !wanted.isOwned(as: status) else {
                return
            }
            let object = MetadataWriter.Object(
                descriptor: descriptor.number, isPath: false, status: status, isNew: false, mayHaveInheritedACL: false)
            metadata.apply(wanted, to: object, path: existing.path)
        }
    }

    /// Removes a name that was listed, for good or, when it `isReplaced`, to make room; a directory, when it is empty. What cannot
    /// be removed is a problem, and counts in ``stuckCount``.
    package func remove(_ existing: Entry, isReplaced: Bool) {
        if isOnlyCompared { return }
        let end = existing.path.lastIndex(of: 0x2F)
        let name = CName(existing.path[(end.map { $0 + 1 } ?? 0)...])
        let code: Int32
        switch root.reach(end.map { Array(existing.path[..<$0]) } ?? [0x2E], tree_path_only | O_DIRECTORY) {
        case .failure(let error): code = error.number
        case .success(let parent):
            let flags = existing.kind == .directory ? AT_REMOVEDIR : 0
            code = name.withPointer { unlinkat(parent.number, $0, flags) } == 0 ? 0 : errno
        }
        guard code != 0, code != ENOENT else { return }
        stuckCount += 1
        problems.add(
            FileProblem(path: existing.path, what: isReplaced ? .notReplaced : .notRemoved, systemError: code))
    }
}
