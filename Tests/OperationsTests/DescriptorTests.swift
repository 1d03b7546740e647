import Glibc
import Testing

@testable import Operations

/// What the programs that Qala starts find open. The folder that `ls` reads takes the first free number itself.
@Suite("Descriptors of other programs")
struct DescriptorTests {
    /// Runs with a descriptor open that is not closed on exec, as one that this process inherited.
    private func withInherited(_ body: () throws -> Void) throws {
        let opened = open("/dev/null", O_RDONLY)
        let inherited = fcntl(opened, F_DUPFD, 200)
        close(opened)
        try #require(inherited >= 200)
        defer { close(inherited) }
        try body()
    }

    @Test("A program has three descriptors, and a fourth where it gets a second input")
    func programs() throws {
        try withInherited {
            var program = Program(
                command: ["/bin/sh", "-c", "ls /proc/self/fd; exit 1"], environment: ["PATH=/usr/bin:/bin"],
                timeout: 60, timeoutText: "a minute")
            #expect(program.run() == "/bin/sh ended with 1: 0 / 1 / 2 / 3")
            program.secondInput = Array("secret\n".utf8)
            #expect(program.run() == "/bin/sh ended with 1: 0 / 1 / 2 / 3 / 4")
            program.command = ["/bin/sh", "-c", "cat <&3; exit 1"]
            program.input = Array("first".utf8)
            #expect(program.run() == "/bin/sh ended with 1: secret")
        }
    }

    @Test("A program of a pipeline has three descriptors, and a fourth where it gets a secret")
    func pipelines() throws {
        func printed(_ command: String, _ secret: [UInt8]?) throws -> String {
            let pipeline = try Pipeline([.init(program: "sh", arguments: ["-c", command], secret: secret)])
            pipeline.closeInput()
            let reader = PipeReader(pipeline.output)
            var bytes: [UInt8] = []
            while try !reader.isAtEnd() { _ = try reader.some(limit: 4096) { bytes.append(contentsOf: $0) } }
            #expect(pipeline.finish() == nil)
            return String(decoding: bytes, as: UTF8.self)
        }
        try withInherited {
            let open = try printed("ls /proc/self/fd", nil)
            #expect(open == "0\n1\n2\n3\n")
            let withSecret = try printed("ls /proc/self/fd", Array("secret".utf8))
            #expect(withSecret == "0\n1\n2\n3\n4\n")
            let secret = try printed("cat <&3", Array("secret".utf8))
            #expect(secret == "secret\n")
        }
    }
}
