import Domain
import FoundationEssentials
import Glibc
import Vault

// How the processes of one host share its audit log (`docs/audit.md` §9).
//
// Invariants:
// 1. One process at a time appends: the daemon, or a command for as long as it takes over the spool. Everybody else
//    writes a spool file of his own, for which no key is needed.
// 2. Key and identity are made before the log; the identity says whether the log was begun. A log, key or identity that is
//    missing afterwards is named, and nothing is begun anew in its place.
// 3. Readers trust the keys that the identity names. It lies beside the log: who can write both can make another log, and
//    only what other places hold tells.

/// Where the audit log of a state directory lies, and the ways into it.
struct AuditPlace: Sendable {
    /// What the log is called and who signs for it; no secret.
    struct Identity: Codable, Sendable {
        struct Older: Codable, Sendable {
            /// 64 hexadecimal digits.
            var key: String
            /// The size of the log up to which the key's signature counts.
            var upTo: UInt64
        }

        var origin: String
        /// 64 hexadecimal digits.
        var key: String
        var older: [Older] = []
        /// The log was made; from then on one that is not there is missing.
        var isBegun = false

        /// Nil for what cannot be the identity of a log.
        var trust: AuditTrust? {
            guard let publicKey = Digest(hex: key), older.count <= AuditPlace.maximumOlder else { return nil }
            let keys = older.compactMap { item in
                Digest(hex: item.key).map { AuditTrust.Older(publicKey: $0, upTo: item.upTo) }
            }
            let text = AuditKey(name: origin, kind: .log, publicKey: publicKey).text
            guard keys.count == older.count, AuditKey(text) != nil else { return nil }
            return AuditTrust(origin: origin, key: publicKey, older: keys)
        }
    }

    /// A pack carries sixteen keys at most.
    static let maximumOlder = 15
    private static let identityLimit = 64 << 10
    private static let keyMark = Array("QALAAKEY".utf8)
    /// How long a command waits for the daemon to take over what was spooled before, in twentieths of a second.
    private static let patience = 60

    let folder: String

    init(state: String) { folder = state + "/audit" }

    var logPath: String { folder + "/log" }
    var spoolPath: String { folder + "/spool" }
    private var keyPath: String { folder + "/key" }
    private var identityPath: String { folder + "/identity.json" }

    // MARK: Identity and key

    func identity() throws -> Identity? {
        guard let bytes = try StateFile.read(identityPath, limit: Self.identityLimit) else { return nil }
        guard let found = try? JSONDecoder().decode(Identity.self, from: Data(bytes)), found.trust != nil else {
            throw OperationError(
                .damaged, "\(identityPath) does not name an audit log and its keys",
                hint: "Bring this file back from a copy of the state directory.")
        }
        return found
    }

    /// What a reader of the log is told; fails with `notFound` where nothing was ever recorded.
    func trust() throws -> AuditTrust {
        guard let trust = try self.identity()?.trust else {
            if let origin = try originOfLog() { throw identityIsLost(origin) }
            throw OperationError(
                .notFound, "there is no audit log in \(folder)",
                hint: "Check the state directory (--state or QALA_STATE); the first recorded act makes the log.")
        }
        return trust
    }

    private func save(_ identity: Identity) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try StateFile.write(identityPath, Array(try encoder.encode(identity)) + [0x0A])
    }

    private func signingKey() throws -> SigningKey? {
        guard var bytes = try StateFile.read(keyPath, limit: 64) else { return nil }
        defer { Wipe.array(&bytes) }
        guard bytes.count == Self.keyMark.count + Secret.byteCount, bytes.starts(with: Self.keyMark) else {
            throw OperationError(
                .damaged, "\(keyPath) is not the signing key of an audit log", hint: "Bring it back from a copy.")
        }
        var seed = Array(bytes.dropFirst(Self.keyMark.count))
        defer { Wipe.array(&seed) }
        return try SigningKey(seed: try Secret(copying: seed))
    }

    private func makeKey() throws -> SigningKey {
        let seed = try Secret.random()
        var bytes = Self.keyMark
        seed.withBytes { bytes.append(contentsOf: $0) }
        defer { Wipe.array(&bytes) }
        try StateFile.write(keyPath, bytes)
        return try SigningKey(seed: seed)
    }

    private func identified() throws -> (identity: Identity, key: SigningKey) {
        if let known = try self.identity() {
            guard let key = try signingKey(), key.publicKey.hex == known.key else { throw keyIsLost(known) }
            return (known, key)
        }
        let named = try originOfLog()
        // A key without an identity is what a crash between the two leaves.
        let key: SigningKey
        if let kept = try signingKey() {
            key = kept
        } else {
            // No new key goes on with what another one signed.
            if let named { throw identityIsLost(named) }
            key = try makeKey()
        }
        let made = Identity(origin: named ?? Self.newOrigin(), key: key.publicKey.hex, isBegun: named != nil)
        guard made.trust != nil else {
            throw OperationError(
                .damaged, "\(logPath)/format does not name an audit log", hint: "Bring this file back from a copy.")
        }
        try save(made)
        return (made, key)
    }

    private func identityIsLost(_ origin: String) -> OperationError {
        OperationError(
            .damaged, "\(identityPath), which names the audit log \(origin) and its key, is gone",
            hint: "Bring it back from a copy of the state directory, and the file `key` beside it.")
    }

    private func keyIsLost(_ identity: Identity) -> OperationError {
        OperationError(
            .denied, "the signing key \(Self.text(identity)) of the audit log \(identity.origin) is not in \(keyPath)",
            hint: "Bring the file back from a copy; without one, `qala audit key --renew` goes on with a new key.")
    }

    /// The public key as auditors are told it.
    static func text(_ identity: Identity) -> String {
        guard let key = Digest(hex: identity.key) else { return identity.key }
        return AuditKey(name: identity.origin, kind: .log, publicKey: key).text
    }

    /// The name that a log which is already there bears.
    private func originOfLog() throws -> String? {
        guard let format = try StateFile.read(logPath + "/format", limit: 4096) else { return nil }
        let lines = format.split(separator: 0x0A)
        return lines.count > 1 ? String(decoding: lines[1], as: UTF8.self) : nil
    }

    /// Different on every host and for every state directory.
    private static func newOrigin() -> String {
        var name = [CChar](repeating: 0, count: 256)
        let isNamed = gethostname(&name, 255) == 0
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let letters = text.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") }
        let host = isNamed && !letters.isEmpty ? letters : "host"
        return "qala/\(host)/\(Random.digest().hex.prefix(8))"
    }

    // MARK: The log

    private static func busy(_ folder: String) -> OperationError {
        OperationError(
            .inUse, "another process has the audit log in \(folder) open", hint: "Try again when it has ended.")
    }

    private func exclusively<R>(_ body: () throws -> R) throws -> R {
        try StateFile.makeDirectory(folder)
        guard let lock = try FileLock(path: folder + "/lock") else { throw Self.busy(folder) }
        return try withExtendedLifetime(lock) { try body() }
    }

    /// Opens the log to append, making key, identity and log where there never was one. Fails with `inUse` while another
    /// process appends, with `denied` when the key is lost, with `damaged` when the log is not what it was.
    func open() throws -> AuditLog {
        try exclusively { () throws -> AuditLog in
            StateLeftovers.remove(from: folder)
            let found = try identified()
            var identity = found.identity
            let made: AuditLog
            do throws(VaultError) {
                made = try AuditLog.open(
                    directory: logPath, origin: identity.origin, key: found.key, older: identity.trust?.older ?? [],
                    creating: !identity.isBegun)
            } catch {
                if error.code == .conflict { throw Self.busy(folder) }
                guard identity.isBegun, error.code == .notFound || error.code == .noVault else { throw error }
                throw OperationError(
                    .damaged, "the audit log \(identity.origin) is gone from \(logPath)",
                    hint: "Bring it back from a copy. What other places hold of it tells what was in it.")
            }
            if !identity.isBegun {
                identity.isBegun = true
                try save(identity)
            }
            return made
        }
    }

    /// Opens the log to read it, beside a process that appends or without one.
    func reading() throws -> AuditLog { try AuditLog.openForReading(directory: logPath, trust: try trust()) }

    /// Puts a new key in the place of one that is lost: the old one counts for what it signed. Nothing may append
    /// meanwhile.
    func renewKey() throws {
        try exclusively { () throws -> Void in
            guard var identity = try self.identity(), let old = identity.trust else {
                _ = try identified()
                return
            }
            guard identity.older.count < Self.maximumOlder else {
                throw OperationError(.failed, "the audit log \(identity.origin) has had too many keys")
            }
            var upTo: UInt64 = 0
            if identity.isBegun {
                guard let lock = try FileLock(path: logPath + "/lock") else { throw Self.busy(folder) }
                try withExtendedLifetime(lock) {
                    upTo = try AuditLog.openForReading(directory: logPath, trust: old).lastCheckpoint.size
                }
            }
            identity.older.insert(Identity.Older(key: identity.key, upTo: upTo), at: 0)
            // A crash before the identity is written leaves a key that is not the named one, and this is asked again.
            identity.key = try makeKey().publicKey.hex
            try save(identity)
        }
    }

    // MARK: The spool

    /// The files that wait to be taken over, as they are named; those that a living process writes among them.
    func waiting() -> [String] {
        // Where it cannot be listed nothing can be taken over either, and who tries is told why.
        ((try? StateFile.list(spoolPath)) ?? []).filter { name in
            name.hasSuffix(".jsonl") && name.utf8.first.map { (0x30...0x39).contains($0) } == true
        }
    }

    /// Takes over what was spooled, or waits a little for the process that appends to do so.
    func bringIn() throws {
        do {
            let log = try open()
            try log.importSpool(spoolPath)
            try log.checkpoint()
        } catch let error as OperationError where error.kind == .inUse {
            waitForOthers()
        }
    }

    private func waitForOthers() {
        let wanted = Set(waiting().filter { !Self.isOfLiving($0) })
        var turns = 0
        while turns < Self.patience, !wanted.isDisjoint(with: waiting()) {
            usleep(50_000)
            turns += 1
        }
    }

    /// Whether the process in the name of a spool file still lives, and so may still write it.
    private static func isOfLiving(_ name: String) -> Bool {
        let parts = name.split(separator: "-")
        guard parts.count == 3, let process = pid_t(parts[1]), process > 0 else { return false }
        return kill(process, 0) == 0 || errno == EPERM
    }
}
