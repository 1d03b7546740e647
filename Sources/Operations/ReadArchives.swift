import Catalog
import Domain
import Vault

/// The archives of a vault, oldest first; or, as stubs, those that were disposed of; and those that left it for volumes.
package enum ListArchives {
    package struct Report: Sendable {
        package var archives: [ArchiveRow]
        package var offline: [ArchiveRow] = []
        /// Why it cannot be told what left the vault: damage of the register of volumes.
        package var offlineProblem: String?

        package init(archives: [ArchiveRow], offline: [ArchiveRow] = [], offlineProblem: String? = nil) {
            self.archives = archives
            self.offline = offline
            self.offlineProblem = offlineProblem
        }
    }

    /// What the vault holds.
    package static func run(policy: String?, at workplace: Workplace) throws -> [ArchiveRow] {
        let open = try OpenVault(workplace)
        return try rows(open.vault.log.archives, of: policy, open)
    }

    /// The same, or what was `disposed` of, beside what is offline.
    package static func report(policy: String?, disposed: Bool, at workplace: Workplace) throws -> Report {
        let open = try OpenVault(workplace)
        let log = open.vault.log
        var (offline, problem): ([ArchiveRow], String?) = ([], nil)
        do { offline = try left(policy, open) } catch let error as any Failure where error.kind == .damaged {
            problem = error.message
        }
        let known = Set(offline.map(\.id))
        let archives = disposed ? log.committed.filter { log.disposed[$0.id] != nil } : log.archives
        let rows = try rows(archives, of: policy, open).filter { !known.contains($0.id) }
        return Report(archives: rows, offline: offline, offlineProblem: problem)
    }

    private static func rows(
        _ archives: [ArchiveRecord], of policy: String?, _ open: OpenVault
    ) throws -> [ArchiveRow] {
        let gone = open.vault.log.disposed
        return try open.headers(of: archives, all: policy != nil).compactMap { archive, header in
            if let policy, header?.policy != policy { return nil }
            return ArchiveRow(
                id: archive.id.hex, time: TimeText.seconds(Int64(clamping: archive.time)), policy: header?.policy,
                component: header?.component, host: header?.host, roots: header?.roots ?? [],
                files: header?.files, bytes: Int(clamping: archive.commit.bytes),
                entries: Int(clamping: archive.commit.entries), partial: header?.partial ?? false,
                disposed: gone[archive.id].map { TimeText.seconds(Int64(clamping: $0.time)) })
        }
    }

    private static func left(_ policy: String?, _ open: OpenVault) throws -> [ArchiveRow] {
        guard !open.vault.log.disposed.isEmpty else { return [] }
        let volumes = try VolumeRegister(open.workplace).all().sorted { $0.id < $1.id }
        let departures = try open.departures(volumes)
        let own = open.vault.vaultID.hex
        return try rows(departures.archives.map(\.archive), of: policy, open).map { row in
            var row = row
            (row.left, row.disposed) = (row.disposed, nil)
            let holding = volumes.filter { volume in
                volume.archives.contains { $0.vault == own && $0.archive == row.id }
            }
            row.volumes = holding.filter { !$0.isGone }.map(FoundRow.VolumePlace.init)
            if holding.isEmpty, let id = Digest(hex: row.id) {
                row.volumes = (departures.named[id] ?? []).sorted().map(FoundRow.VolumePlace.init(unregistered:))
            }
            return row
        }
    }
}

/// The entries of an archive, all of them or those of one directory.
package enum ListEntries {
    package static func run(
        archive: String, path: String?, recursive: Bool, at workplace: Workplace, each: (EntryRow) throws -> Void
    ) throws {
        let open = try OpenVault(workplace)
        let found = try open.archive(archive)
        let prefix = try path.map(StoredPath.parse) ?? []
        var isThere = prefix.isEmpty
        try ArchiveReader(try open.reader(), found).forEachEntry(under: prefix) { page in
            if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            let isItself = page.path.count == prefix.count
            isThere = true
            // Without recursion: a directory shows what is directly in it, anything else itself.
            if !recursive {
                if isItself, page.kind == .directory { return true }
                let inner = page.path.dropFirst(prefix.isEmpty ? 0 : prefix.count + 1)
                if inner.contains(0x2F) { return true }
            }
            try each(EntryRow(try page.entry()))
            return true
        }
        guard isThere else {
            throw OperationError(
                .notFound, "\(path ?? "/") is not in archive \(found.id.hex.prefix(12))",
                hint: "`qala find` searches names in all archives.")
        }
    }
}

extension EntryRow {
    init(_ entry: Entry) {
        self.init(
            path: entry.displayPath, pathBytes: PathBytes.base64(stored: entry.path), kind: entry.kind.name,
            size: Int(clamping: entry.size),
            mode: ModeText.text(entry.kind, entry.permissions),
            user: entry.userName.isEmpty ? "\(entry.userID)" : String(decoding: entry.userName, as: UTF8.self),
            group: entry.groupName.isEmpty ? "\(entry.groupID)" : String(decoding: entry.groupName, as: UTF8.self),
            modified: TimeText.exact(entry.modified),
            target: entry.kind == .symlink ? String(decoding: entry.linkTarget, as: UTF8.self) : nil,
            targetBytes: entry.kind == .symlink ? PathBytes.base64(entry.linkTarget) : nil)
    }
}

extension EntryKind {
    var name: String {
        switch self {
        case .file: "file"
        case .directory: "directory"
        case .symlink: "symlink"
        case .fifo: "fifo"
        case .socket: "socket"
        case .characterDevice: "characterDevice"
        case .blockDevice: "blockDevice"
        }
    }
}

/// Permissions as `ls` writes them.
enum ModeText {
    static func text(_ kind: EntryKind, _ mode: UInt16) -> String {
        let first =
            switch kind {
            case .file: "-"
            case .directory: "d"
            case .symlink: "l"
            case .fifo: "p"
            case .socket: "s"
            case .characterDevice: "c"
            case .blockDevice: "b"
            }
        func triple(_ shift: UInt16, _ special: UInt16, _ set: (String, String)) -> String {
            let bits = mode >> shift & 7
            let run = mode & special != 0 ? (bits & 1 != 0 ? set.0 : set.1) : (bits & 1 != 0 ? "x" : "-")
            return (bits & 4 != 0 ? "r" : "-") + (bits & 2 != 0 ? "w" : "-") + run
        }
        return first + triple(6, 0o4000, ("s", "S")) + triple(3, 0o2000, ("s", "S")) + triple(0, 0o1000, ("t", "T"))
    }
}

/// The content of one file, piece by piece in order.
package enum ReadFile {
    package static func run(
        archive: String, path: String, at workplace: Workplace, write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let open = try OpenVault(workplace)
        let found = try open.archive(archive)
        let wanted = try StoredPath.parse(path)
        let reader = try open.reader()
        let tree = try ArchiveReader(reader, found)
        var content: Content?
        try tree.forEachEntry(under: wanted) { page in
            guard page.path == wanted else { return false }
            guard page.kind == .file else {
                throw OperationError(
                    .usage, "\(path) is a \(page.kind.name), not a file", hint: "`qala ls` lists a directory.")
            }
            content = page.content
            return false
        }
        guard let content else {
            throw OperationError(
                .notFound, "\(path) is not in archive \(found.id.hex.prefix(12))",
                hint: "`qala find` searches names in all archives.")
        }
        try tree.read(content, with: try ChunkReader(reader, for: found)) { bytes in
            if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            try write(bytes)
        }
    }
}

/// What differs between two archives.
package enum CompareArchives {
    package static func run(
        _ a: String, _ b: String, at workplace: Workplace, each: (DifferenceRow) throws -> Void
    ) throws {
        let open = try OpenVault(workplace)
        let reader = try open.reader()
        let before = try EntryStream(reader, try open.archive(a))
        let after = try EntryStream(reader, try open.archive(b))
        while before.current != nil || after.current != nil {
            if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            if try before.skipSharedPage(with: after) { continue }
            let order: Int
            if let x = before.current, let y = after.current {
                order = PathOrder.compare(x.path, y.path)
            } else {
                order = before.current == nil ? 1 : -1
            }
            if order < 0, let x = before.current {
                try each(DifferenceRow("-", x, sizeBefore: x.size))
                try before.advance()
            } else if order > 0, let y = after.current {
                try each(DifferenceRow("+", y, sizeAfter: y.size))
                try after.advance()
            } else if let x = before.current, let y = after.current {
                if let change = difference(x, before.content, y, after.content) {
                    try each(DifferenceRow(change, y, sizeBefore: x.size, sizeAfter: y.size))
                }
                try before.advance()
                try after.advance()
            }
        }
    }

    private static func difference(_ x: Entry, _ before: Content, _ y: Entry, _ after: Content) -> String? {
        if x.kind != y.kind { return "T" }
        if x.size != y.size || before != after || x.linkTarget != y.linkTarget || x.deviceNumber != y.deviceNumber {
            return "M"
        }
        let same =
            x.permissions == y.permissions && x.userID == y.userID && x.groupID == y.groupID
            && x.modified == y.modified && x.attributes == y.attributes
        return same ? nil : "A"
    }
}

extension DifferenceRow {
    fileprivate init(_ change: String, _ entry: Entry, sizeBefore: UInt64? = nil, sizeAfter: UInt64? = nil) {
        self.init(
            change: change, path: entry.displayPath, pathBytes: PathBytes.base64(stored: entry.path),
            sizeBefore: sizeBefore.map { Int(clamping: $0) }, sizeAfter: sizeAfter.map { Int(clamping: $0) })
    }
}

/// The entries of one archive, pulled one by one.
private final class EntryStream {
    private let pages: [ArchiveReader.PageReference]
    private let tree: ArchiveReader
    private var index = 0
    private var cursor: PageCursor?
    private(set) var current: Entry?
    private(set) var content = Content.none
    private var isAtPageStart = false

    init(_ reader: VaultReader, _ archive: ArchiveRecord) throws {
        tree = try ArchiveReader(reader, archive)
        var pages: [ArchiveReader.PageReference] = []
        try tree.forEachPageReference { page in
            pages.append(page)
            return true
        }
        self.pages = pages
        try openPage()
    }

    private func openPage() throws {
        while index < pages.count {
            let page = try tree.page(pages[index])
            cursor = page
            isAtPageStart = true
            if try step() { return }
            index += 1
        }
        cursor = nil
        current = nil
    }

    private func step() throws -> Bool {
        guard let cursor, try cursor.next() else { return false }
        current = try cursor.entry()
        content = cursor.content
        return true
    }

    func advance() throws {
        isAtPageStart = false
        if try step() { return }
        index += 1
        try openPage()
    }

    /// Both stand at the start of the very same page: nothing in it differs.
    func skipSharedPage(with other: EntryStream) throws -> Bool {
        guard isAtPageStart, other.isAtPageStart, current != nil, other.current != nil,
            pages[index].id == other.pages[other.index].id
        else { return false }
        index += 1
        other.index += 1
        try openPage()
        try other.openPage()
        return true
    }
}
