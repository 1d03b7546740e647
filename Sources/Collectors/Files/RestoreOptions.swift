/// What a restore does where something stands already.
package enum ConflictPolicy: String, Sendable, CaseIterable {
    /// Fails at the first thing in the way; nothing that exists is touched, not even by merging into a directory.
    case refuse
    /// Leaves what exists as it is, and restores what is missing.
    case skip
    /// Puts the archived state in place of what exists. A directory is merged; it is never removed for a file.
    case overwrite
    /// Leaves what exists as it is and restores beside it under a new name.
    case keepBoth
}

/// Where and how a restore writes.
package struct RestoreOptions: Sendable {
    /// Directory to restore into, raw bytes; created when it does not exist. Nothing outside of it is written.
    package var target: [UInt8]
    /// The target, where it is held open already: then its path is for people only.
    package var folder: DirectoryHandle?
    package var conflict: ConflictPolicy
    /// The target is the tree that was archived: existing directories are merged under every policy.
    package var inPlace: Bool
    /// Leave holes where nothing is written. False reserves room for the whole file.
    package var sparse: Bool
    /// Give owners by name where this host knows the archived name, by number otherwise; false goes by number only.
    package var ownersByName: Bool
    /// False leaves everything to the account that restores.
    package var restoresOwnership: Bool
    /// The caller waits for storage at the end, with ``FileTreeRestorer/sync()``: what is written goes there at once.
    package var isSynced: Bool

    package init(
        target: [UInt8], conflict: ConflictPolicy = .refuse, inPlace: Bool = false, sparse: Bool = true,
        ownersByName: Bool = false, restoresOwnership: Bool = true, folder: DirectoryHandle? = nil,
        isSynced: Bool = false
    ) {
        self.folder = folder
        self.isSynced = isSynced
        self.target = target
        self.conflict = conflict
        self.inPlace = inPlace
        self.sparse = sparse
        self.ownersByName = ownersByName
        self.restoresOwnership = restoresOwnership
    }
}
