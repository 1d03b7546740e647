import Collectors
import Domain
import Glibc
import Synchronization
import Vault

/// One step of the walk over all sources of a run.
enum SourceStep {
    /// The walker stands at the entry.
    case tree(FileTreeWalker)
    case data(Entry, content: (any DataContent)?)
    /// What was handed out before must be in the archive before the next step is asked for.
    case barrier

    /// Where it stands in the order of entries; nil for a barrier.
    var path: [UInt8]? {
        switch self {
        case .tree(let walker): walker.entry.path
        case .data(let entry, _): entry.path
        case .barrier: nil
        }
    }
}

/// The entries of several sources as one ordered stream.
final class SourceWalk {
    let roots: [[UInt8]]
    /// What is still to be walked, in the order of the roots.
    private var rest: [WalkOptions] = []
    private var walker: FileTreeWalker?
    private var last: [UInt8] = []
    /// Whether the walker stands at an entry that was not handed out.
    private var hasTree = false
    private var restOfData: [DataSource]
    private var data: DataWalk?
    private var closed: [DataWalk] = []
    private var lastOfData: [UInt8] = []
    /// Read ahead, until it is its turn.
    private var head: SourceStep?
    private(set) var excluded = 0
    /// The segments of logs, which lie where no other source may look.
    let spool: FileTreeWalker?
    private var merge = LogMerge()

    private let workplace: Workplace
    private let started = Timestamp(seconds: Int64(WallTime.seconds()))
    private let hasData: Bool
    /// Of the data sources that were walked, in order.
    private(set) var facts: [SourceFacts] = []

    /// `isLimited`: the threads of the run are held to limits, which know no thread that walks ahead.
    init(
        _ sources: [FileSource], _ data: [DataSource] = [], keepingOut workplace: Workplace, spool: String? = nil,
        isLimited: Bool = false
    ) throws {
        self.workplace = workplace
        hasData = !data.isEmpty
        guard !sources.isEmpty || !data.isEmpty || spool != nil else {
            throw OperationError(.usage, "there is nothing to archive", hint: "Name a path.")
        }
        let own = [workplace.vaultPath, workplace.statePath].compactMap(Self.identity)
        // Sources with equal options are walked as one, so that they may overlap.
        var groups: [(key: [String], options: WalkOptions)] = []
        for source in sources {
            let key = source.excludes + ["\(source.oneFileSystem)", "\(source.excludeCaches)"]
            let path = Array(try Self.absolute(source.path).utf8)
            if let index = groups.firstIndex(where: { $0.key == key }) {
                groups[index].options.roots.append(path)
            } else {
                groups.append(
                    (
                        key,
                        WalkOptions(
                            roots: [path], excludes: try ExcludePatterns(source.excludes),
                            oneFileSystem: source.oneFileSystem, excludeCaches: source.excludeCaches,
                            excludedTrees: Set(own), walksAhead: !isLimited)
                    ))
            }
        }
        var trees = groups.map(\.options)
        if trees.count > 1 { trees = try Self.ordered(trees) }
        try Self.check(trees, beside: data)
        restOfData = data.sorted { PathOrder.compare(Array($0.root.utf8), Array($1.root.utf8)) < 0 }
        let ofLogs = spool.map { [Array($0.utf8)] } ?? []
        roots = (trees.flatMap(\.roots) + data.map { Array($0.root.utf8) } + ofLogs).sorted {
            PathOrder.compare($0, $1) < 0
        }
        self.spool = try spool.map(LogMerge.walker)
        for index in trees.indices { trees[index].onExcluded = { [unowned self] _, _ in excluded += 1 } }
        rest = trees
        // A root that does not exist is an error before anything else happens.
        for options in trees { _ = try FileTreeWalker(options) }
    }

    private static func check(_ trees: [WalkOptions], beside data: [DataSource]) throws {
        guard !data.isEmpty else { return }
        for root in trees.flatMap(\.roots) where DataSource.isTaken(String(decoding: root, as: UTF8.self)) {
            throw OperationError(
                .badPolicy, "\(String(decoding: root, as: UTF8.self)) is where the archive keeps data sources",
                hint: "Give the tree a policy of its own.")
        }
    }

    private static func absolute(_ path: String) throws -> String {
        guard !path.isEmpty else { throw OperationError(.usage, "a path is empty", hint: "Name a path.") }
        guard !path.hasPrefix("/") else { return path }
        guard let directory = getcwd(nil, 0) else {
            throw OperationError(.failed, "the working directory is unknown", hint: "Name an absolute path.")
        }
        defer { free(directory) }
        guard let text = String(validatingCString: directory) else {
            throw OperationError(
                .usage, "the name of the working directory is not UTF-8", hint: "Name an absolute path.")
        }
        return text + "/" + path
    }

    private static func identity(_ path: String) -> FileIdentity? {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        return FileIdentity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
    }

    /// Sources with different options are walked one after another; each root alone, none inside another, in the order of the
    /// places that they lead to.
    private static func ordered(_ groups: [WalkOptions]) throws -> [WalkOptions] {
        var single: [(options: WalkOptions, place: [UInt8])] = []
        for group in groups {
            for root in group.roots {
                var options = group
                options.roots = [root]
                single.append((options, try FileTreeWalker(options).roots.first ?? []))
            }
        }
        single.sort { PathOrder.compare($0.place, $1.place) < 0 }
        for (one, next) in zip(single, single.dropFirst()) where PathOrder.isInside(next.place, one.place) {
            throw OperationError(
                .usage,
                "the source \(String(decoding: next.options.roots[0], as: UTF8.self)) lies inside another with other options",
                hint: "Give both the same options, or exclude it from the outer one and name its own policy.")
        }
        return single.map(\.options)
    }

    /// The next step, or nil at the end.
    func next() throws -> SourceStep? {
        guard let spool else { return try nextOfSources() }
        return try merge.next(spool, nextOfSources) { take(spool) }
    }

    /// Both kinds in the order of entries: a tree may begin before the place of the data sources and end behind it.
    private func nextOfSources() throws -> SourceStep? {
        if !hasTree { hasTree = try advance() }
        if head == nil { head = try nextOfData() }
        if case .barrier = head {
            head = nil
            return .barrier
        }
        if hasTree, let walker {
            guard let path = head?.path, PathOrder.compare(path, walker.entry.path) < 0 else {
                hasTree = false
                return .tree(walker)
            }
        }
        defer { head = nil }
        return head
    }

    /// Goes to the next entry of the trees; false at their end.
    private func advance() throws -> Bool {
        while true {
            if let current = walker {
                while try current.next() {
                    let path = current.entry.path
                    if !last.isEmpty, PathOrder.compare(path, last) <= 0 {
                        // Ancestors that an earlier source brought already; anything else would be lost without a word.
                        guard PathOrder.isInside(last, path) else { throw Self.disorder(path) }
                        continue
                    }
                    last = path
                    if hasData, DataSource.isTaken(String(decoding: path, as: UTF8.self)) {
                        add(PathProblem(stored: path, reason: "is where the archive keeps data sources"))
                        continue
                    }
                    return true
                }
                take(current)
                walker = nil
            }
            guard !rest.isEmpty else { return false }
            walker = try FileTreeWalker(rest.removeFirst())
        }
    }

    private static func disorder(_ path: [UInt8]) -> OperationError {
        OperationError(
            .failed, "the sources overlap at \(CollectorError.displayPath(path)) by way of a link",
            hint: "Name the place that the link leads to.")
    }

    private func nextOfData() throws -> SourceStep? {
        while true {
            while let step = try data?.next() {
                if let path = step.path {
                    if !lastOfData.isEmpty, PathOrder.compare(path, lastOfData) <= 0 {
                        guard PathOrder.isInside(lastOfData, path) else { throw Self.disorder(path) }
                        continue
                    }
                    lastOfData = path
                }
                return step
            }
            closeData()
            guard !restOfData.isEmpty else { return nil }
            data = DataWalk(restOfData.removeFirst(), at: workplace, started: started)
        }
    }

    private func closeData() {
        guard let walk = data else { return }
        data = nil
        closed.append(walk)
        let (facts, found, count) = walk.close()
        self.facts.append(facts)
        for problem in found { add(problem) }
        ledger.withLock { $0.count += count - found.count }
    }

    /// Lets go of what data sources hold, however the run ended; nobody may be in ``next()``.
    func close() { closeData() }

    /// The archive of the run is committed.
    func committed() {
        for walk in closed { walk.committed() }
    }

    /// No run is whole with a source that is not, whether or not anything else was found wrong.
    func checkFacts() {
        guard problemCount == 0, let source = facts.first(where: { !$0.isWhole }) else { return }
        add(PathProblem(path: "/@\(source.kind)/\(source.name)", reason: "is not whole"))
    }

    private func take(_ walker: FileTreeWalker) {
        let details = walker.problems.take()
        for problem in details { add(problem) }
        // Of very many the log keeps only how many there were.
        let more = walker.problems.count - details.count
        ledger.withLock { $0.count += more }
    }

    private func add(_ problem: FileProblem) {
        add(PathProblem(stored: problem.path, reason: problem.reason))
    }

    /// Any thread.
    func add(_ problem: PathProblem) { ledger.withLock { $0.add(problem) } }

    private struct Ledger {
        var problems: [PathProblem] = []
        var count = 0

        mutating func add(_ problem: PathProblem) {
            count += 1
            if problems.count < 1000 { problems.append(problem) }
        }
    }
    private let ledger = Mutex(Ledger())
    var problems: [PathProblem] { ledger.withLock { $0.problems } }
    var problemCount: Int { ledger.withLock { $0.count } }
}
