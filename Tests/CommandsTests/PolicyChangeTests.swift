import Foundation
import Glibc
import Testing

@testable import Commands

@Suite("Policies put into force", .enabled(if: qalaBinary != nil))
struct PolicyChangeTests {
    @Test("A folder comes into force with author and reason, and history, show and next tell it without a folder")
    func first() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.policy("show").status == 14)
        #expect(try desk.policy("history").status == 0)
        #expect(try desk.apply("start", by: "nobody").status == 77)
        #expect(try desk.apply("start", by: "former").status == 77, "not in office")
        let dry = try desk.policy(
            "apply", "policies", "--author", "archivist", "--reason", "start", "--dry-run", "--json")
        #expect(try !World.object(dry).keys.contains("version"))
        #expect(try desk.world.versions().isEmpty)

        let report = try World.object(try desk.apply("start"))
        #expect(report["outcome"] as? String == "applied" && report["version"] as? Int == 1)
        #expect(report["daemon"] as? String == "none")
        let again = try World.object(try desk.apply("start"))
        #expect(again["outcome"] as? String == "unchanged" && again["version"] as? Int == 1)
        #expect(again["daemon"] as? String == "none", "a daemon that did not hear of it is asked again")
        let row = try #require(try desk.world.versions().first)
        #expect(row["author"] as? String == "archivist" && row["reason"] as? String == "start")
        #expect((row["approvers"] as? [String])?.isEmpty == true && row["firstStart"] as? Bool == false)

        let acts = try World.object(try desk.world.qala("audit", "show", "--operation", "policy.apply", "--json"))
        let entries = try #require(acts["entries"] as? [[String: Any]])
        #expect(
            entries.contains { entry in
                let details = entry["details"] as? [String: String] ?? [:]
                return entry["outcome"] as? String == "done" && details["version"] == "1"
                    && details["result"] == "applied" && details["request-digest"] == report["request"] as? String
            })

        let digest = try #require(row["digest"] as? String)
        let document = try desk.policy("show", "--html").outputText
        #expect(document.contains(digest) && document.contains("Person archivist"))
        #expect(try !desk.policy("show", "policies", "--html").outputText.contains(digest))
        // Between the two a run may become due, once.
        let isSame = try (0..<2).contains { _ in
            let runs = try desk.policy("next", "policies", "--count", "3").output
            return try !runs.isEmpty && desk.policy("next", "--count", "3").output == runs
        }
        #expect(isSame)
        let shown = try desk.policy("history", "--language", "az")
        #expect(shown.outputText.contains("config siyasəti: əlavə olunur"), "\(shown.outputText)")
        // What is kept are the bytes of the documents.
        let kept = try #require(try desk.documents(1).first { $0["name"] == "config.yaml" }?["bytes"])
        let written = try Data(contentsOf: desk.world.url("policies/config.yaml"))
        #expect(Data(base64Encoded: kept) == written)
    }

    @Test(
        "What weakens the archives needs a second person",
        arguments: [
            ("period: 10 years", "period: 9 years", "retentionShortened"),
            ("  - site: standby\n    role: mirror\n    lag: 1 hour\n", "", "copyRemoved"),
            ("confidentiality: confidential", "confidentiality: internal", "confidentialityLowered"),
        ])
    func secondPerson(from: String, to: String, why: String) throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(from, to)
        let plan = try World.object(try desk.policy("plan", "policies", "--json"))
        #expect(plan["needsSecondPerson"] as? Bool == true && plan["inForce"] as? Int == 1)
        let changes = try #require(plan["changes"] as? [[String: Any]])
        let reasons = changes.flatMap { $0["secondPerson"] as? [String] ?? [] }
        #expect(reasons == [why])
        let texts = changes.map { [$0["before"] as? [String: [String]], $0["after"] as? [String: [String]]] }
        #expect(texts.allSatisfy { $0[0] != $0[1] })
        // There is no vault here: the rest is told all the same.
        #expect((plan["missing"] as? [Any])?.count == 1)
        let shown = try desk.policy("plan", "policies")
        #expect(shown.status == 0 && !shown.outputText.contains("disposed of earlier"), "\(shown.outputText)")

        let refused = try desk.apply("weaker")
        #expect(refused.status == 77 && refused.errorText.contains("--request"), "\(refused.errorText)")
        let asked = try World.object(try desk.apply("weaker", request: "change.json"))
        #expect(asked["outcome"] as? String == "requested")
        #expect(try desk.world.versions().count == 1)
        #expect(try desk.policy("approve", "change.json", "--person", "deputy-archivist", "--dry-run").status == 0)
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        let done = try World.object(try desk.carryOut("change.json", "approval.json"))
        #expect(done["version"] as? Int == 2)
        let row = try #require(try desk.world.versions().first)
        #expect(row["author"] as? String == "archivist")
        #expect(row["approvers"] as? [String] == ["deputy-archivist"])
        #expect(try desk.carryOut("change.json", "approval.json").status == 77, "once")
    }

    @Test("The register of policy changes tells when, who, who approved, why, and what changed from what to what")
    func register() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        let empty = try World.object(try desk.world.qala("register", "policy-changes", "list", "--json"))
        #expect((empty["rows"] as? [Any])?.isEmpty == true)
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        #expect(try desk.apply("weaker, \"at last\"", request: "change.json").status == 0)
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        #expect(try desk.carryOut("change.json", "approval.json").status == 0)
        let listed = try World.object(try desk.world.qala("register", "policy-changes", "list", "--json"))
        let rows = (listed["rows"] as? [[String: Any]] ?? []).compactMap { $0["fields"] as? [String: String] }
        #expect(rows.map { $0["number"] ?? "" } == ["2", "1"])
        let row = try #require(rows.first)
        #expect(row["author"] == "archivist" && row["approvers"] == "deputy-archivist" && row["policies"] == "config")
        let changes = try #require(row["changes"])
        #expect(changes.hasPrefix("policy config changed, ") && changes.contains("10 years"), "\(changes)")
        #expect(changes.contains(" → ") && changes.contains("9 years"), "\(changes)")
        #expect(rows.last?["changes"]?.contains("person archivist added") == true)
        let csv = try desk.world.qala("register", "policy-changes", "export", "--format", "csv")
        #expect(csv.outputText.contains("weaker, \"\"at last\"\""), "\(csv.outputText)")
        let others = try World.object(
            try desk.world.qala("register", "policy-changes", "list", "--policy", "log", "--json"))
        #expect((others["rows"] as? [Any])?.isEmpty == true)
        #expect(try desk.world.qala("register", "policy-changes", "show", "1").status == 0)
        #expect(try desk.world.qala("register", "policy-changes", "show", "3").status == 14)
        // A version whose author is another now shows nothing at all.
        let first = desk.world.url("state/policies/00000001.json")
        let text = try String(contentsOf: first, encoding: .utf8)
        try text.replacingOccurrences(of: "\"start\"", with: "\"other\"").write(
            to: first, atomically: true, encoding: .utf8)
        #expect(try desk.world.qala("register", "policy-changes", "list").status == 13)
    }

    @Test("No approval counts but that of another person in office with the own key")
    func approvers() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        #expect(try desk.apply("weaker", request: "change.json").status == 0)
        let own = try desk.approve("change.json", "archivist", to: "a.json")
        #expect(own.status == 77 && own.errorText.contains("cannot approve it"), "\(own.errorText)")
        #expect(try desk.approve("change.json", "former", to: "a.json").status == 77)
        #expect(try desk.approve("change.json", "nobody", key: "former", to: "a.json").status == 77)
        #expect(try desk.approve("change.json", "deputy-archivist", key: "archivist", to: "a.json").status == 77)
        #expect(!FileManager.default.fileExists(atPath: desk.world.path("a.json")))
        // A signature over another request, and one that was tampered with.
        #expect(try desk.apply("weaker too", request: "other.json").status == 0)
        #expect(try desk.approve("other.json", "deputy-archivist", to: "other-approval.json").status == 0)
        #expect(try desk.carryOut("change.json", "other-approval.json").status == 77)
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        let approval = try String(contentsOf: desk.world.url("approval.json"), encoding: .utf8)
        let stolen = approval.replacingOccurrences(of: "deputy-archivist", with: "former")
        try desk.world.write("stolen.json", stolen)
        #expect(try desk.carryOut("change.json", "stolen.json").status == 77)
        try desk.world.write("open.key", try Data(contentsOf: desk.world.url("deputy-archivist.key")))
        chmod(desk.world.path("open.key"), 0o644)
        #expect(try desk.approve("change.json", "deputy-archivist", key: "open", to: "b.json").status == 77)
        #expect(try desk.world.versions().count == 1)
        #expect(try desk.carryOut("change.json", "approval.json").status == 0)
    }

    @Test("Accounts bind authors, and whoever gains power needs the consent of another")
    func accounts() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        let text = try String(contentsOf: desk.world.url("policies/people.yaml"), encoding: .utf8)
        let account = "  archivist:\n    uid: \(geteuid() + 1)\n"
        try desk.world.write(
            "policies/people.yaml", text.replacingOccurrences(of: "  archivist:\n", with: account))
        #expect(try desk.apply("start").status == (geteuid() == 0 ? 0 : 77))
        #expect(try desk.apply("start", by: "deputy-archivist").status == 0)
        let key = try World.object(try desk.policy("key", "--to", "new.key", "--json"))
        let publicKey = try #require(key["publicKey"] as? String)
        #expect(try desk.policy("key", "--to", "new.key").status == 1, "never in place of another file")
        var info = stat()
        let examined = stat(desk.world.path("new.key"), &info)
        #expect(examined == 0 && info.st_mode & 0o777 == 0o600)
        let people = try String(contentsOf: desk.world.url("policies/people.yaml"), encoding: .utf8)
        try desk.world.write("policies/people.yaml", people + "  new:\n    name: New\n    public-key: \(publicKey)\n")
        #expect(try desk.apply("a new approver", by: "deputy-archivist").status == 77)
        #expect(try desk.apply("a new approver", request: "new.json", by: "deputy-archivist").status == 0)
        #expect(try desk.approve("new.json", "new", to: "new-approval.json").status == 77, "not yet in the register")
        #expect(try desk.approve("new.json", "archivist", to: "approval.json").status == 0)
        #expect(try desk.carryOut("new.json", "approval.json").status == 0)
    }

    @Test("A request is carried out once, also after what it was asked on top of came back")
    func once() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        #expect(try desk.apply("weaker", request: "change.json").status == 0)
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        #expect(try desk.carryOut("change.json", "approval.json").status == 0)
        let back = ["apply", "--roll-back", "1", "--author", "deputy-archivist", "--reason", "back"]
        #expect(try desk.policy(back).status == 0)
        let replayed = try desk.carryOut("change.json", "approval.json")
        #expect(replayed.status == 77 && replayed.errorText.contains("already"), "\(replayed.errorText)")
        let dry = ["apply", "--request", "change.json", "--approval", "approval.json", "--dry-run"]
        #expect(try desk.policy(dry).status == 77)
        #expect(try desk.world.versions().count == 3)
    }

    @Test("Nobody asks in another's name and approves it himself: the author signs the request too")
    func authors() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        let request = ["apply", "policies", "--author", "archivist", "--reason", "weaker", "--request", "change.json"]
        let unsigned = try desk.policy(request)
        #expect(unsigned.status == 64 && unsigned.errorText.contains("--signing-key"), "\(unsigned.errorText)")
        let other = try desk.policy(request + ["--signing-key", "deputy-archivist.key"])
        #expect(other.status == 77 && other.errorText.contains("signature of the author"), "\(other.errorText)")
        #expect(!FileManager.default.fileExists(atPath: desk.world.path("change.json")))
        #expect(try desk.policy(request + ["--dry-run"]).status == 0)
        #expect(try desk.policy(request + ["--signing-key", "archivist.key"]).status == 0)
        // The deputy asks as the archivist, with the one signature that the deputy can make.
        let asked = try Data(contentsOf: desk.world.url("change.json"))
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        var forged = try #require(try JSONSerialization.jsonObject(with: asked) as? [String: Any])
        let approval = try Data(contentsOf: desk.world.url("approval.json"))
        let own = try #require(try JSONSerialization.jsonObject(with: approval) as? [String: Any])
        for signature in [own["signature"], String(repeating: "0", count: 128), ""] {
            forged["signature"] = signature
            try desk.world.write("forged.json", try JSONSerialization.data(withJSONObject: forged))
            #expect(try desk.policy("approve", "forged.json", "--person", "deputy-archivist", "--dry-run").status == 77)
            #expect(try desk.carryOut("forged.json", "approval.json").status == 77)
        }
        #expect(try desk.carryOut("change.json", "approval.json").status == 0)
    }

    @Test("What was signed comes into force, whatever became of the folder; a changed request does not")
    func changedAfterwards() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        let signed = try Data(contentsOf: desk.world.url("policies/config.yaml"))
        #expect(try desk.apply("weaker", request: "change.json").status == 0)
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        try desk.change("period: 9 years", "period: 6 years")
        let asked = try Data(contentsOf: desk.world.url("change.json"))
        var request = try #require(try JSONSerialization.jsonObject(with: asked) as? [String: Any])
        var after = try #require(request["after"] as? [[String: String]])
        let at = try #require(after.firstIndex { $0["name"] == "config.yaml" })
        after[at]["bytes"] = try Data(contentsOf: desk.world.url("policies/config.yaml")).base64EncodedString()
        request["after"] = after
        try desk.world.write("forged.json", try JSONSerialization.data(withJSONObject: request))
        #expect(try desk.carryOut("forged.json", "approval.json").status == 77)
        // The furthest year that the C library has.
        request["time"] = 67_768_036_191_676_799
        request["after"] = try (JSONSerialization.jsonObject(with: asked) as? [String: Any])?["after"]
        try desk.world.write("far.json", try JSONSerialization.data(withJSONObject: request))
        let far = try desk.policy("approve", "far.json", "--person", "deputy-archivist", "--dry-run")
        #expect(far.status == 77 && far.errorText.contains("the signature of the author"), "\(far.errorText)")
        request["reason"] = " "
        try desk.world.write("empty.json", try JSONSerialization.data(withJSONObject: request))
        #expect(try desk.carryOut("empty.json", "approval.json").status == 64)

        #expect(try desk.carryOut("change.json", "approval.json").status == 0)
        let kept = try #require(try desk.documents(2).first { $0["name"] == "config.yaml" }?["bytes"])
        #expect(Data(base64Encoded: kept) == signed)
    }

    @Test("A change stands on what is in force: after another one it is refused")
    func baseChanged() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        #expect(try desk.apply("weaker", request: "change.json").status == 0)
        #expect(try desk.approve("change.json", "deputy-archivist", to: "approval.json").status == 0)
        try desk.change(PolicyWorld.shorter.1, PolicyWorld.shorter.0)
        try desk.change(PolicyWorld.harmless.0, PolicyWorld.harmless.1)
        #expect(try desk.apply("harmless").status == 0)
        let refused = try desk.carryOut("change.json", "approval.json")
        #expect(refused.status == 77 && refused.errorText.contains("version 2"), "\(refused.errorText)")
        #expect(try desk.world.versions().count == 2)
    }

    @Test("A roll-back brings back the same bytes, as a change like any other")
    func rollBack() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.harmless.0, PolicyWorld.harmless.1)
        #expect(try desk.apply("level").status == 0)
        let back = ["apply", "--roll-back", "1", "--author", "archivist", "--reason", "level was wrong"]
        #expect(try desk.policy(back).status == 0)
        let kept = try (1...3).map { try desk.documents($0) }
        #expect(kept[2] == kept[0] && kept[2] != kept[1])
        #expect(try desk.world.versions().first?["sameAs"] as? Int == 1)
        try desk.change("period: 10 years", "period: 11 years")
        #expect(try desk.apply("longer").status == 0)
        #expect(try desk.policy(back).status == 77, "it would shorten a period")
        #expect(try desk.policy("apply", "--roll-back", "9", "--author", "archivist", "--reason", "x").status == 14)
    }

    @Test("A register that was changed, or lost a version, is damage for everybody")
    func tampered() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.apply("start").status == 0)
        try desk.change(PolicyWorld.harmless.0, PolicyWorld.harmless.1)
        #expect(try desk.apply("level").status == 0)
        func statuses() throws -> [Int32] {
            try [
                desk.policy("history").status, desk.policy("plan", "policies").status, desk.policy("show").status,
                desk.apply("again").status,
            ]
        }
        #expect(try statuses() == [0, 0, 0, 0])
        for number in [1, 2] {
            let name = "state/policies/0000000\(number).json"
            let whole = try Data(contentsOf: desk.world.url(name))
            let text = String(decoding: whole, as: UTF8.self)
            let forged = text.replacingOccurrences(of: ": \"archivist\"", with: ": \"former\"")
            #expect(forged != text)
            try desk.world.write(name, forged)
            #expect(try statuses() == [13, 13, 13, 13], "version \(number)")
            try FileManager.default.removeItem(at: desk.world.url(name))
            #expect(try statuses() == [13, 13, 13, 13], "without version \(number)")
            try desk.world.write(name, whole)
        }
        // After a crash before the head was written it names the version before, and nothing is lost.
        let head = try Data(contentsOf: desk.world.url("state/policies/head.json"))
        let previous = try #require(try desk.version(2)["previous"] as? String)
        try desk.world.write("state/policies/head.json", "{\"number\":1,\"sha256\":\"\(previous)\"}")
        #expect(try statuses() == [0, 0, 0, 0])
        try desk.world.write("state/policies/head.json", head)
        #expect(try statuses() == [0, 0, 0, 0])
    }

    @Test("A daemon works by a new version at once, also where it finds its alarms wrong")
    func wrongAlarms() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start(["--alarms", desk.world.path("alarms.yaml")])
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.world.write("alarms.yaml", "colour: red\n")
        try desk.writePolicy("often", schedule: "*:*:0/1")
        let applied = try desk.world.qala([
            "policy", "apply", "policies", "--author", "archivist", "--reason", "more often", "--json", "--socket",
            desk.world.path("socket"),
        ])
        let report = try World.object(applied)
        #expect(report["version"] as? Int == 2)
        #expect((report["daemon"] as? String)?.contains("alarms.yaml") == true, "\(applied.outputText)")
        try desk.wait("a run by the new schedule") {
            try desk.runs().contains { $0["trigger"] as? String == "schedule" }
        }
    }

    @Test("An invalid folder is told with all its errors, and changes nothing")
    func invalid() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        try desk.change("rto: 1 hour", "rto: 1 month\ncolour: red")
        for finished in [try desk.policy("plan", "policies"), try desk.apply("start")] {
            #expect(finished.status == 78)
            #expect(finished.errorText.contains("colour") && finished.errorText.contains("rto"))
        }
        #expect(try desk.world.versions().isEmpty)
    }
}
