import Foundation
import Glibc
import Testing

/// File systems of a few megabytes in memory, seen by the processes of one test only.
private final class SmallDisks {
    /// Mounting needs the right to; where it is missing, the tests that need it do not run.
    static let canMount: Bool = {
        guard getuid() == 0, access("/usr/bin/unshare", X_OK) == 0, access("/usr/bin/nsenter", X_OK) == 0 else {
            return false
        }
        let trial = Process()
        trial.executableURL = URL(filePath: "/usr/bin/unshare")
        trial.arguments = ["-m", "/bin/sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
        trial.standardError = FileHandle.nullDevice
        guard (try? trial.run()) != nil else { return false }
        trial.waitUntilExit()
        return trial.terminationStatus == 0
    }()

    private let world: World
    /// Of state and vault.
    private let folders: (state: String, vault: String)
    /// It holds the mounts as long as it lives.
    private let holder: RunningProcess
    private let process: String

    init(_ world: World, _ sizes: [String: Int], state: String, vault: String) throws {
        self.world = world
        folders = (world.path(state), world.path(vault))
        var script = ""
        for (name, megabytes) in sizes {
            let place = world.path(name)
            script += "mkdir -p \(place) && mount -t tmpfs -o size=\(megabytes)m,mode=700 tmpfs \(place) && "
        }
        script += "echo $$ > \(world.path("holder")) && exec sleep 600"
        holder = try ProcessRunner.start(
            "/usr/bin/unshare", ["-m", "/bin/sh", "-c", script], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
            in: world.folder)
        var found = ""
        for _ in 0..<600 where found.isEmpty {
            usleep(50_000)
            let text = (try? String(contentsOf: world.url("holder"), encoding: .utf8)) ?? ""
            if text.hasSuffix("\n") { found = String(text.dropLast()) }
        }
        try #require(!found.isEmpty, "nothing was mounted")
        process = found
    }

    func end() { holder.send(SIGKILL) }

    func start(_ program: String, _ arguments: [String]) throws -> RunningProcess {
        try ProcessRunner.start(
            "/usr/bin/nsenter", ["-t", process, "-m", "--", program] + arguments,
            environment: [
                "HOME": world.folder.path, "PATH": "/usr/bin:/bin", "QALA_VAULT": folders.vault,
                "QALA_STATE": folders.state, "QALA_PASSPHRASE_FILE": world.path("passphrase"),
                "QALA_SOCKET": world.path("socket"), "SWIFT_BACKTRACE": "enable=no",
            ], in: world.folder)
    }

    func qala(_ arguments: String...) throws -> Finished { try start(try #require(qalaBinary), arguments).wait() }

    func shell(_ line: String) throws -> Finished { try start("/bin/sh", ["-c", line]).wait() }

    /// Bytes and blocks of 512 of a file; nil where there is none.
    func size(_ name: String) throws -> [Int]? {
        let told = try shell("stat -c '%s %b' \(world.path(name))")
        return told.status == 0 ? told.outputText.split(whereSeparator: \.isWhitespace).compactMap { Int($0) } : nil
    }

    /// Takes every byte that is left.
    func fill(_ name: String) throws {
        let place = world.path(name)
        let filled = try shell("cat /dev/zero > \(place)/filler 2> /dev/null; df --output=avail \(place)")
        let left = filled.outputText.split(whereSeparator: \.isWhitespace).last
        #expect(left == "0", "\(filled.outputText) \(filled.errorText)")
    }
}

@Suite("A full disk", .serialized, .enabled(if: qalaBinary != nil && SmallDisks.canMount))
struct FullDiskTests {
    private static let reserve = 16 << 20

    private struct Desk {
        let daemonWorld: DaemonWorld
        let disks: SmallDisks
        var world: World { daemonWorld.world }

        func wait(_ what: String, _ isSo: () throws -> Bool) throws { try daemonWorld.wait(what, isSo) }

        func open() throws -> [[String: String]] {
            let listed = try disks.qala("register", "problems", "list", "--open", "--json")
            let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]])
            return rows.compactMap { $0["fields"] as? [String: String] }
        }

        /// Every line of every register is whole and follows the one before.
        func checkRegisters() throws {
            for name in ["availability", "problems", "runs"] {
                let listed = try disks.qala("register", name, "list", "--json")
                #expect(listed.status == 0, "\(name): \(listed.errorText)")
                let report = try World.object(listed)
                #expect((report["damage"] as? [Any])?.isEmpty == true, "\(name): \(listed.outputText)")
                #expect(report["tornBytes"] as? Int ?? 0 == 0, "\(name)")
            }
        }
    }

    /// A daemon at work, 40 MB in the vault that a sweep may take, and a first archive of the policy.
    private func begin(
        _ sizes: [String: Int], state: String, vault: String
    ) throws -> (desk: Desk, daemon: RunningProcess) {
        let daemonWorld = try DaemonWorld(schedule: nil)
        let world = daemonWorld.world
        let disks = try SmallDisks(world, sizes, state: state, vault: vault)
        let desk = Desk(daemonWorld: daemonWorld, disks: disks)
        #expect(try disks.qala("init", "--kit", world.path("kit2.txt")).status == 0)
        let junkFolder = world.path("junk")
        let made = try disks.shell("mkdir \(junkFolder) && head -c 40000000 /dev/urandom > \(junkFolder)/f")
        #expect(made.status == 0)
        let archived = try disks.qala("archive", junkFolder)
        #expect(archived.status == 0, "\(archived.errorText)")
        let listed = try World.object(try disks.qala("archives", "--json"))["archives"] as? [[String: Any]]
        let junk = try #require(listed?.first?["id"] as? String)
        let request = world.path("request")
        #expect(try disks.qala("dispose", junk, "--reason", "ended", "--request", request).status == 0)
        let disposed = try disks.qala("dispose", "--approve", request, "--key-file", world.path("kit2.txt"))
        #expect(disposed.status == 0, "\(disposed.errorText)")

        let binary = URL(filePath: try #require(qalaBinary)).deletingLastPathComponent().appending(path: "qalad").path
        let daemon = try disks.start(
            binary,
            [
                "--policies", world.path("policies"), "--state", world.path(state), "--vault",
                world.path(vault), "--socket", world.path("socket"), "--reserve", "\(Self.reserve >> 20)",
                "--no-discovery",
            ])
        try desk.wait("the daemon") { try disks.qala("status", "--quiet").status == 0 }
        let first = try disks.qala("run", "often")
        #expect(first.status == 0, "\(first.errorText)")
        return (desk, daemon)
    }

    /// The run fails and is told of, the sweep works, and what comes after it is as before.
    private func goThrough(_ desk: Desk, _ daemon: RunningProcess, full: String, reserve: String) throws {
        let (disks, world) = (desk.disks, desk.world)
        let held = try #require(try disks.size(reserve))
        #expect(held[0] == Self.reserve && held[1] * 512 >= Self.reserve, "allocated, and no hole")
        try disks.fill(full)
        try world.write("tree/more", Data((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }))
        let failed = try disks.qala("run", "often")
        #expect(failed.status == 1, "\(failed.outputText) \(failed.errorText)")
        let said = (failed.outputText + failed.errorText).lowercased()
        #expect(said.contains("no space left") || said.contains("is full"), "\(said)")
        try desk.wait("the problem") { try desk.open().contains { $0["policy"] == "often" } }
        #expect(try disks.size(reserve)?.first == 0, "the reserve was given back")
        try desk.checkRegisters()

        // As long as the room is not back no run takes what the sweep needs.
        let refused = try disks.qala("run", "often")
        #expect(refused.status == 1 && (refused.outputText + refused.errorText).contains("reserve was given back"))
        let swept = try disks.qala("sweep", "--json")
        #expect(swept.status == 0, "\(swept.errorText)")
        #expect((try World.object(swept)["deletedBytes"] as? Int ?? 0) > 30_000_000)
        if full == "two" {
            // There a sweep of the vault frees nothing.
            #expect(try disks.shell("rm \(world.path("two"))/filler").status == 0)
        }
        let passed = try disks.qala("run", "often")
        #expect(passed.status == 0, "\(passed.errorText)")
        try desk.wait("the end of the problem") { try desk.open().isEmpty }
        #expect(try disks.size(reserve)?.first == Self.reserve, "the reserve is there again")
        try desk.checkRegisters()
        #expect(try disks.qala("verify", "--read-data").status == 0)
        #expect(try disks.qala("audit", "verify").status == 0)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
    }

    @Test("State and vault on one: a run fails and is told of, a sweep makes room, and the next run closes the problem")
    func oneDisk() throws {
        // One mount for both: the folders of state and vault lie in it.
        let (desk, daemon) = try begin(["disk": 128], state: "disk/state", vault: "disk/vault")
        defer {
            daemon.send(SIGKILL)
            desk.disks.end()
            desk.daemonWorld.remove()
        }
        try goThrough(desk, daemon, full: "disk", reserve: "disk/state/daemon/reserve")
    }

    @Test("The vault on one of its own", arguments: ["one", "two"])
    func twoDisks(full: String) throws {
        let (desk, daemon) = try begin(["one": 128, "two": 96], state: "two/state", vault: "one/vault")
        defer {
            daemon.send(SIGKILL)
            desk.disks.end()
            desk.daemonWorld.remove()
        }
        let reserve = full == "one" ? "one/vault/reserve" : "two/state/daemon/reserve"
        try goThrough(desk, daemon, full: full, reserve: reserve)
    }

    @Test("A spool of WAL on a full disk takes nothing and drops nothing, and goes on when there is room")
    func spool() throws {
        let daemonWorld = try DaemonWorld(schedule: nil)
        defer { daemonWorld.remove() }
        let world = daemonWorld.world
        try daemonWorld.writePolicy("wal", source: "{postgresql-wal: main, batch-segments: 100, batch-time: 1 h}")
        let disks = try SmallDisks(world, ["small": 12], state: "small", vault: "vault")
        defer { disks.end() }
        let binary = URL(filePath: try #require(qalaBinary)).deletingLastPathComponent().appending(path: "qalad").path
        let daemon = try disks.start(
            binary,
            [
                "--policies", world.path("policies"), "--state", world.path("small"), "--vault", world.path("vault"),
                "--socket", world.path("socket"), "--reserve", "0",
            ])
        defer { daemon.send(SIGKILL) }
        try daemonWorld.wait("the daemon") { try disks.qala("status", "--quiet").status == 0 }
        func push(_ number: UInt64) throws -> Finished {
            let name = "0000000100000000" + String(format: "%08X", number)
            try world.write(name, Self.segment(number))
            return try disks.qala("wal", "push", "--socket", world.path("wal.sock"), "--retry", "0", world.path(name))
        }
        func status() throws -> [String: Any] {
            let listed = try World.object(try disks.qala("wal", "status", "--json"))
            return try #require((listed["sources"] as? [[String: Any]])?.first)
        }
        let first = try push(3)
        #expect(first.status == 0, "\(first.errorText)")
        try disks.fill("small")
        let refused = try push(4)
        #expect(refused.status == 1, "\(refused.status) \(refused.errorText)")
        #expect(refused.errorText.lowercased().contains("no space left"), "\(refused.errorText)")
        #expect(try disks.qala("wal", "push", "--retry", "0", "--socket", world.path("wal.sock"), "x").status == 1)
        #expect(try disks.shell("rm \(world.path("small"))/filler").status == 0)
        #expect(try push(4).status == 0)
        #expect(try push(3).status == 0, "the same again")
        let row = try status()
        #expect(row["waiting"] as? Int == 2 && (row["gaps"] as? [Any])?.isEmpty == true, "\(row)")
        #expect((row["lost"] as? [Any])?.isEmpty == true && (row["quarantined"] as? [Any])?.isEmpty == true)
    }

    @Test("A restore that finds no room for one more file ends with that, leaves none half made, and can be completed")
    func restore() throws {
        let world = try World()
        defer { world.remove() }
        for number in 0..<600 { try world.write("tree/\(number)", "\(number)\n") }
        let disks = try SmallDisks(world, ["small": 16], state: "state", vault: "vault")
        defer { disks.end() }
        let (small, back, kit) = (world.path("small"), world.path("small/back"), world.path("kit.txt"))
        #expect(try disks.qala("init", "--kit", kit).status == 0)
        #expect(try disks.qala("archive", world.path("tree")).status == 0)
        // All directories find room, so that it is the making of a file that fails.
        #expect(try disks.shell("mount -o remount,nr_inodes=300 \(small)").status == 0)
        let ended = try disks.qala("restore", "latest", "--to", back, "--key-file", kit)
        #expect(ended.status == 1, "\(ended.outputText) \(ended.errorText)")
        #expect(ended.errorText.contains("cannot make ") && ended.errorText.lowercased().contains("no space left"))
        let half = try disks.shell("find \(back) -type f -perm 1200")
        #expect(half.status == 0 && half.outputText.isEmpty, "\(half.outputText)")
        let whole = try disks.shell("find \(back) -type f | wc -l")
        #expect(Int(whole.outputText.trimmingCharacters(in: .whitespacesAndNewlines)).map { $0 > 200 } == true)
        #expect(try disks.shell("mount -o remount,nr_inodes=10000 \(small)").status == 0)
        let again = try disks.qala(
            "restore", "latest", "--to", back, "--conflict", "skip", "--verify", "--key-file", kit)
        #expect(again.status == 0, "\(again.outputText) \(again.errorText)")
        let compared = try disks.shell("diff -r \(world.path("tree")) \(back)\(world.path("tree"))")
        #expect(compared.status == 0, "\(compared.outputText)")
    }

    /// A segment of one megabyte whose first page is right.
    private static func segment(_ number: UInt64) -> Data {
        let size: UInt64 = 1 << 20
        var bytes = Data(count: Int(size))
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
        return bytes
    }
}
