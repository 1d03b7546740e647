import Collectors
import Domain
import Glibc
import Synchronization
import Vault

/// What one look at the host gave.
struct SearchOutcome: Sendable {
    struct Problem: Sendable, Equatable {
        var path: [UInt8]
        var reason: String
        var place: String { PathText.shown(path) }
    }

    static let problemLimit = 1000
    /// More are not listed: whoever may write below the places that are looked at decides how many there are.
    static let sourceLimit = 10_000

    /// In order of kind and place.
    var found: [FoundSource] = []
    var absent: Set<FoundSource.Identity> = []
    var problems: [Problem] = []
    /// Beyond ``problemLimit``.
    var moreProblems = 0
    /// Which policies archive what was found or is remembered.
    var plans: [FoundSource.Identity: [SourcePlanning.Plan]] = [:]
    /// What the policies name.
    var expected: [FoundSource.Identity] = []

    var isWhole: Bool { problems.isEmpty }

    mutating func note(_ place: String, _ reason: String) { note(Array(place.utf8), reason) }

    mutating func note(_ path: [UInt8], _ reason: String) {
        let problem = Problem(path: path, reason: reason)
        if problems.contains(problem) { return }
        if problems.count < Self.problemLimit { problems.append(problem) } else { moreProblems += 1 }
    }

    mutating func add(_ source: FoundSource, _ sourcePlans: [SourcePlanning.Plan]) {
        guard found.count < Self.sourceLimit else {
            return note("/", "more than \(Self.sourceLimit) sources were found; the others are not listed")
        }
        found.append(source)
        plans[source.identity] = sourcePlans
    }

    func isPlanned(_ source: FoundSource) -> Bool { plans[source.identity]?.isEmpty == false }

    func findings(remembered: [FoundSource]) -> [SourceDrift.Finding] {
        SourceDrift.findings(
            found: found, remembered: remembered, expected: expected, absent: absent, isPlanned: isPlanned)
    }
}

/// Looks at the host, on a thread of its own: file systems and servers may never answer.
///
/// Invariants:
/// 1. Nobody waits longer than the patience; what was found until then counts, and that it is not all is told.
/// 2. A look that hangs is the only one: the next is refused until it has ended.
final class SourceSearch: Sendable {
    struct Question: Sendable {
        var places: HostPlaces
        var policies: [Policy]
        var remembered: [FoundSource] = []
        /// Directories that are not looked at: the state and the vaults, which are full of copies.
        var leftOut: [String]
        var excludes: ExcludePatterns
        /// Seconds.
        var patience: Double
    }

    /// SAFETY: `outcome` and `isOver` are touched only inside `monitor.locked`.
    private final class Answer: @unchecked Sendable {
        let monitor = Monitor()
        var outcome = SearchOutcome()
        var isOver = false

        func change(_ body: (inout SearchOutcome) -> Void) { monitor.locked { body(&outcome) } }

        func end() {
            monitor.locked {
                isOver = true
                monitor.wakeAll()
            }
        }
    }

    private let isGoing = Atomic<Bool>(false)

    func look(_ question: Question, interrupt: InterruptFlag) -> SearchOutcome {
        guard !isGoing.exchange(true, ordering: .acquiringAndReleasing) else {
            var outcome = SearchOutcome()
            outcome.note("/", "the look before has not ended: a file system or a server does not answer")
            return outcome
        }
        let answer = Answer()
        let givenUp = InterruptFlag()
        do {
            try WorkerThread { [self] in
                Self.work(question, answer) { givenUp.isSet || interrupt.isSet }
                isGoing.store(false, ordering: .releasing)
                answer.end()
            }.detach()
        } catch {
            isGoing.store(false, ordering: .releasing)
            var outcome = SearchOutcome()
            outcome.note("/", error.message)
            return outcome
        }
        let end = MonotonicTime.now() + question.patience
        var outcome = answer.monitor.locked {
            while !answer.isOver, !interrupt.isSet, MonotonicTime.now() < end {
                answer.monitor.wait(until: min(end, MonotonicTime.now() + 0.2))
            }
            if !answer.isOver { answer.outcome.note("/", "the time was over before all of it was looked at") }
            return answer.outcome
        }
        givenUp.set()
        outcome.found.sort { ($0.kind.rawValue, $0.place) < ($1.kind.rawValue, $1.place) }
        return outcome
    }

    private static func work(_ question: Question, _ answer: Answer, isOver: @escaping () -> Bool) {
        let planning = SourcePlanning(question.policies) { path in
            guard let found = realpath(path, nil) else { return path }
            defer { free(found) }
            return String(validatingCString: found) ?? path
        }
        let named = planning.named
        answer.change { outcome in
            outcome.expected = named
            for source in question.remembered { outcome.plans[source.identity] = planning.plans(of: source) }
        }
        var places = question.places
        var users: [String] = []
        for data in question.policies.flatMap(\.data) {
            switch data {
            case .postgresql(let source):
                users.append(source.connection.user)
                if source.connection.host.hasPrefix("/") { places.postgreSQLSockets.append(source.connection.host) }
            case .mariadb(let source):
                users += [source.user].compactMap(\.self)
                places.mariaDBSockets += [source.socket].compactMap(\.self)
            default: break
            }
        }
        // Of a server that is known by its socket alone nothing is known while that is silent.
        let remembered = question.remembered.filter { !$0.isKnownBySocket }
        let known = named + remembered.map(\.identity)
        let listened = Dictionary(question.remembered.map { ($0.identity, $0) }) { first, _ in first }
        HostLook(
            places, known: known, leftOut: question.leftOut, excludes: question.excludes, users: users, isOver: isOver
        ) { event in
            switch event {
            case .found(var source):
                // Of a server that does not run only the look before knows where it listens.
                if source.socket == nil, let before = listened[source.identity] {
                    (source.socket, source.port) = (before.socket, before.port)
                }
                let (seen, plans) = (source, planning.plans(of: source))
                answer.change { $0.add(seen, plans) }
            case .absent(let source): answer.change { $0.absent.insert(source) }
            case .problem(let path, let reason): answer.change { $0.note(path, reason) }
            }
        }.run()
    }
}

/// What the daemon remembers of the sources of this host: `daemon/sources.json` in the state.
struct SourceBook: Codable, Sendable {
    struct Unplanned: Codable, Sendable {
        var kind: DataSource.Kind
        var place: String
        /// See ``FoundSource/placeBytes``.
        var placeBytes: [UInt8]?
        var detail: String

        init(_ source: FoundSource.Identity, _ detail: String) {
            kind = source.kind
            place = source.place
            placeBytes = source.placeBytes
            self.detail = detail
        }

        var source: FoundSource.Identity { FoundSource.Identity(kind, placeBytes ?? Array(place.utf8)) }
    }

    static let fileName = "sources.json"
    static let limit = 64 << 20

    var sources: [FoundSource] = []
    /// What no policy archives, so that a restart ends no alarm.
    var unplanned: [Unplanned] = []
}
