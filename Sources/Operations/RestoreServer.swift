import Collectors
package import Domain
import Synchronization
import Vault

/// Restores the copy of a MariaDB server out of an archive: files that `mariadb-backup --prepare` makes a data directory of; with a
/// target, a data directory that is brought to it.
///
/// Invariants:
/// 1. Nothing that exists is overwritten: the target begins empty.
/// 2. The file by which the copy is known for one is written last: what was cut short cannot be prepared.
/// 3. Whether a target can be reached is decided before anything is written. See ``LogReplay`` and ``MariaDBReplay``.
package enum RestoreServer {
    package struct Request {
        package var archive: String
        /// The name of the source.
        package var server: String
        package var target: String
        package var dryRun: Bool
        /// Where its binary logs are to be replayed to; nil for the copy as it is.
        package var recovery: BinaryLogTarget?

        package init(archive: String, server: String, target: String, dryRun: Bool = false) {
            self.archive = archive
            self.server = server
            self.target = target
            self.dryRun = dryRun
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> RestoreReport {
        let started = MonotonicTime.now()
        let open = try OpenVault(workplace)
        let archive = try open.archive(request.archive)
        let reader = try open.reader()
        let header = try reader.header(of: archive)
        let facts = try header.wholeSource(.mariadb, request.server, of: archive)
        var report = RestoreReport()
        report.archive = archive.id.hex
        report.target = request.target
        report.dryRun = request.dryRun
        guard DirectoryContent.isEmpty(request.target) else {
            throw OperationError(
                .failed, "\(request.target) is not empty",
                hint: "Nothing was written. Restore into a directory that is empty or does not exist.")
        }
        let path = "@\(DataSource.Kind.mariadb.rawValue)/\(request.server)/data.mbstream"
        let tree = try ArchiveReader(reader, archive)
        var found: (content: Content, size: UInt64)?
        try tree.forEachEntry(under: Array(path.utf8)) { page in
            if page.path == Array(path.utf8), page.kind == .file { found = (page.content, page.size) }
            return false
        }
        guard let found else {
            throw OperationError(
                .damaged, "the archive says that it holds \(request.server), and does not", hint: "Verify the vault.")
        }
        var replay: MariaDBReplay?
        var plan: LogReplay.Plan?
        if let target = request.recovery {
            let interrupt = workplace.interrupt
            replay = try MariaDBReplay(into: request.target, facts.facts) { interrupt.isSet }
            plan = try LogReplay.plan(facts, of: header, archive, to: target, in: open)
            report.replay = plan?.report
        }
        if request.dryRun {
            report.files = facts.facts["files"].flatMap { Int($0) } ?? 0
            report.bytes = Int(clamping: found.size)
        } else {
            workplace.progress.expectedBytes.store(Int(clamping: found.size), ordering: .relaxed)
            let begun = try replay?.begin()
            let unpacker = try begun.map { MBStreamUnpacker(into: $0.data) } ?? MBStreamUnpacker(into: request.target)
            try tree.read(found.content, with: try ChunkReader(reader, for: archive)) { bytes in
                try RestoreTrees.checkInterrupt(workplace)
                try unpacker.take(bytes)
                workplace.progress.bytes.add(bytes.count, ordering: .relaxed)
            }
            try unpacker.finish()
            report.files = unpacker.files
            report.directories = unpacker.directories
            report.bytes = Int(clamping: unpacker.bytes)
            if let replay, let begun, let plan {
                try LogReplay.lay(plan, in: begun.logs.path)
                try replay.prepare()
                try replay.replay(plan.files.map(\.file), from: plan.start.position)
                try replay.finish()
            }
        }
        report.seconds = MonotonicTime.now() - started
        return report
    }
}
