import Domain
import FoundationEssentials
import Glibc
import Vault

/// What the daemon remembers of its verifications of one vault, for each depth.
struct VerificationBook: Codable, Sendable {
    struct Entry: Codable, Sendable {
        /// When the daemon saw for the first time that it is wanted; seconds since 1970, like all times here.
        var since: Int64
        var passed: Int64?
        var tried: Int64?
        /// Why the last one did not pass.
        var failure: String?
        var isDamage = false
        /// In a row; nil where none did.
        var failures: Int?

        /// Seconds after which one that did not pass is tried again. What found damage read everything, so it waits long.
        var wait: Int64 { isDamage ? RetryWait.longest : RetryWait.seconds(after: failures ?? 1) }
    }

    /// By depth and path of the vault.
    var entries: [String: Entry] = [:]
}

/// A verification that is going.
struct Verifying {
    var vault: String
    var depth: VerificationDepth
    var interrupt = InterruptFlag()
    var thread: WorkerThread?
}

enum VerificationDepth: String, Sendable {
    /// Digests of everything that is stored; no key is needed.
    case stored
    /// Every chunk is opened; only where this host was given a key that reads.
    case content
}

/// Proves on time that the archives are still there: the `verification` of the policies.
///
/// With a vault the ledgers of the WAL that goes there are compared with what was read of them at the start. It goes on beside runs,
/// which it never holds up; one verification at a time. Damage is a problem of its own, which only a
/// verification that passes closes.
extension Daemon {
    /// With every turn of the work loop.
    func verifyWhatIsDue() {
        guard verifying == nil, !isStopping else { return }
        let now = clock.read().wall / 1_000_000
        for (vault, depth, period) in wantedVerifications {
            let key = "\(depth.rawValue) \(vault)"
            var entry = verifications.entries[key] ?? VerificationBook.Entry(since: now)
            // A clock that was set back must not put off what is due.
            entry.since = min(entry.since, now)
            verifications.entries[key] = entry
            let last = min(max(entry.passed ?? entry.since, entry.since), now)
            guard now - last >= period else { continue }
            // What failed is tried again soon; with damage too: somebody mends it.
            if entry.failure != nil, let tried = entry.tried, now - min(tried, now) < min(period, entry.wait) {
                continue
            }
            return begin(vault, depth)
        }
    }

    /// Every vault with the shortest period that a policy wants of it, the deepest first.
    private var wantedVerifications: [(vault: String, depth: VerificationDepth, period: Int64)] {
        var periods: [String: [VerificationDepth: Int64]] = [:]
        for policy in policies.policies {
            let vault = policy.vault ?? settings.vaultPath
            var wanted = [(VerificationDepth.stored, policy.verification.stored)]
            if settings.keyPath != nil { wanted.append((.content, policy.verification.content)) }
            for (depth, period) in wanted {
                guard let period, !period.isZero else { continue }
                let seconds = period.adding(to: 0)
                periods[vault, default: [:]][depth] = min(periods[vault]?[depth] ?? .max, seconds)
            }
        }
        return periods.sorted { $0.key < $1.key }.flatMap { vault, wanted in
            [VerificationDepth.content, .stored].compactMap { depth in
                wanted[depth].map { (vault, depth, $0) }
            }
        }
    }

    private func begin(_ vault: String, _ depth: VerificationDepth) {
        var verifying = Verifying(vault: vault, depth: depth)
        let keyless = Workplace(vaultPath: vault, statePath: settings.statePath, interrupt: verifying.interrupt)
        let place = depth == .content ? readingPlace(vault, verifying.interrupt) ?? keyless : keyless
        let request = VerifyVault.Request(
            readData: depth == .content, samplePercent: nil, withoutKeys: depth == .stored)
        let spools = walView.desk?.served.filter { $0.vault == vault }.map(\.spool) ?? []
        do {
            verifying.thread = try WorkerThread {
                let result = Result {
                    var report = try VerifyVault.run(request, at: place)
                    report.damage += try spools.compactMap(Self.ledgerDamage)
                    return report
                }
                Task { await self.verified(vault, depth, result) }
            }
            self.verifying = verifying
            tell(.info, "verification (\(depth.rawValue)) of \(vault) begun")
        } catch {
            verified(vault, depth, .failure(error))
        }
    }

    private static func ledgerDamage(_ spool: WALSpool) throws -> DamageRow? {
        do { try spool.verifyLedger() } catch let error as OperationError where error.kind == .damaged {
            return DamageRow(object: "the ledger of the WAL of \(spool.name)", reason: error.message)
        }
        return nil
    }

    private func verified(_ vault: String, _ depth: VerificationDepth, _ result: Result<VerifyReport, any Error>) {
        // It has nothing more to do than to end.
        verifying?.thread?.join()
        verifying = nil
        let now = clock.read().wall / 1_000_000
        var failure: String?
        var isDamage = false
        switch result {
        case .success(let report):
            failure = report.complaint
            isDamage = failure != nil
        case .failure(let error):
            if (error as? any Failure)?.kind == .interrupted { return }
            failure = Self.words(error)
        }
        func note(_ depth: VerificationDepth) {
            let key = "\(depth.rawValue) \(vault)"
            var entry = verifications.entries[key] ?? VerificationBook.Entry(since: now)
            entry.tried = now
            entry.failure = failure
            entry.isDamage = isDamage
            entry.failures = failure.map { _ in min((entry.failures ?? 0), 1000) + 1 }
            if failure == nil { entry.passed = now }
            verifications.entries[key] = entry
        }
        let outcome: ProblemLedger.Outcome = failure == nil ? .done : isDamage ? .damaged : .failed
        // Who opened everything has also seen that it is stored.
        for seen in depth == .content && failure == nil ? [depth, .stored] : [depth] {
            note(seen)
            noteVerification(seen.rawValue, of: vault, by: "\(depth.rawValue)-\(now)", outcome, failure ?? "")
        }
        do { try writing { try folder.save(verifications) } } catch {
            tell(.error, "what was verified cannot be stored: \(Self.words(error))")
        }
        recordVerification(vault, depth.rawValue, failure)
        if depth == .content, failure == nil { wantMoves(of: vault) }
        let text = failure.map { "found: \($0)" } ?? "passed"
        tell(failure == nil ? .info : .error, "verification (\(depth.rawValue)) of \(vault) \(text)")
    }

    /// For the alarms: what the last verification of each vault found damaged, and why one could not be done that is
    /// still wanted, or could not be done if it were due.
    var verificationTroubles: (damage: [String: String], undone: [String: String]) {
        let wanted = Set(wantedVerifications.map { "\($0.depth.rawValue) \($0.vault)" })
        var (damage, undone): ([String: String], [String: String]) = ([:], keyView.troubles)
        for (key, entry) in verifications.entries {
            guard let failure = entry.failure else { continue }
            let vault = String(key.split(separator: " ", maxSplits: 1).last ?? "")
            if entry.isDamage {
                damage[vault] = failure
            } else if wanted.contains(key) {
                undone[vault] = failure
            }
        }
        return (damage, undone)
    }
}
