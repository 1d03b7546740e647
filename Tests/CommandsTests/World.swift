import Foundation
import Glibc
import Testing

/// The path of the built `qala`; the tests of the real binary need it.
let qalaBinary = ProcessInfo.processInfo.environment["QALA_BINARY"]

/// A folder with a passphrase, a vault and a host state of its own, in which the real binary runs.
struct World {
    let folder: URL
    /// The kit opens a vault without the cost of a passphrase.
    static let byKit = ["--key-file", "kit.txt"]

    /// With `inMemory` on a file system without a disk, where there is one: for many small runs in which what is synced
    /// makes no difference.
    init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let base =
            inMemory && access(memory, W_OK) == 0
            ? URL(filePath: memory) : FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
        folder = base.appending(path: "qala-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try write("passphrase", "correct horse battery\n")
        chmod(path("passphrase"), 0o600)
    }

    func url(_ name: String) -> URL { folder.appending(path: name) }
    func path(_ name: String) -> String { url(name).path }

    func write(_ name: String, _ text: String) throws { try write(name, Data(text.utf8)) }

    func write(_ name: String, _ bytes: Data) throws {
        let file = url(name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        // Closed in children: a script that another test's child still holds open for writing cannot be executed.
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        try #require(descriptor >= 0)
        try FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).write(contentsOf: bytes)
    }

    func qala(_ arguments: String...) throws -> Finished { try qala(arguments) }

    func qala(_ arguments: [String], more: [String: String] = [:], without: Set<String> = []) throws -> Finished {
        try start(arguments, more: more, without: without).wait()
    }

    /// Starts the binary with the environment of this folder and nothing else.
    func start(
        _ arguments: [String], more: [String: String] = [:], without: Set<String> = []
    ) throws -> RunningProcess {
        var environment = [
            "HOME": folder.path, "PATH": "/usr/bin:/bin", "QALA_VAULT": path("vault"), "QALA_STATE": path("state"),
            "QALA_PASSPHRASE_FILE": path("passphrase"), "SWIFT_BACKTRACE": "enable=no",
        ].merging(more) { $1 }
        for name in without { environment[name] = nil }
        return try ProcessRunner.start(try #require(qalaBinary), arguments, environment: environment, in: folder)
    }

    /// The ids of all archives; a vault that does not open is a failure.
    func archives() throws -> [String] {
        let rows = try Self.object(try qala("archives", "--json"))["archives"] as? [[String: Any]]
        return try #require(rows).compactMap { $0["id"] as? String }
    }

    static func object(_ finished: Finished) throws -> [String: Any] {
        let value = try? JSONSerialization.jsonObject(with: Data(finished.output))
        return try #require(value as? [String: Any], "status \(finished.status): \(finished.errorText)")
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }
}

extension Finished {
    var errorLines: [[UInt8]] { errors.split(separator: 0x0A).map(Array.init) }
}
