import Domain
import Synchronization
import Vault

/// Executes policies on time: the one that drives the ``Scheduler``, keeps what it promised, and runs what is due.
///
/// Invariants:
/// 1. What the scheduler decided is stored before it is carried out; a run is stored before it starts and when it ends.
/// 2. In each of its two lanes one run is going at a time; the others wait in the order in which they were asked for. Never are two
///    going of one policy, or of one source; see ``Lane``.
/// 3. In force is the newest applied version, as a whole; the folder is a proposal that nothing follows by itself.
/// 4. A run needs the writing keys of this host alone. Only a verification and the removal of originals open archives, where
///    the host was given a key.
/// 5. After ``stop()`` no run, no verification and no removal starts, those that are going end soon, and the work loop turns
///    until they have; the next start resumes the run.
package actor Daemon {
    package struct Settings: Sendable {
        /// The host state, in which the daemon has a folder of its own.
        package var statePath: String
        package var policyFolder: String
        /// For policies that name none.
        package var vaultPath: String
        package var version: String
        /// The document that says where alarms go.
        package var alarmsPath: String
        /// A key file, where this host may read: then content is verified too.
        package var keyPath: String?
        /// Size of the reserve for a full disk; 0 for none.
        package var reserveBytes: Int
        /// Where programs of PostgreSQL hand over WAL; nil for nowhere.
        package var walSocket: String?
        /// Where it looks which sources the host has; nil for nowhere.
        package var discovery: DiscoverySettings?

        package static let usualReserveBytes = Reserve.usualBytes

        package init(
            statePath: String, policyFolder: String, vaultPath: String, version: String,
            alarmsPath: String = "/etc/qala/alarms.yaml", keyPath: String? = nil,
            reserveBytes: Int = Settings.usualReserveBytes, walSocket: String? = nil
        ) {
            self.statePath = statePath
            self.policyFolder = policyFolder
            self.vaultPath = vaultPath
            self.version = version
            self.alarmsPath = alarmsPath
            self.keyPath = keyPath
            self.reserveBytes = reserveBytes
            self.walSocket = walSocket
        }
    }

    struct Going {
        var id: String
        /// On the clock that only advances, microseconds.
        var begun: Int64
        var lane: Lane
        /// As it was when the run began.
        var policy: Policy
        var progress = Progress()
        var interrupt = InterruptFlag()
        /// By a person, not by the end of the daemon.
        var isCancelled = false
        var thread: WorkerThread?
    }

    /// Microseconds after which the scheduler's state is stored although nothing happened.
    private static let longestUnstored: Int64 = 60_000_000
    private static let longestSleep = 1.0
    private static let stoppingSleep = 0.1
    private static let keptEvents = 1000

    let settings: Settings
    let clock: DaemonClock
    let folder: DaemonFolder
    let notifier: ServiceNotifier
    private let emit: @Sendable (DaemonEvent) -> Void
    let startedAt: String
    var scheduler: Scheduler
    private var storedAt: Int64?
    /// It was told that the state cannot be stored.
    private var isUnstorable = false
    private var wake: (wall: Int64?, boot: Int64?) = (nil, nil)
    var policies = PolicySet.empty
    var policyProblems: [String] = []
    /// The folder holds another set, which could be applied.
    var folderDiffers = false
    /// The applied version that `policies` is.
    var inForce: (number: Int, digest: Digest)?
    /// When the folder was last compared with it, as boot time.
    var folderCheckedAt: Int64?
    /// Oldest first.
    var runs: [RunRecord] = []
    var queue: [String] = []
    /// By policy, when its last run that was done began, on the clock that only advances; of this process alone.
    var successes: [String: Int64] = [:]
    /// At most one of each lane, in the order in which they began.
    var going: [Going] = []
    var isStopping = false
    let alarmDesk: AlarmDesk
    var alarmView = AlarmView()
    var volumeView = VolumeView()
    /// When vault time was advanced last, on the clock that only advances.
    var advanced: Int64?
    var isTimeTrusted = true
    var verifications = VerificationBook()
    var verifying: Verifying?
    var moves = MoveDesk()
    var keyView = KeyView()
    var lossView = LossView()
    var events: [DaemonEvent] = []
    /// Readings for persons that are going, and what ends them.
    var readings = 0
    let readingInterrupt = InterruptFlag()
    /// When an account was last refused a right, as boot time.
    var refusals: [String: Int64] = [:]
    let audit: AuditKeeper
    /// Nil until they are opened, and where they cannot be.
    var registers: DaemonRegisters?
    var beats = Beats()
    var reserveView = ReserveView()
    let places: PlaceProbe
    var walView = WALView()
    var discoveryView = DiscoveryView()

    /// Takes the state directory, reads what was left there, and makes the first decisions. It throws when another
    /// daemon has the directory, when nothing was applied and the folder holds no valid set, or when what was applied
    /// is damaged.
    package static func start(
        _ settings: Settings, clock: DaemonClock = .ofMachine(), notifier: ServiceNotifier,
        places: PlaceProbe = PlaceProbe(), emit: @escaping @Sendable (DaemonEvent) -> Void
    ) async throws -> Daemon {
        let daemon = try Daemon(settings, clock, notifier, places, emit)
        do { try await daemon.boot() } catch {
            await daemon.endAudit(failing: error)
            throw error
        }
        return daemon
    }

    private init(
        _ settings: Settings, _ clock: DaemonClock, _ notifier: ServiceNotifier, _ places: PlaceProbe,
        _ emit: @escaping @Sendable (DaemonEvent) -> Void
    ) throws {
        self.settings = settings
        self.clock = clock
        self.notifier = notifier
        self.places = places
        self.emit = emit
        folder = try DaemonFolder(state: settings.statePath)
        audit = AuditKeeper(state: settings.statePath)
        scheduler = Scheduler()
        alarmDesk = AlarmDesk(path: settings.statePath + "/daemon/alarms.json")
        startedAt = TimeText.seconds(clock.read().wall / 1_000_000)
    }

    private func boot() throws {
        keepReserve()
        try beginAudit()
        let found = try folder.loadRuns()
        runs = inOrder(found.runs)
        for problem in found.problems { tell(.error, problem) }
        openRegisters(damaged: found.problems)
        var isKnown = false
        do {
            if let state = try folder.loadScheduler() {
                scheduler = Scheduler(state)
                isKnown = true
            }
        } catch { noteDamage("scheduler.json", error) }
        noteLoss(ofScheduler: !isKnown)
        do { try readPolicies(atStart: true) } catch {
            endRegisters()
            throw error
        }
        try readAlarms(atStart: true)
        tellLoss()
        noteOutage()
        do { verifications = try folder.loadVerifications() ?? VerificationBook() } catch {
            noteDamage("verifications.json", error)
        }
        do { try readSourceBook() } catch { noteDamage(SourceBook.fileName, error) }
        let finished = settleOldRuns()
        tell(.notice, "started with \(policies.policies.count) policies of version \(inForce?.number ?? 0)")
        handle(.booted(bootID: clock.bootID, plans: plans(), finished: finished))
    }

    /// A file that is begun anew: the alarm lasts until the next start finds it sound.
    func noteDamage(_ file: String, _ error: any Error) {
        tell(.error, Self.words(error))
        alarmView.stateDamage[file] = Self.words(error)
    }

    // MARK: The work loop

    /// Works until ``stop()``, and then until what is going has ended. Nothing in it waits for a thread that works.
    package func serve() async {
        let feeding = notifier.watchdogSeconds.map { $0 / 3 } ?? Self.longestSleep
        while !isStopping || !going.isEmpty || verifying != nil || moves.going != nil {
            let rest = turn()
            let longest = isStopping ? Self.stoppingSleep : Self.longestSleep
            let nanoseconds = UInt64(max(0.01, min(longest, feeding, rest)) * 1e9)
            // Apart from this task, which may be cancelled while the run that is going is waited for.
            await Task.detached { try? await Task.sleep(nanoseconds: nanoseconds) }.value
        }
        decide(.stopped)
        endWAL()
        endVolumes()
        endKeyTrial()
        endRestoring()
        endDiscovery()
        alarmDesk.stop()
        endRegisters()
        endAudit()
        tell(.notice, "stopped")
        folder.release()
    }

    /// One turn of the work loop, which waits for nothing; returns in how many seconds something is due.
    func turn() -> Double {
        if !isStopping { handle(.tick) }
        tellAudit()
        beat()
        notifier.send("WATCHDOG=1", statusLine)
        lookAtVolumes()
        lookForSources()
        lookForAlarms()
        keepReserve()
        advanceVaultTime()
        restoreWhatWasLost()
        tryKeyWhenDue()
        verifyWhatIsDue()
        moveWhatIsDue()
        archiveWAL()
        return lossView.isWriting ? 0 : untilWake
    }

    package func stop() {
        guard !isStopping else { return }
        isStopping = true
        notifier.send("STOPPING=1")
        for one in going { one.interrupt.set() }
        // It is begun anew after the next start.
        verifying?.interrupt.set()
        moves.going?.interrupt.set()
        readingInterrupt.set()
    }

    private var untilWake: Double {
        let now = clock.read()
        let waits = [wake.wall.map { $0 - now.wall }, wake.boot.map { $0 - now.boot }].compactMap(\.self)
        return waits.min().map { Double(max(0, $0)) / 1e6 } ?? Self.longestSleep
    }

    var statusLine: String {
        if !going.isEmpty {
            return "STATUS=running \(going.map(\.policy.name).joined(separator: ", ")), \(queue.count) waiting"
        }
        guard let wall = wake.wall else { return "STATUS=idle" }
        return "STATUS=idle until \(TimeText.seconds(wall / 1_000_000))"
    }

    // MARK: Decisions

    func handle(_ event: Scheduler.Event) {
        decide(event)
        pump()
    }

    /// Every event may bring a start, whatever it was about.
    func decide(_ event: Scheduler.Event) {
        let now = clock.read()
        let actions = scheduler.handle(event, at: now)
        let isQuiet = actions.allSatisfy { if case .wake = $0 { true } else { false } }
        var isTick = false
        if case .tick = event { isTick = true }
        let isOld = storedAt.map { now.boot - $0 >= Self.longestUnstored } ?? true
        // What could not be stored is tried with every turn: that ends its alarm soon after it can.
        if !isTick || !isQuiet || isOld || isUnstorable { store(at: now) }
        for action in actions {
            switch action {
            case .start(let run): enqueue(run.policy, .schedule, due: run.due, attempt: run.attempt)
            case .report(let report):
                tell(.warning, report.text(in: .english))
                noteReport(report, at: now)
                note(report)
            case .wake(let wall, let boot): wake = (wall, boot)
            }
        }
    }

    /// A state that cannot be stored is no reason not to archive: at worst a run is repeated after a crash.
    private func store(at now: ClockReading) {
        do {
            try writing { try folder.save(scheduler.state) }
            storedAt = now.boot
            isUnstorable = false
            alarmView.stateProblem = nil
        } catch {
            if !isUnstorable { tell(.error, "the scheduler's state cannot be stored: \(Self.words(error))") }
            isUnstorable = true
            alarmView.stateProblem = Self.words(error)
        }
    }

    // MARK: Records

    func run(_ id: String) -> RunRecord? { runs.last { $0.id == id } }

    func change(_ run: RunRecord) {
        if let at = runs.lastIndex(where: { $0.id == run.id }) { runs[at] = run }
        keep(run)
        note(run)
    }

    func keep(_ run: RunRecord) {
        do { try writing { try folder.save(run) } } catch {
            tell(.error, "the run cannot be recorded: \(Self.words(error))", run)
        }
    }

    var now: String { TimeText.seconds(clock.read().wall / 1_000_000) }

    static func words(_ error: any Error) -> String {
        guard let failure = error as? any Failure else { return "\(error)" }
        return failure.hint.isEmpty ? failure.message : "\(failure.message). \(failure.hint)"
    }

    func tell(_ severity: DaemonEvent.Severity, _ message: String, _ run: RunRecord? = nil) {
        let event = DaemonEvent(
            time: now, severity: severity, policy: run?.policy, run: run?.id, message: message)
        events.append(event)
        if events.count > Self.keptEvents { events.removeFirst(events.count - Self.keptEvents) }
        emit(event)
    }
}
