import Domain
import Glibc
import Testing

@testable import Vault

@Suite("The remembered tree of a source")
struct TreeCacheTests {
    private let vaultID = Digest(words: (1, 2, 3, 4))
    private let session = Digest(words: (5, 6, 7, 8))

    private func page(_ names: [String]) -> [UInt8] {
        var builder = PageBuilder()
        for name in names { builder.append(Made.file(name, [], inode: 1).entry, .none) }
        return builder.encode { _ in .zero }.bytes
    }

    /// Writes frames and returns the path of the file and where each frame ends.
    private func write(
        _ frames: [(TreeFrame.Kind, [UInt8])], in scratch: ScratchDirectory, name: String = "tree"
    ) throws -> (path: String, ends: [Int]) {
        let path = "\(scratch.path)/\(name)"
        let writer = try TreeCacheWriter(path: path, vaultID: vaultID, session: session)
        var ends: [Int] = []
        for (number, frame) in frames.enumerated() {
            let id = frame.0 == .page ? Digest(words: (UInt64(number), 0, 0, 0)) : .zero
            try writer.append(frame.0, id: id, entries: number, plain: frame.1)
            try writer.sync()
            ends.append(try #require(try StateFile.read(path, limit: 1 << 24)).count)
        }
        return (path, ends)
    }

    private func read(_ path: String) throws -> [[UInt8]]? {
        guard let reader = TreeCacheReader(path: path, vaultID: vaultID) else { return nil }
        let decompressor = try Decompressor()
        var plains: [[UInt8]] = []
        while let frame = reader.next() { plains.append(try frame.plain(decompressor)) }
        return plains
    }

    private let frames: [(TreeFrame.Kind, [UInt8])] = [
        (.page, Array("short".utf8)), (.page, [UInt8](repeating: 7, count: 5000)), (.tail, []),
        (.checkpoint, [0, 0, 0, 0, 0]), (.end, [UInt8](repeating: 1, count: 65)),
    ]

    @Test("A file cut anywhere ends at its last whole frame")
    func torn() throws {
        let scratch = try ScratchDirectory()
        let (path, ends) = try write(frames, in: scratch)
        let bytes = try #require(try StateFile.read(path, limit: 1 << 24))
        #expect(try read(path) == frames.map(\.1))
        for count in 0...bytes.count {
            try ScratchDirectory.overwrite(path, Array(bytes[..<count]))
            let found = try read(path)
            guard count >= TreeCacheReader.headerCount else {
                #expect(found == nil)
                continue
            }
            #expect(found?.count == ends.count { $0 <= count }, "\(count) bytes")
        }
    }

    @Test("A byte changed anywhere ends the file before its frame")
    func changed() throws {
        let scratch = try ScratchDirectory()
        let (path, ends) = try write(frames, in: scratch)
        let bytes = try #require(try StateFile.read(path, limit: 1 << 24))
        for at in TreeCacheReader.headerCount..<bytes.count {
            var bad = bytes
            bad[at] ^= 4
            try ScratchDirectory.overwrite(path, bad)
            #expect(try read(path)?.count == ends.count { $0 <= at }, "byte \(at)")
        }
    }

    @Test("The tree of another vault is not this one's")
    func otherVault() throws {
        let scratch = try ScratchDirectory()
        let (path, _) = try write(frames, in: scratch)
        #expect(TreeCacheReader(path: path, vaultID: session) == nil)
        #expect(TreeCacheReader(path: path + "x", vaultID: vaultID) == nil)
        #expect(TreeCacheReader(path: path, vaultID: vaultID)?.session == session)
    }

    @Test("A second reader reads the same tree from its beginning, although another run has left a newer one")
    func replaced() throws {
        let scratch = try ScratchDirectory()
        let (path, _) = try write(frames, in: scratch)
        let (newer, _) = try write([(.tail, [])], in: scratch, name: "newer")
        let reader = try #require(TreeCacheReader(path: path, vaultID: vaultID))
        _ = reader.next()
        #expect(rename(newer, path) == 0)
        let second = try reader.duplicate()
        let decompressor = try Decompressor()
        var plains: [[UInt8]] = []
        while let frame = second.next() { plains.append(try frame.plain(decompressor)) }
        #expect(plains == frames.map(\.1) && second.session == reader.session)
        var left = 0
        while reader.next() != nil { left += 1 }
        #expect(left == frames.count - 1)
    }

    @Test("A checkpoint survives, and one whose parts exceed its file is damage")
    func checkpoint() throws {
        var partial = PartialFile(
            path: Array("a/b".utf8), device: 1, inode: .max, modified: Timestamp(seconds: .min, nanoseconds: 1),
            changed: Timestamp(seconds: .max), size: 100,
            extents: [Extent(length: 60, chunk: session), Extent(length: 40, chunk: nil)])
        let decoded = try TreeCheckpoint(decoding: TreeCheckpoint(number: 3, partial: partial).encode())
        #expect(decoded.number == 3 && decoded.partial?.extents == partial.extents && decoded.partial?.offset == 100)
        #expect(decoded.partial?.path == partial.path && decoded.partial?.modified == partial.modified)
        #expect(try TreeCheckpoint(decoding: TreeCheckpoint(number: 4, partial: nil).encode()).partial == nil)
        partial.extents = (0..<3).map { _ in Extent(length: UInt64(Int64.max), chunk: nil) }
        let bytes = TreeCheckpoint(number: 3, partial: partial).encode()
        #expect(throws: VaultError.self) { try TreeCheckpoint(decoding: bytes) }
    }

    @Test("A run that was interrupted is followed by the archive before it, from where it stopped")
    func merge() throws {
        let scratch = try ScratchDirectory()
        let base = try write(
            [
                (.page, page(["a", "b", "c"])), (.page, page(["d", "e", "f"])),
                (.end, [UInt8](repeating: 1, count: 65)),
            ],
            in: scratch, name: "base")
        let journal = try write(
            [
                (.page, page(["a", "b2"])), (.tail, page(["d", "d2"])),
                (.checkpoint, TreeCheckpoint(number: 1, partial: nil).encode()), (.page, page(["never"])),
                (.checkpoint, TreeCheckpoint(number: 2, partial: nil).encode()),
            ], in: scratch, name: "journal")
        func paths(_ base: String?, _ journalPath: String?, checkpoints: Int) throws -> [String] {
            let baseReader = base.flatMap { TreeCacheReader(path: $0, vaultID: vaultID) }
            let journal = try journalPath.flatMap { TreeCacheReader(path: $0, vaultID: vaultID) }.flatMap {
                try OldTree.journal($0, checkpoints: checkpoints)
            }
            let tree = try OldTree(base: baseReader, journal: journal)
            var found: [String] = []
            while let cursor = tree.cursor {
                // Only whole pages may be taken over by reference.
                let isCut = ["d", "d2", "e", "f"].contains(String(decoding: cursor.path, as: UTF8.self))
                if journal != nil, checkpoints == 1, isCut { #expect(tree.frame == nil) }
                found.append(String(decoding: cursor.path, as: UTF8.self))
                tree.advance()
            }
            return found
        }
        #expect(try paths(base.path, nil, checkpoints: 0) == ["a", "b", "c", "d", "e", "f"])
        #expect(try paths(base.path, journal.path, checkpoints: 1) == ["a", "b2", "d", "d2", "e", "f"])
        #expect(try paths(nil, journal.path, checkpoints: 1) == ["a", "b2", "d", "d2"])
        #expect(try paths(base.path, journal.path, checkpoints: 0) == ["a", "b", "c", "d", "e", "f"])
        #expect(try paths(nil, journal.path, checkpoints: 2) == ["a", "b2", "never"])
    }
}
