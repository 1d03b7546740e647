import Documents
import Domain
import Glibc
import Vault

/// What is known of the archives of one vault at one moment.
struct TierView {
    let open: OpenVault
    let version: AppliedVersion
    let now: VaultTime
    let moved: MovedBook
    private(set) var unread = 0
    /// Those that the vault holds.
    private(set) var seen: [PolicyArchives.Seen] = []
    /// Those that left it and are on volumes.
    private(set) var departed: [PolicyArchives.Seen] = []
    private(set) var states: [Digest: TierState] = [:]
    private let holds: [Hold]
    private let volumes: [String: VolumeRecord]
    /// All that left, also those that say nothing of themselves without a key.
    private let left: Set<Digest>

    /// An archive whose online copies may go, and the volumes that are verified with it.
    struct Leaving {
        var archive: Digest
        var policy: String
        var volumes: [String]
    }

    /// From where the facts about archives come.
    private struct Evidence {
        var verified: VerifiedMarks
        var volumes: [Digest: [TierEvent]]
        /// Of each policy, the place of its vault.
        var sites: [String: String]
    }

    init(_ workplace: Workplace, clock: DaemonClock = .ofMachine()) throws {
        let version = try PolicyRegister(statePath: workplace.statePath).inForce()
        try self.init(try OpenVault(workplace), version, clock: clock)
    }

    init(_ open: OpenVault, _ version: AppliedVersion, clock: DaemonClock = .ofMachine()) throws {
        self.open = open
        self.version = version
        let log = open.vault.log
        let newest = log.committed.map(\.time).max().map { Int64(clamping: $0) } ?? 0
        now = try VaultTimeFile.now(state: open.workplace.statePath, newest: newest, clock: clock)
        holds = log.holds.filter(\.isInForce).map(PolicyArchives.hold)
        let vault = open.vault.vaultID.hex
        moved = try MovedBook(state: open.workplace.statePath, vault: vault)
        let records = try VolumeRegister(open.workplace).all()
        volumes = Dictionary(records.map { ($0.id, $0) }) { first, _ in first }
        let left = try Departures(open, records).archives
        self.left = Set(left.map(\.archive.id))
        let sites = version.document.set.policies.map { policy in
            (policy.name, policy.copies.first { $0.role == .vault }?.site ?? "")
        }
        let evidence = Evidence(
            verified: VerifiedMarks.read(open.vault),
            volumes: try Self.volumeEvents(records, VolumeRegister(open.workplace), of: vault),
            sites: Dictionary(sites) { first, _ in first })
        for (archive, header) in try open.headers() { take(archive, header, evidence) }
        let times = Dictionary(left.map { ($0.archive.id, Int64(clamping: $0.time)) }) { first, _ in first }
        for (archive, header) in try open.headers(of: left.map(\.archive)) {
            take(archive, header, evidence, leftAt: times[archive.id])
        }
    }

    private mutating func take(
        _ archive: ArchiveRecord, _ header: ArchiveHeader?, _ evidence: Evidence, leftAt: Int64? = nil
    ) {
        guard let header else {
            unread += 1
            return
        }
        let time = Int64(clamping: archive.time)
        let policy = header.policy ?? ""
        let one = PolicyArchives.Seen(id: archive.id, time: time, policy: policy, header: header)
        if leftAt == nil { seen.append(one) } else { departed.append(one) }
        let site = evidence.sites[policy] ?? ""
        var events: [TierEvent] = [.committed(place: site, at: time)]
        let first = evidence.verified.time(of: archive.number).map { max(time, $0) }
        if let first { events.append(.verified(place: site, at: first)) }
        // The mark of a later verification, which read other archives, makes no copy of this one.
        if let leftAt { events.append(.removed(place: site, at: max(leftAt, first ?? leftAt))) }
        if let pass = moved.passed[policy], archive.number <= pass.record {
            events.append(.originalRemoved(at: max(time, pass.time)))
        }
        for hold in open.vault.log.holds where hold.isInForce && hold.covers(archive.id) {
            events.append(.holdPlaced(id: hold.record.id.hex))
        }
        states[archive.id] = TierState(
            archive: archive.id, folding: events + (evidence.volumes[archive.id] ?? []))
    }

    /// A volume counts from the day on which it was first verified with its secret after the archive was written; one that
    /// failed since, or was lost and found, does not until it was verified again. What was found waits for that; what failed
    /// holds nothing, and must be written anew. One that is gone does not count at all.
    static func volumeEvents(
        _ records: [VolumeRecord], _ register: VolumeRegister, of vault: String
    ) throws -> [Digest: [TierEvent]] {
        var events: [Digest: [TierEvent]] = [:]
        for volume in records {
            let custody = try register.custody(volume.id)
            let failed = custody.last(where: \.endsTrust).flatMap { TimeText.parse($0.time) }
            let passed = custody.filter(\.isWholeVerification).compactMap { TimeText.parse($0.time) }
            let found = volume.isGone ? nil : custody.foundUnverified.flatMap { TimeText.parse($0) }
            for holding in volume.archives where holding.vault == vault {
                guard let id = Digest(hex: holding.archive), let written = TimeText.parse(holding.written) else {
                    continue
                }
                // First: a word of success that was said after it counts.
                if let failed { events[id, default: []].append(.volumeFailed(volume: volume.id, at: failed)) }
                events[id, default: []].append(.written(volume: volume.id, at: written))
                // After the loss, whatever the clock said when it was found.
                if let found, let failed {
                    events[id, default: []].append(.written(volume: volume.id, at: max(found, failed + 1)))
                }
                // The first one begins the period, the last one says how the volume is now.
                let since = passed.filter { $0 >= written }
                for time in [since.min(), since.max()].compactMap(\.self) {
                    events[id, default: []].append(.volumeVerified(volume: volume.id, at: time))
                }
                // Whatever the clock said when that was recorded.
                if volume.isGone {
                    let last = [written, failed, since.max()].compactMap(\.self).max() ?? written
                    events[id, default: []].append(.volumeFailed(volume: volume.id, at: last))
                }
            }
        }
        return events
    }

    private var policies: [String: Policy] {
        Dictionary(version.document.set.policies.map { ($0.name, $0) }) { first, _ in first }
    }

    private var plans: [String: TierPlan] { policies.compactMapValues { try? $0.tierPlan() } }

    // MARK: What is decided

    func decisions() -> [Digest: RetentionDecision] {
        var rules: [String: RetentionRule] = [:]
        for policy in version.document.set.policies { rules[policy.name] = policy.retention }
        let live = facts(seen) { $0.places.values.count(where: \.isVerified) }
        let left = facts(departed) { $0.volumes.values.count(where: \.isVerified) }
        // What left makes nothing in the vault superfluous; what is newer in the vault tells how what left is ranked.
        let own = RetentionPlan.decide(archives: live, rules: rules, holds: holds, now: now)
        let all = RetentionPlan.decide(archives: live + left, rules: rules, holds: holds, now: now)
        let gone = Set(departed.map(\.id))
        let decided = own + all.filter { gone.contains($0.archive) }
        return Dictionary(decided.map { ($0.archive, $0) }) { first, _ in first }
    }

    private func facts(_ archives: [PolicyArchives.Seen], _ copies: (TierState) -> Int) -> [ArchiveFact] {
        let (policies, plans) = (policies, plans)
        return archives.map { archive in
            let state = states[archive.id]
            let standing = plans[archive.policy].flatMap { plan in state?.standing(plan, at: now.seconds) }
            return PolicyArchives.fact(
                archive, tier: standing ?? .untiered, places: state.map(copies) ?? 0,
                moved: moved.files(of: archive.id, under: policies[archive.policy]))
        }
    }

    private func actions(
        of archive: PolicyArchives.Seen, _ plan: TierPlan, _ decision: RetentionDecision?
    ) -> [TierAction] {
        guard let state = states[archive.id] else { return [] }
        // A partial archive lets no original go, whatever its copies are.
        let actions = state.actions(plan, at: now, isExpirable: decision?.isKept == false)
            .filter { $0 != .mayRemoveOriginal || !archive.header.isPartial }
        guard actions.contains(where: \.isRemovalOfCopy), keepers(state).count < plan.offlineCopies else {
            return actions
        }
        let late = state.volumes.filter(\.value.isVerified).keys.filter(isOverdue).sorted()
        return actions.filter { !$0.isRemovalOfCopy } + late.map { .verifyVolume($0) }
    }

    private func isOverdue(_ volume: String) -> Bool { volumes[volume].map(VolumeRegister.isOverdue) ?? true }

    /// The volumes on whose word an archive may leave: not on that of a verification long ago, nor of a medium that somebody took
    /// from its shelf.
    private func keepers(_ state: TierState) -> [String] {
        state.volumes.filter(\.value.isVerified).keys.sorted()
            .filter { !isOverdue($0) && volumes[$0]?.holder == nil }
    }

    /// Refuses a name that neither the policies in force nor an archive bears.
    func checkKnown(_ policy: String?) throws {
        guard let policy, policies[policy] == nil, !(seen + departed).contains(where: { $0.policy == policy }) else {
            return
        }
        throw OperationError(
            .notFound, "there is no policy \(policy), and no archive of it",
            hint: "`qala policy show` names the policies.")
    }

    /// What may leave the vault now, oldest first.
    func leaving() -> [Leaving] {
        let (plans, decisions) = (plans, decisions())
        return seen.sorted(by: Self.isOlder).compactMap { archive in
            guard let plan = plans[archive.policy], let state = states[archive.id],
                actions(of: archive, plan, decisions[archive.id]).contains(where: \.isRemovalOfCopy)
            else { return nil }
            return Leaving(archive: archive.id, policy: archive.policy, volumes: keepers(state))
        }
    }

    /// Of each policy, when archives are due that are not on volumes as its plan demands. Nobody can write what is lost.
    func volumeDues() -> [String: [Int64]] {
        let plans = plans
        var dues: [String: [Int64]] = [:]
        for archive in seen + departed where !isLost(archive.id) {
            guard let plan = plans[archive.policy], let due = states[archive.id]?.volumesDue(plan) else { continue }
            dues[archive.policy, default: []].append(due)
        }
        return dues
    }

    // MARK: Volumes that are gone

    /// Registered volumes that hold the archive, or did until they were lost.
    private func holders(_ id: Digest) -> [VolumeRecord] {
        (states[id]?.volumes.keys.sorted() ?? []).compactMap { volumes[$0] }.filter { $0.gone?.how != .destroyed }
    }

    private func isLost(_ id: Digest) -> Bool {
        let holders = holders(id)
        return left.contains(id) && !holders.isEmpty && holders.allSatisfy(\.isGone)
    }

    /// By policy, what is still kept and is on lost volumes only: how many archives, and which volumes.
    func lost() -> [String: (archives: Int, volumes: Set<String>)] {
        let decisions = decisions()
        var lost: [String: (archives: Int, volumes: Set<String>)] = [:]
        for archive in departed where decisions[archive.id]?.isKept != false && isLost(archive.id) {
            lost[archive.policy, default: (0, [])].archives += 1
            lost[archive.policy, default: (0, [])].volumes.formUnion(holders(archive.id).map(\.id))
        }
        return lost
    }

    /// Whether it is known that nothing keeps an archive any more that the vault holds no more.
    func isOver(_ id: Digest, _ decisions: [Digest: RetentionDecision]) -> Bool {
        guard open.vault.log.disposed[id] != nil else { return false }
        return left.contains(id) ? decisions[id]?.isKept == false : true
    }
}

extension TierAction {
    fileprivate var isRemovalOfCopy: Bool {
        if case .mayRemoveCopy = self { return true }
        return false
    }
}

// MARK: Rows

extension TierView {
    private static func isOlder(_ a: PolicyArchives.Seen, _ b: PolicyArchives.Seen) -> Bool {
        (a.time, a.id) < (b.time, b.id)
    }

    func rows() -> [TierRow] {
        let (plans, decisions) = (plans, decisions())
        let needed = neededVolumes(decisions)
        return (seen + departed).sorted(by: Self.isOlder).map { archive in
            let (decision, plan) = (decisions[archive.id], plans[archive.policy])
            var row = row(archive, decision, plan)
            if left.contains(archive.id) { tellDeparture(of: archive.id, plan, needed, &row) }
            return row
        }
    }

    private func row(_ archive: PolicyArchives.Seen, _ decision: RetentionDecision?, _ plan: TierPlan?) -> TierRow {
        var why: [Language: [String]] = [:]
        for language in Language.allCases { why[language] = decision?.lines(in: language) ?? [] }
        var row = TierRow(
            archive: archive.id.hex, policy: archive.policy, time: TimeText.seconds(archive.time), due: [],
            isKept: decision?.isKept ?? true, why: BothTexts(why))
        if case .expire(let since, _)? = decision?.verdict { row.expiredSince = TimeText.seconds(since) }
        if let count = moved.files(of: archive.id, under: nil)?.count { row.movedFiles = count }
        guard let plan, let state = states[archive.id] else { return row }
        row.stage = state.stage(plan, at: now.seconds).rawValue
        row.due = actions(of: archive, plan, decision).map(Self.word)
        return row
    }

    /// The vault cannot give it any more: what is left to do is done to the volumes.
    private func tellDeparture(of id: Digest, _ plan: TierPlan?, _ needed: Set<String>, _ row: inout TierRow) {
        let holding = holders(id)
        row.stage = TierStage.offline.rawValue
        row.volumes = holding.filter { !$0.isGone }.map(FoundRow.VolumePlace.init)
        row.offlineUntil = plan.flatMap { states[id]?.end(.offline, $0) }.map { TimeText.seconds($0) }
        // It is copied to no place: there is nothing to copy from but a volume.
        row.due.removeAll { $0.hasPrefix("copy ") || $0.hasPrefix("verify ") }
        if row.isKept, isLost(id) { row.due = holding.map { "findVolume " + $0.id } }
        if !row.isKept {
            row.due = holding.map { (needed.contains($0.id) ? "awaitVolume " : "destroyVolume ") + $0.id }
        }
    }

    /// Volumes on which something is still kept, as far as it is known here.
    private func neededVolumes(_ decisions: [Digest: RetentionDecision]) -> Set<String> {
        let own = open.vault.vaultID.hex
        func isOver(_ holding: VolumeRecord.Holding) -> Bool {
            guard holding.vault == own, let id = Digest(hex: holding.archive) else { return false }
            return self.isOver(id, decisions)
        }
        return Set(volumes.values.filter { !$0.archives.allSatisfy(isOver) }.map(\.id))
    }

    private static func word(_ action: TierAction) -> String {
        switch action {
        case .copy(let site): "copy \(site)"
        case .verify(let site): "verify \(site)"
        case .writeVolumes(let count): "writeVolumes \(count)"
        case .verifyVolume(let volume): "verifyVolume \(volume)"
        case .mayRemoveOriginal: "removeOriginal"
        case .mayRemoveCopy(let site): "removeCopy \(site)"
        case .mayExpire: "dispose"
        }
    }
}
