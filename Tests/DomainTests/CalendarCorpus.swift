import Foundation
import Synchronization

@testable import Domain

/// The files beside the tests and the zones of the system.
enum CalendarCorpus {
    struct Line: Sendable {
        var number: Int
        var expression: String
        var zone: String
        var base: Int64
        /// Nil for an expression that is refused.
        var form: String?
        /// Seconds since 1970; empty for "never".
        var elapses: [Int64]
    }

    static func rows(_ name: String) throws -> [[String]] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Calendar")
        let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        return text.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
    }

    static func lines() throws -> [Line] {
        try rows("calendar-corpus.tsv").enumerated().map { index, row in
            guard row.count == 5, let base = Int64(row[2]) else {
                throw CocoaError(.fileReadCorruptFile, userInfo: ["line": index + 1])
            }
            var elapses: [Int64] = []
            if row[4] != "never" {
                for step in row[4].split(separator: ",") { elapses.append((elapses.last ?? 0) + (Int64(step) ?? -1)) }
            }
            return Line(
                number: index + 1, expression: row[0], zone: row[1], base: base,
                form: row[3] == "error" ? nil : row[3], elapses: elapses)
        }
    }
}

/// The zones of the system, each read once.
enum Zones {
    static let folder = "/usr/share/zoneinfo"
    private static let known = Mutex<[String: TimeZoneRules]>([:])

    static func named(_ name: String) throws -> TimeZoneRules {
        if let zone = known.withLock({ $0[name] }) { return zone }
        let zone = try TimeZoneRules(tzif: bytes(name))
        known.withLock { $0[name] = zone }
        return zone
    }

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    }

    /// Whether there is such a file, with the capitals of its name.
    static func exists(_ name: String) -> Bool {
        guard CalendarExpression.hasFormOfZone(name), let handle = FileHandle(forReadingAtPath: "\(folder)/\(name)")
        else { return false }
        defer { try? handle.close() }
        return (try? handle.read(upToCount: 4)) == Data("TZif".utf8)
    }
}

/// A small generator of numbers that one seed decides.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }
}
