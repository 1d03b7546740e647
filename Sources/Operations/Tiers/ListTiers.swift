import Documents
import Domain

/// Where an archive has come to, what is due for it, and why it is kept.
package struct TierRow: Codable, Sendable {
    package var archive: String
    package var policy: String
    /// RFC 3339, UTC, like all times here.
    package var time: String
    /// `active online offline expired`; nil where no plan of tiers governs the archive.
    package var stage: String?
    /// What is to be done, as words for programs: `copy SITE`, `verify SITE`, `writeVolumes N`, `verifyVolume ID`,
    /// `removeOriginal`, `removeCopy SITE`, `dispose`.
    package var due: [String]
    package var isKept: Bool
    /// Since when nothing keeps it.
    package var expiredSince: String?
    /// Files whose originals left the active system on its word; nil for none.
    package var movedFiles: Int?
    /// One sentence for each reason.
    package var why: BothTexts
}

package struct TierReport: Codable, Sendable {
    package var policies: String
    package var vaultTime: String
    /// False after a jump of the clock: then nothing expires.
    package var isTimeTrusted: Bool
    package var archives: [TierRow]
    /// Archives that say nothing of themselves without a key.
    package var unread: Int
}

/// The archives of a vault under the policies in force: a look that changes nothing but the reckoning of time.
package enum ListTiers {
    package static func run(policy: String?, onlyDue: Bool, at workplace: Workplace) throws -> TierReport {
        let view = try TierView(workplace)
        let rows = view.rows().filter { row in
            (policy == nil || row.policy == policy) && (!onlyDue || !row.due.isEmpty || !row.isKept)
        }
        return TierReport(
            policies: PolicySource.name(view.version.number), vaultTime: TimeText.seconds(view.now.seconds),
            isTimeTrusted: view.now.isTrusted, archives: rows, unread: view.unread)
    }
}

extension DisposeArchives {
    /// The first person's part for everything that the policies in force no longer keep. Who approves sees the same list.
    package static func requestExpired(
        policy: String?, because reason: Reason, to path: String, at workplace: Workplace
    ) throws -> DecisionReport {
        let view = try TierView(workplace)
        guard view.now.isTrusted else {
            throw OperationError(
                .denied, "vault time is not trusted: the clock jumped, or this host was off for long",
                hint: "Nothing expires until it is. Name the archives, if two persons decide so all the same.")
        }
        try view.moved.checkWhole()
        let expired = view.rows().filter { !$0.isKept && (policy == nil || $0.policy == policy) }
        guard !expired.isEmpty else {
            throw OperationError(
                .notFound, "no archive has expired under \(PolicySource.name(view.version.number)) of the policies",
                hint: "`qala tiers` tells why each is kept, and until when.")
        }
        return try request(expired.map(\.archive), because: reason, to: path, at: workplace)
    }
}
