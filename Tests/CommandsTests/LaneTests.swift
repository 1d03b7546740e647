import Foundation
import Glibc
import Testing

extension DaemonWorld {
    /// Hands over a segment of the smallest size, whose first page is right.
    func push(_ number: UInt64) throws -> Finished {
        let size: UInt64 = 1 << 20
        var bytes = Data(repeating: 0, count: Int(size))
        func put<Number: FixedWidthInteger>(_ value: Number, _ at: Int) {
            withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(at..<(at + $0.count), with: $0) }
        }
        put(UInt16(0xD110), 0)
        put(UInt16(2), 2)
        put(UInt32(1), 4)
        put(number * size, 8)
        put(UInt64(7), 24)
        put(UInt32(size), 32)
        put(UInt32(8192), 36)
        let name = String(format: "%08X%08X%08X", 1, UInt32(number / 4096), UInt32(number % 4096))
        try world.write(name, bytes)
        return try world.qala("wal", "push", "--socket", world.path("wal.sock"), world.path(name))
    }
}

@Suite("What goes beside what in the real daemon", .serialized, .enabled(if: qalaBinary != nil))
struct LaneDaemonTests {
    /// The lines of a policy by which its runs wait until there is a file of this name.
    private func hold(_ name: String, _ desk: DaemonWorld) throws -> String {
        let script = "#!/bin/sh\nuntil test -e \(desk.world.path(name)); do sleep 0.1; done\n"
        try desk.world.write("hook-\(name)", script)
        chmod(desk.world.path("hook-\(name)"), 0o755)
        return "hooks:\n  before:\n    - run: [\(desk.world.path("hook-\(name)"))]\n"
    }

    private func id(_ key: String, _ desk: DaemonWorld) throws -> String? {
        let going = try desk.json("status")[key] as? [String: Any]
        return (going?["run"] as? [String: Any])?["id"] as? String
    }

    @Test("A push that waits for the vault has its answer while a long run of another policy goes on")
    func pushes() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        try desk.writePolicy("often", schedule: nil, more: try hold("go", desk))
        try desk.writePolicy("wal", source: "{postgresql-wal: main, acknowledge: vault, batch-time: 1 hour}")
        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        let long = try desk.world.start(["run", "often", "--json", "--socket", desk.world.path("socket")])
        try desk.wait("the long run") { try id("going", desk) != nil }
        let going = try id("going", desk)
        for number in UInt64(1)...3 {
            let begun = ContinuousClock.now
            let pushed = try desk.push(number)
            #expect(pushed.status == 0, "\(pushed.errorText)")
            // Without an answer it ends after 50 s.
            #expect(ContinuousClock.now - begun < .seconds(40))
        }
        #expect(try id("going", desk) == going)
        #expect(try desk.world.archives().count >= 1)
        try desk.world.write("go", "")
        #expect(try long.wait().status == 0)
        try desk.waitUntilIdle()
        #expect(try desk.world.qala("wal", "status").status == 0)
        let runs = try desk.runs()
        #expect(runs.allSatisfy { $0["state"] as? String == "done" } && runs.count >= 2, "\(runs)")
    }

    @Test(
        "Both runs are shown and counted, each is cancelled by itself, and both end with the daemon and go on with the next"
    )
    func both() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        try desk.writePolicy("often", schedule: nil, more: try hold("go", desk))
        let source = "{postgresql-wal: main, batch-time: 1 hour}\n" + (try hold("flow", desk)).dropLast()
        try desk.writePolicy("wal", source: source)
        var daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        func ask(_ policy: String) throws -> RunningProcess {
            try desk.world.start(["run", policy, "--json", "--socket", desk.world.path("socket")])
        }
        let long = try ask("often")
        try desk.wait("the long run") { try id("going", desk) != nil }
        let short = try ask("wal")
        try desk.wait("the one beside it") { try id("beside", desk) != nil }
        let (first, second) = (try #require(try id("going", desk)), try #require(try id("beside", desk)))
        let text = try desk.ask("status").outputText
        #expect(text.contains(first) && text.contains(second), "\(text)")
        // A third one of either waits.
        let third = try ask("wal")
        try desk.wait("the one that waits") { (try desk.json("status")["waiting"] as? [Any])?.count == 1 }
        #expect(try desk.ask("cancel", second).status == 0)
        #expect(try short.wait().status == 130)
        try desk.wait("the next one") { try id("beside", desk).map { $0 != second } ?? false }
        #expect(try id("going", desk) == first)

        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        _ = try long.wait()
        _ = try third.wait()
        daemon = try desk.start()
        try desk.waitUntilUp()
        let states = try desk.runs().compactMap { $0["state"] as? String }
        #expect(states.sorted() == ["cancelled", "interrupted", "interrupted"], "\(states)")
        for name in ["go", "flow"] { try desk.world.write(name, "") }
        for policy in ["often", "wal"] { #expect(try ask(policy).wait().status == 0) }
    }
}
