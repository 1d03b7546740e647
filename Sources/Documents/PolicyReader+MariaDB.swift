import Domain
import Yams

extension PolicyReader {
    static let mariadbKeys = [
        "mariadb", "socket", "user", "defaults-file", "config", "binary-logs", "timeout", "witnesses",
    ]
    static let mariadbLogKeys = ["mariadb-logs", "socket", "user", "defaults-file", "replica-id", "batch-time"]
    private static let witnessOfServerKeys = ["name", "query", "database"]

    mutating func readMariaDB(_ node: Node) -> MariaDBSource? {
        guard let (name, values) = dataValues(node, .mariadb, allowed: Self.mariadbKeys) else { return nil }
        var source = readConnection(name, values)
        if let node = values["config"] {
            source.config = (nodes.list(node, named: "config", orOne: true) ?? []).compactMap {
                readPath($0, named: "config")
            }
        }
        source.binaryLogs = values["binary-logs"].flatMap { nodes.boolean($0, named: "binary-logs") } ?? false
        let timeout = values["timeout"].flatMap {
            nodes.fixedPeriod($0, named: "timeout", atMost: MariaDBSource.longestTimeout)
        }
        source.timeout = timeout ?? source.timeout
        if let node = values["witnesses"] {
            let items = nodes.list(node, named: "witnesses", atMost: SourceFacts.maximumWitnesses) ?? []
            source.witnesses = items.compactMap { readWitnessOfServer($0) }
        }
        return source
    }

    /// `mariadb-logs: NAME`: the binary logs of a server alone.
    mutating func readMariaDBLogs(_ node: Node) -> MariaDBSource? {
        guard let (name, values) = dataValues(node, .mariadbLogs, allowed: Self.mariadbLogKeys) else { return nil }
        var source = readConnection(name, values)
        source.binaryLogs = true
        if let node = values["replica-id"] {
            let number = nodes.number(node, named: "replica-id", in: MariaDBSource.replicaIDs)
            source.replicaID = number.map { UInt32($0) }
        }
        if let node = values["batch-time"] {
            if values["replica-id"] == nil { nodes.note(node, .missingKey("replica-id", place: .source)) }
            let time = nodes.fixedPeriod(node, named: "batch-time", atMost: WALSource.longestBatchTime)
            source.batchTime = time ?? source.batchTime
        }
        return source
    }

    private mutating func readConnection(_ name: String, _ values: [String: Node]) -> MariaDBSource {
        var source = MariaDBSource(name: name)
        source.socket = values["socket"].flatMap { readPath($0, named: "socket") }
        source.user = values["user"].flatMap { nodes.id($0, named: "user") }
        source.defaultsFile = values["defaults-file"].flatMap { readPath($0, named: "defaults-file") }
        return source
    }

    private mutating func readWitnessOfServer(_ node: Node) -> WitnessQuery? {
        let values = nodes.mapping(
            node, named: "witnesses", place: .source, allowed: Self.witnessOfServerKeys, required: ["name", "query"])
        guard let values else { return nil }
        let database = values["database"].flatMap { nodes.text($0, named: "database") }
        guard let name = values["name"].flatMap({ nodes.id($0, named: "name") }),
            let query = values["query"].flatMap({ nodes.text($0, named: "query") })
        else { return nil }
        return WitnessQuery(name: name, query: query, database: database)
    }
}
