import Domain

/// A child of a node: a page, or a node one level below.
struct NodeChild: Sendable {
    var firstPath: [UInt8]
    var id: Digest
    var entries: UInt64
}

/// A node of a tree: sorted children.
struct Node: Sendable {
    var level: UInt8
    var children: [NodeChild]

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 128 * children.count + 16)
        writer.u8(1)
        writer.u8(level)
        writer.varint(UInt64(children.count))
        for child in children {
            writer.blob(child.firstPath)
            writer.digest(child.id)
            writer.varint(child.entries)
        }
        return writer.bytes
    }

    init(level: UInt8, children: [NodeChild]) {
        self.level = level
        self.children = children
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(VaultError) {
        var reader = ByteReader(bytes, reading: "a node of a tree")
        guard try reader.u8() == 1 else { throw reader.malformed("its version is unknown") }
        level = try reader.u8()
        guard level >= 1, level <= 8 else { throw reader.malformed("its level is out of bounds") }
        children = []
        for _ in 0..<(try reader.varint(upTo: min(PageFormat.childLimit, reader.remaining / 34))) {
            let path = try reader.blob(upTo: Entry.maximumPathBytes)
            if let last = children.last, PathOrder.compare(last.firstPath, path) >= 0 {
                throw reader.malformed("its children are out of order")
            }
            children.append(NodeChild(firstPath: path, id: try reader.digest(), entries: try reader.varint()))
        }
        try reader.expectEnd()
    }
}

/// Collects the pages of a tree in order and makes the nodes above them. A node is emitted as soon as it is full, so that
/// memory grows with the depth of the tree, not with its size.
struct NodeBuilder {
    private static let childrenPerNode = 2048
    /// Paths of 64 KiB must not make a node larger than a chunk may be.
    private static let pathBytesPerNode = 4 << 20
    private var levels: [[NodeChild]] = [[]]
    private var pathBytes: [Int] = [0]
    private(set) var entries: UInt64 = 0

    /// `emit` stores a node's bytes and returns their chunk id.
    mutating func add(
        _ child: NodeChild, emit: ([UInt8]) throws(VaultError) -> Digest
    ) throws(VaultError) {
        entries += child.entries
        try add(child, at: 0, emit)
    }

    private mutating func add(
        _ child: NodeChild, at level: Int, _ emit: ([UInt8]) throws(VaultError) -> Digest
    ) throws(VaultError) {
        if level == levels.count {
            levels.append([])
            pathBytes.append(0)
        }
        levels[level].append(child)
        pathBytes[level] += child.firstPath.count
        if levels[level].count == Self.childrenPerNode || pathBytes[level] >= Self.pathBytesPerNode {
            try close(level, emit)
        }
    }

    private mutating func close(
        _ level: Int, _ emit: ([UInt8]) throws(VaultError) -> Digest
    ) throws(VaultError) {
        let children = levels[level]
        levels[level] = []
        pathBytes[level] = 0
        let id = try emit(Node(level: UInt8(level + 1), children: children).encode())
        let parent = NodeChild(
            firstPath: children.first?.firstPath ?? [], id: id, entries: children.reduce(0) { $0 + $1.entries })
        try add(parent, at: level + 1, emit)
    }

    /// Closes what is open; returns the root and its level.
    mutating func finish(
        emit: ([UInt8]) throws(VaultError) -> Digest
    ) throws(VaultError) -> (root: Digest, level: UInt8) {
        var level = 0
        while true {
            let isTop = level == levels.count - 1
            if isTop, level > 0, levels[level].count == 1 { return (levels[level][0].id, UInt8(level)) }
            if !levels[level].isEmpty || level == 0 && isTop { try close(level, emit) }
            level += 1
        }
    }
}
