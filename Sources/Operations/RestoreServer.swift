import Collectors
import Domain
import Synchronization
import Vault

/// Restores the copy of a MariaDB server out of an archive: files that `mariadb-backup --prepare` makes a data directory of.
///
/// Invariants:
/// 1. Nothing that exists is overwritten: the target begins empty.
/// 2. The file by which the copy is known for one is written last: what was cut short cannot be prepared.
package enum RestoreServer {
    package struct Request {
        package var archive: String
        /// The name of the source.
        package var server: String
        package var target: String
        package var dryRun: Bool

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
        let facts = try facts(of: request.server, in: reader.header(of: archive), archive)
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
        if request.dryRun {
            report.files = facts.facts["files"].flatMap { Int($0) } ?? 0
            report.bytes = Int(clamping: found.size)
        } else {
            workplace.progress.expectedBytes.store(Int(clamping: found.size), ordering: .relaxed)
            let unpacker = try MBStreamUnpacker(into: request.target)
            try tree.read(found.content, with: try ChunkReader(reader, for: archive)) { bytes in
                try RestoreTrees.checkInterrupt(workplace)
                try unpacker.take(bytes)
                workplace.progress.bytes.add(bytes.count, ordering: .relaxed)
            }
            try unpacker.finish()
            report.files = unpacker.files
            report.directories = unpacker.directories
            report.bytes = Int(clamping: unpacker.bytes)
        }
        report.seconds = MonotonicTime.now() - started
        return report
    }

    /// What the archive knows of the server; refused unless it is whole.
    private static func facts(
        of name: String, in header: ArchiveHeader, _ archive: ArchiveRecord
    ) throws -> SourceFacts {
        let servers = (header.sources ?? []).filter { $0.kind == DataSource.Kind.mariadb.rawValue }
        let short = archive.id.hex.prefix(12)
        guard let facts = servers.first(where: { $0.name == name }) else {
            let names = servers.map(\.name).joined(separator: ", ")
            throw OperationError(
                .notFound, "archive \(short) holds no MariaDB server \(name)",
                hint: names.isEmpty ? "`qala archives` lists the archives." : "It holds \(names).")
        }
        guard facts.isWhole else {
            throw OperationError(
                .failed, "the server \(name) is not whole in archive \(short)", hint: "Take an archive before it.")
        }
        return facts
    }
}
