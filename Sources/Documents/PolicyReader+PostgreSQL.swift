import Domain
import Yams

extension PolicyReader {
    mutating func readPostgreSQL(_ node: Node) -> PostgreSQLSource? {
        guard let (name, values) = dataValues(node, .postgresql, allowed: Self.postgreSQLKeys) else { return nil }
        let mode = values["mode"].map { nodes.choice($0, named: "mode", of: PostgreSQLSource.Mode.self) } ?? .local
        let directory = values["data-directory"].flatMap { readPath($0, named: "data-directory") }
        guard let mode else { return nil }
        if mode == .local, values["data-directory"] == nil {
            nodes.note(node, .missingKey("data-directory", place: .source))
        }
        if mode == .local, directory == nil { return nil }
        var source = PostgreSQLSource(
            name: name, mode: mode, dataDirectory: directory, connection: readConnection(values))
        if let node = values["config"] {
            source.config = (nodes.list(node, named: "config", orOne: true) ?? []).compactMap {
                readPath($0, named: "config")
            }
        }
        source.programs = values["programs"].flatMap { readPath($0, named: "programs") }
        if let node = values["witnesses"] {
            let items = nodes.list(node, named: "witnesses", atMost: SourceFacts.maximumWitnesses) ?? []
            source.witnesses = items.compactMap { readWitness($0) }
        }
        return source
    }

    private mutating func readConnection(_ values: [String: Node]) -> PostgreSQLSource.Connection {
        var connection = PostgreSQLSource.Connection()
        if let node = values["socket"] {
            if let path = readPath(node, named: "socket") { connection.host = path }
            if values["host"] != nil { nodes.note(node, .standsAlone("socket", beside: "host")) }
        } else if let node = values["host"], let host = nodes.text(node, named: "host") {
            connection.host = host
        }
        if let node = values["port"] {
            let port = nodes.number(node, named: "port", in: PostgreSQLSource.Connection.ports)
            connection.port = port ?? connection.port
        }
        connection.user = values["user"].flatMap { nodes.text($0, named: "user") } ?? connection.user
        connection.database = values["database"].flatMap { nodes.text($0, named: "database") } ?? connection.database
        connection.passfile = values["passfile"].flatMap { readPath($0, named: "passfile") }
        return connection
    }

    private mutating func readWitness(_ node: Node) -> WitnessQuery? {
        let values = nodes.mapping(
            node, named: "witnesses", place: .source, allowed: Self.witnessKeys, required: ["name", "query"])
        guard let values else { return nil }
        let database = values["database"].flatMap { nodes.text($0, named: "database") }
        guard let name = values["name"].flatMap({ nodes.id($0, named: "name") }),
            let query = values["query"].flatMap({ nodes.text($0, named: "query") })
        else { return nil }
        return WitnessQuery(name: name, query: query, database: database)
    }
}
