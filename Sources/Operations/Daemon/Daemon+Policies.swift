import Documents
import Domain
import FoundationEssentials
import Glibc
import Vault

/// Which policies are in force, and what became of runs that the daemon before did not end.
extension Daemon {
    /// Puts the set of the folder into force when all of it is valid. At a start the set that was in force before counts
    /// where the folder's is not.
    func readPolicies(atStart: Bool) throws {
        defer { notePolicies() }
        do {
            let document = try PolicySetDocument.read(folder: settings.policyFolder)
            for file in [settings.policyFolder] + document.documents.map(\.file) { try Self.checkOwner(file) }
            policies = try validated(document)
            policyProblems = []
            let kept = document.documents.map { DaemonFolder.KeptDocument(file: $0.file, bytes: Data($0.bytes)) }
            do { try folder.save(kept) } catch { tell(.error, "the policies cannot be kept: \(Self.words(error))") }
        } catch {
            policyProblems = Self.words(error).split(separator: "\n").map(String.init)
            tell(.error, "the policies in \(settings.policyFolder) are not put into force: \(Self.words(error))")
            guard atStart else { throw error }
            guard let kept = try? folder.loadPolicies(), !kept.isEmpty else { throw error }
            policies = try validated(
                PolicySetDocument(kept.map { DocumentText(file: $0.file, bytes: Array($0.bytes)) }))
            tell(.warning, "the set that was in force before is used")
        }
    }

    private func validated(_ document: PolicySetDocument) throws -> PolicySet {
        let seconds = clock.read().wall / 1_000_000
        let knowledge = PolicySet.Knowledge(instant: seconds) { ZoneFiles.rules($0) }
        return try document.validated(
            on: CivilDay(secondsSince1970: seconds), knowing: knowledge, folder: settings.policyFolder)
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
