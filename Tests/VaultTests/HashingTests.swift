import CBlake3
import Domain
import Testing

@testable import Vault

/// Reproducible random numbers (SplitMix64).
struct Splitmix {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func next(below limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 8)
        while result.count < count {
            withUnsafeBytes(of: next().littleEndian) { result.append(contentsOf: $0) }
        }
        result.removeLast(result.count - count)
        return result
    }
}

private let vectorKey = Array("whats the Elvish word for friend".utf8)

private func vectorMessage(_ length: Int) -> [UInt8] { (0..<length).map { UInt8($0 % 251) } }

/// The C functions as plain Swift values.
private enum Blake3 {
    static func whole(_ message: [UInt8], key: [UInt8]?) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 32)
        message.withUnsafeBytes { bytes in
            withKey(key) { qala_blake3($0, bytes.baseAddress, bytes.count, &out) }
        }
        return out
    }

    /// `pieces` cuts the message; what they do not cover is left out.
    static func streamed(_ message: [UInt8], pieces: [Int], key: [UInt8]?) -> [UInt8] {
        var stream = qala_blake3_stream()
        withKey(key) { qala_blake3_stream_init(&stream, $0) }
        var out = [UInt8](repeating: 0, count: 32)
        message.withUnsafeBytes { bytes in
            var at = 0
            for piece in pieces {
                qala_blake3_stream_update(&stream, bytes.baseAddress.map { $0 + at }, piece)
                at += piece
                // Asking for the result in between must not disturb the rest.
                if piece.isMultiple(of: 5) { qala_blake3_stream_final(&stream, &out) }
            }
        }
        qala_blake3_stream_final(&stream, &out)
        return out
    }

    static func many(_ messages: [[UInt8]], key: [UInt8]?) -> [[UInt8]] {
        let joined = Array(messages.joined())
        var out = [UInt8](repeating: 0, count: 32 * messages.count)
        joined.withUnsafeBufferPointer { bytes in
            var starts: [UnsafePointer<UInt8>?] = []
            var at = 0
            for message in messages {
                starts.append(bytes.baseAddress.map { $0 + at })
                at += message.count
            }
            withKey(key) { qala_blake3_many($0, starts, messages.map { $0.count }, messages.count, &out) }
        }
        return (0..<messages.count).map { Array(out[32 * $0..<32 * $0 + 32]) }
    }

    private static func withKey(_ key: [UInt8]?, _ body: (UnsafePointer<UInt8>?) -> Void) {
        guard let key else { return body(nil) }
        key.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

@Suite("BLAKE3 at every level of the processor", .serialized)
struct Blake3LevelTests {
    /// The levels this machine has.
    private static let levels: ClosedRange<Int32> = {
        qala_blake3_set_level(.max)
        return 0...qala_blake3_level()
    }()

    private func atEveryLevel(_ body: (Int32) throws -> Void) rethrows {
        defer { qala_blake3_set_level(.max) }
        for level in Self.levels {
            qala_blake3_set_level(level)
            #expect(qala_blake3_level() == level)
            try body(level)
        }
    }

    @Test("The published vectors hold, whole, streamed and side by side")
    func vectors() {
        let messages = hashVectors.map { vectorMessage($0.length) }
        atEveryLevel { level in
            let plain = Blake3.many(messages, key: nil)
            let keyed = Blake3.many(messages, key: vectorKey)
            for (index, vector) in hashVectors.enumerated() {
                let message = messages[index]
                let halves = [message.count / 2, message.count - message.count / 2]
                let at: Comment = "length \(vector.length), level \(level)"
                #expect(Hex.encode(Blake3.whole(message, key: nil)) == vector.blake3, at)
                #expect(Hex.encode(Blake3.whole(message, key: vectorKey)) == vector.keyedBlake3, at)
                #expect(Hex.encode(plain[index]) == vector.blake3, at)
                #expect(Hex.encode(keyed[index]) == vector.keyedBlake3, at)
                #expect(Hex.encode(Blake3.streamed(message, pieces: halves, key: nil)) == vector.blake3, at)
                #expect(Hex.encode(Blake3.streamed(message, pieces: halves, key: vectorKey)) == vector.keyedBlake3, at)
            }
        }
    }

    @Test("Random messages in random pieces hash alike at every level")
    func differential() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Splitmix(seed: seed)
        let data = random.bytes(700_000)
        var cases: [(message: [UInt8], pieces: [Int])] = []
        for round in 0..<40 {
            // Many sizes near leaves and batches, some large.
            let most = [1_100, 5_000, 70_000, 600_000][round % 4]
            var length = random.next(below: most)
            if round.isMultiple(of: 3) { length = length / 1024 * 1024 }
            let start = random.next(below: data.count - length)
            var pieces: [Int] = []
            var rest = length
            while rest > 0 {
                let piece = min(rest, 1 + random.next(below: [70, 1_500, 40_000, 300_000][random.next(below: 4)]))
                pieces.append(piece)
                rest -= piece
            }
            cases.append((Array(data[start..<start + length]), pieces))
        }
        var expected: [[UInt8]] = []
        atEveryLevel { level in
            for (index, one) in cases.enumerated() {
                let whole = Blake3.whole(one.message, key: vectorKey)
                if level == 0 { expected.append(whole) }
                let at: Comment = "seed \(seed), case \(index), length \(one.message.count), level \(level)"
                #expect(whole == expected[index], at)
                #expect(Blake3.streamed(one.message, pieces: one.pieces, key: vectorKey) == whole, at)
            }
        }
    }

    @Test("Messages hashed side by side hash as they do alone", arguments: [0, 1, 2, 3, 5, 17, 300])
    func many(count: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Splitmix(seed: seed)
        let messages = (0..<count).map { index -> [UInt8] in
            let most = [2, 65, 130, 1_025, 4_000, 40_000][random.next(below: index < 40 ? 6 : 4)]
            return random.bytes(random.next(below: most))
        }
        atEveryLevel { level in
            for key in [nil, vectorKey] {
                let together = Blake3.many(messages, key: key)
                for (index, message) in messages.enumerated() {
                    #expect(
                        together[index] == Blake3.whole(message, key: key),
                        "seed \(seed), message \(index) of \(message.count) bytes, level \(level)")
                }
            }
        }
    }

    @Test("A level that the machine lacks becomes the best one it has, a negative one the portable one")
    func bounds() {
        qala_blake3_set_level(99)
        #expect(qala_blake3_level() == Self.levels.upperBound)
        qala_blake3_set_level(-3)
        #expect(qala_blake3_level() == 0)
        qala_blake3_set_level(.max)
    }
}

@Suite("Identities and digests")
struct HashingTests {
    private func key() throws -> Digest { try #require(Digest(vectorKey)) }

    @Test("Suites keep their names and their numbers on storage")
    func suites() {
        #expect(HashSuite.allCases.map(\.rawValue) == [1, 2])
        #expect(HashSuite.allCases.map(\.name) == ["blake3", "hmac-sha256"])
        for suite in HashSuite.allCases { #expect(HashSuite(name: suite.name) == suite) }
        #expect(HashSuite(name: "BLAKE3") == nil)
        #expect(HashSuite(name: "") == nil)
        #expect(HashSuite(rawValue: 0) == nil)
    }

    @Test("Identities are those of the published functions")
    func identities() throws {
        let blake3 = IdentityHasher(suite: .blake3, key: try key())
        let hmac = IdentityHasher(suite: .hmacSHA256, key: try key())
        for vector in hashVectors {
            let message = vectorMessage(vector.length)
            #expect(blake3.identity(of: message).hex == vector.keyedBlake3)
            #expect(hmac.identity(of: message).hex == vector.hmacSHA256)
        }
    }

    @Test("Digests are those of the published functions, at once and in pieces")
    func digests() {
        for vector in hashVectors {
            let message = vectorMessage(vector.length)
            for (suite, expected) in [(HashSuite.blake3, vector.blake3), (.hmacSHA256, vector.sha256)] {
                #expect(ObjectHasher.digest(of: message, suite: suite).hex == expected)
                var hasher = ObjectHasher(suite: suite)
                for start in stride(from: 0, to: message.count, by: 1000) {
                    hasher.update(Array(message[start..<min(start + 1000, message.count)]))
                }
                hasher.update([])
                #expect(hasher.finalize().hex == expected)
            }
        }
    }

    @Test("An unfinished hasher is released", arguments: HashSuite.allCases)
    func abandoned(suite: HashSuite) {
        for _ in 0..<100 {
            var hasher = ObjectHasher(suite: suite)
            hasher.update(vectorMessage(100))
        }
    }

    @Test("Parts of a buffer have the identities they have alone, appended in order", arguments: HashSuite.allCases)
    func parts(suite: HashSuite) throws {
        var random = Splitmix(seed: 11)
        let lengths =
            (0..<700).map { $0 < 10 ? 40_000 + $0 : random.next(below: $0.isMultiple(of: 7) ? 3_000 : 300) } + [0]
        let data = random.bytes(lengths.reduce(0, +))
        let hasher = IdentityHasher(suite: suite, key: try key())
        var out = [Digest.zero]
        data.withUnsafeBytes { hasher.identities(of: $0, lengths: lengths, into: &out) }
        var expected = [Digest.zero]
        var at = 0
        for length in lengths {
            expected.append(hasher.identity(of: Array(data[at..<at + length])))
            at += length
        }
        #expect(out == expected)
        hasher.identities(of: UnsafeRawBufferPointer(start: nil, count: 0), lengths: [], into: &out)
        #expect(out == expected)
        hasher.identities(of: UnsafeRawBufferPointer(start: nil, count: 0), lengths: [0], into: &out)
        #expect(out.last == hasher.identity(of: []))
    }

    @Test("Parts that do not cover the buffer exactly stop the process")
    func wrongParts() async {
        await #expect(processExitsWith: .failure) {
            var out: [Digest] = []
            [UInt8](repeating: 0, count: 10).withUnsafeBytes {
                IdentityHasher(suite: .blake3, key: .zero).identities(of: $0, lengths: [4, 5], into: &out)
            }
        }
        await #expect(processExitsWith: .failure) {
            var out: [Digest] = []
            [UInt8](repeating: 0, count: 10).withUnsafeBytes {
                IdentityHasher(suite: .blake3, key: .zero).identities(of: $0, lengths: [4, 7], into: &out)
            }
        }
        await #expect(processExitsWith: .failure) {
            var out: [Digest] = []
            [UInt8](repeating: 0, count: 10).withUnsafeBytes {
                IdentityHasher(suite: .blake3, key: .zero).identities(of: $0, lengths: [11, -1], into: &out)
            }
        }
    }

    @Test("Another key gives other identities", arguments: HashSuite.allCases)
    func keys(suite: HashSuite) throws {
        let one = IdentityHasher(suite: suite, key: try key()).identity(of: [1, 2, 3])
        let other = IdentityHasher(suite: suite, key: .zero).identity(of: [1, 2, 3])
        #expect(one != other)
        #expect(other != ObjectHasher.digest(of: [1, 2, 3], suite: suite))
    }
}
