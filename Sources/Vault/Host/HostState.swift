package import Domain
import Glibc

/// What lets a host write into a vault: its signing key, its domain, and the secret that names chunks. Not the key that
/// reads: whoever takes this file can add archives in this host's name, and no more.
package struct WriterIdentity: Sendable {
    package var signing: SigningKey
    var signingSeed: Secret
    package var domain: Digest
    package var identity: Secret

    package init(signingSeed: Secret, domain: Digest, identity: Secret) throws(VaultError) {
        self.signingSeed = signingSeed
        signing = try SigningKey(seed: signingSeed)
        self.domain = domain
        self.identity = identity
    }
}

// The state that one host keeps beside one vault:
//
//   writer          its keys (losing them costs enrolment)
//   head            the newest log record seen: what proves later that the log was not cut
//   trees/          the newest tree of each source      sessions/   locks and journals of runs
//   index/          copies of index segments            members/    which small files are stored
//
// Everything but `writer` is a cache. All of it is 0700/0600 and none of it opens an archive.
package final class HostState: Sendable {
    private static let writerMagic = Array("QALAHOST".utf8)

    package let directory: String
    package let vaultID: Digest

    /// The state for one vault under `base`, made when missing.
    package init(base: String, vaultID: Digest) throws(VaultError) {
        directory = "\(base)/\(vaultID.hex.prefix(32))"
        self.vaultID = vaultID
        for part in ["trees", "sessions", "index", "members", "catalog"] {
            try StateFile.makeDirectory("\(directory)/\(part)")
        }
    }

    package var catalogDirectory: String { "\(directory)/catalog" }

    package func writer() throws(VaultError) -> WriterIdentity? {
        guard var bytes = try StateFile.read("\(directory)/writer", limit: 4096) else { return nil }
        defer { Wipe.array(&bytes) }
        return try bytes.withBytes { (raw) throws(VaultError) in
            var reader = ByteReader(raw, reading: "the writer's key of this host")
            guard try reader.take(8).elementsEqual(Self.writerMagic), try reader.u8() == 1,
                try reader.digest() == vaultID
            else { throw reader.malformed("it is not one of this vault") }
            let seed = try Secret(copying: try reader.take(32))
            let domain = try reader.digest()
            let identity = try Secret(copying: try reader.take(32))
            try reader.expectEnd()
            return try WriterIdentity(signingSeed: seed, domain: domain, identity: identity)
        }
    }

    package func save(_ writer: WriterIdentity) throws(VaultError) {
        var bytes = Self.writerMagic + [1] + vaultID.bytes
        defer { Wipe.array(&bytes) }
        writer.signingSeed.withBytes { bytes.append(contentsOf: $0) }
        bytes += writer.domain.bytes
        writer.identity.withBytes { bytes.append(contentsOf: $0) }
        try StateFile.write("\(directory)/writer", bytes)
    }

    /// The newest record that this host has seen.
    package struct Pin: Sendable, Equatable {
        package var number: UInt64
        package var digest: Digest
    }

    package func pin() throws(VaultError) -> Pin? {
        guard let bytes = try StateFile.read("\(directory)/head", limit: 4096) else { return nil }
        let parts = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard parts.count == 2, let number = UInt64(parts[0]), let digest = Digest(hex: parts[1]) else { return nil }
        return Pin(number: number, digest: digest)
    }

    package func save(_ pin: Pin) throws(VaultError) {
        try StateFile.write("\(directory)/head", Array("\(pin.number) \(pin.digest.hex)\n".utf8))
    }

    func treePath(_ source: Digest) -> String { "\(directory)/trees/\(source.hex.prefix(32))" }
    func lockPath(_ session: Digest) -> String { "\(directory)/sessions/\(session.hex).lock" }
    func journalPath(_ source: Digest, _ session: Digest) -> String {
        "\(directory)/sessions/\(source.hex.prefix(32))-\(session.hex).journal"
    }

    /// Sessions that left a journal for this source, unlocked: what an interrupted run of it left behind.
    func journals(of source: Digest) throws(VaultError) -> [Digest] {
        let prefix = "\(source.hex.prefix(32))-"
        return try StateFile.list("\(directory)/sessions").compactMap { name in
            guard name.hasPrefix(prefix), name.hasSuffix(".journal") else { return nil }
            return Digest(hex: name.dropFirst(prefix.count).dropLast(".journal".count))
        }
    }
}
