import Domain
import Glibc
import Synchronization
import Vault
import WALClient

/// The socket at which helpers hand over WAL and ask for it.
///
/// Invariants:
/// 1. Who is at the other end is told by the kernel, and nobody is listened to who may not ask.
/// 2. A fixed number of threads answer; one connection brings one request, within a time.
package final class WALListener: Sendable {
    private static let threadCount = 8
    private static let requestSeconds = 5

    private let path: String
    private let desk: WALDesk
    private let listening: Int32
    private let isStopping = Atomic<Bool>(false)
    private let threads = Mutex<[Joined]>([])

    /// SAFETY: a thread is joined once, by ``stop()``, under the lock.
    private struct Joined: @unchecked Sendable {
        let thread: WorkerThread
    }

    init(_ desk: WALDesk, path: String) throws {
        self.path = path
        self.desk = desk
        listening = try Self.listen(path)
        for _ in 0..<Self.threadCount {
            let thread = Joined(thread: try WorkerThread { self.work() })
            threads.withLock { $0.append(thread) }
        }
    }

    /// Lets the requests that are going end.
    func stop() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        for joined in threads.withLock({ $0 }) { joined.thread.join() }
        close(listening)
        SocketPlace.remove(path)
    }

    private static func listen(_ path: String) throws -> Int32 {
        try SocketPlace.clear(path, kind: SOCK_SEQPACKET)
        var address: sockaddr_un
        do { address = try WALChannel.address(path) } catch {
            throw OperationError(.usage, error.message)
        }
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let made = socket(AF_UNIX, kind, 0)
        guard made >= 0 else { throw LogSpool.failure("making", "the socket \(path)") }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(made, $0, size) }
        }
        // All may connect: the kernel tells who they are.
        guard bound == 0, chmod(path, 0o666) == 0, Glibc.listen(made, 64) == 0 else {
            let failure = LogSpool.failure("listening at", path)
            close(made)
            throw failure
        }
        return made
    }

    private func work() {
        while !isStopping.load(ordering: .relaxed) {
            var waiting = pollfd(fd: listening, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 200) > 0 else { continue }
            let connection = accept(listening, nil, nil)
            guard connection >= 0 else { continue }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            serve(WALChannel(taking: connection))
        }
    }

    private func serve(_ channel: consuming WALChannel) {
        channel.setTimeout(Self.requestSeconds)
        guard let user = Self.peer(channel.descriptor), desk.admits(user) else {
            try? channel.send(WALReply(.usage, "you may not use the WAL of this host").bytes)
            return
        }
        var came: Int32?
        defer { if let came { close(came) } }
        do {
            guard let (bytes, file) = try channel.receive(limit: WALRequest.longest) else { return }
            came = file
            guard let request = WALRequest(bytes) else {
                try channel.send(WALReply(.usage, "the request cannot be understood").bytes)
                return
            }
            let (reply, given) = desk.answer(request, file, from: user)
            defer { if let given { close(given) } }
            try channel.send(reply.bytes, with: given)
        } catch {
            // Whoever asked has gone: a helper fails then, and asks again.
            return
        }
    }

    /// As `struct ucred`.
    private struct Peer {
        var process: pid_t = 0
        var user: uid_t = 0
        var group: gid_t = 0
    }

    private static func peer(_ connection: Int32) -> uid_t? {
        var peer = Peer()
        var size = socklen_t(MemoryLayout<Peer>.size)
        guard getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0,
            size == socklen_t(MemoryLayout<Peer>.size)
        else { return nil }
        return peer.user
    }
}
