/// Where a replay of binary logs is to end.
package enum BinaryLogTarget: Equatable, Sendable {
    /// All that there is.
    case latest
    /// Seconds since 1970: before the first transaction of this time or later.
    case time(Int64)
    case place(BinaryLogPlace)
    /// Behind this transaction.
    case transaction(BinaryLogGTID)
}

/// Walks through the binary logs behind a copy, in their order, and finds the place where a replay ends.
///
/// Invariants:
/// 1. ``stop`` and ``reached`` always lie between two transactions.
/// 2. A log counts when it goes on from the one before: its list of transactions is the state that the one before left.
/// 3. Nothing behind the first fault counts.
package struct BinaryLogWalk {
    private struct Stream: Hashable {
        var domain: UInt32
        var server: UInt32

        init(_ gtid: BinaryLogGTID) {
            domain = gtid.domain
            server = gtid.server
        }
    }

    /// Of servers in domains; a list of more does not fit into what ``BinaryLogReader`` keeps of an event.
    private static let streamLimit = 1 << 16

    private let start: BinaryLogPlace
    private let target: BinaryLogTarget
    /// What the server had committed before the copy.
    private let before: [BinaryLogGTID]

    private var reader = BinaryLogReader()
    private var file = ""
    /// The last place between two transactions in this log.
    private var boundary: UInt64 = 0
    private var open: (gtid: BinaryLogGTID, isStandalone: Bool)?
    /// The newest transaction of each server in each domain, and of each domain, at the boundary; nil before the first log.
    private var state: [Stream: BinaryLogGTID]?
    private var newest: [UInt32: BinaryLogGTID] = [:]
    private var hasState = false

    /// Whether the place of the copy was found.
    package private(set) var isStarted = false
    /// Whether the copy holds the transaction that is the target.
    package private(set) var isTargetInCopy = false
    /// The last place that can be reached, as long as there is no ``stop``.
    package private(set) var reached: BinaryLogPlace
    /// The logs that are replayed, in order, and up to where each.
    package private(set) var files: [BinaryLogPlace] = []
    /// Where the replay ends; nil as long as the target was not met.
    package private(set) var stop: BinaryLogPlace?
    /// From the copy to ``reached``.
    package private(set) var transactions = 0
    /// Transactions behind the stop in its log whose times are before the target.
    package private(set) var earlierBehind = 0
    /// The latest time of a transaction in the copy, as far as its log tells, and of one behind it.
    package private(set) var lastInCopy: Int64?
    package private(set) var lastReached: Int64?

    package init(from start: BinaryLogPlace, before: [BinaryLogGTID], to target: BinaryLogTarget) {
        self.start = start
        self.before = before
        self.target = target
        reached = start
    }

    /// The newest transaction of each domain at ``reached``.
    package var gtids: [BinaryLogGTID] { newest.values.sorted { $0.domain < $1.domain } }

    // MARK: -

    package mutating func begin(_ name: String) {
        reader = BinaryLogReader()
        file = name
        boundary = 0
        open = nil
        hasState = false
    }

    package mutating func take(_ bytes: UnsafeRawBufferPointer) throws(BinaryLogFault) {
        let (events, fault) = reader.take(bytes)
        for event in events { try take(event) }
        if let fault, stop == nil { throw fault }
    }

    /// After the last bytes of a log.
    package mutating func end(isLast: Bool) throws(BinaryLogFault) {
        guard stop == nil else { return }
        // A server that died leaves half an event, and so does one that still writes. Whether that is all shows the list of the
        // next log; behind the last one nothing is known.
        guard reader.isAtEnd || reader.isOpen else { throw .torn(boundary) }
        guard isStarted else { throw .within(boundary) }
        if !isLast, case .place(let place) = target, place.file == file { throw .within(boundary) }
    }

    // MARK: -

    private mutating func take(_ event: BinaryLogEvent) throws(BinaryLogFault) {
        switch event.kind {
        case .transaction(let gtid, let isStandalone):
            guard hasState else { throw .otherLife }
            try closeOpen(at: event.range.lowerBound)
            if isStarted, stop == nil, case .time(let time) = target, event.time >= time { stop = reached }
            if case .time(let time) = target, stop != nil, event.time < time { earlierBehind += 1 }
            if !isStarted { lastInCopy = max(lastInCopy ?? event.time, event.time) }
            if isStarted, stop == nil { lastReached = max(lastReached ?? event.time, event.time) }
            open = (gtid, isStandalone)
        case .end, .query:
            guard let group = open, event.kind == .end || group.isStandalone else { return }
            try closeOpen(at: event.range.upperBound)
        case .state(let list):
            try compare(list)
            try closeOpen(at: event.range.upperBound)
        case .ofLog:
            try closeOpen(at: event.range.lowerBound)
            try closeOpen(at: event.range.upperBound)
        case .other: return
        }
    }

    /// Here no transaction is open: what was open is whole, since the server writes each in one piece.
    private mutating func closeOpen(at position: UInt64) throws(BinaryLogFault) {
        let closed = open?.gtid
        open = nil
        if stop == nil, let closed {
            state?[Stream(closed)] = closed
            newest[closed.domain] = closed
            guard newest.count <= Self.streamLimit, state?.count ?? 0 <= Self.streamLimit else {
                throw .damaged(position)
            }
            if isStarted { transactions += 1 }
        }
        let last = boundary
        boundary = position
        // Before it is known that the log goes on from the one before, nothing in it counts.
        guard hasState else { return }
        try findStart(last)
        guard isStarted, stop == nil else { return }
        reached = BinaryLogPlace(file: file, position: position)
        if files.last?.file == file { files.removeLast() }
        files.append(reached)
        switch target {
        case .place(let place) where place.file == file:
            guard position <= place.position else { throw .within(last) }
            if position == place.position { stop = reached }
        case .transaction(let gtid) where gtid == closed: stop = reached
        default: break
        }
    }

    private mutating func findStart(_ last: UInt64) throws(BinaryLogFault) {
        guard !isStarted, file == start.file, boundary >= start.position else { return }
        guard boundary == start.position else { throw .within(last) }
        for gtid in before {
            guard let known = state?[Stream(gtid)], known.sequence >= gtid.sequence else { throw .otherLife }
        }
        isStarted = true
        if case .transaction(let gtid) = target, let known = state?[Stream(gtid)], known.sequence >= gtid.sequence {
            isTargetInCopy = true
        }
    }

    /// What the list does not name, the server was told to forget; what it names must be as it was left.
    private mutating func compare(_ list: [BinaryLogGTID]) throws(BinaryLogFault) {
        hasState = true
        if let state {
            guard list.isEmpty == state.isEmpty, list.allSatisfy({ state[Stream($0)] == $0 }) else { throw .otherLife }
            return
        }
        state = [:]
        for gtid in list {
            state?[Stream(gtid)] = gtid
            newest[gtid.domain] = gtid
        }
    }
}
