import Documents
import Domain
import FoundationEssentials
import Glibc
import Vault

/// The file in which a change of the policies reaches the person who shall approve it.
///
/// It holds both sets whole, so that the second person sees on any machine what is asked, and no secret. Its digests
/// bind the bytes of every document; what is shown is computed from them and not taken from the file.
struct PolicyRequestFile: Codable {
    private static let word = "policy"
    private static let byteLimit = 128 << 20

    var request: String
    var base: String
    var proposed: String
    var author: String
    var reason: String
    /// Seconds since 1970.
    var time: Int64
    /// The author's, over the request.
    var signature: String
    var before: [KeptDocument]
    var after: [KeptDocument]

    init(_ proposal: PolicyProposal, _ authorship: Authorship) {
        request = Self.word
        base = proposal.request.base.hex
        proposed = proposal.request.proposed.hex
        author = proposal.request.author
        reason = proposal.request.reason
        time = proposal.request.time
        signature = Hex.text(authorship.signature)
        before = KeptDocument.list(proposal.base)
        after = KeptDocument.list(proposal.proposed)
    }

    static func write(_ proposal: PolicyProposal, _ authorship: Authorship, to path: String) throws {
        try SmallFile.write(PolicyRequestFile(proposal, authorship), to: path)
    }

    /// Whether the author's signature counts is not looked at here.
    static func read(_ path: String) throws -> (proposal: PolicyProposal, authorship: Authorship) {
        let file = try SmallFile.read(PolicyRequestFile.self, path, limit: byteLimit, what: "request")
        func broken(_ why: String) -> OperationError { SmallFile.broken(path, "request", why) }
        guard file.request == word else { throw broken("it asks for something else than a change of the policies") }
        guard let base = Digest(hex: file.base), let proposed = Digest(hex: file.proposed),
            PolicyProposal.isSound(file.author, file.reason), let signature = Hex.bytes(file.signature)
        else { throw broken("its digests, author, reason or signature are malformed") }
        guard let before = KeptDocument.document(file.before), let after = KeptDocument.document(file.after),
            before.isReadable, after.isReadable
        else { throw broken("its documents are malformed") }
        let request = PolicyRequest(
            base: base, proposed: proposed, author: file.author, reason: file.reason, time: file.time)
        guard let proposal = PolicyProposal(request, from: before, to: after) else {
            throw OperationError(
                .denied, "the documents in \(path) are not those that were asked for",
                hint: "Ask the author for the request again.")
        }
        return (proposal, Authorship(request: proposal.digest, author: file.author, signature: signature))
    }
}

/// The file in which the second person's signature comes back.
struct PolicyApprovalFile: Codable {
    private static let word = "policy"

    var approval: String
    /// The digest of the request.
    var request: String
    var person: String
    var signature: String

    static func write(_ value: Approval, to path: String) throws {
        let file = PolicyApprovalFile(
            approval: word, request: value.request.hex, person: value.person, signature: Hex.text(value.signature))
        try SmallFile.write(file, to: path)
    }

    static func read(_ path: String) throws -> Approval {
        let file = try SmallFile.read(PolicyApprovalFile.self, path, limit: 64 << 10, what: "approval")
        guard file.approval == word, let request = Digest(hex: file.request),
            file.person.utf8.count <= Person.maximumIDBytes, let signature = Hex.bytes(file.signature)
        else { throw SmallFile.broken(path, "approval", "it is malformed") }
        return Approval(request: request, person: file.person, signature: signature)
    }
}

/// JSON files that pass between persons: written once, never in place of another, and read within bounds.
enum SmallFile {
    static func write(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let file = try SecretFile(path: path)
        try file.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n")
    }

    static func read<Value: Decodable>(
        _ type: Value.Type, _ path: String, limit: Int, what: String
    ) throws -> Value {
        let bytes = try Self.bytes(path, limit: limit, what: what)
        guard let value = try? JSONDecoder().decode(type, from: Data(bytes)) else {
            throw broken(path, what, "it is not of that form")
        }
        return value
    }

    static func bytes(_ path: String, limit: Int, what: String) throws -> [UInt8] {
        var info = stat()
        guard stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG,
            let bytes = try StateFile.read(path, limit: limit)
        else {
            throw OperationError(
                .notFound, "there is no \(what) \(path)",
                hint: "Name the file that the other person, or `qala policy`, wrote.")
        }
        return bytes
    }

    static func broken(_ path: String, _ what: String, _ why: String) -> OperationError {
        OperationError(.usage, "\(path) is no \(what): \(why)", hint: "Ask for the file again.")
    }
}

/// A person's key for approvals, in a file of that person alone.
enum SigningKeyFile {
    private static let mark = "QALA-SIGNING-KEY-1"
    private static let limit = 4096

    /// Makes a key; the file is complete before the public half is told.
    static func make(at path: String) throws -> SigningKey {
        let file = try SecretFile(path: path)
        let secret = try Secret.random()
        let key = try SigningKey(seed: secret)
        var seed = secret.withBytes { Array($0) }
        defer { Wipe.array(&seed) }
        let text = """
            # Qala: imza açarı / signing key, Ed25519
            # Açıq açar / public key: \(key.publicKey.hex)
            # Bu faylla sizin adınıza təsdiq verilir; onu gizli saxlayın.
            # Whoever holds this file approves in your name; keep it secret.
            \(mark) \(Hex.text(seed))

            """
        try file.write(text)
        return key
    }

    static func read(_ path: String) throws -> SigningKey {
        var info = stat()
        if stat(path, &info) == 0, info.st_mode & 0o077 != 0 {
            throw OperationError(.denied, "others can read \(path)", hint: "Run `chmod 600` on it.")
        }
        var bytes = try SmallFile.bytes(path, limit: limit, what: "signing key")
        defer { Wipe.array(&bytes) }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, words[0] == mark else { continue }
            guard var seed = Hex.bytes(String(words[1])), seed.count == Secret.byteCount else { break }
            defer { Wipe.array(&seed) }
            return try SigningKey(seed: try Secret(copying: seed))
        }
        throw SmallFile.broken(path, "signing key", "it holds no key of `qala policy key`")
    }
}
