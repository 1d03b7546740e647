import Foundation
import Glibc
import Testing

@testable import Commands

/// Registers against vaults, through the real daemon and the real command.
@Suite("Registers and vaults compared", .serialized, .enabled(if: qalaBinary != nil))
struct ReconcileTests {
    private static func kinds(_ finished: Finished, _ key: String = "differences") throws -> [String] {
        let rows = try #require(try World.object(finished)[key] as? [[String: Any]])
        return rows.compactMap { $0["kind"] as? String }
    }

    private static func counts(_ finished: Finished) throws -> [String: Int] {
        try #require(try World.object(finished)["counts"] as? [String: Int])
    }

    @Test("After kills at any moment the registers and the vault show no difference")
    func kills() throws {
        let desk = try DaemonWorld()
        defer { desk.remove() }
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the kills: \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<6 {
            let daemon = try desk.start()
            usleep(UInt32.random(in: 200_000...1_800_000, using: &generator))
            daemon.send(SIGKILL)
            _ = try daemon.wait()
        }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        // While runs go on.
        let beside = try desk.world.qala("reconcile", "--json")
        #expect(beside.status == 0, "seed \(seed): \(beside.outputText)")
        #expect(try desk.ask("pause").status == 0)
        try desk.waitUntilIdle()
        let compared = try desk.world.qala("reconcile", "--json")
        #expect(compared.status == 0, "seed \(seed): \(compared.outputText)")
        #expect(try Self.kinds(compared).isEmpty)
        let counts = try Self.counts(compared)
        let archives = try desk.world.archives().count
        #expect(archives > 0)
        #expect(counts["archives"] == archives && counts["own"] == archives)
        #expect(counts["runs"] == (try desk.runs().count))
        #expect(counts["policyVersions"] == 1)
        let told = try desk.world.qala("reconcile")
        #expect(told.outputText.hasPrefix("0 differences"), "\(told.outputText)")
        let busy = try desk.world.qala("reconcile", "--repair")
        #expect(busy.status == 11 && busy.errorText.contains("systemctl stop"), "\(busy.errorText)")
        #expect(try desk.world.qala("reconcile", "--dry-run").status == 64)
    }

    @Test("A run that the register lost is found and added again from the log; archives made by hand need none")
    func lostRun() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        for _ in 0..<3 { #expect(try desk.ask("run", "often").status == 0) }
        #expect(try desk.world.qala("archive", "tree").status == 0)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        let before = try desk.world.qala("reconcile", "--json")
        #expect(before.status == 0, "\(before.outputText)")
        #expect(try Self.counts(before)["runs"] == 3)
        #expect(try Self.counts(before)["own"] == 4)

        let register = desk.world.path("state/registers/runs.000000000001.jsonl")
        let lines = try String(contentsOfFile: register, encoding: .utf8).split(separator: "\n")
        try #require(lines.count == 3)
        try (lines.dropLast().joined(separator: "\n") + "\n").write(
            toFile: register, atomically: false, encoding: .utf8)
        let unregistered = try desk.world.qala("reconcile", "--json")
        #expect(unregistered.status == 13)
        #expect(try Self.kinds(unregistered) == ["runNotRegistered"])

        let differences = try #require(try World.object(unregistered)["differences"] as? [[String: Any]])
        let run = try #require(differences.first?["subject"] as? String)
        try FileManager.default.removeItem(atPath: desk.world.path("state/daemon/runs/\(run).json"))
        let lost = try desk.world.qala("reconcile", "--json")
        #expect(lost.status == 13)
        #expect(try Self.kinds(lost) == ["archiveWithoutRun"])
        let shown = try desk.world.qala("reconcile", "--language", "az")
        #expect(shown.outputText.hasPrefix("1 fərq") && shown.outputText.contains("--repair"), "\(shown.outputText)")
        let dry = try desk.world.qala("reconcile", "--repair", "--dry-run", "--json")
        #expect(dry.status == 13)
        #expect((try World.object(dry)["repaired"] as? [String])?.count == 1)
        let repaired = try desk.world.qala("reconcile", "--repair", "--json")
        #expect(repaired.status == 0, "\(repaired.outputText) \(repaired.errorText)")
        let runs = try #require(try World.object(repaired)["repaired"] as? [String])
        try #require(runs.count == 1)
        let row = try World.object(try desk.world.qala("register", "runs", "show", runs[0], "--json"))
        let fields = try #require((row["row"] as? [String: Any])?["fields"] as? [String: String])
        #expect(fields["trigger"] == "reconcile" && fields["state"] == "done" && fields["policy"] == "often")
        #expect(try desk.world.archives().contains(fields["archive"] ?? "?"))
        #expect(try desk.world.qala("reconcile", "--repair", "--json").status == 0, "once")
        #expect(try desk.world.qala("register", "runs", "list").status == 0, "the chain holds")
    }

    @Test("Records that name what no log has, or tell different endings, are told with their places")
    func contradictions() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        #expect(try desk.ask("run", "often").status == 0)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        let archive = try #require(try desk.world.archives().first)
        let other = String(repeating: "ab", count: 32)
        let folder = desk.world.path("state/daemon/runs")
        let file = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
        let record = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
        try record.replacingOccurrences(of: archive, with: other).write(
            toFile: "\(folder)/\(file)", atomically: false, encoding: .utf8)
        try desk.world.write("state/daemon/runs/broken.json", "{")
        let made = try World.object(try desk.world.qala("audit", "show", "--operation", "vault.create", "--json"))
        let entry = try #require((made["entries"] as? [[String: Any]])?.first)
        let vault = try #require((entry["details"] as? [String: String])?["vault-id"])
        let volume = """
            {"list":"","record":{"id":"0011223344556677","title":"t","created":"2026-01-01T00:00:00Z","publicKey":"",
            "fingerprint":"","reverify":"P1Y","verifyBy":"2027-01-01T00:00:00Z","archives":[{"archive":"\(other)",
            "vault":"\(vault)","time":"2026-01-01T00:00:00Z","written":"2026-01-01T00:00:00Z","entries":1,"bytes":1,
            "sealedBytes":1,"parts":1,"listedOnly":0}]}}
            """
        try desk.world.write("state/volumes/0011223344556677.json", volume)
        let found = try desk.world.qala("reconcile", "--json")
        #expect(found.status == 13)
        #expect(
            try Set(Self.kinds(found)) == [
                "runContradicts", "archiveMissing", "runUnreadable", "volumeArchiveMissing",
            ],
            "\(found.outputText)")
        let rows = try #require(try World.object(found)["differences"] as? [[String: Any]])
        let missing = try #require(rows.first { $0["kind"] as? String == "archiveMissing" })
        #expect(missing["subject"] as? String == other)
        #expect((missing["places"] as? [String])?.first?.contains("daemon/runs/") == true)
        #expect((missing["next"] as? [String: [String]])?["az"]?.first?.isEmpty == false)
    }

    @Test("Holds that were released and archives that two persons disposed of are no difference")
    func decisions() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        #expect(try world.qala("reconcile").status == 10)
        try world.write("tree/a.txt", "one\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        for text in ["one\n", "two\n"] {
            try world.write("tree/a.txt", text)
            #expect(try world.qala("archive", "tree").status == 0)
        }
        let first = try #require(try world.archives().first)
        let placed = try World.object(try world.qala("hold", "add", first, "--reason", "case", "--json"))
        let hold = try #require(placed["hold"] as? String)
        #expect(try world.qala("hold", "release", hold, "--reason", "over", "--request", "r.json").status == 0)
        #expect(try world.qala(["hold", "release", "--approve", "r.json"] + World.byKit).status == 0)
        #expect(try world.qala("dispose", first, "--reason", "ended", "--request", "d.json").status == 0)
        let open = try world.qala("reconcile", "--json")
        #expect(open.status == 0, "a request is no disposal: \(open.outputText)")
        #expect(try world.qala(["dispose", "--approve", "d.json"] + World.byKit).status == 0)
        let compared = try world.qala("reconcile", "--json")
        #expect(compared.status == 0, "\(compared.outputText)")
        let counts = try Self.counts(compared)
        #expect(counts["archives"] == 2 && counts["disposed"] == 1 && counts["holds"] == 1 && counts["own"] == 1)
        let acts = try World.object(try world.qala("audit", "show", "--operation", "register.reconcile", "--json"))
        #expect((acts["entries"] as? [Any])?.isEmpty == false)
    }

    @Test("A vault is known by its id: moved it is compared at its new place, and another one at its place is told")
    func identity() throws {
        let desk = try PolicyWorld()
        let world = desk.world
        defer { desk.remove() }
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try desk.apply("the first set").status == 0)
        #expect(try world.qala("run", "policies/config.yaml").status == 0)
        let before = try world.qala("reconcile", "--json")
        #expect(before.status == 0, "\(before.outputText)")
        // A policy that names the old place makes it no missing vault.
        try desk.change("recovery-plan: recovery", "recovery-plan: recovery\nvault: \(world.path("vault"))")
        #expect(try desk.apply("the place of the vault").status == 0)
        try FileManager.default.moveItem(at: world.url("vault"), to: world.url("moved"))
        let moved = try world.qala("reconcile", "--vault", "moved", "--json")
        #expect(moved.status == 0, "\(moved.outputText) \(moved.errorText)")
        #expect(try Self.counts(moved)["own"] == 1)
        let lost = try world.qala("reconcile", "--vault", "nowhere", "--json")
        #expect(lost.status != 0, "\(lost.outputText)")

        #expect(try world.qala("init", "--kit", "second.txt").status == 0)
        let replaced = try world.qala("reconcile", "--json")
        #expect(replaced.status == 13, "\(replaced.outputText)")
        #expect(try Self.kinds(replaced) == ["vaultReplaced"])
        let both = try world.qala("reconcile", "--vault", "moved", "--json")
        #expect(both.status == 0, "both are looked into: \(both.outputText)")
    }
}

@Suite("Texts of the comparison")
struct ReconcileTextTests {
    @Test("Both languages of a text take the same arguments, and neither is empty", arguments: ReconcileText.allCases)
    func catalogue(text: ReconcileText) {
        let (en, az) = text.both
        #expect(!en.isEmpty && !az.isEmpty)
        for mark in ["%1", "%2", "%3"] { #expect(en.contains(mark) == az.contains(mark)) }
    }
}
