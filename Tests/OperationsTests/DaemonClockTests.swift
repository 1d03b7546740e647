import Collectors
import Domain
import Foundation
import Glibc
import Synchronization
import Testing
import Vault

@testable import Operations

/// A clock that only a test moves.
private final class SimulatedClock: Sendable {
    private let now: Mutex<ClockReading>
    let bootID: String

    init(wall: Int64, boot: Int64, bootID: String) {
        now = Mutex(ClockReading(wall: wall, boot: boot))
        self.bootID = bootID
    }

    var reading: ClockReading { now.withLock { $0 } }
    var clock: DaemonClock { DaemonClock(bootID: bootID) { self.reading } }

    /// Time passes, microseconds.
    func pass(_ microseconds: Int64) {
        now.withLock { $0 = ClockReading(wall: $0.wall + microseconds, boot: $0.boot + microseconds) }
    }

    /// Somebody sets it.
    func set(by microseconds: Int64) {
        now.withLock { $0 = ClockReading(wall: $0.wall + microseconds, boot: $0.boot) }
    }
}

extension Daemon {
    fileprivate var isBusy: Bool {
        !going.isEmpty || verifying != nil || !queue.isEmpty || discoveryView.thread != nil || keyView.thread != nil
            || lossView.thread != nil
    }
}

/// A vault, two policies over a small tree, and daemons whose time a test moves.
private final class ClockBench {
    static let hour: Int64 = 3_600_000_000
    static let day = 24 * hour
    static let year = 365 * day

    let scratch: Scratch
    let told = Told()

    final class Told: Sendable {
        private let kept = Mutex<[String]>([])
        func add(_ event: DaemonEvent) { kept.withLock { $0.append(event.message) } }
        /// What was told of alarms; that the test's own disk is small says nothing.
        var alarms: [String] {
            kept.withLock { $0.filter { $0.hasPrefix("alarm ") && !$0.contains("lowSpace") } }
        }
        func raised(_ kind: String) -> Int { alarms.count { $0.hasPrefix("alarm raised: \(kind) ") } }
    }

    init() throws {
        // Two thousand turns of the work loop store their state.
        scratch = try Scratch(inMemory: true)
        for folder in ["tree", "policies"] { try #require(mkdir(scratch.place(folder), 0o755) == 0) }
        try scratch.write("tree/a", "a\n")
        let shipped = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Policies")
        let people = try String(contentsOf: shipped.appending(path: "people.yaml"), encoding: .utf8)
        try write("people.yaml", people)
        let whole = try String(contentsOf: shipped.appending(path: "config.yaml"), encoding: .utf8)
        try write("six.yaml", policy(whole, "six", "*-*-* 00/6:10:00", rpo: "7 hours"))
        try write("daily.yaml", policy(whole, "daily", "*-*-* 03:00:00", rpo: "26 hours"))
        _ = try InitializeVault.run(
            .init(writeOnlyHost: true, kitPath: scratch.place("kit"), passphrase: nil, suite: nil),
            at: Workplace(vaultPath: scratch.place("vault"), statePath: scratch.place("state")))
    }

    private func write(_ name: String, _ text: String) throws {
        try scratch.write("policies/\(name)", text)
        chmod(scratch.place("policies/\(name)"), 0o644)
    }

    /// The shipped policy with a name, source, schedule and RPO of its own.
    private func policy(_ whole: String, _ name: String, _ calendar: String, rpo: String) -> String {
        var lines: [Substring] = []
        var skips = false
        for line in whole.split(separator: "\n", omittingEmptySubsequences: false) {
            if !line.hasPrefix(" ") { skips = line.hasPrefix("sources:") || line.hasPrefix("policy:") }
            if !skips { lines.append(line) }
        }
        var text = lines.joined(separator: "\n")
        for (old, new) in [
            ("*-*-* 00/6:10:00", calendar), ("  jitter: 5 minutes\n", ""), ("rpo: 7 hours", "rpo: \(rpo)"),
            ("stored: 7 days", "stored: 2 days"),
        ] { text = text.replacingOccurrences(of: old, with: new) }
        return text + "\npolicy: \(name)\nsources:\n  - files: \(scratch.place("tree"))\n"
    }

    /// `looksAt` are the trees in which it looks for sources; none of the machine that tests.
    func start(_ clock: SimulatedClock, looksAt trees: [String] = [], key: String? = nil) async throws -> Daemon {
        var settings = Daemon.Settings(
            statePath: scratch.place("state"), policyFolder: scratch.place("policies"),
            vaultPath: scratch.place("vault"), version: "test", alarmsPath: scratch.place("alarms.yaml"),
            keyPath: key.map(scratch.place))
        if !trees.isEmpty { settings.discovery = DiscoverySettings(places: HostPlaces(trees: trees)) }
        return try await Daemon.start(settings, clock: clock.clock, notifier: ServiceNotifier { _ in nil }) {
            [told] in told.add($0)
        }
    }

    /// Lets so much time pass, at most five minutes at once; runs and verifications take none of it.
    func live(_ microseconds: Int64, _ daemon: Daemon, _ clock: SimulatedClock) async throws {
        let end = clock.reading.wall + microseconds
        while true {
            let rest = await daemon.turn()
            try await settle(daemon)
            let left = end - clock.reading.wall
            guard left > 0 else { return }
            let step = min(left, 300_000_000, max(1_000_000, Int64(min(rest, 1000) * 1e6)))
            clock.pass(step)
        }
    }

    private func settle(_ daemon: Daemon) async throws {
        let limit = ContinuousClock().now + .seconds(600)
        while await daemon.isBusy {
            try #require(ContinuousClock().now < limit, "a run does not end")
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    func end(_ daemon: Daemon) async {
        await daemon.stop()
        await daemon.serve()
    }

    func availability() throws -> [RegisterEntry] {
        var entries: [RegisterEntry] = []
        let reading = try RegisterFiles(state: scratch.place("state"), .availability).read { entries.append($0) }
        #expect(reading.damage.isEmpty)
        return entries
    }

    func archives() throws -> Int {
        let place = Workplace(vaultPath: scratch.place("vault"), statePath: scratch.place("state"))
        return try ListArchives.run(policy: nil, at: place).count
    }

    func vaultTime(_ clock: SimulatedClock) throws -> VaultTime {
        try VaultTimeFile.now(state: scratch.place("state"), newest: 0, clock: clock.clock)
    }

    static var now: Int64 { Int64(clamping: WallTime.seconds()) * 1_000_000 }
}

@Suite("The daemon's time", .serialized)
struct DaemonClockTests {
    /// The due instants that runs answered.
    private static func instants(_ runs: [RunRecord]) -> Set<String> {
        var found: Set<String> = []
        for run in runs { if let due = run.due { found.insert("\(run.policy) \(due)") } }
        return found
    }

    /// A daemon that lives for a day and is gone, with its lock, when this returns the ids of its runs.
    private static func firstDay(_ bench: ClockBench, _ clock: SimulatedClock) async throws -> Set<String> {
        let daemon = try await bench.start(clock)
        try await bench.live(ClockBench.day, daemon, clock)
        await bench.end(daemon)
        return Set(await daemon.runs(of: nil, limit: 1000).map(\.id))
    }

    @Test("In a clean week every due run is made once and on time, no alarm is raised, and the register has no hole")
    func week() async throws {
        let bench = try ClockBench()
        let clock = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        let daemon = try await bench.start(clock)
        try await bench.live(7 * ClockBench.day, daemon, clock)
        let runs = await daemon.runs(of: nil, limit: 1000)
        for (policy, count) in [("six", 28), ("daily", 7)] {
            let own = runs.filter { $0.policy == policy }
            #expect(own.count == count, "\(policy): \(own.count)")
            #expect(Self.instants(own).count == count)
        }
        #expect(runs.allSatisfy { $0.state == .done && $0.trigger == .schedule && $0.attempt == 1 })
        for run in runs {
            let due = try #require(run.due)
            let started = try #require(run.started.flatMap { TimeText.parse($0) })
            #expect((0...2).contains(started - due / 1_000_000), "\(run.policy) began \(started), due \(due)")
        }
        #expect(try bench.archives() == 35)
        let verified = await daemon.verifications.entries.values
        #expect(!verified.isEmpty && verified.allSatisfy { $0.passed != nil && $0.failure == nil })
        #expect(bench.told.alarms.isEmpty, "\(bench.told.alarms)")
        let open = await daemon.alarms()
        #expect(open.allSatisfy { $0.kind == "lowSpace" })
        await bench.end(daemon)

        let entries = try bench.availability()
        #expect(entries.first?.kind == "started" && entries.last?.kind == "stopped")
        #expect(!entries.contains { $0.kind == "outage" })
        #expect(entries.map(\.number) == Array(1...entries.count))
        let times = entries.compactMap { TimeText.parse($0.time) }
        #expect(times.count == entries.count)
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.allSatisfy { (0...600).contains($0) }, "a hole in the register")
        let time = try bench.vaultTime(clock)
        let late = clock.reading.wall / 1_000_000 - time.seconds
        #expect(time.isTrusted && abs(late) <= 120)
    }

    @Test("A restart that ten years seem to lie before freezes vault time, with one alarm, and the runs go on")
    func restart() async throws {
        let bench = try ClockBench()
        let first = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        let known = try await Self.firstDay(bench, first)
        #expect(bench.told.alarms.isEmpty, "\(bench.told.alarms)")
        let before = try bench.archives()

        let wall = first.reading.wall + 10 * ClockBench.year
        let second = SimulatedClock(wall: wall, boot: 30_000_000, bootID: "second")
        let daemon = try await bench.start(second)
        try await bench.live(ClockBench.day, daemon, second)
        #expect(bench.told.raised("timeNotTrusted") == 1)
        // Ten years of due runs are one notice, and one run that makes up for all.
        #expect(bench.told.raised("missedRuns") <= 1)
        let open = await daemon.alarms().map(\.kind).filter { $0 != "lowSpace" && $0 != "missedRuns" }
        #expect(open == ["timeNotTrusted"])
        let problems = await daemon.metrics().openProblems
        #expect(problems[.clock] == 1, "until two persons confirm a time")
        let runs = await daemon.runs(of: nil, limit: 1000).filter { !known.contains($0.id) }
        #expect(runs.allSatisfy { $0.state == .done })
        #expect(Self.instants(runs).count == runs.count)
        let (six, daily) = (runs.count { $0.policy == "six" }, runs.count { $0.policy == "daily" })
        #expect(six == 5 && daily == 2, "\(six) and \(daily)")
        let time = try bench.vaultTime(second)
        #expect(!time.isTrusted)
        let passed = time.seconds - first.reading.wall / 1_000_000
        #expect(abs(passed - 86_400) <= 120, "frozen at the restart, then a day went by: \(passed)")
        #expect(try bench.archives() == before + runs.count, "nothing expired")
        await bench.end(daemon)
        #expect(try bench.availability().count { $0.kind == "outage" } == 1)
    }

    @Test("A clock that is set ten years on and back is told each time, doubles no run, and does not move vault time")
    func jump() async throws {
        let bench = try ClockBench()
        let clock = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        let daemon = try await bench.start(clock)
        try await bench.live(ClockBench.day, daemon, clock)
        let begun = clock.reading.wall
        let sound = await daemon.metrics().openProblems
        clock.set(by: 10 * ClockBench.year)
        try await bench.live(6 * ClockBench.hour, daemon, clock)
        let wrong = await daemon.metrics().openProblems
        clock.set(by: -10 * ClockBench.year)
        try await bench.live(ClockBench.day, daemon, clock)
        let mended = await daemon.metrics().openProblems
        #expect(sound[.clock] == nil && wrong[.clock] == 1 && mended[.clock] == nil, "\(sound) \(wrong) \(mended)")
        #expect(bench.told.raised("clockStepped") == 2, "there and back")
        #expect(bench.told.raised("timeNotTrusted") == 0)
        let runs = await daemon.runs(of: nil, limit: 1000)
        #expect(runs.allSatisfy { $0.state == .done })
        #expect(Self.instants(runs).count == runs.count)
        // Of the day behind it each due run was made, as of any other.
        let usual = begun..<begun + 2 * ClockBench.day
        let made = runs.count { $0.policy == "six" && usual.contains($0.due ?? 0) }
        #expect(made >= 4)
        let time = try bench.vaultTime(clock)
        #expect(time.isTrusted)
        let passed = time.seconds - begun / 1_000_000
        let expected: Int64 = 30 * 3600
        #expect(abs(passed - expected) <= 120, "as the machine ran: \(passed)")
        await bench.end(daemon)
    }

    @Test("A key that is not there is an alarm at once, and is tried less and less often until it opens the vault")
    func missingKey() async throws {
        let bench = try ClockBench()
        let clock = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        let daemon = try await bench.start(clock, key: "reader.key")
        try await bench.live(60_000_000, daemon, clock)
        #expect(bench.told.raised("notVerified") == 1, "\(bench.told.alarms)")
        try await bench.live(3 * ClockBench.hour, daemon, clock)
        let problem = try #require(await daemon.status().openProblems?.newest)
        #expect(problem.kind == .failed && problem.policy == "reading key of \(bench.scratch.place("vault"))")
        // After a minute, two, four … and not each minute, nor once an hour.
        #expect((6...9).contains(problem.times), "\(problem.times)")
        let runs = await daemon.runs(of: nil, limit: 100)
        #expect(runs.allSatisfy { $0.state == .done })
        let kit = try String(contentsOfFile: bench.scratch.place("kit"), encoding: .utf8)
        try bench.scratch.write("reader.key", kit)
        try await bench.live(2 * ClockBench.hour, daemon, clock)
        let (open, alarms) = (await daemon.status().openProblems, await daemon.alarms())
        #expect(open?.count == 0 && !alarms.contains { $0.kind == "notVerified" }, "within an hour")
        await bench.end(daemon)
    }

    @Test("Runs that were due while the state was lost and the vault away are made up for when the vault is back, once")
    func lostState() async throws {
        let bench = try ClockBench()
        let clock = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        let known = try await Self.firstDay(bench, clock)
        let archives = try bench.archives()
        for name in ["daemon", "registers"] {
            try FileManager.default.removeItem(atPath: bench.scratch.place("state/\(name)"))
        }
        try #require(rename(bench.scratch.place("vault"), bench.scratch.place("away")) == 0)
        clock.pass(7 * ClockBench.hour)
        let daemon = try await bench.start(clock)
        try await bench.live(600_000_000, daemon, clock)
        let before = await daemon.runs(of: nil, limit: 1000)
        #expect(before.allSatisfy { $0.state == .failed }, "what comes due by itself fails: \(before)")
        try #require(rename(bench.scratch.place("away"), bench.scratch.place("vault")) == 0)
        try await bench.live(ClockBench.hour, daemon, clock)
        let runs = await daemon.runs(of: nil, limit: 1000)
        let restored = runs.filter { $0.trigger == .reconcile }
        #expect(restored.count == archives && archives >= known.count, "\(restored.count) of \(archives)")
        // One makes up for all that was due of a policy.
        let due = runs.filter { $0.trigger == .schedule && $0.policy == "six" && $0.state == .done }
        #expect((1...2).contains(due.count), "\(due)")
        let open = await daemon.alarms()
        #expect(open.contains { $0.kind == "stateDamaged" && $0.subject == "daemon" }, "\(open)")
        await bench.end(daemon)
        // Everything is stored: the next start finds nothing lost, and nothing is made up for again.
        let next = try await bench.start(clock)
        try await bench.live(600_000_000, next, clock)
        let after = await next.runs(of: nil, limit: 1000)
        #expect(after.count { $0.trigger == .reconcile } == archives)
        let later = await next.alarms()
        #expect(!later.contains { $0.kind == "stateDamaged" })
        await bench.end(next)
    }

    /// Lives a day, sets the clock ten years on for six hours, and back. What was done then looks as if it were yet to come.
    private static func thereAndBack(_ bench: ClockBench, _ daemon: Daemon, _ clock: SimulatedClock) async throws {
        try await bench.live(ClockBench.day, daemon, clock)
        clock.set(by: 10 * ClockBench.year)
        try await bench.live(6 * ClockBench.hour, daemon, clock)
        clock.set(by: -10 * ClockBench.year)
    }

    @Test(
        "Runs of a clock that was set ten years on make nothing recent: a source that is gone afterwards is overdue in time",
        arguments: [false, true])
    func future(restarts: Bool) async throws {
        let bench = try ClockBench()
        let clock = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        if restarts { try await Self.briefly(bench, clock) }
        let daemon = try await bench.start(clock)
        if !restarts { try await Self.thereAndBack(bench, daemon, clock) }
        let ahead = TimeText.seconds(clock.reading.wall / 1_000_000 + 86_400)
        let before = await daemon.runs(of: "six", limit: 1000)
        #expect(before.contains { $0.state == .done && $0.asked > ahead })
        #expect(bench.told.raised("overdue") == 0, "\(bench.told.alarms)")
        try #require(rename(bench.scratch.place("tree"), bench.scratch.place("gone")) == 0)
        let left = clock.reading.wall
        // The RPO of `six` is seven hours; what was done last of it is younger than that when the source goes.
        try await bench.live(7 * ClockBench.hour + 600_000_000, daemon, clock)
        #expect(bench.told.raised("failed") >= 1, "\(bench.told.alarms)")
        let open = await daemon.alarms()
        #expect(open.contains { $0.kind == "overdue" && $0.subject == "six" })
        let rows = await daemon.metrics().policies
        let row = try #require(rows.first { $0.name == "six" })
        let (age, overdue) = (try #require(row.age), try #require(row.overdue))
        let gone = (clock.reading.wall - left) / 1_000_000
        #expect(age >= gone && overdue > 0, "age \(age), overdue \(overdue)")
        let last = try #require(row.lastSuccess)
        #expect(last <= left / 1_000_000 + 1)
        await bench.end(daemon)
    }

    private static func briefly(_ bench: ClockBench, _ clock: SimulatedClock) async throws {
        let daemon = try await bench.start(clock)
        try await thereAndBack(bench, daemon, clock)
        await bench.end(daemon)
    }

    @Test(
        "A database that nobody planned is told within a day, once, over a restart too; that it went ends it and is told"
    )
    func unplanned() async throws {
        let bench = try ClockBench()
        let trees = [bench.scratch.place("data")]
        try #require(mkdir(trees[0], 0o755) == 0)
        let page = "SQLite format 3\u{0}" + String(repeating: "x", count: 496)
        try bench.scratch.write("data/one.db", page)
        let clock = SimulatedClock(wall: ClockBench.now, boot: 100_000_000, bootID: "first")
        try await Self.firstHour(bench, clock, trees)
        #expect(bench.told.raised("unplannedSource") == 1)

        let daemon = try await bench.start(clock, looksAt: trees)
        try bench.scratch.write("data/two.db", page)
        try await bench.live(ClockBench.day + ClockBench.hour, daemon, clock)
        #expect(bench.told.raised("unplannedSource") == 2, "\(bench.told.alarms)")
        var open = await daemon.alarms().filter { $0.kind == "unplannedSource" }
        #expect(open.map(\.subject).sorted() == ["one", "two"].map { "sqlite \(trees[0])/\($0).db" })
        #expect(open.allSatisfy { $0.level == "notice" && $0.told == 1 && $0.detail.contains("--draft") })
        #expect(bench.told.raised("sourceChanged") == 0)

        unlink(bench.scratch.place("data/one.db"))
        try await bench.live(ClockBench.day, daemon, clock)
        open = await daemon.alarms().filter { $0.kind == "unplannedSource" }
        #expect(open.map(\.subject) == ["sqlite \(trees[0])/two.db"])
        #expect(bench.told.raised("sourceChanged") == 1)
        try await bench.live(2 * ClockBench.day, daemon, clock)
        #expect(bench.told.raised("sourceChanged") == 1 && bench.told.raised("unplannedSource") == 2)
        await bench.end(daemon)
    }

    /// A daemon that lives for an hour and is gone, with its lock.
    private static func firstHour(_ bench: ClockBench, _ clock: SimulatedClock, _ trees: [String]) async throws {
        let daemon = try await bench.start(clock, looksAt: trees)
        try await bench.live(ClockBench.hour, daemon, clock)
        await bench.end(daemon)
    }
}
