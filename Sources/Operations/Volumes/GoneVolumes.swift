import Domain
import Vault

// The ends of a volume: on purpose, when nothing is lost by it, and otherwise.

extension Volumes {
    /// A volume was destroyed on purpose. Refused (``FailureKind/denied``) where it is the last that keeps something.
    ///
    /// The locks of all volumes that share an archive with it are held: of two that are each other's last keeper only one can go.
    package static func destroy(
        _ text: String, because reason: String, dryRun: Bool, at workplace: Workplace
    ) throws -> VolumeGone {
        let reason = try VolumeWords.checked(reason, "reason")
        let register = VolumeRegister(workplace)
        let (record, lock) = try locked(text, in: register)
        if record.gone?.how == .destroyed { try VolumeRegister.checkThere(record) }
        let held = Set(record.archives.map(\.archive))
        func isOther(_ other: VolumeRecord) -> Bool {
            other.id != record.id && !other.isGone && other.archives.contains { held.contains($0.archive) }
        }
        var locks: [String: FileLock] = [:]
        for other in try register.all() where isOther(other) { locks[other.id] = try register.lock(other.id) }
        defer { withExtendedLifetime((lock, locks)) {} }
        // Read again, now that nobody changes them.
        let others = try register.all().filter { locks[$0.id] != nil && isOther($0) }
        let last = try lastKept(by: record, beside: others, register, workplace)
        guard last.isEmpty else { throw refused(record.id, last) }
        let report = VolumeGone(record.id, record, .destroyed, reason, dryRun: dryRun)
        if !dryRun { try register.end(report) }
        return report
    }

    /// A volume is there no more, and nobody meant it. That is recorded whatever follows from it, and in what can still be written
    /// where its own record or custody log is damaged; what follows, and what is damaged, is told.
    package static func lose(
        _ text: String, because reason: String, dryRun: Bool, at workplace: Workplace
    ) throws -> VolumeGone {
        let reason = try VolumeWords.checked(reason, "reason")
        let register = VolumeRegister(workplace)
        let id = try register.id(text)
        let lock = try register.lock(id)
        defer { withExtendedLifetime(lock) {} }
        let (record, custody, damage) = try register.remains(of: id)
        // A damaged log proves nothing: a loss that it tells of is recorded once more.
        try VolumeRegister.checkThere(id, record?.gone ?? custody?.gone)
        var report = VolumeGone(id, record, .lost, reason, dryRun: dryRun)
        report.damage = damage
        if !dryRun { try register.end(report, afterDamage: custody == nil) }
        guard let record else {
            report.unknown = "the record, which names the archives on the volume, is damaged or missing"
            return report
        }
        guard !record.archives.isEmpty else { return report }
        do {
            let records = try register.all()
            let others = Set(records.filter { $0.id != id && !$0.isGone }.flatMap(\.archives).map(\.archive))
            let alone = record.archives.filter { !others.contains($0.archive) }
            guard !alone.isEmpty else { return report }
            let needs = try ArchiveNeeds(records, workplace)
            report.nowhere = alone.filter { $0.vault == needs.vault && needs.isNeeded($0, beside: .any) }
            let foreign = alone.count { $0.vault != needs.vault }
            if foreign > 0 { report.unknown = "\(foreign) archives are of another vault; name it with --vault" }
        } catch {
            // The act stands; only what follows from it is not known.
            report.unknown = (error as? any Failure)?.message ?? "\(error)"
        }
        return report
    }

    private static func locked(
        _ text: String, in register: VolumeRegister
    ) throws -> (record: VolumeRecord, lock: FileLock) {
        let found = try register.find(text)
        let lock = try register.lock(found.id)
        return (try register.record(found.id) ?? found, lock)
    }

    /// What is needed, and neither read back in the vault nor on one of the `others` that counts: verified, not overdue, on its
    /// shelf.
    private static func lastKept(
        by record: VolumeRecord, beside others: [VolumeRecord], _ register: VolumeRegister, _ workplace: Workplace
    ) throws -> [VolumeRecord.Holding] {
        guard !record.archives.isEmpty else { return [] }
        let sound = others.filter { $0.holder == nil && !VolumeRegister.isOverdue($0) }
        var kept: Set<String> = []
        for vault in Set(record.archives.map(\.vault)) {
            for (archive, events) in try TierView.volumeEvents(sound, register, of: vault) {
                let state = TierState(archive: archive, folding: events)
                if state.volumes.values.contains(where: \.isVerified) { kept.insert(archive.hex) }
            }
        }
        let needs = try ArchiveNeeds(try register.all(), workplace)
        return record.archives.filter { !kept.contains($0.archive) && needs.isNeeded($0, beside: .verified) }
    }

    private static func refused(_ volume: String, _ last: [VolumeRecord.Holding]) -> OperationError {
        let named = last.prefix(3).map { holding in
            "\(holding.archive.prefix(12)) (\(holding.policy ?? "no policy"), \(holding.time.prefix(10)))"
        }
        let more = last.count > named.count ? " and \(last.count - named.count) more" : ""
        return OperationError(
            .denied,
            "volume \(volume) is the last that keeps archive " + named.joined(separator: ", ") + more
                + ", and nothing says that it may go",
            hint:
                "`qala tiers` tells until when each is kept. Verify what else has them (`qala verify --read-data`, `qala "
                + "volume verify` of another one on its shelf), and repeat. A medium that is gone already is `qala volume lost`."
        )
    }
}

extension VolumeGone {
    fileprivate init(
        _ id: String, _ record: VolumeRecord?, _ how: VolumeRecord.Gone.How, _ reason: String, dryRun: Bool
    ) {
        self.id = id
        self.dryRun = dryRun
        gone = VolumeRecord.Gone(how: how, time: VolumeRegister.now(), reason: reason)
        volume = record
        volume?.end(gone)
    }
}

extension VolumeRegister {
    /// The log first, as with every act; a record that is damaged stays as it is.
    fileprivate func end(_ report: VolumeGone, afterDamage: Bool = false) throws {
        try append(report.gone.how.rawValue, report.gone.reason, to: report.id, afterDamage: afterDamage)
        if let record = report.volume { try save(record) }
    }
}

/// Whether an archive that lies on a volume must be there: what is not known must.
private struct ArchiveNeeds {
    /// What counts of the vault's own copies.
    enum Copy { case any, verified }

    let vault: String
    /// What the vault holds, and whether it was read back.
    private let live: [Digest: Bool]
    private let isOver: (Digest) -> Bool

    /// `records`: all that the register has.
    init(_ records: [VolumeRecord], _ workplace: Workplace) throws {
        let open = try OpenVault(workplace)
        let log = open.vault.log
        vault = open.vault.vaultID.hex
        let marks = VerifiedMarks.read(open.vault)
        live = Dictionary(log.archives.map { ($0.id, marks.time(of: $0.number) != nil) }) { $1 }
        if let version = try PolicyRegister(statePath: workplace.statePath).newest() {
            let view = try TierView(open, version)
            try view.moved.checkWhole()
            let decisions = view.decisions()
            isOver = { view.isOver($0, decisions) }
        } else {
            // Nothing was ever said of how long: what left the vault for volumes stays there.
            let left = Set(try Departures(open, records).archives.map(\.archive.id))
            isOver = { log.disposed[$0] != nil && !left.contains($0) }
        }
    }

    /// Neither has the vault a copy that counts, nor is it over.
    func isNeeded(_ holding: VolumeRecord.Holding, beside copy: Copy) -> Bool {
        guard holding.vault == vault, let id = Digest(hex: holding.archive) else { return true }
        if let isVerified = live[id] { return copy == .verified && !isVerified }
        return !isOver(id)
    }
}
