import Foundation
import Glibc
import TestSupport
import Testing

/// A vault with two archives under a policy whose period online is over in two seconds; the first one is on the volume
/// `disk`, verified.
struct DepartureDesk {
    let world: World
    let ids: [String]
    let volume: String

    init(offline: String = "10 years", retention: String = "2 seconds", shelved: Int = 1) throws {
        world = try World(inMemory: true)
        try world.write("tree/a.txt", "one\n")
        try world.write("policies/people.yaml", "people:\n  archivist: {name: A}\n  deputy-archivist: {name: B}\n")
        let file = Repository.root.appending(path: "Policies/config.yaml")
        var text = try String(contentsOf: file, encoding: .utf8)
        for (from, to) in [
            ("- files: /etc\n", "- files: \(world.path("tree"))\n"),
            ("  - site: standby\n    role: mirror\n    lag: 1 hour\n", ""),
            ("period: 5 years", "period: 2 seconds"),
            ("    period: 10 years\n    after: 90 days\n", "    period: \(offline)\n    on: commit\n"),
            ("keep-for: 5 years\n  last: 10\n  daily: 30\n", "keep-for: \(retention)\n"),
        ] {
            try #require(text.contains(from), "\(from)")
            text = text.replacingOccurrences(of: from, with: to)
        }
        try world.write("policies/config.yaml", text)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let applied = try world.qala(
            ["policy", "apply", "policies", "--author", "archivist", "--reason", "start"],
            more: ["QALA_SOCKET": world.path("no-daemon")])
        #expect(applied.status == 0, "\(applied.errorText)")
        for content in ["one\n", "the second\n"] {
            try world.write("tree/a.txt", content)
            let run = try world.qala("run", "policies/config.yaml")
            #expect(run.status == 0, "\(run.errorText)")
            usleep(1_100_000)
        }
        ids = try world.archives()
        #expect(try world.qala("verify", "--read-data").status == 0)
        let made = try world.qala(
            ["volume", "create", "disk", "--shelf", "B-12", "--title", "Old", "--secret", "secret", "--json"]
                + World.byKit)
        let record = try #require(try World.object(made)["volume"] as? [String: Any], "\(made.errorText)")
        volume = try #require(record["id"] as? String)
        let written = try world.qala(
            ["volume", "write", "disk"] + ids.prefix(shelved) + ["--secret", "secret"] + World.byKit)
        #expect(written.status == 0, "\(written.errorText)")
        #expect(try verify().status == 0)
        usleep(3_100_000)
    }

    func verify() throws -> Finished { try world.qala("volume", "verify", "disk", "--secret", "secret") }

    func rows(_ more: String...) throws -> [[String: Any]] {
        let finished = try world.qala(["tiers", "--json"] + more)
        #expect(finished.status == 0, "\(finished.errorText)")
        return try #require(try World.object(finished)["archives"] as? [[String: Any]])
    }

    func row(_ id: String) throws -> [String: Any] {
        try #require(try rows().first { $0["archive"] as? String == id })
    }

    func ask(_ file: String = "leave.json", _ more: String...) throws -> Finished {
        try world.qala(
            ["dispose", "--online-copies", "--reason", "its period online is over", "--request", file, "--json"]
                + more)
    }

    func approve(_ file: String = "leave.json", _ more: String...) throws -> Finished {
        try world.qala(["dispose", "--approve", file, "--json"] + more + World.byKit)
    }

    func custody() throws -> [String] {
        let text = try String(contentsOf: world.url("state/volumes/\(volume).custody"), encoding: .utf8)
        return text.split(separator: "\n").filter { $0.contains("leftVault") }.map(String.init)
    }

    func reconcile() throws -> (status: Int32, kinds: [String], notices: [String], counts: [String: Int]) {
        let finished = try world.qala("reconcile", "--json")
        let report = try World.object(finished)
        func kinds(_ key: String) -> [String] {
            (report[key] as? [[String: Any]] ?? []).compactMap { $0["kind"] as? String }
        }
        return (
            finished.status, kinds("differences"), kinds("notices"), report["counts"] as? [String: Int] ?? [:]
        )
    }
}

/// Archives that left the vault, in what lists and searches.
@Suite("Offline archives in lists and searches", .serialized, .enabled(if: qalaBinary != nil))
struct OfflineListingTests {
    private func volumes(_ row: [String: Any]) -> [String] {
        (row["volumes"] as? [[String: Any]])?.compactMap { $0["volume"] as? String } ?? []
    }

    private func lists(_ world: World, _ more: String...) throws -> (archives: [String], offline: [[String: Any]]) {
        let reply = try World.object(try world.qala(["archives", "--json"] + more))
        let archives = try #require(reply["archives"] as? [[String: Any]])
        return (archives.compactMap { $0["id"] as? String }, try #require(reply["offline"] as? [[String: Any]]))
    }

    @Test("Archives that all left the vault are listed as offline with volume and shelf, and not as disposed of")
    func listed() throws {
        let desk = try DepartureDesk(shelved: 2)
        let (world, ids) = (desk.world, desk.ids)
        defer { world.remove() }
        #expect(try lists(world).offline.isEmpty)
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        for more in [[], ["--disposed"], ["--policy", "config"]] {
            let reply = try World.object(try world.qala(["archives", "--json"] + more))
            #expect((reply["archives"] as? [Any])?.isEmpty == true, "\(more): \(reply)")
            let rows = try #require(reply["offline"] as? [[String: Any]])
            #expect(rows.map { $0["id"] as? String } == ids, "\(more)")
            #expect(rows.allSatisfy { volumes($0) == [desk.volume] && $0["left"] is String && $0["disposed"] == nil })
        }
        #expect(try lists(world, "--policy", "other").offline.isEmpty)
        let shown = try world.qala("archives").outputText
        #expect(shown.contains("\(desk.volume) (B-12)") && shown.contains("no archive any more"), "\(shown)")
        #expect(!shown.contains("No archives yet"), "\(shown)")
        let disposed = try world.qala("archives", "--disposed", "--language", "az").outputText
        #expect(disposed.contains("məhv edilməyib") && disposed.contains("Oflayn arxivdə"), "\(disposed)")

        // What the register of volumes cannot tell hides nothing of what the vault holds.
        try world.write("state/volumes/\(desk.volume).json", "{")
        try world.write("tree/a.txt", "the third one\n")
        #expect(try world.qala("run", "policies/config.yaml").status == 0)
        let damaged = try world.qala("archives", "--json")
        #expect(damaged.status == 13, "\(damaged.errorText)")
        let reply = try World.object(damaged)
        #expect((reply["archives"] as? [Any])?.count == 1 && reply["offlineProblem"] is String, "\(reply)")
    }

    @Test("Without the register of volumes a search and a restore still tell that an archive is offline, and where")
    func registerLost() throws {
        let desk = try DepartureDesk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        #expect(try world.qala("find", "a.txt", "--all-versions").status == 0)
        try FileManager.default.moveItem(at: world.url("state/volumes"), to: world.url("volumes"))

        let found = try world.qala("find", "a.txt", "--all-versions", "--json")
        #expect(found.status == 3, "\(found.errorText)")
        let lost = try #require(try World.object(found)["unregistered"] as? [String: [String]])
        #expect(lost["archives"] == [first] && lost["volumes"] == [desk.volume])
        let shown = try world.qala("find", "a.txt").outputText
        #expect(shown.contains(desk.volume) && shown.contains("STATE/volumes"), "\(shown)")
        #expect(try world.qala("history", world.path("tree/a.txt")).status == 3)
        let nowhere = try world.qala("history", "/nowhere")
        #expect(nowhere.status == 14 && nowhere.errorText.contains(desk.volume), "\(nowhere.errorText)")
        let restore = try world.qala(["restore", first, "--to", "back"] + World.byKit)
        #expect(restore.status == 14 && restore.errorText.contains(desk.volume), "\(restore.errorText)")
        #expect(restore.errorText.contains("register does not know"), "\(restore.errorText)")
        let row = try #require(try lists(world).offline.first)
        #expect(row["id"] as? String == first && volumes(row) == [desk.volume], "\(row)")

        // A key that opens nothing keeps nobody from what needs none.
        try world.write("wrong", "not the right passphrase\n")
        chmod(world.path("wrong"), 0o600)
        let wrong = ["QALA_PASSPHRASE_FILE": world.path("wrong")]
        #expect(try world.qala(["archives"], more: wrong).status == 0)
        #expect(try world.qala(["find", "a.txt"], more: wrong).status == 0)
    }

    @Test("A plan and a simulation tell of archives that left the vault too, and that they are on volumes")
    func planned() throws {
        let desk = try DepartureDesk()
        let (world, first) = (desk.world, desk.ids[0])
        defer { world.remove() }
        #expect(try desk.ask().status == 0)
        #expect(try desk.approve().status == 0)
        func calendar(_ until: String) throws -> (rows: [[String: Any]], kept: Int?) {
            let reply = try World.object(try world.qala("policy", "simulate", "--until", until, "--json"))
            return (try #require(reply["expiries"] as? [[String: Any]]), reply["kept"] as? Int)
        }
        let decade = try calendar("2100-01-01")
        let row = try #require(decade.rows.first { $0["archive"] as? String == first }, "\(decade)")
        let end = try #require(try desk.row(first)["offlineUntil"] as? String)
        #expect(row["offline"] as? Bool == true && row["expires"] as? String == end, "\(row)")
        let year = Date().addingTimeInterval(365 * 86_400).formatted(.iso8601)
        let soon = try calendar(String(year.prefix(10)))
        #expect(soon.rows.isEmpty && soon.kept == 2, "\(soon)")
        let shown = try world.qala("policy", "simulate", "--until", "2100-01-01").outputText
        #expect(shown.contains("on volumes only"), "\(shown)")

        let path = "policies/config.yaml"
        let text = try String(contentsOf: world.url(path), encoding: .utf8)
        try #require(text.contains("period: 10 years"))
        try world.write(path, text.replacingOccurrences(of: "period: 10 years", with: "period: 5 years"))
        let plan = try World.object(try world.qala("policy", "plan", "policies", "--json"))
        let earlier = try #require(plan["earlier"] as? [[String: Any]])
        let told = try #require(earlier.first { $0["archive"] as? String == first }, "\(plan)")
        #expect(told["offline"] as? Bool == true && told["before"] as? String == end, "\(told)")
    }
}
