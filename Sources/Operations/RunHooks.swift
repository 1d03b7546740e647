import CLinux
import Domain
import Glibc
import Vault

/// The programs that a policy wants beside a run, each without a shell, in a session of its own, with an environment of
/// its own and no input. One that takes longer than it may is ended with everything it started.
struct RunHooks {
    /// Of what a program prints, this much of the end is told when it fails.
    private static let toldBytes = 2000
    let policy: Policy
    let interrupt: InterruptFlag

    /// In order; the first that fails ends the run.
    func before() throws {
        for hook in policy.hooks.before {
            if let failure = run(hook, outcome: nil) {
                if interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                throw OperationError(
                    .failed, "the hook before the run failed: \(failure)",
                    hint: "Nothing was archived; mend what the hook complains about.")
            }
        }
    }

    /// In order, whatever became of the run; what failed, for people.
    func after(_ outcome: String) -> [String] {
        policy.hooks.after.compactMap { hook in
            run(hook, outcome: outcome).map { "the hook after the run failed: \($0)" }
        }
    }

    /// Nil when it ended well. An interrupt ends only a hook before the run.
    private func run(_ hook: Policy.Hook, outcome: String?) -> String? {
        let name = hook.command.first ?? ""
        var ends: [Int32] = [-1, -1]
        guard qala_pipe(&ends) == 0 else { return "\(name) cannot be started: no pipe" }
        defer { close(ends[0]) }
        // Only this end: the program's own output must not be told to try again.
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        var environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "QALA_POLICY=\(policy.name)"]
        if let outcome { environment.append("QALA_OUTCOME=\(outcome)") }
        var child = pid_t()
        let error = Self.spawn(hook.command, environment, output: ends[1], &child)
        close(ends[1])
        guard error == 0 else { return "\(name) cannot be started: \(String(cString: strerror(error)))" }
        let end = MonotonicTime.now() + Double(hook.timeout.seconds)
        var output: [UInt8] = []
        var status: Int32 = 0
        while true {
            let found = waitpid(child, &status, WNOHANG)
            if found == child { break }
            if found < 0, errno != EINTR { return "\(name) was lost (error \(errno))" }
            Self.drain(ends[0], into: &output)
            let isLate = MonotonicTime.now() > end
            if isLate || interrupt.isSet && outcome == nil {
                kill(-child, SIGKILL)
                kill(child, SIGKILL)
                while waitpid(child, &status, 0) < 0, errno == EINTR {}
                return isLate ? "\(name) took longer than \(hook.timeout) and was ended" : "\(name) was interrupted"
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

    private static func drain(_ descriptor: Int32, into output: inout [UInt8]) {
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &block, block.count)
            guard count > 0 else { return }
            output += block[..<count]
            if output.count > 2 * toldBytes { output.removeFirst(output.count - toldBytes) }
        }
    }

    private static func spawn(
        _ command: [String], _ environment: [String], output: Int32, _ child: inout pid_t
    ) -> Int32 {
        guard let program = command.first else { return EINVAL }
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        // This process blocks the signals that it waits for; a program must not begin so.
        let failure = qala_spawn_apart(&actions, &attributes)
        guard failure == 0 else { return failure }
        let strings = (command + environment).map { strdup($0) }
        defer { for string in strings { free(string) } }
        let arguments: [UnsafeMutablePointer<CChar>?] = strings[..<command.count] + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = strings[command.count...] + [nil]
        return posix_spawn(&child, program, &actions, &attributes, arguments, variables)
    }
}
