import Domain

/// Archives a cluster by `pg_basebackup`, which brings it into a staging directory.
final class RemoteCluster: DataCollector {
    private let source: PostgreSQLSource
    let problems = ProblemLog()

    init(_ source: PostgreSQLSource, _ programs: PostgreSQLPrograms, staging: String, started: Timestamp) {
        self.source = source
    }

    func next() throws -> DataItem? {
        throw CollectorError(
            .unsupported, "`mode: remote` is not carried out yet", hint: "Use `mode: local` or `mode: logical`.")
    }

    func close() {}
    var facts: SourceFacts { SourceFacts(kind: DataSource.Kind.postgresql.rawValue, name: source.name) }
}
