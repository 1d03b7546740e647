import Foundation
import Glibc
import Operations
import Testing

/// `scripts/reader`: a program that opens vaults from `docs/format.md` alone, without any code of ours.
enum IndependentReader {
    static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    static func run(_ arguments: String...) throws -> Outcome { try python("reader", arguments) }

    /// Runs a script of the repository with the project's Python.
    static func python(_ script: String, _ arguments: [String]) throws -> Outcome {
        try execute([repository.appending(path: "scripts/\(script)").path] + arguments)
    }

    static func execute(_ arguments: [String]) throws -> Outcome {
        let process = Process()
        process.executableURL = repository.appending(path: "scripts/python")
        process.arguments = arguments
        let errors = FileManager.default.temporaryDirectory.appending(path: "qala-reader-\(UUID().uuidString)")
        try Data().write(to: errors)
        defer { try? FileManager.default.removeItem(at: errors) }
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: data, as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
    }

    /// Where the packages are missing the tests are skipped, but never in CI: there they fail.
    static let isExpected: Bool = {
        let modules = "import blake3, cryptography as c, zstandard; assert int(c.__version__.split('.')[0]) >= 48"
        if ProcessInfo.processInfo.environment["CI"] == "true" { return true }
        return (try? execute(["-c", modules]).status) == 0
    }()

    static let missing: Comment = "Python packages are missing: scripts/setup installs them"

    /// The status of a restore that could set everything the present account may set.
    static func isComplete(_ status: Int32) -> Bool { status == 0 || (geteuid() != 0 && status == 3) }
}

/// A directory of one test with vault, host state and keys, removed afterwards.
final class Scratch {
    let path: String

    /// With `inMemory` on a file system without a disk, where there is one.
    init(inMemory: Bool = false) throws {
        let usual = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let base = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : usual
        var template = Array("\(base)/qala-operations-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = [
            "-c", "rm -rf \"$1\" 2>/dev/null || { chmod -R u+rwx \"$1\"; rm -rf \"$1\"; }", "sh", path,
        ]
        guard (try? process.run()) != nil else { return }
        process.waitUntilExit()
    }

    func place(_ name: String) -> String { "\(path)/\(name)" }
    func bytes(_ name: String) -> [UInt8] { Array(place(name).utf8) }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: place(name)))
    }

    /// The vault of this directory, opened with a passphrase.
    func workplace(_ passphrase: String, state: String = "state") -> Workplace {
        let bytes = Array(passphrase.utf8)
        return Workplace(vaultPath: place("vault"), statePath: place(state), unlocking: .passphrase { bytes })
    }

    /// The same, opened with a recovery kit.
    func workplace(kit: String) throws -> Workplace {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: kit)))
        return Workplace(vaultPath: place("vault"), statePath: place("state"), unlocking: .code { bytes })
    }
}
