import Foundation
import Testing

@testable import Domain

@Suite("Reading calendar expressions")
struct CalendarParsingTests {
    @Test(
        "A mistake is shown where it is, with what to write instead",
        arguments: [
            ("", 0, "empty", "daily"),
            ("dayly", 0, "`dayly`", "Did you mean `daily`?"),
            ("monthy", 3, "weekday", "Mon"),
            (" daily", 0, "a blank", "Write a date"),
            ("30 3 * * 1", 0, "crontab", "Mon *-*-* 03:30:00"),
            ("*/15 * * * *", 1, "step does not follow `*`", "*:0/15"),
            ("*:*/15", 3, "step does not follow `*`", "*:0/15"),
            ("5", 0, "neither a date nor a time", "*-*-05"),
            ("25:00", 0, "the hour 25 is outside 00 to 23", "0 to 23"),
            ("*-*-* 12:61", 9, "the minute 61 is outside 00 to 59", "0 to 59"),
            ("*-*-* 12:00:60", 12, "the second 60", "59.999999"),
            ("*-13-01", 2, "the month 13 is outside 01 to 12", "1 to 12"),
            ("*-02~29", 5, "outside 01 to 28 from the end of the month", "~01"),
            ("2200-01-01", 0, "the year 2200 is outside 1970 to 2199", "1970 to 2199"),
            ("Fri..Mon", 5, "from Monday towards Sunday", "Mon,Fri..Sun"),
            ("Mon..", 5, "a weekday is missing", "Sun"),
            ("Mon..Tue..Wed", 8, "a range has two ends", "Mon..Wed,Fri"),
            ("Mon Tue", 4, "`Tue`", "number"),
            ("5..1:00", 0, "the range 05..01 ends before it begins", "0 to 23"),
            ("1/0:00", 2, "a step of zero", "Leave the step out"),
            ("0/24:00", 0, "the step 24 leaves nothing but 00", "0..23/6"),
            ("2024-01-01T10:00", 10, "`T10:00`", "number"),
            ("2026-01-01 10:00 Asia/Bakuu", 17, "no time zone `Asia/Bakuu`", "Asia/Baku"),
            ("daily europe/berlin", 6, "no time zone", "capitals"),
            ("@12x", 0, "`@` takes whole seconds", "@1767225600"),
            ("2024-02~03-04", 10, "ends after the day", "blank"),
            ("02~03-04", 5, "nothing of the date follows", "*-05~01"),
            ("0:0:1.", 6, "digits are missing", "Leave the point out"),
            ("99999999999999999999:0", 0, "too large", "four digits"),
        ] as [(String, Int, String, String)])
    func mistakes(text: String, offset: Int, reason: String, hint: String) {
        do throws(CalendarError) {
            let made = try CalendarExpression(parsing: text, isZone: Zones.exists)
            Issue.record("accepted as \(made)")
        } catch {
            #expect(error.offset == offset, "\(error)")
            #expect(error.reason.contains(reason), "\(error)")
            #expect(error.hint.contains(hint), "\(error)")
            #expect(error.kind == .badPolicy && error.message.contains("column \(offset + 1)"))
        }
    }

    @Test("Any bytes end in an expression or an error at a place within them")
    func anyText() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let parts = [
            "*", "-", "~", ":", ",", "..", ".", "/", " ", "0", "1", "7", "28", "31", "59", "60", "2024", "Mon", "sun",
            "daily", "UTC", "Asia/Baku", "@", "9999999999", "ə", "\u{0}", "\t",
        ]
        for _ in 0..<5000 {
            let text = (0..<Int.random(in: 0...9, using: &random))
                .map { _ in parts.randomElement(using: &random) ?? "" }.joined()
            do throws(CalendarError) {
                let made = try CalendarExpression(parsing: text)
                let again = try CalendarExpression(parsing: made.description)
                #expect(again.description == made.description, "seed \(seed): \(text)")
            } catch {
                #expect((0...text.utf8.count).contains(error.offset), "seed \(seed): \(text): \(error)")
            }
        }
    }

    @Test("A list of 241 elements is the longest, and a text of 4096 bytes")
    func limits() throws {
        func list(_ count: Int) -> String { Array(repeating: "1", count: count).joined(separator: ",") + ":0" }
        #expect(try CalendarExpression(parsing: list(241)).description == "*-*-* 01:00:00")
        #expect(throws: CalendarError.self) { try CalendarExpression(parsing: list(242)) }
        let error = #expect(throws: CalendarError.self) {
            try CalendarExpression(parsing: String(repeating: "1", count: 4097))
        }
        #expect(error?.reason.contains("longer than 4096 bytes") == true)
    }

    @Test("Equal are expressions that mean the same")
    func equality() throws {
        #expect(try CalendarExpression(parsing: "daily") == CalendarExpression(parsing: "*-*-* 00:00:00"))
        #expect(try CalendarExpression(parsing: "daily UTC") != CalendarExpression(parsing: "daily"))
        let both = Set([try CalendarExpression(parsing: "Mon 5:0"), try CalendarExpression(parsing: "monday 05:00")])
        #expect(both.count == 1)
    }

    @Test("An expression is stored as the text that was written")
    func stored() throws {
        let made = try CalendarExpression(parsing: "Mon..Fri 3:00 Asia/Baku")
        let bytes = try JSONEncoder().encode([made])
        #expect(String(decoding: bytes, as: UTF8.self) == #"["Mon..Fri 3:00 Asia\/Baku"]"#)
        #expect(try JSONDecoder().decode([CalendarExpression].self, from: bytes) == [made])
        #expect(throws: CalendarError.self) {
            try JSONDecoder().decode([CalendarExpression].self, from: Data(#"["never"]"#.utf8))
        }
    }

    @Test("Without a database of zones, whatever has the form of a name is one")
    func zoneNames() throws {
        #expect(try CalendarExpression(parsing: "daily Asia/Nowhere").zoneName == "Asia/Nowhere")
        #expect(try CalendarExpression(parsing: "daily utc").zoneName == "UTC")
        #expect(try CalendarExpression(parsing: "daily").zoneName == nil)
        #expect(try CalendarExpression(parsing: "@5 Asia/Baku").zoneName == "UTC")
        for name in ["", "/A", "A/", "A//B", "Mon", "sunday", "daily", "../A", "A B", "5", "Ə"] {
            #expect(!CalendarExpression.hasFormOfZone(name), "\(name)")
        }
        #expect(CalendarExpression.hasFormOfZone("Etc/GMT+5") && CalendarExpression.hasFormOfZone("EST5EDT"))
    }
}
