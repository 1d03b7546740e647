import Testing

@testable import Operations

@Suite("Programs beside the daemon")
struct ServerProgramTests {
    @Test("A short answer is given whole, and one that is too long or ends badly is none")
    func answers() throws {
        func output(_ script: String) throws -> String {
            try ServerProgram.output(of: ["/bin/sh", "-c", script], seconds: 30, InterruptFlag())
        }
        #expect(try output("echo yes") == "yes\n")
        #expect(try output("head -c 4096 /dev/zero").utf8.count == 4096)
        #expect(throws: (any Error).self) { try output("head -c 4097 /dev/zero") }
        #expect(throws: (any Error).self) { try output("head -c 4096 /dev/zero; exit 3") }
    }
}
