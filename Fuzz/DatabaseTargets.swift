@testable import Domain

// Logs of database servers: they come from a server that may have been taken over, or lay where anybody could write.

/// Writes a log as a server does.
private struct LogWriter {
    private(set) var bytes: [UInt8] = [0xFE, 0x62, 0x69, 0x6E]
    /// Mutations break checksums; a log without them lets what lies behind be reached.
    private let hasChecksums: Bool

    init(state: [BinaryLogGTID], isOpen: Bool = false, hasChecksums: Bool) {
        self.hasChecksums = hasChecksums
        add(15, [UInt8](repeating: 0, count: 57) + [hasChecksums ? 1 : 0], flags: isOpen ? 1 : 0)
        let list = state.flatMap { little($0.domain) + little($0.server) + little($0.sequence) }
        add(163, little(UInt32(state.count)) + list)
    }

    mutating func add(_ code: UInt8, _ body: [UInt8], flags: UInt16 = 0) {
        let hasSum = hasChecksums || code == 15
        let length = UInt32(19 + body.count + (hasSum ? 4 : 0))
        func event(_ flags: UInt16) -> [UInt8] {
            little(UInt32(1_795_000_000)) + [code] + little(UInt32(7)) + little(length)
                + little(UInt32(bytes.count) + length) + little(flags) + body
        }
        var sum = CRC32()
        event(code == 15 ? 0 : flags).withUnsafeBytes { sum.add($0) }
        bytes += event(flags) + (hasSum ? little(sum.value) : [])
    }

    mutating func transaction(_ sequence: UInt64) {
        add(162, little(sequence) + little(UInt32(0)) + [0x0C] + [UInt8](repeating: 0, count: 6))
        add(23, [UInt8](repeating: 3, count: 40))
        add(16, little(sequence))
    }

    mutating func statement(_ sequence: UInt64, _ text: String) {
        add(162, little(sequence) + little(UInt32(0)) + [0x29] + [UInt8](repeating: 0, count: 6))
        add(
            2, [UInt8](repeating: 0, count: 8) + [4, 0, 0, 3, 0, 9, 9, 9] + Array("shop".utf8) + [0] + Array(text.utf8))
    }
}

private func little(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

private func gtid(_ sequence: UInt64) -> BinaryLogGTID { BinaryLogGTID(domain: 0, server: 7, sequence: sequence) }

/// Up to where a log is whole when it comes in pieces.
private func whole(_ bytes: [UInt8], pieces: Int) -> UInt64 {
    var follower = BinaryLogFollower()
    var at = 0
    while at < bytes.count {
        let end = min(bytes.count, at + pieces)
        guard (try? bytes[at..<end].withUnsafeBytes({ try follower.take($0) })) != nil else { break }
        at = end
    }
    expect(follower.wholeBytes <= UInt64(bytes.count), "nothing is whole that was not given")
    return follower.wholeBytes
}

let databaseTargets = [
    // The first byte says in what pieces the log comes and where its replay begins.
    Target(
        name: "binary-log",
        run: { input in
            guard let first = input.first else { return }
            let bytes = Array(input.dropFirst())
            let pieces = Int(first & 0x3F) + 1
            let end = whole(bytes, pieces: bytes.count)
            expect(whole(bytes, pieces: pieces) == end, "a log is whole as far in pieces as at once")
            let targets: [BinaryLogTarget] = [
                .latest, .time(1_795_000_000), .transaction(gtid(2)),
                .place(BinaryLogPlace(file: "b.000001", position: end)),
            ]
            for target in targets {
                let start = BinaryLogPlace(file: "b.000001", position: first & 0x80 == 0 ? 4 : end)
                var walk = BinaryLogWalk(from: start, before: first & 0x40 == 0 ? [] : [gtid(1)], to: target)
                walk.begin("b.000001")
                _ = try? bytes.withUnsafeBytes { try walk.take($0) }
                _ = try? walk.end(isLast: true)
                expect(
                    walk.reached.position <= max(end, start.position), "a replay ends where the log is whole")
                expect((walk.stop ?? walk.reached) == walk.reached, "a replay stops where it came")
            }
        },
        seeds: {
            [(true, false), (true, true), (false, false), (false, true)].map { hasChecksums, isOpen in
                var log = LogWriter(state: [gtid(1)], isOpen: isOpen, hasChecksums: hasChecksums)
                log.transaction(2)
                log.statement(3, "DROP TABLE t")
                log.statement(4, "COMMIT")
                log.add(4, little(UInt64(4)) + Array("b.000002".utf8))
                return [isOpen ? 0x46 : 0x07] + (isOpen ? Array(log.bytes.dropLast(9)) : log.bytes)
            }
        })
]
