import Glibc

/// `push` and `fetch`, as PostgreSQL calls them.
///
/// Invariants:
/// 1. 0 means that it was done. 1 comes from `fetch` only when the daemon says that the file is proven to be absent: PostgreSQL
///    ends a recovery there as if all were well. Everything else is 126. A `push` that was not done is 1: PostgreSQL counts it
///    and tries again a second later, while above 125 its archiver ends and counts nothing.
/// 2. A file is fetched beside its destination, and gets its name when it is whole.
package enum WALProgram {
    package static let failed: Int32 = 126
    package static let absent: Int32 = 1
    package static let notTaken: Int32 = 1
    package static let usualSocket = "/run/qala/wal.sock"
    private static let usualRetrySeconds = 60.0
    /// More than the daemon takes to say that it will not become done.
    private static let answerSeconds = 75

    private struct Call {
        enum Verb { case push, fetch }

        var verb = Verb.push
        var operands: [String] = []
        var socket: String
        var source: String
        var retrySeconds: Double
    }

    /// Whether a command line says what is to be done.
    package static func accepts(_ arguments: [String]) -> Bool { parse(arguments) != nil }

    /// `arguments` without the program's name; returns the exit status.
    package static func run(_ arguments: [String]) -> Int32 {
        guard let call = parse(arguments) else {
            complain(
                "usage: qala-wal [--socket PATH] [--source NAME] [--retry SECONDS] push PATH | fetch NAME DESTINATION")
            return failed
        }
        switch call.verb {
        case .push: return push(call)
        case .fetch: return fetch(call)
        }
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func parse(_ arguments: [String]) -> Call? {
        var call = Call(
            socket: environment("QALA_WAL_SOCKET") ?? usualSocket, source: environment("QALA_WAL_SOURCE") ?? "",
            retrySeconds: usualRetrySeconds)
        if let text = environment("QALA_WAL_RETRY_SECONDS") {
            guard let seconds = Double(text), seconds >= 0, seconds <= 3600 else { return nil }
            call.retrySeconds = seconds
        }
        var words: [String] = []
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "--socket":
                guard let path = rest.popFirst() else { return nil }
                call.socket = path
            case "--retry":
                guard let seconds = rest.popFirst().flatMap({ Double($0) }), seconds >= 0, seconds <= 3600 else {
                    return nil
                }
                call.retrySeconds = seconds
            case "--source":
                guard let name = rest.popFirst() else { return nil }
                call.source = name
            default:
                if word.hasPrefix("-") { return nil }
                words.append(word)
            }
        }
        guard let verb = words.first else { return nil }
        call.operands = Array(words.dropFirst())
        guard call.operands.allSatisfy({ !$0.isEmpty }) else { return nil }
        switch (verb, call.operands.count) {
        case ("push", 1): call.verb = .push
        case ("fetch", 2): call.verb = .fetch
        default: return nil
        }
        return call
    }

    private static func complain(_ text: String) {
        let line = Array("qala-wal: \(text)\n".utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }

    /// PostgreSQL runs both commands in the data directory; 0 anywhere else.
    private static func systemID() -> UInt64 {
        let file = open("global/pg_control", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var bytes: UInt64 = 0
        guard read(file, &bytes, 8) == 8 else { return 0 }
        return UInt64(littleEndian: bytes)
    }

    /// `meanwhile` is done while the answer is waited for, with what the answer will come on.
    private static func ask(
        _ call: Call, _ request: WALRequest, with file: Int32?, meanwhile: (Int32) -> Void = { _ in }
    ) throws(WALChannel.Problem) -> (reply: WALReply, file: Int32?) {
        guard let bytes = request.bytes else {
            return (WALReply(.usage, "\(request.file) is no name of a WAL file"), nil)
        }
        let channel = try WALChannel(connectingTo: call.socket, seconds: answerSeconds)
        guard
            let (answer, came) = try channel.answer(
                to: bytes, with: file, limit: WALReply.longest, meanwhile: meanwhile)
        else {
            throw WALChannel.Problem(message: "the daemon went away without an answer")
        }
        guard let reply = WALReply(answer) else {
            if let came { close(came) }
            throw WALChannel.Problem(message: "the answer of the daemon cannot be understood")
        }
        return (reply, came)
    }

    // MARK: Push

    private static func push(_ call: Call) -> Int32 {
        let path = call.operands[0]
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            complain(WALChannel.problem("\(path) cannot be opened").message)
            return notTaken
        }
        defer { close(file) }
        let request = WALRequest(.push, source: call.source, file: name, systemID: systemID())
        do {
            let (reply, came) = try ask(call, request, with: file) {
                WALOffers.make(behind: path, file, to: call.socket, like: request, until: $0)
            }
            if let came { close(came) }
            if reply.status == .done { return 0 }
            complain("\(name) was not taken: \(reply.message)")
        } catch {
            let advice = error.isDown ? "; start qalad: PostgreSQL keeps the file and asks again by itself" : ""
            complain("\(name) was not taken: \(error.message)\(advice)")
        }
        return notTaken
    }

    // MARK: Fetch

    private static func fetch(_ call: Call) -> Int32 {
        let name = call.operands[0]
        let request = WALRequest(.fetch, source: call.source, file: name, systemID: systemID())
        let end = now() + call.retrySeconds
        var pause = 0.1
        while true {
            let complaint: String
            do {
                let (reply, came) = try ask(call, request, with: nil)
                defer { if let came { close(came) } }
                switch reply.status {
                case .done:
                    if let came, deliver(came, reply.size, to: call.operands[1]) { return 0 }
                    complaint = "it could not be written to \(call.operands[1])"
                case .absent: return absent
                case .refused, .usage:
                    complain("\(name) was not fetched: \(reply.message)")
                    return failed
                case .tryAgain: complaint = reply.message
                }
            } catch {
                complaint = error.message
            }
            guard now() + pause < end else {
                complain("\(name) was not fetched: \(complaint)")
                return failed
            }
            usleep(UInt32(pause * 1e6))
            pause = min(2, pause * 2)
        }
    }

    private static func deliver(_ file: Int32, _ size: UInt64, to destination: String) -> Bool {
        let aside = "\(destination).qala-\(getpid())"
        let made = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard made >= 0 else {
            complain(WALChannel.problem("\(aside) cannot be made").message)
            return false
        }
        defer { close(made) }
        guard copy(file, to: made) == size, rename(aside, destination) == 0 else {
            complain(WALChannel.problem("\(destination) cannot be written").message)
            unlink(aside)
            return false
        }
        return true
    }

    /// Bytes that were written; nil after an error.
    private static func copy(_ file: Int32, to made: Int32) -> UInt64? {
        var at: off_t = 0
        // By the kernel, as far as the file systems let it; it writes where the position of `made` is.
        while true {
            let count = sendfile(made, file, &at, 1 << 24)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
        }
        var block = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = pread(file, &block, block.count, at)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return UInt64(at) }
            var done = 0
            while done < count {
                let written = block.withUnsafeBytes {
                    pwrite(made, $0.baseAddress?.advanced(by: done), count - done, at + off_t(done))
                }
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return nil }
                done += written
            }
            at += off_t(count)
        }
    }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
