import Documents
import Domain
import FoundationEssentials
import Glibc
import Vault

/// Which policies are in force, and what became of runs that the daemon before did not end.
extension Daemon {
    /// Takes the newest applied version. At the first start, where nothing was applied yet, a valid folder becomes the
    /// first version. What is damaged or not valid any more never takes the place of a set that is in force.
    func readPolicies(atStart: Bool) throws {
        do {
            let register = PolicyRegister(statePath: settings.statePath)
            let version: AppliedVersion
            if let known = try register.newest() {
                version = known
            } else {
                version = try atStart ? applyFirst(to: register) : register.inForce()
            }
            let outdated = try checkStillValid(version, atStart: atStart)
            if inForce?.number != version.number || inForce?.digest != version.digest { try recordPolicies(version) }
            policies = version.document.set
            inForce = (version.number, version.digest)
            alarmView.policyFailure = outdated
            notePolicies(refused: outdated + checkFolder())
            serveWAL()
        } catch {
            // The set before stays; that the newest one is not in force lasts until it can be read.
            alarmView.policyFailure = Self.lines(error)
            tell(.error, "the policies are not put into force: \(Self.words(error))")
            notePolicies(refused: Self.lines(error))
            throw error
        }
    }

    /// What was valid when it was applied may have become impossible, such as by a time zone that this machine lost:
    /// then a start goes on with what can be done, and says so. Returns what is wrong.
    private func checkStillValid(_ version: AppliedVersion, atStart: Bool) throws -> [String] {
        do {
            _ = try validated(version.document, PolicySource.name(version.number))
            return []
        } catch {
            guard atStart else { throw error }
            tell(.error, "the policies in force are not valid any more: \(Self.words(error))")
            return Self.lines(error)
        }
    }

    /// The folder as version 1, in the name of the responsible archivist.
    private func applyFirst(to register: PolicyRegister) throws -> AppliedVersion {
        let document = try PolicySetDocument.read(folder: settings.policyFolder)
        for file in [settings.policyFolder] + document.documents.map(\.file) { try Self.checkOwner(file) }
        let set = try validated(document, settings.policyFolder)
        let seconds = clock.read().wall / 1_000_000
        let proposal = try PolicyProposal(
            from: .nothing, to: document, author: Self.firstAuthor(set),
            reason: "first start of the daemon with the folder \(settings.policyFolder)", at: seconds)
        let step = PolicyRegister.Step(origin: .firstStart, authorship: nil, approvals: [], time: seconds)
        let lock = try register.lock()
        // Somebody may have applied a set meanwhile.
        if let known = try register.newest() { return known }
        let number = try register.append(proposal, step, holding: lock)
        tell(.notice, "applied the folder \(settings.policyFolder) as version \(number) of the policies")
        lossView.firstVersion = FirstVersion(former: formerVersion())
        return try register.inForce()
    }

    /// The newest version that the audit log tells was in force here; nil where it tells of none.
    private func formerVersion() -> Int? {
        var claims = ReconcileClaims()
        do {
            let place = Workplace(vaultPath: settings.vaultPath, statePath: settings.statePath)
            try claims.readAudit(at: place, paths: [], opened: [:])
        } catch { tell(.warning, "whether policies were in force before is not known: \(Self.words(error))") }
        return claims.versions.keys.max()
    }

    /// Who answers for most of the policies, by id where the register of persons has one.
    private static func firstAuthor(_ set: PolicySet) -> String {
        var counts: [String: Int] = [:]
        for policy in set.policies {
            counts[policy.responsiblePerson.id ?? policy.responsiblePerson.name, default: 0] += 1
        }
        let first = counts.min { ($1.value, $0.key) < ($0.value, $1.key) }?.key
        return first.flatMap { $0.isEmpty || $0.utf8.count > 256 ? nil : $0 } ?? "qalad"
    }

    /// Compares the folder, which is a proposal, with what is in force. Returns what keeps it from being applied.
    @discardableResult
    func checkFolder() -> [String] {
        folderCheckedAt = clock.read().boot
        folderDiffers = false
        guard let inForce else { return [] }
        let name = PolicySource.name(inForce.number)
        do {
            let document = try PolicySetDocument.read(folder: settings.policyFolder)
            if document.digest != inForce.digest {
                _ = try validated(document, settings.policyFolder)
                folderDiffers = true
            }
            policyProblems = []
            return []
        } catch {
            let lines = Self.lines(error)
            policyProblems =
                lines + [
                    "the folder is not what is in force (\(name)); see `qala policy plan \(settings.policyFolder)`"
                ]
            // Without a folder there is no proposal, and nothing to be applied.
            return (error as? any Failure)?.kind == .notFound ? [] : lines
        }
    }

    /// That the folder is another set is no failure; somebody may have forgotten to apply it.
    var policyProposal: String? {
        guard folderDiffers, let inForce else { return nil }
        let folder = settings.policyFolder
        return "the folder \(folder) differs from \(PolicySource.name(inForce.number)): `qala policy plan \(folder)` "
            + "shows how, and `qala policy apply \(folder)` puts it into force"
    }

    private static func lines(_ error: any Error) -> [String] {
        words(error).split(separator: "\n").map(String.init)
    }

    /// What people ask for is not older than a few seconds.
    func checkFolderAgain() {
        guard let checked = folderCheckedAt, clock.read().boot - checked >= 5_000_000 else { return }
        checkFolder()
    }

    private func validated(_ document: PolicySetDocument, _ folder: String) throws -> PolicySet {
        let seconds = clock.read().wall / 1_000_000
        let knowledge = PolicySet.Knowledge(instant: seconds) { ZoneFiles.rules($0) }
        return try document.validated(
            on: CivilDay(secondsSince1970: seconds), knowing: knowledge, folder: folder)
    }

    /// Who can write a policy decides what root reads and runs.
    private static func checkOwner(_ file: String) throws {
        var info = stat()
        guard stat(file, &info) == 0 else {
            throw OperationError(.failed, "\(file) cannot be examined: \(String(cString: strerror(errno)))")
        }
        let isOurs = info.st_uid == 0 || info.st_uid == geteuid()
        guard isOurs, info.st_mode & 0o022 == 0 else {
            throw OperationError(
                .denied, "\(file) can be written by others than the daemon's user",
                hint: "Give it to root and take the right to write from group and others (chmod go-w).")
        }
    }

    func plans() -> [String: Scheduler.Plan] {
        var plans: [String: Scheduler.Plan] = [:]
        for policy in policies.policies {
            guard let schedule = policy.schedule, let zone = ZoneFiles.rules(schedule.effectiveZoneName) else {
                continue
            }
            let ran = runs.last {
                $0.policy == policy.name && $0.due != nil && ($0.state == .done || $0.state == .partial)
            }
            plans[policy.name] = Scheduler.Plan(schedule: schedule, zone: zone, lastDue: ran?.due)
        }
        return plans
    }

    func nextDue(_ policy: Policy) -> Int64? {
        guard let schedule = policy.schedule, let zone = ZoneFiles.rules(schedule.effectiveZoneName) else { return nil }
        return schedule.due(after: clock.read().wall, in: zone)
    }

    /// Ends the records of runs that the process before left: one whose archive is in the log was finished, another is
    /// interrupted. Returns the due instants that were answered.
    func settleOldRuns() -> Set<RunIdentity> {
        // Those that were over before the scheduler's state said so.
        var finished = Set(runs.filter { [.done, .partial, .cancelled].contains($0.state) }.compactMap(\.identity))
        for var run in runs where !run.state.isOver {
            run.ended = now
            if run.state == .running, let archive = committed(by: run) {
                run.state = archive.partial ? .partial : .done
                run.archive = archive.id
                (run.files, run.bytes) = (archive.files, archive.bytes)
                run.message = "the daemon ended before it noted this; the archive is in the log"
                if let identity = run.identity { finished.insert(identity) }
            } else {
                run.state = .interrupted
                run.message = "the daemon ended while the run was \(run.started == nil ? "waiting" : "going")"
            }
            change(run)
            recordRun(run)
            tell(run.archive != nil ? .notice : .warning, run.message ?? "", run)
        }
        return finished
    }

    /// The archive that a run committed, where no other run did.
    private func committed(by run: RunRecord) -> ArchiveRow? {
        guard let policy = policies.policies.first(where: { $0.name == run.policy }), let started = run.started else {
            return nil
        }
        let workplace = Workplace(vaultPath: policy.vault ?? settings.vaultPath, statePath: settings.statePath)
        let known = Set(runs.compactMap(\.archive))
        // By what this host remembers of its own archives: no key is needed.
        do {
            return try ListArchives.run(policy: nil, at: workplace)
                .last { $0.policy == run.policy && $0.time >= started && !known.contains($0.id) }
        } catch {
            tell(.warning, "whether it was archived is not known, so it is run again: \(Self.words(error))", run)
            return nil
        }
    }
}

enum ProcessID {
    static var own: Int32 { getpid() }
}
