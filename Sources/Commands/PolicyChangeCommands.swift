import API
import ArgumentParser
import Domain
import Operations

/// A folder, or, where none is named, what is in force.
struct PolicySourceArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The folder; without one, what is in force.", valueName: "folder"), completion: .directory)
    var folder: String?

    func value(_ session: Session) throws -> PolicySource {
        if let folder { return .folder(folder) }
        return .inForce(statePath: try session.workplace().statePath)
    }
}

struct PolicyPlanning: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show what a folder would change if it was applied.",
        discussion: """
            Qovluq tətbiq edilərsə nəyin dəyişəcəyini göstərir.

            Against what is in force: every key before and after, which changes a second
            person must approve, and the archives that could be disposed of earlier.

            Examples:
              qala policy plan /etc/qala/policies
              qala policy plan Policies --language az
            """)

    @Argument(help: ArgumentHelp("The folder.", valueName: "folder"), completion: .directory)
    var folder: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try PlanPolicies.run(
                .folder(folder), state: session.workplace().statePath, session.language
            ) { try session.workplace(preferred: $0) }
            try session.answer(report) { Rendering.policyPlan(report, session.language) }
            return .done
        }
    }
}

struct PolicyApplying: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Put policies into force.",
        discussion: """
            Siyasətləri qüvvəyə mindirir.

            What weakens the archives (a shorter period, a copy less, a lower
            confidentiality, a new approver) needs a second person: the author writes and
            signs a request, another person of people.yaml signs it with `qala policy
            approve`, and the author carries it out. The rest comes into force at once. A
            running daemon takes the new version at once.

            Examples:
              qala policy apply /etc/qala/policies --author aysel --reason "new source"
              qala policy apply P --author aysel --reason "x" --request c.json --signing-key me.key
              qala policy apply --request change.json --approval approval.json
              qala policy apply --roll-back 3 --author aysel --reason "change 4 was wrong"
            """)

    @Argument(help: ArgumentHelp("The folder.", valueName: "folder"), completion: .directory)
    var folder: String?

    @Option(help: ArgumentHelp("In place of a folder: an applied version, again.", valueName: "n"))
    var rollBack: Int?

    @Option(help: ArgumentHelp("Who wants it: an id of people.yaml.", valueName: "person"))
    var author: String?

    @Option(help: ArgumentHelp("Why.", valueName: "text"))
    var reason: String?

    @Option(
        help: ArgumentHelp(
            "The new file of the request, where a second person is needed; with --approval, the request.",
            valueName: "file"), completion: .file())
    var request: String?

    @Option(
        help: ArgumentHelp("The author's own key, which signs the new request.", valueName: "file"),
        completion: .file())
    var signingKey: String?

    @Option(
        help: ArgumentHelp("Carry out --request with this approval; may be repeated.", valueName: "file"),
        completion: .file())
    var approval: [String] = []

    @Flag(help: "Show what would be done, and do nothing.")
    var dryRun = false

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if approval.isEmpty {
            guard (folder == nil) != (rollBack == nil) else {
                throw ValidationError("Name a folder, or --roll-back N, or --request FILE with --approval FILE.")
            }
            guard author != nil, reason != nil else {
                throw ValidationError("Say who wants it and why: --author PERSON --reason TEXT.")
            }
            return
        }
        guard request != nil, folder == nil, rollBack == nil, author == nil, reason == nil, signingKey == nil else {
            throw ValidationError("With --approval everything stands in the request: give --request and nothing else.")
        }
    }

    func run() throws {
        try common.perform { session in
            let state = try session.workplace().statePath
            let file = try request.map { try session.absolute($0) }
            var report: PolicyApplyReport
            if approval.isEmpty {
                let source = rollBack.map { PolicySource.version($0, statePath: state) } ?? .folder(folder ?? "")
                let wish = ApplyPolicies.Wish(
                    author: author ?? "", reason: reason ?? "", requestFile: file,
                    keyFile: try signingKey.map { try session.absolute($0) }, dryRun: dryRun)
                report = try ApplyPolicies.propose(source, wish, state: state)
            } else {
                let approvals = try approval.map { try session.absolute($0) }
                report = try ApplyPolicies.carryOut(file ?? "", approvals: approvals, dryRun: dryRun, state: state)
            }
            // Also where nothing changed: a daemon may not have heard of it when it did.
            if !dryRun, let version = report.version { report.daemon = reload(version, session) }
            try session.answer(report) { Rendering.policyApplied(report, session.language) }
            return .done
        }
    }

    /// The version is in force whatever a daemon says; one that does not hear of it now takes it at its next start.
    private func reload(_ version: Int, _ session: Session) -> String {
        do {
            let client = try socket.client(session)
            let status = try client.post(ControlPath.reload, PolicyAsked(policy: nil), as: DaemonStatus.self)
            return status.policyVersion == version ? "reloaded" : "other"
        } catch let error as any Failure {
            return error.kind == .daemonDown ? "none" : error.message
        } catch {
            return "\(error)"
        }
    }
}

struct PolicyApproving: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        abstract: "Approve what another person asked for, by signature.",
        discussion: """
            Başqa şəxsin istədiyi dəyişikliyi imza ilə təsdiq edir.

            Shows what is asked and signs it with the key of `qala policy key`, whose
            public half stands in the people.yaml that is in force. Look first with
            --dry-run.

            Examples:
              qala policy approve change.json --person rashad --dry-run
              qala policy approve change.json --person rashad --signing-key me.key --to approval.json
            """)

    @Argument(help: ArgumentHelp("The file of the request.", valueName: "request"), completion: .file())
    var request: String

    @Option(help: ArgumentHelp("Who approves: your id of people.yaml.", valueName: "person"))
    var person: String

    @Option(help: ArgumentHelp("Your signing key.", valueName: "file"), completion: .file())
    var signingKey: String?

    @Option(help: ArgumentHelp("Write the approval to this new file.", valueName: "file"), completion: .file())
    var to: String?

    @Flag(help: "Show what is asked, and sign nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard dryRun || signingKey != nil && to != nil else {
            throw ValidationError("Give --signing-key FILE and --to FILE, or look with --dry-run.")
        }
    }

    func run() throws {
        try common.perform { session in
            let key = try signingKey.map { try session.absolute($0) }
            let target = try to.map { try session.absolute($0) }
            let report = try ApprovePolicies.run(
                session.absolute(request), as: person, keyFile: key ?? "", to: target ?? "", dryRun: dryRun)
            try session.answer(report) { Rendering.policyApproval(report, session.language) }
            return .done
        }
    }
}

struct PolicyVersions: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List every version of the policies that was in force, newest first.",
        discussion: """
            Qüvvədə olmuş bütün siyasət versiyalarının siyahısı, yenidən köhnəyə.

            With author, approvers, reason and what changed. The register is checked as
            a whole; where it does not hold together, that is exit status 13.

            Examples:
              qala policy history
              qala policy history --json
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let rows = try PolicyHistory.run(state: session.workplace().statePath)
            try session.answer(PolicyVersionsReply(versions: rows)) {
                Rendering.policyVersions(rows, session.language)
            }
            return .done
        }
    }
}

struct PolicySimulating: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Tell when the archives of today may be disposed of.",
        discussion: """
            Bugünkü arxivlərin nə vaxt məhv edilə biləcəyini göstərir.

            Under what is in force, or under a folder: each archive with the instant and
            with what keeps it until then, if no archive came and no hold changed.

            Examples:
              qala policy simulate --until 2035-01-01
              qala policy simulate --until 2035-01-01 Policies --json
            """)

    @Option(help: ArgumentHelp("The last day that is looked at.", valueName: "date"))
    var until: String

    @OptionGroup var source: PolicySourceArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try SimulatePolicies.run(source.value(session), until: until) {
                try session.workplace(preferred: $0)
            }
            try session.answer(report) { Rendering.policyCalendar(report, session.language) }
            return .done
        }
    }
}

struct PolicyKeyMaking: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Make a key that signs approvals.",
        discussion: """
            Təsdiqləri imzalayan açar yaradır.

            An Ed25519 key in a new file that its owner alone can read. What is printed
            goes to people.yaml as `public-key`.

            Examples:
              qala policy key --to rashad.key
            """)

    @Option(help: ArgumentHelp("The new file.", valueName: "file"), completion: .file())
    var to: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try ApprovePolicies.makeKey(at: session.absolute(to))
            try session.answer(report) {
                [
                    PolicyText.keyMade(session.language, [Printable.text(report.file)]),
                    "public-key: \(report.publicKey)",
                ]
            }
            return .done
        }
    }
}

/// The versions under a key of their own, so that fields can be added beside them.
struct PolicyVersionsReply: Encodable, Sendable {
    var versions: [PolicyVersionRow]
}
