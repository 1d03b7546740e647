// Legal holds: orders that nothing may be destroyed.
//
// 1. A hold in force keeps every archive that it covers, made before or after it, whatever rule, tier or maximum says.
// 2. What a hold asks for and an archive does not tell (component, paths) counts as matching.
// 3. Only two persons end a hold: one requests the release, another approves it, both with a reason. A hold is never
//    changed and its id never used again.

/// What a hold covers.
package enum HoldSelector: Sendable, Equatable {
    case everything
    /// All that is given must match.
    case matching(HoldCriteria)
}

/// The things by which a hold can name archives; nil where it does not care. At least one is given.
package struct HoldCriteria: Sendable, Equatable {
    package var policy: String?
    package var component: Component?
    /// Absolute, without `.`, `..`, doubled or trailing slashes: archives that may hold something at or below it.
    package var pathPrefix: String?
    /// Times of archives, seconds since 1970, both ends included.
    package var from: Int64?
    package var until: Int64?
    package var archives: Set<Digest>?

    package init(
        policy: String? = nil, component: Component? = nil, pathPrefix: String? = nil, from: Int64? = nil,
        until: Int64? = nil, archives: Set<Digest>? = nil
    ) {
        self.policy = policy
        self.component = component
        self.pathPrefix = pathPrefix
        self.from = from
        self.until = until
        self.archives = archives
    }

    var isEmpty: Bool { self == HoldCriteria() || archives?.isEmpty == true }

    func match(_ fact: ArchiveFact) -> Bool {
        if let policy, policy != fact.policy { return false }
        if let component, let known = fact.component, component != known { return false }
        if let from, fact.time < from { return false }
        if let until, until < fact.time { return false }
        if let archives, !archives.contains(fact.id) { return false }
        guard let pathPrefix, !fact.paths.isEmpty else { return true }
        return fact.paths.contains { Self.isAtOrBelow($0, pathPrefix) || Self.isAtOrBelow(pathPrefix, $0) }
    }

    /// By bytes, as the file system compares names, and by whole components.
    private static func isAtOrBelow(_ path: String, _ ancestor: String) -> Bool {
        var ancestor = Substring(ancestor).utf8
        while ancestor.last == 0x2F { ancestor.removeLast() }
        guard path.utf8.starts(with: ancestor) else { return false }
        let rest = path.utf8.dropFirst(ancestor.count)
        return rest.isEmpty || rest.first == 0x2F
    }
}

/// One legal hold: who ordered what to be kept, why, and how it ended.
package struct Hold: Sendable, Equatable, Codable {
    /// At most this many bytes in each of its texts.
    package static let maximumTextBytes = 4096

    /// Who did something about a hold, why and when (vault time, seconds since 1970).
    package struct Act: Sendable, Equatable, Codable {
        /// The id in the register of persons.
        package var person: String
        package var reason: String
        package var time: Int64

        package init(person: String, reason: String, time: Int64) {
            self.person = person
            self.reason = reason
            self.time = time
        }
    }

    package enum Release: Sendable, Equatable, Codable {
        case none
        case requested(Act)
        case approved(request: Act, approval: Act)
    }

    /// Formed like the name of a policy.
    package let id: String
    package let name: String
    /// The law, order or case that it rests on.
    package let legalBasis: String
    package let placed: Act
    package let selector: HoldSelector
    package fileprivate(set) var release: Release

    package init(id: String, name: String, legalBasis: String, placed: Act, selector: HoldSelector) {
        self.id = id
        self.name = name
        self.legalBasis = legalBasis
        self.placed = placed
        self.selector = selector
        release = .none
    }

    /// A requested release changes nothing until it is approved.
    package var isInForce: Bool { releasedAt == nil }

    /// When the release was approved.
    package var releasedAt: Int64? {
        guard case .approved(_, let approval) = release else { return nil }
        return approval.time
    }

    /// Whether it names the archive; also when the hold is released.
    package func covers(_ fact: ArchiveFact) -> Bool {
        switch selector {
        case .everything: true
        case .matching(let criteria): criteria.match(fact)
        }
    }
}

/// What happens to holds, in the order in which it happened.
package enum HoldEvent: Sendable, Equatable, Codable {
    case placed(Hold)
    case releaseRequested(hold: String, Hold.Act)
    case releaseApproved(hold: String, Hold.Act)
    /// The request is void and the hold as it was; the requester may take his request back so too.
    case releaseRefused(hold: String, Hold.Act)
}

/// All holds that ever were, folded from their events.
package struct HoldRegister: Sendable, Equatable {
    private var byID: [String: Hold] = [:]

    package init() {}

    /// Stops at the first event that cannot have happened.
    package init(folding events: some Sequence<HoldEvent>) throws(RetentionError) {
        for event in events { try apply(event) }
    }

    /// Released ones too, in the order of their ids.
    package var holds: [Hold] { byID.values.sorted { $0.id < $1.id } }

    package var inForce: [Hold] { holds.filter(\.isInForce) }

    package subscript(id: String) -> Hold? { byID[id] }

    /// The holds in force that cover an archive.
    package func covering(_ fact: ArchiveFact) -> [Hold] { inForce.filter { $0.covers(fact) } }

    /// Throws, and changes nothing, when the event is not possible or a text that it must carry is missing.
    package mutating func apply(_ event: HoldEvent) throws(RetentionError) {
        switch event {
        case .placed(let hold):
            try Self.check(hold)
            guard byID[hold.id] == nil else { throw RetentionError(.duplicateHold(hold.id)) }
            byID[hold.id] = hold
        case .releaseRequested(let id, let act):
            var hold = try open(id, act)
            if case .requested(let before) = hold.release {
                throw RetentionError(.releaseAlreadyRequested(id, by: before.person))
            }
            hold.release = .requested(act)
            byID[id] = hold
        case .releaseApproved(let id, let act):
            var hold = try open(id, act)
            guard case .requested(let request) = hold.release else { throw RetentionError(.releaseNotRequested(id)) }
            guard !Self.isSame(request.person, act.person) else { throw RetentionError(.selfApproval(act.person)) }
            hold.release = .approved(request: request, approval: act)
            byID[id] = hold
        case .releaseRefused(let id, let act):
            var hold = try open(id, act)
            guard case .requested = hold.release else { throw RetentionError(.releaseNotRequested(id)) }
            hold.release = .none
            byID[id] = hold
        }
    }

    private func open(_ id: String, _ act: Hold.Act) throws(RetentionError) -> Hold {
        guard let hold = byID[id] else {
            let known = byID.values.filter(\.isInForce).map(\.id).sorted()
            throw RetentionError(.unknownHold(id, suggestion: Suggestion.nearest(to: id, among: known)))
        }
        guard hold.isInForce else { throw RetentionError(.alreadyReleased(id)) }
        try Self.check(act)
        return hold
    }

    /// Ids that differ in case or in surrounding space are one person: nobody approves himself by a capital letter.
    private static func isSame(_ a: String, _ b: String) -> Bool {
        PeriodText.folded(PeriodText.trimmed(a)) == PeriodText.folded(PeriodText.trimmed(b))
    }

    private static func check(_ hold: Hold) throws(RetentionError) {
        guard Policy.isWellFormed(name: hold.id) else { throw RetentionError(.badHoldID(hold.id)) }
        try check(hold.name, .name)
        try check(hold.legalBasis, .legalBasis)
        try check(hold.placed)
        guard hold.release == .none else { throw RetentionError(.releasedAtPlacing(hold.id)) }
        guard case .matching(let criteria) = hold.selector else { return }
        guard !criteria.isEmpty else { throw RetentionError(.emptySelector) }
        if let path = criteria.pathPrefix, !PathText.isAbsolute(path) { throw RetentionError(.badPathPrefix(path)) }
        if let from = criteria.from, let until = criteria.until, until < from { throw RetentionError(.emptyTimeRange) }
    }

    private static func check(_ act: Hold.Act) throws(RetentionError) {
        try check(act.person, .person)
        try check(act.reason, .reason)
    }

    private static func check(_ text: String, _ what: RetentionError.HoldText) throws(RetentionError) {
        guard text.contains(where: { !$0.isWhitespace }) else { throw RetentionError(.emptyHoldText(what)) }
        guard text.utf8.count <= Hold.maximumTextBytes else { throw RetentionError(.holdTextTooLong(what)) }
    }
}
