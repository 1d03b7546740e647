import Catalog
import Domain
import Vault

/// Searches names in every archive, through the catalog of this host; of archives that are on volumes only, in the slices of
/// their register.
package enum FindNames {
    package struct Request {
        package var text: String
        package var path: String?
        /// Each version of a name; otherwise the newest only.
        package var allVersions: Bool
        package var limit: Int?

        package init(text: String, path: String?, allVersions: Bool, limit: Int?) {
            self.text = text
            self.path = path
            self.allVersions = allVersions
            self.limit = limit
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> NamesFound {
        let open = try OpenVault(workplace)
        let (catalog, missing) = try open.searchableCatalog()
        let query = try NameQuery(text: request.text, below: try request.path.map(StoredPath.parse) ?? [])
        let limit = request.limit ?? .max
        var versions = catalog.find(query, limit: request.allVersions ? limit : .max)
        var seen: Set<[UInt8]> = []
        if !request.allVersions {
            // Not lazily: a lazy filter is asked more than once, and this one remembers.
            versions = Array(versions.filter { seen.insert($0.row.path).inserted }.prefix(limit))
        }
        var rows = try FoundRow.rows(versions, open)
        guard rows.count < limit else { return NamesFound(rows: rows, notSearched: missing) }
        let known = request.allVersions ? Set(versions.map { OfflineNames.Version($0) }) : []
        let names = try OfflineNames(open)
        let offline = try names.find(
            request.text, matches: { query.matches($0) && !seen.contains($0) }, isKnown: { known.contains($0) })
        rows += (request.allVersions ? offline : Self.newest(offline)).prefix(limit - rows.count)
        return NamesFound(rows: rows, notSearched: missing, unregistered: names.unregistered)
    }

    /// The first row of each path.
    private static func newest(_ rows: [FoundRow]) -> [FoundRow] {
        var seen: Set<String> = []
        return rows.filter { seen.insert($0.pathBytes ?? $0.path).inserted }
    }
}

/// What a search found.
package struct NamesFound: Sendable {
    package var rows: [FoundRow]
    /// Archives of other hosts whose names this one does not know, because no key was given to read them.
    package var notSearched: Int
    /// Nil for none.
    package var unregistered: UnregisteredArchives?

    package var isWhole: Bool { notSearched == 0 && unregistered == nil }
}

/// Archives that left the vault for volumes which the register of this host does not know: their names cannot be searched.
package struct UnregisteredArchives: Codable, Sendable {
    package var archives: [String]
    package var volumes: [String]
}

/// The versions of one path, newest first.
package enum PathHistory {
    package static func run(path: String, at workplace: Workplace) throws -> NamesFound {
        let open = try OpenVault(workplace)
        let (catalog, missing) = try open.searchableCatalog()
        let stored = try StoredPath.parse(path)
        let versions = catalog.history(of: stored)
        let known = Set(versions.map { OfflineNames.Version($0) })
        let names = try OfflineNames(open)
        let offline = try names.find(path, matches: { $0 == stored }, isKnown: { known.contains($0) })
        var rows = try FoundRow.rows(versions, open)
        guard !rows.isEmpty || !offline.isEmpty else {
            if let lost = names.unregistered {
                throw OperationError(
                    .notFound,
                    "no archive that could be searched holds \(path); \(lost.archives.count) are on volumes that the register "
                        + "does not know: \(lost.volumes.joined(separator: ", "))",
                    hint: "Bring STATE/volumes back from a copy; `qala reconcile` tells what is missing.")
            }
            throw OperationError(
                .notFound,
                missing == 0
                    ? "no archive holds \(path)"
                    : "no archive that could be searched holds \(path) (\(missing) need a key)",
                hint: "`qala find` searches parts of names.")
        }
        for row in offline {
            // Behind everything that is newer.
            rows.insert(row, at: rows.firstIndex { $0.archiveTime < row.archiveTime } ?? rows.count)
        }
        return NamesFound(rows: rows, notSearched: missing, unregistered: names.unregistered)
    }
}

extension OfflineNames.Version {
    fileprivate init(_ version: NameVersion) {
        self.init(
            path: version.row.path, kind: version.row.kind.name, size: Int(clamping: version.row.size),
            modified: TimeText.exact(version.row.modified))
    }
}

extension FoundRow {
    fileprivate static func rows(_ versions: [NameVersion], _ open: OpenVault) throws -> [FoundRow] {
        guard !versions.isEmpty else { return [] }
        var policies: [Digest: String] = [:]
        var times: [Digest: UInt64] = [:]
        for (archive, header) in try open.headers() {
            policies[archive.id] = header?.policy
            times[archive.id] = archive.time
        }
        return versions.map { version in
            FoundRow(
                path: "/" + String(decoding: version.row.path, as: UTF8.self),
                pathBytes: PathBytes.base64(stored: version.row.path), kind: version.row.kind.name,
                size: Int(clamping: version.row.size), modified: TimeText.exact(version.row.modified),
                archive: version.newest.hex, archiveTime: TimeText.seconds(Int64(clamping: times[version.newest] ?? 0)),
                firstArchive: version.oldest.hex, archives: version.archives, policy: policies[version.newest])
        }
    }
}
