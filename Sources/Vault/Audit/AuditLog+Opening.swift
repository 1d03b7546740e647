package import Domain

/// A log as its files tell it, checked as far as opening checks.
struct AuditLoaded {
    var checkpoint: AuditCheckpoint
    var state: AuditState
    var replay: AuditReplay
}

extension AuditLog {
    /// Opens the log to append to it; `creating` makes one where there is none.
    ///
    /// `key` signs checkpoints, `older` are keys that did before. `pinned` are checkpoints that other places hold. Fails with
    /// `conflict` when another process appends, with `damaged` or `rolledBack` when something is not as it was, and says
    /// which entries.
    package static func open(
        directory: String, origin: String, key: SigningKey, older: [AuditTrust.Older] = [],
        pinned: [AuditCheckpoint] = [], creating: Bool = false,
        clock: @escaping @Sendable () -> Timestamp = AuditLog.systemClock,
        calls: any FileSystemCalls = LinuxCalls.shared
    ) throws(VaultError) -> AuditLog {
        guard AuditCheckpoint.isName(origin.utf8) else {
            throw VaultError(.invalidInput, "\"\(origin)\" cannot be the origin of an audit log")
        }
        let store =
            creating
            ? try LocalStore.creating(path: directory, calls: calls)
            : try LocalStore(path: directory, calls: calls)
        let trust = AuditTrust(origin: origin, key: key.publicKey, older: older)
        let parts = AuditParts(store: store, trust: trust)
        if !creating, try !parts.exists() { throw noLog(directory) }
        let lock = try AuditFile.opening("lock", in: [], of: store)
        guard try lock.lock() else {
            throw VaultError(
                .conflict, "another process has the audit log in \(directory) open",
                hint: "One daemon runs for one state directory; stop the other one.")
        }
        try store.removeStaleTemporaries()
        if try !parts.exists() { try create(parts, key) }
        var isRebuilt = false
        var loaded = try load(parts, pinned)
        if loaded == nil {
            try rebuild(parts, key)
            isRebuilt = true
            loaded = try load(parts, pinned)
        }
        guard let loaded else { throw .auditDamage("the stored hashes of the audit log \(origin) do not hold") }
        let log = AuditLog(parts, loaded, signer: key, lock: lock, clock: clock)
        try log.monitor.locked { () throws(VaultError) in try log.settle(loaded.replay) }
        if isRebuilt { try log.append(AuditAct(.service("audit"), "audit.rebuild", subject: origin)) }
        return log
    }

    /// Opens the log to read and check it, beside a process that appends or without one. Changes nothing.
    package static func openForReading(
        directory: String, trust: AuditTrust, pinned: [AuditCheckpoint] = [],
        calls: any FileSystemCalls = LinuxCalls.shared
    ) throws(VaultError) -> AuditLog {
        let parts = AuditParts(store: try LocalStore(path: directory, calls: calls), trust: trust)
        guard try parts.exists() else { throw noLog(directory) }
        // Whoever appends meanwhile may publish a checkpoint between two of our reads.
        for _ in 0..<8 {
            let seen = try parts.checkpointBytes()
            var failure: VaultError?
            do throws(VaultError) {
                if let loaded = try load(parts, pinned) {
                    return AuditLog(parts, loaded, signer: nil, lock: nil, clock: systemClock)
                }
            } catch {
                failure = error
            }
            if try parts.checkpointBytes() != seen { continue }
            if let failure { throw failure }
            let report = try AuditVerifier.run(parts, pinned: pinned) { _, _ in }
            throw damage(report) ?? .auditDamage("the stored hashes of the audit log \(trust.origin) are wrong")
        }
        throw VaultError(
            .conflict, "the audit log in \(directory) changes too fast to be read", hint: "Try again.")
    }

    private static func noLog(_ directory: String) -> VaultError {
        VaultError(
            .notFound, "there is no audit log in \(directory)",
            hint: "Check the state directory; the daemon makes the log when it starts.")
    }

    /// The first findings as an error; nil when there is none but of what can be made again.
    static func damage(_ report: AuditReport) -> VaultError? {
        let found = report.findings.filter { !$0.canBeMadeAgain }
        if found.isEmpty { return nil }
        let list = found.prefix(3).map { $0.text(.english) }.joined(separator: "; ")
        let more = found.count - 3 + report.omitted
        let isRollback = found.contains { $0.kind == .rolledBack || $0.kind == .oldCheckpoint || $0.kind == .splitView }
        var error = VaultError.auditDamage("the audit log is damaged: \(list)" + (more > 0 ? "; and \(more) more" : ""))
        if isRollback { error.code = .rolledBack }
        return error
    }

    /// A log is there when `format` is: it comes last.
    private static func create(_ parts: AuditParts, _ key: SigningKey) throws(VaultError) {
        let store = parts.store
        let old = try parts.checkpointBytes().flatMap { AuditCheckpoint(note: $0) }
        if try parts.segment(of: 0) != nil || (old?.size ?? 0) > 0 {
            throw .auditDamage("there is an audit log in \(store.describe), but its file `format` is missing")
        }
        for directory in ["entries", "hashes"] { _ = try store.directoryForWriting([directory]) }
        try store.put("tail", [UInt8](repeating: 0, count: AuditTail.slots * AuditTail.slotBytes))
        let origin = parts.trust.origin
        try store.put(
            "checkpoint", try AuditCheckpoint(origin: origin, size: 0, root: Merkle.empty).signed(by: key).note)
        try store.put("format", parts.format)
    }

    /// Nil when the stored hashes or the entries of the newest segment do not agree with each other or with the
    /// checkpoint: then verifying tells which.
    private static func load(_ parts: AuditParts, _ pinned: [AuditCheckpoint]) throws(VaultError) -> AuditLoaded? {
        let checkpoint = try parts.checkpoint()
        let size = checkpoint.size
        var frontier = MerkleFrontier()
        do throws(VaultError) {
            frontier = try MerkleFrontier(size: size) { (range) throws(VaultError) in
                try parts.hashes.subtree(range, recentStart: size, [])
            }
        } catch  where error.code == .damaged {
            return nil
        }
        guard frontier.root == checkpoint.root else { return nil }

        let begin = size / AuditParts.segmentEntries * AuditParts.segmentEntries
        let file = try parts.segment(of: size)
        if file == nil, begin < size { return nil }
        var lines = file.map { AuditLines($0) }
        for start in stride(from: begin, to: size, by: Int(AuditParts.blockEntries)) {
            let stored = try parts.hashes.read(level: 0, start..<min(start + AuditParts.blockEntries, size))
            for (at, leaf) in stored.enumerated() {
                guard let line = try lines?.next(), line.isWhole, Merkle.leaf(line.bytes) == leaf,
                    AuditEntry(line: line.bytes)?.number == start + UInt64(at)
                else { return nil }
            }
        }
        let replay = try AuditReplay(parts, from: size, lines, fileLength: try file?.length() ?? 0)
        var state = AuditState(frontier)
        for leaf in replay.leaves { state.admit(leaf) }
        var report = AuditReport()
        for finding in replay.findings { report.add(finding) }
        if let ahead = try parts.history(size / AuditParts.blockEntries), ahead.size == state.size,
            ahead.root != state.root
        {
            report.add(AuditFinding(.altered, size..<ahead.size))
        }
        if let error = damage(report) { throw error }
        let log = AuditLog(
            parts, AuditLoaded(checkpoint: checkpoint, state: state, replay: replay), signer: nil, lock: nil,
            clock: systemClock)
        for pin in try pinned + parts.cosigned() {
            do throws(VaultError) {
                try log.compareLocked(pin)
            } catch  where error.code == .damaged {
                return nil
            }
        }
        return AuditLoaded(checkpoint: checkpoint, state: state, replay: replay)
    }

    // MARK: Rebuilding

    /// Computes hashes and history again, if the entries are proven by the checkpoint; else says what is wrong.
    private static func rebuild(_ parts: AuditParts, _ key: SigningKey) throws(VaultError) {
        let report = try AuditVerifier.run(parts, pinned: []) { _, _ in }
        if let error = damage(report) { throw error }
        let history = try AuditFile.opening("history", in: [], of: parts.store)
        var state = AuditState(MerkleFrontier())
        var number: UInt64 = 0
        while number < report.size {
            guard let file = try parts.segment(of: number) else { break }
            var lines = AuditLines(file)
            repeat {
                guard let line = try lines.next() else { break }
                state.admit(Merkle.leaf(line.bytes))
                number += 1
                if number.isMultiple(of: AuditParts.blockEntries) {
                    let index = number / AuditParts.blockEntries - 1
                    if try parts.history(index)?.root != state.root {
                        let made = try AuditCheckpoint(origin: parts.trust.origin, size: number, root: state.root)
                            .signed(by: key)
                        let bytes = state.root.bytes + (made.signatures.first?.bytes ?? [])
                        try history.write(bytes, at: index * UInt64(AuditParts.historyBytes))
                    }
                }
            } while number < report.size && number % AuditParts.segmentEntries != 0
            try write(state.unstored, parts)
            state.stored()
        }
        guard number == report.size, state.root == report.root else {
            throw .auditDamage("the audit log \(parts.trust.origin) changed while its hashes were computed")
        }
        try history.sync()
    }

    private static func write(_ unstored: [(level: Int, run: AuditState.Run)], _ parts: AuditParts) throws(VaultError) {
        for (level, run) in unstored { try parts.hashes.write(level: level, at: run.start, run.hashes) }
    }
}
