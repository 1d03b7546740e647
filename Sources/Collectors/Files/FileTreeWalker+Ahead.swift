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
        guard current >= frames[top].offered else {
            return ahead?.take(current - frames[top].mark.names, depth: top, identity, using: names)
        }
        offer(from: current + 1, in: top)
        return nil
    }

    /// What `stat` told of the name ahead of time; false where it did not or that is too old.
    @inline(__always)
    func isFound(_ index: Int, in top: Int, _ raw: inout tree_stat) -> Bool {
        guard let found = frames[top].found else { return false }
        guard found.isFresh else {
            frames[top].found = nil
            ahead?.release(found)
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
