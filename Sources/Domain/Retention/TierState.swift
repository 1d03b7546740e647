// How one archive moves through the tiers: active → online → offline → expired.
//
// 1. The state holds facts only, each with the vault time of its event. What is to be done follows from facts, plan and
//    time (TierSteps.swift), so a crash loses no step: whatever was not recorded is asked for again.
// 2. Recording an event twice, or events of different copies in another order, gives the same state. A word of success
//    that is not younger than the latest word of loss of its copy counts for nothing; a word of loss that arrives late
//    makes at worst a good copy be made and verified again.
// 3. A period runs from the first verification ever; what may be removed depends on verifications that still stand.
// 4. Disposal is final.

/// What happened to an archive; `at` is vault time, seconds since 1970.
package enum TierEvent: Sendable, Equatable, Codable {
    /// The archive exists, and its first copy in that place.
    case committed(place: String, at: Int64)
    case copied(place: String, at: Int64)
    /// The copy in the place was read back and is right.
    case verified(place: String, at: Int64)
    /// The copy in the place is damaged or gone.
    case failed(place: String, at: Int64)
    /// The online copy was removed because the archive leaves the tier.
    case removed(place: String, at: Int64)
    case written(volume: String, at: Int64)
    case volumeVerified(volume: String, at: Int64)
    case volumeFailed(volume: String, at: Int64)
    /// In every source, for `mode: move`.
    case originalRemoved(at: Int64)
    case holdPlaced(id: String)
    case holdReleased(id: String)
    /// Every copy that can be destroyed is.
    case disposed(at: Int64)
}

/// The facts about one archive.
package struct TierState: Sendable, Equatable {
    /// What is known of the copy in one place or on one volume.
    package struct Copy: Sendable, Equatable, Codable {
        /// Since when there is a copy; nil if there is none.
        package fileprivate(set) var written: Int64?
        /// Since when it counts as verified; nil if it does not.
        package fileprivate(set) var verified: Int64?
        /// The first verification ever, which later losses do not undo.
        package fileprivate(set) var firstVerified: Int64?
        /// The latest loss or removal.
        private var lost: Int64?
        /// The latest removal for leaving the tier.
        private var removed: Int64?

        package init() {}

        package var isThere: Bool { written != nil }
        package var isVerified: Bool { verified != nil }
        package var wasRemoved: Bool { removed != nil }

        fileprivate mutating func write(at instant: Int64) {
            if let lost, instant <= lost { return }
            written = min(written ?? instant, instant)
        }

        fileprivate mutating func verify(at instant: Int64) {
            firstVerified = min(firstVerified ?? instant, instant)
            if let lost, instant <= lost { return }
            write(at: instant)
            verified = min(verified ?? instant, instant)
        }

        fileprivate mutating func lose(at instant: Int64) {
            lost = max(lost ?? instant, instant)
            if let verified, verified <= instant { self.verified = nil }
            // A copy that was verified since the loss is there, whatever became of the one before it.
            if let written, written <= instant { self.written = verified }
        }

        fileprivate mutating func remove(at instant: Int64) {
            lose(at: instant)
            removed = max(removed ?? instant, instant)
        }
    }

    package let archive: Digest
    package private(set) var committedAt: Int64?
    package private(set) var places: [String: Copy] = [:]
    package private(set) var volumes: [String: Copy] = [:]
    package private(set) var originalRemovedAt: Int64?
    package private(set) var disposedAt: Int64?
    private var holdsPlaced: Set<String> = []
    private var holdsReleased: Set<String> = []

    package init(archive: Digest) { self.archive = archive }

    /// The state after events of any age; see the rules above for their order.
    package init(archive: Digest, folding events: some Sequence<TierEvent>) {
        self.init(archive: archive)
        for event in events { record(event) }
    }

    /// Ids of the holds on it. Ids are used once, so a release that arrives before its hold ends it all the same.
    package var holds: Set<String> { holdsPlaced.subtracting(holdsReleased) }

    package mutating func record(_ event: TierEvent) {
        switch event {
        case .committed(let place, let at):
            committedAt = min(committedAt ?? at, at)
            places[place, default: Copy()].write(at: at)
        case .copied(let place, let at): places[place, default: Copy()].write(at: at)
        case .verified(let place, let at): places[place, default: Copy()].verify(at: at)
        case .failed(let place, let at): places[place, default: Copy()].lose(at: at)
        case .removed(let place, let at):
            places[place, default: Copy()].remove(at: at)
        case .written(let volume, let at): volumes[volume, default: Copy()].write(at: at)
        case .volumeVerified(let volume, let at): volumes[volume, default: Copy()].verify(at: at)
        case .volumeFailed(let volume, let at): volumes[volume, default: Copy()].lose(at: at)
        case .originalRemoved(let at): originalRemovedAt = min(originalRemovedAt ?? at, at)
        case .holdPlaced(let id): holdsPlaced.insert(id)
        case .holdReleased(let id): holdsReleased.insert(id)
        case .disposed(let at): disposedAt = min(disposedAt ?? at, at)
        }
    }
}

extension TierState: Codable {
    private enum CodingKeys: String, CodingKey {
        case archive, committedAt, places, volumes, originalRemovedAt, disposedAt, holdsPlaced, holdsReleased
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let text = try container.decode(String.self, forKey: .archive)
        guard let archive = Digest(hex: text) else {
            throw DecodingError.dataCorruptedError(
                forKey: .archive, in: container, debugDescription: "not a digest: \(text)")
        }
        self.archive = archive
        committedAt = try container.decodeIfPresent(Int64.self, forKey: .committedAt)
        places = try container.decode([String: Copy].self, forKey: .places)
        volumes = try container.decode([String: Copy].self, forKey: .volumes)
        originalRemovedAt = try container.decodeIfPresent(Int64.self, forKey: .originalRemovedAt)
        disposedAt = try container.decodeIfPresent(Int64.self, forKey: .disposedAt)
        holdsPlaced = try Set(container.decode([String].self, forKey: .holdsPlaced))
        holdsReleased = try Set(container.decode([String].self, forKey: .holdsReleased))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(archive.hex, forKey: .archive)
        try container.encodeIfPresent(committedAt, forKey: .committedAt)
        try container.encode(places, forKey: .places)
        try container.encode(volumes, forKey: .volumes)
        try container.encodeIfPresent(originalRemovedAt, forKey: .originalRemovedAt)
        try container.encodeIfPresent(disposedAt, forKey: .disposedAt)
        try container.encode(holdsPlaced.sorted(), forKey: .holdsPlaced)
        try container.encode(holdsReleased.sorted(), forKey: .holdsReleased)
    }
}
