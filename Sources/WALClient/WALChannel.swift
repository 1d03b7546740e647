package import Glibc

/// One end of a connection between a helper and the daemon. Messages arrive whole or not at all, each with at most one
/// descriptor.
package struct WALChannel: ~Copyable {
    package struct Problem: Error {
        package var message: String
        var code: Int32 = 0

        /// Whether the other end went away.
        var isEnd: Bool { code == EPIPE || code == ECONNRESET }
        /// Whether nobody listens there.
        var isDown: Bool { code == ENOENT || code == ECONNREFUSED }
    }

    package let descriptor: Int32

    /// Takes over a connected socket.
    package init(taking descriptor: Int32) { self.descriptor = descriptor }

    /// Connects to the daemon; waits at most `seconds` for each answer.
    package init(connectingTo path: String, seconds: Int) throws(Problem) {
        descriptor = try Self.connected(to: path, seconds)
    }

    /// Connects to a daemon that has room for one more who asks; neither this nor anything that is done with it waits.
    init(connectingAtOnceTo path: String) throws(Problem) {
        descriptor = try Self.connected(to: path, nil)
    }

    private static func connected(to path: String, _ seconds: Int?) throws(Problem) -> Int32 {
        var address = try address(path)
        let waiting = seconds == nil ? Int32(SOCK_NONBLOCK.rawValue) : 0
        let made = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | waiting, 0)
        guard made >= 0 else { throw problem("a socket cannot be made") }
        if let seconds { setTimeout(of: made, seconds) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(made, $0, size) }
        }
        guard result == 0 else {
            let found = problem("the daemon does not answer at \(path)")
            close(made)
            throw found
        }
        return made
    }

    deinit { close(descriptor) }

    package static func address(_ path: String) throws(Problem) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < room, !bytes.contains(0) else {
            throw Problem(message: "\(path) cannot be the path of a socket: it has 1 to \(room - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    static func problem(_ what: String) -> Problem {
        let number = errno
        return Problem(message: "\(what): \(String(cString: strerror(number)))", code: number)
    }

    /// For each wait for the other end.
    package func setTimeout(_ seconds: Int) { Self.setTimeout(of: descriptor, seconds) }

    private static func setTimeout(of descriptor: Int32, _ seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    // A control message: its length, level and kind, then one descriptor. Swift does not see the macros for it.
    private static let controlBytes = MemoryLayout<Int>.size + 2 * MemoryLayout<Int32>.size + MemoryLayout<Int32>.size

    /// Whole, or an error.
    package func send(_ bytes: [UInt8], with file: Int32? = nil) throws(Problem) {
        var bytes = bytes
        var control = [UInt](repeating: 0, count: 3)
        control.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: Self.controlBytes, as: Int.self)
            raw.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            raw.storeBytes(of: 1, toByteOffset: 12, as: Int32.self)
            raw.storeBytes(of: file ?? -1, toByteOffset: 16, as: Int32.self)
        }
        let count = bytes.withUnsafeMutableBytes { content in
            control.withUnsafeMutableBytes { raw in
                var part = iovec(iov_base: content.baseAddress, iov_len: content.count)
                return withUnsafeMutablePointer(to: &part) { parts in
                    var message = msghdr()
                    message.msg_iov = parts
                    message.msg_iovlen = 1
                    if file != nil {
                        message.msg_control = raw.baseAddress
                        message.msg_controllen = raw.count
                    }
                    return Self.repeating { sendmsg(descriptor, &message, Int32(truncatingIfNeeded: MSG_NOSIGNAL)) }
                }
            }
        }
        guard count == bytes.count else { throw Self.problem("a message cannot be sent") }
    }

    /// The next message of at most `limit` bytes, and the descriptor that came with it, which is the caller's. Nil when the
    /// other end has gone.
    package func receive(limit: Int) throws(Problem) -> (bytes: [UInt8], file: Int32?)? {
        var bytes = [UInt8](repeating: 0, count: limit)
        var control = [UInt](repeating: 0, count: 3)
        var flags: Int32 = 0
        var told = 0
        let count = bytes.withUnsafeMutableBytes { content in
            control.withUnsafeMutableBytes { raw in
                var part = iovec(iov_base: content.baseAddress, iov_len: content.count)
                return withUnsafeMutablePointer(to: &part) { parts in
                    var message = msghdr()
                    message.msg_iov = parts
                    message.msg_iovlen = 1
                    message.msg_control = raw.baseAddress
                    // Not a byte more: the kernel closes what does not fit.
                    message.msg_controllen = Self.controlBytes
                    let count = Self.repeating {
                        recvmsg(descriptor, &message, Int32(truncatingIfNeeded: MSG_CMSG_CLOEXEC))
                    }
                    flags = message.msg_flags
                    told = Int(message.msg_controllen)
                    return count
                }
            }
        }
        let number = errno
        var file: Int32?
        if count >= 0, told >= Self.controlBytes {
            control.withUnsafeBytes { raw in
                let isDescriptor =
                    raw.load(fromByteOffset: 8, as: Int32.self) == SOL_SOCKET
                    && raw.load(fromByteOffset: 12, as: Int32.self) == 1
                if isDescriptor { file = raw.load(fromByteOffset: 16, as: Int32.self) }
            }
        }
        guard count >= 0 else {
            errno = number
            throw Self.problem("no answer came")
        }
        guard Int(flags) & Int(MSG_TRUNC | MSG_CTRUNC) == 0 else {
            if let file { close(file) }
            throw Problem(message: "a message is longer than it may be")
        }
        if count == 0 {
            if let file { close(file) }
            return nil
        }
        return (Array(bytes.prefix(count)), file)
    }

    /// Sends a request and waits for what is answered; nil when the other end went away without a word. `meanwhile` is done before, with
    /// the descriptor on which the answer will come.
    package func answer(
        to bytes: [UInt8], with file: Int32?, limit: Int, meanwhile: (Int32) -> Void = { _ in }
    ) throws(Problem) -> (bytes: [UInt8], file: Int32?)? {
        do throws(Problem) {
            try send(bytes, with: file)
            meanwhile(descriptor)
            return try receive(limit: limit)
        } catch {
            // Who may not ask is answered unheard: the end of the connection then stands before its last message, once.
            guard error.isEnd, let answer = try? receive(limit: limit) else { throw error }
            return answer
        }
    }

    private static func repeating(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result >= 0 || errno != EINTR { return result }
        }
    }
}
