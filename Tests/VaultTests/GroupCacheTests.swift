import Glibc
import Synchronization
import Testing

@testable import Vault

@Suite("Groups that threads share")
struct GroupCacheTests {
    private static func emptyGroup() throws(VaultError) -> GroupView {
        let owner = RawBuffer(count: 4)
        owner.bytes.storeBytes(of: 0, as: UInt32.self)
        return try GroupView(owner.slice(0..<4), of: owner)
    }

    @Test("One thread opens a group for all; when it cannot, each of the others tries itself")
    func shared() throws {
        let cache = GroupCache()
        let (whole, damaged) = (Random.digest(), Random.digest())
        let opened = Atomic(0)
        let failed = Atomic(0)
        let errors = Atomic(0)
        let threads = try (0..<6).map { _ in
            try WorkerThread {
                do throws(VaultError) {
                    _ = try cache.group(whole) { () throws(VaultError) in
                        opened.add(1, ordering: .relaxed)
                        usleep(100_000)
                        return try Self.emptyGroup()
                    }
                } catch { Issue.record(error) }
                do throws(VaultError) {
                    _ = try cache.group(damaged) { () throws(VaultError) in
                        failed.add(1, ordering: .relaxed)
                        throw .damaged("it is not what it says")
                    }
                } catch { errors.add(1, ordering: .relaxed) }
            }
        }
        for thread in threads { thread.join() }
        #expect(opened.load(ordering: .relaxed) == 1)
        #expect(failed.load(ordering: .relaxed) == 6 && errors.load(ordering: .relaxed) == 6)
    }
}
