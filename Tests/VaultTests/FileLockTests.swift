import Domain
import Glibc
import Testing

@testable import Vault

@Suite("Locks of a host's state")
struct FileLockTests {
    @Test("Who waits gets a lock that is let go in time, and nothing when it is not")
    func waits() throws {
        let scratch = try ScratchDirectory()
        let path = "\(scratch.path)/lock"
        // As a program has it that is just being started and does not run yet: somebody else's open file.
        let other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0)
        var start = MonotonicTime.now()
        #expect(try FileLock.acquire(path: path, patience: 0.2) == nil)
        #expect(MonotonicTime.now() - start >= 0.2)

        start = MonotonicTime.now()
        let thread = try WorkerThread {
            usleep(300_000)
            close(other)
        }
        let own = try FileLock.acquire(path: path, patience: 60)
        #expect(own != nil && MonotonicTime.now() - start >= 0.29)
        thread.join()
        #expect(try FileLock.acquire(path: path, patience: 0) == nil, "it has an owner again")
        withExtendedLifetime(own) {}
    }
}
