package import Domain
import Glibc

/// Where a host is looked at.
package struct HostPlaces: Sendable, Equatable {
    /// Trees in which databases and repositories may lie.
    package var trees: [String]
    /// Directories in which PostgreSQL has its sockets.
    package var postgreSQLSockets: [String]
    /// Sockets of MariaDB.
    package var mariaDBSockets: [String]
    /// Whether the processes of the host are looked at.
    package var processes: Bool

    package init(
        trees: [String], postgreSQLSockets: [String] = [], mariaDBSockets: [String] = [], processes: Bool = false
    ) {
        self.trees = trees
        self.postgreSQLSockets = postgreSQLSockets
        self.mariaDBSockets = mariaDBSockets
        self.processes = processes
    }

    package static let usual = HostPlaces(
        trees: ["/var/lib", "/srv", "/opt"], postgreSQLSockets: ["/run/postgresql", "/tmp"],
        mariaDBSockets: [MariaDBSource.usualSocket, "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"], processes: true)
}

/// Looks which databases and repositories a host has. It changes nothing, and asks servers only what they tell this
/// account.
///
/// Invariants:
/// 1. Found is what was seen; absent is what was looked for, in a directory that could be read, and is not there. What
///    could not be looked at is neither, and is told.
/// 2. Every source is told once, as soon as it is known.
package final class HostLook {
    package enum Event: Sendable {
        case found(FoundSource)
        case absent(FoundSource.Identity)
        case problem(path: [UInt8], reason: String)
    }

    private static let sqliteMagic = Array("SQLite format 3\u{0}".utf8)
    private static let smallestPage: UInt64 = 512

    private let places: HostPlaces
    private let known: [FoundSource.Identity]
    private let leftOut: [String]
    private let excludes: ExcludePatterns
    private let isOver: () -> Bool
    private let note: (Event) -> Void
    private let asking: ServerAsking
    private var told: Set<FoundSource.Identity> = []
    /// How many were told.
    private var problems = 0
    /// Of the servers that run, by their sockets.
    private var sockets: [(path: String, kind: DataSource.Kind, process: pid_t)] = []
    /// Of the servers that were told.
    private var toldSockets: Set<String> = []
    /// Servers of which nothing but the socket is known; a data directory that is found later may be theirs.
    private var nameless: [FoundSource] = []

    /// `known` is what is looked at wherever it lies, `leftOut` directories that are not, `excludes` patterns below `/`;
    /// `users` are accounts of servers that policies name.
    package init(
        _ places: HostPlaces, known: [FoundSource.Identity] = [], leftOut: [String] = [],
        excludes: ExcludePatterns = .none, users: [String] = [], isOver: @escaping () -> Bool = { false },
        note: @escaping (Event) -> Void
    ) {
        self.places = places
        self.known = known
        self.leftOut = leftOut.map { ClusterDirectory.resolved($0) ?? $0 }
        self.excludes = excludes
        self.isOver = isOver
        self.note = note
        asking = ServerAsking(known: users, isOver: isOver)
    }

    package func run() {
        lookAtServers()
        for tree in places.trees where !isOver() {
            guard let root = realpath(tree, nil) else {
                if errno != ENOENT || !HostPlaces.usual.trees.contains(tree) {
                    problem(tree, CollectorError.systemText(errno))
                }
                continue
            }
            defer { free(root) }
            let path = Array(UnsafeRawBufferPointer(start: root, count: strlen(root)))
            if !isLeftOut(path) { hostTree.walk(path) { [self] in visit($0) } }
        }
        for source in known where !isOver() && !told.contains(source) { lookAgain(at: source) }
        for server in nameless where !toldSockets.contains(server.place) { tell(server) }
    }

    private lazy var hostTree = HostTree(
        isOver: isOver, isLeftOut: { [unowned self] in isLeftOut($0) },
        tell: { [unowned self] path, reason in note(.problem(path: path, reason: reason)) })

    // MARK: Servers that run

    private func lookAtServers() {
        var servers: [ServerProcess] = []
        if places.processes {
            let (found, isWhole) = ServerProcess.all()
            servers = found
            if !isWhole { problem("/proc", "the processes of other accounts are hidden") }
        }
        lookAtSockets(of: servers)
        for server in servers where !isOver() {
            guard let directory = server.dataDirectory else { continue }
            let path = ClusterDirectory.resolved(directory) ?? directory
            guard !told.contains(.init(server.kind, path)), !isLeftOut(Array(path.utf8)) else { continue }
            if hostTree.isElsewhere(Array(path.utf8)) || !examine(server.kind, path) {
                // Its files are another account's; its socket may tell more.
                tell(running: server, at: path)
            }
        }
        for socket in sockets where !isOver() {
            if servers.contains(where: { $0.number == socket.process && $0.dataDirectory != nil }) { continue }
            tell(running: ServerProcess(kind: socket.kind, number: socket.process, socket: socket.path), at: nil)
        }
    }

    private func lookAtSockets(of servers: [ServerProcess]) {
        var paths: [(String, DataSource.Kind)] = []
        for folder in places.postgreSQLSockets {
            let folder = ClusterDirectory.resolved(folder) ?? folder
            guard case .success(let directory) = HostDirectory.open(Array(folder.utf8)) else { continue }
            for (name, kind) in directory.names where kind == .socket {
                let name = String(decoding: name, as: UTF8.self)
                if name.hasPrefix(".s.PGSQL."), Int(name.dropFirst(9)) != nil {
                    paths.append(("\(folder)/\(name)", .postgresql))
                }
            }
        }
        for path in places.mariaDBSockets + servers.compactMap(\.socket) { paths.append((resolved(path), .mariadb)) }
        for (path, kind) in paths where !sockets.contains(where: { $0.path == path }) {
            switch SocketProbe.ask(path) {
            case .listening(let process): sockets.append((path, kind, process))
            case .denied: problem(path, "this account may not connect")
            case .silent: break
            }
        }
    }

    private func resolved(_ socket: String) -> String { ClusterDirectory.resolved(socket) ?? socket }

    /// A server whose files could not be looked at; `place` is its data directory, where that is known.
    private func tell(running server: ServerProcess, at place: String?) {
        let socket =
            server.socket.map(resolved) ?? sockets.first { $0.process == server.number && $0.process > 0 }?.path
        var found = FoundSource(server.kind, at: place ?? socket ?? "")
        found.isRunning = true
        if let socket { ask(&found, socket) }
        guard !found.place.isEmpty, !told.contains(found.identity) else { return }
        guard found.place != socket else { return nameless.append(found) }
        if found.version == nil { problem(found, "its version and databases could not be learnt") }
        tell(found)
    }

    /// Fills in what the server says of itself.
    private func ask(_ found: inout FoundSource, _ socket: String) {
        do throws(CollectorError) {
            let answer: ServerAnswer
            if found.kind == .postgresql {
                let parts = socket.split(separator: "/")
                found.port = parts.last.flatMap { Int($0.dropFirst(9)) }
                found.socket = "/" + parts.dropLast().joined(separator: "/")
                answer = try asking.postgreSQL(socket: found.socket ?? "", port: found.port ?? 0)
            } else {
                found.socket = socket
                answer = try asking.mariaDB(socket: socket)
            }
            found.version = answer.version
            found.databases = answer.databases
            if let directory = answer.dataDirectory, found.place == socket || found.place.isEmpty {
                found.place = resolved(PathText.absolute(directory, from: "/"))
            }
            if let config = answer.config.map(resolved), config != found.place { found.config = config }
            let sizes = answer.databases.compactMap(\.bytes)
            if found.bytes == nil, sizes.count == answer.databases.count {
                found.bytes = sizes.reduce(0) { $0.addingClamped($1) }
            }
        } catch { problem(socket, "the server does not tell its databases: \(error.message)") }
    }

    // MARK: Files

    private func visit(_ directory: HostDirectory) -> HostTree.Step {
        // Told with the directory around it.
        if directory.path.suffix(5).elementsEqual("/.git".utf8) { return .stay }
        if let kind = Self.serverKind(directory) {
            tellServer(kind, directory)
            return .stay
        }
        if Self.isRepository(directory) {
            tellRepository(directory, at: directory.path)
            return .stay
        }
        if directory.kind(".git") == .directory {
            let name = Array(".git".utf8)
            switch directory.open(name) {
            case .success(let inner): if Self.isRepository(inner) { tellRepository(inner, at: directory.path) }
            case .failure(let error):
                if !HostDirectory.isAbsence(error) {
                    problem(directory.path(of: name), CollectorError.systemText(error.number))
                }
            }
        }
        for (name, kind) in directory.names where kind == .file { lookAtFile(name, in: directory) }
        return .descend
    }

    /// The kind of server whose data directory it is; only files count, whatever their names are.
    private static func serverKind(_ directory: HostDirectory) -> DataSource.Kind? {
        func isFile(_ name: String) -> Bool { directory.kind(name) == .file }
        if isFile("PG_VERSION"), directory.kind("global") == .directory, isFile("global/pg_control") {
            return .postgresql
        }
        return isFile("ibdata1") && isFile("aria_log_control") ? .mariadb : nil
    }

    private static func isRepository(_ directory: HostDirectory) -> Bool {
        directory.kind("HEAD") == .file && directory.kind("objects") == .directory
            && directory.kind("refs") == .directory
    }

    /// False where the directory cannot be read or holds no server of this kind.
    private func examine(_ kind: DataSource.Kind, _ path: String) -> Bool {
        guard case .success(let directory) = HostDirectory.open(Array(path.utf8)), Self.serverKind(directory) == kind
        else {
            return false
        }
        tellServer(kind, directory)
        return true
    }

    private func tellServer(_ kind: DataSource.Kind, _ directory: HostDirectory) {
        var found = made(kind, directory.path)
        guard !told.contains(found.identity) else { return }
        var socket: String?
        if kind == .postgresql {
            found.version = text(of: "PG_VERSION", in: directory, 32).flatMap { ServerAsking.version($0) }
            let server = Self.postmaster(text(of: "postmaster.pid", in: directory, 4096))
            found.isRunning = server.isRunning
            socket = server.socket
        } else {
            let notes = ["mariadb_upgrade_info", "mysql_upgrade_info"]
            found.version = notes.lazy.compactMap { self.text(of: $0, in: directory, 64) }.first
                .flatMap { ServerAsking.version($0) }
            let process = directory.locker(of: "ibdata1")
            found.isRunning = process != nil
            socket = process.flatMap { process in sockets.first { $0.kind == .mariadb && $0.process == process }?.path }
        }
        found.bytes = hostTree.bytes(below: directory.path)
        if found.bytes == nil { problem(found, "its size could not be counted") }
        if found.isRunning == true {
            if let socket { ask(&found, resolved(socket)) } else { problem(found, "its socket is not known") }
        }
        tell(found)
    }

    /// Whether the server whose `postmaster.pid` this is runs, and its socket. The file outlives a server that was killed.
    private static func postmaster(_ text: String?) -> (isRunning: Bool, socket: String?) {
        let lines = text?.split(separator: "\n", omittingEmptySubsequences: false) ?? []
        guard let process = lines.first.flatMap({ pid_t($0) }), process > 0 else { return (false, nil) }
        guard kill(process, 0) == 0 || errno == EPERM else { return (false, nil) }
        // The number may be another program's by now.
        if access("/proc/\(process)/comm", R_OK) == 0, ServerProcess.kind(of: process) != .postgresql {
            return (false, nil)
        }
        guard lines.count > 4, let port = Int(lines[3]), lines[4].hasPrefix("/") else { return (true, nil) }
        return (true, "\(lines[4])/.s.PGSQL.\(port)")
    }

    private func text(of name: String, in directory: HostDirectory, _ count: Int) -> String? {
        directory.start(of: Array(name.utf8), count: count).map { String(decoding: $0, as: UTF8.self) }
    }

    private func tellRepository(_ directory: HostDirectory, at path: [UInt8]) {
        var found = made(.git, path)
        guard !told.contains(found.identity) else { return }
        found.bytes = hostTree.bytes(below: directory.path)
        if found.bytes == nil { problem(found, "its size could not be counted") }
        tell(found)
    }

    /// False where it is no database, or none that can be read.
    @discardableResult
    private func lookAtFile(_ name: [UInt8], in directory: HostDirectory) -> Bool {
        let path = directory.path(of: name)
        // A database has whole pages, of which the smallest have 512 bytes.
        guard let status = directory.status(name), status.kind == .file, status.size > 0,
            status.size % Self.smallestPage == 0, !isLeftOut(path)
        else { return false }
        guard let start = directory.start(of: name, count: Self.sqliteMagic.count) else {
            // What a file is called says nothing; but these are called so for what they are.
            if [".db", ".sqlite", ".sqlite3"].contains(where: { name.suffix($0.utf8.count).elementsEqual($0.utf8) }) {
                problem(path, "it cannot be read")
            }
            return false
        }
        guard start == Self.sqliteMagic else { return false }
        var found = made(.sqlite, path)
        let log = directory.status(name + Array("-wal".utf8))?.size ?? 0
        found.bytes = Int64(clamping: status.size.addingReportingOverflow(log).partialValue)
        tell(found)
        return true
    }

    // MARK: What is known

    /// What a policy names, or was found before, and lies elsewhere or is gone.
    private func lookAgain(at source: FoundSource.Identity) {
        if source.path.first == 0x2F, isGone(source), !told.contains(source) { note(.absent(source)) }
    }

    /// Whether nothing of the kind is in its place, for certain. What is there is told, and why that is not known.
    private func isGone(_ source: FoundSource.Identity) -> Bool {
        let (kind, path) = (source.kind, source.path)
        if isLeftOut(path) { return false }
        func unknown(_ reason: String) -> Bool {
            problem(path, reason)
            return false
        }
        if hostTree.isElsewhere(path) { return unknown("it lies on another host, which may not answer") }
        let name = path.split(separator: 0x2F).last.map(Array.init) ?? []
        let folder = kind == .sqlite ? Array(path.dropLast(name.count + 1)) : path
        switch HostDirectory.open(folder.isEmpty ? [0x2F] : folder) {
        case .failure(let error):
            return HostDirectory.isAbsence(error) || unknown(CollectorError.systemText(error.number))
        case .success(let directory):
            let before = problems
            var marks = Self.marks(of: kind)
            if kind == .sqlite {
                marks = [name]
                if lookAtFile(name, in: directory) || directory.has(name) == true { return false }
            } else {
                _ = visit(directory)
            }
            if told.contains(source) || problems > before { return false }
            return marks.allSatisfy { directory.has($0) != nil } || unknown("its directory cannot be searched")
        }
    }

    /// By what a directory is known for one of a kind.
    private static func marks(of kind: DataSource.Kind) -> [[UInt8]] {
        let names: [String] =
            switch kind {
            case .postgresql: ["PG_VERSION", "global/pg_control"]
            case .mariadb: ["ibdata1", "aria_log_control"]
            default: [".git", "HEAD", "objects", "refs"]
            }
        return names.map { Array($0.utf8) }
    }

    // MARK: -

    private func made(_ kind: DataSource.Kind, _ path: [UInt8]) -> FoundSource {
        var found = FoundSource(FoundSource.Identity(kind, path))
        found.isNameable =
            found.placeBytes == nil
            && found.place.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        return found
    }

    private func tell(_ found: FoundSource) {
        guard !isLeftOut(found.path), told.insert(found.identity).inserted else { return }
        if let socket = found.socket { toldSockets.insert(found.port.map { "\(socket)/.s.PGSQL.\($0)" } ?? socket) }
        note(.found(found))
    }

    private func problem(_ place: String, _ reason: String) {
        problem(Array(place.utf8), reason)
    }

    private func problem(_ found: FoundSource, _ reason: String) { problem(found.path, reason) }

    private func problem(_ path: [UInt8], _ reason: String) {
        problems += 1
        note(.problem(path: path, reason: reason))
    }

    /// The path, or one of the directories that it lies in.
    private func isLeftOut(_ path: [UInt8]) -> Bool {
        if leftOut.contains(where: { path.elementsEqual($0.utf8) || path.starts(with: Array(($0 + "/").utf8)) }) {
            return true
        }
        let relative = Array(path.drop { $0 == 0x2F })
        if relative.isEmpty { return false }
        let ends = relative.indices.filter { relative[$0] == 0x2F } + [relative.endIndex]
        return ends.contains { end in
            excludes.isExcluded(relativePath: Array(relative[..<end]), isDirectory: end < relative.endIndex)
                || end == relative.endIndex && excludes.isExcluded(relativePath: relative, isDirectory: true)
        }
    }
}
