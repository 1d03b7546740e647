import Domain
package import Glibc

/// The path of a socket that a daemon is about to listen at.
package enum SocketPlace {
    /// Removes what a daemon that was killed left there: only ever a socket, because a path that was mistyped must cost nobody a file,
    /// and only one at which nobody listens. Fails with `inUse` where somebody does: his clients would be answered by another from
    /// then on, and neither he nor they would know. `kind` is that of the listener, `SOCK_STREAM` or `SOCK_SEQPACKET`.
    package static func clear(_ path: String, kind: __socket_type) throws(OperationError) {
        var info = stat()
        guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFSOCK else { return }
        guard !isAnswered(path, kind) else {
            throw OperationError(
                .inUse, "another daemon listens at \(path)", hint: "End that one, or give this one another --socket.")
        }
        unlink(path)
    }

    /// Removes the socket of one that ends.
    package static func remove(_ path: String) {
        var info = stat()
        if lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
    }

    private static func isAnswered(_ path: String, _ kind: __socket_type) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let made = socket(
            AF_UNIX, Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard made >= 0 else { return false }
        defer { close(made) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(made, $0, size) }
        }
        // Refused: nobody listens. Anything else, as a full queue, is somebody.
        return status == 0 || errno != ECONNREFUSED && errno != ENOENT
    }
}
