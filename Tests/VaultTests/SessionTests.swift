import Domain
import Glibc
import TestSupport
import Testing

@testable import Vault

@Suite("Runs over a source")
struct SessionTests {
    private func noise(_ count: Int, _ seed: UInt64) -> [UInt8] {
        var dice = Dice(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: dice.next()) { bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }

    private func expect(_ found: [String: VaultBench.Restored], _ made: [Made]) {
        #expect(found.count == made.count)
        for item in made {
            let name = String(decoding: item.entry.path, as: UTF8.self)
            #expect(found[name]?.bytes == item.content?.bytes ?? [], "\(name)")
            #expect(found[name]?.entry.path == item.entry.path)
        }
    }

    @Test("What was archived comes back, whatever its size", arguments: HashSuite.allCases)
    func sizes(suite: HashSuite) throws {
        let bench = try VaultBench(suite: suite)
        let small = ArchiveSession.Limits.smallFile
        var made: [Made] = []
        for (number, size) in [0, 1, 2, 63, 64, 65, 4095, 4096, small - 1, small, small + 1, 3 << 20].enumerated() {
            made.append(.file("d/\(size)", noise(size, UInt64(size)), inode: UInt64(number + 1)))
            made.append(.file("z/\(size)", [UInt8](repeating: 0, count: size), inode: UInt64(number + 100)))
        }
        made += [.directory("d"), .directory("z")]
        let run = try bench.archive(made)
        expect(try bench.contents(run.record), made)
        #expect(run.record.commit.entries == UInt64(made.count))
    }

    @Test("A run over an unchanged source reads nothing and stores nothing but its own records")
    func unchanged() throws {
        let bench = try VaultBench()
        let made = (0..<300).map { Made.file("f\(1000 + $0)", noise(200 + $0, UInt64($0)), inode: UInt64($0)) }
        let first = try bench.archive(made)
        let second = try bench.archive(made)
        #expect(second.unchanged.count == made.count)
        #expect(second.newBytes == 0)
        #expect(!second.objects.contains { $0.hasPrefix("packs/") || $0.hasPrefix("index/") })
        #expect(second.record.commit.root == first.record.commit.root)
        expect(try bench.contents(second.record), made)
    }

    @Test("One changed file costs a group, a page and a node; the other pages are met again")
    func oneChange() throws {
        let bench = try VaultBench()
        // Attributes make entries large, so that a few thousand fill several pages.
        func source(_ changed: Made?) -> [Made] {
            (0..<2000).map { number in
                if let changed, number == 1000 { return changed }
                return .file("f\(10_000 + number)", noise(24, UInt64(number)), inode: UInt64(number)) { entry in
                    entry.attributes = [
                        ExtendedAttribute(name: Array("user.x".utf8), value: noise(400, UInt64(number)))
                    ]
                }
            }
        }
        let first = try bench.archive(source(nil))
        #expect(try bench.kinds(first.record)[.page] ?? 0 >= 4)
        let made = source(.file("f11000", noise(24, 77_777), inode: 1000, stamp: 2000))
        let second = try bench.archive(made)
        #expect(second.unchanged.count == made.count - 1)
        #expect(try bench.kinds(second.record) == [.group: 1, .page: 1, .node: 1])
        expect(try bench.contents(second.record), made)
        expect(try bench.contents(first.record), source(nil))
    }

    @Test("Names that come, go and change their kind are followed", arguments: 0..<8)
    func randomHistory(run: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var dice = Dice(seed: seed)
        let bench = try VaultBench()
        var source: [String: Made] = [:]
        var history: [(ArchiveRecord, [Made])] = []
        for generation in 0..<5 {
            for _ in 0..<Int.random(in: 0...60, using: &dice) {
                let name = "f\(Int.random(in: 0..<120, using: &dice))"
                if Int.random(in: 0..<4, using: &dice) == 0 {
                    source[name] = nil
                } else if Int.random(in: 0..<9, using: &dice) == 0 {
                    source[name] = .directory(name)
                } else {
                    let bytes = noise(Int.random(in: 0..<3000, using: &dice), dice.next() % 40)
                    source[name] = .file(
                        name, bytes, inode: dice.next() % 1000, stamp: Int64(generation + 1) * 1000)
                }
            }
            if Bool.random(using: &dice) { try bench.reopen() }
            history.append((try bench.archive(Array(source.values)).record, Array(source.values)))
        }
        for (record, made) in history { expect(try bench.contents(record), made) }
        print("random history: seed \(seed)")
    }

    @Test("A file changed just before it was read is read again although its stamp is the same")
    func racy() throws {
        let bench = try VaultBench()
        let now = WallTime.now()
        func made(_ text: String) -> Made {
            .file("f", Array(text.utf8), inode: 1) {
                $0.modified = now
                $0.changed = now
            }
        }
        let first = try bench.archive([made("one")])
        #expect(try bench.contents(first.record)["f"]?.entry.isRacy == true)
        let second = try bench.archive([made("two")])
        #expect(second.unchanged.isEmpty)
        #expect(try bench.contents(second.record)["f"]?.bytes == Array("two".utf8))
    }

    @Test("A file that changes while it is read is marked, and read again next time", arguments: [10, 800_000])
    func changing(size: Int) throws {
        let bench = try VaultBench()
        let file = Made.file("f", noise(size, 1), inode: 1)
        file.content?.changes = true
        let first = try bench.archive([file])
        #expect(first.archived[0].changedWhileRead)
        #expect(try bench.contents(first.record)["f"]?.entry.changedWhileRead == true)
        file.content?.changes = false
        file.content?.bytes = noise(size, 2)
        let second = try bench.archive([file])
        #expect(second.unchanged.isEmpty)
        expect(try bench.contents(second.record), [file])
    }

    @Test(
        "A file that shrinks or grows while it is read is archived as far as it goes, and marked",
        arguments: [10, 800_000])
    func shrinking(size: Int) throws {
        let bench = try VaultBench()
        let less = Made.file("a", noise(size, 1), inode: 1)
        less.content?.bytes.removeLast(3)
        let nothing = Made.file("b", noise(size, 2), inode: 2)
        nothing.content?.bytes = []
        let more = Made.file("c", noise(size, 3), inode: 3)
        more.content?.bytes += [1, 2, 3]
        let found = try bench.contents(try bench.archive([less, nothing, more]).record)
        #expect(found["a"]?.bytes.count == size - 3 && found["a"]?.entry.size == UInt64(size - 3))
        #expect(found["b"]?.bytes.isEmpty == true && found["b"]?.entry.size == 0)
        #expect(found["c"]?.bytes == noise(size, 3))
        for name in ["a", "b"] { #expect(found[name]?.entry.changedWhileRead == true) }
    }

    @Test("Names of one file share its content and are one file in the archive")
    func hardLinks() throws {
        let bench = try VaultBench()
        let bytes = noise(700_000, 1)
        let made = ["a", "b", "c"].map { Made.file($0, bytes, inode: 5, links: 3) }
        let run = try bench.archive(made)
        expect(try bench.contents(run.record), made)
        #expect(made[1].content?.reads == 0 && made[2].content?.reads == 0)
    }

    @Test("A second name whose stamp differs is read: its file changed after the first was", arguments: [10, 800_000])
    func changedBetweenNames(size: Int) throws {
        let bench = try VaultBench()
        let first = Made.file("a", noise(size, 1), inode: 5, links: 2)
        let second = Made.file("b", noise(size, 2), inode: 5, links: 2, stamp: 2000)
        let found = try bench.contents(try bench.archive([first, second]).record)
        expect(found, [first, second])
        // One file cannot have both contents: the second is restored as a file of its own, and is reported.
        #expect(found["b"]?.entry.linkCount == 1 && found["b"]?.entry.changedWhileRead == true)
        // The next run finds the stamp of the second again, and what it archived must be what belongs to it.
        let later = Made.file("a", noise(size, 2), inode: 5, links: 2, stamp: 2000)
        expect(try bench.contents(try bench.archive([later, second]).record), [later, second])
    }

    @Test("A second name of a file that was emptied in between is empty, not a trap")
    func emptiedBetweenNames() throws {
        let bench = try VaultBench()
        let made = [Made.file("a", noise(10, 1), inode: 5, links: 2), .file("b", [], inode: 5, links: 2, stamp: 2000)]
        expect(try bench.contents(try bench.archive(made).record), made)
    }

    @Test("Holes are kept as holes and read as zeros")
    func sparse() throws {
        let bench = try VaultBench()
        var bytes = [UInt8](repeating: 0, count: 5 << 20)
        bytes.replaceSubrange((2 << 20)..<(2 << 20) + 5000, with: noise(5000, 1))
        var made = Made.file("f", bytes, inode: 1)
        made.isSparse = true
        made.content?.holes = [0..<2 << 20, (2 << 20) + 5000..<5 << 20]
        let run = try bench.archive([made])
        expect(try bench.contents(run.record), [made])
        #expect(run.newBytes < 10_000)
        var hole = Made.file("h", [], inode: 2) { $0.size = 1 << 30 }
        hole.content = MadeContent([])
        hole.isSparse = true
        let second = try bench.archive([hole])
        var zeros: UInt64 = 0
        let reader = try bench.reader()
        let tree = try ArchiveReader(reader, second.record)
        try tree.forEachEntry { page in
            try tree.read(page.content, with: try ChunkReader(reader, for: second.record)) { bytes in
                zeros += UInt64(bytes.count)
                #expect(bytes[0] == 0)
            }
            return true
        }
        #expect(zeros == 1 << 30)
    }

    @Test("A group holds 4096 files at most, and equal files are stored once")
    func groups() throws {
        let bench = try VaultBench()
        let made = (0..<9000).map { Made.file("f\(10_000 + $0)", noise(8, UInt64($0)), inode: UInt64($0)) }
        let run = try bench.archive(made)
        #expect(try bench.kinds(run.record)[.group] == 3)
        let twins = (0..<9000).map { Made.file("g\(10_000 + $0)", noise(8, UInt64($0)), inode: UInt64($0)) }
        let second = try bench.archive(twins)
        #expect(try bench.kinds(second.record)[.group] == nil)
        expect(try bench.contents(second.record), twins)
    }

    @Test("A host that lost its caches stores nothing twice")
    func lostState() throws {
        let bench = try VaultBench()
        let made = (0..<500).map { Made.file("f\(1000 + $0)", noise(300, UInt64($0)), inode: UInt64($0)) }
        _ = try bench.archive(made)
        for part in ["trees", "index", "members", "catalog", "sessions"] {
            ScratchDirectory.remove("\(bench.vault.host.directory)/\(part)")
        }
        try bench.reopen()
        let second = try bench.archive(made)
        #expect(second.unchanged.isEmpty)
        #expect(try bench.kinds(second.record)[.group] == nil && (try bench.kinds(second.record)[.data]) == nil)
        expect(try bench.contents(second.record), made)
    }

    @Test(
        "A run syncs each object that it stores, and its directory, once; where it opens the vault, also what may not be durable yet"
    )
    func syncs() throws {
        let calls = FaultyCalls(SimulatedDisk())
        let made = try WorkloadVault(try LocalStore.creating(path: "/srv/vault", calls: calls))
        var options = WorkloadTree.options
        options.sealingThreads = 1
        func objects() throws -> Set<String> {
            let folders = ["keyrings", "log", "packs", "refs", "index", "manifests"]
            return Set(try folders.flatMap { try made.store.list($0).map(\.name) })
        }
        func folders(_ names: Set<String>) -> Set<String> {
            Set(names.filter { $0.hasPrefix("packs/") }.map { String($0.prefix("packs/xx".count)) })
        }
        var vault = try made.vault
        var tree = WorkloadTree(seed: 5, files: 4, fileBytes: 500, chunked: 9_000)
        try tree.archive(into: vault, source: WorkloadVault.source(1), options: options)
        for isOpen in [true, false] {
            if !isOpen { vault = try made.reopened(try LocalStore(path: "/srv/vault", calls: calls)) }
            tree.change()
            let before = try objects()
            calls.arm([])
            try tree.archive(into: vault, source: WorkloadVault.source(1), options: options)
            let (files, directories) = (calls.count(.syncFile), calls.count(.syncDirectory))
            let stored = try objects().subtracting(before)
            let new = folders(stored).subtracting(folders(before)).count
            #expect(stored.count >= 7)
            // The record before, and above the directories.
            #expect(files == stored.count + (isOpen ? 0 : 1))
            #expect((isOpen ? 0...0 : 2...3).contains(directories - stored.count - new), "\(directories), \(stored)")
        }
    }

    @Test(
        "Where a power cut took or tore what a host noted of its members, they are read again, and nothing is stored twice"
    )
    func tornNote() throws {
        let bench = try VaultBench()
        func files(_ letter: String) -> [Made] {
            (0..<100).map { Made.file("\(letter)\(1000 + $0)", noise(300, UInt64($0)), inode: UInt64($0)) }
        }
        var ids = [try bench.archive(files("a")).record.id]
        let members = "\(bench.vault.host.directory)/members"
        let folder = "\(members)/\(try #require(try StateFile.list(members).first))"
        let note = "\(folder)/covered"
        let whole = try #require(try StateFile.read(note, limit: 1 << 20))
        let torn = [[], Array(whole.dropLast(10)), whole.dropLast(20) + [UInt8](repeating: 0, count: 20)]
        for (left, letter) in zip(torn, ["b", "c", "d"]) {
            for name in try StateFile.list(folder) where name.hasSuffix(".mem") { unlink("\(folder)/\(name)") }
            try ScratchDirectory.overwrite(note, left)
            let next = try bench.archive(files(letter))
            #expect(try bench.kinds(next.record)[.group] == nil)
            ids.append(next.record.id)
            let text = String(decoding: try #require(try StateFile.read(note, limit: 1 << 20)), as: UTF8.self)
            #expect(Set(text.split(separator: "\n").compactMap { Digest(hex: $0) }).isSuperset(of: ids))
        }
    }

    @Test(
        "A directory of 100 000 entries is archived, met again and listed in order",
        .enabled(if: getenv("QALA_TEST_LONG") != nil))
    func largeDirectory() throws {
        let bench = try VaultBench()
        let made = [.directory("d")] + (0..<100_000).map { Made.file("d/\(1_000_000 + $0)", [], inode: UInt64($0)) }
        let first = try bench.archive(made)
        #expect(first.record.commit.entries == 100_001)
        let second = try bench.archive(made)
        #expect(second.unchanged.count == made.count && second.record.commit.root == first.record.commit.root)
        var listed: [[UInt8]] = []
        try ArchiveReader(try bench.reader(), second.record).forEachEntry { page in
            listed.append(page.path)
            return true
        }
        #expect(listed == made.map(\.entry.path))
    }
}
