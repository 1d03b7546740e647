import Documents
import Domain

/// Where an archive has come to, what is due for it, and why it is kept.
package struct TierRow: Codable, Sendable {
    package var archive: String
    package var policy: String
    /// RFC 3339, UTC, like all times here.
    package var time: String
    /// `active online offline expired`; nil where no plan of tiers governs the archive.
    package var stage: String?
    /// What is to be done, as words for programs: `copy SITE`, `verify SITE`, `writeVolumes N`, `verifyVolume ID`,
    /// `removeOriginal`, `removeCopy SITE`, `dispose`; of an archive that has left the vault `destroyVolume ID`, or
    /// `awaitVolume ID` while something else on that volume is kept; `findVolume ID` where it is on lost volumes only.
    package var due: [String]
    package var isKept: Bool
    /// Since when nothing keeps it.
    package var expiredSince: String?
    /// Of an archive that has left the vault: the registered volumes that hold it, and when its period there ends (nil for
    /// never, and while it is not known).
    package var volumes: [FoundRow.VolumePlace]?
    package var offlineUntil: String?
    /// Files whose originals left the active system on its word; nil for none.
    package var movedFiles: Int?
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
        try view.checkKnown(policy)
        let rows = view.rows().filter { row in
            (policy == nil || row.policy == policy) && (!onlyDue || !row.due.isEmpty || !row.isKept)
        }
        return TierReport(
            policies: PolicySource.name(view.version.number), vaultTime: TimeText.seconds(view.now.seconds),
            isTimeTrusted: view.now.isTrusted, archives: rows, unread: view.unread)
    }
}

/// What is due on volumes, as far as one look at the vaults and at the register of volumes tells.
struct VolumeDues: Sendable {
    var policies: [AlarmWatch.VolumesDue] = []
    var volumes: [AlarmWatch.VolumeFacts] = []
    /// By policy, what is on lost volumes only.
    var lost: [String: String] = [:]
    /// Vault time as the look found it, seconds; nil where no vault answered.
    private(set) var now: Int64?
    /// Why a part of it is not known, by place.
    var problems: [String: String] = [:]
    /// Why the register of volumes cannot be read.
    private(set) var registerProblem: String?

    private mutating func note(_ error: any Error, at place: String) {
        problems[place] = (error as? any Failure)?.message ?? "\(error)"
    }

    /// Needs no key: archives that say nothing without one are not counted.
    static func look(at vaults: [String], state: String, clock: DaemonClock = .ofMachine()) -> VolumeDues {
        var found = VolumeDues()
        var instants: [String: [Int64]] = [:]
        var lost: [String: [String]] = [:]
        for vault in vaults {
            do {
                let view = try TierView(Workplace(vaultPath: vault, statePath: state), clock: clock)
                instants.merge(view.volumeDues()) { $0 + $1 }
                for (policy, one) in view.lost() {
                    lost[policy, default: []].append("\(one.archives); \(one.volumes.sorted().joined(separator: " "))")
                }
                found.now = view.now.seconds
            } catch let error as any Failure where error.kind == .noVault || error.kind == .notFound {
                // That there is no vault, the runs tell.
            } catch {
                found.note(error, at: vault)
            }
        }
        found.policies = instants.sorted { $0.key < $1.key }.map {
            AlarmWatch.VolumesDue(policy: $0.key, instants: $0.value)
        }
        found.lost = lost.mapValues { $0.joined(separator: "\n") }
        let register = VolumeRegister(Workplace(vaultPath: "", statePath: state))
        do {
            found.volumes = try register.all().filter { !$0.isGone }.map { record in
                let place = "\(record.title), \(record.shelf ?? record.holder ?? "")"
                return AlarmWatch.VolumeFacts(
                    id: record.id, place: place, verifyBy: TimeText.parse(record.verifyBy) ?? 0)
            }
        } catch { found.registerProblem = (error as? any Failure)?.message ?? "\(error)" }
        return found
    }
}
