import Glibc
import Operations
import Synchronization

/// The terminal that the person sits at, whatever standard input and output are.
struct Terminal: ~Copyable {
    private let descriptor: Int32

    /// Nil when the process has none.
    static func open() -> Terminal? {
        let descriptor = Glibc.open("/dev/tty", O_RDWR | O_CLOEXEC)
        return descriptor < 0 ? nil : Terminal(descriptor: descriptor)
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    func write(_ text: String) throws {
        try Array(text.utf8).withUnsafeBytes { try Output.write($0, to: descriptor) }
    }

    /// A line typed without echo; nil when interrupted. The terminal is as before when this returns.
    func askSecretly(_ question: String, limit: Int, interrupt: InterruptFlag) throws -> [UInt8]? {
        ProcessState.isAsking.store(true, ordering: .relaxed)
        defer { ProcessState.isAsking.store(false, ordering: .relaxed) }
        // Whatever progress stood on the line gives way.
        try write("\r\u{1B}[K" + question)
        var before = termios()
        let isConfigurable = tcgetattr(descriptor, &before) == 0
        if isConfigurable {
            var quiet = before
            quiet.c_lflag &= ~tcflag_t(ECHO)
            quiet.c_lflag |= tcflag_t(ICANON | ISIG)
            tcsetattr(descriptor, TCSAFLUSH, &quiet)
        }
        defer { if isConfigurable { tcsetattr(descriptor, TCSAFLUSH, &before) } }
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            if interrupt.isSet {
                try write("\n")
                return nil
            }
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 100) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count > 0 { line.append(contentsOf: buffer[..<count]) }
            if count <= 0 || line.last == 0x0A || line.count > limit {
                try write("\n")
                if line.last == 0x0A { line.removeLast() }
                return Array(line.prefix(limit))
            }
        }
    }

    /// Columns of the terminal behind `descriptor`; nil when it is none or does not know.
    static func columns(of descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}
