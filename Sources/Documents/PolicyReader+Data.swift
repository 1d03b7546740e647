import Domain
import Yams

/// Sources that are no trees of files: the key that names the kind gives the name of the source.
extension PolicyReader {
    /// The kind of a data source that an item of `sources` is of; nil for files and logs.
    static func dataKind(_ node: Node) -> DataSource.Kind? {
        guard case .mapping(let pairs) = node else { return nil }
        return pairs.lazy.compactMap { $0.key.scalar.flatMap { DataSource.Kind(rawValue: $0.string) } }.first
    }

    mutating func readData(_ node: Node, _ kind: DataSource.Kind) -> DataSource? {
        switch kind {
        case .command: readCommand(node).map { .command($0) }
        case .sqlite: readSQLite(node).map { .sqlite($0) }
        case .git: readGit(node).map { .git($0) }
        case .postgresql: readPostgreSQL(node).map { .postgresql($0) }
        case .wal: readWAL(node).map { .wal($0) }
        case .mariadb: readMariaDB(node).map { .mariadb($0) }
        case .mariadbLogs: readMariaDBLogs(node).map { .mariadbLogs($0) }
        }
    }

    /// The values of one source, whose key `kind` gives its name.
    mutating func dataValues(
        _ node: Node, _ kind: DataSource.Kind, allowed: [String], required: [String] = []
    ) -> (name: String, values: [String: Node])? {
        let values = nodes.mapping(node, named: kind.rawValue, place: .source, allowed: allowed, required: required)
        guard let values, let name = values[kind.rawValue].flatMap({ nodes.id($0, named: kind.rawValue) }) else {
            return nil
        }
        return (name, values)
    }

    private mutating func readCommand(_ node: Node) -> CommandSource? {
        guard let (name, values) = dataValues(node, .command, allowed: Self.commandKeys, required: ["run"]) else {
            return nil
        }
        let timeout = values["timeout"].flatMap {
            nodes.fixedPeriod($0, named: "timeout", atMost: CommandSource.longestTimeout)
        }
        let minimum = values["minimum-size"].flatMap { size($0, named: "minimum-size") }
        var file: String?
        if let node = values["file"], let text = nodes.text(node, named: "file") {
            if CommandSource.isFileName(text) { file = text } else { nodes.note(node, .badFileName(nodes.shown(text))) }
        }
        guard let command = values["run"].flatMap({ program($0, named: "run") }) else { return nil }
        return CommandSource(
            name: name, command: command, file: file, timeout: timeout ?? CommandSource.usualTimeout,
            minimumBytes: minimum ?? 1)
    }

    /// Bytes of `10 MiB`.
    mutating func size(_ node: Node, named key: String) -> Int64? {
        guard let text = nodes.text(node, named: key) else { return nil }
        do {
            return try Amounts.bytes(text)
        } catch {
            nodes.note(node, .amount(.size, found: nodes.shown(text), error))
            return nil
        }
    }
}
