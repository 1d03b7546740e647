package import Domain
import Glibc

/// A full copy of a MariaDB server as one stream, `@mariadb/NAME/data.mbstream`, taken by `mariadb-backup` while the server works;
/// before it the configuration, behind it the binary logs.
///
/// Invariants:
/// 1. The copy counts when the program ended well, every file in the stream has its end, and the copy says of itself that it is
///    a full one.
/// 2. The binary logs are listed after the copy is in the archive: they reach beyond the position of the copy.
/// 3. `mbstream -x` unpacks what is kept; nothing of Qala is needed for that.
package final class MariaDBCollector: DataCollector {
    private enum Step { case root, config, data, wait, logs, end }

    private let source: MariaDBSource
    private let state: String
    private let started: Timestamp
    private let isInterrupted: () -> Bool
    private let client: MariaDBClient
    private var step = Step.root
    private var config: ServerConfig?
    private var folder: StagingFolder?
    private var content: MariaDBStream?
    private var logs: MariaDBLogs?
    private var learnt: [String: String] = [:]
    /// Where the server writes its binary logs.
    private var logFolder: String?
    private var witnesses: [SourceFacts.Witness] = []
    package let problems = ProblemLog()

    /// `state` is the directory of this host's state: the program may put its own files in `staging` below it, and
    /// `sources/mariadb` tells which binary log was seen last.
    package init(
        _ source: MariaDBSource, state: String, started: Timestamp, isInterrupted: @escaping () -> Bool
    ) {
        self.source = source
        self.state = state
        self.started = started
        self.isInterrupted = isInterrupted
        client = MariaDBClient(source: source, isInterrupted: isInterrupted)
    }

    private var root: String { DataSource.mariadb(source).root }

    package func next() throws -> DataItem? {
        switch step {
        case .root:
            try client.checkSecret()
            try askServer()
            config = ServerConfig(source.config, under: "\(root)/config", modified: started, problems: problems)
            step = .config
            return .entry(.made(root, kind: .directory, modified: started), content: nil)
        case .config:
            if let item = try config?.next() { return item }
            config = nil
            step = .data
            return try next()
        case .data:
            step = source.binaryLogs ? .wait : .end
            return try data()
        case .wait:
            step = .logs
            return .barrier
        case .logs:
            if let item = try nextOfLogs() { return item }
            step = .end
            return nil
        case .end: return nil
        }
    }

    package func close() {
        content?.close()
        folder?.close()
    }

    package func committed() { logs?.committed() }

    package var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.mariadb.rawValue, name: source.name)
        facts.isWhole = content?.isWhole ?? false
        facts.facts = learnt.merging(content?.facts ?? [:]) { $1 }.merging(logs?.facts ?? [:]) { $1 }
        // So that a log of another life is known by more than its name, where the archive holds none of its own.
        if let logFolder, let file = facts.facts["binlog-file"], CommandSource.isFileName(file) {
            facts.facts["binlog-beginning"] = MariaDBLogs.beginning(of: "\(logFolder)/\(file)")
        }
        if !source.witnesses.isEmpty { facts.witnesses = witnesses }
        return facts
    }

    // MARK: -

    private func data() throws -> DataItem {
        let folder = try StagingFolder(in: state + "/staging", for: "mariadb")
        self.folder = folder
        // A table whose definition changes meanwhile is locked for a moment, or ends the copy: never a mixed one.
        let command =
            [MariaDBProgram.backup] + client.connection
            + [
                "--backup", "--stream=mbstream", "--parallel=1", "--target-dir=\(folder.path)",
                "--tmpdir=\(folder.path)",
            ]
        let stream = MariaDBStream { [self] in
            try RunningProgram(
                command, timeout: Double(source.timeout.seconds), timeoutText: source.timeout.text(in: .english),
                isInterrupted: isInterrupted)
        }
        content = stream
        return .entry(.made("\(root)/data.mbstream", modified: started), content: stream)
    }

    private func nextOfLogs() throws -> DataItem? {
        let reading: MariaDBLogs
        if let logs {
            reading = logs
        } else {
            reading = try MariaDBLogs(
                client, under: "\(root)/logs", state: state + MariaDBLogs.notes, started: started, problems: problems)
            logs = reading
        }
        return reading.next()
    }

    /// Before anything is copied: whether the server answers, and whether the program is of its release.
    private func askServer() throws {
        let query = """
            SELECT VERSION(), @@server_id, @@datadir, @@log_bin, @@innodb_log_file_size, @@gtid_binlog_pos,
            @@lower_case_table_names, @@default_storage_engine, @@global.time_zone, @@log_bin_basename
            """
        guard let row = try client.rows(query).first, row.count == 10 else {
            throw CollectorError(.invalidInput, "the server \(source.name) does not say what it is")
        }
        for (name, value) in zip(["server-version", "server-id", "data-directory"], row) { learnt[name] = value }
        learnt["binary-log"] = row[3] == "1" ? "on" : "off"
        learnt["redo-bytes"] = row[4]
        if !row[5].isEmpty { learnt["gtid-before"] = row[5] }
        for (name, value) in zip(MariaDBReplay.options, row[6..<9]) { learnt[name] = value }
        logFolder = row[9].lastIndex(of: "/").map { String(row[9][..<$0]) }
        // It tells its version as a complaint.
        let version = try MariaDBClient.output(of: [MariaDBProgram.backup, "--version"], isInterrupted)
        learnt["program-version"] = version.split(separator: "\n").last.map(String.init)
        guard let server = Self.release(row[0]), let program = Self.release(version), server == program else {
            throw CollectorError(
                .unsupported,
                "mariadb-backup is of another release than the server: \(learnt["program-version"] ?? ""); \(row[0])",
                hint: "Install the mariadb-backup of the server's release.")
        }
        guard !source.binaryLogs || row[3] == "1" else {
            throw CollectorError(
                .unsupported, "the server \(source.name) writes no binary logs",
                hint: "Set log_bin for the server, or take `binary-logs` from the policy.")
        }
        for witness in source.witnesses { try ask(witness) }
    }

    private func ask(_ witness: WitnessQuery) throws(CollectorError) {
        do throws(CollectorError) {
            guard let value = try client.rows(witness.query, in: witness.database).first?.first else {
                throw CollectorError(.invalidInput, "no row")
            }
            witnesses.append(SourceFacts.Witness(name: witness.name, value: value))
        } catch {
            guard !isInterrupted() else { throw error }
            problems.add(
                FileProblem(path: Array(root.utf8), what: .noWitness, detail: "\(witness.name): \(error.message)"))
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
        if let kind = stream.unknownKind {
            throw CollectorError(
                .unsupported, "the copy of the server has a part of the unknown kind \(kind)",
                hint: "This release of mariadb-backup is newer than Qala knows.")
        }
        guard stream.isComplete else {
            throw CollectorError(
                .invalidInput, "the copy of the server ended before its files did",
                hint: "See what mariadb-backup says when it is run by hand.")
        }
        guard running.complaints.contains("completed OK!") else {
            throw CollectorError(
                .invalidInput, "mariadb-backup ended well without saying that the copy is complete",
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
        for (key, name) in [("start_time", "begun"), ("end_time", "ended")] where info[key]?.isEmpty == false {
            facts[name] = info[key]
        }
        // `FILE POSITION GTID`, with tabulators between.
        let position = stream.text(of: ["xtrabackup_binlog_info", "mariadb_backup_binlog_info"])
        let fields = position.split(whereSeparator: { $0 == "\t" || $0 == "\n" })
        for (name, value) in zip(["binlog-file", "binlog-position", "gtid"], fields) { facts[name] = String(value) }
        return facts
    }

    func close() { program?.close() }
}
