import Glibc
import Synchronization

/// A mutex with a condition, for the few places where threads wait for each other.
///
/// SAFETY: all access to what it guards goes through `locked`; the pthread objects live as long as the monitor.
package final class Monitor: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // A clock that is set makes nobody wait longer.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func locked<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Only inside `locked`.
    package func wait() { pthread_cond_wait(condition, mutex) }

    /// Only inside `locked`; at the latest until `end`, in seconds of ``MonotonicTime``.
    package func wait(until end: Double) {
        let end = max(0, end)
        var time = timespec(tv_sec: time_t(end), tv_nsec: Int((end - end.rounded(.down)) * 1e9))
        pthread_cond_timedwait(condition, mutex, &time)
    }

    package func wakeAll() { pthread_cond_broadcast(condition) }
}

/// A thread that must be joined, or detached, before its owner goes away.
package final class WorkerThread {
    private var handle = pthread_t()

    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Blocking work belongs here, never on the cooperative pool.
    package init(_ body: @escaping @Sendable () -> Void) throws(VaultError) {
        let start = Unmanaged.passRetained(Start(body))
        let failure = pthread_create(
            &handle, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<Start>.fromOpaque(raw).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        guard failure == 0 else {
            start.release()
            throw VaultError(.limit, "a thread could not be started (error \(failure))")
        }
    }

    package func join() { pthread_join(handle, nil) }

    /// Nobody will wait for it: what it touches must outlive it.
    package func detach() { pthread_detach(handle) }
}

/// Work that waits for the disk, done at the same time.
enum Together {
    private final class Failures: Sendable {
        let found = Mutex<[Int: VaultError]>([:])
    }

    /// Does all of it, each on a thread of its own but the last, and waits for all; then throws what went wrong first in their order.
    static func run(_ works: [@Sendable () throws(VaultError) -> Void]) throws(VaultError) {
        let failures = Failures()
        var threads: [WorkerThread] = []
        for (index, work) in works.enumerated() {
            @Sendable func attempt() {
                do throws(VaultError) { try work() } catch { failures.found.withLock { $0[index] = error } }
            }
            if index < works.count - 1, let thread = try? WorkerThread({ attempt() }) {
                threads.append(thread)
            } else {
                attempt()
            }
        }
        for thread in threads { thread.join() }
        if let first = failures.found.withLock({ found in found.keys.min().flatMap { found[$0] } }) { throw first }
    }
}
