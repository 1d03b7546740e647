import Domain
import Glibc

/// Buffered bytes to a file descriptor that is not owned. Used by one thread.
final class Output {
    private static let capacity = 1 << 16

    let descriptor: Int32
    private var buffer: [UInt8] = []

    init(descriptor: Int32) {
        self.descriptor = descriptor
        buffer.reserveCapacity(Self.capacity)
    }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    func line(_ text: String) throws {
        buffer.append(contentsOf: text.utf8)
        buffer.append(0x0A)
        if buffer.count >= Self.capacity { try flush() }
    }

    func bytes(_ bytes: some Collection<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.capacity { try flush() }
    }

    /// Large pieces go out as they are, without a copy.
    func bytes(_ bytes: UnsafeRawBufferPointer) throws {
        if bytes.count < Self.capacity / 4 {
            buffer.append(contentsOf: bytes)
            if buffer.count >= Self.capacity { try flush() }
        } else {
            try flush()
            try Self.write(bytes, to: descriptor)
        }
    }

    func flush() throws {
        guard !buffer.isEmpty else { return }
        defer { buffer.removeAll(keepingCapacity: true) }
        try buffer.withUnsafeBytes { try Self.write($0, to: descriptor) }
    }

    /// Writes all of `bytes`; ``BrokenPipe`` when nobody reads them any more.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, 1000)
            case EPIPE: throw BrokenPipe()
            case let reason: throw CommandError(.failed, "the output cannot be written: \(SystemText.error(reason))")
            }
        }
    }
}

enum SystemText {
    static func error(_ number: Int32) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }

    /// The variable's value, if it is set to more than nothing.
    static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}
