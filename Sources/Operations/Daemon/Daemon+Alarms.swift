import Documents
import Domain
import Synchronization
import Vault

/// What the daemon remembers for the sake of its alarms.
struct AlarmView {
    /// When it looked last, on the clock that only advances.
    var looked: Int64?
    /// Why the scheduler's state cannot be stored.
    var stateProblem: String?
    /// What each run that is going had done when it last did something, and when that was (boot clock).
    var progress: [String: (done: Int, at: Int64)] = [:]
    var knownSince: [String: Int64] = [:]
    /// Why lines of the registers wait.
    var registerProblem: String?
    /// Why what was applied is not in force, or not valid any more.
    var policyFailure: [String] = []
    /// What of the state was found damaged, by its name: at the start, and by what reads it since.
    var stateDamage: [String: String] = [:]
    /// Why the newest document of alarms is not in force.
    var alarmProblem: String?
    /// What cannot be served, and why.
    var unserved: [String: String] = [:]
}

/// An alarm for programs.
package struct AlarmRow: Codable, Sendable {
    package var kind: String
    package var level: String
    package var subject: String
    package var detail: String
    /// RFC 3339, UTC.
    package var since: String
    /// How often it was told.
    package var told: Int
}

package struct AlarmTestRow: Codable, Sendable {
    package var channel: String
    /// Nil when it arrived.
    package var failure: String?
}

/// Whom the daemon tells what is wrong, and when.
extension Daemon {
    /// Microseconds between two looks.
    private static let lookInterval: Int64 = 10_000_000
    /// An end without a word is an outage when it took longer, seconds.
    private static let outageSeconds: Int64 = 180

    /// Where the document is not valid the one before stays.
    func readAlarms(atStart: Bool) throws {
        do {
            alarmDesk.use(try AlarmsDocument.read(path: settings.alarmsPath, waits: false) ?? .none)
            alarmView.alarmProblem = nil
        } catch {
            // Told by what is still in force; where nothing is, `qala alarms` shows it.
            alarmView.alarmProblem = Self.words(error)
            tell(.error, "the alarms of \(settings.alarmsPath) are not in force: \(Self.words(error))")
            if !atStart { throw error }
        }
    }

    /// The process before ended without a word: it was killed, or the machine was.
    func noteOutage() {
        let now = clock.read().wall / 1_000_000
        guard let alive = alarmDesk.lastAlive(), now - alive > Self.outageSeconds else { return }
        let text = "\(TimeText.seconds(alive)) – \(TimeText.seconds(now))"
        alarmDesk.note(.init(Alarm(.outage, TimeText.seconds(now)), text, at: now))
    }

    func noteReport(_ report: SchedulerReport, at now: ClockReading) {
        let kind: Alarm.Kind
        switch report {
        case .clockStepped: kind = .clockStepped
        // Who withdraws a policy wants no run of it.
        case .missed(_, _, _, _, _, .withdrawn): return
        case .missed, .gaveUp, .windowMissed: kind = .missedRuns
        case .interrupted, .ended, .unknownRun: return
        }
        let seconds = now.wall / 1_000_000
        alarmDesk.note(.init(Alarm(kind, TimeText.seconds(seconds)), report.text(in: .english), at: seconds))
    }

    /// Not more often than need be: it is called with every turn of the work loop.
    func lookForAlarms() {
        let now = clock.read()
        if let looked = alarmView.looked, now.boot - looked < Self.lookInterval { return }
        if isWaitingForVolumes { return }
        alarmView.looked = now.boot
        let seconds = now.wall / 1_000_000
        var watch = AlarmWatch()
        alarmView.progress = alarmView.progress.filter { id, _ in going.contains { $0.id == id } }
        watch.policies = policies.policies.map { facts(of: $0, at: now) }
        watch.policyProblems = alarmView.policyFailure + policyProblems
        watch.policyProposal = policyProposal
        watch.stateProblem = alarmView.stateProblem ?? alarmView.registerProblem ?? alarmDesk.storeProblem
        watch.spaces = spaces
        (watch.damage, watch.unverified) = verificationTroubles
        watch.alarmProblem = alarmView.alarmProblem
        watch.unserved = alarmView.unserved
        watch.wal = walView.troubles
        watch.unplanned = unplannedSources
        if let found = volumeView.found {
            (watch.volumesDue, watch.volumes) = (found.policies, found.volumes)
            watch.archivesLost = found.lost
            watch.vaultTime = found.now
            alarmView.stateDamage["volumes"] = found.registerProblem
        }
        watch.stateDamage = alarmView.stateDamage
        watch.isTimeTrusted = isTimeTrusted
        let told = alarmDesk.update(watch, responsible: { [policies] in Self.responsible($0, policies) }, at: seconds)
        for notice in told {
            let severity: DaemonEvent.Severity =
                notice.event == .cleared ? .notice : notice.alarm.kind.level == .critical ? .error : .warning
            tell(severity, "alarm \(notice.event.rawValue): \(notice.alarm.kind.rawValue) \(notice.alarm.subject)")
        }
    }

    /// What is served beside the socket tells whether it can be; `failure` is nil when it is.
    package func note(serving name: String, failure: String?) {
        if let failure, alarmView.unserved[name] == nil { tell(.error, failure) }
        if failure == nil, alarmView.unserved[name] != nil { tell(.notice, "served again: \(name)") }
        alarmView.unserved[name] = failure
    }

    private static func responsible(_ subject: String, _ policies: PolicySet) -> [String] {
        guard let policy = policies.policies.first(where: { $0.name == subject }) else { return [] }
        return [policy.responsiblePerson, policy.deputyPerson].compactMap(\.self).map { person in
            [person.name, person.position, person.phone, person.email].compactMap(\.self).joined(separator: ", ")
        }
    }

    private func facts(of policy: Policy, at now: ClockReading) -> AlarmWatch.PolicyFacts {
        let seconds = now.wall / 1_000_000
        let own = runs.filter { $0.policy == policy.name && $0.state.isOver }
        var facts = AlarmWatch.PolicyFacts(
            name: policy.name, knownSince: knownSince(policy, at: seconds), responsible: policy.responsiblePerson)
        let entry = scheduler.state.entries[policy.name]
        facts.isPaused = (entry?.isPaused ?? false) || entry != nil && scheduler.state.isPaused
        facts.isScheduled = policy.schedule != nil
        facts.hasNext = nextDue(policy) != nil
        facts.rpo = policy.rpo?.seconds
        let streamed = policy.data.filter(\.isStreamed).flatMap { walView.points[$0.feedName] ?? [] }
        facts.logs = streamed.filter { $0.place == .vault }
        facts.unanswered = (entry?.pending.first?.due ?? entry?.running?.due).map { $0 / 1_000_000 }
        facts.term = policy.responsibleTerm
        facts.lastDone = lastSuccess(of: policy, at: now)
        // What was cancelled or interrupted says nothing about whether archiving works.
        if let last = own.last(where: { [.done, .partial, .failed].contains($0.state) }) {
            facts.lastMessage = last.message ?? ""
            switch last.state {
            case .partial: facts.last = .partial
            case .failed: facts.last = .failed(last.failure ?? .failed)
            default: facts.last = .done
            }
        }
        if let one = going.first(where: { $0.policy.name == policy.name }) {
            facts.idleSeconds = idleSeconds(of: one, at: now)
        }
        return facts
    }

    private func idleSeconds(of going: Going, at now: ClockReading) -> Int64 {
        let progress = going.progress
        let done =
            progress.files.load(ordering: .relaxed) &+ progress.bytes.load(ordering: .relaxed)
            &+ progress.stored.load(ordering: .relaxed)
        if let seen = alarmView.progress[going.id], seen.done == done { return (now.boot - seen.at) / 1_000_000 }
        alarmView.progress[going.id] = (done, now.boot)
        return 0
    }

    /// Of the file systems of the state and of the vaults, each once.
    private var spaces: [AlarmWatch.Space] {
        let places = [settings.statePath] + Set(policies.policies.map { $0.vault ?? settings.vaultPath }).sorted()
        var seen: Set<UInt64> = []
        return places.compactMap { place in
            guard let found = self.places.ask(place).place, seen.insert(found.device).inserted else { return nil }
            return AlarmWatch.Space(place: place, free: found.room.available, total: found.room.size)
        }
    }

    package func alarms() -> [AlarmRow] {
        let now = clock.read().wall / 1_000_000
        return alarmDesk.open.filter { $0.hasLasted(at: now) }.map { open in
            AlarmRow(
                kind: open.alarm.kind.rawValue, level: open.alarm.kind.level.rawValue, subject: open.alarm.subject,
                detail: open.detail, since: TimeText.seconds(open.since), told: open.count)
        }
    }

    /// Sends a trial through one channel or all; off the actor, because channels take their time.
    package nonisolated func testAlarms(_ channel: String?) async throws -> [AlarmTestRow] {
        let desk = alarmDesk
        let now = clock.read().wall / 1_000_000
        return try await withCheckedThrowingContinuation { continuation in
            do {
                _ = try WorkerThread {
                    continuation.resume(
                        with: Result {
                            try desk.test(channel, at: now).map {
                                AlarmTestRow(channel: $0.channel, failure: $0.failure)
                            }
                        })
                }
            } catch { continuation.resume(throwing: error) }
        }
    }
}
