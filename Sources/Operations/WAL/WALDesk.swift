import CLinux
import Domain
import Glibc
import Synchronization
import Vault
import WALClient

/// Takes and gives WAL for the sources of the policies in force; any thread.
///
/// Invariants:
/// 1. "Absent" is answered only by what was read: the spool, and the header of every archive of the vault.
/// 2. Who asks was found to be allowed before anything that he says is looked at.
final class WALDesk: Sendable {
    struct Served: Sendable {
        var policy: String
        var vault: String
        var source: WALSource
        var spool: WALSpool
        /// What kept the last file from being taken; nil after one that was.
        var failure: String?
        /// Somebody waits for the vault to have what is in the spool, or will.
        var isUrgent = false
        /// Streams where the source names a slot.
        var receiver: WALReceiver?
        /// Beats where the source names a database.
        var heartbeat: WALHeartbeat?
    }

    private static let keyLimit = 64 << 10

    private let statePath: String
    let keyPath: String?
    private let sources = Mutex<[String: Served]>([:])
    let stopping = InterruptFlag()
    /// Pushes that wait for the vault wait here.
    let archiving = Monitor()
    /// Called when a push begins to wait for the vault.
    let onWaiting: @Sendable () -> Void
    /// One fetch reads from the vault at a time; see ``fetch(_:_:_:)``.
    let reading = Mutex(())
    /// One reader opens a vault at a time.
    let opening = Mutex(())
    let fetched = FetchedWAL()
    /// Sources of which the server became another one that has no base archive.
    private let baseless = Mutex<Set<String>>([])
    /// First segments of gaps that no recovery from the newest base archives comes to.
    private let passed = Mutex<Set<String>>([])

    init(statePath: String, keyPath: String?, onWaiting: @escaping @Sendable () -> Void = {}) {
        self.statePath = statePath
        self.keyPath = keyPath
        self.onWaiting = onWaiting
    }

    func stop() {
        stopping.set()
        tellWaiting()
        for one in served {
            one.receiver?.stop()
            one.heartbeat?.stop()
        }
        fetched.stop()
    }

    /// What is served from now on. Returns what cannot be.
    func serve(_ wanted: [(policy: String, vault: String, source: WALSource)]) -> [String] {
        var problems: [String] = []
        var made: [String: Served] = [:]
        let before = sources.withLock { $0 }
        for (policy, vault, source) in wanted {
            if let first = made[source.name] {
                problems.append(
                    "the WAL of \(source.name) is a source of \(first.policy) and of \(policy): the first counts")
                continue
            }
            let old = before[source.name]
            var receiver = old?.receiver
            var heartbeat = old?.heartbeat
            do {
                let spool = try old?.spool ?? WALSpool.shared(source.name, under: statePath, isOwner: true)
                if old?.source != source {
                    receiver?.stop()
                    heartbeat?.stop()
                    receiver = source.slot == nil ? nil : try WALReceiver(source, into: spool)
                    heartbeat = try source.heartbeat.map { try WALHeartbeat(source, in: $0) }
                }
                made[source.name] = Served(
                    policy: policy, vault: vault, source: source, spool: spool, failure: old?.failure,
                    isUrgent: old?.isUrgent ?? false, receiver: receiver, heartbeat: heartbeat)
            } catch {
                // One of them may have begun, and would go on beside those of the next attempt.
                receiver?.stop()
                heartbeat?.stop()
                problems.append("the WAL of \(source.name) cannot be taken: \(Daemon.words(error))")
            }
        }
        for (name, old) in before where made[name] == nil {
            old.receiver?.stop()
            old.heartbeat?.stop()
            fetched.forget(name)
        }
        let result = made
        sources.withLock { $0 = result }
        return problems
    }

    var served: [Served] { sources.withLock { $0.values.sorted { $0.source.name < $1.source.name } } }

    // MARK: Asking

    /// Whether somebody with this number may ask anything at all.
    func admits(_ user: uid_t) -> Bool { served.contains { isAllowed(user, $0) } }

    private func isAllowed(_ user: uid_t, _ one: Served) -> Bool {
        user == 0 || user == geteuid() || Int64(user) == tree_user_number(one.source.user)
    }

    private func find(_ name: String, _ user: uid_t) -> Served? {
        let allowed = served.filter { isAllowed(user, $0) && (name.isEmpty || $0.source.name == name) }
        return allowed.count == 1 ? allowed[0] : nil
    }

    /// The descriptor of a delivered file is the caller's.
    func answer(_ request: WALRequest, _ file: Int32?, from user: uid_t) -> (reply: WALReply, file: Int32?) {
        guard let one = find(request.source, user) else {
            let what = request.source.isEmpty ? "name the source with --source" : "there is no source \(request.source)"
            return (WALReply(.usage, "\(what), or user \(user) may not use it"), nil)
        }
        guard let name = WALFileName(request.file) else {
            return (WALReply(.usage, "\(request.file) is no name of a WAL file"), nil)
        }
        do {
            switch request.verb {
            case .push, .offer:
                guard let file else { return (WALReply(.usage, "no file came with the name"), nil) }
                let take = request.verb == .push ? push : offer
                return (try take(file, name, request.systemID, one), nil)
            case .fetch: return try fetch(name, request.systemID, one)
            }
        } catch let refusal as WALRefusal {
            return (WALReply(.refused, refusal.message), nil)
        } catch {
            return (WALReply(.tryAgain, Daemon.words(error)), nil)
        }
    }

    func change(_ one: Served, _ body: (inout Served) -> Void) {
        sources.withLock { all in
            guard var now = all[one.source.name] else { return }
            body(&now)
            all[one.source.name] = now
        }
    }

    func workplace(_ one: Served) -> Workplace {
        var made = Workplace(vaultPath: one.vault, statePath: statePath, interrupt: stopping)
        guard let keyPath else { return made }
        made.unlocking = .code {
            guard let bytes = try StateFile.read(keyPath, limit: Self.keyLimit) else {
                throw OperationError(.notFound, "there is no key file \(keyPath)")
            }
            return bytes
        }
        return made
    }

    /// What is wrong with each source's WAL, for the register of problems; nil where nothing is.
    func trouble(_ one: Served) -> String? {
        do {
            let index = try one.spool.index()
            var found: [String] = []
            if let failure = one.failure { found.append("WAL of \(one.source.name) is not taken: \(failure)") }
            if let words = one.receiver?.trouble { found.append("WAL of \(one.source.name): \(words)") }
            if let words = one.heartbeat?.trouble { found.append("WAL of \(one.source.name): \(words)") }
            let aside = try one.spool.quarantined()
            if let first = aside.first {
                found.append("\(aside.count) WAL files of \(one.source.name) contradict what was taken, first \(first)")
            }
            if let first = one.spool.lost(index).map(\.file.text).min() {
                found.append("WAL of \(one.source.name) is gone from the spool and in no archive, first \(first)")
            }
            for (cluster, coverage) in index.coverage {
                guard let gap = openGap(cluster, coverage, one) else { continue }
                let name = gap.first.name(coverage.segmentSize)
                found.append(
                    "WAL of \(one.source.name) (\(cluster)) has a gap of \(gap.count) segments from \(name): "
                        + "no moment behind it can be restored before there is a newer base archive")
            }
            found += strangers(index, one)
            return found.isEmpty ? nil : found.sorted().joined(separator: "; ")
        } catch {
            return "the WAL of \(one.source.name) cannot be looked at: \(Daemon.words(error))"
        }
    }

    /// What says that two servers archive under one name, or that the server became another one. Both end with a base archive of
    /// the one that goes on; looked for anew each time, as with gaps.
    private func strangers(_ index: WALLedgerIndex, _ one: Served) -> [String] {
        let forks = index.coverage.flatMap { cluster, coverage in coverage.forks.map { (cluster, coverage, $0) } }
        let newest = index.newestCluster
        let former = Set(index.clusters.map(\.systemID)).subtracting([newest?.systemID ?? 0])
        var isBaseless = false
        defer { note(one, isBaseless: isBaseless) }
        guard !forks.isEmpty || !former.isEmpty, let open = try? OpenVault(workplace(one)) else { return [] }
        var found: [String] = []
        for (cluster, coverage, fork) in forks {
            let bases = (try? WALInventory.bases(of: cluster.systemID, in: open)) ?? []
            guard !bases.contains(where: { $0.isBehind(fork) }) else { continue }
            found.append(
                "WAL of \(one.source.name) (\(cluster)) goes on on timeline \(fork.older.timeline), up to "
                    + "\(fork.older.name(coverage.segmentSize)), although timeline \(fork.newer) left it at \(fork.position): "
                    + "a recovery follows one of them. Two servers that archive need two sources, or an `incarnation` each; "
                    + "else make a base archive of the one that goes on")
        }
        if let newest, let before = former.min(),
            (try? WALInventory.bases(of: newest.systemID, in: open))?.isEmpty == true
        {
            isBaseless = true
            found.append(
                "the server of \(one.source.name) was initialised anew: its system identifier is \(newest.systemID), before it was "
                    + "\(before); nothing of it can be restored before there is a base archive of it")
        }
        return found
    }

    private func note(_ one: Served, isBaseless: Bool) {
        baseless.withLock { names in
            if isBaseless { names.insert(one.source.name) } else { names.remove(one.source.name) }
        }
    }

    /// Whether no base archive of the newest cluster was there when it was looked for, although there had been another cluster.
    func isBaseless(_ one: Served) -> Bool { baseless.withLock { $0.contains(one.source.name) } }

    /// The first gap that is in the way of the newest base archive of its cluster; of those that are behind it `qala wal status` tells.
    private func openGap(_ cluster: WALCluster, _ coverage: WALCoverage, _ one: Served) -> WALCoverage.Gap? {
        let gaps = coverage.gaps
        // Looked at anew each time: a base archive that was disposed of heals nothing. Where the vault cannot be read nothing is known
        // of one.
        let bases =
            gaps.isEmpty ? [] : (try? WALInventory.bases(of: cluster.systemID, in: OpenVault(workplace(one)))) ?? []
        let behind = gaps.filter { gap in
            bases.contains { $0.segmentSize == coverage.segmentSize && $0.isBehind(gap) }
        }
        let names = Set(behind.map { Self.name($0, cluster, coverage, one) })
        passed.withLock { passed in
            passed.subtract(gaps.map { Self.name($0, cluster, coverage, one) })
            passed.formUnion(names)
        }
        return gaps.first { !behind.contains($0) }
    }

    /// Whether the gap was found to be behind the newest base archive.
    func isPassed(
        _ gap: WALCoverage.Gap, _ cluster: WALCluster, _ coverage: WALCoverage, _ one: Served
    ) -> Bool {
        passed.withLock { $0.contains(Self.name(gap, cluster, coverage, one)) }
    }

    private static func name(
        _ gap: WALCoverage.Gap, _ cluster: WALCluster, _ coverage: WALCoverage, _ one: Served
    ) -> String {
        "\(one.source.name) \(cluster) \(gap.first.name(coverage.segmentSize)) \(gap.count)"
    }
}
