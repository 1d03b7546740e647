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
        try run(request, at: workplace, keeping: nil)
    }

    /// Takes the vault from those that are kept, where it is there, and gives it to them when the archive is complete.
    static func run(_ request: Request, at workplace: Workplace, keeping kept: KeptVaults?) throws -> ArchiveReport {
        let vault = kept?.take(workplace.vaultPath)
        let open = try vault.map { OpenVault(again: workplace, $0) } ?? OpenVault(workplace)
        let report = try run(request, open)
        kept?.give(open.vault, at: workplace.vaultPath)
        return report
    }

    private static func run(_ request: Request, _ open: OpenVault) throws -> ArchiveReport {
        let started = MonotonicTime.now()
        let workplace = open.workplace
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
                failure.kind, ([failure.message] + failures).joined(separator: "; "), hint: failure.hint,
                isOutOfSpace: failure.isOutOfSpace)
        }
    }

    private static func walk(
        _ request: Request, _ open: OpenVault, _ started: Double, _ logs: CollectLogs? = nil
    ) throws -> ArchiveReport {
        let spool = CollectLogs.spoolPath(of: request.policy, at: open.workplace)
        if request.dryRun, request.sources.isEmpty, request.policy != nil, spool == nil { return ArchiveReport() }
        // A rehearsal asks no program and no server.
        let data = request.dryRun ? [] : request.policy?.data ?? []
        let walk = try SourceWalk(
            request.sources, data, keepingOut: open.workplace, spool: spool,
            isLimited: request.policy?.limits.isEmpty == false)
        for problem in logs?.problems ?? [] { walk.add(problem) }
        var run = ArchiveRun(open: open, request: request, walk: walk)
        run.report.warnings = logs?.warnings ?? []
        var report = request.dryRun ? try run.rehearse() : try run.archive()
        if let logs, let archive = report.archive {
            report.warnings += logs.noteArchived(run.segments, in: archive)
        }
        if let archive = report.archive, !run.streamed.isEmpty {
            // The walk holds the spools, whose ledgers are then not read once more.
            report.warnings += withExtendedLifetime(walk) {
                noteWAL(run.streamed, walk.facts, in: archive, at: open.workplace)
            }
        }
        if report.archive != nil { report.warnings += noteBinaryLogs(run.streamed, walk.facts, at: open.workplace) }
        report.seconds = MonotonicTime.now() - started
        return report
    }
}

/// One run: the walk of the sources into an archive session, with the catalog's names beside it.
struct ArchiveRun {
    let open: OpenVault
    let request: ArchiveTrees.Request
    let walk: SourceWalk
    var report = ArchiveReport()
    /// The log segments that the archive holds.
    private(set) var segments: [Int] = []
    /// The paths of the logs of databases that the archive holds.
    private(set) var streamed: [String] = []

    init(open: OpenVault, request: ArchiveTrees.Request, walk: SourceWalk) {
        self.open = open
        self.request = request
        self.walk = walk
        report.policy = request.policy?.name
    }

    private static let streamedRoots = [DataSource.Kind.wal, .mariadbLogs].map { Array("@\($0.rawValue)/".utf8) }

    /// What identifies the source, so that the next run of it finds this one's tree: the policy, or the roots.
    private var sourceID: Digest {
        var text = request.policy.map { "policy\u{0}\($0.name)" } ?? "paths"
        if request.policy == nil {
            for root in walk.roots { text += "\u{0}" + String(decoding: root, as: UTF8.self) }
        }
        return ObjectHasher.digest(of: Array(text.utf8), suite: .blake3)
    }

    private var isOfStreamsAlone: Bool { request.policy?.isOfStreamsAlone == true }

    /// Counts what would be archived.
    mutating func rehearse() throws -> ArchiveReport {
        while let step = try walk.next() {
            try checkInterrupt()
            if case .tree(let walker) = step { count(walker.entry) }
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
            if Self.streamedRoots.contains(where: entry.path.starts) {
                streamed.append(String(decoding: entry.path, as: UTF8.self))
            }
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
        // What is streamed is never compared with what was there before.
        options.isTreeDurable = !isOfStreamsAlone
        let pace = (request.policy?.limits).flatMap { RunPace($0, open.workplace.interrupt) }
        if let pace { options.afterWork = { pace.breathe() } }
        let session = try ArchiveSession(vault: vault, source: sourceID, options: options)
        defer { session.stop() }
        // Before the threads are waited for.
        defer { pace?.end() }
        report.resumed = session.isResumed
        let names = try NameCatalog.Writer(directory: vault.host.catalogDirectory, id: session.id)
        // Of streams no page comes twice, and how much there is to come the archive before does not say: to look at all archives for
        // that would cost each run the more, the more there are.
        let known = isOfStreamsAlone ? nil : try open.catalog()
        session.onPage = { id, bytes in
            if let bytes, known?.contains(page: id) != true {
                try names.add(id, try CatalogBuilder.names(PageCursor(bytes)))
            } else {
                names.addKnown(id)
            }
        }
        if !isOfStreamsAlone { expect(session) }
        let collector = try Collecting(walk, session, open.workplace, pace)
        do {
            while let batch = try collector.next() {
                try take(batch, from: collector, into: session)
                pace?.breathe()
            }
        } catch {
            pace?.end()
            collector.cancel()
            walk.close()
            throw error
        }
        walk.close()
        walk.checkFacts()
        if open.workplace.interrupt.isSet {
            try session.checkpoint()
            try checkInterrupt()
        }
        finishCounts()
        try checkData()
        let header = header(session, started: started)
        session.onReady = { try names.prepare(header: CatalogBuilder.encode(header)) }
        let record = try session.commit(header)
        walk.committed()
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

    /// A run whose every source was asked and none of them answered has nothing to keep.
    private func checkData() throws {
        guard let policy = request.policy, policy.sources.isEmpty, policy.logs.isEmpty, !walk.facts.isEmpty,
            !walk.facts.contains(where: \.isWhole)
        else { return }
        let reasons = walk.problems.prefix(3).map { "\($0.path): \($0.reason)" }.joined(separator: "; ")
        throw OperationError(
            .failed, "no source of the policy \(policy.name) could be archived: \(reasons)",
            hint: "Mend the source and run the policy again; the archives made before are as they were.")
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
        if !walk.facts.isEmpty { header.sources = walk.facts }
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
