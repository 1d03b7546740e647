package import Collectors
package import Domain
import Vault

/// Where and how often the daemon looks which sources the host has.
package struct DiscoverySettings: Sendable {
    package var places: HostPlaces
    /// Patterns below `/` of what is nobody's to archive.
    package var excludes: ExcludePatterns
    /// Microseconds between two looks, and from the start to the first.
    package var interval: Int64 = 86_400_000_000
    package var delay: Int64 = 60_000_000
    /// Seconds that one look may take.
    package var patience: Double = 600

    package init(places: HostPlaces, excludes: ExcludePatterns = .none) {
        self.places = places
        self.excludes = excludes
    }

    /// The usual places and `more`.
    package static func usual(and more: [String], excludes: [String]) throws(OperationError) -> DiscoverySettings {
        var places = HostPlaces.usual
        places.trees += more
        do { return DiscoverySettings(places: places, excludes: try ExcludePatterns(excludes)) } catch {
            throw OperationError(.usage, error.message, hint: error.hint)
        }
    }
}

/// What the daemon holds of its looks at the host.
struct DiscoveryView {
    let search = SourceSearch()
    let interrupt = InterruptFlag()
    var thread: WorkerThread?
    /// When the first turn was, and the last look, on the clock that only advances.
    var begun: Int64?
    var looked: Int64?
    /// The policies that the last look knew.
    var version: Int?
    var book = SourceBook()
    var problems: Set<String> = []
}

/// Which databases and repositories the host has that no policy archives, and which are another version or gone.
extension Daemon {
    /// Microseconds after a look before other policies bring the next.
    private static let changePause: Int64 = 10_000_000
    private static let toldProblems = 20

    /// With every turn of the work loop; the look itself is another thread's.
    func lookForSources() {
        guard let wanted = settings.discovery, discoveryView.thread == nil, !isStopping else { return }
        let now = clock.read().boot
        let begun = discoveryView.begun ?? now
        discoveryView.begun = begun
        let isOther = discoveryView.version != inForce?.number
        let pause = discoveryView.looked == nil ? wanted.delay : isOther ? Self.changePause : wanted.interval
        guard now - (discoveryView.looked ?? begun) >= pause else { return }
        discoveryView.looked = now
        discoveryView.version = inForce?.number
        let question = SourceSearch.Question(
            places: wanted.places, policies: policies.policies, remembered: discoveryView.book.sources,
            leftOut: [settings.statePath, settings.vaultPath] + policies.policies.compactMap(\.vault),
            excludes: wanted.excludes, patience: wanted.patience)
        let (search, interrupt) = (discoveryView.search, discoveryView.interrupt)
        do {
            discoveryView.thread = try WorkerThread {
                let outcome = search.look(question, interrupt: interrupt)
                Task { await self.sawSources(outcome) }
            }
        } catch { tell(.error, "the sources of the host cannot be looked for: \(Self.words(error))") }
    }

    private func sawSources(_ outcome: SearchOutcome) {
        discoveryView.thread?.join()
        discoveryView.thread = nil
        // A look that was cut short by the end of the daemon says nothing.
        guard !isStopping else { return }
        tellProblems(of: outcome)
        let before = discoveryView.book
        let known = Set(before.sources.map(\.identity))
        let seconds = clock.read().wall / 1_000_000
        for finding in outcome.findings(remembered: before.sources) {
            guard let text = Self.text(finding), known.contains(finding.source) else { continue }
            tell(.warning, text)
            alarmDesk.note(.init(Alarm(.sourceChanged, TimeText.seconds(seconds)), text, at: seconds))
        }
        let unplanned = outcome.found.filter { !outcome.isPlanned($0) }
        let there = Set(outcome.found.map(\.identity))
        // What could not be looked at this time is still not planned.
        let unseen = before.unplanned.filter { one in
            let source = one.source
            return !there.contains(source) && !outcome.absent.contains(source) && outcome.plans[source]?.isEmpty == true
        }
        let now = SourceBook(
            sources: SourceDrift.remembered(after: outcome.found, before: before.sources, absent: outcome.absent),
            unplanned: unplanned.map { .init($0.identity, Self.detail($0)) } + unseen)
        discoveryView.book = now
        do { try writing { try folder.save(now) } } catch {
            tell(.error, "what the host has cannot be remembered: \(Self.words(error))")
        }
    }

    /// Each once, as long as it lasts.
    private func tellProblems(of outcome: SearchOutcome) {
        let problems = Set(outcome.problems.map { "\($0.place): \($0.reason)" })
        for problem in problems.subtracting(discoveryView.problems).sorted().prefix(Self.toldProblems) {
            tell(.warning, "not all sources of the host are known: \(problem)")
        }
        discoveryView.problems = problems
    }

    /// Nil for what is an alarm that lasts.
    private static func text(_ finding: SourceDrift.Finding) -> String? {
        let source = "\(finding.source.kind.rawValue) \(finding.source.place)"
        switch finding.kind {
        case .unplanned: return nil
        case .changed: return "\(source): version \(finding.was ?? "-") became \(finding.now ?? "-")"
        case .vanished: return "\(source) is not there any more"
        }
    }

    private static func detail(_ source: FoundSource) -> String {
        var words: [String] = []
        if let version = source.version { words.append("version \(version)") }
        if let databases = source.databases { words.append("\(databases.count) databases") }
        if let bytes = source.bytes { words.append(Readable.size(Int(clamping: bytes))) }
        return (words + ["`qala source discover --draft` drafts a policy for it"]).joined(separator: "; ")
    }

    /// For the alarms: as the last look found it.
    var unplannedSources: [FoundSource.Identity: String] {
        guard settings.discovery != nil else { return [:] }
        let found = discoveryView.book.unplanned.map { ($0.source, $0.detail) }
        return Dictionary(found) { first, _ in first }
    }

    func readSourceBook() throws {
        if settings.discovery != nil { discoveryView.book = try folder.loadSources() ?? SourceBook() }
    }

    func endDiscovery() {
        discoveryView.interrupt.set()
        discoveryView.thread?.join()
        discoveryView.thread = nil
    }
}
