package import Domain
package import Operations

// The shapes of `--json` beyond the reports of the operations themselves. A list always stands under a key of its own,
// so that fields can be added beside it.

/// A report, with whether it was complete; its fields and `partial` stand on one level.
package struct PartialReport<Report: Encodable & Sendable>: Encodable, Sendable {
    package var report: Report
    package var partial: Bool

    private enum Keys: String, CodingKey { case partial }

    package init(_ report: Report, partial: Bool) {
        self.report = report
        self.partial = partial
    }

    package func encode(to encoder: any Encoder) throws {
        try report.encode(to: encoder)
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(partial, forKey: .partial)
    }
}

/// What `qala run` tells: the report, and who answers for the policy.
package struct PolicyRunReport: Encodable, Sendable {
    package var report: ArchiveReport
    package var policy: Policy

    private enum Keys: String, CodingKey { case component, confidentiality, responsible, deputy, partial }

    package init(_ report: ArchiveReport, of policy: Policy) {
        self.report = report
        self.policy = policy
    }

    package func encode(to encoder: any Encoder) throws {
        try report.encode(to: encoder)
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(policy.component, forKey: .component)
        try container.encode(policy.confidentiality, forKey: .confidentiality)
        try container.encode(policy.responsiblePerson, forKey: .responsible)
        try container.encodeIfPresent(policy.deputyPerson, forKey: .deputy)
        try container.encode(report.isPartial, forKey: .partial)
    }
}

package struct ArchivesReply: Encodable, Sendable {
    package var archives: [ArchiveRow]
    /// Those that left the vault and are on volumes.
    package var offline: [ArchiveRow]
    /// Why they are not known.
    package var offlineProblem: String?
    package init(_ report: ListArchives.Report) {
        archives = report.archives
        offline = report.offline
        offlineProblem = report.offlineProblem
    }
}

package struct RunsReply: Encodable, Sendable {
    package var runs: [PolicyFolder.RunRow]
    package init(runs: [PolicyFolder.RunRow]) { self.runs = runs }
}

package struct HoldsReply: Encodable, Sendable {
    package var holds: [HoldRow]
    package init(holds: [HoldRow]) { self.holds = holds }
}

package struct FoundReply: Encodable, Sendable {
    package var found: [FoundRow]
    /// Archives that were not searched for want of a key.
    package var notSearched: Int
    package var unregistered: UnregisteredArchives?
    package init(_ names: NamesFound) {
        found = names.rows
        notSearched = names.notSearched
        unregistered = names.unregistered
    }
}

package struct VersionsReply: Encodable, Sendable {
    package var path: String
    package var versions: [FoundRow]
    /// Archives that were not searched for want of a key.
    package var notSearched: Int
    package var unregistered: UnregisteredArchives?
    package init(path: String, _ names: NamesFound) {
        self.path = path
        versions = names.rows
        notSearched = names.notSearched
        unregistered = names.unregistered
    }
}

package struct KeysReply: Encodable, Sendable {
    package var keys: [KeyRow]
    package init(keys: [KeyRow]) { self.keys = keys }
}

package struct KeyReply: Encodable, Sendable {
    package var key: KeyRow
    package init(key: KeyRow) { self.key = key }
}

/// What a repair made anew, by name: `segments` of an index, `archives` in a catalog.
package struct RebuiltReply: Encodable, Sendable {
    package var rebuilt: [String: Int]
    package init(rebuilt: [String: Int]) { self.rebuilt = rebuilt }
}

/// Something that is done and has no other figures.
package struct DoneReply: Encodable, Sendable {
    package var done: String
    package init(done: String) { self.done = done }
}
