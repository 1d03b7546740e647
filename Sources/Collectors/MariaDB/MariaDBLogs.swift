package import Domain
import Glibc

/// The binary logs of a server, read where they lie on this host, each up to a length that somebody gave, the server where it
/// keeps them: what is behind that may be half written.
///
/// Invariants:
/// 1. A run that does not begin where the one before ended tells it, once.
/// 2. What was seen last is noted when the archive that holds it is committed.
/// 3. Logs of which somebody wants to know whether they are damaged are checked, event by event, while they are archived; one that
///    is damaged is not in the archive.
package final class MariaDBLogs {
    /// Below the host state: what was seen last.
    package static let notes = "/sources/mariadb"
    /// What a log begins with: a magic number, then an event with the time it was begun, the server, its version.
    package static let beginningBytes = 80
    private static let endingBytes = 128
    /// Flags of that event, of which one says that the log is still written to.
    package static let flags = 21..<23

    package struct Log: Sendable {
        package var name: String
        package var bytes: UInt64

        package init(name: String, bytes: UInt64) {
            self.name = name
            self.bytes = bytes
        }
    }

    private let directory: String
    private let under: String
    private let started: Timestamp
    private let problems: ProblemLog
    private let note: LogNote
    private let logs: [Log]
    private var given = 0
    private var seen: LogNote.Seen?
    /// What was noted when this run looked.
    private let before: LogNote.Seen?
    private let onDamage: ((Log, UInt64) -> Void)?
    package private(set) var facts: [String: String] = [:]

    /// Those that the server lists; `state` is where is kept what was seen last.
    convenience init(
        _ client: MariaDBClient, under: String, state: String, started: Timestamp, problems: ProblemLog
    ) throws(CollectorError) {
        let base = try client.rows("SELECT @@log_bin_basename").first?.first ?? ""
        guard let slash = base.lastIndex(of: "/"), slash > base.startIndex else {
            throw CollectorError(.invalidInput, "the server does not say where its binary logs are")
        }
        let directory = String(base[..<slash])
        self.init(
            try client.logs(), in: directory, of: client.source.name, at: directory, under: under, state: state,
            started: started, problems: problems)
    }

    /// `listed` lie in `directory`, in the order in which the server `name` wrote them. What was seen last is noted for `place`.
    /// With `onDamage` each log is checked, and that is called, by who reads it, with one that is damaged and the byte up to which
    /// it is whole.
    package init(
        _ listed: [Log], in directory: String, of name: String, at place: String, under: String, state: String,
        started: Timestamp, problems: ProblemLog, onDamage: ((Log, UInt64) -> Void)? = nil
    ) {
        self.directory = directory
        self.under = under
        self.started = started
        self.problems = problems
        self.onDamage = onDamage
        note = LogNote(of: name, place, in: state)
        before = note.seen
        logs = listed.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        // The newest by the server's order, which counts, not by the bytes of the names.
        newest = listed.last?.name ?? ""
        facts["logs-first"] = listed.first?.name
        facts["logs-last"] = listed.last?.name
        facts["logs-last-bytes"] = listed.last.map { "\($0.bytes)" }
        if let gap = gap(listed) {
            facts["logs-gap"] = gap
            problems.add(FileProblem(path: Array(under.utf8), what: .logGap, detail: gap))
        }
    }

    private let newest: String

    package func next() -> DataItem? {
        defer { given += 1 }
        if given == 0 { return .entry(.made(under, kind: .directory, modified: started), content: nil) }
        if given <= logs.count {
            let log = logs[given - 1]
            return item(log)
        }
        if given == logs.count + 1 { return .barrier }
        if let last = logs.first(where: { $0.name == newest }), let mark = mark(of: last.name, at: last.bytes) {
            seen = LogNote.Seen(name: last.name, bytes: last.bytes, mark: mark)
        }
        return nil
    }

    package func committed() {
        guard let seen else { return }
        // Another run may have been committed since this one looked, and have looked later.
        if let now = note.seen, now != before, now.isBehind(seen) { return }
        note.keep(seen)
    }

    private func item(_ log: Log) -> DataItem {
        let path = "\(directory)/\(log.name)"
        let content = LogContent(path, bytes: log.bytes, onDamage.map { tell in { tell(log, $0) } })
        var entry = Entry.made("\(under)/\(log.name)", modified: started, size: log.bytes)
        var info = stat()
        if lstat(path, &info) == 0 {
            entry.permissions = UInt16(info.st_mode & 0o7777)
            entry.userID = info.st_uid
            entry.groupID = info.st_gid
            entry.device = UInt64(info.st_dev)
            entry.inode = UInt64(info.st_ino)
            entry.modified = Timestamp(info.st_mtim)
            entry.changed = Timestamp(info.st_ctim)
            // Closed since before this run began: nothing is written to it any more.
            entry.isRacy = log.name == newest || max(entry.modified, entry.changed).seconds >= started.seconds - 2
        }
        return .entry(entry, content: content)
    }

    /// The time when a log was begun, and by which server, in hexadecimal digits; nil where it cannot be read.
    package static func beginning(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: beginningBytes)
        guard pread(file, &bytes, bytes.count, 0) == bytes.count else { return nil }
        return beginning(bytes)
    }

    /// Of the first bytes of a log.
    package static func beginning(_ bytes: [UInt8]) -> String {
        var bytes = bytes
        if bytes.count >= flags.upperBound { bytes.removeSubrange(flags) }
        return bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// What tells a log from another one of its name: its first bytes, and the last ones before `bytes`. The first ones hold
    /// the second in which it was begun, which two logs may share.
    private func mark(of name: String, at bytes: UInt64) -> String? {
        let file = open("\(directory)/\(name)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let end = Int(clamping: bytes)
        var first = [UInt8](repeating: 0, count: Self.beginningBytes)
        let from = max(first.count, end - Self.endingBytes)
        var last = [UInt8](repeating: 0, count: max(0, end - from))
        guard pread(file, &first, first.count, 0) == first.count,
            last.isEmpty || pread(file, &last, last.count, off_t(from)) == last.count
        else { return nil }
        first.removeSubrange(Self.flags)
        return (first + last).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Why the logs do not go on from where the last run saw them end; nil when they do, or nothing is known of one.
    private func gap(_ listed: [Log]) -> String? {
        guard let seen = before else { return nil }
        guard let first = listed.first else {
            return "the server has no binary logs any more; \(seen.name) was the last"
        }
        guard let same = listed.first(where: { $0.name == seen.name }) else {
            if seen.isBehind(LogNote.Seen(name: newest, bytes: 0, mark: "")) {
                return "\(seen.name) is gone and the logs were begun anew: the newest is \(newest)"
            }
            return "what was written behind byte \(seen.bytes) of \(seen.name), up to \(first.name), was purged"
        }
        if same.bytes < seen.bytes {
            return "\(seen.name) was begun anew: it has \(same.bytes) bytes and had \(seen.bytes)"
        }
        // One that cannot be read is told where it is read.
        guard let mark = mark(of: same.name, at: seen.bytes), mark != seen.mark else { return nil }
        return "\(seen.name) was begun anew: it holds something else than it did"
    }
}

extension Timestamp {
    fileprivate init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }
}

/// Which binary log of a server was the last, and how far it was read: a file in the host state.
private struct LogNote {
    struct Seen: Equatable {
        var name: String
        var bytes: UInt64
        var mark: String

        /// The numbers in the names grow by digits.
        func isBehind(_ other: Seen) -> Bool {
            (name.utf8.count, name, bytes) > (other.name.utf8.count, other.name, other.bytes)
        }
    }

    private let folder: String
    private let path: String

    /// Logs of another directory have a note of their own.
    init(of name: String, _ directory: String, in folder: String) {
        let number = directory.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
        self.folder = folder
        path = "\(folder)/\(name)-\(String(number, radix: 16)).logs"
    }

    var seen: Seen? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = max(0, read(file, &buffer, buffer.count))
        let parts = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ").map(String.init)
        guard parts.count == 3, let bytes = UInt64(parts[1]) else { return nil }
        return Seen(name: parts[0], bytes: bytes, mark: parts[2])
    }

    /// Where it cannot be kept, the next run compares with an older one.
    func keep(_ seen: Seen) {
        guard (try? StagingFolder.make(folder)) != nil else { return }
        try? StagingFolder.write("\(seen.name) \(seen.bytes) \(seen.mark)", to: path)
    }
}

/// A log up to the length that the server gave.
private final class LogContent: DataContent {
    private static let pieceBytes = 1 << 18

    private let path: String
    private let bytes: UInt64
    private let onDamage: ((UInt64) -> Void)?
    private var follower = BinaryLogFollower()
    private var descriptor: Int32 = -1
    let isStream = false
    let isKnownByStamp = true

    /// What is read is checked where somebody wants to know of damage.
    init(_ path: String, bytes: UInt64, _ onDamage: ((UInt64) -> Void)?) {
        self.path = path
        self.bytes = bytes
        self.onDamage = onDamage
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        if descriptor < 0 { descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
        guard descriptor >= 0 else { throw CollectorError.system(errno, "cannot open", Array(path.utf8)) }
        let wanted = Int(min(UInt64(buffer.count), bytes - min(bytes, offset)))
        try fill(UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
        try check(UnsafeRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
        if wanted < buffer.count {
            close(descriptor)
            descriptor = -1
        }
        return wanted
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws {
        var filled = 0
        while filled < buffer.count, let start = buffer.baseAddress {
            let count = pread(descriptor, start + filled, buffer.count - filled, Int(offset) + filled)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                let number = errno
                // What a disk does not give back is lost as what it gives back changed.
                if number == EIO { onDamage?(follower.wholeBytes) }
                throw CollectorError.system(number, "cannot read", Array(path.utf8))
            }
            guard count > 0 else {
                onDamage?(follower.wholeBytes)
                throw CollectorError(.changed, "\(path) is shorter than it was: \(bytes) bytes")
            }
            filled += count
        }
    }

    /// The events in what was read; also of what an interrupted run read, behind which this one goes on.
    private func check(_ read: UnsafeRawBufferPointer, at offset: UInt64) throws {
        guard let onDamage else { return }
        do {
            while follower.offset < offset {
                let count = Int(min(UInt64(Self.pieceBytes), offset - follower.offset))
                try withUnsafeTemporaryAllocation(byteCount: count, alignment: 16) { piece in
                    try fill(piece, at: follower.offset)
                    try follower.take(UnsafeRawBufferPointer(piece))
                }
            }
            let known = Int(min(UInt64(read.count), follower.offset - offset))
            try follower.take(UnsafeRawBufferPointer(rebasing: read[known...]))
            if follower.offset == bytes, !follower.isWhole { throw BinaryLogFault.torn(follower.wholeBytes) }
        } catch is BinaryLogFault {
            onDamage(follower.wholeBytes)
            throw CollectorError(
                .invalidInput, "\(path) is damaged at byte \(follower.wholeBytes): an event is not what it was",
                hint: "What lies before that byte can be had of the file; the server may have the log still.")
        }
    }
}
