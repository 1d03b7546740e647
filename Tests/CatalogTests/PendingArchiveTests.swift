import Catalog
import Domain
import Glibc
import Testing

private func digest(_ number: Int) -> Digest { Digest(words: (0, 0, 0, UInt64(number))) }

@Suite("A run that died around its commit")
struct PendingArchiveTests {
    private func block(_ path: String) -> [UInt8] {
        var builder = NameBlockBuilder()
        builder.append(path: Array(path.utf8), kind: .file, size: 1, modified: Timestamp(seconds: 0))
        return builder.bytes
    }

    private func prepared(in directory: String) throws -> NameCatalog {
        let writer = try NameCatalog.Writer(directory: directory, id: digest(1))
        try writer.add(digest(100), block("etc/hosts"))
        try writer.prepare(header: Array("{}".utf8))
        return try NameCatalog(directory: directory)
    }

    @Test("Its archive has no place before it is completed, and is found afterwards")
    func completed() throws {
        let place = try NameCatalogTests.Place()
        let before = try prepared(in: place.path)
        #expect(before.archives.isEmpty && before.pending == [digest(1)])
        try before.complete(digest(1), number: 4, time: 1000)
        let after = try NameCatalog(directory: place.path)
        #expect(after.pending.isEmpty && after.archives.map(\.number) == [4])
        #expect(after.find(try NameQuery(text: "hosts")).count == 1)
    }

    @Test("What was never committed is taken away")
    func dropped() throws {
        let place = try NameCatalogTests.Place()
        try prepared(in: place.path).drop(digest(1))
        let after = try NameCatalog(directory: place.path)
        #expect(after.pending.isEmpty && after.archives.isEmpty)
        #expect(rmdir(place.path) == 0, "files were left behind")
    }

    @Test("A torn one is missing, not half there")
    func torn() throws {
        let place = try NameCatalogTests.Place()
        let catalog = try prepared(in: place.path)
        #expect(truncate("\(place.path)/\(digest(1).hex).pending", 50) == 0)
        try catalog.complete(digest(1), number: 4, time: 1000)
        let after = try NameCatalog(directory: place.path)
        #expect(after.pending.isEmpty && after.archives.isEmpty)
    }

    @Test("Committing takes the pending file away")
    func committed() throws {
        let place = try NameCatalogTests.Place()
        let writer = try NameCatalog.Writer(directory: place.path, id: digest(1))
        try writer.add(digest(100), block("etc/hosts"))
        try writer.prepare(header: Array("{}".utf8))
        try writer.commit(number: 1, time: 1, header: Array("{}".utf8))
        let catalog = try NameCatalog(directory: place.path)
        #expect(catalog.pending.isEmpty && catalog.archives.count == 1)
    }
}
