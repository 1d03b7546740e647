import Documents
import Domain
import Vault

/// Puts policies into force.
///
/// Invariants:
/// 1. A set comes into force only as a whole, only when nothing blocks it on that day, and only on top of the set that
///    the change was made for.
/// 2. Where a change needs a second person, nothing but that person's signature over the request lets it happen, beside
///    the author's own; both are checked again when the request is carried out, like everything else.
/// 3. A request is carried out once.
/// 4. A dry run changes nothing, and refuses what would be refused.
package enum ApplyPolicies {
    /// Who wants a change, and why.
    package struct Wish: Sendable {
        package var author: String
        package var reason: String
        /// Where a request goes when a second person is needed, and the key with which its author signs it.
        package var requestFile: String?
        package var keyFile: String?
        package var dryRun: Bool

        package init(author: String, reason: String, requestFile: String?, keyFile: String?, dryRun: Bool) {
            self.author = author
            self.reason = reason
            self.requestFile = requestFile
            self.keyFile = keyFile
            self.dryRun = dryRun
        }
    }

    /// The first person's part: applies what nobody else must approve, and writes a request for the rest.
    package static func propose(
        _ source: PolicySource, _ wish: Wish, state statePath: String
    ) throws -> PolicyApplyReport {
        let register = PolicyRegister(statePath: statePath)
        let (document, name, _) = try source.read()
        try check(document, name)
        let current = try register.newest()
        let proposal = try PolicyProposal(
            from: current?.document ?? .nothing, to: document, author: wish.author, reason: wish.reason,
            at: PolicyNow.seconds)
        try proposal.checkAuthor(on: PolicyNow.day, caller: PolicyNow.caller)
        var report = Self.report(proposal, [], dryRun: wish.dryRun)
        if let current, current.digest == proposal.request.proposed {
            report.outcome = "unchanged"
            report.version = current.number
            return report
        }
        if proposal.needsSecondPerson, let path = wish.requestFile {
            if !wish.dryRun {
                try PolicyRequestFile.write(proposal, try proposal.sign(with: wish.keyFile), to: path)
            }
            report.outcome = "requested"
            report.requestFile = path
            return report
        }
        try proposal.checkApprovals([], on: PolicyNow.day)
        if !wish.dryRun { report.version = try append(proposal, nil, [], to: register) }
        return report
    }

    /// Carries out what was requested and approved.
    package static func carryOut(
        _ requestFile: String, approvals approvalFiles: [String], dryRun: Bool, state statePath: String
    ) throws -> PolicyApplyReport {
        let (proposal, authorship) = try PolicyRequestFile.read(requestFile)
        let approvals = try approvalFiles.map { try PolicyApprovalFile.read($0) }
        guard approvals.count <= KeptApproval.maximumCount else {
            throw OperationError(.usage, "there are too many approvals", hint: "One is enough.")
        }
        let register = PolicyRegister(statePath: statePath)
        // A set that comes back into force does not bring back what was once asked on top of it.
        if let number = try register.version(of: proposal.digest) {
            throw OperationError(
                .denied, "this request was carried out already, as version \(number) of the policies",
                hint: "Ask anew with `qala policy apply`; another person must approve it anew.")
        }
        let current = try register.newest()
        guard (current?.document ?? .nothing).digest == proposal.request.base else {
            throw PolicyRegister.baseChanged(current?.number ?? 0)
        }
        try check(proposal.proposed, requestFile)
        try proposal.checkAuthor(on: PolicyNow.day, caller: PolicyNow.caller)
        try proposal.check(authorship, on: PolicyNow.day)
        try proposal.checkApprovals(approvals, on: PolicyNow.day)
        var report = Self.report(proposal, approvals, dryRun: dryRun)
        if !dryRun { report.version = try append(proposal, authorship, approvals, to: register) }
        return report
    }

    private static func check(_ document: PolicySetDocument, _ name: String) throws {
        _ = try document.validated(on: PolicyNow.day, knowing: PolicyNow.knowledge, folder: name)
    }

    private static func append(
        _ proposal: PolicyProposal, _ authorship: Authorship?, _ approvals: [Approval], to register: PolicyRegister
    ) throws -> Int {
        let lock = try register.lock()
        let step = PolicyRegister.Step(
            origin: .applied, authorship: authorship, approvals: approvals, time: PolicyNow.seconds)
        return try register.append(proposal, step, holding: lock)
    }

    private static func report(
        _ proposal: PolicyProposal, _ approvals: [Approval], dryRun: Bool
    ) -> PolicyApplyReport {
        PolicyApplyReport(
            outcome: "applied", dryRun: dryRun, version: nil, author: proposal.request.author,
            approvers: approvals.map(\.person), reason: proposal.request.reason, request: proposal.digest.hex,
            requestFile: nil, changes: proposal.changes.map { PolicyChangeRow($0) }, daemon: nil)
    }
}

/// The second person's part.
package enum ApprovePolicies {
    /// Signs a request as `person` with the key in `keyFile` and writes the approval to the new file `approvalFile`; in
    /// a dry run it only shows what is asked. What would be refused later is refused here.
    package static func run(
        _ requestFile: String, as person: String, keyFile: String, to approvalFile: String, dryRun: Bool
    ) throws -> PolicyApprovalReport {
        let (proposal, authorship) = try PolicyRequestFile.read(requestFile)
        try proposal.check(authorship, on: PolicyNow.day)
        var report = PolicyApprovalReport(
            request: proposal.digest.hex, author: proposal.request.author, reason: proposal.request.reason,
            asked: TimeText.seconds(proposal.request.time), changes: proposal.changes.map { PolicyChangeRow($0) },
            person: person, approvalFile: nil)
        if dryRun { return report }
        let key = try SigningKeyFile.read(keyFile)
        let message = Approval.canonicalBytes(request: proposal.digest, person: person)
        let approval = Approval(request: proposal.digest, person: person, signature: try key.sign(message))
        try proposal.checkApprovals([approval], on: PolicyNow.day)
        try PolicyApprovalFile.write(approval, to: approvalFile)
        report.approvalFile = approvalFile
        return report
    }

    /// Makes a key that signs approvals.
    package static func makeKey(at path: String) throws -> PolicyKeyReport {
        let key = try SigningKeyFile.make(at: path)
        return PolicyKeyReport(file: path, publicKey: key.publicKey.hex)
    }
}

/// Every version that was ever in force, newest first.
package enum PolicyHistory {
    package static func run(state statePath: String) throws -> [PolicyVersionRow] {
        try PolicyRegister(statePath: statePath).versionsWithChanges().map(\.row).reversed()
    }
}

extension PolicyRegister {
    /// Oldest first, each with what it changed in full.
    func versionsWithChanges() throws -> [(row: PolicyVersionRow, changes: [PolicyChangeRow])] {
        var firstOfDigest: [String: Int] = [:]
        var found: [(row: PolicyVersionRow, changes: [PolicyChangeRow])] = []
        for version in try versions() {
            let request = version.proposal.request
            let digest = version.digest.hex
            let changes = version.proposal.changes.map { PolicyChangeRow($0) }
            let marks = changes.map {
                PolicyVersionRow.ChangeMark(subject: $0.subject, name: $0.name, change: $0.change, field: $0.field)
            }
            let row = PolicyVersionRow(
                number: version.number, time: TimeText.seconds(version.applied), author: request.author,
                approvers: version.approvals.map(\.person), reason: request.reason,
                firstStart: version.origin == .firstStart, digest: digest, request: version.proposal.digest.hex,
                sameAs: firstOfDigest[digest], changes: marks)
            found.append((row, changes))
            if firstOfDigest[digest] == nil { firstOfDigest[digest] = version.number }
        }
        return found
    }
}
