package import Domain
import Glibc

/// The binary logs of a server as they are written: `mariadb-binlog`, which is a replica that keeps what it is sent. One thread's own.
///
/// Invariants:
/// 1. No secret passes through this process; the program reads it from the file that the policy names.
/// 2. The program does not outlive the thread that runs it.
package final class MariaDBLogStream {
    /// A server on this host that takes longer does not answer.
    private static let patience = Period.seconds(30)
    private static let foreverSeconds = 365.0 * 86_400
    /// For one log, of at most 1 GiB and its last transaction.
    private static let fetchSeconds = 3600.0

    private let source: MariaDBSource
    private let client: MariaDBClient

    package init(_ source: MariaDBSource, isInterrupted: @escaping () -> Bool) {
        self.source = source
        client = MariaDBClient(source: source, patience: Self.patience, isInterrupted: isInterrupted)
    }

    /// Those that the server has, in its order.
    package func logs() throws(CollectorError) -> [MariaDBLogs.Log] {
        try client.checkSecret()
        let row = try client.rows("SELECT @@log_bin, @@encrypt_binlog").first ?? []
        guard row.first == "1" else {
            throw CollectorError(
                .unsupported, "the server \(source.name) writes no binary logs", hint: "Set log_bin for the server.")
        }
        guard row.last == "0" else {
            throw CollectorError(
                .unsupported, "the server \(source.name) encrypts its binary logs",
                hint: "Archive them by runs, without `replica-id`; nothing but the server can read them.")
        }
        return try client.logs()
    }

    /// Up to where the server has written now: what was committed before the question lies before it.
    package func place() throws(CollectorError) -> BinaryLogPlace {
        let row = try client.rows("SHOW MASTER STATUS").first ?? []
        guard row.count >= 2, CommandSource.isFileName(row[0]), let position = UInt64(row[1]) else {
            throw CollectorError(.invalidInput, "the server does not say where its binary log ends")
        }
        return BinaryLogPlace(file: row[0], position: position)
    }

    /// Writes the log `file` and those behind it into `folder` as they come, until the connection breaks or `goesOn`, which is
    /// asked several times in a second, says no: always an error.
    package func run(from file: String, into folder: String, goesOn: @escaping () -> Bool) throws(CollectorError) {
        let forever = ["--stop-never", "--stop-never-slave-server-id=\(source.replicaID ?? 1)"]
        let program = try begin(file, into: folder, forever, within: Self.foreverSeconds, "a year") { !goesOn() }
        defer { program.close() }
        try program.awaitEnd()
        throw CollectorError(.io, "\(MariaDBProgram.logs) ended, though it is to go on")
    }

    /// Writes the log `file` alone into `folder`, as far as it goes now. Whether all of it came is not known.
    package func fetch(_ file: String, into folder: String) throws(CollectorError) {
        let program = try begin(file, into: folder, [], within: Self.fetchSeconds, "an hour", client.isInterrupted)
        defer { program.close() }
        try program.awaitEnd()
    }

    private func begin(
        _ file: String, into folder: String, _ options: [String], within seconds: Double, _ text: String,
        _ isInterrupted: @escaping () -> Bool
    ) throws(CollectorError) -> RunningProgram {
        guard access(MariaDBProgram.logs, X_OK) == 0 else {
            throw CollectorError(
                .notFound, "\(MariaDBProgram.logs) is not there", hint: "Install the package mariadb-client.")
        }
        return try RunningProgram(
            [MariaDBProgram.logs] + client.connection + ["--read-from-remote-server", "--raw"] + options
                + ["--result-file=\(folder)/", file],
            isBound: true, timeout: seconds, timeoutText: text, isInterrupted: isInterrupted)
    }
}
