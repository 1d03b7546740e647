import Documents
import Domain
import Foundation
import Testing

@Suite("The whole policy language")
struct PolicyLanguageTests {
    static let people = """
        people:
          a: {name: Aysel Quliyeva, position: archivist, from: 2025-01-01}
          b: {name: Rəşad Əliyev, uid: 1001}
        """
    static let whole = """
        policy: web
        component: config
        responsible: {person: a, from: 2025-02-01, until: 2030-01-01}
        deputy: {person: b}
        legal-basis: Order 12
        sources: [{files: /etc}]
        mode: move
        schedule:
          calendar: Mon..Fri *-*-* 02:30
          zone: Asia/Baku
          jitter: 10 minutes
          catch-up: all
          windows: ["22:00..06:00", "Sat 00:00..24:00"]
        rpo: 4 days
        rto: 4 hours
        copies:
          - {site: one, role: vault}
          - {site: two, role: mirror, lag: 1 hour}
          - {site: shelf, role: volume, count: 2}
        tiers:
          active: {format: files, period: 30 days}
          online: {format: vault, period: 3 years, on: commit}
          offline: {format: tape, period: forever, after: previous}
        retention: {keep-for: 7 years, last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6, maximum: 90 years}
        compression-level: 19
        limits: {bandwidth: 20 MiB/s, cpu: 50%}
        verification: {stored: 7 days, content: 30 days, drill: 6 months}
        hooks:
          before:
            - run: [/bin/a, "", "b c"]
              timeout: 90 s
          after:
            - run: [/bin/b]
        recovery-plan: recovery
        clauses: [One., Two.]
        """

    /// Without the maximum, which contradicts a tier that keeps forever.
    static let sound = whole.replacing(", maximum: 90 years", with: "")

    private func parse(_ text: String) throws(DocumentsError) -> Policy {
        let people = try PeopleDocument.parse(Array(Self.people.utf8), file: "people.yaml")
        return try PolicyDocument.parse(Array(text.utf8), file: "p.yaml", people: people)
    }

    private func problems(_ text: String, _ language: Language = .english) -> String {
        do {
            _ = try parse(text)
            return "no problem"
        } catch {
            return error.message(in: language)
        }
    }

    @Test("Every key reaches the policy")
    func everything() throws {
        let policy = try parse(Self.whole)
        #expect(policy.responsiblePerson.id == "a" && policy.responsible == "Aysel Quliyeva")
        #expect(policy.responsiblePerson.validity == Validity(from: CivilDay("2025-01-01")))
        #expect(policy.responsibleTerm == Validity(from: CivilDay("2025-02-01"), until: CivilDay("2030-01-01")))
        #expect(policy.deputyPerson?.uid == 1001 && policy.deputyTerm == .always && policy.mode == .move)
        let schedule = try #require(policy.schedule)
        #expect(schedule.expression.description == "Mon..Fri *-*-* 02:30:00" && schedule.zoneName == "Asia/Baku")
        #expect(schedule.jitter == 600 && schedule.catchUp == .all)
        #expect(schedule.windows.map(\.description) == ["22:00..06:00", "Sat 00:00..24:00"])
        #expect(policy.rpo == .days(4) && policy.rto == .hours(4))
        #expect(
            policy.copies == [
                Policy.Copy(site: "one", role: .vault), Policy.Copy(site: "two", role: .mirror, lag: .hours(1)),
                Policy.Copy(site: "shelf", role: .volume, count: 2),
            ])
        #expect(
            policy.tiers == [
                .active: .used(format: "files", keep: .period(.days(30)), trigger: .onCommit),
                .online: .used(format: "vault", keep: .period(.years(3)), trigger: .onCommit),
                .offline: .used(format: "tape", keep: .forever, trigger: .afterPrevious),
            ])
        #expect(
            policy.retention
                == (try RetentionRule(
                    keepFor: .period(.years(7)), last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6,
                    maximum: .years(90))))
        #expect(policy.compressionLevel == 19)
        #expect(policy.limits == Policy.Limits(bytesPerSecond: 20 << 20, cpuPercent: 50))
        #expect(
            policy.verification == Policy.Verification(stored: .days(7), content: .days(30), drill: .months(6)))
        #expect(
            policy.hooks
                == Policy.Hooks(
                    before: [Policy.Hook(command: ["/bin/a", "", "b c"], timeout: .seconds(90))],
                    after: [Policy.Hook(command: ["/bin/b"])]))
        #expect(policy.recoveryPlan == "recovery" && policy.clauses == ["One.", "Two."])
    }

    /// What is replaced in the whole policy, by what, and the message that follows.
    static let mistakes: [(String, String, String)] = [
        ("person: a, from", "person: aa, from", "3:23: people.yaml has no person `aa`; did you mean `a`?"),
        ("person: a, from", "preson: a, from", "3:15: unknown key `preson` in the appointment; did you mean `person`?"),
        (
            "{person: b}", "{person: b, form: 2025-01-01}",
            "4:21: unknown key `form` in the appointment; did you mean `from`?"
        ),
        ("from: 2025-02-01", "from: 2025-02-30", "3:32: `from` must be a day such as `2026-01-31`, not `2025-02-30`"),
        ("until: 2030-01-01", "until: 2025-01-31", "3:51: `until` is before `from`"),
        ("mode: move", "mode: mv", "7:7: `mv` is not a value of `mode`; Allowed: copy, move"),
        ("calendar: Mon", "calender: Mon", "9:3: unknown key `calender` in the schedule; did you mean `calendar`?"),
        ("Mon..Fri *-*-* 02:30", "Mon..Fri *-*-* 25:30", "9:28: `calendar`: "),
        ("Mon..Fri *-*-* 02:30", "\"Mon..Fri *-*-* 25:30\"", "9:29: `calendar`: "),
        ("Mon..Fri *-*-* 02:30", "hourly UTC", "10:9: `zone` cannot stand beside a calendar expression"),
        ("zone: Asia/Baku", "zone: +4", "10:9: `+4` is not the name of a time zone"),
        ("jitter: 10 minutes", "jitter: 10 minuets", "11:14: `jitter`: "),
        ("jitter: 10 minutes", "jitter: 2 days", "11:11: `jitter` is at most 1 day"),
        ("jitter: 10 minutes", "jitter: 0 s", "11:11: `jitter` must be longer than nothing"),
        ("catch-up: all", "catch-up: al", "12:13: `al` is not a value of `catch-up`; did you mean `all`?"),
        ("\"22:00..06:00\"", "\"22:00..26:00\"", "13:21: `windows`: "),
        ("rpo: 4 days", "rpo: 1 month", "14:6: `rpo`: 1 month has no fixed length; write days or hours"),
        ("rto: 4 hours", "rto: four hours", "15:6: `rto`: "),
        ("role: vault", "role: valt", "17:23: `valt` is not a value of `role`; did you mean `vault`?"),
        ("site: one, role: vault", "site: one two, role: vault", "17:12: `site`: `one two` is not one plain word"),
        ("site: one, role: vault", "role: vault", "17:5: the key `site` is missing in the copy"),
        ("role: vault}", "role: vault, count: 2}", "17:37: `count` is only for the role `volume`"),
        ("role: mirror, lag", "role: volume, lag", "18:36: `lag` is only for the role `mirror`"),
        ("count: 2", "count: 17", "19:40: `count` must be a whole number from 1 to 16, not `17`"),
        ("active: {format", "activ: {format", "21:3: unknown key `activ` in the tiers; did you mean `active`?"),
        (
            "{format: files, period: 30 days}", "{period: 30 days}",
            "21:11: the key `format` is missing in the tier (clause 5.2.1)"
        ),
        ("period: 30 days}", "period: 30 days, on: commit}", "21:48: `on`: the active tier has a trigger"),
        (", on: commit}", "}", "22:11: one of the keys `on` and `after` is missing"),
        (", on: commit}", ", on: comit}", "22:48: `comit` is not a value of `on`; did you mean `commit`?"),
        (", on: commit}", ", on: commit, after: 1 day}", "22:63: `after` cannot stand beside `on`; drop one of them"),
        (
            "format: tape, period: forever, after: previous", "unused: why, after: previous",
            "23:33: `after` cannot stand beside `unused`"
        ),
        ("{format: tape, period: forever, after: previous}", "{unused: ~}", "23:21: `unused` has no value"),
        ("period: forever", "period: foreverr", "23:35: `period`: "),
        ("after: previous", "after: 1 yaer", "23:53: `after`: "),
        ("keep-for: 7 years, ", "", "24:12: the key `keep-for` is missing in the retention (clause 5.2.1)"),
        ("maximum: 90 years", "maximum: 6 years", "24:105: `retention`: "),
        ("daily: 3", "daily: -3", "24:59: `daily` must be a whole number from 0 to 100000, not `-3`"),
        (
            "compression-level: 19", "compression-level: 20",
            "25:20: `compression-level` must be a whole number from 1 to 19"
        ),
        (
            "20 MiB/s", "20 Mib/s",
            "26:21: `bandwidth`: `20 Mib/s` cannot be understood; did you mean `MiB/s`? Write a rate"
        ),
        ("20 MiB/s", "20 B/s", "26:21: `bandwidth`: `20 B/s` is out of range"),
        ("50%", "150%", "26:36: `cpu`: `150%` is out of range"),
        ("stored: 7 days", "stored: daily", "27:24: `stored`: "),
        ("run: [/bin/b]", "run: [b]", "33:13: `run`: the program `b` is not an absolute, plain path"),
        ("run: [/bin/b]", "run: []", "33:12: `run` has no value"),
        ("run: [/bin/b]", "run: /bin/b", "33:12: `run` must be a list"),
        ("timeout: 90 s", "timeout: 8 days", "31:16: `timeout` is at most 7 days"),
        (
            "recovery-plan: recovery", "recovery-plan: the plan",
            "34:16: `recovery-plan`: `the plan` is not one plain word"
        ),
        ("[One., Two.]", "One.", "35:10: `clauses` must be a list"),
        (
            "files: /etc", "tape: /dev/st0",
            "6:12: unknown key `tape` in the source; sources are of the kind `files`, `logs`, `journal`, `command`, `sqlite`, `git`, `postgresql`, `postgresql-wal`, `mariadb`, `mariadb-logs`"
        ),
        ("files: /etc", "command: dump", "6:11: the key `run` is missing in the source"),
        (
            "files: /etc", "command: the dump, run: [/bin/ls]",
            "6:21: `command`: `the dump` is not one plain word"
        ),
        (
            "files: /etc", "command: dump, run: [/bin/ls], minimum-size: 5 MiB/s",
            "6:57: `minimum-size`: "
        ),
        (
            "files: /etc", "command: dump, run: [/bin/ls], file: a/b",
            "6:49: `a/b` is not a file name"
        ),
    ]

    @Test("One wrong value, one message at its place, in both languages", arguments: mistakes.indices)
    func mistake(at: Int) throws {
        let (old, new, message) = Self.mistakes[at]
        let text = Self.whole.replacing(old, with: new, maxReplacements: 1)
        #expect(text != Self.whole)
        let found = problems(text)
        #expect(found.hasPrefix("p.yaml:" + message), "\(found)")
        let azerbaijani = problems(text, .azerbaijani)
        let count = found.split(separator: "\n").count
        #expect(count == 1, "\(found)")
        #expect(azerbaijani.split(separator: "\n").count == count && azerbaijani != found, "\(azerbaijani)")
        #expect(!azerbaijani.contains("sənəd burada düzgün deyil") && !found.contains("the document is wrong here"))
    }

    @Test("A reference without a register is told; a name needs none")
    func noPeople() throws {
        let short = "policy: p\ncomponent: log\nsources: [{files: /a}]\nresponsible: {person: a}"
        let error = #expect(throws: DocumentsError.self) { try PolicyDocument.parse(Array(short.utf8), file: "p") }
        #expect(
            error?.message == "p:4:23: `a` cannot be looked up: there is no people.yaml in the folder of the policy")
        let named = short.replacing("{person: a}", with: "a")
        #expect(try PolicyDocument.parse(Array(named.utf8), file: "p").responsible == "a")
    }

    @Test("The register of persons is checked like a policy")
    func people() {
        let text = """
            people:
              a:
                name: A
                uid: 1
                public-key: \(String(repeating: "a", count: 64))
              b c: {name: B}
              d:
                nmae: D
                from: 2026-02-01
                until: 2026-01-01
              e: {name: E, uid: 1, public-key: \(String(repeating: "A", count: 64))}
              f: {name: F, uid: -1, public-key: abc}
            """
        let error = #expect(throws: DocumentsError.self) {
            try PeopleDocument.parse(Array(text.utf8), file: "people.yaml")
        }
        #expect(
            error?.message == """
                people.yaml:6:3: `people`: `b c` is not one plain word; use at most 64 ASCII letters, digits, `.`, `_`, `-`
                people.yaml:8:5: unknown key `nmae` in the person; did you mean `name`?
                people.yaml:10:12: `until` is before `from`
                people.yaml:11:3: the account 1 is that of the person on line 2 already
                people.yaml:11:3: this key is that of the person on line 2 already; nobody can approve in the name of two
                people.yaml:12:21: `uid` must be a whole number from 0 to 4294967294, not `-1`
                people.yaml:12:37: `public-key` must be an Ed25519 public key as 64 hexadecimal digits
                """)
        #expect(error?.message(in: .azerbaijani).split(separator: "\n").count == 7)
    }

    @Test("No bytes crash the readers")
    func noise() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed of the noise test: \(seed)")
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        let whole = Array(Self.whole.utf8)
        let pieces = [
            "{", "}", "[", "]", ": ", "- ", "\n", "\u{0}", "99999999999999999999", "forever", "~", "on", "ə", "\"",
        ]
        let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
        for _ in 0..<(isLong ? 20_000 : 200) {
            var bytes = whole
            for _ in 0...next(3) {
                let at = next(bytes.count)
                switch next(3) {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(contentsOf: pieces[next(pieces.count)].utf8, at: at)
                default: bytes.removeSubrange(at..<min(bytes.count, at + next(30)))
                }
            }
            do { _ = try PolicyDocument.parse(bytes, file: "p") } catch {
                #expect(!error.message(in: .azerbaijani).isEmpty)
            }
            let document = PolicySetDocument([DocumentText(file: "p", bytes: bytes)])
            _ = document.set.policies.map { PolicyFacts.of($0, in: .azerbaijani) }
        }
    }
}
