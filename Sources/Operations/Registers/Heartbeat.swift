import Domain
import FoundationEssentials
import Glibc
import Vault

/// The last sign of life of the daemon: from it until the next start lasts an outage.
///
/// The file is written durably once a minute. Between, its time of change is set every few seconds: that outlives the
/// process at once, and a power cut as soon as the file system has written it by itself. So the end of a process is known
/// to seconds, and that of a machine to a minute at worst.
struct Heartbeat: Codable, Sendable, Equatable {
    /// Microseconds of the clock since the start of the machine.
    static let durableEvery: Int64 = 60_000_000
    static let touchEvery: Int64 = 2_000_000
    private static let limit = 4096

    /// Seconds since 1970.
    var time: Int64
    var bootID: String
    var process: Int32
    /// Told to end, and not killed.
    var isStopped: Bool

    static func path(state: String) -> String { state + "/registers/heartbeat.json" }

    /// Nil where there was none, or it cannot be read: then nothing is known of the time before.
    static func read(state: String) -> Heartbeat? {
        let path = Self.path(state: state)
        guard let bytes = try? StateFile.read(path, limit: limit),
            var beat = try? JSONDecoder().decode(Heartbeat.self, from: Data(bytes)),
            (0...CalendarExpression.endOfTime / 1_000_000).contains(beat.time)
        else { return nil }
        var info = stat()
        if !beat.isStopped, stat(path, &info) == 0 {
            let touched = Int64(info.st_mtim.tv_sec)
            // Further ahead than the next durable one cannot be a touch of that process.
            if touched > beat.time, touched - beat.time <= 2 * durableEvery / 1_000_000 { beat.time = touched }
        }
        return beat
    }

    func write(state: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try StateFile.write(Self.path(state: state), Array(try encoder.encode(self)))
        Self.touch(state: state, at: time)
    }

    /// Without effect where it fails: the durable one counts then.
    static func touch(state: String, at seconds: Int64) {
        let time = timespec(tv_sec: time_t(seconds), tv_nsec: 0)
        _ = utimensat(AT_FDCWD, path(state: state), [time, time], 0)
    }
}
