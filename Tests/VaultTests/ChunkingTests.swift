import Domain
import Testing

@testable import Vault

@Suite("Chunking")
struct ChunkingTests {
    private let small = ChunkerParameters(minimum: 64, normal: 256, maximum: 1024)

    private func key(_ first: UInt8 = 0) throws -> Digest {
        try #require(Digest((0..<32).map { UInt8($0) &+ first }))
    }

    /// Lengths of all chunks of one file.
    private func cuts(_ data: [UInt8], _ chunker: Chunker) -> [Int] {
        data.withUnsafeBytes { bytes in
            var lengths: [Int] = []
            var at = 0
            while at < bytes.count {
                lengths.append(chunker.firstCut(in: UnsafeRawBufferPointer(rebasing: bytes[at...])))
                at += lengths.last ?? bytes.count
            }
            return lengths
        }
    }

    /// What the definition says, word by word.
    private func defined(_ bytes: ArraySlice<UInt8>, gear: [UInt64], _ parameters: ChunkerParameters) -> Int {
        let count = min(parameters.maximum, bytes.count)
        if count <= parameters.minimum { return count }
        var fingerprint: UInt64 = 0
        for index in parameters.minimum..<count {
            fingerprint = (fingerprint << 1) &+ gear[Int(bytes[bytes.startIndex + index])]
            let bits = parameters.normal.trailingZeroBitCount
            let zeros = index < parameters.normal ? bits + 2 : bits - 2
            if fingerprint.leadingZeroBitCount >= zeros { return index + 1 }
        }
        return count
    }

    private func gearTable(_ key: Digest) -> [UInt64] {
        (0..<256).map { index in
            let tag = IdentityHasher(suite: .hmacSHA256, key: key).identity(
                of: Array("qala/v1/gear".utf8) + [UInt8(index)])
            return tag.bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    @Test("The gear table is the one another implementation derives")
    func gear() throws {
        let gear = gearTable(try key())
        #expect(gear[0] == 0xaede_20aa_ae9c_d5b1)
        #expect(gear[1] == 0xca72_ed03_f495_a207)
        #expect(gear[255] == 0x646f_e73f_57ab_12d2)
    }

    @Test("Golden vector: small chunks")
    func goldenSmall() throws {
        var random = Splitmix(seed: 7)
        let expected = [
            258, 338, 311, 290, 317, 388, 233, 197, 296, 131, 293, 275, 146, 284, 277, 279, 276, 330, 363, 258, 282,
            349,
            257, 93, 275, 268, 308, 100, 144, 333, 120, 163, 99, 107, 284, 335, 330, 501, 261, 238, 273, 271, 366, 306,
            161, 277, 112, 303, 286, 278, 300, 473, 318, 315, 117, 301, 300, 429, 260, 167,
        ]
        #expect(cuts(random.bytes(16_000), Chunker(key: try key(), parameters: small)) == expected)
    }

    private let wide = ChunkerParameters(minimum: 512 << 10, normal: 2 << 20, maximum: 8 << 20)

    @Test("Golden vector: sizes from 512 KiB to 8 MiB")
    func goldenWide() throws {
        var random = Splitmix(seed: 1)
        let expected = [
            3_784_938, 2_796_299, 638_827, 2_249_811, 2_179_429, 3_192_291, 990_772, 2_174_152, 2_168_825, 796_176,
        ]
        #expect(cuts(random.bytes(20 << 20), Chunker(key: try key(), parameters: wide)) == expected)
    }

    @Test("Bytes without content to cut at make chunks of the maximum")
    func zeros() throws {
        let chunker = Chunker(key: try key(), parameters: small)
        #expect(cuts([UInt8](repeating: 0, count: 5_000), chunker) == [1024, 1024, 1024, 1024, 904])
    }

    @Test("The fast scan does what the definition says, for any length and size")
    func definition() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Splitmix(seed: seed)
        for round in 0..<400 {
            let minimum = 1 + random.next(below: 200)
            let normal = [256, 512, 1024][random.next(below: 3)]
            let parameters = ChunkerParameters(
                minimum: minimum, normal: normal, maximum: normal + 1 + random.next(below: 2_000))
            let key = try key(UInt8(round % 250))
            let data = random.bytes(random.next(below: 3_000))
            let cut = data.withUnsafeBytes { Chunker(key: key, parameters: parameters).firstCut(in: $0) }
            #expect(cut == defined(data[...], gear: gearTable(key), parameters), "seed \(seed), round \(round)")
        }
    }

    @Test("Nothing has no chunk; up to the minimum there is one")
    func shortFiles() throws {
        let chunker = Chunker(key: try key(), parameters: small)
        #expect(chunker.firstCut(in: UnsafeRawBufferPointer(start: nil, count: 0)) == 0)
        for count in [1, 63, 64] { #expect(cuts([UInt8](repeating: 7, count: count), chunker) == [count]) }
    }

    @Test("Where a chunk ends does not depend on what follows in the buffer")
    func buffering() throws {
        var random = Splitmix(seed: 5)
        let data = random.bytes(100_000)
        let chunker = Chunker(key: try key(), parameters: small)
        let whole = cuts(data, chunker)
        var at = 0
        data.withUnsafeBytes { bytes in
            for length in whole {
                let window = bytes[at..<min(at + small.maximum, bytes.count)]
                #expect(chunker.firstCut(in: UnsafeRawBufferPointer(rebasing: window)) == length)
                at += length
            }
        }
    }

    @Test("Sizes stay between the bounds and gather around the normal one")
    func sizes() throws {
        var random = Splitmix(seed: 3)
        let lengths = cuts(random.bytes(4 << 20), Chunker(key: try key(), parameters: small))
        #expect(lengths.dropLast().allSatisfy { $0 > small.minimum && $0 <= small.maximum })
        let mean = lengths.reduce(0, +) / lengths.count
        #expect(mean > 200 && mean < 350, "mean \(mean)")
        let forced = lengths.count { $0 == small.maximum }
        #expect(forced * 1000 < lengths.count, "\(forced) of \(lengths.count) chunks were cut by the maximum")
    }

    @Test("After an insertion near the start nearly all chunks are the same")
    func insertion() throws {
        var random = Splitmix(seed: 9)
        var data = random.bytes(1 << 20)
        let chunker = Chunker(key: try key(), parameters: small)
        let hasher = IdentityHasher(suite: .blake3, key: .zero)
        func identities() -> [Digest] {
            var out: [Digest] = []
            let lengths = cuts(data, chunker)
            data.withUnsafeBytes { hasher.identities(of: $0, lengths: lengths, into: &out) }
            return out
        }
        let before = Set(identities())
        data.insert(0x55, at: 1_000)
        let fresh = identities().count { !before.contains($0) }
        #expect(fresh >= 1)
        #expect(fresh <= 8, "\(fresh) chunks changed of \(before.count)")
    }

    @Test("Another key cuts elsewhere")
    func keys() throws {
        var random = Splitmix(seed: 2)
        let data = random.bytes(20_000)
        let one = cuts(data, Chunker(key: try key(), parameters: small))
        #expect(one != cuts(data, Chunker(key: try key(1), parameters: small)))
    }

    @Test("Sizes that do not fit together are refused")
    func parameters() {
        #expect(ChunkerParameters.areValid(minimum: 512 << 10, normal: 2 << 20, maximum: 8 << 20))
        #expect(ChunkerParameters.areValid(minimum: 1, normal: 64, maximum: 65))
        for (minimum, normal, maximum) in [
            (0, 256, 1024), (-1, 256, 1024), (256, 256, 1024), (64, 256, 256), (64, 255, 1024), (8, 32, 1024),
            (64, 256, (1 << 30) + 1), (.min, .min, .max),
        ] {
            #expect(!ChunkerParameters.areValid(minimum: minimum, normal: normal, maximum: maximum))
        }
    }

    @Test("Invalid sizes stop the process")
    func invalidParameters() async {
        await #expect(processExitsWith: .failure) {
            _ = ChunkerParameters(minimum: 5, normal: 4, maximum: 3)
        }
    }
}
