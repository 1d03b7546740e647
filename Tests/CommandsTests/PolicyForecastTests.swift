import Foundation
import Glibc
import Testing

@testable import Commands

@Suite("What policies would let go", .enabled(if: qalaBinary != nil))
struct PolicyForecastTests {
    @Test("A plan tells which archives go earlier, and a simulation when each may go and why")
    func archives() throws {
        let desk = try PolicyWorld()
        defer { desk.remove() }
        #expect(try desk.world.qala("init", "--write-only-host", "--kit", "kit.txt").status == 0)
        for text in ["one", "two"] {
            try desk.world.write("tree/a.txt", text)
            #expect(try desk.world.qala("run", "policies/config.yaml").status == 0)
            usleep(1_100_000)
        }
        let older = try #require(try desk.world.archives().first)
        #expect(try desk.apply("start").status == 0)
        let calendar = try World.object(try desk.policy("simulate", "--until", "2200-01-01", "--json"))
        let rows = try #require(calendar["expiries"] as? [[String: Any]])
        #expect(rows.map { $0["archive"] as? String } == [older])
        #expect(calendar["kept"] as? Int == 1, "the newest is never given up")
        let expires = try #require(rows.first?["expires"] as? String)
        let why = try #require(rows.first?["why"] as? [String: [String]])
        #expect(why["en"]?.isEmpty == false && why["az"]?.isEmpty == false)
        #expect(try desk.policy("simulate", "--until", "2026-02-30").status == 64)

        try desk.change(PolicyWorld.shorter.0, PolicyWorld.shorter.1)
        let plan = try World.object(try desk.policy("plan", "policies", "--json"))
        let earlier = try #require(plan["earlier"] as? [[String: Any]])
        #expect(earlier.count == 1 && earlier.first?["archive"] as? String == older)
        #expect(earlier.first?["before"] as? String == expires)
        let sooner = try #require(earlier.first?["after"] as? String)
        #expect(sooner < expires)
        let version = try desk.policy("simulate", "--until", "2200-01-01", "--language", "az").outputText
        #expect(version.contains("1 nömrəli versiya üzrə"), "\(version)")
        let simulated = try World.object(try desk.policy("simulate", "--until", "2200-01-01", "policies", "--json"))
        #expect((simulated["expiries"] as? [[String: Any]])?.first?["expires"] as? String == sooner)
        #expect((plan["missing"] as? [Any])?.isEmpty == true)
        let shown = try desk.policy("plan", "policies", "--language", "az")
        #expect(shown.outputText.contains("ikinci şəxs təsdiq etməlidir"), "\(shown.outputText)")
    }
}

@Suite("Texts about changes of the policies")
struct PolicyTextTests {
    @Test(
        "Both languages of a text take the same arguments, and neither is empty",
        arguments: PolicyText.allCases)
    func catalogue(text: PolicyText) {
        let (en, az) = text.both
        #expect(!en.isEmpty && !az.isEmpty)
        func marks(_ text: String) -> Set<Character> {
            let characters = Array(text)
            return Set(characters.indices.dropLast().filter { characters[$0] == "%" }.map { characters[$0 + 1] })
        }
        #expect(marks(en) == marks(az))
    }
}
