import Domain
import Glibc
import Testing

@testable import Vault

private func randomDigest(_ dice: inout Dice) -> Digest {
    Digest(words: (dice.next(), dice.next(), dice.next(), dice.next()))
}

@Suite("Index segments")
struct IndexTests {
    private func packs(_ count: Int, _ dice: inout Dice, known: [Digest] = []) -> [PackSummary] {
        (0..<count).map { _ in
            var offset: UInt64 = 112
            let entries = (0..<Int.random(in: 0...40, using: &dice)).map { slot in
                let again = known.randomElement(using: &dice)
                let id = Bool.random(using: &dice) ? again ?? randomDigest(&dice) : randomDigest(&dice)
                offset += 400
                return PackEntry(
                    offset: offset, storedLength: UInt32(64 * Int.random(in: 1...9, using: &dice)), kind: .data,
                    codec: .raw, slot: UInt32(slot), chunkID: id)
            }
            return PackSummary(
                pack: .init(id: randomDigest(&dice), length: 4096, digest: .zero), entries: entries)
        }
    }

    @Test("Every chunk is found where the first pack holds it, and nothing else is", arguments: 0..<20)
    func find(run: Int) throws {
        var dice = Dice(seed: UInt64(run))
        let ids = (0..<30).map { _ in randomDigest(&dice) }
        let packs = packs(6, &dice, known: ids)
        let segment = try IndexSegment(MappedBytes(IndexSegment.encode(domain: ids[0], packs: packs)))
        var expected: [Digest: ChunkLocation] = [:]
        for pack in packs {
            for entry in pack.entries where expected[entry.chunkID] == nil {
                expected[entry.chunkID] = ChunkLocation(
                    pack: pack.pack.id, offset: entry.offset, storedLength: entry.storedLength, slot: entry.slot)
            }
        }
        #expect(segment.count == expected.count && segment.domain == ids[0])
        for (id, location) in expected { #expect(segment.find(id) == location) }
        for _ in 0..<200 { #expect(segment.find(randomDigest(&dice)) == nil) }
        for edge in [Digest.zero, Digest(words: (.max, .max, .max, .max))] { #expect(segment.find(edge) == nil) }
        var last: Digest?
        segment.forEach { id, _ in
            if let last { #expect(last < id) }
            last = id
        }
    }

    @Test("Segments joined give the same bytes as one made from all their footers", arguments: 0..<20)
    func join(run: Int) throws {
        var dice = Dice(seed: UInt64(run))
        let ids = (0..<30).map { _ in randomDigest(&dice) }
        let first = packs(3, &dice, known: ids)
        let second = packs(3, &dice, known: ids)
        let third = packs(2, &dice, known: ids)
        func summaries(_ packs: [PackSummary]) throws -> [PackSummary] {
            try IndexSegment(MappedBytes(IndexSegment.encode(domain: .zero, packs: packs))).summaries()
        }
        let joined = IndexSegment.encode(domain: .zero, packs: try summaries(first) + summaries(second) + third)
        #expect(joined == IndexSegment.encode(domain: .zero, packs: first + second + third))
        let again = IndexSegment.encode(
            domain: .zero, packs: try summaries(summaries(first) + summaries(second)) + third)
        #expect(again == joined)
    }

    @Test("A segment that is cut, too long or miscounted is damage")
    func malformed() {
        var dice = Dice(seed: 1)
        let good = IndexSegment.encode(domain: .zero, packs: packs(2, &dice))
        for count in stride(from: 0, to: good.count, by: 13) {
            #expect(throws: VaultError.self) { try IndexSegment(MappedBytes(Array(good[..<count]))) }
        }
        #expect(throws: VaultError.self) { try IndexSegment(MappedBytes(good + [0])) }
        for at in [0, 40, 41, 42, 43, 44, 47] {
            var bad = good
            bad[at] ^= 0x80
            #expect(throws: VaultError.self) { try IndexSegment(MappedBytes(bad)) }
        }
    }

    @Test("A chunk is claimed once, unless the domain holds it")
    func claims() throws {
        var dice = Dice(seed: 2)
        let packs = packs(4, &dice)
        let segment = try IndexSegment(MappedBytes(IndexSegment.encode(domain: .zero, packs: packs)))
        let index = ChunkIndex(segments: [segment])
        let held = try #require(packs.flatMap(\.entries).first?.chunkID)
        #expect(!index.claim(held) && index.contains(held))
        let fresh = randomDigest(&dice)
        #expect(!index.contains(fresh))
        #expect(index.claim(fresh))
        #expect(!index.claim(fresh) && index.contains(fresh))
        let adopted = randomDigest(&dice)
        index.adopt([adopted])
        #expect(!index.claim(adopted))
    }
}

@Suite("Which small files are stored")
struct MemberIndexTests {
    private struct Fixture {
        let scratch: ScratchDirectory
        var directory: String { scratch.path + "/members" }
        var dice = Dice(seed: 3)
        var groups: [Digest] = []

        init() throws {
            scratch = try ScratchDirectory()
            groups = (0..<8).map { _ in randomDigest(&dice) }
        }

        /// An index of chunks that holds the groups.
        func chunks(_ groups: [Digest]) -> ChunkIndex {
            let index = ChunkIndex(segments: [])
            index.adopt(groups)
            return index
        }
    }

    @Test("What was put in is found, before and after it went to a file and was joined with others")
    func spillAndMerge() throws {
        var fixture = try Fixture()
        let chunks = fixture.chunks(fixture.groups)
        var index = try MemberIndex(directory: fixture.directory, chunks: chunks)
        var expected: [Digest: (Digest, Int)] = [:]
        func check() {
            for (id, place) in expected {
                let found = index.find(id)
                #expect(found?.group == .known(place.0) && found?.index == place.1)
            }
        }
        for round in 0..<15 {
            for number in 0..<40 {
                let id = randomDigest(&fixture.dice)
                let group = fixture.groups[(round + number) % 8]
                index.insert(id, group: .known(group), index: number)
                expected[id] = (group, number)
            }
            check()
            try index.spill { if case .known(let id) = $0 { id } else { nil } }
            check()
            #expect(index.find(randomDigest(&fixture.dice)) == nil)
        }
        #expect(try StateFile.list(fixture.directory).count < 12)
        index = try MemberIndex(directory: fixture.directory, chunks: chunks)
        check()
    }

    @Test("A member of a group that is still under way stays in memory until the group has its id")
    func pending() throws {
        var fixture = try Fixture()
        let group = fixture.groups[0]
        let index = try MemberIndex(directory: fixture.directory, chunks: fixture.chunks([group]))
        let id = randomDigest(&fixture.dice)
        index.insert(id, group: .pending(5), index: 1)
        try index.spill { _ in nil }
        #expect(index.find(id)?.group == .pending(5))
        try index.spill { _ in group }
        #expect(index.find(id)?.group == .known(group))
    }

    @Test("A member of a group that no chunk index holds is not believed, and goes when files are joined")
    func dead() throws {
        var fixture = try Fixture()
        var index = try MemberIndex(directory: fixture.directory, chunks: fixture.chunks(fixture.groups))
        let ids = (0..<13).map { _ in randomDigest(&fixture.dice) }
        for (number, id) in ids.enumerated() {
            index.insert(id, group: .known(fixture.groups[number % 2]), index: number)
            if number < 11 { try index.spill { if case .known(let id) = $0 { id } else { nil } } }
        }
        try index.spill { if case .known(let id) = $0 { id } else { nil } }
        index = try MemberIndex(directory: fixture.directory, chunks: fixture.chunks([fixture.groups[1]]))
        for (number, id) in ids.enumerated() { #expect((index.find(id) != nil) == (number % 2 == 1)) }
    }

    @Test("A file that is cut or changed anywhere never names another place for a member")
    func damaged() throws {
        var fixture = try Fixture()
        let rows = (0..<20).map { number in
            MemberFile.Row(id: randomDigest(&fixture.dice), group: UInt32(number % 8), index: UInt32(number))
        }.sorted { $0.id < $1.id }
        let path = fixture.scratch.path + "/file.mem"
        try MemberFile.write(path, rows: rows, groups: fixture.groups)
        let good = try #require(try StateFile.read(path, limit: 1 << 20))
        let chunks = fixture.chunks(fixture.groups)
        func check(_ bytes: [UInt8], _ what: String) throws {
            try ScratchDirectory.overwrite(path, bytes)
            guard let file = MemberFile(path: path) else { return }
            for row in rows {
                guard let (group, index) = file.find(row.id), file.isLive(group, chunks) else { continue }
                #expect(file.groupID(group) == fixture.groups[Int(row.group)] && index == Int(row.index), "\(what)")
            }
        }
        try check(good, "whole")
        for count in stride(from: 0, to: good.count, by: 17) { try check(Array(good[..<count]), "\(count) bytes") }
        for at in good.indices {
            var bad = good
            bad[at] ^= 1
            try check(bad, "byte \(at)")
        }
    }
}
