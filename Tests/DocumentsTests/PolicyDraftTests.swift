import Domain
import Foundation
import Testing

@testable import Documents

@Suite("Drafts of policies")
struct PolicyDraftTests {
    private static func found(_ kind: DataSource.Kind, _ place: String) -> FoundSource { FoundSource(kind, at: place) }

    private static var host: [FoundSource] {
        var cluster = found(.postgresql, "/var/lib/postgresql/15/main")
        (cluster.socket, cluster.port, cluster.version) = ("/run/postgresql", 5433, "15.18")
        cluster.config = "/etc/postgresql/15/main"
        cluster.databases = [.init(name: "bank\n- files: /", bytes: 7)]
        var hidden = found(.postgresql, "/tmp/.s.PGSQL.5432")
        (hidden.socket, hidden.port) = ("/tmp", 5432)
        var server = found(.mariadb, "/var/lib/mysql")
        server.socket = "/run/mysqld/mysqld.sock"
        return [
            cluster, hidden, server, found(.sqlite, "/srv/app/app.db"), found(.sqlite, "/srv/other/app.db"),
            found(.git, "/srv/git/code.git"), found(.git, "/srv/a"),
        ]
    }

    /// What a person would write.
    private static func completed(_ draft: String) -> String {
        draft.replacing("legal-basis: FILL-IN", with: "legal-basis: Clause 5.1.1")
            .replacing("deputy:\n  person: FILL-IN", with: "deputy: {name: B}")
            .replacing("responsible:\n  person: FILL-IN", with: "responsible: {name: A}")
            .replacing("keep-for: FILL-IN", with: "keep-for: 5 years")
    }

    private static func read(_ draft: String) throws -> Policy {
        try PolicyDocument.parse(Array(completed(draft).utf8), file: "found.yaml")
    }

    @Test("A draft is refused where a person must decide, nowhere else, and holds each source as it was found")
    func whole() throws {
        let draft = PolicyDraft.text(for: Self.host)
        do {
            _ = try PolicyDocument.parse(Array(draft.utf8), file: "found.yaml")
            Issue.record("a draft was accepted that nobody completed")
        } catch {
            let lines = draft.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(error.problems.allSatisfy { lines[$0.line - 1].contains(PolicyDraft.mark) }, "\(error.problems)")
            #expect(error.problems.count >= 3)
        }
        let policy = try Self.read(draft)
        #expect(policy.component == .database)
        let planning = SourcePlanning([policy]) { $0 }
        for source in Self.host { #expect(planning.plans(of: source).count == 1, "\(source.place)") }
        #expect(policy.data.count == Self.host.count && policy.sources.isEmpty)
        let clusters = policy.data.compactMap { if case .postgresql(let source) = $0 { source } else { nil } }
        let first = try #require(clusters.first)
        #expect(first.name == "15-main" && first.connection.port == 5433 && first.config == ["/etc/postgresql/15/main"])
        #expect(policy.data.map(\.name)[3...4] == ["app", "app-2"])
        let document = PolicySetDocument([DocumentText(file: "found.yaml", bytes: Array(Self.completed(draft).utf8))])
        let own = document.problems(
            on: CivilDay(secondsSince1970: 1_800_000_000),
            knowing: PolicySet.Knowledge(instant: 1_800_000_000) { _ in .utc }, folder: "/")
        #expect(own.filter { $0.isBlocking && $0.file == "found.yaml" }.isEmpty, "\(own)")
    }

    @Test("Nothing found is nothing drafted; a repository alone is software")
    func few() throws {
        #expect(PolicyDraft.text(for: []).isEmpty)
        #expect(try Self.read(PolicyDraft.text(for: [Self.found(.git, "/srv/a")])).component == .software)
    }

    @Test("Whatever a path holds, the draft is YAML, and the path reads back as it was")
    func hostile() throws {
        var places = [
            "/a\"b", "/a\\b", "/a: b # c", "/ x ", "/- y", "/%TAG", "/'", "/a\u{2028}b", "/\u{FEFF}a", "/é ş 😀", "/@x",
            "/`",
            "/{a}[b]*c&d!e|f>g", "/" + String(repeating: " *a", count: 40), "/" + String(repeating: "[{", count: 200),
            "/~",
            "/\u{202E}evil", "/null", "/a,b", "/?", "/" + String(repeating: "x", count: 250) + ".db", "/\u{10FFFF}",
            "/...",
        ]
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SplitMix(state: seed)
        for _ in 0..<200 {
            var place = "/"
            for _ in 0..<Int.random(in: 1...30, using: &generator) {
                let value = UInt32.random(
                    in: 0x20...(Bool.random(using: &generator) ? 0x7E : 0x2FFF), using: &generator)
                if let scalar = Unicode.Scalar(value), !(0x7F...0x9F).contains(value), value != 0x2F {
                    place.unicodeScalars.append(scalar)
                }
            }
            if PathText.isAbsolute(place), !place.allSatisfy(\.isWhitespace) { places.append(place) }
        }
        let policy = try Self.read(PolicyDraft.text(for: places.map { Self.found(.sqlite, $0) }))
        let read = policy.data.compactMap { if case .sqlite(let source) = $0 { source.path } else { nil } }
        #expect(read.map { Array($0.utf8) } == places.map { Array($0.utf8) }, "seed \(seed)")
        #expect(Set(policy.data.map(\.name)).count == places.count)
    }

    @Test("What no policy can name is a comment of one line, and very many sources end in a count")
    func bounds() throws {
        var nameless = Self.found(.sqlite, "/a\nsources: [] \\xff")
        nameless.isNameable = false
        let draft = PolicyDraft.text(for: [nameless, Self.found(.sqlite, "/b.db")])
        #expect(draft.contains("  # /a?sources: ?? "))
        #expect(try Self.read(draft).data.count == 1)
        let many = (0..<5000).map { Self.found(.sqlite, "/" + String(repeating: "d", count: 2000) + "\($0)") }
        let cut = PolicyDraft.text(for: many)
        #expect(cut.utf8.count < 1 << 20 && cut.contains(" more: run"))
        let count = try Self.read(cut).data.count
        #expect(count > 100 && count <= PolicyDraft.sourceLimit)
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
