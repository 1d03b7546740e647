/// The vault's own reckoning of time: seconds since 1970, UTC, that the log lets advance only as fast as machines ran.
package struct VaultTime: Hashable, Sendable {
    package var seconds: Int64
    /// False after a jump that nobody has confirmed: expiry is frozen until two persons do.
    package var isTrusted: Bool

    package init(seconds: Int64, isTrusted: Bool = true) {
        self.seconds = seconds
        self.isTrusted = isTrusted
    }
}

/// What retention knows of one archive. Unknown facts never work against an archive.
package struct ArchiveFact: Sendable, Equatable {
    package var id: Digest
    package var policy: String
    /// Nil when unknown: every hold on a component then covers the archive.
    package var component: Component?
    /// Which series the archive continues: archives of the same source under the same policy.
    package var series: Digest
    /// Seconds since 1970, UTC: the commit, as vault time.
    package var time: Int64
    /// Something of the source could not be read or changed meanwhile.
    package var isPartial: Bool
    /// Copies that are verified now.
    package var places: Int
    /// Absolute paths of the roots; empty when unknown: every hold on a path then covers the archive.
    package var paths: [String]
    package var tier: TierStanding
    /// The files that left the active system on the word of this archive; nil for none.
    package var moved: MovedFiles?

    package init(
        id: Digest, policy: String, component: Component? = nil, series: Digest, time: Int64, isPartial: Bool = false,
        places: Int = 1, paths: [String] = [], tier: TierStanding = .untiered, moved: MovedFiles? = nil
    ) {
        self.id = id
        self.policy = policy
        self.component = component
        self.series = series
        self.time = time
        self.isPartial = isPartial
        self.places = places
        self.paths = paths
        self.tier = tier
        self.moved = moved
    }

    /// Age in a series; equal times are told apart by identity, so that every order of the input is the same order.
    static func isNewer(_ a: ArchiveFact, _ b: ArchiveFact) -> Bool {
        a.time == b.time ? b.id < a.id : b.time < a.time
    }
}

/// How an archive stands towards its tier plan.
package struct TierStanding: Hashable, Sendable {
    package var stage: TierStage
    /// The first tier whose duty is open: one not reached, or the active one that an original has not left.
    package var owes: Tier?
    /// When the last period in a tier ends: as reached, or, for tiers not yet reached, if all goes by the plan.
    /// Nil when that is never.
    package var end: Int64?

    /// Of an archive that no tier plan governs.
    package static let untiered = TierStanding(stage: .online, owes: nil, end: .min)

    package init(stage: TierStage, owes: Tier? = nil, end: Int64?) {
        self.stage = stage
        self.owes = owes
        self.end = end
    }
}

/// One archive that retention will give up, by what is known today.
package struct ExpectedExpiry: Sendable, Equatable {
    package var instant: Int64
    package var archive: Digest
    /// The reason that is the last to end.
    package var last: KeepReason
    /// The tier that the archive has yet to reach, and that this forecast takes to be reached on time.
    package var assumedTier: Tier?

    package func text(in language: Language) -> String {
        let text = RetentionDecision(archive: archive, verdict: .expire(since: instant, last: last)).text(in: language)
        guard let assumedTier else { return text }
        switch language {
        case .english: return "\(text); provided it reaches the \(assumedTier.name(in: language)) on time"
        case .azerbaijani: return "\(text); bu şərtlə ki, \(assumedTier.dative) vaxtında keçsin"
        }
    }
}
