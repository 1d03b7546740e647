import Domain
@testable import Vault

private let digest = Digest(words: (5, 6, 7, 8))

let treeTargets = [
    Target(name: "page", run: readPage, seeds: { [page()] }),
    Target(
        name: "node",
        run: { bytes in
            bytes.withUnsafeBytes { raw in
                guard let node = try? Node(decoding: raw) else { return }
                expect(node.encode() == bytes, "a node has one encoding")
            }
        },
        seeds: {
            let children = ["a", "a/b", "c"].map { NodeChild(firstPath: Array($0.utf8), id: digest, entries: 7) }
            return [Node(level: 1, children: children).encode(), Node(level: 2, children: []).encode()]
        }),
]

/// What can be read can be taken over into a new page, and reads the same there.
private func readPage(_ bytes: [UInt8]) {
    guard let cursor = try? PageCursor(bytes) else { return }
    var builder = PageBuilder()
    var seen: [Entry] = []
    var last: [UInt8] = []
    while (try? cursor.next()) == true {
        expect(PathOrder.isWellFormed(cursor.path), "a path is well formed")
        expect(last.isEmpty || PathOrder.compare(last, cursor.path) < 0, "paths are in order")
        last = cursor.path
        guard let entry = try? cursor.entry() else { return }
        if case .extents(let extents) = cursor.content {
            expect(extents.reduce(0) { $0 + $1.length } == entry.size, "extents fill their file")
        }
        seen.append(entry)
        builder.append(cursor)
    }
    let (again, _) = builder.encode { handle in
        switch handle {
        case .known(let id): id
        case .pending: .zero
        }
    }
    guard let copy = try? PageCursor(again) else { return expect(false, "a page taken over can be read") }
    for entry in seen {
        guard (try? copy.next()) == true, let same = try? copy.entry() else {
            return expect(false, "an entry taken over can be read")
        }
        expect(same == entry, "an entry is the same after it was taken over")
    }
}

private func page() -> [UInt8] {
    var builder = PageBuilder()
    func add(_ path: String, _ kind: EntryKind, _ size: UInt64, _ content: PendingContent) {
        var entry = Entry(
            path: Array(path.utf8), kind: kind, permissions: 0o644, userID: 0, groupID: 5, size: size,
            modified: Timestamp(seconds: -3, nanoseconds: 4), changed: Timestamp(seconds: 1 << 40), device: 3,
            inode: 77, linkCount: kind == .file ? 2 : 1)
        entry.userName = Array("root".utf8)
        entry.attributes = [ExtendedAttribute(name: Array("user.a".utf8), value: [1, 2])]
        if kind == .symlink { entry.linkTarget = Array("../x".utf8) }
        entry.deviceNumber = kind == .blockDevice ? 259 : 0
        builder.append(entry, content)
    }
    add("a", .directory, 0, .none)
    add("a/file", .file, 10, .member(.known(digest), 3))
    let extents = [PendingExtent(length: 6, chunk: .known(digest)), PendingExtent(length: 4, chunk: nil)]
    add("a/large", .file, 10, .extents(extents))
    add("a/link", .symlink, 4, .none)
    add("b", .blockDevice, 0, .none)
    add("c", .file, 0, .none)
    return builder.encode { _ in digest }.bytes
}
