import Collectors
import Domain
import Glibc
import Vault

/// Recovery of a restored MariaDB server to a moment: decides whether the archived binary logs reach it, and where exactly their
/// replay ends.
///
/// Invariants:
/// 1. ``plan(_:of:_:to:in:)`` writes nothing; what cannot be reached is refused by it, and the refusal says what can.
/// 2. Every event up to the end was read and its checksum compared before anything is written.
package enum LogReplay {
    struct Plan {
        let chain: BinaryLogChain
        let start: BinaryLogPlace
        /// In order, each with how much of it is replayed.
        let files: [BinaryLogPlace]
        let report: Report
    }

    /// For people and programs.
    package struct Report: Codable, Sendable {
        /// The log and the position of the copy, and where the replay ends.
        package var from: String
        package var to: String
        package var logs: Int
        package var transactions: Int
        /// The newest transaction of each domain.
        package var gtid: String
        /// When the last transaction was committed; nil when the copy is all.
        package var last: String?
        package var warnings: [String]
    }

    static func plan(
        _ facts: SourceFacts, of header: ArchiveHeader, _ archive: ArchiveRecord, to target: BinaryLogTarget,
        in open: OpenVault
    ) throws -> Plan {
        guard let file = facts.facts["binlog-file"],
            let position = facts.facts["binlog-position"].flatMap({ UInt64($0) })
        else {
            throw OperationError(
                .failed, "the archive does not say of which binary log position \(facts.name) is",
                hint: "The server wrote no binary logs. Without --target the copy is restored as it is.")
        }
        var time: Int64?
        if case .time(let wanted) = target {
            time = wanted
            if let started = TimeText.parse(header.started), wanted < started { throw beforeCopy(started) }
        }
        let start = BinaryLogPlace(file: file, position: position)
        let chain = try BinaryLogChain(
            of: facts.name, from: archive, file: file, life: facts.facts["binlog-beginning"], until: time, in: open)
        guard !chain.logs.isEmpty else {
            throw OperationError(
                .failed, chain.breach ?? "\(file), of which the copy is, is in no archive",
                hint: "Without --target the copy is restored as it is. Logs are archived with `binary-logs: true`.")
        }
        let before = BinaryLogGTID.list(facts.facts["gtid-before"] ?? "")
        var walk = BinaryLogWalk(from: start, before: before, to: target)
        let fault = try go(&walk, through: chain)
        let end = try decide(walk, fault, target, start, chain)
        return Plan(chain: chain, start: start, files: walk.files, report: report(walk, from: start, to: end))
    }

    private static func report(
        _ walk: BinaryLogWalk, from start: BinaryLogPlace, to end: BinaryLogPlace
    ) -> Report {
        var warnings: [String] = []
        if walk.earlierBehind > 0 {
            warnings.append(
                "behind the end, in the same log, \(walk.earlierBehind) transactions have times before the target")
        }
        return Report(
            from: "\(start)", to: "\(end)", logs: walk.files.count, transactions: walk.transactions,
            gtid: walk.gtids.map(\.description).joined(separator: ","),
            last: walk.lastReached.map { TimeText.seconds($0) }, warnings: warnings)
    }

    /// Why the logs do not count further, and in which one; nil when they were read to their end or to the target.
    private static func go(
        _ walk: inout BinaryLogWalk, through chain: BinaryLogChain
    ) throws -> (file: String, fault: BinaryLogFault)? {
        for log in chain.logs {
            do {
                walk.begin(log.file)
                try chain.read(log) { try walk.take($0) }
                try walk.end(isLast: log.file == chain.logs.last?.file)
            } catch let fault as BinaryLogFault {
                return (log.file, fault)
            }
            if walk.stop != nil || walk.isTargetInCopy { return nil }
        }
        return nil
    }

    // MARK: - Deciding

    /// Where the replay ends; throws why it does not get to the target.
    private static func decide(
        _ walk: BinaryLogWalk, _ found: (file: String, fault: BinaryLogFault)?, _ target: BinaryLogTarget,
        _ start: BinaryLogPlace, _ chain: BinaryLogChain
    ) throws -> BinaryLogPlace {
        if case .time(let time) = target, let last = walk.lastInCopy, time <= last { throw beforeCopy(last) }
        if walk.isTargetInCopy || isBefore(target, start) { throw beforeCopy(nil) }
        if let stop = walk.stop { return stop }
        guard walk.isStarted else { throw notStarted(start, found?.fault) }
        let reason = found.map { text($0.fault, $0.file) } ?? chain.breach
        switch target {
        case .latest:
            guard let reason else { return walk.reached }
            throw refused("the end of the logs cannot be reached: \(reason)", walk, chain, isCut: true)
        case .time(let time):
            if found == nil, let complete = chain.complete, time <= complete { return walk.reached }
            throw refused(
                "the target cannot be reached: \(reason ?? "it lies behind the end of the archived logs")", walk, chain,
                isCut: reason != nil)
        case .place(let place):
            if let found, case .within(let boundary) = found.fault, found.file == place.file {
                throw OperationError(
                    .failed, "\(place) is no end of a transaction",
                    hint: "Nothing was written. The last one before it is \(place.file):\(boundary).")
            }
            throw refused("\(place) cannot be reached: \(reason ?? "no archive holds it")", walk, chain, isCut: true)
        case .transaction(let gtid):
            throw refused("\(gtid) cannot be reached: \(reason ?? "no log names it")", walk, chain, isCut: true)
        }
    }

    private static func isBefore(_ target: BinaryLogTarget, _ start: BinaryLogPlace) -> Bool {
        guard case .place(let place) = target, let wanted = BinaryLogPlace.parts(place.file),
            let first = BinaryLogPlace.parts(start.file)
        else { return false }
        return wanted.number < first.number || wanted.number == first.number && place.position < start.position
    }

    private static func beforeCopy(_ time: Int64?) -> OperationError {
        let moment = time.map { ", which holds what was committed at \(TimeText.seconds($0))" } ?? ""
        return OperationError(
            .failed, "the target lies before the moment of the copy\(moment)",
            hint: "Nothing was written. Take an earlier archive.")
    }

    private static func notStarted(_ start: BinaryLogPlace, _ fault: BinaryLogFault?) -> OperationError {
        let why = fault.map { text($0, start.file) } ?? "it was not found"
        return OperationError(
            .failed, "the archived logs are not those of the copy, which is of \(start): \(why)",
            hint: "Nothing was written. Without --target the copy is restored as it is.")
    }

    private static func refused(
        _ message: String, _ walk: BinaryLogWalk, _ chain: BinaryLogChain, isCut: Bool
    ) -> OperationError {
        var hint = "Nothing was written. The latest place that can be reached is \(walk.reached)"
        // Behind a fault only what was read is known; before it the archive knows that nothing more was committed.
        let time = isCut ? walk.lastReached : [walk.lastReached, chain.complete].compactMap(\.self).max()
        if let time { hint += ", with what was committed until \(TimeText.seconds(time))" }
        return OperationError(.failed, message, hint: hint + ".")
    }

    private static func text(_ fault: BinaryLogFault, _ file: String) -> String {
        switch fault {
        case .notALog: "\(file) is no binary log"
        case .encrypted: "\(file) is encrypted, and only its server can read it"
        case .damaged(let position): "\(file) is damaged at byte \(position)"
        case .torn(let position): "\(file) ends in the midst of an event, behind byte \(position)"
        case .otherLife: "\(file) does not go on from the log before it; it was begun anew"
        case .within(let position): "no transaction of \(file) ends there; the last one before it ends at \(position)"
        }
    }

    // MARK: - Carrying out

    /// Lays the logs into the directory of the replay, each up to where it is replayed.
    static func lay(_ plan: Plan, in directory: String) throws {
        for place in plan.files {
            guard let log = plan.chain.logs.first(where: { $0.file == place.file }) else { continue }
            let file = try LogSpoolFile(making: "\(directory)/\(place.file)")
            try plan.chain.read(log) { piece in
                let rest = Int(clamping: place.position) - file.length
                try file.append(UnsafeRawBufferPointer(rebasing: piece.prefix(max(0, rest))))
            }
        }
    }
}
