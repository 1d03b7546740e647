import CLinux
import Domain
import Glibc
import Vault

/// A program that is run beside Qala: without a shell, in a session of its own, with an environment of its own and no input but
/// what is given here. One that takes longer than it may is ended with everything it started.
struct Program {
    /// What fits a pipe before anybody reads it.
    static let inputLimit = 60_000
    /// Of what a program prints, this much of the end is told when it fails.
    private static let toldBytes = 2000

    var command: [String]
    var environment: [String] = []
    /// For its standard input; empty: there is none.
    var input: [UInt8] = []
    /// For its descriptor 3, where it needs a second input.
    var secondInput: [UInt8] = []
    /// Seconds after which it is ended, and how people say that.
    var timeout: Double
    var timeoutText: String

    private var name: String { command.first ?? "" }

    /// Nil when it ended well; else why not, for people.
    func run(isInterrupted: () -> Bool = { false }) -> String? {
        var ends: [Int32] = [-1, -1]
        guard qala_pipe(&ends) == 0 else { return "\(name) cannot be started: no pipe" }
        defer { close(ends[0]) }
        // Only this end: the program's own output must not be told to try again.
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        var child = pid_t()
        let error = spawn(output: ends[1], &child)
        close(ends[1])
        guard error == 0 else { return "\(name) cannot be started: \(String(cString: strerror(error)))" }
        let end = MonotonicTime.now() + timeout
        var output: [UInt8] = []
        var status: Int32 = 0
        while true {
            let found = waitpid(child, &status, WNOHANG)
            if found == child { break }
            if found < 0, errno != EINTR { return "\(name) was lost (error \(errno))" }
            Self.drain(ends[0], into: &output)
            let isLate = MonotonicTime.now() > end
            if isLate || isInterrupted() {
                kill(-child, SIGKILL)
                kill(child, SIGKILL)
                while waitpid(child, &status, 0) < 0, errno == EINTR {}
                return isLate ? "\(name) took longer than \(timeoutText) and was ended" : "\(name) was interrupted"
            }
            var wait = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            // A closed pipe is no reason to spin: the program may go on.
            if poll(&wait, 1, 50) > 0, wait.revents & Int16(POLLIN) == 0 { usleep(20_000) }
        }
        Self.drain(ends[0], into: &output)
        let signal = status & 0x7F
        let code = status >> 8 & 0xFF
        if signal == 0, code == 0 { return nil }
        let how = signal == 0 ? "ended with \(code)" : "was ended by signal \(signal)"
        let said = String(decoding: output, as: UTF8.self).split(separator: "\n").suffix(5).joined(separator: " / ")
        return said.isEmpty ? "\(name) \(how)" : "\(name) \(how): \(said)"
    }

    /// At most what fits a few pipes: one that prints faster than it is read must not keep its end from being seen.
    private static func drain(_ descriptor: Int32, into output: inout [UInt8]) {
        var block = [UInt8](repeating: 0, count: 4096)
        for _ in 0..<64 {
            let count = read(descriptor, &block, block.count)
            guard count > 0 else { return }
            output += block[..<count]
            if output.count > 2 * toldBytes { output.removeFirst(output.count - toldBytes) }
        }
    }

    /// The end to read `bytes` from; they wait in the pipe, so that nobody has to write while the program reads.
    private static func pipe(holding bytes: [UInt8]) -> Int32? {
        var ends: [Int32] = [-1, -1]
        guard bytes.count <= inputLimit, qala_pipe(&ends) == 0 else { return nil }
        defer { close(ends[1]) }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        guard write(ends[1], bytes, bytes.count) == bytes.count else {
            close(ends[0])
            return nil
        }
        return ends[0]
    }

    private func spawn(output: Int32, _ child: inout pid_t) -> Int32 {
        guard let program = command.first else { return EINVAL }
        var inputs: [Int32: Int32] = [:]
        defer { for descriptor in inputs.values { close(descriptor) } }
        for (number, bytes) in [(Int32(0), input), (3, secondInput)] where !bytes.isEmpty {
            guard let descriptor = Self.pipe(holding: bytes) else { return ENOBUFS }
            inputs[number] = descriptor
        }
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        if let first = inputs[0] {
            posix_spawn_file_actions_adddup2(&actions, first, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        // Last: what stood at this number before was given its place by then.
        if let second = inputs[3] { posix_spawn_file_actions_adddup2(&actions, second, 3) }
        // This process blocks the signals that it waits for, and may have been given descriptors with secrets (`fd:N`).
        let failure = qala_spawn_apart(&actions, &attributes, inputs[3] == nil ? 3 : 4)
        guard failure == 0 else { return failure }
        let strings = (command + environment).map { strdup($0) }
        defer { for string in strings { free(string) } }
        let arguments: [UnsafeMutablePointer<CChar>?] = strings[..<command.count] + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = strings[command.count...] + [nil]
        return posix_spawn(&child, program, &actions, &attributes, arguments, variables)
    }
}
