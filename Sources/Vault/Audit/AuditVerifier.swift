import Domain

/// Reads a whole log and says which entries are not what was signed.
///
/// Invariants:
/// 1. `frontier` is the tree up to the last block that a valid signature proved, or, where a signature is missing,
///    up to the last block at all; `isLost` says that no such tree is known.
/// 2. A block is proven by its entries or, failing that, by the stored leaves: then the entries that differ from them
///    are the damaged ones. Nothing else is believed.
/// 3. Memory holds one block and one line.
package struct AuditVerifier {
    private let parts: AuditParts
    private let checkpoint: AuditCheckpoint
    private var pins: [AuditCheckpoint]
    private var report: AuditReport
    private var frontier = MerkleFrontier()
    private var isLost = false
    /// Where the entries begin that the next valid signature has to prove.
    private var proven: UInt64 = 0
    private var source: AuditSource

    /// Verifies the log in `directory`, whoever has it open. `progress` gets entries checked and entries in all; what it
    /// throws ends the verification. The report keeps `limit` findings and counts the others.
    package static func run(
        directory: String, trust: AuditTrust, pinned: [AuditCheckpoint] = [],
        limit: Int = AuditReport.maximumFindings, calls: any FileSystemCalls = LinuxCalls.shared,
        progress: (UInt64, UInt64) throws(VaultError) -> Void = { _, _ in }
    ) throws(VaultError) -> AuditReport {
        let parts = AuditParts(store: try LocalStore(path: directory, calls: calls), trust: trust)
        guard try parts.exists() else {
            throw VaultError(.notFound, "there is no audit log in \(directory)", hint: "Check the state directory.")
        }
        for _ in 0..<8 {
            let seen = try parts.checkpointBytes()
            let report = try run(parts, pinned: pinned, limit: limit, progress)
            // A checkpoint that was published meanwhile makes what follows the old one look wrong.
            if report.isClean { return report }
            if try parts.checkpointBytes() == seen { return report }
        }
        throw VaultError(.conflict, "the audit log in \(directory) changes too fast to be read", hint: "Try again.")
    }

    static func run(
        _ parts: AuditParts, pinned: [AuditCheckpoint], upTo last: AuditCheckpoint? = nil,
        limit: Int = AuditReport.maximumFindings,
        _ progress: (UInt64, UInt64) throws(VaultError) -> Void
    ) throws(VaultError) -> AuditReport {
        var early: [AuditFinding] = []
        let checkpoint: AuditCheckpoint
        if let last {
            checkpoint = last
        } else {
            do throws(VaultError) {
                checkpoint = try parts.checkpoint()
            } catch  where error.code == .damaged {
                // The history has a signed state too, at most a block older.
                guard let last = try newest(parts) else { throw error }
                early.append(AuditFinding(.checkpoint, last.size..<last.size + AuditParts.blockEntries))
                checkpoint = last
            }
        }
        var pins = pinned
        do throws(VaultError) {
            pins += try parts.cosigned()
        } catch  where error.code == .damaged {
            early.append(AuditFinding(.cosigned, 0..<checkpoint.size))
        }
        var verifier = AuditVerifier(parts, checkpoint, pins, limit)
        for finding in early { verifier.report.add(finding) }
        try verifier.run(withTail: last == nil, progress)
        return verifier.report
    }

    private static func newest(_ parts: AuditParts) throws(VaultError) -> AuditCheckpoint? {
        let count = try parts.historyCount()
        for index in (count - min(count, 16)..<count).reversed() {
            if let found = try parts.history(index) { return found }
        }
        return nil
    }

    private init(_ parts: AuditParts, _ checkpoint: AuditCheckpoint, _ pins: [AuditCheckpoint], _ limit: Int) {
        report = AuditReport(limit: limit)
        self.parts = parts
        self.checkpoint = checkpoint
        self.pins = pins.sorted { $0.size < $1.size }
        source = AuditSource(parts)
    }

    private mutating func run(
        withTail: Bool, _ progress: (UInt64, UInt64) throws(VaultError) -> Void
    ) throws(VaultError) {
        for pin in pins where !pin.origin.utf8.elementsEqual(parts.trust.origin.utf8) {
            throw VaultError(.invalidInput, "the pinned checkpoint is one of the audit log \(pin.origin)")
        }
        let size = checkpoint.size
        report.size = size
        report.root = checkpoint.root
        for low in stride(from: 0, to: size, by: Int(AuditParts.blockEntries)) {
            try checkBlock(low..<min(low + AuditParts.blockEntries, size))
            try progress(min(low + AuditParts.blockEntries, size), size)
        }
        var last = size
        if withTail { last = try checkTail() }
        for pin in pins where pin.size > last { report.add(AuditFinding(.rolledBack, last..<pin.size)) }
        if pins.contains(where: { $0.size == 0 && $0.root != Merkle.empty }) {
            report.add(AuditFinding(.splitView, 0..<0))
        }
    }

    // MARK: One block

    private mutating func checkBlock(_ range: Range<UInt64>) throws(VaultError) {
        let (found, problems) = try source.leaves(range)
        let stored = try parts.hashes.read(level: 0, range)
        let signedRoot = try signedRoot(at: range.upperBound, range)

        var leaves: [Digest] = []
        var isProven = false
        if let signedRoot {
            for candidate in candidates(found, stored) where !isProven && !isLost {
                var tree = frontier
                for leaf in candidate { tree.append(leaf) }
                if tree.root == signedRoot { (leaves, isProven) = (candidate, true) }
            }
        }
        if isProven || signedRoot == nil {
            if !isProven { leaves = candidates(found, stored).first ?? [] }
            for problem in problems { report.add(problem) }
        }
        if leaves.isEmpty {
            lose(range, signedRoot, problems)
            return
        }
        for (at, leaf) in leaves.enumerated() {
            let number = range.lowerBound + UInt64(at)
            if let own = found[at], own != leaf { report.add(AuditFinding(.altered, number)) }
            if at >= stored.count || stored[at] != leaf { report.add(AuditFinding(.hashes, number)) }
        }
        try accept(leaves, range)
        if isProven { proven = range.upperBound }
    }

    /// What the leaves of a block may be: those of its entries, the stored ones, or the former with the latter where
    /// entries are missing.
    private func candidates(_ found: [Digest?], _ stored: [Digest]) -> [[Digest]] {
        let own = found.compactMap { $0 }
        if own.count == found.count { return [own] + (stored.count == found.count ? [stored] : []) }
        guard stored.count == found.count else { return [] }
        return [stored, zip(found, stored).map { $0 ?? $1 }]
    }

    /// The root that is signed for this size; a missing signature is a finding.
    private mutating func signedRoot(
        at size: UInt64, _ range: Range<UInt64>
    ) throws(VaultError) -> Digest? {
        var root = size == checkpoint.size ? checkpoint.root : nil
        if size.isMultiple(of: AuditParts.blockEntries) {
            let record = try parts.history(size / AuditParts.blockEntries - 1)
            if record == nil || (root != nil && record?.root != root) { report.add(AuditFinding(.history, range)) }
            if root == nil { root = record?.root }
        }
        return root
    }

    /// No leaves lead to what is signed. A size that is a power of two needs nothing but its root to go on from.
    private mutating func lose(_ range: Range<UInt64>, _ signedRoot: Digest?, _ problems: [AuditFinding]) {
        for problem in problems { report.add(problem) }
        report.add(AuditFinding(.unproven, proven..<range.upperBound))
        proven = range.upperBound
        isLost = true
        if let signedRoot, range.upperBound.nonzeroBitCount == 1 {
            frontier = MerkleFrontier(powerOfTwo: range.upperBound, root: signedRoot)
            isLost = false
        }
        // Pins inside cannot be compared; the finding above covers them.
        pins.removeAll { $0.size > range.lowerBound && $0.size <= range.upperBound }
    }

    private mutating func accept(_ leaves: [Digest], _ range: Range<UInt64>) throws(VaultError) {
        guard !isLost else { return }
        var completed: [(level: Int, index: UInt64, hash: Digest)] = []
        for leaf in leaves {
            frontier.append(leaf) { level, index, hash in
                if level > 0, level.isMultiple(of: 8) { completed.append((level / 8, index, hash)) }
            }
            comparePins()
        }
        for node in completed
        where try parts.hashes.read(level: node.level, node.index..<node.index + 1) != [node.hash] {
            report.add(AuditFinding(.hashes, range))
        }
    }

    private mutating func comparePins() {
        for pin in pins where pin.size == frontier.size && pin.root != frontier.root {
            report.add(AuditFinding(.splitView, 0..<pin.size))
        }
    }

    // MARK: The tail

    /// Returns the size of the log with the entries after the checkpoint.
    private mutating func checkTail() throws(VaultError) -> UInt64 {
        let size = checkpoint.size
        // What stands between the last entry below the checkpoint and the first one above is nobody's.
        let lines = try source.lines(at: size, &report)
        let length = try parts.segment(of: size)?.length() ?? 0
        let replay = try AuditReplay(parts, from: size, lines, fileLength: length)
        for finding in replay.findings { report.add(finding) }
        report.recent = replay.size
        report.torn = replay.torn
        for leaf in replay.leaves where !isLost {
            frontier.append(leaf)
            comparePins()
        }
        if let ahead = try parts.history(size / AuditParts.blockEntries), !isLost, ahead.size == frontier.size,
            ahead.root != frontier.root
        {
            report.add(AuditFinding(.altered, size..<ahead.size))
        }
        return size + replay.size
    }
}

/// The entries of a log in the order of their numbers, found again after lines that are damaged, missing or misplaced.
private struct AuditSource {
    private let parts: AuditParts
    private var lines: AuditLines?
    private var begin: UInt64?
    /// Lines that were read ahead.
    private var ahead: [Line] = []

    private struct Line {
        var bytes: [UInt8]
        var offset: UInt64
        /// Nil for a malformed line.
        var number: UInt64?
    }

    init(_ parts: AuditParts) { self.parts = parts }

    private mutating func enter(_ number: UInt64) throws(VaultError) {
        let wanted = number / AuditParts.segmentEntries * AuditParts.segmentEntries
        if begin == wanted { return }
        begin = wanted
        ahead = []
        lines = try parts.segment(of: number).map { AuditLines($0) }
    }

    private mutating func peek(_ depth: Int) throws(VaultError) -> Line? {
        while ahead.count <= depth, let line = try lines?.next() {
            let entry = line.isWhole ? AuditEntry(line: line.bytes) : nil
            ahead.append(Line(bytes: line.bytes, offset: line.offset, number: entry?.number))
        }
        return depth < ahead.count ? ahead[depth] : nil
    }

    /// One leaf for each number of `range`, which lies within one segment; nil where there is no such entry.
    mutating func leaves(
        _ range: Range<UInt64>
    ) throws(VaultError) -> (leaves: [Digest?], problems: [AuditFinding]) {
        try enter(range.lowerBound)
        var leaves: [Digest?] = []
        var problems: [AuditFinding] = []
        for expected in range {
            var leaf: Digest?
            var isSettled = false
            while !isSettled {
                guard let line = try peek(0) else {
                    problems.append(AuditFinding(.missing, expected))
                    break
                }
                let next = try peek(1)
                switch place(line.number, next.map { $0.number ?? 0 }, expected) {
                case .here:
                    leaf = Merkle.leaf(line.bytes)
                    ahead.removeFirst()
                    isSettled = true
                case .damaged:
                    problems.append(AuditFinding(.altered, expected))
                    ahead.removeFirst()
                    isSettled = true
                case .absent:
                    problems.append(AuditFinding(.missing, expected))
                    isSettled = true
                case .elsewhere:
                    problems.append(AuditFinding(.misplaced, line.number ?? expected))
                    ahead.removeFirst()
                }
            }
            leaves.append(leaf)
        }
        // Lines too many at the end of a segment.
        if range.upperBound.isMultiple(of: AuditParts.segmentEntries) {
            while let line = try peek(0) {
                problems.append(AuditFinding(.misplaced, line.number ?? range.upperBound - 1))
                ahead.removeFirst()
            }
        }
        return (leaves, problems)
    }

    private enum Place {
        case here, damaged, absent, elsewhere
    }

    /// Where a line belongs that stands where entry `expected` should; `next` is the number of the line after it.
    private func place(_ number: UInt64?, _ next: UInt64?, _ expected: UInt64) -> Place {
        guard let number else { return .damaged }
        if number == expected { return .here }
        // The next line is in its place: this one was in its own, and its number was altered.
        if next == expected + 1, number != expected + 2 { return .damaged }
        if next == expected || number < expected { return .elsewhere }
        let segmentEnd = (expected / AuditParts.segmentEntries + 1) * AuditParts.segmentEntries
        if number >= segmentEnd { return next == nil ? .damaged : .elsewhere }
        // A run that goes on from here: the entries before it are gone.
        return .absent
    }

    /// The lines from entry `number` on; nil where its segment does not exist. What stands before it and belongs
    /// to no entry is reported.
    mutating func lines(at number: UInt64, _ report: inout AuditReport) throws(VaultError) -> AuditLines? {
        try enter(number)
        while number % AuditParts.segmentEntries != 0, let line = try peek(0), let found = line.number, found < number {
            report.add(AuditFinding(.misplaced, found))
            ahead.removeFirst()
        }
        guard let lines else { return nil }
        guard let first = try peek(0), let file = try parts.segment(of: number) else { return lines }
        return AuditLines(file, from: first.offset)
    }
}
