import Domain

/// One place at which two records of the same thing disagree, or something that people should know beside it.
package struct ReconcileFinding: Codable, Sendable, Equatable {
    package var kind: ReconcileKind
    /// Id of what it is about: an archive, a run, a hold, a volume; else a name.
    package var subject: String
    /// Which records tell of it: a register, a file, an entry of the audit log, a vault.
    package var places: [String]
    package var what: BothTexts
    /// What to do next.
    package var next: BothTexts

    init(_ kind: ReconcileKind, _ subject: String, at places: [String], _ detail: String = "") {
        self.kind = kind
        self.subject = subject
        self.places = places
        var what: [Language: [String]] = [:]
        var next: [Language: [String]] = [:]
        for language in Language.allCases {
            what[language] = [kind.what(subject, detail, language)]
            next[language] = [kind.next(language)]
        }
        self.what = BothTexts(what)
        self.next = BothTexts(next)
    }
}

/// What disagrees. Raw values are for programs and stay.
package enum ReconcileKind: String, Codable, Sendable, CaseIterable {
    // Differences.
    case archiveMissing, archiveWithoutRun, archiveTwice, vaultReplaced
    case runNotRegistered, runContradicts, runUnreadable, registerDamaged
    case holdMissing, holdContradicts, disposalMissing
    case volumeArchiveMissing, volumeDamaged
    case departedVolumeMissing, departedArchiveMissing, departedArchiveLost
    case segmentArchiveMissing, segmentMissing, ledgerDamaged
    case policiesDamaged, policyMissing, policyContradicts, auditDamaged
    // Notices.
    case problemOutOfForce, archiveByHand, archiveOfNoPolicy, runNotEnded, volumeHoldsDisposed, volumeOfOtherVault

    package var isNotice: Bool {
        switch self {
        case .problemOutOfForce, .archiveByHand, .archiveOfNoPolicy, .runNotEnded, .volumeHoldsDisposed,
            .volumeOfOtherVault:
            true
        default: false
        }
    }
}

/// What was compared.
package struct ReconcileCounts: Codable, Sendable, Equatable {
    package var vaults = 0
    /// In the logs of the vaults, and how many of them were disposed of.
    package var archives = 0
    package var disposed = 0
    /// Of the disposed ones those that left the vault and are kept on volumes.
    package var departed = 0
    /// Of the archives those that this host made.
    package var own = 0
    /// In the register, and those that the daemon still keeps a record of.
    package var runs = 0
    package var runRecords = 0
    package var auditEntries: UInt64 = 0
    package var holds = 0
    package var volumes = 0
    package var segments = 0
    package var policyVersions = 0
}

/// Whether the registers and the vaults tell the same.
package struct ReconcileReport: Codable, Sendable {
    package var differences: [ReconcileFinding] = []
    package var notices: [ReconcileFinding] = []
    package var counts = ReconcileCounts()
    /// Vaults that could not be looked into.
    package var missing: [VaultMissing] = []
    /// What could not be compared because of that, or for want of a key.
    package var unread = 0
    /// Ids of the runs that were added to the register, or with a dry run would be.
    package var repaired: [String] = []
    package var dryRun = false

    /// Nothing was left out.
    package var isWhole: Bool { unread == 0 && missing.isEmpty }
}
