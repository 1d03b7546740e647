import Domain
import Foundation
import Testing

/// What is true outside: copies, volumes, the original, as the world keeps them. It judges every step by itself.
private struct TierWorld {
    let plan: TierPlan
    let committed: Int64
    let keepUntil: Int64
    /// Places and volumes with a good copy (true) or one that was not read yet (false).
    var places: [String: Bool] = ["home": false]
    var volumes: [String: Bool] = [:]
    /// First verifications that somebody wrote down: what nobody recorded cannot start a period.
    var everVerified: [String: Int64] = [:]
    var volumesEverVerified: [String: Int64] = [:]
    var holds: Set<String> = []
    var hasOriginal = true
    var isDisposed = false
    var complaints: [String] = []

    func over(_ tier: Tier, from reached: Int64?, _ now: Int64) -> Bool {
        guard let reached, case .period(let period) = plan[tier].keep else { return false }
        return CountedCalendar.adding(period, to: reached) <= now
    }

    func due(_ tier: Tier) -> Int64? {
        switch plan[tier].trigger {
        case nil: return nil
        case .onCommit: return committed
        case .after(let period): return CountedCalendar.adding(period, to: committed)
        case .afterPrevious:
            let previous: Tier = tier == .offline && plan.online.isUsed ? .online : .active
            guard let reached = reached(previous), case .period(let period) = plan[previous].keep else { return nil }
            return CountedCalendar.adding(period, to: reached)
        }
    }

    func reached(_ tier: Tier) -> Int64? {
        guard let due = tier == .active ? committed : due(tier) else { return nil }
        switch tier {
        case .active: return committed
        case .online:
            var latest = due
            for place in plan.places {
                guard let first = everVerified[place] else { return nil }
                latest = max(latest, first)
            }
            return latest
        case .offline:
            guard volumesEverVerified.count >= plan.offlineCopies else { return nil }
            return max(due, volumesEverVerified.values.sorted()[plan.offlineCopies - 1])
        }
    }

    var goodVolumes: Int { volumes.values.count { $0 } }
    var allPlacesGood: Bool { plan.places.allSatisfy { places[$0] == true } }

    mutating func demand(_ isTrue: Bool, _ words: String, _ now: Int64) {
        if !isTrue { complaints.append("\(words) at \(now - committed) s after the commit") }
    }

    /// Judges a permission that the state machine has given.
    mutating func judge(_ action: TierAction, at now: VaultTime) {
        let instant = now.seconds
        demand(!isDisposed, "\(action) after disposal", instant)
        switch action {
        case .copy, .verify: demand(due(.online).map { $0 <= instant } ?? false, "\(action) early", instant)
        case .writeVolumes, .verifyVolume:
            demand(due(.offline).map { $0 <= instant } ?? false, "\(action) early", instant)
        case .mayRemoveOriginal:
            demand(plan.mode == .move, "an original removed that stays", instant)
            demand(over(.active, from: committed, instant), "an original removed early", instant)
            demand(!plan.online.isUsed || allPlacesGood, "an original removed without its copies", instant)
            let isShelved = plan.offline.isUsed && (due(.offline).map { $0 <= instant } ?? false)
            demand(!isShelved || goodVolumes >= plan.offlineCopies, "an original removed without volumes", instant)
            demand(plan.online.isUsed || goodVolumes >= plan.offlineCopies, "the only copy removed", instant)
        case .mayRemoveCopy:
            demand(plan.offline.isUsed && goodVolumes >= plan.offlineCopies, "left online without volumes", instant)
            demand(!plan.online.isUsed || over(.online, from: reached(.online), instant), "left online early", instant)
            demand(plan.mode == .copy || !hasOriginal, "left online before the original", instant)
        case .mayExpire:
            demand(keepUntil <= instant, "expired against retention", instant)
            demand(plan.mode == .copy || !hasOriginal, "expired before its original", instant)
            for tier in [Tier.online, .offline] where plan[tier].isUsed {
                demand(over(tier, from: reached(tier), instant), "expired while \(tier)", instant)
            }
        }
        switch action {
        case .mayRemoveOriginal, .mayRemoveCopy, .mayExpire:
            demand(now.isTrusted, "\(action) by a clock that is not trusted", instant)
            demand(holds.isEmpty, "\(action) under a hold", instant)
        default: break
        }
    }

    /// Does it and returns the events that tell so.
    mutating func act(on action: TierAction, at now: Int64, using dice: inout RetentionDice) -> [TierEvent] {
        switch action {
        case .copy(let place):
            places[place] = false
            return [.copied(place: place, at: now)]
        case .verify(let place):
            guard places[place] != nil, !dice.once(in: 12) else {
                places[place] = nil
                return [.failed(place: place, at: now)]
            }
            places[place] = true
            return [.verified(place: place, at: now)]
        case .writeVolumes(let count):
            return (0..<count).map { _ in
                let volume = "v\(dice.roll(0...1_000_000_000))"
                volumes[volume] = false
                return .written(volume: volume, at: now)
            }
        case .verifyVolume(let volume):
            guard volumes[volume] != nil, !dice.once(in: 12) else {
                volumes[volume] = nil
                return [.volumeFailed(volume: volume, at: now)]
            }
            volumes[volume] = true
            return [.volumeVerified(volume: volume, at: now)]
        case .mayRemoveOriginal:
            hasOriginal = false
            return [.originalRemoved(at: now)]
        case .mayRemoveCopy(let place):
            places[place] = nil
            return [.removed(place: place, at: now)]
        case .mayExpire:
            isDisposed = true
            return [.disposed(at: now)]
        }
    }

    mutating func learn(_ event: TierEvent) {
        switch event {
        case .verified(let place, let at): everVerified[place] = min(everVerified[place] ?? at, at)
        case .volumeVerified(let volume, let at):
            volumesEverVerified[volume] = min(volumesEverVerified[volume] ?? at, at)
        default: break
        }
    }

    /// Something that nobody asked for; the last good copy is spared, for no plan can bring that back.
    mutating func mishap(at now: Int64, using dice: inout RetentionDice) -> [TierEvent] {
        if isDisposed { return [] }
        let isLastGood = goodVolumes + places.values.count { $0 } < 2
        switch dice.roll(0...5) {
        case 0:
            guard !isLastGood, let place = places.keys.sorted().randomElement(using: &dice) else { return [] }
            places[place] = nil
            return [.failed(place: place, at: now)]
        case 1:
            guard !isLastGood, let volume = volumes.keys.sorted().randomElement(using: &dice) else { return [] }
            volumes[volume] = nil
            return [.volumeFailed(volume: volume, at: now)]
        case 2:
            let id = "h\(dice.roll(0...1_000_000_000))"
            holds.insert(id)
            return [.holdPlaced(id: id)]
        default:
            guard let id = holds.sorted().randomElement(using: &dice) else { return [] }
            holds.remove(id)
            return [.holdReleased(id: id)]
        }
    }
}

/// One archive's life, with a daemon that dies whenever it can.
private struct TierLife {
    var world: TierWorld
    var dice: RetentionDice
    var journal: [TierEvent]
    var state: TierState
    var now: Int64
    var crashes = 0
    var stages: [TierStage] = [.active]

    init(seed: UInt64) throws {
        dice = RetentionDice(seed: seed)
        let plan = try Self.plan(using: &dice)
        now = CountedCalendar.instant(2020, 1, 1) + Int64(dice.roll(0...63_000_000))
        let keep = Period.months(dice.roll(0...140))
        world = TierWorld(plan: plan, committed: now, keepUntil: CountedCalendar.adding(keep, to: now))
        state = TierState(archive: dice.digest())
        journal = [.committed(place: "home", at: now)]
        state.record(journal[0])
    }

    static func plan(using dice: inout RetentionDice) throws -> TierPlan {
        func period(_ dice: inout RetentionDice) -> Period {
            dice.once(in: 6) ? .days(dice.roll(0...40)) : .months(dice.roll(0...45))
        }
        func trigger(_ dice: inout RetentionDice) -> TierTrigger {
            switch dice.roll(0...2) {
            case 0: .onCommit
            case 1: .after(period(&dice))
            default: .afterPrevious
            }
        }
        func use(_ dice: inout RetentionDice, _ trigger: TierTrigger) -> TierUse {
            .used(format: "f", keep: .period(period(&dice)), trigger: trigger)
        }
        let unused = TierUse.unused(reason: "not needed")
        let shape = dice.roll(0...4)
        return try TierPlan(
            active: use(&dice, .onCommit), online: shape == 0 ? unused : use(&dice, trigger(&dice)),
            offline: shape == 1 ? unused : use(&dice, trigger(&dice)), mode: dice.once(in: 2) ? .move : .copy,
            places: Array(["home", "standby", "third"].prefix(dice.roll(1...3))), offlineCopies: dice.roll(1...2))
    }

    /// The daemon starts again with what it stored: the state, or the journal, some of it told twice.
    private mutating func restart() throws {
        crashes += 1
        if dice.once(in: 2) {
            state = try JSONDecoder().decode(TierState.self, from: JSONEncoder().encode(state))
            for _ in 0..<dice.roll(0...3) {
                if let old = journal.randomElement(using: &dice) { state.record(old) }
            }
        }
        let folded = TierState(archive: state.archive, folding: journal)
        if folded != state { world.complaints.append("the journal tells another state: \(folded) \(state)") }
    }

    private mutating func record(_ events: [TierEvent]) {
        for event in events {
            journal.append(event)
            world.learn(event)
            state.record(event)
            if dice.once(in: 10) { state.record(event) }
        }
    }

    /// One wake of the daemon. In calm nothing goes wrong any more.
    mutating func wake(isCalm: Bool) throws {
        let time = VaultTime(seconds: now, isTrusted: isCalm || !dice.once(in: 8))
        if !isCalm, dice.once(in: 6) { record(world.mishap(at: now, using: &dice)) }
        if isCalm { record(world.holds.sorted().map { .holdReleased(id: $0) }) }
        if isCalm { world.holds = [] }
        if dice.once(in: 3) { try restart() }
        let isExpirable = world.keepUntil <= now
        let asked = state.actions(world.plan, at: time, isExpirable: isExpirable).shuffled(using: &dice)
        // Judged as given together: each permission stands on its own.
        for action in asked { world.judge(action, at: time) }
        for action in asked where isCalm || !dice.once(in: 4) {
            if !isCalm, dice.once(in: 5) { try restart() }
            let mayAct = state.actions(world.plan, at: time, isExpirable: isExpirable).contains(action)
            guard mayAct else { continue }
            world.judge(action, at: time)
            let events = world.act(on: action, at: now, using: &dice)
            // Death between the act and its record: the act is asked for again later, and done again.
            if !isCalm, dice.once(in: 8), isRepeatable(action) { try restart() } else { record(events) }
            now += Int64(dice.roll(1...30))
        }
        let stage = state.stage(world.plan, at: now)
        if stage != stages.last { stages.append(stage) }
    }

    private func isRepeatable(_ action: TierAction) -> Bool {
        switch action {
        case .copy, .verify, .writeVolumes, .verifyVolume: true
        case .mayRemoveOriginal, .mayRemoveCopy, .mayExpire: false
        }
    }

    /// To the next instant that matters, a second before it, or anywhere.
    mutating func sleep() {
        let next = state.nextInstant(world.plan, after: now)
        if let next, dice.once(in: 3) {
            now = max(now + 1, dice.once(in: 2) ? next : next - 1)
        } else {
            now += Int64(dice.roll(60...2_500_000))
        }
    }
}

@Suite("The tiers over simulated years")
struct TierSimulationTests {
    @Test("Nothing is early, skipped or lost in ten years and more of faults, holds, crashes and clock jumps")
    func years() throws {
        let lives = RetentionDice.isLong ? 3000 : 90
        let seed = RetentionDice.seed
        print("tiers: seeds \(seed) to \(seed + UInt64(lives) - 1)")
        var crashes = 0
        var routes: [[TierStage]: Int] = [:]
        for life in 0..<UInt64(lives) {
            var run = try TierLife(seed: seed + life)
            let calmAt = CountedCalendar.adding(.years(10), to: run.now)
            while run.now < calmAt, !run.world.isDisposed {
                try run.wake(isCalm: false)
                run.sleep()
            }
            // All periods and lateness together stay below these years.
            let end = CountedCalendar.adding(.years(30), to: run.now)
            while run.now < end, !run.world.isDisposed {
                try run.wake(isCalm: true)
                run.sleep()
            }
            if !run.world.isDisposed { run.world.complaints.append("never expired: \(run.state)") }
            let words = run.world.complaints.prefix(3).joined(separator: "\n")
            #expect(run.world.complaints.isEmpty, "seed \(seed + life): \(run.world.plan)\n\(words)")
            #expect(run.stages == run.stages.sorted(), "seed \(seed + life): \(run.stages)")
            if run.world.plan.online.isUsed { #expect(run.stages.contains(.online)) }
            crashes += run.crashes
            routes[run.stages, default: 0] += 1
        }
        print(
            "tiers: \(lives) lives, \(crashes) crashes, routes \(routes.map { "\($0.key.map(\.rawValue)): \($0.value)" })"
        )
        #expect(routes.count >= 3 && crashes > lives * 20)
    }

    @Test("Events of different copies may arrive in any order and any number of times")
    func orderOfEvents() throws {
        var dice = RetentionDice(seed: RetentionDice.seed)
        for _ in 0..<400 {
            // Each copy has its own story in order; the stories are shuffled into each other.
            var stories: [[TierEvent]] = ["a", "b"].map { place in
                var at: Int64 = 0
                return (0..<dice.roll(1...6)).map { _ in
                    at += Int64(dice.roll(1...5))
                    switch dice.roll(0...4) {
                    case 0: return .copied(place: place, at: at)
                    case 1: return .failed(place: place, at: at)
                    case 2: return .removed(place: place, at: at)
                    default: return .verified(place: place, at: at)
                    }
                }
            }
            stories.append([.written(volume: "a", at: 3), .volumeVerified(volume: "a", at: 4)])
            stories += [
                [.holdPlaced(id: "h")], [.holdReleased(id: "h")], [.originalRemoved(at: 3)], [.disposed(at: 9)],
            ]
            stories.append([.committed(place: "c", at: 1)])
            let expected = TierState(archive: .zero, folding: stories.joined())
            for _ in 0..<3 {
                var rest = stories
                var mixed: [TierEvent] = []
                while !rest.isEmpty {
                    let at = dice.roll(0...(rest.count - 1))
                    mixed.append(rest[at].removeFirst())
                    if dice.once(in: 3), let old = mixed.randomElement(using: &dice) { mixed.append(old) }
                    if rest[at].isEmpty { rest.remove(at: at) }
                }
                #expect(TierState(archive: .zero, folding: mixed) == expected)
            }
        }
    }

    @Test("No state needs more than its own next instant to wake up for")
    func wakeUps() throws {
        var dice = RetentionDice(seed: RetentionDice.seed + 5)
        for _ in 0..<150 {
            var run = try TierLife(seed: dice.next())
            for _ in 0..<dice.roll(0...25) {
                try run.wake(isCalm: dice.once(in: 2))
                run.sleep()
            }
            func actions(_ at: Int64) -> [TierAction] {
                run.state.actions(run.world.plan, at: VaultTime(seconds: at), isExpirable: true)
            }
            let next = run.state.nextInstant(run.world.plan, after: run.now) ?? run.now + 400_000_000
            for _ in 0..<6 where next > run.now {
                let at = Int64.random(in: run.now..<next, using: &dice)
                #expect(actions(at) == actions(run.now) && actions(next - 1) == actions(run.now))
            }
        }
    }
}
