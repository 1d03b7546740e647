import Domain
import Glibc

/// A server of a database that runs on this host, as far as its process tells.
struct ServerProcess {
    var kind: DataSource.Kind
    /// 0 where it belongs to another set of processes, such as a container.
    var number: pid_t
    var dataDirectory: String?
    /// Path of the socket.
    var socket: String?

    /// All that this account may see; `isWhole` false where processes of others are hidden.
    static func all() -> (found: [ServerProcess], isWhole: Bool) {
        guard let stream = opendir("/proc") else { return ([], false) }
        defer { closedir(stream) }
        var found: [ServerProcess] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let number = pid_t(name), let process = of(number) else { continue }
            found.append(process)
        }
        return (found.sorted { $0.number < $1.number }, access("/proc/1/comm", R_OK) == 0)
    }

    static func kind(of number: pid_t) -> DataSource.Kind? {
        guard let name = ProcFile.read("/proc/\(number)/comm", limit: 64) else { return nil }
        switch String(decoding: name, as: UTF8.self) {
        case "postgres\n", "postmaster\n": return .postgresql
        case "mariadbd\n", "mysqld\n": return .mariadb
        default: return nil
        }
    }

    private static func of(_ number: pid_t) -> ServerProcess? {
        guard let kind = Self.kind(of: number), let line = ProcFile.read("/proc/\(number)/cmdline", limit: 64 << 10)
        else {
            return nil
        }
        let words = line.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard let first = words.first, !first.isEmpty else { return nil }
        // What serves a session calls itself `postgres: …`; the server has its arguments.
        if kind == .postgresql, first.hasPrefix("postgres:") { return nil }
        var process = ServerProcess(kind: kind, number: number)
        for (at, word) in words.enumerated() {
            switch kind {
            case .postgresql:
                if word == "-D", at + 1 < words.count { process.dataDirectory = words[at + 1] }
                if word.hasPrefix("-D"), word.count > 2 { process.dataDirectory = String(word.dropFirst(2)) }
                if word.hasPrefix("--data-directory=") { process.dataDirectory = String(word.dropFirst(17)) }
            default:
                if word.hasPrefix("--datadir=") { process.dataDirectory = String(word.dropFirst(10)) }
                if word.hasPrefix("--socket=") { process.socket = String(word.dropFirst(9)) }
            }
        }
        // Both servers work in their data directory.
        if process.dataDirectory?.hasPrefix("/") != true {
            process.dataDirectory = ClusterDirectory.resolved("/proc/\(number)/cwd")
        }
        if process.socket?.hasPrefix("/") != true { process.socket = nil }
        return process
    }
}

/// Whether somebody listens at a Unix socket.
enum SocketProbe: Equatable {
    /// By the process that listens; 0 where it is another host's, such as a container's.
    case listening(pid_t)
    case silent
    /// This account may not ask.
    case denied

    /// As `struct ucred`.
    private struct Peer {
        var process: pid_t = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
    }

    /// Waits for nobody.
    static func ask(_ path: String) -> SocketProbe {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return .silent }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let end = socket(AF_UNIX, kind, 0)
        guard end >= 0 else { return .denied }
        defer { close(end) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(end, $0, length) }
        }
        guard result == 0 else {
            switch errno {
            // Its queue is full: it is there.
            case EAGAIN: return .listening(0)
            case EACCES, EPERM: return .denied
            default: return .silent
            }
        }
        var peer = Peer()
        var size = socklen_t(MemoryLayout<Peer>.size)
        guard getsockopt(end, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 else { return .listening(0) }
        return .listening(peer.process)
    }
}
