import CLinux
import Domain
import Glibc
import Vault

/// Programs joined by pipes: bytes go in at one end and come out at the other, and lie in no file between.
///
/// Invariants:
/// 1. A program gets its three standard descriptors and, where it wants one, the secret on descriptor 3; every other
///    descriptor of this process is closed, also those that it inherited. No secret is an argument or a variable.
/// 2. Every program that was started is waited for, also when something failed.
/// 3. One thread feeds and another one drains, or the pipes fill up and nobody goes on.
final class Pipeline {
    struct Stage {
        var program: String
        var arguments: [String]
        /// Written, with a line end, to descriptor 3; at most a pipe's least capacity.
        var secret: [UInt8]?
    }

    private static let toldBytes = 2000
    private var children: [(name: String, process: pid_t)] = []
    private var errors: Int32 = -1
    private(set) var input: Int32 = -1
    private(set) var output: Int32 = -1

    /// With `source` the first program reads from that descriptor, which is closed here, and there is no input.
    init(_ stages: [Stage], reading source: Int32? = nil) throws {
        do { try start(stages, source) } catch {
            end()
            throw error
        }
    }

    deinit { end() }

    private func start(_ stages: [Stage], _ source: Int32?) throws {
        let complaints: (read: Int32, write: Int32)
        do { complaints = try Self.pipe() } catch {
            if let source { close(source) }
            throw error
        }
        errors = complaints.read
        _ = fcntl(errors, F_SETFL, O_NONBLOCK)
        defer { close(complaints.write) }
        var last: Int32
        if let source {
            last = source
        } else {
            let first = try Self.pipe()
            input = first.write
            last = first.read
        }
        for stage in stages {
            let next: (read: Int32, write: Int32)
            do { next = try Self.pipe() } catch {
                close(last)
                throw error
            }
            defer {
                close(last)
                close(next.write)
                last = next.read
            }
            do {
                let process = try Self.spawn(stage, input: last, output: next.write, errors: complaints.write)
                children.append((stage.program, process))
            } catch {
                close(next.read)
                throw error
            }
        }
        output = last
    }

    /// Of the programs that nobody waited for yet.
    var processes: [pid_t] { children.map(\.process) }

    /// Leaves the closing of the input to the caller.
    func takeInput() -> Int32 {
        defer { input = -1 }
        return input
    }

    /// The programs see the end of their input.
    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Ends whatever still runs.
    func kill() {
        for child in children { Glibc.kill(child.process, SIGKILL) }
    }

    private func end() {
        kill()
        closeInput()
        if output >= 0 { close(output) }
        output = -1
        for child in children { _ = Self.wait(for: child.process) }
        children = []
        if errors >= 0 { close(errors) }
        errors = -1
    }

    /// Waits for all programs; nil when all ended well, else what the first that did not says.
    func finish() -> String? {
        closeInput()
        var failure: String?
        for child in children {
            let status = Self.wait(for: child.process)
            let signal = status & 0x7F
            let code = status >> 8 & 0xFF
            if signal == 0, code == 0 { continue }
            let how = signal == 0 ? "ended with \(code)" : "was ended by signal \(signal)"
            failure = failure ?? "\(child.name) \(how)"
        }
        children = []
        guard let failure else { return nil }
        let said = complaint()
        return said.isEmpty ? failure : "\(failure): \(said)"
    }

    private func complaint() -> String {
        var bytes = [UInt8](repeating: 0, count: Self.toldBytes)
        let count = bytes.withUnsafeMutableBytes { Glibc.read(errors, $0.baseAddress, $0.count) }
        guard count > 0 else { return "" }
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").prefix(3)
            .joined(separator: " / ")
    }

    private static func wait(for process: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            if errno != EINTR { return 0x7F00 }
        }
        return status
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard qala_pipe(&ends) == 0 else {
            throw OperationError(.failed, "no pipe could be made", hint: "Check the limit of open files.")
        }
        return (ends[0], ends[1])
    }

    /// Where the program is: only in the system's own folders, whatever PATH says; a whole path is taken as it is.
    private static func place(of program: String) throws -> String {
        if program.hasPrefix("/") { return program }
        for folder in ["/usr/bin", "/bin", "/usr/local/bin"] where access("\(folder)/\(program)", X_OK) == 0 {
            return "\(folder)/\(program)"
        }
        throw OperationError(
            .failed, "the program \(program) is not there", hint: "Install the package \(program) and repeat.")
    }

    private static func spawn(_ stage: Stage, input: Int32, output: Int32, errors: Int32) throws -> pid_t {
        let path = try place(of: stage.program)
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        var secretEnd: Int32 = -1
        defer { if secretEnd >= 0 { close(secretEnd) } }
        if let secret = stage.secret {
            secretEnd = try offer(secret)
            posix_spawn_file_actions_adddup2(&actions, secretEnd, 3)
        }
        var failure = qala_spawn_apart(&actions, &attributes, stage.secret == nil ? 3 : 4)
        var child = pid_t()
        if failure == 0 {
            let command = [path] + stage.arguments
            let environment = ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"]
            let strings = (command + environment).map { strdup($0) }
            defer { for string in strings { free(string) } }
            let arguments: [UnsafeMutablePointer<CChar>?] = strings[..<command.count] + [nil]
            let variables: [UnsafeMutablePointer<CChar>?] = strings[command.count...] + [nil]
            failure = posix_spawn(&child, path, &actions, &attributes, arguments, variables)
        }
        guard failure == 0 else {
            throw OperationError(.failed, "\(stage.program) cannot be started: \(String(cString: strerror(failure)))")
        }
        return child
    }

    /// The end to read the secret from. It fits into the pipe, so that nobody has to wait for a reader.
    private static func offer(_ secret: [UInt8]) throws -> Int32 {
        let ends = try pipe()
        defer { close(ends.write) }
        var line = secret + [0x0A]
        defer { Wipe.array(&line) }
        let count = line.withUnsafeBytes { Glibc.write(ends.write, $0.baseAddress, $0.count) }
        guard count == line.count else {
            close(ends.read)
            throw OperationError(.failed, "the secret could not be handed over")
        }
        return ends.read
    }
}

/// Buffered bytes to the input of a pipeline; one thread's own.
final class PipeWriter {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        buffer.reserveCapacity(1 << 17)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= 1 << 16 { try flush() }
    }

    func append(_ bytes: [UInt8]) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= 1 << 16 { try flush() }
    }

    func flush() throws {
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw BrokenPipeline() }
            done += count
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

/// A program of the pipeline went away before its input ended; why, its end tells.
struct BrokenPipeline: Error {}

/// Exactly so many bytes from the output of a pipeline; one thread's own.
final class PipeReader {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var start = 0
    private var end = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Whether nothing more comes.
    func isAtEnd() throws -> Bool {
        if start < end { return false }
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw BrokenPipeline() }
            (start, end) = (0, count)
            return count == 0
        }
    }

    /// Gives what is there, at most `limit` bytes and at least one; throws at the end.
    func some(limit: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Int {
        guard limit > 0 else { return 0 }
        if try isAtEnd() { throw BrokenPipeline() }
        let count = min(limit, end - start)
        let range = start..<start + count
        try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
        start += count
        return count
    }

    func exactly(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            _ = try some(limit: count - bytes.count) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}
