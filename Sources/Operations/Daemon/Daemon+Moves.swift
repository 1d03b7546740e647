import Domain
import Glibc
import Vault

/// What the daemon knows of the removal of originals.
struct MoveDesk {
    /// Policies whose turn has come, each once.
    var waiting: [String] = []
    var going: (policy: String, interrupt: InterruptFlag, thread: WorkerThread?)?
    /// When all policies were looked at, on the clock that only advances.
    var looked: Int64?
}

/// Removes the originals of policies with `mode: move`, where this host was given a key that reads.
///
/// It goes on beside runs and verifications: what it needs of an archive does not change any more, and whatever it finds
/// changed stays. One removal at a time.
extension Daemon {
    /// Microseconds: periods end although nothing happens.
    private static let moveInterval: Int64 = 3_600_000_000

    /// With every turn of the work loop.
    func moveWhatIsDue() {
        guard settings.keyPath != nil, !isStopping else { return }
        let boot = clock.read().boot
        if moves.looked.map({ boot - $0 >= Self.moveInterval }) ?? true {
            moves.looked = boot
            for policy in policies.policies { wantMove(policy.name) }
        }
        guard moves.going == nil, !moves.waiting.isEmpty else { return }
        beginMove(moves.waiting.removeFirst())
    }

    /// After a run of the policy, or after a verification.
    func wantMove(_ name: String) {
        let isMoving = policies.policies.contains { $0.name == name && $0.mode == .move }
        guard isMoving, settings.keyPath != nil, !moves.waiting.contains(name) else { return }
        moves.waiting.append(name)
    }

    func wantMoves(of vault: String) {
        for policy in policies.policies where (policy.vault ?? settings.vaultPath) == vault { wantMove(policy.name) }
    }

    private func beginMove(_ name: String) {
        let interrupt = InterruptFlag()
        guard let policy = policies.policies.first(where: { $0.name == name && $0.mode == .move }),
            let place = readingPlace(policy.vault ?? settings.vaultPath, interrupt)
        else { return }
        let clock = clock
        do {
            let thread = try WorkerThread {
                let result = Result { try MoveOriginals.run(policy: name, dryRun: false, at: place, clock: clock) }
                Task { await self.movedOriginals(name, result) }
            }
            moves.going = (name, interrupt, thread)
        } catch {
            movedOriginals(name, .failure(error))
        }
    }

    private func movedOriginals(_ name: String, _ result: Result<MoveReport, any Error>) {
        moves.going?.thread?.join()
        moves.going = nil
        var failure: String?
        var isDamage = false
        var report = MoveReport()
        switch result {
        case .success(let made):
            report = made
            if let first = made.problems.first {
                failure = "\(made.problemCount) originals could not be removed; first \(first.path): \(first.reason)"
            }
        case .failure(let error):
            let kind = (error as? any Failure)?.kind
            // The end of the daemon, or a command that does the same at this moment.
            if kind == .interrupted || kind == .inUse || kind == .tryAgain { return }
            failure = Self.words(error)
            isDamage = kind == .damaged
        }
        noteMove(of: name, failure, isDamage: isDamage)
        guard failure != nil || report.files > 0 || report.settled > 0 else { return }
        recordMove(name, report, failure)
        if let failure {
            tell(.error, "originals of \(name) stay: \(failure)")
        } else {
            let archive = report.archive ?? ""
            tell(.notice, "\(report.files) originals of \(name) were removed; archive \(archive) holds them")
        }
    }
}
