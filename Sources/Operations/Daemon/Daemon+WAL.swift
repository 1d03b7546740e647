import Domain

/// What the daemon holds of WAL.
struct WALView {
    /// Nil while no policy has WAL.
    var desk: WALDesk?
    var listener: WALListener?
    /// What was wrong with the WAL of each source at the last look, and when that was.
    var troubles: [String: String] = [:]
    /// Up to when each source could be brought back, as seen at the last look.
    var points: [String: [RecoveryPoint]] = [:]
    var looked: Int64?
    /// When WAL brought a run of each policy last, and how many archives its ledgers told of then.
    var begun: [String: (boot: Int64, archives: Int)] = [:]
}

/// The WAL of the policies in force: taken by threads of its own, archived by runs.
extension Daemon {
    /// Microseconds after the beginning of a run of a policy before WAL brings the next, where nobody waits for the vault, or the run
    /// brought no archive, or failed; and between looks at what is wrong.
    private static let walPause: Int64 = 1_000_000
    private static let walFailurePause: Int64 = 30_000_000
    private static let walLook: Int64 = 10_000_000

    /// After the policies were read.
    func serveWAL() {
        var wanted: [(policy: String, vault: String, source: WALSource)] = []
        for policy in policies.policies {
            for case .wal(let source) in policy.data {
                wanted.append((policy.name, policy.vault ?? settings.vaultPath, source))
            }
        }
        if wanted.isEmpty, walView.desk == nil { return }
        let desk =
            walView.desk
            ?? WALDesk(statePath: settings.statePath, keyPath: settings.keyPath) { [weak self] in
                guard let self else { return }
                Task { await self.archiveDueWAL() }
            }
        walView.desk = desk
        for problem in desk.serve(wanted) { tell(.error, problem) }
        let names = Set(wanted.map(\.source.name))
        walView.troubles = walView.troubles.filter { names.contains($0.key) }
        walView.points = walView.points.filter { names.contains($0.key) }
        guard walView.listener == nil, !wanted.isEmpty, let path = settings.walSocket else { return }
        do {
            walView.listener = try WALListener(desk, path: path)
            note(serving: path, failure: nil)
        } catch { note(serving: path, failure: "WAL cannot be taken at \(path): \(Self.words(error))") }
    }

    /// With every turn of the work loop.
    func archiveWAL() {
        guard let desk = walView.desk, !isStopping else { return }
        archiveDueWAL()
        let reading = clock.read()
        guard walView.looked.map({ reading.boot - $0 >= Self.walLook }) ?? true else { return }
        walView.looked = reading.boot
        for one in desk.served {
            walView.points[one.source.name] = desk.recoveryPoints(one)
            let trouble = desk.trouble(one)
            guard trouble != walView.troubles[one.source.name] else { continue }
            if trouble == nil { tell(.notice, "the WAL of \(one.source.name) is whole again") }
            walView.troubles[one.source.name] = trouble
            if let trouble { tell(.error, trouble) }
            let all = desk.served.filter { $0.policy == one.policy }.compactMap { walView.troubles[$0.source.name] }
            registers?.note(
                all.isEmpty
                    ? .walSound(policy: one.policy)
                    : .wal(policy: one.policy, message: all.joined(separator: "; ")), at: now)
            storeRegisters()
        }
    }

    /// With every turn too, and at once when a push begins to wait for the vault and when a run has ended.
    func archiveDueWAL() {
        guard let desk = walView.desk, !isStopping else { return }
        let reading = clock.read()
        for one in desk.served { archive(one, of: desk, at: reading) }
    }

    /// Starts a run where a policy has nothing but WAL and a batch is due.
    private func archive(_ one: WALDesk.Served, of desk: WALDesk, at reading: ClockReading) {
        guard let policy = policies.policies.first(where: { $0.name == one.policy }), policy.isOfWALAlone,
            scheduler.state.isPaused == false, scheduler.state.entries[policy.name]?.isPaused != true,
            !runs.contains(where: { $0.policy == policy.name && !$0.state.isOver })
        else { return }
        let due = desk.due(one)
        guard due != .no else { return }
        let archives = desk.archives(of: policy.name)
        if let begun = walView.begun[policy.name] {
            let failed = runs.last { $0.policy == policy.name }?.state == .failed
            // Of a run that moved nothing the next would not either.
            let isMoving = due == .atOnce && archives != begun.archives
            let pause = failed ? Self.walFailurePause : isMoving ? 0 : Self.walPause
            if reading.boot - begun.boot < pause { return }
        }
        walView.begun[policy.name] = (reading.boot, archives)
        enqueue(policy.name, .request, by: "wal")
        pump()
    }

    func endWAL() {
        walView.desk?.stop()
        walView.listener?.stop()
        walView.listener = nil
    }
}

extension Policy {
    /// Its runs take nothing else, so that they may come as often as WAL does.
    var isOfWALAlone: Bool {
        let isWAL = data.allSatisfy { $0.kind == .wal }
        return !data.isEmpty && isWAL && sources.isEmpty && logs.isEmpty
    }
}
