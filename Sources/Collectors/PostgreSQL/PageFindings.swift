import Domain
import Synchronization

/// What was found in the files of a cluster while they were read, by whichever thread.
final class PageFindings: Sendable {
    /// Beyond so many, pages that may be torn count as damaged.
    private static let tornLimit = 4096

    private struct Torn {
        var path: [UInt8]
        var block: UInt32
        var lsn: LSN
    }

    private struct State {
        var damaged = 0
        var torn: [Torn] = []
        var unread = 0
    }

    private let state = Mutex(State())
    private let problems: ProblemLog

    init(_ problems: ProblemLog) { self.problems = problems }

    var damaged: Int { state.withLock { $0.damaged } }
    var torn: Int { state.withLock { $0.torn.count } }
    /// Files that could not be read, and are missing in the archive.
    var unread: Int { state.withLock { $0.unread } }

    func noteUnread() { state.withLock { $0.unread += 1 } }

    func noteDamaged(_ path: [UInt8], block: UInt32) {
        state.withLock { $0.damaged += 1 }
        problems.add(FileProblem(path: path, what: .damagedPage, detail: "block \(block)"))
    }

    /// A page that is wrong and claims a change at `lsn`, at or after the start.
    func noteTorn(_ path: [UInt8], block: UInt32, lsn: LSN) {
        let isKept = state.withLock { state in
            guard state.torn.count < Self.tornLimit else { return false }
            state.torn.append(Torn(path: path, block: block, lsn: lsn))
            return true
        }
        if !isKept { noteDamaged(path, block: block) }
    }

    /// Nothing changed after the stop: a page that claims so was not torn.
    func settle(stop: LSN) {
        let lies = state.withLock { state in
            let lies = state.torn.filter { $0.lsn > stop }
            state.torn.removeAll { $0.lsn > stop }
            return lies
        }
        for lie in lies { noteDamaged(lie.path, block: lie.block) }
    }
}
