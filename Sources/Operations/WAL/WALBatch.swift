import Collectors
import Domain
import Glibc
import Vault

/// The files of a spool that one archive takes: of one cluster, with all its histories.
struct WALBatch: Sendable {
    /// A header has room for so many runs of segments; what is beyond them waits for the next archive.
    static let maximumFiles = 4096

    var cluster: WALCluster
    var segmentSize: WALSegmentSize?
    /// In the order of their paths in the archive.
    var files: [(key: WALKey, record: WALLedgerIndex.Record)] = []
    var histories: [WALTimelineHistory] = []

    /// Nil when nothing waits.
    init?(_ index: WALLedgerIndex) {
        let waiting = index.waiting.compactMap { key in index.records[key].map { (key: key, record: $0) } }
            .sorted { $0.record.number < $1.record.number }
        guard let first = waiting.first else { return nil }
        cluster = first.key.cluster
        segmentSize = index.coverage[cluster]?.segmentSize
        histories = index.histories(of: cluster)
        let own = waiting.filter { $0.key.cluster == first.key.cluster }.prefix(Self.maximumFiles)
        let segments = own.compactMap { file in
            file.key.file.form == .segment ? segmentSize.flatMap { file.key.file.segment($0) } : nil
        }
        let taken = WALFacts.runs(of: segments).prefix(WALFacts.maximumRuns)
        files = own.filter { file in
            guard file.key.file.form == .segment, let size = segmentSize, let segment = file.key.file.segment(size)
            else { return true }
            return taken.contains {
                $0.first.timeline == segment.timeline && $0.range.contains(segment.number)
            }
        }
        let kept = Set(files.map(\.key))
        files += index.records.filter {
            $0.key.cluster == first.key.cluster && $0.key.file.form == .history && !kept.contains($0.key)
        }.map { (key: $0.key, record: $0.value) }
        files.sort { PathOrder.compare(Array(Self.place($0.key).utf8), Array(Self.place($1.key).utf8)) < 0 }
    }

    /// Below the root of the source.
    static func place(_ key: WALKey) -> String { "\(folder(key.file.timeline))/\(key.file.text)" }

    static func folder(_ timeline: UInt32) -> String { String(WALFileName.historyName(timeline).prefix(8)) }
}

extension WALFileName {
    static func historyName(_ timeline: UInt32) -> String {
        let digits = String(timeline, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".history"
    }
}

/// Reads what waits in a spool: `@postgresql-wal/NAME/TIMELINE/FILE`.
///
/// A file whose bytes are not what was taken is a problem of its own, and is not told to be in the archive.
final class WALCollector: DataCollector {
    private let source: WALSource
    private let started: Timestamp
    private let spool: WALSpool
    private let batch: WALBatch?
    private var items: [(path: String, key: WALKey?, record: WALLedgerIndex.Record?)] = []
    private var contents: [(key: WALKey, content: WALFileContent)] = []
    private var isRead = false
    let problems = ProblemLog()

    init(_ source: WALSource, at workplace: Workplace, started: Timestamp) throws {
        self.source = source
        self.started = started
        spool = try WALSpool.shared(source.name, under: workplace.statePath)
        batch = WALBatch(try spool.index())
        let root = DataSource.wal(source).root
        items = [(root, nil, nil)]
        var folder = ""
        for file in batch?.files ?? [] {
            let next = "\(root)/\(WALBatch.folder(file.key.file.timeline))"
            if next != folder { items.append((next, nil, nil)) }
            folder = next
            items.append(("\(root)/\(WALBatch.place(file.key))", file.key, file.record))
        }
        items.reverse()
    }

    func next() throws -> DataItem? {
        guard let item = items.popLast() else {
            isRead = true
            return nil
        }
        guard let key = item.key, let record = item.record else {
            return .entry(.made(item.path, kind: .directory, modified: started), content: nil)
        }
        var info = stat()
        let modified =
            stat(spool.path(of: key), &info) == 0
            ? Timestamp(seconds: Int64(info.st_mtim.tv_sec), nanoseconds: UInt32(info.st_mtim.tv_nsec)) : started
        let content = WALFileContent(spool.path(of: key), record)
        contents.append((key, content))
        return .entry(.made(item.path, modified: modified, size: UInt64(record.bytes)), content: content)
    }

    func close() {}

    var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.wal.rawValue, name: source.name)
        let whole = contents.filter(\.content.isWhole).map(\.key)
        facts.isWhole = isRead && whole.count == contents.count
        guard let batch else { return facts }
        facts.facts["system-identifier"] = "\(batch.cluster.systemID)"
        facts.facts["incarnation"] = "\(batch.cluster.incarnation)"
        for history in batch.histories.suffix(32) {
            facts.facts["history-\(history.timeline)"] = WALFacts.text(history)
        }
        guard let size = batch.segmentSize else { return facts }
        facts.facts["wal-segment-bytes"] = "\(size.bytes)"
        let segments = whole.compactMap { $0.file.form == .segment ? $0.file.segment(size) : nil }
        let runs = WALFacts.runs(of: segments)
        facts.facts["count"] = "\(segments.count)"
        facts.facts["ranges"] = WALFacts.text(runs, size)
        facts.facts["first"] = runs.first?.first.name(size)
        facts.facts["last"] = runs.last.map {
            WALSegment(timeline: $0.first.timeline, number: $0.range.upperBound).name(size)
        }
        return facts
    }
}

/// One file of the spool, compared with its digest while it is read.
private final class WALFileContent: DataContent {
    private let path: String
    private let record: WALLedgerIndex.Record
    private var file: LogSpoolFile?
    private var sum: WALSum? = WALSum()
    private var at = 0
    private(set) var isWhole = false
    var isStream: Bool { false }
    /// Segments have nothing in common but where they are the same, from their beginning on: looking for cuts finds nothing more.
    var chunkBytes: Int? { 2 << 20 }

    init(_ path: String, _ record: WALLedgerIndex.Record) {
        self.path = path
        self.record = record
    }

    func nextData(from offset: UInt64) throws -> Range<UInt64>? {
        offset < UInt64(record.bytes) ? offset..<UInt64(record.bytes) : nil
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        let opened = try file ?? LogSpoolFile(reading: path)
        file = opened
        let count = try opened.read(into: buffer, at: Int(offset))
        guard let sum else { return count }
        sum.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        at += count
        // An archive that holds less than was taken must not let the file go, nor answer PostgreSQL that it is safe.
        let isOver = at >= record.bytes || count < buffer.count
        guard isOver || Int(offset) + count != at else { return count }
        self.sum = nil
        file = nil
        guard Int(offset) + count == at, at == record.bytes, opened.length == record.bytes,
            sum.finish() == record.digest
        else {
            throw OperationError(
                .damaged, "\(path) does not hold what was taken",
                hint: "PostgreSQL may still have the segment; a new base archive makes a new beginning.")
        }
        isWhole = true
        return count
    }
}

/// BLAKE3 of what is given piece by piece.
final class WALSum {
    private var hasher: ObjectHasher? = ObjectHasher(suite: .blake3)

    func update(_ bytes: UnsafeRawBufferPointer) { hasher?.update(bytes) }

    /// In hexadecimal; to be asked once.
    func finish() -> String {
        guard let finished = hasher.take() else { return "" }
        return finished.finalize().hex
    }
}
