import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// Whoever changes the files of a log is caught, and the entries are named.
@Suite("Audit: damage is found and located")
struct AuditDamageTests {
    private static let count = 10_000

    /// Numbers in findings of these kinds.
    private func numbers(_ report: AuditReport, _ kinds: Set<AuditFinding.Kind>) -> Set<UInt64> {
        Set(report.findings.filter { kinds.contains($0.kind) }.flatMap { Array($0.range) })
    }

    @Test("Of 10,000 entries each one that is altered, dropped, moved or cut off is named")
    func eachOfTenThousand() throws {
        let place = try AuditBench.Place()
        try AuditBench.makeLog(Self.count, in: place)
        #expect(try AuditBench.verify(place).isClean)
        let segments = try (0..<3).map { try place.lines($0) }

        func check(
            _ kinds: Set<AuditFinding.Kind>, _ change: (Int, inout [[UInt8]]) -> Set<UInt64>
        ) throws {
            var expected: Set<UInt64> = []
            for (at, lines) in segments.enumerated() {
                var changed = lines
                expected.formUnion(change(at * 4096, &changed))
                try place.write(changed, at)
            }
            let report = try AuditBench.verify(place, limit: Self.count)
            #expect(report.omitted == 0 && report.findings.allSatisfy { kinds.contains($0.kind) })
            #expect(numbers(report, kinds) == expected)
        }
        for part in 0..<2 {
            try check([.altered]) { first, lines in
                var expected: Set<UInt64> = []
                for at in lines.indices where (first + at) % 2 == part {
                    // Anywhere but in the number: there the line is another entry's.
                    let byte = 20 + (first + at) * 7 % (lines[at].count - 20)
                    lines[at][byte] ^= 1
                    expected.insert(UInt64(first + at))
                }
                return expected
            }
        }
        for part in 0..<2 {
            try check([.missing]) { first, lines in
                let gone = lines.indices.filter { (first + $0) % 2 == part }
                lines = lines.indices.filter { (first + $0) % 2 != part }.map { lines[$0] }
                return Set(gone.map { UInt64(first + $0) })
            }
        }
        for part in 0..<(AuditBench.isLong ? 3 : 1) {
            // The second of two that changed places is found out of place and missing where it belongs.
            try check([.missing, .misplaced]) { first, lines in
                var expected: Set<UInt64> = []
                for at in stride(from: part, to: lines.count - 1, by: 3) {
                    lines.swapAt(at, at + 1)
                    expected.insert(UInt64(first + at + 1))
                }
                return expected
            }
        }
        for (at, lines) in segments.enumerated() { try place.write(lines, at) }
        try checkCuts(place, segments)
    }

    /// Cut at a line's end and in the middle of a line, the entries that are gone are named.
    private func checkCuts(_ place: AuditBench.Place, _ segments: [[[UInt8]]]) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let step = AuditBench.isLong ? 37 : 211
        let cuts =
            Array(stride(from: Int.random(in: 0..<step, using: &random), to: Self.count, by: step)) + [0, 4096, 9999]
        for cut in cuts {
            let segment = cut / 4096
            for later in segment..<3 {
                try? FileManager.default.removeItem(at: place.file(AuditBench.Place.segment(later)))
            }
            // At a line's end, or in the middle of the next line.
            let (whole, next) = (segments[segment][..<(cut % 4096)], segments[segment][cut % 4096])
            let torn = cut % 2 == 0 ? [] : Array(next[..<40])
            if cut % 4096 > 0 || !torn.isEmpty { try place.write(Array(whole), segment, torn: torn) }
            let report = try AuditBench.verify(place)
            #expect(numbers(report, [.missing, .altered]) == Set(UInt64(cut)..<10_000), "cut \(cut), seed \(seed)")
            if cut == 9999 {
                #expect { try AuditBench.open(LinuxCalls.shared, path: place.log) } throws: {
                    ($0 as? VaultError)?.code == .damaged
                }
            }
            for later in segment..<3 { try place.write(segments[later], later) }
        }
    }

    @Test("Every single change of a small log is found at its place: bytes of a line, moves and copies")
    func exhaustive() throws {
        let place = try AuditBench.Place()
        let count = AuditBench.isLong ? 24 : 14
        try AuditBench.makeLog(count, in: place)
        let lines = try place.lines()
        for at in lines.indices {
            let step = AuditBench.isLong ? 1 : 31
            for byte in stride(from: at % step, to: lines[at].count, by: step) {
                var changed = lines
                changed[at][byte] ^= byte % 3 == 0 ? 0x80 : 1
                try place.write(changed)
                let report = try AuditBench.verify(place)
                #expect(numbers(report, [.altered, .missing]).contains(UInt64(at)), "byte \(byte) of \(at)")
                #expect(report.findings.count <= 3)
            }
            for other in lines.indices where other != at && (AuditBench.isLong || (at + other) % 3 == 0) {
                var moved = lines
                moved.insert(moved.remove(at: at), at: other)
                try place.write(moved)
                let named = numbers(try AuditBench.verify(place), [.missing, .misplaced, .altered])
                #expect(!named.isDisjoint(with: [UInt64(at), UInt64(other)]), "\(at) moved to \(other)")
                if other < 8, at > 8 {
                    var copied = lines
                    copied.insert(lines[at], at: other)
                    try place.write(copied)
                    #expect(try !AuditBench.verify(place).isClean, "\(at) copied to \(other)")
                }
            }
        }
    }

    @Test("Who also changes the stored hashes is caught by the signatures, in the block of 256")
    func consistentForgery() throws {
        for number in AuditBench.isLong ? [0, 255, 256, 1000, 1023, 1024, 1290] : [256, 1290] {
            let place = try AuditBench.Place()
            try AuditBench.makeLog(1300, in: place)
            var lines = try place.lines()
            let forged = AuditBench.act(number + 1)
            lines[number] = try AuditEntry(number: UInt64(number), time: AuditBench.clock(), act: forged).line
            try place.write(lines)
            var hashes = try place.bytes("hashes/0")
            hashes.replaceSubrange(number * 32..<(number + 1) * 32, with: Merkle.leaf(lines[number]).bytes)
            try place.write("hashes/0", hashes)
            if number / 256 < 5 {
                var blocks = try place.bytes("hashes/1")
                let first = number / 256 * 256
                let root = AuditMerkleTests.mth(lines[first..<(first + 256)].map { Merkle.leaf($0) }[...])
                blocks.replaceSubrange(number / 256 * 32..<(number / 256 + 1) * 32, with: root.bytes)
                try place.write("hashes/1", blocks)
            }
            let report = try AuditBench.verify(place)
            let found = try #require(report.findings.first)
            #expect(found.kind == .unproven && found.range.lowerBound == UInt64(number / 256 * 256))
            // Sizes that are powers of two give the tree back.
            let next = [256, 512, 1024, 1300].first { $0 > number } ?? 1300
            #expect(report.findings.count == 1 && found.range.upperBound <= UInt64(max(next, number / 256 * 256 + 256)))
            #expect { try AuditBench.open(LinuxCalls.shared, path: place.log) } throws: {
                ($0 as? VaultError)?.code == .damaged
            }
        }
    }

    @Test(
        "Entries past the last checkpoint cannot be altered or cut off unnoticed either, as long as the tail is there")
    func tail() throws {
        let harms: [(AuditFinding, (inout [[UInt8]]) throws -> Void)] = [
            (AuditFinding(.missing, 295..<300), { $0[295][1] ^= 1 }),
            (AuditFinding(.missing, 294..<300), { $0.remove(at: 294) }),
            (AuditFinding(.missing, 299), { $0.removeLast() }),
            (
                AuditFinding(.altered, 299),
                { $0[299] = try AuditEntry(number: 299, time: AuditBench.clock(), act: AuditBench.act(1)).line }
            ),
        ]
        for (expected, harm) in harms {
            let place = try AuditBench.Place()
            try AuditBench.makeLog(290, in: place)
            try AuditBench.fill(
                try AuditBench.open(LinuxCalls.shared, path: place.log), 290..<300, checkpoint: false)
            var lines = try place.lines()
            try harm(&lines)
            try place.write(lines)
            #expect(try AuditBench.verify(place).findings == [expected])
            #expect { try AuditBench.open(LinuxCalls.shared, path: place.log) } throws: {
                ($0 as? VaultError)?.message.contains(expected.text(.english)) == true
            }
        }
    }

    @Test("An old checkpoint put back is found without a pin, by the history, the entries or the next segment")
    func oldCheckpoint() throws {
        let place = try AuditBench.Place()
        try AuditBench.makeLog(200, in: place)
        let old = try place.bytes("checkpoint")
        for more in [200..<300, 300..<600] + (AuditBench.isLong ? [600..<4200] : []) {
            let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
            try AuditBench.fill(log, more)
            let now = try place.bytes("checkpoint")
            try place.write("checkpoint", old)
            let report = try AuditBench.verify(place)
            #expect(report.findings.contains { $0.kind == .oldCheckpoint }, "\(more): \(report.findings)")
            // And with the entries cut back to it.
            let lines = try place.lines()
            try place.write(Array(lines[..<200]))
            let cut = try AuditBench.verify(place)
            #expect(cut.findings.contains { $0.kind == .oldCheckpoint && $0.range.upperBound >= 256 })
            try place.write(lines)
            try place.write("checkpoint", now)
            #expect(try AuditBench.verify(place).isClean)
        }
        try place.write("checkpoint", [])
        let report = try AuditBench.verify(place)
        #expect(report.findings == [AuditFinding(.checkpoint, 512..<768)] || AuditBench.isLong, "\(report.findings)")
    }

    @Test("Findings are told in both languages, with their entries")
    func texts() {
        for kind in AuditFinding.Kind.allCases {
            let texts = Language.allCases.map { AuditFinding(kind, 3..<9).text($0) }
            #expect(Set(texts).count == 2 && texts.allSatisfy { $0.contains("3–8") })
        }
        #expect(AuditFinding(.missing, 7).text(.english) == "entry 7: missing")
        // Of a log without entries.
        #expect(AuditFinding(.cosigned, 0..<0).text(.english).hasPrefix("entry 0: "))
    }
}
