import Domain
import Testing

@Suite("Originals that may go")
struct MovingTests {
    private let archived = OriginalStamp(
        kind: .file, device: 1, inode: 2, size: 3, modified: Timestamp(seconds: 100, nanoseconds: 5),
        changed: Timestamp(seconds: 200, nanoseconds: 6), linkCount: 1)
    private let later = Timestamp(seconds: 1000)

    private func reason(
        read: Bool = false, at clock: Timestamp? = nil, _ change: (inout OriginalStamp) -> Void = { _ in }
    ) -> StayReason? {
        var now = archived
        change(&now)
        return .of(archived: archived, changedWhileRead: read, now: now, clock: clock ?? later)
    }

    @Test("Only the very file, unchanged, with one name and an old stamp may go")
    func stamps() {
        #expect(reason() == nil)
        #expect(reason { $0.kind = .symlink } == .notFile)
        #expect(reason { $0.kind = nil } == .notFile)
        #expect(reason { $0.device = 9 } == .replaced)
        #expect(reason { $0.inode = 9 } == .replaced)
        #expect(reason { $0.linkCount = 2 } == .linked)
        #expect(reason { $0.linkCount = 0 } == .linked)
        #expect(reason { $0.size = 4 } == .changed)
        #expect(reason { $0.modified.nanoseconds = 6 } == .changed)
        #expect(reason { $0.changed.nanoseconds = 7 } == .changed)
        #expect(reason(read: true) == .changed)
    }

    @Test("A stamp as young as the clock's grain proves nothing, nor one ahead of the clock")
    func young() {
        #expect(reason(at: Timestamp(seconds: 202)) == .recent)
        #expect(reason(at: Timestamp(seconds: 203)) == nil)
        #expect(reason(at: Timestamp(seconds: 100)) == .recent)
        #expect(reason(at: Timestamp(seconds: .min)) == .recent)
    }

    @Test("After a rename nothing but the time of change may differ")
    func renamed() {
        var other = archived
        other.changed = Timestamp(seconds: 900)
        #expect(archived.isSame(as: other))
        other.size = 4
        #expect(!archived.isSame(as: other))
    }

    @Test("What is waited for is said, and nothing is left to wait for exactly when the original may go")
    func waits() throws {
        func used(_ keep: KeepingTerm, _ trigger: TierTrigger = .onCommit) -> TierUse {
            .used(format: "files", keep: keep, trigger: trigger)
        }
        let plan = try TierPlan(
            active: used(.period(.days(1))), online: used(.period(.years(1))),
            offline: used(.period(.years(5)), .after(.days(2))), mode: .move, places: ["here", "there"],
            offlineCopies: 2)
        let day: Int64 = 86_400
        let start: Int64 = 1_700_000_000
        var state = TierState(archive: Digest(words: (1, 2, 3, 4)))
        func check(_ at: Int64, _ expected: [MoveWait], isTrusted: Bool = true) {
            let now = VaultTime(seconds: at, isTrusted: isTrusted)
            let waits = state.waits(plan, at: now)
            #expect(waits == expected)
            let may = state.actions(plan, at: now, isExpirable: false).contains(.mayRemoveOriginal)
            #expect(may == waits.isEmpty)
        }
        check(start, [.period(until: nil), .copy("here"), .copy("there")])
        state.record(.committed(place: "here", at: start))
        check(start, [.period(until: start + day), .verification("here"), .copy("there")])
        state.record(.verified(place: "here", at: start + 1))
        check(start + day, [.copy("there")])
        state.record(.verified(place: "there", at: start + 2))
        check(start + day - 1, [.period(until: start + day)])
        check(start + day, [])
        check(start + day, [.time], isTrusted: false)
        check(start + 2 * day, [.volumes(2)])
        state.record(.volumeVerified(volume: "v1", at: start + 3))
        check(start + 2 * day, [.volumes(1)])
        state.record(.volumeVerified(volume: "v2", at: start + 3))
        check(start + 2 * day, [])
        state.record(.holdPlaced(id: "h"))
        check(start + 2 * day, [.hold("h")])
        state.record(.holdReleased(id: "h"))
        state.record(.failed(place: "here", at: start + 4))
        check(start + 2 * day, [.copy("here")])
        // A verification that vault time has not come to yet.
        state.record(.verified(place: "here", at: start + 5))
        check(start + 2 * day, [])
        state.record(.originalRemoved(at: start + 3 * day))
        #expect(state.waits(plan, at: VaultTime(seconds: start)).isEmpty)
    }

    @Test("What is waited for has words in both languages, and one for programs")
    func words() {
        let all: [MoveWait] = [
            .time, .hold("0123456789abcdef"), .period(until: 1), .period(until: nil), .copy("a"), .verification("a"),
            .volumes(2), .partial,
        ]
        for language in Language.allCases { #expect(Set(all.map { $0.text(in: language) }).count == all.count) }
        #expect(Set(all.map(\.word)).count == all.count)
        #expect(MoveWait.copy("baku").text(in: .english).contains("waits for site baku"))
        for language in Language.allCases {
            let texts = StayReason.allCases.map { $0.text(in: language) }
            #expect(Set(texts).count == texts.count)
        }
    }

    @Test("What was moved is kept for the longest period of its policy, from the removal on; without any, for ever")
    func keeping() throws {
        var policy = try Sample.policy()
        #expect(policy.keepsMoved(from: 1000) == Period.years(10).adding(to: 1000))
        policy.tiers[.offline] = .unused(reason: "no shelf")
        #expect(policy.keepsMoved(from: 1000) == Period.years(7).adding(to: 1000))
        policy.retention = try RetentionRule(keepFor: .forever)
        #expect(policy.keepsMoved(from: 1000) == nil)
        policy.retention = nil
        policy.tiers = [:]
        #expect(policy.keepsMoved(from: 1000) == nil)
    }

    @Test("An archive that is the only copy of moved files is kept until their period is over, although its own is")
    func onlyCopy() throws {
        let rule = try RetentionRule(keepFor: .period(.days(1)))
        func isKept(_ moved: MovedFiles?, at now: Int64) -> Bool? {
            let series = Digest(words: (9, 9, 9, 9))
            let old = ArchiveFact(
                id: Digest(words: (1, 0, 0, 0)), policy: "p", series: series, time: 1000, moved: moved)
            let new = ArchiveFact(id: Digest(words: (2, 0, 0, 0)), policy: "p", series: series, time: 2000)
            let decisions = RetentionPlan.decide(
                archives: [old, new], rules: ["p": rule], holds: [], now: VaultTime(seconds: now))
            return decisions.first { $0.archive == old.id }?.isKept
        }
        #expect(isKept(nil, at: 200_000) == false)
        #expect(isKept(MovedFiles(count: 3, end: 300_000), at: 299_999) == true)
        #expect(isKept(MovedFiles(count: 3, end: 300_000), at: 300_000) == false)
        #expect(isKept(MovedFiles(count: 3, end: nil), at: .max) == true)
        let reason = KeepReason(.onlyCopy(files: 3), until: nil)
        #expect(reason.text(in: .english).contains("the only copy of 3 moved files"))
    }

    @Test("A policy that moves, among others, and other sources of one that does need a second person")
    func consents() throws {
        var moving = try Sample.policy("b")
        moving.mode = .move
        func consents(_ old: [Policy], _ new: [Policy]) -> [Set<ConsentReason>] {
            PolicyPlan.compare(
                PolicySet(people: .none, policies: old), PolicySet(people: .none, policies: new)
            ).map(\.consent)
        }
        let other = try Sample.policy("a")
        #expect(consents([other], [other, moving]) == [[.originalsRemoved]])
        #expect(consents([], [moving]) == [[]], "the act of installation")
        var wider = moving
        wider.sources.append(FileSource(path: "/srv"))
        #expect(consents([moving], [wider]) == [[.originalsRemoved]])
        var following = moving
        following.logs = [LogSource(path: "/srv/app/*.log")]
        following.data = [.sqlite(SQLiteSource(name: "app", path: "/srv/app.db"))]
        #expect(consents([moving], [following]) == [[]])
        #expect(consents([following], [moving]) == [[.originalsRemoved]])
    }
}
