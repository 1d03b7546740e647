import Documents
import Domain

/// Where a set of policies is taken from.
package enum PolicySource: Sendable {
    case folder(String)
    /// What was applied last on the host with this state.
    case inForce(statePath: String)
    /// An applied version, by its number.
    case version(Int, statePath: String)

    /// The documents, and how people name them. A folder's set is valid as a whole, or this throws all that is wrong; a
    /// version was valid when it was applied.
    func read() throws -> (document: PolicySetDocument, name: String, edition: PolicyEdition) {
        switch self {
        case .folder(let folder):
            let document = try PolicySetDocument.read(folder: folder)
            _ = try document.validated(on: PolicyNow.day, knowing: PolicyNow.knowledge, folder: folder)
            return (document, folder, .none)
        case .inForce(let statePath):
            let version = try PolicyRegister(statePath: statePath).inForce()
            return (version.document, Self.name(version.number), Self.edition(version))
        case .version(let number, let statePath):
            let versions = try PolicyRegister(statePath: statePath).versions()
            guard let version = versions.first(where: { $0.number == number }) else {
                throw OperationError(
                    .notFound, "there is no version \(number) of the policies",
                    hint: "`qala policy history` lists them.")
            }
            return (version.document, Self.name(number), Self.edition(version))
        }
    }

    static func name(_ number: Int) -> String { "version \(number)" }

    /// What the policy document says of a version, with the names of the persons.
    private static func edition(_ version: AppliedVersion) -> PolicyEdition {
        let proposal = version.proposal
        let approvers = version.approvals.map { proposal.base.set.people[$0.person]?.name ?? $0.person }
        return PolicyEdition(
            number: version.number, day: CivilDay(secondsSince1970: version.applied), digest: version.digest,
            author: proposal.authors[proposal.request.author]?.name ?? proposal.request.author,
            reason: proposal.request.reason, approver: approvers.isEmpty ? nil : approvers.joined(separator: ", "))
    }
}
