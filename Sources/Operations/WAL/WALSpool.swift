import Domain
import Glibc
import Synchronization
import Vault

// The spool of a source's WAL: STATE/wal/NAME, as docs/wal.md describes it.
//
// Invariants:
// 1. A file is acknowledged after it was synced, linked to its name, its directory synced and its ledger line synced.
// 2. It leaves the spool only after the ledger says which committed archive holds it. Histories stay.
// 3. The same key with other content changes nothing that is there: it is put aside, and refused.
// 4. A ledger line is never changed; each names the digest of the one before. What a crash tore is cut off.
// 5. Several processes may use a spool: whatever reads or writes the ledger holds the lock.
// 6. A process reads a ledger once: whoever uses a spool that is in use shares what was read, and reads only what came since. A
//    verification reads it again.

/// A file that is not taken, whoever tries again.
struct WALRefusal: Error {
    var message: String
}

final class WALSpool: Sendable {
    let name: String
    let path: String
    private let lock: Int32
    private let state: Mutex<WALLedgerFile>
    /// The daemon's, which goes on when a run is over.
    private let isOwned = Atomic<Bool>(false)
    /// Called at each step that a crash may follow; for tests.
    private let onStep: @Sendable (String) throws -> Void

    static func folder(of name: String, under statePath: String) -> String { "\(statePath)/wal/\(name)" }

    /// Those in use by this process, by their paths.
    private static let spools = Mutex<[String: InUse]>([:])

    private struct InUse: Sendable {
        weak var spool: WALSpool?
    }

    /// The spool in use, or one that is opened, and made where there is none; it is in use as long as somebody holds it. Its
    /// owner, the daemon, does what a crash left undone.
    static func shared(_ name: String, under statePath: String, isOwner: Bool = false) throws -> WALSpool {
        let spool = try spools.withLock { all in
            let path = folder(of: name, under: statePath)
            if let spool = all[path]?.spool { return spool }
            let made = try WALSpool(name: name, statePath: statePath)
            all = all.filter { $0.value.spool != nil }
            all[path] = InUse(spool: made)
            return made
        }
        // Not above: a ledger that is long, or held by another process, keeps nobody from another spool.
        if isOwner {
            try spool.cleanUp()
            spool.isOwned.store(true, ordering: .relaxed)
        } else {
            _ = try spool.index()
        }
        return spool
    }

    /// Opens a spool beside those that are in use, as another process does.
    init(
        name: String, statePath: String, onStep: @escaping @Sendable (String) throws -> Void = { _ in }
    ) throws {
        guard Policy.isWellFormed(name: name) else {
            throw OperationError(.usage, "\(name) cannot name a source", hint: "Give the name that the policy has.")
        }
        self.name = name
        path = Self.folder(of: name, under: statePath)
        state = Mutex(WALLedgerFile(in: path))
        self.onStep = onStep
        for folder in ["", "/new", "/quarantine", "/fetched"] { try StateFile.makeDirectory(path + folder) }
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw LogSpool.failure("opening", "\(path)/lock") }
    }

    deinit { close(lock) }

    func folder(of cluster: WALCluster) -> String { "\(path)/\(cluster)" }
    func path(of key: WALKey) -> String { "\(folder(of: key.cluster))/\(key.file.text)" }
    private static func now() -> String { TimeText.seconds(Int64(clamping: WallTime.seconds())) }

    /// What the ledger says now.
    func index() throws -> WALLedgerIndex { try locked { $0.index } }

    /// Reads the ledger once more from its first line on; throws where it is not what this process knows of it. Nobody waits for that.
    func verifyLedger() throws { try locked { $0.bare }.verify() }

    /// Whether a committed archive holds the file, and the ledger says so.
    func isArchived(_ key: WALKey) throws -> Bool { try locked { $0.index.records[key]?.archive != nil } }

    // MARK: The ledger

    private func locked<Result: Sendable>(_ body: (inout WALLedgerFile) throws -> Result) throws -> Result {
        let held: Swift.Result<Result, any Error> = state.withLock { state in
            Swift.Result {
                while flock(lock, LOCK_EX) != 0 {
                    guard errno == EINTR else { throw LogSpool.failure("locking", "\(path)/lock") }
                }
                defer { flock(lock, LOCK_UN) }
                try state.catchUp()
                return try body(&state)
            }
        }
        return try held.get()
    }

    // MARK: Taking a file

    /// What was found out about a file while it was copied.
    private struct Copied {
        var path: String
        var bytes: Int
        var digest: String
        var cluster: WALCluster
        var segmentSize: WALSegmentSize?
        var switches: String?
    }

    /// Takes in the file behind `descriptor`. `systemID` counts for files that do not tell themselves, and is 0 when nobody
    /// knows. What is held already is compared and not written once more.
    func accept(
        _ descriptor: Int32, _ name: WALFileName, systemID: UInt64, incarnation: Int
    ) throws -> WALKey {
        let given = WALGivenFile(descriptor: descriptor, name: name)
        if let held = try held(given, systemID: systemID, incarnation: incarnation), try given.digest() == held.digest {
            return held.key
        }
        let temporary = "\(path)/new/\(name.text).\(getpid()).\(UInt64.random(in: 0 ... .max))"
        defer { unlink(temporary) }
        var copied = try copy(given, to: temporary, systemID: systemID, incarnation: incarnation)
        try onStep("copied")
        let key = WALKey(cluster: copied.cluster, file: name)
        let refusal = try locked { state -> WALRefusal? in
            if let known = state.index.records[key] {
                guard known.digest == copied.digest else { return try quarantine(copied, key, &state) }
                if isHeld(known, key) { return nil }
            }
            guard try publish(&copied, as: key) else { return try quarantine(copied, key, &state) }
            try onStep("named")
            try state.append(line(copied, key))
            return nil
        }
        if let refusal { throw refusal }
        try onStep("ledger")
        return key
    }

    /// The key of a file and the digest of what was taken under it, when that is here or in an archive; of what is given only
    /// the first page is read.
    func held(_ given: WALGivenFile, systemID: UInt64, incarnation: Int) throws -> (key: WALKey, digest: String)? {
        let told = Copied(
            path: "", bytes: Int(try given.examine().st_size), digest: "",
            cluster: WALCluster(systemID: systemID, incarnation: incarnation))
        let key = WALKey(cluster: try examine(given.name, given.head(), told).cluster, file: given.name)
        return try locked { state in
            guard let known = state.index.records[key], isHeld(known, key) else { return nil }
            return (key, known.digest)
        }
    }

    private func isHeld(_ known: WALLedgerIndex.Record, _ key: WALKey) -> Bool {
        known.archive != nil || access(path(of: key), F_OK) == 0
    }

    private func line(_ copied: Copied, _ key: WALKey) -> WALLedgerLine {
        WALLedgerLine(
            act: .taken, cluster: "\(key.cluster)", time: Self.now(), previous: "", file: key.file.text,
            bytes: copied.bytes, digest: copied.digest, segmentBytes: copied.segmentSize.map { Int($0.bytes) },
            switches: copied.switches)
    }

    /// Gives the copy its name; false when another content has it already.
    private func publish(_ copied: inout Copied, as key: WALKey) throws -> Bool {
        let folder = folder(of: key.cluster)
        if access(folder, F_OK) != 0 {
            try StateFile.makeDirectory(folder)
            try Self.sync(path)
        }
        if link(copied.path, path(of: key)) != 0 {
            guard errno == EEXIST else { throw LogSpool.failure("naming", path(of: key)) }
            // A crash left it before its line, or its line without it and somebody put it back.
            let there = try LogSpoolFile(reading: path(of: key))
            guard try Self.digest(of: there) == copied.digest else { return false }
            try there.sync()
        }
        try Self.sync(folder)
        return true
    }

    private func quarantine(_ copied: Copied, _ key: WALKey, _ state: inout WALLedgerFile) throws -> WALRefusal {
        let aside = "\(path)/quarantine/\(key.cluster).\(key.file.text).\(copied.digest.prefix(16))"
        let refusal = WALRefusal(
            message: "\(key.file.text) was taken before with other content; this one lies in \(aside)")
        // The same one again.
        if access(aside, F_OK) == 0 { return refusal }
        guard rename(copied.path, aside) == 0 else { throw LogSpool.failure("renaming", copied.path) }
        try Self.sync("\(path)/quarantine")
        try state.append(
            WALLedgerLine(
                act: .quarantined, cluster: "\(key.cluster)", time: Self.now(), previous: "", file: key.file.text,
                bytes: copied.bytes, digest: copied.digest))
        return refusal
    }

    /// Copies and syncs; what it checks is the copy.
    private func copy(
        _ given: WALGivenFile, to temporary: String, systemID: UInt64, incarnation: Int
    ) throws -> Copied {
        let info = try given.examine()
        let file = try LogSpoolFile(making: temporary)
        file.reserve(Int(info.st_size))
        var hasher = ObjectHasher(suite: .blake3)
        var head: [UInt8] = []
        try given.forEachPiece { piece in
            hasher.update(piece)
            try file.append(piece)
            file.startWriteback(of: piece.count)
            if head.isEmpty { head = Array(piece.prefix(WALGivenFile.headBytes)) }
        }
        let copied = try examine(
            given.name, head,
            Copied(
                path: temporary, bytes: file.length, digest: hasher.finalize().hex,
                cluster: WALCluster(systemID: systemID, incarnation: incarnation)))
        // Recovery to a time is decided by when PostgreSQL wrote it last.
        guard utimensat(AT_FDCWD, temporary, [info.st_mtim, info.st_mtim], 0) == 0 else {
            throw LogSpool.failure("setting the time of", temporary)
        }
        try file.sync()
        return copied
    }

    private func examine(_ name: WALFileName, _ head: [UInt8], _ copied: Copied) throws -> Copied {
        var copied = copied
        switch name.form {
        case .segment, .partial:
            let page: WALPageHeader
            do { page = try WALPageHeader(head) } catch {
                throw WALRefusal(message: "\(name.text) does not begin as WAL of PostgreSQL 15 to 18 does (\(error))")
            }
            if let objection = page.objection(to: name, size: UInt64(copied.bytes)) {
                throw WALRefusal(message: "\(name.text) \(objection)")
            }
            copied.cluster.systemID = page.systemID
            copied.segmentSize = page.segmentSize
        case .history:
            let text = String(decoding: head, as: UTF8.self)
            guard copied.bytes <= head.count,
                let history = WALTimelineHistory(timeline: name.timeline, text: text)
            else { throw WALRefusal(message: "\(name.text) cannot be read as a history") }
            copied.switches = WALFacts.text(history)
        case .backup: break
        }
        if copied.cluster.systemID == 0 {
            let known = Set(try index().clusters.map(\.systemID))
            guard known.count == 1, let only = known.first else {
                throw WALRefusal(
                    message: "of which cluster \(name.text) is, is not known: push it from the data directory")
            }
            copied.cluster.systemID = only
        }
        return copied
    }

    // MARK: After a crash

    /// Does what a crash left undone; nobody may be handing a file over.
    func cleanUp() throws {
        for left in try StateFile.list("\(path)/new") { unlink("\(path)/new/\(left)") }
        try emptyCache()
        try enterStrays()
    }

    /// A crash may have cut what lies there, since nothing of it was synced.
    private func emptyCache() throws {
        for folder in try StateFile.list("\(path)/fetched") {
            let folder = "\(path)/fetched/\(folder)"
            if unlink(folder) == 0 { continue }
            for name in try StateFile.list(folder) {
                guard unlink("\(folder)/\(name)") == 0 || errno == ENOENT else {
                    throw LogSpool.failure("removing", "\(folder)/\(name)")
                }
            }
        }
    }

    /// Files that have their name and no line: their bytes say all that is needed.
    private func enterStrays() throws {
        try locked { state in
            for folder in try StateFile.list(path) {
                guard let cluster = WALCluster(folder) else { continue }
                for text in try StateFile.list("\(path)/\(folder)") {
                    guard let file = WALFileName(text) else { continue }
                    let key = WALKey(cluster: cluster, file: file)
                    if let known = state.index.records[key] {
                        // What was archived and not removed.
                        if known.archive != nil, file.form != .history { unlink(path(of: key)) }
                        continue
                    }
                    let there = try LogSpoolFile(reading: path(of: key))
                    let head = try there.bytes(0..<min(WALGivenFile.headBytes, there.length))
                    let copied = Copied(
                        path: there.path, bytes: there.length, digest: try Self.digest(of: there), cluster: cluster)
                    guard let found = try? examine(file, head, copied), found.cluster == cluster else { continue }
                    try there.sync()
                    try Self.sync("\(path)/\(folder)")
                    try state.append(line(found, key))
                }
            }
        }
    }

    private static func digest(of file: LogSpoolFile) throws -> String {
        var hasher = ObjectHasher(suite: .blake3)
        try file.forEachPiece(from: 0) { hasher.update($0) }
        return hasher.finalize().hex
    }

    static func sync(_ folder: String) throws {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LogSpool.failure("opening", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LogSpool.failure("syncing", folder) }
    }

    // MARK: After the archive

    /// Notes what an archive holds, and removes that from the spool.
    func noteArchived(_ keys: [WALKey], in archive: String) throws {
        for (cluster, ofCluster) in Dictionary(grouping: keys, by: \.cluster) {
            let fresh = try locked { state -> [WALKey] in
                let fresh = ofCluster.filter { state.index.waiting.contains($0) }
                guard !fresh.isEmpty else { return fresh }
                try state.append(
                    WALLedgerLine(
                        act: .archived, cluster: "\(cluster)", time: Self.now(), previous: "", archive: archive,
                        files: fresh.map(\.file.text).sorted()))
                try onStep("archived")
                return fresh
            }
            remove(fresh.filter { $0.file.form != .history })
        }
    }

    /// Removes what the ledger says an archive holds. That takes some milliseconds for each, for which nobody waits: neither who
    /// wants the lock nor, where the process goes on, who noted the archive. What is left by a crash the next start removes.
    private func remove(_ archived: [WALKey]) {
        let paths = archived.map { path(of: $0) }
        @Sendable func unlinkAll() { for path in paths { unlink(path) } }
        guard isOwned.load(ordering: .relaxed), !paths.isEmpty, let thread = try? WorkerThread({ unlinkAll() }) else {
            return unlinkAll()
        }
        thread.detach()
    }

    /// What the ledger says is here, and is not.
    func lost(_ index: WALLedgerIndex) -> [WALKey] { index.waiting.filter { access(path(of: $0), F_OK) != 0 } }

    /// Files that wait for a person to look at them.
    func quarantined() throws -> [String] { try StateFile.list("\(path)/quarantine") }
}
