import Domain
import Yams

extension PolicyReader {
    mutating func readSQLite(_ node: Node) -> SQLiteSource? {
        guard let (name, values) = dataValues(node, .sqlite, allowed: Self.sqliteKeys, required: ["path"]) else {
            return nil
        }
        let busy = values["busy-timeout"].flatMap {
            nodes.fixedPeriod($0, named: "busy-timeout", atMost: SQLiteSource.longestBusyTimeout)
        }
        let check = values["integrity-check"].flatMap { nodes.fixedPeriod($0, named: "integrity-check") }
        var witnesses: [WitnessQuery] = []
        if let node = values["witnesses"] {
            let items = nodes.list(node, named: "witnesses", atMost: SourceFacts.maximumWitnesses) ?? []
            witnesses = items.compactMap { readWitnessOfFile($0) }
        }
        guard let path = values["path"].flatMap({ readPath($0, named: "path") }) else { return nil }
        var source = SQLiteSource(name: name, path: path)
        source.busyTimeout = busy ?? source.busyTimeout
        source.integrityCheck = check ?? source.integrityCheck
        source.witnesses = witnesses
        return source
    }

    private mutating func readWitnessOfFile(_ node: Node) -> WitnessQuery? {
        let values = nodes.mapping(
            node, named: "witnesses", place: .source, allowed: Self.witnessOfFileKeys,
            required: Self.witnessOfFileKeys)
        guard let values, let name = values["name"].flatMap({ nodes.id($0, named: "name") }),
            let query = values["query"].flatMap({ nodes.text($0, named: "query") })
        else { return nil }
        return WitnessQuery(name: name, query: query)
    }
}
