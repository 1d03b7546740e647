package import Domain

/// An object that another one names: what it hashes to and how long it is.
package struct ObjectReference: Hashable, Sendable {
    package var digest: Digest
    package var length: UInt64

    package init(digest: Digest, length: UInt64) {
        self.digest = digest
        self.length = length
    }

    init(of bytes: [UInt8], suite: HashSuite) {
        self.init(digest: ObjectHasher.digest(of: bytes, suite: suite), length: UInt64(bytes.count))
    }
}

/// The content of a log record, by kind. See `docs/format.md` §4.
package enum LogBody: Sendable, Equatable {
    case key(ObjectReference)
    case open(SessionOpening)
    case checkpoint(session: Digest, number: UInt32, manifest: ObjectReference)
    case commit(SessionCommit)
    case abort(session: Digest)
    /// Ends sessions whose writers will not.
    case fence(sessions: [Digest])
    /// What of a domain no archive needs: a ``SweepList``.
    case condemn(domain: Digest, list: ObjectReference)
    case delete(SweepDeletion)
    case dispose(Disposal)
    case hold(HoldRecord)
    case release(ReleaseRecord)

    /// Sessions in a fence, archives in a disposal or hold.
    package static let listLimit = 1000

    var kind: UInt8 {
        switch self {
        case .key: 1
        case .open: 2
        case .checkpoint: 3
        case .commit: 4
        case .abort: 5
        case .fence: 6
        case .condemn: 7
        case .delete: 8
        case .dispose: 10
        case .hold: 11
        case .release: 12
        }
    }
}

package struct SessionOpening: Sendable, Equatable {
    package var session: Digest
    package var domain: Digest
    package var generation: UInt32
    package var keyring: ObjectReference
    package var commitment: Digest
    /// The session whose packs this one takes over; zero when none.
    package var resumes: Digest
}

package struct SessionCommit: Sendable, Equatable {
    package var session: Digest
    package var manifest: ObjectReference
    package var root: Digest
    package var level: UInt8
    package var entries: UInt64
    package var bytes: UInt64
    /// Sealed; see ``ArchiveHeader``.
    package var header: [UInt8]
}

/// Closes a condemn record: what it lists may be gone from the store.
package struct SweepDeletion: Sendable, Equatable {
    /// Number of the condemn record.
    package var condemned: UInt64
    /// A ``SweepList``, part of the condemned one.
    package var list: ObjectReference
    /// A manifest with the index segments that stand for what is left.
    package var manifest: ObjectReference
}

/// One signed, chained record of the log.
package struct LogRecord: Sendable {
    static let byteLimit = 64 << 10
    static let headerLimit = 32 << 10
    private static let magic = Array("QLOG".utf8)
    private static let signatureCount = 64

    package var number: UInt64
    package var previous: Digest
    package var signer: Digest
    /// Seconds since 1970 by the writer's clock: informative only.
    package var time: UInt64
    package var body: LogBody

    init(number: UInt64, previous: Digest, signer: Digest, time: UInt64, body: LogBody) {
        self.number = number
        self.previous = previous
        self.signer = signer
        self.time = time
        self.body = body
    }

    package static func objectName(_ number: UInt64) -> String {
        let digits = String(number)
        return "log/" + String(repeating: "0", count: 20 - digits.count) + digits
    }

    /// The signed bytes as stored.
    func encode(vaultID: Digest, key: SigningKey) throws(VaultError) -> [UInt8] {
        var content = ByteWriter()
        encodeBody(into: &content)
        var writer = ByteWriter()
        writer.raw(Self.magic)
        writer.u8(1)
        writer.u8(body.kind)
        writer.u64(number)
        writer.digest(previous)
        writer.digest(signer)
        writer.u64(time)
        writer.u32(UInt32(content.count))
        writer.raw(content.bytes)
        writer.raw(try key.sign(Self.signedMessage(writer.bytes, vaultID)))
        guard writer.count <= Self.byteLimit else {
            throw VaultError(.limit, "a log record of \(writer.count) bytes exceeds the limit of \(Self.byteLimit)")
        }
        return writer.bytes
    }

    private static func signedMessage(_ bytes: some Sequence<UInt8>, _ vaultID: Digest) -> [UInt8] {
        Array("qala/v1/log".utf8) + vaultID.bytes + bytes
    }

    private func encodeBody(into writer: inout ByteWriter) {
        switch body {
        case .key(let keySet):
            writer.reference(keySet)
        case .open(let opening):
            writer.digest(opening.session)
            writer.digest(opening.domain)
            writer.u32(opening.generation)
            writer.reference(opening.keyring)
            writer.digest(opening.commitment)
            writer.digest(opening.resumes)
        case .checkpoint(let session, let number, let manifest):
            writer.digest(session)
            writer.u32(number)
            writer.reference(manifest)
        case .commit(let commit):
            writer.digest(commit.session)
            writer.reference(commit.manifest)
            writer.digest(commit.root)
            writer.u8(commit.level)
            writer.u64(commit.entries)
            writer.u64(commit.bytes)
            writer.blob(commit.header)
        case .abort(let session):
            writer.digest(session)
        case .fence(let list): writer.digests(list)
        case .condemn(let domain, let list):
            writer.digest(domain)
            writer.reference(list)
        case .delete(let deletion):
            writer.u64(deletion.condemned)
            writer.reference(deletion.list)
            writer.reference(deletion.manifest)
        case .dispose(let disposal): writer.disposal(disposal)
        case .hold(let hold):
            writer.digest(hold.id)
            writer.digests(hold.archives)
            writer.reference(hold.note)
        case .release(let release):
            writer.digest(release.hold)
            writer.reference(release.note)
            writer.approval(release.approval)
        }
    }

    /// Decodes and checks the signature; rights and chain are the reader's of the whole log to check.
    package init(decoding bytes: [UInt8], vaultID: Digest) throws(VaultError) {
        guard bytes.count > Self.signatureCount, bytes.count <= Self.byteLimit else {
            throw .damaged("a log record has \(bytes.count) bytes")
        }
        let signedCount = bytes.count - Self.signatureCount
        self = try bytes.withBytes { (all) throws(VaultError) in
            var reader = ByteReader(.init(rebasing: all[..<signedCount]), reading: "a log record")
            return try LogRecord(reading: &reader)
        }
        let message = Self.signedMessage(bytes[..<signedCount], vaultID)
        guard
            SigningKey.verify(
                signature: Array(bytes[signedCount...]), message: message, publicKey: signer)
        else {
            throw .damaged("the signature of log record \(number) is invalid")
        }
    }

    private init(reading reader: inout ByteReader) throws(VaultError) {
        guard try reader.take(4).elementsEqual(Self.magic), try reader.u8() == 1 else {
            throw reader.malformed("it does not start as one")
        }
        let kind = try reader.u8()
        number = try reader.u64()
        previous = try reader.digest()
        signer = try reader.digest()
        time = try reader.u64()
        guard try reader.u32() == UInt32(reader.remaining) else { throw reader.malformed("its length does not fit") }
        switch kind {
        case 1: body = .key(try reader.reference())
        case 2:
            body = .open(
                SessionOpening(
                    session: try reader.digest(), domain: try reader.digest(), generation: try reader.u32(),
                    keyring: try reader.reference(), commitment: try reader.digest(), resumes: try reader.digest()))
        case 3:
            body = .checkpoint(
                session: try reader.digest(), number: try reader.u32(), manifest: try reader.reference())
        case 4:
            body = .commit(
                SessionCommit(
                    session: try reader.digest(), manifest: try reader.reference(), root: try reader.digest(),
                    level: try reader.u8(), entries: try reader.u64(), bytes: try reader.u64(),
                    header: try reader.blob(upTo: Self.headerLimit)))
        case 5: body = .abort(session: try reader.digest())
        case 6: body = .fence(sessions: try reader.digests(atLeast: 1))
        case 7: body = .condemn(domain: try reader.digest(), list: try reader.reference())
        case 8:
            body = .delete(
                SweepDeletion(
                    condemned: try reader.u64(), list: try reader.reference(), manifest: try reader.reference()))
        case 10: body = .dispose(try reader.disposal())
        case 11:
            body = .hold(
                HoldRecord(
                    id: try reader.digest(), archives: try reader.digests(atLeast: 0), note: try reader.reference()))
        case 12:
            body = .release(
                ReleaseRecord(
                    hold: try reader.digest(), note: try reader.reference(), approval: try reader.approval()))
        default: throw reader.malformed("its kind \(kind) is unknown")
        }
        try reader.expectEnd()
    }
}

extension ByteWriter {
    mutating func reference(_ value: ObjectReference) {
        digest(value.digest)
        u64(value.length)
    }
}

extension ByteReader {
    mutating func reference() throws(VaultError) -> ObjectReference {
        ObjectReference(digest: try digest(), length: try u64())
    }
}
