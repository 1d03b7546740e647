import API
import ArgumentParser
import Domain
import Operations

/// A reason, and what it rests on.
struct ReasonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Why; sealed to the readers of the vault.", valueName: "text"))
    var reason: String?

    @Option(help: ArgumentHelp("The law, order or case it rests on.", valueName: "text"))
    var basis: String?

    func value(_ language: Language, isBeforePeriod: Bool = false) throws -> Reason {
        guard let reason else {
            throw CommandError(.usage, Text.reasonNeeded(language), hint: Text.reasonNeededHint(language))
        }
        return Reason(reason: reason, basis: basis, isBeforePeriod: isBeforePeriod)
    }
}

/// The two parts of an act that nobody may do alone.
struct TwoPersonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("First person: write the signed request to this new file.", valueName: "file"),
        completion: .file())
    var request: String?

    @Option(
        help: ArgumentHelp("Second person: carry out the request in this file.", valueName: "file"),
        completion: .file())
    var approve: String?

    @Flag(help: "With --approve: show what would be done, and do nothing.")
    var dryRun = false

    func check(hasSubject: Bool, reason: ReasonOptions) throws {
        guard (request == nil) != (approve == nil) else {
            throw ValidationError("Two persons are needed: one gives --request FILE, the other --approve FILE.")
        }
        if approve != nil, hasSubject || reason.reason != nil || reason.basis != nil {
            throw ValidationError("With --approve everything stands in the request; give nothing else.")
        }
        if request != nil, !hasSubject { throw ValidationError("Say what the request is about.") }
        if request != nil, dryRun { throw ValidationError("--dry-run goes with --approve.") }
    }
}

struct Dispose: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Dispose of archives: two persons decide.",
        discussion: """
            Arxivləri məhv edir: qərarı iki şəxs verir.

            The first person signs a request, the second carries it out with another
            administrator's key. From then on the archives are stubs; `qala sweep`
            removes what no other archive needs. An archive under a hold stays, and so
            does one that a policy in force still keeps, unless both persons decide with
            --before-period.

            With --online-copies the archives leave the vault only: volumes that were
            verified keep them, and `qala tiers` goes on listing them.

            Examples:
              qala dispose 3f9a1c22 --reason "period has ended" --request dispose.json
              qala dispose --expired --reason "policy 3" --request dispose.json
              qala dispose --online-copies --policy log --reason "on B-12" --request leave.json
              qala dispose --approve dispose.json --key-file kit.txt
            """)

    @Argument(help: ArgumentHelp("Archives, as in `qala ls`.", valueName: "archive"))
    var archives: [String] = []

    @Flag(help: "Everything that the policies in force no longer keep; `qala tiers` lists it.")
    var expired = false

    @Flag(help: "The online copies of all that has served its period online and is on verified volumes.")
    var onlineCopies = false

    @Option(
        help: ArgumentHelp("With --expired or --online-copies: only the archives of this policy.", valueName: "name"))
    var policy: String?

    @Flag(help: "Also what a policy in force still keeps; both persons sign that it is so.")
    var beforePeriod = false

    @OptionGroup var reason: ReasonOptions
    @OptionGroup var persons: TwoPersonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        let subjects = [!archives.isEmpty, expired, onlineCopies].count(where: \.self)
        if subjects > 1 { throw ValidationError("Name archives, or give --expired, or --online-copies.") }
        if policy != nil, !expired, !onlineCopies {
            throw ValidationError("--policy goes with --expired or --online-copies.")
        }
        if beforePeriod, archives.isEmpty { throw ValidationError("--before-period goes with archives by name.") }
        try persons.check(hasSubject: subjects > 0, reason: reason)
    }

    func run() throws {
        try common.perform { session in
            let report: DecisionReport
            if let path = persons.approve {
                report = try ApproveRequest.run(
                    try session.absolute(path), expecting: .dispose, dryRun: persons.dryRun, at: session.workplace())
            } else {
                report = try request(
                    try reason.value(session.language, isBeforePeriod: beforePeriod),
                    to: try session.absolute(persons.request ?? ""), at: session.workplace())
            }
            try session.answer(report) { Rendering.decision(report, dryRun: persons.dryRun, session.language) }
            return .done
        }
    }

    private func request(_ reason: Reason, to path: String, at workplace: Workplace) throws -> DecisionReport {
        if expired {
            return try DisposeArchives.requestExpired(policy: policy, because: reason, to: path, at: workplace)
        }
        if onlineCopies {
            return try DisposeArchives.requestOnlineCopies(policy: policy, because: reason, to: path, at: workplace)
        }
        return try DisposeArchives.request(archives, because: reason, to: path, at: workplace)
    }
}

struct HoldGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold",
        abstract: "Keep archives from being disposed of.",
        discussion: """
            Arxivlərin məhv edilməsinə qadağa qoyur (hüquqi saxlama).

            Examples:
              qala hold add latest --reason "court order"
              qala hold list
            """,
        subcommands: [HoldAdd.self, HoldList.self, HoldRelease.self])
}

struct HoldAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Place a hold.",
        discussion: """
            Hüquqi saxlama qoyur.

            Held archives cannot be disposed of, whatever a policy says, until two
            persons release the hold.

            Examples:
              qala hold add latest:log --reason "court order" --basis "case 12/2026"
              qala hold add --policy database --reason "audit of 2026"
              qala hold add --all --reason "incident"
            """)

    @Argument(help: ArgumentHelp("Archives, as in `qala ls`.", valueName: "archive"))
    var archives: [String] = []

    @Option(help: ArgumentHelp("Every archive of this policy that there is now.", valueName: "name"))
    var policy: String?

    @Flag(help: "Every archive of the vault, also those to come.")
    var all = false

    @OptionGroup var reason: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard [!archives.isEmpty, policy != nil, all].filter({ $0 }).count == 1 else {
            throw ValidationError("Name archives, or --policy NAME, or --all.")
        }
    }

    func run() throws {
        try common.perform { session in
            let selection: HoldArchives.Selection =
                if let policy { .policy(policy) } else if all { .everything } else { .archives(archives) }
            let report = try HoldArchives.add(
                selection, because: try reason.value(session.language), at: session.workplace())
            try session.answer(report) { Rendering.decision(report, dryRun: false, session.language) }
            return .done
        }
    }
}

struct HoldList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the holds, also those released.",
        discussion: """
            Qoyulmuş və götürülmüş hüquqi saxlamaların siyahısı.

            Reasons are shown with a key.

            Examples:
              qala hold list
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let rows = try HoldArchives.list(at: session.workplace())
            try session.answer(HoldsReply(holds: rows)) { Rendering.holds(rows, session.language) }
            return .done
        }
    }
}

struct HoldRelease: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Release a hold: two persons decide.",
        discussion: """
            Hüquqi saxlamanı götürür: qərarı iki şəxs verir.

            Examples:
              qala hold release 81c2 --reason "case closed" --request release.json
              qala hold release --approve release.json --key-file kit.txt
            """)

    @Argument(help: ArgumentHelp("The start of the hold's id.", valueName: "hold"))
    var hold: String?

    @OptionGroup var reason: ReasonOptions
    @OptionGroup var persons: TwoPersonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws { try persons.check(hasSubject: hold != nil, reason: reason) }

    func run() throws {
        try common.perform { session in
            let report: DecisionReport
            if let path = persons.approve {
                report = try ApproveRequest.run(
                    try session.absolute(path), expecting: .release, dryRun: persons.dryRun, at: session.workplace())
            } else {
                report = try HoldArchives.requestRelease(
                    hold ?? "", because: try reason.value(session.language),
                    to: try session.absolute(persons.request ?? ""), at: session.workplace())
            }
            try session.answer(report) { Rendering.decision(report, dryRun: persons.dryRun, session.language) }
            return .done
        }
    }
}

struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove what no archive needs any more.",
        discussion: """
            Heç bir arxivə lazım olmayanları silir.

            Runs beside archiving, on any host, with an administrator's key. What was
            disposed of, and what interrupted runs left, is first condemned in the log
            and removed when every run that began before has ended. A run that will
            never end, of a host that is gone, is ended with --fence.

            Examples:
              qala sweep --dry-run
              qala sweep
              qala sweep --fence 5be0
            """)

    @Option(help: ArgumentHelp("End this session first; may be repeated.", valueName: "session"))
    var fence: [String] = []

    @Flag(help: "Show what would be condemned, and do nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if dryRun, !fence.isEmpty { throw ValidationError("--dry-run ends no session; leave out --fence.") }
    }

    func run() throws {
        try common.perform { session in
            let report = try session.showingProgress {
                try SweepVault.run(
                    SweepVault.Request(fence: fence, dryRun: dryRun), at: session.workplace())
            }
            try session.answer(report) { Rendering.swept(report, session.language) }
            return report.problems.isEmpty ? .done : .damaged
        }
    }
}
