import Collectors
import Domain
import Glibc

/// Where the originals of a policy lie, by the policies in force and not by what an archive says of itself.
///
/// Paths are raw bytes relative to `/`, without a link above the last name.
struct MoveScope {
    /// One source of files with its rules.
    private struct Tree {
        var root: [UInt8]
        var excludes: ExcludePatterns
        /// Where the policy stays on one file system, that of the root.
        var device: UInt64?

        /// Nil where the path is not in this source; else whether its patterns leave it out.
        func excludes(_ path: [UInt8]) -> Bool? {
            guard PathOrder.isInside(path, root) else { return nil }
            var from = root.isEmpty ? 0 : root.count + 1
            guard from < path.count else { return false }
            let start = from
            // A directory that is left out takes everything in it along.
            while let slash = path[from...].firstIndex(of: 0x2F) {
                if excludes.isExcluded(relativePath: Array(path[start..<slash]), isDirectory: true) { return true }
                from = slash + 1
            }
            return excludes.isExcluded(relativePath: Array(path[start...]), isDirectory: false)
        }
    }

    /// The directory of followed logs, and what its names look like; nil for all of them.
    private struct Logs {
        var folder: [UInt8]
        var name: [UInt8]?

        func follows(_ path: [UInt8]) -> Bool {
            guard let slash = path.lastIndex(of: 0x2F), path[..<slash].elementsEqual(folder) else { return false }
            guard let name else { return true }
            // Rotations keep the name and add to it.
            let last = Array(path[(slash + 1)...])
            return LogName.matches(last, name + [0x2A]) || LogName.matches(last, name)
        }
    }

    private let trees: [Tree]
    private var others: [Tree] = []
    private var logs: [Logs] = []
    /// Databases and repositories that a policy archives beside trees of files; a path inside one belongs to it.
    private var data: [[UInt8]] = []
    /// Vault and host state.
    private let own: [[UInt8]]

    init(_ policy: Policy, among all: [Policy], at workplace: Workplace) throws {
        trees = try policy.sources.compactMap(Self.tree)
        for other in all {
            // Also by another name for the same place: what cannot be found now can hold nothing now.
            if other.name != policy.name { others += try other.sources.compactMap(Self.tree) }
            logs += other.logs.compactMap(Self.logs)
            data += other.data.flatMap(Self.data)
        }
        own = [workplace.vaultPath, workplace.statePath].compactMap { Self.resolved($0, whole: true) }
    }

    /// What the walk of an archive may be narrowed to; none inside another.
    var roots: [[UInt8]] {
        var roots: [[UInt8]] = []
        for root in trees.map(\.root).sorted(by: { PathOrder.compare($0, $1) < 0 }) {
            if let last = roots.last, PathOrder.isInside(root, last) { continue }
            roots.append(root)
        }
        return roots
    }

    /// Why a path must stay, wherever it came from. `device` is that of the file.
    func reason(_ path: [UInt8], device: UInt64) -> StayReason? {
        if own.contains(where: { PathOrder.isInside(path, $0) }) { return .excluded }
        let mine = trees.filter { PathOrder.isInside(path, $0.root) }
        guard mine.contains(where: { $0.excludes(path) == false }) else { return .excluded }
        if mine.contains(where: { $0.device.map { $0 != device } ?? false }) { return .otherFileSystem }
        if logs.contains(where: { $0.follows(path) }) { return .followed }
        if data.contains(where: { PathOrder.isInside(path, $0) }) { return .dataSource }
        return isElsewhere(path) ? .otherPolicy : nil
    }

    /// Whether another policy archives it.
    func isElsewhere(_ path: [UInt8]) -> Bool { others.contains { $0.excludes(path) == false } }

    // MARK: Places

    private static func tree(_ source: FileSource) throws -> Tree? {
        guard let root = resolved(source.path, whole: false) else { return nil }
        var info = stat()
        let isThere = lstat(source.path, &info) == 0
        guard isThere else { return nil }
        return Tree(
            root: root, excludes: try ExcludePatterns(source.excludes),
            device: source.oneFileSystem ? UInt64(info.st_dev) : nil)
    }

    private static func data(_ source: DataSource) -> [[UInt8]] {
        switch source {
        // What a program or the spool gives is no file of this host's trees.
        case .command, .wal: return []
        case .git(let repository):
            return [repository.localPath.flatMap { resolved($0, whole: true) }].compactMap(\.self)
        case .sqlite(let database):
            guard let path = resolved(database.path, whole: true) else { return [] }
            return ["", "-journal", "-wal", "-shm"].map { path + Array($0.utf8) }
        case .postgresql(let cluster):
            let paths = cluster.config + [cluster.dataDirectory, cluster.connection.passfile].compactMap(\.self)
            return paths.compactMap { resolved($0, whole: true) }
        case .mariadb(let server), .mariadbLogs(let server):
            let paths = server.config + [server.defaultsFile, MariaDBSource.usualDataDirectory].compactMap(\.self)
            return paths.compactMap { resolved($0, whole: true) }
        }
    }

    private static func logs(_ source: LogSource) -> Logs? {
        // The path of a journal is that of the program that reads it.
        guard source.journalUnits == nil else { return nil }
        var info = stat()
        if !source.isPattern, stat(source.path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR {
            return resolved(source.path, whole: true).map { Logs(folder: $0, name: nil) }
        }
        let parts = source.parts
        return resolved(parts.folder, whole: true).map { Logs(folder: $0, name: Array(parts.name.utf8)) }
    }

    /// As the walk resolves a root: the links above it, and it itself where `whole` says so. Nil where it is not there.
    static func resolved(_ path: String, whole: Bool) -> [UInt8]? {
        let bytes = Array(path.utf8)
        guard bytes.first == 0x2F, !bytes.contains(0) else { return nil }
        if whole || bytes.count == 1 { return real(path).map { Array($0.dropFirst()) } }
        let slash = bytes.lastIndex(of: 0x2F) ?? 0
        let parent = slash == 0 ? "/" : String(decoding: bytes[..<slash], as: UTF8.self)
        guard var found = real(parent) else { return nil }
        if found.last != 0x2F { found.append(0x2F) }
        return Array((found + bytes[(slash + 1)...]).dropFirst())
    }

    private static func real(_ path: String) -> [UInt8]? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return UnsafeRawBufferPointer(start: found, count: strlen(found)).map { $0 }
    }
}
