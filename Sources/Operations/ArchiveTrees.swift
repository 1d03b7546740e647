import Catalog
import Collectors
package import Domain
import Glibc
import Synchronization
import Vault

/// Archives trees of files, ad hoc or by a policy. Originals stay, also of `mode: move`: ``MoveOriginals`` is a step of its own.
package enum ArchiveTrees {
    package struct Request {
        package var roots: [String]
        package var excludes: [String]
        package var oneFileSystem: Bool
        package var excludeCaches: Bool
        package var dryRun: Bool
        /// With a policy its sources are archived, and `roots` to `excludeCaches` do not count.
        package var policy: Policy?
        /// Seconds between checkpoints; nil for what suits most.
        package var checkpointSeconds: Double?

        package init(
            roots: [String], excludes: [String], oneFileSystem: Bool, excludeCaches: Bool, dryRun: Bool,
            policy: Policy?, checkpointSeconds: Double? = nil
        ) {
            self.roots = roots
            self.excludes = excludes
            self.oneFileSystem = oneFileSystem
            self.excludeCaches = excludeCaches
            self.dryRun = dryRun
            self.policy = policy
            self.checkpointSeconds = checkpointSeconds
        }

        /// The run of a policy.
        package init(policy: Policy, dryRun: Bool = false, checkpointSeconds: Double? = nil) {
            self.init(
                roots: policy.sources.map(\.path), excludes: [], oneFileSystem: false, excludeCaches: false,
                dryRun: dryRun, policy: policy, checkpointSeconds: checkpointSeconds)
        }

        var sources: [FileSource] {
            policy?.sources
                ?? roots.map {
                    FileSource(
                        path: $0, excludes: excludes, oneFileSystem: oneFileSystem, excludeCaches: excludeCaches)
                }
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> ArchiveReport {
        let started = MonotonicTime.now()
        let open = try OpenVault(workplace)
        guard let policy = request.policy, !request.dryRun else {
            return try walk(request, open, started)
        }
        let hooks = RunHooks(policy: policy, interrupt: workplace.interrupt)
        do {
            try hooks.before()
            let logs = try CollectLogs(policy, at: workplace)
            try logs?.collect(policy.logs, workplace.interrupt)
            var report = try walk(request, open, started, logs)
            report.warnings += hooks.after(report.isPartial ? "partial" : "done")
            return report
        } catch {
            let failures = hooks.after("failed")
            guard let failure = error as? any Failure, !failures.isEmpty else { throw error }
            throw OperationError(
                failure.kind, ([failure.message] + failures).joined(separator: "; "), hint: failure.hint)
        }
    }

    private static func walk(
        _ request: Request, _ open: OpenVault, _ started: Double, _ logs: CollectLogs? = nil
    ) throws -> ArchiveReport {
        let spool = CollectLogs.spoolPath(of: request.policy, at: open.workplace)
        if request.dryRun, request.sources.isEmpty, request.policy != nil, spool == nil { return ArchiveReport() }
        let walk = try SourceWalk(request.sources, keepingOut: open.workplace, spool: spool)
        for problem in logs?.problems ?? [] { walk.add(problem) }
        var run = ArchiveRun(open: open, request: request, walk: walk)
        run.report.warnings = logs?.warnings ?? []
        var report = request.dryRun ? try run.rehearse() : try run.archive()
        if let logs, let archive = report.archive {
            report.warnings += logs.noteArchived(run.segments, in: archive)
        }
        report.seconds = MonotonicTime.now() - started
        return report
    }
}

/// The entries of several sources as one ordered stream.
final class SourceWalk {
    let roots: [[UInt8]]
    private var rest: [WalkOptions]
    private(set) var walker: FileTreeWalker?
    private var last: [UInt8] = []
    private(set) var excluded = 0
    /// The segments of logs, which lie where no other source may look.
    let spool: FileTreeWalker?
    private var merge = LogMerge()

    init(_ sources: [FileSource], keepingOut workplace: Workplace, spool: String? = nil) throws {
        guard !sources.isEmpty || spool != nil else {
            throw OperationError(.usage, "there is nothing to archive", hint: "Name a path.")
        }
        let own = [workplace.vaultPath, workplace.statePath].compactMap(Self.identity)
        // Sources with equal options are walked as one, so that they may overlap.
        var groups: [(key: [String], options: WalkOptions)] = []
        for source in sources {
            let key = source.excludes + ["\(source.oneFileSystem)", "\(source.excludeCaches)"]
            let path = Array(try Self.absolute(source.path).utf8)
            if let index = groups.firstIndex(where: { $0.key == key }) {
                groups[index].options.roots.append(path)
            } else {
                groups.append(
                    (
                        key,
                        WalkOptions(
                            roots: [path], excludes: try ExcludePatterns(source.excludes),
                            oneFileSystem: source.oneFileSystem, excludeCaches: source.excludeCaches,
                            excludedTrees: Set(own))
                    ))
            }
        }
        rest = try groups.count == 1 ? groups.map(\.options) : Self.ordered(groups.map(\.options))
        let ofLogs = spool.map { [Array($0.utf8)] } ?? []
        roots = (rest.flatMap(\.roots) + ofLogs).sorted { PathOrder.compare($0, $1) < 0 }
        self.spool = try spool.map(LogMerge.walker)
        for index in rest.indices { rest[index].onExcluded = { [unowned self] _, _ in excluded += 1 } }
        // A root that does not exist is an error before anything else happens.
        for options in rest.dropFirst() { _ = try FileTreeWalker(options) }
        try nextWalker()
    }

    private static func absolute(_ path: String) throws -> String {
        guard !path.isEmpty else { throw OperationError(.usage, "a path is empty", hint: "Name a path.") }
        guard !path.hasPrefix("/") else { return path }
        guard let directory = getcwd(nil, 0) else {
            throw OperationError(.failed, "the working directory is unknown", hint: "Name an absolute path.")
        }
        defer { free(directory) }
        guard let text = String(validatingCString: directory) else {
            throw OperationError(
                .usage, "the name of the working directory is not UTF-8", hint: "Name an absolute path.")
        }
        return text + "/" + path
    }

    private static func identity(_ path: String) -> FileIdentity? {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        return FileIdentity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
    }

    /// Sources with different options are walked one after another; each root alone, in order, none inside another.
    private static func ordered(_ groups: [WalkOptions]) throws -> [WalkOptions] {
        var single: [WalkOptions] = []
        for group in groups {
            for root in group.roots {
                var options = group
                options.roots = [root]
                single.append(options)
            }
        }
        single.sort { PathOrder.compare($0.roots[0], $1.roots[0]) < 0 }
        for (one, next) in zip(single, single.dropFirst())
        where PathOrder.isInside(next.roots[0], one.roots[0]) {
            throw OperationError(
                .usage,
                "the source \(String(decoding: next.roots[0], as: UTF8.self)) lies inside another with other options",
                hint: "Give both the same options, or exclude it from the outer one and name its own policy.")
        }
        return single
    }

    private func nextWalker() throws {
        walker = rest.isEmpty ? nil : try FileTreeWalker(rest.removeFirst())
    }

    /// The next entry, or nil at the end.
    func next() throws -> FileTreeWalker? {
        guard let spool else { return try nextOfSources() }
        return try merge.next(spool, nextOfSources) { take(spool) }
    }

    private func nextOfSources() throws -> FileTreeWalker? {
        while let current = walker {
            while try current.next() {
                // Ancestors that an earlier source brought already.
                if !last.isEmpty, PathOrder.compare(current.entry.path, last) <= 0 { continue }
                last = current.entry.path
                return current
            }
            take(current)
            try nextWalker()
        }
        return nil
    }

    private func take(_ walker: FileTreeWalker) {
        let details = walker.problems.take()
        for problem in details { add(problem) }
        // Of very many the log keeps only how many there were.
        let more = walker.problems.count - details.count
        ledger.withLock { $0.count += more }
    }

    private func add(_ problem: FileProblem) {
        add(PathProblem(stored: problem.path, reason: problem.reason))
    }

    /// Any thread.
    func add(_ problem: PathProblem) { ledger.withLock { $0.add(problem) } }

    private struct Ledger {
        var problems: [PathProblem] = []
        var count = 0

        mutating func add(_ problem: PathProblem) {
            count += 1
            if problems.count < 1000 { problems.append(problem) }
        }
    }
    private let ledger = Mutex(Ledger())
    var problems: [PathProblem] { ledger.withLock { $0.problems } }
    var problemCount: Int { ledger.withLock { $0.count } }
}

/// One run: the walk of the sources into an archive session, with the catalog's names beside it.
struct ArchiveRun {
    let open: OpenVault
    let request: ArchiveTrees.Request
    let walk: SourceWalk
    var report = ArchiveReport()
    /// The log segments that the archive holds.
    private(set) var segments: [Int] = []

    init(open: OpenVault, request: ArchiveTrees.Request, walk: SourceWalk) {
        self.open = open
        self.request = request
        self.walk = walk
        report.policy = request.policy?.name
    }

    /// What identifies the source, so that the next run of it finds this one's tree: the policy, or the roots.
    private var sourceID: Digest {
        var text = request.policy.map { "policy\u{0}\($0.name)" } ?? "paths"
        if request.policy == nil {
            for root in walk.roots { text += "\u{0}" + String(decoding: root, as: UTF8.self) }
        }
        return ObjectHasher.digest(of: Array(text.utf8), suite: .blake3)
    }

    /// Counts what would be archived.
    mutating func rehearse() throws -> ArchiveReport {
        while let walker = try walk.next() {
            try checkInterrupt()
            count(walker.entry)
        }
        finishCounts()
        return report
    }

    private func checkInterrupt() throws {
        if open.workplace.interrupt.isSet {
            throw OperationError(.interrupted, "interrupted")
        }
    }

    private mutating func count(_ entry: Entry) {
        switch entry.kind {
        case .file:
            report.files += 1
            report.bytes = report.bytes.addingClamped(entry.size)
            if let sequence = LogMerge.segment(entry, of: walk.spool) { segments.append(sequence) }
        case .directory: report.directories += 1
        default: report.others += 1
        }
    }

    private mutating func finishCounts() {
        report.excluded = walk.excluded
        report.problems = walk.problems
        report.problemCount = walk.problemCount
    }

    mutating func archive() throws -> ArchiveReport {
        let vault = open.vault
        let started = WallTime.seconds()
        var options = ArchiveSession.Options()
        if let level = request.policy?.compressionLevel { options.level = Int32(level) }
        if let seconds = request.checkpointSeconds { options.checkpointSeconds = seconds }
        let session = try ArchiveSession(vault: vault, source: sourceID, options: options)
        defer { session.stop() }
        report.resumed = session.isResumed
        let names = try NameCatalog.Writer(directory: vault.host.catalogDirectory, id: session.id)
        let known = try open.catalog()
        session.onPage = { id, bytes in
            if known.contains(page: id) {
                names.addKnown(id)
            } else if let bytes {
                try names.add(id, try CatalogBuilder.names(PageCursor(bytes)))
            } else {
                names.addKnown(id)
            }
        }
        expect(session)
        let collector = try Collecting(walk, session, open.workplace)
        do {
            while let batch = try collector.next() { try take(batch, from: collector, into: session) }
        } catch {
            collector.cancel()
            throw error
        }
        if open.workplace.interrupt.isSet {
            try session.checkpoint()
            try checkInterrupt()
        }
        finishCounts()
        let header = header(session, started: started)
        session.onReady = { try names.prepare(header: CatalogBuilder.encode(header)) }
        let record = try session.commit(header)
        try names.commit(number: record.number, time: record.time, header: CatalogBuilder.encode(header))
        report.archive = record.id.hex
        if let error = session.afterthought {
            report.warnings.append("the archive is complete, but what this host remembers is not: \(error.message)")
        }
        report.bytesNew = session.newBytes
        report.bytesStored = session.storedBytes
        open.workplace.progress.stored.store(report.bytesStored, ordering: .relaxed)
        return report
    }

    /// What the archive before held is the best guess of what this one will.
    private func expect(_ session: ArchiveSession) {
        guard let parent = session.parent, let headers = try? open.headers(),
            let header = headers.last(where: { $0.archive.id == parent })?.header
        else { return }
        open.workplace.progress.expectedFiles.store(header.files, ordering: .relaxed)
        open.workplace.progress.expectedBytes.store(header.bytes, ordering: .relaxed)
    }

    private mutating func take(
        _ batch: EntryBatch, from collector: Collecting, into session: ArchiveSession
    ) throws {
        let progress = open.workplace.progress
        var files = 0
        var bytes = 0
        var read = 0
        try session.absorb(batch) { entry, unchanged in
            count(entry)
            guard entry.kind == .file else { return }
            files += 1
            bytes = bytes.addingClamped(entry.size)
            if unchanged { return }
            read = read.addingClamped(entry.size)
            report.filesRead += 1
            if entry.changedWhileRead { noteChanged(entry) }
        } onProblem: { entry, error in
            walk.add(
                PathProblem(stored: entry.path, reason: (error as? any Failure)?.message ?? "\(error)"))
        }
        report.bytesRead = report.bytesRead.addingClamped(UInt64(read))
        progress.files.add(files, ordering: .relaxed)
        let shown = collector.takeShown()
        progress.bytes.wrappingAdd(bytes &- shown, ordering: .relaxed)
        progress.read.wrappingAdd(read &- shown, ordering: .relaxed)
        progress.stored.store(session.storedBytes, ordering: .relaxed)
    }

    private mutating func noteChanged(_ entry: Entry) {
        report.changedCount += 1
        if report.changed.count < 1000 {
            report.changed.append(PathProblem(stored: entry.path, reason: "changed while it was read"))
        }
    }

    private func header(_ session: ArchiveSession, started: UInt64) -> ArchiveHeader {
        var header = ArchiveHeader()
        header.policy = request.policy?.name
        header.component = request.policy?.component.rawValue
        header.responsible = request.policy?.responsible
        header.confidentiality = request.policy?.confidentiality.rawValue
        header.host = HostName.current()
        // The header is part of a record of limited size: of very many roots the first are named.
        header.roots = walk.roots.prefix(64).map { String(decoding: $0.prefix(200), as: UTF8.self) }
        let excludes = request.sources.flatMap(\.excludes)
        header.excludes = excludes.isEmpty ? nil : excludes.prefix(64).map { String($0.prefix(100)) }
        header.started = TimeText.seconds(Int64(started))
        header.finished = TimeText.seconds(Int64(WallTime.seconds()))
        header.files = report.files
        header.directories = report.directories
        header.others = report.others
        header.bytes = report.bytes
        header.problems = report.problemCount
        header.changed = report.changedCount
        header.partial = report.isPartial
        header.parent = session.parent?.hex
        return header
    }
}

enum HostName {
    static func current() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
