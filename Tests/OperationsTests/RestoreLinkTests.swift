import Collectors
import Domain
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Operations

/// Puts links in the place of names, again and again, as whoever owns a directory can, and what was there back.
private final class LinkPlanter: Sendable {
    private let over = InterruptFlag()
    private let planted = Mutex(0)
    private let places: [String]
    private let elsewhere: String
    private let done = DispatchSemaphore(value: 0)

    /// Each link leads to what has the last part of its own name in `elsewhere`.
    init(_ places: [String], leadingTo elsewhere: String) {
        self.places = places
        self.elsewhere = elsewhere
        Thread { [self] in
            while !over.isSet { for place in places { plant(place) } }
            done.signal()
        }.start()
    }

    private func plant(_ place: String) {
        let aside = place + ".aside"
        let wasThere = rename(place, aside) == 0
        let name = place.split(separator: "/").last.map(String.init) ?? ""
        if symlink("\(elsewhere)/\(name)", place) == 0 {
            planted.withLock { $0 += 1 }
            usleep(UInt32.random(in: 20...2000))
            unlink(place)
        }
        if wasThere { rename(aside, place) }
        usleep(UInt32.random(in: 20...500))
    }

    /// How often it did.
    func end() -> Int {
        over.set()
        done.wait()
        return planted.withLock { $0 }
    }
}

@Suite(
    "PostgreSQL clusters restored where others plant links", .serialized,
    .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
struct RestoreLinkTests {
    private static let folders = ["pg_wal", "global", "base", "pg_tblspc", "qala-wal"]
    private static let files = [
        "backup_label", "tablespace_map", "postgresql.auto.conf", "standby.signal", "recovery.signal", "PG_VERSION",
    ]

    /// What nothing may change: a folder or a file for each of the names, and of two files nothing.
    private func makeElsewhere(_ world: PostgreSQLWorld) throws {
        let folders = (Self.folders + ["new", "new-space"]).joined(separator: " ")
        try world.shell(
            """
            mkdir \(world.place("elsewhere")) && cd \(world.place("elsewhere")) && mkdir \(folders)
            for name in */; do echo kept > "$name/kept"; done
            for name in \(Self.files.dropLast(2).joined(separator: " ")); do echo kept > "$name"; done
            """)
    }

    @Test("Links in the place of what a restore writes or removes are replaced, and what they lead to stays as it is")
    func planted() throws {
        let delta = try DeltaBench()
        let world = delta.world
        try makeElsewhere(world)
        let before = try delta.bench.listing("elsewhere")
        for name in ["pg_wal", "base", "qala-wal"] + Self.files where name != "PG_VERSION" {
            try world.shell(
                """
                cd \(world.place("new")) && rm -rf \(name) && ln -s \(world.place("elsewhere"))/\(name) \(name)
                """)
        }
        let report = try delta.delta(verify: true)
        #expect(!report.isPartial, "\(report.problems)")
        #expect(try delta.bench.listing("elsewhere") == before)
        #expect(try world.shell("find \(world.place("new")) -type l ! -path '*/pg_tblspc/*'") == "")
        try delta.check()
    }

    @Test(
        "Links that are planted while it works lead a restore nowhere, neither over a cluster nor into an empty directory"
    )
    func raced() throws {
        let delta = try DeltaBench()
        let world = delta.world
        try makeElsewhere(world)
        let before = try delta.bench.listing("elsewhere")
        let names = ["new", "new-space"]
        try world.shell(
            "cd \(world.path) && for name in \(names.joined(separator: " ")); do cp -a $name honest-$name; done")
        var planted = 0
        for round in 0..<6 {
            // The directories themselves and what lies in the one of the cluster are another's in turn, and in the last rounds
            // there are none. In the first ones the tablespace begins with nothing in its place.
            let inside = (Self.folders + Self.files).map { world.place("new/\($0)") }
            for name in names.flatMap({ [$0, $0 + ".aside"] }) {
                try? FileManager.default.removeItem(atPath: world.place(name))
            }
            if round < 4 {
                try world.shell("cd \(world.path) && cp -a honest-new new && rm -rf new/base/* new/pg_wal/0*")
            }
            if round == 2 || round == 3 { try world.shell("cd \(world.path) && cp -a honest-new-space new-space") }
            let planter = LinkPlanter(
                round % 2 == 0 ? inside : names.map { world.place($0) }, leadingTo: world.place("elsewhere"))
            // It may fail, or say what it could not do.
            if round < 4 {
                _ = try? delta.delta(verify: true)
            } else {
                _ = try? delta.bench.restore("new", tablespaces: delta.map)
            }
            planted += planter.end()
            let after = try delta.bench.listing("elsewhere")
            #expect(after == before, "round \(round): \(after.split(separator: "\n").filter { !before.contains($0) })")
        }
        #expect(planted > 0)
    }
}

@Suite("MariaDB servers restored where others plant links", .enabled(if: MariaDBServer.isInstalled), .serialized)
struct ReplayLinkTests {
    private func listing(_ path: String) throws -> String {
        try MariaDBServer.run("/usr/bin/find", [path, "-printf", "%p %y %u %g %m %s %T@ %C@ %i %l\\n"])
    }

    @Test(
        "A link that another account made is no target, though it leads to an empty directory",
        .enabled(if: geteuid() == 0))
    func foreign() throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        let (back, empty) = (bench.scratch.place("back"), bench.scratch.place("empty"))
        try #require(mkdir(empty, 0o755) == 0 && symlink(empty, back) == 0 && lchown(back, 65534, 65534) == 0)
        let before = try listing(empty)
        let request = RestoreServer.Request(archive: archive, server: "main", target: back)
        for recovery in [nil, BinaryLogTarget.latest] {
            var request = request
            request.recovery = recovery
            let error = #expect(throws: CollectorError.self) { try RestoreServer.run(request, at: bench.workplace) }
            #expect(error?.message.contains("link of another account") == true, "\(error?.message ?? "")")
        }
        #expect(try listing(empty) == before)
        try #require(lchown(back, 0, 0) == 0)
        _ = try RestoreServer.run(request, at: bench.workplace)
        #expect(access("\(empty)/xtrabackup_checkpoints", F_OK) == 0)
    }

    @Test("Links that are planted while it works lead a restore nowhere", arguments: [true, false])
    func raced(isReplayed: Bool) throws {
        let bench = try ReplayBench()
        let archive = try bench.archive()
        try bench.server.query("INSERT INTO shop.t VALUES (101)")
        try bench.archive()
        let elsewhere = bench.scratch.place("elsewhere")
        try #require(mkdir(elsewhere, 0o755) == 0)
        // Those without entries may be meant: the links are this account's own.
        for name in ["back", "qala-unfinished", "mysql", "shop"] {
            try #require(mkdir("\(elsewhere)/\(name)", 0o755) == 0)
            try bench.scratch.write("elsewhere/\(name)/kept", "kept")
        }
        let before = try listing(elsewhere)
        var planted = 0
        for round in 0..<4 {
            let back = bench.scratch.place("back")
            _ = try MariaDBServer.run("/bin/rm", ["-rf", back, back + ".aside"])
            let below = ["qala-unfinished", "mysql", "shop", "ibdata1"].map { "\(back)/\($0)" }
            let planter = LinkPlanter(round % 2 == 0 ? below : [back], leadingTo: elsewhere)
            if isReplayed {
                _ = try? bench.restore(archive, .latest, to: "back")
            } else {
                let request = RestoreServer.Request(archive: archive, server: "main", target: back)
                _ = try? RestoreServer.run(request, at: bench.workplace)
            }
            planted += planter.end()
            #expect(try listing(elsewhere) == before, "round \(round)")
        }
        #expect(planted > 0)
    }
}
