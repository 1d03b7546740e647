import Collectors
import Domain
import Vault

/// The binary logs of one server in the archives of a vault, from one archive on: each in its newest version, one behind the other.
///
/// Invariants:
/// 1. Archives count as long as each has the last log of the one before, with the same beginning and at least as long, and
///    none says that logs are missing. What comes behind the first that does not is known to be there, and is not used.
/// 2. Nothing is written.
struct BinaryLogChain {
    struct Log {
        var file: String
        var size: UInt64
        var content: Content
        var archive: ArchiveRecord
    }

    /// By their numbers, without a hole from the first on.
    private(set) var logs: [Log] = []
    /// Why the chain ends where it does though there are later logs; nil when there are none.
    private(set) var breach: String?
    /// Seconds since 1970: what was committed until then is in the logs, as far as the chain reaches.
    private(set) var complete: Int64?

    private let server: String
    private let open: OpenVault

    /// `first` is the archive of the copy, `file` the log that the copy is of, and `life` its beginning where the archive tells it. With `time` no archives are looked at that were begun
    /// after the first that is later than it.
    init(
        of server: String, from first: ArchiveRecord, file: String, life: String?, until time: Int64?,
        in open: OpenVault
    ) throws {
        self.server = server
        self.open = open
        guard let (base, number) = BinaryLogPlace.parts(file) else {
            throw OperationError(
                .damaged, "the archive names a binary log in an unknown way", hint: "Verify the vault.")
        }
        var known: [UInt64: Log] = [:]
        var before: [Log] = []
        for (archive, started, source) in try Self.looks(of: server, from: first, number, in: open) {
            try RestoreTrees.checkInterrupt(open.workplace)
            let facts = source.facts
            let found = try read(archive, source)
            if found.isEmpty { continue }
            // Of two runs at once the one that looked first may have been committed last.
            if facts["logs-gap"] == nil, try isOlder(found, than: before, known) { continue }
            breach = try objection(facts, found, behind: before.last)
            if let life, before.isEmpty, let same = found.first(where: { $0.file == file }),
                try beginning(same) != life
            {
                breach = "\(file) was begun anew since the copy was made"
            }
            if breach != nil { break }
            for log in found {
                guard let parts = BinaryLogPlace.parts(log.file), parts.base == base, parts.number >= number else {
                    continue
                }
                known[parts.number] = log
            }
            before = found
            // What was streamed is as complete as the stream was, whenever the run began.
            if let until = (facts["logs-until"] ?? started).flatMap({ TimeText.parse($0) }) {
                complete = max(complete ?? until, until)
            }
            if let time, let complete, complete > time { break }
        }
        let (row, missing) = Self.row(of: known, from: number)
        logs = row
        if let missing {
            breach = "\(Self.name(base, missing, like: file)) is in no archive"
            complete = nil
        }
    }

    /// What has the numbers from the first on, one behind the other, and the number that is missing before a later one. The numbers
    /// are those of names, which may hold any.
    static func row<Value>(of known: [UInt64: Value], from first: UInt64) -> (values: [Value], missing: UInt64?) {
        var (values, next) = ([Value](), first)
        while let value = known[next] {
            values.append(value)
            if next == .max { return (values, nil) }
            next += 1
        }
        return (values, known.keys.contains { $0 > next } ? next : nil)
    }

    /// What archives hold of the logs, from the copy on. While it was made others may have been committed with the log that it is of:
    /// then from the last of those on.
    private static func looks(
        of server: String, from first: ArchiveRecord, _ number: UInt64, in open: OpenVault
    ) throws -> ArraySlice<(ArchiveRecord, String?, SourceFacts)> {
        let all = try open.headers(of: open.vault.log.archives, all: true).flatMap { archive, header in
            (header?.sources ?? []).filter { holdsLogs($0, of: server) }.map { (archive, header?.started, $0) }
        }
        func numbers(_ at: Int) -> ClosedRange<UInt64>? {
            let ends = ["logs-first", "logs-last"].compactMap {
                all[at].2.facts[$0].flatMap(BinaryLogPlace.parts)?.number
            }
            return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
        }
        let start = all.firstIndex { $0.0.number >= first.number } ?? all.count
        if start < all.count, let here = numbers(start), here.lowerBound <= number { return all[start...] }
        return all[(all[..<start].indices.last { numbers($0)?.contains(number) == true } ?? start)...]
    }

    /// Whether the archive before has all of these logs, and more.
    private func isOlder(_ found: [Log], than before: [Log], _ known: [UInt64: Log]) throws -> Bool {
        guard let last = found.last, let newest = before.last else { return false }
        // An archive of what was streamed begins with the log that was the last one of the archive before it.
        let same =
            before.first { $0.file == last.file } ?? BinaryLogPlace.parts(last.file).flatMap { known[$0.number] }
        guard let same, same.file == last.file else { return false }
        guard same.size > last.size || same.size == last.size && same.file != newest.file else { return false }
        return try beginning(same) == beginning(last)
    }

    /// Both with a copy and alone.
    private static func holdsLogs(_ source: SourceFacts, of server: String) -> Bool {
        let kinds = [DataSource.Kind.mariadb, .mariadbLogs].map(\.rawValue)
        return kinds.contains(source.kind) && source.name == server && source.facts["logs-last"] != nil
    }

    private static func name(_ base: String, _ number: UInt64, like file: String) -> String {
        let digits = String(number)
        let width = max(0, file.utf8.count - base.utf8.count - 1 - digits.count)
        return "\(base)." + String(repeating: "0", count: width) + digits
    }

    /// Up to the newest one, which is the last; empty where that is not in the archive as the server had it.
    private func read(_ archive: ArchiveRecord, _ source: SourceFacts) throws -> [Log] {
        let isAlone = source.kind == DataSource.Kind.mariadbLogs.rawValue
        let root = Array("@\(source.kind)/\(server)\(isAlone ? "" : "/logs")".utf8)
        let facts = source.facts
        var logs: [Log] = []
        try ArchiveReader(try open.reader(), archive).forEachEntry(under: root) { page in
            guard page.kind == .file, let name = page.path.split(separator: 0x2F).last else { return true }
            let file = String(decoding: name, as: UTF8.self)
            logs.append(Log(file: file, size: page.size, content: page.content, archive: archive))
            return true
        }
        logs.sort { (BinaryLogPlace.parts($0.file)?.number ?? 0) < (BinaryLogPlace.parts($1.file)?.number ?? 0) }
        guard let last = logs.last, last.file == facts["logs-last"], facts["logs-last-bytes"] == "\(last.size)" else {
            return []
        }
        return logs
    }

    /// Why the logs of the next archive do not go on from the last one of the archive before.
    private func objection(_ facts: [String: String], _ found: [Log], behind last: Log?) throws -> String? {
        guard let last else { return nil }
        if let gap = facts["logs-gap"] { return gap }
        guard let same = found.first(where: { $0.file == last.file }) else {
            return "what was written behind byte \(last.size) of \(last.file) was not archived"
        }
        guard same.size >= last.size, try beginning(same) == beginning(last) else {
            return "\(last.file) was begun anew"
        }
        return nil
    }

    private struct Enough: Error {}

    private func beginning(_ log: Log) throws -> String { MariaDBLogs.beginning(try firstBytes(log)) }

    /// The first bytes of a log, of which ``MariaDBLogs/beginning(_:)`` makes the time when it was begun, and by which server.
    private func firstBytes(_ log: Log) throws -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            try read(log) { piece in
                bytes += piece.prefix(MariaDBLogs.beginningBytes - bytes.count)
                if bytes.count == MariaDBLogs.beginningBytes { throw Enough() }
            }
        } catch is Enough {}
        return bytes
    }

    /// Gives the content of a log, piece by piece.
    func read(_ log: Log, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let reader = try open.reader()
        let tree = try ArchiveReader(reader, log.archive)
        try tree.read(log.content, with: try ChunkReader(reader, for: log.archive)) { piece in
            try RestoreTrees.checkInterrupt(open.workplace)
            try body(piece)
        }
    }
}
