import Domain
import Testing

@Suite("Roles of accounts")
struct RoleTests {
    private func day(_ text: String) throws -> CivilDay { try #require(CivilDay(text)) }

    private func set(_ change: (inout Policy) throws -> Void = { _ in }) throws -> PolicySet {
        var policy = try Sample.policy()
        try change(&policy)
        let until = Validity(until: try day("2026-06-14"))
        let people = try Sample.people([
            Sample.person("a", uid: 1), Sample.person("b", uid: 2), Sample.person("c", uid: 3),
            Sample.person("d", uid: 4, until), Sample.person("e", uid: Role.unnamedAccount),
        ])
        return PolicySet(people: people, policies: [policy])
    }

    private func role(_ account: UInt32, _ set: PolicySet, on day: CivilDay = Sample.day) throws -> Role? {
        set.role(of: try #require(set.person(of: account)), on: day)
    }

    @Test("Who answers for a policy or stands in controls, other persons read, and who left has no role")
    func roles() throws {
        let set = try set()
        #expect(try role(1, set) == .archivist)
        #expect(try role(2, set) == .archivist)
        #expect(try role(3, set) == .auditor)
        let lastDay = try day("2026-06-14")
        #expect(try role(4, set) == nil)
        #expect(try role(4, set, on: lastDay) == .auditor)
        #expect(set.person(of: 5) == nil)
    }

    @Test("An appointment counts on its days alone, and a name written out gives no role")
    func appointments() throws {
        let from = Validity(from: try day("2026-06-16"))
        let later = try set { $0.responsibleTerm = from }
        #expect(try role(1, later) == .auditor)
        let nextDay = try day("2026-06-16")
        #expect(try role(1, later, on: nextDay) == .archivist)
        // Of the same name as the person of the register.
        let named = try set { $0.responsiblePerson = Person(name: "Person a") }
        #expect(try role(1, named) == .auditor)
        let alone = try set { $0.deputyPerson = nil }
        #expect(try role(2, alone) == .auditor)
    }

    @Test("The account that stands for those without a name is nobody, whatever the register says")
    func unnamed() throws {
        #expect(try set().person(of: Role.unnamedAccount) == nil)
    }

    @Test("Each role has the rights of those below it")
    func rights() {
        #expect(Right.allCases.filter(Role.administrator.has) == [.read, .control, .administer])
        #expect(Right.allCases.filter(Role.archivist.has) == [.read, .control])
        #expect(Right.allCases.filter(Role.auditor.has) == [.read])
    }
}
