import Collectors
import Domain
import Synchronization
import Vault

/// Streams the binary logs of a server into the spool: `mariadb-binlog`, started again whenever it ends.
///
/// Invariants:
/// 1. Nothing that was received is given up: what the server has is laid beside it, and where that is not its continuation a new
///    stretch begins.
/// 2. A recovery point is the time of a question to the server, and counts when all that lay before its answer is here.
/// 3. Why nothing comes is told until something does.
/// 4. What is damaged in the spool is fetched anew before anything else, and is lost only when the server answers and does not have it,
///    or answers nothing for long.
final class BinaryLogReceiver: Sendable {
    private static let longestPause = 60.0
    private static let stepPause = 0.4
    private static let beatPause = 5.0
    /// Between two times that the mark in the spool is written.
    private static let markPause = 10.0
    /// Nothing came for so long, though the server has more.
    private static let stuckSeconds = 60.0
    /// What must be free beside the spool, and of a small file system this part: the state of the host lies there too.
    private static let leastRoom = Int64(256 << 20)
    private static let leastPart = Int64(20)
    /// How often one log is asked for that does not come, of a server that answers.
    private static let fetchAttempts = 3

    private let source: MariaDBSource
    private let spool: BinaryLogSpool
    private let begun = Int64(clamping: WallTime.seconds())
    private let stopping = InterruptFlag()
    private let state = Mutex(State())
    private let thread = Mutex<Joined?>(nil)

    private struct State {
        var streaming: String?
        var asking: String?
        var received: BinaryLogPoint?
        var beats = LogBeats<BinaryLogPoint>()
        /// What was in archives when something was waited for, and since when.
        var waiting: (archived: BinaryLogPoint?, since: Int64)?
    }

    /// SAFETY: a thread is joined once, by ``stop()``, under the lock.
    private struct Joined: @unchecked Sendable {
        let thread: WorkerThread
    }

    /// What a run of the program is looked at with; of its thread alone.
    private final class Session {
        let stream: MariaDBLogStream
        let intake: BinaryLogIntake
        var stepped = 0.0
        var beaten = 0.0
        var marked = 0.0
        var moved = MonotonicTime.now()
        var progress: (file: String, bytes: UInt64)?
        /// Where the server was at the last beat.
        var ahead: BinaryLogPoint?
        /// Why it was ended.
        var reason: (any Error)?

        init(_ stream: MariaDBLogStream, _ intake: BinaryLogIntake) {
            self.stream = stream
            self.intake = intake
        }
    }

    init(_ source: MariaDBSource, into spool: BinaryLogSpool) throws {
        self.source = source
        self.spool = spool
        let joined = Joined(thread: try WorkerThread { self.work() })
        thread.withLock { $0 = joined }
    }

    func stop() {
        stopping.set()
        thread.withLock { joined in
            joined?.thread.join()
            joined = nil
        }
    }

    /// What is wrong now; nil when nothing is.
    var trouble: String? { state.withLock { $0.streaming ?? $0.asking } }

    /// Up to when the server could be brought back from the spool and from the vault: behind a gap from neither.
    var recoveryPoints: [RecoveryPoint] {
        if let gap = spool.gap {
            return RecoveryPoint.Place.allCases.map {
                RecoveryPoint(.mariadbLogs, source.name, in: $0, time: gap.time, measuredSince: gap.found)
            }
        }
        // Until an archive holds what is damaged, nothing behind it counts.
        if let first = spool.damaged.min(by: { $0.found < $1.found }) {
            return RecoveryPoint.Place.allCases.map {
                RecoveryPoint(.mariadbLogs, source.name, in: $0, time: first.time, measuredSince: first.found)
            }
        }
        let marks = (received: spool.mark(.received), archived: spool.mark(.archived))
        return state.withLock { state in
            let ends: [(RecoveryPoint.Place, BinaryLogPoint?, Int64?)] = [
                (.spool, state.received, marks.received?.time), (.vault, marks.archived?.point, marks.archived?.time),
            ]
            return ends.map { place, point, known in
                let beat = point.flatMap { state.beats.newest(before: $0) }
                return RecoveryPoint(
                    .mariadbLogs, source.name, in: place, time: [beat, known].compactMap(\.self).max(),
                    measuredSince: begun)
            }
        }
    }

    /// Whether an archive is due.
    var isDue: Bool {
        if !spool.unarchived.isEmpty { return true }
        let archived = spool.mark(.archived)?.point
        let now = Int64(clamping: WallTime.seconds())
        return state.withLock { state in
            guard let received = state.received, archived.map({ $0 < received }) ?? true else {
                state.waiting = nil
                return false
            }
            if state.waiting?.archived != archived || state.waiting == nil { state.waiting = (archived, now) }
            let waits = now - (state.waiting?.since ?? now)
            return waits < 0 || waits >= source.batchTime.seconds
        }
    }

    // MARK: - Streaming

    private func work() {
        var pause = 1.0
        var isOther = false
        while !stopping.isSet {
            let begun = MonotonicTime.now()
            do {
                try stream(&isOther)
            } catch {
                if stopping.isSet { return }
                let words = Self.words(error)
                state.withLock { $0.streaming = "the binary logs of \(source.name) are not streamed: \(words)" }
            }
            // One that went for a while is tried again at once.
            pause = MonotonicTime.now() - begun > Self.longestPause ? 1 : min(Self.longestPause, pause * 2)
            stopping.sleep(pause)
        }
    }

    private static func words(_ error: any Error) -> String {
        switch error {
        case let other as BinaryLogIntake.OtherContent: "the server has another \(other.file) than the one that came"
        case let fault as BinaryLogFault: "what came cannot be read (\(fault))"
        default: (error as? any Failure)?.message ?? "\(error)"
        }
    }

    /// Until the connection breaks, or something is wrong with what comes.
    private func stream(_ isOther: inout Bool) throws {
        try spool.setDamagedAside()
        var newest = try spool.newest()
        state.withLock { $0.received = newest?.point }
        // Before it is asked whether there is room: a log that comes anew may be what took it.
        try spool.clearReceived()
        try checkRoom()
        let stream = MariaDBLogStream(source, isInterrupted: { [stopping] in stopping.isSet })
        let listed = try logs(stream)
        if try fetchAnew(listed, stream) {
            newest = try spool.newest()
            state.withLock { $0.received = newest?.point }
        }
        let (stretch, first) = try beginning(newest, listed, isOther)
        isOther = false
        let session = Session(stream, BinaryLogIntake(into: spool, stretch: stretch))
        do {
            try stream.run(from: first, into: spool.receivePath) { [self] in goesOn(session) }
        } catch {
            // What came before the connection broke.
            if session.reason == nil { step(session) }
            isOther = session.reason is BinaryLogIntake.OtherContent
            throw session.reason ?? error
        }
    }

    /// In which stretch the stream goes on, and with which log.
    private func beginning(
        _ newest: BinaryLogSpool.Newest?, _ listed: [MariaDBLogs.Log], _ isOther: Bool
    ) throws -> (stretch: Int, file: String) {
        guard let first = listed.first else {
            throw OperationError(.failed, "the server has no binary logs", hint: "Set log_bin for the server.")
        }
        if let newest, !isOther, let parts = BinaryLogPlace.parts(newest.point.file) {
            let same = listed.first { $0.name == newest.point.file }
            if let same, same.bytes >= newest.point.position { return (newest.point.stretch, same.name) }
            if same == nil, newest.isEnded, let next = BinaryLogPlace.parts(first.name), next.base == parts.base,
                next.number == parts.number + 1
            {
                return (newest.point.stretch, first.name)
            }
        }
        // What was known of the time is not known of what comes now.
        state.withLock { $0.beats = LogBeats() }
        return (try spool.beginStretch(), first.name)
    }

    // MARK: - What is damaged

    private func logs(_ stream: MariaDBLogStream) throws -> [MariaDBLogs.Log] {
        do { return try stream.logs() } catch {
            if !stopping.isSet { try spool.loseWhatIsOld() }
            throw error
        }
    }

    /// Asks for what is missing; false when nothing is.
    private func fetchAnew(_ listed: [MariaDBLogs.Log], _ stream: MariaDBLogStream) throws -> Bool {
        let missing = spool.missing
        for damage in missing {
            // A stretch that is over lies before a gap, and before everything that the server has.
            let isOver = try spool.stretches().last != damage.stretch
            let isThere =
                !isOver && listed.contains { $0.name == damage.file && $0.bytes >= damage.bytes }
            guard try !isThere || !fetch(damage, stream) else { continue }
            try spool.lose(damage)
        }
        return !missing.isEmpty
    }

    private func fetch(_ damage: BinaryLogSpool.Damage, _ stream: MariaDBLogStream) throws -> Bool {
        for attempt in 1...Self.fetchAttempts {
            try checkRoom(for: Int64(clamping: damage.bytes))
            do {
                try stream.fetch(damage.file, into: spool.receivePath)
                let isBack = try spool.takeBack(damage)
                try spool.clearReceived()
                return isBack
            } catch {
                try spool.clearReceived()
                // One that is gone says nothing of what it has.
                if stopping.isSet || (try? stream.logs()) == nil { throw error }
                if attempt < Self.fetchAttempts { stopping.sleep(Double(attempt)) }
            }
        }
        return false
    }

    private func checkRoom(for bytes: Int64 = 0) throws {
        guard let room = DiskRoom.of(spool.path) else { return }
        let least = min(Self.leastRoom, room.size / Self.leastPart).addingClamped(bytes)
        guard room.available < least else { return }
        throw OperationError(
            .failed, "less than \(least >> 20) MiB are free beside \(spool.path)",
            hint: "Make room; the server keeps the logs until it purges them.", isOutOfSpace: true)
    }

    // MARK: - While it goes

    /// Looks at what came, and at the server; false when the program is to be ended.
    private func goesOn(_ session: Session) -> Bool {
        if stopping.isSet { return false }
        let now = MonotonicTime.now()
        guard now - session.stepped >= Self.stepPause else { return true }
        session.stepped = now
        step(session)
        if session.reason == nil, now - session.beaten >= Self.beatPause {
            session.beaten = now
            beat(session)
        }
        return session.reason == nil
    }

    private func step(_ session: Session) {
        do {
            try checkRoom()
            if let damage = spool.missing.first { throw OperationError(.tryAgain, damage.text) }
            try session.intake.take()
            guard let point = session.intake.point else { return }
            state.withLock { state in
                state.received = max(state.received ?? point, point)
                state.streaming = nil
            }
            try mark(session, point)
        } catch {
            session.reason = error
        }
    }

    private func mark(_ session: Session, _ point: BinaryLogPoint) throws {
        let now = MonotonicTime.now()
        guard now - session.marked >= Self.markPause,
            let time = state.withLock({ $0.beats.newest(before: point) })
        else { return }
        session.marked = now
        try spool.keep(BinaryLogSpool.Mark(point: point, time: time), as: .received)
    }

    private func beat(_ session: Session) {
        // The time first, then the place: both err to the safe side.
        let time = Int64(clamping: WallTime.seconds())
        guard let point = session.intake.point else { return checkProgress(session) }
        do {
            let place = try session.stream.place()
            let ahead = BinaryLogPoint(stretch: point.stretch, file: place.file, position: place.position)
            guard ahead >= point else {
                throw OperationError(.tryAgain, "the server began its binary logs anew")
            }
            session.ahead = ahead
            state.withLock { state in
                state.asking = nil
                state.beats.add(ahead, at: time)
            }
            checkProgress(session)
        } catch let error as OperationError {
            session.reason = error
        } catch {
            // That the connection breaks is the stream's to tell.
            let words = Self.words(error)
            state.withLock { $0.asking = "it is not known up to when the logs of \(source.name) came: \(words)" }
        }
    }

    /// A stream that stands still though the server has more is begun anew.
    private func checkProgress(_ session: Session) {
        let now = MonotonicTime.now()
        let progress = session.intake.progress
        let isBehind = session.ahead.map { ahead in session.intake.point.map { $0 < ahead } ?? true } ?? true
        if !isBehind || progress?.file != session.progress?.file || progress?.bytes != session.progress?.bytes {
            session.moved = now
        }
        session.progress = progress
        guard now - session.moved > Self.stuckSeconds else { return }
        session.reason = OperationError(
            .tryAgain, "nothing came for a minute, though the server wrote up to \(session.ahead?.file ?? "a log")")
    }
}
