import Foundation
import Glibc
import Testing

/// Large directories and files by the real binary; `QALA_TEST_LONG=1` for the full sizes.
@Suite("Memory of the real binary", .serialized, .enabled(if: qalaBinary != nil))
struct ScaleTests {
    private static let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
    private static let limit = 150_000_000
    private static let patience = isLong ? 1200.0 : 120

    /// Runs a command and holds it to the memory that is promised.
    private func bounded(_ world: World, _ arguments: String...) throws -> Finished {
        let finished = try world.start(arguments + World.byKit, without: ["QALA_PASSPHRASE_FILE"])
            .wait(seconds: Self.patience)
        let memory = "\(arguments[0]) took \(finished.peakMemory / 1_000_000) MB"
        #expect(finished.status == 0, "\(finished.errorText)")
        #expect(finished.peakMemory > 1_000_000 && finished.peakMemory <= Self.limit, "\(memory)")
        return finished
    }

    @Test("A directory of a million entries is archived, found, verified and restored within 150 MB")
    func wideDirectory() throws {
        let count = Self.isLong ? 1_000_000 : 40_000
        let world = try World()
        defer { world.remove() }
        try world.write("tree/first", "")
        let folder = open(world.path("tree"), O_DIRECTORY | O_RDONLY)
        defer { close(folder) }
        for number in 0..<count {
            let file = openat(folder, "entry-of-the-wide-directory-\(number)", O_CREAT | O_WRONLY, 0o600)
            let text = "\(number)\n"
            let written = write(file, text, text.utf8.count)
            guard close(file) == 0, written == text.utf8.count else {
                Issue.record("the source cannot be made")
                return
            }
        }
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        _ = try bounded(world, "archive", "tree")
        let again = try World.object(try bounded(world, "archive", "tree", "--json"))
        #expect(again["filesRead"] as? Int == 0 && again["files"] as? Int == count + 1)
        let found = try bounded(world, "find", "directory-\(count - 1)", "--json")
        #expect((try World.object(found)["found"] as? [Any])?.count == 1)
        _ = try bounded(world, "verify", "--read-data")
        _ = try bounded(world, "restore", "latest", "--to", "back")
        let restored = try FileManager.default.contentsOfDirectory(atPath: world.path("back") + world.path("tree"))
        #expect(restored.count == count + 1)
    }

    @Test("A file of 20 GiB, dense here and sparse there, keeps its content and its holes within 150 MB")
    func largeFile() throws {
        let size: Int64 = Self.isLong ? 20 << 30 : 2 << 30
        let runs = Self.isLong ? 48 : 6
        let world = try World()
        defer { world.remove() }
        try world.write("tree/large", "")
        var generator = SeededGenerator(seed: 11)
        let file = open(world.path("tree/large"), O_RDWR)
        defer { close(file) }
        #expect(ftruncate(file, off_t(size)) == 0)
        // Runs of 64 MiB of which every other cannot be compressed, between holes, with odd ends.
        for run in 0..<runs {
            let start = size / Int64(runs) * Int64(run) + Int64(run * 4097)
            for part in 0..<64 {
                let block = (0..<131_072).map { run.isMultiple(of: 2) ? generator.next() : UInt64($0 / 7 + run + part) }
                let done = block.withUnsafeBytes {
                    pwrite(file, $0.baseAddress, $0.count, off_t(start) + off_t(part << 20))
                }
                guard done == 1 << 20 else {
                    Issue.record("the source cannot be made")
                    return
                }
            }
        }
        #expect(fsync(file) == 0)
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        let first = try World.object(try bounded(world, "archive", "tree", "--json"))
        #expect((first["bytesStored"] as? Int ?? .max) < runs * 40 << 20)
        _ = try bounded(world, "restore", "latest", "--to", "back", "--verify")
        let back = world.path("back") + world.path("tree/large")
        #expect(FileManager.default.contentsEqual(atPath: world.path("tree/large"), andPath: back))
        var before = stat()
        var after = stat()
        #expect(stat(world.path("tree/large"), &before) == 0 && stat(back, &after) == 0)
        #expect(after.st_blocks <= before.st_blocks + 8 * runs)
    }
}
