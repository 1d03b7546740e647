import Documents
package import Domain
import FoundationEssentials
import Vault

/// A folder of policies as an institution keeps it, looked at as a whole.
package enum PolicyFolder {
    /// One thing that the strict check found.
    package struct FindingRow: Codable, Sendable {
        package var file: String
        package var line: Int
        package var column: Int
        /// Whether it keeps the set from being put into force.
        package var blocking: Bool
        package var message: String
    }

    package struct CheckReport: Codable, Sendable {
        package var folder: String
        package var policies: Int
        package var findings: [FindingRow]
        package var isInForceable: Bool { !findings.contains(where: \.blocking) }
    }

    /// A coming run.
    package struct RunRow: Codable, Sendable {
        package var policy: String
        /// RFC 3339, UTC.
        package var due: String
        /// When it may start, jitter and windows included; nil when no window opens any more.
        package var start: String?
    }

    /// Everything that is wrong with the folder today, in `language`.
    package static func check(_ folder: String, _ language: Language) throws -> CheckReport {
        let document = try PolicySetDocument.read(folder: folder)
        let findings = document.problems(on: today, knowing: knowledge, folder: folder).map { problem in
            FindingRow(
                file: problem.file ?? folder, line: problem.line, column: problem.column,
                blocking: problem.isBlocking, message: problem.line(in: language, file: folder))
        }
        return CheckReport(folder: folder, policies: document.set.policies.count, findings: findings)
    }

    /// The policy document of clauses 5.1–5.2, the same bytes for the same documents.
    package static func render(_ source: PolicySource, asHTML: Bool, _ language: Language) throws -> String {
        let (document, _, edition) = try source.read()
        return asHTML
            ? PolicyRendering.html(document.set, language, edition: edition)
            : PolicyRendering.text(document.set, language, edition: edition)
    }

    /// The next `count` runs of all policies together, by the time at which they are due.
    package static func next(_ source: PolicySource, count: Int) throws -> [RunRow] {
        let set = try source.read().document.set
        let now = Int64(WallTime.seconds()) * 1_000_000
        var runs: [(due: Int64, row: RunRow)] = []
        for policy in set.policies {
            guard let schedule = policy.schedule else { continue }
            guard let zone = ZoneFiles.rules(schedule.effectiveZoneName) else {
                throw OperationError(
                    .badPolicy, "there is no time zone \(schedule.effectiveZoneName) on this machine",
                    hint: "Install the package `tzdata`, or name another zone in policy \(policy.name).")
            }
            for (due, start) in schedule.coming(after: now, in: zone, count: count) {
                runs.append(
                    (
                        due,
                        RunRow(
                            policy: policy.name, due: TimeText.seconds(due / 1_000_000),
                            start: start.map { TimeText.seconds($0 / 1_000_000) })
                    ))
            }
        }
        runs.sort { ($0.due, $0.row.policy) < ($1.due, $1.row.policy) }
        return runs.prefix(count).map(\.row)
    }

    private static var today: CivilDay { CivilDay(secondsSince1970: Int64(WallTime.seconds())) }
    private static var knowledge: PolicySet.Knowledge {
        PolicySet.Knowledge(instant: Int64(WallTime.seconds())) { ZoneFiles.rules($0) }
    }
}

/// The time zones of this machine.
enum ZoneFiles {
    private static let folder = "/usr/share/zoneinfo"
    private static let byteLimit = 1 << 20

    /// Nil when the machine has no such zone, or a damaged one.
    static func rules(_ name: String) -> TimeZoneRules? {
        if name == "UTC" { return .utc }
        // A name becomes a path: nothing but the form of a zone's name may.
        guard CalendarExpression.hasFormOfZone(name),
            let data = FileManager.default.contents(atPath: "\(folder)/\(name)"), data.count <= byteLimit
        else { return nil }
        return try? TimeZoneRules(tzif: [UInt8](data))
    }
}
