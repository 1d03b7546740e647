import Collectors
import Domain
import Glibc

/// The data directory that a cluster is restored into: an empty one, or that of the stopped cluster, or what a restore left that
/// was ended before its time.
///
/// Invariants:
/// 1. Nothing that is there is touched unless the directory is one of the same cluster and major version, and no server runs
///    in it.
/// 2. From ``begin(_:_:)`` or ``found(_:_:_:)`` on a control file of the cluster stands aside, under a name that no server knows:
///    none starts, and the next attempt still knows whose directory it is. It goes when the restored one is in its place.
/// 3. One restore at a time: a lock on the directory is held until the process ends or ``end()``.
/// 4. The directory and those of its tablespaces are opened once, before they are looked at, and everything is done in what was
///    opened, through no link: who owns them, or what they lie in, leads nothing elsewhere.
final class ClusterPlace {
    private static let control = "pg_control"
    private static let aside = ClusterDirectory.controlAside
    /// Below the directory.
    static let controlAside = "global/\(aside)"
    private let directory: String
    /// The directory; nil as long as there is none.
    private(set) var folder: DirectoryHandle?

    /// A directory that is empty or not there, and nothing else.
    init(empty directory: String) throws {
        self.directory = directory
        folder = try DirectoryHandle.existing(directory)
        if DirectoryContent.isEmpty(folder, at: directory) { return }
        guard let folder, Self.isBegun(folder) else {
            throw OperationError(
                .failed, "\(directory) is not empty",
                hint: "Nothing was written. Restore into a directory that is empty or does not exist.")
        }
        try takeLock(folder)
        throw OperationError(
            .failed,
            "\(directory) is not empty: a restore began it and was ended before its time, and no server starts from it",
            hint: "Nothing was written. The same command with --delta completes it; or remove it.")
    }

    /// Whether a restore put the control file aside, or marked the directory with it, and did not come to its end.
    private static func isBegun(_ folder: DirectoryHandle) -> Bool {
        guard let global = folder.directory("global") else { return false }
        return !isWhole(global, control) && isWhole(global, aside) && identifier(aside, in: global) != nil
    }

    /// A directory that a cluster lies in, or what a restore left of it; without links. `version` is the content of the archive's
    /// `PG_VERSION`.
    init(_ directory: String, _ facts: SourceFacts, version: [UInt8]) throws {
        self.directory = directory
        func refused(_ message: String, _ hint: String) -> OperationError {
            OperationError(.failed, message, hint: "Nothing was changed. \(hint)")
        }
        let folder = try DirectoryHandle.existing(directory)
        self.folder = folder
        var (there, isBegun) = ("", false)
        if let folder {
            if Self.isWhole(folder, "PG_VERSION") {
                there = Self.content("PG_VERSION", in: folder).map(Self.text) ?? ""
            }
            isBegun = Self.isBegun(folder)
        }
        let archived = Self.text(version)
        // What a restore began may not have come to it.
        guard let folder, !there.isEmpty || isBegun else {
            throw refused(
                "\(directory) is no data directory of PostgreSQL: it has no PG_VERSION",
                "Restore without --delta into a directory that is empty or does not exist.")
        }
        guard there == archived || there.isEmpty else {
            throw refused(
                "\(directory) is of PostgreSQL \(there), and the archive is of \(archived)",
                "Restore without --delta into another directory.")
        }
        // Through a link other files than those that are looked at would be changed.
        guard Self.kind(of: "global", in: folder) != S_IFLNK else {
            throw refused(
                "\(directory)/global is a link", "Put the directory itself there; what it leads to is not touched.")
        }
        let whole = isBegun ? Self.controlAside : "global/\(Self.control)"
        guard let identifier = Self.identifier(whole, in: folder) else {
            throw refused(
                "\(directory) has no global/pg_control that says which cluster it is of",
                "Restore without --delta into a directory that is empty or does not exist.")
        }
        guard let wanted = facts.facts["system-identifier"], wanted == "\(identifier)" else {
            throw refused(
                "\(directory) is of another cluster than the archive: its system identifier is \(identifier)",
                "The archive is of \(facts.facts["system-identifier"] ?? "none that it names").")
        }
        try checkStopped(folder)
        guard faccessat(folder.number, ".", W_OK, 0) == 0 else {
            throw OperationError(.denied, "\(directory) cannot be written", hint: "Run as root or as its owner.")
        }
    }

    // MARK: - Whether a server runs

    /// A server changes to its data directory when it starts, and so do all of its processes, in whatever container.
    private func checkStopped(_ folder: DirectoryHandle) throws {
        let hint = "Stop the server first; nothing was changed."
        let pidFile = "postmaster.pid"
        if Self.kind(of: pidFile, in: folder) != 0 {
            guard let content = Self.content(pidFile, in: folder) else {
                throw OperationError(
                    .inUse, "\(directory)/\(pidFile) cannot be read, so a server may be running", hint: hint)
            }
            // That of a single-user server is negative.
            let number = Int64(Self.text(Array(content.prefix { $0 != 0x0A })))
            if let pid = number.flatMap({ pid_t(exactly: $0.magnitude) }), pid > 0, kill(pid, 0) == 0 || errno == EPERM
            {
                throw OperationError(
                    .inUse, "a server runs in \(directory): process \(pid) of its postmaster.pid is alive",
                    hint: "\(hint) If that process is no server, remove postmaster.pid.")
            }
        }
        var info = stat()
        guard fstat(folder.number, &info) == 0 else {
            throw OperationError(.failed, "cannot examine \(directory): \(CollectorError.systemText(errno))")
        }
        let own = Self.ownProcesses()
        for name in ClusterDirectory.names("/proc") {
            var there = stat()
            guard let pid = pid_t(name), !own.contains(pid), stat("/proc/\(pid)/cwd", &there) == 0,
                there.st_dev == info.st_dev, there.st_ino == info.st_ino
            else { continue }
            throw OperationError(.inUse, "process \(pid) works in \(directory)", hint: hint)
        }
    }

    /// This process and those that it comes from: a shell may stand in the directory.
    private static func ownProcesses() -> Set<pid_t> {
        var own: Set<pid_t> = []
        var next = getpid()
        while next > 0, own.insert(next).inserted {
            // "PID (NAME) STATE PARENT …", and a name may hold anything.
            guard let content = content("/proc/\(next)/stat"), let end = content.lastIndex(of: 0x29) else { break }
            let fields = text(Array(content[(end + 1)...])).split(separator: " ")
            next = fields.count > 1 ? pid_t(fields[1]) ?? 0 : 0
        }
        return own
    }

    // MARK: - Tablespaces

    /// What is in a place, `held` open, may be changed only where that is the tablespace of this very directory. The links of a
    /// directory that was copied lead to the tablespaces of the original: so somebody must have said that the place is meant, and
    /// no server may use it. Were it a link, whoever owns what it lies in could say what is meant.
    func check(_ space: TablespaceMap.Space, _ held: DirectoryHandle?, isNamed: Bool) throws {
        guard let held, held.isAt(space.place) else {
            throw OperationError(
                .failed, "\(space.place) is a link, or nothing that can be opened",
                hint: "Nothing was changed. Name the directory itself with --tablespace-map \(space.id)=NEW.")
        }
        guard isNamed else {
            throw OperationError(
                .usage,
                "\(space.place) is not empty: it may be the tablespace of another directory too, such as the original of a copy",
                hint:
                    "Nothing was changed. Where it is of \(directory) alone, say --tablespace-map \(space.id)=\(space.place); "
                    + "else give another place.")
        }
        try checkUnused(space, held)
        var places = [folder?.directory("pg_tblspc")?.linkTarget(space.id)]
        if let map = folder.flatMap({ Self.content("tablespace_map", in: $0) }) {
            places += ((try? TablespaceMap.parse(map)) ?? []).filter { $0.id == space.id }.map(\.place)
        }
        guard places.contains(where: { $0.map { held.isAt($0, throughLink: true) } == true }) else {
            throw OperationError(
                .failed, "\(space.place) is not empty, and not where \(directory) has its tablespace \(space.id)",
                hint: "Nothing was changed. Give it another place with --tablespace-map \(space.id)=NEW.")
        }
    }

    /// A server works in its data directory, whose links lead to its tablespaces.
    private func checkUnused(_ space: TablespaceMap.Space, _ held: DirectoryHandle) throws {
        for name in ClusterDirectory.names("/proc") where pid_t(name) != nil {
            let links = "/proc/\(name)/cwd/pg_tblspc"
            for link in ClusterDirectory.names(links) where held.isAt("\(links)/\(link)", throughLink: true) {
                throw OperationError(
                    .inUse, "process \(name) works in another data directory with the tablespace \(space.place)",
                    hint: "Nothing was changed. Give this one another place with --tablespace-map \(space.id)=NEW.")
            }
        }
    }

    // MARK: - The act

    private func takeLock(_ folder: DirectoryHandle) throws {
        guard flock(folder.number, LOCK_EX | LOCK_NB) == 0 else {
            throw OperationError(
                .inUse, "another restore works in \(directory)", hint: "Wait until it has ended; nothing was changed.")
        }
    }

    /// Makes an empty directory one that says whose it will be, by `control`, the control file of the archive. The links of
    /// tablespaces lead to where their files will be: another attempt then knows them for this cluster's.
    func found(
        _ control: [UInt8], _ spaces: [TablespaceMap.Space], _ owner: ClusterFiles.Owner
    ) throws -> ClusterFiles {
        let folder = try folder ?? .made(directory)
        self.folder = folder
        try takeLock(folder)
        let files = ClusterFiles(folder: folder, directory: directory, owner: owner)
        do {
            guard DirectoryContent.isEmpty(folder.number) else {
                throw OperationError(.failed, "\(directory) is not empty any more")
            }
            try mark(control, spaces, files)
        } catch let error as OperationError {
            throw OperationError(error.kind, error.message, hint: "Restore into a directory that is empty.")
        }
        try link(spaces, files)
        return files
    }

    private func mark(_ control: [UInt8], _ spaces: [TablespaceMap.Space], _ files: ClusterFiles) throws {
        for name in ["global", "pg_tblspc"] where name == "global" || !spaces.isEmpty {
            let made = try files.folder.make(name, at: directory)
            // So that the restore gives it what is archived of it.
            guard fchmod(made.number, mode_t(FileTreeRestorer.unfinishedDirectory)) == 0 else {
                throw Self.failure("cannot give rights to", "\(directory)/\(name)")
            }
            if name == "global" { try files.write(Self.controlAside, control, in: made) }
        }
        try files.sync()
    }

    /// From now on no server starts. The links of tablespaces lead to where their files will be, so that another attempt finds
    /// them there.
    func begin(_ spaces: [TablespaceMap.Space], _ owner: ClusterFiles.Owner) throws -> ClusterFiles {
        guard let folder else { throw Self.failure("cannot open", directory, hint: "Nothing was changed.") }
        try takeLock(folder)
        let files = ClusterFiles(folder: folder, directory: directory, owner: owner)
        let global = try open("global", in: folder, hint: "Nothing was changed.")
        let isWhole = Self.isWhole(global, Self.control)
        // What an ended restore left of it says nothing.
        guard
            isWhole
                ? renameat(global.number, Self.control, global.number, Self.aside) == 0
                : unlinkat(global.number, Self.control, 0) == 0 || errno == ENOENT
        else {
            throw Self.failure("cannot put aside", "\(directory)/global/\(Self.control)", hint: "Nothing was changed.")
        }
        try files.sync()
        do { try checkStopped(folder) } catch {
            // It was started in between, and reads its control file only after it can be seen.
            if isWhole, renameat(global.number, Self.aside, global.number, Self.control) != 0 {
                throw Self.failure("cannot put back", "\(directory)/global/\(Self.control)")
            }
            throw error
        }
        try link(spaces, files)
        return files
    }

    private func link(_ spaces: [TablespaceMap.Space], _ files: ClusterFiles) throws {
        if spaces.isEmpty { return }
        guard mkdirat(files.folder.number, "pg_tblspc", 0o700) == 0 || errno == EEXIST else {
            throw Self.failure("cannot make", "\(directory)/pg_tblspc")
        }
        let links = try open(
            "pg_tblspc", in: files.folder,
            hint: "No server starts from \(directory). Remove pg_tblspc there, and run the same command again.")
        for space in spaces where links.linkTarget(space.id) != space.place {
            guard unlinkat(links.number, space.id, 0) == 0 || errno == ENOENT,
                symlinkat(space.place, links.number, space.id) == 0
            else { throw Self.failure("cannot link", "\(directory)/pg_tblspc/\(space.id)") }
            // Only root may give it away.
            guard geteuid() == 0 else { continue }
            guard fchownat(links.number, space.id, files.owner.user, files.owner.group, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw Self.failure("cannot give away", "\(directory)/pg_tblspc/\(space.id)")
            }
        }
    }

    /// Opens a folder of the directory, through no link: its owner may have put one there.
    private func open(
        _ name: String, in folder: DirectoryHandle, hint: String = ClusterPlace.again
    ) throws -> DirectoryHandle {
        guard let found = folder.directory(name) else {
            throw Self.failure("cannot open", "\(directory)/\(name)", hint: hint)
        }
        return found
    }

    /// Everything is in its place and synced, the control file too.
    func end() throws {
        guard let folder else { return }
        let global = try open("global", in: folder)
        guard unlinkat(global.number, Self.aside, 0) == 0 || errno == ENOENT else {
            throw Self.failure("cannot remove", "\(directory)/\(Self.controlAside)")
        }
        _ = flock(folder.number, LOCK_UN)
    }

    /// What every restore into a directory says that it has begun.
    static let again = "No server starts from the directory; the same command, with --delta, goes on."

    static func failure(_ what: String, _ path: String, hint: String = ClusterPlace.again) -> OperationError {
        OperationError(.failed, "\(what) \(path): \(CollectorError.systemText(errno))", hint: hint)
    }

    // MARK: - Small files

    /// What a restore did not finish nobody may read.
    private static func isWhole(_ folder: DirectoryHandle, _ name: String) -> Bool {
        var info = stat()
        return fstatat(folder.number, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_mode & S_IFMT == S_IFREG
            && info.st_mode & 0o400 != 0
    }

    /// Of a name, without following a link; 0 for nothing.
    private static func kind(of name: String, in folder: DirectoryHandle) -> mode_t {
        var info = stat()
        return fstatat(folder.number, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_mode & S_IFMT : 0
    }

    /// Of the cluster whose control file it is.
    private static func identifier(_ path: String, in folder: DirectoryHandle) -> UInt64? {
        guard let bytes = content(path, in: folder), bytes.count >= 8 else { return nil }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }

    private static func content(_ path: String, in folder: DirectoryHandle? = nil) -> [UInt8]? {
        try? ClusterDirectory.bytes(of: path, in: folder)
    }

    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self)
    }
}
