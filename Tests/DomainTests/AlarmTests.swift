import Testing

@testable import Domain

@Suite("Alarms")
struct AlarmTests {
    private static let start: Int64 = 1_800_000_000
    private static let hour: Int64 = 3600
    private static let day: Int64 = 86_400

    private static func policy(_ change: (inout AlarmWatch.PolicyFacts) -> Void = { _ in }) -> AlarmWatch.PolicyFacts {
        var facts = AlarmWatch.PolicyFacts(
            name: "db", knownSince: start - 100 * day, responsible: Person(name: "Aygün Əliyeva"))
        facts.isScheduled = true
        facts.hasNext = true
        facts.rpo = day
        facts.last = .done
        facts.lastDone = start - hour
        change(&facts)
        return facts
    }

    private static func watch(_ change: (inout AlarmWatch) -> Void = { _ in }) -> AlarmWatch {
        var watch = AlarmWatch()
        watch.policies = [policy()]
        watch.spaces = [AlarmWatch.Space(place: "/var", free: 100 << 30, total: 200 << 30)]
        change(&watch)
        return watch
    }

    private static func failed(_ kind: FailureKind) -> AlarmWatch {
        watch { $0.policies = [policy { $0.last = .failed(kind) }] }
    }

    /// Faults, the alarm that each must raise, and after how many seconds it is told at the latest.
    private static var faults: [(fault: String, watch: AlarmWatch, kind: Alarm.Kind, within: Int64)] {
        let yesterday = CivilDay(secondsSince1970: start - day)
        let soon = CivilDay(secondsSince1970: start + 5 * day)
        func person(until day: CivilDay) -> Person {
            Person(name: "A", validity: Validity(from: nil, until: day))
        }
        func event(_ kind: Alarm.Kind) -> AlarmWatch {
            watch { $0.events = [.init(Alarm(kind, "2027-01-15T08:00:00Z"), "", at: start)] }
        }
        return [
            ("a source vanished", failed(.failed), .failed, 0),
            ("a hook fails", failed(.failed), .failed, 0),
            ("the vault's disk is full", failed(.failed), .failed, 0),
            ("the vault is not mounted", failed(.noVault), .noVault, 0),
            ("the host's key was revoked", failed(.denied), .denied, 0),
            ("the log of the vault was cut", failed(.damaged), .damaged, 0),
            ("files cannot be read", watch { $0.policies = [policy { $0.last = .partial }] }, .partial, 0),
            (
                "archives are partial for too long",
                watch {
                    let late = start - 2 * day
                    $0.policies = [policy { ($0.last, $0.lastDone) = (.partial, late) }]
                }, .overdue, 0
            ),
            (
                "nothing was archived within the RPO",
                watch { $0.policies = [policy { $0.lastDone = start - day - 1 }] }, .overdue, 0
            ),
            (
                "what was archived last lies years ahead, as a clock that was wrong told",
                watch { $0.policies = [policy { $0.lastDone = start + 3650 * day }] }, .overdue, 0
            ),
            ("nothing was ever archived", watch { $0.policies = [policy { $0.lastDone = nil }] }, .overdue, 0),
            (
                "a due run is not answered",
                watch { $0.policies = [policy { ($0.rpo, $0.unanswered) = (nil, start - day - 1) }] }, .overdue, 0
            ),
            (
                "no beat of a cluster is in the vault within the RPO",
                watch {
                    let log = RecoveryPoint(
                        .wal, "main", in: .vault, time: start - day - 1, measuredSince: start - 2 * day)
                    $0.policies = [policy { ($0.isScheduled, $0.logs) = (false, [log]) }]
                }, .overdue, 0
            ),
            ("a run hangs", watch { $0.policies = [policy { $0.idleSeconds = 3600 }] }, .stuck, 0),
            ("a policy stays paused", watch { $0.policies = [policy { $0.isPaused = true }] }, .paused, day),
            (
                "the archivist left",
                watch { $0.policies = [policy { $0.responsible = person(until: yesterday) }] }, .nobodyInOffice, 0
            ),
            (
                "a term runs out",
                watch { $0.policies = [policy { $0.responsible = person(until: soon) }] }, .termEnds, 0
            ),
            ("a schedule has ended", watch { $0.policies = [policy { $0.hasNext = false }] }, .scheduleEnded, 0),
            (
                "archives are due on volumes in a week",
                watch { $0.volumesDue = [.init(policy: "db", instants: [start + 7 * day])] }, .volumesDue, 0
            ),
            (
                "archives should be on volumes for two days",
                watch { $0.volumesDue = [.init(policy: "db", instants: [start - 2 * day, start + day])] },
                .volumesOverdue, 0
            ),
            (
                "a volume was not verified again",
                watch { $0.volumes = [.init(id: "3fa9", place: "2026, B-12", verifyBy: start)] }, .volumeUnverified, 0
            ),
            (
                "archives are on a lost volume only", watch { $0.archivesLost = ["db": "2; 3fa91c0277be4d10"] },
                .archivesLost, 0
            ),
            ("a policy is invalid", watch { $0.policyProblems = ["db.yaml:3:1: unknown key"] }, .policiesNotInForce, 0),
            (
                "a folder of policies is not applied for a day",
                watch { $0.policyProposal = "the folder differs" }, .policiesProposed, day
            ),
            ("the state is read-only", watch { $0.stateProblem = "read-only" }, .stateNotKept, 0),
            ("a disk fills", watch { $0.spaces[0].free = 1 << 30 }, .lowSpace, 0),
            ("mail is down", watch { $0.undelivered = ["mail": "refused"] }, .undelivered, 0),
            ("vault time is damaged", watch { $0.stateDamage = ["clock.json": "damaged"] }, .stateDamaged, 0),
            ("a vault cannot be verified", watch { $0.unverified = ["/vault": "no key"] }, .notVerified, 0),
            ("alarms.yaml is invalid", watch { $0.alarmProblem = "alarms.yaml:1:1" }, .alarmsNotInForce, 0),
            ("the metrics' address is taken", watch { $0.unserved = ["metrics": "taken"] }, .notServed, 0),
            ("a segment of WAL is missing", watch { $0.wal = ["main": "a gap"] }, .walNotWhole, 0),
            (
                "nobody planned a database",
                watch { $0.unplanned = [.init(.sqlite, "/srv/new.db"): "4 KiB"] }, .unplannedSource, 0
            ),
            ("ten years passed over a restart", watch { $0.isTimeTrusted = false }, .timeNotTrusted, 0),
            ("the clock jumps", event(.clockStepped), .clockStepped, 0),
            ("the machine crashed", event(.outage), .outage, 0),
            ("runs were missed", event(.missedRuns), .missedRuns, 0),
            ("a server was upgraded", event(.sourceChanged), .sourceChanged, 0),
        ]
    }

    @Test("Every fault raises its alarm within its time, and what lasts is told to be over when it is")
    func injected() {
        for (fault, watch, kind, within) in Self.faults {
            var book = AlarmBook()
            #expect(book.update(Self.watch().alarms(at: Self.start), at: Self.start).isEmpty)
            let begin = Self.start + 10
            var told: Int64?
            for time in stride(from: begin, through: begin + within, by: 600) where told == nil {
                let notices = book.update(watch.alarms(at: Self.start), at: time)
                if notices.contains(where: { $0.alarm.kind == kind && $0.event == .raised }) { told = time }
            }
            #expect(told.map { $0 - begin <= within } == true, "\(fault)")
            #expect(within == 0 || told == begin + within, "\(fault) was told too early")
            var young = AlarmBook()
            _ = young.update(watch.alarms(at: Self.start), at: begin)
            let isListed = young.open.first(where: { $0.alarm.kind == kind })?.hasLasted(at: begin)
            #expect(isListed == (within == 0), "\(fault)")
            let after = book.update(Self.watch().alarms(at: Self.start), at: begin + within + 10)
            #expect(after.contains { $0.event == .cleared && $0.alarm.kind == kind } == !kind.isEvent, "\(fault)")
            #expect(book.open.isEmpty)
        }
    }

    @Test("A clean week raises nothing")
    func clean() {
        var book = AlarmBook()
        for time in stride(from: Self.start, to: Self.start + 7 * Self.day, by: 10) {
            let last = time - time % (6 * Self.hour) - 600
            let watch = Self.watch { $0.policies = [Self.policy { $0.lastDone = last }] }
            #expect(book.update(watch.alarms(at: time), at: time).isEmpty)
        }
    }

    @Test("Overdue is louder than failed: it is told every hour, a failure every day, a notice never again")
    func loudness() {
        #expect(Alarm.Kind.overdue.level > Alarm.Kind.failed.level)
        #expect(Alarm.Kind.failed.level > Alarm.Kind.partial.level)
        var book = AlarmBook()
        var counts: [Alarm.Kind: Int] = [:]
        let current = [Alarm(.overdue, "a"): "", Alarm(.failed, "a"): "", Alarm(.partial, "b"): ""]
        for time in stride(from: Self.start, to: Self.start + 2 * Self.day, by: 10) {
            for notice in book.update(current, at: time) { counts[notice.alarm.kind, default: 0] += 1 }
        }
        #expect(counts == [.overdue: 48, .failed: 2, .partial: 1])
    }

    @Test("What comes and goes is told once in ten minutes at most, and what then stays is told")
    func flapping() {
        var book = AlarmBook()
        let alarm = Alarm(.failed, "a")
        var raised: [Int64] = []
        var cleared = 0
        for time in stride(from: Self.start, to: Self.start + 3600, by: 10) {
            let isThere = time >= Self.start + 1800 || time / 10 % 2 == 0
            for notice in book.update(isThere ? [alarm: "x"] : [:], at: time) {
                if notice.event == .raised { raised.append(time) } else { cleared += 1 }
            }
        }
        #expect(zip(raised, raised.dropFirst()).allSatisfy { $1 - $0 >= AlarmBook.restSeconds })
        #expect((2...4).contains(raised.count) && cleared < raised.count + 1)
        #expect(book.open.first?.told != nil, "it stayed, so it was told")
    }

    @Test("A clock that is set neither silences nor repeats")
    func clock() {
        var book = AlarmBook()
        let alarm = Alarm(.overdue, "a")
        #expect(book.update([alarm: ""], at: Self.start + 10 * Self.day).count == 1)
        #expect(book.update([alarm: ""], at: Self.start).isEmpty, "set back: told already")
        #expect(book.update([alarm: ""], at: Self.start + Self.hour).map(\.event) == [.reminded])
        #expect(book.update([:], at: Self.start + Self.hour + 1).map(\.event) == [.cleared])
    }

    @Test("Of several events at one instant each is told, and what tells no size has none to run out of")
    func together() {
        let missed = Alarm(.missedRuns, "2027-01-15T08:00:00Z")
        let watch = Self.watch {
            $0.events = [.init(missed, "db", at: Self.start), .init(missed, "web", at: Self.start)]
            $0.spaces.append(AlarmWatch.Space(place: "/net", free: 0, total: 0))
        }
        #expect(watch.alarms(at: Self.start) == [missed: "db\nweb"])
    }

    @Test("A notice names host, level, subject and who is responsible, in both languages")
    func texts() {
        let notice = AlarmNotice(
            event: .raised, alarm: Alarm(.overdue, "db"), detail: "since noon", since: Self.start, time: Self.start,
            count: 1)
        for language in Language.allCases {
            let body = notice.body(in: language, host: "h1", responsible: ["Aygün Əliyeva, +994 12 000 00 00"])
            for part in ["h1", "db", "since noon", "Aygün Əliyeva", Alarm.Kind.overdue.text(in: language)] {
                #expect(body.contains(part), "\(part): \(body)")
            }
        }
        var texts: Set<String> = []
        for kind in Alarm.Kind.allCases {
            for language in Language.allCases { texts.insert(kind.text(in: language)) }
        }
        #expect(texts.count == Alarm.Kind.allCases.count * 2)
    }
}
