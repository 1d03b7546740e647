package import Domain

/// A text in both languages, for programs.
package struct BothTexts: Codable, Sendable, Equatable {
    package var en: [String]
    package var az: [String]

    init(_ texts: [Language: [String]]) {
        en = texts[.english] ?? []
        az = texts[.azerbaijani] ?? []
    }

    package subscript(language: Language) -> [String] { language == .azerbaijani ? az : en }
}

/// One difference between two sets of policies.
package struct PolicyChangeRow: Codable, Sendable {
    /// `policy` or `person`.
    package var subject: String
    package var name: String
    /// `added`, `removed` or `changed`.
    package var change: String
    /// The key that differs; empty where the whole subject comes or goes.
    package var field: String
    package var before: BothTexts
    package var after: BothTexts
    /// Why a second person must approve, as ``ConsentReason``; empty where nobody must.
    package var secondPerson: [String]

    init(_ change: PolicyChange) {
        switch change.subject {
        case .policy(let name): (subject, self.name) = ("policy", name)
        case .person(let id): (subject, self.name) = ("person", id)
        }
        self.change = change.kind.rawValue
        field = change.field
        before = BothTexts(change.before)
        after = BothTexts(change.after)
        secondPerson = ConsentReason.allCases.filter(change.consent.contains).map(\.rawValue)
    }
}

/// A vault whose archives are not in a report.
package struct VaultMissing: Codable, Sendable {
    package var vault: String
    package var reason: String
}

/// What a set of policies would change if it came into force.
package struct PolicyPlanReport: Codable, Sendable {
    /// An archive that could be disposed of earlier.
    package struct EarlierRow: Codable, Sendable {
        package var archive: String
        package var policy: String
        /// RFC 3339, UTC, like all times here.
        package var time: String
        /// Nil: never, by what is in force.
        package var before: String?
        package var after: String
        package var why: BothTexts
        /// It left the vault: what could be destroyed is on volumes.
        package var offline: Bool
    }

    /// The folder, or `version N`.
    package var proposed: String
    /// Digest of the proposed set.
    package var digest: String
    /// Nil while nothing is in force.
    package var inForce: Int?
    package var changes: [PolicyChangeRow]
    package var needsSecondPerson: Bool
    /// What does not keep the set from being put into force.
    package var remarks: [PolicyFolder.FindingRow]
    package var earlier: [EarlierRow]
    /// Archives that say nothing of themselves without a key.
    package var unread: Int
    /// Vaults that could not be looked into: nothing is known of their archives.
    package var missing: [VaultMissing]
}

/// What became of a change of the policies.
package struct PolicyApplyReport: Codable, Sendable {
    /// `applied`, `requested`, or `unchanged` where everything is in force already.
    package var outcome: String
    package var dryRun: Bool
    /// The version that is in force afterwards; nil in a dry run and for a request.
    package var version: Int?
    package var author: String
    package var approvers: [String]
    package var reason: String
    /// Digest of the request, which approvals sign.
    package var request: String
    /// Where the request for the second person lies.
    package var requestFile: String?
    package var changes: [PolicyChangeRow]
    /// What a running daemon did with it: `reloaded`, `none` where no daemon answers, else its answer.
    package var daemon: String?
}

/// What a person is asked to approve, or approved.
package struct PolicyApprovalReport: Codable, Sendable {
    package var request: String
    package var author: String
    package var reason: String
    package var asked: String
    package var changes: [PolicyChangeRow]
    package var person: String
    /// Where the signature lies; nil in a dry run.
    package var approvalFile: String?
}

package struct PolicyKeyReport: Codable, Sendable {
    package var file: String
    /// As `people.yaml` wants it.
    package var publicKey: String
}

/// One version that was applied.
package struct PolicyVersionRow: Codable, Sendable {
    package struct ChangeMark: Codable, Sendable {
        package var subject: String
        package var name: String
        package var change: String
        package var field: String
    }

    package var number: Int
    package var time: String
    package var author: String
    package var approvers: [String]
    package var reason: String
    /// Whether the first start of a daemon applied it.
    package var firstStart: Bool
    package var digest: String
    package var request: String
    /// The version whose documents it brought back.
    package var sameAs: Int?
    package var changes: [ChangeMark]
}

/// When the archives of today may be disposed of.
package struct PolicyCalendarReport: Codable, Sendable {
    package struct ExpiryRow: Codable, Sendable {
        package var archive: String
        package var policy: String
        package var time: String
        package var expires: String
        /// What keeps it until then.
        package var why: BothTexts
        /// It left the vault: what may be destroyed then is on volumes.
        package var offline: Bool
    }

    /// The folder, or `version N`.
    package var policies: String
    /// Nil for a folder.
    package var version: Int?
    package var until: String
    package var expiries: [ExpiryRow]
    /// Archives that are kept beyond it.
    package var kept: Int
    package var unread: Int
    package var missing: [VaultMissing]
}
