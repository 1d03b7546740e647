import Foundation
import Testing

@testable import Domain

/// Each rule of the scheduler in a story of a few events.
@Suite("The scheduler")
struct SchedulerTests {
    private static let minute: Int64 = 60_000_000
    private static let hour = 60 * minute
    private static let day = 24 * hour
    /// A Friday, midnight.
    private static let start = Int64(WallClock(year: 2026, month: 5, day: 1).localSeconds) * 1_000_000

    /// Drives one policy `p` with clocks that advance together unless told otherwise.
    private struct Story {
        var scheduler = Scheduler()
        var reading = ClockReading(wall: SchedulerTests.start, boot: 0)
        var plans: [String: Scheduler.Plan]
        var wake: (wall: Int64?, boot: Int64?) = (nil, nil)

        init(_ text: String, _ catchUp: CatchUp = .latest, windows: [String] = []) throws {
            plans = ["p": try Self.plan(text, catchUp, windows: windows)]
            _ = boot("one")
        }

        static func plan(_ text: String, _ catchUp: CatchUp, windows: [String] = []) throws -> Scheduler.Plan {
            let schedule = Schedule(
                try CalendarExpression(parsing: text), catchUp: catchUp,
                windows: try windows.map { try TimeWindow(parsing: $0) })
            return .init(schedule: schedule, zone: .utc)
        }

        mutating func handle(_ event: Scheduler.Event, after time: Int64 = 0) -> [Scheduler.Action] {
            reading.wall += time
            reading.boot += time
            var actions = scheduler.handle(event, at: reading)
            if case .wake(let wall, let boot) = actions.popLast() { wake = (wall, boot) }
            return actions
        }

        mutating func tick(after time: Int64 = 0) -> [Scheduler.Action] { handle(.tick, after: time) }

        /// The state comes back from storage.
        mutating func boot(_ bootID: String, downFor pause: Int64 = 0) -> [Scheduler.Action] {
            reading.wall += pause
            if let stored = try? JSONEncoder().encode(scheduler.state),
                let state = try? JSONDecoder().decode(SchedulerState.self, from: stored)
            {
                scheduler = Scheduler(state)
            }
            return handle(.booted(bootID: bootID, plans: plans))
        }

        func run(_ hours: Double, _ attempt: Int = 1) -> RunIdentity {
            RunIdentity(
                policy: "p", due: SchedulerTests.start + Int64(hours * Double(SchedulerTests.hour)), attempt: attempt)
        }

        func missed(
            _ first: Double, _ last: Double, _ count: Int, _ reason: SchedulerReport.Reason
        ) -> Scheduler.Action {
            .report(
                .missed(
                    policy: "p", first: run(first).due, last: run(last).due, count: count, isExact: true, reason: reason
                ))
        }
    }

    @Test("A run starts when it is due, once, and the scheduler sleeps until then")
    func onTime() throws {
        var story = try Story("*-*-* 0/2:00")
        #expect(story.wake.wall == story.run(2).due && story.wake.boot == nil)
        #expect(story.tick(after: Self.hour).isEmpty)
        #expect(story.tick(after: Self.hour) == [.start(story.run(2))])
        #expect(story.tick(after: 1).isEmpty)
        #expect(story.handle(.runStarted(story.run(2))).isEmpty)
        #expect(story.scheduler.state.entries["p"]?.running?.isConfirmed == true)
        #expect(story.handle(.runFinished(story.run(2)), after: Self.minute).isEmpty)
        #expect(story.wake.wall == story.run(4).due)
    }

    @Test("A run longer than its period is followed as catch-up says, and never by itself at the same time")
    func overrun() throws {
        var latest = try Story("hourly")
        #expect(latest.tick(after: Self.hour) == [.start(latest.run(1))])
        #expect(latest.tick(after: Self.hour).isEmpty)
        #expect(latest.tick(after: Self.hour) == [latest.missed(2, 2, 1, .overrun)])
        #expect(latest.handle(.runFinished(latest.run(1))) == [.start(latest.run(3))])

        var all = try Story("hourly", .all)
        #expect(all.tick(after: Self.hour) == [.start(all.run(1))])
        #expect(all.tick(after: 2 * Self.hour).isEmpty)
        #expect(all.handle(.runFinished(all.run(1))) == [.start(all.run(2))])
        #expect(all.handle(.runFinished(all.run(2))) == [.start(all.run(3))])

        var none = try Story("hourly", .none)
        #expect(none.tick(after: Self.hour) == [.start(none.run(1))])
        #expect(none.tick(after: Self.hour).isEmpty)
        #expect(none.wake.wall == none.run(2).due + Schedule.tolerance + 1)
        #expect(none.tick(after: 2 * Self.minute) == [none.missed(2, 2, 1, .overrun)])
        #expect(none.handle(.runFinished(none.run(1))).isEmpty)
    }

    @Test(
        "A policy of which the state was lost makes up for what was due since its last run when that becomes known, once"
    )
    func recalled() throws {
        var story = try Story("hourly")
        story.reading.wall += 10 * Self.hour + Self.minute
        story.scheduler = Scheduler()
        #expect(story.boot("two").isEmpty, "nothing is known of what was before")
        let ran = story.run(6.5).due
        let actions = story.handle(.recalled(policy: "p", at: ran), after: Self.minute)
        #expect(actions == [story.missed(7, 9, 3, .absent), .start(story.run(10))])
        #expect(story.handle(.runFinished(story.run(10)), after: Self.minute).isEmpty)
        #expect(story.tick(after: Self.hour) == [.start(story.run(11))])
        #expect(story.handle(.runFinished(story.run(11))).isEmpty)
        // What ran since, or a policy that is not there, brings nothing.
        #expect(story.handle(.recalled(policy: "p", at: story.run(11.2).due)).isEmpty)
        #expect(story.handle(.recalled(policy: "other", at: ran)).isEmpty)
    }

    @Test("After days without the daemon: one run, all runs or none, and a report of the others")
    func absence() throws {
        var latest = try Story("daily")
        #expect(
            latest.boot("two", downFor: 5 * Self.day + 1) == [
                latest.missed(24, 96, 4, .absent), .start(latest.run(120)),
            ])

        var all = try Story("daily", .all)
        #expect(all.boot("two", downFor: 3 * Self.day + 1) == [.start(all.run(24))])
        #expect(all.handle(.runFinished(all.run(24))) == [.start(all.run(48))])
        #expect(all.handle(.runFinished(all.run(48))) == [.start(all.run(72))])
        #expect(all.handle(.runFinished(all.run(72))).isEmpty)

        var none = try Story("daily", .none)
        #expect(
            none.boot("two", downFor: 2 * Self.day + Self.hour) == [
                none.missed(24, 24, 1, .absent), none.missed(48, 48, 1, .absent),
            ])
        #expect(none.tick(after: 23 * Self.hour) == [.start(none.run(72))])
    }

    @Test("A failed run is tried again after a rest that doubles, on the clock nobody sets, and given up at last")
    func failures() throws {
        var story = try Story("daily")
        #expect(story.tick(after: Self.day) == [.start(story.run(24))])
        for attempt in 1...4 {
            #expect(story.handle(.runFailed(story.run(24, attempt), retry: true)).isEmpty)
            let rest = Self.minute << Int64(attempt - 1)
            #expect(story.wake.boot == story.reading.boot + rest)
            #expect(story.tick(after: rest - 1).isEmpty)
            #expect(story.tick(after: 1) == [.start(story.run(24, attempt + 1))])
        }
        let last = story.run(24, 5)
        #expect(story.handle(.runFailed(last, retry: true)) == [.report(.gaveUp(last))])
        // The next due instant has its own attempts, and success ends the rests.
        #expect(story.tick(after: 23 * Self.hour + 45 * Self.minute) == [.start(story.run(48))])
        #expect(story.handle(.runFinished(story.run(48))).isEmpty)
        #expect(story.tick(after: Self.day) == [.start(story.run(72))])
        #expect(story.handle(.runFailed(story.run(72), retry: false)) == [.report(.gaveUp(story.run(72)))])
        #expect(story.tick(after: Self.day) == [.start(story.run(96))])
        #expect(story.handle(.runCancelled(story.run(96))).isEmpty)
        #expect(story.tick(after: Self.hour).isEmpty && story.wake.boot == nil)
    }

    @Test("A run that a crash interrupted is reported and tried again, not doubled")
    func interrupted() throws {
        var story = try Story("daily")
        #expect(story.tick(after: Self.day) == [.start(story.run(24))])
        #expect(story.boot("two", downFor: Self.hour) == [.report(.interrupted(story.run(24)))])
        #expect(story.tick(after: Self.minute) == [.start(story.run(24, 2))])
        // What is said about the attempt that is over changes nothing.
        #expect(story.handle(.runFinished(story.run(24))) == [.report(.unknownRun(story.run(24)))])
        #expect(story.handle(.runFinished(story.run(24, 2))).isEmpty)
        #expect(story.tick(after: Self.hour).isEmpty)
    }

    @Test("A clock that is set back meets the instants again that it passed, and starts nothing for them")
    func clockBack() throws {
        var story = try Story("hourly", .all)
        for hour in 1...3 {
            #expect(story.tick(after: Self.hour) == [.start(story.run(Double(hour)))])
            #expect(story.handle(.runFinished(story.run(Double(hour)))).isEmpty)
        }
        story.reading.wall -= 150 * Self.minute
        #expect(story.handle(.clockStepped) == [.report(.clockStepped(by: -150 * Self.minute))])
        for _ in 0..<5 { #expect(story.tick(after: 30 * Self.minute).isEmpty) }
        #expect(story.tick(after: Self.hour) == [.start(story.run(4))])
    }

    @Test("What is still to start is not given up for the next attempt of a time that is yet to come again")
    func attemptAhead() throws {
        var story = try Story("hourly")
        let schedule = Schedule(try CalendarExpression(parsing: "hourly"), jitter: 1800, seed: 7, catchUp: .latest)
        story.plans = ["p": .init(schedule: schedule, zone: .utc)]
        _ = story.handle(.replaced(plans: story.plans))
        func start(_ run: RunIdentity) -> Int64 { schedule.start(ofDue: run.due, in: .utc) }
        let (first, second) = (story.run(1), story.run(2))
        try #require(start(first) > first.due + Self.minute)
        story.reading.wall = start(second)
        #expect(story.handle(.clockStepped).contains(.start(second)))
        #expect(story.handle(.runFailed(second, retry: true)).isEmpty)
        story.reading.wall = first.due - Self.minute
        _ = story.handle(.clockStepped)
        // The attempt goes first, when it has rested.
        #expect(story.tick(after: 2 * Self.minute) == [.start(story.run(2, 2))])
        #expect(story.handle(.runFinished(story.run(2, 2))).isEmpty)
        #expect(story.tick(after: start(first) - story.reading.wall) == [.start(first)])
    }

    @Test("A clock that jumps ten years starts one run, and when it is set right, nothing is left out or doubled")
    func clockForward() throws {
        var story = try Story("daily")
        let years = 3653 * Self.day
        story.reading.wall += years
        let actions = story.handle(.clockStepped)
        #expect(actions.first == .report(.clockStepped(by: years)))
        // Thousands of instants are counted singly up to a limit.
        guard actions.count == 3, case .report(.missed(_, let first, let last, let count, false, .absent)) = actions[1],
            case .start(let wrong) = actions[2]
        else { throw Surprise(actions) }
        #expect(first == story.run(24).due && last == wrong.due - Self.day && count >= 2000)
        #expect(wrong.due == Self.start + years)
        #expect(story.handle(.runFinished(wrong), after: Self.hour).isEmpty)
        story.reading.wall -= years
        #expect(story.handle(.clockStepped).count == 1)
        for day in 1...3 {
            let run = story.run(Double(24 * day))
            #expect(story.tick(after: run.due - story.reading.wall) == [.start(run)])
            #expect(story.handle(.runFinished(run)).isEmpty)
        }
        // Ten years later that instant comes again, and was run already.
        story.reading.wall = wrong.due - Self.hour
        _ = story.handle(.clockStepped)
        _ = story.handle(.runFinished(RunIdentity(policy: "p", due: wrong.due - Self.day, attempt: 1)))
        #expect(!story.tick(after: Self.hour).contains(.start(wrong)))
    }

    @Test("However many instants are jumped over, all of them together start a hundred runs at most")
    func backlog() throws {
        var story = try Story("minutely", .all)
        story.reading.wall += 1000 * Self.day
        let actions = story.handle(.clockStepped)
        guard actions.count == 3, case .report(.missed(_, let first, _, 2000, false, .backlog)) = actions[1]
        else { throw Surprise(actions) }
        #expect(first == Self.start + Self.minute)
        var runs = 0
        var next = actions
        while case .start(let run) = next.last {
            runs += 1
            #expect(run.due > story.reading.wall - 101 * Self.minute)
            next = story.handle(.runFinished(run))
        }
        #expect(runs == Schedule.maximumBacklog)
    }

    @Test("A machine that starts in 1970 runs by that clock, and goes on where it was when the clock is right")
    func withoutBattery() throws {
        var story = try Story("daily")
        #expect(story.tick(after: Self.day) == [.start(story.run(24))])
        #expect(story.handle(.runFinished(story.run(24))).isEmpty)
        let away = story.reading.wall
        story.reading = ClockReading(wall: 0, boot: 0)
        #expect(story.boot("two") == [.report(.clockStepped(by: -away))])
        #expect(story.tick(after: Self.day) == [.start(RunIdentity(policy: "p", due: Self.day, attempt: 1))])
        #expect(story.handle(.runFinished(RunIdentity(policy: "p", due: Self.day, attempt: 1))).isEmpty)
        story.reading.wall = away + Self.day + Self.hour
        #expect(
            story.handle(.clockStepped) == [
                .report(.clockStepped(by: away + Self.hour)), .start(story.run(48)),
            ])
    }

    @Test("A run outside a window waits for it; a window that passes without it is reported once")
    func windows() throws {
        var story = try Story("*-*-* 12:00", windows: ["22:00..23:00"])
        #expect(story.tick(after: 12 * Self.hour).isEmpty)
        #expect(story.wake.wall == story.run(22).due)
        #expect(story.handle(.paused(policy: "p")).isEmpty)
        #expect(story.tick(after: 10 * Self.hour).isEmpty)
        #expect(
            story.handle(.resumed(policy: "p"), after: 2 * Self.hour) == [
                .report(.windowMissed(policy: "p", due: story.run(12).due, opensAgain: story.run(46).due))
            ])
        #expect(story.tick(after: Self.hour).isEmpty)
        // The next due instant replaces the one that waits.
        #expect(story.tick(after: 11 * Self.hour) == [story.missed(12, 12, 1, .window)])
        #expect(story.tick(after: 10 * Self.hour) == [.start(story.run(36))])
    }

    @Test("Paused, nothing starts; resumed, what was due is made up for as catch-up says")
    func pauses() throws {
        var story = try Story("daily", .all)
        #expect(story.handle(.paused(policy: nil)).isEmpty)
        #expect(story.tick(after: Self.day).isEmpty && story.boot("two", downFor: Self.day).isEmpty)
        #expect(story.handle(.resumed(policy: nil)) == [.start(story.run(24))])
        #expect(story.handle(.paused(policy: "p")).isEmpty)
        #expect(story.handle(.runFinished(story.run(24))).isEmpty)
        #expect(story.handle(.resumed(policy: "p")) == [.start(story.run(48))])

        var none = try Story("daily", .none)
        _ = none.handle(.paused(policy: "p"))
        #expect(none.tick(after: Self.day + 2 * Self.minute) == [none.missed(24, 24, 1, .paused)])
    }

    @Test("A replaced set answers for the old one until now; a withdrawn policy keeps its run and nothing else")
    func replaced() throws {
        var story = try Story("hourly", .all)
        #expect(story.tick(after: 2 * Self.hour) == [.start(story.run(1))])
        #expect(story.handle(.replaced(plans: [:])) == [story.missed(2, 2, 1, .withdrawn)])
        #expect(story.tick(after: 5 * Self.hour).isEmpty && story.wake.wall == nil)
        // Back again while its old run is still going: it begins anew, and does not overlap.
        #expect(story.handle(.replaced(plans: story.plans)).isEmpty)
        #expect(story.tick(after: Self.hour).isEmpty)
        #expect(story.handle(.runFinished(story.run(1))) == [.start(story.run(8))])
        // The instants until now are those of the old schedule.
        let plans = ["p": try Story.plan("*:30", .all), "q": try Story.plan("*:15", .latest)]
        #expect(story.handle(.runFinished(story.run(8))).isEmpty)
        #expect(story.handle(.replaced(plans: plans), after: Self.hour + 45 * Self.minute) == [.start(story.run(9))])
        #expect(story.handle(.runFinished(story.run(9))).isEmpty)
        #expect(
            story.tick(after: 45 * Self.minute) == [
                .start(story.run(10.5)), .start(RunIdentity(policy: "q", due: story.run(10.25).due, attempt: 1)),
            ])
    }

    @Test("A policy that comes back after its run was interrupted has that run tried again")
    func backAgain() throws {
        var story = try Story("daily")
        let plans = story.plans
        #expect(story.tick(after: Self.day) == [.start(story.run(24))])
        #expect(story.handle(.replaced(plans: [:])).isEmpty)
        #expect(story.boot("two") == [.report(.interrupted(story.run(24)))])
        #expect(story.tick(after: Self.minute) == [.start(story.run(24, 2))])
        // Withdrawn for good, nothing of it remains once its run is over.
        #expect(story.handle(.replaced(plans: [:])).isEmpty)
        story.plans = [:]
        #expect(
            story.boot("three") == [
                .report(.interrupted(story.run(24, 2))), story.missed(24, 24, 1, .withdrawn),
            ])
        #expect(story.scheduler.state.entries.isEmpty && !plans.isEmpty)
    }

    @Test("A policy whose state was lost goes on after the newest run that is known of it")
    func lostState() throws {
        var story = try Story("daily")
        story.scheduler = Scheduler()
        story.reading.wall += 3 * Self.day + Self.hour
        let known = story.run(24).due
        story.plans["p"]?.lastDue = known
        #expect(
            story.handle(.booted(bootID: "x", plans: story.plans)) == [
                story.missed(48, 48, 1, .absent), .start(story.run(72)),
            ])
    }

    @Test("A schedule that names no further time says so once")
    func ended() throws {
        var story = try Story("2026-05-02 00:00")
        #expect(story.tick(after: Self.day) == [.report(.ended(policy: "p")), .start(story.run(24))])
        #expect(story.handle(.runFinished(story.run(24))).isEmpty && story.wake.wall == nil)
        #expect(story.tick(after: Self.day).isEmpty)
    }

    @Test("Stored state that was damaged cannot make the scheduler trap or forget its limits")
    func damagedState() throws {
        var story = try Story("hourly", .all, windows: ["22:00..23:00"])
        _ = story.tick(after: 5 * Self.hour)
        let stored = String(decoding: try JSONEncoder().encode(story.scheduler.state), as: UTF8.self)
        let numbers = stored.split { !$0.isNumber }.map(String.init).filter { $0.count > 5 }
        for number in Set(numbers) {
            for other in ["9223372036854775807", "-9223372036854775808", "0"] {
                let damaged = stored.replacingOccurrences(of: number, with: other)
                guard let state = try? JSONDecoder().decode(SchedulerState.self, from: Data(damaged.utf8)) else {
                    continue
                }
                var scheduler = Scheduler(state)
                _ = scheduler.handle(.booted(bootID: "x", plans: story.plans), at: .init(wall: .max, boot: .min))
                let actions = scheduler.handle(.tick, at: .init(wall: .min, boot: .max))
                #expect(actions.count < 10)
            }
        }
    }

    @Test("Reports speak both languages")
    func texts() {
        let run = RunIdentity(policy: "p", due: Self.start, attempt: 2)
        var reports: [SchedulerReport] = [
            .windowMissed(policy: "p", due: Self.start, opensAgain: Self.start + Self.hour), .interrupted(run),
            .gaveUp(run), .clockStepped(by: -Self.hour), .ended(policy: "p"), .unknownRun(run),
        ]
        for reason in SchedulerReport.Reason.allCases {
            reports.append(
                .missed(policy: "p", first: Self.start, last: Self.start, count: 2, isExact: false, reason: reason))
        }
        #expect(Set(reports.map { $0.text(in: .english) }).count == reports.count)
        #expect(Set(reports.map { $0.text(in: .azerbaijani) }).count == reports.count)
        #expect(reports[3].text(in: .english) == "the clock was set back by 1 h 00 min")
        #expect(reports[1].text(in: .english) == "p: the run due 2026-05-01 00:00:00 UTC was interrupted (attempt 2)")
        for catchUp in CatchUp.allCases { #expect(catchUp.name(in: .english) != catchUp.name(in: .azerbaijani)) }
        #expect(InstantText.utc(-500_000) == "1969-12-31 23:59:59.500000 UTC")
    }

    private struct Surprise: Error {
        init(_ actions: [Scheduler.Action]) { Issue.record("unexpected actions: \(actions)") }
    }
}
