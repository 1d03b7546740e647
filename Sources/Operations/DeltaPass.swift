import Collectors
import Domain
import Synchronization
import Vault

/// Brings what lies in a directory to the state of an archive as far as it is there: what is right stays as it is, files of
/// which a part is wrong get that part, and what the archive does not have is removed. What is missing is left to
/// ``RestoreRun``, which finds nothing in its way but what is right.
///
/// Invariants:
/// 1. Only content says that a file is right: it is read and compared with the identities of its chunks.
/// 2. What was not listed here is not there afterwards without being noted: ``run(_:)`` counts what stays, and the restore of
///    the rest must meet as much.
struct DeltaPass {
    /// A directory of the archive and where it belongs.
    struct Part {
        var inside: [UInt8]
        var target: String
        /// The directory of the target, held open; nil where there is none.
        var folder: () -> DirectoryHandle?
        /// Patterns, below the target, of what is not looked at.
        var excludes: [String] = []
        /// Whether something that is there stays, with what is in it, whatever the archive has.
        var spares: (Entry) -> Bool = { _ in false }
        /// What stands directly in the target and is not in the archive stays.
        var sparesUnknownTops = false
    }

    let tree: ArchiveReader
    let reader: VaultReader
    let archive: ArchiveRecord
    let workplace: Workplace
    let tally: DeltaTally
    /// Nothing is changed.
    let isDry: Bool

    /// Returns how many things other than directories stay in their place, and how much could not be removed.
    func run(_ part: Part, _ report: inout RestoreReport) throws -> (staying: Int, stuck: Int) {
        var existing: ExistingTree?
        if let folder = part.folder(), !DirectoryContent.isEmpty(folder.number) {
            existing = try ExistingTree(
                folder, at: part.target, excludes: part.excludes + ["/lost+found/*"], isOnlyCompared: isDry)
        }
        let crew = try RestoreCrew(reader, archive, workplace)
        var walk = DeltaWalk(part, existing, ContentQueue(crew, workplace), tally)
        do {
            try walk.begin()
            try Selection(inside: part.inside, tree).forEach { page in
                try RestoreTrees.checkInterrupt(workplace)
                var entry = try page.entry()
                entry.path.removeFirst(part.inside.count + 1)
                try walk.meet(entry, page.content)
            }
            try walk.end()
        } catch {
            crew.cancel()
            throw error
        }
        let place = Array(part.target.utf8.dropFirst()) + [0x2F]
        for failure in try crew.finish() {
            if let reason = failure.reason { report.add(place + failure.path, reason) }
            if failure.isDamage { report.damaged += 1 }
        }
        for problem in walk.problems { report.add(place + problem.path, problem.reason) }
        // What goes while it is looked at is another cluster's beside a tablespace: of this one no server runs.
        if let existing { report.note(existing.problems, below: place, ignoring: .vanished) }
        return (walk.staying, existing?.stuckCount ?? 0)
    }
}

/// What a ``DeltaPass`` found, added up by several threads.
final class DeltaTally: Sendable {
    private static let listed = 1000
    private let sum = Mutex(DeltaReport())
    var report: DeltaReport { sum.withLock { $0 } }

    func note(_ what: DeltaReport.Change.What, _ path: [UInt8], in target: String) {
        sum.withLock { sum in
            switch what {
            case .changed: sum.changed += 1
            case .missing: sum.missing += 1
            case .removed: sum.removed += 1
            }
            guard sum.changes.count < Self.listed else { return }
            sum.changes.append(.init(stored: Array(target.utf8.dropFirst()) + [0x2F] + path, what))
        }
    }

    func noteEnd(_ outcome: KeptFile.Outcome, _ path: [UInt8], in target: String) {
        if outcome.isDifferent { note(.changed, path, in: target) }
        sum.withLock { sum in
            if !outcome.isDifferent { sum.kept += 1 }
            sum.bytesWritten = sum.bytesWritten.addingClamped(outcome.written)
        }
    }
}

/// The two orders of entries, that of the archive and that of what is there, side by side.
private struct DeltaWalk {
    private let part: DeltaPass.Part
    private let existing: ExistingTree?
    private var queue: ContentQueue
    private let tally: DeltaTally
    /// What is there and was not met yet.
    private var next: Entry?
    /// Directories that go when everything in them has gone, and whether something else takes their place.
    private var doomed: [(directory: Entry, isReplaced: Bool)] = []
    private var spared: [UInt8]?
    private(set) var staying = 0
    private(set) var problems: [(path: [UInt8], reason: String)] = []

    init(_ part: DeltaPass.Part, _ existing: ExistingTree?, _ queue: ContentQueue, _ tally: DeltaTally) {
        self.part = part
        self.existing = existing
        self.queue = queue
        self.tally = tally
    }

    mutating func begin() throws { next = try existing?.next() }

    /// An entry of the archive, its path relative to the target.
    mutating func meet(_ archived: Entry, _ content: Content) throws {
        while let there = next, PathOrder.compare(there.path, archived.path) < 0 { try pass(there) }
        guard let there = next, there.path == archived.path else {
            return tally.note(.missing, archived.path, in: part.target)
        }
        next = try existing?.next()
        leaveDoomed(before: there.path)
        try compare(there, archived, content)
    }

    mutating func end() throws {
        while let there = next { try pass(there) }
        leaveDoomed(before: nil)
        try queue.flush()
    }

    private mutating func compare(_ there: Entry, _ archived: Entry, _ content: Content) throws {
        if part.spares(there) {
            staying += 1
            return
        }
        switch (there.kind, archived.kind) {
        case (.directory, .directory): existing?.adjust(there, as: archived)
        case (.symlink, .symlink) where there.linkTarget == archived.linkTarget: staying += 1
        case (.file, .file):
            let kept = existing?.open(there, as: archived) { [tally, target = part.target] outcome in
                tally.noteEnd(outcome, there.path, in: target)
            }
            guard let kept else { return replace(there) }
            staying += 1
            try queue.add(kept, content)
        default: replace(there)
        }
    }

    /// Something else than it should be: it goes, and the restore makes it anew.
    private mutating func replace(_ there: Entry) {
        tally.note(.changed, there.path, in: part.target)
        remove(there, isReplaced: true)
    }

    /// Not in the archive.
    private mutating func pass(_ there: Entry) throws {
        next = try existing?.next()
        if let spared, PathOrder.isInside(there.path, spared) { return }
        spared = nil
        leaveDoomed(before: there.path)
        let isTop = !there.path.contains(0x2F)
        if part.spares(there) || isTop && (part.sparesUnknownTops || there.path.elementsEqual("lost+found".utf8)) {
            spared = there.path
        } else if there.device != existing?.device {
            spared = there.path
            problems.append((there.path, "is not in the archive, and stays because it lies on another file system"))
        } else {
            tally.note(.removed, there.path, in: part.target)
            remove(there, isReplaced: false)
        }
    }

    private mutating func remove(_ there: Entry, isReplaced: Bool) {
        if there.kind == .directory {
            doomed.append((there, isReplaced))
        } else {
            existing?.remove(there, isReplaced: isReplaced)
        }
    }

    private mutating func leaveDoomed(before path: [UInt8]?) {
        while let last = doomed.last, path.map({ !PathOrder.isInside($0, last.directory.path) }) ?? true {
            doomed.removeLast()
            existing?.remove(last.directory, isReplaced: last.isReplaced)
        }
    }
}
