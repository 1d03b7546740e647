import Documents
import Domain
import FoundationEssentials
import Vault

/// One document inside a file of ours: its name and its bytes, as people wrote them.
struct KeptDocument: Codable {
    /// A folder of policies is no larger; more is not read.
    static let maximumCount = 4096
    static let maximumNameBytes = 255
    static let maximumBytes = 1 << 20

    var name: String
    /// Base64 in the file.
    var bytes: Data

    init(_ document: DocumentText) {
        name = document.name
        bytes = Data(document.bytes)
    }

    /// A name that a folder of policies can have: it is shown to people, and may become a file again.
    private var isSound: Bool {
        (name.hasSuffix(".yaml") || name.hasSuffix(".yml")) && !name.hasPrefix(".")
            && name.utf8.count <= Self.maximumNameBytes && bytes.count <= Self.maximumBytes
            && !name.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F || $0 == "/" }
    }

    static func list(_ document: PolicySetDocument) -> [KeptDocument] { document.documents.map { KeptDocument($0) } }

    /// Nil unless there are not too many, every name is sound, and none comes twice.
    static func document(_ list: [KeptDocument]) -> PolicySetDocument? {
        guard list.count <= maximumCount, list.allSatisfy(\.isSound), Set(list.map(\.name)).count == list.count else {
            return nil
        }
        return PolicySetDocument(list.map { DocumentText(file: $0.name, bytes: Array($0.bytes)) })
    }
}

extension PolicySetDocument {
    /// The set of nobody's policies: what is in force before the first version.
    static let nothing = PolicySetDocument([])

    /// Of the canonical bytes; the name of the set in requests.
    var digest: Digest { SHA256Digest.of(canonicalBytes) }
}

enum SHA256Digest {
    static func of(_ bytes: [UInt8]) -> Digest { ObjectHasher.digest(of: bytes, suite: .hmacSHA256) }
}

/// A signature in a file.
struct KeptApproval: Codable {
    static let maximumCount = 16

    var person: String
    var signature: String

    init(_ approval: Approval) {
        person = approval.person
        signature = Hex.text(approval.signature)
    }

    func approval(of request: Digest) -> Approval? {
        guard person.utf8.count <= Person.maximumIDBytes, let bytes = Hex.bytes(signature),
            bytes.count == Approval.signatureByteCount
        else { return nil }
        return Approval(request: request, person: person, signature: bytes)
    }
}

/// How a version came into force.
enum VersionOrigin: String, Codable, Sendable {
    /// By a person at the command.
    case applied
    /// By the first start of a daemon, from its folder.
    case firstStart
}

/// A version of the policies as its file tells it. `docs/policies.md` describes it.
struct PolicyVersionFile: Codable {
    static let currentFormat = 1
    static let byteLimit = 64 << 20

    var format = PolicyVersionFile.currentFormat
    var number: Int
    /// SHA-256 of the file before; zeros in the first.
    var previous: String
    var origin: VersionOrigin
    /// The request, as it is signed.
    var base: String
    var proposed: String
    var author: String
    var reason: String
    var asked: Int64
    /// SHA-256 of the request's canonical bytes.
    var request: String
    /// The author's signature over the request; there where a second person approved it.
    var signature: String?
    var approvals: [KeptApproval]
    /// Seconds since 1970.
    var applied: Int64
    var documents: [KeptDocument]

    init(_ number: Int, after previous: Digest, _ proposal: PolicyProposal, _ step: PolicyRegister.Step) {
        self.number = number
        self.previous = previous.hex
        origin = step.origin
        base = proposal.request.base.hex
        proposed = proposal.request.proposed.hex
        author = proposal.request.author
        reason = proposal.request.reason
        asked = proposal.request.time
        request = proposal.digest.hex
        signature = step.authorship.map { Hex.text($0.signature) }
        approvals = step.approvals.map { KeptApproval($0) }
        applied = step.time
        documents = KeptDocument.list(proposal.proposed)
    }

    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self)) + [0x0A]
    }

    /// The request that it tells of; nil where it is malformed.
    var asRequest: PolicyRequest? {
        guard let base = Digest(hex: base), let proposed = Digest(hex: proposed), PolicyProposal.isSound(author, reason)
        else { return nil }
        return PolicyRequest(base: base, proposed: proposed, author: author, reason: reason, time: asked)
    }
}
