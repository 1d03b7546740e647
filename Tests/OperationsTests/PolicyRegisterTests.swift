import Documents
import Domain
import Foundation
import Testing
import Vault

@testable import Operations

/// The register of applied policies, below the commands: days and signatures are the test's own.
@Suite("The register of applied policies")
struct PolicyRegisterTests {
    private let state = FileManager.default.temporaryDirectory.appending(path: "qala-policies-\(UUID().uuidString)")
    /// Noon of 1 June 2025, and of a day when the deputy has left.
    private static let inOffice: Int64 = 1_748_779_200
    private static let later: Int64 = 1_780_315_200

    private var register: PolicyRegister { PolicyRegister(statePath: state.path) }

    private func remove() { try? FileManager.default.removeItem(at: state) }

    private func documents(keeping years: Int, _ key: SigningKey) throws -> PolicySetDocument {
        let people = """
            people:
              chief: {name: Chief, public-key: \(try Self.chief.get().publicKey.hex)}
              deputy: {name: Deputy, until: 2025-12-31, public-key: \(key.publicKey.hex)}
            """
        let policy = """
            policy: letters
            component: documentation
            responsible: {person: chief}
            sources: [{files: /srv/letters}]
            retention: {keep-for: \(years) years}
            """
        return PolicySetDocument([
            DocumentText(file: "people.yaml", bytes: Array(people.utf8)),
            DocumentText(file: "letters.yaml", bytes: Array(policy.utf8)),
        ])
    }

    private func sign(_ proposal: PolicyProposal) throws -> Authorship {
        let message = Authorship.canonicalBytes(request: proposal.digest, author: "chief")
        return Authorship(request: proposal.digest, author: "chief", signature: try Self.chief.get().sign(message))
    }

    private static let chief = Result { try SigningKey(seed: try Secret.random()) }

    private func key() throws -> SigningKey { try SigningKey(seed: try Secret.random()) }

    private func append(_ proposal: PolicyProposal, _ approvals: [Approval], at time: Int64) throws {
        try append(proposal, approvals.isEmpty ? nil : sign(proposal), approvals, at: time)
    }

    private func append(
        _ proposal: PolicyProposal, _ authorship: Authorship?, _ approvals: [Approval], at time: Int64
    ) throws {
        let step = PolicyRegister.Step(origin: .applied, authorship: authorship, approvals: approvals, time: time)
        let lock = try register.lock()
        _ = try register.append(proposal, step, holding: lock)
    }

    /// Version 1, the proposal to keep for a year less, and the deputy's signature over it.
    private func begin(_ key: SigningKey) throws -> (PolicyProposal, Approval) {
        let before = try documents(keeping: 7, key)
        #expect(before.isReadable)
        let first = try PolicyProposal(from: .nothing, to: before, author: "chief", reason: "start", at: 1)
        #expect(!first.needsSecondPerson)
        try append(first, [], at: Self.inOffice)
        let shorter = try PolicyProposal(
            from: before, to: try documents(keeping: 6, key), author: "chief", reason: "shorter", at: 2)
        #expect(shorter.needsSecondPerson)
        let message = Approval.canonicalBytes(request: shorter.digest, person: "deputy")
        return (shorter, Approval(request: shorter.digest, person: "deputy", signature: try key.sign(message)))
    }

    @Test("An approval counts for the day on which it was carried out, whoever has left since")
    func past() throws {
        defer { remove() }
        let (shorter, approval) = try begin(try key())
        try append(shorter, [approval], at: Self.inOffice)
        let versions = try register.versions()
        #expect(versions.map(\.number) == [1, 2])
        #expect(versions.last?.approvals == [approval])
        #expect(try register.newest()?.digest == shorter.request.proposed)
    }

    @Test("A version that needed an approval and has none that holds, or no author who signed, is damage")
    func unapproved() throws {
        for (isSigned, hasAuthor, time) in [
            (false, true, Self.later), (true, true, Self.later), (true, false, Self.inOffice),
        ] {
            defer { remove() }
            let (shorter, approval) = try begin(try key())
            try append(shorter, hasAuthor ? sign(shorter) : nil, isSigned ? [approval] : [], at: time)
            let newest = #expect(throws: OperationError.self) { try register.newest() }
            #expect(newest?.kind == .damaged)
            let all = #expect(throws: OperationError.self) { try register.versions() }
            #expect(all?.kind == .damaged)
        }
    }

    @Test("Nothing is appended to another set than the change was made for, and by one process at a time")
    func order() throws {
        defer { remove() }
        let (shorter, approval) = try begin(try key())
        try append(shorter, [approval], at: Self.inOffice)
        let again = #expect(throws: OperationError.self) { try append(shorter, [approval], at: Self.inOffice) }
        #expect(again?.kind == .denied)
        let lock = try register.lock()
        let busy = #expect(throws: OperationError.self) { _ = try register.lock(patience: 0) }
        #expect(busy?.kind == .inUse)
        withExtendedLifetime(lock) {}
    }

    @Test("A head that a crash left behind catches up before the next version, and is never two behind")
    func head() throws {
        defer { remove() }
        let (shorter, approval) = try begin(try key())
        let file = state.appending(path: "policies/head.json")
        let before = try Data(contentsOf: file)
        try append(shorter, [approval], at: Self.inOffice)
        let after = try Data(contentsOf: file)
        #expect(before != after)
        try before.write(to: file)
        #expect(try register.versions().count == 2)
        #expect(throws: OperationError.self) { try append(shorter, [approval], at: Self.inOffice) }
        #expect(try Data(contentsOf: file) == after)
    }

    @Test("Of many versions each is whole in the list, and the newest stands on the one before")
    func many() throws {
        defer { remove() }
        let key = try self.key()
        let (shorter, approval) = try begin(key)
        try append(shorter, [approval], at: Self.inOffice)
        for years in 7...9 {
            let newest = try #require(try register.newest())
            let longer = try PolicyProposal(
                from: newest.document, to: try documents(keeping: years, key), author: "chief", reason: "longer", at: 3)
            try append(longer, [], at: Self.inOffice)
        }
        #expect(try register.newest()?.number == 5)
        #expect(try register.versions().map { $0.document.documents.count } == [2, 2, 2, 2, 2])
    }
}
