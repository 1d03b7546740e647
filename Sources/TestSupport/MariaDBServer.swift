import Foundation
import Glibc

/// A MariaDB server of a test's own, in a folder of its own, with a socket there and no network. It ends with the object.
package final class MariaDBServer {
    package struct Failure: Error {
        package var message: String
    }

    /// Whether the programs are installed.
    package static let isInstalled = ["/usr/sbin/mariadbd", "/usr/bin/mariadb-backup", "/usr/bin/mariadb-install-db"]
        .allSatisfy { (path: String) in access(path, X_OK) == 0 }

    package let folder: String
    package let socket: String
    private var process: Process?
    private let arguments: [String]
    /// Root cannot run a server, and its account must get at the files.
    private static let account = geteuid() == 0 ? ["--user=mysql"] : []

    /// A new server with binary logs, or one of the data directory `data`, which it shall own and not write logs for.
    package init(data: String? = nil, options: [String] = []) throws {
        var template = Array("/tmp/qala-mariadb-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(message: "no folder: error \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        socket = folder + "/s"
        chmod(folder, 0o755)
        let directory = data ?? folder + "/data"
        // A server that starts removes what another one has in the same place.
        let scratch = "--tmpdir=\(folder)/tmp"
        mkdir(folder + "/tmp", 0o755)
        if geteuid() == 0 { _ = try Self.run("/bin/chown", ["mysql:mysql", folder + "/tmp"]) }
        if data == nil {
            _ = try Self.run(
                "/usr/bin/mariadb-install-db",
                [
                    "--no-defaults", "--datadir=\(directory)", "--skip-test-db", scratch,
                    "--auth-root-authentication-method=normal",
                ]
                    + Self.account)
        } else if geteuid() == 0 {
            _ = try Self.run("/bin/chown", ["-R", "mysql:mysql", directory])
        }
        if geteuid() == 0 { _ = try Self.run("/bin/chown", ["mysql:mysql", folder]) }
        arguments =
            ["--no-defaults", "--datadir=\(directory)", "--socket=\(socket)", "--skip-networking"] + Self.account
            + [
                scratch, "--pid-file=\(folder)/pid", "--log-error=\(folder)/errors", "--server-id=7",
                "--performance-schema=off",
            ]
            + ["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--max-binlog-size=1M"]
            + (data == nil ? ["--log-bin=\(directory)/binlog"] : ["--skip-log-bin"]) + options
        try start()
    }

    /// Also again, after it was killed or stopped.
    package func start() throws {
        let server = Process()
        server.executableURL = URL(filePath: "/usr/sbin/mariadbd")
        server.arguments = arguments
        server.standardOutput = FileHandle.nullDevice
        server.standardError = FileHandle.nullDevice
        try server.run()
        process = server
        for _ in 0..<600 {
            if (try? query("SELECT 1")) == "1" { return }
            guard server.isRunning else { break }
            usleep(100_000)
        }
        let told = (try? String(contentsOfFile: folder + "/errors", encoding: .utf8)) ?? ""
        throw Failure(message: "the server does not start: \(told.suffix(1500))")
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// As a crash does.
    package func kill() {
        guard let process, process.isRunning else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// As a service manager does.
    package func stop() {
        guard let process, process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }

    /// What the server answers: rows by lines, fields by tabulators.
    @discardableResult
    package func query(_ query: String, in database: String? = nil) throws -> String {
        try Self.run(
            "/usr/bin/mariadb",
            ["--no-defaults", "--socket=\(socket)", "--user=root", "--batch", "--skip-column-names", "--raw"]
                + (database.map { ["--database=\($0)"] } ?? []) + ["--execute=\(query)"])
    }

    /// Returns when the logs before this one are gone: the server keeps those that a recovery may still need.
    package func purge(to log: String) throws {
        for _ in 0..<600 {
            try query("PURGE BINARY LOGS TO '\(log)'")
            if try query("SHOW BINARY LOGS").hasPrefix(log) { return }
            usleep(50_000)
        }
        throw Failure(message: "the logs before \(log) are not purged")
    }

    /// What a program prints, without the white space around; its failure is an error.
    package static func run(_ program: String, _ arguments: [String], input: String? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let output = Pipe()
        let errors = FileManager.default.temporaryDirectory.appending(path: "qala-\(UUID().uuidString)")
        try Data().write(to: errors)
        defer { try? FileManager.default.removeItem(at: errors) }
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = try input.map { try FileHandle(forReadingFrom: URL(filePath: $0)) } ?? .nullDevice
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let told = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
            throw Failure(message: "\(program) ended with \(process.terminationStatus): \(told.suffix(1500))")
        }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Makes a data directory of an archived stream, by the steps of the documentation; what prepared it says last.
    package static func prepare(_ stream: String, in directory: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        _ = try run("/usr/bin/mbstream", ["-x", "-C", directory], input: stream)
        return try run(
            "/bin/sh",
            [
                "-c", "/usr/bin/mariadb-backup --no-defaults --prepare --target-dir=\"$1\" 2>&1 | tail -1", "sh",
                directory,
            ])
    }
}
