import Domain
import Glibc
import TestSupport
import Testing

@testable import Vault

/// A directory in the place for temporary files, removed with its last reference.
final class ScratchDirectory {
    let path: String

    init() throws {
        var template = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/qala-vault-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// Without syncing, for tests that do it thousands of times.
    static func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let file = try AppendFile(path: path)
        try file.append(bytes)
        try file.flush()
    }

    static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        for name in (try? StateFile.list(path)) ?? [] { remove("\(path)/\(name)") }
        rmdir(path)
    }
}

/// A file of a made-up source. `onRead` may change things while the file is read.
final class MadeContent: FileContent {
    var bytes: [UInt8]
    var holes: [Range<Int>] = []
    var changes = false
    private(set) var reads = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        reads += 1
        guard Int(offset) < bytes.count else { return 0 }
        let count = min(buffer.count, bytes.count - Int(offset))
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + count])
        return count
    }

    func nextData(from offset: UInt64) throws -> Range<UInt64>? {
        var start = Int(offset)
        while let hole = holes.first(where: { $0.contains(start) }) { start = hole.upperBound }
        guard start < bytes.count else { return nil }
        let end = holes.map(\.lowerBound).filter { $0 > start }.min() ?? bytes.count
        return UInt64(start)..<UInt64(end)
    }

    func hasChanged() throws -> Bool { changes }
}

/// One thing of a made-up source.
struct Made {
    var entry: Entry
    var content: MadeContent?
    var isSparse = false

    /// A file whose stamps are long past unless said.
    static func file(
        _ path: String, _ bytes: [UInt8], inode: UInt64, links: UInt32 = 1, stamp: Int64 = 1_000,
        _ change: (inout Entry) -> Void = { _ in }
    ) -> Made {
        var entry = Entry(
            path: Array(path.utf8), kind: .file, permissions: 0o644, userID: 0, groupID: 0, size: UInt64(bytes.count),
            modified: Timestamp(seconds: stamp), changed: Timestamp(seconds: stamp), device: 1, inode: inode,
            linkCount: links)
        change(&entry)
        return Made(entry: entry, content: bytes.isEmpty ? nil : MadeContent(bytes))
    }

    static func directory(_ path: String) -> Made {
        Made(
            entry: Entry(
                path: Array(path.utf8), kind: .directory, permissions: 0o755, userID: 0, groupID: 0, size: 0,
                modified: Timestamp(seconds: 1), changed: Timestamp(seconds: 1), device: 1, inode: 99, linkCount: 2))
    }
}

/// A vault in memory with the state of one host, and runs over made-up sources.
final class VaultBench {
    let store = MemoryStore()
    let scratch: ScratchDirectory
    let kit: Secret
    private(set) var vault: Vault
    private let source = Digest(words: (7, 7, 7, 7))

    init(suite: HashSuite = .blake3) throws {
        scratch = try ScratchDirectory()
        let made = try Vault.create(
            store: store, stateBase: scratch.path, suite: suite, passphrase: nil, created: "2026-01-01T00:00:00Z")
        vault = made.vault
        kit = made.kit
    }

    func reopen() throws { vault = try Vault(store: store, stateBase: scratch.path) }

    /// What a run did.
    struct Outcome {
        var record: ArchiveRecord
        var newBytes: Int
        /// Names of the objects it added.
        var objects: [String]
        var unchanged: Set<[UInt8]> = []
        var archived: [Entry] = []
    }

    /// Archives the source as a run does: entries in order, what the old tree holds not read.
    func archive(_ made: [Made], options: ArchiveSession.Options = .init()) throws -> Outcome {
        let before = Set(store.contents.keys)
        let session = try ArchiveSession(vault: vault, source: source, options: options)
        defer { session.stop() }
        var unchanged: Set<[UInt8]> = []
        var archived: [Entry] = []
        var batch = session.makeBatch()
        func hand() throws {
            try session.absorb(batch) { entry, isUnchanged in
                if isUnchanged { unchanged.insert(entry.path) }
                archived.append(entry)
            } onProblem: { entry, error in
                Issue.record("\(entry.displayPath): \(error)")
            }
        }
        for item in made.sorted(by: { PathOrder.compare($0.entry.path, $1.entry.path) < 0 }) {
            if session.changes.isUnchanged(item.entry) {
                batch.addUnchanged(item.entry)
            } else if let content = item.content {
                try batch.add(item.entry, content: content, isSparse: item.isSparse)
            } else {
                batch.add(item.entry)
            }
            if batch.isFull {
                try hand()
                batch = session.makeBatch()
            }
        }
        try hand()
        let record = try session.commit(ArchiveHeader())
        let objects = Set(store.contents.keys).subtracting(before).sorted()
        return Outcome(
            record: record, newBytes: session.newBytes, objects: objects, unchanged: unchanged, archived: archived)
    }

    func reader() throws -> VaultReader {
        VaultReader(vault: vault, unlocked: try vault.log.keySet.unlock(secret: kit, vaultID: vault.vaultID))
    }

    struct Restored: Equatable {
        var entry: Entry
        var bytes: [UInt8]
    }

    /// Everything that an archive holds, by path.
    func contents(_ archive: ArchiveRecord, _ given: VaultReader? = nil) throws -> [String: Restored] {
        let reader = try given ?? self.reader()
        let tree = try ArchiveReader(reader, archive)
        let chunks = try ChunkReader(reader, for: archive)
        var found: [String: Restored] = [:]
        try tree.forEachEntry { page in
            var bytes: [UInt8] = []
            try tree.read(page.content, with: chunks) { bytes += $0 }
            found[String(decoding: page.path, as: UTF8.self)] = Restored(entry: try page.entry(), bytes: bytes)
            return true
        }
        return found
    }

    /// The manifest of an archive.
    func manifest(_ archive: ArchiveRecord) throws -> Manifest { try vault.manifest(archive.commit.manifest) }

    /// Kinds of the chunks in the packs of an archive.
    func kinds(_ archive: ArchiveRecord) throws -> [ChunkKind: Int] {
        var kinds: [ChunkKind: Int] = [:]
        for pack in try manifest(archive).packs {
            let reader = try store.open(Manifest.packName(pack.id))
            for entry in try PackFooter.read(from: reader, length: pack.length, suite: vault.suite) {
                kinds[entry.kind, default: 0] += 1
            }
        }
        return kinds
    }
}
