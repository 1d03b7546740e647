import Domain
import Glibc

/// Where the packages put the programs of MariaDB.
enum MariaDBProgram {
    static let client = "/usr/bin/mariadb"
    static let backup = "/usr/bin/mariadb-backup"
    static let server = "/usr/sbin/mariadbd"
    static let logs = "/usr/bin/mariadb-binlog"
}

/// The client program of a MariaDB server, one query at a time. No library of the server is needed, and no secret passes through
/// this process: a password is in a file that the programs read themselves.
struct MariaDBClient {
    let source: MariaDBSource
    /// How long one answer may take.
    var patience = Period.seconds(300)
    /// As whom its programs run; as this process when nil.
    var account: String?
    let isInterrupted: () -> Bool

    /// How the server is reached, for all its programs; a file of options must come first.
    var connection: [String] {
        [source.defaultsFile.map { "--defaults-file=\($0)" } ?? "--no-defaults"]
            + (source.user.map { ["--user=\($0)"] } ?? []) + (source.socket.map { ["--socket=\($0)"] } ?? [])
    }

    /// Refuses a file of options that others could read.
    func checkSecret() throws(CollectorError) {
        guard let path = source.defaultsFile else { return }
        var info = stat()
        guard stat(path, &info) == 0 else {
            throw CollectorError.system(errno, "cannot read the file of options", Array(path.utf8))
        }
        guard info.st_mode & 0o007 == 0 else {
            throw CollectorError(
                .denied, "others may read \(path), where a password stands",
                hint: "Take the rights from them: chmod o= FILE.")
        }
    }

    /// The rows of the answer, each with its fields.
    func rows(_ query: String, in database: String? = nil) throws(CollectorError) -> [[String]] {
        let command =
            [MariaDBProgram.client] + connection + ["--batch", "--skip-column-names", "--raw", "--connect-timeout=30"]
            + (database.map { ["--database=\($0)"] } ?? []) + ["--execute=\(query)"]
        let text = try Self.output(of: command, within: patience, as: account, isInterrupted)
        return text.split(separator: "\n").map {
            $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }

    /// The binary logs in the order in which the server wrote them.
    func logs() throws(CollectorError) -> [MariaDBLogs.Log] {
        var listed: [MariaDBLogs.Log] = []
        for row in try rows("SHOW BINARY LOGS") {
            guard row.count >= 2, CommandSource.isFileName(row[0]), let bytes = UInt64(row[1]) else {
                throw CollectorError(.invalidInput, "the server lists its binary logs in an unknown way")
            }
            listed.append(MariaDBLogs.Log(name: row[0], bytes: bytes))
        }
        return listed
    }

    /// What a program that ends well prints; where that is nothing, what it says beside.
    static func output(
        of command: [String], within patience: Period = .seconds(300), as account: String? = nil,
        _ isInterrupted: @escaping () -> Bool
    ) throws(CollectorError) -> String {
        guard let program = command.first, access(program, X_OK) == 0 else {
            throw CollectorError(
                .notFound, "\(command.first ?? "") is not there",
                hint: "Install the packages mariadb-client and mariadb-backup of the server's release.")
        }
        let running = try RunningProgram(
            command, isBound: account != nil, as: account, timeout: Double(patience.seconds),
            timeoutText: patience.text(in: .english),
            isInterrupted: isInterrupted)
        defer { running.close() }
        let bytes = try running.everything()
        return bytes.isEmpty ? running.complaints : String(decoding: bytes, as: UTF8.self)
    }
}
