import Domain
import Vault

/// Runs: asked for, each on a thread of its own, and what became of each.
extension Daemon {
    @discardableResult
    func enqueue(
        _ policy: String, _ trigger: RunRecord.Trigger, by: String? = nil, due: Int64? = nil, attempt: Int = 1,
        startsAtOnce: Bool = false
    ) -> RunRecord {
        let wall = clock.read().wall
        let time = TimeText.seconds(wall / 1_000_000)
        let stamp = time.filter { $0 != "-" && $0 != ":" }.dropLast()
        var id = ""
        repeat { id = "\(stamp)-\(Random.digest().hex.prefix(6))" } while run(id) != nil
        let run = RunRecord(
            id: id, policy: policy, trigger: trigger, requestedBy: by, due: due, attempt: attempt, asked: time,
            state: .waiting)
        runs.append(run)
        // Else it is recorded when it starts.
        if !startsAtOnce { keep(run) }
        queue.append(id)
        return run
    }

    /// Starts the runs whose turn it is.
    func pump() {
        while !isStopping, let id = nextInQueue {
            queue.removeAll { $0 == id }
            guard var run = run(id) else { continue }
            guard let policy = policies.policies.first(where: { $0.name == run.policy }) else {
                finish(id, .failure(OperationError(.notFound, "the policy \(run.policy) was withdrawn")))
                continue
            }
            run.state = .running
            run.started = now
            change(run)
            if let identity = run.identity { decide(.runStarted(identity)) }
            tell(.info, "started", run)
            recordRun(run)
            launch(id, policy)
        }
    }

    private func launch(_ id: String, _ policy: Policy) {
        var going = Going(id: id, begun: clock.read().boot, lane: policy.lane, policy: policy)
        let workplace = Workplace(
            vaultPath: policy.vault ?? settings.vaultPath, statePath: settings.statePath, progress: going.progress,
            interrupt: going.interrupt)
        let reserveBytes = settings.reserveBytes
        let desk = walView.desk
        let kept = policy.isOfStreamsAlone ? walView.vaults : nil
        do {
            going.thread = try WorkerThread {
                let result = Result {
                    try Reserves(state: workplace.statePath, vault: workplace.vaultPath, bytes: reserveBytes)
                        .guarding { try ArchiveTrees.run(.init(policy: policy), at: workplace, keeping: kept) }
                }
                desk?.tellWaiting()
                Task { await self.ended(id, result) }
            }
            self.going.append(going)
        } catch {
            finish(id, .failure(error))
        }
    }

    private func ended(_ id: String, _ result: Result<ArchiveReport, any Error>) {
        going.first { $0.id == id }?.thread?.join()
        finish(id, result)
        pump()
        archiveDueWAL()
    }

    private func finish(_ id: String, _ result: Result<ArchiveReport, any Error>) {
        let isCancelled = going.contains { $0.id == id && $0.isCancelled }
        let begun = going.first { $0.id == id }?.begun
        going.removeAll { $0.id == id }
        guard var run = run(id) else { return }
        run.ended = now
        var event: Scheduler.Event?
        switch result {
        case .success(let report):
            run.state = report.isPartial ? .partial : .done
            if run.state == .done { successes[run.policy] = begun }
            run.archive = report.archive
            (run.files, run.bytes, run.bytesStored) = (report.files, report.bytes, report.bytesStored)
            run.problems = report.problemCount
            run.message = report.complaint
            event = run.identity.map { .runFinished($0) }
        case .failure(let error):
            noteEnd(of: error)
            let kind = (error as? any Failure)?.kind ?? .failed
            run.message = Self.words(error)
            if kind == .interrupted {
                // The end of the daemon: the scheduler hears of it at the next start.
                run.state = isCancelled ? .cancelled : .interrupted
                if isCancelled { event = run.identity.map { .runCancelled($0) } }
            } else {
                run.state = .failed
                run.failure = kind
                // A refusal may pass: a file system that went read-only, rights that somebody mends.
                let repeats: Set<FailureKind> = [.usage, .badPolicy, .damaged, .wrongKey]
                event = run.identity.map { .runFailed($0, retry: !repeats.contains(kind)) }
            }
        }
        change(run)
        recordRun(run)
        let text = [run.state.rawValue, run.message].compactMap(\.self).joined(separator: ": ")
        tell(run.state == .done ? .info : run.state == .failed ? .error : .warning, text, run)
        prune()
        if run.archive != nil { wantMove(run.policy) }
        if let event { handle(event) }
    }

    /// Of very many runs the newest are kept, and of each policy the last.
    private func prune() {
        guard runs.count > DaemonFolder.keptRuns else { return }
        let last = Set(Dictionary(runs.map { ($0.policy, $0.id) }) { $1 }.values)
        for run in runs.prefix(runs.count - DaemonFolder.keptRuns) where run.state.isOver && !last.contains(run.id) {
            folder.remove(run)
            runs.removeAll { $0.id == run.id }
        }
    }
}
