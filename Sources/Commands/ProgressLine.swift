package import Domain
import Glibc
package import Operations
import Synchronization

/// One line on a terminal that tells how far an operation is, five times a second; nothing at all elsewhere.
///
/// A thread of its own reads the counters, so that showing them costs the operation nothing. The line is erased when
/// the operation ends.
final class ProgressLine {
    private static let period: Int32 = 200

    private let thread: BackgroundThread
    /// Closing it wakes the thread and tells it to end.
    private let stopping: Int32

    /// Nil when the line cannot be shown: no terminal, a dumb one, or no resources for it.
    init?(_ progress: Progress, language: Language) {
        let terminal: Int32 = 2
        guard isatty(terminal) == 1, SystemText.environment("TERM") != "dumb" else { return nil }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        let reading = ends[0]
        let started = Self.now()
        let thread = BackgroundThread {
            while true {
                var wake = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
                if poll(&wake, 1, Self.period) != 0 { break }
                if ProcessState.isAsking.load(ordering: .relaxed) { continue }
                let snapshot = ProgressSnapshot(progress, seconds: Self.now() - started)
                let width = (Terminal.columns(of: terminal) ?? 80) - 1
                Self.show("\r" + snapshot.line(width: width, language) + "\u{1B}[K", on: terminal)
            }
            Self.show("\r\u{1B}[K", on: terminal)
            close(reading)
        }
        stopping = ends[1]
        guard let thread else {
            close(reading)
            close(stopping)
            return nil
        }
        self.thread = thread
    }

    /// Erases the line; to be called once.
    func stop() {
        close(stopping)
        thread.join()
    }

    /// A terminal that went away is no reason to stop archiving.
    private static func show(_ text: String, on descriptor: Int32) {
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// The counters at one moment.
package struct ProgressSnapshot {
    package var files = 0
    package var bytes = 0
    package var stored = 0
    package var read = 0
    package var expectedBytes = 0
    package var seconds = 0.0

    package init() {}

    package init(_ progress: Progress, seconds: Double) {
        files = progress.files.load(ordering: .relaxed)
        bytes = progress.bytes.load(ordering: .relaxed)
        stored = progress.stored.load(ordering: .relaxed)
        read = progress.read.load(ordering: .relaxed)
        expectedBytes = progress.expectedBytes.load(ordering: .relaxed)
        self.seconds = seconds
    }

    /// As many facts as fit into `width` columns, the most telling first.
    package func line(width: Int, _ language: Language) -> String {
        guard files > 0 || bytes > 0 else { return String(Text.progressPreparing(language).prefix(max(0, width))) }
        // A check of a vault counts bytes only.
        var facts = files > 0 ? [Text.progressFiles(language, [Readable.count(files)])] : []
        facts += [
            Readable.size(bytes, language),
            Readable.rate(bytes: bytes, seconds: seconds, language),
        ]
        if let remaining {
            facts.append(Text.progressRemaining(language, [Readable.duration(remaining, language)]))
        }
        if read > 0, let ratio = Readable.ratio(plain: read, stored: stored, language) {
            facts.append(Text.progressRatio(language, [ratio]))
        }
        while facts.count > 1, Printable.width(facts.joined(separator: "  ")) > width { facts.removeLast() }
        return String(facts.joined(separator: "  ").prefix(max(0, width)))
    }

    /// Seconds left at the rate so far; nil while the whole is unknown or the rate means little.
    package var remaining: Double? {
        guard expectedBytes > bytes, bytes > 0, seconds >= 1 else { return nil }
        return seconds * Double(expectedBytes - bytes) / Double(bytes)
    }
}
