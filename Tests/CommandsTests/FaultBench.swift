import Foundation
import Glibc
import Testing

struct FaultError: Error, CustomStringConvertible {
    var description: String
}

/// A real daemon with a channel of alarms that keeps what it is told. One thread's own.
final class FaultBench {
    /// Seconds beyond the stated time that a slow machine with many daemons at once may take.
    static let slack = 30.0

    let desk: DaemonWorld
    private var daemon: RunningProcess?
    private let schedule: String?
    /// Alarms that were waited for; whatever else is told is an error.
    private var wanted: Set<String> = []

    /// `changes` are made in the text of the policy, each in its only place.
    init(schedule: String? = nil, more: String = "", changes: [(String, String)] = []) throws {
        desk = try DaemonWorld(schedule: schedule)
        self.schedule = schedule
        try policy(more: more, changes: changes)
        try desk.world.write(
            "alarms.yaml",
            """
            channels:
              p:
                kind: command
                command: [/bin/sh, -c, "echo $QALA_ALARM $QALA_ALARM_EVENT >> \(desk.world.path("told"))"]

            """)
    }

    deinit {
        daemon?.send(SIGKILL)
        _ = try? daemon?.wait(seconds: 20)
        desk.remove()
    }

    func path(_ name: String) -> String { desk.world.path(name) }

    func policy(_ name: String = "often", more: String = "", changes: [(String, String)] = []) throws {
        try desk.writePolicy(name, schedule: schedule, more: more)
        for (old, new) in changes { try change("policies/\(name).yaml", old, new) }
    }

    /// In the only place of a file where it stands.
    func change(_ name: String, _ old: String, _ new: String) throws {
        let text = try String(contentsOf: desk.world.url(name), encoding: .utf8)
        guard text.components(separatedBy: old).count == 2 else {
            throw FaultError(description: "\(name) does not hold `\(old)` once")
        }
        try desk.world.write(name, text.replacingOccurrences(of: old, with: new))
    }

    /// Changes one byte in the middle; the same once more mends it.
    func flip(_ name: String) throws {
        var bytes = try Data(contentsOf: desk.world.url(name))
        bytes[bytes.count / 2] ^= 1
        try desk.world.write(name, bytes)
    }

    func move(_ from: String, _ to: String) throws {
        guard rename(path(from), path(to)) == 0 else { throw FaultError(description: "\(from) cannot be moved") }
    }

    /// A program of the shell.
    func script(_ name: String, _ text: String) throws {
        try? FileManager.default.removeItem(at: desk.world.url(name))
        try desk.world.write(name, "#!/bin/sh\n\(text)\n")
        chmod(path(name), 0o755)
    }

    /// The newest of a folder's files by name.
    func newest(_ folder: String, _ isWanted: (String) -> Bool = { _ in true }) throws -> String {
        let names = try FileManager.default.subpathsOfDirectory(atPath: path(folder)).sorted().filter { name in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: path("\(folder)/\(name)"), isDirectory: &isFolder)
                && !isFolder.boolValue && isWanted(name)
        }
        guard let last = names.last else { throw FaultError(description: "nothing in \(folder)") }
        return "\(folder)/\(last)"
    }

    // MARK: The daemon

    func start(_ more: [String] = [], through: [String] = []) throws {
        daemon = try desk.start(["--alarms", path("alarms.yaml")] + more, through: through)
        try until("the daemon answers", within: 30) { try desk.ask("status", "--quiet").status == 0 }
    }

    func signal(_ number: Int32) { daemon?.send(number) }

    func stop(_ number: Int32 = SIGTERM) throws {
        daemon?.send(number)
        let ended = try daemon?.wait(seconds: 60)
        daemon = nil
        if number == SIGTERM, let ended, ended.status != 0 {
            throw FaultError(description: "the daemon ended with \(ended.status): \(ended.errorText)")
        }
    }

    /// A run that is waited for must end so.
    func run(_ status: Int32) throws {
        let finished = try desk.ask("run", "often")
        guard finished.status == status else {
            throw FaultError(description: "the run ended with \(finished.status): \(finished.errorText)")
        }
    }

    /// In a mount namespace of its own, where `before` prepares and `later` goes on beside the daemon.
    func through(before: String, later: String) -> [String] {
        ["/usr/bin/unshare", "-m", "/bin/sh", "-c", "\(before); { \(later); } & exec \"$@\"", "sh"]
    }

    /// A line of shell that waits for a file.
    func awaiting(_ name: String) -> String { "until test -e \(path(name)); do sleep 0.1; done" }

    // MARK: What was told

    private var told: [String] {
        let text = (try? String(contentsOf: desk.world.url("told"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    private func until(_ what: String, within seconds: Double, _ isSo: () throws -> Bool) throws {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds + Self.slack)
        while try !isSo() {
            guard clock.now < end else {
                throw FaultError(description: "\(what): not within \(seconds) s; told \(told)")
            }
            usleep(100_000)
        }
    }

    /// `seconds` is the time that docs/alarms.md states.
    func raised(_ kind: String, within seconds: Double = 15) throws {
        wanted.insert(kind)
        try until("\(kind) is raised", within: seconds) { told.contains("\(kind) raised") }
    }

    func cleared(_ kind: String, within seconds: Double = 15) throws {
        try until("\(kind) is over", within: seconds) { told.contains("\(kind) cleared") }
    }

    /// At the end: nothing was told but what was waited for. A small file system of the machine, and due runs that the
    /// fault itself kept from being made, say nothing of the daemon.
    func nothingElse() throws {
        let kinds = Set(told.compactMap { $0.split(separator: " ").first.map(String.init) })
        let others = kinds.subtracting(wanted).subtracting(["lowSpace", "missedRuns"])
        if !others.isEmpty { throw FaultError(description: "also told: \(others.sorted())") }
    }
}

/// A fault and how it ends; each runs in a thread of its own, so that twenty daemons are waited for at once.
struct Fault: Sendable {
    var name: String
    var needsRoot = false
    var body: @Sendable () throws -> Void

    /// What went wrong with it; nil when nothing did.
    func complaint() async -> String? {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                do {
                    try body()
                    continuation.resume(returning: nil)
                } catch { continuation.resume(returning: "\(name): \(error)") }
            }
        }
    }

    /// Whether this process may mount what its children see.
    static var mayMount: Bool {
        guard geteuid() == 0 else { return false }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/unshare")
        process.arguments = ["-m", "/bin/sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
