import Documents
import Domain
import Vault

/// What of the daemon's life is in the audit log: what people asked of it, the sets of policies, and every run.
///
/// What is asked for is recorded before it is done, and refused where it cannot be. A run is no reason to stop archiving:
/// where it cannot be recorded, that is told.
extension Daemon {
    private static let itself = AuditActor.service("qalad")

    func beginAudit() throws {
        try audit.start()
        tellAudit()
        record(
            AuditAct(
                Self.itself, "daemon.start", subject: settings.statePath,
                details: [AuditDetail("version", settings.version), AuditDetail("policies", settings.policyFolder)]))
    }

    func endAudit(failing error: (any Error)? = nil) {
        record(
            AuditAct(
                Self.itself, "daemon.stop", subject: settings.statePath, outcome: error == nil ? .done : .failed,
                details: error.map { [AuditDetail("error", Self.words($0))] } ?? []))
        audit.stop()
        tellAudit()
    }

    /// Tells what the work beside found wrong.
    func tellAudit() {
        for problem in audit.takeProblems() { tell(.error, problem) }
    }

    private func record(_ act: AuditAct) {
        do { try audit.record(act) } catch {
            tell(.error, "\(act.operation) is not in the audit log: \(Self.words(error))")
        }
    }

    /// Something that `caller` asks for: `uid N`, as the kernel tells, or what else the daemon obeys.
    func recordAsked(_ operation: String, _ subject: String, by caller: String, run: String = "") throws {
        try recordFirst(AuditAct(Self.actor(caller), operation, subject: subject, run: run))
    }

    /// Something that was read for `caller`, or was to be.
    func recordRead(
        _ operation: String, _ subject: String, _ details: [AuditDetail], failing error: (any Error)? = nil,
        by caller: String
    ) {
        record(
            AuditAct(
                Self.actor(caller), operation, subject: subject, outcome: error == nil ? .done : .failed,
                details: details + (error.map { [AuditDetail("error", Self.words($0))] } ?? [])))
    }

    /// Something that `account` asked for and was not given.
    func recordRefused(_ question: String, by account: UInt32, _ reason: String) {
        record(
            AuditAct(
                .user(id: account, name: LocalUser.name(of: account)), "daemon.ask", subject: question,
                outcome: .denied, details: [AuditDetail("error", reason)]))
    }

    private func recordFirst(_ act: AuditAct) throws {
        do { try audit.record(act) } catch {
            throw OperationError(
                (error as? any Failure)?.kind ?? .failed,
                "refused, because the audit log cannot take it: \(Self.words(error))",
                hint: "Check the disk and the rights of the state directory.")
        }
    }

    private static func actor(_ caller: String) -> AuditActor {
        guard caller.hasPrefix("uid "), let id = UInt32(caller.dropFirst(4)) else { return .service(caller) }
        return .user(id: id, name: LocalUser.name(of: id))
    }

    /// A version of the policies on its way into force.
    func recordPolicies(_ version: AppliedVersion) throws {
        try recordFirst(
            AuditAct(
                Self.itself, "policy.enforce", subject: PolicySource.name(version.number),
                details: [
                    AuditDetail("policies", version.document.set.policies.map(\.name).joined(separator: " ")),
                    AuditDetail("digest", version.digest.hex),
                    AuditDetail("author", version.proposal.request.author),
                    AuditDetail("approvers", version.approvals.map(\.person).joined(separator: " ")),
                ]))
    }

    /// Runs that were added again after the state was lost.
    func recordRestored(_ runs: Int, unread: Int) {
        record(
            AuditAct(
                Self.itself, "state.restore", subject: settings.statePath, outcome: unread == 0 ? .done : .partial,
                details: [AuditDetail("runs", "\(runs)"), AuditDetail("unread", "\(unread)")]))
    }

    /// What a verification found; `failure` is nil when it passed.
    func recordVerification(_ vault: String, _ depth: String, _ failure: String?) {
        var details = [AuditDetail("depth", depth)]
        if let failure { details.append(AuditDetail("error", failure)) }
        record(
            AuditAct(
                Self.itself, "vault.verify", subject: vault, outcome: failure == nil ? .done : .failed,
                details: details))
    }

    func recordMove(_ policy: String, _ report: MoveReport, _ failure: String?) {
        var details = [AuditDetail("policies", "\(report.policies)"), AuditDetail("removed", "\(report.files)")]
        if let archive = report.archive { details.append(AuditDetail("archive", archive)) }
        if let failure { details.append(AuditDetail("error", failure)) }
        let outcome: AuditOutcome = failure == nil ? .done : report.archive == nil ? .failed : .partial
        record(AuditAct(Self.itself, "archive.move", subject: policy, outcome: outcome, details: details))
    }

    /// That a run began, or how it ended.
    func recordRun(_ run: RunRecord) {
        let outcome: AuditOutcome =
            switch run.state {
            case .waiting, .running: .begun
            case .done: .done
            case .partial: .partial
            case .failed: .failed
            case .cancelled, .interrupted: .interrupted
            }
        var details = [AuditDetail("trigger", run.trigger.rawValue), AuditDetail("attempt", "\(run.attempt)")]
        func add(_ name: String, _ value: String?) {
            if let value { details.append(AuditDetail(name, value)) }
        }
        add("asked-by", run.requestedBy)
        if run.state.isOver {
            add("state", run.state.rawValue)
            add("archive", run.archive)
            add("files", run.files.map { "\($0)" })
            add("bytes", run.bytes.map { "\($0)" })
            add("bytes-stored", run.bytesStored.map { "\($0)" })
            add("problems", run.problems.map { "\($0)" })
            add("message", run.message)
        }
        record(
            AuditAct(
                Self.itself, "archive.create", subject: run.policy, outcome: outcome, details: details, run: run.id))
    }
}
