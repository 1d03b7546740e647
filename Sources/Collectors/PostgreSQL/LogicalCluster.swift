import Domain

/// Archives a cluster as one dump of each database, and its roles.
///
/// Each database is dumped in a snapshot of its own, in which its witnesses are read too: the session that holds it stays
/// open until the dump was taken in.
final class LogicalCluster: DataCollector {
    private typealias Part = PostgreSQLSource.Part

    private let source: PostgreSQLSource
    private let programs: PostgreSQLPrograms
    private let started: Timestamp
    private let root: String
    private var queue: [DataItem] = []
    private var databases: [(name: String, file: String)]?
    private var session: PostgreSQLConnection?
    private var learnt: SourceFacts
    private var wanted = 1
    private var done = 0
    let problems = ProblemLog()

    init(_ source: PostgreSQLSource, _ programs: PostgreSQLPrograms, started: Timestamp) {
        self.source = source
        self.programs = programs
        self.started = started
        let whole = DataSource.postgresql(source)
        root = whole.root
        learnt = SourceFacts(kind: whole.kind.rawValue, name: source.name)
        learnt.facts["mode"] = source.mode.rawValue
    }

    func next() throws -> DataItem? {
        if databases == nil { try begin() }
        if !queue.isEmpty { return queue.removeFirst() }
        guard let database = databases?.first else { return nil }
        databases?.removeFirst()
        try dump(database.name, as: database.file)
        return queue.removeFirst()
    }

    func close() {
        session?.close()
        session = nil
    }

    var facts: SourceFacts {
        var facts = learnt
        facts.isWhole = done == wanted
        return facts
    }

    private func begin() throws {
        let server = try PostgreSQLServer(source)
        defer { server.connection.close() }
        programs.major = server.major
        learnt.facts["version"] = server.version
        learnt.facts["system-identifier"] = server.systemIdentifier
        let rows = try server.connection.rows(
            "SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template1'")
        let found = rows.compactMap { $0.first ?? nil }.map { bytes in
            (name: String(decoding: bytes, as: UTF8.self), file: Self.fileName(bytes))
        }
        databases = found.sorted { $0.file.utf8.lexicographicallyPrecedes($1.file.utf8) }
        wanted = found.count + 1
        learnt.facts["databases"] = "\(found.count)"
        queue = [directory(""), content(Part.globals, "pg_dumpall", ["--globals-only"]), directory(Part.dumps)]
    }

    private func dump(_ name: String, as file: String) throws {
        let open = try PostgreSQLConnection(source.connection, database: name)
        session = open
        _ = try open.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        let snapshot = try open.first("SELECT pg_export_snapshot()")[0]
        let found = try PostgreSQLServer.witnesses(of: source, only: name, at: snapshot, problems)
        if !found.isEmpty { learnt.witnesses = (learnt.witnesses ?? []) + found }
        queue = [
            content(
                "\(Part.dumps)/\(file)", "pg_dump",
                ["--format=custom", "--compress=0", "--snapshot=\(snapshot)"], database: name),
            .barrier,
        ]
    }

    /// `%`, `/` and what cannot stand in a name are written as `%XX`.
    static func fileName(_ name: [UInt8]) -> String {
        var text = ""
        for byte in name {
            if byte > 0x20, byte < 0x7F, byte != 0x2F, byte != 0x25 {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return text + ".dump"
    }

    private func directory(_ name: String) -> DataItem {
        .entry(
            .made(name.isEmpty ? root : "\(root)/\(name)", kind: .directory, modified: started), content: nil)
    }

    private func content(_ name: String, _ program: String, _ arguments: [String], database: String? = nil) -> DataItem
    {
        let dump = DumpContent(
            start: { [programs] in try programs.start(program, arguments + ["--no-password"], database: database) },
            onEnd: { [weak self] isWhole in
                // The session's thread calls this before the barrier behind it, or the end of the run, lets anybody ask.
                if isWhole { self?.done += 1 }
            })
        return .entry(.made("\(root)/\(name)", modified: started), content: dump)
    }
}
