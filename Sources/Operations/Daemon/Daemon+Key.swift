import Domain
import Vault

/// What the daemon knows of the key that it was given to read with.
struct KeyView {
    var thread: WorkerThread?
    /// When it is tried next, on the clock that only advances; nil when it need not be.
    var next: Int64? = 0
    /// Tries in a row that did not tell that it opens every vault.
    var failures = 0
    /// By path of the vault, why the key does not open it.
    var troubles: [String: String] = [:]
}

/// What a vault said to the key.
enum KeyTrial: Sendable, Equatable {
    case opens
    case refused(String)
    /// It was not asked: the vault is not there.
    case unknown
}

/// The key that reads is tried at each start and reload, not only when a verification needs it in weeks: who set it up is
/// still there then. The daemon archives without it all the same.
extension Daemon {
    private static let keyLimit = 64 << 10

    /// How a vault is worked with by the key that the daemon was given; nil without one.
    func readingPlace(_ vault: String, _ interrupt: InterruptFlag) -> Workplace? {
        guard let path = settings.keyPath else { return nil }
        var workplace = Workplace(vaultPath: vault, statePath: settings.statePath, interrupt: interrupt)
        workplace.unlocking = .code {
            guard let bytes = try StateFile.read(path, limit: Self.keyLimit) else {
                throw OperationError(
                    .notFound, "there is no key file \(path)", hint: "Give the daemon another one with --key-file.")
            }
            return bytes
        }
        return workplace
    }

    /// Vaults that a policy in force wants opened: to verify what they hold, or to remove originals.
    private var vaultsToOpen: [String] {
        let wanted = policies.policies.filter { !($0.verification.content?.isZero ?? true) || $0.mode == .move }
        return Set(wanted.map { $0.vault ?? settings.vaultPath }).sorted()
    }

    /// At a start and a reload: the next turn tries the key.
    func wantKeyTrial() {
        keyView.next = clock.read().boot
        keyView.failures = 0
    }

    /// With every turn of the work loop; the trial itself is another thread's.
    func tryKeyWhenDue() {
        guard keyView.thread == nil, !isStopping, let next = keyView.next, clock.read().boot >= next else { return }
        keyView.next = nil
        let places = vaultsToOpen.compactMap { readingPlace($0, readingInterrupt) }
        // No vault is wanted opened any more, or no key was given.
        guard !places.isEmpty else { return tried([:]) }
        do {
            keyView.thread = try WorkerThread {
                let found = Dictionary(places.map { ($0.vaultPath, Self.trial($0)) }) { first, _ in first }
                Task { await self.tried(found) }
            }
        } catch { tell(.error, "the key cannot be tried: \(Self.words(error))") }
    }

    private static func trial(_ place: Workplace) -> KeyTrial {
        let open: OpenVault
        // A vault that is not there is told by the runs.
        do { open = try OpenVault(place) } catch { return .unknown }
        do {
            _ = try open.unlock()
            return .opens
        } catch { return .refused(words(error)) }
    }

    private func tried(_ found: [String: KeyTrial]) {
        keyView.thread?.join()
        keyView.thread = nil
        // The registers may be closed by now; the next start tries again.
        guard !isStopping else { return }
        let now = clock.read()
        let before = keyView.troubles
        // What is not wanted any more is no trouble; what could not be asked is what it was.
        keyView.troubles = before.filter { found[$0.key] == .unknown }
        for (vault, trial) in found.sorted(by: { $0.key < $1.key }) {
            let id = "key-\(now.wall / 1_000_000)"
            switch trial {
            case .unknown: continue
            case .opens:
                if before[vault] != nil { tell(.notice, "the key opens \(vault) again") }
                noteKey(of: vault, by: id, nil)
            case .refused(let reason):
                keyView.troubles[vault] = reason
                if before[vault] != reason {
                    tell(
                        .warning, "the key of this daemon does not open \(vault), nothing is verified there: \(reason)")
                }
                noteKey(of: vault, by: id, reason)
            }
        }
        guard found.values.contains(where: { $0 != .opens }) else { return keyView.failures = 0 }
        keyView.failures += 1
        keyView.next = now.boot + RetryWait.seconds(after: keyView.failures) * 1_000_000
    }

    func endKeyTrial() {
        keyView.thread?.join()
        keyView.thread = nil
    }
}

/// How long what could not be done waits before it is tried again: a minute, doubled by each failure, an hour at most.
enum RetryWait {
    static let longest: Int64 = 3600

    static func seconds(after failures: Int) -> Int64 { min(longest, 60 << Int64(min(max(failures, 1), 7) - 1)) }
}
