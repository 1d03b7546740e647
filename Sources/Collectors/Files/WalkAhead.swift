import Domain
import Glibc
import Synchronization

/// Opens, lists and examines directories that a walk will come to, so that two processors share the work of an unchanged run.
///
/// The directories to come stand in a line, in the order of the walk. Whoever is free takes the next one of it: the thread of
/// this class, or the walk itself while the one it needs is in the making. The subdirectories of what was looked at join the
/// line right behind it, so the line runs ahead in the order of the walk, however deep or wide the tree is.
///
/// Invariants:
/// 1. The walk alone decides what is entered, handed out, left out or a problem. A directory that could not be opened, listed
///    and examined without any error is left to it, a name that could not be examined likewise, and it asks the system again.
/// 2. Nothing is touched that the walk would not touch. Names that patterns leave out are not examined. A directory is opened
///    only after its name was examined, and where that is a directory of the file system it lies in and no excluded tree.
///    Roots, what is above them, and other file systems are left to the walk.
/// 3. Directories are reached through descriptors and never through a link; what was opened is what was examined.
/// 4. At most ``directoryLimit`` directories are ready or in the making, and ``groupLimit`` more are held open for their
///    subdirectories: those that come last are let go. A directory that would take more than ``largestBytes`` is left to the walk, and
///    while more than ``readyBytes`` are ready nothing is begun; what both threads work on comes on top, and what the walk is in,
///    which is at most ``usedBytes``.
/// 5. Nothing is used that is older than ``FoundDirectory/freshness``, however long the walk was held up.
/// 6. After ``end()`` the thread is gone, and everything that it had opened is closed.
///
/// **What is examined early is as safe as what is examined in time.** A directory that was moved or replaced since is walked as it was
/// when it was opened, at most a second ago; so it is when that happens right after the walk has entered it. Whether
/// a file is unchanged is told by comparing its stamp with one of an older archive that was not younger than the clock's grain
/// when it was read; a change after the look is of this run's time, and the next run sees its stamp. A file that is read is stamped
/// by ``FileTreeWalker/open()`` once more, before its bytes; stamps that are too young to be trusted are told by their age when it is
/// read. A link, and what has no content, may be stamped before a change that its target shows: then the next run finds another
/// stamp. A name that is gone meanwhile was there a moment ago; where it is opened, it is missed.
///
/// SAFETY: `line` to `isAwaited` are touched inside the mutex, whose pthread objects live as long as this object. `rules` does not
/// change, and neither do ``Subdirectories`` and ``FoundDirectory``, which cross from thread to thread; `isEnded` is atomic. The
/// rest belongs to the thread of the walk. An arena of names belongs to the thread that looks.
final class WalkAhead: @unchecked Sendable {
    static let directoryLimit = 64
    static let groupLimit = 32
    static let largestBytes = 1 << 20
    static let readyBytes = 1 << 20
    static let usedBytes = 1 << 20
    /// Of one directory so many subdirectories are offered at once, because their names are copied.
    private static let offerLimit = 1024
    /// The walk gives way so often before it sleeps.
    private static let yields = 64

    /// What keeps names from being touched.
    struct Rules: Sendable {
        var excludes: ExcludePatterns
        var excludeCaches: Bool
        var excludedTrees: Set<FileIdentity>
    }

    let rules: Rules
    let isEnded = Atomic(false)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// A subdirectory that somebody works on or that is ready, or those of one directory that nobody began with.
    private struct Item {
        let parent: Subdirectories
        /// The subdirectory, or the first of those; an index of `parent.children`.
        var child: Int
        /// Nil where nobody began.
        let work: Work?

        var depth: Int { parent.depth }
        var position: Int { Int(parent.children[child].position) }
    }

    private final class Work {
        /// Nil while it is in the making.
        var look: Look?
    }

    /// What comes next is the last of it.
    private var line: [Item] = []
    /// Items of the line with work.
    private var begunCount = 0
    /// Subdirectories in the line that nobody began with.
    private var waiting = 0
    /// Bytes of what is ready.
    private var heldBytes = 0
    /// The thread waits for something to do.
    private var isIdle = false
    /// The walk waits for a directory.
    private var isAwaited = false

    private var thread: pthread_t?
    /// Directories that the walk took over.
    private(set) var takenCount = 0

    init(_ options: WalkOptions) {
        rules = Rules(
            excludes: options.excludes, excludeCaches: options.excludeCaches, excludedTrees: options.excludedTrees)
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        // It is held for less than it takes to fall asleep.
        pthread_mutexattr_settype(&attributes, .init(PTHREAD_MUTEX_ADAPTIVE_NP))
        pthread_mutex_init(mutex, &attributes)
        pthread_mutexattr_destroy(&attributes)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func lock() { pthread_mutex_lock(mutex) }
    private func unlock() { pthread_mutex_unlock(mutex) }
    private func wait() { pthread_cond_wait(condition, mutex) }
    /// Of the two threads one at most waits.
    private func wakeOther() { pthread_cond_signal(condition) }

    // MARK: The walk's side

    /// Puts the subdirectories among the names in `range` into the line: the walk has entered the directory, whose names begin at
    /// `first`. Returns the index up to which it did; nil where no thread can be started.
    func offer(_ range: Range<Int>, of names: NameArena, from first: Int, at place: WalkPlace) -> Int? {
        var list = NameList()
        var children: [Subdirectories.Child] = []
        var filter = NameFilter(rules.excludes, below: place.relative)
        var next = range.lowerBound
        while next < range.upperBound, children.count < Self.offerLimit {
            defer { next += 1 }
            guard names.isDirectory(next) == true, filter.admits(names.name(next), isDirectory: true) else { continue }
            children.append(.init(position: Int32(next - first), name: Int32(list.count), identity: nil))
            list.append(names.name(next))
        }
        guard !children.isEmpty, case .success(let status) = FileStatus.of(place.handle.number) else { return next }
        guard thread != nil || children.count == 1 || start() else { return nil }
        lock()
        defer { unlock() }
        drop(from: place.depth)
        append(
            Subdirectories(of: place, device: status.identity.device, names: list, children: children), at: line.count)
        wakeIfWorthwhile()
        return next
    }

    /// The subdirectory at `position` of the directory at `depth` that the walk is in, if it was found and is `identity`. What comes
    /// before it is let go. While it is in the making the calling thread takes part in the work, with `names`.
    func take(
        _ position: Int, depth: Int, _ identity: FileIdentity, using names: NameArena
    ) -> (found: FoundDirectory, handle: DirectoryHandle)? {
        lock()
        defer { unlock() }
        var yielded = 0
        while let work = reach(position, depth: depth) {
            if let look = work.look {
                passLast()
                wakeIfWorthwhile()
                guard look.found.identity == identity, look.found.isFresh else {
                    drop(from: depth + 1)
                    return nil
                }
                takenCount += 1
                return (look.found, look.handle)
            }
            if lookAtNext(using: names) { continue }
            if yielded < Self.yields {
                yielded += 1
                unlock()
                sched_yield()
                lock()
            } else {
                isAwaited = true
                wait()
            }
        }
        return nil
    }

    /// The walk left the directory at `depth`.
    func leave(_ depth: Int) {
        lock()
        defer { unlock() }
        drop(from: depth)
        wakeIfWorthwhile()
    }

    /// Directories that the walk can take.
    var readyCount: Int {
        lock()
        defer { unlock() }
        return line.count { $0.work?.look != nil }
    }

    /// Ends the thread and lets go of everything; nothing may be asked afterwards.
    func end() {
        isEnded.store(true, ordering: .relaxed)
        lock()
        drop(from: 0)
        wakeOther()
        unlock()
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    private func start() -> Bool {
        let retained = Unmanaged.passRetained(self)
        var made = pthread_t()
        let failure = pthread_create(
            &made, nil,
            { raw in
                if let raw { Unmanaged<WalkAhead>.fromOpaque(raw).takeRetainedValue().work() }
                return nil
            }, retained.toOpaque())
        guard failure == 0 else {
            retained.release()
            return false
        }
        thread = made
        return true
    }

    // MARK: The thread's side

    private func work() {
        let names = NameArena()
        lock()
        defer { unlock() }
        while !isEnded.load(ordering: .relaxed) {
            if lookAtNext(using: names) { continue }
            isIdle = true
            wait()
            isIdle = false
        }
    }

    // MARK: The line, inside the mutex

    /// Looks at the next directory that nobody began with, outside the mutex; false where there is none or no room.
    private func lookAtNext(using names: NameArena) -> Bool {
        guard begunCount < Self.directoryLimit, heldBytes <= Self.readyBytes, waiting > 0,
            let at = line.lastIndex(where: { $0.work == nil })
        else { return false }
        let work = Work()
        let item = Item(parent: line[at].parent, child: line[at].child, work: work)
        line.insert(item, at: at + 1)
        begunCount += 1
        pass(at)
        unlock()
        let look = self.look(at: item.child, of: item.parent, using: names)
        lock()
        finish(work, look)
        return true
    }

    private func finish(_ work: Work, _ look: Look?) {
        // Where it is gone the walk has passed it meanwhile.
        guard let at = line.lastIndex(where: { $0.work === work }) else { return }
        if let look {
            work.look = look
            heldBytes += look.found.memoryBytes
            if let below = look.below { append(below, at: at) }
        } else {
            line.remove(at: at)
            begunCount -= 1
        }
        if isAwaited {
            isAwaited = false
            wakeOther()
        }
    }

    /// Puts a group into the line. Where there are too many the one that comes last goes.
    private func append(_ group: Subdirectories, at index: Int) {
        line.insert(Item(parent: group, child: 0, work: nil), at: index)
        waiting += group.children.count
        while line.count - begunCount > Self.groupLimit, let last = line.firstIndex(where: { $0.work == nil }) {
            waiting -= line[last].parent.children.count - line[last].child
            line.remove(at: last)
        }
    }

    /// Takes the first subdirectory off the group at `index`.
    private func pass(_ index: Int) {
        waiting -= 1
        line[index].child += 1
        if line[index].child == line[index].parent.children.count { line.remove(at: index) }
    }

    /// Lets the last item of the line go, of a group only the first.
    private func passLast() {
        guard let item = line.last else { return }
        guard let work = item.work else { return pass(line.count - 1) }
        line.removeLast()
        begunCount -= 1
        if let look = work.look { heldBytes -= look.found.memoryBytes }
    }

    /// Lets everything go that belongs to the directory at `depth` or is below it.
    private func drop(from depth: Int) {
        while let item = line.last, item.depth >= depth { passLast() }
    }

    /// The work for the subdirectory at `position`; where nobody began with it, it is the walk's own from now on. What comes before
    /// it is let go: the walk has passed that.
    private func reach(_ position: Int, depth: Int) -> Work? {
        while let item = line.last, item.depth >= depth {
            if item.depth > depth || item.position < position {
                passLast()
                continue
            }
            guard item.position == position else { return nil }
            if item.work == nil { passLast() }
            return item.work
        }
        return nil
    }

    /// A thread that has to be woken for each directory costs more than it saves.
    private func wakeIfWorthwhile() {
        guard isIdle, waiting > 1, begunCount <= Self.directoryLimit / 2, heldBytes <= Self.readyBytes / 2 else {
            return
        }
        isIdle = false
        wakeOther()
    }
}
