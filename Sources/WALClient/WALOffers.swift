import Glibc

/// What PostgreSQL asks for next, offered to the daemon while a push waits for its answer, so that one archive takes many.
///
/// Invariants:
/// 1. Nothing here delays or fails the push: it ends when the push's answer is there, waits for nothing without looking for that
///    answer, and tells nobody what went wrong.
/// 2. Only what PostgreSQL called finished is offered: in order, of one timeline, without a hole.
package enum WALOffers {
    private static let mostFiles = 32
    private static let mostBytes: UInt64 = 512 << 20
    /// Milliseconds after which a push is taken to wait for the vault.
    private static let patience: Int32 = 20
    /// Milliseconds for the answer to one offer.
    private static let answerPatience: Int32 = 5000
    /// Seconds for all of them: longer than a daemon lets a push wait.
    private static let longest = 60.0

    /// The name of the segment that follows on the same timeline, of segments of `size` bytes. Nil for a name that is no segment's,
    /// for a size that no segment has, and for the last one there can be.
    package static func following(_ name: String, size: UInt64) -> String? {
        let digits = Array(name.utf8)
        guard digits.count == 24, digits.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }),
            size.nonzeroBitCount == 1, (1 << 20...1 << 30).contains(size),
            let high = UInt32(name.dropFirst(8).prefix(8), radix: 16), let low = UInt32(name.suffix(8), radix: 16)
        else { return nil }
        let last = UInt32(truncatingIfNeeded: (1 << 32) / size - 1)
        guard low <= last, low < last || high < .max else { return nil }
        return name.prefix(8) + (low < last ? hex(high) + hex(low + 1) : hex(high + 1) + hex(0))
    }

    private static func hex(_ number: UInt32) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// What may be offered behind the file at `path`, which is the open `file`: to the daemon at `socket`, until there is something to
    /// read on `answer`.
    static func make(
        behind path: String, _ file: Int32, to socket: String, like request: WALRequest, until answer: Int32
    ) {
        var info = stat()
        guard fstat(file, &info) == 0, !isReadable(answer, or: -1, for: patience) else { return }
        let size = UInt64(clamping: info.st_size)
        let folder = path.dropLast(request.file.count)
        let end = WALProgram.now() + longest
        var request = request
        request.verb = .offer
        var bytes: UInt64 = 0
        for _ in 0..<mostFiles {
            bytes += size
            guard bytes <= mostBytes, WALProgram.now() < end, let next = following(request.file, size: size),
                access("\(folder)archive_status/\(next).ready", F_OK) == 0
            else { return }
            request.file = next
            guard isTaken(request, "\(folder)\(next)", size, by: socket, until: answer) else { return }
        }
    }

    private static func isTaken(
        _ request: WALRequest, _ path: String, _ size: UInt64, by socket: String, until answer: Int32
    ) -> Bool {
        guard let bytes = request.bytes else { return false }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return false }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0, UInt64(clamping: info.st_size) == size else { return false }
        do {
            let channel = try WALChannel(connectingAtOnceTo: socket)
            try channel.send(bytes, with: file)
            guard !isReadable(answer, or: channel.descriptor, for: answerPatience),
                let (reply, came) = try channel.receive(limit: WALReply.longest)
            else { return false }
            if let came { close(came) }
            return WALReply(reply)?.status == .done
        } catch {
            // What is not offered is pushed.
            return false
        }
    }

    /// Whether the push has its answer, after at most so many milliseconds or when there is something on the other one; then, or when
    /// nothing came, what is on the other one can be read at once or not at all.
    private static func isReadable(_ answer: Int32, or other: Int32, for milliseconds: Int32) -> Bool {
        var both = [
            pollfd(fd: answer, events: Int16(POLLIN), revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
        ]
        // Interrupted is as good as late: the answer is looked for again before the next one.
        let count = poll(&both, nfds_t(both.count), milliseconds)
        return count > 0 && both[0].revents != 0
    }
}
