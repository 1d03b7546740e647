import Testing

@testable import Domain

/// Writes a log as a server does.
private struct LogWriter {
    private(set) var bytes: [UInt8] = [0xFE, 0x62, 0x69, 0x6E]
    private let hasChecksums: Bool
    /// Where each event begins.
    private(set) var starts: [Int] = []

    init(state: [BinaryLogGTID] = [], isOpen: Bool = false, hasChecksums: Bool = true) {
        self.hasChecksums = hasChecksums
        add(15, time: 100, [UInt8](repeating: 0, count: 57) + [hasChecksums ? 1 : 0], flags: isOpen ? 1 : 0)
        let list = state.flatMap { Self.little($0.domain) + Self.little($0.server) + Self.little($0.sequence) }
        add(163, time: 100, Self.little(UInt32(state.count)) + list)
    }

    static func little(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    mutating func add(_ code: UInt8, time: UInt32, server: UInt32 = 7, _ body: [UInt8], flags: UInt16 = 0) {
        starts.append(bytes.count)
        let hasSum = hasChecksums || code == 15
        let length = UInt32(19 + body.count + (hasSum ? 4 : 0))
        func event(_ flags: UInt16) -> [UInt8] {
            Self.little(time) + [code] + Self.little(server) + Self.little(length)
                + Self.little(UInt32(bytes.count) + length) + Self.little(flags) + body
        }
        var sum = CRC32()
        event(code == 15 ? 0 : flags).withUnsafeBytes { sum.add($0) }
        bytes += event(flags) + (hasSum ? Self.little(sum.value) : [])
    }

    /// A transaction of `events` rows.
    mutating func transaction(
        _ sequence: UInt64, time: UInt32, domain: UInt32 = 0, events: Int = 1, isEnded: Bool = true
    ) {
        add(162, time: time, Self.little(sequence) + Self.little(domain) + [0x0C] + [UInt8](repeating: 0, count: 6))
        for _ in 0..<events { add(23, time: time, [UInt8](repeating: 3, count: 40)) }
        if isEnded { add(16, time: time, Self.little(sequence)) }
    }

    /// A statement that is a transaction by itself.
    mutating func statement(_ sequence: UInt64, time: UInt32, _ text: String = "DROP TABLE t") {
        add(162, time: time, Self.little(sequence) + Self.little(UInt32(0)) + [0x29] + [UInt8](repeating: 0, count: 6))
        query(time: time, text)
    }

    mutating func query(time: UInt32, _ text: String) {
        add(
            2, time: time,
            [UInt8](repeating: 0, count: 8) + [4, 0, 0, 3, 0, 9, 9, 9] + Array("shop".utf8) + [0] + Array(text.utf8))
    }

    mutating func rotate(to name: String) { add(4, time: 900, Self.little(UInt64(4)) + Array(name.utf8)) }
}

@Suite("Binary logs of MariaDB, and where a replay of them ends")
struct BinaryLogTests {
    private func gtid(_ sequence: UInt64) -> BinaryLogGTID { BinaryLogGTID(domain: 0, server: 7, sequence: sequence) }

    /// Goes through the logs `b.000001`, `b.000002`… in pieces of a few bytes.
    private func walk(
        _ logs: [[UInt8]], from position: Int, before: [BinaryLogGTID] = [], to target: BinaryLogTarget, piece: Int = 7
    ) -> (walk: BinaryLogWalk, fault: BinaryLogFault?) {
        let start = BinaryLogPlace(file: "b.000001", position: UInt64(position))
        var walk = BinaryLogWalk(from: start, before: before, to: target)
        for (index, log) in logs.enumerated() {
            do {
                walk.begin("b.00000\(index + 1)")
                var at = 0
                while at < log.count {
                    let end = min(log.count, at + piece)
                    try log[at..<end].withUnsafeBytes { try walk.take($0) }
                    at = end
                }
                try walk.end(isLast: index == logs.count - 1)
            } catch {
                return (walk, error as? BinaryLogFault)
            }
            if walk.stop != nil { break }
        }
        return (walk, nil)
    }

    private func place(_ log: Int, _ position: Int) -> BinaryLogPlace {
        BinaryLogPlace(file: "b.00000\(log)", position: UInt64(position))
    }

    /// Two logs of four transactions behind the copy at the first `start`.
    private func two(isOpen: Bool = false) -> (one: LogWriter, two: LogWriter, start: Int) {
        var one = LogWriter()
        one.transaction(1, time: 200)
        let start = one.bytes.count
        one.transaction(2, time: 300, events: 3)
        one.statement(3, time: 400)
        one.rotate(to: "b.000002")
        var two = LogWriter(state: [gtid(3)], isOpen: isOpen)
        two.transaction(4, time: 500)
        two.transaction(5, time: 600)
        return (one, two, start)
    }

    @Test("A log of more domains and servers than any list can hold is damaged, before they fill the memory")
    func manyStreams() {
        var log = LogWriter()
        let start = log.bytes.count
        for domain in 0..<UInt32(1 << 16) { log.transaction(1, time: 200, domain: domain, events: 0) }
        #expect(walk([log.bytes], from: start, to: .latest, piece: 1 << 20).fault == nil)
        log.transaction(1, time: 200, domain: 1 << 16, events: 0)
        #expect(walk([log.bytes], from: start, to: .latest, piece: 1 << 20).fault == .damaged(UInt64(log.bytes.count)))
    }

    @Test("A replay ends where its target says, in whatever pieces the logs come", arguments: [1, 7, 64, 100_000])
    func targets(piece: Int) {
        let logs = two()
        let both = [logs.one.bytes, logs.two.bytes]
        func stop(_ target: BinaryLogTarget) -> BinaryLogPlace? {
            let found = walk(both, from: logs.start, before: [gtid(1)], to: target, piece: piece)
            #expect(found.fault == nil)
            #expect(found.walk.stop == nil || found.walk.stop == found.walk.files.last)
            return found.walk.stop
        }
        let second = logs.two.starts
        #expect(stop(.time(300)) == place(1, logs.start))
        #expect(stop(.time(301)) == stop(.transaction(gtid(2))))
        // Before the first transaction of the time: what the log says of itself is in the replay.
        #expect(stop(.time(500)) == place(2, second[2]))
        #expect(stop(.time(501)) == place(2, second[5]))
        #expect(stop(.transaction(gtid(4))) == place(2, second[5]))
        #expect(stop(.place(place(2, second[5]))) == place(2, second[5]))
        #expect(stop(.time(601)) == nil && stop(.transaction(gtid(6))) == nil && stop(.latest) == nil)
        let latest = walk(both, from: logs.start, to: .latest, piece: piece).walk
        #expect(latest.reached == place(2, logs.two.bytes.count) && latest.transactions == 4)
        #expect(latest.files == [place(1, logs.one.bytes.count), place(2, logs.two.bytes.count)])
        #expect(latest.gtids == [gtid(5)] && latest.lastInCopy == 200 && latest.lastReached == 600)
    }

    @Test("A place within a transaction is none, and the one before it is told")
    func within() {
        let logs = two()
        let both = [logs.one.bytes, logs.two.bytes]
        let second = logs.two.starts
        for position in second[3]...second[5] where position != second[5] {
            let found = walk(both, from: logs.start, to: .place(place(2, position)))
            #expect(found.fault == .within(UInt64(second[2])), "\(position)")
        }
        #expect(walk(both, from: logs.start + 1, to: .latest).fault == .within(UInt64(logs.start)))
        #expect(walk(both, from: logs.one.bytes.count + 1, to: .latest).fault != nil)
        // Behind the end of the last one there may be more one day.
        let beyond = walk(both, from: logs.start, to: .place(place(2, 1 << 20)))
        #expect(beyond.fault == nil && beyond.walk.stop == nil)
    }

    @Test("Logs of another life are not taken for the next ones")
    func otherLife() {
        let logs = two()
        for state in [[], [gtid(2)], [gtid(4)], [gtid(3), BinaryLogGTID(domain: 0, server: 8, sequence: 1)]] {
            var other = LogWriter(state: state)
            other.transaction(9, time: 500)
            let found = walk([logs.one.bytes, other.bytes], from: logs.start, to: .latest)
            #expect(found.fault == .otherLife && found.walk.reached == place(1, logs.one.bytes.count), "\(state)")
        }
        #expect(walk([logs.one.bytes], from: logs.start, before: [gtid(2)], to: .latest).fault == .otherLife)
        #expect(walk([logs.one.bytes], from: logs.start, before: [gtid(1)], to: .latest).fault == nil)
        let target = BinaryLogTarget.transaction(gtid(1))
        #expect(walk([logs.one.bytes], from: logs.start, to: target).walk.isTargetInCopy)
    }

    @Test("Every byte that changes in an event is found before anything behind it counts")
    func damage() {
        let logs = two()
        let sound = logs.two.bytes
        for index in sound.indices {
            var changed = sound
            changed[index] ^= 0x10
            let found = walk([logs.one.bytes, changed], from: logs.start, to: .latest, piece: 512)
            #expect(found.fault != nil, "byte \(index)")
            let event = logs.two.starts.last { $0 <= index } ?? 0
            #expect(found.walk.reached.file == "b.000001" || Int(found.walk.reached.position) <= max(event, 4))
        }
    }

    @Test("A log that is cut counts up to its last whole transaction, and is no end unless the server died")
    func torn() {
        var logs = two()
        let sound = logs.two.bytes
        for count in 5..<sound.count where !logs.two.starts.contains(count) {
            let found = walk([logs.one.bytes, Array(sound.prefix(count))], from: logs.start, to: .latest)
            guard case .torn = found.fault else {
                Issue.record("\(count) bytes: \(String(describing: found.fault))")
                continue
            }
        }
        // A transaction that is not ended is none.
        logs.two.transaction(6, time: 700, isEnded: false)
        let open = walk([logs.one.bytes, logs.two.bytes], from: logs.start, to: .latest)
        #expect(open.fault == nil && open.walk.reached == place(2, sound.count))
        // The next log says what the server knew of the one in which it died.
        for (isOpen, state, isSound) in [(true, 5, true), (true, 6, false), (false, 5, false)] {
            var died = LogWriter(state: [gtid(3)], isOpen: isOpen)
            died.transaction(4, time: 500)
            died.transaction(5, time: 600)
            let whole = died.bytes.count
            died.transaction(6, time: 700)
            var next = LogWriter(state: [gtid(UInt64(state))])
            next.transaction(7, time: 800)
            let all = [logs.one.bytes, Array(died.bytes.prefix(whole + 30)), next.bytes]
            let found = walk(all, from: logs.start, to: .latest)
            #expect((found.fault == nil) == isSound, "\(isOpen) \(state)")
            if isSound { #expect(found.walk.files.map(\.position)[1] == UInt64(whole)) }
        }
    }

    @Test("A log that is open and the last one ends with its last whole transaction, wherever it is cut")
    func open() {
        let logs = two(isOpen: true)
        let sound = logs.two.bytes
        // Behind the magic number, the description and the list.
        for count in logs.two.starts[2]...sound.count {
            let found = walk([logs.one.bytes, Array(sound.prefix(count))], from: logs.start, to: .latest)
            #expect(found.fault == nil, "\(count) bytes")
            // The fourth transaction ends where the fifth begins.
            let ends = [logs.two.starts[2], logs.two.starts[5], sound.count]
            #expect(found.walk.reached == place(2, ends.last { $0 <= count } ?? 0), "\(count) bytes")
        }
    }

    @Test(
        "A log that grows is whole up to its last event, in whatever pieces, and is ended by what its server closes it with"
    )
    func follower() throws {
        let logs = two()
        let bytes = logs.one.bytes
        let ends = logs.one.starts.dropFirst() + [bytes.count]
        var follower = BinaryLogFollower()
        for count in 1...bytes.count {
            try bytes[count - 1..<count].withUnsafeBytes { try follower.take($0) }
            let end = ends.last { $0 <= count } ?? 0
            #expect(follower.wholeBytes == UInt64(end) && follower.offset == UInt64(count))
            #expect(follower.isWhole == (end == count || count == 4), "\(count) bytes")
            #expect(follower.isEnded == (count == bytes.count))
        }
        var changed = logs.two.bytes
        changed[logs.two.starts[3] + 25] ^= 1
        var damaged = BinaryLogFollower()
        for _ in 0..<2 {
            #expect(throws: BinaryLogFault.damaged(UInt64(logs.two.starts[3]))) {
                try changed.withUnsafeBytes { try damaged.take($0) }
            }
        }
        #expect(damaged.wholeBytes == UInt64(logs.two.starts[3]) && !damaged.isWhole && !damaged.isEnded)
    }

    @Test("Places of a stream follow each other by stretch, number and position")
    func points() {
        func point(_ stretch: Int, _ file: String, _ position: UInt64) -> BinaryLogPoint {
            BinaryLogPoint(stretch: stretch, file: file, position: position)
        }
        let all = [
            point(1, "b.000009", 4), point(1, "b.000009", 5), point(1, "b.000010", 4), point(1, "b.999999", 4),
            point(1, "b.1000000", 4), point(2, "b.000001", 4),
        ]
        #expect(all.shuffled().sorted() == all)
        for name in ["b", "b.", "b.x1", ".000001", "b.-1", "b.000001.index"] {
            #expect(BinaryLogPlace.parts(name) == nil, "\(name)")
        }
        #expect(BinaryLogPlace.parts("a.b.000012")?.base == "a.b")
    }

    @Test("What is no log, an encrypted one and one without checksums are told apart")
    func kinds() {
        let logs = two()
        #expect(walk([Array("no log at all".utf8)], from: 4, to: .latest).fault == .notALog)
        #expect(walk([[0xFD] + logs.one.bytes.dropFirst()], from: 4, to: .latest).fault == .encrypted)
        var encrypted = LogWriter()
        let begun = encrypted.bytes.count
        encrypted.add(164, time: 100, [UInt8](repeating: 1, count: 30))
        #expect(walk([encrypted.bytes], from: begun, to: .latest).fault == .encrypted)
        var plain = LogWriter(hasChecksums: false)
        let start = plain.bytes.count
        plain.transaction(1, time: 200)
        plain.add(162, time: 300, LogWriter.little(UInt64(2)) + LogWriter.little(UInt32(0)) + [8] + [0, 0, 0, 0, 0, 0])
        plain.query(time: 300, "INSERT INTO t VALUES (1)")
        let half = walk([plain.bytes], from: start, to: .latest)
        #expect(half.fault == nil && half.walk.transactions == 1)
        plain.query(time: 300, "COMMIT")
        let found = walk([plain.bytes], from: start, to: .latest)
        #expect(found.fault == nil && found.walk.transactions == 2)
        #expect(found.walk.reached == place(1, plain.bytes.count))
    }

    @Test("Transactions behind the end with a time before the target are counted")
    func earlier() {
        var log = LogWriter()
        let start = log.bytes.count
        log.transaction(1, time: 300)
        log.transaction(2, time: 900)
        log.transaction(3, time: 400)
        let found = walk([log.bytes], from: start, to: .time(500)).walk
        #expect(found.transactions == 1 && found.earlierBehind == 1 && found.gtids == [gtid(1)])
    }

    @Test("GTIDs are read and written alike, and nothing else is one")
    func names() {
        #expect(BinaryLogGTID("1-2-3")?.description == "1-2-3")
        for text in ["", "1-2", "1-2-3-4", "1--3", "-1-2-3", "+1-2-3", "1-2-x", "4294967296-1-1"] {
            #expect(BinaryLogGTID(text) == nil, "\(text)")
        }
        #expect(BinaryLogGTID.list("0-1-2, 1-1-3,1-") == [BinaryLogGTID("0-1-2"), BinaryLogGTID("1-1-3")])
    }

    @Test("The checksum is that of zlib")
    func sum() {
        var sum = CRC32()
        Array("123456789".utf8).withUnsafeBytes { sum.add($0) }
        #expect(sum.value == 0xCBF4_3926)
    }
}
