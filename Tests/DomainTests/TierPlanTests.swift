import Domain
import Foundation
import Testing

@Suite("The tier plan")
struct TierPlanTests {
    private let start = CountedCalendar.instant(2026, 1, 31, 8)
    private let archive = Digest(words: (7, 7, 7, 7))

    private func used(_ keep: KeepingTerm, _ trigger: TierTrigger = .onCommit) -> TierUse {
        .used(format: "files", keep: keep, trigger: trigger)
    }

    private func years(_ count: Int) -> KeepingTerm { .period(.years(count)) }

    private func plan(_ mode: TierPlan.Mode = .copy, offline: TierTrigger = .afterPrevious) throws -> TierPlan {
        try TierPlan(
            active: used(.period(.months(1))), online: used(years(1)), offline: used(years(5), offline), mode: mode,
            places: ["primary", "standby"], offlineCopies: 2)
    }

    private func trusted(_ instant: Int64) -> VaultTime { VaultTime(seconds: instant) }

    @Test("Every tier needs its answer, and answers that contradict each other are refused")
    func refusals() throws {
        let unused = TierUse.unused(reason: "no shelf")
        let offline = used(years(5))
        func reason(
            active: TierUse? = nil, online: TierUse? = nil, offline: TierUse? = nil, mode: TierPlan.Mode = .copy,
            places: [String] = ["a"], copies: Int = 1
        ) -> RetentionError.Reason? {
            do {
                _ = try TierPlan(
                    active: active ?? used(years(1)), online: online ?? used(years(1)), offline: offline ?? unused,
                    mode: mode, places: places, offlineCopies: copies)
                return nil
            } catch {
                return error.reason
            }
        }
        #expect(reason() == nil)
        #expect(reason(online: unused, offline: offline, places: []) == nil)
        #expect(reason(online: unused) == .noArchiveTier)
        #expect(reason(offline: .unused(reason: " ")) == .emptyTierText(.offline))
        #expect(reason(online: .used(format: "", keep: .forever, trigger: .onCommit)) == .emptyTierText(.online))
        #expect(reason(places: []) == .noPlace)
        #expect(reason(places: ["a", "b", "a"]) == .repeatedPlace("a"))
        #expect(reason(places: ["a/b"]) == .badPlace("a/b"))
        #expect(reason(places: (0...64).map { "p\($0)" }) == .tooManyPlaces)
        #expect(reason(offline: offline, copies: 0) == .offlineCopiesOutOfRange(0))
        #expect(reason(offline: offline, copies: 17) == .offlineCopiesOutOfRange(17))
        #expect(reason(active: used(years(1), .after(.days(1)))) == .activeTrigger)
        #expect(reason(active: used(.forever), mode: .move) == .moveNeedsActiveTerm)
        #expect(reason(active: unused, mode: .move) == .moveNeedsActiveTerm)
        #expect(reason(active: used(.forever), online: used(years(1), .afterPrevious)) == .previousNeverEnds(.online))
        #expect(
            reason(online: used(.forever), offline: used(years(1), .afterPrevious)) == .previousNeverEnds(.offline))
        #expect(
            reason(active: unused, online: unused, offline: used(years(1), .afterPrevious), places: [])
                == .previousNeverEnds(.offline))
    }

    @Test("A copied archive goes through every tier on the exact second and never early")
    func copying() throws {
        let plan = try plan()
        var state = TierState(archive: archive)
        func actions(_ at: Int64, isExpirable: Bool = true) -> [TierAction] {
            state.actions(plan, at: trusted(at), isExpirable: isExpirable)
        }
        #expect(actions(start).isEmpty && state.nextInstant(plan, after: 0) == nil)
        state.record(.committed(place: "primary", at: start))
        #expect(actions(start) == [.verify(in: "primary"), .copy(to: "standby")])
        #expect(state.stage(plan, at: start) == .active)
        state.record(.verified(place: "primary", at: start + 5))
        state.record(.verified(place: "standby", at: start + 9))
        #expect(actions(start + 9).isEmpty && state.stage(plan, at: start + 9) == .online)
        #expect(state.standing(plan, at: start + 9).owes == .offline)

        let leaving = CountedCalendar.adding(.years(1), to: start + 9)
        #expect(state.nextInstant(plan, after: start + 100_000_00) == leaving)
        #expect(actions(leaving - 1).isEmpty)
        #expect(actions(leaving) == [.writeVolumes(2)])
        state.record(.written(volume: "v1", at: leaving + 10))
        #expect(actions(leaving + 10) == [.writeVolumes(1), .verifyVolume("v1")])
        state.record(.volumeVerified(volume: "v1", at: leaving + 20))
        state.record(.volumeVerified(volume: "v2", at: leaving + 30))
        #expect(actions(leaving + 30) == [.mayRemoveCopy(in: "primary"), .mayRemoveCopy(in: "standby")])
        state.record(.removed(place: "primary", at: leaving + 40))
        #expect(state.stage(plan, at: leaving + 40) == .online)
        state.record(.removed(place: "standby", at: leaving + 50))
        #expect(state.stage(plan, at: leaving + 50) == .offline && actions(leaving + 50).isEmpty)

        let end = CountedCalendar.adding(.years(5), to: leaving + 30)
        #expect(state.standing(plan, at: end) == TierStanding(stage: .offline, owes: nil, end: end))
        #expect(state.end(.online, plan) == leaving && state.end(.offline, plan) == end)
        #expect(state.nextInstant(plan, after: leaving + 50) == end)
        #expect(actions(end - 1).isEmpty && actions(end, isExpirable: false).isEmpty)
        #expect(actions(end) == [.mayExpire])
        state.record(.disposed(at: end + 1))
        #expect(state.stage(plan, at: end + 1) == .expired && actions(.max).isEmpty)
        #expect(state.nextInstant(plan, after: end) == nil)
    }

    @Test("An original goes only after its time, and only while every demanded place has a verified copy")
    func moving() throws {
        let plan = try plan(.move)
        let end = CountedCalendar.adding(.months(1), to: start)
        #expect(end == CountedCalendar.instant(2026, 2, 28, 8))
        var state = TierState(archive: archive)
        func mayRemove(_ at: Int64, isTrusted: Bool = true) -> Bool {
            state.actions(plan, at: VaultTime(seconds: at, isTrusted: isTrusted), isExpirable: false)
                .contains(.mayRemoveOriginal)
        }
        state.record(.committed(place: "primary", at: start))
        state.record(.verified(place: "primary", at: start + 1))
        #expect(!mayRemove(end))
        state.record(.copied(place: "standby", at: start + 2))
        #expect(!mayRemove(end))
        state.record(.verified(place: "standby", at: start + 3))
        #expect(!mayRemove(end - 1) && mayRemove(end) && !mayRemove(end, isTrusted: false))
        state.record(.failed(place: "primary", at: start + 4))
        #expect(!mayRemove(end))
        state.record(.verified(place: "primary", at: start + 5))
        state.record(.holdPlaced(id: "h"))
        #expect(!mayRemove(end))
        state.record(.holdReleased(id: "h"))
        #expect(mayRemove(end))
        #expect(state.standing(plan, at: end).owes == .offline)
        for volume in ["v1", "v2"] { state.record(.volumeVerified(volume: volume, at: start + 9)) }
        #expect(state.standing(plan, at: end).owes == .active)
        #expect(state.actions(plan, at: trusted(.max), isExpirable: true) == [.mayRemoveOriginal])
        state.record(.originalRemoved(at: end))
        #expect(state.standing(plan, at: end).owes == nil)
    }

    @Test("Volumes that are due at once hold an original back too, and a vault copy that only staged them may go")
    func offlineOnly() throws {
        let direct = try plan(.move, offline: .onCommit)
        var state = TierState(archive: archive)
        state.record(.committed(place: "primary", at: start))
        for place in direct.places { state.record(.verified(place: place, at: start)) }
        let later = CountedCalendar.adding(.months(2), to: start)
        #expect(state.actions(direct, at: trusted(later), isExpirable: false) == [.writeVolumes(2)])
        for volume in ["v1", "v2"] { state.record(.volumeVerified(volume: volume, at: start + 9)) }
        #expect(state.actions(direct, at: trusted(later), isExpirable: false) == [.mayRemoveOriginal])

        let shelf = try TierPlan(
            active: used(years(1)), online: .unused(reason: "too large"), offline: used(years(2), .after(.days(1))))
        state = TierState(archive: archive, folding: [.committed(place: "primary", at: start)])
        #expect(state.actions(shelf, at: trusted(start + 86_399), isExpirable: true).isEmpty)
        #expect(state.actions(shelf, at: trusted(start + 86_400), isExpirable: true) == [.writeVolumes(1)])
        state.record(.volumeVerified(volume: "v", at: start + 99_999))
        #expect(state.stage(shelf, at: start + 99_998) == .active)
        #expect(state.stage(shelf, at: start + 99_999) == .offline)
        let now = trusted(start + 99_999)
        #expect(state.actions(shelf, at: now, isExpirable: true) == [.mayRemoveCopy(in: "primary")])
    }

    @Test("While the clock is not trusted nothing is removed and nothing begins that waited for its time")
    func untrusted() throws {
        let plan = try plan()
        var state = TierState(archive: archive, folding: [.committed(place: "primary", at: start)])
        let far = VaultTime(seconds: start + 4_000_000_000, isTrusted: false)
        #expect(
            state.actions(plan, at: far, isExpirable: true) == [.verify(in: "primary"), .copy(to: "standby")])
        for place in plan.places { state.record(.verified(place: place, at: start)) }
        #expect(state.actions(plan, at: far, isExpirable: true).isEmpty)
        for volume in ["v1", "v2"] { state.record(.volumeVerified(volume: volume, at: start + 9)) }
        #expect(state.actions(plan, at: far, isExpirable: true).isEmpty)
        #expect(state.actions(plan, at: trusted(far.seconds), isExpirable: true) == [.mayExpire])
    }

    @Test("A copy that fails is made and verified again, and its period does not start anew")
    func failures() throws {
        let plan = try plan()
        var state = TierState(archive: archive, folding: [.committed(place: "primary", at: start)])
        for place in plan.places { state.record(.verified(place: place, at: start + 1)) }
        state.record(.failed(place: "standby", at: start + 50))
        #expect(state.actions(plan, at: trusted(start + 60), isExpirable: false) == [.copy(to: "standby")])
        #expect(state.stage(plan, at: start + 60) == .online)
        state.record(.verified(place: "standby", at: start + 1))
        #expect(state.actions(plan, at: trusted(start + 60), isExpirable: false) == [.copy(to: "standby")])
        state.record(.copied(place: "standby", at: start + 60))
        #expect(state.actions(plan, at: trusted(start + 60), isExpirable: false) == [.verify(in: "standby")])
        let leaving = CountedCalendar.adding(.years(1), to: start + 1)
        #expect(state.actions(plan, at: trusted(leaving), isExpirable: false).contains(.writeVolumes(2)))

        for volume in ["v1", "v2"] { state.record(.volumeVerified(volume: volume, at: leaving)) }
        for place in plan.places { state.record(.removed(place: place, at: leaving + 5)) }
        state.record(.volumeFailed(volume: "v1", at: leaving + 9))
        #expect(state.actions(plan, at: trusted(leaving + 9), isExpirable: false) == [.writeVolumes(1)])
        #expect(state.stage(plan, at: leaving + 9) == .offline)
        let end = CountedCalendar.adding(.years(5), to: leaving)
        #expect(state.actions(plan, at: trusted(end), isExpirable: true) == [.mayExpire])
    }

    @Test("Nothing leaves the online tier while a volume is not verified, a hold covers it or the original is owed")
    func leaving() throws {
        let plan = try plan(.move)
        var state = TierState(archive: archive, folding: [.committed(place: "primary", at: start)])
        for place in plan.places { state.record(.verified(place: place, at: start)) }
        let later = CountedCalendar.adding(.years(2), to: start)
        func mayLeave(isTrusted: Bool = true) -> Bool {
            let now = VaultTime(seconds: later, isTrusted: isTrusted)
            return state.actions(plan, at: now, isExpirable: false).contains(.mayRemoveCopy(in: "primary"))
        }
        state.record(.volumeVerified(volume: "v1", at: later - 100))
        #expect(!mayLeave())
        state.record(.volumeVerified(volume: "v2", at: later - 90))
        #expect(!mayLeave(), "the original is still in the active system")
        state.record(.originalRemoved(at: later - 80))
        #expect(mayLeave() && !mayLeave(isTrusted: false))
        state.record(.volumeFailed(volume: "v2", at: later - 70))
        #expect(!mayLeave())
        state.record(.volumeVerified(volume: "v2", at: later - 60))
        #expect(mayLeave())
        state.record(.holdPlaced(id: "h"))
        #expect(!mayLeave())
        state.record(.holdReleased(id: "h"))
        #expect(mayLeave())
    }

    @Test("States survive storage, damaged ones are refused")
    func storage() throws {
        var state = TierState(
            archive: archive,
            folding: [
                .committed(place: "primary", at: 5), .verified(place: "standby", at: 6), .holdPlaced(id: "h"),
                .holdReleased(id: "g"), .failed(place: "primary", at: 7), .volumeVerified(volume: "v", at: 8),
                .originalRemoved(at: 9), .removed(place: "standby", at: 10), .volumeFailed(volume: "w", at: 3),
            ])
        #expect(try JSONDecoder().decode(TierState.self, from: JSONEncoder().encode(state)) == state)
        state.record(.disposed(at: 11))
        #expect(try JSONDecoder().decode(TierState.self, from: JSONEncoder().encode(state)) == state)
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(TierState.self, from: Data(#"{"archive":"00","places":{}}"#.utf8))
        }
    }

    @Test("Tiers, stages and triggers have their official names")
    func names() {
        #expect(Tier.allCases.map { $0.name(in: .azerbaijani) } == ["aktiv sistem", "onlayn arxiv", "oflayn arxiv"])
        #expect(TierStage.expired.name(in: .azerbaijani) == "məhv edilmişdir")
        #expect(TierStage.allCases == TierStage.allCases.sorted())
        #expect(TierTrigger.after(.days(30)).text(in: .azerbaijani) == "30 gün sonra")
        for language in Language.allCases {
            #expect(Set(TierStage.allCases.map { $0.name(in: language) }).count == 4)
            let triggers = [TierTrigger.onCommit, .after(.days(1)), .afterPrevious]
            #expect(Set(triggers.map { $0.text(in: language) }).count == 3)
        }
    }
}
