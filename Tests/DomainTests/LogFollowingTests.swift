import Testing

@testable import Domain

/// A directory with one log in memory, its writer and its rotations.
private struct LogDisk {
    var contents: [UInt64: [UInt8]] = [1: []]
    var modified: [UInt64: Int64] = [:]
    var names: [String: UInt64] = ["app.log": 1]
    var last: UInt64 = 1
    /// Numbers of files that went, for new ones where `reuses` says so, as most file systems do.
    var free: [UInt64] = []
    var reuses = false
    var time: Int64 = 0
    /// Everything that was ever written, in order.
    var written: [UInt8] = []
    var lines = 0

    var live: UInt64 { names["app.log"] ?? 0 }

    mutating func write(_ text: String) {
        time += 1
        contents[live, default: []] += Array(text.utf8)
        written += Array(text.utf8)
        modified[live] = time
    }

    mutating func writeLine() {
        write("line \(lines) of the log\n")
        lines += 1
    }

    private mutating func number() -> UInt64 {
        if reuses, !free.isEmpty { return free.removeFirst() }
        last += 1
        return last
    }

    private mutating func remove(_ inode: UInt64) {
        contents[inode] = nil
        modified[inode] = nil
        free.append(inode)
    }

    /// Older ones move on by one name; those beyond `keep` go.
    mutating func shift(keep: Int, compress: Bool) {
        for number in stride(from: 20, through: 1, by: -1) {
            for suffix in ["", ".gz"] {
                guard let inode = names.removeValue(forKey: "app.log.\(number)\(suffix)") else { continue }
                if number >= keep {
                    remove(inode)
                } else if compress, suffix.isEmpty {
                    let packed = self.number()
                    remove(inode)
                    contents[packed] = [0x1F, 0x8B]
                    names["app.log.\(number + 1).gz"] = packed
                } else {
                    names["app.log.\(number + 1)\(suffix)"] = inode
                }
            }
        }
    }

    mutating func rename(keep: Int, compress: Bool = false) {
        shift(keep: keep, compress: compress)
        names["app.log.1"] = live
        let new = number()
        names["app.log"] = new
        contents[new] = []
        time += 1
    }

    mutating func copyAndTruncate(keep: Int, compress: Bool = false) {
        shift(keep: keep, compress: compress)
        let copy = number()
        time += 1
        contents[copy] = contents[live]
        modified[copy] = time
        names["app.log.1"] = copy
        contents[live] = []
        time += 1
        modified[live] = time
    }

    var files: [LogFollowing.File] {
        names.sorted { $0.key < $1.key }.map { name, inode in
            LogFollowing.File(
                path: "/logs/\(name)", name: name, device: 1, inode: inode,
                size: UInt64(contents[inode]?.count ?? 0), modified: modified[inode] ?? 0,
                isNamed: name == "app.log", isCompressed: LogName.isCompressed(Array(name.utf8)))
        }
    }

    func mark(_ inode: UInt64, _ length: Int, before end: UInt64) -> LogMark {
        let content = contents[inode] ?? []
        guard length > 0, Int(end) <= content.count, length <= Int(end) else { return .empty }
        let part = content[(Int(end) - length)..<Int(end)]
        let sum = part.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        return LogMark(length: length, digest: "\(sum)")
    }
}

/// Reads what plans say, as the collector does.
private struct LogFollower {
    var cursors: [LogCursor]?
    var read: [UInt8] = []
    var findings: [LogFinding] = []

    mutating func run(_ disk: LogDisk) {
        let files = disk.files
        let matches: (Int, LogMark, UInt64) -> Bool = { index, mark, end in
            disk.mark(files[index].inode, mark.length, before: end) == mark
        }
        let plan = LogFollowing.plan(cursors, files, matches: matches)
        findings += plan.findings
        var next: [LogCursor] = []
        for reading in plan.readings {
            let file = files[reading.file]
            if reading.isSkipped, let cursor = reading.cursor {
                next.append(cursor)
                continue
            }
            let content = disk.contents[file.inode] ?? []
            let rest = content.dropFirst(Int(reading.from))
            var taken = 0
            if !reading.isSkipped {
                let whole = rest.lastIndex(of: 0x0A).map { $0 + 1 - Int(reading.from) } ?? 0
                taken = reading.isRotated ? rest.count : whole
                read += rest.prefix(taken)
            }
            if taken == 0, var cursor = reading.cursor {
                cursor.size = max(cursor.offset, file.size)
                next.append(cursor)
                continue
            }
            let offset = reading.from + UInt64(taken)
            let length = min(offset, UInt64(LogMark.longest))
            next.append(
                LogCursor(
                    path: file.path, stem: reading.stem, device: file.device, inode: file.inode, offset: offset,
                    size: file.size, head: disk.mark(file.inode, Int(length), before: length),
                    tail: disk.mark(file.inode, Int(length), before: offset), isRotated: reading.isRotated,
                    isCopy: reading.isCopy))
        }
        cursors = next
    }

    func count(_ kind: LogFinding.Kind) -> Int { findings.filter { $0.kind == kind }.count }
}

@Suite("Following logs through their rotations")
struct LogFollowingTests {
    @Test("Thirty days of rotations by both ways lose no byte and read none twice", arguments: 0..<60)
    func lossless(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var disk = LogDisk()
        disk.reuses = seed % 3 > 0
        var follower = LogFollower()
        follower.run(disk)
        for _ in 0..<30 {
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                for _ in 0..<Int.random(in: 0...200, using: &random) { disk.writeLine() }
                if Int.random(in: 0..<4, using: &random) == 0 { disk.write("the beginning of ") }
                if Int.random(in: 0..<2, using: &random) == 0 {
                    if seed % 2 == 0 { disk.rename(keep: 8) } else { disk.copyAndTruncate(keep: 8) }
                }
            }
            // A crash before the segment was sealed leaves the cursors where they were.
            if Int.random(in: 0..<5, using: &random) == 0 {
                var crashed = follower
                crashed.run(disk)
            }
            follower.run(disk)
        }
        disk.writeLine()
        follower.run(disk)
        #expect(follower.count(.gap) == 0, "\(follower.findings)")
        #expect(follower.count(.altered) == 0, "\(follower.findings)")
        #expect(follower.read == disk.written)
    }

    @Test(
        "Rotations that compress and remove too early lose nothing without a word, and nothing comes twice",
        arguments: 0..<60)
    func hostile(seed: Int) {
        var random = SeededGenerator(seed: UInt64(1000 + seed))
        var disk = LogDisk()
        var follower = LogFollower()
        follower.run(disk)
        for _ in 0..<40 {
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                for _ in 0..<Int.random(in: 1...60, using: &random) { disk.writeLine() }
                let keep = Int.random(in: 1...4, using: &random)
                let compress = Bool.random(using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: disk.rename(keep: keep, compress: compress)
                case 1: disk.copyAndTruncate(keep: keep, compress: compress)
                default: break
                }
            }
            follower.run(disk)
        }
        let written = disk.written.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        var counts: [String: Int] = [:]
        for line in follower.read.split(separator: 0x0A) {
            counts[String(decoding: line, as: UTF8.self), default: 0] += 1
        }
        let twice = counts.filter { $0.value > 1 }
        #expect(twice.isEmpty, "\(twice)")
        let missing = written.filter { counts[$0] == nil }
        if follower.count(.gap) == 0 { #expect(missing.isEmpty, "\(missing.count)") }
    }

    @Test("What was read and reads differently is told, and reading goes on behind it")
    func altered() {
        var disk = LogDisk()
        var follower = LogFollower()
        for _ in 0..<1000 { disk.writeLine() }
        follower.run(disk)
        let before = follower.read.count
        disk.contents[1]?[before - 10] ^= 1
        disk.write("after it\n")
        follower.run(disk)
        #expect(follower.count(.altered) == 1, "\(follower.findings)")
        #expect(follower.read.suffix(9).elementsEqual("after it\n".utf8))
        #expect(follower.read.count == before + 9)
    }

    @Test("A log that was emptied without a copy, and one that went, are gaps")
    func gaps() {
        var disk = LogDisk()
        var follower = LogFollower()
        disk.writeLine()
        follower.run(disk)
        disk.contents[1] = []
        disk.writeLine()
        disk.contents[1]?.removeLast(3)
        follower.run(disk)
        #expect(follower.count(.gap) == 1)
        disk.names["app.log"] = nil
        follower.run(disk)
        #expect(follower.count(.gap) == 2)
        follower.run(disk)
        #expect(follower.count(.gap) == 2)
    }

    @Test("The clock that goes back, or on by more than the machine ran, is told")
    func clocks() {
        let before = LogClock(wall: 1_000_000, boot: 5000, bootID: "a")
        func kind(_ wall: Int64, _ boot: Int64, _ id: String) -> LogFinding.Kind? {
            LogClock(wall: wall, boot: boot, bootID: id).finding(since: before)?.kind
        }
        #expect(kind(1_086_400, 91_400, "a") == nil)
        #expect(kind(1_086_400, 5100, "a") == .clockJump)
        #expect(kind(1_000_000, 91_400, "a") == .clockJump)
        #expect(kind(1_086_400, 10, "b") == nil)
        #expect(kind(990_000, 10, "b") == .clockJump)
        #expect(kind(1_000_000 + 32 * 86_400, 10, "b") == .clockJump)
        #expect(kind(.min, 0, "b") == .clockJump)
    }

    @Test(
        "Names match patterns",
        arguments: [
            ("app.log", "*.log", true), ("app.log.1", "*.log", false), ("a", "?", true), ("", "*", true),
            ("axbxc", "a*b*c", true), ("axbx", "a*b*c", false), ("app.log", "app.log", true),
        ])
    func patterns(name: String, pattern: String, matches: Bool) {
        #expect(LogName.matches(Array(name.utf8), Array(pattern.utf8)) == matches)
    }
}

@Suite("Reading journal exports")
struct LogScannerTests {
    private func entry(_ number: Int, _ time: Int, _ more: [UInt8] = []) -> [UInt8] {
        Array("__CURSOR=s=1\n__REALTIME_TIMESTAMP=\(time)\n__SEQNUM=\(number)\n__SEQNUM_ID=ab\nMESSAGE=x\n".utf8)
            + more + [0x0A]
    }

    /// Scans in pieces of one size, so that every place of a cut is met.
    private func scan(_ bytes: [UInt8], pieces: Int = 7, _ places: [JournalPlace] = []) -> LogScanner {
        var scanner = LogScanner(.journalExport, path: "/j", places: places)
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + pieces)
            bytes[at..<end].withUnsafeBytes { scanner.take($0) }
            at = end
        }
        return scanner
    }

    @Test("Whole entries count, binary fields with line ends in them too", arguments: [1, 7, 4096])
    func whole(pieces: Int) {
        let binary = Array("DATA\n".utf8) + [3, 0, 0, 0, 0, 0, 0, 0] + Array("a\n\n".utf8) + [0x0A]
        let bytes = entry(1, 1_000_000, binary) + entry(2, 2_000_000)
        let scanner = scan(bytes + Array("MESSAGE=half".utf8), pieces: pieces)
        #expect(scanner.records == 2 && scanner.findings.isEmpty, "\(scanner.findings)")
        #expect(scanner.complete == UInt64(bytes.count))
        #expect(scanner.places == [JournalPlace(id: "ab", number: 2, time: 2_000_000)])
    }

    @Test("Missing and repeated numbers and times that go back are told")
    func findings() {
        let places = [JournalPlace(id: "ab", number: 2, time: 90_000_000)]
        #expect(scan(entry(3, 91_000_000), places).findings.isEmpty)
        #expect(scan(entry(5, 91_000_000), places).findings.map(\.kind) == [.gap])
        #expect(scan(entry(2, 91_000_000), places).findings.map(\.kind) == [.repeated])
        #expect(scan(entry(3, 1_000_000), places).findings.map(\.kind) == [.clockJump])
        let other = JournalPlace(id: "cd", number: 7, time: 1)
        #expect(scan(entry(3, 1_000_000), [other]).findings.isEmpty)
    }

    @Test("A length that no field has, and text that is no export, are told once, and the lines are kept")
    func malformed() {
        let long = Array("DATA\n".utf8) + [0, 0, 0, 0, 0, 0, 0, 0x7F] + Array("rest\n".utf8)
        let scanner = scan(long)
        #expect(scanner.findings.map(\.kind) == [.malformed])
        #expect(scanner.complete == UInt64(long.count))
        #expect(scan(Array("just a line\n".utf8)).findings.map(\.kind) == [.malformed])
    }

    @Test("Lines of any length need no memory")
    func lines() {
        var scanner = LogScanner(.lines, path: "/l")
        let piece = [UInt8](repeating: 0x41, count: 1 << 16)
        for _ in 0..<64 { piece.withUnsafeBytes { scanner.take($0) } }
        #expect(scanner.complete == 0)
        [0x0A as UInt8].withUnsafeBytes { scanner.take($0) }
        #expect(scanner.complete == UInt64(64 * 65_536 + 1) && scanner.records == 1)
    }
}
