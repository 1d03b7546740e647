import Testing

@testable import Domain

@Suite("What other rules would give up earlier")
struct EarlierExpiryTests {
    private func expiry(_ archive: UInt64, _ instant: Int64) -> ExpectedExpiry {
        ExpectedExpiry(
            instant: instant, archive: Digest(words: (archive, 0, 0, 0)), last: KeepReason(.tierTerm, until: instant),
            assumedTier: nil)
    }

    @Test("Only what goes earlier than before, or at all where it never went, is told")
    func earlier() {
        let before = [expiry(1, 100), expiry(2, 100), expiry(3, 100), expiry(4, 100)]
        let after = [expiry(1, 99), expiry(2, 100), expiry(3, 101), expiry(5, 200)]
        let found = RetentionPlan.earlier(before: before, after: after)
        #expect(found.map(\.after) == [expiry(1, 99), expiry(5, 200)])
        #expect(found.map(\.before) == [100, nil])
        #expect(RetentionPlan.earlier(before: after, after: after).isEmpty)
    }

    @Test("A shorter period gives up archives earlier, and never the newest")
    func rules() throws {
        let archives = (0..<3).map { number in
            ArchiveFact(
                id: Digest(words: (UInt64(number) + 1, 0, 0, 0)), policy: "web", series: .zero,
                time: Int64(number) * 86_400)
        }
        func expiries(_ years: Int) throws -> [ExpectedExpiry] {
            let rule = try RetentionRule(keepFor: .period(.years(years)))
            return RetentionPlan.simulate(archives: archives, rules: ["web": rule], holds: [], until: .max)
        }
        let found = RetentionPlan.earlier(before: try expiries(7), after: try expiries(5))
        #expect(found.map(\.after.archive) == archives.prefix(2).map(\.id))
        #expect(found.allSatisfy { ($0.before ?? 0) > $0.after.instant })
        #expect(RetentionPlan.earlier(before: try expiries(5), after: try expiries(7)).isEmpty)
    }
}
