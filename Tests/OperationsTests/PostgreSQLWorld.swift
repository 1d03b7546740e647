import Domain
import Foundation
import Glibc
import Testing

/// Real PostgreSQL servers in a directory of one test: sockets only, no TCP. As root they run as `postgres`, which may not be
/// root. Everything that was started is stopped when the world goes.
final class PostgreSQLWorld {
    static let programs = "/usr/lib/postgresql/15/bin"
    static let isThere = access("\(programs)/initdb", X_OK) == 0
    static let missing: Comment = "PostgreSQL 15 is missing: scripts/setup installs it"

    let path: String
    private var started: [String] = []

    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    /// A cluster in `data` with checksums, not started.
    init(authentication: String = "trust", password: String? = nil) throws {
        // Short, because a socket's path is limited; and not below a directory that only its owner may enter.
        var template = Array("/tmp/qala-pg-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try #require(chmod(path, 0o755) == 0)
        if geteuid() == 0 {
            let account = try #require(getpwnam("postgres"))
            try #require(chown(path, account.pointee.pw_uid, account.pointee.pw_gid) == 0)
        }
        var arguments = ["--data-checksums", "--username=postgres", "--auth=\(authentication)", "-D", place("data")]
        if let password {
            try Data((password + "\n").utf8).write(to: URL(filePath: place("password")))
            try #require(chmod(place("password"), 0o644) == 0)
            arguments.append("--pwfile=\(place("password"))")
        }
        try run("initdb", arguments)
    }

    deinit {
        for name in started { _ = try? run("pg_ctl", ["-D", place(name), "-m", "immediate", "-w", "stop"]) }
        try? FileManager.default.removeItem(atPath: path)
    }

    func place(_ name: String) -> String { "\(path)/\(name)" }
    /// The directory of the socket of a server.
    func socket(_ name: String = "data") -> String { place("socket-\(name)") }

    func makeDirectory(_ name: String) throws {
        _ = try shell("mkdir -p \(place(name))")
    }

    func start(_ name: String = "data", _ settings: [String] = []) throws {
        try makeDirectory("socket-\(name)")
        let options = (["unix_socket_directories=\(socket(name))", "listen_addresses=", "fsync=off"] + settings)
            .map { "-c '\($0)'" }.joined(separator: " ")
        do {
            try run(
                "pg_ctl", ["-D", place(name), "-l", place("log-\(name)"), "-w", "-t", "60", "-o", options, "start"])
        } catch {
            let log = (try? String(contentsOfFile: place("log-\(name)"), encoding: .utf8)) ?? ""
            throw Failed(description: "\(error)\n\(log.suffix(2000))")
        }
        started.append(name)
    }

    func stop(_ name: String = "data", mode: String = "fast") throws {
        try run("pg_ctl", ["-D", place(name), "-m", mode, "-w", "stop"])
        started.removeAll { $0 == name }
    }

    @discardableResult
    func sql(_ statement: String, database: String = "postgres", on name: String = "data") throws -> String {
        try run(
            "psql", ["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", socket(name), "-U", "postgres", "-c", statement, database]
        )
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Runs a program of the server to its end; anything but 0 is an error. Returns what it printed.
    ///
    /// Without Foundation's `Process`: that waits until a descriptor is closed which a server started by `pg_ctl` inherits.
    @discardableResult
    func run(_ program: String, _ arguments: [String]) throws -> String {
        let file = place("out-\(UUID().uuidString)")
        defer { unlink(file) }
        let child = try spawn(program, arguments, output: file)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 { try #require(errno == EINTR) }
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        guard status == 0 else {
            throw Failed(description: "\(program) ended with \(status >> 8): \(text.suffix(2000))")
        }
        return text
    }

    private func spawn(_ program: String, _ arguments: [String], output file: String) throws -> pid_t {
        let command = ["/usr/bin/env", "-C", path] + self.command(program, arguments)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, file, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // A server outlives this call, and other tests wait for descriptors to be closed.
        for descriptor in 3..<Int32(256) { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] =
            Self.environment(path).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + environment { free(word) } }
        var child: pid_t = 0
        try #require(posix_spawn(&child, command[0], &actions, nil, &words, &environment) == 0)
        return child
    }

    private static func environment(_ path: String) -> [String: String] {
        ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": path]
    }

    /// With the account that may run servers.
    private func command(_ program: String, _ arguments: [String]) -> [String] {
        let whole = (program.hasPrefix("/") ? [program] : ["\(Self.programs)/\(program)"]) + arguments
        let asServer = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return (geteuid() == 0 ? asServer : []) + whole
    }

    @discardableResult
    func shell(_ line: String) throws -> String { try run("/bin/sh", ["-c", line]) }

    /// A program that runs until it ends or is ended.
    final class Running {
        private let child: pid_t
        private var isOver = false

        init(_ child: pid_t) { self.child = child }
        deinit { terminate() }

        var isRunning: Bool {
            var status: Int32 = 0
            if !isOver, waitpid(child, &status, WNOHANG) != 0 { isOver = true }
            return !isOver
        }

        /// Ends it, and waits until it has ended.
        func terminate() {
            guard isRunning else { return }
            // Threads of tests may block the others, and their children inherit that.
            kill(child, SIGKILL)
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            isOver = true
        }
    }

    /// pgbench at work.
    func load(seconds: Int) throws -> Running {
        Running(
            try spawn(
                "pgbench", ["-h", socket(), "-U", "postgres", "-n", "-c", "2", "-T", "\(seconds)", "postgres"],
                output: "/dev/null"))
    }

    func source(_ mode: PostgreSQLSource.Mode = .local) -> PostgreSQLSource {
        PostgreSQLSource(
            name: "main", mode: mode, dataDirectory: place("data"),
            connection: PostgreSQLSource.Connection(host: socket()))
    }

    /// Where the file of a relation is.
    func file(of relation: String) throws -> String {
        place("data/") + (try sql("SELECT pg_relation_filepath('\(relation)')"))
    }

    /// What a started cluster must pass, before it is stopped and its pages are compared with their checksums.
    func check(_ name: String) throws {
        try run("pg_amcheck", ["--all", "--install-missing", "-h", socket(name), "-U", "postgres"])
        try stop(name)
        try run("pg_checksums", ["--check", "-D", place(name)])
    }
}
