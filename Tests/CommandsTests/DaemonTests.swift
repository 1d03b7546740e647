import Foundation
import Glibc
import Testing

/// `qalad` of the same build as the `qala` under test.
private let daemonBinary = qalaBinary.map {
    URL(filePath: $0).deletingLastPathComponent().appending(path: "qalad").path
}

/// A service manager that listens: its queue holds few datagrams, so they are taken at once.
///
/// SAFETY: what both threads touch is touched under `lock`.
private final class Notices: @unchecked Sendable {
    private let descriptor: Int32
    private let lock = NSLock()
    private var texts: [String] = []
    private var isOver = false

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var patience = timeval(tv_sec: 0, tv_usec: 100_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        Thread.detachNewThread { [self] in
            var block = [UInt8](repeating: 0, count: 4096)
            while !lock.withLock({ isOver }) {
                let count = recv(descriptor, &block, block.count, 0)
                guard count > 0 else { continue }
                let text = String(decoding: block[..<count], as: UTF8.self)
                lock.withLock { texts.append(text) }
            }
            close(descriptor)
        }
    }

    func end() { lock.withLock { isOver = true } }

    func take() -> [String] {
        lock.withLock {
            defer { texts = [] }
            return texts
        }
    }
}

/// A world with a vault, a tree, a folder of policies and a place for the daemon's socket.
struct DaemonWorld {
    let world: World
    private let notices: Notices

    /// Sockets need a short path, so everything lies in memory.
    init(schedule: String? = "*:*:0/1") throws {
        world = try World(inMemory: true)
        try world.write("tree/a.txt", "hello\n")
        try FileManager.default.createDirectory(at: world.url("policies"), withIntermediateDirectories: true)
        let people = try String(contentsOf: Repository.root.appending(path: "Policies/people.yaml"), encoding: .utf8)
        try world.write("policies/people.yaml", people)
        notices = try Notices(path: world.path("notices"))
        try writePolicy("often", schedule: schedule)
        chmod(world.path("policies/people.yaml"), 0o644)
        chmod(world.path("policies"), 0o755)
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
    }

    func remove() {
        notices.end()
        world.remove()
    }

    /// The shipped policy for configuration files, with other sources, schedule and further lines.
    func writePolicy(_ name: String, schedule: String?, more: String = "") throws {
        let file = Repository.root.appending(path: "Policies/config.yaml")
        let lines = try String(contentsOf: file, encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        var text: [Substring] = []
        var skips = false
        for line in lines {
            if !line.hasPrefix(" ") { skips = line.hasPrefix("sources:") || line.hasPrefix("policy:") }
            if !skips { text.append(line) }
        }
        var policy = text.joined(separator: "\n")
        policy = policy.replacingOccurrences(of: "\"*-*-* 00/6:10:00\"", with: "\"\(schedule ?? "*-01-01")\"")
        policy = policy.replacingOccurrences(of: "  jitter: 5 minutes\n", with: "")
        if schedule == nil { policy = policy.replacingOccurrences(of: "rpo: 7 hours", with: "rpo: 400 days") }
        policy += "\npolicy: \(name)\nsources:\n  - files: \(world.path("tree"))\n\(more)"
        try world.write("policies/\(name).yaml", policy)
        chmod(world.path("policies/\(name).yaml"), 0o644)
    }

    /// A policy of this source alone, a line of `sources`.
    func writePolicy(_ name: String, source: String) throws {
        try writePolicy(name, schedule: nil, more: "  - \(source)\n")
        let path = "policies/\(name).yaml"
        let text = try String(contentsOf: world.url(path), encoding: .utf8)
        try world.write(path, text.replacing("  - files: \(world.path("tree"))\n", with: ""))
    }

    /// `through` is a program that becomes the daemon, with the arguments before those of the daemon.
    func start(_ more: [String] = [], through: [String] = []) throws -> RunningProcess {
        let words = through + [try #require(daemonBinary)]
        return try ProcessRunner.start(
            words[0],
            Array(words.dropFirst()) + [
                "--policies", world.path("policies"), "--state", world.path("state"), "--vault", world.path("vault"),
                "--socket", world.path("socket"), "--reserve", "0", "--no-discovery",
            ] + more,
            environment: [
                "PATH": "/usr/bin:/bin", "HOME": world.folder.path, "NOTIFY_SOCKET": world.path("notices"),
                "WATCHDOG_USEC": "3000000", "SWIFT_BACKTRACE": "enable=no",
            ], in: world.folder)
    }

    /// What the service manager was told since the last call.
    func told() -> [String] { notices.take() }

    func ask(_ arguments: String...) throws -> Finished {
        try world.qala(arguments + ["--socket", world.path("socket")])
    }

    func json(_ arguments: String...) throws -> [String: Any] {
        let finished = try world.qala(arguments + ["--json", "--socket", world.path("socket")])
        #expect(finished.status == 0, "\(arguments): \(finished.errorText)")
        return try World.object(finished)
    }

    func runs() throws -> [[String: Any]] { try json("jobs", "--limit", "1000")["runs"] as? [[String: Any]] ?? [] }

    /// Waits until `isSo`, two minutes and more.
    func wait(_ what: String, _ isSo: () throws -> Bool) throws {
        for _ in 0..<1200 {
            if try isSo() { return }
            usleep(100_000)
        }
        Issue.record("waited in vain for \(what)")
    }

    func waitUntilIdle() throws {
        try wait("an idle daemon") {
            let status = try json("status")
            return status["going"] == nil && (status["waiting"] as? [Any])?.isEmpty == true
        }
    }

    func waitUntilUp() throws { try wait("the daemon") { try ask("status", "--quiet").status == 0 } }
}

@Suite("The daemon", .serialized, .enabled(if: qalaBinary != nil))
struct DaemonTests {
    @Test("It says that it is ready, runs policies on time and by request, and ends when it is told to")
    func wholeWay() throws {
        let desk = try DaemonWorld()
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("readiness") { desk.told().contains { $0.hasPrefix("READY=1\nSTATUS=") } }
        try desk.wait("two runs by schedule") {
            try desk.runs().count { $0["state"] as? String == "done" && $0["trigger"] as? String == "schedule" } >= 2
        }
        try desk.wait("a sign of life") { desk.told().contains { $0.hasPrefix("WATCHDOG=1") } }

        let asked = try desk.json("run", "often")["run"] as? [String: Any]
        #expect(asked?["state"] as? String == "done" && asked?["requestedBy"] as? String == "uid \(getuid())")
        #expect(try desk.world.archives().contains(asked?["archive"] as? String ?? "?"))
        #expect(try desk.ask("run", "seldom").status == 14)

        let paused = try desk.json("pause", "often")["policies"] as? [[String: Any]]
        #expect(paused?.first?["isPaused"] as? Bool == true)
        try desk.waitUntilIdle()
        let count = try desk.runs().count
        usleep(2_500_000)
        #expect(try desk.runs().count == count, "nothing starts while paused")
        #expect(try desk.ask("resume", "often").status == 0)
        try desk.wait("a run after the pause") { try desk.runs().count > count }

        let shown = try desk.ask("status", "--language", "az")
        #expect(shown.outputText.contains("often") && shown.outputText.contains("NÖVBƏTİ"))
        #expect(try desk.ask("logs").outputText.contains("paused by uid"))
        #expect(try desk.ask("cancel", asked?["id"] as? String ?? "?").status == 64, "a run that is over")

        let second = try desk.start().wait()
        #expect(second.status == 11, "\(second.errorText)")
        daemon.send(SIGTERM)
        let ended = try daemon.wait()
        #expect(ended.status == 0 && ended.errorText.contains("<5>stopped"), "\(ended.errorText)")
        try desk.wait("the announced end") { desk.told().contains("STOPPING=1") }
        #expect(try desk.ask("status").status == 69)
        #expect(try desk.ask("run", "often").status == 69)
    }

    @Test("Killed at any moment, it settles every run at the next start, and runs and archives agree")
    func kills() throws {
        let desk = try DaemonWorld()
        defer { desk.remove() }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<8 {
            let daemon = try desk.start()
            usleep(UInt32.random(in: 200_000...1_800_000, using: &generator))
            daemon.send(SIGKILL)
            _ = try daemon.wait()
        }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        #expect(try desk.ask("pause").status == 0)
        try desk.waitUntilIdle()
        let runs = try desk.runs()
        let states = Set(runs.compactMap { $0["state"] as? String })
        #expect(states.isSubset(of: ["done", "interrupted"]), "\(states)")
        let archived = runs.compactMap { $0["archive"] as? String }
        #expect(Set(archived).count == archived.count, "no archive belongs to two runs")
        #expect(Set(archived) == Set(try desk.world.archives()))
        let answered = runs.filter { $0["state"] as? String == "done" }.compactMap { $0["due"] as? Int }
        #expect(Set(answered).count == answered.count, "no due run was made twice")
        let dues = runs.filter { $0["attempt"] as? Int == 1 }.compactMap { $0["due"] as? Int }
        #expect(Set(dues).count == dues.count, "no due run was started twice")
    }

    @Test("What is applied comes into force at once; the folder is a proposal, and status says how it differs")
    func reload() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        func names() throws -> [String] {
            (try desk.json("status")["policies"] as? [[String: Any]] ?? []).compactMap { $0["name"] as? String }
        }
        func problems() throws -> [String] { try desk.json("status")["policyProblems"] as? [String] ?? [] }
        func version() throws -> Int? { try desk.json("status")["policyVersion"] as? Int }
        let apply = ["policy", "apply", "policies", "--author", "archivist", "--reason", "one more"]
        #expect(try version() == 1)
        #expect(try problems().isEmpty)
        let first = try desk.world.versions().first
        #expect(first?["firstStart"] as? Bool == true && first?["author"] as? String == "archivist")

        try desk.writePolicy("more", schedule: nil, more: "colour: red\n")
        daemon.send(SIGHUP)
        try desk.wait("the error") {
            try problems().contains { $0.contains("more.yaml") && $0.contains("colour") }
        }
        #expect(try names() == ["often"])
        #expect(try desk.world.qala(apply + ["--socket", desk.world.path("socket")]).status == 78)
        try desk.writePolicy("more", schedule: nil)
        daemon.send(SIGHUP)
        func differs() throws -> Bool? { try desk.json("status")["folderDiffers"] as? Bool }
        try desk.wait("the difference") { try differs() == true }
        #expect(try problems().isEmpty, "another set is no failure")
        for language in ["en", "az"] {
            let text = try desk.ask("status", "--language", language).outputText
            let folder = desk.world.path("policies")
            for next in ["qala policy plan \(folder)", "qala policy apply \(folder)"] {
                #expect(text.contains(next), "\(text)")
            }
        }
        #expect(try names() == ["often"], "the folder is only a proposal")

        let applied = try desk.world.qala(apply + ["--json", "--socket", desk.world.path("socket")])
        let report = try World.object(applied)
        #expect(report["daemon"] as? String == "reloaded" && report["version"] as? Int == 2, "\(applied.outputText)")
        #expect(try names() == ["more", "often"])
        #expect(try version() == 2)
        #expect(try problems().isEmpty)
        #expect(try differs() == false)
        #expect(try !desk.ask("status").outputText.contains("qala policy plan"))

        // A start needs no folder once something was applied, and takes nothing from a damaged register.
        try FileManager.default.removeItem(at: desk.world.url("policies"))
        daemon.send(SIGKILL)
        _ = try daemon.wait()
        let again = try desk.start()
        defer { again.send(SIGKILL) }
        try desk.waitUntilUp()
        #expect(try names() == ["more", "often"])
        #expect(try !problems().isEmpty)
        again.send(SIGKILL)
        _ = try again.wait()
        let file = desk.world.url("state/policies/00000002.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        try desk.world.write(
            "state/policies/00000002.json", text.replacingOccurrences(of: "one more", with: "one less"))
        #expect(try desk.start().wait().status == 13)
    }

    @Test("A first start takes no folder that others can write to, and none with an error")
    func firstStart() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        // Whoever can write a policy could have root read or run anything.
        chmod(desk.world.path("policies/often.yaml"), 0o666)
        #expect(try desk.start().wait().status == 77)
        try desk.writePolicy("often", schedule: nil, more: "colour: red\n")
        chmod(desk.world.path("policies/often.yaml"), 0o644)
        #expect(try desk.start().wait().status == 78)
        #expect(try desk.world.versions().isEmpty)
    }

    @Test("A folder of policies that is missing is told once, and the help gives every default")
    func missingFolder() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        try FileManager.default.removeItem(at: desk.world.url("policies"))
        let ended = try desk.start().wait()
        #expect(ended.status != 0)
        let lines = ended.errorText.split(separator: "\n").filter { $0.contains(desk.world.path("policies")) }
        #expect(lines.count == 1, "\(ended.errorText)")
        let help = try ProcessRunner.run(
            try #require(daemonBinary), ["--help"], environment: ["HOME": desk.world.folder.path],
            in: desk.world.folder)
        #expect(help.status == 0 && help.outputText.components(separatedBy: "(default:").count == 7)
    }

    @Test("A file at the place of the socket is kept, and the daemon ends")
    func noSocket() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        try desk.world.write("socket", "mine\n")
        let ended = try desk.start().wait()
        #expect(ended.status == 1, "\(ended.errorText)")
        #expect(try String(contentsOf: desk.world.url("socket"), encoding: .utf8) == "mine\n")
    }

    @Test("A run that ends with the daemon goes on at the next start, at once and as no failure")
    func orderlyStop() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        try desk.world.write("hook", "#!/bin/sh\nuntil test -e \(desk.world.path("go")); do sleep 0.1; done\n")
        chmod(desk.world.path("hook"), 0o755)
        let hook = "hooks:\n  before:\n    - run: [\(desk.world.path("hook"))]\n"
        try desk.writePolicy("often", schedule: "*:*:0/1", more: hook)
        for _ in 0..<7 {
            let daemon = try desk.start()
            try desk.waitUntilUp()
            try desk.wait("a run") { try desk.json("status")["going"] != nil }
            daemon.send(SIGTERM)
            #expect(try daemon.wait().status == 0)
        }
        try desk.world.write("go", "")
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try desk.wait("its end") { try desk.runs().contains { $0["state"] as? String == "done" } }
        #expect(try !desk.ask("logs").outputText.contains("given up"))
        let row = (try desk.json("status")["policies"] as? [[String: Any]])?.first
        #expect(row?["failures"] as? Int == 0)
    }

    @Test("A run that is cancelled ends at once, what waits is cancelled too, and the next run is a whole one")
    func cancelling() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        // It holds the run until it is let go.
        try desk.world.write("hook", "#!/bin/sh\nuntil test -e \(desk.world.path("go")); do sleep 0.1; done\n")
        chmod(desk.world.path("hook"), 0o755)
        try desk.writePolicy(
            "often", schedule: nil, more: "hooks:\n  before:\n    - run: [\(desk.world.path("hook"))]\n")
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        let asking = try desk.world.start(["run", "often", "--json", "--socket", desk.world.path("socket")])
        var id = ""
        try desk.wait("the run") {
            let going = try desk.json("status")["going"] as? [String: Any]
            id = (going?["run"] as? [String: Any])?["id"] as? String ?? ""
            return !id.isEmpty
        }
        let waiting = try desk.world.start(["run", "often", "--json", "--socket", desk.world.path("socket")])
        var second = ""
        try desk.wait("the run behind it") {
            second = (try desk.json("status")["waiting"] as? [[String: Any]])?.first?["id"] as? String ?? ""
            return !second.isEmpty
        }
        #expect(try desk.ask("cancel", second).status == 0)
        #expect(try waiting.wait().status == 130)
        #expect(try desk.ask("cancel", id).status == 0)
        #expect(try asking.wait().status == 130)
        let states = try desk.runs().compactMap { $0["state"] as? String }
        #expect(states == ["cancelled", "cancelled"])
        #expect(try desk.world.archives().isEmpty)
        try desk.world.write("go", "")
        let run = try desk.json("run", "often")["run"] as? [String: Any]
        #expect(run?["state"] as? String == "done" && run?["files"] as? Int == 1)
    }
}
