import Domain
import TestSupport
import Testing
@testable import Vault

@Suite("Interrupted runs")
struct VaultInterruptFaultTests {
    private static let source = WorkloadVault.source(1)

    /// A run that ends without a commit before item `end`, with a checkpoint before item `checkpoint`.
    private func interrupt(
        _ vault: Vault, _ tree: WorkloadTree, checkpoint: Int?, end: Int, _ reads: WorkloadReads? = nil
    ) throws -> Bool {
        let session = try ArchiveSession(vault: vault, source: Self.source, options: WorkloadTree.options)
        try tree.feed(session, 0..<end, checkpoints: checkpoint.map { [$0] } ?? [], reads: reads)
        session.stop()
        return session.isResumed
    }

    private func files(_ tree: WorkloadTree, _ range: Range<Int>) -> [String] {
        tree.items[range].filter { $0.entry.kind == .file }.map { String(decoding: $0.entry.path, as: UTF8.self) }
    }

    @Test("A run stopped anywhere resumes behind its last checkpoint, reads nothing before it again, and restores")
    func everywhere() throws {
        let seed = UInt64.random(in: 0...9999)
        print("interrupted runs: seed \(seed)")
        var random = SplitMix(seed: seed)
        for trial in 0..<24 {
            let made = try WorkloadVault(MemoryStore())
            var tree = WorkloadTree(seed: seed &+ UInt64(trial), files: 12, fileBytes: 400, chunked: 9_000)
            let hasBase = trial.isMultiple(of: 2)
            if hasBase {
                _ = try tree.archive(into: made.vault, source: Self.source)
                tree.change(rewritten: 6)
            }
            let end = Int.random(in: 2...tree.items.count, using: &random)
            let checkpoint = trial % 5 == 4 ? nil : Int.random(in: 1...(end - 1), using: &random)
            let first = WorkloadReads()
            _ = try interrupt(try made.reopened(), tree, checkpoint: checkpoint, end: end, first)
            let vault = try made.reopened()
            let reads = WorkloadReads()
            let session = try ArchiveSession(vault: vault, source: Self.source, options: WorkloadTree.options)
            // A checkpoint with nothing new before it is none.
            let wasRead =
                checkpoint.map { point in files(tree, 0..<point).contains { first.bytes[$0] != nil } } ?? false
            #expect(session.isResumed == wasRead, "seed \(seed), trial \(trial)")
            try tree.feed(session, reads: reads)
            let archive = try session.commit(ArchiveHeader())
            if wasRead, let checkpoint {
                for path in files(tree, 0..<checkpoint) { #expect(reads.bytes[path] == nil, "seed \(seed): \(path)") }
            }
            try tree.check(archive, try made.reader(vault))
            let result = try Scrubber(vault).checkDigests()
            #expect(result.damage.isEmpty)
            #expect(
                vault.log.sessions.values.count { $0.ending == .running } == (wasRead || checkpoint == nil ? 0 : 1)
                    || !wasRead)
            // The run after it starts from the new tree and reads nothing at all.
            reads.clear()
            _ = try tree.archive(into: try made.reopened(), source: Self.source, reads: reads)
            #expect(reads.total == 0)
        }
    }

    @Test("A chain of interrupted runs reads nothing again that was before a checkpoint, and restores")
    func chain() throws {
        for hasBase in [false, true] {
            let store = MemoryStore()
            let made = try WorkloadVault(store)
            var tree = WorkloadTree(seed: 5, files: 20, fileBytes: 400, chunked: 9_000)
            if hasBase {
                _ = try tree.archive(into: made.vault, source: Self.source)
                tree.change(rewritten: 14)
            }
            let count = tree.items.count
            let reads = WorkloadReads()
            var before = 0
            for (number, stop) in [(6, 8), (12, 14), (18, 20)].enumerated() {
                let isResumed = try interrupt(
                    try made.reopened(), tree, checkpoint: stop.0, end: min(count, stop.1), reads)
                #expect(isResumed == (number > 0))
                for path in files(tree, 0..<before) where reads.bytes[path] != nil {
                    Issue.record("\(path) was read again by run \(number)")
                }
                reads.clear()
                before = stop.0
            }
            let vault = try made.reopened()
            let archive = try tree.archive(into: vault, source: Self.source, reads: reads)
            for path in files(tree, 0..<before) where reads.bytes[path] != nil {
                Issue.record("\(path) was read again")
            }
            try tree.check(archive, try made.reader(vault))
            #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
        }
    }

    @Test("What a chain of interrupted runs left behind goes with the commit: no later run takes it for its own")
    func chainEnds() throws {
        let made = try WorkloadVault(MemoryStore())
        let tree = WorkloadTree(seed: 5, files: 20, fileBytes: 400, chunked: 0)
        for stop in [6, 12, 18] { _ = try interrupt(try made.reopened(), tree, checkpoint: stop, end: stop + 2) }
        // One more that was killed before its first checkpoint.
        _ = try interrupt(try made.reopened(), tree, checkpoint: nil, end: 3)
        let vault = try made.reopened()
        _ = try tree.archive(into: vault, source: Self.source)
        let names = made.place.snapshot.keys
        #expect(!names.contains { $0.hasSuffix(".journal") || $0.hasSuffix(".lock") })
        #expect(vault.log.sessions.values.allSatisfy { $0.ending != .running })
        let session = try ArchiveSession(vault: try made.reopened(), source: Self.source, options: WorkloadTree.options)
        #expect(!session.isResumed)
        session.stop()
    }

    @Test("A run whose stored part is gone or damaged is not taken over; the next one reads everything and succeeds")
    func damagedRemains() throws {
        for damage in 0..<4 {
            let store = MemoryStore()
            let made = try WorkloadVault(store)
            let tree = WorkloadTree(seed: 11, files: 10, fileBytes: 400, chunked: 0)
            _ = try interrupt(made.vault, tree, checkpoint: 8, end: 9)
            let prefix = damage == 3 ? "manifests/" : "packs/"
            for name in store.contents.keys where name.hasPrefix(prefix) {
                guard let bytes = store.contents[name] else { continue }
                switch damage {
                case 1: store.contents[name] = Array(bytes.dropLast(1))
                case 2: store.contents[name]?[bytes.count - 40] ^= 1
                default: store.contents[name] = nil
                }
            }
            let vault = try made.reopened()
            let archive = try tree.archive(into: vault, source: Self.source)
            try tree.check(archive, try made.reader(vault))
            #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
        }
    }

    @Test("A file changed after the interruption is read again, also when it was changed while nobody ran")
    func changedBetween() throws {
        let made = try WorkloadVault(MemoryStore())
        var tree = WorkloadTree(seed: 6, files: 12, fileBytes: 400, chunked: 9_000)
        _ = try interrupt(made.vault, tree, checkpoint: 12, end: 14)
        for _ in 0..<3 { tree.change(rewritten: 4) }
        let vault = try made.reopened()
        let archive = try tree.archive(into: vault, source: Self.source)
        try tree.check(archive, try made.reader(vault))
    }

    @Test("Runs of another source, and runs that still live, are not taken over")
    func strangers() throws {
        let made = try WorkloadVault(MemoryStore())
        let tree = WorkloadTree(seed: 7, files: 8, fileBytes: 400, chunked: 0)
        let live = try ArchiveSession(vault: try made.reopened(), source: Self.source, options: WorkloadTree.options)
        try tree.feed(live, 0..<6)
        try live.checkpoint()
        let second = try ArchiveSession(vault: try made.reopened(), source: Self.source, options: WorkloadTree.options)
        #expect(!second.isResumed)
        let other = try ArchiveSession(
            vault: try made.reopened(), source: WorkloadVault.source(2), options: WorkloadTree.options)
        #expect(!other.isResumed)
        other.stop()
        try tree.feed(live, 6..<tree.items.count)
        try tree.feed(second)
        let archives = [try live.commit(ArchiveHeader()), try second.commit(ArchiveHeader())]
        let vault = try made.reopened()
        for archive in archives { try tree.check(archive, try made.reader(vault)) }
    }

    @Test("A journal that is cut or altered anywhere costs reading, never a wrong archive")
    func damagedJournal() throws {
        let store = MemoryStore()
        let made = try WorkloadVault(store)
        let tree = WorkloadTree(seed: 8, files: 12, fileBytes: 400, chunked: 9_000)
        _ = try interrupt(made.vault, tree, checkpoint: 10, end: 13)
        let snapshot = made.place.snapshot
        let clean = store.contents
        let name = try #require(snapshot.keys.first { $0.hasSuffix(".journal") })
        let bytes = try #require(snapshot[name])
        for trial in 0..<32 {
            store.contents = clean
            var spoiled = bytes
            if trial.isMultiple(of: 2) {
                spoiled = Array(bytes.prefix(bytes.count * trial / 32))
            } else {
                spoiled[bytes.count * trial / 32] ^= 4
            }
            let place = try WorkloadPlace(snapshot.merging([name: spoiled]) { $1 })
            let vault = try made.reopened(nil, place)
            let archive = try tree.archive(into: vault, source: Self.source)
            try tree.check(archive, try made.reader(vault))
        }
    }

    @Test("A large file resumes in its middle")
    func largeFile() throws {
        let made = try WorkloadVault(MemoryStore())
        let size = 30 << 20
        var tree = WorkloadTree(seed: 9, files: 4, fileBytes: 400, chunked: 0)
        tree.add("srv/huge", [])
        var huge = try #require(tree.items.first { $0.entry.path == Array("srv/huge".utf8) }).entry
        huge.size = UInt64(size)
        var options = ArchiveSession.Options()
        options.checkpointSeconds = 0
        func run(stopAt: UInt64, _ reads: WorkloadReads) throws -> ArchiveRecord? {
            let session = try ArchiveSession(vault: try made.reopened(), source: Self.source, options: options)
            defer { session.stop() }
            let batch = session.makeBatch()
            for item in tree.items {
                let entry = item.entry.path == huge.path ? huge : item.entry
                if session.changes.isUnchanged(entry) {
                    batch.addUnchanged(entry)
                } else if entry.path == huge.path {
                    let content = WorkloadContent(generating: huge, reads)
                    content.stopAt = stopAt
                    try batch.add(entry, content: content, isSparse: false)
                } else if item.bytes.isEmpty {
                    batch.add(entry)
                } else {
                    try batch.add(entry, content: WorkloadContent(item, reads), isSparse: false)
                }
            }
            var isStopped = false
            try session.absorb(batch, onItem: { _, _ in }, onProblem: { isStopped = $1 is WorkloadContent.Stopped })
            if isStopped { return nil }
            return try session.commit(ArchiveHeader())
        }
        let reads = WorkloadReads()
        #expect(try run(stopAt: UInt64(size) - 100, reads) == nil)
        let already = reads.bytes["srv/huge"] ?? 0
        #expect(already > 12 << 20)
        reads.clear()
        let archive = try #require(try run(stopAt: .max, reads))
        // Read again is what lay behind the last sure cut of the last checkpoint: one largest chunk and one buffer at most.
        let again = reads.bytes["srv/huge"] ?? 0
        #expect(again + already <= size + (20 << 20))
        #expect(again < size - (3 << 20))
        // The files before it came from the journal.
        #expect(reads.bytes.keys.allSatisfy { $0 >= "srv/huge" })
        try compare(archive, huge, made)
    }

    private func compare(_ archive: ArchiveRecord, _ huge: Entry, _ made: WorkloadVault) throws {
        let reader = try made.reader(try made.reopened())
        let chunks = try ChunkReader(reader, for: archive)
        let tree = try ArchiveReader(reader, archive)
        var offset: UInt64 = 0
        try tree.forEachEntry(under: huge.path) { page in
            #expect(page.size == huge.size)
            try tree.read(page.content, with: chunks) { bytes in
                var wanted = [UInt8](repeating: 0, count: bytes.count)
                wanted.withUnsafeMutableBytes { WorkloadContent.generate($0, offset) }
                guard wanted.elementsEqual(bytes) else { throw WorkloadMismatch("other bytes at \(offset)") }
                offset += UInt64(bytes.count)
            }
            return true
        }
        #expect(offset == huge.size)
    }
}
