import Foundation
import Glibc
import Testing

/// Tiers and expiry by the real binary.
@Suite("Tiers of the real binary", .serialized, .enabled(if: qalaBinary != nil))
struct TierTests {
    /// A vault of two persons with a policy in force that keeps each archive for a moment, on a volume too if so asked.
    private func world(onVolume: Bool = false) throws -> World {
        let world = try World(inMemory: true)
        try world.write("tree/a.txt", "one\n")
        try world.write("policies/people.yaml", "people:\n  archivist: {name: A}\n  deputy-archivist: {name: B}\n")
        let file = Repository.root.appending(path: "Policies/config.yaml")
        var text = try String(contentsOf: file, encoding: .utf8)
        func replace(_ from: String, _ to: String) throws {
            try #require(text.contains(from), "\(from)")
            text = text.replacingOccurrences(of: from, with: to)
        }
        try replace("- files: /etc\n", "- files: \(world.path("tree"))\n")
        try replace("  - site: standby\n    role: mirror\n    lag: 1 hour\n", "")
        try replace("period: 5 years", "period: 2 seconds")
        if onVolume {
            try replace("    period: 10 years\n    after: 90 days\n", "    period: 2 seconds\n    on: commit\n")
        } else {
            try replace("  - site: shelf\n    role: volume\n    count: 1\n", "")
            let start = try #require(text.range(of: "  offline:\n"))
            let end = try #require(text.range(of: "    after: 90 days\n"))
            text.replaceSubrange(
                start.lowerBound..<end.upperBound,
                with: "  offline:\n    unused: what expires at once needs no shelf\n")
        }
        try replace("keep-for: 5 years\n  last: 10\n  daily: 30\n", "keep-for: 1 second\n")
        try world.write("policies/config.yaml", text)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let applied = try world.qala(
            ["policy", "apply", "policies", "--author", "archivist", "--reason", "start"],
            more: ["QALA_SOCKET": world.path("no-daemon")])
        #expect(applied.status == 0, "\(applied.errorText)")
        for content in ["one\n", "two\n"] {
            try world.write("tree/a.txt", content)
            let run = try world.qala("run", "policies/config.yaml")
            #expect(run.status == 0, "\(run.errorText)")
            usleep(1_100_000)
        }
        return world
    }

    private func rows(_ world: World, _ more: String...) throws -> [[String: Any]] {
        let finished = try world.qala(["tiers", "--json"] + more)
        #expect(finished.status == 0, "\(finished.errorText)")
        return try #require(try World.object(finished)["archives"] as? [[String: Any]])
    }

    private func why(_ row: [String: Any]?) -> String {
        ((row?["why"] as? [String: [String]])?["en"] ?? []).joined(separator: "\n")
    }

    @Test(
        "An archive expires when its tier has served, its period is over and no hold covers it; two persons dispose of it"
    )
    func wholeWay() throws {
        let world = try world()
        defer { world.remove() }
        let ids = try world.archives()
        try #require(ids.count == 2)
        // Nothing was read back yet: the tier is owed.
        var seen = try rows(world)
        #expect(seen.map { $0["archive"] as? String } == ids)
        #expect(seen.allSatisfy { $0["isKept"] as? Bool == true && $0["due"] as? [String] == ["verify primary"] })
        #expect(why(seen.first).contains("has not reached the online archive"), "\(seen)")
        let early = try world.qala("dispose", "--expired", "--reason", "ended", "--request", "early.json")
        #expect(early.status == 14, "\(early.errorText)")

        #expect(try world.qala("verify", "--read-data").status == 0)
        usleep(3_100_000)
        seen = try rows(world)
        #expect(seen.first?["isKept"] as? Bool == false && seen.first?["expiredSince"] is String, "\(seen)")
        #expect(seen.last?["isKept"] as? Bool == true && why(seen.last).contains("newest"), "\(seen)")
        #expect(try rows(world, "--due").count == 1)
        // Periods run from the first verification: the ones that follow must not keep anything for ever.
        #expect(try world.qala("verify", "--read-data").status == 0)
        #expect(try rows(world).first?["isKept"] as? Bool == false)

        let placed = try world.qala("hold", "add", ids[0], "--reason", "case", "--json")
        let hold = try #require(try World.object(placed)["hold"] as? String)
        #expect(why(try rows(world).first).contains("hold"))
        let held = try world.qala("dispose", "--expired", "--reason", "ended", "--request", "held.json")
        #expect(held.status == 14 && !FileManager.default.fileExists(atPath: world.path("held.json")))
        #expect(try world.qala("hold", "release", hold, "--reason", "over", "--request", "release.json").status == 0)
        #expect(try world.qala(["hold", "release", "--approve", "release.json"] + World.byKit).status == 0)

        let asked = try world.qala("dispose", "--expired", "--reason", "ended", "--request", "r.json", "--json")
        #expect(try World.object(asked)["archives"] as? [String] == [ids[0]], "\(asked.errorText)")
        #expect(try world.qala("dispose", "--approve", "r.json").status == 77, "one person alone")
        #expect(try world.qala(["dispose", "--approve", "r.json"] + World.byKit).status == 0)
        #expect(try rows(world).map { $0["archive"] as? String } == [ids[1]])
        let shown = try world.qala("tiers", "--language", "az")
        #expect(shown.status == 0 && shown.outputText.contains("ən yeni tam arxividir"), "\(shown.outputText)")
    }

    @Test("A later verification of a volume does not prolong the period that began with the first one")
    func volumePeriod() throws {
        let world = try world(onVolume: true)
        defer { world.remove() }
        let id = try #require(try world.archives().first)
        #expect(try world.qala("verify", "--read-data").status == 0)
        #expect(try rows(world).first?["due"] as? [String] == ["writeVolumes 1"])
        #expect(try world.qala("volume", "create", "disk", "--shelf", "B", "--secret", "secret").status == 0)
        #expect(try world.qala("volume", "write", "disk", id, "--secret", "secret").status == 0)
        func verify() throws { #expect(try world.qala("volume", "verify", "disk", "--secret", "secret").status == 0) }
        // Digests alone prove no content: the tier is owed as before.
        #expect(try world.qala("volume", "verify", "disk").status == 0)
        usleep(1_100_000)
        #expect(why(try rows(world).first).contains("has not reached the offline archive"))
        try verify()
        usleep(3_100_000)
        #expect(try rows(world).first?["isKept"] as? Bool == false)
        try verify()
        #expect(try rows(world).first?["isKept"] as? Bool == false)
    }

    @Test("While vault time is not trusted nothing expires")
    func frozen() throws {
        let world = try world()
        defer { world.remove() }
        #expect(try world.qala("verify", "--read-data").status == 0)
        usleep(3_100_000)
        #expect(try rows(world).first?["isKept"] as? Bool == false)
        // As after ten years in which the machine was off.
        let file = try String(contentsOf: world.url("state/clock.json"), encoding: .utf8)
        var clock = try #require(try JSONSerialization.jsonObject(with: Data(file.utf8)) as? [String: Any])
        clock["bootID"] = "another"
        clock["wall"] = try #require(clock["wall"] as? Int) - 3650 * 86_400
        try JSONSerialization.data(withJSONObject: clock).write(to: world.url("state/clock.json"))
        let report = try World.object(try world.qala("tiers", "--json"))
        #expect(report["isTimeTrusted"] as? Bool == false)
        #expect((report["archives"] as? [[String: Any]])?.allSatisfy { $0["isKept"] as? Bool == true } == true)
        let refused = try world.qala("dispose", "--expired", "--reason", "ended", "--request", "r.json")
        #expect(refused.status == 77, "\(refused.errorText)")
        try world.write("state/clock.json", "{")
        #expect(try world.qala("tiers").status == 13)
    }

    @Test("Without policies in force nothing is judged")
    func nothingInForce() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        try world.write("tree/a.txt", "one\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        #expect(try world.qala("tiers").status == 14)
    }
}
