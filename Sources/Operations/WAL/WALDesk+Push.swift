import Domain
import Glibc
import Vault
import WALClient

/// What comes in: pushes, and offers of what will be pushed next.
///
/// Invariants:
/// 1. A push is answered "done" only when what lies behind its own descriptor was found to be what is held.
/// 2. An offer acknowledges nothing and waits for nothing; that it fails is no problem of the source.
extension WALDesk {
    /// Seconds that a push waits for the vault.
    private static let vaultPatience = 50.0
    /// Seconds after which it looks for an archive that another process made: of those the daemon hears nothing.
    private static let vaultLook = 0.5
    /// An offer is taken where the spool has room for so many such files, so that it takes none away from a push.
    private static let offerRoom: UInt64 = 64

    func push(_ file: Int32, _ name: WALFileName, _ systemID: UInt64, _ one: Served) throws -> WALReply {
        let key: WALKey
        do {
            key = try one.spool.accept(file, name, systemID: systemID, incarnation: one.source.incarnation)
            change(one) { $0.failure = nil }
        } catch {
            let words = (error as? WALRefusal)?.message ?? Daemon.words(error)
            change(one) { $0.failure = words }
            throw error
        }
        guard one.source.acknowledge == .vault else { return WALReply(.done) }
        return try waitForArchive(of: key, one)
    }

    private func waitForArchive(of key: WALKey, _ one: Served) throws -> WALReply {
        if try one.spool.isArchived(key) { return WALReply(.done) }
        change(one) { $0.isUrgent = true }
        onWaiting()
        let end = MonotonicTime.now() + Self.vaultPatience
        while MonotonicTime.now() < end, !stopping.isSet {
            let isArchived = try archiving.locked { () throws(any Error) -> Bool in
                if try one.spool.isArchived(key) { return true }
                archiving.wait(until: min(end, MonotonicTime.now() + Self.vaultLook))
                return false
            }
            if isArchived { return WALReply(.done) }
        }
        return WALReply(.tryAgain, "no archive has \(key.file.text) yet; it waits in the spool")
    }

    /// The ledger may say more than before: whoever waits for the vault looks at it.
    func tellWaiting() { archiving.locked { archiving.wakeAll() } }

    func offer(_ file: Int32, _ name: WALFileName, _ systemID: UInt64, _ one: Served) throws -> WALReply {
        guard one.source.acknowledge == .vault, name.form == .segment else {
            return WALReply(.refused, "no offers are wanted")
        }
        let given = WALGivenFile(descriptor: file, name: name)
        let incarnation = one.source.incarnation
        if try one.spool.held(given, systemID: systemID, incarnation: incarnation) != nil { return WALReply(.done) }
        guard try hasRoom(for: given, one) else {
            return WALReply(.tryAgain, "there is no room for what is not asked for")
        }
        _ = try one.spool.accept(file, name, systemID: systemID, incarnation: incarnation)
        // The run that is going was begun before; the end of it, or the push of what is offered, begins the next.
        change(one) { $0.isUrgent = true }
        return WALReply(.done)
    }

    private func hasRoom(for given: WALGivenFile, _ one: Served) throws -> Bool {
        var place = statvfs()
        guard statvfs(one.spool.path, &place) == 0 else { throw LogSpool.failure("examining", one.spool.path) }
        let size = UInt64(try given.examine().st_size)
        let free = UInt64(place.f_bavail).multipliedReportingOverflow(by: UInt64(place.f_frsize))
        return free.overflow || free.partialValue / Self.offerRoom >= size
    }

    // MARK: When an archive is due

    /// Whether an archive of the source is due.
    func due(_ one: Served) -> LogFeed.Due {
        // Taken away before the ledger is read: a push that comes in between says it again.
        var isUrgent = false
        change(one) { swap(&$0.isUrgent, &isUrgent) }
        guard let index = try? one.spool.index() else {
            if isUrgent { change(one) { $0.isUrgent = true } }
            return .no
        }
        guard let oldest = index.oldestWaiting else { return .no }
        if isUrgent {
            change(one) { $0.isUrgent = true }
            return .atOnce
        }
        let waits = Int64(clamping: WallTime.seconds()) - oldest
        let isDue =
            index.waiting.count >= one.source.batchSegments || waits < 0 || waits >= one.source.batchTime.seconds
        return isDue ? .batch : .no
    }

    /// How many archives the ledgers of a policy's sources tell of.
    func archives(of policy: String) -> Int {
        served.filter { $0.policy == policy }.reduce(0) { $0 + ((try? $1.spool.index().archives) ?? 0) }
    }
}
