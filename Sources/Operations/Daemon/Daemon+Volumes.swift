import Domain
import Vault

/// What the daemon saw of volumes, for the sake of its alarms.
struct VolumeView {
    /// When it looked last, on the clock that only advances.
    var looked: Int64?
    var thread: WorkerThread?
    /// An archive was made since.
    var isStale = false
    var found: VolumeDues?
}

/// What is due on volumes, and which volumes are due for verification. The daemon writes no volume and verifies none: the
/// medium lies on a shelf and its secret in a safe. It says when a person must fetch both.
extension Daemon {
    /// Microseconds between two looks; and between two where an archive was made in between.
    private static let volumeInterval: Int64 = 600_000_000
    private static let staleInterval: Int64 = 10_000_000
    /// Microseconds for which alarms wait for the first look, so that none is over because of a restart.
    private static let firstLook: Int64 = 60_000_000

    /// With every turn of the work loop; the look itself is another thread's.
    func lookAtVolumes() {
        let now = clock.read().boot
        guard volumeView.thread == nil, !isStopping else { return }
        let interval = volumeView.isStale ? Self.staleInterval : Self.volumeInterval
        if let looked = volumeView.looked, now - looked < interval { return }
        volumeView.looked = now
        volumeView.isStale = false
        let vaults = Set(policies.policies.map { $0.vault ?? settings.vaultPath }).sorted()
        let state = settings.statePath
        let clock = clock
        do {
            volumeView.thread = try WorkerThread {
                let found = VolumeDues.look(at: vaults, state: state, clock: clock)
                Task { await self.sawVolumes(found) }
            }
        } catch { tell(.error, "the volumes cannot be looked at: \(Self.words(error))") }
    }

    private func sawVolumes(_ found: VolumeDues) {
        volumeView.thread?.join()
        volumeView.thread = nil
        let before = volumeView.found?.problems ?? [:]
        for (place, problem) in found.problems.sorted(by: { $0.key < $1.key }) where before[place] != problem {
            tell(.error, "what is due on volumes is not known: \(place): \(problem)")
        }
        volumeView.found = found
    }

    var isWaitingForVolumes: Bool {
        guard volumeView.found == nil, let looked = volumeView.looked else { return false }
        return volumeView.thread != nil && clock.read().boot - looked < Self.firstLook
    }

    func endVolumes() {
        volumeView.thread?.join()
        volumeView.thread = nil
    }
}
