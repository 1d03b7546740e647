import Domain
import Operations

/// Registers as tables for people. What is wrong with the files stands after the rows, so that it is seen.
extension Rendering {
    static func register(_ report: RegisterReport, _ language: Language) -> [String] {
        var lines: [String] = []
        if report.rows.isEmpty {
            lines.append(RegisterText.noRows(language))
        } else {
            let columns = shownColumns(report.register)
            var titles: [(title: String, alignment: Table.Alignment)] = []
            for column in columns {
                let isNumber =
                    ["times", "seconds", "files", "bytes", "size"].contains(column)
                    || column == "archives" && report.register == .media
                titles.append(
                    (title: RegisterText.title(of: column, language), alignment: isNumber ? .right : .left))
            }
            var table = Table(titles)
            for row in report.rows {
                table.add(columns.map { cell($0, row.fields[$0] ?? "", report.register, language) })
            }
            lines += table.lines
        }
        if report.more > 0 { lines.append(RegisterText.more(language, Readable.count(report.more))) }
        return lines + flaws(report.damage, report.tornBytes, language)
    }

    static func registerRow(_ row: RegisterRow, of register: RegisterName, _ language: Language) -> [String] {
        var facts: [(String, String)] = []
        for column in register.columns {
            guard let value = row.fields[column] else { continue }
            // Each remark, and each line of a message, on a line of its own.
            for (at, part) in value.split(separator: "\n").enumerated() {
                let title = at == 0 ? RegisterText.title(of: column, language) : ""
                facts.append((title, cell(column, String(part), register, language, isWhole: true)))
            }
        }
        return Table.facts(facts)
    }

    static func exported(_ report: RegisterExport.Report, _ language: Language) -> [String] {
        let file = Printable.text(report.file ?? "-")
        return [RegisterText.exported(language, Readable.count(report.rows), file)]
    }

    static func flaws(_ damage: [RegisterDamage], _ tornBytes: Int, _ language: Language) -> [String] {
        var lines: [String] = []
        if tornBytes > 0 { lines.append(RegisterText.torn(language, "\(tornBytes)")) }
        guard !damage.isEmpty else { return lines }
        lines.append(RegisterText.damaged(language, Readable.count(damage.count)))
        lines += damage.prefix(listedProblems).map { "  " + Printable.text($0.text) }
        return lines + [RegisterText.damageAdvice(language)]
    }

    /// The first lines of `qala status`: nothing where nothing is open.
    static func openProblems(_ open: OpenProblems?, _ language: Language) -> [String] {
        guard let open, open.count > 0 else { return [] }
        var facts = [(RegisterText.openProblems(language), Readable.count(open.count))]
        if let newest = open.newest {
            let about = newest.policy.isEmpty ? "" : " (\(newest.policy))"
            let text = "\(newest.id): \(newest.kind.name(in: language))\(about), \(newest.message)"
            facts.append((RegisterText.newestProblem(language), text))
        }
        return Table.facts(facts) + [""]
    }

    /// What fits a terminal; `show` and `export` have the rest.
    private static func shownColumns(_ register: RegisterName) -> [String] {
        switch register {
        case .availability:
            [
                "number", "time", "kind", "from", "until", "seconds", "cause", "machine", "load1", "memoryAvailable",
                "stateAvailable", "vaultAvailable",
            ]
        case .holds: ["hold", "placed", "released", "archives", "reason", "basis"]
        case .media: ["volume", "title", "state", "shelf", "holder", "archives", "verified", "verifyBy", "overdue"]
        case .policyChanges: ["number", "time", "author", "approvers", "policies", "reason"]
        case .moved: ["move", "state", "path", "size", "archive", "policy", "ended"]
        case .problems: ["problem", "kind", "policy", "opened", "lastSeen", "times", "closed", "closedBy", "message"]
        case .runs: ["run", "policy", "state", "ended", "files", "bytes", "message"]
        }
    }

    private static func cell(
        _ column: String, _ value: String, _ register: RegisterName, _ language: Language, isWhole: Bool = false
    ) -> String {
        switch (column, register) {
        case ("kind", .problems): ProblemKind(rawValue: value)?.name(in: language) ?? value
        case ("state", .runs): RunRecord.State(rawValue: value)?.name(in: language) ?? value
        case ("state", .moved): movedState(value, language)
        case ("archive", .moved) where !isWhole: Printable.shortID(value)
        case ("size", _): Int(value).map { Readable.size($0, language) } ?? value
        case ("closed", .problems) where value.isEmpty: RegisterText.open(language)
        case ("released", .holds) where value.isEmpty: RegisterText.held(language)
        case ("time", _), ("opened", _), ("lastSeen", _), ("closed", _), ("ended", _), ("placed", _), ("released", _),
            ("from", _), ("until", _), ("started", _), ("asked", _), ("due", _), ("created", _), ("written", _),
            ("verified", _), ("verifyBy", _):
            value.isEmpty ? "" : Printable.localTime(value)
        case ("seconds", _): Double(value).map { Readable.duration($0, language) } ?? value
        case ("bytes", _), ("bytesStored", _), ("memoryAvailable", _), ("memoryTotal", _), ("stateAvailable", _),
            ("vaultAvailable", _), ("capacity", _):
            Int(value).map { Readable.size($0, language) } ?? value
        case ("hold", _) where !isWhole: Printable.shortID(value)
        case ("archives", .holds) where !isWhole: archives(value, language)
        case ("overdue", .media) where !value.isEmpty: RegisterText.overdue(language)
        case ("state", .media):
            VolumeRow.State(rawValue: value).map { volumeState($0, language) } ?? value
        case ("kind", .policyChanges): (value == "firstStart" ? RegisterText.firstStart : .applied)(language)
        default: value
        }
    }

    static func volumeState(_ state: VolumeRow.State, _ language: Language) -> String {
        switch state {
        case .shelf: RegisterText.onShelf(language)
        case .out: RegisterText.isOut(language)
        case .found: RegisterText.foundVolume(language)
        case .lost: gone(.lost, language)
        case .destroyed: gone(.destroyed, language)
        }
    }

    private static func movedState(_ value: String, _ language: Language) -> String {
        switch (value, language) {
        case ("moving", .english): "not settled"
        case ("moving", .azerbaijani): "aydın deyil"
        case ("moved", .azerbaijani): "silinib"
        case ("stayed", .azerbaijani): "qalıb"
        default: value
        }
    }

    private static func archives(_ value: String, _ language: Language) -> String {
        value == "all" ? Text.everyArchive(language) : Readable.count(value.split(separator: " ").count)
    }
}
