package import Domain
import FoundationEssentials
import Glibc

/// Asks the daemon over its control socket: one request, one connection.
///
/// What it answers is bounded and comes from a process of this host; it is taken as text for people all the same.
package struct ControlClient: Sendable {
    package struct Problem: Failure {
        package var kind: FailureKind
        package var message: String
        package var hint: String
    }

    private static let replyLimit = 64 << 20
    package let socketPath: String
    /// Seconds to wait for an answer.
    private let patience: Int

    package init(socketPath: String, patience: Int = 30) {
        self.socketPath = socketPath
        self.patience = patience
    }

    package func get<Reply: Decodable>(_ path: String, as type: Reply.Type = Reply.self) throws -> Reply {
        try ask("GET", path, nil)
    }

    package func post<Reply: Decodable>(
        _ path: String, _ body: some Encodable, as type: Reply.Type = Reply.self
    ) throws -> Reply { try ask("POST", path, try JSONText.encode(body)) }

    /// Throws ``FailureKind/daemonDown`` where nobody listens.
    package func checkThatItListens() throws { close(try connected()) }

    private func ask<Reply: Decodable>(_ method: String, _ path: String, _ body: [UInt8]?) throws -> Reply {
        let (status, reply) = try exchange(method, path, body ?? [])
        guard (200..<300).contains(status) else {
            if let error = try? JSONDecoder().decode(ErrorBody.self, from: Data(reply)).error {
                throw Problem(
                    kind: FailureKind(rawValue: error.kind) ?? .failed, message: error.message, hint: error.hint)
            }
            throw Problem(kind: .failed, message: "the daemon answered \(status)", hint: "See its journal.")
        }
        do { return try JSONDecoder().decode(Reply.self, from: Data(reply)) } catch {
            throw Problem(
                kind: .failed, message: "the daemon's answer cannot be read: \(error)",
                hint: "Daemon and command are perhaps of different versions.")
        }
    }

    private func exchange(_ method: String, _ path: String, _ body: [UInt8]) throws -> (status: Int, body: [UInt8]) {
        let descriptor = try connected()
        defer { close(descriptor) }
        var request = Array(
            """
            \(method) \(path) HTTP/1.1\r
            Host: qala\r
            Connection: close\r
            Content-Type: application/json\r
            Content-Length: \(body.count)\r
            \r

            """.utf8)
        request += body
        var sent = 0
        while sent < request.count {
            let count = request[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw down("the connection broke (error \(errno))") }
            sent += count
        }
        return try parse(try receive(descriptor))
    }

    private func connected() throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(socketPath.utf8)
        guard !name.isEmpty, name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw Problem(
                kind: .usage, message: "the path of the socket is too long", hint: "Give a shorter one with --socket.")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw down("no socket (error \(errno))") }
        var patience = timeval(tv_sec: self.patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let number = errno
            close(descriptor)
            if number == EACCES || number == EPERM {
                throw Problem(
                    kind: .denied, message: "the daemon's socket \(socketPath) is not open to this user",
                    hint: "Persons of people.yaml with a `uid`, whose account is in the group qala, may ask it.")
            }
            throw down("no daemon answers at \(socketPath)")
        }
        return descriptor
    }

    private func down(_ message: String) -> Problem {
        Problem(
            kind: .daemonDown, message: message,
            hint: "Start it (`systemctl start qalad`), or name its socket with --socket or QALA_SOCKET.")
    }

    private func receive(_ descriptor: Int32) throws -> [UInt8] {
        var reply: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &block, block.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw down("the daemon did not answer in \(patience) seconds") }
            if count == 0 { return reply }
            reply += block[..<count]
            guard reply.count <= Self.replyLimit else { throw down("the answer is too long") }
        }
    }

    /// A whole response with a known length, as the daemon sends.
    private func parse(_ reply: [UInt8]) throws -> (status: Int, body: [UInt8]) {
        let end = [UInt8]("\r\n\r\n".utf8)
        guard let split = reply.indices.first(where: { reply[$0...].starts(with: end) }) else {
            throw down("the answer is cut off")
        }
        let lines = String(decoding: reply[..<split], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw down("the answer is not HTTP")
        }
        let body = Array(reply[(split + end.count)...])
        let length = lines.dropFirst().first { $0.lowercased().hasPrefix("content-length:") }
            .flatMap { Int($0.drop { $0 != ":" }.dropFirst().filter { $0 != " " }) }
        guard length == body.count else { throw down("the answer is cut off") }
        return (status, body)
    }
}
