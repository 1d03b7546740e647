package import Domain
import Glibc

// Invariants of the audit log (`docs/audit.md`):
//
// 1. Entry n is leaf n of the tree. What is below a checkpoint never changes; what is above it is at most the rest of a
//    block of 256.
// 2. An entry is acknowledged after its segment was synced, and only then its slot in the tail is written: a valid slot
//    proves an entry that was on the disk.
// 3. A checkpoint is published after entries, hashes and history below it were synced.
// 4. After a failed sync nothing more is acknowledged by this instance. Opening writes everything above the checkpoint
//    anew, because the kernel may have dropped the pages of the failed sync and still show them.
// 5. One process appends; readers need no lock. Memory holds the right edge of the tree and at most 256 leaves, never
//    the log.
// 6. Trust comes from the caller: name, keys and pinned checkpoints. Nothing beside the log vouches for it.

/// The audit log of one host. Calls may come from any thread; they block.
package final class AuditLog: @unchecked Sendable {
    // SAFETY: `state`, `signed`, `synced`, `segment`, `end` and `failed` are touched only inside `monitor.locked` or by the
    // function that opens the log, before any other thread knows of it.

    let parts: AuditParts
    /// Nil in a log that was opened for reading.
    let signer: SigningKey?
    let clock: @Sendable () -> Timestamp
    private let lock: AuditFile?
    let monitor = Monitor()

    var state: AuditState
    var signed: AuditCheckpoint
    /// How many entries the disk certainly has.
    private var synced: UInt64
    private var segment: AuditFile?
    /// Where the next entry belongs in its segment.
    private var end: UInt64
    private var failed: VaultError?

    init(
        _ parts: AuditParts, _ loaded: AuditLoaded, signer: SigningKey?, lock: AuditFile?,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.parts = parts
        self.signer = signer
        self.lock = lock
        self.clock = clock
        state = loaded.state
        signed = loaded.checkpoint
        synced = loaded.checkpoint.size
        end = loaded.replay.end
    }

    package var origin: String { parts.trust.origin }
    package var directory: String { parts.store.describe }
    /// Entries, those of an unfinished batch included.
    package var size: UInt64 { monitor.locked { state.size } }
    /// The newest checkpoint.
    package var lastCheckpoint: AuditCheckpoint { monitor.locked { signed } }

    /// The time of this machine.
    package static let systemClock: @Sendable () -> Timestamp = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(seconds: Int64(now.tv_sec), nanoseconds: UInt32(truncatingIfNeeded: now.tv_nsec))
    }

    // MARK: Appending

    /// Records an act; returns its number. When it returns, the entry is on the disk, unless `durably` is false: then it
    /// is after the next ``sync()`` or ``checkpoint()`` that returns. An error means that the act may or may not be
    /// recorded, and must not be acknowledged.
    @discardableResult
    package func append(_ act: AuditAct, durably: Bool = true) throws(VaultError) -> UInt64 {
        try append([act], durably: durably).lowerBound
    }

    /// Records acts in this order with one sync; returns their numbers. After an error the first of them may be recorded.
    @discardableResult
    package func append(_ acts: [AuditAct], durably: Bool = true) throws(VaultError) -> Range<UInt64> {
        try monitor.locked { () throws(VaultError) in
            let now = clock()
            return try appendLocked(acts.map { AuditItem(act: $0, time: now) }, durably: durably)
        }
    }

    /// Makes every entry so far durable.
    package func sync() throws(VaultError) { try monitor.locked { () throws(VaultError) in try syncLocked() } }

    /// Signs the log as it is now, durably. The same as before when nothing was appended since.
    @discardableResult
    package func checkpoint() throws(VaultError) -> AuditCheckpoint {
        try monitor.locked { () throws(VaultError) in try checkpointLocked() }
    }

    /// Keeps a checkpoint of this log that another site cosigned: opening will compare it, packs will carry it.
    package func keep(cosigned checkpoint: AuditCheckpoint, by cosigner: AuditKey) throws(VaultError) {
        try monitor.locked { () throws(VaultError) in
            try refuseUnlessWriting()
            guard cosigner.kind == .cosigner, checkpoint.isSigned(by: cosigner),
                checkpoint.isValid(for: parts.trust)
            else { throw AuditCheckpoint.notSigned(origin: origin) }
            try compareLocked(checkpoint)
            try parts.store.put("cosigned/\(cosigner.idText)", checkpoint.note)
        }
    }

    private func refuseUnlessWriting() throws(VaultError) {
        if signer == nil {
            throw VaultError(
                .notAllowed, "the audit log \(origin) was opened for reading",
                hint: "Record acts through the daemon, or in the spool.")
        }
        if let failed {
            throw VaultError(
                failed.code == .noSpace ? .noSpace : .io,
                "an earlier write of the audit log \(origin) failed; nothing more is recorded", hint: failed.hint,
                underlying: failed.message)
        }
    }

    /// What failed half-way leaves unknown what the disk has: only opening the log again finds out.
    private func guarding<R>(_ body: () throws(VaultError) -> R) throws(VaultError) -> R {
        do throws(VaultError) {
            return try body()
        } catch {
            failed = error
            throw error
        }
    }

    /// Callers hold the monitor.
    func appendLocked(_ items: [AuditItem], durably: Bool) throws(VaultError) -> Range<UInt64> {
        try refuseUnlessWriting()
        let first = state.size
        guard first + UInt64(items.count) < AuditEntry.limit else {
            throw VaultError(.limit, "the audit log \(origin) is full")
        }
        var rest = items[...]
        while !rest.isEmpty {
            let room = AuditParts.blockEntries - state.size % AuditParts.blockEntries
            let part = rest.prefix(Int(room))
            rest = rest.dropFirst(part.count)
            var lines: [[UInt8]] = []
            for item in part {
                let number = state.size + UInt64(lines.count)
                lines.append(try AuditEntry(number: number, time: item.time, act: item.act, via: item.via).line)
            }
            try write(lines)
            for line in lines { state.admit(Merkle.leaf(line)) }
            if state.size % AuditParts.blockEntries == 0 { _ = try checkpointLocked() }
        }
        if durably { try syncLocked() }
        return first..<state.size
    }

    /// All lines or none, at the end of their segment.
    private func write(_ lines: [[UInt8]]) throws(VaultError) {
        let file: AuditFile
        if let segment, state.size % AuditParts.segmentEntries != 0 {
            file = segment
        } else {
            let name = AuditParts.segmentName(of: state.size)
            file = try AuditFile.opening(name, in: ["entries"], of: parts.store)
            if state.size % AuditParts.segmentEntries == 0 { end = 0 }
            segment = file
        }
        var bytes: [UInt8] = []
        for line in lines { bytes += line + [0x0A] }
        do throws(VaultError) {
            try file.write(bytes, at: end)
        } catch {
            // A full disk passes; what is there of the line must not stay behind.
            try guarding { () throws(VaultError) in try file.truncate(to: end) }
            throw error
        }
        end += UInt64(bytes.count)
    }

    private func syncLocked() throws(VaultError) {
        try refuseUnlessWriting()
        guard synced < state.size else { return }
        try guarding { () throws(VaultError) in
            try segment?.sync()
            let tail = try AuditFile.opening("tail", in: [], of: parts.store)
            for number in synced..<state.size {
                let leaf = state.recent[Int(number - state.recentStart)]
                try tail.write(AuditTail.slot(number, leaf), at: AuditTail.offset(of: number))
            }
            synced = state.size
        }
    }

    /// `always` signs and publishes even what is published already.
    func checkpointLocked(always: Bool = false) throws(VaultError) -> AuditCheckpoint {
        if signer == nil { return signed }
        try syncLocked()
        guard let signer, always || signed.size != state.size else { return signed }
        return try guarding { () throws(VaultError) in
            let root = state.root
            let made = try AuditCheckpoint(origin: origin, size: state.size, root: root).signed(by: signer)
            for (level, run) in state.unstored { try parts.hashes.write(level: level, at: run.start, run.hashes) }
            if made.size > 0, made.size % AuditParts.blockEntries == 0, let signature = made.signatures.first {
                let file = try AuditFile.opening("history", in: [], of: parts.store)
                let index = made.size / AuditParts.blockEntries - 1
                try file.write(root.bytes + signature.bytes, at: index * UInt64(AuditParts.historyBytes))
                try file.sync()
            }
            try parts.store.put("checkpoint", made.note)
            state.stored()
            signed = made
            return made
        }
    }

    // MARK: Opening

    /// Writes what lies above the checkpoint anew, cuts off what is torn, and publishes a checkpoint.
    func settle(_ replay: AuditReplay) throws(VaultError) {
        let store = parts.store
        // An earlier sync of a directory may have failed and left names that only seem to be there.
        try store.put("format", parts.format)
        for directory in ["entries", "hashes"] {
            try store.syncDirectory(try store.directoryForWriting([directory]), [directory])
        }
        let name = AuditParts.segmentName(of: signed.size)
        segment = try AuditFile.existing(name, in: ["entries"], of: store, writing: true)
        if let segment {
            try segment.write(replay.bytes, at: replay.start)
            if replay.torn > 0 {
                try keepTorn(segment, replay)
                try segment.truncate(to: replay.end)
            }
            try segment.sync()
        }
        _ = try checkpointLocked(always: true)
        if try recordCut() { _ = try checkpointLocked() }
    }

    /// Longer torn ends are cut without a copy; nothing but a broken disk makes them.
    private static let maximumKept: UInt64 = 64 << 20

    private func keepTorn(_ segment: AuditFile, _ replay: AuditReplay) throws(VaultError) {
        let number = signed.size + replay.size
        var kept = 0
        while try parts.store.length(of: "cut/\(number)-\(kept)") != nil { kept += 1 }
        let count = Int(min(replay.torn, Self.maximumKept))
        try parts.store.put("cut/\(number)-\(kept)", try segment.read(at: replay.end, count: count))
    }

    /// The entry that tells what was cut off at the end, unless there is nothing to tell.
    private func recordCut() throws(VaultError) -> Bool {
        var pieces: UInt64 = 0
        var bytes: UInt64 = 0
        var hasher = ObjectHasher(suite: .hmacSHA256)
        while let length = try parts.store.length(of: "cut/\(state.size)-\(pieces)") {
            let piece = try parts.store.get("cut/\(state.size)-\(pieces)", limit: Int(Self.maximumKept))
            hasher.update(piece)
            bytes += length
            pieces += 1
        }
        if pieces == 0 { return false }
        let act = AuditAct(
            .service("audit"), "audit.recover", subject: origin, outcome: .partial,
            details: [
                AuditDetail("bytes", "\(bytes)"), AuditDetail("sha256", hasher.finalize().hex),
                AuditDetail("kept", "cut/\(state.size)-0"), AuditDetail("pieces", "\(pieces)"),
            ])
        _ = try appendLocked([AuditItem(act: act, time: clock())], durably: true)
        return true
    }

    // MARK: Comparing

    /// The root when the log had `size` entries. Callers hold the monitor.
    func rootLocked(at size: UInt64) throws(VaultError) -> Digest {
        if size == state.size { return state.root }
        return size == 0 ? Merkle.empty : try subtreeLocked(0..<size)
    }

    func subtreeLocked(_ range: Range<UInt64>) throws(VaultError) -> Digest {
        try parts.hashes.subtree(range, recentStart: state.recentStart, state.recent)
    }

    func compareLocked(_ pinned: AuditCheckpoint) throws(VaultError) {
        guard pinned.origin.utf8.elementsEqual(origin.utf8) else {
            throw VaultError(.invalidInput, "the pinned checkpoint is one of the audit log \(pinned.origin)")
        }
        if pinned.size > state.size { throw AuditCheckpoint.rolledBack(pinned: pinned.size, size: state.size) }
        guard try rootLocked(at: pinned.size) == pinned.root else {
            throw AuditCheckpoint.split(at: pinned.size, size: state.size)
        }
    }
}

/// An act on its way into the log.
struct AuditItem {
    var act: AuditAct
    var time: Timestamp
    var via = ""
}

/// The right edge of the tree, and the leaves above the checkpoint.
struct AuditState {
    /// Neighbouring hashes of one level that wait for the next checkpoint.
    struct Run {
        var start: UInt64
        var hashes: [Digest]
    }

    private var frontier: MerkleFrontier
    private(set) var recent: [Digest] = []
    /// The number of the first of `recent`.
    private(set) var recentStart: UInt64
    /// By level of the hash files.
    private(set) var unstored: [(level: Int, run: Run)] = []

    init(_ frontier: MerkleFrontier) {
        self.frontier = frontier
        recentStart = frontier.size
    }

    var size: UInt64 { frontier.size }
    var root: Digest { frontier.root }

    mutating func admit(_ leaf: Digest) {
        recent.append(leaf)
        var completed: [(Int, UInt64, Digest)] = []
        frontier.append(leaf) { level, index, hash in
            if level.isMultiple(of: 8) { completed.append((level / 8, index, hash)) }
        }
        for (level, index, hash) in completed {
            if let at = unstored.firstIndex(where: { $0.level == level }) {
                unstored[at].run.hashes.append(hash)
            } else {
                unstored.append((level, Run(start: index, hashes: [hash])))
            }
        }
    }

    /// Everything so far is in the hash files.
    mutating func stored() {
        recent = []
        recentStart = size
        unstored = []
    }
}
