import Documents
import Domain
import Vault

/// One look at everything that is compared.
struct ReconcileLook {
    private(set) var unregistered: [ReconcileRepair.Lacking] = []
    var report = ReconcileReport()
    private var claims = ReconcileClaims()
    /// Every archive that a log names, disposed of or not, after the records were read.
    private var known: [String: (isDisposed: Bool, vault: String)] = [:]
    /// Of the disposed ones those that volumes keep, with the vault that they left.
    private var departed: [String: String] = [:]

    init(_ vaults: ReconcileVaults, _ workplace: Workplace) throws {
        let policies = try Self.policies(workplace, &claims)
        let needed = Self.vaultPaths(policies.all, workplace)
        let first = try vaults.refreshed(needed)
        if first.vaults.isEmpty, let error = first.error { throw error }
        let seen = first.vaults.map { ($0.path, $0.open, $0.open.vault.log.archives) }
        let opened = Dictionary(first.vaults.map { ($0.path, $0.open.vault.vaultID.hex) }) { one, _ in one }
        try claims.readAudit(at: workplace, paths: needed.union(opened.keys), opened: opened)
        try claims.readRuns(state: workplace.statePath)
        try claims.readMoved(state: workplace.statePath)
        let inForce = policies.all.last ?? .empty
        try compareVersions(workplace)
        let volumes = try Self.volumes(workplace, &claims)
        let shelved = volumes.filter { !$0.isGone }.map { "volume \($0.id)" }
        try claims.readProblems(
            state: workplace.statePath, policies: Set(inForce.policies.map(\.name)),
            places: Self.vaultPaths([inForce], workplace).union(shelved))
        let ledgers = try LogSegments.ledgers(at: workplace)
        // Once more: what the records name was committed before they were read.
        let second = try vaults.refreshed(needed)
        let ids = Set(second.vaults.map(\.open.vault.vaultID.hex))
        // One that is looked into at another place is not missing.
        report.missing = second.missing.filter { claims.identities[$0.vault].map { !ids.contains($0) } ?? true }
        for (id, path) in claims.replaced.sorted(by: { $0.key < $1.key }) {
            add(.vaultReplaced, id, ["audit log", path])
        }
        try note(second.vaults, volumes)
        takeMoved(ids)
        compareClaims()
        compareHolds(second.vaults)
        compareVolumes(volumes, ids)
        compareDepartures(volumes)
        compareSegments(ledgers)
        let names = Set(inForce.policies.map(\.name))
        for (path, open, archives) in seen {
            try compareArchives(archives.filter { vaults.isOwn($0, in: open, path) }, open, path, names)
        }
        finish()
    }

    private mutating func finish() {
        report.counts = claims.counts
        for finding in claims.findings {
            if finding.kind.isNotice { report.notices.append(finding) } else { report.differences.append(finding) }
        }
    }

    private mutating func add(_ kind: ReconcileKind, _ subject: String, _ places: [String], _ detail: String = "") {
        claims.findings.append(ReconcileFinding(kind, subject, at: places, detail))
    }

    // MARK: Policies

    /// Every set that was ever in force, oldest first; a damaged register is a finding.
    private static func policies(
        _ workplace: Workplace, _ claims: inout ReconcileClaims
    ) throws -> (all: [PolicySet], digests: [String]) {
        do {
            let versions = try PolicyRegister(statePath: workplace.statePath).versions()
            return (versions.map(\.document.set), versions.map(\.digest.hex))
        } catch let error as any Failure where error.kind == .damaged {
            claims.findings.append(ReconcileFinding(.policiesDamaged, "policies", at: ["policies"], error.message))
            return ([], [])
        }
    }

    /// That of the caller counts where no policy was ever in force, or one of them named none.
    private static func vaultPaths(_ sets: [PolicySet], _ workplace: Workplace) -> Set<String> {
        let policies = sets.flatMap(\.policies)
        if policies.isEmpty { return [workplace.vaultPath] }
        return Set(policies.map { $0.vault ?? workplace.vaultPath })
    }

    /// Read after the audit log: a version that it names was written before.
    private mutating func compareVersions(_ workplace: Workplace) throws {
        var ignored = ReconcileClaims()
        let digests = try Self.policies(workplace, &ignored).digests
        claims.counts.policyVersions = digests.count
        if claims.findings.contains(where: { $0.kind == .policiesDamaged }) || !ignored.findings.isEmpty { return }
        for (number, digest) in claims.versions.sorted(by: { $0.key < $1.key }) {
            let name = PolicySource.name(number)
            if number < 1 || number > digests.count {
                add(.policyMissing, name, ["audit log", "policies"])
            } else if let digest, digest != digests[number - 1] {
                add(.policyContradicts, name, ["audit log", "policies"])
            }
        }
    }

    // MARK: From the records to the vaults

    private mutating func note(_ vaults: [(path: String, open: OpenVault)], _ volumes: [VolumeRecord]) throws {
        claims.counts.vaults = vaults.count
        for (path, open) in vaults {
            let log = open.vault.log
            claims.counts.archives += log.committed.count
            claims.counts.disposed += log.disposed.count
            claims.counts.holds += log.holds.count
            for archive in log.committed { known[archive.id.hex] = (log.disposed[archive.id] != nil, path) }
            do { try noteDepartures(Departures(open, volumes), path) } catch let error as any Failure
                where error.kind == .damaged
            {
                add(.volumeDamaged, "volumes", ["volumes"], error.message)
            }
        }
        claims.counts.departed = departed.count
    }

    private mutating func noteDepartures(_ departures: Departures, _ path: String) {
        for gone in departures.archives { departed[gone.archive.id.hex] = path }
        for volume in departures.volumes { claims.keeping[volume, default: []].append(path) }
    }

    /// What no log names while a vault is out of reach may lie there.
    private mutating func addMissing(_ kind: ReconcileKind, _ id: String, _ places: [String], _ detail: String = "") {
        if report.missing.isEmpty { add(kind, id, places, detail) } else { report.unread += 1 }
    }

    /// Of a vault that was not looked into nothing can be said.
    private mutating func takeMoved(_ vaultIDs: Set<String>) {
        for (vault, archives) in claims.moved {
            guard vaultIDs.contains(vault) else {
                report.unread += archives.count
                continue
            }
            for archive in archives { claims.archives[archive, default: []].append("register of moved originals") }
        }
    }

    private mutating func compareClaims() {
        for (archive, places) in claims.archives.sorted(by: { $0.key < $1.key }) where known[archive] == nil {
            addMissing(.archiveMissing, archive, places)
        }
        for (archive, runs) in claims.runsOf.sorted(by: { $0.key < $1.key }) where runs.count > 1 {
            add(.archiveTwice, archive, ["register of runs"], runs.sorted().joined(separator: ", "))
        }
        for (archive, places) in claims.disposals.sorted(by: { $0.key < $1.key }) {
            if known[archive]?.isDisposed != true { addMissing(.disposalMissing, archive, places) }
        }
    }

    private mutating func compareHolds(_ vaults: [(path: String, open: OpenVault)]) {
        var holds: [String: Bool] = [:]
        for (_, open) in vaults {
            for hold in open.vault.log.holds { holds[hold.record.id.hex] = hold.isInForce }
        }
        for (hold, places) in claims.holds.sorted(by: { $0.key < $1.key }) where holds[hold] == nil {
            addMissing(.holdMissing, hold, places)
        }
        for (hold, places) in claims.releases.sorted(by: { $0.key < $1.key }) where holds[hold] == true {
            add(.holdContradicts, hold, places)
        }
    }

    private static func volumes(_ workplace: Workplace, _ claims: inout ReconcileClaims) throws -> [VolumeRecord] {
        do {
            let volumes = try VolumeRegister(workplace).all()
            claims.counts.volumes = volumes.count
            return volumes
        } catch let error as any Failure where error.kind == .damaged {
            claims.findings.append(ReconcileFinding(.volumeDamaged, "volumes", at: ["volumes"], error.message))
            return []
        }
    }

    private mutating func compareVolumes(_ volumes: [VolumeRecord], _ vaultIDs: Set<String>) {
        for volume in volumes where !volume.isGone {
            let place = ["volumes/\(volume.id).json"]
            for other in Set(volume.archives.map(\.vault)).subtracting(vaultIDs).sorted() {
                add(.volumeOfOtherVault, other, place, volume.id)
            }
            for holding in volume.archives where vaultIDs.contains(holding.vault) {
                guard let archive = known[holding.archive] else {
                    add(.volumeArchiveMissing, holding.archive, place, volume.id)
                    continue
                }
                if archive.isDisposed, departed[holding.archive] == nil {
                    add(.volumeHoldsDisposed, holding.archive, place, volume.id)
                }
            }
        }
    }

    /// What the vault holds no more must be on volumes that are known. A register that is damaged is told as such.
    private mutating func compareDepartures(_ volumes: [VolumeRecord]) {
        guard !claims.findings.contains(where: { $0.kind == .volumeDamaged }) else { return }
        let registered = Set(volumes.map(\.id))
        for (volume, places) in claims.keeping.sorted(by: { $0.key < $1.key }) where !registered.contains(volume) {
            add(.departedVolumeMissing, volume, places)
        }
        let held = Set(volumes.filter { !$0.isGone }.flatMap(\.archives).map(\.archive))
        for (archive, vault) in departed.sorted(by: { $0.key < $1.key }) where !held.contains(archive) {
            let lost = volumes.filter { $0.gone?.how == .lost && $0.holds(archive) }.map(\.id)
            if lost.isEmpty {
                add(.departedArchiveMissing, archive, [vault])
            } else {
                add(.departedArchiveLost, archive, [vault], lost.sorted().joined(separator: ", "))
            }
        }
    }

    private mutating func compareSegments(_ ledgers: (rows: [LogSegments.Row], problems: [PathProblem])) {
        claims.counts.segments = ledgers.rows.count
        for problem in ledgers.problems {
            add(.ledgerDamaged, problem.path, [problem.path], "\(problem.path): \(problem.reason)")
        }
        var lost: [String: [String]] = [:]
        for row in ledgers.rows {
            guard let archive = row.archive else {
                if !row.spooled {
                    add(.segmentMissing, "\(row.policy)/\(row.sequence)", ["logs/\(row.policy)/ledger.jsonl"])
                }
                continue
            }
            if known[archive] == nil { lost[archive, default: []].append("\(row.policy)/\(row.sequence)") }
        }
        for (archive, segments) in lost.sorted(by: { $0.key < $1.key }) {
            let shown = segments.prefix(20).joined(separator: " ") + (segments.count > 20 ? " …" : "")
            addMissing(.segmentArchiveMissing, archive, ["logs"], shown)
        }
    }

    // MARK: From the vaults to the records

    /// `archives`: those that this host made, as they were before the records were read.
    private mutating func compareArchives(
        _ archives: [ArchiveRecord], _ open: OpenVault, _ path: String, _ inForce: Set<String>
    ) throws {
        claims.counts.own += archives.count
        let lacking = archives.filter { claims.runsOf[$0.id.hex] == nil && !claims.byHand.contains($0.id.hex) }
        guard !lacking.isEmpty else { return }
        for (archive, header) in try open.headers(of: lacking) {
            let id = archive.id.hex
            guard let header else {
                report.unread += 1
                continue
            }
            guard let policy = header.policy else {
                add(.archiveByHand, id, [path])
                continue
            }
            guard inForce.contains(policy) else {
                add(.archiveOfNoPolicy, id, [path], policy)
                continue
            }
            // A run that has not ended yet is told as such; the daemon settles it by the log.
            if let started = claims.underWay[policy], TimeText.seconds(Int64(clamping: archive.time)) >= started {
                continue
            }
            unregistered.append(.init(archive: archive, header: header, policy: policy))
            add(.archiveWithoutRun, id, [path], policy)
        }
    }
}
