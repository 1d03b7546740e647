package import Domain
import Glibc
import Vault

/// The log segments of this host's policies, as their ledgers tell, and whether they are still what was sealed.
package enum LogSegments {
    package struct Row: Codable, Sendable {
        package var policy: String
        package var sequence: Int
        package var source: String
        /// RFC 3339, UTC.
        package var sealed: String
        package var bytes: Int
        package var records: Int
        package var files: Int
        /// SHA-256 of the whole segment.
        package var digest: String
        package var previous: String
        package var findings: [LogFinding]
        /// The newest archive that holds it; nil while none does.
        package var archive: String?
        /// Whether it lies in the spool still.
        package var spooled: Bool
    }

    package struct List: Codable, Sendable {
        package var segments: [Row]
    }

    package struct Verification: Codable, Sendable {
        package var policies = 0
        package var segments = 0
        package var bytes = 0
        /// Compared with the digests of the ledger, in the spool or in an archive.
        package var inSpool = 0
        package var inArchives = 0
        /// In archives for which there is no key at hand: nothing is known of them.
        package var unread = 0
        /// In archives that were disposed of.
        package var disposed = 0
        package var findings = 0
        package var problems: [PathProblem] = []
        package var isSound: Bool { problems.isEmpty }
    }

    private static let ledgerLimit = 4 << 30

    package static func list(policy: String?, at workplace: Workplace) throws -> List {
        var rows: [Row] = []
        for name in try policies(policy, workplace) { rows += try ledger(of: name, workplace).rows }
        return List(segments: rows)
    }

    /// Every ledger of this host, and what is wrong in them. No segment is read.
    static func ledgers(at workplace: Workplace) throws -> (rows: [Row], problems: [PathProblem]) {
        var all = Ledger()
        for name in try policies(nil, workplace) {
            let one = try ledger(of: name, workplace)
            all.rows += one.rows
            all.problems += one.problems
        }
        return (all.rows, all.problems)
    }

    /// The policies that have a spool on this host.
    private static func policies(_ policy: String?, _ workplace: Workplace) throws -> [String] {
        let base = "\(workplace.statePath)/logs"
        let names = try StateFile.list(base).filter { Policy.isWellFormed(name: $0) }
        guard let policy else { return names }
        guard names.contains(policy) else {
            throw OperationError(
                .notFound, "no logs of policy \(policy) were sealed on this host",
                hint: "Its document needs a source of `logs`, and a run.")
        }
        return [policy]
    }

    private struct Ledger {
        var rows: [Row] = []
        var problems: [PathProblem] = []
    }

    /// The ledger and what is wrong in it.
    private static func ledger(of policy: String, _ workplace: Workplace) throws -> Ledger {
        let folder = LogSpool.folder(of: policy, under: workplace.statePath)
        let path = "\(folder)/ledger.jsonl"
        // Before the ledger, which says of what a run removes meanwhile that an archive holds it.
        let spooled = Set(try StateFile.list(folder).compactMap { LogText.sequence(of: $0) })
        let bytes = try StateFile.read(path, limit: ledgerLimit) ?? []
        var ledger = Ledger()
        var places: [Int: Int] = [:]
        var number = 0
        // A last line without its end is being written, or was torn by a crash and is written again by the next run.
        let end = bytes.lastIndex(of: 0x0A) ?? 0
        for text in bytes[..<end].split(separator: 0x0A) {
            number += 1
            guard let line = LogText.decode(LogLedgerLine.self, text) else {
                ledger.problems.append(PathProblem(path: path, reason: "line \(number) cannot be read"))
                continue
            }
            if let archive = line.archive {
                for sequence in line.archived ?? [] {
                    if let place = places[sequence] { ledger.rows[place].archive = archive }
                }
            } else if let row = row(line, policy, spooled) {
                if let last = ledger.rows.last, row.sequence != last.sequence + 1 || row.previous != last.digest {
                    ledger.problems.append(
                        PathProblem(
                            path: path,
                            reason: "segment \(row.sequence) does not follow segment \(last.sequence)"))
                } else if ledger.rows.isEmpty, row.sequence != 1 || row.previous != LogSpool.noDigest {
                    ledger.problems.append(
                        PathProblem(path: path, reason: "begins with segment \(row.sequence), not with the first"))
                }
                places[row.sequence] = ledger.rows.count
                ledger.rows.append(row)
            } else {
                ledger.problems.append(PathProblem(path: path, reason: "line \(number) is no entry"))
            }
        }
        return ledger
    }

    private static func row(_ line: LogLedgerLine, _ policy: String, _ spooled: Set<Int>) -> Row? {
        guard let sequence = line.sequence, sequence > 0, sequence < Int.max, let source = line.source,
            let sealed = line.sealed, let bytes = line.bytes, let digest = line.digest, let previous = line.previous
        else { return nil }
        return Row(
            policy: policy, sequence: sequence, source: source, sealed: sealed, bytes: bytes,
            records: line.records ?? 0, files: line.files ?? 0, digest: digest, previous: previous,
            findings: line.findings ?? [], archive: nil, spooled: spooled.contains(sequence))
    }

    // MARK: Verification

    /// Compares every segment with its digest in the ledger, and the ledger with itself: in the spool what is there, in
    /// the archives the rest, where a key is at hand.
    package static func verify(policy: String?, at workplace: Workplace) throws -> Verification {
        var result = Verification()
        for name in try policies(policy, workplace) {
            result.policies += 1
            let ledger = try ledger(of: name, workplace)
            result.problems += ledger.problems
            result.segments += ledger.rows.count
            result.findings += ledger.rows.reduce(0) { $0 + $1.findings.count }
            var elsewhere: [Row] = []
            for row in ledger.rows {
                if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                result.bytes = result.bytes.addingClamped(UInt64(max(0, row.bytes)))
                if row.spooled { checkSpooled(row, workplace, &result) } else { elsewhere.append(row) }
            }
            try checkArchived(elsewhere, name, workplace, &result)
        }
        return result
    }

    private static func checkSpooled(_ row: Row, _ workplace: Workplace, _ result: inout Verification) {
        let folder = LogSpool.folder(of: row.policy, under: workplace.statePath)
        let path = "\(folder)/\(LogText.name(row.sequence))"
        do {
            let (_, digest) = try LogSegmentReading.read(path)
            if digest == row.digest {
                result.inSpool += 1
            } else {
                result.problems.append(PathProblem(path: path, reason: "is not the segment of the ledger"))
            }
        } catch {
            let words = (error as? any Failure)?.message ?? "\(error)"
            result.problems.append(PathProblem(path: path, reason: words))
        }
    }

    private static func checkArchived(
        _ rows: [Row], _ policy: String, _ workplace: Workplace, _ result: inout Verification
    ) throws {
        guard !rows.isEmpty else { return }
        let open = try OpenVault(workplace)
        let folder = LogSpool.folder(of: policy, under: workplace.statePath)
        var byArchive: [String: [Row]] = [:]
        for row in rows {
            guard let archive = row.archive else {
                result.problems.append(
                    PathProblem(
                        path: "\(folder)/\(LogText.name(row.sequence))",
                        reason: "is neither in the spool nor in an archive"))
                continue
            }
            byArchive[archive, default: []].append(row)
        }
        for (archive, rows) in byArchive.sorted(by: { $0.key < $1.key }) {
            guard let found = open.vault.log.archives.first(where: { $0.id.hex == archive }) else {
                if open.vault.log.disposed.keys.contains(where: { $0.hex == archive }) {
                    result.disposed += rows.count
                } else {
                    result.problems.append(
                        PathProblem(path: archive, reason: "holds \(rows.count) segments and is not in this vault"))
                }
                continue
            }
            guard open.hasKeyAtHand else {
                result.unread += rows.count
                continue
            }
            try check(rows, in: found, open, folder, &result)
        }
    }

    private static func check(
        _ rows: [Row], in archive: ArchiveRecord, _ open: OpenVault, _ folder: String, _ result: inout Verification
    ) throws {
        let reader = try open.reader()
        let tree = try ArchiveReader(reader, archive)
        var wanted: [Int: Row] = [:]
        for row in rows { wanted[row.sequence] = row }
        var contents: [(row: Row, content: Content)] = []
        let prefix = try StoredPath.parse(resolved(folder))
        try tree.forEachEntry(under: prefix) { page in
            guard page.kind == .file, page.path.count > prefix.count + 1 else { return true }
            let name = String(decoding: page.path[(prefix.count + 1)...], as: UTF8.self)
            if let sequence = LogText.sequence(of: name), let row = wanted.removeValue(forKey: sequence) {
                contents.append((row, page.content))
            }
            return true
        }
        for row in wanted.values.sorted(by: { $0.sequence < $1.sequence }) {
            result.problems.append(
                PathProblem(
                    path: "\(folder)/\(LogText.name(row.sequence))",
                    reason: "is not in archive \(archive.id.hex.prefix(12))"))
        }
        let chunks = try ChunkReader(reader, for: archive)
        for (row, content) in contents {
            let sum = LogHash()
            try tree.read(content, with: chunks) { bytes in
                if open.workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                sum.update(bytes)
            }
            if sum.finish() == row.digest {
                result.inArchives += 1
            } else {
                result.problems.append(
                    PathProblem(
                        path: "\(folder)/\(LogText.name(row.sequence))",
                        reason: "differs from the ledger in archive \(archive.id.hex.prefix(12))"))
            }
        }
    }

    /// As the walk of the run named it, whose ancestors are no links.
    private static func resolved(_ folder: String) -> String {
        guard let path = realpath(folder, nil) else { return folder }
        defer { free(path) }
        return String(cString: path)
    }
}
