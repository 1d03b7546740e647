import Foundation
import Glibc

/// The folders of the source tree that this file is part of.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
}

/// What a finished process left.
struct Finished {
    /// 128 and the number of the signal when one ended it.
    var status: Int32
    var output: [UInt8]
    var errors: [UInt8]
    /// Highest resident memory seen, in bytes; looked at every few milliseconds.
    var peakMemory = 0

    var outputText: String { String(decoding: output, as: UTF8.self) }
    var errorText: String { String(decoding: errors, as: UTF8.self) }
}

struct RunnerError: Error {
    var message: String
}

/// Runs a program with exactly the environment given, in a session of its own so that it has no terminal.
///
/// Output goes to files, so that neither side can block the other; a process that takes longer than `seconds` is killed.
enum ProcessRunner {
    static func run(
        _ program: String, _ arguments: [String], environment: [String: String], input: String = "", in folder: URL,
        seconds: Double = 120
    ) throws -> Finished {
        try start(program, arguments, environment: environment, input: input, in: folder).wait(seconds: seconds)
    }

    static func start(
        _ program: String, _ arguments: [String], environment: [String: String], input: String = "", in folder: URL
    ) throws -> RunningProcess {
        let name = UUID().uuidString
        let files = ["in", "out", "err"].map { folder.appending(path: ".\(name).\($0)").path }
        try Data(input.utf8).write(to: URL(filePath: files[0]))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, files[0], O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, files[1], O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, files[2], O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        // The shell goes to the folder and then becomes the program, so that the process that is waited for is it.
        let shell = ["/bin/sh", "-c", "cd \"$1\" && shift && exec /usr/bin/setsid \"$@\"", "sh", folder.path, program]
        var child = pid_t()
        let status = withStrings(shell + arguments) { argv in
            withStrings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawn(&child, shell[0], &actions, nil, argv, envp)
            }
        }
        guard status == 0 else {
            for file in files { unlink(file) }
            throw RunnerError(message: "\(program) cannot be started: error \(status)")
        }
        return RunningProcess(program: program, child: child, files: files)
    }

    private static func withStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}

/// A process that was started; to be waited for once.
final class RunningProcess {
    private let program: String
    private let child: pid_t
    private let files: [String]

    fileprivate init(program: String, child: pid_t, files: [String]) {
        self.program = program
        self.child = child
        self.files = files
    }

    /// A child that nobody waits for would keep those who wait for any child, such as exit tests, from hearing of theirs.
    deinit {
        guard !isOver else { return }
        kill(child, SIGKILL)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        for file in files { unlink(file) }
    }

    private var peakMemory = 0
    /// Its number may be another's by now.
    private var isOver = false

    /// Not from `wait4`: that counts what the process was before it became the program.
    private func look() {
        let status = told("status")
        guard status.hasPrefix("Name:\tqala"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = Int(line.filter(\.isNumber))
        else { return }
        peakMemory = max(peakMemory, kilobytes << 10)
    }

    /// What the kernel tells about the process under `/proc`.
    func told(_ name: String) -> String {
        (try? String(contentsOfFile: "/proc/\(child)/\(name)", encoding: .utf8)) ?? ""
    }

    func send(_ signal: Int32) {
        if !isOver { kill(child, signal) }
    }

    func wait(seconds: Double = 120) throws -> Finished {
        defer { for file in files { unlink(file) } }
        let code = try status(seconds: seconds)
        return Finished(
            status: code, output: Array(try Data(contentsOf: URL(filePath: files[1]))),
            errors: Array(try Data(contentsOf: URL(filePath: files[2]))), peakMemory: peakMemory)
    }

    private func status(seconds: Double) throws -> Int32 {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        var status: Int32 = 0
        defer { isOver = true }
        while true {
            let found = waitpid(child, &status, WNOHANG)
            if found == child { break }
            if found < 0, errno != EINTR { throw RunnerError(message: "the process was lost: error \(errno)") }
            if clock.now > end {
                kill(child, SIGKILL)
                waitpid(child, &status, 0)
                throw RunnerError(message: "\(program) took longer than \(seconds) seconds")
            }
            look()
            usleep(2000)
        }
        let signal = status & 0x7F
        return signal == 0 ? status >> 8 & 0xFF : 128 + signal
    }
}
