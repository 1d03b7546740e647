import Domain
import Foundation
import Testing

@testable import Operations

@Suite("Metrics")
struct MetricsTests {
    private static func metrics() -> DaemonMetrics {
        var metrics = DaemonMetrics(version: "1.2 \"beta\"", started: 1_795_000_000)
        var row = DaemonMetrics.PolicyRow(name: "web\\config\n", component: "config")
        row.lastSuccess = 1_795_000_100
        row.lastRun = 1_795_000_160
        row.lastDuration = 60
        (row.lastBytes, row.lastBytesStored, row.lastFiles) = (1 << 40, 5, 7)
        row.failures = 2
        row.nextDue = 1_795_003_600
        (row.age, row.target) = (5000, 3600)
        metrics.now = 1_795_000_500
        row.points = [
            RecoveryPoint(.wal, "main", in: .spool, time: 1_795_000_490, measuredSince: nil),
            RecoveryPoint(.wal, "main", in: .vault, time: 1_795_000_440, measuredSince: 0),
            RecoveryPoint(.wal, "new", in: .vault, time: nil, measuredSince: 0),
        ]
        metrics.policies = [row, DaemonMetrics.PolicyRow(name: "new", component: "log")]
        metrics.ended = [.init(policy: "new", state: .failed, count: 3), .init(policy: "new", state: .done, count: 1)]
        metrics.openProblems = [.missed: 2]
        metrics.rooms = [("state", DiskRoom(available: 1 << 33, size: 1 << 40))]
        return metrics
    }

    @Test("Every line is of the format, and the values are those that were given, with their labels")
    func values() throws {
        let samples = try ExpositionText(Self.metrics().text).samples
        func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
            samples.first { $0.name == name && $0.labels == labels }?.value
        }
        let policy = ["policy": "web\\config\n", "component": "config"]
        #expect(value("qala_build_info", ["version": "1.2 \"beta\""]) == 1)
        #expect(value("qala_policy_last_success_timestamp_seconds", policy) == 1_795_000_100)
        #expect(value("qala_policy_last_run_read_bytes", policy) == 1_099_511_627_776)
        #expect(value("qala_rpo_seconds", policy) == 5000 && value("qala_rpo_target_seconds", policy) == 3600)
        #expect(value("qala_policy_overdue_seconds", policy) == 1400)
        #expect(value("qala_policy_consecutive_failures", ["policy": "new", "component": "log"]) == 0)
        #expect(value("qala_policy_last_success_timestamp_seconds", ["policy": "new", "component": "log"]) == nil)
        #expect(value("qala_runs_total", ["policy": "new", "state": "failed"]) == 3)
        #expect(value("qala_problems_open", ["kind": "missed"]) == 2)
        #expect(value("qala_problems_open", ["kind": "damage"]) == 0)
        #expect(value("qala_filesystem_available_bytes", ["place": "state"]) == 8_589_934_592)
        #expect(value("qala_runs_waiting") == 0)
        for (place, age) in [("spool", 10), ("vault", 60)] as [(String, Double)] {
            let labels = [
                "policy": "web\\config\n", "kind": "postgresql-wal", "source": "main", "place": place,
            ]
            #expect(value("qala_source_rpo_seconds", labels) == age)
        }
        #expect(samples.count { $0.name == "qala_source_rpo_seconds" } == 2)
    }

    @Test("A name is told of once, before its samples; counters end with _total, and what has no sample is left out")
    func families() throws {
        let text = try ExpositionText(Self.metrics().text)
        for (name, type) in text.types { #expect((type == "counter") == name.hasSuffix("_total")) }
        #expect(text.types.keys.allSatisfy { $0.hasPrefix("qala_") })
        let bare = try ExpositionText(DaemonMetrics(version: "1", started: 0).text)
        #expect(bare.types["qala_rpo_seconds"] == nil && bare.types["qala_build_info"] == "gauge")
    }

    @Test(
        "The small parser refuses what is not of the format",
        arguments: [
            "a 1\n", "# TYPE a gauge\na 1\n", "# HELP a x\n# TYPE a gauge\na 1", "# HELP a x\n# TYPE a gauge\na one\n",
            "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n",
            "# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na 1\n",
            "# HELP a x\n# TYPE a gauge\na 1\na 1\n",
        ])
    func strictness(text: String) {
        #expect(throws: ExpositionText.Broken.self) { _ = try ExpositionText(text) }
    }

    @Test("Numbers have neither exponents nor fractions that they do not need")
    func numbers() {
        #expect(MetricsText.number(1_795_000_000) == "1795000000" && MetricsText.number(0.25) == "0.25")
        #expect(MetricsText.number(.infinity) == "+Inf" && MetricsText.number(.nan) == "NaN")
        #expect(MetricsText.number(-3) == "-3")
    }

    @Test("Only a loopback address can be served")
    func addresses() throws {
        let usual = try MetricsAddress("127.0.0.1:9469")
        #expect(usual.host == "127.0.0.1" && usual.port == 9469)
        let six = try MetricsAddress("[::1]:80")
        #expect(six.host == "::1" && six.port == 80)
        let others = [
            "0.0.0.0:9469", "127.0.0.1", "127.0.0.1:0", "localhost:1", "127.0.0.256:1", "127.1:1", "::1:80", "",
        ]
        for text in others {
            #expect(throws: OperationError.self) { _ = try MetricsAddress(text) }
        }
    }

    /// `promtool` of the Debian package `prometheus`: installed, or unpacked by `scripts/setup`.
    private static let promtool: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let unpacked = root.appending(path: ".build/tools/promtool").path
        return FileManager.default.isExecutableFile(atPath: unpacked) ? unpacked : "/usr/bin/promtool"
    }()

    private func run(_ arguments: [String], input: String) throws -> (status: Int32, said: String) {
        let process = Process()
        process.executableURL = URL(filePath: Self.promtool)
        process.arguments = arguments
        let entry = Pipe()
        let output = Pipe()
        process.standardInput = entry
        process.standardOutput = output
        process.standardError = output
        try process.run()
        entry.fileHandleForWriting.write(Data(input.utf8))
        try entry.fileHandleForWriting.close()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: said, as: UTF8.self))
    }

    @Test("promtool finds nothing to say about the metrics")
    func linted() throws {
        let found = try run(["check", "metrics"], input: Self.metrics().text)
        #expect(found.status == 0 && found.said.isEmpty, "\(found.said)")
    }

    @Test("promtool accepts the alert rules that are shipped")
    func rules() throws {
        let found = try run(["check", "rules", Self.rules.path], input: "")
        #expect(found.status == 0, "\(found.said)")
    }

    private static let rules = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "packaging/prometheus/qala.rules.yaml")

    @Test("The alert rules name metrics that there are, and speak both languages")
    func rulesNameMetrics() throws {
        let text = try String(contentsOf: Self.rules, encoding: .utf8)
        let known = Set(try ExpositionText(Self.metrics().text).types.keys)
        let words = text.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map { String($0) }
        let named = Set(words.filter { $0.hasPrefix("qala_") })
        #expect(named.count >= 6 && named.isSubset(of: known), "\(named.subtracting(known))")
        let lines = text.split(separator: "\n").map { $0.drop { $0 == " " } }
        let alerts = lines.count { $0.hasPrefix("- alert:") }
        #expect(alerts >= 6)
        for key in ["summary:", "summary_az:", "severity:"] {
            let count = lines.count { $0.hasPrefix(key) }
            #expect(count == alerts, "\(key)")
        }
    }
}

/// A strict reader of the text format: it refuses what a lenient one would pass over.
private struct ExpositionText {
    struct Broken: Error { var line: String }

    struct Sample {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    var types: [String: String] = [:]
    var samples: [Sample] = []

    init(_ text: String) throws {
        guard text.hasSuffix("\n") else { throw Broken(line: "the end") }
        var helped: Set<String> = []
        var current = ""
        var seen: Set<String> = []
        for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(separator: " ", maxSplits: 3)
            if line.hasPrefix("# HELP ") {
                guard words.count == 4, helped.insert(String(words[2])).inserted else { throw Broken(line: "\(line)") }
                current = String(words[2])
            } else if line.hasPrefix("# TYPE ") {
                guard words.count == 4, words[2] == current, types[current] == nil,
                    ["gauge", "counter"].contains(words[3])
                else { throw Broken(line: "\(line)") }
                types[current] = String(words[3])
            } else {
                let sample = try Self.sample(line)
                guard sample.name == current, types[current] != nil,
                    seen.insert("\(sample.name) \(sample.labels.sorted { $0.key < $1.key })").inserted
                else { throw Broken(line: "\(line)") }
                samples.append(sample)
            }
        }
    }

    private static let escapes: [Character: String] = ["\\": "\\", "n": "\n", "\"": "\""]

    private static func sample(_ line: Substring) throws -> Sample {
        var rest = line
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while rest.first != "}" {
                let label = rest.prefix { $0.isASCII && ($0.isLetter || $0 == "_") }
                rest = rest.dropFirst(label.count)
                guard !label.isEmpty, rest.hasPrefix("=\"") else { throw Broken(line: "\(line)") }
                rest = rest.dropFirst(2)
                var value = ""
                while let character = rest.first, character != "\"" {
                    rest = rest.dropFirst()
                    if character == "\\" {
                        guard let escaped = rest.first, let meant = escapes[escaped] else {
                            throw Broken(line: "\(line)")
                        }
                        rest = rest.dropFirst()
                        value += meant
                    } else {
                        value.append(character)
                    }
                }
                guard rest.first == "\"", labels.updateValue(value, forKey: String(label)) == nil else {
                    throw Broken(line: "\(line)")
                }
                rest = rest.dropFirst()
                if rest.first == "," { rest = rest.dropFirst() }
            }
            rest = rest.dropFirst()
        }
        guard rest.first == " ", let value = Double(rest.dropFirst()), !name.isEmpty else {
            throw Broken(line: "\(line)")
        }
        return Sample(name: String(name), labels: labels, value: value)
    }
}
