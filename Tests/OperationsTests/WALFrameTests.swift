import Glibc
import Testing

@testable import WALClient

@Suite("What a helper and the daemon say to each other")
struct WALFrameTests {
    @Test("A request has one form, which older daemons and helpers know, and offers differ in the verb alone")
    func requests() throws {
        for verb in WALRequest.Verb.allCases {
            for (source, file) in [("", "00000002.history"), ("main", WALFiles.name(3))] {
                let request = WALRequest(verb, source: source, file: file, systemID: 0x0102_0304_0506_0708)
                let bytes = try #require(request.bytes)
                #expect(WALRequest(bytes) == request)
                #expect(
                    bytes
                        == Array("QWAL".utf8) + [1, verb.rawValue, UInt8(source.utf8.count), 0, UInt8(file.utf8.count)]
                        + [UInt8](repeating: 0, count: 7) + [8, 7, 6, 5, 4, 3, 2, 1] + Array((source + file).utf8))
            }
        }
        #expect(WALRequest.Verb.allCases.map(\.rawValue) == [1, 2, 3])
        #expect(WALRequest(.push, source: "", file: "", systemID: 0).bytes == nil)
        #expect(WALRequest(.push, source: String(repeating: "x", count: 65), file: "f", systemID: 0).bytes == nil)
    }

    @Test("A reply is read as it was written, and a message that is too long is cut")
    func replies() {
        let reply = WALReply(.tryAgain, "soon", size: 1 << 40)
        #expect(WALReply(reply.bytes) == reply)
        #expect(WALReply(WALReply(.refused, String(repeating: "x", count: 5000)).bytes)?.message.count == 1024)
    }

    @Test("Whatever bytes come, they are refused or are the one form of what they say")
    func hostile() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        var accepted = 0
        let whole = try WALRequest.Verb.allCases.map {
            try #require(WALRequest($0, source: "main", file: WALFiles.name(3), systemID: 7).bytes)
        }
        let replies = [WALReply(.done, size: 9).bytes, WALReply(.absent, "nothing").bytes]
        for _ in 0..<100_000 {
            var bytes = (whole + replies).randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
                case 1: bytes.append(UInt8.random(in: 0...255, using: &random))
                default:
                    guard let at = bytes.indices.randomElement(using: &random) else { continue }
                    bytes[at] = UInt8.random(in: 0...255, using: &random)
                }
            }
            if let request = WALRequest(bytes) {
                accepted += 1
                #expect(request.bytes == bytes, "seed \(seed)")
            }
            // Text that is no UTF-8 is repaired, so that a reply may have more than one form.
            if let reply = WALReply(bytes) { #expect(reply.size == WALReply(reply.bytes)?.size, "seed \(seed)") }
        }
        #expect(accepted > 0, "seed \(seed)")
        for verb in UInt8(0)...255 where WALRequest.Verb(rawValue: verb) == nil {
            var unknown = whole[0]
            unknown[5] = verb
            #expect(WALRequest(unknown) == nil)
        }
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
    }

    @Test("The segment that follows is named as PostgreSQL does, for every size")
    func following() {
        let usual: UInt64 = 16 << 20
        let cases: [(String, UInt64, String?)] = [
            ("000000010000000000000001", usual, "000000010000000000000002"),
            ("0000000A00000003000000FF", usual, "0000000A0000000400000000"),
            ("0000000100000000000000FF", 1 << 20, "000000010000000000000100"),
            ("000000010000000000000FFF", 1 << 20, "000000010000000100000000"),
            ("000000010000000000000003", 1 << 30, "000000010000000100000000"),
            ("00000001FFFFFFFF000000FE", usual, "00000001FFFFFFFF000000FF"),
            ("00000001FFFFFFFF000000FF", usual, nil), ("000000010000000000000100", usual, nil),
            ("00000001000000000000000", usual, nil), ("00000001000000000000000a", usual, nil),
            ("00000001000000000000000+", usual, nil), ("00000002.history", usual, nil),
            ("000000010000000000000001.partial", usual, nil), ("000000010000000000000001", usual - 1, nil),
            ("000000010000000000000001", 0, nil), ("000000010000000000000001", 1 << 19, nil),
            ("000000010000000000000001", 1 << 31, nil),
        ]
        for (name, size, next) in cases { #expect(WALOffers.following(name, size: size) == next, "\(name) \(size)") }
    }
}
