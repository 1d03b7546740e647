import Testing

@testable import Operations

@Suite("The row of binary logs")
struct BinaryLogChainTests {
    @Test("Logs count as far as their numbers follow each other, up to the highest that a name can hold")
    func row() {
        let known: [UInt64: String] = [3: "c", 4: "d", 6: "f"]
        var (row, missing) = BinaryLogChain.row(of: known, from: 3)
        #expect(row == ["c", "d"] && missing == 5)
        (row, missing) = BinaryLogChain.row(of: known, from: 6)
        #expect(row == ["f"] && missing == nil)
        (row, missing) = BinaryLogChain.row(of: known, from: 1)
        #expect(row.isEmpty && missing == 1)
        (row, missing) = BinaryLogChain.row(of: [.max - 1: "y", .max: "z"], from: .max - 1)
        #expect(row == ["y", "z"] && missing == nil)
    }
}
