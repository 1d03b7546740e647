package import Domain
import Glibc

/// A SQLite database as of one moment, `@sqlite/NAME/FILE`, under a writing application.
///
/// Invariants:
/// 1. The database is read through SQLite alone, in one transaction, into a staging folder; what the archive holds is that copy.
///    The live file and its journals are never read as files.
/// 2. While the copy is made, this run has no file open that it would close: closing any descriptor of a file lets go of all
///    locks that the process has on it, those of SQLite too.
/// 3. A copy that did not pass its check is in the archive, and the source is not whole.
package final class SQLiteCollector: DataCollector {
    /// Pages have their places, so most chunks of a changed database are those of before.
    static let chunkBytes = 1 << 16
    private static let attempts = 3

    private let source: SQLiteSource
    private let staging: String
    private let checks: String
    private let started: Timestamp
    private let isInterrupted: () -> Bool
    private var given = 0
    private var folder: StagingFolder?
    private var content: StagedFile?
    private var learnt: SourceFacts
    package let problems = ProblemLog()

    /// `state` is the directory of this host's state: the copy is made in `staging` below it, and `sources/sqlite` tells when a
    /// database was last checked in full.
    package init(
        _ source: SQLiteSource, state: String, started: Timestamp, isInterrupted: @escaping () -> Bool
    ) {
        self.source = source
        staging = state + "/staging"
        checks = state + "/sources/sqlite"
        self.started = started
        self.isInterrupted = isInterrupted
        learnt = SourceFacts(kind: DataSource.Kind.sqlite.rawValue, name: source.name)
        learnt.facts["path"] = source.path
    }

    private var root: String { DataSource.sqlite(source).root }

    package func next() throws -> DataItem? {
        defer { given += 1 }
        switch given {
        case 0: return .entry(.made(root, kind: .directory, modified: started), content: nil)
        // See the second invariant.
        case 1: return .barrier
        case 2: return try copied()
        default: return nil
        }
    }

    package func close() {
        folder?.close()
        folder = nil
    }

    package var facts: SourceFacts { content.map { learnt.whole($0) } ?? learnt }

    // MARK: -

    private func copied() throws -> DataItem {
        let folder = try StagingFolder(in: staging, for: "sqlite")
        self.folder = folder
        let copy = "\(folder.path)/copy"
        let original = try copyUnreplaced(to: copy)
        var info = stat()
        guard stat(copy, &info) == 0 else { throw CollectorError.system(errno, "cannot examine", Array(copy.utf8)) }
        guard original.size > 0 else {
            throw CollectorError(
                .invalidInput, "\(source.path) is empty: there is no database in it",
                hint: "Name the file in which the application keeps its data.")
        }
        let size = UInt64(info.st_size)
        let content = StagedFile(copy, chunkBytes: Self.chunkBytes)
        var header = [UInt8](repeating: 0, count: 100)
        let isRead = try header.withUnsafeMutableBytes { try content.read(into: $0, at: 0) } == header.count
        learnt.facts["journal-mode"] = isRead && header[18] == 2 ? "wal" : "rollback"
        do { try examine(copy, size) } catch let refusal as SQLiteConnection.Refusal { throw explained(refusal) }
        var entry = Entry.made(
            "\(root)/\(source.file)", permissions: original.permissions, modified: original.modified, size: size)
        entry.userID = original.userID
        entry.groupID = original.groupID
        // Never that of another copy: a run that is resumed must not go on in the middle of one.
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        entry.changed = Timestamp(seconds: Int64(now.tv_sec), nanoseconds: UInt32(now.tv_nsec))
        self.content = content
        return .entry(entry, content: content)
    }

    private struct Original {
        var identity: FileIdentity
        var permissions: UInt16
        var userID: UInt32
        var groupID: UInt32
        var modified: Timestamp
        var size: Int64
    }

    /// Copies it; again when the file was replaced by another one meanwhile.
    private func copyUnreplaced(to copy: String) throws -> Original {
        for _ in 0..<Self.attempts {
            let before = try original()
            do { try self.copy(to: copy) } catch let refusal as SQLiteConnection.Refusal { throw explained(refusal) }
            let after = try original()
            if after.identity == before.identity { return after }
            Self.removeDatabase(copy)
        }
        throw CollectorError(
            .changed, "\(source.path) was replaced by another file while it was copied, \(Self.attempts) times",
            hint: "Run the policy when the application does not replace its database.")
    }

    private func original() throws(CollectorError) -> Original {
        var info = stat()
        guard stat(source.path, &info) == 0 else {
            throw CollectorError.system(errno, "cannot find the database", Array(source.path.utf8))
        }
        guard info.st_mode & S_IFMT == S_IFREG else {
            throw CollectorError(
                .invalidInput, "\(source.path) is no file",
                hint: "Name the file in which the application keeps its data.")
        }
        return Original(
            identity: FileIdentity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino)),
            permissions: UInt16(info.st_mode & 0o7777), userID: info.st_uid, groupID: info.st_gid,
            modified: Timestamp(seconds: Int64(info.st_mtim.tv_sec), nanoseconds: UInt32(info.st_mtim.tv_nsec)),
            size: Int64(info.st_size))
    }

    private static func removeDatabase(_ path: String) {
        for ending in ["", "-journal", "-wal", "-shm"] { unlink(path + ending) }
    }

    private func copy(to copy: String) throws {
        do {
            try self.copy(to: copy, .reading)
        } catch let refusal as SQLiteConnection.Refusal
            where [SQLiteLibrary.Code.readOnly, SQLiteLibrary.Code.cannotOpen].contains(refusal.kind)
        {
            Self.removeDatabase(copy)
            // A journal that must be rolled back or a log without its index: only who may write can read such a database.
            try self.copy(to: copy, .writing)
        }
    }

    private func copy(to copy: String, _ access: SQLiteConnection.Access) throws {
        let database = try SQLiteConnection(source.path, access, isInterrupted: isInterrupted)
        defer { database.close() }
        let made = try SQLiteConnection(copy, .making)
        defer { made.close() }
        for setting in ["journal_mode = OFF", "synchronous = OFF"] { _ = try made.rows("PRAGMA \(setting)") }
        let deadline = RunningProgram.now() + Double(source.busyTimeout.seconds)
        while try !database.copy(into: made) {
            if isInterrupted() { throw CollectorError(.changed, "the copy of \(source.path) was interrupted") }
            guard RunningProgram.now() < deadline else { throw isLocked }
            // SQLite's own waiting grows to a tenth of a second, in which an application that writes without a pause is never
            // met between two transactions.
            usleep(2000)
        }
    }

    private var isLocked: CollectorError {
        CollectorError(
            .changed, "\(source.path) was locked by its application for \(source.busyTimeout.text(in: .english))",
            hint: "Give it a longer `busy-timeout`, or run the policy at a quieter time.")
    }

    // MARK: - The copy

    private func examine(_ copy: String, _ size: UInt64) throws {
        let database = try SQLiteConnection(copy, .own, isInterrupted: isInterrupted)
        defer { database.close() }
        for setting in ["trusted_schema = OFF", "cell_size_check = ON"] { _ = try database.rows("PRAGMA \(setting)") }
        for (name, pragma) in [
            ("page-size", "page_size"), ("page-count", "page_count"), ("user-version", "user_version"),
            ("application-id", "application_id"),
        ] { learnt.facts[name] = try database.value("PRAGMA \(pragma)") }
        learnt.facts["bytes"] = "\(size)"
        learnt.facts["sqlite"] = try database.value("SELECT sqlite_version()")
        let pages = learnt.facts["page-count"].flatMap { UInt64($0) } ?? 0
        let pageBytes = learnt.facts["page-size"].flatMap { UInt64($0) } ?? 0
        guard !pages.multipliedReportingOverflow(by: pageBytes).overflow, pages * pageBytes == size else {
            throw CollectorError(
                .io, "the copy of \(source.path) has \(size) bytes and should have \(pages) pages of \(pageBytes)")
        }
        learnt.isWhole = try isSound(database)
        try ask(database)
    }

    private enum Finding {
        case sound
        case damaged(String)
        /// It needs what only its application has, such as a function or a collation of its own.
        case impossible(String)
    }

    private func isSound(_ database: SQLiteConnection) throws -> Bool {
        let last = LastCheck(of: source.name, source.path, in: checks)
        let isDue = last.isDue(every: source.integrityCheck, at: started)
        let quick = try check(database, "quick_check")
        note(quick, "quick-check")
        guard case .sound = quick else {
            if case .impossible(let why) = quick { report(.unchecked, why) }
            if case .damaged(let what) = quick { report(.damagedDatabase, what) }
            if case .damaged = quick { return false }
            return true
        }
        guard isDue else {
            learnt.facts["integrity-check"] = "not due"
            return true
        }
        let full = try check(database, "integrity_check")
        note(full, "integrity-check")
        switch full {
        case .sound: last.keep(started)
        case .damaged(let what):
            report(.damagedDatabase, what)
            return false
        case .impossible: break
        }
        return true
    }

    private func note(_ finding: Finding, _ name: String) {
        switch finding {
        case .sound: learnt.facts[name] = "ok"
        case .damaged(let what): learnt.facts[name] = "damaged: \(what)"
        case .impossible(let why): learnt.facts[name] = "not possible: \(why)"
        }
    }

    private func report(_ what: FileProblem.What, _ detail: String) {
        problems.add(
            FileProblem(path: Array("\(root)/\(source.file)".utf8), what: what, detail: String(detail.prefix(300))))
    }

    private func check(_ database: SQLiteConnection, _ pragma: String) throws -> Finding {
        do {
            let lines = try database.rows("PRAGMA \(pragma)(20)", limit: 20).map { ($0.first ?? nil) ?? "" }
            return lines == ["ok"] ? .sound : .damaged(lines.prefix(3).joined(separator: " / "))
        } catch {
            switch error.kind {
            case SQLiteLibrary.Code.corrupt, SQLiteLibrary.Code.notADatabase: return .damaged(error.message)
            case 1: return .impossible(error.message)
            default: throw error
            }
        }
    }

    /// The witnesses: of the same moment as the archive, because they are asked of the copy.
    private func ask(_ database: SQLiteConnection) throws {
        guard !source.witnesses.isEmpty else { return }
        var found: [SourceFacts.Witness] = []
        for witness in source.witnesses {
            do {
                let rows = try database.rows(witness.query, limit: 1)
                found.append(SourceFacts.Witness(name: witness.name, value: (rows.first?.first ?? nil) ?? "NULL"))
            } catch {
                guard error.kind != SQLiteLibrary.Code.interrupted else { throw error }
                report(.noWitness, "\(witness.name): \(error.message)")
            }
        }
        learnt.witnesses = found
    }

    private func explained(_ refusal: SQLiteConnection.Refusal) -> CollectorError {
        switch refusal.kind {
        case SQLiteLibrary.Code.notADatabase:
            CollectorError(
                .unsupported, "\(source.path) is no SQLite database, or an encrypted one",
                hint:
                    "Name the file in which the application keeps its data; an encrypted one needs its application's export."
            )
        case SQLiteLibrary.Code.corrupt:
            CollectorError(
                .io, "\(source.path) is damaged and cannot be copied: \(refusal.message)",
                hint: "Restore it from an archive; `.recover` of the sqlite3 shell may save what is newer.")
        case SQLiteLibrary.Code.full:
            CollectorError(
                .noSpace, "there is no room for a copy of \(source.path) in \(staging)",
                hint: "Free space on the file system of the host state.")
        case SQLiteLibrary.Code.busy, SQLiteLibrary.Code.locked: isLocked
        case SQLiteLibrary.Code.interrupted: CollectorError(.changed, "the check of \(source.path) was interrupted")
        default:
            CollectorError(
                refusal.kind == SQLiteLibrary.Code.cannotOpen ? .denied : .io,
                "\(source.path) cannot be read: \(refusal.message) (SQLite error \(refusal.code))",
                hint: "Run as an account that may read the database and write beside it.")
        }
    }
}
