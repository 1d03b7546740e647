import Foundation
import Testing

/// Disposal, holds and the sweep by the real binary.
@Suite("Disposal and sweep by the real binary", .enabled(if: qalaBinary != nil))
struct SweepCommandTests {
    /// A vault with two archives that share nothing.
    private func world() throws -> (world: World, ids: [String]) {
        let world = try World()
        var generator = SeededGenerator(seed: 5)
        for name in ["old", "new"] {
            let words = (0..<200_000).map { _ in generator.next() }
            try world.write("\(name)/file", words.withUnsafeBytes { Data($0) })
            if name == "old" { #expect(try world.qala("init", "--kit", "kit.txt").status == 0) }
            #expect(try world.qala("archive", name).status == 0)
        }
        return (world, try world.archives())
    }

    private func packBytes(_ world: World) throws -> Int {
        try #require(try World.object(try world.qala("vault", "stats", "--json"))["packBytes"] as? Int)
    }

    @Test("Two persons dispose of an archive, the sweep frees its space, and the other one comes back")
    func dispose() throws {
        let (world, ids) = try world()
        defer { world.remove() }
        let before = try packBytes(world)
        #expect(try world.qala("sweep", "--json").status == 0)
        #expect(try packBytes(world) == before)

        let asked = try world.qala("dispose", ids[0], "--reason", "ended", "--request", "r.json", "--json")
        #expect(asked.status == 0)
        #expect(try world.archives() == ids)
        #expect(try world.qala("dispose", "--approve", "r.json").status == 77)
        let tried = try world.qala(["dispose", "--approve", "r.json", "--dry-run", "--json"] + World.byKit)
        #expect(try World.object(tried)["reason"] as? String == "ended")
        #expect(try world.archives() == ids)
        // A dry run shows nothing of a request that would be refused, whatever in it was changed.
        let signed = try Data(contentsOf: world.url("r.json"))
        let request = try #require(try JSONSerialization.jsonObject(with: signed) as? [String: Any])
        for (field, value) in [("signature", ""), ("note", String(repeating: "0", count: 64))] {
            var forged = request
            forged[field] = value
            try world.write("forged.json", try JSONSerialization.data(withJSONObject: forged))
            for more in [["--dry-run"], []] {
                let refused = try world.qala(["dispose", "--approve", "forged.json"] + more + World.byKit)
                #expect(refused.status == 77, "\(field) \(more): \(refused.status) \(refused.errorText)")
            }
        }
        #expect(try world.qala(["dispose", "--approve", "r.json"] + World.byKit).status == 0)
        #expect(try world.qala(["dispose", "--approve", "r.json"] + World.byKit).status == 14)

        #expect(try world.archives() == [ids[1]])
        #expect(try world.qala("ls", ids[0]).status == 14)
        let stubs = try World.object(try world.qala("archives", "--disposed", "--json"))["archives"] as? [[String: Any]]
        #expect(stubs?.count == 1 && stubs?.first?["disposed"] is String)
        let search = try world.qala("find", "file", "--all-versions", "--json")
        #expect((try World.object(search)["found"] as? [Any])?.count == 1)

        let plan = try World.object(try world.qala("sweep", "--dry-run", "--json"))
        #expect((plan["condemnedBytes"] as? Int ?? 0) > 1_500_000 && plan["deletedPacks"] as? Int == 0)
        #expect(try packBytes(world) == before)
        let swept = try World.object(try world.qala("sweep", "--json"))
        #expect((swept["deletedBytes"] as? Int ?? 0) > 1_500_000 && (swept["waiting"] as? [Any])?.isEmpty == true)
        #expect(try packBytes(world) < before - 1_500_000)
        #expect(try world.qala("verify", "--read-data").status == 0)
        #expect(try world.qala("restore", "latest", "--to", "back").status == 0)
        #expect(
            FileManager.default.contentsEqual(
                atPath: world.path("new/file"), andPath: world.path("back") + world.path("new/file")))
        // The source of the disposed archive is archived anew, not built upon what is gone.
        #expect(try world.qala("archive", "old").status == 0)
        #expect(try world.qala("verify", "--read-data").status == 0)
    }

    @Test("A hold forbids disposal until two persons release it")
    func hold() throws {
        let (world, ids) = try world()
        defer { world.remove() }
        let placed = try world.qala("hold", "add", "--all", "--reason", "incident", "--basis", "order 7", "--json")
        let hold = try #require(try World.object(placed)["hold"] as? String)
        let refused = try world.qala("dispose", ids[0], "--reason", "ended", "--request", "r.json")
        #expect(refused.status == 77 && refused.errorText.contains("hold"))
        #expect(!FileManager.default.fileExists(atPath: world.path("r.json")))
        let rows = try World.object(try world.qala("hold", "list", "--json"))["holds"] as? [[String: Any]]
        #expect(rows?.first?["reason"] as? String == "incident" && rows?.first?["basis"] as? String == "order 7")
        let unread = try world.qala(["hold", "list", "--json"], without: ["QALA_PASSPHRASE_FILE"])
        #expect((try World.object(unread)["holds"] as? [[String: Any]])?.first?["reason"] == nil)

        #expect(try world.qala("hold", "release", hold, "--reason", "over", "--request", "r.json").status == 0)
        #expect(try world.qala("hold", "release", "--approve", "r.json").status == 77)
        // What was signed is what is done, and nothing else.
        let request = try String(contentsOf: world.url("r.json"), encoding: .utf8)
        try world.write(
            "forged.json", request.replacing("\"release\"", with: "\"dispose\"").replacing(hold, with: ids[0]))
        #expect(try world.qala(["dispose", "--approve", "forged.json"] + World.byKit).status == 77)
        #expect(try world.qala(["dispose", "--approve", "r.json"] + World.byKit).status == 64)
        #expect(try world.qala(["hold", "release", "--approve", "r.json"] + World.byKit).status == 0)
        #expect(try world.qala(["hold", "release", "--approve", "r.json"] + World.byKit).status == 14)
        #expect(try world.qala("dispose", ids[0], "--reason", "ended", "--request", "d.json").status == 0)
        #expect(try world.qala(["dispose", "--approve", "d.json"] + World.byKit).status == 0)
    }

    @Test("Bad requests say what to do and change nothing")
    func badInput() throws {
        let (world, ids) = try world()
        defer { world.remove() }
        try world.write("empty.json", "")
        try world.write("odd.json", "{\"request\":\"dispose\",\"vault\":\"zz\",\"subjects\":[]}")
        for file in ["empty.json", "odd.json"] {
            #expect(try world.qala(["dispose", "--approve", file] + World.byKit).status == 64)
        }
        #expect(try world.qala(["dispose", "--approve", "absent.json"] + World.byKit).status == 14)
        #expect(try world.qala("dispose", ids[0], "--request", "r.json").status == 64)
        #expect(try world.qala("dispose", "--reason", "x", "--request", "r.json").status == 64)
        #expect(try world.qala("dispose", ids[0], "--reason", "  ", "--request", "r.json").status == 64)
        #expect(try world.qala("dispose", "ffffffff", "--reason", "x", "--request", "r.json").status == 14)
        #expect(try world.qala("hold", "add", "--reason", "x").status == 64)
        #expect(try world.qala("hold", "release", "0000", "--reason", "x", "--request", "r.json").status == 14)
        #expect(try world.qala("sweep", "--fence", "0000").status == 14)
        #expect(try world.qala(["sweep"], without: ["QALA_PASSPHRASE_FILE"]).status != 0)
        #expect(try world.archives() == ids)
    }
}
