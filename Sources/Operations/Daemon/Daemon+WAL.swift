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
    /// When WAL brought a run of each policy last.
    var begun: [String: Int64] = [:]
}

/// The WAL of the policies in force: taken by threads of its own, archived by runs.
extension Daemon {
    /// Microseconds after a run of a policy before WAL brings the next, whatever became of it; and between looks at what is
    /// wrong.
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
        let desk = walView.desk ?? WALDesk(statePath: settings.statePath, keyPath: settings.keyPath)
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
        let reading = clock.read()
        for one in desk.served { archive(one, of: desk, at: reading) }
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

    /// Starts a run where a policy has nothing but WAL and a batch is due.
    private func archive(_ one: WALDesk.Served, of desk: WALDesk, at reading: ClockReading) {
        guard let policy = policies.policies.first(where: { $0.name == one.policy }), policy.isOfWALAlone,
            scheduler.state.isPaused == false, scheduler.state.entries[policy.name]?.isPaused != true,
            !runs.contains(where: { $0.policy == policy.name && !$0.state.isOver })
        else { return }
        let failed = runs.last { $0.policy == policy.name }?.state == .failed
        let pause = failed ? Self.walFailurePause : Self.walPause
        if let begun = walView.begun[policy.name], reading.boot - begun < pause { return }
        guard desk.isDue(one) else { return }
        walView.begun[policy.name] = reading.boot
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
