// The protocol of `docs/adr/0005-sweep.md` with everything left out but what decides whether a live chunk can be lost.
//
// Two writers of one domain open sessions, refer to chunks that the index holds or store them, take over the pages of their
// last archive, checkpoint, commit, crash and resume; an administrator disposes and fences; a sweeper lists, condemns, deletes
// and removes, in steps between which everything else may happen, and crashes. Sets of packs and of chunks are bits of a byte.

struct SweepModel: Hashable {
    /// What a rule's absence would be.
    enum Bug: CaseIterable {
        /// Deletion does not wait for older sessions.
        case noWaiting
        /// A session that resumes another one is as old as its own open record.
        case ownAge
        /// What was condemned is deleted without another look at what is needed.
        case noRecomputation
        /// Sessions refer to condemned packs.
        case condemnedPresent
        /// Packs that no manifest names are garbage although their session runs.
        case orphansOfRunning
        /// What is named is decided on a log that was read before the store was listed.
        case listingAfterLog
        /// An archive that was disposed of is not needed at once, although a running session may have built on it.
        case basesForgotten
        /// A session takes over the packs of one that ended after it had looked.
        case resumesEnded
        /// A record that was computed before a commit is appended behind it.
        case noConflict
        /// A fenced session commits all the same.
        case fencedCommits
    }

    /// How much may happen; what is explored is every order of it.
    struct Limits {
        var chunks = 1
        var sessions = 3
        var packs = 2
        var condemnations = 1
        var disposals = 1
        var crashes = 0
        var fences = 0
        var sweeps = 1
        /// Which of several condemned packs is found first.
        var isReversed = false
        var bug: Bug?
    }

    enum Ending: UInt8 { case running, committed, ended }

    struct Session: Hashable {
        var writer: Int8
        var age: UInt8
        var ending = Ending.running
        /// Packs that its checkpoints name, and the chunks that its journal then refers to.
        var checkpointed: UInt8 = 0
        var journal: UInt8 = 0
        /// Of its archive.
        var packs: UInt8 = 0
        var refers: UInt8 = 0
        /// Clock of the dispose record.
        var disposed: UInt8 = 0
        var isLive: Bool { ending == .committed && disposed == 0 }
    }

    struct Pack: Hashable {
        var chunk: Int8
        var session: Int8
    }

    struct Condemnation: Hashable {
        var number: UInt8
        var list: UInt8
        /// Clock of the delete record and what it lists.
        var closed: UInt8 = 0
        var deleted: UInt8 = 0
    }

    /// A writer's process.
    struct Process: Hashable {
        var session: Int8 = -1
        /// What it will resume, looked up before its open record; −1 nothing.
        var resuming: Int8 = -1
        /// Packs of the index that it may refer to.
        var visible: UInt8 = 0
        var own: UInt8 = 0
        var refers: UInt8 = 0
        /// Chunks of the archive that it is merged with.
        var base: UInt8 = 0
        /// Sessions to be aborted behind its commit.
        var leftovers: UInt8 = 0
    }

    struct Sweeper: Hashable {
        var isListed = false
        var listing: UInt8 = 0
        /// Planted: named packs and ended sessions as a log read before told them.
        var oldNamed: UInt8 = 0
        var oldEnded: UInt8 = 0
        /// A record that was computed: −2 none, −1 condemn, else the condemnation that it closes.
        var closes: Int8 = -2
        var list: UInt8 = 0
        var seen: UInt8 = 0
    }

    var clock: UInt8 = 1
    var sessions: [Session] = []
    var packs: [Pack] = []
    var stored: UInt8 = 0
    var condemnations: [Condemnation] = []
    var writers = [Process(), Process()]
    var sweeper = Sweeper()
    var crashes: Int8 = 0
    var fences: Int8 = 0
    var sweeps: Int8 = 0
    var disposals: Int8 = 0
}

extension SweepModel {
    /// Where writer 0 has made one archive, which needs one chunk.
    static var withArchive: SweepModel {
        var model = SweepModel()
        model.clock = 2
        model.packs = [Pack(chunk: 0, session: 0)]
        model.stored = 1
        model.sessions = [Session(writer: 0, age: 0, ending: .committed, packs: 1, refers: 1)]
        return model
    }

    /// The same with a run of writer 0 behind it that was killed: it refers to that chunk and to one that it stored.
    static var withInterrupted: SweepModel {
        var model = withArchive
        model.clock = 3
        model.packs.append(Pack(chunk: 1, session: 1))
        model.stored = 3
        model.sessions.append(Session(writer: 0, age: 2, checkpointed: 2, journal: 3))
        return model
    }
}

// MARK: What follows from the state

extension SweepModel {
    private func has(_ set: UInt8, _ index: Int) -> Bool { set >> UInt8(index) & 1 == 1 }
    private func bit(_ index: Int) -> UInt8 { 1 << UInt8(index) }

    /// Packs that manifests of archives name, also of disposed ones.
    private var committed: UInt8 { sessions.reduce(0) { $0 | ($1.ending == .committed ? $1.packs : 0) } }
    private var deleted: UInt8 { condemnations.reduce(0) { $0 | $1.deleted } }
    private var condemned: UInt8 { condemnations.reduce(0) { $0 | ($1.closed == 0 ? $1.list : 0) } }
    private var ended: UInt8 {
        sessions.indices.reduce(0) { $0 | (sessions[$1].ending == .running ? 0 : bit($1)) }
    }
    /// Grows with what makes a computed record outdated.
    private var decisive: UInt8 {
        UInt8(sessions.count { $0.ending == .committed } + condemnations.count + condemnations.count { $0.closed > 0 })
    }

    private func holding(_ chunks: UInt8) -> UInt8 {
        packs.indices.reduce(0) { $0 | (has(chunks, Int(packs[$1].chunk)) ? bit($1) : 0) }
    }

    private func runsOlder(than number: UInt8) -> Bool {
        sessions.contains { $0.ending == .running && $0.age < number }
    }

    /// Chunks that live archives need; with `sparing` also those that running sessions may have built on.
    private func needed(sparing: Bool) -> UInt8 {
        let oldest = sparing ? sessions.filter { $0.ending == .running }.map(\.age).min() ?? .max : .max
        return sessions.reduce(0) { all, session in
            let counts = session.isLive || session.ending == .committed && session.disposed > oldest
            return all | (counts ? session.refers : 0)
        }
    }

    /// Packs that one lookup for each needed chunk finds.
    private func providers(_ chunks: UInt8, _ limits: Limits) -> UInt8 {
        let candidates = committed & ~deleted
        var found: UInt8 = 0
        for chunk in 0..<limits.chunks where has(chunks, chunk) {
            let holders = candidates & holding(bit(chunk))
            let best = holders & ~condemned != 0 ? holders & ~condemned : holders
            guard best != 0 else { continue }
            found |= bit(limits.isReversed ? 7 - best.leadingZeroBitCount : best.trailingZeroBitCount)
        }
        return found
    }

    /// The same state with everything forgotten that cannot matter any more, and clocks that only tell what is older.
    func canonical(_ limits: Limits) -> SweepModel {
        var state = self
        var clocks: UInt64 = 1
        let chosen = writers.map(\.resuming)
        for index in sessions.indices where sessions[index].ending != .running && !chosen.contains(Int8(index)) {
            state.sessions[index].age = 0
            state.sessions[index].journal = 0
            if sessions[index].ending == .committed { state.sessions[index].checkpointed = 0 }
        }
        for index in sessions.indices {
            clocks |= 1 << UInt64(state.sessions[index].age) | 1 << UInt64(state.sessions[index].disposed)
        }
        for condemnation in condemnations {
            clocks |= 1 << UInt64(condemnation.number) | 1 << UInt64(condemnation.closed)
        }
        func rank(_ value: UInt8) -> UInt8 { UInt8((clocks & (1 << UInt64(value) - 1)).nonzeroBitCount) }
        for index in sessions.indices {
            state.sessions[index].age = rank(state.sessions[index].age)
            state.sessions[index].disposed = rank(state.sessions[index].disposed)
        }
        for index in condemnations.indices {
            state.condemnations[index].number = rank(condemnations[index].number)
            state.condemnations[index].closed = rank(condemnations[index].closed)
        }
        state.clock = UInt8(clocks.nonzeroBitCount)
        return state
    }

    /// Nil while every chunk of every live archive has a pack that is there and that a reader finds.
    var violation: String? {
        let readable = stored & committed & ~deleted
        for (index, session) in sessions.enumerated() where session.isLive {
            for chunk in 0..<8 where has(session.refers, chunk) && readable & holding(bit(chunk)) == 0 {
                return "archive \(index) has lost chunk \(chunk)"
            }
        }
        return nil
    }
}

// MARK: Steps

extension SweepModel {
    /// A step in words; built for every step, so it costs nothing.
    struct Label: CustomStringConvertible {
        var who: StaticString
        var what: StaticString
        var number = -1
        var description: String { "\(who) \(what)\(number < 0 ? "" : " \(number)")" }
    }

    typealias Next = (_ label: Label, _ state: SweepModel) -> Void

    /// Every step that may come next. Returns what a step would do that must never be done.
    func steps(_ limits: Limits, _ next: Next) -> String? {
        for writer in 0..<2 { steps(of: writer, limits, next) }
        if disposals < limits.disposals {
            for index in sessions.indices where sessions[index].isLive {
                var state = self
                state.clock += 1
                state.disposals += 1
                state.sessions[index].disposed = state.clock
                next(Label(who: "administrator", what: "disposes of", number: index), state)
            }
        }
        if fences < limits.fences {
            for index in sessions.indices where sessions[index].ending == .running {
                var state = self
                state.fences += 1
                state.sessions[index].ending = .ended
                next(Label(who: "administrator", what: "fences", number: index), state)
            }
        }
        return sweeperSteps(limits, next)
    }

    private func steps(of writer: Int, _ limits: Limits, _ next: Next) {
        let process = writers[writer]
        func step(_ what: StaticString, _ number: Int = -1, _ change: (inout SweepModel) -> Void) {
            var state = self
            change(&state)
            next(Label(who: writer == 0 ? "writer 0" : "writer 1", what: what, number: number), state)
        }
        if process.leftovers != 0 {
            step("aborts", process.leftovers.trailingZeroBitCount) { state in
                let index = process.leftovers.trailingZeroBitCount
                if state.sessions[index].ending == .running { state.sessions[index].ending = .ended }
                state.writers[writer].leftovers &= ~bit(index)
            }
        } else if process.session < 0 {
            guard sessions.count < limits.sessions else { return }
            let found = sessions.lastIndex { $0.writer == writer && $0.ending == .running && $0.checkpointed != 0 }
            if let found, process.resuming < 0 {
                step("looks what to resume:", found) { $0.writers[writer].resuming = Int8(found) }
            } else {
                step("opens", sessions.count) { $0.open(writer, limits) }
            }
            return
        } else {
            sessionSteps(writer, limits, step)
        }
        if crashes < limits.crashes {
            step("crashes", -1) { state in
                state.crashes += 1
                state.writers[writer] = Process()
            }
        }
    }

    private mutating func open(_ writer: Int, _ limits: Limits) {
        clock += 1
        let resumed = Int(writers[writer].resuming)
        var process = Process(session: Int8(sessions.count))
        var age = clock
        if resumed >= 0 {
            if limits.bug != .ownAge { age = sessions[resumed].age }
            if sessions[resumed].ending == .running || limits.bug == .resumesEnded {
                process.own = sessions[resumed].checkpointed
                process.refers = sessions[resumed].journal
            }
        }
        if let base = sessions.last(where: { $0.writer == writer && $0.ending == .committed }), base.isLive {
            process.base = base.refers
        }
        process.visible = committed & ~deleted
        if limits.bug != .condemnedPresent {
            var absent: UInt8 = 0
            for condemnation in condemnations where condemnation.number < age {
                let isClosed = condemnation.closed != 0 && condemnation.closed < age
                if !isClosed { absent |= condemnation.list }
            }
            process.visible &= ~(absent & condemned)
        }
        sessions.append(Session(writer: Int8(writer), age: age))
        writers[writer] = process
    }

    private func sessionSteps(
        _ writer: Int, _ limits: Limits, _ step: (StaticString, Int, (inout SweepModel) -> Void) -> Void
    ) {
        let process = writers[writer]
        let index = Int(process.session)
        let isRunning = sessions[index].ending == .running
        for chunk in 0..<limits.chunks where !has(process.refers, chunk) {
            if (process.visible | process.own) & holding(bit(chunk)) != 0 {
                step("refers to chunk", chunk) { $0.writers[writer].refers |= bit(chunk) }
            } else if packs.count < limits.packs {
                step("stores chunk", chunk) { state in
                    state.stored |= bit(state.packs.count)
                    state.writers[writer].own |= bit(state.packs.count)
                    state.writers[writer].refers |= bit(chunk)
                    state.packs.append(Pack(chunk: Int8(chunk), session: process.session))
                }
            }
        }
        if process.base & ~process.refers != 0 {
            step("takes over pages", -1) { $0.writers[writer].refers |= process.base }
        }
        if process.own & ~sessions[index].checkpointed != 0 {
            step("checkpoints", index) { state in
                guard isRunning else { return state.writers[writer] = Process() }
                state.sessions[index].checkpointed = process.own
                state.sessions[index].journal = process.refers
            }
        }
        guard process.refers != 0 else { return }
        step("commits", index) { state in
            var over = Process()
            if isRunning || limits.bug == .fencedCommits {
                state.sessions[index].ending = .committed
                state.sessions[index].packs = process.own
                state.sessions[index].refers = process.refers
                for other in sessions.indices
                where other != index && sessions[other].writer == writer && sessions[other].ending == .running {
                    over.leftovers |= bit(other)
                }
            }
            state.writers[writer] = over
        }
    }

    // MARK: The sweeper

    private func sweeperSteps(_ limits: Limits, _ next: Next) -> String? {
        if limits.bug == .listingAfterLog, !sweeper.isListed, sweeper.closes == -2, sweeper.oldEnded == 0, ended != 0 {
            var state = self
            state.sweeper.oldNamed = committed
            state.sweeper.oldEnded = ended
            next(Label(who: "the sweeper", what: "reads the log"), state)
        }
        if !sweeper.isListed {
            guard sweeps < limits.sweeps, limits.bug != .listingAfterLog || sweeper.oldEnded != 0 else { return nil }
            var state = self
            state.sweeps += 1
            state.sweeper.isListed = true
            state.sweeper.listing = stored
            next(Label(who: "the sweeper", what: "lists"), state)
            return nil
        }
        var state = self
        state.sweeper = Sweeper()
        next(Label(who: "the sweeper", what: "ends or crashes"), state)
        for index in packs.indices where has(sweeper.listing & stored & deleted, index) {
            state = self
            state.stored &= ~bit(index)
            next(Label(who: "the sweeper", what: "removes pack", number: index), state)
        }
        if sweeper.closes != -2 { return append(limits, next) }
        if condemnations.count < limits.condemnations {
            let list = unneeded(limits)
            state = self
            state.sweeper.closes = -1
            state.sweeper.list = list
            state.sweeper.seen = decisive
            if list != 0 { next(Label(who: "the sweeper", what: "finds packs", number: Int(list)), state) }
        }
        for index in condemnations.indices where condemnations[index].closed == 0 {
            guard limits.bug == .noWaiting || !runsOlder(than: condemnations[index].number) else { continue }
            state = self
            state.sweeper.closes = Int8(index)
            state.sweeper.list = condemnations[index].list
            if limits.bug != .noRecomputation {
                state.sweeper.list &= ~providers(needed(sparing: limits.bug != .basesForgotten), limits)
            }
            state.sweeper.seen = decisive
            next(Label(who: "the sweeper", what: "computes what goes:", number: Int(state.sweeper.list)), state)
        }
        return nil
    }

    /// What no live archive needs, whatever an index says of its place.
    private func unneeded(_ limits: Limits) -> UInt8 {
        let running = sessions.reduce(UInt8(0)) { $0 | ($1.ending == .running ? $1.checkpointed : 0) }
        let abandoned = sessions.reduce(UInt8(0)) { $0 | ($1.ending == .ended ? $1.checkpointed : 0) }
        let isOld = limits.bug == .listingAfterLog
        let named = isOld ? sweeper.oldNamed : committed
        let over = isOld ? sweeper.oldEnded : ended
        var found = named & ~holding(needed(sparing: false)) | abandoned & ~named
        for index in packs.indices where has(sweeper.listing & ~named, index) {
            if has(over, Int(packs[index].session)) || limits.bug == .orphansOfRunning { found |= bit(index) }
        }
        if limits.bug != .orphansOfRunning { found &= ~running }
        return found & ~condemned & ~deleted
    }

    private func append(_ limits: Limits, _ next: Next) -> String? {
        var state = self
        state.sweeper.closes = -2
        state.sweeper.list = 0
        state.sweeper.seen = 0
        let closing = Int(sweeper.closes)
        var isOutdated = sweeper.seen != decisive
        if closing >= 0, limits.bug != .noWaiting, runsOlder(than: condemnations[closing].number) { isOutdated = true }
        if limits.bug == .noConflict, closing < 0 || condemnations[closing].closed == 0 { isOutdated = false }
        if isOutdated {
            next(Label(who: "the sweeper", what: "is outdated"), state)
            return nil
        }
        state.clock += 1
        if closing >= 0 {
            state.condemnations[closing].closed = state.clock
            state.condemnations[closing].deleted = sweeper.list
        } else {
            state.condemnations.append(Condemnation(number: state.clock, list: sweeper.list))
        }
        next(Label(who: "the sweeper", what: closing >= 0 ? "deletes" : "condemns", number: Int(sweeper.list)), state)
        guard closing < 0 else { return nil }
        if sweeper.list & committed & holding(needed(sparing: false)) != 0 { return "a needed pack is condemned" }
        for index in packs.indices where has(sweeper.list, index) {
            if !has(ended, Int(packs[index].session)) { return "a pack of a running session is condemned" }
        }
        return nil
    }
}
