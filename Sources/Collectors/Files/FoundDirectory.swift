import CLinux
import Domain
import Glibc

/// What a directory held when it was looked at ahead of the walk: its names in order, and what `stat` tells of each.
final class FoundDirectory: Sendable {
    /// Nanoseconds. What is older than this is not used.
    static let freshness: Int64 = 1_000_000_000

    let identity: FileIdentity
    let names: NameList
    /// One for each name. Without a mode where the name was not examined or is gone: then the walk asks by itself.
    let statuses: [tree_stat]
    /// Of ``now()``, before the names were read.
    private let time: Int64

    init(_ identity: FileIdentity, _ names: NameList, _ statuses: [tree_stat], at time: Int64) {
        self.identity = identity
        self.names = names
        self.statuses = statuses
        self.time = time
    }

    var isFresh: Bool { Self.now() - time < Self.freshness }
    /// What it takes of the memory.
    var memoryBytes: Int { names.memoryBytes + statuses.count * MemoryLayout<tree_stat>.stride }

    /// Nanoseconds of a clock that only goes on, in steps of some milliseconds: it is asked for every entry, and costs a fifth of
    /// the exact one.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Where a directory stands in a walk.
struct WalkPlace {
    let handle: DirectoryHandle
    /// Directories above it in which the walk is, those above the roots among them.
    let depth: Int
    /// Length of its path; 0 for `/`.
    let pathCount: Int
    /// Its path below the root of the source; empty where there are no patterns to compare it with.
    let relative: [UInt8]
}

/// The subdirectories of one directory that may be looked at ahead, in the order of the walk.
final class Subdirectories: Sendable {
    struct Child {
        /// Among all names of the directory.
        var position: Int32
        /// Among ``names``.
        var name: Int32
        /// Where it was examined already.
        var identity: FileIdentity?
    }

    let handle: DirectoryHandle
    let device: UInt64
    let depth: Int
    let pathCount: Int
    let relative: [UInt8]
    let names: NameList
    let children: [Child]

    init(of place: WalkPlace, device: UInt64, names: NameList, children: [Child]) {
        handle = place.handle
        self.device = device
        depth = place.depth
        pathCount = place.pathCount
        relative = place.relative
        self.names = names
        self.children = children
    }
}

/// Asks the patterns about the names of one directory.
struct NameFilter {
    private let excludes: ExcludePatterns
    private var path: [UInt8]
    private let start: Int

    /// `relative` is the path of the directory below the root of the source.
    init(_ excludes: ExcludePatterns, below relative: [UInt8]) {
        self.excludes = excludes
        path = relative
        if !relative.isEmpty { path.append(0x2F) }
        start = path.count
    }

    /// Whether a name may be examined. One whose kind the file system does not say may not where there are patterns: they
    /// depend on it.
    mutating func admits(_ name: UnsafeRawBufferPointer, isDirectory: Bool?) -> Bool {
        guard !excludes.isEmpty else { return true }
        guard let isDirectory else { return false }
        path.removeSubrange(start...)
        path.append(contentsOf: name)
        return !excludes.isExcluded(relativePath: path, isDirectory: isDirectory)
    }
}
