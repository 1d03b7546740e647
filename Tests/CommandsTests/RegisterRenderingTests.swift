import Domain
import Testing

@testable import Commands
@testable import Operations

@Suite("What people see of registers")
struct RegisterRenderingTests {
    @Test("Both languages of a text take the same arguments", arguments: RegisterText.allCases)
    func texts(text: RegisterText) {
        let (en, az) = text.both
        func marks(_ text: String) -> [String] {
            let characters = Array(text)
            return characters.indices.dropLast().filter { characters[$0] == "%" }.map { "%\(characters[$0 + 1])" }
                .sorted()
        }
        #expect(!en.isEmpty && !az.isEmpty && marks(en) == marks(az))
        #expect(text(.english, "A", "B").contains("%") == false)
    }

    @Test("Every column has a title in both languages", arguments: RegisterName.allCases)
    func titles(name: RegisterName) {
        for column in name.columns {
            for language in Language.allCases {
                let title = RegisterText.title(of: column, language)
                #expect(!title.isEmpty && title != column)
            }
        }
    }

    @Test("What is open is marked, sizes are readable, and damage stands at the end with advice")
    func table() {
        var report = RegisterReport(register: .problems)
        report.rows = [
            RegisterRow(
                id: "7", time: "t", fields: ["problem": "7", "kind": "missed", "policy": "web", "message": "a\u{1B}b"])
        ]
        report.more = 12_000
        report.damage = [RegisterDamage(file: "problems.000000000001.jsonl", line: 3, reason: "it cannot be read")]
        let lines = Rendering.register(report, .english)
        #expect(lines[0] == "PROBLEM  KIND        POLICY  CLOSED  MESSAGE")
        #expect(lines[1] == "7        missed run  web     open    a\\x1bb")
        #expect(lines[2] == "and 12 000 older ones; --limit shows more")
        #expect(lines.contains("  problems.000000000001.jsonl, line 3: it cannot be read"))
        #expect(lines.last?.hasPrefix("Do not change the files") == true)
        var runs = RegisterReport(register: .runs)
        runs.rows = [RegisterRow(id: "r", time: "t", fields: ["run": "r", "state": "done", "bytes": "2048"])]
        let run = Rendering.register(runs, .azerbaijani)
        #expect(run.count == 2 && run[1].hasPrefix("r     tamamlandı") && run[1].hasSuffix("2,00 KiB"))
        #expect(Rendering.register(RegisterReport(register: .runs), .english).count == 1)
    }

    @Test("The list of volumes says of each where it is and whether it counts, in both languages")
    func volumes() {
        var report = RegisterReport(register: .media)
        report.rows = VolumeRow.State.allCases.map { state in
            let more = state == .found ? ["overdue": "yes"] : [:]
            return RegisterRow(
                id: "v", time: "t", fields: ["volume": "v", "title": "T", "state": state.rawValue].merging(more) { $1 })
        }
        let words: [Language: [String]] = [
            .english: ["on its shelf", "out", "found, not verified yet", "lost", "destroyed"],
            .azerbaijani: [
                "rəfdədir", "rəfdə deyil", "tapılıb, hələ yoxlanılmayıb", "itirilmişdir", "məhv edilmişdir",
            ],
        ]
        for (language, words) in words {
            let lines = Rendering.register(report, language)
            #expect(lines[0].contains("  " + RegisterText.title(of: "state", language)))
            for (line, word) in zip(lines.dropFirst(), words) {
                #expect(line.contains("  " + word), "\(line)")
                #expect(line.hasSuffix(RegisterText.overdue(language)) == (word == words[2]), "\(line)")
            }
        }
    }

    @Test("Open problems are told by number, with the newest one; nothing is told where none is open")
    func open() {
        var ledger = ProblemLedger(keepsClosed: false)
        _ = ledger.handle(.ended(policy: "web", run: "r", .failed, message: "no disk"), at: "t")
        let open = OpenProblems(count: 3, newest: ledger.openProblems.last)
        let lines = Rendering.openProblems(open, .english)
        #expect(lines == ["Open problems   3", "Newest problem  1: failed run (web), no disk", ""])
        #expect(Rendering.openProblems(nil, .english).isEmpty)
        #expect(Rendering.openProblems(OpenProblems(count: 0, newest: nil), .english).isEmpty)
    }
}
