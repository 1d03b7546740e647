package import Synchronization

/// Counters of a running operation: written by its threads, read by whoever shows them.
package final class Progress: Sendable {
    package let files = Atomic<Int>(0)
    /// Plain bytes of files that were looked at: read, or known to be unchanged.
    package let bytes = Atomic<Int>(0)
    /// Bytes newly stored, sealed.
    package let stored = Atomic<Int>(0)
    /// Plain bytes that went through deduplication, for the ratio.
    package let read = Atomic<Int>(0)
    /// What the operation expects to handle; 0 while unknown.
    package let expectedFiles = Atomic<Int>(0)
    package let expectedBytes = Atomic<Int>(0)

    /// Why nothing can be kept in the host state, where a reader goes on all the same.
    package var stateDenial: String? { denial.withLock { $0 } }
    private let denial = Mutex<String?>(nil)

    package init() {}

    func noteDenial(_ reason: String) { denial.withLock { $0 = reason } }
}

/// Set once from a signal handler or another thread; operations look at it often and stop in a resumable state.
package final class InterruptFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    package init() {}
    package func set() { flag.store(true, ordering: .relaxed) }
    package var isSet: Bool { flag.load(ordering: .relaxed) }
}
