import Foundation
import Testing

@Suite("Documents that are executed")
struct DocumentTests {
    @Test("The commands of README and of the documents run as written", .enabled(if: qalaBinary != nil))
    func commands() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-docs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var environment = ProcessInfo.processInfo.environment
        environment["QALA_BINARY"] = qalaBinary
        let script = Repository.root.appending(path: "scripts/check-commands").path
        let finished = try ProcessRunner.run(script, [], environment: environment, in: folder, seconds: 900)
        #expect(finished.status == 0, "\(finished.outputText)\n\(finished.errorText)")
    }
}
