import API
import ArgumentParser
import Domain
import Operations

struct PolicyGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Check, show and put into force the policies.",
        discussion: """
            Siyasət sənədlərini yoxlayır, göstərir və qüvvəyə mindirir.

            Examples:
              qala policy validate /etc/qala/policies
              qala policy apply /etc/qala/policies --author archivist --reason "first policies"
            """,
        subcommands: [
            PolicyValidate.self, PolicyShow.self, PolicyNext.self, PolicyPlanning.self, PolicyApplying.self,
            PolicyApproving.self, PolicyVersions.self, PolicySimulating.self, PolicyKeyMaking.self,
        ])
}

struct PolicyValidate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check all policies of a folder, each by itself and together.",
        discussion: """
            Qovluqdakı bütün siyasət sənədlərini ayrılıqda və birlikdə yoxlayır.

            Every finding is listed with file, line and column, and with the clause of
            the regulation where that is the reason. What keeps the set from being put
            into force is exit status 78.

            Examples:
              qala policy validate Policies
              qala policy validate /etc/qala/policies --language az
            """)

    @Argument(help: ArgumentHelp("The folder.", valueName: "folder"), completion: .directory)
    var folder: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try PolicyFolder.check(folder, session.language)
            try session.answer(report) { Rendering.policyCheck(report, session.language) }
            return report.isInForceable ? .done : .badPolicy
        }
    }
}

struct PolicyShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Write the policy document of the regulation.",
        discussion: """
            Əsasnamənin tələb etdiyi arxivləşdirmə siyasəti sənədini yazır.

            Without a folder, of what is in force. The same documents give the same
            bytes each time.

            Examples:
              qala policy show
              qala policy show Policies
              qala policy show Policies --html --language az > siyaset.html
            """)

    @OptionGroup var source: PolicySourceArgument

    @Flag(help: "As a page to be printed.")
    var html = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if common.json { throw ValidationError("The policy document is text or --html; leave out --json.") }
    }

    func run() throws {
        try common.perform { session in
            let document = try PolicyFolder.render(source.value(session), asHTML: html, session.language)
            try session.out.bytes(Array(document.utf8))
            return .done
        }
    }
}

struct PolicyNext: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next",
        abstract: "List the coming runs of the policies.",
        discussion: """
            Siyasətlərin növbəti icralarının siyahısı.

            Without a folder, of what is in force.

            Examples:
              qala policy next Policies --count 5
            """)

    @OptionGroup var source: PolicySourceArgument

    @Option(help: ArgumentHelp("How many.", valueName: "n"))
    var count = 20

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if !(1...1000).contains(count) { throw ValidationError("--count is a number from 1 to 1000.") }
    }

    func run() throws {
        try common.perform { session in
            let rows = try PolicyFolder.next(source.value(session), count: count)
            try session.answer(RunsReply(runs: rows)) { Rendering.comingRuns(rows, session.language) }
            return .done
        }
    }
}
