import CLinux
import Glibc

/// A program whose standard output is read while it comes: without a shell, in a session of its own, with no input but what it
/// is fed, and an environment of its own.
///
/// Invariants:
/// 1. The end of the output is told as an end only after the program ended well; otherwise it is an error.
/// 2. What it complains is read beside, so that it never waits for a reader; the end of it is kept for the error.
/// 3. Nothing of it outlives this object: it is ended with everything in its session.
///
/// One thread's own.
package final class RunningProgram {
    package static let usualEnvironment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "LANG=C.UTF-8"]
    private static let toldBytes = 2000
    private static let answerLimit = 4 << 20

    private let name: String
    private let deadline: Double
    private let timeoutText: String
    private let isInterrupted: () -> Bool
    private var process: pid_t = 0
    private var input: Int32 = -1
    private var output: Int32 = -1
    private var errors: Int32 = -1
    private var complaint: [UInt8] = []

    /// Sets what nobody can set for another program, and becomes that; a part of every system of ours.
    private static let setter = "/usr/bin/setpriv"

    /// Starts it. `timeout` in seconds, and how people say that. One that is fed gets its input from ``feed(_:)``.
    ///
    /// One that is bound is killed by the kernel when the thread that started it is gone: a server, or what waits for one, would
    /// go on for ever behind a process that was killed. It runs as `account` where that is named; a program that gives up its
    /// rights by itself is bound no more.
    package init(
        _ command: [String], environment: [String] = RunningProgram.usualEnvironment, isFed: Bool = false,
        isBound: Bool = false, as account: String? = nil,
        timeout: Double, timeoutText: String, isInterrupted: @escaping () -> Bool = { false }
    ) throws(CollectorError) {
        name = command.first ?? ""
        deadline = Self.now() + timeout
        self.timeoutText = timeoutText
        self.isInterrupted = isInterrupted
        let told = try Self.pipe(name)
        defer { Glibc.close(told.write) }
        errors = told.read
        let given = try Self.pipe(name)
        defer { Glibc.close(given.write) }
        output = given.read
        for end in [output, errors] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        var fed: Int32 = -1
        defer { if fed >= 0 { Glibc.close(fed) } }
        if isFed {
            // A socket, and no pipe: whoever writes into a broken one can be told so without a signal.
            var ends: [Int32] = [-1, -1]
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
                throw CollectorError(.io, "\(name) cannot be started: no pipe", hint: "Check the limit of open files.")
            }
            (input, fed) = (ends[0], ends[1])
        }
        let rights = account.map { ["--reuid=\($0)", "--regid=\($0)", "--init-groups"] } ?? []
        let bound = isBound ? [Self.setter, "--pdeathsig=KILL"] + rights + ["--"] : []
        let failure = Self.spawn(
            bound + command, environment, input: fed, output: given.write, errors: told.write, &process)
        guard failure == 0 else {
            process = 0
            throw CollectorError(
                failure == ENOENT ? .notFound : .denied,
                "\(name) cannot be started: \(CollectorError.systemText(failure))",
                hint: "Check the path of the program and that it may be run.", systemError: failure)
        }
    }

    deinit { close() }

    /// Fills `buffer` from the output; fewer bytes only at its end, and then the program has ended well.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(CollectorError) -> Int {
        var filled = 0
        while filled < buffer.count, output >= 0 {
            try checkTime()
            var ends = [pollfd(fd: output, events: Int16(POLLIN), revents: 0)]
            if errors >= 0 { ends.append(pollfd(fd: errors, events: Int16(POLLIN), revents: 0)) }
            guard poll(&ends, nfds_t(ends.count), 200) > 0 else { continue }
            if ends.count > 1, ends[1].revents != 0 { listen() }
            guard ends[0].revents != 0 else { continue }
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = Glibc.read(output, room.baseAddress, room.count)
            if count > 0 {
                filled += count
            } else if count == 0 {
                Glibc.close(output)
                output = -1
                try finish()
            } else if errno != EINTR, errno != EAGAIN {
                throw CollectorError.system(errno, "cannot read the output of", Array(name.utf8))
            }
        }
        return filled
    }

    /// All of its output, where that is a short answer: at most 4 MiB.
    func everything() throws(CollectorError) -> [UInt8] {
        var bytes: [UInt8] = []
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { block.deallocate() }
        while true {
            let count = try read(into: block)
            bytes += block[..<count]
            guard bytes.count <= Self.answerLimit else { throw CollectorError(.limit, "\(name) answers without end") }
            if count < block.count { return bytes }
        }
    }

    /// Gives it all of `bytes`. What it prints meanwhile is dropped. One that ends before it has taken them is an error, whatever
    /// it ended with.
    package func feed(_ bytes: UnsafeRawBufferPointer) throws(CollectorError) {
        var done = 0
        while done < bytes.count {
            try checkTime()
            var ends = [
                pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: output, events: Int16(POLLIN), revents: 0),
            ]
            if errors >= 0 { ends.append(pollfd(fd: errors, events: Int16(POLLIN), revents: 0)) }
            guard poll(&ends, nfds_t(ends.count), 200) > 0 else { continue }
            if ends.count > 2, ends[2].revents != 0 { listen() }
            var isOver = false
            if ends[1].revents != 0 {
                var block = [UInt8](repeating: 0, count: 4096)
                isOver = Glibc.read(output, &block, block.count) == 0
            }
            if !isOver, ends[0].revents != 0 {
                let count = send(
                    input, bytes.baseAddress?.advanced(by: done), bytes.count - done,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                if count > 0 { done += count }
                isOver = count < 0 && errno != EINTR && errno != EAGAIN
            }
            guard isOver else { continue }
            try finish()
            throw CollectorError(.io, "\(name) ended before it had read everything")
        }
    }

    /// Tells it that nothing more comes, and waits until it has ended, well.
    package func endFeeding() throws(CollectorError) {
        if input >= 0 { Glibc.close(input) }
        input = -1
        try awaitEnd()
    }

    /// Asks it to end by itself, and waits until it has, well.
    package func end() throws(CollectorError) {
        if process > 0 { kill(process, SIGTERM) }
        try awaitEnd()
    }

    /// Waits until it has ended, well. What it prints meanwhile is dropped.
    package func awaitEnd() throws(CollectorError) {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { block.deallocate() }
        while output >= 0 { _ = try read(into: block) }
    }

    /// Whether it has not ended yet.
    package var isRunning: Bool {
        var ended = siginfo_t()
        return process > 0 && waitid(P_PID, id_t(process), &ended, WEXITED | WNOHANG | WNOWAIT) == 0
            && ended.si_signo == 0
    }

    /// Ends it, if it still runs, with everything it started.
    package func close() {
        if process > 0 {
            kill(-process, SIGKILL)
            kill(process, SIGKILL)
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            process = 0
        }
        for end in [input, output, errors] where end >= 0 { Glibc.close(end) }
        input = -1
        output = -1
        errors = -1
    }

    // MARK: -

    /// The output ended: so must the program, and well.
    private func finish() throws(CollectorError) {
        while true {
            var ended = siginfo_t()
            if waitid(P_PID, id_t(process), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 {
                if ended.si_signo != 0 { break }
            } else if errno != EINTR {
                process = 0
                throw CollectorError(.io, "\(name) was lost (error \(errno))")
            }
            try checkTime()
            listen()
            usleep(2000)
        }
        listen()
        // What it left behind in its session must not go on beside the next run; while nobody waited for it, its number is
        // its own.
        kill(-process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        process = 0
        let signal = status & 0x7F
        let code = status >> 8 & 0xFF
        guard signal != 0 || code != 0 else { return }
        let how = signal == 0 ? "ended with \(code)" : "was ended by signal \(signal)"
        throw CollectorError(
            .io, [("\(name) \(how)"), said].compactMap(\.self).joined(separator: ": "),
            hint: "Run the program by hand as the user of the daemon; nothing of its output counts.")
    }

    /// The end of what it wrote to its standard error.
    package var complaints: String { String(decoding: complaint, as: UTF8.self) }

    private var said: String? {
        let lines = complaints.split(separator: "\n").suffix(5)
        return lines.isEmpty ? nil : lines.joined(separator: " / ")
    }

    private func checkTime() throws(CollectorError) {
        if isInterrupted() {
            close()
            throw CollectorError(.changed, "\(name) was interrupted")
        }
        guard Self.now() < deadline else {
            close()
            throw CollectorError(
                .limit, "\(name) took longer than \(timeoutText) and was ended", hint: "Give it a longer `timeout`.")
        }
    }

    private func listen() {
        var block = [UInt8](repeating: 0, count: 4096)
        for _ in 0..<64 where errors >= 0 {
            let count = Glibc.read(errors, &block, block.count)
            if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR {
                Glibc.close(errors)
                errors = -1
            }
            guard count > 0 else { return }
            complaint += block[..<count]
            if complaint.count > 2 * Self.toldBytes { complaint.removeFirst(complaint.count - Self.toldBytes) }
        }
    }

    /// Seconds on a clock that only advances.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func pipe(_ name: String) throws(CollectorError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard qala_pipe(&ends) == 0 else {
            throw CollectorError(.io, "\(name) cannot be started: no pipe", hint: "Check the limit of open files.")
        }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ command: [String], _ environment: [String], input: Int32, output: Int32, errors: Int32,
        _ child: inout pid_t
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
        if input >= 0 {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        let failure = qala_spawn_apart(&actions, &attributes, 3)
        guard failure == 0 else { return failure }
        let strings = (command + environment).map { strdup($0) }
        defer { for string in strings { free(string) } }
        let arguments: [UnsafeMutablePointer<CChar>?] = strings[..<command.count] + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = strings[command.count...] + [nil]
        return posix_spawn(&child, program, &actions, &attributes, arguments, variables)
    }
}
