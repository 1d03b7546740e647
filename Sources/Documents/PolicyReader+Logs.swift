import Domain
import Yams

extension PolicyReader {
    /// Whether an item of `sources` is about live logs.
    static func isOfLogs(_ node: Node) -> Bool {
        guard case .mapping(let pairs) = node else { return false }
        return pairs.contains { ["logs", "journal"].contains($0.key.scalar?.string) }
    }

    /// One item of `sources` that names logs: as many sources as it names paths.
    mutating func readLogs(_ node: Node) -> [(LogSource, Node)] {
        guard let values = nodes.mapping(node, named: "sources", place: .source, allowed: Self.sourceKeys) else {
            return []
        }
        if let journal = values["journal"] {
            for key in Self.fileKeys + Self.logKeys {
                if let other = values[key] { nodes.note(other, .standsAlone(key, beside: "journal")) }
            }
            return readJournal(journal).map { [($0, node)] } ?? []
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

    /// The journal of this machine: `{}` for all of it.
    private mutating func readJournal(_ node: Node) -> LogSource? {
        guard let values = nodes.mapping(node, named: "journal", place: .source, allowed: Self.journalPartKeys) else {
            return nil
        }
        var units: [String] = []
        if let list = values["units"] {
            let found = nodes.list(list, named: "units", orOne: true, atMost: LogSource.maximumUnits) ?? []
            if found.isEmpty { nodes.note(list, .emptyValue("units")) }
            for unit in found {
                guard let name = nodes.text(unit, named: "units") else { continue }
                guard LogSource.isWellFormed(unit: name) else {
                    nodes.note(unit, .badPattern(nodes.shown(name), why: "it cannot be the name of a unit"))
                    continue
                }
                if !units.contains(name) { units.append(name) }
            }
        }
        let program = values["program"].flatMap { readPath($0, named: "program") }
        return LogSource(journalOf: units, program: program ?? LogSource.journalProgram)
    }
}
