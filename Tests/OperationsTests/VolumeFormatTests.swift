import CLinux
import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

@Suite("Formats of a volume")
struct VolumeFormatTests {
    @Test("The length of an extended record counts its own digits")
    func recordLengths() {
        for size in 0..<1100 {
            let record = PaxWriter.record(Array("path".utf8), [UInt8](repeating: 0x61, count: size))
            let told = String(decoding: record.prefix { $0 != 0x20 }, as: UTF8.self)
            #expect(Int(told) == record.count)
        }
    }

    @Test("A list is read as it was written, and a name that leads elsewhere spoils it")
    func lists() {
        let digest = Digest(words: (1, 2, 3, 4))
        let files = ["README.en.txt": digest, "archives/a.tar.zst.enc.000001": digest]
        #expect(VolumeTree.files(in: VolumeTree.list(files)) == files)
        for name in ["../x", "a/../b", "/x", "a/b/c", "", ".hidden", "a b", "a/", "a\u{0}"] {
            #expect(VolumeTree.files(in: VolumeTree.list([name: digest])) == nil, "\(name)")
        }
        #expect(VolumeTree.files(in: Array("\(digest.hex)  twice\n\(digest.hex)  twice\n".utf8)) == nil)
        #expect(VolumeTree.files(in: Array("\(digest.hex)  cut".utf8)) == nil)
    }

    @Test("Parts are told from other files, and only whole ids count")
    func parts() {
        let id = String(repeating: "ab", count: 32)
        let stream = VolumeTree.streamName(id)
        #expect(VolumeTree.partName(stream, 7) == stream + ".000007")
        #expect(VolumeTree.partName(stream, 1_234_567) == stream + ".1234567")
        #expect(VolumeTree.archive(ofPart: stream + ".000007") == id)
        for name in [stream, stream + ".", stream + ".00000x", "x" + stream + ".000001", VolumeTree.sliceName(id)] {
            #expect(VolumeTree.archive(ofPart: name) == nil, "\(name)")
        }
    }

    @Test("Names in the sealed digests are escaped as sha256sum does")
    func escapes() {
        let line = SliceText.digestLine(.zero, Array("a\\b\nc\r".utf8))
        let zeros = String(repeating: "0", count: 64)
        #expect(String(decoding: line, as: UTF8.self) == "\\\(zeros)  ./a\\\\b\\nc\\r\n")
        #expect(String(decoding: SliceText.digestLine(.zero, [0x61]), as: UTF8.self) == "\(zeros)  ./a\n")
        #expect(PaxWriter.escaped(Array("user.a=b%".utf8)) == Array("user.a%3Db%25".utf8))
    }

    @Test(
        "A record of before volumes could be gone is one of a volume that is there; a later one reads as it was written"
    )
    func records() throws {
        let text = """
            {"archives":[],"created":"2026-01-01T00:00:00Z","fingerprint":"f","id":"3fa91c0277be4d10","publicKey":"k",
             "reverify":"P1Y","shelf":"B-12","title":"t","verifyBy":"2020-01-01T00:00:00Z"}
            """
        var record = try JSONDecoder().decode(VolumeRecord.self, from: Data(text.utf8))
        #expect(!record.isGone && record.shelf == "B-12" && VolumeRegister.isOverdue(record))
        try VolumeRegister.checkThere(record)
        let encoder = JSONEncoder()
        #expect(try !String(decoding: encoder.encode(record), as: UTF8.self).contains("gone"))
        record.gone = .init(how: .lost, time: "2026-11-23T00:00:00Z", reason: "r")
        let read = try JSONDecoder().decode(VolumeRecord.self, from: try encoder.encode(record))
        #expect(read.gone?.how == .lost && read.gone?.reason == "r" && !VolumeRegister.isOverdue(read))
        #expect(throws: OperationError.self) { try VolumeRegister.checkThere(read) }
    }

    /// The file of a record byte for byte, behind its first line and its digest; the whole of one of before there were digests.
    private static let recordText = """
          "list" : "22  volume.json\\n",
          "record" : {
            "archives" : [
              {
                "archive" : "ab",
                "bytes" : 4,
                "entries" : 3,
                "listedOnly" : 0,
                "parts" : 1,
                "policy" : "config",
                "sealedBytes" : 5,
                "time" : "2026-11-20T10:00:00Z",
                "vault" : "cd",
                "written" : "2026-11-23T10:00:00Z"
              }
            ],
            "created" : "2026-11-22T10:00:00Z",
            "fingerprint" : "11",
            "id" : "3fa91c0277be4d10",
            "publicKey" : "00",
            "reverify" : "P1Y",
            "shelf" : "B-12/3",
            "title" : "Sənədlər 2026",
            "verifyBy" : "2027-11-22T10:00:00Z"
          }
        }
        """

    private static let recordDigest = "38804066610e8885058c44c26c8793a8bac5ff50221938463abce73a2ef89002"

    @Test("A record is written as it always was, and its digest before it; one without a digest is read as well")
    func recordFile() throws {
        let before = Array(("{\n" + Self.recordText).utf8)
        let digested = Array("{\n  \"digest\" : \"\(Self.recordDigest)\",\n\(Self.recordText)".utf8)
        #expect(SHA256Digest.of(Array(Self.recordText.utf8)).hex == Self.recordDigest, "as sha256sum says")
        for bytes in [before, digested] {
            let read = try #require(VolumeRecordFile(bytes: bytes))
            #expect(read.record.id == "3fa91c0277be4d10" && read.record.archives.map(\.archive) == ["ab"])
            #expect(read.list == "22  volume.json\n")
            #expect(try VolumeRecordFile(read.record, list: Array(read.list.utf8)).bytes() == digested)
        }
        // Written by something else: by its digest it is not what was written, however well it reads.
        let other = try #require(try JSONSerialization.jsonObject(with: Data(digested)) as? [String: Any])
        #expect(VolumeRecordFile(bytes: [UInt8](try JSONSerialization.data(withJSONObject: other))) == nil)
        #expect(VolumeRecordFile(bytes: []) == nil && VolumeRecordFile(bytes: Array("{\n".utf8)) == nil)
        #expect(VolumeRecordFile(bytes: Array(#"{"list":"","record":{},"shelf":""}"#.utf8)) == nil)
    }

    @Test("Not a byte of a record changes, comes or goes unseen")
    func recordDamage() throws {
        let whole = Array("{\n  \"digest\" : \"\(Self.recordDigest)\",\n\(Self.recordText)".utf8)
        try #require(VolumeRecordFile(bytes: whole) != nil)
        for at in whole.indices {
            for byte in [whole[at] ^ 1, whole[at] ^ 0x20, 0x00, 0x20, 0x0A, 0x22, 0xFF] where byte != whole[at] {
                var damaged = whole
                damaged[at] = byte
                #expect(VolumeRecordFile(bytes: damaged) == nil, "byte \(at) is \(byte)")
            }
            #expect(VolumeRecordFile(bytes: Array(whole[..<at])) == nil, "cut at \(at)")
            #expect(VolumeRecordFile(bytes: Array(whole[..<at] + whole[(at + 1)...])) == nil, "without \(at)")
        }
        #expect(VolumeRecordFile(bytes: whole + [0x0A]) == nil)
    }

    @Test("An archive has come to its end when all volumes that held it were destroyed, and not when one is lost")
    func endedArchives() throws {
        func volume(_ archives: [String], _ how: VolumeRecord.Gone.How?) -> VolumeRecord {
            let held = archives.map {
                VolumeRecord.Holding(
                    archive: $0, vault: "v", time: "", written: "", entries: 0, bytes: 0, sealedBytes: 0, parts: 1,
                    listedOnly: 0)
            }
            var record = VolumeRecord(
                id: "3fa91c0277be4d10", title: "", created: "", publicKey: "", fingerprint: "", reverify: "",
                verifyBy: "", archives: held)
            record.gone = how.map { .init(how: $0, time: "", reason: "") }
            return record
        }
        let volumes = [
            volume(["a", "b", "c", "d"], .destroyed), volume(["a", "b"], .destroyed), volume(["b", "e"], .lost),
            volume(["c", "f"], nil),
        ]
        #expect(volumes.endedArchives == ["a", "d"])
        #expect(volumes.reversed().endedArchives == ["a", "d"])
        #expect(volumes[0].holds("d") && !volumes[0].holds("e"))
    }

    @Test("A volume counts only after a verification that came after a failure, a destruction or a loss")
    func trust() {
        let acts = [
            "created", "written", "verified", "verificationFailed", "restored", "leftVault", "checkedOut", "checkedIn",
            "destroyed", "lost",
        ]
        let events = acts.map { CustodyEvent(time: "", act: $0, detail: "", account: 0, previous: "") }
        #expect(events.filter(\.endsTrust).map(\.act) == ["verificationFailed", "destroyed", "lost"])
    }

    @Test(
        "A volume that was lost waits for its verification once it is found, unless one found it bad meanwhile or before",
        arguments: [
            ("lost checkedIn", 1), ("verified lost checkedIn checkedOut checkedIn", 2), ("lost checkedIn written", 1),
            ("verificationFailed verified lost checkedIn", 3), ("lost checkedIn verified lost checkedIn", 4),
            ("lost checkedIn lost checkedIn", 3), ("lost checkedIn digests", 1), ("created checkedIn", nil),
            ("lost checkedIn verified", nil), ("lost checkedIn verified checkedIn", nil), ("lost", nil), ("", nil),
            ("lost checkedIn lost", nil), ("lost checkedIn verificationFailed", nil),
            ("verificationFailed lost checkedIn", nil), ("verificationFailed checkedIn", nil),
        ] as [(String, Int?)])
    func found(acts: String, at index: Int?) {
        let events = acts.split(separator: " ").enumerated().map { at, act in
            CustodyEvent(
                time: "\(at)", act: act == "digests" ? "verified" : String(act),
                detail: act == "digests" ? "digests only, 3 files" : "", account: 0, previous: "")
        }
        #expect(events.foundUnverified == index.map { "\($0)" })
    }

    /// Some of everything that does not fit into plain headers.
    private func oddStream() throws -> (stream: [UInt8], entries: [Entry]) {
        func entry(_ path: [UInt8], _ kind: EntryKind, _ size: UInt64, _ modified: Timestamp) -> Entry {
            Entry(
                path: path, kind: kind, permissions: 0o4755, userID: 3_000_000, groupID: .max, size: size,
                modified: modified, changed: Timestamp(seconds: 0), device: 1, inode: 2, linkCount: 1)
        }
        let name = Array("tree/".utf8) + [UInt8](repeating: 0xFF, count: 200)
        var file = entry(name, .file, 5, Timestamp(seconds: -1, nanoseconds: 1))
        file.attributes = [ExtendedAttribute(name: Array("user.a=b%".utf8), value: [0x00, 0x0A, 0x3D])]
        var link = entry(Array("tree/link".utf8), .symlink, 0, Timestamp(seconds: 1 << 40, nanoseconds: 7))
        link.linkTarget = [UInt8](repeating: 0x61, count: 4000)
        let entries = [entry(Array("tree".utf8), .directory, 0, Timestamp(seconds: 9)), file, link]
        var stream: [UInt8] = []
        let tar = PaxWriter { stream += $0 }
        for entry in entries {
            try tar.begin(entry, size: entry.size, linkedTo: nil)
            stream += [UInt8](repeating: 0x78, count: Int(entry.size))
            try tar.end(of: entry.size)
        }
        try tar.finish()
        return (stream, entries)
    }

    /// Reads a stream, shorter than a pipe, to its end.
    private func members(of stream: [UInt8]) throws -> [PaxMember] {
        var ends: [Int32] = [-1, -1]
        let made = qala_pipe(&ends)
        try #require(made == 0)
        defer { close(ends[0]) }
        let count = stream.withUnsafeBytes { write(ends[1], $0.baseAddress, $0.count) }
        close(ends[1])
        try #require(count == stream.count)
        let source = PipeReader(ends[0])
        let tar = PaxReader(source)
        var found: [PaxMember] = []
        while let member = try tar.next() {
            var rest = member.size
            while rest > 0 {
                let read = try source.some(limit: Int(min(rest, 1 << 16))) { _ in }
                rest -= UInt64(read)
            }
            _ = try source.exactly(PaxHeader.padding(member.size))
            found.append(member)
        }
        return found
    }

    @Test("What the writer of streams writes, the reader reads")
    func roundTrip() throws {
        let (stream, entries) = try oddStream()
        let found = try members(of: stream)
        #expect(found.map(\.path) == entries.map(\.path))
        #expect(found.map(\.kind) == entries.map(\.kind))
        #expect(found.map(\.size) == entries.map(\.size))
        #expect(found.map(\.modified) == entries.map(\.modified))
        #expect(found.map(\.linkTarget) == entries.map(\.linkTarget))
        #expect(found.map(\.permissions) == entries.map(\.permissions))
        #expect(found.map(\.userID) == entries.map(\.userID) && found.map(\.groupID) == entries.map(\.groupID))
        #expect(found.map(\.attributes) == entries.map(\.attributes))
        let restored = found.map { $0.entry(inode: 0) }
        #expect(restored.allSatisfy { $0.linkCount == 1 } && found[0].entry(inode: 7).linkCount > 1)
    }

    @Test("Numbers of devices and names of owners come back as they were")
    func devices() throws {
        var stream: [UInt8] = []
        let tar = PaxWriter { stream += $0 }
        var entries: [Entry] = []
        let numbers: [UInt64] = [0x0801, 0xFFFF_FFFF, 0x1_0000_0103]
        for (at, number) in numbers.enumerated() {
            var entry = Entry(
                path: Array("dev\(at)".utf8), kind: .blockDevice, permissions: 0o660, userID: 0, groupID: 6, size: 0,
                modified: Timestamp(seconds: 1), changed: Timestamp(seconds: 1), device: 0, inode: 0, linkCount: 1)
            entry.deviceNumber = number
            entry.userName = Array("root".utf8)
            entry.groupName = [UInt8](repeating: 0x67, count: 40)
            entries.append(entry)
            try tar.begin(entry, size: 0, linkedTo: nil)
        }
        try tar.finish()
        let found = try members(of: stream)
        #expect(found.map(\.deviceNumber) == entries.map(\.deviceNumber))
        #expect(found.map(\.userName) == entries.map(\.userName))
        #expect(found.map(\.groupName) == entries.map(\.groupName))
    }

    @Test("What a search passes over undecoded could not match")
    func candidates() {
        #expect(OfflineNames.literal(of: "*.TXT?é/report") == Array("/report".utf8))
        #expect(OfflineNames.literal(of: "??").isEmpty)
        let line = Array(#"{"path":"/srv/Report 2.txt"}"#.utf8)
        #expect(OfflineNames.mayMatch(line, Array("report".utf8)) && OfflineNames.mayMatch(line, []))
        #expect(!OfflineNames.mayMatch(line, Array("reports".utf8)))
        #expect(!OfflineNames.mayMatch([], Array("r".utf8)))
        for text in ["=", "%", "a=b%25%3D", "%2", "%253D"] {
            let bytes = Array(text.utf8)
            #expect(PaxReader.unescaped(PaxWriter.escaped(bytes)[...]) == bytes)
        }
    }

    @Test("A stream that was altered is read or refused, whatever its headers say, and traps nowhere")
    func alteredStreams() throws {
        let (sound, _) = try oddStream()
        var refused = 0
        for at in stride(from: 0, to: sound.count, by: 5) {
            var stream = sound
            stream[at] = at.isMultiple(of: 2) ? stream[at] ^ 1 : 0x39
            // With the sum of its header made to fit, so that what was altered is believed.
            let start = at / PaxHeader.blockBytes * PaxHeader.blockBytes
            var block = Array(stream[start..<start + PaxHeader.blockBytes])
            if block[PaxHeader.magic].elementsEqual(PaxHeader.magicBytes) {
                let digits = Array(String(PaxHeader.checksum(block), radix: 8).utf8)
                let zeros = [UInt8](repeating: 0x30, count: max(0, 6 - digits.count))
                block.replaceSubrange(PaxHeader.sum, with: zeros + digits + [0x00, 0x20])
                stream.replaceSubrange(start..<start + PaxHeader.blockBytes, with: block)
            }
            do { _ = try members(of: stream) } catch is PaxReader.Malformed {
                refused += 1
            } catch is BrokenPipeline {
                refused += 1
            }
        }
        #expect(refused > 50)
    }
}
