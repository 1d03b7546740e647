import Domain
import Vault

/// What of the daemon's state a start found missing. It is kept until everything that the vaults tell is restored.
struct StateLoss: Codable, Sendable, Equatable {
    static let fileName = "lost.json"

    /// RFC 3339: the start that found it.
    var found: String
    /// What was due while nobody remembered is not known.
    var isSchedulerLost: Bool
    var areRegistersLost: Bool
    /// That a daemon worked here before is told by what is left. Else it may be the first one, and only archives tell.
    var isCertain: Bool

    /// A loss that an earlier start noted and did not get to the end of. What is lost after it must not hide behind it: the
    /// first start of all notes one too, as a daemon may have worked here before.
    mutating func add(_ earlier: StateLoss) {
        isSchedulerLost = isSchedulerLost || earlier.isSchedulerLost
        areRegistersLost = areRegistersLost || earlier.areRegistersLost
        isCertain = isCertain || earlier.isCertain
    }

    /// What was done about it and what cannot be; nil `runs`: nothing was looked for yet.
    func text(restoring runs: Int?, unread: Int = 0, in language: Language) -> String {
        let places = (isSchedulerLost ? ["daemon/"] : []) + (areRegistersLost ? ["registers/"] : [])
        let place: String
        var gone: [String] = []
        switch language {
        case .english:
            place = places.joined(separator: " and ")
            if areRegistersLost {
                gone = ["open problems and their remarks", "the register of availability", "runs without an archive"]
            }
            if isSchedulerLost { gone += ["pauses", "when vaults were verified"] }
            let lost =
                "the daemon's state (\(place)) was lost, in part or whole; what cannot come back: "
                + gone.joined(separator: ", ")
            guard let runs else { return lost + ". What the vaults tell is looked for" }
            let silent = unread == 0 ? "" : "; archives that say nothing of themselves without a key: \(unread)"
            return lost + ". Runs added again from the logs of the vaults: \(runs)\(silent)"
        case .azerbaijani:
            place = places.joined(separator: " və ")
            if areRegistersLost {
                gone = ["açıq problemlər və onlara qeydlər", "dayanma halları reyestri", "arxiv yaratmayan icralar"]
            }
            if isSchedulerLost { gone += ["dayandırma qərarları", "anbarların yoxlanma vaxtları"] }
            let lost =
                "xidmətin vəziyyəti (\(place)) tam və ya qismən itirilib; bərpa oluna bilməyənlər: "
                + gone.joined(separator: ", ")
            guard let runs else { return lost + ". Anbarlardakı məlumat axtarılır" }
            let silent = unread == 0 ? "" : "; açarsız özü haqqında məlumat verməyən arxivlər: \(unread)"
            return lost + ". Anbarların jurnalından yenidən əlavə edilmiş icralar: \(runs)\(silent)"
        }
    }
}

/// A folder that this start applied as version 1, which needs no second person: nothing was in force that it could weaken.
/// Where there was something once, that is told.
struct FirstVersion: Sendable, Equatable {
    /// The version that the audit log tells was in force here.
    var former: Int?

    /// Nil where nothing tells that policies were in force before.
    func text(in language: Language) -> String? {
        guard let former else { return nil }
        let isEnglish = language == .english
        let why =
            isEnglish
            ? "the audit log tells that version \(former) was in force"
            : "audit jurnalına görə əvvəl \(former)-ci versiya qüvvədə olub"
        return isEnglish
            ? "the folder was applied as version 1 of the policies without a second person; \(why). "
                + "Compare it with an archive of policies/ in the state"
            : "qovluq siyasətlərin 1-ci versiyası kimi ikinci şəxsin təsdiqi olmadan tətbiq edilib; \(why). "
                + "Onu vəziyyət qovluğundakı policies/ arxivi ilə tutuşdurun"
    }
}

/// What the daemon does about a loss.
struct LossView {
    var loss: StateLoss?
    var thread: WorkerThread?
    /// When the vaults are looked at next, on the clock that only advances; nil when nothing more is to be found there.
    var next: Int64? = 0
    var failures = 0
    /// Why a vault could not be looked into, as it was told last.
    var told = ""
    var restored = 0
    /// Nil where this start applied no folder.
    var firstVersion: FirstVersion?
    /// Runs whose record, and whose line in the register, is still to be written: some with each turn.
    var records: [RunRecord] = []
    var lines: [RunRecord] = []

    var isWriting: Bool { !records.isEmpty || !lines.isEmpty }
}

/// What the vaults tell of runs of this host that its register lacks.
struct FoundRuns: Sendable {
    /// Oldest first.
    var runs: [RunRecord]
    var missing: [VaultMissing]
    var unread: Int

    static func look(at workplace: Workplace) throws -> FoundRuns {
        let (lacking, report) = try ReconcileRegisters.lacking(at: workplace)
        let runs = ReconcileRepair.runs(lacking, by: "a start of the daemon that found its state lost")
        return FoundRuns(runs: runs, missing: report.missing, unread: report.unread)
    }
}

/// A state that was lost is restored from what is left of it and from the vaults, beside the daemon's work: no vault that is
/// not there holds up a start.
///
/// Invariants:
/// 1. A loss is stored before anything is done about it, and forgotten when what was found is stored: killed anywhere, the next
///    start goes on.
/// 2. Nothing is told to the register of problems of a run that was made before: what it answered may have come back since.
extension Daemon {
    /// So many records or lines are written with one turn of the work loop.
    private static let slice = 20

    /// At a start, after the registers were opened: notes what is missing, and takes back what the register of runs tells.
    func noteLoss(ofScheduler isSchedulerLost: Bool) {
        guard let registers else { return }
        do { lossView.loss = try folder.loadLoss() } catch { noteDamage(StateLoss.fileName, error) }
        let hasRuns = !registers.knownRuns.isEmpty
        if isSchedulerLost || registers.isNew || hasRuns && runs.isEmpty {
            let isFile = alarmView.stateDamage["scheduler.json"] != nil
            var loss = StateLoss(
                found: now, isSchedulerLost: isSchedulerLost, areRegistersLost: registers.isNew,
                isCertain: isSchedulerLost ? hasRuns && !isFile : true)
            if let earlier = lossView.loss { loss.add(earlier) }
            do { try writing { try folder.save(loss) } } catch {
                tell(.error, "what was lost of the state cannot be noted: \(Self.words(error))")
            }
            lossView.loss = loss
        }
        do {
            let known = Set(runs.map(\.id))
            let stored = try registers.storedRuns().filter { !known.contains($0.id) }
            takeBack(stored.suffix(max(0, DaemonFolder.keptRuns - runs.count)))
        } catch { tell(.error, "the runs cannot be read from their register: \(Self.words(error))") }
    }

    /// At a start, when it is known in which language alarms are told.
    func tellLoss() {
        if lossView.loss?.isCertain == true { announceLoss(restoring: nil) }
        tellFirstVersion()
    }

    private func tellFirstVersion() {
        guard let text = lossView.firstVersion?.text(in: .english) else { return }
        tell(.warning, text)
        alarmView.stateDamage["policies"] = lossView.firstVersion?.text(in: alarmDesk.language)
        registers?.note(ProblemLedger.Event.damaged(message: text), at: now)
        storeRegisters()
    }

    private func takeBack(_ found: some Sequence<RunRecord>) {
        let found = Array(found)
        lossView.records += found
        runs = inOrder((runs + found).sorted { $0.id < $1.id })
    }

    /// With every turn of the work loop; the look itself is another thread's.
    func restoreWhatWasLost() {
        guard lossView.loss != nil, !isStopping else { return }
        writeRestored()
        guard lossView.thread == nil, let next = lossView.next, clock.read().boot >= next else { return }
        lossView.next = nil
        let keyless = Workplace(
            vaultPath: settings.vaultPath, statePath: settings.statePath, interrupt: readingInterrupt)
        let place = readingPlace(settings.vaultPath, readingInterrupt) ?? keyless
        do {
            lossView.thread = try WorkerThread {
                let result = Result { try FoundRuns.look(at: place) }
                Task { await self.found(result) }
            }
        } catch { found(.failure(error)) }
    }

    private func writeRestored() {
        for run in lossView.records.prefix(Self.slice) { keep(run) }
        lossView.records.removeFirst(min(Self.slice, lossView.records.count))
        if let registers, !lossView.lines.isEmpty {
            for run in lossView.lines.prefix(Self.slice) { registers.putLine(of: run) }
            lossView.lines.removeFirst(min(Self.slice, lossView.lines.count))
            storeRegisters()
        }
        guard lossView.thread == nil, lossView.next == nil, !lossView.isWriting, alarmView.registerProblem == nil else {
            return
        }
        folder.forgetLoss()
        lossView.loss = nil
    }

    private func found(_ result: Result<FoundRuns, any Error>) {
        lossView.thread?.join()
        lossView.thread = nil
        guard !isStopping else { return }
        var missing: [String] = []
        switch result {
        case .success(let found):
            take(found)
            let wanted = Set(policies.policies.map { $0.vault ?? settings.vaultPath })
            missing = found.missing.filter { wanted.contains($0.vault) }.map { "\($0.vault): \($0.reason)" }
        case .failure(let error): missing = [Self.words(error)]
        }
        guard let first = missing.first else { return }
        lossView.failures += 1
        lossView.next = clock.read().boot + RetryWait.seconds(after: lossView.failures) * 1_000_000
        if lossView.told != first {
            tell(.warning, "which runs were made before this daemon had its state cannot be looked up yet: \(first)")
        }
        lossView.told = first
    }

    private func take(_ found: FoundRuns) {
        guard let loss = lossView.loss, let registers else { return }
        let known = Set(runs.map(\.id)).union(registers.knownRuns)
        let new = found.runs.filter { !known.contains($0.id) }
        registers.know(new)
        lossView.lines += new
        takeBack(new.suffix(DaemonFolder.keptRuns))
        lossView.restored += new.count
        if !new.isEmpty || loss.isCertain {
            announceLoss(restoring: lossView.restored, unread: found.unread)
            recordRestored(new.count, unread: found.unread)
        }
        if loss.isSchedulerLost { recall(new) }
    }

    /// What was due since the last run of a policy is due now.
    private func recall(_ found: [RunRecord]) {
        let now = clock.read().wall / 1_000_000
        var last: [String: Int64] = [:]
        for run in found where !isAhead(run, of: now) {
            guard let time = RunFacts(run.registerFields).time else { continue }
            last[run.policy] = max(last[run.policy] ?? 0, min(time, now))
        }
        for (policy, time) in last.sorted(by: { $0.key < $1.key }) {
            handle(.recalled(policy: policy, at: time * 1_000_000))
        }
    }

    /// An alarm until the next start, and a problem.
    private func announceLoss(restoring runs: Int?, unread: Int = 0) {
        guard let loss = lossView.loss else { return }
        let text = loss.text(restoring: runs, unread: unread, in: .english)
        tell(.warning, text)
        alarmView.stateDamage["daemon"] = loss.text(restoring: runs, unread: unread, in: alarmDesk.language)
        registers?.note(ProblemLedger.Event.damaged(message: text), at: now)
        storeRegisters()
    }

    func endRestoring() {
        lossView.thread?.join()
        lossView.thread = nil
    }
}
