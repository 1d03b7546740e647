import Foundation
import Glibc
import Testing

/// Registers, health and metrics, through the real daemon and the real command.
@Suite("The registers of the daemon", .serialized, .enabled(if: qalaBinary != nil))
struct RegisterCommandTests {
    private static func rows(_ finished: Finished) throws -> [[String: String]] {
        #expect(finished.status == 0, "\(finished.errorText)")
        let rows = try #require(try World.object(finished)["rows"] as? [[String: Any]])
        return rows.compactMap { $0["fields"] as? [String: String] }
    }

    private static func rows(_ desk: DaemonWorld, _ arguments: String...) throws -> [[String: String]] {
        try rows(try desk.world.qala(["register"] + arguments + ["--json"]))
    }

    @Test("A run that fails opens a problem, a remark closes nothing, and only the run that passes closes it")
    func problems() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        #expect(try Self.rows(desk, "problems", "list").isEmpty)
        try FileManager.default.moveItem(at: desk.world.url("tree"), to: desk.world.url("elsewhere"))
        #expect(try desk.ask("run", "often").status == 1)
        #expect(try desk.ask("run", "often").status == 1)
        let open = try Self.rows(desk, "problems", "list", "--open", "--policy", "often")
        #expect(open.count == 1 && open.first?["kind"] == "failed" && open.first?["times"] == "2")
        let runs = try desk.runs().compactMap { $0["id"] as? String }
        #expect(open.first?["runs"] == runs.reversed().joined(separator: " "))
        let shown = try desk.ask("status")
        #expect(shown.outputText.hasPrefix("Open problems"), "\(shown.outputText)")
        let status = try desk.json("status")["openProblems"] as? [String: Any]
        #expect(status?["count"] as? Int == 1)

        #expect(try desk.ask("register", "problems", "remark", "1", "--text", "=the disk, \"was\" away").status == 0)
        #expect(try desk.ask("register", "problems", "remark", "2", "--text", "x").status == 14)
        #expect(try Self.rows(desk, "problems", "list", "--open").count == 1, "a remark closes nothing")
        let journal = try desk.world.qala("audit", "show", "--operation", "problem.remark", "--json")
        let acts = try World.object(journal)["entries"] as? [[String: Any]] ?? []
        // Entries of the command name its vault, that of the daemon none.
        let own = acts.filter { ($0["details"] as? [String: String])?["vault"] == nil }
        #expect(own.compactMap { $0["subject"] as? String } == ["1"], "\(journal.outputText)")

        try FileManager.default.moveItem(at: desk.world.url("elsewhere"), to: desk.world.url("tree"))
        let passed = try desk.json("run", "often")["run"] as? [String: Any]
        #expect(try Self.rows(desk, "problems", "list", "--open").isEmpty)
        let closed = try #require(try Self.rows(desk, "problems", "list").first)
        #expect(closed["closedBy"] == passed?["id"] as? String && closed["closed"] != nil)
        #expect(closed["remarks"]?.contains("uid \(getuid()): =the disk") == true)
        #expect(try !desk.ask("status").outputText.contains("Open problems"))
        let one = try desk.world.qala("register", "problems", "show", "1", "--language", "az")
        #expect(one.status == 0 && one.outputText.contains("uğursuz icra") && one.outputText.contains("the disk"))
        #expect(try Self.rows(desk, "runs", "list").map { $0["state"] ?? "" } == ["done", "failed", "failed"])
        #expect(try Self.rows(desk, "runs", "list", "--kind", "failed", "--limit", "1").count == 1)
    }

    @Test("Registers are read and exported without a daemon; a remark needs the lock that a daemon has")
    func withoutDaemon() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try FileManager.default.moveItem(at: desk.world.url("tree"), to: desk.world.url("elsewhere"))
        #expect(try desk.ask("run", "often").status == 1)
        let remark = ["register", "problems", "remark", "1", "--text", "a,\"b\"", "--socket", desk.world.path("none")]
        #expect(try desk.world.qala(remark).status == 11, "the daemon that runs has the lock")
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        #expect(try desk.world.qala(remark + ["--dry-run"]).status == 0)
        #expect(try Self.rows(desk, "problems", "list").first?["remarks"] == nil)
        #expect(try desk.world.qala(remark).status == 0)

        let file = desk.world.path("problems.csv")
        let export = ["register", "problems", "export", "--format", "csv", "--to", file]
        #expect(try desk.world.qala(export).status == 0)
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(text.hasPrefix("problem,kind,policy,opened,lastSeen,times,message,runs,closed,closedBy,remarks\r\n"))
        #expect(text.contains("\r\n1,failed,often,") && text.contains("a,\"\"b\"\"") && text.hasSuffix("\"\r\n"))
        #expect(try desk.world.qala(export).status == 1, "a file that is there is kept")
        let exported = try desk.world.qala("register", "availability", "export", "--format", "json")
        let kinds = (try World.object(exported)["rows"] as? [[String: String]] ?? []).compactMap { $0["kind"] }
        #expect(kinds.first == "started" && kinds.last == "stopped" && kinds.contains("load"), "\(kinds)")
        #expect(try desk.world.qala("register", "runs", "list", "--open").status == 64)
        #expect(try desk.world.qala("register", "holds", "list", "--policy", "often").status == 64)
        #expect(try desk.world.qala("register", "problems", "show", "9").status == 14)
        #expect(try Self.rows(desk, "holds", "list", "--key-file", "kit.txt").isEmpty)

        // A changed line is named, and what is whole is shown all the same.
        let path = desk.world.path("state/registers/problems.000000000001.jsonl")
        let line = try String(contentsOfFile: path, encoding: .utf8)
        try line.replacingOccurrences(of: "often", with: "seldom").write(
            toFile: path, atomically: false, encoding: .utf8)
        let damaged = try desk.world.qala("register", "problems", "list")
        #expect(damaged.status == 13 && damaged.outputText.contains("problems.000000000001.jsonl, line 2"))
        #expect(damaged.outputText.contains("seldom"))
        let again = try desk.start()
        defer { again.send(SIGKILL) }
        try desk.waitUntilUp()
        #expect(try desk.ask("status").outputText.contains("damage"))
    }

    @Test("Policies that are not put into force are a problem until a set is, and every read of the folder counts")
    func policies() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        func open() throws -> [[String: String]] { try Self.rows(desk, "problems", "list", "--open") }
        try desk.writePolicy("more", schedule: nil, more: "colour: red\n")
        daemon.send(SIGHUP)
        try desk.wait("the problem") { try open().count == 1 }
        let problem = try #require(try open().first)
        #expect(problem["kind"] == "policies" && problem["policy"] == nil)
        #expect(problem["message"]?.contains("more.yaml") == true)
        daemon.send(SIGHUP)
        try desk.wait("the second time") { try open().first?["times"] == "2" }
        #expect(try desk.ask("run", "often").status == 0)
        #expect(try open().count == 1, "a run closes what was no run")
        try desk.writePolicy("more", schedule: nil)
        daemon.send(SIGHUP)
        try desk.wait("its end") { try open().isEmpty }
        #expect(try Self.rows(desk, "problems", "list").count == 1)
    }

    @Test("Due runs that nobody made are a problem, which the run that makes up for them closes")
    func missed() throws {
        let desk = try DaemonWorld(schedule: "*:*:0/1")
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("a run") { try desk.runs().contains { $0["state"] as? String == "done" } }
        #expect(try desk.ask("pause", "often").status == 0)
        usleep(3_500_000)
        #expect(try desk.ask("resume", "often").status == 0)
        try desk.wait("the problem, closed by a run") {
            try Self.rows(desk, "problems", "list", "--kind", "missed").contains { $0["closedBy"] != nil }
        }
    }

    @Test("A daemon that is killed leaves one outage with its times, and one that is stopped another cause")
    func outages() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        let working = Date()
        let heartbeat = desk.world.path("state/registers/heartbeat.json")
        // A sign of life of when the daemon worked, beyond the one of its start.
        try desk.wait("a touch") {
            let changed = try FileManager.default.attributesOfItem(atPath: heartbeat)[.modificationDate] as? Date
            return changed.map { $0 > working } ?? false
        }
        daemon.send(SIGKILL)
        let killed = Date()
        _ = try daemon.wait()
        usleep(2_500_000)
        let starting = Date()
        let second = try desk.start()
        defer { second.send(SIGKILL) }
        try desk.waitUntilUp()
        let up = Date()
        let outages = try Self.rows(desk, "availability", "list", "--kind", "outage")
        #expect(outages.count == 1)
        let outage = try #require(outages.first)
        let format = ISO8601DateFormatter()
        let from = try #require(outage["from"].flatMap { format.date(from: $0) })
        let until = try #require(outage["until"].flatMap { format.date(from: $0) })
        // Registers have whole seconds.
        #expect(from > working.addingTimeInterval(-1) && from <= killed, "\(outage)")
        #expect(until > starting.addingTimeInterval(-1) && until <= up, "\(outage)")
        #expect((outage["seconds"].flatMap { Int($0) } ?? 0) >= 2, "\(outage)")
        #expect(outage["cause"] == "crash or power" && outage["machine"] == "stayed up")
        second.send(SIGTERM)
        #expect(try second.wait().status == 0)
        let third = try desk.start()
        defer { third.send(SIGKILL) }
        try desk.waitUntilUp()
        let causes = try Self.rows(desk, "availability", "list", "--kind", "outage").map { $0["cause"] ?? "" }
        #expect(causes == ["stopped", "crash or power"])
    }

    @Test("Metrics and health are served on a loopback address, and nothing else is")
    func metrics() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let port = try LoopbackPort.free()
        let daemon = try desk.start(["--metrics", "127.0.0.1:\(port)"])
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("health") { try LoopbackPort.get(port, "/healthz").hasPrefix("HTTP/1.1 200") }
        #expect(try LoopbackPort.get(port, "/readyz").hasSuffix("ready\n"))
        #expect(try desk.ask("run", "often").status == 0)
        let text = try LoopbackPort.get(port, "/metrics")
        #expect(text.lowercased().contains("content-type: text/plain; version=0.0.4"))
        #expect(text.contains("qala_runs_total{policy=\"often\",state=\"done\"} 1\n"))
        #expect(text.contains("qala_policy_last_success_timestamp_seconds{policy=\"often\",component=\"config\"} "))
        #expect(text.contains("qala_problems_open{kind=\"failed\"} 0\n"))
        let page = text.components(separatedBy: "\r\n\r\n").dropFirst().joined()
        let unpacked = Repository.root.appending(path: ".build/tools/promtool").path
        let promtool = access(unpacked, X_OK) == 0 ? unpacked : "/usr/bin/promtool"
        let checked = try ProcessRunner.run(
            promtool, ["check", "metrics"], environment: ["PATH": "/usr/bin"], input: page, in: desk.world.folder)
        #expect(checked.status == 0 && checked.errors.isEmpty, "\(checked.errorText) \(checked.outputText)")
        #expect(try LoopbackPort.get(port, "/v1/status").hasPrefix("HTTP/1.1 404"))
        try FileManager.default.moveItem(at: desk.world.url("vault"), to: desk.world.url("gone"))
        #expect(try LoopbackPort.get(port, "/readyz").hasPrefix("HTTP/1.1 503"))
        #expect(try desk.start(["--metrics", "0.0.0.0:\(port)"]).wait().status == 64)
    }
}

/// A port of this machine that nobody has, and the simplest of clients.
private enum LoopbackPort {
    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func open(
        _ port: UInt16, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        try #require(descriptor >= 0)
        var place = address(port)
        let result = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 {
            close(descriptor)
            throw RunnerError(message: "port \(port): error \(errno)")
        }
        return descriptor
    }

    static func free() throws -> UInt16 {
        let descriptor = try open(0) { bind($0, $1, $2) }
        defer { close(descriptor) }
        var place = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        try #require(result == 0)
        return UInt16(bigEndian: place.sin_port)
    }

    /// The whole answer; empty where nobody listens yet.
    static func get(_ port: UInt16, _ path: String) throws -> String {
        guard let descriptor = try? open(port, { connect($0, $1, $2) }) else { return "" }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let request = Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8)
        _ = send(descriptor, request, request.count, Int32(MSG_NOSIGNAL))
        var answer: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &block, block.count, 0)
            guard count > 0 else { break }
            answer += block[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
