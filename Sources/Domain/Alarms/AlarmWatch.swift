/// What is known of a host and its policies at one moment, and which alarms follow from it.
///
/// Pure: whoever watches gathers the facts. Times are seconds since 1970.
package struct AlarmWatch: Sendable {
    package struct PolicyFacts: Sendable {
        package enum Ending: Sendable, Equatable {
            case done, partial
            case failed(FailureKind)
        }

        package var name: String
        package var isPaused = false
        package var isScheduled = false
        package var hasNext = false
        /// Since when the daemon knows the policy.
        package var knownSince: Int64
        /// When the run of the last whole archive began: what the archive holds is not newer.
        package var lastDone: Int64?
        /// Seconds; nil where nothing was promised.
        package var rpo: Int64?
        /// Up to when its logs could be brought back from the vault.
        package var logs: [RecoveryPoint] = []
        /// The earliest due instant that no run has answered.
        package var unanswered: Int64?
        package var last: Ending?
        package var lastMessage = ""
        /// For how many seconds the run that is going has neither read nor stored anything; nil when none is going.
        package var idleSeconds: Int64?
        package var responsible: Person
        package var term: Validity = .always

        package init(name: String, knownSince: Int64, responsible: Person) {
            self.name = name
            self.knownSince = knownSince
            self.responsible = responsible
        }
    }

    package struct Space: Sendable {
        package var place: String
        package var free: Int64
        package var total: Int64

        package init(place: String, free: Int64, total: Int64) {
            self.place = place
            self.free = free
            self.total = total
        }

        /// Below a twentieth, unless that is very much; where even one pack does not fit, in any case. What tells no
        /// size has none to run out of.
        package var isLow: Bool { total > 0 && free < max(256 << 20, min(total / 20, 50 << 30)) }
    }

    /// Archives of a policy that are to be on volumes, and are not yet, or were not verified there.
    package struct VolumesDue: Sendable, Equatable {
        package var policy: String
        /// When each is due there, past or ahead.
        package var instants: [Int64]

        package init(policy: String, instants: [Int64]) {
            self.policy = policy
            self.instants = instants
        }
    }

    package struct VolumeFacts: Sendable, Equatable {
        package var id: String
        /// Title, and shelf or holder: for whoever fetches it.
        package var place: String
        package var verifyBy: Int64

        package init(id: String, place: String, verifyBy: Int64) {
            self.id = id
            self.place = place
            self.verifyBy = verifyBy
        }
    }

    /// What happened lately; told once.
    package struct Event: Sendable, Equatable, Codable {
        package var alarm: Alarm
        package var detail: String
        package var time: Int64

        package init(_ alarm: Alarm, _ detail: String, at time: Int64) {
            self.alarm = alarm
            self.detail = detail
            self.time = time
        }
    }

    /// A run that has done nothing for so long is stuck, seconds.
    package static let stuckSeconds: Int64 = 3600
    /// Without a promise, a due instant that stays unanswered for so long is overdue, seconds.
    package static let patienceSeconds: Int64 = 86_400
    /// A success that lies further ahead than so many seconds was told by a clock that was wrong, and says nothing.
    package static let aheadSeconds: Int64 = 300
    package static let noticeDays: Int64 = 14
    /// So many sources that no policy archives are told each by itself, the others together.
    package static let toldSources = 20

    package var policies: [PolicyFacts] = []
    package var policyProblems: [String] = []
    /// How the folder differs from what is in force where it could be applied; nil where it does not.
    package var policyProposal: String?
    /// Why the state cannot be kept; nil when it can.
    package var stateProblem: String?
    package var spaces: [Space] = []
    package var undelivered: [String: String] = [:]
    /// What the last verification of a vault found damaged, by its place.
    package var damage: [String: String] = [:]
    /// Verifications of a vault that could not be done, by its place.
    package var unverified: [String: String] = [:]
    /// What of the host's state was found damaged, by its name.
    package var stateDamage: [String: String] = [:]
    /// Why the document of alarms is not in force; nil when it is.
    package var alarmProblem: String?
    /// What cannot be served, and why.
    package var unserved: [String: String] = [:]
    /// What is wrong with the WAL of each source, by its name.
    package var wal: [String: String] = [:]
    /// What no policy archives, with what is known of it.
    package var unplanned: [FoundSource.Identity: String] = [:]
    package var isTimeTrusted = true
    /// What the dates of volumes go by, as the tiers do: a clock that jumped makes nothing late. Nil for the clock.
    package var vaultTime: Int64?
    package var volumesDue: [VolumesDue] = []
    package var volumes: [VolumeFacts] = []
    /// By policy, what is on lost volumes only.
    package var archivesLost: [String: String] = [:]
    package var events: [Event] = []

    package init() {}

    package func alarms(at now: Int64) -> [Alarm: String] {
        var found: [Alarm: String] = [:]
        for policy in policies { found.merge(alarms(of: policy, at: now)) { first, _ in first } }
        if !policyProblems.isEmpty {
            found[Alarm(.policiesNotInForce, "policies")] = policyProblems.prefix(20).joined(separator: "\n")
        }
        if let policyProposal { found[Alarm(.policiesProposed, "policies")] = policyProposal }
        if let stateProblem { found[Alarm(.stateNotKept, "state")] = stateProblem }
        for space in spaces where space.isLow {
            found[Alarm(.lowSpace, space.place)] =
                "\(Readable.size(Int(clamping: space.free))) / \(Readable.size(Int(clamping: space.total)))"
        }
        for (place, reason) in damage { found[Alarm(.damaged, place)] = reason }
        for (place, reason) in unverified { found[Alarm(.notVerified, place)] = reason }
        for (name, reason) in stateDamage { found[Alarm(.stateDamaged, name)] = reason }
        if let alarmProblem { found[Alarm(.alarmsNotInForce, "alarms")] = alarmProblem }
        for (name, reason) in unserved { found[Alarm(.notServed, name)] = reason }
        for (name, reason) in wal { found[Alarm(.walNotWhole, name)] = reason }
        found.merge(unplannedSources) { first, _ in first }
        if !isTimeTrusted { found[Alarm(.timeNotTrusted, "clock")] = "" }
        let today = vaultTime ?? now
        for due in volumesDue {
            if let (kind, text) = volumes(due, at: today) { found[Alarm(kind, due.policy)] = text }
        }
        for volume in volumes where volume.verifyBy <= today {
            found[Alarm(.volumeUnverified, volume.id)] = "\(volume.place); \(Self.text(volume.verifyBy))"
        }
        for (policy, reason) in archivesLost { found[Alarm(.archivesLost, policy)] = reason }
        for (channel, reason) in undelivered { found[Alarm(.undelivered, channel)] = reason }
        // Of several at one instant none hides the others.
        for event in events { found[event.alarm] = found[event.alarm].map { "\($0)\n\(event.detail)" } ?? event.detail }
        return found
    }

    private func alarms(of policy: PolicyFacts, at now: Int64) -> [Alarm: String] {
        var found: [Alarm: String] = [:]
        func raise(_ kind: Alarm.Kind, _ detail: String) { found[Alarm(kind, policy.name)] = detail }
        switch policy.last {
        case .failed(.damaged): raise(.damaged, policy.lastMessage)
        case .failed(.denied), .failed(.wrongKey): raise(.denied, policy.lastMessage)
        case .failed(.noVault): raise(.noVault, policy.lastMessage)
        case .failed: raise(.failed, policy.lastMessage)
        case .partial: raise(.partial, policy.lastMessage)
        case .done, nil: break
        }
        if let late = overdue(policy, at: now) { raise(.overdue, late) }
        if let idle = policy.idleSeconds, idle >= Self.stuckSeconds {
            raise(.stuck, Readable.duration(Double(idle)))
        }
        if policy.isPaused { raise(.paused, "") }
        if policy.isScheduled, !policy.hasNext { raise(.scheduleEnded, "") }
        let today = CivilDay(secondsSince1970: now)
        let office = policy.term.intersected(with: policy.responsible.validity ?? .always)
        let soon = CivilDay(secondsSince1970: now.addingClamped(Self.noticeDays * 86_400))
        if !office.covers(today) {
            raise(.nobodyInOffice, policy.responsible.name)
        } else if let until = office.until, until < soon {
            raise(.termEnds, "\(policy.responsible.name), \(until)")
        }
        return found
    }

    private var unplannedSources: [Alarm: String] {
        let sorted = unplanned.sorted { ($0.key.kind.rawValue, $0.key.place) < ($1.key.kind.rawValue, $1.key.place) }
        var found: [Alarm: String] = [:]
        for (source, detail) in sorted.prefix(Self.toldSources) {
            found[Alarm(.unplannedSource, "\(source.kind.rawValue) \(source.place)")] = detail
        }
        if sorted.count > Self.toldSources {
            found[Alarm(.unplannedSource, "sources")] =
                "\(sorted.count - Self.toldSources) more: `qala source discover`"
        }
        return found
    }

    /// Years beyond 9999 are shown as its end.
    private static func text(_ seconds: Int64) -> String {
        InstantText.utc(min(max(seconds, 0), 253_402_300_799) * 1_000_000)
    }

    /// How many archives, and by when the first: from two weeks before, and louder a day after.
    private func volumes(_ due: VolumesDue, at now: Int64) -> (Alarm.Kind, String)? {
        let soon = due.instants.filter { $0 <= now.addingClamped(Self.noticeDays * 86_400) }
        guard let first = soon.min() else { return nil }
        let kind: Alarm.Kind = now.subtractingClamped(first) > Self.patienceSeconds ? .volumesOverdue : .volumesDue
        return (kind, "\(soon.count); \(Self.text(first))")
    }

    /// Why the policy is overdue; nil when it is not. A partial archive does not keep the promise.
    private func overdue(_ policy: PolicyFacts, at now: Int64) -> String? {
        let done = policy.lastDone.flatMap { $0 <= now.addingClamped(Self.aheadSeconds) ? $0 : nil }
        let last = done ?? policy.knownSince
        let lastText = done.map(Self.text) ?? "-"
        if let rpo = policy.rpo {
            let late = policy.logs.filter { $0.isOlder(than: rpo, at: now) }
            if !late.isEmpty {
                let texts = late.map { "\($0.name): \($0.time.map(Self.text) ?? "-")" }
                return "\(texts.joined(separator: ", ")); RPO \(Readable.duration(Double(rpo)))"
            }
        }
        if let rpo = policy.rpo, policy.isScheduled {
            return now.subtractingClamped(last) > rpo ? "\(lastText); RPO \(Readable.duration(Double(rpo)))" : nil
        }
        guard let unanswered = policy.unanswered, now - unanswered > Self.patienceSeconds else { return nil }
        return "\(lastText); \(InstantText.utc(unanswered * 1_000_000))"
    }
}
