import Collectors
import Domain
import Foundation
import Glibc
import Synchronization
import Testing
import Vault

@testable import Operations

/// What a restore finds that is neither a cluster nor nothing, or that it cannot change.
@Suite(
    "PostgreSQL clusters restored over what is in the way", .serialized,
    .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
struct DeltaObstacleTests {
    @Test("What a restore into an empty directory left is completed with its tablespaces, and is nobody else's")
    func begun() throws {
        let delta = try DeltaBench()
        let (world, bench) = (delta.world, delta.bench)
        let space = world.place("begun-space")
        let map = [world.place("space"): space]
        func restore() throws -> RestoreReport { try bench.restore("begun", tablespaces: map) }
        let base = world.place("begun/base")
        var ended: OperationError?
        // A small cluster may be whole before the interrupt is seen: then again.
        for _ in 0..<30 where ended == nil {
            for place in [world.place("begun"), space] { try? FileManager.default.removeItem(atPath: place) }
            let workplace = try bench.scratch.workplace(kit: bench.scratch.place("kit"))
            let watcher = try WorkerThread {
                var looks = 0
                while DirectoryContent.isEmpty(base), looks < 200_000 {
                    usleep(50)
                    looks += 1
                }
                workplace.interrupt.set()
            }
            let request = RestoreCluster.Request(
                archive: "latest", cluster: "main", target: world.place("begun"), tablespaces: map)
            do { _ = try RestoreCluster.run(request, at: workplace) } catch let error as OperationError {
                ended = error
            }
            watcher.join()
        }
        #expect(ended?.kind == .interrupted && ended?.hint.contains("--delta") == true, "\(ended?.hint ?? "")")
        #expect(throws: (any Error).self) { try world.start("begun") }

        // As long as it is not whole only the account that restores may look into it.
        func names() throws -> Set<String> {
            Set(try FileManager.default.subpathsOfDirectory(atPath: world.place("begun")))
        }
        let before = try names()
        let refused = #expect(throws: OperationError.self) { try restore() }
        #expect(refused?.message.contains("ended before its time") == true, "\(refused?.message ?? "")")
        #expect(refused?.hint.contains("--delta") == true)
        // Another cluster's is not taken for it, and a mark that says nothing for none.
        let mark = world.place("begun/\(ClusterPlace.controlAside)")
        let bytes = try Data(contentsOf: URL(filePath: mark))
        try delta.patch("begun/\(ClusterPlace.controlAside)", at: 0, [bytes[0] ^ 1])
        let foreign = #expect(throws: OperationError.self) { try bench.delta("begun", tablespaces: map) }
        #expect(foreign?.message.contains("another cluster") == true, "\(foreign?.message ?? "")")
        try #require(truncate(mark, 7) == 0)
        #expect(throws: OperationError.self) { try bench.delta("begun", tablespaces: map) }
        let plain = #expect(throws: OperationError.self) { try restore() }
        #expect(plain?.hint.contains("--delta") == false && plain?.message.contains("is not empty") == true)
        try bytes.write(to: URL(filePath: mark))
        // One that works there still is no remainder.
        let lock = open(world.place("begun"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        let used = #expect(throws: OperationError.self) { try restore() }
        #expect(used?.kind == .inUse, "\(used?.message ?? "")")
        close(lock)
        #expect(try names() == before)

        let report = try bench.delta("begun", tablespaces: map, verify: true)
        #expect(!report.isPartial, "\(report.problems)")
        #expect(access(mark, F_OK) != 0)
        #expect(try bench.difference("begun", "reference") + bench.difference("begun-space", "reference-space") == "")
        try world.start("begun")
        #expect(try world.sql("SELECT count(*) FROM spaced", on: "begun") == "20000")
        try world.check("begun")
    }

    @Test("A link in the place of `global` is refused and told as that, by a dry run too, and the cluster still starts")
    func linkedGlobal() throws {
        let delta = try DeltaBench()
        let world = delta.world
        try world.shell("cd \(world.place("new")) && mv global ../moved && ln -s ../moved global")
        let before = try delta.bench.listing("moved")
        for dryRun in [true, false] {
            let error = #expect(throws: OperationError.self) { try delta.delta(dryRun: dryRun) }
            #expect(error?.message.hasSuffix("global is a link") == true, "\(error?.message ?? "")")
            #expect(error?.hint.hasPrefix("Nothing was changed.") == true, "\(error?.hint ?? "")")
        }
        #expect(try delta.bench.listing("moved") == before)
        try world.start("new")
        #expect(try world.sql("SELECT sum(n) FROM large", on: "new") == "5000050000")
    }

    @Test(
        "A link in the place of a tablespace is refused, by a dry run too; the directory that it leads to may be named")
    func linkedSpace() throws {
        let delta = try DeltaBench()
        let (world, bench) = (delta.world, delta.bench)
        // Of this account, and so one that an empty place may be.
        try #require(rename(world.place("new-space"), world.place("moved")) == 0)
        try #require(symlink(world.place("moved"), world.place("new-space")) == 0)
        let before = try bench.listing("new") + bench.listing("moved")
        for dryRun in [true, false] {
            let error = #expect(throws: OperationError.self) { try delta.delta(dryRun: dryRun) }
            #expect(
                error?.kind == .failed && error?.message.contains("new-space is a link") == true,
                "\(error?.message ?? "")")
            #expect(error?.hint.hasPrefix("Nothing was changed.") == true, "\(error?.hint ?? "")")
        }
        #expect(try bench.listing("new") + bench.listing("moved") == before)
        try delta.patch("moved/\(delta.spaced)", at: 300_000, [1, 2, 3])
        let report = try bench.delta("new", tablespaces: [world.place("space"): world.place("moved")])
        #expect(!report.isPartial, "\(report.problems)")
        #expect(try bench.difference("moved", "reference-space") == "")
        try delta.check()
    }

    @Test(
        "Another directory that takes a tablespace's place meanwhile stays as it is; the restore ends, and no server starts"
    )
    func exchanged() throws {
        let delta = try DeltaBench()
        let (world, bench) = (delta.world, delta.bench)
        let (place, held, other) = (world.place("new-space"), world.place("held"), world.place("other"))
        // What the archive would remove, and what it would change.
        try world.shell(
            """
            cd \(world.path) && cp -a new-space other && echo kept > "$(echo other/PG_*)/kept" && rm -rf new/base/*
            """)
        try delta.patch("other/\(delta.spaced)", at: 300_000, [4, 5, 6])
        try delta.patch("new-space/\(delta.spaced)", at: 300_000, [1, 2, 3])
        /// All but the directory itself, which is renamed.
        func content(_ name: String) throws -> [Substring] {
            try bench.listing(name).split(separator: "\n").filter { !$0.hasPrefix(". ") }
        }
        let before = try content("other")
        let workplace = try bench.scratch.workplace(kit: bench.scratch.place("kit"))
        let watcher = try WorkerThread {
            for _ in 0..<100_000 where workplace.progress.bytes.load(ordering: .relaxed) < 1 { usleep(20) }
            rename(place, held)
            rename(other, place)
        }
        let error = #expect(throws: OperationError.self) {
            try RestoreCluster.run(
                .init(
                    archive: "latest", cluster: "main", target: world.place("new"), tablespaces: delta.map,
                    isDelta: true),
                at: workplace)
        }
        watcher.join()
        #expect(
            error?.kind == .failed && error?.message.hasPrefix("\(place) no longer leads") == true,
            "\(error?.message ?? "")")
        #expect(error?.hint.contains("No server starts") == true, "\(error?.hint ?? "")")
        #expect(throws: (any Error).self) { try world.start("new") }
        #expect(try content("new-space") == before)
        #expect(try bench.difference("held", "reference-space") == "")
        try #require(rename(place, other) == 0 && rename(held, place) == 0)
        #expect(try !delta.delta(verify: true).isPartial)
        #expect(try delta.differences() == "")
        try delta.check()
    }

    /// Gives a file the attribute with which nobody may change it, or takes it away.
    private static func chattr(_ flag: String, _ path: String) throws -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/chattr")
        process.arguments = [flag, path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    private static let hasImmutable: Bool = {
        var template = Array("/tmp/qala-immutable-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { return false }
        close(file)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        guard (try? chattr("+i", path)) == true else { return false }
        return (try? chattr("-i", path)) == true
    }()

    @Test(
        "What cannot be removed is told with its path and why, and nobody else is blamed",
        .enabled(if: DeltaObstacleTests.hasImmutable, "this account, or /tmp, makes no file immutable"))
    func immutable() throws {
        let delta = try DeltaBench()
        let world = delta.world
        // One too much, one in the place of a directory, one in a directory in the place of a file.
        let names = ["base/5/99999999", "pg_twophase", "pg_ident.conf/deep"].map { world.place("new/\($0)") }
        try world.shell(
            """
            cd \(world.place("new")) && rmdir pg_twophase && rm pg_ident.conf && mkdir pg_ident.conf
            touch base/5/99999999 pg_twophase pg_ident.conf/deep
            """)
        defer { for name in names { _ = try? Self.chattr("-i", name) } }
        for name in names { try #require(try Self.chattr("+i", name)) }
        let report = try delta.delta()
        let told = report.problems.map { "\($0.path) \($0.reason)" }
        #expect(report.isPartial && !told.contains { $0.contains("somebody else") }, "\(told)")
        for name in names {
            #expect(told.contains { $0.hasPrefix("\(name) ") && $0.hasSuffix("Operation not permitted") }, "\(told)")
        }
        #expect(told.contains { $0.hasPrefix("\(names[1]) could not take the place") }, "\(told)")
        #expect(access(world.place("new/global/pg_control"), F_OK) != 0)
        for name in names { #expect(try Self.chattr("-i", name)) }
        #expect(try !delta.delta().isPartial)
        #expect(try delta.differences() == "")
    }
}
