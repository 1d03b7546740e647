import Domain
import Foundation
import Glibc
import Synchronization
import Testing
import Vault

@testable import Operations

extension ClusterBench {
    /// Into the directory that is there.
    func delta(
        _ target: String, tablespaces: [String: String] = [:], dryRun: Bool = false, verify: Bool = false
    ) throws -> RestoreReport {
        try RestoreCluster.run(
            .init(
                archive: "latest", cluster: "main", target: world.place(target), tablespaces: tablespaces,
                dryRun: dryRun, verify: verify, isDelta: true),
            at: workplace)
    }

    /// Names, kinds, owners, permissions, sizes, times and numbers of everything in a directory.
    func listing(_ name: String) throws -> String {
        try world.shell("cd \(world.place(name)) && find . -printf '%p %y %u %g %m %s %T@ %C@ %i %l\\n' | sort")
    }

    /// What differs between two restored clusters but for the places of their tablespaces.
    func difference(_ a: String, _ b: String) throws -> String {
        let left = "-x pg_tblspc -x tablespace_map"
        let all = try world.shell("diff -r --no-dereference \(left) \(world.place(a)) \(world.place(b)) || true")
        func rights(_ name: String) throws -> String {
            try world.shell(
                "cd \(world.place(name)) && find . -path ./pg_tblspc/\\* -prune -o -printf '%p %y %u %g %m\\n' | sort")
        }
        return all + (try rights(a) == rights(b) ? "" : "\nowners or permissions differ")
    }
}

/// A cluster with a tablespace, archived, stopped and restored twice: `new` to be damaged, `reference` to compare with.
struct DeltaBench {
    let world: PostgreSQLWorld
    let bench: ClusterBench
    /// Of more than a few chunks, below the data directory.
    let large: String
    /// In the tablespace, below its place.
    let spaced: String

    init() throws {
        world = try PostgreSQLWorld()
        try world.start()
        try world.makeDirectory("space")
        try world.sql("CREATE TABLESPACE extra LOCATION '\(world.place("space"))'")
        try world.sql("CREATE TABLE spaced TABLESPACE extra AS SELECT generate_series(1, 20000) AS n")
        try world.sql("CREATE TABLE large AS SELECT generate_series(1, 100000) AS n")
        try world.sql("CREATE TABLE other AS SELECT generate_series(1, 50000) AS n")
        try world.sql("CHECKPOINT")
        bench = try ClusterBench(world)
        let report = try bench.archive(world.source())
        try #require(report.problemCount == 0, "\(report.problems)")
        large = try world.sql("SELECT pg_relation_filepath('large')")
        let path = try world.sql("SELECT pg_relation_filepath('spaced')")
        spaced = path.split(separator: "/").dropFirst(2).joined(separator: "/")
        try world.stop()
        for name in ["new", "reference"] {
            let restored = try bench.restore(name, tablespaces: [world.place("space"): world.place("\(name)-space")])
            try #require(!restored.isPartial, "\(restored.problems)")
        }
    }

    var map: [String: String] { [world.place("space"): world.place("new-space")] }

    func delta(dryRun: Bool = false, verify: Bool = false) throws -> RestoreReport {
        try bench.delta("new", tablespaces: map, dryRun: dryRun, verify: verify)
    }

    func differences() throws -> String {
        try bench.difference("new", "reference") + bench.difference("new-space", "reference-space")
    }

    func patch(_ name: String, at offset: off_t, _ bytes: [UInt8]) throws {
        let file = open(world.place(name), O_WRONLY)
        try #require(file >= 0)
        defer { close(file) }
        try #require(pwrite(file, bytes, bytes.count, offset) == bytes.count)
    }

    func check() throws {
        try world.start("new")
        #expect(try world.sql("SHOW archive_mode", on: "new") == "off")
        #expect(try world.sql("SELECT sum(n) FROM large", on: "new") == "5000050000")
        #expect(try world.sql("SELECT count(*) FROM spaced", on: "new") == "20000")
        try world.check("new")
    }
}

@Suite(
    "PostgreSQL clusters restored over themselves", .serialized,
    .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
struct DeltaRestoreTests {
    @Test("Where nothing is missing nothing is touched but what a restore writes itself")
    func nothingMissing() throws {
        let delta = try DeltaBench()
        func untouched() throws -> [Substring] {
            let own = [
                "./postgresql.auto.conf ", "./global/pg_control ", "./backup_label ", "./tablespace_map ", "./global ",
                ". ", "./pg_tblspc",
            ]
            return try delta.bench.listing("new").split(separator: "\n").filter { line in
                !own.contains { line.hasPrefix($0) }
            }
        }
        let before = try untouched()
        let report = try delta.delta(verify: true)
        #expect(!report.isPartial && report.verified > 500, "\(report.problems)")
        let found = try #require(report.delta)
        #expect(found.kept > 500 && found.missing == 0, "\(found)")
        #expect(
            found.changes.filter { $0.what == .changed }.map(\.path) == [
                delta.world.place("new/postgresql.auto.conf")
            ])
        #expect(
            found.changes.filter { $0.what == .removed }.map(\.path).sorted() == [
                delta.world.place("new/backup_label"), delta.world.place("new/tablespace_map"),
            ])
        #expect(found.bytesWritten < 8192, "\(found.bytesWritten)")
        #expect(try untouched() == before)
        #expect(try delta.differences() == "")
        try delta.check()
    }

    @Test("Whatever happened to its files, the cluster is again what the archive holds; a dry run foretells it")
    func damage() throws {
        let delta = try DeltaBench()
        let world = delta.world
        // One page in the middle, more than there should be, less than there should be, nothing at all, and none.
        try delta.patch("new/\(delta.large)", at: 1 << 20, [UInt8](repeating: 7, count: 8192))
        let names = try world.shell("cd \(world.place("new")) && find base/5 -type f -size 16 | sort | head -5")
            .split(separator: "\n").map(String.init)
        try #require(names.count == 5)
        try world.shell("cd \(world.place("new")) && head -c 9000 /dev/urandom >> \(names[0])")
        try #require(truncate(world.place("new/\(names[1])"), 100) == 0)
        try #require(truncate(world.place("new/\(names[2])"), 0) == 0)
        try #require(unlink(world.place("new/\(names[3])")) == 0)
        // Another name of a file elsewhere, which must keep its content.
        try world.shell("cd \(world.place("new")) && ln \(names[4]) ../elsewhere && printf damage >> \(names[4])")
        let elsewhere = try world.shell("cksum < \(world.place("elsewhere"))")
        // Something else in the place of a directory and of a file, and too much.
        try world.shell(
            """
            cd \(world.place("new")) && rmdir pg_twophase && printf x > pg_twophase
            mv pg_ident.conf pg_ident.was && mkdir -p pg_ident.conf/deep && printf x > pg_ident.conf/deep/er
            mkdir -p base/777/8 && printf x > base/777/8/9 && printf x > base/5/99999999 && ln -s /etc/passwd base/5/link
            ln -s \(world.place("elsewhere-space")) pg_tblspc/99999 && printf 999999 > postmaster.pid && touch standby.signal
            dd if=/dev/zero of=pg_wal/00000001000000000000000F bs=1M count=16 status=none && mkdir pg_wal/archive_status
            mkdir \(world.place("new-space/other")) && printf x > \(world.place("new-space/other/kept"))
            chmod 0777 base/5 && chmod 0644 base/1/PG_VERSION
            """)
        try delta.patch("new-space/\(delta.spaced)", at: 300_000, [1, 2, 3])

        let before = try delta.bench.listing("new")
        let dry = try delta.delta(dryRun: true)
        #expect(try delta.bench.listing("new") == before)
        let foretold = try #require(dry.delta)
        for (what, path) in [
            (DeltaReport.Change.What.changed, delta.large), (.changed, names[0]), (.changed, names[1]),
            (.changed, names[2]), (.missing, names[3]), (.changed, names[4]), (.changed, "pg_twophase"),
            (.changed, "pg_ident.conf"), (.removed, "base/777/8/9"), (.removed, "base/5/99999999"),
            (.removed, "base/5/link"), (.removed, "pg_tblspc/99999"), (.removed, "standby.signal"),
        ] {
            #expect(
                foretold.changes.contains { $0.what == what && $0.path == world.place("new/\(path)") },
                "\(what) \(path)")
        }
        #expect(!foretold.changes.contains { $0.path.contains("other/kept") })

        let report = try delta.delta()
        #expect(!report.isPartial, "\(report.problems)")
        let done = try #require(report.delta)
        #expect(done.changed == foretold.changed && done.removed == foretold.removed, "\(done) \(foretold)")
        // Of the large file one chunk, not all of it.
        #expect(done.bytesWritten < 1 << 20, "\(done.bytesWritten)")
        #expect(try world.shell("cksum < \(world.place("elsewhere"))") == elsewhere)
        #expect(try world.shell("cat \(world.place("new-space/other/kept"))") == "x")
        try world.shell("rm -r \(world.place("new-space/other"))")
        #expect(try delta.differences() == "")
        try delta.check()
    }

    @Test("A cluster that went on after its archive goes back to it, its log elsewhere and a tablespace lost")
    func wentOn() throws {
        let delta = try DeltaBench()
        let world = delta.world
        try world.start("new")
        try world.sql("DROP TABLE other; UPDATE large SET n = 0", on: "new")
        try world.sql("CREATE DATABASE later", on: "new")
        try world.sql("CREATE TABLE more AS SELECT generate_series(1, 1000)", database: "later", on: "new")
        try world.stop("new", mode: "immediate")
        try world.shell(
            """
            mv \(world.place("new/pg_wal")) \(world.place("log")) && ln -s \(world.place("log")) \(world.place("new/pg_wal"))
            rm -r \(world.place("new-space"))
            """)
        let log = try world.shell("cd \(world.place("log")) && find . | sort")
        let report = try delta.delta(verify: true)
        #expect(!report.isPartial, "\(report.problems)")
        // Whose else that log may be, nobody knows: it stays as it is, and the directory gets one of its own.
        #expect(
            try world.shell("test -d \(world.place("new/pg_wal")) && ! test -L \(world.place("new/pg_wal")) && echo so")
                == "so\n")
        #expect(try world.shell("cd \(world.place("log")) && find . | sort") == log)
        try delta.check()
        try world.start("new")
        #expect(try world.sql("SELECT count(*) FROM other", on: "new") == "50000")
        #expect(try world.sql("SELECT count(*) FROM pg_database WHERE datname = 'later'", on: "new") == "0")
    }

    @Test("A tablespace may move; what lies in a place that is not the cluster's is refused")
    func tablespaces() throws {
        let delta = try DeltaBench()
        let world = delta.world
        try world.makeDirectory("foreign")
        try world.shell("printf x > \(world.place("foreign/file"))")
        let before = try delta.bench.listing("new")
        let error = #expect(throws: OperationError.self) {
            try delta.bench.delta("new", tablespaces: [world.place("space"): world.place("foreign")])
        }
        #expect(error?.message.contains("has its tablespace") == true, "\(error?.message ?? "")")
        #expect(try delta.bench.listing("new") == before)
        let moved = try delta.bench.delta("new", tablespaces: [world.place("space"): world.place("moved")])
        #expect(!moved.isPartial, "\(moved.problems)")
        #expect(try delta.bench.difference("moved", "reference-space") == "")
        // Once more, as after a restore that was ended: the link leads there by now.
        #expect(try !delta.bench.delta("new", tablespaces: [world.place("space"): world.place("moved")]).isPartial)
        try delta.check()
    }

    @Test(
        "A copy of a directory never brings its original's tablespace back, nor does one that is named while a server uses it"
    )
    func copied() throws {
        let delta = try DeltaBench()
        let world = delta.world
        let place = world.place("new-space")
        try world.shell("cp -a \(world.place("new")) \(world.place("copy"))")
        // As in a plain copy of the original, whose link leads to where the archive has the tablespace.
        try world.shell("cd \(world.place("copy/pg_tblspc")) && ln -sfn \(world.place("space")) *")
        let before = try delta.bench.listing("space")
        try #require(!before.isEmpty)
        let unnamed = #expect(throws: OperationError.self) { try delta.bench.delta("copy", tablespaces: [:]) }
        #expect(
            unnamed?.kind == .usage && unnamed?.message.contains("is not empty") == true, "\(unnamed?.message ?? "")")
        #expect(try delta.bench.listing("space") == before)
        try world.shell("cd \(world.place("copy/pg_tblspc")) && ln -sfn \(place) *")
        try world.start("new")
        let used = #expect(throws: OperationError.self) { try delta.bench.delta("copy", tablespaces: delta.map) }
        #expect(used?.kind == .inUse && used?.message.contains(place) == true, "\(used?.message ?? "")")
        #expect(try world.sql("SELECT count(*) FROM other", on: "new") == "50000")
        try world.stop("new")
    }

    @Test("A server that runs, another cluster, another version, and no cluster at all are refused and untouched")
    func refused() throws {
        let delta = try DeltaBench()
        let (world, bench) = (delta.world, delta.bench)
        func refuses(_ name: String, _ kind: FailureKind, _ text: String) throws {
            let before = try bench.listing(name)
            for dryRun in [true, false] {
                let error = #expect(throws: OperationError.self) {
                    try bench.delta(name, tablespaces: delta.map, dryRun: dryRun)
                }
                #expect(
                    error?.kind == kind && error?.message.contains(text) == true, "\(name): \(error?.message ?? "")")
            }
            #expect(try bench.listing(name) == before)
        }
        try world.start("new")
        var error = #expect(throws: OperationError.self) { try delta.delta() }
        #expect(error?.kind == .inUse)
        // Its processes tell of it without the file too.
        let file = try world.shell("cat \(world.place("new/postmaster.pid"))")
        try #require(rename(world.place("new/postmaster.pid"), world.place("pid")) == 0)
        error = #expect(throws: OperationError.self) { try delta.delta() }
        #expect(error?.kind == .inUse && file.contains(world.place("new")), "\(error?.message ?? "")")
        try #require(rename(world.place("pid"), world.place("new/postmaster.pid")) == 0)
        #expect(try world.sql("SELECT count(*) FROM large", on: "new") == "100000")
        try world.stop("new")

        try world.run("initdb", ["-D", world.place("foreign")])
        try refuses("foreign", .failed, "another cluster")
        try world.shell("printf '14\\n' > \(world.place("reference/PG_VERSION"))")
        try refuses("reference", .failed, "is of PostgreSQL 14")
        try #require(unlink(world.place("reference/PG_VERSION")) == 0)
        try refuses("reference", .failed, "no PG_VERSION")
        try #require(unlink(world.place("new/global/pg_control")) == 0)
        try refuses("new", .failed, "no global/pg_control")
        try world.makeDirectory("empty")
        try refuses("empty", .failed, "no PG_VERSION")
        #expect(throws: OperationError.self) { try bench.delta("absent") }
        #expect(access(world.place("absent"), F_OK) != 0)
    }

    @Test("One that is interrupted anywhere leaves what no server starts from, and the next completes it")
    func interrupted() throws {
        let delta = try DeltaBench()
        let world = delta.world
        var ended = 0
        for bytes in [1, 200_000, 2 << 20, 8 << 20, 20 << 20] {
            try delta.patch("new/\(delta.large)", at: 1 << 20, [UInt8](repeating: UInt8(ended), count: 8192))
            let workplace = try delta.bench.scratch.workplace(kit: delta.bench.scratch.place("kit"))
            let watcher = try WorkerThread {
                for _ in 0..<100_000 where workplace.progress.bytes.load(ordering: .relaxed) < bytes { usleep(20) }
                workplace.interrupt.set()
            }
            let request = RestoreCluster.Request(
                archive: "latest", cluster: "main", target: world.place("new"), tablespaces: delta.map, isDelta: true)
            do { _ = try RestoreCluster.run(request, at: workplace) } catch let error as OperationError {
                #expect(error.kind == .interrupted, "\(error)")
                #expect(throws: (any Error).self) { try world.start("new") }
                ended += 1
            }
            watcher.join()
        }
        #expect(ended > 0)
        #expect(try !delta.delta().isPartial)
        #expect(access(world.place("new/\(ClusterPlace.controlAside)"), F_OK) != 0)
        #expect(try delta.differences() == "")
        try delta.check()
    }
}
