import CLinux
import Domain
import Glibc

/// A directory of a cluster as the entries below a root of the archive, without what a server makes anew.
final class ClusterTree {
    enum Kind {
        case data, tablespace, config
    }

    /// What of the data directory every program of PostgreSQL leaves out, relative to it.
    private static let left = [
        "/pg_wal/*", "/pg_replslot/*", "/pg_dynshmem/*", "/pg_notify/*", "/pg_serial/*", "/pg_snapshots/*",
        "/pg_stat_tmp/*", "/pg_subtrans/*", "/postmaster.pid", "/postmaster.opts", "/backup_label", "/tablespace_map",
        "/backup_label.old", "/tablespace_map.old", "/backup_manifest", "/postgresql.auto.conf.tmp",
        "/current_logfiles.tmp", "/global/pg_control", "/global/\(ClusterDirectory.controlAside)", "pgsql_tmp*",
        "pg_internal.init*",
    ]

    private let walker: FileTreeWalker
    let kind: Kind
    private let under: [UInt8]
    private let skipped: Int
    private let cluster: ClusterFacts
    private let findings: PageFindings
    private let root: DirectoryHandle
    /// File nodes of the current directory that are unlogged: only their `_init` forks outlive a crash.
    private var unlogged: (directory: [UInt8], nodes: Set<String>) = ([], [])

    /// `paths` are absolute. Of data and tablespaces there is one, a directory, which becomes `under`; a tablespace is the
    /// directory of one version in it. Of configuration all paths go below `under` in full.
    init(
        _ paths: [String], kind: Kind, under: String, cluster: ClusterFacts, findings: PageFindings
    ) throws(CollectorError) {
        let all = paths.map { Array(($0 + (kind == .config ? "" : "/")).utf8) }
        let patterns: ExcludePatterns
        do {
            patterns = try ExcludePatterns(
                kind == .data ? Self.left : kind == .tablespace ? ["pgsql_tmp*", "pg_internal.init*"] : [])
        } catch {
            throw CollectorError(.invalidInput, "a pattern of this program is malformed: \(error.reason)")
        }
        walker = try FileTreeWalker(WalkOptions(roots: all, excludes: patterns))
        self.kind = kind
        self.under = Array(under.utf8)
        self.cluster = cluster
        self.findings = findings
        skipped = kind == .config ? 0 : walker.roots.first.map { $0.isEmpty ? 0 : $0.count + 1 } ?? 0
        switch CName("/".utf8).withPointer({ Descriptor.open($0, in: AT_FDCWD, tree_path_only | O_DIRECTORY) }) {
        case .failure(let error): throw CollectorError.system(error.number, "cannot open", [])
        case .success(let descriptor): root = DirectoryHandle(descriptor)
        }
    }

    var problems: ProblemLog { walker.problems }

    func next() throws(CollectorError) -> DataItem? {
        while try walker.next() {
            if let item = try item() { return item }
        }
        return nil
    }

    private func item() throws(CollectorError) -> DataItem? {
        let place = walker.entry.path
        // What leads to the directory has no entry.
        guard place.count + 1 >= skipped else { return nil }
        let relative = place.dropFirst(skipped)
        if walker.entry.kind == .socket || isLeft(relative) { return nil }
        try walker.loadDetails()
        var entry = walker.entry
        entry.path = relative.isEmpty ? under : under + [0x2F] + relative
        if kind == .data, entry.kind == .symlink {
            if relative.starts(with: "pg_tblspc/".utf8) { return nil }
            // The log may lie elsewhere; a restored cluster has it in its own directory.
            if relative.elementsEqual("pg_wal".utf8) {
                entry.kind = .directory
                entry.permissions = 0o700
                entry.linkTarget = []
                entry.size = 0
            }
        }
        guard entry.kind == .file else { return .entry(entry, content: nil) }
        if entry.modified >= cluster.trustedBefore || entry.changed >= cluster.trustedBefore { entry.isRacy = true }
        // Several names of one file: each is read by itself.
        entry.linkCount = 1
        return .entry(
            entry,
            content: ClusterFile(
                place, as: entry, in: root, pages: pages(relative), findings: findings))
    }

    /// How the pages of a relation are verified; nil for other files and for clusters without checksums.
    private func pages(_ relative: ArraySlice<UInt8>) -> ClusterFile.Pages? {
        guard cluster.hasChecksums, let file = relation(relative) else { return nil }
        return ClusterFile.Pages(
            size: cluster.pageBytes, firstBlock: file.segment &* cluster.pagesOfSegment, start: cluster.start)
    }

    private func relation(_ relative: ArraySlice<UInt8>) -> RelationFile? {
        guard kind != .config else { return nil }
        let parts = String(decoding: relative, as: UTF8.self).split(separator: "/")
        guard let name = parts.last, RelationFile.isHome(parts.dropLast(), inTablespace: kind == .tablespace) else {
            return nil
        }
        return RelationFile(name)
    }

    /// Temporary relations, and unlogged ones but for the fork they begin anew with.
    private func isLeft(_ relative: ArraySlice<UInt8>) -> Bool {
        guard walker.entry.kind == .file, let file = relation(relative) else { return false }
        if file.isTemporary { return true }
        guard file.fork != .`init` else { return false }
        let place = walker.entry.path
        let directory = Array(place[..<(place.lastIndex(of: 0x2F) ?? 0)])
        if unlogged.directory != directory { unlogged = (directory, Self.unloggedNodes(directory)) }
        return unlogged.nodes.contains(file.node)
    }

    private static func unloggedNodes(_ directory: [UInt8]) -> Set<String> {
        let names = ClusterDirectory.names("/" + String(decoding: directory, as: UTF8.self))
        return Set(names.compactMap { RelationFile($0) }.filter { $0.fork == .`init` }.map(\.node))
    }
}

/// What is known of a cluster that is being read.
struct ClusterFacts {
    /// Entries that changed at or after this are read again by the next run.
    var trustedBefore: Timestamp
    var start = LSN(0)
    var hasChecksums = false
    var pageBytes = 8192
    var pagesOfSegment: UInt32 = 131_072
}

/// Small questions about directories of a cluster, by path.
package enum ClusterDirectory {
    /// In `global`: the control file of a directory that a restore has not finished.
    package static let controlAside = "pg_control.qala-restore"

    /// Names but for those that begin with a dot, sorted by their bytes; none where it cannot be read.
    package static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Without links; nil where there is nothing.
    package static func resolved(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(validatingCString: found)
    }

    /// All of a small file, whose path is one below `folder`, through no link, where that is given; an error when it is longer than
    /// `limit`.
    package static func bytes(
        of path: String, in folder: DirectoryHandle? = nil, limit: Int = 1 << 20
    ) throws(CollectorError) -> [UInt8] {
        let flags = O_RDONLY | O_NONBLOCK
        let opened =
            if let folder { folder.reach(Array(path.utf8), flags) } else {
                CName(path.utf8).withPointer { Descriptor.open($0, in: AT_FDCWD, flags) }
            }
        switch consume opened {
        case .failure(let error): throw CollectorError.system(error.number, "cannot open", Array(path.utf8))
        case .success(let descriptor):
            let content = try OpenFile.everything(in: descriptor.number, Array(path.utf8))
            guard content.count <= limit else {
                throw CollectorError(.limit, "\(path) has \(content.count) bytes, more than it can have")
            }
            return content
        }
    }
}
