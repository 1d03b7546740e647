import Domain
import Glibc
import Testing
import Vault

@Suite("Secrets in memory")
struct KeysMemoryTests {
    @Test("A secret prints as nothing")
    func printing() throws {
        let secret = try Secret(copying: [UInt8](repeating: 0x41, count: 32))
        var dumped = ""
        dump(secret, to: &dumped)
        #expect("\(secret)" == "secret")
        #expect(String(reflecting: secret) == "secret")
        #expect(!dumped.contains("41") && !dumped.contains("AAAA") && !dumped.contains("0x"))
    }

    @Test("Secrets compare by their bytes and copy exactly 32")
    func comparing() throws {
        let bytes = Random.bytes(32)
        #expect(try Secret(copying: bytes) == Secret(copying: bytes))
        #expect(try Secret.random() != Secret.random())
        #expect(throws: VaultError.self) { try Secret(copying: Random.bytes(31)) }
        #expect(throws: VaultError.self) { try Secret(copying: []) }
    }

    @Test("The memory of a secret is left out of dumps and wiped on fork")
    func pages() throws {
        let secret = try Secret.random()
        let address = secret.withBytes { UInt(bitPattern: $0.baseAddress) }
        let flags = try #require(try Self.mappingFlags(at: address))
        #expect(flags.contains("dd"))
        #expect(flags.contains("wf"))
    }

    @Test("A secret is wiped when its last reference goes")
    func wiping() throws {
        let bytes = Random.bytes(32)
        var secret: Secret? = try Secret(copying: bytes)
        let address = try #require(secret?.withBytes { $0.baseAddress })
        secret = nil
        #expect(Array(UnsafeRawBufferPointer(start: address, count: 32)) != bytes)
    }

    @Test("Slots are reused by many threads without mixing")
    func reuse() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for value in UInt8(1)...4 {
                group.addTask {
                    for _ in 0..<500 {
                        let held = try (0..<5).map { _ in try Secret(copying: [UInt8](repeating: value, count: 32)) }
                        #expect(held.allSatisfy { plain($0) == [UInt8](repeating: value, count: 32) })
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("A forked child sees no secret and can seal nothing")
    func forking() throws {
        let secret = try Secret.random()
        let session = try SessionKey(secret, vaultID: Random.digest(), sessionID: Random.digest())
        let cipher = try RecordCipher()
        let label = RecordLabel(packID: .zero, slot: 0, kind: 1, codec: 0, storedLength: 1, chunkID: .zero)
        let status = try Self.inChild {
            guard secret.isWiped else { return 1 }
            do {
                _ = try cipher.sealed([0], label, session)
                return 2
            } catch {
                return (error as? VaultError)?.code == .keyNeeded ? 0 : 3
            }
        }
        #expect(status == 0)
        #expect(!secret.isWiped)
        _ = try cipher.sealed([0], label, session)
    }

    @Test("Hardening forbids core dumps and debuggers")
    func hardening() throws {
        typealias Prctl = @convention(c) (CInt, UInt, UInt, UInt, UInt) -> CInt
        let prctl = unsafeBitCast(try #require(dlsym(nil, "prctl")), to: Prctl.self)
        let isDumpable: CInt = 3
        let status = try Self.inChild {
            do { try ProcessStart.prepare() } catch { return 1 }
            var limit = rlimit()
            guard getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0, limit.rlim_max == 0 else {
                return 2
            }
            return prctl(isDumpable, 0, 0, 0, 0) == 0 ? 0 : 3
        }
        #expect(status == 0)
    }

    /// Runs `body` in a forked child and returns its exit status; -1 when a signal ended it.
    private static func inChild(_ body: () -> CInt) throws -> CInt {
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        let child = fork()
        if child == 0 {
            alarm(20)
            _exit(body())
        }
        try #require(child > 0)
        var status: CInt = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
    }

    /// The flags that the kernel shows for the mapping at `address`.
    private static func mappingFlags(at address: UInt) throws -> [Substring]? {
        let file = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        var text: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &block, block.count)
            if count <= 0 { break }
            text += block[..<count]
        }
        var isInside = false
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            let range = words.first?.split(separator: "-").map { UInt($0, radix: 16) } ?? []
            if range.count == 2, let start = range[0], let end = range[1] {
                isInside = start <= address && address < end
            } else if isInside, words.first == "VmFlags:" {
                return Array(words.dropFirst())
            }
        }
        return nil
    }
}
