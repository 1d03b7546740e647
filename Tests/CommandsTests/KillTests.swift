import Foundation
import Glibc
import Testing

/// Whether the longer slices run.
private let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
private let killed: Int32 = 128 + SIGKILL

/// What must hold whenever the process dies: the vault opens, what was acknowledged is there and comes back, and the next
/// run succeeds.
@Suite("kill -9 of the real binary", .serialized)
struct KillTests {
    private static let fast = ["--checkpoint-seconds", "0.02", "--json"]

    @Test("At random moments of runs over tens of megabytes", .enabled(if: qalaBinary != nil))
    func randomMoments() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the moments: \(seed)")
        var generator = SeededGenerator(seed: seed)
        let wanted = isLong ? 400 : 200
        let worldRounds = 20
        var rounds = 0
        var kills = 0
        var resumed = 0
        while kills < wanted, rounds < 2 * wanted {
            var killing = try KillingWorld(files: 1000, largeEvery: 100, inMemory: !isLong)
            defer { killing.world.remove() }
            let span = try killing.measure(&generator)
            // The moments are spread evenly over the run and a little beyond, and come in random order.
            for place in (0..<worldRounds).shuffled(using: &generator) {
                let part = (Double(place) + Double.random(in: 0..<1, using: &generator)) / Double(worldRounds)
                let moment = span * 1.1 * part
                rounds += 1
                try killing.tree.change(percent: 20, using: &generator)
                let run = try killing.world.start(["archive", "tree"] + Self.fast)
                usleep(UInt32(moment * 1_000_000))
                run.send(SIGKILL)
                let ended = try run.wait()
                #expect(ended.status == killed || ended.status == 0, "seed \(seed): \(ended.errorText)")
                if ended.status == killed { kills += 1 } else { try killing.acknowledge(ended) }
                if try killing.goOn("seed \(seed), moment \(moment)") { resumed += 1 }
            }
            try killing.checkEverything("seed \(seed)")
        }
        #expect(kills >= wanted, "only \(kills) of \(rounds) runs were killed")
        #expect(resumed * 10 >= rounds, "only \(resumed) of \(rounds) runs had something to resume")
    }

    @Test("At every call of a small run that changes files", .enabled(if: qalaBinary != nil))
    func everyCall() throws {
        let workshop = try World()
        defer { workshop.remove() }
        let shim = try KillShim.build(in: workshop.folder)
        let files = isLong ? 20 : 5
        var killing = try KillingWorld(files: files, largeEvery: 5, inMemory: true)
        defer { killing.world.remove() }
        var generator = SeededGenerator(seed: 7)
        let command = ["archive", "tree", "--checkpoint-seconds", "0.001", "--json"]
        var call = 1
        var resumed = 0
        while true {
            try killing.tree.change(percent: 60, using: &generator)
            let run = try killing.world.qala(command, shim: shim, killedAt: call)
            if run.status != killed {
                try killing.acknowledge(run)
                break
            }
            if try killing.goOn("call \(call)") { resumed += 1 }
            // A long log would make each round slower than the one before.
            if call % 40 == 0 {
                try killing.checkEverything("call \(call)")
                killing.world.remove()
                killing = try KillingWorld(files: files, largeEvery: 5, inMemory: true)
            }
            call += 1
        }
        print("calls killed: \(call)")
        #expect(call > 60, "a run makes more calls than \(call)")
        #expect(resumed > 10)
        try killing.checkEverything("all calls")
    }

    @Test(
        "At every call of init: there is a vault and its kit opens it, or there is none",
        .enabled(if: qalaBinary != nil))
    func initialization() throws {
        let workshop = try World()
        defer { workshop.remove() }
        let shim = try KillShim.build(in: workshop.folder)
        var call = 1
        var vaults = 0
        while true {
            let world = try World(inMemory: true)
            defer { world.remove() }
            try world.write("tree/a", "a\n")
            let command = ["init", "--write-only-host", "--kit", "kit.txt"]
            let run = try world.qala(command, shim: shim, killedAt: call)
            if run.status != killed {
                #expect(run.status == 0, "\(run.errorText)")
                break
            }
            let listed = try world.qala("archives")
            // Under its name a kit is whole; in memory, where files need no name, nothing of it is under another one.
            let kit = try? String(contentsOf: world.url("kit.txt"), encoding: .utf8)
            #expect(kit?.contains("QALA1-") ?? true, "call \(call)")
            let names = try FileManager.default.contentsOfDirectory(atPath: world.folder.path)
            let isInMemory = world.folder.path.hasPrefix("/dev/shm")
            #expect(!isInMemory || !names.contains { $0.hasPrefix("kit.txt.") }, "call \(call): \(names)")
            if listed.status == 0 {
                // With no other key than the kit, a vault without it would be lost.
                vaults += 1
                #expect(try world.qala("archive", "tree").status == 0, "call \(call)")
                #expect(
                    try world.qala(["cat", "latest:" + world.path("tree/a")] + World.byKit).outputText == "a\n",
                    "call \(call)")
            } else {
                #expect(listed.status == 10, "call \(call): \(listed.errorText)")
                try? FileManager.default.removeItem(at: world.url("vault"))
                try? FileManager.default.removeItem(at: world.url("kit.txt"))
                #expect(try world.qala(command).status == 0, "call \(call)")
            }
            call += 1
        }
        #expect(call > 20 && vaults > 0, "\(call) calls, \(vaults) vaults")
    }

    @Test(
        "At every call of a key change: the old key opens, and a new one that counts is whole",
        .enabled(if: qalaBinary != nil))
    func keyChanges() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        let shim = try KillShim.build(in: world.folder)
        try world.write("tree/a", "a\n")
        #expect(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        #expect(try world.qala("archive", "tree").status == 0)
        var call = 1
        while true {
            let file = "key-\(call)"
            let before = try keyCount(world)
            let run = try world.qala(["key", "add", "file", "--to", file] + World.byKit, shim: shim, killedAt: call)
            let after = try keyCount(world)
            #expect(try world.qala(["key", "test"] + World.byKit).status == 0, "call \(call)")
            if after > before { #expect(try world.qala("key", "test", "--key-file", file).status == 0, "call \(call)") }
            if run.status != killed {
                #expect(run.status == 0 && after == before + 1, "\(run.errorText)")
                break
            }
            call += 1
        }
        #expect(call > 8)
        #expect(try world.qala(["verify", "--read-data"] + World.byKit).status == 0)
    }

    @Test("At every call of a restore: it can be done again over what is there", .enabled(if: qalaBinary != nil))
    func restores() throws {
        let killing = try KillingWorld(files: 12, largeEvery: 6, inMemory: true)
        defer { killing.world.remove() }
        let world = killing.world
        let shim = try KillShim.build(in: world.folder)
        #expect(try world.qala("archive", "tree").status == 0)
        var call = 1
        // Each call of the whole range in the long slice, every third otherwise.
        let step = isLong ? 1 : 3
        while true {
            let command = ["restore", "latest", "--to", "back"] + World.byKit
            let run = try world.qala(command, shim: shim, killedAt: call)
            // What is whole may stay; what is not must not pass for it.
            let way = call % 2 == 0 ? "skip" : "overwrite"
            let again = try world.qala(command + ["--conflict", way, "--verify"])
            #expect(again.status == 0, "call \(call), \(way): \(again.errorText)")
            let difference = killing.tree.difference(killing.tree.state, in: world.url("back" + world.path("tree")))
            #expect(difference == nil, "call \(call)")
            try FileManager.default.removeItem(at: world.url("back"))
            if run.status != killed { break }
            call += step
        }
        #expect(call > 30)
    }

    private func keyCount(_ world: World) throws -> Int {
        let keys = try World.object(try world.qala("key", "list", "--json"))["keys"] as? [Any]
        return try #require(keys).count
    }
}

/// A vault, a tree that changes, and what was acknowledged of it.
private struct KillingWorld {
    let world: World
    var tree: GeneratedTree
    private var acknowledged: [(id: String, state: GeneratedTree.State)] = []

    init(files: Int, largeEvery: Int, inMemory: Bool = false) throws {
        world = try World(inMemory: inMemory)
        tree = try GeneratedTree(at: world.url("tree"), files: files, largeEvery: largeEvery)
        try #require(try world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
    }

    /// Seconds that a run takes like those that will be killed.
    mutating func measure(_ generator: inout SeededGenerator) throws -> Double {
        try acknowledge(try world.qala("archive", "tree", "--json"))
        try tree.change(percent: 20, using: &generator)
        let clock = ContinuousClock()
        let start = clock.now
        try acknowledge(try world.qala("archive", "tree", "--checkpoint-seconds", "0.02", "--json"))
        return (clock.now - start) / .seconds(1)
    }

    /// Notes a run that said that it was done.
    mutating func acknowledge(_ run: Finished) throws {
        #expect(run.status == 0, "\(run.errorText)")
        let id = try World.object(run)["archive"] as? String
        acknowledged.append((try #require(id), tree.state))
    }

    /// After a death: everything acknowledged is still listed, the next run succeeds, and its archive comes
    /// back. Returns whether the run went on from a checkpoint.
    mutating func goOn(_ place: String) throws -> Bool {
        let rows = try #require(try World.object(try world.qala("archives", "--json"))["archives"] as? [[String: Any]])
        let listed = Set(rows.compactMap { $0["id"] as? String })
        #expect(rows.allSatisfy { $0["files"] != nil }, "\(place): the catalog lacks an archive of its own host")
        for (id, _) in acknowledged { #expect(listed.contains(id), "\(place): \(id) is gone") }
        let next = try world.qala("archive", "tree", "--json")
        #expect(next.status == 0, "\(place): \(next.errorText)")
        try acknowledge(next)
        if let newest = acknowledged.last { try checkRestore(newest, place) }
        return try World.object(next)["resumed"] as? Bool == true
    }

    private func checkRestore(_ archive: (id: String, state: GeneratedTree.State), _ place: String) throws {
        defer { try? FileManager.default.removeItem(at: world.url("back")) }
        let restored = try world.qala(["restore", archive.id, "--to", "back"] + World.byKit)
        #expect(restored.status == 0, "\(place): \(restored.errorText)")
        let difference = tree.difference(archive.state, in: world.url("back" + world.path("tree")))
        #expect(difference == nil, "\(place), archive \(archive.id)")
    }

    /// The whole vault verifies, with every chunk read, and archives from its beginning to its end come back.
    func checkEverything(_ place: String) throws {
        let verified = try world.qala(["verify", "--read-data"] + World.byKit)
        #expect(verified.status == 0, "\(place): \(verified.outputText)\(verified.errorText)")
        #expect(try world.qala("verify", "--without-keys").status == 0, "\(place)")
        for archive in acknowledged.enumerated() where archive.offset % 8 == 0 {
            try checkRestore(archive.element, place)
        }
    }
}
