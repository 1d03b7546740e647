import Documents
import Domain
import Glibc
import Vault

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
        let expired = view.rows().filter { !$0.isKept && (policy == nil || $0.policy == policy) }
        guard !expired.isEmpty else {
            throw OperationError(
                .notFound, "no archive has expired under \(PolicySource.name(view.version.number)) of the policies",
                hint: "`qala tiers` tells why each is kept, and until when.")
        }
        return try request(expired.map(\.archive), because: reason, to: path, at: workplace)
    }
}

/// What is due on volumes, as far as one look at the vaults and at the register of volumes tells.
struct VolumeDues: Sendable {
    var policies: [AlarmWatch.VolumesDue] = []
    var volumes: [AlarmWatch.VolumeFacts] = []
    /// Why a part of it is not known, by place.
    var problems: [String: String] = [:]
    /// Why the register of volumes cannot be read.
    private(set) var registerProblem: String?

    private mutating func note(_ error: any Error, at place: String) {
        problems[place] = (error as? any Failure)?.message ?? "\(error)"
    }

    /// Needs no key: archives that say nothing without one are not counted.
    static func look(at vaults: [String], state: String) -> VolumeDues {
        var found = VolumeDues()
        var instants: [String: [Int64]] = [:]
        for vault in vaults {
            do {
                let view = try TierView(Workplace(vaultPath: vault, statePath: state))
                instants.merge(view.volumeDues()) { $0 + $1 }
            } catch let error as any Failure where error.kind == .noVault || error.kind == .notFound {
                // That there is no vault, the runs tell.
            } catch {
                found.note(error, at: vault)
            }
        }
        found.policies = instants.sorted { $0.key < $1.key }.map {
            AlarmWatch.VolumesDue(policy: $0.key, instants: $0.value)
        }
        let register = VolumeRegister(Workplace(vaultPath: "", statePath: state))
        do {
            found.volumes = try register.all().map { record in
                let place = "\(record.title), \(record.shelf ?? record.holder ?? "")"
                return AlarmWatch.VolumeFacts(
                    id: record.id, place: place, verifyBy: TimeText.parse(record.verifyBy) ?? 0)
            }
        } catch { found.registerProblem = (error as? any Failure)?.message ?? "\(error)" }
        return found
    }
}

/// What is known of the archives of one vault at one moment.
private struct TierView {
    let version: AppliedVersion
    let now: VaultTime
    private(set) var unread = 0
    private var seen: [PolicyArchives.Seen] = []
    private var states: [Digest: TierState] = [:]
    private let holds: [Hold]

    init(_ workplace: Workplace) throws {
        version = try PolicyRegister(statePath: workplace.statePath).inForce()
        let open = try OpenVault(workplace)
        let log = open.vault.log
        let newest = log.committed.map(\.time).max().map { Int64(clamping: $0) } ?? 0
        now = try VaultTimeFile.now(state: workplace.statePath, newest: newest)
        holds = log.holds.filter(\.isInForce).map(PolicyArchives.hold)
        let verified = VerifiedMarks.read(open.vault)
        let volumes = try Self.volumeEvents(workplace, of: open.vault.vaultID.hex)
        let policies = Dictionary(version.document.set.policies.map { ($0.name, $0) }) { first, _ in first }
        for (archive, header) in try open.headers() {
            guard let header else {
                unread += 1
                continue
            }
            let time = Int64(clamping: archive.time)
            seen.append(.init(id: archive.id, time: time, policy: header.policy ?? "", header: header))
            let site = policies[header.policy ?? ""]?.copies.first { $0.role == .vault }?.site ?? ""
            var events: [TierEvent] = [.committed(place: site, at: time)]
            if let first = verified.time(of: archive.number) {
                events.append(.verified(place: site, at: max(time, first)))
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

    func rows() -> [TierRow] {
        let policies = Dictionary(version.document.set.policies.map { ($0.name, $0) }) { first, _ in first }
        let plans = policies.compactMapValues { try? $0.tierPlan() }
        var rules: [String: RetentionRule] = [:]
        for policy in policies.values { rules[policy.name] = policy.retention }
        let facts = seen.map { archive in
            let state = states[archive.id]
            let standing = plans[archive.policy].flatMap { plan in state?.standing(plan, at: now.seconds) }
            let copies = (state?.places.values.count(where: \.isVerified) ?? 0)
            return PolicyArchives.fact(archive, tier: standing ?? .untiered, places: copies)
        }
        let decisions = Dictionary(
            RetentionPlan.decide(archives: facts, rules: rules, holds: holds, now: now).map { ($0.archive, $0) }
        ) { first, _ in first }
        return seen.sorted { ($0.time, $0.id) < ($1.time, $1.id) }.map { row($0, decisions[$0.id], plans[$0.policy]) }
    }

    /// Of each policy, when archives are due that are not on volumes as its plan demands.
    func volumeDues() -> [String: [Int64]] {
        let policies = Dictionary(version.document.set.policies.map { ($0.name, $0) }) { first, _ in first }
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
        guard let plan, let state = states[archive.id] else { return row }
        row.stage = state.stage(plan, at: now.seconds).rawValue
        row.due = state.actions(plan, at: now, isExpirable: !isKept).map(Self.word)
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
