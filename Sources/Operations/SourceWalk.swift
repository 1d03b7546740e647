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

    var displayPath: String { CollectorError.displayPath(path ?? []) }
}

/// The entries of several sources as one ordered stream.
final class SourceWalk {
    let roots: [[UInt8]]
    /// What is still to be walked, in the order of the roots.
    private var rest: [Part] = []
    private var walker: FileTreeWalker?
    private var data: DataWalk?
    private var last: [UInt8] = []
    private(set) var excluded = 0
    /// The segments of logs, which lie where no other source may look.
    let spool: FileTreeWalker?
    private var merge = LogMerge()

    private struct Part {
        enum Source {
            case files(WalkOptions)
            case data(DataSource)
        }

        var source: Source
        /// Of the first root, where it leads to: what the order of entries goes by.
        var place: [UInt8]
    }

    private let workplace: Workplace
    private let started = Timestamp(seconds: Int64(WallTime.seconds()))
    /// Of the data sources that were walked, in order.
    private(set) var facts: [SourceFacts] = []

    init(
        _ sources: [FileSource], _ data: [DataSource] = [], keepingOut workplace: Workplace, spool: String? = nil
    ) throws {
        self.workplace = workplace
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
                            excludedTrees: Set(own))
                    ))
            }
        }
        var trees = groups.map(\.options)
        if trees.count + data.count > 1 { trees = try Self.ordered(trees) }
        try Self.check(trees, beside: data)
        let ofLogs = spool.map { [Array($0.utf8)] } ?? []
        roots = (trees.flatMap(\.roots) + data.map { Array($0.root.utf8) } + ofLogs).sorted {
            PathOrder.compare($0, $1) < 0
        }
        self.spool = try spool.map(LogMerge.walker)
        for index in trees.indices { trees[index].onExcluded = { [unowned self] _, _ in excluded += 1 } }
        // A root that does not exist is an error before anything else happens.
        for options in trees {
            rest.append(Part(source: .files(options), place: try FileTreeWalker(options).roots.first ?? []))
        }
        rest += data.map { Part(source: .data($0), place: Array($0.root.utf8)) }
        rest.sort { PathOrder.compare($0.place, $1.place) < 0 }
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

    /// Sources with different options are walked one after another; each root alone, none inside another.
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

    private func nextOfSources() throws -> SourceStep? {
        while true {
            if let current = walker {
                while try current.next() {
                    // Ancestors that an earlier source brought already.
                    if !last.isEmpty, PathOrder.compare(current.entry.path, last) <= 0 { continue }
                    last = current.entry.path
                    return .tree(current)
                }
                take(current)
                walker = nil
            }
            if let step = try nextOfData() { return step }
            guard !rest.isEmpty else { return nil }
            switch rest.removeFirst().source {
            case .files(let options): walker = try FileTreeWalker(options)
            case .data(let source): data = DataWalk(source, at: workplace, started: started)
            }
        }
    }

    private func nextOfData() throws -> SourceStep? {
        guard let walk = data else { return nil }
        while let step = try walk.next() {
            if let path = step.path {
                if path == last || isAncestor(path) { continue }
                // Left out silently, it would look like an archive that holds everything.
                guard last.isEmpty || PathOrder.compare(path, last) > 0 else {
                    throw OperationError(.failed, "an entry of a source is out of order: \(step.displayPath)")
                }
                last = path
            }
            return step
        }
        closeData()
        return nil
    }

    /// Whether `path` is a directory above what was handed out last, which brought it.
    private func isAncestor(_ path: [UInt8]) -> Bool { path.count < last.count && PathOrder.isInside(last, path) }

    private func closeData() {
        guard let walk = data else { return }
        data = nil
        let (facts, found, count) = walk.close()
        self.facts.append(facts)
        for problem in found { add(problem) }
        ledger.withLock { $0.count += count - found.count }
    }

    /// Lets go of what data sources hold, however the run ended; nobody may be in ``next()``.
    func close() { closeData() }

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
