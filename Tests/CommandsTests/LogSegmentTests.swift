import Foundation
import Glibc
import Testing

@Suite("Logs that a policy follows", .enabled(if: qalaBinary != nil))
struct LogSegmentTests {
    private func world(_ more: String = "") throws -> World {
        let world = try World()
        try FileManager.default.createDirectory(at: world.url("logs"), withIntermediateDirectories: true)
        let policy = """
            policy: log
            component: log
            responsible: {name: A}
            confidentiality: internal
            sources:
              - logs: \(world.path("logs"))/*.log
            \(more)
            """
        try world.write("log.yaml", policy)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        return world
    }

    private func append(_ world: World, _ text: String) throws {
        let file = open(world.path("logs/app.log"), O_WRONLY | O_APPEND | O_CREAT, 0o644)
        try #require(file >= 0)
        defer { close(file) }
        try #require(write(file, text, text.utf8.count) == text.utf8.count)
    }

    private func run(_ world: World) throws -> Finished { try world.qala("run", world.path("log.yaml"), "--json") }

    /// All segments that archives brought back, each once, in order, without their header lines.
    private func payloads(below folder: URL) throws -> (names: [String], bytes: Data) {
        var files: [String: Data] = [:]
        let found = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        while let file = found?.nextObject() as? URL {
            guard file.lastPathComponent.hasSuffix(".segment") else { continue }
            let bytes = try Data(contentsOf: file)
            if let known = files[file.lastPathComponent] { #expect(known == bytes) }
            files[file.lastPathComponent] = bytes
        }
        var whole = Data()
        for (_, bytes) in files.sorted(by: { $0.key < $1.key }) {
            let end = try #require(bytes.firstIndex(of: 0x0A))
            whole += bytes[bytes.index(after: end)...]
        }
        return (files.keys.sorted(), whole)
    }

    @Test("Killed at any moment, runs that read the journal lose no entry and seal none twice")
    func journalKilled() throws {
        let world = try world()
        defer { world.remove() }
        // As journalctl: what lies behind the cursor.
        try world.write(
            "journalctl",
            """
            #!/bin/sh
            after=0
            for word in "$@"; do case $word in --after-cursor=*) after=${word##*i=} ;; esac; done
            exec awk -v after="$after" '/^__CURSOR=/ { split($0, part, "i="); on = part[2] > after + 0 } on' \
            \(world.path("journal"))

            """)
        chmod(world.path("journalctl"), 0o755)
        let policy = try String(contentsOf: world.url("log.yaml"), encoding: .utf8)
        let source = "journal: {program: \(world.path("journalctl"))}"
        try world.write(
            "log.yaml", policy.replacingOccurrences(of: "logs: \(world.path("logs"))/*.log", with: source))
        var (journal, count) = ("", 0)
        for _ in 0..<8 {
            for _ in 0..<200 {
                count += 1
                journal += "__CURSOR=s=ab;i=\(count)\n__REALTIME_TIMESTAMP=\(count)000000\n__SEQNUM=\(count)\n"
                journal += "__SEQNUM_ID=ab\nMESSAGE=entry \(count)\n\n"
            }
            try world.write("journal", journal)
            let running = try world.start(["run", world.path("log.yaml")])
            usleep(UInt32.random(in: 5_000...400_000))
            running.send(SIGKILL)
            _ = try running.wait()
        }
        let last = try run(world)
        #expect(last.status == 0, "\(last.errorText) \(last.outputText)")
        let listed = try World.object(try world.qala("log-segments", "list", "--json"))
        let rows = try #require(listed["segments"] as? [[String: Any]])
        #expect(rows.reduce(0) { $0 + ($1["records"] as? Int ?? 0) } == count)
        #expect(rows.reduce(0) { $0 + ($1["bytes"] as? Int ?? 0) } == journal.utf8.count)
        #expect(rows.allSatisfy { ($0["findings"] as? [Any])?.isEmpty == true && $0["source"] as? String == "journal" })
        let verified = try world.qala(["log-segments", "verify"] + World.byKit)
        #expect(verified.status == 0, "\(verified.errorText)")
    }

    @Test("Every line that was written is in one segment of the archives, through rotations and runs")
    func endToEnd() throws {
        let world = try world()
        defer { world.remove() }
        var written = ""
        for round in 0..<8 {
            let text = "round \(round) line a\nround \(round) line b\n"
            try append(world, text)
            let finished = try run(world)
            #expect(finished.status == 0, "\(finished.errorText) \(finished.outputText)")
            let late = "round \(round) late\n"
            try append(world, late)
            written += text + late
            for number in stride(from: 8, through: 1, by: -1) {
                _ = rename(world.path("logs/app.log.\(number)"), world.path("logs/app.log.\(number + 1)"))
            }
            try #require(rename(world.path("logs/app.log"), world.path("logs/app.log.1")) == 0)
        }
        try append(world, "the end\n")
        written += "the end\n"
        #expect(try run(world).status == 0)

        // The archives hold them, and the spool the newest alone.
        try FileManager.default.createDirectory(at: world.url("back"), withIntermediateDirectories: true)
        for (number, archive) in try world.archives().enumerated() {
            // Without root the directories above the spool do not get their owners.
            let status = try world.qala("restore", archive, "--to", "back/\(number)").status
            #expect(status == 0 || geteuid() != 0 && status == 3)
        }
        let back = try payloads(below: world.url("back"))
        #expect(back.names.count == 9)
        #expect(String(decoding: back.bytes, as: UTF8.self) == written)
        #expect(try payloads(below: world.url("state")).names.count == 3)

        let list = try World.object(try world.qala("log-segments", "list", "--json"))
        let rows = try #require(list["segments"] as? [[String: Any]])
        #expect(rows.compactMap { $0["sequence"] as? Int } == Array(1...9))
        #expect(rows.allSatisfy { $0["archive"] is String })
        let verified = try World.object(try world.qala("log-segments", "verify", "--json"))
        #expect(verified["inArchives"] as? Int == 6 && verified["inSpool"] as? Int == 3, "\(verified)")
        let keyless = try world.qala(["log-segments", "verify", "--json"], without: ["QALA_PASSPHRASE_FILE"])
        #expect(keyless.status == 3, "what was not read was not verified")
        #expect(try World.object(keyless)["unread"] as? Int == 6)
        let human = try world.qala("log-segments", "list", "--language", "az")
        #expect(human.status == 0 && human.outputText.contains("SEQMENT"))
    }

    @Test("A gap makes the run partial, and stays in the ledger")
    func gap() throws {
        let world = try world()
        defer { world.remove() }
        try append(world, "one\ntwo\n")
        #expect(try run(world).status == 0)
        try #require(truncate(world.path("logs/app.log"), 0) == 0)
        try append(world, "x\n")
        let finished = try run(world)
        #expect(finished.status == 3 && finished.outputText.contains("gap"), "\(finished.outputText)")
        let list = try world.qala("log-segments", "list")
        #expect(list.status == 0 && list.outputText.contains("gap 1"), "\(list.outputText)")
        #expect(try run(world).status == 0)
    }

    @Test("A log segment that was changed in the spool is damage, and a policy without logs is not found")
    func verify() throws {
        let world = try world()
        defer { world.remove() }
        try append(world, "one\n")
        #expect(try run(world).status == 0)
        let segment = world.url("state/logs/log/00000001.segment")
        var bytes = try Data(contentsOf: segment)
        bytes[bytes.count - 1] ^= 1
        try bytes.write(to: segment)
        #expect(try world.qala("log-segments", "verify").status == 13)
        #expect(try world.qala("log-segments", "list", "--policy", "none").status == 14)
    }

    @Test("Logs and files of one policy are archived together, also where the host state lies among the files")
    func besideFiles() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("logs/app.log", "line\n")
        try world.write("zebra", "z\n")
        try world.write(
            "both.yaml",
            """
            policy: both
            component: log
            responsible: {name: A}
            confidentiality: internal
            sources:
              - logs: \(world.path("logs"))
              - files: \(world.folder.path)
            """)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let dry = try world.qala("run", world.path("both.yaml"), "--dry-run")
        #expect(dry.status == 0, "\(dry.errorText)")
        let finished = try world.qala("run", world.path("both.yaml"), "--json")
        #expect(finished.status == 0, "\(finished.errorText) \(finished.outputText)")
        let listed = try world.qala("ls", "latest", "--recursive").outputText
        #expect(listed.contains("00000001.segment") && listed.contains("zebra") && listed.contains("app.log"))
        #expect(!listed.contains("state/logs/both/lock"))
    }
}
