import Domain
import Glibc
import Vault

/// The files that were read back from vaults, and who reads which of them just now; any thread.
///
/// Invariants:
/// 1. A file is written by one thread at a time; who wants it meanwhile waits for that one alone.
/// 2. Of each source at most ``limit`` files stay, those that were used last.
/// 3. What reads a vault, and the reading key with it, stays for at most ``openSeconds`` and the file that is being read then:
///    it is only kept where a thread is there to let go of it.
///
/// SAFETY: everything that changes is touched inside `monitor.locked`; a thread is joined once, by ``stop()``.
final class FetchedWAL: @unchecked Sendable {
    struct File: Sendable {
        var one: WALDesk.Served
        /// Of whom it was asked for; 0 when that was not said.
        var systemID: UInt64
        var cluster: WALCluster
        var name: WALFileName

        var folder: String { "\(one.spool.path)/fetched/\(cluster)" }
        var path: String { "\(folder)/\(name.text)" }
    }

    /// A vault as it was a moment ago: what its inventory lacks may be there by now.
    struct Opened: Sendable {
        var vault: String
        var reader: VaultReader
        var inventory: WALInventory
        /// By ``MonotonicTime``.
        var end = MonotonicTime.now() + FetchedWAL.openSeconds
    }

    static let limit = 16
    static let openSeconds = 10.0
    private static let readerCount = 2

    private let monitor = Monitor()
    private var reading: Set<String> = []
    /// By source, used last at the end.
    private var cached: [String: [String]] = [:]
    /// To be read ahead, in this order.
    private var wanted: [File] = []
    private var opened: [String: Opened] = [:]
    /// What a host that lost its ledger knows of whose files there are.
    private var seen: [String: Set<WALCluster>] = [:]
    private var threads: [WorkerThread] = []
    private var isStopping = false

    // MARK: Files

    /// Until nobody reads it.
    func wait(for file: File) {
        monitor.locked { while reading.contains(file.path) { monitor.wait() } }
    }

    /// Waits until nobody else reads it; from then on the caller does, until ``release(_:isThere:)``.
    func claim(_ file: File) {
        monitor.locked {
            while reading.contains(file.path) { monitor.wait() }
            reading.insert(file.path)
        }
    }

    func release(_ file: File, isThere: Bool) {
        monitor.locked {
            reading.remove(file.path)
            if isThere { use(file) }
            monitor.wakeAll()
        }
    }

    func noteUse(of file: File) { monitor.locked { use(file) } }

    /// What was asked for long ago is not asked for again. Call it inside `monitor.locked`.
    private func use(_ file: File) {
        let source = file.one.source.name
        var paths = (cached[source] ?? []).filter { $0 != file.path }
        paths.append(file.path)
        if paths.count > Self.limit { unlink(paths.removeFirst()) }
        cached[source] = paths
    }

    // MARK: Reading ahead

    /// Files that a source will be asked for next, instead of what was said before.
    func want(_ files: [File], of source: String) {
        monitor.locked {
            wanted.removeAll { $0.one.source.name == source }
            guard !threads.isEmpty else { return }
            let kept = cached[source] ?? []
            wanted += files.filter { !kept.contains($0.path) && !reading.contains($0.path) }
            if !wanted.isEmpty { monitor.wakeAll() }
        }
    }

    /// Waits for a file to be read ahead, which is the caller's then, as with ``claim(_:)``. Nil when there will be none.
    func next() -> File? {
        monitor.locked {
            while !isStopping {
                let now = MonotonicTime.now()
                opened = opened.filter { $0.value.end > now }
                while !wanted.isEmpty {
                    let file = wanted.removeFirst()
                    let isKept = cached[file.one.source.name]?.contains(file.path) ?? false
                    if !isKept, reading.insert(file.path).inserted { return file }
                }
                if let end = opened.values.map(\.end).min() { monitor.wait(until: end) } else { monitor.wait() }
            }
            return nil
        }
    }

    /// Keeps what was opened; `work` is what threads do that read ahead.
    func keep(_ opened: Opened, of source: String, _ work: @escaping @Sendable () -> Void) {
        monitor.locked {
            seen[source] = Set(opened.inventory.pieces.map(\.cluster))
            guard !isStopping else { return }
            // Where there can be none, fetches read everything themselves.
            while threads.count < Self.readerCount, let thread = try? WorkerThread(work) { threads.append(thread) }
            guard !threads.isEmpty else { return }
            self.opened[source] = opened
            monitor.wakeAll()
        }
    }

    func opened(_ one: WALDesk.Served) -> Opened? {
        monitor.locked {
            let kept = opened[one.source.name]
            return kept.flatMap { $0.vault == one.vault && $0.end > MonotonicTime.now() ? $0 : nil }
        }
    }

    func clusters(of source: String) -> Set<WALCluster> { monitor.locked { seen[source] ?? [] } }

    /// After something went wrong: nothing more of the source is read ahead until it is asked for something.
    func pause(_ source: String) {
        monitor.locked {
            opened[source] = nil
            wanted.removeAll { $0.one.source.name == source }
        }
    }

    /// The source is no longer served.
    func forget(_ source: String) {
        pause(source)
        monitor.locked {
            seen[source] = nil
            for path in cached.removeValue(forKey: source) ?? [] { unlink(path) }
        }
    }

    /// Lets the files that are being read end, and nothing is read ahead any more.
    func stop() {
        let ending = monitor.locked {
            isStopping = true
            wanted = []
            opened = [:]
            monitor.wakeAll()
            defer { threads = [] }
            return threads
        }
        for thread in ending { thread.join() }
    }
}
