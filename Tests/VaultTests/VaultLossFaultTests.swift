import Domain
import TestSupport
import Testing
@testable import Vault

@Suite("Objects and host states that go missing")
struct VaultLossFaultTests {
    /// Archives of one source, each of a later version.
    fileprivate struct Bench {
        let store = MemoryStore()
        let made: WorkloadVault
        let clean: [String: [UInt8]]
        fileprivate(set) var trees: [Digest: WorkloadTree] = [:]
        private(set) var next: WorkloadTree

        init(archives: Int = 3) throws {
            made = try WorkloadVault(store)
            next = WorkloadTree(seed: 4, files: 6, fileBytes: 700, chunked: 20_000)
            for _ in 0..<archives {
                let archive = try next.archive(into: try made.reopened(), source: WorkloadVault.source(1))
                trees[archive.id] = next
                next.change()
            }
            clean = store.contents
        }

        func checkAll(_ vault: Vault) throws {
            let reader = try made.reader(vault)
            for archive in vault.log.archives { try trees[archive.id]?.check(archive, reader) }
            #expect(vault.log.archives.count >= trees.count)
        }
    }

    @Test("Each object deleted in turn is found, by its name where there is a log to tell it")
    func eachObject() throws {
        let bench = try Bench()
        for name in bench.clean.keys.sorted() {
            bench.store.contents = bench.clean
            bench.store.contents[name] = nil
            // By the host that wrote it, and by one that never saw it.
            for place in [bench.made.place, try WorkloadPlace()] {
                let isStranger = place !== bench.made.place
                do {
                    let vault = try bench.made.reopened(nil, place)
                    let found = try Scrubber(vault).checkDigests().damage.map(\.object)
                    let structure = try Scrubber(vault).checkStructure().damage.map(\.object)
                    // Without its last record a log is as good as ever to who has not seen it.
                    if isStranger, name == LogRecord.objectName(vault.log.count) { continue }
                    #expect(found == [name])
                    #expect(structure == [name])
                } catch {
                    if name == Genesis.objectName {
                        #expect(error.code == .noVault)
                    } else if name.hasPrefix("log/") {
                        #expect(error.code == .damaged || error.code == .rolledBack, "\(name): \(error)")
                    } else {
                        // This host has seen the records, and has a copy of the newest key set; a stranger must not believe them.
                        #expect(name.hasPrefix("keys/") && isStranger, "\(name): \(error)")
                        #expect(error.code == .damaged && "\(error)".contains(name))
                    }
                }
            }
        }
        bench.store.contents = bench.clean
        try bench.checkAll(try bench.made.reopened())
    }

    @Test("Missing or damaged index segments are served from footers and written again byte for byte")
    func index() throws {
        let bench = try Bench(archives: 11)
        let segments = bench.clean.keys.filter { $0.hasPrefix("index/") }
        // Enough archives for segments that replace others.
        #expect(segments.count == 11)
        for damage in 0..<3 {
            bench.store.contents = bench.clean
            for name in segments {
                switch damage {
                case 0: bench.store.contents[name] = nil
                case 1: bench.store.contents[name]?[100] ^= 1
                default: bench.store.contents[name] = Array(bench.clean[name]?.dropLast() ?? [])
                }
            }
            bench.made.place.remove { $0.contains("/index/") }
            let vault = try bench.made.reopened()
            // Those that others replaced may be missing, but not wrong.
            let live = try vault.liveSegmentNames(of: try vault.writer().domain).count
            #expect(live < segments.count)
            #expect(try Scrubber(vault).checkDigests().damage.count == (damage == 0 ? live : segments.count))
            try bench.checkAll(vault)
            #expect(try bench.made.reopened(nil, try WorkloadPlace()).repairIndex() == segments.count)
            #expect(bench.store.contents == bench.clean)
            #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
        }
    }

    @Test("A damaged copy of an index segment beside the vault is replaced by the vault's")
    func indexCopies() throws {
        let bench = try Bench()
        let snapshot = bench.made.place.snapshot
        let copies = snapshot.keys.filter { $0.contains("/index/") }
        #expect(!copies.isEmpty)
        for cut in [0, 50, 1000] {
            let place = try WorkloadPlace(
                snapshot.merging(copies.map { ($0, Array(snapshot[$0]?.prefix(cut) ?? [])) }) { $1 })
            try bench.checkAll(try bench.made.reopened(nil, place))
        }
    }

    @Test("A host that lost its state is enrolled again, archives in full and deduplicates from its second run on")
    func wholeState() throws {
        var bench = try Bench()
        let place = try WorkloadPlace()
        let vault = try bench.made.reopened(nil, place)
        #expect(!vault.freshnessProven)
        let error = #expect(throws: VaultError.self) {
            _ = try ArchiveSession(vault: vault, source: WorkloadVault.source(1), options: WorkloadTree.options)
        }
        #expect(error?.code == .notAllowed)
        try vault.enrol(label: "again", by: try bench.made.unlock(vault))
        let reads = WorkloadReads()
        let first = try bench.next.archive(into: vault, source: WorkloadVault.source(1), reads: reads)
        #expect(reads.total > 15_000)
        let packs = bench.packs()
        reads.clear()
        let second = try bench.next.archive(
            into: try bench.made.reopened(nil, place), source: WorkloadVault.source(1), reads: reads)
        #expect(reads.total == 0)
        #expect(try bench.packs().isSubset(of: packs.union(bench.packs(of: second))))
        bench.note(first, second)
        try bench.checkAll(try bench.made.reopened(nil, place))
        #expect(try bench.made.reopened(nil, place).freshnessProven)
    }

    @Test("A footer that names members at each other's place is not believed, whatever its own digest says")
    func forgedFooters() throws {
        var bench = try Bench()
        var forged = 0
        let suite = try bench.made.reopened().suite
        for name in bench.packs() {
            guard let bytes = bench.store.contents[name] else { continue }
            try bench.store.put(
                name,
                try forgedFooter(bytes, suite) { entries in
                    for at in entries.indices where entries[at].members.count > 1 {
                        entries[at].members.swapAt(0, 1)
                        forged += 1
                    }
                })
        }
        #expect(forged > 0)
        bench.made.place.remove { !$0.hasSuffix("/writer") }
        // Everything in it is known to the vault, so that every small file is looked for among the members.
        let vault = try bench.made.reopened()
        let newest = try #require(vault.log.archives.last)
        let tree = try #require(bench.trees[newest.id])
        let archive = try tree.archive(into: vault, source: WorkloadVault.source(1))
        // The store gives the true ones back, as if nothing had been.
        for (name, bytes) in bench.clean where name.hasPrefix("packs/") { try bench.store.put(name, bytes) }
        bench.note(archive, archive, tree)
        try bench.checkAll(try bench.made.reopened())
    }

    @Test("A host that kept its keys but lost its caches reads everything again and stores nothing twice")
    func caches() throws {
        var bench = try Bench()
        bench.made.place.remove { !$0.hasSuffix("/writer") }
        let vault = try bench.made.reopened()
        #expect(!vault.freshnessProven)
        // The newest version that is in the vault already.
        let newest = try #require(vault.log.archives.last)
        let tree = try #require(bench.trees[newest.id])
        let reads = WorkloadReads()
        let session = try ArchiveSession(vault: vault, source: WorkloadVault.source(1), options: WorkloadTree.options)
        try tree.feed(session, reads: reads)
        let archive = try session.commit(ArchiveHeader())
        // A second name of one inode is not read; a hole is not read either.
        #expect(reads.total > 10_000)
        #expect(session.newBytes == 0)
        bench.note(archive, archive, tree)
        try bench.checkAll(try bench.made.reopened())
    }

    @Test("A remembered tree that is cut or altered anywhere costs reading, never a wrong archive")
    func rememberedTree() throws {
        let bench = try Bench()
        let snapshot = bench.made.place.snapshot
        let name = try #require(snapshot.keys.first { $0.contains("/trees/") })
        let bytes = try #require(snapshot[name])
        for trial in 0..<40 {
            bench.store.contents = bench.clean
            var spoiled = bytes
            if trial.isMultiple(of: 2) {
                spoiled = Array(bytes.prefix(bytes.count * trial / 40))
            } else {
                spoiled[bytes.count * trial / 40] ^= 4
            }
            let place = try WorkloadPlace(snapshot.merging([name: spoiled]) { $1 })
            let vault = try bench.made.reopened(nil, place)
            let archive = try bench.next.archive(into: vault, source: WorkloadVault.source(1))
            try bench.next.check(archive, try bench.made.reader(vault))
            #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
        }
    }
}

extension VaultLossFaultTests.Bench {
    fileprivate func packs() -> Set<String> { Set(store.contents.keys.filter { $0.hasPrefix("packs/") }) }

    fileprivate func packs(of archive: ArchiveRecord) throws -> Set<String> {
        Set(try made.reopened().manifest(archive.commit.manifest).packs.map { Manifest.packName($0.id) })
    }

    fileprivate mutating func note(_ first: ArchiveRecord, _ second: ArchiveRecord, _ tree: WorkloadTree? = nil) {
        trees[first.id] = tree ?? next
        trees[second.id] = tree ?? next
    }
}
