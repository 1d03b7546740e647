import Collectors
import Domain
import Glibc
import Vault

/// Restores a PostgreSQL cluster out of an archive as a data directory that a server starts from.
///
/// Invariants:
/// 1. `global/pg_control` is written last, after everything else was synced, and only when nothing was amiss: without it no
///    server starts, so what is not whole is never taken for a cluster.
/// 2. A restored cluster archives no WAL until somebody says so: it must not write among that of the one it came from.
/// 3. Nothing that exists is overwritten: the target and every tablespace begin empty, but for a delta restore, which
///    ``ClusterPlace`` lets into the directories of the same cluster alone.
package enum RestoreCluster {
    package struct Request {
        package var archive: String
        /// The name of the source.
        package var cluster: String
        package var target: String
        /// New places of tablespaces by their old ones, or by their numbers.
        package var tablespaces: [String: String]
        package var dryRun: Bool
        package var verify: Bool
        /// Where the server is to recover to with archived WAL; nil for the moment of the archive.
        package var recovery: PointInTime.Options?
        /// Into the stopped cluster that lies there, of which what is right stays.
        package var isDelta: Bool

        package init(
            archive: String, cluster: String, target: String, tablespaces: [String: String] = [:],
            dryRun: Bool = false, verify: Bool = false, isDelta: Bool = false
        ) {
            self.archive = archive
            self.cluster = cluster
            self.target = target
            self.tablespaces = tablespaces
            self.dryRun = dryRun
            self.verify = verify
            self.isDelta = isDelta
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> RestoreReport {
        let started = MonotonicTime.now()
        var request = request
        if request.isDelta {
            guard let target = ClusterDirectory.resolved(request.target) else {
                throw OperationError(
                    .notFound, "there is no directory \(request.target)",
                    hint: "Restore without --delta to have it made.")
            }
            request.target = target
        }
        let open = try OpenVault(workplace)
        let archive = try open.archive(request.archive)
        let reader = try open.reader()
        let header = try reader.header(of: archive)
        let facts = try facts(of: request.cluster, in: header, archive)
        var recovery: PointInTime.Plan?
        if let wanted = request.recovery {
            recovery = try PointInTime.plan(facts, of: header, to: wanted, in: request.target, open)
        }
        var run = try ClusterRun(request, recovery, facts, reader, archive, workplace)
        try run.checkTargets()
        do {
            if request.dryRun { try run.count() } else { try run.restore() }
        } catch let error as OperationError where error.kind == .interrupted {
            throw OperationError(
                .interrupted, error.message,
                hint: request.dryRun ? "Nothing was written." : ClusterPlace.again)
        }
        run.report.seconds = MonotonicTime.now() - started
        return run.report
    }

    /// What the archive knows of the cluster; refused unless it is whole.
    private static func facts(
        of name: String, in header: ArchiveHeader, _ archive: ArchiveRecord
    ) throws -> SourceFacts {
        let facts = try header.wholeSource(.postgresql, name, of: archive)
        let short = archive.id.hex.prefix(12)
        guard facts.facts["mode"] != PostgreSQLSource.Mode.logical.rawValue else {
            throw OperationError(
                .usage, "archive \(short) holds dumps of \(name), not its files",
                hint: "Restore the path /@postgresql/\(name) and load the dumps with pg_restore.")
        }
        return facts
    }
}

private struct ClusterRun {
    private typealias Part = PostgreSQLSource.Part

    private let request: RestoreCluster.Request
    private let recovery: PointInTime.Plan?
    private let reader: VaultReader
    private let archive: ArchiveRecord
    private let tree: ArchiveReader
    private let workplace: Workplace
    private let root: String
    private let spaces: [TablespaceMap.Space]
    private let label: [UInt8]
    private let place: ClusterPlace
    /// The directories of tablespaces by their numbers, held open from when they are looked at, or made.
    private var spaceFolders: [String: DirectoryHandle] = [:]
    /// The numbers of those that this cluster's files are in already.
    private var filledSpaces: Set<String> = []
    private let tally = DeltaTally()
    var report = RestoreReport()

    init(
        _ request: RestoreCluster.Request, _ recovery: PointInTime.Plan?, _ facts: SourceFacts, _ reader: VaultReader,
        _ archive: ArchiveRecord, _ workplace: Workplace
    ) throws {
        self.request = request
        self.recovery = recovery
        self.reader = reader
        self.archive = archive
        self.workplace = workplace
        tree = try ArchiveReader(reader, archive)
        root = "@\(DataSource.Kind.postgresql.rawValue)/\(request.cluster)"
        report.archive = archive.id.hex
        report.target = request.target
        report.dryRun = request.dryRun
        report.recovery = recovery?.report
        guard let label = try Self.bytes("\(root)/\(Part.label)/backup_label", tree, reader, archive) else {
            throw OperationError(
                .damaged, "the archive has no backup_label of \(request.cluster)",
                hint: "Verify the vault; without the label the files would start and be wrong.")
        }
        self.label = label
        let map = try Self.bytes("\(root)/\(Part.label)/tablespace_map", tree, reader, archive) ?? []
        spaces = try TablespaceMap.parse(map, moved: request.tablespaces)
        if request.isDelta {
            let version = try Self.bytes("\(root)/\(Part.data)/PG_VERSION", tree, reader, archive)
            place = try ClusterPlace(request.target, facts, version: version ?? [])
        } else {
            place = try ClusterPlace(empty: request.target)
        }
        if let count = facts.facts["damaged-pages"].flatMap({ Int($0) }), count > 0 {
            report.add(Array(root.utf8), "had \(count) damaged pages when it was archived, and has them now")
        }
    }

    // MARK: - Before anything is written

    mutating func checkTargets() throws {
        var places = [request.target] + spaces.map(\.place)
        guard places.allSatisfy({ PathText.isAbsolute($0) }) else {
            throw OperationError(
                .usage, "a tablespace would go to a path that is not absolute and plain",
                hint: "Give each with --tablespace-map OLD=NEW.")
        }
        places.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        for (one, next) in zip(places, places.dropFirst())
        where PathOrder.isInside(Array(next.utf8), Array(one.utf8)) {
            throw OperationError(
                .usage, "\(next) would lie inside \(one)", hint: "Give each tablespace a place of its own.")
        }
        let named = Set(request.tablespaces.values)
        for space in spaces {
            let folder = try DirectoryHandle.existing(space.place)
            spaceFolders[space.id] = folder
            if DirectoryContent.isEmpty(folder, at: space.place) { continue }
            guard request.isDelta else {
                throw OperationError(
                    .failed, "\(space.place) is not empty",
                    hint: "Nothing was written. It is a tablespace: give it another place with --tablespace-map "
                        + "\(space.place)=NEW.")
            }
            try place.check(space, folder, isNamed: named.contains(space.place))
            filledSpaces.insert(space.id)
        }
    }

    /// Parts of the archive with the directories that they go into; the control file is none of them.
    private var parts: [DeltaPass.Part] {
        let numbers = Set(spaces.map { "pg_tblspc/\($0.id)" })
        let data = DeltaPass.Part(
            inside: Array("\(root)/\(Part.data)".utf8), target: request.target, folder: { [place] in place.folder },
            excludes: ["/pg_wal/*", "/global/pg_control", "/\(ClusterPlace.controlAside)"],
            spares: { there in
                let path = String(decoding: there.path, as: UTF8.self)
                return there.kind == .symlink && numbers.contains(path)
            })
        // What lies in the place of a tablespace beside the directory of this cluster's version is another's.
        let others = spaces.map { space in
            DeltaPass.Part(
                inside: Array("\(root)/\(Part.tablespaces)/\(space.id)".utf8), target: space.place,
                folder: { [folder = spaceFolders[space.id]] in folder }, sparesUnknownTops: true)
        }
        let log = DeltaPass.Part(
            inside: Array("\(root)/\(Part.wal)".utf8), target: request.target + "/pg_wal",
            folder: { [place] in place.folder?.directory("pg_wal") })
        return [data] + others + [log]
    }

    mutating func count() throws {
        for inside in parts.map(\.inside) + [Array("\(root)/\(Part.control)".utf8)] {
            try Selection(inside: inside, tree).forEach { page in
                try RestoreTrees.checkInterrupt(workplace)
                report.count(page)
            }
        }
        guard request.isDelta else { return }
        for part in parts { _ = try compare(part) }
        report.delta = tally.report
    }

    /// What of a part is right already; of the rest it makes the room.
    private mutating func compare(_ part: DeltaPass.Part) throws -> (staying: Int, stuck: Int) {
        try DeltaPass(
            tree: tree, reader: reader, archive: archive, workplace: workplace, tally: tally, isDry: request.dryRun
        ).run(part, &report)
    }

    // MARK: - The restore

    mutating func restore() throws {
        let owner = try owner()
        let files: ClusterFiles
        if request.isDelta {
            files = try place.begin(spaces, owner)
        } else {
            let control = try Self.bytes("\(root)/\(Part.control)/pg_control", tree, reader, archive)
            files = try place.found(control ?? [], spaces, owner)
        }
        try makeSpaces()
        for part in parts { try restore(part) }
        if request.isDelta { report.delta = tally.report }
        try files.removeSignals()
        if !spaces.isEmpty { try files.write("tablespace_map", TablespaceMap.bytes(of: spaces)) }
        try files.write("backup_label", label)
        // In a recovery the settings have more to say; archiving is off either way.
        try files.append("postgresql.auto.conf", [("archive_mode", "off")] + (recovery?.settings ?? []))
        if let recovery {
            try PointInTime.lay(recovery, files, at: workplace)
            try files.write("recovery.signal", [])
        }
        try files.sync()
        guard report.problemCount == 0 || report.problems.allSatisfy({ $0.path == "/" + root }) else {
            report.add(
                Array("\(root)/\(Part.control)/pg_control".utf8),
                "was left out, because what is there is no whole cluster")
            return
        }
        try checkPlaces()
        let control = Array("\(root)/\(Part.control)".utf8)
        try restore(control, to: request.target + "/global", files.folder.directory("global"), conflict: .refuse)
        for space in spaces {
            if let folder = spaceFolders[space.id], let entry = try entry("\(root)/\(Part.tablespaces)/\(space.id)") {
                try ClusterFiles.give(folder, space.place, to: (entry.userID, entry.groupID), entry.permissions)
            }
        }
        // Until now nobody else could look into it.
        try ClusterFiles.give(files.folder, request.target, to: (owner.user, owner.group), owner.permissions)
        try files.sync()
        try place.end()
        try files.sync()
    }

    /// Those that are not there; the others are still as they were looked at.
    private mutating func makeSpaces() throws {
        for space in spaces {
            let folder = try spaceFolders[space.id] ?? .made(space.place)
            guard filledSpaces.contains(space.id) || DirectoryContent.isEmpty(folder.number) else {
                throw OperationError(
                    .inUse, "\(space.place) is not empty any more",
                    hint: "Somebody else writes there. \(ClusterPlace.again)")
            }
            spaceFolders[space.id] = folder
        }
    }

    /// Who owns the directory above one may have given its name to another meanwhile, and a server would work in that.
    private func checkPlaces() throws {
        let held = [(request.target, place.folder)] + spaces.map { ($0.place, spaceFolders[$0.id]) }
        for (path, folder) in held where folder?.isAt(path, throughLink: true) != true {
            throw OperationError(
                .failed, "\(path) no longer leads to the directory that was restored into",
                hint: "Somebody exchanged it: see what it is now. \(ClusterPlace.again)")
        }
    }

    private mutating func restore(_ part: DeltaPass.Part) throws {
        guard request.isDelta else {
            try restore(part.inside, to: part.target, part.folder(), conflict: .refuse)
            return
        }
        let (staying, stuck) = try compare(part)
        let left = try restore(part.inside, to: part.target, part.folder(), conflict: .skip)
        // What could not be removed is in the way as well, and was told.
        guard left == staying || stuck > 0 else {
            return report.add(Array(part.target.utf8.dropFirst()), "was changed by somebody else while it was restored")
        }
    }

    /// Returns how much of what was there stayed as it was.
    @discardableResult
    private mutating func restore(
        _ inside: [UInt8], to target: String, _ folder: DirectoryHandle?, conflict: RestoreTrees.Conflict
    ) throws -> Int {
        guard let folder else { throw ClusterPlace.failure("cannot open", target) }
        var part = RestoreTrees.Request(
            archive: request.archive, paths: [], target: target, inPlace: true, dryRun: false,
            verify: request.verify, conflict: conflict)
        part.inside = inside
        let selection = Selection(inside: inside, tree)
        let run = try RestoreRun(part, reader, archive, workplace, in: folder)
        var restored = try run.restore(selection, &report)
        let left = report.skipped
        report.skipped = 0
        // What stayed is what the archive holds, and is verified like the rest.
        restored.left = []
        if request.verify { report.verified += try run.compare(selection, restored, &report) }
        try run.sync()
        return left
    }

    private func owner() throws -> ClusterFiles.Owner {
        guard let entry = try entry("\(root)/\(Part.data)") else {
            throw OperationError(.damaged, "the archive has no data directory of \(request.cluster)")
        }
        return (entry.userID, entry.groupID, entry.permissions)
    }

    private func entry(_ path: String) throws -> Entry? {
        let wanted = Array(path.utf8)
        var found: Entry?
        try tree.forEachEntry(under: wanted) { page in
            if page.path == wanted { found = try page.entry() }
            return false
        }
        return found
    }

    /// The content of a small file; nil when there is none.
    private static func bytes(
        _ path: String, _ tree: ArchiveReader, _ reader: VaultReader, _ archive: ArchiveRecord
    ) throws -> [UInt8]? {
        let wanted = Array(path.utf8)
        var content: Content?
        try tree.forEachEntry(under: wanted) { page in
            if page.path == wanted, page.kind == .file, page.size <= 1 << 20 { content = page.content }
            return false
        }
        guard let content else { return nil }
        var bytes: [UInt8] = []
        try tree.read(content, with: try ChunkReader(reader, for: archive)) { bytes += $0 }
        return bytes
    }
}
