import Synchronization

/// Something that kept one entry from being read or written whole, while the work went on.
///
/// A run or restore with a problem is partial, never a success.
package struct FileProblem: Sendable, Hashable {
    package enum What: String, Sendable, CaseIterable {
        // Reading
        case unreadable, vanished, changed, unknownKind, pathTooLong
        case attributesUnread, linkUnread, ownerNameUnknown
        // Reading data sources
        case damagedDatabase, unchecked, noWitness, damagedRepository, logGap, damagedLog
        /// Its pages are not what their checksums say.
        case damagedPage
        /// What a program or a server said of a part of a source.
        case refused
        // Writing
        case notCreated, insideNotCreated, kindConflict, hardLinkNotKept, notReplaced, notRemoved
        case ownershipNotSet, attributeNotSet, permissionsNotSet, timeNotSet
    }

    /// Relative to `/` when reading, to the target when writing.
    package var path: [UInt8]
    package var what: What
    /// The number of the system's error, 0 where there was none.
    package var systemError: Int32
    /// The name of an attribute, for example; for people.
    package var detail: String

    package init(path: [UInt8], what: What, systemError: Int32 = 0, detail: String = "") {
        self.path = path
        self.what = what
        self.systemError = systemError
        self.detail = detail
    }

    package var message: String { "\(CollectorError.displayPath(path)) \(reason)" }

    /// The message without the path.
    package var reason: String {
        var text =
            switch what {
            case .unreadable: "cannot be read"
            case .vanished: "vanished before it was read"
            case .changed: "became something else while it was read or written"
            case .unknownKind: "is of a kind that cannot be archived"
            case .pathTooLong: "has a path that is too long to archive"
            case .attributesUnread: "has extended attributes that cannot be read"
            case .linkUnread: "is a link whose target cannot be read"
            case .ownerNameUnknown: "has an owner or group whose name cannot be looked up"
            case .damagedDatabase: "is a damaged database"
            case .unchecked: "is a database that cannot be checked without its application"
            case .damagedRepository: "is of a damaged repository"
            case .logGap: "do not go on from where the last run saw them end"
            case .damagedLog: "is a log that was damaged before an archive held it"
            case .noWitness: "gave no answer to a witness query"
            case .damagedPage: "holds a page whose checksum is wrong"
            case .refused: "is not in the archive"
            case .notCreated: "cannot be created"
            case .insideNotCreated: "lies in a directory that was not restored"
            case .kindConflict: "exists as something else than in the archive"
            case .hardLinkNotKept: "was restored as a file of its own, not as another name of one"
            case .notReplaced: "could not take the place of what exists"
            case .notRemoved: "is not in the archive and could not be removed"
            case .ownershipNotSet: "did not get its owner and group"
            case .attributeNotSet: "did not get an extended attribute"
            case .permissionsNotSet: "did not get its permissions"
            case .timeNotSet: "did not get its time of modification"
            }
        if !detail.isEmpty { text += " (\(detail))" }
        if systemError != 0 { text += ": \(CollectorError.systemText(systemError))" }
        return text
    }
}

/// Collects problems from any thread. Counts them all, keeps the details of the first ``detailLimit`` until they are
/// taken, so that a source of a million unreadable files does not fill the memory.
package final class ProblemLog: Sendable {
    package static let detailLimit = 10_000

    private struct State {
        var details: [FileProblem] = []
        var counts: [FileProblem.What: Int] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    package func add(_ problem: FileProblem) {
        state.withLock { state in
            state.counts[problem.what, default: 0] += 1
            // What hits nearly every path of a restore without root must not push out what hits one.
            let limit = problem.what == .ownershipNotSet ? Self.detailLimit / 2 : Self.detailLimit
            if state.details.count < limit { state.details.append(problem) }
        }
    }

    /// Of every kind, since the beginning.
    package var counts: [FileProblem.What: Int] { state.withLock { $0.counts } }
    package var count: Int { state.withLock { $0.counts.values.reduce(0, +) } }
    package var isEmpty: Bool { count == 0 }

    /// The details gathered since the last call.
    package func take() -> [FileProblem] {
        state.withLock { state in
            defer { state.details = [] }
            return state.details
        }
    }
}
