import Domain
import Testing

@testable import Vault

/// A generator of random numbers that a seed reproduces.
struct Dice: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Random entries in order, with everything that Linux allows and more.
private struct EntryMaker {
    var dice: Dice
    private let chunks = (0..<5).map { Digest(words: (UInt64($0), 1, 2, 3)) }

    init(seed: UInt64) { dice = Dice(seed: seed) }

    mutating func name(upTo limit: Int = 12) -> [UInt8] {
        while true {
            let count = Int.random(in: 1...limit, using: &dice)
            let name = (0..<count).map { _ in UInt8.random(in: 1...255, using: &dice) }
            if !name.contains(0x2F), name != [0x2E], name != [0x2E, 0x2E] { return name }
        }
    }

    /// Paths in order; what has another below it is a directory.
    mutating func tree(_ count: Int) -> [(Entry, PendingContent)] {
        var paths: Set<[UInt8]> = []
        var directories: [[UInt8]] = [[]]
        while paths.count < count {
            let parent = directories.randomElement(using: &dice) ?? []
            let path = parent + (parent.isEmpty ? [] : [0x2F]) + name()
            paths.insert(path)
            if Bool.random(using: &dice), directories.count < count { directories.append(path) }
        }
        let above = Set(directories)
        return paths.sorted { PathOrder.compare($0, $1) < 0 }.map { entry($0, isDirectory: above.contains($0)) }
    }

    mutating func entry(_ path: [UInt8], isDirectory: Bool) -> (Entry, PendingContent) {
        let kind = isDirectory ? .directory : EntryKind.allCases.randomElement(using: &dice) ?? .file
        func time() -> Timestamp {
            let seconds: [Int64] = [.min, .max, 0, -1, 1_700_000_000, .random(in: .min ... .max, using: &dice)]
            return Timestamp(
                seconds: seconds.randomElement(using: &dice) ?? 0,
                nanoseconds: .random(in: 0...999_999_999, using: &dice))
        }
        let number: (inout Dice) -> UInt64 = { dice in
            [0, 1, .max, .random(in: 0 ... .max, using: &dice)].randomElement(using: &dice) ?? 0
        }
        var entry = Entry(
            path: path, kind: kind, permissions: .random(in: 0...0o7777, using: &dice),
            userID: UInt32(truncatingIfNeeded: number(&dice)), groupID: UInt32(truncatingIfNeeded: number(&dice)),
            size: 0,
            modified: time(), changed: time(), device: number(&dice), inode: number(&dice),
            linkCount: [1, 2, .max].randomElement(using: &dice) ?? 1)
        entry.isRacy = .random(using: &dice)
        entry.changedWhileRead = .random(using: &dice)
        entry.userName = Bool.random(using: &dice) ? name(upTo: PageFormat.ownerNameLimit) : []
        entry.groupName = Bool.random(using: &dice) ? name() : []
        var names = Set((0..<Int.random(in: 0...3, using: &dice)).map { _ in name(upTo: 255) })
        names.remove([])
        entry.attributes = names.sorted { $0.lexicographicallyPrecedes($1) }.map {
            ExtendedAttribute(name: $0, value: Bool.random(using: &dice) ? [] : name())
        }
        switch kind {
        case .symlink:
            entry.linkTarget = name()
            entry.size = UInt64(entry.linkTarget.count)
        case .blockDevice, .characterDevice: entry.deviceNumber = number(&dice)
        default: break
        }
        let content = kind == .file ? content(&entry) : .none
        return (entry, content)
    }

    private mutating func content(_ entry: inout Entry) -> PendingContent {
        func chunk() -> ChunkHandle { .known(chunks.randomElement(using: &dice) ?? .zero) }
        switch Int.random(in: 0...2, using: &dice) {
        case 0: return .none
        case 1:
            entry.size = .random(in: 1...1 << 19, using: &dice)
            return .member(chunk(), .random(in: 0...4095, using: &dice))
        default:
            let extents = (0..<Int.random(in: 1...4, using: &dice)).map { _ in
                PendingExtent(
                    length: .random(in: 1...1 << 60, using: &dice), chunk: Bool.random(using: &dice) ? chunk() : nil)
            }
            entry.size = extents.reduce(0) { $0 + $1.length }
            return .extents(extents)
        }
    }
}

@Suite("Pages and nodes")
struct PageTests {
    private func content(_ pending: PendingContent) -> Content {
        func id(_ handle: ChunkHandle) -> Digest { if case .known(let id) = handle { id } else { .zero } }
        return switch pending {
        case .none: .none
        case .member(let chunk, let index): .member(group: id(chunk), index: index)
        case .extents(let list): .extents(list.map { Extent(length: $0.length, chunk: $0.chunk.map(id)) })
        }
    }

    private func encode(_ builder: PageBuilder) -> [UInt8] {
        builder.encode { if case .known(let id) = $0 { id } else { .zero } }.bytes
    }

    @Test("What goes into a page comes out of it, and out of a page that takes it over", arguments: 0..<60)
    func roundTrip(run: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var maker = EntryMaker(seed: seed)
        let entries = maker.tree(run + 1)
        var builder = PageBuilder()
        for (entry, content) in entries { builder.append(entry, content) }
        var copy = PageBuilder()
        for bytes in [encode(builder), nil] {
            let cursor = try PageCursor(bytes ?? encode(copy))
            #expect(cursor.entryCount == entries.count)
            for (entry, pending) in entries {
                #expect(try cursor.next(), "seed \(seed)")
                #expect(try cursor.entry() == entry, "seed \(seed)")
                #expect(cursor.content == content(pending), "seed \(seed)")
                if bytes != nil { copy.append(cursor) }
            }
            #expect(try cursor.next() == false)
        }
    }

    @Test("A page cut anywhere, or with a byte more, is damage")
    func cut() throws {
        let page = GoldenPage.bytes(Digest(words: (1, 2, 3, 4)))
        func readAll(_ bytes: [UInt8]) throws {
            let cursor = try PageCursor(bytes)
            while try cursor.next() { _ = try cursor.entry() }
        }
        try readAll(page)
        for count in 0..<page.count {
            #expect(throws: VaultError.self, "\(count) bytes") { try readAll(Array(page[..<count])) }
        }
        #expect(throws: VaultError.self) { try readAll(page + [0]) }
    }

    private func page(with change: (inout Entry) -> Void) throws -> Entry {
        var entry = Entry(
            path: [0x61], kind: .directory, permissions: 0o755, userID: 1, groupID: 2, size: 0,
            modified: Timestamp(seconds: 0), changed: Timestamp(seconds: 0), device: 0, inode: 0, linkCount: 1)
        change(&entry)
        var builder = PageBuilder()
        builder.append(entry, .none)
        let cursor = try PageCursor(encode(builder))
        #expect(try cursor.next())
        return try cursor.entry()
    }

    @Test("A path of 65 535 bytes survives")
    func longPath() throws {
        let path = (1...Entry.maximumPathBytes).map { $0.isMultiple(of: 256) ? 0x2F : UInt8(0xFE) }
        #expect(try page { $0.path = path }.path == path)
    }

    @Test("As many attributes as a file can have survive: their lengths do not count")
    func manyAttributes() throws {
        let value = [UInt8](repeating: 7, count: 104)
        let count = Entry.maximumAttributeBytes / 112
        let attributes = (0..<count).map {
            ExtendedAttribute(name: Array("u.\(100_000 + $0)".utf8), value: value)
        }
        #expect(try page { $0.attributes = attributes }.attributes.count == count)
        let one = ExtendedAttribute(
            name: Array("user.x".utf8), value: [UInt8](repeating: 7, count: Entry.maximumAttributeBytes - 6))
        #expect(try page { $0.attributes = [one] }.attributes == [one])
    }

    @Test("An owner's name of 1024 bytes survives; a longer one is left out, and the number stays")
    func ownerNames() throws {
        let name = [UInt8](repeating: 0x41, count: 1024)
        let kept = try page { $0.userName = name }
        #expect(kept.userName == name)
        let left = try page {
            $0.userName = name + [0x41]
            $0.groupName = name + [0x41]
        }
        #expect(left.userName.isEmpty && left.groupName.isEmpty && left.userID == 1 && left.groupID == 2)
    }

    @Test(
        "A tree of many pages gets as many levels as it needs, and its counts add up",
        arguments: [0, 1, 2048, 2049, 5000])
    func levels(count: Int) throws {
        var nodes: [Digest: [UInt8]] = [:]
        func emit(_ bytes: [UInt8]) -> Digest {
            let id = ObjectHasher.digest(of: bytes, suite: .blake3)
            nodes[id] = bytes
            return id
        }
        var builder = NodeBuilder()
        for number in 0..<count {
            let path = Array("\(1_000_000 + number)".utf8)
            try builder.add(
                NodeChild(firstPath: path, id: Digest(words: (UInt64(number), 0, 0, 0)), entries: 3), emit: emit)
        }
        let (root, level) = try builder.finish(emit: emit)
        #expect(builder.entries == UInt64(3 * count))
        #expect(level == (count > 2048 ? 2 : 1))
        var pages: [UInt64] = []
        func walk(_ id: Digest, _ level: UInt8) throws -> UInt64 {
            let bytes = try #require(nodes[id])
            let node = try bytes.withBytes { raw throws(VaultError) in try Node(decoding: raw) }
            #expect(node.level == level)
            var sum: UInt64 = 0
            for child in node.children {
                if level == 1 {
                    pages.append(child.id.words.0)
                } else {
                    #expect(try walk(child.id, level - 1) == child.entries)
                }
                sum += child.entries
            }
            return sum
        }
        #expect(try walk(root, level) == builder.entries)
        #expect(pages == (0..<count).map { UInt64($0) })
    }

    @Test("Nodes over pages with very long paths stay below the limit of a chunk")
    func longFirstPaths() throws {
        var largest = 0
        var builder = NodeBuilder()
        func emit(_ bytes: [UInt8]) throws(VaultError) -> Digest {
            largest = max(largest, bytes.count)
            return ObjectHasher.digest(of: bytes, suite: .blake3)
        }
        let start = [UInt8](repeating: 0x61, count: Entry.maximumPathBytes - 7)
        for number in 0..<600 {
            let path = start + Array("\(1_000_000 + number)".utf8)
            try builder.add(NodeChild(firstPath: path, id: .zero, entries: 1), emit: emit)
        }
        #expect(try builder.finish(emit: emit).level >= 2)
        #expect(largest <= PackFormat.chunkLimit)
    }
}
