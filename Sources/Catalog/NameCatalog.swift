package import Domain
import Glibc

// The catalog of names of one vault on one host.
//
// Per archive two files: `ID.names` holds the blocks of the pages that this archive was the first to have, `ID.archive` the
// list of all its pages, and is written last: an archive without it is not in the catalog. Pages that archives share are
// stored and searched once, so that a run that changed little adds little.
//
// A run writes its part before the vault's commit, as `ID.pending`, and gives it its place after it: a process that dies in
// between leaves what the next one completes, without a key and without reading the vault.
//
// It is a cache: damage shows as a missing archive, and the answer to that is to rebuild it from the vault.

/// What the catalog knows of an archive besides its names.
package struct CatalogArchive: Sendable, Equatable {
    package var id: Digest
    /// Number of its commit record: the order of archives.
    package var number: UInt64
    /// Seconds since 1970.
    package var time: UInt64
    /// The archive's header as JSON, as the vault seals it.
    package var header: [UInt8]
    package var pages: [Digest]

    package init(id: Digest, number: UInt64, time: UInt64, header: [UInt8], pages: [Digest]) {
        self.id = id
        self.number = number
        self.time = time
        self.header = header
        self.pages = pages
    }
}

/// One version of a name, and which archives hold it.
package struct NameVersion: Sendable, Equatable {
    package var row: NameRow
    package var newest: Digest
    package var oldest: Digest
    package var archives: Int

    package init(row: NameRow, newest: Digest, oldest: Digest, archives: Int) {
        self.row = row
        self.newest = newest
        self.oldest = oldest
        self.archives = archives
    }
}

package final class NameCatalog {
    private static let namesMagic = Array("QALANAM1".utf8)
    private static let archiveMagic = Array("QALAARC1".utf8)
    private let directory: String
    /// By number, oldest first.
    package private(set) var archives: [CatalogArchive] = []
    /// Archives that were about to be committed to the vault when their process died.
    package private(set) var pending: [Digest] = []
    private var blocks: [Digest: Block] = [:]
    private var files: [MappedFile] = []

    private struct Block {
        var file: Int
        var range: Range<Int>
    }

    package init(directory: String) throws(CatalogError) {
        self.directory = directory
        for name in try CatalogFile.list(directory) {
            if name.hasSuffix(".pending"), let id = Digest(hex: name.dropLast(".pending".count)) { pending.append(id) }
            guard name.hasSuffix(".archive") else { continue }
            guard let id = Digest(hex: name.dropLast(".archive".count)),
                let archive = readArchive("\(directory)/\(name)", id)
            else { continue }
            archives.append(archive)
        }
        archives.sort { $0.number < $1.number }
        for archive in archives { try openNames(of: archive.id) }
        // An archive whose pages are not all there is not known.
        archives.removeAll { archive in archive.pages.contains { blocks[$0] == nil } }
    }

    /// Archives that are not searched; their names stay, because later archives share their pages.
    package var hidden: Set<Digest> = []
    private var searched: [CatalogArchive] { archives.reversed().filter { !hidden.contains($0.id) } }

    package func contains(page: Digest) -> Bool { blocks[page] != nil }

    private func readArchive(_ path: String, _ id: Digest) -> CatalogArchive? {
        guard let file = MappedFile(path: path), file.bytes.count >= 8 + 8 + 8 + 8 + 8,
            file.bytes.prefix(8).elementsEqual(Self.archiveMagic)
        else { return nil }
        func field(_ index: Int) -> UInt64 {
            UInt64(littleEndian: file.bytes.loadUnaligned(fromByteOffset: 8 + 8 * index, as: UInt64.self))
        }
        let headerCount = field(2)
        let pageCount = field(3)
        guard headerCount <= 1 << 20, pageCount <= 1 << 32,
            file.bytes.count == 40 + Int(headerCount) + 32 * Int(pageCount)
        else { return nil }
        var pages: [Digest] = []
        pages.reserveCapacity(Int(pageCount))
        for index in 0..<Int(pageCount) {
            let at = 40 + Int(headerCount) + 32 * index
            if let page = Digest(UnsafeRawBufferPointer(rebasing: file.bytes[at...])) { pages.append(page) }
        }
        return CatalogArchive(
            id: id, number: field(0), time: field(1), header: Array(file.bytes[40..<40 + Int(headerCount)]),
            pages: pages)
    }

    private func openNames(of id: Digest) throws(CatalogError) {
        guard let file = MappedFile(path: "\(directory)/\(id.hex).names"), file.bytes.count >= 8,
            file.bytes.prefix(8).elementsEqual(Self.namesMagic)
        else { return }
        var at = 8
        while at + 40 <= file.bytes.count, let page = Digest(UnsafeRawBufferPointer(rebasing: file.bytes[at...])) {
            let count = UInt64(littleEndian: file.bytes.loadUnaligned(fromByteOffset: at + 32, as: UInt64.self))
            guard count <= UInt64(file.bytes.count - at - 40) else { break }
            let start = at + 40
            blocks[page] = Block(file: files.count, range: start..<start + Int(count))
            at = start + Int(count)
        }
        files.append(file)
    }

    /// Every version of every matching name, newest archive first, then by path.
    package func find(_ query: NameQuery, limit: Int = .max) -> [NameVersion] {
        var hits: [Digest: [NameRow]] = [:]
        var found: [NameRow: Int] = [:]
        var versions: [NameVersion] = []
        for archive in searched {
            for page in archive.pages {
                if hits[page] == nil { hits[page] = scan(page, query) }
                for row in hits[page] ?? [] {
                    if let at = found[row] {
                        if versions[at].oldest != archive.id { versions[at].archives += 1 }
                        versions[at].oldest = archive.id
                    } else if versions.count < limit {
                        found[row] = versions.count
                        versions.append(NameVersion(row: row, newest: archive.id, oldest: archive.id, archives: 1))
                    }
                }
            }
        }
        return versions
    }

    private func scan(_ page: Digest, _ query: NameQuery) -> [NameRow] {
        guard let block = blocks[page] else { return [] }
        var rows: [NameRow] = []
        var reader = NameBlockReader(UnsafeRawBufferPointer(rebasing: files[block.file].bytes[block.range]))
        while reader.next() {
            guard query.matches(reader.path) else { continue }
            rows.append(
                NameRow(path: reader.path, kind: reader.kind, size: reader.size, modified: reader.modified))
        }
        return rows
    }

    /// Every version of exactly this path.
    package func history(of path: [UInt8]) -> [NameVersion] {
        var versions: [NameVersion] = []
        for archive in searched {
            for page in archive.pages {
                guard let block = blocks[page] else { continue }
                var reader = NameBlockReader(UnsafeRawBufferPointer(rebasing: files[block.file].bytes[block.range]))
                while reader.next() {
                    guard reader.path == path else { continue }
                    let row = NameRow(
                        path: reader.path, kind: reader.kind, size: reader.size, modified: reader.modified)
                    if versions.last?.row == row {
                        versions[versions.count - 1].oldest = archive.id
                        versions[versions.count - 1].archives += 1
                    } else {
                        versions.append(NameVersion(row: row, newest: archive.id, oldest: archive.id, archives: 1))
                    }
                }
            }
        }
        return versions
    }

    /// Adds one archive: pages in order, then the archive itself.
    package final class Writer {
        private let directory: String
        private let id: Digest
        private let names: CatalogFile
        private var pages: [Digest] = []
        private var written: Set<Digest> = []
        private var isPrepared = false

        package init(directory: String, id: Digest) throws(CatalogError) {
            self.directory = directory
            self.id = id
            names = try CatalogFile(path: "\(directory)/\(id.hex).names")
            try names.append(NameCatalog.namesMagic)
        }

        /// A page that an earlier archive of the catalog holds.
        package func addKnown(_ page: Digest) { pages.append(page) }

        package func add(_ page: Digest, _ block: [UInt8]) throws(CatalogError) {
            pages.append(page)
            guard written.insert(page).inserted else { return }
            try names.append(page.bytes)
            try names.append(withUnsafeBytes(of: UInt64(block.count).littleEndian) { Array($0) })
            try names.append(block)
        }

        /// Makes everything ready that can be before the archive has a number and a time.
        package func prepare(header: [UInt8]) throws(CatalogError) {
            try names.publish()
            try write("pending", number: 0, time: 0, header)
            isPrepared = true
        }

        package func commit(number: UInt64, time: UInt64, header: [UInt8]) throws(CatalogError) {
            if !isPrepared { try names.publish() }
            try write("archive", number: number, time: time, header)
            if isPrepared { unlink("\(directory)/\(id.hex).pending") }
        }

        private func write(_ kind: String, number: UInt64, time: UInt64, _ header: [UInt8]) throws(CatalogError) {
            let archive = CatalogArchive(id: id, number: number, time: time, header: header, pages: pages)
            try NameCatalog.write(archive, to: "\(directory)/\(id.hex).\(kind)")
        }
    }

    private static func write(_ archive: CatalogArchive, to path: String) throws(CatalogError) {
        let file = try CatalogFile(path: path)
        try file.append(archiveMagic)
        for field in [archive.number, archive.time, UInt64(archive.header.count), UInt64(archive.pages.count)] {
            try file.append(withUnsafeBytes(of: field.littleEndian) { Array($0) })
        }
        try file.append(archive.header)
        for page in archive.pages { try file.append(page.bytes) }
        try file.publish()
    }

    /// Gives a pending archive that is in the vault its place. What is torn stays missing until it is rebuilt.
    package func complete(_ id: Digest, number: UInt64, time: UInt64) throws(CatalogError) {
        let path = "\(directory)/\(id.hex).pending"
        if var archive = readArchive(path, id) {
            archive.number = number
            archive.time = time
            try Self.write(archive, to: "\(directory)/\(id.hex).archive")
        }
        unlink(path)
    }

    /// Removes a pending archive that will never be in the vault.
    package func drop(_ id: Digest) {
        for kind in ["pending", "names"] { unlink("\(directory)/\(id.hex).\(kind)") }
    }

    /// Forgets everything, so that it can be rebuilt.
    package static func clear(_ directory: String) throws(CatalogError) {
        for name in try CatalogFile.list(directory) { unlink("\(directory)/\(name)") }
    }
}
