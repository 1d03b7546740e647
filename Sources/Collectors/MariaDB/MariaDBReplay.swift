import Domain
import Glibc

/// Makes a data directory of the copy of a MariaDB server and replays binary logs into it, with a server of its own that nobody
/// else reaches.
///
/// Invariants:
/// 1. All work is done in `qala-unfinished` below the target. What is ready goes up at the end, the directory `mysql` last: without it
///    no server comes up, so that what was cut short is never taken for a data directory.
/// 2. A complaint of any of the programs is a failure, whatever it ended with: `mariadb-binlog` ends well when it meets what it
///    cannot read.
/// 3. No secret stands in the arguments or in the environment of a program.
/// 4. The directories are held open, and this process does in them what it does: who owns the target, or what it lies in, leads
///    nothing elsewhere with links.
/// 5. What reads the copy or the logs runs as the account of the server, never as root: both may say to read or to write any file,
///    and to load any library.
package final class MariaDBReplay {
    /// Facts of a server without which its statements may mean something else; each is an option of the same name.
    static let options = ["lower-case-table-names", "default-storage-engine", "time-zone"]
    private static let optionOfServer = ["time-zone": "default-time-zone"]
    package static let folderName = "qala-unfinished"
    private static let account = "mysql"
    /// Of the path of a socket, with the zero behind it.
    private static let socketLimit = 108
    /// For each step; a replay of a day's logs may take a day.
    private static let longestSeconds = 7.0 * 86_400

    /// Looks at whether the server answers, five in a second.
    private static let longestStart = 5 * 3600

    private let target: String
    private let facts: [String: String]
    private let owner: (user: uid_t, group: gid_t)?
    private let isInterrupted: () -> Bool
    /// The account of the replay, which the server knows only as long as it lasts.
    private let name = "qala_replay_\(MariaDBReplay.digits(4))"
    private var folder: String { "\(target)/\(Self.folderName)" }
    /// Where the copy is unpacked to, as the programs are told it.
    package var dataPath: String { "\(folder)/data" }
    private var logsPath: String { "\(folder)/logs" }
    /// What ``begin()`` opened.
    private var held: (target: DirectoryHandle, folder: DirectoryHandle, data: DirectoryHandle)?
    private var socket: String { "\(folder)/s" }

    /// `facts` are those of the archive. Refuses what this host cannot do; nothing is written.
    package init(
        into target: String, _ facts: [String: String], isInterrupted: @escaping () -> Bool
    ) throws(CollectorError) {
        self.target = target
        self.facts = facts
        self.isInterrupted = isInterrupted
        owner = try Self.owner()
        guard socket.utf8.count < Self.socketLimit else {
            throw CollectorError(
                .limit, "the path \(target) is too long for the socket of a server",
                hint: "Restore into a directory whose path is shorter.")
        }
        guard let wanted = facts["server-version"].flatMap(MariaDBCollector.release) else {
            throw CollectorError(.unsupported, "the archive does not say of which release the server was")
        }
        for program in [MariaDBProgram.backup, MariaDBProgram.server, MariaDBProgram.client] {
            let said = try MariaDBClient.output(of: [program, "--version"], isInterrupted)
            guard MariaDBCollector.release(said) == wanted else {
                let version = said.split(separator: "\n").last ?? ""
                throw CollectorError(
                    .unsupported, "\(program) is of another release than the server was, \(wanted): \(version)",
                    hint: "Restore on a host with the packages of MariaDB \(wanted).")
            }
        }
        guard access(MariaDBProgram.logs, X_OK) == 0 else {
            throw CollectorError(
                .notFound, "\(MariaDBProgram.logs) is not there", hint: "Install the package mariadb-client.")
        }
    }

    /// Root may not run a server; nil where this process runs as somebody else.
    private static func owner() throws(CollectorError) -> (user: uid_t, group: gid_t)? {
        guard geteuid() == 0 else { return nil }
        guard let found = getpwnam(account) else {
            throw CollectorError(
                .notFound, "this host has no account `\(account)`, as whom the server is to run",
                hint: "Install the package mariadb-server, or restore as another user than root.")
        }
        return (found.pointee.pw_uid, found.pointee.pw_gid)
    }

    // MARK: - Steps

    /// Makes the directories; the target is empty or not there. Returns those that the copy and the logs go into, which are this
    /// account's alone until ``prepare()``.
    package func begin() throws(CollectorError) -> (data: DirectoryHandle, logs: DirectoryHandle) {
        let target = try DirectoryHandle.empty(self.target)
        let folder = try target.make(Self.folderName, at: self.target)
        for name in ["load", "tmp"] { _ = try folder.make(name, at: self.folder) }
        let data = try folder.make("data", at: self.folder)
        held = (target, folder, data)
        return (data, try folder.make("logs", at: self.folder))
    }

    private func opened() throws(CollectorError) -> (
        target: DirectoryHandle, folder: DirectoryHandle, data: DirectoryHandle
    ) {
        guard let held else { throw CollectorError(.invalidInput, "the replay into \(target) was not begun") }
        return held
    }

    /// Makes a data directory of the unpacked copy.
    package func prepare() throws(CollectorError) {
        let held = try opened()
        try writeOptions(held.folder, held.data)
        // Also the way to it: the server may not pass through what is root's alone.
        try giveAway(held.folder)
        if let owner, fchown(held.target.number, owner.user, owner.group) != 0 {
            throw CollectorError.system(errno, "cannot give away", Array(target.utf8))
        }
        let running = try start([
            MariaDBProgram.backup, "--no-defaults", "--prepare", "--target-dir=\(dataPath)",
            "--tmpdir=\(folder)/tmp",
        ])
        defer { running.close() }
        try running.awaitEnd()
        guard running.complaints.contains("completed OK!") else {
            throw CollectorError(.invalidInput, "mariadb-backup ended well without saying that the copy is prepared")
        }
    }

    /// Everything that the programs read besides the copy and the logs.
    private func writeOptions(_ folder: DirectoryHandle, _ data: DirectoryHandle) throws(CollectorError) {
        // Rules for passwords want letters, digits and others.
        let password = "aA1!\(Self.digits(16))"
        try StagingFolder.write("[client]\nuser=\(name)\npassword=\(password)\n", to: "\(folder.path)/options")
        try StagingFolder.write(
            """
            CREATE USER '\(name)'@'localhost' IDENTIFIED BY '\(password)';
            GRANT ALL PRIVILEGES ON *.* TO '\(name)'@'localhost' WITH GRANT OPTION;

            """, to: "\(folder.path)/init.sql")
        // The server and mariadb-backup both take them from the copy.
        let name = MariaDBCopyOptions.fileName
        var text: [UInt8] = []
        if faccessat(data.number, name, F_OK, 0) == 0 {
            text = try ClusterDirectory.bytes(of: name, in: data, limit: MariaDBCopyOptions.limit)
        }
        try StagingFolder.write(
            try MariaDBCopyOptions.safe(String(decoding: text, as: UTF8.self)), to: "\(data.path)/\(name)")
    }

    /// Replays `logs`, files below ``logsPath``, to their ends; the first one from a position on.
    package func replay(_ logs: [String], from position: UInt64) throws(CollectorError) {
        let server = try start(serverCommand)
        defer { server.close() }
        let client = MariaDBClient(source: own, account: runner, isInterrupted: isInterrupted)
        try awaitAnswer(server, client)
        try pass(logs, from: position, client)
        _ = try client.rows("DROP USER '\(name)'@'localhost'")
        do throws(CollectorError) { try server.end() } catch { throw told(error) }
    }

    /// The data directory goes where it belongs.
    package func finish() throws(CollectorError) {
        let (target, folder, data) = try opened()
        let names = StagingFolder.names(in: data.path)
        let last = "mysql"
        guard names.contains(last) else {
            throw CollectorError(.invalidInput, "the copy has no directory `\(last)`", hint: "Verify the vault.")
        }
        for name in names where name != last { try move(name, of: data, to: target) }
        try move(last, of: data, to: folder)
        // A listing may have been cut short, and what it did not name would go with the folder.
        guard unlinkat(folder.number, "data", AT_REMOVEDIR) == 0 else {
            throw CollectorError.system(errno, "cannot move everything out of", Array(dataPath.utf8))
        }
        try DirectoryContent.syncFileSystem(of: target.path)
        try move(last, of: folder, to: target)
        try DirectoryContent.syncFileSystem(of: target.path)
        StagingFolder.removeTree(Self.folderName, in: target)
    }

    // MARK: - The server

    private var serverCommand: [String] {
        var command = [MariaDBProgram.server, "--defaults-file=\(dataPath)/\(MariaDBCopyOptions.fileName)"]
        command += [
            "--datadir=\(dataPath)", "--socket=\(socket)", "--pid-file=\(folder)/pid", "--tmpdir=\(folder)/tmp",
            "--log-error=\(folder)/errors.log", "--init-file=\(folder)/init.sql",
        ]
        command += ["--skip-networking", "--skip-log-bin", "--skip-slave-start", "--event-scheduler=OFF"]
        // An event may be as large as the server that wrote it let it be, and files that were loaded come with the logs.
        command += ["--max-allowed-packet=1G", "--local-infile=ON", "--innodb-flush-log-at-trx-commit=0"]
        // Files of another server of the same account are none of a replay's.
        command.append("--secure-file-priv=\(folder)/load")
        for name in Self.options {
            if let value = facts[name] { command.append("--\(Self.optionOfServer[name] ?? name)=\(value)") }
        }
        return command
    }

    private var own: MariaDBSource {
        var source = MariaDBSource(name: "replay")
        source.socket = socket
        source.defaultsFile = "\(folder)/options"
        return source
    }

    private func awaitAnswer(_ server: RunningProgram, _ client: MariaDBClient) throws(CollectorError) {
        for _ in 0..<Self.longestStart {
            do throws(CollectorError) {
                _ = try client.rows("SELECT 1")
                return
            } catch {
                // It answers, and the account of the replay could not be made.
                guard !isInterrupted(), !error.message.contains("Access denied") else { throw told(error) }
            }
            guard server.isRunning else { break }
            usleep(200_000)
        }
        throw told(CollectorError(.invalidInput, "no server starts from the prepared copy"))
    }

    /// The logs, as statements, into the server.
    private func pass(_ logs: [String], from position: UInt64, _ client: MariaDBClient) throws(CollectorError) {
        // What is out of order there was so in the server too.
        let reading = try start(
            [
                MariaDBProgram.logs, "--no-defaults", "--verify-binlog-checksum", "--skip-gtid-strict-mode",
                "--local-load=\(folder)/load", "--start-position=\(position)",
            ] + logs.map { "\(logsPath)/\($0)" })
        defer { reading.close() }
        // Comments are part of procedures.
        let replay = try start(
            [MariaDBProgram.client] + client.connection
                + ["--binary-mode", "--comments", "--max-allowed-packet=1G", "--local-infile=1"],
            isFed: true)
        defer { replay.close() }
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { block.deallocate() }
        while true {
            let count = try reading.read(into: block)
            try replay.feed(UnsafeRawBufferPointer(rebasing: block[..<count]))
            if count < block.count { break }
        }
        // Before the client is told that this was all.
        guard !reading.complaints.contains("ERROR") else {
            throw CollectorError(
                .invalidInput, "mariadb-binlog does not read all of the logs: \(reading.complaints.prefix(500))",
                hint: "Nothing was finished. Take an earlier target.")
        }
        try replay.endFeeding()
        guard replay.complaints.isEmpty || !replay.complaints.contains("ERROR") else {
            throw CollectorError(.invalidInput, "the replay failed: \(replay.complaints.prefix(500))")
        }
    }

    /// As whom the programs run; nil where this process runs as somebody else than root.
    private var runner: String? { owner == nil ? nil : Self.account }

    /// All of them are bound: what this process left behind when it was killed would work on in the target, or for ever.
    private func start(_ command: [String], isFed: Bool = false) throws(CollectorError) -> RunningProgram {
        try RunningProgram(
            command, isFed: isFed, isBound: true, as: runner, timeout: Self.longestSeconds, timeoutText: "a week",
            isInterrupted: isInterrupted)
    }

    /// With the end of what the server wrote about itself.
    private func told(_ error: CollectorError) -> CollectorError {
        var error = error
        // Of a pipe in its place nothing is waited for.
        let flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        guard let folder = held?.folder, case let file = openat(folder.number, "errors.log", flags), file >= 0 else {
            return error
        }
        defer { close(file) }
        var block = [UInt8](repeating: 0, count: 2000)
        let size = lseek(file, 0, SEEK_END)
        let count = pread(file, &block, block.count, max(0, size - block.count))
        let lines = String(decoding: block.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
        let said = lines.filter { $0.contains("[ERROR]") }.suffix(3)
        if !said.isEmpty { error.message += ": " + said.joined(separator: " / ") }
        return error
    }

    // MARK: - Files

    private static func digits(_ bytes: Int) -> String {
        (0..<bytes).map { _ in
            let byte = UInt8.random(in: 0...255)
            return String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    private func move(
        _ name: String, of folder: DirectoryHandle, to other: DirectoryHandle
    ) throws(CollectorError) {
        guard renameat(folder.number, name, other.number, name) == 0 else {
            throw CollectorError.system(errno, "cannot move", Array("\(dataPath)/\(name)".utf8))
        }
    }

    /// To the account as whom the server runs; no link is followed. A directory goes after what is in it: until the first one has
    /// gone, the account cannot get in and put links there.
    private func giveAway(_ folder: DirectoryHandle) throws(CollectorError) {
        guard let owner else { return }
        for name in StagingFolder.names(in: folder.path) {
            if let below = folder.directory(name) {
                try giveAway(below)
            } else if fchownat(folder.number, name, owner.user, owner.group, AT_SYMLINK_NOFOLLOW) != 0 {
                throw CollectorError.system(errno, "cannot give away", Array("\(self.folder)/\(name)".utf8))
            }
        }
        guard fchown(folder.number, owner.user, owner.group) == 0 else {
            throw CollectorError.system(errno, "cannot give away a directory in", Array(target.utf8))
        }
    }
}
