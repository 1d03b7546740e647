/// The three storage tiers of clause 5.2.1.
package enum Tier: String, Sendable, CaseIterable, Codable {
    case active, online, offline

    package func name(in language: Language) -> String {
        switch (self, language) {
        case (.active, .english): "active system"
        case (.active, .azerbaijani): "aktiv sistem"
        case (.online, .english): "online archive"
        case (.online, .azerbaijani): "onlayn arxiv"
        case (.offline, .english): "offline archive"
        case (.offline, .azerbaijani): "oflayn arxiv"
        }
    }

    /// Azerbaijani: to the tier.
    var dative: String {
        switch self {
        case .active: "aktiv sistemə"
        case .online: "onlayn arxivə"
        case .offline: "oflayn arxivə"
        }
    }
}

/// Where an archive has come to.
package enum TierStage: String, Sendable, CaseIterable, Codable, Comparable {
    case active, online, offline, expired

    package static func < (a: TierStage, b: TierStage) -> Bool { a.order < b.order }

    private var order: Int {
        switch self {
        case .active: 0
        case .online: 1
        case .offline: 2
        case .expired: 3
        }
    }

    package func name(in language: Language) -> String {
        switch (self, language) {
        case (.active, _): Tier.active.name(in: language)
        case (.online, _): Tier.online.name(in: language)
        case (.offline, _): Tier.offline.name(in: language)
        case (.expired, .english): "destroyed"
        case (.expired, .azerbaijani): "məhv edilmişdir"
        }
    }
}

/// What makes an archive due in a tier.
package enum TierTrigger: Hashable, Sendable {
    /// `on: commit`: at once.
    case onCommit
    /// `after: PERIOD`, counted from the commit.
    case after(Period)
    /// When the period in the tier before it, among those used, is over.
    case afterPrevious

    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.onCommit, .english): "at once"
        case (.onCommit, .azerbaijani): "dərhal"
        case (.after(let period), .english): "after \(period.text(in: language))"
        case (.after(let period), .azerbaijani): "\(period.text(in: language)) sonra"
        case (.afterPrevious, .english): "when the period in the tier before it is over"
        case (.afterPrevious, .azerbaijani): "əvvəlki səviyyədə dövr bitəndə"
        }
    }
}

/// The answer that a policy owes for each tier: format, period and trigger, or why the tier is not used.
package enum TierUse: Hashable, Sendable {
    case used(format: String, keep: KeepingTerm, trigger: TierTrigger)
    case unused(reason: String)

    package var keep: KeepingTerm? {
        guard case .used(_, let keep, _) = self else { return nil }
        return keep
    }

    package var trigger: TierTrigger? {
        guard case .used(_, _, let trigger) = self else { return nil }
        return trigger
    }

    package var isUsed: Bool { keep != nil }
}

/// What becomes of the archives of a policy, tier by tier.
///
/// A period in a tier runs from the instant at which the archive has reached it, that is when the last copy that the
/// tier demands was verified, and never from before it was due: lateness lengthens a period and never shortens one.
/// In the active tier it runs from the commit, and matters for the originals only (``Mode/move``, triggers).
package struct TierPlan: Sendable, Equatable {
    package static let maximumPlaces = 64
    package static let maximumOfflineCopies = 16

    /// What becomes of the original in the active system.
    package enum Mode: String, Sendable, CaseIterable, Codable {
        /// It stays; its owner decides.
        case copy
        /// It is removed when its period in the active tier is over and every place that the plan demands has a
        /// verified copy.
        case move
    }

    package let active: TierUse
    package let online: TierUse
    package let offline: TierUse
    package let mode: Mode
    /// Names of the places that must have a verified online copy, sorted; empty if the online tier is not used.
    package let places: [String]
    /// Verified volumes that the offline tier demands; 0 if it is not used.
    package let offlineCopies: Int

    /// `places` and `offlineCopies` count only for tiers that are used.
    package init(
        active: TierUse, online: TierUse, offline: TierUse, mode: Mode = .copy, places: [String] = [],
        offlineCopies: Int = 1
    ) throws(RetentionError) {
        self.active = active
        self.online = online
        self.offline = offline
        self.mode = mode
        self.places = online.isUsed ? places.sorted() : []
        self.offlineCopies = offline.isUsed ? offlineCopies : 0
        for tier in Tier.allCases { try checkText(of: tier) }
        guard online.isUsed || offline.isUsed else { throw RetentionError(.noArchiveTier) }
        if online.isUsed { try checkPlaces() }
        if offline.isUsed, !(1...Self.maximumOfflineCopies).contains(offlineCopies) {
            throw RetentionError(.offlineCopiesOutOfRange(offlineCopies))
        }
        if let trigger = active.trigger, trigger != .onCommit { throw RetentionError(.activeTrigger) }
        if mode == .move, !Self.ends(active) { throw RetentionError(.moveNeedsActiveTerm) }
        if online.trigger == .afterPrevious, !Self.ends(active) { throw RetentionError(.previousNeverEnds(.online)) }
        if offline.trigger == .afterPrevious, !Self.ends(online.isUsed ? online : active) {
            throw RetentionError(.previousNeverEnds(.offline))
        }
    }

    package subscript(tier: Tier) -> TierUse {
        switch tier {
        case .active: active
        case .online: online
        case .offline: offline
        }
    }

    private static func ends(_ use: TierUse) -> Bool {
        guard case .used(_, .period, _) = use else { return false }
        return true
    }

    private func checkText(of tier: Tier) throws(RetentionError) {
        let text =
            switch self[tier] {
            case .used(let format, _, _): format
            case .unused(let reason): reason
            }
        guard text.contains(where: { !$0.isWhitespace }) else { throw RetentionError(.emptyTierText(tier)) }
    }

    private func checkPlaces() throws(RetentionError) {
        guard !places.isEmpty else { throw RetentionError(.noPlace) }
        guard places.count <= Self.maximumPlaces else { throw RetentionError(.tooManyPlaces) }
        for (at, place) in places.enumerated() {
            guard Policy.isWellFormed(name: place) else { throw RetentionError(.badPlace(place)) }
            if at > 0, places[at - 1] == place { throw RetentionError(.repeatedPlace(place)) }
        }
    }
}
