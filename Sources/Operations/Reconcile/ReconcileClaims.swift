import Domain
import FoundationEssentials
import Vault

/// What the records of this host say that there must be in a vault.
struct ReconcileClaims {
    /// A run in the register.
    struct Run {
        var policy: String
        var state: String
        var archive: String?
    }

    /// By id of the archive: the records that name it, and the runs among them.
    var archives: [String: [String]] = [:]
    var runsOf: [String: Set<String>] = [:]
    /// Archives that a command made, as the audit log tells: no run is owed for them.
    var byHand: Set<String> = []
    var runs: [String: Run] = [:]
    var holds: [String: [String]] = [:]
    var releases: [String: [String]] = [:]
    var disposals: [String: [String]] = [:]
    /// By id of the volume: the acts by which archives left a vault that it keeps.
    var keeping: [String: [String]] = [:]
    /// By id of the vault: archives that are the only copy of originals which left the active system.
    var moved: [String: Set<String>] = [:]
    /// By path, the id of the vault that was there last, as far as the audit log tells; and by id those of which entries tell
    /// while another vault is at their path.
    private(set) var identities: [String: String] = [:]
    private(set) var replaced: [String: String] = [:]
    /// Versions of the policies that came into force: the digest where it was told.
    var versions: [Int: String?] = [:]
    /// Policies whose run is going, or was when the daemon died, with the time at which it started.
    var underWay: [String: String] = [:]
    var findings: [ReconcileFinding] = []
    var counts = ReconcileCounts()

    private static let recordLimit = 64 << 20

    // MARK: The audit log

    /// Entries of commands name their vault: by its id where that is known, else by its path. Of others than those that were
    /// `opened` (id by path), or should be at `paths`, nothing is claimed.
    mutating func readAudit(at workplace: Workplace, paths: Set<String>, opened: [String: String]) throws {
        let log: AuditLog
        do { log = try AuditReading.log(at: workplace) } catch let error as any Failure {
            // Where nothing was ever recorded, nothing is claimed.
            if error.kind == .notFound { return }
            guard error.kind == .damaged else { throw error }
            findings.append(ReconcileFinding(.auditDamaged, "audit", at: ["audit"], error.message))
            return
        }
        let size = log.size
        var claims = self
        do throws(VaultError) {
            try log.entries(0..<size) { (entry) throws(VaultError) in
                if workplace.interrupt.isSet { throw VaultError(.interrupted, "interrupted") }
                claims.take(entry, paths, opened)
            }
            self = claims
        } catch {
            guard error.kind == .damaged else { throw error }
            self = claims
            findings.append(ReconcileFinding(.auditDamaged, "audit", at: ["audit"], error.message))
        }
        counts.auditEntries = size
    }

    private static let claiming: Set<String> = ["archive.create", "hold.add", "hold.release", "archive.dispose"]

    /// Whether what is told of the vault at `path` is to be borne out.
    private mutating func isClaim(
        _ operation: String, at path: String, _ paths: Set<String>, _ opened: [String: String]
    ) -> Bool {
        guard let id = identities[path] else { return paths.contains(path) }
        if opened.values.contains(id) { return true }
        guard paths.contains(path) else { return false }
        // Nothing is there: what it held could not be compared, and is told so.
        guard opened[path] != nil else { return true }
        if Self.claiming.contains(operation) { replaced[id] = path }
        return false
    }

    private mutating func take(_ entry: AuditEntry, _ paths: Set<String>, _ opened: [String: String]) {
        let act = entry.act
        guard act.outcome == .done || act.outcome == .partial else { return }
        func detail(_ name: String) -> String? { act.details.first { $0.name == name }?.value }
        if let path = detail("vault") {
            if let told = detail("vault-id") { identities[path] = told }
            if !isClaim(act.operation, at: path, paths, opened) { return }
        }
        let place = "audit log, entry \(entry.number)"
        let isCarriedOut = detail("step") == "approve" && detail("dry-run") == nil
        switch act.operation {
        case "archive.create":
            guard let archive = detail("archive"), Digest(hex: archive) != nil else { return }
            archives[archive, default: []].append(place)
            // What names a run is the daemon's own word, which the register must bear out.
            if act.run.isEmpty { byHand.insert(archive) }
        case "hold.add":
            if let hold = detail("hold") { holds[hold, default: []].append(place) }
        case "hold.release" where isCarriedOut:
            if let hold = detail("hold") { releases[hold, default: []].append(place) }
        case "archive.dispose" where isCarriedOut:
            // A long list is cut: what is no id is passed over.
            for id in (detail("decided-on") ?? "").split(separator: " ") where Digest(hex: id) != nil {
                disposals[String(id), default: []].append(place)
            }
            for volume in (detail("kept-on") ?? "").split(separator: " ") where VolumeRegister.isID(String(volume)) {
                keeping[String(volume), default: []].append(place)
            }
        case "policy.apply":
            if let number = detail("version").flatMap({ Int($0) }), versions[number] == nil {
                versions.updateValue(nil, forKey: number)
            }
        case "policy.enforce":
            guard let number = act.subject.split(separator: " ").last.flatMap({ Int($0) }) else { return }
            versions.updateValue(detail("digest"), forKey: number)
        default: return
        }
    }

    // MARK: Runs

    /// The daemon's records before the register: what is over in the first must be in the second.
    mutating func readRuns(state: String) throws {
        let (records, problems) = try Self.records(state)
        for file in problems { findings.append(ReconcileFinding(.runUnreadable, file, at: [file])) }
        counts.runRecords = records.count
        let reading = try RegisterFiles(state: state, .runs).read { entry in
            guard let id = entry.fields["run"] else { return }
            counts.runs += 1
            let run = Run(policy: entry.fields["policy"] ?? "", state: entry.kind, archive: entry.fields["archive"])
            runs[id] = run
            claim(run.archive, by: id, "register of runs, run \(id)")
        }
        for place in reading.damage {
            findings.append(ReconcileFinding(.registerDamaged, place.file, at: [place.file], place.text))
        }
        for record in records { compare(record) }
    }

    private mutating func claim(_ archive: String?, by run: String, _ place: String) {
        guard let archive else { return }
        archives[archive, default: []].append(place)
        runsOf[archive, default: []].insert(run)
    }

    private mutating func compare(_ record: RunRecord) {
        let place = "daemon/runs/\(record.id).json"
        guard record.state.isOver else {
            let detail = "\(record.policy), \(record.state.rawValue)"
            findings.append(ReconcileFinding(.runNotEnded, record.id, at: [place], detail))
            if record.state == .running, let started = record.started { underWay[record.policy] = started }
            return
        }
        claim(record.archive, by: record.id, place)
        guard let run = runs[record.id] else {
            findings.append(ReconcileFinding(.runNotRegistered, record.id, at: [place]))
            return
        }
        guard run.state != record.state.rawValue || run.archive != record.archive || run.policy != record.policy else {
            return
        }
        let told = [run.state, run.archive ?? "-"].joined(separator: " ")
        let kept = [record.state.rawValue, record.archive ?? "-"].joined(separator: " ")
        findings.append(
            ReconcileFinding(.runContradicts, record.id, at: [place, "register of runs"], "\(told) / \(kept)"))
    }

    /// What `daemon/runs` holds, without the lock of its folder: each file is whole at every moment.
    private static func records(_ state: String) throws -> (records: [RunRecord], problems: [String]) {
        var records: [RunRecord] = []
        var problems: [String] = []
        let folder = state + "/daemon/runs"
        for name in try StateFile.list(folder) where name.hasSuffix(".json") {
            // The daemon lets go of the oldest meanwhile.
            guard let bytes = try StateFile.read("\(folder)/\(name)", limit: recordLimit) else { continue }
            if let run = try? JSONDecoder().decode(RunRecord.self, from: Data(bytes)), name == run.id + ".json" {
                records.append(run)
            } else {
                problems.append("daemon/runs/\(name)")
            }
        }
        return (records, problems)
    }

    // MARK: Originals that were moved

    /// Such an archive must be there above all others.
    mutating func readMoved(state: String) throws {
        let reading = try RegisterFiles(state: state, .moved).read { entry in
            guard entry.kind == MovedLine.moving.rawValue, let file = MovedFile(entry.fields) else { return }
            moved[file.vault, default: []].insert(file.archive.hex)
        }
        for place in reading.damage {
            findings.append(ReconcileFinding(.registerDamaged, place.file, at: [place.file], place.text))
        }
    }

    // MARK: Problems

    /// Those that nothing can close as things stand. `places`: vaults that policies in force use, and volumes that there are.
    mutating func readProblems(state: String, policies: Set<String>, places: Set<String>) throws {
        var ledger = ProblemLedger(keepsClosed: false)
        let reading = try RegisterFiles(state: state, .problems).read { entry in
            if let change = ProblemLedger.Change(entry.kind, entry.fields) { ledger.apply(change, at: entry.time) }
        }
        for place in reading.damage {
            findings.append(ReconcileFinding(.registerDamaged, place.file, at: [place.file], place.text))
        }
        for problem in ledger.openProblems where !problem.policy.isEmpty && !policies.contains(problem.policy) {
            // The problem of a removal is about a policy too, and that of a verification about a vault or a volume.
            if policies.contains(where: { problem.policy == MoveOriginals.problem(of: $0) }) { continue }
            if places.contains(where: { problem.policy.hasSuffix(" of \($0)") }) { continue }
            findings.append(
                ReconcileFinding(.problemOutOfForce, "\(problem.id)", at: ["register of problems"], problem.policy))
        }
    }
}
