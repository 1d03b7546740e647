import Vault

/// Vaults that the runs of streamed logs hand on, one to the next, so that not each of them reads the vault's log from its beginning.
///
/// Invariants:
/// 1. One run has a vault at a time, and gives it back when its archive is complete; after anything else the next run opens it anew.
/// 2. Nothing in it is secret: the key that writes is read by each run, and what reads with a key does not come from here.
/// 3. It is let go of ``keptSeconds`` after it was given back, so that its file system can be unmounted, and ``longestSeconds`` after it
///    was opened, so that all of it is looked at again.
///
/// SAFETY: a vault is one thread's own. It is here only while no run has it, and the monitor orders the run that gave it back and
/// the one that takes it.
final class KeptVaults: @unchecked Sendable {
    private struct Kept {
        var vault: Vault
        /// By ``MonotonicTime``.
        var end: Double
    }

    static let keptSeconds = 10.0
    static let longestSeconds = 300.0

    private let monitor = Monitor()
    /// By their paths.
    private var kept: [String: Kept] = [:]

    /// The caller's from then on. Nil where none is kept, and where the one that is kept cannot be relied on: whoever opens it anew is
    /// told what is wrong.
    func take(_ path: String) -> Vault? {
        let found = monitor.locked { kept.removeValue(forKey: path) }
        guard let found, found.end > MonotonicTime.now(), let store = found.vault.store as? LocalStore,
            store.isAt(path), (try? found.vault.readOn()) != nil
        else { return nil }
        return found.vault
    }

    /// The caller uses it no more.
    func give(_ vault: Vault, at path: String) {
        let end = min(MonotonicTime.now() + Self.keptSeconds, vault.openedAt + Self.longestSeconds)
        monitor.locked { kept[path] = Kept(vault: vault, end: end) }
    }

    /// Lets go of what nobody took in time.
    func letGo(at now: Double = MonotonicTime.now()) {
        monitor.locked { kept = kept.filter { $0.value.end > now } }
    }

    func letGoOfAll() { letGo(at: .infinity) }
}
