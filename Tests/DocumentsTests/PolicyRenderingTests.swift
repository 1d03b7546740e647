import Documents
import Domain
import Foundation
import Testing

@Suite("The policy document of clauses 5.1 and 5.2")
struct PolicyRenderingTests {
    private static let edition = PolicyEdition(
        institution: "A & B", number: 3, day: CivilDay("2026-06-15"), digest: Digest(words: (1, 2, 3, 4)),
        author: "Aysel", reason: "first", approver: "Rəşad")

    private static func shipped() throws -> PolicySet {
        try PolicySetDocument.read(folder: ShippedPoliciesTests.folder + "/Policies").set
    }

    @Test("Each rendering gives the same bytes, whatever the order of the policies", arguments: Language.allCases)
    func identical(language: Language) throws {
        let set = try Self.shipped()
        var reversed = set
        reversed.policies.reverse()
        let html = PolicyRendering.html(set, language, edition: Self.edition)
        let text = PolicyRendering.text(set, language, edition: Self.edition)
        for _ in 0..<3 {
            #expect(PolicyRendering.html(reversed, language, edition: Self.edition) == html)
            #expect(PolicyRendering.text(reversed, language, edition: Self.edition) == text)
        }
    }

    @Test("Every line of every policy stands in both renderings", arguments: Language.allCases)
    func complete(language: Language) throws {
        let set = try Self.shipped()
        let html = PolicyRendering.html(set, language, edition: Self.edition)
        let words = PolicyRendering.text(set, language, edition: Self.edition).split(whereSeparator: \.isWhitespace)
        let text = words.joined(separator: " ")
        for policy in set.policies {
            #expect(html.contains("<code>\(policy.name)</code>"))
            let facts = PolicyFacts.of(policy, in: language)
            for fact in facts where !fact.field.hasPrefix("tiers.") && fact.field != "component" {
                for line in fact.lines {
                    #expect(html.contains(Self.escaped(line)), "\(line)")
                    #expect(text.contains(line.split(whereSeparator: \.isWhitespace).joined(separator: " ")), "\(line)")
                }
            }
            for use in policy.tiers.values {
                switch use {
                case .used(let format, let keep, _):
                    #expect(html.contains(Self.escaped(format)) && html.contains(keep.text(in: language)))
                case .unused(let reason): #expect(html.contains(Self.escaped(reason)))
                }
            }
        }
        #expect(html.contains(Self.edition.digest?.hex ?? "?"))
        #expect(html.contains(language == .english ? "Archiving policy document" : "Arxivləşdirmə üzrə siyasət sənədi"))
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }

    /// A policy every text of which is an attack on the page.
    private static func hostile() throws -> PolicySet {
        let attack = "\"'><script>alert(1)</script>&amp;\u{202E}x"
        var policy = Policy(
            name: "web", component: .config, responsiblePerson: Person(id: "a", name: attack, position: attack),
            deputyPerson: Person(name: attack, email: attack, phone: attack), legalBasis: attack,
            vault: "/" + attack, sources: [FileSource(path: "/" + attack, excludes: [attack])])
        policy.tiers = [
            .active: .unused(reason: attack), .online: .used(format: attack, keep: .forever, trigger: .onCommit),
        ]
        policy.copies = [Policy.Copy(site: attack, role: .vault)]
        policy.hooks.before = [Policy.Hook(command: ["/" + attack, attack])]
        policy.recoveryPlan = attack
        policy.clauses = [attack + "\nsecond line"]
        let people = try #require(People.make([Person(id: "a", name: attack, position: attack, email: attack)]).people)
        return PolicySet(people: people, policies: [policy])
    }

    @Test("No word of a policy becomes markup, nor turns the direction of writing", arguments: Language.allCases)
    func escaping(language: Language) throws {
        let attack = "\"'><script>alert(1)</script>&amp;\u{202E}x"
        let edition = PolicyEdition(institution: attack, author: attack, reason: attack, approver: attack)
        let html = PolicyRendering.html(try Self.hostile(), language, edition: edition)
        #expect(!html.contains("<script") && !html.contains("'>") && !html.contains("\u{202E}"))
        #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;[U+202E]x"))
        #expect(html.contains("second line") && html.contains("<br>second line"))
        let text = PolicyRendering.text(try Self.hostile(), language, edition: edition)
        #expect(!text.contains("\u{202E}") && text.contains("[U+202E]x"))
        #expect(Self.openTags(html) == [])
    }

    @Test("The page is well formed, refers to nothing outside and holds no script", arguments: Language.allCases)
    func wellFormed(language: Language) throws {
        for set in [try Self.shipped(), .empty] {
            let html = PolicyRendering.html(set, language, edition: Self.edition)
            #expect(Self.openTags(html) == [])
            for part in [
                "http", "url(", "@import", "<script", "<img", "<link", "<iframe", "javascript:", "src=", "href=",
            ] {
                #expect(!html.contains(part), "\(part)")
            }
            #expect(html.contains("<html lang=\"\(language.rawValue)\">"))
        }
    }

    @Test("What the regulation demands and a policy does not say is shown as a gap", arguments: Language.allCases)
    func gaps(language: Language) throws {
        let policy = Policy(
            name: "web", component: .config, responsiblePerson: Person(name: "A"), sources: [FileSource(path: "/etc")])
        let set = PolicySet(people: .none, policies: [policy])
        let gap = language == .english ? "not laid down" : "müəyyən edilməyib"
        let html = PolicyRendering.html(set, language)
        // Deputy, basis, schedule, copies, retention, RPO, RTO, plan, verification and three tiers.
        #expect(html.split(separator: gap, omittingEmptySubsequences: false).count - 1 == 12)
        let text = PolicyRendering.text(set, language)
        #expect(text.split(separator: gap, omittingEmptySubsequences: false).count - 1 == 12)
        for component in Component.allCases where component != .config {
            let name = component.name(in: language)
            #expect(html.contains(name.prefix(1).uppercased() + name.dropFirst()))
        }
    }

    @Test("Plain text keeps to its width and has no trailing blanks", arguments: Language.allCases)
    func width(language: Language) throws {
        let text = PolicyRendering.text(try Self.shipped(), language, edition: Self.edition)
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            #expect(line.count <= 96, "\(line)")
            #expect(line.last != " ")
        }
        #expect(text.hasSuffix("\n") && !text.hasSuffix("\n\n"))
    }

    /// Tags that are not closed, or closed out of turn.
    private static func openTags(_ html: String) -> [String] {
        var open: [String] = []
        for part in html.split(separator: "<").dropFirst() {
            let name = String(part.prefix { $0.isLetter || $0 == "/" || $0.isNumber })
            if ["meta", "br", "", "h"].contains(name) { continue }
            if name.hasPrefix("/") {
                guard open.popLast() == String(name.dropFirst()) else { return ["/\(name)"] }
            } else {
                open.append(name)
            }
        }
        return open
    }
}
