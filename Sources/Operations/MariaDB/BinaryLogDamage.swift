import Domain
import Glibc
import Vault

// Logs of a spool that are not any more what was received.
//
// Invariants:
// 1. A damage is noted before anything is done about it, until an archive holds what came instead, or tells that nothing did.
// 2. What is damaged is put aside and never removed; what comes instead begins with everything of it that holds, and is as long.
// 3. Who receives puts aside and fetches; a run, which may be of another process, only notes what it finds.

extension BinaryLogSpool {
    struct Damage: Codable, Sendable, Equatable {
        enum Standing: String, Codable, Sendable {
            /// It is to be fetched anew.
            case missing
            /// It came anew, and is in no archive yet.
            case back
            /// The server does not have it: the gap is noted, and no archive tells of it yet.
            case lost
        }

        var stretch: Int
        var file: String
        /// Up to here its events hold.
        var sound: UInt64
        /// So many whole bytes were received of it.
        var bytes: UInt64
        /// When it was found, in seconds since 1970.
        var found: Int64
        /// Up to when everything was in archives then.
        var time: Int64?
        var standing = Standing.missing
        /// It was put into quarantine, whatever a person did with it there.
        var isAside = false

        func isOf(_ stretch: Int, _ file: String) -> Bool { self.stretch == stretch && self.file == file }

        /// In the spool.
        var place: String { "\(stretch)/\(file)" }

        /// For people.
        var text: String {
            let what = "\(file) was damaged in the spool behind byte \(sound)"
            return switch standing {
            case .missing: "\(what), and is to be fetched anew"
            case .back: "\(what), and came anew"
            case .lost: "\(what), and the server does not have it any more"
            }
        }
    }

    /// Seconds for which a server that does not answer may still have what is missing.
    private static let patience: Int64 = 600
    private static let damageLimit = 1 << 20
    private static let lockPatience = 10.0

    private var damagePath: String { "\(path)/damaged.json" }
    var quarantinePath: String { "\(path)/quarantine" }

    // MARK: What is known

    /// The oldest first.
    var damaged: [Damage] {
        guard let bytes = try? StateFile.read(damagePath, limit: Self.damageLimit) else { return [] }
        return LogText.decode([Damage].self, bytes) ?? []
    }

    var missing: [Damage] { damaged.filter { $0.standing == .missing } }

    /// Files that wait for a person to look at them.
    func quarantined() throws -> [String] { try StateFile.list(quarantinePath) }

    /// Several threads and processes note what they find.
    private func change(_ body: (inout [Damage]) -> Void) throws {
        guard let lock = try FileLock.acquire(path: "\(path)/lock", patience: Self.lockPatience) else {
            throw OperationError(.inUse, "\(path) is in use", hint: "Try again.")
        }
        try withExtendedLifetime(lock) {
            var all = damaged
            let before = all
            body(&all)
            if all != before { try StateFile.write(damagePath, try LogText.encode(all)) }
        }
    }

    /// Notes that a log is whole up to `sound` only, of `bytes`.
    @discardableResult
    func noteDamage(of file: String, in stretch: Int, sound: UInt64, bytes: UInt64) throws -> Damage {
        let damage = Damage(
            stretch: stretch, file: file, sound: min(sound, bytes), bytes: bytes,
            found: Int64(clamping: WallTime.seconds()), time: mark(.archived)?.time)
        var noted = damage
        try change { all in
            if let known = all.first(where: { $0.isOf(stretch, file) && $0.standing == .missing }) {
                noted = known
                return
            }
            // One that came anew may be damaged again.
            all.removeAll { $0.isOf(stretch, file) }
            all.append(damage)
        }
        return noted
    }

    func forget(where isOver: (Damage) -> Bool) throws {
        guard damaged.contains(where: isOver) else { return }
        try change { $0.removeAll(where: isOver) }
    }

    private func put(_ damage: Damage, _ body: (inout Damage) -> Void) throws {
        try change { all in
            guard let at = all.firstIndex(where: { $0.isOf(damage.stretch, damage.file) }) else { return }
            body(&all[at])
        }
    }

    /// What came anew and is there, or what is lost: for an archive to hold, or to tell.
    var unarchived: [Damage] {
        damaged.filter { $0.standing == .lost || $0.standing == .back && access(place($0), F_OK) == 0 }
    }

    // MARK: By who receives, while nothing is received

    private func place(_ damage: Damage) -> String { "\(folder(of: damage.stretch))/\(damage.file)" }

    private func aside(_ damage: Damage) -> String {
        "\(quarantinePath)/\(damage.stretch).\(damage.file).\(damage.found)"
    }

    /// Whatever was noted.
    func setDamagedAside() throws {
        for damage in damaged {
            switch damage.standing {
            case .missing: try setAside(damage)
            // A crash may have taken it away again.
            case .back: if access(place(damage), F_OK) != 0 { try put(damage) { $0.standing = .missing } }
            case .lost: continue
            }
        }
    }

    /// Puts a damaged log where a person can look at it. Forgets the damage where there is none: a disk that could not be read for a
    /// while, or a run that archived the log before.
    func setAside(_ damage: Damage) throws {
        let place = place(damage)
        let aside = aside(damage)
        guard access(place, F_OK) == 0 else {
            guard !damage.isAside, access(aside, F_OK) != 0 else { return }
            return try forget { $0.isOf(damage.stretch, damage.file) }
        }
        guard try !isWhole(place, upTo: damage.bytes) else {
            return try forget { $0.isOf(damage.stretch, damage.file) }
        }
        try StateFile.makeDirectory(quarantinePath)
        guard rename(place, aside) == 0 else { throw LogSpool.failure("renaming", place) }
        try WALSpool.sync(quarantinePath)
        try WALSpool.sync(folder(of: damage.stretch))
        try put(damage) { $0.isAside = true }
    }

    private func isWhole(_ path: String, upTo bytes: UInt64) throws -> Bool {
        let log = FollowedLog("", try LogSpoolFile(reading: path))
        do { try log.advance() } catch let error where !(error is BinaryLogFault) {
            guard log.file.isUnreadable else { throw error }
        } catch {}
        return log.follower.wholeBytes >= bytes
    }

    /// Takes what came anew in the place of a damaged log; false where that is another log, or not all of it.
    func takeBack(_ damage: Damage) throws -> Bool {
        let came = "\(receivePath)/\(damage.file)"
        guard access(came, F_OK) == 0 else { return false }
        let log = FollowedLog(damage.file, try LogSpoolFile(extending: came))
        do { try log.advance() } catch is BinaryLogFault { return false }
        let whole = log.follower.wholeBytes
        guard whole >= damage.bytes else { return false }
        let old = try LogSpoolFile(reading: aside(damage))
        guard try log.file.begins(with: old, upTo: Int(clamping: damage.sound)) else { return false }
        try log.file.cut(to: Int(clamping: whole))
        try log.file.sync()
        let folder = folder(of: damage.stretch)
        try StateFile.makeDirectory(folder)
        guard rename(came, place(damage)) == 0 else { throw LogSpool.failure("renaming", came) }
        try WALSpool.sync(folder)
        try WALSpool.sync(path)
        try put(damage) { $0.standing = .back }
        return true
    }

    /// Whether nothing was received behind it.
    private func isNewest(_ damage: Damage) throws -> Bool {
        guard try stretches().last == damage.stretch else { return false }
        let number = BinaryLogPlace.parts(damage.file)?.number ?? 0
        return try logs(in: folder(of: damage.stretch)).allSatisfy {
            BinaryLogPlace.parts($0).map { $0.number < number } ?? true
        }
    }

    /// Nobody has it any more: that is a gap, and behind the newest log a new stretch.
    func lose(_ damage: Damage) throws {
        try noteGap(upTo: damage.time)
        if try isNewest(damage) {
            try StateFile.makeDirectory(folder(of: damage.stretch + 1))
            try WALSpool.sync(path)
        }
        // As long as something is in it, it stays.
        if try stretches().last != damage.stretch { rmdir(folder(of: damage.stretch)) }
        try put(damage) { $0.standing = .lost }
    }

    /// A server that does not answer for long is taken to be gone.
    func loseWhatIsOld() throws {
        let now = Int64(clamping: WallTime.seconds())
        for damage in missing where now - min(damage.found, now) > Self.patience { try lose(damage) }
    }
}

extension LogSpoolFile {
    /// Whether its first `count` bytes are those of another one, which has as many.
    func begins(with other: LogSpoolFile, upTo count: Int) throws -> Bool {
        guard min(length, other.length) >= count else { return false }
        var at = 0
        while at < count {
            let range = at..<min(count, at + (1 << 18))
            guard try bytes(range) == other.bytes(range) else { return false }
            at = range.upperBound
        }
        return true
    }
}
