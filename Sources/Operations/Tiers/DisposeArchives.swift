import Documents
import Domain
import Vault

/// Disposal of archives, which two persons decide: of archives altogether, or of the online copies of those that volumes keep.
///
/// Invariants:
/// 1. What the policies in force still keep is disposed of only where both persons said so (``Reason/beforePeriod``); what a
///    hold covers never is.
/// 2. Online copies go only while volumes in the number that the policy demands hold the archive and are verified. This is
///    looked at when it is asked for, and again, with those volumes locked, when it is carried out.
/// 3. The custody logs of those volumes tell of it before the log of the vault does. Where a crash comes between, the archive
///    is in the vault as before: such a line counts only together with the record that it names.
package enum DisposeArchives {
    /// The first person's part: a signed request in a new file at `path`.
    package static func request(
        _ archives: [String], because reason: Reason, to path: String, at workplace: Workplace
    ) throws -> DecisionReport {
        let open = try OpenVault(workplace)
        var ids: [Digest] = []
        for text in archives {
            let id = try open.archive(text).id
            if !ids.contains(id) { ids.append(id) }
        }
        let custodian = try Custodian(open.vault, by: try open.unlock())
        if !reason.isBeforePeriod { try checkNotKept(ids, open) }
        return try write(ids, because: reason, to: path, custodian)
    }

    /// The first person's part for everything that the policies in force no longer keep. Who approves sees the same list.
    package static func requestExpired(
        policy: String?, because reason: Reason, to path: String, at workplace: Workplace
    ) throws -> DecisionReport {
        let (view, version, custodian) = try look(
            at: policy, more: " Or name the archives with --before-period, if they decide so all the same.", workplace)
        let gone = Set(view.departed.map(\.id.hex))
        let expired = view.rows().filter {
            !$0.isKept && (policy == nil || $0.policy == policy) && !gone.contains($0.archive)
        }
        guard !expired.isEmpty else {
            throw OperationError(
                .notFound, "no archive has expired under \(PolicySource.name(version.number)) of the policies",
                hint: "`qala tiers` tells why each is kept, and until when.")
        }
        let ids = expired.compactMap { Digest(hex: $0.archive) }
        return try writeFirst(of: ids, because: reason, to: path, custodian)
    }

    /// The first person's part for everything whose online copies the policies in force let go, while volumes keep it.
    package static func requestOnlineCopies(
        policy: String?, because reason: Reason, to path: String, at workplace: Workplace
    ) throws -> DecisionReport {
        let (view, version, custodian) = try look(at: policy, workplace)
        let leaving = view.leaving().filter { policy == nil || $0.policy == policy }
        guard !leaving.isEmpty else {
            throw OperationError(
                .notFound, "no archive may leave the vault under \(PolicySource.name(version.number)) of the policies",
                hint: "`qala tiers` tells what is due for each, and until when it is kept online. "
                    + "A volume that is gone, checked out or overdue lets nothing leave.")
        }
        var reason = reason
        reason.volumes = Set(leaving.prefix(LogBody.listLimit).flatMap(\.volumes)).sorted()
        return try writeFirst(of: leaving.map(\.archive), because: reason, to: path, custodian)
    }

    /// The second person's part. What `reason` does not tell, because it was sealed before this person could read, is not
    /// presumed: then the archives must be such as no policy keeps.
    static func approve(
        _ request: ActRequest, _ reason: Reason?, _ open: OpenVault, by custodian: Custodian, dryRun: Bool
    ) throws {
        guard let volumes = reason?.volumes else {
            if reason?.isBeforePeriod != true { try checkNotKept(request.subjects, open) }
            if !dryRun { try custodian.carryOut(request) }
            return
        }
        let register = VolumeRegister(open.workplace)
        // Nobody writes or verifies them until the record is in the log: what is found below is so then.
        let locks = try volumes.map { volume in
            guard try register.record(volume) != nil else { throw refused("volume \(volume) is not in the register") }
            return try register.lock(volume)
        }
        try checkLeaving(request.subjects, volumes, open)
        if !dryRun {
            let detail = CustodyEvent.departure(request.note.digest, of: request.subjects.count)
            for volume in volumes { try register.append(CustodyEvent.leftVault, detail, to: volume) }
            try custodian.carryOut(request)
        }
        withExtendedLifetime(locks) {}
    }

    // MARK: Checks

    /// What is due under the policies in force, by trusted time and whole registers; `more` follows the hint where the time is
    /// not trusted.
    private static func look(
        at policy: String?, more: String = "", _ workplace: Workplace
    ) throws -> (view: TierView, version: AppliedVersion, custodian: Custodian) {
        let version = try PolicyRegister(statePath: workplace.statePath).inForce()
        let open = try OpenVault(workplace)
        let custodian = try Custodian(open.vault, by: try open.unlock())
        let view = try TierView(open, version)
        try view.checkKnown(policy)
        try checkTime(view, more: more)
        try view.moved.checkWhole()
        return (view, version, custodian)
    }

    private static func checkTime(_ view: TierView, more: String = "") throws {
        guard view.now.isTrusted else {
            throw OperationError(
                .denied, "vault time is not trusted: the clock jumped, or this host was off for long",
                hint: "Two persons confirm it with `qala clock confirm`.\(more)")
        }
    }

    /// Refuses what a policy in force keeps. Archives of no policy, and those of a policy that is not in force, are for the
    /// two persons alone. A hold is not looked at here: the log itself refuses what is held.
    private static func checkNotKept(_ ids: [Digest], _ open: OpenVault) throws {
        guard let version = try PolicyRegister(statePath: open.workplace.statePath).newest() else { return }
        let names = Set(version.document.set.policies.map(\.name))
        let view = try TierView(open, version)
        let mine = view.seen.filter { ids.contains($0.id) && names.contains($0.policy) }
        guard !mine.isEmpty else { return }
        let decisions = view.decisions()
        let kept = mine.filter { decisions[$0.id]?.isKeptByPolicy == true }
        guard let first = kept.first, let decision = decisions[first.id] else { return }
        let others = kept.count > 1 ? " (and \(kept.count - 1) more)" : ""
        throw OperationError(
            .denied,
            "archive \(first.id.hex.prefix(12))\(others) is of policy \(first.policy), which is in force: "
                + decision.lines(in: .english).joined(separator: "; "),
            hint: "`qala tiers` tells until when. With --before-period two persons decide it all the same.")
    }

    private static func checkLeaving(_ ids: [Digest], _ volumes: [String], _ open: OpenVault) throws {
        let version = try PolicyRegister(statePath: open.workplace.statePath).inForce()
        let view = try TierView(open, version)
        try checkTime(view)
        try view.moved.checkWhole()
        let leaving = Dictionary(view.leaving().map { ($0.archive, $0) }) { first, _ in first }
        var verified: Set<String> = []
        for id in ids {
            guard let one = leaving[id] else {
                throw refused(
                    "archive \(id.hex.prefix(12)) may not leave the vault now: its policy does not let it go, a hold covers it, "
                        + "or volumes in the number that is demanded are not verified")
            }
            verified.formUnion(one.volumes)
        }
        // Else the record would name a volume that keeps nothing.
        guard let missing = volumes.first(where: { !verified.contains($0) }) else { return }
        throw refused(
            "volume \(missing) is not verified any more, is overdue or checked out, or holds none of these archives")
    }

    private static func refused(_ why: String) -> OperationError {
        OperationError(
            .denied, "the online copies stay: \(why)",
            hint: "`qala tiers` tells what is due for each archive. Ask anew with `qala dispose --online-copies`.")
    }

    // MARK: Writing

    /// A request names at most so many archives as a record does: the others wait for the next one.
    private static func writeFirst(
        of ids: [Digest], because reason: Reason, to path: String, _ custodian: Custodian
    ) throws -> DecisionReport {
        let first = Array(ids.prefix(LogBody.listLimit))
        var report = try write(first, because: reason, to: path, custodian)
        if ids.count > first.count { report.left = ids.count - first.count }
        return report
    }

    private static func write(
        _ ids: [Digest], because reason: Reason, to path: String, _ custodian: Custodian
    ) throws -> DecisionReport {
        guard ids.count <= LogBody.listLimit else {
            throw OperationError(
                .usage, "a request names at most \(LogBody.listLimit) archives", hint: "Make several requests.")
        }
        let request = try custodian.request(.dispose, ids, because: try reason.text())
        try RequestFile.write(request, to: path)
        var report = DecisionReport(decision: "dispose", archives: ids.map(\.hex))
        report.tell(reason)
        report.request = path
        return report
    }
}

extension RetentionDecision {
    /// Whether something else than a hold keeps it.
    fileprivate var isKeptByPolicy: Bool {
        reasons.contains { reason in
            if case .hold = reason.why { return false }
            return true
        }
    }
}
