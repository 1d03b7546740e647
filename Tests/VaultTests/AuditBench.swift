import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// What the tests of the audit log share: keys, acts, and a log in a directory or on a simulated disk.
enum AuditBench {
    static let origin = "qala.example/host"
    static let path = "/srv/audit"
    static let entriesPath = "\(path)/entries"
    /// A clock that stands still.
    static let clock: @Sendable () -> Timestamp = { Timestamp(seconds: 1_770_000_000, nanoseconds: 123_456_789) }
    static let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"

    static var root: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    static func key(_ seed: UInt8 = 7) throws -> SigningKey {
        try SigningKey(seed: try Secret(copying: [UInt8](repeating: seed, count: 32)))
    }

    static func trust(_ seed: UInt8 = 7, older: [AuditTrust.Older] = []) throws -> AuditTrust {
        AuditTrust(origin: origin, key: try key(seed).publicKey, older: older)
    }

    static func act(_ number: Int, run: String = "") -> AuditAct {
        AuditAct(
            .user(id: 1000, name: "əli"), "archive.read", subject: "sənəd \(number)",
            outcome: AuditOutcome.allCases[number % AuditOutcome.allCases.count],
            details: [AuditDetail("files", "\(number * 7)")], run: run)
    }

    static func open(
        _ calls: any FileSystemCalls, path: String = path, seed: UInt8 = 7, pinned: [AuditCheckpoint] = [],
        older: [AuditTrust.Older] = [], creating: Bool = true
    ) throws(VaultError) -> AuditLog {
        let key = try SigningKey(seed: try Secret(copying: [UInt8](repeating: seed, count: 32)))
        return try AuditLog.open(
            directory: path, origin: origin, key: key, older: older, pinned: pinned, creating: creating, clock: clock,
            calls: calls)
    }

    /// A log of `count` entries under a checkpoint, closed again, in a new directory.
    static func makeLog(_ count: Int, in place: Place, checkpoint: Bool = true) throws {
        let log = try open(LinuxCalls.shared, path: place.log)
        try fill(log, 0..<count, checkpoint: checkpoint)
    }

    static func fill(_ log: AuditLog, _ range: Range<Int>, checkpoint: Bool = true) throws {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 100) {
            try log.append((start..<min(start + 100, range.upperBound)).map { act($0) }, durably: false)
        }
        if checkpoint { try log.checkpoint() } else { try log.sync() }
    }

    static func verify(_ place: Place, pinned: [AuditCheckpoint] = [], limit: Int = 1000) throws -> AuditReport {
        try AuditVerifier.run(directory: place.log, trust: try trust(), pinned: pinned, limit: limit)
    }

    /// A directory that goes away with the value.
    final class Place {
        let url = FileManager.default.temporaryDirectory.appending(path: "qala-audit-\(UUID().uuidString)")
        var log: String { url.appending(path: "log").path }

        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

        deinit { try? FileManager.default.removeItem(at: url) }

        func file(_ name: String) -> URL { url.appending(path: "log/\(name)") }
        func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: file(name))) }
        func write(_ name: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: file(name)) }

        func lines(_ segment: Int = 0) throws -> [[UInt8]] {
            try bytes(Self.segment(segment)).split(separator: 0x0A).map { Array($0) }
        }

        func write(_ lines: [[UInt8]], _ segment: Int = 0, torn: [UInt8] = []) throws {
            var bytes: [UInt8] = []
            for line in lines { bytes += line + [0x0A] }
            try write(Self.segment(segment), bytes + torn)
        }

        static func segment(_ index: Int) -> String {
            let digits = String(index * 4096)
            return "entries/" + String(repeating: "0", count: 20 - digits.count) + digits + ".jsonl"
        }
    }

    /// Runs a program of the project's Python; returns its exit status and what it said.
    static func python(_ arguments: [String]) throws -> (status: Int32, said: String) {
        let process = Process()
        process.executableURL = root.appending(path: "scripts/python")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    static let hasPython: Bool = (try? python(["-c", "import cryptography"]).status) == 0
}
