import Domain
import Testing

@testable import Vault

/// How a restore must take a lie.
enum Reception: Sendable {
    /// The whole archive is refused as damaged, by the restore and by `verify`.
    case refused
    /// The restore goes on and names what it could not restore.
    case problem
    /// Nothing is wrong with it but its intent: restored within the target.
    case harmless
}

/// A lie, and how it is told.
struct Lie: Sendable, CustomTestStringConvertible {
    var name: String
    var reception: Reception
    var tell: @Sendable (LyingVault) throws -> Void

    var testDescription: String { name }

    init(_ name: String, _ reception: Reception, _ tell: @escaping @Sendable (LyingVault) throws -> Void) {
        self.name = name
        self.reception = reception
        self.tell = tell
    }

    /// One page of handmade entries; the node names `first` as its first path.
    static func page(
        _ name: String, _ reception: Reception, first: [UInt8] = Array("a".utf8), entries: UInt64 = 1,
        _ fill: @escaping @Sendable (inout HandmadePage, LyingVault) throws -> Void
    ) -> Lie {
        Lie(name, reception) { vault in
            var page = HandmadePage()
            try fill(&page, vault)
            try vault.commit(page: page.bytes, firstPath: first, entries: entries)
        }
    }
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }
private let kinds: [(String, UInt8, @Sendable (inout ByteWriter) -> Void)] = [
    ("file", 0, { $0.varint(0) }), ("directory", 1, { _ in }), ("link", 2, { $0.blob(utf8("x")) }),
    ("pipe", 3, { _ in }),
]

/// Lies about names, each with every kind of entry.
let liesAboutNames: [Lie] = {
    let paths = [
        "/", "/etc/passwd", "//", "..", "../outside/file", "a/..", "a/../../outside/file", "a/b/../../../x", ".", "./a",
        "a/.", "a/./b", "", "a//b", "a/", "\0", "a\0b", "a/\0", "a/\0/b", "a/..\0",
    ]
    var lies: [Lie] = []
    for path in paths {
        for (kind, flags, rest) in kinds {
            lies.append(
                .page("\(kind) \(path.debugDescription)", .refused, first: utf8(path)) { page, _ in
                    page.add(utf8(path), flags: flags, rest)
                })
        }
    }
    // The forbidden component comes about by joining the shared part and the suffix.
    for (shared, suffix) in [(2, ".."), (2, "../x"), (2, "."), (2, "./x"), (3, "/.."), (3, "//x"), (3, "/")] {
        lies.append(
            .page("a/! then \(shared) shared and \(suffix)", .refused, first: utf8("a/!"), entries: 2) { page, _ in
                page.add(utf8("a/!"), flags: 1)
                page.add(shared: UInt64(shared), utf8(suffix), flags: 1)
            })
    }
    for suffix in [".", "./x"] {
        lies.append(
            .page("a/., then 3 shared and \(suffix)", .refused, first: utf8("a/.,"), entries: 2) { page, _ in
                page.add(utf8("a/.,"), flags: 1)
                page.add(shared: 3, utf8(suffix), flags: 1)
            })
    }
    lies.append(
        .page("a path of 65 536 bytes", .refused) { page, _ in
            page.add([UInt8](repeating: 0x61, count: 65_536), flags: 1)
        })
    return lies
}()

/// Lies about the order of entries.
let liesAboutOrder: [Lie] = {
    let pairs: [(String, UInt64, String)] = [
        ("a", 0, "a"), ("a", 1, ""), ("b", 0, "a"), ("a/b", 0, "a"), ("a-b", 1, "/b"), ("ab", 0, "a"), ("a", 2, "b"),
        ("a", .max, "b"), ("a/b", 2, "a"),
    ]
    var lies = pairs.map { first, shared, suffix in
        Lie.page("\(first) then \(shared) shared and \(suffix)", .refused, first: utf8(first), entries: 2) { page, _ in
            page.add(utf8(first), flags: 1)
            page.add(shared: shared, utf8(suffix), flags: 1)
        }
    }
    lies.append(
        .page("a first entry that shares", .refused, first: utf8("ab")) { page, _ in
            page.add(shared: 1, utf8("b"), flags: 1)
        })
    @Sendable func directory(_ path: String) -> [UInt8] {
        var page = HandmadePage()
        page.add(utf8(path), flags: 1)
        return page.bytes
    }
    func twoPages(_ name: String, _ said: [String], _ are: [String], entries: UInt64 = 1) -> Lie {
        Lie(name, .refused) { vault in
            let children = try zip(said, are).map { said, path in
                NodeChild(firstPath: utf8(said), id: try vault.add(directory(path), .page), entries: entries)
            }
            try vault.commit(root: try vault.node(1, children), entries: UInt64(children.count) * entries)
        }
    }
    lies += [
        twoPages("pages out of order", ["b", "a"], ["b", "a"]),
        twoPages("the same page twice", ["a", "b"], ["a", "a"]),
        twoPages("a page that does not begin as said", ["a"], ["b"]),
        twoPages("a page with fewer entries than said", ["a"], ["a"], entries: 2),
        Lie("the second page begins inside the first", .refused) { vault in
            var first = HandmadePage()
            first.add(utf8("a"), flags: 1)
            first.add(utf8("c"), flags: 1)
            let children = [
                NodeChild(firstPath: utf8("a"), id: try vault.add(first.bytes, .page), entries: 2),
                NodeChild(firstPath: utf8("b"), id: try vault.add(directory("b"), .page), entries: 1),
            ]
            try vault.commit(root: try vault.node(1, children), entries: 3)
        },
    ]
    return lies
}()

/// Lies about lengths, counts and numbers.
let liesAboutCounts: [Lie] = {
    var lies: [Lie] = [
        .page("a chunk table of 2^63", .refused) { page, _ in page.chunkCount = 1 << 63 },
        .page("a chunk table of 2^20 that is not there", .refused) { page, _ in page.chunkCount = 1 << 20 },
        .page("2^62 owners", .refused) { page, _ in page.ownerCount = 1 << 62 },
        .page("2^62 devices", .refused) { page, _ in page.deviceCount = 1 << 62 },
        .page("no owners", .refused) { page, _ in
            page.ownerCount = 0
            page.add(utf8("a"), flags: 1)
        },
        .page("no devices", .refused) { page, _ in
            page.deviceCount = 0
            page.add(utf8("a"), flags: 1)
        },
        .page("2^40 entries", .refused, entries: 1 << 40) { page, _ in
            page.entryCount = 1 << 40
            page.add(utf8("a"), flags: 1)
        },
        .page("no entries", .refused, entries: 0) { _, _ in },
        .page("bytes behind the last entry", .refused) { page, _ in
            page.add(utf8("a"), flags: 1)
            page.raw([0])
        },
    ]
    func entry(_ name: String, _ fill: @escaping @Sendable (inout HandmadePage) -> Void) {
        lies.append(.page(name, .refused) { page, _ in fill(&page) })
    }
    entry("a kind that there is not") { $0.add(utf8("a"), flags: 7) }
    entry("an owner that there is not") { $0.add(utf8("a"), flags: 1, owner: 1) }
    entry("an owner of 2^64 - 1") { $0.add(utf8("a"), flags: 1, owner: .max) }
    entry("a device that there is not") { $0.add(utf8("a"), flags: 1, device: 1) }
    entry("thirteen bits of permissions") { $0.add(utf8("a"), flags: 1, permissions: 0o10000) }
    entry("a second of nanoseconds") { $0.add(utf8("a"), flags: 1, nanoseconds: 1_000_000_000) }
    for links in [0, 1, 1 << 40] as [UInt64] {
        entry("\(links) links") { $0.add(utf8("a"), links: links) { $0.varint(0) } }
    }
    entry("a target of 2^40 bytes") { $0.add(utf8("a"), flags: 2) { $0.varint(1 << 40) } }
    entry("a target of 70 000 bytes") { $0.add(utf8("a"), flags: 2) { $0.blob([UInt8](repeating: 65, count: 70_000)) } }
    entry("2^50 attributes") { $0.add(utf8("a"), flags: 1 | 1 << 5) { $0.varint(1 << 50) } }
    entry("a name of an attribute of 256 bytes") {
        $0.add(utf8("a"), flags: 1 | 1 << 5) {
            $0.varint(1)
            $0.blob([UInt8](repeating: 65, count: 256))
            $0.blob([])
        }
    }
    entry("5 MiB of attributes") {
        $0.add(utf8("a"), flags: 1 | 1 << 5) { writer in
            writer.varint(5)
            for number in 0..<UInt8(5) {
                writer.blob(utf8("user.") + [65 + number])
                writer.blob([UInt8](repeating: 0, count: 1 << 20))
            }
        }
    }
    entry("a member of no group") {
        $0.add(utf8("a"), flags: 1 << 6) { writer in for value in [5, 0, 0] as [UInt64] { writer.varint(value) } }
    }
    entry("a chunk that is not in the table") {
        $0.add(utf8("a")) { writer in for value in [5, 1, 10, 0] as [UInt64] { writer.varint(value) } }
    }
    let extents: [(String, [UInt64])] = [
        ("a file of 2^63 bytes", [1 << 63, 1, .max]), ("2^61 extents", [5, 1 << 61]),
        ("no extents", [5, 0]), ("extents that fill less", [5, 1, 4 << 1 | 1]),
        ("extents that fill more", [5, 1, 6 << 1 | 1]), ("an empty extent", [5, 2, 1, 5 << 1 | 1]),
        ("extents that overflow", [5, 3, UInt64.max, UInt64.max, 7 << 1 | 1]),
    ]
    for (name, numbers) in extents {
        entry(name) { $0.add(utf8("a")) { writer in for number in numbers { writer.varint(number) } } }
    }
    return lies
}()
