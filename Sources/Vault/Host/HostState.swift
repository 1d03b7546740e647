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
//   keys/           a copy of the newest key set
//
// Everything but `writer` is a cache. All of it is 0700/0600 and none of it opens an archive.
//
// Where it cannot be written, for want of rights or because the file system is read-only, the vault can still be read: what
// is here is used, and what a reader would keep lives in a directory for temporary files until it ends.
package final class HostState: Sendable {
    private static let writerMagic = Array("QALAHOST".utf8)

    package let directory: String
    package let vaultID: Digest
    /// Why this host can keep nothing: whoever would write to the vault fails with this, and readers go on.
    package let denial: VaultError?
    /// Stands in for `directory` where that cannot be written; removed with this object.
    private let scratch: String?

    /// The state for one vault under `base`, made when missing.
    package init(base: String, vaultID: Digest) throws(VaultError) {
        let directory = "\(base)/\(vaultID.hex.prefix(32))"
        self.directory = directory
        self.vaultID = vaultID
        let denial = try Self.denial(of: directory)
        self.denial = denial
        scratch = denial == nil ? nil : Self.makeScratch(for: directory)
    }

    deinit {
        guard let scratch else { return }
        for part in ["index", "catalog"] {
            for name in (try? StateFile.list("\(scratch)/\(part)")) ?? [] { unlink("\(scratch)/\(part)/\(name)") }
            rmdir("\(scratch)/\(part)")
        }
        rmdir(scratch)
    }

    private static func denial(of directory: String) throws(VaultError) -> VaultError? {
        do throws(VaultError) {
            for part in ["trees", "sessions", "index", "members", "catalog", "keys"] {
                try StateFile.makeDirectory("\(directory)/\(part)")
                try StateFile.checkWritable("\(directory)/\(part)")
            }
            try StateFile.checkWritable(directory)
            return nil
        } catch {
            guard error.code == .notAllowed else { throw error }
            return error
        }
    }

    /// With links to the catalog of the state, so that it is searched as far as it goes. Nil where there is no place: then
    /// what needs none works.
    private static func makeScratch(for directory: String) -> String? {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/qala-state-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for part in ["index", "catalog"] { mkdir("\(path)/\(part)", 0o700) }
        guard let resolved = realpath("\(directory)/catalog", nil) else { return path }
        defer { free(resolved) }
        let catalog = String(cString: resolved)
        for name in (try? StateFile.list(catalog)) ?? [] {
            symlink("\(catalog)/\(name)", "\(path)/catalog/\(name)")
        }
        return path
    }

    /// Fails where this host can keep nothing: who appends to the log must remember its head.
    func checkWritable() throws(VaultError) {
        if let denial { throw denial }
    }

    package var catalogDirectory: String { "\(scratch ?? directory)/catalog" }
    func indexPath(_ segment: Digest) -> String { "\(scratch ?? directory)/index/\(segment.hex)" }

    // MARK: Copies of key sets

    private func keySetPath(_ digest: Digest) -> String { "\(directory)/keys/\(digest.hex)" }

    /// This host's copy of a key set, if it is what the log names.
    func keySet(_ reference: ObjectReference, _ suite: HashSuite) -> [UInt8]? {
        guard let bytes = try? StateFile.read(keySetPath(reference.digest), limit: KeySet.maximumBytes),
            ObjectReference(of: bytes, suite: suite) == reference
        else { return nil }
        return bytes
    }

    /// Keeps a copy of the newest key set and lets go of those before it. Only a precaution: what goes wrong is passed over.
    func keep(_ newest: ObjectReference, before: [ObjectReference], _ bytes: () throws(VaultError) -> [UInt8]) {
        let path = keySetPath(newest.digest)
        guard denial == nil, access(path, F_OK) != 0 else { return }
        do throws(VaultError) { try StateFile.write(path, try bytes()) } catch { return }
        // Looked up first: a vault may have had very many key sets, and there is one copy to remove.
        let old = Set(before.map(\.digest.hex)).subtracting([newest.digest.hex])
        for name in (try? StateFile.list("\(directory)/keys")) ?? [] where old.contains(name) {
            unlink("\(directory)/keys/\(name)")
        }
    }

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

    /// What is known of the log where this state can be read; where it cannot, this host knows no more than a stranger.
    func pinIfReadable() throws(VaultError) -> Pin? {
        do throws(VaultError) {
            return try pin()
        } catch {
            guard denial != nil, error.code == .notAllowed else { throw error }
            return nil
        }
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
