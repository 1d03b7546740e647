import Domain

extension ArchiveTrees {
    /// Tells the spools of a run's WAL what a committed archive took in. What cannot be told is a warning: the archive
    /// counts, and the next one takes the same files in again.
    static func noteWAL(_ paths: [String], _ facts: [SourceFacts], in archive: String, at workplace: Workplace)
        -> [String]
    {
        var warnings: [String] = []
        for one in facts where one.kind == DataSource.Kind.wal.rawValue {
            guard let systemID = one.facts["system-identifier"].flatMap({ UInt64($0) }),
                let incarnation = one.facts["incarnation"].flatMap({ Int($0) })
            else { continue }
            let cluster = WALCluster(systemID: systemID, incarnation: incarnation)
            let root = "@\(one.kind)/\(one.name)/"
            let keys = paths.filter { $0.hasPrefix(root) }.compactMap { path in
                path.split(separator: "/").last.flatMap { WALFileName($0) }.map { WALKey(cluster: cluster, file: $0) }
            }
            do {
                try WALSpool.shared(one.name, under: workplace.statePath).noteArchived(keys, in: archive)
            } catch {
                let words = (error as? any Failure)?.message ?? "\(error)"
                warnings.append("the archive is complete, but its WAL stays in the spool: \(words)")
            }
        }
        return warnings
    }
}
