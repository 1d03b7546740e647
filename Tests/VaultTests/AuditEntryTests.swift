import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// Lines and checkpoints, byte for byte.
@Suite("Audit: entries and checkpoints")
struct AuditEntryTests {
    private static let page = try? String(
        contentsOf: AuditBench.root.appending(path: "docs/audit.md"), encoding: .utf8)

    private static let documented = [
        """
        {"number":0,"time":"2026-01-01T00:00:00.000Z","actor":"service:qalad","operation":"audit.begin",\
        "subject":"qala.example/host","outcome":"done","details":{},"run":"","via":""}
        """,
        #"""
        {"number":1,"time":"2026-01-01T00:00:00.001Z","actor":"user:1000/Əli","operation":"archive.find",\#
        "subject":"a\"b\\c\u000ad","outcome":"denied","details":{"purpose":"audit","hits":"0"},"run":"r-1","via":""}
        """#,
    ]

    @Test("The entries, keys and signatures of the format's page are made byte for byte")
    func documentedVectors() throws {
        let page = try #require(Self.page)
        let first = try AuditEntry(
            number: 0, time: Timestamp(seconds: 1_767_225_600),
            act: AuditAct(.service("qalad"), "audit.begin", subject: "qala.example/host"))
        let second = try AuditEntry(
            number: 1, time: Timestamp(seconds: 1_767_225_600, nanoseconds: 1_999_999),
            act: AuditAct(
                .user(id: 1000, name: "Əli"), "archive.find", subject: "a\"b\\c\nd", outcome: .denied,
                details: [AuditDetail("purpose", "audit"), AuditDetail("hits", "0")], run: "r-1"))
        var frontier = MerkleFrontier()
        for (entry, text) in zip([first, second], Self.documented) {
            #expect(String(decoding: entry.line, as: UTF8.self) == text)
            #expect(page.contains(text))
            #expect(AuditEntry(line: Array(text.utf8))?.act == entry.act)
            frontier.append(Merkle.leaf(entry.line))
        }
        let shown = #"""
            {"number":12,"time":"2026-11-22T19:17:06.123Z","actor":"user:0/root","operation":"archive.read",\#
            "subject":"db/2026-11-21","outcome":"done","details":{"files":"3"},"run":"","via":""}
            """#
        #expect(AuditEntry(line: Array(shown.utf8))?.number == 12)
        #expect(page.contains(shown) && page.contains(Merkle.leaf(Array(shown.utf8)).hex))

        let start = try #require(page.range(of: "has the checkpoint\n\n```\n"))
        let note = String(page[start.upperBound...].prefix { $0 != "`" })
        let checkpoint = try #require(AuditCheckpoint(note: Array(note.utf8)))
        #expect(checkpoint.root == frontier.root && checkpoint.size == 2)
        #expect(checkpoint.isValid(for: try AuditBench.trust()))
        let key = AuditKey(name: AuditBench.origin, kind: .log, publicKey: try AuditBench.key().publicKey)
        #expect(page.contains("`\(key.text)`") && AuditKey(key.text) == key)
        let cosigned = try checkpoint.cosigned(by: try AuditBench.key(9), named: "standby.example", at: 1_700_000_000)
        let line = try #require(String(decoding: cosigned.note, as: UTF8.self).split(separator: "\n").last)
        #expect(page.contains(line))
        let cosigner = AuditKey(
            name: "standby.example", kind: .cosigner, publicKey: try AuditBench.key(9).publicKey)
        #expect(page.contains(cosigner.text) && cosigned.isSigned(by: cosigner) && !checkpoint.isSigned(by: cosigner))
    }

    @Test("What an entry holds comes back, whatever the texts are")
    func roundTrip() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let scalars = Array("aə\u{301}\"\\\n\r\t\u{0}\u{1F}\u{7F}\u{2028}😀/:{}, ".unicodeScalars)
        func text(_ random: inout SplitMix) -> String {
            var text = ""
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                text.unicodeScalars.append(scalars.randomElement(using: &random) ?? "a")
            }
            return text
        }
        for number in 0..<500 {
            let actor: AuditActor =
                [
                    .user(id: .random(in: 0 ... .max, using: &random), name: text(&random)), .service(text(&random)),
                    .key(Digest(words: (random.next(), 1, 2, 3))),
                ].randomElement(using: &random) ?? .service("")
            let details = (0..<Int.random(in: 0...16, using: &random)).map { AuditDetail("d-\($0)", text(&random)) }
            let entry = try AuditEntry(
                number: UInt64(number),
                time: Timestamp(
                    seconds: .random(in: -62_167_219_200..<253_402_300_800, using: &random),
                    nanoseconds: .random(in: 0..<1_000_000_000, using: &random)),
                act: AuditAct(actor, "a.b", subject: text(&random), outcome: .partial, details: details, run: "r"),
                via: "spool/1-2-a#3")
            let parsed = AuditEntry(line: entry.line)
            #expect(parsed == entry, "seed \(seed), entry \(number)")
            let json = try JSONSerialization.jsonObject(with: Data(entry.line)) as? [String: Any]
            #expect((json?["subject"] as? String).map { Array($0.utf8) } == Array(entry.act.subject.utf8))
        }
    }

    @Test("A line has one encoding: a mutated one is refused, or is an entry that encodes to that very line")
    func oneEncoding() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let line = Array(Self.documented[1].utf8)
        var accepted = 0
        for _ in 0..<3000 {
            var mutated = line
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let at = Int.random(in: 0..<mutated.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: mutated[at] = mutated.randomElement(using: &random) ?? 0
                case 1: mutated.remove(at: at)
                default: mutated.insert(.random(in: 0...255, using: &random), at: at)
                }
            }
            guard let entry = AuditEntry(line: mutated) else { continue }
            accepted += 1
            #expect(entry.line == mutated, "seed \(seed)")
        }
        #expect(accepted > 0)
    }

    @Test(
        "Lines that other JSON readers would take are refused",
        arguments: [
            (#""number":1"#, #""number":01"#), (#""number":1"#, #""number": 1"#), (#""number":1"#, #""number":-1"#),
            (#""number":1"#, #""number":281474976710656"#), (#"\u000a"#, #"\n"#), (#"\u000a"#, #"\u000A"#),
            (#"\u000a"#, "\u{1}"), (#"\u000a"#, #"\u0041"#), ("2026-01-01", "2026-02-30"), ("00:00:00", "00:00:60"),
            (".001Z", ".001+00:00"), ("denied", "maybe"), ("user:1000/", "user:01000/"), ("user:1000/", "group:1000/"),
            (#""hits":"0""#, #""purpose":"0""#), ("archive.find", "Archive.find"), ("archive.find", ""),
            (#""via":"""#, #""via":"?""#), (#""run":"r-1","#, ""), (#""via":""}"#, #""via":""} "#),
        ])
    func strict(from: String, to: String) {
        let text = Self.documented[1]
        #expect(text.contains(from) && AuditEntry(line: Array(text.utf8)) != nil)
        #expect(AuditEntry(line: Array(text.replacing(from, with: to).utf8)) == nil)
    }

    @Test("A name that is too long is cut, stays distinct and never keeps an act from being recorded")
    func longTexts() throws {
        func entry(_ subject: String) throws -> AuditEntry {
            try AuditEntry(
                number: 1, time: Timestamp(seconds: 0),
                act: AuditAct(
                    .user(id: 1, name: String(repeating: "\u{1}", count: 500)), "a", subject: subject,
                    details: (0..<16).map { AuditDetail("\($0)", String(repeating: "\u{2}", count: 5000)) }))
        }
        let long = String(repeating: "\u{3}ə", count: 4096)
        let (one, other) = (try entry(long), try entry(long + "x"))
        #expect(one.line.count < AuditEntry.maximumBytes && one.act.subject != other.act.subject)
        #expect(one.act.subject.contains("…sha256:") && one.act.subject.hasPrefix("\u{3}ə"))
        #expect(AuditEntry(line: one.line) == one)
        #expect(try entry("kiçik").act.subject == "kiçik")
        #expect(throws: VaultError.self) {
            try AuditEntry(number: 1, time: Timestamp(seconds: 0), act: AuditAct(.service("a"), "No", subject: ""))
        }
        #expect(throws: VaultError.self) {
            try AuditEntry(
                number: 1, time: Timestamp(seconds: 253_402_300_800), act: AuditAct(.service("a"), "a", subject: ""))
        }
    }

    @Test("Every millisecond of the calendar is written as Foundation writes it")
    func times() throws {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime]
        var random = SplitMix(seed: 4)
        for day in (-1000..<60_000).filter({ $0 % 97 == 0 }) {
            let seconds = Int64(day) * 86400 + .random(in: 0..<86400, using: &random)
            let text = AuditTime.text(Timestamp(seconds: seconds, nanoseconds: 5_000_000))
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds))).dropLast() + ".005Z"
            #expect(text == expected)
            #expect(AuditTime.parse(text) == Timestamp(seconds: seconds, nanoseconds: 5_000_000))
        }
        #expect(AuditTime.parse("2024-02-29T00:00:00.000Z") != nil)
        #expect(AuditTime.parse("2023-02-29T00:00:00.000Z") == nil)
    }

    @Test("No byte of a checkpoint can change without its signature failing")
    func checkpointBytes() throws {
        let page = try #require(Self.page)
        let start = try #require(page.range(of: "has the checkpoint\n\n```\n"))
        let note = Array(page[start.upperBound...].prefix { $0 != "`" }.utf8)
        let trust = try AuditBench.trust()
        #expect(AuditCheckpoint(note: note)?.isValid(for: trust) == true)
        for at in note.indices {
            for value in [note[at] ^ 1, note[at] ^ 0x20, 0x0A] where value != note[at] {
                var changed = note
                changed[at] = value
                #expect(AuditCheckpoint(note: changed)?.isValid(for: trust) != true)
            }
            #expect(AuditCheckpoint(note: Array(note[..<at])) == nil)
        }
        #expect(AuditCheckpoint(note: note + note) == nil)
        #expect(AuditCheckpoint(note: note)?.isValid(for: try AuditBench.trust(8)) == false)
        let older = AuditTrust.Older(publicKey: try AuditBench.key().publicKey, upTo: 1)
        #expect(AuditCheckpoint(note: note)?.isValid(for: try AuditBench.trust(8, older: [older])) == false)
    }
}
