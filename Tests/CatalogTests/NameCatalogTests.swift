import Catalog
import Domain
import Glibc
import Testing

@Suite("The catalog of names")
struct NameCatalogTests {
    /// A directory of its own for each test, removed when it ends.
    final class Place {
        let path: String

        init() throws {
            var template = Array("/tmp/qala-catalog-XXXXXX".utf8CString)
            path = try #require(mkdtemp(&template).map { String(cString: $0) })
        }

        deinit {
            for name in ["archive", "names"] {
                for digit in 0..<10 { unlink("\(path)/\(digest(digit).hex).\(name)") }
            }
            rmdir(path)
        }
    }

    private func row(_ path: String, size: UInt64 = 1, seconds: Int64 = 0) -> NameRow {
        NameRow(path: Array(path.utf8), kind: .file, size: size, modified: Timestamp(seconds: seconds, nanoseconds: 7))
    }

    private func block(_ rows: [NameRow]) -> [UInt8] {
        var builder = NameBlockBuilder()
        for row in rows { builder.append(path: row.path, kind: row.kind, size: row.size, modified: row.modified) }
        return builder.bytes
    }

    private func add(_ number: Int, _ pages: [(Int, [NameRow]?)], to place: Place) throws {
        let writer = try NameCatalog.Writer(directory: place.path, id: digest(number))
        for (page, rows) in pages {
            if let rows { try writer.add(digest(100 + page), block(rows)) } else { writer.addKnown(digest(100 + page)) }
        }
        try writer.commit(number: UInt64(number), time: UInt64(1000 + number), header: Array("{}".utf8))
    }

    private func find(_ text: String, in place: Place, below: String = "") throws -> [NameVersion] {
        try NameCatalog(directory: place.path).find(NameQuery(text: text, below: Array(below.utf8)))
    }

    @Test("A name is found in every archive that holds it, its versions newest first")
    func versions() throws {
        let place = try Place()
        try add(1, [(1, [row("etc/hosts", seconds: -5), row("etc/passwd")])], to: place)
        try add(2, [(1, nil)], to: place)
        try add(3, [(2, [row("etc/hosts", size: 2), row("etc/passwd")])], to: place)
        let found = try find("hosts", in: place)
        #expect(found.count == 2)
        #expect(
            found[0] == NameVersion(row: row("etc/hosts", size: 2), newest: digest(3), oldest: digest(3), archives: 1))
        #expect(
            found[1]
                == NameVersion(row: row("etc/hosts", seconds: -5), newest: digest(2), oldest: digest(1), archives: 2))
        let catalog = try NameCatalog(directory: place.path)
        #expect(catalog.history(of: Array("etc/passwd".utf8)).map(\.archives) == [3])
        #expect(catalog.archives.map(\.time) == [1001, 1002, 1003])
    }

    @Test("Texts match names in either case, patterns whole names, and texts with a slash the path")
    func queries() throws {
        let place = try Place()
        try add(1, [(1, [row("a/README.md"), row("a/read/x.txt"), row("b/readme")])], to: place)
        #expect(try find("readme", in: place).count == 2)
        #expect(try find("README", in: place).map(\.row.path) == [Array("a/README.md".utf8)])
        #expect(try find("*.md", in: place).count == 1)
        #expect(try find("?.txt", in: place).count == 1)
        #expect(try find("read*", in: place, below: "b").count == 1)
        #expect(try find("read", in: place).count == 2)
        #expect(try find("/a/read", in: place).count == 2)
        #expect(try find("read/x", in: place).count == 1)
        #expect(throws: CatalogError.self) { try NameQuery(text: "") }
    }

    @Test("An archive whose pages are not all there is not in the catalog")
    func incomplete() throws {
        let place = try Place()
        try add(1, [(1, [row("etc/hosts")])], to: place)
        try add(2, [(9, nil)], to: place)
        #expect(try NameCatalog(directory: place.path).archives.map(\.id) == [digest(1)])
        unlink("\(place.path)/\(digest(1).hex).names")
        #expect(try NameCatalog(directory: place.path).archives.isEmpty)
    }

    @Test("Torn files never trap: what is left of them is not in the catalog")
    func torn() throws {
        let place = try Place()
        try add(1, [(1, [row("etc/hosts"), row("etc/passwd", size: 1 << 40, seconds: 1 << 40)])], to: place)
        for kind in ["names", "archive"] {
            let path = "\(place.path)/\(digest(1).hex).\(kind)"
            var info = stat()
            try #require(stat(path, &info) == 0)
            for length in stride(from: Int(info.st_size) - 1, through: 0, by: -1) {
                try #require(truncate(path, off_t(length)) == 0)
                let catalog = try NameCatalog(directory: place.path)
                _ = catalog.find(try NameQuery(text: "hosts"))
                #expect(catalog.archives.isEmpty)
            }
            try add(1, [(1, [row("etc/hosts")])], to: place)
        }
    }
}

private func digest(_ number: Int) -> Digest { Digest(words: (0, 0, 0, UInt64(number))) }
