import Domain
import FoundationEssentials
import Glibc
import Vault

/// The file in which one person's request reaches the second one. It holds no secret: its signature makes it worth
/// something, and only together with a second administrator's key.
struct RequestFile: Codable {
    /// `dispose` or `release`.
    var request: String
    var vault: String
    /// Ids of archives, or of the one hold.
    var subjects: [String]
    var note: String
    var noteLength: UInt64
    /// Public key of the administrator who asks.
    var requester: String
    var signature: String

    init(_ value: ActRequest) {
        request = value.kind == .dispose ? "dispose" : "release"
        vault = value.vaultID.hex
        subjects = value.subjects.map(\.hex)
        note = value.note.digest.hex
        noteLength = value.note.length
        requester = value.approval.requester.hex
        signature = Hex.text(value.approval.signature)
    }

    static func write(_ value: ActRequest, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let file = try SecretFile(path: path)
        try file.write(String(decoding: try encoder.encode(RequestFile(value)), as: UTF8.self) + "\n")
    }

    static func read(_ path: String) throws -> ActRequest {
        func broken(_ why: String) -> OperationError {
            OperationError(.usage, "\(path) is no request: \(why)", hint: "Ask for the request file again.")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw OperationError(.notFound, "\(path) cannot be read", hint: "Name the file that the first person made.")
        }
        guard data.count <= 1 << 20, let file = try? JSONDecoder().decode(RequestFile.self, from: data) else {
            throw broken("it is not of that form")
        }
        guard let kind = ["dispose": ActRequest.Kind.dispose, "release": .release][file.request] else {
            throw broken("it asks for something unknown")
        }
        let subjects = file.subjects.compactMap { Digest(hex: $0) }
        guard subjects.count == file.subjects.count, subjects.count <= LogBody.listLimit,
            let vault = Digest(hex: file.vault), let note = Digest(hex: file.note),
            let requester = Digest(hex: file.requester), let signature = Hex.bytes(file.signature)
        else { throw broken("its ids are malformed") }
        return ActRequest(
            kind: kind, vaultID: vault, subjects: subjects,
            note: ObjectReference(digest: note, length: file.noteLength),
            approval: ActApproval(requester: requester, signature: signature))
    }
}

enum Hex {
    static func text(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Nil when it is not pairs of digits.
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { byte -> UInt8? in Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for at in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[at], let low = digits[at + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
