import Domain
import FoundationEssentials
import Glibc
import Vault

/// The volumes that this host knows: `STATE/volumes`.
///
/// Invariants: a record is replaced as a whole or not at all; the custody log is appended to and never rewritten; the
/// signing key of a volume is here and nowhere else.
struct VolumeRegister {
    private static let recordLimit = 128 << 20
    private static let custodyLimit = 64 << 20
    let directory: String

    init(_ workplace: Workplace) { directory = workplace.statePath + "/volumes" }

    /// 16 hexadecimal digits.
    static func isID(_ text: String) -> Bool {
        text.utf8.count == 16 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private func path(_ id: String, _ kind: String) -> String { "\(directory)/\(id).\(kind)" }

    static func now() -> String { TimeText.seconds(Int64(clamping: WallTime.seconds())) }

    // MARK: Records

    private func stored(_ id: String) throws -> VolumeRecordFile? {
        guard let bytes = try StateFile.read(path(id, "json"), limit: Self.recordLimit) else { return nil }
        guard let stored = VolumeRecordFile(bytes: bytes), stored.record.id == id else {
            throw OperationError(
                .damaged, "the record of volume \(id) is not what was written",
                hint: "Bring \(path(id, "json")) back from a copy.")
        }
        return stored
    }

    func record(_ id: String) throws -> VolumeRecord? {
        guard var record = try stored(id)?.record else { return nil }
        // The custody log is written first, and what it says of the end of a volume counts although the record was not reached.
        if record.gone == nil, let gone = (try? custody(id))?.gone { record.end(gone) }
        return record
    }

    func lastList(_ id: String) throws -> [UInt8]? { try stored(id).map { Array($0.list.utf8) } }

    func all() throws -> [VolumeRecord] { try ids(["json"]).compactMap { try record($0) } }

    /// The volumes that have a file of one of these kinds, whatever is in it.
    private func ids(_ kinds: Set<String>) throws -> [String] {
        let ids = try StateFile.list(directory).compactMap { name -> String? in
            let parts = name.split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
            return parts.count == 2 && Self.isID(parts[0]) && kinds.contains(parts[1]) ? parts[0] : nil
        }
        return Set(ids).sorted()
    }

    /// By the first digits of its id, 4 at least; found although the record of another volume is damaged.
    func find(_ text: String) throws -> VolumeRecord {
        guard let record = try record(try id(text, ["json"])) else { throw Self.unknown(text) }
        return record
    }

    /// The same of a volume whose record may be damaged or gone.
    func id(_ text: String, _ kinds: Set<String> = ["json", "custody"]) throws -> String {
        let wanted = text.lowercased()
        let found = wanted.utf8.count >= 4 ? try ids(kinds).filter { $0.hasPrefix(wanted) } : []
        guard let id = found.first else { throw Self.unknown(text) }
        guard found.count == 1 else {
            throw OperationError(.notFound, "\(found.count) volumes begin with \(text)", hint: "Give more digits.")
        }
        return id
    }

    private static func unknown(_ text: String) -> OperationError {
        OperationError(
            .notFound, "there is no volume \(text)",
            hint: "Give 4 digits of its id at least; `qala volume list` shows them.")
    }

    /// What can be told of a volume of which parts of the register are damaged, and these parts. Nil stands for them.
    func remains(
        of id: String
    ) throws -> (record: VolumeRecord?, custody: [CustodyEvent]?, damage: [VolumeFinding]) {
        var damage: [VolumeFinding] = []
        func whole<Value>(_ kind: String, _ read: () throws -> Value) throws -> Value? {
            // What cannot be read for another reason than the caller's rights is as good as damaged.
            do { return try read() } catch let error as any Failure where [.damaged, .failed].contains(error.kind) {
                damage.append(VolumeFinding(file: path(id, kind), reason: error.message))
                return nil
            }
        }
        let known = try whole("json") {
            if let known = try record(id) { return known }
            throw OperationError(
                .damaged, "the register has no record of volume \(id)",
                hint: "Bring \(path(id, "json")) back from a copy.")
        }
        return (known, try whole("custody") { try custody(id) }, damage)
    }

    /// Without a list the last one stays.
    func save(_ record: VolumeRecord, list: [UInt8]? = nil) throws {
        guard let list = try list ?? lastList(record.id) else {
            throw OperationError(
                .damaged, "the register has no list of volume \(record.id)",
                hint: "Bring \(path(record.id, "json")) back from a copy.")
        }
        try StateFile.write(path(record.id, "json"), try VolumeRecordFile(record, list: list).bytes())
    }

    /// Refuses a volume that is gone. Call it under the lock of the volume.
    func checkThere(_ id: String) throws {
        if let record = try record(id) { try Self.checkThere(record) }
    }

    static func checkThere(_ record: VolumeRecord) throws { try checkThere(record.id, record.gone) }

    static func checkThere(_ id: String, _ gone: VolumeRecord.Gone?) throws {
        guard let gone else { return }
        throw OperationError(
            .failed,
            "volume \(id) was \(gone.how.rawValue), recorded on \(gone.time.prefix(10)): \(gone.reason)",
            hint: gone.how == .lost
                ? "If it was found, `qala volume checkin \(id) --shelf TEXT` says so; verify it then."
                : "Use another volume: `qala volume pull-list` names those that hold an archive.")
    }

    /// Held while a volume is written or its record changed.
    func lock(_ id: String) throws -> FileLock {
        guard let lock = try FileLock(path: path(id, "lock")) else {
            throw OperationError(
                .inUse, "another process works on volume \(id)", hint: "Wait until it has ended, and repeat.")
        }
        return lock
    }

    /// Never of a volume that is gone.
    static func isOverdue(_ record: VolumeRecord) -> Bool {
        if record.isGone { return false }
        guard let due = TimeText.parse(record.verifyBy) else { return true }
        return due <= Int64(clamping: WallTime.seconds())
    }

    /// When a volume that was verified now is due again.
    static func due(after period: String) throws -> String {
        let now = Int64(clamping: WallTime.seconds())
        return TimeText.seconds(try Period(parsing: period).adding(to: now))
    }

    // MARK: Keys and slices

    func makeKey(_ id: String) throws -> SigningKey {
        try StateFile.makeDirectory(directory)
        let seed = try Secret.random()
        var bytes = seed.withBytes { Array($0) }
        defer { Wipe.array(&bytes) }
        try StateFile.write(path(id, "key"), bytes)
        return try SigningKey(seed: seed)
    }

    func key(_ id: String) throws -> SigningKey {
        guard var bytes = try StateFile.read(path(id, "key"), limit: 64) else {
            throw OperationError(
                .denied, "this host has not the key that signs volume \(id)",
                hint: "Write on the host that made the volume, or make a new one.")
        }
        defer { Wipe.array(&bytes) }
        return try SigningKey(seed: try Secret(copying: bytes))
    }

    func slicePath(_ id: String, _ archive: String) throws -> String {
        try StateFile.makeDirectory(path(id, "slices"))
        return "\(path(id, "slices"))/\(archive).jsonl"
    }

    // MARK: Custody

    /// By the note of each decision by which archives should leave the vault, the volumes that were to keep them; also those
    /// whose record is gone.
    func departures() throws -> [Digest: Set<String>] {
        var volumes: [Digest: Set<String>] = [:]
        for id in try ids(["custody"]) {
            for note in try custody(id).compactMap(\.departureNote) { volumes[note, default: []].insert(id) }
        }
        return volumes
    }

    /// Every act in order.
    func custody(_ id: String) throws -> [CustodyEvent] {
        let log = try custodyLog(id)
        if let damage = log.damage { throw damage }
        return log.events
    }

    /// The acts that can be read, SHA-256 of the line of the last one, and whether all of it is what was written. Lines that
    /// a crash cut short were never acknowledged and are passed over.
    private func custodyLog(_ id: String) throws -> (events: [CustodyEvent], last: String, damage: OperationError?) {
        let bytes = try StateFile.read(path(id, "custody"), limit: Self.custodyLimit) ?? []
        var events: [CustodyEvent] = []
        var last = ""
        var damage: OperationError?
        for line in bytes.split(separator: 0x0A) {
            guard let event = try? JSONDecoder().decode(CustodyEvent.self, from: Data(line)) else { continue }
            if event.previous != last, damage == nil {
                damage = OperationError(
                    .damaged, "the custody log of volume \(id) was changed before \(event.time)",
                    hint: "Compare \(path(id, "custody")) with a copy, and find out who changed it.")
            }
            last = ListDigest.of(Array(line)).hex
            events.append(event)
        }
        return (events, last, damage)
    }

    /// Appends one act; durable when it returns. Call it under the lock of the volume. A log that is damaged takes no more,
    /// unless `afterDamage`: then the line stands behind what there is, which stays as it is.
    func append(_ act: String, _ detail: String, to id: String, afterDamage: Bool = false) throws {
        let log = try custodyLog(id)
        if let damage = log.damage, !afterDamage { throw damage }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let event = CustodyEvent(
            time: Self.now(), act: act, detail: detail, account: Int(geteuid()), previous: log.last)
        let file = path(id, "custody")
        let descriptor = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw MediumFile.failure("open", file, errno) }
        defer { close(descriptor) }
        var line = [UInt8](try encoder.encode(event)) + [0x0A]
        // What a crash cut short gets a line of its own.
        var info = stat()
        var last: UInt8 = 0x0A
        if fstat(descriptor, &info) == 0, info.st_size > 0 { _ = pread(descriptor, &last, 1, info.st_size - 1) }
        if last != 0x0A { line.insert(0x0A, at: 0) }
        let count = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count == line.count else { throw MediumFile.failure("write", file, count < 0 ? errno : ENOSPC) }
        guard fsync(descriptor) == 0 else { throw MediumFile.failure("sync", file, errno) }
        try MediumFile.syncDirectory(directory)
    }
}
