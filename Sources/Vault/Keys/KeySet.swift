package import Domain

/// The whole state of all keys of a vault: who opens it, which domains it has, who writes.
///
/// It is authentic because a log record signed by an administrator names its digest; what it wraps is bound to vault,
/// owner and place besides.
package struct KeySet: Equatable, Sendable {
    package static let maximumBytes = 16 << 20
    package static let maximumReaders = 64
    package static let maximumDomains = 4096
    package static let maximumWriters = 4096
    package static let maximumLabelBytes = 256

    /// Grows by one with each change; the first is 1.
    package let generation: UInt64
    package let readers: [Reader]
    /// Every generation of every domain, in the order in which they were added.
    package let domains: [Domain]
    package let writers: [WriterGrant]

    package enum ReaderKind: UInt8, Sendable {
        /// The secret is in the key set, wrapped with a passphrase.
        case passphrase = 1
        /// The secret is in a key file.
        case file = 2
        /// The secret is printed on a recovery kit.
        case kit = 3
    }

    /// Who opens archives.
    package struct Reader: Equatable, Sendable {
        /// Digest of the public key.
        package let id: Digest
        package let kind: ReaderKind
        /// Whether its administration key may sign key records.
        package let isAdministrator: Bool
        package let label: String
        /// Seconds since 1970.
        package let created: UInt64
        /// X-Wing: what domain secrets are sealed to.
        package let publicKey: [UInt8]
        /// Ed25519: what signs key records, if it may.
        package let administrationKey: Digest
        /// Of kind passphrase, and of no other.
        let slot: PassphraseSlot?
    }

    /// A reader's secret, wrapped with a key derived from a passphrase.
    struct PassphraseSlot: Equatable, Sendable {
        static let wrappedBytes = Secret.byteCount + GCMContext.tagBytes

        let parameters: ScryptParameters
        let salt: Digest
        let wrapped: [UInt8]
    }

    /// One generation of a domain's key pair.
    package struct Domain: Equatable, Sendable {
        package let id: Digest
        package let generation: UInt32
        /// X-Wing: what session keys are sealed to.
        package let publicKey: [UInt8]
        let wraps: [Wrap]

        package func isOpen(to reader: Digest) -> Bool { wraps.contains { $0.readerID == reader } }
    }

    /// A domain's private half and identity secret, sealed to one reader.
    struct Wrap: Equatable, Sendable {
        static let sealedBytes = HPKEBox.overheadBytes + 2 * Secret.byteCount

        let readerID: Digest
        let sealed: [UInt8]
    }

    package enum WriterState: UInt8, Sendable {
        case active = 1
        /// Writes no more; what it wrote stays valid.
        case revoked = 2
    }

    /// Who makes archives, and in which domain.
    package struct WriterGrant: Equatable, Sendable {
        package let publicKey: Digest
        package let domainID: Digest
        package let state: WriterState
        package let label: String
    }

    package func reader(_ id: Digest) -> Reader? { readers.first { $0.id == id } }
    package func writer(_ publicKey: Digest) -> WriterGrant? { writers.first { $0.publicKey == publicKey } }
    package func domain(_ id: Digest, generation: UInt32) -> Domain? {
        domains.first { $0.id == id && $0.generation == generation }
    }
    /// The newest generation of a domain: what new sessions seal to.
    package func currentDomain(_ id: Digest) -> Domain? {
        domains.filter { $0.id == id }.max { $0.generation < $1.generation }
    }
    /// Whether `publicKey` may sign the key record that replaces this key set.
    package func isAdministrator(_ publicKey: Digest) -> Bool {
        readers.contains { $0.isAdministrator && $0.administrationKey == publicKey }
    }
}

// MARK: - The stored form

extension KeySet {
    private static let magic: StaticString = "QALAKEYS"

    /// Fails above 16 MiB: some 1200 bytes for each reader of each generation of each domain.
    package func encode() throws(VaultError) -> [UInt8] {
        var out = ByteWriter(capacity: 4096)
        Self.magic.withUTF8Buffer { out.raw(UnsafeRawBufferPointer($0)) }
        out.u8(1)
        out.u64(generation)
        out.varint(UInt64(readers.count))
        for reader in readers { reader.encode(to: &out) }
        out.varint(UInt64(domains.count))
        for domain in domains {
            out.digest(domain.id)
            out.u32(domain.generation)
            out.raw(domain.publicKey)
            out.varint(UInt64(domain.wraps.count))
            for wrap in domain.wraps {
                out.digest(wrap.readerID)
                out.raw(wrap.sealed)
            }
        }
        out.varint(UInt64(writers.count))
        for writer in writers {
            out.digest(writer.publicKey)
            out.digest(writer.domainID)
            out.u8(writer.state.rawValue)
            out.text(writer.label)
        }
        guard out.count <= Self.maximumBytes else {
            throw VaultError(
                .limit, "the key set would be longer than \(Self.maximumBytes >> 20) MiB",
                hint: "Remove readers that are not needed any more; each costs 1.2 KB in every domain.")
        }
        return out.bytes
    }

    /// Reads a key set from storage. Nothing in it may be believed before the log vouches for its digest.
    package static func decode(_ bytes: [UInt8], suite: HashSuite) throws(VaultError) -> KeySet {
        guard bytes.count <= maximumBytes else { throw .damaged("a key set is longer than \(maximumBytes >> 20) MiB") }
        return try bytes.withBytes { bytes throws(VaultError) in
            var input = ByteReader(bytes, reading: "a key set")
            let start = try input.take(magic.utf8CodeUnitCount)
            guard magic.withUTF8Buffer({ start.elementsEqual($0) }) else {
                throw input.malformed("it does not begin as one")
            }
            guard try input.u8() == 1 else { throw input.malformed("its version is unknown") }
            let generation = try input.u64()
            guard generation >= 1 else { throw input.malformed("its generation is 0") }
            let readers = try input.list(upTo: maximumReaders) { input throws(VaultError) in
                try Reader.decode(from: &input, suite: suite)
            }
            let domains = try input.list(upTo: maximumDomains, Domain.decode)
            let writers = try input.list(upTo: maximumWriters, WriterGrant.decode)
            try input.expectEnd()
            let result = KeySet(generation: generation, readers: readers, domains: domains, writers: writers)
            if let twice = result.ambiguity { throw input.malformed("\(twice) stands in it twice") }
            return result
        }
    }

    /// What occurs twice although it must not, if anything.
    var ambiguity: String? {
        struct KeyPair: Hashable {
            let id: Digest
            let generation: UInt32
        }
        if Set(readers.map(\.id)).count != readers.count { return "a reader" }
        if Set(writers.map(\.publicKey)).count != writers.count { return "a writer" }
        let pairs = Set(domains.map { KeyPair(id: $0.id, generation: $0.generation) })
        if pairs.count != domains.count { return "a generation of a domain" }
        for domain in domains where Set(domain.wraps.map(\.readerID)).count != domain.wraps.count {
            return "a reader of a domain"
        }
        return nil
    }
}

extension KeySet.Reader {
    static func id(of publicKey: [UInt8], suite: HashSuite) -> Digest {
        ObjectHasher.digest(of: Array("qala/v1/reader-id".utf8) + publicKey, suite: suite)
    }

    fileprivate func encode(to out: inout ByteWriter) {
        out.u8(kind.rawValue)
        out.u8(isAdministrator ? 1 : 0)
        out.text(label)
        out.u64(created)
        out.raw(publicKey)
        out.digest(administrationKey)
        guard let slot else { return }
        out.u8(slot.parameters.log2N)
        out.u8(slot.parameters.r)
        out.u8(slot.parameters.p)
        out.digest(slot.salt)
        out.raw(slot.wrapped)
    }

    fileprivate static func decode(from input: inout ByteReader, suite: HashSuite) throws(VaultError) -> Self {
        guard let kind = KeySet.ReaderKind(rawValue: try input.u8()) else {
            throw input.malformed("it has a reader of unknown kind")
        }
        let administrator = try input.u8()
        guard administrator <= 1 else { throw input.malformed("a flag is neither 0 nor 1") }
        let label = try input.text(upTo: KeySet.maximumLabelBytes)
        let created = try input.u64()
        let publicKey = try input.array(ReadingKey.publicKeyBytes)
        let administrationKey = try input.digest()
        var slot: KeySet.PassphraseSlot?
        if kind == .passphrase {
            let parameters = ScryptParameters(log2N: try input.u8(), r: try input.u8(), p: try input.u8())
            guard parameters.isAcceptable else {
                throw input.malformed("a slot asks for more work to derive its key than format 1 allows")
            }
            slot = KeySet.PassphraseSlot(
                parameters: parameters, salt: try input.digest(),
                wrapped: try input.array(KeySet.PassphraseSlot.wrappedBytes))
        }
        return KeySet.Reader(
            id: id(of: publicKey, suite: suite), kind: kind, isAdministrator: administrator == 1, label: label,
            created: created, publicKey: publicKey, administrationKey: administrationKey, slot: slot)
    }
}

extension KeySet.Domain {
    fileprivate static func decode(from input: inout ByteReader) throws(VaultError) -> Self {
        let id = try input.digest()
        let generation = try input.u32()
        let publicKey = try input.array(ReadingKey.publicKeyBytes)
        let wraps = try input.list(upTo: KeySet.maximumReaders) { input throws(VaultError) in
            KeySet.Wrap(readerID: try input.digest(), sealed: try input.array(KeySet.Wrap.sealedBytes))
        }
        return Self(id: id, generation: generation, publicKey: publicKey, wraps: wraps)
    }
}

extension KeySet.WriterGrant {
    fileprivate static func decode(from input: inout ByteReader) throws(VaultError) -> Self {
        let publicKey = try input.digest()
        let domainID = try input.digest()
        guard let state = KeySet.WriterState(rawValue: try input.u8()) else {
            throw input.malformed("it has a writer in an unknown state")
        }
        return Self(
            publicKey: publicKey, domainID: domainID, state: state,
            label: try input.text(upTo: KeySet.maximumLabelBytes))
    }
}

extension ByteReader {
    /// A count of at most `limit`, then the items. Memory grows with what was read, not with the count claimed.
    fileprivate mutating func list<T>(
        upTo limit: Int, _ item: (inout ByteReader) throws(VaultError) -> T
    ) throws(VaultError) -> [T] {
        let count = try varint(upTo: limit)
        var items: [T] = []
        for _ in 0..<count { items.append(try item(&self)) }
        return items
    }
}
