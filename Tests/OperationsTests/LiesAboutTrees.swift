import Domain

@testable import Vault

/// Lies about contents and chunks.
let liesAboutContents: [Lie] =
    [
        .page("a chunk of another length", .problem) { page, vault in
            page.chunks = [try vault.data("hello")]
            page.addFile("a", length: 6)
        },
        .page("a chunk that is not there", .problem) { page, _ in
            page.chunks = [Digest(words: (1, 2, 3, 4))]
            page.addFile("a", length: 6)
        },
        .page("a page for data", .problem) { page, vault in
            var other = HandmadePage()
            other.add(utf8("x"), flags: 1)
            page.chunks = [try vault.add(other.bytes, .page)]
            page.addFile("a", length: UInt64(other.bytes.count))
        },
        .page("a member behind the last", .problem) { page, vault in
            page.chunks = [try vault.group(["one", "two"])]
            page.addMember("a", member: 2, length: 3)
        },
        .page("a member number of 16 Mi", .problem) { page, vault in
            page.chunks = [try vault.group(["one", "two"])]
            page.addMember("a", member: 16 << 20, length: 3)
        },
        .page("a member of another length", .problem) { page, vault in
            page.chunks = [try vault.group(["one", "two"])]
            page.addMember("a", member: 0, length: 4)
        },
        .page("a member of a data chunk", .problem) { page, vault in
            page.chunks = [try vault.data("hello")]
            page.addMember("a", member: 0, length: 5)
        },
        .page("a group that claims 2^32 - 1 members", .problem) { page, vault in
            page.chunks = [try vault.add([255, 255, 255, 255, 0, 0, 0, 0], .group)]
            page.addMember("a", member: 0, length: 1)
        },
        .page("a group whose lengths exceed it", .problem) { page, vault in
            page.chunks = [try vault.add([1, 0, 0, 0, 255, 255, 255, 255, 65], .group)]
            page.addMember("a", member: 0, length: 1)
        },
        .page("a chunk under the id of another", .problem) { page, vault in
            let id = vault.identity(utf8("hello"), .data)
            try vault.addRecord([5, 0, 0, 0, 5, 0, 0, 0] + utf8("jello"), .data, codec: .raw, id: id)
            page.chunks = [id]
            page.addFile("a", length: 5)
        },
    ] + payloads

/// Payloads that lie about their lengths, and bombs. The id is that of what they would yield.
private let payloads: [Lie] = {
    func payload(
        _ name: String, _ codec: ChunkCodec, _ plain: [UInt8], _ plainCount: UInt32, _ packedCount: UInt32,
        _ packed: [UInt8]
    ) -> Lie {
        .page(name, .problem) { page, vault in
            let id = vault.identity(plain, .data)
            var writer = ByteWriter()
            writer.u32(plainCount)
            writer.u32(packedCount)
            writer.raw(packed)
            try vault.addRecord(writer.bytes, .data, codec: codec, id: id)
            page.chunks = [id]
            page.addFile("a", length: UInt64(plain.count))
        }
    }
    let word = utf8("hello")
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    let frame = ZstandardFrame.ofZeros(zeros.count)
    return [
        payload("a raw chunk that claims 4 GiB", .raw, word, .max, 5, word),
        payload("a raw chunk whose packed length exceeds it", .raw, word, 5, .max, word),
        payload("a raw chunk with two lengths", .raw, word, 5, 4, word),
        payload("a frame that claims 4 GiB", .zstd, zeros, .max, UInt32(frame.count), frame),
        payload("a frame that yields more than declared", .zstd, word, 5, UInt32(frame.count), frame),
        payload("a frame that yields less than declared", .zstd, zeros, 2 << 20, UInt32(frame.count), frame),
        payload("a frame that is cut", .zstd, zeros, 1 << 20, UInt32(frame.count - 1), frame),
        payload("no frame", .zstd, word, 5, 5, word),
        payload("an empty frame", .zstd, word, 5, 0, []),
        payload("two frames", .zstd, zeros + zeros, 2 << 20, UInt32(2 * frame.count), frame + frame),
        payload(
            "a frame behind a skippable one", .zstd, zeros, 1 << 20, UInt32(12 + frame.count),
            [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4] + frame),
        payload(
            "a window of 128 MiB", .zstd, zeros, 1 << 20, UInt32(frame.count + 1),
            ZstandardFrame.ofZeros(zeros.count, windowLog: 27)),
    ]
}()

/// Lies that stand in no single entry: files where directories must be, links through links, claims of size.
let liesOfSeveralEntries: [Lie] = [
    .page("a file, then what is in it", .refused, entries: 2) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.addFile("a", length: 5)
        page.addFile("a/b", length: 5)
    },
    .page("a pipe, then what is in it", .refused, entries: 2) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.add(utf8("a"), flags: 3)
        page.addFile("a/b", length: 5)
    },
    .page("a link out of the target, then a file through it", .refused, entries: 2) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.addLink("a", to: vault.outside)
        page.addFile("a/file", length: 5)
    },
    .page("a relative link out of the target, then a directory through it", .refused, entries: 3) { page, _ in
        page.addLink("a", to: utf8("../outside"))
        page.add(utf8("a/directory"), flags: 1, permissions: 0)
        page.add(utf8("a/new"), flags: 1)
    },
    .page("a link to the target itself, then through it", .refused, entries: 2) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.addLink("a", to: utf8("."))
        page.addFile("a/b", length: 5)
    },
    .page("a link through a link", .refused, entries: 3) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.addLink("a", to: utf8("b"))
        page.addFile("a/file", length: 5)
        page.addLink("b", to: vault.outside)
    },
    .page("a directory with a link out of it, then a file through that", .refused, entries: 3) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.add(utf8("a"), flags: 1)
        page.addLink("a/l", to: utf8("../../outside"))
        page.addFile("a/l/file", length: 5)
    },
    Lie("a link out of the target, then a file through it in the next page", .refused) { vault in
        var first = HandmadePage()
        first.addLink("a", to: vault.outside)
        var second = HandmadePage()
        second.chunks = [try vault.data("hello")]
        second.addFile("a/file", length: 5)
        let children = [
            NodeChild(firstPath: utf8("a"), id: try vault.add(first.bytes, .page), entries: 1),
            NodeChild(firstPath: utf8("a/file"), id: try vault.add(second.bytes, .page), entries: 1),
        ]
        try vault.commit(root: try vault.node(1, children), entries: 2)
    },
    .page("a link and a file that claim to be one", .harmless, entries: 2) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.addLink("a", to: vault.outside + utf8("/file"), links: 2)
        page.addFile("b", length: 5, links: 2, inode: 0)
    },
    .page("a file and a link that claim to be one", .harmless, entries: 2) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.addFile("a", length: 5, links: 2)
        page.addLink("b", to: vault.outside + utf8("/file"), links: 2, inode: 0)
    },
    .page("links out of the target alone", .harmless, entries: 2) { page, vault in
        page.addLink("a", to: vault.outside)
        page.addLink("b", to: utf8("/etc/passwd"))
    },
    .page("a link to nothing", .problem) { page, _ in page.addLink("a", to: []) },
    .page("a link with a zero byte", .problem) { page, _ in page.addLink("a", to: utf8("x\0y")) },
    .page("an attribute without a name", .refused) { page, _ in
        page.add(utf8("a"), flags: 1 | 1 << 5) { writer in
            writer.varint(1)
            writer.blob([])
            writer.blob([1])
        }
    },
    .page("an attribute with a zero byte in its name", .refused) { page, _ in
        page.add(utf8("a"), flags: 1 | 1 << 5) { writer in
            writer.varint(1)
            writer.blob(utf8("user.a\0b"))
            writer.blob([1])
        }
    },
    .page("a hole of a tebibyte", .harmless) { page, _ in
        page.add(utf8("a")) { writer in for number in [1 << 40, 1, 1 << 41 | 1] as [UInt64] { writer.varint(number) } }
    },
    .page("three holes of 2^63 - 1 bytes", .problem, entries: 3) { page, _ in
        for name in ["a", "b", "c"] {
            page.add(utf8(name)) { writer in
                for number in [UInt64(Int64.max), 1, UInt64(Int64.max) << 1 | 1] { writer.varint(number) }
            }
        }
    },
    .page("a chunk behind a hole of 2^62 bytes", .problem) { page, vault in
        page.chunks = [try vault.data("hello")]
        page.add(utf8("a")) { writer in
            for number in [1 << 62 + 5, 2, 1 << 63 | 1, 5 << 1, 0] as [UInt64] { writer.varint(number) }
        }
    },
    .page("a name of 256 bytes", .problem, first: [UInt8](repeating: 0x61, count: 256)) { page, _ in
        page.add([UInt8](repeating: 0x61, count: 256), flags: 1)
    },
]

/// Lies about nodes and the commit record.
let liesAboutNodes: [Lie] = {
    @Sendable func directory(_ vault: LyingVault) throws -> Digest {
        var page = HandmadePage()
        page.add(utf8("a"), flags: 1)
        return try vault.add(page.bytes, .page)
    }
    var lies: [Lie] = ([0, 2, 9, 255] as [UInt8]).map { level in
        Lie("a commit of level \(level) for a root of level 1", .refused) { vault in
            let root = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: try directory(vault), entries: 1)])
            try vault.commit(root: root, level: level)
        }
    }
    lies += [
        Lie("a page for the root", .refused) { try $0.commit(root: try directory($0)) },
        Lie("a root that is not there", .refused) { try $0.commit(root: Digest(words: (1, 2, 3, 4))) },
        Lie("a child that is not there", .refused) { vault in
            try vault.commit(
                root: try vault.node(1, [NodeChild(firstPath: utf8("a"), id: Digest(words: (1, 2, 3, 4)), entries: 1)]))
        },
        Lie("a node of level 9", .refused) { vault in
            try vault.commit(
                root: try vault.node(9, [NodeChild(firstPath: utf8("a"), id: .zero, entries: 1)]), level: 9)
        },
        Lie("a node that claims 2^62 children", .refused) { vault in
            var writer = ByteWriter()
            writer.u8(1)
            writer.u8(1)
            writer.varint(1 << 62)
            try vault.commit(root: try vault.add(writer.bytes, .node))
        },
        Lie("a node in place of a page", .refused) { vault in
            let inner = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: try directory(vault), entries: 1)])
            try vault.commit(root: try vault.node(1, [NodeChild(firstPath: utf8("a"), id: inner, entries: 1)]))
        },
        Lie("a page in place of a node", .refused) { vault in
            let child = NodeChild(firstPath: utf8("a"), id: try directory(vault), entries: 1)
            try vault.commit(root: try vault.node(2, [child]), level: 2)
        },
        Lie("a node of level 1 below one of level 3", .refused) { vault in
            let inner = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: try directory(vault), entries: 1)])
            try vault.commit(
                root: try vault.node(3, [NodeChild(firstPath: utf8("a"), id: inner, entries: 1)]), level: 3)
        },
        Lie("nodes that add up to more than 2^64 entries", .refused) { vault in
            let page = try directory(vault)
            let children = ["a", "b"].map { NodeChild(firstPath: utf8($0), id: page, entries: .max) }
            try vault.commit(root: try vault.node(1, children), entries: .max)
        },
        // 1000^7 paths through eight nodes: reading it to the end would take for ever.
        Lie("a tree of empty nodes, each a thousand times the child of the next", .refused) { vault in
            try vault.commit(root: try thousandfold(vault, try vault.node(1, [])), level: 8)
        },
        Lie("a tree of one page, each node a thousand times the child of the next", .refused) { vault in
            let leaf = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: try directory(vault), entries: 1)])
            try vault.commit(root: try thousandfold(vault, leaf), level: 8)
        },
        Lie("a child node that begins elsewhere than said", .refused) { vault in
            let inner = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: try directory(vault), entries: 1)])
            let children = [NodeChild(firstPath: utf8("0"), id: inner, entries: 1)]
            try vault.commit(root: try vault.node(2, children), level: 2)
        },
    ]
    return lies
}()

/// Seven levels above `leaf`, each node with the same child a thousand times.
private func thousandfold(_ vault: LyingVault, _ leaf: Digest) throws -> Digest {
    var id = leaf
    for level in UInt8(2)...8 {
        id = try vault.node(
            level,
            (0..<1000).map { NodeChild(firstPath: utf8("a\(1000 + $0)"), id: id, entries: 1) })
    }
    return id
}
