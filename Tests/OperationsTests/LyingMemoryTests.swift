import Domain
import Foundation
import Testing

@testable import Vault

/// What the real program takes of memory when a vault lies about how much there is; it needs the path of a built `qala`.
private let binary = ProcessInfo.processInfo.environment["QALA_BINARY"]

@Suite("A vault that claims much", .serialized)
struct LyingMemoryTests {
    private static let allowance = 64 << 20

    private struct Ending {
        var status: Int32
        /// Number of the signal that ended it, 0 for none.
        var signal: Int32
        /// The most memory of its own that was seen, in bytes.
        var seen: Int
    }

    /// Restores with the real program. With `limit` it gets no more memory of its own (RLIMIT_DATA) than so many bytes, and
    /// ends by a signal when it asks for more: what a process takes just before its end cannot be measured from outside.
    private static func restore(_ vault: LyingVault, limit: Int? = nil) throws -> Ending {
        let program = try #require(binary)
        let key = vault.root.appending(path: "key").path
        try Data(KeyText.encode(vault.kit, vaultID: vault.vault.vaultID).utf8).write(to: URL(filePath: key))
        chmod(key, 0o600)
        let script = limit.map { "ulimit -d \($0 >> 10); exec \"$@\"" } ?? "exec \"$@\""
        let arguments = [
            "/bin/sh", "-c", script, "sh", program, "restore", "latest", "--to", vault.targetPath, "--vault",
            vault.root.appending(path: "vault").path, "--state", vault.root.appending(path: "state").path, "--key-file",
            key,
        ]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in [Int32(1), 2] { posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_WRONLY, 0) }
        let strings = arguments.map { strdup($0) }
        defer { for string in strings { free(string) } }
        var child = pid_t()
        let settings = [strdup("SWIFT_BACKTRACE=enable=no"), nil]
        defer { free(settings[0]) }
        try #require(posix_spawn(&child, arguments[0], &actions, nil, strings + [nil], settings) == 0)
        var status: Int32 = 0
        var seen = 0
        while waitpid(child, &status, WNOHANG) == 0 {
            seen = max(seen, data(of: child))
            usleep(200)
        }
        return Ending(status: status >> 8 & 0xFF, signal: status & 0x7F, seen: seen)
    }

    /// Bytes of data and stacks, the sixth number of `statm` in pages.
    private static func data(of process: pid_t) -> Int {
        let file = open("/proc/\(process)/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var block = [UInt8](repeating: 0, count: 256)
        let count = read(file, &block, block.count)
        let numbers = String(decoding: block[..<max(count, 0)], as: UTF8.self).split(separator: " ")
        return numbers.count > 5 ? (Int(numbers[5]) ?? 0) * Int(getpagesize()) : 0
    }

    /// What a restore of one small file takes, and what is allowed beyond. A look from outside can miss the few milliseconds
    /// in which all threads run, so the most of many restores counts.
    private static let limit = Result {
        let vault = try LyingVault()
        var page = HandmadePage()
        page.chunks = [try vault.data("hello")]
        page.addFile("a", length: 5)
        try vault.commit(page: page.bytes, firstPath: utf8("a"), entries: 1)
        var most = 0
        for _ in 0..<10 {
            let ending = try restore(vault)
            #expect(ending.status == 0 && ending.signal == 0 && ending.seen > 0)
            most = max(most, ending.seen)
            try FileManager.default.removeItem(atPath: vault.targetPath)
        }
        return most + allowance
    }

    /// The smallest encoding of many of something, up to the limit of a chunk.
    private static func filled(_ start: [UInt8], with unit: [UInt8], end: [UInt8] = []) -> [UInt8] {
        let count = (PackFormat.chunkLimit - start.count - end.count) / unit.count
        return start + Array(repeating: unit, count: count).flatMap { $0 } + end
    }

    private static func varint(_ value: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.varint(UInt64(value))
        return writer.bytes
    }

    static let claims: [(name: String, page: @Sendable () -> [UInt8])] = [
        ("devices", { filled([1, 0, 1, 0, 0, 0, 0] + varint(16_000_000), with: [1]) }),
        ("owners", { filled([1, 0] + varint(4_000_000), with: [0, 0, 0, 0]) }),
        ("chunk ids", { filled([1] + varint(500_000), with: [UInt8](repeating: 7, count: 32)) }),
        (
            "holes of one byte",
            {
                // One entry, a file of as many holes as the page has room for.
                let count = 1 << 20
                var page = HandmadePage()
                page.add(utf8("a")) { writer in
                    writer.varint(UInt64(count))
                    writer.varint(UInt64(count))
                    writer.raw([UInt8](repeating: 3, count: count))
                }
                return page.bytes
            }
        ),
        (
            "more holes than a file may have",
            {
                let count = 15_000_000
                var page = HandmadePage()
                page.add(utf8("a")) { writer in
                    writer.varint(UInt64(count))
                    writer.varint(UInt64(count))
                    writer.raw([UInt8](repeating: 3, count: count))
                }
                return page.bytes
            }
        ),
        (
            "attributes",
            {
                var page = HandmadePage()
                page.add(utf8("a"), flags: 1 | 1 << 5) { writer in
                    writer.varint(5_000_000)
                    for _ in 0..<5_000_000 { writer.raw([1, 65, 0]) }
                }
                return page.bytes
            }
        ),
    ]

    @Test("A page full of small things", .enabled(if: binary != nil), arguments: claims.indices)
    func pages(index: Int) throws {
        let vault = try LyingVault()
        try vault.commit(page: Self.claims[index].page(), firstPath: utf8("a"), entries: 1)
        let ending = try Self.restore(vault, limit: try Self.limit.get())
        #expect(ending.signal == 0, "\(Self.claims[index].name) took too much memory")
    }

    @Test("Many frames that each yield the largest chunk there is", .enabled(if: binary != nil))
    func frames() throws {
        let vault = try LyingVault()
        var page = HandmadePage()
        var names: [String] = []
        for number in 0..<12 {
            let count = PackFormat.chunkLimit - number
            let frame = ZstandardFrame.ofZeros(count)
            var payload = ByteWriter()
            payload.u32(UInt32(count))
            payload.u32(UInt32(frame.count))
            payload.raw(frame)
            let id = vault.identity([UInt8](repeating: 0, count: count), .data)
            try vault.addRecord(payload.bytes, .data, codec: .zstd, id: id)
            page.chunks.append(id)
            names.append("f\(10 + number)")
        }
        for (number, name) in names.enumerated() {
            page.addFile(name, chunk: UInt64(number), length: UInt64(PackFormat.chunkLimit - number))
        }
        try vault.commit(page: page.bytes, firstPath: utf8(names[0]), entries: UInt64(names.count))
        let ending = try Self.restore(vault, limit: try Self.limit.get())
        #expect(ending.signal == 0 && [0, 3].contains(ending.status))
    }
}
