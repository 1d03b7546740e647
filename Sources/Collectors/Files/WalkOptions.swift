package import Domain

/// What a walk covers.
package struct WalkOptions {
    /// Absolute paths, raw bytes. Ancestors that are links are resolved; a root that is a link is archived as one,
    /// unless it ends in `/`. Roots inside other roots and duplicates are merged.
    package var roots: [[UInt8]]
    package var excludes: ExcludePatterns
    /// Do not descend into directories of other file systems than those the roots are on.
    package var oneFileSystem: Bool
    /// Keep of a directory with a `CACHEDIR.TAG` only itself and the tag.
    package var excludeCaches: Bool
    /// Directories never descended into, such as the vault itself.
    package var excludedTrees: Set<FileIdentity>
    /// Share the work with a thread that looks at directories before the walk comes to them, up to a second earlier. Not for
    /// trees that their own walk changes, and not where the threads of a run are held to a share of the processors.
    package var walksAhead: Bool
    /// Hears of everything under the roots that is left out on purpose: path relative to `/` and why. Of a directory
    /// it hears once, not of what is in it.
    package var onExcluded: ((_ path: [UInt8], _ reason: ExclusionReason) -> Void)?

    package enum ExclusionReason: String, Sendable, CaseIterable {
        /// The path itself is left out.
        case pattern
        /// The directory is kept, its content is left out.
        case otherFileSystem, excludedTree, cacheDirectory
    }

    package init(
        roots: [[UInt8]], excludes: ExcludePatterns = .none, oneFileSystem: Bool = false, excludeCaches: Bool = false,
        excludedTrees: Set<FileIdentity> = [], walksAhead: Bool = false,
        onExcluded: ((_ path: [UInt8], _ reason: ExclusionReason) -> Void)? = nil
    ) {
        self.roots = roots
        self.excludes = excludes
        self.oneFileSystem = oneFileSystem
        self.excludeCaches = excludeCaches
        self.excludedTrees = excludedTrees
        self.walksAhead = walksAhead
        self.onExcluded = onExcluded
    }
}
