import Testing

@testable import Domain

/// Held against what `systemd-analyze calendar` said when `scripts/make-calendar-corpus` asked it.
@Suite("Calendar expressions agree with systemd")
struct CalendarCorpusTests {
    @Test("Every expression of the corpus is accepted or refused, normalised and elapses as systemd says")
    func corpus() throws {
        let lines = try CalendarCorpus.lines()
        #expect(lines.count >= 5000)
        #expect(lines.count { $0.form == nil } > 300)
        var disagreements: [String] = []
        for line in lines {
            guard let said = try disagreement(line) else { continue }
            disagreements.append(
                "line \(line.number): `\(line.expression)` in \(line.zone) after \(line.base): \(said)")
        }
        let shown = disagreements.prefix(20).joined(separator: "\n")
        #expect(disagreements.isEmpty, "\(disagreements.count) of \(lines.count) lines disagree:\n\(shown)")
    }

    private func disagreement(_ line: CalendarCorpus.Line) throws -> String? {
        let expression: CalendarExpression
        do {
            expression = try CalendarExpression(parsing: line.expression, isZone: Zones.exists)
        } catch {
            if (0...line.expression.utf8.count).contains(error.offset), !error.hint.isEmpty, line.form == nil {
                return nil
            }
            return "refused (\(error)), but systemd says \(line.form ?? "error")"
        }
        guard let form = line.form else { return "accepted as \(expression)" }
        if expression.description != form { return "is \(expression), but systemd says \(form)" }
        // The normalised form means the same and is its own. Of `0/1,0.5` seconds systemd, too, prints `*` only.
        if !form.contains(":* "), !form.hasSuffix(":*") {
            let again = try CalendarExpression(parsing: form, isZone: Zones.exists)
            if again != expression || again.description != form { return "is not what \(form) is" }
        }
        let zone = try Zones.named(expression.zoneName ?? line.zone)
        var after = line.base
        for (index, elapse) in line.elapses.enumerated() {
            guard let next = expression.next(after: after, in: zone) else { return "never, but systemd says \(elapse)" }
            if next <= after { return "\(next) is not after \(after)" }
            if next / 1_000_000 != elapse { return "elapse \(index + 1) is \(next / 1_000_000), not \(elapse)" }
            after = next
        }
        if line.elapses.isEmpty, let next = expression.next(after: after, in: zone) {
            return "elapses at \(next), but systemd says never"
        }
        return nil
    }

    @Test("Clocks of the zones of the corpus show what they showed")
    func clocks() throws {
        let rows = try CalendarCorpus.rows("zone-corpus.tsv")
        #expect(rows.count > 1000)
        for row in rows {
            guard row.count == 5, let second = Int(row[1]) else {
                Issue.record("malformed: \(row)")
                continue
            }
            let type = try Zones.named(row[0]).localType(at: second)
            let shown = "\(type.offset)\t\(type.isDaylight ? 1 : 0)\t\(type.abbreviation)"
            #expect(shown == row[2...].joined(separator: "\t"), "\(row[0]) at \(second)")
        }
    }
}
