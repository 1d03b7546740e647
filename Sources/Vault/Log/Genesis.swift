import FoundationEssentials
package import Domain

/// `vault.json`: what a vault is, written once. Its bytes as stored make the vault id, so they are kept beside the
/// decoded fields and never encoded again.
package struct Genesis: Sendable {
    package static let objectName = "vault.json"
    static let byteLimit = 64 << 10

    package let bytes: [UInt8]
    package let vaultID: Digest
    package let suite: HashSuite
    /// Signs log record 0.
    package let rootKey: Digest
    package let created: String

    private struct Fields: Codable {
        var format: Int
        var suite: String
        var created: String
        var root: String
        var salt: String
        var compatible: [String]
        var readCompatible: [String]
        var incompatible: [String]
    }

    /// A new vault's genesis; the salt makes every vault id unique.
    package init(suite: HashSuite, rootKey: Digest, created: String) throws(VaultError) {
        let fields = Fields(
            format: 1, suite: suite.name, created: created, root: rootKey.hex, salt: Random.digest().hex,
            compatible: [],
            readCompatible: [], incompatible: [])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        guard let data = try? encoder.encode(fields) else {
            throw VaultError(.invalidInput, "the genesis of the vault could not be encoded")
        }
        try self.init(decoding: [UInt8](data) + [0x0A])
    }

    package init(decoding bytes: [UInt8]) throws(VaultError) {
        guard let fields = try? JSONDecoder().decode(Fields.self, from: Data(bytes)) else {
            throw .damaged("\(Self.objectName) is malformed")
        }
        guard fields.format == 1 else {
            throw VaultError(
                .unsupportedFormat, "this vault has format \(fields.format); this program reads format 1",
                hint: "Use a newer version of qala.")
        }
        if let unknown = fields.incompatible.first ?? fields.readCompatible.first {
            throw VaultError(
                .unsupportedFormat, "this vault needs the feature `\(unknown)`, which this program lacks",
                hint: "Use a newer version of qala.")
        }
        guard let suite = HashSuite(name: fields.suite) else {
            throw VaultError(
                .unsupportedFormat, "this vault uses the hash suite `\(fields.suite)`, which this program lacks",
                hint: "Use a newer version of qala.")
        }
        guard let root = Digest(hex: fields.root) else { throw .damaged("\(Self.objectName) names no root key") }
        self.bytes = bytes
        self.suite = suite
        self.rootKey = root
        self.created = fields.created
        self.vaultID = ObjectHasher.digest(of: bytes, suite: .hmacSHA256)
    }
}
