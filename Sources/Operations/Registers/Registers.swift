import Domain
import Glibc
import Vault

/// Which rows of a register are meant.
package struct RegisterFilter: Sendable, Equatable {
    /// Problems that are not closed, holds that are in force, volumes whose verification is overdue.
    package var openOnly = false
    package var policy: String?
    package var kind: String?
    /// RFC 3339, UTC: rows of which something happened then or later.
    package var since: String?

    package init() {}

    /// The instant from which `text` means, as RFC 3339; a date and a minute mean their first second, and what names no
    /// zone is local time. Nil for what is no date.
    package static func instant(_ text: String) -> String? {
        var whole = Array(text.utf8)
        if whole.count == 10 { whole += Array("T00:00:00".utf8) }
        if whole.count == 16 || whole.count > 16 && whole[16] != 0x3A { whole.insert(contentsOf: ":00".utf8, at: 16) }
        return TimeText.parse(String(decoding: whole, as: UTF8.self)).map { TimeText.seconds($0) }
    }
}

/// One row, as its columns say.
package struct RegisterRow: Codable, Sendable, Equatable {
    /// By which `show` finds it.
    package var id: String
    package var time: String
    package var fields: [String: String]
}

/// The rows of a register, and what is wrong with its files.
package struct RegisterReport: Codable, Sendable {
    package var register: RegisterName
    package var rows: [RegisterRow] = []
    /// How many there are beyond those in ``rows``.
    package var more = 0
    package var damage: [RegisterDamage] = []
    /// Bytes of a last line that is not complete: torn, or being written.
    package var tornBytes = 0
}

/// A remark that was added, or with `dryRun` would be.
package struct RemarkReport: Codable, Sendable {
    package var problem: Int
    package var text: String
    package var by: String
    package var dryRun: Bool

    package init(problem: Int, text: String, by: String, dryRun: Bool) {
        self.problem = problem
        self.text = text
        self.by = by
        self.dryRun = dryRun
    }

    static func change(
        _ problem: Int, _ text: String, by caller: String, in ledger: ProblemLedger
    ) throws -> ProblemLedger.Change {
        guard ledger.hasGiven(problem) else {
            throw OperationError(
                .notFound, "there is no problem \(problem)", hint: "`qala register problems list` shows them.")
        }
        guard !text.allSatisfy(\.isWhitespace) else {
            throw OperationError(.usage, "a remark needs a text", hint: "Say it with --text.")
        }
        guard text.unicodeScalars.count <= ProblemLedger.Change.longestText else {
            throw OperationError(
                .usage, "a remark has at most \(ProblemLedger.Change.longestText) characters",
                hint: "Name the document that says the rest.")
        }
        return ProblemLedger.Change(.remark, problem, text: text, by: caller)
    }
}

extension RegisterName {
    /// The columns of its rows, in the order in which they are written.
    package var columns: [String] {
        switch self {
        case .availability:
            [
                "number", "time", "kind", "from", "until", "seconds", "cause", "machine", "version", "process", "boot",
                "load1", "load5", "load15", "memoryTotal", "memoryAvailable", "stateAvailable", "vaultAvailable",
            ]
        case .holds: ["hold", "placed", "released", "archives", "reason", "basis"]
        case .media:
            [
                "volume", "title", "state", "shelf", "holder", "created", "written", "verified", "verifyBy", "overdue",
                "archives", "bytesStored", "capacity", "policies", "fingerprint", "custody",
            ]
        case .policyChanges:
            [
                "number", "time", "kind", "author", "approvers", "reason", "policies", "changes", "sameAs", "digest",
                "request",
            ]
        case .moved:
            [
                "move", "time", "state", "path", "pathBytes", "size", "sha256", "archive", "policy", "version",
                "vault", "ended", "reason", "settled", "aside",
            ]
        case .problems:
            [
                "problem", "kind", "policy", "opened", "lastSeen", "times", "message", "runs", "closed", "closedBy",
                "remarks",
            ]
        case .runs:
            [
                "number", "time", "state", "run", "policy", "trigger", "requestedBy", "attempt", "due", "asked",
                "started", "ended", "archive", "files", "bytes", "bytesStored", "problems", "failure", "message",
            ]
        }
    }

    /// Whether some of its rows await something: see ``RegisterFilter/openOnly``.
    package var hasOpenRows: Bool { [.holds, .media, .problems].contains(self) }

    /// Whether its rows name policies.
    package var namesPolicies: Bool { [.media, .moved, .policyChanges, .problems, .runs].contains(self) }

    /// What a line is called that has the name of a column of its own.
    fileprivate var kindColumn: String { self == .runs || self == .moved ? "state" : "kind" }
}

/// The registers, read from their files: no daemon is needed, and one that runs is not disturbed.
package enum Registers {
    /// Newest first, `limit` at most.
    package static func list(
        _ name: RegisterName, _ filter: RegisterFilter, limit: Int, at workplace: Workplace
    ) throws -> RegisterReport {
        var report = RegisterReport(register: name)
        var rows: [RegisterRow] = []
        var more = 0
        try each(name, filter, at: workplace, &report) { row in
            rows.append(row)
            // A register may be long; what is not shown is counted and let go.
            if rows.count >= 2 * limit + 1000 {
                more += rows.count - limit
                rows.removeFirst(rows.count - limit)
            }
        }
        report.more = more + max(0, rows.count - limit)
        report.rows = rows.suffix(limit).reversed()
        return report
    }

    /// Oldest first from the row at `start`, counted from 0: `limit` at most, and fewer where they are long. What comes after
    /// them is counted. A page is read again by who compares its first row with the last one of the page before.
    package static func page(
        _ name: RegisterName, _ filter: RegisterFilter, from start: Int, limit: Int, at workplace: Workplace
    ) throws -> RegisterReport {
        var report = RegisterReport(register: name)
        var (rows, at, bytes, more) = ([RegisterRow](), 0, 0, 0)
        try each(name, filter, at: workplace, &report) { row in
            defer { at += 1 }
            guard at >= start else { return }
            guard more == 0, rows.count < limit, rows.count < 2 || bytes < pageBytes else {
                more += 1
                return
            }
            rows.append(row)
            bytes += row.fields.values.reduce(0) { $0 + $1.utf8.count }
        }
        (report.rows, report.more) = (rows, more)
        return report
    }

    /// Of the texts on a page.
    private static let pageBytes = 8 << 20

    /// The row with this id, or the only one whose id begins with it.
    package static func show(_ name: RegisterName, _ id: String, at workplace: Workplace) throws -> RegisterRow {
        var exact: RegisterRow?
        var similar: [RegisterRow] = []
        var report = RegisterReport(register: name)
        try each(name, RegisterFilter(), at: workplace, &report) { row in
            if row.id == id {
                exact = row
            } else if !id.isEmpty, row.id.hasPrefix(id), similar.count < 2 {
                similar.append(row)
            }
        }
        if let exact { return exact }
        // Numbers are whole or not meant.
        let isNumbered = [.availability, .policyChanges, .problems].contains(name)
        guard !isNumbered, let row = similar.first else {
            throw OperationError(
                .notFound, "the register \(name.rawValue) has no row \(id)",
                hint: "`qala register \(name.rawValue) list` shows them.")
        }
        guard similar.count == 1 else {
            throw OperationError(.usage, "several rows begin with \(id)", hint: "Give more of the id.")
        }
        return row
    }

    /// Hands over the rows that are meant, oldest first, and adds to `report` what is wrong with the files.
    static func each(
        _ name: RegisterName, _ filter: RegisterFilter, at workplace: Workplace, _ report: inout RegisterReport,
        _ body: (RegisterRow) throws -> Void
    ) throws {
        let files = RegisterFiles(state: workplace.statePath, name)
        switch name {
        case .availability, .runs:
            let reading = try files.read { entry in
                let row = Self.row(entry, name)
                if filter.admits(row, kind: entry.kind, since: entry.time) { try body(row) }
            }
            report.take(reading)
        case .moved: report.take(try moved(files, filter, body))
        case .problems:
            var ledger = ProblemLedger(keepsClosed: true)
            var changed: [Int: String] = [:]
            let reading = try files.read { entry in
                guard let change = ProblemLedger.Change(entry.kind, entry.fields) else { return }
                ledger.apply(change, at: entry.time)
                changed[change.problem] = entry.time
            }
            report.take(reading)
            for problem in ledger.problems.values.sorted(by: { $0.id < $1.id }) {
                if filter.openOnly, !problem.isOpen { continue }
                let row = Self.row(problem)
                let since = changed[problem.id] ?? problem.opened
                if filter.admits(row, kind: problem.kind.rawValue, since: since) { try body(row) }
            }
        case .holds:
            for hold in try HoldArchives.list(at: workplace) {
                if filter.openOnly, hold.released != nil { continue }
                let row = Self.row(hold)
                let kind = hold.released == nil ? "held" : "released"
                if filter.admits(row, kind: kind, since: hold.released ?? hold.placed) { try body(row) }
            }
        case .media:
            for volume in try Volumes.list(overdue: filter.openOnly, at: workplace).volumes {
                let row = Self.row(volume)
                let since = volume.custody.last?.time ?? volume.volume.created
                if filter.admits(row, kind: row.fields["state"] ?? "", since: since) { try body(row) }
            }
        case .policyChanges:
            for version in try PolicyRegister(statePath: workplace.statePath).versionsWithChanges() {
                let row = Self.row(version.row, version.changes)
                if filter.admits(row, kind: row.fields["kind"] ?? "", since: row.time) { try body(row) }
            }
        }
    }

    /// A row for each file, at the place of the line that says what became of it; those that are not settled last.
    private static func moved(
        _ files: RegisterFiles, _ filter: RegisterFilter, _ body: (RegisterRow) throws -> Void
    ) throws -> RegisterFiles.Reading {
        var begun: [(id: String, entry: RegisterEntry)] = []
        func end(_ id: String, _ end: RegisterEntry?) throws {
            guard let at = begun.lastIndex(where: { $0.id == id }) else { return }
            let entry = begun.remove(at: at).entry
            var fields = entry.fields
            fields["time"] = entry.time
            fields["state"] = end?.kind ?? entry.kind
            fields["ended"] = end?.time
            fields["reason"] = end?.fields["reason"]
            fields["settled"] = end?.fields["settled"]
            let row = RegisterRow(
                id: id, time: entry.time, fields: fields.filter { RegisterName.moved.columns.contains($0.key) })
            let kind = end?.kind ?? entry.kind
            if filter.admits(row, kind: kind, since: end?.time ?? entry.time) { try body(row) }
        }
        let reading = try files.read { entry in
            if entry.kind == MovedLine.moving.rawValue, let id = entry.fields["move"] {
                begun.append((id, entry))
            } else if entry.kind == MovedLine.moved.rawValue || entry.kind == MovedLine.stayed.rawValue {
                for id in MovedLine.ids(entry.fields) { try end(id, entry) }
            }
        }
        for id in begun.map(\.id) { try end(id, nil) }
        return reading
    }

    private static func row(_ entry: RegisterEntry, _ name: RegisterName) -> RegisterRow {
        var fields = entry.fields.filter { name.columns.contains($0.key) }
        fields["number"] = "\(entry.number)"
        fields["time"] = entry.time
        fields[name.kindColumn] = entry.kind
        let id = name == .runs ? entry.fields["run"] ?? "\(entry.number)" : "\(entry.number)"
        return RegisterRow(id: id, time: entry.time, fields: fields)
    }

    private static func row(_ problem: Problem) -> RegisterRow {
        var fields = ["problem": "\(problem.id)", "kind": problem.kind.rawValue, "times": "\(problem.times)"]
        fields["policy"] = problem.policy.isEmpty ? nil : problem.policy
        fields["opened"] = problem.opened
        fields["lastSeen"] = problem.lastSeen
        fields["message"] = problem.message
        fields["runs"] = problem.runs.isEmpty ? nil : problem.runs.joined(separator: " ")
        fields["closed"] = problem.closed
        fields["closedBy"] = problem.closedBy.flatMap { $0.isEmpty ? nil : $0 }
        let remarks = problem.remarks.map { "\($0.time) \($0.by): \($0.text)" }
        fields["remarks"] = remarks.isEmpty ? nil : remarks.joined(separator: "\n")
        return RegisterRow(id: "\(problem.id)", time: problem.opened, fields: fields)
    }

    private static func row(_ hold: HoldRow) -> RegisterRow {
        var fields = ["hold": hold.id, "placed": hold.placed]
        fields["archives"] = hold.archives.isEmpty ? "all" : hold.archives.joined(separator: " ")
        fields["released"] = hold.released
        fields["reason"] = hold.reason
        fields["basis"] = hold.basis
        return RegisterRow(id: hold.id, time: hold.placed, fields: fields)
    }

    private static func row(_ volume: VolumeRow) -> RegisterRow {
        let record = volume.volume
        var fields = ["volume": record.id, "title": record.title, "created": record.created]
        fields["state"] = volume.state.rawValue
        fields["shelf"] = record.shelf
        fields["holder"] = record.holder
        fields["written"] = record.archives.map(\.written).max()
        fields["verified"] = record.verified
        fields["verifyBy"] = record.isGone ? nil : record.verifyBy
        fields["overdue"] = volume.overdue ? "yes" : nil
        fields["archives"] = "\(record.archives.count)"
        fields["bytesStored"] = "\(record.archives.reduce(0) { $0.addingClamped(UInt64(clamping: $1.sealedBytes)) })"
        fields["capacity"] = record.capacity.map { "\($0)" }
        let policies = Set(record.archives.compactMap(\.policy)).sorted()
        fields["policies"] = policies.isEmpty ? nil : policies.joined(separator: " ")
        fields["fingerprint"] = record.fingerprint
        let acts = volume.custody.map { "\($0.time) uid \($0.account): \($0.act) \($0.detail)" }
        fields["custody"] = acts.isEmpty ? nil : acts.joined(separator: "\n")
        return RegisterRow(id: record.id, time: record.created, fields: fields)
    }

    private static func row(_ version: PolicyVersionRow, _ changes: [PolicyChangeRow]) -> RegisterRow {
        var fields = ["number": "\(version.number)", "time": version.time, "author": version.author]
        fields["kind"] = version.firstStart ? "firstStart" : "applied"
        fields["approvers"] = version.approvers.isEmpty ? nil : version.approvers.joined(separator: " ")
        fields["reason"] = version.reason
        let policies = Set(changes.filter { $0.subject == "policy" }.map(\.name)).sorted()
        fields["policies"] = policies.isEmpty ? nil : policies.joined(separator: " ")
        fields["changes"] = changes.isEmpty ? nil : changes.map(Self.line).joined(separator: "\n")
        fields["sameAs"] = version.sameAs.map { "\($0)" }
        fields["digest"] = version.digest
        fields["request"] = version.request
        return RegisterRow(id: "\(version.number)", time: version.time, fields: fields)
    }

    /// `policy web changed, retention: 1 year → 2 years`
    private static func line(_ change: PolicyChangeRow) -> String {
        let what = "\(change.subject) \(change.name) \(change.change)"
        guard !change.field.isEmpty else { return what }
        func value(_ text: BothTexts) -> String { text.en.isEmpty ? "-" : text.en.joined(separator: "; ") }
        let text = "\(what), \(change.field): \(value(change.before)) → \(value(change.after))"
        return String(text.map { $0.isNewline ? " " : $0 })
    }

    /// Adds a remark where no daemon runs; one that does has the lock, and this throws ``FailureKind/inUse``.
    package static func remark(
        _ problem: Int, _ text: String, dryRun: Bool, at workplace: Workplace
    ) throws -> RemarkReport {
        let caller = "uid \(getuid())"
        let files = RegisterFiles(state: workplace.statePath, .problems)
        func ledger() throws -> ProblemLedger {
            var ledger = ProblemLedger(keepsClosed: false)
            try files.read { entry in
                if let change = ProblemLedger.Change(entry.kind, entry.fields) { ledger.apply(change, at: entry.time) }
            }
            return ledger
        }
        let change = try RemarkReport.change(problem, text, by: caller, in: try ledger())
        if !dryRun {
            let folder = try DaemonFolder(state: workplace.statePath)
            let now = TimeText.seconds(Int64(WallTime.seconds()))
            try RegisterWriter(files).append(now, change.act.rawValue, change.fields)
            withExtendedLifetime(folder) {}
        }
        return RemarkReport(problem: problem, text: text, by: caller, dryRun: dryRun)
    }
}

extension RegisterReport {
    fileprivate mutating func take(_ reading: RegisterFiles.Reading) {
        damage += reading.damage
        tornBytes = reading.tornBytes
    }
}

extension RegisterFilter {
    fileprivate func admits(_ row: RegisterRow, kind wanted: String, since time: String) -> Bool {
        if let policy {
            // A volume holds archives of several, and a version changes several.
            let named = row.fields["policies"]?.split(separator: " ").map { String($0) } ?? []
            guard row.fields["policy"] == policy || named.contains(policy) else { return false }
        }
        if let kind, wanted != kind { return false }
        if let since, time < since { return false }
        return true
    }
}
