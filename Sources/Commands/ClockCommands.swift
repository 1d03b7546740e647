import API
import ArgumentParser
import Domain
import Operations

struct ClockGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock",
        abstract: "Show vault time, and confirm it after a jump of the clock.",
        discussion: """
            Anbar vaxtını göstərir; saat sıçradıqdan sonra onu iki şəxs təsdiq edir.

            Examples:
              qala clock show
              qala clock confirm --request clock.json --person aysel --signing-key aysel.key --reason "moved"
            """,
        subcommands: [ClockShow.self, ClockConfirm.self])
}

struct ClockShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show vault time, by which archives expire, beside the clock of the machine.",
        discussion: """
            Arxivlərin saxlanma müddətinin hesablandığı anbar vaxtını maşının saatı ilə yanaşı göstərir.

            While it is not trusted nothing expires.

            Examples:
              qala clock show
              qala clock show --json
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try ConfirmVaultTime.show(at: session.workplace())
            try session.answer(report) { Rendering.clock(report, session.language) }
            return .done
        }
    }
}

struct ClockConfirm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm",
        abstract: "Make vault time trusted again: two persons confirm it.",
        discussion: """
            Anbar vaxtını yenidən etibarlı edir: onu iki şəxs təsdiq edir.

            The first person signs a request that proposes the clock of the machine, or
            --time; the second compares it with another clock and carries it out on this
            host. Both sign with their keys of `qala policy key`. A request counts for a
            day, until the machine is started anew, and once.

            Examples:
              qala clock confirm --request clock.json --person aysel --signing-key aysel.key --reason "moved"
              qala clock confirm --approve clock.json --person rashad --dry-run
              qala clock confirm --approve clock.json --person rashad --signing-key rashad.key
            """)

    @Option(
        help: ArgumentHelp("First person: write the signed request to this new file.", valueName: "file"),
        completion: .file())
    var request: String?

    @Option(
        help: ArgumentHelp("Second person: carry out the request in this file.", valueName: "file"),
        completion: .file())
    var approve: String?

    @Option(help: ArgumentHelp("Who signs: your id of people.yaml.", valueName: "person"))
    var person: String

    @Option(help: ArgumentHelp("Your signing key.", valueName: "file"), completion: .file())
    var signingKey: String?

    @Option(help: ArgumentHelp("Why.", valueName: "text"))
    var reason: String?

    @Option(help: ArgumentHelp("The time, instead of the clock of the machine.", valueName: "time"))
    var time: String?

    @Flag(help: "With --approve: show what would be confirmed, and do nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (request == nil) != (approve == nil) else {
            throw ValidationError("Two persons are needed: one gives --request FILE, the other --approve FILE.")
        }
        if approve != nil, reason != nil || time != nil {
            throw ValidationError("With --approve everything stands in the request; give no --reason and no --time.")
        }
        if request != nil, dryRun { throw ValidationError("--dry-run goes with --approve.") }
        if request != nil, reason == nil { throw ValidationError("Say why with --reason TEXT.") }
        guard dryRun || signingKey != nil else {
            throw ValidationError("Give --signing-key FILE, or look with --approve FILE --dry-run.")
        }
    }

    func run() throws {
        try common.perform { session in
            let signer = try signingKey.map {
                ConfirmVaultTime.Signer(person: person, keyFile: try session.absolute($0))
            }
            let decision: ClockDecision
            if let approve {
                decision = try ConfirmVaultTime.approve(
                    session.absolute(approve), by: signer, dryRun: dryRun, at: session.workplace())
            } else if let signer {
                decision = try ConfirmVaultTime.request(
                    time, because: reason ?? "", by: signer, to: session.absolute(request ?? ""),
                    at: session.workplace())
            } else {
                throw ValidationError("Give --signing-key FILE.")
            }
            try session.answer(decision) { Rendering.clockDecision(decision, session.language) }
            return .done
        }
    }
}

extension Rendering {
    static func clock(_ report: ClockReport, _ language: Language) -> [String] {
        var facts = [(ClockText.machine(language), Printable.localTime(report.clock))]
        if let time = report.vaultTime {
            facts.insert((ClockText.vaultTime(language), Printable.localTime(time)), at: 0)
        }
        if let ahead = report.ahead {
            facts.append((ClockText.difference(language), difference(ahead, language)))
        }
        facts.append((ClockText.boot(language), Printable.text(report.boot)))
        let said: ClockText =
            report.vaultTime == nil ? .notKept : report.isTrusted ? .trusted : .frozen
        return [said(language)] + Table.facts(facts).map { "  " + $0 }
    }

    static func clockDecision(_ decision: ClockDecision, _ language: Language) -> [String] {
        let said: ClockText =
            decision.dryRun ? .dry : decision.outcome == "requested" ? .requested : .confirmed
        var facts = [
            (ClockText.vaultTime(language), Printable.localTime(decision.frozen)),
            (ClockText.proposed(language), Printable.localTime(decision.proposed)),
            (ClockText.machine(language), Printable.localTime(decision.clock)),
            (Text.columnReason(language), Printable.text(decision.reason)),
            (PolicyText.authorIs(language), Printable.text(decision.author)),
        ]
        if let approver = decision.approver {
            facts.append((PolicyText.approversIs(language), Printable.text(approver)))
        }
        facts.append((PolicyText.requestIs(language), decision.request))
        let arguments = [Printable.text(decision.requestFile ?? ""), decision.vaultTime.map(Printable.localTime) ?? ""]
        var lines = [said(language, arguments)] + Table.facts(facts).map { "  " + $0 }
        if decision.outcome == "requested" { lines.append(ClockText.next(language, arguments)) }
        if decision.dryRun { lines.append(ClockText.compare(language)) }
        return lines
    }

    private static func difference(_ seconds: Int, _ language: Language) -> String {
        (seconds < 0 ? "-" : "") + Readable.duration(Double(seconds.magnitude), language)
    }
}
