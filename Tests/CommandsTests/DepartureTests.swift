import Foundation
import Glibc
import TestSupport
import Testing

private let killed: Int32 = 128 + SIGKILL

/// Archives that leave the vault and stay on their volumes, by the real binary.
@Suite("Archives that leave the vault for their volumes", .serialized, .enabled(if: qalaBinary != nil))
struct DepartureTests {
    typealias Desk = DepartureDesk

    private func why(_ row: [String: Any]) -> String {
        ((row["why"] as? [String: [String]])?["en"] ?? []).joined(separator: "\n")
    }

    private func volumes(_ row: [String: Any]) -> [String]? {
        (row["volumes"] as? [[String: Any]])?.compactMap { $0["volume"] as? String }
    }

    @Test("Two persons let the online copy go; the archive stays listed with its volume, is found and comes back")
    func wholeWay() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.row(first)["due"] as? [String] == ["removeCopy primary"])
        #expect(try desk.row(desk.ids[1])["due"] as? [String] == ["writeVolumes 1"])

        let asked = try desk.ask()
        let request = try World.object(asked)
        #expect(request["archives"] as? [String] == [first] && request["volumes"] as? [String] == [desk.volume])
        #expect(try world.qala("dispose", "--approve", "leave.json").status == 77, "one person alone")
        #expect(try desk.custody().isEmpty, "what is refused at once leaves no line")
        let tried = try World.object(try desk.approve("leave.json", "--dry-run"))
        #expect(tried["volumes"] as? [String] == [desk.volume] && tried["reason"] as? String != nil)
        #expect(try world.archives() == desk.ids)
        let done = try desk.approve()
        #expect(done.status == 0, "\(done.errorText)")
        #expect(try world.archives() == [desk.ids[1]])
        #expect(try desk.approve().status == 14, "it has left already")
        #expect(try desk.custody().count == 1)
        #expect(try desk.ask("more.json").status == 14, "nothing else may leave")

        for without in [[], ["QALA_PASSPHRASE_FILE"]] as [Set<String>] {
            let listed = try World.object(try world.qala(["tiers", "--json"], without: without))
            let rows = try #require(listed["archives"] as? [[String: Any]])
            let row = try #require(rows.first { $0["archive"] as? String == first })
            #expect(row["stage"] as? String == "offline" && row["isKept"] as? Bool == true, "\(row)")
            #expect(volumes(row) == [desk.volume] && row["due"] as? [String] == [], "\(row)")
            let end = try #require(row["offlineUntil"] as? String)
            let nearly = Date().addingTimeInterval(3640 * 86_400).formatted(.iso8601)
            #expect(end > nearly && end < Date().addingTimeInterval(3660 * 86_400).formatted(.iso8601), "\(end)")
            #expect(why(row).contains("storage periods") && rows.count == 2, "\(row)")
        }
        let shown = try world.qala("tiers", "--language", "az").outputText
        #expect(shown.contains("oflayn arxiv") && shown.contains("\(desk.volume) (B-12)"), "\(shown)")

        #expect(try world.qala("sweep").status == 0)
        #expect(try desk.row(first)["stage"] as? String == "offline")
        let refused = try world.qala("restore", first, "--to", "back")
        #expect(refused.status == 14 && refused.errorText.contains(desk.volume), "\(refused.errorText)")
        let found = try world.qala("find", "a.txt", "--all-versions")
        #expect(found.outputText.contains("\(desk.volume) (B-12)"), "\(found.outputText)")
        let restored = try world.qala("volume", "restore", "disk", first, "--to", "back", "--secret", "secret")
        #expect(restored.status == (geteuid() == 0 ? 0 : 3), "\(restored.errorText)")
        let back = try String(contentsOfFile: world.path("back") + world.path("tree/a.txt"), encoding: .utf8)
        #expect(back == "one\n")
    }

    @Test("Registers and vault agree about what left; a volume that the register lost is a difference")
    func compared() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        var compared = try desk.reconcile()
        #expect(compared.status == 0 && compared.kinds.isEmpty, "\(compared)")
        #expect(!compared.notices.contains("volumeHoldsDisposed"), "\(compared)")
        #expect(compared.counts["departed"] == 1 && compared.counts["disposed"] == 1)

        // The record alone: the custody log still tells which volume it was.
        let record = world.url("state/volumes/\(desk.volume).json")
        try FileManager.default.moveItem(at: record, to: world.url("record"))
        compared = try desk.reconcile()
        #expect(compared.status == 13, "\(compared)")
        #expect(Set(compared.kinds) == ["departedVolumeMissing", "departedArchiveMissing"], "\(compared)")
        let row = try desk.row(first)
        #expect(row["stage"] as? String == "offline" && volumes(row) == [], "\(row)")
        try FileManager.default.moveItem(at: world.url("record"), to: record)
        #expect(try desk.reconcile().status == 0)

        // All of it: the note in the log, which a key opens, and the audit log tell.
        try FileManager.default.moveItem(at: world.url("state/volumes"), to: world.url("volumes"))
        #expect(try desk.row(first)["stage"] as? String == "offline")
        compared = try desk.reconcile()
        #expect(compared.kinds.contains("departedVolumeMissing"), "\(compared)")
        #expect(compared.kinds.contains("departedArchiveMissing"), "\(compared)")
        let keyless = try world.qala(["reconcile", "--json"], without: ["QALA_PASSPHRASE_FILE"])
        #expect(keyless.outputText.contains("departedVolumeMissing"), "\(keyless.outputText)")
    }

    @Test("What changed between request and approval counts: a volume that fails, a hold, the time, the register")
    func between() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        func refuses(_ because: String) throws {
            let refused = try desk.approve()
            #expect(refused.status == 77, "\(because): \(refused.errorText)")
            #expect(refused.errorText.contains(because), "\(because): \(refused.errorText)")
            #expect(try world.archives() == desk.ids && desk.row(first)["stage"] as? String == "online")
        }
        let part = world.url("disk/archives/\(first).tar.zst.enc.000001")
        let sound = try Data(contentsOf: part)
        var bad = sound
        bad[bad.count / 2] ^= 1
        try bad.write(to: part)
        usleep(1_100_000)
        #expect(try desk.verify().status == 13)
        try refuses("not verified")
        #expect(try desk.approve("leave.json", "--dry-run").status == 77)
        try sound.write(to: part)
        usleep(1_100_000)
        #expect(try desk.verify().status == 0)

        let placed = try world.qala("hold", "add", first, "--reason", "case", "--json")
        let hold = try #require(try World.object(placed)["hold"] as? String)
        try refuses("hold")
        #expect(try desk.ask("held.json").status == 14, "a hold keeps the online copy too")
        #expect(try world.qala("hold", "release", hold, "--reason", "over", "--request", "release.json").status == 0)
        #expect(try world.qala(["hold", "release", "--approve", "release.json"] + World.byKit).status == 0)

        let clock = try Data(contentsOf: world.url("state/clock.json"))
        var jumped = try #require(try JSONSerialization.jsonObject(with: clock) as? [String: Any])
        jumped["bootID"] = "another"
        jumped["wall"] = try #require(jumped["wall"] as? Int) - 3650 * 86_400
        try JSONSerialization.data(withJSONObject: jumped).write(to: world.url("state/clock.json"))
        try refuses("vault time is not trusted")
        #expect(try desk.ask("frozen.json").status == 77)
        try clock.write(to: world.url("state/clock.json"))

        let record = world.url("state/volumes/\(desk.volume).json")
        try FileManager.default.moveItem(at: record, to: world.url("record"))
        try refuses("is not in the register")
        try FileManager.default.moveItem(at: world.url("record"), to: record)
        #expect(try desk.custody().isEmpty)

        // What was forged asks for something else than what was signed.
        let text = try String(contentsOf: world.url("leave.json"), encoding: .utf8)
        try world.write("forged.json", text.replacing(first, with: desk.ids[1]))
        #expect(try desk.approve("forged.json").status == 77)
        #expect(try desk.approve().status == 0, "all is as it was asked for again")
        #expect(try desk.row(first)["stage"] as? String == "offline")
    }

    @Test("Nothing leaves on the word of a volume whose verification is overdue")
    func overdue() throws {
        let desk = try Desk()
        defer { desk.world.remove() }
        let path = desk.world.url("state/volumes/\(desk.volume).json")
        var stored = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any])
        var record = try #require(stored["record"] as? [String: Any])
        record["verifyBy"] = "2020-01-01T00:00:00Z"
        stored["record"] = record
        stored["digest"] = nil
        try JSONSerialization.data(withJSONObject: stored).write(to: path)
        #expect(try desk.row(desk.ids[0])["due"] as? [String] == ["verifyVolume \(desk.volume)"])
        #expect(try desk.ask().status == 14)
        #expect(try desk.verify().status == 0)
        #expect(try desk.ask().status == 0)
    }

    @Test("Killed at any call the archive is in the vault, or it is on its volume and listed so")
    func everyCall() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        let shim = try KillShim.build(in: world.folder)
        #expect(try desk.ask().status == 0)
        let approval = ["dispose", "--approve", "leave.json"] + World.byKit
        var call = 1
        var wasKilledAfter = false
        while call < 2000 {
            let run = try world.qala(approval, shim: shim, killedAt: call)
            let isThere = try world.archives().contains(first)
            let row = try desk.row(first)
            #expect(row["stage"] as? String == (isThere ? "online" : "offline"), "call \(call): \(row)")
            if !isThere { #expect(volumes(row) == [desk.volume], "call \(call): \(row)") }
            if run.status != killed {
                #expect(run.status == 0, "\(run.errorText)")
                break
            }
            if !isThere {
                wasKilledAfter = true
                break
            }
            call += 1
        }
        print("calls killed: \(call), after the record: \(wasKilledAfter)")
        #expect(call > 10 && call < 2000)
        #expect(try !world.archives().contains(first))
        // Whatever a killed sweep left, the next one goes on with, and the row stays.
        #expect(try world.qala("sweep").status == 0)
        #expect(try desk.row(first)["stage"] as? String == "offline")
        #expect(try desk.reconcile().status == 0)
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
    }

    @Test("When the period on the volume is over the archive is shown as expired, and destroying it is people's work")
    func expiry() throws {
        let desk = try Desk(offline: "12 seconds", shelved: 2)
        let (world, ids) = (desk.world, desk.ids)
        defer { world.remove() }
        let asked = try desk.ask()
        #expect(try World.object(asked)["archives"] as? [String] == ids, "\(asked.errorText)")
        #expect(try desk.approve().status == 0)
        usleep(12_100_000)
        // The newest stays, and with it the volume.
        var seen = try desk.rows()
        #expect(seen.map { $0["isKept"] as? Bool } == [false, true], "\(seen)")
        #expect(seen[0]["expiredSince"] is String && seen[0]["due"] as? [String] == ["awaitVolume \(desk.volume)"])
        #expect(why(seen[1]).contains("newest"), "\(seen[1])")
        // A newer archive in the vault takes its place.
        try world.write("tree/a.txt", "the third one\n")
        #expect(try world.qala("run", "policies/config.yaml").status == 0)
        #expect(try world.qala("verify", "--read-data").status == 0)
        seen = try desk.rows("--due")
        let due = seen.filter { ids.contains($0["archive"] as? String ?? "") }.map { $0["due"] as? [String] }
        #expect(due == [["destroyVolume \(desk.volume)"], ["destroyVolume \(desk.volume)"]], "\(seen)")
        let shown = try world.qala("tiers").outputText
        #expect(shown.contains("people may destroy volume \(desk.volume)"), "\(shown)")
        // There is nothing left in the vault to dispose of.
        let nothing = try world.qala("dispose", "--expired", "--reason", "ended", "--request", "none.json")
        #expect(nothing.status == 14, "\(nothing.errorText)")
    }

    @Test("What a policy in force keeps is disposed of by name only where both persons say so, and never under a hold")
    func beforePeriod() throws {
        let desk = try Desk(retention: "5 years")
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        let plain = ["dispose", first, "--reason", "space", "--json"]
        let refused = try world.qala(plain + ["--request", "a.json"])
        #expect(refused.status == 77, "\(refused.errorText)")
        for part in ["kept because", "until", "config", "--before-period"] {
            #expect(refused.errorText.contains(part), "\(part): \(refused.errorText)")
        }
        #expect(!FileManager.default.fileExists(atPath: world.path("a.json")))
        for wrong in [["--expired"], ["--online-copies"]] {
            let options = ["dispose", "--before-period", "--reason", "x", "--request", "b.json"] + wrong
            #expect(try world.qala(options).status == 64)
        }
        let both = ["dispose", "--expired", "--online-copies", "--reason", "x", "--request", "b.json"]
        #expect(try world.qala(both).status == 64)

        let placed = try world.qala("hold", "add", first, "--reason", "case", "--json")
        let hold = try #require(try World.object(placed)["hold"] as? String)
        let held = try world.qala(plain + ["--before-period", "--request", "c.json"])
        #expect(held.status == 77 && held.errorText.contains("hold"), "\(held.errorText)")
        #expect(try world.qala("hold", "release", hold, "--reason", "over", "--request", "release.json").status == 0)
        #expect(try world.qala(["hold", "release", "--approve", "release.json"] + World.byKit).status == 0)

        let asked = try world.qala(plain + ["--before-period", "--request", "d.json"])
        #expect(try World.object(asked)["beforePeriod"] as? Bool == true, "\(asked.errorText)")
        let shown = try world.qala(["dispose", "--approve", "d.json", "--dry-run"] + World.byKit)
        #expect(shown.outputText.contains("Before the end of the period"), "\(shown.outputText)")
        #expect(try desk.approve("d.json").status == 0)
        #expect(try world.archives() == [desk.ids[1]])
        // It was disposed of altogether: what lies on the volume is residue, and no offline archive.
        #expect(try desk.rows().map { $0["archive"] as? String } == [desk.ids[1]])
        #expect(try desk.reconcile().notices.contains("volumeHoldsDisposed"))
    }

    @Test("A policy that keeps an archive again between request and approval is obeyed")
    func policyChanged() throws {
        let desk = try Desk(offline: "2 seconds", retention: "1 second")
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        let asked = try world.qala("dispose", first, "--reason", "ended", "--request", "r.json")
        #expect(asked.status == 0, "\(asked.errorText)")
        let path = "policies/config.yaml"
        let text = try String(contentsOf: world.url(path), encoding: .utf8)
        let longer = text.replacingOccurrences(
            of: "    period: 2 seconds\n    on: commit\n\n", with: "    period: 9 years\n    on: commit\n\n")
        try #require(longer != text, "\(text)")
        try world.write(path, longer)
        let applied = try world.qala(
            ["policy", "apply", "policies", "--author", "archivist", "--reason", "longer"],
            more: ["QALA_SOCKET": world.path("no-daemon")])
        #expect(applied.status == 0, "\(applied.errorText)")
        let refused = try desk.approve("r.json")
        #expect(refused.status == 77 && refused.errorText.contains("kept because"), "\(refused.errorText)")
        #expect(try world.archives() == desk.ids)
    }
}
