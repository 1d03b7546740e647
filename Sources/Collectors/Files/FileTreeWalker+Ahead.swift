import CLinux
import Domain
import Glibc

/// What a walk hands over to ``WalkAhead`` and takes from there.
extension FileTreeWalker {
    /// Puts the subdirectories among the names from `index` on into the line of what may be looked at.
    func offer(from index: Int, in top: Int) {
        guard let ahead, let start = frames[top].relativeStart, seek.depth == nil else { return }
        let count = frames[top].pathCount
        let place = WalkPlace(
            handle: handle, depth: top, pathCount: count,
            relative: start < count && !options.excludes.isEmpty ? Array(entry.path[start..<count]) : [])
        let range = index..<frames[top].end
        if let end = ahead.offer(range, of: names, from: frames[top].mark.names, at: place) {
            frames[top].offered = end
        } else {
            goAlone()
        }
    }

    /// What was found ahead of the current entry, a directory.
    func takeFound(
        _ identity: FileIdentity, in top: Int
    ) -> (found: FoundDirectory, handle: DirectoryHandle)? {
        guard current < frames[top].offered else {
            offer(from: current + 1, in: top)
            return nil
        }
        let position = current - frames[top].mark.names
        guard let taken = ahead?.take(position, depth: top, identity, using: names) else { return nil }
        usedBytes += taken.found.memoryBytes
        // The outermost wait longest until they are used on.
        var outermost = 0
        while usedBytes > WalkAhead.usedBytes, outermost <= top {
            forgetFound(in: outermost)
            outermost += 1
        }
        return taken
    }

    /// The rest of the directory is examined when its turn comes.
    private func forgetFound(in index: Int) {
        guard let found = frames[index].found else { return }
        usedBytes -= found.memoryBytes
        frames[index].found = nil
    }

    /// After the walk has left a directory.
    func release(_ done: Frame) {
        if let found = done.found { usedBytes -= found.memoryBytes }
        if done.relativeStart != nil { ahead?.leave(frames.count) }
    }

    /// What `stat` told of the name ahead of time; false where it did not or that is too old.
    @inline(__always)
    func isFound(_ index: Int, in top: Int, _ raw: inout tree_stat) -> Bool {
        guard let found = frames[top].found else { return false }
        guard found.isFresh else {
            forgetFound(in: top)
            return false
        }
        raw = found.statuses[index - frames[top].mark.names]
        return raw.mode != 0
    }

    func goAlone() {
        ahead?.end()
        ahead = nil
    }

    /// Whether the walk did not go alone until now, and gave back descriptors that were wanted.
    func goesAlone(after number: Int32) -> Bool {
        guard ahead != nil, number == EMFILE || number == ENFILE else { return false }
        goAlone()
        return true
    }
}
