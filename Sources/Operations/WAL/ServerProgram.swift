import Collectors
import Domain
import Glibc
import Vault

/// Programs of PostgreSQL that are run beside the daemon: they have time limits and can be ended, which a session of this process
/// with a server that hangs could not.
enum ServerProgram {
    /// Where Debian keeps the programs of each version, newest first; they understand older servers.
    static func path(_ name: String) throws -> String {
        let base = "/usr/lib/postgresql"
        let versions = ((try? StateFile.list(base)) ?? []).compactMap { Int($0) }.sorted(by: >)
        let places = versions.map { "\(base)/\($0)/bin/\(name)" } + ["/usr/bin/\(name)", "/usr/local/bin/\(name)"]
        guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
            throw OperationError(.notFound, "there is no \(name) on this host")
        }
        return found
    }

    private static let answerLimit = 4096

    /// Runs a program to its end and returns what it printed, which is short.
    static func output(of command: [String], seconds: Double, _ stopping: InterruptFlag) throws -> String {
        let program = try RunningProgram(
            command, timeout: seconds, timeoutText: "\(Int(seconds)) s", isInterrupted: { stopping.isSet })
        defer { program.close() }
        var block = [UInt8](repeating: 0, count: answerLimit + 1)
        let count = try block.withUnsafeMutableBytes { try program.read(into: $0) }
        // Only before its end it fills the block; then it is not known how it ends either.
        guard count <= answerLimit else {
            throw OperationError(.failed, "\(command.first ?? "") answers more than \(answerLimit) bytes")
        }
        return String(decoding: block.prefix(count), as: UTF8.self)
    }
}

extension InterruptFlag {
    /// Returns early when it is set.
    func sleep(_ seconds: Double) {
        let end = MonotonicTime.now() + seconds
        while MonotonicTime.now() < end, !isSet { usleep(100_000) }
    }
}
