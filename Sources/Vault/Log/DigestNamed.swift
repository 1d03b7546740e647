import Domain

extension Store {
    /// Reads a whole object that something authenticated names, and checks length and digest.
    func object(
        _ name: String, _ reference: ObjectReference, limit: Int, _ suite: HashSuite
    ) throws(VaultError) -> [UInt8] {
        guard reference.length <= UInt64(limit) else { throw .damaged("\(name) is said to exceed its limit") }
        let bytes = try get(name, limit: limit)
        guard UInt64(bytes.count) == reference.length,
            ObjectHasher.digest(of: bytes, suite: suite) == reference.digest
        else { throw .damaged("\(name) is not what was stored") }
        return bytes
    }

    /// Stores bytes under a name in `directory` made of their digest.
    func putNamedByDigest(
        _ directory: String, _ bytes: [UInt8], _ suite: HashSuite
    ) throws(VaultError) -> ObjectReference {
        let object = DigestNamed(directory, bytes, suite)
        try object.put(into: self)
        return object.reference
    }
}

/// Bytes that are stored under a name in a directory made of their digest, which others may name before they are there.
struct DigestNamed: Sendable {
    let reference: ObjectReference
    private let name: String
    private let bytes: [UInt8]
    /// Of more it is not worth the memory to let them wait for others.
    var isSmall: Bool { bytes.count <= 1 << 20 }

    init(_ directory: String, _ bytes: [UInt8], _ suite: HashSuite) {
        reference = ObjectReference(of: bytes, suite: suite)
        name = "\(directory)/\(reference.digest.hex)"
        self.bytes = bytes
    }

    /// ``put(into:)`` as work to be done elsewhere.
    func putting(into store: any Store) -> @Sendable () throws(VaultError) -> Void {
        @Sendable func work() throws(VaultError) { try put(into: store) }
        return work
    }

    func put(into store: any Store) throws(VaultError) { try store.put(name, bytes) }
}
