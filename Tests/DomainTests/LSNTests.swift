import Domain
import Testing

@Suite("Places in the log of PostgreSQL")
struct LSNTests {
    @Test(
        "They are read and written as PostgreSQL does",
        arguments: [("0/0", 0), ("0/4000028", 0x400_0028), ("16/B374D848", 0x16_B374_D848)] as [(String, UInt64)])
    func text(text: String, bytes: UInt64) {
        #expect(LSN(text)?.bytes == bytes)
        #expect(LSN(bytes).description == text)
    }

    @Test(
        "Anything else is none",
        arguments: ["", "/", "0", "0/", "/0", "0/0/0", "0/123456789", "0/-1", "0/+1", "g/0", " 0/0"])
    func noText(text: String) { #expect(LSN(text) == nil) }

    @Test("Segments hold everything from the start up to the end")
    func segments() {
        let mebibytes: UInt64 = 16 << 20
        func names(_ start: UInt64, _ end: UInt64, _ size: UInt64 = 16 << 20) -> [String]? {
            LSN.segments(from: LSN(start), to: LSN(end), timeline: 0x1F, size: size)
        }
        #expect(names(0x400_0028, 0x400_0100) == ["0000001F0000000000000004"])
        // An end at a border belongs to the segment before it.
        #expect(names(0x400_0028, 0x500_0000) == ["0000001F0000000000000004"])
        #expect(names(0x400_0028, 0x500_0001) == ["0000001F0000000000000004", "0000001F0000000000000005"])
        #expect(names(0xFF00_0000, 0x1_0000_0001) == ["0000001F00000000000000FF", "0000001F0000000100000000"])
        #expect(names(mebibytes, mebibytes) == ["0000001F0000000000000001"])
        #expect(names(1 << 30, (1 << 30) + 1, 1 << 30) == ["0000001F0000000000000001"])
        #expect(names(0x500_0000, 0x400_0000) == nil)
        #expect(names(0, 1, 3 << 20) == nil && names(0, 1, 0) == nil)
        #expect(names(0, .max) == nil)
    }
}
