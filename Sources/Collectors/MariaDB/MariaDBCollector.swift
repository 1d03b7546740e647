package import Domain
import Glibc

/// A full copy of a MariaDB server as one stream, `@mariadb/NAME/data.mbstream`, taken by `mariadb-backup` while the server works.
///
/// It counts when the program ended well, every file in the stream has its end, and the copy says of itself that it is a full
/// one. `mbstream -x` unpacks it; nothing of Qala is needed for that.
package final class MariaDBCollector: DataCollector {
    private static let program = "/usr/bin/mariadb-backup"
    private static let client = "/usr/bin/mariadb"

    private let source: MariaDBSource
    private let staging: String
    private let started: Timestamp
    private let isInterrupted: () -> Bool
    private var given = 0
    private var content: MariaDBStream?
    private var learnt: [String: String] = [:]
    private var witnesses: [SourceFacts.Witness] = []
    package let problems = ProblemLog()

    /// `staging` is a directory for the program's own temporary files.
    package init(
        _ source: MariaDBSource, staging: String, started: Timestamp, isInterrupted: @escaping () -> Bool
    ) {
        self.source = source
        self.staging = staging
        self.started = started
        self.isInterrupted = isInterrupted
    }

    package func next() throws -> DataItem? {
        defer { given += 1 }
        let root = DataSource.mariadb(source).root
        switch given {
        case 0:
            try askServer()
            return .entry(.made(root, kind: .directory, modified: started), content: nil)
        case 1:
            let stream = MariaDBStream { [self] in
                try RunningProgram(
                    try command(), timeout: Double(source.timeout.seconds),
                    timeoutText: source.timeout.text(in: .english), isInterrupted: isInterrupted)
            }
            content = stream
            return .entry(.made("\(root)/data.mbstream", modified: started), content: stream)
        default: return nil
        }
    }

    package func close() { content?.close() }

    package var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.mariadb.rawValue, name: source.name)
        facts.isWhole = content?.isWhole ?? false
        facts.facts = learnt.merging(content?.facts ?? [:]) { $1 }
        if !witnesses.isEmpty { facts.witnesses = witnesses }
        return facts
    }

    // MARK: -

    /// How the server is reached; a file of options must come first.
    private var connection: [String] {
        [source.defaultsFile.map { "--defaults-file=\($0)" } ?? "--no-defaults"]
            + (source.user.map { ["--user=\($0)"] } ?? []) + (source.socket.map { ["--socket=\($0)"] } ?? [])
    }

    private func command() throws(CollectorError) -> [String] {
        guard access(Self.program, X_OK) == 0 else {
            throw CollectorError(
                .notFound, "\(Self.program) is not there", hint: "Install the package mariadb-backup, as old as the server.")
        }
        // A table that a client changes by DDL meanwhile ends the copy, which is better than a mixed one.
        return [Self.program] + connection + [
            "--backup", "--stream=mbstream", "--parallel=1", "--target-dir=\(staging)/mariadb-\(source.name)",
        ]
    }

    private func ask(_ query: String, database: String? = nil) throws(CollectorError) -> [String] {
        guard access(Self.client, X_OK) == 0 else {
            throw CollectorError(
                .notFound, "\(Self.client) is not there", hint: "Install the package mariadb-client.")
        }
        let command =
            [Self.client] + connection + ["--batch", "--skip-column-names", "--raw", "--execute=\(query)"]
            + (database.map { [$0] } ?? [])
        let running = try RunningProgram(
            command, timeout: 60, timeoutText: "one minute", isInterrupted: isInterrupted)
        defer { running.close() }
        let text = try Self.text(of: running)
        return text.split(separator: "\n", omittingEmptySubsequences: false).first?
            .split(separator: "\t", omittingEmptySubsequences: false).map(String.init) ?? []
    }

    private static func text(of running: RunningProgram) throws(CollectorError) -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        let count = try running.read(into: buffer)
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Before anything is copied: whether the server answers, and whether the program is of its version.
    private func askServer() throws(CollectorError) {
        let row = try ask("SELECT VERSION(), @@datadir, @@log_bin, @@gtid_binlog_pos")
        guard row.count == 4 else {
            throw CollectorError(.invalidInput, "the server \(source.name) gave no version")
        }
        learnt["server-version"] = row[0]
        learnt["data-directory"] = row[1]
        learnt["binary-log"] = row[2] == "1" ? "on" : "off"
        if !row[3].isEmpty { learnt["gtid-before"] = row[3] }
        let running = try RunningProgram([Self.program, "--version"], timeout: 60, timeoutText: "one minute")
        defer { running.close() }
        // It tells its version as an error.
        var version = try Self.text(of: running)
        if version.isEmpty { version = running.complaints }
        learnt["program-version"] = version.split(separator: "\n").last.map(String.init)
        guard let server = Self.release(row[0]), let program = Self.release(version), server == program else {
            throw CollectorError(
                .unsupported,
                "mariadb-backup is of another release than the server: \(learnt["program-version"] ?? ""); \(row[0])",
                hint: "Install the mariadb-backup of the server's release.")
        }
        for witness in source.witnesses {
            let row = try ask(witness.query, database: witness.database)
            guard row.count == 1 else {
                throw CollectorError(
                    .invalidInput, "the witness query \(witness.name) gave \(row.count) values, not one",
                    hint: "Ask for one row with one value.")
            }
            witnesses.append(SourceFacts.Witness(name: witness.name, value: row[0]))
        }
    }

    /// `10.11` of a text in which `10.11.19-MariaDB` stands.
    static func release(_ text: String) -> String? {
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) where word.contains("MariaDB") {
            let numbers = word.prefix { $0.isNumber || $0 == "." }.split(separator: ".")
            if numbers.count >= 2 { return "\(numbers[0]).\(numbers[1])" }
        }
        return nil
    }
}

/// The stream while it is archived.
private final class MariaDBStream: DataContent {
    private let start: () throws -> RunningProgram
    private var program: RunningProgram?
    private var stream = MBStream()
    private(set) var isWhole = false

    init(_ start: @escaping () throws -> RunningProgram) { self.start = start }

    func chunkBytes(at offset: UInt64) -> Int? { stream.chunkBytes(at: offset) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard !isWhole else { return 0 }
        let running = try program ?? start()
        program = running
        let count = try running.read(into: buffer)
        stream.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        guard count < buffer.count else { return count }
        guard stream.isComplete else {
            throw CollectorError(
                .invalidInput, "the copy of the server ended before its files did",
                hint: "See what mariadb-backup says when it is run by hand.")
        }
        guard checkpoints["backup_type"] == "full-backuped" else {
            throw CollectorError(.invalidInput, "the copy does not say of itself that it is a full one")
        }
        isWhole = true
        return count
    }

    private var checkpoints: [String: String] {
        stream.values(of: ["xtrabackup_checkpoints", "mariadb_backup_checkpoints"])
    }

    var facts: [String: String] {
        var facts: [String: String] = ["files": "\(stream.files)"]
        let info = stream.values(of: ["xtrabackup_info", "mariadb_backup_info"])
        for (key, name) in [("to_lsn", "to-lsn"), ("last_lsn", "last-lsn")] { facts[name] = checkpoints[key] }
        for (key, name) in [("binlog_pos", "binlog-position"), ("start_time", "begun"), ("end_time", "ended")] {
            if let value = info[key], !value.isEmpty { facts[name] = value }
        }
        return facts
    }

    func close() { program?.close() }
}
