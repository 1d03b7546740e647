import Collectors
import Documents
import Domain
import FoundationEssentials
import Vault

/// Something that was found on the host.
package struct SourceRow: Codable, Sendable {
    package struct Database: Codable, Sendable {
        package var name: String
        package var bytes: Int64?
    }

    package struct Plan: Codable, Sendable {
        package var policy: String
        /// Only as files, whose copies may be torn.
        package var asFiles: Bool
    }

    package var kind: String
    package var place: String
    /// See ``PathBytes``.
    package var placeBytes: String?
    package var version: String?
    package var running: Bool?
    package var socket: String?
    package var port: Int?
    package var bytes: Int64?
    package var databases: [Database]?
    /// The policies that archive it; empty: it is not planned.
    package var policies: [Plan]
}

package struct SourceFindingRow: Codable, Sendable {
    /// `unplanned`, `changed` or `vanished`.
    package var finding: String
    package var kind: String
    package var place: String
    /// See ``PathBytes``.
    package var placeBytes: String?
    /// Versions of a change.
    package var was: String?
    package var now: String?
}

package struct SourceProblemRow: Codable, Sendable {
    package var place: String
    /// See ``PathBytes``.
    package var placeBytes: String?
    package var reason: String
}

package struct DiscoveryReport: Codable, Sendable {
    /// The version or the folder; nil where there are no policies.
    package var policies: String?
    package var sources: [SourceRow]
    package var findings: [SourceFindingRow]
    /// What could not be looked at.
    package var problems: [SourceProblemRow]
    /// With those that are not listed.
    package var problemCount: Int
    package var isWhole: Bool { problemCount == 0 }
}

/// Looks which databases and repositories this host has, and which policies archive them. It changes nothing.
package enum DiscoverSources {
    package struct Request: Sendable {
        /// Beside the usual places.
        package var paths: [String]
        package var excludes: [String]
        /// A folder; nil for the policies in force.
        package var policyFolder: String?
        /// Seconds for all of it.
        package var patience: Double

        package init(
            paths: [String] = [], excludes: [String] = [], policyFolder: String? = nil, patience: Double = 300
        ) {
            self.paths = paths
            self.excludes = excludes
            self.policyFolder = policyFolder
            self.patience = patience
        }
    }

    package struct Answer: Sendable {
        package var report: DiscoveryReport
        private let unplanned: [FoundSource]

        fileprivate init(_ report: DiscoveryReport, _ unplanned: [FoundSource]) {
            self.report = report
            self.unplanned = unplanned
        }

        /// A policy for what none archives; empty where there is nothing of that.
        package var draft: String { PolicyDraft.text(for: unplanned) }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> Answer {
        var usual = HostPlaces.usual
        usual.trees += request.paths
        return try run(request, in: usual, at: workplace)
    }

    static func run(_ request: Request, in places: HostPlaces, at workplace: Workplace) throws -> Answer {
        var unread: [(String, String)] = []
        let policies = try policies(request, workplace, &unread)
        var book = SourceBook()
        do { book = try remembered(workplace.statePath) } catch {
            unread.append((workplace.statePath, (error as? any Failure)?.message ?? "\(error)"))
        }
        let set = policies?.policies ?? []
        var outcome = SourceSearch().look(
            .init(
                places: places, policies: set, remembered: book.sources,
                leftOut: [workplace.statePath, workplace.vaultPath] + set.compactMap(\.vault),
                excludes: try ExcludePatterns(request.excludes), patience: request.patience),
            interrupt: workplace.interrupt)
        if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted while looking at the host") }
        for (place, reason) in unread { outcome.note(place, reason) }
        let report = report(outcome, policies?.name, outcome.findings(remembered: book.sources))
        return Answer(report, outcome.found.filter { !outcome.isPlanned($0) })
    }

    /// Nil where nothing was applied and nobody named a folder.
    private static func policies(
        _ request: Request, _ workplace: Workplace, _ unread: inout [(String, String)]
    ) throws -> (policies: [Policy], name: String)? {
        if let folder = request.policyFolder {
            let document = try PolicySetDocument.read(folder: folder)
            // One with errors archives nothing, and does not keep the others from being compared.
            if !document.isReadable { unread.append((folder, "a policy has errors: `qala policy validate \(folder)`")) }
            return (document.set.policies, folder)
        }
        do {
            let (document, name, _) = try PolicySource.inForce(statePath: workplace.statePath).read()
            return (document.set.policies, name)
        } catch {
            guard let failure = error as? any Failure else { throw error }
            if failure.kind != .notFound { unread.append((workplace.statePath, failure.message)) }
            return nil
        }
    }

    private static func remembered(_ state: String) throws -> SourceBook {
        let path = "\(state)/daemon/\(SourceBook.fileName)"
        guard let bytes = try StateFile.read(path, limit: SourceBook.limit) else { return SourceBook() }
        do { return try JSONDecoder().decode(SourceBook.self, from: Data(bytes)) } catch {
            throw OperationError(.failed, "\(path) cannot be read: \(error)", hint: "The daemon begins it anew.")
        }
    }

    private static func report(
        _ outcome: SearchOutcome, _ policies: String?, _ findings: [SourceDrift.Finding]
    ) -> DiscoveryReport {
        let sources = outcome.found.map { source in
            SourceRow(
                kind: source.kind.rawValue, place: source.place, placeBytes: PathBytes.base64(source.path),
                version: source.version, running: source.isRunning,
                socket: source.socket, port: source.port, bytes: source.bytes,
                databases: source.databases?.map { .init(name: $0.name, bytes: $0.bytes) },
                policies: (outcome.plans[source.identity] ?? []).map { .init(policy: $0.policy, asFiles: $0.isAsFiles) }
            )
        }
        return DiscoveryReport(
            policies: policies, sources: sources,
            findings: findings.map {
                SourceFindingRow(
                    finding: $0.kind.rawValue, kind: $0.source.kind.rawValue, place: $0.source.place,
                    placeBytes: PathBytes.base64($0.source.path), was: $0.was, now: $0.now)
            },
            problems: outcome.problems.map {
                SourceProblemRow(place: $0.place, placeBytes: PathBytes.base64($0.path), reason: $0.reason)
            },
            problemCount: outcome.problems.count + outcome.moreProblems)
    }
}
