import Domain
import FoundationEssentials

/// What is known of a volume and the list that was signed last: one file, so that neither is ahead of the other.
///
/// Its second line is a digest of all that follows (`docs/volumes.md`), so that not a bit of it changes unseen. It is no
/// signature: who may write the state of the host can make it.
struct VolumeRecordFile: Codable {
    var record: VolumeRecord
    var list: String

    init(_ record: VolumeRecord, list: [UInt8]) {
        self.record = record
        self.list = String(decoding: list, as: UTF8.self)
    }

    // MARK: As bytes

    /// Of every file; that of before there were digests goes on at once.
    private static let opening = Array("{\n".utf8)

    private static func digestLine(of rest: ArraySlice<UInt8>) -> [UInt8] {
        Array("  \"digest\" : \"\(ListDigest.of(Array(rest)).hex)\",\n".utf8)
    }

    func bytes() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let rest = [UInt8](try encoder.encode(self)).dropFirst(Self.opening.count)
        return Self.opening + Self.digestLine(of: rest) + rest
    }

    /// Nil where it is not what was written.
    init?(bytes: [UInt8]) {
        let rest = bytes.dropFirst(Self.opening.count + Self.digestLine(of: []).count)
        let isDigested = bytes.starts(with: Self.opening + Self.digestLine(of: rest))
        guard isDigested || Self.isOfBefore(bytes),
            let read = try? JSONDecoder().decode(Self.self, from: Data(bytes))
        else { return nil }
        self = read
    }

    /// Whether nothing but what is known and the list is in it: the word `digest` may be what changed.
    private static func isOfBefore(_ bytes: [UInt8]) -> Bool {
        let members = try? JSONDecoder().decode([String: Member].self, from: Data(bytes))
        return members.map { Set($0.keys) } == ["list", "record"]
    }

    private struct Member: Decodable {
        init(from decoder: any Decoder) {}
    }
}
