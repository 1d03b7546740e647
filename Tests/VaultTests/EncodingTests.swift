import Testing

@testable import Vault

@Suite("Numbers and lengths of format 1")
struct EncodingTests {
    private func read<T>(_ bytes: [UInt8], _ body: (inout ByteReader) throws(VaultError) -> T) throws(VaultError) -> T {
        try bytes.withBytes { (raw) throws(VaultError) in
            var reader = ByteReader(raw, reading: "a test")
            let value = try body(&reader)
            try reader.expectEnd()
            return value
        }
    }

    private func damage(_ bytes: [UInt8], _ body: (inout ByteReader) throws(VaultError) -> Void) -> Bool {
        do throws(VaultError) {
            _ = try read(bytes, body)
            return false
        } catch { return error.code == .damaged }
    }

    @Test("A varint is as short as can be and survives", arguments: 0..<64)
    func varint(bit: Int) throws {
        for value in [UInt64(1) << UInt64(bit), UInt64(1) << UInt64(bit) &- 1, .max >> UInt64(bit)] {
            var writer = ByteWriter()
            writer.varint(value)
            #expect(writer.count == max(1, (64 - value.leadingZeroBitCount + 6) / 7))
            #expect(try read(writer.bytes) { reader throws(VaultError) in try reader.varint() } == value)
        }
    }

    @Test(
        "A number that is longer than needed, too large or cut is damage",
        arguments: [
            [0x80, 0x00], [0xFF, 0x80, 0x00], [0x80], [], [0xFF, 0xFF],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x00],
            [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) {
        #expect(damage(bytes) { reader throws(VaultError) in _ = try reader.varint() })
    }

    @Test("Signed numbers of small magnitude are short, and all survive")
    func zigzag() throws {
        let golden: [(Int64, [UInt8])] = [
            (0, [0]), (-1, [1]), (1, [2]), (-2, [3]), (63, [126]), (-64, [127]), (64, [0x80, 1]),
            (.max, [0xFE, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            (.min, [0xFF, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ]
        for (value, bytes) in golden {
            var writer = ByteWriter()
            writer.zigzag(value)
            #expect(writer.bytes == bytes)
            #expect(try read(bytes) { reader throws(VaultError) in try reader.zigzag() } == value)
        }
    }

    @Test("A limit binds, and no value is an index into nothing")
    func limits() throws {
        #expect(try read([5]) { reader throws(VaultError) in try reader.varint(upTo: 5) } == 5)
        #expect(damage([6]) { reader throws(VaultError) in _ = try reader.varint(upTo: 5) })
        #expect(damage([0]) { reader throws(VaultError) in _ = try reader.varint(upTo: -1) })
        #expect(
            damage([0xFF, 255, 255, 255, 255, 255, 255, 255, 255, 1]) { reader throws(VaultError) in
                _ = try reader.varint(upTo: .max)
            })
    }

    @Test("Fixed widths are little-endian; bytes that lack or follow are damage")
    func fixed() throws {
        var writer = ByteWriter()
        writer.u8(1)
        writer.u16(0x0203)
        writer.u32(0x0405_0607)
        writer.u64(0x0809_0A0B_0C0D_0E0F)
        #expect(writer.bytes == [1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8])
        for count in 0..<8 {
            let bytes = [UInt8](repeating: 9, count: count)
            #expect(damage(bytes) { reader throws(VaultError) in _ = try reader.u64() })
        }
        #expect(damage([1, 2]) { reader throws(VaultError) in _ = try reader.u8() })
    }

    @Test("A blob never reads beyond its bytes, and a text is UTF-8")
    func blobs() throws {
        #expect(try read([2, 65, 66]) { reader throws(VaultError) in try reader.blob(upTo: 2) } == [65, 66])
        #expect(damage([3, 65, 66]) { reader throws(VaultError) in _ = try reader.blob(upTo: 3) })
        #expect(damage([2, 65, 66]) { reader throws(VaultError) in _ = try reader.blob(upTo: 1) })
        #expect(damage([2, 0xC3, 0x28]) { reader throws(VaultError) in _ = try reader.text(upTo: 9) })
        #expect(try read([2, 0xC3, 0xA9]) { reader throws(VaultError) in try reader.text(upTo: 9) } == "é")
    }
}
