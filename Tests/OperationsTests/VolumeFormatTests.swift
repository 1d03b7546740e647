import Domain
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
}
