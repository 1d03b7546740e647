package import Domain

/// Which kind of signature a key makes; raw values are those of the signed note.
package enum AuditKeyKind: UInt8, Sendable {
    case log = 1
    case cosigner = 4
}

/// A public key with the name under which it signs.
package struct AuditKey: Sendable, Hashable {
    package let name: String
    package let kind: AuditKeyKind
    package let publicKey: Digest

    package init(name: String, kind: AuditKeyKind, publicKey: Digest) {
        self.name = name
        self.kind = kind
        self.publicKey = publicKey
    }

    /// The first four bytes of what identifies the key, big-endian.
    package var id: UInt32 {
        let bytes = Array(name.utf8) + [0x0A, kind.rawValue] + publicKey.bytes
        return UInt32(truncatingIfNeeded: ObjectHasher.digest(of: bytes, suite: .hmacSHA256).words.0 >> 32)
    }

    package var idText: String { Hex.encode(withUnsafeBytes(of: id.bigEndian) { Array($0) }) }

    package var text: String { "\(name)+\(idText)+\(Base64.encode([kind.rawValue] + publicKey.bytes))" }

    /// Nil for every text that ``text`` does not make.
    package init?(_ text: String) {
        // Neither a name nor hexadecimal digits have a plus; base 64 may.
        let parts = text.utf8.split(separator: 0x2B, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64.decode(Substring(parts[2])), let first = bytes.first,
            let kind = AuditKeyKind(rawValue: first), let key = Digest(Array(bytes.dropFirst())),
            AuditCheckpoint.isName(parts[0])
        else { return nil }
        self.init(name: String(Substring(parts[0])), kind: kind, publicKey: key)
        guard idText.utf8.elementsEqual(parts[1]) else { return nil }
    }
}

/// The name of a log and the keys that may sign for it: what a reader must be told, because nothing beside the log
/// itself can vouch for it.
package struct AuditTrust: Sendable {
    /// A key that signed for this log before, and the size up to which its signature counts.
    package struct Older: Sendable {
        package var publicKey: Digest
        package var upTo: UInt64

        package init(publicKey: Digest, upTo: UInt64) {
            self.publicKey = publicKey
            self.upTo = upTo
        }
    }

    package var origin: String
    package var key: Digest
    package var older: [Older]

    package init(origin: String, key: Digest, older: [Older] = []) {
        self.origin = origin
        self.key = key
        self.older = older
    }

    /// The current key first.
    package var keys: [AuditKey] {
        ([key] + older.map(\.publicKey)).map { AuditKey(name: origin, kind: .log, publicKey: $0) }
    }

    func keys(forSize size: UInt64) -> [AuditKey] {
        ([key] + older.filter { size <= $0.upTo }.map(\.publicKey))
            .map { AuditKey(name: origin, kind: .log, publicKey: $0) }
    }
}

/// What a log was at one size, signed: the text that is pinned, cosigned and compared (`docs/audit.md` §4).
package struct AuditCheckpoint: Sendable, Hashable {
    package static let maximumBytes = 1 << 14
    static let maximumSignatures = 16

    package struct Signature: Sendable, Hashable {
        package var name: String
        package var keyID: UInt32
        package var bytes: [UInt8]
    }

    package let origin: String
    package let size: UInt64
    package let root: Digest
    package private(set) var signatures: [Signature]

    init(origin: String, size: UInt64, root: Digest, signatures: [Signature] = []) {
        self.origin = origin
        self.size = size
        self.root = root
        self.signatures = signatures
    }

    /// What signatures cover.
    var body: [UInt8] { Array("\(origin)\n\(size)\n\(Base64.encode(root.bytes))\n".utf8) }

    /// The whole note.
    package var note: [UInt8] {
        var note = body + [0x0A]
        for signature in signatures {
            let id = withUnsafeBytes(of: signature.keyID.bigEndian) { Array($0) }
            note += Array("— \(signature.name) \(Base64.encode(id + signature.bytes))\n".utf8)
        }
        return note
    }

    /// Reads a note; says nothing about its signatures. Nil for anything that ``note`` does not make.
    package init?(note: [UInt8]) {
        guard note.count <= Self.maximumBytes, note.last == 0x0A else { return nil }
        let lines = note.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard (5...4 + Self.maximumSignatures).contains(lines.count), lines[3].isEmpty, Self.isName(lines[0]),
            let origin = String(validating: lines[0], as: UTF8.self),
            let sizeText = String(validating: lines[1], as: UTF8.self), let size = UInt64(sizeText),
            size < AuditEntry.limit, let root = Base64.decode(String(decoding: lines[2], as: UTF8.self)),
            let digest = Digest(root)
        else { return nil }
        self.init(origin: origin, size: size, root: digest)
        for line in lines[4...] {
            let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0].elementsEqual("—".utf8), Self.isName(parts[1]),
                let name = String(validating: parts[1], as: UTF8.self),
                let bytes = Base64.decode(String(decoding: parts[2], as: UTF8.self)), bytes.count > 4
            else { return nil }
            let id = bytes[..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            signatures.append(Signature(name: name, keyID: id, bytes: Array(bytes[4...])))
        }
        guard self.note == note else { return nil }
    }

    /// 1 to 256 bytes of UTF-8 without spaces, control characters or a plus.
    static func isName(_ bytes: some Collection<UInt8>) -> Bool {
        guard (1...256).contains(bytes.count), let text = String(validating: bytes, as: UTF8.self) else { return false }
        return text.unicodeScalars.allSatisfy {
            !$0.properties.isWhitespace && $0.value >= 0x20 && $0.value != 0x7F && $0 != "+"
        }
    }

    // MARK: Signatures

    func signed(by key: SigningKey) throws(VaultError) -> AuditCheckpoint {
        let id = AuditKey(name: origin, kind: .log, publicKey: key.publicKey).id
        return adding(Signature(name: origin, keyID: id, bytes: try key.sign(body)))
    }

    private func adding(_ signature: Signature) -> AuditCheckpoint {
        var copy = self
        copy.signatures.removeAll { $0.keyID == signature.keyID && $0.name.utf8.elementsEqual(signature.name.utf8) }
        copy.signatures.append(signature)
        return copy
    }

    /// Whether one of the signatures is a valid one of `key`.
    package func isSigned(by key: AuditKey) -> Bool {
        let id = key.id
        return signatures.contains { signature in
            guard signature.keyID == id, signature.name.utf8.elementsEqual(key.name.utf8) else { return false }
            switch key.kind {
            case .log:
                return SigningKey.verify(signature: signature.bytes, message: body, publicKey: key.publicKey)
            case .cosigner:
                guard signature.bytes.count == 8 + SigningKey.signatureBytes else { return false }
                let time = signature.bytes[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                return SigningKey.verify(
                    signature: Array(signature.bytes[8...]), message: Self.cosigned(body, at: time),
                    publicKey: key.publicKey)
            }
        }
    }

    /// Whether a key that counts for this size signed, in the name of that log.
    package func isValid(for trust: AuditTrust) -> Bool {
        origin.utf8.elementsEqual(trust.origin.utf8) && trust.keys(forSize: size).contains { isSigned(by: $0) }
    }

    private static func cosigned(_ body: [UInt8], at time: UInt64) -> [UInt8] {
        Array("cosignature/v1\ntime \(time)\n".utf8) + body
    }

    /// Adds the signature of another site, which has checked before that the log only grew: see
    /// ``cosigned(after:consistency:for:by:named:at:)``.
    package func cosigned(
        by key: SigningKey, named name: String, at time: UInt64
    ) throws(VaultError) -> AuditCheckpoint {
        let cosigner = AuditKey(name: name, kind: .cosigner, publicKey: key.publicKey)
        guard Self.isName(name.utf8), signatures.count < Self.maximumSignatures else {
            throw VaultError(.invalidInput, "\"\(name)\" cannot cosign this checkpoint")
        }
        let stamp = withUnsafeBytes(of: time.bigEndian) { Array($0) }
        let signature = try key.sign(Self.cosigned(body, at: time))
        return adding(Signature(name: name, keyID: cosigner.id, bytes: stamp + signature))
    }

    /// What the other site does: cosigns only a checkpoint of the log that it knows, and only if that log contains what
    /// was cosigned last. Fails with `rolledBack` otherwise.
    package func cosigned(
        after last: AuditCheckpoint?, consistency: [Digest], for trust: AuditTrust, by key: SigningKey,
        named name: String, at time: UInt64
    ) throws(VaultError) -> AuditCheckpoint {
        guard isValid(for: trust) else { throw Self.notSigned(origin: trust.origin) }
        if let last { try follows(last, consistency: consistency) }
        return try cosigned(by: key, named: name, at: time)
    }

    /// Checks that `last` is the beginning of this one.
    package func follows(_ last: AuditCheckpoint, consistency: [Digest]) throws(VaultError) {
        guard origin.utf8.elementsEqual(last.origin.utf8) else { throw Self.notSigned(origin: last.origin) }
        if last.size > size { throw Self.rolledBack(pinned: last.size, size: size) }
        guard Merkle.verifyConsistency(from: last.size, last.root, to: size, root, path: consistency) else {
            throw Self.split(at: last.size, size: size)
        }
    }

    // MARK: Errors

    static func notSigned(origin: String) -> VaultError {
        .auditDamage(
            "the checkpoint of the audit log \(origin) has no valid signature of a key that counts for it",
            hint: "Compare the log's key with the one that was enrolled; restore the log from another copy.")
    }

    static func rolledBack(pinned: UInt64, size: UInt64) -> VaultError {
        VaultError(
            .rolledBack, "the audit log has \(size) entries, but \(pinned) were seen before: it was rolled back",
            hint: "Do not trust this copy of the log; compare it with the other site's, and find out who changed it.")
    }

    static func split(at pinned: UInt64, size: UInt64) -> VaultError {
        VaultError(
            .rolledBack,
            "the first \(pinned) of the \(size) entries of the audit log are not those that were seen before: "
                + "there are two versions of it",
            hint: "Do not trust this copy of the log; compare it with the other site's, and find out who changed it.")
    }
}

extension VaultError {
    static func auditDamage(_ message: String, hint: String? = nil) -> VaultError {
        .damaged(
            message,
            hint: hint ?? "Run `qala audit verify` to see the extent, and compare with the copy at the other site.")
    }
}
