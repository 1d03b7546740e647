package import Domain

extension AuditLog {
    // MARK: Reading

    /// Gives `body` the entries of `range` in order; what it throws ends the reading. Entries are those that the
    /// tree holds: a line that is not the one recorded is damage.
    package func entries(
        _ range: Range<UInt64>, _ body: (AuditEntry) throws(VaultError) -> Void
    ) throws(VaultError) {
        try lines(range) { (line, number) throws(VaultError) in
            guard let entry = AuditEntry(line: line) else {
                throw .auditDamage("entry \(number) of the audit log is malformed")
            }
            try body(entry)
        }
    }

    package func entry(_ number: UInt64) throws(VaultError) -> AuditEntry {
        var found: AuditEntry?
        try entries(number..<number + 1) { found = $0 }
        guard let found else { throw missing(number) }
        return found
    }

    private func missing(_ number: UInt64) -> VaultError {
        .auditDamage("entry \(number) of the audit log is missing")
    }

    /// The lines of `range` without their LF, each compared with its leaf in the tree.
    func lines(
        _ range: Range<UInt64>, _ body: ([UInt8], UInt64) throws(VaultError) -> Void
    ) throws(VaultError) {
        let size = monitor.locked { state.size }
        guard range.upperBound <= size else {
            throw VaultError(
                .notFound, "the audit log has \(size) entries, \(range.upperBound) were asked for",
                hint: "Numbers count from 0.")
        }
        var number = range.lowerBound
        while number < range.upperBound {
            guard let file = try parts.segment(of: number) else { throw missing(number) }
            var lines = AuditLines(file)
            var place = number / AuditParts.segmentEntries * AuditParts.segmentEntries
            let last = min(place + AuditParts.segmentEntries, range.upperBound)
            var leaves: [Digest] = []
            while place < last {
                guard let line = try lines.next(), line.isWhole else { throw missing(place) }
                if place >= range.lowerBound {
                    let offset = Int(place % AuditParts.blockEntries)
                    if leaves.isEmpty || offset == 0 { leaves = try blockLeaves(of: place) }
                    guard offset < leaves.count, Merkle.leaf(line.bytes) == leaves[offset] else {
                        throw .auditDamage("entry \(place) of the audit log is not the one that was recorded")
                    }
                    try body(line.bytes, place)
                }
                place += 1
            }
            number = last
        }
    }

    /// The leaves of the block that `number` lies in, as far as there are any.
    private func blockLeaves(of number: UInt64) throws(VaultError) -> [Digest] {
        try monitor.locked { () throws(VaultError) in
            let first = number / AuditParts.blockEntries * AuditParts.blockEntries
            let stored = min(first + AuditParts.blockEntries, max(first, state.recentStart))
            let leaves = try parts.hashes.read(level: 0, first..<stored)
            if stored == first + AuditParts.blockEntries { return leaves }
            // What is recent begins in this block, for a checkpoint ends every block.
            return leaves + state.recent
        }
    }

    // MARK: Proofs

    /// The audit path of entry `number` in the log of `size` entries, and the root that it leads to.
    package func inclusionProof(
        _ number: UInt64, size: UInt64
    ) throws(VaultError) -> (leaf: Digest, path: [Digest], root: Digest) {
        try monitor.locked { () throws(VaultError) in
            try refuse(beyond: size)
            guard number < size else {
                throw VaultError(.notFound, "entry \(number) is not among the first \(size) of the audit log")
            }
            let leaf = try subtreeLocked(number..<number + 1)
            let path = try Merkle.inclusion(of: number, in: size) { (range) throws(VaultError) in
                try subtreeLocked(range)
            }
            let root = try rootLocked(at: size)
            guard Merkle.verifyInclusion(of: leaf, at: number, size: size, path: path, root: root) else {
                throw .auditDamage("the stored hashes of the audit log do not prove entry \(number)")
            }
            return (leaf, path, root)
        }
    }

    /// The proof that the log of `old` entries is the beginning of the one of `size`.
    package func consistencyProof(from old: UInt64, to size: UInt64) throws(VaultError) -> [Digest] {
        try monitor.locked { () throws(VaultError) in try consistencyLocked(from: old, to: size) }
    }

    private func consistencyLocked(from old: UInt64, to size: UInt64) throws(VaultError) -> [Digest] {
        try refuse(beyond: size)
        guard old <= size else { throw AuditCheckpoint.rolledBack(pinned: old, size: size) }
        let path = try Merkle.consistency(from: old, to: size) { (range) throws(VaultError) in
            try subtreeLocked(range)
        }
        let (oldRoot, root) = (try rootLocked(at: old), try rootLocked(at: size))
        guard Merkle.verifyConsistency(from: old, oldRoot, to: size, root, path: path) else {
            throw .auditDamage("the stored hashes of the audit log do not prove its growth from \(old) to \(size)")
        }
        return path
    }

    private func refuse(beyond size: UInt64) throws(VaultError) {
        guard size <= state.size else {
            throw VaultError(.notFound, "the audit log has \(state.size) entries, not \(size)")
        }
    }

    // MARK: Verifying

    /// Reads the whole log up to a checkpoint made now, while others may append. `progress` gets entries checked and
    /// entries in all; what it throws ends the verification.
    package func verify(
        pinned: [AuditCheckpoint] = [], _ progress: (UInt64, UInt64) throws(VaultError) -> Void = { _, _ in }
    ) throws(VaultError) -> AuditReport {
        guard signer != nil else {
            return try AuditVerifier.run(
                directory: directory, trust: parts.trust, pinned: pinned, calls: parts.store.calls, progress: progress)
        }
        return try AuditVerifier.run(parts, pinned: pinned, upTo: try checkpoint(), progress)
    }

    // MARK: Export

    /// Writes a pack (`docs/audit.md` §6) of `range`, which is not empty, to `path`, replacing it whole. `since` is a
    /// checkpoint that the receiver has. Memory does not grow with the range.
    package func export(
        _ range: Range<UInt64>, since: AuditCheckpoint? = nil, to path: String
    ) throws(VaultError) {
        guard !range.isEmpty else {
            throw VaultError(.invalidInput, "a pack has at least one entry", hint: "Choose a range with entries.")
        }
        let checkpoint = try checkpoint()
        guard range.upperBound <= checkpoint.size else {
            throw VaultError(
                .notFound, "\(checkpoint.size) entries of the audit log are signed, \(range.upperBound) asked for")
        }
        let header = try packHeader(range, since, checkpoint)
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        let place = (path.utf8.first == 0x2F ? "/" : "./") + parent
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let output = try PackOutput(name: name, in: place, calls: parts.store.calls)
        try output.append(header + [0x0A])
        try lines(range) { (line, _) throws(VaultError) in try output.append(line + [0x0A]) }
        try output.finish()
    }

    private func packHeader(
        _ range: Range<UInt64>, _ since: AuditCheckpoint?, _ checkpoint: AuditCheckpoint
    ) throws(VaultError) -> [UInt8] {
        try monitor.locked { () throws(VaultError) in
            if let since { try compareLocked(since) }
            let keys = parts.trust.keys.prefix(AuditPackHeader.maximumKeys)
            var header = AuditPackHeader(
                keys: keys.filter { checkpoint.isSigned(by: $0) } + keys.filter { !checkpoint.isSigned(by: $0) },
                range: range,
                proof: try Merkle.range(range, in: checkpoint.size) { (part) throws(VaultError) in
                    try subtreeLocked(part)
                }, checkpoint: checkpoint)
            if let since, since.size <= checkpoint.size {
                header.since = AuditPackHeader.Link(
                    checkpoint: since, consistency: try consistencyLocked(from: since.size, to: checkpoint.size))
            }
            for other in try parts.cosigned() where other.size <= checkpoint.size {
                header.cosigned.append(
                    AuditPackHeader.Link(
                        checkpoint: other, consistency: try consistencyLocked(from: other.size, to: checkpoint.size)))
            }
            return header.line
        }
    }
}
