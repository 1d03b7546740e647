import Domain
import Glibc
import Synchronization
import Vault

/// Holds one run to the limits of its policy: bytes a second that it reads from its sources, and its share of the processors.
///
/// Invariants:
/// 1. A thread waits between two pieces of its work, never while others wait for something it holds.
/// 2. After ``end()`` or an interrupt nobody waits any more: a run ends as soon as one without limits.
/// 3. Where a policy sets no limits there is no pace, and nothing is measured.
///
/// Processor time is that of the threads of the run, as the kernel counts it for each, its own work for them included. What
/// the kernel writes back later and what hooks do is not in it.
final class RunPace: Sendable {
    /// A wait is broken off within so many seconds.
    private static let longestNap = 0.05
    /// Pieces of reading that take about an eighth of a second, so that what is read flows evenly.
    private static let pieces: ClosedRange<Int64> = 4096...4 << 20

    private let interrupt: InterruptFlag
    private let ended = InterruptFlag()
    private let spent: Mutex<Spent>
    /// At most so many bytes are read at once; nil without a limit.
    let piece: Int?

    private struct Spent {
        var bytes: TokenBucket?
        /// Nanoseconds of all threads together.
        var processors: TokenBucket?
        /// What each thread had used when it was here last.
        var known: [pthread_t: Int64] = [:]
    }

    /// Nil where nothing is limited. What the calling thread used until now does not count.
    init?(_ limits: Policy.Limits, _ interrupt: InterruptFlag = InterruptFlag()) {
        guard !limits.isEmpty else { return nil }
        self.interrupt = interrupt
        let now = MonotonicTime.now()
        piece = limits.bytesPerSecond.map { Int(min(max($0 / 8, Self.pieces.lowerBound), Self.pieces.upperBound)) }
        var spent = Spent()
        spent.bytes = limits.bytesPerSecond.map { TokenBucket(perSecond: $0, at: now) }
        if let percent = limits.cpuPercent {
            let count = Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
            spent.processors = TokenBucket(perSecond: count * Int64(percent) * 10_000_000, at: now)
            spent.known[pthread_self()] = Self.usedByThread()
        }
        self.spent = Mutex(spent)
    }

    /// After so many bytes were read from a source.
    func read(_ count: Int) {
        wait(spent.withLock { $0.bytes?.take(Int64(count), at: MonotonicTime.now()) })
    }

    /// Between two pieces of work of a thread of the run.
    func breathe() {
        let thread = pthread_self()
        let used = Self.usedByThread()
        wait(
            spent.withLock { spent in
                let before = spent.known[thread] ?? 0
                spent.known[thread] = used
                // The number of a thread that ended may be another's by now.
                return spent.processors?.take(used >= before ? used - before : used, at: MonotonicTime.now())
            })
    }

    /// Nobody waits from now on.
    func end() { ended.set() }

    private func wait(_ seconds: Double?) {
        guard let seconds, seconds > 0 else { return }
        let until = MonotonicTime.now() + seconds
        while !ended.isSet, !interrupt.isSet {
            let left = until - MonotonicTime.now()
            guard left > 0 else { return }
            usleep(UInt32(min(left, Self.longestNap) * 1e6) + 1)
        }
    }

    /// Nanoseconds.
    private static func usedByThread() -> Int64 {
        var used = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used)
        return Int64(used.tv_sec) * 1_000_000_000 + Int64(used.tv_nsec)
    }
}
