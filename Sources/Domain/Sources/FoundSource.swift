/// A database server, a database or a repository that a look at the host found.
package struct FoundSource: Sendable, Equatable, Codable {
    package struct Database: Sendable, Equatable, Codable {
        package var name: String
        /// Nil where the account may not ask.
        package var bytes: Int64?

        package init(name: String, bytes: Int64?) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// What makes two looks speak of one source: bytes, because different ones may be one text.
    package struct Identity: Sendable, Hashable {
        package var kind: DataSource.Kind
        package var path: [UInt8]
        /// For people.
        package var place: String { PathText.shown(path) }

        package init(_ kind: DataSource.Kind, _ path: [UInt8]) {
            self.kind = kind
            self.path = path
        }

        package init(_ kind: DataSource.Kind, _ place: String) { self.init(kind, Array(place.utf8)) }

        /// The bytes where the text does not tell them.
        package var placeBytes: [UInt8]? { String(validating: path, as: UTF8.self) == nil ? path : nil }
    }

    package var kind: DataSource.Kind
    /// The data directory, the file or the repository; of a server whose data directory cannot be learnt, its socket.
    /// Of a path that is not UTF-8 the bytes that are none are written `\xHH`, and ``placeBytes`` has them all.
    package var place: String
    package var placeBytes: [UInt8]?
    /// Whether a policy can name it: the path is UTF-8 and without control characters.
    package var isNameable = true
    /// Of a server: all that could be learnt, `15.18` or only `15`.
    package var version: String?
    /// Of a server; nil for a file and a repository.
    package var isRunning: Bool?
    /// Directory of the socket of PostgreSQL, path of that of MariaDB.
    package var socket: String?
    package var port: Int?
    /// Directory of the configuration, where that lies outside of the data directory.
    package var config: String?
    /// Of all its files, or of its databases where only those could be asked for; nil where neither was possible.
    package var bytes: Int64?
    /// Nil where the server could not be asked.
    package var databases: [Database]?

    package init(_ kind: DataSource.Kind, at place: String) {
        self.kind = kind
        self.place = place
    }

    package init(_ identity: Identity) {
        self.init(identity.kind, at: identity.place)
        placeBytes = identity.placeBytes
    }

    package var path: [UInt8] { placeBytes ?? Array(place.utf8) }
    package var identity: Identity { Identity(kind, path) }

    /// Where not even the data directory could be learnt.
    package var isKnownBySocket: Bool {
        switch kind {
        case .postgresql: socket.map { socket in port.map { place == "\(socket)/.s.PGSQL.\($0)" } ?? false } ?? false
        case .mariadb: place == socket
        default: false
        }
    }

    /// Without what changes from day to day.
    package var remembered: FoundSource {
        var copy = self
        copy.bytes = nil
        copy.databases = nil
        return copy
    }
}

/// Which policies archive what was found.
///
/// Places are compared without links: `resolve` gives the path that a path of a policy leads to.
package struct SourcePlanning: Sendable {
    package struct Plan: Sendable, Hashable {
        package var policy: String
        /// Only as files, whose copies may be torn while the source is in use.
        package var isAsFiles: Bool

        package init(policy: String, isAsFiles: Bool) {
            self.policy = policy
            self.isAsFiles = isAsFiles
        }
    }

    private let policies: [Policy]
    /// By the paths of the policies.
    private let resolved: [String: String]
    private let excludes: [[ExcludePatterns]]

    package init(_ policies: [Policy], resolve: (String) -> String) {
        self.policies = policies
        var resolved: [String: String] = [:]
        for path in policies.flatMap(Self.paths) { resolved[path] = resolve(path) }
        self.resolved = resolved
        // What is not valid stands in no policy that was read.
        excludes = policies.map { $0.sources.map { (try? ExcludePatterns($0.excludes)) ?? .none } }
    }

    private static func paths(_ policy: Policy) -> [String] {
        policy.sources.map(\.path)
            + policy.data.flatMap { data -> [String] in
                switch data {
                case .postgresql(let source): [source.dataDirectory, source.connection.host].compactMap(\.self)
                case .mariadb(let source): [source.socket ?? MariaDBSource.usualSocket]
                case .sqlite(let source): [source.path]
                case .git(let source): [source.localPath].compactMap(\.self)
                case .command, .wal, .mariadbLogs: []
                }
            }
    }

    /// What the policies name on this host, so that it is looked at wherever it lies.
    package var named: [FoundSource.Identity] {
        policies.flatMap(\.data).compactMap { data in
            switch data {
            case .postgresql(let source): source.dataDirectory.map { .init(.postgresql, place($0)) }
            case .sqlite(let source): .init(.sqlite, place(source.path))
            case .git(let source): source.localPath.map { .init(.git, Self.workTree(place($0))) }
            case .mariadb, .mariadbLogs, .command, .wal: nil
            }
        }
    }

    /// A repository in a working tree goes by the name of the tree.
    private static func workTree(_ path: String) -> String {
        path.hasSuffix("/.git") && path.utf8.count > 5 ? String(path.dropLast(5)) : path
    }

    private func place(_ path: String) -> String { resolved[path] ?? path }

    /// In the order of the policies, each policy once. A tree of files is no plan for the files of a server.
    package func plans(of found: FoundSource) -> [Plan] {
        zip(policies, excludes).compactMap { policy, excludes in
            if policy.data.contains(where: { archives($0, found) }) {
                return Plan(policy: policy.name, isAsFiles: false)
            }
            guard found.kind == .sqlite || found.kind == .git else { return nil }
            let isThere = zip(policy.sources, excludes).contains { covers(place($0.path), $1, found) }
            return isThere ? Plan(policy: policy.name, isAsFiles: true) : nil
        }
    }

    private func archives(_ data: DataSource, _ found: FoundSource) -> Bool {
        switch (data, found.kind) {
        case (.postgresql(let source), .postgresql):
            if let directory = source.dataDirectory {
                if leads(directory, to: found) { return true }
                // Its socket tells a cluster where its directory cannot be learnt.
                guard source.mode != .local || found.isKnownBySocket else { return false }
            }
            guard source.connection.port == found.port else { return false }
            let host = source.connection.host
            return ["localhost", "127.0.0.1", "::1"].contains(host) || found.socket == place(host)
        case (.mariadb(let source), .mariadb):
            // Of a server that does not run the socket is not known.
            guard let socket = found.socket else {
                let isUsual = source.socket ?? MariaDBSource.usualSocket == MariaDBSource.usualSocket
                return isUsual && found.place == MariaDBSource.usualDataDirectory
            }
            return socket == place(source.socket ?? MariaDBSource.usualSocket)
        case (.sqlite(let source), .sqlite): return leads(source.path, to: found)
        case (.git(let source), .git):
            return source.localPath.map { Self.workTree(place($0)).utf8.elementsEqual(found.path) } == true
        default: return false
        }
    }

    private func leads(_ path: String, to found: FoundSource) -> Bool {
        place(path).utf8.elementsEqual(found.path)
    }

    private func covers(_ root: String, _ excludes: ExcludePatterns, _ found: FoundSource) -> Bool {
        let base = (root == "/" ? "/" : root + "/").utf8
        guard found.path.starts(with: base) else { return false }
        let parts = found.path.dropFirst(base.count).split(separator: 0x2F)
        // Nothing is taken back in below a directory that was left out.
        return !parts.indices.contains { at in
            let path = Array(parts[...at].joined(separator: [0x2F]))
            let isDirectory = at < parts.count - 1 || found.kind == .git
            return excludes.isExcluded(relativePath: path, isDirectory: isDirectory)
        }
    }
}
