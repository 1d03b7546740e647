import Domain
import FoundationEssentials
import Glibc
import Vault

/// One original on its way out of the active system, as the register `moved` has it.
struct MovedFile {
    /// Sixteen hexadecimal digits.
    var id: String
    var policy: String
    /// The version of the policies that permitted it.
    var policies: Int
    var vault: String
    var archive: Digest
    /// Raw bytes, relative to `/`.
    var path: [UInt8]
    var size: UInt64
    /// SHA-256 of the content, hexadecimal.
    var sha256: String
    /// By which the file is known again, renamed or not; see ``stamp(_:)``.
    var stamp: String
    /// Vault time, seconds since 1970.
    var time: Int64

    /// The name under which it waits to be removed, in its own directory.
    var aside: [UInt8] { Array(".qala-move-\(id)".utf8) }

    var fields: [String: String] {
        var fields = [
            "move": id, "policy": policy, "version": "\(policies)", "vault": vault, "archive": archive.hex,
            "path": "/" + String(decoding: path, as: UTF8.self), "size": "\(size)", "sha256": sha256,
            "stamp": stamp, "vaultTime": "\(time)", "aside": String(decoding: aside, as: UTF8.self),
        ]
        fields["pathBytes"] = PathBytes.base64(stored: path)
        return fields
    }

    init(
        id: String, policy: String, policies: Int, vault: String, archive: Digest, path: [UInt8], size: UInt64,
        sha256: String, stamp: String, time: Int64
    ) {
        self.id = id
        self.policy = policy
        self.policies = policies
        self.vault = vault
        self.archive = archive
        self.path = path
        self.size = size
        self.sha256 = sha256
        self.stamp = stamp
        self.time = time
    }

    /// Nil where the fields cannot be those of a file that was moved.
    init?(_ fields: [String: String]) {
        guard let id = fields["move"], id.utf8.count == 16, id.allSatisfy(\.isHexDigit), let policy = fields["policy"],
            let policies = fields["version"].flatMap({ Int($0) }), let vault = fields["vault"],
            let archive = fields["archive"].flatMap({ Digest(hex: $0) }), let text = fields["path"],
            let size = fields["size"].flatMap({ UInt64($0) }), let sha256 = fields["sha256"],
            let stamp = fields["stamp"],
            let time = fields["vaultTime"].flatMap({ Int64($0) })
        else { return nil }
        let path = fields["pathBytes"].flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) } ?? Array(text.utf8)
        guard path.first == 0x2F, PathOrder.isWellFormed(Array(path.dropFirst())) else { return nil }
        self.init(
            id: id, policy: policy, policies: policies, vault: vault, archive: archive, path: Array(path.dropFirst()),
            size: size, sha256: sha256, stamp: stamp, time: time)
    }

    /// Device, inode, size and time of modification.
    static func stamp(_ stamp: OriginalStamp) -> String {
        "\(stamp.device) \(stamp.inode) \(stamp.size) \(stamp.modified.seconds) \(stamp.modified.nanoseconds)"
    }
}

/// What the register `moved` says of the archives of one vault.
///
/// A file whose going is not settled counts as gone: its archive is kept rather than lost.
struct MovedBook {
    /// How far the originals of a policy were gone through.
    struct Pass {
        /// Number of the archive's record in the log.
        var record: UInt64
        /// Vault time.
        var time: Int64
    }

    private struct Tally {
        var count = 0
        var last = Int64.min
    }

    private var tallies: [Digest: Tally] = [:]
    /// By policy, the pass over the newest archive.
    private(set) var passed: [String: Pass] = [:]
    /// Of any vault: those that no line says the end of.
    private(set) var unsettled: [String: MovedFile] = [:]
    private(set) var damage: [RegisterDamage] = []

    init(state: String, vault: String) throws {
        let reading = try RegisterFiles(state: state, .moved).read { entry in
            switch entry.kind {
            case MovedLine.moving.rawValue:
                guard let file = MovedFile(entry.fields) else { return }
                unsettled[file.id] = file
                if file.vault == vault {
                    var tally = tallies[file.archive] ?? Tally()
                    tally.count += 1
                    tally.last = max(tally.last, file.time)
                    tallies[file.archive] = tally
                }
            case MovedLine.moved.rawValue:
                for id in MovedLine.ids(entry.fields) { unsettled[id] = nil }
            case MovedLine.stayed.rawValue:
                for id in MovedLine.ids(entry.fields) {
                    guard let file = unsettled.removeValue(forKey: id), file.vault == vault else { continue }
                    tallies[file.archive]?.count -= 1
                }
            case MovedLine.passed.rawValue: take(pass: entry.fields, vault)
            default: return
            }
        }
        damage = reading.damage
    }

    private mutating func take(pass fields: [String: String], _ vault: String) {
        guard fields["vault"] == vault, let policy = fields["policy"],
            let record = fields["record"].flatMap({ UInt64($0) }), let time = fields["vaultTime"].flatMap({ Int64($0) })
        else { return }
        if let known = passed[policy], known.record >= record { return }
        passed[policy] = Pass(record: record, time: time)
    }

    /// A line that cannot be read may be the one that keeps an archive: then nothing is removed, and nothing expires.
    func checkWhole() throws {
        guard let first = damage.first else { return }
        throw OperationError(
            .damaged, "the register of moved originals is damaged: \(first.text)",
            hint: "`qala register moved list` shows what is there; compare its files with an archive of them.")
    }

    /// Nil where the archive is the only copy of nothing. Without a policy nothing says when that ends.
    func files(of archive: Digest, under policy: Policy?) -> MovedFiles? {
        guard let tally = tallies[archive], tally.count > 0 else { return nil }
        return MovedFiles(count: tally.count, end: policy?.keepsMoved(from: tally.last))
    }
}

/// The kinds of lines.
enum MovedLine: String, Sendable, CaseIterable {
    case moving, moved, stayed, passed

    static func ids(_ fields: [String: String]) -> [String] {
        (fields["moves"] ?? "").split(separator: " ").map(String.init)
    }
}

/// Writes the register; one process at a time, whether a daemon or a command.
final class MovedRegister {
    private let lock: FileLock
    private let writer: RegisterWriter
    private static let attempts = 50

    init(state: String) throws {
        let files = RegisterFiles(state: state, .moved)
        try StateFile.makeDirectory(files.folder)
        var taken: FileLock?
        for _ in 0..<Self.attempts {
            taken = try FileLock(path: files.folder + "/moved.lock")
            if taken != nil { break }
            usleep(20_000)
        }
        guard let taken else {
            throw OperationError(
                .inUse, "another process removes originals",
                hint: "Wait until it has ended; a daemon does it by itself.")
        }
        lock = taken
        writer = try RegisterWriter(files)
    }

    private func now() -> String { TimeText.seconds(Int64(clamping: WallTime.seconds())) }

    /// The intents, before anything happens to the files. Each line is on the disk when this returns; of those that were
    /// written before one that could not be, nothing happens either, and the next pass settles them.
    func write(moving files: [MovedFile]) throws {
        for file in files { try writer.append(now(), MovedLine.moving.rawValue, file.fields) }
    }

    /// What became of the files with these ids.
    func write(_ kind: MovedLine, _ ids: [String], _ more: [String: String] = [:]) throws {
        var fields = more
        if !ids.isEmpty { fields["moves"] = ids.joined(separator: " ") }
        try writer.append(now(), kind.rawValue, fields)
    }
}
