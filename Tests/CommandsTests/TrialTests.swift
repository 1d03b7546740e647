import Foundation
import Glibc
import Testing

/// What commands that work without the daemon tell the register of problems.
@Suite("Problems of commands", .serialized, .enabled(if: qalaBinary != nil))
struct TrialTests {
    private static func open(_ world: World) throws -> [String] {
        let listed = try world.qala("register", "problems", "list", "--open", "--json")
        let rows = try #require(try World.object(listed)["rows"] as? [[String: Any]], "\(listed.errorText)")
        return rows.compactMap { $0["fields"] as? [String: String] }
            .map { "\($0["kind"] ?? "?") \($0["policy"] ?? "")" }.sorted()
    }

    private static func pack(_ world: World) throws -> URL {
        let base = world.url("vault/packs")
        let packs = try FileManager.default.subpathsOfDirectory(atPath: base.path).map { base.appending(path: $0) }
        return try #require(
            packs.first { (try? $0.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true })
    }

    /// The same once more mends it.
    private static func flip(_ file: URL) throws {
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: file)
    }

    @Test(
        "A policy that a command runs in vain is a problem until a run of it passes, also beside a daemon, and also of the daemon's"
    )
    func runs() throws {
        let desk = try DaemonWorld(schedule: nil)
        defer { desk.remove() }
        let world = desk.world
        func run() throws -> Int32 { try world.qala("run", "policies/often.yaml").status }
        #expect(try run() == 0)
        #expect(access(world.path("state/registers/told"), F_OK) != 0, "what passes and closes nothing is not told")
        try FileManager.default.moveItem(at: world.url("tree"), to: world.url("away"))
        #expect(try world.qala("run", "policies/often.yaml", "--dry-run").status != 0)
        #expect(try world.qala("run", "policies/none.yaml").status != 0)
        #expect(try Self.open(world).isEmpty, "nothing was tried yet")
        #expect(try run() != 0)
        #expect(try run() != 0)
        #expect(try Self.open(world) == ["failed often"])
        try FileManager.default.moveItem(at: world.url("away"), to: world.url("tree"))
        #expect(try run() == 0)
        #expect(try Self.open(world).isEmpty)
        let told = try FileManager.default.contentsOfDirectory(atPath: world.path("state/registers/told"))
        #expect(told.isEmpty, "what was taken over is gone")

        let daemon = try desk.start()
        defer { daemon.send(SIGKILL) }
        try desk.waitUntilUp()
        try FileManager.default.moveItem(at: world.url("tree"), to: world.url("away"))
        #expect(try run() != 0)
        try desk.wait("the problem") { try Self.open(world) == ["failed often"] }
        #expect(try desk.ask("run", "often").status == 1)
        #expect(try Self.open(world) == ["failed often"], "one and the same")
        try FileManager.default.moveItem(at: world.url("away"), to: world.url("tree"))
        #expect(try desk.ask("run", "often").status == 0)
        #expect(try Self.open(world).isEmpty)
        daemon.send(SIGTERM)
        #expect(try daemon.wait().status == 0)
        #expect(try world.qala("register", "problems", "list").status == 0, "the chain holds")
    }

    @Test("Damage that a verification finds is a problem until one that goes as deep passes; a wrong key is none")
    func verifications() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        try world.write("tree/a", "hello\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        try world.write("wrong", "not the passphrase\n")
        chmod(world.path("wrong"), 0o600)
        #expect(try world.qala("verify", "--read-data", "--passphrase-file", "wrong").status == 12)
        #expect(try world.qala("verify", "--vault", "nowhere").status == 10)
        #expect(try Self.open(world).isEmpty)
        let (content, stored) = (
            "damage verification (content) of \(world.path("vault"))",
            "damage verification (stored) of \(world.path("vault"))"
        )
        let pack = try Self.pack(world)
        try Self.flip(pack)
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 13)
        #expect(try Self.open(world) == [content])
        #expect(try world.qala("verify", "--without-keys").status == 13)
        #expect(try Self.open(world) == [content, stored])
        try Self.flip(pack)
        #expect(try world.qala(["verify"] + World.byKit).status == 0)
        #expect(try world.qala(["verify", "--sample", "50%"] + World.byKit).status == 0)
        #expect(try Self.open(world) == [content, stored], "a sample proves nothing of the rest")
        #expect(try world.qala("verify", "--without-keys").status == 0)
        #expect(try Self.open(world) == [content])
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
        #expect(try Self.open(world).isEmpty)
    }

    @Test(
        "A volume that is not what was written is a problem until it verifies, and one that is registered stays no notice"
    )
    func volumes() throws {
        let volume = try VolumeWorld { try $0.write("tree/a", "a\n") }
        let world = volume.world
        defer { world.remove() }
        try volume.write()
        let id = try #require(try World.object(try volume.verify())["volume"] as? String)
        let name = try #require(try volume.names.first { $0.hasPrefix("archives/") })
        try Self.flip(world.url("volume/\(name)"))
        #expect(try volume.verify().status == 13)
        #expect(try Self.open(world) == ["damage verification (stored) of volume \(id)"])
        let compared = try World.object(try world.qala("reconcile", "--json"))
        let notices = compared["notices"] as? [[String: Any]] ?? []
        #expect(!notices.contains { $0["kind"] as? String == "problemOutOfForce" })
        try Self.flip(world.url("volume/\(name)"))
        #expect(try volume.verify("--secret", "secret").status == 0)
        #expect(try Self.open(world).isEmpty)
    }
}
