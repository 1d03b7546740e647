import Foundation
import Glibc
import TestSupport
import Testing

/// Volumes that were destroyed or lost, by the real binary.
@Suite("Volumes that are gone", .serialized, .enabled(if: qalaBinary != nil))
struct GoneVolumeTests {
    private typealias Desk = DepartureTests.Desk

    private func gone(_ desk: Desk, _ how: String, _ volume: String? = nil, _ more: String...) throws -> Finished {
        try desk.world.qala(["volume", how, volume ?? desk.volume, "--reason", "act 12", "--json"] + more)
    }

    /// What the register of media says of a volume.
    private func media(_ desk: Desk, _ volume: String? = nil) throws -> [String: String] {
        let shown = try desk.world.qala("register", "media", "show", volume ?? desk.volume, "--json")
        let row = try #require(try World.object(shown)["row"] as? [String: Any], "\(shown.errorText)")
        return try #require(row["fields"] as? [String: String])
    }

    private func due(_ desk: Desk, _ archive: String) throws -> [String]? { try desk.row(archive)["due"] as? [String] }

    private func volumes(_ row: [String: Any]) -> [String]? {
        (row["volumes"] as? [[String: Any]])?.compactMap { $0["volume"] as? String }
    }

    /// A second volume with the first archive; not verified.
    private func second(_ desk: Desk) throws -> String {
        let made = try desk.world.qala(
            ["volume", "create", "second", "--shelf", "C-1", "--secret", "second-secret", "--json"] + World.byKit)
        let record = try #require(try World.object(made)["volume"] as? [String: Any], "\(made.errorText)")
        let written = try desk.world.qala(
            ["volume", "write", "second", desk.ids[0], "--secret", "second-secret"] + World.byKit)
        #expect(written.status == 0, "\(written.errorText)")
        return try #require(record["id"] as? String)
    }

    private func verifySecond(_ desk: Desk) throws -> Int32 {
        try desk.world.qala("volume", "verify", "second", "--secret", "second-secret").status
    }

    @Test("The last keeper of what is still to be kept is never called destroyed: 77 names the archive and what to do")
    func lastKeeper() throws {
        let desk = try Desk()
        defer { desk.world.remove() }
        let early = try gone(desk, "destroy", nil, "--dry-run")
        #expect(early.status == 0, "the vault keeps it: \(early.errorText)")
        #expect(try World.object(early)["dryRun"] as? Bool == true)
        #expect(try media(desk)["state"] == "shelf", "a dry run records nothing")
        // What the vault never read back keeps nothing in the stead of a volume.
        try desk.world.write("tree/a.txt", "the third one\n")
        #expect(try desk.world.qala("run", "policies/config.yaml").status == 0)
        let added = ["volume", "write", "disk", "latest", "--secret", "secret"] + World.byKit
        #expect(try desk.world.qala(added).status == 0)
        #expect(try gone(desk, "destroy", nil, "--dry-run").status == 77)
        #expect(try desk.world.qala("verify", "--read-data").status == 0)
        #expect(try gone(desk, "destroy", nil, "--dry-run").status == 0)

        #expect(try desk.verify().status == 0)
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        let before = try media(desk)
        for more in [[], ["--dry-run"]] {
            let refused = try desk.world.qala(["volume", "destroy", desk.volume, "--reason", "act 12"] + more)
            #expect(refused.status == 77, "\(refused.errorText)")
            let parts = [
                desk.volume, String(desk.ids[0].prefix(12)), "qala tiers", "qala verify --read-data",
                "qala volume lost",
            ]
            for part in parts {
                #expect(refused.errorText.contains(part), "\(part): \(refused.errorText)")
            }
        }
        #expect(try media(desk) == before)
        #expect(try desk.row(desk.ids[0])["stage"] as? String == "offline")
        let audit = try desk.world.qala("audit", "show", "--operation", "volume.destroy", "--json")
        #expect(audit.outputText.contains("denied") && audit.outputText.contains("act 12"), "\(audit.outputText)")
    }

    @Test("Another volume counts as a keeper only verified, on its shelf and while nobody works on it")
    func otherKeeper() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        let other = try second(desk)
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        #expect(try gone(desk, "destroy").status == 77, "the other one is not verified")
        #expect(try verifySecond(desk) == 0)
        #expect(try world.qala("volume", "checkout", other, "--to", "Aysel").status == 0)
        #expect(try gone(desk, "destroy").status == 77, "the other one is out")
        #expect(try world.qala("volume", "checkin", other, "--shelf", "C-1").status == 0)
        let lock = open(world.path("state/volumes/\(other).lock"), O_RDWR | O_CLOEXEC)
        try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
        #expect(try gone(desk, "destroy").status == 11, "it may be going itself at this moment")
        close(lock)

        let done = try gone(desk, "destroy")
        #expect(done.status == 0, "\(done.errorText)")
        let row = try desk.row(first)
        #expect(volumes(row) == [other] && row["due"] as? [String] == [], "one volume is demanded: \(row)")
        let found = try world.qala("find", "a.txt", "--all-versions").outputText
        #expect(found.contains(other) && !found.contains(desk.volume), "\(found)")
        let pull = try world.qala("volume", "pull-list", first).outputText
        #expect(pull.contains(other) && !pull.contains(desk.volume), "\(pull)")
        #expect(try gone(desk, "destroy", other).status == 77, "now that one is the last")
        #expect(try desk.reconcile().status == 0)
    }

    @Test("A lost volume is recorded always; what is nowhere else is told by the answer, tiers, restore and reconcile")
    func lost() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        let tried = try gone(desk, "lost", nil, "--dry-run")
        #expect(tried.status == 13, "\(tried.errorText)")
        #expect(try media(desk)["state"] == "shelf", "a dry run records nothing")
        let told = try gone(desk, "lost")
        #expect(told.status == 13, "\(told.errorText)")
        let nowhere = try World.object(told)["nowhere"] as? [[String: Any]]
        #expect(nowhere?.compactMap { $0["archive"] as? String } == [first])
        let audit = try world.qala("audit", "show", "--operation", "volume.lost", "--json")
        #expect(audit.outputText.contains("nowhere") && audit.outputText.contains(first), "\(audit.outputText)")

        let row = try desk.row(first)
        #expect(row["due"] as? [String] == ["findVolume \(desk.volume)"] && volumes(row) == [], "\(row)")
        #expect(row["isKept"] as? Bool == true && row["stage"] as? String == "offline")
        for (language, text) in [("en", "look for volume \(desk.volume)"), ("az", "itirilmiş \(desk.volume)")] {
            let shown = try world.qala("tiers", "--language", language).outputText
            #expect(shown.contains(text), "\(shown)")
        }
        let refused = try world.qala("restore", first, "--to", "back")
        #expect(refused.status == 14 && refused.errorText.contains(desk.volume), "\(refused.errorText)")
        #expect(refused.errorText.contains("lost"), "\(refused.errorText)")
        let found = try world.qala("find", "a.txt", "--all-versions").outputText
        #expect(!found.contains(desk.volume), "\(found)")
        let pull = try world.qala("volume", "pull-list", first)
        #expect(pull.status == 14 && pull.errorText.contains("was lost"), "\(pull.errorText)")
        let compared = try desk.reconcile()
        #expect(compared.status == 13 && compared.kinds == ["departedArchiveLost"], "\(compared)")
        #expect(try gone(desk, "destroy").status == 77, "what is still to be kept may yet be found")
    }

    @Test("A lost volume that is found is checked in, and counts again only after a verification with its secret")
    func found() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        #expect(try gone(desk, "lost").status == 13)
        #expect(try desk.verify().status == 1, "it is checked in first")
        #expect(try world.qala("volume", "checkin", desk.volume, "--shelf", "D-4").status == 0)
        let state = try media(desk)
        #expect(state["state"] == "found" && state["shelf"] == "D-4" && state["overdue"] == "yes", "\(state)")
        #expect(try world.qala("register", "media", "list", "--kind", "found", "--json").outputText.contains("D-4"))
        let export = try world.qala("register", "media", "export", "--format", "csv").outputText
        #expect(export.contains("\(desk.volume),Old,found,D-4,"), "\(export)")
        for (language, word) in [("en", "found, not verified yet"), ("az", "tapılıb, hələ yoxlanılmayıb")] {
            for command in [["register", "media", "list"], ["volume", "list"]] {
                let list = try world.qala(command + ["--language", language]).outputText
                #expect(list.contains(word), "\(list)")
            }
        }
        let wanted = ["verifyVolume \(desk.volume)"]
        #expect(try due(desk, first) == wanted, "it is not trusted yet, and nothing says that it is bad")
        #expect(volumes(try desk.row(first)) == [desk.volume], "but it can be fetched")
        usleep(1_100_000)
        #expect(try world.qala("volume", "verify", "disk").status == 0)
        #expect(try due(desk, first) == wanted, "digests alone prove too little")
        let part = world.url("disk/archives/\(first).tar.zst.enc.000001")
        let sound = try Data(contentsOf: part)
        try (sound + Data([0])).write(to: part)
        #expect(try desk.verify().status == 13)
        #expect(try due(desk, first) == ["writeVolumes 1"], "what was found bad is not looked at once more")
        try sound.write(to: part)
        usleep(1_100_000)
        #expect(try desk.verify().status == 0)
        #expect(try due(desk, first) == [])
        #expect(try media(desk)["state"] == "shelf")
        #expect(try desk.reconcile().status == 0)
        let acts = try #require(try media(desk)["custody"]).split(separator: "\n")
        #expect(acts.contains { $0.contains("lost act 12") } && acts.contains { $0.contains("checkedIn D-4") })
    }

    @Test("Volumes are owed anew: what is in the vault stays there, and nothing more is done with the lost one")
    func owedAnew() throws {
        let desk = try Desk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try due(desk, first) == ["removeCopy primary"])
        #expect(try desk.ask("before.json").status == 0)
        let told = try gone(desk, "lost")
        #expect(told.status == 0, "the vault has it: \(told.errorText)")
        #expect(try due(desk, first) == ["writeVolumes 1"])
        #expect(try desk.ask("after.json").status == 14, "nothing leaves on its word")
        #expect(try desk.approve("before.json").status == 77, "nor on that of before")
        #expect(try world.archives() == desk.ids)

        let state = try media(desk)
        #expect(state["state"] == "lost" && state["shelf"] == nil && state["holder"] == nil && state["verifyBy"] == nil)
        let kind = try world.qala("register", "media", "list", "--kind", "lost", "--json")
        #expect(kind.outputText.contains(desk.volume))
        for (language, word) in [("en", "lost"), ("az", "itirilmişdir")] {
            let list = try world.qala("volume", "list", "--language", language).outputText
            #expect(list.contains(word), "\(list)")
            let row = try world.qala("register", "media", "show", desk.volume, "--language", language).outputText
            #expect(row.contains(word), "\(row)")
        }
        let refusals: [[String]] = [
            ["verify", "disk", "--secret", "secret"],
            ["write", "disk", desk.ids[1], "--secret", "secret"] + World.byKit,
            ["checkout", desk.volume, "--to", "Aysel"],
            ["restore", "disk", first, "--secret", "secret", "--to", "back"],
            ["lost", desk.volume, "--reason", "again"],
        ]
        for arguments in refusals {
            let refused = try world.qala(["volume"] + arguments)
            #expect(refused.status == 1, "\(arguments): \(refused.errorText)")
            for part in ["was lost", "act 12", "qala volume checkin"] {
                #expect(refused.errorText.contains(part), "\(arguments): \(refused.errorText)")
            }
        }
        #expect(!FileManager.default.fileExists(atPath: world.path("back")))
        #expect(try world.qala("volume", "inventory", desk.volume).status == 0, "what it was is still told")
    }

    @Test("A volume on which nothing is kept any more is destroyed, found or lost, and its rows are closed for good")
    func end() throws {
        let desk = try Desk(offline: "12 seconds", shelved: 2)
        let (world, ids) = (desk.world, desk.ids)
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        try world.write("tree/a.txt", "the third one\n")
        #expect(try world.qala("run", "policies/config.yaml").status == 0)
        #expect(try world.qala("verify", "--read-data").status == 0)
        usleep(12_100_000)
        func rows(_ more: String...) throws -> [[String: Any]] {
            let finished = try world.qala(["tiers", "--json"] + more)
            let all = try World.object(finished)["archives"] as? [[String: Any]] ?? []
            return all.filter { ids.contains($0["archive"] as? String ?? "") }
        }
        let row = ["destroyVolume \(desk.volume)"]
        #expect(try rows("--due").map { $0["due"] as? [String] } == [row, row])
        #expect(try gone(desk, "lost").status == 0, "nothing on it is kept any more")
        #expect(try rows("--due").map { $0["due"] as? [String] } == [row, row], "a loss closes nothing")
        let done = try world.qala("volume", "destroy", desk.volume, "--reason", "act 12", "--language", "az")
        #expect(done.status == 0 && done.outputText.contains("məhv edilmişdir"), "\(done.errorText)")
        #expect(try rows().isEmpty)
        let compared = try desk.reconcile()
        #expect(compared.status == 0 && !compared.notices.contains("volumeHoldsDisposed"), "\(compared)")
        #expect(try world.qala("restore", ids[0], "--to", "back").status == 14)

        for arguments in [["destroy", "--reason", "x"], ["lost", "--reason", "x"], ["checkin", "--shelf", "E-1"]] {
            let refused = try world.qala(["volume", arguments[0], desk.volume] + arguments.dropFirst())
            #expect(refused.status == 1 && refused.errorText.contains("was destroyed"), "\(refused.errorText)")
        }
        #expect(try desk.verify().status == 1)
        let acts = try #require(try media(desk)["custody"]).split(separator: "\n")
        #expect(acts.suffix(2).map { $0.contains("lost act 12") || $0.contains("destroyed act 12") } == [true, true])
        // A policy that keeps longer from now on has nothing to keep.
        let path = "policies/config.yaml"
        let text = try String(contentsOf: world.url(path), encoding: .utf8)
        let longer = text.replacingOccurrences(of: "    period: 12 seconds\n", with: "    period: 9 years\n")
        try #require(longer != text)
        try world.write(path, longer)
        let applied = try world.qala(
            ["policy", "apply", "policies", "--author", "archivist", "--reason", "longer"],
            more: ["QALA_SOCKET": world.path("no-daemon")])
        #expect(applied.status == 0, "\(applied.errorText)")
        #expect(try rows().isEmpty)
        #expect(try desk.reconcile().status == 0)
    }

    @Test("A loss of which only the custody log was written is one, and the volume may be found again")
    func interrupted() throws {
        let desk = try Desk()
        defer { desk.world.remove() }
        let record = desk.world.url("state/volumes/\(desk.volume).json")
        let before = try Data(contentsOf: record)
        #expect(try gone(desk, "lost").status == 0)
        try before.write(to: record)
        #expect(try media(desk)["state"] == "lost")
        #expect(try due(desk, desk.ids[0]) == ["writeVolumes 1"])
        #expect(try gone(desk, "lost").status == 1)
        let found = try desk.world.qala("volume", "checkin", desk.volume, "--shelf", "B")
        #expect(found.status == 0, "\(found.errorText)")
        #expect(try media(desk)["state"] == "found")
    }

    @Test("Without its vault a loss is recorded and says what it does not know; nothing is destroyed")
    func noVault() throws {
        let desk = try Desk()
        defer { desk.world.remove() }
        let elsewhere = ["--vault", desk.world.path("elsewhere")]
        let destroyed = try desk.world.qala(["volume", "destroy", desk.volume, "--reason", "x"] + elsewhere)
        #expect(destroyed.status == 10, "\(destroyed.errorText)")
        #expect(try media(desk)["state"] == "shelf")
        let lost = try desk.world.qala(["volume", "lost", desk.volume, "--reason", "x", "--json"] + elsewhere)
        #expect(lost.status == 3, "\(lost.errorText)")
        #expect(try World.object(lost)["unknown"] is String)
        #expect(try media(desk)["state"] == "lost")
    }

    @Test("Bad words are refused and leave nothing: no such volume, an empty reason, control characters, none at all")
    func badWords() throws {
        let volume = try VolumeWorld { world in try world.write("tree/a", "a\n") }
        let world = volume.world
        defer { world.remove() }
        let listed = try World.object(try world.qala("volume", "list", "--json"))
        let row = try #require((listed["volumes"] as? [[String: Any]])?.first?["volume"] as? [String: Any])
        let id = try #require(row["id"] as? String)
        let custody = try Data(contentsOf: world.url("state/volumes/\(id).custody"))
        for how in ["destroy", "lost"] {
            for unknown in ["ffffffffffffffff", "ffff", "..", ""] {
                #expect(try world.qala("volume", how, unknown, "--reason", "x").status == 14, "\(how) \(unknown)")
            }
            for reason in ["", " \t", "two\nlines", String(repeating: "a", count: 201)] {
                let refused = try world.qala("volume", how, id, "--reason", reason)
                #expect(refused.status == 64 && refused.errorText.contains("reason"), "\(refused.errorText)")
            }
            #expect(try world.qala("volume", how, id).status == 64)
        }
        #expect(try Data(contentsOf: world.url("state/volumes/\(id).custody")) == custody)
        // An empty volume keeps nothing from anybody.
        let done = try world.qala("volume", "destroy", String(id.prefix(6)), "--reason", "never used")
        #expect(done.status == 0 && done.outputText.contains(id), "\(done.errorText)")
        #expect(try world.qala("volume", "list", "--overdue", "--json").outputText.contains(id) == false)
    }

    @Test("The daemon raises an alarm for what is on lost volumes only, until the volume is found")
    func alarm() throws {
        let desk = try Desk()
        let world = desk.world
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        #expect(try gone(desk, "lost").status == 13)
        for name in ["policies/people.yaml", "policies/config.yaml"] { chmod(world.path(name), 0o644) }
        chmod(world.path("policies"), 0o755)
        let binary = URL(filePath: try #require(qalaBinary)).deletingLastPathComponent().appending(path: "qalad").path
        func daemon() throws -> RunningProcess {
            try ProcessRunner.start(
                binary,
                [
                    "--policies", world.path("policies"), "--state", world.path("state"), "--vault",
                    world.path("vault"), "--socket", world.path("socket"), "--reserve", "0", "--no-discovery",
                ], environment: ["PATH": "/usr/bin:/bin", "HOME": world.path("."), "SWIFT_BACKTRACE": "enable=no"],
                in: world.folder)
        }
        /// Nil while the daemon does not answer.
        func alarms() throws -> [[String: Any]]? {
            let asked = try world.qala("alarms", "--json", "--socket", world.path("socket"))
            return asked.status == 0 ? try World.object(asked)["alarms"] as? [[String: Any]] : nil
        }
        func wait(_ what: String, _ isSo: ([[String: Any]]) -> Bool) throws {
            let end = ContinuousClock.now + .seconds(60)
            var seen: [[String: Any]]?
            while ContinuousClock.now < end {
                seen = try alarms()
                if let seen, isSo(seen) { return }
                usleep(200_000)
            }
            Issue.record("\(what): \(seen ?? [])")
        }
        func isLoss(_ alarm: [String: Any]) -> Bool { alarm["kind"] as? String == "archivesLost" }
        let first = try daemon()
        defer { first.send(SIGKILL) }
        try wait("the alarm of the loss") { $0.contains(where: isLoss) }
        let loss = try #require(try alarms()?.first(where: isLoss))
        #expect(loss["level"] as? String == "critical", "\(loss)")
        #expect((loss["detail"] as? String)?.contains(desk.volume) == true, "\(loss)")
        first.send(SIGTERM)
        #expect(try first.wait().status == 0)

        #expect(try world.qala("volume", "checkin", desk.volume, "--shelf", "B-12").status == 0)
        // Vault time may be a moment behind the clock.
        usleep(2_100_000)
        let second = try daemon()
        defer { second.send(SIGKILL) }
        // It is there again, and to be verified: that is another alarm.
        try wait("the alarm of the verification") { seen in
            seen.contains { $0["kind"] as? String == "volumeUnverified" } && !seen.contains(where: isLoss)
        }
    }
}
