import Domain
import Yams

extension PolicyReader {
    static let mariadbKeys = ["mariadb", "socket", "user", "defaults-file", "timeout", "witness"]
    static let witnessKeys = ["name", "query", "database"]

    mutating func readMariaDB(_ node: Node) -> MariaDBSource? {
        guard let (name, values) = dataValues(node, .mariadb, allowed: Self.mariadbKeys) else { return nil }
        let timeout = values["timeout"].flatMap {
            nodes.fixedPeriod($0, named: "timeout", atMost: MariaDBSource.longestTimeout)
        }
        return MariaDBSource(
            name: name, socket: values["socket"].flatMap { readPath($0, named: "socket") },
            user: values["user"].flatMap { nodes.id($0, named: "user") },
            defaultsFile: values["defaults-file"].flatMap { readPath($0, named: "defaults-file") },
            timeout: timeout ?? MariaDBSource.usualTimeout,
            witnesses: values["witness"].map { readWitnesses($0) } ?? [])
    }

    mutating func readWitnesses(_ node: Node) -> [WitnessQuery] {
        let items = nodes.list(node, named: "witness", atMost: WitnessQuery.maximum) ?? []
        return items.compactMap { item in
            let values = nodes.mapping(
                item, named: "witness", place: .source, allowed: Self.witnessKeys, required: ["name", "query"])
            guard let values, let name = values["name"].flatMap({ nodes.id($0, named: "name") }),
                let query = values["query"].flatMap({ nodes.text($0, named: "query") })
            else { return nil }
            return WitnessQuery(
                name: name, query: query, database: values["database"].flatMap { nodes.text($0, named: "database") })
        }
    }
}
