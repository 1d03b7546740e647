import Collectors
import Domain
import Glibc
import Vault

/// What was streamed of the binary logs of a server and waits for an archive: `STATE/binary-logs/NAME`, as docs/mariadb.md describes it.
///
/// Invariants:
/// 1. A stretch, a directory of its own, has no gap in it: each of its logs goes on from the one before.
/// 2. A log of a stretch grows, and is replaced only by a longer one that begins with it.
/// 3. A log leaves the spool only after a committed archive held it; the newest one of the newest stretch stays. One that is damaged is
///    put aside; see ``Damage``.
struct BinaryLogSpool: Sendable {
    /// Up to where something is, and, where that is known, up to when that is all that the server had committed.
    struct Mark: Codable, Sendable, Equatable {
        var point: BinaryLogPoint
        /// Seconds since 1970.
        var time: Int64?
    }

    enum Held: String, Sendable {
        /// Synced in the spool.
        case received
        /// In a committed archive.
        case archived
    }

    /// Something that the server wrote between two stretches did not come.
    struct Gap: Codable, Sendable, Equatable {
        /// When it was found: a copy that is begun later lies behind it. Seconds since 1970, as the other.
        var found: Int64
        /// Up to when everything before it came, where that is known.
        var time: Int64?
    }

    /// The newest log that was received, with what of it is whole.
    struct Newest: Sendable {
        var point: BinaryLogPoint
        /// The server closed it.
        var isEnded: Bool
    }

    private static let markLimit = 4096

    let name: String
    let path: String

    /// Makes the spool where there is none.
    init(name: String, statePath: String) throws {
        guard Policy.isWellFormed(name: name) else {
            throw OperationError(.usage, "\(name) cannot name a source", hint: "Give the name that the policy has.")
        }
        self.name = name
        path = "\(statePath)/binary-logs/\(name)"
        try StateFile.makeDirectory(receivePath)
    }

    /// Where `mariadb-binlog` writes; what is left there by an earlier one counts for nothing.
    var receivePath: String { "\(path)/receive" }

    func folder(of stretch: Int) -> String { "\(path)/\(stretch)" }

    // MARK: Stretches

    /// The oldest first.
    func stretches() throws -> [Int] { try StateFile.list(path).compactMap { Int($0) }.filter { $0 > 0 }.sorted() }

    /// The logs in a directory of the spool, in the order in which they were written.
    func logs(in folder: String) throws -> [String] {
        try StateFile.list(folder).compactMap { name in BinaryLogPlace.parts(name).map { (name, $0.number) } }
            .sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// One in which nothing is yet.
    func beginStretch() throws -> Int {
        let last = try stretches().last ?? 0
        if last > 0, try logs(in: folder(of: last)).isEmpty { return last }
        let next = last + 1
        if last > 0 { try noteGap(upTo: mark(.received)?.time) }
        try StateFile.makeDirectory(folder(of: next))
        try WALSpool.sync(path)
        return next
    }

    /// Reads the newest log anew and cuts off what is behind its last whole event: it was never told to be here. Where what was told is
    /// damaged, it is put aside, and the log before counts. To be called while nothing is received.
    func newest() throws -> Newest? {
        guard let stretch = try stretches().last, let name = try logs(in: folder(of: stretch)).last else { return nil }
        let log = FollowedLog(name, try LogSpoolFile(extending: "\(folder(of: stretch))/\(name)"))
        if let bytes = try damagedBytes(reading: log, in: stretch) {
            try setAside(noteDamage(of: name, in: stretch, sound: log.follower.wholeBytes, bytes: bytes))
            return try newest()
        }
        try log.file.cut(to: Int(log.follower.wholeBytes))
        try log.file.sync()
        return Newest(
            point: BinaryLogPoint(stretch: stretch, file: name, position: log.follower.wholeBytes),
            isEnded: log.follower.isEnded)
    }

    /// Reads a log as far as it is whole. How many bytes were told to be received or archived of it, where that is more.
    func damagedBytes(reading log: FollowedLog, in stretch: Int) throws -> UInt64? {
        let told = [mark(.received), mark(.archived)].compactMap { $0?.point }
        let bytes = told.filter { $0.stretch == stretch && $0.file == log.name }.map(\.position).max() ?? 0
        do { try log.advance() } catch let error where !(error is BinaryLogFault) {
            // A disk that cannot be read says nothing of where the log ends: only what is no log does.
            guard log.file.isUnreadable, log.follower.wholeBytes < bytes else { throw error }
        } catch {}
        return log.follower.wholeBytes < bytes ? bytes : nil
    }

    func clearReceived() throws {
        for left in try StateFile.list(receivePath) { unlink("\(receivePath)/\(left)") }
    }

    // MARK: Marks

    private func markPath(_ held: Held) -> String { "\(path)/\(held.rawValue).json" }

    /// Nil where nothing is known, or what stands there cannot be read.
    func mark(_ held: Held) -> Mark? {
        guard let bytes = try? StateFile.read(markPath(held), limit: Self.markLimit) else { return nil }
        return LogText.decode(Mark.self, bytes)
    }

    func keep(_ mark: Mark, as held: Held) throws {
        try StateFile.write(markPath(held), try LogText.encode(mark))
    }

    // MARK: Gaps

    private var gapPath: String { "\(path)/gap.json" }

    /// The oldest one behind which there is no copy of the server yet.
    var gap: Gap? {
        guard let bytes = try? StateFile.read(gapPath, limit: Self.markLimit) else { return nil }
        return LogText.decode(Gap.self, bytes)
    }

    /// Another one behind it is open as long as there is no copy behind that.
    func noteGap(upTo time: Int64?) throws {
        let known = gap
        let gap = Gap(found: Int64(clamping: WallTime.seconds()), time: known == nil ? time : known?.time)
        try StateFile.write(gapPath, try LogText.encode(gap))
    }

    func closeGap() { unlink(gapPath) }

    // MARK: After the archive

    /// Removes what a committed archive holds of a stretch and nobody needs any more, and notes up to where that is.
    func noteArchived(_ files: Set<String>, _ mark: Mark) throws {
        let folder = folder(of: mark.point.stretch)
        // Of two runs at once the one that looked first may have been committed last.
        if self.mark(.archived).map({ $0.point < mark.point || $0.time ?? 0 < mark.time ?? 0 }) ?? true {
            try keep(mark, as: .archived)
        }
        let isOver = try stretches().last.map { $0 > mark.point.stretch } ?? false
        for name in try logs(in: folder) where files.contains(name) && (isOver || name != mark.point.file) {
            unlink("\(folder)/\(name)")
        }
        try forget {
            $0.standing == .back && $0.stretch == mark.point.stretch && files.contains($0.file)
        }
        if isOver { rmdir(folder) }
    }
}

/// A log that is read as far as it goes, again and again; one thread's own.
final class FollowedLog {
    let name: String
    let file: LogSpoolFile
    private(set) var follower = BinaryLogFollower()

    init(_ name: String, _ file: LogSpoolFile) {
        self.name = name
        self.file = file
    }

    /// Reads what came since; throws a ``BinaryLogFault`` where it is no log any more.
    func advance() throws {
        try withUnsafeTemporaryAllocation(byteCount: 1 << 18, alignment: 16) { block in
            while true {
                let count = try file.read(into: block, at: Int(follower.offset))
                guard count > 0 else { return }
                try follower.take(UnsafeRawBufferPointer(rebasing: block[..<count]))
            }
        }
    }
}
