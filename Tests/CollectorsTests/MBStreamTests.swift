import Foundation
import Testing

@testable import Collectors

@Suite("The stream of mariadb-backup")
struct MBStreamTests {
    private static func number(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    private static func part(_ type: Character, _ path: String) -> [UInt8] {
        Array("XBSTCK01".utf8) + [0, type.asciiValue ?? 0] + number(UInt64(path.utf8.count), 4) + Array(path.utf8)
    }

    private static func payload(_ path: String, _ bytes: [UInt8], at offset: UInt64 = 0, checksum: UInt64 = 1)
        -> [UInt8]
    {
        part("P", path) + number(UInt64(bytes.count), 8) + number(offset, 8) + number(checksum, 4) + bytes
    }

    private static func renamed(_ path: String, to new: String) -> [UInt8] {
        part("R", path) + number(UInt64(new.utf8.count), 4) + Array(new.utf8)
    }

    private static let notes = Array("backup_type = full-backuped\nto_lsn = 42\n".utf8)

    /// Files large and small, one in two parts, one empty, one renamed, one removed.
    private static let whole: [UInt8] = {
        var bytes: [UInt8] = []
        let large = [UInt8](repeating: 7, count: 3 << 20)
        bytes += payload("./ibdata1", large) + payload("ib_logfile0", [1, 2, 3])
        bytes += payload("./ibdata1", [9, 9], at: 3 << 20) + part("E", "./ibdata1")
        for index in 0..<50 {
            let name = "shop/t\(index).frm"
            bytes += payload(name, [UInt8](repeating: UInt8(index), count: 900 + index), checksum: UInt64(index))
            bytes += part("E", name)
        }
        bytes += payload("shop/empty", []) + part("E", "shop/empty") + part("E", "shop/nothing")
        bytes += renamed("shop/t1.frm", to: "shop/u1.frm") + part("D", "shop/t2.frm")
        bytes += payload("xtrabackup_checkpoints", notes) + part("E", "xtrabackup_checkpoints")
        bytes += payload("xtrabackup_binlog_info", Array("binlog.000001\t328\t0-1-5\n".utf8))
        bytes += part("E", "xtrabackup_binlog_info")
        return bytes + payload("ib_logfile0", [4], at: 3) + part("E", "ib_logfile0")
    }()

    private static func followed(_ bytes: [UInt8], by block: Int = 1 << 20) -> MBStream {
        var stream = MBStream()
        for start in stride(from: 0, to: bytes.count, by: block) {
            bytes[start..<min(bytes.count, start + block)].withUnsafeBytes { stream.take($0) }
        }
        return stream
    }

    @Test("A whole stream is known as whole, with its files and what its small files say")
    func complete() {
        for block in [1, 13, 4096, 1 << 20] {
            let stream = Self.followed(Self.whole, by: block)
            #expect(stream.isComplete && stream.isFollowed && stream.unknownKind == nil)
            // Those of the tables, ibdata1, the redo log, the two empty ones and the two notes.
            #expect(stream.files == 56)
            #expect(
                stream.values(of: ["none", "xtrabackup_checkpoints"]) == [
                    "backup_type": "full-backuped", "to_lsn": "42",
                ])
            #expect(stream.text(of: ["xtrabackup_binlog_info"]) == "binlog.000001\t328\t0-1-5\n")
        }
    }

    @Test("A stream that ends anywhere before its end is not whole")
    func cut() {
        #expect(!Self.followed([]).isComplete)
        // Behind the last file's beginning every end is too early; elsewhere some, between two parts, with a file open.
        for count in stride(from: Self.whole.count - 1, to: Self.whole.count - 400, by: -1) {
            #expect(!Self.followed(Array(Self.whole[..<count])).isComplete, "cut to \(count)")
        }
        for count in stride(from: 1, to: Self.whole.count, by: 40_009) {
            #expect(!Self.followed(Array(Self.whole[..<count])).isComplete, "cut to \(count)")
        }
    }

    @Test(
        "What is no such stream, or has parts of an unknown kind, is not whole and ends the following, not the reading")
    func unknown() {
        var stream = Self.followed(Array("this is no stream at all, but some text".utf8))
        #expect(!stream.isComplete && !stream.isFollowed && stream.chunkBytes(at: 0) == nil)
        stream = Self.followed(Self.whole + Self.part("Z", "file"))
        #expect(!stream.isComplete && stream.unknownKind == 0x5A)
        stream = Self.followed(Self.whole + Array("XBSTCK01".utf8) + [0, 0x50] + Self.number(1 << 20, 4))
        #expect(!stream.isComplete)
    }

    /// Unpacks into a folder that is removed again, and tells what `body` finds there.
    private func unpacked<Found>(
        _ bytes: [UInt8], block: Int = 1 << 20, _ body: (String) throws -> Found
    ) throws -> (found: Found, error: CollectorError?) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var error: CollectorError?
        do throws(CollectorError) {
            let unpacker = try MBStreamUnpacker(into: folder + "/new")
            for start in stride(from: 0, to: bytes.count, by: block) {
                let part = Array(bytes[start..<min(bytes.count, start + block)])
                let result = part.withUnsafeBytes { part in
                    Result { () throws(CollectorError) in try unpacker.take(part) }
                }
                try result.get()
            }
            try unpacker.finish()
        } catch let failure {
            error = failure
        }
        return (try body(folder + "/new"), error)
    }

    private static func content(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path).map { Array($0) }
    }

    @Test("Unpacking gives every file as it was, renamed and removed ones too")
    func unpack() throws {
        for block in [7919, 1 << 20] {
            let (_, error) = try unpacked(Self.whole, block: block) { folder in
                #expect(Self.content(folder + "/ibdata1") == [UInt8](repeating: 7, count: 3 << 20) + [9, 9])
                #expect(Self.content(folder + "/ib_logfile0") == [1, 2, 3, 4])
                #expect(Self.content(folder + "/shop/u1.frm") == [UInt8](repeating: 1, count: 901))
                #expect(Self.content(folder + "/shop/t1.frm") == nil && Self.content(folder + "/shop/t2.frm") == nil)
                #expect(
                    Self.content(folder + "/shop/t49.frm")?.count == 949 && Self.content(folder + "/shop/empty") == [])
                #expect(Self.content(folder + "/shop/nothing") == [])
                #expect(Self.content(folder + "/xtrabackup_checkpoints") == Self.notes)
            }
            #expect(error == nil, "\(error?.message ?? "")")
        }
    }

    @Test("A stream that is cut leaves nothing that could be prepared")
    func unpackCut() throws {
        let (isThere, error) = try unpacked(Array(Self.whole.dropLast(20))) {
            Self.content($0 + "/xtrabackup_checkpoints") != nil
        }
        #expect(!isThere && error?.message.contains("ends before its files do") == true)
    }

    @Test(
        "A name that leads out of the target is refused",
        arguments: [
            "/tmp/qala-outside", "../outside", "shop/../../outside", "shop//a", "a/./b", "..", ".", "a/b/c/d/e/f/g/h/i",
        ])
    func hostile(name: String) throws {
        for bytes in [Self.payload(name, [1]), Self.renamed("ibdata1", to: name), Self.part("D", name)] {
            let whole = Self.payload("ibdata1", [1]) + Self.part("E", "ibdata1") + bytes
            let (names, error) = try unpacked(whole) { folder in
                try FileManager.default.contentsOfDirectory(atPath: folder + "/..")
            }
            #expect(error?.code == .unsafePath && names == ["new"], "\(name): \(error?.message ?? "taken") \(names)")
        }
        #expect(!FileManager.default.fileExists(atPath: "/tmp/qala-outside"))
    }

    @Test("Nothing that is there is overwritten, and parts out of order are refused")
    func conflicts() throws {
        let twice = Self.payload("a", [1]) + Self.part("E", "a") + Self.payload("a", [2]) + Self.part("E", "a")
        let (kept, error) = try unpacked(twice) { Self.content($0 + "/a") }
        #expect(kept == [1] && error != nil)
        let (_, disorder) = try unpacked(Self.payload("a", [1], at: 5)) { _ in }
        #expect(disorder?.message.contains("not in order") == true)
        #expect(throws: CollectorError.self) { try MBStreamUnpacker(into: "/usr") }
    }

    /// Where chunks end when the stream is read in blocks and asked as the session asks.
    private static func ends(_ bytes: [UInt8], block: Int) -> [Int] {
        var stream = MBStream()
        var ends: [Int] = []
        var taken = 0
        var offset = 0
        while offset < bytes.count {
            let wanted = stream.chunkBytes(at: UInt64(offset)) ?? .max
            if wanted < .max, offset + wanted <= taken || taken == bytes.count {
                offset += wanted
                ends.append(offset)
            } else if taken == bytes.count {
                offset = taken
                ends.append(offset)
            } else {
                let end = min(bytes.count, taken + block)
                bytes[taken..<end].withUnsafeBytes { stream.take($0) }
                taken = end
            }
        }
        return ends
    }

    @Test("Chunks end at the same places however the stream is read, and pages keep theirs when another file grows")
    func cuts() {
        let whole = Self.ends(Self.whole, block: 1 << 20)
        #expect(whole.last == Self.whole.count && whole.count > 24)
        for block in [1000, 65_537, 8 << 20] { #expect(Self.ends(Self.whole, block: block) == whole, "\(block)") }
        #expect(zip(whole, whole.dropFirst()).allSatisfy { $1 - $0 <= 1 << 20 && $1 > $0 })
        let before = Self.payload("a", [1, 2, 3]) + Self.part("E", "a")
        let moved = Self.ends(before + Self.whole, block: 1 << 20).map { $0 - before.count }
        #expect(Set(whole).subtracting(moved).isEmpty)
    }
}
