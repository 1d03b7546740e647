import Testing

@testable import Domain

@Suite("Sources of a host against policies and against the look before")
struct SourceDriftTests {
    private static func found(
        _ kind: DataSource.Kind, _ place: String, _ change: (inout FoundSource) -> Void = { _ in }
    ) -> FoundSource {
        var found = FoundSource(kind, at: place)
        change(&found)
        return found
    }

    private static func policy(_ name: String, _ data: [DataSource] = [], files: [FileSource] = []) -> Policy {
        var policy = Policy(
            name: name, component: .database, responsiblePerson: Person(name: "A"), deputyPerson: nil, sources: files)
        policy.data = data
        return policy
    }

    /// As links of the host lead.
    private static func resolve(_ path: String) -> String {
        path.hasPrefix("/var/run/") ? "/run/" + path.dropFirst(9) : path == "/data" ? "/mnt/disk" : path
    }

    private static func plans(_ policies: [Policy], _ found: FoundSource) -> [SourcePlanning.Plan] {
        SourcePlanning(policies, resolve: resolve).plans(of: found)
    }

    @Test("A cluster is planned by its directory, or by its socket and port where its directory is not known")
    func clusters() {
        let main = PostgreSQLSource(name: "main", dataDirectory: "/data/15/main")
        let whole = Self.policy("db", [.postgresql(PostgreSQLSource(name: "m", dataDirectory: "/data"))])
        #expect(Self.plans([whole], Self.found(.postgresql, "/mnt/disk")) == [.init(policy: "db", isAsFiles: false)])
        #expect(Self.plans([whole], Self.found(.postgresql, "/mnt/other")).isEmpty)
        #expect(Self.plans([whole], Self.found(.mariadb, "/mnt/disk")).isEmpty)
        let bySocket = Self.found(.postgresql, "/run/postgresql/.s.PGSQL.5432") {
            ($0.socket, $0.port) = ("/run/postgresql", 5432)
        }
        #expect(bySocket.isKnownBySocket)
        #expect(Self.plans([Self.policy("db", [.postgresql(main)])], bySocket).count == 1)
        // Another cluster at the same socket is known by its directory.
        let other = Self.found(.postgresql, "/data/15/other") { ($0.socket, $0.port) = ("/run/postgresql", 5432) }
        #expect(Self.plans([Self.policy("db", [.postgresql(main)])], other).isEmpty)
        var remote = PostgreSQLSource(name: "m", mode: .remote, dataDirectory: nil)
        for (host, port, isPlanned) in [
            ("/var/run/postgresql", 5432, true), ("localhost", 5432, true), ("/var/run/postgresql", 5433, false),
            ("db.example", 5432, false), ("/tmp", 5432, false),
        ] {
            remote.connection.host = host
            remote.connection.port = port
            let plans = Self.plans([Self.policy("db", [.postgresql(remote)])], other)
            #expect(plans.isEmpty == !isPlanned, "\(host):\(port)")
        }
        // Its log alone restores nothing, and a tree of files is no archive of a server.
        let beside = Self.policy("wal", [.wal(WALSource(name: "main"))], files: [FileSource(path: "/")])
        #expect(Self.plans([beside], other).isEmpty)
    }

    @Test("A MariaDB server is planned by its socket, one that stands still by the usual directory")
    func servers() {
        let usual = Self.policy("db", [.mariadb(MariaDBSource(name: "m"))])
        var source = MariaDBSource(name: "m")
        source.socket = "/var/run/mysqld/mysqld.sock"
        let named = Self.policy("db", [.mariadb(source)])
        let running = Self.found(.mariadb, "/var/lib/mysql") { $0.socket = "/run/mysqld/mysqld.sock" }
        #expect(Self.plans([usual], running).count == 1 && Self.plans([named], running).count == 1)
        #expect(Self.plans([usual], Self.found(.mariadb, "/var/lib/mysql")).count == 1)
        #expect(Self.plans([usual], Self.found(.mariadb, "/srv/mysql")).isEmpty)
        let second = Self.found(.mariadb, "/srv/mysql") { $0.socket = "/srv/s" }
        #expect(Self.plans([usual, named], second).isEmpty)
    }

    @Test("Files and repositories are planned by name, or as files where nothing leaves them out")
    func files() {
        let byName = Self.policy("a", [.sqlite(SQLiteSource(name: "app", path: "/data"))])
        #expect(Self.plans([byName], Self.found(.sqlite, "/mnt/disk")) == [.init(policy: "a", isAsFiles: false)])
        for repository in ["/srv/code", "/srv/code/.git", "file:///srv/code"] {
            let git = Self.policy("g", [.git(GitSource(name: "code", repository: repository))])
            #expect(Self.plans([git], Self.found(.git, "/srv/code")).count == 1, "\(repository)")
            #expect(SourcePlanning([git], resolve: Self.resolve).named == [.init(.git, "/srv/code")])
        }
        let tree = Self.policy("t", files: [FileSource(path: "/srv", excludes: ["*.db", "/cache/"])])
        #expect(Self.plans([tree], Self.found(.sqlite, "/srv/x.sqlite")) == [.init(policy: "t", isAsFiles: true)])
        #expect(Self.plans([tree], Self.found(.sqlite, "/srv/app/x.db")).isEmpty)
        #expect(Self.plans([tree], Self.found(.sqlite, "/srv/cache/deep/x.sqlite")).isEmpty)
        #expect(Self.plans([tree], Self.found(.sqlite, "/srvx/x.sqlite")).isEmpty)
        #expect(Self.plans([tree, byName], Self.found(.git, "/srv/app.git")).map(\.policy) == ["t"])
    }

    private static func findings(
        _ found: [FoundSource], remembered: [FoundSource] = [], expected: [FoundSource.Identity] = [],
        absent: Set<FoundSource.Identity> = [], planned: Set<String> = []
    ) -> [SourceDrift.Finding] {
        SourceDrift.findings(
            found: found, remembered: remembered, expected: expected, absent: absent,
            isPlanned: { planned.contains($0.place) })
    }

    @Test("One look finds what is not planned, a changed version and what is gone, and nothing else")
    func drift() {
        let old = Self.found(.postgresql, "/pg") { $0.version = "15.17" }
        let new = Self.found(.postgresql, "/pg") { $0.version = "15.18" }
        let file = Self.found(.sqlite, "/a.db")
        #expect(Self.findings([old], remembered: [old], planned: ["/pg"]).isEmpty)
        #expect(
            Self.findings([new, file], remembered: [old], planned: ["/pg"]) == [
                .init(.unplanned, file.identity), .init(.changed, new.identity, was: "15.17", now: "15.18"),
            ])
        // What could not be looked at is neither found nor gone.
        #expect(Self.findings([], remembered: [old], expected: [file.identity]).isEmpty)
        #expect(
            Self.findings([], remembered: [old], expected: [file.identity], absent: [old.identity, file.identity])
                == [.init(.vanished, old.identity), .init(.vanished, file.identity)])
        // Seen in one place and missed in another: it is there.
        #expect(Self.findings([old], remembered: [old], absent: [old.identity], planned: ["/pg"]).isEmpty)
    }

    @Test("Places of one text and other bytes are other sources, for policies and from look to look")
    func bytes() {
        let raw = FoundSource(FoundSource.Identity(.sqlite, Array("/srv/a".utf8) + [0xFF]))
        let text = Self.found(.sqlite, "/srv/a\\xff")
        #expect(raw.place == text.place && raw.identity != text.identity)
        #expect(Self.findings([text], remembered: [raw], absent: [raw.identity], planned: [text.place]).count == 1)
        #expect(Set(SourceDrift.remembered(after: [text], before: [raw], absent: []).map(\.path)).count == 2)
        let named = Self.policy("p", [.sqlite(SQLiteSource(name: "a", path: "/srv/a\\xff"))])
        #expect(Self.plans([named], text).count == 1 && Self.plans([named], raw).isEmpty)
        let tree = Self.policy("t", files: [FileSource(path: "/srv")])
        #expect(Self.plans([tree], raw) == [.init(policy: "t", isAsFiles: true)])
        // Both spellings of one letter, which text takes for one.
        let (one, two) = (Self.found(.sqlite, "/\u{E9}"), Self.found(.sqlite, "/e\u{301}"))
        #expect(one.identity != two.identity)
        #expect(Self.plans([Self.policy("p", [.sqlite(SQLiteSource(name: "a", path: one.place))])], two).isEmpty)
    }

    @Test(
        "A look that learnt less of a version finds no change",
        arguments: [
            ("15", "15.18", false), ("15.18", "15", false), ("15", "16", true), ("15.18", "16", true),
            ("10.11.14", "10.11.15", true), ("10.11.14", "10.11.14", false), ("1.2", "1.20", true),
        ])
    func versions(was: String, now: String, isChange: Bool) {
        #expect(SourceDrift.isChange(was, now) == isChange)
        let kept = SourceDrift.remembered(
            after: [Self.found(.postgresql, "/pg") { $0.version = now }],
            before: [Self.found(.postgresql, "/pg") { ($0.version, $0.socket, $0.port) = (was, "/run", 5432) }],
            absent: [])
        let longest = isChange || now.count > was.count ? now : was
        #expect(kept.map(\.version) == [longest])
        #expect(kept.first?.socket == "/run" && kept.first?.port == 5432)
    }

    @Test("What is gone is forgotten, what could not be seen is not, and sizes are not remembered")
    func memory() {
        let one = Self.found(.sqlite, "/one") { $0.bytes = 5 }
        let two = Self.found(.sqlite, "/two")
        let three = Self.found(.sqlite, "/three")
        let kept = SourceDrift.remembered(after: [one], before: [two, three], absent: [three.identity])
        #expect(Set(kept.map(\.place)) == ["/one", "/two"])
        #expect(kept.allSatisfy { $0.bytes == nil && $0.databases == nil })
    }

    @Test("Of very many sources twenty are told each by itself, and the others together")
    func many() {
        var watch = AlarmWatch()
        for number in 0..<25 { watch.unplanned[.init(.sqlite, "/\(number + 100).db")] = "" }
        let alarms = watch.alarms(at: 0).filter { $0.key.kind == .unplannedSource }
        #expect(alarms.count == 21)
        #expect(alarms[Alarm(.unplannedSource, "sources")]?.hasPrefix("5 more") == true)
        #expect(alarms[Alarm(.unplannedSource, "sqlite /119.db")] != nil)
        #expect(alarms[Alarm(.unplannedSource, "sqlite /120.db")] == nil)
    }
}
