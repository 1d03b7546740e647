import Domain
import Yams

extension PolicyReader {
    /// Whether an item of `sources` is about live logs.
    static func isOfLogs(_ node: Node) -> Bool {
        guard case .mapping(let pairs) = node else { return false }
        return pairs.contains { $0.key.scalar?.string == "logs" }
    }

    /// One item of `sources` that names logs: as many sources as it names paths.
    mutating func readLogs(_ node: Node) -> [(LogSource, Node)] {
        guard let values = nodes.mapping(node, named: "sources", place: .source, allowed: Self.sourceKeys) else {
            return []
        }
        for key in Self.fileKeys {
            if let other = values[key] { nodes.note(other, .standsAlone(key, beside: "logs")) }
        }
        let format = values["format"].flatMap { nodes.choice($0, named: "format", of: LogSource.Format.self) }
        guard let logs = values["logs"], let paths = nodes.list(logs, named: "logs", orOne: true) else { return [] }
        if paths.isEmpty { nodes.note(logs, .emptyValue("logs")) }
        var made: [(LogSource, Node)] = []
        for node in paths {
            guard let path = readPath(node, named: "logs") else { continue }
            let source = LogSource(path: path, format: format ?? .lines)
            if source.isWellFormed {
                made.append((source, node))
            } else {
                nodes.note(node, .badPattern(nodes.shown(path), why: "only its last name may hold `*` and `?`"))
            }
        }
        return made
    }
}
