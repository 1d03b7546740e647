import API
import Domain
import Operations

/// What of the answer of a command is recorded: counts, bytes, ids.
enum ActFigures {
    static func of(_ answer: any Encodable) -> [ActDetail] {
        switch answer {
        case let reply as PartialReport<ArchiveReport>: archived(reply.report)
        case let reply as PolicyRunReport: archived(reply.report)
        case let reply as PartialReport<RestoreReport>: restored(reply.report)
        case let report as VerifyReport:
            [
                ActDetail("depth", report.depth), ActDetail("damage", "\(report.damage.count)"),
                ActDetail("head", report.head),
            ]
        case let report as DecisionReport:
            [
                detail("hold", report.hold),
                // The shorter ones first: a long list is cut.
                detail("kept-on", report.volumes?.joined(separator: " ")),
                flag("before-its-period", report.beforePeriod == true),
                report.archives.isEmpty ? nil : ActDetail("decided-on", report.archives.joined(separator: " ")),
            ].compactMap(\.self)
        case let report as VolumeGone:
            [
                ActDetail("volume", report.id), detail("not-known", report.unknown),
                report.damage.isEmpty ? nil : ActDetail("damage", report.damage.map(\.file).joined(separator: " ")),
                report.nowhere.isEmpty
                    ? nil : ActDetail("nowhere", report.nowhere.map(\.archive).joined(separator: " ")),
            ].compactMap(\.self)
        case let report as SweptReport:
            [
                ActDetail("condemned-packs", "\(report.condemnedPacks)"),
                ActDetail("deleted-packs", "\(report.deletedPacks)"),
                ActDetail("deleted-bytes", "\(report.deletedBytes)"), ActDetail("problems", "\(report.problems.count)"),
            ]
        case let reply as PartialReport<MoveReport>: moved(reply.report)
        case let report as PolicyApplyReport:
            [
                ActDetail("result", report.outcome), detail("version", report.version.map { "\($0)" }),
                ActDetail("request-digest", report.request),
            ].compactMap(\.self)
        case let report as ClockDecision:
            [
                ActDetail("frozen", report.frozen), ActDetail("proposed", report.proposed),
                ActDetail("clock", report.clock), ActDetail("boot", report.boot), ActDetail("author", report.author),
                detail("approver", report.approver), ActDetail("request-digest", report.request),
                ActDetail("reason", report.reason), ActDetail("author-signature", report.authorSignature),
                detail("approver-signature", report.approverSignature), detail("vault-time", report.vaultTime),
            ].compactMap(\.self)
        case let report as PolicyApprovalReport: [ActDetail("request-digest", report.request)]
        case let report as InitReport: [ActDetail("vault-id", report.vaultID)]
        case let reply as ArchivesReply: count(reply.archives.count)
        case let reply as FoundReply: count(reply.found.count) + missing(reply.notSearched)
        case let reply as VersionsReply: count(reply.versions.count) + missing(reply.notSearched)
        case let reply as KeysReply: count(reply.keys.count)
        case let reply as HoldsReply: count(reply.holds.count)
        case let reply as KeyReply: [ActDetail("key", reply.key.id)]
        default: []
        }
    }

    private static func count(_ count: Int) -> [ActDetail] { [ActDetail("count", "\(count)")] }

    private static func missing(_ count: Int) -> [ActDetail] {
        count > 0 ? [ActDetail("not-searched", "\(count)")] : []
    }

    private static func archived(_ report: ArchiveReport) -> [ActDetail] {
        [
            detail("archive", report.archive), ActDetail("files", "\(report.files)"),
            ActDetail("bytes", "\(report.bytes)"), ActDetail("bytes-stored", "\(report.bytesStored)"),
            report.problemCount > 0 ? ActDetail("problems", "\(report.problemCount)") : nil,
        ].compactMap(\.self)
    }

    private static func moved(_ report: MoveReport) -> [ActDetail] {
        [
            detail("archive", report.archive), ActDetail("policies", "\(report.policies)"),
            ActDetail("removed", "\(report.files)"), ActDetail("bytes", "\(report.bytes)"),
            ActDetail("stay", "\(report.stayCount)"),
            report.problemCount > 0 ? ActDetail("problems", "\(report.problemCount)") : nil,
        ].compactMap(\.self)
    }

    private static func restored(_ report: RestoreReport) -> [ActDetail] {
        [
            ActDetail("target", report.target), ActDetail("files", "\(report.files)"),
            ActDetail("bytes", "\(report.bytes)"), ActDetail("skipped", "\(report.skipped)"),
            report.problemCount > 0 ? ActDetail("problems", "\(report.problemCount)") : nil,
            report.replay.map { ActDetail("reached", $0.to) },
        ].compactMap(\.self)
    }
}
