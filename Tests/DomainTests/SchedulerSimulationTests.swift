import Foundation
import Testing

@testable import Domain

@Suite("The scheduler through the years")
struct SchedulerSimulationTests {
    private static let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
    private static let second: Int64 = 1_000_000
    private static let hour = 3600 * second
    private static let day = 24 * hour

    /// A machine with two clocks, which crashes, is set wrong and right again, and runs what it is told.
    private struct Machine {
        var scheduler = Scheduler()
        var model: SchedulerModel
        var random: SeededGenerator
        let plans: [String: Scheduler.Plan]
        var reading: ClockReading
        var boots = 0
        var going: [RunIdentity: Int64] = [:]
        var wake: (wall: Int64?, boot: Int64?) = (nil, nil)
        /// By how much the wall clock is wrong, and when (by the boot clock) somebody sets it right.
        var error: Int64 = 0
        var mendsAt: Int64 = .max
        var disturbedAt: Int64 = 0
        var events = 0
        var elapsed: Int64 = 0

        mutating func handle(_ event: Scheduler.Event) throws {
            events += 1
            var isStart = false
            if case .booted = event { isStart = true }
            model.pass(to: reading, isStart: isStart, isNewBoot: isStart)
            switch event {
            case .booted(_, let plans, _):
                model.interruptAll(isNewBoot: true)
                model.begin(plans)
            case .runFinished(let run): model.finish(run)
            case .runCancelled(let run): model.cancel(run)
            case .runFailed(let run, let retry): model.fail(run, retry: retry)
            case .paused(let policy): setPaused(true, policy)
            case .resumed(let policy): setPaused(false, policy)
            case .tick, .clockStepped, .runStarted, .replaced, .recalled, .stopped: break
            }
            let actions = scheduler.handle(event, at: reading)
            model.check(actions)
            for case .start(let run) in actions {
                // Now and then a run is longer than its period.
                let length = random.chance(0.05) ? Double.random(in: 8...60, using: &random) : 0.3
                going[run] = reading.boot + Int64(length * Double(SchedulerSimulationTests.hour))
            }
            if case .wake(let wall, let boot) = actions.last { wake = (wall, boot) }
        }

        private mutating func setPaused(_ isPaused: Bool, _ policy: String?) {
            if let policy { model.policies[policy]?.isPaused = isPaused } else { model.isPaused = isPaused }
        }

        mutating func pass(_ microseconds: Int64) {
            reading.wall += microseconds
            reading.boot += microseconds
            elapsed += microseconds
        }

        /// The power fails; the state comes back from storage.
        mutating func boot(downFor pause: Int64) throws {
            let stored = try JSONEncoder().encode(scheduler.state)
            scheduler = Scheduler(try JSONDecoder().decode(SchedulerState.self, from: stored))
            going = [:]
            boots += 1
            reading.wall += pause
            elapsed += pause
            reading.boot = Int64.random(in: 1...60, using: &random) * SchedulerSimulationTests.second
            mendsAt = error == 0 ? .max : reading.boot + SchedulerSimulationTests.hour
            disturbedAt = reading.boot + restlessness()
            try handle(.booted(bootID: "boot \(boots)", plans: plans))
        }

        mutating func restlessness() -> Int64 {
            Int64(Double.random(in: 0.01...8, using: &random) * Double(SchedulerSimulationTests.day))
        }

        mutating func set(clockBy step: Int64) throws {
            let step = max(step, -reading.wall)
            error += step
            reading.wall += step
            try handle(.clockStepped)
        }

        mutating func step() throws {
            var wait = disturbedAt - reading.boot
            if let wall = wake.wall { wait = min(wait, wall - reading.wall) }
            if let boot = wake.boot { wait = min(wait, boot - reading.boot) }
            if let end = going.values.min() { wait = min(wait, end - reading.boot) }
            wait = min(wait, mendsAt - reading.boot)
            pass(max(wait, 0))
            if let (run, _) = going.filter({ $0.value <= reading.boot }).min(by: {
                ($0.value, $0.key.policy) < ($1.value, $1.key.policy)
            }) {
                going[run] = nil
                return try end(run)
            }
            if mendsAt <= reading.boot {
                mendsAt = .max
                return try set(clockBy: -error)
            }
            if disturbedAt <= reading.boot {
                disturbedAt = reading.boot + restlessness()
                return try disturb()
            }
            try handle(.tick)
        }

        private mutating func end(_ run: RunIdentity) throws {
            switch Double.random(in: 0..<1, using: &random) {
            case ..<0.10: try handle(.runFailed(run, retry: true))
            case ..<0.12: try handle(.runFailed(run, retry: false))
            case ..<0.14: try handle(.runCancelled(run))
            default: try handle(.runFinished(run))
            }
        }

        private mutating func disturb() throws {
            let day = SchedulerSimulationTests.day
            let second = SchedulerSimulationTests.second
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<4: try boot(downFor: Int64.random(in: 1...900, using: &random) * second)
            case 4: try boot(downFor: Int64(Double.random(in: 0.1...15, using: &random) * Double(day)))
            case 5..<8:
                try set(clockBy: Int64.random(in: -4000...4000, using: &random) * second)
                mendsAt = reading.boot + Int64.random(in: 1...8000, using: &random) * second
            case 8:
                try set(clockBy: Int64.random(in: -40...40, using: &random) * day)
                mendsAt = reading.boot + Int64.random(in: 1...100, using: &random) * SchedulerSimulationTests.hour
            case 9 where random.chance(0.2):
                try set(clockBy: Int64.random(in: 300...3660, using: &random) * day)
                mendsAt = reading.boot + Int64.random(in: 1...200, using: &random) * SchedulerSimulationTests.hour
            case 10 where random.chance(0.3):
                // A machine whose clock has lost its battery starts in 1970 and is set right after an hour.
                error -= reading.wall
                reading.wall = 0
                try boot(downFor: 600 * second)
            case 11..<14:
                let policy = random.chance(0.3) ? nil : plans.keys.sorted().randomElement(using: &random)
                try handle(random.chance(0.4) ? .paused(policy: policy) : .resumed(policy: policy))
            case 14..<17:
                try handle(.resumed(policy: nil))
                for name in plans.keys.sorted() { try handle(.resumed(policy: name)) }
            default:
                // A clock that is adjusted a little, in no hurry.
                reading.wall = max(0, reading.wall + Int64.random(in: -4_000_000...4_000_000, using: &random))
                try handle(.tick)
            }
        }
    }

    private func plans() throws -> [String: Scheduler.Plan] {
        func plan(
            _ text: String, _ zone: String, _ catchUp: CatchUp, jitter: Int = 0, windows: [String] = []
        ) throws -> Scheduler.Plan {
            let schedule = Schedule(
                try CalendarExpression(parsing: text), zoneName: zone, jitter: jitter, seed: 7, catchUp: catchUp,
                windows: try windows.map { try TimeWindow(parsing: $0) })
            return .init(schedule: schedule, zone: try Zones.named(zone))
        }
        return [
            "nightly": try plan("*-*-* 02:30", "Europe/Berlin", .latest),
            "windowed": try plan(
                "*-*-* 12:00", "America/New_York", .latest, jitter: 1800,
                windows: ["Mon..Fri 22:00..05:00", "Sat,Sun 00:00..24:00"]),
            "every": try plan("0/12:15", "Australia/Lord_Howe", .all, jitter: 86_400),
            "strict": try plan("Mon,Thu 23:59:30", "Asia/Baku", .none, windows: ["20:00..04:00"]),
            "leap": try plan("*-02-29", "Pacific/Chatham", .all),
            "monthly": try plan("*-*~01 03:00", "Asia/Baku", .none, jitter: 7200),
        ]
    }

    @Test("Ten years of crashes, wrong clocks, long runs and pauses: no run lost, doubled or overlapping")
    func tenYears() throws {
        for _ in 0..<(Self.isLong ? 20 : 1) {
            let chosen = ProcessInfo.processInfo.environment["QALA_TEST_SEED"].flatMap { UInt64($0) }
            let seed = chosen ?? UInt64.random(in: 0...UInt64.max)
            let start = Int64(WallClock(year: 2024, month: 1, day: 1).localSeconds) * Self.second
            var machine = Machine(
                model: SchedulerModel(from: start), random: SeededGenerator(seed: seed), plans: try plans(),
                reading: .init(wall: start, boot: 0))
            try machine.boot(downFor: 0)
            var forgottenAt: Int64 = 0
            while machine.elapsed < 3653 * Self.day, machine.model.complaints.isEmpty {
                try machine.step()
                if machine.elapsed > forgottenAt, machine.error == 0 {
                    forgottenAt = machine.elapsed + 50 * Self.day
                    machine.model.forget(before: machine.reading.wall - 600 * Self.day)
                }
            }
            let said = machine.model.complaints.prefix(5).joined(separator: "\n")
            #expect(machine.model.complaints.isEmpty, "seed \(seed), event \(machine.events):\n\(said)")
            #expect(machine.model.started > 5000 && machine.model.missed > 100 && machine.model.retried > 100)
            print(
                "seed \(seed): \(machine.events) events, \(machine.boots) boots, \(machine.model.started) runs,",
                "\(machine.model.retried) retries, \(machine.model.missed) missed")
        }
    }
}
