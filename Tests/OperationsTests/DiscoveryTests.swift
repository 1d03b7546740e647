import Collectors
import Domain
import Foundation
import Glibc
import TestSupport
import Testing
import Vault

@testable import Operations

/// Looks at real servers and at places of a test's own; nothing else of the machine that tests.
private struct Looking {
    static func question(
        _ places: HostPlaces, _ policies: [Policy] = [], remembered: [FoundSource] = [], patience: Double = 120
    ) -> SourceSearch.Question {
        SourceSearch.Question(
            places: places, policies: policies, remembered: remembered, leftOut: [], excludes: .none,
            patience: patience)
    }

    static func look(
        _ places: HostPlaces, _ policies: [Policy] = [], remembered: [FoundSource] = []
    ) -> SearchOutcome {
        SourceSearch().look(question(places, policies, remembered: remembered), interrupt: InterruptFlag())
    }

    static func policy(_ name: String, _ data: [DataSource]) -> Policy {
        var policy = Policy(name: name, component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = data
        return policy
    }

    /// Root, or whoever tests.
    static var account: String { getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "nobody" }
}

@Suite("Sources of a host")
struct DiscoveryTests {
    @Test("Of very many sources a bounded number is kept, what was left out is told, and the book can be read again")
    func bounded() throws {
        var outcome = SearchOutcome()
        let folder = "/var/lib/" + String(repeating: "d", count: 1000)
        for number in 0...SearchOutcome.sourceLimit {
            outcome.add(FoundSource(.sqlite, at: "\(folder)/\(number).db"), [])
        }
        #expect(outcome.found.count == SearchOutcome.sourceLimit && outcome.problems.count == 1 && !outcome.isWhole)
        let book = SourceBook(
            sources: outcome.found, unplanned: outcome.found.map { .init($0.identity, "") })
        #expect(try JSONEncoder().encode(book).count < SourceBook.limit)
    }

    @Test(
        "A PostgreSQL cluster is found while it runs, with its databases, by its policy, and when it was stopped",
        .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
    func cluster() throws {
        let world = try PostgreSQLWorld()
        try world.start()
        try world.sql("CREATE DATABASE \"a'b\nc\"")
        try world.sql("CREATE TABLE t AS SELECT generate_series(1, 100000) AS n")
        let places = HostPlaces(trees: [world.path], postgreSQLSockets: [world.socket()])
        let planned = Looking.policy("db", [.postgresql(world.source())])
        let outcome = Looking.look(places, [planned])
        #expect(outcome.isWhole, "\(outcome.problems)")
        let found = try #require(outcome.found.first)
        #expect(outcome.found.count == 1 && found.kind == .postgresql && found.place == world.place("data"))
        #expect(found.version?.hasPrefix("15.") == true && found.isRunning == true)
        #expect(found.socket == world.socket() && found.port == 5432)
        #expect(found.databases?.map(\.name) == ["a'b\nc", "postgres"])
        #expect(found.databases?.last?.bytes ?? 0 > 3_000_000)
        #expect(outcome.plans[found.identity] == [.init(policy: "db", isAsFiles: false)])
        #expect(outcome.findings(remembered: [found.remembered]).isEmpty)

        // Another version than the one that was seen, and no policy: one look finds both.
        var older = found.remembered
        older.version = "14.9"
        let drift = Looking.look(places, remembered: [older]).findings(remembered: [older])
        #expect(drift.map(\.kind) == [.unplanned, .changed])
        #expect(drift.last?.was == "14.9" && drift.last?.now == found.version)

        // Only its socket, as an account sees it that may not read its files.
        let bySocket = Looking.look(HostPlaces(trees: [], postgreSQLSockets: [world.socket()]))
        #expect(bySocket.found.map(\.place) == [world.place("data")] && bySocket.found.first?.databases?.count == 2)
        // And by its process.
        let byProcess = Looking.look(HostPlaces(trees: [], processes: true))
        #expect(byProcess.found.contains { $0.place == world.place("data") && $0.databases?.count == 2 })

        try world.stop()
        let stopped = Looking.look(places, [planned], remembered: [found.remembered])
        let still = try #require(stopped.found.first)
        #expect(still.isRunning == false && still.version == "15" && still.databases == nil && (still.bytes ?? 0) > 0)
        #expect(stopped.findings(remembered: [found.remembered]).isEmpty)

        try world.shell("mv \(world.place("data")) \(world.place("moved"))")
        let gone = Looking.look(places, [planned], remembered: [found.remembered])
        #expect(gone.findings(remembered: [found.remembered]).map(\.kind) == [.unplanned, .vanished])
    }

    @Test(
        "A cluster that lets nobody in is found all the same, and that its databases are not known is told",
        .enabled(if: PostgreSQLWorld.isThere, PostgreSQLWorld.missing))
    func refused() throws {
        let world = try PostgreSQLWorld(authentication: "scram-sha-256", password: "right")
        try world.start()
        let start = ContinuousClock().now
        let outcome = Looking.look(HostPlaces(trees: [world.path], postgreSQLSockets: [world.socket()]))
        #expect(ContinuousClock().now - start < .seconds(60))
        let found = try #require(outcome.found.first)
        #expect(outcome.found.count == 1, "its directory and its socket are one server")
        #expect(found.isRunning == true && found.version == "15" && found.databases == nil && (found.bytes ?? 0) > 0)
        #expect(outcome.problems.contains { $0.reason.contains("does not tell its databases") }, "\(outcome.problems)")
        let unknown = Looking.look(HostPlaces(trees: [], postgreSQLSockets: [world.socket()]))
        #expect(unknown.found.map(\.place) == ["\(world.socket())/.s.PGSQL.5432"])
        #expect(unknown.found.first?.isKnownBySocket == true)
    }

    @Test(
        "A MariaDB server is found by its files and its socket, with its databases, and after it was killed",
        .enabled(if: MariaDBServer.isInstalled))
    func server() throws {
        let server = try MariaDBServer()
        if Looking.account != "root" {
            try server.query("CREATE USER '\(Looking.account)'@'localhost' IDENTIFIED VIA unix_socket")
            try server.query("GRANT ALL ON *.* TO '\(Looking.account)'@'localhost'")
        }
        try server.query("CREATE DATABASE `a\tb`; CREATE TABLE `a\tb`.t (n INT); INSERT INTO `a\tb`.t VALUES (1)")
        let places = HostPlaces(trees: [server.folder], mariaDBSockets: [server.socket])
        var source = MariaDBSource(name: "main")
        source.socket = server.socket
        let planned = Looking.policy("shop", [.mariadb(source)])
        let outcome = Looking.look(places, [planned])
        #expect(outcome.isWhole, "\(outcome.problems)")
        let found = try #require(outcome.found.first)
        #expect(outcome.found.count == 1 && found.kind == .mariadb && found.place == server.folder + "/data")
        #expect(found.isRunning == true && found.socket == server.socket)
        #expect(try server.query("SELECT VERSION()").hasPrefix((found.version ?? "-") + "-MariaDB"))
        #expect(found.databases?.map(\.name) == ["a\tb", "mysql"])
        #expect(outcome.isPlanned(found))
        #expect(
            Looking.look(HostPlaces(trees: [], mariaDBSockets: [server.socket])).found.map(\.place) == [found.place])
        let byProcess = Looking.look(HostPlaces(trees: [], processes: true))
        #expect(byProcess.found.contains { $0.place == found.place && $0.databases?.count == 2 })

        server.kill()
        let stopped = Looking.look(places, [planned], remembered: [found.remembered])
        #expect(stopped.found.first?.isRunning == false && stopped.found.first?.databases == nil)
        #expect(stopped.findings(remembered: [found.remembered]).isEmpty)
    }

    @Test(
        "A server that accepts and never answers holds up nobody, and the next look is refused until the first has ended"
    )
    func silence() throws {
        let scratch = try Scratch()
        let path = scratch.place(".s.PGSQL.5432")
        let listener = try Self.listen(at: path)
        defer { close(listener) }
        let places = HostPlaces(trees: [], postgreSQLSockets: [scratch.path])
        let search = SourceSearch()
        let start = MonotonicTime.now()
        let first = search.look(Looking.question(places, patience: 0.5), interrupt: InterruptFlag())
        #expect(MonotonicTime.now() - start < 5)
        #expect(first.problems.contains { $0.reason.contains("time was over") })
        // What asks ends soon after it was given up.
        let limit = MonotonicTime.now() + 60
        var again = search.look(Looking.question(HostPlaces(trees: [])), interrupt: InterruptFlag())
        while !again.isWhole, MonotonicTime.now() < limit {
            #expect(again.problems.map(\.reason).allSatisfy { $0.contains("has not ended") })
            usleep(100_000)
            again = search.look(Looking.question(HostPlaces(trees: [])), interrupt: InterruptFlag())
        }
        #expect(again.isWhole)
        // With time enough it is found, and told that it says nothing.
        let patient = search.look(Looking.question(places), interrupt: InterruptFlag())
        #expect(patient.found.map(\.place) == [path] && !patient.isWhole)
    }

    private static func listen(at path: String) throws -> Int32 {
        let end = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(end, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && Glibc.listen(end, 8) == 0)
        return end
    }

    @Test("The report says what is planned and by what, what was remembered and what could not be read")
    func report() throws {
        let scratch = try Scratch()
        for folder in ["data", "policies", "state", "state/daemon"] {
            try #require(mkdir(scratch.place(folder), 0o755) == 0)
        }
        let page = "SQLite format 3\u{0}" + String(repeating: "x", count: 496)
        for name in ["named.db", "new.db"] { try scratch.write("data/\(name)", page) }
        try scratch.write(
            "policies/app.yaml",
            """
            policy: app
            component: database
            responsible: {name: A}
            sources:
              - {sqlite: app, path: \(scratch.place("data/named.db"))}

            """)
        let gone = FoundSource(.sqlite, at: scratch.place("data/gone.db"))
        try JSONEncoder().encode(SourceBook(sources: [gone])).write(
            to: URL(filePath: scratch.place("state/daemon/sources.json")))
        let place = Workplace(vaultPath: scratch.place("vault"), statePath: scratch.place("state"))
        let places = HostPlaces(trees: [scratch.place("data")])
        let request = DiscoverSources.Request(policyFolder: scratch.place("policies"))
        let answer = try DiscoverSources.run(request, in: places, at: place)
        #expect(answer.report.isWhole, "\(answer.report.problems)")
        #expect(answer.report.sources.map(\.policies.count) == [1, 0])
        #expect(answer.report.findings.map(\.finding) == ["unplanned", "vanished"])
        #expect(answer.draft.contains("\"\(scratch.place("data/new.db"))\"") && !answer.draft.contains("named.db"))
        // Nothing in force, and no folder.
        let bare = try DiscoverSources.run(.init(), in: places, at: place)
        #expect(
            bare.report.policies == nil && bare.report.sources.allSatisfy(\.policies.isEmpty) && bare.report.isWhole)
        try scratch.write("state/daemon/sources.json", "{")
        let damaged = try DiscoverSources.run(request, in: places, at: place)
        #expect(!damaged.report.isWhole && damaged.report.sources.count == 2)
        try scratch.write("policies/broken.yaml", "policy: [")
        #expect(try !DiscoverSources.run(request, in: places, at: place).report.isWhole)
        #expect(throws: ExcludePatterns.SyntaxError.self) {
            try DiscoverSources.run(.init(excludes: ["[a"]), in: places, at: place)
        }
    }
}
