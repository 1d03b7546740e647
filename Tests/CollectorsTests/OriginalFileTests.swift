@testable import Collectors
import Domain
import Glibc
import Testing

@Suite("Originals that are taken away")
struct OriginalFileTests {
    private func folder(_ bench: Workbench, _ name: String = "") throws -> OriginalFolder {
        let path = try #require(realpath(bench.path, nil))
        defer { free(path) }
        let bytes = Array(String(cString: path).utf8.dropFirst())
        return try OriginalFolder(name.isEmpty ? bytes : bytes + [0x2F] + Array(name.utf8))
    }

    @Test("A directory is not reached through a link, and a link is no file")
    func links() throws {
        let bench = try Workbench()
        try bench.directory("real")
        try bench.file("real/f")
        try #require(symlink("real", bench.place("link")) == 0)
        try #require(symlink("f", bench.place("real/l")) == 0)
        #expect(throws: CollectorError.self) { try folder(bench, "link") }
        let real = try folder(bench, "real")
        #expect(try real.status(Array("l".utf8))?.kind == .symlink)
        #expect(throws: CollectorError.self) { try real.open(Array("l".utf8)) }
        #expect(try real.open(Array("none".utf8)) == nil)
        #expect(try real.status(Array("none".utf8)) == nil)
    }

    @Test("Nothing is renamed over something else, and names are bytes")
    func names() throws {
        let bench = try Workbench()
        try bench.file("a", "one")
        try bench.file("b", "two")
        let place = try folder(bench)
        #expect(throws: CollectorError.self) { try place.rename(Array("a".utf8), to: Array("b".utf8)) }
        let odd: [UInt8] = [0xFF, 0x0A, 0x20]
        try place.rename(Array("a".utf8), to: odd)
        #expect(try place.status(odd)?.size == 3 && place.status(Array("a".utf8)) == nil)
        try place.remove(odd)
        #expect(try place.status(odd) == nil)
        try place.sync()
    }

    @Test("A file that somebody has open for writing is not undisturbed, where the system can tell")
    func writers() throws {
        let bench = try Workbench()
        try bench.file("f", "text")
        let place = try folder(bench)
        let name = Array("f".utf8)
        let alone = try #require(try place.open(name))
        #expect(alone.isUndisturbed)
        guard alone.lease == .held else { return }
        // Who wants to write waits for the lease, and the lease tells; without waiting it is told at once.
        let refused = open(bench.place("f"), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        let reason = errno
        #expect(refused < 0 && reason == EWOULDBLOCK)
        #expect(!alone.isUndisturbed)
        try bench.file("g", "text")
        let writer = open(bench.place("g"), O_WRONLY | O_CLOEXEC)
        defer { close(writer) }
        try #require(writer >= 0)
        let written = try #require(try place.open(Array("g".utf8)))
        #expect(written.lease == .refused && !written.isUndisturbed)
    }
}
