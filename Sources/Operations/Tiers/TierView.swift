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
    private(set) var seen: [PolicyArchives.Seen] = []
    private(set) var states: [Digest: TierState] = [:]
    private let holds: [Hold]

    init(_ workplace: Workplace, clock: DaemonClock = .ofMachine()) throws {
        version = try PolicyRegister(statePath: workplace.statePath).inForce()
        open = try OpenVault(workplace)
        let log = open.vault.log
        let newest = log.committed.map(\.time).max().map { Int64(clamping: $0) } ?? 0
        now = try VaultTimeFile.now(state: workplace.statePath, newest: newest, clock: clock)
        holds = log.holds.filter(\.isInForce).map(PolicyArchives.hold)
        let vault = open.vault.vaultID.hex
        moved = try MovedBook(state: workplace.statePath, vault: vault)
        let verified = VerifiedMarks.read(open.vault)
        let volumes = try Self.volumeEvents(workplace, of: vault)
        let policies = Dictionary(version.document.set.policies.map { ($0.name, $0) }) { first, _ in first }
        for (archive, header) in try open.headers() {
            guard let header else {
                unread += 1
                continue
            }
            let time = Int64(clamping: archive.time)
            let policy = header.policy ?? ""
            seen.append(.init(id: archive.id, time: time, policy: policy, header: header))
            let site = policies[policy]?.copies.first { $0.role == .vault }?.site ?? ""
            var events: [TierEvent] = [.committed(place: site, at: time)]
            if let first = verified.time(of: archive.number) {
                events.append(.verified(place: site, at: max(time, first)))
            }
            if let pass = moved.passed[policy], archive.number <= pass.record {
                events.append(.originalRemoved(at: max(time, pass.time)))
            }
            for hold in log.holds where hold.isInForce && hold.covers(archive.id) {
                events.append(.holdPlaced(id: hold.record.id.hex))
            }
            states[archive.id] = TierState(archive: archive.id, folding: events + (volumes[archive.id] ?? []))
        }
    }

    /// A volume counts from the day on which it was first verified with its secret after the archive was written; one that
    /// failed since does not until it was verified again.
    private static func volumeEvents(_ workplace: Workplace, of vault: String) throws -> [Digest: [TierEvent]] {
        var events: [Digest: [TierEvent]] = [:]
        let register = VolumeRegister(workplace)
        for volume in try register.all() {
            let custody = try register.custody(volume.id)
            let failed = custody.last { $0.act == "verificationFailed" }.flatMap { TimeText.parse($0.time) }
            let passed = custody.filter(\.isWholeVerification).compactMap { TimeText.parse($0.time) }
            for holding in volume.archives where holding.vault == vault {
                guard let id = Digest(hex: holding.archive), let written = TimeText.parse(holding.written) else {
                    continue
                }
                events[id, default: []].append(.written(volume: volume.id, at: written))
                // The first one begins the period, the last one says how the volume is now.
                let since = passed.filter { $0 >= written }
                for time in [since.min(), since.max()].compactMap(\.self) {
                    events[id, default: []].append(.volumeVerified(volume: volume.id, at: time))
                }
                if let failed { events[id, default: []].append(.volumeFailed(volume: volume.id, at: failed)) }
            }
        }
        return events
    }

    private var policies: [String: Policy] {
        Dictionary(version.document.set.policies.map { ($0.name, $0) }) { first, _ in first }
    }

    func rows() -> [TierRow] {
        let policies = policies
        let plans = policies.compactMapValues { try? $0.tierPlan() }
        var rules: [String: RetentionRule] = [:]
        for policy in policies.values { rules[policy.name] = policy.retention }
        let facts = seen.map { archive in
            let state = states[archive.id]
            let standing = plans[archive.policy].flatMap { plan in state?.standing(plan, at: now.seconds) }
            let copies = (state?.places.values.count(where: \.isVerified) ?? 0)
            return PolicyArchives.fact(
                archive, tier: standing ?? .untiered, places: copies,
                moved: moved.files(of: archive.id, under: policies[archive.policy]))
        }
        let decisions = Dictionary(
            RetentionPlan.decide(archives: facts, rules: rules, holds: holds, now: now).map { ($0.archive, $0) }
        ) { first, _ in first }
        return seen.sorted { ($0.time, $0.id) < ($1.time, $1.id) }.map { row($0, decisions[$0.id], plans[$0.policy]) }
    }

    /// Of each policy, when archives are due that are not on volumes as its plan demands.
    func volumeDues() -> [String: [Int64]] {
        let plans = policies.compactMapValues { try? $0.tierPlan() }
        var dues: [String: [Int64]] = [:]
        for archive in seen {
            guard let plan = plans[archive.policy], let due = states[archive.id]?.volumesDue(plan) else { continue }
            dues[archive.policy, default: []].append(due)
        }
        return dues
    }

    private func row(_ archive: PolicyArchives.Seen, _ decision: RetentionDecision?, _ plan: TierPlan?) -> TierRow {
        var why: [Language: [String]] = [:]
        for language in Language.allCases { why[language] = decision?.lines(in: language) ?? [] }
        let isKept = decision?.isKept ?? true
        var row = TierRow(
            archive: archive.id.hex, policy: archive.policy, time: TimeText.seconds(archive.time), due: [],
            isKept: isKept, why: BothTexts(why))
        if case .expire(let since, _)? = decision?.verdict { row.expiredSince = TimeText.seconds(since) }
        if let count = moved.files(of: archive.id, under: nil)?.count { row.movedFiles = count }
        guard let plan, let state = states[archive.id] else { return row }
        row.stage = state.stage(plan, at: now.seconds).rawValue
        let actions = state.actions(plan, at: now, isExpirable: !isKept)
        // A partial archive lets no original go, whatever its copies are.
        row.due = actions.filter { $0 != .mayRemoveOriginal || !archive.header.isPartial }.map(Self.word)
        return row
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
