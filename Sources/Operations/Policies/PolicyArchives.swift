import Documents
import Domain
import FoundationEssentials
import Vault

/// What the vaults of some policies hold, as retention sees it.
///
/// Invariants:
/// 1. Nothing is guessed: a vault that cannot be read, and an archive that says nothing of itself without a key, are
///    told and left out.
/// 2. Holds count for the archives of their own vault.
/// 3. An archive that the vault holds is taken to reach its tiers on time: which volumes hold it is not asked here. One that
///    left the vault has reached them, as its volumes tell.
struct PolicyArchives {
    /// How a policy's vault, or that of policies that name none (nil), is worked with.
    typealias Workplaces = (_ preferred: String?) throws -> Workplace

    struct Seen {
        var id: Digest
        var time: Int64
        var policy: String
        var header: ArchiveHeader
    }

    private typealias Departed = (seen: Seen, at: Int64, events: [TierEvent])

    private struct Content {
        var archives: [Seen]
        /// Those that left the vault and are on volumes, each with what became of its copies.
        var departed: [Departed]
        var holds: [Hold]
        var moved: MovedBook
    }

    private var contents: [Content] = []
    private var known: [Digest: Seen] = [:]
    private(set) var unread = 0
    private(set) var missing: [VaultMissing] = []
    private var firstError: (any Error)?

    /// Looks into every vault that a policy of the sets names, and into the one for those that name none.
    init(of sets: [PolicySet], at workplaces: Workplaces) throws {
        var named: [String?] = [nil]
        for policy in sets.flatMap(\.policies) where policy.vault != nil { named.append(policy.vault) }
        var paths: Set<String> = []
        for name in named {
            let workplace = try workplaces(name)
            guard paths.insert(workplace.vaultPath).inserted else { continue }
            do {
                try read(workplace)
            } catch let error as any Failure where error.kind != .interrupted {
                if firstError == nil { firstError = error }
                missing.append(VaultMissing(vault: workplace.vaultPath, reason: error.message))
            }
        }
    }

    /// Throws when no vault could be looked into.
    func checkAnyRead() throws {
        if contents.isEmpty, let firstError { throw firstError }
    }

    private mutating func read(_ workplace: Workplace) throws {
        let open = try OpenVault(workplace)
        var silent = 0
        func seen(_ archive: ArchiveRecord, _ header: ArchiveHeader?) -> Seen? {
            guard let header else {
                silent += 1
                return nil
            }
            return Seen(
                id: archive.id, time: Int64(clamping: archive.time), policy: header.policy ?? "", header: header)
        }
        let archives = try open.headers().compactMap { seen($0.archive, $0.header) }
        var departed: [Departed] = []
        let register = VolumeRegister(workplace)
        let records = open.vault.log.disposed.isEmpty ? [] : try register.all()
        let left = try open.departures(records).archives
        let events = left.isEmpty ? [:] : try TierView.volumeEvents(records, register, of: open.vault.vaultID.hex)
        let times = Dictionary(left.map { ($0.archive.id, Int64(clamping: $0.time)) }) { first, _ in first }
        for (archive, header) in left.isEmpty ? [] : try open.headers(of: left.map(\.archive)) {
            guard let one = seen(archive, header) else { continue }
            departed.append((one, times[one.id] ?? one.time, events[one.id] ?? []))
        }
        let holds = open.vault.log.holds.filter(\.isInForce).map(Self.hold)
        let moved = try MovedBook(state: workplace.statePath, vault: open.vault.vaultID.hex)
        contents.append(Content(archives: archives, departed: departed, holds: holds, moved: moved))
        for archive in archives + departed.map(\.seen) { known[archive.id] = archive }
        unread += silent
    }

    /// A hold of the log: its note may be sealed, so it is named by its id.
    static func hold(_ logged: LoggedHold) -> Hold {
        let archives = logged.record.archives
        let placed = Hold.Act(person: "", reason: "", time: Int64(clamping: logged.time))
        return Hold(
            id: logged.record.id.hex, name: String(logged.record.id.hex.prefix(12)), legalBasis: "", placed: placed,
            selector: archives.isEmpty ? .everything : .matching(HoldCriteria(archives: Set(archives))))
    }

    var count: Int { contents.reduce(0) { $0 + $1.archives.count + $1.departed.count } }

    /// Whether it left the vault.
    func isOffline(_ id: Digest) -> Bool { contents.contains { $0.departed.contains { $0.seen.id == id } } }

    subscript(id: Digest) -> Seen? { known[id] }

    /// When the archives may be disposed of under a set, by instant; without those that it keeps beyond `until`.
    func expiries(under set: PolicySet, until: Int64) -> [ExpectedExpiry] {
        var rules: [String: RetentionRule] = [:]
        for policy in set.policies { rules[policy.name] = policy.retention }
        let policies = Dictionary(set.policies.map { ($0.name, $0) }) { first, _ in first }
        let found = contents.flatMap { content in
            let live = content.archives.map { Self.fact($0, policies[$0.policy], content.moved) }
            let left = content.departed.map { Self.fact($0.seen, policies[$0.seen.policy], content.moved, $0) }
            let own = RetentionPlan.simulate(archives: live, rules: rules, holds: content.holds, until: until)
            // As in a decision: what left makes nothing in the vault superfluous, and is ranked by what is newer there.
            let all = RetentionPlan.simulate(archives: live + left, rules: rules, holds: content.holds, until: until)
            let gone = Set(left.map(\.id))
            return own + all.filter { gone.contains($0.archive) }
        }
        return found.sorted { ($0.instant, $0.archive) < ($1.instant, $1.archive) }
    }

    private static func fact(
        _ seen: Seen, _ policy: Policy?, _ moved: MovedBook, _ departure: Departed? = nil
    ) -> ArchiveFact {
        let standing = policy.map { Self.standing(seen, $0, left: departure?.at, departure?.events ?? []) }
        return fact(seen, tier: standing ?? .untiered, places: 1, moved: moved.files(of: seen.id, under: policy))
    }

    /// `places`: verified copies.
    static func fact(_ seen: Seen, tier: TierStanding, places: Int, moved: MovedFiles? = nil) -> ArchiveFact {
        let header = seen.header
        let roots = header.roots.sorted()
        let series = SHA256Digest.of(Array(([header.host ?? ""] + roots).joined(separator: "\u{0}").utf8))
        return ArchiveFact(
            id: seen.id, policy: seen.policy, component: header.component.flatMap { Component(rawValue: $0) },
            series: series, time: seen.time, isPartial: header.isPartial, places: places, paths: roots, tier: tier,
            moved: moved)
    }

    private static func standing(
        _ seen: Seen, _ policy: Policy, left: Int64?, _ volumes: [TierEvent]
    ) -> TierStanding {
        guard let plan = try? policy.tierPlan() else { return .untiered }
        let site = policy.copies.first { $0.role == .vault }?.site ?? ""
        var events: [TierEvent] = [.committed(place: site, at: seen.time), .verified(place: site, at: seen.time)]
        if let left { events.append(.removed(place: site, at: left)) }
        return TierState(archive: seen.id, folding: events + volumes).standing(plan, at: left ?? seen.time)
    }
}

extension ArchiveHeader {
    /// Something of the sources is not in the archive.
    var isPartial: Bool { partial || sources?.contains { !$0.isWhole } == true }
}
