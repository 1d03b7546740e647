import TestSupport
import Testing

@testable import Vault

/// The bytes of a pack with other entries in its footer and a digest of it that fits: good enough for who believes a footer
/// by itself. `change` keeps the length of what is encoded.
func forgedFooter(_ bytes: [UInt8], _ suite: HashSuite, _ change: (inout [PackEntry]) -> Void) throws -> [UInt8] {
    let trailer = Array(bytes.suffix(PackFormat.trailerCount))
    func number(_ at: Int) -> Int { trailer[at..<at + 8].reversed().reduce(0) { $0 << 8 | Int($1) } }
    let (offset, count) = (number(8), number(16))
    var entries = try PackFooter.decode(Array(bytes[offset..<offset + count]))
    change(&entries)
    let footer = PackFooter.encode(entries)
    var made = bytes
    made.replaceSubrange(offset..<offset + count, with: footer)
    made.replaceSubrange(
        (bytes.count - PackFormat.trailerCount)...,
        with: PackFooter.trailer(footer: footer, offset: offset, suite: suite))
    #expect(made.count == bytes.count)
    let store = MemoryStore()
    try store.put("pack", made)
    #expect(try PackFooter.read(from: try store.open("pack"), length: UInt64(made.count), suite: suite) == entries)
    return made
}
