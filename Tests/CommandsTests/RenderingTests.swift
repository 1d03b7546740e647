import Domain
import Operations
import Testing

@testable import Commands

@Suite("What people see")
struct RenderingTests {
    @Test("Columns are aligned, empty ones are left out, and no line ends with spaces")
    func table() {
        var table = Table([("NAME", .left), ("SIZE", .right), ("NOTE", .left), ("LAST", .left)])
        table.add(["ə", "1", "", "x"])
        table.add(["long name", "1000", "", ""])
        #expect(table.lines == ["NAME       SIZE  LAST", "ə             1  x", "long name  1000"])
    }

    @Test("Names cannot drive the terminal")
    func control() {
        #expect(Printable.text("a\u{1B}[2Jb\n\tc\u{7F}\u{85}") == "a\\x1b[2Jb\\n\\tc\\x7f\\x85")
        #expect(Printable.text("a\u{202E}b") == "a\\u{202e}b")
        #expect(Printable.text("Ağdam – şəkil.jpg") == "Ağdam – şəkil.jpg")
    }

    @Test("Times of RFC 3339 are understood with fractions and offsets; others stay as they are")
    func times() {
        #expect(Printable.seconds(rfc3339: "1970-01-01T00:00:00Z") == 0)
        #expect(Printable.seconds(rfc3339: "2026-11-22T15:51:52.123456789Z") == 1_795_362_712)
        #expect(Printable.seconds(rfc3339: "2026-11-22T19:51:52+04:00") == 1_795_362_712)
        for text in ["", "2026-11-22", "2026-13-01T00:00:00Z", "2026-11-22T15:51:52", "2026-11-22T15:51:52Zx"] {
            #expect(Printable.seconds(rfc3339: text) == nil)
            #expect(Printable.localTime(text) == text)
        }
    }

    @Test("A partial run names the paths it lacks, up to a limit, and counts the rest")
    func partial() {
        var report = ArchiveReport()
        report.archive = String(repeating: "3f", count: 32)
        report.problemCount = 50
        report.problems = (0..<30).map { PathProblem(path: "/a/\($0)", reason: "Permission denied") }
        let lines = Rendering.archived(report, dryRun: false, .english)
        #expect(lines[0] == "Could not be archived: 50")
        #expect(lines[1] == "  /a/0: Permission denied")
        #expect(lines[21] == "  and 30 more")
        #expect(lines[22] == "Archive 3f3f3f3f3f3f is complete in 0.00 s.")
        #expect(lines.last == "The archive is partial: it lacks the paths above.")
    }

    @Test("Empty answers say what to do next")
    func empty() {
        #expect(
            Rendering.archives(.init(archives: []), policy: nil, disposed: false, .english)[0].contains(
                "qala archive PATH"))
        #expect(
            Rendering.archives(.init(archives: []), policy: "web", disposed: false, .azerbaijani)[0].contains("web"))
        #expect(Rendering.found([], text: "x", allVersions: false, .english).count == 2)
        #expect(Rendering.versions([], path: "/x", .english) == ["No archive holds /x."])
    }

    @Test("Damage is a table with advice under it")
    func damage() {
        var report = VerifyReport()
        report.damage = [DamageRow(object: "packs/aa/1", reason: "digest differs")]
        let lines = Rendering.verified(report, .english)
        #expect(lines.contains("  packs/aa/1  digest differs"))
        #expect(lines.last?.hasPrefix("Do not delete anything.") == true)
        report.damage = []
        #expect(Rendering.verified(report, .english).last == "No damage found.")
    }

    @Test("A sample tells what it read of how much; of a vault that does not open there is only the finding")
    func verification() {
        var report = VerifyReport()
        (report.depth, report.packs, report.chunks) = ("sample", 4, 40)
        report.packsRead = 1
        (report.chunksRead, report.bytesRead) = (10, 1024)
        let sample = Rendering.verified(report, .english)
        #expect(sample.contains("  0 archives, 0 log records, 4 packs, 40 chunks"))
        #expect(sample.contains("  read, chosen at random: 1 of 4 packs; 10 chunks, 1.00 KiB"))
        #expect(sample.last == "No damage found; the data of the other packs was not read.")
        report = VerifyReport()
        report.opened = false
        report.damage = [DamageRow(object: "log", reason: "cut short")]
        let closed = Rendering.verified(report, .english)
        #expect(closed.first == "Damage found: 1 objects." && closed.count == 4)
        report.advice = "Do not archive here."
        #expect(Rendering.verified(report, .english).last == "Do not archive here.")
    }

    @Test("Progress fits its width and estimates only when it can")
    func progress() {
        var snapshot = ProgressSnapshot()
        #expect(snapshot.line(width: 80, .english) == "working")
        snapshot.files = 12_345
        snapshot.bytes = 1 << 30
        snapshot.expectedBytes = 1 << 31
        snapshot.read = 1 << 30
        snapshot.stored = 1 << 29
        snapshot.seconds = 10
        #expect(snapshot.line(width: 80, .english) == "12 345 files  1.00 GiB  102 MiB/s  10.0 s left  dedup 2.0×")
        #expect(snapshot.line(width: 30, .english) == "12 345 files  1.00 GiB")
        #expect(snapshot.line(width: 5, .english).count == 5)
        snapshot.expectedBytes = 0
        #expect(snapshot.remaining == nil)
    }

    @Test("Both languages of a text take the same arguments, and neither is empty", arguments: Text.allCases)
    func catalogue(text: Text) {
        let (en, az) = text.both
        #expect(!en.isEmpty && !az.isEmpty)
        func marks(_ text: String) -> [String] {
            let characters = Array(text)
            return characters.indices.dropLast().filter { characters[$0] == "%" }.map { "%\(characters[$0 + 1])" }
                .sorted()
        }
        #expect(marks(en) == marks(az))
        #expect(en.last == " " ? az.last == " " : az.last != " ")
    }

    @Test("Arguments are put in once, and what they contain is not read again")
    func arguments() {
        #expect(Text.fileUnreadable(.english, ["%2", "why"]) == "%2 cannot be read: why")
        #expect(Text.sampleInvalid(.english, ["5%%"]).contains("such as 5%"))
    }

    @Test("An error names its kind first where its details are in another language")
    func errors() {
        let lines = Session.lines(kind: .wrongKey, message: "no key opens", hint: "Try the kit.", .azerbaijani)
        #expect(lines == ["qala: xəta: açar uyğun gəlmir: no key opens", "məsləhət: Try the kit."])
        #expect(Session.lines(kind: .failed, message: "x", hint: "", .english) == ["qala: error: x"])
    }
}
