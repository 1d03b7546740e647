import API
import ArgumentParser
import Domain
import Operations

extension RegisterExport.Format: ExpressibleByArgument {}

struct RegisterGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register",
        abstract: "Read the registers that the daemon keeps.",
        discussion: """
            Xidmətin apardığı reyestrləri göstərir.

            They are read from the files of this host's state; no daemon is needed. Whose
            account may not read there is answered by the daemon (--socket), by their role.

            Examples:
              qala register problems list --open
              qala register media list
            """,
        subcommands: [
            ProblemsRegister.self, RunsRegister.self, AvailabilityRegister.self, HoldsRegister.self,
            MediaRegister.self, MovedRegisterGroup.self, PolicyChangesRegister.self,
        ])
}

/// A register as an argument of the commands that are the same for each.
protocol RegisterPlace: Sendable {
    static var name: RegisterName { get }
}

enum ProblemsPlace: RegisterPlace { static let name = RegisterName.problems }
enum RunsPlace: RegisterPlace { static let name = RegisterName.runs }
enum AvailabilityPlace: RegisterPlace { static let name = RegisterName.availability }
enum HoldsPlace: RegisterPlace { static let name = RegisterName.holds }
enum MediaPlace: RegisterPlace { static let name = RegisterName.media }
enum PolicyChangesPlace: RegisterPlace { static let name = RegisterName.policyChanges }
enum MovedPlace: RegisterPlace { static let name = RegisterName.moved }

struct ProblemsRegister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "problems",
        abstract: "The register of problems: every failure opens one, only a rerun that passes closes it.",
        discussion: """
            Problemlər reyestri: hər uğursuzluq problem açır, onu yalnız uğurlu təkrar icra bağlayır.

            Examples:
              qala register problems list --open
              qala register problems remark 7 --text "the disk was replaced"
            """,
        subcommands: [
            RegisterList<ProblemsPlace>.self, RegisterShow<ProblemsPlace>.self,
            RegisterExporting<ProblemsPlace>.self, ProblemRemark.self,
        ])
}

struct RunsRegister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs",
        abstract: "The register of runs: how each ended.",
        discussion: """
            İcralar reyestri: hər icranın necə bitdiyi.

            Examples:
              qala register runs list --policy web
              qala register runs export --format csv --to runs.csv
            """,
        subcommands: [
            RegisterList<RunsPlace>.self, RegisterShow<RunsPlace>.self, RegisterExporting<RunsPlace>.self,
        ])
}

struct AvailabilityRegister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "availability",
        abstract: "The register of downtime and load: starts, ends, outages and samples of the load.",
        discussion: """
            Dayanma halları və yüklülük səviyyəsi reyestri.

            Examples:
              qala register availability list --kind outage
              qala register availability export --format csv --to availability.csv
            """,
        subcommands: [
            RegisterList<AvailabilityPlace>.self, RegisterShow<AvailabilityPlace>.self,
            RegisterExporting<AvailabilityPlace>.self,
        ])
}

struct HoldsRegister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holds",
        abstract: "The register of holds, read from the log of the vault.",
        discussion: """
            Hüquqi saxlama (məhv etməyə qadağa) reyestri, anbarın jurnalından oxunur.

            Examples:
              qala register holds list --open
              qala register holds show 3f9a1c22
            """,
        subcommands: [
            RegisterList<HoldsPlace>.self, RegisterShow<HoldsPlace>.self, RegisterExporting<HoldsPlace>.self,
        ])
}

struct MediaRegister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "media",
        abstract: "The register of offline volumes: shelf, custody, verifications and when the next is due.",
        discussion: """
            Oflayn daşıyıcılar reyestri: rəf yeri, kimdə olduğu, yoxlamalar və növbəti yoxlama.

            Examples:
              qala register media list --open
              qala register media list --kind lost
              qala register media show 3f9a1c22
            """,
        subcommands: [
            RegisterList<MediaPlace>.self, RegisterShow<MediaPlace>.self, RegisterExporting<MediaPlace>.self,
        ])
}

struct PolicyChangesRegister: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy-changes",
        abstract: "The register of changes of the policies: when, by whom, approved by whom, why and what.",
        discussion: """
            Siyasət dəyişiklikləri reyestri: nə vaxt, kim, kimin təsdiqi ilə, nə üçün və nəyi dəyişib.

            Examples:
              qala register policy-changes list --policy web
              qala register policy-changes show 7
            """,
        subcommands: [
            RegisterList<PolicyChangesPlace>.self, RegisterShow<PolicyChangesPlace>.self,
            RegisterExporting<PolicyChangesPlace>.self,
        ])
}

struct MovedRegisterGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "moved",
        abstract: "The register of originals that left the active system, and of the archives that hold them.",
        discussion: """
            Aktiv sistemdən silinmiş əsl faylların və onları saxlayan arxivlərin reyestri.

            Examples:
              qala register moved list --policy log
              qala register moved show 3f9a1c22
            """,
        subcommands: [
            RegisterList<MovedPlace>.self, RegisterShow<MovedPlace>.self, RegisterExporting<MovedPlace>.self,
        ])
}

/// Which rows are meant.
struct RegisterFilterOptions: ParsableArguments {
    @Flag(help: "Only problems that are not closed, holds in force, or volumes that are overdue.")
    var open = false

    @Option(help: ArgumentHelp("Only rows of this policy.", valueName: "name"))
    var policy: String?

    @Option(help: ArgumentHelp("Only rows of this kind or state, as in the files.", valueName: "kind"))
    var kind: String?

    @Option(help: ArgumentHelp("Only rows with something that happened since then.", valueName: "date"))
    var since: String?

    func check(_ name: RegisterName) throws {
        if open, !name.hasOpenRows {
            throw ValidationError("--open goes with the registers problems, holds and media.")
        }
        if policy != nil, !name.namesPolicies {
            throw ValidationError("--policy goes with the registers problems, runs, media, moved and policy-changes.")
        }
        if let policy, !Policy.isWellFormed(name: policy) { throw ValidationError("--policy names a policy.") }
        if let since, RegisterFilter.instant(since) == nil {
            throw ValidationError("--since is a date such as 2026-11-22 or a time such as 2026-11-22T15:00.")
        }
    }

    var filter: RegisterFilter {
        var filter = RegisterFilter()
        filter.openOnly = open
        filter.policy = policy
        filter.kind = kind
        filter.since = since.flatMap { RegisterFilter.instant($0) }
        return filter
    }
}

struct RegisterList<Place: RegisterPlace>: ParsableCommand {
    static var configuration: CommandConfiguration {
        let name = Place.name.rawValue
        let narrowed = Place.name.hasOpenRows ? "--open" : "--since 2026-11-01"
        return CommandConfiguration(
            commandName: "list",
            abstract: "List the rows, newest first.",
            discussion: """
                Reyestrin sətirləri, yenidən köhnəyə.

                Damage of the files is told after the rows; the status is then 13.

                Examples:
                  qala register \(name) list \(narrowed)
                  qala register \(name) list --limit 20 --json
                """)
    }

    @OptionGroup var filter: RegisterFilterOptions

    @Option(help: ArgumentHelp("How many.", valueName: "n"))
    var limit = 100

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        try filter.check(Place.name)
        if !(1...100_000).contains(limit) { throw ValidationError("--limit is a number from 1 to 100000.") }
    }

    func run() throws {
        try common.perform { session in
            let report: RegisterReport
            if let client = try socket.reader(session) {
                let query = ControlPath.query(filter.filter.query + [("limit", "\(limit)")])
                report = try client.get(ControlPath.register(Place.name) + query)
            } else {
                report = try Registers.list(Place.name, filter.filter, limit: limit, at: try session.workplace())
            }
            try session.answer(report) { Rendering.register(report, session.language) }
            return report.damage.isEmpty ? .done : .damaged
        }
    }
}

struct RegisterShow<Place: RegisterPlace>: ParsableCommand {
    static var configuration: CommandConfiguration {
        let name = Place.name.rawValue
        let id =
            switch Place.name {
            case .problems, .availability, .policyChanges: "7"
            case .runs: "20261122T2315"
            case .holds, .media, .moved: "3f9a1c22"
            }
        return CommandConfiguration(
            commandName: "show",
            abstract: "Show everything of one row.",
            discussion: """
                Bir sətrin bütün məlumatını göstərir.

                Examples:
                  qala register \(name) show \(id)
                """)
    }

    @Argument(help: ArgumentHelp("Number or id of the row; of an id, its beginning.", valueName: "id"))
    var id: String

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if id.isEmpty { throw ValidationError("Name a row by its number or id.") }
    }

    func run() throws {
        try common.perform { session in
            let row: RegisterRow
            if let client = try socket.reader(session) {
                row = try client.get(ControlPath.registerRow(Place.name, id), as: RegisterRowReply.self).row
            } else {
                row = try Registers.show(Place.name, id, at: try session.workplace())
            }
            try session.answer(RegisterRowReply(register: Place.name, row: row)) {
                Rendering.registerRow(row, of: Place.name, session.language)
            }
            return .done
        }
    }
}

struct RegisterExporting<Place: RegisterPlace>: ParsableCommand {
    static var configuration: CommandConfiguration {
        let name = Place.name.rawValue
        return CommandConfiguration(
            commandName: "export",
            abstract: "Write the rows for other programs, oldest first.",
            discussion: """
                Reyestri başqa proqramlar üçün yazır.

                CSV as in RFC 4180; what a spreadsheet would take for a formula begins
                with an apostrophe. Without --to it goes to standard output.

                Examples:
                  qala register \(name) export --format csv --to \(name).csv
                  qala register \(name) export --format json
                """)
    }

    @Option(help: ArgumentHelp("csv or json.", valueName: "format"))
    var format: RegisterExport.Format

    @Option(help: ArgumentHelp("A new file.", valueName: "file"), completion: .file())
    var to: String?

    @OptionGroup var filter: RegisterFilterOptions
    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        try filter.check(Place.name)
        if common.json, to == nil { throw ValidationError("--json goes with --to; --format json writes the rows.") }
    }

    func run() throws {
        try common.perform { session in
            let rows = try rows(session)
            let report: RegisterExport.Report
            if let to {
                report = try RegisterExport.run(Place.name, as: format, rows, to: try session.absolute(to))
                try session.answer(report) { Rendering.exported(report, session.language) }
            } else {
                report = try RegisterExport.run(Place.name, as: format, rows) { try session.out.bytes($0) }
            }
            if !session.isJSON {
                for line in Rendering.flaws(report.damage, report.tornBytes, session.language) {
                    try session.note.line(line)
                }
                try session.note.flush()
            }
            return report.damage.isEmpty ? .done : .damaged
        }
    }

    private func rows(_ session: Session) throws -> RegisterExport.Rows {
        guard let client = try socket.reader(session) else {
            return RegisterExport.rows(Place.name, filter.filter, at: try session.workplace())
        }
        return RegisterExport.rows(Place.name) { start in
            let page = [("from", "\(start)"), ("limit", "\(ControlPath.longestPage)")]
            return try client.get(
                ControlPath.register(Place.name) + ControlPath.query(filter.filter.query + page))
        }
    }
}

struct ProblemRemark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remark",
        abstract: "Add what a person has to say about a problem.",
        discussion: """
            Problemə qeyd əlavə edir.

            A remark closes nothing, and nothing is edited. A daemon that runs adds it;
            without one it is written here.

            Examples:
              qala register problems remark 7 --text "the disk was replaced"
            """)

    @Argument(help: ArgumentHelp("Number of the problem.", valueName: "id"))
    var id: Int

    @Option(help: ArgumentHelp("The remark.", valueName: "text"))
    var text: String

    @Flag(help: "Show what would be added, and add nothing.")
    var dryRun = false

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try add(session)
            try session.answer(report) {
                let said: RegisterText = report.dryRun ? .remarkDry : .remarked
                return [said(session.language, "\(report.problem)")]
            }
            return .done
        }
    }

    private func add(_ session: Session) throws -> RemarkReport {
        let workplace = try session.workplace()
        if !dryRun {
            do {
                let asked = RemarkAsked(problem: id, text: text)
                return try socket.client(session).post(ControlPath.remark, asked, as: RemarkReport.self)
            } catch let problem as ControlClient.Problem where problem.kind == .daemonDown {
                // Written below, under the lock that a daemon would have.
            }
        }
        return try Registers.remark(id, text, dryRun: dryRun, at: workplace)
    }
}
