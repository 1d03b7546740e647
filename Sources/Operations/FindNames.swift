import Catalog
import Domain
import Vault

/// Searches names in every archive, through the catalog of this host.
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
        if !request.allVersions {
            // Not lazily: a lazy filter is asked more than once, and this one remembers.
            var seen: Set<[UInt8]> = []
            versions = Array(versions.filter { seen.insert($0.row.path).inserted }.prefix(limit))
        }
        return NamesFound(rows: try FoundRow.rows(versions, open), notSearched: missing)
    }
}

/// What a search found.
package struct NamesFound: Sendable {
    package var rows: [FoundRow]
    /// Archives of other hosts whose names this one does not know, because no key was given to read them.
    package var notSearched: Int
}

/// The versions of one path, newest first.
package enum PathHistory {
    package static func run(path: String, at workplace: Workplace) throws -> NamesFound {
        let open = try OpenVault(workplace)
        let (catalog, missing) = try open.searchableCatalog()
        let versions = catalog.history(of: try StoredPath.parse(path))
        guard !versions.isEmpty else {
            throw OperationError(
                .notFound,
                missing == 0
                    ? "no archive holds \(path)"
                    : "no archive that could be searched holds \(path) (\(missing) need a key)",
                hint: "`qala find` searches parts of names.")
        }
        return NamesFound(rows: try FoundRow.rows(versions, open), notSearched: missing)
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
