import Domain

/// What the daemon holds of WAL, and of the other logs of databases that are streamed.
struct WALView {
    /// Nil while no policy has WAL.
    var desk: WALDesk?
    var listener: WALListener?
    /// Nil while no policy has binary logs streamed.
    var binaryLogs: BinaryLogDesk?
    /// What runs of such logs alone leave open for each other.
    let vaults = KeptVaults()
    /// What was wrong with each feed at the last look, and when that was.
    var troubles: [String: String] = [:]
    /// Up to when the source of each feed could be brought back, as seen at the last look.
    var points: [String: [RecoveryPoint]] = [:]
    var looked: Int64?
    /// When WAL brought a run of each policy last, and how many archives its ledgers told of then.
    var begun: [String: (boot: Int64, archives: Int)] = [:]
}

/// The log of a database that comes by itself, from whatever server.
struct LogFeed {
    enum Due { case no, batch, atOnce }

    /// Among all feeds.
    var name: String
    var policy: String
    var title: String
    /// Who asks for the runs that archive it.
    var asker: String
    var due: () -> Due
    /// How many archives the ledgers of its policy tell of.
    var archives: () -> Int
    var trouble: () -> String?
    var points: () -> [RecoveryPoint]
}

extension DataSource {
    /// The name of its feed; WAL goes by the name of its source alone.
    var feedName: String { kind == .wal ? name : "\(kind.rawValue)/\(name)" }
}

/// The WAL of the policies in force: taken by threads of its own, archived by runs.
extension Daemon {
    /// Microseconds after the beginning of a run of a policy before WAL brings the next, where nobody waits for the vault, or the run
    /// brought no archive, or failed; and between looks at what is wrong.
    private static let walPause: Int64 = 1_000_000
    private static let walFailurePause: Int64 = 30_000_000
    private static let longestFollowUpPause: Int64 = 3_600_000_000
    private static let walLook: Int64 = 10_000_000

    /// After the policies were read.
    func serveWAL() {
        var wanted: [(policy: String, vault: String, source: WALSource)] = []
        for policy in policies.policies {
            for case .wal(let source) in policy.data {
                wanted.append((policy.name, policy.vault ?? settings.vaultPath, source))
            }
        }
        serveBinaryLogs()
        let names = Set(policies.policies.flatMap(\.data).filter(\.isStreamed).map(\.feedName))
        walView.troubles = walView.troubles.filter { names.contains($0.key) }
        walView.points = walView.points.filter { names.contains($0.key) }
        if wanted.isEmpty, walView.desk == nil { return }
        let desk =
            walView.desk
            ?? WALDesk(statePath: settings.statePath, keyPath: settings.keyPath) { [weak self] in
                guard let self else { return }
                Task { await self.archiveDueWAL() }
            }
        walView.desk = desk
        for problem in desk.serve(wanted) { tell(.error, problem) }
        guard walView.listener == nil, !wanted.isEmpty, let path = settings.walSocket else { return }
        do {
            walView.listener = try WALListener(desk, path: path)
            note(serving: path, failure: nil)
        } catch { note(serving: path, failure: "WAL cannot be taken at \(path): \(Self.words(error))") }
    }

    private func serveBinaryLogs() {
        var wanted: [(policy: String, vault: String, source: MariaDBSource)] = []
        for policy in policies.policies {
            for case .mariadbLogs(let source) in policy.data where source.replicaID != nil {
                wanted.append((policy.name, policy.vault ?? settings.vaultPath, source))
            }
        }
        if wanted.isEmpty, walView.binaryLogs == nil { return }
        let desk = walView.binaryLogs ?? BinaryLogDesk(statePath: settings.statePath)
        walView.binaryLogs = desk
        for problem in desk.serve(wanted) { tell(.error, problem) }
    }

    private var feeds: [LogFeed] {
        let wal = walView.desk.map { desk in
            desk.served.map { one in
                LogFeed(
                    name: one.source.name, policy: one.policy, title: "the WAL of \(one.source.name)", asker: "wal",
                    due: { desk.due(one) }, archives: { desk.archives(of: one.policy) }, trouble: { desk.trouble(one) },
                    points: { desk.recoveryPoints(one) })
            }
        }
        let binaryLogs = walView.binaryLogs.map { desk in
            desk.served.map { one in
                LogFeed(
                    name: DataSource.mariadbLogs(one.source).feedName, policy: one.policy,
                    title: "the binary log of \(one.source.name)", asker: "binary-logs",
                    due: { one.receiver.isDue ? .batch : .no }, archives: { 0 }, trouble: { desk.trouble(one) },
                    points: { one.receiver.recoveryPoints })
            }
        }
        return (wal ?? []) + (binaryLogs ?? [])
    }

    /// With every turn of the work loop.
    func archiveWAL() {
        walView.vaults.letGo()
        guard !feeds.isEmpty, !isStopping else { return }
        archiveDueWAL()
        let feeds = feeds
        let reading = clock.read()
        guard walView.looked.map({ reading.boot - $0 >= Self.walLook }) ?? true else { return }
        walView.looked = reading.boot
        for feed in feeds {
            walView.points[feed.name] = feed.points()
            let trouble = feed.trouble()
            guard trouble != walView.troubles[feed.name] else { continue }
            if trouble == nil { tell(.notice, "\(feed.title) is whole again") }
            walView.troubles[feed.name] = trouble
            if let trouble { tell(.error, trouble) }
            let all = feeds.filter { $0.policy == feed.policy }.compactMap { walView.troubles[$0.name] }
            registers?.note(
                all.isEmpty
                    ? .walSound(policy: feed.policy)
                    : .wal(policy: feed.policy, message: all.joined(separator: "; ")), at: now)
            storeRegisters()
        }
    }

    /// With every turn too, and at once when a push begins to wait for the vault and when a run has ended.
    func archiveDueWAL() {
        let feeds = feeds
        guard !feeds.isEmpty, !isStopping else { return }
        let reading = clock.read()
        for feed in feeds { archive(feed, at: reading) }
    }

    /// Starts a run where a policy has nothing but such logs and a batch is due.
    private func archive(_ feed: LogFeed, at reading: ClockReading) {
        guard let policy = policies.policies.first(where: { $0.name == feed.policy }), policy.isOfStreamsAlone,
            scheduler.state.isPaused == false, scheduler.state.entries[policy.name]?.isPaused != true,
            !runs.contains(where: { $0.policy == policy.name && !$0.state.isOver })
        else { return }
        let due = feed.due()
        let last = runs.last { $0.policy == policy.name }?.state
        // What a run told once, such as a gap, is over when the next one does not find it; to an idle source nothing else would bring one.
        let isFollowUp = due == .no && last == .partial
        guard due != .no || isFollowUp else { return }
        let archives = feed.archives()
        if let begun = walView.begun[policy.name] {
            // Of a run that moved nothing the next would not either.
            let isMoving = due == .atOnce && archives != begun.archives
            var pause = last == .failed ? Self.walFailurePause : isMoving ? 0 : Self.walPause
            if isFollowUp {
                let streak = runs.filter { $0.policy == policy.name }.reversed().prefix { $0.state == .partial }.count
                pause = min(Self.longestFollowUpPause, Self.walFailurePause << Int64(min(streak, 8) - 1))
            }
            if reading.boot - begun.boot < pause { return }
        }
        walView.begun[policy.name] = (reading.boot, archives)
        enqueue(policy.name, .request, by: feed.asker, startsAtOnce: queue.isEmpty && mayBegin(policy))
        pump()
    }

    func endWAL() {
        walView.binaryLogs?.stop()
        walView.desk?.stop()
        walView.listener?.stop()
        walView.listener = nil
        walView.vaults.letGoOfAll()
    }
}
