@testable import Collectors
import Domain
import Foundation
import Glibc
import Testing

/// What a data source hands out, as the session would read it.
struct Collected {
    var entries: [Entry] = []
    var contents: [String: [UInt8]] = [:]
    /// Of contents that could not be read to their end.
    var failures: [String: any Error] = [:]
    var barriers = 0
    /// Why the source ended before its end.
    var failure: (any Error)?
    var facts: SourceFacts
    var problems: [FileProblem] = []

    /// `isCommitted` says whether the archive of it comes to be.
    init(_ collector: any DataCollector, isCommitted: Bool = true) {
        facts = collector.facts
        do {
            while let item = try collector.next() {
                switch item {
                case .barrier: barriers += 1
                case .entry(let entry, let content):
                    entries.append(entry)
                    guard let content else { continue }
                    let path = String(decoding: entry.path, as: UTF8.self)
                    do { contents[path] = try Self.bytes(of: content) } catch { failures[path] = error }
                }
            }
        } catch { failure = error }
        collector.close()
        facts = collector.facts
        problems = collector.problems.take()
        if isCommitted, failure == nil { collector.committed() }
    }

    static func bytes(of content: any DataContent, block: Int = 100_000) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: block)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try content.read(into: $0, at: UInt64(bytes.count)) }
            bytes += buffer[..<count]
            if count < block { return bytes }
        }
    }

    var message: String { (failure as? any Failure)?.message ?? failure.map { "\($0)" } ?? "" }
}

/// A program that a test runs beside; killed with the object.
final class Beside {
    let process = Process()
    private let output = Pipe()

    /// Waits for the first line that it prints.
    init(_ program: String, _ arguments: [String]) throws {
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        var line = Data()
        while line.last != 0x0A {
            let byte = output.fileHandleForReading.readData(ofLength: 1)
            try #require(!byte.isEmpty, "the program ended before it was ready")
            line += byte
        }
    }

    func end() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit { end() }

    /// What a program prints; its failure is one of the test.
    static func run(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil
    ) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        if let environment { process.environment = environment }
        process.standardOutput = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments) ended with \(process.terminationStatus)")
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
