import Domain
import Vault

/// What of an archive is wanted: everything, or some paths with what lies below them and the directories above.
struct Selection {
    private let tree: ArchiveReader
    private let prefixes: [[UInt8]]
    private let above: [[UInt8]]
    private let isInside: Bool
    var ancestors: Set<[UInt8]> { Set(above) }

    init(_ paths: [String], _ tree: ArchiveReader) throws {
        self.tree = tree
        var wanted: [[UInt8]] = []
        let parsed = try paths.map { (try StoredPath.parse($0), $0) }
        for (path, text) in parsed.sorted(by: { PathOrder.compare($0.0, $1.0) < 0 }) {
            if let last = wanted.last, PathOrder.isInside(path, last) { continue }
            var isThere = false
            try tree.forEachEntry(under: path) { _ in
                isThere = true
                return false
            }
            guard isThere || path.isEmpty else {
                throw OperationError(
                    .notFound, "\(text) is not in archive \(tree.archive.id.hex.prefix(12))",
                    hint: "`qala ls` lists what is; `qala find` searches names in all archives.")
            }
            wanted.append(path)
        }
        if wanted.isEmpty { wanted = [[]] }
        var above: Set<[UInt8]> = []
        for path in wanted {
            for at in path.indices where path[at] == 0x2F { above.insert(Array(path[..<at])) }
        }
        prefixes = wanted
        self.above = above.sorted { PathOrder.compare($0, $1) < 0 }
        isInside = false
    }

    /// Everything below one directory, without itself; nothing when the archive has no such directory.
    init(inside directory: [UInt8], _ tree: ArchiveReader) {
        self.tree = tree
        prefixes = [directory]
        above = []
        isInside = true
    }

    /// Calls `body` for each entry in order.
    func forEach(_ body: (PageCursor) throws -> Void) throws {
        var pending = above[...]
        for prefix in prefixes {
            while let next = pending.first, PathOrder.compare(next, prefix) < 0 {
                pending.removeFirst()
                try tree.forEachEntry(under: next) { page in
                    if page.path == next { try body(page) }
                    return false
                }
            }
            try tree.forEachEntry(under: prefix) { page in
                if !isInside || page.path != prefix { try body(page) }
                return true
            }
        }
    }
}
