import Collectors
import Domain
import Glibc
import Synchronization
import Vault

/// Restores an archive, or parts of it, below a target directory.
package enum RestoreTrees {
    package enum Conflict: String, Sendable, CaseIterable {
        case refuse, skip, overwrite
        case keepBoth = "keep-both"
    }

    package struct Request {
        package var archive: String
        /// Absolute paths as archived; all when empty.
        package var paths: [String]
        package var target: String?
        package var inPlace: Bool
        package var dryRun: Bool
        /// Reads every restored file back and compares it with the archive.
        package var verify: Bool
        package var conflict: Conflict
        /// An archived directory whose content goes into the target directly, without the names that lead to it.
        var inside: [UInt8] = []

        package init(
            archive: String, paths: [String], target: String?, inPlace: Bool, dryRun: Bool, verify: Bool,
            conflict: Conflict
        ) {
            self.archive = archive
            self.paths = paths
            self.target = target
            self.inPlace = inPlace
            self.dryRun = dryRun
            self.verify = verify
            self.conflict = conflict
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> RestoreReport {
        let started = MonotonicTime.now()
        guard (request.target != nil) != request.inPlace else {
            throw OperationError(
                .usage, "a restore needs one target", hint: "Give --to DIR, or --in-place for the original places.")
        }
        let open = try OpenVault(workplace)
        let archive = try open.archive(request.archive)
        let reader = try open.reader()
        let selection = try Selection(request.paths, ArchiveReader(reader, archive))
        var report = RestoreReport()
        report.archive = archive.id.hex
        report.target = request.target ?? "/"
        report.dryRun = request.dryRun
        if let header = try? reader.header(of: archive), request.paths.isEmpty {
            workplace.progress.expectedFiles.store(header.files, ordering: .relaxed)
            workplace.progress.expectedBytes.store(header.bytes, ordering: .relaxed)
        }
        if request.dryRun || request.conflict == .refuse { try foresee(selection, request, workplace, &report) }
        if !request.dryRun {
            let run = try RestoreRun(request, reader, archive, workplace)
            let restored = try run.restore(selection, &report)
            if request.verify { report.verified = try run.compare(selection, restored, &report) }
        }
        report.seconds = MonotonicTime.now() - started
        return report
    }

    /// Counts what would be restored, and what stands in its way. Under ``Conflict/refuse`` the first of that is an error before
    /// anything is written; a directory that is there is in the way too, but for a restore in place.
    private static func foresee(
        _ selection: Selection, _ request: Request, _ workplace: Workplace, _ report: inout RestoreReport
    ) throws {
        let target = request.target ?? "/"
        // Into nothing, nothing can be in the way.
        let isEmpty = !request.inPlace && DirectoryContent.isEmpty(target)
        if isEmpty, !request.dryRun { return }
        var missing: [UInt8]?
        try selection.forEach { page in
            try checkInterrupt(workplace)
            if request.dryRun { report.count(page) }
            if isEmpty { return }
            if let above = missing, PathOrder.isInside(page.path, above) { return }
            missing = nil
            let kind = DirectoryContent.kind(of: Array(target.utf8) + [0x2F] + page.path)
            guard let kind else {
                missing = page.path
                return
            }
            let merges = request.inPlace || request.conflict != .refuse
            if merges, page.kind == .directory, kind == .directory { return }
            report.inTheWay += 1
            guard request.conflict == .refuse else { return }
            throw OperationError(
                .failed, "/\(String(decoding: page.path, as: UTF8.self)) exists already in the target",
                hint: "Nothing was written. Restore into an empty directory, or say what to do with --conflict skip, "
                    + "overwrite or keep-both.")
        }
    }

    static func checkInterrupt(_ workplace: Workplace) throws {
        guard workplace.interrupt.isSet else { return }
        throw OperationError(
            .interrupted, "interrupted",
            hint: "Run it again with --conflict skip or overwrite, or into a new directory.")
    }
}

extension RestoreReport {
    mutating func count(_ page: PageCursor) {
        switch page.kind {
        case .file:
            files += 1
            bytes = bytes.addingClamped(page.size)
        case .directory: directories += 1
        default: others += 1
        }
    }

    mutating func add(_ path: [UInt8], _ reason: String) {
        problemCount += 1
        if problems.count < 1000 { problems.append(PathProblem(stored: path, reason: reason)) }
    }

    /// What a log of problems holds, whose paths are relative to `place`. What only leads to the archived roots belonged to somebody else from the start: that it did
    /// not get its owner is none.
    mutating func note(
        _ log: ProblemLog, below place: [UInt8] = [], except scaffold: Set<[UInt8]> = [],
        ignoring ignored: FileProblem.What? = nil
    ) {
        var unseen = log.counts
        if let ignored { unseen[ignored] = nil }
        for problem in log.take() where problem.what != ignored {
            unseen[problem.what, default: 0] -= 1
            if problem.what == .ownershipNotSet {
                if !scaffold.contains(problem.path) { ownershipNotSet += 1 }
            } else {
                add(place + problem.path, problem.reason)
            }
        }
        // Of very many the log keeps only how many there were.
        for (what, count) in unseen {
            if what == .ownershipNotSet { ownershipNotSet += count } else { problemCount += count }
        }
    }
}

/// One restore into one target.
struct RestoreRun {
    private let request: RestoreTrees.Request
    private let reader: VaultReader
    private let archive: ArchiveRecord
    private let workplace: Workplace
    private let restorer: FileTreeRestorer
    private let target: [UInt8]

    /// `folder` is the target, where it is held open already, by who calls ``sync()`` at the end.
    init(
        _ request: RestoreTrees.Request, _ reader: VaultReader, _ archive: ArchiveRecord, _ workplace: Workplace,
        in folder: DirectoryHandle? = nil
    ) throws {
        self.request = request
        self.reader = reader
        self.archive = archive
        self.workplace = workplace
        target = Array((request.target ?? "/").utf8)
        let conflict: ConflictPolicy =
            switch request.conflict {
            case .refuse: .refuse
            case .skip: .skip
            case .overwrite: .overwrite
            case .keepBoth: .keepBoth
            }
        restorer = try FileTreeRestorer(
            RestoreOptions(
                target: target, conflict: conflict, inPlace: request.inPlace, folder: folder,
                isSynced: folder != nil))
    }

    /// Where an entry goes, relative to the target.
    private func place(_ path: [UInt8]) -> [UInt8] {
        request.inside.isEmpty ? path : Array(path.dropFirst(request.inside.count + 1))
    }

    /// Waits until the file system of the target has everything on storage.
    func sync() throws { try restorer.sync() }

    /// What of a restore is not under its own name.
    struct Restored {
        /// Paths of the files whose content could not be restored.
        var failed: Set<[UInt8]> = []
        /// Which entries, counted in their order, are not there by this restore.
        var left: [Int] = []
        /// New names of entries, by their number in order.
        var renamed: [Int: [UInt8]] = [:]
    }

    func restore(_ selection: Selection, _ report: inout RestoreReport) throws -> Restored {
        var restored = Restored()
        var number = 0
        let scaffold = selection.ancestors.union(try leading(to: reader.header(of: archive).roots))
        let crew = try RestoreCrew(reader, archive, workplace)
        var queue = ContentQueue(crew, workplace)
        do {
            try selection.forEach { page in
                try RestoreTrees.checkInterrupt(workplace)
                workplace.progress.files.add(1, ordering: .relaxed)
                let file = try begin(page)
                if restorer.isLastRestored { report.count(page) } else { restored.left.append(number) }
                if let name = restorer.newName { restored.renamed[number] = name }
                number += 1
                if let file { try queue.add(file, page.content) }
            }
            try queue.flush()
        } catch {
            crew.cancel()
            throw error
        }
        let failures = try crew.finish()
        for failure in failures {
            if let reason = failure.reason { report.add(failure.path, reason) }
            report.files -= 1
            report.bytes = report.bytes.subtractingClamped(failure.size)
            if failure.isDamage { report.damaged += 1 }
        }
        try restorer.finishDirectories()
        report.skipped = restorer.skippedCount
        report.note(restorer.problems, except: scaffold)
        restored.failed = Set(failures.map(\.path))
        return restored
    }

    /// The directories above paths, as a tree stores them.
    private func leading(to paths: [String]) throws -> Set<[UInt8]> {
        var above: Set<[UInt8]> = []
        for text in paths {
            let path = try StoredPath.parse(text)
            for at in path.indices where path[at] == 0x2F { above.insert(Array(path[..<at])) }
        }
        return above
    }

    private func begin(_ page: PageCursor) throws -> RestoringFile? {
        let entry = try page.entry()
        let place = place(entry.path)
        if entry.linkCount > 1, try restorer.linkIfKnown(entry, as: place) { return nil }
        return try restorer.begin(entry, as: place)
    }

    /// Reads every restored file back from the target; returns how many are what the archive holds. Those that failed are in the
    /// report already, and what was left as it was is none of this restore's.
    func compare(_ selection: Selection, _ restored: Restored, _ report: inout RestoreReport) throws -> Int {
        let tree = try ArchiveReader(reader, archive)
        let chunks = try ChunkReader(reader, for: archive)
        var verified = 0
        var failures: [(path: [UInt8], reason: String)] = []
        var left = restored.left[...]
        var renamedAbove: [(archived: [UInt8], written: [UInt8])] = []
        var number = -1
        try selection.forEach { page in
            try RestoreTrees.checkInterrupt(workplace)
            number += 1
            let archived = place(page.path)
            while let last = renamedAbove.last, !PathOrder.isInside(archived, last.archived) {
                renamedAbove.removeLast()
            }
            if left.first == number {
                left.removeFirst()
                return
            }
            var path = archived
            if let last = renamedAbove.last { path = last.written + path.dropFirst(last.archived.count) }
            if let name = restored.renamed[number] {
                path = Array(path[..<(path.lastIndex(of: 0x2F).map { $0 + 1 } ?? 0)]) + name
                if page.kind == .directory { renamedAbove.append((archived, path)) }
            }
            guard page.kind == .file else { return }
            if restored.failed.contains(archived) { return }
            try restorer.read(path) { descriptor in
                guard descriptor >= 0 else {
                    failures.append((archived, "cannot be read back"))
                    return
                }
                if try isEqual(descriptor, page.content, tree, chunks) {
                    verified += 1
                } else {
                    failures.append((archived, "does not hold what was archived"))
                }
            }
        }
        for (path, reason) in failures { report.add(path, reason) }
        return verified
    }

    private func isEqual(
        _ descriptor: Int32, _ content: Content, _ tree: ArchiveReader, _ chunks: ChunkReader
    ) throws -> Bool {
        var offset = 0
        var isEqual = true
        try tree.read(content, with: chunks) { bytes in
            try RestoreTrees.checkInterrupt(workplace)
            guard isEqual else { return }
            isEqual = Self.matches(descriptor, offset, bytes)
            offset += bytes.count
        }
        var info = stat()
        return isEqual && fstat(descriptor, &info) == 0 && info.st_size == offset
    }

    private static func matches(_ descriptor: Int32, _ start: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { buffer in
            var done = 0
            while done < bytes.count {
                let count = pread(
                    descriptor, buffer.baseAddress, min(buffer.count, bytes.count - done), off_t(start + done))
                if count < 0, errno == EINTR { continue }
                guard count > 0, let read = buffer.baseAddress, let wanted = bytes.baseAddress,
                    memcmp(read, wanted + done, count) == 0
                else { return false }
                done += count
            }
            return true
        }
    }
}
