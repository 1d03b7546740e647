import Foundation
import Glibc
import Testing

@Suite("Verification by the real daemon", .serialized, .enabled(if: qalaBinary != nil))
struct DaemonVerificationTests {
    @Test("The daemon verifies on time; damage is a problem and an alarm until a verification passes again")
    func damage() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let file = desk.world.url("policies/often.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        try #require(text.contains("stored: 7 days") && text.contains("content: 30 days"))
        try desk.world.write(
            "policies/often.yaml",
            text.replacingOccurrences(of: "stored: 7 days", with: "stored: 2 seconds").replacingOccurrences(
                of: "content: 30 days", with: "content: 3 seconds"))
        chmod(file.path, 0o644)
        #expect(try desk.world.qala("archive", "tree").status == 0)
        let daemon = try desk.start(["--key-file", desk.world.path("kit.txt")])
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        func passes(_ depth: String) throws -> Int {
            try desk.ask("logs", "--limit", "1000").outputText.split(separator: "\n").count {
                $0.contains("(\(depth))") && $0.hasSuffix("passed")
            }
        }
        try desk.wait("both depths") { try passes("stored") > 0 && passes("content") > 0 }
        #expect(try verifiedMark(desk.world) != nil)

        let pack = try #require(try packs(desk.world).first)
        var bytes = try Data(contentsOf: pack)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: pack)
        func problems() throws -> [[String: Any]] {
            let listed = try desk.world.qala("register", "problems", "list", "--open", "--json")
            return try #require(try World.object(listed)["rows"] as? [[String: Any]])
        }
        try desk.wait("the problem") {
            try problems().contains { ($0["fields"] as? [String: String])?["kind"] == "damage" }
        }
        // Each depth has its own, so that none closes what the other found.
        #expect(
            try problems().allSatisfy {
                ($0["fields"] as? [String: String])?["policy"]?.hasPrefix("verification (") == true
            })
        try desk.wait("the alarm") {
            (try desk.json("alarms")["alarms"] as? [[String: Any]] ?? []).contains {
                $0["kind"] as? String == "damaged"
            }
        }
        #expect(try verifiedMark(desk.world) == nil, "nothing counts as verified any more")
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: pack)
        try desk.wait("the end of the problem") { try problems().isEmpty }
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
    }

    @Test(
        "A key that is another vault's, or is not there, is an alarm and a problem from the start; archiving goes on, and a reload tries again",
        arguments: ["other.txt", nil])
    func wrongKey(other: String?) throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let world = desk.world
        if let other {
            let made = try world.qala("init", "--vault", world.path("other"), "--write-only-host", "--kit", other)
            #expect(made.status == 0, "\(made.errorText)")
            try world.write("reader.key", try String(contentsOf: world.url(other), encoding: .utf8))
        }
        let daemon = try desk.start(["--key-file", world.path("reader.key")])
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        func alarms() throws -> [[String: Any]] {
            let rows = try #require(try desk.json("alarms")["alarms"] as? [[String: Any]])
            return rows.filter { $0["kind"] as? String == "notVerified" }
        }
        func problems() throws -> [String] {
            let listed = try world.qala("register", "problems", "list", "--open", "--json")
            let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
            return rows.compactMap { ($0["fields"] as? [String: String])?["policy"] }
        }
        try desk.wait("the alarm") { try !alarms().isEmpty }
        #expect(try alarms().first?["subject"] as? String == world.path("vault"))
        #expect(try problems() == ["reading key of \(world.path("vault"))"])
        #expect(try desk.ask("logs", "--limit", "1000").outputText.contains("does not open \(world.path("vault"))"))
        #expect(try desk.ask("run", "often").status == 0)
        try world.write("reader.key", try String(contentsOf: world.url("kit.txt"), encoding: .utf8))
        daemon.send(SIGHUP)
        try desk.wait("the end of both") { try alarms().isEmpty && problems().isEmpty }
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
    }

    @Test("A line of the ledger of WAL that was changed under the daemon is damage, which ends with the change")
    func ledger() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        try desk.writePolicy("wal", source: "{postgresql-wal: main, batch-time: 1 hour}")
        let file = desk.world.url("policies/wal.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        try desk.world.write("policies/wal.yaml", text.replacing("stored: 7 days", with: "stored: 2 seconds"))
        chmod(file.path, 0o644)
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        for number in UInt64(1)...3 { #expect(try desk.push(number).status == 0) }
        func problems() throws -> [String] {
            let listed = try desk.world.qala("register", "problems", "list", "--open", "--json")
            let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
            return rows.compactMap { ($0["fields"] as? [String: String])?["message"] }
        }
        func change(_ byte: UInt8) throws {
            let ledger = try FileHandle(forUpdating: desk.world.url("state/wal/main/ledger.jsonl"))
            try ledger.seek(toOffset: 40)
            try ledger.write(contentsOf: [byte])
            try ledger.close()
        }
        let original = try Data(contentsOf: desk.world.url("state/wal/main/ledger.jsonl"))[40]
        try change(original ^ 1)
        try desk.wait("the problem") { try problems().contains { $0.contains("the ledger of the WAL of main") } }
        #expect(try desk.world.qala("wal", "status").status == 13)
        #expect(try desk.push(4).status == 0, "what was read at the start is right")
        try change(original)
        try desk.wait("the end of the problem") { try problems().isEmpty }
        #expect(try desk.world.qala("wal", "status").status == 0)
    }

    private func packs(_ world: World) throws -> [URL] {
        let base = world.url("vault/packs")
        return try FileManager.default.subpathsOfDirectory(atPath: base.path).map { base.appending(path: $0) }.filter {
            (try? $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true
        }
    }

    private func verifiedMark(_ world: World) throws -> String? {
        let names = try FileManager.default.contentsOfDirectory(atPath: world.path("state"))
        return names.map { world.path("state/\($0)/verified.json") }.first {
            FileManager.default.fileExists(atPath: $0)
        }
    }
}
