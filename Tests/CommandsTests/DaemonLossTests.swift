import Foundation
import Glibc
import Testing

/// What becomes of a daemon whose state is gone, with its vault and keys still there.
@Suite("A daemon whose state was lost", .serialized, .enabled(if: qalaBinary != nil))
struct DaemonLossTests {
    private static func desk() throws -> DaemonWorld {
        let desk = try DaemonWorld(schedule: nil)
        try desk.world.write(
            "alarms.yaml", "language: az\nchannels:\n  none: {kind: command, command: [/bin/true]}\n")
        return desk
    }

    private static func start(_ desk: DaemonWorld) throws -> RunningProcess {
        let daemon = try desk.start(["--alarms", desk.world.path("alarms.yaml")])
        try desk.waitUntilUp()
        return daemon
    }

    private static func stop(_ daemon: RunningProcess) throws {
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
    }

    private static func rows(_ finished: Finished, _ key: String) throws -> [[String: Any]] {
        try #require(try World.object(finished)[key] as? [[String: Any]], "\(finished.errorText)")
    }

    private static func lossAlarms(_ desk: DaemonWorld) throws -> [[String: Any]] {
        let alarms = try #require(try desk.json("alarms")["alarms"] as? [[String: Any]])
        return alarms.filter { $0["kind"] as? String == "stateDamaged" && $0["subject"] as? String == "daemon" }
    }

    @Test(
        "It has its runs again from its register and the vault, tells what cannot come back, and nothing is told twice",
        arguments: [["daemon", "registers"], ["daemon"], ["registers"]])
    func restored(lost: [String]) throws {
        let desk = try Self.desk()
        defer { desk.remove() }
        let first = try Self.start(desk)
        defer { first.send(SIGKILL) }
        for _ in 0..<3 { #expect(try desk.ask("run", "often").status == 0) }
        try #require(rename(desk.world.path("tree"), desk.world.path("gone")) == 0)
        #expect(try desk.ask("run", "often").status == 1)
        try #require(rename(desk.world.path("gone"), desk.world.path("tree")) == 0)
        #expect(try Self.lossAlarms(desk).isEmpty, "a first start has lost nothing")
        try Self.stop(first)
        for name in lost { try FileManager.default.removeItem(at: desk.world.url("state/\(name)")) }

        let second = try Self.start(desk)
        defer { second.send(SIGKILL) }
        // A run that made no archive is known by its record or its line, not by the vault.
        let count = lost.count == 2 ? 3 : 4
        try desk.wait("the runs") { try desk.runs().count == count && !Self.lossAlarms(desk).isEmpty }
        let told = try #require(try Self.lossAlarms(desk).first?["detail"] as? String)
        #expect(told.contains("itirilib"), "\(told)")
        func problems() throws -> [[String: String]] {
            try Self.rows(try desk.world.qala("register", "problems", "list", "--open", "--json"), "rows")
                .compactMap { $0["fields"] as? [String: String] }
        }
        try desk.wait("the problem") { try problems().contains { $0["kind"] == "damage" && $0["policy"] == nil } }
        // What had failed only the register tells.
        if lost == ["daemon"] {
            try desk.wait("what had failed") { try problems().contains { $0["kind"] == "failed" } }
        }
        let registered = try Self.rows(try desk.world.qala("register", "runs", "list", "--json"), "rows")
        #expect(registered.count == count)
        let compared = try desk.world.qala("reconcile", "--json")
        #expect(compared.status == 0, "\(compared.outputText)")
        var entries: [[String: Any]] = []
        try desk.wait("the entry in the audit log") {
            let audit = try desk.world.qala("audit", "show", "--operation", "state.restore", "--json")
            entries = try Self.rows(audit, "entries")
            return !entries.isEmpty
        }
        #expect(entries.count == 1)
        #expect((entries.first?["details"] as? [String: String])?["runs"] == (lost.count == 2 ? "3" : "0"))
        if lost.count == 2 {
            #expect(try desk.runs().allSatisfy { $0["trigger"] as? String == "reconcile" })
            #expect(told.contains("icralar: 3"), "\(told)")
        }
        try Self.stop(second)

        let third = try Self.start(desk)
        defer { third.send(SIGKILL) }
        #expect(try desk.runs().count == count)
        try desk.wait("the end of the alarm") { try Self.lossAlarms(desk).isEmpty }
        #expect(try Self.rows(try desk.world.qala("register", "runs", "list", "--json"), "rows").count == count)
        try Self.stop(third)
    }

    private static func policyAlarm(_ desk: DaemonWorld) throws -> String? {
        let alarms = try #require(try desk.json("alarms")["alarms"] as? [[String: Any]])
        let own = alarms.first { $0["kind"] as? String == "stateDamaged" && $0["subject"] as? String == "policies" }
        return own?["detail"] as? String
    }

    @Test("A folder that is applied after the applied versions were lost is told as such, by the audit log")
    func firstAgain() throws {
        let desk = try Self.desk()
        defer { desk.remove() }
        let first = try Self.start(desk)
        defer { first.send(SIGKILL) }
        #expect(try desk.ask("run", "often").status == 0)
        #expect(try Self.policyAlarm(desk) == nil, "at a first start there was nothing before")
        try Self.stop(first)
        try FileManager.default.removeItem(at: desk.world.url("state/policies"))
        let second = try Self.start(desk)
        defer { second.send(SIGKILL) }
        try desk.wait("the alarm") { try Self.policyAlarm(desk) != nil }
        let told = try #require(try Self.policyAlarm(desk))
        #expect(told.contains("ikinci şəxsin təsdiqi olmadan"), "\(told)")
        #expect(told.contains("1-ci versiya qüvvədə olub"), "\(told)")
        #expect(try desk.json("status")["policyVersion"] as? Int == 1)
        try Self.stop(second)
        let third = try Self.start(desk)
        defer { third.send(SIGKILL) }
        try desk.wait("its end") { try Self.policyAlarm(desk) == nil }
        try Self.stop(third)
    }

    @Test("A vault that is away when it starts holds nothing up, and is looked into when it is back")
    func away() throws {
        let desk = try Self.desk()
        defer { desk.remove() }
        let first = try Self.start(desk)
        defer { first.send(SIGKILL) }
        #expect(try desk.ask("run", "often").status == 0)
        try Self.stop(first)
        for name in ["daemon", "registers"] { try FileManager.default.removeItem(at: desk.world.url("state/\(name)")) }
        try #require(rename(desk.world.path("vault"), desk.world.path("away")) == 0)
        let second = try Self.start(desk)
        try desk.wait("the warning") {
            try desk.ask("logs", "--limit", "1000").outputText.contains("cannot be looked up yet")
        }
        #expect(try desk.runs().isEmpty)
        // Killed before the vault is back: what is to be done is not forgotten.
        second.send(SIGKILL)
        _ = try second.wait()
        try #require(rename(desk.world.path("away"), desk.world.path("vault")) == 0)
        let third = try Self.start(desk)
        defer { third.send(SIGKILL) }
        try desk.wait("the run") { try desk.runs().count == 1 }
        #expect(try desk.runs().first?["trigger"] as? String == "reconcile")
        try desk.wait("the alarm") { try !Self.lossAlarms(desk).isEmpty }
        try Self.stop(third)
    }

    @Test("A loss is told also where the start before had not got to the end of its own look into the vault")
    func behindAnother() throws {
        let desk = try Self.desk()
        defer { desk.remove() }
        try #require(rename(desk.world.path("vault"), desk.world.path("away")) == 0)
        let first = try Self.start(desk)
        defer { first.send(SIGKILL) }
        try desk.wait("the warning") {
            try desk.ask("logs", "--limit", "1000").outputText.contains("cannot be looked up yet")
        }
        #expect(try Self.lossAlarms(desk).isEmpty, "a first start has lost nothing")
        try Self.stop(first)
        try #require(rename(desk.world.path("away"), desk.world.path("vault")) == 0)
        try FileManager.default.removeItem(at: desk.world.url("state/registers"))
        let second = try Self.start(desk)
        defer { second.send(SIGKILL) }
        try desk.wait("the alarm") { try !Self.lossAlarms(desk).isEmpty }
        try Self.stop(second)
    }
}
