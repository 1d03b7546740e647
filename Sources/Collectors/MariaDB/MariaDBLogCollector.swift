package import Domain

/// The binary logs of a MariaDB server alone, `@mariadb-logs/NAME/FILE`, so that they can be archived more often than the server.
///
/// What was seen last is noted in one place for these and for those that come with a copy: a gap is told once.
package final class MariaDBLogCollector: DataCollector {
    private let source: MariaDBSource
    private let state: String
    private let started: Timestamp
    private let client: MariaDBClient
    private var logs: MariaDBLogs?
    private var learnt: [String: String] = [:]
    private var isRead = false
    package let problems = ProblemLog()

    /// `state` is the directory of this host's state.
    package init(
        _ source: MariaDBSource, state: String, started: Timestamp, isInterrupted: @escaping () -> Bool
    ) {
        self.source = source
        self.state = state
        self.started = started
        client = MariaDBClient(source: source, isInterrupted: isInterrupted)
    }

    package func next() throws -> DataItem? {
        let logs = try logs ?? begin()
        self.logs = logs
        let item = logs.next()
        isRead = item == nil
        return item
    }

    private func begin() throws(CollectorError) -> MariaDBLogs {
        try client.checkSecret()
        guard let row = try client.rows("SELECT VERSION(), @@server_id, @@log_bin").first, row.count == 3 else {
            throw CollectorError(.invalidInput, "the server \(source.name) does not say what it is")
        }
        guard row[2] == "1" else {
            throw CollectorError(
                .unsupported, "the server \(source.name) writes no binary logs", hint: "Set log_bin for the server.")
        }
        learnt = ["server-version": row[0], "server-id": row[1]]
        return try MariaDBLogs(
            client, under: DataSource.mariadbLogs(source).root, state: state + MariaDBLogs.notes, started: started,
            problems: problems)
    }

    package func close() {}

    package func committed() { logs?.committed() }

    package var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.mariadbLogs.rawValue, name: source.name)
        facts.isWhole = isRead
        facts.facts = learnt.merging(logs?.facts ?? [:]) { $1 }
        return facts
    }
}
