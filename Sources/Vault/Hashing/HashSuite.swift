/// The hash functions of format 1. A vault's genesis names one suite; it holds for every identity and digest in it.
///
/// Raw values are those of storage.
package enum HashSuite: UInt8, Sendable, CaseIterable {
    /// Keyed BLAKE3 for identities, BLAKE3 for stored objects.
    case blake3 = 1
    /// HMAC-SHA-256 for identities, SHA-256 for stored objects.
    case hmacSHA256 = 2

    package var name: String {
        switch self {
        case .blake3: "blake3"
        case .hmacSHA256: "hmac-sha256"
        }
    }

    /// Nil for any name that is not exactly one of ``name``.
    package init?(name: String) {
        guard let suite = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = suite
    }
}
